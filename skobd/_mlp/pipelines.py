"""Surgery on pipelines: what is around the network, and what is inside."""

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
    """From the outside in: what is around the estimator, the name of its inside, and the inside.

    That are pipelines, whose last step counts, and target transformations; nothing for a bare
    estimator.
    """
    while isinstance(estimator, Pipeline | TransformedTargetRegressor):
        if isinstance(estimator, Pipeline):
            name, inner = estimator.steps[-1]
        else:
            # Of a fitted one the parameter may be another by now.
            name, inner = "regressor", getattr(estimator, "regressor_", estimator.regressor)
        yield estimator, name, inner
        estimator = inner


def last_step(estimator: Any) -> Any:
    """The last step of a pipeline, the regressor within a `TransformedTargetRegressor`, ...

    ... and so on, to any depth; a bare estimator itself. What is fitted counts, so that a
    parameter given by a user is to be cloned before.
    """
    for _, _, inner in _nested(estimator):
        estimator = inner
    return estimator


def last_step_name(estimator: Any) -> str:
    """Name by which ``set_params`` reaches the last step; empty for a bare estimator."""
    return "__".join(name for _, name, _ in _nested(estimator))


def steps_before(estimator: Any) -> list[Pipeline]:
    """Return the pipelines of transformers before the last step, mostly one or none."""
    return _transformers(outer for outer, _, _ in _nested(estimator))


def _transformers(around: Iterable[Any]) -> list[Pipeline]:
    """The transformers of pipelines among what is around a network."""
    pipelines = (outer for outer in around if isinstance(outer, Pipeline))
    return [pipeline[:-1] for pipeline in pipelines if len(pipeline.steps) > 1]


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
    while not isinstance(found[-1], FittedAttributes):
        found.append(_inside(found[-1], caller))
    check_is_fitted(found[-1])
    return found


def unwrap(estimator: Any, caller: str) -> tuple[list[Pipeline], Any]:
    """Transformers before, and the fitted OBD estimator inside, as `nested` finds it."""
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
    """Names that the steps before give to inputs that had none in ``fit``; None if they do not."""
    if hasattr(mlp, "feature_names_in_"):
        return None
    try:
        names = None
        for transformer in transformers:
            names = transformer.get_feature_names_out(names)
    except (AttributeError, ValueError):
        # Some step before cannot name what it puts out.
        return None
    return names if names is not None and len(names) == mlp.n_features_in_ else None


def put_last(estimator: Any, last: Any) -> Any:
    """The unfitted pipeline itself with another last step; of a bare estimator ``last``."""
    name = last_step_name(estimator)
    return estimator.set_params(**{name: last}) if name else last


def replace_last(estimator: Any, last: Any) -> Any:
    """A shallow copy of the fitted pipeline with another last step; of a bare one ``last``."""
    if isinstance(estimator, Pipeline):
        pipeline = without_callback_state(copy.copy(estimator))
        name, step = estimator.steps[-1]
        pipeline.steps = [*estimator.steps[:-1], (name, replace_last(step, last))]
        return pipeline
    if isinstance(estimator, TransformedTargetRegressor):
        return with_regressor(estimator, replace_last(estimator.regressor_, last))
    return last


def without_transformers(estimator: Any) -> Any:
    """The fitted estimator for what `steps_before` put out: transformations of the target stay."""
    if isinstance(estimator, Pipeline):
        return without_transformers(estimator.steps[-1][1])
    if isinstance(estimator, TransformedTargetRegressor):
        return with_regressor(estimator, without_transformers(estimator.regressor_))
    return estimator


def with_regressor(
    estimator: TransformedTargetRegressor, regressor: Any
) -> TransformedTargetRegressor:
    """A shallow copy with another fitted regressor."""
    wrapper = copy.copy(estimator)
    wrapper.regressor, wrapper.regressor_ = clone(regressor), regressor
    if hasattr(regressor, "feature_names_in_"):
        wrapper.feature_names_in_ = regressor.feature_names_in_
    return wrapper
