"""One fold of the search: a path fitted on the training rows, and scored at every level."""

import os
import pickle
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from numbers import Number
from traceback import format_exc, format_exception
from typing import Any

import numpy as np
from joblib import cpu_count
from sklearn.base import is_classifier
from sklearn.utils.multiclass import type_of_target

from .._mlp.callbacks import metadata_of
from .._mlp.path import PruningPath
from .._mlp.pipelines import last_step_name, steps_before, without_transformers
from .._prune.granularity import GRANULARITIES
from .._sklearn_compat import _check_method_params, _check_sample_weight, _safe_split
from .._threads import reproducible_threads
from .._warnings import NothingLeftWarning, PendingWarning, collected_warnings, warn_user
from .progress import print_fold
from .recorder import recorded_path, with_recorder

# Columns of a path that say how many of what it deletes are left.
_COUNTS = tuple(f"n_{granularity.unit}" for granularity in GRANULARITIES.values())


@dataclass(frozen=True)
class Rows:
    """Some rows of the data, with their metadata for fit and for the scorer."""

    X: Any
    y: Any
    fit_params: dict[str, Any]
    score_params: dict[str, Any]

    @property
    def data(self) -> tuple[Any, ...]:
        """Positional arguments of fit and of scorers."""
        return self.X, self.y

    def take(self, estimator: Any, rows: np.ndarray, train: np.ndarray | None = None) -> "Rows":
        """Some of them; ``train`` says which columns a precomputed kernel has."""
        X, y = _safe_split(estimator, self.X, self.y, rows, train)
        fit_params, score_params = (
            _check_method_params(self.X, params=params, indices=rows)
            for params in (self.fit_params, self.score_params)
        )
        return Rows(X, y, fit_params, score_params)

    def transformed(self, steps: Sequence[Any]) -> "Rows":
        """The same rows after some transformers."""
        X = self.X
        for step in steps:
            X = step.transform(X)
        return replace(self, X=X)

    def shown(self, caller: Any) -> dict[str, Any]:
        """What callbacks see of them."""
        metadata = metadata_of(self.fit_params.get("sample_weight"))
        return {"estimator": caller, "X": self.X, "y": self.y, "metadata": metadata}


def worker_threads(n_threads: int, pid: int) -> AbstractContextManager[None]:
    """Context in which the workers of the process ``pid`` have so many cores each.

    Workers in processes of their own are limited by joblib.
    """
    if os.getpid() == pid and n_threads < cpu_count():
        return reproducible_threads(n_threads)
    return nullcontext()


@dataclass(frozen=True)
class FoldTask:
    """What every fold has in common.

    Attributes
    ----------
    caller : PruningSearchCV
        Shown to the callbacks.
    everything : Rows
    levels : tuple of float
        Ascending.
    scorer : callable
    only_predicts : bool
        Whether all that the scorer does with an estimator is to let it predict.
    return_train_score : bool
    error_score : float or "raise"
    store_path : bool
    verbose : int
    n_threads : int
        Cores for each of the workers that share the process ``pid``.
    pid : int
    """

    caller: Any
    everything: Rows
    levels: tuple[float, ...]
    scorer: Any
    only_predicts: bool
    return_train_score: bool
    error_score: Any
    store_path: bool
    verbose: int
    n_threads: int
    pid: int

    def threads(self) -> AbstractContextManager[None]:
        """Context in which the workers of one process do not oversubscribe the cores."""
        return worker_threads(self.n_threads, self.pid)


@dataclass(frozen=True)
class Fold:
    """One split of the data, and the candidate that is fitted to it.

    Attributes
    ----------
    index : int
    name : str
        What it is called where progress is printed.
    estimator : object
        A clone, which the fold may change.
    train, test : ndarray
        Rows.
    context : CallbackContext
        The fold's task.
    """

    index: int
    name: str
    estimator: Any
    train: np.ndarray
    test: np.ndarray
    context: Any


# By name, or one without a name; also where the names are not known because scoring failed.
Scores = dict[str, float] | float


@dataclass(frozen=True)
class LevelResult:
    """Scores at a level, and what it took to get there.

    Attributes
    ----------
    test_scores : dict of str to float, or float
    train_scores : dict of str to float, float, or None
        Only if asked for.
    fit_time, score_time : float
        Seconds.
    counts : dict of str to float
        "n_weights", and "n_units" or "n_features" where those are deleted; empty where the level
        was not reached.
    error : str or None
        Traceback of the error because of which the level was not reached.
    cause : Exception or None
        That error, or the first one of scoring.
    """

    test_scores: Scores
    train_scores: Scores | None
    fit_time: float
    score_time: float = 0.0
    counts: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    cause: Exception | None = None


@dataclass(frozen=True)
class FoldResult:
    """What comes out of a fold.

    Attributes
    ----------
    levels : list of LevelResult
        One for each level.
    path : PruningPath or None
        If it is to be kept.
    warned : list of PendingWarning
        What is to be told to the user.
    """

    levels: list[LevelResult]
    path: PruningPath | None
    warned: list[PendingWarning]


# ---------------------------------------------------------------------- fitting


@contextmanager
def fit_task(context: Any, estimator: Any, shown: dict[str, Any]) -> Iterator[None]:
    """The task of fitting an estimator, to which the callbacks are handed down."""
    try:
        with context.propagate_callback_context(estimator):
            context.call_on_fit_task_begin(**shown)
            yield
    finally:
        context.call_on_fit_task_end(**shown)


def run_fold(task: FoldTask, fold: Fold) -> FoldResult:
    """Fit one path on the training rows, and score it at every level."""
    with collected_warnings() as warned:
        levels, path = _fit_and_score(task, fold)
    # A level that leaves nothing is one of many that are compared; it matters if it is chosen.
    warned = [one for one in warned if one.category is not NothingLeftWarning]
    return FoldResult(levels, path if task.store_path else None, warned)


def _fit_and_score(task: FoldTask, fold: Fold) -> tuple[list[LevelResult], PruningPath | None]:
    """What comes out at every level, and the path as far as it was reached."""
    everything = task.everything
    seen = everything.take(fold.estimator, fold.train)
    held_out = everything.take(fold.estimator, fold.test, fold.train)
    estimator = with_recorder(fold.estimator, task.levels)
    error: Exception | None = None
    start = time.perf_counter()
    with task.threads():
        try:
            with fit_task(fold.context, estimator, seen.shown(task.caller)):
                _check_classes(fold, everything.y, seen, held_out)
                estimator.fit(*seen.data, **seen.fit_params)
        except Exception as raised:
            if task.error_score == "raise":
                raise
            error = raised
        path, seconds = recorded_path(estimator), time.perf_counter() - start
        levels = _score_levels(task, path, seen, held_out, seconds, error)
    if task.verbose:
        # Levels that were not reached have no counts.
        scores = [
            (level.counts["n_weights"], level.test_scores) for level in levels if level.counts
        ]
        print_fold(fold.name, task.verbose, path, scores, time.perf_counter() - start)
    return levels, path


def _picklable(error: Exception) -> Exception:
    """The error itself if it can come back from another process, or else its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _check_classes(fold: Fold, y: Any, seen: Rows, held_out: Rows) -> None:
    """A network cannot be tested on a class that it has never seen."""
    if not is_classifier(fold.estimator) or type_of_target(y) not in ("binary", "multiclass"):
        return
    trained, tested = (_labels_that_count(fold.estimator, rows) for rows in (seen, held_out))
    missing = np.setdiff1d(tested, trained)
    if missing.size:
        rows = "rows" if len(trained) == len(np.ravel(seen.y)) else "rows of positive weight"
        raise ValueError(
            f"Split {fold.index} of cv has no training {rows} of the classes {missing.tolist()}, "
            "which its test rows have; use a stratified or shuffled cv, or leave such classes out."
        )


def _labels_that_count(estimator: Any, rows: Rows) -> np.ndarray:
    """Labels of the rows that are there for the network: a row of weight 0 is as good as none."""
    labels = np.ravel(rows.y)
    weight = rows.fit_params.get("sample_weight")
    if weight is None:
        weight = rows.fit_params.get(f"{last_step_name(estimator)}__sample_weight")
    return labels if weight is None else labels[_check_sample_weight(weight, rows.y) > 0]


# ---------------------------------------------------------------------- scoring


def _score_levels(
    task: FoldTask,
    path: PruningPath | None,
    seen: Rows,
    held_out: Rows,
    seconds: float,
    error: Exception | None,
) -> list[LevelResult]:
    """Scores at every level of a path whose fit took so many seconds, or ended with an error."""
    # What was not reached because of a callback's wish has no score; an error has its own.
    missing = np.nan if error is None else task.error_score
    train_missing = missing if task.return_train_score else None
    unreached = LevelResult(missing, train_missing, seconds)
    if error is not None:
        text = "".join(format_exception(error))
        unreached = replace(unreached, error=text, cause=_picklable(error))
    if path is None:
        return [unreached for _ in task.levels]
    # Time spent before training, in the transformers, counts for every level.
    overhead = seconds - path["fit_time"][-1]
    rows = [held_out, seen] if task.return_train_score else [held_out]
    if task.only_predicts:
        path, rows = _transform_once(path, rows)
    reached = {level: index for index, level in enumerate(path["prune_fractions"])}
    return [
        _score_level(task, path, reached[level], rows, overhead) if level in reached else unreached
        for level in task.levels
    ]


def _transform_once(path: PruningPath, rows: list[Rows]) -> tuple[PruningPath, list[Rows]]:
    """The path without the transformers, and what they put out: all levels have the same ones.

    Text, for instance, takes longer to transform than a network of any level to predict.
    """
    steps = steps_before(path["estimator"])
    try:
        rows = [some.transformed(steps) for some in rows]
    except Exception:
        # It fails again at every level, where it is reported.
        return path, rows
    return PruningPath(**{**path, "estimator": without_transformers(path["estimator"])}), rows


def _score_level(
    task: FoldTask, path: PruningPath, index: int, rows: list[Rows], overhead: float
) -> LevelResult:
    estimator = path.estimator_at(index)
    start = time.perf_counter()
    test_scores, cause = _score(task, estimator, rows[0])
    score_time = time.perf_counter() - start
    train_scores = None
    if task.return_train_score:
        train_scores, train_cause = _score(task, estimator, rows[1])
        cause = cause or train_cause
    return LevelResult(
        test_scores=test_scores,
        train_scores=train_scores,
        fit_time=overhead + path["fit_time"][index],
        score_time=score_time,
        counts={name: path[name][index] for name in _COUNTS if name in path},
        cause=cause,
    )


def _score(task: FoldTask, estimator: Any, rows: Rows) -> tuple[Scores, Exception | None]:
    """What the scorer says; ``error_score`` where it fails, and why."""
    cause = None
    try:
        scores = task.scorer(estimator, *rows.data, **rows.score_params)
    except Exception as error:
        if task.error_score == "raise":
            raise
        scores, cause = format_exc(), _picklable(error)
    if not isinstance(scores, dict):
        return _number(task, scores, task.scorer), cause
    for score in scores.values():
        # Of several scorers, scikit-learn returns the traceback of one that fails.
        if isinstance(score, str):
            cause = cause or RuntimeError(score.strip().rpartition("\n")[2])
    return {name: _number(task, score, name) for name, score in scores.items()}, cause


def _number(task: FoldTask, score: Any, scorer: Any) -> Any:
    """A score as a plain number, or ``error_score`` in place of a traceback."""
    if isinstance(score, str) and task.error_score != "raise":
        warn_user(
            "Scoring failed. The score on this train-test partition for these parameters will be "
            f"set to {task.error_score}. Details: \n{score}"
        )
        return task.error_score
    if hasattr(score, "item") and np.size(score) == 1:
        score = score.item()
    if not isinstance(score, Number):
        raise ValueError(
            f"scoring must return a number, got {score} ({type(score)}) instead. (scorer={scorer})"
        )
    return score
