"""The recipe: the steps of the generator, and where it ends."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import make_problem

from skobd._net.pruned import PrunedNetwork
from skobd._prune.deletion_problem import DeletionSettings
from skobd._prune.recipe import Recipe, prune
from skobd._train.settings import Monitor, SolverSettings, Training
from skobd._train.solvers import SOLVERS, DivergenceError
from skobd._train.state import TrainingState

CASE = ("multinomial_log_loss", 3, "tanh", 1, True, 0.3)


def pruned(objective, theta, survivors, recipe, settings, monitor=Monitor(), train=True):
    """The steps of the recipe, from the dense network at ``theta``."""
    start = PrunedNetwork.dense(objective.network, theta)
    training = Training(settings, np.random.RandomState(0), monitor)
    recipe = replace(recipe, trains_first=train)
    return list(prune(objective, start, TrainingState(), survivors, recipe, training))


def run(
    survivors,
    *,
    solver="adam",
    monitor=Monitor(),
    train=True,
    tol=None,
    again=None,
    n_regrow=0,
    **deletion,
):
    objective, _, theta = make_problem(*CASE, n=40)
    settings = SolverSettings(solver=solver, max_iter=8, learning_rate_init=0.05, batch_size=10)
    recipe = Recipe(DeletionSettings(**deletion), again, n_regrow=n_regrow, prune_tol=tol)
    steps = pruned(objective, theta, survivors, recipe, settings, monitor, train)
    return steps, objective, theta


def numbers(steps, name):
    return [getattr(step.round, name) for step in steps]


def test_random_deletion_does_not_depend_on_training():
    """Training draws as many numbers as it has epochs, deletion has numbers of its own."""
    objective, _, theta = make_problem(*CASE, n=40)
    recipe = Recipe(DeletionSettings(criterion="random"))
    masks = []
    for max_iter in (2, 5):
        settings = SolverSettings(max_iter=max_iter, batch_size=10)
        masks.append([s.pruned.mask for s in pruned(objective, theta, [18, 6], recipe, settings)])
    assert_array_equal(*masks)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("criterion", ["obd", "magnitude", "random"])
def test_steps(solver, criterion):
    steps, objective, _ = run([18, 11, 6], solver=solver, criterion=criterion)
    n_total = int(objective.network.is_weight.sum())
    assert numbers(steps, "round") == [0, 1, 2, 3]
    assert numbers(steps, "n_weights") == [n_total, 18, 11, 6]
    for before, step in itertools.pairwise(steps):
        mask, record = step.pruned.mask, step.round
        assert not (mask & ~before.pruned.mask).any()
        assert (mask & objective.network.is_weight).sum() == record.n_weights
        assert (step.pruned.theta[~mask] == 0).all()
        assert record.sparsity == 1 - record.n_weights / n_total
        assert record.loss_before == before.round.loss_after_retraining
        assert record.loss_after_retraining == pytest.approx(objective.value(step.pruned.theta))
        if criterion != "random":
            assert record.loss_after_retraining < record.loss_after_deletion
        assert np.isfinite(record.predicted_increase) == (criterion == "obd")


def test_path_does_not_depend_on_what_comes_later():
    longer, shorter = run([18, 11, 6])[0], run([18, 11])[0]
    for step, same in zip(longer, shorter, strict=False):
        assert_array_equal(step.pruned.theta, same.pruned.theta)


def test_no_retraining_leaves_the_survivors():
    steps, objective, _ = run([18, 6], again=0)
    dense, *later = steps
    for step in later:
        assert step.round.n_iter == 0
        assert step.round.loss_after_retraining == step.round.loss_after_deletion
        same = step.pruned.mask & objective.network.is_weight
        assert_array_equal(step.pruned.theta[same], dense.pruned.theta[same])
    assert len(steps[-1].state.loss_curve) == dense.round.n_iter


def test_retrain_max_iter_and_one_record():
    steps, _, _ = run([18, 6], again=3)
    assert numbers(steps, "n_iter") == [8, 3, 3]
    assert [len(step.state.loss_curve) for step in steps] == [8, 11, 14]


def test_without_training_the_dense_step_is_the_start():
    steps, objective, theta = run([10], train=False)
    assert_array_equal(steps[0].pruned.theta, theta)
    assert steps[0].round.n_iter == 0
    assert steps[0].round.loss_after_retraining == objective.value(theta)


def test_predicted_increase_agrees_with_what_happens_for_small_deletions():
    """At the minimum of the objective the second-order term is the leading one."""
    objective, _, theta = make_problem("squared_error", 1, "tanh", 0, n=40)
    settings = SolverSettings(solver="lbfgs", tol=1e-10)
    _, step = pruned(objective, theta, [2], Recipe(DeletionSettings(), 0), settings)
    increase = step.round.loss_after_deletion - step.round.loss_before
    assert step.round.predicted_increase == pytest.approx(increase, rel=1e-6)


def last_loss(step):
    return step.round.loss_after_retraining


class TestTolerance:
    LEVELS = (20, 15, 10, 5, 1)

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_goes_back_to_the_last_round_within_as_if_it_had_been_the_last(self, solver):
        all_steps, _, _ = run(self.LEVELS, tol=0.05, again=4, n_regrow=2, solver=solver)
        within = numbers(all_steps, "within_tol")
        assert numbers(all_steps, "round")[:6] == list(range(6))
        last = max(number for number in range(6) if within[number])
        assert 0 < last < 5
        assert numbers(all_steps, "round")[6:] == [last]
        shorter, _, _ = run(self.LEVELS[:last], again=4, n_regrow=2, solver=solver)
        assert_array_equal(all_steps[-1].pruned.theta, shorter[-1].pruned.theta)
        assert all_steps[-1].round.cycles == shorter[-1].round.cycles
        assert all_steps[-1].state.n_samples_seen == shorter[-1].state.n_samples_seen

    def test_all_rounds_if_never_beyond(self):
        steps, _, _ = run([20, 15], tol=100, n_regrow=1)
        assert numbers(steps, "within_tol") == [True] * 3
        assert len(steps[-1].round.cycles) == 1

    def test_a_round_beyond_does_not_end_it(self):
        scores = iter([0.9] * 9 + [0.7] * 9 + [0.9] * 9 + [0.7] * 9)
        monitor = Monitor(lambda theta: (1.0, next(scores)))
        steps, _, _ = run([20, 15, 10], tol=0.5, monitor=monitor)
        assert numbers(steps, "within_tol") == [True, False, True, False]
        assert "0.7000, at least 0.8500 asked for: worse than" in steps[1].round.describe()

    def test_regrowth_that_is_beyond_is_not_kept(self):
        # After each of 8 epochs and at the end; then after 2 of retraining, and 2 of regrowth.
        scores = iter([0.9] * (9 + 3) + [0.5] * 3)
        monitor = Monitor(lambda theta: (1.0, next(scores)))
        steps, _, _ = run([20], tol=0.0, again=2, n_regrow=1, monitor=monitor)
        assert numbers(steps, "cycles") == [(), ()]
        assert numbers(steps, "within_tol") == [True, True]

    def test_deleting_what_is_zero_is_within_a_tolerance_of_nothing(self):
        objective, _, theta = make_problem(*CASE, n=40)
        theta[1] = 0
        n_weights = int(objective.network.is_weight.sum())
        recipe = Recipe(DeletionSettings(), retrain_max_iter=0, prune_tol=0.0)
        steps = pruned(objective, theta, [n_weights - 1], recipe, SolverSettings(), train=False)
        assert_array_equal(steps[1].pruned.theta, theta)
        assert last_loss(steps[1]) == last_loss(steps[0])
        assert numbers(steps, "within_tol") == [True, True]


def test_no_round_after_a_stop():
    calls = iter([False] * 10 + [True] * 10)
    steps, _, _ = run([18, 11, 6], monitor=Monitor(None, lambda theta: next(calls)))
    assert numbers(steps, "round") == [0, 1]
    assert steps[-1].round.ended_early


def test_divergence_is_an_error():
    objective, _, theta = make_problem("poisson", 1, "identity", 1)
    settings = SolverSettings(solver="sgd", learning_rate_init=1e9)
    with pytest.raises(DivergenceError, match="learning_rate_init"):
        pruned(objective, theta, [5], Recipe(DeletionSettings()), settings)


@pytest.mark.parametrize("granularity", ["weight", "unit", "feature"])
def test_a_round_that_deletes_nothing_changes_nothing(granularity):
    n = {"weight": 24, "unit": 4, "feature": 3}[granularity]
    steps, _, _ = run([n, n], granularity=granularity)
    assert numbers(steps, "n_left") == [n, n, n]
    assert numbers(steps, "n_iter") == [8, 0, 0]
    for step in steps[1:]:
        assert_array_equal(step.pruned.theta, steps[0].pruned.theta)
        assert last_loss(step) == last_loss(steps[0])
        assert step.round.message == steps[0].round.message


def test_rounds_are_announced_with_their_networks():
    seen = []
    monitor = Monitor(on_round=lambda theta, mask, n: seen.append((theta, mask)))
    steps, _, theta = run([18, 11], monitor=monitor)
    assert len(seen) == 3
    assert_array_equal(seen[0][0], theta)
    for (announced, mask), step in zip(seen, steps, strict=True):
        assert_array_equal(mask, step.pruned.mask)
        assert_array_equal(announced[~mask], 0)


def test_description_is_one_line_with_the_figures():
    steps, _, _ = run([18], monitor=Monitor(lambda theta: (1.0, 0.625)))
    dense, later = (step.round.describe() for step in steps)
    assert "\n" not in dense + later
    assert dense.startswith("round  0: 24 weights left (0.0% deleted)")
    assert later.startswith("round  1: 18 weights left (25.0% deleted)")
    for number in (steps[1].round.loss_before, steps[1].round.loss_after_deletion):
        assert f"{number:.5f}" in later
    assert "validation score 0.6250" in later
    # The penalty changes, and the loss with it.
    assert "loss with alpha" in dense
    assert "loss with retrain_alpha" in later
