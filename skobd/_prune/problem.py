"""What a criterion looks at: an objective, the parameters, and how to choose among them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._net.network import Array, Indices, Mask, Network
from .._train.objective import Objective


@dataclass(frozen=True)
class DeletionSettings:
    """How parameters are chosen for deletion; the estimators' parameters of the same names."""

    criterion: str = "obd"
    curvature: str = "gauss_newton"
    granularity: str = "weight"
    prune_intercepts: bool = False


@dataclass(frozen=True, eq=False)
class Problem:
    """A network at which something is to be deleted.

    Attributes
    ----------
    objective : Objective
    theta : ndarray of shape (n_parameters,)
    mask : ndarray of bool of shape (n_parameters,)
        True where a parameter survives.
    settings : DeletionSettings
    rng : RandomState
    group_of : ndarray of int of shape (n_inputs,) or None
        The group of each input, for the granularity "feature"; None: each is on its own.
    """

    objective: Objective
    theta: Array
    mask: Mask
    settings: DeletionSettings
    rng: np.random.RandomState
    group_of: Indices | None = None

    @property
    def network(self) -> Network:
        """Shapes of the network."""
        return self.objective.network

    @cached_property
    def prunable(self) -> Mask:
        """Surviving parameters that may be deleted."""
        return self.mask & prunable(self.network, self.settings.prune_intercepts)


def check_no_overflow(values: Array, what: str) -> None:
    """Raise ValueError if any of the values is not finite; ``what`` names them."""
    if not np.isfinite(values).all():
        raise ValueError(
            f"{what} are not finite: squares of inputs or weights are too large for "
            f"{values.dtype}. Standardise the input, or raise alpha."
        )


def prunable(network: Network, prune_intercepts: bool) -> Mask:
    """What ``prune_fraction`` is a fraction of: all weights, and the intercepts if asked."""
    if prune_intercepts:
        return np.ones(network.n_parameters, dtype=bool)
    return network.is_weight
