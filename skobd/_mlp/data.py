"""Checks and encoding of the user's data, before any work is done."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from .._net.network import Array
from .._sklearn_compat import _check_sample_weight
from .._train.rows import in_row_order, take_rows
from .messages import about
from .targets import Targets

FLOATS = (np.float64, np.float32)
# Rows that show the scale of the inputs, and the root mean square that is too large.
_SCALE_ROWS, _LARGEST_SCALE = 1000, 30
# Weights are counts if they are multiples of the smallest, to rounding, up to this factor.
_COUNT_TOLERANCE, _LARGEST_COUNT = 1e-6, 1e4


class Given(NamedTuple):
    """Rows as the user gave them, not checked yet."""

    X: Any
    y: Any
    sample_weight: Any = None


class Data(NamedTuple):
    """Validated and encoded rows; ``sample_weight`` is None or of shape (n_samples,).

    Weights of training data are expressed by `in_samples`.
    """

    X: Any
    Y: Array
    sample_weight: Array | None

    def take(self, rows: np.ndarray) -> "Data":
        """Return some of the rows, without a copy if the data are large and dense."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return Data(take_rows(self.X, rows), self.Y[rows], weight)


def validate_inputs(estimator: BaseEstimator, X: Any, dtype: Any, **options: Any) -> Any:
    """Validate rows as scikit-learn does; name the columns of a table that need a transformer.

    Parameters
    ----------
    estimator : BaseEstimator
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    dtype : dtype or sequence of dtype
        As in `validate`.
    **options : dict
        Passed to scikit-learn's ``validate_data``.
    """
    try:
        return validate_data(estimator, X, accept_sparse="csr", dtype=dtype, **options)
    except (ValueError, TypeError) as error:
        problems = unfit_columns(X)
        if not problems:
            raise
        name = type(estimator).__name__
        raise ValueError(
            f"X has {'; and '.join(problems)}. A network takes finite numbers: put a transformer "
            f"before it, as skrub.tabular_pipeline({name}()) does, or a ColumnTransformer with "
            "OneHotEncoder for text, SimpleImputer for missing values, and StandardScaler."
        ) from error


def unfit_columns(X: Any) -> list[str]:
    """Describe the columns of a data frame that a network cannot take."""
    if not (hasattr(X, "columns") and hasattr(X, "dtypes")):
        return []
    found: dict[str, list[str]] = {
        "columns that are not numbers": [],
        "missing values (NaN) in columns": [],
    }
    not_numbers, missing = found.values()
    cells = getattr(X, "iloc", X)
    for index, name in enumerate(X.columns):
        column = np.asarray(cells[:, index], dtype=object)
        is_missing = np.array([_is_missing(value) for value in column], dtype=bool)
        try:
            column[~is_missing].astype(float)
        except (ValueError, TypeError):
            not_numbers.append(repr(name))
        else:
            if is_missing.any():
                missing.append(repr(name))
    return [f"{what}: {', '.join(names)}" for what, names in found.items() if names]


def _is_missing(value: Any) -> bool:
    # NaN and NaT differ from themselves; pandas' NA does not answer the comparison.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def check_targets(y: Any, is_numeric: bool, name: str = "y") -> Any:
    """Return targets as an array; refuse those that no network can learn."""
    with about(name):
        dtype = "numeric" if is_numeric else None
        y = check_array(y, ensure_2d=False, dtype=dtype, accept_sparse="csr", input_name=name)
        if not is_numeric and y.dtype == object:
            kinds = sorted({type(label).__name__ for label in y.ravel().tolist()})
            if "str" in kinds and len(kinds) > 1:
                raise TypeError(f"{name} must have labels of one type, got {', '.join(kinds)}.")
        if y.dtype.kind == "S":
            raise TypeError(f"{name} must have labels of text or numbers, got bytes; decode them.")
    return y


def check_y_is_given(caller: str, y: Any) -> None:
    """Refuse data without targets, in the words of scikit-learn."""
    if y is None:
        raise ValueError(f"{caller} requires y to be passed, but the target y is None.")


def check_targets_of(caller: str, estimator: Any, y: Any) -> None:
    """Refuse targets that no fit of ``estimator`` would take."""
    check_y_is_given(caller, y)
    y = check_targets(y, not is_classifier(estimator))
    if is_classifier(estimator):
        with about("y"):
            check_classification_targets(y)


def validate(
    estimator: BaseEstimator,
    given: Given,
    targets: Targets,
    dtype: Any = FLOATS,
    *,
    reset: bool,
    same_classes: bool = False,
) -> tuple[Data, Targets]:
    """Check and encode training data, and return them with the completed targets.

    Parameters
    ----------
    estimator : BaseEstimator
        Estimator on which scikit-learn's validation stores number and names of the features.
    given : Given
    targets : Targets
    dtype : dtype or sequence of dtype
        Precision of the data; the first of several, unless the data have another one of them.
    reset : bool
        Whether number and names of the features are learned, or compared with the known ones.
    same_classes : bool, default=False
        Whether ``y`` must have all of the classes that are known.
    """
    check_y_is_given(type(estimator).__name__, given.y)
    with about("X"):
        X = validate_inputs(estimator, given.X, dtype, reset=reset)
    y = check_targets(given.y, targets.is_numeric)
    with about("X and y"):
        check_consistent_length(X, y)
    with about("y"):
        if same_classes:
            targets.check_same(y)
        targets = targets.learn(y)
        Y = targets.encode(y, X.dtype)
    if given.sample_weight is None and not targets.has_weights:
        return Data(in_row_order(X), Y, None), targets
    weight = _relative_weight(given.sample_weight, X, "sample_weight")
    counts = weight > 0
    if counts.any():
        # "balanced" must not count samples of weight 0.
        weight[counts] *= targets.weights(y[counts])
    kept = weight > 0
    if not kept.any():
        name = "class_weight" if counts.any() else "sample_weight"
        raise ValueError(f"{name} is zero for every sample; at least one must be positive.")
    weight[kept] = in_samples(weight[kept])
    weight = weight.astype(X.dtype)
    # Single precision cannot represent the smallest weights.
    kept = weight > 0
    data = Data(in_row_order(X), Y, weight)
    # A sample of weight 0 must not count in minibatches or splits.
    return (data if kept.all() else data.take(np.flatnonzero(kept))), targets


def _relative_weight(sample_weight: Any, X: Any, name: str) -> Array:
    """Check sample weights, and return fractions of the largest, so that no sum overflows."""
    with about(f"{name} must be finite numbers >= 0, one for each row of X"):
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    return weight / (weight.max() or 1)


def in_samples(weight: Array) -> Array:
    """Express sample weights in units of one sample, so that their scale makes no difference.

    The penalty is divided by the sum of the weights, so that sum must be a number of samples. If
    every weight is a whole multiple of the smallest, they count repetitions, and the smallest is
    one sample: a weight of k samples then counts as k rows. Otherwise the mean is one sample.

    Parameters
    ----------
    weight : ndarray of shape (n_samples,)
        Positive weights.

    Returns
    -------
    weight : ndarray of shape (n_samples,)
        Counts, or weights of mean 1.
    """
    # Scaled again, because class weights may have made them almost as large as floats can be.
    weight = weight / weight.max()
    if weight.min() * _LARGEST_COUNT >= 1:
        ratio = weight / weight.min()
        counts = np.rint(ratio)
        if (np.abs(ratio - counts) <= _COUNT_TOLERANCE * counts).all():
            return counts
    return weight / weight.mean()


def validate_held_out(
    estimator: BaseEstimator, given: Given, data: Data, targets: Targets
) -> Data | None:
    """Check and encode validation data given by the user."""
    X, y, sample_weight = given
    if X is None or y is None:
        for name, missing, value in (("X_val", "y_val", X), ("y_val", "X_val", y)):
            if value is not None:
                raise ValueError(f"{name} is provided, but {missing} was not provided.")
        if sample_weight is not None:
            raise ValueError("sample_weight_val is provided, but X_val was not provided.")
        return None
    with about("X_val"):
        X = validate_inputs(estimator, X, data.X.dtype, reset=False, ensure_min_samples=2)
    y = check_targets(y, targets.is_numeric, "y_val")
    with about("X_val and y_val"):
        check_consistent_length(X, y)
    with about("y_val"):
        Y = targets.encode(y, X.dtype, name="y_val")
    if Y.shape[1] != data.Y.shape[1]:
        raise ValueError(
            f"y_val has {Y.shape[1]} outputs, but the training targets have {data.Y.shape[1]}."
        )
    if sample_weight is not None:
        sample_weight = _relative_weight(sample_weight, X, "sample_weight_val").astype(X.dtype)
        if not sample_weight.any():
            raise ValueError("sample_weight_val is zero for every sample.")
    return Data(in_row_order(X), Y, sample_weight)


def column_off_scale(X: Any) -> tuple[int, float] | None:
    """Find the input whose scale is furthest above the one that the initial weights suit.

    Standardised inputs have a root mean square of 1, indicators and fractions less, small counts
    and codes about 10; pixels from 0 to 255 and raw measurements 80 and more.

    Returns
    -------
    column, root_mean_square : int, float
        None if no input is too large.
    """
    X = X[:: -(-X.shape[0] // _SCALE_ROWS)]
    if isinstance(X, np.ndarray):
        sums = np.einsum("ij,ij->j", X, X, dtype=np.float64)
    else:
        sums = np.asarray(X.astype(np.float64).power(2).sum(axis=0)).ravel()
    scales = np.sqrt(sums / X.shape[0])
    worst = int(scales.argmax())
    return (worst, float(scales[worst])) if scales[worst] > _LARGEST_SCALE else None


def split_validation(
    data: Data, targets: Targets, fraction: float, rng: np.random.RandomState
) -> tuple[Data, Data]:
    """Set aside a fraction of the rows as validation data."""
    n_samples = data.X.shape[0]
    try:
        rows, held_out_rows = train_test_split(
            np.arange(n_samples),
            random_state=rng,
            test_size=fraction,
            stratify=targets.strata(data.Y),
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} cannot split {n_samples} "
            f"samples: {error} Increase 'validation_fraction' or the size of your dataset, or give "
            "X_val and y_val."
        ) from error
    if len(held_out_rows) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            f"(now {fraction}) or the size of your dataset (now {n_samples} samples)."
        )
    return data.take(rows), data.take(held_out_rows)
