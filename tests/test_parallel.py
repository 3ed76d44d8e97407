"""Threads that share out lanes and phases, and never change a result."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from skobd._parallel import _Barrier, _Helper, _team, reproducible_threads, run_lanes, run_phases


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
