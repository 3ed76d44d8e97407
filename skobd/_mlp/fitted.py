"""The immutable result of training, from which every attribute is read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import islice
from operator import attrgetter
from typing import Any

import numpy as np

from .._net.network import Array, Indices, Mask, Network
from .._net.packing import pack_plain, unpack_plain
from .._net.pruned import PrunedNetwork
from .._prune.granularity import GRANULARITIES
from .._prune.regrowth import RegrowthCycle
from .._prune.rounds import Round, Step
from .._train.state import Log, SolverResult, Status, TrainingState
from .targets import Targets, unpack

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
    """A fitted network and the record of its training.

    Attributes
    ----------
    pruned : PrunedNetwork
    targets : Targets
        Targets that the network predicts.
    granularity : str
        Row of `GRANULARITIES` that says what was deleted.
    early_stopping : bool
        Whether the score on validation data ended training.
    state : TrainingState
    rounds : Log of Round
        Rounds of pruning, without their networks.
    latest : Round or None
        Record of the last training, which may be that of the dense network.
    importances : ndarray of shape (n_features,) or None
        Importances of the inputs, read-only; None if not computed.
    loss : float
    n_iter : int
        Epochs or iterations of the last call.
    group_of : ndarray of int of shape (n_features,) or None
        Number of the group of each input, read-only; None if each is a group of its own.
    group_names : tuple of str or None
        Names of the groups, if they have any.
    stop_reason : str
        Reason why pruning went no further; empty if no tolerance stopped it.
    """

    pruned: PrunedNetwork
    targets: Targets
    granularity: str
    early_stopping: bool
    state: TrainingState
    rounds: Log[Round]
    latest: Round | None
    importances: Array | None
    loss: float
    n_iter: int
    group_of: Indices | None = None
    group_names: tuple[str, ...] | None = None
    stop_reason: str = ""

    def __post_init__(self) -> None:
        for name in ("importances", "group_of"):
            array = getattr(self, name)
            if array is not None:
                view = array.view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickling calls the constructor, because unpickled arrays are writable.
        return Fitted, tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def untrained(cls, network: Network, theta: Array, targets: Targets) -> "Fitted":
        """Return a dense network without a record."""
        pruned, state = PrunedNetwork.dense(network, theta), TrainingState()
        return cls(
            pruned,
            targets,
            "weight",
            False,
            state,
            Log(),
            None,
            None,
            np.nan,
            0,
        )

    def after(self, step: Step, n_iter: int) -> "Fitted":
        """Return the result of a step; ``n_iter`` is that of the whole call so far."""
        rounds = self.rounds
        if step.round.round and self.latest is not None and self.latest.round == step.round.round:
            # The step is the regrowth of the same round.
            rounds = Log([*rounds][:-1])
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
            stop_reason="",
        )

    def trained(self, result: SolverResult) -> "Fitted":
        """Return the result of one call of a solver, without pruning."""
        pruned = PrunedNetwork(self.pruned.network, result.theta, self.pruned.mask)
        fitted = replace(self, pruned=pruned, state=result.state)
        if result.n_iter or not self.n_iter:
            fitted = replace(fitted, loss=float(result.loss), n_iter=result.n_iter)
        return fitted

    def recent(self) -> "Fitted":
        """Keep the last `N_KEPT` entries of rounds and curves only.

        Every call that continues with a network begins with this, so that the record stays
        bounded over any number of calls.
        """
        return replace(self, rounds=self.rounds.recent(), state=self.state.recent())

    def without_optimizer(self) -> "Fitted":
        """Forget the optimiser, so that further training begins with a fresh one."""
        return replace(self, state=replace(self.state, optimizer=None))

    @property
    def n_prunable(self) -> int:
        """Number of weights of the dense network."""
        return int(self.pruned.network.is_weight.sum())

    @property
    def n_weights(self) -> int:
        """Number of weights that survive."""
        return int((self.pruned.mask & self.pruned.network.is_weight).sum())

    @property
    def sparsity(self) -> float:
        """Fraction of the weights that is deleted."""
        return 1 - self.n_weights / self.n_prunable

    @property
    def n_total(self) -> int:
        """Weights, units or (groups of) inputs of the dense network."""
        return self._count(np.ones_like(self.pruned.mask))

    @property
    def n_least(self) -> int:
        """Smallest number of them that can be left."""
        return GRANULARITIES[self.granularity].n_least(self.pruned.network)

    @property
    def possible_sizes(self) -> str:
        """Description of the numbers that can be left."""
        unit, n_total = GRANULARITIES[self.granularity].unit, self.n_total
        return (
            f"of the {n_total} {unit} of the dense network {self.n_least} to {n_total} can be left"
        )

    @property
    def n_left(self) -> int:
        """Weights, units or (groups of) inputs that survive."""
        return self._count(self.pruned.mask)

    @property
    def gone(self) -> float:
        """Fraction of them that is deleted."""
        return max(1 - self.n_left / self.n_total, 0.0) if self.n_total else 0.0

    def _count(self, mask: Mask) -> int:
        count = GRANULARITIES[self.granularity].n_left
        return count(self.pruned.network, mask, self.group_of)

    @property
    def retrain_alpha(self) -> float | None:
        """Strength of the penalty in the last round; None if nothing was deleted."""
        return self.rounds[-1].alpha if self.rounds else None

    @property
    def history(self) -> dict[str, np.ndarray]:
        """Columns of the rounds, ready for ``pandas.DataFrame``."""
        return history(self.rounds, self.granularity)

    @property
    def regrowth_history(self) -> dict[str, np.ndarray]:
        """Columns of the cycles of regrowth in all rounds."""
        cycles = [
            (record.round, number, cycle)
            for record in self.rounds
            for number, cycle in enumerate(record.cycles, start=1)
        ]
        columns = {
            "round": np.array([number for number, _, _ in cycles], dtype=int),
            "cycle": np.array([number for _, number, _ in cycles], dtype=int),
        }
        for field in fields(RegrowthCycle):
            values = [getattr(cycle, field.name) for _, _, cycle in cycles]
            columns[field.name] = np.array(values, dtype=field.type)
        return columns

    def without_history(self) -> "Fitted":
        """Return the network without the record of its training."""
        state = TrainingState(n_samples_seen=self.state.n_samples_seen)
        return replace(self, state=state, rounds=Log(), latest=None, importances=None)

    def of_inputs(self, kept: Indices) -> "Fitted":
        """Return the network of the inputs ``kept``, with their groups; all others must be dead."""
        fitted = replace(self, pruned=self.pruned.of_inputs(kept))
        if self.importances is not None:
            fitted = replace(fitted, importances=self.importances[kept])
        if self.group_of is None:
            return fitted
        # Groups are numbered by their first columns.
        groups, places, group_of = np.unique(
            self.group_of[kept], return_index=True, return_inverse=True
        )
        order = np.argsort(places)
        names = self.group_names
        if names is not None:
            names = tuple(names[group] for group in groups[order])
        return replace(fitted, group_of=np.argsort(order)[group_of], group_names=names)

    def pack(self) -> dict[str, Any]:
        """Return everything but ``latest``, which only paths need, as arrays and plain data."""
        return pack_plain(
            {
                **{field.name: getattr(self, field.name) for field in fields(self)},
                "pruned": self.pruned.pack(),
                "targets": self.targets.pack(),
                "state": self.state.pack(),
                "rounds": _packed_rounds(self.rounds) if self.rounds else None,
                "latest": None,
            }
        )

    @classmethod
    def unpack(cls, packed: dict[str, Any]) -> "Fitted":
        """Restore the value on which `pack` was called."""
        values = unpack_plain(packed)
        values["pruned"] = PrunedNetwork.unpack(values["pruned"])
        values["targets"] = unpack(values["targets"])
        values["state"] = TrainingState.unpack(values["state"])
        values["rounds"] = Log(_unpacked_rounds(values["rounds"]) if values["rounds"] else ())
        return cls(**values)


def _packed_rounds(rounds: Iterable[Round]) -> dict[str, Any]:
    """Return tables of the numbers of rounds and of their cycles, and the texts of rounds."""
    return pack_plain(
        {
            "rounds": _table(rounds, Round),
            "statuses": [record.status.value for record in rounds],
            "messages": [record.message for record in rounds],
            "n_cycles": [len(record.cycles) for record in rounds],
            "cycles": _table((c for record in rounds for c in record.cycles), RegrowthCycle),
        }
    )


def _unpacked_rounds(packed: dict[str, Any]) -> Iterator[Round]:
    """Yield the rounds that `_packed_rounds` was given."""
    values = unpack_plain(packed)
    cycles = (RegrowthCycle(**numbers) for numbers in _rows(values["cycles"]))
    words = (values[name] for name in ("statuses", "messages", "n_cycles"))
    for numbers, status, message, n in zip(_rows(values["rounds"]), *words, strict=True):
        own = tuple(islice(cycles, n))
        yield Round(**numbers, status=Status(status), message=message, cycles=own)


def _table(records: Iterable[Any], kind: type) -> np.ndarray:
    """Return the numbers of records as one structured array."""
    columns: Any = [
        (field.name, field.type) for field in fields(kind) if field.type in (bool, int, float)
    ]
    read = attrgetter(*(name for name, _ in columns))
    return np.array([read(record) for record in records], dtype=columns)


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    """Yield the numbers of each record by name."""
    return (dict(zip(table.dtype.names, row, strict=True)) for row in table.tolist())


def history(rounds: Iterable[Round], granularity: str = "weight") -> dict[str, np.ndarray]:
    """Return the columns of the rounds, with those on validation data if there are any.

    Deletion of units or inputs adds a column "n_units" or "n_features".
    """
    rounds = list(rounds)
    columns: tuple[str, ...] = HISTORY_COLUMNS
    if any(np.isfinite(record.validation_loss) for record in rounds):
        columns += VALIDATION_COLUMNS
    table = {name: np.array([getattr(record, name) for record in rounds]) for name in columns}
    if granularity != "weight":
        counts = np.array([record.n_left for record in rounds], dtype=int)
        table[f"n_{GRANULARITIES[granularity].unit}"] = counts
    return table


def state_of(mlp: Any) -> TrainingState:
    """Read the training state of a fitted perceptron of scikit-learn."""
    scores = getattr(mlp, "validation_scores_", None) or []
    state = TrainingState(n_samples_seen=int(mlp.t_))
    return state.extended(getattr(mlp, "loss_curve_", []), [(np.nan, score) for score in scores])
