"""The choice of a level, on made-up results."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skobd._search.selection import (
    best_and_threshold,
    median_error,
    scored_folds,
    select_level,
    standard_errors,
)


def made_up(scores, sizes=None):
    """`cv_results_` of these scores, shape (n_levels, n_folds), from dense to sparse."""
    scores = np.asarray(scores, dtype=float)
    return {
        "params": [{"prune_fraction": index / len(scores)} for index in range(len(scores))],
        "mean_test_score": scores.mean(axis=1),
        "sem_test_score": standard_errors(scores),
        "mean_n_weights": sizes if sizes is not None else np.arange(len(scores), 0, -1.0),
    }


@pytest.mark.parametrize(
    ("scores", "best", "one_standard_error"),
    [
        pytest.param([[0.9, 1.0], [0.9, 0.98], [0.5, 0.6]], 0, 1, id="within"),
        pytest.param([[0.95, 0.95], [0.9, 0.98], [0.5, 0.6]], 0, 1, id="median error"),
        pytest.param([[0.95, 0.95], [0.94, 0.94], [0.5, 0.5]], 0, 0, id="no error, no margin"),
        pytest.param([[0.7, 0.7], [0.9, 0.9], [0.9, 0.9], [0.8, 0.8]], 2, 2, id="tie"),
        pytest.param([[0.8, 1.0], [0.7, 0.8], [0.9, 0.9], [0.5, 0.5]], 2, 2, id="sparser tie"),
        pytest.param([[-1, -3], [-2, -2.2], [-2.4, -3.0], [-9, -8]], 0, 1, id="negative"),
        pytest.param([[np.nan, 1], [0.8, 0.9], [0.8, 0.8]], 1, 1, id="NaN is not chosen"),
        pytest.param([[0.5, 0.5], [0.8, 0.9], [np.nan, 1]], 1, 1, id="nor when sparsest"),
        pytest.param([[0.9], [0.8], [0.9], [0.1]], 2, 2, id="one fold"),
        pytest.param([[-np.inf, 0], [-1, -1]], 1, 1, id="infinite"),
    ],
)
def test_choice(scores, best, one_standard_error):
    results = made_up(scores)
    assert select_level(results, "score", "best") == best
    assert select_level(results, "score", "one_standard_error") == one_standard_error


@given(arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-9, 9)))
def test_one_standard_error_is_never_denser_and_never_worse(scores):
    results = made_up(scores)
    means, best = results["mean_test_score"], select_level(results, "score", "best")
    chosen = select_level(results, "score", "one_standard_error")
    assert means[best] == means.max()
    assert chosen >= best
    threshold = means[best] - median_error(means, results["sem_test_score"])
    assert means[chosen] >= threshold
    assert (means[chosen + 1 :] < threshold).all()


@given(
    arrays(float, (4, 3), elements=st.floats(0, 1)),
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
)
def test_failed_levels_are_never_chosen(scores, failed):
    scores[failed] = np.nan
    for selection in ("best", "one_standard_error"):
        assert select_level(made_up(scores), "score", selection) not in failed


def test_choice_by_a_callable():
    results = made_up([[0.9, 0.8], [0.7, 0.6]])
    assert select_level(results, "score", lambda given: given["mean_test_score"].argmin()) == 1
    with pytest.raises(TypeError, match="must return an integer"):
        select_level(results, "score", lambda given: 0.5)
    for index in (-1, 2):
        with pytest.raises(IndexError, match=r"must be in \[0, 2\)"):
            select_level(results, "score", lambda given, index=index: index)


def test_threshold_is_that_of_the_smallest_of_the_best():
    means, errors = np.array([0.9, np.nan, 0.9, 0.8, np.inf]), np.array([0.3, 9, 0.1, 0.2, 9])
    sizes = np.array([5, 4, 3, 2, 1])
    error = median_error(means, errors)
    assert error == pytest.approx(0.2)
    assert best_and_threshold(means, errors, sizes) == (2, 0.9 - error)
    assert best_and_threshold(means, errors, sizes[::-1]) == (0, 0.9 - error)
    assert best_and_threshold(means[:1], np.array([np.nan]), sizes[:1]) == (0, 0.9)


def test_standard_errors_are_those_of_a_mean():
    scores = np.array([[1.0, 2.0, 4.0], [3.0, 3.0, 3.0]])
    np.testing.assert_allclose(standard_errors(scores), [np.sqrt(7 / 3 / 3), 0])
    assert standard_errors(scores[:, :1]).tolist() == [0, 0]


def test_folds_without_any_score_do_not_count():
    scores = np.array([[1.0, np.nan, np.nan], [2.0, np.nan, 5.0]])
    np.testing.assert_array_equal(scored_folds(scores), scores[:, [0, 2]])
    np.testing.assert_array_equal(scored_folds(scores[:, 1:2]), scores[:, 1:2])


@given(
    arrays(float, (6, 4), elements=st.floats(0, 1)),
    arrays(float, 6, elements=st.one_of(st.integers(1, 5).map(float), st.just(np.nan))),
)
def test_smallest_network_within_the_tolerance_wins(scores, sizes):
    """Whatever the order of the rows, which are those of several candidates."""
    results = made_up(scores, sizes)
    means, errors = results["mean_test_score"], results["sem_test_score"]
    known = np.where(np.isnan(sizes), np.inf, sizes)
    best = select_level(results, "score", "best")
    assert means[best] == means.max()
    assert known[best] == known[means == means.max()].min()
    chosen = select_level(results, "score", "one_standard_error")
    within = means >= means[best] - median_error(means, errors)
    assert within[chosen]
    assert known[chosen] == known[within].min()
    assert means[chosen] == means[within & (known == known[chosen])].max()


def test_of_equal_rows_the_first_is_chosen():
    results = made_up(np.full((3, 2), 0.5), np.array([4.0, 3.0, 3.0]))
    for selection in ("best", "one_standard_error"):
        assert select_level(results, "score", selection) == 1
