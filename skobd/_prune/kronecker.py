"""A Hessian of Kronecker factors: one block for each layer, the same for all of its units.

For the weights W (fan_in, fan_out) of a layer with inputs x (the last of them the intercept's 1)
and pre-activations a,

    H  =  A (x) S,       A = mean of x x^T,       S = mean of d2loss/da da^T

(Martens & Grosse, 2015, "Optimizing neural networks with Kronecker-factored approximate
curvature"). What weight W_ji, or all that goes out of the sources j in D, costs if the survivors
make up for it (Hassibi & Stork, 1993, equation 5) is then

    W_ji^2 / (2 [A^-1]_jj [S^-1]_ii),        trace(W_D^T ([A^-1]_DD)^-1 W_D S) / 2.

The second knows that units of the next layer act together, and that an input that others can
replace is dispensable. Sources are deleted one after the other: of two that say the same, the
second becomes dear when the first has gone. The survivors are left to retraining.

In A rows count by the square root of their curvature: with equal weights rows that are fitted
perfectly say as much as any, with the whole curvature the few near a boundary say everything.
Measured by benchmarks/features.py.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._net.network import Array, Indices, Network, backpropagate
from .blocks import draw_rows
from .curvature import output_factors
from .obs import by_size
from .problem import Problem, check_no_overflow

# Rows that the factors are estimated from: a seeded subsample beyond this many.
MAX_ROWS = 5000
# Added to the diagonals, as a fraction of their means: where inputs are collinear, or classes are
# told apart perfectly, the factors are singular.
_DAMPING = 1e-3
_TINY = np.finfo(np.float64).tiny ** 0.25


class Layer(NamedTuple):
    """Factors of the Hessian of one layer, over the sources that have any weight left.

    Attributes
    ----------
    sources : ndarray of int of shape (n_sources,)
        Which they are.
    weights : ndarray of shape (n_sources, fan_out)
    inverse : ndarray of shape (n_sources, n_sources)
        A^-1 without the row of the intercept.
    outer : ndarray of shape (fan_out, fan_out)
        S.
    """

    sources: Indices
    weights: Array
    inverse: Array
    outer: Array


def kronecker_layers(problem: Problem) -> list[Layer]:
    """The factors of every layer, in double precision."""
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
    of_rows = [np.zeros(len(fraction)) for _ in activations[1:]]
    outer = [np.zeros((n, n)) for n in network.layer_sizes[1:]]
    ridge = objective.penalty.decay(objective.penalty_weight)
    with np.errstate(over="ignore", invalid="ignore"):
        for index, delta in _factors(problem, activations, block.first_row):
            of_rows[index] += np.einsum("ni,ni->n", delta, delta, dtype=np.float64)
            delta = delta * root
            outer[index] += delta.T @ delta
        for index, weights in enumerate(network.coefs(problem.theta)):
            check_no_overflow(outer[index], "Second derivatives")
            sources = np.flatnonzero(network.coefs(problem.mask)[index].any(axis=1))
            inner = _weighted_moments(activations[index], sources, fraction, of_rows[index])
            inverse = _inverse(inner, outer[index], ridge)
            left = weights[sources].astype(np.float64)
            layers.append(Layer(sources, left, inverse, outer[index]))
    return layers


def _factors(problem: Problem, activations: list, first_row: int) -> Iterator[tuple[int, Array]]:
    """Derivatives of the columns of F, where F F^T is the output Hessian, by pre-activations."""
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


def _weighted_moments(x: Any, sources: Indices, fraction: Array, curvature: Array) -> Array:
    """A: second moments of a layer's inputs, where rows count by the root of their curvature.

    Sources that are gone cannot make up for others.
    """
    inputs = np.ones((x.shape[0], len(sources) + 1), dtype=x.dtype)
    some = x[:, sources]
    inputs[:, :-1] = some if isinstance(some, np.ndarray) else some.toarray()
    counts = np.sqrt(curvature)
    mean = float(fraction @ counts)
    counts = fraction * (counts / mean if mean > 0 else 1.0)
    inputs *= np.sqrt(counts)[:, np.newaxis].astype(x.dtype)
    moments: Array = (inputs.T @ inputs).astype(np.float64)
    check_no_overflow(moments, "Second moments of the inputs")
    return moments


def _inverse(inner: Array, outer: Array, ridge: float) -> Array:
    """A^-1 without the intercept, damped and with the penalty.

    A (x) S + ridge is close to (A + ridge / s) (x) S with s the mean of S's diagonal.
    """
    diagonal = np.einsum("jj->j", inner)
    scale = max(float(np.trace(outer)) / len(outer), _TINY)
    mean = float(diagonal[:-1].mean()) if len(diagonal) > 1 else 0.0
    added = _DAMPING * mean + min(ridge / scale, 1 / _TINY)
    diagonal[:-1] += max(added, _TINY)
    inverse: Array = np.linalg.inv(inner)[:-1, :-1]
    return inverse


def kronecker_saliencies(problem: Problem) -> Array:
    """W_ji^2 / (2 [A^-1]_jj [S^-1]_ii) of every weight, shape (n_parameters,); 0 if deleted.

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
        damped = layer.outer.copy()
        np.einsum("ii->i", damped)[...] += _DAMPING * np.trace(damped) / len(damped) + _TINY
        of_units = 0.5 / np.diag(np.linalg.inv(damped))
        of_sources = np.zeros(len(theta))
        of_sources[layer.sources] = 1 / np.diag(layer.inverse)
        of_sources[-1] = 1.0
        out[...] = theta.astype(np.float64) ** 2 * of_units * of_sources[:, np.newaxis]
    saliencies = np.where(problem.mask, saliencies, 0).astype(problem.theta.dtype)
    check_no_overflow(saliencies, "Saliencies")
    return saliencies


def order_of_sources(problem: Problem, sets: Sequence[Indices], n: int) -> Indices:
    """Numbers of the sets in the order of their deletion, of which the first ``n`` are exact.

    Parameters
    ----------
    problem : Problem
    sets : sequence of ndarray of int
        Each has positions of all weights that go out of some inputs, or out of a unit.
    n : int
        How many are going to be deleted.
    """
    eliminations = _eliminations(problem, sets)
    order: list[int] = []
    saliencies = np.zeros(len(sets))
    is_left = np.ones(len(sets), dtype=bool)
    for elimination in eliminations:
        elimination.update(saliencies)
    for _ in range(min(n, len(sets))):
        number = int(np.argmin(np.where(is_left, saliencies, np.inf)))
        order.append(number)
        is_left[number] = False
        for elimination in eliminations:
            if elimination.delete(number):
                elimination.update(saliencies)
    left = np.flatnonzero(is_left)
    rest = left[np.argsort(saliencies[left], kind="stable")]
    return np.concatenate([np.array(order, dtype=np.intp), rest])


class _Elimination:
    """Sources of one layer that are deleted set by set.

    Parameters
    ----------
    layer : Layer
    set_of : ndarray of int of shape (n_sources,)
        The number of the set of each source, -1 for none.
    """

    def __init__(self, layer: Layer, set_of: Indices) -> None:
        self._weights, self._inverse = layer.weights.copy(), layer.inverse.copy()
        self._products, self._set_of = layer.weights @ layer.outer, set_of.copy()

    def update(self, saliencies: Array) -> None:
        """Enter trace(W_D^T ([A^-1]_DD)^-1 W_D S) / 2 of every set that is left."""
        for numbers, members in by_size(self._set_of):
            if members.shape[1] == 1:
                source = members[:, 0]
                squares = np.einsum("ji,ji->j", self._products[source], self._weights[source])
                saliencies[numbers] = 0.5 * squares / np.diag(self._inverse)[source]
                continue
            inner = self._inverse[members[:, :, np.newaxis], members[:, np.newaxis, :]]
            squares = self._products[members] @ self._weights[members].transpose(0, 2, 1)
            solved = np.linalg.solve(inner, squares)
            saliencies[numbers] = 0.5 * np.trace(solved, axis1=1, axis2=2)

    def delete(self, number: int) -> bool:
        """Delete a set; returns whether anything of it is in this layer."""
        gone = np.flatnonzero(self._set_of == number)
        if gone.size == 0:
            return False
        inner = self._inverse[np.ix_(gone, gone)]
        along = np.linalg.solve(inner, self._inverse[gone])
        for values in (self._weights, self._products):
            values -= along.T @ values[gone]
        self._inverse -= self._inverse[:, gone] @ along
        self._set_of[gone] = -1
        return True


def _eliminations(problem: Problem, sets: Sequence[Indices]) -> list[_Elimination]:
    network: Network = problem.network
    set_of = np.full(problem.theta.size, -1)
    for number, positions in enumerate(sets):
        set_of[positions] = number
    return [
        _Elimination(layer, numbers[layer.sources].max(axis=1))
        for layer, numbers in zip(kronecker_layers(problem), network.layers(set_of), strict=True)
    ]
