"""The folds that a splitter makes."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

from .folds import Rows


def make_splits(
    cv: Any, rows: Rows, estimator: Any, split_params: dict[str, Any]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of each fold.

    Splits with nothing to train or to score on are refused before any work.
    """
    splitter = check_cv(cv, rows.y, classifier=is_classifier(estimator))
    splits = list(splitter.split(rows.X, rows.y, **split_params))
    if not splits:
        raise ValueError(f"cv={cv!r} made no splits.")
    for index, (train, test) in enumerate(splits):
        for part, use in ((train, "training"), (test, "test")):
            if len(part) == 0:
                raise ValueError(f"Split {index} of cv has no {use} rows.")
    return splits
