"""The recipe: train, then round by round delete the least salient and retrain the survivors.

One generator, `prune`, is driven by fit, by further pruning, by the pruning path and by the
search; it yields one `Step` for the dense network and one for each round.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._net.network import Array, Mask
from .._net.pruned import PrunedNetwork
from .._train.objective import Objective
from .._train.solvers import Training, check_finite, solve
from .._train.state import SolverResult, TrainingState
from .active import ActiveObjective
from .deletion import Deletion
from .granularity import DELETIONS
from .problem import DeletionSettings, Problem, prunable


@dataclass(frozen=True)
class Round:
    """The numbers of a round, or of dense training (round 0).

    Attributes
    ----------
    round : int
    n_weights : int
        Surviving prunable parameters.
    sparsity : float
        Fraction of the prunable parameters deleted.
    loss_before, loss_after_deletion, loss_after_retraining : float
        Objective on the training data; of the dense network only the last.
    predicted_increase : float
        Increase by the deletion that the criterion predicted; NaN if it predicts none.
    n_iter : int
        Epochs or iterations of (re)training.
    validation_loss, validation_score : float
        NaN without validation data.
    loss : float
        Objective as the solver last saw it.
    status, message : str
        How the (re)training ended; see `SolverResult`.
    within_tol : bool
        False for the one round that is worse than ``prune_tol`` allows; it is the last.
    """

    round: int
    n_weights: int
    sparsity: float
    loss_before: float
    predicted_increase: float
    loss_after_deletion: float
    loss_after_retraining: float
    n_iter: int
    validation_loss: float
    validation_score: float
    loss: float
    status: str
    message: str
    within_tol: bool = True

    @property
    def ended_early(self) -> bool:
        """Whether the user or a callback ended the training of this round."""
        return self.status in ("interrupted", "stopped")

    def describe(self) -> str:
        """One line, as ``verbose=1`` prints it."""
        line = f"round {self.round:2d}: {self.n_weights} weights left ({self.sparsity:.1%} deleted)"
        if self.round:
            line += f", loss {self.loss_before:.5f} -> deleted {self.loss_after_deletion:.5f}"
            if np.isfinite(self.predicted_increase):
                line += f" (predicted {self.loss_before + self.predicted_increase:.5f})"
            line += f" -> retrained {self.loss_after_retraining:.5f} in {self.n_iter} iterations"
        else:
            line += f", loss {self.loss_after_retraining:.5f} after {self.n_iter} iterations"
        if np.isfinite(self.validation_score):
            line += f", validation score {self.validation_score:.4f}"
        if not self.within_tol:
            line += ": worse than prune_tol allows, the round is undone"
        return line


@dataclass(frozen=True, eq=False)
class Step:
    """The network after a round, what training it has recorded, and the numbers."""

    pruned: PrunedNetwork
    state: TrainingState
    round: Round


@dataclass(frozen=True)
class Recipe:
    """How to delete and retrain.

    Attributes
    ----------
    deletion : DeletionSettings
    retrain_max_iter : int or None
        Epochs or iterations per round; None for the solver's ``max_iter``, 0 for none.
    prune_tol : float or None
        End after the first round whose network is worse than the dense one by more than this.
    """

    deletion: DeletionSettings
    retrain_max_iter: int | None = None
    prune_tol: float | None = None

    def retraining(self, training: Training) -> Training:
        """How to train within a round."""
        if self.retrain_max_iter is None:
            return training
        return replace(
            training, settings=replace(training.settings, max_iter=self.retrain_max_iter)
        )


def prune(
    objective: Objective,
    start: PrunedNetwork,
    state: TrainingState,
    survivors: Sequence[int],
    recipe: Recipe,
    training: Training,
    train: bool = True,
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
        Prunable parameters to be left after each round, falling.
    recipe : Recipe
    training : Training
    train : bool, default=True
        Whether to train before the first round.

    Raises
    ------
    DivergenceError
        If training produces non-finite values.
    """
    active = ActiveObjective(objective).restricted(_prunable(start, recipe))
    settings = training.settings if train else replace(training.settings, max_iter=0)
    first = replace(training, settings=settings)
    dense = last = _train_dense(active, start, state, recipe, first, bool(survivors))
    yield dense
    retraining = recipe.retraining(training)
    for number, n_left in enumerate(survivors, start=1):
        if last.round.ended_early:
            return
        deletion = _delete(active, last, n_left, recipe, training.rng)
        pruned = PrunedNetwork(objective.network, deletion.theta, deletion.mask)
        active = active.restricted(_prunable(pruned, recipe))
        if training.monitor.on_round is not None:
            training.monitor.on_round(pruned.theta, pruned.mask)
        if np.array_equal(deletion.mask, last.pruned.mask):
            # Whole units or inputs may be too large for a round; there is nothing to make up for.
            result = SolverResult(
                pruned.theta, last.round.loss, 0, last.state, last.round.status, last.round.message
            )
        else:
            result = _train(active, pruned, last.state.forget_best(), retraining)
        deleted = active.value(pruned.theta)
        retrained = active.value(result.theta) if result.n_iter else deleted
        losses = last.round.loss_after_retraining, deleted, retrained
        validation = _validate(training, result.theta)
        last = _step(pruned, recipe, number, result, deletion, losses, validation)
        if recipe.prune_tol is not None and _deterioration(dense, last) > recipe.prune_tol:
            yield replace(last, round=replace(last.round, within_tol=False))
            return
        yield last


def _train_dense(
    active: ActiveObjective,
    start: PrunedNetwork,
    state: TrainingState,
    recipe: Recipe,
    training: Training,
    is_first_of_many: bool,
) -> Step:
    """Round 0."""
    if training.monitor.on_round is not None:
        training.monitor.on_round(start.theta, start.mask)
    result = _train(active, start, replace(state, optimizer=None), training)
    loss, validation = result.loss, (np.nan, np.nan)
    try:
        # A plain network is spared a pass over the data that only the rounds would need.
        if is_first_of_many or not result.n_iter:
            loss = active.value(result.theta)
        validation = _validate(training, result.theta)
    except KeyboardInterrupt:
        result = replace(result, status="interrupted")
    losses, nothing = (np.nan, np.nan, loss), Deletion(start.theta, start.mask, 0.0)
    return _step(start, recipe, 0, result, nothing, losses, validation)


def _train(
    active: ActiveObjective, pruned: PrunedNetwork, state: TrainingState, training: Training
) -> SolverResult:
    """Train the survivors; the result is over all parameters."""
    theta, mask = pruned.theta, pruned.mask
    settings = training.settings
    result = solve(
        active.objective,
        active.gather(theta),
        active.gather(mask),
        state,
        replace(training, monitor=active.monitor(training.monitor, theta)),
    )
    if result.n_iter == 0 and result.status == "converged":
        return replace(result, theta=theta)
    try:
        check_finite(result, settings, active.objective)
    except KeyboardInterrupt:
        # What has been trained is not lost to an interrupt that comes while it is being judged.
        result = replace(result, status="interrupted")
    active.spread(result.state, mask)
    return replace(result, theta=active.scatter(result.theta, theta))


def _delete(
    active: ActiveObjective, last: Step, n_left: int, recipe: Recipe, rng: np.random.RandomState
) -> Deletion:
    """Delete within the active network; the result is over all parameters."""
    theta, mask = last.pruned.theta, last.pruned.mask
    problem = Problem(
        active.objective, active.gather(theta), active.gather(mask), recipe.deletion, rng
    )
    n_delete = last.round.n_weights - n_left
    deletion = DELETIONS[recipe.deletion.granularity](problem, n_delete)
    return deletion._replace(
        theta=active.scatter(deletion.theta, theta), mask=active.scatter(deletion.mask, mask)
    )


def _prunable(pruned: PrunedNetwork, recipe: Recipe) -> Mask:
    return pruned.mask & prunable(pruned.network, recipe.deletion.prune_intercepts)


def _validate(training: Training, theta: Array) -> tuple[float, float]:
    validate = training.monitor.validate
    return (np.nan, np.nan) if validate is None else validate(theta)


def _step(
    pruned: PrunedNetwork,
    recipe: Recipe,
    number: int,
    result: SolverResult,
    deletion: Deletion,
    losses: tuple[float, float, float],
    validation: tuple[float, float],
) -> Step:
    """Assemble the record of a round; losses before and after deletion, and after retraining."""
    n_total = int(prunable(pruned.network, recipe.deletion.prune_intercepts).sum())
    n_left = int(_prunable(pruned, recipe).sum())
    before, deleted, retrained = losses
    numbers = Round(
        number,
        n_left,
        1 - n_left / n_total,
        before,
        deletion.predicted_increase,
        deleted,
        retrained,
        result.n_iter,
        *validation,
        result.loss if result.n_iter else retrained,
        result.status,
        result.message,
    )
    trained = PrunedNetwork(pruned.network, result.theta, pruned.mask)
    return Step(trained, result.state, numbers)


def _deterioration(dense: Step, step: Step) -> float:
    """How much worse than the dense network: in validation score if there is one, else in loss."""
    if np.isfinite(dense.round.validation_score):
        return dense.round.validation_score - step.round.validation_score
    return step.round.loss_after_retraining - dense.round.loss_after_retraining
