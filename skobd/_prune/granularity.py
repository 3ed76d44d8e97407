"""What is deleted and counted: single weights, whole hidden units, or whole inputs.

Inputs may be put into groups, of which all are deleted or none. The saliency of a unit, an input or
a group of inputs is the sum of the saliencies of the weights that are deleted with it. The criteria
that correct the survivors predict the increase by deleting all outgoing weights at once, and count
no others: once those are gone, and the units of the next layer are corrected for their loss, the
incoming weights have no effect.
"""

import itertools
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from .._net.dead_units import connects, fold_constants
from .._net.network import Array, Indices, Mask, Network
from .criteria import CRITERIA
from .deletion import Deletion, delete_lowest, finish
from .problem import Problem, prunable


class Group(NamedTuple):
    """A hidden unit, an input or a group of inputs.

    Attributes
    ----------
    incoming, outgoing : ndarray of int
        Positions in ``theta`` of what is deleted with it; inputs have no incoming ones.
    """

    incoming: Indices
    outgoing: Indices


def present_units(network: Network, mask: Mask) -> list[Group]:
    """Hidden units that have any weight left, layer by layer."""
    positions = network.layers(np.arange(network.n_parameters))
    return [
        Group(before[:, unit], after[unit])
        for (before, after), (alive_before, alive_after) in zip(
            itertools.pairwise(positions), itertools.pairwise(network.layers(mask)), strict=True
        )
        for unit in np.flatnonzero(alive_before[:-1].any(axis=0) | alive_after[:-1].any(axis=1))
    ]


def present_inputs(network: Network, mask: Mask, group_of: Indices | None = None) -> list[Group]:
    """Inputs, or groups of them, that have any weight left.

    ``group_of`` has the number of the group of each input; groups come in the order of numbers.
    """
    rows = network.layers(np.arange(network.n_parameters))[0]
    alive = np.any(network.layers(mask)[0][:-1], axis=1)
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


def _units(network: Network, mask: Mask, group_of: Indices | None) -> list[Group]:
    return present_units(network, mask)


class Count(Protocol):
    """How many weights, units or inputs survive."""

    def __call__(
        self,
        network: Network,
        mask: Mask,
        prune_intercepts: bool,
        group_of: Indices | None = None,
    ) -> int:
        """``group_of`` has the number of the group of each input; None: each is on its own."""


def _count_weights(
    network: Network, mask: Mask, prune_intercepts: bool, group_of: Indices | None = None
) -> int:
    return int((mask & prunable(network, prune_intercepts)).sum())


def _count_groups(groups_of: Groups) -> Count:
    def count(
        network: Network, mask: Mask, prune_intercepts: bool, group_of: Indices | None = None
    ) -> int:
        return len(groups_of(network, mask, group_of))

    return count


def _delete_groups(groups_of: Groups) -> Callable[[Problem, int], Deletion]:
    def delete(problem: Problem, n_delete: int) -> Deletion:
        """Delete the ``n_delete`` least salient groups, but never the last way through."""
        network, mask, prunable = problem.network, problem.mask, problem.prunable
        criterion = CRITERIA[problem.settings.criterion]
        groups = groups_of(network, mask, problem.group_of)
        if n_delete <= 0 or len(groups) < 2:
            return Deletion(problem.theta, mask, 0.0)
        order, saliencies = _order(problem, groups, n_delete)
        deleted, outgoing = _choose(network, mask, prunable, [groups[i] for i in order], n_delete)
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

    return delete


def _order(problem: Problem, groups: list[Group], n_delete: int) -> tuple[Indices, Array]:
    """Groups in the order of deletion, and the saliency of each parameter where they count."""
    criterion = CRITERIA[problem.settings.criterion]
    outgoing, nothing = [group.outgoing for group in groups], np.zeros_like(problem.theta)
    if criterion.order_of_sets is not None:
        return criterion.order_of_sets(problem, outgoing, n_delete), nothing
    if criterion.of_sets is not None:
        return np.argsort(criterion.of_sets(problem, outgoing), kind="stable"), nothing
    saliencies = np.where(problem.prunable, criterion.saliencies(problem), 0)
    totals = [
        saliencies[group.outgoing].sum() + saliencies[group.incoming].sum() for group in groups
    ]
    return np.argsort(totals, kind="stable"), saliencies


def _choose(
    network: Network, mask: Mask, prunable: Mask, groups: list[Group], n_delete: int
) -> tuple[Mask, Mask]:
    """What is deleted, and what of it goes out of the deleted groups.

    Groups are taken in their order; one without which no output would depend on any input stays.
    """
    never = len(groups)
    # Place in the order of the group that a parameter goes into, and of the one it comes out of.
    into, out_of = np.full((2, mask.size), never, dtype=np.int32)
    for place, group in enumerate(groups):
        into[group.incoming] = out_of[group.outgoing] = place

    def deleted(n: int) -> Mask:
        return prunable & ((into < n) | (out_of < n))

    def is_cut(n: int) -> bool:
        return not connects(network, mask & ~deleted(n))

    n = min(n_delete, never)
    if connects(network, mask):
        # Rarely, and at most once a layer: a group is the last way through, and another one goes.
        while is_cut(n):
            last = bisect_left(range(1, n), True, key=is_cut)
            for places in (into, out_of):
                places[places == last] = never
            n = min(n + 1, never)
    return deleted(n), prunable & (out_of < n)


@dataclass(frozen=True)
class Granularity:
    """One row of the table.

    Attributes
    ----------
    unit : str
        What is counted, in words; "n_<unit>" is its column in the history.
    n_left : callable
        ``n_left(network, mask, prune_intercepts, group_of=None)``: how many of them survive.
    delete : callable
        ``delete(problem, n_delete)``: delete so many of them.
    """

    unit: str
    n_left: Count
    delete: Callable[[Problem, int], Deletion]


GRANULARITIES: dict[str, Granularity] = {
    "weight": Granularity("weights", _count_weights, delete_lowest),
    "unit": Granularity("units", _count_groups(_units), _delete_groups(_units)),
    "feature": Granularity(
        "features", _count_groups(present_inputs), _delete_groups(present_inputs)
    ),
}
