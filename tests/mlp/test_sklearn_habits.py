"""What users of scikit-learn's perceptrons rely on, ported from its own tests."""

import warnings

import numpy as np
import pandas as pd
import pytest
from models import ESTIMATORS, SOLVERS, digest, make
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


class TestWhatUsersOfSklearnsRelyOn:
    """Ported from scikit-learn's own tests of its multilayer perceptron."""

    def test_alpha_shrinks(self, digits):
        sizes = [
            sum(np.abs(coef).sum() for coef in make("classifier", alpha=a).fit(*digits).coefs_)
            for a in (0, 10)
        ]
        assert sizes[0] > sizes[1]

    @pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
    def test_lbfgs_learns(self, activation, digits, diabetes):
        params = {
            "solver": "lbfgs",
            "activation": activation,
            "max_iter": 150,
            "prune_fraction": 0.5,
        }
        X, y = digits
        model = make("classifier", **params).fit(X[:150], y[:150])
        assert model.score(X[:150], y[:150]) > 0.95
        assert model.predict(X).dtype.kind == y.dtype.kind
        assert make("regressor", alpha=0.01, **params).fit(*diabetes).score(*diabetes) > 0.45

    def test_multilabel(self):
        X, y = make_multilabel_classification(n_samples=50, random_state=0)
        model = make("classifier", hidden_layer_sizes=(30,), solver="lbfgs", max_iter=150)
        model.set_params(prune_fraction=0.5).fit(X, y)
        assert model.score(X, y) > 0.97
        p = model.predict_proba(X)
        assert_array_equal(p > 0.5, model.predict(X).astype(bool))
        assert np.abs(p.sum(axis=1) - 1).max() > 0.1
        model = make("classifier", hidden_layer_sizes=(30,), learning_rate_init=0.2)
        model.set_params(solver="sgd", activation="logistic", alpha=1e-5)
        for _ in range(100):
            model.partial_fit(X, y, classes=[0, 1, 2, 3, 4])
        assert model.score(X, y) > 0.9

    def test_shuffle(self):
        X, y = make_regression(n_samples=50, n_features=5, random_state=0)
        digests = [
            digest(make("regressor", max_iter=1, batch_size=1, shuffle=shuffle).fit(X, y))
            for shuffle in (True, True, False, False)
        ]
        assert digests[0] == digests[1] != digests[2] == digests[3]

    def test_another_solver_may_go_on(self, iris):
        """What ended L-BFGS does not count against Adam."""
        X, y = iris
        model = OBDMLPClassifier((5,), solver="lbfgs", warm_start=True, prune_fraction=0)
        model.set_params(max_iter=100, random_state=0).fit(X, y)
        model.set_params(solver="adam", learning_rate_init=0.01).fit(X, (y + 1) % 3)
        assert model.n_iter_ > 50

    def test_adaptive_rate_goes_down_to_the_end(self, capsys):
        X, y = [[3, 2], [1, 6]], [1, 0]
        model = OBDMLPClassifier(
            tol=0.5, max_iter=3000, solver="sgd", learning_rate="adaptive", prune_fraction=0
        )
        model.set_params(verbose=True).fit(X, y)
        # It is divided by 5 after every 11 idle epochs: five times from 1e-3 to below 1e-6.
        assert 6 * 11 <= model.n_iter_ < 3000
        assert "Learning rate too small. Stopping." in capsys.readouterr().out

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_warm_start_counts_iterations_anew(self, kind, solver, iris):
        model = make(kind, solver=solver, warm_start=True, tol=0, prune_fraction=0)
        model.set_params(activation="tanh")
        model.set_params(n_iter_no_change=np.inf)
        for max_iter in (3, 6):
            with pytest.warns(ConvergenceWarning):
                model.set_params(max_iter=max_iter).fit(*iris)
            assert model.n_iter_ == max_iter
        assert len(model.loss_curve_) == 9

    @pytest.mark.parametrize("n_iter_no_change", [2, 5])
    def test_n_iter_no_change(self, n_iter_no_change, binary):
        model = make("classifier", solver="sgd", tol=0.01, max_iter=3000, prune_fraction=0)
        model.set_params(n_iter_no_change=n_iter_no_change)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model.fit(*binary)
        idle = 0
        best = np.inf
        for loss in model.loss_curve_:
            idle = idle + 1 if loss > best - 0.01 else 0
            best = min(best, loss)
            assert idle <= n_iter_no_change + 1
        assert idle == n_iter_no_change + 1

    def test_learns_in_other_precision(self, digits):
        X, y = digits
        wide = make("classifier", prune_fraction=0.3).fit(X, y)
        narrow = make("classifier", prune_fraction=0.3).fit(X.astype(np.float32), y)
        assert_allclose(wide.predict_proba(X), narrow.predict_proba(X), rtol=1e-2, atol=1e-3)

    def test_labels_of_many_types(self, binary):
        X, y = binary
        for labels in (y.astype(bool), y * 2.0 - 1, np.array(["n", "y"])[y], list(map(str, y))):
            model = make("classifier").fit(X, labels)
            assert set(model.predict(X)) <= set(np.unique(labels))
            assert accuracy_score(labels, model.predict(X)) > 0.5

    def test_in_a_pipeline_on_a_data_frame(self, iris):
        X = pd.DataFrame(iris[0], columns=list("abcd"))
        pipe = make_pipeline(StandardScaler(), make("classifier"))
        grid = {"obdmlpclassifier__prune_fraction": [0.2, 0.8]}
        search = GridSearchCV(pipe, grid, cv=2).fit(X, iris[1])
        assert set(search.predict(X)) <= {0, 1, 2}
        assert search.best_estimator_[-1].n_features_in_ == 4
