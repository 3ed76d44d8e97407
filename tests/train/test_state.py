"""What training records: logs that are extended and branch, and states that are stored."""

import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from problems import make_problem

from skobd._train.settings import SolverSettings, Training
from skobd._train.solvers import SOLVERS
from skobd._train.state import N_KEPT, Log, TrainingState
from skobd._train.updates import UPDATES


def assert_is(log, values):
    assert len(log) == len(values)
    assert list(log) == values
    assert bool(log) == bool(values)


class TestLog:
    @given(
        st.lists(st.integers()),
        st.lists(st.tuples(st.integers(0, 10**6), st.lists(st.integers(), max_size=5))),
    )
    @settings(max_examples=200, deadline=None)
    def test_any_log_can_be_extended_at_any_time_and_none_ever_changes(self, first, extensions):
        logs, expected = [Log(first)], [first]
        for number, values in extensions:
            parent = number % len(logs)
            logs.append(logs[parent].extended(values))
            expected.append(expected[parent] + values)
        for log, values in zip(logs, expected, strict=True):
            assert_is(log, values)

    @given(st.lists(st.integers(), max_size=8), st.integers(-10, 10))
    def test_is_indexed_like_a_list(self, values, index):
        log = Log(values)
        log.extended([1, 2, 3])
        if -len(values) <= index < len(values):
            assert log[index] == values[index]
        else:
            with pytest.raises(IndexError):
                log[index]

    @pytest.mark.parametrize("n", [0, 1, N_KEPT - 1, N_KEPT, N_KEPT + 7])
    def test_recent_keeps_the_last_values_and_shares_nothing(self, n):
        log = Log(range(n))
        log.extended(["of another"])
        recent = log.recent()
        assert_is(recent, list(range(max(0, n - N_KEPT), n)))
        assert_is(recent.extended([-1]), [*recent, -1])
        assert_is(log.extended([-2]), [*range(n), -2])
        assert_is(recent.extended([-3]), [*recent, -3])

    def test_values_may_come_from_an_iterator_that_extends_a_log(self):
        log = Log([1, 2])
        assert_is(log.extended(log), [1, 2, 1, 2])
        assert_is(log.extended(n for n in log.extended([3])), [1, 2, 1, 2, 3])
        assert_is(log, [1, 2])

    def test_values_that_fail_to_come_leave_it_as_it_was(self):
        log = Log([1])
        with pytest.raises(ZeroDivisionError):
            log.extended(1 // n for n in (1, 0))
        assert_is(log, [1])
        assert_is(log.extended([2]), [1, 2])

    def test_a_chain_of_extensions_takes_memory_in_proportion_to_its_length(self):
        """Counted in bytes while every log of the chain is kept: copies would be n^2 / 2 values."""
        n = 3000
        tracemalloc.start()
        try:
            logs = [Log()]
            for number in range(n):
                logs.append(logs[-1].extended([number]))
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert_is(logs[n // 2], list(range(n // 2)))
        assert size < 500 * n < 8 * n**2 / 4

    def test_only_a_branch_copies(self):
        n = 10_000
        trunk = Log(range(n))
        branches = [trunk.extended(["latest"])]
        tracemalloc.start()
        try:
            branches += [trunk.extended([number]) for number in range(2)]
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert 2 * 8 * n <= size < 3 * 8 * n
        # Each of the branches is the latest of its own.
        for branch, last in zip(branches, ("latest", 0, 1), strict=True):
            assert_is(branch.extended([last]), [*range(n), last, last])


def trained(name, **settings):
    objective, _, theta = make_problem("multinomial_log_loss", 3, n=40)
    mask = np.ones(theta.size, dtype=bool)
    training = Training(
        SolverSettings(solver=name, max_iter=3, **settings), np.random.RandomState(0)
    )
    return SOLVERS[training.settings.solver](
        objective, theta, mask, TrainingState(), training
    ).state


def test_forgetting_the_best_keeps_the_record():
    state = TrainingState(n_no_improvement=4, n_samples_seen=5, optimizer=object())
    state = replace(state.extended([1.0], [(2.0, 3.0)]), best_loss=1.0, best_validation_score=3.0)
    fresh = state.forget_best()
    assert (fresh.best_loss, fresh.best_validation_score) == (np.inf, -np.inf)
    assert (fresh.n_no_improvement, fresh.optimizer) == (0, None)
    assert fresh.n_samples_seen == 5
    assert [list(curve) for curve in (fresh.loss_curve, fresh.validation_scores)] == [[1.0], [3.0]]
    assert (fresh.lowest_loss, fresh.highest_validation_score) == (1.0, 3.0)
    assert (state.best_loss, state.n_no_improvement) == (1.0, 4)
    assert state.optimizer is not None


@pytest.mark.slow
@given(st.lists(st.lists(st.tuples(*[st.floats(-9, 9) | st.just(np.nan)] * 2), max_size=5)))
def test_best_values_are_those_of_all_epochs(calls):
    state, losses, scores = TrainingState(), [], []
    for validation in calls:
        added = [abs(np.nan_to_num(loss)) for loss, _ in validation]
        state = state.recent().extended(added, validation)
        losses += added
        scores += [score for _, score in validation if not np.isnan(score)]
    assert state.lowest_loss == min(losses, default=np.inf)
    assert state.highest_validation_score == max(scores, default=-np.inf)
    assert_array_equal(list(state.validation_scores), [pair[1] for call in calls for pair in call])
    assert_is(state.loss_curve, losses)


def test_states_cannot_be_changed():
    with pytest.raises(AttributeError):
        TrainingState().best_loss = 0.0


@pytest.mark.parametrize("name", ["adam", "sgd", "lbfgs"])
def test_packing_loses_nothing(name):
    state = trained(name, learning_rate="adaptive")
    packed = pickle.loads(pickle.dumps(state.pack()))
    loaded = TrainingState.unpack(packed)
    for field, value in vars(state).items():
        if isinstance(value, Log):
            assert_is(getattr(loaded, field), list(value))
        elif field != "optimizer":
            assert getattr(loaded, field) == value
    assert type(loaded.optimizer) is type(state.optimizer)
    if name not in UPDATES:
        return
    assert loaded.optimizer.settings == state.optimizer.settings
    for field, value in vars(state.optimizer).items():
        if field != "settings":
            assert_array_equal(getattr(loaded.optimizer, field), value, strict=True)


def test_packed_states_are_plain_data():
    """So that others can store them without trusting any class of ours."""
    plain = (np.ndarray, float, int, str, bool, type(None))

    def check(value):
        if isinstance(value, dict):
            for item in value.values():
                check(item)
        else:
            assert isinstance(value, plain), value

    for name in ("adam", "sgd", "lbfgs"):
        check(trained(name).pack())
