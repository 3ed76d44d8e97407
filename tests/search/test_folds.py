"""Every fold against its steps done by hand, and what becomes of folds that fail."""

import pickle
import time
from contextlib import nullcontext

import numpy as np
import pytest
from joblib import parallel_config
from models import digest
from scipy.stats import rankdata
from searches import LEVELS, KeepsNetworks, make_classifier, make_search
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import make_scorer
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDFeatureSelector, OBDMLPClassifier, PruningSearchCV, stability_selection
from skobd._prune.recipe import prune
from skobd._search.selection import standard_errors
from skobd._train.objective import Objective
from skobd._train.solvers import DivergenceError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
    ),
]


@pytest.mark.parametrize("params", [{}, {"solver": "adam", "max_iter": 5}], ids=str)
def test_scores_and_networks_are_those_made_by_hand(iris, params):
    X, y = iris
    estimator = make_classifier(**params)
    search = make_search(estimator, return_train_score=True).fit(X, y)
    keeper = KeepsNetworks()
    make_search(estimator, scoring=keeper, refit=False).fit(X, y)
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        path = clone(estimator).pruning_path(X[train], y[train], prune_fractions=LEVELS)
        for index in range(len(LEVELS)):
            at_step = path.estimator_at(index)
            column = f"split{fold}_test_score"
            assert search.cv_results_[column][index] == at_step.score(X[test], y[test])
            column = f"split{fold}_train_score"
            assert search.cv_results_[column][index] == at_step.score(X[train], y[train])
            assert search.cv_results_[f"split{fold}_n_weights"][index] == at_step.n_weights_
            assert digest(keeper.by_fold()[fold][index]) == digest(at_step)


def test_pipeline_fits_its_transformers_on_the_training_rows_only(iris):
    X, y = iris
    estimator = make_pipeline(StandardScaler(), make_classifier())
    keeper = KeepsNetworks()
    search = make_search(estimator).fit(X, y)
    make_search(estimator, scoring=keeper, refit=False).fit(X, y)
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        pipeline = keeper.by_fold()[fold][1]
        np.testing.assert_array_equal(pipeline[0].mean_, X[train].mean(axis=0))
        score = search.cv_results_[f"split{fold}_test_score"][1]
        assert score == pipeline.score(X[test], y[test])
        by_hand = make_classifier().pruning_path(
            pipeline[0].transform(X[train]), y[train], prune_fractions=LEVELS
        )
        assert digest(pipeline[-1]) == digest(by_hand.estimator_at(1))


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
    make_search(estimator, return_train_score=True).fit(*iris)
    # Both transformers: for the fit, the held-out rows and the training rows of each fold; refit.
    assert sorted(Counter.n_rows) == [50] * 6 + [100] * 12 + [150] * 2


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
    search.set_params(error_score="raise").fit(*iris)
    X, y = iris
    for index, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        scaler = StandardScaler().fit(X[train])
        path = make_classifier().pruning_path(
            scaler.transform(X[train]), y[train], prune_fractions=LEVELS
        )
        expected = [
            scorer(make_pipeline(scaler, path.estimator_at(i)), X[test].copy(), y[test])
            for i in range(3)
        ]
        np.testing.assert_allclose(search.cv_results_[f"split{index}_test_score"], expected)


class Slow(TransformerMixin, BaseEstimator):
    """Takes its time to fit."""

    def fit(self, X, y=None):
        time.sleep(0.1)
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


def test_transformers_time_is_part_of_the_fit_time(iris):
    search = make_search(make_pipeline(Slow(), make_classifier())).fit(*iris)
    times = search.cv_results_["mean_fit_time"]
    assert (times >= 0.1).all()
    assert (np.diff(times) > 0).all()
    assert search.refit_time_ >= 0.1


@pytest.mark.parametrize(("n_cores", "n_each"), [(2, 1), (8, 4)])
def test_threads_of_one_process_divide_the_cores(iris, monkeypatch, n_cores, n_each):
    limits = []

    def reproducible_threads(n_threads):
        limits.append(n_threads)
        return nullcontext()

    monkeypatch.setattr("skobd._search.folds.cpu_count", lambda: n_cores)
    monkeypatch.setattr("skobd._search.folds.reproducible_threads", reproducible_threads)
    with parallel_config(backend="threading"):
        make_search(n_jobs=2, refit=False).fit(*iris)
    assert limits == [n_each] * 3
    limits.clear()
    make_search(refit=False).fit(*iris)
    assert limits == []


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
        pytest.warns(UserWarning, match="non-finite") as caught,
    ):
        search.fit(*marked)
    assert {warning.filename for warning in caught} == {__file__}
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
    calls = []

    def fails_once(*args, **kwargs):
        calls.append(args)
        for number, step in enumerate(prune(*args, **kwargs)):
            if number == 2 and len(calls) == 1:
                raise DivergenceError("the second round of the first fold fails")
            yield step

    monkeypatch.setattr("skobd._mlp.run.prune", fails_once)
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


def test_one_of_several_scorers_raises(iris):
    def sparse_only(y_true, y_pred):
        raise RuntimeError("not for me")

    scoring = {"accuracy": "accuracy", "other": make_scorer(sparse_only)}
    search = make_search(scoring=scoring, refit="accuracy", error_score=-2.0)
    with pytest.warns(UserWarning, match="will be set to -2.0(.|\n)*not for me"):
        search.fit(*iris)
    assert search.cv_results_["mean_test_other"].tolist() == [-2.0] * 3
    single = make_search(scoring="accuracy").fit(*iris)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_accuracy"], single.cv_results_["mean_test_score"]
    )
    with pytest.raises(RuntimeError, match="not for me"):
        search.set_params(error_score="raise").fit(*iris)


@pytest.mark.parametrize("score", [None, "good", np.ones(2), [1.0]], ids=str)
def test_scores_must_be_numbers(iris, score):
    search = make_search(scoring=lambda estimator, X, y: score)
    with pytest.raises(ValueError, match="scoring must return a number"):
        search.fit(*iris)


def test_scores_may_be_arrays_of_one_number(iris):
    search = make_search(scoring=lambda estimator, X, y: np.array([estimator.score(X, y)]))
    expected = make_search().fit(*iris).cv_results_
    np.testing.assert_array_equal(
        search.fit(*iris).cv_results_["mean_test_score"], expected["mean_test_score"]
    )


class KnowsItsRows(Counter):
    """Transforms nothing but what it was fitted on."""

    def fit(self, X, y=None):
        self.rows_ = X.copy()
        return self

    def transform(self, X):
        if X.shape != self.rows_.shape:
            raise ValueError("rows that were never seen")
        return X


def test_transformer_that_fails_on_the_test_rows(iris):
    pipeline = make_pipeline(KnowsItsRows(), make_classifier())
    search = make_search(pipeline, error_score=-1.0)
    with pytest.warns(UserWarning, match="Scoring failed(.|\n)*rows that were never seen"):
        search.fit(*iris)
    assert search.cv_results_["mean_test_score"].tolist() == [-1.0] * 3
    with pytest.raises(ValueError, match="rows that were never seen"):
        search.set_params(error_score="raise").fit(*iris)


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


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_folds_that_give_a_class_no_weight(iris, in_pipeline):
    """They are like folds without its rows."""
    X, y = iris
    even, odd = np.arange(0, 150, 2), np.arange(1, 150, 2)
    cv, weight = [(even, odd), (odd, even)], np.where(y == 1, 0.0, 1.0)
    weight[odd] = 1e-6
    name, mlp = "sample_weight", make_classifier()
    if in_pipeline:
        name, mlp = "outer__mlp__sample_weight", Pipeline([("mlp", mlp)])
        mlp = Pipeline([("outer", mlp)])
    message = r"Split 0 of cv has no training rows of positive weight of the classes \[1\]"
    with pytest.raises(ValueError, match=message):
        make_search(mlp, cv=cv, error_score="raise").fit(X, y, **{name: weight})
    with (
        pytest.warns(FitFailedWarning, match=message),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search = make_search(mlp, cv=cv, error_score=np.nan).fit(X, y, **{name: weight})
    assert np.isnan(search.cv_results_["split0_test_score"]).all()
    assert np.isfinite(search.cv_results_["split1_test_score"]).all()
    # Test rows without weight ask for no training rows.
    weight[y == 1] = 0
    make_search(mlp, cv=cv, error_score="raise").fit(X, y, **{name: weight})


def test_interrupt_ends_the_search(iris, monkeypatch):
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


def _searches():
    """Everything that splits data, as ``call(X, y, cv, **params)``."""
    mlp = make_classifier(max_iter=5)
    levels = {"prune_fractions": [0, 0.5], "error_score": np.nan}
    return {
        "search": lambda X, y, cv=2, **params: PruningSearchCV(mlp, cv=cv, **levels).fit(
            X, y, **params
        ),
        "selector": lambda X, y, cv=2, **params: OBDFeatureSelector(mlp, cv=cv).fit(X, y, **params),
        "stability": lambda X, y, **params: stability_selection(
            mlp, X, y, n_subsamples=2, **params
        ),
    }


@pytest.fixture
def no_fits(monkeypatch):
    """Whatever is wrong is to be said before any work is done."""

    def fail(*args, **kwargs):
        raise AssertionError("a fit was begun")

    monkeypatch.setattr(OBDMLPClassifier, "pruning_path", fail)


@pytest.mark.usefixtures("no_fits")
class TestRefusedBeforeAnyWork:
    @pytest.mark.parametrize("name", _searches())
    @pytest.mark.parametrize(
        ("y", "match"),
        [
            (None, "requires y to be passed, but the target y is None"),
            (3, r"\by\b"),
            (np.array(["a", 1] * 75, dtype=object), "y must have labels of one type, got int, str"),
            (np.array(["a", None] * 75, dtype=object), "y must have labels of one type"),
            (np.full(150, np.nan), r"\by\b.*NaN"),
            (np.linspace(0, 1, 150), "y: Unknown label type"),
            (np.arange(30) % 2, "X and y: "),
        ],
        ids=str,
    )
    def test_targets(self, iris, name, y, match):
        with pytest.raises((ValueError, TypeError), match=match):
            _searches()[name](iris[0], y)

    @pytest.mark.parametrize("name", _searches())
    @pytest.mark.parametrize("n", [3, 149, 151])
    def test_weights_of_another_length(self, iris, name, n):
        match = f"sample_weight must have one entry for each of the 150 rows of X, got {n}"
        for weight in (np.ones(n), [1.0] * n, dict.fromkeys(range(n), 1), "1" * n):
            with pytest.raises(ValueError, match=match):
                _searches()[name](*iris, sample_weight=weight)

    def test_weights_of_a_step_and_groups(self, iris):
        pipe = make_pipeline(StandardScaler(), make_classifier())
        name = "obdmlpclassifier__sample_weight"
        with pytest.raises(ValueError, match=f"{name} must have one entry.*150.*got 3"):
            PruningSearchCV(pipe, cv=2).fit(*iris, **{name: np.ones(3)})
        with pytest.raises(ValueError, match=r"groups must have one entry.*150.*got 3"):
            PruningSearchCV(make_classifier(), cv=GroupKFold(2)).fit(*iris, groups=np.ones(3))

    @pytest.mark.parametrize("name", ["search", "selector"])
    @pytest.mark.parametrize(
        ("cv", "match"),
        [
            ([([0, 1, 60], [999])], "Split 0 of cv has the test row 999, but X has 150 rows"),
            ([([0, 60], [1]), ([150, 0], [1])], "Split 1 of cv has the training row 150"),
            ([([0, 60], [-151])], "Split 0 of cv has the test row -151"),
            ([([0.5], [1])], "Split 0 of cv must have the numbers of its training rows, or a mask"),
            ([([0, 1], 3)], "Split 0 of cv must have the numbers of its test rows"),
            ([(None, [1])], "Split 0 of cv must have the numbers of its training rows"),
            ([([[0, 1]], [2])], "Split 0 of cv must have the numbers of its training rows"),
            ([(np.ones(9, dtype=bool), [1])], "Split 0 of cv has a mask over 9 training rows"),
            ([(np.zeros(150, dtype=bool), [1])], "Split 0 of cv has no training rows"),
            ([([], [1])], "Split 0 of cv has no training rows"),
            ([3], "cv must make pairs of training and test rows"),
            ([(1, 2, 3)], "cv must make pairs of training and test rows"),
            ({0: 1}, "cv must make pairs of training and test rows"),
        ],
    )
    def test_splits(self, iris, name, cv, match):
        with pytest.raises((ValueError, TypeError), match=match):
            _searches()[name](*iris, cv=cv)


def test_masks_and_negative_numbers_choose_rows(iris):
    X, y = iris
    test = np.arange(150) % 3 == 0
    results = [
        make_search(make_classifier(), cv=[split]).fit(X, y).cv_results_["mean_test_score"]
        for split in (
            (~test, test),
            (np.flatnonzero(~test), np.flatnonzero(test)),
            (np.flatnonzero(~test) - 150, np.flatnonzero(test) - 150),
        )
    ]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
