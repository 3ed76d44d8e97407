"""Optimal Brain Surgeon against dense Hessians, inverted anew after each deletion."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import at, make_problem, make_wide_problem
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skobd import OBDMLPClassifier
from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._prune.blocks import (
    MAX_DOUBLE,
    MAX_HESSIAN_ROWS,
    DenseBlock,
    HessianBlocks,
    full_block,
    unit_blocks,
)
from skobd._prune.criteria import CRITERIA, MAX_BLOCK, check_block_size, obd_saliencies
from skobd._prune.deletion import delete_lowest
from skobd._prune.granularity import GRANULARITIES
from skobd._prune.obs import corrected, elimination_order, obs_saliencies
from skobd._threads import reproducible_threads
from skobd._train.objective import Objective

BLOCKS = {"unit_obs": unit_blocks, "obs": full_block}


def random_blocks(sizes, rng):
    """Undamped blocks padded to the size of the largest, and the dense Hessian."""
    order = rng.permutation(sum(sizes) + 3)
    dense = np.zeros((len(order), len(order)))
    width, start = max(sizes), 0
    batch = np.full((len(sizes), width), -1)
    plain = []
    for g, size in enumerate(sizes):
        positions = order[start : start + size]
        start += size
        z = rng.normal(size=(size, 2 * size)) * rng.uniform(0.3, 3, size=(size, 1))
        batch[g, :size] = positions
        plain.append(DenseBlock(z @ z.T / z.shape[1]))
        dense[np.ix_(positions, positions)] = plain[-1].matrix
    return HessianBlocks([batch], lambda i: iter(plain), damping=0.0), dense


def together(*several):
    """One set of blocks of several batches; their positions must not overlap."""
    batches = [blocks.batches[0] for blocks in several]
    return HessianBlocks(batches, lambda i: several[i].blocks(0), damping=0.0)


def greedy(hessian, theta, alive, prunable, n_delete):
    """Optimal Brain Surgeon by definition: invert, delete the cheapest, adjust, again."""
    theta, alive = theta.copy(), alive.copy()
    order, increases = [], []
    for _ in range(n_delete):
        inverse = np.linalg.inv(hessian[np.ix_(alive, alive)])
        live = np.flatnonzero(alive)
        saliencies = theta[live] ** 2 / (2 * np.diag(inverse))
        saliencies[~prunable[live]] = np.inf
        q = int(saliencies.argmin())
        theta[live] -= theta[live[q]] / inverse[q, q] * inverse[:, q]
        theta[live[q]], alive[live[q]] = 0, False
        order.append(live[q])
        increases.append(saliencies[q])
    return np.array(order), np.array(increases), theta


def alive_in(blocks, n):
    alive = np.zeros(n, dtype=bool)
    for batch in blocks.batches:
        alive[batch[batch >= 0]] = True
    return alive


def sequences(blocks, theta, prunable):
    """For every block all of its deletions in their order, and their increases."""
    order, increases = elimination_order(blocks, theta, prunable)
    for batch in blocks.batches:
        for positions in batch:
            mine = np.isin(order, positions[positions >= 0])
            yield positions[positions >= 0], order[mine], increases[mine]


# A panel holds 32 deletions: sizes below one, of one, between, and beyond two.
@pytest.mark.parametrize("sizes", [[6], [32], [70], [5, 9, 7, 1], [20, 34, 9], [64, 64]], ids=str)
@pytest.mark.parametrize("fixed", [False, True], ids=["all", "some-fixed"])
def test_elimination_is_optimal_brain_surgeon(sizes, fixed):
    rng = np.random.default_rng(len(sizes))
    blocks, dense = random_blocks(sizes, rng)
    n = len(dense)
    theta = rng.normal(size=n)
    alive = alive_in(blocks, n)
    prunable = alive & (rng.random(n) < (0.7 if fixed else 2))
    for positions, order, increases in sequences(blocks, theta, prunable):
        in_block = np.isin(np.arange(n), positions)
        n_prunable = int((in_block & prunable).sum())
        expected, expected_increases, _ = greedy(dense, theta, in_block, prunable, n_prunable)
        assert_array_equal(order, expected)
        assert_allclose(increases, expected_increases, rtol=1e-8)
    n_delete = int(prunable.sum()) // 2
    order, increases = elimination_order(blocks, theta, prunable)
    assert len(set(order)) == len(order) == prunable.sum()
    assert prunable[order].all()
    # Whatever was chosen, the correction is that of deleting one after the other.
    deleted = np.isin(np.arange(n), order[:n_delete])
    one_by_one, total, left = theta.copy(), 0.0, alive.copy()
    for q in order[:n_delete]:
        only = np.arange(n) == q
        _, increase, one_by_one = greedy(dense, one_by_one, left, only, 1)
        left &= ~only
        total += increase[0]
    new, increase = corrected(blocks, theta, deleted)
    assert_allclose(new[alive], one_by_one[alive], rtol=1e-7, atol=1e-10)
    assert increase == pytest.approx(total, rel=1e-8)
    assert increase == pytest.approx(increases[:n_delete].sum(), rel=1e-8)
    assert_array_equal(new[~alive], theta[~alive])


@pytest.mark.parametrize("n_delete", [1, 5, 30, 61])
def test_sequences_are_merged_by_their_increases(n_delete):
    """Also where far more goes out of one block than out of others, and across batches."""
    rng = np.random.default_rng(1)
    a, dense = random_blocks([20, 24], rng)
    b, _ = random_blocks([30], rng)
    b.batches[0][b.batches[0] >= 0] += len(dense)
    blocks = together(a, b)
    theta = rng.normal(size=len(dense) + 33)
    theta[a.batches[0][0, :20]] *= 1e-3
    prunable = np.ones(theta.size, dtype=bool)
    merged, merged_increases = elimination_order(blocks, theta, prunable)
    assert len(merged) == 74
    # Blocks keep their own sequences, and nothing left out costs less than what is in.
    for positions, order, increases in sequences(blocks, theta, prunable):
        mine = [q for q in merged[:n_delete] if q in positions]
        assert_array_equal(mine, order[: len(mine)])
        keys = np.maximum.accumulate(increases)
        if len(mine) < len(keys):
            assert keys[len(mine)] >= merged_increases[:n_delete].max()


def explicit_unit_blocks(oracle, theta):
    """The dense matrix whose blocks are those of units, from per-unit curvatures.

    For the exact kind: the Gauss-Newton matrix with everything between units cut out.
    """
    matrix = oracle.gauss_newton(theta)
    unit = []
    for number, (weights, _) in enumerate(oracle.matrices(theta)):
        rows, columns = weights.shape
        unit += [(number, column) for _ in range(rows + 1) for column in range(columns)]
    same = np.array([[a == b for a in unit] for b in unit])
    return np.where(same, matrix, 0)


def assembled(blocks, n):
    matrix = np.zeros((n, n))
    for i, batch in enumerate(blocks.batches):
        for line, block in zip(batch, blocks.blocks(i), strict=True):
            positions = line[line >= 0]
            assert_array_equal(line[: len(positions)], positions)
            upper = np.triu(block.scaled(np.ones(len(positions)), slice(None)))
            whole = upper + np.triu(upper, 1).T
            assert_allclose(block.diagonal(), np.diag(whole), rtol=1e-10, atol=1e-300)
            vector = np.arange(1.0, len(positions) + 1)
            assert_allclose(block.times(vector), whole @ vector, rtol=1e-8, atol=1e-10)
            some = np.arange(0, len(positions), 2)
            assert_allclose(
                np.triu(block.scaled(vector, some)),
                np.triu((whole * vector * vector[:, None])[np.ix_(some, some)]),
                rtol=1e-10,
            )
            matrix[np.ix_(positions, positions)] = whole
    return matrix


PROBLEMS = [
    ("squared_error", 2, "tanh", 2, False, 0.0),
    ("binary_log_loss", 1, "relu", 1, True, 0.3),
    ("multinomial_log_loss", 3, "logistic", 2, True, 0.3),
    ("poisson", 2, "identity", 1, False, 0.3),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p[0])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("pruned", [False, True])
def test_blocks_are_parts_of_the_gauss_newton_matrix(problem, sparse, pruned):
    objective, oracle, theta = make_problem(*problem, n=12)
    if sparse:
        objective.X = sp.csr_array(objective.X)
    mask = np.ones(theta.size, dtype=bool)
    if pruned:
        mask = np.random.default_rng(0).random(theta.size) < 0.6
        theta = np.where(mask, theta, 0)
    both = mask[:, None] & mask
    # A few rows, and a few units, at a time.
    blocks = full_block(at(objective, theta, mask), batch_elements=40)
    expected = np.where(both, oracle.gauss_newton(theta), 0)
    assert_allclose(assembled(blocks, theta.size), expected, rtol=1e-6, atol=1e-8)
    blocks = unit_blocks(at(objective, theta, mask), batch_elements=40)
    expected = np.where(both, explicit_unit_blocks(oracle, theta), 0)
    assert_allclose(assembled(blocks, theta.size), expected, rtol=1e-6, atol=1e-8)
    covered = np.concatenate([batch[batch >= 0] for batch in blocks.batches])
    assert_array_equal(np.sort(covered), np.flatnonzero(mask))


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p[0])
@pytest.mark.parametrize("kind", ["hessian", "levenberg_marquardt"])
def test_diagonals_are_those_of_the_recursion(problem, kind):
    objective, oracle, theta = make_problem(*problem, n=12)
    blocks = unit_blocks(at(objective, theta, curvature=kind))
    diagonal = np.diag(assembled(blocks, theta.size))
    assert_allclose(
        diagonal, oracle.recursion(theta, with_second_derivative=False), rtol=1e-6, atol=1e-9
    )


@pytest.fixture
def linear():
    """A linear network with squared loss at its optimum: the objective is quadratic."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6)) + 1
    Y = X @ rng.normal(size=(6, 2)) + rng.normal(size=(40, 2))
    s, alpha = rng.uniform(0.2, 2, size=40), 0.7
    penalty = np.diag([alpha] * 6 + [0])
    Z = np.column_stack([X, np.ones(40)])
    theta = np.linalg.solve(Z.T @ (s[:, None] * Z) + penalty, Z.T @ (s[:, None] * Y)).ravel()
    return Objective(Network((6, 2)), LOSSES["squared_error"], X, Y, s, alpha), theta


def reoptimised(objective, alive):
    """The optimum with everything else 0, from the normal equations of each output."""
    Z = np.column_stack([objective.X, np.ones(len(objective.X))])
    best = np.zeros(alive.size)
    for k in range(2):
        live = np.flatnonzero(alive.reshape(7, 2)[:, k])
        z = Z[:, live] * np.sqrt(objective.sample_weight)[:, None]
        y = objective.Y[:, k] * np.sqrt(objective.sample_weight)
        penalty = np.diag(np.where(live < 6, objective.alpha, 0.0))
        best.reshape(7, 2)[live, k] = np.linalg.solve(z.T @ z + penalty, z.T @ y)
    return best


@pytest.mark.parametrize("criterion", ["unit_obs", "obs"])
def test_prediction_is_exact_on_a_quadratic_objective(linear, criterion):
    objective, theta = linear
    problem, start = at(objective, theta), objective.value(theta)
    assert np.abs(objective.value_and_gradient(theta)[1]).max() < 1e-12
    blocks = replace(BLOCKS[criterion](problem), damping=0.0)
    for q, saliency in enumerate(obs_saliencies(blocks, theta)):
        best = reoptimised(objective, np.arange(theta.size) != q)
        assert saliency == pytest.approx(objective.value(best) - start, abs=1e-8)
    for n_delete in (1, 4, 9):
        order, _ = elimination_order(blocks, theta, problem.prunable)
        deleted = np.isin(np.arange(theta.size), order[:n_delete])
        new, predicted = corrected(blocks, theta, deleted)
        assert_allclose(new, reoptimised(objective, ~deleted), rtol=1e-8, atol=1e-9)
        assert predicted == pytest.approx(objective.value(new) - start, abs=1e-8)


def test_damped_prediction_is_of_the_change_that_is_made(linear):
    objective, theta = linear
    new, _, predicted = delete_lowest(at(objective, theta, criterion="unit_obs"), 8)
    increase = objective.value(new) - objective.value(theta)
    assert predicted == pytest.approx(increase, abs=1e-8)


def test_diagonal_blocks_give_obd():
    """Orthogonal centred inputs of wildly different scales, a linear network."""
    rng = np.random.default_rng(0)
    X = np.linalg.qr(np.column_stack([np.ones(50), rng.normal(size=(50, 8))]))[0][
        :, 1:
    ] * 10.0 ** np.arange(-3, 5)
    Y = rng.normal(size=(50, 3))
    objective = Objective(Network((8, 3)), LOSSES["squared_error"], X, Y)
    theta = rng.normal(size=27)
    problem = at(objective, theta)
    blocks, obd = unit_blocks(problem), obd_saliencies(problem)
    damped = 1 + blocks.damping
    assert_allclose(obs_saliencies(blocks, theta), obd * damped, rtol=1e-8)
    weights = objective.network.is_weight
    order, increases = elimination_order(blocks, theta, weights)
    assert_array_equal(order, np.flatnonzero(weights)[np.argsort(obd[weights])])
    assert_allclose(increases, obd[order] * damped, rtol=1e-8)
    for n_delete in (5, 20):
        expected, mask, increase = delete_lowest(at(objective, theta), n_delete)
        for name in ("unit_obs", "obs"):
            problem = at(objective, theta, criterion=name)
            assert_array_equal(delete_lowest(problem, n_delete).mask, mask)
            found, predicted = corrected(CRITERIA[name].blocks(problem), theta, ~mask)
            assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
            assert predicted == pytest.approx(increase)


def test_one_unit_is_the_whole_network():
    objective, _, theta = make_problem("binary_log_loss", 1, depth=0, weighted=True, alpha=0.3)
    settings = {"curvature": "levenberg_marquardt"}
    for n_delete in (1, 2, 3):
        obs, unit = (
            delete_lowest(at(objective, theta, criterion=name, **settings), n_delete)
            for name in ("obs", "unit_obs")
        )
        assert_array_equal(obs.mask, unit.mask)
        assert_allclose(obs.theta, unit.theta, rtol=1e-10, atol=1e-12)
        assert obs.predicted_increase == pytest.approx(unit.predicted_increase, rel=1e-10)


@pytest.mark.parametrize("fill", ["zero", "duplicates", "denormal", "padding"])
def test_singular_blocks_stay_finite(fill):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(40, 5))
    z = {"zero": z * 0, "duplicates": z.repeat(2, 0)[:40], "denormal": z * 1e-155}.get(fill, z)
    batch = np.arange(80).reshape(2, 40)
    if fill == "padding":
        batch[0, 1:] = -1
        z = z[:40]
    plain = [DenseBlock((z @ z.T)[np.ix_(line >= 0, line >= 0)]) for line in batch]
    blocks = HessianBlocks([batch], lambda i: iter(plain))
    theta = rng.normal(size=80)
    saliencies = obs_saliencies(blocks, theta)
    assert np.isfinite(saliencies).all()
    assert (saliencies >= 0).all()
    order, increases = elimination_order(blocks, theta, np.ones(80, dtype=bool))
    assert np.isfinite(increases).all()
    deleted = np.zeros(80, dtype=bool)
    deleted[order[:30]] = True
    new, increase = corrected(blocks, theta, deleted)
    assert np.isfinite(new).all()
    assert not new[deleted].any()
    assert 0 <= increase < np.inf
    if fill in ("zero", "denormal"):
        assert increase < 1e-70


def test_twins_take_over():
    """Of duplicated inputs one is deleted for next to nothing, and the other makes up for it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3))
    X, theta = np.column_stack([x, x]), np.array([1.0, 2, 3, 4, 5, 6, 0])
    objective = Objective(Network((6, 1)), LOSSES["squared_error"], X, X @ theta[:6, None])
    new, mask, predicted = delete_lowest(at(objective, theta, criterion="unit_obs"), 3)
    assert_array_equal(mask[:3], ~mask[3:6])
    assert_allclose(new[:3] + new[3:6], theta[:3] + theta[3:6], rtol=1e-3)
    assert predicted < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("criterion", ["unit_obs", "obs"])
def test_rows_are_a_seeded_subsample(criterion):
    n = MAX_HESSIAN_ROWS + 100
    objective, _, theta = make_problem("multinomial_log_loss", 3, "tanh", 2, True, 0.3, n=n)

    def matrix(seed):
        return assembled(BLOCKS[criterion](at(objective, theta, seed=seed)), theta.size)

    assert_array_equal(matrix(0), matrix(0))
    assert np.abs(matrix(0) - matrix(1)).max() > 1e-6
    rows = np.sort(np.random.RandomState(0).permutation(n)[:MAX_HESSIAN_ROWS])
    if criterion == "unit_obs":
        s = objective.sample_weight[rows]
        # The penalty stays that of the whole data.
        alpha = 0.3 * s.sum() / objective.total_weight
        part = Objective(
            objective.network, objective.loss, objective.X[rows], objective.Y[rows], s, alpha
        )
        blocks = unit_blocks(at(part, theta))
        assert_allclose(matrix(0), assembled(blocks, theta.size), rtol=1e-12, atol=1e-15)


def test_threads_change_nothing():
    objective, _, theta = make_problem("multinomial_log_loss", 3, "tanh", 3, n=200)
    problem, results = at(objective, theta), []
    for n_threads in (1, None):
        blocks = unit_blocks(problem, batch_elements=50)
        assert len(blocks.batches) > 4
        with reproducible_threads(n_threads):
            order, increases = elimination_order(blocks, theta, problem.prunable)
            deleted = np.isin(np.arange(theta.size), order[:15])
            results.append((order, increases, *corrected(blocks, theta, deleted)))
    for found, expected in zip(*results, strict=True):
        assert_array_equal(found, expected)


WIDE = np.zeros((6, MAX_BLOCK + 10)), np.arange(6) % 2


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize(
    ("criterion", "width", "size", "instead"),
    [
        ("unit_obs", None, MAX_BLOCK + 11, "'obd'"),
        ("obs", None, 2 * (MAX_BLOCK + 11) + 3, "'obd'"),
        ("obs", 600, 600 * 5 + 3 * 601, "'unit_obs'"),
    ],
)
def test_too_large_blocks_are_refused_before_any_work(criterion, width, size, instead, iris):
    (X, y), width = (iris, width) if width else (WIDE, 2)
    message = f"criterion='{criterion}'.* {size} of them, at most {MAX_BLOCK} .*{instead}"
    model = OBDMLPClassifier((width,), criterion=criterion, random_state=0)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
    dense = OBDMLPClassifier((width,), prune_fraction=0, criterion=criterion, max_iter=1)
    dense.set_params(solver="lbfgs").fit(X, y)
    before = dense.coefs_[0].copy()
    with pytest.raises(ValueError, match=message):
        dense.prune(X, y, prune_fraction=0.5)
    with pytest.raises(ValueError, match=message):
        dense.saliencies(X, y)
    assert_array_equal(dense.coefs_[0], before)


def test_block_size_is_that_of_the_survivors():
    network = Network((5000, 2))
    mask = np.zeros(network.n_parameters, dtype=bool)
    layer = network.layers(mask)[0]
    layer[:4096, 0] = True
    for criterion in ("obs", "unit_obs", "obd"):
        check_block_size(criterion, network, mask)
    layer[:, 1] = layer[:100, 0] = True
    layer[4000:, 1] = False
    check_block_size("unit_obs", network, mask)
    with pytest.raises(ValueError, match=r"the network has 8096 of them.*criterion='unit_obs'"):
        check_block_size("obs", network, mask)
    layer[:] = True
    check_block_size("obd", network, mask)
    for criterion in ("obs", "unit_obs"):
        with pytest.raises(ValueError, match=r"has (5001|10002) of them.*criterion='obd'"):
            check_block_size(criterion, network, mask)


@pytest.mark.parametrize("criterion", ["unit_obs", "obs"])
def test_nothing_left_has_no_saliency(criterion, capfd):
    objective, _, theta = make_problem("multinomial_log_loss", 3)
    problem = at(objective, 0 * theta, np.zeros(theta.size, dtype=bool), criterion=criterion)
    assert not CRITERIA[criterion].saliencies(problem).any()
    # LAPACK would write of empty matrices to the standard error.
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_large_blocks_in_single_precision():
    """Their ranking is as good, and the correction of what they choose the same."""
    rng = np.random.default_rng(0)
    n = MAX_DOUBLE + 50
    X = rng.normal(size=(600, n)) @ (np.eye(n) + rng.normal(size=(n, n)) / n)
    network = Network((n, 9, 2), "relu")
    Y = rng.normal(size=(600, 2))
    theta = network.initialise(np.random.RandomState(0), float)
    n_delete = network.n_parameters // 2
    increases, orders = [], []
    for scale in (1, 1e20):
        # Too large for single precision, so that everything is double.
        inputs = np.ones(theta.size)
        network.layers(inputs)[0][:-1] = 1 / scale
        scaled = Objective(network, LOSSES["squared_error"], X * scale, Y)
        problem = at(scaled, theta * inputs)
        blocks = unit_blocks(problem)
        kinds = {
            block.rows.dtype.name for i in range(len(blocks.batches)) for block in blocks.blocks(i)
        }
        assert kinds == ({"float32", "float64"} if scale == 1 else {"float64"})
        order, _ = elimination_order(blocks, problem.theta, problem.prunable)
        orders.append(order[:n_delete])
        deleted = np.isin(np.arange(theta.size), order[:n_delete])
        increases.append(corrected(blocks, problem.theta, deleted)[1])
    assert len(np.intersect1d(*orders)) > 0.99 * n_delete
    assert increases[0] == pytest.approx(increases[1], rel=1e-3)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("granularity", ["weight", "unit", "feature"])
def test_no_deletion_no_curvature(criterion, granularity):
    """A round that deletes nothing looks at nothing."""
    objective, _, theta = make_problem("multinomial_log_loss", 3)
    objective.loss = objective.loss._replace(curvature=None, factor=None, inverse_link=None)
    problem = at(objective, theta, criterion=criterion)
    deletion = GRANULARITIES[granularity].delete(problem, 0)
    assert_array_equal(deletion.theta, theta)
    assert deletion.mask.all()
    assert deletion.predicted_increase == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_digits_survive_one_shot():
    """90 % in one shot without retraining: what the correction of the survivors is good for."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
    params = {"solver": "lbfgs", "alpha": 1, "max_iter": 200, "random_state": 0}
    model = OBDMLPClassifier((50,), prune_fraction=0, retrain_max_iter=0, **params).fit(X, y)
    scores = {}
    for criterion in ("unit_obs", "obd", "magnitude"):
        pruned = copy.deepcopy(model).set_params(criterion=criterion)
        pruned.prune(X, y, prune_fraction=0.9, n_rounds=1)
        assert pruned.n_weights_ == 370
        scores[criterion] = pruned.score(X_test, y_test)
    assert scores["unit_obs"] >= 0.92
    assert scores["unit_obs"] > max(scores["obd"], scores["magnitude"]) + 0.1


@pytest.mark.parametrize("criterion", ["unit_obs", "obs"])
def test_dead_units_go_first_and_for_nothing(criterion):
    objective, theta = make_wide_problem()
    network, mask = objective.network, np.ones(theta.size, dtype=bool)
    hidden, output = network.coefs(mask)
    # Nothing goes into the first unit, and nothing comes out of the second.
    hidden[:, 0] = output[1] = False
    theta = np.where(mask, theta, 0)
    n_dead = 3 + 8
    deletion = delete_lowest(at(objective, theta, mask, criterion=criterion), n_dead)
    hidden, output = network.coefs(deletion.mask)
    assert not output[0].any()
    assert not hidden[:, 1].any()
    assert (mask & ~deletion.mask).sum() == n_dead
    X = objective.X
    expected = network.raw_output(theta, X)
    assert_allclose(network.raw_output(deletion.theta, X), expected, rtol=1e-12, atol=1e-12)
    assert deletion.predicted_increase == 0
