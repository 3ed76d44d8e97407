"""Fitted estimators, made once for each file of tests."""

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from plots import SETTINGS
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier, PruningSearchCV

mpl.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def clf(iris):
    """4-5-3 network, 35 weights, of which 10 are left."""
    X, y = iris
    clf = OBDMLPClassifier((5,), **SETTINGS, prune_fraction=0.7, n_rounds=4)
    return clf.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])


@pytest.fixture(scope="module")
def search(iris):
    clf = OBDMLPClassifier((5,), **SETTINGS)
    search = PruningSearchCV(
        make_pipeline(StandardScaler(), clf),
        prune_fractions=[0, 0.3, 0.6, 0.8, 0.9],
        scoring=["neg_log_loss", "accuracy"],
        refit="neg_log_loss",
        cv=4,
    )
    return search.fit(*iris)
