"""Optimal Brain Surgeon: Hessian blocks, greedy elimination, and correction of the survivors.

Deleting u_q from parameters u with Hessian H while the others adjust (Hassibi & Stork, 1993,
equation 5) raises a quadratic objective by

    u_q^2 / (2 [H^-1]_qq)      with the change      -u_q / [H^-1]_qq  H^-1 e_q      of all,

and [H^-1] loses a rank-one term. A criterion is a way to cut H into blocks:
``"unit_obs"`` keeps one block for each unit (its incoming weights and intercept), ``"obs"`` the
whole Gauss-Newton matrix. Everything after the cut is shared.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg.lapack import dposv, dpotrf, dpotri

from .._net.network import Array, Indices, Mask, Network, backpropagate
from .._threads import run_chunks
from .._train.objective import Block, Objective
from .curvature import UNIT_CURVATURES
from .problem import Problem

# Rows that a Hessian is estimated from: a seeded subsample beyond this many.
MAX_HESSIAN_ROWS = 2000
# Largest block that is inverted: 128 MiB in double precision.
MAX_BLOCK = 4096
# Elements of the blocks, and of the rows they come from, that are worked on at a time.
_BATCH_ELEMENTS = 2**22
# Blocks are computed once and kept if all of them together are no larger than the largest one may.
_KEPT_ELEMENTS = MAX_BLOCK**2
_PANEL = 32
# A unit whose curvature vanishes (saturated, dead, or fitted perfectly) or whose inputs are
# collinear has a singular block. A small fraction of each diagonal entry is added to it
# (Marquardt, 1963): whatever the scales of the inputs, the correlation matrix of the block then
# has eigenvalues of at least this fraction, so a Cholesky factorisation cannot fail, and the
# corrections stay short along directions that the rows do not determine. Being relative, it
# leaves the ranking of a diagonal block, which is OBD's, as it is.
_DAMPING = 1e-4
# Where the curvature is 0 there is no scale; any positive one makes the deletion free.
_LEAST_DAMPING = np.finfo(float).tiny ** 0.25
# Of sequences of deletions, see `elimination_order`.
_SLACK = 1.5


@dataclass
class HessianBlocks:
    """A block-diagonal Hessian over the surviving parameters, block sizes padded within a batch.

    Attributes
    ----------
    batches : list of ndarray of shape (n_blocks, size)
        Positions in ``theta``; -1 pads.
    compute : callable
        ``compute(i)`` computes the undamped blocks of batch i, (n_blocks, size, size), with zero
        rows and columns for padding.
    damping : float
        What is added to the diagonals, as a fraction of them.
    kept_elements : int
        Most elements of all blocks together that are kept rather than computed anew.
    """

    batches: list[Indices]
    compute: Callable[[int], Array]
    damping: float = _DAMPING
    kept_elements: int = _KEPT_ELEMENTS
    _kept: dict[int, Array] = field(default_factory=dict)

    def damped(self, index: int) -> tuple[Array, Array]:
        """Blocks of a batch made safely invertible, and what that added to their diagonals."""
        blocks = self._blocks(index)
        diagonal = np.einsum("gaa->ga", blocks)
        damping = np.maximum(self.damping * diagonal, _LEAST_DAMPING)
        damping[self.batches[index] < 0] = 1
        diagonal += damping
        return blocks, damping

    def _blocks(self, index: int) -> Array:
        if sum(batch.size * batch.shape[1] for batch in self.batches) > self.kept_elements:
            return self.compute(index)
        if index not in self._kept:
            self._kept[index] = self.compute(index)
        return self._kept[index].copy()


class Elimination(NamedTuple):
    """Greedy deletion sequences of the blocks of a batch, each of shape (n_blocks, n_steps).

    ``increases`` is infinite where a block has nothing prunable left.
    """

    positions: Indices
    increases: Array


def unit_blocks(problem: Problem, batch_elements: int = _BATCH_ELEMENTS) -> HessianBlocks:
    """One block for each unit: (1/S) sum_n s_n h_ni x_n x_n^T, plus alpha/S for weights."""
    objective, network, theta = problem.objective, problem.network, problem.theta
    block, weight = _sample(objective, problem.rng)
    activations = network.forward(
        network.layers(theta), block.X, network.buffers(block.X.shape[0], theta.dtype)
    )
    objective.loss.inverse_link(activations[-1])
    h = UNIT_CURVATURES[_positive(problem.settings.curvature)](
        objective, network.layers(theta), activations, block
    )
    positions = network.layers(np.arange(network.n_parameters))
    batches, sources = [], []
    for x, h_l, layer, alive in zip(
        activations[:-1], h, positions, network.layers(problem.mask), strict=True
    ):
        inputs = np.vstack([_dense(x).T, np.ones(x.shape[0])]).astype(np.float64)
        roots = np.sqrt(h_l.T * (weight / weight.sum()))
        for units in _batches_of_units(alive, batch_elements):
            index, rows = _survivors_of(alive[:, units])
            batches.append(np.where(index, layer[rows, units[:, np.newaxis]], -1))
            sources.append((inputs, roots[units], rows, index))
    penalty = objective.penalty.curvature(objective.total_weight)

    def compute(i: int) -> Array:
        inputs, root, rows, index = sources[i]
        n_units, size = index.shape
        blocks = np.empty((n_units, size, size))
        for units in _slices(n_units, size * inputs.shape[1], batch_elements):
            z = inputs[rows[units]]
            z *= root[units, np.newaxis, :]
            z *= index[units, :, np.newaxis]
            np.matmul(z, z.transpose(0, 2, 1), out=blocks[units])
        np.einsum("gaa->ga", blocks)[...] += np.where(index, penalty[batches[i]], 0)
        return blocks

    return HessianBlocks(batches, compute)


def full_block(problem: Problem, batch_elements: int = _BATCH_ELEMENTS) -> HessianBlocks:
    """The Gauss-Newton matrix of all surviving parameters, plus alpha/S for weights."""
    objective, survivors = problem.objective, np.flatnonzero(problem.mask)

    def compute(i: int) -> Array:
        block, weight = _sample(objective, np.random.RandomState(seed))
        matrix = np.diag(objective.penalty.curvature(objective.total_weight)[survivors])
        root = np.sqrt(weight / weight.sum())
        for rows in _slices(len(weight), objective.network.n_parameters, batch_elements):
            for jacobian in _output_jacobians(objective, problem.theta, block.X[rows]):
                z = jacobian[:, survivors] * root[rows, np.newaxis]
                matrix += z.T @ z
        return matrix[np.newaxis]

    # The matrix may be computed more than once; always from the same rows.
    seed = problem.rng.randint(np.iinfo(np.int32).max)
    return HessianBlocks([survivors[np.newaxis]], compute)


BLOCKS: dict[str, Callable[[Problem], HessianBlocks]] = {"unit_obs": unit_blocks, "obs": full_block}


def check_block_size(criterion: str, network: Network, mask: Mask) -> None:
    """Raise ValueError where a Hessian block would be too large to invert."""
    of_unit = max(int(layer.sum(axis=0).max()) for layer in network.layers(mask))
    size, what = {
        "unit_obs": (of_unit, "a unit: the largest unit"),
        "obs": (int(mask.sum()), "the network: the network"),
    }.get(criterion, (0, ""))
    if size > MAX_BLOCK:
        instead = "unit_obs" if of_unit <= MAX_BLOCK else "obd"
        raise ValueError(
            f"criterion={criterion!r} inverts a Hessian over all parameters of {what} has {size} "
            f"of them, at most {MAX_BLOCK} are supported. Use criterion={instead!r}, or make the "
            "network smaller."
        )


def obs_saliencies(blocks: HessianBlocks, theta: Array) -> Array:
    """u_q^2 / (2 [H^-1]_qq) for every surviving parameter, shape (n_parameters,)."""
    saliencies = np.zeros(theta.size)

    def work(i: int) -> float:
        batch = blocks.batches[i]
        real = batch >= 0
        inverse = _inverted(blocks.damped(i)[0])
        values = theta[batch] ** 2 / (2 * np.einsum("gaa->ga", inverse))
        saliencies[batch[real]] = values[real]
        return 0.0

    run_chunks(work, len(blocks.batches))
    return saliencies


def elimination_order(
    blocks: HessianBlocks, theta: Array, prunable: Mask, n_delete: int, slack: float = _SLACK
) -> tuple[Indices, Array]:
    """Merge the greedy sequences of all blocks by their predicted increase.

    Within a block the order is fixed by its sequence. Steps are therefore sorted by the running
    maximum of the increases in their block, which never puts a step before an earlier one. The
    sequences are first computed ``slack`` times as long as evenly spread deletions would need,
    and to their ends only where that was too short.

    Returns
    -------
    order : ndarray of shape (at least n_delete,)
        Positions in ``theta``.
    increases : ndarray
        Predicted increase by each deletion, given the earlier ones in its block.
    """
    fraction = min(1.0, slack * n_delete / max(int(prunable.sum()), 1))
    n_batches = len(blocks.batches)
    results: list[Elimination] = [None] * n_batches  # type: ignore[list-item]

    def first(i: int) -> float:
        size = blocks.batches[i].shape[1]
        n_steps = min(size, int(np.ceil(fraction * size)) + 1)
        results[i] = _eliminate(blocks, i, theta, prunable, n_steps)
        return 0.0

    run_chunks(first, n_batches)
    # Longer sequences can only lower it, so no step beyond it is wanted.
    threshold = _nth_smallest(results, n_delete)
    short = [
        i
        for i, result in enumerate(results)
        if result.positions.shape[1] < blocks.batches[i].shape[1]
        and (np.max(result.increases, axis=1) <= threshold).any()
    ]

    def second(k: int) -> float:
        i = short[k]
        results[i] = _eliminate(blocks, i, theta, prunable, blocks.batches[i].shape[1], threshold)
        return 0.0

    run_chunks(second, len(short))
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
        batch = blocks.batches[i]
        gone = (batch >= 0) & deleted[batch]
        if not gone.any():
            return 0.0
        damped, damping = blocks.damped(i)
        increase = 0.0
        for positions, out, matrix, added in zip(batch, gone, damped, damping, strict=True):
            stay = np.flatnonzero(~out & (positions >= 0))
            out = np.flatnonzero(out)
            change = np.zeros(len(positions))
            change[out] = -new[positions[out]]
            change[stay] = _solved(
                matrix[np.ix_(stay, stay)], -matrix[np.ix_(stay, out)] @ change[out]
            )
            np.einsum("aa->a", matrix)[...] -= added
            # A quadratic form of a positive semi-definite matrix, whatever rounding makes of it.
            increase += max(0.5 * float(change @ (matrix @ change)), 0.0)
            new[positions[stay]] += change[stay]
            new[positions[out]] = 0
        return increase

    increase = sum(run_chunks(work, len(blocks.batches)))
    return new.astype(theta.dtype), increase


def _eliminate(
    blocks: HessianBlocks,
    index: int,
    theta: Array,
    prunable: Mask,
    n_steps: int,
    limit: float = np.inf,
) -> Elimination:
    """Delete parameter after parameter in every block of a batch at once.

    A block ends after ``n_steps``, or before the first increase above ``limit``. The running
    inverse is P - L^T L with one row of L for each deletion (a Cholesky factorisation of the
    inverse, pivoted by saliency); L is folded into P by one matrix product a panel.
    """
    batch = blocks.batches[index]
    inverse = _inverted(blocks.damped(index)[0])
    n_blocks, size = batch.shape
    every = np.arange(n_blocks)
    values = np.where(batch >= 0, theta[batch], 0).astype(np.float64)
    free = (batch >= 0) & prunable[batch]
    diagonal = np.einsum("gaa->ga", inverse).copy()
    floor = np.finfo(float).eps * diagonal
    panel = np.zeros((n_blocks, _PANEL, size))
    chosen = np.zeros((n_blocks, n_steps), dtype=np.intp)
    increases = np.full((n_blocks, n_steps), np.inf)
    active = np.ones(n_blocks, dtype=bool)
    for step in range(n_steps):
        k = step % _PANEL
        if step and not k:
            inverse -= np.matmul(panel.transpose(0, 2, 1), panel)
        saliencies = np.where(free, values * values / (2 * diagonal), np.inf)
        q = saliencies.argmin(axis=1)
        increase = saliencies[every, q]
        active &= np.isfinite(increase) & (increase <= limit)
        if not active.any():
            break
        increases[active, step], chosen[active, step] = increase[active], q[active]
        row = inverse[every, q]
        if k:
            row = row - np.matmul(panel[every, :k, q][:, np.newaxis], panel[:, :k])[:, 0]
        pivot = np.maximum(row[every, q], floor[every, q])
        values -= row * (active * values[every, q] / pivot)[:, np.newaxis]
        row *= (active / np.sqrt(pivot))[:, np.newaxis]
        panel[:, k] = row
        diagonal = np.maximum(diagonal - row * row, floor)
        values[every[active], q[active]] = 0
        free[every[active], q[active]] = False
    return Elimination(np.take_along_axis(batch, chosen, axis=1), increases)


def _keys(result: Elimination) -> Array:
    return np.maximum.accumulate(result.increases, axis=1)


def _nth_smallest(results: list[Elimination], n: int) -> float:
    keys = np.concatenate([_keys(result).ravel() for result in results])
    keys = keys[np.isfinite(keys)]
    return np.inf if n > keys.size else float(np.partition(keys, n - 1)[n - 1])


def _sample(objective: Objective, rng: np.random.RandomState) -> tuple[Block, Array]:
    """Rows for a Hessian, and their weights."""
    n_samples = objective.n_samples
    rows = np.arange(n_samples)
    if n_samples > MAX_HESSIAN_ROWS:
        rows = np.sort(rng.permutation(n_samples)[:MAX_HESSIAN_ROWS])
    weight = objective.sample_weight
    weight = np.ones(len(rows)) if weight is None else weight[rows].astype(np.float64)
    return Block(objective.X[rows], objective.Y[rows], weight), weight


def _output_jacobians(objective: Objective, theta: Array, X: Any) -> Iterator[Array]:
    """For each factor of the output Hessian its gradients by row, (n_rows, n_parameters)."""
    network, layers = objective.network, objective.network.layers(theta)
    activations = network.forward(layers, X, network.buffers(X.shape[0], theta.dtype))
    objective.loss.inverse_link(activations[-1])
    inputs = [np.column_stack([_dense(x), np.ones(X.shape[0])]) for x in activations[:-1]]
    for delta in objective.loss.factors(activations[-1]):
        gradients = []
        for index in range(len(layers) - 1, -1, -1):
            gradient = inputs[index][:, :, np.newaxis] * delta[:, np.newaxis, :]
            gradients.append(gradient.reshape(X.shape[0], -1))
            if index:
                upstream = np.empty_like(activations[index])
                backpropagate(delta, layers[index][:-1], upstream)
                network.f.multiply_by_derivative(upstream, activations[index])
                delta = upstream
        yield np.concatenate(gradients[::-1], axis=1).astype(np.float64)


def _inverted(matrices: Array) -> Array:
    """Inverses of positive definite matrices (n, size, size), in place."""
    if not matrices.size:
        return matrices
    for matrix in matrices:
        factor, info = dpotrf(matrix)
        upper, info_of_inverse = dpotri(factor, overwrite_c=True)
        _check_lapack(info or info_of_inverse)
        np.add(upper, np.triu(upper, 1).T, out=matrix)
    return matrices


def _solved(matrix: Array, right: Array) -> Array:
    """Solution of a positive definite system."""
    if not len(right):
        return right
    _, solution, info = dposv(matrix, right)
    _check_lapack(info)
    return solution


def _check_lapack(info: int) -> None:
    if info:
        raise np.linalg.LinAlgError(
            "A Hessian block could not be inverted, in spite of its damping: it holds values that "
            "are not finite, or of too different size. Standardise the input, or raise alpha."
        )


def _batches_of_units(alive: Mask, batch_elements: int) -> Iterator[Indices]:
    """Units of a layer in batches of similar size that fit the memory bound."""
    sizes = alive.sum(axis=0)
    units = np.argsort(-sizes, kind="stable")
    units = units[sizes[units] > 0]
    while len(units):
        size = int(sizes[units[0]])
        n_units = max(1, batch_elements // size**2)
        # Padding a much smaller block to the size of the largest would waste the products.
        n_units = min(n_units, int((sizes[units] >= 0.75 * size).sum()))
        yield units[:n_units]
        units = units[n_units:]


def _survivors_of(alive: Mask) -> tuple[Mask, Indices]:
    """For each column the positions of its True rows, padded to the longest."""
    counts = alive.sum(axis=0)
    rows = np.argsort(~alive, axis=0, kind="stable")[: counts.max()].T
    return np.arange(counts.max()) < counts[:, np.newaxis], rows


def _slices(n: int, n_elements: int, batch_elements: int) -> Iterator[slice]:
    """Slices of n items, ``n_elements`` elements each, that fit the memory bound."""
    step = max(1, batch_elements // max(n_elements, 1))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _positive(curvature: str) -> str:
    """The kind of unit curvature for a block, which must not be negative."""
    return "levenberg_marquardt" if curvature == "hessian" else curvature


def _dense(x: Any) -> Array:
    return x if isinstance(x, np.ndarray) else x.toarray()
