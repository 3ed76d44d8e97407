"""Activations and their derivatives as functions of the output."""

import numpy as np
import oracles
import pytest
from numpy.testing import assert_allclose

from skobd._net.activations import ACTIVATIONS

POINTS = np.linspace(-6, 6, 50).reshape(10, 5)  # none of them 0, where relu has a kink


def applied(name, a):
    x = a.copy()
    ACTIVATIONS[name].apply(x)
    return x


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value(name):
    assert_allclose(applied(name, POINTS), oracles.ACTIVATIONS[name][0](POINTS), atol=1e-15)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slope_is_the_derivative(name):
    difference = (applied(name, POINTS + 1e-6) - applied(name, POINTS - 1e-6)) / 2e-6
    delta = np.full_like(POINTS, 3.0)
    ACTIVATIONS[name].multiply_by_derivative(delta, applied(name, POINTS))
    assert_allclose(delta, 3 * difference, atol=1e-8)
    assert_allclose(delta, 3 * oracles.ACTIVATIONS[name][1](POINTS), atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_bend_is_the_second_derivative(name):
    activation = ACTIVATIONS[name]

    def slope(a):
        delta = np.ones_like(a)
        activation.multiply_by_derivative(delta, applied(name, a))
        return delta

    difference = (slope(POINTS + 1e-5) - slope(POINTS - 1e-5)) / 2e-5
    x = applied(name, POINTS)
    second_derivative = (
        np.zeros_like(x)
        if activation.second_derivative is None
        else activation.second_derivative(x)
    )
    assert_allclose(second_derivative, difference, atol=1e-8)
    assert_allclose(second_derivative, oracles.ACTIVATIONS[name][2](POINTS), atol=1e-12)


@pytest.mark.parametrize("name", ["logistic", "tanh"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturates_without_warnings(name, dtype):
    x = applied(name, np.array([[-1e30, -800, 800, 1e30]], dtype=dtype))
    low = 0 if name == "logistic" else -1
    assert x.dtype == dtype
    assert_allclose(x, [[low, low, 1, 1]])
    assert_allclose(ACTIVATIONS[name].second_derivative(x), 0)
