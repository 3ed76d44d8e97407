"""Minibatches of an epoch and the result of an epoch, common to both kinds of steps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._chunks import count_chunks
from .._net.network import Array, Indices
from .objective import Objective

_MIN_CHUNK_ROWS = 96
# Every chunk packs the matrices of its products again: two cost 5 % of all work, eight 30 %.
_MAX_CHUNKS = 4


def chunks_of_batch(objective: Objective, batch_size: int, worth: float) -> int:
    """Return the number of chunks of a step; each has ``worth`` multiply-adds of a phase."""
    return count_chunks(
        batch_size,
        2 * batch_size * objective.network.n_parameters,
        worth=worth,
        min_rows=_MIN_CHUNK_ROWS,
        most=_MAX_CHUNKS,
    )


@dataclass(frozen=True)
class Batches:
    """Minibatches of the rows in one order; the last one may be smaller.

    Attributes
    ----------
    order : ndarray of int of shape (n_samples,)
    edges : ndarray of int of shape (n_batches + 1,)
        Starts of the batches in the order, and the end of the last one.
    sizes, weights : ndarray of shape (n_batches,), float64
        Number and total weight of the rows of each.
    """

    order: Indices
    edges: Indices
    sizes: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, objective: Objective, order: Indices, batch_size: int) -> "Batches":
        """Cut the rows into batches."""
        starts = np.arange(0, len(order), batch_size)
        edges = np.append(starts, len(order))
        sizes = np.diff(edges).astype(np.float64)
        weights = sizes
        if objective.sample_weight is not None:
            weights = np.add.reduceat(objective.sample_weight[order], starts, dtype=np.float64)
        return cls(order, edges, sizes, weights)

    def __len__(self) -> int:
        return len(self.sizes)

    def rows(self) -> list[Indices]:
        """Return the rows of each batch."""
        return np.split(self.order, self.edges[1:-1])

    def mean(self, losses: Array, squares: Array, alpha: float) -> float:
        """Return the mean objective of the batches, weighted by their numbers of rows.

        Parameters
        ----------
        losses, squares : ndarray of shape (n_chunks, n_batches)
            Summed losses, and squared norms of the weights.
        alpha : float
            Strength of the penalty.
        """
        values = (losses.sum(axis=0) + 0.5 * alpha * squares.sum(axis=0)) / self.weights
        return float(np.dot(values, self.sizes)) / len(self.order)
