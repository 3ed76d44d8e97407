"""The recipe: train, then round by round delete the least salient and retrain the survivors.

One generator, `prune`, is driven by fit, by further pruning, by the pruning path and by the
search; it yields one `Step` for the dense network and one for each round.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._net.network import Array, Indices, Mask
from .._net.pruned import PrunedNetwork
from .._train.objective import Objective
from .._train.settings import Training
from .._train.solvers import SOLVERS, DivergenceError, check_finite, check_objective
from .._train.state import SolverResult, Status, TrainingState
from .._train.updates import UPDATES
from .active import ActiveObjective
from .deletion import Deletion
from .granularity import GRANULARITIES
from .problem import DeletionSettings, Problem, prunable
from .regrowth import revivable, revive
from .rounds import Cycle, Round

# Of the survivors, exchanged in the first cycle of regrowth; falls linearly to 0.
_EXCHANGED = 0.3
# Where the learning rate of short retraining starts; elsewhere than here, at the user's. The second
# moment must forget faster than in dense training. See benchmarks/default.py.
_RETRAIN_RATES, _RETRAIN_BETA_2 = {"adam": 0.03}, 0.95


@dataclass(frozen=True, eq=False)
class Step:
    """The network after a round, what training it has recorded, and the numbers."""

    pruned: PrunedNetwork
    state: TrainingState
    round: Round


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to delete, retrain and regrow.

    Attributes
    ----------
    deletion : DeletionSettings
    retrain_max_iter : int or None
        Epochs or iterations after a deletion, 0 for none; stochastic solvers then have a schedule
        of their own. None to retrain as dense training trains.
    retrain_alpha : float or None
        Strength of the penalty from the first deletion on; None for that of dense training.
    n_regrow : int
        Cycles of regrowth at each level.
    prune_tol : float or None
        End after the first round whose network is worse than the dense one by more than this.
    group_of : ndarray of int of shape (n_inputs,) or None
        See `Problem`.
    trains_first : bool
        Whether to train before the first round.
    regrows_every_round : bool
        Whether every round is a level of its own, and is refined by regrowth; else the last.
    """

    deletion: DeletionSettings
    retrain_max_iter: int | None = None
    retrain_alpha: float | None = None
    n_regrow: int = 0
    prune_tol: float | None = None
    group_of: Indices | None = None
    trains_first: bool = True
    regrows_every_round: bool = False

    def retraining(self, training: Training) -> Training:
        """How to train after a deletion, given dense training."""
        if self.retrain_max_iter is None:
            return training
        settings = replace(training.settings, max_iter=self.retrain_max_iter)
        solver, has_users_rate = settings.solver, settings.solver not in _RETRAIN_RATES
        if solver in UPDATES:
            settings = replace(
                settings,
                learning_rate="cosine",
                learning_rate_init=_RETRAIN_RATES.get(solver, settings.learning_rate_init),
                beta_2=min(settings.beta_2, _RETRAIN_BETA_2),
            )
        return replace(training, settings=settings, has_users_rate=has_users_rate)

    def prunable(self, pruned: PrunedNetwork) -> Mask:
        """What of a network may still be deleted."""
        return pruned.mask & prunable(pruned.network, self.deletion.prune_intercepts)

    def count(self, pruned: PrunedNetwork) -> int:
        """Weights, units or (groups of) inputs that are left, as the granularity says."""
        count = GRANULARITIES[self.deletion.granularity].n_left
        return count(pruned.network, pruned.mask, self.deletion.prune_intercepts, self.group_of)


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
    # Of their own, because how many random numbers training takes depends on the rows.
    rng = copy.deepcopy(training.rng)
    first = training
    if not recipe.trains_first:
        first = replace(training, settings=replace(training.settings, max_iter=0))
    dense = last = _train_dense(objective, start, state, recipe, first, bool(survivors))
    yield dense
    if not survivors:
        return
    retraining = recipe.retraining(training)
    alpha = objective.alpha if recipe.retrain_alpha is None else recipe.retrain_alpha
    whole = objective.with_alpha(alpha)
    active = ActiveObjective(whole).restricted(recipe.prunable(last.pruned))
    loss = active.value(last.pruned.theta)
    for number, n_left in enumerate(survivors, start=1):
        if last.round.ended_early:
            return
        deletion = _delete(active, last.pruned, recipe.count(last.pruned) - n_left, recipe, rng)
        pruned = PrunedNetwork(whole.network, deletion.theta, deletion.mask)
        active = active.restricted(recipe.prunable(pruned))
        # Rounds after the last level was reached delete nothing.
        n_cycles = recipe.n_regrow if recipe.regrows_every_round or n_left == survivors[-1] else 0
        if training.monitor.on_round is not None:
            training.monitor.on_round(pruned.theta, pruned.mask, 1 + n_cycles)
        if np.array_equal(deletion.mask, last.pruned.mask):
            # There is nothing to make up for.
            result = SolverResult(
                pruned.theta, last.round.loss, 0, last.state, last.round.status, last.round.message
            )
        else:
            result = _train(active, pruned, last.state.forget_best(), retraining)
        deleted = active.value(pruned.theta)
        retrained = active.value(result.theta) if result.n_iter else deleted
        check_objective(retrained, retraining, f"after the deletion of round {number}")
        trained = PrunedNetwork(pruned.network, result.theta, pruned.mask)
        refined = _Refinement(trained, result, retrained, ())
        if result.n_iter:
            refined = _refine(whole, refined, n_cycles, recipe, retraining, rng)
        if refined.pruned is not trained:
            active = ActiveObjective(whole).restricted(recipe.prunable(refined.pruned))
        validation = _validate(training, refined.pruned.theta)
        losses = loss, deleted, refined.loss
        last = _step(recipe, number, refined, deletion.predicted_increase, losses, validation)
        loss = refined.loss
        if (
            recipe.prune_tol is not None
            and _deterioration(objective, whole, dense, last) > recipe.prune_tol
        ):
            yield replace(last, round=replace(last.round, within_tol=False))
            return
        yield last


def _train_dense(
    objective: Objective,
    start: PrunedNetwork,
    state: TrainingState,
    recipe: Recipe,
    training: Training,
    is_first_of_many: bool,
) -> Step:
    """Round 0."""
    active = ActiveObjective(objective).restricted(recipe.prunable(start))
    if training.monitor.on_round is not None:
        training.monitor.on_round(start.theta, start.mask, 1)
    result = _train(active, start, replace(state, optimizer=None), training)
    loss, validation = result.loss, (np.nan, np.nan)
    try:
        # A plain network is spared a pass over the data that only the rounds would need.
        if is_first_of_many or not result.n_iter:
            loss = active.value(result.theta)
            check_objective(loss, training, "before any deletion")
        validation = _validate(training, result.theta)
    except KeyboardInterrupt:
        result = replace(result, status=Status.INTERRUPTED)
    trained = PrunedNetwork(start.network, result.theta, start.mask)
    refined = _Refinement(trained, result, loss, ())
    return _step(recipe, 0, refined, 0.0, (np.nan, np.nan, loss), validation)


def _train(
    active: ActiveObjective, pruned: PrunedNetwork, state: TrainingState, training: Training
) -> SolverResult:
    """Train the survivors; the result is over all parameters."""
    theta, mask = pruned.theta, pruned.mask
    result = SOLVERS[training.settings.solver](
        active.objective,
        active.gather(theta),
        active.gather(mask),
        state,
        replace(training, monitor=active.monitor(training.monitor, theta)),
    )
    if result.n_iter == 0 and result.status is Status.CONVERGED:
        return replace(result, theta=theta)
    try:
        check_finite(result, training, active.objective)
    except KeyboardInterrupt:
        # What has been trained is not lost to an interrupt that comes while it is being judged.
        result = replace(result, status=Status.INTERRUPTED)
    active.spread(result.state, mask)
    return replace(result, theta=active.scatter(result.theta, theta))


def _delete(
    active: ActiveObjective,
    pruned: PrunedNetwork,
    n_delete: int,
    recipe: Recipe,
    rng: np.random.RandomState,
) -> Deletion:
    """Delete within the active network; the result is over all parameters."""
    theta, mask = pruned.theta, pruned.mask
    problem = Problem(
        active.objective,
        active.gather(theta),
        active.gather(mask),
        recipe.deletion,
        rng,
        None if recipe.group_of is None else active.of_inputs(recipe.group_of),
    )
    deletion = GRANULARITIES[recipe.deletion.granularity].delete(problem, n_delete)
    return deletion._replace(
        theta=active.scatter(deletion.theta, theta), mask=active.scatter(deletion.mask, mask)
    )


@dataclass(frozen=True, eq=False)
class _Refinement:
    """The best network of a level so far."""

    pruned: PrunedNetwork
    result: SolverResult
    loss: float
    cycles: tuple[Cycle, ...]


def _refine(
    whole: Objective,
    best: _Refinement,
    n_cycles: int,
    recipe: Recipe,
    training: Training,
    rng: np.random.RandomState,
) -> _Refinement:
    """Exchange survivors for deleted parameters that promise more; the best network is kept.

    In cycle c of C a fraction ``0.3 (1 - c/C)`` of the survivors is deleted by the criterion, as
    many are revived (see `regrowth`), and the network is retrained.
    """
    if recipe.deletion.granularity != "weight":
        # A deleted unit has gradient 0 in all its weights: nothing is promised by any.
        return best
    n_left = recipe.count(best.pruned)
    present, cycles, n_iter = best, [], best.result.n_iter
    try:
        for c in range(n_cycles):
            if present.result.status in (Status.INTERRUPTED, Status.STOPPED):
                break
            n_exchanged = min(n_left, max(1, round(_EXCHANGED * (1 - c / n_cycles) * n_left)))
            exchanged = _exchange(whole, present.pruned, n_exchanged, recipe, rng)
            if exchanged is None:
                break
            pruned, cycle = exchanged
            active = ActiveObjective(whole).restricted(recipe.prunable(pruned))
            if training.monitor.on_cycle is not None:
                training.monitor.on_cycle(pruned.theta, pruned.mask)
            result = _train(active, pruned, present.result.state.forget_best(), training)
            n_iter += result.n_iter
            trained = PrunedNetwork(pruned.network, result.theta, pruned.mask)
            present = _Refinement(trained, result, np.inf, ())
            loss = active.value(trained.theta)
            present = replace(present, loss=loss)
            is_best = loss < best.loss
            cycles.append(
                replace(cycle, loss_after_retraining=loss, n_iter=result.n_iter, is_best=is_best)
            )
            if is_best:
                best = present
    except KeyboardInterrupt:
        status, message = Status.INTERRUPTED, "interrupted by the user"
        interrupted = replace(present.result, status=status, message=message)
        present = replace(present, result=interrupted)
    except DivergenceError:
        # There is a network without this cycle.
        pass
    # The record of training is that of all cycles; network and optimiser are those of the best.
    state = replace(present.result.state, optimizer=best.result.state.optimizer)
    result = replace(
        present.result, theta=best.result.theta, n_iter=n_iter, loss=best.result.loss, state=state
    )
    return replace(best, result=result, cycles=tuple(cycles))


def _exchange(
    whole: Objective, pruned: PrunedNetwork, n: int, recipe: Recipe, rng: np.random.RandomState
) -> tuple[PrunedNetwork, Cycle] | None:
    """Delete ``n`` survivors and revive as many, or fewer; None where nothing can come back.

    Which deleted parameters can act depends on the deletion: where they are too few, a smaller
    one is made.
    """
    active = ActiveObjective(whole).restricted(recipe.prunable(pruned))
    while n:
        deletion = _delete(active, pruned, n, recipe, rng)
        intercepts_too = recipe.deletion.prune_intercepts
        if revivable(whole.network, deletion.mask, intercepts_too).sum() >= n:
            break
        n //= 2
    else:
        return None
    left = PrunedNetwork(whole.network, deletion.theta, deletion.mask)
    # All inputs may come back, but no unit that is dead: those that can act are active.
    active = ActiveObjective(whole).restricted(recipe.prunable(left), max_copy_bytes=0)
    problem = Problem(
        active.objective,
        active.gather(left.theta),
        active.gather(left.mask),
        recipe.deletion,
        rng,
    )
    mask, decrease = revive(problem, n)
    revived = PrunedNetwork(whole.network, left.theta, active.scatter(mask, left.mask))
    return revived, Cycle(
        n_exchanged=n,
        predicted_increase=deletion.predicted_increase,
        predicted_decrease=decrease,
    )


def _validate(training: Training, theta: Array) -> tuple[float, float]:
    validate = training.monitor.validate
    return (np.nan, np.nan) if validate is None else validate(theta)


def _step(
    recipe: Recipe,
    number: int,
    refined: _Refinement,
    predicted_increase: float,
    losses: tuple[float, float, float],
    validation: tuple[float, float],
) -> Step:
    """Assemble the record of a round; losses before and after deletion, and after retraining."""
    pruned, result = refined.pruned, refined.result
    n_total = int(prunable(pruned.network, recipe.deletion.prune_intercepts).sum())
    n_weights = int(recipe.prunable(pruned).sum())
    before, deleted, retrained = losses
    numbers = Round(
        round=number,
        n_weights=n_weights,
        n_total=n_total,
        n_left=recipe.count(pruned),
        sparsity=1 - n_weights / n_total,
        loss_before=before,
        predicted_increase=predicted_increase,
        loss_after_deletion=deleted,
        loss_after_retraining=retrained,
        n_iter=result.n_iter,
        validation_loss=validation[0],
        validation_score=validation[1],
        loss=result.loss if result.n_iter else retrained,
        status=result.status,
        message=result.message,
        cycles=refined.cycles,
    )
    return Step(pruned, result.state, numbers)


def _deterioration(objective: Objective, whole: Objective, dense: Step, step: Step) -> float:
    """How much worse than the dense network: in validation score if there is one, else in loss.

    The loss is that of dense training, whose penalty may be another than that of retraining.
    """
    if np.isfinite(dense.round.validation_score):
        return dense.round.validation_score - step.round.validation_score
    theta, total = step.pruned.theta, objective.penalty_weight
    penalties = objective.penalty.value(theta, total) - whole.penalty.value(theta, total)
    return step.round.loss_after_retraining + penalties - dense.round.loss_after_retraining
