"""One fold of the search: a path fitted on the training rows, and scored at every level."""

import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from numbers import Number
from traceback import format_exc
from typing import Any

import numpy as np
from joblib import cpu_count
from sklearn.base import is_classifier
from sklearn.utils.multiclass import type_of_target

from .._mlp.callbacks import metadata_of
from .._mlp.path import AlongPath, PruningPath, last_step, put_last, replace_last, steps_before
from .._mlp.warning import users_level
from .._sklearn_compat import _check_method_params, _safe_split, take_callbacks
from .._threads import reproducible_threads


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
        return (self.X,) if self.y is None else (self.X, self.y)

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
        if os.getpid() == self.pid and self.n_threads < cpu_count():
            return reproducible_threads(self.n_threads)
        return nullcontext()


@dataclass(frozen=True)
class Fold:
    """One split of the data.

    Attributes
    ----------
    index : int
    estimator : object
        A clone, which the fold may change.
    train, test : ndarray
        Rows.
    context : CallbackContext
        The fold's task.
    """

    index: int
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
    n_weights : float
        NaN where the level was not reached.
    error : str or None
        Traceback of the error because of which the level was not reached.
    """

    test_scores: Scores
    train_scores: Scores | None
    fit_time: float
    score_time: float = 0.0
    n_weights: float = np.nan
    error: str | None = None


@dataclass(frozen=True)
class FoldResult:
    """What comes out of a fold: one result for each level, and the path if it is to be kept."""

    levels: list[LevelResult]
    path: PruningPath | None


# ---------------------------------------------------------------------- fitting


def along(estimator: Any, levels: Sequence[float]) -> Any:
    """The estimator, with `AlongPath` around its last step."""
    mlp = last_step(estimator)
    recorder = AlongPath(mlp, tuple(level for level in levels if level))
    take_callbacks(mlp, recorder)
    return put_last(estimator, recorder)


def fit_along(estimator: Any, rows: Rows) -> None:
    """Fit what `along` made."""
    estimator.fit(*rows.data, **rows.fit_params)
    if last_step(estimator).is_interrupted_:
        # Training ends gently when interrupted, but a search must not go on to the next fold.
        raise KeyboardInterrupt


def path_of(estimator: Any) -> PruningPath | None:
    """The path of what `along` made, as far as it was reached, in the fitted pipeline."""
    path = last_step(estimator).path_
    if path is None:
        return None
    return PruningPath(**{**path, "estimator": replace_last(estimator, path["estimator"])})


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
    everything = task.everything
    seen = everything.take(fold.estimator, fold.train)
    held_out = everything.take(fold.estimator, fold.test, fold.train)
    estimator, error = along(fold.estimator, task.levels), None
    start = time.perf_counter()
    with task.threads():
        try:
            with fit_task(fold.context, estimator, seen.shown(task.caller)):
                _check_classes(fold, everything.y, seen.y, held_out.y)
                fit_along(estimator, seen)
        except Exception:
            if task.error_score == "raise":
                raise
            error = format_exc()
        path, seconds = path_of(estimator), time.perf_counter() - start
        levels = _score_levels(task, path, seen, held_out, seconds, error)
    if task.verbose:
        _print_fold(task, fold, path, levels, time.perf_counter() - start)
    return FoldResult(levels, path if task.store_path else None)


def _check_classes(fold: Fold, y: Any, y_train: Any, y_test: Any) -> None:
    """A network cannot be tested on a class that it has never seen."""
    if not is_classifier(fold.estimator) or type_of_target(y) not in ("binary", "multiclass"):
        return
    missing = np.setdiff1d(np.ravel(y_test), np.ravel(y_train))
    if missing.size:
        raise ValueError(
            f"Split {fold.index} of cv has no training rows of the classes {missing.tolist()}, "
            "which its test rows have; use a stratified or shuffled cv, or leave such classes out."
        )


# ---------------------------------------------------------------------- scoring


def _score_levels(
    task: FoldTask,
    path: PruningPath | None,
    seen: Rows,
    held_out: Rows,
    seconds: float,
    error: str | None,
) -> list[LevelResult]:
    """Scores at every level of a path whose fit took so many seconds, or ended with an error."""
    # What was not reached because of a callback's wish has no score; an error has its own.
    missing = np.nan if error is None else task.error_score
    train_missing = missing if task.return_train_score else None
    unreached = LevelResult(missing, train_missing, seconds, error=error)
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
    """The path of the last step alone, and what it gets: all levels have the same transformers.

    Text, for instance, takes longer to transform than a network of any level to predict.
    """
    steps = steps_before(path["estimator"])
    try:
        rows = [some.transformed(steps) for some in rows]
    except Exception:
        # It fails again at every level, where it is reported.
        return path, rows
    return PruningPath(**{**path, "estimator": last_step(path["estimator"])}), rows


def _score_level(
    task: FoldTask, path: PruningPath, index: int, rows: list[Rows], overhead: float
) -> LevelResult:
    estimator = path.estimator_at(index)
    start = time.perf_counter()
    test_scores = _score(task, estimator, rows[0])
    score_time = time.perf_counter() - start
    return LevelResult(
        test_scores=test_scores,
        train_scores=_score(task, estimator, rows[1]) if task.return_train_score else None,
        fit_time=overhead + path["fit_time"][index],
        score_time=score_time,
        n_weights=path["n_weights"][index],
    )


def _score(task: FoldTask, estimator: Any, rows: Rows) -> Scores:
    """What the scorer says; ``error_score`` where it fails."""
    try:
        scores = task.scorer(estimator, *rows.data, **rows.score_params)
    except Exception:
        if task.error_score == "raise":
            raise
        scores = format_exc()
    if isinstance(scores, dict):
        return {name: _number(task, score, name) for name, score in scores.items()}
    return _number(task, scores, task.scorer)


def _number(task: FoldTask, score: Any, scorer: Any) -> Any:
    """A score as a plain number, or ``error_score`` in place of a traceback."""
    # Of several scorers, scikit-learn returns the traceback of one that fails.
    if isinstance(score, str) and task.error_score != "raise":
        warnings.warn(
            "Scoring failed. The score on this train-test partition for these parameters will be "
            f"set to {task.error_score}. Details: \n{score}",
            stacklevel=users_level(),
        )
        return task.error_score
    if hasattr(score, "item") and np.size(score) == 1:
        score = score.item()
    if not isinstance(score, Number):
        raise ValueError(
            f"scoring must return a number, got {score} ({type(score)}) instead. (scorer={scorer})"
        )
    return score


# ---------------------------------------------------------------------- progress


def _print_fold(
    task: FoldTask,
    fold: Fold,
    path: PruningPath | None,
    levels: list[LevelResult],
    seconds: float,
) -> None:
    """One line for the fold; with ``verbose > 1`` one for each of its rounds, too."""
    name = f"fold {fold.index + 1:2d}"
    if path is None:
        print(f"{name}: failed after {seconds:.1f} s")
        return
    if task.verbose > 1:
        for fitted in path["steps"]:
            print(f"{name}, {fitted.latest.describe()}")
    scores = [level.test_scores for level in levels if level.error is None]
    score = ""
    if scores and not isinstance(scores[0], dict):
        score = f", score {scores[0]:.4f} -> {scores[-1]:.4f}"
    print(f"{name}: {outcome(path, seconds, score)}")


def outcome(path: PruningPath, seconds: float, score: str = "") -> str:
    """What is left at the end of a path."""
    return (
        f"{path['n_weights'][-1]} weights left ({path['sparsity'][-1]:.1%} deleted){score} in "
        f"{path['n_iter'].sum()} iterations and {seconds:.1f} s"
    )
