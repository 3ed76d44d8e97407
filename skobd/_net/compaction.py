"""Smaller networks that predict the same, without dead units and inputs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .dead_units import fold_constants, without_dead_units
from .network import Array, Indices, Mask, Network


class Compaction(NamedTuple):
    """A smaller network that predicts the same.

    Attributes
    ----------
    network : Network
    theta : ndarray of shape (network.n_parameters,)
    mask : ndarray of bool of shape (network.n_parameters,)
    kept_units : list of ndarray of int
        Kept inputs of the whole network, then the kept units of each hidden layer.
    """

    network: Network
    theta: Array
    mask: Mask
    kept_units: list[Indices]


def compact(network: Network, theta: Array, mask: Mask, keep_inputs: bool = False) -> Compaction:
    """Drop dead inputs and hidden units; each layer keeps at least one.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,)
    mask : ndarray of bool of shape (n_parameters,)
    keep_inputs : bool, default=False
        Whether to keep dead inputs.

    Returns
    -------
    compaction : Compaction
    """
    everything = np.ones_like(mask)
    left = without_dead_units(network, mask, everything)
    theta = fold_constants(network, np.where(mask, theta, 0), left, mask & ~left)
    kept = [at_least_one(layer[:-1].any(axis=1)) for layer in network.layers(left)]
    if keep_inputs:
        kept[0] = np.arange(network.layer_sizes[0])
    smaller, positions = subnetwork(network, kept)
    small_mask = left[positions]
    return Compaction(smaller, np.where(small_mask, theta[positions], 0), small_mask, kept)


def subnetwork(network: Network, kept: Sequence[Indices]) -> tuple[Network, Indices]:
    """Return the network of the inputs ``kept[0]`` and hidden units ``kept[1:]``.

    Returns
    -------
    network : Network
    positions : ndarray of int of shape (network.n_parameters,)
        Position of each of its parameters in the ``theta`` of the whole network.
    """
    columns = [*kept[1:], np.arange(network.layer_sizes[-1])]
    positions = [
        layer[np.ix_([*rows, layer.shape[0] - 1], units)].ravel()
        for layer, rows, units in zip(
            network.layers(np.arange(network.n_parameters)), kept, columns, strict=True
        )
    ]
    sizes = tuple(len(units) for units in (kept[0], *columns))
    return Network(sizes, network.activation), np.concatenate(positions)


def at_least_one(alive: Any) -> Indices:
    """Return the indices of live units, or the first index if there is none."""
    return np.flatnonzero(alive) if alive.any() else np.zeros(1, dtype=np.intp)
