"""A path's step is an estimator fitted along the same levels, bit for bit."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skobd import OBDMLPClassifier, OBDMLPRegressor, PruningPath

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs are enough here
)

LEVELS = [0.3, 0.6, 0.85]
VALIDATION_COLUMNS = ("validation_loss", "validation_score")
HISTORY_COLUMNS = (
    "round",
    "n_weights",
    "sparsity",
    "loss_before",
    "predicted_increase",
    "loss_after_deletion",
    "loss_after_retraining",
    "n_iter",
)


def make_classifier(**params):
    defaults = {"solver": "lbfgs", "alpha": 0.1, "max_iter": 60, "random_state": 0}
    return OBDMLPClassifier((12,), **defaults | params)


SOLVERS = [
    pytest.param({"solver": "lbfgs"}, id="lbfgs"),
    pytest.param({"solver": "adam", "max_iter": 15}, id="adam"),
    pytest.param({"solver": "sgd", "max_iter": 15, "early_stopping": True}, id="early_stopping"),
    pytest.param({"retrain_max_iter": 3, "criterion": "random"}, id="random"),
]


def assert_same_estimator(actual, expected):
    """Everything that was fitted is equal, bit for bit."""
    names = [name for name in dir(expected) if name.endswith("_") and not name.startswith("_")]
    assert {"coefs_", "coef_masks_", "pruning_history_", "loss_curve_", "classes_"} <= {*names}
    for name in names:
        assert_same(getattr(actual, name), getattr(expected, name), name)
    assert actual.get_params() == expected.get_params()


def assert_same(actual, expected, name):
    assert type(actual) is type(expected), name
    if isinstance(expected, dict):
        assert list(actual) == list(expected), name
        for key in expected:
            assert_same(actual[key], expected[key], f"{name}[{key!r}]")
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected), name
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
    else:
        np.testing.assert_equal(actual, expected, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("params", SOLVERS)
def test_every_step_of_the_own_levels_is_what_fit_gives(iris, params):
    estimator = make_classifier(prune_fraction=0.9, n_rounds=4, n_regrow=0, **params)
    path = estimator.pruning_path(*iris)
    assert len(path.n_weights) == 5
    for index in range(5):
        at_step = path.estimator_at(index)
        assert_same_estimator(at_step, clone(at_step).fit(*iris))
    assert_same_estimator(path.estimator_at(-1), clone(estimator).fit(*iris))
    assert path.estimator_at(-1).get_params() == estimator.get_params()


@pytest.mark.parametrize("params", SOLVERS)
def test_a_path_of_the_own_levels_ends_in_the_network_of_fit(iris, params):
    """It is the path that fit takes, which regrows at the last level."""
    estimator = make_classifier(prune_fraction=0.9, n_rounds=3, n_regrow=2, **params)
    path = estimator.pruning_path(*iris)
    assert_same_estimator(path.estimator_at(-1), clone(estimator).fit(*iris))
    assert len(path.estimator_at(-2).regrowth_history_["round"]) == 0


@pytest.mark.parametrize("params", SOLVERS)
def test_a_path_of_one_level_is_a_fit_of_one_round(iris, params):
    estimator = make_classifier(prune_fraction=0.8, n_rounds=1, n_regrow=3, **params)
    path = estimator.pruning_path(*iris, prune_fractions=[0.8])
    np.testing.assert_array_equal(path.estimator_at(1).coefs_[0], estimator.fit(*iris).coefs_[0])


def test_the_levels_divide_the_cycles_of_one_fit(iris):
    """In proportion to the logarithm of what each deletes, here a half, a half and 3/4."""
    estimator = make_classifier(n_regrow=5)
    path = estimator.pruning_path(*iris, prune_fractions=[0.5, 0.75, 0.9375])
    rounds = path.estimator_at(-1).regrowth_history_["round"]
    np.testing.assert_array_equal(rounds, [1, 2, 3, 3, 3])
    shorter = estimator.pruning_path(*iris, prune_fractions=[0.5, 0.75])
    rounds = shorter.estimator_at(-1).regrowth_history_["round"]
    np.testing.assert_array_equal(rounds, [1, 1, 2, 2, 2])


@pytest.mark.slow
@pytest.mark.parametrize("params", SOLVERS)
def test_without_regrowth_a_step_does_not_depend_on_the_levels_after_it(iris, params):
    estimator = make_classifier(n_regrow=0, **params)
    path = estimator.pruning_path(*iris, prune_fractions=LEVELS)
    for index in range(len(LEVELS) + 1):
        shorter = estimator.pruning_path(*iris, prune_fractions=[0, *LEVELS[:index]])
        assert_same_estimator(path.estimator_at(index), shorter.estimator_at(-1))


def test_explicit_levels_that_are_geometric_give_what_fit_gives(iris):
    estimator = make_classifier(prune_fraction=0.9, n_rounds=3, n_regrow=0)
    levels = [1 - 0.1 ** (1 / 3), 1 - 0.1 ** (2 / 3), 0.9]
    path = estimator.pruning_path(*iris, prune_fractions=levels)
    np.testing.assert_array_equal(path.prune_fractions, [0, *levels])
    assert_same_estimator(
        path.estimator_at(-1).set_params(prune_fraction=0.9), clone(estimator).fit(*iris)
    )


def test_path_leaves_the_estimator_alone(iris):
    rng = np.random.RandomState(3)
    estimator = make_classifier(random_state=rng).fit(*iris)
    before, state = dict(vars(estimator)), rng.get_state()[1].copy()
    weights = tuple(weights.copy() for weights in estimator.coefs_)
    estimator.pruning_path(*iris, prune_fractions=LEVELS)
    assert vars(estimator) == before
    assert_same(estimator.coefs_, weights, "coefs_")
    np.testing.assert_array_equal(rng.get_state()[1], state)


@pytest.mark.slow
def test_columns_agree_with_the_estimators(diabetes):
    X, y = diabetes
    estimator = OBDMLPRegressor(
        hidden_layer_sizes=(8,), solver="lbfgs", max_iter=40, random_state=0
    )
    path = estimator.pruning_path(
        X[:150], y[:150], prune_fractions=LEVELS, X_val=X[150:], y_val=y[150:]
    )
    np.testing.assert_array_equal(path.prune_fractions, [0, *LEVELS])
    n_total = 10 * 8 + 8
    expected = [round((1 - level) * n_total) for level in [0, *LEVELS]]
    np.testing.assert_array_equal(path.n_weights, expected)
    for index in range(len(LEVELS) + 1):
        at_step = path.estimator_at(index)
        assert at_step.n_weights_ == path.n_weights[index]
        assert at_step.sparsity_ == path.sparsity[index]
        assert at_step.prune_fraction == path.prune_fractions[index]
        assert at_step.n_iter_ == path.n_iter[: index + 1].sum()
        score = at_step.score(X[150:], y[150:])
        assert path.validation_score[index] == pytest.approx(score, rel=1e-12)
        mean_square = np.mean((at_step.predict(X[150:]) - y[150:]) ** 2)
        assert path.validation_loss[index] == pytest.approx(mean_square / 2, rel=1e-12)
        # An empty history cannot know that there were validation data.
        for name in HISTORY_COLUMNS + (VALIDATION_COLUMNS if index else ()):
            np.testing.assert_array_equal(
                at_step.pruning_history_[name], path[name][1 : index + 1], err_msg=name
            )
    assert np.all(np.diff(path.fit_time) > 0)


def test_without_validation_data_there_are_no_validation_columns(iris):
    path = make_classifier().pruning_path(*iris, prune_fractions=[0.5])
    assert not set(VALIDATION_COLUMNS) & set(path)


def test_sample_weights_are_used(iris):
    X, y = iris
    weight = np.where(y == 2, 0.0, 1.0)
    path = make_classifier().pruning_path(X, y, prune_fractions=LEVELS, sample_weight=weight)
    for index in range(len(LEVELS) + 1):
        assert set(path.estimator_at(index).predict(X)) <= {0, 1}


@pytest.mark.slow
def test_prune_tol_is_ignored(iris):
    path = make_classifier(prune_fraction="auto", prune_tol=0.0).pruning_path(
        *iris, prune_fractions=LEVELS
    )
    reference = make_classifier().pruning_path(*iris, prune_fractions=LEVELS)
    np.testing.assert_array_equal(path.n_weights, reference.n_weights)


def test_levels_are_sorted_and_made_unique(iris):
    path = make_classifier().pruning_path(*iris, prune_fractions=[0.6, 0, 0.3, 0.6])
    np.testing.assert_array_equal(path.prune_fractions, [0, 0.3, 0.6])


@pytest.mark.parametrize(
    "levels",
    [[0.5, 1.0], [-0.1], [np.nan], [], 0.5, [[0.1, 0.2]], ["a"], [True], [0.5, 1j]],
    ids=str,
)
def test_levels_that_are_none_are_refused(iris, levels):
    with pytest.raises(ValueError, match="prune_fractions must be"):
        make_classifier().pruning_path(*iris, prune_fractions=levels)


def test_wrong_levels_are_refused_before_any_work(iris):
    estimator = make_classifier()
    with pytest.raises(ValueError, match=r"must be numbers in \[0, 1\), got \[1.5\]"):
        estimator.pruning_path(*iris, prune_fractions=[0.5, 1.5])
    assert not hasattr(estimator, "coefs_")


@pytest.mark.parametrize(("fraction", "n_rounds"), [(0, 5), (0.5, 0)])
def test_nothing_to_prune_gives_the_dense_network_alone(iris, fraction, n_rounds):
    estimator = make_classifier(prune_fraction=fraction, n_rounds=n_rounds)
    path = estimator.pruning_path(*iris)
    np.testing.assert_array_equal(path.prune_fractions, [0])
    np.testing.assert_array_equal(
        path.estimator_at(0).coefs_[0], clone(estimator).fit(*iris).coefs_[0]
    )


@pytest.mark.parametrize("index", [3, -4])
def test_steps_beyond_the_path_are_refused(iris, index):
    path = make_classifier().pruning_path(*iris, prune_fractions=[0.3, 0.6])
    with pytest.raises(IndexError, match=r"index must be in \[-3, 3\)"):
        path.estimator_at(index)


@pytest.mark.parametrize("index", [1.0, None, "last", slice(2)], ids=str)
def test_steps_are_whole_numbers(iris, index):
    path = make_classifier().pruning_path(*iris, prune_fractions=[0.3, 0.6])
    with pytest.raises(TypeError, match="index must be an integer"):
        path.estimator_at(index)


def test_estimators_of_a_path_share_nothing(iris):
    path = make_classifier(solver="adam", max_iter=5).pruning_path(*iris, prune_fractions=LEVELS)
    one, other = path.estimator_at(1), path.estimator_at(1)
    one.partial_fit(*iris)
    one.coefs_ = [0 * weights for weights in one.coefs_]
    one.loss_curve_.append(0.0)
    one.set_params(alpha=9.0)
    assert_same_estimator(path.estimator_at(1), other)


def test_path_describes_itself_briefly(iris):
    path = make_classifier().pruning_path(*iris, prune_fractions=LEVELS)
    assert isinstance(path, PruningPath)
    assert repr(path).startswith("PruningPath(4 networks of 84 to 13 weights, keys: ")
    assert len(repr(path)) < 300


def test_estimator_from_a_path_can_be_trained_and_pruned_further(iris):
    at_step = (
        make_classifier(solver="adam", max_iter=5)
        .pruning_path(*iris, prune_fractions=LEVELS)
        .estimator_at(1)
    )
    masks = [mask.copy() for mask in at_step.coef_masks_]
    at_step.partial_fit(*iris)
    for mask, after, weights in zip(masks, at_step.coef_masks_, at_step.coefs_, strict=True):
        np.testing.assert_array_equal(mask, after)
        assert not weights[~mask].any()
    assert at_step.prune(*iris, prune_fraction=0.9).sparsity_ == pytest.approx(0.9, abs=0.01)


def test_pickled_networks_are_packed(digits):
    """What is gone takes a bit, not a number."""
    estimator = make_classifier(max_iter=5).set_params(hidden_layer_sizes=(100,))
    path = estimator.pruning_path(*digits, prune_fractions=[0.5, 0.9])
    one_network = 8 * (64 * 100 + 100 * 3)
    assert len(pickle.dumps(path)) < 2 * one_network


def test_path_survives_pickling(iris):
    path = make_classifier().pruning_path(*iris, prune_fractions=LEVELS)
    copied = pickle.loads(pickle.dumps(path))
    assert set(copied) == set(path)
    assert_same_estimator(copied.estimator_at(2), path.estimator_at(2))


def test_float32_stays_float32(iris):
    X, y = iris
    path = make_classifier().pruning_path(X.astype(np.float32), y, prune_fractions=LEVELS)
    assert path.estimator_at(1).coefs_[0].dtype == np.float32


def test_failing_fit_leaves_no_trace(iris):
    estimator = make_classifier()
    with pytest.raises(ValueError, match="NaN"):
        estimator.pruning_path(np.full_like(iris[0], np.nan), iris[1])
    assert not hasattr(estimator, "coefs_")
    assert vars(estimator) == vars(make_classifier())


def test_warns_once_for_the_whole_path(iris):
    with pytest.warns(ConvergenceWarning) as caught:
        make_classifier(max_iter=2, retrain_max_iter=None).pruning_path(
            *iris, prune_fractions=LEVELS
        )
    assert len(caught) == 1
