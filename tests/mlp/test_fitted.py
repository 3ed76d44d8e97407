"""What training leaves behind: rounds are numbered on, and cost no more than themselves."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import make_problem
from sklearn.exceptions import ConvergenceWarning

from skobd import OBDMLPRegressor
from skobd._mlp.fitted import HISTORY_COLUMNS, VALIDATION_COLUMNS, Fitted, history
from skobd._mlp.targets import NumberTargets
from skobd._prune.deletion_problem import DeletionSettings
from skobd._prune.recipe import Recipe, prune
from skobd._train.settings import Monitor, SolverSettings, Training


def rounds_of(survivors, fitted=None, monitor=Monitor()):
    """What is left after each step of a pruning; ``fitted`` is where it begins."""
    objective, _, theta = make_problem("multinomial_log_loss", 3, n=40)
    if fitted is None:
        fitted = Fitted.untrained(objective.network, theta, NumberTargets("squared_error"))
    training = Training(SolverSettings(max_iter=3), np.random.RandomState(0), monitor)
    steps = prune(
        objective, fitted.pruned, fitted.state, survivors, Recipe(DeletionSettings()), training
    )
    for step in steps:
        fitted = fitted.after(step, 3)
        yield fitted


def test_rounds_are_numbered_on():
    *_, first = rounds_of([18, 11])
    *_, second = rounds_of([10], first, Monitor(lambda theta: (1.0, 0.5)))
    assert_array_equal(first.history["round"], [1, 2])
    assert_array_equal(second.history["round"], [1, 2, 3])
    assert_array_equal(second.history["n_weights"], [18, 11, 10])
    assert_array_equal(second.history["validation_score"], [np.nan, np.nan, 0.5])


def test_every_fitted_network_keeps_its_own_record():
    dense, first, second = rounds_of([18, 11])
    assert [len(fitted.rounds) for fitted in (dense, first, second)] == [0, 1, 2]
    assert [fitted.n_weights for fitted in (dense, first, second)] == [24, 18, 11]
    assert [fitted.latest.round for fitted in (dense, first, second)] == [0, 1, 2]
    assert first.sparsity == 0.25
    assert [len(fitted.state.loss_curve) for fitted in (dense, first, second)] == [3, 6, 9]


def test_history_has_equal_columns():
    *_, fitted = rounds_of([18, 11])
    columns = fitted.history
    assert tuple(columns) == HISTORY_COLUMNS
    assert {len(column) for column in columns.values()} == {2}
    *_, fitted = rounds_of([18], monitor=Monitor(lambda theta: (1.0, 0.5)))
    assert tuple(fitted.history) == HISTORY_COLUMNS + VALIDATION_COLUMNS
    assert tuple(history([])) == HISTORY_COLUMNS


def test_packing_loses_nothing():
    *_, fitted = rounds_of([18, 11])
    loaded = Fitted.unpack(fitted.pack())
    np.testing.assert_equal(loaded.history, fitted.history)
    assert_array_equal(loaded.pruned.theta, fitted.pruned.theta)
    assert list(loaded.state.loss_curve) == list(fitted.state.loss_curve)
    for name in ("loss", "n_iter", "targets", "granularity", "early_stopping"):
        assert getattr(loaded, name) == getattr(fitted, name)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_n_rounds_cost_in_proportion_to_n(solver):
    """Counted in bytes over a path that keeps every network: copied records would be n^2 / 2."""
    X, y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 2.0]]), np.array([0.0, 1.0, 2.0])
    sizes = []
    for n_rounds in (250, 500):
        model = OBDMLPRegressor(hidden_layer_sizes=(), solver=solver, max_iter=1)
        model.set_params(n_rounds=n_rounds, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "Pruning has left")
            tracemalloc.start()
            try:
                path = model.pruning_path(X, y)
                sizes.append(tracemalloc.get_traced_memory()[0])
            finally:
                tracemalloc.stop()
        assert len(path.n_weights) == n_rounds + 1
        assert len(path.estimator_at(-1).pruning_history_["round"]) == n_rounds
    assert sizes[1] < 2.2 * sizes[0]
