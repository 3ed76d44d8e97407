"""C code for microcontrollers: sparse, in 8 bits, from raw columns.

From front to back: `inputs` reads transformers into a `specification`; `floats` and `integers`
make constants of it, in the index forms of `forms`; `size` counts them, `emulate` computes what
the code computes, and `write` writes it.
"""

import sys
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score

from . import emulate, size
from .coded import Coded
from .floats import float_network
from .integers import integer_network
from .specification import Rows, Specification, rows_of
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


class Tests(NamedTuple):
    """Rows that the code is calibrated on and judged by.

    Attributes
    ----------
    rows : ndarray of shape (n_samples, n_columns), float32
    in_python : ndarray
        Predictions of the model, as C code has them: indices of classes, or (n_samples, n_outputs).
    targets : ndarray or None
        Targets in the same form.
    """

    rows: Rows
    in_python: NDArray[Any]
    targets: NDArray[Any] | None


def write_code(
    specification: Specification,
    name: str,
    tests: Tests | None,
    dtype: str,
    arithmetic: str,
    self_test: int,
) -> CCode:
    """Write the code of a specification; `to_c` says what the parameters mean."""
    rows = None if tests is None else tests.rows
    coded = _coded(specification, rows, dtype, arithmetic)
    results = [] if tests is None else _results(coded, *tests)
    tested = clear_rows(coded, rows, self_test) if rows is not None and self_test else None
    return CCode.of(coded, write(coded, name, _version(), results, tested))


def check_parameters(
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


def of_columns(specification: Specification, used: list[int]) -> Specification:
    """Restrict the network to the columns ``used``."""
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
    """Say in lines of the comment how well the code predicts the rows."""
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
    return sys.modules[__name__.partition(".")[0]].__version__
