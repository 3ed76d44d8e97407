"""Stability selection: how often an input is selected on subsamples of the data.

With q inputs selected on each of many random halves of the data, and those kept whose frequency
reaches a threshold pi > 1/2, the expected number V of inputs kept by chance is bounded by

    E[V] <= q^2 / ((2 pi - 1) p)

of p inputs (Meinshausen & Buehlmann, 2010, theorem 1; it assumes that all inputs without effect
are equally likely to be selected, and a selection better than guessing).
"""

import os
from numbers import Integral
from typing import Any

import numpy as np
from joblib import cpu_count, effective_n_jobs
from sklearn.base import clone, is_classifier
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import Bunch, check_random_state, indexable
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed

from .._mlp.data import check_targets_of
from .._mlp.messages import about
from .._mlp.names import default_names
from .._mlp.pipelines import last_step
from .._sklearn_compat import (
    Interval,
    RealNotInt,
    _get_feature_names,
    _num_features,
    validate_parameter_constraints,
    without_callback_state,
)
from .feature_selector import (
    SELECTION_CONSTRAINTS,
    along_columns,
    column_masks,
    count_columns,
    counts_along,
    deletes_inputs,
    levels_of,
    n_deletable,
)
from .folds import Rows, worker_threads
from .meta import check_metadata
from .recorder import recorded_path

_CONSTRAINTS = {
    **SELECTION_CONSTRAINTS,
    "n_subsamples": [Interval(Integral, 1, None, closed="left")],
    "subsample": [Interval(RealNotInt, 0, 1, closed="neither")],
    "threshold": [Interval(RealNotInt, 0.5, 1, closed="right")],
    "n_jobs": [Integral, None],
    "random_state": ["random_state"],
}


def stability_selection(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    n_features_to_select: float | None = None,
    step: float = 0.35,
    n_subsamples: int = 100,
    subsample: float = 0.5,
    threshold: float = 0.75,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    **fit_params: Any,
) -> Bunch:
    """Select the inputs that survive pruning on most subsamples of the data.

    On each subsample, drawn without replacement, one pruning path is fitted that deletes whole
    inputs, as in `OBDFeatureSelector`. Where inputs are correlated or there are few samples, one
    path keeps some of them by chance; the frequencies tell which.

    Parameters
    ----------
    estimator : OBDMLPClassifier, OBDMLPRegressor, Pipeline or TransformedTargetRegressor
        As in `OBDFeatureSelector`. The network's ``random_state`` is drawn anew for each
        subsample.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    n_features_to_select : int or float, default=None
        How many inputs are left at the last level of each path, or which fraction of all; None
        for half of them.
    step : int or float, default=0.35
        How many inputs go at each level, as in `OBDFeatureSelector`.
    n_subsamples : int, default=100
        Number of subsamples.
    subsample : float, default=0.5
        Fraction of the samples in each, in (0, 1). Of classes the proportions are kept.
    threshold : float, default=0.75
        Least frequency of a selected input, in (0.5, 1].
    n_jobs : int or None, default=None
        Subsamples fitted in parallel by joblib; see `joblib.parallel_config`.
    random_state : int, RandomState instance or None, default=None
        Draws the subsamples and the seeds of the networks.
    **fit_params : dict of str -> object
        Parameters of the estimator's ``fit``; those with one entry for each sample, such as
        ``sample_weight``, are subsampled with the data.

    Returns
    -------
    result : Bunch
        Its keys, readable as attributes:

        n_features : ndarray of int of shape (n_levels,)
            How many inputs are left at each level, from all of them on.
        frequencies : ndarray of shape (n_levels, n_features)
            Fraction of the subsamples on which an input was left at a level.
        support : ndarray of bool of shape (n_levels, n_features)
            Where the frequency reaches the threshold.
        error_bound : ndarray of shape (n_levels,)
            Upper bound of the expected number of inputs selected by chance, from the number of
            inputs left at the level (of random halves; see the reference).
        feature_names : ndarray of str of shape (n_features,)
            Column names of ``X``, or x0, x1, ...
        masks : ndarray of bool of shape (n_subsamples, n_levels, n_features)
            Which inputs were left on each subsample.

    See Also
    --------
    OBDFeatureSelector : Selects features along one path.

    References
    ----------
    N. Meinshausen and P. Buehlmann, "Stability selection", Journal of the Royal Statistical
    Society B 72, 2010, pages 417-473.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from skobd import OBDMLPClassifier, stability_selection
    >>> X, y = make_classification(
    ...     300, n_features=20, n_informative=3, n_redundant=0, shuffle=False, random_state=0
    ... )
    >>> mlp = OBDMLPClassifier((10,), solver="lbfgs", alpha=3, tol=1e-2)
    >>> result = stability_selection(
    ...     mlp, X, y, n_features_to_select=3, n_subsamples=10, random_state=0
    ... )
    >>> result.n_features
    array([20, 14,  9,  6,  4,  3])
    >>> result.support[-1].nonzero()[0]
    array([0, 1, 2])
    """
    given = {
        "n_features_to_select": n_features_to_select,
        "step": step,
        "n_subsamples": n_subsamples,
        "subsample": subsample,
        "threshold": threshold,
        "n_jobs": n_jobs,
        "random_state": random_state,
    }
    validate_parameter_constraints(_CONSTRAINTS, given, caller_name="stability_selection")
    estimator = deletes_inputs(estimator)
    without_callback_state(last_step(estimator))
    n_columns = count_columns(X)
    check_targets_of("stability_selection", estimator, y)
    with about("X and y"):
        X, y = indexable(X, y)
    n_total = n_deletable(estimator, n_columns)
    counts = counts_along(n_total, n_features_to_select, step)
    rows = Rows(X, y, check_metadata(X, fit_params), {})
    rng = check_random_state(random_state)
    subsamples = _draw(estimator, rows, n_subsamples, subsample, rng)
    seeds = rng.randint(np.iinfo(np.int32).max, size=n_subsamples)
    n_threads = max(1, cpu_count() // min(effective_n_jobs(n_jobs), n_subsamples))
    masks = np.array(
        Parallel(n_jobs=n_jobs)(
            delayed(_masks_of_path)(
                clone(estimator), rows, drawn, levels_of(counts), seed, (n_threads, os.getpid())
            )
            for drawn, seed in zip(subsamples, seeds.tolist(), strict=True)
        )
    )
    frequencies = masks.mean(axis=0)
    names = _get_feature_names(X)
    return Bunch(
        n_features=np.array(counts),
        frequencies=frequencies,
        support=frequencies >= threshold,
        error_bound=np.square(counts) / ((2 * threshold - 1) * n_total),
        feature_names=default_names(n_columns) if names is None else names,
        masks=masks,
    )


def _draw(
    estimator: Any, rows: Rows, n_subsamples: int, subsample: float, rng: np.random.RandomState
) -> list[np.ndarray]:
    """Rows of each subsample."""
    is_stratified = is_classifier(estimator) and type_of_target(rows.y) in ("binary", "multiclass")
    kind = StratifiedShuffleSplit if is_stratified else ShuffleSplit
    splitter = kind(n_subsamples, train_size=subsample, random_state=rng)
    with about("subsample"):
        return [drawn for drawn, _ in splitter.split(rows.X, rows.y)]


def _masks_of_path(
    estimator: Any,
    rows: Rows,
    drawn: np.ndarray,
    levels: tuple[float, ...],
    seed: int,
    threads: tuple[int, int],
) -> np.ndarray:
    """Which inputs are left at each level on a subsample, shape (n_levels, n_features)."""
    seen = rows.take(estimator, drawn)
    last_step(estimator).set_params(random_state=seed)
    estimator = along_columns(estimator, levels, rows.X)
    with worker_threads(*threads):
        estimator.fit(*seen.data, **seen.fit_params)
    path = recorded_path(estimator)
    assert path is not None
    return column_masks(path, _num_features(rows.X))
