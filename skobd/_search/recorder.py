"""The last step of a pipeline during a search, which makes a path instead of a fit."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin

from .._mlp.path import PruningPath
from .._mlp.pipelines import last_step, put_last, replace_last
from .._prune.schedule import Levels
from .._sklearn_compat import CallbackSupportMixin, hand_down_callbacks, take_callbacks
from .._train.solvers import DivergenceError


class PathRecorder(CallbackSupportMixin, MetaEstimatorMixin, BaseEstimator):
    """Replacement of an estimator that keeps its path as far as it was reached.

    Parameters
    ----------
    estimator : OBDMLPClassifier or OBDMLPRegressor
    levels : Levels
    check_inputs : callable or None
        Function called before training with the data that leave the transformers, which it may
        refuse. It is a plain function, which `clone` does not copy.

    Attributes
    ----------
    path_ : PruningPath
    """

    def __init__(
        self,
        estimator: Any,
        levels: Levels,
        check_inputs: Callable[[Any], None] | None = None,
    ) -> None:
        self.estimator = estimator
        self.levels = levels
        self.check_inputs = check_inputs

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> "PathRecorder":
        """Fit along the levels."""
        if self.check_inputs is not None:
            self.check_inputs(X)
        for name in fit_params:
            if name not in signature(self.estimator.fit).parameters:
                kind = type(self.estimator).__name__
                raise TypeError(f"{kind}.fit() got an unexpected keyword argument {name!r}.")
        hand_down_callbacks(self, self.estimator)
        name = "sizes" if self.levels.are_sizes else "prune_fractions"
        try:
            self.path_ = self.estimator.pruning_path(
                X, y, **{name: self.levels.values}, **fit_params
            )
        except DivergenceError as error:
            self.path_ = error.path
            raise
        if self.path_["is_interrupted"]:
            # Interrupted training ends normally, but a search must not continue.
            raise KeyboardInterrupt
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict with the last network; a `TransformedTargetRegressor` asks for this method."""
        return self.path_.estimator_at(-1).predict(X)

    def __sklearn_tags__(self):
        return self.estimator.__sklearn_tags__()

    def get_metadata_routing(self) -> Any:
        """Get the metadata that the estimator asks for."""
        return self.estimator.get_metadata_routing()


def with_recorder(
    estimator: Any, levels: Levels, check_inputs: Callable[[Any], None] | None = None
) -> Any:
    """Put a `PathRecorder` around the last step of an unfitted estimator."""
    mlp = last_step(estimator)
    recorder = PathRecorder(mlp, levels, check_inputs)
    take_callbacks(mlp, recorder)
    return put_last(estimator, recorder)


def recorded_path(estimator: Any) -> PruningPath | None:
    """Return the path in the result of `with_recorder`, or None if dense training did not end."""
    path = getattr(last_step(estimator), "path_", None)
    if path is None:
        return None
    return PruningPath(**{**path, "estimator": replace_last(estimator, path["estimator"])})
