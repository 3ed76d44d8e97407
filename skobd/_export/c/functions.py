"""Functions of the C code as text; ``@`` begins all names."""

from .coded import affine_inputs, indicators
from .fragments import ADDED, FIXED, FLOAT_ACTIVATIONS, SCALED, SHORT, TANH
from .layers import run
from .reader import Reader, indent
from .text import number


def functions_of(reader: Reader) -> list[str]:
    """Every function, in the order in which they need each other."""
    found = []
    if reader.has_shorts:
        found.append(SHORT)
    if reader.is_int:
        found += [FIXED] * bool(reader.specification.inputs)
        found += [ADDED] * reader.has_weights
        found.append(SCALED.format(saturation=int(reader.coded.settings["saturation"])))
    if reader.specification.inputs:
        found.append(inputs(reader))
    if reader.has_activation:
        found.append(activation(reader))
    found += [run(reader), predict(reader)]
    return [*found, proba(reader)] if reader.specification.has_probabilities else found


def inputs(reader: Reader) -> str:
    """``@inputs`` computes the inputs of the first layer."""
    n_affine, n = len(affine_inputs(reader.specification)), reader.sizes[0]
    column = reader.read("columns", "k") if "columns" in reader.tables else "k"
    lines = [
        "/* Inputs of the first layer. */",
        f"static void @inputs(const float *x, {reader.value} *u)",
        "{",
        f"    {reader.count} k;",
    ]
    if n_affine:
        lines.append(f"    for (k = 0; k < {n_affine}; k++) {{")
        lines += _integer_affine(reader, column) if reader.is_int else _float_affine(reader, column)
        lines.append("    }")
    if n > n_affine:
        lines += _indicators(reader, column, n_affine)
    return "\n".join([*lines, "}"])


def _integer_affine(reader: Reader, column: str) -> list[str]:
    centre = reader.read("centres", "k")
    lines = [f"        int32_t v = @fixed(x[{column}], {reader.read('exponents', 'k')});"]
    if "missing" in reader.coded.values:
        lines.append(f"        v = v == @MISSING ? {reader.read('missing', 'k')} : v - {centre};")
    else:
        lines.append(f"        v = (v == @MISSING ? 0 : v) - {centre};")
    for name, sign in (("low", "<"), ("high", ">")):
        bound = reader.read(name, "k")
        lines += [f"        if (v {sign} {bound})", f"            v = {bound};"]
    return [*lines, "        u[k] = (int16_t)v;"]


def _float_affine(reader: Reader, column: str) -> list[str]:
    values = reader.coded.values
    lines = [f"        float v = x[{column}];"]
    if "missing" in values:
        lines += ["        if (v != v)", f"            v = {reader.read('missing', 'k')};"]
    if "low" in values:
        for name, sign in (("low", "<"), ("high", ">")):
            bound = reader.read(name, "k")
            lines += [f"        if (v {sign} {bound})", f"            v = {bound};"]
    if "centres" in values:
        centre, scale = reader.read("centres", "k"), reader.read("input_scales", "k")
        lines.append(f"        u[k] = (v - {centre}) * {scale};")
    else:
        lines.append("        u[k] = v;")
    return lines


def _indicators(reader: Reader, column: str, n_affine: int) -> list[str]:
    n, n_filled = (
        reader.sizes[0],
        sum(read.takes_missing for read in indicators(reader.specification)),
    )
    code = reader.read("codes", f"(k - {n_affine})" if n_affine else "k")
    one = str(int(reader.coded.settings["one"])) if reader.is_int else "1.0f"
    zero = "0" if reader.is_int else "0.0f"
    value, kind = (
        (f"@fixed(x[{column}], 0)", "int32_t") if reader.is_int else (f"x[{column}]", "float")
    )
    same = f"v == {code}" if reader.is_int else f"v == (float){code}"
    if n_filled:
        is_missing = "v == @MISSING" if reader.is_int else "v != v"
        same += (
            f" || ({is_missing} && k >= {n - n_filled})" if n_filled < n else f" || {is_missing}"
        )
    return [
        f"    for (k = {n_affine}; k < {n}; k++) {{",
        f"        {kind} v = {value};",
        f"        u[k] = {same} ? {one} : {zero};",
        "    }",
    ]


def activation(reader: Reader) -> str:
    """``@activation`` of a hidden unit."""
    name = reader.specification.activation
    if reader.is_int and name == "relu":
        body = "    return z < 0 ? 0 : z;"
    elif reader.is_int:
        limit, bits = int(reader.coded.settings["limit"]), 8 - int(reader.coded.settings["gain"])
        table, is_tanh = reader.tables["tanh"], name == "tanh"
        half = f"({limit + 1} + (z < 0 ? -(int32_t)value : (int32_t)value)) >> 1"
        return TANH.format(
            bits=bits,
            steps=(1 << bits) * (16 if is_tanh else 8),
            last=len(table) - 1,
            top=table[-1],
            before=reader.read("tanh", "place"),
            after=reader.read("tanh", "place + 1"),
            mask=(1 << bits) - 1,
            result="return z < 0 ? (int16_t)-(int16_t)value : (int16_t)value;"
            if is_tanh
            else f"return (int16_t)({half});",
        )
    else:
        body = FLOAT_ACTIVATIONS[name]
    return f"static {reader.value} @activation({reader.value} z)\n{{\n{body}\n}}"


def predict(reader: Reader) -> str:
    """``@predict``, which returns a class or fills in numbers."""
    n_outputs, kind = reader.sizes[-1], reader.specification.kind
    if kind == "binary":
        zero = "0" if reader.is_int else "0.0f"
        return _function(reader, "int @predict(const float *x)", [f"return z[0] > {zero};"], "")
    if kind == "multiclass":
        body = [
            f"for (k = 1; k < {n_outputs}; k++)",
            "    if (z[k] > z[best])",
            "        best = k;",
            "return (int)best;",
        ]
        return _function(
            reader, "int @predict(const float *x)", body, f"{reader.count} k, best = 0;"
        )
    y = _in_units(reader)
    if kind == "multilabel":
        y = "z[k] > 0 ? 1.0f : 0.0f" if reader.is_int else "z[k] > 0.0f ? 1.0f : 0.0f"
    y = f"(float)expf({y})" if kind == "exp" else y
    body = [f"for (k = 0; k < {n_outputs}; k++)", f"    y[k] = {y};"]
    return _function(reader, "void @predict(const float *x, float *y)", body, f"{reader.count} k;")


def proba(reader: Reader) -> str:
    """``@predict_proba``."""
    n_outputs, kind, z = reader.sizes[-1], reader.specification.kind, _in_units(reader)
    head = "void @predict_proba(const float *x, float *p)"
    if kind == "binary":
        z = z.replace("[k]", "[0]")
        body = [f"p[1] = 1.0f / (1.0f + (float)expf(-({z})));", "p[0] = 1.0f - p[1];"]
        return _function(reader, head, body, "")
    every = f"for (k = 0; k < {n_outputs}; k++)"
    if kind == "multilabel":
        body = [every, f"    p[k] = 1.0f / (1.0f + (float)expf(-({z})));"]
        return _function(reader, head, body, f"{reader.count} k;")
    body = [
        every + " {",
        f"    p[k] = {z};",
        "    if (p[k] > largest)",
        "        largest = p[k];",
        "}",
        every,
        "    total += p[k] = (float)expf(p[k] - largest);",
        every,
        "    p[k] /= total;",
    ]
    return _function(
        reader, head, body, f"{reader.count} k;\n    float total = 0.0f, largest = -3.0e38f;"
    )


def _in_units(reader: Reader) -> str:
    """The expression of raw output ``k`` as a number."""
    if not reader.is_int:
        return "z[k]"
    if reader.specification.has_probabilities:
        return f"{number(reader.coded.settings['output_scale'])} * (float)z[k]"
    scale, offset = reader.read("output_scales", "k"), reader.read("output_offsets", "k")
    return f"{offset} + {scale} * (float)z[k]"


def _function(reader: Reader, head: str, body: list[str], local: str) -> str:
    even, odd = max(1, *reader.sizes[::2]), max(reader.sizes[1::2])
    lines = [
        f"{reader.value} even[{even}], odd[{odd}];",
        f"const {reader.value} *z = @run(x, even, odd);",
        *([local] if local else []),
        *body,
    ]
    return "\n".join([f"@API {head}", "{", *indent(lines), "}"])
