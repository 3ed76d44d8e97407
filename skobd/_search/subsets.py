"""Rows of the data with their metadata, and the splits of a splitter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Number
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

from .._mlp.callbacks import metadata_of
from .._mlp.messages import about
from .._sklearn_compat import _check_method_params, _num_samples, _safe_split


@dataclass(frozen=True)
class Subset:
    """Some or all rows of the data, with their metadata for fit and for the scorer."""

    X: Any
    y: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]

    def take(self, estimator: Any, rows: np.ndarray, train: np.ndarray | None = None) -> "Subset":
        """Select some of the rows; ``train`` selects the columns of a precomputed kernel."""
        X, y = _safe_split(estimator, self.X, self.y, rows, train)
        fit_params, score_params = (
            _check_method_params(self.X, params=params, indices=rows)
            for params in (self.fit_params, self.score_params)
        )
        return Subset(X, y, fit_params, score_params)

    def transformed(self, steps: Sequence[Any]) -> "Subset":
        """Pass the rows through some transformers."""
        X = self.X
        for step in steps:
            X = step.transform(X)
        return replace(self, X=X)

    def fit(self, estimator: Any) -> None:
        """Fit an estimator to the rows."""
        estimator.fit(self.X, self.y, **self.fit_params)

    def as_shown(self, caller: Any) -> dict[str, Any]:
        """Return the arguments of the hooks of callbacks."""
        metadata = metadata_of(self.fit_params.get("sample_weight"))
        return {"estimator": caller, "X": self.X, "y": self.y, "metadata": metadata}


def check_metadata(X: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Return metadata as arrays; weights and groups must have one entry for each row."""
    n_rows = _num_samples(X)
    for name, values in params.items():
        is_of_rows = name.rpartition("__")[2] in ("sample_weight", "groups")
        # A single number is the weight of all rows.
        if not is_of_rows or values is None or isinstance(values, Number):
            continue
        with about(name):
            n_values = _num_samples(values)
        if n_values != n_rows:
            raise ValueError(
                f"{name} must have one entry for each of the {n_rows} rows of X, got {n_values}."
            )
    return _check_method_params(X, params=params)


def make_splits(
    cv: Any, data: Subset, estimator: Any, split_params: dict[str, Any]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the rows into training and test rows, once for each fold.

    Splits with nothing to train or to score on are refused before any work.
    """
    splitter = check_cv(cv, data.y, classifier=is_classifier(estimator))
    with about("cv must make pairs of training and test rows"):
        splits = [(train, test) for train, test in splitter.split(data.X, data.y, **split_params)]
    if not splits:
        raise ValueError(f"cv={cv!r} made no splits.")
    n_rows = _num_samples(data.X)
    for index, split in enumerate(splits):
        for part, use in zip(split, ("training", "test"), strict=True):
            _check_rows(part, n_rows, f"Split {index} of cv", use)
    return splits


def _check_rows(part: Any, n_rows: int, name: str, use: str) -> None:
    """Refuse anything but row numbers, or a mask over all rows, that selects some."""
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
