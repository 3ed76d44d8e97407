"""What must hold for every criterion, whatever the data look like."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skobd import OBDMLPClassifier, OBDMLPRegressor
from skobd._prune.criteria import CRITERIA
from skobd._train.solvers import DivergenceError

pytestmark = pytest.mark.slow

quick = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@st.composite
def adversarial(draw):
    """Inputs with anything that makes curvature vanish, explode or become singular."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n_samples, n_features = draw(st.sampled_from([1, 2, 7, 40])), draw(st.integers(1, 5))
    X = rng.normal(size=(n_samples, n_features))
    if draw(st.booleans()):
        X = np.column_stack([X, X[:, 0]])
    if draw(st.booleans()):
        X = np.column_stack([X, np.full(n_samples, draw(st.sampled_from([0.0, 1.0, 1e6])))])
    if draw(st.booleans()):
        X[:, 0] *= 1e6
    if draw(st.booleans()):
        X[:, -1] *= 1e-6
    return X.astype(draw(st.sampled_from([np.float64, np.float32]))), rng


@st.composite
def networks(draw, criterion, activation):
    """A fitted network, and the data it was fitted to, its parameters then made worse."""
    X, rng = draw(adversarial())
    params = {
        "hidden_layer_sizes": draw(st.sampled_from([(3,), (4, 3)])),
        "activation": activation,
        "criterion": criterion,
        "curvature": draw(st.sampled_from(["hessian", "levenberg_marquardt", "gauss_newton"])),
        "alpha": draw(st.sampled_from([0.0, 0.1])),
        "solver": "lbfgs",
        "max_iter": 3,
        "prune_fraction": 0,
        "retrain_max_iter": draw(st.sampled_from([0, 2])),
        "n_regrow": draw(st.sampled_from([0, 2])),
        "random_state": 0,
    }
    if len(X) > 2 and draw(st.booleans()):
        model, y = OBDMLPClassifier(**params), np.arange(len(X)) % 3
    else:
        model, y = OBDMLPRegressor(**params), rng.normal(size=len(X)).astype(X.dtype)
    small = X / max(1.0, float(np.abs(X).max()))
    model.fit(small, y)
    state = draw(st.sampled_from(["as fitted", "saturated", "zero", "some zero"]))
    coefs = [W.copy() for W in model.coefs_]
    for W in coefs:
        if state == "saturated":
            W *= 30
        elif state == "zero":
            W[...] = 0
        elif state == "some zero":
            W[:, 0] = 0
    model.coefs_ = coefs
    return model, X, y


def quietly(call, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call(*args, **kwargs)


def snapshot(model):
    return np.concatenate([mask.ravel() for mask in model.coef_masks_])


def check_consistent(model):
    assert all(np.isfinite(intercepts).all() for intercepts in model.intercepts_)
    for value, mask in zip(model.coefs_, model.coef_masks_, strict=True):
        assert np.isfinite(value).all()
        assert not value[~mask].any()


@pytest.mark.filterwarnings("ignore:Pruning has left")
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("criterion", list(CRITERIA))
@quick
@given(data=st.data())
def test_nothing_breaks(criterion, activation, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model, X, y = data.draw(networks(criterion, activation))
    for values in model.saliencies(X, y).values():
        for value in values:
            assert not np.isnan(value).any()
            if model.curvature != "hessian" or criterion != "obd":
                assert (value >= 0).all()
    n_prunable = sum(mask.size for mask in model.coef_masks_)
    before = snapshot(model)
    for fraction in (0.3, 0.6, 0.95):
        try:
            quietly(model.prune, X, y, prune_fraction=fraction, n_rounds=2)
        except DivergenceError:
            # Retraining on 1e6-scaled inputs may; the network then stays as it was.
            np.testing.assert_array_equal(snapshot(model), before)
            break
        check_consistent(model)
        after = snapshot(model)
        assert model.n_weights_ == round((1 - fraction) * n_prunable)
        if not model.n_regrow:
            assert not (after & ~before).any()
        assert after.sum() <= before.sum()
        history = model.pruning_history_
        assert history["n_weights"][-1] == model.n_weights_
        assert np.isfinite(history["loss_after_deletion"]).all()
        if CRITERIA[criterion].predicts:
            assert np.isfinite(history["predicted_increase"]).all()
        before = after
    predictions = model.predict(X)
    assert predictions.shape == y.shape
