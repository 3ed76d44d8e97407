"""Training problems over every loss, activation and depth, with their oracles."""

import itertools

import numpy as np
import pytest
from oracles import Oracle

from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._prune.deletion_problem import DeletionProblem, DeletionSettings
from skobd._train.objective import Objective

# loss and number of outputs: every loss, with one output unit and with several
LOSS_CASES = [
    ("squared_error", 1),
    ("squared_error", 2),
    ("binary_log_loss", 1),
    ("binary_log_loss", 3),
    ("multinomial_log_loss", 3),
    ("poisson", 1),
    ("poisson", 2),
]
HIDDEN = (4, 3, 2)


def make_targets(loss, n_outputs, n_samples, rng):
    """Targets that suit a loss, as floats."""
    if loss == "squared_error":
        return rng.normal(size=(n_samples, n_outputs))
    if loss == "binary_log_loss":
        return rng.integers(2, size=(n_samples, n_outputs)).astype(float)
    if loss == "multinomial_log_loss":
        return np.eye(n_outputs)[rng.integers(n_outputs, size=n_samples)]
    return rng.poisson(1.5, size=(n_samples, n_outputs)).astype(float)


def make_problem(loss, n_outputs, activation="tanh", depth=1, weighted=False, alpha=0.0, n=6):
    """An `Objective`, the same problem as an `Oracle`, and parameters to look at."""
    rng = np.random.default_rng([n_outputs, depth, len(loss), len(activation)])
    sizes = (3, *HIDDEN[:depth], n_outputs)
    X = rng.normal(size=(n, 3))
    Y = make_targets(loss, n_outputs, n, rng)
    weight = rng.uniform(0.2, 3, size=n) if weighted else None
    network = Network(sizes, activation)
    theta = rng.normal(scale=0.7, size=network.n_parameters)
    objective = Objective(network, LOSSES[loss], X, Y, weight, alpha)
    return objective, Oracle(sizes, activation, loss, X, Y, weight, alpha), theta


def in_single_precision(objective):
    """The same objective over float32."""
    names = ("X", "Y", "sample_weight")
    return objective.replaced(**{name: getattr(objective, name).astype("f4") for name in names})


def every_problem():
    """Parametrization over activation x loss x depth.

    Sample weights and alpha take turns, so that each pair of them meets each loss, activation
    and depth.
    """
    cases = []
    in_turn = itertools.cycle(itertools.product((False, True), (0.0, 0.3)))
    for (loss, n_outputs), depth in itertools.product(LOSS_CASES, range(4)):
        # Without hidden units there is no activation to vary.
        for activation in ("identity", "logistic", "tanh", "relu") if depth else ("relu",):
            weighted, alpha = next(in_turn)
            name = f"{loss}{n_outputs}-{activation}-depth{depth}"
            name += "-weighted" * weighted + "-alpha" * bool(alpha)
            cases.append(
                pytest.param((loss, n_outputs, activation, depth, weighted, alpha), id=name)
            )
    return cases


def at(objective, theta, mask=None, seed=0, **settings):
    """The problem of deleting something at these parameters; nothing is deleted by default."""
    mask = np.ones(theta.size, dtype=bool) if mask is None else mask
    return DeletionProblem(
        objective, theta, mask, DeletionSettings(**settings), np.random.RandomState(seed)
    )


def make_wide_problem(depth=1):
    """An `Objective` and parameters; a single deletion rarely kills a unit."""
    rng = np.random.default_rng(depth)
    network = Network((8, *(6, 5)[:depth], 3), "tanh")
    X = rng.normal(size=(30, 8))
    Y = np.eye(3)[rng.integers(3, size=30)]
    objective = Objective(network, LOSSES["multinomial_log_loss"], X, Y, None, 0.1)
    return objective, rng.normal(size=network.n_parameters)
