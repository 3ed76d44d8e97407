"""Stochastic update rules over the surviving parameters: Adam, and descent with momentum."""

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .._net.network import Array, Mask, axpy_for
from .settings import SolverSettings

# Elements updated at a time: few calls, with intermediate results that stay in the cache.
_CACHE_ELEMENTS = 2**17


class Update:
    """A stochastic update rule over the vector of surviving parameters.

    Attributes
    ----------
    settings : SolverSettings
    rate : float
        Present learning rate.
    moments : ndarray of shape (n_moments, n_surviving)
        Moments of earlier gradients.
    """

    n_moments: int

    def __init__(self, settings: SolverSettings, n_values: int, dtype: Any) -> None:
        self.settings = settings
        self.rate = settings.learning_rate_init
        self.moments = np.zeros((self.n_moments, n_values), dtype=dtype)

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        """Set the learning rate of a cosine schedule over ``n_epochs`` epochs.

        See Loshchilov & Hutter, 2017; here without restarts.
        """
        if self.settings.learning_rate == "cosine":
            angle = math.pi * (epoch + 0.5) / n_epochs
            self.rate = self.settings.learning_rate_init * 0.5 * (1 + math.cos(angle))

    def begin_steps(self, n_steps: int) -> list[tuple[float, float, float, float]]:
        """Begin ``n_steps`` steps, and return the numbers that each of them uses.

        They are Python floats, because NumPy's would turn the arithmetic of float32 into float64.
        """
        raise NotImplementedError

    def apply(self, numbers: Sequence[float], values: Array, gradient: Array, chunk: slice) -> None:
        """Take a step at a chunk of the survivors; chunks may run concurrently.

        ``values`` and ``gradient`` belong to the chunk. The values are changed in place, the
        gradient is used as scratch.
        """
        raise NotImplementedError

    def set_learning_rate(self, rate: float) -> None:
        """Continue with another initial learning rate."""
        self.rate = rate

    def end_epoch(self, n_samples_seen: int) -> None:
        """Adapt the learning rate after an epoch."""

    def plateau(self) -> str | None:
        """React to a plateau: return None after a smaller rate, else the reason to stop."""
        return "Stopping."

    def expand(self, where: Mask) -> None:
        """Extend to more values: the present ones are at ``where``, others have zero moments."""
        present = self.moments
        self.moments = np.zeros((self.n_moments, where.size), dtype=present.dtype)
        self.moments[:, where] = present


class Adam(Update):
    """Adam (Kingma & Ba, 2015, algorithm 1, in the form of the end of its section 2)."""

    n_moments = 2

    def __init__(self, settings: SolverSettings, n_values: int, dtype: Any) -> None:
        super().__init__(settings, n_values, dtype)
        self.n_steps = 0

    def begin_steps(self, n_steps: int) -> list[tuple[float, float, float, float]]:
        beta_1, beta_2 = self.settings.beta_1, self.settings.beta_2
        steps = self.n_steps + np.arange(1, n_steps + 1)
        self.n_steps += n_steps
        rates = self.rate * (1 - beta_2**steps) ** 0.5 / (1 - beta_1**steps)
        return [(rate, beta_1, beta_2, self.settings.epsilon) for rate in rates.tolist()]

    def apply(self, numbers: Sequence[float], values: Array, gradient: Array, chunk: slice) -> None:
        rate, beta_1, beta_2, epsilon = numbers
        axpy = axpy_for(values.dtype)
        mean, mean_square = self.moments
        for x, g, m, v in _cached((values, gradient, mean[chunk], mean_square[chunk])):
            m *= beta_1
            axpy(g, m, a=1 - beta_1)
            np.multiply(g, g, out=g)
            v *= beta_2
            axpy(g, v, a=1 - beta_2)
            np.sqrt(v, out=g)
            g += epsilon
            np.divide(m, g, out=g)
            axpy(g, x, a=-rate)


class Momentum(Update):
    """Gradient descent with (Nesterov's) momentum and scikit-learn's learning-rate schedules."""

    n_moments = 1

    def begin_steps(self, n_steps: int) -> list[tuple[float, float, float, float]]:
        settings = self.settings
        return [(self.rate, settings.momentum, float(settings.nesterovs_momentum), 0.0)] * n_steps

    def apply(self, numbers: Sequence[float], values: Array, gradient: Array, chunk: slice) -> None:
        rate, momentum, nesterov, _ = numbers
        axpy = axpy_for(values.dtype)
        (velocity,) = self.moments
        for x, g, v in _cached((values, gradient, velocity[chunk])):
            v *= momentum
            axpy(g, v, a=-rate)
            if nesterov:
                axpy(v, x, a=momentum)
                axpy(g, x, a=-rate)
            else:
                x += v

    def end_epoch(self, n_samples_seen: int) -> None:
        settings = self.settings
        if settings.learning_rate == "invscaling":
            # With NumPy's floats a power that is too large is infinite, and the rate 0.
            with np.errstate(over="ignore"):
                divisor = np.float64(n_samples_seen + 1) ** settings.power_t
            self.rate = float(settings.learning_rate_init / divisor)

    def plateau(self) -> str | None:
        if self.settings.learning_rate != "adaptive":
            return super().plateau()
        if self.rate <= 1e-6:
            return "Learning rate too small. Stopping."
        self.rate /= 5
        return None


def _cached(arrays: tuple[Array, ...]) -> Iterator[tuple[Array, ...]]:
    """Yield views of vectors of one length, in pieces of cache size."""
    size = arrays[0].size
    if size <= _CACHE_ELEMENTS:
        # BLAS refuses empty vectors.
        if size:
            yield arrays
        return
    for start in range(0, size, _CACHE_ELEMENTS):
        yield tuple(array[start : start + _CACHE_ELEMENTS] for array in arrays)


UPDATES: dict[str, type[Update]] = {"adam": Adam, "sgd": Momentum}


def resume(state: Update | None, settings: SolverSettings, n_values: int, dtype: Any) -> Update:
    """Return a copy of the state with the present settings; a fresh one for another solver.

    It is a copy because training may fail, and because memory-mapped arrays cannot be written.
    """
    rule = UPDATES[settings.solver]
    if not isinstance(state, rule):
        return rule(settings, n_values, dtype)
    update = copy.deepcopy(state)
    # A finished cosine schedule leaves a rate near 0.
    has_ended = state.settings.learning_rate == "cosine"
    if has_ended or settings.learning_rate_init != state.settings.learning_rate_init:
        update.set_learning_rate(settings.learning_rate_init)
    update.settings = settings
    return update
