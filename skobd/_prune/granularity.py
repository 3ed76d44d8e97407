"""Granularities: deletion and counting of single weights, whole hidden units or whole inputs.

The inputs of a group are deleted together or not at all. The saliency of a unit, an input or a
group of inputs is the sum of the saliencies of the weights that are deleted with it. The criteria
that correct the survivors predict the increase from deleting all outgoing weights at once, and
ignore the incoming weights: these have no effect once the outgoing weights are gone and the units
of the next layer are corrected for the loss.
"""

import itertools
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._net.dead_units import connects, fold_constants
from .._net.network import Array, Indices, Mask, Network
from .criteria import CRITERIA
from .deletion import (
    Deletion,
    apply_deletion,
    correct_survivors,
    delete_lowest,
    with_newton_step,
)
from .deletion_problem import DeletionProblem


class Group(NamedTuple):
    """A hidden unit, an input or a group of inputs.

    Attributes
    ----------
    incoming, outgoing : ndarray of int
        Positions in ``theta`` of its incoming parameters, with the intercept, and of its outgoing
        weights; inputs have no incoming ones.
    """

    incoming: Indices
    outgoing: Indices


def present_units(network: Network, mask: Mask, group_of: Indices | None = None) -> list[Group]:
    """List the hidden units with any weight left, layer by layer; units have no groups."""
    positions = network.layers(np.arange(network.n_parameters))
    return [
        Group(before[:, unit], after[unit])
        for (before, after), (alive_before, alive_after) in zip(
            itertools.pairwise(positions), itertools.pairwise(network.coefs(mask)), strict=True
        )
        for unit in np.flatnonzero(alive_before.any(axis=0) | alive_after.any(axis=1))
    ]


def present_inputs(network: Network, mask: Mask, group_of: Indices | None = None) -> list[Group]:
    """List the inputs, or groups of them, with any weight left.

    ``group_of`` has the number of the group of each input; groups come in order of their numbers.
    """
    rows = network.coefs(np.arange(network.n_parameters))[0]
    alive = np.any(network.coefs(mask)[0], axis=1)
    numbers = np.arange(alive.size) if group_of is None else group_of
    order = np.argsort(numbers, kind="stable")
    ends = 1 + np.flatnonzero(np.diff(numbers[order]))
    nothing = np.empty(0, dtype=np.intp)
    return [
        Group(nothing, rows[members].ravel())
        for members in np.split(order, ends)
        if alive[members].any()
    ]


Groups = Callable[[Network, Mask, Indices | None], list[Group]]


@dataclass(frozen=True)
class Granularity:
    """One row of the table.

    Attributes
    ----------
    unit : str
        Word for what is counted; "n_<unit>" is their column in the history.
    n_left : callable
        ``n_left(network, mask, group_of)`` counts the survivors; ``group_of`` has the number of
        the group of each input, or is None if each is a group of its own.
    delete : callable
        ``delete(problem, n_delete)`` deletes ``n_delete`` of them.
    n_least : callable
        ``n_least(network)`` returns the smallest number that can be left of a dense network.
    """

    unit: str
    n_left: Callable[[Network, Mask, Indices | None], int]
    delete: Callable[[DeletionProblem, int], Deletion]
    n_least: Callable[[Network], int] = lambda network: 1


def _count_weights(network: Network, mask: Mask, group_of: Indices | None) -> int:
    return int((mask & network.is_weight).sum())


def _of_groups(
    unit: str, groups_of: Groups, n_least: Callable[[Network], int] = lambda network: 1
) -> Granularity:
    """Make the row of a granularity that deletes whole groups."""

    def n_left(network: Network, mask: Mask, group_of: Indices | None) -> int:
        return len(groups_of(network, mask, group_of))

    def delete(problem: DeletionProblem, n_delete: int) -> Deletion:
        """Delete the ``n_delete`` least salient groups, but never the last path to an output."""
        network, mask = problem.network, problem.mask
        criterion = CRITERIA[problem.settings.criterion]
        groups = groups_of(network, mask, problem.settings.group_of)
        if n_delete <= 0 or len(groups) < 2:
            return Deletion(problem.theta, mask, 0.0)
        order, saliencies = _order(problem, groups, n_delete)
        deleted, outgoing = _choose_groups(problem, [groups[i] for i in order], n_delete)
        if not deleted.any():
            return Deletion(problem.theta, mask, 0.0)
        theta, increase = problem.theta, np.nan
        blocks = None if criterion.blocks is None else criterion.blocks(problem)
        if blocks is not None:
            theta, increase = correct_survivors(problem, blocks, outgoing)
        elif criterion.predicts:
            increase = float(saliencies[deleted].sum())
        # The next intercepts absorb the outgoing weights of units that were constant already.
        theta = fold_constants(network, theta, mask, outgoing)
        deletion = apply_deletion(problem, theta, deleted, increase)
        return with_newton_step(problem, blocks, deletion)

    return Granularity(unit, n_left, delete, n_least)


def _order(problem: DeletionProblem, groups: list[Group], n_delete: int) -> tuple[Indices, Array]:
    """Return the order of deletion, and the saliency of each parameter if it counts."""
    criterion = CRITERIA[problem.settings.criterion]
    outgoing, nothing = [group.outgoing for group in groups], np.zeros_like(problem.theta)
    if criterion.group_order is not None:
        return criterion.group_order(problem, outgoing, n_delete), nothing
    if criterion.group_saliencies is not None:
        return np.argsort(criterion.group_saliencies(problem, outgoing), kind="stable"), nothing
    saliencies = np.where(problem.prunable, criterion.saliencies(problem), 0)
    totals = [
        saliencies[group.outgoing].sum() + saliencies[group.incoming].sum() for group in groups
    ]
    return np.argsort(totals, kind="stable"), saliencies


def _choose_groups(
    problem: DeletionProblem, groups: list[Group], n_delete: int
) -> tuple[Mask, Mask]:
    """Choose the deleted weights, and those of them that leave the deleted groups.

    Groups are taken in their order; one without which no output would depend on any input stays.
    """
    network, mask, prunable = problem.network, problem.mask, problem.prunable
    never = len(groups)
    # Places in the order of the groups that a parameter enters and leaves.
    into, out_of = np.full((2, mask.size), never, dtype=np.int32)
    for place, group in enumerate(groups):
        into[group.incoming] = out_of[group.outgoing] = place

    def deleted(n: int) -> Mask:
        return prunable & ((into < n) | (out_of < n))

    def is_cut(n: int) -> bool:
        return not connects(network, mask & ~deleted(n))

    n = min(n_delete, never)
    if connects(network, mask):
        # Rarely, and at most once a layer, a group is the last path and another one is deleted.
        while is_cut(n):
            last = bisect_left(range(1, n), True, key=is_cut)
            for places in (into, out_of):
                places[places == last] = never
            n = min(n + 1, never)
    return deleted(n), prunable & (out_of < n)


GRANULARITIES: dict[str, Granularity] = {
    "weight": Granularity("weights", _count_weights, delete_lowest),
    # One unit in each hidden layer.
    "unit": _of_groups("units", present_units, lambda network: len(network.layer_sizes) - 2),
    "feature": _of_groups("features", present_inputs),
}
