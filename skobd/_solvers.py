"""Solvers over the surviving parameters: Adam, stochastic gradient descent, L-BFGS.

All three have one signature and return one record:

    solve(objective, theta, mask, settings, journal, rng, watch, state) -> SolverResult

They work on the vector ``theta[mask]``, so a deleted parameter cannot move.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from ._network import Array, Mask
from ._objective import Objective
from ._updates import SolverSettings, Survivors, Update, resume


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
    n_no_improvement : int
        Epochs in a row without improvement by `tol`.
    n_samples_seen : int
    """

    loss_curve: list[float] = field(default_factory=list)
    validation_loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best_loss: float = np.inf
    best_validation_score: float = -np.inf
    n_no_improvement: int = 0
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
        return replace(
            self.copy(), best_loss=np.inf, best_validation_score=-np.inf, n_no_improvement=0
        )


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
    survivors = Survivors(theta, mask)
    update = resume(state, settings, survivors.values.size, theta.dtype)
    journal = journal.copy()
    result = SolverResult(survivors.theta, np.inf, 0, journal, state=update)
    best_theta = survivors.theta.copy() if settings.early_stopping else None
    order = np.arange(objective.n_samples)
    epoch = _run_epochs(objective, survivors, update, settings)
    try:
        for _ in range(settings.max_iter):
            if settings.shuffle:
                permutation = np.arange(objective.n_samples)
                rng.shuffle(permutation)
                order = order[permutation]
            # Overflow is reported once, as divergence, not as a stream of warnings.
            with np.errstate(over="ignore", invalid="ignore"):
                result.loss = epoch(order)
            result.n_iter += 1
            journal.n_samples_seen += objective.n_samples
            _record(journal, result, settings, watch)
            improved = _judge(journal, settings)
            if settings.early_stopping and improved:
                best_theta = survivors.theta.copy()
            if not np.isfinite(result.loss):
                result.status = "diverged"
                result.message = f"the training loss became {result.loss}"
                break
            update.end_epoch(journal.n_samples_seen)
            if journal.n_no_improvement > settings.n_iter_no_change:
                reason = update.plateau()
                if reason is not None:
                    result.status, result.message = "converged", _plateau_message(settings, reason)
                    break
                journal.n_no_improvement = 0
            if watch.on_epoch is not None and watch.on_epoch(survivors.theta):
                result.status, result.message = "stopped", "a callback asked to stop"
                break
    except KeyboardInterrupt:
        result.status, result.message = "interrupted", "interrupted by the user"
    if best_theta is not None:
        result.theta = best_theta
    return result


def _run_epochs(
    objective: Objective, survivors: Survivors, update: Update, settings: SolverSettings
) -> Callable[[NDArray[np.intp]], float]:
    """``epoch(order)``: a pass over the rows that returns the mean objective of its batches."""
    batch_size = 200 if settings.batch_size == "auto" else int(settings.batch_size)
    batch_size = min(batch_size, objective.n_samples)
    epochs = objective.epochs(batch_size)
    if epochs is not None:
        return partial(epochs.run, survivors, update)

    def epoch(order: NDArray[np.intp]) -> float:
        total = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            value, gradient = objective.value_and_gradient(survivors.theta, rows)
            total += value * len(rows)
            update.begin_step()(survivors.values, survivors.gather(gradient), slice(None))
            survivors.scatter()
        return total / len(order)

    return epoch


def _record(journal: Journal, result: SolverResult, settings: SolverSettings, watch: Watch) -> None:
    """Enter the epoch, or iteration, in the journal."""
    journal.loss_curve.append(result.loss)
    if watch.validate is not None:
        validation_loss, score = watch.validate(result.theta)
        journal.validation_loss_curve.append(validation_loss)
        journal.validation_scores.append(score)
    if settings.verbose:
        print(f"Iteration {result.n_iter}, loss = {result.loss:.8f}")
        if settings.early_stopping:
            print(f"Validation score: {journal.validation_scores[-1]:f}")


def _judge(journal: Journal, settings: SolverSettings) -> bool:
    """Count epochs without improvement; returns whether the last one is the best so far."""
    if settings.early_stopping:
        score = journal.validation_scores[-1]
        idle = score < journal.best_validation_score + settings.tol
        improved = score > journal.best_validation_score
        journal.best_validation_score = score if improved else journal.best_validation_score
    else:
        loss = journal.loss_curve[-1]
        idle = loss > journal.best_loss - settings.tol
        improved = loss < journal.best_loss
        journal.best_loss = loss if improved else journal.best_loss
    journal.n_no_improvement = journal.n_no_improvement + 1 if idle else 0
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
    survivors = Survivors(theta, mask)
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
        _record(journal, result, settings, watch)
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
    if not (np.isfinite(result.loss) and np.isfinite(result.theta).all()):
        result.status, result.message = "diverged", f"the objective became {result.loss}"
    elif result.status != "stopped":
        result.status = "converged" if found.status == 0 else "max_iter"
        result.message = str(found.message)
    return result


Solver = Callable[..., SolverResult]
SOLVERS: dict[str, Solver] = {
    "adam": solve_stochastic,
    "sgd": solve_stochastic,
    "lbfgs": solve_lbfgs,
}


def check_finite(result: SolverResult, settings: SolverSettings, objective: Objective) -> None:
    """Raise `DivergenceError` if there is no finite network to keep.

    The objective is looked at anew, because the last update comes after the last loss.
    """
    if result.status == "diverged" and settings.early_stopping:
        # The best network on the validation data is kept; training merely ended there.
        if np.isfinite(result.theta).all() and result.n_iter > 1:
            return
    if result.status == "diverged" or not objective.is_finite_at(result.theta):
        cure = "standardise the input, "
        if settings.solver != "lbfgs":
            cure += f"lower learning_rate_init (now {settings.learning_rate_init}), "
        raise DivergenceError(
            "Solver produced non-finite parameter weights. The input data may contain large "
            f"values and need to be preprocessed. Training with solver={settings.solver!r} "
            f"diverged after {result.n_iter} iterations: {result.message or 'overflow'}. "
            f"To cure this, {cure}or raise alpha."
        )
