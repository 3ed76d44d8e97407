"""Columns of a table from which a fitted transformer computes its outputs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, OneToOneFeatureMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    TargetEncoder,
)
from sklearn.utils.validation import check_is_fitted

from .._net.network import Indices
from .._sklearn_compat import _get_feature_names, _num_features, input_indices
from .names import default_names, doubled_names
from .pipelines import steps_before


class UnknownSourceError(ValueError):
    """Error for an output of a transformer that does not come from one known column."""


def feature_groups_of(transformer: Any) -> dict[str, Any]:
    """Group the outputs of a fitted transformer that come from the same column.

    Given to the estimators as ``feature_groups``, they make ``granularity="feature"`` delete whole
    columns of the original table instead of single columns that encode them.

    Parameters
    ----------
    transformer : object
        Fitted transformer: `ColumnTransformer`, `Pipeline`, `FeatureUnion`, `FrozenEstimator`,
        `OneHotEncoder` (its infrequent and dropped categories, too), `TargetEncoder`,
        `KBinsDiscretizer`, `SplineTransformer`, a `FunctionTransformer` of a NumPy ufunc, skrub's
        ``TableVectorizer``, or any transformer whose outputs have the names of its inputs, such
        as scalers, imputers and selectors.

    Returns
    -------
    groups : dict of list of int
        Indices of the outputs that come from each column, by the column's name, in the order of
        the table; columns without outputs are left out. Names are those seen in the transformer's
        ``fit``, or "x0", "x1", ... if there were none.

    Raises
    ------
    NotFittedError
        If the transformer is not fitted.
    ValueError
        If an output comes from several columns (as in `PCA`), or from an unknown one, or if
        columns have equal names.

    See Also
    --------
    OBDMLPClassifier : Deletes whole groups with ``granularity="feature"``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.compose import make_column_transformer
    >>> from sklearn.preprocessing import OneHotEncoder, StandardScaler
    >>> from skobd import feature_groups_of
    >>> table = np.array([[0.5, 1, 20], [1.5, 2, 30], [1.0, 3, 20]])
    >>> columns = make_column_transformer(
    ...     (StandardScaler(), [0]), (OneHotEncoder(), [1, 2])
    ... ).fit(table)
    >>> feature_groups_of(columns)
    {'x0': [0], 'x1': [1, 2, 3], 'x2': [4, 5]}
    """
    check_is_fitted(transformer)
    first = first_part(transformer)
    if getattr(first, "n_features_in_", None) is None:
        raise ValueError(
            f"{type(first).__name__} has no n_features_in_: it is not fitted, or what it takes is "
            "no table of columns."
        )
    names = _input_names(first, first.n_features_in_)
    if doubled := doubled_names(names):
        raise ValueError(f"transformer has several columns named {doubled[0]!r}; rename them.")
    try:
        sources = output_sources(transformer, len(names))
    except UnknownSourceError as error:
        raise ValueError(f"{error} Give feature_groups as lists of indices.") from None
    return {
        str(name): np.flatnonzero(sources == index).tolist()
        for index, name in enumerate(names)
        if (sources == index).any()
    }


def column_of_inputs(estimator: Any, n_columns: int) -> Indices:
    """Return the index of the column of ``X`` from which each input of the network comes.

    Parameters
    ----------
    estimator : object
        Pipelines and target transformations around a network, with fitted transformers.
    n_columns : int
        Number of columns of ``X``.

    Raises
    ------
    UnknownSourceError
        If an input comes from several columns, or from an unknown one.
    """
    columns = np.arange(n_columns)
    for steps in steps_before(estimator):
        columns = columns[output_sources(steps, len(columns))]
    return columns


def table_columns(steps: Sequence[Any]) -> np.ndarray:
    """Return the names of the columns that the first of the fitted steps takes, or x0, x1, ..."""
    fronts = (first_part(step) for step in steps)
    first = next(front for front in fronts if getattr(front, "n_features_in_", None) is not None)
    return _input_names(first, first.n_features_in_)


def check_one_to_one(estimator: Any, X: Any, arrived: Any) -> None:
    """Refuse transformers that do not pass each column of ``X`` on to one input of the network.

    Parameters
    ----------
    estimator : object
        As in `column_of_inputs`.
    X, arrived : {array-like, sparse matrix}
        The data as given, and as the transformers return them.
    """
    n_columns, n_inputs = _num_features(X), _num_features(arrived)
    wanted = "its transformers must keep columns one to one, in any order."
    if n_inputs != n_columns:
        raise ValueError(
            f"estimator makes {n_inputs} columns of the {n_columns} of X before they reach the "
            f"network; {wanted}"
        )
    for steps in steps_before(estimator)[:1]:
        given, seen = _get_feature_names(X), getattr(first_part(steps), "feature_names_in_", None)
        # A frozen ColumnTransformer takes columns by name, in any order.
        if given is not None and seen is not None and not np.array_equal(given, seen):
            raise ValueError(
                "estimator has transformers that were fitted to other columns than those of X, or "
                f"in another order: {list(seen)}."
            )
    try:
        columns = column_of_inputs(estimator, n_columns)
    except UnknownSourceError as error:
        raise ValueError(f"estimator: {error} Of a pipeline, {wanted}") from None
    if not np.array_equal(np.sort(columns), np.arange(n_columns)):
        missing = np.setdiff1d(np.arange(n_columns), columns).tolist()
        raise ValueError(
            f"estimator makes {len(columns)} inputs of the network of columns "
            f"{columns.tolist()} of X and none of {missing}; {wanted}"
        )


def first_part(transformer: Any) -> Any:
    """Return the part of pipelines and unions that was fitted to the table itself."""
    while isinstance(transformer, Pipeline | FeatureUnion):
        is_pipeline = isinstance(transformer, Pipeline)
        inner = parts(transformer.steps if is_pipeline else transformer.transformer_list)
        if not inner:
            return transformer
        transformer = inner[0]
    return transformer


def parts(named: Sequence[tuple[str, Any]]) -> list[Any]:
    """Return the transformers among steps, without "passthrough", "drop" and None."""
    return [step for _, step in named if step is not None and not isinstance(step, str)]


def output_sources(transformer: Any, n_inputs: int) -> Indices:
    """Return the input from which each output comes, (n_outputs,); a string is the identity."""
    if transformer is None or isinstance(transformer, str):
        return np.arange(n_inputs)
    for kind, sources_of in _SOURCES.items():
        if isinstance(transformer, kind):
            return sources_of(transformer, n_inputs)
    return _of_named(transformer, n_inputs)


def _of_pipeline(pipeline: Pipeline, n_inputs: int) -> Indices:
    sources = np.arange(n_inputs)
    for step in parts(pipeline.steps):
        sources = sources[output_sources(step, len(sources))]
    return sources


def _of_column_transformer(transformer: ColumnTransformer, n_inputs: int) -> Indices:
    places = transformer.output_indices_
    sources = np.empty(max((place.stop for place in places.values()), default=0), dtype=np.intp)
    for name, step, _ in transformer.transformers_:
        place, inputs = places[name], np.asarray(input_indices(transformer, name), dtype=np.intp)
        if place.stop > place.start:
            sources[place] = inputs[output_sources(step, len(inputs))]
    return sources


def _of_union(union: FeatureUnion, n_inputs: int) -> Indices:
    steps = [step for _, step in union.transformer_list if step != "drop"]
    return np.concatenate([output_sources(step, n_inputs) for step in steps])


def _of_one_hot_encoder(encoder: OneHotEncoder, n_inputs: int) -> Indices:
    counts = np.array([len(categories) for categories in encoder.categories_])
    # All infrequent categories of a column share one output.
    for index, infrequent in enumerate(getattr(encoder, "infrequent_categories_", [])):
        counts[index] -= 0 if infrequent is None else len(infrequent) - 1
    if encoder.drop_idx_ is not None:
        counts -= [index is not None for index in encoder.drop_idx_]
    return np.repeat(np.arange(n_inputs), counts)


def _of_discretizer(discretizer: KBinsDiscretizer, n_inputs: int) -> Indices:
    is_ordinal = discretizer.encode == "ordinal"
    return np.repeat(np.arange(n_inputs), 1 if is_ordinal else discretizer.n_bins_)


def _of_splines(splines: SplineTransformer, n_inputs: int) -> Indices:
    return np.repeat(np.arange(n_inputs), splines.n_features_out_ // n_inputs)


def _of_target_encoder(encoder: TargetEncoder, n_inputs: int) -> Indices:
    # With more than two classes, every column has an output for each class.
    return np.repeat(np.arange(n_inputs), len(encoder.encodings_) // n_inputs)


def _of_polynomial(polynomial: PolynomialFeatures, n_inputs: int) -> Indices:
    if (np.count_nonzero(polynomial.powers_, axis=1) != 1).any():
        raise UnknownSourceError("PolynomialFeatures makes products of columns, or a constant.")
    return polynomial.powers_.argmax(axis=1)


def _of_function(transformer: FunctionTransformer, n_inputs: int) -> Indices:
    func, names_out = transformer.func, transformer.feature_names_out
    # A ufunc of one argument is a function of each number alone.
    is_ufunc = isinstance(func, np.ufunc) and (func.nin, func.nout) == (1, 1)
    if names_out == "one-to-one" or (names_out is None and (func is None or is_ufunc)):
        return np.arange(n_inputs)
    if names_out is None:
        raise UnknownSourceError(
            f"FunctionTransformer of {func!r} does not say which outputs it has; if it keeps "
            "columns in their order, say so by feature_names_out='one-to-one'."
        )
    return _of_named(transformer, n_inputs)


def _of_one_to_one(transformer: OneToOneFeatureMixin, n_inputs: int) -> Indices:
    names_out = "get_feature_names_out"
    if getattr(type(transformer), names_out) is getattr(OneToOneFeatureMixin, names_out):
        return np.arange(n_inputs)
    return _of_named(transformer, n_inputs)


def _of_mixture(transformer: Any, n_inputs: int) -> Indices:
    raise UnknownSourceError(f"{type(transformer).__name__} makes its outputs of several columns.")


def _of_named(transformer: Any, n_inputs: int) -> Indices:
    """Find the inputs by the names of the outputs, or of the indicators of imputers."""
    name = type(transformer).__name__
    if not hasattr(transformer, "get_feature_names_out"):
        raise UnknownSourceError(
            f"{name} has no get_feature_names_out, which says which outputs it has; if it keeps "
            "columns in their order, let it inherit from sklearn.base.OneToOneFeatureMixin."
        )
    inputs = _input_names(transformer, n_inputs)
    outputs = transformer.get_feature_names_out(inputs)
    if doubled := doubled_names(inputs) or doubled_names(outputs):
        raise UnknownSourceError(f"{name} has several columns named {doubled[0]!r}.")
    places = {input_name: place for place, input_name in enumerate(inputs)}
    # skrub's TableVectorizer records the inputs of its outputs.
    input_of, sources = getattr(transformer, "output_to_input_", {}), []
    for output in outputs:
        called = input_of.get(output, str(output).removeprefix("missingindicator_"))
        source = places.get(output, places.get(called))
        if source is None:
            raise UnknownSourceError(
                f"Which column the output {str(output)!r} of {name} is made of, or of which "
                "ones, cannot be told."
            )
        sources.append(source)
    return np.array(sources, dtype=np.intp)


def _input_names(transformer: Any, n_inputs: int) -> np.ndarray:
    return getattr(transformer, "feature_names_in_", default_names(n_inputs))


# The first class of which a transformer is an instance decides.
_SOURCES: dict[type, Callable[[Any, int], Indices]] = {
    FrozenEstimator: lambda frozen, n_inputs: output_sources(frozen.estimator, n_inputs),
    Pipeline: _of_pipeline,
    ColumnTransformer: _of_column_transformer,
    FeatureUnion: _of_union,
    OneHotEncoder: _of_one_hot_encoder,
    TargetEncoder: _of_target_encoder,
    KBinsDiscretizer: _of_discretizer,
    SplineTransformer: _of_splines,
    PolynomialFeatures: _of_polynomial,
    FunctionTransformer: _of_function,
    MissingIndicator: lambda indicator, n_inputs: indicator.features_,
    SelectorMixin: lambda selector, n_inputs: selector.get_support(indices=True),
    OneToOneFeatureMixin: _of_one_to_one,
    ClassNamePrefixFeaturesOutMixin: _of_mixture,
}
