"""Warnings: when, and pointing at the user's line."""

import inspect
import warnings

import numpy as np
import pytest
from models import ESTIMATORS, make
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier, OBDMLPRegressor


def here():
    """The line that calls this."""
    return inspect.currentframe().f_back.f_lineno


CALLS = {
    "fit": lambda model, X, y: (model.fit(X, y), here()),
    "fit in a pipeline": lambda model, X, y: (
        make_pipeline(make_pipeline(StandardScaler(), model)).fit(X, y),
        here(),
    ),
    "fit in a search": lambda model, X, y: (GridSearchCV(model, {}, cv=2).fit(X, y), here()),
    "prune": lambda model, X, y: (model.prune(X, y, prune_fraction=0.9), here()),
    "partial_fit": lambda model, X, y: (model.partial_fit(X, y), here()),
    "pruning_path": lambda model, X, y: (model.pruning_path(X, y), here()),
}


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("category", [ConvergenceWarning, UserWarning])
def test_point_at_the_users_line(kind, name, category, data):
    """Training that is too short, and minibatches larger than the data."""
    X, y = data[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make(kind, tol=0, prune_fraction=0.2).fit(X, y)
    if category is UserWarning:
        model.set_params(batch_size=len(y) + 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, line = CALLS[name](model, X, y)
    caught = [warning for warning in caught if warning.category is category]
    assert bool(caught) == (name != "partial_fit" or category is UserWarning)
    first = line - 1 if name == "fit in a pipeline" else line
    for warning in caught:
        assert warning.filename == __file__
        assert first <= warning.lineno <= line


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_interrupts_point_at_the_users_line(kind, data, monkeypatch):
    X, y = data[kind]
    model = make(kind, tol=1, n_iter_no_change=1, prune_fraction=0).fit(X, y)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("skobd._train.minibatch.DenseEpochs.run", interrupt)
    for name in ("fit", "partial_fit"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _, line = CALLS[name](model, X, y)
        assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, line)]


def test_short_training(iris):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(10\) reached"):
        make("classifier", prune_fraction=0, tol=0).fit(*iris)
    with pytest.warns(ConvergenceWarning, match="retraining after round 1, 2, 3"):
        make("classifier", tol=0).fit(*iris)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_few_evaluations(kind, data):
    model = make(kind, solver="lbfgs", max_fun=10, max_iter=150, tol=0, prune_fraction=0)
    with pytest.warns(ConvergenceWarning, match=r"max_fun \(now 10\)"):
        model.fit(*data[kind])
    assert model.n_iter_ <= 10


def test_none_where_few_iterations_were_asked_for(iris):
    model = make("classifier", tol=0.5, max_iter=200, retrain_max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*iris)
    np.testing.assert_array_equal(model.pruning_history_["n_iter"], 1)


def test_diverging_with_early_stopping_keeps_the_best(iris):
    model = OBDMLPRegressor(
        activation="identity",
        solver="sgd",
        learning_rate_init=1,
        max_iter=20,
        early_stopping=True,
        random_state=0,
    )
    X, y = iris
    with pytest.warns(ConvergenceWarning, match="lower learning_rate_init") as caught:
        model.fit(X * 10, y)
    assert caught[0].filename == __file__
    assert np.isfinite(model.predict(X)).all()
    assert np.isnan(model.validation_scores_[-1])


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_none_where_training_converges(kind, data):
    X, y = data[kind]
    params = {"solver": "lbfgs", "alpha": 10.0, "max_iter": 1000, "tol": 1e-3}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make(kind, **params).fit(X, y)
        model.prune(X, y, prune_fraction=0.9).pruning_path(X, y)
        model.predict(X)


def test_column_of_targets(iris):
    """As in scikit-learn."""
    model = OBDMLPClassifier((3,), solver="lbfgs", alpha=10, max_iter=500)
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        model.fit(iris[0], iris[1][:, np.newaxis])
