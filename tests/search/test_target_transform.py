"""A search takes `TransformedTargetRegressor`, around a pipeline or within one."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from models import digest
from searches import LEVELS, KeepsNetworks, make_search
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import make_scorer, mean_absolute_error, r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import NetworkDisplay, OBDFeatureSelector, OBDMLPRegressor, PruningPathDisplay

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
    ),
]


def mlp(**params):
    defaults = {"solver": "lbfgs", "alpha": 1, "max_iter": 20, "random_state": 0}
    return OBDMLPRegressor(hidden_layer_sizes=(6,), **defaults | params)


def curved(regressor):
    return TransformedTargetRegressor(regressor, func=np.arcsinh, inverse_func=np.sinh)


def scaled(regressor):
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


CASES = {
    "bare": (lambda: curved(mlp()), "regressor"),
    "around": (
        lambda: curved(make_pipeline(StandardScaler(), mlp())),
        "regressor__obdmlpregressor",
    ),
    "inside": (
        lambda: make_pipeline(StandardScaler(), curved(mlp())),
        "transformedtargetregressor__regressor",
    ),
    "nested": (
        lambda: make_pipeline(
            StandardScaler(), scaled(make_pipeline(StandardScaler(), curved(mlp())))
        ),
        "transformedtargetregressor__regressor__transformedtargetregressor__regressor",
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    make, name = CASES[request.param]
    return make(), name


def innermost(estimator):
    while not isinstance(estimator, OBDMLPRegressor):
        estimator = (
            estimator.regressor_
            if isinstance(estimator, TransformedTargetRegressor)
            else estimator[-1]
        )
    return estimator


def test_dense_level_scores_as_in_grid_search(diabetes, case):
    estimator, name = case
    params = {"prune_fractions": [0], "cv": KFold(3), "scoring": "neg_mean_absolute_error"}
    search = make_search(estimator, **params).fit(*diabetes)
    grid = GridSearchCV(
        estimator,
        {f"{name}__prune_fraction": [0.0]},
        cv=KFold(3),
        scoring="neg_mean_absolute_error",
    ).fit(*diabetes)
    assert search.best_params_ == grid.best_params_
    for fold in range(3):
        column = f"split{fold}_test_score"
        np.testing.assert_array_equal(search.cv_results_[column], grid.cv_results_[column])
    np.testing.assert_array_equal(search.predict(diabetes[0]), grid.predict(diabetes[0]))
    assert search.score(*diabetes) == grid.score(*diabetes)


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error", "callable"])
def test_levels_are_scored_on_the_scale_of_the_targets(diabetes, case, scoring):
    X, y = diabetes
    estimator, _ = case
    if scoring == "callable":
        # May do anything with the estimator, which is therefore whole.
        def scoring(estimator, X, y):
            return -mean_absolute_error(y, estimator.predict(X))

    search = make_search(estimator, scoring=scoring, cv=KFold(3), refit=False).fit(X, y)
    keeper = KeepsNetworks()
    make_search(estimator, scoring=keeper, cv=KFold(3), refit=False).fit(X, y)
    for index, (_, test) in enumerate(KFold(3).split(X)):
        for level in range(len(LEVELS)):
            at_level = keeper.by_fold()[index][level]
            assert innermost(at_level).prune_fraction == LEVELS[level]
            if scoring is None:
                expected = at_level.score(X[test], y[test])
            else:
                expected = -mean_absolute_error(y[test], at_level.predict(X[test]))
            score = search.cv_results_[f"split{index}_test_score"][level]
            assert score == pytest.approx(expected, rel=1e-12)


def test_network_is_that_of_the_transformed_targets(diabetes, case):
    X, y = diabetes
    estimator, name = case
    search = make_search(estimator, cv=KFold(3), selection=lambda results: 2).fit(X, y)
    best, Z, scaler = search.best_estimator_, X, StandardScaler(with_mean=False, with_std=False)
    if name != "regressor":
        Z = StandardScaler().fit_transform(X)
    if name.count("transformedtargetregressor") == 2:
        Z, scaler = StandardScaler().fit_transform(Z), StandardScaler()
    target = np.arcsinh(scaler.fit_transform(y[:, np.newaxis]).ravel())
    by_hand = mlp().pruning_path(Z, target, prune_fractions=LEVELS).estimator_at(2)
    assert digest(innermost(best)) == digest(by_hand)
    predicted = np.sinh(by_hand.predict(Z))[:, np.newaxis]
    np.testing.assert_allclose(search.predict(X), scaler.inverse_transform(predicted).ravel())
    # It can be fitted again: its parameters are those of an unfitted estimator at this level.
    assert best.get_params()[f"{name}__prune_fraction"] == LEVELS[2]
    again = clone(best)
    assert str(again) == str(best)
    again.fit(X, y)


def test_candidates(diabetes, case):
    estimator, name = case
    search = make_search(estimator, param_grid={f"{name}__alpha": [0.1, 10.0]}, cv=KFold(3))
    search.fit(*diabetes)
    assert len(search.cv_results_["params"]) == 6
    assert set(search.best_params_) == {f"{name}__alpha", f"{name}__prune_fraction"}
    assert innermost(search.best_estimator_).alpha == search.best_params_[f"{name}__alpha"]


def test_names_weights_and_pictures(diabetes):
    X, y = diabetes
    X = pd.DataFrame(X, columns=[f"c{index}" for index in range(X.shape[1])])
    weight = np.linspace(0, 1, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(r2_score).set_score_request(sample_weight=False)
        regressor = mlp().set_fit_request(sample_weight=True)
        search = make_search(curved(regressor), scoring=scorer, cv=KFold(3))
        search.fit(X, y, sample_weight=weight)
    expected = mlp().pruning_path(X, np.arcsinh(y), prune_fractions=LEVELS, sample_weight=weight)
    assert digest(innermost(search.best_estimator_)) == digest(
        expected.estimator_at(search.best_index_)
    )
    assert search.feature_names_in_.tolist() == list(X)
    for what in (search, search.best_estimator_):
        assert len(PruningPathDisplay.from_estimator(what).lines_) == 3
        assert set(NetworkDisplay.from_estimator(what).feature_names) <= set(X)


def test_what_is_no_network_is_refused(diabetes):
    for regressor in (None, LinearRegression(), make_pipeline(LinearRegression())):
        with pytest.raises(TypeError, match="must be an OBDMLPClassifier"):
            make_search(TransformedTargetRegressor(regressor)).fit(*diabetes)


def stale(fitted, regressor, diabetes):
    """Fitted with one regressor, then given another one."""
    X, y = diabetes
    return curved(fitted).fit(X, np.sign(y)).set_params(regressor=regressor)


@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: make_pipeline(model)])
def test_a_regressor_given_after_a_fit_counts(diabetes, wrap):
    X, y = diabetes
    model, fresh = wrap(stale(Ridge(), mlp(), diabetes)), wrap(curved(mlp()))
    search, expected = (make_search(m, cv=KFold(3)).fit(X, y) for m in (model, fresh))
    assert search.best_params_ == expected.best_params_
    np.testing.assert_array_equal(search.predict(X), expected.predict(X))
    selector, expected = (OBDFeatureSelector(m).fit(X, y) for m in (model, fresh))
    np.testing.assert_array_equal(selector.ranking_, expected.ranking_)
    piped = make_pipeline(StandardScaler(), mlp())
    search = make_search(stale(mlp(), piped, diabetes), cv=KFold(3)).fit(X, y)
    assert set(search.best_params_) == {"regressor__obdmlpregressor__prune_fraction"}
    grid = {"transformedtargetregressor": [stale(Ridge(), mlp(), diabetes)]}
    search = make_search(make_pipeline(StandardScaler(), curved(mlp())), param_grid=grid)
    assert innermost(search.fit(X, y).best_estimator_).n_weights_total_ == 66
    tags = OBDFeatureSelector(stale(piped, mlp(), diabetes)).__sklearn_tags__()
    assert not tags.input_tags.allow_nan


@pytest.mark.parametrize("make", [make_search, OBDFeatureSelector])
def test_a_network_fitted_before_does_not_count(diabetes, make):
    with pytest.raises(TypeError, match=r"(?s)must be an OBDMLPClassifier.*Ridge"):
        make(stale(mlp(), Ridge(), diabetes)).fit(*diabetes)
