"""Store masks in as few bytes as they need."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .network import Mask


def pack_mask(mask: Mask) -> NDArray[Any] | None:
    """A mask as bits or as gaps between survivors, whichever is smaller; None if all survive."""
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
    """The mask (size,) that `pack_mask` was given."""
    if packed is None:
        return np.ones(size, dtype=bool)
    if packed.dtype.kind == "u":
        return np.unpackbits(packed, count=size).astype(bool)
    mask = np.zeros(size, dtype=bool)
    mask[np.cumsum(packed, dtype=np.intp) - 1] = True
    return mask
