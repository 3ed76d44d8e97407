"""What `PruningPathDisplay` draws: line data, positions and texts, not pixels."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from plots import SETTINGS, line, texts
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from skobd import (
    FeaturePathDisplay,
    NetworkDisplay,
    OBDMLPClassifier,
    OBDMLPRegressor,
    PruningPathDisplay,
    PruningSearchCV,
    SaliencyDisplay,
)
from skobd._search.candidates import candidate_names
from skobd._search.selection import best_and_threshold, median_error

pytestmark = pytest.mark.slow


def test_path_of_an_estimator_shows_its_history(clf):
    display = PruningPathDisplay.from_estimator(clf, kind="objective")
    history = clf.pruning_history_
    n_weights, objective = line(display, "after retraining")
    np.testing.assert_array_equal(n_weights, [27 + 8, *history["n_weights"]])
    assert objective[0] == history["loss_before"][0]
    np.testing.assert_array_equal(objective[1:], history["loss_after_retraining"])
    np.testing.assert_array_equal(
        line(display, "after deletion")[1][1:], history["loss_after_deletion"]
    )
    np.testing.assert_array_equal(
        line(display, "after deletion, predicted")[1][1:],
        history["loss_before"] + history["predicted_increase"],
    )
    np.testing.assert_array_equal(
        line(display, "validation loss")[1][1:], history["validation_loss"]
    )
    assert display.ax_.get_ylabel() == "Objective"
    assert display.ax_.get_xlabel() == "Surviving weights"
    assert display.figure_ is display.ax_.figure


def test_path_of_an_estimator_shows_the_validation_score_where_there_is_one(clf, iris):
    display = PruningPathDisplay.from_estimator(clf)
    np.testing.assert_array_equal(
        display.lines_[0].get_ydata()[1:], clf.pruning_history_["validation_score"]
    )
    assert display.ax_.get_ylabel() == "Validation accuracy"
    assert display.band_ is None
    assert display.threshold_line_ is None
    without = OBDMLPClassifier((5,), **SETTINGS).fit(*iris)
    display = PruningPathDisplay.from_estimator(without)
    assert display.ax_.get_ylabel() == "Objective"
    assert len(display.lines_) == 3


def test_magnitude_predicts_nothing_and_no_prediction_is_drawn(iris):
    clf = OBDMLPClassifier((5,), **SETTINGS, criterion="magnitude").fit(*iris)
    labels = [line.get_label() for line in PruningPathDisplay.from_estimator(clf).lines_]
    assert labels == ["after retraining", "after deletion"]


def test_path_display_of_a_path_agrees_with_that_of_the_fit(clf, iris):
    X, y = iris
    path = OBDMLPClassifier((5,), **SETTINGS, prune_fraction=0.7, n_rounds=4).pruning_path(
        X[:100], y[:100], X_val=X[100:], y_val=y[100:]
    )
    for kind in ("objective", "score"):
        of_path = PruningPathDisplay.from_path(path, kind=kind, best_index=2)
        of_fit = PruningPathDisplay.from_estimator(clf, kind=kind)
        assert len(of_path.lines_) == len(of_fit.lines_)
        for one, other in zip(of_path.lines_, of_fit.lines_, strict=True):
            # The history does not know the dense network's score.
            np.testing.assert_array_equal(one.get_xydata()[1:], other.get_xydata()[1:])
        assert of_path.best_line_.get_xdata() == [path.n_weights[2]]
    np.testing.assert_array_equal(of_path.lines_[0].get_ydata(), path.validation_score)


@pytest.mark.parametrize("metric", ["neg_log_loss", "accuracy"])
def test_path_of_a_search_shows_folds_threshold_and_choice(search, metric):
    results = search.cv_results_
    display = PruningPathDisplay.from_search(search, scoring=metric)
    mean, error = results[f"mean_test_{metric}"], results[f"sem_test_{metric}"]
    n_weights, drawn = line(display, "mean of 4 folds")
    np.testing.assert_array_equal(n_weights, results["mean_n_weights"])
    np.testing.assert_allclose(drawn, mean)
    best = np.flatnonzero(mean == mean.max())[-1]
    np.testing.assert_allclose(
        display.threshold_line_.get_ydata(), mean[best] - median_error(mean, error)
    )
    corners = display.band_.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx((mean - error).min())
    assert corners[:, 1].max() == pytest.approx((mean + error).max())
    chosen = search.best_index_
    assert display.best_line_.get_xdata() == [n_weights[chosen]]
    assert display.best_line_.get_ydata() == [pytest.approx(mean[chosen])]
    assert f"chosen: {n_weights[chosen]:,.0f} weights" in texts(display.ax_.get_legend())


def test_chosen_level_is_on_the_better_side_of_the_threshold(search):
    display = PruningPathDisplay.from_search(search, scoring="neg_log_loss")
    assert display.best_line_.get_ydata()[0] >= display.threshold_line_.get_ydata()[0]
    assert display.ax_.get_ylabel() == "Negative log loss"


def test_score_name_is_that_of_the_scoring_of_a_search(iris):
    clf = OBDMLPClassifier((3,), **SETTINGS)
    search = PruningSearchCV(clf, prune_fractions=[0, 0.5], scoring="balanced_accuracy", cv=3)
    display = PruningPathDisplay.from_search(search.fit(*iris))
    assert display.ax_.get_ylabel() == "Balanced accuracy"


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_without_scoring_the_name_is_that_of_what_the_estimator_scores(iris, kind):
    X, y = iris
    mlp = {"classifier": OBDMLPClassifier, "regressor": OBDMLPRegressor}[kind]
    mlp = mlp(hidden_layer_sizes=(3,), **SETTINGS)
    own = {"classifier": ("Accuracy", "accuracy"), "regressor": ("R²", "R²")}[kind]
    search = PruningSearchCV(make_pipeline(mlp), prune_fractions=[0, 0.5], cv=2).fit(X, y)
    assert PruningPathDisplay.from_search(search).ax_.get_ylabel() == own[0]
    path = mlp.pruning_path(X, y, prune_fractions=[0.5], X_val=X, y_val=y)
    assert PruningPathDisplay.from_path(path).ax_.get_ylabel() == f"Validation {own[1]}"
    mlp.fit(X, y, X_val=X, y_val=y)
    display = PruningPathDisplay.from_estimator(mlp, kind="score")
    assert display.ax_.get_ylabel() == f"Validation {own[1]}"
    search.set_params(scoring=lambda model, X, y: 0.5).fit(X, y)
    assert PruningPathDisplay.from_search(search).ax_.get_ylabel() == "Score"


def test_the_legend_covers_nothing(search, clf):
    for display in (
        PruningPathDisplay.from_search(search, scoring="accuracy"),
        PruningPathDisplay.from_estimator(clf, kind="objective"),
    ):
        display.figure_.canvas.draw()
        legend = display.ax_.get_legend().get_window_extent()
        assert not legend.overlaps(display.ax_.get_window_extent().padded(-1))
        assert legend.y1 <= display.figure_.bbox.y1


def test_band_and_threshold_are_standard_errors_of_a_mean():
    scores = np.array([[0.7, 0.8, 0.9], [0.6, 0.6, 0.6]])
    display = PruningPathDisplay(n_weights=[10, 5], scores=scores).plot()
    top = display.band_.get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(0.8 + 0.1 / np.sqrt(3))
    scores = np.array([[0.7, 0.9, 0.7, 0.9]])
    display = PruningPathDisplay(n_weights=[10], scores=scores).plot()
    assert display.threshold_line_.get_ydata()[0] == pytest.approx(0.8 - 0.1 / np.sqrt(3))


def test_fold_without_any_score_is_left_out():
    scores = np.array([[0.7, np.nan, 0.9], [0.6, np.nan, 0.6]])
    display = PruningPathDisplay(n_weights=[10, 5], scores=scores).plot()
    np.testing.assert_allclose(line(display, "mean of 2 folds")[1], [0.8, 0.6])


@pytest.mark.parametrize(("n_weights", "xscale"), [([100, 50, 25], "linear"), ([100, 5], "log")])
def test_x_axis_is_logarithmic_where_it_helps(n_weights, xscale):
    display = PruningPathDisplay(n_weights=n_weights, scores=np.ones(len(n_weights)))
    assert display.plot().ax_.get_xscale() == xscale


def test_ticks_of_a_logarithmic_axis_are_plain_numbers():
    display = PruningPathDisplay(n_weights=[20_000, 5], scores=[1, 1]).plot()
    display.figure_.canvas.draw()
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert {"10", "100", "1,000", "10,000"} <= set(labels)


def test_objective_axis_is_logarithmic_over_a_wide_range():
    display = PruningPathDisplay(n_weights=[3, 2], objective=[1e-3, 1])
    assert display.plot().ax_.get_yscale() == "log"
    display = PruningPathDisplay(n_weights=[3, 2], objective=[0.5, 1])
    assert display.plot().ax_.get_yscale() == "linear"


def test_path_errors(clf, iris, search):
    display = PruningPathDisplay(n_weights=[2, 1], scores=[-1, -2])
    with pytest.raises(ValueError, match="kind must be None, 'score' or 'objective', got 'loss'"):
        display.plot(kind="loss")
    with pytest.raises(ValueError, match="kind='objective' needs an objective"):
        display.plot(kind="objective")
    none = PruningPathDisplay(n_weights=[2, 1], scores=[np.nan, np.nan], objective=[1, 2])
    with pytest.raises(ValueError, match=r"kind='score' needs scores.*none that is finite"):
        none.plot(kind="score")
    assert none.plot().ax_.get_ylabel() == "Objective"
    with pytest.raises(ValueError, match="kind='score' needs scores, which need validation data"):
        PruningPathDisplay(n_weights=[2, 1], objective=[1, 2]).plot(kind="score")
    with pytest.raises(ValueError, match=r"scoring='f1' is not among .* give one of \['neg_log"):
        PruningPathDisplay.from_search(search, scoring="f1")
    with pytest.raises(TypeError, match=r"from_path needs a PruningPath.*got Bunch"):
        PruningPathDisplay.from_path(Bunch(ccp_alphas=[1]))
    dense = OBDMLPClassifier((5,), **SETTINGS, n_rounds=0).fit(*iris)
    with pytest.raises(ValueError, match=r"pruned nothing .*n_rounds=0"):
        PruningPathDisplay.from_estimator(dense)
    with pytest.raises(NotFittedError):
        PruningPathDisplay.from_search(PruningSearchCV(OBDMLPClassifier()))


def test_dense_size_is_that_of_the_history(iris):
    """Whatever became of the network since."""
    clf = OBDMLPClassifier((8,), prune_fraction=0.8, **SETTINGS).fit(*iris)
    n_weights = PruningPathDisplay.from_estimator(clf).n_weights
    assert n_weights[0] == 8 * 4 + 8 * 3
    for changed in (clf.compact(), clf.set_params(granularity="unit")):
        np.testing.assert_array_equal(
            PruningPathDisplay.from_estimator(changed).n_weights, n_weights
        )


@pytest.mark.parametrize("best_index", [3, -4, "x", 1.0])
def test_index_that_is_not_on_the_path(best_index):
    display = PruningPathDisplay(n_weights=[3, 2, 1], scores=[0.9, 0.9, 0.8], best_index=best_index)
    with pytest.raises(ValueError, match=r"best_index must be an integer in \[-3, 3\), got"):
        display.plot()
    assert not plt.get_fignums()


def test_what_is_no_search(iris):
    path = OBDMLPClassifier((3,), **SETTINGS).pruning_path(*iris)
    with pytest.raises(TypeError, match="needs a fitted PruningSearchCV, got PruningPath"):
        PruningPathDisplay.from_search(path)


def test_search_of_scikit_learn_has_no_path(iris):
    grid = GridSearchCV(OBDMLPClassifier((3,), **SETTINGS), {"prune_fraction": [0.5]}, cv=2)
    with pytest.raises(TypeError, match="needs a fitted PruningSearchCV, got GridSearchCV"):
        PruningPathDisplay.from_search(grid.fit(*iris))


def test_threshold_is_that_of_the_choice():
    """The last of the best means counts, and a level that is not finite does not."""
    scores = np.array([[0.8, 0.8], [0.7, 0.9], [np.inf, 0.5], [0.5, 0.6]])
    display = PruningPathDisplay(n_weights=[4, 3, 2, 1], scores=scores).plot()
    # The standard errors of the finite ones are 0, .1 and .05.
    assert display.threshold_line_.get_ydata()[0] == pytest.approx(0.8 - 0.05)


@pytest.fixture(scope="module")
def of_candidates(iris):
    clf = OBDMLPClassifier((5,), **SETTINGS)
    grid = {"mlp__alpha": [0.1, 1.0], "mlp__hidden_layer_sizes": [(3,), (5,)]}
    search = PruningSearchCV(
        Pipeline([("scaler", StandardScaler()), ("mlp", clf)]),
        grid,
        prune_fractions=[0, 0.5, 0.8],
        cv=3,
    )
    return search.fit(*iris)


def test_search_with_candidates_has_a_line_for_each(of_candidates):
    search = of_candidates
    results = search.cv_results_
    display = PruningPathDisplay.from_search(search)
    assert [drawn.get_label() for drawn in display.lines_] == [
        f"alpha={alpha}, hidden_layer_sizes={sizes}"
        for alpha in (0.1, 1.0)
        for sizes in [(3,), (5,)]
    ]
    assert len({drawn.get_color() for drawn in display.lines_}) == 4
    for index, drawn in enumerate(display.lines_):
        rows = slice(3 * index, 3 * index + 3)
        np.testing.assert_array_equal(drawn.get_xdata(), results["mean_n_weights"][rows])
        np.testing.assert_allclose(drawn.get_ydata(), results["mean_test_score"][rows])
    mean, error = results["mean_test_score"], results["sem_test_score"]
    _, threshold = best_and_threshold(mean, error, results["mean_n_weights"])
    np.testing.assert_allclose(display.threshold_line_.get_ydata(), threshold)
    chosen = search.best_index_
    assert display.best_line_.get_xdata() == [results["mean_n_weights"][chosen]]
    # The band is that of the candidate that was chosen.
    rows = slice(chosen // 3 * 3, chosen // 3 * 3 + 3)
    corners = display.band_.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx((mean - error)[rows].min())
    assert corners[:, 1].max() == pytest.approx((mean + error)[rows].max())


def test_of_many_candidates_the_chosen_one_stands_out():
    names = [f"{number}" for number in range(9) for _ in range(2)]
    display = PruningPathDisplay(
        n_weights=[20, 10] * 9, scores=np.ones((18, 2)), candidates=names, best_index=-1
    ).plot()
    assert len(display.lines_) == 9
    assert [drawn.get_color() == "0.8" for drawn in display.lines_] == [True] * 8 + [False]
    assert "8" in texts(display.ax_.get_legend())
    assert "1" not in texts(display.ax_.get_legend())
    display = PruningPathDisplay(n_weights=[20, 10] * 9, scores=np.ones((18, 2)), candidates=names)
    assert display.plot().band_ is None


def test_names_of_candidates():
    def names(*params):
        return candidate_names([dict(row, prune_fraction=f) for row in params for f in (0, 0.5)])

    assert names({"alpha": 1}) is None
    assert names({"alpha": 1}, {"alpha": 2}) == ["alpha=1"] * 2 + ["alpha=2"] * 2
    assert names({"a__x": 1, "b__x": 1, "c__y": 0}, {"c__y": 1})[1:3] == [
        "a__x=1, b__x=1, y=0",
        "y=1",
    ]
    # Values that look alike still make two candidates.
    assert names({"rng": "same"}, {"rng": "same"})[1:3] == ["1: rng=same", "2: rng=same"]


DEGENERATE = {
    "nothing left": {"hidden_layer_sizes": (3,), "prune_fraction": 0.999, "n_rounds": 1},
    "no hidden layer, nothing left": {
        "hidden_layer_sizes": (),
        "prune_fraction": 0.999,
        "n_rounds": 1,
    },
    "no hidden layer": {"hidden_layer_sizes": (), "prune_fraction": 0.5, "n_rounds": 1},
    "intercepts too": {
        "hidden_layer_sizes": (3,),
        "prune_fraction": 0.999,
        "n_rounds": 1,
    },
    "nothing in round 2": {"hidden_layer_sizes": (2,), "prune_fraction": 0.999, "n_rounds": 2},
    "one input": {
        "hidden_layer_sizes": (3,),
        "prune_fraction": 0.999,
        "n_rounds": 1,
        "granularity": "feature",
    },
}


@pytest.mark.filterwarnings("ignore:Pruning has left")
@pytest.mark.filterwarnings("ignore:Less was deleted")
@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("compacted", [False, True])
def test_all_displays_of_fits_that_left_little(iris, name, compacted):
    X, y = iris
    mlp = OBDMLPClassifier(solver="lbfgs", alpha=1, random_state=0, **DEGENERATE[name]).fit(X, y)
    shown = mlp.compact() if compacted else mlp
    display = PruningPathDisplay.from_estimator(shown)
    # Also of a compacted network the first point is the dense one.
    assert display.n_weights[0] == mlp.n_weights_total_
    assert display.n_weights[-1] == mlp.n_weights_
    NetworkDisplay.from_estimator(shown)
    for kind in ("heatmap", "ranked", "importance"):
        SaliencyDisplay.from_estimator(shown, X, y, kind=kind)
    path = mlp.pruning_path(X, y)
    PruningPathDisplay.from_path(path)
    FeaturePathDisplay.from_path(path)
    plt.close("all")


def test_a_network_without_units_to_prune_is_called_that(iris):
    mlp = OBDMLPClassifier((), solver="lbfgs", alpha=1, granularity="unit", random_state=0)
    with pytest.warns(UserWarning, match="no hidden units"):
        mlp.fit(*iris)
    with pytest.raises(ValueError, match=r"0 units in the dense network.*no path to plot"):
        PruningPathDisplay.from_estimator(mlp)


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"n_weights": 3}, "n_weights"),
        ({"n_weights": "ab"}, "n_weights"),
        ({"n_weights": []}, "n_weights"),
        ({"n_weights": [[3, 2]]}, "n_weights"),
        ({"n_weights": [3, 2], "scores": [1]}, "scores"),
        ({"n_weights": [3, 2], "scores": "ab"}, "scores"),
        ({"n_weights": [3, 2], "objective": [1]}, "objective"),
        ({"n_weights": [3, 2], "objective": [np.nan, np.inf]}, "objective"),
        ({"n_weights": [3, 2], "objective": [1, 2], "candidates": ["a"]}, "candidates"),
    ],
)
def test_columns_that_do_not_fit_are_named(columns, name):
    with pytest.raises(ValueError, match=name):
        PruningPathDisplay(**columns).plot()


@pytest.mark.parametrize("path", [3, None, "text", [1]])
def test_what_is_no_path_is_called_that(path):
    for display in (PruningPathDisplay, FeaturePathDisplay):
        with pytest.raises(TypeError, match=f"needs a PruningPath.*got {type(path).__name__}"):
            display.from_path(path)


@pytest.mark.parametrize("ax", [3, "text", [1], np.array([1, 2]), plt])
def test_what_is_no_axes_is_called_that(clf, iris, ax):
    for draw in (
        lambda: PruningPathDisplay.from_estimator(clf, ax=ax),
        lambda: NetworkDisplay.from_estimator(clf, ax=ax),
        lambda: SaliencyDisplay.from_estimator(clf, *iris, ax=ax),
        lambda: SaliencyDisplay.from_estimator(clf, *iris, ax=ax, kind="ranked"),
        lambda: FeaturePathDisplay(masks=np.eye(2), best_index=0).plot(ax),
    ):
        with pytest.raises((TypeError, ValueError), match="ax must be"):
            draw()
