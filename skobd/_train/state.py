"""What training leaves behind: curves, best values, the optimiser's moments."""

import copy
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, TypeVar, overload

import numpy as np

from .._net.network import Array
from .updates import UPDATES, SolverSettings, Update

T = TypeVar("T")
_lock = threading.Lock()


class Log(Sequence[T], Generic[T]):
    """An immutable sequence that shares its values with those it was extended from.

    Extending the latest one appends to a common list, whose first values are an earlier one's;
    so n extensions by one value take O(n) time and memory in all.

    Parameters
    ----------
    values : iterable
    """

    def __init__(self, values: Any = ()) -> None:
        self._values: list[T] = list(values)
        self._n = len(self._values)

    def extended(self, values: Any) -> "Log[T]":
        """A log of these values and more."""
        longer: Log[T] = Log.__new__(Log)
        # Beforehand, so that nobody else's code runs under the lock.
        values = list(values)
        with _lock:
            # Another log that was extended from this one may have appended already.
            is_latest = len(self._values) == self._n
            longer._values = self._values if is_latest else self._values[: self._n]
            longer._values.extend(values)
            longer._n = len(longer._values)
        return longer

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._values[i] for i in range(*index.indices(self._n))]
        return self._values[range(self._n)[index]]

    def __iter__(self) -> Iterator[T]:
        return iter(self._values[: self._n])


_CURVES = ("loss_curve", "validation_loss_curve", "validation_scores")


@dataclass(frozen=True)
class TrainingState:
    """What training has recorded so far, and what it needs to go on; never changed in place.

    Attributes
    ----------
    loss_curve : Log of float
        Objective after each epoch or iteration.
    validation_loss_curve, validation_scores : Log of float
        The same on validation data, where there are any.
    best_loss, best_validation_score : float
    n_no_improvement : int
        Epochs in a row without improvement by `tol`.
    n_samples_seen : int
    optimizer : Update or None
        Moments of the stochastic optimiser, to continue as if training had not ended.
    """

    loss_curve: Log[float] = field(default_factory=Log)
    validation_loss_curve: Log[float] = field(default_factory=Log)
    validation_scores: Log[float] = field(default_factory=Log)
    best_loss: float = np.inf
    best_validation_score: float = -np.inf
    n_no_improvement: int = 0
    n_samples_seen: int = 0
    optimizer: Update | None = None

    def forget_best(self) -> "TrainingState":
        """Judge improvement anew, with a fresh optimiser: the old best is out of reach."""
        return replace(
            self,
            best_loss=np.inf,
            best_validation_score=-np.inf,
            n_no_improvement=0,
            optimizer=None,
        )

    def pack(self) -> dict[str, Any]:
        """Arrays and plain data that are all of it."""
        curves = {name: np.array(getattr(self, name), dtype=np.float64) for name in _CURVES}
        optimizer = None
        if self.optimizer is not None:
            optimizer = vars(self.optimizer) | {"settings": asdict(self.optimizer.settings)}
        return vars(self) | curves | {"optimizer": optimizer}

    @classmethod
    def unpack(cls, packed: dict[str, Any]) -> "TrainingState":
        """What `pack` was called on."""
        curves: dict[str, Any] = {name: Log(packed[name].tolist()) for name in _CURVES}
        optimizer = packed["optimizer"]
        if optimizer is not None:
            settings = SolverSettings(**optimizer["settings"])
            values, optimizer = optimizer, object.__new__(UPDATES[settings.solver])
            vars(optimizer).update(copy.copy(values) | {"settings": settings})
        return cls(**packed | curves | {"optimizer": optimizer})


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
    status : {"converged", "max_iter", "interrupted", "stopped", "diverged"}
    message : str
        Why the solver ended, in words.
    """

    theta: Array
    loss: float
    n_iter: int
    state: TrainingState
    status: str = "max_iter"
    message: str = ""
