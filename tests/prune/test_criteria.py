"""Criteria: saliencies by their formulas, rankings, corrections."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import at, make_problem, make_wide_problem

from skobd._prune.criteria import CRITERIA
from skobd._prune.curvature import CURVATURES, diagonal_curvature
from skobd._prune.obs import corrected


@pytest.mark.parametrize("kind", CURVATURES)
def test_obd_saliency_is_the_formula(kind):
    objective, theta = make_wide_problem()
    saliencies = CRITERIA["obd"].saliencies(at(objective, theta, curvature=kind))
    assert_allclose(saliencies, diagonal_curvature(objective, theta, kind) * theta**2 / 2)


def test_obd_saliency_is_the_increase_of_a_quadratic_objective():
    """Without hidden units squared error is quadratic, and the minimum has no gradient."""
    objective, oracle, theta = make_problem("squared_error", 1, depth=0, weighted=True, n=20)
    X = np.hstack([objective.X, np.ones((20, 1))])
    s = objective.sample_weight[:, None]
    theta = np.linalg.solve(X.T @ (s * X), X.T @ (s * objective.Y)).ravel()
    saliencies = CRITERIA["obd"].saliencies(at(objective, theta))
    for k in range(theta.size):
        deleted = theta.copy()
        deleted[k] = 0
        assert saliencies[k] == pytest.approx(oracle.value(deleted) - oracle.value(theta))


def some_deleted(**settings):
    """A problem of which half of the parameters are deleted."""
    objective, theta = make_wide_problem(depth=2)
    mask = np.random.default_rng(0).random(theta.size) < 0.5
    theta = np.where(mask, theta, 0)
    return at(objective, theta, mask, **settings)


def test_prunable_are_surviving_weights():
    problem = some_deleted()
    assert_array_equal(problem.prunable, problem.mask & problem.network.is_weight)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_rankings_hold_what_is_prunable_once(criterion):
    problem = some_deleted(criterion=criterion)
    n_prunable = int(problem.prunable.sum())
    for n_delete in (1, n_prunable // 2, n_prunable):
        ranking = CRITERIA[criterion].rank(problem, n_delete)
        assert len(ranking.order) == len(ranking.increases) >= n_delete
        assert len(set(ranking.order)) == len(ranking.order)
        assert problem.prunable[ranking.order].all()
        assert np.isfinite(ranking.increases).all() == CRITERIA[criterion].predicts


@pytest.mark.parametrize("criterion", CRITERIA)
def test_what_is_deleted_has_no_saliency(criterion):
    problem = some_deleted(criterion=criterion)
    saliencies = CRITERIA[criterion].saliencies(problem)
    assert (saliencies >= 0).all()
    assert_array_equal(saliencies[~problem.mask], 0)


@pytest.mark.parametrize("criterion", [n for n, c in CRITERIA.items() if c.blocks is None])
def test_rankings_ascend(criterion):
    problem = some_deleted(criterion=criterion)
    saliencies = CRITERIA[criterion].saliencies(some_deleted(criterion=criterion))
    assert (np.diff(saliencies[CRITERIA[criterion].rank(problem, 3).order]) >= 0).all()


@pytest.mark.parametrize("criterion", [n for n, c in CRITERIA.items() if c.blocks])
def test_correction_of_a_set_is_that_of_its_ranking(criterion):
    problem = some_deleted(criterion=criterion)
    ranking = CRITERIA[criterion].rank(problem, 5)
    deleted = np.zeros_like(problem.mask)
    deleted[ranking.order[:5]] = True
    theta, increase = corrected(ranking.blocks, problem.theta, deleted)
    expected, expected_increase = corrected(
        CRITERIA[criterion].blocks(problem), problem.theta, deleted
    )
    assert_allclose(theta, expected, rtol=1e-12)
    assert increase == pytest.approx(expected_increase)
    assert_array_equal(theta[deleted], 0)
