"""Threads that never change a bit of the result, and that no interrupt leaves behind.

BLAS splits a product over its threads, and the last bits of the result depend on how many
there are: a fit in a worker process of joblib (one BLAS thread) would differ from the same fit
in the main process. Here BLAS is held to one thread, the work is divided into *chunks* whose
number depends on the shapes alone, and the chunks are computed by as many threads as BLAS would
have used. The sums over chunks are taken in chunk order, so the number of threads cannot matter.

An interrupt (Ctrl-C, the handler of any signal) can come between any two byte codes of the
calling thread, those of the standard library included, where it may leave the lock inside a
future, a barrier or a starting thread locked for ever. Hence

- what must be undone is undone in two nested ``finally`` clauses, the second of which makes up
  for an interrupt of the first;
- executor and barrier are used by a thread that no signal reaches, the leader. The calling
  thread deals with it by single calls of C: `SimpleQueue`, `_claim`, ``start_new_thread``.
"""

import _thread
import ctypes
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar, copy_context
from functools import lru_cache, partial
from io import IOBase
from queue import Empty, SimpleQueue
from typing import Any, cast

from threadpoolctl import ThreadpoolController


def reproducible_threads(n_threads: int | None = None) -> AbstractContextManager[None]:
    """Hold BLAS to one thread, and let `run_chunks` use the threads that BLAS gave up.

    ``n_threads`` limits them further, for fits that share the cores with others. Within another
    such context of the same thread this one does nothing.
    """
    return cast(AbstractContextManager[None], _Context(_hold_blas(n_threads)))


def single_threaded_blas() -> AbstractContextManager[None]:
    """Hold BLAS to one thread without starting any: for work too small to be divided."""
    return cast(AbstractContextManager[None], _Context(_hold_blas(None, has_team=False)))


def count_chunks(
    n_rows: int, multiply_adds: float, *, worth: float, min_rows: int, most: int
) -> int:
    """Number of chunks, by the shapes alone: each is ``worth`` so many multiply-adds."""
    return max(1, min(int(multiply_adds / worth), n_rows // min_rows, most))


def split_evenly(n: int, n_chunks: int) -> list[slice]:
    """Cut ``range(n)`` into ``n_chunks`` slices, as evenly as can be."""
    edges = [n * chunk // n_chunks for chunk in range(n_chunks + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def row_blocks(rows: slice, size: int) -> list[slice]:
    """Cut ``rows`` into blocks of ``size`` rows; the last one may be smaller."""
    starts = range(rows.start, rows.stop, size)
    return [slice(start, min(start + size, rows.stop)) for start in starts]


def run_chunks(work: Callable[[int], float], n_chunks: int) -> list[float]:
    """Return ``[work(0), ..., work(n_chunks - 1)]``, on as many threads as are free."""
    results = [0.0] * n_chunks
    # Threads draw chunks from one iterator, so that a slow one does not hold up the others.
    waiting = iter(range(n_chunks))

    def draw() -> None:
        for chunk in waiting:
            results[chunk] = work(chunk)

    n_others = count_threads(n_chunks) - 1
    if n_others:
        _run_together([draw] * n_others, abort=partial(deque, waiting, 0), here=draw)
    else:
        draw()
    return results


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

    if n_threads > 1:
        _run_together([partial(walk, thread) for thread in range(n_threads)], barrier.abort)
    else:
        walk(0)


def run_threads(work: Callable[[int], None], n_threads: int, abort: Callable[[], Any]) -> None:
    """Call ``work(thread)`` on so many threads at once, which is what `count_threads` said.

    ``abort`` makes all end, if one fails or the calling thread is interrupted.
    """
    if n_threads == 1:
        work(0)
        return
    taken: list[int] = []

    def begin(thread: int) -> None:
        with _core_of_its_own(taken):
            work(thread)

    _run_together([partial(begin, thread) for thread in range(n_threads)], abort)


def count_threads(n_chunks: int) -> int:
    """Number of threads that compute so many chunks: one or more."""
    team = _my_team()
    return max(1, min(team.n_threads, n_chunks)) if team is not None else 1


class _Context(IOBase):
    """`contextlib.contextmanager` without a byte code of its own.

    A Python ``__exit__`` can be interrupted before its first line, and then gives nothing back.
    Here entering is the generator's ``__next__``, and leaving is IOBase's ``__exit__``, which
    calls ``close``, as does the death of an object whose ``__exit__`` was never reached. All are
    written in C, so that the ``finally`` of the generator is always entered.
    """

    __slots__ = ("__enter__",)

    def __init__(self, generator: Any) -> None:
        self.__enter__ = generator.__next__  # type: ignore[method-assign]
        self.close = generator.close  # type: ignore[method-assign]


def _hold_blas(n_threads: int | None, has_team: bool = True) -> Iterator[None]:
    if _my_team() is not None:
        yield
        return
    token, team, has_left = object(), None, False

    def leave() -> None:
        _limit.release(token)
        if team is not None:
            if _team.get() is team:
                _team.set(None)
            team.close()

    try:
        try:
            n_free = _limit.acquire(token)
            if has_team:
                team = _Team(min(n_free, n_threads or n_free))
                _team.set(team)
            yield
        finally:
            leave()
            has_left = True
    finally:
        if not has_left:
            leave()


@lru_cache(maxsize=1)
def _find_core() -> Callable[[], int] | None:
    """What tells on which core the calling thread runs, if it can be told and changed."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return getattr(ctypes.CDLL(None), "sched_getcpu", None)


@contextmanager
def _core_of_its_own(taken: list[int]) -> Iterator[None]:
    """Keep the calling thread, one of the team's, on a core that is not in the list yet.

    Threads that wait for one another by looking are awake all the time. Where one is woken by
    another, as by handing on the interpreter's lock, Linux may put it on the same core and leave
    it there for tens of milliseconds.
    """
    find_core = _find_core()
    if find_core is None:
        yield
        return
    core, allowed = find_core(), os.sched_getaffinity(0)
    if core in taken:
        free = sorted(allowed.difference(taken), key=lambda other: (other < core, other))
        core = free[0] if free else core
    taken.append(core)
    with suppress(OSError):
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, allowed)


def _claim(claims: dict[str, object], claimant: object) -> bool:
    """Whether the claimant has come first; asked again, the answer is the same."""
    return claims.setdefault("first", claimant) == claimant


@lru_cache(maxsize=1)
def _blas() -> list[Any]:
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _set_num_threads(library: Any, n_threads: int) -> None:
    # Not ThreadpoolController.limit, which takes longer than predicting a row.
    _let_any_thread_control(library)
    library.set_num_threads(n_threads)


def _let_any_thread_control(library: Any) -> None:
    """Since threadpoolctl 3.8 OpenBLAS obeys the first thread only that has set a limit."""
    clear = getattr(library, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


class _Limit:
    """BLAS at one thread for all who hold the limit: the first sets it, the last lifts it.

    They take turns. Who is interrupted in it goes on in `release`, with the same token.
    """

    def __init__(self) -> None:
        self._holders: set[object] = set()
        self._turn: dict[str, object] = {}
        self._original: list[tuple[Any, int]] = []
        self._n_threads, self._is_set = 1, False

    def acquire(self, token: object) -> int:
        """Hold BLAS to one thread; returns how many it had."""
        self._holders.add(token)
        self._take_turn(token)
        if not self._is_set:
            if not self._original:
                self._original = [(library, library.num_threads) for library in _blas()]
            self._n_threads = max((n_threads for _, n_threads in self._original), default=1)
            for library, _ in self._original:
                _set_num_threads(library, 1)
            self._is_set = True
        self._turn.clear()
        return self._n_threads

    def release(self, token: object) -> None:
        """Give back what `acquire` took; may be repeated.

        It never waits, because the garbage collector may call it at any place. Whoever has the
        turn looks afterwards whether the limit is to be lifted.
        """
        self._holders.discard(token)
        while _claim(self._turn, token):
            if not self._holders:
                self._lift()
            self._turn.clear()
            if self._holders or not self._original:
                break

    def _take_turn(self, token: object) -> None:
        while not _claim(self._turn, token):
            time.sleep(1e-5)

    def _lift(self) -> None:
        self._is_set = False
        for library, n_threads in self._original:
            _set_num_threads(library, n_threads)
            _let_any_thread_control(library)
        self._original = []

    def before_fork(self) -> None:
        """Let no other thread hold a lock of BLAS or threadpoolctl, which the child would keep."""
        self._take_turn(threading.get_ident())

    def after_in_parent(self) -> None:
        """Let the others go on."""
        self.release(threading.get_ident())

    def after_in_child(self) -> None:
        """Begin anew, without the holders: they are threads of the parent."""
        self._holders, self._turn = set(), {}
        self._lift()


_limit = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_limit.before_fork,
        after_in_parent=_limit.after_in_parent,
        after_in_child=_limit.after_in_child,
    )


class _Job:
    """Tasks for as many threads; ``abort`` makes the others end where one fails."""

    def __init__(self, tasks: Sequence[Callable[[], None]], abort: Callable[[], Any]) -> None:
        # A context has NumPy's treatment of overflow; it lets in one thread at a time.
        self._tasks = [cast(Any, partial)(copy_context().run, task) for task in tasks]
        self.abort = abort
        self.claims: dict[str, object] = {}
        self.has_ended = False
        self.ended: SimpleQueue[None] = SimpleQueue()
        self.errors: list[BaseException] = []

    def lead(self, executor: ThreadPoolExecutor) -> None:
        """Do the first task, and have the executor do the others."""
        if not _claim(self.claims, "leader"):
            return
        futures: list[Future] = []
        try:
            try:
                for task in self._tasks[1:]:
                    futures.append(executor.submit(task))
                    futures[-1].add_done_callback(self._abort_after)
                self._tasks[0]()
            finally:
                self.abort()
                wait(futures)
            self.errors += [error for future in futures if (error := future.exception())]
        except BaseException as error:
            self.errors.append(error)
        finally:
            self.has_ended = True
            self.ended.put(None)

    def _abort_after(self, future: Future) -> None:
        if future.exception() is not None:
            self.abort()


class _Team:
    """Threads of one `reproducible_threads`, started when there is work for more than one."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        # A forked child does not have the threads; another thread may inherit the context.
        self._owner = os.getpid(), threading.get_ident()
        self._is_open = True
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._claims: dict[str, object] = {}
        self._leader: threading.Thread | None = None

    def is_mine(self) -> bool:
        """Whether the calling thread may use it."""
        return self._is_open and self._owner == (os.getpid(), threading.get_ident())

    def begin(self, job: _Job) -> None:
        """Hand over a job."""
        self._jobs.put(job)
        if not self._claims:
            _thread.start_new_thread(self._start, ())

    def wait_for(self, job: _Job) -> None:
        """Return when the job has ended."""
        while not job.has_ended:
            try:
                job.ended.get(timeout=0.1)
            except Empty:
                if self._leader is not None and not self._leader.is_alive():
                    job.has_ended = True
                    raise RuntimeError("the thread that leads the others has died") from None

    def finish(self, job: _Job) -> None:
        """Wait for the job in spite of interrupts, or withdraw it if it has not begun."""
        interrupt: BaseException | None = None
        while not (_claim(job.claims, "nobody") or job.has_ended):
            try:
                self.wait_for(job)
            except BaseException as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def close(self) -> None:
        """End the threads; may be repeated."""
        self._is_open = False
        self._jobs.put(None)
        if self._owner[0] == os.getpid() and not _claim(self._claims, self):
            while self._leader is None:
                time.sleep(1e-4)
            if self._leader.is_alive():
                self._leader.join()

    def _start(self) -> None:
        if _claim(self._claims, object()):
            leader = threading.Thread(target=self._lead, daemon=True)
            try:
                leader.start()
            finally:
                self._leader = leader

    def _lead(self) -> None:
        with ThreadPoolExecutor(self.n_threads) as executor:
            for job in iter(self._jobs.get, None):
                job.lead(executor)


_team: ContextVar[_Team | None] = ContextVar("_team", default=None)


def _my_team() -> _Team | None:
    team = _team.get()
    return team if team is not None and team.is_mine() else None


def _run_together(
    tasks: Sequence[Callable[[], None]],
    abort: Callable[[], Any],
    here: Callable[[], None] | None = None,
) -> None:
    """Have the team do the tasks while the calling thread does ``here``; raise the first error."""
    team, job = _team.get(), _Job(tasks, abort)
    assert team is not None
    try:
        try:
            team.begin(job)
            team.wait_for(job) if here is None else here()
        except BaseException:
            _thread.start_new_thread(abort, ())
            raise
        finally:
            team.finish(job)
    finally:
        team.finish(job)
    if job.errors:
        raise job.errors.pop(0)
