"""How many are left after each round."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skobd._prune.schedule import (
    Levels,
    divided_cycles,
    geometric_levels,
    survivor_schedule,
    survivors_at,
)


@given(
    n=st.integers(1, 10**6),
    fraction=st.floats(0, 1, exclude_max=True),
    n_rounds=st.integers(1, 20),
)
def test_falls_to_the_promised_number(n, fraction, n_rounds):
    schedule = survivor_schedule(n, n, fraction, n_rounds)
    n_final = round((1 - fraction) * n)
    if n_final == n:
        assert schedule == []
        return
    assert len(schedule) == n_rounds
    assert schedule[-1] == n_final
    assert (np.diff([n, *schedule]) <= 0).all()


def test_falls_geometrically():
    assert survivor_schedule(1000, 1000, 0.5, 5) == [871, 758, 660, 574, 500]
    assert survivor_schedule(100, 100, 0.9, 1) == [10]


def test_carries_on_from_what_is_left():
    assert survivor_schedule(1000, 500, 0.95, 2) == [round((500 * 50) ** 0.5), 50]
    assert survivor_schedule(1000, 500, 0.5, 3) == []
    assert survivor_schedule(1000, 500, 0.2, 3) == []


def test_no_rounds_no_pruning():
    assert survivor_schedule(10, 10, 0.5, 0) == []


@given(
    fraction=st.floats(0, 1, exclude_max=True),
    n_rounds=st.integers(1, 20),
    present=st.floats(0, 1, exclude_max=True),
)
def test_levels_leave_a_constant_ratio_and_end_where_they_were_asked_to(
    fraction, n_rounds, present
):
    levels = geometric_levels(fraction, n_rounds, present)
    if fraction <= present:
        assert levels == []
        return
    assert len(levels) == n_rounds
    assert levels[-1] == fraction
    left = [1 - level for level in (present, *levels)]
    ratio = (left[-1] / left[0]) ** (1 / n_rounds)
    for before, after in itertools.pairwise(left):
        assert after == pytest.approx(before * ratio, rel=1e-6, abs=1e-12)


def test_schedule_is_that_of_its_levels():
    levels = geometric_levels(0.9, 4)
    assert survivors_at(levels, 1000) == survivor_schedule(1000, 1000, 0.9, 4)
    assert survivors_at([0.0, 0.25, 0.999], 10) == [10, 8, 0]


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1))
def test_levels_are_sorted_and_taken_once(levels):
    checked = Levels.of(levels).values
    assert list(checked) == sorted(set(map(float, levels)))
    assert all(type(level) is float for level in checked)


def test_whole_numbers_are_levels_too():
    assert Levels.of([0]) == Levels.of(np.zeros(2, dtype=int)) == Levels((0.0,))


@pytest.mark.parametrize(
    "levels", [[], 0.5, [[0.5]], ["0.5"], [None], [True], [-0.1], [1.0], [0.5, np.nan], [np.inf]]
)
def test_what_is_no_level_is_refused(levels):
    with pytest.raises(ValueError, match=r"prune_fractions must be .*\[0, 1\)"):
        Levels.of(levels)


@given(
    n_cycles=st.integers(0, 40),
    counts=st.lists(st.integers(0, 5000), min_size=2, max_size=30),
)
def test_cycles_follow_the_logarithm_of_what_is_deleted(n_cycles, counts):
    counts = sorted(counts, reverse=True)
    cycles = divided_cycles(n_cycles, counts)
    logs = [math.log(max(n, 1)) for n in counts]
    gone = logs[0] - logs[-1]
    assert len(cycles) == len(counts) - 1
    assert sum(cycles) == (n_cycles if gone else 0)
    assert min(cycles) >= 0
    for index in range(1, len(counts)):
        exact = n_cycles * (logs[0] - logs[index]) / gone if gone else 0
        assert exact - 1 < sum(cycles[:index]) <= exact + 1e-6
    deleting = [i for i in range(len(cycles)) if logs[i] > logs[i + 1]]
    if deleting and n_cycles:
        assert cycles[deleting[-1]] >= 1


def test_cycles_of_equal_deletions_do_not_depend_on_last_bits():
    assert divided_cycles(6, [1000, 500, 250, 125]) == [2, 2, 2]
    assert divided_cycles(9, [3**9, 3**6, 3**3, 1]) == [3, 3, 3]
