"""The penalty of retraining on small data, chosen by trials on the training rows.

The penalty is ``a/2 ||W||^2`` beside the sum of the losses, for every solver: ``a`` is the
precision of a normal prior, and ``alpha`` is ``a`` times the fraction of the rows that share one
penalty. Each a gets one trial from the dense network: two rounds of pruning with short retraining
and no regrowth. The loss of its network on new rows is estimated as

    E(a) = loss + c max(1, (n / 300)^(1/4)) g / (n - g / K),    g = tr(G (G + a I)^-1),

with ``loss`` the mean over the n training rows, K outputs and G the Gauss-Newton matrix of the
summed loss over the survivors, so that g is the effective number of parameters (MacKay, 1992, "A
practical Bayesian framework for backpropagation networks", equation 4.8 with G for the Hessian).
For squared errors of unknown scale the loss is ``K/2 log(mean squared error)``. A trial that gains
less than half as much over the best constant prediction as the best one does is left out: it has
collapsed, and a constant has few parameters. The numbers were chosen in
benchmarks/notebook/penalty_on_small_data.md.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri

from .._net.network import Array, Mask
from .._net.pruned import PrunedNetwork
from .._train.objective import Objective
from .._train.settings import Monitor, Training
from .._train.state import Status, TrainingState
from .active import active_objective, delete_active, train_active
from .blocks import jacobian_rows
from .deletion_problem import DeletionSettings
from .schedule import survivor_schedule

# The strongest comes first, and wins if trials are equally good.
_PRECISIONS = (3.0, 1.0, 0.3)
_LEVEL, _N_ROUNDS = 7 / 8, 2
# Limits beyond which trials cost too much and gain little: total weight of the rows, order of the
# matrix that is inverted, and elements of the matrix that it is computed from.
_MOST_ROWS, _MOST_DIRECTIONS, _MOST_ELEMENTS = 1500, 600, 2**21
# With more outputs, G is estimated by this many random sums of its factors.
_MOST_FACTORS = 4
_LEAST_GAIN = 0.5


# Iterations after each deletion, and the price c of a parameter. Trials by L-BFGS converge; with
# "sgd" no penalty was better than another.
TRIAL_ITERATIONS = {"adam": 15, "lbfgs": 40}
_PRICES = {"adam": 0.5, "lbfgs": 1.5}


class Trial(NamedTuple):
    """Assessment of a network that was pruned on trial.

    Attributes
    ----------
    loss : float
        Mean loss over the training rows, without the penalty.
    gain : float
        Excess of the loss of the best constant prediction.
    n_effective : float
        Effective number of parameters.
    """

    loss: float
    gain: float
    n_effective: float


def choose_alpha(
    objective: Objective, start: PrunedNetwork, alpha: float, briefly: Training
) -> float:
    """Choose the penalty of retraining by trials, which take no random numbers from the fit.

    Parameters
    ----------
    objective : Objective
        Objective of dense training; its own penalty is the lower limit.
    start : PrunedNetwork
        Network from which pruning begins.
    alpha : float
        Penalty if trials are not worth their time, or are inconclusive.
    briefly : Training
        Training of the survivors of a trial.

    Raises
    ------
    KeyboardInterrupt
        Also if it came during the training of a trial, which is then discarded.
    """
    fraction = objective.penalised_fraction
    alphas = sorted({max(objective.alpha, a * fraction) for a in _PRECISIONS}, reverse=True)
    if len(alphas) == 1 or not is_small(objective, start):
        return alpha
    settings = replace(briefly.settings, early_stopping=False, verbose=False)
    briefly = replace(briefly, settings=settings, monitor=Monitor())
    trials = [
        _make_trial(objective.with_alpha(a), start, replace(briefly, rng=deepcopy(briefly.rng)))
        for a in alphas
    ]
    n_outputs, price = start.network.layer_sizes[-1], _PRICES[settings.solver]
    best = best_of(trials, objective.total_weight, n_outputs, price)
    return alpha if best is None else alphas[best]


def is_small(objective: Objective, start: PrunedNetwork) -> bool:
    """Return whether trials from this network are worth their time on these data."""
    is_weight = start.network.is_weight
    n_left = min(int((start.mask & is_weight).sum()), round((1 - _LEVEL) * is_weight.sum()))
    n_survivors = n_left + int((~is_weight).sum())
    n_rows = objective.n_samples * min(start.network.layer_sizes[-1], _MOST_FACTORS)
    return (
        objective.total_weight <= _MOST_ROWS
        and min(n_survivors, n_rows) <= _MOST_DIRECTIONS
        and n_survivors * n_rows <= _MOST_ELEMENTS
    )


def best_of(trials: Sequence[Trial], n: float, n_outputs: int, price: float) -> int | None:
    """Find the trial of least estimated loss on new rows; None if none is better than a constant.

    Parameters
    ----------
    trials : sequence of Trial
        Trials; the first wins among equally good ones.
    n : float
        Total weight of the rows.
    n_outputs : int
    price : float
        The price c of a parameter, see the module.
    """
    most = max(trial.gain for trial in trials)
    if not most > 0:
        return None
    price *= max(1, (n / 300) ** 0.25)
    expected = [
        trial.loss + price * trial.n_effective / max(n - trial.n_effective / n_outputs, 1)
        if trial.gain >= _LEAST_GAIN * most
        else np.inf
        for trial in trials
    ]
    return int(np.argmin(expected))


def _make_trial(objective: Objective, start: PrunedNetwork, training: Training) -> Trial:
    """Prune a copy of the network by a short recipe."""
    pruned, state = start, TrainingState()
    is_weight = start.network.is_weight
    n_left = int((start.mask & is_weight).sum())
    schedule = survivor_schedule(int(is_weight.sum()), n_left, _LEVEL, _N_ROUNDS)
    active = active_objective(objective, start)
    try:
        for n in schedule or [n_left] * _N_ROUNDS:
            n_delete, n_left = n_left - n, n
            pruned, _ = delete_active(active, pruned, n_delete, DeletionSettings(), training.rng)
            active = active.restricted(pruned.mask)
            result = train_active(active, pruned, state, training)
            if result.status is Status.INTERRUPTED:
                raise KeyboardInterrupt
            pruned = replace(pruned, theta=result.theta)
    except ValueError:
        # The trial diverged, or has no finite curvature.
        return Trial(np.inf, -np.inf, np.nan)
    return assess(active.objective, active.gather(pruned.theta), active.gather(pruned.mask))


def assess(objective: Objective, theta: Array, mask: Mask) -> Trial:
    """Assess a network on its training rows."""
    loss = objective.with_alpha(0).value(theta)
    constant = objective.loss.of_constant(objective.Y, objective.sample_weight)
    if objective.loss.out_activation == "identity":
        # The scale is unknown; the error of a perfect fit is limited by rounding.
        half = objective.Y.shape[1] / 2
        least = np.finfo(np.float64).eps * constant
        loss, constant = (
            half * float(np.log(max(value, least) / half)) for value in (loss, constant)
        )
    n_effective = effective_parameters(objective, theta, mask)
    if not np.isfinite([loss, constant, n_effective]).all():
        return Trial(np.inf, -np.inf, np.nan)
    return Trial(loss, constant - loss, n_effective)


def effective_parameters(objective: Objective, theta: Array, mask: Mask) -> float:
    """Compute tr(G (G + a I)^-1) over the surviving parameters; NaN if G is not finite."""
    precision = objective.alpha / objective.penalised_fraction
    weight = objective.sample_weight
    roots = np.ones(objective.n_samples) if weight is None else np.sqrt(weight, dtype=np.float64)
    survivors = np.flatnonzero(mask)
    jacobians = jacobian_rows(
        objective, theta, survivors, objective.X, roots, most_factors=_MOST_FACTORS
    )
    rows = np.concatenate(list(jacobians))
    gram = rows.T @ rows if rows.shape[0] > rows.shape[1] else rows @ rows.T
    np.einsum("aa->a", gram)[...] += precision
    half, info = dpotrf(gram, overwrite_a=1)
    if info:
        return np.nan
    inverse, _ = dpotri(half, overwrite_c=1)
    return len(gram) - precision * float(np.trace(inverse))
