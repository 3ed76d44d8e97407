"""A saved estimator holds what survives, and loads back as it was."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
import skops.io
from models import digest, plain
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPClassifier

from skobd import OBDMLPClassifier, OBDMLPRegressor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

PUBLIC_TYPES = {
    "skobd._mlp.estimators.OBDMLPClassifier",
    "skobd._mlp.estimators.OBDMLPRegressor",
}


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def through_skops(estimator):
    data = skops.io.dumps(estimator)
    untrusted = skops.io.get_untrusted_types(data=data)
    assert set(untrusted) <= PUBLIC_TYPES
    return skops.io.loads(data, trusted=untrusted)


WAYS = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "joblib": through_joblib,
    "skops": through_skops,
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
ATTRIBUTES = (
    "loss_",
    "loss_curve_",
    "best_loss_",
    "n_iter_",
    "t_",
    "validation_scores_",
    "validation_loss_curve_",
    "best_validation_score_",
    "n_weights_",
    "sparsity_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "n_features_in_",
)


def assert_same(loaded, estimator, X):
    assert type(loaded) is type(estimator)
    assert loaded.get_params() == estimator.get_params()
    for name in ATTRIBUTES:
        value, original = getattr(loaded, name), getattr(estimator, name)
        assert type(value) is type(original), name
        np.testing.assert_equal(value, original)
    for name in ("coefs_", "intercepts_", "coef_masks_"):
        for array, original in zip(getattr(loaded, name), getattr(estimator, name), strict=True):
            assert_array_equal(array, original, strict=True)
    assert_array_equal(loaded.feature_importances_, estimator.feature_importances_)
    np.testing.assert_equal(loaded.pruning_history_, estimator.pruning_history_)
    for name, column in estimator.regrowth_history_.items():
        assert_array_equal(loaded.regrowth_history_[name], column, strict=True)
    assert_array_equal(loaded.predict(X), estimator.predict(X), strict=True)


CLASSIFIERS = {
    "dense": {"prune_fraction": 0},
    "pruned": {"prune_fraction": 0.95},
    "half": {"prune_fraction": 0.5},
    "validation": {"prune_fraction": 0.8, "early_stopping": True, "solver": "sgd"},
    "warm": {"prune_fraction": 0.8, "warm_start": True},
    "lbfgs": {"prune_fraction": 0.8, "solver": "lbfgs"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_classifier_loads_back(digits, name, way, dtype):
    X, y = digits[0].astype(dtype), np.array(["zero", "one", "two"])[digits[1]]
    model = OBDMLPClassifier((10,), max_iter=10, random_state=0, **CLASSIFIERS[name]).fit(X, y)
    loaded = WAYS[way](model)
    assert_same(loaded, model, X)
    assert_array_equal(loaded.classes_, model.classes_)
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X), strict=True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regressor_loads_back(diabetes, loss, way):
    pandas = pytest.importorskip("pandas")
    X, y = diabetes
    X = pandas.DataFrame(X).add_prefix("column ")
    model = OBDMLPRegressor(loss, (10,), max_iter=10, random_state=0).fit(X, np.abs(y))
    loaded = WAYS[way](model)
    assert_same(loaded, model, X)
    assert_array_equal(loaded.feature_names_in_, model.feature_names_in_)


@pytest.mark.parametrize("way", WAYS)
def test_unfitted_stays_unfitted(way):
    loaded = WAYS[way](OBDMLPClassifier((3,), alpha=0.5))
    assert loaded.get_params() == OBDMLPClassifier((3,), alpha=0.5).get_params()
    assert not hasattr(loaded, "coefs_")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("warm_start", [True, False])
def test_training_goes_on_as_if_never_saved(digits, way, solver, warm_start):
    X, y = digits
    model = OBDMLPClassifier(
        (8,),
        solver=solver,
        learning_rate="adaptive",
        max_iter=5,
        warm_start=warm_start,
        random_state=0,
    )
    model.fit(X, y)
    for _ in range(2):
        loaded = WAYS[way](model)
        model.partial_fit(X, y)
        assert digest(loaded.partial_fit(X, y)) == digest(model)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_original_does_not_notice_what_becomes_of_a_copy(digits, way, solver):
    X, y = digits
    model = OBDMLPClassifier((8,), solver=solver, max_iter=5, warm_start=True, random_state=0)
    model.fit(X, y)
    before, expected = digest(model), copy.deepcopy(model).partial_fit(X, y)
    loaded = WAYS[way](model)
    for _ in range(3):
        loaded.partial_fit(X, -X.sum(axis=1) > 0)
    loaded.prune(X, y, prune_fraction=0.9)
    assert digest(model) == before
    assert digest(model.partial_fit(X, y)) == digest(expected)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_goes_on_after_memory_mapping(digits, solver, tmp_path):
    X, y = digits
    model = OBDMLPClassifier((20,), solver=solver, max_iter=3, warm_start=True, random_state=0)
    model.fit(X, y).partial_fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert digest(loaded.partial_fit(X, y)) == digest(model.partial_fit(X, y))


def test_state_holds_no_more_than_the_survivors(digits):
    X, y = digits
    params = {"max_iter": 5, "random_state": 0}
    sizes, n_parameters = {}, 64 * 200 + 200 + 200 * 3 + 3
    for fraction in (0, 0.5, 0.98):
        model = OBDMLPClassifier((200,), **plain(prune_fraction=fraction, **params)).fit(X, y)
        model.predict(X)
        n_survivors = model.n_weights_ + 203
        n_mask_bytes = 0 if fraction == 0 else min(n_survivors, -(-n_parameters // 8))
        sizes[fraction] = len(pickle.dumps(model)) - 8 * n_survivors - n_mask_bytes
    # What is left are names, parameters of the constructor and the record of training.
    assert max(sizes.values()) < 4500
    assert max(sizes.values()) - min(sizes.values()) < 2000
    dense = MLPClassifier((200,), **params).fit(X, y)
    assert 8 * len(pickle.dumps(model)) < len(pickle.dumps(dense))


def test_optimiser_state_is_saved_only_where_it_is_used_again(digits):
    """The moments of Adam are twice as many as the parameters."""
    X, y = digits
    model = OBDMLPClassifier((50,), max_iter=5, prune_fraction=0, random_state=0).fit(X, y)
    n_bytes, n_parameters = len(pickle.dumps(model)), 64 * 50 + 50 + 50 * 3 + 3
    model.partial_fit(X, y)
    assert len(pickle.dumps(model)) > n_bytes + 2 * 8 * n_parameters
    assert len(pickle.dumps(model.fit(X, y))) == n_bytes
    model.set_params(warm_start=True).fit(X, y)
    assert len(pickle.dumps(model)) > n_bytes + 2 * 8 * n_parameters


def test_a_network_alone_takes_few_bytes():
    """238 weights of a network of 13 named inputs: 4 kB as a pickle, 12 kB as a skops file."""
    pandas = pytest.importorskip("pandas")
    X = np.random.RandomState(0).randn(300, 13)
    frame = pandas.DataFrame(X).add_prefix("column ")
    model = OBDMLPRegressor("poisson", (34,), max_iter=20, prune_fraction=0.5, random_state=0)
    model.fit(frame, np.exp(X[:, 0]))
    small = model.compact(history=False)
    assert small.n_weights_ == 238
    assert len(pickle.dumps(small)) <= 4000
    assert len(skops.io.dumps(small)) <= 12_000
    # The record of training is no more than the numbers in it, each of which has 8 bytes or less.
    cycles, rounds = model.regrowth_history_, model.pruning_history_
    n_numbers = 7 * len(cycles["cycle"]) + 20 * len(rounds["round"]) + len(model.loss_curve_)
    assert len(pickle.dumps(model)) <= len(pickle.dumps(small)) + 8 * n_numbers + 2000
    for loaded in (through_skops(small), pickle.loads(pickle.dumps(small))):
        assert_allclose(loaded.predict(frame), model.predict(frame), rtol=1e-12)
        assert loaded.loss_curve_ == []
        assert len(loaded.pruning_history_["round"]) == 0
        assert len(loaded.regrowth_history_["cycle"]) == 0
        assert not hasattr(loaded, "feature_importances_")
        assert (loaded.loss_, loaded.n_iter_, loaded.t_) == (model.loss_, model.n_iter_, model.t_)
        assert loaded.partial_fit(frame, np.exp(X[:, 0])).n_weights_ == 238
