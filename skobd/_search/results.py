"""The table of a search, ``cv_results_``, from the results of its folds."""

from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.exceptions import FitFailedWarning

from .._sklearn_compat import _yield_masked_array_for_each_param
from .._warnings import warn_user
from .folds import FoldResult, LevelResult, Scores
from .selection import scored_folds, standard_errors


def score_names(folds: Sequence[FoldResult]) -> list[str] | None:
    """Names of the scores; None for one without a name."""
    for fold in folds:
        for level in fold.levels:
            if isinstance(level.test_scores, dict):
                return list(level.test_scores)
    return None


def warn_of_failures(folds: Sequence[FoldResult], error_score: Any) -> None:
    """Say which fits failed and why; an error if all of them did."""
    rows = [level for fold in folds for level in fold.levels]
    errors = Counter(row.error for row in rows if row.error is not None)
    if not errors:
        return
    details = "\n".join(
        f"{'-' * 80}\n{n} fits failed with the following error:\n{error}"
        for error, n in errors.items()
    )
    details = f"Below are more details about the failures:\n{details}"
    if errors.total() == len(rows):
        cause = first_cause(folds)
        raise ValueError(
            f"All the {len(rows)} fits failed, the first one because of: {describe(cause)}\n\n"
            f"Use error_score='raise' to see where.\n\n{details}"
        ) from cause
    warn_user(
        f"{errors.total()} fits failed out of a total of {len(rows)}. Their scores are set to "
        f"{error_score}; use error_score='raise' to see where.\n\n{details}",
        FitFailedWarning,
    )


def first_cause(folds: Sequence[FoldResult]) -> Exception | None:
    """The first error of a fit or a score, fold by fold."""
    causes = (level.cause for fold in folds for level in fold.levels)
    return next((cause for cause in causes if cause is not None), None)


def describe(error: Exception | None) -> str:
    """Its kind and its text."""
    return f"{type(error).__name__}: {error}"


def join(candidates: Sequence[Sequence[FoldResult]]) -> list[FoldResult]:
    """Folds whose levels are those of all candidates, one candidate after the other."""
    return [
        FoldResult(
            levels=[level for fold in folds for level in fold.levels],
            path=None,
            warned=[warned for fold in folds for warned in fold.warned],
        )
        for folds in zip(*candidates, strict=True)
    ]


def tabulate(params: list[dict[str, Any]], folds: Sequence[FoldResult]) -> dict[str, Any]:
    """`PruningSearchCV.cv_results_`, with the columns of `GridSearchCV` and those of pruning."""
    results: dict[str, Any] = {}
    for kind in ("fit_time", "score_time"):
        times = _column(folds, attrgetter(kind))
        results[f"mean_{kind}"], results[f"std_{kind}"] = _mean_and_std(times)
    results.update(_yield_masked_array_for_each_param(params))
    results["params"] = params
    tests = {
        score: _column(folds, _score_of("test_scores", score))
        for score in score_names(folds) or ["score"]
    }
    for score, scores in tests.items():
        _add_scores(results, f"test_{score}", scores)
        if folds[0].levels[0].train_scores is not None:
            _add_scores(results, f"train_{score}", _column(folds, _score_of("train_scores", score)))
    for name in _count_names(folds):
        counts = _column(folds, _count_of(name), dtype=None)
        _add_splits(results, name, counts)
        results[f"mean_{name}"] = scored_folds(counts).mean(axis=1)
    for score, scores in tests.items():
        results[f"sem_test_{score}"] = standard_errors(scored_folds(scores))
    return results


def _column(
    folds: Sequence[FoldResult], get: Callable[[LevelResult], float], dtype: Any = np.float64
) -> np.ndarray:
    """A number of each level (row) and fold (column)."""
    return np.array([[get(level) for level in fold.levels] for fold in folds], dtype=dtype).T


def _score_of(kind: str, name: str) -> Callable[[LevelResult], float]:
    def get(level: LevelResult) -> float:
        scores: Scores = getattr(level, kind)
        # Where nothing could be scored there is one number for every name.
        return scores[name] if isinstance(scores, dict) else scores

    return get


def _count_names(folds: Sequence[FoldResult]) -> list[str]:
    """What was counted at any level; the weights always."""
    names = [name for fold in folds for level in fold.levels for name in level.counts]
    return list(dict.fromkeys(["n_weights", *names]))


def _count_of(name: str) -> Callable[[LevelResult], float]:
    return lambda level: level.counts.get(name, np.nan)


def _add_splits(results: dict[str, Any], name: str, values: np.ndarray) -> None:
    for index, column in enumerate(values.T):
        results[f"split{index}_{name}"] = column


def _add_scores(results: dict[str, Any], name: str, scores: np.ndarray) -> None:
    """Scores of the folds and their statistics, from which folds without any are left out."""
    _add_splits(results, name, scores)
    with np.errstate(invalid="ignore"):
        overall = scores.mean(axis=1)
    if not np.isfinite(overall).all():
        warn_user(f"One or more of the {name.split('_')[0]} scores are non-finite: {overall}")
    scores = scored_folds(scores)
    mean, std = _mean_and_std(scores)
    results[f"mean_{name}"], results[f"std_{name}"] = mean, std
    if name.startswith("test_"):
        filled = np.where(np.isnan(mean), -np.inf, mean)
        results[f"rank_{name}"] = rankdata(-filled, method="min").astype(np.int32)


def _mean_and_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Over the folds."""
    with np.errstate(invalid="ignore"):  # infinite scores have no spread
        mean = values.mean(axis=1)
        return mean, np.sqrt(((values - mean[:, np.newaxis]) ** 2).mean(axis=1))
