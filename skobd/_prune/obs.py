"""Optimal Brain Surgeon: saliencies, greedy elimination, and correction of the survivors.

Deleting u_q from parameters u with Hessian H while the others adjust (Hassibi & Stork, 1993,
equation 5) raises a quadratic objective by

    u_q^2 / (2 [H^-1]_qq)      with the change      -u_q / [H^-1]_qq  H^-1 e_q      of all,

and [H^-1] loses a rank-one term. A criterion is a way to cut H into blocks, see `blocks`;
everything after the cut is shared. Blocks are scaled to a diagonal of ones, H = D C D, before
they are inverted: u_q becomes d_q u_q, and increases stay what they are. Deleting a set of
parameters D at once costs

    u_D^T ([H^-1]_DD)^-1 u_D / 2.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import get_blas_funcs
from scipy.linalg.lapack import dposv, dpotrf, dpotri, spotrf, spotri

from .._net.network import Array, Indices, Mask
from .._threads import run_chunks
from .blocks import MAX_DOUBLE, HessianBlock, HessianBlocks

_PANEL = 32
# Deleted rows and columns are cut out of the inverses when this fraction is left.
_CUT = 0.8
# One batch in so many tells how long sequences of deletions need to be. Its own are this many times
# as long as evenly spread deletions would need; the limit for the others is higher by a margin.
_ONE_IN, _SLACK, _MARGIN = 8, 1.5, 1.1


class Elimination(NamedTuple):
    """Greedy deletion sequences of the blocks of a batch, each of shape (n_blocks, n_steps).

    Attributes
    ----------
    positions : ndarray of int
    increases : ndarray
        Infinite from where a sequence ends.
    limit : float
        No sequence ends before the first increase above it, but for want of steps.
    """

    positions: Indices
    increases: Array
    limit: float


def obs_saliencies(blocks: HessianBlocks, theta: Array) -> Array:
    """u_q^2 / (2 [H^-1]_qq) for every surviving parameter, shape (n_parameters,)."""
    saliencies = np.zeros(theta.size)

    def work(i: int) -> float:
        for line, block in zip(blocks.batches[i], blocks.blocks(i), strict=True):
            positions = line[line >= 0]
            diagonal = blocks.damped_diagonal(block)
            inverse = _inverse(block, diagonal, np.float64)
            values = theta[positions].astype(np.float64) ** 2 * diagonal
            saliencies[positions] = values / (2 * np.einsum("aa->a", inverse))
        return 0.0

    run_chunks(work, range(len(blocks.batches)))
    return saliencies


def joint_saliencies(blocks: HessianBlocks, theta: Array, sets: Sequence[Indices]) -> Array:
    """Predicted increase by deleting all of a set, for each of some disjoint sets; (n_sets,).

    u_D^T ([H^-1]_DD)^-1 u_D / 2 with D what of the set is in a block, summed over the blocks.
    """
    set_of = np.full(theta.size, -1)
    for number, positions in enumerate(sets):
        set_of[positions] = number
    totals = np.zeros((len(blocks.batches), len(sets)))

    def work(i: int) -> float:
        batch = blocks.batches[i]
        if not (set_of[batch[batch >= 0]] >= 0).any():
            return 0.0
        for line, block in zip(batch, blocks.blocks(i), strict=True):
            positions = line[line >= 0]
            diagonal = blocks.damped_diagonal(block)
            values = theta[positions].astype(np.float64) * np.sqrt(diagonal)
            inverse = _inverse(block, diagonal, np.float64)
            for numbers, members in by_size(set_of[positions]):
                inner = inverse[members[:, :, np.newaxis], members[:, np.newaxis, :]]
                outer = values[members][:, :, np.newaxis]
                solution = np.linalg.solve(inner, outer)
                totals[i, numbers] += 0.5 * (outer * solution).sum(axis=(1, 2))
        return 0.0

    run_chunks(work, range(len(blocks.batches)))
    return totals.sum(axis=0)


def by_size(set_of: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Sets of the same size together: their numbers, (n,), and their members, (n, size).

    ``set_of`` has the number of the set of each element, -1 for none.
    """
    order = np.argsort(set_of, kind="stable")
    order = order[set_of[order] >= 0]
    numbers, starts, sizes = np.unique(set_of[order], return_index=True, return_counts=True)
    for size in np.unique(sizes):
        which = sizes == size
        yield numbers[which], order[starts[which, np.newaxis] + np.arange(size)]


def elimination_order(
    blocks: HessianBlocks, theta: Array, prunable: Mask, n_delete: int, slack: float = _SLACK
) -> tuple[Indices, Array]:
    """Merge the greedy sequences of all blocks by their predicted increase.

    Within a block the order is fixed by its sequence. Steps are therefore sorted by the running
    maximum of the increases in their block, which never puts a step before an earlier one. Some
    sequences, ``slack`` times as long as evenly spread deletions would need, tell up to which
    increase the others are wanted; what proves too short is computed anew.

    Returns
    -------
    order : ndarray of shape (at least n_delete,)
        Positions in ``theta``.
    increases : ndarray
        Predicted increase by each deletion, given the earlier ones in its block.
    """
    fraction = min(1.0, slack * n_delete / max(int(prunable.sum()), 1))
    sizes = [batch.shape[1] for batch in blocks.batches]
    some = [min(size, int(np.ceil(fraction * size)) + 1) for size in sizes]
    results: list[Elimination] = [None] * len(sizes)  # type: ignore[list-item]

    def extend(which: list[int], n_steps: list[int], limit: float) -> None:
        def work(k: int) -> float:
            i = which[k]
            results[i] = _eliminate(blocks, i, theta, prunable, n_steps[i], limit)
            return 0.0

        run_chunks(work, range(len(which)))

    samples = list(range(0, len(sizes), _ONE_IN))
    extend(samples, some, np.inf)
    # Every one of them stands for those that follow it.
    ends = [*samples[1:], len(sizes)]
    weights = [
        sum(batch.size for batch in blocks.batches[i:end]) / blocks.batches[i].size
        for i, end in zip(samples, ends, strict=True)
    ]
    limit = _MARGIN * _threshold([results[i] for i in samples], weights, n_delete)
    if np.isinf(slack):
        limit = np.inf
    others = [i for i in range(len(sizes)) if i % _ONE_IN]
    extend(others, some if np.isinf(limit) else sizes, limit)
    while True:
        # Longer sequences can only lower it, so no step beyond it is wanted.
        threshold = _threshold(results, [1.0] * len(results), n_delete)
        short = [i for i, result in enumerate(results) if _is_short(result, sizes[i], threshold)]
        if not short:
            break
        extend(short, sizes, threshold)
    keys = np.concatenate([_keys(result).ravel() for result in results])
    positions = np.concatenate([result.positions.ravel() for result in results])
    increases = np.concatenate([result.increases.ravel() for result in results])
    order = np.argsort(keys, kind="stable")
    order = order[np.isfinite(keys[order])]
    return positions[order], increases[order]


def corrected(blocks: HessianBlocks, theta: Array, deleted: Mask) -> tuple[Array, float]:
    """Adjust the survivors of each block to the deletion of a set of its parameters.

    With D deleted and S surviving,  u_S + H_SS^-1 H_SD u_D  minimises the increase.

    Returns
    -------
    theta : ndarray of shape (n_parameters,)
        Corrected; the deleted parameters are 0.
    increase : float
        d^T H d / 2 for the whole change d: exact where the objective is quadratic, its gradient
        is 0 and the blocks are its whole Hessian.
    """
    new = theta.astype(np.float64)

    def work(i: int) -> float:
        increase, batch = 0.0, blocks.batches[i]
        if not deleted[batch[batch >= 0]].any():
            return increase
        for line, block in zip(batch, blocks.blocks(i), strict=True):
            positions = line[line >= 0]
            out = deleted[positions]
            if not out.any():
                continue
            change = np.where(out, -new[positions], 0)
            stay = np.flatnonzero(~out)
            if stay.size:
                factors = blocks.damped_diagonal(block) ** -0.5
                matrix = block.scaled(factors, stay)
                np.einsum("aa->a", matrix)[...] = 1
                factors = factors[stay]
                right = -block.times(change)[stay]
                change[stay] = factors * _solved(matrix.astype(np.float64), factors * right)
            # A quadratic form of a positive semi-definite matrix, whatever rounding makes of it.
            increase += max(0.5 * float(change @ block.times(change)), 0.0)
            new[positions] = np.where(out, 0, new[positions] + change)
        return increase

    increase = sum(run_chunks(work, range(len(blocks.batches))))
    return new.astype(theta.dtype), increase


def _eliminate(
    blocks: HessianBlocks, index: int, theta: Array, prunable: Mask, n_steps: int, limit: float
) -> Elimination:
    """Delete parameter after parameter in every block of a batch at once.

    A block ends after ``n_steps``, or before the first increase above ``limit``.
    """
    batch = blocks.batches[index]
    running = _Running(blocks, index, theta, prunable)
    chosen = np.zeros((len(batch), n_steps), dtype=np.intp)
    increases = np.full((len(batch), n_steps), np.inf)
    with np.errstate(all="ignore"):  # of blocks that have ended
        for step in range(n_steps):
            q, increase = running.least(limit)
            which = np.flatnonzero(running.goes_on)
            if not which.size:
                break
            lines = running.lines[which]
            increases[lines, step] = increase[which]
            chosen[lines, step] = running.columns[which, q[which]]
            running.delete(q)
    return Elimination(np.take_along_axis(batch, chosen, axis=1), increases, limit)


class _Running:
    """The inverses of the blocks of a batch while parameter after parameter is deleted.

    An inverse is P - L^T L with one row of L for each deletion (a Cholesky factorisation of the
    inverse, pivoted by saliency); L is folded into P by one matrix product a panel.

    Attributes
    ----------
    lines : ndarray of shape (n_blocks,)
        Blocks of the batch that are still here.
    goes_on : ndarray of bool of shape (n_blocks,)
        Those of them that have not ended; the others leave when a panel is full.
    columns : ndarray of shape (n_blocks, width)
        Which of their parameters are still in the inverses.
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
            inverse[:n, :n] = _inverse(block, diagonal, dtype)
            # Padding, that nothing has anything to do with.
            inverse[range(n, size), range(n, size)] = 1
            values[:n] = theta[line[:n]] * np.sqrt(diagonal)
        self._is_fixed = (batch < 0) | ~prunable[batch]
        self._diagonal = np.einsum("gaa->ga", self._inverse).astype(np.float64)
        self._floor = np.finfo(dtype).eps * self._diagonal
        self._panel = np.zeros((n_blocks, _PANEL, size), dtype=dtype)
        self._is_left = np.ones((n_blocks, size), dtype=bool)
        self._n_rows = 0
        self.lines, self.goes_on = np.arange(n_blocks), np.ones(n_blocks, dtype=bool)
        self.columns = np.tile(np.arange(size), (n_blocks, 1))

    def least(self, limit: float) -> tuple[Indices, Array]:
        """What costs least in every block, and how much; above the limit the block ends."""
        saliencies = np.square(self._values)
        saliencies /= self._diagonal
        np.copyto(saliencies, np.inf, where=self._is_fixed)
        q = saliencies.argmin(axis=1)
        increase = 0.5 * saliencies[np.arange(len(q)), q]
        self.goes_on &= np.isfinite(increase) & (increase <= limit)
        return q, increase

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
        """Take the panel into the inverses, and cut out what has ended or is deleted."""
        self._n_rows = 0
        if not self.goes_on.all():
            for name in ("_inverse", "_panel", "lines", *self._VECTORS):
                setattr(self, name, getattr(self, name)[self.goes_on])
            self.goes_on = self.goes_on[self.goes_on]
        n_left = int(self._is_left.sum(axis=1).max(initial=0))
        if n_left > _CUT * self._is_left.shape[1]:
            _subtract_squares(self._inverse, self._panel)
            return
        # Every block has lost as many.
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
    """``P -= L^T L`` for each P and L, in place."""
    if not inverses.size:
        return  # BLAS refuses what is empty
    gemm = get_blas_funcs("gemm", dtype=inverses.dtype)
    for inverse, panel in zip(inverses, panels, strict=True):
        gemm(-1.0, panel.T, panel.T, beta=1.0, c=inverse.T, trans_b=True, overwrite_c=True)


def _keys(result: Elimination) -> Array:
    return np.maximum.accumulate(result.increases, axis=1)


def _threshold(results: list[Elimination], weights: list[float], n: int) -> float:
    """The increase up to which ``n`` deletions go; each one counts as many times as weighed."""
    keys = [_keys(result) for result in results]
    counts = np.repeat(weights, [key.size for key in keys])
    all_keys = np.concatenate([key.ravel() for key in keys])
    order = np.argsort(all_keys, kind="stable")
    reached = np.searchsorted(np.cumsum(counts[order]), n - 1e-6)
    return np.inf if reached >= order.size else float(all_keys[order[reached]])


def _is_short(result: Elimination, size: int, threshold: float) -> bool:
    """Whether a sequence may end before the threshold that could go on."""
    if result.positions.shape[1] == size:
        return result.limit < threshold
    return bool((np.max(result.increases, axis=1, initial=-np.inf) <= threshold).any())


def _inverse(block: HessianBlock, diagonal: Array, dtype: Any) -> Array:
    """Inverse of the block, scaled to a diagonal of ones that damping is part of."""
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
    """Solution of a positive definite system, of which b >= a is valid."""
    _, solution, info = dposv(matrix.T, right, lower=1)
    _check_lapack(info)
    return solution


def _check_lapack(info: int) -> None:
    if info:
        raise np.linalg.LinAlgError(
            "A Hessian block could not be inverted, in spite of its damping: it holds values that "
            "are not finite, or of too different size. Standardise the input, or raise alpha."
        )
