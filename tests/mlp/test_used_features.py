"""A model that takes only the columns it uses predicts what the whole one does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from models import plain
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from skobd import (
    OBDMLPClassifier,
    OBDMLPRegressor,
    PruningSearchCV,
    register_onnx_converters,
    to_c,
    used_features_only,
)
from skobd._net.pruned import PrunedNetwork

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:skl2onnx"),
]
NAMES = list("abcdefgh")


@pytest.fixture(scope="module")
def table():
    """Columns of numbers, small whole numbers, and holes."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.randn(120, 8), columns=NAMES)
    for name in "cfh":
        X[name] = rng.randint(4, size=120).astype(float)
    X["b"] = X["b"].round()
    X.loc[::7, "b"] = X.loc[::5, "e"] = np.nan
    y = (X["a"] + X["b"].fillna(0) + (X["c"] > 1) > 0.5).astype(int)
    return X, y


def network(kind=OBDMLPClassifier, **settings):
    settings = {
        "activation": "tanh",
        "max_iter": 5,
        "random_state": 0,
        "prune_fraction": 0,
    } | settings
    return kind(hidden_layer_sizes=(6,), **plain(**settings))


def without(mlp, dead):
    """Delete the weights of some inputs of a fitted network."""
    pruned = mlp._fitted.pruned
    mask = pruned.mask.copy()
    pruned.network.coefs(mask)[0][dead] = False
    mlp._fitted = replace(mlp._fitted, pruned=PrunedNetwork(pruned.network, pruned.theta, mask))


def mixed():
    numbers, codes = ["a", "b", "d", "e", "g"], ["c", "f", "h"]
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), codes),
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
    )


TRANSFORMERS = {
    "standard": StandardScaler,
    "standard, no mean": lambda: StandardScaler(with_mean=False),
    "min-max": lambda: MinMaxScaler(feature_range=(-1, 1), clip=True),
    "max-abs": MaxAbsScaler,
    "robust": RobustScaler,
    "power": PowerTransformer,
    "power alone": lambda: PowerTransformer(standardize=False),
    "imputer first": lambda: Pipeline(
        [("impute", SimpleImputer()), ("pass", "passthrough"), ("scale", StandardScaler())]
    ),
    "mixed": mixed,
    "by index": lambda: ColumnTransformer(
        [("one", OneHotEncoder(drop="first"), [2, 5]), ("two", StandardScaler(), [0, 3, 6])],
        remainder=SimpleImputer(),
    ),
    "passthrough": lambda: ColumnTransformer(
        [("drop", "drop", ["a"]), ("keep", "passthrough", ["g", "c"])], remainder="passthrough"
    ),
    "rare": lambda: make_column_transformer(
        (OneHotEncoder(min_frequency=30, handle_unknown="infrequent_if_exist"), ["c", "h"]),
        (OrdinalEncoder(encoded_missing_value=-2), ["f", "b"]),
    ),
    "union": lambda: make_union(StandardScaler(), MinMaxScaler()),
    "half a union": lambda: FeatureUnion([("pass", "passthrough"), ("scale", StandardScaler())]),
    "ufunc": lambda: FunctionTransformer(np.tanh),
    "identity": FunctionTransformer,
    "selector": lambda: make_pipeline(SimpleImputer(), SelectKBest(k=5), StandardScaler()),
    "selector first": lambda: make_pipeline(VarianceThreshold(), StandardScaler()),
}


def holes_filled(transformer):
    return make_pipeline(transformer, SimpleImputer())


@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize("case", TRANSFORMERS)
def test_pipelines_are_cut_to_the_columns_that_are_used(table, case, as_frame):
    X, y = table
    transformer = TRANSFORMERS[case]()
    if not as_frame:
        if case in ("mixed", "rare", "passthrough"):
            pytest.skip("by name")
        X = X.to_numpy()
    mlp = network()
    model = make_pipeline(holes_filled(transformer), mlp).fit(X, y)
    n_inputs = mlp.n_features_in_
    rng = np.random.RandomState(1)
    for n_dead in (0, n_inputs // 2, n_inputs - 1):
        without(mlp, np.isin(np.arange(n_inputs), rng.permutation(n_inputs)[:n_dead]))
        smaller = used_features_only(model)
        columns = columns_that_matter(model, X) or [0]
        if as_frame:
            assert smaller.feature_names_in_.tolist() == [NAMES[column] for column in columns]
            rows = X[smaller.feature_names_in_]
        else:
            rows = X[:, columns]
        assert smaller.n_features_in_ == len(columns)
        assert_allclose(smaller.predict_proba(rows), model.predict_proba(X), rtol=0, atol=1e-12)
        assert smaller[-1].n_features_in_ <= n_inputs


def columns_that_matter(model, X):
    """Columns whose exchange among the rows changes a prediction."""
    order, p, found = np.random.RandomState(2).permutation(len(X)), model.predict_proba(X), []
    for column in range(X.shape[1]):
        other = X.copy()
        if isinstance(X, pd.DataFrame):
            other.iloc[:, column] = X.iloc[order, column].to_numpy()
        else:
            other[:, column] = X[order, column]
        if not np.array_equal(model.predict_proba(other), p):
            found.append(column)
    return found


def test_the_model_is_left_as_it_was_and_shares_nothing(table):
    X, y = table
    model = make_pipeline(mixed(), network(granularity="feature", prune_fraction=0.6)).fit(X, y)
    p = model.predict_proba(X)
    smaller = used_features_only(model)
    rows = X[smaller.feature_names_in_]
    assert 0 < rows.shape[1] < 8
    for _, _, columns in smaller[0].transformers_:
        assert set(columns) <= set(rows)
    smaller[0].named_transformers_["pipeline"][-1].scale_ *= 2
    smaller[-1].coefs_ = [0 * coef for coef in smaller[-1].coefs_]
    assert_array_equal(model.predict_proba(X), p)
    assert smaller[0].get_feature_names_out().tolist() == [
        name
        for name in model[0].get_feature_names_out()
        if name.rpartition("__")[2].partition("_")[0] in rows
    ]


def test_a_bare_estimator_and_its_names(table):
    X, y = table
    X = X.fillna(0)
    model = network(granularity="feature", prune_fraction=0.5).fit(X, y)
    names = model.get_used_feature_names().tolist()
    for smaller in (used_features_only(model), model.compact(inputs=True)):
        assert smaller.feature_names_in_.tolist() == names
        assert_allclose(smaller.predict_proba(X[names]), model.predict_proba(X), rtol=0, atol=1e-12)
        mlp = smaller.to_sklearn()
        assert mlp.feature_names_in_.tolist() == names
        assert mlp.coefs_[0].shape[0] == 4
        assert_allclose(mlp.predict_proba(X[names]), model.predict_proba(X), rtol=0, atol=1e-12)
        assert smaller.prune_fraction == 0
        with pytest.raises(ValueError, match="feature names"):
            smaller.predict(X)


@pytest.mark.parametrize("has_names", [True, False])
def test_groups_are_numbered_anew(table, has_names):
    X, y = table
    X = X.fillna(0)
    groups = {"first": ["b", "g"], "second": ["a", "h", "c"]}
    groups = groups if has_names else list(groups.values())
    mlp = network(granularity="feature", feature_groups=groups).fit(X, y)
    without(mlp, np.isin(NAMES, ["a", "b", "d"]))
    smaller = mlp.compact(inputs=True)
    left = {
        name: [NAMES[column] for column in columns if NAMES[column] not in "abd"]
        for name, columns in mlp.feature_groups_.items()
    }
    names = smaller.feature_names_in_
    found = [names[columns].tolist() for columns in smaller.feature_groups_.values()]
    left = {name: columns for name, columns in left.items() if columns}
    in_order = sorted(left, key=lambda name: NAMES.index(left[name][0]))
    assert found == [left[name] for name in in_order]
    if has_names:
        assert list(smaller.feature_groups_) == in_order
    # The parameter describes the same groups of the new columns.
    again = smaller.__class__(**smaller.get_params()).fit(X[names], y)
    assert [c.tolist() for c in again.feature_groups_.values()] == [
        c.tolist() for c in smaller.feature_groups_.values()
    ]


def test_nothing_that_is_used_leaves_the_first_column(table):
    X, y = table
    model = make_pipeline(SimpleImputer(), network()).fit(X, y)
    without(model[-1], np.ones(8, dtype=bool))
    smaller = used_features_only(model)
    assert smaller.feature_names_in_.tolist() == ["a"]
    assert_allclose(smaller.predict_proba(X[["a"]]), model.predict_proba(X), rtol=0, atol=1e-12)


def test_targets_searches_and_frozen_estimators(table):
    X, _ = table
    y = X["a"] + 1
    regressor = TransformedTargetRegressor(
        make_pipeline(FrozenEstimator(mixed().fit(X)), network(OBDMLPRegressor)),
        transformer=StandardScaler(),
    )
    search = PruningSearchCV(regressor, prune_fractions=[0.97], cv=2)
    search.fit(X, y)
    smaller = used_features_only(FrozenEstimator(search))
    assert isinstance(smaller, TransformedTargetRegressor)
    names = smaller.feature_names_in_ = smaller.regressor_[0].feature_names_in_
    assert smaller.n_features_in_ == len(names) < 8
    assert_allclose(smaller.predict(X[names]), search.predict(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (PCA(3), "PCA"),
        (Normalizer(), "Normalizer"),
        (FunctionTransformer(abs, feature_names_out="one-to-one"), r"FunctionTransformer\(func="),
        (SimpleImputer(add_indicator=True), "add_indicator"),
        (make_union(SelectKBest(k=2), SelectKBest(k=8)), "SelectKBest"),
    ],
)
def test_what_cannot_be_cut_is_named(table, transformer, message):
    X, y = table
    if not isinstance(transformer, SimpleImputer):
        X = X.fillna(0)
    model = make_pipeline(transformer, network()).fit(X, y)
    without(model[-1], np.isin(np.arange(model[-1].n_features_in_), [0, 1]))
    with pytest.raises((TypeError, ValueError), match=message):
        used_features_only(model)


def test_onnx_and_c_of_a_cut_pipeline(table):
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    register_onnx_converters()
    X, y = table
    X = X.astype(np.float32)
    model = make_pipeline(mixed(), network(granularity="feature", prune_fraction=0.6)).fit(X, y)
    smaller = used_features_only(model)
    rows = X[smaller.feature_names_in_]
    onnx = skl2onnx.to_onnx(smaller, rows[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(
        onnx.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    assert [given.name for given in session.get_inputs()] == list(rows)
    _, p = session.run(None, {name: rows[[name]].to_numpy() for name in rows})
    assert_allclose(p, model.predict_proba(X), rtol=0, atol=1e-5)
    code = to_c(smaller, dtype="float32")
    assert_array_equal(code.predict(rows), model.predict(X))
    assert code == to_c(model, dtype="float32", used_features_only=True)
