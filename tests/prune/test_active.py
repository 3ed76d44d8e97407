"""The active network: the same objective without what is dead."""

import numpy as np
import pytest
from models import plain
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skobd import OBDMLPClassifier
from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._net.pruned import PrunedNetwork
from skobd._prune.active import ActiveObjective
from skobd._prune.deletion_problem import DeletionSettings
from skobd._train.objective import Objective
from skobd._train.settings import Monitor


def dead_problem(activation="logistic", seed=0):
    """An objective and a mask with dead inputs and hidden units."""
    rng = np.random.default_rng(seed)
    network = Network((6, 5, 4, 3), activation)
    X, Y = rng.normal(size=(40, 6)), np.eye(3)[rng.integers(3, size=40)]
    objective = Objective(network, LOSSES["multinomial_log_loss"], X, Y, None, alpha=0.5)
    theta = rng.normal(size=network.n_parameters)
    mask = np.ones(theta.size, dtype=bool)
    first, second, third = network.coefs(mask)
    first[[1, 4]] = False
    first[:, 2], second[2] = False, False
    second[:, 0], third[0] = False, False
    theta[~mask] = 0
    return objective, theta, mask


@pytest.mark.parametrize(("n", "n_used"), [(9999, 9999), (10_001, 5001), (24_999, 6250)])
def test_deletion_looks_at_evenly_spaced_rows(n, n_used):
    rng = np.random.default_rng(0)
    network = Network((2, 2, 1), "tanh")
    X, Y = rng.normal(size=(n, 2)), rng.normal(size=(n, 1))
    objective = Objective(network, LOSSES["squared_error"], X, Y, None, alpha=100.0)
    pruned = PrunedNetwork.dense(network, rng.normal(size=network.n_parameters))
    problem = ActiveObjective(objective).problem(
        pruned, DeletionSettings(), np.random.RandomState(0)
    )
    assert problem.objective.n_samples == n_used
    assert_array_equal(problem.objective.X[1], X[n // 5000])
    value = problem.objective.value(pruned.theta)
    assert value == pytest.approx(objective.value(pruned.theta), rel=0.05)


@pytest.mark.parametrize("budget", [2**26, 0], ids=["columns copied", "no memory for a copy"])
def test_active_objective_is_the_same_objective(budget):
    objective, theta, mask = dead_problem()
    prunable = mask & objective.network.is_weight
    active = ActiveObjective(objective).restricted(prunable, max_copy_bytes=budget)
    sizes = active.objective.network.layer_sizes
    assert sizes == ((4 if budget else 6), 4, 3, 3)
    value, gradient = objective.value_and_gradient(theta)
    gradient = gradient.copy()
    small_value, small_gradient = active.objective.value_and_gradient(active.gather(theta))
    assert small_value == pytest.approx(value, rel=1e-14)
    assert active.value(theta) == pytest.approx(value, rel=1e-14)
    assert_allclose(small_gradient, active.gather(gradient), rtol=0, atol=1e-14)
    # What is left out cannot move: its gradient vanishes.
    left_out = active.scatter(active.gather(np.zeros_like(mask)), mask)
    assert left_out.any()
    assert_array_equal(gradient[left_out], 0)
    assert_array_equal(active.scatter(active.gather(theta), theta), theta)


def test_what_was_left_out_stays_out():
    objective, _theta, mask = dead_problem()
    prunable = mask & objective.network.is_weight
    active = ActiveObjective(objective).restricted(prunable)
    objective.network.coefs(prunable)[0][[0, 2]] = False
    smaller = active.restricted(prunable)
    assert smaller.objective.network.layer_sizes[0] == 2
    assert_array_equal(smaller.objective.X, objective.X[:, [3, 5]])


PRUNING = {
    "lbfgs": {"solver": "lbfgs", "alpha": 0.1, "max_iter": 60},
    "adam": {"solver": "adam", "max_iter": 15, "learning_rate_init": 0.01},
    "random": {"solver": "adam", "max_iter": 10, "criterion": "random"},
    "validation": {"solver": "sgd", "max_iter": 15, "early_stopping": True},
    "units": {"solver": "adam", "max_iter": 15, "granularity": "unit"},
    "features": {"solver": "adam", "max_iter": 15, "granularity": "feature"},
}


@pytest.fixture
def everything_active(monkeypatch):
    """Call the fixture, and from then on nothing is left out."""

    def restricted(self, prunable, max_copy_bytes=None):
        return self

    return lambda: monkeypatch.setattr(ActiveObjective, "restricted", restricted)


def alive(model):
    """Inputs, and units of the hidden layer, that have weights left."""
    first, second = model.coef_masks_
    return first.any(axis=1), first.any(axis=0) | second.any(axis=1)


def parameters(model):
    return np.concatenate([array.ravel() for array in (*model.coefs_, *model.intercepts_)])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", PRUNING)
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("recipe", ["plain", "default"])
def test_pruning_the_active_network_is_pruning_the_whole(
    digits, name, is_sparse, recipe, everything_active
):
    X, y = digits
    X = sparse.csr_array(X) if is_sparse else X
    settings = {"prune_fraction": 0.9, "n_rounds": 4, "random_state": 0} | PRUNING[name]
    settings = plain(**settings) if recipe == "plain" else settings
    active = OBDMLPClassifier((12,), **settings).fit(X, y)
    # Shown on the side that something was left out at all.
    assert not all(units.all() for units in alive(active))
    everything_active()
    whole = OBDMLPClassifier((12,), **settings).fit(X, y)
    for mask, expected in zip(active.coef_masks_, whole.coef_masks_, strict=True):
        assert_array_equal(mask, expected)
    # Iterations amplify rounding; a real difference would be of order 1.
    assert_allclose(parameters(active), parameters(whole), rtol=0, atol=1e-5)
    for coefs, mask in zip(active.coefs_, active.coef_masks_, strict=True):
        assert_array_equal(coefs[~mask], 0)
    assert active.n_weights_ == whole.n_weights_


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_optimiser_goes_on_after_pruning_as_over_the_whole(digits, solver, everything_active):
    X, y = digits
    results = []
    for is_active in (True, False):
        if not is_active:
            everything_active()
        model = OBDMLPClassifier(
            (8,),
            **plain(solver=solver, max_iter=5, prune_fraction=0.9),
            warm_start=True,
            random_state=0,
        )
        with pytest.warns(ConvergenceWarning):
            model.fit(X, y)
        results.append(parameters(model.partial_fit(X, y)))
    assert_allclose(*results, rtol=0, atol=1e-8)


def test_monitors_see_all_parameters():
    objective, theta, mask = dead_problem()
    active = ActiveObjective(objective).restricted(mask & objective.network.is_weight)
    seen = []
    monitor = Monitor(validate=seen.append, on_epoch=lambda values: seen.append(values) or True)
    inner = active.monitor(monitor, theta)
    values = active.gather(theta)
    inner.validate(2 * values)
    assert inner.on_epoch(3 * values)
    inside = active.scatter(np.ones(values.size, dtype=bool), np.zeros_like(mask))
    for factor, whole in zip((2, 3), seen, strict=True):
        assert_array_equal(whole, np.where(inside, factor * theta, theta))
    assert active.monitor(Monitor(), theta) == Monitor()
