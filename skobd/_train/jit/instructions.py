"""What the kernels are made of: single instructions, BLAS, and exponentials for vector code.

Functions of single numbers are written such that the compiler makes vector code of the loops around
them, which it does not of calls of the mathematical library.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Letters of BLAS: whether a matrix is transposed.
NO, YES = 78, 84
# Where a state counts arrivals at the barrier, and where it says that all are to end; not in one
# line of the cache.
STATE_SIZE, STOP = 16, 8
# Loads of the counter, some ten microseconds of them, before a waiting thread sleeps. Who sleeps is
# let in again before those who compute, where there are more threads than cores; who offers the core
# and stays ready is not.
_N_SPINS = 20_000

_COMPILE: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}
compiled = njit(**_COMPILE, fastmath={"contract"})
# Of a sum the order is the compiler's, which is the same for every thread.
compiled_sum = njit(**_COMPILE, fastmath={"contract", "reassoc"})


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
def _power_of_two(typingctx, x):
    """2^n, where n is in the last bits of ``x``, a number to which a large one was added."""

    def codegen(context, builder, signature, args):
        width, mantissa, bias = (
            (64, 52, 1023) if signature.args[0].bitwidth == 64 else (32, 23, 127)
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


@compiled
def product(gemm, a, b, out):
    """``out = a b``, for a look at whether everything works."""
    addresses = at(b, 0), at(a, 0), at(out, 0)
    sizes = out.shape[1], out.shape[0], a.shape[1]
    strides = out.shape[1], a.shape[1], out.shape[1]
    call_gemm(out, gemm, (NO, NO), sizes, addresses, strides, out.dtype.type(0))


# ------------------------------------------------------------------ exponentials


@compiled
def _reduced(x, like):
    """(2^n, e^r - 1) with x = n log(2) + r, by Taylor's series up to r^13."""
    T = like.dtype.type
    is_double = like.itemsize == 8
    # Beyond these the result is 0 (or next to it) and infinity.
    low, high = (T(-708.0), T(710.0)) if is_double else (T(-87.0), T(89.0))
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
    return _power_of_two(shifted), (p * r) * r + r


@compiled
def exp(x, like):
    scale, p = _reduced(x, like)
    return scale * p + scale


@compiled
def tanh(x, like):
    T = like.dtype.type
    size = abs(x)
    # From here on tanh is 1 to the last bit.
    size = T(20) if size > T(20) else size
    scale, p = _reduced(size + size, like)
    # e^(2 |x|) - 1
    t = scale * p + (scale - T(1))
    t = t / (t + T(2))
    return -t if x < T(0) else t
