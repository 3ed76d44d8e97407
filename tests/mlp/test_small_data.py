"""``retrain_alpha="auto"`` on small data, through the public names."""

import pickle
import warnings

import numpy as np
import pytest
from models import ESTIMATORS, digest
from sklearn.datasets import make_circles, make_regression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier, OBDMLPRegressor
from skobd._prune import precision

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def circles(seed, n=100):
    """A thin ring within another: a clean rule that takes large weights."""
    X, y = make_circles(n, noise=0.03, factor=0.8, random_state=seed)
    return StandardScaler().fit_transform(X), y


@pytest.fixture
def data():
    X, y = make_regression(90, 4, noise=5, random_state=0)
    return {"classifier": (X, y > np.median(y)), "regressor": (X, y / y.std())}


def make(kind, **params):
    defaults = {"hidden_layer_sizes": (12,), "max_iter": 40, "n_regrow": 2, "random_state": 0}
    return ESTIMATORS[kind](**defaults | params)


def test_a_clean_rule_is_not_penalised_away():
    """At the penalty of large data the network collapses to the class frequencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the constant, which is the point
        for seed in range(2):
            X, y = circles(seed)
            fixed = OBDMLPClassifier(retrain_alpha=3.0, prune_fraction=0.875, random_state=0)
            fixed.fit(X, y)
            assert np.ptp(fixed.predict_proba(X)[:, 0]) < 0.05
            model = OBDMLPClassifier(random_state=0).fit(X, y)
            assert model.retrain_alpha_ < 3
            X_new, y_new = circles(100 + seed)
            dense = MLPClassifier(random_state=0).fit(X, y)
            assert model.score(X_new, y_new) > max(0.95, dense.score(X_new, y_new) - 0.03)


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    "params",
    [
        {"batch_size": 30},
        {"granularity": "unit"},
        {"granularity": "feature", "prune_fraction": 0.5},
        {"criterion": "obs", "prune_fraction": 0.5},
        {"criterion": "random"},
        {"activation": "tanh", "hidden_layer_sizes": (6, 6), "retrain_max_iter": None},
        {"hidden_layer_sizes": (), "prune_fraction": 0.5},
    ],
    ids=lambda params: str(next(iter(params.values()))),
)
def test_a_fit_equals_one_with_what_it_chose(kind, solver, params, data):
    """Bit for bit: trials leave no trace in the record, nor in the random numbers."""
    X, y = data[kind]
    weight = np.arange(len(y)) % 3 + 1
    model = make(kind, solver=solver, **params).fit(X, y, weight)
    share = 1 if solver == "lbfgs" else min(params.get("batch_size", 200), 90) / 90
    assert model.retrain_alpha_ in [a * share for a in (3.0, 1.0, 0.3)]
    same = make(kind, solver=solver, retrain_alpha=model.retrain_alpha_, **params)
    same.fit(X, y, weight)
    assert digest(model) == digest(same)
    assert model.loss_curve_ == same.loss_curve_
    assert model.n_iter_ == same.n_iter_
    assert model.t_ == same.t_


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_the_scale_of_the_weights_makes_no_difference(kind, data):
    X, y = data[kind]
    weight = np.arange(len(y)) % 3 + 1
    one, other = (make(kind).fit(X, y, factor * weight) for factor in (1, 32))
    assert one.retrain_alpha_ == other.retrain_alpha_
    assert digest(one) == digest(other)


def test_a_weight_is_worth_as_many_rows(data):
    """By L-BFGS, whose trials are those of the repeated rows to rounding."""
    X, y = data["classifier"]
    weight = np.arange(len(y)) % 3 + 1
    by_weight = make("classifier", solver="lbfgs").fit(X, y, weight)
    by_row = make("classifier", solver="lbfgs").fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert by_weight.retrain_alpha_ == by_row.retrain_alpha_


@pytest.mark.parametrize(("kind", "strength"), [("classifier", 3.0), ("regressor", 1.0)])
def test_pruning_on_chooses_from_the_network_that_is_there(kind, strength, data, monkeypatch):
    X, y = data[kind]
    model = make(kind, prune_fraction=0).fit(X, y)
    assert model.retrain_alpha_ is None
    chosen = model.prune(X, y, prune_fraction=0.8).retrain_alpha_
    assert chosen in [3.0, 1.0, 0.3]
    model.prune(X, y, prune_fraction=0.95)
    assert model.retrain_alpha_ in [3.0, 1.0, 0.3]
    monkeypatch.setattr(precision, "_MOST_ROWS", 89)
    assert model.prune(X, y, prune_fraction=0.97).retrain_alpha_ == strength


@pytest.mark.parametrize(
    ("params", "n_trials"),
    [
        ({}, 3),
        ({"retrain_max_iter": None, "learning_rate_init": 1e-6}, 3),
        ({"solver": "lbfgs", "alpha": 1.0}, 2),
        ({"solver": "sgd"}, 0),
        ({"retrain_max_iter": 0}, 0),
        ({"retrain_alpha": 1.0}, 0),
    ],
)
def test_which_fits_make_trials(params, n_trials, data, monkeypatch):
    """And all of them by a schedule that learns something, however the fit retrains."""
    seen, assess = [], precision.assess

    def spy(*args):
        seen.append(assess(*args))
        return seen[-1]

    monkeypatch.setattr(precision, "assess", spy)
    make("classifier", **params).fit(*data["classifier"])
    assert len(seen) == n_trials
    assert all(trial.gain > 0.1 for trial in seen)


def test_dense_networks_and_early_stopping(data):
    """No trial where nothing is deleted, none on the rows that are held out."""
    X, y = data["classifier"]
    assert make("classifier", prune_fraction=0).fit(X, y).retrain_alpha_ is None
    model = make("classifier", early_stopping=True, verbose=False).fit(X, y)
    same = make("classifier", early_stopping=True, retrain_alpha=model.retrain_alpha_).fit(X, y)
    assert digest(model) == digest(same)
    assert model.validation_scores_ == same.validation_scores_


def test_what_was_chosen_is_told_and_kept(data, capsys):
    model = make("classifier", verbose=1).fit(*data["classifier"])
    assert f" with alpha {model.retrain_alpha_:.3g}" in capsys.readouterr().out
    assert pickle.loads(pickle.dumps(model)).retrain_alpha_ == model.retrain_alpha_
    assert not hasattr(OBDMLPRegressor(), "retrain_alpha_")


@pytest.mark.parametrize("epoch", [1, 2, 50])
def test_an_interrupt_in_a_trial_keeps_the_dense_network(epoch, data, monkeypatch):
    monkeypatch.setenv("SKOBD_ENGINE", "numpy")
    from skobd._train.minibatch import DenseEpochs

    dense = make("classifier", prune_fraction=0, tol=0).fit(*data["classifier"])
    run, calls = DenseEpochs.run, 0

    def interrupting(*args):
        nonlocal calls
        calls += 1
        if calls == dense.n_iter_ + epoch:
            raise KeyboardInterrupt
        return run(*args)

    monkeypatch.setattr(DenseEpochs, "run", interrupting)
    model = make("classifier", tol=0)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(*data["classifier"])
    assert digest(model) == digest(dense)
    assert model.n_iter_ == dense.n_iter_
    assert model.retrain_alpha_ is None
