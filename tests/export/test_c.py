"""C code of fitted models, from raw columns: predictions, what it says, and what it refuses."""

import subprocess

import numpy as np
import pandas as pd
import pytest
from c_code import COMPILERS, STRICT, call, call_predict, compile_c, needs_compiler
from exports import FRACTIONS, REGRESSIONS, TARGETS, make_classifier, make_regressor
from models import plain
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from skobd import OBDFeatureSelector, OBDMLPClassifier, OBDMLPRegressor, PruningSearchCV, to_c

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Also networks that were asked to be nothing.
    pytest.mark.filterwarnings("ignore:Pruning has left"),
    pytest.mark.filterwarnings("ignore:Inputs are far off scale"),  # raw columns on purpose
]


def network(**settings):
    settings = {"max_iter": 15, "n_rounds": 1, "random_state": 0} | settings
    return OBDMLPClassifier((7,), **plain(prune_fraction=0.4, **settings))


def make_table(missing=False):
    """Four numbers, a code without gaps, one with gaps, a rare one and a flag; three classes."""
    rng = np.random.default_rng(0)
    numbers = rng.normal([3, -100, 0, 1e4], [1, 20, 1e-2, 300], size=(300, 4))
    codes = np.column_stack(
        [rng.integers(3, 7, 300), rng.choice([-1, 2, 10], 300), rng.binomial(6, 0.3, 300)]
    )
    X = np.column_stack([numbers, codes, rng.integers(0, 2, 300)]).astype(np.float32)
    y = (X[:, 0] > 3) + (X[:, 5] == 2).astype(int)
    if missing:
        X[rng.random(X.shape) < 0.1] = np.nan
    return X, y


NUMBERS, CODES = [0, 1, 2, 3], [4, 5, 6, 7]
# A pipeline, and whether its columns may be missing.
PIPELINES = {
    "standard": (lambda: [StandardScaler()], False),
    "only_mean": (lambda: [StandardScaler(with_std=False), StandardScaler()], False),
    "only_std": (lambda: [StandardScaler(with_mean=False)], False),
    "min_max": (lambda: [MinMaxScaler((-2, 3))], False),
    "clipped": (
        lambda: [MinMaxScaler(clip=True), StandardScaler(), MinMaxScaler(clip=True)],
        False,
    ),
    "max_abs": (lambda: [MaxAbsScaler()], False),
    "robust": (lambda: [RobustScaler(quantile_range=(10, 80))], False),
    "robust_centre": (lambda: [StandardScaler(), RobustScaler(with_scaling=False)], False),
    "imputed": (lambda: [SimpleImputer(strategy="median"), StandardScaler()], True),
    "imputed_later": (
        lambda: [StandardScaler(), SimpleImputer(strategy="constant", fill_value=-0.3)],
        True,
    ),
    "select": (lambda: [VarianceThreshold(1e-6), StandardScaler(), SelectKBest(k=4)], False),
    "passthrough": (lambda: ["passthrough", StandardScaler(), FunctionTransformer()], False),
    "both": (lambda: [StandardScaler(), make_union(MinMaxScaler(), FunctionTransformer())], False),
    "frozen": (lambda: [FrozenEstimator(StandardScaler().fit(make_table()[0]))], False),
    "columns": (
        lambda: [
            make_column_transformer(
                (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
                (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), CODES),
            )
        ],
        True,
    ),
    "one_hot": (
        lambda: [
            make_column_transformer(
                (OneHotEncoder(drop="first"), [4, 5]),
                (OneHotEncoder(drop="if_binary"), [7]),
                (OneHotEncoder(min_frequency=40, handle_unknown="infrequent_if_exist"), [6]),
                remainder=StandardScaler(),
            ),
            FunctionTransformer(),
        ],
        False,
    ),
    "rare": (
        lambda: [
            make_column_transformer(
                (OneHotEncoder(max_categories=3, sparse_output=False), CODES),
                (StandardScaler(), NUMBERS),
            ),
            StandardScaler(),
        ],
        False,
    ),
    "ordinal": (
        lambda: [
            make_column_transformer(
                (OrdinalEncoder(), [4, 5]),
                (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), [6, 7]),
                ("drop", [0]),
                remainder="passthrough",
            ),
            StandardScaler(),
        ],
        False,
    ),
}


@pytest.fixture(scope="module")
def fitted_pipelines():
    found = {}
    for name, (make, missing) in PIPELINES.items():
        X, y = make_table(missing)
        found[name] = make_pipeline(*make(), network()).fit(X, y), X
    return found


@needs_compiler
class TestPipelines:
    def test_probabilities_are_those_of_the_pipeline(self, fitted_pipelines, tmp_path):
        codes = {
            name: to_c(pipeline, name=name, dtype="float32")
            for name, (pipeline, _) in fitted_pipelines.items()
        }
        library = compile_c("".join(codes.values()), tmp_path)
        for name, (pipeline, X) in fitted_pipelines.items():
            p = call(getattr(library, f"{name}_predict_proba"), X, 3, np.float32)
            assert_allclose(p, pipeline.predict_proba(X), rtol=0, atol=2e-3, err_msg=name)
            assert_allclose(codes[name].predict_proba(X), p, rtol=0, atol=1e-3, err_msg=name)

    @pytest.mark.parametrize("arithmetic", ["float", "int"])
    def test_eight_bits_predict_alike(self, fitted_pipelines, arithmetic, tmp_path):
        codes = {
            name: to_c(pipeline, name=name, arithmetic=arithmetic, X=X, y=make_table()[1])
            for name, (pipeline, X) in fitted_pipelines.items()
        }
        library = compile_c("".join(codes.values()), tmp_path)
        for name, (pipeline, X) in fitted_pipelines.items():
            found = call_predict(library, name, X, 1, is_classifier=True)
            assert (found == pipeline.predict(X)).mean() > 0.97, name
            assert (found == codes[name].predict(X)).mean() > 0.99, name

    def test_unknown_codes(self, tmp_path):
        """Codes that fit has not seen, where the encoders say how they count."""
        X, y = make_table()
        encoder = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), [4]),
            (OneHotEncoder(min_frequency=40, handle_unknown="infrequent_if_exist"), [6]),
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-2), [5, 7]),
        )
        pipeline = make_pipeline(encoder, network(max_iter=50)).fit(X, y)
        unseen = X + np.where(np.arange(8) < 4, 0, 1000).astype(np.float32)
        for arithmetic in ("float", "int"):
            library = compile_c(to_c(pipeline, X=X, arithmetic=arithmetic), tmp_path)
            found = call_predict(library, "model", unseen, 1, is_classifier=True)
            assert_array_equal(found, pipeline.predict(unseen))

    def test_data_frames_and_searches(self, tmp_path):
        X, y = make_table()
        frame = pd.DataFrame(X, columns=[f"sensor {k}" for k in range(8)])
        columns = make_column_transformer((StandardScaler(), ["sensor 3", "sensor 0"]))
        search = GridSearchCV(make_pipeline(columns, network()), {}, cv=2).fit(frame, y)
        code = to_c(search, name="net", X=frame, y=y)
        assert "x[3] sensor 3:" in code
        assert "x[1]" not in code
        library = compile_c(code, tmp_path)
        found = call_predict(library, "net", X, 1, is_classifier=True)
        assert (found == search.predict(frame)).mean() > 0.97

    def test_selector_and_search_of_our_own(self, tmp_path):
        X, y = make_table()
        selector = OBDFeatureSelector(network(), n_features_to_select=3)
        search = PruningSearchCV(make_pipeline(StandardScaler(), selector, network()), cv=2).fit(
            X, y
        )
        code = to_c(search, X=X, y=y, used_features_only=True)
        library = compile_c(code, tmp_path)
        used = search.best_estimator_[1].get_support(indices=True)[
            search.best_estimator_[-1].used_features_
        ]
        found = call_predict(library, "model", X[:, used], 1, is_classifier=True)
        assert (found == search.predict(X)).mean() > 0.97


@needs_compiler
class TestEstimators:
    @pytest.mark.parametrize("arithmetic", ["float", "int"])
    def test_classifiers(self, iris, tmp_path, arithmetic):
        models = {
            f"net{kind}_{index}": make_classifier(iris[0], target(iris[1]), fraction)
            for kind, target in enumerate(TARGETS.values())
            for index, fraction in enumerate(FRACTIONS)
        }
        codes = {
            name: model.to_c(name, arithmetic=arithmetic, X=iris[0])
            for name, model in models.items()
        }
        library = compile_c("".join(codes.values()), tmp_path)
        for name, model in models.items():
            n, expected = len(model.classes_), model.predict(iris[0])
            if expected.ndim == 2:
                found = call_predict(library, name, iris[0], n, is_classifier=False)
                assert (found == expected).mean() > 0.97, name
            else:
                found = call_predict(library, name, iris[0], n, is_classifier=True)
                assert (model.classes_[found] == expected).mean() > 0.97, name
            p = call(getattr(library, f"{name}_predict_proba"), iris[0], n, np.float32)
            assert_allclose(p, model.predict_proba(iris[0]), rtol=0, atol=0.05, err_msg=name)

    @pytest.mark.parametrize("arithmetic", ["float", "int"])
    def test_regressors(self, iris, tmp_path, arithmetic):
        models = {
            f"net{kind}_{index}": make_regressor(loss, iris[0], target(iris[0]), fraction)
            for kind, (loss, target) in enumerate(REGRESSIONS.values())
            for index, fraction in enumerate(FRACTIONS)
        }
        codes = {
            name: model.to_c(name, arithmetic=arithmetic, X=iris[0])
            for name, model in models.items()
        }
        library = compile_c("".join(codes.values()), tmp_path)
        for name, model in models.items():
            expected = model.predict(iris[0]).reshape(len(iris[0]), -1)
            found = call_predict(library, name, iris[0], expected.shape[1], is_classifier=False)
            assert_allclose(found, expected, rtol=0, atol=0.05, err_msg=name)

    def test_without_hidden_layers_and_large_targets(self, diabetes, tmp_path):
        X, y = diabetes
        model = OBDMLPRegressor("squared_error", (), solver="lbfgs", max_iter=300, random_state=0)
        model.fit(X, 1e6 + 100 * y)
        library = compile_c(model.to_c(arithmetic="int", X=X), tmp_path)
        found = call_predict(library, "model", X, 1, is_classifier=False).ravel()
        assert_allclose(found, model.predict(X), rtol=0, atol=3)

    def test_nothing_left_are_the_priors(self, iris, tmp_path):
        model = make_classifier(*iris, 0.999)
        assert not model.used_features_.size
        for arithmetic in ("float", "int"):
            code = model.to_c(arithmetic=arithmetic, X=iris[0], used_features_only=False)
            assert "none, the output is always the same" in code
            library = compile_c(code, tmp_path)
            p = call(library.model_predict_proba, iris[0][:2], 3, np.float32)
            assert_allclose(p, model.predict_proba(iris[0][:2]), rtol=0, atol=1e-3)

    def test_only_used_features(self, iris, tmp_path):
        model = make_classifier(*iris, 0.5, granularity="feature")
        used = model.used_features_
        assert 0 < len(used) < 4
        code = model.to_c(used_features_only=True)
        library = compile_c(code, tmp_path)
        found = call_predict(library, "model", iris[0][:, used], 3, is_classifier=True)
        assert (found == model.predict(iris[0])).mean() > 0.97
        with pytest.raises(ValueError, match=f"rows of {len(used)} columns"):
            code.predict(iris[0])


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits, load_wine])
@pytest.mark.parametrize("arithmetic", ["float", "int"])
def test_eight_bits_cost_no_accuracy(load, arithmetic):
    X, y = load(return_X_y=True)
    clf = OBDMLPClassifier((20,), max_iter=60, n_rounds=2, random_state=0, learning_rate_init=0.01)
    pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
    code = to_c(pipeline, X=X, arithmetic=arithmetic)
    assert (code.predict(X) == y).mean() > pipeline.score(X, y) - 0.004


def test_eight_bits_cost_no_accuracy_of_a_regressor():
    X, y = load_diabetes(return_X_y=True)
    model = OBDMLPRegressor(
        hidden_layer_sizes=(20,),
        solver="lbfgs",
        alpha=1,
        max_iter=100,
        prune_fraction=0.875,
        random_state=0,
    )
    pipeline = make_pipeline(StandardScaler(), model).fit(X, y)
    for arithmetic in ("float", "int"):
        found = to_c(pipeline, X=X, arithmetic=arithmetic).predict(X).ravel()
        assert np.abs(found - pipeline.predict(X)).max() < 0.03 * y.std()


class TestText:
    def test_says_what_it_is(self, iris):
        y = np.array(["a", "*/ int x;", "/* \\\n cé ??/"], dtype=object)[iris[1]]
        code = make_classifier(iris[0], y).to_c("net", X=iris[0], y=y)
        head, _, rest = code.partition("*/\n#ifndef")
        assert code.isascii()
        assert "*/" not in head
        assert "Its accuracy on them is" in head
        assert "of 150 rows given" in head
        assert f"Constants take {code.constant_bytes:,} bytes" in head
        assert "int net_predict(const float *x);" in head
        assert "malloc" not in rest
        assert "net_H_INCLUDED" in rest

    def test_says_how_well_numbers_are_predicted(self, iris):
        X, Y = iris[0], iris[0][:, :2]
        model = make_regressor("squared_error", X, Y, 0.3)
        for rows in (X, X[:1]):
            code = model.to_c(X=rows, y=Y[: len(rows)])
            assert f"of a standard deviation from Python on {len(rows)} rows given" in code
            assert ("Its R2 on them is" in code) == (len(rows) > 1)

    @needs_compiler
    def test_strange_names_do_no_harm(self, iris, tmp_path):
        names = ["*/ int y;", "line\nbreak", "??/", 'quote"\\']
        frame = pd.DataFrame(iris[0], columns=names)
        y = np.array(["a", "*/ int x;", "/* \\\n cé ??/"], dtype=object)[iris[1]]
        for arithmetic in ("float", "int"):
            compile_c(make_classifier(frame, y).to_c(X=frame, arithmetic=arithmetic), tmp_path)

    def test_writes_the_file(self, iris, tmp_path):
        path = tmp_path / "net.h"
        code = make_classifier(*iris).to_c(path=path)
        assert path.read_text() == code

    @needs_compiler
    @pytest.mark.parametrize("arithmetic", ["float", "int"])
    @pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
    def test_tests_itself(self, iris, tmp_path, arithmetic, kind):
        X, y = iris
        if kind == "numbers":
            model = make_regressor("squared_error", X, X[:, :2], 0.3)
        else:
            model = make_classifier(X, y if kind == "classes" else TARGETS["multilabel"](y), 0.3)
        code = model.to_c(X=X, arithmetic=arithmetic, self_test=20)
        assert self.n_wrong(code, tmp_path) == 0
        assert self.n_wrong(code.replace("z[", "-z["), tmp_path) > 5

    def n_wrong(self, code, folder):
        source, program = folder / "code.c", folder / "code"
        source.write_text(code)
        command = [
            COMPILERS[0],
            *STRICT,
            "-Dmodel_SELF_TEST",
            str(source),
            "-o",
            str(program),
            "-lm",
        ]
        subprocess.run(command, check=True)
        return subprocess.run([program], check=False).returncode

    def test_emulates_probabilities_of_classifiers_only(self, iris):
        assert_allclose(
            make_classifier(*iris).to_c().predict_proba(iris[0]).sum(axis=1), 1, rtol=1e-5
        )
        code = make_regressor("squared_error", iris[0], iris[0][:, 0]).to_c()
        with pytest.raises(AttributeError, match="predict_proba"):
            code.predict_proba(iris[0])


class TestRefuses:
    @pytest.fixture
    def model(self, iris):
        return make_classifier(*iris)

    @pytest.mark.parametrize(
        "name", [None, 3, "my-model", "2nd", "", "é", "a\n", "int", "class", "_x", "a__b"]
    )
    def test_names_that_are_none(self, model, name):
        with pytest.raises(ValueError, match="name must"):
            to_c(model, name=name)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"dtype": "int4"}, "dtype must be one of"),
            ({"arithmetic": "double"}, "arithmetic must be one of"),
            ({"arithmetic": "int"}, "arithmetic='int' needs X"),
            ({"self_test": 3}, "self_test=3 needs X"),
            ({"self_test": -1}, "self_test must be a number of rows"),
            ({"self_test": 2.5}, "self_test must be a number of rows"),
            ({"y": [0]}, "y needs X"),
            ({"arithmetic": "int", "dtype": "float32", "X": [[0] * 4]}, "8-bit weights"),
            ({"X": [[0] * 3]}, "rows of 4 columns"),
            ({"X": [0] * 4}, "rows of 4 columns"),
            ({"X": np.zeros((0, 4))}, "rows of 4 columns"),
            ({"X": [["a"] * 4]}, "numbers only"),
            ({"X": [[np.nan] * 4]}, "NaN or infinity in column 0 .x0."),
            ({"X": [[1e39] * 4]}, "NaN or infinity in column 0"),
            ({"X": [[0] * 4], "self_test": 2}, "self_test=2 needs as many rows"),
            ({"X": [[0] * 4], "y": [7]}, "classes that the model does not know"),
            ({"X": [[0] * 4], "y": [0, 1]}, "inconsistent numbers of samples"),
        ],
    )
    def test_parameters(self, model, settings, message, tmp_path):
        path = tmp_path / "net.h"
        with pytest.raises(ValueError, match=message):
            to_c(model, path=path, **settings)
        assert not path.exists()

    def test_models(self, iris):
        with pytest.raises(NotFittedError):
            to_c(network())
        with pytest.raises(NotFittedError):
            to_c(make_pipeline(StandardScaler(), network()))
        with pytest.raises(NotFittedError, match="best_estimator_"):
            to_c(PruningSearchCV(network()))
        with pytest.raises(TypeError, match=r"LogisticRegression.*from_sklearn"):
            to_c(LogisticRegression().fit(*iris))
        with pytest.raises(TypeError, match=r"to_c needs an OBDMLPClassifier.*got int"):
            to_c(3)

    @pytest.mark.parametrize(
        ("transformer", "error", "message"),
        [
            (PCA(), TypeError, r"PCA cannot be written in C.*pipeline\[-1\]"),
            (FunctionTransformer(np.tanh), ValueError, "FunctionTransformer.func=.*tanh"),
            (SimpleImputer(missing_values=-1), ValueError, r"SimpleImputer.missing_values=-1"),
            (SimpleImputer(add_indicator=True), ValueError, "add_indicator=True"),
            (OneHotEncoder(), ValueError, "OneHotEncoder of column 0 has the category"),
            (make_pipeline(StandardScaler(), OneHotEncoder()), ValueError, "be the first"),
            (make_union(StandardScaler(), PCA()), TypeError, "PCA"),
        ],
    )
    def test_transformers(self, iris, transformer, error, message):
        X, y = iris
        pipeline = make_pipeline(transformer, network(max_iter=2)).fit(X, y)
        with pytest.raises(error, match=message):
            to_c(pipeline)

    def test_categories_that_are_strings(self, iris):
        table = pd.DataFrame({"colour": np.array(["red", "green", "blue"], dtype=object)[iris[1]]})
        pipeline = make_pipeline(OneHotEncoder(), network(max_iter=2)).fit(table, iris[1])
        with pytest.raises(ValueError, match=r"OneHotEncoder of column 0.*'blue'.*whole numbers"):
            to_c(pipeline)

    def test_too_many_inputs(self):
        X = csr_array((np.ones(3), ([0, 1, 2], [0, 1, 70_000])), shape=(4, 70_001))
        model = OBDMLPClassifier((2,), max_iter=1, prune_fraction=0.5, n_rounds=1, n_regrow=0)
        model.fit(X, [0, 1, 0, 1])
        with pytest.raises(ValueError, match=r"at most 65,535.*70,001.*OBDFeatureSelector"):
            to_c(model)
