"""Deleting whole units and whole inputs."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import at, make_wide_problem
from sklearn.datasets import make_classification
from sklearn.feature_selection import SelectFromModel
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier
from skobd._net.dead_units import connects
from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._prune.criteria import CRITERIA
from skobd._prune.granularity import GRANULARITIES, _order, present_inputs, present_units
from skobd._train.objective import Objective

pytestmark = pytest.mark.filterwarnings("ignore:.*(converge|Maximum):UserWarning")


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(
        200, 12, n_informative=5, n_redundant=2, n_classes=3, random_state=0, shuffle=False
    )
    return StandardScaler().fit_transform(X), y


def fit(data, **params):
    defaults = {
        "hidden_layer_sizes": (10, 8),
        "solver": "lbfgs",
        "alpha": 0.1,
        "max_iter": 60,
        "random_state": 0,
        "retrain_max_iter": 5,
        "prune_fraction": 0.6,
        "granularity": "unit",
    }
    return OBDMLPClassifier(**{**defaults, **params}).fit(*data)


def alive_units(model):
    """For every hidden layer, whether a unit has incoming weights, and outgoing ones."""
    masks = model.coef_masks_
    return [(before.any(axis=0), after.any(axis=1)) for before, after in itertools.pairwise(masks)]


def delete(problem, n_delete):
    return GRANULARITIES[problem.settings.granularity].delete(problem, n_delete)


@pytest.mark.parametrize("criterion", list(CRITERIA))
def test_exactly_as_many_whole_units_go(data, criterion):
    model = fit(data, criterion=criterion)
    n_left = 0
    for incoming, outgoing in alive_units(model):
        assert_array_equal(incoming, outgoing)
        assert incoming.any()
        n_left += incoming.sum()
    assert n_left == round(0.4 * 18)
    assert model.pruning_history_["n_units"][-1] == n_left
    for mask in model.coef_masks_[:1]:
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        assert_array_equal(mask, rows[:, None] & columns)


@pytest.mark.parametrize("criterion", list(CRITERIA))
def test_whole_features_go(data, criterion):
    model = fit(data, criterion=criterion, granularity="feature", prune_fraction=0.3)
    mask = model.coef_masks_[0]
    kept = mask.any(axis=1)
    assert_array_equal(mask, np.broadcast_to(kept[:, None], mask.shape))
    assert kept.sum() == round(0.7 * 12)
    assert model.pruning_history_["n_features"][-1] == kept.sum()
    assert all(m.all() for m in model.coef_masks_[1:])
    X = data[0].copy()
    X[:, ~kept] = 1e3
    assert_array_equal(model.predict_proba(X), model.predict_proba(data[0]))


def test_noise_features_go_first(data):
    model = fit(data, granularity="feature", prune_fraction=0.4, hidden_layer_sizes=(10,))
    kept = model.coef_masks_[0].any(axis=1)
    assert kept[:7].sum() > kept[7:].sum()
    selector = SelectFromModel(model, threshold=1e-12, prefit=True)
    assert_array_equal(selector.get_support(), kept)


@pytest.mark.parametrize("granularity", ["unit", "feature"])
@pytest.mark.parametrize("criterion", ["obd", "unit_obs", "random"])
def test_the_last_one_stays(data, granularity, criterion):
    with pytest.warns(UserWarning, match="the last way from the inputs"):
        model = fit(data, granularity=granularity, criterion=criterion, prune_fraction=0.99)
    if granularity == "unit":
        assert [int(incoming.sum()) for incoming, _ in alive_units(model)] == [1, 1]
    else:
        assert model.coef_masks_[0].any(axis=1).sum() == 1
    assert np.isfinite(model.predict_proba(data[0])).all()


@pytest.mark.parametrize("granularity", ["unit", "feature"])
def test_the_last_way_through_stays(granularity):
    """Where single weights went before, one unit of several may be the only one that counts."""
    rng = np.random.default_rng(0)
    network = Network((3, 3, 3, 1), "relu")
    # All units of both layers have weights on both sides, but only one way leads through.
    mask = np.ones(network.n_parameters, dtype=bool)
    first, second, third = network.coefs(mask)
    first[...] = [[0, 1, 1], [0, 1, 1], [1, 0, 0]]
    second[...] = [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    third[...] = [[1], [0], [0]]
    theta = np.where(mask, 1.0, 0.0)
    # By its weights alone it would be the first to go.
    network.coefs(theta)[0][2] = network.coefs(theta)[1][0] = 0.01
    theta = np.where(mask, theta, 0)
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    objective = Objective(network, LOSSES["squared_error"], X, Y)
    settings = {"criterion": "magnitude", "granularity": granularity}
    left = delete(at(objective, theta, mask, **settings), 6).mask
    assert connects(network, left)
    assert left.sum() < mask.sum()
    # Until nothing else is left.
    while (mask != left).any():
        mask = left
        left = delete(at(objective, theta, mask, **settings), 6).mask
    assert connects(network, left)
    assert_array_equal(np.flatnonzero(network.coefs(left)[0].any(axis=1)), [2])


def groups_left(granularity, network, mask, group_of):
    if granularity == "unit":
        return present_units(network, mask)
    return present_inputs(network, mask, group_of)


def leads_through(network, mask):
    """Whether any output can be reached from any input, by products of the layers' masks."""
    return bool(np.linalg.multi_dot([np.eye(network.layer_sizes[0]), *network.coefs(mask)]).any())


def deleted_one_by_one(problem, order, groups, n_delete):
    """By definition: a group goes, in its turn, unless the last way through went with it."""
    network, mask, n_deleted = problem.network, problem.mask.copy(), 0
    is_way = leads_through(network, mask * 1.0)
    for group in (groups[place] for place in order):
        left = mask.copy()
        for positions in group:
            left[positions] &= ~problem.prunable[positions]
        if n_deleted < n_delete and (not is_way or leads_through(network, left * 1.0)):
            mask, n_deleted = left, n_deleted + 1
    return mask


def sparse_problem(seed, criterion, granularity):
    """A small network of one to three hidden layers with holes, and sometimes groups of inputs."""
    rng = np.random.default_rng(seed)
    sizes = (rng.integers(2, 9), *rng.integers(1, 7, size=rng.integers(1, 4)), 2)
    network = Network(tuple(map(int, sizes)), "tanh")
    mask = (rng.random(network.n_parameters) < rng.choice([0.3, 0.5, 0.8])) | ~network.is_weight
    theta = np.where(mask, rng.normal(size=mask.size), 0)
    X, Y = rng.normal(size=(12, sizes[0])), rng.normal(size=(12, 2))
    objective = Objective(network, LOSSES["squared_error"], X, Y, None, 0.1)
    group_of = None
    if granularity == "feature" and seed % 3:
        _, group_of = np.unique(rng.integers(4, size=sizes[0]), return_inverse=True)
    return at(
        objective, theta, mask, granularity=granularity, criterion=criterion, group_of=group_of
    )


@pytest.mark.slow
@pytest.mark.parametrize("granularity", ["unit", "feature"])
@pytest.mark.parametrize("criterion", list(CRITERIA))
def test_last_way_through_by_definition(granularity, criterion):
    n_seeds, n_refused = 60 if criterion == "magnitude" else 8, 0
    for seed in range(n_seeds):
        problem, again = (sparse_problem(seed, criterion, granularity) for _ in range(2))
        groups = groups_left(granularity, problem.network, problem.mask, problem.settings.group_of)
        if len(groups) < 2:
            continue
        for n_delete in (len(groups) // 2, len(groups)):
            order, _ = _order(again, groups, n_delete)
            expected = deleted_one_by_one(problem, order, groups, n_delete)
            assert_array_equal(delete(problem, n_delete).mask, expected)
            left = groups_left(granularity, problem.network, expected, problem.settings.group_of)
            n_refused += len(left) > len(groups) - n_delete
    assert n_refused >= n_seeds // 3


@pytest.mark.parametrize("granularity", ["unit", "feature"])
def test_last_way_through_is_found_in_few_steps(granularity, monkeypatch):
    """Looks at the network are counted; tried one by one, groups would take one look each."""
    n, looks = 500, []
    network = Network((n, 3, 1) if granularity == "feature" else (3, n, 1), "tanh")

    def counting(network, mask):
        looks.append(mask)
        return connects(network, mask)

    monkeypatch.setattr("skobd._prune.granularity.connects", counting)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(5, network.layer_sizes[0])), rng.normal(size=(5, 1))
    objective = Objective(network, LOSSES["squared_error"], X, Y)
    theta = rng.normal(size=network.n_parameters)
    problem = at(objective, theta, criterion="magnitude", granularity=granularity)
    left = delete(problem, n).mask
    assert GRANULARITIES[granularity].n_left(network, left, None) == 1
    assert len(looks) < 30


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_constant_units_are_folded_where_they_are_deleted(activation):
    rng = np.random.default_rng(0)
    network = Network((4, 3, 2), activation)
    theta, mask = rng.normal(size=network.n_parameters), np.ones(network.n_parameters, dtype=bool)
    # Nothing goes into the first unit any more: it is a constant.
    network.coefs(mask)[0][:, 0] = False
    theta = np.where(mask, theta, 0)
    network.coefs(theta)[1][0] *= 1e-3
    X, Y = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
    objective = Objective(network, LOSSES["squared_error"], X, Y)
    settings = {"criterion": "magnitude", "granularity": "unit"}
    deletion = delete(at(objective, theta, mask, **settings), 1)
    assert_array_equal(
        np.flatnonzero(mask & ~deletion.mask), network.n_parameters - 8 + np.arange(2)
    )
    expected = network.raw_output(theta, X)
    assert_allclose(network.raw_output(deletion.theta, X), expected, rtol=1e-10)


@pytest.mark.parametrize("granularity", ["unit", "feature"])
@pytest.mark.parametrize("criterion", list(CRITERIA))
def test_as_many_go_as_asked_for_but_the_last(granularity, criterion):
    objective, theta = make_wide_problem(depth=2)
    network, count = objective.network, GRANULARITIES[granularity].n_left
    n_total = sum(network.layer_sizes[1:-1]) if granularity == "unit" else network.layer_sizes[0]
    n_least = 2 if granularity == "unit" else 1
    for n_delete in (0, 1, 2, n_total - 1, n_total):
        problem = at(objective, theta, criterion=criterion, granularity=granularity)
        deletion = delete(problem, n_delete)
        n_left = count(network, deletion.mask, None)
        assert n_left == max(n_total - n_delete, n_least)
        assert connects(network, deletion.mask)
        assert_array_equal(deletion.theta[~deletion.mask], 0)
        assert np.isfinite(deletion.theta).all()


@pytest.mark.parametrize(
    ("hidden", "granularity", "reason"),
    [((), "unit", "no hidden units"), ((1,), "unit", "of 1 units 1 are left")],
)
def test_nothing_to_delete_is_said(data, hidden, granularity, reason):
    with pytest.warns(UserWarning, match=reason):
        model = fit(data, hidden_layer_sizes=hidden, granularity=granularity, prune_fraction=0.5)
    assert model.sparsity_ == 0
    assert (model.pruning_history_["n_iter"] == 0).all()


def test_one_input_stays_and_costs_no_curvature(data, monkeypatch):
    X, y = data
    monkeypatch.setattr("skobd._prune.criteria.diagonal_curvature", None)
    with pytest.warns(UserWarning, match="of 1 features 1 are left"):
        fit((X[:, :1], y), granularity="feature", prune_fraction=0.5, retrain_alpha=1.0)


def test_obd_saliency_of_a_unit_is_the_sum_of_what_goes_with_it(data):
    dense = fit(data, prune_fraction=0, max_iter=300)
    saliencies = dense.saliencies(*data).coefs
    first = saliencies[0].sum(axis=0) + saliencies[1].sum(axis=1)
    second = saliencies[1].sum(axis=0) + saliencies[2].sum(axis=1)
    totals = np.concatenate([first, second])
    dense.set_params(retrain_max_iter=0, retrain_alpha=dense.alpha)
    dense.prune(*data, prune_fraction=1 / 18, n_rounds=1)
    gone = np.concatenate([~incoming for incoming, _ in alive_units(dense)])
    assert gone.sum() == 1
    assert totals[gone] == totals.min()
    assert dense.pruning_history_["predicted_increase"][0] == pytest.approx(totals[gone][0])


def test_unused_columns_may_hold_anything_finite(data):
    X, y = data
    model = fit(data, granularity="feature", prune_fraction=0.3)
    unused = ~model.coef_masks_[0].any(axis=1)
    wild = X.copy()
    wild[:, unused] = 1e200
    assert np.isfinite(model.saliencies(wild, y).coefs[0]).all()
    model.prune(wild, y, prune_fraction=0.4)
    assert np.isfinite(model.feature_importances_).all()


@pytest.mark.parametrize("criterion", ["unit_obs", "obs"])
def test_next_layer_is_corrected_jointly(criterion):
    """Duplicated hidden units: one of each pair is deleted, and its twin takes over."""
    rng = np.random.default_rng(0)
    network = Network((4, 6, 1), "tanh")
    theta = rng.normal(size=network.n_parameters)
    hidden, output = network.layers(theta)
    hidden[:, 3:] = hidden[:, :3]
    output[3:6] = output[:3]
    X = rng.normal(size=(150, 4))
    raw = network.raw_output(theta, X)
    objective = Objective(network, LOSSES["squared_error"], X, raw)
    problem = at(objective, theta, criterion=criterion, granularity="unit")
    for _ in range(3):
        deletion = delete(problem, 1)
        problem = replace(problem, theta=deletion.theta, mask=deletion.mask)
    kept = network.coefs(problem.mask)[0].any(axis=0)
    assert kept.sum() == 3
    assert all(kept[i] != kept[i + 3] for i in range(3))
    assert_allclose(network.raw_output(problem.theta, X), raw, atol=1e-2 * np.ptp(raw))
