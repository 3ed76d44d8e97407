"""The pruning path: the networks that a fit passes through, from dense to sparse.

A path is a fit that is recorded: `recording` makes an estimator's ``fit`` follow given levels
and keep the network of every step, packed. Estimators at any step are made from that.
"""

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from ._callbacks import CALLBACK_STATE
from ._network import Array
from ._pruning import HISTORY_COLUMNS, VALIDATION_COLUMNS, Step


def check_levels(prune_fractions: Any) -> tuple[float, ...]:
    """Levels sorted from dense to sparse, each once; those outside [0, 1) are refused."""
    levels = np.asarray(prune_fractions)
    if levels.ndim != 1 or levels.size == 0 or levels.dtype.kind not in "fiu":
        raise ValueError(
            "prune_fractions must be a non-empty sequence of numbers in [0, 1), got "
            f"{prune_fractions!r}."
        )
    # Written so that NaN is refused too.
    wrong = levels[~((levels >= 0) & (levels < 1))]
    if wrong.size:
        raise ValueError(f"prune_fractions must be in [0, 1), got {wrong.tolist()}.")
    return tuple(np.unique(levels.astype(np.float64)).tolist())


def geometric_levels(prune_fraction: float, n_rounds: int) -> tuple[float, ...]:
    """The dense network's level 0 and those after each round of a fit's own schedule."""
    if prune_fraction == 0 or n_rounds == 0:
        return (0.0,)
    between = [1 - (1 - prune_fraction) ** (r / n_rounds) for r in range(1, n_rounds)]
    return (0.0, *between, float(prune_fraction))


class PackedStep(NamedTuple):
    """A `Step` whose network takes as little room as it can.

    Attributes
    ----------
    numbers : Step
        Without the network.
    values : ndarray of shape (n_surviving,)
        The surviving parameters, ``theta[mask]``.
    mask : ndarray of uint8 of shape (ceil(n_parameters / 8),)
        The mask, eight entries to a byte (`numpy.packbits`).
    feature_importances : ndarray of shape (n_features,)
    """

    numbers: Step
    values: Array
    mask: np.ndarray
    feature_importances: Array

    @classmethod
    def pack(cls, step: Step, feature_importances: Array) -> "PackedStep":
        """Pack a step."""
        values, mask = step.theta[step.mask], np.packbits(step.mask)
        return cls(step.without_network(), values, mask, feature_importances)

    def unpack(self, n_parameters: int) -> Step:
        """The step as it was; only the optimiser's state is gone."""
        mask = np.unpackbits(self.mask, count=n_parameters).astype(bool)
        theta = np.zeros(n_parameters, dtype=self.values.dtype)
        theta[mask] = self.values
        result = self.numbers.result
        result = replace(result, theta=theta, journal=result.journal.copy())
        return replace(self.numbers, theta=theta, mask=mask, result=result)


@dataclass
class Route:
    """The levels that a fit follows and what it passes on its way.

    Attributes
    ----------
    levels : tuple of float or None
        Levels, the dense network's 0 first; None for those of the estimator's parameters.
    template : BaseOBDMLP or None
        The estimator as it was before training, with everything that validation sets.
    steps : list of PackedStep
    seconds : list of float
        Time from the start of training to each step.
    is_interrupted : bool
        Whether the user interrupted the fit.
    """

    levels: tuple[float, ...] | None = None
    template: Any = None
    steps: list[PackedStep] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    is_interrupted: bool = False

    def survivors(self, n_prunable: int) -> list[int]:
        """Prunable parameters left after each round, one round for each level above 0."""
        return [round((1 - level) * n_prunable) for level in (self.levels or ())[1:]]

    def begin(self, estimator: Any) -> None:
        """Note the estimator before it is trained."""
        self.template = copy.copy(estimator)
        for name in (*CALLBACK_STATE, "_route"):
            vars(self.template).pop(name, None)
        self._start = time.perf_counter()

    def record(self, step: Step, feature_importances: Array) -> None:
        """Keep a step."""
        self.steps.append(PackedStep.pack(step, feature_importances))
        self.seconds.append(time.perf_counter() - self._start)

    def path(self, estimator: Any) -> "PruningPath":
        """The path so far; ``estimator`` is the fitted one, maybe a pipeline around it."""
        levels = self.levels
        if levels is None:
            levels = geometric_levels(self.template.prune_fraction, self.template.n_rounds)
        numbers = [packed.numbers for packed in self.steps]
        columns: tuple[str, ...] = HISTORY_COLUMNS
        if any(np.isfinite(step.validation_loss) for step in numbers):
            columns += VALIDATION_COLUMNS
        return PruningPath(
            prune_fractions=np.array(levels[: len(numbers)]),
            **{name: np.array([getattr(step, name) for step in numbers]) for name in columns},
            fit_time=np.array(self.seconds),
            steps=list(self.steps),
            estimator=replace_final(estimator, self.template),
            own_levels=self.levels is None,
        )


@contextmanager
def recording(estimator: BaseEstimator, route: Route) -> Iterator[None]:
    """Within this context, ``fit`` of the estimator (or pipeline) follows the route."""
    mlp = final_estimator(estimator)
    mlp._route = route
    try:
        yield
    finally:
        vars(mlp).pop("_route", None)


def final_estimator(estimator: Any) -> Any:
    """The last step of a pipeline, of pipelines within pipelines, or the estimator itself."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def replace_final(estimator: Any, final: Any) -> Any:
    """A shallow copy of the pipeline with another last step; of a bare estimator ``final``."""
    if not isinstance(estimator, Pipeline):
        return final
    pipeline = copy.copy(estimator)
    for name in CALLBACK_STATE:
        vars(pipeline).pop(name, None)
    name, last = estimator.steps[-1]
    pipeline.steps = [*estimator.steps[:-1], (name, replace_final(last, final))]
    return pipeline


class PruningPath(Bunch):
    """The networks after each round, from dense to sparse.

    A `Bunch`: what follows are its keys, readable as attributes.

    Attributes
    ----------
    prune_fractions : ndarray of shape (n_steps,)
        The levels; the first, 0, is the dense network's.
    round, n_weights, sparsity, loss_before, predicted_increase, loss_after_deletion, \
    loss_after_retraining, n_iter : ndarray of shape (n_steps,)
        As in ``pruning_history_``, with the dense network first.
    validation_loss, validation_score : ndarray of shape (n_steps,)
        Only where there are validation data.
    fit_time : ndarray of shape (n_steps,)
        Seconds from the start of training.
    steps : list of PackedStep
        The networks: the surviving parameters and the packed mask of each.
    estimator : object
        What `estimator_at` completes.
    own_levels : bool
        Whether the levels are those that the estimator's own parameters make.
    """

    def estimator_at(self, index: int) -> Any:
        """Fitted estimator at a step of the path, without any training.

        Parameters
        ----------
        index : int
            Position on the path; negative counts from the sparse end.

        Returns
        -------
        estimator : object
            Its attributes equal those of an estimator fitted along the same levels, bit for
            bit. ``prune_fraction`` is the step's level. Further `partial_fit` starts the
            optimiser afresh, as its state is not kept on the path.
        """
        n_steps = len(self["steps"])
        if not isinstance(index, Integral):
            raise TypeError(f"index must be an integer, got {index!r}.")
        if not -n_steps <= index < n_steps:
            raise IndexError(f"index must be in [{-n_steps}, {n_steps}), got {index}.")
        index %= n_steps
        mlp = copy.copy(final_estimator(self["estimator"]))
        packed: Sequence[PackedStep] = self["steps"][: index + 1]
        last = packed[-1].unpack(mlp._network.n_parameters)
        done = [*(earlier.numbers for earlier in packed[:-1]), last]
        mlp._store(done, packed[-1].feature_importances.copy())
        mlp.prune_fraction = float(self["prune_fractions"][index])
        if self["own_levels"]:
            mlp.n_rounds = index
        return replace_final(self["estimator"], mlp)
