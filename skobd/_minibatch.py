"""Epochs of minibatches of dense rows, the update of the parameters included.

Every step has two phases, each in lanes (see `_parallel`):

1. the rows are dealt to lanes, which compute the activations and dloss/da of every layer;
2. the parameters are dealt to lanes, which compute  x^T dloss/da  over all rows for their share
   of every layer matrix, add the penalty and make the update while it is in the cache.

So no lane has a gradient of its own, and nothing is summed over lanes but numbers: a sum of
theta-shaped arrays would take as long as a product. Views are made once, not in every step.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._losses import Loss
from ._network import Array, Network
from ._parallel import deal, run_phases
from ._updates import Apply, Survivors, Update, axpy_for

# A lane is worth a thread from about this many multiply-adds of a phase on: threads wait for one
# another twice in a step, and take turns in running Python.
_LANE_MULTIPLY_ADDS = 2e7
_MIN_LANE_ROWS = 96
# Every lane packs the matrices of its products anew: two cost 5 % of all work, eight 30 %.
_MAX_LANES = 4


class _RowLane(NamedTuple):
    """Views of the buffers at some rows of the minibatch."""

    rows: slice
    inputs: Array
    activations: list[Array]
    deltas: list[Array]


class _Share(NamedTuple):
    """Some rows of a layer matrix, with the intercepts if it is the last of the layer.

    The gradient of the weights is  x^T delta;  flat arrays are stretches of theta and of its
    gradient.
    """

    x_transposed: Array
    delta: Array
    gradient: Array
    intercepts: Array | None
    weights: Array
    flat_gradient: Array
    survivors: slice


class Epochs:
    """Buffers, lanes and passes for epochs of one batch size over one data set.

    Parameters
    ----------
    network : Network
    loss : Loss
    X : ndarray of shape (n_samples, n_inputs)
    Y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,) or None
    alpha : float
    batch_size : int
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        X: Array,
        Y: Array,
        sample_weight: Array | None,
        alpha: float,
        batch_size: int,
    ) -> None:
        self._network, self._loss, self._alpha = network, loss, alpha
        self._X, self._Y, self._sample_weight = X, Y, sample_weight
        self._batch_size = batch_size
        n_lanes = int(2 * batch_size * network.n_parameters / _LANE_MULTIPLY_ADDS)
        self._n_lanes = max(1, min(n_lanes, batch_size // _MIN_LANE_ROWS, _MAX_LANES))
        self._inputs = np.empty((batch_size, network.layer_sizes[0]), dtype=X.dtype)
        self._activations = network.buffers(batch_size, X.dtype)
        # dloss/da of the output units takes the place of the raw output.
        self._deltas = network.buffers(batch_size, X.dtype)[:-1] + self._activations[-1:]
        self._ones = np.ones(batch_size, dtype=X.dtype)
        self._gradient = np.empty(network.n_parameters, dtype=X.dtype)
        self._axpy = axpy_for(X.dtype)

    def run(self, survivors: Survivors, update: Update, order: NDArray[np.intp]) -> float:
        """One pass over the rows in the given order; returns the mean objective of its batches.

        Over a minibatch S is the weight of its rows, as in scikit-learn.
        """
        starts = range(0, len(order), self._batch_size)
        batches = [order[start : start + self._batch_size] for start in starts]
        sizes = np.array([len(batch) for batch in batches], dtype=np.float64)
        weights = sizes
        if self._sample_weight is not None:
            weights = np.add.reduceat(self._sample_weight[order], starts, dtype=np.float64)
        # The last batch may be smaller.
        views = {n: self._views(survivors, n) for n in {len(batches[0]), len(batches[-1])}}
        losses, squares = np.zeros((2, self._n_lanes, len(batches)))
        apply: Apply | None = None

        def back_to_deltas(step: int, lane: int) -> None:
            nonlocal apply
            if lane == 0:
                apply = update.begin_step()
            rows, scale = batches[step], 1 / float(weights[step])
            row_lanes, _ = views[len(rows)]
            losses[lane, step] = self._deltas_of_rows(row_lanes[lane], layers, rows, scale)

        def descend(step: int, lane: int) -> None:
            assert apply is not None
            decay = self._alpha / float(weights[step])
            _, shares = views[len(batches[step])]
            for share in shares[lane]:
                squares[lane, step] += self._gradient_of_share(share, decay)
                stretch = share.survivors
                gradient = survivors.gather(self._gradient, stretch)
                apply(survivors.values[stretch], gradient, stretch)
                survivors.scatter(stretch)

        layers = self._network.layers(survivors.theta)
        run_phases((back_to_deltas, descend), len(batches), self._n_lanes)
        values = (losses.sum(axis=0) + 0.5 * self._alpha * squares.sum(axis=0)) / weights
        return float(np.dot(values, sizes)) / len(order)

    def _views(
        self, survivors: Survivors, n_rows: int
    ) -> tuple[list[_RowLane], list[list[_Share]]]:
        """For a minibatch of ``n_rows`` rows, what each lane works on in either phase."""
        inputs, activations, deltas = self._inputs[:n_rows], self._activations, self._deltas
        row_lanes = [
            _RowLane(
                rows,
                inputs[rows],
                [a[rows] for a in activations],
                [delta[rows] for delta in deltas],
            )
            for rows in deal(n_rows, self._n_lanes)
        ]
        offsets = self._network.offsets.tolist()
        lanes: list[list[_Share]] = [[] for _ in row_lanes]
        xs = [inputs, *(a[:n_rows] for a in activations[:-1])]
        for index, (x, (fan_in, fan_out)) in enumerate(
            zip(xs, ((n - 1, m) for n, m in self._network.shapes), strict=True)
        ):
            for lane, rows in zip(lanes, deal(fan_in, self._n_lanes), strict=True):
                start, stop = (offsets[index] + row * fan_out for row in (rows.start, rows.stop))
                is_last = rows.stop == fan_in
                if start == stop:
                    continue
                gradient = self._gradient[start:stop]
                lane.append(
                    _Share(
                        x[:, rows].T,
                        deltas[index][:n_rows],
                        gradient.reshape(-1, fan_out),
                        self._gradient[stop : stop + fan_out] if is_last else None,
                        survivors.theta[start:stop],
                        gradient,
                        survivors.within(slice(start, stop + is_last * fan_out)),
                    )
                )
        return row_lanes, lanes

    def _deltas_of_rows(
        self, lane: _RowLane, layers: list[Array], rows: NDArray[np.intp], scale: float
    ) -> float:
        """Phase 1 for some rows of a minibatch; returns their summed loss."""
        rows = rows[lane.rows]
        # mode="clip" spares NumPy a second, buffered copy; the rows are known to be valid.
        np.take(self._X, rows, axis=0, out=lane.inputs, mode="clip")
        activations = self._network.forward(layers, lane.inputs, lane.activations)
        delta = lane.deltas[-1]
        weight = None if self._sample_weight is None else self._sample_weight[rows]
        loss = self._loss.value_and_gradient(delta, self._Y[rows], weight)
        delta *= scale
        self._network.backward(layers, activations, lane.deltas)
        return loss

    def _gradient_of_share(self, share: _Share, decay: float) -> float:
        """Gradient of a share; returns the squared norm of its weights if they decay."""
        np.matmul(share.x_transposed, share.delta, out=share.gradient)
        if share.intercepts is not None:
            np.matmul(self._ones[: len(share.delta)], share.delta, out=share.intercepts)
        if not decay:
            return 0.0
        self._axpy(share.weights, share.flat_gradient, a=decay)
        return float(np.dot(share.weights, share.weights))
