"""Threads that share out lanes and phases, and never change a result."""

import signal
import threading
import time

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.datasets import make_classification
from skobd._parallel import _Barrier, _Helper, _team, reproducible_threads, run_lanes, run_phases
from threadpoolctl import threadpool_info, threadpool_limits

from skobd import OBDMLPClassifier


def blas_threads():
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


@pytest.fixture(params=[0, 1, 3])
def n_helpers(request):
    """Threads beside the calling one, whatever the machine has."""
    helpers = [_Helper() for _ in range(request.param)]
    token = _team.set(helpers)
    for helper in helpers:
        helper.start()
    yield request.param
    _team.reset(token)
    for helper in helpers:
        helper.begin(None)


class TestLanes:
    """Threads that share out lanes."""

    def test_every_lane_runs_once_in_order_of_results(self):
        with reproducible_threads():
            assert run_lanes(lambda index: index**2, 20) == [index**2 for index in range(20)]

    def test_no_lanes(self, n_helpers):
        assert run_lanes(lambda index: 1.0, 0) == []

    def test_errors_come_back(self):
        def lane(index):
            if index == 3:
                raise ArithmeticError("lane 3")
            return 0.0

        with reproducible_threads():
            with pytest.raises(ArithmeticError, match="lane 3"):
                run_lanes(lane, 8)
            assert run_lanes(lambda index: 1.0, 2) == [1.0, 1.0]

    def test_nested_use_and_limits_lifted(self):
        before = blas_threads()
        with reproducible_threads():
            assert set(blas_threads()) == {1}
            with reproducible_threads():
                assert run_lanes(lambda index: 1.0, 3) == [1.0] * 3
            assert set(blas_threads()) == {1}
        assert blas_threads() == before


def in_thread(function):
    """What a function returns in a thread of its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


class TestLimits:
    """One BLAS limit, whichever threads ask for it."""

    def limited(self):
        with reproducible_threads():
            return blas_threads()

    def test_another_thread_is_obeyed(self):
        before = blas_threads()
        for where in (self.limited, lambda: in_thread(self.limited)):
            assert set(where()) == {1}
            assert blas_threads() == before
        with threadpool_limits(1):
            pass
        assert set(in_thread(self.limited)) == {1}
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

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_fits_in_threads_are_the_same(self):
        X, y = make_classification(600, 300, n_informative=20, random_state=0)

        def fit():
            model = OBDMLPClassifier((200, 90), batch_size=300, max_iter=2, random_state=0)
            return model.fit(X, y).coefs_[0]

        expected = fit()
        np.testing.assert_array_equal(in_thread(fit), expected)
        both = Parallel(2, backend="threading")(delayed(fit)() for _ in range(3))
        for found in both:
            np.testing.assert_array_equal(found, expected)


class TestInterrupts:
    """A signal that comes while the calling thread waits for the others."""

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
    @pytest.mark.parametrize(
        "run",
        [
            lambda lane: run_lanes(lane, 2),
            lambda lane: run_phases((lambda step, index: lane(index),), 1, 2),
        ],
        ids=["lanes", "phases"],
    )
    def test_no_thread_is_left_at_work(self, run):
        helper = _Helper()
        helper.start()
        token = _team.set([helper])
        done = []

        def slow(lane):
            # The calling thread is done long before the other one.
            time.sleep(0.01 if threading.current_thread() is threading.main_thread() else 0.4)
            done.append(lane)
            return 1.0

        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                run(slow)
            assert sorted(done) == [0, 1]
            for _ in range(3):
                assert run_lanes(lambda lane: 1.0, 4) == [1.0] * 4
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            _team.reset(token)
            helper.begin(None)
        helper.join(30)
        assert not helper.is_alive()


class TestPhases:
    """Steps of phases with a barrier after each."""

    def test_a_phase_sees_all_of_the_one_before(self, n_helpers):
        n_lanes, n_steps = 5, 200
        table = np.zeros((2, n_lanes), dtype=int)
        seen = []

        def first(step, lane):
            # Other lanes have ended the step before, none has begun the second phase of this.
            assert (table[1] == step).all()
            table[0, lane] = step + 1

        def second(step, lane):
            assert (table[0] == step + 1).all()
            table[1, lane] = step + 1
            seen.append((step, lane))

        run_phases((first, second), n_steps, n_lanes)
        assert sorted(seen) == [(s, k) for s in range(n_steps) for k in range(n_lanes)]

    @pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
    @pytest.mark.parametrize("where", range(5))
    def test_errors_come_back_and_leave_the_threads_usable(self, n_helpers, where, error):
        def phase(step, lane):
            if (step, lane) == (3, where):
                raise error("step 3")

        for _ in range(3):
            with pytest.raises(error, match="step 3"):
                run_phases((phase, phase), 10, 5)
        done = []
        run_phases((lambda step, lane: done.append(step),), 2, 5)
        assert sorted(done) == [0] * 5 + [1] * 5
        assert run_lanes(lambda index: 1.0, 3) == [1.0] * 3

    def test_overflow_is_treated_as_by_the_caller(self, n_helpers):
        def phase(step, lane):
            np.array([1e300]) * 1e300

        with np.errstate(over="ignore"):
            run_phases((phase,), 2, 4)
        with np.errstate(over="raise"), pytest.raises(FloatingPointError):
            run_phases((phase,), 2, 4)

    def test_a_barrier_holds_until_all_are_there(self):
        barrier, passed = _Barrier(2), threading.Event()

        def other():
            barrier.wait(1)
            passed.set()

        thread = threading.Thread(target=other)
        thread.start()
        assert not passed.wait(0.05)
        barrier.wait(0)
        assert passed.wait(10)
        thread.join()
        barrier.abort()
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait(0)
