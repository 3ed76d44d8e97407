"""Threads that never change a bit of the result.

BLAS splits a product over its threads, and the last bits of the result depend on how many
there are: a fit in a worker process of joblib (one BLAS thread) would differ from the same fit
in the main process. Here BLAS is limited to one thread, the work is divided into *chunks* whose
number depends on the shapes alone (`_chunks`), and the chunks are computed by as many threads as
BLAS would have used. Sums over chunks are taken in chunk order, so the number of threads cannot
matter.

An error or an interrupt (Ctrl-C) ends the threads and gives BLAS its threads back.
"""

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import lru_cache, partial
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")


@contextmanager
def reproducible_threads(n_threads: int | None = None) -> Iterator[None]:
    """Hold BLAS to one thread, and let `run_chunks` use the threads that BLAS gave up.

    ``n_threads`` limits them further, for fits that share the cores with others. Within another
    such context of the same thread this one does nothing.
    """
    if _local.team is not None:
        yield
        return
    token = object()
    try:
        n_free = _limit.acquire(token)
        team = _Team(min(n_free, n_threads or n_free))
        _local.team = team
        try:
            yield
        finally:
            _local.team = None
            team.close()
    finally:
        _limit.release(token)


def count_threads(n_chunks: int) -> int:
    """Return the number of threads, at least one, that compute ``n_chunks`` chunks."""
    return max(1, min(_local.team.n_threads, n_chunks)) if _local.team is not None else 1


def run_chunks(work: Callable[[T], float], chunks: Sequence[T]) -> list[float]:
    """Return ``[work(chunk) for chunk in chunks]``, on as many threads as are free."""
    if count_threads(len(chunks)) == 1:
        return list(map(work, chunks))
    return _run_together([partial(work, chunk) for chunk in chunks])


def run_phases(phases: Sequence[Callable[[int, int], None]], n_steps: int, n_chunks: int) -> None:
    """Call ``phase(step, chunk)`` for every step, phase and chunk, in this nested order.

    The chunks of a phase may run concurrently; a phase begins when all chunks of the one before
    are done. Threads are woken once for all steps, and wait for one another after each phase.
    """
    n_threads = count_threads(n_chunks)
    barrier = threading.Barrier(n_threads)

    def walk(thread: int) -> None:
        # The barrier breaks where another thread fails, which then tells why.
        with suppress(threading.BrokenBarrierError):
            for step, phase in itertools.product(range(n_steps), phases):
                for chunk in range(thread, n_chunks, n_threads):
                    phase(step, chunk)
                if n_threads > 1:
                    barrier.wait()

    if n_threads == 1:
        walk(0)
    else:
        _run_together([partial(walk, thread) for thread in range(n_threads)], barrier.abort)


def run_threads(work: Callable[[int], None], n_threads: int, abort: Callable[[], Any]) -> None:
    """Call ``work(thread)`` on ``n_threads`` threads at once, at most those of `count_threads`.

    ``abort`` ends all of them if one fails or the calling thread is interrupted.
    """
    if n_threads == 1:
        work(0)
    else:
        _run_together([partial(work, thread) for thread in range(n_threads)], abort)


def _run_together(
    tasks: Sequence[Callable[[], Any]], abort: Callable[[], Any] = lambda: None
) -> list[Any]:
    """Let the team do the tasks, and raise the first error when all have ended."""
    assert _local.team is not None
    submit = _local.team.executor.submit
    futures: list[Future[Any]] = []
    try:
        for task in tasks:
            # A context has NumPy's treatment of overflow; it lets in one thread at a time.
            futures.append(submit(copy_context().run, task))
        wait(futures, return_when=FIRST_EXCEPTION)
    finally:
        for future in futures:
            future.cancel()
        abort()
        wait(futures)
    return [future.result() for future in futures]


class _Team:
    """Threads of one `reproducible_threads`, started when there is work for more than one."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._executor: ThreadPoolExecutor | None = None

    @property
    def executor(self) -> ThreadPoolExecutor:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.n_threads)
        return self._executor

    def forget(self) -> None:
        """Forget the threads, because a forked child has none."""
        self._executor = None

    def close(self) -> None:
        """End the threads, even if an interrupt comes meanwhile."""
        if self._executor is not None:
            try:
                self._executor.shutdown(wait=False)
            finally:
                self._executor.shutdown()


class _Local(threading.local):
    """The team of the calling thread, if it is in a `reproducible_threads`."""

    team: _Team | None = None


class _Limit:
    """Limit of BLAS to one thread: the first holder sets it, the last lifts it."""

    def __init__(self) -> None:
        # The garbage collector may call `release` anywhere: a lock must let its owner in again.
        self._lock = threading.RLock()
        self._holders: set[object] = set()
        self._original: list[tuple[Any, int]] = []

    def acquire(self, token: object) -> int:
        """Limit BLAS to one thread; return how many it had."""
        with self._lock:
            self._holders.add(token)
            if not self._original:
                self._original = [(library, library.num_threads) for library in _find_blas()]
                for library, _ in self._original:
                    _set_num_threads(library, 1)
            return max((n_threads for _, n_threads in self._original), default=1)

    def release(self, token: object) -> None:
        """Undo `acquire`, even if it was interrupted."""
        with self._lock:
            self._holders.discard(token)
            if not self._holders:
                self._lift()

    def _lift(self) -> None:
        for library, n_threads in self._original:
            _set_num_threads(library, n_threads)
            _let_any_thread_control(library)
        self._original = []

    def before_fork(self) -> None:
        """Let no other thread hold a lock of BLAS or threadpoolctl, which the child would keep."""
        self._lock.acquire()

    def after_in_parent(self) -> None:
        """Let the other threads continue."""
        self._lock.release()

    def after_in_child(self) -> None:
        """Begin without the holders, and the team: they are threads of the parent."""
        self._lock = threading.RLock()
        self._holders = set()
        self._lift()
        if _local.team is not None:
            _local.team.forget()
            _local.team = None


@lru_cache(maxsize=1)
def _find_blas() -> list[Any]:
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _set_num_threads(library: Any, n_threads: int) -> None:
    # Not ThreadpoolController.limit, which takes longer than predicting a row.
    _let_any_thread_control(library)
    library.set_num_threads(n_threads)


def _let_any_thread_control(library: Any) -> None:
    """Let OpenBLAS obey any thread: since threadpoolctl 3.8 it obeys the first one only."""
    clear = getattr(library, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


_local, _limit = _Local(), _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_limit.before_fork,
        after_in_parent=_limit.after_in_parent,
        after_in_child=_limit.after_in_child,
    )
