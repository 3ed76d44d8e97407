"""The function that computes the raw outputs, layer by layer; ``@`` begins all names."""

import re

from .fragments import SUMS
from .reader import Reader, indent

_NOTE = "/* Raw outputs, layer by layer; both arrays are scratch, and one is returned. */"


def run(reader: Reader) -> str:
    """``@run`` computes the raw outputs, and returns which of two arrays they are in."""
    value, n_layers = reader.value, len(reader.sizes) - 1
    body = ["@inputs(x, in);"] if reader.specification.inputs else ["(void)x;", "(void)in;"]
    if n_layers > 1:
        swap = ["swap = in;", "in = out;", "out = swap;"]
        swap += ["n_in = n_out;"] * _counts_inputs(reader)
        body.append(f"for (layer = 0; layer < {n_layers}; layer++) {{")
        body += [*indent(_layer(reader) + swap), "}", "return in;"]
    else:
        body += [*_layer(reader), "return out;"]
    head = f"static const {value} *@run(const float *x, {value} *in, {value} *out)"
    return "\n".join([_NOTE, head, "{", *indent(_locals(reader) + body), "}"])


def _counts_inputs(reader: Reader) -> bool:
    """Whether the inputs of a layer are counted by a variable."""
    return len(reader.sizes) > 2 and bool({"dense", "mask"} & set(reader.coded.forms_used))


def _locals(reader: Reader) -> list[str]:
    """Variables of ``@run``."""
    n_in = f", n_in = {reader.sizes[0]}" if _counts_inputs(reader) else ""
    found = [f"{reader.count} unit, n_out{n_in};"]
    found += [
        f"const {reader.type_of(name)} *{short} = @{name};"
        for name, short in (("weights", "weight"), ("indices", "index"), ("counts", "count"))
        if name in reader.tables
    ]
    if len(reader.sizes) > 2:
        found += [f"{reader.value} *swap;", "uint8_t layer;"]
    return [*found, "uint16_t place = 0; /* of a unit among those of all layers */"]


def _layer(reader: Reader) -> list[str]:
    """Statements of one layer."""
    n_layers = len(reader.sizes) - 1
    n_out = reader.read("units", "layer") if n_layers > 1 else str(reader.sizes[1])
    unit = _integer_unit(reader) if reader.is_int else _float_unit(reader)
    if reader.has_activation:
        unit += [f"if (layer < {n_layers - 1})", "    out[unit] = @activation(out[unit]);"]
    loop = ["for (unit = 0; unit < n_out; unit++) {", *indent([*unit, "place++;"]), "}"]
    reads_bits = "gaps4" in reader.coded.forms_used
    return [*["uint8_t bits = 0, n_bits = 0;"] * reads_bits, f"n_out = {n_out};", *loop]


def _integer_unit(reader: Reader) -> list[str]:
    """Statements of one unit, without its activation."""
    bias, factor, shift = (reader.read(n, "place") for n in ("biases", "factors", "shifts"))
    power = 1 << int(reader.coded.settings["bias_shift"])
    return [
        f"int32_t sum = (int32_t){bias} * {power};",
        *_sum(reader),
        f"out[unit] = @scaled(sum, {factor}, {shift});",
    ]


def _float_unit(reader: Reader) -> list[str]:
    """Statements of one unit, without its activation."""
    bias = reader.read("biases", "place")
    if not reader.has_weights:
        return [f"out[unit] = {bias};"]
    scale = f" * {reader.read('scales', 'place')}" if "scales" in reader.tables else ""
    return ["float sum = 0.0f;", *_sum(reader), f"out[unit] = sum{scale} + {bias};"]


def _sum(reader: Reader) -> list[str]:
    """Statements that add the weighted inputs of a unit to ``sum``."""
    if not reader.has_weights:
        return []
    forms = reader.coded.forms_used
    if len(forms) == 1:
        return _sum_of(reader, forms[0])
    branches: list[str] = []
    for number, form in enumerate(forms):
        is_last = number == len(forms) - 1
        test = "{" if is_last else f"if ({reader.read('forms', 'layer')} == {number}) {{"
        branches += ["} else " * bool(branches) + test, *indent(_sum_of(reader, form))]
    return [*branches, "}"]


def _sum_of(reader: Reader, form: str) -> list[str]:
    """Write the sum over weights that are stored in one form."""
    weight = reader.read_at("weights", "weight++")
    cast = "" if reader.type_of("weights") == "float" else "(float)"
    add = rf"sum = @added(sum, {weight}, \1);" if reader.is_int else rf"sum += {cast}{weight} * \1;"
    # Steps of 8 end beyond the inputs.
    of_mask = "uint_fast8_t" if max(reader.sizes[:-1]) <= 248 else "uint16_t"
    words = {
        "COUNT": reader.read_at("counts", "count++") if "counts" in reader.tables else "",
        "N_IN": "n_in" if len(reader.sizes) > 2 else str(reader.sizes[0]),
        "PLACE": reader.count,
        "VALUE": reader.value,
        "MASK": of_mask,
    }
    counters = {"dense": reader.count, "mask": of_mask}
    counter = counters[form] if form in counters else reader.type_of("counts")
    lines = [f"{counter} k;", *SUMS[form]]
    lines = [re.sub(r"ADD\((.*)\);", add, line) for line in lines]
    for word, text in words.items():
        lines = [line.replace(word, text) for line in lines]
    return lines
