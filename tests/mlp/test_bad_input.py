"""Bad input: a clear error before any work, and the estimator as it was."""

import pickle
import re

import numpy as np
import pytest
import scipy.sparse as sp
from models import digest, plain
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier

from skobd import OBDMLPClassifier, OBDMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X, Y_REAL = RNG.normal(size=(40, 4)), RNG.normal(size=40)
Y_CLASS = np.arange(40) % 3
ESTIMATORS = {"classifier": OBDMLPClassifier, "regressor": OBDMLPRegressor}
# scikit-learn's own message, or ours where it does not check.
ALL_ZERO = "at least one non-zero|is zero for every sample"
TARGETS = {"classifier": Y_CLASS, "regressor": Y_REAL}


def make(kind="classifier", **params):
    defaults = {"hidden_layer_sizes": (5,), "max_iter": 5, "n_rounds": 2, "random_state": 0}
    return ESTIMATORS[kind](**plain(**defaults | params))


def with_value(value):
    bad = X.copy()
    bad[3, 2] = value
    return bad


def state(model):
    """Everything but the constructor parameters, as bytes."""
    parameters = model.get_params()
    attributes = {name: value for name, value in vars(model).items() if name not in parameters}
    if "_fitted" in attributes:
        attributes["_fitted"] = attributes["_fitted"].pack()
    return pickle.dumps(attributes)


def assert_refused(call, match, error=ValueError, kind="classifier", **params):
    """``call(model)`` raises on a fitted model and on a new one, and changes neither."""
    fitted, new = make(kind, **params).fit(X, TARGETS[kind]), make(kind, **params)
    fitted.predict(X)
    before, attributes = fitted.predict(X), state(fitted)
    for model in (fitted, new):
        with pytest.raises(error, match=match):
            call(model)
    assert_array_equal(fitted.predict(X), before)
    assert state(fitted) == attributes
    assert not hasattr(new, "coefs_")
    with pytest.raises(NotFittedError):
        new.predict(X)


@pytest.mark.parametrize("kind", ESTIMATORS)
class TestArrays:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_non_finite_x(self, kind, value):
        y = TARGETS[kind]
        for bad in (with_value(value), sp.csr_array(with_value(value))):
            assert_refused(lambda model, X=bad: model.fit(X, y), "NaN|infinity", kind=kind)
        assert_refused(lambda model: model.partial_fit(bad, y), "NaN|infinity|classes", kind=kind)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_non_finite_y(self, kind, value):
        y = TARGETS[kind].astype(float)
        y[5] = value
        assert_refused(lambda model: model.fit(X, y), "NaN|infinity", kind=kind)

    def test_shapes(self, kind):
        y = TARGETS[kind]
        assert_refused(lambda model: model.fit(X[:30], y), "inconsistent numbers", kind=kind)
        assert_refused(lambda model: model.fit(X[0], y[:4]), "Expected 2D array", kind=kind)
        assert_refused(lambda model: model.fit(X[:0], y[:0]), "minimum of 1", kind=kind)
        assert_refused(lambda model: model.fit(X[:, :0], y), "0 feature", kind=kind)
        assert_refused(lambda model: model.fit(X[None], y), "dim 3", kind=kind)

    def test_number_of_features_of_a_fitted_model(self, kind):
        y, model = TARGETS[kind], make(kind, warm_start=True).fit(X, TARGETS[kind])
        before = model.predict(X)
        for call in (
            lambda: model.predict(X[:, :3]),
            lambda: model.partial_fit(X[:, :3], y),
            lambda: model.prune(X[:, :3], y, prune_fraction=0.9),
            lambda: model.saliencies(X[:, :3], y),
            lambda: model.second_derivatives(X[:, :3], y),
            lambda: model.predicted_decreases(X[:, :3], y),
            lambda: model.fit(X[:, :3], y),
        ):
            with pytest.raises(ValueError, match=r"X has 3 features.*expecting 4 features"):
                call()
        assert_array_equal(model.predict(X), before)

    def test_sample_weight(self, kind):
        y = TARGETS[kind]
        for weight, match in (
            (np.zeros(40), ALL_ZERO),
            (np.full(40, -1.0), "Negative values"),
            (np.ones(39), "sample_weight.shape"),
            (np.full(40, np.nan), "NaN"),
        ):
            assert_refused(
                lambda model, weight=weight: model.fit(X, y, sample_weight=weight),
                match,
                kind=kind,
            )

    def test_validation_data(self, kind):
        y = TARGETS[kind]
        zeros = np.zeros(40)
        for arguments, match in (
            ({"X_val": X}, "X_val is provided, but y_val was not"),
            ({"y_val": y}, "y_val is provided, but X_val was not"),
            ({"sample_weight_val": zeros + 1}, "sample_weight_val is provided, but X_val was not"),
            ({"X_val": X, "y_val": y[:30]}, "y_val: .*inconsistent numbers"),
            ({"X_val": X[:, :2], "y_val": y}, "X_val: .*2 features"),
            ({"X_val": X[:1], "y_val": y[:1]}, "X_val: .*minimum of 2"),
            ({"X_val": with_value(np.nan), "y_val": y}, "X_val: .*NaN"),
            (
                {"X_val": X, "y_val": np.eye(2)[y.astype(int) % 2]},
                "y_val (has 2 outputs|is multil)",
            ),
            ({"X_val": X, "y_val": np.full(40, "a", dtype=object)}, "y_val"),
            (
                {"X_val": X, "y_val": y, "sample_weight_val": zeros - 1},
                "sample_weight_val .*Neg",
            ),
            ({"X_val": X, "y_val": y, "sample_weight_val": zeros}, ALL_ZERO),
        ):
            assert_refused(
                lambda model, arguments=arguments: model.fit(X, y, **arguments), match, kind=kind
            )

    def test_too_few_rows_for_the_validation_split(self, kind):
        assert_refused(
            lambda model: model.set_params(early_stopping=True).fit(X[:3], TARGETS[kind][:3]),
            "validation",
            kind=kind,
        )

    def test_one_row_for_validation(self, kind):
        y = np.arange(40) % 2
        params = {"early_stopping": True, "validation_fraction": 0.02}
        assert_refused(
            lambda model: model.set_params(**params).fit(X, y),
            "validation set is too small.*0.02.*40 samples|validation_fraction=0.02 cannot split",
            kind=kind,
        )

    def test_constant_and_zero_features_are_welcome(self, kind):
        constant = X.copy()
        constant[:, 0], constant[:, 1] = 7.0, 0.0
        model = make(kind, solver="lbfgs").fit(constant, TARGETS[kind])
        assert np.isfinite(model.predict(constant)).all()
        assert model.sparsity_ == pytest.approx(0.5, abs=0.03)
        only = make(kind, solver="lbfgs", hidden_layer_sizes=()).fit(
            np.zeros((40, 4)), TARGETS[kind]
        )
        assert np.isfinite(only.predict(X)).all()

    def test_one_row(self, kind):
        """A regressor learns from one row; a classifier needs two classes."""
        if kind == "regressor":
            assert np.isfinite(make(kind).fit(X[:1], Y_REAL[:1]).predict(X)).all()
        else:
            assert_refused(lambda model: model.fit(X[:1], Y_CLASS[:1]), "one class only")


@pytest.mark.slow
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("n_rows", [1, 5])
def test_prediction_refuses_what_scikit_learn_refuses(value, n_rows):
    X, y = load_iris(return_X_y=True)
    ours = OBDMLPClassifier(max_iter=2).fit(X, y)
    theirs = MLPClassifier(max_iter=2).fit(X, y)
    bad = X[:n_rows].copy()
    bad[-1, 2] = value
    for array in (bad, bad[:, :3], bad[:0], bad[0], bad[:, :, np.newaxis]):
        messages = []
        for model in (ours, theirs):
            with pytest.raises(ValueError) as error:  # noqa: PT011
                model.predict_proba(array)
            messages.append(str(error.value).replace("OBDMLP", "MLP"))
        assert messages[0] == messages[1]
    named = OBDMLPClassifier(max_iter=2).fit(load_iris(as_frame=True).data, y)
    with pytest.warns(UserWarning, match="valid feature names"):
        named.predict_proba(X[:n_rows])


# Nothing but finite numbers, one for each of the 40 rows, is a weight.
NO_WEIGHTS = {
    "text": "balanced",
    "texts": ["a"] * 40,
    "an object": object(),
    "a dict": {0: 1},
    "complex": np.ones(40) * 1j,
    "nothing": [None] * 40,
    "a matrix": np.ones((40, 1)),
    "too few": np.ones(3),
    "infinite": np.full(40, np.inf),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ESTIMATORS)
class TestWeights:
    @pytest.mark.parametrize("name", NO_WEIGHTS)
    def test_are_named(self, kind, name):
        y, weight = TARGETS[kind], NO_WEIGHTS[name]
        both = (ValueError, TypeError)
        assert_refused(
            lambda model: model.fit(X, y, sample_weight=weight), "sample_weight", both, kind
        )
        assert_refused(
            lambda model: model.fit(X, y, X_val=X, y_val=y, sample_weight_val=weight),
            "sample_weight_val",
            both,
            kind,
        )
        model = make(kind).fit(X, y)
        before = state(model)
        for method in ("prune", "partial_fit", "saliencies", "second_derivatives", "pruning_path"):
            with pytest.raises(both, match="sample_weight"):
                getattr(model, method)(X, y, sample_weight=weight)
        assert state(model) == before


@pytest.mark.parametrize("value", [1e308, 1e-320])
def test_weights_at_the_ends_of_floats(value):
    """They are relative, so that no sum of them overflows or vanishes."""
    plain = digest(make().fit(X, Y_CLASS))
    assert digest(make().fit(X, Y_CLASS, sample_weight=np.full(40, value))) == plain
    weights = dict.fromkeys(range(3), value)
    assert digest(make(class_weight=weights).fit(X, Y_CLASS)) == plain


@pytest.mark.slow
@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize(
    "y",
    [
        None,
        3,
        "abc",
        {0: 1},
        {0, 1},
        np.zeros((40, 2, 2)),
        np.arange(40) * 1j,
        [[1], [1, 2]] * 20,
        np.arange(3) % 2,
        np.array(["a", 1] * 20, dtype=object),
        np.array(["a", None] * 20, dtype=object),
        np.array(["a", np.nan] * 20, dtype=object),
        np.array([b"a", b"b"] * 20),
    ],
    ids=lambda y: repr(y)[:20],
)
def test_targets_are_named(kind, y):
    """Whatever is wrong with them, and wherever they are given."""
    both = (ValueError, TypeError)
    assert_refused(lambda model: model.fit(X, y), r"\by\b", both, kind)
    warm = make(kind, warm_start=True).fit(X, TARGETS[kind])
    before = state(warm)
    for method in ("fit", "prune", "partial_fit", "saliencies"):
        with pytest.raises(both, match=r"\by\b"):
            getattr(warm, method)(X, y)
    with pytest.raises(both, match=r"\by_val\b"):
        warm.fit(X, TARGETS[kind], X_val=X, y_val=y)
    assert state(warm) == before
    if kind == "classifier":
        assert_refused(lambda model: clone(model).partial_fit(X, y, classes=[0, 1]), r"\by\b", both)


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize(
    "bad",
    [None, 3, "abc", {0: 1}, X[0], X[None], X * 1j, X.astype("U4").astype(object) + "a", X[:0]],
    ids=["None", "3", "text", "dict", "1d", "3d", "complex", "texts", "no rows"],
)
def test_inputs_are_named(kind, bad):
    y, both = TARGETS[kind], (ValueError, TypeError)
    assert_refused(lambda model: model.fit(bad, y), r"\bX\b", both, kind)
    if bad is not None:
        call = {"X_val": bad, "y_val": y}
        assert_refused(lambda model: model.fit(X, y, **call), r"\bX_val\b", both, kind)


@pytest.mark.parametrize("kind", ESTIMATORS)
class TestParameters:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("prune_fraction", -0.1),
            ("prune_fraction", 1),
            ("prune_fraction", 1.5),
            ("prune_fraction", np.nan),
            ("prune_fraction", "half"),
            ("n_rounds", -1),
            ("n_rounds", 2.5),
            ("n_rounds", "5"),
            ("criterion", "taylor"),
            ("curvature", "fisher"),
            ("granularity", "layer"),
            ("retrain_max_iter", -1),
            ("retrain_max_iter", 1.5),
            ("retrain_max_iter", "auto"),
            ("retrain_alpha", -0.1),
            ("retrain_alpha", np.nan),
            ("retrain_alpha", None),
            ("retrain_alpha", "strong"),
            ("n_regrow", -1),
            ("n_regrow", 1.5),
            ("n_regrow", None),
            ("prune_tol", -1e-3),
            ("activation", "swish"),
            ("solver", "newton"),
            ("alpha", -1),
            ("batch_size", 0),
            ("learning_rate_init", 0),
            ("learning_rate", "linear"),
            ("momentum", 2),
            ("max_iter", 0),
            ("tol", -1),
            ("beta_1", 1),
            ("beta_2", -0.5),
            ("epsilon", 0),
            ("validation_fraction", 1),
            ("n_iter_no_change", 0),
            ("max_fun", 0),
            ("hidden_layer_sizes", -1),
            ("hidden_layer_sizes", (5, 0)),
            ("hidden_layer_sizes", (5, 2.5)),
            ("hidden_layer_sizes", "wide"),
            ("hidden_layer_sizes", True),
            ("hidden_layer_sizes", (5, True)),
            ("hidden_layer_sizes", np.array(2.5)),
            ("hidden_layer_sizes", np.array([[5]])),
            ("hidden_layer_sizes", {4, 3}),
            ("hidden_layer_sizes", frozenset({4})),
            ("hidden_layer_sizes", {4: 1}),
            ("hidden_layer_sizes", {4: 1}.keys()),
            ("hidden_layer_sizes", b"45"),
            ("hidden_layer_sizes", None),
            ("hidden_layer_sizes", (10**30,)),
            ("hidden_layer_sizes", (2**32, 2**32)),
        ],
    )
    def test_out_of_range(self, kind, name, value):
        shown = re.escape(repr(value)) if name != "hidden_layer_sizes" else ""
        if isinstance(value, float) and np.isnan(value):
            shown = "nan"
        assert_refused(
            lambda model: model.set_params(**{name: value}).fit(X, TARGETS[kind]),
            f"{name}.*{shown}",
            kind=kind,
        )

    @pytest.mark.parametrize(
        "name",
        [
            *("alpha", "batch_size", "learning_rate_init", "power_t", "max_iter", "tol"),
            *("epsilon", "n_iter_no_change", "max_fun", "n_rounds", "retrain_max_iter"),
            *("retrain_alpha", "n_regrow", "prune_tol"),
        ],
    )
    def test_integers_beyond_all_floats(self, kind, name):
        assert_refused(
            lambda model: model.set_params(**{name: 10**400}).fit(X, TARGETS[kind]),
            f"{name} must be at most 1.8e.308, got an integer of 1329 bits",
            kind=kind,
        )

    def test_more_rounds_than_can_do_anything(self, kind):
        allowed = "n_rounds=.* is more than the .* there are to delete; give at most 1000"
        assert_refused(
            lambda model: model.set_params(n_rounds=10**30).fit(X, TARGETS[kind]),
            allowed,
            kind=kind,
        )
        model = make(kind, prune_fraction=0).fit(X, TARGETS[kind])
        with pytest.raises(ValueError, match=allowed):
            model.prune(X, TARGETS[kind], prune_fraction=0.5, n_rounds=1001)

    @pytest.mark.parametrize("power_t", [1e300, 10**300])
    def test_a_power_that_overflows_ends_training(self, kind, power_t):
        """The rate is 0 from the second epoch on: the limit of ever larger powers."""
        params = {"solver": "sgd", "learning_rate": "invscaling", "prune_fraction": 0}
        coefs = [
            make(kind, **params, power_t=power, max_iter=4).fit(X, TARGETS[kind]).coefs_[0]
            for power in (power_t, 100)
        ]
        np.testing.assert_allclose(*coefs, rtol=1e-12)

    def test_error_says_what_is_allowed(self, kind):
        with pytest.raises(
            ValueError, match=r"'prune_fraction'.*range \[0(.0)?, 1(.0)?\).*Got 1.5"
        ):
            make(kind, prune_fraction=1.5).fit(X, TARGETS[kind])
        with pytest.raises(ValueError, match=r"'n_rounds'.*an int in the range \[0, inf\).*Got -1"):
            make(kind, n_rounds=-1).fit(X, TARGETS[kind])
        with pytest.raises(ValueError, match=r"'retrain_alpha'.*'auto'.*range \[0.*Got None"):
            make(kind, retrain_alpha=None).fit(X, TARGETS[kind])

    def test_batch_larger_than_the_data_is_clipped_with_a_warning(self, kind):
        with pytest.warns(UserWarning, match=r"batch_size=100 is larger.*clipped to 40"):
            model = make(kind, batch_size=100, tol=1).fit(X, TARGETS[kind])
        same = make(kind, batch_size=40, tol=1).fit(X, TARGETS[kind])
        assert_array_equal(model.coefs_[0], same.coefs_[0])


class TestLabels:
    def test_one_class_only(self):
        assert_refused(lambda model: model.fit(X, np.ones(40)), r"one class only, \[1.0\]")
        assert_refused(lambda model: model.fit(X, ["a"] * 40), r"one class only, \['a'\]")

    def test_real_targets(self):
        assert_refused(lambda model: model.fit(X, Y_REAL), "Unknown label type")

    def test_unseen_in_y_val(self):
        y_val = Y_CLASS.copy()
        y_val[:2] = 7
        assert_refused(
            lambda model: model.fit(X, Y_CLASS, X_val=X, y_val=y_val),
            r"`y_val` has classes not in `self.classes_`: \[7\].*\[0, 1, 2\]",
        )
        labels = np.array(["a", "b", "c"])
        assert_refused(
            lambda model: model.fit(X, labels[Y_CLASS], X_val=X, y_val=labels[Y_CLASS] + "x"),
            "`y_val` has classes not in",
        )

    @pytest.mark.parametrize(
        "method",
        ["partial_fit", "prune", "saliencies", "second_derivatives", "predicted_decreases"],
    )
    def test_unseen_later(self, method):
        model = make().fit(X, Y_CLASS)
        before = state(model)
        arguments = {"prune_fraction": 0.9} if method == "prune" else {}
        with pytest.raises(ValueError, match=r"classes not in `self.classes_`: \[3\]"):
            getattr(model, method)(X, Y_CLASS + 1, **arguments)
        assert state(model) == before

    @pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, "a"])
    def test_values_of_class_weight(self, value):
        assert_refused(
            lambda model: model.set_params(class_weight={0: value}).fit(X, Y_CLASS),
            r"class_weight\[0\] must be a finite number >= 0, got",
        )

    def test_class_weight_of_nothing(self):
        assert_refused(
            lambda model: model.set_params(class_weight=dict.fromkeys(range(3), 0)).fit(X, Y_CLASS),
            "class_weight is zero for every sample",
        )

    def test_multilabel_targets_of_another_width(self):
        Y = np.eye(4, dtype=int)[np.arange(40) % 4]
        model = make().fit(X, Y)
        with pytest.raises(ValueError, match="y_val has 3 labels, but the network is one for 4"):
            model.fit(X, Y, X_val=X, y_val=Y[:, :3])
        with pytest.raises(ValueError, match="y is multiclass, but the network is one for multil"):
            model.prune(X, Y.argmax(axis=1), prune_fraction=0.9)

    def test_one_class_in_partial_fit(self):
        model = make()
        with pytest.raises(ValueError, match="classes has one class only"):
            model.partial_fit(X, np.zeros(40, dtype=int), classes=[0])
        assert not hasattr(model, "classes_")

    def test_unseen_in_warm_start(self):
        model = make(warm_start=True).fit(X, Y_CLASS)
        before = model.predict(X)
        with pytest.raises(ValueError, match="same classes as in the previous call"):
            model.fit(X, Y_CLASS + 1)
        assert_array_equal(model.predict(X), before)

    def test_partial_fit_needs_classes(self):
        model = make()
        with pytest.raises(ValueError, match="classes must be passed on the first call"):
            model.partial_fit(X, Y_CLASS)
        with pytest.raises(ValueError, match=r"`y` has classes not in.*\[2\]"):
            model.partial_fit(X, Y_CLASS, classes=[0, 1])
        assert not hasattr(model, "classes_")
        model.partial_fit(X, Y_CLASS, classes=[0, 1, 2])
        with pytest.raises(ValueError, match="not the same as on last call"):
            model.partial_fit(X, Y_CLASS, classes=[0, 1, 2, 3])

    def test_partial_fit_with_early_stopping(self):
        model = make(early_stopping=True).fit(X, Y_CLASS)
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
            model.partial_fit(X, Y_CLASS)

    def test_partial_fit_with_balanced_classes(self):
        with pytest.raises(ValueError, match="class_weight='balanced' is not supported"):
            make(class_weight="balanced").partial_fit(X, Y_CLASS, classes=[0, 1, 2])

    def test_partial_fit_with_lbfgs(self):
        with pytest.raises(AttributeError, match="partial_fit"):
            make(solver="lbfgs").partial_fit(X, Y_CLASS, classes=[0, 1, 2])

    @pytest.mark.parametrize(
        "classes",
        [[[0, 1]], 3, "ab", {0, 1}, {0: 1}, [0, "a"], [None, 1], [0.5, 1.5], [np.nan, 1], []],
        ids=str,
    )
    def test_classes_of_partial_fit(self, classes):
        model = make()
        for _ in range(2):
            attributes = set(vars(model))
            with pytest.raises((ValueError, TypeError), match=r"\bclasses\b"):
                model.partial_fit(X, Y_CLASS, classes=classes)
            assert set(vars(model)) == attributes
            model.partial_fit(X, Y_CLASS, classes=[0, 1, 2])

    @pytest.mark.filterwarnings("ignore:A column-vector y")
    def test_lists_of_class_weights_are_for_multilabel_targets(self):
        for y in (Y_CLASS, Y_CLASS[:, np.newaxis]):
            assert_refused(
                lambda model, y=y: model.set_params(class_weight=[{0: 1}]).fit(X, y),
                r"class_weight must be a dict, 'balanced' or None.*Got \[\{0: 1\}\]",
            )

    @pytest.mark.parametrize("class_weight", ["heavy", 3, {5: 1.0, 6: 2.0}])
    def test_class_weight(self, class_weight):
        if isinstance(class_weight, dict):
            assert_refused(
                lambda model: model.set_params(class_weight=class_weight).fit(X, Y_CLASS),
                "classes, \\[5, 6\\], are not in|class_weight",
            )
        else:
            assert_refused(
                lambda model: model.set_params(class_weight=class_weight).fit(X, Y_CLASS),
                "'class_weight' parameter",
            )

    def test_negative_counts(self):
        counts = np.abs(Y_REAL)
        model = make("regressor", loss="poisson").fit(X, counts)
        before = state(model)
        with pytest.raises(ValueError, match="loss='poisson' needs y >= 0, but its minimum is -"):
            model.fit(X, Y_REAL)
        with pytest.raises(ValueError, match="needs y_val >= 0"):
            model.fit(X, counts, X_val=X, y_val=Y_REAL)
        assert state(model) == before


@pytest.mark.parametrize("kind", ESTIMATORS)
class TestPruning:
    def test_before_fitting(self, kind):
        for method in ("prune", "saliencies", "second_derivatives", "predicted_decreases"):
            with pytest.raises(NotFittedError, match="not fitted yet"):
                getattr(make(kind), method)(X, TARGETS[kind])

    def test_below_the_present_level(self, kind):
        model = make(kind, prune_fraction=0.8).fit(X, TARGETS[kind])
        before = state(model)
        with pytest.raises(ValueError, match=r"prune_fraction=0.5 is below the present level"):
            model.prune(X, TARGETS[kind], prune_fraction=0.5)
        assert state(model) == before

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"prune_fraction": 1.0}, ValueError),
            ({"prune_fraction": -0.5}, ValueError),
            ({"prune_fraction": np.nan}, ValueError),
            ({"prune_fraction": "most"}, TypeError),
            ({"prune_fraction": True}, ValueError),
            ({"prune_fraction": np.inf}, ValueError),
            ({"prune_fraction": [0.9]}, TypeError),
            ({"prune_fraction": 0.9, "n_rounds": 0}, ValueError),
            ({"prune_fraction": 0.9, "n_rounds": -3}, ValueError),
            ({"prune_fraction": 0.9, "n_rounds": 1.5}, TypeError),
        ],
    )
    def test_arguments(self, kind, arguments, error):
        model = make(kind).fit(X, TARGETS[kind])
        before = state(model)
        with pytest.raises(error, match=r"prune_fraction|n_rounds"):
            model.prune(X, TARGETS[kind], **arguments)
        assert state(model) == before

    def test_bad_data(self, kind):
        model = make(kind).fit(X, TARGETS[kind])
        before = state(model)
        with pytest.raises(ValueError, match="NaN"):
            model.prune(with_value(np.nan), TARGETS[kind], prune_fraction=0.9)
        with pytest.raises(ValueError, match=ALL_ZERO):
            model.prune(X, TARGETS[kind], prune_fraction=0.9, sample_weight=np.zeros(40))
        assert state(model) == before

    def test_other_sizes_than_the_fitted_ones(self, kind):
        model = make(kind, warm_start=True).fit(X, TARGETS[kind])
        before = model.predict(X)
        model.set_params(hidden_layer_sizes=(7,))
        for call in (
            lambda: model.fit(X, TARGETS[kind]),
            lambda: model.partial_fit(X, TARGETS[kind]),
            lambda: model.prune(X, TARGETS[kind], prune_fraction=0.9),
        ):
            with pytest.raises(ValueError, match="fitted network has layer sizes"):
                call()
        assert_array_equal(model.predict(X), before)


def test_validation_targets_of_another_width():
    Y = np.column_stack([Y_REAL, Y_REAL])
    for y, y_val, numbers in ((Y, Y_REAL, (1, 2)), (Y_REAL, Y, (2, 1))):
        with pytest.raises(
            ValueError,
            match="y_val has {} outputs, but the training targets have {}".format(*numbers),
        ):
            make("regressor").fit(X, y, X_val=X, y_val=y_val)


@pytest.mark.parametrize(
    "sizes", [np.array(5), np.int64(5), np.array([5]), [np.int32(5)], range(5, 6)]
)
def test_hidden_layer_sizes_of_any_kind(sizes):
    model = make(hidden_layer_sizes=sizes).fit(X, Y_CLASS)
    assert [layer.shape for layer in model.coefs_] == [(4, 5), (5, 3)]


@pytest.mark.filterwarnings("ignore:Inputs are far off scale:UserWarning")
class TestDivergence:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_names_the_cure(self, kind):
        huge = X * 1e200
        fitted = make(kind).fit(X, TARGETS[kind])
        before = state(fitted)
        params = {"solver": "sgd", "learning_rate_init": 1e10, "activation": "identity"}
        new = make(kind, **params)
        for model in (fitted.set_params(**params), new):
            with pytest.raises(
                ValueError, match=r"lower learning_rate_init \(now 1.*e\+?10|1000000"
            ):
                model.fit(huge, TARGETS[kind])
        assert not hasattr(new, "coefs_")
        fitted.set_params(solver="adam", learning_rate_init=0.001, activation="relu")
        assert state(fitted) == before

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_never_silent(self, solver):
        """Whatever the scale of the data: finite predictions, or an error."""
        for scale in (1e3, 1e100, 1e300):
            for rate in (1e-3, 1e3):
                model = make("regressor", solver=solver, learning_rate_init=rate)
                refused = ""
                try:
                    model.fit(X * scale, Y_REAL * scale)
                except ValueError as error:
                    refused = str(error)
                assert hasattr(model, "coefs_") == (refused == "")
                if refused:
                    assert "standardise the input" in refused
                else:
                    assert np.isfinite(model.predict(X * scale)).all()

    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    @pytest.mark.parametrize("begin", ["fit", "partial_fit"])
    def test_partial_fit_leaves_the_model(self, solver, begin):
        model = getattr(make("regressor", solver=solver), begin)(X, Y_REAL)
        model.partial_fit(X, Y_REAL)
        before = model.predict(X)
        with pytest.raises(ValueError, match="standardise the input"):
            model.partial_fit(X * 1e200, Y_REAL)
        assert_array_equal(model.predict(X), before)
        # Nor has the optimiser seen anything of it.
        assert np.isfinite(model.partial_fit(X, Y_REAL).predict(X)).all()

    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_divergence_in_the_last_update(self, method):
        """One minibatch, so that every loss comes before the first update."""
        model = make(
            "regressor",
            loss="poisson",
            solver="sgd",
            learning_rate_init=1e4,
            max_iter=1,
            n_rounds=0,
        )
        with pytest.raises(ValueError, match="standardise the input"):
            getattr(model, method)(X, np.exp(Y_REAL))
        assert not hasattr(model, "coefs_")

    def test_early_stopping(self):
        model = make("regressor", solver="sgd", learning_rate_init=1.0, activation="identity")
        model.set_params(early_stopping=True, max_iter=50, prune_fraction=0)
        with pytest.raises(ValueError, match="standardise the input"):
            model.fit(X * 20, Y_REAL)
        assert not hasattr(model, "loss_")

    def test_after_a_deletion_that_nothing_makes_up_for(self):
        """Without retraining, the deletion may leave a network whose output overflows."""
        model = make("regressor", loss="poisson", retrain_max_iter=0, hidden_layer_sizes=())
        two = np.repeat(np.abs(X[:, :1]) + 1, 2, axis=1)
        model.set_params(prune_fraction=0).fit(two, np.exp(Y_REAL))
        # They cancel one another.
        model.coefs_ = [np.array([[1.0], [-0.99]])]
        before = state(model)
        with pytest.raises(ValueError, match=r"objective is inf .*standardise the input"):
            model.prune(two * 1e3, np.exp(Y_REAL), prune_fraction=0.5)
        assert state(model) == before

    @pytest.mark.slow
    @pytest.mark.parametrize("criterion", ["obd", "unit_obs", "obs"])
    @pytest.mark.parametrize("granularity", ["weight", "unit", "feature"])
    @pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e20), (np.float64, 1e155)])
    @pytest.mark.parametrize("activation", ["tanh", "identity"])
    def test_squares_of_the_input_overflow(self, criterion, granularity, dtype, scale, activation):
        small, huge = X.astype(dtype), (X * scale).astype(dtype)
        model = make(solver="sgd", prune_fraction=0.5, activation=activation).fit(small, Y_CLASS)
        model.set_params(criterion=criterion, granularity=granularity, retrain_max_iter=0)
        before = state(model)
        for call in (
            lambda: model.saliencies(huge, Y_CLASS).coefs,
            lambda: model.second_derivatives(huge, Y_CLASS).coefs,
            lambda: model.predicted_decreases(huge, Y_CLASS).coefs,
            lambda: model.prune(huge, Y_CLASS, prune_fraction=0.6).coefs_,
        ):
            refused = ""
            try:
                assert all(np.isfinite(values).all() for values in call())
            except ValueError as error:
                refused = str(error)
                assert state(model) == before
            # The surgeons' sums are in double precision, and exact where all is saturated.
            assert "tandardise the input" in refused or criterion != "obd"

    def test_predictions_overflow(self):
        model = make("regressor", loss="poisson").fit(X, np.exp(Y_REAL))
        with pytest.raises(ValueError, match="too large for this network"):
            model.predict(X * 1e10)


@pytest.mark.parametrize("attribute", ["coefs_", "intercepts_"])
@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: None,
        lambda arrays: 3,
        lambda arrays: "abc",
        lambda arrays: {0: 1},
        lambda arrays: arrays[:1],
        lambda arrays: [[[1], [1, 2]], [1]],
        lambda arrays: [array.astype(str) for array in arrays],
        lambda arrays: [array * 1j for array in arrays],
        lambda arrays: [np.full(array.shape, None) for array in arrays],
        lambda arrays: [array * np.nan for array in arrays],
    ],
)
def test_assigned_arrays(attribute, change):
    model = make().fit(X, Y_CLASS)
    before = state(model)
    values = change(getattr(model, attribute))
    with pytest.raises(ValueError, match=f"{attribute} must be"):
        setattr(model, attribute, values)
    assert state(model) == before


@pytest.mark.filterwarnings("ignore:Inputs are far off scale")
def test_cure_of_overflow_is_one_that_the_solver_has():
    model = make(solver="lbfgs", prune_fraction=0.5)
    with pytest.raises(ValueError, match="too large for float32") as error:
        model.fit((X * 1e30).astype(np.float32), Y_CLASS)
    assert "learning_rate" not in str(error.value)


@pytest.mark.parametrize(
    "method", ["fit", "partial_fit", "prune", "saliencies", "predicted_decreases"]
)
def test_activation_changed_after_fit(method):
    model = make(warm_start=True, activation="tanh", prune_fraction=0).fit(X, Y_CLASS)
    before = state(model)
    model.set_params(activation="relu", prune_fraction=0.5)
    with pytest.raises(ValueError, match="fitted with activation='tanh', but activation is now"):
        getattr(model, method)(X, Y_CLASS)
    assert state(model) == before


@pytest.mark.parametrize("method", ["saliencies", "second_derivatives", "predicted_decreases"])
def test_parameters_changed_after_fit(method):
    model = make().fit(X, Y_CLASS).set_params(criterion="obdd", curvature="hesse")
    with pytest.raises(ValueError, match=r"'(criterion|curvature)' parameter"):
        getattr(model, method)(X, Y_CLASS)
