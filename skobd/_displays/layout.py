"""Layout of `NetworkDisplay`: the active network, and where its units and texts are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._net.compaction import compact
from .._net.network import Network

# Inches between the middle of a text and another line that leave the text free.
_CLEAR_GAP = 0.1


class ActiveNetwork(NamedTuple):
    """The units and connections that matter for the output.

    Attributes
    ----------
    coefs : list of ndarray of shape (n_kept_in, n_kept_out)
    intercepts : list of ndarray of shape (n_kept_out,)
        With the constant output of dropped units added.
    units : list of ndarray of int
        Original indices of the inputs, the units of each hidden layer and the outputs kept.
    """

    coefs: list[np.ndarray]
    intercepts: list[np.ndarray]
    units: list[np.ndarray]


def active_network(
    coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray], activation: str
) -> ActiveNetwork:
    """Drop inputs and units that do not reach an output, and units that no input reaches.

    The latter put out a constant, which goes into the intercepts of the next layer, so that the
    smaller network predicts the same. Outputs are always kept.
    """
    network = Network((len(coefs[0]), *map(len, intercepts)), activation)
    layers = [np.vstack(layer) for layer in zip(coefs, intercepts, strict=True)]
    theta = np.concatenate([layer.ravel() for layer in layers], dtype=float)
    smaller, theta, _, kept = compact(network, theta, (theta != 0) | ~network.is_weight)
    coefs, outputs = smaller.coefs(theta), np.arange(smaller.layer_sizes[-1])
    active = ActiveNetwork(coefs, smaller.intercepts(theta), [*kept, outputs])
    # A layer in which nothing is alive still has one unit, or input.
    return _take(active, [*(np.flatnonzero(weights.any(axis=1)) for weights in coefs), outputs])


def count_connections(active: ActiveNetwork) -> int:
    """Count the connections with a weight other than 0."""
    return sum(int(np.count_nonzero(weights)) for weights in active.coefs)


def heaviest(active: ActiveNetwork, n: int) -> ActiveNetwork:
    """Keep the n connections of largest weight and what they connect; intercepts stay."""
    smallest = np.sort(np.concatenate([np.abs(weights).ravel() for weights in active.coefs]))[-n]
    coefs = [np.where(np.abs(weights) < smallest, 0, weights) for weights in active.coefs]
    outputs = np.ones(len(active.units[-1]), dtype=bool)
    incoming = [False, *(weights.any(axis=0) for weights in coefs)]
    outgoing = [*(weights.any(axis=1) for weights in coefs), outputs]
    places = [np.flatnonzero(a | b) for a, b in zip(incoming, outgoing, strict=True)]
    return _take(active._replace(coefs=coefs), places)


def untangle(active: ActiveNetwork) -> ActiveNetwork:
    """Order hidden units by the mean position of what they are connected to before.

    Inputs and outputs stay in the order of the data.
    """
    places = [np.arange(len(units)) for units in active.units]
    for layer in range(1, len(places) - 1):
        pull = np.abs(active.coefs[layer - 1][places[layer - 1]])
        mean = np.arange(len(pull)) @ pull / np.maximum(pull.sum(axis=0), np.finfo(float).tiny)
        places[layer] = np.argsort(mean / max(len(pull), 1), kind="stable")
    return _take(active, places)


def _take(active: ActiveNetwork, places: list[np.ndarray]) -> ActiveNetwork:
    """Take the units at some places of each layer, in that order."""
    return ActiveNetwork(
        [
            weights[np.ix_(rows, columns)]
            for weights, rows, columns in zip(active.coefs, places[:-1], places[1:], strict=True)
        ],
        [values[at] for values, at in zip(active.intercepts, places[1:], strict=True)],
        [units[at] for units, at in zip(active.units, places, strict=True)],
    )


def column_positions(sizes: list[int]) -> list[np.ndarray]:
    """Place columns at x = 0, 1, ..., each evenly over y in (0, 1), the first unit on top."""
    return [
        np.column_stack([np.full(n, float(layer)), 1 - (np.arange(n) + 0.5) / max(n, 1)])
        for layer, n in enumerate(sizes)
    ]


def clear_places(segments: np.ndarray) -> np.ndarray:
    """Find a point on each segment that is far from the other segments and from earlier points.

    Parameters
    ----------
    segments : ndarray of shape (n_segments, 2, 2)

    Returns
    -------
    places : ndarray of shape (n_segments, 2)
    """
    # Tried from the middle outwards: of equally good ones the most central is taken.
    fractions = 0.5 + np.repeat(np.arange(0, 0.36, 0.05), 2) * np.tile([1, -1], 8)
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]
    length = np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
    places = np.empty((len(segments), 2))
    for index in range(len(segments)):
        tried = start[index] + fractions[:, np.newaxis] * along[index]
        to_start = tried[:, np.newaxis] - start
        nearest = np.clip((to_start * along).sum(axis=2) / length, 0, 1)
        gaps = np.linalg.norm(to_start - nearest[..., np.newaxis] * along, axis=2)
        gaps[:, index] = np.inf
        texts = np.linalg.norm(tried[:, np.newaxis] - places[:index], axis=2)
        # Text over another connection is ugly; text over text cannot be read.
        clear = np.minimum(gaps.min(axis=1), _CLEAR_GAP)
        clear += 2 * np.minimum(texts.min(axis=1, initial=np.inf), 2 * _CLEAR_GAP)
        places[index] = tried[np.argmax(np.round(clear, 3))]
    return places
