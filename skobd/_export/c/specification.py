"""The values that C code is written from: no estimator, no transformer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

MOST_INPUTS = 65_535
_LARGEST = float(np.finfo(np.float32).max)
FloatArray = NDArray[np.float64]
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Affine:
    """An input of the network that is an affine function of one raw column.

    ``z = scale * clip(x, low, high) + offset`` where ``x`` is the column, or ``missing`` where
    that is NaN.

    Attributes
    ----------
    column : int
        Position of the raw column.
    scale, offset : float
    low, high : float
        In raw units.
    missing : float or None
        In raw units; None where nothing is imputed.
    """

    column: int
    scale: float = 1.0
    offset: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    missing: float | None = None

    def raw(self, X: Rows) -> FloatArray:
        """The column, filled and clipped, for rows of raw columns, shape (n_rows,)."""
        x = X[:, self.column].astype(np.float64)
        if self.missing is not None:
            x[np.isnan(x)] = self.missing
        return np.clip(x, self.low, self.high)

    def __call__(self, X: Rows) -> FloatArray:
        """The input for rows of raw columns, shape (n_rows,)."""
        return self.scale * self.raw(X) + self.offset


@dataclass(frozen=True)
class Indicator:
    """An input of the network that is 1 where a raw column holds a code, and 0 elsewhere.

    Where ``takes_missing``, it is 1 for NaN, too.
    """

    column: int
    code: int
    takes_missing: bool = False

    def __call__(self, X: Rows) -> FloatArray:
        """The input for rows of raw columns, shape (n_rows,)."""
        x = X[:, self.column]
        return ((x == self.code) | (self.takes_missing & np.isnan(x))).astype(np.float64)


Input = Affine | Indicator


@dataclass(frozen=True, eq=False)
class Layer:
    """Weights (fan_in, fan_out), 0 where deleted, and biases (fan_out,)."""

    weights: FloatArray
    biases: FloatArray


@dataclass(frozen=True)
class Kind:
    """One row of the table of outputs.

    Attributes
    ----------
    is_classifier : bool
        Whether one of several classes is predicted, by its index.
    meaning : str
        What the outputs are, for the comments.
    """

    is_classifier: bool
    meaning: str


KINDS = {
    "binary": Kind(True, "classes"),
    "multiclass": Kind(True, "classes"),
    "multilabel": Kind(False, "labels, each 0 or 1"),
    "identity": Kind(False, "outputs"),
    "exp": Kind(False, "outputs, expected counts"),
}
ACTIVATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "identity": lambda a: a,
    "relu": lambda a: np.maximum(a, 0),
    "tanh": np.tanh,
    "logistic": lambda a: (1 + np.tanh(a / 2)) / 2,
}


@dataclass(frozen=True, eq=False)
class Specification:
    """A network from raw columns to raw outputs, with the names that comments mention.

    Attributes
    ----------
    title : str
        The model in a few words.
    column_names : tuple of str
        Names of all raw columns.
    inputs : tuple of Affine or Indicator
        Inputs of the first layer; `Affine` come first.
    layers : tuple of Layer
        At least one.
    activation : str
        Key of `ACTIVATIONS`.
    kind : str
        Key of `KINDS`; a binary classifier has one output.
    output_names : tuple of str
        Names of the classes, labels or outputs.
    """

    title: str
    column_names: tuple[str, ...]
    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    activation: str
    kind: str
    output_names: tuple[str, ...]

    @property
    def is_classifier(self) -> bool:
        """Whether ``predict`` returns the index of a class."""
        return KINDS[self.kind].is_classifier

    @property
    def has_probabilities(self) -> bool:
        """Whether there is a ``predict_proba``."""
        return self.kind in ("binary", "multiclass", "multilabel")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of inputs, then units of each layer."""
        return (len(self.inputs), *(len(layer.biases) for layer in self.layers))

    @property
    def n_weights(self) -> int:
        """Weights that are not 0."""
        return sum(int(np.count_nonzero(layer.weights)) for layer in self.layers)

    def activations(self, X: Rows) -> list[FloatArray]:
        """Inputs, hidden activations and raw outputs in double precision, each a row per row."""
        z = np.empty((len(X), len(self.inputs)))
        for index, read in enumerate(self.inputs):
            z[:, index] = read(X)
        found = [z]
        for index, layer in enumerate(self.layers):
            z = z @ layer.weights + layer.biases
            if index < len(self.layers) - 1:
                z = ACTIVATIONS[self.activation](z)
            found.append(z)
        return found


def simplified(specification: Specification) -> Specification:
    """Drop unused inputs, merge equal ones, and put `Affine` ones first.

    A network whose output is a constant becomes one layer without inputs.
    """
    layers = specification.layers
    if any(not layer.weights.any() for layer in layers):
        rows = np.zeros((1, len(specification.column_names)), dtype=np.float32)
        output = specification.activations(rows)[-1][0]
        return replace(
            specification, inputs=(), layers=(Layer(np.zeros((0, len(output))), output),)
        )
    places: dict[Input, list[int]] = {}
    for place in np.flatnonzero(layers[0].weights.any(axis=1)).tolist():
        places.setdefault(specification.inputs[place], []).append(place)
    inputs = sorted(places, key=_order)
    weights = np.stack([layers[0].weights[places[read]].sum(axis=0) for read in inputs])
    return replace(
        specification,
        inputs=tuple(inputs),
        layers=(replace(layers[0], weights=weights), *layers[1:]),
    )


def _order(read: Input) -> tuple[bool, bool, int]:
    """Affine inputs first, indicators that take missing values last."""
    return isinstance(read, Indicator), getattr(read, "takes_missing", False), read.column


def check_expressible(specification: Specification) -> None:
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
