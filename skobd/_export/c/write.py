"""Text of the C code: its opening comment, constants, functions and self-test."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import emulate
from .coded import Coded
from .fragments import PREAMBLE
from .functions import functions_of
from .reader import Reader
from .size import constant_bytes, scratch_bytes
from .specification import KINDS, Affine, Indicator, Rows
from .text import array, comment, number, plain

_MEANINGS = {
    "columns": "raw column of each input",
    "exponents": "of 2, steps in a unit of each input",
    "centres": "of each input",
    "input_scales": "of each input, upper halves of single precision",
    "missing": "what each input is taken for where it is NaN",
    "low": "least value of each input",
    "high": "greatest value of each input",
    "codes": "that make an input 1",
    "units": "of each layer",
    "forms": "of the indices of each layer",
    "weights": "unit by unit",
    "indices": "which inputs the weights belong to",
    "counts": "weights of each unit",
    "biases": "of each unit",
    "scales": "of the weights of each unit, upper halves of single precision",
    "factors": "of each unit",
    "shifts": "of each unit",
    "tanh": "at multiples of 1/16",
    "output_scales": "what a step of each output is worth",
    "output_offsets": "of each output",
}
# Rows whose result hangs on rounding would fail on another processor.
_CLEAR = 1e-3


def write(coded: Coded, name: str, version: str, results: Sequence[str], rows: Rows | None) -> str:
    """The C code of a network.

    Parameters
    ----------
    coded : Coded
    name : str
        Beginning of all names.
    version : str
        Of this package.
    results : sequence of str
        Lines on accuracy for the comment.
    rows : ndarray of shape (n_rows, n_columns) or None
        Rows for a test on the device.
    """
    constants = _constants(coded.tables)
    parts = [_include_math(coded), PREAMBLE, *constants, *functions_of(Reader(coded))]
    if rows is not None:
        parts += _self_test(coded, rows)
    body = "\n\n".join(part for part in parts if part)
    guard = "@H_INCLUDED"
    text = f"#ifndef {guard}\n#define {guard}\n\n{body}\n\n#endif\n".replace("@", f"{name}_")
    return _head(coded, name, version, results, rows is not None) + "\n" + text


def _include_math(coded: Coded) -> str:
    specification = coded.specification
    is_smooth = specification.activation in ("tanh", "logistic") and len(specification.layers) > 1
    needs = specification.has_probabilities or specification.kind == "exp"
    return "#include <math.h>" * (needs or (is_smooth and coded.arithmetic == "float"))


def _constants(tables: dict[str, NDArray[Any]]) -> list[str]:
    return [
        f"/* {_MEANINGS[name].capitalize()}. */\n" + array(f"@{name}", table, "@CONST")
        for name, table in tables.items()
    ]


def _head(coded: Coded, name: str, version: str, results: Sequence[str], has_test: bool) -> str:
    specification = coded.specification
    how = {
        "int": "integers: 8-bit weights, 16-bit activations, 32-bit sums that cannot overflow",
        "float": f"floats, weights stored as {coded.weights[0].dtype.name}",
    }
    sizes = "-".join(map(str, specification.sizes))
    lines = [
        f"{plain(specification.title)}, written by skobd {version}.",
        "",
        f"Network {sizes}, {specification.n_weights:,} weights, {specification.activation} units. "
        f"Computed in {how[coded.arithmetic]}.",
        f"Constants take {constant_bytes(coded):,} bytes, activations {scratch_bytes(coded):,} "
        "bytes of the stack.",
        *results,
        "",
        "Include this in one source file and call",
        "",
        *_calls(coded, name),
        "",
        f"x has {len(specification.column_names)} values, the raw columns that the model was "
        "fitted with. Those that are used:",
        "",
        *_columns(coded),
        "",
        f"{KINDS[specification.kind].meaning.capitalize()}: "
        + ", ".join(f"{k} {plain(label)}" for k, label in enumerate(specification.output_names)),
    ]
    if has_test:
        lines += ["", f"Compiled with {name}_SELF_TEST defined, main returns how many rows fail."]
    return comment(lines)


def _calls(coded: Coded, name: str) -> list[str]:
    specification = coded.specification
    n = len(specification.output_names)
    if specification.is_classifier:
        calls = [f"    int {name}_predict(const float *x);    index of the class"]
    else:
        calls = [f"    void {name}_predict(const float *x, float *y);    y has {n} values"]
    if specification.has_probabilities:
        calls.append(
            f"    void {name}_predict_proba(const float *x, float *p);    p has {n} values"
        )
    return calls


def _columns(coded: Coded) -> list[str]:
    """A line for each raw column that is used."""
    specification = coded.specification
    found: dict[int, list[str]] = {}
    codes: dict[int, list[str]] = {}
    for place, read in enumerate(specification.inputs):
        texts = found.setdefault(read.column, [])
        if isinstance(read, Indicator):
            codes.setdefault(read.column, []).append(str(read.code))
            if read.takes_missing:
                texts.append(f"NaN counts as {read.code}")
        else:
            texts += _meaning(coded, place, read)
    for column, values in codes.items():
        found[column].insert(0, "compared with the codes " + ", ".join(values))
    return [
        f"    x[{column}] {plain(specification.column_names[column])}: " + "; ".join(texts)
        for column, texts in sorted(found.items())
    ] or ["    none, the output is always the same"]


def _meaning(coded: Coded, place: int, read: Affine) -> list[str]:
    """Describe how a column that is taken as a number is read."""
    texts = []
    if coded.arithmetic == "int":
        step = 2.0 ** -float(coded.values["exponents"][place])
        centre = float(coded.values["centres"][place])
        ends = ((centre + float(coded.values[end][place])) * step for end in ("low", "high"))
        texts.append("from {:.6g} to {:.6g}, saturates beyond".format(*ends))
    elif np.isfinite([read.low, read.high]).any():
        texts.append(f"clipped to {read.low:.6g} to {read.high:.6g}")
    if read.missing is not None:
        texts.append(f"NaN counts as {read.missing:.6g}")
    elif coded.arithmetic == "int":
        texts.append("NaN counts as 0")
    return texts or ["a number"]


def _self_test(coded: Coded, rows: Rows) -> list[str]:
    """Rows, what is expected of them, and ``main``."""
    specification, n = coded.specification, len(rows)
    expected = emulate.predict(coded, rows)
    n_columns, n_outputs = rows.shape[1], len(specification.output_names)
    kind = np.int32 if specification.is_classifier else np.float32
    expected = np.asarray(expected, dtype=kind)
    parts = [
        "#ifdef @SELF_TEST\n/* Rows and what is expected of them. */",
        array("@rows", rows, "@CONST"),
        array("@expected", expected, "@CONST"),
    ]
    if specification.is_classifier:
        local, check = "", "n_wrong += @predict(x) != (int)@READ32(@expected + row);"
    else:
        tolerance = number(1e-4 * float(np.abs(expected).max(initial=0)) + 1e-30)
        local = f"\n    float y[{n_outputs}];\n    int is_wrong;"
        check = f"""@predict(x, y);
        is_wrong = 0;
        for (k = 0; k < {n_outputs}; k++) {{
            float gap = y[k] - @READF(@expected + row * {n_outputs} + k);
            is_wrong |= !(gap <= {tolerance} && gap >= -{tolerance});
        }}
        n_wrong += is_wrong;"""
    main = f"""int main(void)
{{
    static float x[{n_columns}];
    int n_wrong = 0;{local}
    uint32_t row, k;
    for (row = 0; row < {n}; row++) {{
        for (k = 0; k < {n_columns}; k++)
            x[k] = @READF(@rows + row * {n_columns} + k);
        {check}
    }}
    return n_wrong;
}}
#endif"""
    return [*parts, main]


def clear_rows(coded: Coded, rows: Rows, n: int) -> Rows:
    """``n`` rows, evenly spread, finite like their results, which do not hang on rounding.

    Raises
    ------
    ValueError
        If there are not as many.
    """
    expected = emulate.predict(coded, rows).reshape(len(rows), -1)
    fit = np.isfinite(rows).all(axis=1) & np.isfinite(expected).all(axis=1)
    raw = emulate.raw_outputs(coded, rows)
    if coded.specification.has_probabilities and coded.arithmetic == "float":
        if coded.specification.kind == "multiclass":
            gaps = np.diff(np.sort(raw, axis=1)[:, -2:], axis=1)
        else:
            gaps = np.abs(raw)
        fit &= (gaps > _CLEAR * np.abs(raw).max()).all(axis=1)
    found = rows[fit]
    if len(found) < n:
        raise ValueError(
            f"self_test={n} needs as many rows in X without NaN whose result is finite and does "
            f"not hang on rounding, and there are {len(found)}."
        )
    return found[np.linspace(0, len(found) - 1, n).astype(int)]
