"""Random networks as C code, and C code compiled and called."""

import ctypes
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest

from skobd._export.c.coded import Coded
from skobd._export.c.floats import float_network
from skobd._export.c.integers import integer_network
from skobd._export.c.specification import (
    ACTIVATIONS,
    KINDS,
    Affine,
    Indicator,
    Layer,
    Specification,
    simplified,
)
from skobd._export.c.write import write

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wdouble-promotion", "-Werror"]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")
FLOATS = ctypes.POINTER(ctypes.c_float)

# Raw outputs, which the code keeps to itself.
RAW = """
void {name}_raw(const float *x, {type} *y);
void {name}_raw(const float *x, {type} *y)
{{
    {type} even[{even}], odd[{odd}];
    const {type} *z = {name}_run(x, even, odd);
    int k;
    for (k = 0; k < {n}; k++)
        y[k] = z[k];
}}
"""


def compile_c(text, folder, *options, compiler=None):
    """Compile C code strictly; returns the loaded library."""
    source, library = folder / "code.c", folder / "code.so"
    source.write_text(text, encoding="ascii")
    command = [compiler or COMPILERS[0], *STRICT, "-O1", *options, "-shared", "-fPIC"]
    subprocess.run([*command, str(source), "-o", str(library), "-lm"], check=True)
    return ctypes.CDLL(str(library))


def with_raw(coded: Coded, name):
    """C code of a network that also has ``<name>_raw``."""
    sizes = coded.specification.sizes
    even, odd = max(1, *sizes[::2]), max(sizes[1::2])
    kind = "int16_t" if coded.arithmetic == "int" else "float"
    return write(coded, name, "0", [], None) + RAW.format(
        name=name, type=kind, even=even, odd=odd, n=sizes[-1]
    )


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def call(function, X, n_outputs, dtype):
    """What a function that fills an array in makes of each row."""
    rows, found = np.ascontiguousarray(X, dtype=np.float32), np.zeros((len(X), n_outputs), dtype)
    function.restype = None
    for row, out in zip(rows, found, strict=True):
        function(pointer(row), pointer(out))
    return found


def call_predict(library, name, X, n_outputs, is_classifier):
    """What ``predict`` of the code returns for each row."""
    predict = getattr(library, f"{name}_predict")
    if not is_classifier:
        return call(predict, X, n_outputs, np.float32)
    rows = np.ascontiguousarray(X, dtype=np.float32)
    return np.array([predict(pointer(row)) for row in rows])


def random_layers(rng, sizes):
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        density = rng.choice([0.03, 0.15, 0.4, 1.0])
        weights = rng.normal(size=(fan_in, fan_out)) * (rng.random((fan_in, fan_out)) < density)
        # Units of very different scale, and some without any weight.
        weights *= 10 ** rng.uniform(-1.5, 0.5, fan_out) * (rng.random(fan_out) < 0.9)
        weights /= np.sqrt(max(density * fan_in, 1))
        # Now and then so small beside the biases that 8 bits leave nothing of them.
        weights *= rng.choice([1, 1, 1, 1, 1, 30, 1e-3, 1e-12])
        layers.append(Layer(weights, rng.normal(size=fan_out)))
    return tuple(layers)


def random_input(rng, column):
    if rng.random() < 0.2:
        return Indicator(column, int(rng.integers(-2, 4)), bool(rng.random() < 0.3))
    scale = 10 ** rng.uniform(-2, 2) * rng.choice([-1, 1])
    read = Affine(column, scale, rng.normal() * scale)
    if rng.random() < 0.3:
        read = Affine(column, scale, rng.normal() * scale, -0.5, rng.uniform(0, 2))
    if rng.random() < 0.3:
        read = Affine(column, read.scale, read.offset, read.low, read.high, missing=rng.normal())
    return read


def random_specification(seed, n_columns=None, n_outputs=None, depth=None, kind=None):
    """A network of any kind, with any inputs."""
    rng = np.random.default_rng(seed)
    kind = kind or rng.choice(list(KINDS))
    depth = int(rng.integers(4)) if depth is None else depth
    n_columns = n_columns or int(rng.choice([1, 4, 17, 60, 300]))
    n_outputs = n_outputs or (1 if kind == "binary" else int(rng.integers(1, 12)))
    columns = range(n_columns)
    if rng.random() < 0.3:
        inputs = tuple(Affine(column) for column in columns)
    else:
        inputs = tuple(random_input(rng, column) for column in columns)
    sizes = (n_columns, *rng.integers(1, 30, depth), n_outputs)
    return simplified(
        Specification(
            "Network */ of chance",
            tuple(f"column {column}" for column in columns),
            inputs,
            random_layers(rng, sizes),
            str(rng.choice(list(ACTIVATIONS))),
            kind,
            tuple(f"class {k}" for k in range(n_outputs + (kind == "binary"))),
        )
    )


def random_rows(seed, n_columns, n=40):
    """Rows with whole numbers, zeros of both signs and subnormal numbers among them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_columns)).astype(np.float32)
    whole = rng.random(X.shape) < 0.4
    X[whole] = np.rint(2 * X[whole])
    X[0], X[1], X[2] = 0, -0.0, 1e-42
    return X


def wild_rows(seed, n_columns, n=20):
    """Rows that are partly far beyond any range, infinite or missing."""
    X = random_rows(seed, n_columns, n)
    rng = np.random.default_rng(seed)
    wild = np.array([1e30, -1e30, 3e38, np.inf, -np.inf, np.nan, 1e-45, -7e4, 16_777_217.0, 3e9])
    where = rng.random(X.shape) < 0.5
    X[where] = rng.choice(wild, where.sum())
    return X


def coded_as(specification, arithmetic, dtype="int8", seed=0):
    if arithmetic == "float":
        return float_network(specification, dtype)
    return integer_network(specification, random_rows(seed, len(specification.column_names)))
