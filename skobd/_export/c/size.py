"""Bytes that C code takes, before it is compiled."""

import numpy as np

from ..._net.compaction import compact
from ..._net.pruned import PrunedNetwork
from .coded import Coded
from .floats import float_network
from .forms import FORMS
from .specification import Affine, Layer, Specification, simplified


def constant_bytes(coded: Coded) -> int:
    """Bytes of the constants of C code, to the byte."""
    return sum(table.nbytes for table in coded.tables.values())


# Bytes of instructions by avr-gcc -Os with everything that is linked, start-up code and floating
# point included, fitted to 230 networks; beside these, each index form has its own.
_CODE_BYTES = {
    "int": {
        "classes": 880,
        "identity outputs": 1920,
        "exp outputs": 2600,
        "hidden layers": 250,
        "relu": 40,
        "tanh": 220,
        "logistic": 180,
        "codes": 220,
        "missing": 60,
    },
    "float": {
        "classes": 870,
        "identity outputs": 1160,
        "exp outputs": 1610,
        "hidden layers": 320,
        "relu": 20,
        "tanh": 720,
        "logistic": 590,
        "codes": 210,
        "missing": 140,
        "low": 220,
        "scales": 400,
        "float32": 390,
    },
}


def code_bytes(coded: Coded) -> int:
    """Bytes of the instructions of ``predict`` on an AVR, about: half are within 5 % of flash."""
    specification, has_classes = coded.specification, coded.specification.has_probabilities
    is_deep = len(specification.layers) > 1
    parts = {"classes" if has_classes else f"{specification.kind} outputs", *coded.tables}
    parts |= {"hidden layers", specification.activation} if is_deep else set()
    parts |= {coded.stored.values.dtype.name}
    sizes = _CODE_BYTES[coded.arithmetic]
    of_forms = sum(FORMS[form].code_bytes for form in coded.forms_used)
    return of_forms + sum(sizes[part] for part in sorted(parts & sizes.keys()))


def scratch_bytes(coded: Coded) -> int:
    """Bytes of the two arrays on the stack that a prediction takes."""
    even, odd = scratch_sizes(coded)
    return (even + odd) * (2 if coded.arithmetic == "int" else 4)


def scratch_sizes(coded: Coded) -> tuple[int, int]:
    """Values that the results of every other layer take, the inputs first."""
    sizes = coded.specification.sizes
    return max(1, *sizes[::2]), max(sizes[1::2])


def deployed_bytes(pruned: PrunedNetwork, dtype: str = "int8") -> int:
    """Bytes of the constants of a network in C code, inputs as they are.

    Parameters
    ----------
    pruned : PrunedNetwork
    dtype : {"int8", "float32"}, default="int8"
        How weights are stored.
    """
    layers, inputs = surviving_layers(pruned)
    # Names are not counted, and every kind of output is stored alike.
    names = ("",) * pruned.network.layer_sizes[0]
    columns = tuple(Affine(int(column)) for column in inputs)
    activation = pruned.network.activation
    specification = Specification("", names, columns, layers, activation, "identity", ())
    return constant_bytes(float_network(simplified(specification), dtype))


def surviving_layers(pruned: PrunedNetwork) -> tuple[tuple[Layer, ...], np.ndarray]:
    """Layers of the compacted network in double precision, and which inputs it takes."""
    compaction = compact(pruned.network, pruned.theta, pruned.mask)
    matrices = compaction.network.layers(compaction.theta.astype(np.float64))
    return tuple(Layer(matrix[:-1], matrix[-1]) for matrix in matrices), compaction.kept_units[0]
