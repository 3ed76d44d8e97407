"""Anything goes in; out comes a right answer, or a ValueError or TypeError that says why.

``SKOBD_FUZZ_CASES`` sets how many cases are tried; see docs/development.md.
"""

import copy
import os
import pickle
import re
import sys
import warnings

import layouts
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from models import ESTIMATORS, assert_deleted_are_zero, digest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skobd import OBDFeatureSelector, feature_groups_of
from skobd._net.activations import ACTIVATIONS
from skobd._prune.criteria import CRITERIA
from skobd._prune.curvature import CURVATURES
from skobd._prune.granularity import GRANULARITIES
from skobd._prune.schedule import survivors_at
from skobd._train.solvers import SOLVERS

pytestmark = pytest.mark.slow

N_CASES = int(os.environ.get("SKOBD_FUZZ_CASES", "60"))
fuzz = settings(
    max_examples=N_CASES,
    deadline=None,
    # A small budget is the same every time, a large one is new every time.
    derandomize="SKOBD_FUZZ_CASES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# A message is clear if it names what is wrong.
CULPRITS = re.compile(
    r"\b(X|y|X_val|sample_weight|class(es)?|target|label|inputs?|samples?|parameter|criterion|"
    r"learning_rate_init|validation_fraction|early_stopping|alpha|prune_fraction|granularity|"
    r"n_rounds|estimator)\b",
    re.IGNORECASE,
)
CONTAINERS = {
    "array": np.asarray,
    "by columns": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": lambda X: X[::-1].copy()[::-1],
    "packed": lambda X: layouts.packed(X, 4),
    "packed by a byte": lambda X: layouts.packed(X, 1),
    "off by a byte": layouts.off_by_a_byte,
    "list": lambda X: X.tolist(),
    "frame": lambda X: pd.DataFrame(X, columns=[f"column {i}" for i in range(X.shape[1])]),
    "mixed frame": lambda X: pd.DataFrame({f"c{i}": column for i, column in enumerate(X.T)}),
    "object": lambda X: X.astype(object),
    "csr": sp.csr_array,
    "csc": sp.csc_matrix,
    "coo": sp.coo_array,
}
DTYPES = ["f8", "f4", "f2", "i8", "u1", "?", ">f8"]
LABELS = {
    "numbers": lambda k: k,
    "negative": lambda k: k - 7,
    "strings": lambda k: np.array(["no", "yes", "perhaps", "", "ja"])[k],
    "objects": lambda k: np.array(["a", "b", "c", "d", "e"], dtype=object)[k],
    "floats": lambda k: k * 1.0,
    "far apart": lambda k: k * 10**15,
    "column": lambda k: k[:, np.newaxis],
    "many": lambda k: np.arange(len(k)) // 2,
    "one class": lambda k: 0 * k,
    "indicator": lambda k: np.eye(5, dtype=int)[k] | np.eye(5, dtype=int)[k[::-1]],
}
# Exponents of scales: mostly sane.
EXPONENTS = st.one_of(st.integers(-3, 3), st.sampled_from([-300, -160, -40, -20, 20, 40, 160, 300]))


@st.composite
def inputs(draw):
    """A matrix of any scale, container and type, and its generator."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n_samples = draw(st.sampled_from([1, 2, 5, 12, 30]))
    X = rng.normal(size=(n_samples, draw(st.integers(1, 4))))
    X[rng.random(X.shape) < draw(st.sampled_from([0, 0, 0.5, 1]))] = 0
    X[:, : draw(st.integers(1, 4))] *= 10.0 ** draw(EXPONENTS)
    if draw(st.booleans()):
        X[:, -1] = X[0, -1]
    with np.errstate(all="ignore"):
        X = X.astype(draw(st.sampled_from(DTYPES[:2] * 4 + DTYPES)))
    return X, rng


@st.composite
def targets(draw, kind, rng, n_samples):
    """Labels or numbers, and the loss that suits them."""
    if kind == "classifier":
        label = LABELS[draw(st.sampled_from(list(LABELS)))]
        return label(rng.integers(draw(st.integers(1, 5)), size=n_samples)), {}
    y = rng.normal(size=(n_samples, draw(st.integers(1, 3)))) * 10.0 ** draw(EXPONENTS)
    loss = draw(st.sampled_from(["squared_error", "squared_error", "poisson"]))
    if loss == "poisson" and draw(st.integers(0, 9)):
        y = np.abs(y)
    with np.errstate(all="ignore"):
        y = y.astype(draw(st.sampled_from(["f8", "f4"])))
    return (y[:, 0] if y.shape[1] == 1 and draw(st.booleans()) else y), {"loss": loss}


@st.composite
def parameters(draw):
    """All combinations of what is chosen from a table, the rest from sane and odd values."""
    one_of = {
        "hidden_layer_sizes": [(), (3,), 4, (4, 2), [2, 2, 2], np.array([3])],
        "activation": list(ACTIVATIONS),
        "solver": list(SOLVERS),
        "alpha": [0, 1e-4, 1, 1e6],
        "batch_size": ["auto", 1, 7, 1000],
        "learning_rate": ["constant", "invscaling", "adaptive", "cosine"],
        "learning_rate_init": [1e-3, 0.1, 1e-12, 10, 1e160],
        "max_iter": [1, 3],
        "shuffle": [True, False],
        "early_stopping": [False, False, True],
        "tol": [1e-4, 0, 1e3],
        "n_iter_no_change": [1, 10],
        "prune_fraction": ["auto", 0, 0.3, 0.9, 0.999],
        "n_rounds": [0, 1, 3],
        "criterion": list(CRITERIA),
        "curvature": list(CURVATURES),
        "granularity": list(GRANULARITIES),
        "retrain_max_iter": [0, 1, 3, None],
        "retrain_alpha": ["auto", 0],
        "n_regrow": [0, 2],
        "prune_tol": [0.05, 0, 10],
    }
    return {name: draw(st.sampled_from(values)) for name, values in one_of.items()}


@st.composite
def weights(draw, rng, n_samples):
    """None, or anything that can weigh, in units of any size."""
    kinds = ["ones", "some 0", "real", "wide", "tiny", "bool", "all 0"]
    kind = draw(st.sampled_from(["none"] * 4 + kinds))
    unit = 10.0 ** draw(st.integers(-6, 6))
    return {
        "none": None,
        "ones": np.full(n_samples, unit),
        "some 0": rng.integers(3, size=n_samples) * unit,
        "real": rng.uniform(0.1, 3, size=n_samples) * unit,
        "wide": 10.0 ** rng.uniform(-30, 30, size=n_samples),
        "tiny": np.full(n_samples, 1e-300),
        "bool": rng.random(n_samples) < 0.7,
        "all 0": np.zeros(n_samples),
    }[kind]


def frozen(*arguments):
    """What arguments hold, to be compared with later."""
    return pickle.dumps(arguments)


def attempt(call, *args, **kwargs):
    """Result of a call, or None where it is refused; then for a reason that is given."""
    before = frozen(args, kwargs)
    try:
        return call(*args, **kwargs)
    except (ValueError, TypeError) as error:
        if not CULPRITS.search(str(error)):
            raise AssertionError(f"unclear: {error!r}") from error
        return None
    finally:
        assert frozen(args, kwargs) == before, "the arguments were changed"


def check_counts(model):
    """Exactly as much is deleted as was asked for."""
    fitted = model._fitted
    n_total, n_left = fitted.n_total, fitted.n_left
    if not n_total or model.n_rounds == 0:
        return
    is_auto = model.prune_fraction == "auto"
    asked = survivors_at([0.875 if is_auto else model.prune_fraction], n_total)[0]
    assert n_left >= asked
    if not is_auto and model.granularity == "weight":
        assert n_left == (asked if model.prune_fraction else n_total)
    assert model.n_weights_ == sum(mask.sum() for mask in model.coef_masks_)


def check_fitted(model, X, n_samples):
    """Finite in all its attributes, and its copies predict the same."""
    assert_deleted_are_zero(model)
    for values in model.coefs_ + model.intercepts_:
        assert np.isfinite(values).all()
    assert np.isfinite(model.loss_)
    importances = model.feature_importances_
    assert (importances >= 0).all()
    assert importances.sum() == pytest.approx(1, abs=1e-3) or not importances.any()
    check_counts(model)
    predictions = attempt(model.predict, X)
    if predictions is None:
        return
    assert len(predictions) == n_samples
    if hasattr(model, "classes_"):
        p = model.predict_proba(X)
        assert np.isfinite(p).all()
        assert ((p >= 0) & (p <= 1)).all()
        assert not np.isnan(model.predict_log_proba(X)).any()
        if model.out_activation_ == "softmax" or predictions.ndim == 1:
            assert (np.abs(p.sum(axis=1) - 1) < 1e-5).all()
        assert np.isin(predictions, [*model.classes_, 0, 1]).all()
    else:
        assert np.isfinite(predictions).all()
        p = predictions
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), predictions)
    small = model.compact()
    q = small.predict_proba(X) if hasattr(model, "classes_") else small.predict(X)
    eps = np.finfo(model.coefs_[0].dtype).eps
    # Rounding of the largest numbers that are added up.
    network, dense = model._fitted.pruned.network, sp.coo_array(np.asarray(p))
    largest = float(np.abs(np.asarray(dense.toarray(), dtype=float)).max(initial=0))
    bound = network.output_bound(model._fitted.pruned.theta.astype(float), size_of(X))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(q, p, rtol=1e-3, atol=1e3 * eps * max(bound, largest, 1))


def size_of(X):
    """The largest entry of anything that holds numbers."""
    X = X.toarray() if sp.issparse(X) else np.asarray(X, dtype=float)
    return float(np.abs(X.astype(float)).max())


def check_derivatives(model, X, y, weight):
    for method in ("saliencies", "second_derivatives", "predicted_decreases"):
        found = attempt(getattr(model, method), X, y, sample_weight=weight)
        for values in () if found is None else found.coefs + found.intercepts:
            assert np.isfinite(values).all()


@pytest.mark.parametrize("kind", ESTIMATORS)
@fuzz
@given(data=st.data())
def test_right_or_refused(kind, data):
    X, rng = data.draw(inputs())
    n_samples = X.shape[0]
    y, params = data.draw(targets(kind, rng, n_samples))
    weight = data.draw(weights(rng, n_samples))
    container = data.draw(st.sampled_from(list(CONTAINERS)))
    try:
        X = CONTAINERS[container](X)
    except (ValueError, TypeError):
        # SciPy holds no numbers of this type.
        return
    model = ESTIMATORS[kind](random_state=0, **params, **data.draw(parameters()))
    given_parameters = frozen(model.get_params())
    errors = data.draw(st.sampled_from(["warn", "raise"]))
    patch = pytest.MonkeyPatch.context()
    with warnings.catch_warnings(), np.errstate(all=errors), patch as patched:
        if data.draw(st.booleans()):
            layouts.copy_nothing(patched)
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        fitted = attempt(model.fit, X, y, sample_weight=weight)
        assert frozen(model.get_params()) == given_parameters
        event("refused" if fitted is None else "fitted")
        if fitted is None:
            assert not hasattr(model, "coefs_")
            return
        bits = digest(model)
        check_fitted(model, X, n_samples)
        check_derivatives(model, X, y, weight)
        assert digest(model) == bits
        assert digest(clone(model).fit(X, y, sample_weight=weight)) == bits
        pruned = copy.deepcopy(model)
        if attempt(pruned.prune, X, y, sample_weight=weight, prune_fraction=0.95) is None:
            assert digest(pruned) == bits
        else:
            assert all(np.isfinite(values).all() for values in pruned.coefs_)
        if model.solver != "lbfgs":
            if attempt(model.partial_fit, X, y, sample_weight=weight) is None:
                assert digest(model) == bits


@pytest.mark.parametrize("kind", ESTIMATORS)
@fuzz
@given(data=st.data())
def test_unit_of_weights(kind, data):
    """Equal weights are none, bit for bit, and twelve orders of magnitude are the same network."""
    seed, scale = data.draw(st.integers(0, 10**6)), 10.0 ** data.draw(st.floats(-6, 6))
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(data.draw(st.integers(5, 30)), 3))
    y = rng.integers(3, size=len(X)) if kind == "classifier" else rng.normal(size=len(X))
    model = ESTIMATORS[kind](random_state=0, **data.draw(parameters()))
    model.set_params(learning_rate_init=1e-3, max_iter=3, alpha=data.draw(st.floats(0, 10)))
    weight = data.draw(st.sampled_from([np.ones(len(X)), rng.integers(1, 9, size=len(X))]))
    weight[0] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = attempt(clone(model).fit, X, y, sample_weight=weight)
        other = attempt(model.fit, X, y, sample_weight=scale * weight)
        assert (one is None) == (other is None)
        if one is None:
            return
        assert digest(one) == digest(other)
        if (weight == 1).all():
            assert digest(clone(model).fit(X, y)) == digest(one)


OPERATIONS = ("compact", "prune", "partial_fit", "fit", "warm fit", "clone", "pickle", "assign")


def operate(model, name, data, fraction):
    """The model after an operation, or None where that was refused for a reason that is given."""
    if name == "compact":
        return model.compact()
    if name == "pickle":
        return pickle.loads(pickle.dumps(model))
    if name == "assign":
        model.coefs_ = [coef * 0.5 for coef in model.coefs_]
        return model
    if name == "prune":
        return attempt(model.prune, *data, prune_fraction=fraction)
    if name == "clone":
        return attempt(clone(model).fit, *data)
    model.set_params(warm_start=name == "warm fit")
    return attempt(model.partial_fit if name == "partial_fit" else model.fit, *data)


@pytest.mark.parametrize("kind", ESTIMATORS)
@fuzz
@given(data=st.data())
def test_sequences_of_operations(kind, data):
    """Whatever came before, what a model is made of is right, and what it sets can be fitted."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    X = rng.normal(size=(20, 3))
    y = np.arange(20) % 2 if kind == "classifier" else rng.normal(size=20)
    params = data.draw(parameters())
    # Parameters that are refused, and training that diverges, are for the other test.
    params |= {
        "early_stopping": False,
        "learning_rate_init": 0.01,
        "alpha": min(params["alpha"], 1),
    }
    model = ESTIMATORS[kind](random_state=0, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        if attempt(model.fit, X, y) is None:
            return
        names = st.sampled_from([name for name in OPERATIONS if name != "partial_fit"])
        if model.solver != "lbfgs":
            names = st.sampled_from(OPERATIONS)
        for name in data.draw(st.lists(names, min_size=1, max_size=4)):
            before, n_left = copy.deepcopy(model), model.n_weights_
            after = operate(model, name, (X, y), data.draw(st.sampled_from([0.5, 0.9, 0.999])))
            if after is None:
                # Only a level below the present one is refused; nothing is changed then.
                assert name == "prune"
                assert digest(model) == digest(before)
                continue
            if name in ("compact", "pickle"):
                p, q = (getattr(m, "predict_proba", m.predict)(X) for m in (before, after))
                np.testing.assert_allclose(q, p, rtol=1e-9, atol=1e-9)
            if name in ("compact", "prune", "partial_fit", "warm fit", "pickle", "assign"):
                assert after.n_weights_ <= n_left
            model = after
            assert_deleted_are_zero(model)
            model._validate_params()
            check_derivatives(model, X, y, None)
            assert np.isfinite(
                model.predict(X) if kind == "regressor" else model.predict_proba(X)
            ).all()


KEEPING = [
    "passthrough",
    StandardScaler(),
    MinMaxScaler().set_output(transform="pandas"),
    FunctionTransformer(np.arctan),
    FunctionTransformer(np.positive, feature_names_out="one-to-one"),
    make_pipeline(SimpleImputer(), "passthrough", StandardScaler()),
]
# The first mixes columns, the second does not say that it keeps them.
REFUSED = [PCA(), FunctionTransformer(np.round)]


@st.composite
def reordering(draw, columns):
    """A transformer that hands all columns on, in any order, by any number of parts."""
    order = draw(st.permutations(columns))
    first, second = sorted(draw(st.tuples(*[st.integers(0, len(order))] * 2)))
    parts = [order[:first], order[first:second], order[second:]]
    steps = [clone(draw(st.sampled_from(KEEPING)), safe=False) for _ in parts]
    kind = draw(st.sampled_from(["parts", "remainder", "union"]))
    named = list(zip("abc", steps, parts, strict=True))
    if kind == "union":
        return FeatureUnion([(one[0], ColumnTransformer([one])) for one in named if one[2]])
    transformer = ColumnTransformer(
        named[: 2 if kind == "remainder" else 3],
        remainder=steps[2] if kind == "remainder" else "drop",
        verbose_feature_names_out=draw(st.booleans()),
    )
    return transformer.set_output(transform=draw(st.sampled_from(["default", "pandas"])))


def outputs_of(transformer, X):
    """The one output that changes with each column: an oracle."""
    before, places = transformer.transform(X), []
    for place in range(X.shape[1]):
        mixed = X.copy()
        column = (slice(None), place)
        (mixed.iloc if hasattr(X, "iloc") else mixed)[column] = np.asarray(X)[::-1, place]
        (changed,) = np.flatnonzero(
            (np.asarray(transformer.transform(mixed)) != before).any(axis=0)
        )
        places.append(int(changed))
    return places


# Networks do not converge, and scikit-learn warns of some outputs of functions.
@pytest.mark.filterwarnings("ignore::UserWarning")
@fuzz
@given(data=st.data())
def test_columns_keep_their_names_in_any_order(data):
    kind = data.draw(st.sampled_from(list(ESTIMATORS)))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    n_columns = data.draw(st.integers(1, 6))
    X, names = rng.normal(size=(30, n_columns)), [f"x{i}" for i in range(n_columns)]
    if data.draw(st.booleans()):
        # Names that say another order than that of the table.
        names = names[::-1]
        X = pd.DataFrame(X, columns=names)
    by_name = isinstance(X, pd.DataFrame) and data.draw(st.booleans())
    steps = [data.draw(reordering(names if by_name else range(n_columns)))]
    steps += [data.draw(reordering(range(n_columns))) for _ in range(data.draw(st.integers(0, 2)))]
    mixture = data.draw(st.sampled_from([None, None, *REFUSED]))
    if mixture is not None:
        steps.insert(data.draw(st.integers(0, len(steps))), clone(mixture))
    try:
        Ridge().fit(clone(make_pipeline(*steps)).fit_transform(X), np.arange(30) % 2)
    except (ValueError, TypeError):
        # scikit-learn itself cannot name the columns of some frames within pipelines.
        return
    mlp = ESTIMATORS[kind](hidden_layer_sizes=(2,), max_iter=2, retrain_max_iter=1, random_state=0)
    selector = OBDFeatureSelector(make_pipeline(*steps, mlp), n_features_to_select=1, step=1)
    fitted = attempt(selector.fit, X, np.arange(30) % 2)
    event("refused" if fitted is None else "fitted")
    assert (fitted is None) == (mixture is not None)
    if fitted is None:
        assert not hasattr(selector, "support_")
        return
    transformers = selector.estimator_[:-1]
    outputs = outputs_of(transformers, X)
    assert feature_groups_of(transformers) == {
        name: [output] for name, output in zip(names, outputs, strict=True)
    }
    of_network = selector.path_.input_masks()
    np.testing.assert_array_equal(selector.masks_, of_network[:, outputs])
    np.testing.assert_array_equal(selector.support_, of_network[-1, outputs])


class Interruption:
    """Raises KeyboardInterrupt before the n-th line of skobd that a thread runs."""

    def __init__(self, n_lines):
        self.n_left = n_lines

    def __call__(self, frame, event, arg):
        if "skobd" not in frame.f_code.co_filename.split(os.sep):
            return None
        if event == "line":
            self.n_left -= 1
            if self.n_left == 0:
                raise KeyboardInterrupt
        return self


@fuzz
@given(data=st.data())
def test_interrupts_of_the_first_fit(data):
    """Raised, and nothing is left; or else something was trained, and it is kept."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    X, y = rng.normal(size=(30, 3)), rng.integers(2, size=30)
    engine = data.draw(st.sampled_from(["auto", "numpy"]))
    params = {"solver": data.draw(st.sampled_from(list(SOLVERS)))}
    params |= {"max_iter": 3, "retrain_max_iter": 2}
    params |= {"prune_fraction": data.draw(st.sampled_from([0, 0.5])), "n_regrow": 1}
    model = ESTIMATORS["classifier"]((4,), random_state=0, **params)
    before, previous = frozen(vars(model)), sys.gettrace()
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(record=True) as caught,
    ):
        patch.setenv("SKOBD_ENGINE", engine)
        warnings.simplefilter("always")
        expected = digest(clone(model).fit(X, y))
        sys.settrace(Interruption(data.draw(st.integers(1, 4000))))
        try:
            model.fit(X, y)
        except KeyboardInterrupt:
            event("interrupted")
        finally:
            sys.settrace(previous)
        again = digest(copy.deepcopy(model).fit(X, y))
    assert again == expected
    if not hasattr(model, "coefs_"):
        assert frozen(vars(model)) == before
    else:
        assert model.n_iter_ >= 1
        assert len(model.loss_curve_) == model.n_iter_
        was_told = any("interrupted by user" in str(warning.message) for warning in caught)
        event("kept" if was_told else "whole")
        assert was_told or digest(model) == expected
