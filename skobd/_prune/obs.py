"""Optimal Brain Surgeon: saliencies, greedy elimination, and correction of the survivors.

Deleting u_q from parameters u with Hessian H while the others adjust (Hassibi & Stork, 1993,
equation 5) raises a quadratic objective by

    u_q^2 / (2 [H^-1]_qq)      with the change      -u_q / [H^-1]_qq  H^-1 e_q      of all,

and [H^-1] loses a rank-one term. A criterion is a way to cut H into blocks, see `blocks`;
everything after the cut is shared. Blocks are scaled to a diagonal of ones, H = D C D, before
they are inverted: u_q becomes d_q u_q, and increases stay what they are. Deleting a set of
parameters D at once costs

    u_D^T ([H^-1]_DD)^-1 u_D / 2.

Where the gradient g is not 0, the survivors S take the Newton step -H_SS^-1 g_S as well: deletion
and step are one minimisation of the quadratic model (Singh & Alistarh, 2020, "WoodFisher",
appendix on WoodTaylor).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.linalg import get_blas_funcs
from scipy.linalg.lapack import dposv, dpotrf, dpotri, spotrf, spotri

from .._net.network import Array, Indices, Mask
from .._threads import run_chunks
from .blocks import MAX_DOUBLE, HessianBlock, HessianBlocks

# Deletions that are folded into the inverses by one matrix product.
_PANEL = 32
# Deleted rows and columns are cut out of the inverses when this fraction is left.
_SHRINK_AT = 0.8


def obs_saliencies(blocks: HessianBlocks, theta: Array) -> Array:
    """u_q^2 / (2 [H^-1]_qq) for every surviving parameter, shape (n_parameters,)."""
    saliencies = np.zeros(theta.size)

    def visit(_: int, positions: Indices, block: HessianBlock) -> float:
        diagonal = blocks.damped_diagonal(block)
        inverse = _invert(block, diagonal, np.float64)
        values = theta[positions].astype(np.float64) ** 2 * diagonal
        saliencies[positions] = values / (2 * np.einsum("aa->a", inverse))
        return 0.0

    _sum_over_blocks(blocks, visit, np.ones(theta.size, dtype=bool))
    return saliencies


def joint_saliencies(blocks: HessianBlocks, theta: Array, groups: Sequence[Indices]) -> Array:
    """Predicted increase by deleting all of a group, for each of some disjoint groups; (n_groups,).

    u_D^T ([H^-1]_DD)^-1 u_D / 2, with D the part of the group in a block, summed over the blocks.
    """
    group_of = numbers_of_groups(theta.size, groups)
    totals = np.zeros((len(blocks.batches), len(groups)))

    def visit(i: int, positions: Indices, block: HessianBlock) -> float:
        diagonal = blocks.damped_diagonal(block)
        values = theta[positions].astype(np.float64) * np.sqrt(diagonal)
        inverse = _invert(block, diagonal, np.float64)
        for numbers, members in by_size(group_of[positions]):
            inner = inverse[members[:, :, np.newaxis], members[:, np.newaxis, :]]
            outer = values[members][:, :, np.newaxis]
            solution = np.linalg.solve(inner, outer)
            totals[i, numbers] += 0.5 * (outer * solution).sum(axis=(1, 2))
        return 0.0

    _sum_over_blocks(blocks, visit, group_of >= 0)
    return totals.sum(axis=0)


def _sum_over_blocks(
    blocks: HessianBlocks, visit: Callable[[int, Indices, HessianBlock], float], where: Mask
) -> float:
    """Sum ``visit(i, positions, block)`` over the blocks of each batch i with any of ``where``."""

    def work(i: int) -> float:
        batch, total = blocks.batches[i], 0.0
        if where[batch[batch >= 0]].any():
            for line, block in zip(batch, blocks.blocks(i), strict=True):
                total += visit(i, line[line >= 0], block)
        return total

    return sum(run_chunks(work, range(len(blocks.batches))))


def numbers_of_groups(n_parameters: int, groups: Sequence[Indices]) -> Indices:
    """The number of the group of each parameter, -1 for none."""
    group_of = np.full(n_parameters, -1)
    for number, positions in enumerate(groups):
        group_of[positions] = number
    return group_of


def by_size(group_of: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Collect groups of the same size: their numbers, (n,), and their members, (n, size).

    ``group_of`` has the number of the group of each element, -1 for none.
    """
    order = np.argsort(group_of, kind="stable")
    order = order[group_of[order] >= 0]
    numbers, starts, sizes = np.unique(group_of[order], return_index=True, return_counts=True)
    for size in np.unique(sizes):
        which = sizes == size
        yield numbers[which], order[starts[which, np.newaxis] + np.arange(size)]


def elimination_order(blocks: HessianBlocks, theta: Array, prunable: Mask) -> tuple[Indices, Array]:
    """Merge the greedy sequences of all blocks by their predicted increase.

    Within a block the order is fixed by its sequence. Steps are therefore sorted by the running
    maximum of the increases in their block, which never puts a step before an earlier one.

    Returns
    -------
    order : ndarray of shape (n_prunable,)
        Positions in ``theta``; fewer where increases are not finite.
    increases : ndarray
        Predicted increase by each deletion, given the earlier ones in its block.
    """
    sequences: dict[int, tuple[Indices, Array]] = {}

    def work(i: int) -> float:
        sequences[i] = _eliminate(blocks, i, theta, prunable)
        return 0.0

    run_chunks(work, range(len(blocks.batches)))
    positions, increases, keys = [], [], []
    for i in range(len(blocks.batches)):
        positions.append(sequences[i][0].ravel())
        increases.append(sequences[i][1].ravel())
        keys.append(np.maximum.accumulate(sequences[i][1], axis=1).ravel())
    all_keys = np.concatenate(keys)
    order = np.argsort(all_keys, kind="stable")
    order = order[np.isfinite(all_keys[order])]
    return np.concatenate(positions)[order], np.concatenate(increases)[order]


def corrected(
    blocks: HessianBlocks, theta: Array, deleted: Mask, gradient: Array | None = None
) -> tuple[Array, float]:
    """Adjust the survivors of each block to the deletion of a set of its parameters.

    With D deleted and S surviving,  u_S + H_SS^-1 (H_SD u_D - g_S)  minimises the increase; the
    gradient g is 0 where none is given.

    Returns
    -------
    theta : ndarray of shape (n_parameters,)
        Corrected; the deleted parameters are 0.
    increase : float
        g^T d + d^T H d / 2 for the whole change d: exact where the objective is quadratic and the
        blocks are its whole Hessian.
    """
    new = theta.astype(np.float64)

    def visit(_: int, positions: Indices, block: HessianBlock) -> float:
        out = deleted[positions]
        slope = np.zeros(out.size) if gradient is None else gradient[positions].astype(np.float64)
        change = np.where(out, -new[positions], 0)
        # Without curvature a gradient says nothing about the length of a step.
        stay = np.flatnonzero(~out & (block.diagonal() > 0))
        if stay.size and (gradient is not None or out.any()):
            factors = blocks.damped_diagonal(block) ** -0.5
            matrix = block.scaled(factors, stay)
            np.einsum("aa->a", matrix)[...] = 1
            factors = factors[stay]
            right = -(block.times(change) + slope)[stay]
            change[stay] = factors * _solved(matrix.astype(np.float64), factors * right)
        new[positions] = np.where(out, 0, new[positions] + change)
        # A quadratic form of a positive semi-definite matrix, whatever rounding makes of it.
        return float(slope @ change) + max(0.5 * float(change @ block.times(change)), 0.0)

    every = np.ones(theta.size, dtype=bool)
    increase = _sum_over_blocks(blocks, visit, deleted if gradient is None else every)
    return new.astype(theta.dtype), increase


def _eliminate(
    blocks: HessianBlocks, index: int, theta: Array, prunable: Mask
) -> tuple[Indices, Array]:
    """Delete parameter after parameter in every block of a batch at once.

    Returns
    -------
    positions : ndarray of int of shape (n_blocks, size)
    increases : ndarray of shape (n_blocks, size)
        Infinite where nothing is left to delete, or nothing that costs a finite increase.
    """
    batch = blocks.batches[index]
    state = _EliminationState(blocks, index, theta, prunable)
    every, is_active = np.arange(len(batch)), np.ones(len(batch), dtype=bool)
    chosen = np.zeros(batch.shape, dtype=np.intp)
    increases = np.full(batch.shape, np.inf)
    with np.errstate(all="ignore"):  # in blocks that have ended
        for step in range(batch.shape[1]):
            q, increase = state.cheapest()
            is_active &= np.isfinite(increase)
            if not is_active.any():
                break
            increases[is_active, step] = increase[is_active]
            chosen[:, step] = state.columns[every, q]
            state.delete(q)
    return np.take_along_axis(batch, chosen, axis=1), increases


class _EliminationState:
    """The inverses of the blocks of a batch while parameter after parameter is deleted.

    An inverse is P - L^T L with one row of L for each deletion (a Cholesky factorisation of the
    inverse, pivoted by saliency); L is folded into P by one matrix product a panel. Blocks that
    have ended are carried along; their values have no meaning.

    Attributes
    ----------
    columns : ndarray of int of shape (n_blocks, width)
        The parameters of each block that are still in its inverse.
    """

    _VECTORS = ("_values", "_is_fixed", "_diagonal", "_floor", "_is_left", "columns")

    def __init__(self, blocks: HessianBlocks, index: int, theta: Array, prunable: Mask) -> None:
        batch = blocks.batches[index]
        n_blocks, size = batch.shape
        dtype = np.float32 if size > MAX_DOUBLE else np.float64
        self._inverse = np.zeros((n_blocks, size, size), dtype=dtype)
        self._values = np.zeros((n_blocks, size))
        for line, inverse, values, block in zip(
            batch, self._inverse, self._values, blocks.blocks(index), strict=True
        ):
            n = int((line >= 0).sum())
            diagonal = blocks.damped_diagonal(block)
            inverse[:n, :n] = _invert(block, diagonal, dtype)
            # Padding stands apart from all else.
            inverse[range(n, size), range(n, size)] = 1
            values[:n] = theta[line[:n]] * np.sqrt(diagonal)
        self._is_fixed = (batch < 0) | ~prunable[batch]
        self._diagonal = np.einsum("gaa->ga", self._inverse).astype(np.float64)
        self._floor = np.finfo(dtype).eps * self._diagonal
        self._panel = np.zeros((n_blocks, _PANEL, size), dtype=dtype)
        self._is_left = np.ones((n_blocks, size), dtype=bool)
        self._n_rows = 0
        self.columns = np.tile(np.arange(size), (n_blocks, 1))

    def cheapest(self) -> tuple[Indices, Array]:
        """Find the parameter of every block that costs least, and its predicted increase."""
        saliencies = np.square(self._values)
        saliencies /= self._diagonal
        np.copyto(saliencies, np.inf, where=self._is_fixed)
        q = saliencies.argmin(axis=1)
        return q, 0.5 * saliencies[np.arange(len(q)), q]

    def delete(self, q: Indices) -> None:
        """Delete a parameter of every block."""
        every, k = np.arange(len(q)), self._n_rows
        row = self._inverse[every, q]
        if k:
            row = (
                row - np.matmul(self._panel[every, :k, q][:, np.newaxis], self._panel[:, :k])[:, 0]
            )
        pivot = np.maximum(row[every, q], self._floor[every, q])
        root = np.sqrt(pivot).astype(row.dtype)
        row /= root[:, np.newaxis]
        self._panel[:, k] = row
        self._values -= row * (self._values[every, q] / root)[:, np.newaxis]
        row *= row
        self._diagonal -= row
        np.maximum(self._diagonal, self._floor, out=self._diagonal)
        self._values[every, q] = 0
        self._is_fixed[every, q], self._is_left[every, q] = True, False
        self._n_rows += 1
        if self._n_rows == _PANEL:
            self._fold()

    def _fold(self) -> None:
        """Fold the panel into the inverses, and cut out what is deleted if that is much."""
        self._n_rows = 0
        # All blocks that have not ended have lost the same number.
        n_left = int(self._is_left.sum(axis=1).min())
        if n_left > _SHRINK_AT * self._is_left.shape[1]:
            _subtract_squares(self._inverse, self._panel)
            return
        left = np.argsort(~self._is_left, axis=1, kind="stable")[:, :n_left]
        panel = np.take_along_axis(self._panel, left[:, np.newaxis], axis=2)
        inverse = np.empty((len(left), n_left, n_left), dtype=panel.dtype)
        for line, old, new in zip(left, self._inverse, inverse, strict=True):
            np.take(old[line], line, axis=1, out=new)
        _subtract_squares(inverse, panel)
        self._inverse, self._panel = inverse, panel
        for name in self._VECTORS:
            setattr(self, name, np.take_along_axis(getattr(self, name), left, axis=1))


def _subtract_squares(inverses: Array, panels: Array) -> None:
    """Subtract L^T L from each P, in place."""
    if not inverses.size:
        return  # BLAS refuses what is empty
    gemm = get_blas_funcs("gemm", dtype=inverses.dtype)
    for inverse, panel in zip(inverses, panels, strict=True):
        gemm(-1.0, panel.T, panel.T, beta=1.0, c=inverse.T, trans_b=True, overwrite_c=True)


def _invert(block: HessianBlock, diagonal: Array, dtype: Any) -> Array:
    """Invert a block that is damped, and scaled to a diagonal of ones."""
    matrix = block.scaled(diagonal**-0.5, slice(None))
    np.einsum("aa->a", matrix)[...] = 1
    # LAPACK reads columns: a lower triangle, of the transpose.
    half, info = matrix.T, 1
    if dtype == np.float32:
        # Its rounding is no more than that of the product in this precision.
        half, info = spotrf(matrix.T.astype(np.float32), lower=1, overwrite_a=1)
    if info:
        half, info = dpotrf(matrix.T, lower=1)
        _check_lapack(info)
    half, info = (spotri if dtype == np.float32 else dpotri)(half, lower=1, overwrite_c=1)
    _check_lapack(info)
    inverse = half.T
    for start in range(0, len(inverse), _PANEL):
        panel, stop = slice(start, start + _PANEL), start + _PANEL
        inverse[stop:, panel] = inverse[panel, stop:].T
        corner = np.triu(inverse[panel, panel])
        inverse[panel, panel] = corner + np.triu(corner, 1).T
    return inverse


def _solved(matrix: Array, right: Array) -> Array:
    """Solve a positive definite system, of whose matrix only the upper triangle is valid."""
    _, solution, info = dposv(matrix.T, right, lower=1)
    _check_lapack(info)
    return solution


def _check_lapack(info: int) -> None:
    if info:
        raise np.linalg.LinAlgError(
            "A Hessian block could not be inverted, in spite of its damping: it holds values that "
            "are not finite, or of too different size. Standardise the input, or raise alpha."
        )
