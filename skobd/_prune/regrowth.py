"""Regrowth: which deleted parameters the network misses most.

A deleted parameter of gradient g and curvature h would, at the minimum over it of the quadratic
model, lower the objective by

    g^2 / (2 h),

the mirror image of the saliency h u^2 / 2 (LeCun, Denker & Solla, 1989, equation 5): the one is
the predicted decrease of a revival, the other the predicted increase of a deletion. Growing by
the size of the gradient alone is known from Evci, Gale, Menick, Castro & Elsen (2020, "Rigging
the lottery").
"""

import numpy as np

from .._net.dead_units import reached_units, useful_units
from .._net.network import Array, Mask, Network
from .curvature import diagonal_curvature
from .problem import Problem, check_no_overflow, prunable

# Added to every curvature, as a fraction of the mean over the surviving weights, or over the
# candidates where there are none: where the curvature vanishes the quadratic model promises too
# much.
_DAMPING = 1e-3


def predicted_decreases(problem: Problem) -> Array:
    """g^2 / (2 h) of every deleted parameter that can act, else 0; shape (n_parameters,)."""
    objective, theta, mask = problem.objective, problem.theta, problem.mask
    candidates = revivable(problem.network, mask, problem.settings.prune_intercepts)
    decreases = np.zeros_like(theta)
    if not candidates.any():
        return decreases
    with np.errstate(all="ignore"):
        curvature = diagonal_curvature(objective, theta, problem.settings.curvature)
        check_no_overflow(curvature[mask], "Second derivatives")
        _, gradient = objective.value_and_gradient(theta)
        # The curvature by the paper's recursion may be negative.
        present = problem.prunable if problem.prunable.any() else candidates
        h = np.maximum(curvature, 0) + _DAMPING * float(np.abs(curvature[present]).mean())
        decreases[candidates] = (0.5 * gradient * gradient / h)[candidates]
    return np.nan_to_num(decreases, nan=0.0, posinf=0.0)


def revivable(network: Network, mask: Mask, prune_intercepts: bool) -> Mask:
    """Deleted parameters that can act: out of units that inputs reach, into useful ones."""
    candidates = ~mask & prunable(network, prune_intercepts)
    reached, useful = reached_units(network, mask), useful_units(network, mask)
    for layer, sources, targets in zip(
        network.layers(candidates), reached[:-1], useful[1:], strict=True
    ):
        layer &= targets
        layer[:-1] &= sources[:, np.newaxis]
    return candidates


def revive(problem: Problem, n: int) -> tuple[Mask, float]:
    """Revive, at 0, the ``n`` deleted parameters of largest predicted decrease.

    Returns
    -------
    mask : ndarray of bool of shape (n_parameters,)
    predicted_decrease : float
        Sum over the revived; an upper bound of what the diagonal model promises.
    """
    decreases = predicted_decreases(problem)
    candidates = revivable(problem.network, problem.mask, problem.settings.prune_intercepts)
    positions = np.flatnonzero(candidates)
    order = positions[np.argsort(-decreases[positions], kind="stable")][:n]
    mask = problem.mask.copy()
    mask[order] = True
    return mask, float(decreases[order].sum())
