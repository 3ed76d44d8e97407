"""What the search and the selector have in common as estimators around an estimator."""

from collections.abc import Callable, Iterable
from numbers import Number
from typing import Any, NamedTuple

from sklearn import get_config

from .._mlp.messages import about
from .._mlp.session import all_or_nothing
from .._sklearn_compat import _check_method_params, _num_samples
from .._warnings import collected_warnings, warn_once, warn_user
from .folds import FoldResult


class Routed(NamedTuple):
    """Metadata for the estimator, the scorer and the splitter."""

    fit: dict[str, Any]
    score: dict[str, Any]
    split: dict[str, Any]


def is_routing() -> bool:
    """Whether scikit-learn routes metadata."""
    return get_config()["enable_metadata_routing"]


def check_metadata(X: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Metadata as arrays; refused are weights and groups that are not one for each row."""
    n_rows = _num_samples(X)
    for name, values in params.items():
        is_of_rows = name.rpartition("__")[2] in ("sample_weight", "groups")
        # A single number weighs all rows.
        if not is_of_rows or values is None or isinstance(values, Number):
            continue
        with about(name):
            n_values = _num_samples(values)
        if n_values != n_rows:
            raise ValueError(
                f"{name} must have one entry for each of the {n_rows} rows of X, got {n_values}."
            )
    return _check_method_params(X, params=params)


def fit_anew(estimator: Any, fit: Callable[[], None]) -> None:
    """Fit an estimator that keeps nothing of an earlier fit, or is left as it was.

    Warnings that are repeated are told once.
    """
    with all_or_nothing(estimator):
        for attribute in [name for name in vars(estimator) if name.endswith("_")]:
            # An earlier fit may have had other options.
            delattr(estimator, attribute)
        with collected_warnings() as warned:
            fit()
        warn_once(warned)


def pass_on_warnings(folds: Iterable[FoldResult]) -> None:
    """Tell what was collected where the folds were fitted, maybe in other processes."""
    for warned in (warned for fold in folds for warned in fold.warned):
        warn_user(warned.message, warned.category)
