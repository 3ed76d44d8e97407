"""Runs of the recipe, from the first network to the one that is kept, or along a path."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._prune.granularity import GRANULARITIES
from .._prune.importances import input_importances
from .._prune.recipe import Recipe, prune
from .._prune.rounds import Round, Step
from .._train.objective import Objective
from .._train.settings import Training
from .._train.state import Status
from .._train.updates import UPDATES
from .._warnings import NothingLeftWarning, warn_user
from .callbacks import FitTasks
from .fitted import Fitted
from .messages import tell

# Rows that reveal a constant output, and its largest spread as a fraction of the dense network's.
_JUDGED_ROWS, _CONSTANT_SPREAD = 1000, 0.01

INTERRUPTED = "Training interrupted by user."


@dataclass
class Run:
    """One call of fit, prune or pruning_path; iterate over it to make it.

    Along a path it yields the network of every level, the dense one first; otherwise only the
    network that is kept. An interrupt ends it with the present network.

    Attributes
    ----------
    start : Fitted
        Network before the run.
    objective : Objective
    survivors : sequence of int
        See `prune`.
    recipe : Recipe
    training : Training
    tasks : FitTasks
    is_verbose : bool
        Whether to print a line for each round.
    keeps_optimizer : bool
        Whether ``partial_fit`` is to continue with the moments of the last training.
    wants_pruning : bool
        Whether anything is to be deleted.
    levels : sequence of float
        Fractions deleted after each round, along a path.
    is_path : bool
        Whether to yield the network of every level.
    is_interrupted : bool
        Whether the user interrupted the run.
    """

    start: Fitted
    objective: Objective
    survivors: Sequence[int]
    recipe: Recipe
    training: Training
    tasks: FitTasks
    is_verbose: bool
    keeps_optimizer: bool
    wants_pruning: bool = True
    levels: Sequence[float] = ()
    is_path: bool = False
    is_interrupted: bool = False
    _completed: list[Round] = field(default_factory=list)
    _made: list[Round] = field(default_factory=list)

    def __iter__(self) -> Iterator[Fitted]:
        self._fitted = self._latest = self.tasks.start = self.start
        # Pruning is judged by its last network; a path, which may prune too far, by its first.
        self._dense = self._judged = self.start
        start = self.start
        steps = prune(
            self.objective, start.pruned, start.state, self.survivors, self.recipe, self.training
        )
        try:
            for step in steps:
                if self.is_verbose and self.survivors:
                    tell(step.round.describe())
                self._take(step)
                if self.is_path:
                    self._fitted = self._latest = self._with_importances()
                    yield self._fitted
                if self.tasks.end_round(lambda: {"_fitted": self._with_importances()}):
                    break
        except KeyboardInterrupt:
            if not any(record.n_iter or record.round for record in self._completed):
                # No network has been trained or pruned yet that could be kept.
                raise
            self.is_interrupted = True
        if not self.is_path:
            yield self._completed_fit()
        self._warn()

    def _take(self, step: Step) -> None:
        """Take over the network of a round, which is kept if it is within the tolerance."""
        self.is_interrupted |= step.round.status is Status.INTERRUPTED
        number, reason = step.round.round, ""
        if number < len(self._made):
            # This step is the regrowth of the round that is kept.
            self._latest, reason = self._fitted, self._fitted.stop_reason
        self._made = [*self._made[:number], step.round]
        fitted = self._latest.after(step, sum(record.n_iter for record in self._made))
        self._latest = fitted if self.keeps_optimizer else fitted.without_optimizer()
        if not step.round.within_tol:
            unit = GRANULARITIES[self._fitted.granularity].unit
            reason = f"with {step.round.n_left} {unit} left the network was worse than "
            reason += f"prune_tol allows: {step.round.verdict}"
            self._fitted = replace(self._fitted, stop_reason=self._fitted.stop_reason or reason)
            return
        self._fitted, self._completed = replace(self._latest, stop_reason=reason), self._made
        if step.round.round == 0:
            self._dense = self._judged = self._fitted
        elif step.round.round == 1 or not self.is_path:
            self._judged = self._fitted

    def _with_importances(self) -> Fitted:
        """Return the present network with the importances of its inputs."""
        importances = input_importances(self.objective, self._fitted.pruned)
        return replace(self._fitted, importances=importances)

    def _completed_fit(self) -> Fitted:
        """Return the last network, prepared for a first prediction as fast as later ones."""
        try:
            fitted = self._with_importances()
        except KeyboardInterrupt:
            # The network is complete, and a user who interrupts wants no second pass.
            self.is_interrupted = True
            unknown = np.full(self._fitted.pruned.network.layer_sizes[0], np.nan)
            fitted = replace(self._fitted, importances=unknown)
        fitted.pruned.predictor  # noqa: B018
        return fitted

    def _warn(self) -> None:
        """Warn of problems in training."""
        if self.is_interrupted:
            warn_user(INTERRUPTED)
        self._warn_of_what_is_left()
        self._warn_of_nothing_left()
        self._warn_of_a_constant()
        trained = [record for record in self._completed if record.n_iter]
        short = [record for record in trained if record.status is Status.MAX_ITER]
        if self._completed[-1].round:
            # Retraining continues where dense training ended, and the user asked for a small number
            # of iterations.
            is_asked = self.recipe.retrain_max_iter is not None
            short = [] if is_asked else [record for record in short if record.round]
        if short:
            warn_user(self._shortfall(short), ConvergenceWarning)

    def _warn_of_what_is_left(self) -> None:
        """Warn if fewer units or inputs were deleted than asked for."""
        fitted = self._fitted
        unit = GRANULARITIES[fitted.granularity].unit
        n_rounds = self._completed[-1].round
        asked = self.survivors[n_rounds - 1] if n_rounds else fitted.n_left
        if self.wants_pruning and fitted.n_total == 0:
            reason = f"the network has no hidden {unit}"
        elif fitted.n_left > asked:
            reason = (
                f"of {fitted.n_total} {unit} {fitted.n_left} are left, not {asked}: the last way "
                "from the inputs to the outputs stays"
            )
        else:
            return
        warn_user(f"Less was deleted than prune_fraction asks for: {reason}.")

    def _warn_of_nothing_left(self) -> None:
        """Warn that deletion has cut every path from the inputs to the outputs."""
        fitted = self._fitted
        left, total = fitted.n_weights, fitted.n_prunable
        if left == total or fitted.pruned.used_inputs.size:
            return
        warn_user(
            f"Pruning has left {left} of {total} weights, and no way from the inputs to the "
            "outputs: the network predicts the same for every row. A smaller prune_fraction "
            "leaves more.",
            NothingLeftWarning,
        )

    def _warn_of_a_constant(self) -> None:
        """Warn if pruning and retraining lost everything that dense training had learned."""
        if self._judged is self._dense or not self._judged.pruned.used_inputs.size:
            return
        spread = self._spread(self._dense)
        if spread == 0 or self._spread(self._judged) > _CONSTANT_SPREAD * spread:
            return
        unit, latest = GRANULARITIES[self._judged.granularity].unit, self._judged.rounds[-1]
        warn_user(
            "The pruned network predicts about the same for every row, and the dense one did not: "
            f"{self._judged.n_left} of {self._judged.n_total} {unit} are left, retrained with "
            f"retrain_alpha={latest.alpha:.3g}. Lower prune_fraction or retrain_alpha."
        )

    def _spread(self, fitted: Fitted) -> float:
        """Return the largest range, maximum minus minimum, of any output."""
        X = self.objective.thinned(_JUDGED_ROWS).X
        output = fitted.pruned.network.raw_output(fitted.pruned.theta, X)
        fitted.targets.loss.inverse_link(output)
        return float(np.ptp(output, axis=0).max())

    def _shortfall(self, short: list[Round]) -> str:
        rounds = ", ".join(str(record.round) for record in short if record.round)
        where = f" In retraining after round {rounds}." if rounds else ""
        settings = self.training.settings
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
