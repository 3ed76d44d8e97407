"""The value object: what is deleted is 0, nothing changes, everything can be stored."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skobd._net.network import Network
from skobd._net.pruned import PrunedNetwork

ARRAYS = ("coefs", "intercepts", "coef_masks")


@pytest.fixture
def pruned():
    network = Network((4, 5, 3, 2), "tanh")
    rng = np.random.default_rng(0)
    mask = rng.random(network.n_parameters) < 0.4
    # One input and one unit that nothing depends on.
    network.coefs(mask)[0][2] = network.coefs(mask)[1][1] = False
    return PrunedNetwork(network, rng.normal(size=mask.size), mask)


def rows(pruned):
    return np.random.default_rng(1).normal(size=(6, pruned.network.layer_sizes[0]))


def test_what_is_deleted_is_zero(pruned):
    assert_array_equal(pruned.theta[~pruned.mask], 0)
    assert (pruned.theta[pruned.mask] != 0).all()
    for value, mask in zip(pruned.coefs, pruned.coef_masks, strict=True):
        assert value.shape == mask.shape
        assert_array_equal(value != 0, mask)


def test_arguments_are_not_changed():
    network = Network((2, 1))
    theta, mask = np.ones(3), np.array([True, False, True])
    PrunedNetwork(network, theta, mask)
    assert_array_equal(theta, 1)
    assert theta.flags.writeable
    assert mask.flags.writeable


def pickled(pruned):
    return pickle.loads(pickle.dumps(pruned))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_read_only(pruned, name, duplicate):
    pruned = duplicate(pruned)
    assert_allclose(
        pruned.predictor.output(rows(pruned)), pruned.network.raw_output(pruned.theta, rows(pruned))
    )
    for array in getattr(pruned, name):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
    with pytest.raises(TypeError):
        getattr(pruned, name)[0] = None
    with pytest.raises(AttributeError):
        pruned.theta = np.zeros(3)
    with pytest.raises(ValueError, match="read-only"):
        pruned.theta[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        pruned.mask[0] = True


@pytest.mark.parametrize("kind", ["coefs", "intercepts"])
def test_other_arrays_make_another_network(pruned, kind):
    before = pruned.theta.copy()
    values = [np.full(array.shape, 2.0) for array in getattr(pruned, kind)]
    other = pruned.with_arrays(kind, values)
    assert_array_equal(pruned.theta, before)
    is_kind = pruned.network.is_weight == (kind == "coefs")
    assert_array_equal(other.theta, np.where(is_kind & pruned.mask, 2, before))
    assert_array_equal(other.mask, pruned.mask)
    assert_allclose(
        other.predictor.output(rows(other)), other.network.raw_output(other.theta, rows(other))
    )


@pytest.mark.parametrize("kind", ["coefs", "intercepts"])
def test_arrays_of_other_shapes_are_refused(pruned, kind):
    values = list(getattr(pruned, kind))
    for wrong in (values[:-1], [*values, values[0]], [values[0][:-1], *values[1:]]):
        with pytest.raises(ValueError, match=f"{kind}_ must be arrays of real numbers of shapes"):
            pruned.with_arrays(kind, wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("kind", ["coefs", "intercepts"])
def test_values_that_are_not_finite_are_refused(pruned, kind, value):
    pruned = PrunedNetwork(pruned.network, pruned.theta.astype(np.float32), pruned.mask)
    values = [array.astype(np.float64) for array in getattr(pruned, kind)]
    values[1][0] = value
    with pytest.raises(ValueError, match=f"{kind}_ .*finite"):
        pruned.with_arrays(kind, values)


def test_dense_has_lost_nothing():
    network = Network((2, 3, 1))
    dense = PrunedNetwork.dense(network, np.arange(13.0))
    assert dense.mask.all()
    assert_array_equal(dense.theta, np.arange(13))
    assert_array_equal(dense.used_inputs, [0, 1])


def test_compacted_predicts_the_same(pruned):
    smaller, X = pruned.compacted(), rows(pruned)
    assert smaller.network.layer_sizes[0] == 4
    assert smaller.network.n_parameters < pruned.network.n_parameters
    assert_allclose(smaller.predictor.output(X), pruned.predictor.output(X), atol=1e-14)
    assert 2 not in smaller.used_inputs
    assert_array_equal(smaller.used_inputs, pruned.used_inputs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_packing_loses_nothing_and_keeps_the_survivors_only(pruned, dtype):
    pruned = PrunedNetwork(pruned.network, pruned.theta.astype(dtype), pruned.mask)
    packed = pruned.pack()
    assert packed["values"].size == pruned.mask.sum()
    loaded = PrunedNetwork.unpack(packed)
    assert loaded.network == pruned.network
    assert_array_equal(loaded.theta, pruned.theta, strict=True)
    assert_array_equal(loaded.mask, pruned.mask, strict=True)


def test_a_pickle_holds_no_more_than_the_survivors():
    network = Network((100, 100, 1))
    mask = np.zeros(network.n_parameters, dtype=bool)
    mask[::1000] = True
    pruned = PrunedNetwork(network, np.ones(mask.size), mask)
    pruned.predictor.output(np.ones((3, 100)))
    assert len(pickle.dumps(pruned)) < 2000
