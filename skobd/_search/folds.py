"""Paths fitted on the training rows of each fold and scored on its test rows, in parallel."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from joblib import cpu_count, effective_n_jobs
from sklearn.base import clone, is_classifier
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed

from .._mlp.c_code import count_bytes
from .._mlp.messages import tell
from .._mlp.path import PruningPath
from .._mlp.pipelines import last_step_name
from .._prune.schedule import Levels, NoSuchSizeError
from .._sklearn_compat import _check_sample_weight
from .._threads import reproducible_threads
from .._warnings import (
    LeftOutWarning,
    NothingLeftWarning,
    PendingWarning,
    collected_warnings,
    give_warnings,
)
from .candidates import Candidate
from .recorder import recorded_path, with_recorder
from .scoring import LevelResult, Scoring, score_levels
from .subsets import Subset

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class FoldSettings:
    """Settings that all folds share.

    Attributes
    ----------
    caller : PruningSearchCV or OBDFeatureSelector
        Estimator that callbacks receive; its ``n_jobs`` and ``verbose`` apply.
    data : Subset
        All rows.
    levels : Levels
    scoring : Scoring
    """

    caller: Any
    data: Subset
    levels: Levels
    scoring: Scoring


@dataclass(frozen=True)
class Fold:
    """One split of the data, and the candidate that is fitted to it.

    Attributes
    ----------
    index : int
    name : str
        Beginning of the printed lines.
    estimator : object
        Clone that the fold may change.
    train, test : ndarray
        Training and test rows.
    context : CallbackContext
        The fold's task.
    """

    index: int
    name: str
    estimator: Any
    train: np.ndarray
    test: np.ndarray
    context: Any


def run_folds(
    settings: FoldSettings,
    candidates: Sequence[Candidate],
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    root: Any,
) -> list[list[LevelResult]]:
    """Fit and score one path for each candidate and split, in parallel.

    Parameters
    ----------
    settings : FoldSettings
    candidates : sequence of Candidate
    splits : sequence of tuple of two ndarray
        Training and test rows of each fold.
    root : CallbackContext
        The fit's task.

    Returns
    -------
    folds : list of list of LevelResult
        Levels of all candidates for each fold, one candidate after the other.
    """
    caller, n_paths = settings.caller, len(candidates) * len(splits)
    context = root.subcontext(task_name="search", max_subtasks=n_paths, sequential_subtasks=False)
    context.call_on_fit_task_begin(estimator=caller)
    # Made before the parallel loop, which pickles the tree to which their contexts belong.
    folds = [
        Fold(
            index=index,
            name=f"candidate {number + 1:2d}, " * (len(candidates) > 1) + f"fold {index + 1:2d}",
            estimator=clone(candidate.estimator),
            train=train,
            test=test,
            context=context.subcontext(task_name="fold", task_id=number * len(splits) + index),
        )
        for number, candidate in enumerate(candidates)
        for index, (train, test) in enumerate(splits)
    ]
    results = in_parallel(partial(_run_fold, settings), folds, caller.n_jobs)
    context.call_on_fit_task_end(estimator=caller)
    return [list(chain(*results[index :: len(splits)])) for index in range(len(splits))]


def _run_fold(settings: FoldSettings, fold: Fold) -> list[LevelResult]:
    """Fit one path on the training rows, and score it at every level."""
    data, scoring, verbose = settings.data, settings.scoring, settings.caller.verbose
    train = data.take(fold.estimator, fold.train)
    test = data.take(fold.estimator, fold.test, fold.train)
    estimator = with_recorder(fold.estimator, settings.levels)
    error: Exception | None = None
    start = time.perf_counter()
    try:
        _check_classes(fold, data.y, train, test)
        fit_task(fold.context, estimator, train, settings.caller)
    except Exception as raised:
        if scoring.error_score == "raise" and not isinstance(raised, NoSuchSizeError):
            raise
        error = raised
    path, seconds = recorded_path(estimator), time.perf_counter() - start
    results = score_levels(scoring, path, settings.levels, (train, test), seconds, error)
    if path is not None and getattr(settings.caller.selection, "n_bytes", None) is not None:
        results = [_with_bytes(result, path) for result in results]
    if verbose:
        _print_fold(fold.name, verbose, path, results, time.perf_counter() - start)
    return results


def _with_bytes(result: LevelResult, path: PruningPath) -> LevelResult:
    """Add the bytes of the network in C, if the level was reached."""
    if not result.counts:
        return result
    index = path["prune_fractions"].tolist().index(result.fraction)
    n_bytes = count_bytes(path.estimator_at(index))
    return replace(result, counts={**result.counts, "n_bytes": n_bytes})


def fit_task(context: Any, estimator: Any, subset: Subset, caller: Any) -> None:
    """Fit an estimator, which inherits the callbacks, as a task of the caller."""
    shown = subset.as_shown(caller)
    try:
        with context.propagate_callback_context(estimator):
            context.call_on_fit_task_begin(**shown)
            subset.fit(estimator)
    finally:
        context.call_on_fit_task_end(**shown)


def _check_classes(fold: Fold, y: Any, train: Subset, test: Subset) -> None:
    """Refuse test rows of a class that the training rows do not have."""
    if not is_classifier(fold.estimator) or type_of_target(y) not in ("binary", "multiclass"):
        return
    trained, tested = (_labels_that_count(fold.estimator, rows) for rows in (train, test))
    missing = np.setdiff1d(tested, trained)
    if missing.size:
        rows = "rows" if len(trained) == len(np.ravel(train.y)) else "rows of positive weight"
        raise ValueError(
            f"Split {fold.index} of cv has no training {rows} of the classes {missing.tolist()}, "
            "which its test rows have; use a stratified or shuffled cv, or leave such classes out."
        )


def _labels_that_count(estimator: Any, rows: Subset) -> np.ndarray:
    """Labels of the rows that the network is trained on, which are those of a weight above 0."""
    labels = np.ravel(rows.y)
    weight = rows.fit_params.get("sample_weight")
    if weight is None:
        weight = rows.fit_params.get(f"{last_step_name(estimator)}__sample_weight")
    return labels if weight is None else labels[_check_sample_weight(weight, rows.y) > 0]


# ---------------------------------------------------------------------- in parallel


def in_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], n_jobs: int | None
) -> list[Result]:
    """Call a function that fits for each item, and pass its warnings on by `give_warnings`."""
    n_threads = max(1, cpu_count() // min(effective_n_jobs(n_jobs), len(items)))
    calls = Parallel(n_jobs=n_jobs)(
        delayed(_call)(function, item, n_threads, os.getpid()) for item in items
    )
    give_warnings(chain.from_iterable(warned for _, warned in calls))
    return [result for result, _ in calls]


def _call(
    function: Callable[[Item], Result], item: Item, n_threads: int, pid: int
) -> tuple[Result, list[PendingWarning]]:
    with collected_warnings() as collected, _limited_threads(n_threads, pid):
        result = function(item)
    # A level that leaves nothing is one of many to compare, and matters only if it is chosen.
    # The search itself warns of sizes that are left out.
    untold = (NothingLeftWarning, LeftOutWarning)
    return result, [one for one in collected if one.category not in untold]


def _limited_threads(n_threads: int, pid: int) -> AbstractContextManager[None]:
    """Give each worker of the process ``pid`` ``n_threads`` cores, so that they share them all.

    Workers in processes of their own are limited by joblib.
    """
    if os.getpid() == pid and n_threads < cpu_count():
        return reproducible_threads(n_threads)
    return nullcontext()


# ---------------------------------------------------------------------- progress


def _print_fold(
    name: str,
    verbose: int,
    path: PruningPath | None,
    results: Iterable[LevelResult],
    seconds: float,
) -> None:
    """Print a line for a fold; with ``verbose > 1`` one for each round, too."""
    if path is None:
        print(f"{name}: failed after {seconds:.1f} s")
        return
    print_path(name, verbose, path)
    # A level that was not reached has no counts; several scores are not printed.
    levels = ", ".join(
        f"{result.counts['n_weights']}"
        + ("" if isinstance(result.test_scores, dict) else f" ({result.test_scores:.4f})")
        for result in results
        if result.counts
    )
    tell(f"{name}: weights left (score) {levels} in {format_effort(path, seconds)}")


def print_path(name: str, verbose: int, path: PruningPath) -> None:
    """Print a line for each round of a path if ``verbose > 1``."""
    if verbose > 1:
        for fitted in path["steps"]:
            tell(f"{name}, {fitted.latest.describe()}")


def format_effort(path: PruningPath, seconds: float) -> str:
    """Format the iterations and seconds of a path."""
    return f"{path['n_iter'].sum()} iterations and {seconds:.1f} s"
