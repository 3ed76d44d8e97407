"""Groups of inputs that are deleted together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from problems import at, make_problem, make_wide_problem

from skobd._net.dead_units import connects
from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._net.pruned import PrunedNetwork
from skobd._prune.active import ActiveObjective
from skobd._prune.blocks import DenseBlock, HessianBlocks
from skobd._prune.criteria import CRITERIA
from skobd._prune.deletion_problem import DeletionSettings
from skobd._prune.granularity import GRANULARITIES, present_inputs, present_units
from skobd._prune.obs import joint_saliencies
from skobd._prune.recipe import Recipe, prune
from skobd._train.objective import Objective
from skobd._train.settings import SolverSettings, Training
from skobd._train.state import TrainingState

delete, count = GRANULARITIES["feature"].delete, GRANULARITIES["feature"].n_left
quick = settings(max_examples=40, deadline=None, derandomize=True)


def problem_of(group_of, mask=None, seed=0, depth=1, **deletion):
    """Of 8 inputs."""
    objective, theta = make_wide_problem(depth=depth)
    return with_groups(at(objective, theta, mask, seed, **deletion), group_of)


def with_groups(problem, group_of):
    """The same, whole groups of inputs to be deleted."""
    group_of = None if group_of is None else np.array(group_of)
    settings = replace(problem.settings, granularity="feature", group_of=group_of)
    return replace(problem, settings=settings)


def schur(H, out):
    """The increase is the minimum over the survivors' change; by the complement of theirs."""
    stay = np.setdiff1d(np.arange(len(H)), out)
    adjusted = H[np.ix_(out, stay)] @ np.linalg.solve(H[np.ix_(stay, stay)], H[np.ix_(stay, out)])
    return H[np.ix_(out, out)] - adjusted


@given(st.lists(st.integers(0, 5), min_size=8, max_size=8), st.integers(0, 9), st.data())
@quick
def test_exactly_as_many_whole_groups_are_left(group_of, n_delete, data):
    criterion = data.draw(st.sampled_from(list(CRITERIA)))
    problem = problem_of(group_of, criterion=criterion)
    network, n_groups = problem.network, len(set(group_of))
    mask = delete(problem, n_delete).mask
    assert count(network, np.ones_like(mask), problem.settings.group_of) == n_groups
    assert count(network, mask, problem.settings.group_of) == max(n_groups - n_delete, 1)
    rows = network.coefs(mask)[0]
    kept = rows.any(axis=1)
    assert_array_equal(rows, np.broadcast_to(kept[:, None], rows.shape))
    for number in set(group_of):
        assert len(set(kept[problem.settings.group_of == number])) == 1
    assert network.coefs(mask)[1].all()
    assert connects(network, mask)


@pytest.mark.slow
@pytest.mark.parametrize("criterion", list(CRITERIA))
@pytest.mark.parametrize("group_of", [range(8), [0, 2, 3, 5, 6, 8, 11, 12]])
def test_groups_of_one_are_no_groups(criterion, group_of):
    for n_delete in range(9):
        alone, grouped = (
            delete(problem_of(numbers, criterion=criterion), n_delete)
            for numbers in (None, group_of)
        )
        assert_array_equal(grouped.mask, alone.mask)
        assert_array_equal(grouped.theta, alone.theta)
        assert_array_equal(grouped.predicted_increase, alone.predicted_increase)


@pytest.mark.parametrize("criterion", ["obd", "magnitude"])
def test_saliency_of_a_group_is_the_sum_over_its_columns(criterion):
    group_of = np.array([0, 1, 0, 2, 1, 3, 3, 3])
    problem = problem_of(group_of, criterion=criterion)
    of_input = problem.network.coefs(CRITERIA[criterion].saliencies(problem))[0].sum(axis=1)
    totals = np.bincount(group_of, of_input)
    for n_delete in (1, 2, 3):
        deletion = delete(problem, n_delete)
        gone = ~problem.network.coefs(deletion.mask)[0].any(axis=1)
        expected = np.sort(totals)[:n_delete].sum()
        assert set(group_of[gone]) == set(np.argsort(totals)[:n_delete])
        if CRITERIA[criterion].predicts:
            assert deletion.predicted_increase == pytest.approx(expected)


@pytest.mark.parametrize("criterion", ["obs", "unit_obs"])
@pytest.mark.parametrize("case", [("squared_error", 2), ("multinomial_log_loss", 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_saliency_of_a_group_is_that_of_deleting_it_all(criterion, case, weighted):
    """Against a dense Hessian; for "unit_obs" everything between units is cut out of it."""
    objective, oracle, theta = make_problem(*case, weighted=weighted, alpha=0.3, n=20)
    problem = with_groups(at(objective, theta, criterion=criterion), [0, 1, 0])
    network = objective.network
    units = np.concatenate(
        [np.add(100 * i, np.tile(np.arange(b), a)) for i, (a, b) in enumerate(network.shapes)]
    )
    H = oracle.gauss_newton(theta)
    if criterion == "unit_obs":
        H = np.where(units[:, None] == units, H, 0)
    H += HessianBlocks([], iter).damping * np.diag(np.diag(H))
    groups = present_inputs(network, problem.mask, problem.settings.group_of)
    expected = [
        theta[group.outgoing] @ schur(H, group.outgoing) @ theta[group.outgoing] / 2
        for group in groups
    ]
    actual = CRITERIA[criterion].group_saliencies(problem, [group.outgoing for group in groups])
    assert_allclose(actual, expected, rtol=1e-6)
    deletion = delete(problem, 1)
    gone = problem.settings.group_of == np.argmin(expected)
    assert_array_equal(network.coefs(deletion.mask)[0].any(axis=1), ~gone)


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 5))
@quick
def test_joint_saliencies(seed, size, n_sets):
    """Sets that are spread over blocks of different sizes, with elements that are in none."""
    rng = np.random.default_rng(seed)
    sizes = [size, max(size - 2, 1)]
    matrices = [z.T @ z for z in (rng.normal(size=(2 * n + 1, n)) for n in sizes)]
    lines = np.full((2, size), -1)
    positions = rng.permutation(sum(sizes) + 1)  # one is in no block
    lines[0], lines[1, : sizes[1]] = positions[:size], positions[size : sum(sizes)]
    batches = [lines[:1], lines[1:]] if seed % 2 else [lines]
    dense = [DenseBlock(matrix) for matrix in matrices]
    blocks = HessianBlocks(
        batches, lambda i: iter(dense[i : i + 1] if seed % 2 else dense), damping=0.0
    )
    theta, set_of = rng.normal(size=len(positions)), rng.integers(-1, n_sets, len(positions))
    expected = np.zeros(n_sets)
    for line, matrix in zip(lines, matrices, strict=True):
        inverse, present = np.linalg.inv(matrix), line[line >= 0]
        for number in range(n_sets):
            out = np.flatnonzero(set_of[present] == number)
            u = theta[present[out]]
            expected[number] += u @ np.linalg.inv(inverse[np.ix_(out, out)]) @ u / 2
    sets = [np.flatnonzero(set_of == number) for number in range(n_sets)]
    assert_allclose(joint_saliencies(blocks, theta, sets), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("criterion", ["obs", "unit_obs"])
def test_redundant_columns_go_together(criterion):
    """Each of two equal columns is dispensable, both are not: only the joint increase knows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 4))
    X[:, 1] = X[:, 0]
    network, theta = Network((4, 2)), np.ones(10)
    network.coefs(theta)[0][2:] = 0.5
    objective = Objective(network, LOSSES["squared_error"], X, network.raw_output(theta, X))
    problem = at(objective, theta, criterion=criterion, granularity="feature")
    outgoing = [group.outgoing for group in present_inputs(network, problem.mask)]
    alone = CRITERIA[criterion].group_saliencies(problem, outgoing)
    assert set(np.argsort(alone)[:2]) == {0, 1}
    together = CRITERIA[criterion].group_saliencies(problem, [np.concatenate(outgoing[:2])])
    assert together[0] > 1000 * alone[:2].max()
    kept = network.coefs(delete(with_groups(problem, [0, 0, 1, 1]), 1).mask)[0].any(axis=1)
    assert_array_equal(np.flatnonzero(kept), [0, 1])


def test_units_are_judged_by_all_their_outgoing_weights_at_once():
    objective, oracle, theta = make_problem("multinomial_log_loss", 3, alpha=0.3, n=20)
    problem = at(objective, theta, criterion="obs", granularity="unit")
    H = oracle.gauss_newton(theta)
    H += HessianBlocks([], iter).damping * np.diag(np.diag(H))
    groups = [group.outgoing for group in present_units(objective.network, problem.mask)]
    expected = [theta[out] @ schur(H, out) @ theta[out] / 2 for out in groups]
    assert_allclose(CRITERIA["obs"].group_saliencies(problem, groups), expected, rtol=1e-6)


def test_random_spares_no_group_for_its_size():
    firsts = np.zeros(4)
    for seed in range(400):
        problem = problem_of([0, 0, 0, 0, 0, 1, 2, 3], criterion="random", seed=seed)
        gone = ~problem.network.coefs(delete(problem, 1).mask)[0].any(axis=1)
        firsts[problem.settings.group_of[gone][0]] += 1
    assert firsts.min() > 60


def test_a_group_is_left_as_long_as_any_of_its_weights_is():
    problem = problem_of([0, 0, 0, 1, 1, 1, 2, 2])
    rows = problem.network.coefs(problem.mask)[0]
    rows[[1, 2, 6]] = False
    rows[0, 1:] = False
    assert count(problem.network, problem.mask, problem.settings.group_of) == 3
    rows[0] = False
    assert count(problem.network, problem.mask, problem.settings.group_of) == 2


def test_groups_follow_the_inputs_of_the_active_network():
    """Rounds after the first work on fewer inputs; the result is that of the whole network."""
    group_of = np.array([3, 0, 3, 1, 2, 2, 0, 4])
    objective, theta = make_wide_problem()
    network = objective.network
    training = Training(SolverSettings(solver="lbfgs", max_iter=0), np.random.RandomState(0))
    recipe = Recipe(DeletionSettings(granularity="feature", group_of=group_of), retrain_max_iter=0)
    start = PrunedNetwork.dense(network, theta)
    steps = list(prune(objective, start, TrainingState(), [3, 2, 1], recipe, training))
    mask = start.mask
    for n_left, step in zip([5, 3, 2, 1], steps, strict=True):
        problem = with_groups(at(objective, theta, mask), group_of)
        mask = delete(problem, recipe.n_left(PrunedNetwork(network, theta, mask)) - n_left).mask
        assert step.round.n_left == n_left
        assert_array_equal(step.pruned.mask, mask)
    active = ActiveObjective(objective).restricted(mask)
    assert active.objective.network.layer_sizes[0] < 8
    within = active.problem(PrunedNetwork(network, theta, mask), recipe.deletion, training.rng)
    assert_array_equal(within.settings.group_of, group_of[network.coefs(mask)[0].any(axis=1)])
