"""Update rules against loops written from their papers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skobd._train.settings import SolverSettings
from skobd._train.survivors import Survivors
from skobd._train.updates import UPDATES, resume

GRADIENTS = np.random.default_rng(0).normal(size=(6, 5))


def step(update, values, gradient):
    (numbers,) = update.begin_steps(1)
    update.apply(numbers, values, gradient, slice(None))


def test_adam():
    settings = SolverSettings(learning_rate_init=0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3)
    update, values = UPDATES["adam"](settings, 5, np.float64), np.ones(5)
    m, v, theta = np.zeros(5), np.zeros(5), np.ones(5)
    for t, g in enumerate(GRADIENTS, start=1):
        step(update, values, g.copy())
        # Kingma & Ba (2015), the more efficient order at the end of section 2.
        m = 0.8 * m + 0.2 * g
        v = 0.95 * v + 0.05 * g**2
        rate = 0.01 * np.sqrt(1 - 0.95**t) / (1 - 0.8**t)
        theta = theta - rate * m / (np.sqrt(v) + 1e-3)
        assert_allclose(values, theta, rtol=1e-13)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum(nesterov):
    settings = SolverSettings(learning_rate_init=0.1, momentum=0.7, nesterovs_momentum=nesterov)
    update, values = UPDATES["sgd"](settings, 5, np.float64), np.ones(5)
    velocity, theta = np.zeros(5), np.ones(5)
    for g in GRADIENTS:
        step(update, values, g.copy())
        velocity = 0.7 * velocity - 0.1 * g
        theta = theta + (0.7 * velocity - 0.1 * g if nesterov else velocity)
        assert_allclose(values, theta, rtol=1e-13)


@pytest.mark.parametrize("name", UPDATES)
def test_chunks_do_not_matter(name):
    # More values than are updated at a time.
    n = 300_000
    gradients = np.random.default_rng(1).normal(size=(3, n))
    whole, parts = np.ones(n), np.ones(n)
    update = UPDATES[name](SolverSettings(), n, np.float64)
    for g in gradients:
        step(update, whole, g.copy())
    update = UPDATES[name](SolverSettings(), n, np.float64)
    for g in gradients:
        (numbers,) = update.begin_steps(1)
        for chunk in (slice(1000, n), slice(0, 1000), slice(n, n)):
            update.apply(numbers, parts[chunk], g[chunk].copy(), chunk)
    # BLAS may round the first and last elements of a vector otherwise than those between.
    assert_allclose(whole, parts, rtol=1e-13)


def test_invscaling():
    settings = SolverSettings(
        solver="sgd", learning_rate="invscaling", learning_rate_init=0.2, power_t=0.4
    )
    update = UPDATES["sgd"](settings, 1, np.float64)
    for n_samples_seen in (8, 16):
        update.end_epoch(n_samples_seen)
        assert update.rate == 0.2 / (n_samples_seen + 1) ** 0.4


def test_adaptive():
    settings = SolverSettings(solver="sgd", learning_rate="adaptive", learning_rate_init=1e-5)
    update = UPDATES["sgd"](settings, 1, np.float64)
    assert update.plateau() is None
    assert update.rate == pytest.approx(2e-6)
    assert update.plateau() is None
    assert "too small" in update.plateau()


@pytest.mark.parametrize("name", UPDATES)
def test_constant_schedule_stops_at_a_plateau(name):
    update = UPDATES[name](SolverSettings(solver=name), 1, np.float64)
    update.end_epoch(100)
    assert update.plateau() == "Stopping."


def test_adam_over_thousands_of_steps():
    rng, settings = np.random.default_rng(0), SolverSettings(beta_1=0.5, beta_2=0.6)
    update, x = UPDATES["adam"](settings, 3, np.float64), np.zeros(3)
    expected, mean, square = np.zeros(3), np.zeros(3), np.zeros(3)
    for t in range(1, 200):
        gradient = rng.normal(size=3)
        step(update, x, gradient.copy())
        mean = 0.5 * mean + 0.5 * gradient
        square = 0.6 * square + 0.4 * gradient**2
        rate = 0.001 * (1 - 0.6**t) ** 0.5 / (1 - 0.5**t)
        expected -= rate * mean / (np.sqrt(square) + 1e-8)
    assert_allclose(x, expected, rtol=1e-12)


@pytest.mark.parametrize("name", UPDATES)
def test_expanding_leaves_the_present_values_as_they_were(name):
    """Values that join later are at rest; without gradient they stay where they are."""
    where = np.array([True, False, True, True, False, True, True])
    narrow = UPDATES[name](SolverSettings(solver=name), 5, np.float64)
    x, wide_x = np.ones(5), np.ones(7)
    step(narrow, x, GRADIENTS[0].copy())
    wide = resume(narrow, narrow.settings, 5, np.float64)
    wide.expand(where)
    wide_x[where] = x
    for g in GRADIENTS[1:]:
        step(narrow, x, g.copy())
        wide_g = np.zeros(7)
        wide_g[where] = g
        step(wide, wide_x, wide_g)
    assert_array_equal(wide_x[where], x)
    assert_array_equal(wide_x[~where], 1)


@pytest.mark.parametrize("deletes", [False, True])
def test_survivors_are_in_step_with_theta(deletes):
    theta = np.arange(1.0, 8)
    mask = np.array([True, False, True, True, False, False, True]) | (not deletes)
    survivors = Survivors(theta, mask)
    assert_array_equal(survivors.values, theta[mask])
    assert_array_equal(survivors.gather(10 * theta), 10 * theta[mask])
    for chunk in (slice(0, 3), slice(3, 3), slice(3, 7)):
        place = survivors.within(chunk)
        assert_array_equal(survivors.values[place], theta[chunk][mask[chunk]])
        assert_array_equal(survivors.gather(theta, place), theta[chunk][mask[chunk]])
        survivors.values[place] *= 2
        survivors.scatter(place)
    assert_array_equal(survivors.theta, np.where(mask, 2 * theta, theta))
    survivors.assign(np.zeros(mask.sum()))
    assert_array_equal(survivors.theta, np.where(mask, 0, theta))
    assert_array_equal(theta, np.arange(1.0, 8))


def test_resuming_copies_and_obeys_the_present_settings():
    settings = SolverSettings(solver="sgd", learning_rate="adaptive", learning_rate_init=0.5)
    update = UPDATES["sgd"](settings, 2, np.float64)
    update.plateau()
    going_on = resume(update, settings, 2, np.float64)
    assert going_on.rate == update.rate == 0.1
    step(going_on, np.ones(2), np.ones(2))
    assert_array_equal(update.moments, 0)
    slower = SolverSettings(solver="sgd", learning_rate="adaptive", learning_rate_init=0.2)
    assert resume(update, slower, 2, np.float64).rate == 0.2
    adam = resume(update, SolverSettings(solver="adam"), 2, np.float64)
    assert isinstance(adam, UPDATES["adam"])
