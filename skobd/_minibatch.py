"""Value and gradient of the objective over one minibatch of dense rows.

Two phases, each in lanes (see `_parallel`):

1. the rows are dealt to lanes, which compute the activations and dloss/da of every layer;
2. the parameters are dealt to lanes, which compute  x^T dloss/da  over all rows for their share
   of every layer matrix, and add the penalty while it is in the cache.

So no lane has a gradient of its own, and nothing is summed over lanes but numbers: a sum of
theta-shaped arrays would take as long as a product. Views are made once, not in every step.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs

from ._losses import Loss
from ._network import Array, Network, backpropagate
from ._parallel import run_lanes

# A lane is worth a thread from about this many multiply-adds on. Every lane packs the matrices of
# its products anew: two cost 5 % of all work, eight would cost 30 %.
_LANE_MULTIPLY_ADDS = 5e6
_MIN_LANE_ROWS = 96
_MAX_LANES = 4


class _RowLane(NamedTuple):
    """Views of the buffers at some rows of the minibatch."""

    rows: slice
    inputs: Array
    activations: list[Array]
    deltas: list[Array]


class _Part(NamedTuple):
    """A share of a layer matrix: gradient = x^T delta, and what the penalty adds to it."""

    x_transposed: Array
    delta: Array
    gradient: Array
    flat_gradient: Array
    flat_weights: Array


class Minibatch:
    """Buffers, lanes and passes for minibatches of ``n_rows`` rows.

    Parameters
    ----------
    network : Network
    loss : Loss
    n_rows : int
    dtype : numpy dtype
    """

    def __init__(self, network: Network, loss: Loss, n_rows: int, dtype: Any) -> None:
        self._network, self._loss = network, loss
        self._inputs = np.empty((n_rows, network.layer_sizes[0]), dtype=dtype)
        self._activations = network.buffers(n_rows, dtype)
        # dloss/da of the output units takes the place of the raw output.
        self._deltas = network.buffers(n_rows, dtype)[:-1] + self._activations[-1:]
        self._ones = np.ones(n_rows, dtype=dtype)
        self._gradient = np.empty(network.n_parameters, dtype=dtype)
        self._axpy = get_blas_funcs("axpy", (self._gradient,))
        n_lanes = int(2 * n_rows * network.n_parameters / _LANE_MULTIPLY_ADDS)
        self._n_lanes = max(1, min(n_lanes, n_rows // _MIN_LANE_ROWS, _MAX_LANES))
        self._row_lanes = [
            _RowLane(
                rows,
                self._inputs[rows],
                [a[rows] for a in self._activations],
                [delta[rows] for delta in self._deltas],
            )
            for rows in _deal(n_rows, self._n_lanes)
        ]
        self._theta: Array | None = None

    def value_and_gradient(
        self,
        theta: Array,
        data: tuple[Array, Array, Array | None],
        rows: NDArray[np.intp],
        scale: float,
        decay: float,
    ) -> tuple[float, float, Array]:
        """Summed losses and squared weights, and the gradient of their weighted sum.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)
        data : X, Y and sample weights or None
            The whole data set.
        rows : ndarray of int of shape (n_rows,)
        scale, decay : float
            The gradient is that of  scale * sum of losses + decay / 2 ||W||^2.

        Returns
        -------
        loss : float
        squares : float
            ``||W||^2``; 0 if ``decay`` is.
        gradient : ndarray of shape (n_parameters,)
            A buffer that the next call overwrites.
        """
        self._bind(theta)

        def back_to_deltas(index: int) -> float:
            return self._deltas_of_rows(self._row_lanes[index], data, rows, scale)

        def gradient_and_penalty(index: int) -> float:
            return self._gradient_of_parts(self._parameter_lanes[index], decay)

        loss = sum(run_lanes(back_to_deltas, self._n_lanes))
        squares = sum(run_lanes(gradient_and_penalty, self._n_lanes))
        for delta, intercept in zip(self._deltas, self._intercept_gradients, strict=True):
            np.matmul(self._ones, delta, out=intercept)
        return loss, squares, self._gradient

    def _bind(self, theta: Array) -> None:
        """Make the views of ``theta``, unless it is the array of the last call."""
        if theta is self._theta:
            return
        self._theta = theta
        self._layers = self._network.layers(theta)
        gradients = self._network.layers(self._gradient)
        self._intercept_gradients = [gradient[-1] for gradient in gradients]
        self._parameter_lanes: list[list[_Part]] = [[] for _ in range(self._n_lanes)]
        inputs = [self._inputs, *self._activations[:-1]]
        for x, delta, gradient, layer in zip(
            inputs, self._deltas, gradients, self._layers, strict=True
        ):
            shares = _deal(x.shape[1], self._n_lanes)
            for lane, share in zip(self._parameter_lanes, shares, strict=True):
                flat = gradient[share].reshape(-1), layer[share].reshape(-1)
                lane.append(_Part(x[:, share].T, delta, gradient[share], *flat))

    def _deltas_of_rows(
        self,
        lane: _RowLane,
        data: tuple[Array, Array, Array | None],
        rows: NDArray[np.intp],
        scale: float,
    ) -> float:
        """Phase 1 for some rows; returns their summed loss."""
        X, Y, sample_weight = data
        rows = rows[lane.rows]
        # mode="clip" spares NumPy a second, buffered copy; the rows are known to be valid.
        np.take(X, rows, axis=0, out=lane.inputs, mode="clip")
        self._network.forward(self._layers, lane.inputs, lane.activations)
        delta = lane.deltas[-1]
        weight = None if sample_weight is None else sample_weight[rows]
        loss = self._loss.value_and_gradient(delta, np.take(Y, rows, axis=0), weight)
        delta *= scale
        for index in range(len(self._layers) - 1, 0, -1):
            upstream = lane.deltas[index - 1]
            backpropagate(delta, self._layers[index][:-1], upstream)
            self._network.f.scale_by_slope(upstream, lane.activations[index - 1])
            delta = upstream
        return loss

    def _gradient_of_parts(self, parts: list[_Part], decay: float) -> float:
        """Phase 2 for a share of every layer; returns its squared norm."""
        squares = 0.0
        for part in parts:
            np.matmul(part.x_transposed, part.delta, out=part.gradient)
            if decay:
                self._axpy(part.flat_weights, part.flat_gradient, a=decay)
                squares += float(np.dot(part.flat_weights, part.flat_weights))
        return squares


def _deal(n: int, n_lanes: int) -> list[slice]:
    edges = [n * lane // n_lanes for lane in range(n_lanes + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]
