"""Deleting whole hidden units or whole inputs instead of single weights.

The saliency of a group is the sum of the saliencies of the weights that are deleted with it. The
criteria that correct the survivors count the outgoing weights only: once those are gone, and the
units of the next layer are corrected for their loss, the incoming weights have no effect.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .._net.dead_units import connects, fold_constants
from .._net.network import Indices, Mask, Network
from .criteria import CRITERIA
from .deletion import Deletion, delete_lowest, finish
from .problem import Problem


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


def delete_groups(problem: Problem, n_delete: int) -> Deletion:
    """Delete the least salient units or inputs, at most ``n_delete`` parameters with them.

    Groups are taken in ascending order of saliency; one that would exceed the number is passed
    over. The last group of a layer always stays.
    """
    network, mask, prunable = problem.network, problem.mask, problem.prunable
    criterion = CRITERIA[problem.settings.criterion]
    saliencies = np.where(prunable, criterion.saliencies(problem), 0)
    groups = list(_groups(network, problem.settings.granularity))
    totals = [
        saliencies[group.outgoing].sum()
        + (0 if criterion.correct else saliencies[group.incoming].sum())
        for group in groups
    ]
    order = np.argsort(totals, kind="stable")
    deleted, outgoing = _choose(groups, order, prunable, mask, n_delete)
    if connects(network, mask) and not connects(network, mask & ~deleted):
        # Where single weights went before, the last unit of a layer may be one of several.
        deleted, outgoing = _choose(
            groups, order, prunable, mask, n_delete, lambda gone: connects(network, mask & ~gone)
        )
    if not deleted.any():
        return Deletion(problem.theta, mask, 0.0)
    theta, increase = problem.theta, np.nan
    if criterion.correct is not None:
        theta, increase = criterion.correct(problem, outgoing)
    elif criterion.predicts:
        increase = float(saliencies[deleted].sum())
    # What went out of units that were constant already lives on in the next intercepts.
    theta = fold_constants(network, theta, mask, outgoing)
    return finish(problem, theta, deleted, increase)


def _choose(
    groups: list[Group],
    order: np.ndarray,
    prunable: Mask,
    mask: Mask,
    n_delete: int,
    allows: Callable[[Mask], bool] | None = None,
) -> tuple[Mask, Mask]:
    """What is deleted, and what of it goes out of the deleted groups.

    ``allows(gone)`` says whether everything in a mask may be gone.
    """
    left = prunable.copy()
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
            gone = prunable & ~left
            gone[positions] = prunable[positions]
            if not allows(gone):
                continue
        if _is_alive(group, left):
            if n_alive[group.layer] == 1:
                continue
            n_alive[group.layer] -= 1
        left[positions] = False
        outgoing[group.outgoing] = mask[group.outgoing]
        n_delete -= n_gone
    return prunable & ~left, outgoing & prunable


def _is_alive(group: Group, left: Mask) -> bool:
    """Whether the group passes anything on."""
    return bool(left[group.outgoing].any())


DELETIONS = {"weight": delete_lowest, "unit": delete_groups, "feature": delete_groups}
