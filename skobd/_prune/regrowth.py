"""Regrowth: exchange of surviving weights for deleted ones that promise more.

At the minimum over a deleted weight of gradient g and curvature h the quadratic model of the
objective is lower by

    g^2 / (2 h),

the counterpart of the saliency h u^2 / 2 (LeCun, Denker & Solla, 1989, equation 5): the first is
the predicted decrease of a revival, the second the predicted increase of a deletion. Growing by
the size of the gradient alone is due to Evci, Gale, Menick, Castro & Elsen (2020, "Rigging
the lottery").

In cycle c of C a fraction 0.3 (1 - c/C) of the survivors is deleted by the criterion, the same
number of weights is revived, and the network is retrained. The best network is kept.
"""

from dataclasses import dataclass, replace

import numpy as np

from .._net.dead_units import reached_units, useful_units
from .._net.network import Array, Mask, Network
from .._net.pruned import PrunedNetwork
from .._train.objective import Objective
from .._train.settings import Training
from .._train.solvers import DivergenceError
from .._train.state import SolverResult, Status
from .active import active_objective, delete_active, train_active
from .curvature import diagonal_curvature
from .deletion_problem import DeletionProblem, DeletionSettings, check_no_overflow

# Fraction of the survivors that is exchanged in the first cycle; falls linearly to 0.
_FIRST_FRACTION = 0.3
# Added to every curvature, as a fraction of the mean over the surviving weights, or over the
# candidates if none survive, because the quadratic model promises too much at small curvatures.
_CURVATURE_DAMPING = 1e-3
# Statuses of a training that the user or a callback has ended.
ENDED_EARLY = (Status.INTERRUPTED, Status.STOPPED)


@dataclass(frozen=True)
class RegrowthCycle:
    """A cycle of regrowth: deletion and revival of equally many weights, then retraining.

    Attributes
    ----------
    n_exchanged : int
    predicted_increase, predicted_decrease : float
        Predicted change of the objective by the deletion, and by the revival.
    loss_after_retraining : float
    n_iter : int
    is_best : bool
        Whether its network is the best of the level so far.
    """

    n_exchanged: int
    predicted_increase: float
    predicted_decrease: float
    loss_after_retraining: float = np.nan
    n_iter: int = 0
    is_best: bool = False


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with the training that led to it.

    Attributes
    ----------
    pruned : PrunedNetwork
    result : SolverResult
    loss : float
        Objective at the network.
    cycles : tuple of RegrowthCycle
    """

    pruned: PrunedNetwork
    result: SolverResult
    loss: float
    cycles: tuple[RegrowthCycle, ...] = ()


def can_regrow(trained: Trained, settings: DeletionSettings) -> bool:
    """Return whether regrowth can change a network."""
    # The gradient is 0 in all weights of a deleted unit, so that none of them promises anything.
    # A network that is not retrained is not refined either.
    return settings.granularity == "weight" and trained.result.n_iter > 0


def regrow(
    whole: Objective,
    trained: Trained,
    n_cycles: int,
    settings: DeletionSettings,
    training: Training,
    rng: np.random.RandomState,
) -> Trained:
    """Exchange survivors for deleted weights that promise more, and keep the best network.

    An interrupt, or a cycle that diverges, ends regrowth with the best network so far.
    """
    if not can_regrow(trained, settings):
        return trained
    best, pruned, last = trained, trained.pruned, trained.result
    n_left = int((pruned.mask & pruned.network.is_weight).sum())
    cycles: list[RegrowthCycle] = []
    n_iter = last.n_iter
    try:
        for c in range(n_cycles):
            if last.status in ENDED_EARLY:
                break
            n = min(n_left, max(1, round(_FIRST_FRACTION * (1 - c / n_cycles) * n_left)))
            regrown = regrow_step(whole, pruned, n, settings, rng)
            if regrown is None:
                break
            pruned, cycle = regrown
            active = active_objective(whole, pruned)
            if training.monitor.on_cycle is not None:
                training.monitor.on_cycle(pruned.theta, pruned.mask)
            last = train_active(active, pruned, last.state.forget_best(), training)
            n_iter += last.n_iter
            pruned = replace(pruned, theta=last.theta)
            loss = active.value(pruned.theta)
            is_best = loss < best.loss
            cycles.append(
                replace(cycle, loss_after_retraining=loss, n_iter=last.n_iter, is_best=is_best)
            )
            if is_best:
                best = Trained(pruned, last, loss)
    except KeyboardInterrupt:
        last = replace(last, status=Status.INTERRUPTED, message="interrupted by the user")
    except DivergenceError:
        pass  # the network before this cycle remains
    # The curves cover all cycles; network, loss and optimiser are those of the best one.
    kept = best.result
    state = replace(last.state, optimizer=kept.state.optimizer)
    result = replace(last, theta=kept.theta, n_iter=n_iter, loss=kept.loss, state=state)
    return Trained(best.pruned, result, best.loss, tuple(cycles))


def regrow_step(
    whole: Objective,
    pruned: PrunedNetwork,
    n: int,
    settings: DeletionSettings,
    rng: np.random.RandomState,
) -> tuple[PrunedNetwork, RegrowthCycle] | None:
    """Delete ``n`` survivors or fewer, and revive as many; return None if none can come back.

    The deletion decides which deleted weights can act; if they are too few, it is made smaller.
    """
    active = active_objective(whole, pruned)
    while n:
        left, predicted_increase = delete_active(active, pruned, n, settings, rng)
        if revivable(left.network, left.mask).sum() >= n:
            break
        n //= 2
    else:
        return None
    # All inputs may come back, but no dead unit: only active units can act.
    active = active_objective(whole, left, max_copy_bytes=0)
    mask, predicted_decrease = revive(active.problem(left, settings, rng), n)
    revived = replace(left, mask=active.scatter(mask, left.mask))
    return revived, RegrowthCycle(n, predicted_increase, predicted_decrease)


def revive(problem: DeletionProblem, n: int) -> tuple[Mask, float]:
    """Revive, at 0, the ``n`` deleted weights of largest predicted decrease.

    Returns
    -------
    mask : ndarray of bool of shape (n_parameters,)
    predicted_decrease : float
        Sum over the revived; an upper bound of the decrease that the diagonal model promises.
    """
    decreases = predicted_decreases(problem)
    positions = np.flatnonzero(revivable(problem.network, problem.mask))
    order = positions[np.argsort(-decreases[positions], kind="stable")][:n]
    mask = problem.mask.copy()
    mask[order] = True
    return mask, float(decreases[order].sum())


def predicted_decreases(problem: DeletionProblem) -> Array:
    """Compute g^2 / (2 h) of every deleted weight that can act, else 0; (n_parameters,)."""
    objective, theta = problem.objective, problem.theta
    candidates = revivable(problem.network, problem.mask)
    decreases = np.zeros_like(theta)
    if not candidates.any():
        return decreases
    with np.errstate(all="ignore"):
        curvature = diagonal_curvature(objective, theta, problem.settings.curvature)
        check_no_overflow(curvature[problem.mask], "Second derivatives")
        _, gradient = objective.value_and_gradient(theta)
        # The curvature of the paper's recursion may be negative.
        present = problem.prunable if problem.prunable.any() else candidates
        h = np.maximum(curvature, 0) + _CURVATURE_DAMPING * float(np.abs(curvature[present]).mean())
        decreases[candidates] = (0.5 * gradient * gradient / h)[candidates]
    return np.nan_to_num(decreases, nan=0.0, posinf=0.0)


def revivable(network: Network, mask: Mask) -> Mask:
    """Mark deleted weights that can act: from units that inputs reach to useful ones."""
    candidates = ~mask & network.is_weight
    reached, useful = reached_units(network, mask), useful_units(network, mask)
    for coefs, sources, targets in zip(
        network.coefs(candidates), reached[:-1], useful[1:], strict=True
    ):
        coefs &= sources[:, np.newaxis] & targets
    return candidates
