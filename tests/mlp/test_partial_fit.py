"""Training epoch by epoch, with the present masks."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from models import ESTIMATORS, assert_deleted_are_zero, digest, make
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPClassifier

from skobd import OBDMLPClassifier
from skobd._train.state import N_KEPT

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


@pytest.mark.slow
class TestRecordIsBounded:
    """Whoever trains row by row, for ever, wants a file of constant size."""

    X, y = np.array([[0.5, -1.0]]), np.array([0.25])

    def test_partial_fit(self):
        model, sizes, losses, n_calls = make("regressor"), [], [], 2 * N_KEPT
        for number in range(1, n_calls + 1):
            losses.append(model.partial_fit(self.X, self.y).loss_)
            # A worse epoch later must not become the best.
            self.y = self.y + 0.01
            if number in (N_KEPT + 1, n_calls):
                sizes.append([len(pickle.dumps(model)), len(pickle.dumps(copy.copy(model)))])
        assert model.loss_curve_ == losses[-N_KEPT - 1 :]
        assert model.best_loss_ == min(losses) < min(model.loss_curve_)
        assert (model.n_iter_, model.t_) == (1, n_calls)
        # Numbers that count calls may take a byte or two more.
        assert_allclose(sizes[1], sizes[0], atol=50)

    def test_warm_fit(self, diabetes, monkeypatch):
        """A call keeps all of its own epochs, and no more than so many before it."""
        monkeypatch.setattr("skobd._train.state.N_KEPT", 25)
        model = make("regressor", max_iter=10, retrain_max_iter=2, n_rounds=3, warm_start=True)
        n_epochs, scores, sizes = 0, [], []
        for _ in range(10):
            model.fit(*diabetes, X_val=diabetes[0][:40], y_val=diabetes[1][:40])
            n_epochs = min(n_epochs, 25) + model.n_iter_
            assert len(model.loss_curve_) == len(model.validation_scores_) == n_epochs
            assert len(model.validation_loss_curve_) == n_epochs
            scores += model.validation_scores_[-model.n_iter_ :]
            assert model.best_validation_score_ == max(scores)
            sizes.append(len(pickle.dumps(model)))
        assert_allclose(sizes[-1], sizes[-5], atol=50)

    def test_prune(self, diabetes, monkeypatch):
        monkeypatch.setattr("skobd._train.state.N_KEPT", 4)
        model = make("regressor", prune_fraction=0, max_iter=5, retrain_max_iter=2)
        model.fit(*diabetes)
        for number in range(1, 8):
            model.prune(*diabetes, prune_fraction=number / 10, n_rounds=2)
            rounds = np.arange(1, 2 * number + 1)[-6:]
            assert_array_equal(model.pruning_history_["round"], rounds)
            assert len(model.loss_curve_) == 8

    def test_fit_keeps_all_of_its_epochs(self):
        params = {"max_iter": N_KEPT + 200, "tol": 0, "n_iter_no_change": np.inf}
        model = make("regressor", prune_fraction=0, **params).fit(self.X, self.y)
        assert len(model.loss_curve_) == model.n_iter_ == N_KEPT + 200


def test_networks_of_a_path_go_on_independently(diabetes):
    mlp = make("regressor", max_iter=5, retrain_max_iter=3)
    path = mlp.pruning_path(*diabetes, prune_fractions=[0.5, 0.8])
    curves = [path.estimator_at(step).loss_curve_ for step in range(3)]
    models = [path.estimator_at(step) for step in (0, 1, 1, 2)]
    own = [[], [], [], []]
    for _ in range(2):
        for model, losses in zip(models, own, strict=True):
            losses.append(model.partial_fit(*diabetes).loss_)
    for model, losses, step in zip(models, own, (0, 1, 1, 2), strict=True):
        assert model.loss_curve_ == curves[step] + losses
    assert [path.estimator_at(step).loss_curve_ for step in range(3)] == curves


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


@pytest.mark.parametrize("warm_start", [True, False])
def test_moments_of_a_fit_are_kept_for_a_warm_start_only(warm_start, iris):
    """Else files would be three times as large."""
    params = {"solver": "adam", "warm_start": warm_start, "prune_fraction": 0.5}
    model = make("classifier", **params).fit(*iris)
    other = copy.deepcopy(model)
    other._fitted = other._fitted.without_optimizer()
    are_same = digest(model.partial_fit(*iris)) == digest(other.partial_fit(*iris))
    assert are_same != warm_start
