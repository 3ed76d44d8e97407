"""ONNX models predict the same, whole pipelines too."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from exports import FRACTIONS, REGRESSIONS, TARGETS, make_classifier, make_regressor
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import (
    OBDFeatureSelector,
    OBDMLPClassifier,
    OBDMLPRegressor,
    PruningSearchCV,
    register_onnx_converters,
)

onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Also networks that were asked to be nothing.
    pytest.mark.filterwarnings("ignore:Pruning has left"),
    # skl2onnx 1.20 under NumPy 2.4 and Python 3.11; nothing that we call.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:skl2onnx"),
]


def run_onnx(model, X):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: X})


class TestOnnx:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("fraction", FRACTIONS)
    @pytest.mark.parametrize("target", TARGETS)
    def test_classifier(self, iris, target, fraction, dtype):
        X, y = iris[0].astype(dtype), TARGETS[target](iris[1])
        model = make_classifier(X, y, fraction)
        label, p = run_onnx(model.to_onnx(X), X)
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        assert_allclose(p, model.predict_proba(X), rtol=0, atol=tolerance)
        assert p.dtype == dtype
        expected = model.predict(X)
        assert_array_equal(label, expected.astype(label.dtype))

    @pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
    @pytest.mark.parametrize("case", REGRESSIONS)
    def test_regressor(self, iris, case, activation):
        loss, target = REGRESSIONS[case]
        X = iris[0].astype(np.float32)
        model = make_regressor(loss, X, target(X), activation=activation)
        (y,) = run_onnx(model.to_onnx(X), X)
        assert y.shape == (len(X), model.n_outputs_)
        assert_allclose(y.reshape(model.predict(X).shape), model.predict(X), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("target", ["binary", "multiclass strings"])
    def test_pipeline(self, iris, target):
        register_onnx_converters()
        X, y = iris[0].astype(np.float32), TARGETS[target](iris[1])
        pipeline = make_pipeline(StandardScaler(), make_classifier(X, y, granularity="unit"))
        pipeline.fit(X, y)
        _, p = run_onnx(skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False}), X)
        assert_allclose(p, pipeline.predict_proba(X), rtol=0, atol=1e-5)
        label, dictionaries = run_onnx(skl2onnx.to_onnx(pipeline, X[:1]), X)
        assert_array_equal(label, pipeline.predict(X))
        by_label = [[d[key] for key in sorted(d)] for d in dictionaries]
        assert_allclose(by_label, pipeline.predict_proba(X), rtol=0, atol=1e-5)

    def test_pipeline_of_regressor(self, iris):
        register_onnx_converters()
        X = iris[0].astype(np.float32)
        pipeline = make_pipeline(StandardScaler(), make_regressor("poisson", X, np.abs(X[:, 0])))
        pipeline.fit(X, np.abs(X[:, 0]))
        (y,) = run_onnx(skl2onnx.to_onnx(pipeline, X[:1]), X)
        assert_allclose(y.ravel(), pipeline.predict(X), rtol=1e-5)

    def test_columns_by_name(self, iris):
        frame = pd.DataFrame(iris[0].astype(np.float32), columns=list("abcd"))
        model = make_classifier(frame, iris[1], 0.3, granularity="feature")
        session = onnxruntime.InferenceSession(
            model.to_onnx(frame).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        assert [given.name for given in session.get_inputs()] == list("abcd")
        _, p = session.run(None, {name: frame[[name]].to_numpy() for name in frame})
        assert_allclose(p, model.predict_proba(frame), rtol=0, atol=1e-5)

    def test_used_features_only(self, iris):
        frame = pd.DataFrame(iris[0].astype(np.float32), columns=list("abcd"))
        model = make_classifier(frame, iris[1], 0.5, granularity="feature")
        names = model.get_used_feature_names().tolist()
        assert len(names) == 2
        session = onnxruntime.InferenceSession(
            model.to_onnx(frame, used_features_only=True).SerializeToString(),
            providers=["CPUExecutionProvider"],
        )
        assert [given.name for given in session.get_inputs()] == names
        _, p = session.run(None, {name: frame[[name]].to_numpy() for name in names})
        assert_allclose(p, model.predict_proba(frame), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("kept", [[0], [2], [0, 3]])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_selector(self, iris, kept, dtype):
        """Alone, in a pipeline, and with a frame, of which every column is an input."""
        register_onnx_converters()
        X, y = iris[0].astype(dtype), iris[1]
        mlp = OBDMLPClassifier((4,), max_iter=3, random_state=0)
        selector = OBDFeatureSelector(mlp, n_features_to_select=len(kept)).fit(X, y)
        selector.support_ = np.isin(np.arange(4), kept)
        (selected,) = run_onnx(skl2onnx.to_onnx(selector, X[:1]), X)
        assert_array_equal(selected, X[:, kept], strict=True)
        pipeline = Pipeline([("select", selector), ("scale", StandardScaler()), ("mlp", mlp)])
        pipeline[1:].fit(X[:, kept], y)
        _, p = run_onnx(skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False}), X)
        assert_allclose(p, pipeline.predict_proba(X), rtol=0, atol=1e-5)
        frame = pd.DataFrame(X, columns=list("abcd"))
        session = onnxruntime.InferenceSession(
            skl2onnx.to_onnx(selector, frame[:1]).SerializeToString(),
            providers=["CPUExecutionProvider"],
        )
        (selected,) = session.run(None, {name: frame[[name]].to_numpy() for name in frame})
        assert_array_equal(selected, X[:, kept], strict=True)

    def test_integers_are_cast(self, iris):
        X = np.round(4 * iris[0]).astype(np.int64)
        model = make_classifier(X, iris[1])
        _, p = run_onnx(model.to_onnx(X), X)
        assert_allclose(p, model.predict_proba(X), rtol=0, atol=1e-5)

    def test_pruned_models_are_smaller(self, digits):
        X, y = digits
        settings = {"max_iter": 5, "granularity": "unit", "random_state": 0}
        dense = OBDMLPClassifier((50,), prune_fraction=0, **settings).fit(X, y).to_onnx(X)
        pruned = OBDMLPClassifier((50,), prune_fraction=0.9, **settings).fit(X, y).to_onnx(X)
        assert 4 * pruned.ByteSize() < dense.ByteSize()

    def test_labels_that_onnx_cannot_hold(self, iris):
        X, y = iris
        model = OBDMLPClassifier((3,), max_iter=2, random_state=0).fit(X, y)
        model._fitted.targets.binarizer.classes_ = np.array([0.5, 1.5, 2.5])
        with pytest.raises(ValueError, match=r"\[0\.5, 1\.5, 2\.5\].*LabelEncoder"):
            model.to_onnx(X)

    @pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel"])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_ties(self, iris, target, dtype):
        """Probabilities that are exactly equal are decided alike."""
        X, y = iris[0].astype(dtype), TARGETS[target](iris[1])
        model = make_classifier(X, y)
        model.coefs_ = [0 * coef for coef in model.coefs_]
        model.intercepts_ = [0 * intercept for intercept in model.intercepts_]
        label, p = run_onnx(model.to_onnx(X), X)
        assert_array_equal(p, model.predict_proba(X))
        assert (p == p[0, 0]).all()
        assert_array_equal(label, model.predict(X).astype(label.dtype))
        assert_array_equal(label, model.to_sklearn().predict(X).astype(label.dtype))

    def test_register_without_the_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        with pytest.raises(ImportError, match=r"pip install skobd\[onnx\]"):
            register_onnx_converters()

    def test_subclass(self, iris):
        class Mine(OBDMLPClassifier):
            pass

        X = iris[0].astype(np.float32)
        model = Mine((4,), max_iter=3, random_state=0).fit(X, iris[1])
        label, _ = run_onnx(model.to_onnx(X), X)
        assert_array_equal(label, model.predict(X))

    def test_unfitted(self, iris):
        with pytest.raises(NotFittedError):
            OBDMLPClassifier().to_onnx(iris[0])

    def test_without_the_extra(self, iris, monkeypatch):
        model = make_classifier(*iris)
        monkeypatch.setitem(sys.modules, "skl2onnx", None)
        with pytest.raises(ImportError, match=r"pip install skobd\[onnx\]"):
            model.to_onnx(iris[0])

    @pytest.mark.parametrize("first", ["skobd", "skl2onnx"])
    def test_in_a_new_process(self, iris, tmp_path, first):
        """One line registers the converters, whichever module is imported first."""
        X = iris[0].astype(np.float32)
        pipeline = make_pipeline(StandardScaler(), make_classifier(X, iris[1])).fit(X, iris[1])
        with open(tmp_path / "pipeline.pkl", "wb") as file:
            pickle.dump((pipeline, X[:1]), file)
        second = {"skobd": "skl2onnx", "skl2onnx": "skobd"}[first]
        lines = [
            f"import pickle, sys, {first}",
            "meta_path = list(sys.meta_path)",
            f"import {second}",
            f"p, X = pickle.load(open({str(tmp_path / 'pipeline.pkl')!r}, 'rb'))",
            "try:",
            "    skl2onnx.to_onnx(p, X)",
            "except RuntimeError as error:",
            "    assert 'OBDMLPClassifier' in str(error)",
            "else:",
            "    sys.exit('Nothing was to be registered by the import.')",
            "skobd.register_onnx_converters()",
            "skobd.register_onnx_converters()",
            "skl2onnx.to_onnx(p, X)",
            "skl2onnx.to_onnx(p, X, options={'zipmap': False})",
            "skl2onnx.to_onnx(p[-1], X, options={id(p[-1]): {'zipmap': False}})",
            "assert all(finder in meta_path for finder in sys.meta_path)",
        ]
        subprocess.run([sys.executable, "-W", "ignore", "-c", "\n".join(lines)], check=True)

    @pytest.mark.filterwarnings("ignore:X does not have valid feature names")
    def test_what_is_no_sample_of_the_inputs(self, iris):
        X, y = iris
        frame = pd.DataFrame(X, columns=list("abcd"))
        model = make_classifier(frame, y)
        for sample, match in (
            (frame[list("dcba")], "feature names should match"),
            (frame[list("abc")], "feature names should match"),
            (frame.astype(str).map(lambda text: text + "?"), "could not convert|dtype='numeric'"),
            (X[0], "Expected 2D array"),
            (X[:0], "minimum of 1"),
        ):
            with pytest.raises(ValueError, match=match):
                model.to_onnx(sample)
        listed = make_classifier(X, y)
        assert len(listed.to_onnx(X[:2].tolist()).graph.input) == 1
        with pytest.raises(TypeError, match="Sparse data was passed"):
            listed.to_onnx(sparse.csr_array(X))


class TestOnnxOfASearch:
    @pytest.fixture
    def data(self, iris):
        return iris[0].astype(np.float32), iris[1]

    def search(self, estimator, **params):
        return PruningSearchCV(estimator, prune_fractions=[0, 0.5], cv=2, **params)

    @pytest.mark.parametrize("scaled", [False, True])
    @pytest.mark.parametrize("options", ["all", "search"])
    def test_classifier(self, data, scaled, options):
        model = OBDMLPClassifier((4,), solver="lbfgs", alpha=1, max_iter=50, random_state=0)
        search = self.search(make_pipeline(StandardScaler(), model) if scaled else model).fit(*data)
        register_onnx_converters()
        array = {"zipmap": False}
        onnx = skl2onnx.to_onnx(
            search, data[0][:1], options=array if options == "all" else {id(search): array}
        )
        label, p = run_onnx(onnx, data[0])
        assert_array_equal(label, search.predict(data[0]))
        assert_allclose(p, search.predict_proba(data[0]), rtol=0, atol=1e-5)

    def test_regressor_in_a_pipeline(self, data):
        model = OBDMLPRegressor(
            hidden_layer_sizes=(4,), solver="lbfgs", alpha=1, max_iter=50, random_state=0
        )
        pipeline = make_pipeline(StandardScaler(), self.search(model)).fit(*data)
        register_onnx_converters()
        (y,) = run_onnx(skl2onnx.to_onnx(pipeline, data[0][:1]), data[0])
        assert_allclose(y.ravel(), pipeline.predict(data[0]), rtol=1e-5, atol=1e-5)

    def test_needs_the_best_estimator(self, data):
        model = OBDMLPClassifier((4,), solver="lbfgs", max_iter=5)
        register_onnx_converters()
        for search in (self.search(model), self.search(model, refit=False).fit(*data)):
            with pytest.raises(ValueError, match="as its best_estimator_: call fit"):
                skl2onnx.to_onnx(search, data[0][:1])
