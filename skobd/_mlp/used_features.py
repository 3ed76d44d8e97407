"""Fitted models cut down to the columns that they use."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from .._net.compaction import at_least_one
from .._net.network import Indices
from .._sklearn_compat import input_indices, with_parts, without_callback_state
from .column_sources import output_sources, table_columns
from .pipelines import unwrap, with_regressor


def used_features_only(model: Any) -> Any:
    """Make a model that takes only the columns it uses, and predicts the same.

    The network loses its dead hidden units and inputs, as by ``compact(inputs=True)``, and the
    transformers before it lose the columns that are no longer used. The new model can be
    saved, converted to ONNX and written in C like any other.

    Parameters
    ----------
    model : object
        Fitted `OBDMLPClassifier` or `OBDMLPRegressor`, a `Pipeline` that ends in one,
        `TransformedTargetRegressor`, or a search, whose ``best_estimator_`` is taken. The
        supported transformers are `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler`, `RobustScaler`,
        `PowerTransformer`, `SimpleImputer`, `OneHotEncoder`, `OrdinalEncoder`, a
        `FunctionTransformer` of None or a NumPy ufunc, feature selectors, and
        `ColumnTransformer`, `FeatureUnion`, `FrozenEstimator` and `Pipeline` of these.

    Returns
    -------
    smaller : object
        Model independent of ``model``. Its columns are those of ``model`` that predictions depend
        on, in their order, or the first if there is none. ``smaller.feature_names_in_`` has their
        names, if they have any. ``smaller.predict(X[smaller.feature_names_in_])``
        is ``model.predict(X)`` up to rounding.

    Raises
    ------
    NotFittedError
        If ``model`` is not fitted.
    TypeError
        If there is no OBD estimator in ``model``, or a transformer that cannot be cut.
    ValueError
        If an input of the network comes from several columns, or from an unknown one.

    See Also
    --------
    OBDMLPClassifier.compact : Makes only the network smaller.
    to_c : Has a parameter of this name.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skobd import OBDMLPClassifier, used_features_only
    >>> X, y = load_iris(as_frame=True, return_X_y=True)
    >>> mlp = OBDMLPClassifier(
    ...     (5,), solver="lbfgs", granularity="feature", prune_fraction=0.5, random_state=0
    ... )
    >>> model = make_pipeline(StandardScaler(), mlp).fit(X, y)
    >>> smaller = used_features_only(model)
    >>> smaller.feature_names_in_.tolist()
    ['petal length (cm)', 'petal width (cm)']
    >>> bool((smaller.predict(X[smaller.feature_names_in_]) == model.predict(X)).all())
    True
    """
    transformers, mlp = unwrap(model, "used_features_only")
    n_columns = len(table_columns([*transformers, mlp]))
    columns = np.arange(n_columns)
    for steps in transformers:
        columns = columns[output_sources(steps, len(columns))]
    is_used = np.isin(np.arange(n_columns), columns[mlp.used_features_])
    return copy.deepcopy(_cut_model(model, n_columns, at_least_one(is_used)))


def _cut_model(model: Any, n_columns: int, kept: Indices) -> Any:
    """Return a model of only some of its columns; for a search, of the best estimator."""
    if isinstance(model, Pipeline):
        smaller, (name, last) = without_callback_state(copy.copy(model)), model.steps[-1]
        steps, n_inputs, kept = _cut_steps(model.steps[:-1], n_columns, kept)
        smaller.steps = [*steps, (name, _cut_model(last, n_inputs, kept))]
        return smaller
    if isinstance(model, TransformedTargetRegressor):
        return with_regressor(model, _cut_model(model.regressor_, n_columns, kept))
    if isinstance(model, FrozenEstimator):
        return _cut_model(model.estimator, n_columns, kept)
    if hasattr(model, "best_estimator_"):
        return _cut_model(model.best_estimator_, n_columns, kept)
    return model._compact(kept)


def _cut_steps(
    steps: list[tuple[str, Any]], n_columns: int, kept: Indices
) -> tuple[list[tuple[str, Any]], int, Indices]:
    """Return the steps cut to some columns, the number of their outputs, and those kept."""
    smaller = []
    for name, step in steps:
        if step is not None and not isinstance(step, str):
            sources = output_sources(step, n_columns)
            step = cut(step, n_columns, kept)
            n_columns, kept = len(sources), np.flatnonzero(np.isin(sources, kept))
        smaller.append((name, step))
    return smaller, n_columns, kept


def cut(transformer: Any, n_columns: int, kept: Indices) -> Any:
    """Return a fitted transformer of only some of its columns.

    Parameters
    ----------
    transformer : object
        Fitted transformer, "passthrough", "drop" or None. Each output comes from one column.
    n_columns : int
        Number of its columns.
    kept : ndarray of int of shape (n_kept,)
        Indices of the columns, ascending.

    Raises
    ------
    TypeError
        For a transformer that cannot be cut.
    """
    if transformer is None or isinstance(transformer, str):
        return transformer
    cutter = _CUTTERS.get(type(transformer))
    if cutter is None and isinstance(transformer, SelectorMixin):
        cutter = _of_selector
    if cutter is None:
        known = ", ".join(kind.__name__ for kind in _CUTTERS)
        raise TypeError(
            f"{type(transformer).__name__} cannot be cut to fewer columns. Known are {known} and "
            "feature selectors."
        )
    return cutter(transformer, n_columns, kept)


def _of_columns(transformer: Any, n_columns: int, kept: Indices) -> Any:
    """Return a transformer that has arrays and lists with an entry for each column."""
    smaller = copy.copy(transformer)
    for name in vars(transformer).keys() - transformer.get_params(deep=False).keys():
        value = getattr(transformer, name)
        if isinstance(value, np.ndarray) and value.shape[:1] == (n_columns,):
            setattr(smaller, name, value[kept])
        elif isinstance(value, list) and len(value) == n_columns:
            setattr(smaller, name, [value[column] for column in kept])
    smaller.n_features_in_ = len(kept)
    return smaller


def _of_power_transformer(transformer: PowerTransformer, n_columns: int, kept: Indices) -> Any:
    smaller = _of_columns(transformer, n_columns, kept)
    if transformer.standardize:
        smaller._scaler = _of_columns(transformer._scaler, n_columns, kept)
    return smaller


def _of_imputer(imputer: SimpleImputer, n_columns: int, kept: Indices) -> Any:
    if imputer.add_indicator:
        raise TypeError(
            "SimpleImputer(add_indicator=True) cannot be cut to fewer columns: use a FeatureUnion "
            "of SimpleImputer and MissingIndicator."
        )
    return _of_columns(imputer, n_columns, kept)


def _of_ordinal_encoder(encoder: OrdinalEncoder, n_columns: int, kept: Indices) -> Any:
    smaller, missing = _of_columns(encoder, n_columns, kept), encoder._missing_indices
    smaller._missing_indices = {k: missing[c] for k, c in enumerate(kept) if c in missing}
    return smaller


def _of_function(transformer: FunctionTransformer, n_columns: int, kept: Indices) -> Any:
    func = transformer.func
    # A ufunc of one argument is a function of each number alone.
    is_ufunc = isinstance(func, np.ufunc) and (func.nin, func.nout) == (1, 1)
    if not (func is None or is_ufunc) or transformer.kw_args:
        raise TypeError(
            f"FunctionTransformer(func={func!r}) cannot be cut to fewer columns: only that of "
            "None, or of a NumPy ufunc, can."
        )
    return _of_columns(transformer, n_columns, kept)


def _of_selector(selector: Any, n_columns: int, kept: Indices) -> Any:
    """Return the identity, as every column that is kept is selected."""
    if not selector.get_support()[kept].all():
        raise TypeError(
            f"{type(selector).__name__} cannot be cut to columns that it selects and others that "
            "it does not."
        )
    identity = StandardScaler(with_mean=False, with_std=False)
    identity.mean_ = identity.var_ = identity.scale_ = None
    if hasattr(selector, "feature_names_in_"):
        identity.feature_names_in_ = selector.feature_names_in_
    return _of_columns(identity, n_columns, kept)


def _of_pipeline(pipeline: Pipeline, n_columns: int, kept: Indices) -> Any:
    smaller = copy.copy(pipeline)
    smaller.steps, *_ = _cut_steps(pipeline.steps, n_columns, kept)
    return smaller


def _of_column_transformer(transformer: ColumnTransformer, n_columns: int, kept: Indices) -> Any:
    parts: list[tuple[str, Any, Any]] = []
    inputs: dict[str, list[int]] = {}
    places: dict[str, slice] = {}
    end = 0
    for name, step, columns in transformer.transformers_:
        own = input_indices(transformer, name)
        place = transformer.output_indices_[name]
        inside = np.flatnonzero(np.isin(own, kept))
        if place.stop == place.start or not len(inside):
            continue
        smaller = cut(step, len(own), inside)
        n_outputs = np.isin(output_sources(step, len(own)), inside).sum()
        inputs[name] = np.searchsorted(kept, np.asarray(own)[inside]).tolist()
        places[name] = slice(end, end := end + int(n_outputs))
        is_named = isinstance(columns, list) and all(isinstance(c, str) for c in columns)
        parts.append((name, smaller, [columns[k] for k in inside] if is_named else inputs[name]))
    return with_parts(_of_columns(transformer, n_columns, kept), parts, inputs, places)


def _of_union(union: FeatureUnion, n_columns: int, kept: Indices) -> Any:
    smaller = copy.copy(union)
    smaller.transformer_list = [
        (name, cut(step, n_columns, kept)) for name, step in union.transformer_list
    ]
    return smaller


_CUTTERS: dict[type, Callable[[Any, int, Indices], Any]] = {
    StandardScaler: _of_columns,
    MinMaxScaler: _of_columns,
    MaxAbsScaler: _of_columns,
    RobustScaler: _of_columns,
    PowerTransformer: _of_power_transformer,
    SimpleImputer: _of_imputer,
    OneHotEncoder: _of_columns,
    OrdinalEncoder: _of_ordinal_encoder,
    FunctionTransformer: _of_function,
    ColumnTransformer: _of_column_transformer,
    Pipeline: _of_pipeline,
    FeatureUnion: _of_union,
    FrozenEstimator: lambda frozen, *columns: cut(frozen.estimator, *columns),
}
