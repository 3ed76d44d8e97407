"""Behaviour of the estimators: scikit-learn's where nothing is pruned, and the pruning itself."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skobd import OBDMLPClassifier, OBDMLPRegressor, _base
from skobd import _solvers as solvers_module

SKLEARN = parse_version(sklearn.__version__)
# scikit-learn's MLP takes sample_weight from 1.7 on, and divides by their sum from 1.8 on.
MLP_TAKES_WEIGHTS = parse_version("1.8") <= SKLEARN
MLP_HAS_POISSON = parse_version("1.7") <= SKLEARN
SOLVERS = ("adam", "sgd", "lbfgs")
ESTIMATORS = {"classifier": OBDMLPClassifier, "regressor": OBDMLPRegressor}
THEIRS = {"classifier": MLPClassifier, "regressor": MLPRegressor}
# Ten epochs are not meant to converge.
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
)


@pytest.fixture
def data(request, iris, diabetes):
    return {"classifier": iris, "regressor": diabetes}


def assert_same_network(ours, theirs, rtol=1e-10):
    assert len(ours.coefs_) == len(theirs.coefs_)
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        assert a.dtype == b.dtype
        assert_allclose(a, b, rtol=rtol, atol=1e-11)
    for a, b in zip(ours.intercepts_, theirs.intercepts_, strict=True):
        assert_allclose(a, b, rtol=rtol, atol=1e-11)


def assert_same_record(ours, theirs):
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    names = ("loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_")
    for name in names:
        a, b = getattr(ours, name), getattr(theirs, name)
        assert type(a) is type(b) or isinstance(a, float), name
        if b is not None:
            assert_allclose(a, b, rtol=1e-9, err_msg=name)


def fit_both(kind, X, y, fit_params=None, n_fits=1, **params):
    params = {"max_iter": 5, "hidden_layer_sizes": (7, 4), "random_state": 0} | params
    ours = ESTIMATORS[kind](prune_fraction=0, **params)
    theirs = THEIRS[kind](**params)
    for _ in range(n_fits):
        ours.fit(X, y, **(fit_params or {}))
        theirs.fit(X, y, **(fit_params or {}))
    return ours, theirs


class TestPlainNetworkIsSklearns:
    """With prune_fraction=0 the estimators are scikit-learn's, to rounding."""

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"activation": "tanh", "batch_size": 17, "beta_1": 0.8, "beta_2": 0.99},
            {"activation": "logistic", "epsilon": 1e-3, "shuffle": False, "alpha": 1.0},
            {"activation": "identity", "hidden_layer_sizes": 3, "learning_rate_init": 0.01},
            {"hidden_layer_sizes": (4, 3, 2)},
            {"solver": "sgd"},
            {"solver": "sgd", "nesterovs_momentum": False, "batch_size": 10},
            {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1},
            {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "batch_size": 9},
            {
                "solver": "sgd",
                "learning_rate": "adaptive",
                "tol": 0.05,
                "n_iter_no_change": 1,
                "max_iter": 40,
            },
            {"early_stopping": True, "learning_rate_init": 0.02, "batch_size": 8, "max_iter": 30},
            {"solver": "sgd", "early_stopping": True, "validation_fraction": 0.3},
            {"tol": 0.1, "n_iter_no_change": 2, "max_iter": 50, "learning_rate_init": 0.01},
        ],
        ids=lambda params: "-".join(f"{k}={v}" for k, v in params.items()) or "defaults",
    )
    def test_parameters(self, kind, params, data):
        ours, theirs = fit_both(kind, *data[kind], **params)
        assert_same_network(ours, theirs)
        assert_same_record(ours, theirs)
        assert_array_equal(ours.predict(data[kind][0]).shape, theirs.predict(data[kind][0]).shape)
        assert_allclose(ours.score(*data[kind]), theirs.score(*data[kind]))

    @pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csc_matrix])
    def test_sparse(self, container, iris):
        X, y = iris
        X = np.where(np.abs(X) < 0.5, 0, X)
        ours, theirs = fit_both("classifier", container(X), y)
        assert_same_network(ours, theirs)
        dense, _ = fit_both("classifier", X, y)
        assert_same_network(ours, dense)
        assert_allclose(ours.predict_proba(container(X)), dense.predict_proba(X))

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_binary(self, early_stopping, binary):
        ours, theirs = fit_both("classifier", *binary, early_stopping=early_stopping)
        assert_same_network(ours, theirs)
        assert_same_record(ours, theirs)
        X = binary[0]
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))
        assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X))
        assert_array_equal(ours.predict(X), theirs.predict(X))

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_multilabel(self, early_stopping):
        X, Y = make_multilabel_classification(n_samples=80, n_features=8, random_state=0)
        ours, theirs = fit_both("classifier", X, Y, early_stopping=early_stopping)
        assert_same_network(ours, theirs)
        assert_same_record(ours, theirs)
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))
        assert_array_equal(ours.predict(X), theirs.predict(X))

    def test_multioutput(self):
        X, Y = make_regression(n_samples=80, n_features=8, n_targets=3, random_state=0)
        ours, theirs = fit_both("regressor", X, Y / 100, early_stopping=True)
        assert_same_network(ours, theirs)
        assert_allclose(ours.predict(X), theirs.predict(X))
        # scikit-learn averages the loss over the outputs, but follows the gradient of the sum.
        ours, theirs = fit_both("regressor", X, Y / 100, alpha=0)
        assert_same_network(ours, theirs)
        assert_allclose(np.array(ours.loss_curve_) / 3, theirs.loss_curve_)
        assert_allclose(ours.predict(X), theirs.predict(X))

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("params", [{}, {"solver": "sgd"}])
    def test_warm_start(self, kind, params, data):
        ours, theirs = fit_both(kind, *data[kind], n_fits=3, warm_start=True, **params)
        assert_same_network(ours, theirs)
        assert_same_record(ours, theirs)

    def test_warm_start_with_early_stopping(self, diabetes):
        """Every fit improves; otherwise scikit-learn overwrites its best weights in place."""
        params = {"warm_start": True, "early_stopping": True}
        ours, theirs = fit_both("regressor", *diabetes, n_fits=3, **params)
        assert np.argmax(ours.validation_scores_) >= 10
        assert_same_network(ours, theirs)
        assert_same_record(ours, theirs)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("params", [{}, {"solver": "sgd", "learning_rate": "invscaling"}])
    def test_partial_fit(self, kind, params, data):
        X, y = data[kind]
        params = {"hidden_layer_sizes": (7,), "random_state": 0} | params
        both = ESTIMATORS[kind](**params), THEIRS[kind](**params)
        first = {"classes": np.unique(y)} if kind == "classifier" else {}
        for model in both:
            model.partial_fit(X[:60], y[:60], **first)
            for start in (0, 60, 90):
                model.partial_fit(X[start : start + 60], y[start : start + 60])
        assert_same_network(*both)
        assert_same_record(*both)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_partial_fit_after_fit(self, kind, data):
        X, y = data[kind]
        both = fit_both(kind, X, y, warm_start=True)
        for model in both:
            model.partial_fit(X[:50], y[:50])
        assert_same_network(*both)
        assert_same_record(*both)

    @pytest.mark.skipif(not MLP_TAKES_WEIGHTS, reason="scikit-learn's MLP has no sample_weight")
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"solver": "sgd"}])
    def test_sample_weight(self, kind, params, data):
        X, y = data[kind]
        weight = np.random.default_rng(0).uniform(0.1, 3, size=len(y))
        ours, theirs = fit_both(kind, X, y, {"sample_weight": weight}, **params)
        assert_same_network(ours, theirs)
        assert_same_record(ours, theirs)

    @pytest.mark.skipif(not MLP_HAS_POISSON, reason="scikit-learn's MLP has no Poisson loss")
    def test_poisson(self, diabetes):
        X, y = diabetes
        y = np.random.default_rng(0).poisson(np.exp(y))
        ours, theirs = fit_both("regressor", X, y, loss="poisson")
        assert_same_network(ours, theirs)
        assert_same_record(ours, theirs)
        assert_allclose(ours.predict(X), theirs.predict(X))

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    def test_lbfgs_reaches_the_objective(self, kind, activation, data):
        X, y = data[kind]
        params = {"solver": "lbfgs", "activation": activation, "alpha": 5.0, "tol": 1e-4}
        ours, theirs = fit_both(kind, X, y, max_iter=300, **params)
        # One minimum may be reached along slightly different ways.
        assert ours.loss_ <= theirs.loss_ + 2e-3 * abs(theirs.loss_)
        if (kind, activation) == ("classifier", "relu"):
            # A trial step meets losses that scikit-learn cuts off at -log(eps).
            return
        few, few_theirs = fit_both(kind, X, y, max_iter=5, **params)
        assert few.loss_ == pytest.approx(few_theirs.loss_, rel=1e-8)
        assert_same_network(few, few_theirs, rtol=1e-6)
        assert few.n_iter_ == few_theirs.n_iter_ == len(few.loss_curve_)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_float32(self, kind, solver, data):
        X, y = data[kind]
        ours, theirs = fit_both(kind, X.astype(np.float32), y, solver=solver)
        for array in ours.coefs_ + ours.intercepts_ + [ours.feature_importances_]:
            assert array.dtype == np.float32
        for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
            assert_allclose(a, b, atol=1e-3)
        wide = ours.predict_proba(X) if kind == "classifier" else ours.predict(X)
        assert wide.dtype == np.float32

    def test_every_parameter_has_sklearns_default(self):
        for kind, estimator in ESTIMATORS.items():
            theirs = THEIRS[kind]().get_params()
            ours = estimator().get_params()
            shared = {name: ours[name] for name in theirs}
            assert shared == theirs

    @pytest.mark.parametrize("n_rounds", [0, 5])
    def test_no_level_and_no_rounds_are_plain(self, n_rounds, iris):
        plain = OBDMLPClassifier(
            (5,), max_iter=3, prune_fraction=0.0 if n_rounds else 0.9, n_rounds=n_rounds
        ).fit(*iris)
        assert plain.sparsity_ == 0
        assert plain.n_weights_ == 4 * 5 + 5 * 3
        assert len(plain.pruning_history_["round"]) == 0


class TestNoHiddenLayerIsLinear:
    """A network without hidden units is a generalised linear model with the same penalty."""

    @staticmethod
    def fit(estimator, X, y, sample_weight=None, **params):
        params = {"hidden_layer_sizes": (), "solver": "lbfgs", "prune_fraction": 0} | params
        model = estimator(max_iter=1000, tol=1e-9, warm_start=True, random_state=0, **params)
        # L-BFGS also ends at a small relative change of the objective; a new start goes on.
        for _ in range(40):
            model.fit(X, y, sample_weight=sample_weight)
        return model

    @pytest.mark.parametrize("weighted", [False, True])
    def test_ridge(self, weighted, diabetes):
        X, y = diabetes
        weight = np.random.default_rng(0).uniform(0, 3, size=len(y)) if weighted else None
        ours = self.fit(OBDMLPRegressor, X, y, weight, alpha=3.0)
        theirs = Ridge(alpha=3.0).fit(X, y, sample_weight=weight)
        assert_allclose(ours.coefs_[0].ravel(), theirs.coef_, atol=1e-4)
        assert_allclose(ours.intercepts_[0], theirs.intercept_, atol=1e-4)
        assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-4)

    @pytest.mark.parametrize("name", ["binary", "iris"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_logistic_regression(self, name, weighted, request):
        X, y = request.getfixturevalue(name)
        weight = np.random.default_rng(0).uniform(0, 3, size=len(y)) if weighted else None
        ours = self.fit(OBDMLPClassifier, X, y, weight, alpha=2.0)
        theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=10000)
        theirs.fit(X, y, sample_weight=weight)
        # The softmax does not fix the sum of the intercepts.
        assert_allclose(ours.coefs_[0].T, theirs.coef_, atol=1e-4)
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)

    def test_poisson(self):
        X = np.linspace(0, 1, 100).reshape(-1, 1)
        y = np.random.default_rng(0).poisson(np.exp(X.ravel() + 1))
        ours = self.fit(OBDMLPRegressor, X, y, loss="poisson", alpha=0)
        theirs = PoissonRegressor(alpha=0, tol=1e-9).fit(X, y)
        assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4)

    def test_pruned_too(self, binary):
        X, y = binary
        model = self.fit(OBDMLPClassifier, X, y, alpha=1.0, prune_fraction=0.7)
        kept = model.coef_masks_[0].ravel()
        assert kept.sum() == model.n_weights_ == 3
        theirs = LogisticRegression(C=1.0, tol=1e-10).fit(X[:, kept], y)
        assert_allclose(model.coefs_[0][kept].ravel(), theirs.coef_.ravel(), atol=1e-4)


def make(kind, **params):
    defaults = {
        "hidden_layer_sizes": (6, 4),
        "max_iter": 10,
        "n_rounds": 3,
        "prune_fraction": 0.8,
        "random_state": 0,
        "learning_rate_init": 0.01,
    }
    return ESTIMATORS[kind](**defaults | params)


def assert_deleted_are_zero(model):
    for coef, mask in zip(model.coefs_, model.coef_masks_, strict=True):
        assert coef.shape == mask.shape
        assert mask.dtype == bool
        assert (coef[~mask] == 0).all()
    for intercept, mask in zip(model.intercepts_, model.intercept_masks_, strict=True):
        assert (intercept[~mask] == 0).all()


class TestPruning:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("criterion", ["obd", "magnitude", "random"])
    def test_exactly_the_promised_number(self, kind, solver, criterion, data):
        X, y = data[kind]
        n_total = X.shape[1] * 6 + 6 * 4 + 4 * (3 if kind == "classifier" else 1)
        model = make(kind, solver=solver, criterion=criterion).fit(X, y)
        n_left = round(0.2 * n_total)
        assert model.n_weights_ == n_left
        assert model.sparsity_ == pytest.approx(1 - n_left / n_total)
        assert sum(mask.sum() for mask in model.coef_masks_) == n_left
        assert all(mask.all() for mask in model.intercept_masks_)
        assert_deleted_are_zero(model)

    @pytest.mark.parametrize("prune_fraction", [0.01, 0.333, 0.5, 0.999])
    def test_levels(self, prune_fraction, iris):
        model = make("classifier", prune_fraction=prune_fraction, retrain_max_iter=1).fit(*iris)
        assert model.n_weights_ == round((1 - prune_fraction) * 60)

    def test_history_is_a_table(self, iris):
        model = make("classifier").fit(*iris)
        table = pd.DataFrame(model.pruning_history_)
        assert list(table) == [
            "round",
            "n_weights",
            "sparsity",
            "loss_before",
            "predicted_increase",
            "loss_after_deletion",
            "loss_after_retraining",
            "n_iter",
        ]
        expected = [round(60 * 0.2 ** (r / 3)) for r in (1, 2, 3)]
        assert_array_equal(table["n_weights"], expected)
        assert_allclose(table["sparsity"], 1 - np.array(expected) / 60)
        assert_array_equal(table["round"], [1, 2, 3])
        assert model.n_iter_ == 10 + table["n_iter"].sum() == len(model.loss_curve_)
        assert_allclose(table["loss_before"][1:], table["loss_after_retraining"][:-1])
        assert (table["predicted_increase"] >= 0).all()

    def test_history_with_validation_data(self, iris):
        X, y = iris
        model = make("classifier").fit(X, y, X_val=X[::3], y_val=y[::3])
        table = pd.DataFrame(model.pruning_history_)
        assert list(table)[-2:] == ["validation_loss", "validation_score"]
        assert table["validation_score"].iloc[-1] == model.score(X[::3], y[::3])

    def test_masks_are_nested(self, digits):
        """The path to a lower level goes through the same networks."""
        params = {"max_iter": 5, "hidden_layer_sizes": (8,), "criterion": "obd"}
        first = make("classifier", prune_fraction=0.5, n_rounds=1, **params).fit(*digits)
        masks = [first.coef_masks_]
        for level in (0.7, 0.9):
            first.prune(*digits, prune_fraction=level, n_rounds=2)
            masks.append(first.coef_masks_)
            for before, after in zip(masks[-2], masks[-1], strict=True):
                assert not (after & ~before).any()
            assert_deleted_are_zero(first)
            assert first.n_weights_ == round((1 - level) * (64 * 8 + 8 * 3))

    def test_prune_intercepts(self, iris):
        model = make("classifier", prune_intercepts=True, prune_fraction=0.9).fit(*iris)
        n_total = 60 + 6 + 4 + 3
        assert model.n_weights_ == round(0.1 * n_total)
        masks = model.coef_masks_ + model.intercept_masks_
        assert sum(mask.sum() for mask in masks) == model.n_weights_
        assert not all(mask.all() for mask in model.intercept_masks_)
        assert_deleted_are_zero(model)

    def test_retraining_is_judged_afresh(self, iris):
        """After a deletion the loss of the dense network is out of reach."""
        model = OBDMLPClassifier((20,), prune_fraction=0.95, random_state=0, max_iter=400)
        model.set_params(n_iter_no_change=3, tol=1e-3, learning_rate_init=0.01).fit(*iris)
        assert (model.pruning_history_["n_iter"] > 4).all()

    def test_retrain_max_iter(self, iris):
        model = make("classifier", retrain_max_iter=2).fit(*iris)
        assert_array_equal(model.pruning_history_["n_iter"], [2, 2, 2])
        frozen = make("classifier", retrain_max_iter=0).fit(*iris)
        dense = make("classifier", prune_fraction=0).fit(*iris)
        assert_array_equal(frozen.pruning_history_["n_iter"], [0, 0, 0])
        for coef, start in zip(frozen.coefs_, dense.coefs_, strict=True):
            kept = coef != 0
            assert_array_equal(coef[kept], start[kept])
        assert frozen.loss_curve_ == dense.loss_curve_

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_warm_start_keeps_deleted_weights_deleted(self, solver, iris):
        model = make("classifier", warm_start=True, solver=solver).fit(*iris)
        masks = [mask.copy() for mask in model.coef_masks_]
        model.fit(*iris)
        for mask, before in zip(model.coef_masks_, masks, strict=True):
            assert_array_equal(mask, before)
        assert_deleted_are_zero(model)
        model.set_params(prune_fraction=0.9).fit(*iris)
        assert model.n_weights_ == 6
        for mask, before in zip(model.coef_masks_, masks, strict=True):
            assert not (mask & ~before).any()

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_partial_fit_keeps_deleted_weights_deleted(self, kind, solver, data):
        model = make(kind, solver=solver).fit(*data[kind])
        n_weights, before = model.n_weights_, model.coefs_[0].copy()
        for _ in range(3):
            model.partial_fit(*data[kind])
        assert model.n_weights_ == n_weights
        assert_deleted_are_zero(model)
        assert not np.array_equal(model.coefs_[0], before)

    def test_partial_fit_prunes_nothing(self, iris):
        model = make("classifier").partial_fit(*iris, classes=[0, 1, 2])
        assert model.sparsity_ == 0
        model.prune(*iris, prune_fraction=0.5)
        assert model.sparsity_ == 0.5

    def test_prune_by_the_constructors_level(self, iris):
        model = make("classifier", prune_fraction=0).fit(*iris)
        model.set_params(prune_fraction=0.6, n_rounds=2).prune(*iris)
        assert model.sparsity_ == pytest.approx(0.6)
        assert_array_equal(model.pruning_history_["round"], [1, 2])
        model.prune(*iris, prune_fraction=0.8, n_rounds=1)
        assert_array_equal(model.pruning_history_["round"], [1, 2, 3])

    def test_prune_uses_sample_weight(self, iris):
        X, y = iris
        kept = y != 2
        dense = make("classifier", solver="lbfgs", alpha=1.0, prune_fraction=0).fit(X, y)
        weighted, subset = (pickle.loads(pickle.dumps(dense)) for _ in range(2))
        weighted.prune(X, y, prune_fraction=0.7, sample_weight=kept.astype(float))
        subset.prune(X[kept], y[kept], prune_fraction=0.7)
        plain = pickle.loads(pickle.dumps(dense)).prune(X, y, prune_fraction=0.7)
        assert digest(weighted) == digest(subset) != digest(plain)

    def test_prune_tol_rolls_back(self, iris):
        params = {
            "solver": "lbfgs",
            "alpha": 1.0,
            "max_iter": 300,
            "n_rounds": 8,
            "prune_fraction": 0.99,
        }
        all_the_way = make("classifier", **params).fit(*iris)
        model = make("classifier", prune_tol=0.05, **params).fit(*iris)
        table = model.pruning_history_
        assert 0 < len(table["round"]) < 8
        dense_loss = table["loss_before"][0]
        assert table["loss_after_retraining"].max() <= dense_loss + 0.05
        beyond = all_the_way.pruning_history_["loss_after_retraining"][len(table["round"])]
        assert beyond > dense_loss + 0.05
        assert model.n_weights_ == table["n_weights"][-1]
        never = make("classifier", prune_tol=0.0, criterion="random", **params).fit(*iris)
        assert never.sparsity_ == 0

    @pytest.mark.parametrize("criterion", ["obd", "magnitude"])
    def test_informed_criteria_beat_random(self, criterion, digits):
        X, y = digits
        params = {"solver": "lbfgs", "alpha": 1.0, "hidden_layer_sizes": (10,), "max_iter": 200}
        params |= {"prune_fraction": 0.9, "n_rounds": 1, "retrain_max_iter": 0}
        losses = {
            name: make("classifier", criterion=name, **params)
            .fit(X, y)
            .pruning_history_["loss_after_deletion"][0]
            for name in (criterion, "random")
        }
        assert losses[criterion] < losses["random"]

    def test_rescaled_feature_is_kept_by_obd_but_not_by_magnitude(self, binary):
        """The example of the property that makes OBD right for tabular data."""
        X, y = binary
        kept = {}
        for criterion in ("obd", "magnitude"):
            model = make(
                "classifier",
                hidden_layer_sizes=(5,),
                solver="lbfgs",
                activation="tanh",
                alpha=0,
                max_iter=30,
                prune_fraction=0,
                retrain_max_iter=0,
                criterion=criterion,
            ).fit(X, y)
            best = int(np.argmax(model.feature_importances_))
            rescaled = X.copy()
            rescaled[:, best] *= 1e4
            model.coefs_[0][best] /= 1e4
            model.prune(rescaled, y, prune_fraction=0.5, n_rounds=1)
            kept[criterion] = model.coef_masks_[0][best].sum()
        assert kept["obd"] > kept["magnitude"] == 0

    @pytest.mark.parametrize("verbose", [1, True])
    def test_verbose_prints_a_line_for_each_round(self, verbose, iris, capsys):
        make("classifier", verbose=verbose).fit(*iris)
        lines = capsys.readouterr().out.splitlines()
        assert [line[:8] for line in lines] == [f"round  {r}" for r in range(4)]

    def test_verbose_without_pruning_prints_epochs(self, iris, capsys):
        model = make("classifier", verbose=True, prune_fraction=0).fit(*iris)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"Iteration 1, loss = {model.loss_curve_[0]:.8f}"
        assert len(lines) == model.n_iter_
        model.partial_fit(*iris)
        assert "Iteration 1" in capsys.readouterr().out

    def test_very_verbose_prints_both(self, iris, capsys):
        make("classifier", verbose=2).fit(*iris)
        out = capsys.readouterr().out
        assert out.count("Iteration") == 40
        assert out.count("round ") == 4

    def test_quiet(self, iris, capsys):
        make("classifier").fit(*iris)
        assert capsys.readouterr().out == ""


class TestSecondDerivativesAndSaliencies:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_shapes_and_formula(self, kind, data):
        X, y = data[kind]
        model = make(kind).fit(X, y)
        h, s = model.second_derivatives(X, y), model.saliencies(X, y)
        for name, parameters in (("coefs", model.coefs_), ("intercepts", model.intercepts_)):
            for parameter, second, saliency in zip(parameters, h[name], s[name], strict=True):
                assert parameter.shape == second.shape == saliency.shape
                assert_allclose(saliency, second * parameter**2 / 2)
                assert (saliency[parameter == 0] == 0).all()

    def test_of_known_model(self, diabetes):
        X, y = diabetes
        model = OBDMLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=2.0, prune_fraction=0)
        model.fit(X, y)
        weight = np.linspace(0.5, 2, len(y))
        h = model.second_derivatives(X, y, sample_weight=weight)
        expected = (weight @ X**2 + 2.0) / weight.sum()
        assert_allclose(h.coefs[0].ravel(), expected, rtol=1e-10)
        assert_allclose(h.intercepts[0], 1)

    def test_other_criteria(self, iris):
        X, y = iris
        model = make("classifier", criterion="magnitude").fit(X, y)
        assert_array_equal(model.saliencies(X, y).coefs[0], np.abs(model.coefs_[0]))
        model.set_params(criterion="random")
        s = model.saliencies(X, y).coefs[0]
        assert_array_equal(s == 0, ~model.coef_masks_[0])

    def test_feature_importances(self, binary):
        X, y = binary
        X = np.hstack([X, np.zeros((len(X), 2))])
        model = make("classifier", solver="lbfgs", max_iter=100, alpha=0).fit(X, y)
        assert model.feature_importances_.shape == (12,)
        assert_array_equal(model.feature_importances_[-2:], 0)
        expected = model.saliencies(X, y).coefs[0].sum(axis=1)
        assert_allclose(model.feature_importances_, expected)
        selector = SelectFromModel(model, prefit=True, threshold=1e-12)
        assert not selector.get_support()[-2:].any()
        eliminated = RFE(clone(model).set_params(max_iter=20), n_features_to_select=4).fit(X, y)
        assert eliminated.support_.sum() == 4
        assert not eliminated.support_[-2:].any()

    def test_no_coef(self, iris):
        assert not hasattr(make("classifier").fit(*iris), "coef_")


def digest(model):
    return hashlib.sha256(model._theta.tobytes() + model._mask.tobytes()).hexdigest()


WIDE_FIT = """
import hashlib, json, warnings
import numpy as np
from skobd import OBDMLPClassifier
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.normal(size=(1400, 60)), rng.integers(3, size=1400)
digests = []
for solver in ("adam", "lbfgs"):
    model = OBDMLPClassifier((150,), solver=solver, max_iter=2, n_rounds=1, batch_size=700,
                             random_state=0).fit(X, y)
    digests.append(hashlib.sha256(model._theta.tobytes() + model._mask.tobytes()).hexdigest())
print(json.dumps(digests))
"""


class TestReproducibility:
    def test_processes_and_numbers_of_threads(self):
        """The network is wide enough for BLAS to use threads, and for more than one lane."""
        outputs = []
        for n_threads in ("1", "3"):
            environment = {f"{name}_NUM_THREADS": n_threads for name in ("OPENBLAS", "OMP", "MKL")}
            process = subprocess.run(
                [sys.executable, "-c", WIDE_FIT],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, **environment},
            )
            outputs.append(json.loads(process.stdout))
        assert outputs[0] == outputs[1]

    @pytest.mark.parametrize("criterion", ["obd", "random"])
    def test_fit_twice_and_clone(self, criterion, iris):
        model = make("classifier", criterion=criterion).fit(*iris)
        first = digest(model)
        assert digest(model.fit(*iris)) == first
        assert digest(clone(model).fit(*iris)) == first
        assert digest(clone(model).set_params(random_state=1).fit(*iris)) != first
        rng = np.random.RandomState(0)
        assert digest(clone(model).set_params(random_state=rng).fit(*iris)) == first

    def test_n_jobs_of_a_search(self, iris):
        grid = {"prune_fraction": [0, 0.5, 0.8]}
        searches = [
            GridSearchCV(make("classifier"), grid, cv=3, n_jobs=n_jobs).fit(*iris)
            for n_jobs in (1, 2)
        ]
        for name in ("mean_test_score", "split0_test_score"):
            assert_array_equal(*(search.cv_results_[name] for search in searches))
        assert digest(searches[0].best_estimator_) == digest(searches[1].best_estimator_)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_pickle_and_joblib(self, kind, data, tmp_path):
        X, y = data[kind]
        model = make(kind).fit(X, y)
        joblib.dump(model, tmp_path / "model.joblib")
        for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
            assert_array_equal(copy.predict(X), model.predict(X))
            assert digest(copy) == digest(model)
            # Training goes on alike, too.
            again = pickle.loads(pickle.dumps(model))
            assert digest(copy.partial_fit(X, y)) == digest(again.partial_fit(X, y))
            again.prune(X, y, prune_fraction=0.9)
            assert_deleted_are_zero(again)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_changes_neither_parameters_nor_arrays(self, kind, solver, data):
        X, y = data[kind]
        X, y, weight = X.copy(), y.copy(), np.linspace(0, 1, len(y))
        arrays = X, y, weight
        before = [array.copy() for array in arrays]
        model = make(kind, solver=solver, hidden_layer_sizes=[5, 3])
        parameters = dict(model.get_params())
        model.fit(X, y, sample_weight=weight, X_val=X, y_val=y, sample_weight_val=weight)
        model.predict(X)
        model.saliencies(X, y, sample_weight=weight)
        model.prune(X, y, prune_fraction=0.9, sample_weight=weight)
        for array, copy in zip(arrays, before, strict=True):
            assert_array_equal(array, copy)
        assert model.get_params() == parameters
        assert model.hidden_layer_sizes == [5, 3]

    def test_read_only_arrays(self, iris):
        X, y = (array.copy() for array in iris)
        X.flags.writeable = y.flags.writeable = False
        make("classifier", hidden_layer_sizes=()).fit(X, y).predict(X)


class TestWritingParameters:
    """As in scikit-learn's networks they can be changed and replaced."""

    @pytest.mark.parametrize("way", ["in place", "item", "slice", "list"])
    def test_predictions_follow(self, way, iris):
        model = OBDMLPClassifier((5,), prune_fraction=0, max_iter=5).fit(*iris)
        model.predict(iris[0])
        coefs = [2 * coef for coef in model.coefs_]
        if way == "in place":
            for coef, other in zip(model.coefs_, coefs, strict=True):
                coef[:] = other
        elif way == "item":
            model.coefs_[0], model.coefs_[1] = coefs
        elif way == "slice":
            model.coefs_[:] = coefs
        else:
            model.coefs_ = coefs
            model.intercepts_ = list(model.intercepts_)
        expected = model.to_sklearn()
        expected.coefs_ = coefs
        np.testing.assert_allclose(
            model.predict_proba(iris[0]), expected.predict_proba(iris[0]), rtol=1e-12
        )

    def test_deleted_ones_stay_deleted(self, iris):
        model = OBDMLPClassifier((5,), max_iter=20, random_state=0).fit(*iris)
        p, mask = model.predict_proba(iris[0]), model.coef_masks_[0]
        saliencies = model.saliencies(*iris)
        model.coefs_[0][~mask] = 3.0
        np.testing.assert_array_equal(model.predict_proba(iris[0]), p)
        np.testing.assert_allclose(model.to_sklearn().predict_proba(iris[0]), p, rtol=1e-6)
        np.testing.assert_array_equal(model.saliencies(*iris).coefs[0], saliencies.coefs[0])
        model.partial_fit(*iris)
        assert (model.coefs_[0][~mask] == 0).all()
        model.coefs_ = [np.ones_like(coef) for coef in model.coefs_]
        np.testing.assert_array_equal(model.coefs_[0], mask.astype(float))


class TestInterrupt:
    @pytest.mark.parametrize("where", ["obd_saliencies", "value"])
    def test_after_training(self, where, iris, monkeypatch):
        """What is only to be judged any more has been learnt."""

        def interrupt(*args, **kwargs):
            raise KeyboardInterrupt

        if where == "value":
            monkeypatch.setattr("skobd._objective.Objective.value", interrupt)
        else:
            monkeypatch.setattr("skobd._base.obd_saliencies", interrupt)
        model = OBDMLPClassifier((5,), max_iter=20, n_rounds=1)
        with pytest.warns(UserWarning, match="interrupted by user") as caught:
            model.fit(*iris)
        assert caught[-1].filename == __file__
        assert model.n_iter_ >= 20
        assert len(model.loss_curve_) == model.n_iter_
        assert model.predict(iris[0]).shape == iris[1].shape

    def test_in_partial_fit(self, iris, monkeypatch):
        model = OBDMLPClassifier((5,)).partial_fit(*iris, classes=[0, 1, 2])
        loss, p = model.loss_, model.predict_proba(iris[0])

        def interrupt(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr("skobd._minibatch.Epochs.run", interrupt)
        with pytest.warns(UserWarning, match="interrupted by user"):
            model.partial_fit(*iris)
        assert model.loss_ == loss
        np.testing.assert_array_equal(model.predict_proba(iris[0]), p)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("after", [1, 25])
    def test_keeps_a_usable_estimator(self, kind, solver, after, data, monkeypatch):
        """Ctrl-C in dense training, or in retraining after the first round."""
        X, y = data[kind]
        n_epochs = 0
        record = solvers_module._record

        def interrupting(*args):
            nonlocal n_epochs
            n_epochs += 1
            result = record(*args)
            if n_epochs == after:
                raise KeyboardInterrupt
            return result

        monkeypatch.setattr(solvers_module, "_record", interrupting)
        model = make(kind, solver=solver, tol=0, n_iter_no_change=100)
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(X, y)
        assert n_epochs == after == len(model.loss_curve_)
        assert np.isfinite(model.predict(X)).all()
        assert model.score(X, y) <= 1
        assert len(model.pruning_history_["round"]) == (0 if after == 1 else 2)
        assert_deleted_are_zero(model)
        monkeypatch.undo()
        model.prune(X, y, prune_fraction=0.95)
        model.fit(X, y)

    def test_during_surgery(self, iris, monkeypatch):
        from skobd import _surgery

        calls = 0
        curvature = _surgery.diagonal_curvature

        def interrupting(*args):
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            return curvature(*args)

        monkeypatch.setattr(_surgery, "diagonal_curvature", interrupting)
        model = make("classifier")
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(*iris)
        assert len(model.pruning_history_["round"]) == 1
        model.predict(iris[0])

    def test_before_anything_is_learnt(self, iris, monkeypatch):
        def interrupting(*args, **kwargs):
            raise KeyboardInterrupt

        fitted = make("classifier").fit(*iris)
        before, model = digest(fitted), make("classifier")
        monkeypatch.setattr(_base.BaseOBDMLP, "_objective", interrupting)
        for estimator in (fitted, model):
            with pytest.raises(KeyboardInterrupt):
                estimator.fit(*iris)
        assert digest(fitted) == before
        assert not hasattr(model, "coefs_")


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

        monkeypatch.setattr("skobd._data.train_test_split", split)
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


class TestSampleWeight:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_zero_weight_is_absence(self, kind, solver, data):
        X, y = data[kind]
        weight = np.ones(len(y))
        weight[::3] = 0
        model = make(kind, solver=solver).fit(X, y, sample_weight=weight)
        absent = make(kind, solver=solver).fit(X[weight > 0], y[weight > 0])
        assert_allclose(model._theta, absent._theta, atol=1e-7 if solver == "lbfgs" else 1e-12)

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
        assert_allclose(weighted._theta, repeated._theta, atol=1e-5)
        assert_array_equal(weighted._mask, repeated._mask)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_ones_are_no_weights_with_early_stopping(self, kind, data):
        X, y = data[kind]
        models = [
            make(kind, early_stopping=True).fit(X, y, sample_weight=weight)
            for weight in (None, np.ones(len(y)))
        ]
        assert_allclose(models[0]._theta, models[1]._theta, atol=1e-12)


class TestWhatUsersOfSklearnsRelyOn:
    """Ported from scikit-learn's own tests of its multilayer perceptron."""

    def test_worked_out_example(self):
        X, y = np.array([[0.6, 0.8, 0.7]]), np.array([0])
        model = OBDMLPClassifier(
            2,
            solver="sgd",
            learning_rate_init=0.1,
            alpha=0.1,
            activation="logistic",
            momentum=0,
            random_state=1,
        )
        # A first call with a vanishing learning rate makes the attributes.
        model.set_params(learning_rate_init=1e-300).partial_fit(X, y, classes=[0, 1])
        model.coefs_[0][...] = [[0.1, 0.2], [0.3, 0.1], [0.5, 0]]
        model.coefs_[1][...] = [[0.1], [0.2]]
        model.intercepts_[0][...] = 0.1
        model.intercepts_[1][...] = 1.0
        model._optimizer_state = None
        model.set_params(learning_rate_init=0.1).partial_fit(X, y)
        expected = [[0.098, 0.195756], [0.2956664, 0.096008], [0.4939998, -0.002244]]
        assert_allclose(model.coefs_[0], expected, atol=1e-3)
        assert_allclose(model.coefs_[1], [[0.04706], [0.154089]], atol=1e-3)
        assert_allclose(model.intercepts_[0], [0.098333, 0.09626], atol=1e-3)
        assert_allclose(model.intercepts_[1], 0.9235, atol=1e-3)
        assert_allclose(model.predict_proba(X)[0, 1], 0.739, atol=1e-3)

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

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_max_fun(self, kind, data):
        model = make(kind, solver="lbfgs", max_fun=10, max_iter=150, tol=0, prune_fraction=0)
        with pytest.warns(ConvergenceWarning, match=r"max_fun \(now 10\)"):
            model.fit(*data[kind])
        assert model.n_iter_ <= 10

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

    def test_partial_fit_is_fit(self, digits):
        X, y = digits
        params = {"solver": "sgd", "learning_rate_init": 0.2, "alpha": 1e-5, "tol": 0}
        fitted = make("classifier", prune_fraction=0, max_iter=30, **params).fit(X, y)
        partial = make("classifier", **params)
        for _ in range(30):
            partial.partial_fit(X, y, classes=np.unique(y))
        assert_array_equal(fitted.predict(X), partial.predict(X))
        assert partial.score(X, y) > 0.95

    def test_partial_fit_with_classes_seen_later(self):
        model = OBDMLPClassifier(random_state=0)
        model.partial_fit([[1], [2], [3]], ["a", "b", "c"], classes=["a", "b", "c", "d"])
        model.partial_fit([[4]], ["d"])
        assert model.score([[1], [2], [3], [4]], ["a", "b", "c", "d"]) > 0

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

    def test_adaptive_rate_goes_down_to_the_end(self):
        X, y = [[3, 2], [1, 6]], [1, 0]
        model = OBDMLPClassifier(
            tol=0.5, max_iter=3000, solver="sgd", learning_rate="adaptive", warm_start=True
        ).fit(X, y)
        assert model.n_iter_ < 3000
        assert model._optimizer_state.rate < 1e-6

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
        assert model._journal.n_no_improvement == n_iter_no_change + 1

    def test_convergence_warning(self, iris):
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(10\) reached"):
            make("classifier", prune_fraction=0, tol=0).fit(*iris)
        with pytest.warns(ConvergenceWarning, match="retraining after round 1, 2, 3"):
            make("classifier", tol=0).fit(*iris)

    def test_small_retraining_was_asked_for(self, iris):
        model = make("classifier", tol=0.5, max_iter=200, retrain_max_iter=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model.fit(*iris)
        assert_array_equal(model.pruning_history_["n_iter"], 1)

    def test_learns_in_other_precision(self, digits):
        X, y = digits
        wide = make("classifier", prune_fraction=0.3).fit(X, y)
        narrow = make("classifier", prune_fraction=0.3).fit(X.astype(np.float32), y)
        assert_allclose(wide.predict_proba(X), narrow.predict_proba(X), rtol=1e-2, atol=1e-3)

    def test_diverging_with_early_stopping_keeps_the_best(self, iris):
        model = OBDMLPRegressor(
            activation="identity",
            solver="sgd",
            learning_rate_init=1,
            max_iter=20,
            early_stopping=True,
            random_state=0,
        )
        X, y = iris
        with pytest.warns(ConvergenceWarning, match="lower learning_rate_init"):
            model.fit(X * 10, y)
        assert np.isfinite(model.predict(X)).all()
        assert np.isnan(model.validation_scores_[-1])

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


def test_fit_anew_takes_other_shapes():
    X, y = load_iris(return_X_y=True)
    model = OBDMLPClassifier((4,), solver="lbfgs", max_iter=500, alpha=1.0, random_state=0)
    model.fit(X, y).fit(X[:100, :2], y[:100])
    assert model.n_features_in_ == 2
    model.set_params(hidden_layer_sizes=(3, 2)).fit(X, y)
    assert [c.shape for c in model.coefs_] == [(4, 3), (3, 2), (2, 3)]
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))


def test_loss_changed_after_fit():
    X, y = make_regression(60, 4, random_state=0)
    y = np.abs(y) / np.abs(y).max()
    model = OBDMLPRegressor(
        hidden_layer_sizes=(4,), solver="lbfgs", max_iter=1000, alpha=0.1, random_state=0
    ).fit(X, y)
    before = model.predict(X)
    model.set_params(loss="poisson")
    assert_array_equal(model.predict(X), before)
    assert model.out_activation_ == "identity"
    with pytest.raises(ValueError, match=r"fitted with loss='squared_error'.*'poisson'"):
        model.set_params(warm_start=True).fit(X, y)
    assert_array_equal(model.predict(X), before)
    assert model.set_params(warm_start=False).fit(X, y).out_activation_ == "exp"


def test_warm_start_refuses_fewer_classes_as_scikit_learn_does():
    X, y = load_iris(return_X_y=True)
    for estimator in (OBDMLPClassifier, MLPClassifier):
        model = estimator((4,), solver="lbfgs", max_iter=500, alpha=1.0, warm_start=True)
        model.fit(X, y).fit(X, y)
        with pytest.raises(ValueError, match="same classes as in the previous call"):
            model.fit(X[:100], y[:100])
