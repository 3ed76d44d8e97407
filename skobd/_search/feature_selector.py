"""Which inputs: the feature selector over one pruning path that deletes whole inputs."""

import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_array, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted, validate_data

from .._mlp.column_sources import check_one_to_one, column_of_inputs
from .._mlp.data import check_targets_of
from .._mlp.feature_groups import members_by_key
from .._mlp.messages import about
from .._mlp.path import PruningPath
from .._mlp.pipelines import last_step, steps_before
from .._prune.schedule import geometric_levels, survivors_at
from .._sklearn_compat import (
    API_PAGE,
    CallbackSupportMixin,
    Interval,
    RealNotInt,
    StrOptions,
    _fit_context,
    _num_features,
    available_if,
    parallel_block,
    root_context,
    take_callbacks,
)
from .._warnings import warn_user
from .candidates import Candidate, checked_clone
from .folds import Rows, fit_task
from .meta import Routed, check_metadata, fit_anew, is_routing, pass_on_warnings
from .progress import work
from .recorder import recorded_path, with_recorder
from .results import score_names, tabulate
from .scoring import Scoring
from .search import PruningSearchCV
from .selection import select_level
from .splits import make_splits

if TYPE_CHECKING:
    from typing_extensions import Self

SELECTION_CONSTRAINTS: dict = {
    "estimator": "no_validation",
    "n_features_to_select": [
        None,
        Interval(RealNotInt, 0, 1, closed="right"),
        Interval(Integral, 1, None, closed="left"),
    ],
    "step": [
        Interval(Integral, 1, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="neither"),
    ],
}


def deletes_inputs(estimator: Any) -> Any:
    """A clone of the estimator whose network is pruned by whole inputs.

    Raises
    ------
    TypeError
        If there is no OBD estimator inside.
    """
    estimator = checked_clone(estimator)
    last_step(estimator).set_params(granularity="feature")
    return estimator


def count_columns(X: Any) -> int:
    """Number of columns; the usual error of scikit-learn where there are none."""
    try:
        n_columns = _num_features(X)
    except TypeError:
        n_columns = 0
    if not n_columns:
        with about("X"):
            check_array(X, accept_sparse=True, dtype=None, ensure_all_finite=False)
    return n_columns


def n_deletable(estimator: Any, n_columns: int) -> int:
    """How many inputs there are to delete: groups of columns, and columns in no group."""
    groups = last_step(estimator).feature_groups
    if groups is None:
        return n_columns
    try:
        members = members_by_key(groups).values()
        return max(n_columns - sum(len(group) - 1 for group in members), 1)
    except (TypeError, ValueError):
        # These are no groups, and fit will say so.
        return n_columns


def along_columns(estimator: Any, levels: Sequence[float], X: Any) -> Any:
    """Add a recorder that refuses transformers unless they keep columns one to one."""

    def check_inputs(arrived: Any) -> None:
        check_one_to_one(estimator, X, arrived)

    return with_recorder(estimator, levels, check_inputs)


def column_masks(path: PruningPath, n_columns: int) -> np.ndarray:
    """Which columns of ``X`` are left at each level, shape (n_levels, n_columns).

    Transformers, such as a `ColumnTransformer`, may hand them to the network in another order.
    """
    masks = np.empty((len(path["steps"]), n_columns), dtype=bool)
    masks[:, column_of_inputs(path["estimator"], n_columns)] = path.input_masks()
    return masks


def falling_counts(n_total: int, n_left: int, step: float) -> list[int]:
    """How many inputs are left at each level, from all of them to ``n_left``.

    Parameters
    ----------
    n_total, n_left : int
    step : int or float
        At most so many, or at most such a fraction of those left, go at each level; a fraction
        is made smaller so that all levels have the same.
    """
    if isinstance(step, Integral) or step * n_total < 1:
        step = max(1, int(step))
        return [*range(n_total, n_left, -step), n_left]
    if n_left == n_total:
        return [n_total]
    n_levels = math.ceil(math.log(n_left / n_total) / math.log1p(-step))
    levels = geometric_levels(1 - n_left / n_total, n_levels)
    return sorted({n_total, *survivors_at(levels, n_total)}, reverse=True)


def counts_along(n_total: int, asked: float | None, step: float) -> list[int]:
    """`falling_counts` to a number or fraction of ``n_total`` that a user asks for; None: half."""
    if asked is None:
        asked = 0.5
    n_left = int(asked) if isinstance(asked, Integral) else max(int(asked * n_total), 1)
    if n_left > n_total:
        warn_user(
            f"n_features_to_select={asked} is more than the {n_total} inputs there are; all are "
            "kept."
        )
    return falling_counts(n_total, min(n_left, n_total), step)


def levels_of(counts: Sequence[int]) -> tuple[float, ...]:
    """The fractions gone at which so many of the first count are left."""
    return tuple(1 - count / counts[0] for count in counts)


def rank_by_deletion(masks: np.ndarray) -> np.ndarray:
    """1 for the inputs alive at the last level, 2 for those that went there, and so on.

    Parameters
    ----------
    masks : ndarray of bool of shape (n_levels, n_features)
        Which are alive, from dense to sparse.
    """
    last_alive = len(masks) - 1 - masks[::-1].argmax(axis=0)
    return len(masks) - last_alive


def _estimator_has(name: str) -> Callable[[Any], bool]:
    """Condition of a method that the network, or the estimator to be fitted, must have."""

    def check(selector: Any) -> bool:
        getattr(getattr(selector, "estimator_", selector.estimator), name)
        return True

    return check


class OBDFeatureSelector(CallbackSupportMixin, SelectorMixin, MetaEstimatorMixin, BaseEstimator):
    """Select features by deleting whole inputs of a network, the least salient first.

    The network is trained once on all inputs, then loses inputs level by level and is retrained
    from where it is: one pruning path with ``granularity="feature"``. `RFE` makes a fit from
    scratch for each of these levels, and `RFECV` one for each level and fold. The saliency of an
    input is the predicted increase of the training objective if all of its weights were deleted
    (LeCun, Denker & Solla, 1989).

    Parameters
    ----------
    estimator : OBDMLPClassifier, OBDMLPRegressor, Pipeline or TransformedTargetRegressor
        What is fitted and pruned. Whatever its ``granularity`` is, inputs are deleted;
        ``prune_fraction``, ``n_rounds`` and ``prune_tol`` are ignored. The transformers of a
        `Pipeline` must keep columns one to one, as scalers and imputers do, but may change
        their order, as `ColumnTransformer` does; what mixes columns, such as `PCA`, is refused
        before training. A `FunctionTransformer` (unless of a NumPy ufunc) says that it keeps
        them by ``feature_names_out="one-to-one"``, a class of your own by inheriting from
        `sklearn.base.OneToOneFeatureMixin`. Inputs on one scale, such as standardised ones, are
        what the penalty of the network expects. What selected best where it was measured is
        ``solver="lbfgs"``, ``criterion="kfac"`` and ``alpha=10``.
    n_features_to_select : int or float, default=None
        How many inputs are kept: a number, or a fraction of all. None: half of them, or, with
        ``cv``, the number that cross-validation chooses. Where the estimator has
        ``feature_groups``, groups and columns in no group are counted, so that
        ``n_features_``, a number of columns, may be larger.
    step : int or float, default=0.35
        How many inputs go at each level of the path: at most so many, or at most such a
        fraction of those left (of `RFE` it is a fraction of all).
    cv : int, cross-validation generator or iterable, default=None
        How to score the levels, one path for each fold, as in `PruningSearchCV`; None: not at
        all. With a given ``n_features_to_select`` the scores are only there to be looked at.
    scoring : str or callable, default=None
        Score for ``cv`` and of `score`; None for the estimator's ``score``.
    selection : {"one_standard_error", "best"} or callable, default="one_standard_error"
        With ``cv``, which level is chosen: the one with the fewest inputs whose mean score is
        within one standard error of the best one's (the median over the levels, as in
        `PruningSearchCV`), or the one with the best mean score. A callable is given
        ``cv_results_`` and returns the index of the level.
    n_jobs : int or None, default=None
        Folds fitted in parallel by joblib; see `joblib.parallel_config`.
    verbose : int, default=0
        1 prints a line for each path, 2 also one for each level.

    Attributes
    ----------
    support_ : ndarray of bool of shape (`n_features_in_`,)
        Which columns are selected.
    ranking_ : ndarray of int of shape (`n_features_in_`,)
        1 for the selected columns, 2 for those deleted last, and so on; columns deleted at the
        same level have the same rank.
    n_features_ : int
        Number of selected columns.
    estimator_ : estimator
        The network (or pipeline) at the selected level, pruned and retrained. It takes all
        columns of ``X``; those not selected may hold anything finite.
    path_ : PruningPath
        The networks of all levels, fitted on all data: ``path_.estimator_at(i)`` is the one of
        level i.
    masks_ : ndarray of bool of shape (n_levels, `n_features_in_`)
        Which columns are left at each level of ``path_``, from all of them on.
    cv_results_ : dict of ndarrays of shape (n_levels,)
        Scores of the levels, from all inputs to the fewest, with the columns of
        `PruningSearchCV`; the number of inputs is ``param_n_features_to_select``. With ``cv``
        only.
    best_index_ : int
        The level that is selected: a row of ``masks_`` and of ``cv_results_``.
    n_splits_ : int
        Number of folds. With ``cv`` only.
    scorer_ : callable
        The scorer.
    classes_ : ndarray of shape (n_classes,)
        Class labels. Classifiers only.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where ``X`` had any.

    See Also
    --------
    stability_selection : How often an input is selected on subsamples.
    FeaturePathDisplay : Which inputs are left at each level.
    PruningSearchCV : The same for the level of weights.

    References
    ----------
    Y. LeCun, J. S. Denker and S. A. Solla, "Optimal Brain Damage", NIPS 2, 1990, pages 598-605.

    I. Guyon, J. Weston, S. Barnhill and V. Vapnik, "Gene selection for cancer classification
    using support vector machines", Machine Learning 46, 2002: recursive feature elimination.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from skobd import OBDMLPClassifier, OBDFeatureSelector
    >>> X, y = make_classification(
    ...     300, n_features=20, n_informative=3, n_redundant=0, shuffle=False, random_state=0
    ... )
    >>> mlp = OBDMLPClassifier((10,), solver="lbfgs", alpha=3, tol=1e-2, random_state=0)
    >>> selector = OBDFeatureSelector(mlp, n_features_to_select=3).fit(X, y)
    >>> selector.get_support(indices=True)
    array([0, 1, 2])
    >>> selector.transform(X).shape
    (300, 3)
    >>> selector.score(X, y) > 0.9
    True
    """

    _doc_link_module = "skobd"
    _doc_link_template = API_PAGE
    _parameter_constraints: dict = {
        **SELECTION_CONSTRAINTS,
        "cv": ["cv_object"],
        "scoring": [str, callable, None],
        "selection": [StrOptions({"best", "one_standard_error"}), callable],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        n_features_to_select: float | None = None,
        step: float = 0.35,
        cv: Any = None,
        scoring: Any = None,
        selection: str | Callable[[dict[str, Any]], int] = "one_standard_error",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.n_features_to_select = n_features_to_select
        self.step = step
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, **params: Any) -> "Self":
        """Train, delete inputs level by level, and choose a level.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        **params : dict of str -> object
            Parameters of the estimator's ``fit``, and with ``cv`` of the scorer and the
            splitter; those with one entry for each sample are split with the data.

        Returns
        -------
        self : object
            The fitted selector.
        """
        fit_anew(self, lambda: self._fit(X, y, params))
        return self

    def _fit(self, X: Any, y: Any, params: dict[str, Any]) -> None:
        estimator = deletes_inputs(self.estimator)
        scoring = Scoring.of(estimator, self.scoring, "raise")
        # Frames of mixed types are for the transformers; the network checks what it gets.
        n_columns = count_columns(X)
        validate_data(self, X, skip_check_array=True)
        check_targets_of(type(self).__name__, self.estimator, y)
        with about("X and y"):
            X, y = indexable(X, y)
        asked = 1 if self._is_free else self.n_features_to_select
        counts = counts_along(n_deletable(estimator, n_columns), asked, self.step)
        search = self._search(estimator, scoring)
        routed = self._split_metadata(check_metadata(X, params), search, scoring)
        rows = Rows(X, y, routed.fit, routed.score)
        splits = None
        if search is not None:
            splits = make_splits(self.cv, rows, self.estimator, routed.split)
        root = root_context(self, max_subtasks=1 + (search is not None))
        root.call_on_fit_task_begin(**rows.shown(self))
        path = self._fit_path(estimator, rows, levels_of(counts), root)
        index = len(counts) - 1
        if search is not None:
            search.set_params(cv=splits)
            index = self._cross_validate(search, rows, counts, scoring, root)
        self._keep(path, index, scoring)
        take_callbacks(last_step(estimator), last_step(self.estimator_))
        root.call_on_fit_task_end(**rows.shown(self))

    @property
    def _is_free(self) -> bool:
        """Whether cross-validation chooses the level."""
        return self.cv is not None and self.n_features_to_select is None

    def _search(self, estimator: Any, scoring: Scoring) -> PruningSearchCV | None:
        """What scores the levels on folds; None where that is not asked for."""
        if self.cv is None:
            return None
        return PruningSearchCV(
            estimator,
            scoring=self.scoring,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            error_score="raise",
        )

    def _fit_path(
        self, estimator: Any, rows: Rows, levels: tuple[float, ...], root: Any
    ) -> PruningPath:
        """The path on all data."""
        estimator = along_columns(clone(estimator), levels, rows.X)
        context = root.subcontext(task_name="path")
        start = time.perf_counter()
        with fit_task(context, estimator, rows.shown(self)):
            estimator.fit(*rows.data, **rows.fit_params)
        path = recorded_path(estimator)
        assert path is not None
        if self.verbose > 1:
            for fitted in path["steps"]:
                print(f"path, {fitted.latest.describe()}")
        if self.verbose:
            left = ", ".join(map(str, path["n_features"].tolist()))
            print(f"path: inputs left {left} in {work(path, time.perf_counter() - start)}")
        return path

    def _cross_validate(
        self, search: PruningSearchCV, rows: Rows, counts: list[int], scoring: Scoring, root: Any
    ) -> int:
        """Score the levels on the folds; returns the one to be selected."""
        candidates = [Candidate({}, search.estimator)]
        (folds,) = search._run_folds(rows, candidates, levels_of(counts), scoring, {}, root)
        pass_on_warnings(folds)
        if score_names(folds) is not None:
            raise ValueError(
                f"scoring must give one number, got several from {self.scoring!r}: "
                f"{score_names(folds)}."
            )
        self.n_splits_ = len(folds)
        self.cv_results_ = tabulate([{"n_features_to_select": count} for count in counts], folds)
        if not self._is_free:
            return len(counts) - 1
        return select_level(self.cv_results_, "score", self.selection)

    def _keep(self, path: PruningPath, index: int, scoring: Scoring) -> None:
        """Set the attributes of the selected level."""
        # A callback may have ended the path before it.
        index = min(index, len(path["steps"]) - 1)
        self.path_, self.best_index_, self.scorer_ = path, index, scoring.scorer
        self.masks_ = column_masks(path, self.n_features_in_)
        self.support_ = self.masks_[index]
        self.ranking_ = rank_by_deletion(self.masks_[: index + 1])
        self.n_features_ = int(self.support_.sum())
        self.estimator_ = path.estimator_at(index)

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self.support_

    # ------------------------------------------------------------------ metadata

    def _split_metadata(
        self, params: dict[str, Any], search: PruningSearchCV | None, scoring: Scoring
    ) -> Routed:
        """Who gets which parameters of ``fit``."""
        if is_routing():
            routed = process_routing(self, "fit", **params)
            if search is None:
                return Routed(routed.estimator.fit, {}, {})
            return Routed(routed.estimator.fit, routed.scorer.score, routed.splitter.split)
        if search is None:
            return Routed(params, {}, {})
        return Routed(*search._split_metadata(params, scoring))

    def get_metadata_routing(self) -> MetadataRouter:
        """Get who may ask for metadata: the estimator, the scorer, and with ``cv`` the splitter.

        Returns
        -------
        routing : MetadataRouter
            Who asks for what.
        """
        scorer = Scoring.of(self.estimator, self.scoring, "raise").scorer
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        to_score = MethodMapping().add(caller="score", callee="score")
        router = MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=to_fit)
        if self.cv is not None:
            to_score.add(caller="fit", callee="score")
            to_split = MethodMapping().add(caller="fit", callee="split")
            router.add(splitter=self.cv, method_mapping=to_split)
        return router.add(scorer=scorer, method_mapping=to_score)

    # ------------------------------------------------------------------ the network

    @available_if(_estimator_has("predict"))
    def predict(self, X: Any) -> NDArray[Any]:
        """Predict with ``estimator_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            With all columns, as in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Classes or values.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict probabilities of the classes with ``estimator_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            With all columns, as in ``fit``.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Predict logarithms of the probabilities of the classes with ``estimator_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            With all columns, as in ``fit``.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(_estimator_has("score"))
    def score(self, X: Any, y: Any, **params: Any) -> float:
        """Score ``estimator_`` by ``scoring``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            With all columns, as in ``fit``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        **params : dict of str -> object
            Metadata for the scorer, such as ``sample_weight``.

        Returns
        -------
        score : float
            Higher is better.
        """
        check_is_fitted(self)
        if is_routing():
            params = process_routing(self, "score", **params).scorer.score
        return self.scorer_(self.estimator_, X, y, **params)

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels; classifiers only."""
        return self.estimator_.classes_

    def __sklearn_tags__(self):
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = own.estimator_type
        tags.classifier_tags = deepcopy(own.classifier_tags)
        tags.regressor_tags = deepcopy(own.regressor_tags)
        for kind in (tags.classifier_tags, tags.regressor_tags):
            if kind is not None:
                # With half of the inputs.
                kind.poor_score = True
        tags.target_tags.required = True
        tags.input_tags.sparse = own.input_tags.sparse
        # Where there are transformers, such as an imputer, it is they who refuse NaN or do not.
        steps = steps_before(clone(self.estimator, safe=False))
        tags.input_tags.allow_nan = own.input_tags.allow_nan or bool(steps)
        return tags

    def _sk_visual_block_(self):
        """What notebooks show."""
        name = "estimator_" if hasattr(self, "estimator_") else "estimator"
        return parallel_block(name, getattr(self, name))
