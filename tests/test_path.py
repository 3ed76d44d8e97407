"""A path's step is an estimator fitted along the same levels, bit for bit."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skobd._path import check_levels, geometric_levels
from skobd._pruning import HISTORY_COLUMNS, VALIDATION_COLUMNS

from skobd import OBDMLPClassifier, OBDMLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs are enough here
)

LEVELS = [0.3, 0.6, 0.85]


def make_classifier(**params):
    defaults = {"solver": "lbfgs", "alpha": 0.1, "max_iter": 60, "random_state": 0}
    return OBDMLPClassifier((12,), **defaults | params)


SOLVERS = [
    pytest.param({"solver": "lbfgs"}, id="lbfgs"),
    pytest.param({"solver": "adam", "max_iter": 15}, id="adam"),
    pytest.param({"solver": "sgd", "max_iter": 15, "early_stopping": True}, id="early_stopping"),
    pytest.param({"retrain_max_iter": 3, "criterion": "random"}, id="random"),
    pytest.param({"prune_intercepts": True}, id="intercepts"),
]


def assert_same_estimator(actual, expected, but=()):
    """Everything that was fitted is equal, bit for bit."""
    # What the optimiser needs to go on is documented as not being kept on a path.
    # The predictor is made when it is first needed.
    but = {"_optimizer_state", "_predictor", "_exposed", "_network", "_label_binarizer", *but}
    assert set(vars(actual)) - but == set(vars(expected)) - but
    for name in set(vars(expected)) - but:
        assert_same(getattr(actual, name), getattr(expected, name), name)
    for name in ("coefs_", "intercepts_", "coef_masks_", "intercept_masks_"):
        assert_same(getattr(actual, name), getattr(expected, name), name)
    assert actual.n_weights_ == expected.n_weights_
    assert actual.sparsity_ == expected.sparsity_


def assert_same(actual, expected, name):
    assert type(actual) is type(expected), name
    if isinstance(expected, dict):
        assert list(actual) == list(expected), name
        for key in expected:
            assert_same(actual[key], expected[key], f"{name}[{key!r}]")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), name
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
    else:
        np.testing.assert_equal(actual, expected, err_msg=name)


@pytest.mark.parametrize("params", SOLVERS)
def test_every_step_of_the_own_levels_is_what_fit_gives(iris, params):
    estimator = make_classifier(prune_fraction=0.9, n_rounds=4, **params)
    path = estimator.pruning_path(*iris)
    assert len(path.n_weights) == 5
    for index in range(5):
        at_step = path.estimator_at(index)
        assert_same_estimator(at_step, clone(at_step).fit(*iris))
    assert_same_estimator(path.estimator_at(-1), clone(estimator).fit(*iris))
    assert path.estimator_at(-1).get_params() == estimator.get_params()


@pytest.mark.parametrize("params", SOLVERS)
def test_a_step_does_not_depend_on_the_levels_after_it(iris, params):
    estimator = make_classifier(**params)
    path = estimator.pruning_path(*iris, LEVELS)
    for index in range(len(LEVELS) + 1):
        shorter = estimator.pruning_path(*iris, [0, *LEVELS[:index]])
        assert_same_estimator(path.estimator_at(index), shorter.estimator_at(-1))


def test_explicit_levels_that_are_geometric_give_what_fit_gives(iris):
    estimator = make_classifier(prune_fraction=0.9, n_rounds=3)
    path = estimator.pruning_path(*iris, geometric_levels(0.9, 3))
    assert_same_estimator(path.estimator_at(-1), clone(estimator).fit(*iris))


def test_path_leaves_the_estimator_alone(iris):
    rng = np.random.RandomState(3)
    estimator = make_classifier(random_state=rng).fit(*iris)
    before, theta, state = dict(vars(estimator)), estimator._theta.copy(), rng.get_state()[1].copy()
    estimator.pruning_path(*iris, LEVELS)
    assert vars(estimator) == before
    np.testing.assert_array_equal(estimator._theta, theta)
    np.testing.assert_array_equal(rng.get_state()[1], state)


def test_columns_agree_with_the_estimators(diabetes):
    X, y = diabetes
    estimator = OBDMLPRegressor(
        hidden_layer_sizes=(8,), solver="lbfgs", max_iter=40, random_state=0
    )
    path = estimator.pruning_path(X[:150], y[:150], LEVELS, X_val=X[150:], y_val=y[150:])
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
    path = make_classifier().pruning_path(*iris, [0.5])
    assert not set(VALIDATION_COLUMNS) & set(path)


def test_sample_weights_are_used(iris):
    X, y = iris
    weight = np.where(y == 2, 0.0, 1.0)
    path = make_classifier().pruning_path(X, y, LEVELS, sample_weight=weight)
    for index in range(len(LEVELS) + 1):
        assert set(path.estimator_at(index).predict(X)) <= {0, 1}


def test_prune_tol_is_ignored(iris):
    path = make_classifier(prune_tol=0.0).pruning_path(*iris, LEVELS)
    reference = make_classifier().pruning_path(*iris, LEVELS)
    np.testing.assert_array_equal(path.n_weights, reference.n_weights)


def test_levels_are_sorted_and_made_unique(iris):
    path = make_classifier().pruning_path(*iris, [0.6, 0, 0.3, 0.6])
    np.testing.assert_array_equal(path.prune_fractions, [0, 0.3, 0.6])


@pytest.mark.parametrize(
    "levels",
    [[0.5, 1.0], [-0.1], [np.nan], [], 0.5, [[0.1, 0.2]], ["a"], [True], None, [0.5, 1j]],
    ids=str,
)
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ValueError, match="prune_fractions must be"):
        check_levels(levels)


def test_wrong_levels_are_refused_before_any_work(iris):
    estimator = make_classifier()
    with pytest.raises(ValueError, match=r"must be in \[0, 1\), got \[1.5\]"):
        estimator.pruning_path(*iris, [0.5, 1.5])
    assert not hasattr(estimator, "_theta")


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
    path = make_classifier().pruning_path(*iris, [0.3, 0.6])
    with pytest.raises(IndexError, match=r"index must be in \[-3, 3\)"):
        path.estimator_at(index)


def test_estimators_of_a_path_share_nothing(iris):
    path = make_classifier(solver="adam", max_iter=5).pruning_path(*iris, LEVELS)
    one, other = path.estimator_at(1), path.estimator_at(1)
    one.partial_fit(*iris)
    one.coefs_[0][:] = 0
    one.loss_curve_.append(0.0)
    assert_same_estimator(path.estimator_at(1), other)


def test_estimator_from_a_path_can_be_trained_and_pruned_further(iris):
    at_step = make_classifier(solver="adam", max_iter=5).pruning_path(*iris, LEVELS).estimator_at(1)
    masks = [mask.copy() for mask in at_step.coef_masks_]
    at_step.partial_fit(*iris)
    for mask, after, weights in zip(masks, at_step.coef_masks_, at_step.coefs_, strict=True):
        np.testing.assert_array_equal(mask, after)
        assert not weights[~mask].any()
    assert at_step.prune(*iris, prune_fraction=0.9).sparsity_ == pytest.approx(0.9, abs=0.01)


def test_networks_are_packed(digits):
    estimator = make_classifier(max_iter=5).set_params(hidden_layer_sizes=(100,))
    path = estimator.pruning_path(*digits, [0.5, 0.9])
    n_parameters = 65 * 100 + 101 * 3
    n_intercepts = 103
    for packed, n_weights in zip(path.steps, path.n_weights, strict=True):
        assert packed.values.shape == (n_weights + n_intercepts,)
        assert packed.mask.nbytes == -(-n_parameters // 8)
        assert packed.numbers.theta.size == packed.numbers.result.theta.size == 0


def test_path_survives_pickling(iris):
    path = make_classifier().pruning_path(*iris, LEVELS)
    copied = pickle.loads(pickle.dumps(path))
    assert set(copied) == set(path)
    assert_same_estimator(copied.estimator_at(2), path.estimator_at(2))


def test_float32_stays_float32(iris):
    X, y = iris
    path = make_classifier().pruning_path(X.astype(np.float32), y, LEVELS)
    assert path.estimator_at(1).coefs_[0].dtype == np.float32


def test_failing_fit_leaves_no_trace_of_the_path(iris):
    estimator = make_classifier()
    with pytest.raises(ValueError, match="NaN"):
        estimator.pruning_path(np.full_like(iris[0], np.nan), iris[1])
    assert "_route" not in vars(estimator)


def test_warns_once_for_the_whole_path(iris):
    with pytest.warns(ConvergenceWarning) as caught:
        make_classifier(max_iter=2).pruning_path(*iris, LEVELS)
    assert len(caught) == 1
