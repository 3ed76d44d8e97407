"""The recipe: train, then round by round delete the least salient and retrain the survivors.

One generator, `prune`, is driven by fit, by further pruning, by the pruning path and by the
search; it yields one `Step` for the dense network and one for each round.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
from .precision import choose_alpha
from .regrowth import Trained, regrow
from .rounds import Round, Step
from .schedule import divided_cycles

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
        End after the first round whose network is worse than the dense one by more than this.
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
        self, objective: Objective, dense: PrunedNetwork, retraining: Training
    ) -> float:
        """Strength of the penalty after a deletion, given the objective of dense training."""
        alpha = objective.alpha if self.retrain_alpha is None else self.retrain_alpha
        if not self.chooses_alpha or retraining.settings.max_iter == 0:
            return alpha
        return choose_alpha(objective, dense, alpha, retraining)

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
    if not survivors:
        return
    n_passes = len(result.state.loss_curve)
    retraining = recipe.retraining(training, objective.n_samples, n_passes)
    whole = objective.with_alpha(recipe.alpha_after(objective, last.pruned, retraining))
    active = active_objective(whole, last.pruned)
    loss = active.value(last.pruned.theta)
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
        regrown = regrow(whole, trained, n_cycles, recipe.deletion, retraining, rng)
        if regrown.pruned is not trained.pruned:
            active = active_objective(whole, regrown.pruned)
        last = _step(
            recipe,
            regrown,
            _validate(training, regrown.pruned.theta),
            round=number,
            loss_before=loss,
            predicted_increase=increase,
            loss_after_deletion=deleted,
            alpha=whole.alpha,
        )
        loss = regrown.loss
        if not _is_within_tol(recipe, objective, whole, dense, last):
            yield replace(last, round=replace(last.round, within_tol=False))
            return
        yield last


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


def _is_within_tol(
    recipe: Recipe, objective: Objective, whole: Objective, dense: Step, step: Step
) -> bool:
    """Compare a round with the dense network: by validation score if there is one, else by loss.

    The loss is that of dense training, whose penalty may be another than that of retraining.
    """
    if recipe.prune_tol is None:
        return True
    if np.isfinite(dense.round.validation_score):
        worse_by = dense.round.validation_score - step.round.validation_score
    else:
        theta, total = step.pruned.theta, objective.penalty_weight
        penalties = objective.penalty.value(theta, total) - whole.penalty.value(theta, total)
        worse_by = step.round.loss_after_retraining + penalties - dense.round.loss_after_retraining
    # A score that is NaN is within.
    return not worse_by > recipe.prune_tol
