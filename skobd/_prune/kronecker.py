"""A Hessian of Kronecker factors, with one block for each layer.

For the weights W (fan_in, fan_out) of a layer with inputs x (the last of them the intercept's 1)
and pre-activations a,

    H  =  A (x) S,       A = mean of x x^T,       S = mean of d2loss/da da^T

(Martens & Grosse, 2015, "Optimizing neural networks with Kronecker-factored approximate
curvature"). If the survivors are corrected (Hassibi & Stork, 1993, equation 5), deleting
the weight W_ji, or all weights out of the inputs j in D of the layer, raises the objective by

    W_ji^2 / (2 [A^-1]_jj [S^-1]_ii),        trace(W_D^T ([A^-1]_DD)^-1 W_D S) / 2.

The second accounts for units of a layer that act together, and for inputs that others can replace.
Inputs are deleted one after the other: the second of two equal ones has a high saliency once the
first is deleted. The survivors are not corrected, but retrained.

Rows are weighted in A by the square root of their curvature. With equal weights, rows that are
fitted perfectly would count fully; with the curvature itself, only the few near a boundary would.
benchmarks/features.py has measurements.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._net.network import Array, Indices, backpropagate
from .blocks import draw_rows
from .curvature import output_factors
from .deletion_problem import DeletionProblem, check_no_overflow
from .obs import by_size, numbers_of_groups

# Most rows that estimate the factors; a seeded subsample of larger data.
MAX_ROWS = 5000
# Added to the diagonals, as a fraction of their means, because the factors are singular if inputs
# are collinear or classes are separated perfectly.
_FACTOR_DAMPING = 1e-3
_TINY = np.finfo(np.float64).tiny ** 0.25


class LayerFactors(NamedTuple):
    """Factors of the Hessian of one layer, over the inputs that have any weight left.

    Attributes
    ----------
    inputs : ndarray of int of shape (n_inputs,)
        Indices of the inputs.
    weights : ndarray of shape (n_inputs, fan_out)
    A_inv : ndarray of shape (n_inputs, n_inputs)
        A^-1 without the row of the intercept.
    S : ndarray of shape (fan_out, fan_out)
    """

    inputs: Indices
    weights: Array
    A_inv: Array
    S: Array


def kronecker_layers(problem: DeletionProblem) -> list[LayerFactors]:
    """Compute the factors of every layer, in double precision."""
    network, objective, layers = problem.network, problem.objective, []
    block, weight = draw_rows(objective, problem.rng, MAX_ROWS)
    activations = network.forward(
        network.layers(problem.theta),
        block.X,
        network.buffers(block.X.shape[0], problem.theta.dtype),
    )
    objective.loss.inverse_link(activations[-1])
    fraction = weight / weight.sum()
    root = np.sqrt(fraction)[:, np.newaxis].astype(problem.theta.dtype)
    row_curvatures = [np.zeros(len(fraction)) for _ in activations[1:]]
    S = [np.zeros((n, n)) for n in network.layer_sizes[1:]]
    ridge = objective.penalty.decay(objective.penalty_weight)
    with np.errstate(over="ignore", invalid="ignore"):
        for index, delta in _output_derivatives(problem, activations, block.first_row):
            row_curvatures[index] += np.einsum("ni,ni->n", delta, delta, dtype=np.float64)
            delta = delta * root
            S[index] += delta.T @ delta
        for index, weights in enumerate(network.coefs(problem.theta)):
            check_no_overflow(S[index], "Second derivatives")
            inputs = np.flatnonzero(network.coefs(problem.mask)[index].any(axis=1))
            A = _weighted_moments(activations[index], inputs, fraction, row_curvatures[index])
            left = weights[inputs].astype(np.float64)
            layers.append(LayerFactors(inputs, left, _damped_inverse(A, S[index], ridge), S[index]))
    return layers


def _output_derivatives(
    problem: DeletionProblem, activations: list, first_row: int
) -> Iterator[tuple[int, Array]]:
    """Yield derivatives of the columns of F, where F F^T is the output Hessian, for each layer.

    They come as the index of a layer and the derivatives by its pre-activations, (n_rows, fan_out).
    """
    network = problem.network
    layers = network.layers(problem.theta)
    for delta in output_factors(problem.objective.loss, activations[-1], first_row):
        yield len(layers) - 1, delta
        for index in range(len(layers) - 1, 0, -1):
            upstream = np.empty_like(activations[index])
            backpropagate(delta, layers[index][:-1], upstream)
            network.f.multiply_by_derivative(upstream, activations[index])
            delta = upstream
            yield index - 1, delta


def _weighted_moments(x: Any, inputs: Indices, fraction: Array, curvature: Array) -> Array:
    """Return A, second moments of a layer's inputs, weighted by the root of the rows' curvature.

    Deleted inputs cannot replace others.
    """
    values = np.ones((x.shape[0], len(inputs) + 1), dtype=x.dtype)
    some = x[:, inputs]
    values[:, :-1] = some if isinstance(some, np.ndarray) else some.toarray()
    counts = np.sqrt(curvature)
    mean = float(fraction @ counts)
    counts = fraction * (counts / mean if mean > 0 else 1.0)
    values *= np.sqrt(counts)[:, np.newaxis].astype(x.dtype)
    moments: Array = (values.T @ values).astype(np.float64)
    check_no_overflow(moments, "Second moments of the inputs")
    return moments


def _damped_inverse(A: Array, S: Array, ridge: float) -> Array:
    """Return A^-1 without the intercept, damped and with the penalty.

    A (x) S + ridge is close to (A + ridge / s) (x) S with s the mean of S's diagonal.
    """
    diagonal = np.einsum("jj->j", A)
    scale = max(float(np.trace(S)) / len(S), _TINY)
    mean = float(diagonal[:-1].mean()) if len(diagonal) > 1 else 0.0
    added = _FACTOR_DAMPING * mean + min(ridge / scale, 1 / _TINY)
    diagonal[:-1] += max(added, _TINY)
    inverse: Array = np.linalg.inv(A)[:-1, :-1]
    return inverse


def kronecker_saliencies(problem: DeletionProblem) -> Array:
    """Compute W_ji^2 / (2 [A^-1]_jj [S^-1]_ii), shape (n_parameters,); 0 if deleted.

    Intercepts have u^2 / (2 [S^-1]_ii): their input is 1.
    """
    saliencies = np.zeros(problem.theta.size)
    network = problem.network
    for layer, theta, out in zip(
        kronecker_layers(problem),
        network.layers(problem.theta),
        network.layers(saliencies),
        strict=True,
    ):
        damped = layer.S.copy()
        np.einsum("ii->i", damped)[...] += _FACTOR_DAMPING * np.trace(damped) / len(damped) + _TINY
        by_unit = 0.5 / np.diag(np.linalg.inv(damped))
        by_input = np.zeros(len(theta))
        by_input[layer.inputs] = 1 / np.diag(layer.A_inv)
        by_input[-1] = 1.0
        out[...] = theta.astype(np.float64) ** 2 * by_unit * by_input[:, np.newaxis]
    saliencies = np.where(problem.mask, saliencies, 0).astype(problem.theta.dtype)
    check_no_overflow(saliencies, "Saliencies")
    return saliencies


def kronecker_group_order(problem: DeletionProblem, groups: Sequence[Indices], n: int) -> Indices:
    """Return the numbers of the groups in the order of their deletion, exact for the first ``n``.

    Parameters
    ----------
    problem : DeletionProblem
    groups : sequence of ndarray of int
        Positions of all outgoing weights of some inputs, or of a unit.
    n : int
        Number of groups to delete.
    """
    group_of = problem.network.layers(numbers_of_groups(problem.theta.size, groups))
    layers = [
        _LayerElimination(layer, numbers[layer.inputs].max(axis=1))
        for layer, numbers in zip(kronecker_layers(problem), group_of, strict=True)
    ]
    order: list[int] = []
    saliencies = np.zeros(len(groups))
    is_left = np.ones(len(groups), dtype=bool)
    for layer in layers:
        layer.update(saliencies)
    for _ in range(min(n, len(groups))):
        number = int(np.argmin(np.where(is_left, saliencies, np.inf)))
        order.append(number)
        is_left[number] = False
        for layer in layers:
            if layer.delete(number):
                layer.update(saliencies)
    left = np.flatnonzero(is_left)
    rest = left[np.argsort(saliencies[left], kind="stable")]
    return np.concatenate([np.array(order, dtype=np.intp), rest])


class _LayerElimination:
    """Successive deletion of groups of inputs of one layer.

    Parameters
    ----------
    layer : LayerFactors
    group_of : ndarray of int of shape (n_inputs,)
        The number of the group of each input, -1 for none.
    """

    def __init__(self, layer: LayerFactors, group_of: Indices) -> None:
        self._weights, self._A_inv = layer.weights.copy(), layer.A_inv.copy()
        self._products, self._group_of = layer.weights @ layer.S, group_of.copy()

    def update(self, saliencies: Array) -> None:
        """Enter trace(W_D^T ([A^-1]_DD)^-1 W_D S) / 2 of every group that is left."""
        for numbers, members in by_size(self._group_of):
            if members.shape[1] == 1:
                j = members[:, 0]
                squares = np.einsum("ji,ji->j", self._products[j], self._weights[j])
                saliencies[numbers] = 0.5 * squares / np.diag(self._A_inv)[j]
                continue
            inner = self._A_inv[members[:, :, np.newaxis], members[:, np.newaxis, :]]
            squares = self._products[members] @ self._weights[members].transpose(0, 2, 1)
            solved = np.linalg.solve(inner, squares)
            saliencies[numbers] = 0.5 * np.trace(solved, axis1=1, axis2=2)

    def delete(self, number: int) -> bool:
        """Delete a group; return whether any of it is in this layer."""
        gone = np.flatnonzero(self._group_of == number)
        if gone.size == 0:
            return False
        inner = self._A_inv[np.ix_(gone, gone)]
        solved = np.linalg.solve(inner, self._A_inv[gone])
        for values in (self._weights, self._products):
            values -= solved.T @ values[gone]
        self._A_inv -= self._A_inv[:, gone] @ solved
        self._group_of[gone] = -1
        return True
