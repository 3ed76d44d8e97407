"""Work cut into chunks, and chunks into blocks: nothing twice, nothing lost."""

import pytest

from skobd._chunks import count_chunks, row_blocks, split_evenly


@pytest.mark.parametrize("size", [1, 7, 50, 100])
@pytest.mark.parametrize("n_chunks", [1, 3, 8])
def test_each_row_is_in_one_block(size, n_chunks):
    blocks = [block for chunk in split_evenly(100, n_chunks) for block in row_blocks(chunk, size)]
    assert [row for block in blocks for row in range(block.start, block.stop)] == [*range(100)]
    assert all(0 < block.stop - block.start <= size for block in blocks)


def test_number_of_chunks_is_the_least_that_one_of_three_things_allows():
    limits = {"worth": 1000, "min_rows": 100, "most": 8}
    assert count_chunks(10_000, 1e9, **limits) == 8
    assert count_chunks(399, 1e9, **limits) == 3
    assert count_chunks(10_000, 2999, **limits) == 2
    assert count_chunks(1, 0, **limits) == 1
