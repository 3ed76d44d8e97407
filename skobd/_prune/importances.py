"""How much the objective depends on each input, at less than the price of an epoch."""

import numpy as np

from .._net.network import Array
from .._net.pruned import PrunedNetwork
from .._train.objective import Objective
from .curvature import diagonal_curvature

# All rows up to so many, and a tenth of them beyond: a few per cent of ten epochs.
_ALL_ROWS, _FRACTION = 1000, 0.1


def input_importances(objective: Objective, pruned: PrunedNetwork) -> Array:
    """Saliencies h u^2 / 2 summed over the weights of each input, (n_inputs,); their sum is 1.

    The second derivatives h are those of the recursion without f'' (Levenberg-Marquardt), whose
    cost does not grow with the number of outputs, on evenly spaced rows.
    """
    n_rows = max(_ALL_ROWS, int(_FRACTION * objective.n_samples))
    sample = objective.thinned(n_rows)
    with np.errstate(over="ignore", invalid="ignore"):
        curvature = diagonal_curvature(sample, pruned.theta, "levenberg_marquardt")
        h, weights = pruned.network.coefs(curvature)[0], pruned.coefs[0]
        saliencies = np.where(pruned.coef_masks[0], 0.5 * h * weights * weights, 0)
        sums = saliencies.sum(axis=1, dtype=np.float64)
        total = sums.sum()
        return (sums / total if total > 0 else sums).astype(weights.dtype)
