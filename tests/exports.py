"""Fitted estimators of every kind of target, to be exported."""

import numpy as np
from models import plain

from skobd import OBDMLPClassifier, OBDMLPRegressor

TARGETS = {
    "binary": lambda y: y > 0,
    "binary strings": lambda y: np.array(["no", "yes"])[(y > 0).astype(int)],
    "multiclass": lambda y: y - 1,
    "multiclass strings": lambda y: np.array(["a", "bb", "cé"], dtype=object)[y],
    "multiclass floats": lambda y: y.astype(float),
    "multilabel": lambda y: np.column_stack([y > 0, y > 1, y == 0]).astype(int),
    "two labels": lambda y: np.column_stack([y > 0, y > 1]).astype(int),
}
REGRESSIONS = {
    "one output": ("squared_error", lambda X: X[:, 0]),
    "two outputs": ("squared_error", lambda X: X[:, :2]),
    "poisson": ("poisson", lambda X: np.abs(X[:, 0])),
    "poisson, two outputs": ("poisson", lambda X: np.abs(X[:, :2])),
}
# From dense to a network whose output is a constant.
FRACTIONS = (0, 0.8, 0.999)


def make_classifier(X, y, fraction=0.8, **settings):
    settings = {"max_iter": 20, "n_rounds": 2, "random_state": 0} | settings
    return OBDMLPClassifier((8, 6), **plain(prune_fraction=fraction, **settings)).fit(X, y)


def make_regressor(loss, X, y, fraction=0.8, **settings):
    settings = {"max_iter": 20, "n_rounds": 2, "random_state": 0} | settings
    return OBDMLPRegressor(loss, (8, 6), **plain(prune_fraction=fraction, **settings)).fit(X, y)
