"""C expressions that read the constants, and the types that they need."""

from .coded import Coded
from .text import C_TYPES, number

_READERS = {1: "@READ8", 2: "@READ16", 4: "@READ32"}


class Reader:
    """Expressions of the constants of one network.

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

    @property
    def has_weights(self) -> bool:
        """Whether any input matters."""
        return self.coded.stored.values.size > 0

    @property
    def has_shorts(self) -> bool:
        """Whether constants are upper halves of single-precision numbers."""
        return any(self._is_short(name) for name in self.coded.values)

    @property
    def has_activation(self) -> bool:
        """Whether there are hidden units, and an activation function."""
        return len(self.sizes) > 2 and self.specification.activation != "identity"

    def type_of(self, name: str) -> str:
        """C's type of an array of constants."""
        return C_TYPES[self.tables[name].dtype.name]


def indent(lines: list[str]) -> list[str]:
    """Statements one level deeper."""
    return ["    " + line.replace("\n", "\n    ") for line in lines]
