"""Deleting whole hidden units or whole inputs instead of single weights.

The saliency of a group is the summed saliency of what is deleted with it. For the surgeon family
it is that of the outgoing weights, jointly made up for by the survivors of the next layer: without
them the incoming weights have no effect.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ._network import Array, Indices, Mask, Network
from ._objective import Objective
from ._surgery import (
    CRITERIA,
    Deletion,
    SurgerySettings,
    candidates,
    delete_lowest,
    fold_constants,
)


class Group(NamedTuple):
    """A hidden unit or an input.

    Attributes
    ----------
    layer : int
        Index of the layer of units it belongs to, 0 being the inputs.
    incoming, outgoing : ndarray of int
        Positions in ``theta`` of what is deleted with it; inputs have no incoming ones.
    """

    layer: int
    incoming: Indices
    outgoing: Indices


def _groups(network: Network, granularity: str) -> Iterator[Group]:
    positions = network.layers(np.arange(network.n_parameters))
    nothing = np.empty(0, dtype=np.intp)
    if granularity == "feature":
        for row in positions[0][:-1]:
            yield Group(0, nothing, row)
        return
    for layer, (before, after) in enumerate(itertools.pairwise(positions), start=1):
        for unit in range(before.shape[1]):
            yield Group(layer, before[:, unit], after[unit])


def delete_groups(
    objective: Objective,
    theta: Array,
    mask: Mask,
    n_delete: int,
    settings: SurgerySettings,
    rng: np.random.RandomState,
) -> Deletion:
    """Delete the least salient units or inputs, at most ``n_delete`` parameters with them.

    Groups are taken in ascending order of saliency; one that would exceed the number is passed
    over. The last group of a layer always stays.
    """
    network, criterion = objective.network, CRITERIA[settings.criterion]
    able = candidates(network, mask, settings)
    saliencies = np.where(able, criterion.saliencies(objective, theta, mask, settings, rng), 0)
    groups = list(_groups(network, settings.granularity))
    totals = [
        saliencies[group.outgoing].sum()
        + (0 if criterion.correct else saliencies[group.incoming].sum())
        for group in groups
    ]
    order = np.argsort(totals, kind="stable")
    deleted, outgoing = _choose(groups, order, able, mask, n_delete)
    if _connects(network, mask) and not _connects(network, mask & ~deleted):
        # Where single weights went before, the last unit of a layer may be one of several.
        deleted, outgoing = _choose(
            groups, order, able, mask, n_delete, lambda gone: _connects(network, mask & ~gone)
        )
    if not deleted.any():
        return Deletion(theta, mask, 0.0)
    rise = float(saliencies[deleted].sum()) if criterion.predicts else np.nan
    new_theta = theta
    if criterion.correct is not None:
        new_theta, rise = criterion.correct(objective, theta, mask, outgoing, settings, rng)
    new_theta = fold_constants(network, new_theta, mask, outgoing)
    mask = mask & ~deleted
    new_theta = np.where(mask, new_theta, 0).astype(theta.dtype, copy=False)
    return Deletion(new_theta, mask, rise)


def _choose(
    groups: list[Group],
    order: np.ndarray,
    able: Mask,
    mask: Mask,
    n_delete: int,
    allows: Callable[[Mask], bool] | None = None,
) -> tuple[Mask, Mask]:
    """What is deleted, and the part of it that goes out of the deleted groups.

    ``allows(gone)`` says whether everything in a mask may be gone.
    """
    left = able.copy()
    outgoing = np.zeros_like(mask)
    n_alive = np.bincount(
        [group.layer for group in groups if _is_alive(group, left)],
        minlength=1 + max((group.layer for group in groups), default=0),
    )
    for group in map(groups.__getitem__, order):
        positions = np.concatenate([group.incoming, group.outgoing])
        n_gone = int(left[positions].sum())
        if not n_gone or n_gone > n_delete:
            continue
        if allows is not None:
            gone = able & ~left
            gone[positions] = able[positions]
            if not allows(gone):
                continue
        if _is_alive(group, left):
            if n_alive[group.layer] == 1:
                continue
            n_alive[group.layer] -= 1
        left[positions] = False
        outgoing[group.outgoing] = mask[group.outgoing]
        n_delete -= n_gone
    return able & ~left, outgoing & able


def _connects(network: Network, mask: Mask) -> bool:
    """Whether any output depends on any input."""
    reached: Mask = np.ones(network.layer_sizes[0], dtype=bool)
    for layer in network.layers(mask):
        reached = np.any(layer[:-1][reached], axis=0)
    return bool(reached.any())


def _is_alive(group: Group, left: Mask) -> bool:
    """Whether the group passes anything on."""
    return bool(left[group.outgoing].any())


DELETIONS = {"weight": delete_lowest, "unit": delete_groups, "feature": delete_groups}
