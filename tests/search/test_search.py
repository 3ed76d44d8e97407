"""PruningSearchCV against its steps done by hand, and the choice of a level on made-up results."""

import pickle
import threading

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from joblib import parallel_config
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from skobd._parallel import _team, reproducible_threads
from skobd._path import Route

from skobd import OBDMLPClassifier, OBDMLPRegressor, PruningSearchCV, _search
from skobd._search import DEFAULT_LEVELS, select_level, standard_errors

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
)
LEVELS = [0.0, 0.5, 0.8]
TIMES = ("fit_time", "score_time")


def make_classifier(**params):
    defaults = {"solver": "lbfgs", "alpha": 0.1, "max_iter": 20, "random_state": 0}
    return OBDMLPClassifier((6,), **defaults | params)


def make_search(estimator=None, **params):
    defaults = {"prune_fractions": LEVELS, "cv": 3, "error_score": "raise"}
    return PruningSearchCV(estimator or make_classifier(), **defaults | params)


def assert_same_results(actual, expected):
    """`cv_results_` are equal bit for bit, but for the times."""
    assert list(actual) == list(expected)
    for name in expected:
        if not name.endswith(TIMES):
            np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


# Older releases of scikit-learn hand over a generator, which pytest 9 warns of.
CHECKS = parametrize_with_checks(
    [
        PruningSearchCV(
            OBDMLPClassifier((20,), solver="lbfgs", max_iter=50, random_state=0),
            prune_fractions=[0, 0.3],
            cv=2,
            error_score="raise",
        ),
        PruningSearchCV(
            OBDMLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", max_iter=50, random_state=0),
            prune_fractions=[0, 0.3],
            cv=2,
            error_score="raise",
        ),
    ]
)


# A check gives infinite labels, which scikit-learn itself casts to integers to look at them.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


# ---------------------------------------------------------------------- against steps by hand


@pytest.mark.parametrize("params", [{}, {"solver": "adam", "max_iter": 5}], ids=str)
def test_scores_and_networks_are_those_made_by_hand(iris, params):
    X, y = iris
    estimator = make_classifier(**params)
    search = make_search(estimator, return_train_score=True, store_path=True).fit(X, y)
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        path = clone(estimator).pruning_path(X[train], y[train], LEVELS)
        for index in range(len(LEVELS)):
            at_step = path.estimator_at(index)
            column = f"split{fold}_test_score"
            assert search.cv_results_[column][index] == at_step.score(X[test], y[test])
            column = f"split{fold}_train_score"
            assert search.cv_results_[column][index] == at_step.score(X[train], y[train])
            assert search.cv_results_[f"split{fold}_n_weights"][index] == at_step.n_weights_
            np.testing.assert_array_equal(
                search.paths_[fold].estimator_at(index)._theta, at_step._theta
            )


@pytest.mark.parametrize("chosen", range(3))
@pytest.mark.parametrize("params", [{}, {"solver": "adam", "max_iter": 5}], ids=str)
def test_best_estimator_is_the_step_of_the_path_on_all_data(iris, params, chosen):
    estimator = make_classifier(**params)
    search = make_search(estimator, selection=lambda results: chosen).fit(*iris)
    at_step = estimator.pruning_path(*iris, LEVELS).estimator_at(chosen)
    np.testing.assert_array_equal(search.best_estimator_._theta, at_step._theta)
    np.testing.assert_array_equal(search.predict_proba(iris[0]), at_step.predict_proba(iris[0]))
    assert search.best_estimator_.get_params() == at_step.get_params()
    assert "_route" not in vars(search.best_estimator_)


def test_dense_level_scores_as_in_grid_search(iris):
    search = make_search(prune_fractions=[0]).fit(*iris)
    grid = GridSearchCV(make_classifier(), {"prune_fraction": [0.0]}, cv=3).fit(*iris)
    for column in set(grid.cv_results_) - {f"{a}_{b}" for a in ("mean", "std") for b in TIMES}:
        np.testing.assert_array_equal(
            search.cv_results_[column], grid.cv_results_[column], err_msg=column
        )


def test_pipeline_fits_its_transformers_on_the_training_rows_only(iris):
    X, y = iris
    estimator = make_pipeline(StandardScaler(), make_classifier())
    search = make_search(estimator, store_path=True).fit(X, y)
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        pipeline = search.paths_[fold].estimator_at(1)
        np.testing.assert_array_equal(pipeline[0].mean_, X[train].mean(axis=0))
        score = search.cv_results_[f"split{fold}_test_score"][1]
        assert score == pipeline.score(X[test], y[test])
        by_hand = make_classifier().pruning_path(pipeline[0].transform(X[train]), y[train], LEVELS)
        np.testing.assert_array_equal(pipeline[-1]._theta, by_hand.estimator_at(1)._theta)


class Counter(TransformerMixin, BaseEstimator):
    """Lets the data pass, and counts."""

    n_rows: list = []

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        self.n_rows.append(len(X))
        return X.copy()


def test_rows_are_transformed_once_for_all_levels(iris, monkeypatch):
    monkeypatch.setattr(Counter, "n_rows", [])
    estimator = make_pipeline(Counter(), Pipeline([("c", Counter()), ("mlp", make_classifier())]))
    search = make_search(estimator, return_train_score=True, store_path=True).fit(*iris)
    # Both transformers: for the fit, the held-out rows and the training rows of each fold; refit.
    assert sorted(Counter.n_rows) == [50] * 6 + [100] * 12 + [150] * 2
    assert "transform" not in vars(search.paths_[0].estimator[0])


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


# ---------------------------------------------------------------------- scoring


def test_several_scores(iris):
    search = make_search(scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss").fit(*iris)
    for metric in ("accuracy", "neg_log_loss"):
        single = make_search(scoring=metric).fit(*iris)
        for column in ("mean_test", "std_test", "rank_test", "sem_test", "split2_test"):
            np.testing.assert_array_equal(
                search.cv_results_[f"{column}_{metric}"], single.cv_results_[f"{column}_score"]
            )
    assert search.multimetric_
    assert search.best_index_ == single.best_index_
    assert search.score(*iris) == -log_loss(iris[1], search.predict_proba(iris[0]))
    assert set(search.scorer_) == {"accuracy", "neg_log_loss"}


def test_several_scores_by_a_callable(iris):
    def scores(estimator, X, y):
        return {"accuracy": estimator.score(X, y), "lightness": -estimator.n_weights_}

    search = make_search(scoring=scores, refit="lightness", selection="best").fit(*iris)
    assert search.best_index_ == 2
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_lightness"], -search.cv_results_["mean_n_weights"]
    )


@pytest.mark.parametrize("refit", [True, "precision"])
def test_several_scores_need_the_name_of_one(iris, refit):
    with pytest.raises(ValueError, match="refit must be set to the scorer key"):
        make_search(scoring=["accuracy", "neg_log_loss"], refit=refit).fit(*iris)


def test_several_scores_without_refit(iris):
    search = make_search(scoring=["accuracy", "neg_log_loss"], refit=False).fit(*iris)
    assert not hasattr(search, "best_index_")


# ---------------------------------------------------------------------- metadata


def test_sample_weights_go_to_the_fit_and_the_scorer(iris):
    X, y = iris
    weight = np.where(y == 2, 0.0, 1.0)
    search = make_search(store_path=True).fit(X, y, sample_weight=weight)
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        path = make_classifier().pruning_path(
            X[train], y[train], LEVELS, sample_weight=weight[train]
        )
        for index in range(3):
            at_step = path.estimator_at(index)
            stored = search.paths_[fold].estimator_at(index)
            np.testing.assert_array_equal(stored._theta, at_step._theta)
            weighted = at_step.score(X[test], y[test], sample_weight=weight[test])
            score = search.cv_results_[f"split{fold}_test_score"][index]
            # scikit-learn's searches give sample weights to the scorer from some version on.
            assert score in (weighted, at_step.score(X[test], y[test]))
    assert set(search.predict(X)) == {0, 1}


@pytest.mark.parametrize("to_scorer", [False, True])
def test_metadata_routing(iris, to_scorer):
    X, y = iris
    weight, groups = np.where(y == 2, 0.0, 1.0), np.arange(len(y)) % 5
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = make_classifier().set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=to_scorer)
        search = make_search(
            make_pipeline(StandardScaler().set_fit_request(sample_weight=False), mlp),
            scoring=scorer,
            cv=GroupKFold(3),
            store_path=True,
        ).fit(X, y, sample_weight=weight, groups=groups)
        for fold, (train, test) in enumerate(GroupKFold(3).split(X, y, groups)):
            pipeline = search.paths_[fold].estimator_at(1)
            expected = make_classifier().pruning_path(
                pipeline[0].transform(X[train]), y[train], LEVELS, sample_weight=weight[train]
            )
            np.testing.assert_array_equal(pipeline[-1]._theta, expected.estimator_at(1)._theta)
            used = weight[test] if to_scorer else None
            score = accuracy_score(y[test], pipeline.predict(X[test]), sample_weight=used)
            assert search.cv_results_[f"split{fold}_test_score"][1] == score


def test_metadata_nobody_asked_for_are_refused(iris):
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(TypeError, match="unexpected argument"),
    ):
        make_search().fit(*iris, nonsense=np.ones(150))


# ---------------------------------------------------------------------- parallelism


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_do_not_change_a_bit(iris, backend):
    estimator = make_pipeline(StandardScaler(), make_classifier(solver="adam", max_iter=5))
    serial = make_search(estimator).fit(*iris)
    with parallel_config(backend=backend):
        parallel = make_search(estimator, n_jobs=2).fit(*iris)
    assert_same_results(parallel.cv_results_, serial.cv_results_)
    np.testing.assert_array_equal(parallel.predict(iris[0]), serial.predict(iris[0]))


class ThreadCounter(TransformerMixin, BaseEstimator):
    """Notes how many threads the fit that it is part of may use."""

    seen: list = []

    def fit(self, X, y=None):
        team = _team.get()
        self.seen.append((threading.get_ident(), None if team is None else 1 + len(team)))
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize(("n_cores", "share"), [(2, 1), (8, 4)])
def test_threads_of_one_process_share_the_cores(iris, monkeypatch, n_cores, share):
    monkeypatch.setattr("skobd._search.cpu_count", lambda: n_cores)
    monkeypatch.setattr("skobd._parallel._shared_limit", _ManyThreads(n_cores))
    monkeypatch.setattr(ThreadCounter, "seen", [])
    search = make_search(make_pipeline(ThreadCounter(), make_classifier()), n_jobs=2, refit=False)
    with parallel_config(backend="threading"):
        search.fit(*iris)
    assert len(ThreadCounter.seen) == 3
    assert {n_threads for _, n_threads in ThreadCounter.seen} == {share}


class _ManyThreads:
    """A BLAS of so many threads, as far as the limit of fits is concerned."""

    def __init__(self, n_threads):
        self.n_threads = n_threads

    def acquire(self):
        return self.n_threads

    def release(self):
        pass


def test_limit_of_threads_is_a_limit():
    with reproducible_threads(1):
        assert _team.get() == []
    assert _team.get() is None


# ---------------------------------------------------------------------- failures


class FailsOn(TransformerMixin, BaseEstimator):
    """Fails to fit where a marked row is missing or there."""

    def __init__(self, marked=0.0):
        self.marked = marked

    def fit(self, X, y=None):
        if not (X[:, 0] == self.marked).any():
            raise ValueError("the marked row is missing")
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


def failing_search(**params):
    return make_search(
        make_pipeline(FailsOn(marked=99.0), make_classifier()), cv=KFold(3), **params
    )


@pytest.fixture
def marked(iris):
    rng = np.random.default_rng(0)
    order = rng.permutation(150)
    X, y = iris[0][order], iris[1][order]
    X[0, 0] = 99.0  # held out by the first fold
    return X, y


def test_folds_that_failed_are_left_out(marked):
    search = failing_search(error_score=np.nan)
    with (
        pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 9"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(*marked)
    results = search.cv_results_
    assert np.isnan(results["split0_test_score"]).all()
    kept = np.column_stack([results["split1_test_score"], results["split2_test_score"]])
    np.testing.assert_array_equal(results["mean_test_score"], kept.mean(axis=1))
    np.testing.assert_array_equal(results["std_test_score"], kept.std(axis=1))
    np.testing.assert_array_equal(results["sem_test_score"], standard_errors(kept))
    ranks = rankdata(-kept.mean(axis=1), method="min")
    np.testing.assert_array_equal(results["rank_test_score"], ranks)
    np.testing.assert_array_equal(results["mean_n_weights"], results["split1_n_weights"])
    assert np.isfinite(search.best_score_)


def test_number_for_folds_that_failed_counts(marked):
    with pytest.warns(FitFailedWarning):
        search = failing_search(error_score=-1.0).fit(*marked)
    results = search.cv_results_
    np.testing.assert_array_equal(results["split0_test_score"], [-1.0] * 3)
    kept = np.column_stack([results[f"split{fold}_test_score"] for fold in range(3)])
    np.testing.assert_array_equal(results["mean_test_score"], kept.mean(axis=1))


def test_error_of_a_fold_is_raised_if_asked(marked):
    with pytest.raises(ValueError, match="the marked row is missing"):
        failing_search(error_score="raise").fit(*marked)


def test_nothing_but_failures_says_why(iris):
    search = failing_search(error_score=np.nan)
    with pytest.raises(ValueError, match="the marked row is missing"):
        search.fit(*iris)


def test_failing_folds_with_several_scores(marked):
    def scores(estimator, X, y):
        return {"accuracy": estimator.score(X, y)}

    for scoring in (["accuracy"], scores):
        search = failing_search(
            error_score=np.nan, scoring=scoring, refit="accuracy", return_train_score=True
        )
        with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
            search.fit(*marked)
        assert np.isnan(search.cv_results_["split0_test_accuracy"]).all()
        assert np.isfinite(search.cv_results_["mean_test_accuracy"]).all()


def test_levels_reached_before_a_failure_keep_their_scores(iris, monkeypatch):
    record, calls = Route.record, []

    def fails_once(*args):
        calls.append(args)
        if len(calls) == 3:
            raise RuntimeError("the second round of the first fold fails")
        record(*args)

    monkeypatch.setattr(Route, "record", fails_once)
    search = make_search(error_score=np.nan)
    with (
        pytest.warns(FitFailedWarning, match="1 fits failed"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(*iris)
    expected = make_search().fit(*iris).cv_results_
    np.testing.assert_array_equal(
        search.cv_results_["split0_test_score"], [*expected["split0_test_score"][:2], np.nan]
    )
    # A level that not all folds reached cannot be compared with the others.
    assert np.isnan(search.cv_results_["mean_test_score"][2])
    assert search.best_index_ < 2


def test_scorer_that_raises(iris):
    def scorer(estimator, X, y):
        if estimator.sparsity_ > 0.7:
            raise RuntimeError("too sparse for me")
        return 1.0

    search = make_search(scoring=scorer, error_score=np.nan)
    with (
        pytest.warns(UserWarning, match="too sparse for me"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(*iris)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], [1, 1, np.nan])
    assert search.best_index_ == 1
    with pytest.raises(RuntimeError, match="too sparse for me"):
        make_search(scoring=scorer).fit(*iris)


def test_no_score_at_all_is_an_error_that_says_so(iris):
    def scorer(estimator, X, y):
        raise RuntimeError("never")

    search = make_search(scoring=scorer, error_score=np.nan)
    with (
        pytest.warns(UserWarning, match="never"),
        pytest.warns(UserWarning, match="non-finite"),
        pytest.raises(ValueError, match="No level can be chosen"),
    ):
        search.fit(*iris)


def test_folds_lacking_a_class(iris):
    # Sorted labels and plain folds: each fold is trained without the class it is tested on.
    order = np.argsort(iris[1])
    X, y = iris[0][order], iris[1][order]
    message = r"Split 0 of cv has no training rows of the classes \[0\]"
    with pytest.raises(ValueError, match=message):
        make_search(cv=KFold(3), error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="All the 9 fits failed"):
        make_search(cv=KFold(3), error_score=np.nan).fit(X, y)
    # A fold that can be tested keeps its scores.
    some = [(np.arange(100), np.arange(100, 150)), (np.arange(1, 150, 2), np.arange(0, 150, 2))]
    search = make_search(cv=some, error_score=np.nan)
    with (
        pytest.warns(FitFailedWarning, match=r"Split 0 .* classes \[2\]"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(X, y)
    scores = search.cv_results_["split1_test_score"]
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], scores)


@pytest.mark.parametrize("kind", ["mutates a copy", "mutates its rows", "pickles"])
def test_scorers_may_do_anything_with_the_pipeline(iris, kind):
    """Transformed rows are remembered only for scorers that do nothing but predict."""

    def scorer(estimator, X, y):
        if kind == "pickles":
            return -len(pickle.dumps(estimator["standardscaler"])) + estimator.score(X, y)
        Z = X.copy() if kind == "mutates a copy" else X
        scores = []
        for j in range(X.shape[1]):
            column = Z[:, j].copy()
            Z[:, j] = 0
            scores.append(estimator.score(Z, y))
            Z[:, j] = column
        return min(scores)

    pipeline = make_pipeline(StandardScaler(), make_classifier())
    search = PruningSearchCV(pipeline, prune_fractions=LEVELS, cv=3, scoring=scorer)
    search.set_params(store_path=True, error_score="raise").fit(*iris)
    X, y = iris
    for index, (_, test) in enumerate(StratifiedKFold(3).split(X, y)):
        path = search.paths_[index]
        expected = [scorer(path.estimator_at(i), X[test].copy(), y[test]) for i in range(3)]
        np.testing.assert_allclose(search.cv_results_[f"split{index}_test_score"], expected)


def test_callback_stops_before_levels_of_several_scores(iris):
    def scorer(estimator, X, y):
        return {"accuracy": estimator.score(X, y), "weights": -estimator.n_weights_}

    results = [{"test_scores": {"a": 1.0, "b": 2.0}}, {"test_scores": np.nan, "train_scores": 3.0}]
    _search._name_missing_scores(results)
    assert results[1]["train_scores"] == {"a": 3.0, "b": 3.0}
    assert set(results[1]["test_scores"]) == {"a", "b"}
    search = make_search(scoring=scorer, refit="weights").fit(*iris)
    assert search.best_params_["prune_fraction"] == LEVELS[-1]


def test_failed_fit_leaves_the_search_as_it_was(iris):
    X, y = iris
    search = make_search(store_path=True).fit(X, y)
    before = {name: id(value) for name, value in vars(search).items()}
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        search.fit(bad, y)
    assert {name: id(value) for name, value in vars(search).items()} == before
    search.set_params(store_path=False, refit=False).fit(X, y)
    assert not hasattr(search, "paths_")
    assert not hasattr(search, "best_estimator_")


def test_interrupt_ends_the_search(iris, monkeypatch):
    from skobd._objective import Objective

    evaluate, calls = Objective.value_and_gradient, []

    def interrupted(self, *args):
        calls.append(args)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return evaluate(self, *args)

    monkeypatch.setattr(Objective, "value_and_gradient", interrupted)
    with pytest.warns(UserWarning, match="interrupted"), pytest.raises(KeyboardInterrupt):
        make_search(error_score=np.nan).fit(*iris)
    assert len(calls) == 10


# ---------------------------------------------------------------------- bad input


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
        ({"store_path": "yes"}, "The 'store_path' parameter"),
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


# ---------------------------------------------------------------------- verbosity


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_verbose_prints_a_line_for_each_fold_and_round(iris, capsys, verbose):
    make_search(verbose=verbose, refit=False).fit(*iris)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == [0, 3, 3 * 4][verbose]
    if verbose:
        assert lines[-1].startswith("fold  3: ")
        assert "8 weights left (81.0% deleted), score 0." in lines[-1]
    if verbose > 1:
        assert lines[0].startswith("fold  1, round  0: 42 weights left (0.0% deleted)")


@pytest.mark.skipif(
    not hasattr(BaseEstimator, "_get_fitted_attr_html"),
    reason="scikit-learn shows fitted attributes from version 1.9 on",
)
def test_notebooks_show_the_pruning_summary(iris):
    html = make_search().fit(*iris)._repr_html_()
    for name in ("best_params_", "n_weights_", "sparsity_", "pruning_history_"):
        assert name in html


# ---------------------------------------------------------------------- choice of a level


def made_up(scores):
    """`cv_results_` of these scores, shape (n_levels, n_folds)."""
    scores = np.asarray(scores, dtype=float)
    return {
        "params": [{"prune_fraction": index / len(scores)} for index in range(len(scores))],
        "mean_test_score": scores.mean(axis=1),
        "sem_test_score": standard_errors(scores),
    }


@pytest.mark.parametrize(
    ("scores", "best", "one_standard_error"),
    [
        pytest.param([[0.9, 1.0], [0.9, 0.98], [0.5, 0.6]], 0, 1, id="within"),
        pytest.param([[0.95, 0.95], [0.9, 0.98], [0.5, 0.6]], 0, 0, id="no error, no margin"),
        pytest.param([[0.7, 0.7], [0.9, 0.9], [0.9, 0.9], [0.8, 0.8]], 2, 2, id="tie"),
        pytest.param([[0.8, 1.0], [0.7, 0.8], [0.9, 0.9], [0.5, 0.5]], 2, 2, id="sparser tie"),
        pytest.param([[-1, -3], [-2, -2.5], [-2.8, -3.0], [-9, -9]], 0, 2, id="negative"),
        pytest.param([[np.nan, 1], [0.8, 0.9], [0.8, 0.8]], 1, 2, id="NaN is not chosen"),
        pytest.param([[0.5, 0.5], [0.8, 0.9], [np.nan, 1]], 1, 1, id="nor when sparsest"),
        pytest.param([[0.9], [0.8], [0.9], [0.1]], 2, 2, id="one fold"),
        pytest.param([[-np.inf, 0], [-1, -1]], 1, 1, id="infinite"),
    ],
)
def test_choice(scores, best, one_standard_error):
    results = made_up(scores)
    assert select_level(results, "score", "best") == best
    assert select_level(results, "score", "one_standard_error") == one_standard_error


@given(arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-9, 9)))
def test_one_standard_error_is_never_denser_and_never_worse(scores):
    results = made_up(scores)
    means, best = results["mean_test_score"], select_level(results, "score", "best")
    chosen = select_level(results, "score", "one_standard_error")
    assert means[best] == means.max()
    assert chosen >= best
    threshold = means[best] - results["sem_test_score"][best]
    assert means[chosen] >= threshold
    assert (means[chosen + 1 :] < threshold).all()


@given(
    arrays(float, (4, 3), elements=st.floats(0, 1)),
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
)
def test_failed_levels_are_never_chosen(scores, failed):
    scores[failed] = np.nan
    for selection in ("best", "one_standard_error"):
        assert select_level(made_up(scores), "score", selection) not in failed


def test_choice_by_a_callable():
    results = made_up([[0.9, 0.8], [0.7, 0.6]])
    assert select_level(results, "score", lambda given: given["mean_test_score"].argmin()) == 1
    with pytest.raises(TypeError, match="must return an integer"):
        select_level(results, "score", lambda given: 0.5)
    for index in (-1, 2):
        with pytest.raises(IndexError, match=r"must be in \[0, 2\)"):
            select_level(results, "score", lambda given, index=index: index)


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
