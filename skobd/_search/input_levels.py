"""Levels of a path that deletes whole inputs, and the columns left at each of them."""

import math
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array

from .._mlp.column_sources import check_one_to_one, column_of_inputs
from .._mlp.feature_groups import members_by_key
from .._mlp.messages import about
from .._mlp.path import PruningPath
from .._mlp.pipelines import last_step
from .._prune.schedule import Levels, geometric_levels, survivors_at
from .._sklearn_compat import Interval, RealNotInt, _num_features
from .._warnings import warn_user
from .candidates import checked_clone
from .recorder import with_recorder

SELECTION_CONSTRAINTS: dict = {
    "estimator": "no_validation",
    "n_features_to_select": [
        None,
        Interval(RealNotInt, 0, 1, closed="right"),
        Interval(Integral, 1, None, closed="left"),
    ],
}
DEFAULT_STEP = 0.35


def clone_for_inputs(estimator: Any) -> Any:
    """Clone an estimator so that its network is pruned by whole inputs.

    Raises
    ------
    TypeError
        If there is no OBD estimator inside.
    """
    estimator = checked_clone(estimator)
    last_step(estimator).set_params(granularity="feature")
    return estimator


def count_columns(X: Any) -> int:
    """Count the columns; without any, scikit-learn raises its usual error."""
    try:
        n_columns = _num_features(X)
    except TypeError:
        n_columns = 0
    if not n_columns:
        with about("X"):
            check_array(X, accept_sparse=True, dtype=None, ensure_all_finite=False)
    return n_columns


def count_inputs(estimator: Any, n_columns: int) -> int:
    """Count the inputs that can be deleted: groups of columns, and columns outside them."""
    groups = last_step(estimator).feature_groups
    if groups is None:
        return n_columns
    try:
        members = members_by_key(groups).values()
        return max(n_columns - sum(len(group) - 1 for group in members), 1)
    except (TypeError, ValueError):
        # The groups are invalid, and fit will raise an error.
        return n_columns


def with_input_recorder(estimator: Any, levels: Levels, X: Any) -> Any:
    """Add a recorder that refuses transformers unless they keep columns one to one."""

    def check_inputs(arrived: Any) -> None:
        check_one_to_one(estimator, X, arrived)

    return with_recorder(estimator, levels, check_inputs)


def column_masks(path: PruningPath, n_columns: int) -> np.ndarray:
    """Mark the columns of ``X`` that are left at each level, shape (n_levels, n_columns).

    Transformers, such as a `ColumnTransformer`, may pass them to the network in another order.
    """
    masks = np.empty((len(path["steps"]), n_columns), dtype=bool)
    masks[:, column_of_inputs(path["estimator"], n_columns)] = path.input_masks()
    return masks


def falling_counts(n_total: int, n_left: int, step: float) -> list[int]:
    """Count the inputs left at each level, from all of them down to ``n_left``.

    Parameters
    ----------
    n_total, n_left : int
    step : int or float
        Most inputs to delete at each level: a number, or a fraction of those left, which is reduced
        until it is the same at all levels.
    """
    if isinstance(step, Integral) or step * n_total < 1:
        step = max(1, int(step))
        return [*range(n_total, n_left, -step), n_left]
    if n_left == n_total:
        return [n_total]
    n_levels = math.ceil(math.log(n_left / n_total) / math.log1p(-step))
    levels = geometric_levels(1 - n_left / n_total, n_levels)
    return sorted({n_total, *survivors_at(levels, n_total)}, reverse=True)


def input_counts(n_total: int, asked: float | None, step: float = DEFAULT_STEP) -> list[int]:
    """Compute `falling_counts` to the number or fraction of inputs asked for; None: half."""
    if asked is None:
        asked = 0.5
    n_left = int(asked) if isinstance(asked, Integral) else max(int(asked * n_total), 1)
    if n_left > n_total:
        warn_user(
            f"n_features_to_select={asked} is more than the {n_total} inputs there are; all are "
            "kept."
        )
    return falling_counts(n_total, min(n_left, n_total), step)
