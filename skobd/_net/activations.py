"""Activation functions of the hidden units, with derivatives in terms of the output.

For ``x = f(a)`` the table gives ``f``, ``f'`` and ``f''`` as functions of ``x``, so that
a backward pass needs no pre-activations.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Activation(NamedTuple):
    """One row of the table; arrays have shape (n_samples, n_units).

    Attributes
    ----------
    apply : callable
        ``apply(a)`` replaces the pre-activations ``a`` by ``f(a)`` in place.
    multiply_by_derivative : callable
        ``multiply_by_derivative(delta, x)`` multiplies ``delta`` by ``f'`` in place.
    second_derivative : callable or None
        ``second_derivative(x)`` is ``f''`` as a new array; None if it vanishes everywhere.
    """

    apply: Callable[[Array], None]
    multiply_by_derivative: Callable[[Array, Array], None]
    second_derivative: Callable[[Array], Array] | None


def _identity(a: Array) -> None:
    pass


def _identity_derivative(delta: Array, x: Array) -> None:
    pass


def _logistic(a: Array) -> None:
    # NumPy's tanh is vectorised, SciPy's expit is not: sigma(a) = (1 + tanh(a/2)) / 2.
    a *= 0.5
    np.tanh(a, out=a)
    a *= 0.5
    a += 0.5


def _logistic_derivative(delta: Array, x: Array) -> None:
    delta *= x
    delta *= 1 - x


def _logistic_second_derivative(x: Array) -> Array:
    return x * (1 - x) * (1 - 2 * x)


def _tanh(a: Array) -> None:
    np.tanh(a, out=a)


def _tanh_derivative(delta: Array, x: Array) -> None:
    delta *= 1 - x * x


def _tanh_second_derivative(x: Array) -> Array:
    return -2 * x * (1 - x * x)


def _relu(a: Array) -> None:
    # A NaN stays one. For many rows clip is three times as fast, but its call takes twice as long.
    if len(a) == 1:
        np.maximum(a, 0, out=a)
    else:
        a.clip(0, np.inf, out=a)


def _relu_derivative(delta: Array, x: Array) -> None:
    # This is ten times as fast as assignment through a boolean index.
    delta *= x > 0


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(_identity, _identity_derivative, None),
    "logistic": Activation(_logistic, _logistic_derivative, _logistic_second_derivative),
    "tanh": Activation(_tanh, _tanh_derivative, _tanh_second_derivative),
    "relu": Activation(_relu, _relu_derivative, None),
}
