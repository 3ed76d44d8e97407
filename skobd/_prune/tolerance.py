"""The limit of ``prune_fraction="auto"``: pruning stops where the network gets worse.

On the training rows a network explains the difference between the loss of the best constant
prediction (the class frequencies, the mean) and its own, D2 = 1 - loss / loss of the constant,
without the penalty. A round is within the tolerance t if

    loss <= loss_0 + min(p, 2 a) + a,    a = t (loss of the constant - loss_0),

with loss_0 that of the dense network: at most a fraction t of what it explains may be lost. The
loss p due to the stronger penalty of retraining does not count, up to twice as much again. It is
the rise of the loss in the first retraining, which recovers from the deletion, so that only the
penalty raises the loss.

On validation data there is no such bias. Their score is within the tolerance if

    1 - score <= (1 + t) (1 - score_0).

Neither depends on the scale of the targets or of the sample weights.
"""

from typing import NamedTuple

import numpy as np

from .._train.objective import Objective
from .rounds import Round

# Largest loss due to the penalty of retraining, as a multiple of the loss that is allowed.
_MOST_BY_PENALTY = 2.0


class Tolerance(NamedTuple):
    """The limit by which the rounds of one pruning are judged.

    Attributes
    ----------
    tol : float
        ``prune_tol``.
    dense : Round
        Numbers of the dense network.
    dense_loss : float
        Its loss on the training rows, without the penalty.
    constant_loss : float
        Loss of the best constant prediction.
    by_penalty : float or None
        Rise of the loss due to the penalty of retraining; None before the first retraining.
    """

    tol: float
    dense: Round
    dense_loss: float
    constant_loss: float
    by_penalty: float | None = None

    @classmethod
    def of(cls, tol: float, objective: Objective, dense: Round, dense_loss: float) -> "Tolerance":
        """Begin with the dense network; ``objective`` has the training rows."""
        constant = objective.loss.of_constant(objective.Y, objective.sample_weight)
        return cls(tol, dense, dense_loss, constant)

    def after(self, deleted: float, retrained: float) -> "Tolerance":
        """Derive the loss due to the penalty from the losses around the first retraining."""
        if self.by_penalty is not None:
            return self
        return self._replace(by_penalty=max(0.0, retrained - deleted))

    def judge(self, record: Round, loss: float) -> Round:
        """Add to the numbers of a round of this training loss whether it is good enough."""
        if np.isfinite(self.dense.validation_score):
            dense = self.dense.validation_score
            score, least = record.validation_score, dense - self.tol * max(0.0, 1 - dense)
            # A score of NaN is no evidence, and stops nothing.
            return record.judged(not score < least, f"validation score {score:.4f}", least)
        allowed = self.tol * max(0.0, self.constant_loss - self.dense_loss)
        most = self.dense_loss + min(self.by_penalty or 0.0, _MOST_BY_PENALTY * allowed) + allowed
        d2, least = 1 - np.array([loss, most]) / (self.constant_loss or np.nan)
        return record.judged(bool(loss <= most), f"D2 {d2:.4f} on the training rows", least)
