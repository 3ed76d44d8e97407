"""Solvers over the surviving parameters: Adam, stochastic gradient descent, L-BFGS.

All three have one signature and return one record:

    SOLVERS[name](objective, theta, mask, state, training) -> SolverResult

They work on the vector ``theta[mask]``, so a deleted parameter cannot move. An interrupt (Ctrl-C)
ends training normally once there is an epoch, or iteration, to keep; before that it is raised.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import optimize

from .._net.network import Array, Indices, Mask
from .minibatch import make_epochs
from .objective import Objective
from .settings import SolverSettings, Training, batch_size_of
from .state import SolverResult, Status, TrainingState
from .survivors import Survivors
from .updates import UPDATES, resume


class DivergenceError(ValueError):
    """Error for training that produced non-finite values.

    Attributes
    ----------
    path : PruningPath or None
        Path as far as it was reached, if there is one.
    """

    path: Any = None


class _Recorder:
    """Recorder of the epochs, or iterations, of one call of a solver."""

    def __init__(self, state: TrainingState, training: Training) -> None:
        self._start, self._training = state, training
        self._losses: list[float] = []
        self._validation: list[tuple[float, float]] = []
        self.best_loss, self.best_score = state.best_loss, state.best_validation_score
        self.n_no_improvement = state.n_no_improvement
        self.n_samples_seen = state.n_samples_seen

    @property
    def n_iter(self) -> int:
        """Number of recorded epochs or iterations, even if an interrupt comes between."""
        return len(self._losses)

    def record(self, loss: float, theta: Array) -> None:
        """Record an epoch, with loss and score on the validation data."""
        settings, validate = self._training.settings, self._training.monitor.validate
        validation = None if validate is None else validate(theta)
        self._losses.append(loss)
        if validation is not None:
            self._validation.append(validation)
        if settings.verbose:
            print(f"Iteration {self.n_iter}, loss = {loss:.8f}")
            if settings.early_stopping and validation is not None:
                print(f"Validation score: {validation[1]:f}")

    def judge(self) -> bool:
        """Count epochs without improvement; return whether the last one is the best so far."""
        settings = self._training.settings
        if settings.early_stopping:
            score = self._validation[-1][1]
            is_idle = score < self.best_score + settings.tol
            improved = score > self.best_score
            self.best_score = score if improved else self.best_score
        else:
            loss = self._losses[-1]
            is_idle = loss > self.best_loss - settings.tol
            improved = loss < self.best_loss
            self.best_loss = loss if improved else self.best_loss
        self.n_no_improvement = self.n_no_improvement + 1 if is_idle else 0
        return improved

    def state(self) -> TrainingState:
        """Return the initial state, continued by the recorded epochs."""
        return replace(
            self._start.extended(self._losses, self._validation),
            best_loss=self.best_loss,
            best_validation_score=self.best_score,
            n_no_improvement=self.n_no_improvement,
            n_samples_seen=self.n_samples_seen,
        )


def solve_stochastic(
    objective: Objective, theta: Array, mask: Mask, state: TrainingState, training: Training
) -> SolverResult:
    """Minimise by minibatches; see `SolverSettings` and `SolverResult`."""
    settings, monitor, rng = training.settings, training.monitor, training.rng
    if _is_nothing_to_train(mask, settings):
        return SolverResult(theta, np.nan, 0, state, Status.CONVERGED)
    survivors = Survivors(theta, mask)
    update = resume(state.optimizer, settings, survivors.values.size, theta.dtype)
    recorder = _Recorder(state, training)
    best_theta = survivors.theta.copy() if settings.early_stopping else None
    batch_size = min(batch_size_of(settings.batch_size), objective.n_samples)
    epochs = make_epochs(objective, batch_size, settings.solver, training.monitor.tell)
    loss, status, message = np.inf, Status.MAX_ITER, ""
    try:
        for rows in _rows_of_epochs(settings, objective.n_samples, batch_size, rng):
            update.begin_epoch(recorder.n_iter, settings.max_iter)
            # Overflow is reported once, as divergence, not as a stream of warnings.
            with np.errstate(over="ignore", invalid="ignore"):
                loss = epochs.run(survivors, update, rows)
            recorder.n_samples_seen += len(rows)
            recorder.record(loss, survivors.theta)
            if recorder.judge() and settings.early_stopping:
                best_theta = survivors.theta.copy()
            if not np.isfinite(loss):
                status, message = Status.DIVERGED, f"the training loss became {loss}"
                break
            update.end_epoch(recorder.n_samples_seen)
            # Only early stopping ends a cosine schedule before its last epoch.
            may_stop = settings.early_stopping or settings.learning_rate != "cosine"
            if may_stop and recorder.n_no_improvement > settings.n_iter_no_change:
                reason = update.plateau()
                if reason is not None:
                    status, message = Status.CONVERGED, _plateau_message(settings, reason)
                    break
                recorder.n_no_improvement = 0
            if monitor.on_epoch is not None and monitor.on_epoch(survivors.theta):
                status, message = Status.STOPPED, "a callback asked to stop"
                break
    except KeyboardInterrupt:
        if not recorder.n_iter:
            raise
        status, message = Status.INTERRUPTED, "interrupted by the user"
    if status is Status.MAX_ITER and settings.learning_rate == "cosine":
        status, message = Status.CONVERGED, "the learning rate has come down to 0"
    theta = survivors.theta if best_theta is None else best_theta
    state = replace(recorder.state(), optimizer=update)
    return SolverResult(theta, loss, recorder.n_iter, state, status, message)


def _rows_of_epochs(
    settings: SolverSettings, n_samples: int, batch_size: int, rng: np.random.RandomState
) -> Iterator[Indices]:
    """Yield the rows of each epoch, all or a part of them, in the order of the visits."""
    order = np.arange(n_samples)
    n_parts = max(1, round(n_samples / batch_size / (settings.steps_per_epoch or np.inf)))
    for epoch in range(settings.max_iter):
        part = epoch % n_parts
        if settings.shuffle and part == 0:
            permutation = np.arange(n_samples)
            rng.shuffle(permutation)
            order = order[permutation]
        yield order[part::n_parts]


def _is_nothing_to_train(mask: Mask, settings: SolverSettings) -> bool:
    return settings.max_iter == 0 or not mask.any()


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
    objective: Objective, theta: Array, mask: Mask, state: TrainingState, training: Training
) -> SolverResult:
    """Minimise by SciPy's L-BFGS-B; see `SolverSettings` and `SolverResult`."""
    settings, monitor = training.settings, training.monitor
    if _is_nothing_to_train(mask, settings):
        return SolverResult(theta, np.nan, 0, state, Status.CONVERGED)
    survivors = Survivors(theta, mask)
    recorder = _Recorder(state, training)
    best, loss, is_stopped = survivors.theta.copy(), np.inf, False

    def evaluate(values: Array) -> tuple[float, Array]:
        survivors.assign(values)
        value, gradient = objective.value_and_gradient(survivors.theta)
        return value, survivors.gather(gradient).astype(np.float64)

    def after_iteration(intermediate_result: optimize.OptimizeResult) -> None:
        nonlocal loss, is_stopped
        survivors.assign(intermediate_result.x)
        best[:] = survivors.theta
        loss = float(intermediate_result.fun)
        recorder.record(loss, best)
        if monitor.on_epoch is not None and monitor.on_epoch(best):
            is_stopped = True
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
        if not recorder.n_iter:
            raise
        status, message = Status.INTERRUPTED, "interrupted by the user"
        return SolverResult(best, loss, recorder.n_iter, recorder.state(), status, message)
    survivors.assign(found.x)
    loss, n_iter = float(found.fun), min(found.nit, settings.max_iter)
    status = Status.CONVERGED if found.status == 0 else Status.MAX_ITER
    message = str(found.message)
    if not (np.isfinite(loss) and np.isfinite(survivors.theta).all()):
        status, message = Status.DIVERGED, f"the objective became {loss}"
    elif is_stopped:
        status, message = Status.STOPPED, "a callback asked to stop"
    return SolverResult(survivors.theta, loss, n_iter, recorder.state(), status, message)


Solver = Callable[[Objective, Array, Mask, TrainingState, Training], SolverResult]
SOLVERS: dict[str, Solver] = {
    "adam": solve_stochastic,
    "sgd": solve_stochastic,
    "lbfgs": solve_lbfgs,
}


def check_finite(result: SolverResult, training: Training, objective: Objective) -> None:
    """Raise `DivergenceError` if there is no finite network to keep.

    The objective is computed again, because the last update comes after the last loss.
    """
    if result.status is Status.DIVERGED or not objective.is_finite_at(result.theta):
        raise DivergenceError(
            "Solver produced non-finite parameter weights. The input data may contain large "
            f"values and need to be preprocessed. Training with solver="
            f"{training.settings.solver!r} diverged after {result.n_iter} iterations: "
            f"{result.message or 'overflow'}. {_advice(training)}"
        )


def check_objective(value: float, training: Training, when: str) -> None:
    """Raise `DivergenceError` if the objective, looked at ``when``, is not finite."""
    if not np.isfinite(value):
        raise DivergenceError(f"The objective is {value} {when}. {_advice(training)}")


def _advice(training: Training) -> str:
    advice, settings = "standardise the input (and the y of a regressor), ", training.settings
    if settings.solver in UPDATES and training.has_users_rate:
        advice += f"lower learning_rate_init (now {settings.learning_rate_init}), "
    elif settings.solver in UPDATES:
        advice += "retrain as in dense training (retrain_max_iter=None), "
    return f"To cure this, {advice}or raise alpha."
