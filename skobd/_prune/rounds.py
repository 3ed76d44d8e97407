"""Records of rounds: the network, and the numbers of training and pruning."""

from dataclasses import dataclass, replace

import numpy as np

from .._net.pruned import PrunedNetwork
from .._train.state import Status, TrainingState
from .regrowth import ENDED_EARLY, RegrowthCycle


@dataclass(frozen=True, kw_only=True)
class Round:
    """Numbers of a round, or of dense training (round 0).

    Attributes
    ----------
    round : int
    n_weights, n_total : int
        Weights that survive, and those of the dense network.
    n_left : int
        Surviving weights, units or inputs, as the granularity counts.
    loss_before, loss_after_deletion, loss_after_retraining : float
        Objective on the training data, with the penalty of retraining. The dense network has only
        the last, with its own penalty.
    predicted_increase : float
        Increase by the deletion that the criterion predicted; NaN if it predicts none.
    n_iter : int
        Epochs or iterations of (re)training, those of the cycles included.
    validation_loss, validation_score : float
        Loss and score on the validation data; NaN without them.
    loss : float
        Objective as the solver last saw it.
    status : Status
    message : str
        Explanation of how the (re)training ended; see `SolverResult`.
    cycles : tuple of RegrowthCycle
    alpha : float
        Strength of the penalty of retraining; NaN for the dense network.
    within_tol : bool
        False for a round that is worse than ``prune_tol`` allows.
    verdict : str
        Values that decided, in words; empty if the round was not judged.
    """

    round: int
    n_weights: int
    n_total: int
    n_left: int
    loss_before: float = np.nan
    predicted_increase: float = 0.0
    loss_after_deletion: float = np.nan
    loss_after_retraining: float
    n_iter: int
    validation_loss: float
    validation_score: float
    loss: float
    status: Status
    message: str
    cycles: tuple[RegrowthCycle, ...] = ()
    alpha: float = np.nan
    within_tol: bool = True
    verdict: str = ""

    def judged(self, within_tol: bool, value: str, least: float) -> "Round":
        """Add a judgement to the numbers: the value that decided, and its lower limit."""
        verdict = f"{value}, at least {least:.4f} asked for"
        return replace(self, within_tol=within_tol, verdict=verdict)

    @property
    def sparsity(self) -> float:
        """Fraction of the weights that is deleted."""
        return 1 - self.n_weights / self.n_total

    @property
    def ended_early(self) -> bool:
        """Whether the user or a callback ended the training of this round."""
        return self.status in ENDED_EARLY

    def describe(self) -> str:
        """Describe the round in one sentence, as ``verbose=1`` prints it.

        The loss jumps after dense training because the penalty changes, so the line names it.
        """
        line = f"round {self.round:2d}: {self.n_weights} weights left ({self.sparsity:.1%} deleted)"
        if self.round:
            line += f", loss with retrain_alpha {self.loss_before:.5f}"
            line += f" -> deleted {self.loss_after_deletion:.5f}"
            if np.isfinite(self.predicted_increase):
                line += f" (predicted {self.loss_before + self.predicted_increase:.5f})"
            line += f" -> retrained {self.loss_after_retraining:.5f} in {self.n_iter} iterations"
            line += f" with alpha {self.alpha:.3g}"
            if self.cycles:
                line += f", {len(self.cycles)} cycles of regrowth"
        else:
            line += (
                f", loss with alpha {self.loss_after_retraining:.5f} after {self.n_iter} iterations"
            )
        if np.isfinite(self.validation_score):
            line += f", validation score {self.validation_score:.4f}"
        if self.verdict:
            line += f", {self.verdict}"
        if not self.within_tol:
            line += ": worse than prune_tol allows"
        return line


@dataclass(frozen=True, eq=False)
class Step:
    """The network after a round, the training that led to it, and the numbers of the round."""

    pruned: PrunedNetwork
    state: TrainingState
    round: Round
