"""The surgeon family against dense Hessians, inverted anew after each deletion."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import make_problem
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skobd._surgeon import (
    HessianBlocks,
    check_block_size,
    corrected,
    elimination_order,
    full_block,
    surgeon_saliencies,
    unit_blocks,
)
from skobd._surgery import SurgerySettings, delete_lowest, obd_saliencies

from skobd import OBDMLPClassifier, OBDMLPRegressor, _surgeon
from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._threads import reproducible_threads
from skobd._train.objective import Objective


def seeded():
    return np.random.RandomState(0)


@pytest.fixture
def undamped(monkeypatch):
    monkeypatch.setattr(_surgeon, "_DAMPING", 0.0)


def random_blocks(sizes, rng, rank=None):
    """Blocks in batches of equal sizes padded to the largest, and the dense Hessian."""
    order = rng.permutation(sum(sizes) + 3)
    dense = np.zeros((len(order), len(order)))
    width, start = max(sizes), 0
    batch = np.full((len(sizes), width), -1)
    plain = np.zeros((len(sizes), width, width))
    for g, size in enumerate(sizes):
        positions = order[start : start + size]
        start += size
        z = rng.normal(size=(size, rank or 2 * size)) * rng.uniform(0.3, 3, size=(size, 1))
        batch[g, :size], plain[g, :size, :size] = positions, z @ z.T / z.shape[1]
        dense[np.ix_(positions, positions)] = plain[g, :size, :size]
    return HessianBlocks([batch], lambda i: plain.copy()), dense


def together(*several):
    """One set of blocks of several batches; their positions must not overlap."""
    return HessianBlocks([blocks.batches[0] for blocks in several], lambda i: several[i].compute(0))


def greedy(hessian, theta, alive, able, n_delete):
    """Optimal Brain Surgeon by definition: invert, delete the cheapest, adjust, again."""
    theta, alive = theta.copy(), alive.copy()
    order, rises = [], []
    for _ in range(n_delete):
        inverse = np.linalg.inv(hessian[np.ix_(alive, alive)])
        live = np.flatnonzero(alive)
        saliencies = theta[live] ** 2 / (2 * np.diag(inverse))
        saliencies[~able[live]] = np.inf
        q = int(saliencies.argmin())
        theta[live] -= theta[live[q]] / inverse[q, q] * inverse[:, q]
        theta[live[q]], alive[live[q]] = 0, False
        order.append(live[q])
        rises.append(saliencies[q])
    return np.array(order), np.array(rises), theta


def alive_in(blocks, n):
    alive = np.zeros(n, dtype=bool)
    for batch in blocks.batches:
        alive[batch[batch >= 0]] = True
    return alive


@pytest.mark.parametrize("sizes", [[6], [75], [5, 9, 7, 1], [40, 70, 33]], ids=str)
@pytest.mark.parametrize("fixed", [False, True], ids=["all", "some-fixed"])
def test_elimination_is_optimal_brain_surgeon(sizes, fixed, undamped):
    rng = np.random.default_rng(len(sizes))
    blocks, dense = random_blocks(sizes, rng)
    n = len(dense)
    theta = rng.normal(size=n)
    able = rng.random(n) < 0.7 if fixed else np.ones(n, dtype=bool)
    alive = alive_in(blocks, n)
    for g, batch in enumerate(blocks.batches[0]):
        block_alive = np.zeros(n, dtype=bool)
        block_alive[batch[batch >= 0]] = True
        n_able = int((block_alive & able).sum())
        expected, rises, _ = greedy(dense, theta, block_alive, able, n_able)
        found = _surgeon._eliminate(blocks, 0, theta, able, batch.size)
        assert_array_equal(found.positions[g, :n_able], expected)
        assert_allclose(found.rises[g, :n_able], rises, rtol=1e-8)
        assert np.isinf(found.rises[g, n_able:]).all()
    n_delete = int((alive & able).sum()) // 2
    order, rises = elimination_order(blocks, theta, able, n_delete)
    assert len(set(order)) == len(order) >= n_delete
    assert able[order].all()
    assert alive[order].all()
    # Whatever was chosen, the correction is that of deleting one after the other.
    deleted = np.zeros(n, dtype=bool)
    deleted[order[:n_delete]] = True
    one_by_one, total = theta.copy(), 0.0
    left = alive.copy()
    for q in order[:n_delete]:
        only = np.arange(n) == q
        _, rise, one_by_one = greedy(dense, one_by_one, left, only, 1)
        left &= ~only
        total += rise[0]
    new, rise = corrected(blocks, theta, deleted)
    assert_allclose(new[alive], one_by_one[alive], rtol=1e-7, atol=1e-10)
    assert rise == pytest.approx(total, rel=1e-8)
    assert rise == pytest.approx(rises[:n_delete].sum(), rel=1e-8)
    assert_array_equal(new[~alive], theta[~alive])


@pytest.mark.parametrize("n_delete", [1, 5, 30, 61])
def test_short_sequences_merge_like_full_ones(n_delete, monkeypatch):
    """Also where one block is exhausted far beyond its share, and across batches."""
    rng = np.random.default_rng(1)
    a, dense = random_blocks([20, 24], rng)
    b, _ = random_blocks([30], rng)
    b.batches[0][b.batches[0] >= 0] += len(dense)
    blocks = together(a, b)
    theta = rng.normal(size=len(dense) + 33)
    theta[a.batches[0][0, :20]] *= 1e-3
    able = np.ones(theta.size, dtype=bool)
    monkeypatch.setattr(_surgeon, "_SLACK", 1e9)
    full, full_rises = elimination_order(blocks, theta, able, n_delete)
    assert len(full) == 74
    monkeypatch.setattr(_surgeon, "_SLACK", 1.0)
    short, short_rises = elimination_order(blocks, theta, able, n_delete)
    assert_array_equal(short[:n_delete], full[:n_delete])
    assert_allclose(short_rises[:n_delete], full_rises[:n_delete], rtol=1e-12)
    # Blocks keep their own sequences, and nothing left out is cheaper than what is in.
    for i, batch in enumerate(blocks.batches):
        alone = _surgeon._eliminate(blocks, i, theta, able, batch.shape[1])
        keys = np.maximum.accumulate(alone.rises, axis=1)
        for g, row in enumerate(alone.positions):
            mine = [q for q in short[:n_delete] if q in batch[g]]
            assert_array_equal(mine, row[: len(mine)])
            if len(mine) < np.isfinite(keys[g]).sum():
                assert keys[g, len(mine)] >= np.maximum.accumulate(short_rises[:n_delete])[-1]


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
        for positions, block in zip(batch, blocks.compute(i), strict=True):
            real = positions >= 0
            assert not block[~real].any()
            assert not block[:, ~real].any()
            matrix[np.ix_(positions[real], positions[real])] = block[np.ix_(real, real)]
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
def test_blocks_are_parts_of_the_gauss_newton_matrix(problem, sparse, pruned, monkeypatch):
    monkeypatch.setattr(_surgeon, "_BATCH_ELEMENTS", 40)
    objective, oracle, theta = make_problem(*problem, n=12)
    if sparse:
        objective.X = sp.csr_array(objective.X)
    mask = np.ones(theta.size, dtype=bool)
    if pruned:
        mask = np.random.default_rng(0).random(theta.size) < 0.6
        theta = np.where(mask, theta, 0)
    both = mask[:, None] & mask
    blocks = full_block(objective, theta, mask, "gauss_newton", seeded())
    expected = np.where(both, oracle.gauss_newton(theta), 0)
    assert_allclose(assembled(blocks, theta.size), expected, rtol=1e-6, atol=1e-8)
    blocks = unit_blocks(objective, theta, mask, "gauss_newton", seeded())
    expected = np.where(both, explicit_unit_blocks(oracle, theta), 0)
    assert_allclose(assembled(blocks, theta.size), expected, rtol=1e-6, atol=1e-8)
    covered = np.concatenate([batch[batch >= 0] for batch in blocks.batches])
    assert_array_equal(np.sort(covered), np.flatnonzero(mask))


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p[0])
@pytest.mark.parametrize("kind", ["hessian", "levenberg_marquardt"])
def test_diagonals_are_those_of_the_recursion(problem, kind):
    objective, oracle, theta = make_problem(*problem, n=12)
    blocks = unit_blocks(objective, theta, np.ones(theta.size, dtype=bool), kind, seeded())
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
def test_prediction_is_exact_on_a_quadratic_objective(linear, criterion, undamped):
    objective, theta = linear
    mask, start = np.ones(theta.size, dtype=bool), objective.value(theta)
    settings = SurgerySettings(criterion, "gauss_newton")
    assert np.abs(objective.value_and_gradient(theta)[1]).max() < 1e-12
    blocks = _surgeon.BLOCKS[criterion](objective, theta, mask, "gauss_newton", seeded())
    for q, saliency in enumerate(surgeon_saliencies(blocks, theta)):
        best = reoptimised(objective, np.arange(theta.size) != q)
        assert saliency == pytest.approx(objective.value(best) - start, abs=1e-8)
    for n_delete in (1, 4, 9):
        new, left, predicted = delete_lowest(objective, theta, mask, n_delete, settings, seeded())
        assert_allclose(new, reoptimised(objective, left), rtol=1e-8, atol=1e-9)
        assert predicted == pytest.approx(objective.value(new) - start, abs=1e-8)


def test_damped_prediction_is_of_the_change_that_is_made(linear):
    objective, theta = linear
    settings = SurgerySettings("unit_obs", "gauss_newton")
    new, _, predicted = delete_lowest(
        objective, theta, np.ones(theta.size, dtype=bool), 8, settings, seeded()
    )
    rise = objective.value(new) - objective.value(theta)
    assert predicted == pytest.approx(rise, abs=1e-8)


def test_diagonal_blocks_give_obd():
    """Orthogonal centred inputs of wildly different scales, a linear network."""
    rng = np.random.default_rng(0)
    X = np.linalg.qr(np.column_stack([np.ones(50), rng.normal(size=(50, 8))]))[0][
        :, 1:
    ] * 10.0 ** np.arange(-3, 5)
    Y = rng.normal(size=(50, 3))
    objective = Objective(Network((8, 3)), LOSSES["squared_error"], X, Y)
    theta, mask = rng.normal(size=27), np.ones(27, dtype=bool)
    blocks = unit_blocks(objective, theta, mask, "gauss_newton", seeded())
    obd = obd_saliencies(objective, theta, mask, SurgerySettings())
    damped = 1 + _surgeon._DAMPING
    assert_allclose(surgeon_saliencies(blocks, theta), obd * damped, rtol=1e-8)
    able = objective.network.is_weight
    order, rises = elimination_order(blocks, theta, able, 24)
    assert_array_equal(order, np.flatnonzero(able)[np.argsort(obd[able])])
    assert_allclose(rises, obd[order] * damped, rtol=1e-8)
    for n_delete in (5, 20):
        results = [
            delete_lowest(objective, theta, mask, n_delete, SurgerySettings(name), seeded())
            for name in ("obd", "unit_obs", "obs")
        ]
        for result in results[1:]:
            assert_array_equal(result.mask, results[0].mask)
            assert_allclose(result.theta, results[0].theta, rtol=1e-7, atol=1e-9)
            assert result.predicted_increase == pytest.approx(results[0].predicted_increase)


def test_one_unit_is_the_whole_network():
    objective, _, theta = make_problem("binary_log_loss", 1, depth=0, weighted=True, alpha=0.3)
    mask = np.ones(theta.size, dtype=bool)
    for n_delete in (1, 2, 4):
        settings = [
            SurgerySettings(name, "levenberg_marquardt", prune_intercepts=True)
            for name in ("obs", "unit_obs")
        ]
        obs, unit = (delete_lowest(objective, theta, mask, n_delete, s, seeded()) for s in settings)
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
    plain = np.stack([z @ z.T] * 2)
    plain[batch < 0] = 0
    plain.transpose(0, 2, 1)[batch < 0] = 0
    blocks = HessianBlocks([batch], lambda i: plain.copy())
    theta = rng.normal(size=80)
    saliencies = surgeon_saliencies(blocks, theta)
    assert np.isfinite(saliencies).all()
    assert (saliencies >= 0).all()
    order, rises = elimination_order(blocks, theta, np.ones(80, dtype=bool), 30)
    assert np.isfinite(rises).all()
    deleted = np.zeros(80, dtype=bool)
    deleted[order[:30]] = True
    new, rise = corrected(blocks, theta, deleted)
    assert np.isfinite(new).all()
    assert not new[deleted].any()
    assert 0 <= rise < np.inf
    if fill in ("zero", "denormal"):
        assert rise < 1e-70


def test_twins_take_over():
    """Of duplicated inputs one is deleted for next to nothing, and the other makes up for it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3))
    X, theta = np.column_stack([x, x]), np.array([1.0, 2, 3, 4, 5, 6, 0])
    objective = Objective(Network((6, 1)), LOSSES["squared_error"], X, X @ theta[:6, None])
    new, mask, predicted = delete_lowest(
        objective, theta, np.ones(7, dtype=bool), 3, SurgerySettings("unit_obs"), seeded()
    )
    assert_array_equal(mask[:3], ~mask[3:6])
    assert_allclose(new[:3] + new[3:6], theta[:3] + theta[3:6], rtol=1e-3)
    assert predicted < 1e-3


@pytest.mark.parametrize("criterion", ["unit_obs", "obs"])
def test_rows_are_a_seeded_subsample(criterion, monkeypatch):
    objective, _, theta = make_problem("multinomial_log_loss", 3, "tanh", 2, True, 0.3, n=300)
    monkeypatch.setattr(_surgeon, "MAX_HESSIAN_ROWS", 100)
    mask = np.ones(theta.size, dtype=bool)

    def matrix(seed):
        rng = np.random.RandomState(seed)
        blocks = _surgeon.BLOCKS[criterion](objective, theta, mask, "gauss_newton", rng)
        return assembled(blocks, theta.size)

    assert_array_equal(matrix(0), matrix(0))
    assert np.abs(matrix(0) - matrix(1)).max() > 1e-6
    rows = np.sort(np.random.RandomState(0).permutation(300)[:100])
    if criterion == "unit_obs":
        s = objective.sample_weight[rows]
        # The penalty stays that of the whole data.
        alpha = 0.3 * s.sum() / objective.total_weight
        part = Objective(
            objective.network, objective.loss, objective.X[rows], objective.Y[rows], s, alpha
        )
        blocks = unit_blocks(part, theta, mask, "gauss_newton", seeded())
        assert_allclose(matrix(0), assembled(blocks, theta.size), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("keep", [True, False])
def test_threads_and_keeping_blocks_change_nothing(keep, monkeypatch):
    objective, _, theta = make_problem("multinomial_log_loss", 3, "tanh", 3, n=200)
    monkeypatch.setattr(_surgeon, "_BATCH_ELEMENTS", 50)
    settings, mask = SurgerySettings("unit_obs"), np.ones(theta.size, dtype=bool)
    expected = delete_lowest(objective, theta, mask, 15, settings, seeded())
    monkeypatch.setattr(_surgeon, "_KEPT_ELEMENTS", 10**6 if keep else 0)
    with reproducible_threads():
        found = delete_lowest(objective, theta, mask, 15, settings, seeded())
    assert_array_equal(found.theta, expected.theta)
    assert_array_equal(found.mask, expected.mask)
    assert found.predicted_increase == expected.predicted_increase


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize(
    ("criterion", "most", "instead"),
    [("unit_obs", 12, "'obd'"), ("obs", 12, "'obd'"), ("obs", 16, "'unit_obs'")],
)
def test_too_large_blocks_are_refused_before_any_work(criterion, most, instead, iris, monkeypatch):
    monkeypatch.setattr(_surgeon, "MAX_BLOCK", most)
    model = OBDMLPClassifier((15,), criterion=criterion, random_state=0)
    size = 16 if criterion == "unit_obs" else 15 * 5 + 3 * 16
    message = f"criterion='{criterion}'.* {size} of them, at most {most} .*{instead}"
    with pytest.raises(ValueError, match=message):
        model.fit(*iris)
    assert not hasattr(model, "coefs_")
    dense = OBDMLPClassifier((15,), prune_fraction=0, criterion=criterion, solver="lbfgs")
    dense.fit(*iris)
    before = dense.coefs_[0].copy()
    with pytest.raises(ValueError, match=message):
        dense.prune(*iris, prune_fraction=0.5)
    with pytest.raises(ValueError, match=message):
        dense.saliencies(*iris)
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


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_nothing_left_has_no_saliency(iris, capfd):
    model = OBDMLPClassifier((3,), solver="lbfgs", criterion="obs", prune_intercepts=True)
    model.set_params(prune_fraction=0.99, max_iter=30, random_state=0).fit(*iris)
    model._mask[:] = False
    assert not any(values.any() for values in model.saliencies(*iris).coefs)
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_digits_survive_one_shot():
    """64-100-10, 90 % in one shot without retraining: the target of the project."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
    model = OBDMLPClassifier(
        (100,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0, prune_fraction=0,
        retrain_max_iter=0,
    ).fit(X, y)  # fmt: skip
    scores = {}
    for criterion in ("unit_obs", "obd", "magnitude"):
        pruned = copy.deepcopy(model).set_params(criterion=criterion)
        pruned.prune(X, y, prune_fraction=0.9, n_rounds=1)
        assert pruned.n_weights_ == 740
        scores[criterion] = pruned.score(X_test, y_test)
    assert scores["unit_obs"] >= 0.95
    assert scores["unit_obs"] > max(scores["obd"], scores["magnitude"]) + 0.05


@pytest.mark.parametrize("validated", [False, True])
def test_prune_tol_keeps_the_smallest_network_within(validated, iris):
    X, y = iris
    held_out = {"X_val": X[1::2], "y_val": y[1::2]} if validated else {}
    params = {
        "hidden_layer_sizes": (10,), "solver": "lbfgs", "alpha": 0.1, "max_iter": 300,
        "random_state": 0, "prune_fraction": 0.95, "n_rounds": 12, "criterion": "unit_obs",
        "curvature": "gauss_newton", "retrain_max_iter": 0,
    }  # fmt: skip
    whole = OBDMLPClassifier(**params).fit(X[::2], y[::2], **held_out)
    dense = OBDMLPClassifier(**{**params, "prune_fraction": 0}).fit(X[::2], y[::2])
    tol = 0.02
    model = OBDMLPClassifier(**params, prune_tol=tol).fit(X[::2], y[::2], **held_out)
    history = whole.pruning_history_
    if validated:
        rise = dense.score(X[1::2], y[1::2]) - history["validation_score"]
    else:
        rise = history["loss_after_retraining"] - dense.loss_
    n_rounds = int(np.argmax(rise > tol))
    assert 0 < n_rounds < 12
    assert len(model.pruning_history_["round"]) == n_rounds
    for name, column in model.pruning_history_.items():
        assert_array_equal(column, history[name][:n_rounds])
    assert model.n_weights_ == history["n_weights"][n_rounds - 1]
    assert model.n_weights_ == sum(int(mask.sum()) for mask in model.coef_masks_)
    assert model.loss_ == pytest.approx(history["loss_after_retraining"][n_rounds - 1])
    generous = OBDMLPClassifier(**params, prune_tol=1e6).fit(X[::2], y[::2], **held_out)
    assert generous.n_weights_ == whole.n_weights_ == round(0.05 * 70)


@pytest.mark.parametrize("criterion", ["unit_obs", "obs"])
def test_dead_units_go_first_and_for_nothing(criterion, diabetes):
    X, y = diabetes
    model = OBDMLPRegressor(
        hidden_layer_sizes=(6,), activation="tanh", solver="lbfgs", max_iter=1000,
        random_state=0, prune_fraction=0, criterion=criterion, retrain_max_iter=0, alpha=1.0,
    )  # fmt: skip
    model.fit(X, y)
    n_inputs = X.shape[1]
    weights, masks = model.coefs_, model._network.coefs(model._mask)
    weights[0][:, 0], masks[0][:, 0] = 0, False
    weights[1][1], masks[1][1] = 0, False
    before = model.predict(X)
    # One weight out of the constant unit, and those into the one that nobody listens to.
    n_dead = n_inputs + 1
    n_total = (n_inputs + 1) * 6
    target = model.n_weights_ - n_dead
    model.prune(X, y, prune_fraction=1 - target / n_total, n_rounds=1)
    assert model.n_weights_ == target
    assert not model.coef_masks_[1][0].any()
    assert not model.coef_masks_[0][:, 1].any()
    assert_allclose(model.predict(X), before, rtol=1e-12, atol=1e-12)
    assert model.pruning_history_["predicted_increase"][-1] == 0
