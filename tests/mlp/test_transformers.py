"""Which columns of a table the outputs of transformers are made of."""

import copy
from inspect import signature
from itertools import chain

import numpy as np
import pandas as pd
import pytest
from models import make
from numpy.testing import assert_array_equal
from sklearn.base import ClassNamePrefixFeaturesOutMixin, OneToOneFeatureMixin, clone
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils import all_estimators

from skobd import PruningSearchCV, feature_groups_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

NUMERIC, CATEGORICAL = ["age", "pay"], ["job", "sex", "city"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 200
    return pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "job": rng.choice(["a", "b", "b c", "age"], n),
            "pay": rng.uniform(size=n),
            "sex": rng.choice(["f", "m"], n),
            "city": rng.choice([*"klmnopq"], n, p=[0.4, 0.4, *5 * [0.04]]),
        }
    )


def depends_on(transformer, table, name):
    """Outputs that change when the values of a column are mixed up: an oracle."""
    mixed = table.assign(**{name: np.random.default_rng(1).permutation(table[name])})
    before, after = (np.asarray(to_dense(transformer.transform(X))) for X in (table, mixed))
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    return np.flatnonzero(~same.all(axis=0)).tolist()


def to_dense(array):
    return array.toarray() if hasattr(array, "toarray") else array


ENCODER = {"handle_unknown": "ignore"}
IMPUTED = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
TRANSFORMERS = {
    "columns": ColumnTransformer(
        [("n", IMPUTED, NUMERIC), ("c", OneHotEncoder(**ENCODER), CATEGORICAL)]
    ),
    "remainder": make_column_transformer(
        (OneHotEncoder(**ENCODER), ["city", "job"]),
        ("drop", ["sex"]),
        remainder=IMPUTED,
        verbose_feature_names_out=False,
    ),
    "passthrough": make_column_transformer(
        (OneHotEncoder(sparse_output=False), make_column_selector(dtype_exclude=np.number)),
        remainder="passthrough",
    ),
    "pandas": make_column_transformer(
        (OneHotEncoder(sparse_output=False), CATEGORICAL),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["pay", "age"]),
    ).set_output(transform="pandas"),
    "dropped": make_column_transformer((OneHotEncoder(drop="if_binary"), CATEGORICAL)),
    "first dropped": make_column_transformer((OneHotEncoder(drop="first"), CATEGORICAL)),
    "infrequent": make_column_transformer(
        (OneHotEncoder(min_frequency=0.1, handle_unknown="infrequent_if_exist"), CATEGORICAL)
    ),
    "infrequent dropped": make_column_transformer(
        (OneHotEncoder(max_categories=3, drop="first"), CATEGORICAL)
    ),
    "names": make_column_transformer(
        (OneHotEncoder(feature_name_combiner=lambda name, value: f"{value}!"), CATEGORICAL)
    ),
    "in a pipeline": make_pipeline(
        make_column_transformer(
            (SimpleImputer(), NUMERIC), (OrdinalEncoder(), CATEGORICAL)
        ).set_output(transform="pandas"),
        make_column_transformer(
            (OneHotEncoder(), [3, 2]), (KBinsDiscretizer(4), [0]), remainder="passthrough"
        ),
        "passthrough",
        None,
    ),
    "expanded": make_column_transformer(
        (SplineTransformer(4), ["pay"]),
        (make_pipeline(SimpleImputer(), SplineTransformer(3), StandardScaler()), NUMERIC),
        (KBinsDiscretizer(3, encode="ordinal"), ["pay"]),
        (FunctionTransformer(np.sqrt, feature_names_out="one-to-one"), ["pay"]),
    ),
    "union": make_column_transformer(
        (
            FeatureUnion(
                [
                    ("a", SplineTransformer(3)),
                    ("no", "drop"),
                    ("as it is", "passthrough"),
                    ("b", KBinsDiscretizer(3)),
                ]
            ),
            ["pay"],
        ),
        (OneHotEncoder(), ["sex"]),
    ),
    "beside each other": make_pipeline(
        "passthrough",
        FeatureUnion(
            [
                ("numbers", "passthrough"),
                ("missing", MissingIndicator()),
                ("logarithms", FunctionTransformer(np.log1p)),
            ]
        ),
    ),
    "powers": make_column_transformer((PolynomialFeatures((1, 1), include_bias=False), ["pay"])),
    "frozen": FrozenEstimator(make_column_transformer((OneHotEncoder(), CATEGORICAL))),
    "by place": make_column_transformer(
        (OneHotEncoder(), [1, -1]),
        (StandardScaler(), slice(2, 3)),
        ("passthrough", [True] + 4 * [False]),
    ),
}


@pytest.mark.filterwarnings("ignore:The current default behavior.*quantile_method:FutureWarning")
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_groups_are_what_depends_on_a_column(name, table):
    transformer = copy.deepcopy(TRANSFORMERS[name])
    if name == "frozen":
        transformer.estimator.fit(table)
    if name == "beside each other":
        table = table[NUMERIC].abs()
    transformer.fit(table, None)
    expected = {column: depends_on(transformer, table, column) for column in table.columns}
    expected = {column: outputs for column, outputs in expected.items() if outputs}
    groups = feature_groups_of(transformer)
    assert groups == expected
    assert list(groups) == list(expected)
    n_outputs = transformer.transform(table).shape[1]
    assert_array_equal(np.sort(np.concatenate(list(groups.values()))), range(n_outputs))


def test_arrays_have_numbered_columns():
    X = np.random.default_rng(0).integers(3, size=(30, 3))
    assert feature_groups_of(OneHotEncoder().fit(X)) == {
        "x0": [0, 1, 2],
        "x1": [3, 4, 5],
        "x2": [6, 7, 8],
    }
    assert feature_groups_of(StandardScaler().fit(X)) == {"x0": [0], "x1": [1], "x2": [2]}


TRANSFORMER_CLASSES = {
    name: kind for name, kind in all_estimators("transformer") if hasattr(kind, "transform")
}
# What they take is text, dicts, labels, patches or kernels.
OF_NO_TABLE = {
    "DictVectorizer", "FeatureHasher", "IsotonicRegression", "KernelCenterer", "LabelBinarizer",
    "LabelEncoder", "MultiLabelBinarizer", "PatchExtractor"
}  # fmt: skip
REFUSED = {
    name
    for name, kind in TRANSFORMER_CLASSES.items()
    if issubclass(kind, ClassNamePrefixFeaturesOutMixin)
} | {
    "AdditiveChi2Sampler", "HashingVectorizer", "PolynomialFeatures", "RandomTreesEmbedding",
    "StackingClassifier", "StackingRegressor", "VotingClassifier", "VotingRegressor",
}  # fmt: skip
# The norm of a row scales each of its numbers.
OF_WHOLE_ROWS = {"Normalizer", "TfidfTransformer"}


def make_transformer(kind):
    """With what its constructor must be given."""
    model = LogisticRegression() if "Classifier" in kind.__name__ else Ridge()
    needed = {
        "estimator": model,
        "estimators": [("model", model)],
        "transformers": [("scaled", StandardScaler(), ["c", "a"])],
        "transformer_list": [("scaled", StandardScaler()), ("spline", SplineTransformer())],
        "dictionary": np.eye(4)[:3],
    }
    parameters = signature(kind).parameters
    params = {name: needed[name] for name in parameters if name in needed}
    if "n_components" in parameters:
        params["n_components"] = 1
    return kind(**params)


@pytest.mark.filterwarnings("ignore")  # of a hundred transformers, some warn of these data
@pytest.mark.parametrize("name", TRANSFORMER_CLASSES)
def test_every_transformer_of_scikit_learn_is_known_or_refused(name):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(0.1, 1, (60, 4)).round(1), columns=list("abcd"))
    transformer = make_transformer(TRANSFORMER_CLASSES[name])
    try:
        outputs = transformer.fit(X, np.arange(60) % 3).transform(X)
    except (AttributeError, TypeError, ValueError):
        with pytest.raises(ValueError, match=name):
            feature_groups_of(transformer)
        assert name in OF_NO_TABLE
        return
    if name in REFUSED:
        with pytest.raises(
            ValueError, match=rf"{name}.*(feature_groups as lists|n_features_in_|not fitted yet)"
        ):
            feature_groups_of(transformer)
        return
    groups = feature_groups_of(transformer)
    assert sorted(chain(*groups.values())) == list(range(outputs.shape[1]))
    for column in X.columns if name not in OF_WHOLE_ROWS else ():
        assert set(depends_on(transformer, X, column)) <= set(groups.get(column, []))


@pytest.mark.filterwarnings("ignore::UserWarning")  # few rows
@pytest.mark.parametrize("y", [["a", "b"], ["a", "b", "c"], [0.5, 1.5, 2.0, 3.1]])
def test_target_encoder_has_columns_for_each_class(table, y):
    text = table[CATEGORICAL]
    encoder = make_column_transformer((TargetEncoder(), CATEGORICAL[::-1]))
    encoder.fit(text, np.resize(y, len(text)))
    n_each = 3 if len(y) == 3 else 1
    groups = feature_groups_of(encoder)
    assert [len(outputs) for outputs in groups.values()] == [n_each] * 3
    assert groups == {name: depends_on(encoder, text, name) for name in CATEGORICAL}


def test_names_of_ones_own_are_more_than_inheritance(table):
    class Twice(OneToOneFeatureMixin, SimpleImputer):
        def get_feature_names_out(self, input_features=None):
            return [f"{name}{i}" for name in input_features for i in range(2)]

    with pytest.raises(ValueError, match="Which column the output 'age0' of Twice is made of"):
        feature_groups_of(Twice().fit(table[NUMERIC]))


def test_equal_names_are_refused(table):
    numbers = table[NUMERIC]
    scaler = StandardScaler().fit(numbers)
    # Some releases of scikit-learn take such a table.
    scaler.feature_names_in_ = np.array(["pay", "pay"], dtype=object)
    with pytest.raises(ValueError, match="several columns named 'pay'; rename them"):
        feature_groups_of(scaler)
    # The indicator of age is called as a column is.
    called = numbers.rename(columns={"pay": "missingindicator_age"})
    with pytest.raises(ValueError, match="SimpleImputer has several columns named 'missing"):
        feature_groups_of(SimpleImputer(add_indicator=True).fit(called))
    assert feature_groups_of(MissingIndicator().fit(called)) == {"age": [0]}


def test_a_selector_leaves_columns_out(table):
    encoded = make_column_transformer((OneHotEncoder(), CATEGORICAL), ("passthrough", ["pay"]))
    pipeline = make_pipeline(encoded, SelectKBest(k=3)).fit(table, np.arange(len(table)) % 2)
    kept = np.flatnonzero(pipeline[-1].get_support())
    all_groups = feature_groups_of(encoded)
    of_output = {output: name for name, outputs in all_groups.items() for output in outputs}
    groups = feature_groups_of(pipeline)
    assert sorted(chain(*groups.values())) == [0, 1, 2]
    for name, outputs in groups.items():
        assert {of_output[kept[output]] for output in outputs} == {name}


@pytest.mark.parametrize(
    "step",
    [
        PCA(2),
        PolynomialFeatures(2),
        FunctionTransformer(lambda X: X * 2),
    ],
)
def test_mixtures_are_refused(step, table):
    transformer = make_column_transformer((make_pipeline(SimpleImputer(), step), NUMERIC))
    with pytest.raises(ValueError, match=type(step).__name__):
        feature_groups_of(transformer.fit(table))


def test_before_fit():
    for transformer in (clone(TRANSFORMERS["columns"]), OneHotEncoder(), make_pipeline(PCA())):
        with pytest.raises(NotFittedError):
            feature_groups_of(transformer)


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_in_a_pipeline_within_a_search(kind, table):
    """The frozen transformer makes the same columns of every fold."""
    y = table["age"].fillna(0) + 2 * table["job"].isin(["a", "age"])
    y = y > 1 if kind == "classifier" else y
    columns = clone(TRANSFORMERS["columns"]).fit(table)
    mlp = make(
        kind,
        granularity="feature",
        feature_groups=feature_groups_of(columns),
        solver="lbfgs",
        alpha=1,
        prune_fraction=0.6,
        max_iter=60,
    )
    model = Pipeline([("columns", FrozenEstimator(columns)), ("mlp", mlp)])
    assert_array_equal(model.fit(table, y)[-1].get_used_feature_names(), ["age", "job"])
    assert table[model[-1].get_used_feature_names()].shape == (200, 2)
    grid = GridSearchCV(model, {"mlp__prune_fraction": [0.2, 0.6]}, cv=3).fit(table, y)
    best = grid.best_estimator_[-1]
    assert best._fitted.n_total == 5
    assert best._fitted.n_left == round((1 - best.prune_fraction) * 5)
    search = PruningSearchCV(model, prune_fractions=[0.2, 0.4, 0.6, 0.8], cv=3).fit(table, y)
    assert {"age", "job"} <= set(search.best_estimator_[-1].get_used_feature_names())


def test_rare_categories_that_a_fold_lacks_are_noticed(table):
    """Columns fitted anew have other numbers: an error, not other groups."""
    columns = make_column_transformer((OneHotEncoder(), CATEGORICAL)).fit(table)
    mlp = make("regressor", granularity="feature", feature_groups=feature_groups_of(columns))
    some = table["city"] != "q"
    model = make_pipeline(columns, mlp)
    with pytest.raises(
        ValueError, match=r"feature_groups.* has the index 12, but X has 12 columns"
    ):
        model.fit(table[some], table["pay"][some])
