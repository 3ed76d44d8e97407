"""The default recipe: rounds, a retraining of its own, and regrowth at the end of a fit."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from models import ESTIMATORS, SOLVERS, assert_deleted_are_zero, digest, make, plain
from numpy.testing import assert_allclose, assert_array_equal
from oracles import Oracle
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from skobd import OBDMLPClassifier, OBDMLPRegressor
from skobd._prune import active, regrowth
from skobd._train.solvers import DivergenceError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Also networks that were asked to be nothing.
    pytest.mark.filterwarnings("ignore:Pruning has left"),
]

DEFAULTS = {
    "prune_fraction": "auto",
    "n_rounds": 5,
    "retrain_max_iter": 15,
    "retrain_alpha": "auto",
    "n_regrow": 8,
}
CYCLE_COLUMNS = [
    "round",
    "cycle",
    "n_exchanged",
    "predicted_increase",
    "predicted_decrease",
    "loss_after_retraining",
    "n_iter",
    "is_best",
]


CONVERGED = {"solver": "lbfgs", "hidden_layer_sizes": (8,), "max_iter": 300}
CONVERGED |= {"alpha": 1.0, "retrain_alpha": 1.0}


def make_default(kind, **params):
    """The default recipe on a small network, with round numbers."""
    defaults = {"hidden_layer_sizes": (12, 6), "max_iter": 15, "random_state": 0}
    defaults |= {"prune_fraction": 0.9, "retrain_max_iter": 20, "n_regrow": 4}
    return ESTIMATORS[kind](**defaults | params)


def count(model):
    return sum(int(mask.sum()) for mask in model.coef_masks_)


def parameters(model):
    return np.concatenate([array.ravel() for array in model.coefs_ + model.intercepts_])


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("solver", SOLVERS)
class TestDefaults:
    def test_an_eighth_of_the_weights_is_left(self, kind, solver, data):
        X, y = data[kind]
        model = ESTIMATORS[kind](solver=solver, random_state=0, max_iter=50)
        given = model.get_params()
        assert {name: given[name] for name in DEFAULTS} == DEFAULTS
        model.set_params(prune_fraction=0.875)
        given = model.get_params()
        model.fit(X, y)
        n_total = X.shape[1] * 100 + 100 * (3 if kind == "classifier" else 1)
        assert count(model) == model.n_weights_ == round(n_total / 8)
        assert_deleted_are_zero(model)
        assert model.get_params() == given
        history = pd.DataFrame(model.pruning_history_)
        left = [round(n_total * 0.125 ** (r / 5)) for r in range(1, 6)]
        assert_array_equal(history["n_weights"], left)

    def test_counts_are_exact_in_deep_networks(self, kind, solver, data):
        X, y = data[kind]
        model = make_default(kind, solver=solver).fit(X, y)
        n_total = sum(mask.size for mask in model.coef_masks_)
        assert model.n_weights_ == count(model) == round(0.1 * n_total)
        assert_deleted_are_zero(model)

    def test_zero_weight_is_absence(self, kind, solver, data):
        X, y = data[kind]
        weight = np.ones(len(y))
        weight[::3] = 0
        model = make_default(kind, solver=solver).fit(X, y, sample_weight=weight)
        absent = make_default(kind, solver=solver).fit(X[weight > 0], y[weight > 0])
        assert digest(model) == digest(absent)

    def test_pickles_are_the_same_and_go_on_alike(self, kind, solver, data):
        X, y = data[kind]
        model = make_default(kind, solver=solver, prune_fraction=0.7, warm_start=True).fit(X, y)
        loaded = pickle.loads(pickle.dumps(model))
        assert digest(loaded) == digest(model)
        for name in ("pruning_history_", "regrowth_history_"):
            actual, expected = getattr(loaded, name), getattr(model, name)
            assert list(actual) == list(expected)
            for column, values in expected.items():
                assert_array_equal(actual[column], values, strict=True)
        if solver != "lbfgs":
            assert digest(loaded.partial_fit(X, y)) == digest(model.partial_fit(X, y))
        for estimator in (loaded, model):
            estimator.prune(X, y, prune_fraction=0.9)
        assert digest(loaded) == digest(model)

    def test_fit_twice_and_clone(self, kind, solver, data):
        model = make_default(kind, solver=solver, criterion="random").fit(*data[kind])
        first = digest(model)
        assert digest(model.fit(*data[kind])) == first
        assert digest(clone(model).fit(*data[kind])) == first

    def test_in_single_precision(self, kind, solver, data):
        X, y = data[kind]
        model = make_default(kind, solver=solver).fit(X.astype(np.float32), y)
        assert {coef.dtype for coef in model.coefs_} == {np.dtype(np.float32)}
        wide = make_default(kind, solver=solver).fit(X, y)
        assert count(model) == count(wide)


@pytest.mark.parametrize("criterion", ["obd", "unit_obs"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_number_of_threads(criterion, solver):
    """The data are enough for more than one chunk."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1400, 60)), rng.integers(3, size=1400)
    params = {"batch_size": 700, "max_iter": 2, "n_rounds": 1, "retrain_max_iter": 2, "n_regrow": 2}
    digests = set()
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            model = OBDMLPClassifier((80,), solver=solver, criterion=criterion, random_state=0)
            model.set_params(**params).fit(X, y)
        assert len(model.regrowth_history_["cycle"]) == 2
        digests.add(digest(model))
    assert len(digests) == 1


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_integer_weight_is_repetition(kind, data):
    X, y = data[kind]
    counts = np.arange(len(y)) % 3
    # Few iterations: they amplify rounding.
    params = {"solver": "lbfgs", "activation": "tanh", "retrain_max_iter": 5}
    weighted = make_default(kind, **params).fit(X, y, sample_weight=counts)
    repeated = make_default(kind, **params).fit(X.repeat(counts, 0), y.repeat(counts))
    for mask, expected in zip(weighted.coef_masks_, repeated.coef_masks_, strict=True):
        assert_array_equal(mask, expected)
    assert_allclose(parameters(weighted), parameters(repeated), rtol=0, atol=1e-6)
    history, expected = weighted.regrowth_history_, repeated.regrowth_history_
    assert history["is_best"].any()
    for name in CYCLE_COLUMNS:
        assert_allclose(history[name], expected[name], rtol=1e-6, err_msg=name)


class TestRegrowthHistory:
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("criterion", ["obd", "unit_obs", "magnitude", "random"])
    def test_agrees_with_the_history_of_rounds(self, solver, criterion, digits):
        params = {"hidden_layer_sizes": (8,), "solver": solver, "criterion": criterion}
        model = make_default("classifier", **params).fit(*digits)
        cycles, rounds = model.regrowth_history_, model.pruning_history_
        assert list(cycles) == CYCLE_COLUMNS
        assert_array_equal(cycles["round"], [5, 5, 5, 5])
        assert_array_equal(cycles["cycle"], [1, 2, 3, 4])
        left = model.n_weights_
        assert_array_equal(
            cycles["n_exchanged"], [round(0.3 * (1 - c / 4) * left) for c in range(4)]
        )
        assert (cycles["predicted_decrease"] > 0).all()
        increases = cycles["predicted_increase"]
        if criterion == "obd":
            assert (increases >= 0).all()
        elif criterion == "unit_obs":
            # Below 0 where the step of the survivors is predicted to win more than deletion costs.
            assert np.isfinite(increases).all()
        else:
            # Nothing is predicted, but that what is dead costs nothing.
            assert (np.isnan(increases) | (increases == 0)).all()
        # The round is without regrowth what it is with n_regrow=0; then the best is taken.
        shorter = make_default("classifier", n_regrow=0, **params).fit(*digits)
        without = shorter.pruning_history_
        losses = [without["loss_after_retraining"][-1], *cycles["loss_after_retraining"]]
        assert rounds["loss_after_retraining"][-1] == min(losses)
        running = np.minimum.accumulate(losses)
        assert_array_equal(cycles["is_best"], running[1:] < running[:-1])
        assert rounds["n_iter"][-1] == without["n_iter"][-1] + cycles["n_iter"].sum()
        assert model.n_iter_ == len(model.loss_curve_)
        for name, column in without.items():
            if name not in ("n_iter", "loss_after_retraining"):
                assert_array_equal(rounds[name], column, err_msg=name)
            assert_array_equal(rounds[name][:-1], column[:-1], err_msg=name)
        if solver != "lbfgs":
            assert_array_equal(rounds["n_iter"], [20, 20, 20, 20, 100])

    def test_last_round_is_no_worse_for_it(self, digits):
        losses = [
            make_default("classifier", n_regrow=n_regrow, **CONVERGED)
            .set_params(prune_fraction=0.95, n_rounds=1)
            .fit(*digits)
            .pruning_history_["loss_after_retraining"][-1]
            for n_regrow in (0, 4)
        ]
        assert losses[1] < 0.9 * losses[0]

    def test_is_empty_without_regrowth(self, iris):
        full = make_default("classifier").fit(*iris).regrowth_history_
        for params in (
            {"n_regrow": 0},
            {"retrain_max_iter": 0},
            {"prune_fraction": 0},
            {"granularity": "unit", "prune_fraction": 0.5},
            {"granularity": "feature", "prune_fraction": 0.5},
        ):
            empty = make_default("classifier", **params).fit(*iris).regrowth_history_
            assert list(empty) == CYCLE_COLUMNS
            for name, column in empty.items():
                assert column.size == 0
                assert column.dtype == full[name].dtype
        assert len(pd.DataFrame(full)) == 4

    def test_verbose_tells_of_the_cycles(self, iris, capsys):
        make_default("classifier", verbose=1).fit(*iris)
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= 79
        lines = text.replace("\n" + 10 * " ", " ").splitlines()
        assert [line[:8] for line in lines] == [f"round  {r}" for r in range(6)]
        assert ["cycles of regrowth" in line for line in lines] == [False] * 5 + [True]
        assert "in 100 iterations with alpha 1, 4 cycles of regrowth" in lines[-1]

    def test_nothing_is_left_to_exchange(self, iris):
        model = make_default("classifier", prune_fraction=0.999).fit(*iris)
        assert model.n_weights_ == 0
        assert model.regrowth_history_["cycle"].size == 0
        p = model.predict_proba(iris[0])
        assert_array_equal(p, np.broadcast_to(p[0], p.shape))

    def test_one_weight_is_left(self, diabetes):
        model = make_default("regressor", hidden_layer_sizes=(), prune_fraction=0.9)
        model.set_params(solver="lbfgs").fit(*diabetes)
        assert model.n_weights_ == 1
        assert set(model.regrowth_history_["n_exchanged"]) == {1}

    def test_more_rounds_than_weights(self, diabetes):
        """The last rounds delete nothing; the level is refined where it is reached."""
        params = {"hidden_layer_sizes": (), "solver": "lbfgs", "n_rounds": 12, "n_regrow": 2}
        model = make_default("regressor", **params).fit(*diabetes)
        n_weights = model.pruning_history_["n_weights"]
        assert n_weights[-2] == n_weights[-1] == 1
        reached = 1 + int(np.argmax(n_weights == 1))
        assert_array_equal(model.regrowth_history_["round"], [reached, reached])
        assert_array_equal(model.pruning_history_["n_iter"][reached:], 0)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_dead_units_are_folded(activation, iris):
    """What is left out of the compacted network has no effect."""
    X, y = iris
    model = make_default("classifier", activation=activation, prune_fraction=0.95).fit(X, y)
    smaller = model.compact()
    assert sum(smaller.hidden_layer_sizes) < 12 + 6
    assert_allclose(smaller.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
    unused = np.setdiff1d(np.arange(4), model.used_features_)
    changed = X.copy()
    changed[:, unused] = 1e30
    assert_array_equal(model.predict_proba(changed), model.predict_proba(X))


def test_an_input_that_was_deleted_may_come_back():
    """All weights of the only input that counts are deleted, and regrowth finds it again."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8))
    model = OBDMLPRegressor(hidden_layer_sizes=(6,), activation="tanh", solver="lbfgs")
    model.set_params(max_iter=300, prune_fraction=0.8, random_state=0)
    model.fit(X, X[:, 1] + X[:, 2])
    assert 0 not in model.used_features_
    y = X[:, 0] + X[:, 1]
    fixed = copy.deepcopy(model).set_params(n_regrow=0).prune(X, y, prune_fraction=0.85)
    assert 0 not in fixed.used_features_
    free = copy.deepcopy(model).prune(X, y, prune_fraction=0.85)
    assert 0 in free.used_features_
    assert free.n_weights_ == fixed.n_weights_ == round(0.15 * 54)
    assert free.score(X, y) > 0.9
    assert fixed.score(X, y) < 0.6


class TestGoingOn:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @pytest.mark.parametrize("warm_start", [False, True])
    def test_partial_fit_keeps_the_masks(self, kind, solver, warm_start, data):
        model = make_default(kind, solver=solver, warm_start=warm_start).fit(*data[kind])
        masks, before = model.coef_masks_, parameters(model)
        history = model.regrowth_history_
        for _ in range(3):
            model.partial_fit(*data[kind])
        for mask, expected in zip(model.coef_masks_, masks, strict=True):
            assert_array_equal(mask, expected)
        assert_deleted_are_zero(model)
        assert not np.array_equal(parameters(model), before)
        np.testing.assert_equal(model.regrowth_history_, history)

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_the_optimiser_is_that_of_the_network(self, solver, iris):
        """No cycle is the best at this rate: they delete, and hardly train."""
        dense = make_default("classifier", solver=solver, prune_fraction=0, warm_start=True)
        dense.fit(*iris)
        rate = {"retrain_max_iter": None, "max_iter": 20, "learning_rate_init": 1e-7, "tol": 0}
        rate["retrain_alpha"] = 3.0
        model = copy.deepcopy(dense).set_params(**rate).prune(*iris, prune_fraction=0.9)
        rate["n_regrow"] = 0
        shorter = copy.deepcopy(dense).set_params(**rate).prune(*iris, prune_fraction=0.9)
        assert not model.regrowth_history_["is_best"].any()
        assert len(model.loss_curve_) == len(shorter.loss_curve_) + 80
        assert digest(model) == digest(shorter)
        assert digest(model.partial_fit(*iris)) == digest(shorter.partial_fit(*iris))

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_prune_further(self, solver, iris):
        model = make_default("classifier", solver=solver, prune_fraction=0.5).fit(*iris)
        n_total = 4 * 12 + 12 * 6 + 6 * 3
        assert model.n_weights_ == n_total // 2
        model.prune(*iris, prune_fraction=0.8, n_rounds=2).prune(*iris, prune_fraction=0.95)
        assert count(model) == round(0.05 * n_total)
        assert_deleted_are_zero(model)
        n_weights = model.pruning_history_["n_weights"]
        assert len(n_weights) == 5 + 2 + 5
        assert (np.diff(n_weights) < 0).all()
        # At the end of every call.
        assert_array_equal(np.unique(model.regrowth_history_["round"]), [5, 7, 12])
        assert_array_equal(model.regrowth_history_["cycle"], [1, 2, 3, 4] * 3)

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_warm_start(self, solver, iris):
        model = make_default("classifier", solver=solver, warm_start=True).fit(*iris)
        masks, n_weights = model.coef_masks_, model.n_weights_
        model.fit(*iris)
        # Nothing is to be deleted any more, and nothing comes back.
        for mask, expected in zip(model.coef_masks_, masks, strict=True):
            assert_array_equal(mask, expected)
        assert len(model.pruning_history_["round"]) == 5
        model.set_params(prune_fraction=0.95).fit(*iris)
        assert model.n_weights_ == count(model) == round(0.5 * n_weights)
        assert_array_equal(np.unique(model.regrowth_history_["round"]), [5, 10])


class TestCyclesThatEndEarly:
    """Of a fit of 4 cycles, compared with one that has all of them."""

    def make(self):
        # Here the first cycle is the best so far, the second is not, and the third is again.
        params = {"solver": "lbfgs", "hidden_layer_sizes": (8,), "random_state": 1}
        params["retrain_alpha"] = 3.0
        return make_default("classifier", **params)

    @pytest.fixture
    def whole(self, digits):
        return self.make().fit(*digits)

    def check(self, model, whole, n_cycles):
        """The first cycles are those of the whole fit, and the best network is there."""
        for name, column in model.regrowth_history_.items():
            assert_array_equal(column, whole.regrowth_history_[name][:n_cycles], strict=True)
        assert len(model.pruning_history_["round"]) == 5
        assert model.n_weights_ == count(model) == whole.n_weights_
        assert_deleted_are_zero(model)
        losses = model.regrowth_history_["loss_after_retraining"]
        assert model.regrowth_history_["is_best"].any()
        assert model.pruning_history_["loss_after_retraining"][-1] == losses.min()
        assert model.pruning_history_["n_iter"][-1] == len(model.loss_curve_) - (
            15 + model.pruning_history_["n_iter"][:-1].sum()
        )

    @pytest.mark.parametrize("n_cycles", [1, 2, 3])
    def test_by_divergence(self, n_cycles, whole, digits, monkeypatch):
        """There is a network without the cycle, so it is no error."""
        calls, check_finite = 0, active.check_finite

        def diverging(*args):
            nonlocal calls
            calls += 1
            # Dense training and five rounds come first.
            if calls == 6 + n_cycles + 1:
                raise DivergenceError
            check_finite(*args)

        monkeypatch.setattr(active, "check_finite", diverging)
        self.check(self.make().fit(*digits), whole, n_cycles)

    @pytest.mark.parametrize("n_cycles", [1, 2, 3])
    def test_by_an_interrupt_of_an_exchange(self, n_cycles, whole, digits, monkeypatch):
        calls, revive = 0, regrowth.revive

        def interrupting(*args):
            nonlocal calls
            calls += 1
            if calls == n_cycles + 1:
                raise KeyboardInterrupt
            return revive(*args)

        monkeypatch.setattr(regrowth, "revive", interrupting)
        model = self.make()
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(*digits)
        self.check(model, whole, n_cycles)
        assert len(model.loss_curve_) == model.n_iter_


class TestPredictedDecreases:
    @pytest.mark.parametrize("curvature", ["hessian", "levenberg_marquardt", "gauss_newton"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_agree_with_the_oracle(self, curvature, weighted, diabetes):
        X, y = diabetes[0][:30], diabetes[1][:30]
        weight = np.linspace(0.5, 2, 30) if weighted else None
        model = OBDMLPRegressor(
            hidden_layer_sizes=(4, 3),
            activation="tanh",
            curvature=curvature,
            alpha=0.7,
            prune_fraction=0.5,
            retrain_max_iter=20,
            retrain_alpha=3.0,
            n_regrow=4,
            random_state=0,
        ).fit(X, y)
        share = None if weight is None else weight / weight.mean()
        oracle = Oracle((10, 4, 3, 1), "tanh", "squared_error", X, y[:, np.newaxis], share, 0.7)
        layers = zip(model.coefs_, model.intercepts_, strict=True)
        theta = np.concatenate([array.ravel() for layer in layers for array in layer])
        layers = ((mask, np.ones(mask.shape[1], dtype=bool)) for mask in model.coef_masks_)
        mask = np.concatenate([array.ravel() for layer in layers for array in layer])
        if curvature == "gauss_newton":
            h = np.diag(oracle.gauss_newton(theta))
        else:
            h = oracle.recursion(theta, with_second_derivative=curvature == "hessian")
        # A thousandth of the mean over the surviving weights keeps it from vanishing.
        damping = 1e-3 * np.abs(h[mask & oracle.is_weight()]).mean()
        expected = oracle.gradient(theta) ** 2 / (2 * (np.maximum(h, 0) + damping))
        decreases = model.predicted_decreases(X, y, sample_weight=weight)
        actual = np.concatenate(
            [
                array.ravel()
                for layer in zip(decreases.coefs, decreases.intercepts, strict=True)
                for array in layer
            ]
        )
        assert (actual[mask] == 0).all()
        # Here every deleted one can act, so none is 0.
        assert (actual[~mask] > 0).all()
        assert_allclose(actual[~mask], expected[~mask], rtol=1e-6)

    def test_what_cannot_act_promises_nothing(self, iris):
        model = make_default("classifier", hidden_layer_sizes=(6,), prune_fraction=0.7).fit(*iris)
        first, second = model.coefs_
        first, second = np.where(model.coef_masks_[0], 1.0, 0), second
        decreases = model.predicted_decreases(*iris).coefs
        reached, useful = model.coef_masks_[0].any(axis=0), model.coef_masks_[1].any(axis=1)
        assert not decreases[0][:, ~useful].any()
        assert not decreases[1][~reached].any()
        assert [array.shape for array in decreases] == [first.shape, second.shape]

    def test_of_a_dense_network_are_none(self, iris):
        decreases = make_default("classifier", prune_fraction=0).fit(*iris)
        decreases = decreases.predicted_decreases(*iris)
        assert not any(array.any() for arrays in decreases.values() for array in arrays)

    def test_of_a_network_without_weights(self, diabetes):
        X, y = diabetes
        model = make_default("regressor", hidden_layer_sizes=(), prune_fraction=0.99, alpha=0)
        model.set_params(solver="lbfgs", max_iter=200).fit(X, y)
        assert model.n_weights_ == 0
        decreases = model.predicted_decreases(X, y).coefs[0].ravel()
        gradient, h = X.T @ (model.predict(X) - y) / len(y), np.mean(X**2, axis=0)
        assert_allclose(decreases, gradient**2 / (2 * (h + 1e-3 * h.mean())), rtol=1e-10)

    def test_intercepts_promise_nothing(self, diabetes):
        model = make_default("regressor", prune_fraction=0.5).fit(*diabetes)
        decreases = model.predicted_decreases(*diabetes)
        assert not any(values.any() for values in decreases.intercepts)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_dtype_and_the_estimator_as_it_was(self, dtype, iris):
        X = iris[0].astype(dtype)
        model = make_default("classifier").fit(X, iris[1])
        before = pickle.dumps(model)
        decreases = model.predicted_decreases(X, iris[1])
        assert {array.dtype for array in decreases.coefs} == {np.dtype(dtype)}
        assert pickle.dumps(model) == before


class TestLessThanAskedFor:
    """Said only where something was asked for."""

    def test_by_prune(self, iris):
        model = make("classifier", hidden_layer_sizes=(), prune_fraction=0, granularity="unit")
        model.fit(*iris)
        with pytest.warns(UserWarning, match="no hidden units"):
            model.prune(*iris, prune_fraction=0.5)
        assert model.compact().prune_fraction == 0

    def test_by_a_path(self, iris):
        params = plain(hidden_layer_sizes=(), granularity="unit", solver="lbfgs", random_state=0)
        model = OBDMLPClassifier(**params)
        model.set_params(alpha=10, max_iter=500).pruning_path(*iris, prune_fractions=[0])
        with pytest.warns(UserWarning, match="no hidden units"):
            model.pruning_path(*iris, prune_fractions=[0, 0.5])
