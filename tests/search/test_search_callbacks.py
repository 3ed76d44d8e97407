"""Callbacks of scikit-learn 1.9 see the folds of a search above the fits, and can end them."""

import numpy as np
import pytest
from recorder import Recorder, needs_callbacks
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier, PruningSearchCV

pytestmark = [
    pytest.mark.slow,
    needs_callbacks,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few epochs are enough here
    ),
]


def make_classifier():
    return OBDMLPClassifier((5,), max_iter=3, random_state=0)


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


def several(estimator, X, y):
    return {"accuracy": estimator.score(X, y), "weights": -float(estimator.n_weights_)}


@pytest.mark.parametrize(
    "scoring", [None, ["accuracy", "neg_log_loss"], several], ids=["one", "list", "callable"]
)
@pytest.mark.parametrize("error_score", ["raise", -5.0])
def test_levels_that_a_callback_prevented_have_no_score(iris, scoring, error_score):
    search = PruningSearchCV(
        make_classifier(),
        prune_fractions=[0, 0.5, 0.7],
        cv=2,
        scoring=scoring,
        refit="accuracy",
        return_train_score=True,
        error_score=error_score,
    )
    search.set_callbacks(Recorder(stop_at=(0, 0, 1, 1)))
    with pytest.warns(UserWarning, match="non-finite"):
        search.fit(*iris)
    columns = [name for name in search.cv_results_ if name.startswith("split")]
    assert len(columns) == 2 * (1 + 2 * (1 if scoring is None else 2))
    for name in columns:
        finite = np.isfinite(search.cv_results_[name])
        assert finite.tolist() == [True, True, name.startswith("split0")], name
    assert search.best_index_ < 2


def test_a_callback_ends_the_refit(iris):
    search = PruningSearchCV(
        make_classifier(), prune_fractions=[0, 0.3, 0.6], cv=2, selection=lambda results: 2
    )
    search.set_callbacks(Recorder(stop_at=(0, 1, 1))).fit(*iris)
    assert search.best_estimator_.sparsity_ == pytest.approx(0.3, abs=0.02)
    assert search.best_estimator_.prune_fraction == 0.6


def test_callbacks_of_the_network_itself(iris):
    recorder = Recorder()
    del recorder.max_propagation_depth  # so that it may be set on an estimator in a search
    mlp = make_classifier().set_callbacks(recorder)
    pipeline = make_pipeline(StandardScaler(), mlp)
    search = PruningSearchCV(pipeline, prune_fractions=[0, 0.5], cv=2)
    search.fit(*iris)
    assert recorder.count("end", "round") == 2 * 2 + 1 + search.best_index_
    assert recorder.events.count("setup") == recorder.events.count("teardown") == 3
    # The best estimator still has it.
    recorder.events.clear()
    search.best_estimator_[-1].prune(*iris, prune_fraction=0.9, n_rounds=1)
    assert recorder.count("end", "round") == 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_records_scores_in_a_search(iris, n_jobs):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    # As many epochs of retraining as of training, and no regrowth.
    again = {"retrain_max_iter": None, "n_regrow": 0}
    estimator = make_classifier().set_params(**again).set_callbacks(monitor)
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
