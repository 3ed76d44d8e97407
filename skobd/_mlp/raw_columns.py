"""Inputs of a network as functions of raw columns, read from fitted transformers."""

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from .._export.columns import Input
from .._sklearn_compat import input_indices

Inputs = list[Input]


def read_inputs(transformer: Any, inputs: Inputs) -> Inputs:
    """Return the outputs of a fitted transformer as functions of raw columns, or by name.

    Parameters
    ----------
    transformer : object
        Fitted transformer, "passthrough" or None.
    inputs : list of Input
        Inputs of the transformer.

    Raises
    ------
    ValueError
        If a transformer of another kind does not name its outputs.
    """
    if transformer is None or isinstance(transformer, str):
        return inputs
    check_is_fitted(transformer)
    reader = _READERS.get(type(transformer))
    if reader is None and isinstance(transformer, SelectorMixin):
        reader = _of_selector
    found = None if reader is None else reader(transformer, inputs)
    return _named(transformer, inputs) if found is None else found


def scaling_of(transformer: Any, n_columns: int) -> tuple[Any, Any] | None:
    """Return scales and offsets of the inverse of a transformer; None if it has none."""
    try:
        found = read_inputs(transformer, [Input(str(k)) for k in range(n_columns)])
    except ValueError:
        return None
    is_affine = all(
        given.source is None and given.term == Input(str(k)) for k, given in enumerate(found)
    )
    if len(found) != n_columns or not is_affine:
        return None
    scales = np.array([given.scale for given in found])
    return 1 / scales, -np.array([given.offset for given in found]) / scales


def _named(transformer: Any, inputs: Inputs) -> Inputs:
    """Return outputs that are not functions of one column each, by their names."""
    kind = type(transformer).__name__
    # A transformer that knows names refuses others.
    is_named = hasattr(transformer, "feature_names_in_")
    names = None if is_named else [given.written(3) for given in inputs]
    try:
        outputs = transformer.get_feature_names_out(names)
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"{kind} cannot be written as formulas of the columns, nor does it name its "
            "outputs (get_feature_names_out). Call export_text with the steps after it and the "
            "feature_names of its outputs, such as export_text(pipeline[-1], feature_names=...)."
        ) from error
    return [Input(str(name), source=kind) for name in outputs]


def _scaled(inputs: Inputs, scales: Any, offsets: Any) -> Inputs:
    ones = np.ones(len(inputs))
    rows = zip(inputs, ones * scales, ones * offsets, strict=True)
    return [given.scaled(float(scale), float(offset)) for given, scale, offset in rows]


def _clipped(inputs: Inputs, low: float, high: float) -> Inputs | None:
    if any(given.condition is not None for given in inputs):
        return None
    return [given.clipped(low, high) for given in inputs]


def _of_standard_scaler(scaler: StandardScaler, inputs: Inputs) -> Inputs:
    scales = 1.0 if scaler.scale_ is None else 1 / scaler.scale_
    return _scaled(inputs, scales, -scaler.mean_ * scales if scaler.with_mean else 0.0)


def _of_robust_scaler(scaler: RobustScaler, inputs: Inputs) -> Inputs:
    scales = 1 / scaler.scale_ if scaler.with_scaling else 1.0
    return _scaled(inputs, scales, -scaler.center_ * scales if scaler.with_centering else 0.0)


def _of_min_max_scaler(scaler: MinMaxScaler, inputs: Inputs) -> Inputs | None:
    scaled = _scaled(inputs, scaler.scale_, scaler.min_)
    return _clipped(scaled, *scaler.feature_range) if scaler.clip else scaled


def _of_max_abs_scaler(scaler: MaxAbsScaler, inputs: Inputs) -> Inputs | None:
    scaled = _scaled(inputs, 1 / scaler.scale_, 0.0)
    # This parameter exists since scikit-learn 1.8.
    return _clipped(scaled, -1, 1) if getattr(scaler, "clip", False) else scaled


def _of_imputer(imputer: SimpleImputer, inputs: Inputs) -> Inputs | None:
    values = list(imputer.statistics_)
    is_empty = [isinstance(value, Real) and value != value for value in values]
    marks_nan = isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)
    is_known = marks_nan and all(given.condition is None for given in inputs)
    if not is_known or (any(is_empty) and imputer.keep_empty_features):
        return None
    # Columns without any value are dropped.
    outputs = [
        given.filled(value)
        for given, value, drop in zip(inputs, values, is_empty, strict=True)
        if not drop
    ]
    if imputer.add_indicator:
        missing = [inputs[index] for index in imputer.indicator_.features_]
        if any(given.missing is not None for given in missing):
            return None
        outputs += [
            Input(given.column, condition="is missing", source=given.source) for given in missing
        ]
    return outputs


def _of_one_hot_encoder(encoder: OneHotEncoder, inputs: Inputs) -> Inputs | None:
    has_rare = any(rare is not None for rare in getattr(encoder, "infrequent_categories_", []))
    if has_rare or not all(given.is_plain for given in inputs):
        return None
    outputs: Inputs = []
    for index, (given, categories) in enumerate(zip(inputs, encoder.categories_, strict=True)):
        dropped = None if encoder.drop_idx_ is None else encoder.drop_idx_[index]
        n_values = len(categories) + (encoder.handle_unknown != "error")
        outputs += [
            replace(given, condition=f"= {_one_line(category)}", n_values=n_values)
            for k, category in enumerate(categories)
            if k != dropped
        ]
    return outputs


def _of_function(transformer: FunctionTransformer, inputs: Inputs) -> Inputs | None:
    func = transformer.func
    if func is None:
        return inputs
    # A ufunc of one argument is a function of each number alone.
    is_ufunc = isinstance(func, np.ufunc) and (func.nin, func.nout) == (1, 1)
    is_column = [given.is_plain and given.missing is None for given in inputs]
    if not is_ufunc or transformer.kw_args or not all(is_column):
        return None
    return [replace(given, column=f"{func.__name__}({given.column})") for given in inputs]


def _of_selector(selector: Any, inputs: Inputs) -> Inputs:
    return [inputs[index] for index in selector.get_support(indices=True)]


def _of_pipeline(pipeline: Pipeline, inputs: Inputs) -> Inputs:
    for _, step in pipeline.steps:
        inputs = read_inputs(step, inputs)
    return inputs


def _part(name: str, step: Any, inputs: Inputs, weight: float) -> Inputs:
    """Return the outputs of a part of a composition, prefixed if only the part names them."""
    return [
        (
            given
            if given.source is None or given in inputs
            else replace(given, column=f"{name}__{given.column}")
        ).scaled(weight, 0.0)
        for given in read_inputs(step, inputs)
    ]


def _of_column_transformer(transformer: ColumnTransformer, inputs: Inputs) -> Inputs:
    outputs: dict[int, Input] = {}
    weights = transformer.transformer_weights or {}
    for name, step, _ in transformer.transformers_:
        place = transformer.output_indices_[name]
        if place.stop > place.start:
            own = [inputs[index] for index in input_indices(transformer, name)]
            part = _part(name, step, own, weights.get(name, 1.0))
            outputs.update(enumerate(part, start=place.start))
    return [outputs[index] for index in sorted(outputs)]


def _of_union(union: FeatureUnion, inputs: Inputs) -> Inputs:
    weights = union.transformer_weights or {}
    return [
        given
        for name, step in union.transformer_list
        if not (isinstance(step, str) and step == "drop")
        for given in _part(name, step, inputs, weights.get(name, 1.0))
    ]


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())


_READERS: dict[type, Callable[[Any, Inputs], Inputs | None]] = {
    StandardScaler: _of_standard_scaler,
    MinMaxScaler: _of_min_max_scaler,
    MaxAbsScaler: _of_max_abs_scaler,
    RobustScaler: _of_robust_scaler,
    SimpleImputer: _of_imputer,
    OneHotEncoder: _of_one_hot_encoder,
    FunctionTransformer: _of_function,
    ColumnTransformer: _of_column_transformer,
    Pipeline: _of_pipeline,
    FeatureUnion: _of_union,
    FrozenEstimator: lambda frozen, inputs: read_inputs(frozen.estimator, inputs),
}
