"""Deletion of exactly as many single weights as asked for, and what the survivors do about it."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .._net.dead_units import (
    fold_constants,
    in_order_of_deletion,
    outgoing_of_constants,
    without_dead_units,
)
from .._net.network import Array, Indices, Mask
from .blocks import HessianBlocks
from .criteria import CRITERIA
from .deletion_problem import DeletionProblem
from .obs import corrected

# A gradient along directions that few rows determine must not move the survivors far: added to
# the diagonals for the Newton step, as a fraction of their mean.
_STEP_FLOOR = 1e-3
# The Newton step is halved so often before it is given up. Blocks are blind to one another, so all
# of them together promise several times what can be had.
_MOST_HALVINGS = 7


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
    # What is free leaves nothing to make up for.
    blocks = ranking.blocks if (deleted & ~free).any() else None
    if blocks is not None:
        new_theta, increase = correct_survivors(problem, blocks, deleted & ~free)
    new_theta = fold_constants(problem.network, new_theta, mask & ~deleted, free)
    deletion = apply_deletion(problem, new_theta, deleted, increase)
    return with_newton_step(problem, blocks, deletion)


def correct_survivors(
    problem: DeletionProblem, blocks: HessianBlocks, deleted: Mask
) -> tuple[Array, float]:
    """Correct the survivors, and predict the increase by the gradient and the Hessian."""
    theta, increase = corrected(blocks, problem.theta, deleted)
    _, gradient = problem.objective.value_and_gradient(problem.theta)
    change = theta.astype(np.float64) - problem.theta
    return theta, increase + float(gradient.astype(np.float64) @ change)


def with_newton_step(
    problem: DeletionProblem, blocks: HessianBlocks | None, deletion: Deletion
) -> Deletion:
    """Let the survivors take a Newton step, as long as the objective falls.

    Where the objective is quadratic and the blocks are its whole Hessian, the gradient after the
    deletion is that before it, and deletion and step minimise the quadratic model together; at a
    minimum there is no step. Elsewhere the gradient after the deletion also tells what the blocks
    neglect. The step is halved while that lowers the objective, which never gets worse.

    Parameters
    ----------
    problem : DeletionProblem
    blocks : HessianBlocks or None
        Those of the correction; None for no step.
    deletion : Deletion
        With the survivors corrected.
    """
    if blocks is None:
        return deletion
    objective, theta = problem.objective, deletion.theta
    least, gradient = objective.value_and_gradient(theta)
    damped = replace(blocks, floor=_STEP_FLOOR)
    target, increase = corrected(damped, theta, ~deletion.mask, gradient)
    step = target - theta
    slope = float(gradient.astype(np.float64) @ step)
    best, length = theta, 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # too long a step
        for n_halvings in range(_MOST_HALVINGS + 1):
            trial = theta + step * theta.dtype.type(0.5**n_halvings)
            value = objective.value(trial)
            if value < least:
                least, best, length = value, trial, 0.5**n_halvings
            elif length:
                break
    change = length * slope + length**2 * (increase - slope)
    return deletion._replace(theta=best, predicted_increase=deletion.predicted_increase + change)


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
