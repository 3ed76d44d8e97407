"""Epochs of minibatches against the same epochs step by step."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import LOSS_CASES, make_problem
from skobd._objective import Objective
from skobd._parallel import reproducible_threads
from skobd._updates import UPDATES, SolverSettings, Survivors

from skobd import _minibatch

SETTINGS = SolverSettings(learning_rate_init=0.01)


def by_epochs(objective, theta, mask, name, batch_size, orders):
    """Mean objectives and the parameters after some epochs."""
    survivors = Survivors(theta, mask)
    update = UPDATES[name](SETTINGS, survivors.values.size, theta.dtype)
    epochs = objective.epochs(batch_size)
    values = [epochs.run(survivors, update, order) for order in orders]
    if survivors.where is not None:
        assert_array_equal(survivors.theta[survivors.where], survivors.values)
    return values, survivors.theta


def by_steps(objective, theta, mask, name, batch_size, orders):
    """The same from gradients over the rows of each batch."""
    theta, values = theta.copy(), []
    update = UPDATES[name](SETTINGS, int(mask.sum()), theta.dtype)
    for order in orders:
        total = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            value, gradient = objective.value_and_gradient(theta, rows)
            total += value * len(rows)
            survivors = theta[mask]
            update.begin_step()(survivors, gradient[mask], slice(None))
            theta[mask] = survivors
        values.append(total / len(order))
    return values, theta


def orders(n, n_epochs=3):
    rng = np.random.default_rng(0)
    return [rng.permutation(n) for _ in range(n_epochs)]


@pytest.mark.parametrize("n_lanes", [1, 2, 4])
@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize(("weighted", "alpha"), [(False, 0.0), (True, 0.3)])
@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize(("loss", "n_outputs"), LOSS_CASES)
def test_epochs_are_their_steps(
    loss, n_outputs, name, weighted, alpha, pruned, n_lanes, monkeypatch
):
    # Layers narrower than the lanes, and a last batch smaller than the others.
    objective, _, theta = make_problem(loss, n_outputs, "tanh", 3, weighted, alpha, n=47)
    monkeypatch.setattr(_minibatch, "_LANE_MULTIPLY_ADDS", 1)
    monkeypatch.setattr(_minibatch, "_MIN_LANE_ROWS", 1)
    monkeypatch.setattr(_minibatch, "_MAX_LANES", n_lanes)
    mask = np.random.default_rng(1).random(theta.size) < (0.5 if pruned else 2)
    theta = np.where(mask, theta, 0)
    case = objective, theta, mask, name, 10, orders(47)
    values, after = by_epochs(*case)
    expected, expected_after = by_steps(*case)
    assert_allclose(values, expected, rtol=1e-12)
    assert_allclose(after, expected_after, atol=1e-12)
    assert (after[~mask] == 0).all()
    assert (after[mask] != theta[mask]).mean() > 0.5
    with reproducible_threads():
        threaded, threaded_after = by_epochs(*case)
    # The number of threads must not change a bit.
    assert threaded == values
    assert_array_equal(threaded_after, after)


def test_only_small_minibatches_of_dense_rows():
    import scipy.sparse as sp

    objective, _, _ = make_problem("squared_error", 1, n=20)
    assert objective.epochs(10) is not None
    assert objective.epochs(2**21) is None
    sparse = Objective(
        objective.network, objective.loss, sp.csr_array(objective.X), objective.Y, None, 0.0
    )
    assert sparse.epochs(10) is None


def test_float32_stays_float32():
    objective, _, theta = make_problem("multinomial_log_loss", 3, "relu", 2, True, 0.3, n=47)
    narrow = Objective(
        objective.network,
        objective.loss,
        objective.X.astype(np.float32),
        objective.Y.astype(np.float32),
        objective.sample_weight.astype(np.float32),
        0.3,
    )
    mask = np.ones(theta.size, dtype=bool)
    values, after = by_epochs(narrow, theta.astype(np.float32), mask, "adam", 10, orders(47))
    expected, expected_after = by_epochs(objective, theta, mask, "adam", 10, orders(47))
    assert after.dtype == np.float32
    assert_allclose(values, expected, rtol=1e-5)
    assert_allclose(after, expected_after, atol=1e-4)
