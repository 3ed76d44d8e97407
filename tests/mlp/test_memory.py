"""No copy of large data, whatever their memory layout; and the same bits from any of them."""

import tracemalloc

import layouts
import numpy as np
import pytest
from models import digest, make
from scipy import sparse

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N_ROWS, N_COLUMNS = 40_000, 60
LAYOUTS = {"rows": lambda X: X, **layouts.LAYOUTS}


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_COLUMNS))
    return X, (X[:, 0] > 0).astype(int)


def peak_of(call):
    """Most bytes that were allocated at a time."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def nothing_is_small(monkeypatch):
    """All data are too large for a copy."""
    layouts.copy_nothing(monkeypatch)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_predict_needs_no_copy(large, layout):
    X, y = large
    model = make("classifier", max_iter=1, prune_fraction=0, solver="lbfgs").fit(X[:100], y[:100])
    X_other = LAYOUTS[layout](X)
    expected = model.predict_proba(X)
    found = []
    assert peak_of(lambda: found.append(model.predict_proba(X_other))) < 0.5 * X.nbytes
    np.testing.assert_array_equal(found[0], expected)


@pytest.mark.usefixtures("nothing_is_small")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "params",
    [{"solver": "adam", "early_stopping": True}, {"solver": "sgd"}, {"solver": "lbfgs"}],
    ids=lambda params: params["solver"],
)
def test_fit_needs_no_copy(large, layout, params):
    X, y = large
    params = {"prune_fraction": 0.5, "n_rounds": 1, "n_regrow": 0, "retrain_max_iter": 1} | params
    model = make("classifier", max_iter=1, batch_size=1000, **params)
    X_other = LAYOUTS[layout](X)
    # Numba, where it is installed, is loaded, and compiles, beforehand.
    model.fit(X, y)
    assert peak_of(lambda: model.fit(X_other, y)) < 0.5 * X.nbytes


@pytest.mark.parametrize("criterion", ["obd", "unit_obs"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "params",
    [{"solver": "adam", "early_stopping": True}, {"solver": "sgd"}, {"solver": "lbfgs"}],
    ids=lambda params: params["solver"],
)
def test_the_same_bits_with_and_without_copies(large, layout, params, criterion, monkeypatch):
    """Also with weights of zero, with dead inputs left out of the data, and with huge batches."""
    X, y = large[0][:3000, :9], large[1][:3000]
    weight = np.arange(3000) % 4
    for more in ({}, {"granularity": "feature"}, {"batch_size": 2000}):
        model = make("classifier", max_iter=2, criterion=criterion, **params, **more)
        bits = digest(model.fit(X, y, sample_weight=weight, X_val=X[:99], y_val=y[:99]))
        importances, score = model.feature_importances_, model.validation_scores_
        with monkeypatch.context() as patch:
            layouts.copy_nothing(patch)
            X_other = LAYOUTS[layout](X)
            model.fit(X_other, y, sample_weight=weight, X_val=X_other[:99], y_val=y[:99])
            assert digest(model) == bits
            np.testing.assert_array_equal(model.feature_importances_, importances)
            assert model.validation_scores_ == score
            if params.get("early_stopping"):
                bits = digest(model.fit(X_other, y))
        if params.get("early_stopping"):
            assert digest(model.fit(X, y)) == bits


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows_are_trained_on_as_dense_ones(solver, monkeypatch):
    """Bit for bit where there is room for the array; by sparse products, to rounding, elsewhere."""
    X = np.where(np.random.default_rng(0).random((600, 12)) < 0.2, 1.0, 0.0)
    y = (X[:, :6].sum(axis=1) > X[:, 6:].sum(axis=1)).astype(int)
    model = make("classifier", max_iter=3, solver=solver, n_rounds=1, n_regrow=0)
    bits, expected = digest(model.fit(X, y, X_val=X[:99], y_val=y[:99])), model.predict_proba(X)
    rows = sparse.csr_array(X)
    assert digest(model.fit(rows, y, X_val=rows[:99], y_val=y[:99])) == bits
    layouts.copy_nothing(monkeypatch)
    model.fit(rows, y, X_val=rows[:99], y_val=y[:99])
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-6)


def test_wide_sparse_rows_are_never_made_dense():
    n_columns = 20_000
    columns = np.random.default_rng(0).integers(n_columns, size=(500, 40))
    places = np.repeat(np.arange(500), 40), columns.ravel()
    X = sparse.csr_array((np.ones(columns.size), places), shape=(500, n_columns))
    y = np.arange(500) % 2
    model = make("classifier", hidden_layer_sizes=(4,), max_iter=1, prune_fraction=0)
    assert peak_of(lambda: model.fit(X, y)) < 0.5 * 500 * n_columns * 8
