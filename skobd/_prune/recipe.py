"""The recipe: train, then round by round delete the least salient and retrain the survivors.

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

# Where the learning rate of short retraining starts; elsewhere than here, at the user's. The second
# moment must forget faster than in dense training. See benchmarks/default.py.
_RETRAIN_RATES, _RETRAIN_BETA_2 = {"adam": 0.03}, 0.95
# An epoch of short retraining is a part of a pass over many rows, if dense training took fewer
# passes than this; the part falls faster than they do. It has so many minibatches at least.
_PASSES_OF_SLOW_TRAINING, _EXPONENT_OF_PASSES, _LEAST_STEPS_PER_EPOCH = 200, 1.5, 15


@dataclass(frozen=True, eq=False)
class Recipe:
    """Settings of deletion, retraining and regrowth.

    Attributes
    ----------
    deletion : DeletionSettings
    retrain_max_iter : int or None
        Epochs or iterations after a deletion, 0 for none; stochastic solvers then have a schedule
        of their own. None to retrain as dense training trains.
    retrain_alpha : float or None
        Strength of the penalty from the first deletion on; None for that of dense training.
    chooses_alpha : bool
        Whether small data choose another one, see `precision`.
    n_regrow : int
        Cycles of regrowth, all at the last level.
    prune_tol : float or None
        Go back to the last round that is within this tolerance, see `tolerance`; None: all rounds
        are kept.
    trains_first : bool
        Whether to train before the first round.
    divides_cycles : bool
        Whether the rounds divide the cycles among them, see `divided_cycles`.
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

        What dense training learned in few passes over many rows is learned again in fewer steps.
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
        """Strength of the penalty after a deletion, given those of dense training."""
        alpha = objective.alpha if self.retrain_alpha is None else self.retrain_alpha
        max_iter = TRIAL_ITERATIONS.get(training.settings.solver)
        if not self.chooses_alpha or self.retrain_max_iter == 0 or max_iter is None:
            return alpha
        brief = replace(self, retrain_max_iter=max_iter)
        briefly = brief.retraining(training, objective.n_samples, n_passes)
        return choose_alpha(objective, dense, alpha, briefly)

    def cycles(self, counts: Sequence[int]) -> list[int]:
        """Cycles of regrowth in each round, given what is left before the first and after each."""
        if self.divides_cycles:
            return divided_cycles(self.n_regrow, counts)
        return [self.n_regrow * (n_left == counts[-1]) for n_left in counts[1:]]

    def n_left(self, pruned: PrunedNetwork) -> int:
        """Count the weights, units or (groups of) inputs that are left, as the granularity says."""
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
    """Train and prune; yields the dense network first, then one step for each round.

    Deletion and retraining work on the active network, so later rounds cost less.

    Parameters
    ----------
    objective : Objective
    start : PrunedNetwork
        Where to start from.
    state : TrainingState
        What earlier training recorded.
    survivors : sequence of int
        Weights, units or inputs to be left after each round, falling.
    recipe : Recipe
    training : Training

    Raises
    ------
    DivergenceError
        If training produces non-finite values.
    """
    # Of its own, because how many random numbers training takes depends on the rows.
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
    """A round to go back to, before its regrowth: what `_Rounds.complete` takes, and the dice."""

    trained: Trained
    n_cycles: int
    numbers: dict[str, Any]
    random_states: tuple[Any, Any]


@dataclass
class _Rounds:
    """Completes the rounds of one pruning: regrowth, judgement, and the numbers.

    Attributes
    ----------
    recipe : Recipe
    whole : Objective
        With the penalty of retraining.
    retraining : Training
    rng : RandomState
        Of the deletions.
    tolerance : Tolerance or None
        None where every round is kept.
    """

    recipe: Recipe
    whole: Objective
    retraining: Training
    rng: np.random.RandomState
    tolerance: Tolerance | None

    def compare(self, theta: Array, deleted: float, trained: Trained) -> None:
        """Show the tolerance a retraining from ``theta``, where the objective is ``deleted``."""
        if self.tolerance is not None and trained.result.n_iter:
            before = deleted - self.whole.penalty_at(theta)
            self.tolerance = self.tolerance.after(before, self._training_loss(trained))

    def checkpoint(self, trained: Trained, n_cycles: int, numbers: dict[str, Any]) -> _Checkpoint:
        """Note where a fit would stand if this round were its last, with ``n_cycles`` to come."""
        states = self.rng.get_state(), self.retraining.rng.get_state()
        return _Checkpoint(trained, n_cycles, numbers, states)

    def go_back(self, kept: _Checkpoint) -> Iterator[Step]:
        """Make the regrowth of an earlier round, as if it had been the last."""
        if not kept.n_cycles or not can_regrow(kept.trained, self.recipe.deletion):
            return
        for rng, state in zip((self.rng, self.retraining.rng), kept.random_states, strict=True):
            rng.set_state(state)
        _announce(self.retraining, kept.trained.pruned, kept.n_cycles)
        yield self.complete(kept.trained, kept.n_cycles, kept.numbers)

    def complete(self, trained: Trained, n_cycles: int, numbers: dict[str, Any]) -> Step:
        """Refine a network by regrowth, unless that is, or becomes, beyond the tolerance."""
        if self.tolerance is None:
            return self._step(self._regrown(trained, n_cycles), numbers)
        step = self._step(trained, numbers)
        if not step.round.within_tol or not n_cycles:
            return step
        regrown = self._step(self._regrown(trained, n_cycles), numbers)
        if regrown.round.within_tol:
            return regrown
        # Whether the user ended it counts all the same.
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
        """Mean loss on the training rows, without the penalty."""
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
    """Judge the dense network; an interrupt that comes meanwhile does not lose it."""
    loss, validation = result.loss, (np.nan, np.nan)
    try:
        # A plain network is spared a pass over the data that only the rounds would need.
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
    """Train what a deletion has left, where the objective is ``deleted``."""
    record = last.round
    if np.array_equal(pruned.mask, last.pruned.mask):
        # There is nothing to make up for.
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
