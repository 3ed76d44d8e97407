"""Fitted attributes: read from one value, and depending on nothing else."""

import copy
import pickle

import numpy as np
import pytest
from models import ESTIMATORS, SOLVERS, make
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from sklearn.datasets import make_regression

from skobd import OBDMLPClassifier, OBDMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def attributes(kind):
    """Names of the properties that a fitted estimator has."""
    estimator = ESTIMATORS[kind]
    names = [name for name in dir(estimator) if name.endswith("_") and name[0] != "_"]
    assert all(isinstance(getattr(estimator, name), property) for name in names)
    return names


@pytest.mark.parametrize("kind", ESTIMATORS)
class TestProperties:
    def test_are_documented(self, kind):
        estimator = ESTIMATORS[kind]
        section = estimator.__doc__.split("Attributes\n")[1].split("See Also\n")[0]
        entries = [line.split(" : ")[0] for line in section.splitlines() if " : " in line]
        documented = {name for entry in entries for name in entry.strip().split(", ")}
        by_scikit_learn = {"n_features_in_", "feature_names_in_"}
        by_scikit_learn |= {"classes_"} if kind == "classifier" else set()
        assert documented == {*attributes(kind), *by_scikit_learn}
        for name in attributes(kind):
            assert getattr(estimator, name).__doc__[-1] == "."

    def test_are_missing_before_fit(self, kind):
        model = make(kind)
        for name in attributes(kind):
            assert not hasattr(model, name)
            with pytest.raises(AttributeError, match=f"{type(model).__name__} is not fitted yet"):
                getattr(model, name)

    def test_cannot_be_set(self, kind, data):
        model = make(kind).fit(*data[kind])
        for name in attributes(kind):
            if name not in ("coefs_", "intercepts_"):
                with pytest.raises(AttributeError):
                    setattr(model, name, getattr(model, name))
        for name in ("coefs_", "intercepts_"):
            with pytest.raises(AttributeError, match="not fitted yet"):
                setattr(make(kind), name, getattr(model, name))

    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_depend_on_what_was_fitted_alone(self, kind, solver, early_stopping, data):
        X, y = data[kind][0], np.abs(data[kind][1])
        model = make(kind, solver=solver, early_stopping=early_stopping).fit(X, y)
        before = {name: getattr(model, name) for name in attributes(kind)}
        prediction, summary = model.predict(X), model.summary()
        perceptron = model.to_sklearn()
        model.set_params(
            early_stopping=not early_stopping,
            solver="adam" if solver == "lbfgs" else "lbfgs",
            activation="tanh",
            hidden_layer_sizes=(3,),
            prune_fraction=0.1,
            alpha=10,
            criterion="random",
        )
        model.set_params(**({"loss": "poisson"} if kind == "regressor" else {"class_weight": {}}))
        for name, value in before.items():
            assert_equal(getattr(model, name), value, err_msg=name)
        assert_array_equal(model.predict(X), prediction)
        assert_array_equal(model.compact().predict(X), prediction)
        assert model.summary() == summary
        after = model.to_sklearn()
        assert_array_equal(after.predict(X), perceptron.predict(X))
        for name in ("activation", "hidden_layer_sizes", "loss"):
            assert getattr(after, name, None) == getattr(perceptron, name, None)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_set_params_before_the_next_call_counts(kind, data):
    """The call that prunes decides what is deleted."""
    X, y = data[kind]
    model = make(kind, prune_fraction=0).fit(X, y).set_params(granularity="unit")
    n_units = sum(model.hidden_layer_sizes)
    model.prune(X, y, prune_fraction=0.5)
    left = sum(int(mask.any(axis=1).sum()) for mask in model.coef_masks_[1:])
    assert left == round(0.5 * n_units)


class TestWritingParameters:
    """A change takes effect or raises."""

    def test_assignment_takes_effect(self, iris):
        model = OBDMLPClassifier((5,), prune_fraction=0, max_iter=5).fit(*iris)
        model.predict(iris[0])
        coefs = [2 * coef for coef in model.coefs_]
        intercepts = [intercept + 1 for intercept in model.intercepts_]
        model.coefs_, model.intercepts_ = coefs, intercepts
        expected = model.to_sklearn()
        expected.coefs_, expected.intercepts_ = coefs, intercepts
        p = model.predict_proba(iris[0])
        assert_allclose(p, expected.predict_proba(iris[0]), rtol=1e-12)
        # They have been copied.
        coefs[0][:] = 0
        assert_array_equal(model.predict_proba(iris[0]), p)
        assert model.coefs_[0].any()

    @pytest.mark.parametrize(
        "obtain",
        [
            lambda model, X, y: model,
            lambda model, X, y: pickle.loads(pickle.dumps(model)),
            lambda model, X, y: copy.deepcopy(model),
            lambda model, X, y: model.compact(),
            lambda model, X, y: OBDMLPClassifier.from_sklearn(model.to_sklearn()),
            lambda model, X, y: model.pruning_path(X, y).estimator_at(1),
            lambda model, X, y: copy.deepcopy(model.pruning_path(X, y)).estimator_at(1),
            lambda model, X, y: pickle.loads(pickle.dumps(model.pruning_path(X, y))).estimator_at(
                1
            ),
        ],
        ids=[
            "fit",
            "pickle",
            "deepcopy",
            "compact",
            "from_sklearn",
            "path",
            "copied path",
            "pickled path",
        ],
    )
    def test_nothing_is_lost_in_silence(self, obtain, iris):
        model = obtain(make("classifier").fit(*iris), *iris)
        p = model.predict_proba(iris[0])
        for name in ("coefs_", "intercepts_", "coef_masks_"):
            arrays = getattr(model, name)
            assert isinstance(arrays, tuple)
            with pytest.raises(TypeError, match="does not support item assignment"):
                arrays[0] = arrays[0].copy()
            for array in arrays:
                with pytest.raises(ValueError, match="read-only"):
                    array[0] = 1
        if hasattr(model, "feature_importances_"):
            with pytest.raises(ValueError, match="read-only"):
                model.feature_importances_[0] = 1
        assert_array_equal(model.predict_proba(iris[0]), p)

    def test_deleted_ones_stay_deleted(self, iris):
        model = OBDMLPClassifier((5,), max_iter=20, random_state=0).fit(*iris)
        p, masks = model.predict_proba(iris[0]), model.coef_masks_
        model.coefs_ = [
            np.where(mask, coef, 3.0) for coef, mask in zip(model.coefs_, masks, strict=True)
        ]
        assert_array_equal(model.predict_proba(iris[0]), p)
        model.coefs_ = [np.ones_like(coef) for coef in model.coefs_]
        assert_array_equal(model.coefs_[0], masks[0].astype(float))
        model.partial_fit(*iris)
        assert (model.coefs_[0][~masks[0]] == 0).all()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_precision_stays(self, dtype, iris):
        model = make("classifier").fit(iris[0].astype(dtype), iris[1])
        model.coefs_ = [coef.tolist() for coef in model.coefs_]
        model.intercepts_ = (intercept.astype(np.float64) for intercept in model.intercepts_)
        assert {array.dtype for array in model.coefs_ + model.intercepts_} == {np.dtype(dtype)}

    def test_other_shapes(self, iris):
        model = make("classifier", hidden_layer_sizes=(5,)).fit(*iris)
        before = model.predict_proba(iris[0])
        coefs, intercepts = model.coefs_, model.intercepts_
        for bad in (coefs[::-1], coefs[:1], [*coefs, coefs[0]], coefs[0], [], [0, 0]):
            with pytest.raises(
                ValueError,
                match=r"coefs_ must be arrays of .*shapes \[\(4, 5\), \(5, 3\)\], got",
            ):
                model.coefs_ = bad
        for bad in (intercepts[::-1], [1.0, 1.0], [intercepts[0][:, np.newaxis], intercepts[1]]):
            with pytest.raises(
                ValueError,
                match=r"intercepts_ must be arrays of .*shapes \[\(5,\), \(3,\)\], got",
            ):
                model.intercepts_ = bad
        assert_array_equal(model.predict_proba(iris[0]), before)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
    def test_what_is_not_finite(self, value, iris):
        """In the precision of the network, here single."""
        model = make("classifier").fit(iris[0].astype(np.float32), iris[1])
        before = model.predict_proba(iris[0])
        for name in ("coefs_", "intercepts_"):
            arrays = [array.astype(np.float64) for array in getattr(model, name)]
            arrays[-1].flat[-1] = value
            with pytest.raises(ValueError, match=f"{name} must be finite"):
                setattr(model, name, arrays)
        assert_array_equal(model.predict_proba(iris[0]), before)


def test_importances_are_unknown_before_fit_or_prune(iris):
    model = OBDMLPClassifier((5,)).partial_fit(*iris, classes=[0, 1, 2])
    assert not hasattr(model, "feature_importances_")
    importances = model.prune(*iris, prune_fraction=0.5).feature_importances_
    assert_array_equal(model.partial_fit(*iris).feature_importances_, importances)


def test_loss_changed_after_fit():
    X, y = make_regression(60, 4, random_state=0)
    y = np.abs(y) / np.abs(y).max()
    model = OBDMLPRegressor(
        hidden_layer_sizes=(4,), solver="lbfgs", max_iter=1000, alpha=0.1, random_state=0
    ).fit(X, y)
    before = model.predict(X)
    model.set_params(loss="poisson")
    assert_array_equal(model.predict(X), before)
    assert model.out_activation_ == "identity"
    with pytest.raises(ValueError, match=r"fitted with loss='squared_error'.*'poisson'"):
        model.set_params(warm_start=True).fit(X, y)
    assert_array_equal(model.predict(X), before)
    assert model.set_params(warm_start=False).fit(X, y).out_activation_ == "exp"
