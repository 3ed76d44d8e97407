"""Hessians cut into blocks over the surviving parameters, for Optimal Brain Surgeon.

``"unit_obs"`` keeps one block for each unit (its incoming weights and intercept),

    (1/S) sum_n s_n h_ni x_n x_n^T,    plus alpha/S for weights,

``"obs"`` keeps the whole Gauss-Newton matrix as one block.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from .._net.network import Array, Indices, Mask, backpropagate
from .._train.objective import Block, Objective
from .curvature import CURVATURES, output_factors
from .deletion_problem import DeletionProblem

# Most rows that estimate a Hessian; a seeded subsample of larger data.
MAX_HESSIAN_ROWS = 2000
# Elements of the blocks, and of the rows that they come from, in memory at a time.
BATCH_ELEMENTS = 2**22
# Products of larger blocks than this are in single precision: twice as fast, and their rounding
# is far below what is added to the diagonals.
MAX_DOUBLE = 256
# Beyond these sizes of inputs, sums of squares in single precision are not safe.
_SINGLE_RANGE = 1e-15, 1e15
# A unit whose curvature vanishes (saturated, dead, or fitted perfectly) or whose inputs are
# collinear has a singular block. A small fraction of each diagonal entry is added to it
# (Marquardt, 1963): whatever the scales of the inputs, the correlation matrix of the block then
# has eigenvalues of at least this fraction, so a Cholesky factorisation cannot fail, and the
# corrections stay short along directions that the rows do not determine. Being relative, it
# leaves the ranking of a diagonal block, which is OBD's, as it is.
_BLOCK_DAMPING = 1e-4
# A curvature of 0 has no scale; any positive value makes the deletion free.
_LEAST_DAMPING = np.finfo(float).tiny ** 0.25


class HessianBlock(Protocol):
    """A positive semi-definite matrix H (size, size)."""

    def diagonal(self) -> Array:
        """Return the diagonal, (size,), in double precision."""

    def times(self, vector: Array) -> Array:
        """Return H v, in double precision."""

    def scaled(self, factors: Array, kept: Indices | slice) -> Array:
        """Return f_a H_ab f_b over the kept rows and columns; only b >= a is valid."""


@dataclass(frozen=True)
class DenseBlock:
    """A matrix that is stored as it is."""

    matrix: Array

    def diagonal(self) -> Array:
        return np.einsum("aa->a", self.matrix).copy()

    def times(self, vector: Array) -> Array:
        return self.matrix @ vector

    def scaled(self, factors: Array, kept: Indices | slice) -> Array:
        matrix = self.matrix[kept][:, kept]
        matrix = matrix * factors[kept]
        matrix *= factors[kept][:, np.newaxis]
        return matrix


@dataclass(frozen=True)
class FactoredBlock:
    """H = c^2 Z^T Z + diag(ridge), from the rows with curvature.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, size)
        Z, in the precision of the products.
    scale : float
        c.
    ridge : ndarray of shape (size,)
    """

    rows: Array
    scale: float
    ridge: Array

    def diagonal(self) -> Array:
        squares = np.einsum("na,na->a", self.rows, self.rows, dtype=np.float64)
        return self.scale**2 * squares + self.ridge

    def times(self, vector: Array) -> Array:
        rows = self.rows.astype(np.float64, copy=False)
        return self.scale**2 * ((rows @ vector) @ rows) + self.ridge * vector

    def scaled(self, factors: Array, kept: Indices | slice) -> Array:
        rows = self.rows[:, kept]
        factors, ridge = factors[kept], self.ridge[kept]
        # NumPy lets BLAS compute only one triangle of this symmetric product.
        matrix, scales = rows.T @ rows, (self.scale * factors).astype(rows.dtype)
        matrix *= scales
        matrix *= scales[:, np.newaxis]
        np.einsum("aa->a", matrix)[...] += ridge * factors * factors
        return matrix


@dataclass(frozen=True)
class HessianBlocks:
    """A block-diagonal Hessian over the surviving parameters.

    Attributes
    ----------
    batches : list of ndarray of shape (n_blocks, size)
        Positions in ``theta`` of blocks of similar size; -1 pads the smaller ones at their ends.
    blocks : callable
        ``blocks(i)`` yields the undamped blocks of batch i, without padding.
    damping : float
        Addition to the diagonals, as a fraction of them.
    floor : float
        Addition to the diagonal of each block, as a fraction of its mean.
    """

    batches: list[Indices]
    blocks: Callable[[int], Iterator[HessianBlock]]
    damping: float = _BLOCK_DAMPING
    floor: float = 0.0

    def damped_diagonal(self, block: HessianBlock) -> Array:
        """Return the diagonal with damping, which makes the block safely invertible."""
        diagonal = block.diagonal()
        added = self.damping * diagonal + self.floor * diagonal.mean()
        return diagonal + np.maximum(added, _LEAST_DAMPING)


def unit_blocks(problem: DeletionProblem, batch_elements: int = BATCH_ELEMENTS) -> HessianBlocks:
    """Cut the Hessian into one block for each unit."""
    objective, network, theta = problem.objective, problem.network, problem.theta
    block, weight = draw_rows(objective, problem.rng)
    activations = network.forward(
        network.layers(theta), block.X, network.buffers(block.X.shape[0], theta.dtype)
    )
    objective.loss.inverse_link(activations[-1])
    kind = CURVATURES[problem.settings.curvature].positive
    h = CURVATURES[kind].of_units(objective, network.layers(theta), activations, block)
    positions = network.layers(np.arange(network.n_parameters))
    penalty = objective.penalty.curvature(objective.penalty_weight)
    batches, sources = [], []
    for x, h_l, layer, alive in zip(
        activations[:-1], h, positions, network.layers(problem.mask), strict=True
    ):
        inputs = _inputs(x, int(alive.sum(axis=0).max()))
        roots = np.sqrt(h_l * (weight / weight.sum())[:, np.newaxis])
        for units in _batches_of_units(alive, batch_elements):
            counts = alive[:, units].sum(axis=0)
            batch = np.full((len(units), counts.max()), -1)
            rows = [np.flatnonzero(alive[:, unit]) for unit in units]
            for line, unit, kept in zip(batch, units, rows, strict=True):
                line[: len(kept)] = layer[kept, unit]
            batches.append(batch)
            sources.append((inputs, roots[:, units], rows))

    def blocks(i: int) -> Iterator[HessianBlock]:
        inputs, roots, rows = sources[i]
        for root, kept, places in zip(roots.T, rows, batches[i], strict=True):
            yield _unit_block(inputs, root, kept, penalty[places[places >= 0]])

    return HessianBlocks(batches, blocks)


def _inputs(x: Any, size: int) -> Array:
    """Append a column of ones to a layer's inputs, in the precision of its blocks' products."""
    x = x if isinstance(x, np.ndarray) else x.toarray()
    largest = np.abs(x).max(axis=0, initial=0)
    smallest, most = _SINGLE_RANGE
    is_safe = ((largest < most) & ((largest > smallest) | (largest == 0))).all()
    dtype = np.float32 if size > MAX_DOUBLE and is_safe else np.float64
    inputs = np.ones((x.shape[0], x.shape[1] + 1), dtype=dtype)
    inputs[:, :-1] = x
    return inputs


def _unit_block(inputs: Array, root: Array, kept: Indices, ridge: Array) -> FactoredBlock:
    """Make the block of a unit, without rows of no curvature, as below a rectifier."""
    scale = float(root.max(initial=0))
    which = np.flatnonzero(root)
    rows = inputs[which] if len(kept) == inputs.shape[1] else inputs[np.ix_(which, kept)]
    if scale:
        rows *= (root[which, np.newaxis] / scale).astype(inputs.dtype)
    return FactoredBlock(rows, scale, ridge)


def full_block(problem: DeletionProblem, batch_elements: int = BATCH_ELEMENTS) -> HessianBlocks:
    """Make the Gauss-Newton matrix of all surviving parameters, plus alpha/S for weights."""
    objective, survivors = problem.objective, np.flatnonzero(problem.mask)
    block, weight = draw_rows(objective, problem.rng)

    @cache
    def matrix() -> DenseBlock:
        matrix = np.diag(objective.penalty.curvature(objective.penalty_weight)[survivors])
        roots = np.sqrt(weight / weight.sum())
        for z in jacobian_rows(objective, problem.theta, survivors, block.X, roots, batch_elements):
            matrix += z.T @ z
        return DenseBlock(matrix)

    batches = [survivors[np.newaxis]] if survivors.size else []
    return HessianBlocks(batches, lambda i: iter([matrix()]))


def draw_rows(
    objective: Objective, rng: np.random.RandomState, max_rows: int = MAX_HESSIAN_ROWS
) -> tuple[Block, Array]:
    """Draw the rows for a Hessian, with their weights."""
    n_samples = objective.n_samples
    rows = np.arange(n_samples)
    if n_samples > max_rows:
        rows = np.sort(rng.permutation(n_samples)[:max_rows])
    weight = objective.sample_weight
    weight = np.ones(len(rows)) if weight is None else weight[rows].astype(np.float64)
    return Block(objective.X[rows], objective.Y[rows], weight), weight


def jacobian_rows(
    objective: Objective,
    theta: Array,
    survivors: Indices,
    X: Any,
    roots: Array,
    batch_elements: int = BATCH_ELEMENTS,
    most_factors: int | None = None,
) -> Iterator[Array]:
    """Compute rows Z whose Z^T Z is the Gauss-Newton matrix of the summed loss.

    The matrix is over the survivors. ``roots`` (n_rows,) are the square roots of the weights of
    the rows of ``X``. Beyond ``most_factors`` outputs the matrix is estimated, see
    `output_factors`; None never estimates.
    """
    most = objective.network.layer_sizes[-1] if most_factors is None else most_factors
    step = max(1, batch_elements // objective.network.n_parameters)
    for start in range(0, len(roots), step):
        rows = slice(start, start + step)
        for jacobian in _output_jacobians(objective, theta, X[rows], start, most):
            yield jacobian[:, survivors] * roots[rows, np.newaxis]


def _output_jacobians(
    objective: Objective, theta: Array, X: Any, first_row: int, most_factors: int
) -> Iterator[Array]:
    """Yield the gradients by row, (n_rows, n_parameters), for each factor of the output Hessian."""
    network, layers = objective.network, objective.network.layers(theta)
    activations = network.forward(layers, X, network.buffers(X.shape[0], theta.dtype))
    objective.loss.inverse_link(activations[-1])
    inputs = [_inputs(x, 0) for x in activations[:-1]]
    for delta in output_factors(objective.loss, activations[-1], first_row, most_factors):
        gradients = []
        for index in range(len(layers) - 1, -1, -1):
            gradient = inputs[index][:, :, np.newaxis] * delta[:, np.newaxis, :]
            gradients.append(gradient.reshape(X.shape[0], -1))
            if index:
                upstream = np.empty_like(activations[index])
                backpropagate(delta, layers[index][:-1], upstream)
                network.f.multiply_by_derivative(upstream, activations[index])
                delta = upstream
        yield np.concatenate(gradients[::-1], axis=1)


def _batches_of_units(alive: Mask, batch_elements: int) -> Iterator[Indices]:
    """Divide the units of a layer into batches of similar size that fit the memory bound."""
    sizes = alive.sum(axis=0)
    units = np.argsort(-sizes, kind="stable")
    units = units[sizes[units] > 0]
    while len(units):
        size = int(sizes[units[0]])
        n_units = max(1, batch_elements * (1 + (size > MAX_DOUBLE)) // size**2)
        # Padding a much smaller block to the size of the largest would waste the products.
        n_units = min(n_units, int((sizes[units] >= 0.75 * size).sum()))
        yield units[:n_units]
        units = units[n_units:]
