"""Compact storage of values in files."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .network import Mask


def pack_mask(mask: Mask) -> NDArray[Any] | None:
    """Pack a mask as bits or gaps between survivors, whichever is smaller; None if all survive."""
    if mask.all():
        return None
    bits = np.packbits(mask)
    gaps = np.diff(np.flatnonzero(mask), prepend=-1)
    # Kinds of integers tell the two apart: bits are unsigned, gaps are signed.
    widest = gaps.max(initial=0)
    kind = next(kind for kind in "bhiq" if widest <= np.iinfo(kind).max)
    gaps = gaps.astype(kind)
    return gaps if gaps.nbytes < bits.nbytes else bits


def unpack_mask(packed: NDArray[Any] | None, size: int) -> Mask:
    """Restore the mask (size,) that `pack_mask` was given."""
    if packed is None:
        return np.ones(size, dtype=bool)
    if packed.dtype.kind == "u":
        return np.unpackbits(packed, count=size).astype(bool)
    mask = np.zeros(size, dtype=bool)
    mask[np.cumsum(packed, dtype=np.intp) - 1] = True
    return mask


def pack_plain(values: dict[str, Any]) -> dict[str, Any]:
    """Pack numbers, strings, lists and tuples of them as one text, and keep other values.

    skops writes some 300 bytes about every value, and one text is one value.
    """
    plain = {name: value for name, value in values.items() if _is_plain(value)}
    others = {name: value for name, value in values.items() if name not in plain}
    tuples = [name for name, value in plain.items() if type(value) is tuple]
    return others | {"plain": json.dumps([plain, tuples], separators=(",", ":"))}


def unpack_plain(packed: dict[str, Any]) -> dict[str, Any]:
    """Restore the values that `pack_plain` was given."""
    others = dict(packed)
    plain, tuples = json.loads(others.pop("plain"))
    return plain | {name: tuple(plain[name]) for name in tuples} | others


def _is_plain(value: Any) -> bool:
    """Return whether JSON restores the value with its type, or a list for a tuple."""
    scalars = (bool, int, float, str, type(None))
    values = value if type(value) in (list, tuple) else [value]
    return all(type(value) in scalars for value in values)
