"""Data frames of pandas and polars: the same network as from the array, or a clear error."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from models import make
from numpy.testing import assert_array_equal

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
FRAMES = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "nullable": lambda X: pd.DataFrame(X, columns=NAMES).convert_dtypes(),
    "categories": lambda X: pd.DataFrame(X, columns=NAMES).astype({NAMES[1]: "category"}),
    "mixed": lambda X: pd.DataFrame(X, columns=NAMES).astype({NAMES[2]: "Float64"}),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
}
TARGETS = {
    "nullable": lambda y: pd.Series(y, dtype="Int64"),
    "strings": lambda y: pd.Series(y.astype(str), dtype="string"),
    "categories": lambda y: pd.Series(y.astype(str), dtype="category"),
    "polars": lambda y: pl.Series(y),
    "polars strings": lambda y: pl.Series([str(label) for label in y]),
}


@pytest.fixture(scope="module")
def reference(iris):
    return make("classifier", max_iter=5).fit(*iris)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_give_the_network_of_the_array(name, iris, reference):
    X, y = iris
    frame = FRAMES[name](X)
    fitted = make("classifier", max_iter=5).fit(frame, y)
    assert_array_equal(fitted.predict_proba(frame), reference.predict_proba(X))
    if name == "polars" and not hasattr(fitted, "feature_names_in_"):
        pytest.skip("this scikit-learn does not read the names of polars")
    assert list(fitted.feature_names_in_) == NAMES
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[NAMES[::-1]])


@pytest.mark.parametrize("name", TARGETS)
def test_series_of_labels(name, iris, reference):
    X, y = iris
    fitted = make("classifier", max_iter=5).fit(X, TARGETS[name](y))
    assert_array_equal(fitted.predict_proba(X), reference.predict_proba(X))
    assert_array_equal(fitted.predict(X).astype(float), reference.predict(X))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (lambda X: FRAMES["nullable"](X).mask(X > 1), "X has missing values.*NaN"),
        (lambda X: FRAMES["polars"](X).with_columns(pl.lit(None).alias(NAMES[0])), "NaN"),
        (lambda X: FRAMES["pandas"](X).assign(**{NAMES[0]: "5 cm"}), f"not numbers: '{NAMES[0]}'"),
        (lambda X: FRAMES["polars"](X).with_columns(pl.lit("wide").alias(NAMES[1])), "not numbers"),
    ],
)
def test_what_is_no_number_is_refused(frame, message, iris):
    X, y = iris
    model = make("classifier", max_iter=5)
    with pytest.raises(ValueError, match=message):
        model.fit(frame(X), y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize(
    "target",
    [
        lambda y: pd.Series(y, dtype="Int64").mask(y == 1),
        lambda y: pl.Series([None, *y[1:].tolist()]),
    ],
)
def test_missing_labels_are_refused(target, iris):
    X, y = iris
    with pytest.raises(ValueError, match="y contains NaN"):
        make("classifier", max_iter=5).fit(X, target(y))


def test_weights_and_validation_data_in_frames(iris):
    X, y = iris
    weight = np.linspace(1, 2, len(y))
    arrays = make("classifier", max_iter=5).fit(X, y, weight, X[:30], y[:30])
    frame = FRAMES["polars"](X)
    frames = make("classifier", max_iter=5).fit(frame, y, pl.Series(weight), frame[:30], y[:30])
    assert_array_equal(frames.predict_proba(frame), arrays.predict_proba(X))
    assert frames.validation_scores_ == arrays.validation_scores_
