"""Second derivatives, saliencies and importances of fitted estimators."""

import copy
from functools import partial

import numpy as np
import pytest
from models import ESTIMATORS, make
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_selection import RFE, SelectFromModel

from skobd import OBDMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def importances(model, X, y):
    """Saliencies summed over the weights of each input, by definition."""
    recursive = copy.copy(model).set_params(curvature="levenberg_marquardt")
    sums = recursive.saliencies(X, y).coefs[0].sum(axis=1)
    return sums / sums.sum()


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

    def test_alpha_of_a_stochastic_solver_is_that_of_a_minibatch(self, diabetes):
        X, y = diabetes
        model = OBDMLPRegressor(
            hidden_layer_sizes=(3,), alpha=0.5, batch_size=20, max_iter=3, prune_fraction=0
        )
        model.fit(X, y)

        def curvature(**params):
            return model.set_params(**params).second_derivatives(X, y).coefs[0]

        data = curvature(alpha=0)
        assert_allclose(curvature(alpha=0.5) - data, 0.5 / 20)
        assert_allclose(curvature(batch_size=10**6) - data, 0.5 / len(X))
        assert_allclose(curvature(solver="lbfgs", batch_size=20) - data, 0.5 / len(X))

    def test_of_known_model(self, diabetes):
        X, y = diabetes
        model = OBDMLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=2.0, prune_fraction=0)
        model.fit(X, y)
        weight = np.linspace(0.5, 2, len(y))
        h = model.second_derivatives(X, y, sample_weight=weight)
        expected = (weight @ X**2 / weight.mean() + 2.0) / len(y)
        assert_allclose(h.coefs[0].ravel(), expected, rtol=1e-10)
        assert_allclose(h.intercepts[0], 1)

    def test_other_criteria(self, iris):
        X, y = iris
        model = make("classifier", criterion="magnitude").fit(X, y)
        assert_array_equal(model.saliencies(X, y).coefs[0], np.abs(model.coefs_[0]))
        model.set_params(criterion="random")
        s = model.saliencies(X, y).coefs[0]
        assert_array_equal(s == 0, ~model.coef_masks_[0])

    @pytest.mark.slow
    def test_feature_importances(self, binary):
        X, y = binary
        X = np.hstack([X, np.zeros((len(X), 2))])
        model = make("classifier", solver="lbfgs", max_iter=100, alpha=0).fit(X, y)
        assert model.feature_importances_.shape == (12,)
        assert_array_equal(model.feature_importances_[-2:], 0)
        assert_allclose(model.feature_importances_, importances(model, X, y))
        selector = SelectFromModel(model, prefit=True, threshold=1e-12)
        assert not selector.get_support()[-2:].any()
        eliminated = RFE(clone(model).set_params(max_iter=20), n_features_to_select=4).fit(X, y)
        assert eliminated.support_.sum() == 4
        assert not eliminated.support_[-2:].any()

    def test_feature_importances_are_of_the_last_call(self, binary):
        X, y = binary
        model = make("classifier", warm_start=True, prune_fraction=0.3)
        for call, rows in (
            (model.fit, slice(100)),
            (partial(model.prune, prune_fraction=0.6), slice(100, None)),
            (model.fit, slice(None)),
            (partial(model.prune, prune_fraction=0.6), slice(150)),
        ):
            call(X[rows], y[rows])
            assert_allclose(model.feature_importances_, importances(model, X[rows], y[rows]))

    def test_no_coef(self, iris):
        assert not hasattr(make("classifier").fit(*iris), "coef_")
