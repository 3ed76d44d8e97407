"""Objective, training and deletion of the active network, without dead units and inputs.

A hidden unit that has lost every weight contributes nothing to the objective, nor to its
gradient, nor to the penalty; without such units, and without dead inputs, the objective is the
same function of the parameters that are left.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .._net.compaction import at_least_one, subnetwork
from .._net.network import Array, Indices, Mask
from .._net.pruned import PrunedNetwork
from .._train.objective import Objective
from .._train.rows import MAX_COPY_BYTES, LazyRows, take_columns
from .._train.settings import Monitor, Training
from .._train.solvers import SOLVERS, check_finite
from .._train.state import SolverResult, Status, TrainingState
from .deletion_problem import DeletionProblem, DeletionSettings
from .granularity import GRANULARITIES

# Inputs are dropped from the training data if a quarter of them are dead and the copy is small.
_MAX_KEPT_INPUTS = 0.75
# Derivatives at this many evenly spaced rows, or up to twice as many, suffice for a deletion.
_DELETION_ROWS = 5000


class ActiveObjective:
    """An objective over some units and inputs of a network, with conversions of its parameters.

    Parameters
    ----------
    whole : Objective
        Objective over all units and inputs.
    inputs : ndarray of int, default=None
        Inputs that are kept; None for all.
    X : {ndarray, CSR matrix}, default=None
        Columns of these inputs.

    Attributes
    ----------
    objective : Objective
        Objective over the active network.
    """

    def __init__(self, whole: Objective, inputs: Indices | None = None, X: Any = None) -> None:
        self.whole = self.objective = whole
        self._inputs = np.arange(whole.network.layer_sizes[0]) if inputs is None else inputs
        self._X = whole.X if X is None else X
        self._positions: Indices | None = None

    def restricted(self, mask: Mask, max_copy_bytes: int = MAX_COPY_BYTES) -> "ActiveObjective":
        """Restrict the objective to units and inputs that have any weight left.

        Columns of the data are copied only if that saves much time and costs little memory. Units
        and inputs that were left out before stay out.
        """
        network = self.whole.network
        coefs = network.coefs(mask)
        alive = at_least_one(coefs[0].any(axis=1))
        inputs, X = self._inputs, self._X
        is_much = alive.size <= _MAX_KEPT_INPUTS * inputs.size
        if is_much and _copy_bytes(X, alive.size) <= max_copy_bytes:
            X = take_columns(X, np.searchsorted(inputs, alive))
            inputs = alive
        units = [
            at_least_one(incoming.any(axis=0) | outgoing.any(axis=1))
            for incoming, outgoing in itertools.pairwise(coefs)
        ]
        active = ActiveObjective(self.whole, inputs, X)
        smaller, positions = subnetwork(network, [inputs, *units])
        if smaller.n_parameters < network.n_parameters:
            active._positions = positions
            active.objective = self.whole.replaced(network=smaller, X=X)
        return active

    def value(self, theta: Array) -> float:
        """Compute the objective at ``theta`` over all parameters."""
        return self.objective.value(self.gather(theta))

    def gather(self, vector: Any) -> Any:
        """Select the entries for the active network from a vector over all parameters."""
        return vector if self._positions is None else vector[self._positions]

    def scatter(self, values: Any, vector: Any) -> Any:
        """Replace the entries for the active network in a copy of ``vector``."""
        if self._positions is None:
            return values
        vector = vector.copy()
        vector[self._positions] = values
        return vector

    def monitor(self, monitor: Monitor, theta: Array) -> Monitor:
        """Make a monitor of the active network show all parameters, the others as in ``theta``."""
        if self._positions is None:
            return monitor

        def of_whole(function: Callable[[Array], Any] | None) -> Callable[[Array], Any] | None:
            return None if function is None else lambda v: function(self.scatter(v, theta))

        return monitor._replace(
            validate=of_whole(monitor.validate), on_epoch=of_whole(monitor.on_epoch)
        )

    def expand_optimizer(self, state: TrainingState, mask: Mask) -> None:
        """Extend the optimiser to all survivors ``mask``, with zero moments for inactive ones."""
        if state.optimizer is not None and self._positions is not None:
            inside = np.zeros(mask.size, dtype=bool)
            inside[self._positions] = True
            state.optimizer.expand(inside[mask])

    def problem(
        self, pruned: PrunedNetwork, settings: DeletionSettings, rng: np.random.RandomState
    ) -> DeletionProblem:
        """Pose the deletion from a network within the active one."""
        if settings.group_of is not None:
            settings = replace(settings, group_of=settings.group_of[self._inputs])
        theta, mask = self.gather(pruned.theta), self.gather(pruned.mask)
        n_samples = self.objective.n_samples
        sample = self.objective.thinned(-(-n_samples // max(1, n_samples // _DELETION_ROWS)))
        return DeletionProblem(sample, theta, mask, settings, rng)


def active_objective(
    whole: Objective, pruned: PrunedNetwork, max_copy_bytes: int = MAX_COPY_BYTES
) -> ActiveObjective:
    """Return the objective over the active part of a network; see `ActiveObjective.restricted`."""
    return ActiveObjective(whole).restricted(pruned.mask, max_copy_bytes)


def train_active(
    active: ActiveObjective, pruned: PrunedNetwork, state: TrainingState, training: Training
) -> SolverResult:
    """Train the survivors, and return a result over all parameters."""
    theta, mask, settings = pruned.theta, pruned.mask, training.settings
    if settings.max_iter == 0:
        return SolverResult(theta, np.nan, 0, state, Status.CONVERGED)
    training = replace(training, monitor=active.monitor(training.monitor, theta))
    result = SOLVERS[settings.solver](
        active.objective, active.gather(theta), active.gather(mask), state, training
    )
    try:
        check_finite(result, training, active.objective)
    except KeyboardInterrupt:
        # An interrupt during the evaluation does not lose the trained network.
        result = replace(result, status=Status.INTERRUPTED)
    active.expand_optimizer(result.state, mask)
    return replace(result, theta=active.scatter(result.theta, theta))


def delete_active(
    active: ActiveObjective,
    pruned: PrunedNetwork,
    n_delete: int,
    settings: DeletionSettings,
    rng: np.random.RandomState,
) -> tuple[PrunedNetwork, float]:
    """Delete within the active network.

    Returns
    -------
    pruned : PrunedNetwork
        Network over all parameters.
    predicted_increase : float
        Increase of the objective that the criterion predicts; NaN if it predicts none.
    """
    problem = active.problem(pruned, settings, rng)
    deletion = GRANULARITIES[settings.granularity].delete(problem, n_delete)
    theta = active.scatter(deletion.theta, pruned.theta)
    mask = active.scatter(deletion.mask, pruned.mask)
    return PrunedNetwork(pruned.network, theta, mask), deletion.predicted_increase


def _copy_bytes(X: Any, n_columns: int) -> int:
    """Return the size of a copy of some columns; an upper bound for sparse data."""
    if isinstance(X, np.ndarray | LazyRows):
        return X.shape[0] * n_columns * X.dtype.itemsize
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
