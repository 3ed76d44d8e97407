"""``prune_fraction="auto"``: how far a fit goes, and that it costs no more than one to 7/8."""

import pickle
import warnings

import numpy as np
import pytest
from models import ESTIMATORS, SOLVERS, digest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import d2_log_loss_score, d2_tweedie_score, log_loss
from sklearn.model_selection import GridSearchCV

from skobd import OBDMLPClassifier, OBDMLPRegressor, PruningPathDisplay, PruningSearchCV
from skobd._prune import recipe, regrowth

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Pruning has left"),
    pytest.mark.filterwarnings("ignore:The pruned network predicts"),
]

PARAMS = {"hidden_layer_sizes": (12,), "max_iter": 40, "learning_rate_init": 0.02}
PARAMS |= {"random_state": 0, "n_regrow": 2, "retrain_max_iter": 8}
TOLERANCES = (0.0, 0.03, 0.1, 0.3)


# Ten classes and few units: every weight that goes is missed.
NARROW = PARAMS | {"hidden_layer_sizes": (4,)}


@pytest.fixture(scope="module")
def ten_digits():
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


def level(r, n_rounds=5):
    return 1 - 0.125 ** (r / n_rounds)


def problem(name, digits, diabetes):
    """Estimator, data, sample weights, and explained deviance by scikit-learn."""
    X, y = digits
    weight = np.random.default_rng(0).random(len(y)) + 0.1
    if name == "binary":
        y = y == 1
    if name == "multilabel":
        y = np.column_stack([y == 0, y == 1, y > 0]).astype(int)

        def d2(model, weight):
            parts = np.array(
                [
                    [
                        log_loss(column, p, sample_weight=weight, labels=[0, 1]),
                        log_loss(
                            column,
                            np.full(len(column), np.average(column, weights=weight)),
                            sample_weight=weight,
                        ),
                    ]
                    for column, p in zip(y.T, np.float64(model.predict_proba(X)).T, strict=True)
                ]
            )
            return 1 - parts[:, 0].sum() / parts[:, 1].sum()

        return OBDMLPClassifier(**PARAMS), X, y, weight, d2
    if name in ("multiclass", "binary"):

        def d2(model, weight):
            return d2_log_loss_score(y, model.predict_proba(X), sample_weight=weight)

        return OBDMLPClassifier(**PARAMS), X, y, weight, d2
    X, y = diabetes
    weight = weight[: len(y)]
    if name == "poisson":
        y = np.round(np.exp(y))

        def d2(model, weight):
            return d2_tweedie_score(y, model.predict(X), sample_weight=weight, power=1)

        return OBDMLPRegressor("poisson", **PARAMS), X, y, weight, d2
    if name == "outputs":
        y = np.column_stack([y, 5 * X[:, 0] + y])

    def d2(model, weight):
        # What a squared error explains of all outputs together.
        left = np.average(((y - model.predict(X)) ** 2).reshape(len(y), -1), axis=0, weights=weight)
        centre = np.average(y, axis=0, weights=weight)
        total = np.average(((y - centre) ** 2).reshape(len(y), -1), axis=0, weights=weight)
        return 1 - left.sum() / total.sum()

    return OBDMLPRegressor(**PARAMS), X, y, weight, d2


def rounds_expected(model, X, y, weight, d2):
    """Rounds that the rule keeps, by networks of paths and scores of scikit-learn."""
    fit_weight = {} if weight is None else {"sample_weight": weight}
    plain = clone(model).set_params(n_regrow=0)
    path = plain.pruning_path(X, y, **fit_weight)
    scores = [d2(path.estimator_at(k), weight) for k in range(len(path.round))]
    # Without retraining there are no trials that would choose the penalty.
    plain.set_params(retrain_max_iter=0, retrain_alpha=path.estimator_at(1).retrain_alpha_)
    deleted = plain.pruning_path(X, y, prune_fractions=[path.prune_fractions[1]], **fit_weight)
    by_penalty = max(0, d2(deleted.estimator_at(1), weight) - scores[1])
    allowed = model.prune_tol * max(0, scores[0])
    least = scores[0] - min(by_penalty, 2 * allowed) - allowed
    return max(k for k, score in enumerate(scores) if k == 0 or score >= least - 1e-9), least


@pytest.mark.filterwarnings("ignore:The y_prob")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "name", ["multiclass", "binary", "multilabel", "numbers", "outputs", "poisson"]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_rule_holds(name, solver, weighted, digits, diabetes):
    model, X, y, weight, d2 = problem(name, digits, diabetes)
    model.set_params(solver=solver, learning_rate_init=0.002 if solver == "sgd" else 0.02)
    weight = weight if weighted else None
    for tol in TOLERANCES:
        model.set_params(prune_tol=tol).fit(X, y, sample_weight=weight)
        n_rounds, least = rounds_expected(model, X, y, weight, d2)
        assert len(model.pruning_history_["round"]) == n_rounds
        assert d2(model, weight) >= least - 1e-9
        assert model.prune_fraction_ == pytest.approx(level(n_rounds), abs=0.01)
        assert bool(model.stop_reason_) == (n_rounds < 5)


def interior(model, X, y):
    """Set a tolerance with which the fit stops between the dense network and 7/8, and fit."""
    for tol in np.geomspace(1e-3, 1, 25):
        model.set_params(prune_tol=tol).fit(X, y)
        if 0 < len(model.pruning_history_["round"]) < 5 and len(model.regrowth_history_["round"]):
            return model
    raise AssertionError("no tolerance stops in between")


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("criterion", ["obd", "random"])
def test_leaves_what_a_float_leaves_bit_for_bit(solver, criterion, ten_digits):
    alpha = 0.1 if solver == "lbfgs" else "auto"
    model = OBDMLPClassifier(
        **NARROW | {"solver": solver, "criterion": criterion, "retrain_alpha": alpha}
    )
    interior(model, *ten_digits)
    r = len(model.pruning_history_["round"])
    same = clone(model).set_params(prune_fraction=level(r), n_rounds=r).fit(*ten_digits)
    assert digest(model) == digest(same)
    for name in ("n_iter_", "t_", "loss_", "loss_curve_", "n_weights_", "prune_fraction_"):
        assert getattr(model, name) == getattr(same, name), name
    for name in ("pruning_history_", "regrowth_history_"):
        for column, values in getattr(same, name).items():
            assert_array_equal(getattr(model, name)[column], values, err_msg=column)
    assert_array_equal(model.feature_importances_, same.feature_importances_)
    assert digest(model.fit(*ten_digits)) == digest(same)
    assert model.stop_reason_.startswith(f"with {round((1 - level(r + 1)) * 296)} weights left")


def test_random_numbers_are_those_of_the_float(ten_digits):
    model = interior(OBDMLPClassifier(**NARROW), *ten_digits)
    r = len(model.pruning_history_["round"])
    draws = []
    for params in ({}, {"prune_fraction": level(r), "n_rounds": r}):
        rng = np.random.RandomState(0)
        clone(model).set_params(random_state=rng, **params).fit(*ten_digits)
        draws.append(rng.random_sample())
    assert draws[0] == draws[1]


@pytest.mark.parametrize("tol", TOLERANCES)
def test_costs_no_more_than_going_all_the_way(tol, digits, monkeypatch):
    spent = []

    def counted(function):
        def call(*args, **kwargs):
            result = function(*args, **kwargs)
            spent.append(result.n_iter)
            return result

        return call

    for module in (recipe, regrowth):
        monkeypatch.setattr(module, "train_active", counted(module.train_active))
    model = OBDMLPClassifier(**PARAMS, prune_tol=tol)
    costs = []
    for fraction in ("auto", 0.875):
        spent.clear()
        model.set_params(prune_fraction=fraction).fit(*digits)
        costs.append((len(spent), sum(spent)))
    assert costs[0] <= costs[1]


@pytest.mark.parametrize("by", ["X_val", "early_stopping"])
def test_validation_data_judge_by_their_score(by, digits):
    X, y = digits
    params = PARAMS | {"early_stopping": by == "early_stopping", "n_regrow": 0}
    params |= {"hidden_layer_sizes": (4,), "criterion": "random"}
    held_out = {"X_val": X[120:], "y_val": y[120:]} if by == "X_val" else {}
    stops = set()
    for tol in (0.0, 0.3, 1.0, 3.0):
        model = OBDMLPClassifier(**params, prune_tol=tol).fit(X[:120], y[:120], **held_out)
        table = clone(model).set_params(prune_fraction=0.875).fit(X[:120], y[:120], **held_out)
        dense = model.pruning_path(X[:120], y[:120], **held_out).validation_score[0]
        scores = table.pruning_history_["validation_score"]
        within = 1 - scores <= (1 + tol) * (1 - dense) + 1e-12
        expected = max([0, *(np.flatnonzero(within) + 1)])
        assert len(model.pruning_history_["round"]) == expected
        stops.add(expected)
    if by == "X_val":
        assert len(stops) > 1


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_scale_of_the_weights_makes_no_difference(kind, data):
    X, y = data[kind]
    weight = np.random.default_rng(0).random(len(y)) + 0.1
    counts = [
        ESTIMATORS[kind](**PARAMS).fit(X, y, sample_weight=c * weight).n_weights_
        for c in (1.0, 2.0**-20, 2.0**20)
    ]
    assert len(set(counts)) == 1


def test_what_a_constant_explains_is_not_divided_by(diabetes):
    X, y = diabetes
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = OBDMLPRegressor(**PARAMS).fit(X, np.zeros_like(y))
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("granularity", ["unit", "feature"])
def test_units_and_inputs(granularity, digits):
    """Four inputs, of which every one counts: none of them goes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    y = X.sum(axis=1) > 0
    params = {"max_iter": 300, "learning_rate_init": 0.02, "random_state": 0}
    model = OBDMLPClassifier((8,), granularity=granularity, **params).fit(X, y)
    if granularity == "feature":
        assert model.prune_fraction_ == 0
        assert "with 3 features left" in model.stop_reason_
    else:
        assert model.prune_fraction_ > 0.5


class TestGoingOn:
    def test_prune(self, digits):
        dense = OBDMLPClassifier(**PARAMS, prune_fraction=0).fit(*digits)
        packed = pickle.dumps(dense)
        by_argument = pickle.loads(packed).prune(*digits, prune_fraction="auto")
        by_parameter = pickle.loads(packed).set_params(prune_fraction="auto").prune(*digits)
        assert digest(by_argument) == digest(by_parameter)
        assert 0 < by_argument.prune_fraction_ < 0.88
        beyond = pickle.loads(packed).prune(*digits, prune_fraction=0.95)
        assert digest(beyond) == digest(beyond.prune(*digits, prune_fraction="auto"))

    def test_warm_start(self, digits):
        model = OBDMLPClassifier(**PARAMS, warm_start=True, prune_tol=100.0).fit(*digits)
        assert model.prune_fraction_ == pytest.approx(0.875, abs=0.001)
        n_weights = model.n_weights_
        assert model.fit(*digits).n_weights_ == n_weights

    def test_warm_start_compares_with_where_it_begins(self, digits):
        model = OBDMLPClassifier(**PARAMS, warm_start=True, prune_tol=0.0, prune_fraction=0.5)
        model.fit(*digits)
        assert model.set_params(prune_fraction="auto").fit(*digits).prune_fraction_ >= 0.5

    def test_path_has_the_levels_up_to_the_last(self, digits):
        model = OBDMLPClassifier(**PARAMS, prune_tol=0.0)
        path = model.pruning_path(*digits)
        np.testing.assert_allclose(path.prune_fractions, [level(r) for r in range(6)])
        assert path.estimator_at(5).prune_fraction_ == pytest.approx(0.875, abs=0.001)

    def test_pickles(self, ten_digits):
        model = interior(OBDMLPClassifier(**NARROW), *ten_digits)
        loaded = pickle.loads(pickle.dumps(model))
        assert loaded.stop_reason_ == model.stop_reason_ != ""

    def test_compact(self, ten_digits):
        model = interior(OBDMLPClassifier(**NARROW), *ten_digits).compact()
        assert 0 < model.prune_fraction == model.prune_fraction_ < 0.875


def test_says_where_it_stopped_and_why(ten_digits, capsys):
    model = interior(OBDMLPClassifier(**NARROW), *ten_digits)
    capsys.readouterr()
    model.set_params(verbose=1).fit(*ten_digits)
    # A line may be continued by another.
    lines = capsys.readouterr().out.replace("\n  ", " ").splitlines()
    r = len(model.pruning_history_["round"])
    assert [int(line[6:8]) for line in lines] == [0, 1, 2, 3, 4, 5, r]
    assert lines[r + 1].endswith(": worse than prune_tol allows")
    assert all("D2 0." in line and "asked for" in line for line in lines[1:])
    assert f"stopped: {model.stop_reason_}" in str(model.summary())
    assert model.stop_reason_ in model.summary()._repr_html_()
    assert model.summary().n_weights_after == model.n_weights_
    dense = OBDMLPClassifier(**NARROW | {"retrain_max_iter": 0}, prune_tol=0.0).fit(*ten_digits)
    assert dense.n_weights_ == dense.n_weights_total_
    with pytest.raises(ValueError, match="has no path to plot; with 195 weights left the network"):
        PruningPathDisplay.from_estimator(dense)


def test_no_rounds_is_a_plain_network(iris):
    model = OBDMLPClassifier(**PARAMS, n_rounds=0).fit(*iris)
    assert digest(model) == digest(OBDMLPClassifier(**PARAMS, prune_fraction=0).fit(*iris))
    assert model.stop_reason_ == ""


def test_searches(iris):
    model = OBDMLPClassifier(**PARAMS | {"max_iter": 10})
    grid = GridSearchCV(model, {"prune_fraction": ["auto", 0.5, 0.9]}, cv=2).fit(*iris)
    assert np.isfinite(grid.cv_results_["mean_test_score"]).all()
    search = PruningSearchCV(model, cv=2).fit(*iris)
    assert isinstance(search.best_params_["prune_fraction"], float)
    assert repr(OBDMLPClassifier(prune_fraction=0.875)) == "OBDMLPClassifier(prune_fraction=0.875)"
    assert repr(OBDMLPClassifier(prune_fraction="auto")) == "OBDMLPClassifier()"


@pytest.mark.parametrize("value", [False, True, np.nan, -0.1, 1.0, 2, "half", None, [0.5]])
def test_what_is_no_level_is_refused(value, iris):
    model = OBDMLPClassifier(**PARAMS | {"max_iter": 1}, prune_fraction=value)
    for call in (model.fit, model.pruning_path):
        with pytest.raises((ValueError, TypeError), match=r"prune_fraction.*auto.*\[0(\.0)?, 1"):
            call(*iris)


@pytest.mark.parametrize("value", [None, np.nan, -0.1, "auto"])
def test_what_is_no_tolerance_is_refused(value, iris):
    with pytest.raises((ValueError, TypeError), match="prune_tol"):
        OBDMLPClassifier(**PARAMS, prune_tol=value).fit(*iris)
