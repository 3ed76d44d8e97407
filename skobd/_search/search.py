"""Choosing the pruning level by cross-validation, with one path for each fold.

With a grid of parameters there is one path for each of its candidates and each fold.
"""

import os
import time
from collections.abc import Callable
from copy import deepcopy
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import cpu_count, effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._mlp.data import check_targets_of
from .._mlp.messages import about
from .._mlp.pipelines import last_step, replace_last
from .._prune.schedule import check_levels
from .._sklearn_compat import (
    API_PAGE,
    CallbackSupportMixin,
    StrOptions,
    _fit_context,
    available_if,
    parallel_block,
    root_context,
    take_callbacks,
)
from .candidates import Candidate, make_candidates
from .exports import ExportsOfBestMixin
from .folds import Fold, FoldResult, FoldTask, Rows, fit_task, run_fold
from .meta import Routed, check_metadata, fit_anew, is_routing, pass_on_warnings
from .progress import print_levels, print_refit
from .recorder import with_recorder
from .results import describe, first_cause, join, score_names, tabulate, warn_of_failures
from .scoring import Scoring
from .selection import select_level
from .splits import make_splits

if TYPE_CHECKING:
    from typing_extensions import Self

# Ten levels, each deleting about 30 % of the weights that the one before left.
DEFAULT_LEVELS = (0.0, 0.3, 0.5, 0.65, 0.75, 0.82, 0.88, 0.92, 0.95, 0.97)


def _best_has(name: str) -> Callable[[Any], bool]:
    """Condition of a method that the best estimator, or the one to be fitted, must have."""

    def check(search: Any) -> bool:
        if not search.refit:
            raise AttributeError(f"{name} needs best_estimator_, which refit=False does not make.")
        getattr(getattr(search, "best_estimator_", search.estimator), name)
        return True

    return check


class PruningSearchCV(ExportsOfBestMixin, CallbackSupportMixin, MetaEstimatorMixin, BaseEstimator):
    """Search for the pruning level by cross-validation, training once for each fold.

    The levels lie on one path: a network pruned to 90 % was pruned to 50 % before. So each fold
    trains one network, prunes it round by round, and is scored on its held-out rows after every
    round; then the whole data are fitted along the path to the chosen level.
    :class:`~sklearn.model_selection.GridSearchCV` over ``prune_fraction`` would train from
    scratch for every level.

    With a ``param_grid`` other parameters are chosen together with the level: each of its
    candidates is one path for each fold, so that the levels cost no fits of their own.

    Parameters
    ----------
    estimator : OBDMLPClassifier, OBDMLPRegressor, Pipeline or TransformedTargetRegressor
        What is fitted; of a `Pipeline`, the last step is pruned and the transformers are fitted
        on the training rows of each fold. A `TransformedTargetRegressor`, around the pipeline or
        as its last step, is scored on the scale of ``y``. ``prune_fraction``, ``n_rounds`` and
        ``prune_tol`` are ignored: one round is made for each level.
    param_grid : dict or list of dict, default=None
        Parameters of the estimator and their values, as in `GridSearchCV`; None for the level
        alone. All levels of all combinations are compared.
    prune_fractions : array-like of shape (n_levels,), default=(0, 0.3, ..., 0.95, 0.97)
        Levels to choose from, in [0, 1). They are sorted, and each is taken once. The default
        ones are ten, each deleting about 30 % of the weights that the one before left.
    scoring : str, callable, list, tuple, dict or None, default=None
        As in `GridSearchCV`; None for the estimator's ``score``.
    cv : int, cross-validation generator or iterable, default=None
        As in `GridSearchCV`; None for five folds, stratified for classifiers.
    n_jobs : int or None, default=None
        Paths fitted in parallel by joblib, one for each candidate and fold; see
        `joblib.parallel_config`.
    refit : bool or str, default=True
        Whether to fit all data along the path to the chosen level. With several scores the name
        of the one that chooses the level, or False.
    selection : {"one_standard_error", "best"} or callable, default="one_standard_error"
        "one_standard_error": of all levels (of all candidates) whose mean score is within one
        standard error of the best one's, that with the fewest weights; of equally small networks
        the best. The standard error is the median over all levels and candidates: with few
        folds that of a single row is a matter of chance. "best": the level
        (of any candidate) with the best mean score, the smallest network of equal ones. A
        callable is given ``cv_results_`` and returns the index of the row, as in
        ``GridSearchCV(refit=callable)``.
    verbose : int, default=0
        1 prints a line for each fold, with its score at every level, and in the end one for
        every row of ``cv_results_``; 2 also one for each round.
    error_score : "raise" or numeric, default=np.nan
        Score of a level whose training or scoring failed. Levels that a fold reached before it
        failed keep their scores.
    return_train_score : bool, default=False
        Whether to compute scores on the training rows as well.
    store_path : bool, default=False
        Whether to keep the networks of every fold and level in ``paths_``.

    Attributes
    ----------
    cv_results_ : dict of ndarrays of shape (n_candidates * n_levels,)
        Ready for `pandas.DataFrame`; the rows go from dense to sparse, candidate by candidate,
        and the columns are those of `GridSearchCV`, and ``split<i>_n_weights`` and
        ``mean_n_weights``, the surviving weights (likewise ``n_units`` or ``n_features`` where
        ``granularity`` deletes those), and ``sem_test_<score>``, the standard error of the mean
        over the folds. ``fit_time`` is the time it took to reach the level. A fold whose score is
        NaN in every row is left out of the statistics over folds.
    best_index_ : int
        Row of the chosen level (and candidate).
    best_params_ : dict
        The chosen level, with the parameters of its candidate, as ``set_params`` takes them.
        ``best_estimator_`` was pruned along the levels up to it, so fitting a clone, in
        ``n_rounds`` rounds, gives another network.
    best_score_ : float
        Mean score in that row.
    best_estimator_ : estimator
        Fitted on all data along the path to the chosen level, with the parameters of the chosen
        candidate. With ``refit`` only.
    refit_time_ : float
        Seconds that took. With ``refit`` only.
    scorer_ : callable or dict
        The scorer, or the scorers by name.
    multimetric_ : bool
        Whether there are several scores.
    n_splits_ : int
        Number of folds.
    paths_ : list of PruningPath or None
        The path of every fold, None for one that failed before its first level; with a
        ``param_grid`` such a list for each candidate. With ``store_path`` only.
    classes_ : ndarray of shape (n_classes,)
        Class labels. Classifiers with ``refit`` only.
    n_features_in_ : int
        Number of features. With ``refit`` only.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where ``X`` had any. With ``refit`` only.

    See Also
    --------
    OBDMLPClassifier.pruning_path : The networks of one path, without cross-validation.
    PruningPathDisplay : Draws the score at every level.
    sklearn.model_selection.GridSearchCV : One fit for each level.

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

    The penalty, chosen together with the level at the price of one path for each fold more:

    >>> search.set_params(param_grid={"obdmlpclassifier__alpha": [5, 20]}).fit(X, y).best_params_
    {'obdmlpclassifier__alpha': 5, 'obdmlpclassifier__prune_fraction': 0.8}
    """

    _doc_link_module = "skobd"
    _doc_link_template = API_PAGE
    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "param_grid": [dict, list, None],
        "prune_fractions": ["array-like"],
        "scoring": [str, callable, list, tuple, dict, None],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
        "refit": ["boolean", str],
        "selection": [StrOptions({"best", "one_standard_error"}), callable],
        "verbose": ["verbose"],
        "error_score": [StrOptions({"raise"}), Real],
        "return_train_score": ["boolean"],
        "store_path": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any = None,
        *,
        prune_fractions: ArrayLike = DEFAULT_LEVELS,
        scoring: Any = None,
        cv: Any = None,
        n_jobs: int | None = None,
        refit: bool | str = True,
        selection: str | Callable[[dict[str, Any]], int] = "one_standard_error",
        verbose: int = 0,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
        store_path: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.prune_fractions = prune_fractions
        self.scoring = scoring
        self.cv = cv
        self.n_jobs = n_jobs
        self.refit = refit
        self.selection = selection
        self.verbose = verbose
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.store_path = store_path

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **params: Any) -> "Self":
        """Fit one path for each fold, choose a level, and fit all data along the path to it.

        With a ``param_grid``, one path for each candidate and fold.

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
        fit_anew(self, lambda: self._fit(X, y, params))
        return self

    def _fit(self, X: Any, y: Any, params: dict[str, Any]) -> None:
        levels = check_levels(self.prune_fractions)
        candidates = make_candidates(self.estimator, self.param_grid)
        scoring = self._scoring()
        check_targets_of(type(self).__name__, self.estimator, y)
        with about("X and y"):
            X, y = indexable(X, y)
        routed = self._split_metadata(check_metadata(X, params), scoring)
        rows = Rows(X, y, routed.fit, routed.score)
        root = root_context(self, max_subtasks=1 + (self.refit is not False))
        root.call_on_fit_task_begin(**rows.shown(self))
        results = self._run_folds(rows, candidates, levels, scoring, routed.split, root)
        folds = join(results)
        pass_on_warnings(folds)
        warn_of_failures(folds, self.error_score)
        names = score_names(folds)
        self.multimetric_ = names is not None
        if names is not None:
            self._check_refit_is_among(names)
        self.cv_results_ = tabulate(
            [row for candidate in candidates for row in candidate.at(levels)], folds
        )
        self.scorer_ = scoring.scorer_or_scorers
        if self.store_path:
            paths = [[fold.path for fold in of_candidate] for of_candidate in results]
            self.paths_ = paths[0] if self.param_grid is None else paths
        if self.refit or not self.multimetric_:
            self._choose(str(self.refit) if self.multimetric_ else "score", first_cause(folds))
        if self.refit:
            candidate, level = divmod(self.best_index_, len(levels))
            self._refit(rows, candidates[candidate].estimator, levels[: level + 1], root)
        root.call_on_fit_task_end(**rows.shown(self))

    def _scoring(self) -> Scoring:
        scoring = Scoring.of(self.estimator, self.scoring, self.error_score)
        if scoring.are_several:
            self._check_refit_is_among(scoring.by_name)
        return scoring

    def _check_refit_is_among(self, names: Any) -> None:
        """Of several scores one must choose the level, or the user later."""
        if self.refit is not False and self.refit not in names:
            raise ValueError(
                "For multi-metric scoring, the parameter refit must be set to the scorer key that "
                f"chooses the level, one of {sorted(names)}, or to False if there is to be no "
                f"best_estimator_; got refit={self.refit!r}."
            )

    def _run_folds(
        self,
        rows: Rows,
        candidates: list[Candidate],
        levels: tuple[float, ...],
        scoring: Scoring,
        split_params: dict[str, Any],
        root: Any,
    ) -> list[list[FoldResult]]:
        """One path for each candidate and fold, in parallel; a list of folds for each candidate."""
        splits = make_splits(self.cv, rows, self.estimator, split_params)
        self.n_splits_ = len(splits)
        n_folds = len(candidates) * len(splits)
        task = self._task(rows, levels, scoring, n_folds)
        context = root.subcontext(
            task_name="search", max_subtasks=n_folds, sequential_subtasks=False
        )
        context.call_on_fit_task_begin(estimator=self)
        # Made before the parallel loop, which pickles the tree that their contexts are part of.
        folds = [
            Fold(
                index=index,
                name=_name(number if len(candidates) > 1 else None, index),
                estimator=clone(candidate.estimator),
                train=train,
                test=test,
                context=context.subcontext(task_name="fold", task_id=number * len(splits) + index),
            )
            for number, candidate in enumerate(candidates)
            for index, (train, test) in enumerate(splits)
        ]
        results = Parallel(n_jobs=self.n_jobs)(delayed(run_fold)(task, fold) for fold in folds)
        context.call_on_fit_task_end(estimator=self)
        return [results[start : start + len(splits)] for start in range(0, n_folds, len(splits))]

    def _task(
        self, rows: Rows, levels: tuple[float, ...], scoring: Scoring, n_folds: int
    ) -> FoldTask:
        return FoldTask(
            caller=self,
            everything=rows,
            levels=levels,
            scorer=scoring.scorer,
            # With metadata routing, the pipeline may hand metadata to its transformers.
            only_predicts=scoring.only_predict and not is_routing(),
            return_train_score=self.return_train_score,
            error_score=self.error_score,
            store_path=self.store_path,
            verbose=int(self.verbose),
            n_threads=max(1, cpu_count() // min(effective_n_jobs(self.n_jobs), n_folds)),
            pid=os.getpid(),
        )

    def _choose(self, metric: str, cause: Exception | None) -> None:
        """Set ``best_index_`` and what follows from it."""
        results = self.cv_results_
        if not callable(self.selection) and not np.isfinite(results[f"mean_test_{metric}"]).any():
            if not self.refit:
                return
            # Data of a wrong type are a TypeError, as from the estimator itself.
            kind = TypeError if isinstance(cause, TypeError) else ValueError
            raise kind(
                f"No level can be chosen: mean_test_{metric} is finite at none. "
                + (f"The first error was {describe(cause)}\n\n" if cause is not None else "")
                + "Use error_score='raise' to see where, or refit=False to get cv_results_."
            ) from cause
        self.best_index_ = select_level(results, metric, self.selection)
        self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]
        if self.verbose:
            print_levels(results, metric, self.best_index_)

    def _refit(self, rows: Rows, estimator: Any, levels: tuple[float, ...], root: Any) -> None:
        """Fit all data along the path to the chosen level, which is the last of these."""
        estimator = with_recorder(clone(estimator), levels)
        context = root.subcontext(task_name="refit")
        start = time.perf_counter()
        with fit_task(context, estimator, rows.shown(self)):
            estimator.fit(*rows.data, **rows.fit_params)
        self.refit_time_ = time.perf_counter() - start
        path = last_step(estimator).path_
        if self.verbose:
            print_refit(path, self.refit_time_)
        mlp = path.estimator_at(-1)
        take_callbacks(last_step(estimator), mlp)
        # The level that was chosen, should a callback have ended the fit before.
        mlp.prune_fraction = levels[-1]
        self.best_estimator_ = replace_last(estimator, mlp)

    # ------------------------------------------------------------------ metadata

    def _split_metadata(self, params: dict[str, Any], scoring: Scoring) -> Routed:
        """Who gets which parameters of ``fit``."""
        if is_routing():
            routed = process_routing(self, "fit", **params)
            return Routed(routed.estimator.fit, routed.scorer.score, routed.splitter.split)
        to_fit = {name: value for name, value in params.items() if name != "groups"}
        to_score = {}
        if params.get("sample_weight") is not None and scoring.accept_sample_weight():
            to_score["sample_weight"] = params["sample_weight"]
        return Routed(to_fit, to_score, {"groups": params.get("groups")})

    def get_metadata_routing(self) -> MetadataRouter:
        """Get who may ask for metadata: the estimator, the scorer and the splitter.

        Returns
        -------
        routing : MetadataRouter
            As scikit-learn's routers give it.
        """
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        to_split = MethodMapping().add(caller="fit", callee="split")
        to_score = MethodMapping()
        for caller in ("fit", "score"):
            to_score.add(caller=caller, callee="score")
        return (
            MetadataRouter(owner=self)
            .add(estimator=self.estimator, method_mapping=to_fit)
            .add(scorer=self._scoring().scorer, method_mapping=to_score)
            .add(splitter=self.cv, method_mapping=to_split)
        )

    # ------------------------------------------------------------------ the best estimator

    @available_if(_best_has("predict"))
    def predict(self, X: Any) -> NDArray[Any]:
        """Predict with ``best_estimator_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict; columns as in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predicted classes or targets.
        """
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    @available_if(_best_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict probabilities of the classes with ``best_estimator_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict; columns as in ``fit``.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    @available_if(_best_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Predict logarithms of the probabilities of the classes with ``best_estimator_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict; columns as in ``fit``.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.best_estimator_.predict_log_proba(X)

    @available_if(_best_has("score"))
    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Score ``best_estimator_`` by the scorer that chose the level.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets.
        **params : dict of str -> object
            Metadata for the scorer; with scikit-learn's metadata routing only.

        Returns
        -------
        score : float
            The higher the better.
        """
        check_is_fitted(self)
        if params and not is_routing():
            raise ValueError(
                f"score takes {sorted(params)} only with enable_metadata_routing=True; see "
                "sklearn.set_config."
            )
        to_score = process_routing(self, "score", **params).scorer.score
        scorer = self.scorer_[self.refit] if isinstance(self.scorer_, dict) else self.scorer_
        score = scorer(self.best_estimator_, X, y, **to_score)
        return score[self.refit] if isinstance(score, dict) else score

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels; classifiers with ``refit`` only."""
        return self.best_estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of features; with ``refit`` only."""
        return self.best_estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the features, where ``X`` had any; with ``refit`` only."""
        return self.best_estimator_.feature_names_in_

    def __sklearn_tags__(self):
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = own.estimator_type
        tags.classifier_tags = deepcopy(own.classifier_tags)
        tags.regressor_tags = deepcopy(own.regressor_tags)
        tags.input_tags.pairwise = own.input_tags.pairwise
        tags.input_tags.sparse = own.input_tags.sparse
        return tags

    def _sk_visual_block_(self):
        """What notebooks show."""
        name = "best_estimator_" if hasattr(self, "best_estimator_") else "estimator"
        return parallel_block(name, getattr(self, name))


def _name(candidate: int | None, fold: int) -> str:
    """What a fold is called where progress is printed."""
    name = f"fold {fold + 1:2d}"
    return name if candidate is None else f"candidate {candidate + 1:2d}, {name}"
