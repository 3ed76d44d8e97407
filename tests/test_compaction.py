"""Compaction against the masked dense network, evaluated plainly in float64."""

import numpy as np
import pytest
import skobd._compaction as compaction_module
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.exceptions import ConvergenceWarning
from skobd._compaction import Part, Predictor, compact
from skobd._losses import LOSSES
from skobd._network import Network
from skobd._objective import Objective
from threadpoolctl import threadpool_limits

from skobd import OBDMLPClassifier, OBDMLPRegressor

ACTIVATIONS = {
    "identity": lambda a: a,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
}
LINKS = {
    "squared_error": lambda a: a,
    "binary_log_loss": expit,
    "multinomial_log_loss": lambda a: softmax(a, axis=1),
    "poisson": np.exp,
}
TOLERANCES = {np.float32: 1e-6, np.float64: 1e-12}
# Chosen so that the layouts below are taken whatever the costs measured on some machine.
ALL_SPARSE = {"_SPARSE_COST": -1.0, "_TRANSPOSE_COST": 0.0, "_SPARSE_COST_OF_ONE": -1.0}
ALL_SPARSE |= {"_SPARSE_CALL_OF_ONE": -1.0}
ALL_DENSE = {"_SPARSE_COST": np.inf, "_SPARSE_CALL_OF_ONE": np.inf}


def plain_output(network, theta, mask, X, link):
    """The masked dense network as written in a textbook, in double precision."""
    layers = network.layers(np.where(mask, theta, 0).astype(np.float64))
    x = X.astype(np.float64)
    for layer in layers[:-1]:
        x = ACTIVATIONS[network.activation](x @ layer[:-1] + layer[-1])
    return LINKS[link](x @ layers[-1][:-1] + layers[-1][-1])


@st.composite
def masked_networks(draw):
    """A network, parameters and a mask in which weights, units, inputs and layers may be dead."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = tuple(draw(st.lists(st.integers(1, 7), min_size=2, max_size=5)))
    network = Network(sizes, draw(st.sampled_from(sorted(ACTIVATIONS))))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    # Pre-activations of order 1, so that rounding is of the order of the precision.
    theta = rng.uniform(-0.5, 0.5, network.n_parameters).astype(dtype)
    mask = rng.uniform(size=theta.size) < draw(st.sampled_from([0.0, 0.1, 0.3, 0.6, 1.0]))
    if not draw(st.booleans()):
        mask |= ~network.is_weight
    for layer in network.layers(mask):
        fate = draw(st.sampled_from(["as drawn", "no incoming", "no outgoing", "dead"]))
        if fate == "no incoming":
            layer[:-1, rng.uniform(size=layer.shape[1]) < 0.5] = False
        elif fate == "no outgoing":
            layer[:-1][rng.uniform(size=layer.shape[0] - 1) < 0.5] = False
        elif fate == "dead":
            layer[:-1] = False
    theta[~mask] = 0
    return network, theta, mask


def rows_for(network, dtype, n_rows=5, seed=0):
    X = np.random.default_rng(seed).uniform(-1, 1, (n_rows, network.layer_sizes[0]))
    return X.astype(dtype)


@given(masked_networks(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_compact_predicts_the_same(masked_network, keep_inputs):
    network, theta, mask = masked_network
    theta_before, mask_before = theta.copy(), mask.copy()
    smaller, small_theta, small_mask, kept, positions = compact(network, theta, mask, keep_inputs)
    X = rows_for(network, theta.dtype)
    expected = plain_output(network, theta, mask, X, "squared_error")
    found = plain_output(smaller, small_theta, small_mask, X[:, kept[0]], "squared_error")
    assert_allclose(found, expected, rtol=0, atol=TOLERANCES[theta.dtype.type])
    assert_array_equal(theta, theta_before)
    assert_array_equal(mask, mask_before)
    assert small_theta.dtype == theta.dtype
    assert (small_theta[~small_mask] == 0).all()
    if keep_inputs:
        assert_array_equal(kept[0], np.arange(network.layer_sizes[0]))
    if positions is not None:
        assert_array_equal(small_theta, np.where(small_mask, theta[positions], 0))
        assert not (small_mask & ~mask[positions]).any()
    assert tuple(map(len, kept)) == smaller.layer_sizes[:-1]
    assert min(smaller.layer_sizes) >= 1
    masks = smaller.layers(small_mask)
    for layer, following, size in zip(
        masks[:-1], masks[1:], smaller.layer_sizes[1:-1], strict=True
    ):
        lives = layer[:-1].any(axis=0) & following[:-1].any(axis=1)
        assert lives.all() or size == 1


@given(
    masked_networks(),
    st.sampled_from(sorted(LINKS)),
    st.sampled_from([ALL_SPARSE, ALL_DENSE]),
    st.sampled_from([0.0, np.inf]),
    st.sampled_from([1, 17]),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_predictor_predicts_the_same(masked_network, link, costs, gather_cost, n_rows, is_sparse):
    network, theta, mask = masked_network
    X = rows_for(network, theta.dtype, n_rows)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (costs | {"_GATHER_COST": gather_cost}).items():
            patch.setattr(compaction_module, name, value)
        predictor = Predictor(network, theta, mask)
    given_X = sparse.csr_array(X) if is_sparse else X
    found = predictor.output(given_X, LOSSES[link].inverse_link)
    expected = plain_output(network, theta, mask, X, link)
    tolerance = TOLERANCES[theta.dtype.type]
    assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert found.dtype == theta.dtype


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_constant_units_cascade(activation):
    network = Network((2, 3, 2, 1), activation)
    theta = np.random.default_rng(0).normal(size=network.n_parameters)
    mask = np.ones(theta.size, dtype=bool)
    network.coefs(mask)[0][:] = False
    theta[~mask] = 0
    found = compact(network, theta, mask)
    assert found.network.layer_sizes == (1, 1, 1, 1)
    assert found.positions is None
    X = rows_for(network, float)
    expected = plain_output(network, theta, mask, X, "squared_error")
    assert_allclose(Predictor(network, theta, mask).output(X), expected, rtol=0, atol=1e-12)


def test_folding_revives_a_deleted_intercept():
    network = Network((1, 1, 1), "logistic")
    theta = np.array([0.0, 0.0, 3.0, 0.0])
    mask = np.array([False, False, True, False])
    found = compact(network, theta, mask)
    assert_array_equal(found.mask, [False, False, False, True])
    assert found.theta[-1] == 1.5


def test_used_inputs_are_those_that_reach_an_output():
    network = Network((3, 2, 1), "tanh")
    mask = np.ones(network.n_parameters, dtype=bool)
    first, second = network.coefs(mask)
    first[0], first[1, 0], second[1] = False, False, False
    theta = np.where(mask, 1.0, 0.0)
    # Input 0 feeds nothing, and input 1 only the unit that nobody listens to.
    assert_array_equal(Predictor(network, theta, mask).used_inputs, [2])


@pytest.mark.parametrize("density", [0.02, 1.0])
def test_bulk_prediction_does_not_depend_on_threads(density):
    network = Network((60, 80, 5), "tanh")
    rng = np.random.default_rng(0)
    theta = rng.normal(size=network.n_parameters).astype(np.float32)
    mask = (rng.uniform(size=theta.size) < density) | ~network.is_weight
    theta[~mask] = 0
    X = rows_for(network, np.float32, 20_000)
    outputs = []
    for n_threads in (1, 2, 4):
        with threadpool_limits(n_threads, user_api="blas"):
            outputs.append(Predictor(network, theta, mask).output(X))
    for output in outputs[1:]:
        assert_array_equal(output, outputs[0])
    expected = plain_output(network, theta, mask, X, "squared_error")
    assert_allclose(outputs[0], expected, rtol=1e-4, atol=1e-4)


def test_rule_prefers_sparse_products_for_few_weights_and_dense_ones_for_many():
    network = Network((784, 300, 10))
    rng = np.random.default_rng(0)
    work = []
    for density in (0.02, 0.5):
        mask = (rng.uniform(size=network.n_parameters) < density) | ~network.is_weight
        theta = np.where(mask, 1.0, 0.0)
        work.append(Predictor(network, theta, mask).n_multiply_adds / network.is_weight.sum())
    assert work[0] < 0.05
    assert work[1] > 0.99


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


@pytest.mark.parametrize("budget", [2**26, 0], ids=["columns copied", "no memory for a copy"])
def test_part_is_the_same_objective(budget, monkeypatch):
    monkeypatch.setattr(compaction_module, "_MAX_COPY_BYTES", budget)
    objective, theta, mask = dead_problem()
    part = Part(objective).living(mask & objective.network.is_weight)
    sizes = part.objective.network.layer_sizes
    assert sizes == ((4 if budget else 6), 4, 3, 3)
    value, gradient = objective.value_and_gradient(theta)
    gradient = gradient.copy()
    small_value, small_gradient = part.objective.value_and_gradient(part.take(theta))
    assert small_value == pytest.approx(value, rel=1e-14)
    assert part.value(theta) == pytest.approx(value, rel=1e-14)
    assert_allclose(small_gradient, part.take(gradient), rtol=0, atol=1e-14)
    # What is left out cannot move: its gradient vanishes.
    left_out = part.put(part.take(np.zeros_like(mask)), mask)
    assert left_out.any()
    assert_array_equal(gradient[left_out], 0)
    assert_array_equal(part.put(part.take(theta), theta), theta)


def test_part_of_a_part_drops_more():
    objective, _theta, mask = dead_problem()
    able = mask & objective.network.is_weight
    part = Part(objective).living(able)
    objective.network.coefs(able)[0][[0, 2]] = False
    smaller = part.living(able)
    assert smaller.objective.network.layer_sizes[0] == 2
    assert_array_equal(smaller.objective.X, objective.X[:, [3, 5]])


PRUNING = {
    "lbfgs": {"solver": "lbfgs", "alpha": 0.1, "max_iter": 60},
    "adam": {"solver": "adam", "max_iter": 15, "learning_rate_init": 0.01},
    "intercepts": {"solver": "adam", "max_iter": 15, "prune_intercepts": True},
    "random": {"solver": "adam", "max_iter": 10, "criterion": "random"},
    "validation": {"solver": "sgd", "max_iter": 15, "early_stopping": True},
    "units": {"solver": "adam", "max_iter": 15, "granularity": "unit"},
    "features": {"solver": "adam", "max_iter": 15, "granularity": "feature"},
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", PRUNING)
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
def test_pruning_the_living_part_is_pruning_the_whole(digits, name, is_sparse, monkeypatch):
    X, y = digits
    X = sparse.csr_array(X) if is_sparse else X
    settings = {"prune_fraction": 0.9, "n_rounds": 4, "random_state": 0} | PRUNING[name]
    with_parts = OBDMLPClassifier((12,), **settings).fit(X, y)
    # Shown on the side that something was left out at all.
    part = Part(with_parts._objective(with_parts._validate(X, y, None, reset=False)))
    able = with_parts._mask & with_parts._able
    assert part.living(able).objective.network.n_parameters < with_parts._theta.size
    monkeypatch.setattr(Part, "living", lambda part, able: part)
    without = OBDMLPClassifier((12,), **settings).fit(X, y)
    assert_array_equal(with_parts._mask, without._mask)
    # Iterations amplify rounding; a real difference would be of order 1.
    assert_allclose(with_parts._theta, without._theta, rtol=0, atol=1e-5)
    assert (with_parts._theta[~with_parts._mask] == 0).all()
    assert with_parts.n_weights_ == without.n_weights_


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_optimiser_goes_on_after_pruning_as_without_parts(digits, solver, monkeypatch):
    X, y = digits
    results = []
    for with_parts in (True, False):
        if not with_parts:
            monkeypatch.setattr(Part, "living", lambda part, able: part)
        model = OBDMLPClassifier(
            (8,), solver=solver, max_iter=5, prune_fraction=0.9, warm_start=True, random_state=0
        )
        with pytest.warns(ConvergenceWarning):
            model.fit(X, y)
        results.append(model.partial_fit(X, y)._theta)
    assert_allclose(*results, rtol=0, atol=1e-8)


def test_changes_in_place_are_seen(diabetes):
    X, y = diabetes
    model = OBDMLPRegressor(
        hidden_layer_sizes=(5,), solver="lbfgs", alpha=1, max_iter=500, random_state=0
    ).fit(X, y)
    before = model.predict(X)
    coefs = model.coefs_
    assert_array_equal(model.predict(X), before)
    coefs[-1][:] = 0
    assert_allclose(model.predict(X), model.intercepts_[-1][0], rtol=0, atol=1e-14)
    with pytest.raises(ValueError, match="read-only"):
        model.coef_masks_[0][:] = True
