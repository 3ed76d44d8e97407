"""Training by ``learning_rate="cosine"``, and retraining, which follows it by default."""

import warnings

import numpy as np
import pytest
from models import ESTIMATORS, SOLVERS, digest, make
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning

from skobd import OBDMLPRegressor
from skobd._prune import recipe

pytestmark = pytest.mark.slow

N_EPOCHS = 12


def rates(initial, n_epochs=N_EPOCHS):
    """Loshchilov & Hutter (2017), equation 5, without restarts, at the middle of each epoch."""
    return initial * (1 + np.cos(np.pi * (np.arange(n_epochs) + 0.5) / n_epochs)) / 2


def train_by_hand(model, data, initial, n_epochs=N_EPOCHS, **params):
    """Epochs of ``partial_fit`` at the rates of the schedule."""
    X, y = data
    classes = {"classes": np.unique(y)} if hasattr(model, "predict_proba") else {}
    model.set_params(learning_rate="constant", **params)
    for rate in rates(initial, n_epochs):
        model.set_params(learning_rate_init=rate).partial_fit(X, y, **classes)
    return model


def assert_same(model, expected):
    """To rounding: the cosines may differ in their last bits."""
    for one, other in zip(model.coefs_, expected.coefs_, strict=True):
        assert_allclose(one, other, rtol=0, atol=1e-9)


def make_dense(kind, **params):
    # The order of the rows is that of partial_fit, which draws it anew in every call.
    params = {"shuffle": False, "prune_fraction": 0, "max_iter": N_EPOCHS} | params
    return make(kind, batch_size=40, **params)


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_rates_follow_the_formula(kind, solver, data):
    params = {"solver": solver, "learning_rate_init": 0.05}
    model = make_dense(kind, learning_rate="cosine", **params).fit(*data[kind])
    expected = train_by_hand(make_dense(kind, **params), data[kind], 0.05)
    assert_same(model, expected)
    assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-9)
    constant = make_dense(kind, learning_rate="constant", **params)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        constant.fit(*data[kind])
    assert digest(constant) != digest(model)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_goes_to_the_end_without_a_warning(solver, iris):
    """There is no end on a plateau, and the end of the schedule is no lack of convergence."""
    params = {"solver": solver, "tol": 10.0, "n_iter_no_change": 1, "max_iter": 30}
    assert make_dense("classifier", **params).fit(*iris).n_iter_ < 5
    model = make_dense("classifier", learning_rate="cosine", **params)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*iris)
    assert model.n_iter_ == 30


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_early_stopping_still_ends_it(solver, iris):
    params = {"solver": solver, "tol": 10.0, "n_iter_no_change": 2, "max_iter": 30}
    model = make_dense("classifier", learning_rate="cosine", early_stopping=True, **params)
    assert model.fit(*iris).n_iter_ == 4
    assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_has_no_meaning_for_lbfgs(iris):
    models = [
        make("classifier", solver="lbfgs", learning_rate=rate).fit(*iris)
        for rate in ("constant", "cosine")
    ]
    assert digest(models[0]) == digest(models[1])


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_single_epoch_has_the_initial_rate(solver, iris):
    models = [make("classifier", solver=solver, learning_rate=r) for r in ("constant", "cosine")]
    for _ in range(3):
        digests = {digest(model.partial_fit(*iris, classes=[0, 1, 2])) for model in models}
        assert len(digests) == 1


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_goes_on_at_the_initial_rate(solver, iris):
    """Not at that of the last epoch, which is almost nothing."""
    params = {"solver": solver, "learning_rate_init": 0.05}
    model = make_dense("classifier", learning_rate="cosine", warm_start=True, **params).fit(*iris)
    expected = train_by_hand(make_dense("classifier", **params), iris, 0.05)
    expected.set_params(learning_rate_init=0.05)
    assert_same(model.partial_fit(*iris), expected.partial_fit(*iris))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_scikit_learns_perceptron_can_be_trained_further(kind, data):
    """It has no such schedule."""
    model = make_dense(kind, learning_rate="cosine").fit(*data[kind])
    mlp = model.to_sklearn()
    assert mlp.learning_rate == "constant"
    before = mlp.coefs_[0].copy()
    mlp.partial_fit(*data[kind])
    assert not np.array_equal(mlp.coefs_[0], before)
    assert model.learning_rate == "cosine"


class TestRetraining:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_is_a_schedule_of_its_own(self, kind, solver, data):
        """By hand: the same deletion, then fresh moments, the cosine, and Adam's beta_2 of .95."""
        params = {"solver": solver, "prune_fraction": 0.7, "n_rounds": 1, "retrain_alpha": 2.0}
        params["learning_rate_init"] = 0.02
        model = make_dense(kind, retrain_max_iter=N_EPOCHS, **params).fit(*data[kind])
        deleted = make_dense(kind, retrain_max_iter=0, **params).fit(*data[kind])
        rate = {"adam": 0.03, "sgd": 0.02}[solver]
        expected = train_by_hand(deleted, data[kind], rate, alpha=2.0, beta_2=0.95)
        # To rounding, because dead units are left out of retraining.
        for actual, coefs in zip(model.coefs_, expected.coefs_, strict=True):
            assert_allclose(actual, coefs, rtol=0, atol=1e-12)
        assert model.pruning_history_["n_iter"].tolist() == [N_EPOCHS]

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_beta_2_may_be_smaller(self, iris):
        params = {"retrain_max_iter": 5}
        digests = {
            beta_2: digest(make("classifier", beta_2=beta_2, **params).fit(*iris))
            for beta_2 in (0.9, 0.95, 0.999)
        }
        assert len(set(digests.values())) == 3

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("batch_size", ["auto", 40])
    @pytest.mark.parametrize(("kind", "strength"), [("classifier", 3.0), ("regressor", 1.0)])
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_what_auto_means(self, kind, strength, solver, batch_size, iris, monkeypatch):
        """Where the data are not small; of small ones see ``test_small_data.py``."""
        monkeypatch.setattr("skobd._prune.precision._MOST_ROWS", 149)
        n_samples = len(iris[1])
        n_at_once = {"auto": min(200, n_samples)}.get(batch_size, batch_size)
        alpha = strength if solver == "lbfgs" else strength * n_at_once / n_samples
        params = {"solver": solver, "batch_size": batch_size, "n_regrow": 1}
        params |= {"learning_rate_init": 0.01, "retrain_max_iter": 5}
        auto, same, other = (
            digest(make(kind, **params, retrain_alpha=value).fit(*iris))
            for value in ("auto", alpha, alpha / 2)
        )
        assert auto == same
        assert auto != other

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_auto_is_no_weaker_than_alpha(self, solver, iris):
        models = [
            make("classifier", solver=solver, alpha=7.0, retrain_alpha=alpha).fit(*iris)
            for alpha in (7.0, "auto")
        ]
        assert digest(models[0]) == digest(models[1])

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_penalty_is_that_of_the_record(self, diabetes):
        """Of a regressor: half the mean squared error, and alpha_2 / (2 n) |W|^2."""
        X, y = diabetes
        model = OBDMLPRegressor(
            hidden_layer_sizes=(6,),
            solver="lbfgs",
            retrain_alpha=5.0,
            max_iter=50,
            prune_fraction=0.875,
            random_state=0,
        ).fit(X, y)
        squares = sum((coef**2).sum() for coef in model.coefs_)
        objective = np.mean((model.predict(X) - y) ** 2) / 2 + 5.0 * squares / (2 * len(y))
        final = model.pruning_history_["loss_after_retraining"][-1]
        assert final == pytest.approx(objective, rel=1e-12)

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_divergence_names_the_rate(self, early_stopping, diabetes):
        params = {"solver": "sgd", "retrain_max_iter": 50, "activation": "identity"}
        params |= {"early_stopping": early_stopping, "warm_start": True}
        model = make("regressor", tol=1.0, max_iter=20, n_rounds=1, **params)
        model.set_params(prune_fraction=0).fit(*diabetes)
        model.set_params(learning_rate_init=1e8)
        for retrain_max_iter in (50, None):
            model.set_params(retrain_max_iter=retrain_max_iter)
            with pytest.raises(ValueError, match=r"lower learning_rate_init \(now 100000000.0\)"):
                model.prune(*diabetes, prune_fraction=0.8)

    def test_divergence_of_adam_says_how_to_set_its_rate(self, diabetes, monkeypatch):
        """Its rate is not the user's, so it is not the user's to lower."""
        monkeypatch.setitem(recipe._RETRAIN_RATES, "adam", 1e300)
        model = make("regressor", retrain_max_iter=5, n_rounds=1)
        with pytest.raises(ValueError, match=r"\(retrain_max_iter=None\)"):
            model.fit(*diabetes)
