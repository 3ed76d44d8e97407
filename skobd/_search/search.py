"""The search for the pruning level by cross-validation, with one path for each fold.

With a grid of parameters there is one path for each of its candidates and each fold.
"""

import time
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags

from .._export.summary import PruningSummary
from .._mlp.pipelines import input_names, last_step, replace_last, unwrap
from .._prune.schedule import Levels
from .._sklearn_compat import API_PAGE, StrOptions, _fit_context, root_context, take_callbacks
from .candidates import Row, make_candidates
from .delegating import DelegatingMixin
from .folds import FoldSettings, fit_task, format_effort, run_folds
from .recorder import with_recorder
from .results import (
    describe,
    first_cause,
    leave_out,
    params_of,
    print_levels,
    score_names,
    tabulate,
    warn_of_failures,
)
from .scoring import Scoring
from .selection import BestWithin, select_level
from .subsets import Subset, make_splits

if TYPE_CHECKING:
    from typing_extensions import Self

# Ten levels, each deleting about 30 % of the weights that the one before left.
DEFAULT_LEVELS = (0.0, 0.3, 0.5, 0.65, 0.75, 0.82, 0.88, 0.92, 0.95, 0.97)


class PruningSearchCV(DelegatingMixin, BaseEstimator):
    """Search for the pruning level by cross-validation, training once for each fold.

    The levels lie on one path: a network pruned to 90 % was pruned to 50 % before. So each fold
    trains one network, prunes it round by round, and is scored on its held-out rows after every
    round; then all data are fitted along the path to the chosen level.
    :class:`~sklearn.model_selection.GridSearchCV` over ``prune_fraction`` would train from
    scratch for every level.

    With a ``param_grid`` other parameters are chosen together with the level: each of its
    candidates is one path for each fold, so that the levels cost no fits of their own.

    Parameters
    ----------
    estimator : OBDMLPClassifier, OBDMLPRegressor, Pipeline or TransformedTargetRegressor
        Model to prune; in a `Pipeline`, the last step is pruned and the transformers are
        fitted on the training rows of each fold. A `TransformedTargetRegressor`, around the
        pipeline or as its last step, is scored on the scale of ``y``. ``prune_fraction``,
        ``n_rounds`` and ``prune_tol`` are ignored, even "auto": each level takes one round.
    param_grid : dict or list of dict, default=None
        Parameters of the estimator and their values, as in `GridSearchCV`; None to choose
        only the level. All levels of all combinations are compared.
    prune_fractions : array-like of shape (n_levels,), default=None
        Levels to choose from, fractions deleted in [0, 1). They are sorted, and duplicates are
        dropped. None, without ``sizes``, means 0, 0.3, 0.5, 0.65, 0.75, 0.82, 0.88, 0.92, 0.95 and
        0.97, each deleting about 30 % of the weights that the one before left.
    sizes : array-like of int of shape (n_levels,), default=None
        Numbers of weights (or units or inputs, see ``granularity``) that are left, in place of
        ``prune_fractions``, so that candidates of any ``hidden_layer_sizes`` or encoding are
        compared at equal size. A size that the network of a candidate cannot have is skipped,
        with a warning that says why.
    scoring : str, callable, list, tuple, dict or None, default=None
        As in `GridSearchCV`; None for the estimator's ``score``.
    cv : int, cross-validation generator or iterable, default=None
        As in `GridSearchCV`; None for five folds, stratified for classifiers.
    n_jobs : int or None, default=None
        Paths fitted in parallel by joblib, one for each candidate and fold; see
        `joblib.parallel_config`.
    refit : bool or str, default=True
        Whether to fit all data along the path to the chosen level. With several scores it is
        the name of the one that chooses the level, or False.
    selection : {"one_standard_error", "best"} or callable, default="one_standard_error"
        "one_standard_error" chooses, among all levels (of all candidates) whose mean score is
        within one standard error of the best one's, the one with the fewest weights; among
        equally small networks it chooses the best. The standard error is the median over all levels
        and candidates, since with few folds that of a single row is subject to chance. "best"
        chooses the level (of any candidate) with the best mean score; among equals it chooses the
        smallest network. A callable is given ``cv_results_`` and returns the index of the row, as
        in ``GridSearchCV(refit=callable)``; `best_within` makes one for a budget of weights or
        bytes.
    verbose : int, default=0
        1 prints a line for each fold, with its score at every level, and finally one for
        every row of ``cv_results_``; 2 also one for each round.
    error_score : "raise" or numeric, default=np.nan
        Score of a level whose training or scoring failed. Levels that a fold reached before it
        failed keep their scores.
    return_train_score : bool, default=False
        Whether to compute scores on the training rows as well.

    Attributes
    ----------
    cv_results_ : dict of ndarrays of shape (n_candidates * n_levels,)
        Ready for `pandas.DataFrame`; the rows go from dense to sparse, candidate by candidate,
        and the columns are those of `GridSearchCV`, ``split<i>_n_weights`` and
        ``mean_n_weights``, the surviving weights (likewise ``n_units`` or ``n_features`` if
        ``granularity`` deletes those), and ``sem_test_<score>``, the standard error of the mean
        over the folds; with ``sizes`` also ``size``, and with a budget of bytes ``n_bytes`` of the
        folds and their mean. ``fit_time`` is the time needed to reach the level. A fold whose
        score is NaN in every row is left out of the statistics over folds.
    best_index_ : int
        Row of the chosen level (and candidate).
    best_params_ : dict
        Chosen level, with the parameters of its candidate, for ``set_params``.
        ``best_estimator_`` was pruned along the levels up to it, so fitting a clone, in
        ``n_rounds`` rounds, gives another network. For a size it is the fraction in the first fold.
    best_score_ : float
        Mean score in that row.
    best_estimator_ : estimator
        Estimator fitted on all data along the path to the chosen level, with the parameters of the
        chosen candidate. Only with ``refit``.
    refit_time_ : float
        Seconds taken by this fit. Only with ``refit``.
    scorer_ : callable or dict
        The scorer, or the scorers by name.
    multimetric_ : bool
        Whether there are several scores.
    n_splits_ : int
        Number of folds.
    classes_ : ndarray of shape (n_classes,)
        Class labels. Only for classifiers with ``refit``.
    n_features_in_ : int
        Number of features. Only with ``refit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if ``X`` had any. Only with ``refit``.

    See Also
    --------
    OBDMLPClassifier.pruning_path : The networks of one path, without cross-validation.
    PruningPathDisplay : Draws the score at every level.
    sklearn.model_selection.GridSearchCV : Makes one fit for each level.

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
    ...     hidden_layer_sizes=(10,), solver="lbfgs",
    ...     alpha=5, tol=1e-3, retrain_max_iter=30, random_state=0,
    ... )
    >>> search = PruningSearchCV(
    ...     make_pipeline(StandardScaler(), mlp), prune_fractions=[0, 0.5, 0.8, 0.99]
    ... )
    >>> search.fit(X, y).best_params_
    {'obdmlpclassifier__prune_fraction': 0.8}
    >>> bool(search.best_score_ > 0.96)
    True

    Choose the penalty together with the level, at the cost of another path for each fold:

    >>> search.set_params(param_grid={"obdmlpclassifier__alpha": [5, 20]}).fit(X, y).best_params_
    {'obdmlpclassifier__alpha': 5, 'obdmlpclassifier__prune_fraction': 0.8}
    """

    _doc_link_module = "skobd"
    _doc_link_template = API_PAGE
    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "param_grid": [dict, list, None],
        "prune_fractions": ["array-like", None],
        "sizes": ["array-like", None],
        "scoring": [str, callable, list, tuple, dict, None],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
        "refit": ["boolean", str],
        "selection": [StrOptions({"best", "one_standard_error"}), callable],
        "verbose": ["verbose"],
        "error_score": [StrOptions({"raise"}), Real],
        "return_train_score": ["boolean"],
    }
    _network_name = "best_estimator_"

    def __init__(
        self,
        estimator: Any,
        param_grid: Any = None,
        *,
        prune_fractions: ArrayLike | None = None,
        sizes: ArrayLike | None = None,
        scoring: Any = None,
        cv: Any = None,
        n_jobs: int | None = None,
        refit: bool | str = True,
        selection: str | Callable[[dict[str, Any]], int] = "one_standard_error",
        verbose: int = 0,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.prune_fractions = prune_fractions
        self.sizes = sizes
        self.scoring = scoring
        self.cv = cv
        self.n_jobs = n_jobs
        self.refit = refit
        self.selection = selection
        self.verbose = verbose
        self.error_score = error_score
        self.return_train_score = return_train_score

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **params: Any) -> "Self":
        """Fit one path for each fold, choose a level, and fit all data along the path to it.

        With a ``param_grid``, there is one path for each candidate and fold.

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
        self._fit_from_scratch(X, y, params)
        return self

    def _fit(self, X: Any, y: Any, params: dict[str, Any]) -> None:
        fractions, sizes = self.prune_fractions, self.sizes
        levels = Levels.of(
            DEFAULT_LEVELS if fractions is None and sizes is None else fractions, sizes
        )
        candidates = make_candidates(self.estimator, self.param_grid, levels.are_sizes)
        scoring = self._scoring()
        data, split_params = self._check_data(X, y, params, scoring)
        splits = make_splits(self.cv, data, self.estimator, split_params)
        self.n_splits_, self.scorer_ = len(splits), scoring.shown
        # More than one fit of all data may be needed to stay within a budget.
        is_open = isinstance(self.selection, BestWithin)
        root = root_context(self, max_subtasks=None if is_open else 1 + (self.refit is not False))
        root.call_on_fit_task_begin(**data.as_shown(self))
        settings = FoldSettings(self, data, levels, scoring)
        folds = run_folds(settings, candidates, splits, root)
        rows, folds = leave_out(candidates, levels, folds)
        warn_of_failures(folds, self.error_score)
        names = score_names(folds)
        self.multimetric_ = names is not None
        if names is not None:
            self._check_refit_is_among(names)
        self.cv_results_ = tabulate(params_of(rows, folds), folds)
        if levels.are_sizes:
            self.cv_results_["size"] = np.array([row.levels.values[-1] for row in rows])
        metric = str(self.refit) if self.multimetric_ else "score"
        if self.refit or not self.multimetric_:
            self._choose(metric, first_cause(folds))
        if self.refit:
            self._refit(data, rows, metric, root)
        root.call_on_fit_task_end(**data.as_shown(self))

    def _scoring(self) -> Scoring:
        scoring = Scoring.of(
            self.estimator, self.scoring, self.error_score, self.return_train_score
        )
        if isinstance(scoring.shown, dict):
            self._check_refit_is_among(scoring.shown)
        return scoring

    def _check_refit_is_among(self, names: Any) -> None:
        """Check that one of several scores chooses the level, or that the user will."""
        if self.refit is not False and self.refit not in names:
            raise ValueError(
                "For multi-metric scoring, the parameter refit must be set to the scorer key that "
                f"chooses the level, one of {sorted(names)}, or to False if there is to be no "
                f"best_estimator_; got refit={self.refit!r}."
            )

    def _choose(self, metric: str, cause: Exception | None) -> None:
        """Set ``best_index_`` and the attributes that follow from it."""
        results = self.cv_results_
        if not callable(self.selection) and not np.isfinite(results[f"mean_test_{metric}"]).any():
            if not self.refit:
                return
            # Data of a wrong type raise a TypeError, as from the estimator itself.
            kind = TypeError if isinstance(cause, TypeError) else ValueError
            raise kind(
                f"No level can be chosen: mean_test_{metric} is finite at none. "
                + (f"The first error was {describe(cause)}\n\n" if cause is not None else "")
                + "Use error_score='raise' to see where, or refit=False to get cv_results_."
            ) from cause
        self._take(select_level(results, metric, self.selection), metric)
        if self.verbose:
            print_levels(results, metric, self.best_index_)

    def _take(self, index: int, metric: str) -> None:
        self.best_index_ = index
        self.best_score_ = self.cv_results_[f"mean_test_{metric}"][index]
        self.best_params_ = self.cv_results_["params"][index]

    def _refit(self, data: Subset, rows: Sequence[Row], metric: str, root: Any) -> None:
        """Fit all data along the path to the chosen level, or to the next one within the budget."""
        start, rule, reached = time.perf_counter(), self.selection, []
        self.best_estimator_ = self._fit_path(data, rows[self.best_index_], root)
        while isinstance(rule, BestWithin):
            sizes = rule.sizes(self.best_estimator_)
            if rule.allows(sizes):
                break
            reached.append(sizes)
            last, index = rows[self.best_index_], self.best_index_ + 1
            if index == len(rows) or rows[index].candidate is not last.candidate:
                raise rule.exceeded(reached)
            self._take(index, metric)
            self.best_estimator_ = self._fit_path(data, rows[index], root)
        self.refit_time_ = time.perf_counter() - start

    def _fit_path(self, data: Subset, row: Row, root: Any) -> Any:
        """Fit all data along the path to a row, and return its network."""
        estimator = with_recorder(clone(row.candidate.estimator), row.levels)
        start = time.perf_counter()
        fit_task(root.subcontext(task_name="refit"), estimator, data, self)
        path = last_step(estimator).path_
        if self.verbose:
            left = f"{path['n_weights'][-1]} weights left ({path['sparsity'][-1]:.1%} deleted)"
            print(f"refit: {left} in {format_effort(path, time.perf_counter() - start)}")
        mlp = path.estimator_at(-1)
        take_callbacks(last_step(estimator), mlp)
        # The chosen level, even if a callback has ended the fit before it.
        mlp.prune_fraction = row.levels.fractions(mlp._fitted.n_total)[-1]
        return replace_last(estimator, mlp)

    def summary(self) -> PruningSummary:
        """Compare the chosen network with the dense network that it was.

        Returns
        -------
        summary : PruningSummary
            Summary as from `OBDMLPClassifier.summary`; the inputs have the names given by the
            steps of a pipeline.

        Raises
        ------
        NotFittedError
            Before ``fit``, or with ``refit=False``.
        """
        transformers, mlp = unwrap(self, "summary")
        return mlp.summary(input_names(transformers, mlp))

    @property
    def n_features_in_(self) -> int:
        """Number of features; only with ``refit``."""
        return self.best_estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the features, if ``X`` had any; only with ``refit``."""
        return self.best_estimator_.feature_names_in_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = get_tags(self.estimator).input_tags.pairwise
        return tags
