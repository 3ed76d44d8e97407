"""Compaction and prediction against the masked dense network, evaluated plainly in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, softmax
from threadpoolctl import threadpool_limits

from skobd._net.compaction import compact, subnetwork
from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._net.predictor import Costs, Predictor

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
# Whatever the costs measured on some machine, all layers in one layout, or all in the other.
ALL_SPARSE = {"sparse": -1.0, "transpose": 0.0, "sparse_of_one": -1.0, "sparse_call_of_one": -1.0}
ALL_DENSE = {"sparse": np.inf, "sparse_call_of_one": np.inf}


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
    mask |= ~network.is_weight
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


@pytest.mark.slow
@given(masked_networks(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_compact_predicts_the_same(masked_network, keep_inputs):
    network, theta, mask = masked_network
    theta_before, mask_before = theta.copy(), mask.copy()
    smaller, small_theta, small_mask, kept = compact(network, theta, mask, keep_inputs)
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
    # Weights that are left are where they were; only intercepts take over constants.
    _, positions = subnetwork(network, kept)
    weights = smaller.is_weight & small_mask
    assert_array_equal(small_theta[weights], theta[positions][weights])
    assert not (weights & ~mask[positions]).any()
    assert tuple(map(len, kept)) == smaller.layer_sizes[:-1]
    assert min(smaller.layer_sizes) >= 1
    masks = smaller.layers(small_mask)
    for layer, following, size in zip(
        masks[:-1], masks[1:], smaller.layer_sizes[1:-1], strict=True
    ):
        lives = layer[:-1].any(axis=0) & following[:-1].any(axis=1)
        assert lives.all() or size == 1


@pytest.mark.slow
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
    predictor = Predictor(network, theta, mask, Costs(**costs, gather=gather_cost))
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
    assert not any(coefs.any() for coefs in found.network.coefs(found.mask))
    X = rows_for(network, float)
    expected = plain_output(network, theta, mask, X, "squared_error")
    assert_allclose(Predictor(network, theta, mask).output(X), expected, rtol=0, atol=1e-12)


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
