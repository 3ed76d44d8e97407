"""Checking and encoding what the user gives, before any work is done."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from .._net.names import feature_names
from .._net.network import Array
from .._sklearn_compat import _check_sample_weight
from .._train.rows import in_row_order, take_rows
from .._train.updates import UPDATES
from .warning import tell

_FLOATS = (np.float64, np.float32)
# Rows that the scale of the inputs is judged by, and the root mean square that is too large.
_SCALE_ROWS, _LARGEST_SCALE = 1000, 30


class Data(NamedTuple):
    """Validated and encoded rows; ``sample_weight`` is None or of shape (n_samples,)."""

    X: Any
    Y: Array
    sample_weight: Array | None

    def take(self, rows: np.ndarray) -> "Data":
        """Some of the rows; of large dense data they are not copied."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return Data(take_rows(self.X, rows), self.Y[rows], weight)


@contextmanager
def all_or_nothing(estimator: BaseEstimator) -> Iterator[None]:
    """Restore the estimator's attributes if anything goes wrong: nothing fitted is lost."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


@contextmanager
def about(name: str) -> Iterator[None]:
    """Begin the message of an error with what it is about, unless it says so itself."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if re.search(rf"\b{re.escape(name)}\b", str(error)):
            raise
        # Some kinds of ValueError cannot be made of a message.
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name}: {error}") from error


def check_targets(y: Any, is_of_classifier: bool, name: str = "y") -> Any:
    """Targets as an array; refused is what no network can learn."""
    with about(name):
        dtype = None if is_of_classifier else "numeric"
        y = check_array(y, ensure_2d=False, dtype=dtype, accept_sparse="csr", input_name=name)
        if is_of_classifier and y.dtype == object:
            kinds = sorted({type(label).__name__ for label in y.ravel().tolist()})
            if "str" in kinds and len(kinds) > 1:
                raise TypeError(f"{name} must have labels of one type, got {', '.join(kinds)}.")
        if is_of_classifier:
            type_of_target(y)  # refuses bytes
    return y


def check_y_is_given(caller: str, y: Any) -> None:
    """Refuse data without targets, in the words of scikit-learn."""
    if y is None:
        raise ValueError(f"{caller} requires y to be passed, but the target y is None.")


def check_targets_of(caller: str, estimator: Any, y: Any) -> None:
    """Refuse targets that no fit of ``estimator`` would take."""
    check_y_is_given(caller, y)
    y = check_targets(y, is_classifier(estimator))
    if is_classifier(estimator):
        with about("y"):
            check_classification_targets(y)


def check_classes(classes: Any) -> None:
    """Refuse what is no list of classes; None where they are known."""
    if classes is None:
        return
    with about("classes must be one label for each class"):
        if np.ndim(classes) != 1 or not len(classes):
            raise ValueError(f"got {classes!r}.")
        unique_labels(classes)


def check_class_weight(given: Any, is_single: bool) -> None:
    """Refuse weights of classes that are no weights, or are not for targets of one column."""
    for table in given if isinstance(given, list) else [given]:
        for label, value in table.items() if isinstance(table, dict) else ():
            if not isinstance(value, Real) or not 0 <= float(value) < np.inf:
                raise ValueError(
                    f"class_weight[{label!r}] must be a finite number >= 0, got {value!r}."
                )
    if isinstance(given, list) and is_single:
        raise ValueError(
            "class_weight must be a dict, 'balanced' or None for targets of one column; lists "
            f"of dicts are for multilabel targets. Got {given!r}."
        )


def _check_weights(weight: Any, X: Any, name: str) -> Array:
    """Weights of the samples as an array of shape (n_samples,)."""
    with about(f"{name} must be finite numbers >= 0, one for each row of X"):
        return _check_sample_weight(weight, X, dtype=X.dtype, ensure_non_negative=True)


def _check_sum(weight: Array, name: str) -> None:
    """Refuse weights whose sum overflows or underflows, as the objective is divided by it."""
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not np.finfo(weight.dtype).tiny <= total < np.inf:
        raise ValueError(
            f"The sum of {name} is {total:.3g}, which is out of the range of {weight.dtype}; "
            "multiply the weights by a constant, so that their mean is about 1."
        )


def validate(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    reset: bool,
    classes_known: bool = False,
    same_classes: bool = False,
) -> Data:
    """Check and encode training data; set what scikit-learn expects to be set.

    Parameters
    ----------
    estimator : BaseOBDMLP
    X, y, sample_weight : object
        As the user gave them.
    reset : bool
        Whether to learn number and names of the features, and the classes.
    classes_known, same_classes : bool, default=False
        Whether the classes are not to be learned, and whether they must be the known ones.
    """
    dtype = _FLOATS if reset else estimator._fitted.pruned.theta.dtype
    check_y_is_given(type(estimator).__name__, y)
    with about("X"):
        X = validate_data(estimator, X, accept_sparse="csr", dtype=dtype, reset=reset)
    y = check_targets(y, estimator._is_classifier)
    with about("X and y"):
        check_consistent_length(X, y)
    with about("y"):
        if same_classes:
            estimator._check_same_classes(y)
        Y = estimator._encode(y, X.dtype, reset and not classes_known)
    if sample_weight is None and getattr(estimator, "class_weight", None) is None:
        return Data(in_row_order(X), Y, None)
    weight = _check_weights(sample_weight, X, "sample_weight")
    counts = weight > 0
    if counts.any():
        _check_sum(weight, "sample_weight")
        # "balanced" must not count samples of no weight.
        weight = weight.copy()
        weight[counts] *= estimator._class_weight_of(y[counts])
    kept = weight > 0
    if not kept.any():
        name = "class_weight" if counts.any() else "sample_weight"
        raise ValueError(f"{name} is zero for every sample; at least one must be positive.")
    _check_sum(weight, "class_weight over the samples")
    data = Data(in_row_order(X), Y, weight)
    # A sample of no weight must not count in minibatches or splits.
    return data if kept.all() else data.take(np.flatnonzero(kept))


def validate_held_out(
    estimator: Any, X: Any, y: Any, sample_weight: Any, data: Data
) -> Data | None:
    """Check and encode the validation data that the user gave beside the training data."""
    if X is None or y is None:
        for given, missing, value in (("X_val", "y_val", X), ("y_val", "X_val", y)):
            if value is not None:
                raise ValueError(f"{given} is provided, but {missing} was not provided.")
        if sample_weight is not None:
            raise ValueError("sample_weight_val is provided, but X_val was not provided.")
        return None
    with about("X_val"):
        X = validate_data(
            estimator,
            X,
            accept_sparse="csr",
            dtype=data.X.dtype,
            ensure_min_samples=2,
            reset=False,
        )
    y = check_targets(y, estimator._is_classifier, "y_val")
    with about("X_val and y_val"):
        check_consistent_length(X, y)
    with about("y_val"):
        Y = estimator._encode(y, X.dtype, reset=False, name="y_val")
    if Y.shape[1] != data.Y.shape[1]:
        raise ValueError(
            f"y_val has {Y.shape[1]} outputs, but the training targets have {data.Y.shape[1]}."
        )
    if sample_weight is not None:
        sample_weight = _check_weights(sample_weight, X, "sample_weight_val")
        if not sample_weight.any():
            raise ValueError("sample_weight_val is zero for every sample.")
        _check_sum(sample_weight, "sample_weight_val")
    return Data(in_row_order(X), Y, sample_weight)


def check_batch_size(estimator: Any, data: Data) -> None:
    """Warn where a minibatch is asked to be larger than the data."""
    n_samples = data.X.shape[0]
    if (
        estimator.solver in UPDATES
        and estimator.batch_size != "auto"
        and estimator.batch_size > n_samples
    ):
        tell(
            f"batch_size={estimator.batch_size} is larger than the number of training samples and "
            f"is going to be clipped to {n_samples}.",
        )


def check_scale(estimator: Any, data: Data) -> None:
    """Warn where inputs are far larger than the initial weights are meant for.

    Standardised inputs have a root mean square of 1, indicators and fractions less, small counts
    and codes about 10; pixels from 0 to 255 and raw measurements 80 and more.
    """
    X = data.X[:: -(-data.X.shape[0] // _SCALE_ROWS)]
    if isinstance(X, np.ndarray):
        sums = np.einsum("ij,ij->j", X, X, dtype=np.float64)
    else:
        sums = np.asarray(X.astype(np.float64).power(2).sum(axis=0)).ravel()
    scales = np.sqrt(sums / X.shape[0])
    worst = int(scales.argmax())
    if scales[worst] > _LARGEST_SCALE:
        tell(
            f"Inputs are far off scale: {feature_names(estimator)[worst]!r} has a root mean square "
            f"of {scales[worst]:.3g}, and training expects about 1. Standardise them, for example "
            "by make_pipeline(StandardScaler(), ...); a network may else learn little.",
        )


def set_aside(
    estimator: Any, data: Data, held_out: Data | None, rng: np.random.RandomState
) -> tuple[Data, Data | None]:
    """Set aside validation data if early stopping needs them and none were given."""
    if held_out is not None or not estimator._stops_early:
        return data, held_out
    n_samples, is_binary = data.X.shape[0], data.Y.shape[1] == 1 and estimator._is_classifier
    try:
        rows, held_out_rows = train_test_split(
            np.arange(n_samples),
            random_state=rng,
            test_size=estimator.validation_fraction,
            stratify=data.Y[:, 0] if is_binary else None,
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True with validation_fraction={estimator.validation_fraction} cannot "
            f"split {n_samples} samples: {error} Increase 'validation_fraction' or the size "
            "of your dataset, or give X_val and y_val."
        ) from error
    if len(held_out_rows) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            f"(now {estimator.validation_fraction}) or the size of your dataset "
            f"(now {n_samples} samples)."
        )
    return data.take(rows), data.take(held_out_rows)
