"""Scikit-learn's perceptrons come and go, and predict the same."""

import numpy as np
import pandas as pd
import pytest
from exports import FRACTIONS, REGRESSIONS, TARGETS, make_classifier, make_regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline

from skobd import OBDMLPClassifier, OBDMLPRegressor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Also networks that were asked to be nothing.
    pytest.mark.filterwarnings("ignore:Pruning has left"),
]


class TestSklearn:
    @pytest.mark.parametrize("fraction", FRACTIONS)
    @pytest.mark.parametrize("target", TARGETS)
    def test_classifier_there_and_back(self, iris, target, fraction):
        X, y = iris[0], TARGETS[target](iris[1])
        model = make_classifier(X, y, fraction)
        mlp = model.to_sklearn()
        assert type(mlp) is MLPClassifier
        assert_allclose(mlp.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
        assert_array_equal(mlp.predict(X), model.predict(X))
        assert mlp.get_params().items() <= model.get_params().items()
        back = OBDMLPClassifier.from_sklearn(mlp)
        assert_allclose(back.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
        assert_array_equal(back.classes_, model.classes_)
        assert back.loss_curve_ == model.loss_curve_
        before = mlp.intercepts_[-1].copy()
        mlp.partial_fit(X, y)
        assert (mlp.intercepts_[-1] != before).any()
        assert mlp.t_ == model.t_ + len(X)

    @pytest.mark.parametrize("case", REGRESSIONS)
    def test_regressor_there_and_back(self, iris, case):
        loss, target = REGRESSIONS[case]
        X, y = iris[0], target(iris[0])
        model = make_regressor(loss, X, y)
        if loss == "poisson" and "loss" not in MLPRegressor().get_params():
            with pytest.raises(ValueError, match=r"scikit-learn 1\.7"):
                model.to_sklearn()
            return
        mlp = model.to_sklearn()
        assert_allclose(mlp.predict(X), model.predict(X), rtol=1e-12, atol=1e-12)
        back = OBDMLPRegressor.from_sklearn(mlp)
        assert_allclose(back.predict(X), model.predict(X), rtol=1e-12, atol=1e-12)
        mlp.partial_fit(X, y)

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_prunes_a_network_that_is_already_trained(self, iris, solver):
        X, y = pd.DataFrame(iris[0]).add_prefix("column "), iris[1]
        mlp = MLPClassifier((10,), solver=solver, max_iter=100, random_state=0).fit(X, y)
        model = OBDMLPClassifier.from_sklearn(mlp)
        assert_allclose(model.predict_proba(X), mlp.predict_proba(X), rtol=0, atol=1e-14)
        assert_array_equal(model.feature_names_in_, mlp.feature_names_in_)
        assert model.sparsity_ == 0
        assert model.n_iter_ == mlp.n_iter_
        assert model.loss_ == mlp.loss_
        before = [coef.copy() for coef in mlp.coefs_]
        model.prune(X, y, prune_fraction=0.9)
        assert model.n_weights_ == 7
        for coef, original in zip(mlp.coefs_, before, strict=True):
            assert_array_equal(coef, original)

    def test_precision_is_kept(self, iris):
        X, y = iris[0].astype(np.float32), iris[1]
        mlp = MLPClassifier((5,), max_iter=5, random_state=0).fit(X, y)
        model = OBDMLPClassifier.from_sklearn(mlp)
        assert model.coefs_[0].dtype == np.float32
        assert model.to_sklearn().coefs_[0].dtype == np.float32

    def test_early_stopping(self, iris):
        mlp = MLPClassifier((5,), early_stopping=True, max_iter=20, random_state=0).fit(*iris)
        model = OBDMLPClassifier.from_sklearn(mlp)
        assert model.validation_scores_ == mlp.validation_scores_
        assert model.best_loss_ is None
        assert model.to_sklearn().best_validation_score_ == mlp.best_validation_score_

    def test_early_stopped_goes_on(self, iris):
        """scikit-learn goes back to the best weights if no epoch is better."""
        model = OBDMLPClassifier((10,), early_stopping=True, random_state=0).fit(*iris)
        mlp = model.to_sklearn().set_params(warm_start=True, learning_rate_init=1e-9)
        p = mlp.fit(*iris).predict_proba(iris[0])
        assert_allclose(p, model.predict_proba(iris[0]), atol=1e-4)

    def test_patience_goes_on(self, iris):
        """Epochs without improvement before the export count for scikit-learn's warm start."""
        X, y = iris
        params = {"solver": "sgd", "tol": 10.0, "n_iter_no_change": 8, "max_iter": 5}
        params |= {"warm_start": True, "random_state": 0}
        theirs = MLPClassifier((4,), **params).fit(X, y)
        mlp = OBDMLPClassifier((4,), prune_fraction=0, **params).fit(X, y).to_sklearn()
        for model in (theirs, mlp):
            # The first epoch improves on nothing at all; then 4 idle ones, and 5 of 9 more.
            assert model.set_params(max_iter=100).fit(X, y).n_iter_ == 5

    def test_a_cosine_schedule_goes_on_at_a_constant_rate(self, iris):
        """scikit-learn knows no such schedule, and would refuse to train any further."""
        model = OBDMLPClassifier((4,), learning_rate="cosine", max_iter=3, random_state=0)
        mlp = model.fit(*iris).to_sklearn().partial_fit(*iris)
        assert mlp.learning_rate == "constant"

    @pytest.mark.parametrize("n_hidden", [1, 2])
    def test_sizes_are_those_of_the_fit(self, iris, n_hidden):
        model = OBDMLPClassifier((4, 3)[:n_hidden], max_iter=3, random_state=0).fit(*iris)
        mlp = model.set_params(hidden_layer_sizes=(50, 2)).to_sklearn()
        assert mlp.hidden_layer_sizes == (4, 3)[:n_hidden]
        mlp.partial_fit(*iris)
        assert_array_equal(mlp.predict(iris[0]).shape, iris[1].shape)

    def test_sizes_are_those_of_the_weights(self, iris):
        mlp = MLPClassifier((4,), max_iter=3, random_state=0).fit(*iris)
        model = OBDMLPClassifier.from_sklearn(mlp.set_params(hidden_layer_sizes=(50, 2)))
        assert model.hidden_layer_sizes == (4,)
        assert model.prune(*iris, prune_fraction=0.5).n_weights_ == 14

    def test_activation_is_that_of_the_fit(self, iris):
        X, y = iris
        model = make_classifier(X, y, activation="tanh").set_params(activation="relu")
        assert model.to_sklearn().activation == "tanh"
        assert_allclose(model.to_sklearn().predict_proba(X), model.predict_proba(X), rtol=1e-6)

    @pytest.mark.skipif("loss" not in MLPRegressor().get_params(), reason="scikit-learn < 1.7")
    def test_loss_is_that_of_the_fit(self, iris):
        X, y = iris
        mlp = make_regressor("poisson", X, y).to_sklearn()
        p = mlp.predict(X)
        regressor = OBDMLPRegressor.from_sklearn(mlp.set_params(loss="squared_error"))
        assert_allclose(regressor.predict(X), p, rtol=1e-10)

    def test_weights_that_are_not_finite(self, iris):
        mlp = MLPClassifier((3,), max_iter=5).fit(*iris)
        mlp.coefs_[0][0, 0] = np.nan
        with pytest.raises(ValueError, match="coefs_ and intercepts_ contains NaN"):
            OBDMLPClassifier.from_sklearn(mlp)

    def test_compacted_is_smaller(self, iris):
        X, y = iris
        model = make_classifier(X, y, 0.8, granularity="unit")
        mlp = model.compact().to_sklearn()
        assert mlp.coefs_[0].shape[1] < 8
        assert_allclose(mlp.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)

    def test_unfitted(self):
        with pytest.raises(NotFittedError, match="call fit before from_sklearn"):
            OBDMLPClassifier.from_sklearn(MLPClassifier())
        with pytest.raises(NotFittedError):
            OBDMLPClassifier().to_sklearn()

    def test_foreign(self, iris):
        with pytest.raises(TypeError, match="use OBDMLPRegressor for it"):
            OBDMLPClassifier.from_sklearn(MLPRegressor())
        with pytest.raises(TypeError, match="use OBDMLPClassifier for it"):
            OBDMLPRegressor.from_sklearn(MLPClassifier())
        with pytest.raises(TypeError, match=r"got Pipeline.*pipeline\[-1\]"):
            OBDMLPClassifier.from_sklearn(make_pipeline(MLPClassifier()))
        with pytest.raises(TypeError, match="got LogisticRegression"):
            OBDMLPClassifier.from_sklearn(LogisticRegression().fit(*iris))
