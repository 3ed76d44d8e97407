"""The compiled step: what `DenseEpochs` does in NumPy, as functions that numba compiles.

Matrices are parts of flat arrays, row
by row, so that one compilation for each floating type serves every network; BLAS gets addresses.
A step has the two phases of `minibatch`, between which the threads wait for one another without
Python. An array and where a matrix begins in it is a *place* here.
"""

from typing import Any, NamedTuple

import numpy as np

from .instructions import NO, STATE_SIZE, STOP, YES, at, call_gemm, compiled, compiled_sum, wait
from .pointwise import activate, exponentials, loss_after, loss_before, multiply_by_derivative

__all__ = ["STATE_SIZE", "STOP", "Arrays", "Plan", "Shape", "run_steps"]

# Updates by number, in the order of their table.
ADAM, MOMENTUM = range(2)


class Shape(NamedTuple):
    """What stays the same over all steps; arrays of int have an entry for every layer matrix.

    Attributes
    ----------
    fan_in, fan_out : ndarray of int
    offsets : ndarray of int
        Where the layer begins in ``theta``.
    buffers : ndarray of int
        Where the values of its units begin in `Arrays.activations` and `Arrays.deltas`.
    bounds : ndarray of int of shape (n_chunks, n_layers, 4)
        First and last row of the layer matrix in a chunk of parameters, and first and last
        survivor; the intercepts are in the last chunk.
    activation, loss, update : int
    alpha : float
    """

    fan_in: Any
    fan_out: Any
    offsets: Any
    buffers: Any
    bounds: Any
    activation: Any
    loss: Any
    update: Any
    alpha: Any


class Arrays(NamedTuple):
    """Flat arrays of one floating type; those of the optimiser and `values` are over survivors."""

    X: Any
    Y: Any
    sample_weight: Any
    inputs: Any
    activations: Any
    deltas: Any
    theta: Any
    gradient: Any
    values: Any
    scratch: Any
    first: Any
    second: Any


class Plan(NamedTuple):
    """The steps of an epoch.

    Attributes
    ----------
    x_rows, y_rows : ndarray of int of shape (n_samples,)
        Rows of ``X``, and of the other data, in their order.
    starts : ndarray of int of shape (n_steps + 1,)
        Where the batches begin in it, and where the last one ends.
    weights : ndarray of shape (n_steps,)
        Total weight of each batch.
    numbers : ndarray of shape (n_steps, 4)
        What the update uses in each step.
    where : ndarray of int
        Places of the survivors in ``theta``; empty if all survive.
    losses, squares : ndarray of shape (n_chunks, n_steps)
        Results: summed losses, and squared norms of the weights.
    """

    x_rows: Any
    y_rows: Any
    starts: Any
    weights: Any
    numbers: Any
    where: Any
    losses: Any
    squares: Any


# ------------------------------------------------------------------ rows


@compiled
def _loss_of_rows(shape, arrays, raw, rows, factor):
    """Summed loss of some rows, whose raw output becomes ``factor`` times its gradient."""
    T = raw.dtype.type
    n, total = shape.fan_out[-1], 0.0
    losses = np.empty(rows.size)
    for i in range(rows.size):
        y = arrays.Y[rows[i] * n : rows[i] * n + n]
        losses[i] = loss_before(shape.loss, raw[i * n : i * n + n], y)
    exponentials(shape.loss, raw)
    for i in range(rows.size):
        y = arrays.Y[rows[i] * n : rows[i] * n + n]
        weight = T(1) if arrays.sample_weight.size == 0 else arrays.sample_weight[rows[i]]
        loss = loss_after(shape.loss, raw[i * n : i * n + n], y, T(factor * weight))
        total += weight * (losses[i] + loss)
    return total


@compiled_sum
def _multiply(gemm, x, w, a, sizes):
    """``a += x w`` at places, for sizes (n_rows, fan_in, fan_out)."""
    n_rows, fan_in, fan_out = sizes
    if fan_out > 1:
        addresses, strides = (at(*w), at(*x), at(*a)), (fan_out, fan_in, fan_out)
        one = a[0].dtype.type(1)
        call_gemm(a[0], gemm, (NO, NO), (fan_out, n_rows, fan_in), addresses, strides, one)
        return
    weights = w[0][w[1] : w[1] + fan_in]
    for i in range(n_rows):
        row, total = x[0][x[1] + i * fan_in : x[1] + (i + 1) * fan_in], a[0][a[1] + i]
        for j in range(fan_in):
            total += row[j] * weights[j]
        a[0][a[1] + i] = total


@compiled
def _backpropagate(gemm, delta, w, out, sizes):
    """``out = delta w^T``; of one output unit BLAS makes heavy weather."""
    n_rows, fan_in, fan_out = sizes
    if fan_out > 1:
        addresses, strides = (at(*w), at(*delta), at(*out)), (fan_out, fan_out, fan_in)
        zero = out[0].dtype.type(0)
        call_gemm(out[0], gemm, (YES, NO), (fan_in, n_rows, fan_out), addresses, strides, zero)
        return
    weights = w[0][w[1] : w[1] + fan_in]
    for i in range(n_rows):
        row, size = out[0][out[1] + i * fan_in : out[1] + (i + 1) * fan_in], delta[0][delta[1] + i]
        for j in range(fan_in):
            row[j] = size * weights[j]


@compiled
def _deltas_of_rows(shape, arrays, plan, gemm, step, start, stop):
    """Phase 1 for some rows of a batch; returns their summed loss."""
    first, last = plan.starts[step], shape.fan_in.size - 1
    _forward(shape, arrays, plan, gemm, first, start, stop)
    size = shape.fan_out[last]
    here = shape.buffers[last] + start * size
    raw = arrays.deltas[here : here + (stop - start) * size]
    raw[:] = arrays.activations[here : here + raw.size]
    rows = plan.y_rows[first + start : first + stop]
    loss = _loss_of_rows(shape, arrays, raw, rows, 1 / plan.weights[step])
    _backward(shape, arrays, gemm, start, stop)
    return loss


@compiled
def _forward(shape, arrays, plan, gemm, first, start, stop):
    """Activations of the rows ``start`` to ``stop`` of a batch that begins at ``first``."""
    rows = plan.x_rows[first + start : first + stop]
    n_rows, n_inputs, n_layers = stop - start, shape.fan_in[0], shape.fan_in.size
    for i in range(n_rows):
        here = (start + i) * n_inputs
        there = rows[i] * n_inputs
        arrays.inputs[here : here + n_inputs] = arrays.X[there : there + n_inputs]
    x = arrays.inputs, start * n_inputs
    for layer in range(n_layers):
        fan_in, fan_out = shape.fan_in[layer], shape.fan_out[layer]
        offset, a_first = shape.offsets[layer], shape.buffers[layer] + start * fan_out
        bias = arrays.theta[offset + fan_in * fan_out : offset + (fan_in + 1) * fan_out]
        a = arrays.activations[a_first : a_first + n_rows * fan_out]
        for i in range(n_rows):
            a[i * fan_out : (i + 1) * fan_out] = bias
        place = arrays.activations, a_first
        _multiply(gemm, x, (arrays.theta, offset), place, (n_rows, fan_in, fan_out))
        if layer < n_layers - 1:
            activate(shape.activation, a)
            x = place


@compiled
def _backward(shape, arrays, gemm, start, stop):
    """dloss/da of the hidden units from that of the outputs."""
    n_rows = stop - start
    for layer in range(shape.fan_in.size - 1, 0, -1):
        fan_in, fan_out = shape.fan_in[layer], shape.fan_out[layer]
        here = shape.buffers[layer] + start * fan_out
        before = shape.buffers[layer - 1] + start * fan_in
        w, sizes = (arrays.theta, shape.offsets[layer]), (n_rows, fan_in, fan_out)
        _backpropagate(gemm, (arrays.deltas, here), w, (arrays.deltas, before), sizes)
        multiply_by_derivative(
            shape.activation,
            arrays.deltas[before : before + n_rows * fan_in],
            arrays.activations[before : before + n_rows * fan_in],
        )


# ------------------------------------------------------------------ parameters


@compiled
def _adam(values, gradient, mean, mean_square, numbers):
    T = values.dtype.type
    rate, beta_1, beta_2, epsilon = T(numbers[0]), T(numbers[1]), T(numbers[2]), T(numbers[3])
    gain_1, gain_2 = T(1 - numbers[1]), T(1 - numbers[2])
    for i in range(values.size):
        g = gradient[i]
        m = beta_1 * mean[i] + gain_1 * g
        v = beta_2 * mean_square[i] + gain_2 * (g * g)
        mean[i] = m
        mean_square[i] = v
        values[i] -= rate * m / (np.sqrt(v) + epsilon)


@compiled
def _momentum(values, gradient, velocity, numbers):
    T = values.dtype.type
    rate, momentum, nesterov = T(numbers[0]), T(numbers[1]), numbers[2] != 0
    if nesterov:
        for i in range(values.size):
            v = momentum * velocity[i] - rate * gradient[i]
            velocity[i] = v
            values[i] += momentum * v - rate * gradient[i]
    else:
        for i in range(values.size):
            v = momentum * velocity[i] - rate * gradient[i]
            velocity[i] = v
            values[i] += v


@compiled
def _update(shape, arrays, plan, step, start, stop, first, last):
    """Update the survivors ``first`` to ``last``, which lie from ``start`` to ``stop``."""
    numbers = plan.numbers[step]
    values, gradient = arrays.values[first:last], arrays.gradient[start:stop]
    where = plan.where[first:last] if plan.where.size else plan.where
    if where.size:
        gradient = arrays.scratch[first:last]
        for i in range(where.size):
            gradient[i] = arrays.gradient[where[i]]
    if shape.update == ADAM:
        _adam(values, gradient, arrays.first[first:last], arrays.second[first:last], numbers)
    else:
        _momentum(values, gradient, arrays.first[first:last], numbers)
    for i in range(where.size):
        arrays.theta[where[i]] = values[i]


@compiled_sum
def _add_penalty(gradient, weights, decay):
    """Add the gradient of the penalty; returns the squared norm of the weights."""
    squares = gradient.dtype.type(0)
    for i in range(weights.size):
        gradient[i] += decay * weights[i]
        squares += weights[i] * weights[i]
    return squares


@compiled
def _sum_rows(matrix, n_rows, out):
    out[:] = 0
    for i in range(n_rows):
        row = matrix[i * out.size : (i + 1) * out.size]
        for j in range(out.size):
            out[j] += row[j]


@compiled
def _descend(shape, arrays, plan, gemm, step, chunk):
    """Phase 2 for a chunk of the parameters; returns the squared norm of its weights."""
    T = arrays.theta.dtype.type
    n_rows, squares = plan.starts[step + 1] - plan.starts[step], 0.0
    decay = T(shape.alpha / plan.weights[step])
    for layer in range(shape.fan_in.size):
        fan_in, fan_out = shape.fan_in[layer], shape.fan_out[layer]
        low, high, first, last = shape.bounds[chunk, layer]
        if low == high:
            continue
        start, stop = shape.offsets[layer] + low * fan_out, shape.offsets[layer] + high * fan_out
        x = arrays.activations if layer else arrays.inputs
        x_first = (shape.buffers[layer - 1] if layer else 0) + low
        addresses = (
            at(arrays.deltas, shape.buffers[layer]),
            at(x, x_first),
            at(arrays.gradient, start),
        )
        call_gemm(
            arrays.gradient,
            gemm,
            (NO, YES),
            (fan_out, high - low, n_rows),
            addresses,
            (fan_out, fan_in, fan_out),
            T(0),
        )
        if decay:
            squares += _add_penalty(arrays.gradient[start:stop], arrays.theta[start:stop], decay)
        if high == fan_in:
            delta = arrays.deltas[shape.buffers[layer] :]
            _sum_rows(delta, n_rows, arrays.gradient[stop : stop + fan_out])
            stop += fan_out
        if first < last:
            _update(shape, arrays, plan, step, start, stop, first, last)
    return squares


# ------------------------------------------------------------------ steps


@compiled
def run_steps(shape, arrays, plan, addresses, state, steps):
    """The work of one thread in some steps; returns whether it was done to the end.

    Parameters
    ----------
    shape : Shape
    arrays : Arrays
    plan : Plan
    addresses : (int, (int, int))
        Of BLAS's product of matrices; and of what sleeps, with its argument.
    state : ndarray of int64 of shape (STATE_SIZE,)
        See `instructions`.
    steps : (int, int, int, int)
        Which thread of how many, and the first and last step.
    """
    (gemm, give_way), (thread, n_threads, first, last) = addresses, steps
    n_chunks = plan.losses.shape[0]
    per_phase = n_threads if n_threads > 1 else 0
    for step in range(first, last):
        n_rows = plan.starts[step + 1] - plan.starts[step]
        for chunk in range(thread, n_chunks, n_threads):
            start, stop = n_rows * chunk // n_chunks, n_rows * (chunk + 1) // n_chunks
            plan.losses[chunk, step] = _deltas_of_rows(shape, arrays, plan, gemm, step, start, stop)
        if not wait(state, per_phase * (2 * step + 1), give_way):
            return False
        for chunk in range(thread, n_chunks, n_threads):
            plan.squares[chunk, step] = _descend(shape, arrays, plan, gemm, step, chunk)
        if not wait(state, per_phase * (2 * step + 2), give_way):
            return False
    return True
