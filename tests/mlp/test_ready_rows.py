"""Arrays that need no conversion take a short way: it refuses and predicts as the long one."""

import itertools
import warnings

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from models import plain
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skobd import OBDMLPClassifier, OBDMLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
TARGETS = {
    "binary": np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)],
    "classes": np.arange(60) % 3 * 10,
    "labels": (RNG.normal(size=(60, 3)) > 0).astype(int),
    "numbers": X[:, 0] - X[:, 1],
    "columns": X[:, :2],
}
SPECIAL = [np.nan, np.inf, -np.inf, 1e300, -1e300, 1e20, 1e-300, -0.0, 0.0, 1.0, 70000.0]


class Other(np.ndarray):
    """An array that the short way leaves to scikit-learn."""


def fit(kind, dtype, prune_fraction=0.5, X=X, hidden_layer_sizes=(5,)):
    is_number = np.issubdtype(TARGETS[kind].dtype, np.floating)
    cls = OBDMLPRegressor if is_number else OBDMLPClassifier
    settings = {"max_iter": 5, "n_rounds": 1, "random_state": 0, "prune_fraction": prune_fraction}
    model = cls(**plain(hidden_layer_sizes=hidden_layer_sizes, **settings))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X.astype(dtype) if isinstance(X, np.ndarray) else X, TARGETS[kind])


MODELS = {(kind, dtype): fit(kind, dtype) for kind in TARGETS for dtype in ("float32", "float64")}
# Dead inputs are not multiplied at all, but a NaN in them is refused all the same.
MODELS |= {("classes", "few inputs"): fit("classes", "float64", 0.9)}


def outcome(call):
    """Bits, or error with its message; and warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = call()
            result = (type(found), found.dtype, found.shape, found.tobytes())
            if found.dtype == object:
                result = (*result[:3], found.tolist())
        except Exception as error:
            result = (type(error), str(error))
    return result, [(w.category, str(w.message)) for w in caught]


def assert_same_as_long_way(model, rows):
    for method in ("predict", "predict_proba"):
        if hasattr(model, method):
            call = getattr(model, method)
            found = outcome(lambda call=call: call(rows))
            assert found == outcome(lambda call=call: call(rows.view(Other))), method


@pytest.mark.parametrize(
    "rows",
    [
        X[:1],
        X[:20],
        np.tile(X, (200, 1)),
        np.asfortranarray(X[:7]),
        X[:40:4],
        X[::-1],
        X[:3].astype("float32"),
        X[:3].astype("float16"),
        X[:3].astype("longdouble"),
        X[:3].astype(">f8"),
        X[:3].astype(">f4"),
        X[:3].astype(int),
        X[:3] > 0,
        X[:3].astype("uint8"),
        X[:3].astype(complex),
        X[:3].astype(object),
        X[:3].astype(str),
        X[:3].astype("datetime64[s]"),
        np.array([["a", None, 1.0, 2]], dtype=object),
        X[:0],
        X[:3, :0],
        X[:3, :3],
        np.hstack([X, X])[:3],
        X[0],
        X[:2, :, np.newaxis],
        np.array(1.0),
    ],
    ids=lambda rows: f"{rows.dtype.str}{rows.shape}{rows.strides}",
)
def test_kinds_of_arrays(rows):
    for model in MODELS.values():
        assert_same_as_long_way(model, rows)


@pytest.mark.parametrize("value", SPECIAL)
@pytest.mark.parametrize("n_rows", [1, 3000])
def test_special_values(value, n_rows):
    for column, dtype in itertools.product(range(4), ["float32", "float64"]):
        rows = np.resize(X, (n_rows, 4))
        rows[-1, column] = value
        with np.errstate(over="ignore"):
            rows = rows.astype(dtype)
        for model in MODELS.values():
            assert_same_as_long_way(model, rows)


@given(
    st.sampled_from(sorted(MODELS)),
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5),
        elements=st.floats(width=32) | st.sampled_from([1.0, 2.0]),
    ),
)
@settings(max_examples=60, deadline=None)
def test_any_array(name, rows):
    assert_same_as_long_way(MODELS[name], rows)


def test_what_it_refuses_is_refused():
    model = MODELS["classes", "few inputs"]
    assert len(model.used_features_) < 4
    for column in range(4):
        bad = X[:1].copy()
        bad[0, column] = np.nan
        with pytest.raises(ValueError, match="Input X contains NaN"):
            model.predict(bad)
    with pytest.raises(ValueError, match="X has 3 features, but OBDMLPClassifier is expecting 4"):
        model.predict(X[:1, :3])
    with pytest.raises(NotFittedError):
        OBDMLPClassifier().predict(X[:1])


def test_array_without_the_names_of_the_fit():
    pd = pytest.importorskip("pandas")
    model = fit("classes", "float64", X=pd.DataFrame(X, columns=list("abcd")))
    assert_same_as_long_way(model, X[:1])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X[:1])


def test_assume_finite():
    bad = X[:1].copy()
    bad[0, 0] = np.nan
    with sklearn.config_context(assume_finite=True):
        for model in MODELS.values():
            assert_same_as_long_way(model, bad)


@pytest.mark.parametrize("name", MODELS)
def test_floating_point_errors_of_the_caller(name):
    rows = X[:1] * 1e3
    expected = outcome(lambda: MODELS[name].predict(rows))
    with np.errstate(all="raise"):
        assert outcome(lambda: MODELS[name].predict(rows)) == expected


@pytest.mark.parametrize("name", [name for name in MODELS if hasattr(MODELS[name], "classes_")])
def test_labels_are_those_of_the_probabilities(name):
    model, rows = MODELS[name], X.astype(MODELS[name].coefs_[0].dtype)
    p, binarizer = model.predict_proba(rows), model._fitted.targets.binarizer
    if name[0] == "binary":
        p = p[:, 1]
    expected = binarizer.inverse_transform(p, threshold=0.5)
    found = model.predict(rows)
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected)


@pytest.mark.parametrize("value", [1e30, -1e30])
def test_labels_where_only_the_raw_output_overflows(value):
    model = fit("binary", "float32", 0, hidden_layer_sizes=())
    model.coefs_ = [np.full((4, 1), 1e30)]
    rows = np.full((1, 4), value, dtype="float32")
    assert model.predict(rows) == ["yes" if value > 0 else "no"]
    assert_array_equal(model.predict_proba(rows), [[0, 1] if value > 0 else [1, 0]])
    rows[0, 0] *= -1
    with pytest.raises(ValueError, match="too large for this network"):
        model.predict(rows)
