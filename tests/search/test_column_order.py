"""Transformers before a selector may hand columns on in another order, but must not mix them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from skobd import (
    FeaturePathDisplay,
    OBDFeatureSelector,
    OBDMLPClassifier,
    OBDMLPRegressor,
    stability_selection,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
    ),
]

SETTINGS = {"solver": "lbfgs", "alpha": 1, "max_iter": 60, "random_state": 0}
COLUMNS = ["age", "sex", "bmi", "bp", "s1", "s2"]
NUMBERS = ["s2", "s1", "bp", "bmi", "age"]
TWO_COUNT = [3, 5]


@pytest.fixture(scope="module")
def table():
    """A frame of which two columns count, and its labels."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(0.1, 2, size=(300, 6)), columns=COLUMNS)
    X["sex"] = rng.choice(["f", "m"], 300)
    return X, (X["s2"] + X["bp"] > 2).astype(int)


def as_numbers(X):
    return X.assign(sex=(X["sex"] == "f").astype(float))


def mlp(**params):
    return OBDMLPClassifier((4,), **SETTINGS | params)


class Halved(TransformerMixin, BaseEstimator):
    """Does not say which columns it puts out."""

    def fit(self, X, y=None):
        self.is_fitted_ = True
        return self

    def transform(self, X):
        return np.asarray(X) / 2


class HalvedOneToOne(OneToOneFeatureMixin, Halved):
    """Says it."""


class Framed(OneToOneFeatureMixin, Halved):
    """Gives an array the names of the table."""

    def transform(self, X):
        return pd.DataFrame(X, columns=COLUMNS).infer_objects()


def encoded(*more, **params):
    return ColumnTransformer(
        [("c", OrdinalEncoder(), ["sex"]), *(more or [("n", StandardScaler(), NUMBERS)])], **params
    )


def backwards(**params):
    return make_column_transformer(("passthrough", [5, 4, 3, 2, 1, 0]), **params)


# What each takes: the table, or numbers only.
REORDERED = {
    "prefixes": (encoded(), True),
    "no prefixes": (encoded(verbose_feature_names_out=False), True),
    "frames": (encoded().set_output(transform="pandas"), True),
    "remainder": (encoded(("n", StandardScaler(), ["bp"]), remainder="passthrough"), True),
    "remainder scaled": (encoded(("n", "passthrough", ["bp"]), remainder=StandardScaler()), True),
    "by type": (
        make_column_transformer(
            (StandardScaler(), make_column_selector(dtype_include=np.number)),
            remainder=OrdinalEncoder(),
        ),
        True,
    ),
    "binary": (
        ColumnTransformer(
            [("n", StandardScaler(), NUMBERS), ("c", OneHotEncoder(drop="if_binary"), ["sex"])]
        ),
        True,
    ),
    "several": (make_pipeline(encoded(), StandardScaler(), backwards(), HalvedOneToOne()), True),
    "ufunc": (make_pipeline(backwards(), FunctionTransformer(np.log1p)), False),
    "identity": (make_pipeline(FunctionTransformer(), backwards()), False),
    "function": (
        make_pipeline(
            FunctionTransformer(lambda X: X**2, feature_names_out="one-to-one"), backwards()
        ),
        False,
    ),
    "union": (
        FeatureUnion(
            [
                ("a", make_column_transformer(("passthrough", [4, 5]))),
                ("b", make_column_transformer((StandardScaler(), [3, 0, 2, 1]))),
            ]
        ),
        False,
    ),
    "cubes": (PolynomialFeatures((1, 1), include_bias=False), False),
}


@pytest.mark.parametrize("is_frame", [True, False])
@pytest.mark.parametrize("name", REORDERED)
def test_the_columns_that_count_are_selected(table, name, is_frame):
    X, y = table
    transformer, takes_text = REORDERED[name]
    if not takes_text:
        X = as_numbers(X)
    if not is_frame:
        X = X.to_numpy()
        if takes_text:
            transformer = make_pipeline(Framed(), transformer)
    estimator = make_pipeline(clone(transformer), mlp())
    selector = OBDFeatureSelector(estimator, n_features_to_select=2, step=1).fit(X, y)
    assert selector.get_support(indices=True).tolist() == TWO_COUNT
    assert selector.score(X, y) > 0.9
    # An oracle: what was deleted at a level does not change what the network of that level says.
    for level, mask in enumerate(selector.masks_):
        network = selector.path_.estimator_at(level)
        mixed = X.copy()
        for place in np.flatnonzero(~mask):
            column = (slice(None), place)
            values = (X.iloc if is_frame else X)[column]
            (mixed.iloc if is_frame else mixed)[column] = np.roll(np.asarray(values), 7)
        np.testing.assert_array_equal(network.predict_proba(mixed), network.predict_proba(X))
    assert selector.masks_.sum(axis=1).tolist() == [6, 5, 4, 3, 2]
    assert (selector.masks_.sum(axis=0)[selector.ranking_ > 1] < 5).all()
    result = stability_selection(
        estimator, X, y, n_features_to_select=2, n_subsamples=3, random_state=0
    )
    assert result.support[-1].nonzero()[0].tolist() == TWO_COUNT


def test_the_order_does_not_matter_with_cv_caches_and_targets(table, tmp_path):
    X, _ = table
    y = X["s2"] + X["bp"]
    network = OBDMLPRegressor(hidden_layer_sizes=(4,), **SETTINGS)
    steps = [("columns", encoded()), ("mlp", network)]
    for estimator in (
        Pipeline(steps, memory=str(tmp_path)),
        TransformedTargetRegressor(Pipeline(steps), transformer=StandardScaler()),
        make_pipeline(encoded(), TransformedTargetRegressor(make_pipeline(backwards(), network))),
        make_pipeline(FrozenEstimator(encoded().fit(X)), network),
    ):
        selector = OBDFeatureSelector(estimator, n_features_to_select=2, cv=2).fit(X, y)
        assert selector.get_feature_names_out().tolist() == ["bp", "s2"]
        display = FeaturePathDisplay.from_estimator(selector)
        rows = [label.get_text() for label in display.axes_[-1].get_yticklabels()]
        assert set(rows[:2]) == {"bp", "s2"}


def test_groups_are_those_of_the_network(table):
    """The network has sex, s2, s1, bp, bmi, age: its first two live and die together."""
    X, y = table
    estimator = make_pipeline(encoded(), mlp(feature_groups=[[0, 1], [4, 5]]))
    selector = OBDFeatureSelector(estimator, n_features_to_select=2, step=1).fit(X, y)
    assert selector.get_feature_names_out().tolist() == ["sex", "bp", "s2"]
    for first, second in (("sex", "s2"), ("bmi", "age")):
        places = [COLUMNS.index(first), COLUMNS.index(second)]
        assert len(set(selector.ranking_[places])) == 1
    display = FeaturePathDisplay.from_estimator(selector)
    rows = [label.get_text() for label in display.axes_[-1].get_yticklabels()]
    assert sorted(rows) == ["bmi, age", "bp", "s1", "sex, s2"]
    shown = np.asarray(display.images_[0].get_array())
    for row, name in zip(shown, rows, strict=True):
        for column in name.split(", "):
            np.testing.assert_array_equal(row, selector.masks_[:, COLUMNS.index(column)])


TWICE = FeatureUnion(
    [
        ("a", make_column_transformer(("passthrough", [0, 1, 2]))),
        ("b", make_column_transformer(("passthrough", [2, 3, 4]))),
    ]
)


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (PCA(), "estimator: PCA makes its outputs of several columns"),
        (make_pipeline(StandardScaler(), PCA(6)), "PCA makes its outputs of several columns"),
        (Nystroem(n_components=6), "Nystroem makes its outputs of several columns"),
        (make_column_transformer((PCA(2), [0, 1]), remainder="passthrough"), "PCA makes its"),
        (FunctionTransformer(lambda X: X[:, ::-1]), "by feature_names_out='one-to-one'"),
        (Halved(), "Halved has no get_feature_names_out.*OneToOneFeatureMixin"),
        (TWICE, r"of columns \[0, 1, 2, 2, 3, 4\] of X and none of \[5\]"),
        (make_column_transformer((PolynomialFeatures(2), [0, 1])), "makes products of columns"),
    ],
)
def test_mixtures_are_refused_before_training(table, transformer, message, monkeypatch):
    X, y = as_numbers(table[0]).to_numpy(), table[1]
    monkeypatch.setattr(
        OBDMLPClassifier, "pruning_path", lambda *a, **k: pytest.fail("was trained")
    )
    estimator = make_pipeline(clone(transformer), mlp())
    selector = OBDFeatureSelector(estimator)
    with pytest.raises(ValueError, match=message):
        selector.fit(X, y)
    assert not [name for name in vars(selector) if name.endswith("_")]
    with pytest.raises(ValueError, match=message):
        stability_selection(estimator, X, y, n_subsamples=2)


def test_components_are_no_columns_whatever_columns_are_called(table):
    X = as_numbers(table[0]).set_axis([f"pca{i}" for i in range(6)], axis=1)
    with pytest.raises(ValueError, match="PCA makes its outputs of several columns"):
        OBDFeatureSelector(make_pipeline(PCA(), mlp())).fit(X, table[1])


def test_frozen_transformers_of_another_table_are_refused(table):
    """They take columns by name, in any order."""
    X, y = table
    estimator = make_pipeline(FrozenEstimator(encoded().fit(X)), mlp())
    with pytest.raises(ValueError, match=r"other columns than those of X.*'age', 'sex'"):
        OBDFeatureSelector(estimator).fit(X[COLUMNS[::-1]], y)
