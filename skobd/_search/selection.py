"""Rules that choose a level, and a candidate, from cross-validated scores."""

from collections.abc import Callable
from numbers import Integral

import numpy as np


def scored_folds(values: np.ndarray) -> np.ndarray:
    """Select the columns (folds) that are not NaN in every row; all of them if none has a value.

    A fold that failed at every level says nothing about the levels, but a NaN in every mean
    would let it decide everything.
    """
    kept = ~np.isnan(values).all(axis=0)
    return values[:, kept] if kept.any() else values


def standard_errors(scores: np.ndarray) -> np.ndarray:
    """Compute standard errors of the mean over folds, shape (n_rows,), from (n_rows, n_folds).

    With a single fold it cannot be estimated, and 0 is returned.
    """
    n_folds = scores.shape[1]
    if n_folds < 2:
        return np.zeros(len(scores))
    with np.errstate(invalid="ignore"):  # infinite scores have no spread
        return scores.std(axis=1, ddof=1) / np.sqrt(n_folds)


def _smallest(rows: np.ndarray, sizes: np.ndarray, means: np.ndarray) -> int:
    """Find the row of the smallest network; among equals the best score, then the first."""
    # A network of unknown size counts as the largest.
    known = np.where(np.isfinite(sizes[rows]), sizes[rows], np.inf)
    return int(rows[np.lexsort((-means[rows], known))[0]])


def median_error(means: np.ndarray, errors: np.ndarray) -> float:
    """Compute the median of the standard errors of all rows whose mean score is finite.

    With few folds the error of a single row is a matter of chance, and the rows are scored on the
    same folds; a candidate that diverges in one of them must not widen it.
    """
    known = errors[np.isfinite(means) & np.isfinite(errors)]
    return float(np.median(known)) if len(known) else 0.0


def best_and_threshold(
    means: np.ndarray, errors: np.ndarray, sizes: np.ndarray
) -> tuple[int, float]:
    """Find the row of the best mean score, and the least score within one standard error of it.

    The standard error is the median over all rows, `median_error`. Among equal means the smallest
    network counts as the best; means that are not finite do not count.

    Parameters
    ----------
    means, errors : ndarray of shape (n_rows,)
        Mean scores, at least one of them finite, and their standard errors.
    sizes : ndarray of shape (n_rows,)
        Weights of the networks.

    Returns
    -------
    best : int
    threshold : float
    """
    error = median_error(means, errors)
    means = np.where(np.isfinite(means), means, -np.inf)
    best = _smallest(np.flatnonzero(means == means.max()), sizes, means)
    return best, float(means[best] - error)


def select_level(results: dict, metric: str, selection: str | Callable) -> int:
    """Choose a row of ``cv_results_``: a candidate at a level.

    Rows whose mean score is not finite cannot be chosen.

    Parameters
    ----------
    results : dict of ndarray
        As `PruningSearchCV.cv_results_`: ``mean_test_<metric>``, ``sem_test_<metric>`` and
        ``mean_n_weights``.
    metric : str
        Name of the score.
    selection : {"best", "one_standard_error"} or callable
        "best": the highest mean score. "one_standard_error": the network of fewest weights whose
        mean score is at least the best one's minus one standard error (Breiman, Friedman,
        Olshen & Stone, 1984, section 3.4.3), here `median_error`, over all rows. A callable is
        given ``results`` and returns the index.

    Returns
    -------
    index : int
    """
    n_rows = len(results["params"])
    if callable(selection):
        index = selection(results)
        if not isinstance(index, Integral):
            raise TypeError(f"selection returned {index!r}; it must return an integer.")
        if int(index) not in range(n_rows):
            raise IndexError(f"selection returned {index}; it must be in [0, {n_rows}).")
        return int(index)
    means, errors, sizes = (
        np.asarray(results[name], dtype=np.float64)
        for name in (f"mean_test_{metric}", f"sem_test_{metric}", "mean_n_weights")
    )
    if not np.isfinite(means).any():
        raise ValueError(
            f"No level can be chosen: mean_test_{metric} is finite at none, {means.tolist()}. "
            "Use error_score='raise' to see what went wrong, or refit=False to get cv_results_."
        )
    best, threshold = best_and_threshold(means, errors, sizes)
    if selection == "best":
        return best
    within = np.flatnonzero(np.isfinite(means) & (means >= threshold))
    return _smallest(within, sizes, means)
