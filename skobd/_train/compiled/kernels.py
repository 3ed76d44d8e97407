"""The step of `DenseEpochs` as functions that numba compiles.

Only `engine` imports this module, because it needs numba. It is one module, because numba decides
by the date of a file whether its compiled functions are up to date.

Matrices lie in flat arrays, row by row, so that one compilation for each floating type serves every
network; BLAS gets addresses. Functions of single numbers are written so that the compiler can
vectorise the loops around them, which calls of the mathematical library would prevent.

A step has two phases, after which the threads wait for one another without Python: chunks of rows
compute their deltas and gradients, then chunks of parameters sum the gradients and update. A thread
thus reads little that another one has written, which takes longer here than a sum: only gradients
move between cores, not activations.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Names, from the tables in NumPy, that have a kernel, and their numbers here.
LOSSES = ("squared_error", "binary_log_loss", "multinomial_log_loss", "poisson")
SQUARED_ERROR, BINARY_LOG_LOSS, MULTINOMIAL_LOG_LOSS, POISSON = range(4)
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
IDENTITY, LOGISTIC, TANH, RELU = range(4)
UPDATES = ("adam", "sgd")
ADAM, MOMENTUM = range(2)
# Letters of BLAS: whether a matrix is transposed.
NO, YES = 78, 84
# Where a state counts arrivals at the barrier, and where it says that all are to end; not in one
# line of the cache.
STATE_SIZE, STOP = 16, 8
# Parameters that are updated at a time.
_PIECE = 2048
# Products with so few columns are faster without BLAS.
_NARROW = 4
# Loads of the counter before a waiting thread sleeps: some half a millisecond of them where the
# others came in that time before, and ten microseconds where they did not. Who sleeps is let in
# again before those who compute, where there are more threads than cores; who offers the core and
# stays ready is not.
_MOST_SPINS, _FEWEST_SPINS = 1_000_000, 20_000

_COMPILE: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
compiled = njit(**_COMPILE, fastmath={"contract"})
# The compiler chooses the order of a sum, which is the same for every thread.
compiled_sum = njit(**_COMPILE, fastmath={"contract", "reassoc"})


class Shape(NamedTuple):
    """Numbers that stay the same over all steps; arrays of int have an entry for each layer.

    Attributes
    ----------
    fan_in, fan_out : ndarray of int
    offsets : ndarray of int
        Start of the layer in ``theta``.
    buffers : ndarray of int
        Start of the values of its units in `Arrays.activations` and `Arrays.deltas`.
    bounds : ndarray of int of shape (n_chunks, 3)
        First and last parameter of a chunk, and its first survivor.
    x_strides : (int, int, int)
        Bytes from the beginning of ``X`` to the first number of the first row, and steps to the
        next row and column: of a field of packed records they are no multiples of a number.
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
    """Flat arrays of one floating type, ``X`` of bytes.

    Those of the optimiser and `values` are over survivors.
    """

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
    moment_1: Any
    moment_2: Any


class Plan(NamedTuple):
    """The steps of an epoch.

    Attributes
    ----------
    x_rows, y_rows : ndarray of int of shape (n_samples,)
        Rows of ``X``, and of the other data, in their order.
    starts : ndarray of int of shape (n_steps + 1,)
        Starts of the batches in the order, and the end of the last one.
    weights : ndarray of shape (n_steps,)
        Total weight of each batch.
    numbers : ndarray of shape (n_steps, 4)
        Numbers that the update uses in each step.
    positions : ndarray of int
        Places of the survivors in ``theta``; empty if all survive.
    losses, squares : ndarray of shape (n_chunks, n_steps)
        Results: summed losses, and squared norms of the weights.
    """

    x_rows: Any
    y_rows: Any
    starts: Any
    weights: Any
    numbers: Any
    positions: Any
    losses: Any
    squares: Any


# ------------------------------------------------------------------ single instructions


@intrinsic
def _add_atomically(typingctx, array, value):
    """Add to the first element, and return its new value."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        old = builder.atomic_rmw("add", data, args[1], "seq_cst")
        return builder.add(old, args[1])

    return types.int64(array, types.int64), codegen


@intrinsic
def _load_atomically(typingctx, array):
    """Load the first element as other threads see it."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(data, "acquire", 8)

    return types.int64(array), codegen


@intrinsic
def call_c(typingctx, address, argument):
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
def _number_at(typingctx, memory, place, like):
    """Load the number at a place among bytes, aligned or not; ``like`` has its type."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        kind = context.get_value_type(signature.args[2].dtype)
        return builder.load(
            builder.bitcast(builder.gep(data, [args[1]]), kind.as_pointer()), align=1
        )

    return like.dtype(memory, types.int64, like), codegen


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
def barrier_wait(state, n_arrivals, sleep_briefly, n_spins):
    """Wait until threads have arrived so many times in all.

    Returns how often to look next time before sleeping, or -1 if all are to end.
    """
    _add_atomically(state, 1)
    n_loads = 0
    while _load_atomically(state) < n_arrivals:
        if _load_atomically(state[STOP:]):
            return -1
        n_loads += 1
        if n_loads > n_spins:
            call_c(*sleep_briefly)
    # Where others want the cores, looking in vain would keep them from it.
    return min(2 * n_spins, _MOST_SPINS) if n_loads <= n_spins else max(n_spins // 4, _FEWEST_SPINS)


# ------------------------------------------------------------------ products


@compiled
def matrix(array, first, n_rows, n_columns):
    """View of a matrix in a flat array. Of its elements numba makes vector code, of ``a[i + j]``
    it does not, because the sum could be negative."""
    return array[first : first + n_rows * n_columns].reshape((n_rows, n_columns))


@compiled
def address_of(array):
    """Return the address of the first element."""
    return np.int64(array.ctypes.data)


@compiled
def _call_blas(gemm, transposed, b, a, out, inner, beta):
    """Multiply matrices in row order; BLAS sees them transposed and in reverse order."""
    addresses, sizes = (
        (address_of(b), address_of(a), address_of(out)),
        (out.shape[1], out.shape[0], inner),
    )
    strides = b.shape[1], a.shape[1], out.shape[1]
    call_gemm(out, gemm, transposed, sizes, addresses, strides, out.dtype.type(beta))


@compiled_sum
def add_product(gemm, x, w, out):
    """Compute ``out += x w``; one column is not worth BLAS's preparations."""
    (n_rows, fan_in), fan_out = x.shape, w.shape[1]
    if fan_out > 1:
        _call_blas(gemm, (NO, NO), w, x, out, fan_in, 1)
        return
    for i in range(n_rows):
        total = out[i, 0]
        for j in range(fan_in):
            total += x[i, j] * w[j, 0]
        out[i, 0] = total


@compiled
def multiply_by_transposed(gemm, delta, w, out):
    """Compute ``out = delta w^T``."""
    (n_rows, fan_out), fan_in = delta.shape, w.shape[0]
    if fan_out > 1:
        _call_blas(gemm, (YES, NO), w, delta, out, fan_out, 0)
        return
    for i in range(n_rows):
        for j in range(fan_in):
            out[i, j] = delta[i, 0] * w[j, 0]


@compiled
def multiply_transposed(gemm, x, delta, out):
    """Compute ``out = x^T delta``."""
    (n_rows, fan_in), fan_out = x.shape, delta.shape[1]
    if fan_out > _NARROW:
        _call_blas(gemm, (NO, YES), delta, x, out, n_rows, 0)
        return
    total = np.empty(fan_in, out.dtype)
    for column in range(fan_out):
        total[:] = 0
        for i in range(n_rows):
            size = delta[i, column]
            for j in range(fan_in):
                total[j] += size * x[i, j]
        for j in range(fan_in):
            out[j, column] = total[j]


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
def loss_from_raw(loss, raw, Y, i, k):
    """Return the part of row ``i``'s loss that comes from the raw output, which softmax centres.

    Its targets are row ``k`` of ``Y``.
    """
    value = 0.0
    if loss == SQUARED_ERROR:
        for j in range(raw.shape[1]):
            value += 0.5 * (raw[i, j] - Y[k, j]) ** 2
    elif loss == BINARY_LOG_LOSS:
        for j in range(raw.shape[1]):
            a = float(raw[i, j])
            value += (0.0 if a < 0.0 else a) + math.log1p(math.exp(-abs(a))) - Y[k, j] * a
    elif loss == MULTINOMIAL_LOG_LOSS:
        largest = raw[i, 0]
        for j in range(1, raw.shape[1]):
            largest = raw[i, j] if raw[i, j] > largest else largest
        for j in range(raw.shape[1]):
            raw[i, j] -= largest
            value -= raw[i, j] * Y[k, j]
    else:
        for j in range(raw.shape[1]):
            value -= Y[k, j] * raw[i, j] + Y[k, j]
            if Y[k, j] > 0:
                value += Y[k, j] * math.log(Y[k, j])
    return value


@compiled
def loss_from_prediction(loss, p, Y, i, k, weight):
    """Return the other part of row ``i``'s loss; the row of ``p`` becomes its weighted gradient."""
    T = p.dtype.type
    value, scale = 0.0, T(1)
    if loss == MULTINOMIAL_LOG_LOSS:
        total = T(0)
        for j in range(p.shape[1]):
            total += p[i, j]
        value, scale = math.log(total), T(1) / total
    elif loss == POISSON:
        for j in range(p.shape[1]):
            value += p[i, j]
    for j in range(p.shape[1]):
        p[i, j] = (p[i, j] * scale - Y[k, j]) * weight
    return value


# ------------------------------------------------------------------ rows


@compiled
def inputs_of(shape, arrays, layer, start, stop):
    """Return the inputs of a layer for the rows ``start`` to ``stop`` of a batch."""
    fan_in, n_rows = shape.fan_in[layer], stop - start
    if layer == 0:
        return matrix(arrays.inputs, start * fan_in, n_rows, fan_in)
    return matrix(arrays.activations, shape.buffers[layer - 1] + start * fan_in, n_rows, fan_in)


@compiled
def outputs_of(shape, array, layer, start, stop):
    """Return the outputs of a layer for these rows, in an array of activations or deltas."""
    fan_out = shape.fan_out[layer]
    return matrix(array, shape.buffers[layer] + start * fan_out, stop - start, fan_out)


@compiled
def weights_of(shape, vector, layer):
    """Return weights and intercepts of a layer in a vector shaped like ``theta``."""
    fan_in, fan_out, offset = shape.fan_in[layer], shape.fan_out[layer], shape.offsets[layer]
    stop = offset + fan_in * fan_out
    return matrix(vector, offset, fan_in, fan_out), vector[stop : stop + fan_out]


@compiled
def _deltas_of_rows(shape, arrays, plan, gemm, step, start, stop):
    """Compute activations and deltas of some rows of a batch; return their summed loss."""
    first, last = plan.starts[step], shape.fan_in.size - 1
    _gather(shape, arrays, plan.x_rows[first + start : first + stop], start, stop)
    _forward(shape, arrays, gemm, start, stop)
    raw = outputs_of(shape, arrays.deltas, last, start, stop)
    raw[:] = outputs_of(shape, arrays.activations, last, start, stop)
    rows = plan.y_rows[first + start : first + stop]
    loss = _loss_of_rows(shape, arrays, raw, rows, 1 / plan.weights[step])
    _backward(shape, arrays, gemm, start, stop)
    return loss


@compiled
def _gather(shape, arrays, rows, start, stop):
    inputs, X = inputs_of(shape, arrays, 0, start, stop), arrays.X
    first, row_stride, stride = shape.x_strides
    out = inputs.reshape(inputs.size).view(np.uint8).reshape((rows.size, -1))
    for i in range(rows.size):
        here = first + rows[i] * row_stride
        if stride == inputs.itemsize:
            # An index without a sign is not looked at for being negative.
            for j in range(out.shape[1]):
                out[i, j] = X[np.uintp(here + j)]
        else:
            for j in range(inputs.shape[1]):
                inputs[i, j] = _number_at(X, here + j * stride, inputs)


@compiled
def _forward(shape, arrays, gemm, start, stop):
    """Compute the activations of rows ``start`` to ``stop`` of a batch from their inputs."""
    for layer in range(shape.fan_in.size):
        weights, intercepts = weights_of(shape, arrays.theta, layer)
        x = inputs_of(shape, arrays, layer, start, stop)
        a = outputs_of(shape, arrays.activations, layer, start, stop)
        for i in range(a.shape[0]):
            for j in range(a.shape[1]):
                a[i, j] = intercepts[j]
        add_product(gemm, x, weights, a)
        if layer < shape.fan_in.size - 1:
            activate(shape.activation, a.reshape(a.size))


@compiled
def _loss_of_rows(shape, arrays, raw, rows, factor):
    """Summed loss of some rows, whose raw output becomes ``factor`` times its gradient."""
    T, total = raw.dtype.type, 0.0
    Y = arrays.Y.reshape((-1, raw.shape[1]))
    losses = np.empty(rows.size)
    for i in range(rows.size):
        losses[i] = loss_from_raw(shape.loss, raw, Y, i, rows[i])
    exponentials(shape.loss, raw.reshape(raw.size))
    for i in range(rows.size):
        weight = T(1) if arrays.sample_weight.size == 0 else arrays.sample_weight[rows[i]]
        total += weight * (
            losses[i] + loss_from_prediction(shape.loss, raw, Y, i, rows[i], T(factor * weight))
        )
    return total


@compiled
def _backward(shape, arrays, gemm, start, stop):
    """Compute dloss/da of the hidden units from that of the outputs."""
    for layer in range(shape.fan_in.size - 1, 0, -1):
        weights, _ = weights_of(shape, arrays.theta, layer)
        delta = outputs_of(shape, arrays.deltas, layer, start, stop)
        before = outputs_of(shape, arrays.deltas, layer - 1, start, stop)
        x = inputs_of(shape, arrays, layer, start, stop)
        multiply_by_transposed(gemm, delta, weights, before)
        multiply_by_derivative(shape.activation, before.reshape(before.size), x.reshape(x.size))


@compiled
def _sum_rows(matrix, out):
    """Sum over rows, four at a time."""
    n_rows = matrix.shape[0]
    n_fours = n_rows // 4 * 4
    out[:] = 0
    for i in range(0, n_fours, 4):
        for j in range(out.size):
            out[j] += (matrix[i, j] + matrix[i + 1, j]) + (matrix[i + 2, j] + matrix[i + 3, j])
    for i in range(n_fours, n_rows):
        for j in range(out.size):
            out[j] += matrix[i, j]


@compiled
def _gradient_of_rows(shape, arrays, gradient, gemm, start, stop):
    """Compute the gradient of the loss of the rows ``start`` to ``stop`` of a batch."""
    for layer in range(shape.fan_in.size):
        weights, intercepts = weights_of(shape, gradient, layer)
        delta = outputs_of(shape, arrays.deltas, layer, start, stop)
        multiply_transposed(gemm, inputs_of(shape, arrays, layer, start, stop), delta, weights)
        _sum_rows(delta, intercepts)


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
def _update(shape, arrays, plan, step, start, first, last):
    """Update the survivors ``first`` to ``last``, which lie from the parameter ``start`` on."""
    numbers = plan.numbers[step]
    values, gradient = arrays.values[first:last], arrays.gradient[start : start + last - first]
    where = plan.positions[first:last] if plan.positions.size else plan.positions
    if where.size:
        gradient = arrays.scratch[first:last]
        for i in range(where.size):
            gradient[i] = arrays.gradient[where[i]]
    if shape.update == ADAM:
        _adam(values, gradient, arrays.moment_1[first:last], arrays.moment_2[first:last], numbers)
    else:
        _momentum(values, gradient, arrays.moment_1[first:last], numbers)
    for i in range(where.size):
        arrays.theta[where[i]] = values[i]


@compiled_sum
def _penalise(shape, arrays, low, high, decay):
    """Add the gradient of the penalty to some parameters; return their squared norm."""
    squares = 0.0
    for layer in range(shape.fan_in.size):
        offset = shape.offsets[layer]
        start, stop = (
            max(low, offset),
            min(high, offset + shape.fan_in[layer] * shape.fan_out[layer]),
        )
        if start < stop:
            weights, gradient = arrays.theta[start:stop], arrays.gradient[start:stop]
            square = decay * 0
            for i in range(weights.size):
                gradient[i] += decay * weights[i]
                square += weights[i] * weights[i]
            squares += square
    return squares


@compiled
def _descend(shape, arrays, plan, step, chunk):
    """Update a chunk of the parameters; return the squared norm of its weights if they decay."""
    gradients = arrays.gradient.reshape((-1, arrays.theta.size))
    squares, decay = 0.0, arrays.theta.dtype.type(shape.alpha / plan.weights[step])
    start, stop, first = shape.bounds[chunk]
    # Updated in pieces, so that written values are still in the cache when read.
    for low in range(start, stop, _PIECE):
        high = min(low + _PIECE, stop)
        for other in range(1, gradients.shape[0]):
            for i in range(low, high):
                gradients[0, i] += gradients[other, i]
        if decay:
            squares += _penalise(shape, arrays, low, high, decay)
        last = first + high - low
        if plan.positions.size:
            last = first
            while last < plan.positions.size and plan.positions[last] < high:
                last += 1
        if first < last:
            _update(shape, arrays, plan, step, low, first, last)
        first = last
    return squares


# ------------------------------------------------------------------ steps


def run_steps(shape, arrays, plan, addresses, state, steps):
    """Do the work of one thread in some steps; return whether it was completed.

    Parameters
    ----------
    shape : Shape
    arrays : Arrays
    plan : Plan
    addresses : (int, (int, int))
        Addresses of BLAS's product of matrices, and of a function that sleeps, with its argument.
    state : ndarray of int64 of shape (STATE_SIZE,)
        Shared state of the threads, 0 at first.
    steps : (int, int, int, int)
        Index and number of threads, and the first and last step.
    """
    (gemm, sleep_briefly), (thread, n_threads, first, last) = addresses, steps
    n_chunks = plan.losses.shape[0]
    n_spins = _MOST_SPINS
    for step in range(first, last):
        n_rows = plan.starts[step + 1] - plan.starts[step]
        for chunk in range(thread, n_chunks, n_threads):
            start, stop = n_rows * chunk // n_chunks, n_rows * (chunk + 1) // n_chunks
            plan.losses[chunk, step] = _deltas_of_rows(shape, arrays, plan, gemm, step, start, stop)
            gradient = arrays.gradient[chunk * arrays.theta.size :]
            _gradient_of_rows(shape, arrays, gradient, gemm, start, stop)
        if n_threads > 1:
            n_spins = barrier_wait(state, n_threads * (2 * step + 1), sleep_briefly, n_spins)
            if n_spins < 0:
                return False
        for chunk in range(thread, n_chunks, n_threads):
            plan.squares[chunk, step] = _descend(shape, arrays, plan, step, chunk)
        if n_threads > 1:
            n_spins = barrier_wait(state, n_threads * (2 * step + 2), sleep_briefly, n_spins)
            if n_spins < 0:
                return False
    return True


def build_run_steps(keep: bool) -> Any:
    """Make `run_steps`, which is compiled at the first call and kept on disk if ``keep``."""
    return njit(**_COMPILE, fastmath={"contract"}, cache=keep)(run_steps)
