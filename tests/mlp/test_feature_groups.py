"""The parameter ``feature_groups``: whole groups of columns go, and are reported by name."""

import copy
import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import skops.io
from models import ESTIMATORS, digest, make, plain
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from skobd import FeaturePathDisplay, OBDMLPClassifier, PruningSearchCV
from skobd._mlp.feature_groups import columns_by_group, resolve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

COLUMNS = ["age", "job_a", "job_b", "job_c", "pay", "sex_f", "sex_m", "zip"]
GROUPS = {"job": [1, 2, 3], "sex": [5, 6]}
# age, job, pay, sex, zip
N_GROUPS = 5


@pytest.fixture(scope="module")
def table():
    """Age and job matter."""
    rng = np.random.default_rng(0)
    job, sex = rng.integers(3, size=150), rng.integers(2, size=150)
    numbers = rng.normal(size=(150, 3))
    X = np.column_stack(
        [numbers[:, 0], np.eye(3)[job], numbers[:, 1], np.eye(2)[sex], numbers[:, 2]]
    )
    return X, 2 * numbers[:, 0] + np.array([-2, 0, 2])[job]


def fit(kind, table, groups=GROUPS, X=None, **params):
    X, y = table[0] if X is None else X, table[1]
    defaults = {
        "granularity": "feature",
        "feature_groups": groups,
        "solver": "lbfgs",
        "prune_fraction": 0.6,
        "max_iter": 40,
    }
    return make(kind, **defaults | params).fit(X, y > 0 if kind == "classifier" else y)


def targets(kind, table):
    return table[1] > 0 if kind == "classifier" else table[1]


def assert_whole_groups(model, n_left):
    mask = model.coef_masks_[0]
    kept = mask.any(axis=1)
    assert_array_equal(mask, np.broadcast_to(kept[:, None], mask.shape))
    kept_groups = [kept[columns] for columns in model.feature_groups_.values()]
    assert all(len(set(group)) == 1 for group in kept_groups)
    assert sum(group[0] for group in kept_groups) == n_left


@pytest.mark.parametrize("kind", ESTIMATORS)
class TestEverywhere:
    @pytest.mark.parametrize("prune_fraction", [0.0, 0.2, 0.4, 0.6, 0.8])
    def test_fit(self, kind, table, prune_fraction):
        model = fit(kind, table, prune_fraction=prune_fraction)
        n_left = round((1 - prune_fraction) * N_GROUPS)
        assert_whole_groups(model, n_left)
        assert model._fitted.n_total == N_GROUPS
        assert model._fitted.n_left == n_left
        if prune_fraction:
            assert model.pruning_history_["n_features"][-1] == n_left
        # Importances stay those of columns; their sums are those of groups.
        importances = model.feature_importances_
        assert importances.shape == (8,)
        assert importances.sum() == pytest.approx(1)
        for columns in model.feature_groups_.values():
            is_used = model.coef_masks_[0][columns].any()
            assert (importances[columns].sum() > 0) == is_used

    def test_what_matters_is_kept(self, kind, table):
        model = fit(kind, table)
        assert_array_equal(model.get_used_feature_names(), ["x0", "job"])
        assert_array_equal(model.used_features_, [0, 1, 2, 3])
        wild = table[0].copy()
        wild[:, 4:] = 1e9
        assert_array_equal(model.predict(wild), model.predict(table[0]))

    def test_groups_of_one_are_no_groups(self, kind, table):
        expected = digest(fit(kind, table, None))
        names = {name: [place] for place, name in enumerate(COLUMNS)}
        for groups in ([[7], [0]], [[place] for place in range(8)], names):
            assert digest(fit(kind, table, groups)) == expected

    def test_ways_to_say_it(self, kind, table):
        frame = pd.DataFrame(table[0], columns=COLUMNS)
        expected = digest(fit(kind, table))
        named = {"sex": ["sex_m", "sex_f"], "job": ["job_b", 1, "job_c"]}
        for groups, X in (
            ([[5, 6], [3, 2, 1]], None),
            ((np.array([5, 6]), range(1, 4)), None),
            (named, frame),
            (list(named.values()), frame),
            (GROUPS, frame),
        ):
            model = fit(kind, table, groups, X)
            assert digest(model) == expected
            assert_whole_groups(model, 2)
        assert digest(fit(kind, table, np.array([[1, 2], [3, 5]]))) != expected
        sparse = fit(kind, table, X=sp.csr_array(table[0]))
        assert_array_equal(sparse.coef_masks_[0], model.coef_masks_[0])

    def test_prune(self, kind, table):
        y = targets(kind, table)
        model = fit(kind, table, prune_fraction=0.2)
        for fraction, n_left in ((0.4, 3), (0.8, 1)):
            model.prune(table[0], y, prune_fraction=fraction, n_rounds=1)
            assert_whole_groups(model, n_left)
        with pytest.raises(ValueError, match="of 5 features 1 are left"):
            model.prune(table[0], y, prune_fraction=0.5)
        # Counted by columns, that level is not reached yet.
        model.set_params(feature_groups=None)
        with pytest.raises(ValueError, match="of 8 features"):
            model.prune(table[0], y, prune_fraction=0.5)

    def test_warm_start(self, kind, table):
        model = fit(kind, table, warm_start=True, prune_fraction=0.4)
        model.set_params(prune_fraction=0.8).fit(table[0], targets(kind, table))
        assert_whole_groups(model, 1)

    def test_partial_fit(self, kind, table):
        y = targets(kind, table)
        model = fit(kind, table, solver="adam").partial_fit(table[0], y)
        assert_whole_groups(model, 2)
        classes = {"classes": [False, True]} if kind == "classifier" else {}
        new = make(kind, granularity="feature", feature_groups=GROUPS)
        new.partial_fit(table[0], y, **classes)
        assert list(new.feature_groups_) == ["x0", "job", "x4", "sex", "x7"]
        assert_whole_groups(new.prune(table[0], y, prune_fraction=0.4), 3)

    def test_path_and_search(self, kind, table):
        y = targets(kind, table)
        model = fit(kind, table)
        path = model.pruning_path(table[0], y, prune_fractions=[0.2, 0.4, 0.6, 0.8])
        assert_array_equal(path.n_features, [5, 4, 3, 2, 1])
        for index in range(5):
            at = path.estimator_at(index)
            assert_whole_groups(at, 5 - index)
            assert list(at.feature_groups_) == list(model.feature_groups_)
        search = PruningSearchCV(model, prune_fractions=[0.4, 0.8], cv=2).fit(table[0], y)
        assert_whole_groups(search.best_estimator_, search.best_estimator_._fitted.n_left)
        grid = GridSearchCV(
            model, {"feature_groups": [None, GROUPS, list(GROUPS.values())]}, cv=2
        ).fit(table[0], y)
        assert grid.cv_results_["params"][1]["feature_groups"] == GROUPS

    def test_auto(self, kind, table):
        y = targets(kind, table)
        model = fit(kind, table, prune_fraction="auto", n_rounds=4, max_iter=200)
        n_left = model._fitted.n_left
        assert 2 <= n_left < 5
        assert_whole_groups(model, n_left)
        assert model.score(table[0], y) > 0.9

    def test_regrowth_brings_nothing_back(self, kind, table):
        model = fit(kind, table, n_regrow=3)
        assert not len(model.regrowth_history_["round"])
        assert_whole_groups(model, 2)

    def test_compact(self, kind, table):
        model = fit(kind, table)
        small = model.compact()
        assert_allclose(small.predict(table[0]), model.predict(table[0]), atol=1e-8)
        assert_array_equal(small.get_used_feature_names(), ["x0", "job"])
        assert small.prune_fraction == pytest.approx(0.6)

    def test_saved(self, kind, table):
        model = fit(kind, table)
        file = io.BytesIO()
        joblib.dump(model, file)
        file.seek(0)
        data = skops.io.dumps(model)
        trusted = skops.io.get_untrusted_types(data=data)
        assert trusted == [f"skobd._mlp.estimators.{type(model).__name__}"]
        for loaded in (
            pickle.loads(pickle.dumps(model)),
            joblib.load(file),
            skops.io.loads(data, trusted=trusted),
            copy.deepcopy(model),
        ):
            assert loaded.feature_groups == GROUPS
            assert_same_groups(loaded, model)
            assert_array_equal(loaded.get_used_feature_names(), ["x0", "job"])
            assert loaded._fitted.n_left == 2
        assert clone(model).feature_groups == GROUPS

    def test_fitted_attributes_depend_on_what_was_fitted(self, kind, table):
        groups = copy.deepcopy(GROUPS)
        model = fit(kind, table, groups)
        before = copy.deepcopy(model)
        groups["job"].append(4)
        for other in (groups, None, {"nonsense": [99]}):
            model.set_params(feature_groups=other)
            assert_same_groups(model, before)
            assert model._fitted.n_left == 2
            assert model.summary() == before.summary()


def assert_same_groups(model, expected):
    assert list(model.feature_groups_) == list(expected.feature_groups_)
    for name, columns in expected.feature_groups_.items():
        assert_array_equal(model.feature_groups_[name], columns)


class TestNames:
    def test_of_a_dict_are_reported(self, table):
        frame = pd.DataFrame(table[0], columns=COLUMNS)
        model = fit("classifier", table, X=frame)
        assert_array_equal(model.get_used_feature_names(), ["age", "job"])
        assert model.summary().unused_features == ("pay", "sex", "zip")
        names = model.get_used_feature_names(list(frame))
        assert_array_equal(names, ["age", "job"])
        assert list(model.feature_groups_) == ["age", "job", "pay", "sex", "zip"]
        assert_array_equal(model.feature_groups_["sex"], [5, 6])

    def test_of_columns_in_no_group_may_be_given(self, table):
        model = fit("classifier", table)
        assert_array_equal(model.get_used_feature_names(COLUMNS), ["age", "job"])

    def test_of_lists_are_those_of_columns(self, table):
        frame = pd.DataFrame(table[0], columns=COLUMNS)
        model = fit("classifier", table, list(GROUPS.values()), frame)
        assert_array_equal(model.get_used_feature_names(), COLUMNS[:4])
        assert model.summary().unused_features == ("pay", "sex_f", "sex_m", "zip")
        assert list(model.feature_groups_) == [
            *("age", "job_a, ..., job_c", "pay", "sex_f, sex_m", "zip")
        ]

    def test_equal_ones_lose_no_group(self, table):
        frame = pd.DataFrame(table[0], columns=["a", "b", "a, b", *"cdefg"])
        model = fit("regressor", table, [[0, 1]], frame)
        groups = {name: places.tolist() for name, places in model.feature_groups_.items()}
        assert groups == {"a, b [0]": [0, 1], "a, b [2]": [2]} | {
            name: [place] for place, name in enumerate("cdefg", start=3)
        }
        path = make("regressor", **model.get_params()).pruning_path(frame, table[1])
        display = FeaturePathDisplay.from_path(path)
        assert np.shape(display.masks) == (len(path.steps), 7)
        # The new names may be taken, too.
        names = np.array(["a", "a", "a [0]"], dtype=object)
        assert list(columns_by_group(None, None, names)) == ["a [0] [0]", "a [1]", "a [0] [2]"]

    def test_equal_ones_of_columns_are_refused(self):
        """Some releases of scikit-learn take such a table."""
        columns = np.array(["a", "b", "b", "c"], dtype=object)
        with pytest.raises(ValueError, match="has the name 'b', which several columns of X have"):
            resolve([["a", "b"]], columns, has_names=True)
        with pytest.raises(ValueError, match="several columns named 'b' in no group"):
            resolve({"g": ["a", "c"]}, columns, has_names=True)
        assert resolve([["a", "c"]], columns, has_names=True).group_of.tolist() == [0, 1, 2, 0]

    def test_without_groups(self, table):
        model = fit("classifier", table, None)
        assert list(model.feature_groups_) == [f"x{i}" for i in range(8)]
        assert_array_equal(np.concatenate(list(model.feature_groups_.values())), range(8))

    def test_before_fit(self):
        assert not hasattr(OBDMLPClassifier(), "feature_groups_")
        with pytest.raises(NotFittedError):
            OBDMLPClassifier().get_used_feature_names()


BAD = [
    ([], ValueError, "feature_groups is empty"),
    ({}, ValueError, "feature_groups is empty"),
    ([[0, 1], []], ValueError, r"feature_groups\[1\] is empty"),
    ({"job": []}, ValueError, r"feature_groups\['job'\] is empty"),
    ([[0, 1], [1, 2]], ValueError, r"feature_groups\[1\] has column 'x1'.* feature_groups\[0\]"),
    ([[0, 0]], ValueError, r"feature_groups\[0\] has column 'x0'"),
    ([[0, 8]], ValueError, r"feature_groups\[0\] has the index 8, but X has 8 columns"),
    ([[-1, 0]], ValueError, r"feature_groups\[0\] has the index -1"),
    ([["age", "pay"]], ValueError, r"feature_groups\[0\] has the name 'age', but X had no"),
    ([["x0", "x1"]], ValueError, r"feature_groups\[0\] has the name 'x0', but X had no"),
    ({"x0": [1, 2]}, ValueError, "feature_groups has a group named 'x0'"),
    ([[True, False]], TypeError, r"feature_groups\[0\] must have indices"),
    ([np.array([True, False])], TypeError, r"feature_groups\[0\] must have indices"),
    ([[0.0, 1.0]], TypeError, r"feature_groups\[0\] must have indices"),
    ([[None]], TypeError, r"feature_groups\[0\] must have indices"),
    ([[[0, 1]]], TypeError, r"feature_groups\[0\] must have indices"),
    ([0, 1], TypeError, r"feature_groups\[0\] must be a list"),
    (["age", "pay"], TypeError, r"feature_groups\[0\] must be a list"),
    ({"job": 1}, TypeError, r"feature_groups\['job'\] must be a list"),
    ([{"job": [1]}], TypeError, r"feature_groups\[0\] must be a list"),
    ({1: [1, 2]}, TypeError, "feature_groups must have strings as keys"),
    ("auto", ValueError, "'feature_groups' parameter"),
    (3, ValueError, "'feature_groups' parameter"),
    (True, ValueError, "'feature_groups' parameter"),
]


def params_and_state(model):
    return pickle.dumps(model)


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize(("groups", "error", "match"), BAD, ids=[repr(row[0]) for row in BAD])
def test_bad_groups(kind, groups, error, match, table, monkeypatch):
    X, y = table[0], targets(kind, table)
    fitted = fit(kind, table, solver="adam").set_params(feature_groups=groups)
    new = clone(make(kind, granularity="feature", feature_groups=groups))
    before = params_and_state(fitted), params_and_state(new)
    # Nothing is trained before groups are looked at.
    monkeypatch.setattr("skobd._mlp.run.prune", None)
    for call in (
        lambda: fitted.fit(X, y),
        lambda: fitted.prune(X, y, prune_fraction=0.8),
        lambda: fitted.pruning_path(X, y),
        lambda: new.fit(X, y),
    ):
        with pytest.raises(error, match=match):
            call()
    assert (params_and_state(fitted), params_and_state(new)) == before
    with pytest.raises(NotFittedError):
        new.predict(X)


def test_bad_names(table):
    frame = pd.DataFrame(table[0], columns=COLUMNS)
    for groups, match in (
        ([["age", "salary"]], r"feature_groups\[0\] has the name 'salary', which no column"),
        ([["age", "pay"], [0, 1]], r"feature_groups\[1\] has column 'age'"),
        ({"zip": ["age", "pay"]}, "feature_groups has a group named 'zip'"),
    ):
        with pytest.raises(ValueError, match=match):
            fit("classifier", table, groups, frame)


@pytest.mark.parametrize("granularity", ["weight", "unit"])
def test_another_granularity_is_refused(granularity, table):
    model = OBDMLPClassifier(**plain(granularity=granularity, feature_groups=GROUPS))
    match = f"feature_groups is only for granularity='feature'.*{granularity}"
    for call in (model.fit, model.pruning_path):
        with pytest.raises(ValueError, match=match):
            call(table[0], table[1] > 0)
    with pytest.raises(ValueError, match=match):
        model.partial_fit(table[0], table[1] > 0, classes=[False, True])
    fitted = fit("classifier", table).set_params(granularity=granularity)
    with pytest.raises(ValueError, match=match):
        fitted.prune(table[0], table[1] > 0, prune_fraction=0.9)
    # First whole columns of the table, then single weights.
    fitted.set_params(feature_groups=None).prune(table[0], table[1] > 0, prune_fraction=0.7)
    assert fitted._fitted.n_left < fitted._fitted.n_total
