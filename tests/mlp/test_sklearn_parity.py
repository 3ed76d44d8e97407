"""Where nothing is pruned the estimators are scikit-learn's."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from models import ESTIMATORS, SOLVERS
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_multilabel_classification, make_regression
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.fixes import parse_version

from skobd import OBDMLPClassifier, OBDMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


SKLEARN = parse_version(sklearn.__version__)
# scikit-learn's MLP takes sample_weight from 1.7 on, and divides by their sum from 1.8 on.
MLP_TAKES_WEIGHTS = parse_version("1.8") <= SKLEARN
MLP_HAS_POISSON = parse_version("1.7") <= SKLEARN
THEIRS = {"classifier": MLPClassifier, "regressor": MLPRegressor}


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
    @pytest.mark.parametrize("weights", ["real", "counts"])
    def test_sample_weight(self, kind, params, weights, data):
        """Of mean 1, or counts; scikit-learn's penalty is ``alpha`` over the sum of others, too."""
        X, y = data[kind]
        rng = np.random.default_rng(0)
        weight = rng.uniform(0.1, 3, size=len(y))
        weight = rng.integers(1, 6, size=len(y)) if weights == "counts" else weight / weight.mean()
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

    @pytest.mark.slow
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
        for array in (*ours.coefs_, *ours.intercepts_, ours.feature_importances_):
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


def mean_one(n_samples):
    """Weights by whose sum the penalty is divided here and in scikit-learn."""
    weight = np.random.default_rng(0).uniform(0, 3, size=n_samples)
    return weight / weight.mean()


@pytest.mark.slow
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
        weight = mean_one(len(y)) if weighted else None
        ours = self.fit(OBDMLPRegressor, X, y, weight, alpha=3.0)
        theirs = Ridge(alpha=3.0).fit(X, y, sample_weight=weight)
        assert_allclose(ours.coefs_[0].ravel(), theirs.coef_, atol=1e-4)
        assert_allclose(ours.intercepts_[0], theirs.intercept_, atol=1e-4)
        assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-4)

    @pytest.mark.parametrize("name", ["binary", "iris"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_logistic_regression(self, name, weighted, request):
        X, y = request.getfixturevalue(name)
        weight = mean_one(len(y)) if weighted else None
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
