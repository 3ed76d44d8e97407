"""Data frames: an error names the columns and the remedy, and skrub's pipeline is one."""

import re

import numpy as np
import pytest
from models import plain
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skobd import (
    OBDFeatureSelector,
    OBDMLPClassifier,
    OBDMLPRegressor,
    PruningSearchCV,
    export_text,
    feature_groups_of,
    to_c,
)

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
N = 120
TABLE = pd.DataFrame(
    {
        "age": np.where(np.arange(N) == 3, np.nan, RNG.normal(40, 10, N)),
        "job": RNG.choice(["clerk", "cook", "smith"], N),
        "size": RNG.normal(size=N),
        "town": pd.Categorical(RNG.choice(["A", "B"], N)),
    }
)
TARGET = (TABLE["job"].eq("cook") | TABLE["size"].gt(1)).to_numpy()


def network(**params):
    defaults = {"hidden_layer_sizes": (6,), "max_iter": 10, "n_rounds": 2, "random_state": 0}
    return OBDMLPClassifier(**plain(**defaults | params))


def message(model, *data):
    with pytest.raises(ValueError, match=r"\.") as caught:
        model.fit(*data)
    return str(caught.value)


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_columns_are_named(frame):
    table = TABLE
    if frame == "polars":
        table = pytest.importorskip("polars").DataFrame(
            {name: [None if v != v else v for v in TABLE[name]] for name in TABLE}
        )
    found = message(network(), table, TARGET)
    assert "X has columns that are not numbers: 'job', 'town'" in found
    assert "missing values (NaN) in columns: 'age'." in found
    assert "skrub.tabular_pipeline(OBDMLPClassifier())" in found
    assert "ColumnTransformer" in found
    assert "'size'" not in found


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pd.Series([1, None] * 60, dtype="Int64"), "missing"),
        (pd.Series([1.0, None] * 60), "missing"),
        (pd.Series([True, None] * 60, dtype=object), "missing"),
        (pd.Series(["a", None] * 60), "not numbers"),
        (pd.Series(pd.date_range("2020", periods=N)), "not numbers"),
        (pd.Series([(1, 2)] * N), "not numbers"),
    ],
)
def test_kinds_of_columns(column, what):
    table = TABLE[["size"]].assign(other=column)
    found = message(OBDMLPRegressor(), table, TABLE["size"])
    assert re.search(rf"{what}[^:]*: 'other'\.", found)
    assert "skrub.tabular_pipeline(OBDMLPRegressor())" in found


def test_doubled_names():
    table = TABLE[["size", "age"]].set_axis(["a", "a"], axis=1)
    assert "columns: 'a'. A network" in message(network(), table, TARGET)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_numbers_of_every_kind_are_taken():
    table = TABLE[["size"]].assign(
        whole=np.arange(N) % 5, flag=np.arange(N) % 2 == 0, digits=[str(i % 7) for i in range(N)]
    )
    assert network().fit(table, TARGET).n_features_in_ == 4


def test_what_has_another_cause_keeps_its_message():
    table = TABLE[["size"]].replace(TABLE["size"][0], np.inf)
    assert "infinity" in message(network(), table, TARGET)
    assert "Found array with 0 sample" in message(network(), TABLE[["size"]][:0], TARGET[:0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_prediction_and_validation_data():
    whole = TABLE[["size", "age"]].fillna(40.0) / 40
    model = network().fit(whole, TARGET)
    with pytest.raises(ValueError, match=r"missing values .* columns: 'age'"):
        model.predict(TABLE[["size", "age"]])
    with pytest.raises(ValueError, match=r"missing values .* columns: 'age'"):
        network().fit(whole, TARGET, X_val=TABLE[["size", "age"]], y_val=TARGET)


@pytest.fixture
def pipeline():
    return pytest.importorskip("skrub").tabular_pipeline(
        network(solver="lbfgs", alpha=0.1, max_iter=200)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class TestSkrub:
    def test_groups(self, pipeline):
        before = clone(pipeline[:-1]).fit(TABLE, TARGET)
        names = before.get_feature_names_out()
        groups = feature_groups_of(before)
        assert list(groups) == list(TABLE)
        assert sorted(i for group in groups.values() for i in group) == list(range(len(names)))
        for name, group in groups.items():
            assert all(name in names[i] for i in group)
        model = clone(pipeline)
        params = {"granularity": "feature", "feature_groups": groups, "prune_fraction": 0.5}
        model[-1].set_params(**params)
        model.fit(TABLE, TARGET)
        assert set(model[-1].get_used_feature_names()) == {"job", "size"}

    def test_search(self, pipeline):
        search = PruningSearchCV(pipeline, prune_fractions=[0.5, 0.9], cv=3).fit(TABLE, TARGET)
        assert search.score(TABLE, TARGET) > 0.85
        assert search.best_estimator_[-1].sparsity_ > 0

    def test_selector(self, pipeline):
        selector = OBDFeatureSelector(pipeline[-1], n_features_to_select=3)
        model = make_pipeline(*clone(pipeline[:-1]), selector, clone(pipeline[-1]))
        model.fit(TABLE, TARGET)
        assert any("job" in name for name in model[:-1].get_feature_names_out())
        assert model.score(TABLE, TARGET) > 0.85

    def test_exports(self, pipeline):
        model = clone(pipeline).fit(TABLE, TARGET)
        with pytest.raises(TypeError, match="TableVectorizer cannot be written in C"):
            to_c(model)
        assert "job_cook" in export_text(model)
        pytest.importorskip("skl2onnx")
        runtime = pytest.importorskip("onnxruntime")
        rows = model[:-1].transform(TABLE).astype(np.float32)
        onnx = model[-1].to_onnx(rows[:1]).SerializeToString()
        session = runtime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        (found,) = session.run(["probabilities"], {"X": rows})
        np.testing.assert_allclose(found, model.predict_proba(TABLE), atol=1e-5)
