"""Constants of integer arithmetic: 8-bit weights, 16-bit activations, 32-bit sums.

An input or activation is ``q * step`` with a whole number ``|q| <= limit``. A unit computes

    sum = bias + sum_j weight_j q_j,        q = saturate(round(round(sum / 2^8) factor / 2^shift)),

rounding halves away from zero. ``factor`` has 8 bits with the highest set, and the scale of the
weights is what makes this exact, so that nothing is lost by rounding it. No sum overflows:
``|bias| + limit sum_j |weight_j|`` is below 2^31 - 2^8 for each unit, or ``limit`` is lowered
until it is. Then ``round(sum / 2^8) factor`` is below 2^31, and adding a half at most 2^30.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .coded import Coded, affine_inputs, codes, smallest
from .forms import store
from .specification import Affine, FloatArray, Layer, Rows, Specification

LARGEST = 2**15 - 1
MOST_OF_A_SUM = 2**31 - 2**8
FIXED_LIMIT = 2**30 - 1
# A standard deviation of an input has limit / 2^4 steps, so that 16 of them fit.
_DEVIATIONS = 16
# What was seen of hidden activations and outputs may double before it saturates.
_ROOM = 2.0
# tanh: steps of 2^-12 before, a table with steps of 2^-4 up to 4.
_TANH_STEP, _TANH_ENTRIES, _MOST_GAIN = 2.0**-12, 65, 8
_LEAST_SHIFT, _MOST_SHIFT, _LARGEST_FACTOR = 1, 31, 255
_LARGEST_RATIO = _LARGEST_FACTOR * 2.0 ** -(8 + _LEAST_SHIFT)
# Sizes of biases in units of a sum: at most, and of units that have nothing else.
_MOST_OF_A_BIAS, _LONE_BIAS = 2.0**29, 2.0**20
# What rounding biases to 16 bits may cost, in steps of the result.
_STEPS_OF_A_BIAS = 4
_MOST_EXPONENT = 126


Values = dict[str, NDArray[Any]]


class _Folded(NamedTuple):
    """A layer for inputs in steps: a step of input j is worth ``steps[j]``, and 0 ``zeros[j]``."""

    weights: FloatArray
    biases: FloatArray
    means: FloatArray

    @classmethod
    def of(cls, layer: Layer, means: FloatArray, steps: FloatArray, zeros: FloatArray) -> "_Folded":
        """With the mean of each input, in steps."""
        weights = layer.weights * steps[:, np.newaxis]
        return cls(weights, layer.biases + zeros @ layer.weights, (means - zeros) / steps)

    @property
    def needed(self) -> FloatArray:
        """Return the least worth of one unit of each unit's sum."""
        largest = np.abs(self.weights).max(axis=0, initial=0)
        of_bias = np.where(largest > 0, _MOST_OF_A_BIAS, _LONE_BIAS)
        return np.maximum(largest / 127, np.abs(self.biases) / of_bias)


class _Units(NamedTuple):
    """Constants of the units of a layer, and what a step of their results is worth."""

    weights: NDArray[np.int8]
    biases: NDArray[np.int64]
    factors: NDArray[np.uint8]
    shifts: NDArray[np.uint8]
    steps: FloatArray

    @classmethod
    def of(cls, layer: _Folded, steps: FloatArray) -> "_Units":
        """Results in the steps given: one for each unit, or one for all; coarser if need be."""
        coarser = layer.needed / steps / _LARGEST_RATIO
        steps = steps * np.maximum(coarser if len(steps) > 1 else coarser.max(keepdims=True), 1)
        ratios = np.maximum(layer.needed / steps, 2.0**-64)
        shifts = np.floor(np.log2(_LARGEST_FACTOR / ratios)) - 8
        shifts = np.clip(shifts, _LEAST_SHIFT, _MOST_SHIFT)
        factors = np.clip(np.ceil(ratios * 2.0 ** (8 + shifts)), 1, _LARGEST_FACTOR)
        scales = factors * 2.0 ** -(8 + shifts) * steps
        weights = np.clip(np.rint(layer.weights / scales), -127, 127)
        # What rounding does to the mean of the sum, the bias takes back.
        lost = layer.means @ (layer.weights - weights * scales)
        biases = np.rint((layer.biases + lost) / scales)
        return cls(
            weights.astype(np.int8),
            biases.astype(np.int64),
            factors.astype(np.uint8),
            shifts.astype(np.uint8),
            steps,
        )


def integer_network(specification: Specification, X: Rows) -> Coded:
    """Constants of a network in integer arithmetic, for inputs such as the rows ``X``.

    Raises
    ------
    ValueError
        If weights are too large for it.
    """
    limit = LARGEST
    while True:
        coded = _within_limit(specification, X, limit)
        bound = largest_sum(coded)
        if bound <= MOST_OF_A_SUM:
            return coded
        limit = min(limit - 1, int(limit * (MOST_OF_A_SUM / bound)))


def largest_sum(coded: Coded) -> int:
    """Largest size that any partial sum of any unit can take."""
    biases = np.abs(coded.values["biases"].astype(np.int64)) << int(coded.settings["bias_shift"])
    weights = [np.abs(layer.astype(np.int64)).sum(axis=0) for layer in coded.weights]
    return int((np.concatenate(weights) * int(coded.settings["limit"]) + biases).max())


def _within_limit(specification: Specification, X: Rows, limit: int) -> Coded:
    """Constants for the limit given, whether or not sums may overflow."""
    activations = specification.activations(X)
    *hidden, last = specification.layers
    values, steps, zeros = _inputs(specification, X, limit)
    is_smooth = specification.activation in ("tanh", "logistic") and bool(hidden)
    settings: dict[str, float] = {
        "limit": limit,
        "saturation": LARGEST if is_smooth else limit,
        "one": _one(limit),
        "gain": _gain(specification, steps, zeros, limit) if is_smooth else 0,
    }
    units = []
    for layer, before, after in zip(hidden, activations, activations[1:], strict=False):
        folded = _Folded.of(layer, before.mean(axis=0), steps, zeros)
        if is_smooth:
            units.append(_Units.of(folded, _smooth_step(specification) * 2.0 ** settings["gain"]))
            step = 1 / limit
        else:
            seen = np.abs(after).max(initial=0.0) or 1.0
            units.append(_Units.of(folded, np.full(1, _ROOM * seen / limit)))
            step = units[-1].steps[0]
        steps, zeros = np.full(len(layer.biases), step), np.zeros(len(layer.biases))
    folded = _Folded.of(last, activations[-2].mean(axis=0), steps, zeros)
    centres, steps = _outputs(specification, activations[-1], settings["saturation"])
    units.append(_Units.of(folded._replace(biases=folded.biases - centres), steps))
    if specification.has_probabilities:
        settings["output_scale"] = float(np.float32(units[-1].steps[0]))
    else:
        values["output_offsets"] = centres.astype(np.float32)
        values["output_scales"] = units[-1].steps.astype(np.float32)
    if is_smooth:
        values["tanh"] = tanh_table(limit)
    weights = tuple(unit.weights for unit in units)
    biases, settings["bias_shift"] = _short_biases(units)
    values["biases"] = biases
    values["factors"] = np.concatenate([unit.factors for unit in units])
    values["shifts"] = np.concatenate([unit.shifts for unit in units])
    return Coded(specification, "int", weights, store(weights), values, settings)


def _one(limit: int) -> int:
    """An indicator that is 1."""
    return max(limit // _DEVIATIONS, 1)


def _inputs(specification: Specification, X: Rows, limit: int) -> tuple[Values, Any, Any]:
    """Constants of the inputs, and what a step and 0 of each are worth."""
    affine, n = affine_inputs(specification), len(specification.inputs)
    ranges = [_range(read, read.raw(X), limit) for read in affine]
    exponents = np.array([exponent for exponent, _ in ranges], dtype=np.int64)
    if len(affine) and np.ptp(exponents) == 1:
        # The same for all: none is stored, and a bit of precision is not missed.
        exponents[:] = exponents.min()
    raw_steps = 2.0**-exponents
    centres = np.rint([centre for _, centre in ranges] / raw_steps).astype(np.int64)
    scale = np.array([read.scale for read in affine])
    offset = np.array([read.offset for read in affine])
    steps, zeros = np.full(n, 1 / _one(limit)), np.zeros(n)
    steps[: len(affine)] = scale * raw_steps
    zeros[: len(affine)] = scale * raw_steps * centres + offset

    def in_steps(raw: list[float]) -> NDArray[Any]:
        q = np.rint(np.array(raw, dtype=float) / raw_steps) - centres
        return smallest(np.clip(q, -limit, limit).astype(np.int64))

    values: Values = {
        "exponents": exponents.astype(np.int8),
        "centres": smallest(centres),
        "low": in_steps([read.low for read in affine]),
        "high": in_steps([read.high for read in affine]),
        "codes": codes(specification),
    }
    if any(read.missing is not None for read in affine):
        values["missing"] = in_steps([np.clip(r.missing or 0.0, r.low, r.high) for r in affine])
    return values, steps, zeros


def _range(read: Affine, x: FloatArray, limit: int) -> tuple[int, float]:
    """Binary logarithm of the steps in a unit of a raw column, and the middle of its range."""
    deviation = float(x.std()) or 1 / abs(read.scale)
    exponent = round(np.log2(limit / _DEVIATIONS / deviation))
    largest = float(np.abs(x).max())
    if largest:
        exponent = min(exponent, int(np.floor(np.log2(FIXED_LIMIT / largest))) - 1)
    exponent = int(np.clip(exponent, -_MOST_EXPONENT, _MOST_EXPONENT))
    if largest * 2.0**exponent <= limit:
        return exponent, 0.0
    half = (float(x.max()) - float(x.min())) / 2
    if half:
        exponent = min(exponent, int(np.floor(np.log2(limit / half))))
    return exponent, float(x.min()) + half


def _smooth_step(specification: Specification) -> FloatArray:
    """Return the worth of a step of tanh's argument, as an argument of the activation."""
    return np.full(1, _TANH_STEP * (2.0 if specification.activation == "logistic" else 1.0))


def _gain(specification: Specification, steps: FloatArray, zeros: FloatArray, limit: int) -> int:
    """Binary logarithm of how much coarser steps before tanh have to be than `_TANH_STEP`."""
    needed = 0.0
    for layer in specification.layers[:-1]:
        folded = _Folded.of(layer, zeros, steps, zeros)
        needed = max(needed, float(folded.needed.max()))
        steps, zeros = np.full(len(layer.biases), 1 / limit), np.zeros(len(layer.biases))
    coarser = needed / float(_smooth_step(specification)[0]) / _LARGEST_RATIO
    gain = int(np.ceil(np.log2(max(coarser, 1.0))))
    if gain > _MOST_GAIN:
        raise ValueError(
            "The weights are too large for integer arithmetic: standardise the inputs before the "
            "network, train with a larger alpha, or use arithmetic='float'."
        )
    return gain


def tanh_table(limit: int) -> NDArray[np.uint16]:
    """Values at multiples of 1/16 up to 4, so that lines between them err as much either way."""
    at = np.arange(_TANH_ENTRIES) / 16
    t = np.tanh(at)
    # A chord of a curve with second derivative f'' is off by h^2 / 8 |f''| in its middle.
    t += (1 / 16) ** 2 / 16 * 2 * t * (1 - t * t)
    # Beyond 4 there is only the last value.
    t[-1] = (1 + np.tanh(4.0)) / 2
    return np.rint(t * limit).astype(np.uint16)


def _outputs(
    specification: Specification, raw: FloatArray, saturation: float
) -> tuple[FloatArray, FloatArray]:
    """Middle of the range of each raw output, and what a step is worth (one for all logits)."""
    if specification.has_probabilities:
        largest = np.abs(raw).max(initial=0.0) or 1.0
        return np.zeros(raw.shape[1]), np.full(1, _ROOM * largest / saturation)
    low, high = raw.min(axis=0), raw.max(axis=0)
    half = np.where(high > low, (high - low) / 2, np.maximum(np.abs(high), 1) * 2.0**-10)
    return (low + high) / 2, _ROOM * half / saturation


def _short_biases(units: list[_Units]) -> tuple[NDArray[Any], int]:
    """Biases of all layers in 16 bits, times a power of two, where that is precise enough."""
    biases = np.concatenate([unit.biases for unit in units])
    ratios = np.concatenate([unit.factors * 2.0 ** -(8.0 + unit.shifts) for unit in units])
    shift = max(int(np.ceil(np.log2(max(np.abs(biases).max() / LARGEST, 1)))), 0)
    if ratios.max() * 2.0**shift > _STEPS_OF_A_BIAS:
        return biases.astype(np.int32), 0
    return smallest(np.rint(biases / 2.0**shift).astype(np.int64)), shift
