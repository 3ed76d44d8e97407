"""The settings of training, and what is told of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .._net.network import Array, Mask


@dataclass(frozen=True)
class SolverSettings:
    """Hyper-parameters of training; names, defaults and meanings are scikit-learn's.

    Attributes
    ----------
    steps_per_epoch : float or None
        Approximate limit of the minibatches of an epoch, which is a part of a pass over more rows.
        None makes every epoch a pass over all rows.
    """

    solver: str = "adam"
    batch_size: int | str = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    tol: float = 1e-4
    verbose: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    steps_per_epoch: float | None = None


def batch_size_of(batch_size: int | str) -> int:
    """Return the rows of a minibatch, if the data have as many."""
    return 200 if batch_size == "auto" else int(batch_size)


class Monitor(NamedTuple):
    """Callables that follow training.

    Attributes
    ----------
    validate : callable or None
        ``validate(theta)`` returns loss and score on the validation data.
    on_epoch : callable or None
        ``on_epoch(theta)`` is called after every epoch and returns True to stop training.
    on_round : callable or None
        ``on_round(theta, mask, n)`` is called before the training of every round, in which the
        solver is called at most n times.
    on_cycle : callable or None
        ``on_cycle(theta, mask)`` is called before every further training within the round.
    tell : callable or None
        ``tell(line)`` is called with a line that says what the user waits for.
    """

    validate: Callable[[Array], tuple[float, float]] | None = None
    on_epoch: Callable[[Array], bool] | None = None
    on_round: Callable[[Array, Mask, int], None] | None = None
    on_cycle: Callable[[Array, Mask], None] | None = None
    tell: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Training:
    """All that a solver is given beside the objective: settings, randomness, and whom to tell.

    Attributes
    ----------
    settings : SolverSettings
    rng : RandomState
    monitor : Monitor
    has_users_rate : bool
        Whether the learning rate is the user's ``learning_rate_init``.
    """

    settings: SolverSettings
    rng: np.random.RandomState
    monitor: Monitor = field(default_factory=Monitor)
    has_users_rate: bool = True
