"""Epochs of minibatches of dense rows, the update of the parameters included.

Every step has two phases, each in chunks (see `_threads`):

1. chunks of rows: the activations and dloss/da of every layer;
2. chunks of parameters: x^T dloss/da over all rows for some rows of every layer matrix; then the
   penalty is added and the update is made, while they are in the cache.

So no chunk has a gradient of its own, and nothing is summed over chunks but numbers: a sum of
theta-shaped arrays would take as long as a product. Views are made once, not in every step.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .._chunks import split_evenly
from .._net.network import Array, axpy_for
from .._threads import run_phases
from .batches import Batches, chunks_of_batch
from .compiled import epochs_or_none
from .objective import Objective
from .rows import LazyRows, gather
from .survivors import Survivors
from .updates import Update

# A chunk is worth a thread from about this many multiply-adds of a phase on, in double precision:
# threads wait for one another twice in a step, and take turns in running Python.
_CHUNK_MULTIPLY_ADDS = 5e6
# Larger minibatches go through the row blocks of the objective.
_MAX_MINIBATCH_ELEMENTS = 2**21


class Epochs(Protocol):
    """Epochs of one batch size over one objective."""

    def run(self, survivors: Survivors, update: Update, order: NDArray[np.intp]) -> float:
        """One pass over the rows in the given order; returns the mean objective of its batches.

        Over a minibatch S is the weight of its rows, as in scikit-learn.
        """


def make_epochs(
    objective: Objective, batch_size: int, solver: str, tell: Callable[[str], None] | None = None
) -> Epochs:
    """Make epochs of the fastest kind that can do it, compiled ones where they are wanted."""
    X = objective.X
    is_small = batch_size * max(objective.network.layer_sizes) <= _MAX_MINIBATCH_ELEMENTS
    if not (is_small and isinstance(X, np.ndarray | LazyRows)):
        return BlockEpochs(objective, batch_size)
    compiled = epochs_or_none(objective, batch_size, solver, tell)
    return compiled or DenseEpochs(objective, batch_size)


class BlockEpochs:
    """Epochs of sparse rows, or of minibatches too large to have buffers of their own."""

    def __init__(self, objective: Objective, batch_size: int) -> None:
        self._objective, self._batch_size = objective, batch_size

    def run(self, survivors: Survivors, update: Update, order: NDArray[np.intp]) -> float:
        """See `Epochs`."""
        total = 0.0
        plan = Batches.of(self._objective, order, self._batch_size)
        steps = update.begin_steps(len(plan))
        for numbers, rows in zip(steps, plan.rows(), strict=True):
            value, gradient = self._objective.value_and_gradient(survivors.theta, rows)
            total += value * len(rows)
            update.apply(numbers, survivors.values, survivors.gather(gradient), slice(None))
            survivors.scatter()
        return total / len(order)


class _RowChunk(NamedTuple):
    """Views of the buffers at some rows of the minibatch."""

    rows: slice
    inputs: Array
    activations: list[Array]
    deltas: list[Array]


class _ParameterChunk(NamedTuple):
    """Some rows of a layer matrix, with the intercepts if it is the last of the layer.

    The gradient of the weights is  x^T delta;  flat arrays are slices of theta and of its
    gradient. ``updated`` are the survivors that are updated once it is known.
    """

    x_transposed: Array
    delta: Array
    gradient: Array
    intercepts: Array | None
    weights: Array
    flat_gradient: Array
    updated: slice | None


class DenseEpochs:
    """Epochs of small minibatches of dense rows, with buffers and views made once.

    Parameters
    ----------
    objective : Objective
    batch_size : int
    n_chunks : int, default=None
        None for as many as are worth a thread.
    """

    def __init__(self, objective: Objective, batch_size: int, n_chunks: int | None = None) -> None:
        network, X = objective.network, objective.X
        self._network, self._loss, self._penalty = network, objective.loss, objective.penalty
        self._objective = objective
        self._X, self._Y, self._sample_weight = X, objective.Y, objective.sample_weight
        self._batch_size = batch_size
        worth = _CHUNK_MULTIPLY_ADDS * 8 / X.dtype.itemsize
        self._n_chunks = n_chunks or chunks_of_batch(objective, batch_size, worth)
        self._inputs = np.empty((batch_size, network.layer_sizes[0]), dtype=X.dtype)
        self._activations = network.buffers(batch_size, X.dtype)
        # dloss/da of the output units takes the place of the raw output.
        self._deltas = network.buffers(batch_size, X.dtype)[:-1] + self._activations[-1:]
        self._ones = np.ones(batch_size, dtype=X.dtype)
        self._gradient = np.empty(network.n_parameters, dtype=X.dtype)
        self._axpy = axpy_for(X.dtype)

    def run(self, survivors: Survivors, update: Update, order: NDArray[np.intp]) -> float:
        """See `Epochs`."""
        plan = Batches.of(self._objective, order, self._batch_size)
        batches, weights = plan.rows(), plan.weights
        # The last batch may be smaller.
        views = {n: self._views(survivors, n) for n in {len(batches[0]), len(batches[-1])}}
        losses, squares = np.zeros((2, self._n_chunks, len(batches)))
        numbers = update.begin_steps(len(batches))

        def back_to_deltas(step: int, index: int) -> None:
            row_chunks, _ = views[len(batches[step])]
            chunk = row_chunks[index]
            rows, delta = batches[step][chunk.rows], chunk.deltas[-1]
            gather(self._X, rows, chunk.inputs)
            activations = self._network.forward(layers, chunk.inputs, chunk.activations)
            weight = None if self._sample_weight is None else self._sample_weight[rows]
            losses[index, step] = self._loss.value_and_gradient(delta, self._Y[rows], weight)
            delta *= 1 / float(weights[step])
            self._network.backward(layers, activations, chunk.deltas)

        def descend(step: int, index: int) -> None:
            decay = self._penalty.decay(float(weights[step]))
            _, parameter_chunks = views[len(batches[step])]
            for chunk in parameter_chunks[index]:
                squares[index, step] += self._gradient_of(chunk, decay)
                place = chunk.updated
                if place is not None:
                    gradient = survivors.gather(self._gradient, place)
                    update.apply(numbers[step], survivors.values[place], gradient, place)
                    survivors.scatter(place)

        layers = self._network.layers(survivors.theta)
        run_phases((back_to_deltas, descend), len(batches), self._n_chunks)
        return plan.mean(losses, squares, self._penalty.alpha)

    def _views(
        self, survivors: Survivors, n_rows: int
    ) -> tuple[list[_RowChunk], list[list[_ParameterChunk]]]:
        """For a minibatch of ``n_rows`` rows, what each chunk is in either phase."""
        inputs, activations, deltas = self._inputs[:n_rows], self._activations, self._deltas
        row_chunks = [
            _RowChunk(
                rows,
                inputs[rows],
                [a[rows] for a in activations],
                [delta[rows] for delta in deltas],
            )
            for rows in split_evenly(n_rows, self._n_chunks)
        ]
        offsets = self._network.offsets.tolist()
        parameter_chunks: list[list[_ParameterChunk]] = [[] for _ in row_chunks]
        xs = [inputs, *(a[:n_rows] for a in activations[:-1])]
        for index, (x, (fan_in, fan_out)) in enumerate(
            zip(xs, ((n - 1, m) for n, m in self._network.shapes), strict=True)
        ):
            for chunks, rows in zip(
                parameter_chunks, split_evenly(fan_in, self._n_chunks), strict=True
            ):
                start, stop = (offsets[index] + row * fan_out for row in (rows.start, rows.stop))
                is_last = rows.stop == fan_in
                if start == stop:
                    continue
                gradient = self._gradient[start:stop]
                updated: slice | None = survivors.within(slice(start, stop + is_last * fan_out))
                if self._n_chunks == 1:
                    # All parameters are updated in one go, after the last layer.
                    updated = slice(None) if index == len(xs) - 1 else None
                chunks.append(
                    _ParameterChunk(
                        x[:, rows].T,
                        deltas[index][:n_rows],
                        gradient.reshape(-1, fan_out),
                        self._gradient[stop : stop + fan_out] if is_last else None,
                        survivors.theta[start:stop],
                        gradient,
                        updated,
                    )
                )
        return row_chunks, parameter_chunks

    def _gradient_of(self, chunk: _ParameterChunk, decay: float) -> float:
        """Gradient of a chunk; returns the squared norm of its weights if they decay."""
        np.matmul(chunk.x_transposed, chunk.delta, out=chunk.gradient)
        if chunk.intercepts is not None:
            np.matmul(self._ones[: len(chunk.delta)], chunk.delta, out=chunk.intercepts)
        if not decay:
            return 0.0
        self._axpy(chunk.weights, chunk.flat_gradient, a=decay)
        return float(np.dot(chunk.weights, chunk.weights))
