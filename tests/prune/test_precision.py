"""The penalty of retraining on small data: trials, their verdicts, and the choice."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracles import Oracle
from problems import LOSS_CASES, make_problem, make_targets

from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._net.pruned import PrunedNetwork
from skobd._prune import precision
from skobd._prune.precision import (
    Trial,
    assess,
    best_of,
    choose_alpha,
    effective_parameters,
    is_small,
)
from skobd._train.objective import Objective
from skobd._train.settings import Monitor, SolverSettings, Training
from skobd._train.solvers import DivergenceError
from skobd._train.state import SolverResult, Status

# Penalties of the trials, the strongest first.
ALPHAS = [3.0, 1.0, 0.3]


def make_training(solver="adam", **monitor):
    settings = SolverSettings(
        solver=solver, max_iter=15, learning_rate="cosine", learning_rate_init=0.03
    )
    return Training(settings, np.random.RandomState(3), Monitor(**monitor))


def make_start(n=60):
    """Three classes of which an eighth of the weights learns something."""
    rng, network = np.random.default_rng(0), Network((3, 12, 3), "tanh")
    X = rng.normal(size=(n, 3))
    Y = np.eye(3)[(X[:, 0] > 0).astype(int) + (X[:, 0] > 1)]
    objective = Objective(network, LOSSES["multinomial_log_loss"], X, Y, alpha=0.01)
    theta = network.initialise(np.random.RandomState(0), np.float64)
    return objective, PrunedNetwork.dense(network, theta)


class TestEffectiveParameters:
    @pytest.mark.parametrize(("loss", "n_outputs"), LOSS_CASES)
    @pytest.mark.parametrize("n", [4, 40], ids=["few rows", "many rows"])
    def test_is_the_trace_by_dense_algebra(self, loss, n_outputs, n):
        objective, oracle, theta = make_problem(loss, n_outputs, "tanh", 2, True, 0.7, n)
        objective = objective.replaced(penalised_fraction=0.25)
        mask = np.random.default_rng(0).random(theta.size) < 0.6
        theta = np.where(mask, theta, 0)
        oracle.alpha = 0
        G = oracle.gauss_newton(theta)[np.ix_(mask, mask)] * oracle.s.sum()
        a = 0.7 / 0.25
        expected = np.trace(np.linalg.solve(G + a * np.eye(len(G)), G))
        assert effective_parameters(objective, theta, mask) == pytest.approx(expected, rel=1e-5)

    def test_of_many_outputs_is_estimated(self):
        rng, sizes = np.random.default_rng(0), (3, 5, 9)
        network = Network(sizes, "tanh")
        theta = rng.normal(size=network.n_parameters)
        X, Y = rng.normal(size=(400, 3)), make_targets("multinomial_log_loss", 9, 400, rng)
        objective = Objective(network, LOSSES["multinomial_log_loss"], X, Y, alpha=1.0)
        oracle = Oracle(sizes, "tanh", "multinomial_log_loss", X, Y)
        G = oracle.gauss_newton(theta) * 400
        expected = np.trace(np.linalg.solve(G + np.eye(len(G)), G))
        found = effective_parameters(objective, theta, np.ones(theta.size, dtype=bool))
        assert found != pytest.approx(expected, rel=1e-6)
        assert found == pytest.approx(expected, rel=0.05)

    def test_grows_from_0_to_the_number_of_parameters(self):
        objective, _, theta = make_problem("squared_error", 2, depth=2, n=60)
        mask = np.ones(theta.size, dtype=bool)
        counts = [
            effective_parameters(objective.with_alpha(alpha), theta, mask)
            for alpha in (1e9, 10.0, 0.1, 1e-9)
        ]
        assert counts == sorted(counts)
        assert counts[0] == pytest.approx(0, abs=1e-4)
        assert counts[-1] <= mask.sum() * (1 + 1e-9)


class TestAssess:
    @pytest.mark.parametrize(("loss", "n_outputs"), LOSS_CASES)
    def test_gain_is_over_the_best_constant(self, loss, n_outputs):
        """Which is found by trying: no other constant has a lower loss."""
        objective, oracle, theta = make_problem(loss, n_outputs, weighted=True, n=30)
        objective = objective.with_alpha(0.5)
        trial = assess(objective, theta, np.ones(theta.size, dtype=bool))
        constant = loss_of_constants(oracle, n_outputs)
        value = oracle.value(theta)
        if loss == "squared_error":
            value, constant = (n_outputs / 2 * np.log(2 * v / n_outputs) for v in (value, constant))
        assert trial.loss == pytest.approx(value, rel=1e-9)
        assert trial.gain == pytest.approx(constant - value, rel=1e-6)

    @pytest.mark.parametrize("scale", [1e-3, 40.0])
    def test_of_numbers_does_not_depend_on_their_scale(self, scale):
        objective, _, theta = make_problem("squared_error", 2, n=30, alpha=1.0)
        mask = np.ones(theta.size, dtype=bool)
        scaled = theta.copy()
        objective.network.layers(scaled)[-1][...] *= scale
        other = objective.replaced(Y=objective.Y * scale)
        one, two = assess(objective, theta, mask), assess(other, scaled, mask)
        assert two.gain == pytest.approx(one.gain)
        assert two.loss == pytest.approx(one.loss + 2 * np.log(scale))

    def test_a_perfect_fit_is_finite(self):
        objective, _, theta = make_problem("squared_error", 1, n=30, alpha=1.0)
        mask = np.ones(theta.size, dtype=bool)
        perfect = objective.replaced(Y=objective.network.raw_output(theta, objective.X))
        trial = assess(perfect, theta, mask)
        assert np.isfinite(trial).all()
        assert trial.gain > 15

    @pytest.mark.parametrize("bad", [0.0, np.inf])
    def test_what_tells_nothing_is_left_out(self, bad):
        """Constant targets, and a network that overflows."""
        objective, _, theta = make_problem("squared_error", 1, n=30, alpha=1.0)
        objective = objective.replaced(Y=np.full((30, 1), 2.0))
        if bad:
            theta = theta * 1e200
        with np.errstate(all="ignore"):
            trial = assess(objective, theta, np.ones(theta.size, dtype=bool))
        assert best_of([trial, trial], 30, 1, 0.5) is None


def loss_of_constants(oracle, n_outputs):
    from scipy.optimize import minimize

    def value(raw):
        losses = oracle.loss(np.tile(raw, (len(oracle.X), 1)), oracle.Y)
        return oracle.s @ losses / oracle.s.sum()

    return minimize(value, np.zeros(n_outputs), tol=1e-12).fun


class TestBestOf:
    def test_weighs_loss_and_parameters(self):
        trials = [Trial(0.5, 0.2, 10), Trial(0.4, 0.3, 20), Trial(0.3, 0.4, 100)]
        # .5 + .5 * 10/90, .4 + .5 * 20/80, .3 + .5 * 100/1: n less g / K, but at least 1.
        assert best_of(trials, 100, 1, 0.5) == 1
        assert best_of(trials, 100, 1, 0.0) == 2
        assert best_of(trials, 100, 1, 5.0) == 0

    def test_parameters_are_shared_by_the_outputs(self):
        trials = [Trial(0.5, 0.3, 10), Trial(0.2, 0.5, 100)]
        assert best_of(trials, 150, 1, 0.4) == 0
        assert best_of(trials, 150, 10, 0.4) == 1

    @pytest.mark.parametrize(("n", "price"), [(150, 0.5), (300, 0.5), (4800, 1.0)])
    def test_the_price_rises_with_the_rows(self, n, price):
        """Beyond 300; at 16 times as many it is twice as high."""
        g = n / 31
        worth = price * g / (n - g)
        for factor, expected in ((0.99, 0), (1.01, 1)):
            trials = [Trial(1.0, 1.0, 0.0), Trial(1 - factor * worth, 1.0, g)]
            assert best_of(trials, n, 1, 0.5) == expected

    def test_what_has_collapsed_is_left_out(self):
        trials = [Trial(0.69, 0.001, 0.5), Trial(0.4, 0.29, 60), Trial(0.35, 0.34, 90)]
        assert best_of(trials, 100, 1, 0.5) == 1
        # But for the guard it would be the first.
        assert best_of([trials[0], trials[0]._replace(n_effective=60)], 100, 1, 0.5) == 0

    def test_the_first_of_equals(self):
        assert best_of([Trial(0.4, 0.3, 20)] * 3, 100, 1, 0.5) == 0

    @pytest.mark.parametrize("gain", [0.0, -0.1, -np.inf])
    def test_none_is_better_than_a_constant(self, gain):
        assert best_of([Trial(0.7, gain, 3), Trial(0.7, gain, 2)], 100, 1, 0.5) is None


class TestIsSmall:
    def make(self, n, sizes, weight=None):
        network = Network(sizes, "relu")
        X, Y = np.zeros((n, sizes[0])), np.zeros((n, sizes[-1]))
        objective = Objective(network, LOSSES["squared_error"], X, Y, weight)
        return objective, PrunedNetwork.dense(network, np.zeros(network.n_parameters))

    @pytest.mark.parametrize(
        ("n", "sizes", "expected"),
        [
            (1500, (10, 100, 1), True),
            (1501, (10, 100, 1), False),  # many rows
            (600, (60, 100, 1), True),
            (601, (60, 100, 1), False),  # as many directions: neither rows nor parameters are few
            (150, (60, 100, 9), True),  # of four random sums for each row
            (151, (60, 100, 9), False),
            (400, (500, 100, 1), False),  # a large matrix, although its smaller side is short
        ],
    )
    def test_by_shape(self, n, sizes, expected):
        assert is_small(*self.make(n, sizes)) is expected

    def test_rows_count_by_their_weight(self):
        weight = np.full(100, 20.0)
        assert not is_small(*self.make(100, (10, 100, 1), weight))
        assert is_small(*self.make(100, (10, 100, 1), weight / 2))

    def test_survivors_count(self):
        objective, start = self.make(601, (60, 100, 1))
        mask = ~objective.network.is_weight
        mask[:400] = True
        assert is_small(objective, PrunedNetwork(start.network, start.theta, mask))


class TestChooseAlpha:
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_nobody_is_told_and_nothing_is_drawn(self, solver):
        def told(*_):
            raise AssertionError

        objective, start = make_start()
        training = make_training(solver, validate=told, on_epoch=told, on_round=told, on_cycle=told)
        before, theta = training.rng.get_state()[1].copy(), start.theta.copy()
        chosen = [choose_alpha(objective, start, 3.0, training) for _ in range(2)]
        assert chosen[0] == chosen[1]
        assert chosen[0] in ALPHAS
        assert_array_equal(training.rng.get_state()[1], before)
        assert_array_equal(start.theta, theta)
        assert start.mask.all()

    def test_trials_are_judged_as_documented(self, monkeypatch):
        """Each with its penalty, at an eighth of the weights; the verdicts decide."""
        objective, start = make_start()
        seen, n_weights = [], int(objective.network.is_weight.sum())

        def judge(objective, theta, mask):
            seen.append(objective.alpha)
            assert (mask & objective.network.is_weight).sum() == round(n_weights / 8)
            return Trial(0.5, 0.5, abs(objective.alpha - favourite))

        monkeypatch.setattr(precision, "assess", judge)
        for favourite in ALPHAS:
            assert choose_alpha(objective, start, 7.0, make_training()) == favourite
        assert seen == ALPHAS * 3

    def test_alpha_is_per_minibatch(self):
        objective, start = make_start()
        objective = objective.replaced(penalised_fraction=0.5)
        assert choose_alpha(objective, start, 1.5, make_training()) in [0.5 * a for a in ALPHAS]

    def test_dense_training_has_a_penalty_as_strong_as_the_strongest(self, monkeypatch):
        monkeypatch.setattr(precision, "assess", None)
        objective, start = make_start()
        assert choose_alpha(objective.with_alpha(5.0), start, 7.0, make_training()) == 7.0

    def test_no_trial_of_large_data(self, monkeypatch):
        monkeypatch.setattr(precision, "assess", None)
        assert choose_alpha(*make_start(1501), 7.0, make_training()) == 7.0

    def test_a_network_that_is_sparser_is_retrained_as_it_is(self):
        objective, start = make_start()
        keep = start.mask & ~objective.network.is_weight
        keep[[0, 48, 49]] = True  # from an input by a unit to two outputs
        sparse = PrunedNetwork(start.network, start.theta, keep)
        assert choose_alpha(objective, sparse, 7.0, make_training()) in ALPHAS

    @pytest.mark.parametrize("error", [DivergenceError, ValueError])
    @pytest.mark.parametrize("fails", [{0.3}, set(ALPHAS)], ids=["one", "all"])
    def test_a_trial_that_fails_is_left_out(self, fails, error, monkeypatch):
        """It diverges, or a criterion that the fit may not ask for finds no finite curvature."""
        train = precision.train_active

        def diverge(active, *others):
            if active.objective.alpha in fails:
                raise error
            return train(active, *others)

        monkeypatch.setattr(precision, "train_active", diverge)
        chosen = choose_alpha(*make_start(), 7.0, make_training())
        assert chosen in {*ALPHAS, 7.0} - fails
        assert (chosen == 7.0) == (len(fails) == 3)

    def test_an_interrupt_is_not_swallowed(self, monkeypatch):
        def interrupted(active, pruned, state, training):
            return SolverResult(pruned.theta, 0.5, 1, state, Status.INTERRUPTED)

        monkeypatch.setattr(precision, "train_active", interrupted)
        with pytest.raises(KeyboardInterrupt):
            choose_alpha(*make_start(), 7.0, make_training())


@pytest.mark.parametrize("loss", LOSSES)
def test_links_are_inverse(loss):
    raw = np.random.default_rng(0).normal(size=(5, 3))
    p = raw.copy()
    LOSSES[loss].inverse_link(p)
    back = LOSSES[loss].link(p)
    if loss == "multinomial_log_loss":
        raw = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    assert_allclose(back, raw, rtol=1e-12, atol=1e-12)
