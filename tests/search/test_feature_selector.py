"""OBDFeatureSelector: the inputs it keeps, their ranks, and its manners as a selector."""

import pickle

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from models import digest
from scipy.sparse import csr_array
from searches import assert_same_results
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_transformer,
)
from sklearn.datasets import make_friedman1
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks

from skobd import (
    OBDFeatureSelector,
    OBDMLPClassifier,
    OBDMLPRegressor,
    PruningSearchCV,
    stability_selection,
)
from skobd._prune.schedule import Levels, survivors_at
from skobd._search.feature_selector import rank_by_deletion
from skobd._search.input_levels import falling_counts
from skobd._search.selection import select_level

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
    ),
]

SETTINGS = {"solver": "lbfgs", "alpha": 0.1, "max_iter": 30, "random_state": 0}


def make_classifier(**params):
    return OBDMLPClassifier((6,), **SETTINGS | params)


def make_regressor(**params):
    return OBDMLPRegressor(hidden_layer_sizes=(6,), **SETTINGS | params)


CHECKED = {"solver": "lbfgs", "max_iter": 20, "retrain_max_iter": 3} | {
    "n_regrow": 0,
    "random_state": 0,
}
# Older releases of scikit-learn hand over a generator, which pytest 9 warns of.
CHECKS = parametrize_with_checks(
    [
        OBDFeatureSelector(OBDMLPClassifier((5,), **CHECKED), cv=2),
        OBDFeatureSelector(OBDMLPRegressor(hidden_layer_sizes=(5,), **CHECKED)),
    ]
)


# Checks give unscaled data.
@pytest.mark.filterwarnings("ignore:Inputs are far off scale:UserWarning")
# A check gives infinite labels, which scikit-learn itself casts to integers to look at them.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


# ---------------------------------------------------------------------- counts and ranks


@pytest.mark.parametrize(
    ("n_total", "n_left", "step", "expected"),
    [
        (10, 4, 2, [10, 8, 6, 4]),
        (10, 3, 2, [10, 8, 6, 4, 3]),
        (10, 4, 100, [10, 4]),
        (5, 5, 1, [5]),
        (5, 5, 0.3, [5]),
        (1, 1, 0.3, [1]),
        (64, 16, 0.5, [64, 32, 16]),
        (100, 50, 0.3, [100, 71, 50]),
        (4, 1, 0.01, [4, 3, 2, 1]),
        (100, 1, 0.999, [100, 1]),
    ],
)
def test_counts_fall_to_what_is_asked(n_total, n_left, step, expected):
    assert falling_counts(n_total, n_left, step) == expected


@pytest.mark.parametrize("n_total", [2, 3, 64, 617, 784, 10_007])
@pytest.mark.parametrize("step", [1, 7, 0.01, 0.3, 0.9])
def test_counts_are_levels_and_back(n_total, step):
    counts = falling_counts(n_total, 1, step)
    assert counts[0] == n_total
    assert counts[-1] == 1
    assert (np.diff(counts) < 0).all()
    fractions = Levels.of(None, counts).fractions(n_total)
    assert survivors_at(fractions, n_total) == counts
    assert all(0 <= fraction < 1 for fraction in fractions)


def test_ranks_are_those_of_rfe_for_the_same_masks():
    masks = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [1, 0, 1, 0, 0]], dtype=bool)
    assert rank_by_deletion(masks).tolist() == [1, 3, 1, 2, 3]
    # RFE deletes columns by their coefficients, two at a time.
    X = np.eye(5)
    rfe = RFE(LinearRegression(fit_intercept=False), n_features_to_select=1, step=2)
    rfe.fit(X, [5.0, 1.0, 4.0, 3.0, 2.0])
    masks = np.array([[1] * 5, [1, 0, 1, 1, 0], [1, 0, 0, 0, 0]], dtype=bool)
    assert rank_by_deletion(masks).tolist() == rfe.ranking_.tolist()


# ---------------------------------------------------------------------- what is selected


@pytest.mark.parametrize("asked", [2, 7, 0.3, 1.0, None])
@pytest.mark.parametrize("step", [1, 3, 0.3])
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_support_and_ranks_are_those_of_the_path(binary, diabetes, kind, asked, step):
    X, y = binary if kind == "classifier" else diabetes
    estimator = make_classifier() if kind == "classifier" else make_regressor()
    selector = OBDFeatureSelector(estimator, n_features_to_select=asked, step=step).fit(X, y)
    n_left = {2: 2, 7: 7, 0.3: 3, 1.0: 10, None: 5}[asked]
    counts = falling_counts(10, n_left, step)
    path = clone(estimator).set_params(granularity="feature").pruning_path(X, y, sizes=counts)
    assert path.n_features.tolist() == counts
    last = path.estimator_at(-1)
    np.testing.assert_array_equal(selector.get_support(indices=True), last.used_features_)
    assert digest(selector.estimator_) == digest(last)
    assert selector.n_features_ == n_left
    left = [set(path.estimator_at(i).used_features_) for i in range(len(counts))]
    for column, rank in enumerate(selector.ranking_):
        # The level of rank 1 is the last one.
        assert column in left[len(counts) - rank]
        assert rank == 1 or column not in left[len(counts) - rank + 1]
    np.testing.assert_array_equal(selector.support_, selector.ranking_ == 1)
    np.testing.assert_array_equal(selector.path_.input_masks()[-1], selector.support_)
    np.testing.assert_array_equal(selector.predict(X), last.predict(X))
    assert selector.score(X, y) == last.score(X, y)


def test_what_is_not_selected_may_hold_anything(binary):
    X, y = binary
    selector = OBDFeatureSelector(make_classifier(), n_features_to_select=3).fit(X, y)
    other = np.where(selector.support_, X, 1e6)
    np.testing.assert_array_equal(selector.predict_proba(other), selector.predict_proba(X))


def test_settings_of_the_estimator_that_do_not_count(binary):
    plain = OBDFeatureSelector(make_classifier(), n_features_to_select=3).fit(*binary)
    odd = make_classifier(granularity="unit", prune_fraction=0.1, n_rounds=2, prune_tol=0.0)
    selector = OBDFeatureSelector(odd, n_features_to_select=3).fit(*binary)
    assert digest(selector.estimator_) == digest(plain.estimator_)
    assert odd.granularity == "unit"
    assert not hasattr(odd, "_fitted")
    assert selector.estimator_.granularity == "feature"


def test_inputs_of_friedman_are_found():
    for seed in range(3):
        X, y = make_friedman1(n_samples=400, n_features=25, noise=0.5, random_state=seed)
        mlp = OBDMLPRegressor(
            hidden_layer_sizes=(10,),
            criterion="kfac",
            solver="lbfgs",
            alpha=1,
            max_iter=300,
            random_state=0,
        )
        selector = OBDFeatureSelector(mlp, n_features_to_select=5).fit(X, y)
        assert selector.get_support(indices=True).tolist() == [0, 1, 2, 3, 4]


def test_inputs_of_xor_are_found_where_each_alone_says_nothing():
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(500, 20))
    y = X[:, 3] * X[:, 11] > 0
    mlp = OBDMLPClassifier(
        (20,), activation="tanh", solver="lbfgs", alpha=0.3, max_iter=500, random_state=0
    )
    selector = OBDFeatureSelector(mlp, n_features_to_select=2).fit(X, y)
    assert selector.get_support(indices=True).tolist() == [3, 11]
    assert selector.score(X, y) == 1


def test_more_inputs_than_there_are_keep_all(iris):
    selector = OBDFeatureSelector(make_classifier(), n_features_to_select=5)
    with pytest.warns(UserWarning, match="n_features_to_select=5 is more than the 4 inputs"):
        selector.fit(*iris)
    assert selector.support_.all()
    assert selector.estimator_.sparsity_ == 0


def test_one_input_is_kept(iris):
    X, y = iris
    selector = OBDFeatureSelector(make_classifier()).fit(X[:, 2:3], y)
    assert selector.support_.tolist() == [True]
    assert (
        OBDFeatureSelector(make_classifier(), n_features_to_select=0.1).fit(X, y).n_features_ == 1
    )


# ---------------------------------------------------------------------- cross-validation


def make_cv_selector(estimator=None, **params):
    return OBDFeatureSelector(estimator or make_classifier(), **{"cv": 3, "step": 2} | params)


def test_results_are_those_of_a_search_over_the_levels(binary):
    selector = make_cv_selector().fit(*binary)
    counts = [10, 8, 6, 4, 2, 1]
    search = PruningSearchCV(make_classifier(granularity="feature"), sizes=counts, cv=3).fit(
        *binary
    )
    results = selector.cv_results_
    assert results["param_n_features_to_select"].tolist() == counts
    assert results["params"] == [{"n_features_to_select": count} for count in counts]
    for name in ("mean_test_score", "sem_test_score", "split1_test_score", "mean_n_weights"):
        np.testing.assert_array_equal(results[name], search.cv_results_[name])
    assert pd.DataFrame(results).shape[0] == len(counts)
    assert selector.best_index_ == search.best_index_
    assert selector.n_features_ == counts[search.best_index_]
    assert digest(selector.estimator_) == digest(search.best_estimator_)
    assert selector.n_splits_ == 3
    assert len(selector.path_.steps) == len(counts)


@pytest.mark.parametrize("selection", ["best", "one_standard_error", lambda results: 3])
def test_level_is_chosen_by_the_rule(binary, selection):
    selector = make_cv_selector(selection=selection, scoring="neg_log_loss").fit(*binary)
    chosen = select_level(selector.cv_results_, "score", selection)
    assert selector.best_index_ == chosen
    assert selector.n_features_ == [10, 8, 6, 4, 2, 1][chosen]
    assert selector.ranking_.max() == chosen + 1
    assert selector.score(*binary) < 0


def test_a_given_number_is_kept_whatever_the_scores(binary):
    selector = make_cv_selector(n_features_to_select=4).fit(*binary)
    assert selector.n_features_ == 4
    assert selector.best_index_ == 3
    assert selector.cv_results_["param_n_features_to_select"].tolist() == [10, 8, 6, 4]


def test_attributes_of_an_earlier_fit_are_gone(binary):
    selector = make_cv_selector().fit(*binary)
    selector.set_params(cv=None).fit(*binary)
    assert not {"cv_results_", "n_splits_"} & set(vars(selector))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_do_not_change_a_bit(binary, backend):
    serial = make_cv_selector().fit(*binary)
    with parallel_config(backend=backend):
        parallel = make_cv_selector(n_jobs=2).fit(*binary)
    assert_same_results(parallel.cv_results_, serial.cv_results_)
    np.testing.assert_array_equal(parallel.ranking_, serial.ranking_)


@pytest.mark.parametrize("verbose", [0, 1])
def test_verbose_prints_a_line_for_each_path(binary, capsys, verbose):
    make_cv_selector(verbose=verbose).fit(*binary)
    lines = capsys.readouterr().out.splitlines()
    if not verbose:
        assert not lines
        return
    assert lines[0].startswith("path")
    assert sum(line.startswith("fold") for line in lines) == 3


# ---------------------------------------------------------------------- as a selector


def test_transform_keeps_the_selected_columns(binary):
    X, y = binary
    frame = pd.DataFrame(X, columns=list("abcdefghij"))
    selector = OBDFeatureSelector(make_classifier(), n_features_to_select=4).fit(frame, y)
    names = np.array(list("abcdefghij"))[selector.support_]
    assert selector.get_feature_names_out().tolist() == names.tolist()
    np.testing.assert_array_equal(selector.transform(frame), X[:, selector.support_])
    chosen = selector.set_output(transform="pandas").transform(frame)
    pd.testing.assert_frame_equal(chosen, frame[list(names)])
    back = selector.inverse_transform(chosen)
    np.testing.assert_array_equal(back, np.where(selector.support_, X, 0))
    assert selector.feature_names_in_.tolist() == list("abcdefghij")
    sparse = OBDFeatureSelector(make_classifier(), n_features_to_select=4).fit(csr_array(X), y)
    np.testing.assert_array_equal(sparse.support_, selector.support_)
    np.testing.assert_array_equal(sparse.transform(csr_array(X)).toarray(), X[:, selector.support_])


def test_kind_of_estimator_is_that_of_the_network():
    assert is_classifier(OBDFeatureSelector(make_classifier()))
    assert is_regressor(OBDFeatureSelector(make_regressor()))
    assert hasattr(OBDFeatureSelector(make_classifier()), "predict_proba")
    assert not hasattr(OBDFeatureSelector(make_regressor()), "predict_proba")
    assert not hasattr(OBDFeatureSelector(make_regressor()), "classes_")


def test_several_outputs(diabetes):
    X, y = diabetes
    both = np.column_stack([y, X[:, 2]])
    selector = make_cv_selector(make_regressor(criterion="kfac")).fit(X, both)
    assert selector.predict(X).shape == both.shape
    assert selector.score(X, both) == selector.estimator_.score(X, both)
    labels = np.column_stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 0]).astype(int)
    selector = OBDFeatureSelector(make_classifier(criterion="kfac"), n_features_to_select=3)
    selector.fit(X, labels)
    assert selector.get_support(indices=True).tolist() == [0, 1, 2]
    assert selector.predict(X).shape == labels.shape


@pytest.mark.parametrize("criterion", ["obd", "kfac", "unit_obs", "magnitude"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_columns(binary, criterion, value):
    X, y = binary
    X = np.hstack([np.full((len(X), 4), value), X[:, :3]])
    mlp = make_classifier(criterion=criterion, alpha=1, retrain_max_iter=30)
    selector = OBDFeatureSelector(mlp, n_features_to_select=3).fit(X, y)
    assert selector.n_features_ == 3
    if criterion == "kfac":
        assert selector.get_support(indices=True).tolist() == [4, 5, 6]
    # Where nothing says anything, there are still as many as asked for.
    assert OBDFeatureSelector(mlp, n_features_to_select=2).fit(X[:, :4], y).n_features_ == 2


def test_probabilities_are_those_of_the_network(iris):
    X, y = iris
    selector = OBDFeatureSelector(make_classifier()).fit(X, np.array(list("abc"))[y])
    assert selector.classes_.tolist() == list("abc")
    p = selector.predict_proba(X)
    np.testing.assert_array_equal(p, selector.estimator_.predict_proba(X))
    np.testing.assert_array_equal(selector.predict_log_proba(X), np.log(p))


def test_in_a_pipeline_before_another_estimator(binary):
    X, y = binary
    selector = OBDFeatureSelector(make_classifier(), n_features_to_select=3)
    pipe = make_pipeline(StandardScaler(), selector, LogisticRegression()).fit(X, y)
    assert pipe[-1].coef_.shape == (1, 3)
    assert pipe.score(X, y) > 0.9
    names = pipe[:-1].get_feature_names_out()
    assert names.tolist() == [f"x{i}" for i in np.flatnonzero(pipe[1].support_)]


def test_in_a_column_transformer(binary):
    X, y = binary
    frame = pd.DataFrame(X, columns=list("abcdefghij"))
    frame["kind"] = np.where(X[:, 0] > 0, "left", "right")
    selector = OBDFeatureSelector(make_classifier(), n_features_to_select=2)
    columns = ColumnTransformer(
        [("few", selector, list("abcdefghij")), ("codes", OneHotEncoder(), ["kind"])]
    )
    out = columns.fit_transform(frame, y)
    assert out.shape == (len(y), 2 + 2)
    assert columns.get_feature_names_out()[-1] == "codes__kind_right"


def test_number_of_inputs_in_a_grid(binary):
    X, y = binary
    pipe = make_pipeline(OBDFeatureSelector(make_classifier()), LogisticRegression())
    grid = GridSearchCV(
        pipe,
        {
            "obdfeatureselector__n_features_to_select": [1, 6],
            "obdfeatureselector__estimator__alpha": [0.1],
        },
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert grid.best_estimator_[0].n_features_ in (1, 6)


@pytest.mark.parametrize("cv", [None, 2])
def test_pipeline_within_the_selector(binary, cv):
    X, y = binary
    pipe = make_pipeline(StandardScaler(), make_classifier())
    shifted = 3 * X + 5
    selector = OBDFeatureSelector(pipe, n_features_to_select=3, cv=cv).fit(shifted, y)
    alone = OBDFeatureSelector(make_classifier(), n_features_to_select=3)
    alone.fit(StandardScaler().fit_transform(shifted), y)
    np.testing.assert_array_equal(selector.ranking_, alone.ranking_)
    np.testing.assert_array_equal(
        selector.predict(shifted), alone.predict(StandardScaler().fit_transform(shifted))
    )
    assert selector.estimator_[-1].n_features_in_ == 10
    assert not hasattr(pipe[0], "mean_")
    np.testing.assert_array_equal(selector.transform(shifted), shifted[:, selector.support_])


@pytest.mark.parametrize("cv", [None, 2])
def test_missing_values_are_for_the_transformers(binary, cv):
    X, y = binary
    missing = X.copy()
    missing[::7, 0] = np.nan
    pipe = make_pipeline(SimpleImputer(), make_classifier())
    selector = OBDFeatureSelector(pipe, n_features_to_select=3, cv=cv).fit(missing, y)
    np.testing.assert_array_equal(selector.transform(missing), missing[:, selector.support_])
    assert selector.predict(missing).shape == y.shape
    # A scaler lets them through to the network, and a network alone refuses them.
    for estimator in (make_pipeline(StandardScaler(), make_classifier()), make_classifier()):
        with pytest.raises(ValueError, match="NaN"):
            OBDFeatureSelector(estimator, cv=cv).fit(missing, y)


def test_columns_of_several_types(binary):
    X, y = binary
    table = pd.DataFrame(X[:, :4], columns=list("abcd"))
    table["kind"] = np.where(y == 1, "left", "right").astype(object)
    table.loc[0, "kind"] = None
    columns = make_column_transformer(
        (StandardScaler(), list("abcd")),
        (make_pipeline(OrdinalEncoder(encoded_missing_value=-1), StandardScaler()), ["kind"]),
    )
    selector = OBDFeatureSelector(make_pipeline(columns, make_classifier()), step=1)
    chosen = selector.fit(table, y).set_output(transform="pandas").transform(table)
    assert "kind" in chosen.columns
    pd.testing.assert_frame_equal(chosen, table[list(chosen.columns)])


@pytest.mark.parametrize("cv", [None, 3])
def test_pickles_and_clones(binary, cv):
    X, y = binary
    selector = OBDFeatureSelector(make_classifier(), n_features_to_select=3, cv=cv).fit(X, y)
    again = pickle.loads(pickle.dumps(selector))
    np.testing.assert_array_equal(again.ranking_, selector.ranking_)
    np.testing.assert_array_equal(again.predict_proba(X), selector.predict_proba(X))
    assert digest(again.path_.estimator_at(1)) == digest(selector.path_.estimator_at(1))
    fresh = clone(selector)
    assert not hasattr(fresh, "support_")
    np.testing.assert_array_equal(fresh.fit(X, y).ranking_, selector.ranking_)


def test_notebooks_show_the_network(binary):
    selector = OBDFeatureSelector(make_classifier())
    assert "estimator: OBDMLPClassifier" in selector._repr_html_()
    assert "estimator_: OBDMLPClassifier" in selector.fit(*binary)._repr_html_()


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_features_to_select": 0}, "The 'n_features_to_select' parameter"),
        ({"n_features_to_select": 1.5}, "The 'n_features_to_select' parameter"),
        ({"n_features_to_select": "all"}, "The 'n_features_to_select' parameter"),
        ({"step": 0}, "The 'step' parameter"),
        ({"step": 1.0}, "The 'step' parameter"),
        ({"cv": "many"}, "The 'cv' parameter"),
        ({"selection": "worst"}, "The 'selection' parameter"),
        ({"scoring": ["accuracy", "neg_log_loss"]}, "The 'scoring' parameter"),
        ({"cv": []}, "made no splits"),
        ({"cv": [(np.arange(100), np.arange(0))]}, "Split 0 of cv has no test rows"),
        ({"cv": 3, "scoring": lambda estimator, X, y: {"a": 1}}, "scoring must give one number"),
    ],
)
def test_wrong_parameters_are_refused(binary, params, message):
    selector = OBDFeatureSelector(make_classifier())
    selector.fit(*binary)
    before = {name: id(value) for name, value in vars(selector).items()}
    selector.set_params(**params)
    with pytest.raises(ValueError, match=message):
        selector.fit(*binary)
    selector.set_params(**dict.fromkeys(params))
    assert {name for name in before if id(getattr(selector, name)) != before[name]} <= set(params)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(make_classifier(), StandardScaler()),
        PruningSearchCV(make_classifier()),
        None,
    ],
)
def test_estimator_without_pruning_is_refused(iris, estimator):
    with pytest.raises(TypeError, match="estimator must be an OBDMLPClassifier"):
        OBDFeatureSelector(estimator).fit(*iris)


@pytest.mark.parametrize("transformer", [PolynomialFeatures(), PCA(2)])
def test_transformers_that_change_the_columns_are_refused(iris, transformer):
    n_made = transformer.fit_transform(iris[0]).shape[1]
    selector = OBDFeatureSelector(make_pipeline(transformer, make_classifier()))
    with pytest.raises(ValueError, match=f"estimator makes {n_made} columns of the 4 of X"):
        selector.fit(*iris)
    assert not hasattr(selector, "support_")
    assert not hasattr(selector, "n_features_in_")


def test_failed_fit_leaves_the_selector_as_it_was(binary):
    X, y = binary
    selector = make_cv_selector().fit(X, y)
    before = {name: id(value) for name, value in vars(selector).items()}
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        selector.fit(bad, y)
    assert {name: id(value) for name, value in vars(selector).items()} == before


def test_before_fit_nothing_is_known(binary):
    selector = OBDFeatureSelector(make_classifier())
    for call in (selector.transform, selector.predict, lambda X: selector.get_support()):
        with pytest.raises(NotFittedError):
            call(binary[0])


def test_interrupt_ends_the_fit(binary, monkeypatch):
    selector = OBDFeatureSelector(make_classifier()).fit(*binary)
    before = selector.path_

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(OBDMLPClassifier, "pruning_path", interrupted)
    with pytest.raises(KeyboardInterrupt):
        selector.fit(*binary)
    assert selector.path_ is before


def test_folds_are_those_given(binary):
    X, y = binary
    for cv in (KFold(4), StratifiedKFold(4), list(KFold(4).split(X))):
        selector = make_cv_selector(cv=cv, n_features_to_select=6).fit(X, y)
        assert selector.n_splits_ == 4
    train, test = next(iter(KFold(4).split(X)))
    kept = make_classifier(granularity="feature").pruning_path(
        X[train], y[train], prune_fractions=[0.4]
    )
    score = accuracy_score(y[test], kept.estimator_at(1).predict(X[test]))
    selector = make_cv_selector(cv=KFold(4), n_features_to_select=6, step=4).fit(X, y)
    assert selector.cv_results_["split0_test_score"][1] == score


# ---------------------------------------------------------------------- groups of columns


@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("groups", [[[0, 1, 2], [5, 9]], {"size": ["a", "b", "c"], "edge": "fj"}])
def test_columns_of_a_group_live_and_die_together(binary, groups, cv):
    X, y = binary
    frame = pd.DataFrame(X, columns=list("abcdefghij"))
    if isinstance(groups, dict):
        groups = {name: list(columns) for name, columns in groups.items()}
    mlp = make_classifier(feature_groups=groups, granularity="feature")
    selector = OBDFeatureSelector(mlp, n_features_to_select=3, step=1, cv=cv).fit(frame, y)
    # Two groups and five columns.
    assert selector.path_.n_features.tolist() == [7, 6, 5, 4, 3]
    path = mlp.pruning_path(frame, y, sizes=[7, 6, 5, 4, 3])
    assert digest(selector.estimator_) == digest(path.estimator_at(-1))
    for group in ([0, 1, 2], [5, 9]):
        assert len(set(selector.ranking_[group])) == 1
    assert selector.n_features_ == selector.support_.sum() >= 3
    assert selector.transform(frame).shape[1] == selector.n_features_
    half = OBDFeatureSelector(mlp).fit(frame, y)
    assert half.path_.n_features[-1] == 3


@pytest.mark.parametrize(
    "as_given", [np.array, tuple, lambda groups: {"a": groups[0], "b": np.array(groups[1])}]
)
def test_groups_are_counted_however_they_are_given(binary, as_given):
    X, y = binary
    groups = [[0, 1, 2], [5, 6, 9]]
    mlp = make_classifier(feature_groups=as_given(groups))
    selector = OBDFeatureSelector(mlp, n_features_to_select=2, step=1).fit(X, y)
    assert selector.path_.n_features.tolist() == [6, 5, 4, 3, 2]
    as_lists = make_classifier(feature_groups=groups)
    expected = OBDFeatureSelector(as_lists, n_features_to_select=2, step=1).fit(X, y)
    np.testing.assert_array_equal(selector.ranking_, expected.ranking_)
    settings = {"n_features_to_select": 2, "n_subsamples": 2, "random_state": 0}
    result, expected = (stability_selection(m, X, y, **settings) for m in (mlp, as_lists))
    assert result.n_features[[0, -1]].tolist() == [6, 2]
    np.testing.assert_array_equal(result.error_bound, expected.error_bound)
    np.testing.assert_array_equal(result.masks, expected.masks)


@pytest.mark.parametrize("groups", [[[0, 1], [1, 2]], [[0, 99]], [3, 4], [[]]])
def test_groups_that_are_none_are_refused(binary, groups):
    selector = OBDFeatureSelector(make_classifier(feature_groups=groups))
    with pytest.raises((TypeError, ValueError), match="feature_groups"):
        selector.fit(*binary)
    assert not hasattr(selector, "support_")


def test_target_is_transformed(diabetes):
    X, y = diabetes
    model = TransformedTargetRegressor(make_regressor(), func=np.sinh, inverse_func=np.arcsinh)
    selector = OBDFeatureSelector(model, n_features_to_select=3).fit(X, y)
    alone = OBDFeatureSelector(make_regressor(), n_features_to_select=3).fit(X, np.sinh(y))
    np.testing.assert_array_equal(selector.ranking_, alone.ranking_)
    np.testing.assert_allclose(selector.predict(X), np.arcsinh(alone.predict(X)))


def test_warnings_of_all_paths_are_told_once(binary):
    selector = make_cv_selector(make_classifier(max_iter=1, retrain_max_iter=None))
    with pytest.warns(UserWarning, match="The first of 4 such warnings") as caught:
        selector.fit(*binary)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize("step", [1e-300, 1e-9, 0.001])
def test_tiny_steps_go_one_by_one(step):
    assert falling_counts(40, 3, step) == list(range(40, 2, -1))
