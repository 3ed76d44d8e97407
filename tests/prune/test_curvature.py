"""Diagonal second derivatives against dense Hessians, Jacobians and loops over samples."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from problems import every_problem, make_problem

from skobd._net.losses import LOSSES
from skobd._prune.curvature import (
    CURVATURES,
    MAX_PASSES,
    _sampled_factors,
    diagonal_curvature,
)
from skobd._train.objective import Objective, Sizes


def close(actual, expected, tolerance=1e-6):
    assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", every_problem())
def test_recursion_is_the_papers(case):
    objective, oracle, theta = make_problem(*case)
    close(diagonal_curvature(objective, theta, "hessian"), oracle.recursion(theta))
    curvature = diagonal_curvature(objective, theta, "levenberg_marquardt")
    close(curvature, oracle.recursion(theta, with_second_derivative=False))
    assert (curvature >= 0).all()


@pytest.mark.parametrize("case", every_problem())
def test_gauss_newton_is_exact(case):
    objective, oracle, theta = make_problem(*case)
    curvature = diagonal_curvature(objective, theta, "gauss_newton")
    close(curvature, np.diag(oracle.gauss_newton(theta)))
    assert (curvature >= 0).all()


def is_exact(case):
    """No hidden layer, or one of them below a single output unit."""
    _, n_outputs, _, depth, *_ = case
    return depth == 0 or (depth == 1 and n_outputs == 1)


EXACT = [param for param in every_problem() if is_exact(*param.values)]


@pytest.mark.parametrize("case", EXACT)
def test_recursion_is_exact_where_theory_says_so(case):
    objective, oracle, theta = make_problem(*case)
    close(diagonal_curvature(objective, theta, "hessian"), oracle.hessian_diagonal(theta))
    depth = case[3]
    for kind in CURVATURES if depth == 0 else ():
        close(diagonal_curvature(objective, theta, kind), oracle.hessian_diagonal(theta))


def test_oracles_diagonal_is_that_of_the_dense_hessian():
    _, oracle, theta = make_problem("multinomial_log_loss", 3, "tanh", 2, True, 0.3)
    hessian = oracle.hessian(theta)
    close(hessian, hessian.T)
    close(oracle.hessian_diagonal(theta), np.diag(hessian))


def test_recursion_neglects_something_elsewhere():
    objective, oracle, theta = make_problem("multinomial_log_loss", 3, "tanh", 2)
    difference = diagonal_curvature(objective, theta, "hessian") - oracle.hessian_diagonal(theta)
    assert np.abs(difference).max() > 1e-3


@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_without_bend_the_recursion_is_levenberg_marquardt(activation):
    objective, _, theta = make_problem("multinomial_log_loss", 3, activation, 3)
    hessian = diagonal_curvature(objective, theta, "hessian")
    np.testing.assert_array_equal(
        hessian, diagonal_curvature(objective, theta, "levenberg_marquardt")
    )


@pytest.mark.parametrize("kind", CURVATURES)
def test_one_output_unit_and_one_hidden_layer_neglect_nothing_of_gauss_newton(kind):
    objective, _, theta = make_problem("binary_log_loss", 1, "relu", 1, True, 0.3)
    close(
        diagonal_curvature(objective, theta, kind),
        diagonal_curvature(objective, theta, "gauss_newton"),
        1e-12,
    )


@pytest.mark.parametrize("kind", CURVATURES)
def test_integer_weights_are_repetitions(kind):
    objective, _, theta = make_problem("multinomial_log_loss", 3, "tanh", 2, n=40)
    counts = np.arange(40) % 3
    network, loss, X, Y = objective.network, objective.loss, objective.X, objective.Y
    weighted = Objective(network, loss, X, Y, counts.astype(float), 0.3)
    repeated = Objective(network, loss, X.repeat(counts, 0), Y.repeat(counts, 0), None, 0.3)
    close(
        diagonal_curvature(weighted, theta, kind), diagonal_curvature(repeated, theta, kind), 1e-12
    )


@pytest.mark.parametrize("kind", CURVATURES)
def test_blocks_chunks_and_sparse_input_do_not_matter(kind):
    objective, _, theta = make_problem("multinomial_log_loss", 3, "tanh", 2, True, 0.3, n=1100)
    whole = diagonal_curvature(objective, theta, kind)
    objective.X[np.abs(objective.X) < 0.5] = 0
    zeros = diagonal_curvature(objective, theta, kind)
    network, loss, Y, s = objective.network, objective.loss, objective.Y, objective.sample_weight
    sparse = Objective(network, loss, sp.csr_array(objective.X), Y, s, 0.3)
    close(diagonal_curvature(sparse, theta, kind), zeros, 1e-12)
    chunks = Objective(network, loss, objective.X, Y, s, 0.3, Sizes(1, block_rows=50))
    close(diagonal_curvature(chunks, theta, kind), zeros, 1e-12)
    assert np.abs(whole - zeros).max() > 1e-6


@pytest.mark.parametrize("kind", CURVATURES)
def test_float32_stays_float32(kind):
    objective, _, theta = make_problem("poisson", 2, "logistic", 2)
    narrow = Objective(
        objective.network, objective.loss, objective.X.astype(np.float32), objective.Y
    )
    narrow.Y = narrow.Y.astype(np.float32)
    curvature = diagonal_curvature(narrow, theta.astype(np.float32), kind)
    assert curvature.dtype == np.float32
    close(curvature, diagonal_curvature(objective, theta, kind), 1e-3)


class TestManyOutputs:
    """Beyond MAX_PASSES outputs Gauss-Newton is sampled."""

    @pytest.fixture(params=["multinomial_log_loss", "binary_log_loss", "squared_error"])
    def problem(self, request):
        return make_problem(request.param, 300, "tanh", 2, True, n=700)

    def test_no_more_passes_than_for_few(self, problem):
        objective, _, theta = problem
        table, calls = objective.loss, []

        def factor(p, v):
            calls.append(len(p))
            return table.factor(p, v)

        objective.loss = table._replace(factor=factor)
        diagonal_curvature(objective, theta, "gauss_newton")
        assert sum(calls) == MAX_PASSES * 700

    def test_close_to_the_exact_one(self, problem, monkeypatch):
        objective, _, theta = problem
        sampled = diagonal_curvature(objective, theta, "gauss_newton").copy()
        monkeypatch.setattr("skobd._prune.curvature.MAX_PASSES", 300)
        exact = diagonal_curvature(objective, theta, "gauss_newton")
        assert np.abs(sampled - exact).mean() < 0.03 * np.abs(exact).mean()
        assert_allclose(sampled, exact, rtol=0.3, atol=1e-3 * np.abs(exact).mean())

    def test_the_same_signs_in_any_blocks_and_chunks(self, problem):
        objective, _, theta = problem
        whole = diagonal_curvature(objective, theta, "gauss_newton").copy()
        parts = Objective(
            objective.network,
            objective.loss,
            objective.X,
            objective.Y,
            objective.sample_weight,
            sizes=Sizes(1, block_rows=37),
        )
        close(diagonal_curvature(parts, theta, "gauss_newton"), whole, 1e-12)

    def test_just_as_many_outputs_are_exact(self):
        objective, oracle, theta = make_problem("multinomial_log_loss", MAX_PASSES, "tanh", 2)
        curvature = diagonal_curvature(objective, theta, "gauss_newton")
        close(curvature, np.diag(oracle.gauss_newton(theta)))


def test_signs_differ_between_rows_passes_and_outputs():
    """What they have in common is what independent ones have."""
    p = np.full((400, 300), 0.25)
    loss = LOSSES["squared_error"]
    signs = np.stack([np.sign(f) for f in _sampled_factors(loss, p, 0, 16)])
    assert set(np.unique(signs)) == {-1, 1}
    for axis in range(3):
        one = np.moveaxis(signs, axis, 0).reshape(signs.shape[axis], -1)
        correlations = one @ one.T / one.shape[1]
        off = correlations[~np.eye(len(one), dtype=bool)]
        assert np.abs(off).max() < 6 / one.shape[1] ** 0.5
    again = np.stack([np.sign(f) for f in _sampled_factors(loss, p[100:], 100, 16)])
    np.testing.assert_array_equal(again, signs[:, 100:])
