"""Solvers: update rules against their papers, frozen parameters, endings and records."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import make_problem
from skobd._solvers import SOLVERS, DivergenceError, Journal, Watch, check_finite
from skobd._updates import UPDATES, SolverSettings

from skobd import _updates


def solve(name, *, mask=None, journal=None, watch=Watch(), state=None, case=(), **settings):
    """Run a solver on a small problem; returns its result, the objective and the start."""
    case = case or ("multinomial_log_loss", 3, "tanh", 1, True, 0.3)
    objective, _, theta = make_problem(*case, n=40)
    mask = np.ones(theta.size, dtype=bool) if mask is None else mask
    theta = np.where(mask, theta, 0)
    settings = SolverSettings(solver=name, batch_size=7, **settings)
    rng = np.random.RandomState(0)
    journal = journal or Journal()
    result = SOLVERS[name](objective, theta, mask, settings, journal, rng, watch, state)
    return result, objective, theta


class TestUpdates:
    """One step after another, against loops written from the papers."""

    GRADIENTS = np.random.default_rng(0).normal(size=(6, 5))

    def test_adam(self):
        settings = SolverSettings(learning_rate_init=0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3)
        update, values = UPDATES["adam"](settings, 5, np.float64), np.ones(5)
        m, v, theta = np.zeros(5), np.zeros(5), np.ones(5)
        for t, g in enumerate(self.GRADIENTS, start=1):
            update.begin_step()(values, g.copy(), slice(None))
            # Kingma & Ba (2015), the more efficient order at the end of section 2.
            m = 0.8 * m + 0.2 * g
            v = 0.95 * v + 0.05 * g**2
            rate = 0.01 * np.sqrt(1 - 0.95**t) / (1 - 0.8**t)
            theta = theta - rate * m / (np.sqrt(v) + 1e-3)
            assert_allclose(values, theta, rtol=1e-13)

    @pytest.mark.parametrize("nesterov", [False, True])
    def test_momentum(self, nesterov):
        settings = SolverSettings(learning_rate_init=0.1, momentum=0.7, nesterovs_momentum=nesterov)
        update, values = UPDATES["sgd"](settings, 5, np.float64), np.ones(5)
        velocity, theta = np.zeros(5), np.ones(5)
        for g in self.GRADIENTS:
            update.begin_step()(values, g.copy(), slice(None))
            velocity = 0.7 * velocity - 0.1 * g
            theta = theta + (0.7 * velocity - 0.1 * g if nesterov else velocity)
            assert_allclose(values, theta, rtol=1e-13)

    @pytest.mark.parametrize("name", UPDATES)
    def test_chunks_and_stretches_do_not_matter(self, name, monkeypatch):
        gradients = np.random.default_rng(1).normal(size=(3, 1000))
        whole, parts = np.ones(1000), np.ones(1000)
        update = UPDATES[name](SolverSettings(), 1000, np.float64)
        for g in gradients:
            update.begin_step()(whole, g.copy(), slice(None))
        monkeypatch.setattr(_updates, "_CHUNK", 64)
        update = UPDATES[name](SolverSettings(), 1000, np.float64)
        for g in gradients:
            apply = update.begin_step()
            for stretch in (slice(300, 1000), slice(0, 300), slice(1000, 1000)):
                apply(parts[stretch], g[stretch].copy(), stretch)
        assert_array_equal(whole, parts)

    def test_invscaling(self):
        settings = SolverSettings(
            solver="sgd", learning_rate="invscaling", learning_rate_init=0.2, power_t=0.4
        )
        update = UPDATES["sgd"](settings, 1, np.float64)
        for n_samples_seen in (8, 16):
            update.end_epoch(n_samples_seen)
            assert update.rate == 0.2 / (n_samples_seen + 1) ** 0.4

    def test_adaptive(self):
        settings = SolverSettings(solver="sgd", learning_rate="adaptive", learning_rate_init=1e-5)
        update = UPDATES["sgd"](settings, 1, np.float64)
        assert update.plateau() is None
        assert update.rate == pytest.approx(2e-6)
        assert update.plateau() is None
        assert "too small" in update.plateau()

    @pytest.mark.parametrize("name", UPDATES)
    def test_constant_schedule_stops_at_a_plateau(self, name):
        update = UPDATES[name](SolverSettings(solver=name), 1, np.float64)
        update.end_epoch(100)
        assert update.plateau() == "Stopping."


@pytest.mark.parametrize("name", SOLVERS)
def test_lowers_the_objective_and_leaves_its_arguments(name):
    journal, mask = Journal(), np.ones(31, dtype=bool)
    result, objective, theta = solve(name, mask=mask, journal=journal, max_iter=30)
    assert objective.value(result.theta) < 0.9 * objective.value(theta)
    _, _, before = make_problem("multinomial_log_loss", 3, "tanh", 1, True, 0.3, n=40)
    assert_array_equal(theta, before)
    assert mask.all()
    assert journal == Journal()
    assert len(result.journal.loss_curve) == result.n_iter
    # What stopped one solver must not stop another that goes on from here.
    if name == "lbfgs":
        assert (result.journal.best_loss, result.journal.n_no_improvement) == (np.inf, 0)
    else:
        assert result.journal.best_loss == min(result.journal.loss_curve)


@pytest.mark.parametrize("name", SOLVERS)
def test_deleted_parameters_stay_exactly_zero(name):
    theta = make_problem("multinomial_log_loss", 3, "tanh", 1)[2]
    mask = np.random.default_rng(0).random(theta.size) < 0.6
    seen = []

    def on_epoch(theta):
        seen.append(theta.copy())
        return False

    result, objective, start = solve(name, mask=mask, watch=Watch(None, on_epoch), max_iter=10)
    assert len(seen) == 10
    for values in [*seen, result.theta]:
        assert (values[~mask] == 0).all()
    assert (result.theta[mask] != start[mask]).all()
    assert objective.value(result.theta) < objective.value(start)


@pytest.mark.parametrize("name", SOLVERS)
def test_frozen_network_equals_the_smaller_one(name):
    """Masking an input out of the first layer is training without that input."""
    case = ("squared_error", 2, "tanh", 1, False, 0.1)
    objective, _, theta = make_problem(*case, n=40)
    mask = np.ones(theta.size, dtype=bool)
    objective.network.layers(mask)[0][1] = False
    result, _, _ = solve(name, mask=mask, case=case, max_iter=5)
    small = type(objective.network)((2, 4, 2), "tanh")
    from skobd._objective import Objective

    reduced = Objective(small, objective.loss, objective.X[:, [0, 2]].copy(), objective.Y)
    reduced.alpha = objective.alpha
    settings = SolverSettings(solver=name, batch_size=7, max_iter=5)
    expected = SOLVERS[name](
        reduced,
        theta[mask],
        np.ones(small.n_parameters, dtype=bool),
        settings,
        Journal(),
        np.random.RandomState(0),
    )
    assert_allclose(result.theta[mask], expected.theta, rtol=1e-6, atol=1e-9)


def test_lbfgs_finds_the_least_squares_solution():
    case = ("squared_error", 2, "relu", 0, True, 0.5)
    result, objective, _ = solve("lbfgs", case=case, tol=1e-10, max_iter=500)
    X = np.hstack([objective.X, np.ones((40, 1))])
    s = objective.sample_weight[:, None]
    penalty = 0.5 * np.diag([1, 1, 1, 0])
    expected = np.linalg.solve(X.T @ (s * X) + penalty, X.T @ (s * objective.Y))
    assert_allclose(objective.network.layers(result.theta)[0], expected, atol=1e-7)
    assert result.status == "converged"
    assert result.loss == pytest.approx(objective.value(result.theta))


@pytest.mark.parametrize("name", SOLVERS)
def test_ends_at_max_iter(name):
    result, _, _ = solve(name, max_iter=2, tol=0)
    assert (result.status, result.n_iter) == ("max_iter", 2)


def test_lbfgs_respects_max_fun():
    result, _, _ = solve("lbfgs", max_fun=4, tol=0)
    assert result.status == "max_iter"
    assert result.n_iter <= 4


@pytest.mark.parametrize("name", SOLVERS)
def test_callback_stops(name):
    epochs = itertools.count(1)
    result, objective, theta = solve(name, watch=Watch(None, lambda theta: next(epochs) == 3))
    assert (result.status, result.n_iter) == ("stopped", 3)
    assert objective.value(result.theta) < objective.value(theta)


@pytest.mark.parametrize("name", SOLVERS)
def test_interrupt_keeps_what_was_learnt(name, monkeypatch):
    epochs = itertools.count(1)

    def interrupt(theta):
        if next(epochs) == 4:
            raise KeyboardInterrupt
        return False

    result, objective, theta = solve(name, watch=Watch(None, interrupt))
    assert result.status == "interrupted"
    assert result.n_iter == len(result.journal.loss_curve) == 4
    assert np.isfinite(result.theta).all()
    assert objective.value(result.theta) < objective.value(theta)


def test_plateau_ends_after_n_iter_no_change():
    result, _, _ = solve("sgd", tol=1e9, n_iter_no_change=5)
    # The first epoch is an improvement on nothing at all; scikit-learn counts the same way.
    assert (result.status, result.n_iter) == ("converged", 6 + 1)
    assert "did not improve" in result.message


def test_early_stopping_keeps_the_best_on_validation_data():
    scores = iter([0.1, 0.5, 0.9, 0.3, 0.2, 0.2, 0.2])
    thetas = []

    def validate(theta):
        thetas.append(theta.copy())
        return 1.0, next(scores)

    result, _, _ = solve("adam", watch=Watch(validate), early_stopping=True, n_iter_no_change=3)
    assert_array_equal(result.theta, thetas[2])
    assert result.journal.best_validation_score == 0.9
    assert result.journal.validation_scores == [0.1, 0.5, 0.9, 0.3, 0.2, 0.2, 0.2]
    assert result.status == "converged"


@pytest.mark.parametrize("name", UPDATES)
def test_state_carries_on_as_if_never_ended(name):
    settings = {"shuffle": False, "tol": 0, "n_iter_no_change": 1000}
    whole, _, _ = solve(name, max_iter=6, **settings)
    first, objective, _ = solve(name, max_iter=2, **settings)
    mask = np.ones(first.theta.size, dtype=bool)
    rest = SOLVERS[name](
        objective,
        first.theta,
        mask,
        SolverSettings(solver=name, batch_size=7, max_iter=4, **settings),
        first.journal,
        np.random.RandomState(0),
        state=first.state,
    )
    assert_array_equal(rest.theta, whole.theta)
    assert rest.journal.loss_curve == whole.journal.loss_curve
    assert rest.journal.n_samples_seen == whole.journal.n_samples_seen == 240


@pytest.mark.parametrize("name", ["sgd", "lbfgs"])
def test_divergence_is_reported(name):
    case = ("poisson", 1, "identity", 1)
    if name == "lbfgs":
        objective, _, theta = make_problem(*case)
        theta = theta * 1e200
        settings = SolverSettings(solver=name)
        mask = np.ones(theta.size, dtype=bool)
        result = SOLVERS[name](
            objective, theta, mask, settings, Journal(), np.random.RandomState(0)
        )
    else:
        settings = SolverSettings(solver=name, learning_rate_init=1e6)
        result, objective, _ = solve(name, case=case, learning_rate_init=1e6)
    assert result.status == "diverged"
    with pytest.raises(DivergenceError, match="To cure this, standardise the input"):
        check_finite(result, settings, objective)


def test_forgetting_the_best_keeps_the_record():
    journal = Journal([1.0], [2.0], [3.0], 1.0, 3.0, 4, 5)
    fresh = journal.forget_best()
    assert fresh.loss_curve == [1.0]
    assert (fresh.best_loss, fresh.best_validation_score, fresh.n_no_improvement) == (
        np.inf,
        -np.inf,
        0,
    )
    assert (journal.best_loss, journal.n_no_improvement) == (1.0, 4)
    fresh.loss_curve.append(0.0)
    assert journal.loss_curve == [1.0]


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_solver_goes_on_from_a_copy_of_the_state(name):
    first = solve(name, max_iter=2)[0]
    state, before = first.state, vars(first.state).copy()
    before = {key: np.copy(value) for key, value in before.items() if key != "settings"}
    solve(name, max_iter=2, state=state, learning_rate_init=0.1)
    for key, value in before.items():
        assert_array_equal(getattr(state, key), value)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_state_obeys_the_present_settings(name):
    first, _, start = solve(name, max_iter=2)
    slow, _, _ = solve(name, max_iter=1, state=first.state, learning_rate_init=1e-12, momentum=0)
    assert_allclose(slow.theta, start, rtol=0, atol=1e-9)
    other = "sgd" if name == "adam" else "adam"
    changed, _, _ = solve(other, max_iter=1, state=first.state)
    afresh, _, _ = solve(other, max_iter=1)
    assert_array_equal(changed.theta, afresh.theta)


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


def test_adam_over_thousands_of_steps():
    """The factors taken out of the moments go back into them without a trace."""
    rng, settings = np.random.default_rng(0), SolverSettings(beta_1=0.5, beta_2=0.6)
    update, x = UPDATES["adam"](settings, 3, np.float64), np.zeros(3)
    expected, mean, square = np.zeros(3), np.zeros(3), np.zeros(3)
    for step in range(1, 200):
        gradient = rng.normal(size=3)
        update.begin_step()(x, gradient.copy(), slice(None))
        mean = 0.5 * mean + 0.5 * gradient
        square = 0.6 * square + 0.4 * gradient**2
        rate = 0.001 * (1 - 0.6**step) ** 0.5 / (1 - 0.5**step)
        expected -= rate * mean / (np.sqrt(square) + 1e-8)
    assert_allclose(x, expected, rtol=1e-12)
