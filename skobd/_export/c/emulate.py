"""Exactly what the C code computes, in NumPy: bit for bit in integers, to rounding in floats."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .coded import Coded, affine_inputs, from_short, indicators
from .integers import FIXED_LIMIT
from .specification import Rows

Integers = NDArray[np.int64]
# What `fixed` returns for NaN.
_MISSING = -(2**31)


def raw_outputs(coded: Coded, X: Rows) -> NDArray[Any]:
    """Raw outputs for rows of raw columns: int64 in steps, or float32."""
    if coded.arithmetic == "int":
        return _integer_outputs(coded, _integer_inputs(coded, X))
    with np.errstate(all="ignore"):
        return _float_outputs(coded, _float_inputs(coded, X))


def in_units(coded: Coded, raw: NDArray[Any]) -> NDArray[np.float32]:
    """Raw outputs as numbers."""
    if coded.arithmetic == "float":
        return raw
    q = raw.astype(np.float32)
    if coded.specification.has_probabilities:
        return q * np.float32(coded.settings["output_scale"])
    return coded.values["output_offsets"] + coded.values["output_scales"] * q


def predict(coded: Coded, X: Rows) -> NDArray[Any]:
    """Return what ``predict`` of the C code does: indices of classes, or numbers (n, n_outputs)."""
    raw, kind = raw_outputs(coded, X), coded.specification.kind
    if kind == "binary":
        return (raw[:, 0] > 0).astype(np.intp)
    if kind == "multiclass":
        best = np.zeros(len(raw), dtype=np.intp)
        for label in range(1, raw.shape[1]):
            best[raw[:, label] > raw[np.arange(len(raw)), best]] = label
        return best
    if kind == "multilabel":
        return (raw > 0).astype(np.float32)
    y = in_units(coded, raw)
    with np.errstate(over="ignore"):
        return np.exp(y) if kind == "exp" else y


def predict_proba(coded: Coded, X: Rows) -> NDArray[np.float32]:
    """Return what ``predict_proba`` of the C code does."""
    z, kind = in_units(coded, raw_outputs(coded, X)), coded.specification.kind
    with np.errstate(all="ignore"):
        if kind == "multiclass":
            p = np.exp(z - z.max(axis=1, keepdims=True))
            return p / p.sum(axis=1, keepdims=True)
        p = _logistic(z)
    return np.hstack([1 - p, p]) if kind == "binary" else p


def _logistic(z: NDArray[np.float32]) -> NDArray[np.float32]:
    return (1 / (1 + np.exp(-z))).astype(np.float32)


def fixed(x: Rows, exponent: NDArray[Any]) -> Integers:
    """``x * 2^exponent``, rounded half away from zero and saturated; NaN is a value of its own."""
    bits = x.view(np.uint32).astype(np.int64)
    shift = ((bits >> 23) & 255) - 150 + exponent
    size = (bits & 0x7FFFFF) | 0x800000
    right = np.clip(-shift, 1, 31)
    size = np.select(
        [((bits >> 23) & 255 == 0) | (shift < -24), shift < 0, shift <= 6],
        [0, (size + (1 << (right - 1))) >> right, size << np.clip(shift, 0, 6)],
        FIXED_LIMIT,
    )
    size = np.minimum(size, FIXED_LIMIT)
    return np.where(np.isnan(x), _MISSING, np.where(bits >> 31, -size, size))


def _integer_inputs(coded: Coded, X: Rows) -> Integers:
    inputs, values = coded.specification.inputs, coded.values
    x = np.ascontiguousarray(X[:, [read.column for read in inputs]])
    n = len(affine_inputs(coded.specification))
    q = np.empty(x.shape, dtype=np.int64)
    raw = fixed(x[:, :n], values["exponents"].astype(np.int64))
    centres, low, high = (values[name].astype(np.int64) for name in ("centres", "low", "high"))
    missing = values["missing"].astype(np.int64) if "missing" in values else -centres
    q[:, :n] = np.clip(np.where(raw == _MISSING, missing, raw - centres), low, high)
    raw = fixed(x[:, n:], np.zeros(1, dtype=np.int64))
    takes = np.array([read.takes_missing for read in indicators(coded.specification)], dtype=bool)
    is_one = (raw == values["codes"]) | ((raw == _MISSING) & takes)
    q[:, n:] = np.where(is_one, int(coded.settings["one"]), 0)
    return q


def _integer_outputs(coded: Coded, q: Integers) -> Integers:
    start, settings = 0, {name: int(value) for name, value in coded.settings.items()}
    for index, weights in enumerate(coded.weights):
        own = slice(start, start + weights.shape[1])
        biases, factors, shifts = (
            coded.values[name][own].astype(np.int64) for name in ("biases", "factors", "shifts")
        )
        # Sums of whole numbers below 2^53 are exact in double precision, and much faster.
        products = (q.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)
        sums = products + (biases << settings["bias_shift"])
        size = (((np.abs(sums) + 128) >> 8) * factors + (1 << (shifts - 1))) >> shifts
        q = np.sign(sums) * np.minimum(size, settings["saturation"])
        if index < len(coded.weights) - 1:
            q = _integer_activation(coded, q)
        start = own.stop
    return q


def _integer_activation(coded: Coded, q: Integers) -> Integers:
    name, limit = coded.specification.activation, int(coded.settings["limit"])
    if name == "identity":
        return q
    if name == "relu":
        return np.maximum(q, 0)
    table, bits = coded.values["tanh"].astype(np.int64), 8 - int(coded.settings["gain"])
    place = np.minimum(np.abs(q) >> bits, len(table) - 1)
    rest = np.abs(q) & ((1 << bits) - 1)
    difference = np.append(np.diff(table), 0)[place]
    t = np.sign(q) * (table[place] + ((difference * rest) >> bits))
    return t if name == "tanh" else (limit + t + 1) >> 1


def _float_inputs(coded: Coded, X: Rows) -> Rows:
    inputs, values = coded.specification.inputs, coded.values
    n = len(affine_inputs(coded.specification))
    x = X[:, [read.column for read in inputs]].astype(np.float32)
    u = x[:, :n]
    if "missing" in values:
        u = np.where(np.isnan(u), values["missing"], u)
    if "low" in values:
        u = np.where(u < values["low"], values["low"], u)
        u = np.where(u > values["high"], values["high"], u)
    if "centres" in values:
        u = (u - from_short(values["centres"])) * from_short(values["input_scales"])
    takes = np.array([read.takes_missing for read in indicators(coded.specification)], dtype=bool)
    x[:, n:] = (x[:, n:] == values["codes"]) | (np.isnan(x[:, n:]) & takes)
    x[:, :n] = u
    return x


def _float_outputs(coded: Coded, x: Rows) -> Rows:
    start, values = 0, coded.values
    for index, weights in enumerate(coded.weights):
        own = slice(start, start + weights.shape[1])
        with_zeros = coded.stored.forms[index] == "dense" and coded.stored.values.size > 0
        sums = _float_sums(x, weights.astype(np.float32), with_zeros)
        if "scales" in values:
            sums *= from_short(values["scales"][own])
        x = sums + values["biases"][own]
        if index < len(coded.weights) - 1:
            x = _float_activation(coded.specification.activation, x)
        start = own.stop
    return x


def _float_sums(x: Rows, weights: Rows, with_zeros: bool) -> Rows:
    sums = x @ weights
    if not np.isfinite(sums).all():
        # Whether infinity or NaN comes of an overflow hangs on the order of the sum, and on
        # whether zeros are in it.
        sums = np.zeros_like(sums)
        for of_input, row in zip(x.T, weights, strict=True):
            sums += np.where(with_zeros | (row != 0), np.outer(of_input, row), np.float32(0))
    return sums


def _float_activation(name: str, x: Rows) -> Rows:
    if name == "relu":
        return np.where(x < 0, np.float32(0), x)
    if name == "tanh":
        return np.tanh(x)
    return _logistic(x) if name == "logistic" else x
