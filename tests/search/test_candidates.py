"""Other parameters chosen together with the level: one path for each candidate and fold."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from models import digest
from searches import LEVELS, KeepsNetworks, assert_same_results, make_classifier, make_search
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, ParameterGrid, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skobd import OBDMLPClassifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
    ),
]


def make_pipe(**params):
    return Pipeline([("scaler", StandardScaler()), ("mlp", make_classifier(**params))])


GRIDS = {
    "one": (make_classifier, {"alpha": [0.01, 1.0]}),
    "two": (make_classifier, {"alpha": [0.01, 1.0], "hidden_layer_sizes": [(4, 2), 5]}),
    "list": (
        make_classifier,
        [{"alpha": [1.0], "activation": ["tanh", "relu"]}, {"granularity": ["unit"]}],
    ),
    "pipeline": (
        make_pipe,
        [
            {"scaler__with_mean": [False], "mlp__alpha": [0.1, 1.0]},
            {"scaler": ["passthrough", MinMaxScaler()]},
            {"mlp": [make_classifier(alpha=3.0)], "mlp__activation": ["tanh"]},
        ],
    ),
}


@pytest.fixture(params=GRIDS)
def case(request):
    make, grid = GRIDS[request.param]
    return make(), grid


def single_searches(estimator, grid, **params):
    """A search of its own for each candidate."""
    for candidate in ParameterGrid(grid):
        yield make_search(clone(estimator).set_params(**clone(candidate, safe=False)), **params)


def test_rows_are_those_of_single_searches(iris, case):
    estimator, grid = case
    search = make_search(estimator, param_grid=grid, return_train_score=True, refit=False)
    results = search.fit(*iris).cv_results_
    for index, single in enumerate(single_searches(*case, return_train_score=True)):
        expected = single.fit(*iris).cv_results_
        rows = slice(index * len(LEVELS), (index + 1) * len(LEVELS))
        for name, column in expected.items():
            if name.startswith(("split", "mean", "std", "sem")) and not name.endswith("_time"):
                np.testing.assert_array_equal(results[name][rows], column, err_msg=name)


def test_columns_are_those_of_a_grid_search(iris, case):
    estimator, grid = case
    name = "mlp__prune_fraction" if isinstance(estimator, Pipeline) else "prune_fraction"
    search = make_search(estimator, param_grid=grid, refit=False).fit(*iris)
    rows = [
        {key: [value] for key, value in candidate.items()} | {name: [level]}
        for candidate in ParameterGrid(grid)
        for level in LEVELS
    ]
    grid_search = GridSearchCV(estimator, rows, cv=3, refit=False).fit(*iris)
    expected = grid_search.cv_results_
    ours = {f"{what}_n_weights" for what in ("mean", "split0", "split1", "split2")}
    if any("granularity" in row for row in rows):
        ours |= {name.replace("weights", "units") for name in ours}
    assert set(search.cv_results_) == set(expected) | ours | {"sem_test_score"}
    for column in expected:
        if column.startswith("param_"):
            actual, wanted = search.cv_results_[column], expected[column]
            assert [str(value) for value in actual] == [str(value) for value in wanted]
            assert actual.dtype == wanted.dtype
            np.testing.assert_array_equal(actual.mask, wanted.mask)
    for actual, wanted in zip(search.cv_results_["params"], expected["params"], strict=True):
        assert {name: str(value) for name, value in actual.items()} == {
            name: str(value) for name, value in wanted.items()
        }
    frame = pd.DataFrame(search.cv_results_)
    assert len(frame) == len(rows)
    assert frame["rank_test_score"].min() == 1


def test_dense_level_scores_as_in_grid_search(iris):
    grid = {"alpha": [0.01, 1.0], "hidden_layer_sizes": [(3,), (4, 2)]}
    search = make_search(param_grid=grid, prune_fractions=[0], refit=False).fit(*iris)
    with_level = grid | {"prune_fraction": [0.0]}
    expected = GridSearchCV(make_classifier(), with_level, cv=3, refit=False).fit(*iris)
    assert search.cv_results_["params"] == expected.cv_results_["params"]
    for column in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(search.cv_results_[column], expected.cv_results_[column])


@pytest.mark.parametrize("chosen", [0, 4, 8])
def test_best_estimator_is_the_step_of_the_candidates_path(iris, chosen):
    grid = {"alpha": [0.01, 1.0, 10.0]}
    search = make_search(param_grid=grid, selection=lambda results: chosen).fit(*iris)
    alpha, level = grid["alpha"][chosen // 3], chosen % 3
    at_step = (
        make_classifier(alpha=alpha).pruning_path(*iris, prune_fractions=LEVELS).estimator_at(level)
    )
    assert digest(search.best_estimator_) == digest(at_step)
    assert search.best_estimator_.get_params() == at_step.get_params()
    assert search.best_params_ == {"alpha": alpha, "prune_fraction": LEVELS[level]}
    assert search.best_index_ == chosen
    assert search.best_score_ == search.cv_results_["mean_test_score"][chosen]


def test_best_pipeline_has_the_steps_of_its_candidate(iris):
    grid = {"scaler": [StandardScaler(), MinMaxScaler()], "mlp__alpha": [0.1, 5.0]}
    search = make_search(make_pipe(), param_grid=grid, selection=lambda results: -1 % 12)
    X, y = iris
    search.fit(X, y)
    best = search.best_estimator_
    assert isinstance(best["scaler"], MinMaxScaler)
    Z = MinMaxScaler().fit_transform(X)
    by_hand = make_classifier(alpha=5.0).pruning_path(Z, y, prune_fractions=LEVELS).estimator_at(2)
    assert digest(best["mlp"]) == digest(by_hand)
    assert not hasattr(grid["scaler"][1], "scale_")  # the user's own is not touched
    for name, value in search.best_params_.items():
        assert str(best.get_params()[name]) == str(value)


def test_smallest_network_of_all_candidates_is_chosen(iris):
    """A small layer at a dense level may be smaller than a large one at a sparse level."""
    grid = {"hidden_layer_sizes": [(20,), (2,)]}
    search = make_search(param_grid=grid, prune_fractions=[0, 0.3], cv=5).fit(*iris)
    results = search.cv_results_
    means, sizes = results["mean_test_score"], results["mean_n_weights"]
    assert sizes.tolist() == [140, 98, 14, 10]
    best = means.argmax()
    within = means >= means[best] - results["sem_test_score"][best]
    assert sizes[search.best_index_] == sizes[within].min()


@pytest.mark.parametrize("grid", [{}, [{}]], ids=str)
def test_grid_of_nothing_is_a_search_for_the_level(iris, grid):
    search = make_search(param_grid=grid).fit(*iris)
    single = make_search().fit(*iris)
    assert_same_results(search.cv_results_, single.cv_results_)
    assert digest(search.best_estimator_) == digest(single.best_estimator_)


def test_workers_do_not_change_a_bit(iris):
    grid = {"mlp__alpha": [0.01, 1.0], "mlp__solver": ["adam", "lbfgs"]}
    serial = make_search(make_pipe(max_iter=5), param_grid=grid).fit(*iris)
    parallel = make_search(make_pipe(max_iter=5), param_grid=grid, n_jobs=2).fit(*iris)
    assert_same_results(parallel.cv_results_, serial.cv_results_)
    assert digest(parallel.best_estimator_[-1]) == digest(serial.best_estimator_[-1])


def test_paths_of_all_candidates(iris):
    grid = {"alpha": [0.01, 1.0]}
    keeper = KeepsNetworks()
    make_search(param_grid=grid, scoring=keeper, refit=False).fit(*iris)
    expected = KeepsNetworks()
    for single in single_searches(make_classifier(), grid, scoring=expected, refit=False):
        single.fit(*iris)
    assert len(keeper.by_fold()) == 2 * 3
    assert list(map(digest, keeper.kept)) == list(map(digest, expected.kept))


def test_counts_of_what_the_candidates_delete(iris):
    grid = {"granularity": ["weight", "unit", "feature"]}
    results = make_search(param_grid=grid, refit=False).fit(*iris).cv_results_
    nan = np.nan
    assert results["mean_n_weights"][:3].tolist() == [42, 21, 8]
    units, features = results["mean_n_units"], results["mean_n_features"]
    np.testing.assert_array_equal(units, [nan, nan, nan, 6, 3, 1, nan, nan, nan])
    np.testing.assert_array_equal(features, [nan] * 6 + [4, 2, 1])
    np.testing.assert_array_equal(results["split1_n_features"], features)


class FailsOn(TransformerMixin, BaseEstimator):
    """Fails to fit if the marked row is not there."""

    def __init__(self, marked=None):
        self.marked = marked

    def fit(self, X, y=None):
        if self.marked is not None and not (X[:, 0] == self.marked).any():
            raise ValueError("the marked row is missing")
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


def test_candidate_that_fails_is_not_chosen(iris):
    X, y = iris[0].copy(), iris[1]
    X[0, 0] = 99.0  # held out by one fold
    estimator = make_pipeline(FailsOn(), make_classifier())
    grid = {"failson__marked": [None, 99.0, -1.0]}
    search = make_search(estimator, param_grid=grid, error_score=np.nan)
    with (
        pytest.warns(FitFailedWarning, match="12 fits failed out of a total of 27"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(X, y)
    means = search.cv_results_["mean_test_score"]
    # Only the same folds may be compared.
    assert np.isfinite(means).tolist() == [True] * 3 + [False] * 6
    assert search.best_params_["failson__marked"] is None
    assert search.best_index_ < 3


def test_all_candidates_that_fail_say_why(iris):
    estimator = make_pipeline(FailsOn(), make_classifier())
    search = make_search(
        estimator, param_grid={"failson__marked": [-1.0, -2.0]}, error_score=np.nan
    )
    with pytest.raises(ValueError, match=r"All the 18 fits failed, .* the marked row") as caught:
        search.fit(*iris)
    assert str(caught.value.__cause__) == "the marked row is missing"


@pytest.mark.parametrize(
    ("grid", "error", "message"),
    [
        ({"alhpa": [1]}, ValueError, r"param_grid cannot have \{'alhpa': 1\}: Invalid parameter"),
        ({"alpha": []}, ValueError, "'alpha'"),
        ({"alpha": 1.0}, TypeError, "'alpha'"),
        ({"activation": "tanh"}, TypeError, "'activation'"),
        ({"alpha": [0.1, -1]}, ValueError, r"\{'alpha': -1\}: The 'alpha' parameter of OBDMLP"),
        ({"hidden_layer_sizes": [(0,)]}, ValueError, "hidden_layer_sizes must be > 0"),
        ([], ValueError, "param_grid has no candidates"),
        ("alpha", ValueError, "The 'param_grid' parameter"),
        ({"prune_fraction": [0.5]}, ValueError, "'prune_fraction' has no effect.*prune_fractions"),
        ({"n_rounds": [5]}, ValueError, "'n_rounds' has no effect in a search"),
        ({"prune_tol": [0.1]}, ValueError, "'prune_tol' has no effect in a search"),
    ],
    ids=str,
)
def test_bad_grids_are_refused_before_any_work(iris, monkeypatch, grid, error, message):
    monkeypatch.setattr(OBDMLPClassifier, "pruning_path", None)
    with pytest.raises(error, match=message):
        make_search(param_grid=grid, error_score=np.nan).fit(*iris)


@pytest.mark.parametrize(
    ("grid", "error", "message"),
    [
        ({"mlp__prune_fraction": [0.5]}, ValueError, "'mlp__prune_fraction' has no effect"),
        ({"mlp": [LogisticRegression()]}, TypeError, "must be an OBDMLPClassifier"),
        ({"scaler": ["passthrough"], "scaler__with_mean": [True]}, AttributeError, "with_mean"),
        ({"nothing__alpha": [1]}, ValueError, "Invalid parameter 'nothing'"),
    ],
    ids=str,
)
def test_bad_grids_of_a_pipeline(iris, grid, error, message):
    with pytest.raises(error, match=f"param_grid cannot have(.|\n)*{message}"):
        make_search(make_pipe(), param_grid=grid).fit(*iris)


def test_clones_and_nests(iris):
    search = make_search(make_pipe(), param_grid={"mlp__alpha": [0.1, 1.0]})
    again = clone(search).fit(*iris)
    assert_same_results(search.fit(*iris).cv_results_, again.cv_results_)
    search.set_params(estimator__mlp__hidden_layer_sizes=(3,), param_grid={"mlp__alpha": [0.5]})
    assert search.fit(*iris).best_estimator_["mlp"].hidden_layer_sizes == (3,)
    assert cross_val_score(search, *iris, cv=2, error_score="raise").shape == (2,)
    grids = {"param_grid": [{"mlp__alpha": [0.1]}, None]}
    outer = GridSearchCV(search, grids, cv=2, error_score="raise").fit(*iris)
    assert np.isfinite(outer.cv_results_["mean_test_score"]).all()


def test_metadata_reach_every_candidate(iris):
    X, y = iris
    weight, groups = np.where(y == 2, 0.0, 1.0), np.arange(len(y)) % 5
    grid = {"mlp__alpha": [0.1, 1.0]}
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipe()
        pipe["mlp"].set_fit_request(sample_weight=True)
        pipe["scaler"].set_fit_request(sample_weight=False)
        scorer = make_scorer(log_loss, greater_is_better=False, response_method="predict_proba")
        scorer.set_score_request(sample_weight=False)
        search = make_search(pipe, param_grid=grid, scoring=scorer, cv=GroupKFold(3))
        search.fit(X, y, sample_weight=weight, groups=groups)
    train, test = next(GroupKFold(3).split(X, y, groups))
    scaler = StandardScaler().fit(X[train])
    scores = []
    for alpha in grid["mlp__alpha"]:
        path = make_classifier(alpha=alpha).pruning_path(
            scaler.transform(X[train]),
            y[train],
            prune_fractions=LEVELS,
            sample_weight=weight[train],
        )
        for index in range(len(LEVELS)):
            p = path.estimator_at(index).predict_proba(scaler.transform(X[test]))
            scores.append(-log_loss(y[test], p))
    assert search.cv_results_["split0_test_score"].tolist() == scores
