"""Searches to be tested."""

import numpy as np

from skobd import OBDMLPClassifier, PruningSearchCV

LEVELS = [0.0, 0.5, 0.8]
TIMES = ("fit_time", "score_time")


def make_classifier(**params):
    defaults = {"solver": "lbfgs", "alpha": 0.1, "max_iter": 20, "n_regrow": 0}
    defaults["random_state"] = 0
    return OBDMLPClassifier((6,), **defaults | params)


def make_search(estimator=None, **params):
    defaults = {"prune_fractions": LEVELS, "cv": 3, "error_score": "raise"}
    return PruningSearchCV(estimator or make_classifier(), **defaults | params)


class KeepsNetworks:
    """Scorer that keeps what it is shown, candidate by candidate, fold by fold, level by level."""

    def __init__(self):
        self.kept = []

    def __call__(self, estimator, X, y, sample_weight=None):
        self.kept.append(estimator)
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        return estimator.score(X, y, **weight)

    def by_fold(self):
        """One list of networks, a network for each of the `LEVELS`, for each candidate and fold."""
        n = len(LEVELS)
        return [self.kept[start : start + n] for start in range(0, len(self.kept), n)]


def assert_same_results(actual, expected):
    """`cv_results_` are equal bit for bit, but for the times."""
    assert list(actual) == list(expected)
    for name in expected:
        if not name.endswith(TIMES):
            np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)
