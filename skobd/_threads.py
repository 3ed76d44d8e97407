"""Threads that never change a bit of the result.

BLAS splits a product over its threads, and the last bits of the result depend on how many
there are: a fit in a worker process of joblib (one BLAS thread) would differ from the same fit
in the main process. Here BLAS is held to one thread, the rows are divided into *chunks* whose
number depends on the shapes alone, and the chunks are computed by as many threads as BLAS would
have used. The sums over chunks are taken in chunk order, so the number of threads cannot matter.
"""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import lru_cache, partial
from typing import Any

from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def _set_num_threads(library: Any, n_threads: int) -> None:
    _let_any_thread_control(library)
    library.set_num_threads(n_threads)


def _let_any_thread_control(library: Any) -> None:
    """Since threadpoolctl 3.8 OpenBLAS obeys the first thread only that has set a limit."""
    clear = getattr(library, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


class _SharedLimit:
    """One BLAS limit for all concurrent fits: the first sets it, the last one lifts it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._n_threads = 1

    def acquire(self) -> int:
        with self._lock:
            if self._users == 0:
                # Directly, because ThreadpoolController.limit takes longer than predicting a row.
                libraries = _blas().lib_controllers
                self._original = [(library, library.num_threads) for library in libraries]
                self._n_threads = max((n for _, n in self._original), default=1)
                for library in libraries:
                    _set_num_threads(library, 1)
            self._users += 1
            return self._n_threads

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for library, n_threads in self._original:
                    _set_num_threads(library, n_threads)
                    _let_any_thread_control(library)


_shared_limit = _SharedLimit()


class _Helper(threading.Thread):
    """A thread that does one task after the other, woken by a bare lock.

    An executor's future cannot be awaited safely: an interrupt can come between any two steps of
    the calling thread. Here what counts is which task was finished last, and a lock that is open
    too early only makes a loop go round once more.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._go, self._done = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._done.acquire()
        self._task: Callable[[], None] | None = None
        self._finished: Callable[[], None] | None = None
        self._error: BaseException | None = None

    def begin(self, task: Callable[[], None] | None) -> None:
        """Start the task in the background; None ends the thread."""
        self._task = task
        _open(self._go)

    def finish(self, task: Callable[[], None]) -> BaseException | None:
        """Wait for the task, in spite of interrupts; returns what it raised, or an interrupt."""
        interrupt: BaseException | None = None
        while True:
            try:
                while self._finished is not task:
                    self._done.acquire()
                break
            except KeyboardInterrupt as error:
                interrupt = error
        return interrupt or self._error

    def run(self) -> None:
        while True:
            self._go.acquire()
            task = self._task
            if task is None:
                return
            self._error = None
            try:
                task()
            except BaseException as error:
                self._error = error
            self._finished = task
            _open(self._done)


def _open(lock: threading.Lock) -> None:
    if lock.locked():
        lock.release()


_team: ContextVar[list[_Helper] | None] = ContextVar("_team", default=None)


@contextmanager
def reproducible_threads(n_threads: int | None = None) -> Iterator[None]:
    """Hold BLAS to one thread and let `run_chunks` use the threads that BLAS gave up.

    ``n_threads`` limits them further, for fits that share the cores with others.
    """
    if _team.get() is not None:
        yield
        return
    # The calling thread works too, hence one helper fewer than threads.
    n_free = _shared_limit.acquire()
    team = [_Helper() for _ in range(min(n_free, n_threads or n_free) - 1)]
    token = _team.set(team)
    try:
        for helper in team:
            helper.start()
        yield
    finally:
        try:
            _team.reset(token)
            for helper in team:
                helper.begin(None)
        finally:
            _shared_limit.release()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold BLAS to one thread without starting any: for work too small to be shared."""
    _shared_limit.acquire()
    try:
        yield
    finally:
        _shared_limit.release()


def _in_this_context(task: Callable[[], None]) -> Callable[[], None]:
    """The task with NumPy's treatment of overflow as it is here, and no team of its own."""
    context = copy_context()
    context.run(_team.set, None)
    return partial(context.run, task)


def free_threads(n_chunks: int) -> int:
    """Threads for so many chunks, the calling one included, which is there even for none."""
    return max(1, min(len(_team.get() or []) + 1, n_chunks))


def _run_together(
    tasks: Sequence[Callable[[], None]], abort: Callable[[], None] = lambda: None
) -> None:
    """Run the first task here and the others on the team; raise the first error of any.

    ``abort`` is called where this thread fails, so that the others do not wait for it.
    """
    busy: list[tuple[_Helper, Callable[[], None]]] = []
    try:
        for helper, task in zip(_team.get() or [], tasks[1:], strict=False):
            task = _in_this_context(task)
            helper.begin(task)
            busy.append((helper, task))
        tasks[0]()
    except BaseException:
        abort()
        raise
    finally:
        # Whatever interrupts this thread, no other is left at work.
        errors = [helper.finish(task) for helper, task in busy]
    for error in errors:
        if error is not None:
            raise error


def split_evenly(n: int, n_chunks: int) -> list[slice]:
    """Cut ``range(n)`` into ``n_chunks`` slices, as evenly as can be."""
    edges = [n * chunk // n_chunks for chunk in range(n_chunks + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def count_chunks(
    n_rows: int, multiply_adds: float, *, worth: float, min_rows: int, most: int
) -> int:
    """Number of chunks, from the shapes alone: never from the number of threads.

    max(1, min(int(multiply_adds / worth), n_rows // min_rows, most)), where ``worth`` is how many
    multiply-adds are worth waking a thread for.
    """
    return max(1, min(int(multiply_adds / worth), n_rows // min_rows, most))


def row_blocks(rows: slice, size: int) -> list[slice]:
    """Cut ``rows`` into blocks of ``size`` rows; the last one may be smaller."""
    starts = range(rows.start, rows.stop, size)
    return [slice(start, min(start + size, rows.stop)) for start in starts]


def run_chunks(chunk: Callable[[int], float], n_chunks: int) -> list[float]:
    """Return ``[chunk(0), ..., chunk(n_chunks - 1)]``, on as many threads as are free."""
    results = [0.0] * n_chunks
    # Threads draw chunks from one iterator, so that a slow one does not hold up the others.
    waiting = iter(range(n_chunks))

    def work() -> None:
        for index in waiting:
            results[index] = chunk(index)

    _run_together([work] * free_threads(n_chunks))
    return results


class _Barrier:
    """threading.Barrier of bare locks, which costs each thread one lock instead of four."""

    def __init__(self, n_threads: int) -> None:
        self._lock, self._n_waiting, self._is_broken = threading.Lock(), 0, False
        self._gates = [threading.Lock() for _ in range(n_threads)]
        for gate in self._gates:
            gate.acquire()

    def wait(self, thread: int) -> None:
        """Return when all threads have come here, or raise if one has failed."""
        with self._lock:
            self._n_waiting += 1
            if self._n_waiting == len(self._gates):
                self._n_waiting = 0
                self._open()
        self._gates[thread].acquire()
        if self._is_broken:
            raise threading.BrokenBarrierError

    def abort(self) -> None:
        """Let no thread wait in vain for one that has failed."""
        with self._lock:
            self._is_broken = True
            self._open()

    def _open(self) -> None:
        for gate in self._gates:
            _open(gate)


def run_phases(phases: Sequence[Callable[[int, int], None]], n_steps: int, n_chunks: int) -> None:
    """Call ``phase(step, chunk)`` for every step, phase and chunk, in this nested order.

    The chunks of a phase may run concurrently; a phase begins when all chunks of the one before
    are done. Threads are woken once for all steps, and wait for one another after each phase.
    """
    n_threads = free_threads(n_chunks)
    barrier = _Barrier(n_threads)

    def work(thread: int) -> None:
        chunks = range(thread, n_chunks, n_threads)
        try:
            for step in range(n_steps):
                for phase in phases:
                    for chunk in chunks:
                        phase(step, chunk)
                    if n_threads > 1:
                        barrier.wait(thread)
        except threading.BrokenBarrierError:
            # Another thread has failed, and tells why.
            pass
        except BaseException:
            barrier.abort()
            raise

    _run_together([partial(work, thread) for thread in range(n_threads)], barrier.abort)
