"""Rows and columns of data in any layout, taken once and again."""

import numpy as np
import pytest
import scipy.sparse as sp
from layouts import LAYOUTS
from numpy.testing import assert_array_equal

from skobd._train.rows import LazyRows, gather, in_row_order, largest, take_columns, take_rows

X = np.random.default_rng(0).normal(size=(20, 4))
FIRST, SECOND = np.array([7, 3, 19, 0, 11, 5]), np.array([4, 1, 5])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("budget", [0, 10**9])
def test_rows_of_rows(layout, budget):
    rows = in_row_order(LAYOUTS[layout](X), max_copy_bytes=budget)
    assert_array_equal(rows[2:5], X[2:5])
    for places, expected in ((FIRST, X[FIRST]), (SECOND, X[FIRST][SECOND])):
        rows = take_rows(rows, places, max_copy_bytes=budget)
        assert rows.shape == expected.shape
        assert_array_equal(rows[:], expected)
        assert_array_equal(take_columns(rows, np.array([2, 0])), expected[:, [2, 0]])
        buffer = np.empty((2, 4))
        gather(rows, np.array([2, 1]), buffer)
        assert_array_equal(buffer, expected[[2, 1]])
        assert largest(rows) >= abs(expected).max()


def test_small_and_sparse_rows_are_copied():
    assert_array_equal(take_rows(X, FIRST), X[FIRST])
    assert not isinstance(take_rows(X, FIRST), LazyRows)
    sparse = sp.csr_array(X)
    assert_array_equal(take_rows(sparse, FIRST, max_copy_bytes=0).toarray(), X[FIRST])
    assert_array_equal(take_columns(sparse, np.array([2, 0])).toarray(), X[:, [2, 0]])
