"""PruningSearchCV: its table, its best estimator, and what it refuses."""

import re

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from models import digest
from searches import LEVELS, TIMES, assert_same_results, make_classifier, make_search
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version

from skobd import OBDMLPClassifier, OBDMLPRegressor, PruningSearchCV
from skobd._search.search import DEFAULT_LEVELS
from skobd._search.selection import select_level

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
    ),
]

CHECKED = {"solver": "lbfgs", "max_iter": 50, "n_regrow": 0, "random_state": 0}
CLASSIFIER = OBDMLPClassifier((20,), **CHECKED)
REGRESSOR = OBDMLPRegressor(hidden_layer_sizes=(20,), **CHECKED)

# Before 1.7 the fit of a target transformation does not say that a column of targets is a vector.
WITH_TARGETS = parse_version(sklearn.__version__) >= parse_version("1.7")
PIPELINE, PENALTY = make_pipeline(StandardScaler(), REGRESSOR), "obdmlpregressor__alpha"
if WITH_TARGETS:
    PIPELINE, PENALTY = TransformedTargetRegressor(PIPELINE), f"regressor__{PENALTY}"
# With error_score at its default: what fails must say why.
# Older releases of scikit-learn hand over a generator, which pytest 9 warns of.
CHECKS = parametrize_with_checks(
    [
        PruningSearchCV(CLASSIFIER, prune_fractions=[0, 0.3], cv=2),
        PruningSearchCV(PIPELINE, {PENALTY: [1e-4, 1.0]}, prune_fractions=[0, 0.3], cv=2),
    ]
)


# Checks give unscaled data.
@pytest.mark.filterwarnings("ignore:Inputs are far off scale:UserWarning")
# A check gives infinite labels, which scikit-learn itself casts to integers to look at them.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
# And data that cannot be fitted or predicted.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:Scoring failed:UserWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("chosen", range(3))
@pytest.mark.parametrize("params", [{}, {"solver": "adam", "max_iter": 5}], ids=str)
def test_best_estimator_is_the_step_of_the_path_on_all_data(iris, params, chosen):
    estimator = make_classifier(**params)
    search = make_search(estimator, selection=lambda results: chosen).fit(*iris)
    at_step = estimator.pruning_path(*iris, prune_fractions=LEVELS).estimator_at(chosen)
    assert digest(search.best_estimator_) == digest(at_step)
    np.testing.assert_array_equal(search.predict_proba(iris[0]), at_step.predict_proba(iris[0]))
    assert search.best_estimator_.get_params() == at_step.get_params()
    assert vars(search.best_estimator_).keys() == vars(at_step).keys()


def test_dense_level_scores_as_in_grid_search(iris):
    search = make_search(prune_fractions=[0]).fit(*iris)
    grid = GridSearchCV(make_classifier(), {"prune_fraction": [0.0]}, cv=3).fit(*iris)
    for column in set(grid.cv_results_) - {f"{a}_{b}" for a in ("mean", "std") for b in TIMES}:
        np.testing.assert_array_equal(
            search.cv_results_[column], grid.cv_results_[column], err_msg=column
        )


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (make_classifier(), "prune_fraction"),
        (make_pipeline(StandardScaler(), make_classifier()), "obdmlpclassifier__prune_fraction"),
        (
            Pipeline([("outer", Pipeline([("mlp", make_classifier())]))]),
            "outer__mlp__prune_fraction",
        ),
    ],
    ids=["bare", "pipeline", "nested"],
)
def test_columns_are_those_people_know(iris, estimator, name):
    search = make_search(estimator, return_train_score=True).fit(*iris)
    frame = pd.DataFrame(search.cv_results_)
    grid = GridSearchCV(clone(estimator), {name: [0.5]}, cv=3, return_train_score=True)
    expected = set(grid.fit(*iris).cv_results_)
    ours = {"mean_n_weights", "sem_test_score", *(f"split{fold}_n_weights" for fold in range(3))}
    assert set(frame.columns) == expected | ours
    np.testing.assert_array_equal(frame[f"param_{name}"], LEVELS)
    assert search.cv_results_["params"] == [{name: level} for level in LEVELS]
    assert search.best_params_ == {name: LEVELS[search.best_index_]}
    assert search.best_estimator_.get_params()[name] == LEVELS[search.best_index_]
    splits = frame[[f"split{fold}_test_score" for fold in range(3)]]
    np.testing.assert_allclose(frame["mean_test_score"], splits.mean(axis=1))
    np.testing.assert_allclose(frame["sem_test_score"], splits.sem(axis=1))
    assert frame["mean_fit_time"].is_monotonic_increasing
    assert search.best_score_ == frame["mean_test_score"][search.best_index_]


def test_delegates_to_the_best_estimator(iris):
    X, y = iris
    search = make_search().fit(pd.DataFrame(X, columns=list("abcd")), y)
    X = pd.DataFrame(X, columns=list("abcd"))
    np.testing.assert_array_equal(search.predict(X), search.best_estimator_.predict(X))
    np.testing.assert_array_equal(
        search.predict_log_proba(X), search.best_estimator_.predict_log_proba(X)
    )
    assert search.score(X, y) == accuracy_score(y, search.predict(X))
    assert search.classes_.tolist() == [0, 1, 2]
    assert search.n_features_in_ == 4
    assert search.feature_names_in_.tolist() == list("abcd")
    assert search.n_splits_ == 3
    assert search.refit_time_ > 0
    assert not search.multimetric_


def test_without_refit_there_is_a_level_but_no_estimator(iris):
    search = make_search(refit=False).fit(*iris)
    assert search.best_params_["prune_fraction"] in LEVELS
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "predict")


def test_regression(diabetes):
    estimator = OBDMLPRegressor(hidden_layer_sizes=(6,), solver="lbfgs", max_iter=20, alpha=1)
    search = make_search(estimator, cv=KFold(3)).fit(*diabetes)
    assert search.predict(diabetes[0]).shape == (200,)
    assert not hasattr(search, "classes_")


def test_default_levels_delete_about_a_third_of_the_rest_each():
    left = 1 - np.array(DEFAULT_LEVELS)
    assert len(left) == 10
    assert left[0] == 1
    np.testing.assert_allclose(left[1:] / left[:-1], 0.67, atol=0.08)


def test_levels_are_sorted_and_made_unique(iris):
    search = make_search(prune_fractions=[0.8, 0.5, 0, 0.5]).fit(*iris)
    assert_same_results(search.cv_results_, make_search().fit(*iris).cv_results_)


def test_levels_without_the_dense_network(iris):
    search = make_search(prune_fractions=[0.5, 0.8]).fit(*iris)
    whole = make_search().fit(*iris)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], whole.cv_results_["mean_test_score"][1:]
    )


def test_nests_clones_and_is_repeatable(iris):
    search = make_search()
    scores = cross_val_score(search, *iris, cv=2, error_score="raise")
    assert scores.shape == (2,)
    again = clone(search).fit(*iris)
    assert_same_results(search.fit(*iris).cv_results_, again.cv_results_)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_do_not_change_a_bit(iris, backend):
    estimator = make_pipeline(StandardScaler(), make_classifier(solver="adam", max_iter=5))
    serial = make_search(estimator).fit(*iris)
    with parallel_config(backend=backend):
        parallel = make_search(estimator, n_jobs=2).fit(*iris)
    assert_same_results(parallel.cv_results_, serial.cv_results_)
    np.testing.assert_array_equal(parallel.predict(iris[0]), serial.predict(iris[0]))


def test_failed_fit_leaves_the_search_as_it_was(iris):
    X, y = iris
    search = make_search().fit(X, y)
    before = {name: id(value) for name, value in vars(search).items()}
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        search.fit(bad, y)
    assert {name: id(value) for name, value in vars(search).items()} == before
    search.set_params(refit=False).fit(X, y)
    assert not hasattr(search, "best_estimator_")


@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), make_pipeline(make_classifier(), StandardScaler()), StandardScaler()],
)
def test_estimator_without_pruning_is_refused(iris, estimator):
    with pytest.raises(TypeError, match="must be an OBDMLPClassifier"):
        make_search(estimator).fit(*iris)


@pytest.mark.parametrize("levels", [[0.5, 1], [-0.5], [], [[0.1]]], ids=str)
def test_levels_that_are_none_are_refused(iris, levels):
    with pytest.raises(ValueError, match="prune_fractions must be"):
        make_search(prune_fractions=levels).fit(*iris)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"selection": "worst"}, "The 'selection' parameter"),
        ({"prune_fractions": "all"}, "The 'prune_fractions' parameter"),
        ({"return_train_score": "yes"}, "The 'return_train_score' parameter"),
        ({"error_score": "nan"}, "The 'error_score' parameter"),
    ],
)
def test_wrong_parameters_are_refused(iris, params, message):
    with pytest.raises(ValueError, match=message):
        make_search(**params).fit(*iris)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([], "made no splits"),
        ([(np.arange(150), np.arange(0))], "Split 0 of cv has no test rows"),
        ([(np.arange(0), np.arange(150))], "Split 0 of cv has no training rows"),
    ],
)
def test_useless_splits_are_refused(iris, cv, message):
    with pytest.raises(ValueError, match=message):
        make_search(cv=cv).fit(*iris)


def test_predicting_before_fitting_is_refused(iris):
    with pytest.raises(NotFittedError):
        make_search().predict(iris[0])


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_verbose_prints_a_line_for_each_fold_and_round(iris, capsys, verbose):
    search = make_search(verbose=verbose, refit=False).fit(*iris)
    text = capsys.readouterr().out
    assert all(len(line) <= 79 for line in text.splitlines())
    lines = text.replace("\n" + 10 * " ", " ").splitlines()
    # In the end, a line for every level.
    assert len(lines) == [0, 3 + 3, 3 * 4 + 3][verbose]
    if verbose:
        results, number = search.cv_results_, r"\(0\.\d{4}\)"
        pattern = f"fold  3: weights left (score) 42 {number}, 21 {number}, 8 {number} in "
        assert re.match(pattern.replace("left (score)", r"left \(score\)"), lines[-4])
        for index, line in enumerate(lines[-3:]):
            mean, error = results["mean_test_score"][index], results["sem_test_score"][index]
            assert line.startswith(
                f"level {LEVELS[index]:g}: {[42, 21, 8][index]} weights, score {mean:.4f} "
                f"+- {error:.4f}"
            )
            assert line.endswith("<- chosen") == (index == search.best_index_)
    if verbose > 1:
        assert lines[0].startswith("fold  1, round  0: 42 weights left (0.0% deleted)")


@pytest.mark.parametrize("levels", [[0.5, 0.8], [0.8]])
def test_verbose_prints_the_scores_of_its_levels(iris, capsys, levels):
    """The path begins with the dense network, which is no level here."""
    search = make_search(prune_fractions=levels, verbose=1, refit=False).fit(*iris)
    line = capsys.readouterr().out.replace("\n" + 10 * " ", " ").splitlines()[0]
    n_weights = {0.5: 21, 0.8: 8}
    scores = search.cv_results_["split0_test_score"]
    expected = [
        f"{n_weights[level]} ({score:.4f})" for level, score in zip(levels, scores, strict=True)
    ]
    assert line.startswith(f"fold  1: weights left (score) {', '.join(expected)} in ")


def test_verbose_reports_the_refit_and_the_candidates(iris, capsys):
    grid = {"alpha": [0.1, 1.0]}
    search = make_search(param_grid=grid, verbose=1).fit(*iris)
    lines = capsys.readouterr().out.replace("\n" + 10 * " ", " ").splitlines()
    assert len(lines) == 2 * 3 + 2 * 3 + 1
    assert lines[3].startswith("candidate  2, fold  1: ")
    assert lines[6].startswith("alpha=0.1, level 0: 42 weights, score")
    n_weights = search.best_estimator_.n_weights_
    assert lines[-1].startswith(f"refit: {n_weights} weights left (")


def test_verbose_of_several_scores_and_of_failures(iris, capsys):
    make_search(verbose=1, scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss").fit(*iris)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("fold  1: weights left (score) 42, 21, 8 in ")
    assert lines[3].startswith("level 0: 42 weights, neg_log_loss -")
    with pytest.raises(ValueError, match="NaN"):
        make_search(verbose=1, error_score=0.0).fit(np.full((9, 2), np.nan), [0, 1, 2] * 3)
    assert capsys.readouterr().out.startswith("fold  1: failed after 0.0 s")


@pytest.mark.skipif(
    not hasattr(BaseEstimator, "_get_fitted_attr_html"),
    reason="scikit-learn shows fitted attributes from version 1.9 on",
)
def test_notebooks_show_the_pruning_summary(iris):
    html = make_search().fit(*iris)._repr_html_()
    for name in ("best_params_", "n_weights_", "sparsity_", "pruning_history_"):
        assert name in html


def test_choice_in_the_search(iris):
    results = {}
    for selection in ("best", "one_standard_error"):
        search = make_search(selection=selection, cv=5).fit(*iris)
        results[selection] = search.best_index_
        assert search.best_index_ == select_level(search.cv_results_, "score", selection)
    assert results["one_standard_error"] >= results["best"]


def test_single_split(iris):
    search = make_search(cv=ShuffleSplit(1, random_state=0)).fit(*iris)
    assert search.cv_results_["sem_test_score"].tolist() == [0, 0, 0]


def test_attributes_of_the_best_estimator_are_missing_before_the_fit():
    with pytest.raises(AttributeError, match="best_estimator_"):
        make_search().classes_  # noqa: B018


@pytest.mark.parametrize("has_names", [True, False])
def test_summary_has_the_names_of_the_columns(has_names):
    pandas = pytest.importorskip("pandas")
    X = np.random.RandomState(0).randn(60, 4)
    frame = pandas.DataFrame(X, columns=["red", "green", "blue", "white"])
    mlp = OBDMLPClassifier((3,), max_iter=10, granularity="feature", random_state=0)
    pipeline = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), mlp)
    search = PruningSearchCV(pipeline, prune_fractions=[0.5], cv=2)
    with pytest.raises(NotFittedError):
        search.summary()
    search.fit(frame if has_names else X, X[:, 0] > 0)
    names = list(frame) if has_names else ["x0", "x1", "x2", "x3"]
    network = search.best_estimator_[-1]
    unused = [name for place, name in enumerate(names) if place not in network.used_features_]
    assert 0 < len(unused) < 4
    assert list(search.summary().unused_features) == unused
    assert list(network.summary(names).unused_features) == unused
    assert str(search.summary()) == str(network.summary(names))
    search.set_params(refit=False).fit(frame, X[:, 0] > 0)
    with pytest.raises(NotFittedError, match="refit"):
        search.summary()
