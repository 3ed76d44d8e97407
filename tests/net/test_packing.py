"""Masks in few bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from skobd._net.packing import pack_mask, pack_plain, unpack_mask, unpack_plain


@given(arrays(bool, st.integers(1, 3000), elements=st.booleans(), fill=st.booleans()))
@settings(max_examples=200, deadline=None)
def test_masks_are_packed_without_loss_and_never_above_a_bit_each(mask):
    packed = pack_mask(mask)
    assert_array_equal(unpack_mask(packed, mask.size), mask)
    assert packed is None or packed.nbytes <= -(-mask.size // 8)


@pytest.mark.parametrize(
    ("gap", "n_bytes"), [(127, 1), (128, 2), (32_767, 2), (32_768, 4), (100_000, 4)]
)
def test_gaps_take_the_bytes_they_need(gap, n_bytes):
    mask = np.zeros(200_000, dtype=bool)
    mask[[gap - 1, gap, gap + 3]] = True
    packed = pack_mask(mask)
    assert packed.nbytes == 3 * n_bytes
    assert_array_equal(unpack_mask(packed, mask.size), mask)


def test_a_mask_of_nothing_takes_nothing():
    mask = np.zeros(1000, dtype=bool)
    assert pack_mask(mask).nbytes == 0
    assert_array_equal(unpack_mask(pack_mask(mask), 1000), mask)
    assert pack_mask(~mask) is None


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
FLAT = PLAIN | st.lists(PLAIN, max_size=3) | st.lists(PLAIN, max_size=3).map(tuple)


@given(st.dictionaries(st.text(max_size=3).filter(lambda name: name != "plain"), FLAT, max_size=5))
@settings(max_examples=100, deadline=None)
def test_plain_values_come_back_with_their_types(values):
    packed = pack_plain(values)
    assert set(packed) == {"plain"}
    loaded = unpack_plain(packed)
    # NaN is not equal to itself, but written alike.
    assert repr(sorted(loaded.items())) == repr(sorted(values.items()))


def test_other_values_stay_what_they_are():
    class Text(str):
        pass

    values = {
        "array": np.arange(3),
        "number": np.float64(0.5),
        "text": Text("a"),
        "mapping": {1: 0.5},
        "nested": [[1]],
    }
    packed = pack_plain(values | {"plain one": 1})
    assert {name: packed[name] for name in values} == values
    assert all(unpack_plain(packed)[name] is value for name, value in values.items())
