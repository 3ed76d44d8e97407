"""Constants of float arithmetic: weights in single precision, or in 8 bits with a scale a unit.

Inputs are brought near to 0 and 1 by ``u = (x - centre) * scale``, where both have 8 significant
bits only; what rounding leaves of the transformers is taken over by the first layer.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .coded import Coded, affine_inputs, codes, from_short, to_short
from .forms import store
from .specification import FloatArray, Specification

_SMALLEST_SCALE = 2.0**-126
_LARGEST = float(np.finfo(np.float32).max)


def float_network(specification: Specification, dtype: str) -> Coded:
    """Constants of a network in float arithmetic; ``dtype`` is that of the weights."""
    values, first, zeros = _inputs(specification)
    weights: list[NDArray[Any]] = []
    scales, biases = [], [layer.biases for layer in specification.layers]
    for exact in (first, *(layer.weights for layer in specification.layers[1:])):
        if dtype == "int8":
            quantised, scale = _quantised(exact)
            weights.append(quantised)
            scales.append(scale)
        else:
            weights.append(exact.astype(np.float32))
    # By the weights that are stored: where the network's inputs are 0, rounding them does nothing.
    of_units = from_short(scales[0]).astype(float) if scales else 1.0
    biases[0] = biases[0] - zeros @ weights[0].astype(float) * of_units
    values["biases"] = np.concatenate(biases).astype(np.float32)
    if scales and any(layer.any() for layer in weights):
        values["scales"] = np.concatenate(scales)
    return Coded(specification, "float", tuple(weights), store(weights), values)


def _inputs(
    specification: Specification,
) -> tuple[dict[str, NDArray[Any]], FloatArray, FloatArray]:
    """Constants of the inputs, the first layer's weights for inputs ``u``, and ``u`` for 0."""
    affine, weights = affine_inputs(specification), specification.layers[0].weights.copy()
    zeros, n = np.zeros(len(weights)), len(affine)
    values: dict[str, NDArray[Any]] = {"codes": codes(specification)}
    if any(read.missing is not None for read in affine):
        centres = [-read.offset / read.scale for read in affine]
        filled = [
            centre if read.missing is None else read.missing
            for read, centre in zip(affine, centres, strict=True)
        ]
        values["missing"] = np.array(filled, dtype=np.float32)
    if any(np.isfinite([read.low, read.high]).any() for read in affine):
        values["low"] = _within_floats([read.low for read in affine])
        values["high"] = _within_floats([read.high for read in affine])
    if all((read.scale, read.offset) == (1, 0) for read in affine):
        return values, weights, zeros
    scale = np.array([read.scale for read in affine])
    offset = np.array([read.offset for read in affine])
    values["centres"] = to_short(-offset / scale)
    values["input_scales"] = to_short(scale)
    centre, short_scale = (from_short(values[n]).astype(float) for n in ("centres", "input_scales"))
    zeros[:n] = -(scale * centre + offset) * (short_scale / scale)
    weights[:n] *= (scale / short_scale)[:, np.newaxis]
    return values, weights, zeros


def _within_floats(bounds: list[float]) -> NDArray[np.float32]:
    return np.clip(bounds, -_LARGEST, _LARGEST).astype(np.float32)


def _quantised(weights: FloatArray) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
    """Weights in 8 bits and the scale of each unit, so that ``weights ~ quantised * scale``."""
    largest = np.abs(weights).max(axis=0, initial=0)
    shorts = to_short(np.maximum(largest / 127, _SMALLEST_SCALE), up=True)
    quantised = np.rint(weights / from_short(shorts).astype(float))
    return quantised.astype(np.int8), shorts
