"""Importances of the inputs for the objective, at the cost of less than an epoch."""

import numpy as np

from .._net.network import Array
from .._net.pruned import PrunedNetwork
from .._train.objective import Objective
from .curvature import diagonal_curvature
from .deletion_problem import check_no_overflow

# All rows up to 1000, and a tenth of them beyond: a few per cent of ten epochs.
_ALL_ROWS, _FRACTION = 1000, 0.1


def input_importances(objective: Objective, pruned: PrunedNetwork) -> Array:
    """Sum the saliencies h u^2 / 2 of the weights of each input, (n_inputs,), scaled to sum 1.

    The second derivatives h are those of the recursion without f'' (Levenberg-Marquardt), whose
    cost does not grow with the number of outputs, on evenly spaced rows.
    """
    n_rows = max(_ALL_ROWS, int(_FRACTION * objective.n_samples))
    sample = objective.thinned(n_rows)
    with np.errstate(all="ignore"):
        sums = _summed_saliencies(sample, pruned)
        total = sums.sum()
        limits = np.finfo(objective.dtype)
        if not limits.tiny / limits.eps < total < np.inf:
            # The squares of the input exceed the range of its precision.
            sums = _summed_saliencies(*_rescaled(sample, pruned))
            check_no_overflow(sums, "Importances of the inputs")
            total = sums.sum()
        return (sums / total if total > 0 else sums).astype(pruned.theta.dtype)


def _summed_saliencies(objective: Objective, pruned: PrunedNetwork) -> Array:
    curvature = diagonal_curvature(objective, pruned.theta, "levenberg_marquardt")
    h, weights = pruned.network.coefs(curvature)[0], pruned.coefs[0]
    largest = np.abs(weights, dtype=np.float64).max()
    saliencies = np.where(pruned.coef_masks[0], h * (weights / (largest or 1)) ** 2, 0)
    return saliencies.sum(axis=1)


def _rescaled(objective: Objective, pruned: PrunedNetwork) -> tuple[Objective, PrunedNetwork]:
    """Rescale inputs to at most 1 in size, in double precision; predictions stay as they are."""
    X = objective.X[:].astype(np.float64)
    largest = abs(X).max(axis=0)
    scale = largest if isinstance(X, np.ndarray) else largest.toarray().ravel()
    scale[scale == 0] = 1
    X = X / scale if isinstance(X, np.ndarray) else X.multiply(1 / scale).tocsr()
    theta = pruned.theta.astype(np.float64)
    pruned.network.coefs(theta)[0][:] *= scale[:, np.newaxis]
    network, mask = pruned.network, pruned.mask
    rescaled = Objective(network, objective.loss, X, objective.Y, objective.sample_weight)
    return rescaled, PrunedNetwork(network, theta, mask)
