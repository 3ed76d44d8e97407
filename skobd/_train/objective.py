"""The training objective over row blocks.

    E(theta) = (1/S) sum_n s_n loss(y_n, f(x_n; theta)) + alpha / (2 S) ||W||^2,

with S the sum of the sample weights s_n and W the weights without intercepts, as in scikit-learn.
Rows are visited in blocks that fit the cache, so memory does not grow with the data.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._chunks import count_chunks, row_blocks, split_evenly
from .._net.losses import Loss
from .._net.network import Array, Network, multiply_transposed
from .._threads import run_chunks
from .penalty import Penalty
from .rows import LazyRows, gather, largest

_MAX_CHUNKS = 8
_MIN_CHUNK_ROWS = 96
# Elements of the widest activation in a block: half a megabyte in double precision.
_BLOCK_ELEMENTS = 2**16
_MIN_BLOCK_ROWS, _MAX_BLOCK_ROWS = 256, 2048

Where = slice | NDArray[np.intp]


class Sizes(NamedTuple):
    """Sizes into which work is divided; they change the results only by rounding.

    Attributes
    ----------
    chunk_multiply_adds : float
        Multiply-adds from which a chunk is worth a thread, approximately.
    block_rows : int or None
        Rows visited at a time; None for as many as fit the cache.
    """

    chunk_multiply_adds: float = 1.5e7
    block_rows: int | None = None


class Block(NamedTuple):
    """The data of some rows.

    Attributes
    ----------
    X : {ndarray, CSR matrix} of shape (n_rows, n_inputs)
    Y : ndarray of shape (n_rows, n_outputs)
    sample_weight : ndarray of shape (n_rows,) or None
    first_row : int
        Index of the first of them among all rows; 0 for rows of a minibatch.
    """

    X: Any
    Y: Array
    sample_weight: Array | None
    first_row: int = 0


class Workspace:
    """Buffers of one chunk, made once and used for every block."""

    def __init__(self, network: Network, n_rows: int, dtype: Any) -> None:
        self.n_rows = n_rows
        self.activations = network.buffers(n_rows, dtype)
        self.deltas = network.buffers(n_rows, dtype)[:-1]
        self.total = np.empty(network.n_parameters, dtype=dtype)
        self.scratch = np.empty(network.n_parameters, dtype=dtype)
        self._network, self._dtype = network, dtype
        self._inputs: Array | None = None

    def gather(self, X: Array | LazyRows, rows: NDArray[np.intp]) -> Array:
        """Copy rows of ``X`` into a reused buffer, and return it."""
        if self._inputs is None:
            self._inputs = np.empty((self.n_rows, X.shape[1]), dtype=X.dtype)
        out = self._inputs[: len(rows)]
        gather(X, rows, out)
        return out


# kernel(block, workspace, out): returns its contribution to a sum, and writes (never adds) its
# contribution to a theta-shaped sum into `out`.
Kernel = Callable[[Block, Workspace, Array], float]


class Objective:
    """Value and derivatives of the training objective for one data set.

    Parameters
    ----------
    network : Network
    loss : Loss
    X : {ndarray, CSR matrix, LazyRows} of shape (n_samples, n_inputs)
    Y : ndarray of shape (n_samples, n_outputs)
        Encoded targets.
    sample_weight : ndarray of shape (n_samples,) or None
    alpha : float
        Strength of the squared penalty on the weights.
    sizes : Sizes, default=Sizes()
    penalised_fraction : float, default=1.0
        Fraction of the rows that share one penalty; for stochastic solvers those of a minibatch.

    Attributes
    ----------
    total_weight : float
        Sum of the sample weights, by which losses are divided.
    penalty_weight : float
        Divisor of the penalty over all rows. As in scikit-learn every minibatch has the whole
        penalty, so that over all rows stochastic solvers minimise the mean loss plus
        ``alpha / (2 S) ||W||^2``, with S the weight of a minibatch.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        X: Any,
        Y: Array,
        sample_weight: Array | None = None,
        alpha: float = 0.0,
        sizes: Sizes = Sizes(),
        penalised_fraction: float = 1.0,
    ) -> None:
        self.network, self.loss = network, loss
        self.X, self.Y, self.sample_weight = X, Y, sample_weight
        self.alpha, self.sizes = alpha, sizes
        self.penalty = Penalty(network, alpha)
        self.n_samples = X.shape[0]
        self.penalised_fraction = penalised_fraction
        self.total_weight = self.weight_of(slice(None))
        self.penalty_weight = self.total_weight * penalised_fraction
        self._workspaces: list[Workspace] = []

    def with_alpha(self, alpha: float) -> "Objective":
        """Return the objective with another strength of the penalty."""
        if alpha == self.alpha:
            return self
        return self.replaced(alpha=alpha)

    def replaced(self, **changes: Any) -> "Objective":
        """Return the objective with other arguments."""
        names = ("network", "loss", "X", "Y", "sample_weight", "alpha", "sizes")
        own = {name: getattr(self, name) for name in (*names, "penalised_fraction")}
        return Objective(**own | changes)

    def thinned(self, n_rows: int) -> "Objective":
        """Return the objective over at most ``n_rows`` evenly spaced rows."""
        step = -(-self.n_samples // n_rows)
        if step == 1:
            return self
        rows = slice(None, None, step)
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return self.replaced(
            X=self.X[rows], Y=self.Y[rows], sample_weight=weight, alpha=self.alpha / step
        )

    @property
    def dtype(self) -> np.dtype:
        """Floating type of the data and of everything computed from it."""
        return self.X.dtype

    @cached_property
    def _largest_input(self) -> float:
        return largest(self.X)

    @property
    def multiply_adds_per_row(self) -> int:
        """Multiply-adds of one forward pass and one backward pass for one row."""
        return 3 * self.network.n_parameters

    def value(self, theta: Array) -> float:
        """Compute the objective at ``theta`` (n_parameters,)."""
        layers = self.network.layers(theta)

        def kernel(block: Block, workspace: Workspace, out: Array) -> float:
            raw = self.network.forward(layers, block.X, workspace.activations)[-1]
            return self.loss.value(raw, block.Y, block.sample_weight)

        value, _ = self.accumulate(kernel, wants_total=False)
        return value / self.total_weight + self.penalty_at(theta)

    def penalty_at(self, theta: Array) -> float:
        """Compute the penalty that is part of `value`."""
        return self.penalty.value(theta, self.penalty_weight)

    def is_finite_at(self, theta: Array) -> bool:
        """Return whether the objective is finite; a bound may spare the pass over the data."""
        largest = float(np.finfo(self.dtype).max)
        safe = np.log(largest) if self.loss.out_activation == "exp" else largest**0.25
        with np.errstate(over="ignore", invalid="ignore"):
            if self.network.output_bound(theta, self._largest_input) < safe:
                return True
            return bool(np.isfinite(self.value(theta)))

    def value_and_gradient(self, theta: Array, rows: Where = slice(None)) -> tuple[float, Array]:
        """Compute the objective and its gradient over all rows or a minibatch of them.

        Over a minibatch S is the weight of its rows, as in scikit-learn.

        Returns
        -------
        value : float
        gradient : ndarray of shape (n_parameters,)
            A buffer that the next call overwrites.
        """
        weight = self.weight_of(rows)
        kernel = self._gradient_kernel(theta, 1 / weight)
        value, gradient = self.accumulate(kernel, rows)
        shared = self.penalty_weight if isinstance(rows, slice) else weight
        self.penalty.add_gradient(theta, gradient, shared)
        return value / weight + self.penalty.value(theta, shared), gradient

    def accumulate(
        self, kernel: Kernel, rows: Where = slice(None), wants_total: bool = True
    ) -> tuple[float, Array]:
        """Sum a kernel over row blocks, in chunks that may run concurrently.

        Parameters
        ----------
        kernel : callable
            See `Kernel`.
        rows : slice(None) or ndarray of int
            All rows, visited block by block, or a minibatch.
        wants_total : bool, default=True
            Whether the kernel fills the theta-shaped sum.

        Returns
        -------
        value : float
        total : ndarray of shape (n_parameters,)
            A buffer that the next call overwrites.
        """
        chunks = self._chunks(rows)
        n_rows = max(_n_rows(rows) for chunk in chunks for rows in chunk)
        workspaces = self._get_workspaces(len(chunks), n_rows)
        calls = [
            itertools.starmap(kernel, self._blocks(chunk, workspace, wants_total))
            for chunk, workspace in zip(chunks, workspaces, strict=True)
        ]
        value = sum(run_chunks(sum, calls))
        total = workspaces[0].total
        if wants_total:
            for workspace in workspaces[1:]:
                total += workspace.total
        return value, total

    def _gradient_kernel(self, theta: Array, scale: float) -> Kernel:
        """Make the kernel of the gradient of ``scale`` times the summed losses."""
        network, layers = self.network, self.network.layers(theta)

        def kernel(block: Block, workspace: Workspace, out: Array) -> float:
            activations = network.forward(layers, block.X, workspace.activations)
            # dloss/da of the output units replaces the raw output.
            deltas = [*(d[: block.X.shape[0]] for d in workspace.deltas), activations[-1]]
            value = self.loss.value_and_gradient(deltas[-1], block.Y, block.sample_weight)
            deltas[-1] *= scale
            network.backward(layers, activations, deltas)
            for x, delta, gradient in zip(activations, deltas, network.layers(out), strict=False):
                multiply_transposed(x, delta, gradient[:-1])
                np.add.reduce(delta, axis=0, out=gradient[-1])
            return value

        return kernel

    def weight_of(self, rows: Where) -> float:
        """Sum the sample weights of some rows."""
        if self.sample_weight is None:
            return float(self.n_samples if isinstance(rows, slice) else len(rows))
        return float(self.sample_weight[rows].sum(dtype=np.float64))

    def _blocks(
        self, chunk: list[Where], workspace: Workspace, wants_total: bool
    ) -> Iterator[tuple[Block, Workspace, Array]]:
        """Yield the arguments of a kernel for each block; then add what it has written."""
        for position, rows in enumerate(chunk):
            out = workspace.scratch if position else workspace.total
            yield self._block(rows, workspace), workspace, out
            if position and wants_total:
                workspace.total += workspace.scratch

    def _block(self, rows: Where, workspace: Workspace) -> Block:
        if isinstance(rows, slice) or not isinstance(self.X, np.ndarray | LazyRows):
            X = self.X[rows]
        else:
            X = workspace.gather(self.X, rows)
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        first_row = rows.start or 0 if isinstance(rows, slice) else 0
        return Block(X, self.Y[rows], weight, first_row)

    def _chunks(self, rows: Where) -> list[list[Where]]:
        """Divide rows into chunks by their number and the shapes alone (see `_threads`)."""
        n_rows = self.n_samples if isinstance(rows, slice) else len(rows)
        n_chunks = count_chunks(
            n_rows,
            n_rows * self.multiply_adds_per_row,
            worth=self.sizes.chunk_multiply_adds,
            min_rows=_MIN_CHUNK_ROWS,
            most=_MAX_CHUNKS,
        )
        n_cached = _BLOCK_ELEMENTS // max(self.network.layer_sizes[1:])
        size = self.sizes.block_rows or min(max(n_cached, _MIN_BLOCK_ROWS), _MAX_BLOCK_ROWS)
        chunks = [row_blocks(chunk, size) for chunk in split_evenly(n_rows, n_chunks)]
        if isinstance(rows, slice):
            return [[*chunk] for chunk in chunks]
        return [[rows[block] for block in chunk] for chunk in chunks]

    def _get_workspaces(self, n_chunks: int, n_rows: int) -> list[Workspace]:
        """Return workspaces that are large enough, reused from call to call."""
        kept = self._workspaces
        if len(kept) < n_chunks or kept[0].n_rows < n_rows:
            self._workspaces = [
                Workspace(self.network, n_rows, self.dtype) for _ in range(n_chunks)
            ]
        return self._workspaces[:n_chunks]


def _n_rows(rows: Where) -> int:
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)
