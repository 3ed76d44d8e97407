"""Regrowth: what deleted parameters promise, which can act, and exchanges that keep the count."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import make_problem

from skobd._net.network import Network
from skobd._net.pruned import PrunedNetwork
from skobd._prune.deletion_problem import DeletionProblem, DeletionSettings
from skobd._prune.recipe import Recipe, prune
from skobd._prune.regrowth import predicted_decreases, revivable, revive
from skobd._train.settings import SolverSettings, Training
from skobd._train.state import TrainingState


def half_deleted(depth=1, **params):
    """A problem of which half of the weights are deleted, and its oracle."""
    objective, oracle, theta = make_problem("squared_error", 2, depth=depth, n=30, **params)
    mask = np.random.default_rng(1).random(theta.size) < 0.5
    mask |= ~objective.network.is_weight
    theta = np.where(mask, theta, 0)
    settings = DeletionSettings()
    return DeletionProblem(objective, theta, mask, settings, np.random.RandomState(0)), oracle


def test_decrease_is_that_of_a_quadratic_objective():
    """Without hidden units squared error is quadratic: the best value of one weight is exact."""
    problem, oracle = half_deleted(depth=0, weighted=True, alpha=0.3)
    decreases = predicted_decreases(problem)
    hessian = oracle.hessian_diagonal(problem.theta)
    for k in np.flatnonzero(~problem.mask):
        gradient = oracle.derivative(problem.theta, k)
        best = problem.theta.copy()
        best[k] = -gradient / hessian[k]
        decrease = oracle.value(problem.theta) - oracle.value(best)
        # The damping makes the promise a little smaller.
        assert decreases[k] == pytest.approx(decrease, rel=2e-2)
    assert (decreases[problem.mask] == 0).all()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_cannot_act_is_not_revived(depth):
    """A candidate revived alone changes the output; any other deleted parameter does not."""
    problem, _ = half_deleted(depth, activation="tanh")
    network, mask = problem.network, problem.mask.copy()
    # A unit without inputs and one without outputs.
    layers = network.layers(mask)
    layers[0][:-1, 0] = False
    layers[1][1] = False
    theta = np.where(mask, problem.theta, 0)
    candidates = revivable(network, mask)
    assert not candidates[mask].any()
    X = problem.objective.X
    before = network.raw_output(theta, X)
    for k in np.flatnonzero(candidates):
        revived = theta.copy()
        revived[k] = 0.7
        assert not np.array_equal(network.raw_output(revived, X), before)
    out_of_constant = network.layers(np.arange(mask.size))[1][0]
    assert not candidates[out_of_constant].any()


def test_the_most_promising_come_back():
    problem, _ = half_deleted(2)
    decreases = predicted_decreases(problem)
    mask, promised = revive(problem, 3)
    new = mask & ~problem.mask
    assert new.sum() == 3
    assert (mask | ~problem.mask).all()
    assert decreases[new].min() >= np.sort(decreases)[-3]
    assert promised == pytest.approx(decreases[new].sum())


def run(n_regrow, survivors, solver="lbfgs", divides_cycles=False, **settings):
    """All steps of a recipe on a small problem."""
    objective, _, theta = make_problem("squared_error", 2, depth=2, n=40)
    training = Training(
        SolverSettings(
            solver=solver, max_iter=40, tol=1e-9, batch_size=10, learning_rate_init=0.01
        ),
        np.random.RandomState(0),
    )
    recipe = Recipe(
        DeletionSettings(**settings),
        retrain_max_iter=20,
        n_regrow=n_regrow,
        divides_cycles=divides_cycles,
    )
    start = PrunedNetwork.dense(objective.network, theta)
    return list(prune(objective, start, TrainingState(), survivors, recipe, training))


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("criterion", ["obd", "unit_obs", "magnitude"])
def test_counts_are_exact_and_the_best_network_is_kept(criterion, solver):
    n = int(Network((3, 4, 3, 2)).is_weight.sum())
    survivors = [n // 2, n // 3]
    plain = run(0, survivors, solver, criterion=criterion)
    steps = run(4, survivors, solver, criterion=criterion)
    for step, n_left in zip(steps[1:], survivors, strict=True):
        assert step.pruned.mask[step.pruned.network.is_weight].sum() == n_left
        assert (step.pruned.theta[~step.pruned.mask] == 0).all()
    assert steps[1].round.cycles == ()  # only the last round is refined
    cycles = steps[-1].round.cycles
    assert 1 <= len(cycles) <= 4
    losses = [plain[-1].round.loss_after_retraining, *(c.loss_after_retraining for c in cycles)]
    assert steps[-1].round.loss_after_retraining == min(losses)
    assert [c.is_best for c in cycles] == [
        loss < min(losses[: i + 1]) for i, loss in enumerate(losses[1:])
    ]
    exchanged = [c.n_exchanged for c in cycles]
    assert exchanged == sorted(exchanged, reverse=True)


@pytest.mark.slow
def test_on_a_path_the_levels_divide_the_cycles():
    n = int(Network((3, 4, 3, 2)).is_weight.sum())
    steps = run(4, [n // 2, n // 8], divides_cycles=True)
    assert [len(step.round.cycles) for step in steps] == [0, 1, 3]


def test_exchanges_shrink_in_proportion_to_the_cycles_left():
    """From 30 % of the 20 weights; fewer than 6 can come back in the first cycle."""
    cycles = run(4, [20])[-1].round.cycles
    assert [cycle.n_exchanged for cycle in cycles[1:]] == [4, 3, 2]  # 4.5 (to even), 3, 1.5


def test_retraining_by_adam_follows_a_cosine():
    """The last epochs of each retraining hardly move: the rate has come down."""
    recipe = Recipe(DeletionSettings(), retrain_max_iter=7)
    rng = np.random.RandomState(0)
    training = recipe.retraining(
        Training(SolverSettings(solver="adam", beta_2=0.999), rng), 1000, 200
    )
    settings = training.settings
    assert settings.learning_rate == "cosine"
    assert settings.learning_rate_init == 0.03
    assert settings.max_iter == 7
    assert settings.beta_2 == 0.95
    assert not training.has_users_rate
    short = recipe.retraining(Training(SolverSettings(solver="adam", beta_2=0.9), rng), 1000, 200)
    assert short.settings.beta_2 == 0.9
    sgd = recipe.retraining(
        Training(SolverSettings(solver="sgd", learning_rate_init=0.2), rng), 1000, 200
    )
    assert sgd.settings.learning_rate == "cosine"
    assert sgd.settings.learning_rate_init == 0.2
    assert sgd.has_users_rate
    lbfgs = recipe.retraining(Training(SolverSettings(solver="lbfgs"), rng), 10**6, 10)
    assert lbfgs == Training(SolverSettings(solver="lbfgs", max_iter=7), rng)
    plain = Recipe(DeletionSettings())
    assert plain.retraining(training, 10**6, 10) == training


@pytest.mark.parametrize(
    ("n_samples", "n_passes", "expected"),
    [
        (100, 1, 15),  # fewer minibatches than that are a whole pass
        (5000, 10, 15),
        (20_000, 200, 100),  # as long as dense training: whole passes
        (20_000, 700, 100),
        (20_000, 50, 15),
        (1_000_000, 50, 625),
        (1_000_000, 0, 15),
    ],
)
def test_what_was_learned_in_few_passes_is_retrained_in_few_steps(n_samples, n_passes, expected):
    training = Training(SolverSettings(solver="adam"), np.random.RandomState(0))
    recipe = Recipe(DeletionSettings(), retrain_max_iter=7)
    settings = recipe.retraining(training, n_samples, n_passes).settings
    assert settings.steps_per_epoch == expected
    assert settings.max_iter == 7


def test_deterministic():
    n = int(Network((3, 4, 3, 2)).is_weight.sum())
    first, second = (run(3, [n // 3], "adam")[-1] for _ in range(2))
    assert_array_equal(first.pruned.theta, second.pruned.theta)
    assert_allclose(first.round.loss_after_retraining, second.round.loss_after_retraining, rtol=0)
