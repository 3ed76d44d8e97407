"""Which parameters to delete, and how: criteria, dead units, exact counts.

A criterion ranks the candidates and may correct the survivors:

===============  ===================================  =====================================
criterion        Hessian kept                         saliency of parameter q
===============  ===================================  =====================================
``"obd"``        diagonal                             h_qq u_q^2 / 2
``"unit_obs"``   one block for each unit              u_q^2 / (2 [H^-1]_qq), with correction
``"obs"``        all of Gauss-Newton                  the same
``"magnitude"``  none                                 abs(u_q)
``"random"``     none                                 uniform
===============  ===================================  =====================================

References: LeCun, Denker & Solla (1989), equation 5; Hassibi & Stork (1993), equation 5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ._curvature import diagonal_curvature
from ._network import Array, Indices, Mask, Network
from ._objective import Objective
from ._surgeon import BLOCKS, corrected, elimination_order, surgeon_saliencies


@dataclass(frozen=True)
class SurgerySettings:
    """How parameters are chosen for deletion; the estimators' parameters of the same names."""

    criterion: str = "obd"
    curvature: str = "gauss_newton"
    granularity: str = "weight"
    prune_intercepts: bool = False


class Ranking(NamedTuple):
    """Candidates in the order of their deletion.

    Attributes
    ----------
    order : ndarray of shape (n_ranked,)
        Positions in ``theta``, the first to go first.
    rises : ndarray of shape (n_ranked,)
        Predicted rise of the objective by each, given the earlier ones; NaN if the criterion
        predicts none.
    correct : callable or None
        ``correct(theta, deleted)`` returns ``theta`` with the survivors adjusted to the deletion
        of ``deleted`` (a mask), and the predicted rise of the objective; None where survivors
        stay as they are.
    """

    order: Indices
    rises: Array
    correct: Callable[[Array, Mask], tuple[Array, float]] | None = None


class Deletion(NamedTuple):
    """Parameters, mask and predicted rise of the objective after a deletion."""

    theta: Array
    mask: Mask
    predicted_increase: float


class Criterion(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    saliencies : callable
        ``saliencies(objective, theta, mask, settings, rng)`` gives the saliency of every
        parameter if it were deleted alone, shape (n_parameters,); 0 where already deleted.
    rank : callable or None
        ``rank(objective, theta, mask, candidates, n_delete, settings, rng)`` returns a `Ranking`
        of at least ``n_delete`` candidates; None: ascending saliency.
    correct : callable or None
        ``correct(objective, theta, mask, deleted, settings, rng)`` returns ``theta`` adjusted to
        the deletion of a set, and the predicted rise; None where survivors stay as they are.
    predicts : bool
        Whether saliencies are predicted rises of the objective.
    """

    saliencies: Callable[..., Array]
    rank: Callable[..., Ranking] | None = None
    correct: Callable[..., tuple[Array, float]] | None = None
    predicts: bool = True


def obd_saliencies(
    objective: Objective,
    theta: Array,
    mask: Mask,
    settings: SurgerySettings,
    rng: np.random.RandomState | None = None,
) -> Array:
    """h_qq u_q^2 / 2 (LeCun, Denker & Solla, 1989, equation 5), shape (n_parameters,)."""
    # The curvature of a deleted weight may overflow: its input may be anything finite.
    with np.errstate(over="ignore", invalid="ignore"):
        curvature = diagonal_curvature(objective, theta, settings.curvature)
        return np.where(mask, 0.5 * curvature * theta * theta, 0)


def _magnitudes(
    objective: Objective,
    theta: Array,
    mask: Mask,
    settings: SurgerySettings,
    rng: np.random.RandomState | None = None,
) -> Array:
    return np.abs(theta)


def _random_saliencies(
    objective: Objective,
    theta: Array,
    mask: Mask,
    settings: SurgerySettings,
    rng: np.random.RandomState,
) -> Array:
    # One draw for each candidate, so that dead units make no difference.
    able = candidates(objective.network, mask, settings)
    saliencies = np.zeros_like(theta)
    saliencies[able] = rng.uniform(size=int(able.sum()))
    return saliencies


def _surgeon(name: str) -> Criterion:
    """A criterion of the surgeon family; see `_surgeon`."""

    def saliencies(
        objective: Objective,
        theta: Array,
        mask: Mask,
        settings: SurgerySettings,
        rng: np.random.RandomState,
    ) -> Array:
        blocks = BLOCKS[name](objective, theta, mask, settings.curvature, rng)
        return surgeon_saliencies(blocks, theta).astype(theta.dtype)

    def rank(
        objective: Objective,
        theta: Array,
        mask: Mask,
        able: Mask,
        n_delete: int,
        settings: SurgerySettings,
        rng: np.random.RandomState,
    ) -> Ranking:
        blocks = BLOCKS[name](objective, theta, mask, settings.curvature, rng)
        order, rises = elimination_order(blocks, theta, able, n_delete)
        return Ranking(order, rises, lambda theta, deleted: corrected(blocks, theta, deleted))

    def correct(
        objective: Objective,
        theta: Array,
        mask: Mask,
        deleted: Mask,
        settings: SurgerySettings,
        rng: np.random.RandomState,
    ) -> tuple[Array, float]:
        blocks = BLOCKS[name](objective, theta, mask, settings.curvature, rng)
        return corrected(blocks, theta, deleted)

    return Criterion(saliencies, rank, correct)


CRITERIA: dict[str, Criterion] = {
    "obd": Criterion(obd_saliencies),
    "unit_obs": _surgeon("unit_obs"),
    "obs": _surgeon("obs"),
    "magnitude": Criterion(_magnitudes, predicts=False),
    "random": Criterion(_random_saliencies, predicts=False),
}


def candidates(network: Network, mask: Mask, settings: SurgerySettings) -> Mask:
    """Surviving parameters that may be deleted: weights, and intercepts if asked."""
    return mask if settings.prune_intercepts else mask & network.is_weight


def n_prunable(network: Network, settings: SurgerySettings) -> int:
    """Number of parameters that ``prune_fraction`` is a fraction of."""
    return int(candidates(network, np.ones(network.n_parameters, dtype=bool), settings).sum())


def delete_lowest(
    objective: Objective,
    theta: Array,
    mask: Mask,
    n_delete: int,
    settings: SurgerySettings,
    rng: np.random.RandomState,
) -> Deletion:
    """Delete exactly ``n_delete`` parameters, the dead ones first and then the least salient.

    A unit without incoming weights is a constant, which the next layer's intercepts take over; a
    unit without outgoing weights computes nothing. What such units still hold is deleted at no
    cost before anything else is.
    """
    network = objective.network
    able = candidates(network, mask, settings)
    if n_delete <= 0:
        return Deletion(theta, mask, 0.0)
    ranking = rank(objective, theta, mask, able, n_delete, settings, rng)
    deleted, freed, n_ranked = _choose(network, mask, able, ranking.order, n_delete)
    paid = ~freed[ranking.order[:n_ranked]]
    new_theta, rise = theta, float(ranking.rises[:n_ranked][paid].sum())
    if ranking.correct is not None:
        new_theta, rise = ranking.correct(theta, deleted & ~freed)
    mask = mask & ~deleted
    new_theta = fold_constants(network, new_theta, mask, freed)
    new_theta = np.where(mask, new_theta, 0).astype(theta.dtype, copy=False)
    return Deletion(new_theta, mask, rise)


def rank(
    objective: Objective,
    theta: Array,
    mask: Mask,
    able: Mask,
    n_delete: int,
    settings: SurgerySettings,
    rng: np.random.RandomState,
) -> Ranking:
    """Rank the candidates ``able`` by the criterion in ``settings``, ties in stable order."""
    criterion = CRITERIA[settings.criterion]
    if criterion.rank is not None:
        return criterion.rank(objective, theta, mask, able, n_delete, settings, rng)
    saliencies = criterion.saliencies(objective, theta, mask, settings, rng)
    positions = np.flatnonzero(able)
    order = positions[np.argsort(saliencies[positions], kind="stable")]
    rises = saliencies[order] if criterion.predicts else np.full(order.size, np.nan)
    return Ranking(order, rises)


def _choose(
    network: Network, mask: Mask, able: Mask, order: Indices, n_delete: int
) -> tuple[Mask, Mask, int]:
    """Deleted parameters, those of them that were free, and how many of the ranking went.

    Deleting the first m of the ranking frees the parameters of the units that die with them. The
    total grows with m, so the largest m that does not exceed ``n_delete`` is found by bisection.
    """

    # First what is dead, because deleting an intercept would leave a constant nowhere to go.
    living = without_dead_units(network, mask, able)

    def gone(m: int) -> Mask:
        left = living.copy()
        left[order[:m]] = False
        return mask & ~without_dead_units(network, left, able)

    low, high = 0, min(n_delete, order.size)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if gone(middle).sum() <= n_delete else (low, middle - 1)
    n_ranked = low
    deleted = gone(n_ranked)
    missing = n_delete - int(deleted.sum())
    if missing < 0:
        # Even the dead parameters are more than asked for: leave some of them for later.
        deleted[_constants_first(network, mask, deleted)[n_delete:]] = False
    elif missing > 0:
        # One more deletion would free too much: make it, and leave some of the dead for later.
        following = order[n_ranked]
        newly_free = gone(n_ranked + 1) & ~deleted
        newly_free[following] = False
        deleted[following] = True
        left = mask & ~deleted
        deleted[_constants_first(network, left, newly_free)[: missing - 1]] = True
        n_ranked += 1
    paid = np.zeros_like(mask)
    paid[order[:n_ranked]] = True
    # What was dead, or comes out of what is constant now, is free although it was ranked.
    paid &= living & ~_outgoing_of_constants(network, mask & ~deleted)
    return deleted, deleted & ~paid, n_ranked


def without_dead_units(network: Network, mask: Mask, able: Mask) -> Mask:
    """The mask after deleting everything in ``able`` that belongs to dead hidden units."""
    mask = mask.copy()
    layers, may = network.layers(mask), network.layers(able)
    for layer, following, may_follow in zip(layers[:-1], layers[1:], may[1:], strict=True):
        constant = np.logical_not(layer[:-1].any(axis=0))
        # Only a surviving intercept can take over the constant.
        following[:-1] &= ~(constant[:, np.newaxis] & following[-1] & may_follow[:-1])
    for layer, following, may_go in zip(layers[-2::-1], layers[:0:-1], may[-2::-1], strict=True):
        unused = np.logical_not(following[:-1].any(axis=1))
        layer &= ~(unused & may_go)
    return mask


def _outgoing_of_constants(network: Network, mask: Mask) -> Mask:
    """True at weights from constant units to units whose intercepts can take the constants over."""
    flags = np.zeros_like(mask)
    layers, outgoing = network.layers(mask), network.layers(flags)
    for layer, following, out in zip(layers[:-1], layers[1:], outgoing[1:], strict=True):
        constant = np.logical_not(layer[:-1].any(axis=0))
        out[:-1] = constant[:, np.newaxis] & following[-1]
    return flags


def _constants_first(network: Network, mask: Mask, dead: Mask) -> Indices:
    """Positions of dead parameters in an order in which any first part can go at no cost.

    The intercept of a constant unit may only go after what comes out of the unit.
    """
    outgoing = dead & _outgoing_of_constants(network, mask & ~(dead & network.is_weight))
    return np.concatenate([np.flatnonzero(outgoing), np.flatnonzero(dead & ~outgoing)])


def fold_constants(network: Network, theta: Array, mask: Mask, freed: Mask) -> Array:
    """Add what freed outgoing weights of constant units contributed to the next intercepts."""
    theta = theta.copy()
    layers, masks, free = network.layers(theta), network.layers(mask), network.layers(freed)
    for index in range(len(layers) - 1):
        constant = np.logical_not(masks[index][:-1].any(axis=0))
        if not constant.any():
            continue
        output = layers[index][-1].copy()
        network.f.apply(output)
        following = layers[index + 1]
        lost = np.where(free[index + 1][:-1] & constant[:, np.newaxis], following[:-1], 0)
        following[-1] += output @ lost
    return theta
