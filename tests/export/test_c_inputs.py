"""Transformers read as functions of raw columns compute what they transform."""

from contextlib import nullcontext

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from skobd._export.c.inputs import expand, read_columns
from skobd._export.c.specification import Affine


def codes(n=200, seed=0):
    """Columns of whole numbers with gaps, rare and negative ones."""
    rng = np.random.default_rng(seed)
    common = rng.choice([-3, 0, 1, 7], n, p=[0.5, 0.3, 0.15, 0.05])
    return np.column_stack([common, rng.integers(0, 2, n), rng.binomial(9, 0.4, n)]).astype(float)


def computed(transformer, X):
    """What the columns that were read make of rows, as the first layer would be given them."""
    columns = read_columns(transformer, [Affine(column) for column in range(X.shape[1])])
    n = len(columns)
    inputs, weights, biases = expand(columns, np.eye(n), np.zeros(n))
    rows = X.astype(np.float32)
    values = np.column_stack([read(rows) for read in inputs] or [np.zeros((len(X), 0))])
    return values @ weights + biases


def assert_read(transformer, X, others=None):
    transformer.fit(X)
    for rows in (X,) if others is None else (X, others):
        expected = transformer.transform(rows)
        expected = expected.toarray() if hasattr(expected, "toarray") else expected
        assert_allclose(computed(transformer, rows), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("drop", [None, "first", "if_binary", [0, 1, 4]])
@pytest.mark.parametrize(
    "rare", [{}, {"min_frequency": 15}, {"max_categories": 3}, {"min_frequency": 0.4}]
)
@pytest.mark.parametrize("unknown", ["error", "ignore", "infrequent_if_exist"])
@pytest.mark.filterwarnings("ignore:Found unknown categories")  # which count as all zeros
def test_one_hot_encoder(drop, rare, unknown):
    if isinstance(drop, list) and rare:
        drop = None  # those dropped must not be rare
    encoder = OneHotEncoder(drop=drop, handle_unknown=unknown, **rare)
    others = None if unknown == "error" else codes(50, seed=1) + np.arange(50)[:, np.newaxis] % 3
    assert_read(encoder, codes(), others)


@pytest.mark.parametrize("unknown", [-1, 50])
def test_ordinal_encoder(unknown):
    assert_read(OrdinalEncoder(), codes())
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=unknown)
    assert_read(make_pipeline(encoder, StandardScaler()), codes(), codes(50, seed=1) + 1)


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()])
def test_imputed_codes(encoder):
    X = codes()
    X[::5, 0], X[::7, 2] = np.nan, np.nan
    assert_read(make_pipeline(SimpleImputer(strategy="most_frequent"), encoder), X)


def test_imputers():
    X = codes()
    X[::5, 0], X[::7, 2] = np.nan, np.nan
    clipped = MinMaxScaler((-1, 1), clip=True)
    beyond = X * 3 - 4
    for strategy in ("mean", "median", "most_frequent"):
        assert_read(make_pipeline(SimpleImputer(strategy=strategy), RobustScaler()), X, beyond)
        assert_read(make_pipeline(clipped, SimpleImputer(strategy=strategy)), X, beyond)
    constant = SimpleImputer(strategy="constant", fill_value=5.5)
    assert_read(make_pipeline(StandardScaler(), constant, clipped, StandardScaler()), X, beyond)


@pytest.mark.parametrize("keep", [False, True])
def test_columns_without_any_value(keep):
    X = codes()
    X[:, 1] = np.nan
    imputer = SimpleImputer(keep_empty_features=keep)
    with pytest.warns(UserWarning, match="without any observed") if not keep else nullcontext():
        imputer.fit(X)
        expected = imputer.transform(X)
    assert_allclose(computed(imputer, X), expected, rtol=1e-5)


def test_clips_within_clips():
    """The narrower of two ranges; of ranges that do not meet the nearest end."""
    X = np.linspace(-3, 3, 31)[:, np.newaxis]
    first, second = MinMaxScaler(clip=True).fit(X[5:9]), MinMaxScaler((2, 5), clip=True)
    for rows in (X[:2] * 0 + [[0.2], [0.4]], X[:2] * 0 + [[4.0], [5.0]], X / 10):
        second.fit(rows)
        pipeline = make_pipeline(first, second)
        assert_allclose(computed(pipeline, X), pipeline.transform(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [ColumnTransformer, FeatureUnion])
def test_weights_are_refused(kind):
    steps = (
        [("a", StandardScaler(), [0])] if kind is ColumnTransformer else [("a", StandardScaler())]
    )
    transformer = kind(steps, transformer_weights={"a": 2}).fit(codes())
    with pytest.raises(ValueError, match=f"{kind.__name__}.transformer_weights"):
        computed(transformer, codes())


def test_what_encoders_refuse():
    X = codes()
    with pytest.raises(ValueError, match="min_frequency"):
        computed(OrdinalEncoder(min_frequency=15).fit(X), X)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan).fit(X)
    with pytest.raises(ValueError, match="unknown_value=nan"):
        computed(encoder, X)
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="OneHotEncoder of column 0 has the category nan"):
        computed(OneHotEncoder().fit(X), X)
    fractions = X[1:] / 2
    with pytest.raises(ValueError, match=r"has the category -1.5, but C code compares whole"):
        computed(OneHotEncoder().fit(fractions), fractions)
