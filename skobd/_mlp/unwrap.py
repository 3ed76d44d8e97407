"""The OBD estimator within pipelines, searches and the like."""

from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .base import BaseOBDMLP


def nested(estimator: Any, caller: str) -> list[Any]:
    """The estimator, the one inside it, and so on to the fitted OBD estimator.

    Raises
    ------
    TypeError
        If there is no OBD estimator inside.
    NotFittedError
        If it, or a search around it, is not fitted.
    """
    found = [estimator]
    while not isinstance(found[-1], BaseOBDMLP):
        found.append(_inside(found[-1], caller))
    check_is_fitted(found[-1])
    return found


def unwrap(estimator: Any, caller: str) -> tuple[list[Any], BaseOBDMLP]:
    """Transformers before, and the fitted OBD estimator inside, as `nested` finds it."""
    *around, mlp = nested(estimator, caller)
    pipelines = [outer for outer in around if isinstance(outer, Pipeline)]
    return [pipeline[:-1] for pipeline in pipelines if len(pipeline.steps) > 1], mlp


def _inside(estimator: Any, caller: str) -> Any:
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1][1]
    if isinstance(estimator, TransformedTargetRegressor):
        return getattr(estimator, "regressor_", estimator.regressor)
    if isinstance(estimator, FrozenEstimator):
        return estimator.estimator
    if hasattr(estimator, "best_estimator_"):
        return estimator.best_estimator_
    if hasattr(estimator, "cv") and hasattr(estimator, "refit"):
        raise NotFittedError(
            f"This {type(estimator).__name__} has no best_estimator_ yet, which {caller} "
            "needs: fit it first, with refit enabled."
        )
    raise TypeError(
        f"{caller} needs an OBDMLPClassifier or OBDMLPRegressor, or a Pipeline or search "
        f"around one; got {type(estimator).__name__}."
    )
