"""Access to the network inside pipelines, and to the transformers around it."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._sklearn_compat import without_callback_state
from .attributes import FittedAttributes


def _nested(estimator: Any) -> Iterator[tuple[Any, str, Any]]:
    """Yield each outer estimator, the parameter that holds its inner one, and the inner one.

    The order is from the outside in. Outer estimators are pipelines, whose last step is the inner
    one, and target transformations; a bare estimator yields nothing.
    """
    while isinstance(estimator, Pipeline | TransformedTargetRegressor):
        if isinstance(estimator, Pipeline):
            name, inner = estimator.steps[-1]
        else:
            # The parameter of a fitted one may have been changed since.
            name, inner = "regressor", getattr(estimator, "regressor_", estimator.regressor)
        yield estimator, name, inner
        estimator = inner


def last_step(estimator: Any) -> Any:
    """Return the estimator inside pipelines and `TransformedTargetRegressor`, to any depth.

    A bare estimator is returned itself. Fitted estimators are preferred to parameters, so clone
    an estimator given by a user first.
    """
    for _, _, inner in _nested(estimator):
        estimator = inner
    return estimator


def last_step_name(estimator: Any) -> str:
    """Return the name by which ``set_params`` reaches the last step; empty for a bare estimator."""
    return "__".join(name for _, name, _ in _nested(estimator))


def steps_before(estimator: Any) -> list[Pipeline]:
    """Return the pipelines of transformers before the last step, mostly one or none."""
    return _transformers(outer for outer, _, _ in _nested(estimator))


def _transformers(around: Iterable[Any]) -> list[Pipeline]:
    """Return the transformers of the pipelines around a network."""
    pipelines = (outer for outer in around if isinstance(outer, Pipeline))
    return [pipeline[:-1] for pipeline in pipelines if len(pipeline.steps) > 1]


def nested(estimator: Any, caller: str) -> list[Any]:
    """Return the estimator, the one inside it, and so on to the fitted OBD estimator.

    Raises
    ------
    TypeError
        If there is no OBD estimator inside.
    NotFittedError
        If the OBD estimator, or a search around it, is not fitted.
    """
    found = [estimator]
    while not isinstance(found[-1], FittedAttributes):
        found.append(_inside(found[-1], caller))
    check_is_fitted(found[-1])
    return found


def unwrap(estimator: Any, caller: str) -> tuple[list[Pipeline], Any]:
    """Return the transformers before the fitted OBD estimator, and the latter."""
    *around, mlp = nested(estimator, caller)
    return _transformers(around), mlp


def _inside(estimator: Any, caller: str) -> Any:
    for _, _, inner in _nested(estimator):
        return inner
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
        f"around one; got {type(estimator).__name__}. A perceptron of scikit-learn becomes one by "
        "OBDMLPClassifier.from_sklearn."
    )


def input_names(transformers: list[Pipeline], mlp: Any) -> Any:
    """Return the names that earlier steps give to inputs without names, or None."""
    if hasattr(mlp, "feature_names_in_"):
        return None
    try:
        names = None
        for transformer in transformers:
            names = transformer.get_feature_names_out(names)
    except (AttributeError, ValueError):
        # An earlier step cannot name its outputs.
        return None
    return names if names is not None and len(names) == mlp.n_features_in_ else None


def put_last(estimator: Any, last: Any) -> Any:
    """Replace the last step of the unfitted pipeline in place; return ``last`` for a bare one."""
    name = last_step_name(estimator)
    return estimator.set_params(**{name: last}) if name else last


def replace_last(estimator: Any, last: Any) -> Any:
    """Return a shallow copy of the fitted pipeline with another last step."""
    if isinstance(estimator, Pipeline):
        pipeline = without_callback_state(copy.copy(estimator))
        name, step = estimator.steps[-1]
        pipeline.steps = [*estimator.steps[:-1], (name, replace_last(step, last))]
        return pipeline
    if isinstance(estimator, TransformedTargetRegressor):
        return with_regressor(estimator, replace_last(estimator.regressor_, last))
    return last


def without_transformers(estimator: Any) -> Any:
    """Return the fitted estimator without `steps_before`, but with target transformations."""
    if isinstance(estimator, Pipeline):
        return without_transformers(estimator.steps[-1][1])
    if isinstance(estimator, TransformedTargetRegressor):
        return with_regressor(estimator, without_transformers(estimator.regressor_))
    return estimator


def with_regressor(
    estimator: TransformedTargetRegressor, regressor: Any
) -> TransformedTargetRegressor:
    """Return a shallow copy with another fitted regressor."""
    wrapper = copy.copy(estimator)
    wrapper.regressor, wrapper.regressor_ = clone(regressor), regressor
    if hasattr(regressor, "feature_names_in_"):
        wrapper.feature_names_in_ = regressor.feature_names_in_
    return wrapper
