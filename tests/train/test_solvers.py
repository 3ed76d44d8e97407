"""Solvers: frozen parameters, endings and records."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import make_problem

from skobd._train.objective import Objective
from skobd._train.settings import Monitor, SolverSettings, Training
from skobd._train.solvers import SOLVERS, DivergenceError, check_finite
from skobd._train.state import TrainingState
from skobd._train.updates import UPDATES


def train(name, *, mask=None, state=None, monitor=Monitor(), case=(), theta=None, **settings):
    """Run a solver on a small problem; returns its result, the objective and the start."""
    case = case or ("multinomial_log_loss", 3, "tanh", 1, True, 0.3)
    objective, _, start = make_problem(*case, n=40)
    mask = np.ones(start.size, dtype=bool) if mask is None else mask
    theta = np.where(mask, start if theta is None else theta, 0)
    settings = SolverSettings(solver=name, batch_size=7, **settings)
    training = Training(settings, np.random.RandomState(0), monitor)
    result = SOLVERS[name](objective, theta, mask, state or TrainingState(), training)
    return result, objective, theta


@pytest.mark.parametrize("name", SOLVERS)
def test_lowers_the_objective_and_leaves_its_arguments(name):
    state, mask = TrainingState(), np.ones(31, dtype=bool)
    result, objective, theta = train(name, mask=mask, state=state, max_iter=30)
    assert objective.value(result.theta) < 0.9 * objective.value(theta)
    _, _, before = make_problem("multinomial_log_loss", 3, "tanh", 1, True, 0.3, n=40)
    assert_array_equal(theta, before)
    assert mask.all()
    assert list(state.loss_curve) == []
    assert (state.best_loss, state.optimizer) == (np.inf, None)
    assert len(result.state.loss_curve) == result.n_iter
    # What stopped one solver must not stop another that goes on from here.
    if name == "lbfgs":
        assert (result.state.best_loss, result.state.n_no_improvement) == (np.inf, 0)
    else:
        assert result.state.best_loss == min(result.state.loss_curve)


@pytest.mark.parametrize("name", SOLVERS)
def test_deleted_parameters_stay_exactly_zero(name):
    theta = make_problem("multinomial_log_loss", 3, "tanh", 1)[2]
    mask = np.random.default_rng(0).random(theta.size) < 0.6
    seen = []

    def on_epoch(theta):
        seen.append(theta.copy())
        return False

    result, objective, start = train(name, mask=mask, monitor=Monitor(None, on_epoch), max_iter=10)
    assert len(seen) == 10
    for values in [*seen, result.theta]:
        assert (values[~mask] == 0).all()
    assert (result.theta[mask] != start[mask]).all()
    assert objective.value(result.theta) < objective.value(start)


@pytest.mark.parametrize("name", UPDATES)
def test_an_epoch_may_be_a_part_of_a_pass(name):
    """Of 40 rows in batches of 7, two minibatches an epoch: every third row."""
    result, objective, theta = train(name, max_iter=1, shuffle=False, steps_per_epoch=2)
    rows = slice(None, None, 3)
    X, Y, weight = objective.X[rows], objective.Y[rows], objective.sample_weight[rows]
    third = objective.replaced(X=X, Y=Y, sample_weight=weight)
    settings = SolverSettings(name, batch_size=7, max_iter=1, shuffle=False)
    training = Training(settings, np.random.RandomState(0))
    everything = np.ones(theta.size, dtype=bool)
    expected = SOLVERS[name](third, theta, everything, TrainingState(), training)
    assert_array_equal(result.theta, expected.theta)
    assert result.state.n_samples_seen == 14


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("steps_per_epoch", [5, 6, 100])
def test_few_rows_are_visited_in_every_epoch(name, steps_per_epoch):
    result, _, _ = train(name, max_iter=3, steps_per_epoch=steps_per_epoch)
    assert_array_equal(result.theta, train(name, max_iter=3)[0].theta)


def test_parts_of_a_pass_are_every_row_once(monkeypatch):
    orders = []

    class Epochs:
        def __init__(self, *args):
            pass

        def run(self, survivors, update, order):
            orders.append(order)
            return 1.0

    monkeypatch.setattr("skobd._train.solvers.make_epochs", Epochs)
    train("adam", max_iter=7, steps_per_epoch=2)
    first, second = (np.concatenate(orders[start : start + 3]) for start in (0, 3))
    for rows in (first, second):
        assert_array_equal(np.sort(rows), np.arange(40))
    assert (first != second).any()


@pytest.mark.parametrize("name", SOLVERS)
def test_frozen_network_equals_the_smaller_one(name):
    """Masking an input out of the first layer is training without that input."""
    case = ("squared_error", 2, "tanh", 1, False, 0.1)
    objective, _, theta = make_problem(*case, n=40)
    mask = np.ones(theta.size, dtype=bool)
    objective.network.layers(mask)[0][1] = False
    result, _, _ = train(name, mask=mask, case=case, max_iter=5)
    small = type(objective.network)((2, 4, 2), "tanh")
    X = objective.X[:, [0, 2]].copy()
    reduced = Objective(small, objective.loss, X, objective.Y, None, objective.alpha)
    settings = SolverSettings(solver=name, batch_size=7, max_iter=5)
    training = Training(settings, np.random.RandomState(0))
    everything = np.ones(small.n_parameters, dtype=bool)
    expected = SOLVERS[name](reduced, theta[mask], everything, TrainingState(), training)
    assert_allclose(result.theta[mask], expected.theta, rtol=1e-6, atol=1e-9)


def test_lbfgs_finds_the_least_squares_solution():
    case = ("squared_error", 2, "relu", 0, True, 0.5)
    result, objective, _ = train("lbfgs", case=case, tol=1e-10, max_iter=500)
    X = np.hstack([objective.X, np.ones((40, 1))])
    s = objective.sample_weight[:, None]
    penalty = 0.5 * np.diag([1, 1, 1, 0])
    expected = np.linalg.solve(X.T @ (s * X) + penalty, X.T @ (s * objective.Y))
    assert_allclose(objective.network.layers(result.theta)[0], expected, atol=1e-7)
    assert result.status == "converged"
    assert result.loss == pytest.approx(objective.value(result.theta))


@pytest.mark.parametrize("name", SOLVERS)
def test_ends_at_max_iter(name):
    result, _, _ = train(name, max_iter=2, tol=0)
    assert (result.status, result.n_iter) == ("max_iter", 2)


def test_lbfgs_respects_max_fun():
    result, _, _ = train("lbfgs", max_fun=4, tol=0)
    assert result.status == "max_iter"
    assert result.n_iter <= 4


@pytest.mark.parametrize("name", SOLVERS)
def test_callback_stops(name):
    epochs = itertools.count(1)
    result, objective, theta = train(name, monitor=Monitor(None, lambda theta: next(epochs) == 3))
    assert (result.status, result.n_iter) == ("stopped", 3)
    assert objective.value(result.theta) < objective.value(theta)


@pytest.mark.parametrize("name", SOLVERS)
def test_interrupt_keeps_what_was_learnt(name):
    epochs = itertools.count(1)

    def interrupt(theta):
        if next(epochs) == 4:
            raise KeyboardInterrupt
        return False

    result, objective, theta = train(name, monitor=Monitor(None, interrupt))
    assert result.status == "interrupted"
    assert result.n_iter == len(result.state.loss_curve) == 4
    assert np.isfinite(result.theta).all()
    assert objective.value(result.theta) < objective.value(theta)


@pytest.mark.parametrize("name", SOLVERS)
def test_interrupt_before_anything_was_learnt_is_raised(name, monkeypatch):
    monkeypatch.setenv("SKOBD_ENGINE", "numpy")

    def interrupt(*args):
        raise KeyboardInterrupt

    for what in (
        "skobd._train.minibatch.DenseEpochs.run",
        "skobd._train.objective.Objective.value_and_gradient",
    ):
        monkeypatch.setattr(what, interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(name)


def test_plateau_ends_after_n_iter_no_change():
    result, _, _ = train("sgd", tol=1e9, n_iter_no_change=5)
    # The first epoch is an improvement on nothing at all; scikit-learn counts the same way.
    assert (result.status, result.n_iter) == ("converged", 6 + 1)
    assert "did not improve" in result.message


def test_early_stopping_keeps_the_best_on_validation_data():
    scores = iter([0.1, 0.5, 0.9, 0.3, 0.2, 0.2, 0.2])
    thetas = []

    def validate(theta):
        thetas.append(theta.copy())
        return 1.0, next(scores)

    result, _, _ = train("adam", monitor=Monitor(validate), early_stopping=True, n_iter_no_change=3)
    assert_array_equal(result.theta, thetas[2])
    assert result.state.best_validation_score == 0.9
    assert list(result.state.validation_scores) == [0.1, 0.5, 0.9, 0.3, 0.2, 0.2, 0.2]
    assert result.status == "converged"


@pytest.mark.parametrize("name", UPDATES)
def test_state_carries_on_as_if_never_ended(name):
    settings = {"shuffle": False, "tol": 0, "n_iter_no_change": 1000}
    whole, _, _ = train(name, max_iter=6, **settings)
    first, _, _ = train(name, max_iter=2, **settings)
    rest, _, _ = train(name, theta=first.theta, state=first.state, max_iter=4, **settings)
    assert_array_equal(rest.theta, whole.theta)
    assert list(rest.state.loss_curve) == list(whole.state.loss_curve)
    assert rest.state.n_samples_seen == whole.state.n_samples_seen == 240


@pytest.mark.parametrize("name", ["sgd", "lbfgs"])
def test_divergence_is_reported(name):
    case = ("poisson", 1, "identity", 1)
    if name == "lbfgs":
        theta = make_problem(*case)[2] * 1e200
        result, objective, _ = train(name, case=case, theta=theta)
    else:
        result, objective, _ = train(name, case=case, learning_rate_init=1e6)
    settings = SolverSettings(solver=name, learning_rate_init=1e6)
    assert result.status == "diverged"
    with pytest.raises(DivergenceError, match="To cure this, standardise the input"):
        check_finite(result, Training(settings, np.random.RandomState(0)), objective)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_solver_goes_on_from_a_copy_of_the_state(name):
    first = train(name, max_iter=2)[0]
    optimizer = first.state.optimizer
    before = {key: np.copy(value) for key, value in vars(optimizer).items() if key != "settings"}
    train(name, max_iter=2, state=first.state, learning_rate_init=0.1)
    for key, value in before.items():
        assert_array_equal(getattr(optimizer, key), value)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_state_obeys_the_present_settings(name):
    first, _, start = train(name, max_iter=2)
    slow, _, _ = train(name, max_iter=1, state=first.state, learning_rate_init=1e-12, momentum=0)
    assert_allclose(slow.theta, start, rtol=0, atol=1e-9)
    other = "sgd" if name == "adam" else "adam"
    changed, _, _ = train(other, max_iter=1, state=first.state)
    afresh, _, _ = train(other, max_iter=1)
    assert_array_equal(changed.theta, afresh.theta)


@pytest.mark.parametrize("name", SOLVERS)
def test_nothing_to_train_is_not_trained(name):
    for result, _, theta in (
        train(name, max_iter=0),
        train(name, mask=np.zeros(31, dtype=bool), max_iter=5),
    ):
        assert (result.n_iter, result.status) == (0, "converged")
        assert np.isnan(result.loss)
        assert_array_equal(result.theta, theta)
