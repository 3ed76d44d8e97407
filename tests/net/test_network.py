"""The layout of theta and the forward pass."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import LOSS_CASES, make_problem
from sklearn.neural_network import MLPRegressor

from skobd._net.network import Network

SIZES = [(3, 1), (3, 4, 2), (2, 5, 3, 4, 1)]


@pytest.mark.parametrize("sizes", SIZES)
def test_layers_are_views_that_tile_theta(sizes):
    network = Network(sizes)
    theta = np.arange(network.n_parameters, dtype=float)
    layers = network.layers(theta)
    assert [layer.shape for layer in layers] == [
        (fan_in + 1, fan_out) for fan_in, fan_out in itertools.pairwise(sizes)
    ]
    assert_array_equal(np.concatenate([layer.ravel() for layer in layers]), theta)
    parts = network.coefs(theta) + network.intercepts(theta)
    for part in layers + parts:
        assert np.shares_memory(part, theta)
    for part in parts:
        part[...] = -1
    assert (theta == -1).all()


@pytest.mark.parametrize("sizes", SIZES)
def test_weights_and_intercepts_are_told_apart(sizes):
    network = Network(sizes)
    assert all(flags.all() for flags in network.coefs(network.is_weight))
    assert not any(flags.any() for flags in network.intercepts(network.is_weight))
    by_slices = np.zeros(network.n_parameters, dtype=bool)
    for weights in network.weight_slices:
        by_slices[weights] = True
    assert_array_equal(by_slices, network.is_weight)


def test_is_immutable_and_comparable():
    network = Network((3, 4, 2), "tanh")
    assert network == Network((3, 4, 2), "tanh") != Network((3, 4, 2), "relu")
    with pytest.raises(AttributeError):
        network.activation = "relu"


@pytest.mark.parametrize("activation", ["logistic", "relu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initialises_like_sklearn(activation, dtype):
    X, y = np.zeros((4, 3), dtype=dtype), np.zeros(4)
    # With next to no learning rate an epoch leaves the initial weights where they are.
    mlp = MLPRegressor(
        hidden_layer_sizes=(5, 2),
        activation=activation,
        solver="sgd",
        learning_rate_init=1e-300,
        random_state=3,
    ).partial_fit(X, y)
    network = Network((3, 5, 2, 1), activation)
    theta = network.initialise(np.random.RandomState(3), dtype)
    assert theta.dtype == dtype
    for ours, theirs in zip(network.coefs(theta), mlp.coefs_, strict=True):
        assert_array_equal(ours, theirs)
    for ours, theirs in zip(network.intercepts(theta), mlp.intercepts_, strict=True):
        assert_array_equal(ours, theirs)


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_raw_output(activation, depth):
    for loss, n_outputs in LOSS_CASES[:2]:
        objective, oracle, theta = make_problem(loss, n_outputs, activation, depth)
        raw = objective.network.raw_output(theta, objective.X)
        assert_allclose(raw, oracle.raw(theta), atol=1e-13)


def test_raw_output_in_blocks_and_of_sparse_input():
    objective, _, theta = make_problem("squared_error", 2, "tanh", 2, n=900)
    network, X = objective.network, objective.X
    whole = network.raw_output(theta, X)
    assert_allclose(network.raw_output(theta, sp.csr_array(X)), whole, atol=1e-13)
    assert_allclose(network.raw_output(theta, X, block_rows=256), whole, atol=1e-13)
    blocks = network.raw_output(theta, sp.csr_array(X), block_rows=256)
    assert_allclose(blocks, whole, atol=1e-13)
    assert network.raw_output(theta, X[:0]).shape == (0, 2)


def test_raw_output_leaves_its_arguments():
    objective, _, theta = make_problem("squared_error", 2, "relu", 0)
    X, before = objective.X.copy(), theta.copy()
    objective.network.raw_output(theta, objective.X)
    assert_array_equal(objective.X, X)
    assert_array_equal(theta, before)


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_no_raw_output_exceeds_its_bound(activation, depth, scale):
    for loss, n_outputs in LOSS_CASES[:2]:
        objective, _, theta = make_problem(loss, n_outputs, activation, depth)
        network, X = objective.network, scale * objective.X
        bound = network.output_bound(theta, np.abs(X).max())
        assert np.abs(network.raw_output(theta, X)).max() <= bound


def test_bound_reckons_with_units_that_put_out_more_than_they_are_given():
    """A logistic unit puts out 0.5 for an input of 0."""
    network = Network((1, 1, 1), "logistic")
    theta = np.array([0.0, 0.0, 1500.0, 0.0])
    raw = network.raw_output(theta, np.array([[0.001]]))
    assert raw == 750
    assert network.output_bound(theta, 0.001) >= 750
