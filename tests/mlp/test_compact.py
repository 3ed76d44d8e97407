"""A compacted estimator predicts the same."""

import numpy as np
import pytest
from exports import FRACTIONS, make_classifier
from models import digest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skobd import OBDMLPClassifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Also networks that were asked to be nothing.
    pytest.mark.filterwarnings("ignore:Pruning has left"),
]


class TestCompact:
    @pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
    @pytest.mark.parametrize("fraction", FRACTIONS)
    def test_predicts_the_same_with_fewer_units(self, iris, activation, fraction):
        X, y = iris
        model = make_classifier(X, y, fraction, activation=activation)
        state = dict(vars(model))
        smaller = model.compact()
        assert_allclose(smaller.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
        assert smaller.n_features_in_ == X.shape[1] == smaller.coefs_[0].shape[0]
        hidden = smaller.hidden_layer_sizes
        assert hidden == tuple(coef.shape[1] for coef in smaller.coefs_[:-1])
        assert all(new <= old for new, old in zip(hidden, model.hidden_layer_sizes, strict=True))
        if fraction > 0.9:
            assert hidden == (1, 1)
        assert vars(model).keys() == state.keys()
        assert all(value is state[name] for name, value in vars(model).items())

    def test_can_be_pruned_and_trained_further(self, iris):
        X, y = iris
        smaller = make_classifier(X, y, 0.7).compact()
        n_weights = sum(coef.size for coef in smaller.coefs_)
        smaller.prune(X, y, prune_fraction=0.9)
        assert smaller.n_weights_ == round(0.1 * n_weights)
        smaller.partial_fit(X, y)
        assert smaller.n_weights_ == round(0.1 * n_weights)

    def test_going_on_prunes_nothing_more(self, iris):
        model = make_classifier(*iris, granularity="unit", warm_start=True)
        smaller = model.compact()
        n_weights = smaller.n_weights_
        assert smaller.fit(*iris).n_weights_ == n_weights
        assert smaller.prune(*iris).n_weights_ == n_weights

    @pytest.mark.parametrize("hidden", [(), (3,), (2, 2)])
    def test_of_nothing(self, iris, hidden):
        """What it sets is within the parameters' constraints, and all goes on from there."""
        X, y = iris
        model = OBDMLPClassifier(
            hidden, solver="lbfgs", alpha=1, prune_fraction=0.999, n_rounds=1, random_state=0
        ).fit(X, y)
        smaller = model.compact()
        assert model.n_weights_ == smaller.n_weights_ == 0
        assert_allclose(smaller.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
        for values in [*smaller.saliencies(X, y).coefs, *smaller.compact().coefs_]:
            assert not values.any()
        assert np.isfinite(smaller.second_derivatives(X, y).intercepts[-1]).all()
        assert smaller.prune(X, y).n_weights_ == 0
        assert smaller.set_params(warm_start=True).fit(X, y).n_weights_ == 0
        assert clone(smaller).fit(X, y).n_weights_ == 0

    def test_optimiser_begins_afresh(self, iris):
        """The moments are those of other weights."""
        model = make_classifier(*iris, granularity="unit", solver="adam", warm_start=True)
        smaller = model.compact()
        assert smaller.sparsity_ == 0
        fresh = OBDMLPClassifier.from_sklearn(smaller.to_sklearn()).partial_fit(*iris)
        p = smaller.partial_fit(*iris).predict_proba(iris[0])
        assert_allclose(p, fresh.predict_proba(iris[0]), rtol=1e-10)
        dense = make_classifier(*iris, 0, warm_start=True)
        fresh = OBDMLPClassifier.from_sklearn(dense.to_sklearn()).partial_fit(*iris)
        p = dense.partial_fit(*iris).predict_proba(iris[0])
        assert np.abs(p - fresh.predict_proba(iris[0])).max() > 1e-5

    def test_shares_nothing_with_the_original(self, iris):
        X, y = iris
        rng = np.random.RandomState(0)
        model = make_classifier(X, y, random_state=rng)
        before, n_epochs = digest(model), len(model.loss_curve_)
        smaller = model.compact()
        smaller.coefs_ = [0 * coef for coef in smaller.coefs_]
        smaller.partial_fit(X, y).loss_curve_.clear()
        assert smaller.random_state is not model.random_state is rng
        assert smaller.classes_ is not model.classes_
        assert digest(model) == before
        assert len(model.loss_curve_) == n_epochs

    def test_unfitted(self):
        with pytest.raises(NotFittedError):
            OBDMLPClassifier().compact()
