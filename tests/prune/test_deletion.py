"""What is deleted: diagonal criteria, exact counts, dead units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from problems import make_problem
from skobd._surgery import (
    CRITERIA,
    SurgerySettings,
    candidates,
    delete_lowest,
    n_prunable,
    without_dead_units,
)

from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._prune.curvature import UNIT_CURVATURES, diagonal_curvature
from skobd._train.objective import Objective

DIAGONAL = ("obd", "magnitude", "random")


def delete(objective, theta, mask, n_delete, **surgery):
    return delete_lowest(
        objective, theta, mask, n_delete, SurgerySettings(**surgery), np.random.RandomState(0)
    )


def make_wide_problem(depth=1):
    """A problem in which a single deletion rarely kills a unit."""
    rng = np.random.default_rng(depth)
    network = Network((8, *(6, 5)[:depth], 3), "tanh")
    X = rng.normal(size=(30, 8))
    Y = np.eye(3)[rng.integers(3, size=30)]
    objective = Objective(network, LOSSES["multinomial_log_loss"], X, Y, None, 0.1)
    return objective, rng.normal(size=network.n_parameters)


@pytest.mark.parametrize("kind", UNIT_CURVATURES)
def test_obd_saliency_is_the_formula(kind):
    objective, theta = make_wide_problem()
    settings = SurgerySettings("obd", kind)
    saliencies = CRITERIA["obd"].saliencies(objective, theta, theta != 0, settings, None)
    assert_allclose(saliencies, diagonal_curvature(objective, theta, kind) * theta**2 / 2)


def test_obd_saliency_is_the_rise_of_a_quadratic_objective():
    """Without hidden units squared error is quadratic, and the minimum has no gradient."""
    objective, oracle, theta = make_problem("squared_error", 1, depth=0, weighted=True, n=20)
    X = np.hstack([objective.X, np.ones((20, 1))])
    s = objective.sample_weight[:, None]
    theta = np.linalg.solve(X.T @ (s * X), X.T @ (s * objective.Y)).ravel()
    saliencies = CRITERIA["obd"].saliencies(objective, theta, theta != 0, SurgerySettings(), None)
    for k in range(theta.size):
        deleted = theta.copy()
        deleted[k] = 0
        assert saliencies[k] == pytest.approx(oracle.value(deleted) - oracle.value(theta))


@pytest.mark.parametrize("criterion", ["obd", "magnitude"])
def test_the_lowest_go_and_the_others_stay_as_they_are(criterion):
    objective, theta = make_wide_problem()
    mask = np.ones(theta.size, dtype=bool)
    weights = np.flatnonzero(objective.network.is_weight)
    if criterion == "obd":
        score = diagonal_curvature(objective, theta, SurgerySettings().curvature) * theta**2 / 2
    else:
        score = np.abs(theta)
    expected = set(weights[np.argsort(score[weights])][:9])
    deletion = delete(objective, theta, mask, 9, criterion=criterion)
    assert set(np.flatnonzero(~deletion.mask)) == expected
    assert_array_equal(deletion.theta, np.where(deletion.mask, theta, 0))
    if criterion == "obd":
        assert deletion.predicted_increase == pytest.approx(score[list(expected)].sum())
    else:
        assert np.isnan(deletion.predicted_increase)


def test_ties_go_in_stable_order():
    objective, theta = make_wide_problem()
    deletion = delete(objective, np.ones_like(theta), theta != 0, 7, criterion="magnitude")
    assert_array_equal(np.flatnonzero(~deletion.mask), np.arange(7))


def test_random_is_drawn_from_the_given_state():
    objective, theta = make_wide_problem()
    masks = []
    for seed in (0, 0, 1):
        settings, rng = SurgerySettings("random"), np.random.RandomState(seed)
        masks.append(delete_lowest(objective, theta, theta != 0, 20, settings, rng).mask)
    assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


@pytest.mark.parametrize("prune_intercepts", [False, True])
def test_candidates(prune_intercepts):
    objective, theta = make_wide_problem()
    network, settings = objective.network, SurgerySettings(prune_intercepts=prune_intercepts)
    mask = np.random.default_rng(0).random(theta.size) < 0.5
    able = candidates(network, mask, settings)
    assert_array_equal(able, mask if prune_intercepts else mask & network.is_weight)
    n_intercepts = sum(network.layer_sizes[1:])
    expected = network.n_parameters - (0 if prune_intercepts else n_intercepts)
    assert n_prunable(network, settings) == expected


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    activation=st.sampled_from(["identity", "logistic", "tanh", "relu"]),
    criterion=st.sampled_from(DIAGONAL),
    prune_intercepts=st.booleans(),
    kept=st.floats(0.1, 1),
    level=st.floats(0, 1),
)
def test_exactly_as_many_as_promised(
    seed, sizes, activation, criterion, prune_intercepts, kept, level
):
    rng = np.random.default_rng(seed)
    network = Network(tuple(sizes), activation)
    X, Y = rng.normal(size=(5, sizes[0])), rng.normal(size=(5, sizes[-1]))
    objective = Objective(network, LOSSES["squared_error"], X, Y, None, 0.1)
    surgery = SurgerySettings(criterion=criterion, prune_intercepts=prune_intercepts)
    mask = rng.random(network.n_parameters) < kept
    if not prune_intercepts:
        mask |= ~network.is_weight
    theta = np.where(mask, rng.normal(size=mask.size), 0)
    able = candidates(network, mask, surgery)
    n_delete = int(level * able.sum())
    before = theta.copy(), mask.copy()
    deletion = delete_lowest(objective, theta, mask, n_delete, surgery, np.random.RandomState(0))
    assert candidates(network, deletion.mask, surgery).sum() == able.sum() - n_delete
    assert not (deletion.mask & ~mask).any()
    assert (deletion.theta[~deletion.mask] == 0).all()
    # Weights that survive are untouched; intercepts may have taken over constants.
    same = deletion.mask & network.is_weight
    assert_array_equal(deletion.theta[same], theta[same])
    assert_array_equal(theta, before[0])
    assert_array_equal(mask, before[1])
    if n_delete == able.sum():
        raw = network.raw_output(deletion.theta, X)
        assert_array_equal(raw, np.broadcast_to(raw[0], raw.shape))


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    activation=st.sampled_from(["identity", "logistic", "tanh", "relu"]),
    kept=st.floats(0.05, 0.6),
    prune_intercepts=st.booleans(),
    share=st.floats(0, 1),
)
def test_what_is_dead_goes_first_and_changes_no_prediction(
    seed, activation, kept, prune_intercepts, share
):
    rng = np.random.default_rng(seed)
    network = Network((3, 4, 4, 3, 2), activation)
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    objective = Objective(network, LOSSES["squared_error"], X, Y)
    mask = rng.random(network.n_parameters) < kept
    if not prune_intercepts:
        mask |= ~network.is_weight
    theta = np.where(mask, rng.normal(size=mask.size), 0)
    surgery = SurgerySettings("magnitude", prune_intercepts=prune_intercepts)
    able = candidates(network, mask, surgery)
    n_dead = int((mask & ~without_dead_units(network, mask, able)).sum())
    n_delete = round(share * n_dead)
    deletion = delete_lowest(objective, theta, mask, n_delete, surgery, np.random.RandomState(0))
    assert (mask & ~deletion.mask).sum() == n_delete
    assert_allclose(network.raw_output(deletion.theta, X), network.raw_output(theta, X), atol=1e-12)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_a_unit_that_loses_its_last_input_leaves_its_constant_behind(activation):
    rng = np.random.default_rng(0)
    network = Network((3, 4, 2), activation)
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    objective = Objective(network, LOSSES["squared_error"], X, Y)
    theta = rng.uniform(1, 2, size=network.n_parameters)
    mask = np.ones(theta.size, dtype=bool)
    hidden, output = network.layers(theta)
    network.layers(mask)[0][1:3, 0] = False
    hidden[1:3, 0] = 0
    hidden[0, 0] = 1e-3
    # The smallest weight goes, and with it, for nothing, the two that come out of the unit.
    deletion = delete(objective, theta, mask, 3, criterion="magnitude")
    assert not network.layers(deletion.mask)[1][0].any()
    constant = network.raw_output(np.where(theta == 1e-3, 0, theta), X)
    assert_allclose(network.raw_output(deletion.theta, X), constant, atol=1e-12)
    moved = network.intercepts(deletion.theta)[1] - output[-1]
    assert_allclose(
        moved,
        network.coefs(theta)[1][0]
        * {
            "identity": hidden[-1, 0],
            "logistic": 1 / (1 + np.exp(-hidden[-1, 0])),
            "tanh": np.tanh(hidden[-1, 0]),
            "relu": hidden[-1, 0],
        }[activation],
    )


def test_a_unit_that_loses_its_last_output_loses_its_inputs_too():
    objective, theta = make_wide_problem(depth=2)
    network = objective.network
    mask = np.ones(theta.size, dtype=bool)
    theta = np.sign(theta) * (1 + np.abs(theta))
    for vector, gone in ((theta, 0), (mask, False)):
        network.layers(vector)[1][2, 1:] = gone
    network.layers(theta)[1][2, 0] = 1e-9
    deletion = delete(objective, theta, mask, 9, criterion="magnitude")
    assert not network.layers(deletion.mask)[0][:-1, 2].any()
    assert not network.layers(deletion.mask)[1][2].any()
    assert (mask & ~deletion.mask).sum() == 9


def test_dead_units_cost_nothing_in_the_prediction():
    objective, theta = make_wide_problem()
    network = objective.network
    mask = np.ones(theta.size, dtype=bool)
    for vector, gone in ((theta, 0), (mask, False)):
        network.layers(vector)[0][:-1, 0] = gone
    deletion = delete(objective, theta, mask, 3)
    assert deletion.predicted_increase == 0
    assert objective.value(deletion.theta) < objective.value(theta)  # by the penalty alone
    assert_allclose(
        network.raw_output(deletion.theta, objective.X), network.raw_output(theta, objective.X)
    )


def test_without_dead_units_is_idempotent():
    rng = np.random.default_rng(0)
    network = Network((3, 5, 4, 5, 2))
    for _ in range(50):
        mask = rng.random(network.n_parameters) < 0.3
        for able in (np.ones_like(mask), network.is_weight):
            once = without_dead_units(network, mask, able)
            assert_array_equal(once[~able], mask[~able])
            assert_array_equal(without_dead_units(network, once, able), once)


class TestScaleOfFeatures:
    """Multiplying a feature by c and dividing its weights by c is the same network."""

    @staticmethod
    def rescaled(c):
        objective, theta = make_wide_problem()
        objective.alpha = 0.0
        X, scaled = objective.X.copy(), theta.copy()
        X[:, 2] *= c
        objective.network.layers(scaled)[0][2] /= c
        return (
            objective,
            theta,
            Objective(objective.network, objective.loss, X, objective.Y),
            scaled,
        )

    @pytest.mark.parametrize("kind", UNIT_CURVATURES)
    def test_obd_does_not_see_it(self, kind):
        objective, theta, rescaled, scaled = self.rescaled(1000.0)
        settings, mask = SurgerySettings("obd", kind), theta != 0
        before, after = (
            CRITERIA["obd"].saliencies(o, t, mask, settings, None)
            for o, t in ((objective, theta), (rescaled, scaled))
        )
        assert_allclose(after, before, rtol=1e-9, atol=1e-14)
        masks = [
            delete(o, t, mask, 25, criterion="obd", curvature=kind).mask
            for o, t in ((objective, theta), (rescaled, scaled))
        ]
        assert_array_equal(*masks)

    def test_magnitude_prunes_the_feature_away(self):
        objective, theta, rescaled, scaled = self.rescaled(1000.0)
        mask, first = theta != 0, objective.network.layers
        kept = first(delete(objective, theta, mask, 6, criterion="magnitude").mask)[0][2]
        lost = first(delete(rescaled, scaled, mask, 6, criterion="magnitude").mask)[0][2]
        assert kept.any()
        assert not lost.any()


@pytest.mark.parametrize("criterion", DIAGONAL)
def test_float32_stays_float32(criterion):
    objective, theta = make_wide_problem()
    narrow = Objective(
        objective.network,
        objective.loss,
        objective.X.astype(np.float32),
        objective.Y.astype(np.float32),
    )
    deletion = delete(narrow, theta.astype(np.float32), theta != 0, 10, criterion=criterion)
    assert deletion.theta.dtype == np.float32
