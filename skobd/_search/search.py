"""Choosing the pruning level by cross-validation, with one path for each fold."""

import copy
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from numbers import Integral
from traceback import format_exc
from typing import Any, NamedTuple

import numpy as np
from joblib import cpu_count, effective_n_jobs
from scipy.stats import rankdata
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.metrics._scorer import _BaseScorer, _MultimetricScorer, _PassthroughScorer
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params, _num_samples, indexable

from ._base import BaseOBDMLP
from ._callbacks import metadata_of, root_context
from ._data import all_or_nothing
from ._parallel import reproducible_threads
from ._path import PruningPath, Route, check_levels, recording
from ._pruning import describe

# Ten levels, each deleting about 30 % of the weights that the one before left.
DEFAULT_LEVELS = (0.0, 0.3, 0.5, 0.65, 0.75, 0.82, 0.88, 0.92, 0.95, 0.97)


def standard_errors(scores: np.ndarray) -> np.ndarray:
    """Standard error of the mean over folds, shape (n_levels,), from (n_levels, n_folds).

    With a single fold there is none to be had, and 0 is returned.
    """
    n_folds = scores.shape[1]
    if n_folds < 2:
        return np.zeros(len(scores))
    with np.errstate(invalid="ignore"):  # infinite scores have no spread
        return scores.std(axis=1, ddof=1) / np.sqrt(n_folds)


def select_level(results: dict, metric: str, selection: str | Callable) -> int:
    """Index of the chosen level in ``cv_results_``, whose rows go from dense to sparse.

    Levels whose mean score is not finite cannot be chosen. Among equal means the sparsest level
    counts as the best.

    Parameters
    ----------
    results : dict of ndarray
        As `PruningSearchCV.cv_results_`: ``mean_test_<metric>`` and ``sem_test_<metric>``.
    metric : str
        Name of the score.
    selection : {"best", "one_standard_error"} or callable
        "best": the highest mean score. "one_standard_error": the sparsest level whose mean score
        is at least the best one's minus its standard error (Breiman, Friedman, Olshen & Stone,
        1984, section 3.4.3). A callable is given ``results`` and returns the index.

    Returns
    -------
    index : int
    """
    n_levels = len(results["params"])
    if callable(selection):
        index = selection(results)
        if not isinstance(index, Integral):
            raise TypeError(f"selection returned {index!r}; it must return an integer.")
        if int(index) not in range(n_levels):
            raise IndexError(f"selection returned {index}; it must be in [0, {n_levels}).")
        return int(index)
    means = np.asarray(results[f"mean_test_{metric}"], dtype=np.float64)
    if not np.isfinite(means).any():
        raise ValueError(
            f"No level can be chosen: mean_test_{metric} is finite at none, {means.tolist()}. "
            "Use error_score='raise' to see what went wrong, or refit=False to get cv_results_."
        )
    means = np.where(np.isfinite(means), means, -np.inf)
    best = int(np.flatnonzero(means == means.max())[-1])
    if selection == "best":
        return best
    margin = np.nan_to_num(np.asarray(results[f"sem_test_{metric}"], dtype=np.float64)[best])
    return int(np.flatnonzero(means >= means[best] - margin)[-1])


def _parameter_name(estimator: Any) -> str:
    """Name by which ``set_params`` of the estimator reaches the pruning level."""
    prefix, part = "", estimator
    while isinstance(part, Pipeline):
        prefix += f"{part.steps[-1][0]}__"
        part = part.steps[-1][1]
    if not isinstance(part, BaseOBDMLP):
        raise TypeError(
            "estimator must be an OBDMLPClassifier, an OBDMLPRegressor or a Pipeline that ends "
            f"in one, got {estimator!r}."
        )
    return f"{prefix}prune_fraction"


@dataclass(frozen=True)
class _FoldTask:
    """What every fold has in common.

    Attributes
    ----------
    levels : tuple of float
        Sorted levels to be scored.
    scorer : callable
    fit_params, score_params : dict
        Routed metadata, for all rows.
    return_train_score : bool
    error_score : float or "raise"
    store_path : bool
    verbose : int
    n_splits : int
    n_threads : int
        Cores for each of the workers that share the process ``pid``.
    pid : int
    """

    levels: tuple[float, ...]
    scorer: Any
    fit_params: dict
    score_params: dict
    return_train_score: bool
    error_score: Any
    store_path: bool
    verbose: int
    n_splits: int
    n_threads: int
    pid: int

    def threads(self) -> Any:
        """Context in which the workers of one process do not oversubscribe the cores."""
        if os.getpid() == self.pid and self.n_threads < cpu_count():
            return reproducible_threads(self.n_threads)
        return nullcontext()


class _Fold(NamedTuple):
    """What comes out of a fold: one row of results for each level, and maybe the path."""

    rows: list[dict]
    path: PruningPath | None


def _follow(route: Route, estimator: Any, X: Any, y: Any, fit_params: dict) -> None:
    """Fit the estimator (or pipeline) along the route."""
    with recording(estimator, route):
        if y is None:
            estimator.fit(X, **fit_params)
        else:
            estimator.fit(X, y, **fit_params)
    if route.is_interrupted:
        # The solvers end gently when interrupted, but a search must not go on to the next fold.
        raise KeyboardInterrupt


def _route_through(levels: tuple[float, ...]) -> Route:
    return Route((0.0, *(level for level in levels if level)))


def _run_fold(
    task: _FoldTask,
    estimator: Any,
    data: tuple[Any, Any],
    rows: tuple[np.ndarray, np.ndarray],
    index: int,
    tasks: tuple[Any, Any],
) -> _Fold:
    """Fit one path on the training rows, and score it at every level."""
    (X, y), (train, test), (caller, context) = data, rows, tasks
    fit_params = _check_method_params(X, params=task.fit_params, indices=train)
    X_train, y_train = _safe_split(estimator, X, y, train)
    route, error = _route_through(task.levels), None
    shown = {
        "estimator": caller,
        "X": X_train,
        "y": y_train,
        "metadata": metadata_of(fit_params.get("sample_weight")),
    }
    start = time.perf_counter()
    with task.threads():
        try:
            with context.propagate_callback_context(estimator):
                context.call_on_fit_task_begin(**shown)
                _check_classes(estimator, index, y, rows)
                _follow(route, estimator, X_train, y_train, fit_params)
        except Exception:
            if task.error_score == "raise":
                raise
            error = format_exc()
        finally:
            context.call_on_fit_task_end(**shown)
        path = route.path(estimator) if route.steps else None
        fitting = time.perf_counter() - start
        # Time spent before training, in the transformers, counts for every level.
        overhead = fitting - (path.fit_time[-1] if path else 0.0)
        results = _score_levels(task, path, (X, y), (train, test), error)
    for result in results:
        result["fit_time"] = overhead + result["fit_time"] if path else fitting
    if task.verbose:
        _print_fold(task, index, path, results, time.perf_counter() - start)
    return _Fold(results, path if task.store_path else None)


class _Rows(NamedTuple):
    """Rows to score on, with their part of the scorer's metadata."""

    X: Any
    y: Any
    params: dict

    @classmethod
    def take(cls, task: _FoldTask, estimator: Any, data: tuple[Any, Any], *rows: Any) -> "_Rows":
        """The given rows of the data (and the training rows, for precomputed kernels)."""
        X, y = _safe_split(estimator, *data, *rows)
        params = _check_method_params(data[0], params=task.score_params, indices=rows[0])
        return cls(X, y, params)


def _score_levels(
    task: _FoldTask,
    path: PruningPath | None,
    data: tuple[Any, Any],
    rows: tuple[np.ndarray, np.ndarray],
    error: str | None,
) -> list[dict]:
    """Scores at every level of a fold's path, in the form of scikit-learn's searches."""
    if path is None:
        return [_unscored(task, error) for _ in task.levels]
    train, test = rows
    held_out = _Rows.take(task, path.estimator, data, test, train)
    seen = _Rows.take(task, path.estimator, data, train) if task.return_train_score else None
    if _only_predicts(task.scorer):
        # All levels share the transformers: rows need to be transformed once only.
        path = PruningPath(**{**path, "estimator": _remembering(path.estimator)})
    return [_score_level(task, path, level, held_out, seen, error) for level in task.levels]


def _score_level(
    task: _FoldTask,
    path: PruningPath,
    level: float,
    held_out: _Rows,
    seen: _Rows | None,
    error: str | None,
) -> dict:
    if level not in path.prune_fractions:
        return _unscored(task, error)
    index = int(np.flatnonzero(path.prune_fractions == level)[0])
    estimator = path.estimator_at(index)
    result: dict[str, Any] = {
        "fit_error": None,
        "fit_time": path.fit_time[index],
        "n_weights": path.n_weights[index],
    }
    start = time.perf_counter()
    result["test_scores"] = _score_rows(task, estimator, held_out)
    result["score_time"] = time.perf_counter() - start
    if seen is not None:
        result["train_scores"] = _score_rows(task, estimator, seen)
    return result


def _score_rows(task: _FoldTask, estimator: Any, rows: _Rows) -> Any:
    return _score(estimator, rows.X, rows.y, task.scorer, rows.params, task.error_score)


def _only_predicts(scorer: Any) -> bool:
    """Whether a scorer does nothing with the estimator but predict the rows it is given."""
    scorers = scorer._scorers.values() if isinstance(scorer, _MultimetricScorer) else [scorer]
    return all(isinstance(one, _BaseScorer | _PassthroughScorer) for one in scorers)


def _remembering(estimator: Any) -> Any:
    """A shallow copy of a fitted pipeline whose transformers remember what they transformed."""
    if not isinstance(estimator, Pipeline):
        return estimator
    steps = []
    for name, step in estimator.steps[:-1]:
        if hasattr(step, "transform"):
            transform, step = _remember(step.transform), copy.copy(step)
            step.transform = transform
        steps.append((name, step))
    name, last = estimator.steps[-1]
    pipeline = copy.copy(estimator)
    pipeline.steps = [*steps, (name, _remembering(last))]
    return pipeline


def _remember(transform: Callable) -> Callable:
    """The same function, called once for each object that it is given."""
    known: list[tuple[Any, Any]] = []

    def remembered(X: Any, **params: Any) -> Any:
        if params:
            return transform(X, **params)
        for given, transformed in known:
            if given is X:
                return transformed
        known.append((X, transform(X)))
        return known[-1][1]

    return remembered


def _unscored(task: _FoldTask, error: str | None) -> dict:
    """Result at a level that was not reached, because of an error or of a callback's wish."""
    score = task.error_score if error is not None else np.nan
    names = task.scorer._scorers if isinstance(task.scorer, _MultimetricScorer) else None
    scores = score if names is None else dict.fromkeys(names, score)
    result = {
        "fit_error": error,
        "fit_time": 0.0,
        "score_time": 0.0,
        "n_weights": np.nan,
        "test_scores": scores,
    }
    if task.return_train_score:
        result["train_scores"] = scores
    return result


def _name_missing_scores(rows: list[dict]) -> None:
    """Levels that failed, or that a callback left out, have the names of the others' scores."""
    named = [row["test_scores"] for row in rows if isinstance(row["test_scores"], dict)]
    for row in rows if named else ():
        for kind in ("test_scores", "train_scores"):
            if not isinstance(row.get(kind, {}), dict):
                row[kind] = dict.fromkeys(named[0], row[kind])


def _print_fold(
    task: _FoldTask, index: int, path: PruningPath | None, results: list[dict], seconds: float
) -> None:
    """One line for the fold; with ``verbose > 1`` one for each of its rounds, too."""
    fold = f"fold {index + 1:2d}"
    if path is None:
        print(f"{fold}: failed after {seconds:.1f} s")
        return
    if task.verbose > 1:
        for packed in path.steps:
            print(f"{fold}, {describe(packed.numbers)}")
    scored = [result["test_scores"] for result in results if result["fit_error"] is None]
    score = ""
    if scored and not isinstance(scored[0], dict):
        score = f", score {scored[0]:.4f} -> {scored[-1]:.4f}"
    print(f"{fold}: {_outcome(path, seconds, score)}")


def _outcome(path: PruningPath, seconds: float, score: str = "") -> str:
    return (
        f"{path.n_weights[-1]} weights left ({path.sparsity[-1]:.1%} deleted){score} in "
        f"{path.n_iter.sum()} iterations and {seconds:.1f} s"
    )


class PruningSearchCV(BaseSearchCV):
    """Search for the pruning level by cross-validation, training once for each fold.

    The levels lie on one path: a network pruned to 90 % was pruned to 50 % before. So each fold
    trains one network, prunes it round by round, and is scored on its held-out rows after every
    round; then the whole data are fitted along the path to the chosen level. `GridSearchCV` over
    ``prune_fraction`` would train from scratch for every level.

    Parameters
    ----------
    estimator : OBDMLPClassifier, OBDMLPRegressor or Pipeline
        What is fitted; of a `Pipeline`, the last step is pruned and the transformers are fitted
        on the training rows of each fold. ``prune_fraction``, ``n_rounds`` and ``prune_tol``
        are ignored: one round is made for each level.
    prune_fractions : array-like of shape (n_levels,), default=(0, 0.3, ..., 0.95, 0.97)
        Levels to choose from, in [0, 1). They are sorted, and each is taken once. The default
        ones are ten, each deleting about 30 % of the weights that the one before left.
    scoring : str, callable, list, tuple, dict or None, default=None
        As in `GridSearchCV`; None for the estimator's ``score``.
    cv : int, cross-validation generator or iterable, default=None
        As in `GridSearchCV`; None for five folds, stratified for classifiers.
    n_jobs : int or None, default=None
        Folds fitted in parallel by joblib; see `joblib.parallel_config`.
    refit : bool or str, default=True
        Whether to fit all data along the path to the chosen level. With several scores the name
        of the one that chooses the level, or False.
    selection : {"one_standard_error", "best"} or callable, default="one_standard_error"
        "one_standard_error": the sparsest level whose mean score is within one standard error of
        the best one's; "best": the level with the best mean score, the sparsest of equal ones.
        A callable is given ``cv_results_`` and returns the index of the level, as in
        ``GridSearchCV(refit=callable)``.
    verbose : int, default=0
        1 prints a line for each fold, 2 also one for each round.
    error_score : "raise" or numeric, default=np.nan
        Score of a level whose training or scoring failed. Levels that a fold reached before it
        failed keep their scores.
    return_train_score : bool, default=False
        Whether to compute scores on the training rows as well.
    store_path : bool, default=False
        Whether to keep the networks of every fold and level in ``paths_``.

    Attributes
    ----------
    cv_results_ : dict of ndarrays of shape (n_levels,)
        Ready for `pandas.DataFrame`; the rows go from dense to sparse and the columns are those
        of `GridSearchCV`, and ``split<i>_n_weights`` and ``mean_n_weights``, the surviving
        weights, and ``sem_test_<score>``, the standard error of the mean over the folds.
        ``fit_time`` is the time it took to reach the level. A fold whose score is NaN at every
        level is left out of the statistics over folds.
    best_index_ : int
        Row of the chosen level.
    best_params_ : dict
        The chosen level, as ``set_params`` takes it. ``best_estimator_`` was pruned along the
        levels up to it, so fitting a clone, in ``n_rounds`` rounds, gives another network.
    best_score_ : float
        Mean score of the chosen level.
    best_estimator_ : estimator
        Fitted on all data along the path to the chosen level. With ``refit`` only.
    refit_time_ : float
        Seconds that took. With ``refit`` only.
    scorer_ : callable or dict
        The scorer, or the scorers by name.
    multimetric_ : bool
        Whether there are several scores.
    n_splits_ : int
        Number of folds.
    paths_ : list of PruningPath or None
        The path of every fold, None for one that failed before its first level. With
        ``store_path`` only.
    classes_ : ndarray of shape (n_classes,)
        Class labels. Classifiers with ``refit`` only.
    n_features_in_ : int
        Number of features. With ``refit`` only.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where ``X`` had any. With ``refit`` only.

    References
    ----------
    L. Breiman, J. Friedman, R. Olshen and C. Stone, "Classification and Regression Trees",
    Wadsworth, 1984, section 3.4.3: the one-standard-error rule.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skobd import OBDMLPClassifier, PruningSearchCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> mlp = OBDMLPClassifier(
    ...     (10,), solver="lbfgs", alpha=5, tol=1e-3, retrain_max_iter=30, random_state=0
    ... )
    >>> search = PruningSearchCV(
    ...     make_pipeline(StandardScaler(), mlp), prune_fractions=[0, 0.5, 0.8, 0.99]
    ... )
    >>> search.fit(X, y).best_params_
    {'obdmlpclassifier__prune_fraction': 0.8}
    >>> bool(search.best_score_ > 0.96)
    True
    """

    _parameter_constraints: dict = {
        **{
            name: constraint
            for name, constraint in BaseSearchCV._parameter_constraints.items()
            if name != "pre_dispatch"
        },
        "prune_fractions": ["array-like"],
        "refit": ["boolean", str],
        "selection": [StrOptions({"best", "one_standard_error"}), callable],
        "store_path": ["boolean"],
    }

    def __init__(
        self,
        estimator,
        *,
        prune_fractions=DEFAULT_LEVELS,
        scoring=None,
        cv=None,
        n_jobs=None,
        refit=True,
        selection="one_standard_error",
        verbose=0,
        error_score=np.nan,
        return_train_score=False,
        store_path=False,
    ):
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.prune_fractions = prune_fractions
        self.selection = selection
        self.store_path = store_path

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **params):
        """Fit one path for each fold, choose a level, and fit all data along the path to it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        **params : dict of str -> object
            Parameters of the estimator's ``fit``, of the scorer and of the splitter, as in
            `GridSearchCV`: those with one entry for each sample are split with the data.

        Returns
        -------
        self : object
            The fitted search.
        """
        with all_or_nothing(self):
            for attribute in [name for name in vars(self) if name.endswith("_")]:
                # An earlier fit may have had other options.
                delattr(self, attribute)
            return self._fit(X, y, params)

    def _fit(self, X, y, params) -> "PruningSearchCV":
        levels, name = check_levels(self.prune_fractions), _parameter_name(self.estimator)
        scorer, metric = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        shown = {
            "estimator": self,
            "X": X,
            "y": y,
            "metadata": metadata_of(params.get("sample_weight")),
        }
        root = root_context(self, max_subtasks=1 + (self.refit is not False))
        root.call_on_fit_task_begin(**shown)
        folds = self._run_folds((X, y), levels, scorer, routed, root)
        out = [fold.rows[index] for index in range(len(levels)) for fold in folds]
        _warn_or_raise_about_fit_failures(out, self.error_score)
        _name_missing_scores(out)
        self.multimetric_ = isinstance(out[0]["test_scores"], dict)
        if self.multimetric_:
            self._check_refit_for_multimetric(out[0]["test_scores"])
            metric = self.refit
        results = self._format_results([{name: level} for level in levels], self.n_splits_, out)
        self.cv_results_ = _with_fold_statistics(results, folds)
        self.scorer_ = scorer._scorers if isinstance(scorer, _MultimetricScorer) else scorer
        if self.store_path:
            self.paths_ = [fold.path for fold in folds]
        if self.refit or not self.multimetric_:
            self._choose(metric)
        if self.refit:
            self._refit(levels, routed.estimator.fit, root, shown)
        root.call_on_fit_task_end(**shown)
        return self

    def _run_folds(
        self, data: tuple[Any, Any], levels: tuple[float, ...], scorer: Any, routed: Any, root: Any
    ) -> list[_Fold]:
        """One path for each fold, in parallel."""
        cv = check_cv(self.cv, data[1], classifier=is_classifier(self.estimator))
        splits = list(cv.split(*data, **routed.splitter.split))
        self.n_splits_ = len(splits)
        if not splits:
            raise ValueError(f"cv={self.cv!r} made no splits.")
        _check_splits(splits, _num_samples(data[0]))
        n_workers = min(effective_n_jobs(self.n_jobs), len(splits))
        task = _FoldTask(
            levels,
            scorer,
            routed.estimator.fit,
            routed.scorer.score,
            self.return_train_score,
            self.error_score,
            self.store_path,
            int(self.verbose),
            len(splits),
            max(1, cpu_count() // n_workers),
            os.getpid(),
        )
        context = root.subcontext(
            task_name="search", max_subtasks=len(splits), sequential_subtasks=False
        )
        context.call_on_fit_task_begin(estimator=self)
        # Made before the parallel loop, which pickles the tree that they are part of.
        contexts = [
            context.subcontext(task_name="fold", task_id=index) for index in range(len(splits))
        ]
        folds = Parallel(n_jobs=self.n_jobs)(
            delayed(_run_fold)(
                task, clone(self.estimator), data, rows, index, (self, contexts[index])
            )
            for index, rows in enumerate(splits)
        )
        context.call_on_fit_task_end(estimator=self)
        return folds

    def _check_refit_for_multimetric(self, scores: dict) -> None:
        """Of several scores one must choose the level, or the user later."""
        if self.refit is not False and self.refit not in scores:
            raise ValueError(
                "For multi-metric scoring, the parameter refit must be set to the scorer key that "
                f"chooses the level, one of {sorted(scores)}, or to False if there is to be no "
                f"best_estimator_; got refit={self.refit!r}."
            )

    def _choose(self, metric: str) -> None:
        """Set ``best_index_`` and what follows from it."""
        results = self.cv_results_
        if not self.refit and not callable(self.selection):
            if not np.isfinite(results[f"mean_test_{metric}"]).any():
                return
        self.best_index_ = select_level(results, metric, self.selection)
        self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _refit(self, levels: tuple[float, ...], fit_params: dict, root: Any, shown: dict) -> None:
        """Fit all data along the path to the chosen level."""
        self.best_estimator_ = clone(self.estimator).set_params(**self.best_params_)
        context = root.subcontext(task_name="refit")
        route = _route_through(levels[: self.best_index_ + 1])
        start = time.perf_counter()
        with context.propagate_callback_context(self.best_estimator_):
            context.call_on_fit_task_begin(**shown)
            _follow(route, self.best_estimator_, shown["X"], shown["y"], fit_params)
        self.refit_time_ = time.perf_counter() - start
        if self.verbose:
            print(f"refit  : {_outcome(route.path(self.best_estimator_), self.refit_time_)}")
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
        context.call_on_fit_task_end(**shown)


def _check_classes(estimator: Any, index: int, y: Any, rows: tuple[np.ndarray, np.ndarray]) -> None:
    """A network cannot be tested on a class that it has never seen."""
    if not is_classifier(estimator) or type_of_target(y) not in ("binary", "multiclass"):
        return
    y_train, y_test = (np.ravel(_safe_indexing(y, part)) for part in rows)
    missing = np.setdiff1d(y_test, y_train)
    if missing.size:
        raise ValueError(
            f"Split {index} of cv has no training rows of the classes {missing.tolist()}, which "
            "its test rows have; use a stratified or shuffled cv, or leave such classes out."
        )


def _check_splits(splits: list, n_samples: int) -> None:
    """Splits with nothing to train or to score on are refused before any work."""
    for index, (train, test) in enumerate(splits):
        for rows, use in ((train, "training"), (test, "test")):
            if _num_samples(rows) == 0:
                raise ValueError(f"Split {index} of cv has no {use} rows of {n_samples}.")


def _with_fold_statistics(results: dict, folds: list[_Fold]) -> dict:
    """Add the surviving weights and standard errors; leave out folds without any score.

    A fold that failed at every level says nothing about the levels, but a NaN in every mean
    would let it decide everything.
    """
    weights = np.array([[row["n_weights"] for row in fold.rows] for fold in folds]).T
    kept = np.isfinite(weights).any(axis=0)
    for index, column in enumerate(weights.T):
        results[f"split{index}_n_weights"] = column
    results["mean_n_weights"] = weights[:, kept].mean(axis=1) if kept.any() else weights[:, 0]
    prefixes = "mean_test_", "mean_train_"
    for name in [key.removeprefix("mean_") for key in results if key.startswith(prefixes)]:
        scores = np.column_stack([results[f"split{index}_{name}"] for index in range(len(folds))])
        is_test = name.startswith("test_")
        kept = ~np.isnan(scores).all(axis=0)
        if kept.any() and not kept.all():
            scores = scores[:, kept]
            means = results[f"mean_{name}"] = scores.mean(axis=1)
            results[f"std_{name}"] = scores.std(axis=1)
            if is_test:
                filled = np.where(np.isnan(means), -np.inf, means)
                results[f"rank_{name}"] = rankdata(-filled, method="min").astype(np.int32)
        if is_test:
            results[f"sem_{name}"] = standard_errors(scores)
    return results
