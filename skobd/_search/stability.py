"""Stability selection by the frequency of each input on random halves of the data.

Select q inputs on each of many random halves of the data, and keep those whose frequency reaches a
threshold pi > 1/2. The expected number V of inputs kept by chance, of p inputs, is bounded by

    E[V] <= q^2 / ((2 pi - 1) p)

(Meinshausen & Buehlmann, 2010, theorem 1; it assumes that all inputs without effect are equally
likely to be selected, and that selection is better than guessing).
"""

from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import Bunch, check_random_state, indexable
from sklearn.utils.multiclass import type_of_target

from .._mlp.data import check_targets_of
from .._mlp.messages import about
from .._mlp.names import default_names
from .._mlp.pipelines import last_step
from .._prune.schedule import Levels
from .._sklearn_compat import (
    Interval,
    RealNotInt,
    _get_feature_names,
    _num_features,
    validate_parameter_constraints,
    without_callback_state,
)
from .._warnings import warnings_given_once
from .folds import in_parallel
from .input_levels import (
    SELECTION_CONSTRAINTS,
    clone_for_inputs,
    column_masks,
    count_columns,
    count_inputs,
    input_counts,
    with_input_recorder,
)
from .recorder import recorded_path
from .subsets import Subset, check_metadata

_CONSTRAINTS = {
    **SELECTION_CONSTRAINTS,
    "n_subsamples": [Interval(Integral, 1, None, closed="left")],
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
    n_subsamples: int = 100,
    threshold: float = 0.75,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    **fit_params: Any,
) -> Bunch:
    """Select the inputs that survive pruning on most subsamples of the data.

    Each subsample is a random half of the data, in which classes keep their proportions. On each,
    one pruning path is fitted that deletes whole inputs, as in `OBDFeatureSelector`. If inputs
    are correlated or samples are few, one path keeps some of them by chance; the frequencies
    reveal these.

    Parameters
    ----------
    estimator : OBDMLPClassifier, OBDMLPRegressor, Pipeline or TransformedTargetRegressor
        As in `OBDFeatureSelector`. The network's ``random_state`` is drawn again for each
        subsample.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    n_features_to_select : int or float, default=None
        Number of inputs left at the last level of each path, or fraction of all; None for half of
        them.
    n_subsamples : int, default=100
        Number of subsamples.
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
            Number of inputs left at each level, beginning with all of them.
        frequencies : ndarray of shape (n_levels, n_features)
            Fraction of the subsamples on which an input was left at a level.
        support : ndarray of bool of shape (n_levels, n_features)
            True if the frequency reaches the threshold.
        error_bound : ndarray of shape (n_levels,)
            Upper bound of the expected number of inputs selected by chance, from the number of
            inputs left at the level (see the reference).
        feature_names : ndarray of str of shape (n_features,)
            Column names of ``X``, or x0, x1, ...
        masks : ndarray of bool of shape (n_subsamples, n_levels, n_features)
            True for the inputs left on each subsample.

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
    >>> mlp = OBDMLPClassifier(hidden_layer_sizes=(10,), solver="lbfgs", alpha=3, tol=1e-2)
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
        "n_subsamples": n_subsamples,
        "threshold": threshold,
        "n_jobs": n_jobs,
        "random_state": random_state,
    }
    validate_parameter_constraints(_CONSTRAINTS, given, caller_name="stability_selection")
    estimator = clone_for_inputs(estimator)
    without_callback_state(last_step(estimator))
    n_columns = count_columns(X)
    check_targets_of("stability_selection", estimator, y)
    with about("X and y"):
        X, y = indexable(X, y)
    n_total = count_inputs(estimator, n_columns)
    counts = input_counts(n_total, n_features_to_select)
    data = Subset(X, y, check_metadata(X, fit_params), {})
    rng = check_random_state(random_state)
    halves = _draw_halves(estimator, data, n_subsamples, rng)
    seeds = rng.randint(np.iinfo(np.int32).max, size=n_subsamples).tolist()
    find_masks = partial(_masks_of_path, estimator, data, Levels.of(None, counts))
    with warnings_given_once():
        found = in_parallel(find_masks, list(zip(halves, seeds, strict=True)), n_jobs)
    masks = np.array(found)
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


def _draw_halves(
    estimator: Any, data: Subset, n_subsamples: int, rng: np.random.RandomState
) -> list[np.ndarray]:
    """Draw the rows of each subsample, without replacement."""
    is_stratified = is_classifier(estimator) and type_of_target(data.y) in ("binary", "multiclass")
    kind = StratifiedShuffleSplit if is_stratified else ShuffleSplit
    splitter = kind(n_subsamples, train_size=0.5, random_state=rng)
    with about("subsample"):
        return [drawn for drawn, _ in splitter.split(data.X, data.y)]


def _masks_of_path(
    estimator: Any, data: Subset, levels: Levels, drawn: tuple[np.ndarray, int]
) -> np.ndarray:
    """Mark the inputs left at each level on a subsample, shape (n_levels, n_features).

    ``drawn`` has the rows of the subsample and the seed of the network.
    """
    rows, seed = drawn
    estimator = clone(estimator)
    subset = data.take(estimator, rows)
    last_step(estimator).set_params(random_state=seed)
    estimator = with_input_recorder(estimator, levels, data.X)
    subset.fit(estimator)
    path = recorded_path(estimator)
    assert path is not None
    return column_masks(path, _num_features(data.X))
