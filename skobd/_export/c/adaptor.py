"""From fitted models to specifications: the one place here that knows estimators."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..._net.names import default_names
from .inputs import expand, read_columns
from .size import surviving_layers
from .specification import MOST_INPUTS, Affine, Layer, Rows, Specification, simplified

_LARGEST = float(np.finfo(np.float32).max)


def specification_of(model: Any) -> Specification:
    """Read a fitted estimator, a pipeline that ends in one, or a search's best model.

    Raises
    ------
    TypeError
        For models and transformers that cannot be written in C.
    NotFittedError
        If the model, or a part of it, is not fitted.
    ValueError
        For settings and sizes that cannot be written.
    """
    model = unwrapped(model)
    steps, network = _taken_apart(model)
    check_is_fitted(network)
    first = next((step for step in steps if hasattr(step, "n_features_in_")), network)
    n_columns, names = first.n_features_in_, getattr(first, "feature_names_in_", None)
    columns: Any = [Affine(column) for column in range(n_columns)]
    for step in steps:
        columns = read_columns(step, columns)
    (layer, *others), kept = surviving_layers(network._fitted.pruned)
    inputs, weights, biases = expand([columns[k] for k in kept], layer.weights, layer.biases)
    kind, output_names = _outputs(network)
    specification = simplified(
        Specification(
            " > ".join(type(step).__name__ for step in (*steps, network)),
            tuple(str(name) for name in (default_names(n_columns) if names is None else names)),
            inputs,
            (Layer(weights, biases), *others),
            network._fitted.pruned.network.activation,
            kind,
            output_names,
        )
    )
    _check_expressible(specification)
    return specification


def unwrapped(model: Any) -> Any:
    """The pipeline or estimator itself, of a search the best one."""
    while True:
        if isinstance(model, FrozenEstimator):
            model = model.estimator
        elif hasattr(model, "get_params") and "refit" in model.get_params(deep=False):
            if not hasattr(model, "best_estimator_"):
                raise NotFittedError(
                    f"Of {type(model).__name__} best_estimator_ is written in C: call fit, with "
                    "refit."
                )
            model = model.best_estimator_
        else:
            return model


def _taken_apart(model: Any) -> tuple[list[Any], Any]:
    """Transformers from front to back, and the network behind them."""
    steps: list[Any] = []
    while isinstance(model, Pipeline | FrozenEstimator):
        if isinstance(model, Pipeline):
            steps += [s for _, s in model.steps[:-1] if s is not None and not isinstance(s, str)]
            model = model.steps[-1][1]
        else:
            model = model.estimator
    if not hasattr(type(model), "_is_classifier"):
        raise TypeError(
            f"{type(model).__name__} cannot be written in C: to_c takes an OBDMLPClassifier or "
            "OBDMLPRegressor, a pipeline that ends in one, or a search over these. A perceptron of "
            "scikit-learn becomes one by OBDMLPClassifier.from_sklearn."
        )
    return steps, model


def _outputs(network: Any) -> tuple[str, tuple[str, ...]]:
    """Row of `KINDS` and names of the outputs."""
    if not network._is_classifier:
        kind = "exp" if network.out_activation_ == "exp" else "identity"
        return kind, tuple(f"y{k}" for k in range(network.n_outputs_))
    names = tuple(str(label) for label in network.classes_)
    if network._label_binarizer.y_type_.startswith("multilabel"):
        return "multilabel", names
    return ("binary" if network.n_outputs_ == 1 else "multiclass"), names


def _check_expressible(specification: Specification) -> None:
    n_most = max(len(specification.column_names), *specification.sizes)
    if n_most > MOST_INPUTS:
        raise ValueError(
            f"C code has at most {MOST_INPUTS:,} columns, inputs and units, and this model has "
            f"{n_most:,}: select features in a step of its own, such as OBDFeatureSelector, and "
            "train on what is left."
        )
    for layer in specification.layers:
        arrays = (layer.weights, layer.biases)
        largest = max(np.abs(array).max(initial=0) for array in arrays)
        if not largest < _LARGEST:
            raise ValueError(
                f"Weights are up to {largest:.1e}, which single precision cannot hold: standardise "
                "the inputs, and train again."
            )


def rows_of(X: Any, specification: Specification, name: str = "X") -> Rows:
    """Rows of raw columns in single precision.

    Raises
    ------
    ValueError
        If they are not numbers, or have another width, or NaN where none is imputed.
    """
    dense = X.toarray() if sparse.issparse(X) else X
    try:
        with np.errstate(over="ignore"):
            rows = np.array(dense, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers only, as C code reads them: {error}.") from error
    n_columns = len(specification.column_names)
    if rows.ndim != 2 or rows.shape[1] != n_columns or not len(rows):
        raise ValueError(
            f"{name} must be rows of {n_columns} columns, as the model was fitted with, got an "
            f"array of shape {rows.shape}."
        )
    for read in specification.inputs:
        x = rows[:, read.column]
        takes_missing = getattr(read, "missing", None) is not None or not isinstance(read, Affine)
        if np.isinf(x).any() or (np.isnan(x).any() and not takes_missing):
            raise ValueError(
                f"{name} has NaN or infinity in column {read.column} "
                f"({specification.column_names[read.column]}), for which nothing is imputed: "
                "leave such rows out."
            )
    return rows


def python_predictions(model: Any, X: Any) -> NDArray[Any]:
    """Predictions of a model as C code has them: indices of classes, or (n_samples, n_outputs)."""
    model = unwrapped(model)
    network, found = _taken_apart(model)[1], model.predict(X)
    if network._is_classifier and found.ndim == 1:
        return np.searchsorted(network.classes_, found)
    return found.reshape(len(found), -1)


def encoded_targets(model: Any, y: Any) -> NDArray[Any]:
    """Targets as C code has them: indices of classes, or (n_samples, n_outputs)."""
    network, y = _taken_apart(unwrapped(model))[1], np.asarray(y)
    if network._is_classifier and y.ndim == 1:
        unseen = np.setdiff1d(y, network.classes_)
        if len(unseen):
            raise ValueError(f"y has classes that the model does not know: {unseen[:5].tolist()}.")
        return np.searchsorted(network.classes_, y)
    return y.reshape(len(y), -1)
