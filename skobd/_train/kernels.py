"""The compiled step: what `DenseEpochs` does in NumPy, as functions that numba compiles.

Only `compiled` and `engine` import this module, because it needs numba. It is one module, because
numba judges by the date of a file whether what it has compiled is still of use.

Matrices lie in flat arrays, row by row, so that one compilation for each floating type serves every
network; BLAS gets addresses. An array and where a matrix begins in it is a *place* here. Functions
of single numbers are written such that the compiler makes vector code of the loops around them,
which it does not of calls of the mathematical library. A step has the two phases of `minibatch`,
between which the threads wait for one another without Python.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# By number, in the order of their tables.
SQUARED_ERROR, BINARY_LOG_LOSS, MULTINOMIAL_LOG_LOSS, POISSON = range(4)
IDENTITY, LOGISTIC, TANH, RELU = range(4)
ADAM, MOMENTUM = range(2)
# Letters of BLAS: whether a matrix is transposed.
NO, YES = 78, 84
# Where a state counts arrivals at the barrier, and where it says that all are to end; not in one
# line of the cache.
STATE_SIZE, STOP = 16, 8
# Loads of the counter, some ten microseconds of them, before a waiting thread sleeps. Who sleeps is
# let in again before those who compute, where there are more threads than cores; who offers the
# core and stays ready is not.
_N_SPINS = 20_000

_COMPILE: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
compiled = njit(**_COMPILE, fastmath={"contract"})
# What is called from Python is kept on disk, with all that it calls.
entry = njit(**_COMPILE, fastmath={"contract"}, cache=True)
# Of a sum the order is the compiler's, which is the same for every thread.
compiled_sum = njit(**_COMPILE, fastmath={"contract", "reassoc"})


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
    x_strides : (int, int, int)
        Where the first number of the first row is in ``X``, and steps to the next row and column.
    activation, loss, update : int
    alpha : float
    """

    fan_in: Any
    fan_out: Any
    offsets: Any
    buffers: Any
    bounds: Any
    x_strides: Any
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


# ------------------------------------------------------------------ single instructions


@intrinsic
def _add_atomically(typingctx, array, value):
    """Add to the first element; returns what it becomes."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        old = builder.atomic_rmw("add", data, args[1], "seq_cst")
        return builder.add(old, args[1])

    return types.int64(array, types.int64), codegen


@intrinsic
def _load_atomically(typingctx, array):
    """The first element as other threads see it."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(data, "acquire", 8)

    return types.int64(array), codegen


@intrinsic
def call(typingctx, address, argument):
    """Call the C function at an address, of a 32-bit integer, and forget what it returns."""

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32)])
        argument = builder.trunc(args[1], ir.IntType(32))
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [argument])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def call_gemm(typingctx, like, address, transposed, sizes, matrices, strides, beta):
    """BLAS's ``c = a b + beta c``, column by column, by addresses; ``like`` has the type."""

    def codegen(context, builder, signature, args):
        number = context.get_value_type(signature.args[0].dtype)
        integer, byte = ir.IntType(32), ir.IntType(8)

        def place(value):
            return cgutils.alloca_once_value(builder, value)

        def unpack(index, kind):
            values = cgutils.unpack_tuple(builder, args[index])
            return [builder.trunc(value, kind) for value in values]

        t = [place(value) for value in unpack(2, byte)]
        m, n, k = (place(value) for value in unpack(3, integer))
        pointers = [
            builder.inttoptr(value, number.as_pointer())
            for value in cgutils.unpack_tuple(builder, args[4])
        ]
        lda, ldb, ldc = (place(value) for value in unpack(5, integer))
        one, beta = place(number(1.0)), place(args[6])
        arguments = [*t, m, n, k, one, pointers[0], lda, pointers[1], ldb, beta, pointers[2], ldc]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in arguments])
        builder.call(builder.inttoptr(args[1], kind.as_pointer()), arguments)
        return context.get_dummy_value()

    chars = types.UniTuple(types.int64, 2)
    three = types.UniTuple(types.int64, 3)
    signature = types.void(like, types.int64, chars, three, three, three, like.dtype)
    return signature, codegen


@intrinsic
def _half_power_of_two(typingctx, x):
    """2^(n - 1), where n is in the last bits of ``x``, a number to which a large one was added."""

    def codegen(context, builder, signature, args):
        width, mantissa, bias = (
            (64, 52, 1022) if signature.args[0].bitwidth == 64 else (32, 23, 126)
        )
        kind = ir.IntType(width)
        bits = builder.bitcast(args[0], kind)
        bits = builder.shl(builder.add(bits, kind(bias)), kind(mantissa))
        return builder.bitcast(bits, args[0].type)

    return x(x), codegen


@compiled
def wait(state, n_arrivals, give_way):
    """Wait until threads have arrived so many times in all; False if they are to end."""
    if n_arrivals == 0:
        return True
    _add_atomically(state, 1)
    n_loads = 0
    while _load_atomically(state) < n_arrivals:
        if _load_atomically(state[STOP:]):
            return False
        n_loads += 1
        if n_loads > _N_SPINS:
            call(*give_way)
    return True


# ------------------------------------------------------------------ products


@compiled
def at(array, index):
    """Address of an element."""
    return np.int64(array.ctypes.data + index * array.itemsize)


@entry
def product(gemm, a, b, out):
    """``out = a b``, for a look at whether everything works."""
    addresses = at(b, 0), at(a, 0), at(out, 0)
    sizes = out.shape[1], out.shape[0], a.shape[1]
    strides = out.shape[1], a.shape[1], out.shape[1]
    call_gemm(out, gemm, (NO, NO), sizes, addresses, strides, out.dtype.type(0))


# ------------------------------------------------------------------ exponentials


@compiled
def _reduced(x, like):
    """(2^(n - 1), e^r - 1) with x = n log(2) + r, by Taylor's series up to r^13."""
    T = like.dtype.type
    is_double = like.itemsize == 8
    # Beyond these the result is 0 (or next to it) and infinity.
    low, high = (T(-707.0), T(710.0)) if is_double else (T(-86.0), T(89.0))
    large = T(6755399441055744.0) if is_double else T(12582912.0)
    upper = T(0.693147180369123816490) if is_double else T(0.693359375)
    lower = T(1.90821492927058770002e-10) if is_double else T(-2.12194440e-4)
    # Comparisons that leave a NaN as it is.
    x = low if x < low else x
    x = high if x > high else x
    shifted = x * T(1.4426950408889634) + large
    n = shifted - large
    r = x - n * upper
    r = r - n * lower
    p = T(1 / 6227020800)
    p = p * r + T(1 / 479001600)
    p = p * r + T(1 / 39916800)
    p = p * r + T(1 / 3628800)
    p = p * r + T(1 / 362880)
    p = p * r + T(1 / 40320)
    p = p * r + T(1 / 5040)
    p = p * r + T(1 / 720)
    p = p * r + T(1 / 120)
    p = p * r + T(1 / 24)
    p = p * r + T(1 / 6)
    p = p * r + T(0.5)
    return _half_power_of_two(shifted), (p * r) * r + r


@compiled
def exp(x, like):
    half, p = _reduced(x, like)
    # The largest 2^n is infinite where the exponential is not yet.
    return (half * p + half) * like.dtype.type(2)


@compiled
def tanh(x, like):
    T = like.dtype.type
    size = abs(x)
    # From here on tanh is 1 to the last bit.
    size = T(20) if size > T(20) else size
    half, p = _reduced(size + size, like)
    # e^(2 |x|) - 1
    scale = half + half
    t = scale * p + (scale - T(1))
    t = t / (t + T(2))
    return -t if x < T(0) else t


# ------------------------------------------------------------------ activations


@compiled
def activate(activation, a):
    T = a.dtype.type
    if activation == RELU:
        for i in range(a.size):
            a[i] = T(0) if a[i] < T(0) else a[i]
    elif activation == TANH:
        for i in range(a.size):
            a[i] = tanh(a[i], a)
    elif activation == LOGISTIC:
        for i in range(a.size):
            a[i] = T(0.5) * tanh(T(0.5) * a[i], a) + T(0.5)


@compiled
def multiply_by_derivative(activation, delta, x):
    T = x.dtype.type
    if activation == RELU:
        for i in range(x.size):
            delta[i] = delta[i] if x[i] > T(0) else T(0) * delta[i]
    elif activation == TANH:
        for i in range(x.size):
            delta[i] = delta[i] * (T(1) - x[i] * x[i])
    elif activation == LOGISTIC:
        for i in range(x.size):
            delta[i] = delta[i] * (x[i] * (T(1) - x[i]))


# ------------------------------------------------------------------ losses


@compiled
def exponentials(loss, raw):
    """Inverse link of a whole block, of softmax the exponentials of what is at most 0."""
    T = raw.dtype.type
    if loss == BINARY_LOG_LOSS:
        for i in range(raw.size):
            raw[i] = T(1) / (T(1) + exp(-raw[i], raw))
    elif loss != SQUARED_ERROR:
        for i in range(raw.size):
            raw[i] = exp(raw[i], raw)


@compiled
def loss_before(loss, raw, y):
    """What of the loss of a row is computed from the raw output, which softmax centres."""
    value = 0.0
    if loss == SQUARED_ERROR:
        for j in range(raw.size):
            value += 0.5 * (raw[j] - y[j]) ** 2
    elif loss == BINARY_LOG_LOSS:
        for j in range(raw.size):
            a = float(raw[j])
            value += (0.0 if a < 0.0 else a) + math.log1p(math.exp(-abs(a))) - y[j] * a
    elif loss == MULTINOMIAL_LOG_LOSS:
        largest = raw[0]
        for j in range(1, raw.size):
            largest = raw[j] if raw[j] > largest else largest
        for j in range(raw.size):
            raw[j] -= largest
            value -= raw[j] * y[j]
    else:
        for j in range(raw.size):
            value -= y[j] * raw[j] + y[j]
            if y[j] > 0:
                value += y[j] * math.log(y[j])
    return value


@compiled
def loss_after(loss, p, y, weight):
    """The others; ``p`` becomes the gradient of the weighted loss."""
    T = p.dtype.type
    value, scale = 0.0, T(1)
    if loss == MULTINOMIAL_LOG_LOSS:
        total = T(0)
        for j in range(p.size):
            total += p[j]
        value, scale = math.log(total), T(1) / total
    elif loss == POISSON:
        for j in range(p.size):
            value += p[j]
    for j in range(p.size):
        p[j] = (p[j] * scale - y[j]) * weight
    return value


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
    first_x, row_stride, stride = shape.x_strides
    for i in range(n_rows):
        here = (start + i) * n_inputs
        there = first_x + rows[i] * row_stride
        row = arrays.inputs[here : here + n_inputs]
        if stride == 1:
            row[:] = arrays.X[there : there + n_inputs]
        else:
            for j in range(n_inputs):
                row[j] = arrays.X[there + j * stride]
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


@entry
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
        What the threads tell one another, 0 at first.
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
