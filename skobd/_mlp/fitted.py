"""What training leaves behind: one immutable value from which every attribute is read."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from .._net.losses import LOSSES, Loss
from .._net.network import Array, Network
from .._net.pruned import PrunedNetwork
from .._prune.problem import prunable
from .._prune.recipe import Round, Step
from .._train.state import Log, SolverResult, TrainingState

HISTORY_COLUMNS = (
    "round",
    "n_weights",
    "sparsity",
    "loss_before",
    "predicted_increase",
    "loss_after_deletion",
    "loss_after_retraining",
    "n_iter",
)
VALIDATION_COLUMNS = ("validation_loss", "validation_score")


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted network and the record of how it came about.

    Attributes
    ----------
    pruned : PrunedNetwork
    loss_name : str
        Row of `LOSSES`.
    prune_intercepts : bool
        Whether intercepts count as weights.
    early_stopping : bool
        Whether the score on validation data ended training.
    state : TrainingState
    rounds : Log of Round
        Every round of pruning, numbers only.
    latest : Round or None
        The numbers of the last training, that of the dense network included.
    importances : ndarray of shape (n_features,) or None
        None where they have not been asked for. Made read-only.
    loss : float
    n_iter : int
        Epochs or iterations of the last call.
    """

    pruned: PrunedNetwork
    loss_name: str
    prune_intercepts: bool
    early_stopping: bool
    state: TrainingState
    rounds: Log[Round]
    latest: Round | None
    importances: Array | None
    loss: float
    n_iter: int

    def __post_init__(self) -> None:
        if self.importances is not None:
            view = self.importances.view()
            view.flags.writeable = False
            object.__setattr__(self, "importances", view)

    def __reduce__(self) -> tuple[Any, ...]:
        # By way of the constructor, because arrays come out of a pickle writable.
        return Fitted, tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def untrained(
        cls, network: Network, theta: Array, loss_name: str, prune_intercepts: bool
    ) -> "Fitted":
        """A dense network of which nothing is recorded yet."""
        pruned, state = PrunedNetwork.dense(network, theta), TrainingState()
        return cls(pruned, loss_name, prune_intercepts, False, state, Log(), None, None, np.nan, 0)

    def after(self, step: Step, n_iter: int) -> "Fitted":
        """Trained or pruned on; ``n_iter`` is that of the whole call so far."""
        rounds = self.rounds
        if step.round.round:
            number = step.round.round if not rounds else rounds[-1].round + 1
            rounds = rounds.extended([replace(step.round, round=number)])
        return replace(
            self,
            pruned=step.pruned,
            state=step.state,
            rounds=rounds,
            latest=step.round,
            importances=None,
            loss=step.round.loss,
            n_iter=n_iter,
        )

    def trained(self, result: SolverResult) -> "Fitted":
        """Trained on by one call of a solver, without any pruning."""
        pruned = PrunedNetwork(self.pruned.network, result.theta, self.pruned.mask)
        fitted = replace(self, pruned=pruned, state=result.state)
        if result.n_iter or not self.n_iter:
            fitted = replace(fitted, loss=float(result.loss), n_iter=result.n_iter)
        return fitted

    def without_optimizer(self) -> "Fitted":
        """The same; further training begins with a fresh optimiser."""
        return replace(self, state=replace(self.state, optimizer=None))

    @property
    def loss_function(self) -> Loss:
        """The loss that the network was trained with."""
        return LOSSES[self.loss_name]

    @property
    def n_prunable(self) -> int:
        """Weights (and intercepts, if they count) of the dense network."""
        return int(prunable(self.pruned.network, self.prune_intercepts).sum())

    @property
    def n_weights(self) -> int:
        """Those of them that survive."""
        network = self.pruned.network
        return int((self.pruned.mask & prunable(network, self.prune_intercepts)).sum())

    @property
    def sparsity(self) -> float:
        """Fraction of the weights deleted."""
        return 1 - self.n_weights / self.n_prunable

    @property
    def history(self) -> dict[str, np.ndarray]:
        """Columns of the rounds, ready for ``pandas.DataFrame``."""
        return history(self.rounds)

    def pack(self) -> dict[str, Any]:
        """Arrays and plain data that are all of it; see `TrainingState.pack`."""
        rounds = [asdict(record) for record in self.rounds]
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "pruned": self.pruned.pack(),
            "state": self.state.pack(),
            "rounds": {name: [record[name] for record in rounds] for name in _ROUND_FIELDS},
            "latest": None if self.latest is None else asdict(self.latest),
        }

    @classmethod
    def unpack(cls, packed: dict[str, Any]) -> "Fitted":
        """What `pack` was called on."""
        columns = [packed["rounds"][name] for name in _ROUND_FIELDS]
        rounds: Log[Round] = Log(Round(*values) for values in zip(*columns, strict=True))
        latest = packed["latest"]
        return cls(
            **packed
            | {
                "pruned": PrunedNetwork.unpack(packed["pruned"]),
                "state": TrainingState.unpack(packed["state"]),
                "rounds": rounds,
                "latest": None if latest is None else Round(**latest),
            }
        )


_ROUND_FIELDS = tuple(field.name for field in fields(Round))


def history(rounds: Iterable[Round]) -> dict[str, np.ndarray]:
    """Columns of the rounds; those on validation data only where there are any."""
    rounds = list(rounds)
    columns: tuple[str, ...] = HISTORY_COLUMNS
    if any(np.isfinite(record.validation_loss) for record in rounds):
        columns += VALIDATION_COLUMNS
    return {name: np.array([getattr(record, name) for record in rounds]) for name in columns}


def state_of(mlp: Any) -> TrainingState:
    """What a fitted perceptron of scikit-learn has recorded of its training."""
    return TrainingState(
        loss_curve=Log(getattr(mlp, "loss_curve_", [])),
        validation_scores=Log(getattr(mlp, "validation_scores_", None) or []),
        n_samples_seen=int(mlp.t_),
    )
