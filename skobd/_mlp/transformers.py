"""Which columns of a table the outputs of a fitted transformer are made of."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, SplineTransformer
from sklearn.utils.validation import check_is_fitted

from .._net.network import Indices
from .._sklearn_compat import input_indices
from .names import default_names


def feature_groups_of(transformer: Any) -> dict[str, Any]:
    """Group the outputs of a fitted transformer that come from the same column.

    For the parameter ``feature_groups`` of the estimators: whole columns of the original table are
    then deleted, not single ones of the columns that encode them.

    Parameters
    ----------
    transformer : object
        Fitted. Known are `ColumnTransformer`, `Pipeline`, `FeatureUnion`, `FrozenEstimator`,
        `OneHotEncoder` (its infrequent and dropped categories, too), `KBinsDiscretizer`,
        `SplineTransformer`, and every transformer whose outputs are named as its inputs are:
        scalers, imputers, selectors.

    Returns
    -------
    groups : dict of list of int
        Indices of the outputs made of each column, by the column's name, in the order of the
        table; columns of which nothing is made are left out. Names are those seen in the
        transformer's ``fit``, or "x0", "x1", ... where there were none.

    Raises
    ------
    NotFittedError
        If the transformer is not fitted.
    ValueError
        If an output is made of several columns (as in `PCA`), or of an unknown one.

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
    names = _input_names(transformer, transformer.n_features_in_)
    sources = _sources(transformer, len(names))
    return {
        str(name): np.flatnonzero(sources == index).tolist()
        for index, name in enumerate(names)
        if (sources == index).any()
    }


def _sources(transformer: Any, n_inputs: int) -> Indices:
    """The input that each output is made of, shape (n_outputs,)."""
    for kind, sources_of in _SOURCES.items():
        if isinstance(transformer, kind):
            return sources_of(transformer, n_inputs)
    return _of_named(transformer, n_inputs)


def _of_pipeline(pipeline: Pipeline, n_inputs: int) -> Indices:
    sources = np.arange(n_inputs)
    for _, step in pipeline.steps:
        if step is not None and not isinstance(step, str):
            sources = sources[_sources(step, len(sources))]
    return sources


def _of_column_transformer(transformer: ColumnTransformer, n_inputs: int) -> Indices:
    places = transformer.output_indices_
    sources = np.empty(max((place.stop for place in places.values()), default=0), dtype=np.intp)
    for name, step, _ in transformer.transformers_:
        place, inputs = places[name], np.asarray(input_indices(transformer, name), dtype=np.intp)
        if place.stop > place.start:
            own = np.arange(len(inputs)) if step == "passthrough" else _sources(step, len(inputs))
            sources[place] = inputs[own]
    return sources


def _of_union(union: FeatureUnion, n_inputs: int) -> Indices:
    steps = [step for _, step in union.transformer_list if step != "drop"]
    return np.concatenate(
        [
            np.arange(n_inputs) if step == "passthrough" else _sources(step, n_inputs)
            for step in steps
        ]
    )


def _of_one_hot_encoder(encoder: OneHotEncoder, n_inputs: int) -> Indices:
    counts = np.array([len(categories) for categories in encoder.categories_])
    # All infrequent categories of a column have one output together.
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


def _of_named(transformer: Any, n_inputs: int) -> Indices:
    """By the names of the outputs: those of inputs, or what imputers call their indicators."""
    name = type(transformer).__name__
    advice = "Give feature_groups as lists of indices."
    if not hasattr(transformer, "get_feature_names_out"):
        raise ValueError(f"{name} does not say which outputs it has. {advice}")
    inputs = _input_names(transformer, n_inputs)
    places = {input_name: place for place, input_name in enumerate(inputs)}
    sources = []
    for output in transformer.get_feature_names_out(inputs):
        source = places.get(output, places.get(str(output).removeprefix("missingindicator_")))
        if source is None:
            raise ValueError(
                f"Which column the output {output!r} of {name} is made of, or of "
                f"which ones, cannot be told. {advice}"
            )
        sources.append(source)
    return np.array(sources, dtype=np.intp)


def _input_names(transformer: Any, n_inputs: int) -> np.ndarray:
    return getattr(transformer, "feature_names_in_", default_names(n_inputs))


_SOURCES: dict[type, Callable[[Any, int], Indices]] = {
    FrozenEstimator: lambda frozen, n_inputs: _sources(frozen.estimator, n_inputs),
    Pipeline: _of_pipeline,
    ColumnTransformer: _of_column_transformer,
    FeatureUnion: _of_union,
    OneHotEncoder: _of_one_hot_encoder,
    KBinsDiscretizer: _of_discretizer,
    SplineTransformer: _of_splines,
    OneToOneFeatureMixin: lambda transformer, n_inputs: np.arange(n_inputs),
}
