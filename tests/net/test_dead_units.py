"""Dead units: what they are, and that they go without a trace."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skobd._net.activations import ACTIVATIONS
from skobd._net.dead_units import (
    connects,
    constant_units,
    fold_constants,
    in_order_of_deletion,
    unused_units,
    without_dead_units,
)
from skobd._net.network import Network


@st.composite
def sparse_networks(draw):
    """A network of few weights, its mask, and what may be deleted."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    sizes = (3, *draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)), 2)
    network = Network(sizes, draw(st.sampled_from(sorted(ACTIVATIONS))))
    mask = rng.random(network.n_parameters) < draw(st.floats(0.05, 0.6))
    prunable = network.is_weight
    mask |= ~prunable
    theta = np.where(mask, rng.normal(size=mask.size), 0)
    return network, theta, mask, prunable, rng.normal(size=(7, 3))


def test_constant_and_unused_units():
    layer = np.array([[True, False, False], [False, False, True], [True, True, False]])
    assert_array_equal(constant_units(layer), [False, True, False])
    assert_array_equal(unused_units(layer), [False, False])
    layer[0] = False
    assert_array_equal(constant_units(layer), [True, True, False])
    assert_array_equal(unused_units(layer), [True, False])


@given(sparse_networks(), st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_once_is_enough_and_only_what_may_go_goes(case, fraction):
    network, _, mask, prunable, _ = case
    prunable = prunable & (np.random.default_rng(0).random(mask.size) <= fraction)
    once = without_dead_units(network, mask, prunable)
    assert not (once & ~mask).any()
    assert_array_equal(once[~prunable], mask[~prunable])
    assert_array_equal(without_dead_units(network, once, prunable), once)


@given(sparse_networks())
@settings(max_examples=200, deadline=None)
def test_nothing_dead_is_left_where_intercepts_can_take_over(case):
    network, _, mask, _, _ = case
    left = without_dead_units(network, mask, np.ones_like(mask))
    for layer, following in itertools.pairwise(network.layers(left)):
        assert_array_equal(constant_units(layer) & following[:-1].any(axis=1), False)
        assert_array_equal(layer[:, unused_units(following)], False)
    assert not (left & ~mask).any()


@given(sparse_networks(), st.floats(0, 1))
@settings(max_examples=300, deadline=None)
def test_any_first_part_of_the_order_goes_without_a_trace(case, fraction):
    network, theta, mask, prunable, X = case
    dead = mask & ~without_dead_units(network, mask, prunable)
    order = in_order_of_deletion(network, mask, dead)
    assert_array_equal(np.sort(order), np.flatnonzero(dead))
    freed = np.zeros_like(mask)
    freed[order[: round(fraction * len(order))]] = True
    left = mask & ~freed
    folded = np.where(left, fold_constants(network, theta, left, freed), 0)
    assert_allclose(network.raw_output(folded, X), network.raw_output(theta, X), atol=1e-12)
    same = left & network.is_weight
    assert_array_equal(folded[same], theta[same])


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_constants_are_folded_through_several_layers(activation):
    network = Network((2, 2, 2, 1), activation)
    rng = np.random.default_rng(0)
    mask = np.ones(network.n_parameters, dtype=bool)
    network.coefs(mask)[0][...] = False
    theta = np.where(mask, rng.normal(size=mask.size), 0).astype(np.float32)
    left = without_dead_units(network, mask, np.ones_like(mask))
    assert_array_equal(np.flatnonzero(left), [network.n_parameters - 1])
    folded = fold_constants(network, theta, left, mask & ~left)
    assert folded.dtype == np.float32
    X = rng.normal(size=(5, 2)).astype(np.float32)
    expected = network.raw_output(theta, X)
    assert_allclose(network.raw_output(np.where(left, folded, 0), X), expected, rtol=1e-5)


@given(sparse_networks())
@settings(max_examples=200, deadline=None)
def test_connected_is_what_some_input_reaches(case):
    network, _, mask, _, _ = case
    paths = np.ones((1, 3))
    for coefs in network.coefs(mask):
        paths = paths @ coefs
    assert connects(network, mask) == paths.any()
