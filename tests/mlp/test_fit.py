"""What fit makes of data, weights and parameters."""

import numpy as np
import pandas as pd
import pytest
from models import ESTIMATORS, SOLVERS, digest, make
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skobd import OBDMLPClassifier, OBDMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class TestValidationData:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_recorded_every_epoch(self, kind, solver, data):
        X, y = data[kind]
        weight = np.linspace(0.1, 1, 50)
        model = make(kind, solver=solver, prune_fraction=0).fit(
            X[50:], y[50:], X_val=X[:50], y_val=y[:50], sample_weight_val=weight
        )
        assert len(model.validation_scores_) == model.n_iter_
        assert len(model.validation_loss_curve_) == model.n_iter_
        score = model.score(X[:50], y[:50], sample_weight=weight)
        assert model.validation_scores_[-1] == pytest.approx(score)
        assert model.best_validation_score_ == max(model.validation_scores_)
        plain = make(kind, solver=solver, prune_fraction=0).fit(X[50:], y[50:])
        assert digest(plain) == digest(model)
        assert plain.validation_loss_curve_ is None

    @pytest.mark.parametrize("n_labels", [1, 2])
    def test_ties_are_decided_as_in_predict(self, n_labels):
        """Balanced targets and inputs of 0, so that probabilities stay exactly 0.5."""
        X, y = np.zeros((4, 2)), np.tile([[0], [0], [1], [1]], n_labels)
        y = y[:, 0] if n_labels == 1 else y
        model = make("classifier", solver="sgd", warm_start=True, prune_fraction=0, max_iter=1)
        model.fit(X, y)
        model.coefs_ = [0 * coef for coef in model.coefs_]
        model.intercepts_ = [0 * intercept for intercept in model.intercepts_]
        model.fit(X, y, X_val=X[:3], y_val=y[:3])
        assert (model.predict_proba(X) == 0.5).all()
        assert model.validation_scores_[-1] == model.score(X[:3], y[:3]) == 2 / 3

    def test_takes_the_place_of_the_held_out_fraction(self, binary):
        X, y = binary
        params = {
            "early_stopping": True,
            "prune_fraction": 0,
            "max_iter": 30,
            "n_iter_no_change": 2,
        }
        model = make("classifier", **params)
        model.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
        assert model.t_ == 150 * model.n_iter_
        assert model.score(X[150:], y[150:]) == model.best_validation_score_
        assert model.best_loss_ is None

    def test_best_network_on_it_is_kept_in_every_round(self, binary):
        X, y = binary
        model = make("classifier", early_stopping=True, max_iter=20)
        model.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
        assert model.sparsity_ == pytest.approx(0.8, abs=0.01)
        score = model.score(X[150:], y[150:])
        assert model.pruning_history_["validation_score"][-1] == score

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_string_labels_with_early_stopping(self, n_classes, iris):
        X, y = iris
        X, y = X[y < n_classes], y[y < n_classes]
        labels = np.array(["setosa", "versicolor", "virginica"], dtype=object)[y]
        params = {"early_stopping": True, "max_iter": 20}
        ours = make("classifier", **params).fit(X, labels)
        same = make("classifier", **params).fit(X, y)
        assert ours.validation_scores_ == same.validation_scores_
        assert_array_equal(
            ours.predict(X), np.array(["setosa", "versicolor", "virginica"])[same.predict(X)]
        )
        assert list(ours.classes_) == sorted(set(labels))
        given = make("classifier", **params).fit(X, labels, X_val=X, y_val=labels)
        assert given.best_validation_score_ == max(given.validation_scores_)

    def test_prune_holds_out_what_fit_held_out(self, iris, monkeypatch):
        held_out = []

        def split(*args, **kwargs):
            held_out.append(train_test_split(*args, **kwargs)[1])
            return train_test_split(*args, **kwargs)

        monkeypatch.setattr("skobd._mlp.data.train_test_split", split)
        model = OBDMLPClassifier((5,), early_stopping=True, prune_fraction=0, random_state=3)
        model.set_params(max_iter=3).fit(*iris).prune(*iris, prune_fraction=0.5)
        np.testing.assert_array_equal(*held_out)

    def test_predictions_may_overflow(self):
        """Poisson regression of rows far out: no score, but no error either."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(60, 3))
        y = rng.poisson(np.exp(X[:, 0])).astype(float)
        model = OBDMLPRegressor("poisson", (5,), max_iter=5, random_state=0)
        model.fit(X, y, X_val=1e6 * X[:10], y_val=y[:10])
        assert np.isnan(model.validation_scores_).any()
        assert np.isfinite(model.predict(X)).all()

    def test_early_stopping_is_of_no_concern_to_lbfgs(self, iris):
        models = [
            make("classifier", solver="lbfgs", early_stopping=flag).fit(*iris)
            for flag in (False, True)
        ]
        assert digest(models[0]) == digest(models[1])

    def test_feature_names_with_early_stopping(self, iris):
        X = pd.DataFrame(iris[0], columns=list("abcd"))
        model = make("classifier", early_stopping=True).fit(X, iris[1], X_val=X, y_val=iris[1])
        assert list(model.feature_names_in_) == list("abcd")
        model.prune(X, iris[1], prune_fraction=0.9).predict(X)


class TestClassWeight:
    def test_is_a_sample_weight(self, binary):
        X, y = binary
        balance = len(y) / (2 * np.bincount(y))
        weight = np.linspace(0.5, 1, len(y))
        expected = digest(make("classifier").fit(X, y, sample_weight=weight * balance[y]))
        for class_weight in ("balanced", {0: balance[0], 1: balance[1]}):
            model = make("classifier", class_weight=class_weight)
            assert digest(model.fit(X, y, sample_weight=weight)) == expected
        assert digest(make("classifier").fit(X, y, sample_weight=weight)) != expected

    def test_string_labels_and_partial_fit(self, binary):
        X, y = binary
        labels = np.array(["no", "yes"])[y]
        model = make("classifier", class_weight={"yes": 5.0, "no": 1.0})
        same = make("classifier")
        for _ in range(2):
            model.partial_fit(X, labels, classes=["no", "yes"])
            same.partial_fit(X, y, sample_weight=1.0 + 4 * y, classes=[0, 1])
        assert digest(model) == digest(same)

    def test_raises_the_share_of_a_rare_class(self, binary):
        X, y = binary
        rare = np.flatnonzero(y == 1)[:10]
        rows = np.concatenate([np.flatnonzero(y == 0), rare])
        shares = [
            make("classifier", solver="lbfgs", alpha=10, class_weight=class_weight)
            .fit(X[rows], y[rows])
            .predict_proba(X[rows])[:, 1]
            .mean()
            for class_weight in (None, "balanced")
        ]
        assert shares[1] > 1.5 * shares[0]

    def test_balanced_does_not_count_rows_of_no_weight(self, binary):
        X, y = binary
        weight = np.ones(len(y))
        weight[y == 1] = np.arange((y == 1).sum()) % 2
        params = {"class_weight": "balanced", "max_iter": 5, "random_state": 0}
        some = OBDMLPClassifier(**params).fit(X, y, sample_weight=weight)
        others = OBDMLPClassifier(**params).fit(X[weight > 0], y[weight > 0])
        np.testing.assert_array_equal(some.predict_proba(X), others.predict_proba(X))

    def test_batches_need_not_have_every_class(self, binary):
        X, y = binary
        model = OBDMLPClassifier((5,), class_weight={1: 5.0})
        model.partial_fit(X[y == 0], y[y == 0], classes=[0, 1])
        assert model.saliencies(X[y == 0], y[y == 0]).coefs[0].shape == (X.shape[1], 5)

    def test_multilabel(self):
        X, Y = make_multilabel_classification(n_samples=60, n_classes=3, random_state=0)
        class_weight = [{0: 1, 1: 2}] * 3
        model = make("classifier", class_weight=class_weight).fit(X, Y)
        weight = 2.0 ** Y.sum(axis=1)
        assert digest(model) == digest(make("classifier").fit(X, Y, sample_weight=weight))


def assert_same_parameters(model, other, atol):
    parameters = zip(
        model.coefs_ + model.intercepts_, other.coefs_ + other.intercepts_, strict=True
    )
    for values, expected in parameters:
        assert_allclose(values, expected, atol=atol)


class TestSampleWeight:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_zero_weight_is_absence(self, kind, solver, data):
        X, y = data[kind]
        weight = np.ones(len(y))
        weight[::3] = 0
        model = make(kind, solver=solver).fit(X, y, sample_weight=weight)
        absent = make(kind, solver=solver).fit(X[weight > 0], y[weight > 0])
        assert_same_parameters(model, absent, atol=1e-7 if solver == "lbfgs" else 1e-12)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_integer_weight_is_repetition(self, kind, data):
        X, y = data[kind]
        counts = np.arange(len(y)) % 3
        params = {
            "solver": "lbfgs",
            "alpha": 1.0,
            "max_iter": 1000,
            "tol": 1e-8,
            "retrain_max_iter": 0,
        }
        weighted = make(kind, hidden_layer_sizes=(), **params).fit(X, y, sample_weight=counts)
        repeated = make(kind, hidden_layer_sizes=(), **params).fit(
            X.repeat(counts, 0), y.repeat(counts)
        )
        assert_same_parameters(weighted, repeated, atol=1e-5)
        assert_array_equal(weighted.coef_masks_[0], repeated.coef_masks_[0])

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_ones_are_no_weights_with_early_stopping(self, kind, data):
        X, y = data[kind]
        models = [
            make(kind, early_stopping=True).fit(X, y, sample_weight=weight)
            for weight in (None, np.ones(len(y)))
        ]
        assert_same_parameters(*models, atol=1e-12)


@pytest.mark.slow
def test_fit_anew_takes_other_shapes():
    X, y = load_iris(return_X_y=True)
    model = OBDMLPClassifier((4,), solver="lbfgs", max_iter=500, alpha=1.0, random_state=0)
    model.fit(X, y).fit(X[:100, :2], y[:100])
    assert model.n_features_in_ == 2
    model.set_params(hidden_layer_sizes=(3, 2)).fit(X, y)
    assert [c.shape for c in model.coefs_] == [(4, 3), (3, 2), (2, 3)]
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))


@pytest.mark.slow
def test_warm_start_refuses_fewer_classes_as_scikit_learn_does():
    X, y = load_iris(return_X_y=True)
    for estimator in (OBDMLPClassifier, MLPClassifier):
        model = estimator((4,), solver="lbfgs", max_iter=500, alpha=1.0, warm_start=True)
        model.fit(X, y).fit(X, y)
        with pytest.raises(ValueError, match="same classes as in the previous call"):
            model.fit(X[:100], y[:100])


def test_retraining_on_many_rows_visits_a_part_of_them():
    """60 minibatches in a pass, of which dense training made two: 15 are visited."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12_000, 2))
    clf = OBDMLPClassifier(
        (9,), max_iter=2, prune_fraction=0.5, n_rounds=1, n_regrow=0, retrain_max_iter=3
    )
    clf.fit(X, X[:, 0] > 0)
    assert clf.t_ == 2 * 12_000 + 3 * 3000
    assert clf.n_iter_ == 2 + 3
    # Few rows are all visited.
    clf.fit(X[:2000], X[:2000, 0] > 0)
    assert clf.t_ == (2 + 3) * 2000
