"""Results do not depend on what the caller told NumPy to do about overflow and underflow."""

import numpy as np
import pytest
from models import digest, make
from sklearn.datasets import load_breast_cancer

from skobd._train.solvers import SOLVERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Inputs are far off scale:UserWarning"),
]

# Unscaled: exponentials underflow.
X, Y = load_breast_cancer(return_X_y=True)
X, Y = X[:80], Y[:80]


def everything(kind, solver, criterion, dtype):
    """Bits of all that is computed by every method with arithmetic in it."""
    model = make(kind, solver=solver, criterion=criterion, prune_fraction=0.5, early_stopping=True)
    x = X.astype(dtype)
    model.fit(x, Y).prune(x, Y, prune_fraction=0.8, n_rounds=1)
    bits = [digest(model), model.feature_importances_.tobytes(), model.predict(x).tobytes()]
    for method in ("saliencies", "second_derivatives", "predicted_decreases"):
        bits += [values.tobytes() for values in getattr(model, method)(x, Y).coefs]
    bits.append(model.compact().predict(x).tobytes())
    bits.append(
        model.pruning_path(x, Y, prune_fractions=[0.5], X_val=x, y_val=Y).estimator_at(1).loss_
    )
    if kind == "classifier":
        bits += [model.predict_proba(x).tobytes(), model.predict_log_proba(x).tobytes()]
    if solver != "lbfgs":
        model.set_params(early_stopping=False)
        bits.append(digest(model.partial_fit(x, Y)))
    return bits


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("criterion", "dtype"), [("obd", np.float32), ("unit_obs", np.float64)])
def test_any_setting_of_the_caller(kind, solver, criterion, dtype):
    if solver == "sgd":
        # Which diverges on unscaled data, if its steps are not tiny.
        def bits():
            with pytest.raises(ValueError, match="standardise the input"):
                make(kind, solver="sgd", activation="identity", learning_rate_init=1e3).fit(X, Y)
    else:

        def bits():
            return everything(kind, solver, criterion, dtype)

    with np.errstate(all="raise"):
        raising = bits()
    assert raising == bits()


def test_the_callers_setting_is_left_alone():
    with np.errstate(all="raise"):
        model = make("classifier", solver="lbfgs").fit(X, Y)
        model.predict(X)
        assert np.geterr() == dict.fromkeys(("divide", "over", "under", "invalid"), "raise")


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e20), (np.float64, 1e155)])
@pytest.mark.parametrize("sign", [1, -1])
def test_importances_whose_squares_leave_the_range(dtype, scale, sign):
    """They are those of the network of the scaled inputs, with its weights divided."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(dtype)
    y = (x[:, 0] > 0).astype(int)
    model = make("classifier", prune_fraction=0, alpha=0, hidden_layer_sizes=(5,)).fit(x, y)
    factor = dtype(scale) if sign == 1 else 1 / dtype(scale)
    model.coefs_ = [model.coefs_[0] / factor, *model.coefs_[1:]]
    model.set_params(n_rounds=1, retrain_max_iter=0, retrain_alpha=0.0, n_regrow=0)
    model.set_params(criterion="magnitude").prune(x * factor, y, prune_fraction=0)
    scaled = model.feature_importances_
    model.coefs_ = [model.coefs_[0] * factor, *model.coefs_[1:]]
    model.prune(x, y, prune_fraction=0)
    np.testing.assert_allclose(scaled, model.feature_importances_, rtol=1e-4)
    assert scaled.sum() == pytest.approx(1)
