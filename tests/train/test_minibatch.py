"""Epochs of minibatches against the same epochs step by step."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import LOSS_CASES, in_single_precision, make_problem

from skobd._threads import reproducible_threads
from skobd._train.minibatch import BlockEpochs, DenseEpochs, make_epochs
from skobd._train.settings import SolverSettings
from skobd._train.survivors import Survivors
from skobd._train.updates import UPDATES

SETTINGS = SolverSettings(learning_rate_init=0.01)


@pytest.fixture(autouse=True)
def numpy_is_chosen(monkeypatch):
    monkeypatch.setenv("SKOBD_ENGINE", "numpy")


def by_epochs(epochs, theta, mask, name, orders):
    """Mean objectives and the parameters after some epochs."""
    survivors = Survivors(theta, mask)
    update = UPDATES[name](SETTINGS, survivors.values.size, theta.dtype)
    values = [epochs.run(survivors, update, order) for order in orders]
    if survivors.positions is not None:
        assert_array_equal(survivors.theta[survivors.positions], survivors.values)
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
            (numbers,) = update.begin_steps(1)
            update.apply(numbers, survivors, gradient[mask], slice(None))
            theta[mask] = survivors
        values.append(total / len(order))
    return values, theta


def orders(n, n_epochs=3):
    rng = np.random.default_rng(0)
    return [rng.permutation(n) for _ in range(n_epochs)]


@pytest.mark.parametrize(
    ("pruned", "weighted", "n_chunks"),
    # Every pair of values.
    [(False, False, 1), (False, True, 2), (False, True, 4)]
    + [(True, True, 1), (True, False, 2), (True, False, 4)],
)
@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize(("loss", "n_outputs"), LOSS_CASES)
def test_epochs_are_their_steps(loss, n_outputs, name, pruned, weighted, n_chunks):
    alpha = 0.3 if weighted else 0.0
    # Layers narrower than the chunks, and a last batch smaller than the others.
    objective, _, theta = make_problem(loss, n_outputs, "tanh", 3, weighted, alpha, n=47)
    mask = np.random.default_rng(1).random(theta.size) < (0.5 if pruned else 2)
    theta = np.where(mask, theta, 0)
    case = DenseEpochs(objective, 10, n_chunks), theta, mask, name, orders(47)
    with reproducible_threads(1):
        values, after = by_epochs(*case)
    expected, expected_after = by_steps(objective, theta, mask, name, 10, orders(47))
    assert_allclose(values, expected, rtol=1e-12)
    assert_allclose(after, expected_after, atol=1e-12)
    assert (after[~mask] == 0).all()
    assert (after[mask] != theta[mask]).mean() > 0.5
    with reproducible_threads():
        threaded, threaded_after = by_epochs(*case)
    # The number of threads must not change a bit.
    assert threaded == values
    assert_array_equal(threaded_after, after)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("pruned", [False, True])
def test_epochs_by_blocks_are_their_steps_too(container, pruned):
    objective, _, theta = make_problem("multinomial_log_loss", 3, "tanh", 2, True, 0.3, n=47)
    mask = np.random.default_rng(1).random(theta.size) < (0.5 if pruned else 2)
    theta = np.where(mask, theta, 0)
    expected, expected_after = by_steps(objective, theta, mask, "adam", 10, orders(47))
    objective.X = container(objective.X)
    values, after = by_epochs(BlockEpochs(objective, 10), theta, mask, "adam", orders(47))
    assert_allclose(values, expected, rtol=1e-12)
    assert_allclose(after, expected_after, atol=1e-12)


def test_buffers_are_for_small_minibatches_of_dense_rows():
    objective, _, _ = make_problem("squared_error", 1, n=20)
    assert isinstance(make_epochs(objective, 10, "adam"), DenseEpochs)
    assert isinstance(make_epochs(objective, 2**21, "adam"), BlockEpochs)
    objective.X = sp.csr_array(objective.X)
    assert isinstance(make_epochs(objective, 10, "adam"), BlockEpochs)


def test_float32_stays_float32():
    objective, _, theta = make_problem("multinomial_log_loss", 3, "relu", 2, True, 0.3, n=47)
    narrow = in_single_precision(objective)
    mask = np.ones(theta.size, dtype=bool)
    epochs = make_epochs(narrow, 10, "adam")
    values, after = by_epochs(epochs, theta.astype(np.float32), mask, "adam", orders(47))
    expected, expected_after = by_steps(objective, theta, mask, "adam", 10, orders(47))
    assert after.dtype == np.float32
    assert_allclose(values, expected, rtol=1e-5)
    assert_allclose(after, expected_after, atol=1e-4)
