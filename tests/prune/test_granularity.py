"""Deleting whole units and whole inputs."""

import itertools

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_classification
from sklearn.feature_selection import SelectFromModel
from sklearn.preprocessing import StandardScaler
from skobd._surgery import CRITERIA

from skobd import OBDMLPClassifier, OBDMLPRegressor

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


@pytest.mark.parametrize("criterion", list(CRITERIA))
def test_whole_units_go_and_the_level_is_not_exceeded(data, criterion):
    model = fit(data, criterion=criterion)
    assert model.sparsity_ <= 0.6
    for incoming, outgoing in alive_units(model):
        np.testing.assert_array_equal(incoming, outgoing)
        assert incoming.any()
    # One more unit would have been too much: a unit of the wider layer holds at most this.
    first, second = (int(incoming.sum()) for incoming, _ in alive_units(model))
    smallest = min(12 + second, first + 3)
    assert model.sparsity_ + smallest / 224 > 0.6
    for mask in model.coef_masks_[:1]:
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, rows[:, None] & columns)


@pytest.mark.parametrize("criterion", list(CRITERIA))
def test_whole_features_go(data, criterion):
    model = fit(data, criterion=criterion, granularity="feature", prune_fraction=0.3)
    mask = model.coef_masks_[0]
    kept = mask.any(axis=1)
    np.testing.assert_array_equal(mask, np.broadcast_to(kept[:, None], mask.shape))
    # 67.2 weights may go, ten with each input.
    assert kept.sum() == 12 - 6
    assert all(m.all() for m in model.coef_masks_[1:])
    X = data[0].copy()
    X[:, ~kept] = 1e3
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(data[0]))


def test_noise_features_go_first(data):
    model = fit(data, granularity="feature", prune_fraction=0.2, hidden_layer_sizes=(10,))
    kept = model.coef_masks_[0].any(axis=1)
    assert kept[:7].sum() > kept[7:].sum()
    selector = SelectFromModel(model, threshold=1e-12, prefit=True)
    np.testing.assert_array_equal(selector.get_support(), kept)


@pytest.mark.parametrize("granularity", ["unit", "feature"])
@pytest.mark.parametrize("criterion", ["obd", "unit_obs", "random"])
def test_the_last_one_stays(data, granularity, criterion):
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
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    model = OBDMLPClassifier((3, 3), max_iter=1, prune_fraction=0, random_state=0).fit(X, y)
    # All units of both layers are alive, but only the first of each is connected to both sides.
    keep = np.zeros((3, 3), dtype=bool)
    keep[0, 0] = keep[1, 1] = keep[1, 2] = True
    model._mask[model._network.weight_slices[1]] = keep.ravel()
    model._mask[model._network.weight_slices[0]] = np.array(
        [[0, 1, 1], [0, 1, 1], [1, 0, 0]]
    ).ravel()
    model._mask[model._network.weight_slices[2]] = [True, False, False]
    model.coefs_ = [
        np.where(mask, 0.01, 0) if i == 0 else np.where(mask, 1.0, 0)
        for i, mask in enumerate(model.coef_masks_)
    ]
    assert model.used_features_.tolist() == [2]
    model.set_params(granularity=granularity, criterion="magnitude", retrain_max_iter=0)
    model.prune(X, y, prune_fraction=0.99, n_rounds=1)
    assert model.used_features_.tolist() == [2]


def test_constant_units_are_folded_where_they_are_deleted(data):
    model = fit(data, prune_fraction=0, prune_intercepts=False)
    # Nothing goes into the first unit any more: it is a constant.
    mask = model._network.coefs(model._mask)[0]
    mask[:, 0] = False
    model.intercepts_[0][0] = 5.0
    expected = model.predict_proba(data[0])
    n_left = model.n_weights_ - int(model.coef_masks_[1][0].sum())
    model.set_params(granularity="unit", criterion="magnitude", retrain_max_iter=0)
    model.coefs_[1][0] *= 1e-3
    expected = model.predict_proba(data[0])
    model.prune(*data, prune_fraction=1 - n_left / 224, n_rounds=1)
    assert model.n_weights_ == n_left
    assert not model.coef_masks_[1][0].any()
    np.testing.assert_allclose(model.predict_proba(data[0]), expected, rtol=1e-10)


def test_a_round_that_deletes_nothing_retrains_nothing(data):
    model = fit(data, hidden_layer_sizes=(), granularity="unit", prune_fraction=0.5)
    assert model.sparsity_ == 0
    assert (model.pruning_history_["n_iter"] == 0).all()


def test_obd_saliency_of_a_unit_is_the_sum_of_what_goes_with_it(data):
    dense = fit(data, prune_fraction=0, max_iter=300)
    saliencies = dense.saliencies(*data).coefs
    first = saliencies[0].sum(axis=0) + saliencies[1].sum(axis=1)
    second = saliencies[1].sum(axis=0) + saliencies[2].sum(axis=1)
    totals = np.concatenate([first, second])
    # Enough for one unit of either layer, not for two.
    dense.set_params(retrain_max_iter=0).prune(*data, prune_fraction=21 / 224, n_rounds=1)
    gone = np.concatenate([~incoming for incoming, _ in alive_units(dense)])
    fits = np.concatenate([np.full(10, 12 + 8), np.full(8, 10 + 3)]) <= 21
    assert gone.sum() == 1
    assert totals[gone] == totals[fits].min()
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


def test_surgeon_corrects_the_next_layer_jointly():
    """Duplicated hidden units: the surgeon deletes one of each pair and the twin takes over."""
    X, _y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    rng = np.random.default_rng(0)
    target = np.tanh(X @ rng.normal(size=(4, 3))) @ rng.normal(size=3)
    model = OBDMLPRegressor(
        hidden_layer_sizes=(6,),
        activation="tanh",
        solver="lbfgs",
        alpha=0,
        max_iter=500,
        random_state=0,
        prune_fraction=0,
        criterion="unit_obs",
        granularity="unit",
        retrain_max_iter=0,
    )
    model.fit(X, target)
    for half in (slice(0, 3), slice(3, 6)):
        model.coefs_[0][:, half] = model.coefs_[0][:, :3]
        model.intercepts_[0][half] = model.intercepts_[0][:3]
    model.coefs_[1][3:] = model.coefs_[1][:3]
    before = model.predict(X)
    model.prune(X, before, prune_fraction=0.5, n_rounds=3)
    kept = model.coef_masks_[0].any(axis=0)
    assert kept.sum() == 3
    assert all(kept[i] != kept[i + 3] for i in range(3))
    np.testing.assert_allclose(model.predict(X), before, atol=1e-2 * np.ptp(before))
