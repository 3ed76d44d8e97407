"""Deletion of exactly as many single weights as asked for."""

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
from .deletion_problem import DeletionProblem


class Deletion(NamedTuple):
    """Parameters, mask and predicted increase of the objective after a deletion."""

    theta: Array
    mask: Mask
    predicted_increase: float


def delete_lowest(problem: DeletionProblem, n_delete: int) -> Deletion:
    """Delete exactly ``n_delete`` weights, the dead ones first and then the least salient.

    A unit without incoming weights is a constant, which the next layer's intercepts take over; a
    unit without outgoing weights computes nothing. The weights that such units still hold are
    deleted at no cost before any others.
    """
    theta, mask = problem.theta, problem.mask
    if n_delete <= 0:
        return Deletion(theta, mask, 0.0)
    ranking = CRITERIA[problem.settings.criterion].rank(problem, n_delete)
    deleted, free, n_ranked = _choose_weights(problem, ranking.order, n_delete)
    is_charged = ~free[ranking.order[:n_ranked]]
    new_theta, increase = theta, float(ranking.increases[:n_ranked][is_charged].sum())
    if ranking.correct is not None:
        new_theta, increase = ranking.correct(theta, deleted & ~free)
    new_theta = fold_constants(problem.network, new_theta, mask & ~deleted, free)
    return apply_deletion(problem, new_theta, deleted, increase)


def apply_deletion(
    problem: DeletionProblem, theta: Array, deleted: Mask, predicted_increase: float
) -> Deletion:
    """Set the ``deleted`` parameters to 0."""
    mask = problem.mask & ~deleted
    theta = np.where(mask, theta, 0).astype(problem.theta.dtype, copy=False)
    return Deletion(theta, mask, predicted_increase)


def _choose_weights(
    problem: DeletionProblem, order: Indices, n_delete: int
) -> tuple[Mask, Mask, int]:
    """Choose the deleted weights, those of them that are free, and how many of the ranking go.

    Deleting the first m of the ranking frees the weights of the units that die with them. The
    total grows with m, so the largest m that does not exceed ``n_delete`` is found by bisection.
    """
    network, mask, prunable = problem.network, problem.mask, problem.prunable
    # Dead weights go first.
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
        # Even the dead weights are more than asked for: leave some of them for later.
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
    charged = np.zeros_like(mask)
    charged[order[:n_ranked]] = True
    # Dead weights, and those that come out of units which are constant now, are free although
    # they were ranked.
    charged &= active & ~outgoing_of_constants(network, mask & ~deleted)
    return deleted, deleted & ~charged, n_ranked
