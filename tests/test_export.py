"""What leaves skobd, and what comes in, predicts the same."""

import ctypes
import pickle
import subprocess
import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier, OBDMLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # skl2onnx 1.20 under NumPy 2.4 and Python 3.11; nothing that we call.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:skl2onnx"),
]

TARGETS = {
    "binary": lambda y: y > 0,
    "binary strings": lambda y: np.array(["no", "yes"])[(y > 0).astype(int)],
    "multiclass": lambda y: y - 1,
    "multiclass strings": lambda y: np.array(["a", "bb", "cé"], dtype=object)[y],
    "multiclass floats": lambda y: y.astype(float),
    "multilabel": lambda y: np.column_stack([y > 0, y > 1, y == 0]).astype(int),
    "two labels": lambda y: np.column_stack([y > 0, y > 1]).astype(int),
}
REGRESSIONS = {
    "one output": ("squared_error", lambda X: X[:, 0]),
    "two outputs": ("squared_error", lambda X: X[:, :2]),
    "poisson": ("poisson", lambda X: np.abs(X[:, 0])),
    "poisson, two outputs": ("poisson", lambda X: np.abs(X[:, :2])),
}
# From dense to a network whose output is a constant.
FRACTIONS = (0, 0.8, 0.999)


def make_classifier(X, y, fraction=0.8, **settings):
    settings = {"max_iter": 20, "n_rounds": 2, "random_state": 0} | settings
    return OBDMLPClassifier((8, 6), prune_fraction=fraction, **settings).fit(X, y)


def make_regressor(loss, X, y, fraction=0.8, **settings):
    settings = {"max_iter": 20, "n_rounds": 2, "random_state": 0} | settings
    return OBDMLPRegressor(loss, (8, 6), prune_fraction=fraction, **settings).fit(X, y)


def run_onnx(model, X):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: X})


class TestCompact:
    @pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
    @pytest.mark.parametrize("fraction", FRACTIONS)
    def test_predicts_the_same_with_fewer_units(self, iris, activation, fraction):
        X, y = iris
        model = make_classifier(X, y, fraction, activation=activation)
        state = {name: id(value) for name, value in vars(model).items() if name != "_predictor"}
        smaller = model.compact()
        assert_allclose(smaller.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
        assert smaller.n_features_in_ == X.shape[1] == smaller.coefs_[0].shape[0]
        hidden = smaller.hidden_layer_sizes
        assert hidden == tuple(coef.shape[1] for coef in smaller.coefs_[:-1])
        assert all(new <= old for new, old in zip(hidden, model.hidden_layer_sizes, strict=True))
        if fraction > 0.9:
            assert hidden == (1, 1)
        after = {name: id(value) for name, value in vars(model).items() if name != "_predictor"}
        assert after == state

    def test_can_be_pruned_and_trained_further(self, iris):
        X, y = iris
        smaller = make_classifier(X, y, 0.7).compact()
        n_weights = sum(coef.size for coef in smaller.coefs_)
        smaller.prune(X, y, prune_fraction=0.9)
        assert smaller.n_weights_ == round(0.1 * n_weights)
        smaller.partial_fit(X, y)
        assert smaller.n_weights_ == round(0.1 * n_weights)

    def test_going_on_prunes_nothing_more(self, iris):
        model = make_classifier(*iris, granularity="unit", warm_start=True)
        smaller = model.compact()
        n_weights = smaller.n_weights_
        assert smaller.fit(*iris).n_weights_ == n_weights
        assert smaller.prune(*iris).n_weights_ == n_weights

    def test_optimiser_begins_afresh(self, iris):
        """The moments are those of other weights."""
        model = make_classifier(*iris, granularity="unit", solver="adam", warm_start=True)
        smaller = model.compact().partial_fit(*iris)
        assert smaller._optimizer_state.n_steps == 1

    def test_shares_nothing_with_the_original(self, iris):
        X, y = iris
        model = make_classifier(X, y)
        before = model.predict_proba(X)
        smaller = model.compact()
        smaller.coefs_[0][:] = 0
        smaller.loss_curve_.clear()
        assert_array_equal(model.predict_proba(X), before)
        assert model.loss_curve_

    def test_unfitted(self):
        with pytest.raises(NotFittedError):
            OBDMLPClassifier().compact()


class TestUsedFeatures:
    @pytest.fixture
    def frame(self, iris):
        return pd.DataFrame(iris[0], columns=["width", "height", "depth", "age"])

    def test_unused_columns_may_hold_anything_finite(self, frame, iris):
        y = iris[1]
        model = make_classifier(frame, y, 0.3, granularity="feature")
        used = model.used_features_
        assert 0 < len(used) < 4
        assert_array_equal(model.get_used_feature_names(), frame.columns[used])
        assert_array_equal(np.flatnonzero(model.feature_importances_), used)
        unused = frame.columns.difference(model.get_used_feature_names())
        changed = frame.assign(**dict.fromkeys(unused, 1e30))
        for estimator in (model, model.compact()):
            assert_array_equal(estimator.predict_proba(changed), estimator.predict_proba(frame))
            assert_array_equal(estimator.used_features_, used)
        wide = sparse.csr_array(changed.to_numpy())
        plain = make_classifier(frame.to_numpy(), y, 0.3, granularity="feature")
        assert_allclose(plain.predict_proba(wide), model.predict_proba(frame), atol=1e-12)
        assert_array_equal(plain.get_used_feature_names(), [f"x{index}" for index in used])
        with pytest.raises(ValueError, match="feature names"):
            model.predict(frame.rename(columns={"age": "years"}))

    def test_selects_features(self, iris):
        X, y = iris
        model = OBDMLPClassifier(
            (8,), granularity="feature", prune_fraction=0.5, max_iter=50, random_state=0
        )
        selector = SelectFromModel(model, threshold=1e-12).fit(X, y)
        assert_array_equal(
            np.flatnonzero(selector.get_support()), selector.estimator_.used_features_
        )
        assert (
            RFE(model.set_params(prune_fraction=0), n_features_to_select=2).fit(X, y).n_features_
            == 2
        )

    def test_constant_network_uses_none(self, iris):
        model = make_classifier(*iris, 0.999)
        model._mask = model._mask & ~model._network.is_weight
        model._theta = np.where(model._mask, model._theta, 0)
        assert model.used_features_.size == 0
        p = model.predict_proba(iris[0])
        assert_array_equal(p, np.broadcast_to(p[0], p.shape))
        assert "4 of 4" in model.summary()


class TestSklearn:
    @pytest.mark.parametrize("fraction", FRACTIONS)
    @pytest.mark.parametrize("target", TARGETS)
    def test_classifier_there_and_back(self, iris, target, fraction):
        X, y = iris[0], TARGETS[target](iris[1])
        model = make_classifier(X, y, fraction)
        mlp = model.to_sklearn()
        assert type(mlp) is MLPClassifier
        assert_allclose(mlp.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
        assert_array_equal(mlp.predict(X), model.predict(X))
        assert mlp.get_params().items() <= model.get_params().items()
        back = OBDMLPClassifier.from_sklearn(mlp)
        assert_allclose(back.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
        assert_array_equal(back.classes_, model.classes_)
        assert back.loss_curve_ == model.loss_curve_
        before = mlp.intercepts_[-1].copy()
        mlp.partial_fit(X, y)
        assert (mlp.intercepts_[-1] != before).any()
        assert mlp.t_ == model.t_ + len(X)

    @pytest.mark.parametrize("case", REGRESSIONS)
    def test_regressor_there_and_back(self, iris, case):
        loss, target = REGRESSIONS[case]
        X, y = iris[0], target(iris[0])
        model = make_regressor(loss, X, y)
        if loss == "poisson" and "loss" not in MLPRegressor().get_params():
            with pytest.raises(ValueError, match=r"scikit-learn 1\.7"):
                model.to_sklearn()
            return
        mlp = model.to_sklearn()
        assert_allclose(mlp.predict(X), model.predict(X), rtol=1e-12, atol=1e-12)
        back = OBDMLPRegressor.from_sklearn(mlp)
        assert_allclose(back.predict(X), model.predict(X), rtol=1e-12, atol=1e-12)
        mlp.partial_fit(X, y)

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_prunes_a_network_that_is_already_trained(self, iris, solver):
        X, y = pd.DataFrame(iris[0]).add_prefix("column "), iris[1]
        mlp = MLPClassifier((10,), solver=solver, max_iter=100, random_state=0).fit(X, y)
        model = OBDMLPClassifier.from_sklearn(mlp)
        assert_allclose(model.predict_proba(X), mlp.predict_proba(X), rtol=0, atol=1e-14)
        assert_array_equal(model.feature_names_in_, mlp.feature_names_in_)
        assert model.sparsity_ == 0
        assert model.n_iter_ == mlp.n_iter_
        assert model.loss_ == mlp.loss_
        before = [coef.copy() for coef in mlp.coefs_]
        model.prune(X, y, prune_fraction=0.9)
        assert model.n_weights_ == 7
        for coef, original in zip(mlp.coefs_, before, strict=True):
            assert_array_equal(coef, original)

    def test_precision_is_kept(self, iris):
        X, y = iris[0].astype(np.float32), iris[1]
        mlp = MLPClassifier((5,), max_iter=5, random_state=0).fit(X, y)
        model = OBDMLPClassifier.from_sklearn(mlp)
        assert model.coefs_[0].dtype == np.float32
        assert model.to_sklearn().coefs_[0].dtype == np.float32

    def test_early_stopping(self, iris):
        mlp = MLPClassifier((5,), early_stopping=True, max_iter=20, random_state=0).fit(*iris)
        model = OBDMLPClassifier.from_sklearn(mlp)
        assert model.validation_scores_ == mlp.validation_scores_
        assert model.best_loss_ is None
        assert model.to_sklearn().best_validation_score_ == mlp.best_validation_score_

    def test_early_stopped_goes_on(self, iris):
        """scikit-learn goes back to the best weights if no epoch is better."""
        model = OBDMLPClassifier((10,), early_stopping=True, random_state=0).fit(*iris)
        mlp = model.to_sklearn().set_params(warm_start=True, learning_rate_init=1e-9)
        p = mlp.fit(*iris).predict_proba(iris[0])
        assert_allclose(p, model.predict_proba(iris[0]), atol=1e-4)

    def test_activation_is_that_of_the_fit(self, iris):
        X, y = iris
        model = make_classifier(X, y, activation="tanh").set_params(activation="relu")
        assert model.to_sklearn().activation == "tanh"
        assert_allclose(model.to_sklearn().predict_proba(X), model.predict_proba(X), rtol=1e-6)

    @pytest.mark.skipif("loss" not in MLPRegressor().get_params(), reason="scikit-learn < 1.7")
    def test_loss_is_that_of_the_fit(self, iris):
        X, y = iris
        mlp = make_regressor("poisson", X, y).to_sklearn()
        p = mlp.predict(X)
        regressor = OBDMLPRegressor.from_sklearn(mlp.set_params(loss="squared_error"))
        assert_allclose(regressor.predict(X), p, rtol=1e-10)

    def test_weights_that_are_not_finite(self, iris):
        mlp = MLPClassifier((3,), max_iter=5).fit(*iris)
        mlp.coefs_[0][0, 0] = np.nan
        with pytest.raises(ValueError, match="coefs_ and intercepts_ contains NaN"):
            OBDMLPClassifier.from_sklearn(mlp)

    def test_compacted_is_smaller(self, iris):
        X, y = iris
        model = make_classifier(X, y, 0.8, granularity="unit")
        mlp = model.compact().to_sklearn()
        assert mlp.coefs_[0].shape[1] < 8
        assert_allclose(mlp.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)

    def test_unfitted(self):
        with pytest.raises(NotFittedError, match="call fit before from_sklearn"):
            OBDMLPClassifier.from_sklearn(MLPClassifier())
        with pytest.raises(NotFittedError):
            OBDMLPClassifier().to_sklearn()

    def test_foreign(self, iris):
        with pytest.raises(TypeError, match="use OBDMLPRegressor for it"):
            OBDMLPClassifier.from_sklearn(MLPRegressor())
        with pytest.raises(TypeError, match="use OBDMLPClassifier for it"):
            OBDMLPRegressor.from_sklearn(MLPClassifier())
        with pytest.raises(TypeError, match=r"got Pipeline.*pipeline\[-1\]"):
            OBDMLPClassifier.from_sklearn(make_pipeline(MLPClassifier()))
        with pytest.raises(TypeError, match="got LogisticRegression"):
            OBDMLPClassifier.from_sklearn(LogisticRegression().fit(*iris))


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
        model.classes_ = np.array([0.5, 1.5, 2.5])
        with pytest.raises(ValueError, match=r"\[0\.5, 1\.5, 2\.5\].*LabelEncoder"):
            model.to_onnx(X)

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
        """The converters are there whichever module is imported first."""
        X = iris[0].astype(np.float32)
        pipeline = make_pipeline(StandardScaler(), make_classifier(X, iris[1])).fit(X, iris[1])
        with open(tmp_path / "pipeline.pkl", "wb") as file:
            pickle.dump((pipeline, X[:1]), file)
        load = f"import pickle; p, X = pickle.load(open({str(tmp_path / 'pipeline.pkl')!r}, 'rb'))"
        lines = [load, "import skl2onnx"] if first == "skobd" else ["import skl2onnx", load]
        lines += [
            "skl2onnx.to_onnx(p, X, options={'zipmap': False})",
            "skl2onnx.to_onnx(p[-1], X, options={id(p[-1]): {'zipmap': False}})",
        ]
        subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)

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

    def test_importing_skobd_does_not_import_it(self):
        code = "import sys, skobd; sys.exit('skl2onnx' in sys.modules or 'onnx' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def compile_c(code, folder):
    """Compile generated code with gcc; returns the loaded library."""
    import emlearn

    source, library = folder / "model.c", folder / "model.so"
    source.write_text(code)
    command = ["gcc", "-std=c99", "-O1", "-shared", "-fPIC", f"-I{emlearn.includedir}"]
    subprocess.run([*command, str(source), "-o", str(library), "-lm"], check=True)
    return ctypes.CDLL(str(library))


def as_floats(row):
    return (ctypes.c_float * len(row))(*row)


class TestC:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # emlearn leaves files in the working directory

    @pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
    @pytest.mark.parametrize("target", ["binary", "multiclass strings"])
    def test_classifier(self, iris, tmp_path, target, activation):
        X, y = iris[0], TARGETS[target](iris[1])
        model = make_classifier(X, y, 0.6, activation=activation, solver="lbfgs", alpha=0.1)
        library = compile_c(model.to_c("net"), tmp_path)
        found = [library.net_predict(as_floats(row), len(row)) for row in X]
        # Weights have six decimals in the code: rows on the border may fall on either side.
        p = np.sort(model.predict_proba(X), axis=1)
        clear = p[:, -1] - p[:, -2] > 1e-3
        assert clear.mean() > 0.9
        assert_array_equal(model.classes_[found][clear], model.predict(X)[clear])

    @pytest.mark.parametrize("case", ["one output", "two outputs"])
    @pytest.mark.parametrize("used_only", [False, True])
    def test_regressor(self, iris, tmp_path, case, used_only):
        X = iris[0]
        y = REGRESSIONS[case][1](X)
        model = make_regressor("squared_error", X, y, 0.3, granularity="feature")
        library = compile_c(model.to_c("net", used_features_only=used_only), tmp_path)
        rows = X[:, model.used_features_] if used_only else X
        found = np.empty((len(X), model.n_outputs_), dtype=np.float32)
        for row, out in zip(rows, found, strict=True):
            pointer = out.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            assert library.net_regress(as_floats(row), len(row), pointer, len(out)) == 0
        assert_allclose(found.reshape(y.shape), model.predict(X), rtol=0, atol=1e-4)

    def test_emlearn_takes_the_compacted_perceptron(self, iris):
        emlearn = pytest.importorskip("emlearn")
        X, y = iris
        model = make_classifier(X, y, 0.7, granularity="unit")
        converted = emlearn.convert(model.compact().to_sklearn(), method="loadable")
        assert_allclose(converted.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-3)

    @pytest.mark.parametrize("name", [None, 3, "my-model", "2nd", ""])
    def test_name_is_no_identifier(self, iris, name):
        with pytest.raises(ValueError, match="name must be an identifier of C, got"):
            make_classifier(*iris).to_c(name=name)

    def test_what_emlearn_cannot_express(self, iris):
        X, y = iris
        with pytest.raises(ValueError, match=r"multilabel.*to_onnx"):
            make_classifier(X, TARGETS["multilabel"](y)).to_c()
        with pytest.raises(ValueError, match=r"poisson.*to_onnx"):
            make_regressor("poisson", X, np.abs(X[:, 0])).to_c()
        linear = OBDMLPClassifier((), max_iter=2, random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="without hidden layers"):
            linear.to_c()
        with pytest.raises(NotFittedError):
            OBDMLPClassifier().to_c()

    def test_without_the_extra(self, iris, monkeypatch):
        monkeypatch.setitem(sys.modules, "emlearn", None)
        with pytest.raises(ImportError, match=r"pip install skobd\[c\]"):
            make_classifier(*iris).to_c()


class TestSummary:
    def test_says_what_pruning_achieved(self, iris):
        frame = pd.DataFrame(iris[0], columns=["width", "height", "depth", "age"])
        model = make_classifier(frame, iris[1], 0.3, granularity="feature")
        lines = dict(line.split("  ", 1) for line in model.summary().splitlines() if "  " in line)
        lines = {name: text.strip() for name, text in lines.items()}
        n_used = len(model.used_features_)
        assert lines["layers"].startswith(f"4-8-6-3 -> {n_used}-8-6-3")
        assert lines["weights"].startswith(f"98 -> {model.n_weights_} (")
        assert lines["multiply-adds per row"] == f"98 -> {model.n_weights_}"
        unused = [name for name in frame if name not in model.get_used_feature_names()]
        assert lines["inputs not needed"] == f"{4 - n_used} of 4: {', '.join(unused)}"

    def test_many_unused_inputs_are_not_all_listed(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(100, 60))
        model = OBDMLPRegressor(
            hidden_layer_sizes=(3,), prune_fraction=0.8, granularity="feature", max_iter=5
        ).fit(X, X[:, 0])
        n_unused = 60 - len(model.used_features_)
        assert n_unused > 20
        assert f"and {n_unused - 20} more" in model.summary()

    def test_unfitted(self):
        with pytest.raises(NotFittedError):
            OBDMLPRegressor().summary()
