"""Numbers, arrays, names and comments as C has them."""

import re
import textwrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WIDTH = 98
C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "float32": "float",
}
_KEYWORDS = re.findall(
    r"\w+",
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl
    concept const const_cast constexpr continue decltype default delete do double dynamic_cast
    else enum explicit export extern false float for friend goto if inline int long main mutable
    namespace new noexcept not not_eq nullptr operator or or_eq private protected public
    register reinterpret_cast requires restrict return short signed sizeof static static_assert
    static_cast struct switch template this thread_local throw true try typedef typeid typename
    typeof union unsigned using virtual void volatile wchar_t while xor xor_eq
    """,
)


def check_name(name: Any) -> None:
    """Refuse what cannot be the beginning of all names.

    Raises
    ------
    ValueError
        If ``name`` is no identifier of C, one of its keywords, or reserved.
    """
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)):
        raise ValueError(
            f"name must be an identifier of C, of ASCII letters, digits and '_', got {name!r}."
        )
    if name in _KEYWORDS:
        raise ValueError(f"name must not be a keyword of C or C++, got {name!r}: try {name}_model.")
    if name.startswith("_") or "__" in name:
        raise ValueError(f"name must not be reserved in C or C++, got {name!r}: leave out '_'.")


def number(value: Any) -> str:
    """A literal; one in single precision for a float."""
    if isinstance(value, int | np.integer):
        return str(int(value))
    digits = f"{float(np.float32(value)):.9g}"
    return digits + ("f" if "." in digits or "e" in digits else ".0f")


def array(name: str, values: NDArray[Any], attribute: str) -> str:
    """The definition of a constant array."""
    numbers = ", ".join(number(value) for value in values.ravel())
    body = textwrap.fill(numbers, _WIDTH, initial_indent="    ", subsequent_indent="    ")
    head = f"static const {C_TYPES[values.dtype.name]} {name}[{values.size}] {attribute}"
    return f"{head} = {{\n{body}\n}};"


def plain(text: Any) -> str:
    """A name in a comment, which it cannot end, in ASCII."""
    escaped = str(text).encode("unicode_escape").decode("ascii")
    # Nor may it begin another comment, or be a trigraph.
    return re.sub(r"([*/?])(?=[*/?])", r"\1 ", escaped).rstrip("\\")


def comment(lines: list[str]) -> str:
    """A block comment of lines that are already `plain`."""
    wrapped: list[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        wrapped += textwrap.wrap(
            line, _WIDTH - 3, initial_indent="", subsequent_indent=indent + "    "
        ) or [""]
    return "/*\n" + "\n".join(f" * {line}".rstrip() for line in wrapped) + "\n */"
