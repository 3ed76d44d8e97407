"""Deleting exactly as many single parameters as asked for."""

from typing import NamedTuple

import numpy as np

from .._net.dead_units import (
    fold_constants,
    in_order_of_deletion,
    outgoing_of_constants,
    without_dead_units,
)
from .._net.network import Array, Indices, Mask
from .criteria import CRITERIA
from .problem import Problem


class Deletion(NamedTuple):
    """Parameters, mask and predicted increase of the objective after a deletion."""

    theta: Array
    mask: Mask
    predicted_increase: float


def delete_lowest(problem: Problem, n_delete: int) -> Deletion:
    """Delete exactly ``n_delete`` parameters, the dead ones first and then the least salient.

    A unit without incoming weights is a constant, which the next layer's intercepts take over; a
    unit without outgoing weights computes nothing. What such units still hold is deleted at no
    cost before anything else is.
    """
    theta, mask = problem.theta, problem.mask
    if n_delete <= 0:
        return Deletion(theta, mask, 0.0)
    ranking = CRITERIA[problem.settings.criterion].rank(problem, n_delete)
    deleted, freed, n_ranked = _choose(problem, ranking.order, n_delete)
    paid = ~freed[ranking.order[:n_ranked]]
    new_theta, increase = theta, float(ranking.increases[:n_ranked][paid].sum())
    if ranking.correct is not None:
        new_theta, increase = ranking.correct(theta, deleted & ~freed)
    new_theta = fold_constants(problem.network, new_theta, mask & ~deleted, freed)
    return finish(problem, new_theta, deleted, increase)


def finish(problem: Problem, theta: Array, deleted: Mask, predicted_increase: float) -> Deletion:
    """Set what is ``deleted`` to 0."""
    mask = problem.mask & ~deleted
    theta = np.where(mask, theta, 0).astype(problem.theta.dtype, copy=False)
    return Deletion(theta, mask, predicted_increase)


def _choose(problem: Problem, order: Indices, n_delete: int) -> tuple[Mask, Mask, int]:
    """Deleted parameters, those of them that were free, and how many of the ranking went.

    Deleting the first m of the ranking frees the parameters of the units that die with them. The
    total grows with m, so the largest m that does not exceed ``n_delete`` is found by bisection.
    """
    network, mask, prunable = problem.network, problem.mask, problem.prunable
    # First what is dead, because deleting an intercept would leave a constant nowhere to go.
    active = without_dead_units(network, mask, prunable)

    def gone(m: int) -> Mask:
        left = active.copy()
        left[order[:m]] = False
        return mask & ~without_dead_units(network, left, prunable)

    low, high = 0, min(n_delete, order.size)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if gone(middle).sum() <= n_delete else (low, middle - 1)
    n_ranked = low
    deleted = gone(n_ranked)
    missing = n_delete - int(deleted.sum())
    if missing < 0:
        # Even the dead parameters are more than asked for: leave some of them for later.
        deleted[in_order_of_deletion(network, mask, deleted)[n_delete:]] = False
    elif missing > 0:
        # One more deletion would free too much: make it, and leave some of the dead for later.
        following = order[n_ranked]
        newly_free = gone(n_ranked + 1) & ~deleted
        newly_free[following] = False
        deleted[following] = True
        left = mask & ~deleted
        deleted[in_order_of_deletion(network, left, newly_free)[: missing - 1]] = True
        n_ranked += 1
    paid = np.zeros_like(mask)
    paid[order[:n_ranked]] = True
    # What was dead, or comes out of what is constant now, is free although it was ranked.
    paid &= active & ~outgoing_of_constants(network, mask & ~deleted)
    return deleted, deleted & ~paid, n_ranked
