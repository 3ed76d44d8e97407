"""Ways in which the same numbers lie in memory."""

from functools import partial

import numpy as np

from skobd._mlp import data
from skobd._train.rows import in_row_order, take_rows


def packed(X, n_bytes):
    """A field of records that hold some bytes more: steps are no multiples of a number."""
    records = np.zeros(len(X), dtype=[("x", X.dtype, X.shape[1:]), ("more", f"V{n_bytes}")])
    records["x"] = X
    return records["x"]


def off_by_a_byte(X):
    """Rows one after another, but from an odd address on."""
    memory = np.empty(X.nbytes + 1, dtype=np.uint8)
    shifted = memory[1:].view(X.dtype).reshape(X.shape)
    shifted[...] = X
    return shifted


LAYOUTS = {
    "columns": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "strided columns": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": lambda X: X[::-1].copy()[::-1],
    "packed": lambda X: packed(X, 4),
    "packed by a byte": lambda X: packed(X, 1),
    "off by a byte": off_by_a_byte,
}


def copy_nothing(patch):
    """Let all data of estimators be too large for a copy."""
    for function in (in_row_order, take_rows):
        patch.setattr(data, function.__name__, partial(function, max_copy_bytes=0))
