"""Value and gradient of the objective against the oracle."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import every_problem, make_problem

from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._threads import reproducible_threads
from skobd._train.objective import Objective, Sizes


@pytest.mark.parametrize("case", every_problem())
def test_value_and_gradient(case):
    objective, oracle, theta = make_problem(*case)
    value, gradient = objective.value_and_gradient(theta)
    assert value == pytest.approx(oracle.value(theta), rel=1e-12)
    assert objective.value(theta) == pytest.approx(value, rel=1e-12)
    assert_allclose(gradient, oracle.gradient(theta), atol=1e-12)


def test_minibatch_is_the_objective_of_its_rows():
    objective, _, theta = make_problem("multinomial_log_loss", 3, "tanh", 2, True, 0.3, n=50)
    rows = np.array([40, 3, 3, 17, 0])
    value, gradient = objective.value_and_gradient(theta, rows)
    gradient = gradient.copy()
    network, loss = objective.network, objective.loss
    X, Y, s = objective.X[rows], objective.Y[rows], objective.sample_weight[rows]
    for batch_X in (X, sp.csr_array(X)):
        batch = Objective(network, loss, batch_X, Y, s, 0.3)
        expected, expected_gradient = batch.value_and_gradient(theta)
        assert value == pytest.approx(expected, rel=1e-12)
        assert_allclose(gradient, expected_gradient, atol=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
def test_penalty_of_minibatches_is_that_of_their_mean(weighted):
    whole, _, theta = make_problem("multinomial_log_loss", 3, "tanh", 2, weighted, 0.3, n=60)
    network, loss, data = whole.network, whole.loss, (whole.X, whole.Y, whole.sample_weight)
    minimised = Objective(network, loss, *data, 0.3, penalised_fraction=1 / 4)
    mean_loss = Objective(network, loss, *data).value(theta)
    share = whole.total_weight / 4
    assert minimised.value(theta) == pytest.approx(mean_loss + whole.penalty.value(theta, share))
    value, gradient = (np.array(v) for v in minimised.value_and_gradient(theta))
    assert value == pytest.approx(minimised.value(theta), rel=1e-12)
    # Batches are the whole objective's, whatever the fraction.
    batches = np.arange(60).reshape(4, 15)
    for objective in (whole, minimised):
        parts = [tuple(map(np.array, objective.value_and_gradient(theta, b))) for b in batches]
        weights = [whole.weight_of(b) for b in batches]
        if not weighted:
            assert np.mean([v for v, _ in parts]) == pytest.approx(value)
            assert_allclose(np.mean([g for _, g in parts], axis=0), gradient, atol=1e-13)
        losses = [
            v - whole.penalty.value(theta, w) for (v, _), w in zip(parts, weights, strict=True)
        ]
        assert np.average(losses, weights=weights) == pytest.approx(mean_loss)
    for same in (minimised.with_alpha(0.6).with_alpha(0.3), minimised.thinned(60)):
        assert same.value(theta) == pytest.approx(minimised.value(theta), rel=1e-12)


def test_scale_of_the_weights_does_not_matter_without_penalty():
    objective, _, theta = make_problem("poisson", 2, "tanh", 1, True)
    value, gradient = objective.value_and_gradient(theta)
    gradient = gradient.copy()
    s = 1000 * objective.sample_weight
    scaled = Objective(objective.network, objective.loss, objective.X, objective.Y, s)
    assert scaled.value(theta) == pytest.approx(value, rel=1e-12)
    assert_allclose(scaled.value_and_gradient(theta)[1], gradient, atol=1e-13)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix])
def test_blocks_and_chunks_do_not_matter(container):
    objective, oracle, theta = make_problem("multinomial_log_loss", 3, "relu", 2, True, 0.3, n=700)
    expected = oracle.value(theta), oracle.gradient(theta)
    in_chunks = Objective(
        objective.network,
        objective.loss,
        container(objective.X),
        objective.Y,
        objective.sample_weight,
        0.3,
        Sizes(chunk_multiply_adds=1, block_rows=50),
    )
    value, gradient = in_chunks.value_and_gradient(theta)
    assert value == pytest.approx(expected[0], rel=1e-12)
    assert_allclose(gradient, expected[1], atol=1e-13)
    with reproducible_threads(1):
        value, gradient = in_chunks.value_and_gradient(theta)
        serial = gradient.copy()
    with reproducible_threads():
        threaded_value, threaded = in_chunks.value_and_gradient(theta)
    # The number of threads must not change a bit.
    assert threaded_value == value
    assert_array_equal(threaded, serial)
    rows = np.random.default_rng(0).permutation(700)
    assert_allclose(in_chunks.value_and_gradient(theta, rows)[1], expected[1], atol=1e-13)


def test_small_batch_after_a_large_one_and_back():
    objective, _, theta = make_problem("squared_error", 1, "tanh", 1, n=60)
    fresh = {}
    for n in (60, 1, 60, 7):
        rows = np.arange(n)
        value, gradient = objective.value_and_gradient(theta, rows)
        if n in fresh:
            assert_array_equal(fresh[n][1], gradient)
        fresh[n] = value, gradient.copy()


def test_float32_gradient_is_close():
    objective, oracle, theta = make_problem("multinomial_log_loss", 3, "tanh", 2, True, 0.3)
    narrow = Objective(
        objective.network,
        objective.loss,
        objective.X.astype(np.float32),
        objective.Y.astype(bool),
        objective.sample_weight.astype(np.float32),
        0.3,
    )
    value, gradient = narrow.value_and_gradient(theta.astype(np.float32))
    assert gradient.dtype == np.float32
    assert value == pytest.approx(oracle.value(theta), rel=1e-5)
    assert_allclose(gradient, oracle.gradient(theta), atol=1e-5)


def test_leaves_its_arguments():
    objective, _, theta = make_problem("poisson", 2, "relu", 0, True, 0.3)
    arrays = objective.X, objective.Y, objective.sample_weight, theta
    before = [array.copy() for array in arrays]
    objective.value(theta)
    objective.value_and_gradient(theta)
    for array, copy in zip(arrays, before, strict=True):
        assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("case", "scale"),
    [
        (("squared_error", 2, "relu", 2), 1e100),
        (("poisson", 1, "tanh", 1), 1e4),
        (("multinomial_log_loss", 3, "relu", 2), 1e200),
        (("binary_log_loss", 1, "logistic", 1), 1.0),
    ],
)
def test_finiteness_is_that_of_the_value(case, scale):
    objective, _, theta = make_problem(*case)
    assert objective.is_finite_at(theta)
    with np.errstate(over="ignore", invalid="ignore"):
        assert objective.is_finite_at(scale * theta) == np.isfinite(objective.value(scale * theta))
        assert not objective.is_finite_at(theta * np.nan)


def test_an_output_beyond_the_range_of_the_exponential_is_seen():
    """Logistic units put out 0.5 for inputs of 0, however small the inputs are."""
    network = Network((1, 1, 1), "logistic")
    theta = np.array([0.0, 0.0, 1500.0, 0.0])
    objective = Objective(network, LOSSES["poisson"], np.full((3, 1), 1e-3), np.ones((3, 1)))
    with np.errstate(over="ignore"):
        assert objective.value(theta) == np.inf
    assert not objective.is_finite_at(theta)


@pytest.mark.parametrize(
    "change", [lambda o: o.with_alpha(0.7), lambda o: o.thinned(11), lambda o: o.replaced(X=o.X)]
)
def test_other_objectives_are_summed_by_the_same_blocks(change):
    objective, _, _ = make_problem("squared_error", 1, "tanh", 1, True, 0.3, n=50)
    sized = objective.replaced(sizes=Sizes(1, block_rows=7))
    assert change(sized).sizes is sized.sizes
    assert change(sized) is not sized


def test_every_third_row_and_the_same_penalty():
    whole, _, theta = make_problem("multinomial_log_loss", 3, "tanh", 2, alpha=0.3, n=60)
    thinned, rows = whole.thinned(20), slice(None, None, 3)
    mean_loss = Objective(whole.network, whole.loss, whole.X[rows], whole.Y[rows]).value(theta)
    penalty = whole.value(theta) - whole.with_alpha(0.0).value(theta)
    assert thinned.value(theta) == pytest.approx(mean_loss + penalty, rel=1e-12)
