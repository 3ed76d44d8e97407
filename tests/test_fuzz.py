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

from skobd._net.activations import ACTIVATIONS
from skobd._prune.criteria import CRITERIA
from skobd._prune.curvature import UNIT_CURVATURES
from skobd._prune.granularity import GRANULARITIES
from skobd._prune.schedule import survivors_at
from skobd._train.solvers import SOLVERS

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
    r"n_rounds)\b",
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
        "prune_fraction": [0, 0.3, 0.9, 0.999],
        "n_rounds": [0, 1, 3],
        "criterion": list(CRITERIA),
        "curvature": list(UNIT_CURVATURES),
        "granularity": list(GRANULARITIES),
        "prune_intercepts": [False, True],
        "retrain_max_iter": [0, 1, 3, None],
        "retrain_learning_rate_init": ["auto", None, 1e-3],
        "retrain_alpha": ["auto", 0],
        "n_regrow": [0, 2],
        "prune_tol": [None, None, None, 0.1],
    }
    return {name: draw(st.sampled_from(values)) for name, values in one_of.items()}


@st.composite
def weights(draw, rng, n_samples):
    """None, or anything that can weigh."""
    kind = draw(st.sampled_from(["none"] * 4 + ["ones", "some 0", "wide", "tiny", "bool", "all 0"]))
    return {
        "none": None,
        "ones": np.ones(n_samples),
        "some 0": rng.integers(3, size=n_samples),
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
    asked = survivors_at([model.prune_fraction], n_total)[0]
    assert n_left >= asked
    if model.prune_tol is None and model.granularity == "weight":
        assert n_left == (asked if model.prune_fraction else n_total)
    assert model.n_weights_ == sum(
        mask.sum() for mask in model.coef_masks_ + model.intercept_masks_ * model.prune_intercepts
    )


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
    params = {"solver": data.draw(st.sampled_from(list(SOLVERS))), "engine": engine}
    params |= {"max_iter": 3, "retrain_max_iter": 2}
    params |= {"prune_fraction": data.draw(st.sampled_from([0, 0.5])), "n_regrow": 1}
    model = ESTIMATORS["classifier"]((4,), random_state=0, **params)
    before, previous = frozen(vars(model)), sys.gettrace()
    with warnings.catch_warnings(record=True) as caught:
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
