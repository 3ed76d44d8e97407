"""Inputs of a network in terms of raw columns: fitted transformers, read from front to back.

Every transformer that can be written is a set of functions of one raw column each. There are two
kinds of them, `Affine` and `Lookup`, and both stay what they are under whatever follows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
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
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from ..._sklearn_compat import input_indices
from .specification import Affine, FloatArray, Indicator, Input

# Whole numbers up to this have single precision.
_LARGEST_CODE = 2**24


@dataclass(frozen=True)
class Lookup:
    """A function of one raw column that is looked up; ``default`` for codes not listed.

    A missing value counts as the code ``missing``, or as a code not listed where that is None.
    """

    column: int
    values: tuple[tuple[int, float], ...]
    default: float
    missing: int | None = None


Column = Affine | Lookup
Columns = list[Column]


def read_columns(transformer: Any, columns: Columns) -> Columns:
    """Outputs of a fitted transformer as functions of raw columns.

    Parameters
    ----------
    transformer : object
        Fitted.
    columns : list of Affine or Lookup
        Its inputs as functions of raw columns.

    Raises
    ------
    TypeError
        For a transformer that cannot be written in C.
    ValueError
        For a setting of one, or categories, that cannot.
    """
    if transformer is None or (isinstance(transformer, str) and transformer == "passthrough"):
        return columns
    reader = _READERS.get(type(transformer))
    if reader is None and isinstance(transformer, SelectorMixin):
        reader = _of_selector
    if reader is None:
        known = ", ".join(kind.__name__ for kind in _READERS)
        raise TypeError(
            f"{type(transformer).__name__} cannot be written in C. Known are {known} and feature "
            "selectors. Convert what comes after it, such as to_c(pipeline[-1]), and compute it "
            "on the device by other code, or leave it out of the model."
        )
    check_is_fitted(transformer)
    return reader(transformer, columns)


def expand(columns: Columns, weights: FloatArray, biases: FloatArray) -> tuple[Any, Any, Any]:
    """Inputs, weights and biases of the same layer, lookups written as sums of indicators.

    Parameters
    ----------
    columns : list of Affine or Lookup
        What the inputs of the layer are.
    weights : ndarray of shape (fan_in, fan_out)
    biases : ndarray of shape (fan_out,)
    """
    inputs: list[Input] = []
    rows, biases = [], biases.copy()
    for column, row in zip(columns, weights, strict=True):
        if not row.any():
            continue
        if isinstance(column, Affine):
            inputs.append(column)
            rows.append(row)
            continue
        biases += column.default * row
        for code, value in column.values:
            if value != column.default:
                inputs.append(Indicator(column.column, code, code == column.missing))
                rows.append((value - column.default) * row)
    return tuple(inputs), np.array(rows).reshape(len(rows), len(biases)), biases


def _scaled(column: Column, scale: float, offset: float) -> Column:
    """``scale * column + offset``."""
    if isinstance(column, Affine):
        return replace(column, scale=scale * column.scale, offset=scale * column.offset + offset)
    values = tuple((code, scale * value + offset) for code, value in column.values)
    return replace(column, values=values, default=scale * column.default + offset)


def _all_scaled(columns: Columns, scales: Any, offsets: Any) -> Columns:
    ones = np.ones(len(columns))
    pairs = zip(columns, ones * scales, ones * offsets, strict=True)
    return [_scaled(column, float(scale), float(offset)) for column, scale, offset in pairs]


def _clipped(column: Column, low: float, high: float) -> Column:
    """``clip(column, low, high)``."""
    if isinstance(column, Lookup):
        values = tuple((code, float(np.clip(value, low, high))) for code, value in column.values)
        return replace(column, values=values, default=float(np.clip(column.default, low, high)))
    ends = sorted((end - column.offset) / column.scale for end in (low, high))
    # The narrower of two ranges; of ranges that do not meet the one end that is nearest.
    bounds = [float(np.clip(bound, ends[0], ends[1])) for bound in (column.low, column.high)]
    return replace(column, low=bounds[0], high=bounds[1])


def _of_standard_scaler(scaler: StandardScaler, columns: Columns) -> Columns:
    scales = 1.0 if scaler.scale_ is None else 1 / scaler.scale_
    means = scaler.mean_ if scaler.with_mean else 0.0
    return _all_scaled(columns, scales, -means * scales)


def _of_robust_scaler(scaler: RobustScaler, columns: Columns) -> Columns:
    scales = 1 / scaler.scale_ if scaler.with_scaling else 1.0
    centres = scaler.center_ if scaler.with_centering else 0.0
    return _all_scaled(columns, scales, -centres * scales)


def _of_min_max_scaler(scaler: MinMaxScaler, columns: Columns) -> Columns:
    columns = _all_scaled(columns, scaler.scale_, scaler.min_)
    if scaler.clip:
        columns = [_clipped(column, *scaler.feature_range) for column in columns]
    return columns


def _of_max_abs_scaler(scaler: MaxAbsScaler, columns: Columns) -> Columns:
    columns = _all_scaled(columns, 1 / scaler.scale_, 0.0)
    if getattr(scaler, "clip", False):  # since scikit-learn 1.8
        columns = [_clipped(column, -1, 1) for column in columns]
    return columns


def _of_imputer(imputer: SimpleImputer, columns: Columns) -> Columns:
    if not (isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)):
        raise ValueError(
            f"SimpleImputer(missing_values={imputer.missing_values!r}) cannot be written in C, "
            "which knows NaN as the only mark of a missing value: mark them by NaN."
        )
    if imputer.add_indicator:
        raise ValueError(
            "SimpleImputer(add_indicator=True) cannot be written in C: impute without indicators."
        )
    filled = []
    for column, value in zip(columns, imputer.statistics_, strict=True):
        if not isinstance(value, int | float | np.number):
            raise ValueError(
                f"SimpleImputer fills in {value!r}, which cannot be written in C: only numbers can."
            )
        if np.isnan(value):
            if imputer.keep_empty_features:
                filled.append(column)
            continue  # scikit-learn drops columns that had no value at all
        if isinstance(column, Affine) and column.missing is None:
            column = replace(column, missing=float((value - column.offset) / column.scale))
        filled.append(column)
    return filled


def _codes(encoder: Any, column: Column, categories: Any) -> list[int]:
    """The categories that an encoder has for a column, as whole numbers."""
    if not isinstance(column, Affine) or replace(column, missing=None) != Affine(column.column):
        raise ValueError(
            f"{type(encoder).__name__} after another transformer than SimpleImputer cannot be "
            "written in C: let it be the first that sees its columns."
        )
    name = f"{type(encoder).__name__} of column {column.column}"
    values = np.asarray(categories)
    if values.dtype.kind == "O" and all(isinstance(v, int | float | np.number) for v in values):
        values = values.astype(float)
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} has the categories {values[:3].tolist()}, but C code reads numbers: encode "
            "them as whole numbers before fit, and on the device alike."
        )
    with np.errstate(invalid="ignore"):
        is_code = (values == np.rint(values)) & (np.abs(values.astype(float)) <= _LARGEST_CODE)
    if not is_code.all():
        raise ValueError(
            f"{name} has the category {values[~is_code][0]!s}, but C code compares whole numbers "
            f"up to {_LARGEST_CODE:,}: encode categories as such before fit."
        )
    return [int(value) for value in values]


def _lookup(column: Column, values: Any, default: float) -> Lookup:
    """A lookup of a column that `_codes` has accepted."""
    missing: float | None = getattr(column, "missing", None)
    code = int(missing) if missing is not None and missing.is_integer() else None
    return Lookup(column.column, tuple(values), default, code)


def _of_one_hot_encoder(encoder: OneHotEncoder, columns: Columns) -> Columns:
    outputs: Columns = []
    infrequent = getattr(encoder, "infrequent_categories_", [None] * len(columns))
    for index, column in enumerate(columns):
        codes = _codes(encoder, column, encoder.categories_[index])
        rare = [] if infrequent[index] is None else [int(code) for code in infrequent[index]]
        frequent = [code for code in codes if code not in rare]
        own: Columns = [_lookup(column, [(code, 1.0)], 0.0) for code in frequent]
        if rare and encoder.handle_unknown in ("infrequent_if_exist", "warn"):
            own.append(_lookup(column, [(code, 0.0) for code in frequent], 1.0))
        elif rare:
            own.append(_lookup(column, [(code, 1.0) for code in rare], 0.0))
        dropped = None if encoder.drop_idx_ is None else encoder.drop_idx_[index]
        if dropped is not None:
            # The index counts all categories, and a rare one stands for all that are rare.
            code = codes[dropped]
            del own[len(frequent) if code in rare else frequent.index(code)]
        outputs += own
    return outputs


def _of_ordinal_encoder(encoder: OrdinalEncoder, columns: Columns) -> Columns:
    if any(rare is not None for rare in getattr(encoder, "infrequent_categories_", [])):
        raise ValueError(
            "OrdinalEncoder with infrequent categories cannot be written in C: set neither "
            "min_frequency nor max_categories."
        )
    outputs: Columns = []
    for column, categories in zip(columns, encoder.categories_, strict=True):
        codes = _codes(encoder, column, categories)
        knows_unknown = encoder.handle_unknown == "use_encoded_value"
        unknown = float(encoder.unknown_value) if knows_unknown else -1.0
        if np.isnan(unknown):
            raise ValueError(
                "OrdinalEncoder(unknown_value=nan) cannot be written in C: give a number."
            )
        if not knows_unknown and codes == list(range(codes[0], codes[0] + len(codes))):
            outputs.append(_scaled(column, 1.0, -float(codes[0])))
        else:
            ranks = [(code, float(rank)) for rank, code in enumerate(codes)]
            outputs.append(_lookup(column, ranks, unknown))
    return outputs


def _of_function(transformer: FunctionTransformer, columns: Columns) -> Columns:
    if transformer.func is not None:
        raise ValueError(
            f"FunctionTransformer(func={transformer.func!r}) cannot be written in C. Convert what "
            "comes after it, and compute the function on the device by other code."
        )
    return columns


def _of_selector(selector: Any, columns: Columns) -> Columns:
    return [columns[index] for index in selector.get_support(indices=True)]


def _of_pipeline(pipeline: Pipeline, columns: Columns) -> Columns:
    for _, step in pipeline.steps:
        columns = read_columns(step, columns)
    return columns


def _check_unweighted(transformer: Any) -> None:
    if any(weight != 1 for weight in (transformer.transformer_weights or {}).values()):
        raise ValueError(
            f"{type(transformer).__name__}(transformer_weights=...) cannot be written in C: leave "
            "them out."
        )


def _of_column_transformer(transformer: ColumnTransformer, columns: Columns) -> Columns:
    _check_unweighted(transformer)
    outputs: dict[int, Column] = {}
    for name, step, _ in transformer.transformers_:
        place = transformer.output_indices_[name]
        if place.stop > place.start:
            own = [columns[index] for index in input_indices(transformer, name)]
            outputs.update(enumerate(read_columns(step, own), start=place.start))
    return [outputs[index] for index in sorted(outputs)]


def _of_union(union: FeatureUnion, columns: Columns) -> Columns:
    _check_unweighted(union)
    steps = [step for _, step in union.transformer_list if not _is_dropped(step)]
    return [column for step in steps for column in read_columns(step, columns)]


def _is_dropped(step: Any) -> bool:
    return isinstance(step, str) and step == "drop"


_READERS: dict[type, Callable[[Any, Columns], Columns]] = {
    StandardScaler: _of_standard_scaler,
    MinMaxScaler: _of_min_max_scaler,
    MaxAbsScaler: _of_max_abs_scaler,
    RobustScaler: _of_robust_scaler,
    SimpleImputer: _of_imputer,
    OneHotEncoder: _of_one_hot_encoder,
    OrdinalEncoder: _of_ordinal_encoder,
    FunctionTransformer: _of_function,
    ColumnTransformer: _of_column_transformer,
    Pipeline: _of_pipeline,
    FeatureUnion: _of_union,
    FrozenEstimator: lambda frozen, columns: read_columns(frozen.estimator, columns),
}
