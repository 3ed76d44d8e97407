"""The multilayer perceptron as an immutable description and pure passes over flat parameters.

Every parameter lives in one contiguous array ``theta``. Layer ``l`` is the matrix ``M_l`` of
shape (fan_in + 1, fan_out) whose last row holds the intercepts, and

    a_l = x_{l-1} M_l[:-1] + M_l[-1],        x_l = f(a_l),        raw output = a_L.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs

from .._chunks import row_blocks
from .activations import ACTIVATIONS, Activation, Array

Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

# Activations of the widest layer computed at a time, which then stay in the cache.
_PREDICTION_ELEMENTS, _MIN_PREDICTION_ROWS = 2**18, 256


@dataclass(frozen=True)
class Network:
    """Shapes of a multilayer perceptron; the parameters are always passed in.

    Parameters
    ----------
    layer_sizes : tuple of int
        Number of inputs, of units in each hidden layer, and of outputs.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation function of the hidden units.
    """

    layer_sizes: tuple[int, ...]
    activation: str = "relu"

    @property
    def f(self) -> Activation:
        """Activation of the hidden units and its derivatives."""
        return ACTIVATIONS[self.activation]

    @cached_property
    def shapes(self) -> list[tuple[int, int]]:
        """Shape (fan_in + 1, fan_out) of each layer matrix."""
        return [
            (fan_in + 1, fan_out)
            for fan_in, fan_out in zip(self.layer_sizes[:-1], self.layer_sizes[1:], strict=True)
        ]

    @cached_property
    def offsets(self) -> NDArray[np.intp]:
        """Start of each layer in ``theta``, and the end of the last one."""
        return np.cumsum([0] + [rows * columns for rows, columns in self.shapes])

    @property
    def n_parameters(self) -> int:
        """Length of ``theta``."""
        return int(self.offsets[-1])

    @cached_property
    def is_weight(self) -> Mask:
        """True where ``theta`` holds a weight, False where it holds an intercept."""
        flags = np.ones(self.n_parameters, dtype=bool)
        for layer in self.layers(flags):
            layer[-1] = False
        return flags

    @cached_property
    def weight_slices(self) -> list[slice]:
        """The weights of each layer as one contiguous slice of ``theta``."""
        return [
            slice(int(start), int(end) - columns)
            for start, end, (_, columns) in zip(
                self.offsets[:-1], self.offsets[1:], self.shapes, strict=True
            )
        ]

    def layers(self, theta: NDArray[Any]) -> list[NDArray[Any]]:
        """Return views of ``theta`` (n_parameters,) as layer matrices, from input to output."""
        return [
            theta[start:end].reshape(shape)
            for start, end, shape in zip(
                self.offsets[:-1], self.offsets[1:], self.shapes, strict=True
            )
        ]

    def coefs(self, theta: NDArray[Any]) -> list[NDArray[Any]]:
        """Return views of the weights, each of shape (fan_in, fan_out)."""
        return [layer[:-1] for layer in self.layers(theta)]

    def intercepts(self, theta: NDArray[Any]) -> list[NDArray[Any]]:
        """Return views of the intercepts, each of shape (fan_out,)."""
        return [layer[-1] for layer in self.layers(theta)]

    def initialise(self, rng: np.random.RandomState, dtype: Any) -> Array:
        """Draw ``theta`` uniformly (Glorot & Bengio, 2010), in scikit-learn's order of draws."""
        theta = np.empty(self.n_parameters, dtype=dtype)
        factor = 2.0 if self.activation == "logistic" else 6.0
        for layer in self.layers(theta):
            fan_in, fan_out = layer.shape[0] - 1, layer.shape[1]
            bound = np.sqrt(factor / (fan_in + fan_out))
            layer[:-1] = rng.uniform(-bound, bound, (fan_in, fan_out))
            layer[-1] = rng.uniform(-bound, bound, fan_out)
        return theta

    def output_bound(self, theta: Array, largest_input: float) -> float:
        """Bound the size of raw outputs for inputs of at most ``largest_input``."""
        bound = largest_input
        for layer in self.layers(theta):
            # No activation function exceeds its input, or 1.
            bound = max(bound, 1.0) * float(np.abs(layer[:-1]).sum(axis=0).max())
            bound += float(np.abs(layer[-1]).max())
        return bound

    def forward(self, layers: list[Array], X: Any, buffers: list[Array]) -> list[Any]:
        """Compute the activations of every layer for a block of rows.

        Parameters
        ----------
        layers : list of ndarray of shape (fan_in + 1, fan_out)
        X : {ndarray, CSR matrix} of shape (n_rows, n_inputs)
        buffers : list of ndarray of shape (at least n_rows, fan_out)
            Overwritten; the returned activations are views of them.

        Returns
        -------
        activations : list
            ``X``, the hidden activations, and last the raw output.
        """
        activations = [X]
        for index, (layer, buffer) in enumerate(zip(layers, buffers, strict=True)):
            a = buffer[: X.shape[0]]
            x = activations[-1]
            if isinstance(x, np.ndarray):
                np.matmul(x, layer[:-1], out=a)
            else:
                a[...] = x @ layer[:-1]
            a += layer[-1]
            if index < len(layers) - 1:
                self.f.apply(a)
            activations.append(a)
        return activations

    def backward(self, layers: list[Array], activations: list[Any], deltas: list[Array]) -> None:
        """Back-propagate dloss/da from the last layer, for a block of rows.

        Parameters
        ----------
        layers, activations : list
            As in `forward`.
        deltas : list of ndarray of shape (n_rows, fan_out)
            The last holds dloss/da of the outputs; the others are overwritten.
        """
        for index in range(len(layers) - 1, 0, -1):
            backpropagate(deltas[index], layers[index][:-1], deltas[index - 1])
            self.f.multiply_by_derivative(deltas[index - 1], activations[index])

    def buffers(self, n_rows: int, dtype: Any) -> list[Array]:
        """Allocate buffers for the activations of ``n_rows`` rows."""
        return [np.empty((n_rows, columns), dtype=dtype) for _, columns in self.shapes]

    def raw_output(self, theta: Array, X: Any, block_rows: int | None = None) -> Array:
        """Compute the raw output (n_samples, n_outputs) in blocks of rows; None fits the cache."""
        n_samples, layers = X.shape[0], self.layers(theta)
        n_cached = _PREDICTION_ELEMENTS // max(self.layer_sizes[1:])
        n_rows = block_rows or max(_MIN_PREDICTION_ROWS, n_cached)
        if n_samples <= n_rows:
            return self.forward(layers, X[:], self.buffers(n_samples, theta.dtype))[-1]
        buffers = self.buffers(n_rows, theta.dtype)
        raw = np.empty((n_samples, self.layer_sizes[-1]), dtype=theta.dtype)
        for rows in row_blocks(slice(0, n_samples), n_rows):
            raw[rows] = self.forward(layers, X[rows], buffers)[-1]
        return raw


def multiply_transposed(x: Any, delta: Array, out: Array) -> None:
    """Compute ``out[...] = x.T @ delta`` for dense or sparse ``x``."""
    if isinstance(x, np.ndarray):
        np.matmul(x.T, delta, out=out)
    else:
        out[...] = x.T @ delta


def backpropagate(delta: Array, weights: Array, out: Array) -> None:
    """Compute ``out[...] = delta @ weights.T``, by broadcasting for a single output unit."""
    if delta.shape[1] == 1:
        # matmul leaves this outer product to a loop that is ten times slower.
        np.multiply(delta, weights.T, out=out)
    else:
        np.matmul(delta, weights.T, out=out)


@lru_cache(maxsize=4)
def axpy_for(dtype: np.dtype) -> Callable[..., Array]:
    """Return BLAS's ``y += a x`` of this precision."""
    return get_blas_funcs("axpy", dtype=dtype)
