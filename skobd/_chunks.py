"""Chunks: parts of the work whose number depends only on the shapes."""

import itertools


def count_chunks(
    n_rows: int, multiply_adds: float, *, worth: float, min_rows: int, most: int
) -> int:
    """Return the number of chunks, each of which is ``worth`` so many multiply-adds."""
    return max(1, min(int(multiply_adds / worth), n_rows // min_rows, most))


def split_evenly(n: int, n_chunks: int) -> list[slice]:
    """Cut ``range(n)`` into ``n_chunks`` slices, as evenly as possible."""
    edges = [n * chunk // n_chunks for chunk in range(n_chunks + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def row_blocks(rows: slice, size: int) -> list[slice]:
    """Cut ``rows`` into blocks of ``size`` rows; the last one may be smaller."""
    starts = range(rows.start, rows.stop, size)
    return [slice(start, min(start + size, rows.stop)) for start in starts]
