"""C code predicts the same."""

import ctypes
import subprocess
import sys

import numpy as np
import pytest
from exports import REGRESSIONS, TARGETS, make_classifier, make_regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from skobd import OBDMLPClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Also networks that were asked to be nothing.
    pytest.mark.filterwarnings("ignore:Pruning has left"),
]


def compile_c(code, folder):
    """Compile generated code as ISO C with gcc; returns the loaded library."""
    import emlearn

    source, library = folder / "model.c", folder / "model.so"
    source.write_text(code)
    command = [
        "gcc",
        "-std=c99",
        "-pedantic-errors",
        "-O1",
        "-shared",
        "-fPIC",
        f"-I{emlearn.includedir}",
    ]
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

    @pytest.mark.parametrize("used_only", [False, True])
    def test_constant_network(self, iris, tmp_path, used_only):
        """There is no C array of no inputs; the one that is left is multiplied by 0."""
        model = make_classifier(*iris, 0.999)
        assert not model.used_features_.size
        library = compile_c(model.to_c("net", used_features_only=used_only), tmp_path)
        row = [123.0] if used_only else iris[0][0]
        found = library.net_predict(as_floats(row), len(row))
        assert model.classes_[found] == model.predict(iris[0][:1])[0]

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
