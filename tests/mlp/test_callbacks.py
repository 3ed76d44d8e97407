"""Callbacks of scikit-learn 1.9 see the tasks fit -> round -> epoch, and can end them."""

import numpy as np
import pytest
from models import assert_deleted_are_zero, digest, plain
from recorder import Recorder, needs_callbacks
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skobd import OBDMLPClassifier
from skobd._sklearn_compat import NoContext, root_context

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs are enough here
    ),
]


BEGIN_EPOCH, END_EPOCH, END_ROUND = ("begin", "epoch"), ("end", "epoch"), ("end", "round")


def make_classifier(**params):
    defaults = {"max_iter": 3, "n_rounds": 2, "prune_fraction": 0.75, "random_state": 0}
    return OBDMLPClassifier((5,), **plain(**defaults | params))


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
@pytest.mark.filterwarnings("ignore:Less was deleted")
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
    assert digest(observed) == digest(plain)
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
    assert digest(estimator) == digest(path.estimator_at(round_))


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
    path = estimator.pruning_path(*iris, prune_fractions=[0.2, 0.4, 0.6])
    np.testing.assert_array_equal(path.prune_fractions, [0, 0.2])
    assert "_skl_callbacks" not in vars(path.estimator_at(1))


@needs_callbacks
def test_works_within_the_searches_of_scikit_learn(iris):
    recorder = Recorder()
    grid = GridSearchCV(make_classifier(), {"prune_fraction": [0.5, 0.7]}, cv=2)
    grid.set_callbacks(recorder).fit(*iris)
    assert recorder.count("end", "round") == 3 * (2 * 2 + 1)


class TestRegrowth:
    """The cycles belong to the last round; their epochs are told of like others."""

    def make(self, solver="adam", **params):
        defaults = {"retrain_max_iter": 2, "n_regrow": 3, "prune_fraction": 0.6, "max_iter": 3}
        defaults |= {"n_rounds": 2, "random_state": 0, "solver": solver}
        return OBDMLPClassifier((5,), **defaults | params)

    @needs_callbacks
    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_epochs_of_all_cycles(self, iris, solver):
        recorder = Recorder()
        self.make(solver).set_callbacks(recorder).fit(*iris)
        ended = [path for what, name, path in recorder.events[1:-1] if (what, name) == END_EPOCH]
        begun = [path for what, name, path in recorder.events[1:-1] if (what, name) == BEGIN_EPOCH]
        assert begun == ended
        n_epochs = {0: 3, 1: 2, 2: 2 + 3 * 2}
        expected = [(0, r, epoch) for r, n in n_epochs.items() for epoch in range(n)]
        assert ended == expected
        for name in ("fit", "round", "epoch"):
            assert recorder.count("begin", name) == recorder.count("end", name)

    @needs_callbacks
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_networks_that_are_shown(self, iris, solver):
        recorder = Recorder()
        model = self.make(solver).set_callbacks(recorder).fit(*iris)
        last = [
            fitted
            for (what, name, fitted), event in zip(
                recorder.fitted, recorder.events[1:-1], strict=True
            )
            if (what, name) == END_EPOCH and event[2][1] == 2
        ]
        assert len(last) == 8
        for fitted in last:
            assert fitted.n_weights_ == model.n_weights_ == round(0.4 * 35)
            assert_deleted_are_zero(fitted)
        # Of every training one, then another one.
        masks = [b"".join(mask.tobytes() for mask in fitted.coef_masks_) for fitted in last]
        assert masks[::2] == masks[1::2]
        assert len(set(masks)) > 1
        assert digest(model) in {digest(fitted) for fitted in last}
        ends = [fitted for what, name, fitted in recorder.fitted if (what, name) == END_ROUND]
        assert digest(ends[-1]) == digest(model)
        np.testing.assert_equal(ends[-1].regrowth_history_, model.regrowth_history_)
        assert digest(model) == digest(self.make(solver).fit(*iris))

    @needs_callbacks
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    @pytest.mark.parametrize("epoch", [0, 1, 2, 5, 7])
    def test_a_callback_ends_the_fit_within_a_cycle(self, iris, solver, epoch):
        whole = self.make(solver).fit(*iris)
        estimator = self.make(solver).set_callbacks(Recorder(stop_at=(0, 2, epoch)))
        estimator.fit(*iris)
        assert estimator.n_iter_ == len(estimator.loss_curve_) == 3 + 2 + epoch + 1
        assert estimator.n_weights_ == whole.n_weights_
        assert_deleted_are_zero(estimator)
        cycles, expected = estimator.regrowth_history_, whole.regrowth_history_
        # Begun after the first 2 epochs of the round; the last of them may lack its second one.
        n_cycles = epoch // 2
        expected_n_iter = [2] * n_cycles
        if n_cycles and epoch % 2 == 0:
            expected_n_iter[-1] = 1
        assert cycles["n_iter"].tolist() == expected_n_iter
        n_whole = expected_n_iter.count(2)
        for name, column in cycles.items():
            np.testing.assert_array_equal(column[:n_whole], expected[name][:n_whole])
        if n_cycles:
            # The best network so far.
            shorter = self.make(solver, n_regrow=0).fit(*iris)
            loss = shorter.pruning_history_["loss_after_retraining"][-1]
            best = min(loss, *cycles["loss_after_retraining"])
            assert estimator.pruning_history_["loss_after_retraining"][-1] == best

    @needs_callbacks
    def test_no_round_follows(self, iris):
        """On a path the levels divide the cycles: here two of three are those of the first."""
        estimator = self.make().set_callbacks(Recorder(stop_at=(0, 1, 4)))
        path = estimator.pruning_path(*iris, prune_fractions=[0.52, 0.6])
        np.testing.assert_array_equal(path.n_weights, [35, 17])
        assert path.estimator_at(1).regrowth_history_["n_iter"].tolist() == [2, 1]


def test_without_callbacks_in_scikit_learn_nothing_happens():
    context = root_context(object(), max_subtasks=3)
    assert isinstance(context, NoContext)
    assert context.call_on_fit_task_begin(estimator=None) is context
    assert context.subcontext(task_name="round") is context
    assert context.call_on_fit_task_end(estimator=None) is False
    with context.propagate_callback_context(LogisticRegression()):
        pass
