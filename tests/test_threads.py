"""Threads that divide chunks and phases, and never change a result."""

import contextlib
import contextvars
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.datasets import make_classification
from threadpoolctl import ThreadpoolController, threadpool_limits
from waiting import wait_until

from skobd import OBDMLPClassifier
from skobd._chunks import count_chunks, row_blocks, split_evenly
from skobd._threads import count_threads, reproducible_threads, run_chunks, run_phases

pytestmark = pytest.mark.slow

BLAS = ThreadpoolController().select(user_api="blas").lib_controllers


def blas_threads():
    return [library.num_threads for library in BLAS]


def in_thread(function):
    """What a function returns in a thread of its own."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result(60)


@pytest.fixture(params=[1, 2, 4])
def n_threads(request):
    """So many threads of BLAS, whatever the machine has."""
    with threadpool_limits(request.param, user_api="blas"):
        yield request.param


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Every test leaves the limits and the threads as they were."""
    limits, threads = blas_threads(), threading.enumerate()
    yield
    assert blas_threads() == limits
    # The workers of joblib's pool end a little later than it.
    assert wait_until(lambda: threading.enumerate() == threads)


class TestNumbers:
    """Chunks by shapes alone."""

    @pytest.mark.parametrize(
        ("n_rows", "multiply_adds", "expected"),
        [(1000, 0, 1), (1000, 99, 1), (1000, 250, 2), (1000, 1e9, 8), (30, 1e9, 3), (0, 0, 1)],
    )
    def test_count_chunks(self, n_rows, multiply_adds, expected):
        assert count_chunks(n_rows, multiply_adds, worth=100, min_rows=10, most=8) == expected

    @pytest.mark.parametrize("n", [0, 1, 7, 100])
    @pytest.mark.parametrize("n_chunks", [1, 3, 8])
    def test_split_evenly(self, n, n_chunks):
        chunks = split_evenly(n, n_chunks)
        assert len(chunks) == n_chunks
        np.testing.assert_array_equal(np.concatenate([np.arange(n)[c] for c in chunks]), range(n))
        sizes = [chunk.stop - chunk.start for chunk in chunks]
        assert max(sizes) - min(sizes) <= 1

    def test_row_blocks(self):
        assert row_blocks(slice(3, 10), 3) == [slice(3, 6), slice(6, 9), slice(9, 10)]
        assert row_blocks(slice(3, 6), 3) == [slice(3, 6)]
        assert row_blocks(slice(3, 3), 3) == []


class TestChunks:
    """Chunks that may run concurrently."""

    @pytest.mark.parametrize("n_chunks", [0, 1, 2, 20])
    def test_results_come_in_order(self, n_threads, n_chunks):
        expected = [index**2 for index in range(n_chunks)]
        with reproducible_threads():
            for _ in range(5):
                assert run_chunks(lambda index: index**2, range(n_chunks)) == expected
        assert run_chunks(lambda index: index**2, range(n_chunks)) == expected

    def test_as_many_threads_as_blas_has(self, n_threads):
        together = threading.Barrier(n_threads, timeout=30)
        seen = set()

        def work(index):
            together.wait()
            seen.add(threading.get_ident())
            return 0.0

        with reproducible_threads():
            assert count_threads(8) == n_threads
            run_chunks(work, range(n_threads))
        assert len(seen) == n_threads

    def test_limit_of_threads_is_a_limit(self):
        with threadpool_limits(4, user_api="blas"):
            for limit in (1, 3, 9):
                with reproducible_threads(limit):
                    assert count_threads(8) == min(limit, 4)
                    assert count_threads(2) == min(limit, 2)
                    # The outer limit holds.
                    with reproducible_threads():
                        assert count_threads(8) == min(limit, 4)
        assert count_threads(8) == 1

    @pytest.mark.parametrize("where", range(8))
    @pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt, SystemExit])
    def test_errors_come_back(self, n_threads, where, error):
        def work(index):
            if index == where:
                raise error("chunk")
            return 0.0

        with reproducible_threads():
            for _ in range(3):
                with pytest.raises(error, match="chunk"):
                    run_chunks(work, range(8))
                assert run_chunks(lambda index: 1.0, range(3)) == [1.0] * 3

    def test_the_context_is_that_of_the_caller(self, n_threads):
        variable = contextvars.ContextVar("variable", default=0)

        def overflow(*args):
            np.array([1e300]) * 1e300
            return float(variable.get())

        def run_on_chunks(work, n):
            return run_chunks(work, range(n))

        variable.set(3)
        with reproducible_threads():
            for run in (run_on_chunks, lambda work, n: run_phases((work,), 2, n)):
                with np.errstate(over="ignore"):
                    assert run(overflow, 8) in ([3.0] * 8, None)
                with np.errstate(over="raise"), pytest.raises(FloatingPointError):
                    run(overflow, 8)

    def test_threads_are_started_when_there_is_work(self):
        before = threading.enumerate()
        with threadpool_limits(4, user_api="blas"):
            with reproducible_threads():
                assert run_chunks(lambda index: 1.0, range(1)) == [1.0]
                assert threading.enumerate() == before
                run_phases((lambda step, index: None,), 1, 3)
                assert len(threading.enumerate()) <= len(before) + 3
            with reproducible_threads(1):
                run_phases((lambda step, index: None,), 1, 3)
                assert threading.enumerate() == before

    def test_no_other_thread_has_ours(self):
        with threadpool_limits(4, user_api="blas"), reproducible_threads():
            run_chunks(lambda index: 1.0, range(3))
            context = contextvars.copy_context()
            assert in_thread(lambda: context.run(count_threads, 8)) == 1
            assert run_chunks(lambda index: float(count_threads(8)), range(8))[1:].count(4.0) <= 8


class TestPhases:
    """Steps of phases with a barrier after each."""

    def test_a_phase_sees_all_of_the_one_before(self, n_threads):
        n_chunks, n_steps = 5, 200
        table = np.zeros((2, n_chunks), dtype=int)
        seen = []

        def first(step, chunk):
            # Others have ended the step before, none has begun the second phase of this.
            assert (table[1] == step).all()
            table[0, chunk] = step + 1

        def second(step, chunk):
            assert (table[0] == step + 1).all()
            table[1, chunk] = step + 1
            seen.append((step, chunk))

        with reproducible_threads():
            run_phases((first, second), n_steps, n_chunks)
        assert sorted(seen) == [(s, k) for s in range(n_steps) for k in range(n_chunks)]

    @pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
    @pytest.mark.parametrize("where", range(5))
    def test_one_that_fails_does_not_hang_the_others(self, n_threads, where, error):
        def phase(step, chunk):
            if (step, chunk) == (3, where):
                raise error("step 3")

        with reproducible_threads():
            for _ in range(3):
                with pytest.raises(error, match="step 3"):
                    run_phases((phase, phase), 10, 5)
            done = []
            run_phases((lambda step, chunk: done.append(step),), 2, 5)
            assert sorted(done) == [0] * 5 + [1] * 5
            assert run_chunks(lambda index: 1.0, range(3)) == [1.0] * 3

    def test_nothing_to_do(self, n_threads):
        with reproducible_threads():
            run_phases((), 3, 3)
            run_phases((lambda step, chunk: 1 / 0,), 0, 3)
            run_phases((lambda step, chunk: 1 / 0,), 3, 0)


class TestLimits:
    """One BLAS limit, whichever threads ask for it."""

    @pytest.mark.parametrize("n_threads", [None, 1])
    def test_nested_use(self, n_threads):
        before = blas_threads()
        with reproducible_threads(n_threads):
            assert set(blas_threads()) == {1}
            for n_inner in (None, 1):
                with reproducible_threads(n_inner):
                    assert run_chunks(lambda index: 1.0, range(3)) == [1.0] * 3
                assert set(blas_threads()) == {1}
        assert blas_threads() == before

    def test_another_thread_is_obeyed(self):
        def limited():
            with reproducible_threads():
                return blas_threads()

        before = blas_threads()
        for where in (limited, lambda: in_thread(limited)):
            assert set(where()) == {1}
            assert blas_threads() == before
        with threadpool_limits(1):
            pass
        assert set(in_thread(limited)) == {1}
        assert blas_threads() == before

    def test_the_last_to_leave_lifts_it(self):
        before = blas_threads()
        entered, leave = threading.Event(), threading.Event()

        def stay():
            with reproducible_threads():
                entered.set()
                leave.wait(30)

        with reproducible_threads():
            thread = threading.Thread(target=stay)
            thread.start()
            assert entered.wait(30)
        assert set(blas_threads()) == {1}
        leave.set()
        thread.join()
        assert blas_threads() == before

    def test_threads_that_come_and_go(self):
        # BLAS has one thread whenever somebody is inside.
        def come_and_go(n_threads):
            for _ in range(100):
                with reproducible_threads(n_threads):
                    if set(blas_threads()) != {1} or run_chunks(float, range(3)) != [0.0, 1.0, 2.0]:
                        return False
            return True

        before = blas_threads()
        with ThreadPoolExecutor(6) as executor:
            assert all(executor.map(come_and_go, [None, 1] * 3))
        assert blas_threads() == before

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_fits_in_threads_are_the_same(self):
        X, y = make_classification(600, 300, n_informative=20, random_state=0)

        def fit():
            model = OBDMLPClassifier((200, 90), batch_size=300, max_iter=2, random_state=0)
            return model.fit(X, y).coefs_[0]

        expected = fit()
        np.testing.assert_array_equal(in_thread(fit), expected)
        with threadpool_limits(1, user_api="blas"):
            np.testing.assert_array_equal(fit(), expected)
        both = Parallel(2, backend="threading")(delayed(fit)() for _ in range(3))
        for found in both:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
class TestFork:
    """A forked child has limits and threads of its own."""

    @staticmethod
    def in_child(function):
        """Whether a function is true in a forked child, which must not hang."""
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(0 if function() else 1)
            finally:
                os._exit(2)
        for _ in range(300):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status) == 0
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return False

    def test_of_a_thread_inside(self):
        with threadpool_limits(3, user_api="blas"):
            before = blas_threads()

            def works():
                free = blas_threads() == before and count_threads(8) == 1
                with reproducible_threads():
                    held = set(blas_threads()) == {1} and count_threads(8) == 3
                    ran = run_chunks(float, range(3)) == [0.0, 1.0, 2.0]
                    run_phases((lambda step, chunk: None,), 3, 3)
                return free and held and ran and blas_threads() == before

            with reproducible_threads():
                run_chunks(float, range(3))
                assert self.in_child(works)
                assert set(blas_threads()) == {1}
                assert run_chunks(float, range(3)) == [0.0, 1.0, 2.0]

    def test_which_leaves_the_block_itself(self):
        def leaves():
            with reproducible_threads():
                run_chunks(float, range(3))
                pid = os.fork()
            # Both have left it.
            if pid == 0:
                os._exit(0 if blas_threads() == before else 1)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

        before = blas_threads()
        assert self.in_child(leaves)

    def test_beside_threads_inside(self):
        stop = threading.Event()

        def come_and_go():
            while not stop.is_set():
                with reproducible_threads():
                    run_chunks(float, range(3))

        before = blas_threads()
        with ThreadPoolExecutor(2) as executor:
            for _ in range(2):
                executor.submit(come_and_go)
            try:
                for _ in range(20):
                    assert self.in_child(lambda: blas_threads() == before)
            finally:
                stop.set()


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt, SystemExit])
def test_errors_give_blas_its_threads_back(error, n_threads):
    before, threads = blas_threads(), threading.enumerate()

    def fail():
        with reproducible_threads():
            run_chunks(float, range(3))
            raise error

    with pytest.raises(error):
        fail()
    assert blas_threads() == before
    assert threading.enumerate() == threads


class TestInterrupts:
    """An interrupt leaves no thread at work, and BLAS gets its threads back."""

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.filterwarnings("ignore:Training interrupted")
    @pytest.mark.usefixtures("lost_interrupts")
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_during_training(self, solver, monkeypatch):
        """At moments spread over fits that two threads share: the next fit is as ever."""
        monkeypatch.setenv("SKOBD_ENGINE", "numpy")
        X, y = make_classification(1000, 300, n_informative=20, random_state=0)
        model = OBDMLPClassifier((200, 90), solver=solver, batch_size=300, random_state=0)
        model.set_params(max_iter=2, prune_fraction=0)
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            with threadpool_limits(2, user_api="blas"):
                limits, threads = blas_threads(), threading.enumerate()
                start = time.perf_counter()
                expected = model.fit(X, y).coefs_[0]
                seconds = time.perf_counter() - start
                for part in np.linspace(0.02, 0.98, 20):
                    signal.setitimer(signal.ITIMER_REAL, part * seconds)
                    with contextlib.suppress(KeyboardInterrupt):
                        model.fit(X, y)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    assert blas_threads() == limits
                    assert wait_until(lambda: threading.enumerate() == threads)
                np.testing.assert_array_equal(model.fit(X, y).coefs_[0], expected)
        finally:
            signal.signal(signal.SIGALRM, before)

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
    @pytest.mark.parametrize("kind", ["chunks", "phases"])
    def test_no_thread_is_left_at_work(self, kind):
        running = []

        def slow(*args):
            running.append(args)
            time.sleep(0.4)
            running.remove(args)
            return 1.0

        def run():
            run_chunks(slow, range(3)) if kind == "chunks" else run_phases((slow,), 1, 3)

        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            with threadpool_limits(3, user_api="blas"), reproducible_threads():
                run_chunks(float, range(3))
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                try:
                    with pytest.raises(KeyboardInterrupt):
                        run()
                    assert not running
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                for _ in range(3):
                    assert run_chunks(lambda chunk: 1.0, range(4)) == [1.0] * 4
        finally:
            signal.signal(signal.SIGALRM, before)
