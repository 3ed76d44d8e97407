"""Solvers over the surviving parameters: Adam, stochastic gradient descent, L-BFGS.

All three have one signature and return one record:

    solve(objective, theta, mask, settings, journal, rng, watch, state) -> SolverResult

They work on the vector ``theta[mask]``, so a deleted parameter cannot move.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import optimize
from scipy.linalg import get_blas_funcs

from ._network import Array, Mask
from ._objective import Objective
from ._parallel import run_lanes

# Optimiser updates run in chunks, so that their intermediate results stay in the cache.
_CHUNK = 2**15
# A lane of the update is worth a thread from about this many parameters on.
_LANE_PARAMETERS = 2**16
_MAX_LANES = 8
# The factor taken out of a moment goes back into it before it gets smaller than this.
_SMALLEST_FACTOR = 1e-4


@dataclass(frozen=True)
class SolverSettings:
    """Hyper-parameters of training; the names, defaults and meanings are scikit-learn's."""

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


@dataclass
class Journal:
    """What training has recorded so far; carried on by warm starts and retraining.

    Attributes
    ----------
    loss_curve : list of float
        Objective after each epoch or iteration.
    validation_loss_curve, validation_scores : list of float
        The same on validation data, where there are any.
    best_loss, best_validation_score : float
    n_idle : int
        Epochs in a row without improvement by `tol`.
    n_samples_seen : int
    """

    loss_curve: list[float] = field(default_factory=list)
    validation_loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best_loss: float = np.inf
    best_validation_score: float = -np.inf
    n_idle: int = 0
    n_samples_seen: int = 0

    def copy(self) -> "Journal":
        """Independent copy: a fit that fails must not change the estimator's journal."""
        return replace(
            self,
            loss_curve=list(self.loss_curve),
            validation_loss_curve=list(self.validation_loss_curve),
            validation_scores=list(self.validation_scores),
        )

    def forget_best(self) -> "Journal":
        """Start judging improvement anew: after a deletion the old best is out of reach."""
        return replace(self.copy(), best_loss=np.inf, best_validation_score=-np.inf, n_idle=0)


class Watch(NamedTuple):
    """What is looked at while training goes on.

    Attributes
    ----------
    validate : callable or None
        ``validate(theta)`` returns loss and score on the validation data.
    on_epoch : callable or None
        ``on_epoch(theta)`` is called after every epoch and returns True to stop training.
    on_round : callable or None
        ``on_round(theta, mask)`` is called before the training of every round.
    """

    validate: Callable[[Array], tuple[float, float]] | None = None
    on_epoch: Callable[[Array], bool] | None = None
    on_round: Callable[[Array, Mask], None] | None = None


@dataclass
class SolverResult:
    """Outcome of one call of a solver.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    loss : float
        Objective as the solver last saw it; for minibatches the mean over the last epoch.
    n_iter : int
        Epochs or iterations of this call.
    journal : Journal
    status : {"converged", "max_iter", "interrupted", "stopped", "diverged"}
    message : str
        Why the solver ended, in words.
    state : object or None
        What the optimiser needs to continue as if it had not ended.
    """

    theta: Array
    loss: float
    n_iter: int
    journal: Journal
    status: str = "max_iter"
    message: str = ""
    state: Any = None


class DivergenceError(ValueError):
    """Training produced non-finite values."""


class Update(Protocol):
    """A stochastic update rule over the vector of surviving parameters."""

    def step(self, values: Array, gradient: Array) -> None:
        """Change ``values`` in place, and use ``gradient`` as scratch; shape (n_surviving,)."""

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
        self.n_steps = 0
        self.mean = np.zeros(n_values, dtype=dtype)
        self.mean_square = np.zeros(n_values, dtype=dtype)
        self.mean_factor = self.mean_square_factor = 1.0

    def step(self, values: Array, gradient: Array) -> None:
        settings = self.settings
        self.n_steps += 1
        beta_1, beta_2 = settings.beta_1, settings.beta_2
        self._decay()
        root = np.sqrt(self.mean_square_factor)
        rate = (
            settings.learning_rate_init
            * np.sqrt(1 - beta_2**self.n_steps)
            / (1 - beta_1**self.n_steps)
        )
        # Python numbers, because NumPy's would turn the arithmetic of float32 into float64.
        rate, epsilon = float(rate * self.mean_factor / root), float(settings.epsilon / root)
        gain, gain_square = (1 - beta_1) / self.mean_factor, (1 - beta_2) / self.mean_square_factor
        axpy = get_blas_funcs("axpy", (values,))

        def update(chunk: slice) -> None:
            g, m, v = gradient[chunk], self.mean[chunk], self.mean_square[chunk]
            axpy(g, m, a=gain)
            np.multiply(g, g, out=g)
            axpy(g, v, a=gain_square)
            np.sqrt(v, out=g)
            g += epsilon
            np.divide(m, g, out=g)
            axpy(g, values[chunk], a=-rate)

        _in_chunks(update, values.size)

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

    def step(self, values: Array, gradient: Array) -> None:
        momentum, rate = self.settings.momentum, self.rate
        axpy = get_blas_funcs("axpy", (values,))

        def update(chunk: slice) -> None:
            g, v, x = gradient[chunk], self.velocity[chunk], values[chunk]
            v *= momentum
            axpy(g, v, a=-rate)
            if self.settings.nesterovs_momentum:
                axpy(v, x, a=momentum)
                axpy(g, x, a=-rate)
            else:
                x += v

        _in_chunks(update, values.size)

    def end_epoch(self, n_samples_seen: int) -> None:
        settings = self.settings
        if settings.learning_rate == "invscaling":
            self.rate = settings.learning_rate_init / (n_samples_seen + 1) ** settings.power_t

    def plateau(self) -> str | None:
        if self.settings.learning_rate != "adaptive":
            return "Stopping."
        if self.rate <= 1e-6:
            return "Learning rate too small. Stopping."
        self.rate /= 5
        return None

    def spread(self, where: Mask) -> None:
        self.velocity = _spread(self.velocity, where)


def _spread(values: Array, where: Mask) -> Array:
    spread = np.zeros(where.size, dtype=values.dtype)
    spread[where] = values
    return spread


def _in_chunks(update: Callable[[slice], None], size: int) -> None:
    """Apply ``update(chunk)`` over vectors of this size, in lanes of cache-sized chunks."""
    lanes = _chunks(size)

    def lane(index: int) -> float:
        for chunk in lanes[index]:
            update(chunk)
        return 0.0

    run_lanes(lane, len(lanes))


@lru_cache(maxsize=8)
def _chunks(size: int) -> list[list[slice]]:
    n_lanes = max(1, min(size // _LANE_PARAMETERS, _MAX_LANES))
    edges = [size * lane // n_lanes for lane in range(n_lanes + 1)]
    return [
        [slice(a, min(a + _CHUNK, end)) for a in range(start, end, _CHUNK)]
        for start, end in itertools.pairwise(edges)
    ]


UPDATES: dict[str, type[Adam] | type[Momentum]] = {"adam": Adam, "sgd": Momentum}


def solve_stochastic(
    objective: Objective,
    theta: Array,
    mask: Mask,
    settings: SolverSettings,
    journal: Journal,
    rng: np.random.RandomState,
    watch: Watch = Watch(),
    state: Update | None = None,
) -> SolverResult:
    """Minimise by minibatches; see `SolverSettings` and `SolverResult`."""
    survivors = _Survivors(theta, mask)
    update = state or UPDATES[settings.solver](settings, survivors.values.size, theta.dtype)
    journal = journal.copy()
    result = SolverResult(survivors.theta, np.inf, 0, journal, state=update)
    best_theta = survivors.theta.copy() if settings.early_stopping else None
    order = np.arange(objective.n_samples)
    try:
        for _ in range(settings.max_iter):
            if settings.shuffle:
                permutation = np.arange(objective.n_samples)
                rng.shuffle(permutation)
                order = order[permutation]
            result.loss = _epoch(objective, survivors, update, settings, order)
            result.n_iter += 1
            journal.n_samples_seen += objective.n_samples
            journal.loss_curve.append(result.loss)
            improved = _record(journal, result, settings, watch)
            if settings.early_stopping and improved:
                best_theta = survivors.theta.copy()
            if not np.isfinite(result.loss):
                result.status = "diverged"
                result.message = f"the training loss became {result.loss}"
                break
            update.end_epoch(journal.n_samples_seen)
            if journal.n_idle > settings.n_iter_no_change:
                reason = update.plateau()
                if reason is not None:
                    result.status, result.message = "converged", _plateau_message(settings, reason)
                    break
                journal.n_idle = 0
            if watch.on_epoch is not None and watch.on_epoch(survivors.theta):
                result.status, result.message = "stopped", "a callback asked to stop"
                break
    except KeyboardInterrupt:
        result.status, result.message = "interrupted", "interrupted by the user"
    if best_theta is not None:
        result.theta = best_theta
    return result


def _epoch(
    objective: Objective,
    survivors: "_Survivors",
    update: Update,
    settings: SolverSettings,
    order: np.ndarray,
) -> float:
    """One pass over the rows in the given order; returns the mean objective of its batches."""
    n_samples = objective.n_samples
    batch_size = 200 if settings.batch_size == "auto" else int(settings.batch_size)
    batch_size = min(batch_size, n_samples)
    total = 0.0
    # Overflow is reported once, as divergence, not as a stream of warnings.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, n_samples, batch_size):
            rows = order[start : start + batch_size]
            value, gradient = objective.value_and_gradient(survivors.theta, rows)
            total += value * len(rows)
            update.step(survivors.values, survivors.gather(gradient))
            survivors.scatter()
    return total / n_samples


def _record(journal: Journal, result: SolverResult, settings: SolverSettings, watch: Watch) -> bool:
    """Enter the epoch in the journal; returns whether it is the best so far."""
    loss = result.loss
    if watch.validate is not None:
        validation_loss, score = watch.validate(result.theta)
        journal.validation_loss_curve.append(validation_loss)
        journal.validation_scores.append(score)
    if settings.early_stopping:
        score = journal.validation_scores[-1]
        idle = score < journal.best_validation_score + settings.tol
        improved = score > journal.best_validation_score
        journal.best_validation_score = score if improved else journal.best_validation_score
    else:
        idle = loss > journal.best_loss - settings.tol
        improved = loss < journal.best_loss
        journal.best_loss = loss if improved else journal.best_loss
    journal.n_idle = journal.n_idle + 1 if idle else 0
    if settings.verbose:
        print(f"Iteration {result.n_iter}, loss = {loss:.8f}")
        if settings.early_stopping:
            print(f"Validation score: {journal.validation_scores[-1]:f}")
    return improved


def _plateau_message(settings: SolverSettings, reason: str) -> str:
    what = "Validation score" if settings.early_stopping else "Training loss"
    message = (
        f"{what} did not improve more than tol={settings.tol:f} for "
        f"{settings.n_iter_no_change} consecutive epochs. {reason}"
    )
    if settings.verbose:
        print(message)
    return message


def solve_lbfgs(
    objective: Objective,
    theta: Array,
    mask: Mask,
    settings: SolverSettings,
    journal: Journal,
    rng: np.random.RandomState,
    watch: Watch = Watch(),
    state: None = None,
) -> SolverResult:
    """Minimise by SciPy's L-BFGS-B; see `SolverSettings` and `SolverResult`."""
    survivors = _Survivors(theta, mask)
    journal = journal.copy()
    result = SolverResult(survivors.theta.copy(), np.inf, 0, journal)

    def evaluate(values: Array) -> tuple[float, Array]:
        survivors.assign(values)
        value, gradient = objective.value_and_gradient(survivors.theta)
        return value, survivors.gather(gradient).astype(np.float64)

    def after_iteration(intermediate_result: optimize.OptimizeResult) -> None:
        survivors.assign(intermediate_result.x)
        result.theta[:] = survivors.theta
        result.loss = float(intermediate_result.fun)
        result.n_iter += 1
        journal.loss_curve.append(result.loss)
        _record(journal, result, replace(settings, early_stopping=False), watch)
        if watch.on_epoch is not None and watch.on_epoch(result.theta):
            result.status, result.message = "stopped", "a callback asked to stop"
            raise StopIteration

    options = {"maxfun": settings.max_fun, "maxiter": settings.max_iter, "gtol": settings.tol}
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            found = optimize.minimize(
                evaluate,
                survivors.values.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                callback=after_iteration,
                options=options,
            )
    except KeyboardInterrupt:
        result.status, result.message = "interrupted", "interrupted by the user"
        return result
    survivors.assign(found.x)
    result.theta, result.loss = survivors.theta, float(found.fun)
    result.n_iter = min(found.nit, settings.max_iter)
    journal.best_loss = min(journal.best_loss, result.loss)
    if not (np.isfinite(result.loss) and np.isfinite(result.theta).all()):
        result.status, result.message = "diverged", f"the objective became {result.loss}"
    elif result.status != "stopped":
        result.status = "converged" if found.status == 0 else "max_iter"
        result.message = str(found.message)
    return result


class _Survivors:
    """The surviving parameters as one vector, in step with the full ``theta``.

    Without deletions the vector is ``theta`` itself and nothing is copied.
    """

    def __init__(self, theta: Array, mask: Mask) -> None:
        self.theta = theta.copy()
        self._where = None if mask.all() else np.flatnonzero(mask)
        self.values = self.theta if self._where is None else self.theta[self._where]

    def gather(self, vector: Array) -> Array:
        """Entries of a theta-shaped vector at the survivors."""
        return vector if self._where is None else np.take(vector, self._where)

    def scatter(self) -> None:
        """Write ``values`` into ``theta``."""
        if self._where is not None:
            self.theta[self._where] = self.values

    def assign(self, values: Array) -> None:
        """Take over new values, in the precision of ``theta``."""
        self.values[:] = values
        self.scatter()


Solver = Callable[..., SolverResult]
SOLVERS: dict[str, Solver] = {
    "adam": solve_stochastic,
    "sgd": solve_stochastic,
    "lbfgs": solve_lbfgs,
}


def check_finite(result: SolverResult, settings: SolverSettings) -> None:
    """Raise `DivergenceError` if there is no finite network to keep."""
    if result.status == "diverged" and settings.early_stopping:
        # The best network on the validation data is kept; training merely ended there.
        if np.isfinite(result.theta).all() and result.n_iter > 1:
            return
    if result.status == "diverged" or not np.isfinite(result.theta).all():
        cure = "standardise the input, "
        if settings.solver != "lbfgs":
            cure += f"lower learning_rate_init (now {settings.learning_rate_init}), "
        raise DivergenceError(
            "Solver produced non-finite parameter weights. The input data may contain large "
            f"values and need to be preprocessed. Training with solver={settings.solver!r} "
            f"diverged after {result.n_iter} iterations: {result.message or 'overflow'}. "
            f"To cure this, {cure}or raise alpha."
        )
