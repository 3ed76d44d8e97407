"""The recipe: train, then in rounds delete the least salient weights and retrain the others.

One generator, `prune`, is driven by fit, by further pruning, by the pruning path and by the
search; it yields one `Step` for the dense network and one for each round.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .._net.network import Array
from .._net.pruned import PrunedNetwork
from .._train.objective import Objective
from .._train.settings import Training, batch_size_of
from .._train.solvers import check_objective
from .._train.state import SolverResult, Status, TrainingState
from .._train.updates import UPDATES
from .active import ActiveObjective, active_objective, delete_active, train_active
from .deletion_problem import DeletionSettings
from .granularity import GRANULARITIES
from .precision import TRIAL_ITERATIONS, choose_alpha
from .regrowth import Trained, can_regrow, regrow
from .rounds import Round, Step
from .schedule import divided_cycles
from .tolerance import Tolerance

# Initial learning rate of short retraining; other solvers start at the user's. The second moment
# must forget faster than in dense training. See benchmarks/default.py.
_RETRAIN_RATES, _RETRAIN_BETA_2 = {"adam": 0.03}, 0.95
# If dense training took fewer passes than this, an epoch of short retraining is only a part of a
# pass over many rows, falling faster than the number of passes, but at least so many minibatches.
_PASSES_OF_SLOW_TRAINING, _EXPONENT_OF_PASSES, _LEAST_STEPS_PER_EPOCH = 200, 1.5, 15


@dataclass(frozen=True, eq=False)
class Recipe:
    """Settings of deletion, retraining and regrowth.

    Attributes
    ----------
    deletion : DeletionSettings
    retrain_max_iter : int or None
        Epochs or iterations after a deletion, 0 for none; stochastic solvers then have their
        own schedule. None to retrain as dense training does.
    retrain_alpha : float or None
        Strength of the penalty from the first deletion on; None for that of dense training.
    chooses_alpha : bool
        Whether another one is chosen on small data, see `precision`.
    n_regrow : int
        Cycles of regrowth, all at the last level.
    prune_tol : float or None
        Tolerance within which the last round is kept, see `tolerance`; None keeps all rounds.
    trains_first : bool
        Whether to train before the first round.
    divides_cycles : bool
        Whether the cycles are divided among the rounds, see `divided_cycles`.
    """

    deletion: DeletionSettings
    retrain_max_iter: int | None = None
    retrain_alpha: float | None = None
    chooses_alpha: bool = False
    n_regrow: int = 0
    prune_tol: float | None = None
    trains_first: bool = True
    divides_cycles: bool = False

    def first_training(self, training: Training) -> Training:
        """Settings of the training before the first round."""
        if self.trains_first:
            return training
        return replace(training, settings=replace(training.settings, max_iter=0))

    def retraining(self, training: Training, n_samples: int, n_passes: int) -> Training:
        """Settings of the training after a deletion, given those of dense training.

        If dense training needed few passes over many rows, retraining needs fewer steps.
        """
        if self.retrain_max_iter is None:
            return training
        settings = replace(training.settings, max_iter=self.retrain_max_iter)
        solver, has_users_rate = settings.solver, settings.solver not in _RETRAIN_RATES
        if solver in UPDATES:
            steps = n_samples / batch_size_of(settings.batch_size)
            steps *= min(1, n_passes / _PASSES_OF_SLOW_TRAINING) ** _EXPONENT_OF_PASSES
            settings = replace(
                settings,
                learning_rate="cosine",
                learning_rate_init=_RETRAIN_RATES.get(solver, settings.learning_rate_init),
                beta_2=min(settings.beta_2, _RETRAIN_BETA_2),
                steps_per_epoch=max(steps, _LEAST_STEPS_PER_EPOCH),
            )
        return replace(training, settings=settings, has_users_rate=has_users_rate)

    def alpha_after(
        self, objective: Objective, dense: PrunedNetwork, training: Training, n_passes: int
    ) -> float:
        """Return the strength of the penalty after a deletion, given that of dense training."""
        alpha = objective.alpha if self.retrain_alpha is None else self.retrain_alpha
        max_iter = TRIAL_ITERATIONS.get(training.settings.solver)
        if not self.chooses_alpha or self.retrain_max_iter == 0 or max_iter is None:
            return alpha
        brief = replace(self, retrain_max_iter=max_iter)
        briefly = brief.retraining(training, objective.n_samples, n_passes)
        return choose_alpha(objective, dense, alpha, briefly)

    def cycles(self, counts: Sequence[int]) -> list[int]:
        """Return the cycles of regrowth in each round, given the counts before and after rounds."""
        if self.divides_cycles:
            return divided_cycles(self.n_regrow, counts)
        return [self.n_regrow * (n_left == counts[-1]) for n_left in counts[1:]]

    def n_left(self, pruned: PrunedNetwork) -> int:
        """Count the weights, units or (groups of) inputs that are left."""
        granularity = GRANULARITIES[self.deletion.granularity]
        return granularity.n_left(pruned.network, pruned.mask, self.deletion.group_of)


def prune(
    objective: Objective,
    start: PrunedNetwork,
    state: TrainingState,
    survivors: Sequence[int],
    recipe: Recipe,
    training: Training,
) -> Iterator[Step]:
    """Train and prune; yield the dense network first, then one step for each round.

    Deletion and retraining work on the active network, so later rounds cost less.

    Parameters
    ----------
    objective : Objective
    start : PrunedNetwork
        Network to start from.
    state : TrainingState
        Record of earlier training.
    survivors : sequence of int
        Weights, units or inputs to be left after each round, falling.
    recipe : Recipe
    training : Training

    Raises
    ------
    DivergenceError
        If training produces non-finite values.
    """
    # A separate generator, because training draws a number of values that depends on the rows.
    rng = copy.deepcopy(training.rng)
    active, first = active_objective(objective, start), recipe.first_training(training)
    _announce(training, start, 1)
    result = train_active(active, start, replace(state, optimizer=None), first)
    dense = last = _dense_step(active, start, result, recipe, training, bool(survivors))
    yield dense
    if not survivors or dense.round.ended_early:
        return
    n_passes = len(result.state.loss_curve)
    retraining = recipe.retraining(training, objective.n_samples, n_passes)
    whole = objective.with_alpha(recipe.alpha_after(objective, last.pruned, training, n_passes))
    rounds = _Rounds(recipe, whole, retraining, rng, _tolerance(recipe, objective, dense))
    active = active_objective(whole, last.pruned)
    loss, kept = active.value(last.pruned.theta), None
    cycles = recipe.cycles([dense.round.n_left, *survivors])
    for number, (n_left, n_cycles) in enumerate(zip(survivors, cycles, strict=True), start=1):
        if last.round.ended_early:
            return
        n_delete = recipe.n_left(last.pruned) - n_left
        pruned, increase = delete_active(active, last.pruned, n_delete, recipe.deletion, rng)
        active = active.restricted(pruned.mask)
        deleted = active.value(pruned.theta)
        _announce(training, pruned, 1 + n_cycles)
        trained = _retrain(active, last, pruned, deleted, retraining)
        numbers = {
            "round": number,
            "loss_before": loss,
            "predicted_increase": increase,
            "loss_after_deletion": deleted,
            "alpha": whole.alpha,
        }
        rounds.compare(pruned.theta, deleted, trained)
        if_last = recipe.cycles([dense.round.n_left, *survivors[:number]])[-1]
        checkpoint = rounds.checkpoint(trained, if_last, numbers)
        last = rounds.complete(trained, n_cycles, numbers)
        if last.pruned is not trained.pruned:
            active = active_objective(whole, last.pruned)
        loss = last.round.loss_after_retraining
        kept = checkpoint if last.round.within_tol else kept
        yield last
    if kept is not None and not last.round.within_tol and not last.round.ended_early:
        yield from rounds.go_back(kept)


class _Checkpoint(NamedTuple):
    """State before the regrowth of a round: arguments of `_Rounds.complete`, and the generator."""

    trained: Trained
    n_cycles: int
    numbers: dict[str, Any]
    random_states: tuple[Any, Any]


@dataclass
class _Rounds:
    """Completion of the rounds of one pruning by regrowth, judgement and records.

    Attributes
    ----------
    recipe : Recipe
    whole : Objective
        Objective with the penalty of retraining.
    retraining : Training
    rng : RandomState
        Generator of the deletions.
    tolerance : Tolerance or None
        Tolerance of the rounds; None if every round is kept.
    """

    recipe: Recipe
    whole: Objective
    retraining: Training
    rng: np.random.RandomState
    tolerance: Tolerance | None

    def compare(self, theta: Array, deleted: float, trained: Trained) -> None:
        """Pass to the tolerance a retraining from ``theta``, where the objective is ``deleted``."""
        if self.tolerance is not None and trained.result.n_iter:
            before = deleted - self.whole.penalty_at(theta)
            self.tolerance = self.tolerance.after(before, self._training_loss(trained))

    def checkpoint(self, trained: Trained, n_cycles: int, numbers: dict[str, Any]) -> _Checkpoint:
        """Return the state of a fit whose last round is this one, with ``n_cycles`` to come."""
        states = self.rng.get_state(), self.retraining.rng.get_state()
        return _Checkpoint(trained, n_cycles, numbers, states)

    def go_back(self, kept: _Checkpoint) -> Iterator[Step]:
        """Yield the regrowth of an earlier round, as if it had been the last."""
        if not kept.n_cycles or not can_regrow(kept.trained, self.recipe.deletion):
            return
        for rng, state in zip((self.rng, self.retraining.rng), kept.random_states, strict=True):
            rng.set_state(state)
        _announce(self.retraining, kept.trained.pruned, kept.n_cycles)
        yield self.complete(kept.trained, kept.n_cycles, kept.numbers)

    def complete(self, trained: Trained, n_cycles: int, numbers: dict[str, Any]) -> Step:
        """Refine a network by regrowth, unless it is or becomes worse than the tolerance allows."""
        if self.tolerance is None:
            return self._step(self._regrown(trained, n_cycles), numbers)
        step = self._step(trained, numbers)
        if not step.round.within_tol or not n_cycles:
            return step
        regrown = self._step(self._regrown(trained, n_cycles), numbers)
        if regrown.round.within_tol:
            return regrown
        # An interruption by the user still counts.
        return replace(step, round=replace(step.round, status=regrown.round.status))

    def _regrown(self, trained: Trained, n_cycles: int) -> Trained:
        return regrow(
            self.whole, trained, n_cycles, self.recipe.deletion, self.retraining, self.rng
        )

    def _step(self, trained: Trained, numbers: dict[str, Any]) -> Step:
        validation = _validate(self.retraining, trained.pruned.theta)
        step = _step(self.recipe, trained, validation, **numbers)
        if self.tolerance is None:
            return step
        return replace(step, round=self.tolerance.judge(step.round, self._training_loss(trained)))

    def _training_loss(self, trained: Trained) -> float:
        """Compute the mean loss on the training rows, without the penalty."""
        return trained.loss - self.whole.penalty_at(trained.pruned.theta)


def _tolerance(recipe: Recipe, objective: Objective, dense: Step) -> Tolerance | None:
    if recipe.prune_tol is None:
        return None
    loss = dense.round.loss_after_retraining - objective.penalty_at(dense.pruned.theta)
    return Tolerance.of(recipe.prune_tol, objective, dense.round, loss)


def _announce(training: Training, pruned: PrunedNetwork, n_trainings: int) -> None:
    if training.monitor.on_round is not None:
        training.monitor.on_round(pruned.theta, pruned.mask, n_trainings)


def _dense_step(
    active: ActiveObjective,
    start: PrunedNetwork,
    result: SolverResult,
    recipe: Recipe,
    training: Training,
    is_first_of_many: bool,
) -> Step:
    """Record the dense network; an interrupt meanwhile does not lose it."""
    loss, validation = result.loss, (np.nan, np.nan)
    try:
        # A network without pruning does not need this pass over the data.
        if is_first_of_many or not result.n_iter:
            loss = active.value(result.theta)
            check_objective(loss, training, "before any deletion")
        validation = _validate(training, result.theta)
    except KeyboardInterrupt:
        result = replace(result, status=Status.INTERRUPTED)
    trained = Trained(replace(start, theta=result.theta), result, loss)
    return _step(recipe, trained, validation, round=0)


def _retrain(
    active: ActiveObjective,
    last: Step,
    pruned: PrunedNetwork,
    deleted: float,
    retraining: Training,
) -> Trained:
    """Train the survivors of a deletion, at which the objective is ``deleted``."""
    record = last.round
    if np.array_equal(pruned.mask, last.pruned.mask):
        # Nothing was deleted, so there is no loss to recover.
        result = SolverResult(
            pruned.theta, record.loss, 0, last.state, record.status, record.message
        )
    else:
        result = train_active(active, pruned, last.state.forget_best(), retraining)
    loss = active.value(result.theta) if result.n_iter else deleted
    check_objective(loss, retraining, f"after the deletion of round {record.round + 1}")
    return Trained(replace(pruned, theta=result.theta), result, loss)


def _validate(training: Training, theta: Array) -> tuple[float, float]:
    validate = training.monitor.validate
    return (np.nan, np.nan) if validate is None else validate(theta)


def _step(
    recipe: Recipe, trained: Trained, validation: tuple[float, float], **numbers: Any
) -> Step:
    """Assemble the record of a round from its network and the other ``numbers`` of `Round`."""
    pruned, result = trained.pruned, trained.result
    is_weight = pruned.network.is_weight
    record = Round(
        n_weights=int((pruned.mask & is_weight).sum()),
        n_total=int(is_weight.sum()),
        n_left=recipe.n_left(pruned),
        loss_after_retraining=trained.loss,
        n_iter=result.n_iter,
        validation_loss=validation[0],
        validation_score=validation[1],
        loss=result.loss if result.n_iter else trained.loss,
        status=result.status,
        message=result.message,
        cycles=trained.cycles,
        **numbers,
    )
    return Step(pruned, result.state, record)
