"""Training epoch by epoch, with the present masks."""

import numpy as np
import pandas as pd
import pytest
from models import ESTIMATORS, assert_deleted_are_zero, digest, make
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPClassifier

from skobd import OBDMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_keeps_deleted_weights_deleted(kind, solver, data):
    model = make(kind, solver=solver).fit(*data[kind])
    n_weights, before = model.n_weights_, model.coefs_[0].copy()
    for _ in range(3):
        model.partial_fit(*data[kind])
    assert model.n_weights_ == n_weights
    assert_deleted_are_zero(model)
    assert not np.array_equal(model.coefs_[0], before)


def test_prunes_nothing(iris):
    model = make("classifier").partial_fit(*iris, classes=[0, 1, 2])
    assert model.sparsity_ == 0
    model.prune(*iris, prune_fraction=0.5)
    assert model.sparsity_ == 0.5


def test_worked_out_example():
    X, y = np.array([[0.6, 0.8, 0.7]]), np.array([0])
    perceptron = MLPClassifier(
        2,
        solver="sgd",
        learning_rate_init=0.1,
        alpha=0.1,
        activation="logistic",
        momentum=0,
        random_state=1,
    ).partial_fit(X, y, classes=[0, 1])
    model = OBDMLPClassifier.from_sklearn(perceptron)
    model.coefs_ = [[[0.1, 0.2], [0.3, 0.1], [0.5, 0]], [[0.1], [0.2]]]
    model.intercepts_ = [[0.1, 0.1], [1.0]]
    model.partial_fit(X, y)
    expected = [[0.098, 0.195756], [0.2956664, 0.096008], [0.4939998, -0.002244]]
    assert_allclose(model.coefs_[0], expected, atol=1e-3)
    assert_allclose(model.coefs_[1], [[0.04706], [0.154089]], atol=1e-3)
    assert_allclose(model.intercepts_[0], [0.098333, 0.09626], atol=1e-3)
    assert_allclose(model.intercepts_[1], 0.9235, atol=1e-3)
    assert_allclose(model.predict_proba(X)[0, 1], 0.739, atol=1e-3)


def test_is_fit(digits):
    X, y = digits
    params = {"solver": "sgd", "learning_rate_init": 0.2, "alpha": 1e-5, "tol": 0}
    fitted = make("classifier", prune_fraction=0, max_iter=30, **params).fit(X, y)
    partial = make("classifier", **params)
    for _ in range(30):
        partial.partial_fit(X, y, classes=np.unique(y))
    assert_array_equal(fitted.predict(X), partial.predict(X))
    assert partial.score(X, y) > 0.95


def test_with_classes_seen_later():
    model = OBDMLPClassifier(random_state=0)
    model.partial_fit([[1], [2], [3]], ["a", "b", "c"], classes=["a", "b", "c", "d"])
    model.partial_fit([[4]], ["d"])
    assert model.score([[1], [2], [3], [4]], ["a", "b", "c", "d"]) > 0


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_rounds_and_importances_stay(kind, data):
    X, y = data[kind]
    model = make(kind).fit(X, y)
    history, importances, n_epochs = (
        model.pruning_history_,
        model.feature_importances_,
        len(model.loss_curve_),
    )
    model.partial_fit(X, y)
    np.testing.assert_equal(model.pruning_history_, history)
    assert_array_equal(model.feature_importances_, importances)
    assert len(model.loss_curve_) == n_epochs + 1
    assert model.loss_ == model.loss_curve_[-1]
    assert model.n_iter_ == 1


def test_has_names_and_dtype_of_the_first_call(iris):
    X = pd.DataFrame(iris[0].astype(np.float32), columns=list("abcd"))
    model = make("classifier").partial_fit(X, iris[1], classes=[0, 1, 2])
    assert list(model.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(X[list("dcba")], iris[1])
    model.partial_fit(X.astype(np.float64), iris[1])
    assert model.coefs_[0].dtype == np.float32


def test_seed(iris):
    models = [make("classifier", random_state=seed) for seed in (0, 0, 1)]
    digests = [digest(model.partial_fit(*iris, classes=[0, 1, 2])) for model in models]
    assert digests[0] == digests[1] != digests[2]
