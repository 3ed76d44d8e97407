"""The recipe: train, then round by round delete the least salient and retrain the survivors.

One generator, `prune`, is driven by fit, by further pruning, by the pruning path and by the
search; it yields one `Step` for the dense network and one for each round.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from ._compaction import Part
from ._granularity import DELETIONS
from ._network import Array, Mask, Network
from ._objective import Objective
from ._solvers import SOLVERS, Journal, SolverResult, Watch, check_finite
from ._surgery import Deletion, SurgerySettings, candidates, n_prunable
from ._updates import SolverSettings

HISTORY_COLUMNS = (
    "round",
    "n_weights",
    "sparsity",
    "loss_before",
    "predicted_increase",
    "loss_after_deletion",
    "loss_after_retraining",
    "n_iter",
)
VALIDATION_COLUMNS = ("validation_loss", "validation_score")


@dataclass(frozen=True)
class Step:
    """The network after a round, or after dense training (round 0).

    Attributes
    ----------
    round : int
    theta : ndarray of shape (n_parameters,)
    mask : ndarray of bool of shape (n_parameters,)
    n_weights : int
        Surviving prunable parameters.
    sparsity : float
        Fraction of the prunable parameters deleted.
    loss_before, loss_after_deletion, loss_after_retraining : float
        Objective on the training data; of the dense network only the last.
    predicted_increase : float
        Rise by the deletion that the criterion predicted; NaN if it predicts none.
    n_iter : int
        Epochs or iterations of (re)training.
    validation_loss, validation_score : float
        NaN without validation data.
    result : SolverResult
        Of the (re)training.
    within_tol : bool
        False for the one step that is worse than ``prune_tol`` allows; it is the last.
    """

    round: int
    theta: Array
    mask: Mask
    n_weights: int
    sparsity: float
    loss_before: float
    predicted_increase: float
    loss_after_deletion: float
    loss_after_retraining: float
    n_iter: int
    validation_loss: float
    validation_score: float
    result: SolverResult
    within_tol: bool = True

    def without_network(self) -> "Step":
        """The same numbers without the arrays, for the history."""
        empty = replace(self.result, theta=np.empty(0), state=None)
        return replace(self, theta=np.empty(0), mask=np.empty(0, dtype=bool), result=empty)

    @property
    def ended_early(self) -> bool:
        """Whether the user or a callback ended the training of this step."""
        return self.result.status in ("interrupted", "stopped")


def survivor_schedule(
    n_prunable: int, n_present: int, prune_fraction: float, n_rounds: int
) -> list[int]:
    """Survivors after each round, falling geometrically from ``n_present``.

    After round r of R, ``n_present * (n_final / n_present)^(r/R)`` are left, rounded, with
    ``n_final = (1 - prune_fraction) * n_prunable``, rounded.
    """
    n_final = round((1 - prune_fraction) * n_prunable)
    if n_rounds == 0 or n_final >= n_present:
        return []
    if n_present == n_prunable:
        ratio = 1 - prune_fraction
    else:
        ratio = (1 - prune_fraction) * n_prunable / n_present
    survivors = [round(n_present * ratio ** (r / n_rounds)) for r in range(1, n_rounds)]
    return survivors + [n_final]


@dataclass(frozen=True)
class Recipe:
    """How to train, delete and retrain.

    Attributes
    ----------
    solver : SolverSettings
    surgery : SurgerySettings
    retrain_max_iter : int or None
        Epochs or iterations per round; None for the solver's ``max_iter``, 0 for none.
    prune_tol : float or None
        End after the first round whose network is worse than the dense one by more than this.
    """

    solver: SolverSettings
    surgery: SurgerySettings
    retrain_max_iter: int | None = None
    prune_tol: float | None = None

    @property
    def retraining(self) -> SolverSettings:
        """Settings of the solver within a round."""
        if self.retrain_max_iter is None:
            return self.solver
        return replace(self.solver, max_iter=self.retrain_max_iter)


def prune(
    objective: Objective,
    theta: Array,
    mask: Mask,
    survivors: Sequence[int],
    recipe: Recipe,
    rng: np.random.RandomState,
    *,
    journal: Journal | None = None,
    watch: Watch = Watch(),
    train: bool = True,
) -> Iterator[Step]:
    """Train and prune; yields the dense network first, then one step for each round.

    Deletion and retraining work on what is alive, so later rounds cost less.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (n_parameters,)
        Where to start from; not modified.
    mask : ndarray of bool of shape (n_parameters,)
    survivors : sequence of int
        Prunable parameters to be left after each round, falling.
    recipe : Recipe
    rng : RandomState
    journal : Journal or None
        What earlier training recorded.
    watch : Watch
    train : bool, default=True
        Whether to train before the first round.

    Raises
    ------
    DivergenceError
        If training produces non-finite values.
    """

    network = objective.network

    def alive(part: Part, mask: Mask) -> Part:
        return part.living(candidates(network, mask, recipe.surgery))

    def announce(theta: Array, mask: Mask) -> None:
        if watch.on_round is not None:
            watch.on_round(theta, mask)

    def validate(theta: Array) -> tuple[float, float]:
        return (np.nan, np.nan) if watch.validate is None else watch.validate(theta)

    def run(
        part: Part, theta: Array, mask: Mask, settings: SolverSettings, journal: Journal
    ) -> SolverResult:
        if settings.max_iter == 0 or not mask.any():
            return SolverResult(theta, np.nan, 0, journal, "converged")
        result = SOLVERS[settings.solver](
            part.objective,
            part.take(theta),
            part.take(mask),
            settings,
            journal,
            rng,
            part.watch(watch, theta),
        )
        with _kept(result):
            check_finite(result, settings, part.objective)
        result.theta = part.put(result.theta, theta)
        result.state = part.put_state(result.state, mask)
        return result

    settings = recipe.solver if train else replace(recipe.solver, max_iter=0)
    part = alive(Part(objective), mask)
    announce(theta, mask)
    result = run(part, theta, mask, settings, journal or Journal())
    loss, validation = result.loss, (np.nan, np.nan)
    with _kept(result):
        # A plain network is spared a pass over the data that only the rounds would need.
        loss = part.value(result.theta) if survivors or not train else result.loss
        validation = validate(result.theta)
    losses, nothing = (np.nan, np.nan, loss), Deletion(theta, mask, 0.0)
    dense = last = _step(network, recipe, 0, result, nothing, losses, validation)
    yield dense
    for round_, n_left in enumerate(survivors, start=1):
        if last.ended_early:
            return
        deletion = DELETIONS[recipe.surgery.granularity](
            part.objective,
            part.take(last.theta),
            part.take(last.mask),
            last.n_weights - n_left,
            recipe.surgery,
            rng,
        )
        deletion = deletion._replace(
            theta=part.put(deletion.theta, last.theta), mask=part.put(deletion.mask, last.mask)
        )
        part = alive(part, deletion.mask)
        announce(deletion.theta, deletion.mask)
        if np.array_equal(deletion.mask, last.mask):
            # Whole units or inputs may be too large for a round; there is nothing to make up for.
            result = replace(last.result, n_iter=0)
        else:
            journal = last.result.journal.forget_best()
            result = run(part, deletion.theta, deletion.mask, recipe.retraining, journal)
        deleted = part.value(deletion.theta)
        retrained = part.value(result.theta) if result.n_iter else deleted
        losses = (last.loss_after_retraining, deleted, retrained)
        validation = validate(result.theta)
        last = _step(network, recipe, round_, result, deletion, losses, validation)
        if recipe.prune_tol is not None and _rise(dense, last) > recipe.prune_tol:
            yield replace(last, within_tol=False)
            return
        yield last


@contextmanager
def _kept(result: SolverResult) -> Iterator[None]:
    """What has been trained is not lost to an interrupt that comes while it is being judged."""
    try:
        yield
    except KeyboardInterrupt:
        result.status = "interrupted"


def _step(
    network: Network,
    recipe: Recipe,
    round_: int,
    result: SolverResult,
    deletion: Deletion,
    losses: tuple[float, float, float],
    validation: tuple[float, float],
) -> Step:
    """Assemble the record of a round; losses before and after deletion, and after retraining."""
    n_total = n_prunable(network, recipe.surgery)
    n_left = int(candidates(network, deletion.mask, recipe.surgery).sum())
    before, deleted, retrained = losses
    return Step(
        round_,
        result.theta,
        deletion.mask,
        n_left,
        1 - n_left / n_total,
        before,
        deletion.predicted_increase,
        deleted,
        retrained,
        result.n_iter,
        *validation,
        result,
    )


def _rise(dense: Step, step: Step) -> float:
    """How much worse than the dense network: in validation score if there is one, else in loss."""
    if np.isfinite(dense.validation_score):
        return dense.validation_score - step.validation_score
    return step.loss_after_retraining - dense.loss_after_retraining


def history(steps: Sequence[Step]) -> dict[str, np.ndarray]:
    """Columns of the rounds, ready for ``pandas.DataFrame``."""
    columns: tuple[str, ...] = HISTORY_COLUMNS
    if any(np.isfinite(step.validation_loss) for step in steps):
        columns += VALIDATION_COLUMNS
    return {name: np.array([getattr(step, name) for step in steps]) for name in columns}


def join_histories(
    earlier: dict[str, np.ndarray], later: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """One history after the other, rounds numbered on; NaN where a column is missing."""
    n_earlier, n_later = len(earlier["round"]), len(later["round"])
    if not n_later:
        return earlier
    if not n_earlier:
        return later
    later = later | {"round": later["round"] + earlier["round"][-1]}
    return {
        name: np.concatenate(
            [
                earlier.get(name, np.full(n_earlier, np.nan)),
                later.get(name, np.full(n_later, np.nan)),
            ]
        )
        for name in earlier | later
    }


def describe(step: Step) -> str:
    """One line about a step, as ``verbose=1`` prints it."""
    line = f"round {step.round:2d}: {step.n_weights} weights left ({step.sparsity:.1%} deleted)"
    if step.round:
        line += f", loss {step.loss_before:.5f} -> deleted {step.loss_after_deletion:.5f}"
        if np.isfinite(step.predicted_increase):
            line += f" (predicted {step.loss_before + step.predicted_increase:.5f})"
        line += f" -> retrained {step.loss_after_retraining:.5f} in {step.n_iter} iterations"
    else:
        line += f", loss {step.loss_after_retraining:.5f} after {step.n_iter} iterations"
    if np.isfinite(step.validation_score):
        line += f", validation score {step.validation_score:.4f}"
    if not step.within_tol:
        line += ": worse than prune_tol allows, the round is undone"
    return line
