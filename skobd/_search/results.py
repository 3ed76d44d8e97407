"""The table of a search, ``cv_results_``, from the results of its folds, and its failures."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import compress
from operator import attrgetter
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.exceptions import FitFailedWarning

from .._prune.schedule import Levels
from .._sklearn_compat import _yield_masked_array_for_each_param
from .._warnings import LeftOutWarning, warn_user
from .candidates import Candidate, Row, candidate_names, level_of
from .scoring import LevelResult, Scores
from .selection import scored_folds, standard_errors

Folds = Sequence[Sequence[LevelResult]]


def score_names(folds: Folds) -> list[str] | None:
    """List the names of the scores; None for a single score without a name."""
    for fold in folds:
        for level in fold:
            if isinstance(level.test_scores, dict):
                return list(level.test_scores)
    return None


def warn_of_failures(folds: Folds, error_score: Any) -> None:
    """Warn of the fits that failed and say why; raise an error if all of them did."""
    rows = [level for fold in folds for level in fold]
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


def first_cause(folds: Folds) -> Exception | None:
    """Find the first error of a fit or a score, fold by fold."""
    causes = (level.cause for fold in folds for level in fold)
    return next((cause for cause in causes if cause is not None), None)


def describe(error: Exception | None) -> str:
    """Describe an error by its kind and its text."""
    return f"{type(error).__name__}: {error}"


def leave_out(
    candidates: Sequence[Candidate], levels: Levels, folds: Folds
) -> tuple[list[Row], list[list[LevelResult]]]:
    """Leave out the sizes that a candidate's network cannot have in some fold, and say why.

    Returns
    -------
    rows : list of Row
    folds : list of list of LevelResult
        The results of these rows.
    """
    # The reason may come from any fold.
    reasons = [max(level.left_out for level in row) for row in zip(*folds, strict=True)]
    rows: list[Row] = []
    told = []
    for number, candidate in enumerate(candidates):
        reason_of = dict(zip(levels.values, reasons[number * len(levels.values) :], strict=False))
        kept = replace(levels, values=tuple(v for v in levels.values if not reason_of[v]))
        rows += [Row(candidate, kept.upto(index)) for index in range(len(kept.values))]
        if left_out := [value for value in levels.values if reason_of[value]]:
            of = f" of {candidate.params}" if candidate.params else ""
            told.append(f"sizes={left_out}{of}: {max(reason_of.values())}")
    if told and not rows:
        raise ValueError(f"No candidate can have any of the sizes. {'; '.join(told)}.")
    if told:
        warn_user(
            f"Sizes are left out that a candidate cannot have. {'; '.join(told)}.", LeftOutWarning
        )
    is_kept = [not reason for reason in reasons]
    return rows, [list(compress(fold, is_kept)) for fold in folds]


def params_of(rows: Sequence[Row], folds: Folds) -> list[dict[str, Any]]:
    """Return the parameters of each row; a size becomes its fraction in the first known fold."""
    fractions = np.array([[level.fraction for level in fold] for fold in folds])
    first = np.argmin(np.isnan(fractions), axis=0)
    known = fractions[first, np.arange(len(rows))].tolist()
    return [row.candidate.at(fraction) for row, fraction in zip(rows, known, strict=True)]


def tabulate(params: list[dict[str, Any]], folds: Folds) -> dict[str, Any]:
    """Make ``cv_results_``, with the columns of `GridSearchCV` and those of pruning."""
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
        if folds[0][0].train_scores is not None:
            _add_scores(results, f"train_{score}", _column(folds, _score_of("train_scores", score)))
    for name in _count_names(folds):
        counts = _column(folds, _count_of(name), dtype=None)
        _add_splits(results, name, counts)
        results[f"mean_{name}"] = scored_folds(counts).mean(axis=1)
    for score, scores in tests.items():
        results[f"sem_test_{score}"] = standard_errors(scored_folds(scores))
    return results


def _column(
    folds: Folds, get: Callable[[LevelResult], float], dtype: Any = np.float64
) -> np.ndarray:
    """Gather a number for each level (row) and fold (column)."""
    return np.array([[get(level) for level in fold] for fold in folds], dtype=dtype).T


def _score_of(kind: str, name: str) -> Callable[[LevelResult], float]:
    def get(level: LevelResult) -> float:
        scores: Scores = getattr(level, kind)
        # If scoring failed, one number stands for every name.
        return scores[name] if isinstance(scores, dict) else scores

    return get


def _count_names(folds: Folds) -> list[str]:
    """List what was counted at any level; the weights always are."""
    names = [name for fold in folds for level in fold for name in level.counts]
    return list(dict.fromkeys(["n_weights", *names]))


def _count_of(name: str) -> Callable[[LevelResult], float]:
    return lambda level: level.counts.get(name, np.nan)


def _add_splits(results: dict[str, Any], name: str, values: np.ndarray) -> None:
    for index, column in enumerate(values.T):
        results[f"split{index}_{name}"] = column


def _add_scores(results: dict[str, Any], name: str, scores: np.ndarray) -> None:
    """Add the scores of the folds and their statistics; folds without any score do not count."""
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
    """Compute mean and standard deviation over the folds."""
    with np.errstate(invalid="ignore"):  # infinite scores have no spread
        mean = values.mean(axis=1)
        return mean, np.sqrt(((values - mean[:, np.newaxis]) ** 2).mean(axis=1))


def print_levels(results: dict[str, Any], metric: str, best_index: int) -> None:
    """Print a line for every row of ``cv_results_`` and mark the chosen one."""
    columns = ("mean_n_weights", f"mean_test_{metric}", f"sem_test_{metric}")
    rows = zip(*(results[name] for name in columns), strict=True)
    names = candidate_names(results["params"])
    for index, (n_weights, mean, error) in enumerate(rows):
        level = results["size"][index] if "size" in results else level_of(results["params"][index])
        name = f"{'size' if 'size' in results else 'level'} {level:g}"
        if names is not None:
            name = f"{names[index]}, {name}"
        mark = "  <- chosen" if index == best_index else ""
        print(f"{name}: {n_weights:.0f} weights, {metric} {mean:.4f} +- {error:.4f}{mark}")
