"""Epochs of minibatches of dense rows by the compiled step."""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._chunks import split_evenly
from ..._net.losses import LOSSES
from ..._net.network import Array
from ..._threads import count_threads, run_threads
from ..batches import Batches, chunks_of_batch
from ..objective import Objective
from ..rows import LazyRows
from ..survivors import Survivors
from ..updates import Update

# Threads that wait without Python are worthwhile for shorter steps.
_CHUNK_MULTIPLY_ADDS = 5e5
# A call takes some 30 ms; the calling thread can be interrupted only between calls.
_CALL_MULTIPLY_ADDS = 1e9


class Step(NamedTuple):
    """The compiled step for one floating type.

    Attributes
    ----------
    kernels : module
    run_steps : numba's dispatcher
        The compiled function.
    addresses : (int, (int, int))
        See `run_steps` of the kernels.
    """

    kernels: ModuleType
    run_steps: Any
    addresses: tuple[int, tuple[int, int]]


def is_known(step: Step, objective: Objective, solver: str) -> bool:
    """Return whether the kernels know the parts of an objective and the update of the solver."""
    kernels = step.kernels
    return (
        objective.network.activation in kernels.ACTIVATIONS
        and _loss_name(objective) in kernels.LOSSES
        and solver in kernels.UPDATES
    )


def _loss_name(objective: Objective) -> str:
    return next((name for name, loss in LOSSES.items() if loss is objective.loss), "")


class CompiledEpochs:
    """Epochs of `DenseEpochs`, up to rounding, by functions that numba has compiled.

    Each thread runs a compiled function without the interpreter's lock; they wait for one another
    there, so that numba's own threads, which a fork or a second fit can break, are never started.

    Parameters
    ----------
    objective : Objective
        Objective of dense rows, in any layout.
    batch_size : int
    step : Step
    n_chunks : int, default=None
        Number of chunks; None for as many as are worth a thread.
    """

    def __init__(
        self, objective: Objective, batch_size: int, step: Step, n_chunks: int | None = None
    ) -> None:
        network, dtype = objective.network, objective.dtype
        self._kernels, self._step = step.kernels, step
        self._objective, self._batch_size = objective, batch_size
        self._n_chunks = n_chunks or chunks_of_batch(objective, batch_size, _CHUNK_MULTIPLY_ADDS)
        multiply_adds = 2 * batch_size * network.n_parameters
        self._steps_per_call = max(1, int(_CALL_MULTIPLY_ADDS / multiply_adds))
        X = objective.X
        base = X.base if isinstance(X, LazyRows) else X
        self._none = np.empty(0, dtype=dtype)
        weight = self._none if objective.sample_weight is None else objective.sample_weight
        # The arrays behind the views below must live as long as the views.
        self._data = [base, *(np.ascontiguousarray(a, dtype=dtype) for a in (objective.Y, weight))]
        n_units = sum(network.layer_sizes[1:])
        sizes = [network.layer_sizes[0] * batch_size, *[n_units * batch_size] * 2]
        self._buffers = [np.empty(size, dtype=dtype) for size in sizes]
        self._gradient = np.empty(self._n_chunks * network.n_parameters, dtype=dtype)
        self._scratch = self._none
        self._shape: tuple[Survivors, Any] | None = None

    def run(self, survivors: Survivors, update: Update, order: NDArray[np.intp]) -> float:
        """Run an epoch, see `Epochs`."""
        batches = Batches.of(self._objective, order, self._batch_size)
        losses, squares = np.zeros((2, self._n_chunks, len(batches)))
        shape, arrays = self._shape_of(survivors, update), self._arrays(survivors, update)
        plan = self._plan(survivors, update, batches, losses, squares)
        state = np.zeros(self._kernels.STATE_SIZE, dtype=np.int64)
        n_threads = count_threads(self._n_chunks)

        def work(thread: int) -> None:
            for first in range(0, len(batches), self._steps_per_call):
                last = min(first + self._steps_per_call, len(batches))
                steps = thread, n_threads, first, last
                run_steps, addresses = self._step.run_steps, self._step.addresses
                if not run_steps(shape, arrays, plan, addresses, state, steps):
                    break

        def abort() -> None:
            state[self._kernels.STOP] = 1

        run_threads(work, n_threads, abort)
        return batches.mean(losses, squares, self._objective.alpha)

    def _shape_of(self, survivors: Survivors, update: Update) -> Any:
        """Return the network and its chunks, made once for the same survivors."""
        if self._shape is not None and self._shape[0] is survivors:
            return self._shape[1]
        objective, network = self._objective, self._objective.network
        fan_in, fan_out = np.array(network.layer_sizes[:-1]), np.array(network.layer_sizes[1:])
        chunks = split_evenly(network.n_parameters, self._n_chunks)
        bounds = np.array(
            [(place.start, place.stop, survivors.within(place).start) for place in chunks]
        )
        shape = self._kernels.Shape(
            fan_in,
            fan_out,
            network.offsets[:-1].astype(np.int64),
            np.cumsum([0, *fan_out[:-1] * self._batch_size]),
            bounds,
            _strides(self._data[0]),
            self._kernels.ACTIVATIONS.index(network.activation),
            self._kernels.LOSSES.index(_loss_name(objective)),
            self._kernels.UPDATES.index(update.settings.solver),
            float(objective.alpha),
        )
        self._shape = survivors, shape
        is_whole = survivors.positions is None
        self._scratch = self._none if is_whole else np.empty_like(survivors.values)
        return shape

    def _arrays(self, survivors: Survivors, update: Update) -> Any:
        first, second = [*update.moments, self._none][:2]
        X, *data = self._data
        arrays = [
            *data,
            *self._buffers,
            survivors.theta,
            self._gradient,
            survivors.values,
            self._scratch,
            first,
            second,
        ]
        return self._kernels.Arrays(_plain(X, np.dtype(np.uint8)), *map(_plain, arrays))

    def _plan(
        self,
        survivors: Survivors,
        update: Update,
        batches: Batches,
        losses: Array,
        squares: Array,
    ) -> Any:
        order, X = batches.order, self._objective.X
        return self._kernels.Plan(
            X.source_indices(order) if isinstance(X, LazyRows) else order,
            order,
            batches.edges,
            batches.weights,
            np.array(update.begin_steps(len(batches))),
            order[:0] if survivors.positions is None else survivors.positions,
            losses,
            squares,
        )


class _Memory:
    """Writable memory of an array."""

    def __init__(self, array: NDArray[Any], dtype: np.dtype[Any]) -> None:
        low, high = np.lib.array_utils.byte_bounds(array)
        self.__array_interface__ = {
            "data": (low, False),
            "shape": ((high - low) // dtype.itemsize,),
            "typestr": dtype.str,
            "version": 3,
        }


def _plain(array: NDArray[Any], dtype: np.dtype[Any] | None = None) -> NDArray[Any]:
    """Return all memory of an array as a flat, writable view, which does not keep it alive.

    numba compiles again for read-only arrays, such as those that joblib maps into memory.
    """
    return np.asarray(_Memory(array, dtype or array.dtype))


def _strides(X: NDArray[Any]) -> tuple[int, int, int]:
    """See `x_strides` of the kernels; from the last row to the first steps are negative."""
    row, column = X.strides
    first = sum(max(0, -step) * (n - 1) for step, n in zip(X.strides, X.shape, strict=True))
    return first, row, column
