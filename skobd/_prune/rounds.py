"""Records of what a round, and the cycles of regrowth within it, did: numbers only."""

from dataclasses import dataclass

import numpy as np

from .._train.state import Status


@dataclass(frozen=True)
class Cycle:
    """A cycle of regrowth: as many deleted as revived, then retrained.

    Attributes
    ----------
    n_exchanged : int
    predicted_increase, predicted_decrease : float
        Of the objective, by the deletion and by the revival.
    loss_after_retraining : float
    n_iter : int
    is_best : bool
        Whether it gave the best network of the level so far.
    """

    n_exchanged: int
    predicted_increase: float
    predicted_decrease: float
    loss_after_retraining: float = np.nan
    n_iter: int = 0
    is_best: bool = False


@dataclass(frozen=True, kw_only=True)
class Round:
    """The numbers of a round, or of dense training (round 0).

    Attributes
    ----------
    round : int
    n_weights, n_total : int
        Prunable parameters that survive, and those of the dense network.
    n_left : int
        Surviving weights, units or inputs, whatever is deleted.
    sparsity : float
        Fraction of the prunable parameters deleted.
    loss_before, loss_after_deletion, loss_after_retraining : float
        Objective on the training data, with the penalty of retraining; of the dense network only
        the last, with its own.
    predicted_increase : float
        Increase by the deletion that the criterion predicted; NaN if it predicts none.
    n_iter : int
        Epochs or iterations of (re)training, those of the cycles included.
    validation_loss, validation_score : float
        NaN without validation data.
    loss : float
        Objective as the solver last saw it.
    status : Status
    message : str
        How the (re)training ended; see `SolverResult`.
    cycles : tuple of Cycle
    within_tol : bool
        False for the one round that is worse than ``prune_tol`` allows; it is the last.
    """

    round: int
    n_weights: int
    n_total: int
    n_left: int
    sparsity: float
    loss_before: float
    predicted_increase: float
    loss_after_deletion: float
    loss_after_retraining: float
    n_iter: int
    validation_loss: float
    validation_score: float
    loss: float
    status: Status
    message: str
    cycles: tuple[Cycle, ...] = ()
    within_tol: bool = True

    @property
    def ended_early(self) -> bool:
        """Whether the user or a callback ended the training of this round."""
        return self.status in (Status.INTERRUPTED, Status.STOPPED)

    def describe(self) -> str:
        """One line, as ``verbose=1`` prints it."""
        line = f"round {self.round:2d}: {self.n_weights} weights left ({self.sparsity:.1%} deleted)"
        if self.round:
            line += f", loss {self.loss_before:.5f} -> deleted {self.loss_after_deletion:.5f}"
            if np.isfinite(self.predicted_increase):
                line += f" (predicted {self.loss_before + self.predicted_increase:.5f})"
            line += f" -> retrained {self.loss_after_retraining:.5f} in {self.n_iter} iterations"
            if self.cycles:
                line += f", {len(self.cycles)} cycles of regrowth"
        else:
            line += f", loss {self.loss_after_retraining:.5f} after {self.n_iter} iterations"
        if np.isfinite(self.validation_score):
            line += f", validation score {self.validation_score:.4f}"
        if not self.within_tol:
            line += ": worse than prune_tol allows, the round is undone"
        return line
