"""Bytes that C code takes, before it is compiled."""

import numpy as np

from ..._net.compaction import compact
from ..._net.pruned import PrunedNetwork
from .coded import Coded
from .floats import float_network
from .specification import Affine, Layer, Specification, simplified


def constant_bytes(coded: Coded) -> int:
    """Bytes of the constants of C code, to the byte."""
    return sum(table.nbytes for table in coded.tables.values())


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
    return tuple(Layer(matrix[:-1], matrix[-1]) for matrix in matrices), compaction.kept[0]
