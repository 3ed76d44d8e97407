"""Functions of the C code as text; ``@`` stands for the beginning of all names."""

from typing import Any

from .coded import Coded, affine_inputs, indicators
from .text import C_TYPES, number

_READERS = {1: "@READ8", 2: "@READ16", 4: "@READ32"}
PREAMBLE = """\
#include <stdint.h>
#ifdef __AVR__
#include <avr/pgmspace.h>
#define @CONST PROGMEM
#define @READ8(place) pgm_read_byte(place)
#define @READ16(place) pgm_read_word(place)
#define @READ32(place) pgm_read_dword(place)
#define @READF(place) pgm_read_float(place)
#else
#define @CONST
#define @READ8(place) (*(place))
#define @READ16(place) (*(place))
#define @READ32(place) (*(place))
#define @READF(place) (*(place))
#endif
#ifndef @API
#define @API /* such as static inline, to include this in several files */
#endif"""
_SHORT = """\
/* The single-precision number of which these are the upper 16 bits. */
static inline float @short(uint16_t upper)
{
    union { uint32_t bits; float value; } number;
    number.bits = (uint32_t)upper << 16;
    return number.value;
}"""
_FIXED = """\
#define @MISSING (-2147483647 - 1)

/* x * 2^exponent, to nearest, at most 2^30 - 1 in size; @MISSING for NaN. */
static int32_t @fixed(float x, int8_t exponent)
{
    union { float value; uint32_t bits; } number;
    uint32_t size;
    int16_t shift;
    number.value = x;
    shift = (int16_t)((number.bits >> 23) & 255);
    size = number.bits & 0x7fffffUL;
    if (shift == 255 && size)
        return @MISSING;
    if (!shift) /* less than 2^-126 */
        return 0;
    size |= 0x800000UL;
    shift = (int16_t)(shift - 150 + exponent);
    if (shift > 6)
        size = 0x3fffffffUL;
    else if (shift >= 0)
        size <<= shift;
    else if (shift < -24)
        size = 0;
    else
        size = ((size >> (-1 - shift)) + 1) >> 1;
    return number.bits >> 31 ? -(int32_t)size : (int32_t)size;
}"""
_SCALED = """\
/* sum / 2^8 * factor / 2^shift, rounded to nearest both times, at most {saturation} in size. */
static int16_t @scaled(int32_t sum, uint8_t factor, uint8_t shift)
{{
    uint32_t size = sum < 0 ? (uint32_t)-sum : (uint32_t)sum;
    size = ((size + 128) >> 8) * factor;
    size = ((size >> (shift - 1)) + 1) >> 1;
    if (size > {saturation})
        size = {saturation};
    return sum < 0 ? (int16_t)-(int16_t)size : (int16_t)size;
}}"""
_TANH = """\
/* Lines between the entries of a table; {steps} steps of z are worth 1. */
static int16_t @activation(int16_t z)
{{
    uint16_t size = z < 0 ? (uint16_t)-z : (uint16_t)z;
    uint16_t place = (uint16_t)(size >> {bits}), value;
    if (place >= {last}) {{
        value = {top};
    }} else {{
        uint16_t before = {before}, after = {after};
        value = (uint16_t)(before + ((uint32_t)(uint16_t)(after - before) * (size & {mask}) >> {bits}));
    }}
    {result}
}}"""
_FLOAT_ACTIVATIONS = {
    "relu": "    return z < 0.0f ? 0.0f : z;",
    "tanh": "    return tanhf(z);",
    "logistic": "    return 1.0f / (1.0f + expf(-z));",
}


class Functions:
    """Writes the functions of one network.

    Parameters
    ----------
    coded : Coded
        The network.
    """

    def __init__(self, coded: Coded) -> None:
        self.coded, self.tables = coded, coded.tables
        self.specification = coded.specification
        self.sizes = self.specification.sizes
        self.is_int = coded.arithmetic == "int"
        self.value = "int16_t" if self.is_int else "float"
        self.count = "uint8_t" if max(self.sizes) <= 255 else "uint16_t"

    def read(self, name: str, place: str) -> str:
        """The expression of an element of a constant, or the number that all elements are."""
        if name in self.coded.values and self.coded.is_folded(name):
            only = self.coded.values[name][0]
            return f"@short({only}U)" if self._is_short(name) else number(only)
        return self.read_at(name, f"@{name} + {place}")

    def read_at(self, name: str, pointer: str) -> str:
        """The expression of the element of a constant that a pointer points to."""
        table = self.tables[name]
        if table.dtype.kind == "f":
            return f"@READF({pointer})"
        found = f"({C_TYPES[table.dtype.name]}){_READERS[table.itemsize]}({pointer})"
        return f"@short({found})" if self._is_short(name) else found

    def _is_short(self, name: str) -> bool:
        return not self.is_int and name in ("centres", "input_scales", "scales")

    def all(self) -> list[str]:
        """Every function, in the order in which they need each other."""
        found = []
        if any(self._is_short(name) for name in self.coded.values):
            found.append(_SHORT)
        if self.is_int:
            found += [_FIXED] * bool(self.specification.inputs)
            found.append(_SCALED.format(saturation=int(self.coded.settings["saturation"])))
        if self.specification.inputs:
            found.append(self.inputs())
        if self._has_activation:
            found.append(self.activation())
        found += [self.run(), self.predict()]
        return [*found, self.proba()] if self._has_probabilities else found

    @property
    def _has_activation(self) -> bool:
        return len(self.sizes) > 2 and self.specification.activation != "identity"

    @property
    def _has_probabilities(self) -> bool:
        return self.specification.has_probabilities

    def inputs(self) -> str:
        """``@inputs`` computes the inputs of the first layer."""
        n_affine, n = len(affine_inputs(self.specification)), self.sizes[0]
        column = self.read("columns", "k") if "columns" in self.tables else "k"
        lines = [
            "/* Inputs of the first layer. */",
            f"static void @inputs(const float *x, {self.value} *u)",
            "{",
            f"    {self.count} k;",
        ]
        if n_affine:
            lines.append(f"    for (k = 0; k < {n_affine}; k++) {{")
            lines += self._integer_affine(column) if self.is_int else self._float_affine(column)
            lines.append("    }")
        if n > n_affine:
            lines += self._indicators(column, n_affine)
        return "\n".join([*lines, "}"])

    def _integer_affine(self, column: str) -> list[str]:
        missing, centre = self.read("missing", "k"), self.read("centres", "k")
        lines = [
            f"        int32_t v = @fixed(x[{column}], {self.read('exponents', 'k')});",
            f"        v = v == @MISSING ? {missing} : v - {centre};",
        ]
        for name, sign in (("low", "<"), ("high", ">")):
            bound = self.read(name, "k")
            lines += [f"        if (v {sign} {bound})", f"            v = {bound};"]
        return [*lines, "        u[k] = (int16_t)v;"]

    def _float_affine(self, column: str) -> list[str]:
        values = self.coded.values
        lines = [f"        float v = x[{column}];"]
        if "missing" in values:
            lines += ["        if (v != v)", f"            v = {self.read('missing', 'k')};"]
        if "low" in values:
            for name, sign in (("low", "<"), ("high", ">")):
                bound = self.read(name, "k")
                lines += [f"        if (v {sign} {bound})", f"            v = {bound};"]
        if "centres" in values:
            centre, scale = self.read("centres", "k"), self.read("input_scales", "k")
            lines.append(f"        u[k] = (v - {centre}) * {scale};")
        else:
            lines.append("        u[k] = v;")
        return lines

    def _indicators(self, column: str, n_affine: int) -> list[str]:
        n, n_filled = (
            self.sizes[0],
            sum(read.takes_missing for read in indicators(self.specification)),
        )
        code = self.read("codes", f"(k - {n_affine})" if n_affine else "k")
        one = str(int(self.coded.settings["one"])) if self.is_int else "1.0f"
        zero = "0" if self.is_int else "0.0f"
        value, kind = (
            (f"@fixed(x[{column}], 0)", "int32_t") if self.is_int else (f"x[{column}]", "float")
        )
        same = f"v == {code}" if self.is_int else f"v == (float){code}"
        if n_filled:
            is_missing = "v == @MISSING" if self.is_int else "v != v"
            same += (
                f" || ({is_missing} && k >= {n - n_filled})"
                if n_filled < n
                else f" || {is_missing}"
            )
        return [
            f"    for (k = {n_affine}; k < {n}; k++) {{",
            f"        {kind} v = {value};",
            f"        u[k] = {same} ? {one} : {zero};",
            "    }",
        ]

    def activation(self) -> str:
        """``@activation`` of a hidden unit."""
        name = self.specification.activation
        if self.is_int and name == "relu":
            body = "    return z < 0 ? 0 : z;"
        elif self.is_int:
            limit, bits = int(self.coded.settings["limit"]), 8 - int(self.coded.settings["gain"])
            table, is_tanh = self.tables["tanh"], name == "tanh"
            half = f"({limit + 1} + (z < 0 ? -(int32_t)value : (int32_t)value)) >> 1"
            return _TANH.format(
                bits=bits,
                steps=(1 << bits) * (16 if is_tanh else 8),
                last=len(table) - 1,
                top=table[-1],
                before=self.read("tanh", "place"),
                after=self.read("tanh", "place + 1"),
                mask=(1 << bits) - 1,
                result="return z < 0 ? (int16_t)-(int16_t)value : (int16_t)value;"
                if is_tanh
                else f"return (int16_t)({half});",
            )
        else:
            body = _FLOAT_ACTIVATIONS[name]
        return f"static {self.value} @activation({self.value} z)\n{{\n{body}\n}}"

    def run(self) -> str:
        """``@run`` computes the raw outputs, layer by layer, and returns where they are."""
        n_layers, values = len(self.sizes) - 1, self.coded.values
        has_weights = self.coded.stored.values.size > 0
        counts_inputs = n_layers > 1 and bool({"dense", "mask"} & set(self.coded.forms_used))
        n_in = f", n_in = {self.sizes[0]}" if counts_inputs else ""
        local = [f"{self.count} unit, n_out{n_in};"]
        if has_weights:
            local.append(f"const {C_TYPES[self.tables['weights'].dtype.name]} *weight = @weights;")
        local += [
            f"const {C_TYPES[self.tables[name].dtype.name]} *{short} = @{name};"
            for name, short in (("indices", "index"), ("counts", "count"))
            if name in self.tables
        ]
        if n_layers > 1:
            local += [f"{self.value} *swap;", "uint8_t layer;"]
        local.append("uint16_t place = 0; /* of a unit among those of all layers */")
        body = ["@inputs(x, in);"] if self.specification.inputs else ["(void)x;", "(void)in;"]
        inner = self._layer(has_weights, "scales" in values)
        if n_layers > 1:
            swap = ["swap = in;", "in = out;", "out = swap;"] + ["n_in = n_out;"] * counts_inputs
            body += [
                f"for (layer = 0; layer < {n_layers}; layer++) {{",
                *_indent(inner + swap),
                "}",
            ]
            body.append("return in;")
        else:
            body += [*inner, "return out;"]
        head = (
            f"static const {self.value} *@run(const float *x, {self.value} *in, {self.value} *out)"
        )
        note = "/* Raw outputs, layer by layer; both arrays are scratch, and one is returned. */"
        return "\n".join([note, head, "{", *_indent(local + body), "}"])

    def _layer(self, has_weights: bool, has_scales: bool) -> list[str]:
        """Statements of one layer."""
        n_layers, forms = len(self.sizes) - 1, self.coded.forms_used
        n_out = self.read("units", "layer") if n_layers > 1 else str(self.sizes[1])
        bias = self.read("biases", "place")
        if self.is_int:
            shift = int(self.coded.settings["bias_shift"])
            start = f"int32_t sum = (int32_t){bias} * {1 << shift};"
            factor, of_unit = self.read("factors", "place"), self.read("shifts", "place")
            value = f"@scaled(sum, {factor}, {of_unit})"
        else:
            start = "float sum = 0.0f;" if has_weights else ""
            scaled = f"sum * {self.read('scales', 'place')}" if has_scales else "sum"
            value = f"{scaled} + {bias}" if has_weights else bias
        unit = [start] if start else []
        if has_weights:
            unit += self._sum(forms)
        unit.append(f"out[unit] = {value};")
        if self._has_activation:
            unit += [f"if (layer < {n_layers - 1})", "    out[unit] = @activation(out[unit]);"]
        unit.append("place++;")
        before = (
            ["uint8_t bits = 0, n_bits = 0;"]
            if {"mask", "gaps4"} & set(forms) and has_weights
            else []
        )
        return [
            *before,
            f"n_out = {n_out};",
            "for (unit = 0; unit < n_out; unit++) {",
            *_indent(unit),
            "}",
        ]

    def _sum(self, forms: tuple[str, ...]) -> list[str]:
        """Statements that add the weighted inputs of a unit to ``sum``."""
        n_in = "n_in" if len(self.sizes) > 2 else str(self.sizes[0])
        weight = self.read_at("weights", "weight++")
        product = f"(int32_t){weight} * " if self.is_int else f"(float){weight} * "
        if self.tables["weights"].dtype.kind == "f":
            product = f"{weight} * "
        branches = []
        for number_of_form, form in enumerate(forms):
            count = self.read_at("counts", "count++") if "counts" in self.tables else ""
            lines = [
                line.replace("COUNT", count).replace("PRODUCT", product).replace("N_IN", n_in)
                for line in _SUMS[form]
            ]
            lines = [line.replace("PLACE", self.count) for line in lines]
            if len(forms) == 1:
                return [self._locals(form), *lines]
            test = f"if ({self.read('forms', 'layer')} == {number_of_form}) {{"
            last = number_of_form == len(forms) - 1
            head = test if not branches else "} else {" if last else "} else " + test
            branches += [head, *_indent([self._locals(form), *lines])]
        return [*branches, "}"]

    def _locals(self, form: str) -> str:
        if form in ("dense", "mask"):
            return f"{self.count} k;"
        count = C_TYPES[self.tables["counts"].dtype.name]
        return f"{count} k;" if form == "list" else f"{count} k;\n{self.count} at = 0;"

    def predict(self) -> str:
        """``@predict``, which returns a class or fills in numbers."""
        n_outputs, kind = self.sizes[-1], self.specification.kind
        if kind == "binary":
            zero = "0" if self.is_int else "0.0f"
            return self._function("int @predict(const float *x)", [f"return z[0] > {zero};"], "")
        if kind == "multiclass":
            body = [
                f"for (k = 1; k < {n_outputs}; k++)",
                "    if (z[k] > z[best])",
                "        best = k;",
                "return (int)best;",
            ]
            return self._function(
                "int @predict(const float *x)", body, f"{self.count} k, best = 0;"
            )
        y = self._in_units()
        if kind == "multilabel":
            y = "z[k] > 0 ? 1.0f : 0.0f" if self.is_int else "z[k] > 0.0f ? 1.0f : 0.0f"
        y = f"expf({y})" if kind == "exp" else y
        body = [f"for (k = 0; k < {n_outputs}; k++)", f"    y[k] = {y};"]
        return self._function("void @predict(const float *x, float *y)", body, f"{self.count} k;")

    def proba(self) -> str:
        """``@predict_proba``."""
        n_outputs, kind, z = self.sizes[-1], self.specification.kind, self._in_units()
        head = "void @predict_proba(const float *x, float *p)"
        if kind == "binary":
            z = z.replace("[k]", "[0]")
            body = [f"p[1] = 1.0f / (1.0f + expf(-({z})));", "p[0] = 1.0f - p[1];"]
            return self._function(head, body, "")
        every = f"for (k = 0; k < {n_outputs}; k++)"
        if kind == "multilabel":
            body = [every, f"    p[k] = 1.0f / (1.0f + expf(-({z})));"]
            return self._function(head, body, f"{self.count} k;")
        body = [
            every + " {",
            f"    p[k] = {z};",
            "    if (p[k] > largest)",
            "        largest = p[k];",
            "}",
            every,
            "    total += p[k] = expf(p[k] - largest);",
            every,
            "    p[k] /= total;",
        ]
        return self._function(
            head, body, f"{self.count} k;\n    float total = 0.0f, largest = -3.0e38f;"
        )

    def _in_units(self) -> str:
        """The expression of raw output ``k`` as a number."""
        if not self.is_int:
            return "z[k]"
        if self._has_probabilities:
            return f"{number(self.coded.settings['output_scale'])} * (float)z[k]"
        scale, offset = self.read("output_scales", "k"), self.read("output_offsets", "k")
        return f"{offset} + {scale} * (float)z[k]"

    def _function(self, head: str, body: list[str], local: str) -> str:
        even, odd = max(1, *self.sizes[::2]), max(self.sizes[1::2])
        lines: list[Any] = [
            f"{self.value} even[{even}], odd[{odd}];",
            f"const {self.value} *z = @run(x, even, odd);",
            *([local] if local else []),
            *body,
        ]
        return "\n".join([f"@API {head}", "{", *_indent(lines), "}"])


def _indent(lines: list[str]) -> list[str]:
    return ["    " + line.replace("\n", "\n    ") for line in lines]


# How the weights of a unit are found, by index form.
_SUMS = {
    "dense": ["for (k = 0; k < N_IN; k++)", "    sum += PRODUCTin[k];"],
    "list": ["for (k = COUNT; k > 0; k--)", "    sum += PRODUCTin[@READ8(index++)];"],
    "gaps8": [
        "for (k = COUNT; k > 0; k--) {",
        "    uint8_t gap;",
        "    do {",
        "        gap = @READ8(index++);",
        "        at = (PLACE)(at + gap);",
        "    } while (gap == 255);",
        "    sum += PRODUCTin[at++];",
        "}",
    ],
    "gaps4": [
        "for (k = COUNT; k > 0; k--) {",
        "    uint8_t gap;",
        "    do {",
        "        if (!n_bits)",
        "            bits = @READ8(index++);",
        "        gap = bits & 15;",
        "        bits = (uint8_t)(bits >> 4);",
        "        n_bits ^= 1;",
        "        at = (PLACE)(at + gap);",
        "    } while (gap == 15);",
        "    sum += PRODUCTin[at++];",
        "}",
    ],
    "mask": [
        "for (k = 0; k < N_IN; k++) {",
        "    if (!n_bits) {",
        "        bits = @READ8(index++);",
        "        n_bits = 8;",
        "    }",
        "    if (bits & 1)",
        "        sum += PRODUCTin[k];",
        "    bits = (uint8_t)(bits >> 1);",
        "    n_bits--;",
        "}",
    ],
}
