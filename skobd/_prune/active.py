"""The objective over the active network: without dead units and inputs.

A hidden unit that has lost every weight contributes nothing to the objective, nor to its
gradient, nor to the penalty; without such units, and without dead inputs, the objective is the
same function of the parameters that are left.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from .._net.compaction import at_least_one, subnetwork
from .._net.network import Array, Indices, Mask
from .._train.objective import Objective
from .._train.rows import MAX_COPY_BYTES, LazyRows, take_columns
from .._train.settings import Monitor
from .._train.state import TrainingState

# Inputs are left out of the training data if a quarter of them are dead and the copy is small.
_MAX_KEPT_INPUTS = 0.75


class ActiveObjective:
    """An objective over some units and inputs of a network, and the way there and back.

    Parameters
    ----------
    whole : Objective
        Over all units and inputs.
    inputs : ndarray of int, default=None
        Inputs that are kept; None for all.
    X : {ndarray, CSR matrix}, default=None
        Their columns.

    Attributes
    ----------
    objective : Objective
        Over the active network.
    """

    def __init__(self, whole: Objective, inputs: Indices | None = None, X: Any = None) -> None:
        self.whole = self.objective = whole
        self._inputs = np.arange(whole.network.layer_sizes[0]) if inputs is None else inputs
        self._X = whole.X if X is None else X
        self._positions: Indices | None = None

    def restricted(self, prunable: Mask, max_copy_bytes: int = MAX_COPY_BYTES) -> "ActiveObjective":
        """The objective over units and inputs that have something left in ``prunable``.

        Columns of the data are copied only where that saves much and costs little memory; what
        was left out before stays out.
        """
        network = self.whole.network
        layers = network.layers(prunable)
        alive = at_least_one(layers[0][:-1].any(axis=1))
        inputs, X = self._inputs, self._X
        is_much = alive.size <= _MAX_KEPT_INPUTS * inputs.size
        if is_much and _copy_bytes(X, alive.size) <= max_copy_bytes:
            columns = np.searchsorted(inputs, alive)
            X = take_columns(X, columns)
            inputs = alive
        units = [
            at_least_one(layer.any(axis=0) | following[:-1].any(axis=1))
            for layer, following in itertools.pairwise(layers)
        ]
        active = ActiveObjective(self.whole, inputs, X)
        smaller, positions = subnetwork(network, [inputs, *units])
        if smaller.n_parameters < network.n_parameters:
            active._positions = positions
            active.objective = self.whole.replaced(network=smaller, X=X)
        return active

    def value(self, theta: Array) -> float:
        """Objective at ``theta`` over all parameters."""
        return self.objective.value(self.gather(theta))

    def of_inputs(self, vector: Any) -> Any:
        """Entries, of a vector over all inputs, that belong to the active network."""
        return vector[self._inputs]

    def gather(self, vector: Any) -> Any:
        """Entries, of a vector over all parameters, that belong to the active network."""
        return vector if self._positions is None else vector[self._positions]

    def scatter(self, values: Any, vector: Any) -> Any:
        """``vector`` with the entries that belong to the active network replaced by ``values``."""
        if self._positions is None:
            return values
        vector = vector.copy()
        vector[self._positions] = values
        return vector

    def monitor(self, monitor: Monitor, theta: Array) -> Monitor:
        """A monitor of the active network that shows all parameters; others are as in ``theta``."""
        if self._positions is None:
            return monitor

        def of_whole(function: Callable[[Array], Any] | None) -> Callable[[Array], Any] | None:
            return None if function is None else lambda v: function(self.scatter(v, theta))

        return monitor._replace(
            validate=of_whole(monitor.validate), on_epoch=of_whole(monitor.on_epoch)
        )

    def spread(self, state: TrainingState, mask: Mask) -> None:
        """Let the optimiser go on over all survivors ``mask``; inactive ones are at rest."""
        if state.optimizer is not None and self._positions is not None:
            inside = np.zeros(mask.size, dtype=bool)
            inside[self._positions] = True
            state.optimizer.expand(inside[mask])


def _copy_bytes(X: Any, n_columns: int) -> int:
    """Size of a copy of some columns; at most, for sparse data."""
    if isinstance(X, np.ndarray | LazyRows):
        return X.shape[0] * n_columns * X.dtype.itemsize
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
