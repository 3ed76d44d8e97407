"""The folds that a splitter makes."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

from .._mlp.messages import about
from .._sklearn_compat import _num_samples
from .folds import Rows


def make_splits(
    cv: Any, rows: Rows, estimator: Any, split_params: dict[str, Any]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of each fold.

    Splits with nothing to train or to score on are refused before any work.
    """
    splitter = check_cv(cv, rows.y, classifier=is_classifier(estimator))
    with about("cv must make pairs of training and test rows"):
        splits = [(train, test) for train, test in splitter.split(rows.X, rows.y, **split_params)]
    if not splits:
        raise ValueError(f"cv={cv!r} made no splits.")
    n_rows = _num_samples(rows.X)
    for index, split in enumerate(splits):
        for part, use in zip(split, ("training", "test"), strict=True):
            _check_rows(part, n_rows, f"Split {index} of cv", use)
    return splits


def _check_rows(part: Any, n_rows: int, name: str, use: str) -> None:
    """Refuse what chooses no rows: numbers of rows, or a mask over all of them."""
    chosen = np.asarray(part)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "biu"):
        raise ValueError(
            f"{name} must have the numbers of its {use} rows, or a mask over all rows, got "
            f"{part!r}."
        )
    if chosen.dtype.kind == "b":
        if len(chosen) != n_rows:
            raise ValueError(
                f"{name} has a mask over {len(chosen)} {use} rows, but X has {n_rows} rows."
            )
        chosen = np.flatnonzero(chosen)
    if not chosen.size:
        raise ValueError(f"{name} has no {use} rows.")
    outside = chosen[(chosen < -n_rows) | (chosen >= n_rows)]
    if outside.size:
        raise ValueError(
            f"{name} has the {use} row {outside[0]}, but X has {n_rows} rows, 0 to {n_rows - 1}."
        )
