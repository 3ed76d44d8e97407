"""The state of training: curves, best values, the optimiser's moments."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Any, Generic, TypeVar

import numpy as np

from .._net.network import Array
from .._net.packing import pack_plain, unpack_plain
from .settings import SolverSettings
from .updates import UPDATES, Update

T = TypeVar("T")

# Entries of earlier calls to keep, so that the record of a network that is trained row by row
# does not outgrow its weights.
N_KEPT = 1000


class Log(Generic[T]):
    """An immutable sequence that shares its values with those from which it was extended.

    Extending the latest one appends to a common list, so that all networks of a path together
    hold their record once. Every call that trains begins with its own log (`recent`), so that two
    threads that continue with one network do not interfere.

    Parameters
    ----------
    values : iterable
    """

    def __init__(self, values: Iterable[T] = ()) -> None:
        self._values = list(values)
        self._n = len(self._values)

    def extended(self, values: Iterable[T]) -> "Log[T]":
        """Return a log of these values and more."""
        values = list(values)  # beforehand, because they may be made of this very log
        is_latest = len(self._values) == self._n
        longer = copy.copy(self) if is_latest else Log(self)
        longer._values.extend(values)
        longer._n = len(longer._values)
        return longer

    def recent(self) -> "Log[T]":
        """Return a log of the last `N_KEPT` values, which shares nothing."""
        return Log(self._values[max(0, self._n - N_KEPT) : self._n])

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int) -> T:
        return self._values[range(self._n)[index]]

    def __iter__(self) -> Iterator[T]:
        return iter(self._values[: self._n])


_CURVES = ("loss_curve", "validation_loss_curve", "validation_scores")


@dataclass(frozen=True)
class TrainingState:
    """Record of training so far, with all that is needed to continue; never changed in place.

    Attributes
    ----------
    loss_curve : Log of float
        Objective after each epoch or iteration.
    validation_loss_curve, validation_scores : Log of float
        Loss and score on validation data, if there are any.
    lowest_loss, highest_validation_score : float
        Best values of all epochs, even those dropped from the curves; infinite before the first.
    best_loss, best_validation_score : float
        Values by which improvement is judged.
    n_no_improvement : int
        Epochs in a row without improvement by `tol`.
    n_samples_seen : int
    optimizer : Update or None
        Moments of the stochastic optimiser, to continue as if training had not ended.
    """

    loss_curve: Log[float] = field(default_factory=Log)
    validation_loss_curve: Log[float] = field(default_factory=Log)
    validation_scores: Log[float] = field(default_factory=Log)
    lowest_loss: float = np.inf
    highest_validation_score: float = -np.inf
    best_loss: float = np.inf
    best_validation_score: float = -np.inf
    n_no_improvement: int = 0
    n_samples_seen: int = 0
    optimizer: Update | None = None

    def extended(
        self, losses: Sequence[float], validation: Sequence[tuple[float, float]] = ()
    ) -> "TrainingState":
        """Continue the curves; of ``validation`` each entry is a loss and a score."""
        validation_losses = [loss for loss, _ in validation]
        scores = [score for _, score in validation]
        return replace(
            self,
            loss_curve=self.loss_curve.extended(losses),
            validation_loss_curve=self.validation_loss_curve.extended(validation_losses),
            validation_scores=self.validation_scores.extended(scores),
            lowest_loss=float(min([self.lowest_loss, *losses])),
            # The former score comes first, because a NaN does not exceed it.
            highest_validation_score=float(max([self.highest_validation_score, *scores])),
        )

    def recent(self) -> "TrainingState":
        """Keep the last `N_KEPT` entries of the curves only."""
        return replace(self, **{name: getattr(self, name).recent() for name in _CURVES})

    def forget_best(self) -> "TrainingState":
        """Forget the best values and the optimiser, because the old best is out of reach."""
        return replace(
            self,
            best_loss=np.inf,
            best_validation_score=-np.inf,
            n_no_improvement=0,
            optimizer=None,
        )

    def pack(self) -> dict[str, Any]:
        """Return all of it as arrays and plain data."""
        logs = {name: list(getattr(self, name)) for name in _CURVES}
        curves = {name: np.array(log) if log else None for name, log in logs.items()}
        optimizer = None
        if self.optimizer is not None:
            optimizer = vars(self.optimizer) | {"settings": asdict(self.optimizer.settings)}
        return pack_plain(vars(self) | curves | {"optimizer": optimizer})

    @classmethod
    def unpack(cls, packed: dict[str, Any]) -> "TrainingState":
        """Restore the value on which `pack` was called."""
        packed = unpack_plain(packed)
        curves = {name: packed[name] for name in _CURVES}
        logs = {name: Log(() if c is None else c.tolist()) for name, c in curves.items()}
        optimizer = packed["optimizer"]
        if optimizer is not None:
            settings = SolverSettings(**optimizer["settings"])
            values, optimizer = optimizer, object.__new__(UPDATES[settings.solver])
            vars(optimizer).update(copy.copy(values) | {"settings": settings})
        return cls(**packed | logs | {"optimizer": optimizer})


class Status(str, Enum):
    """Reason for the end of a solver or a round."""

    CONVERGED = "converged"
    MAX_ITER = "max_iter"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class SolverResult:
    """Outcome of one call of a solver.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
    loss : float
        Objective as the solver last saw it; for minibatches the mean over the last epoch.
    n_iter : int
        Epochs or iterations of this call.
    state : TrainingState
    status : Status
    message : str
        Explanation of why the solver ended.
    """

    theta: Array
    loss: float
    n_iter: int
    state: TrainingState
    status: Status = Status.MAX_ITER
    message: str = ""
