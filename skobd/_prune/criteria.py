"""Criteria: which parameters are dispensable.

A criterion ranks the prunable parameters and may correct the survivors:

===============  ===================================  =====================================
criterion        Hessian kept                         saliency of parameter q
===============  ===================================  =====================================
``"obd"``        diagonal                             h_qq u_q^2 / 2
``"unit_obs"``   one block for each unit              u_q^2 / (2 [H^-1]_qq), with correction
``"obs"``        all of Gauss-Newton                  the same
``"kfac"``       a Kronecker product for each layer   the same, see `kronecker`
``"magnitude"``  none                                 abs(u_q)
``"random"``     none                                 uniform
===============  ===================================  =====================================

References: LeCun, Denker & Solla (1989), equation 5; Hassibi & Stork (1993), equation 5.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .._net.network import Array, Indices, Mask
from .blocks import BLOCKS
from .curvature import diagonal_curvature
from .kronecker import kronecker_saliencies, order_of_sources
from .obs import corrected, elimination_order, joint_saliencies, obs_saliencies
from .problem import Problem, check_no_overflow

# correct(theta, deleted): theta with the survivors adjusted to the deletion of a mask, and the
# predicted increase of the objective.
Correct = Callable[[Array, Mask], tuple[Array, float]]


class Ranking(NamedTuple):
    """Prunable parameters in the order of their deletion.

    Attributes
    ----------
    order : ndarray of shape (n_ranked,)
        Positions in ``theta``, the first to go first.
    increases : ndarray of shape (n_ranked,)
        Predicted increase of the objective by each, given the earlier ones; NaN if the criterion
        predicts none.
    correct : callable or None
        See `Correct`; None where survivors stay as they are.
    """

    order: Indices
    increases: Array
    correct: Correct | None = None


class Criterion(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    saliencies : callable
        ``saliencies(problem)`` gives the saliency of every parameter if it were deleted alone,
        shape (n_parameters,); 0 where already deleted.
    rank : callable
        ``rank(problem, n_delete)`` returns a `Ranking` of at least ``n_delete`` parameters.
    correct : callable or None
        ``correct(problem, deleted)`` returns ``theta`` adjusted to the deletion of a set, and the
        predicted increase; None where survivors stay as they are.
    predicts : bool
        Whether saliencies are predicted increases of the objective.
    of_sets : callable or None
        ``of_sets(problem, sets)`` gives the saliency of deleting all of a set, for each of some
        disjoint sets of positions; None where that is the sum over the set.
    order_of_sets : callable or None
        ``order_of_sets(problem, sets, n_delete)`` gives the numbers of the sets in the order of
        their deletion; None where that is by rising saliency.
    """

    saliencies: Callable[[Problem], Array]
    rank: Callable[[Problem, int], Ranking]
    correct: Callable[[Problem, Mask], tuple[Array, float]] | None = None
    predicts: bool = True
    of_sets: Callable[[Problem, Sequence[Indices]], Array] | None = None
    order_of_sets: Callable[[Problem, Sequence[Indices], int], Indices] | None = None


def obd_saliencies(problem: Problem) -> Array:
    """h_qq u_q^2 / 2 (LeCun, Denker & Solla, 1989, equation 5), shape (n_parameters,)."""
    theta = problem.theta
    with np.errstate(all="ignore"):
        curvature = diagonal_curvature(problem.objective, theta, problem.settings.curvature)
        # The curvature of a deleted weight may overflow: its input may be anything finite.
        saliencies = np.where(problem.mask, 0.5 * curvature * theta * theta, 0)
    check_no_overflow(saliencies, "Saliencies")
    return saliencies


def _magnitudes(problem: Problem) -> Array:
    return np.abs(problem.theta)


def _random_saliencies(problem: Problem) -> Array:
    # One draw for each candidate, so that dead units make no difference.
    saliencies = np.zeros_like(problem.theta)
    saliencies[problem.prunable] = problem.rng.uniform(size=int(problem.prunable.sum()))
    return saliencies


def _random_saliencies_of_sets(problem: Problem, sets: Sequence[Indices]) -> Array:
    # The sum of many draws would spare large sets.
    return problem.rng.uniform(size=len(sets))


def _ascending(
    saliencies_of: Callable[[Problem], Array],
    predicts: bool = True,
    of_sets: Callable[[Problem, Sequence[Indices]], Array] | None = None,
) -> Criterion:
    """A criterion that ranks by ascending saliency, ties in stable order."""

    def rank(problem: Problem, n_delete: int) -> Ranking:
        saliencies = saliencies_of(problem)
        positions = np.flatnonzero(problem.prunable)
        order = positions[np.argsort(saliencies[positions], kind="stable")]
        return Ranking(order, saliencies[order] if predicts else np.full(order.size, np.nan))

    return Criterion(saliencies_of, rank, predicts=predicts, of_sets=of_sets)


def _eliminating(name: str) -> Criterion:
    """A criterion of the family of Optimal Brain Surgeon; see `obs`."""

    def saliencies(problem: Problem) -> Array:
        values = obs_saliencies(BLOCKS[name](problem), problem.theta)
        values = values.astype(problem.theta.dtype)
        check_no_overflow(values, "Saliencies")
        return values

    def rank(problem: Problem, n_delete: int) -> Ranking:
        blocks = BLOCKS[name](problem)
        order, increases = elimination_order(blocks, problem.theta, problem.prunable, n_delete)
        if order.size < min(n_delete, problem.prunable.sum()):
            # A sequence ends where nothing finite is left.
            check_no_overflow(np.full(1, np.nan, problem.theta.dtype), "Saliencies")
        return Ranking(order, increases, lambda theta, deleted: corrected(blocks, theta, deleted))

    def correct(problem: Problem, deleted: Mask) -> tuple[Array, float]:
        return corrected(BLOCKS[name](problem), problem.theta, deleted)

    def of_sets(problem: Problem, sets: Sequence[Indices]) -> Array:
        values = joint_saliencies(BLOCKS[name](problem), problem.theta, sets)
        values = values.astype(problem.theta.dtype)
        check_no_overflow(values, "Saliencies")
        return values

    return Criterion(saliencies, rank, correct, of_sets=of_sets)


CRITERIA: dict[str, Criterion] = {
    "obd": _ascending(obd_saliencies),
    "unit_obs": _eliminating("unit_obs"),
    "obs": _eliminating("obs"),
    "kfac": _ascending(kronecker_saliencies, predicts=False)._replace(
        order_of_sets=order_of_sources
    ),
    "magnitude": _ascending(_magnitudes, predicts=False),
    "random": _ascending(_random_saliencies, predicts=False, of_sets=_random_saliencies_of_sets),
}
