"""Criteria that rank parameters by how dispensable they are.

A criterion ranks the prunable weights and may correct the survivors:

===============  ===================================  =====================================
criterion        Hessian kept                         saliency of parameter q
===============  ===================================  =====================================
``"obd"``        diagonal                             h_qq u_q^2 / 2
``"unit_obs"``   one block for each unit              u_q^2 / (2 [H^-1]_qq), with correction
``"obs"``        all of Gauss-Newton                  as for ``"unit_obs"``
``"kfac"``       a Kronecker product for each layer   see `kronecker`
``"magnitude"``  none                                 abs(u_q)
``"random"``     none                                 uniform
===============  ===================================  =====================================

References: LeCun, Denker & Solla (1989), equation 5; Hassibi & Stork (1993), equation 5.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .._net.network import Array, Indices, Mask, Network
from .blocks import HessianBlocks, full_block, unit_blocks
from .curvature import diagonal_curvature
from .deletion_problem import DeletionProblem, check_no_overflow
from .kronecker import kronecker_group_order, kronecker_saliencies
from .obs import elimination_order, joint_saliencies, obs_saliencies

# Largest matrix that is inverted: 128 MiB in double precision.
MAX_BLOCK = 4096

GroupSaliencies = Callable[[DeletionProblem, Sequence[Indices]], Array]


class Ranking(NamedTuple):
    """Prunable weights in the order of their deletion.

    Attributes
    ----------
    order : ndarray of shape (n_ranked,)
        Positions in ``theta``, in the order of deletion.
    increases : ndarray of shape (n_ranked,)
        Predicted increase of the objective by each, given the earlier ones; NaN if the criterion
        predicts none.
    blocks : HessianBlocks or None
        Hessian that corrects the survivors; None if they are not corrected.
    """

    order: Indices
    increases: Array
    blocks: HessianBlocks | None = None


class Inversion(NamedTuple):
    """The largest matrix that a criterion inverts.

    Attributes
    ----------
    size : callable
        ``size(layers)`` counts its rows, given the masks of the layer matrices.
    rows : str
        Description of the rows and of the largest matrix.
    instead : str
        Criterion to use instead if the matrix is too large.
    """

    size: Callable[[Sequence[Mask]], int]
    rows: str
    instead: str = "obd"


class Criterion(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    saliencies : callable
        ``saliencies(problem)`` gives the saliency of every parameter if it were deleted alone,
        shape (n_parameters,); 0 if it is deleted already.
    rank : callable
        ``rank(problem, n_delete)`` returns a `Ranking` of at least ``n_delete`` weights.
    blocks : callable or None
        ``blocks(problem)`` returns the Hessian that corrects the survivors; None if they are not
        corrected.
    predicts : bool
        Whether saliencies are predicted increases of the objective.
    group_saliencies : callable or None
        ``group_saliencies(problem, groups)`` gives the saliency of deleting all of a group, for
        each of some disjoint groups of positions; None if that is the sum over the group.
    group_order : callable or None
        ``group_order(problem, groups, n_delete)`` gives the numbers of the groups in the order of
        their deletion; None if that is by rising saliency.
    inverts : Inversion or None
        Matrix that is inverted; None without one.
    """

    saliencies: Callable[[DeletionProblem], Array]
    rank: Callable[[DeletionProblem, int], Ranking]
    blocks: Callable[[DeletionProblem], HessianBlocks] | None = None
    predicts: bool = True
    group_saliencies: GroupSaliencies | None = None
    group_order: Callable[[DeletionProblem, Sequence[Indices], int], Indices] | None = None
    inverts: Inversion | None = None


def check_block_size(criterion: str, network: Network, mask: Mask) -> None:
    """Raise ValueError if a criterion would have to invert too large a matrix."""
    layers = network.layers(mask)

    def size_of(name: str) -> int:
        inverts = CRITERIA[name].inverts
        return 0 if inverts is None else inverts.size(layers)

    size, inverts = size_of(criterion), CRITERIA[criterion].inverts
    if inverts is not None and size > MAX_BLOCK:
        instead = inverts.instead if size_of(inverts.instead) <= MAX_BLOCK else "obd"
        raise ValueError(
            f"criterion={criterion!r} inverts a Hessian over all {inverts.rows} has {size} of "
            f"them, at most {MAX_BLOCK} are supported. Use criterion={instead!r}, or make the "
            "network smaller."
        )


def obd_saliencies(problem: DeletionProblem) -> Array:
    """Compute h_qq u_q^2 / 2 (LeCun, Denker & Solla, 1989, equation 5), shape (n_parameters,)."""
    theta = problem.theta
    with np.errstate(all="ignore"):
        curvature = diagonal_curvature(problem.objective, theta, problem.settings.curvature)
        # The curvature of a deleted weight may overflow: its input may have any finite values.
        saliencies = np.where(problem.mask, 0.5 * curvature * theta * theta, 0)
    check_no_overflow(saliencies, "Saliencies")
    return saliencies


def _magnitudes(problem: DeletionProblem) -> Array:
    return np.abs(problem.theta)


def _random_saliencies(problem: DeletionProblem) -> Array:
    # One draw for each candidate makes the result independent of dead units.
    saliencies = np.zeros_like(problem.theta)
    saliencies[problem.prunable] = problem.rng.uniform(size=int(problem.prunable.sum()))
    return saliencies


def _random_group_saliencies(problem: DeletionProblem, groups: Sequence[Indices]) -> Array:
    # The sum of many draws would spare large groups.
    return problem.rng.uniform(size=len(groups))


def _ascending(
    saliencies_of: Callable[[DeletionProblem], Array],
    predicts: bool = True,
    group_saliencies: GroupSaliencies | None = None,
) -> Criterion:
    """Make a criterion that ranks by ascending saliency, with ties in stable order."""

    def rank(problem: DeletionProblem, n_delete: int) -> Ranking:
        saliencies = saliencies_of(problem)
        positions = np.flatnonzero(problem.prunable)
        order = positions[np.argsort(saliencies[positions], kind="stable")]
        return Ranking(order, saliencies[order] if predicts else np.full(order.size, np.nan))

    return Criterion(saliencies_of, rank, predicts=predicts, group_saliencies=group_saliencies)


def _optimal_brain_surgeon(
    blocks_of: Callable[[DeletionProblem], HessianBlocks], inverts: Inversion
) -> Criterion:
    """Make a criterion of the family of Optimal Brain Surgeon; see `obs`."""

    def checked(values: Array, problem: DeletionProblem) -> Array:
        values = values.astype(problem.theta.dtype)
        check_no_overflow(values, "Saliencies")
        return values

    def saliencies(problem: DeletionProblem) -> Array:
        return checked(obs_saliencies(blocks_of(problem), problem.theta), problem)

    def rank(problem: DeletionProblem, n_delete: int) -> Ranking:
        blocks = blocks_of(problem)
        order, increases = elimination_order(blocks, problem.theta, problem.prunable)
        if order.size < min(n_delete, problem.prunable.sum()):
            # A sequence ends when no finite increase is left.
            checked(np.full(1, np.nan), problem)
        return Ranking(order, increases, blocks)

    def group_saliencies(problem: DeletionProblem, groups: Sequence[Indices]) -> Array:
        return checked(joint_saliencies(blocks_of(problem), problem.theta, groups), problem)

    return Criterion(
        saliencies, rank, blocks_of, group_saliencies=group_saliencies, inverts=inverts
    )


CRITERIA: dict[str, Criterion] = {
    "obd": _ascending(obd_saliencies),
    "unit_obs": _optimal_brain_surgeon(
        unit_blocks,
        Inversion(
            lambda layers: max(int(layer.sum(axis=0).max()) for layer in layers),
            "parameters of a unit: the largest unit",
        ),
    ),
    "obs": _optimal_brain_surgeon(
        full_block,
        Inversion(
            lambda layers: sum(int(layer.sum()) for layer in layers),
            "parameters of the network: the network",
            instead="unit_obs",
        ),
    ),
    "kfac": _ascending(kronecker_saliencies, predicts=False)._replace(
        group_order=kronecker_group_order,
        inverts=Inversion(
            lambda layers: max(int(layer.any(axis=1).sum()) for layer in layers),
            "inputs of a layer: the largest layer",
        ),
    ),
    "magnitude": _ascending(_magnitudes, predicts=False),
    "random": _ascending(
        _random_saliencies, predicts=False, group_saliencies=_random_group_saliencies
    ),
}
