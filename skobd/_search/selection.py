"""Rules that choose a level, and a candidate, from cross-validated scores."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from .._mlp.c_code import count_bytes
from .._mlp.pipelines import last_step


def scored_folds(values: np.ndarray) -> np.ndarray:
    """Select the columns (folds) that are not NaN in every row; all of them if none has a value.

    A fold that failed at every level does not distinguish levels, but would make every mean NaN.
    """
    kept = ~np.isnan(values).all(axis=0)
    return values[:, kept] if kept.any() else values


def standard_errors(scores: np.ndarray) -> np.ndarray:
    """Compute standard errors of the mean over folds, shape (n_rows,), from (n_rows, n_folds).

    They cannot be estimated from a single fold; 0 is returned then.
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

    With few folds the error of a single row is subject to chance, and the rows are scored on the
    same folds; a candidate that diverges in one fold must not enlarge the median.
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


@dataclass(frozen=True, repr=False)
class BestWithin:
    """Rule that chooses the best level within a budget; made by `best_within`.

    Attributes
    ----------
    n_weights, n_bytes : int or None
    """

    n_weights: int | None
    n_bytes: int | None

    def __repr__(self) -> str:
        limits = ", ".join(f"{name}={limit}" for name, limit in self._limits().items())
        return f"best_within({limits})"

    def _limits(self) -> dict[str, int]:
        return {name: limit for name, limit in vars(self).items() if limit is not None}

    def __call__(self, results: dict[str, Any], metric: str = "score") -> int:
        """Choose a row of ``cv_results_``, which is within the budget in every fold."""
        means = np.asarray(results[f"mean_test_{metric}"], dtype=np.float64)
        is_allowed, smallest = np.isfinite(means), {}
        for name, limit in self._limits().items():
            columns = [results[key] for key in results if re.fullmatch(rf"split\d+_{name}", key)]
            largest = np.fmax.reduce(np.asarray(columns, dtype=np.float64))
            smallest[name] = np.fmin.reduce(largest)
            is_allowed &= largest <= limit
        if not is_allowed.any():
            raise self._error("no level has a score and is that small in every fold", smallest)
        return _smallest(
            np.flatnonzero(is_allowed & (means == means[is_allowed].max())),
            np.asarray(results["mean_n_weights"], dtype=np.float64),
            means,
        )

    def sizes(self, estimator: Any) -> dict[str, int]:
        """Count the quantities of a fitted estimator that the budget limits."""
        counts = {"n_weights": lambda: last_step(estimator).n_weights_}
        counts["n_bytes"] = lambda: count_bytes(estimator)
        return {name: counts[name]() for name in self._limits()}

    def allows(self, sizes: dict[str, int]) -> bool:
        """Return whether these are within the budget."""
        return all(sizes[name] <= limit for name, limit in self._limits().items())

    def exceeded(self, reached: list[dict[str, int]]) -> ValueError:
        """Make the error if no network fitted on all data, of these sizes, is within the budget."""
        smallest = {name: min(sizes[name] for sizes in reached) for name in self._limits()}
        return self._error("the networks fitted on all data are larger", smallest)

    def _error(self, what: str, smallest: dict[str, Any]) -> ValueError:
        reached = " and ".join(f"{name} is {value:.0f}" for name, value in smallest.items())
        return ValueError(
            f"{self!r} cannot be met: {what}. The smallest {reached}. Give a larger budget, or "
            "sparser levels (prune_fractions or sizes), or smaller candidates."
        )


def best_within(*, n_weights: int | None = None, n_bytes: int | None = None) -> BestWithin:
    """Make a rule for ``selection`` that chooses the best network within a budget.

    Among the levels (of all candidates) that are within the budget in every fold, it takes the one
    with the best mean score; among equals the smallest. The budget holds for the final network: if
    the one fitted on all data exceeds it, the next sparser levels of the same candidate are tried.

    Parameters
    ----------
    n_weights : int, default=None
        Largest number of weights that may be left, without intercepts.
    n_bytes : int, default=None
        Largest number of bytes of constants that `to_c` may write for the model with its defaults:
        weights in 8 bits, transformers included. If those cannot be written in C, only the network
        counts. If both limits are given, both hold.

    Returns
    -------
    rule : callable
        Rule for ``selection`` of `PruningSearchCV` and `OBDFeatureSelector`; it takes
        ``cv_results_`` and returns the index of a row, as in ``GridSearchCV(refit=callable)``.

    Raises
    ------
    ValueError
        If no limit is given, or one below 1. In ``fit``, if nothing is within the budget.
    TypeError
        If a limit is not a whole number.

    See Also
    --------
    PruningSearchCV : Chooses a level by cross-validation.
    to_c : Writes C code, whose ``constant_bytes`` are limited by ``n_bytes``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skobd import OBDMLPClassifier, PruningSearchCV, best_within
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = OBDMLPClassifier((5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0)
    >>> search = PruningSearchCV(clf, sizes=[30, 20, 10, 5], selection=best_within(n_weights=15))
    >>> search.fit(X, y).best_estimator_.n_weights_ <= 15
    True
    """
    limits = {"n_weights": n_weights, "n_bytes": n_bytes}
    if n_weights is None and n_bytes is None:
        raise ValueError("best_within needs a budget: give n_weights, n_bytes or both.")
    for name, limit in limits.items():
        if limit is None:
            continue
        if isinstance(limit, bool | np.bool_) or not isinstance(limit, Integral):
            raise TypeError(f"{name} of best_within must be a whole number, got {limit!r}.")
        if limit < 1:
            raise ValueError(f"{name} of best_within must be at least 1, got {limit!r}.")
    return BestWithin(**limits)


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
        given ``results`` and returns the index; `BestWithin` also the name of the score.

    Returns
    -------
    index : int
    """
    n_rows = len(results["params"])
    if callable(selection):
        is_ours = isinstance(selection, BestWithin)
        index = selection(results, metric) if is_ours else selection(results)
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
