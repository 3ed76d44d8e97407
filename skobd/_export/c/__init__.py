"""C code of its own for microcontrollers: sparse, in 8 bits, from raw columns.

From front to back: `adaptor` reads a model, with `inputs` its transformers, into a
`specification`; `floats` and `integers` make constants of it, in the index forms of `forms`;
`size` counts them, `emulate` computes what the code computes, and `write` writes it.
"""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_consistent_length

from . import emulate, size
from .adaptor import encoded_targets, python_predictions, rows_of, specification_of
from .coded import Coded
from .floats import float_network
from .integers import integer_network
from .specification import Rows, Specification
from .text import check_name
from .write import clear_rows, write

# Rows that ranges are learned from.
_MOST_ROWS = 10_000


class CCode(str):
    """C code that knows its size and can be computed in Python.

    Made by `to_c`; it is the text itself.

    Attributes
    ----------
    constant_bytes : int
        Bytes of its constants: what the compiler calls ``.rodata``, or program memory.
    code_bytes : int
        Bytes of instructions that a prediction takes on an AVR, start-up code and floating-point
        library included: an estimate, mostly within a tenth.
    scratch_bytes : int
        Bytes of activations that it keeps on the stack.
    """

    constant_bytes: int
    code_bytes: int
    scratch_bytes: int
    _coded: Coded

    @classmethod
    def of(cls, coded: Coded, text: str) -> "CCode":
        """The text for a network."""
        code = cls(text)
        code._coded = coded
        code.constant_bytes = size.constant_bytes(coded)
        code.code_bytes = size.code_bytes(coded)
        code.scratch_bytes = size.scratch_bytes(coded)
        return code

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict as the code does: bit for bit in integers, to rounding in floats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            Rows of the columns that the code takes, in single precision.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Indices of classes; labels or numbers with a column for each output.
        """
        return emulate.predict(self._coded, rows_of(X, self._coded.specification))

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Predict probabilities as the code does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns)
            Rows of the columns that the code takes, in single precision.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In single precision.
        """
        if not self._coded.specification.has_probabilities:
            raise AttributeError("The code of a regressor has no predict_proba.")
        return emulate.predict_proba(self._coded, rows_of(X, self._coded.specification))


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

    - ``int model_predict(const float *x)``, the index of the class, for one of several classes;
    - ``void model_predict(const float *x, float *y)`` for labels and numbers;
    - ``void model_predict_proba(const float *x, float *p)`` for classes and labels.

    Parameters
    ----------
    model : object
        Fitted `OBDMLPClassifier` or `OBDMLPRegressor`, a `Pipeline` that ends in one, or a search,
        whose ``best_estimator_`` is written. Of transformers are known: `StandardScaler`,
        `MinMaxScaler`, `MaxAbsScaler`, `RobustScaler`, `SimpleImputer`, `OneHotEncoder` and
        `OrdinalEncoder` of whole numbers, feature selectors, and `ColumnTransformer`,
        `FeatureUnion` and `Pipeline` of these.
    name : str, default="model"
        Beginning of all names that are defined; an identifier of C.
    path : path-like, default=None
        File to be written; None for none.
    X : array-like of shape (n_samples, n_columns), default=None
        Raw rows such as those to be expected. Integer arithmetic needs them to learn the ranges of
        inputs and activations, beyond which it saturates, and ``self_test`` takes its rows from
        them; how well the code predicts them is stated in it.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets of ``X``, for accuracies in the comment.
    dtype : {"int8", "float32"}, default="int8"
        How weights are stored: in 8 bits with a scale for each unit, or in single precision.
    arithmetic : {"float", "int"}, default="float"
        Whether it computes in single precision or in integers: 8-bit weights, 16-bit activations
        and 32-bit sums, which cannot overflow. Integers are small and fast where there is no
        floating-point unit.
    self_test : int, default=0
        Rows of ``X`` that are written with the code, and with a ``main`` that returns how many of
        them it predicts otherwise than expected. It is compiled if ``model_SELF_TEST`` is defined.
    used_features_only : bool, default=False
        Whether ``x`` holds the columns that are used only, in their order, instead of all.

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
        For parameters out of their range, ``X`` that does not fit the model, categories that are
        no whole numbers, and more than 65,535 columns or units.

    See Also
    --------
    register_onnx_converters : For ONNX of whole pipelines.
    OBDMLPClassifier.summary : Shows the bytes of the constants beside those of the dense network.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skobd import OBDMLPClassifier, to_c
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = OBDMLPClassifier((5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> code = to_c(pipeline, name="iris", X=X, y=y, arithmetic="int")
    >>> code.constant_bytes < 100
    True
    >>> float((code.predict(X) == y).mean()) > 0.9
    True
    """
    _check_parameters(name, dtype, arithmetic, self_test, X is None, y is None)
    specification = specification_of(model)
    rows = None if X is None else rows_of(X, specification)
    targets = None if y is None else encoded_targets(model, y)
    if rows is not None and targets is not None:
        check_consistent_length(rows, targets)
    if used_features_only:
        # There is no array of no columns in C.
        used = sorted({read.column for read in specification.inputs}) or [0]
        specification = _of_columns(specification, used)
        rows = None if rows is None else rows[:, used]
    coded = _coded(specification, rows, dtype, arithmetic)
    results = [] if rows is None else _results(coded, rows, python_predictions(model, X), targets)
    tested = clear_rows(coded, rows, self_test) if rows is not None and self_test else None
    text = write(coded, name, _version(), results, tested)
    if path is not None:
        Path(path).write_text(text, encoding="ascii")
    return CCode.of(coded, text)


def _check_parameters(
    name: Any, dtype: Any, arithmetic: Any, self_test: Any, no_rows: bool, no_targets: bool
) -> None:
    check_name(name)
    for parameter, value, allowed in (
        ("dtype", dtype, ("int8", "float32")),
        ("arithmetic", arithmetic, ("float", "int")),
    ):
        if value not in allowed:
            raise ValueError(f"{parameter} must be one of {allowed}, got {value!r}.")
    if dtype == "float32" and arithmetic == "int":
        raise ValueError("arithmetic='int' has 8-bit weights: leave out dtype='float32'.")
    if not isinstance(self_test, int | np.integer) or self_test < 0:
        raise ValueError(f"self_test must be a number of rows, at least 0, got {self_test!r}.")
    if no_rows:
        for parameter, is_given in (
            ("arithmetic='int'", arithmetic == "int"),
            (f"self_test={self_test}", self_test > 0),
            ("y", not no_targets),
        ):
            if is_given:
                raise ValueError(f"{parameter} needs X, rows such as those to be expected.")


def _of_columns(specification: Specification, used: list[int]) -> Specification:
    """The same network for the columns ``used`` only."""
    places = {column: place for place, column in enumerate(used)}
    return replace(
        specification,
        column_names=tuple(specification.column_names[column] for column in used),
        inputs=tuple(replace(read, column=places[read.column]) for read in specification.inputs),
    )


def _coded(specification: Specification, rows: Rows | None, dtype: str, arithmetic: str) -> Coded:
    if arithmetic == "float" or rows is None:
        return float_network(specification, dtype)
    spread = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ROWS)).astype(int)
    return integer_network(specification, rows[spread])


def _results(
    coded: Coded, rows: Rows, in_python: NDArray[Any], targets: NDArray[Any] | None
) -> list[str]:
    """How well the code predicts the rows, in lines of the comment."""
    found, n = emulate.predict(coded, rows), len(rows)
    if coded.specification.has_probabilities:
        lines = [f"It agrees with Python in {(found == in_python).mean():.2%} of {n:,} rows given."]
        if targets is not None:
            scores = ((found == targets).mean(), (in_python == targets).mean())
            lines.append("Its accuracy on them is {:.4f}, that of Python {:.4f}.".format(*scores))
        return lines
    gap = np.sqrt(np.mean((found - in_python) ** 2)) / (np.std(in_python) or 1)
    lines = [f"It is {gap:.2%} of a standard deviation from Python on {n:,} rows given."]
    if targets is not None and n > 1:
        scores = (r2_score(targets, found), r2_score(targets, in_python))
        lines.append("Its R2 on them is {:.4f}, that of Python {:.4f}.".format(*scores))
    return lines


def _version() -> str:
    return importlib.import_module(__name__.partition(".")[0]).__version__
