"""Callbacks of scikit-learn 1.9 see the tasks fit -> round -> epoch, and can end them."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier, PruningSearchCV
from skobd._sklearn_compat import NoContext, root_context

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs are enough here
)
HAS_CALLBACKS = hasattr(OBDMLPClassifier, "set_callbacks")
needs_callbacks = pytest.mark.skipif(
    not HAS_CALLBACKS, reason="scikit-learn has callbacks from version 1.9 on"
)


class Recorder:
    """A callback that notes what it sees and stops at the end of one task.

    Parameters
    ----------
    stop_at : tuple of int
        Path of task ids at the end of which to stop.
    max_propagation_depth : int or None
    """

    def __init__(self, stop_at=None, max_propagation_depth=None):
        self.events, self.fitted = [], []
        self.stop_at, self.max_propagation_depth = stop_at, max_propagation_depth

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
        self._note("begin", context, fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self._note("end", context, fitted_estimator)
        return self._path(context) == self.stop_at

    def _note(self, what, context, fitted_estimator):
        self.events.append((what, context.task_name, self._path(context)))
        self.fitted.append((what, context.task_name, fitted_estimator))

    def _path(self, context):
        return (*(self._path(context.parent) if context.parent else ()), context.task_id)

    def count(self, what, task_name):
        return sum(event[:2] == (what, task_name) for event in self.events)


def make_classifier(**params):
    defaults = {"max_iter": 3, "n_rounds": 2, "prune_fraction": 0.75, "random_state": 0}
    return OBDMLPClassifier((5,), **defaults | params)


def assert_same_network(actual, expected):
    for name in ("coefs_", "intercepts_"):
        for one, other in zip(getattr(actual, name), getattr(expected, name), strict=True):
            np.testing.assert_array_equal(one, other)


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_tasks_are_nested_and_balanced(iris, solver):
    recorder = Recorder()
    make_classifier(solver=solver, n_rounds=1).set_callbacks(recorder).fit(*iris)
    epochs = [
        event
        for epoch in range(3)
        for event in (("begin", "epoch", (0, 0, epoch)), ("end", "epoch", (0, 0, epoch)))
    ]
    again = [(what, name, (0, 1, path[-1])) for what, name, path in epochs]
    assert recorder.events == [
        "setup",
        ("begin", "fit", (0,)),
        ("begin", "round", (0, 0)),
        *epochs,
        ("end", "round", (0, 0)),
        ("begin", "round", (0, 1)),
        *again,
        ("end", "round", (0, 1)),
        ("end", "fit", (0,)),
        "teardown",
    ]


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_training_that_converges_leaves_no_task_open(iris, solver):
    recorder = Recorder()
    estimator = make_classifier(solver=solver, max_iter=400, tol=0.05, n_iter_no_change=2)
    estimator.set_callbacks(recorder).fit(*iris)
    assert estimator.n_iter_ < 3 * 400
    for name in ("fit", "round", "epoch"):
        assert recorder.count("begin", name) == recorder.count("end", name) > 0


@needs_callbacks
@pytest.mark.parametrize("params", [{"retrain_max_iter": 0}, {"prune_fraction": 0}], ids=str)
def test_rounds_without_epochs_and_fits_without_rounds(iris, params):
    recorder = Recorder()
    make_classifier(**params).set_callbacks(recorder).fit(*iris)
    assert recorder.count("end", "epoch") == 3
    assert recorder.count("end", "round") == (1 if "prune_fraction" in params else 3)


@needs_callbacks
def test_rounds_that_delete_nothing_are_rounds(iris):
    """The only input left cannot go."""
    recorder = Recorder()
    estimator = make_classifier(granularity="feature", prune_fraction=0.95, n_rounds=6)
    estimator.set_callbacks(recorder).fit(*iris)
    assert (estimator.pruning_history_["n_iter"] == 0).any()
    rounds = [event[2] for event in recorder.events if event[:2] == ("end", "round")]
    assert rounds == [(0, round_) for round_ in range(7)]
    for name in ("fit", "round", "epoch"):
        assert recorder.count("begin", name) == recorder.count("end", name)


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_fitted_estimators_are_as_if_fit_had_ended_there(iris, solver):
    X, y = iris
    recorder = Recorder()
    estimator = make_classifier(solver=solver).set_callbacks(recorder).fit(X, y)
    path = clone(estimator).set_callbacks().pruning_path(X, y)
    after_rounds = [
        fitted for what, name, fitted in recorder.fitted if (what, name) == ("end", "round")
    ]
    assert [fitted.n_weights_ for fitted in after_rounds] == path.n_weights.tolist()
    for index, fitted in enumerate(after_rounds):
        expected = path.estimator_at(index)
        np.testing.assert_array_equal(fitted.predict_proba(X), expected.predict_proba(X))
        assert fitted.loss_ == expected.loss_
        assert len(fitted.pruning_history_["round"]) == index
    after_epochs = [
        fitted for what, name, fitted in recorder.fitted if (what, name) == ("end", "epoch")
    ]
    # Kept by a callback, they must not follow the training that goes on.
    assert len({fitted.coefs_[1].tobytes() for fitted in after_epochs}) == len(after_epochs)
    np.testing.assert_array_equal(after_epochs[-1].predict_proba(X), estimator.predict_proba(X))


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_do_not_change_the_fit(iris, solver):
    observed = make_classifier(solver=solver).set_callbacks(Recorder()).fit(*iris)
    plain = make_classifier(solver=solver).fit(*iris)
    assert_same_network(observed, plain)
    assert set(vars(observed)) - set(vars(plain)) == {"_skl_callbacks"}


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_ends_the_fit_after_an_epoch(iris, solver):
    estimator = make_classifier(solver=solver).set_callbacks(Recorder(stop_at=(0, 1, 0)))
    estimator.fit(*iris)
    assert estimator.n_iter_ == 3 + 1
    assert estimator.pruning_history_["n_iter"].tolist() == [1]
    assert 0 < estimator.sparsity_ < 0.75
    assert estimator.score(*iris) >= 0


@needs_callbacks
@pytest.mark.parametrize("round_", [0, 1])
def test_a_callback_ends_the_fit_after_a_round(iris, round_):
    estimator = make_classifier().set_callbacks(Recorder(stop_at=(0, round_))).fit(*iris)
    assert len(estimator.pruning_history_["round"]) == round_
    path = make_classifier().pruning_path(*iris)
    assert_same_network(estimator, path.estimator_at(round_))


@needs_callbacks
def test_callbacks_are_torn_down_when_fit_fails(iris):
    recorder = Recorder()
    estimator = make_classifier().set_callbacks(recorder).fit(*iris)
    before = dict(vars(estimator))
    recorder.events.clear()
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.full((4, 4), np.nan), [0, 1, 0, 1])
    assert recorder.events[0] == "setup"
    assert recorder.events[-1] == "teardown"
    assert vars(estimator) == before


@needs_callbacks
def test_prune_reports_its_rounds(iris):
    recorder = Recorder()
    estimator = make_classifier(prune_fraction=0).fit(*iris).set_callbacks(recorder)
    estimator.prune(*iris, prune_fraction=0.5, n_rounds=2)
    # Round 0 is the network as it was.
    assert recorder.count("end", "round") == 3
    assert recorder.count("end", "epoch") == 6
    assert recorder.events[-1] == "teardown"


@needs_callbacks
def test_path_reports_to_the_callbacks_and_can_be_ended_by_them(iris):
    estimator = make_classifier().set_callbacks(Recorder(stop_at=(0, 1)))
    path = estimator.pruning_path(*iris, [0.2, 0.4, 0.6])
    np.testing.assert_array_equal(path.prune_fractions, [0, 0.2])
    assert "_skl_callbacks" not in vars(path.estimator_at(1))


@needs_callbacks
def test_search_puts_folds_above_the_fits(iris):
    recorder = Recorder()
    search = PruningSearchCV(
        make_pipeline(StandardScaler(), make_classifier()), prune_fractions=[0, 0.5], cv=2
    )
    search.set_callbacks(recorder).fit(*iris)
    names = {path: name for what, name, path in recorder.events[1:-1] if what == "begin"}
    assert names[(0,)] == "fit"
    assert names[(0, 0)] == "search"
    # The pipeline's fit is the fold's task, and the network's fit the pipeline's second step.
    for fold in (0, 1):
        assert names[(0, 0, fold, 1, 0)] == names[(0, 0, fold, 1, 1)] == "round"
        assert names[(0, 0, fold, 1, 1, 2)] == "epoch"
    assert names[(0, 1, 1, 0)] == "round"
    for name in set(names.values()):
        assert recorder.count("begin", name) == recorder.count("end", name)
    assert not {"_callback_fit_ctx", "_parent_callback_ctx"} & set(vars(search))
    assert "_skl_callbacks" not in vars(search.best_estimator_)


@needs_callbacks
def test_levels_that_a_callback_prevented_have_no_score(iris):
    search = PruningSearchCV(make_classifier(), prune_fractions=[0, 0.5, 0.7], cv=2)
    search.set_callbacks(Recorder(stop_at=(0, 0, 1, 1)))
    with pytest.warns(UserWarning, match="non-finite"):
        search.fit(*iris)
    assert np.isfinite(search.cv_results_["split0_test_score"]).all()
    finite = np.isfinite(search.cv_results_["split1_test_score"])
    assert finite.tolist() == [True, True, False]
    assert search.best_index_ < 2


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_records_scores_in_a_search(iris, n_jobs):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    estimator = make_classifier().set_callbacks(monitor)
    search = PruningSearchCV(estimator, prune_fractions=[0, 0.5], cv=2, n_jobs=n_jobs)
    search.fit(*iris)
    rows = monitor.get_logs().data
    rounds = [row for row in rows if row["task_name"] == "round"]
    epochs = [row for row in rows if row["task_name"] == "epoch"]
    # Two folds and the refit; both levels unless the dense network is chosen.
    n_rounds = 2 * 2 + 1 + search.best_index_
    assert len(rounds) == n_rounds
    assert len(epochs) == 3 * n_rounds
    assert all(0 <= row["accuracy"] <= 1 for row in rounds + epochs)


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_shows_a_bar_for_every_level(iris, capsys, n_jobs):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    search = PruningSearchCV(make_classifier(), prune_fractions=[0, 0.5], cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar()).fit(*iris)
    shown = capsys.readouterr().out
    assert "PruningSearchCV - fit" in shown
    assert "PruningSearchCV - search" in shown
    assert "fold | OBDMLPClassifier - fit #1" in shown
    assert "OBDMLPClassifier - round #1" in shown
    assert "100%" in shown


@needs_callbacks
def test_works_within_the_searches_of_scikit_learn(iris):
    recorder = Recorder()
    grid = GridSearchCV(make_classifier(), {"prune_fraction": [0.5, 0.7]}, cv=2)
    grid.set_callbacks(recorder).fit(*iris)
    assert recorder.count("end", "round") == 3 * (2 * 2 + 1)


def test_without_callbacks_in_scikit_learn_nothing_happens():
    context = root_context(object(), max_subtasks=3)
    assert isinstance(context, NoContext)
    assert context.call_on_fit_task_begin(estimator=None) is context
    assert context.subcontext(task_name="round") is context
    assert context.call_on_fit_task_end(estimator=None) is False
    with context.propagate_callback_context(LogisticRegression()):
        pass
