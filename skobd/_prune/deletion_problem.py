"""The problem that a criterion solves, which is to choose the parameters to delete."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._net.network import Array, Indices, Mask, Network
from .._train.objective import Objective


@dataclass(frozen=True, eq=False)
class DeletionSettings:
    """Settings of the choice: the estimators' parameters of the same names.

    Attributes
    ----------
    criterion, curvature, granularity : str
    group_of : ndarray of int of shape (n_inputs,) or None
        The group of each input, for the granularity "feature"; None: each is on its own.
    """

    criterion: str = "obd"
    curvature: str = "gauss_newton"
    granularity: str = "weight"
    group_of: Indices | None = None


@dataclass(frozen=True, eq=False)
class DeletionProblem:
    """A network at which something is to be deleted.

    Attributes
    ----------
    objective : Objective
    theta : ndarray of shape (n_parameters,)
    mask : ndarray of bool of shape (n_parameters,)
        True where a parameter survives.
    settings : DeletionSettings
    rng : RandomState
    """

    objective: Objective
    theta: Array
    mask: Mask
    settings: DeletionSettings
    rng: np.random.RandomState

    @property
    def network(self) -> Network:
        """Shapes of the network."""
        return self.objective.network

    @cached_property
    def prunable(self) -> Mask:
        """True for weights that survive; intercepts are never deleted."""
        return self.mask & self.network.is_weight


def check_no_overflow(values: Array, what: str) -> None:
    """Raise ValueError if any of the values is not finite; ``what`` names them."""
    if not np.isfinite(values).all():
        raise ValueError(
            f"{what} are not finite: squares of inputs or weights are too large for "
            f"{values.dtype}. Standardise the input, or raise alpha."
        )
