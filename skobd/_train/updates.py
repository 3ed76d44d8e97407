"""Stochastic update rules over the surviving parameters: Adam, and descent with momentum."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._net.network import Array, Mask
from .penalty import axpy_for

# Elements updated at a time: their intermediate results stay in the cache, and the calls are few.
_CACHE_ELEMENTS = 2**17
# The factor taken out of a moment goes back into it before it gets smaller than this.
_SMALLEST_FACTOR = 1e-4


@dataclass(frozen=True)
class SolverSettings:
    """Hyper-parameters of training; names, defaults and meanings are scikit-learn's.

    Of ``engine`` the default is the step that is always there.
    """

    solver: str = "adam"
    batch_size: int | str = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    tol: float = 1e-4
    verbose: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    engine: str = "numpy"


def batch_size_of(batch_size: int | str) -> int:
    """Rows of a minibatch, if there are as many."""
    return 200 if batch_size == "auto" else int(batch_size)


class Survivors:
    """The surviving parameters as one vector, in step with the full ``theta``.

    Without deletions the vector is ``theta`` itself and nothing is copied.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    where : ndarray of int of shape (n_surviving,) or None
        Their positions in ``theta``, ascending; None if all survive.
    values : ndarray of shape (n_surviving,)
    """

    def __init__(self, theta: Array, mask: Mask) -> None:
        self.theta = theta.copy()
        self.where = None if mask.all() else np.flatnonzero(mask)
        self.values = self.theta if self.where is None else self.theta[self.where]

    def gather(self, vector: Array, chunk: slice = slice(None)) -> Array:
        """Entries of a theta-shaped vector at (a chunk of) the survivors."""
        return vector[chunk] if self.where is None else np.take(vector, self.where[chunk])

    def scatter(self, chunk: slice = slice(None)) -> None:
        """Write ``values`` into ``theta``."""
        if self.where is not None:
            self.theta[self.where[chunk]] = self.values[chunk]

    def assign(self, values: Array) -> None:
        """Take over new values, in the precision of ``theta``."""
        self.values[:] = values
        self.scatter()

    def within(self, chunk: slice) -> slice:
        """Which of the survivors lie in a chunk of ``theta``."""
        if self.where is None:
            return chunk
        start, stop = np.searchsorted(self.where, (chunk.start, chunk.stop))
        return slice(int(start), int(stop))


# apply(values, gradient, chunk): change `values` in place and use `gradient` as scratch; both
# belong to this chunk of the survivors.
Apply = Callable[[Array, Array, slice], None]


class Update(Protocol):
    """A stochastic update rule over the vector of surviving parameters."""

    settings: SolverSettings

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        """Set the learning rate of a cosine schedule over ``n_epochs`` epochs."""

    def begin_step(self) -> Apply:
        """What this step does to a chunk of the survivors; chunks may run concurrently."""

    def moments(self) -> list[Array]:
        """What it remembers of earlier gradients, over the survivors."""

    def next_steps(self, n_steps: int) -> NDArray[np.float64]:
        """Begin so many steps at once: what the compiled step needs of each, (n_steps, 4)."""

    def begin_at(self, rate: float) -> None:
        """Go on with another initial learning rate."""

    def end_epoch(self, n_samples_seen: int) -> None:
        """Adapt the learning rate after an epoch."""

    def plateau(self) -> str | None:
        """React to a plateau: None to go on with a smaller rate, else why to stop."""

    def spread(self, where: Mask) -> None:
        """Go on over more values: the present ones are at ``where``, the others are at rest."""


class Adam:
    """Adam (Kingma & Ba, 2015, algorithm 1, in the form of the end of its section 2).

    The moments are kept as  m = mean_factor * mean  and  v = mean_square_factor * mean_square,
    so that their decay is one product of numbers instead of one of arrays.
    """

    def __init__(self, settings: SolverSettings, n_values: int, dtype: Any) -> None:
        self.settings = settings
        self.rate = settings.learning_rate_init
        self.n_steps = 0
        self.mean = np.zeros(n_values, dtype=dtype)
        self.mean_square = np.zeros(n_values, dtype=dtype)
        self.mean_factor = self.mean_square_factor = 1.0

    def begin_step(self) -> Apply:
        settings = self.settings
        self.n_steps += 1
        beta_1, beta_2 = settings.beta_1, settings.beta_2
        self._decay()
        root = self.mean_square_factor**0.5
        rate = self.rate * (1 - beta_2**self.n_steps) ** 0.5 / (1 - beta_1**self.n_steps)
        # Python numbers, because NumPy's would turn the arithmetic of float32 into float64.
        rate, epsilon = float(rate * self.mean_factor / root), float(settings.epsilon / root)
        gain, gain_square = (1 - beta_1) / self.mean_factor, (1 - beta_2) / self.mean_square_factor
        axpy = axpy_for(self.mean.dtype)

        def apply(values: Array, gradient: Array, chunk: slice) -> None:
            arrays = values, gradient, self.mean[chunk], self.mean_square[chunk]
            for x, g, m, v in _cached(arrays):
                axpy(g, m, a=gain)
                np.multiply(g, g, out=g)
                axpy(g, v, a=gain_square)
                np.sqrt(v, out=g)
                g += epsilon
                np.divide(m, g, out=g)
                axpy(g, x, a=-rate)

        return apply

    def moments(self) -> list[Array]:
        return [self.mean, self.mean_square]

    def next_steps(self, n_steps: int) -> NDArray[np.float64]:
        # There the moments are not kept apart from their factors.
        settings = self.settings
        self.mean *= self.mean_factor
        self.mean_square *= self.mean_square_factor
        self.mean_factor = self.mean_square_factor = 1.0
        steps = self.n_steps + np.arange(1, n_steps + 1)
        self.n_steps += n_steps
        numbers = np.empty((n_steps, 4))
        numbers[:, 0] = self.rate * (1 - settings.beta_2**steps) ** 0.5
        numbers[:, 0] /= 1 - settings.beta_1**steps
        numbers[:, 1:] = settings.beta_1, settings.beta_2, settings.epsilon
        return numbers

    def _decay(self) -> None:
        """Multiply both moments by their decay rates."""
        settings = self.settings
        self.mean_factor *= settings.beta_1
        self.mean_square_factor *= settings.beta_2
        if self.mean_factor < _SMALLEST_FACTOR:
            self.mean *= self.mean_factor
            self.mean_factor = 1.0
        if self.mean_square_factor < _SMALLEST_FACTOR:
            self.mean_square *= self.mean_square_factor
            self.mean_square_factor = 1.0

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        self.rate = _cosine(self.settings, self.rate, epoch, n_epochs)

    def begin_at(self, rate: float) -> None:
        self.rate = rate

    def end_epoch(self, n_samples_seen: int) -> None:
        pass

    def plateau(self) -> str | None:
        return "Stopping."

    def spread(self, where: Mask) -> None:
        self.mean, self.mean_square = _spread(self.mean, where), _spread(self.mean_square, where)


class Momentum:
    """Gradient descent with (Nesterov's) momentum and scikit-learn's learning-rate schedules."""

    def __init__(self, settings: SolverSettings, n_values: int, dtype: Any) -> None:
        self.settings = settings
        self.rate = settings.learning_rate_init
        self.velocity = np.zeros(n_values, dtype=dtype)

    def begin_step(self) -> Apply:
        momentum, rate = self.settings.momentum, self.rate
        nesterov = self.settings.nesterovs_momentum
        axpy = axpy_for(self.velocity.dtype)

        def apply(values: Array, gradient: Array, chunk: slice) -> None:
            for x, g, v in _cached((values, gradient, self.velocity[chunk])):
                v *= momentum
                axpy(g, v, a=-rate)
                if nesterov:
                    axpy(v, x, a=momentum)
                    axpy(g, x, a=-rate)
                else:
                    x += v

        return apply

    def moments(self) -> list[Array]:
        return [self.velocity]

    def next_steps(self, n_steps: int) -> NDArray[np.float64]:
        settings = self.settings
        numbers = [self.rate, settings.momentum, settings.nesterovs_momentum, 0.0]
        return np.tile(numbers, (n_steps, 1))

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        self.rate = _cosine(self.settings, self.rate, epoch, n_epochs)

    def begin_at(self, rate: float) -> None:
        self.rate = rate

    def end_epoch(self, n_samples_seen: int) -> None:
        settings = self.settings
        if settings.learning_rate == "invscaling":
            # Of NumPy's numbers a power that is too large is infinite, and the rate 0.
            with np.errstate(over="ignore"):
                divisor = np.float64(n_samples_seen + 1) ** settings.power_t
            self.rate = float(settings.learning_rate_init / divisor)

    def plateau(self) -> str | None:
        if self.settings.learning_rate != "adaptive":
            return "Stopping."
        if self.rate <= 1e-6:
            return "Learning rate too small. Stopping."
        self.rate /= 5
        return None

    def spread(self, where: Mask) -> None:
        self.velocity = _spread(self.velocity, where)


def _cosine(settings: SolverSettings, rate: float, epoch: int, n_epochs: int) -> float:
    """Rate of an epoch (Loshchilov & Hutter, 2017, without restarts); else the present one."""
    if settings.learning_rate != "cosine":
        return rate
    return settings.learning_rate_init * 0.5 * (1 + math.cos(math.pi * (epoch + 0.5) / n_epochs))


def _spread(values: Array, where: Mask) -> Array:
    spread = np.zeros(where.size, dtype=values.dtype)
    spread[where] = values
    return spread


def _cached(arrays: tuple[Array, ...]) -> Iterator[tuple[Array, ...]]:
    """Views of vectors of one length, cache-sized piece by piece."""
    size = arrays[0].size
    if size <= _CACHE_ELEMENTS:
        # BLAS refuses empty vectors.
        if size:
            yield arrays
        return
    for start in range(0, size, _CACHE_ELEMENTS):
        yield tuple(array[start : start + _CACHE_ELEMENTS] for array in arrays)


UPDATES: dict[str, type[Adam] | type[Momentum]] = {"adam": Adam, "sgd": Momentum}


def resume(state: Update | None, settings: SolverSettings, n_values: int, dtype: Any) -> Update:
    """A copy of the state, under the present settings; a fresh one for another solver.

    A copy, because training may fail, and because arrays that were loaded memory-mapped cannot be
    written to.
    """
    rule = UPDATES[settings.solver]
    if not isinstance(state, rule):
        return rule(settings, n_values, dtype)
    update = copy.deepcopy(state)
    # A cosine schedule that has ended leaves a rate of almost nothing.
    has_ended = state.settings.learning_rate == "cosine"
    if has_ended or settings.learning_rate_init != state.settings.learning_rate_init:
        update.begin_at(settings.learning_rate_init)
    update.settings = settings
    return update
