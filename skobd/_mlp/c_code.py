"""C code of fitted models, specified by reading the estimator."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.utils.validation import check_consistent_length

from .._export.c import CCode, Tests, check_parameters, of_columns, write_code
from .._export.c.floats import float_network
from .._export.c.inputs import expand, read_columns
from .._export.c.size import constant_bytes, deployed_bytes, surviving_layers
from .._export.c.specification import (
    Affine,
    Layer,
    Specification,
    check_expressible,
    rows_of,
    simplified,
)
from .column_sources import parts, table_columns
from .fitted import Fitted
from .pipelines import last_step, nested, unwrap
from .targets import ClassTargets


def to_c(
    model: Any,
    *,
    name: str = "model",
    path: Any = None,
    X: Any = None,
    y: Any = None,
    dtype: str = "int8",
    arithmetic: str = "float",
    self_test: int = 0,
    used_features_only: bool = False,
) -> CCode:
    """Write a fitted model as C code for microcontrollers, from its raw columns.

    The code is one C99 header without allocation that needs nothing but ``<stdint.h>``, and
    ``<math.h>`` for probabilities, tanh, logistic and Poisson; it is also C++, and keeps its
    constants in program memory on AVR. Only weights that survive are stored, in the smallest of
    several index forms. It defines, for ``name="model"``,

    - ``int model_predict(const float *x)``, the index of the predicted class;
    - ``void model_predict(const float *x, float *y)``, for multilabel targets and regression;
    - ``void model_predict_proba(const float *x, float *p)``, for classifiers.

    Parameters
    ----------
    model : object
        Fitted `OBDMLPClassifier` or `OBDMLPRegressor`, a `Pipeline` that ends in one, or a search,
        whose ``best_estimator_`` is written. The supported transformers are `StandardScaler`,
        `MinMaxScaler`, `MaxAbsScaler`, `RobustScaler`, `SimpleImputer`, `OneHotEncoder` and
        `OrdinalEncoder` of whole numbers, feature selectors, and `ColumnTransformer`,
        `FeatureUnion` and `Pipeline` of these.
    name : str, default="model"
        Prefix of all names that are defined; must be a C identifier.
    path : path-like, default=None
        File to write; None writes no file.
    X : array-like of shape (n_samples, n_columns), default=None
        Raw rows typical of those to predict. Integer arithmetic needs them to learn the ranges of
        inputs and activations, beyond which it saturates, and ``self_test`` takes its rows from
        them. A comment in the code states how well it predicts them.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets of ``X``, for the accuracies stated in the comment.
    dtype : {"int8", "float32"}, default="int8"
        Storage of the weights: 8 bits with a scale for each unit, or single precision.
    arithmetic : {"float", "int"}, default="float"
        Whether the code computes in single precision or in integers: 8-bit weights, 16-bit
        activations and 32-bit sums, which cannot overflow. Integer code is small, and fast on
        processors without a floating-point unit.
    self_test : int, default=0
        Number of rows of ``X`` to write with the code, and with a ``main`` that returns how many
        of them get another prediction than expected; compiled if ``model_SELF_TEST`` is defined.
    used_features_only : bool, default=False
        Whether ``x`` holds only the columns that are used, in their order, instead of all.

    Returns
    -------
    code : CCode
        The text, a `str` that also has ``constant_bytes``, ``code_bytes`` and ``scratch_bytes``,
        and ``predict`` and ``predict_proba``, which compute in Python what the code does.

    Raises
    ------
    NotFittedError
        If the model, or a part of it, is not fitted.
    TypeError
        For models and transformers that cannot be written in C.
    ValueError
        If a parameter is out of range, ``X`` does not fit the model, categories are not whole
        numbers, or there are more than 65,535 columns or units.

    See Also
    --------
    register_onnx_converters : Lets whole pipelines be converted to ONNX.
    OBDMLPClassifier.summary : Shows the bytes of the constants beside those of the dense network.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skobd import OBDMLPClassifier, to_c
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = OBDMLPClassifier(
    ...     hidden_layer_sizes=(5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    ... )
    >>> pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> code = to_c(pipeline, name="iris", X=X, y=y, arithmetic="int")
    >>> code.constant_bytes < 100
    True
    >>> float((code.predict(X) == y).mean()) > 0.9
    True
    """
    check_parameters(name, dtype, arithmetic, self_test, X is None, y is None)
    specification, fitted = _specification_of(model)
    tests = None if X is None else _tests(model, fitted, specification, X, y)
    if used_features_only:
        # C has no arrays without columns.
        used = sorted({read.column for read in specification.inputs}) or [0]
        specification = of_columns(specification, used)
        tests = None if tests is None else tests._replace(rows=tests.rows[:, used])
    code = write_code(specification, name, tests, dtype, arithmetic, self_test)
    if path is not None:
        Path(path).write_text(code, encoding="ascii")
    return code


def count_bytes(model: Any) -> int:
    """Count the bytes of the constants that `to_c` writes by default for a fitted model.

    If its transformers cannot be written in C, only the network counts.
    """
    try:
        return constant_bytes(float_network(_specification_of(model)[0], "int8"))
    except (TypeError, ValueError):
        return deployed_bytes(last_step(model)._fitted.pruned)


def _specification_of(model: Any) -> tuple[Specification, Fitted]:
    """Read a fitted estimator, or a pipeline that ends in one."""
    if any(isinstance(part, TransformedTargetRegressor) for part in nested(model, "to_c")):
        raise TypeError(
            "TransformedTargetRegressor cannot be written in C: convert the regressor in it, and "
            "transform its predictions on the device by other code."
        )
    transformers, network = unwrap(model, "to_c")
    fitted: Fitted = network._fitted
    names = table_columns([*transformers, network])
    columns: Any = [Affine(column) for column in range(len(names))]
    for steps in transformers:
        columns = read_columns(steps, columns)
    steps = [step for pipeline in transformers for step in parts(pipeline.steps)]
    (layer, *others), kept = surviving_layers(fitted.pruned)
    inputs, weights, biases = expand([columns[k] for k in kept], layer.weights, layer.biases)
    kind, output_names = _outputs(fitted)
    specification = simplified(
        Specification(
            " > ".join(type(step).__name__ for step in (*steps, network)),
            tuple(map(str, names)),
            inputs,
            (Layer(weights, biases), *others),
            fitted.pruned.network.activation,
            kind,
            output_names,
        )
    )
    check_expressible(specification)
    return specification, fitted


def _outputs(fitted: Fitted) -> tuple[str, tuple[str, ...]]:
    """Return the kind of the outputs, a key of `KINDS`, and their names."""
    targets, n_outputs = fitted.targets, fitted.pruned.network.layer_sizes[-1]
    if not isinstance(targets, ClassTargets):
        kind = "exp" if targets.loss.out_activation == "exp" else "identity"
        return kind, tuple(f"y{k}" for k in range(n_outputs))
    names = tuple(str(label) for label in targets.classes)
    if targets.is_multilabel:
        return "multilabel", names
    return ("binary" if n_outputs == 1 else "multiclass"), names


def _tests(model: Any, fitted: Fitted, specification: Specification, X: Any, y: Any) -> Tests:
    """Return rows with predictions and targets in the form of the C code."""
    rows = rows_of(X, specification)
    targets = None if y is None else _encoded(fitted, np.asarray(y))
    if targets is not None:
        check_consistent_length(rows, targets)
    return Tests(rows, _encoded(fitted, model.predict(X)), targets)


def _encoded(fitted: Fitted, y: NDArray[Any]) -> NDArray[Any]:
    """Encode targets as indices of classes, or an array of shape (n_samples, n_outputs)."""
    targets = fitted.targets
    if not isinstance(targets, ClassTargets) or y.ndim > 1:
        return y.reshape(len(y), -1)
    unseen = np.setdiff1d(y, targets.classes)
    if len(unseen):
        raise ValueError(f"y has classes that the model does not know: {unseen[:5].tolist()}.")
    return np.searchsorted(targets.classes, y)
