"""LazyRows of the data, copied only while they are looked at."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._net.network import Array, Indices

# Copies up to this size are made once: rows are then gathered faster.
MAX_COPY_BYTES = 2**26
# Training on a sparse row takes as long as on a dense one of so many columns, and of so many more
# for each number that it stores.
_COLUMNS_PER_SPARSE_ROW, _COLUMNS_PER_STORED_NUMBER = 128, 8


class LazyRows:
    """Some rows of a dense array, in any memory layout, which is never copied as a whole.

    Parameters
    ----------
    X : ndarray of shape (n, n_columns)
    rows : ndarray of int of shape (n_samples,), default=None
        Which ones; None for all.
    """

    def __init__(self, X: Array, rows: Indices | None = None) -> None:
        self.base, self._rows = X, rows
        self.shape = (X.shape[0] if rows is None else len(rows), X.shape[1])
        self.dtype = X.dtype

    def __getitem__(self, which: slice | NDArray[np.intp]) -> Array:
        """LazyRows as a contiguous, aligned array, a copy."""
        return _plain_copy(self.base[self.source_indices(which)])

    def take(self, which: NDArray[np.intp]) -> "LazyRows":
        """Some of the rows."""
        return LazyRows(self.base, np.asarray(self.source_indices(which)))

    def take_into(self, which: NDArray[np.intp], out: Array) -> None:
        """Copy rows into a buffer."""
        gather(self.base, self.source_indices(which), out)

    def columns(self, which: Indices) -> Array:
        """Some columns, copied."""
        places = slice(None) if self._rows is None else self._rows[:, np.newaxis]
        return np.ascontiguousarray(self.base[places, which])

    def largest(self) -> float:
        """Bound the size of the entries."""
        return largest(self.base)

    def source_indices(self, which: Any) -> Any:
        """Where rows are in ``base``."""
        return which if self._rows is None else self._rows[which]


def take_rows(X: Any, rows: NDArray[np.intp], max_copy_bytes: int = MAX_COPY_BYTES) -> Any:
    """Some rows of an array, a sparse matrix or `LazyRows`; copied if they are not too many."""
    if isinstance(X, LazyRows):
        return X.take(rows)
    if isinstance(X, np.ndarray) and len(rows) * X.shape[1] * X.itemsize > max_copy_bytes:
        return LazyRows(X, rows)
    return X[rows]


def in_row_order(X: Any, max_copy_bytes: int = MAX_COPY_BYTES) -> Any:
    """Return the data with rows that are, or become, contiguous and aligned.

    Sparse data become an array where training on it is faster, if it is not too large.
    """
    if not isinstance(X, np.ndarray):
        n_rows, n_columns = X.shape
        worth = _COLUMNS_PER_SPARSE_ROW * n_rows + _COLUMNS_PER_STORED_NUMBER * X.nnz
        is_small = n_rows * n_columns * X.dtype.itemsize <= max_copy_bytes
        return X.toarray() if is_small and n_rows * n_columns <= worth else X
    if X.flags.c_contiguous and X.flags.aligned:
        return X
    return LazyRows(X) if X.nbytes > max_copy_bytes else _plain_copy(X)


def _plain_copy(X: Array) -> Array:
    """Copy what is not row by row, or lies where no number of its type is expected."""
    return np.require(X, requirements=["C_CONTIGUOUS", "ALIGNED"])


def take_columns(X: Any, columns: Indices) -> Any:
    """Some columns, copied."""
    if isinstance(X, LazyRows):
        return X.columns(columns)
    return np.take(X, columns, axis=1) if isinstance(X, np.ndarray) else X[:, columns]


def gather(X: Array | LazyRows, rows: Any, out: Array) -> None:
    """Copy rows, which are known to be valid, into a buffer."""
    if isinstance(X, LazyRows):
        X.take_into(rows, out)
    elif X.flags.c_contiguous and X.flags.aligned:
        # mode="clip" spares NumPy a second, buffered copy.
        np.take(X, rows, axis=0, out=out, mode="clip")
    else:
        # np.take would begin by copying all of X.
        out[...] = X[rows]


def largest(X: Any) -> float:
    """Bound the size of the entries of an array, a sparse matrix or `LazyRows`."""
    if isinstance(X, LazyRows):
        return X.largest()
    values = X if isinstance(X, np.ndarray) else X.data
    return float(max(values.max(initial=0), -values.min(initial=0)))
