"""Second derivatives of the training objective by backward passes.

For a weight from activation x_j to pre-activation a_i (an intercept has x_j = 1)

    d2E/dW_ji^2 = (1/S) sum_n s_n x_j^2 h_i,      h_i = d2loss/da_i^2,

plus alpha/S for weights. The kinds differ in what h_i keeps:

``"hessian"``
    LeCun, Denker & Solla (1989), equations 6 to 8: output units have the curvature of the loss,
    hidden units  h_i = f'(a_i)^2 sum_l W_il^2 h_l + f''(a_i) dloss/dx_i.
    Cross terms between the units of a layer are neglected; exact for no hidden layer, and for one
    hidden layer below a single output unit. (The paper prints a minus before the f'' term of its
    equation 7; the chain rule, and its own equation 8, have a plus.)
``"levenberg_marquardt"``
    The recursion without the f'' term, hence never negative.
``"gauss_newton"``
    The diagonal of the Gauss-Newton matrix: h_i = sum_c (dz_c/da_i)^2 where the output Hessian
    is factored as F F^T and z_c is column c of F; one backward pass for each output. Beyond 16
    outputs the columns are replaced by 16 random sums of them: for independent random signs v,
    the mean of (F v)(F v)^T is F F^T (Martens, Sutskever & Swersky, 2012, "Estimating the
    Hessian by back-propagating curvature"; Dangel, Kunstner & Hennig, 2020, "BackPACK").
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .._net.losses import Loss
from .._net.network import Array, backpropagate, multiply_transposed
from .._train.objective import Block, Objective, Workspace

# Most backward passes that "gauss_newton" makes.
MAX_PASSES = 16
# unit_curvatures(objective, layers, activations, block) -> [h_1, ..., h_L], each (n_rows, fan_out);
# the last activation already holds the predictions.
UnitCurvatures = Callable[..., list[Array]]


def diagonal_curvature(objective: Objective, theta: Array, kind: str) -> Array:
    """Diagonal second derivatives of the objective.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (n_parameters,)
    kind : {"hessian", "levenberg_marquardt", "gauss_newton"}

    Returns
    -------
    curvature : ndarray of shape (n_parameters,)
        Derivatives in units of the objective per squared unit of the parameter.
    """
    network, loss = objective.network, objective.loss
    layers = network.layers(theta)
    unit_curvatures = CURVATURES[kind].of_units
    scale = 1 / objective.total_weight

    def kernel(block: Block, workspace: Workspace, out: Array) -> float:
        activations = network.forward(layers, block.X, workspace.activations)
        loss.inverse_link(activations[-1])
        h = unit_curvatures(objective, layers, activations, block)
        for x, h_l, result in zip(activations[:-1], h, network.layers(out), strict=True):
            h_l *= scale if block.sample_weight is None else block.sample_weight[:, None] * scale
            squares = x * x if isinstance(x, np.ndarray) else x.power(2)
            multiply_transposed(squares, h_l, result[:-1])
            np.add.reduce(h_l, axis=0, out=result[-1])
        return 0.0

    _, total = objective.accumulate(kernel)
    return total + objective.penalty.curvature(objective.penalty_weight).astype(total.dtype)


def _recursion(with_second_derivative: bool) -> UnitCurvatures:
    def unit_curvatures(
        objective: Objective, layers: list[Array], activations: list[Array], block: Block
    ) -> list[Array]:
        f, p = objective.network.f, activations[-1]
        second_derivative = f.second_derivative if with_second_derivative else None
        h = [objective.loss.curvature(p)]
        delta: Array = p - block.Y
        for layer, x in zip(layers[:0:-1], activations[-2:0:-1], strict=True):
            weights = layer[:-1]
            h_l = np.empty_like(x)
            backpropagate(h[0], weights * weights, h_l)
            f.multiply_by_derivative(h_l, x)
            f.multiply_by_derivative(h_l, x)
            if second_derivative is not None:
                upstream = np.empty_like(x)
                backpropagate(delta, weights, upstream)
                h_l += second_derivative(x) * upstream
                f.multiply_by_derivative(upstream, x)
                delta = upstream
            h.insert(0, h_l)
        return h

    return unit_curvatures


def _gauss_newton(
    objective: Objective, layers: list[Array], activations: list[Array], block: Block
) -> list[Array]:
    f, p, loss = objective.network.f, activations[-1], objective.loss
    h = [*(np.zeros_like(x) for x in activations[1:-1]), loss.curvature(p)]
    for factor in output_factors(loss, p, block.first_row):
        for index in range(len(layers) - 1, 0, -1):
            x = activations[index]
            upstream = np.empty_like(x)
            backpropagate(factor, layers[index][:-1], upstream)
            f.multiply_by_derivative(upstream, x)
            h[index - 1] += upstream * upstream
            factor = upstream
    return h


def output_factors(loss: Loss, p: Array, first_row: int, most: int = MAX_PASSES) -> Iterator[Array]:
    """Yield columns of F, or ``most`` random sums of them, each (n_rows, n_outputs)."""
    return loss.factors(p) if p.shape[1] <= most else _sampled_factors(loss, p, first_row, most)


def _sampled_factors(loss: Loss, p: Array, first_row: int, n: int) -> Iterator[Array]:
    """Yield F v / sqrt(n) for n vectors v of random signs, each (n_rows, n_outputs).

    The signs of a row depend only on its number, not on its block.
    """
    n_rows, n_outputs = p.shape
    # The generator produces 256 bits for each value of its counter.
    n_counts = -(-n_outputs // 256)
    for key in range(n):
        words = np.random.Philox(key=key, counter=first_row * n_counts)
        octets = words.random_raw(4 * n_counts * n_rows).astype("<u8").view(np.uint8)
        bits = np.unpackbits(octets.reshape(n_rows, -1), axis=1, count=n_outputs)
        signs = bits.astype(p.dtype)
        signs *= 2
        signs -= 1
        yield loss.factor(p, signs) / p.dtype.type(n**0.5)


class Curvature(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    of_units : callable
        See `UnitCurvatures`.
    positive : str
        Kind that replaces this one if no curvature may be negative.
    """

    of_units: UnitCurvatures
    positive: str


CURVATURES: dict[str, Curvature] = {
    "hessian": Curvature(_recursion(with_second_derivative=True), "levenberg_marquardt"),
    "levenberg_marquardt": Curvature(
        _recursion(with_second_derivative=False), "levenberg_marquardt"
    ),
    "gauss_newton": Curvature(_gauss_newton, "gauss_newton"),
}
