"""Sizes in place of fractions, and budgets: what is left, what is left out, and what is chosen."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from models import digest
from searches import LEVELS, assert_same_results, make_classifier, make_search
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skobd import (
    OBDFeatureSelector,
    OBDMLPClassifier,
    OBDMLPRegressor,
    PruningPathDisplay,
    PruningSearchCV,
    best_within,
    to_c,
)
from skobd._mlp.c_code import count_bytes

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
)

# The network of `make_classifier` has (4 + 3) * 6 weights on iris.
N_TOTAL = 42
LEFT_OUT = "ignore:Sizes are left out"


@pytest.mark.parametrize("granularity", ["weight", "unit", "feature"])
def test_a_size_is_the_level_of_its_fraction(iris, granularity):
    estimator = make_classifier(granularity=granularity, n_regrow=3)
    n_total = {"weight": N_TOTAL, "unit": 6, "feature": 4}[granularity]
    sizes = {"weight": [42, 20, 7], "unit": [6, 3, 1], "feature": [4, 3, 1]}[granularity]
    fractions = [1 - size / n_total for size in sizes]
    by_size = make_search(estimator, prune_fractions=None, sizes=sizes[::-1]).fit(*iris)
    by_fraction = make_search(estimator, prune_fractions=fractions).fit(*iris)
    results = dict(by_size.cv_results_)
    assert results.pop("size").tolist() == sizes
    assert_same_results(results, by_fraction.cv_results_)
    assert by_size.best_params_ == by_fraction.best_params_
    assert digest(by_size.best_estimator_) == digest(by_fraction.best_estimator_)
    assert by_size.best_estimator_.get_params() == by_fraction.best_estimator_.get_params()


def test_candidates_are_compared_at_equal_size(iris):
    search = make_search(
        param_grid={"hidden_layer_sizes": [(2,), (6,)]}, prune_fractions=None, sizes=[30, 14, 8]
    )
    with pytest.warns(UserWarning, match="Sizes are left out") as caught:
        search.fit(*iris)
    (warned,) = [str(w.message) for w in caught if "left out" in str(w.message)]
    assert "sizes=[30] of {'hidden_layer_sizes': (2,)}: of the 14 weights" in warned
    results = search.cv_results_
    assert results["size"].tolist() == [14, 8, 30, 14, 8]
    assert results["mean_n_weights"].tolist() == [14, 8, 30, 14, 8]
    hidden = [row["hidden_layer_sizes"] for row in results["params"]]
    assert hidden == [(2,), (2,), (6,), (6,), (6,)]
    fractions = [row["prune_fraction"] for row in results["params"]]
    assert fractions == [0, 1 - 8 / 14, *(1 - size / N_TOTAL for size in (30, 14, 8))]
    assert len(pd.DataFrame(results)) == 5
    # The rows of a candidate are those of a search of its own.
    alone = make_search(
        _with_hidden((2,)),
        prune_fractions=None,
        sizes=[14, 8],
    ).fit(*iris)
    np.testing.assert_array_equal(
        results["mean_test_score"][:2], alone.cv_results_["mean_test_score"]
    )


def _with_hidden(hidden):
    return make_classifier().set_params(hidden_layer_sizes=hidden)


@pytest.mark.filterwarnings(LEFT_OUT)
@pytest.mark.parametrize("chosen", range(5))
def test_what_is_chosen_is_fitted_at_its_size(iris, chosen):
    search = make_search(
        param_grid={"hidden_layer_sizes": [(2,), (6,)]},
        prune_fractions=None,
        sizes=[30, 14, 8],
        selection=lambda results: chosen,
    ).fit(*iris)
    best = search.best_estimator_
    assert best.n_weights_ == [14, 8, 30, 14, 8][chosen]
    assert best.get_params() == clone(best).set_params(**search.best_params_).get_params()
    sizes = [14, 8][: chosen + 1] if chosen < 2 else [30, 14, 8][: chosen - 1]
    hidden = search.best_params_["hidden_layer_sizes"]
    by_hand = _with_hidden(hidden).pruning_path(*iris, sizes=sizes).estimator_at(-1)
    assert digest(best) == digest(by_hand)


@pytest.mark.filterwarnings(LEFT_OUT)
def test_sizes_are_printed_and_drawn(iris, capsys):
    search = make_search(
        param_grid={"hidden_layer_sizes": [(1,), (6,)]}, prune_fractions=None, sizes=[30, 7]
    )
    search.set_params(verbose=1).fit(*iris)
    assert re.search(r"hidden_layer_sizes=\(6,\), size 30: 30 weights", capsys.readouterr().out)
    display = PruningPathDisplay.from_search(search)
    lines = {line.get_label(): line.get_xdata().tolist() for line in display.lines_}
    assert lines == {"hidden_layer_sizes=(1,)": [7], "hidden_layer_sizes=(6,)": [30, 7]}


def test_sizes_that_no_candidate_can_have(iris):
    search = make_search(
        param_grid={"hidden_layer_sizes": [(1,), (6,)]}, prune_fractions=None, sizes=[43, 99]
    )
    with pytest.raises(ValueError, match="No candidate can have any of the sizes") as caught:
        search.fit(*iris)
    assert "of the 42 weights of the dense network 1 to 42 can be left" in str(caught.value)


@pytest.mark.filterwarnings(LEFT_OUT)
def test_a_size_must_be_possible_in_every_fold(iris):
    """The encoder makes more inputs where there are more categories."""
    X = np.arange(30)[:, np.newaxis] % 5
    X[0] = 7  # a category that two of three folds train on
    y = np.arange(30) % 2
    encoder = OneHotEncoder(handle_unknown="ignore")
    search = make_search(
        make_pipeline(encoder, make_classifier()), prune_fractions=None, sizes=[42, 36, 10]
    ).fit(X, y)
    assert search.cv_results_["size"].tolist() == [36, 10]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sizes": [0.5]}, "sizes must be a non-empty sequence of whole numbers"),
        ({"sizes": [10, 0.5]}, "sizes must be a non-empty sequence of whole numbers"),
        ({"sizes": [0]}, r"sizes must be whole numbers of at least 1, got \[0\]"),
        ({"sizes": [5, -1]}, r"at least 1, got \[-1\]"),
        ({"sizes": [True, 5]}, "whole numbers of at least 1, got"),
        ({"sizes": [np.nan]}, "whole numbers of at least 1, got"),
        ({"sizes": []}, "non-empty"),
        ({"sizes": [[5]]}, "non-empty sequence"),
        ({"sizes": ["5"]}, "non-empty sequence"),
        ({"sizes": [5], "prune_fractions": [0.5]}, "give one of them"),
        ({"prune_fractions": [0.5, 20]}, r"in \[0, 1\), got \[20.0\]. Give sizes"),
        ({"prune_fractions": [0.5, True]}, r"in \[0, 1\), got"),
        (
            {"sizes": [5], "param_grid": {"granularity": ["unit", "weight"]}},
            r"granularity in \['unit', 'weight'\]",
        ),
    ],
    ids=str,
)
def test_bad_sizes_are_refused_before_any_work(iris, monkeypatch, params, message):
    monkeypatch.setattr(OBDMLPClassifier, "pruning_path", None)
    with pytest.raises(ValueError, match=message):
        make_search(**{"prune_fractions": None} | params).fit(*iris)


# ---------------------------------------------------------------------- budgets


def made_up(means, n_weights, n_bytes=None):
    """`cv_results_` of two folds; sizes of shape (n_levels, 2)."""
    results = {
        "params": [{}] * len(means),
        "mean_test_score": np.array(means, dtype=float),
        "mean_n_weights": np.mean(n_weights, axis=1),
    }
    for name, columns in (("n_weights", n_weights), ("n_bytes", n_bytes)):
        if columns is not None:
            for fold in range(2):
                results[f"split{fold}_{name}"] = np.array(columns, dtype=float)[:, fold]
    return results


WEIGHTS = [[90, 90], [50, 50], [30, 30], [10, 10]]
BYTES = [[400, 420], [200, 260], [120, 130], [60, 60]]


@pytest.mark.parametrize(
    ("budget", "index"),
    [
        ({"n_weights": 1000}, 0),
        ({"n_weights": 89}, 1),
        ({"n_weights": 50}, 1),
        ({"n_weights": 49}, 2),
        ({"n_weights": 10}, 3),
        ({"n_bytes": 260}, 1),
        ({"n_bytes": 259}, 2),  # one of the folds is larger
        ({"n_bytes": 300, "n_weights": 40}, 2),
    ],
    ids=str,
)
def test_the_best_within_a_budget(budget, index):
    rule = best_within(**budget)
    assert rule(made_up([0.9, 0.8, 0.7, 0.6], WEIGHTS, BYTES)) == index
    ties = made_up([0.9] * 4, WEIGHTS, BYTES)
    assert rule(ties) == 3
    unscored = made_up([np.nan, 0.8, np.inf, 0.9], WEIGHTS, BYTES)
    assert rule(unscored) == 3


def test_a_budget_that_nothing_meets():
    rule = best_within(n_weights=9, n_bytes=500)
    with pytest.raises(ValueError, match=r"smallest n_weights is 10 and n_bytes is 60"):
        rule(made_up([0.9, 0.8, 0.7, 0.6], WEIGHTS, BYTES))
    with pytest.raises(ValueError, match=r"best_within\(n_weights=9, n_bytes=500\) cannot be met"):
        rule(made_up([0.9, 0.8, 0.7, 0.6], WEIGHTS, BYTES))


@pytest.mark.parametrize(
    ("budget", "error", "message"),
    [
        ({}, ValueError, "give n_weights, n_bytes or both"),
        ({"n_weights": 0}, ValueError, "n_weights of best_within must be at least 1, got 0"),
        ({"n_bytes": -5}, ValueError, "n_bytes of best_within must be at least 1"),
        ({"n_bytes": 2.5}, TypeError, "n_bytes of best_within must be a whole number, got 2.5"),
        ({"n_weights": True}, TypeError, "whole number, got True"),
        ({"n_weights": np.nan}, TypeError, "whole number, got nan"),
        ({"n_weights": "9"}, TypeError, "whole number, got '9'"),
    ],
    ids=str,
)
def test_bad_budgets(budget, error, message):
    with pytest.raises(error, match=message):
        best_within(**budget)


def test_rules_are_values():
    rule = best_within(n_bytes=2048)
    assert repr(rule) == "best_within(n_bytes=2048)"
    assert pickle.loads(pickle.dumps(rule)) == rule == best_within(n_bytes=2048)
    assert rule != best_within(n_weights=2048)
    assert "best_within(n_bytes=2048)" in repr(PruningSearchCV(make_classifier(), selection=rule))
    assert clone(PruningSearchCV(make_classifier(), selection=rule)).selection == rule


def test_budget_of_weights_holds_for_the_refit(iris):
    search = make_search(
        prune_fractions=None, sizes=[42, 30, 20, 10], selection=best_within(n_weights=25)
    ).fit(*iris)
    assert search.best_estimator_.n_weights_ in (20, 10)
    means = search.cv_results_["mean_test_score"]
    assert search.best_score_ == max(means[2:])
    assert "mean_n_bytes" not in search.cv_results_


def test_bytes_are_those_of_the_c_code_of_each_fold(iris):
    X, y = iris
    search = make_search(
        make_pipeline(StandardScaler(), make_classifier()), selection=best_within(n_bytes=10_000)
    ).fit(X, y)
    results = search.cv_results_
    for fold, (train, _) in enumerate(StratifiedKFold(3).split(X, y)):
        scaler = StandardScaler().fit(X[train])
        path = make_classifier().pruning_path(
            scaler.transform(X[train]), y[train], prune_fractions=LEVELS
        )
        models = [make_pipeline(scaler, path.estimator_at(index)) for index in range(len(LEVELS))]
        n_bytes = [to_c(model).constant_bytes for model in models]
        assert results[f"split{fold}_n_bytes"].tolist() == n_bytes
    assert search.selection.sizes(search.best_estimator_) == {
        "n_bytes": to_c(search).constant_bytes
    }


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(FunctionTransformer(np.tanh), make_classifier()),
        make_pipeline(StandardScaler(), make_classifier()),
        make_classifier(),
    ],
    ids=["not in C", "pipeline", "bare"],
)
def test_bytes_of_models(iris, model):
    model = clone(model).fit(*iris)
    network = model if isinstance(model, OBDMLPClassifier) else model[-1]
    if "functiontransformer" in getattr(model, "named_steps", {}):
        assert count_bytes(model) == network.summary().n_bytes_after
    else:
        assert count_bytes(model) == to_c(model).constant_bytes


def test_bytes_of_a_model_of_transformed_targets(diabetes):
    X, y = diabetes
    regressor = OBDMLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=20)
    model = TransformedTargetRegressor(regressor, transformer=StandardScaler()).fit(X, y)
    assert count_bytes(model) == model.regressor_.summary().n_bytes_after


def test_a_refit_over_the_budget_goes_on_to_the_next_level(iris, monkeypatch):
    """As the sizes of the folds say nothing for certain about that of the network of all data."""
    budget = best_within(n_weights=30)
    sizes = type(budget).sizes
    seen = []

    def larger(rule, estimator):
        counts = sizes(rule, estimator)
        seen.append(counts["n_weights"])
        return {name: 2 * count for name, count in counts.items()}

    monkeypatch.setattr(type(budget), "sizes", larger)
    search = make_search(prune_fractions=None, sizes=[42, 30, 20, 14, 4], selection=budget)
    search.fit(*iris)
    first = seen[0]
    assert seen == [size for size in (30, 20, 14) if size <= first]
    assert search.best_estimator_.n_weights_ == search.cv_results_["size"][search.best_index_] == 14
    assert search.best_params_["prune_fraction"] == search.best_estimator_.prune_fraction
    search.set_params(sizes=[42, 30, 20])
    with pytest.raises(ValueError, match=r"fitted on all data are larger. The smallest n_weights"):
        search.fit(*iris)


def test_budget_with_several_scores_and_candidates(iris):
    search = make_search(
        param_grid={"hidden_layer_sizes": [(2,), (6,)]},
        prune_fractions=[0, 0.5, 0.8],
        scoring=["accuracy", "neg_log_loss"],
        refit="neg_log_loss",
        selection=best_within(n_weights=14),
    ).fit(*iris)
    results = search.cv_results_
    within = results["mean_n_weights"] <= 14
    assert search.best_score_ == results["mean_test_neg_log_loss"][within].max()
    assert within.any()
    assert not within.all()


def test_budget_of_a_selector(binary):
    selector = OBDFeatureSelector(make_classifier(), cv=3, selection=best_within(n_weights=25))
    selector.fit(*binary)
    assert selector.estimator_.n_weights_ <= 25
    assert selector.n_features_ < 10
    small = clone(selector).set_params(selection=best_within(n_weights=3))
    with pytest.raises(ValueError, match="cannot be met"):
        small.fit(*binary)


def test_budgets_are_values_of_a_grid(iris):
    """A search within a search: each budget is fitted and scored."""
    inner = make_search(prune_fractions=None, sizes=[42, 10])
    budgets = [best_within(n_weights=50), best_within(n_weights=10)]
    outer = GridSearchCV(inner, {"selection": budgets}, cv=2, error_score="raise").fit(*iris)
    assert np.isfinite(outer.cv_results_["mean_test_score"]).all()
