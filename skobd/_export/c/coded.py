"""A network as the constants of C code hold it, and short forms of numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .forms import Stored
from .specification import Affine, Indicator, Specification

Constants = Mapping[str, NDArray[Any]]
# Of these a constant that holds one number only is written as that number where it is used.
_FOLDABLE = frozenset(
    ("exponents", "centres", "input_scales", "missing", "low", "high")
    + ("output_scales", "output_offsets")
)


@dataclass(frozen=True, eq=False)
class Coded:
    """A network as the constants of C code hold it.

    Attributes
    ----------
    specification : Specification
    arithmetic : {"float", "int"}
    weights : tuple of ndarray of shape (fan_in, fan_out)
        int8 or float32, by layer.
    stored : Stored
        How they are stored.
    values : mapping of str to ndarray
        What else there is, by name: one value for each input, unit or output.
    settings : mapping of str to number
        Of integer arithmetic: "limit" and "saturation", what no input or hidden activation and
        no requantised sum exceeds; "one", an indicator; "bias_shift"; "gain", the binary
        logarithm of the coarseness of tanh; "output_scale" of logits.
    """

    specification: Specification
    arithmetic: str
    weights: tuple[NDArray[Any], ...]
    stored: Stored
    values: Constants
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, NDArray[Any]]:
        """The arrays that are written, by name; none is empty."""
        sizes = np.array(self.specification.sizes[1:])
        columns = np.array([read.column for read in self.specification.inputs], dtype=np.int64)
        order = [form for form in self.stored.forms if form in self.forms_used]
        forms = np.array([self.forms_used.index(form) for form in order])
        tables: dict[str, Any] = {
            "columns": [] if np.array_equal(columns, np.arange(len(columns))) else columns,
            "units": sizes if len(sizes) > 1 else [],
            "forms": forms if len(self.forms_used) > 1 else [],
        }
        found = {name: smallest(np.asarray(table, np.int64)) for name, table in tables.items()}
        found |= {
            "weights": self.stored.values,
            "indices": self.stored.indices,
            "counts": self.stored.counts,
        }
        found |= {name: table for name, table in self.values.items() if not self.is_folded(name)}
        return {name: table for name, table in found.items() if table.size}

    def is_folded(self, name: str) -> bool:
        """Whether all values are the same, and written where they are used."""
        table = self.values[name]
        return name in _FOLDABLE and table.size > 0 and bool((table == table[0]).all())

    @property
    def forms_used(self) -> tuple[str, ...]:
        """Index forms that occur, in alphabetical order; none where no weight is stored."""
        return tuple(sorted(set(self.stored.forms))) if self.stored.values.size else ()


def smallest(values: NDArray[np.int64]) -> NDArray[Any]:
    """Store whole numbers in the smallest type that holds them, unsigned where it can be."""
    for kind in (np.uint8, np.int8, np.uint16, np.int16, np.int32):
        bounds = np.iinfo(kind)
        if bounds.min <= values.min(initial=0) and values.max(initial=0) <= bounds.max:
            return values.astype(kind)
    raise OverflowError("Constants have 32 bits at most.")


def to_short(values: NDArray[np.float64], up: bool = False) -> NDArray[np.uint16]:
    """The upper half of single-precision numbers, to nearest or, for positive ones, up."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0xFFFF if up else 0x7FFF)) >> np.uint32(16)).astype(np.uint16)


def from_short(shorts: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The single-precision numbers of which these are the upper halves."""
    return (shorts.astype(np.uint32) << np.uint32(16)).view(np.float32)


def affine_inputs(specification: Specification) -> list[Affine]:
    """The inputs that are functions of columns as numbers; they come first."""
    return [read for read in specification.inputs if isinstance(read, Affine)]


def indicators(specification: Specification) -> list[Indicator]:
    """The inputs that compare columns with codes."""
    return [read for read in specification.inputs if isinstance(read, Indicator)]


def codes(specification: Specification) -> NDArray[Any]:
    """Return the codes that the indicators compare columns with."""
    return smallest(np.array([read.code for read in indicators(specification)], dtype=np.int64))
