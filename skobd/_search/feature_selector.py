"""The feature selector over one pruning path that deletes whole inputs."""

import time
from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._mlp.path import PruningPath
from .._mlp.pipelines import last_step, steps_before
from .._prune.schedule import Levels
from .._sklearn_compat import (
    API_PAGE,
    Interval,
    RealNotInt,
    StrOptions,
    _fit_context,
    root_context,
    take_callbacks,
)
from .candidates import Candidate
from .delegating import DelegatingMixin
from .folds import FoldSettings, fit_task, format_effort, print_path, run_folds
from .input_levels import (
    DEFAULT_STEP,
    SELECTION_CONSTRAINTS,
    clone_for_inputs,
    column_masks,
    count_columns,
    count_inputs,
    input_counts,
    with_input_recorder,
)
from .recorder import recorded_path
from .results import Folds, score_names, tabulate
from .scoring import Scoring
from .selection import BestWithin, select_level
from .subsets import Subset, make_splits

if TYPE_CHECKING:
    from typing_extensions import Self


def rank_by_deletion(masks: np.ndarray) -> np.ndarray:
    """Rank inputs: 1 if alive at the last level, 2 if deleted there, and so on.

    Parameters
    ----------
    masks : ndarray of bool of shape (n_levels, n_features)
        Inputs alive at each level, from dense to sparse.
    """
    last_alive = len(masks) - 1 - masks[::-1].argmax(axis=0)
    return len(masks) - last_alive


def _within_budget(rule: Any, path: PruningPath, index: int) -> int:
    """Return the first level from ``index`` on that is within the budget, if the rule has one."""
    if not isinstance(rule, BestWithin):
        return index
    reached = [rule.sizes(path.estimator_at(i)) for i in range(index, len(path["steps"]))]
    allowed = [i for i, sizes in enumerate(reached, start=index) if rule.allows(sizes)]
    if not allowed:
        raise rule.exceeded(reached)
    return allowed[0]


class OBDFeatureSelector(DelegatingMixin, SelectorMixin, BaseEstimator):
    """Select features by deleting whole inputs of a network, the least salient first.

    The network is trained once on all inputs, then loses inputs level by level and is retrained
    from its present weights: one pruning path with ``granularity="feature"``. `RFE` fits from
    scratch for each of these levels, and `RFECV` for each level and fold. The saliency of an
    input is the predicted increase of the training objective if all of its weights were deleted
    (LeCun, Denker & Solla, 1989).

    Parameters
    ----------
    estimator : OBDMLPClassifier, OBDMLPRegressor, Pipeline or TransformedTargetRegressor
        Model to prune. Inputs are deleted regardless of its ``granularity``;
        ``prune_fraction``, ``n_rounds`` and ``prune_tol`` are ignored. The transformers of a
        `Pipeline` must keep columns one to one, as scalers and imputers do, but may change
        their order, as `ColumnTransformer` does; transformers that mix columns, such as `PCA`, are
        refused before training. To declare that it keeps columns, a `FunctionTransformer` (unless
        of a NumPy ufunc) needs ``feature_names_out="one-to-one"``, and a class of your own must
        inherit from `sklearn.base.OneToOneFeatureMixin`. The penalty of the network expects inputs
        on one scale, such as standardised ones. In measurements, ``solver="lbfgs"``,
        ``criterion="kfac"`` and ``alpha=10`` selected best.
    n_features_to_select : int or float, default=None
        Inputs to keep: a number, or a fraction of all; None for half of them or, with ``cv``, for
        the number that cross-validation chooses. If the estimator has ``feature_groups``, groups
        and columns outside them are counted, so that ``n_features_``, a number of columns, may be
        larger.
    step : int or float, default=0.35
        Most inputs to delete at each level of the path: a number, or a fraction of those left (in
        `RFE` a fraction of all).
    cv : int, cross-validation generator or iterable, default=None
        Cross-validation of the levels, one path for each fold, as in `PruningSearchCV`; None for no
        scores. With a given ``n_features_to_select`` scores do not choose the level.
    scoring : str or callable, default=None
        Score for ``cv`` and of `score`; None for the estimator's ``score``.
    selection : {"one_standard_error", "best"} or callable, default="one_standard_error"
        Choice of the level with ``cv``: the one with the fewest inputs whose mean score is
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
        True for the selected columns.
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
        True for the columns left at each level of ``path_``, beginning with all of them.
    cv_results_ : dict of ndarrays of shape (n_levels,)
        Scores of the levels, from all inputs to the fewest, with the columns of
        `PruningSearchCV`; the number of inputs is ``param_n_features_to_select``. Only
        with ``cv``.
    best_index_ : int
        Index of the selected level: a row of ``masks_`` and of ``cv_results_``.
    n_splits_ : int
        Number of folds. Only with ``cv``.
    scorer_ : callable
        The scorer.
    classes_ : ndarray of shape (n_classes,)
        Class labels. Only for classifiers.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if ``X`` had any.

    See Also
    --------
    stability_selection : Counts how often an input is selected on subsamples.
    FeaturePathDisplay : Shows the inputs left at each level.
    PruningSearchCV : Chooses a pruning level.

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
    >>> mlp = OBDMLPClassifier(
    ...     hidden_layer_sizes=(10,), solver="lbfgs", alpha=3, tol=1e-2, random_state=0
    ... )
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
        "step": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
        ],
        "cv": ["cv_object"],
        "scoring": [str, callable, None],
        "selection": [StrOptions({"best", "one_standard_error"}), callable],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }
    _network_name = "estimator_"

    def __init__(
        self,
        estimator: Any,
        *,
        n_features_to_select: float | None = None,
        step: float = DEFAULT_STEP,
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
        self._fit_from_scratch(X, y, params)
        return self

    def _fit(self, X: Any, y: Any, params: dict[str, Any]) -> None:
        estimator = clone_for_inputs(self.estimator)
        scoring = self._scoring()
        # Transformers may take frames of mixed types; the network checks its own input.
        n_columns = count_columns(X)
        validate_data(self, X, skip_check_array=True)
        data, split_params = self._check_data(X, y, params, scoring)
        is_free = self._has_folds and self.n_features_to_select is None
        asked = 1 if is_free else self.n_features_to_select
        counts = input_counts(count_inputs(estimator, n_columns), asked, self.step)
        levels, index = Levels.of(None, counts), len(counts) - 1
        if self._has_folds:
            splits = make_splits(self.cv, data, self.estimator, split_params)
        root = root_context(self, max_subtasks=1 + self._has_folds)
        root.call_on_fit_task_begin(**data.as_shown(self))
        path = self._fit_path(estimator, data, levels, root)
        if self._has_folds:
            settings = FoldSettings(self, data, levels, scoring)
            folds = run_folds(settings, [Candidate({}, estimator)], splits, root)
            self._keep_scores(folds, counts)
            if is_free:
                index = select_level(self.cv_results_, "score", self.selection)
                index = _within_budget(self.selection, path, index)
        self._keep_path(path, index)
        self.scorer_ = scoring.scorer
        take_callbacks(last_step(estimator), last_step(self.estimator_))
        root.call_on_fit_task_end(**data.as_shown(self))

    @property
    def _has_folds(self) -> bool:
        return self.cv is not None

    def _scoring(self) -> Scoring:
        return Scoring.of(self.estimator, self.scoring)

    def _fit_path(self, estimator: Any, data: Subset, levels: Levels, root: Any) -> PruningPath:
        """Fit all data along the levels."""
        estimator = with_input_recorder(clone(estimator), levels, data.X)
        start = time.perf_counter()
        fit_task(root.subcontext(task_name="path"), estimator, data, self)
        path = recorded_path(estimator)
        assert path is not None
        if self.verbose:
            print_path("path", self.verbose, path)
            left = ", ".join(map(str, path["n_features"].tolist()))
            effort = format_effort(path, time.perf_counter() - start)
            print(f"path: inputs left {left} in {effort}")
        return path

    def _keep_scores(self, folds: Folds, counts: list[int]) -> None:
        """Set the attributes of cross-validation."""
        if score_names(folds) is not None:
            raise ValueError(
                f"scoring must give one number, got several from {self.scoring!r}: "
                f"{score_names(folds)}."
            )
        self.n_splits_ = len(folds)
        self.cv_results_ = tabulate([{"n_features_to_select": count} for count in counts], folds)

    def _keep_path(self, path: PruningPath, index: int) -> None:
        """Set the attributes of the selected level."""
        # A callback may have ended the path before this level.
        index = min(index, len(path["steps"]) - 1)
        self.path_, self.best_index_ = path, index
        self.masks_ = column_masks(path, self.n_features_in_)
        self.support_ = self.masks_[index]
        self.ranking_ = rank_by_deletion(self.masks_[: index + 1])
        self.n_features_ = int(self.support_.sum())
        self.estimator_ = path.estimator_at(index)

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        for kind in (tags.classifier_tags, tags.regressor_tags):
            if kind is not None:
                # Selecting half of the inputs may lower the score.
                kind.poor_score = True
        tags.target_tags.required = True
        # If there are transformers, such as an imputer, they decide whether NaN is allowed.
        steps = steps_before(clone(self.estimator, safe=False))
        tags.input_tags.allow_nan = inner.input_tags.allow_nan or bool(steps)
        return tags
