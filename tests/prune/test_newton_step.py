"""Deletion with a gradient: against dense constrained minimisation of the quadratic model."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import LOSS_CASES, at, make_problem, make_wide_problem
from test_obs import alive_in, random_blocks

from skobd import OBDMLPClassifier
from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._prune.criteria import CRITERIA
from skobd._prune.deletion import delete_lowest, with_newton_step
from skobd._prune.granularity import GRANULARITIES
from skobd._prune.obs import corrected
from skobd._train.objective import Objective

SURGEONS = [name for name, criterion in CRITERIA.items() if criterion.blocks]


@pytest.mark.parametrize("sizes", [[6], [5, 9, 7, 1]], ids=str)
def test_correction_minimises_the_model_with_its_linear_term(sizes):
    rng = np.random.default_rng(len(sizes))
    blocks, dense = random_blocks(sizes, rng)
    n = len(dense)
    alive = alive_in(blocks, n)
    theta, gradient = rng.normal(size=n), rng.normal(size=n)
    for deleted in (alive & (rng.random(n) < 0.5), np.zeros(n, dtype=bool)):
        # The Lagrange conditions: the model is stationary along the survivors.
        stay = alive & ~deleted
        change = np.where(deleted, -theta, 0)
        right = -(gradient + dense @ change)[stay]
        change[stay] = np.linalg.solve(dense[np.ix_(stay, stay)], right)
        new, increase = corrected(blocks, theta, deleted, gradient)
        assert_allclose(new, theta + change, rtol=1e-8, atol=1e-10)
        model = gradient @ change + 0.5 * change @ dense @ change
        assert increase == pytest.approx(model, rel=1e-8)
    plain, without = corrected(blocks, theta, alive), corrected(blocks, theta, alive, 0 * gradient)
    assert_array_equal(plain[0], without[0])
    assert plain[1] == without[1]


@pytest.fixture
def quadratic():
    """A linear network with squared loss, away from its optimum."""
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6)) + 1, rng.normal(size=(40, 2))
    network, weight = Network((6, 2)), rng.uniform(0.2, 2, size=40)
    objective = Objective(network, LOSSES["squared_error"], X, Y, weight, 0.7)
    return objective, rng.normal(size=network.n_parameters)


def minimum(objective, mask):
    """Minimum over the survivors, by the derivative at 0 and differences of it."""
    zero = np.zeros(mask.size)
    start = objective.value_and_gradient(zero)[1].copy()
    hessian = [objective.value_and_gradient(row)[1] - start for row in np.eye(mask.size)]
    zero[mask] = np.linalg.solve(np.array(hessian)[np.ix_(mask, mask)], -start[mask])
    return zero


@pytest.mark.parametrize("criterion", SURGEONS)
@pytest.mark.parametrize("granularity", ["weight", "feature"])
def test_deletion_and_step_end_in_the_minimum_of_a_quadratic_objective(
    quadratic, criterion, granularity, monkeypatch
):
    """From anywhere, in one deletion, and as predicted; damping apart."""
    monkeypatch.setattr("skobd._prune.deletion._STEP_FLOOR", 1e-9)
    undamped = CRITERIA[criterion]
    blocks = undamped.blocks
    monkeypatch.setitem(
        CRITERIA,
        criterion,
        undamped._replace(
            blocks=lambda problem: replace(blocks(problem), damping=1e-9),
            rank=lambda problem, n: undamped.rank(problem, n)._replace(
                blocks=replace(blocks(problem), damping=1e-9)
            ),
        ),
    )
    objective, theta = quadratic
    problem = at(objective, theta, criterion=criterion, granularity=granularity)
    new, mask, predicted = GRANULARITIES[granularity].delete(problem, 3)
    assert_allclose(new, minimum(objective, mask), rtol=1e-4, atol=1e-5)
    assert predicted == pytest.approx(objective.value(new) - objective.value(theta), abs=1e-6)


@pytest.mark.parametrize("criterion", SURGEONS)
def test_there_is_no_step_from_the_minimum(quadratic, criterion):
    objective, theta = quadratic
    theta = minimum(objective, np.ones(theta.size, dtype=bool))
    problem = at(objective, theta, criterion=criterion)
    new, mask, predicted = delete_lowest(problem, 4)
    old, increase = corrected(CRITERIA[criterion].blocks(problem), theta, ~mask)
    # The damping of the correction leaves the least of gradients.
    assert_allclose(new, old, rtol=1e-2, atol=1e-3)
    assert predicted == pytest.approx(increase, rel=1e-3)


@pytest.mark.parametrize("criterion", SURGEONS)
@pytest.mark.parametrize("case", LOSS_CASES, ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_objective_is_never_worse_for_the_step(criterion, case, activation):
    for alpha in (0.0, 0.3):
        objective, _, theta = make_problem(*case, activation, depth=2, alpha=alpha, n=12)
        theta = 2 * theta
        problem = at(objective, theta, criterion=criterion)
        taken = delete_lowest(problem, 8)
        blocks = CRITERIA[criterion].blocks(problem)
        start, _ = corrected(blocks, theta, ~taken.mask)
        for _ in range(3):
            again = with_newton_step(problem, blocks, taken._replace(theta=start))
            assert objective.value(again.theta) <= objective.value(start)
            assert_array_equal(again.theta[~taken.mask], 0)
            start = again.theta


def test_prediction_is_of_the_length_of_the_step():
    """Between units, which blocks are blind to, a full step goes too far."""
    objective, theta = make_wide_problem(2)
    problem = at(objective, theta, criterion="unit_obs")
    blocks = CRITERIA["unit_obs"].blocks(problem)
    deletion = delete_lowest(at(objective, theta), 5)._replace(predicted_increase=0.0)
    found = with_newton_step(problem, blocks, deletion)
    change = found.theta - deletion.theta
    assert np.abs(change).max() > 0
    gradient = objective.value_and_gradient(deletion.theta)[1]
    quadratic = 0.0
    for i, batch in enumerate(blocks.batches):
        for line, block in zip(batch, blocks.blocks(i), strict=True):
            part = change[line[line >= 0]]
            quadratic += 0.5 * part @ block.times(part)
    assert found.predicted_increase == pytest.approx(gradient @ change + quadratic, rel=1e-6)
    full, _ = corrected(blocks, deletion.theta, ~deletion.mask, gradient)
    # What this test is about: the step was cut.
    assert np.abs(change).max() < 0.8 * np.abs(full - deletion.theta).max()


def test_a_unit_that_no_row_of_the_hessian_reaches_stays_where_it_is():
    rng = np.random.default_rng(0)
    network = Network((4, 3, 2), "relu")
    theta = rng.normal(size=network.n_parameters)
    network.layers(theta)[0][-1, 0] = -1e3
    objective = Objective(
        network, LOSSES["squared_error"], rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    )
    problem = at(objective, theta, criterion="unit_obs")
    gradient = np.full(theta.size, 1e-6)
    new, increase = corrected(
        CRITERIA["unit_obs"].blocks(problem), theta, np.zeros(theta.size, dtype=bool), gradient
    )
    assert_array_equal(network.layers(new)[0][:, 0], network.layers(theta)[0][:, 0])
    assert np.abs(new - theta).max() < 1
    assert np.isfinite(increase)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("criterion", SURGEONS)
def test_rounds_without_retraining_go_on_descending(criterion):
    """Each round estimates curvature and gradient anew, so more rounds end lower."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 10))
    y = (X[:, :3] ** 2).sum(axis=1) > 2.5
    params = {"criterion": criterion, "retrain_max_iter": 0, "alpha": 0.01, "random_state": 0}
    losses = []
    for n_rounds in (1, 8):
        model = OBDMLPClassifier((8,), prune_fraction=0, max_iter=60, **params).fit(X, y)
        model.prune(X, y, prune_fraction=0.6, n_rounds=n_rounds)
        assert model.n_weights_ == 35
        losses.append(model.pruning_history_["loss_after_deletion"][-1])
    assert losses[1] < losses[0]
