"""The Kronecker-factored criterion against dense Hessians and plain elimination."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import LOSS_CASES, at, make_problem, make_wide_problem

from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._prune import kronecker
from skobd._prune.criteria import CRITERIA, check_block_size
from skobd._prune.granularity import GRANULARITIES, present_inputs, present_units
from skobd._prune.kronecker import (
    MAX_ROWS,
    kronecker_group_order,
    kronecker_layers,
    kronecker_saliencies,
)
from skobd._train.objective import Objective


def dense(layer):
    """H = A (x) S of a layer, without its intercepts; positions as in its weights, ravelled."""
    return np.kron(np.linalg.inv(layer.A_inv), layer.S)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", LOSS_CASES, ids=str)
def test_of_one_layer_with_one_row_it_is_the_hessian(case, weighted, monkeypatch):
    """Without hidden units, and of a single row, nothing is neglected but the damping."""
    monkeypatch.setattr(kronecker, "_FACTOR_DAMPING", 1e-9)
    objective, _, theta = make_problem(*case, depth=0, weighted=weighted, n=1)
    (layer,) = kronecker_layers(at(objective, theta))
    x, p = objective.X[0], objective.network.raw_output(theta, objective.X)
    objective.loss.inverse_link(p)
    output = sum(np.outer(f[0], f[0]) for f in objective.loss.factors(p))
    assert_allclose(layer.S, output, rtol=1e-6, atol=1e-12)
    # Given the intercept, which makes up for everything, inputs are free.
    assert np.abs(np.linalg.inv(layer.A_inv)).max() < 1e-6 * max(1, (x * x).max())


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("case", LOSS_CASES, ids=str)
def test_second_derivatives_are_means_of_gauss_newton(case, activation):
    objective, _, theta = make_problem(*case, activation, depth=2, weighted=True)
    network, eps = objective.network, 1e-6
    share = objective.sample_weight / objective.sample_weight.sum()
    expected = [np.zeros((n, n)) for n in network.layer_sizes[1:]]
    for x, s in zip(objective.X, share, strict=True):
        row = x[np.newaxis]
        raw = network.raw_output(theta, row)
        p = raw.copy()
        objective.loss.inverse_link(p)
        output = sum(np.outer(f[0], f[0]) for f in objective.loss.factors(p))
        for index, total in enumerate(expected):
            jacobian = []
            for unit in range(len(total)):
                moved = theta.copy()
                network.layers(moved)[index][-1, unit] += eps
                jacobian.append((network.raw_output(moved, row) - raw)[0] / eps)
            jacobian = np.array(jacobian)
            total += s * jacobian @ output @ jacobian.T
    for layer, outer in zip(kronecker_layers(at(objective, theta)), expected, strict=True):
        assert_allclose(layer.S, outer, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("depth", [1, 2])
def test_saliencies_are_those_of_the_dense_hessian(depth, monkeypatch):
    monkeypatch.setattr(kronecker, "_FACTOR_DAMPING", 1e-6)
    objective, theta = make_wide_problem(depth)
    problem = at(objective, theta)
    found = objective.network.layers(kronecker_saliencies(problem))
    # The output Hessian of a softmax is singular: hidden layers only.
    for layer, values in list(zip(kronecker_layers(problem), found, strict=True))[:-1]:
        damped = layer._replace(
            S=layer.S + 1e-6 * np.trace(layer.S) / len(layer.S) * np.eye(len(layer.S))
        )
        inverse = np.linalg.inv(dense(damped))
        expected = layer.weights.ravel() ** 2 / (2 * np.diag(inverse))
        assert_allclose(values[:-1].ravel(), expected, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("depth", [1, 2])
def test_order_is_that_of_eliminating_from_the_dense_hessian(depth, size):
    objective, theta = make_wide_problem(depth)
    problem, network = at(objective, theta), objective.network
    group_of = np.arange(8) // size
    groups = present_inputs(network, problem.mask, group_of)
    order = kronecker_group_order(problem, [group.outgoing for group in groups], len(groups))
    layer = kronecker_layers(problem)[0]
    u, hessian = layer.weights.ravel(), dense(layer)
    left, expected = list(range(len(groups))), []
    positions = np.arange(u.size).reshape(layer.weights.shape)
    present = np.ones(u.size, dtype=bool)
    while left:
        costs = []
        inverse = np.linalg.inv(hessian[np.ix_(present, present)])
        for number in left:
            gone = positions[group_of == number].ravel()
            inside = np.searchsorted(np.flatnonzero(present), gone)
            block = inverse[np.ix_(inside, inside)]
            costs.append((0.5 * u[gone] @ np.linalg.solve(block, u[gone]), gone, inside))
        best = int(np.argmin([cost for cost, _, _ in costs]))
        _, gone, inside = costs[best]
        expected.append(left.pop(best))
        block = inverse[np.ix_(inside, inside)]
        u = u.copy()
        u[present] -= inverse[:, inside] @ np.linalg.solve(block, u[gone])
        present[gone] = False
        u[~present] = 0
    assert_array_equal(order, expected)


def test_the_penalty_is_the_one_that_is_minimised():
    """Stochastic solvers give every minibatch all of it."""
    objective, theta = make_wide_problem()
    found = [
        kronecker_layers(at(objective.replaced(alpha=alpha, penalised_fraction=fraction), theta))
        for alpha, fraction in ((3.0, 0.25), (12.0, 1.0), (3.0, 1.0))
    ]
    for by_batch, by_all, weaker in zip(*found, strict=True):
        assert_allclose(by_batch.A_inv, by_all.A_inv)
        assert not np.allclose(by_batch.A_inv, weaker.A_inv, rtol=1e-3)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_what_is_gone_is_as_if_it_had_never_been_there(is_sparse):
    objective, theta = make_wide_problem(2)
    network, mask = objective.network, np.ones(theta.size, dtype=bool)
    network.layers(mask)[0][[1, 4, 5]] = False
    theta = np.where(mask, theta, 0)
    if is_sparse:
        objective = objective.replaced(X=sp.csr_array(objective.X))
    kept = [0, 2, 3, 6, 7]
    smaller = Network((len(kept), *network.layer_sizes[1:]), "tanh")
    small = objective.replaced(network=smaller, X=objective.X[:, kept])
    small_theta = np.concatenate([theta[: 9 * 6].reshape(9, 6)[[*kept, 8]].ravel(), theta[54:]])
    found = network.layers(kronecker_saliencies(at(objective, theta, mask)))
    expected = smaller.layers(kronecker_saliencies(at(small, small_theta)))
    assert_allclose(found[0][[*kept, 8]], expected[0])
    assert not found[0][[1, 4, 5]].any()
    for a, b in zip(found[1:], expected[1:], strict=True):
        assert_allclose(a, b)
    # Where a whole layer is gone, there is nothing to rank.
    nothing = np.zeros(theta.size, dtype=bool)
    assert not kronecker_saliencies(at(objective, 0 * theta, nothing)).any()


def test_units_of_several_layers_are_ranked_together():
    objective, theta = make_wide_problem(2)
    problem = at(objective, theta)
    groups = present_units(objective.network, problem.mask)
    sets = [group.outgoing for group in groups]
    order = kronecker_group_order(problem, sets, len(sets))
    assert_array_equal(np.sort(order), np.arange(len(sets)))
    # What is not asked for comes by rising saliency, after what is.
    assert_array_equal(kronecker_group_order(problem, sets, 3)[:3], order[:3])
    assert_array_equal(np.sort(kronecker_group_order(problem, sets, 3)), np.arange(len(sets)))


def copied_problem(rng, dtype=np.float64):
    """The second input is nearly a copy of the first, the third says something else, weakly."""
    network = Network((3, 4, 1), "tanh")
    X = rng.normal(size=(300, 3))
    X[:, 1] = X[:, 0] + 0.05 * rng.normal(size=300)
    theta = rng.normal(size=network.n_parameters)
    first = network.layers(theta)[0]
    first[1] = 0.9 * first[0]
    first[2] = 0.4 * first[0]
    Y = np.zeros((300, 1))
    loss = LOSSES["squared_error"]
    return Objective(network, loss, X.astype(dtype), Y.astype(dtype)), theta.astype(dtype)


def test_of_two_copies_only_one_is_dispensable():
    objective, theta = copied_problem(np.random.default_rng(0))
    settings = {"granularity": "feature"}
    delete = GRANULARITIES["feature"].delete
    left = {}
    for criterion, n in itertools.product(("kfac", "obd"), (1, 2)):
        deletion = delete(at(objective, theta, criterion=criterion, **settings), n)
        alive = objective.network.layers(deletion.mask)[0][:-1].any(axis=1)
        left[criterion, n] = np.flatnonzero(alive).tolist()
        assert np.isnan(deletion.predicted_increase) == (criterion == "kfac")
    # Of its own the diagonal takes the weakest, and then the weaker copy.
    assert left["obd", 1] == [0, 1]
    assert left["kfac", 1] in ([0, 2], [1, 2])
    assert left["kfac", 2] in ([0], [1])


def test_a_deleted_input_cannot_make_up_for_its_copy():
    objective, theta = copied_problem(np.random.default_rng(0))
    mask = np.ones(theta.size, dtype=bool)
    objective.network.layers(mask)[0][0] = False
    objective.network.layers(theta)[0][0] = 0
    problem = at(objective, theta, mask, criterion="kfac", granularity="feature")
    deletion = GRANULARITIES["feature"].delete(problem, 1)
    alive = objective.network.layers(deletion.mask)[0][:-1].any(axis=1)
    assert_array_equal(alive, [False, True, False])


def test_a_constant_input_goes_first():
    """Whatever its weights are, the intercepts can take it over."""
    objective, theta = copied_problem(np.random.default_rng(1), np.float32)
    X = np.array(objective.X)
    X[:, 0] = 3.0
    objective = Objective(objective.network, objective.loss, X, objective.Y, alpha=1e-3)
    problem = at(objective, theta, criterion="kfac", granularity="feature")
    deletion = GRANULARITIES["feature"].delete(problem, 1)
    alive = objective.network.layers(deletion.mask)[0][:-1].any(axis=1)
    assert_array_equal(alive, [False, True, True])


def test_sparse_rows_are_the_same_and_many_are_sampled():
    rng = np.random.default_rng(0)
    network = Network((4, 3, 2), "relu")
    theta = rng.normal(size=network.n_parameters)
    X = rng.normal(size=(MAX_ROWS + 50, 4)) * (rng.uniform(size=(MAX_ROWS + 50, 4)) < 0.5)
    Y = np.eye(2)[rng.integers(2, size=len(X))]
    found = [
        kronecker_saliencies(at(Objective(network, LOSSES["multinomial_log_loss"], data, Y), theta))
        for data in (X, sp.csr_array(X), X[:MAX_ROWS])
    ]
    assert_allclose(found[0], found[1], rtol=1e-9)
    assert_allclose(found[0], found[2], rtol=0.2, atol=1e-3)


@pytest.mark.parametrize("scale", [1e200, 1e-200, 0.0])
def test_extreme_inputs(scale):
    objective, theta = make_wide_problem()
    X = np.asarray(objective.X) * scale
    problem = at(Objective(objective.network, objective.loss, X, objective.Y), theta)
    if scale > 1:
        with pytest.raises(ValueError, match="are not finite"):
            CRITERIA["kfac"].saliencies(problem)
    else:
        assert np.isfinite(CRITERIA["kfac"].saliencies(problem)).all()


def test_size_is_that_of_the_inputs_that_are_left():
    network = Network((5000, 3, 2))
    mask = np.ones(network.n_parameters, dtype=bool)
    with pytest.raises(ValueError, match=r"inputs of a layer.* has 5001 of them.*'obd'"):
        check_block_size("kfac", network, mask)
    first = network.layers(mask)[0]
    # Each unit has a third of them: little for a unit, and all for the layer.
    first[:-1] = np.arange(5000)[:, np.newaxis] % 3 == np.arange(3)
    check_block_size("unit_obs", network, mask)
    with pytest.raises(ValueError, match="has 5001 of them"):
        check_block_size("kfac", network, mask)
    first[:3000] = False
    check_block_size("kfac", network, mask)
