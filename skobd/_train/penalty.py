"""The squared penalty ``alpha / (2 S) ||W||^2`` on the weights W, without intercepts."""

from dataclasses import dataclass

import numpy as np

from .._net.network import Array, Network, axpy_for


@dataclass(frozen=True)
class Penalty:
    """Value, gradient and curvature of the penalty; S is the total weight of the samples.

    Parameters
    ----------
    network : Network
    alpha : float
    """

    network: Network
    alpha: float

    def decay(self, total_weight: float) -> float:
        """Return ``alpha / S``."""
        return self.alpha / total_weight

    def value(self, theta: Array, total_weight: float) -> float:
        """Compute ``alpha / (2 S) ||W||^2`` at ``theta`` (n_parameters,)."""
        if not self.alpha:
            return 0.0
        weights = (theta[s] for s in self.network.weight_slices)
        squares = sum(float(np.dot(w, w)) for w in weights)
        return 0.5 * self.alpha * squares / total_weight

    def add_gradient(self, theta: Array, gradient: Array, total_weight: float) -> None:
        """Compute ``gradient += alpha / S W``, in place."""
        if self.alpha:
            axpy = axpy_for(gradient.dtype)
            for weights in self.network.weight_slices:
                axpy(theta[weights], gradient[weights], a=self.decay(total_weight))

    def curvature(self, total_weight: float) -> Array:
        """Return the diagonal second derivatives: alpha/S for weights, 0 for intercepts."""
        return np.where(self.network.is_weight, self.decay(total_weight), 0.0)
