"""The recipe: schedules, the generator's steps, histories."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from problems import make_problem
from skobd._pruning import (
    HISTORY_COLUMNS,
    VALIDATION_COLUMNS,
    Recipe,
    describe,
    history,
    join_histories,
    prune,
    survivor_schedule,
)
from skobd._solvers import SOLVERS, DivergenceError, Watch
from skobd._surgery import SurgerySettings

from skobd._train.updates import SolverSettings

CASE = ("multinomial_log_loss", 3, "tanh", 1, True, 0.3)


class TestSchedule:
    @given(
        n=st.integers(1, 10**6),
        fraction=st.floats(0, 1, exclude_max=True),
        n_rounds=st.integers(1, 20),
    )
    def test_falls_to_the_promised_number(self, n, fraction, n_rounds):
        schedule = survivor_schedule(n, n, fraction, n_rounds)
        n_final = round((1 - fraction) * n)
        if n_final == n:
            assert schedule == []
            return
        assert len(schedule) == n_rounds
        assert schedule[-1] == n_final
        assert (np.diff([n, *schedule]) <= 0).all()

    def test_falls_geometrically(self):
        assert survivor_schedule(1000, 1000, 0.5, 5) == [871, 758, 660, 574, 500]
        assert survivor_schedule(100, 100, 0.9, 1) == [10]

    def test_carries_on_from_what_is_left(self):
        assert survivor_schedule(1000, 500, 0.95, 2) == [round((500 * 50) ** 0.5), 50]
        assert survivor_schedule(1000, 500, 0.5, 3) == []
        assert survivor_schedule(1000, 500, 0.2, 3) == []

    def test_no_rounds_no_pruning(self):
        assert survivor_schedule(10, 10, 0.5, 0) == []


def run(survivors, *, solver="adam", watch=Watch(), train=True, tol=None, again=None, **surgery):
    objective, _, theta = make_problem(*CASE, n=40)
    recipe = Recipe(
        SolverSettings(solver=solver, max_iter=8, learning_rate_init=0.05, batch_size=10),
        SurgerySettings(**surgery),
        again,
        tol,
    )
    mask = np.ones(theta.size, dtype=bool)
    steps = prune(
        objective,
        theta,
        mask,
        survivors,
        recipe,
        np.random.RandomState(0),
        watch=watch,
        train=train,
    )
    return list(steps), objective, theta


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("criterion", ["obd", "magnitude", "random"])
def test_steps(solver, criterion):
    steps, objective, _ = run([18, 11, 6], solver=solver, criterion=criterion)
    n_total = int(objective.network.is_weight.sum())
    assert [step.round for step in steps] == [0, 1, 2, 3]
    assert [step.n_weights for step in steps] == [n_total, 18, 11, 6]
    for before, step in itertools.pairwise(steps):
        assert not (step.mask & ~before.mask).any()
        assert (step.mask & objective.network.is_weight).sum() == step.n_weights
        assert (step.theta[~step.mask] == 0).all()
        assert step.sparsity == 1 - step.n_weights / n_total
        assert step.loss_before == before.loss_after_retraining
        assert step.loss_after_retraining == objective.value(step.theta)
        if criterion != "random":
            assert step.loss_after_retraining < step.loss_after_deletion
        assert np.isfinite(step.predicted_increase) == (criterion == "obd")


def test_path_does_not_depend_on_what_comes_later():
    longer, shorter = run([18, 11, 6])[0], run([18, 11])[0]
    for step, same in zip(longer, shorter, strict=False):
        assert_array_equal(step.theta, same.theta)


def test_no_retraining_leaves_the_survivors():
    steps, objective, _ = run([18, 6], again=0)
    dense, *pruned = steps
    for step in pruned:
        assert step.n_iter == 0
        assert step.loss_after_retraining == step.loss_after_deletion
        same = step.mask & objective.network.is_weight
        assert_array_equal(step.theta[same], dense.theta[same])
    assert len(steps[-1].result.journal.loss_curve) == dense.n_iter


def test_retrain_max_iter_and_one_journal():
    steps, _, _ = run([18, 6], again=3)
    assert [step.n_iter for step in steps] == [8, 3, 3]
    assert len(steps[-1].result.journal.loss_curve) == 14


def test_without_training_the_dense_step_is_the_start():
    steps, objective, theta = run([10], train=False)
    assert_array_equal(steps[0].theta, theta)
    assert (steps[0].n_iter, steps[0].loss_after_retraining) == (0, objective.value(theta))


def test_predicted_increase_agrees_with_what_happens_for_small_deletions():
    """At the minimum of the objective the second-order term is the leading one."""
    objective, _, theta = make_problem("squared_error", 1, "tanh", 0, n=40)
    recipe = Recipe(SolverSettings(solver="lbfgs", tol=1e-10), SurgerySettings(), 0)
    mask = np.ones(theta.size, dtype=bool)
    _, step = prune(objective, theta, mask, [2], recipe, np.random.RandomState(0))
    rise = step.loss_after_deletion - step.loss_before
    assert step.predicted_increase == pytest.approx(rise, rel=1e-6)


class TestTolerance:
    def test_the_last_step_is_the_one_beyond(self):
        steps, _, _ = run([20, 15, 10, 5, 1], tol=1e-2, again=0)
        assert [step.within_tol for step in steps] == [True] * (len(steps) - 1) + [False]
        rises = [step.loss_after_retraining - steps[0].loss_after_retraining for step in steps]
        assert rises[-1] > 1e-2 >= max(rises[:-1])
        assert "prune_tol" in describe(steps[-1])

    def test_all_rounds_if_never_beyond(self):
        steps, _, _ = run([20, 15], tol=100)
        assert [step.within_tol for step in steps] == [True] * 3

    def test_validation_score_counts_where_there_is_one(self):
        scores = iter([0.9] * 9 + [0.85] * 9 + [0.7] * 9)
        watch = Watch(lambda theta: (1.0, next(scores)))
        steps, _, _ = run([20, 15, 10], tol=0.1, watch=watch)
        assert [step.within_tol for step in steps] == [True, True, False]
        assert [step.validation_score for step in steps] == [0.9, 0.85, 0.7]


def test_no_round_after_a_stop():
    calls = iter([False] * 10 + [True] * 10)
    steps, _, _ = run([18, 11, 6], watch=Watch(None, lambda theta: next(calls)))
    assert [step.round for step in steps] == [0, 1]
    assert steps[-1].ended_early


def test_divergence_is_an_error():
    objective, _, theta = make_problem("poisson", 1, "identity", 1)
    recipe = Recipe(SolverSettings(solver="sgd", learning_rate_init=1e9), SurgerySettings())
    mask = np.ones(theta.size, dtype=bool)
    with pytest.raises(DivergenceError, match="learning_rate_init"):
        list(prune(objective, theta, mask, [5], recipe, np.random.RandomState(0)))


def test_history_has_equal_columns():
    steps, _, _ = run([18, 11])
    columns = history(steps[1:])
    assert tuple(columns) == HISTORY_COLUMNS
    assert {len(column) for column in columns.values()} == {2}
    assert_array_equal(columns["n_weights"], [18, 11])
    steps, _, _ = run([18], watch=Watch(lambda theta: (1.0, 0.5)))
    assert tuple(history(steps)) == HISTORY_COLUMNS + VALIDATION_COLUMNS
    assert set(history([])) == set(HISTORY_COLUMNS)


def test_joined_histories_number_on():
    plain, validated = run([18, 11])[0], run([10], watch=Watch(lambda theta: (1.0, 0.5)))[0]
    joined = join_histories(history(plain[1:]), history(validated[1:]))
    assert_array_equal(joined["round"], [1, 2, 3])
    assert_array_equal(joined["validation_score"], [np.nan, np.nan, 0.5])
    assert join_histories(history([]), joined) is joined
    assert join_histories(joined, history([])) is joined


def test_description_is_one_line_with_the_figures():
    steps, _, _ = run([18], watch=Watch(lambda theta: (1.0, 0.625)))
    dense, pruned = map(describe, steps)
    assert "\n" not in dense + pruned
    assert dense.startswith("round  0: 24 weights left (0.0% deleted)")
    assert pruned.startswith("round  1: 18 weights left (25.0% deleted)")
    for number in (steps[1].loss_before, steps[1].loss_after_deletion):
        assert f"{number:.5f}" in pruned
    assert "validation score 0.6250" in pruned
