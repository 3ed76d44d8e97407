"""Sample weights are relative: what all of them are multiplied by makes no difference."""

import numpy as np
import pytest
from models import ESTIMATORS, SOLVERS, digest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import AdaBoostClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from skobd import OBDFeatureSelector, OBDMLPClassifier, PruningSearchCV, stability_selection
from skobd._mlp.data import in_samples
from skobd._warnings import NothingLeftWarning

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
    ),
]
SCALES = [1e-6, 3e-3, 7e2, 1e6]
# The default recipe, but shorter.
SHORT = {"max_iter": 8, "n_rounds": 2, "retrain_max_iter": 6, "n_regrow": 2, "random_state": 0}


def make(kind, **params):
    return ESTIMATORS[kind](hidden_layer_sizes=(8,), **SHORT | params)


def real(n_samples):
    return np.random.default_rng(0).uniform(0.1, 3, size=n_samples)


def assert_same(model, expected, rtol=1e-6):
    """One network, and one record of how it came about, but for rounding."""
    for mask, other in zip(model.coef_masks_, expected.coef_masks_, strict=True):
        assert_array_equal(mask, other)
    for name in ("coefs_", "intercepts_"):
        for values, others in zip(getattr(model, name), getattr(expected, name), strict=True):
            assert_allclose(values, others, rtol=rtol, atol=rtol * 1e-2)
    assert_allclose(model.loss_, expected.loss_, rtol=rtol)
    assert_allclose(model.feature_importances_, expected.feature_importances_, rtol=rtol, atol=rtol)


class TestScale:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("engine", ["auto", "numpy"])
    def test_networks(self, kind, solver, engine, data, monkeypatch):
        """Fitted, pruned further and trained further."""
        monkeypatch.setenv("SKOBD_ENGINE", engine)
        X, y = data[kind]
        models = []
        for c in [1, *SCALES]:
            weight = c * real(len(y))
            model = make(kind, solver=solver).fit(X, y, sample_weight=weight)
            model.prune(X, y, prune_fraction=0.9, sample_weight=weight)
            if solver != "lbfgs":
                model.partial_fit(X, y, sample_weight=weight)
            models.append(model)
        for model in models[1:]:
            assert_same(model, models[0])

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_equal_weights_are_none(self, kind, solver, dtype, data):
        """Bit for bit, wherever floats end."""
        X, y = data[kind][0].astype(dtype), data[kind][1]
        expected = digest(make(kind, solver=solver).fit(X, y))
        for c in (1e-320, 1e-300, 1 / len(y), 1e6, 1e308):
            weight = np.full(len(y), c)
            assert digest(make(kind, solver=solver).fit(X, y, sample_weight=weight)) == expected

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("c", SCALES)
    def test_class_weights(self, solver, c, iris):
        def fit(c):
            class_weight = {0: c, 1: 1.3 * c, 2: 0.45 * c}
            model = make("classifier", solver=solver, class_weight=class_weight)
            return model.fit(*iris, sample_weight=real(len(iris[1])))

        assert_same(fit(c), fit(1))

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_validation_weights(self, kind, data):
        X, y = data[kind]
        weight, curves = real(50), []
        for c in (1, *SCALES):
            model = make(kind, early_stopping=True)
            model.fit(X[50:], y[50:], None, X[:50], y[:50], sample_weight_val=c * weight)
            curves.append((model.validation_scores_, model.pruning_history_["validation_loss"]))
        for scores, losses in curves[1:]:
            assert_allclose(scores, curves[0][0], rtol=1e-12)
            assert_allclose(losses, curves[0][1], rtol=1e-12)

    @pytest.mark.parametrize("criterion", ["obd", "unit_obs", "obs", "kfac"])
    @pytest.mark.parametrize("granularity", ["weight", "unit", "feature"])
    def test_paths(self, criterion, granularity, diabetes):
        X, y = diabetes
        paths = [
            make("regressor", solver="lbfgs", criterion=criterion, granularity=granularity)
            .set_params(alpha=1.0)
            .pruning_path(X, y, prune_fractions=[0.3, 0.6], sample_weight=c * real(len(y)))
            for c in [1, *SCALES]
        ]
        for path in paths[1:]:
            assert_same(path.estimator_at(2), paths[0].estimator_at(2))
            for name in ("predicted_increase", "loss_after_deletion", "loss_after_retraining"):
                assert_allclose(path[name], paths[0][name], rtol=1e-6, err_msg=name)

    def test_derivatives(self, iris):
        X, y = iris
        model = make("classifier").fit(X, y)
        for method in ("saliencies", "second_derivatives", "predicted_decreases"):
            found = [
                np.concatenate([a.ravel() for a in getattr(model, method)(X, y, weight).coefs])
                for weight in [c * real(len(y)) for c in [1, *SCALES]]
            ]
            for values in found[1:]:
                assert_allclose(values, found[0], rtol=1e-9, err_msg=method)

    def test_search_selector_and_stability(self, iris):
        X, y = iris
        found = []
        for c in (1, 1e-6, 1e6):
            weight, mlp = c * real(len(y)), make("classifier", solver="lbfgs")
            search = PruningSearchCV(mlp, prune_fractions=[0.5, 0.9], cv=2)
            search.fit(X, y, sample_weight=weight)
            selector = OBDFeatureSelector(mlp, n_features_to_select=2, step=1)
            selector.fit(X, y, sample_weight=weight)
            stable = stability_selection(
                mlp, X, y, n_features_to_select=2, n_subsamples=2, random_state=0,
                sample_weight=weight,
            )  # fmt: skip
            found.append((search, selector, stable))
        for search, selector, stable in found[1:]:
            scores = search.cv_results_["mean_test_score"]
            assert_allclose(scores, found[0][0].cv_results_["mean_test_score"], rtol=1e-9)
            assert_same(search.best_estimator_, found[0][0].best_estimator_)
            assert_array_equal(selector.ranking_, found[0][1].ranking_)
            assert_array_equal(stable.masks, found[0][2].masks)


class TestUnit:
    """What counts as one sample."""

    @pytest.mark.parametrize("c", [1e-300, *SCALES, 1e300])
    def test_multiples_of_the_smallest_are_counts(self, c):
        counts = np.array([3.0, 1, 4, 1, 5, 9999])
        assert_array_equal(in_samples(c * counts), counts)

    @pytest.mark.parametrize(
        "weight", [[2, 3.0], [1, 2, 2.001], [1e-300, 1e300], [1, 1e9], [1e308, 1e308, 9e307]]
    )
    def test_others_have_mean_one(self, weight):
        weight = np.array(weight)
        found = in_samples(weight)
        assert found.mean() == pytest.approx(1)
        assert_allclose(found / found.max(), weight / weight.max())

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    @pytest.mark.parametrize("c", [1e-6, 1, 1e6])
    def test_counts_are_repetitions_in_any_unit(self, kind, solver, c, data):
        X, y = data[kind][0][:60], data[kind][1][:60]
        counts = np.arange(60) % 4
        weighted = make(kind, solver=solver).fit(X, y, sample_weight=c * counts)
        repeated = make(kind, solver=solver).fit(X.repeat(counts, 0), y.repeat(counts))
        assert_same(weighted, repeated)


def test_boosting_is_as_accurate_as_a_perceptron():
    """It hands over weights that sum to 1."""
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    train, test = slice(0, None, 2), slice(1, None, 2)
    alone = MLPClassifier((10,), max_iter=60, random_state=0).fit(X[train], y[train])
    mlp = OBDMLPClassifier((10,), max_iter=60, random_state=0)
    boosted = AdaBoostClassifier(mlp, n_estimators=4).fit(X[train], y[train])
    expected = alone.score(X[test], y[test])
    assert expected > 0.9
    assert boosted.score(X[test], y[test]) > expected - 0.03


@pytest.mark.filterwarnings("error:The pruned network predicts about the same")
class TestConstant:
    """A network of which retraining leaves only its intercepts is reported."""

    MESSAGE = r"predicts about the same for every row.*retrain_alpha=1e\+05. Lower prune_fraction"

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_too_strong_a_penalty(self, kind, solver, data):
        X, y = data[kind]
        model = make(kind, solver=solver, retrain_max_iter=40, retrain_alpha=1e5)
        model.set_params(prune_fraction=0.3)
        with pytest.warns(UserWarning, match=self.MESSAGE):
            model.fit(X, y)
        with pytest.warns(UserWarning, match=self.MESSAGE):
            model.pruning_path(X, y, prune_fractions=[0.3, 0.5])

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_no_way_through(self, kind, data):
        with pytest.warns(NothingLeftWarning, match="has left 0 of"):
            make(kind, prune_fraction=0.999).fit(*data[kind])

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_a_path_may_go_as_far_as_it_likes(self, kind, data):
        with pytest.warns(NothingLeftWarning):
            path = make(kind).pruning_path(*data[kind], prune_fractions=[0.3, 0.999])
        assert path.n_weights[-1] == 0

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_nothing_was_there_to_lose(self, kind, data):
        X, y = data[kind]
        model = make(kind, prune_fraction=0.3).fit(0 * X, y)
        assert len(np.unique(model.predict(0 * X))) == 1
