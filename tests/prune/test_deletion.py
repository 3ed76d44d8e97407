"""Deleting single parameters: which ones, exactly how many, and dead units first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from problems import at, make_wide_problem

from skobd._net.dead_units import without_dead_units
from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._prune.criteria import CRITERIA
from skobd._prune.curvature import CURVATURES, diagonal_curvature
from skobd._prune.deletion import delete_lowest
from skobd._prune.deletion_problem import DeletionSettings
from skobd._train.objective import Objective

DIAGONAL = ("obd", "magnitude", "random")


@pytest.mark.parametrize("criterion", ["obd", "magnitude"])
def test_the_lowest_go_and_the_others_stay_as_they_are(criterion):
    objective, theta = make_wide_problem()
    weights = np.flatnonzero(objective.network.is_weight)
    if criterion == "obd":
        score = diagonal_curvature(objective, theta, DeletionSettings().curvature) * theta**2 / 2
    else:
        score = np.abs(theta)
    expected = set(weights[np.argsort(score[weights])][:9])
    deletion = delete_lowest(at(objective, theta, criterion=criterion), 9)
    assert set(np.flatnonzero(~deletion.mask)) == expected
    assert_array_equal(deletion.theta, np.where(deletion.mask, theta, 0))
    if criterion == "obd":
        assert deletion.predicted_increase == pytest.approx(score[list(expected)].sum())
    else:
        assert np.isnan(deletion.predicted_increase)


def test_ties_go_in_stable_order():
    objective, theta = make_wide_problem()
    deletion = delete_lowest(at(objective, np.ones_like(theta), criterion="magnitude"), 7)
    assert_array_equal(np.flatnonzero(~deletion.mask), np.arange(7))


def test_random_is_drawn_from_the_given_state():
    objective, theta = make_wide_problem()
    masks = [
        delete_lowest(at(objective, theta, seed=seed, criterion="random"), 20).mask
        for seed in (0, 0, 1)
    ]
    assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    activation=st.sampled_from(["identity", "logistic", "tanh", "relu"]),
    criterion=st.sampled_from(DIAGONAL),
    kept=st.floats(0.1, 1),
    level=st.floats(0, 1),
)
def test_exactly_as_many_as_promised(seed, sizes, activation, criterion, kept, level):
    rng = np.random.default_rng(seed)
    network = Network(tuple(sizes), activation)
    X, Y = rng.normal(size=(5, sizes[0])), rng.normal(size=(5, sizes[-1]))
    objective = Objective(network, LOSSES["squared_error"], X, Y, None, 0.1)
    mask = rng.random(network.n_parameters) < kept
    mask |= ~network.is_weight
    theta = np.where(mask, rng.normal(size=mask.size), 0)
    n_prunable = int((mask & network.is_weight).sum())
    n_delete = int(level * n_prunable)
    before = theta.copy(), mask.copy()
    deletion = delete_lowest(at(objective, theta, mask, criterion=criterion), n_delete)
    assert (deletion.mask & network.is_weight).sum() == n_prunable - n_delete
    assert deletion.mask[~network.is_weight].all()
    assert not (deletion.mask & ~mask).any()
    assert (deletion.theta[~deletion.mask] == 0).all()
    # Weights that survive are untouched; intercepts may have taken over constants.
    same = deletion.mask & network.is_weight
    assert_array_equal(deletion.theta[same], theta[same])
    assert_array_equal(theta, before[0])
    assert_array_equal(mask, before[1])
    if n_delete == n_prunable:
        raw = network.raw_output(deletion.theta, X)
        assert_array_equal(raw, np.broadcast_to(raw[0], raw.shape))


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    activation=st.sampled_from(["identity", "logistic", "tanh", "relu"]),
    kept=st.floats(0.05, 0.6),
    fraction=st.floats(0, 1),
)
def test_what_is_dead_goes_first_and_changes_no_prediction(seed, activation, kept, fraction):
    rng = np.random.default_rng(seed)
    network = Network((3, 4, 4, 3, 2), activation)
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    objective = Objective(network, LOSSES["squared_error"], X, Y)
    mask = rng.random(network.n_parameters) < kept
    mask |= ~network.is_weight
    theta = np.where(mask, rng.normal(size=mask.size), 0)
    problem = at(objective, theta, mask, criterion="magnitude")
    n_dead = int((mask & ~without_dead_units(network, mask, problem.prunable)).sum())
    n_delete = round(fraction * n_dead)
    deletion = delete_lowest(problem, n_delete)
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
    deletion = delete_lowest(at(objective, theta, mask, criterion="magnitude"), 3)
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
    deletion = delete_lowest(at(objective, theta, mask, criterion="magnitude"), 9)
    assert not network.layers(deletion.mask)[0][:-1, 2].any()
    assert not network.layers(deletion.mask)[1][2].any()
    assert (mask & ~deletion.mask).sum() == 9


def test_dead_units_cost_nothing_in_the_prediction():
    objective, theta = make_wide_problem()
    network = objective.network
    mask = np.ones(theta.size, dtype=bool)
    for vector, gone in ((theta, 0), (mask, False)):
        network.layers(vector)[0][:-1, 0] = gone
    deletion = delete_lowest(at(objective, theta, mask), 3)
    assert deletion.predicted_increase == 0
    assert objective.value(deletion.theta) < objective.value(theta)  # by the penalty alone
    assert_allclose(
        network.raw_output(deletion.theta, objective.X), network.raw_output(theta, objective.X)
    )


def test_one_of_a_dead_pair_goes_without_a_trace():
    """The weight out of a constant unit goes first, and costs nothing."""
    rng = np.random.default_rng(0)
    network = Network((2, 2, 1), "tanh")
    X, Y = rng.normal(size=(20, 2)), rng.normal(size=(20, 1))
    objective = Objective(network, LOSSES["squared_error"], X, Y)
    mask = np.ones(network.n_parameters, dtype=bool)
    network.layers(mask)[0][:-1, 0] = False
    theta = np.where(mask, 1.0, 0.0)
    for criterion in CRITERIA:
        problem = at(objective, theta, mask, criterion=criterion)
        deletion = delete_lowest(problem, 1)
        assert (mask & ~deletion.mask).sum() == 1
        assert not deletion.mask[network.weight_slices[1]][0]
        assert objective.value(deletion.theta) == pytest.approx(objective.value(theta), rel=1e-12)
        if CRITERIA[criterion].predicts:
            assert deletion.predicted_increase == 0


class TestScaleOfFeatures:
    """Multiplying a feature by c and dividing its weights by c is the same network."""

    @staticmethod
    def rescaled(c):
        objective, theta = make_wide_problem()
        network, loss, X, Y = objective.network, objective.loss, objective.X, objective.Y
        objective = Objective(network, loss, X, Y)
        X, scaled = X.copy(), theta.copy()
        X[:, 2] *= c
        network.layers(scaled)[0][2] /= c
        return objective, theta, Objective(network, loss, X, Y), scaled

    @pytest.mark.parametrize("kind", CURVATURES)
    def test_obd_does_not_see_it(self, kind):
        objective, theta, rescaled, scaled = self.rescaled(1000.0)
        before, after = (
            at(*both, criterion="obd", curvature=kind)
            for both in ((objective, theta), (rescaled, scaled))
        )
        saliencies = CRITERIA["obd"].saliencies
        assert_allclose(saliencies(after), saliencies(before), rtol=1e-9, atol=1e-14)
        assert_array_equal(delete_lowest(after, 25).mask, delete_lowest(before, 25).mask)

    def test_magnitude_prunes_the_feature_away(self):
        objective, theta, rescaled, scaled = self.rescaled(1000.0)
        kept, lost = (
            both[0].network.coefs(delete_lowest(at(*both, criterion="magnitude"), 6).mask)[0][2]
            for both in ((objective, theta), (rescaled, scaled))
        )
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
    deletion = delete_lowest(at(narrow, theta.astype(np.float32), criterion=criterion), 10)
    assert deletion.theta.dtype == np.float32
