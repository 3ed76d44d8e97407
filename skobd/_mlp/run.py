"""One call of fit, prune or pruning_path, after validation: what drives the recipe."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._net.network import Array, Indices
from .._prune.granularity import GRANULARITIES
from .._prune.importances import input_importances
from .._prune.problem import DeletionSettings
from .._prune.recipe import Recipe, prune
from .._prune.rounds import Round
from .._train.compiled import take_complaint
from .._train.objective import Objective
from .._train.solvers import Monitor, Training
from .._train.updates import UPDATES, SolverSettings, batch_size_of
from .callbacks import FitTasks
from .fitted import Fitted
from .warning import tell

# What "auto" means; see benchmarks/default.py.
_RETRAIN_RATES = {"adam": 0.03}
_RETRAIN_ALPHAS = {"classifier": 3.0, "regressor": 1.0}

INTERRUPTED = "Training interrupted by user."


@dataclass
class Run:
    """The network before, and everything that the recipe needs.

    Attributes
    ----------
    start : Fitted
    objective : Objective
    validate : callable or None
        See `Monitor`.
    survivors : sequence of int
        See `prune`.
    settings : SolverSettings
        Of retraining; ``train`` says whether to train before the first round, too.
    recipe : Recipe
    rng : RandomState
    tasks : FitTasks
    train : bool
    verbose : int
    is_asked : bool
        Whether anything is to be deleted at all.
    is_path : bool
        Whether every round is a level that is to be used.
    keeps_optimizer : bool
        Whether ``partial_fit`` is to go on with the moments of the last training.
    """

    start: Fitted
    objective: Objective
    validate: Callable[[Array], tuple[float, float]] | None
    survivors: Sequence[int]
    settings: SolverSettings
    recipe: Recipe
    rng: np.random.RandomState
    tasks: FitTasks
    train: bool
    verbose: int
    is_asked: bool
    is_path: bool
    keeps_optimizer: bool

    def __post_init__(self) -> None:
        self.fitted = self.tasks.start = self.start
        self.done: list[Round] = []
        self.is_interrupted = False

    def rounds(self) -> Iterator[Fitted]:
        """The networks that are accepted, the dense one first."""
        monitor = Monitor(
            self.validate, self.tasks.on_epoch, self.tasks.on_round, self.tasks.on_cycle
        )
        # Of pruning, a line for each round says enough.
        is_verbose = self.verbose > (1 if self.survivors else 0)
        training = Training(replace(self.settings, verbose=is_verbose), self.rng, monitor)
        start = self.start
        steps = prune(
            self.objective,
            start.pruned,
            start.state,
            self.survivors,
            self.recipe,
            training,
            train=self.train,
            regrow_every_round=self.is_path,
        )
        n_iter = 0
        for step in steps:
            if self.verbose and self.survivors:
                print(step.round.describe())
            if step.round.within_tol:
                n_iter += step.round.n_iter
                self.done.append(step.round)
                self.fitted = self.fitted.after(step, n_iter)
                if not self.keeps_optimizer:
                    self.fitted = self.fitted.without_optimizer()
                yield self.fitted
            if self.tasks.end_round(lambda: {"_fitted": self.with_importances(self.fitted)}):
                return

    def finish(self, record: Callable[[Fitted, float], None] | None = None) -> Fitted:
        """Drive the recipe to its end, or to an interrupt; returns the last network.

        ``record`` is shown every network, with the importances of its inputs, and the seconds
        since the start.
        """
        fitted, start = self.start, time.perf_counter()
        try:
            for fitted in self.rounds():
                if record is not None:
                    fitted = self.with_importances(fitted)
                    record(fitted, time.perf_counter() - start)
        except KeyboardInterrupt:
            if not any(record.n_iter or record.round for record in self.done):
                # Nothing has been trained or pruned that could be kept.
                raise
            self.is_interrupted = True
        if fitted.importances is None or fitted.pruned is not self.fitted.pruned:
            fitted = self.fitted
            try:
                fitted = self.with_importances(fitted)
            except KeyboardInterrupt:
                # The network is there, and whoever interrupts wants no second pass.
                self.is_interrupted = True
                importances = np.full(fitted.pruned.network.layer_sizes[0], np.nan)
                fitted = replace(fitted, importances=importances)
        self.is_interrupted |= self.done[-1].status == "interrupted"
        return fitted

    def with_importances(self, fitted: Fitted) -> Fitted:
        """The same, with the importances of its inputs."""
        importances = input_importances(self.objective, fitted.pruned)
        return replace(fitted, importances=importances)

    def warn(self) -> None:
        """Say what the user should know about how training went."""
        tell_of_numba()
        if self.is_interrupted:
            tell(INTERRUPTED)
        self._warn_of_what_is_left()
        trained = [record for record in self.done if record.n_iter]
        short = [record for record in trained if record.status == "max_iter"]
        if self.recipe.retrain_max_iter is not None:
            # A small number of retraining iterations was asked for.
            short = [record for record in short if record.round == 0]
        if short:
            tell(self._shortfall(short), ConvergenceWarning)

    def _warn_of_what_is_left(self) -> None:
        """Say where less was deleted than was asked for: whole units and inputs only."""
        fitted = self.fitted
        unit = GRANULARITIES[fitted.granularity].unit
        n_rounds = self.done[-1].round
        asked = self.survivors[n_rounds - 1] if n_rounds else fitted.n_left
        if self.is_asked and fitted.n_total == 0:
            reason = f"the network has no hidden {unit}"
        elif fitted.n_left > asked:
            reason = (
                f"of {fitted.n_total} {unit} {fitted.n_left} are left, not {asked}: the last way "
                "from the inputs to the outputs stays"
            )
        else:
            return
        tell(f"Less was deleted than prune_fraction asks for: {reason}.")

    def _shortfall(self, short: list[Round]) -> str:
        where = self._places(short)
        settings = self.settings
        if settings.solver in UPDATES:
            return (
                f"Stochastic Optimizer: Maximum iterations ({settings.max_iter}) reached and the "
                f"optimization hasn't converged yet.{where}"
            )
        return (
            f"lbfgs failed to converge after {short[0].n_iter} iteration(s): "
            f"{short[0].message}.{where} Increase max_iter (now {settings.max_iter}) or "
            f"max_fun (now {settings.max_fun}), or scale the data."
        )

    def _places(self, short: list[Round]) -> str:
        """Where training fell short; of a fit without any pruning that goes without saying."""
        if self.done[-1].round == 0:
            return ""
        rounds = ", ".join(str(record.round) for record in short if record.round)
        places = ["dense training"] if short[0].round == 0 else []
        if rounds:
            places.append(f"retraining after round {rounds}")
        return f" In {' and in '.join(places)}."


def tell_of_numba() -> None:
    """Say, once in a process, where numba is installed and of no or little use."""
    complaint = take_complaint()
    if complaint is not None:
        tell(complaint)


def settings_of(kind: Any, estimator: Any, **others: Any) -> Any:
    """A record of settings whose fields are parameters of the estimator."""
    values = {name: getattr(estimator, name) for name in kind.__dataclass_fields__}
    return kind(**values | others)


def recipe_of(
    estimator: Any, prune_tol: float | None, n_samples: int, group_of: Indices | None
) -> Recipe:
    """The recipe that the parameters of an estimator describe, for so many training rows."""
    rate, alpha = estimator.retrain_learning_rate_init, estimator.retrain_alpha
    if rate == "auto":
        rate = _RETRAIN_RATES.get(estimator.solver, estimator.learning_rate_init)
    if alpha == "auto":
        # To a stochastic solver alpha is that of a minibatch.
        n_at_once = min(n_samples, batch_size_of(estimator.batch_size))
        fraction = n_at_once / n_samples if estimator.solver in UPDATES else 1.0
        kind = "classifier" if estimator._is_classifier else "regressor"
        alpha = max(estimator.alpha, _RETRAIN_ALPHAS[kind] * fraction)
    return Recipe(
        deletion=settings_of(DeletionSettings, estimator),
        retrain_max_iter=estimator.retrain_max_iter,
        retrain_learning_rate_init=rate,
        retrain_alpha=alpha,
        n_regrow=estimator.n_regrow,
        prune_tol=prune_tol,
        group_of=group_of,
    )
