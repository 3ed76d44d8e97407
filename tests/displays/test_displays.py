"""What the displays draw: line data, positions and texts, not pixels."""

import itertools
import sys
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch
from skobd._displays._layout import clear_places, live_part
from skobd._network import Network

from skobd import (
    NetworkDisplay,
    OBDMLPClassifier,
    OBDMLPRegressor,
    PruningPathDisplay,
    PruningSearchCV,
    SaliencyDisplay,
)

mpl.use("Agg")
SETTINGS = {"solver": "lbfgs", "alpha": 1, "max_iter": 500, "random_state": 0}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def clf(iris):
    """4-5-3 network, 35 weights, of which 10 are left."""
    X, y = iris
    clf = OBDMLPClassifier((5,), **SETTINGS, prune_fraction=0.7, n_rounds=4)
    return clf.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])


@pytest.fixture(scope="module")
def search(iris):
    clf = OBDMLPClassifier((5,), **SETTINGS)
    search = PruningSearchCV(
        make_pipeline(StandardScaler(), clf),
        prune_fractions=[0, 0.3, 0.6, 0.8, 0.9],
        scoring=["neg_log_loss", "accuracy"],
        refit="neg_log_loss",
        cv=4,
    )
    return search.fit(*iris)


def texts(ax):
    """Every text in some axes."""
    found = [text.get_text() for text in ax.findobj(mpl.text.Text)]
    return [text for text in found if text]


def line(display, label):
    (found,) = [line for line in display.lines_ if line.get_label() == label]
    return np.array(found.get_data())


# ---------------------------------------------------------------------------- the path


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
    assert display.ax_.get_ylabel() == "Validation score"
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


def test_decibels_are_ten_log10(clf):
    plain = PruningPathDisplay.from_estimator(clf, kind="objective")
    display = PruningPathDisplay.from_estimator(clf, kind="objective", decibels=True)
    for before, after in zip(plain.lines_, display.lines_, strict=True):
        np.testing.assert_allclose(after.get_ydata(), 10 * np.log10(before.get_ydata()))
    assert display.ax_.get_ylabel() == "Objective [dB]"
    assert display.ax_.get_yscale() == "linear"


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
    np.testing.assert_allclose(display.threshold_line_.get_ydata(), mean[best] - error[best])
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
    negated = PruningPathDisplay.from_search(search, scoring="neg_log_loss", negate_score=True)
    assert negated.best_line_.get_ydata()[0] <= negated.threshold_line_.get_ydata()[0]
    np.testing.assert_array_equal(negated.lines_[0].get_ydata(), -display.lines_[0].get_ydata())
    assert display.ax_.get_ylabel() == "Negative log loss"
    assert negated.ax_.get_ylabel() == "Log loss"


def test_score_name_is_that_of_the_scoring_of_a_search(iris):
    clf = OBDMLPClassifier((3,), **SETTINGS)
    search = PruningSearchCV(clf, prune_fractions=[0, 0.5], scoring="balanced_accuracy", cv=3)
    display = PruningPathDisplay.from_search(search.fit(*iris))
    assert display.ax_.get_ylabel() == "Balanced accuracy"
    assert display.plot(score_name="mine").ax_.get_ylabel() == "mine"


def test_bands():
    scores = np.array([[0.7, 0.8, 0.9], [0.6, 0.6, 0.6]])
    display = PruningPathDisplay(n_weights=[10, 5], scores=scores)
    assert display.plot(band=None).band_ is None
    top = {band: display.plot(band=band).band_.get_paths()[0].vertices[:, 1].max() for band in
           ("std", "standard_error")}  # fmt: skip
    # The standard deviation is that of cv_results_, the standard error that of a mean.
    assert top["std"] == pytest.approx(0.8 + np.sqrt(0.02 / 3))
    assert top["standard_error"] == pytest.approx(0.8 + 0.1 / np.sqrt(3))
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
    assert display.plot(xscale="log").ax_.get_xscale() == "log"
    assert display.plot(xscale="linear").ax_.get_xscale() == "linear"


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
    with pytest.raises(ValueError, match="band must be None, 'standard_error' or 'std'"):
        display.plot(band="iqr")
    with pytest.raises(ValueError, match="xscale must be"):
        display.plot(xscale="symlog")
    with pytest.raises(ValueError, match="decibels=True needs positive values, got -2"):
        display.plot(decibels=True)
    with pytest.raises(ValueError, match="needs the objective"):
        display.plot(kind="objective")
    with pytest.raises(ValueError, match="all of them are NaN"):
        PruningPathDisplay(n_weights=[2, 1], scores=[np.nan, np.nan]).plot()
    with pytest.raises(ValueError, match="needs scores"):
        PruningPathDisplay(n_weights=[2, 1], objective=[1, 2]).plot(kind="score")
    with pytest.raises(ValueError, match=r"scoring='f1' is not among .* give one of \['neg_log"):
        PruningPathDisplay.from_search(search, scoring="f1")
    with pytest.raises(ValueError, match="it has no round and no n_weights"):
        PruningPathDisplay.from_path(Bunch(ccp_alphas=[1]))
    dense = OBDMLPClassifier((5,), **SETTINGS, n_rounds=0).fit(*iris)
    with pytest.raises(ValueError, match=r"pruned nothing .*n_rounds=0"):
        PruningPathDisplay.from_estimator(dense)
    with pytest.raises(NotFittedError):
        PruningPathDisplay.from_search(PruningSearchCV(OBDMLPClassifier()))


# ---------------------------------------------------------------------------- saliencies


def test_heat_maps_show_saliencies_and_mask_the_deleted(clf, iris):
    display = SaliencyDisplay.from_estimator(clf, *iris)
    saliencies = clf.saliencies(*iris)
    assert len(display.axes_) == len(display.images_) == 2
    for image, values, mask in zip(display.images_, saliencies.coefs, clf.coef_masks_, strict=True):
        shown = image.get_array()
        np.testing.assert_array_equal(shown.mask, ~mask)
        np.testing.assert_allclose(shown.compressed(), values[mask])
    crosses = display.axes_[0].lines[0].get_xydata()
    np.testing.assert_array_equal(crosses[:, ::-1], np.argwhere(~clf.coef_masks_[0]))
    names = [label.get_text() for label in display.axes_[0].get_yticklabels()]
    assert names == ["x0", "x1", "x2", "x3"]
    names = [label.get_text() for label in display.axes_[1].get_yticklabels()]
    assert names == ["h0", "h1", "h2", "h3", "h4"]
    n_left = clf.coef_masks_[1].sum()
    assert display.axes_[1].get_title() == f"Layer 2\n{n_left} of 15 left"


def test_survivors_without_positive_saliency_are_not_shown_as_deleted():
    display = SaliencyDisplay(
        coefs=[np.array([[-1.0, 1e-12], [2.0, 0.0]])],
        coef_masks=[np.array([[True, True], [True, False]])],
    ).plot()
    shown = display.images_[0].get_array()
    np.testing.assert_array_equal(shown.mask, [[False, False], [False, True]])
    lowest, highest = display.images_[0].get_clim()
    assert (lowest, highest) == (pytest.approx(2e-6), 2)
    np.testing.assert_allclose(shown.compressed(), [lowest, lowest, 2])


def test_intercepts_are_shown_where_they_can_be_pruned(iris):
    clf = OBDMLPClassifier((5,), **SETTINGS, prune_intercepts=True, prune_fraction=0.6).fit(*iris)
    display = SaliencyDisplay.from_estimator(clf, *iris)
    for image, mask in zip(display.images_, clf.intercept_masks_, strict=True):
        np.testing.assert_array_equal(image.get_array().mask[-1], ~mask)
    assert display.axes_[0].get_yticklabels()[-1].get_text() == "intercept"


def test_heat_maps_without_any_survivor():
    zeros = [np.zeros((3, 2)), np.zeros((2, 1))]
    masks = [values > 0 for values in zeros]
    display = SaliencyDisplay(coefs=zeros, coef_masks=masks).plot()
    assert all(image.get_array().mask.all() for image in display.images_)


def test_large_layers_have_numbers_instead_of_names(digits):
    clf = OBDMLPClassifier((5,), **SETTINGS).fit(*digits)
    display = SaliencyDisplay.from_estimator(clf, *digits)
    assert display.axes_[0].get_ylabel() == "Input"
    assert list(display.axes_[0].get_yticks()) == [0, 10, 20, 30, 40, 50, 60]


def test_given_axes_are_used(clf, iris):
    figure, axes = plt.subplots(1, 2)
    display = SaliencyDisplay.from_estimator(clf, *iris, ax=axes)
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure
    _, ax = plt.subplots()
    display.plot(ax)
    assert display.ax_ is ax
    assert display.axes_[0].figure is ax.figure
    for kind in ("ranked", "importance"):
        _, ax = plt.subplots()
        assert display.plot(ax, kind=kind).ax_ is ax
    with pytest.raises(ValueError, match="one Axes or 2, one for each layer, got 3"):
        display.plot(plt.subplots(1, 3)[1])
    with pytest.raises(ValueError, match="cannot be divided among the layers; give 2 Axes"):
        display.plot(plt.figure().add_axes((0, 0, 1, 1)))
    for other in (PruningPathDisplay, NetworkDisplay):
        _, ax = plt.subplots()
        assert other.from_estimator(clf, ax=ax).ax_ is ax


def test_ranked_curves_fall_and_are_the_survivors_saliencies(clf, iris):
    display = SaliencyDisplay.from_estimator(clf, *iris, kind="ranked")
    saliencies = clf.saliencies(*iris).coefs
    for curve, values, mask in zip(display.lines_, saliencies, clf.coef_masks_, strict=True):
        np.testing.assert_allclose(curve.get_ydata(), np.sort(values[mask])[::-1])
        np.testing.assert_array_equal(curve.get_xdata(), np.arange(mask.sum()) + 1)
    assert display.ax_.get_yscale() == "log"
    n_left = clf.coef_masks_[0].sum()
    assert display.lines_[0].get_label() == f"layer 1: {n_left} of 20 left"


def test_ranked_curves_say_how_many_are_not_positive():
    display = SaliencyDisplay(coefs=[np.array([[-1.0, 2.0]])], coef_masks=[np.ones((1, 2), bool)])
    assert display.plot(kind="ranked").lines_[0].get_label().endswith("(1 not positive)")


def test_importances_are_sums_over_the_survivors_with_names():
    display = SaliencyDisplay(
        coefs=[np.array([[1.0, 2.0], [4.0, 9.0], [0.0, 0.0], [0.5, 0.0]])],
        coef_masks=[np.array([[True, True], [True, False], [False, False], [True, False]])],
        feature_names=["a", "b", "c", "d"],
    ).plot(kind="importance")
    assert [bar.get_width() for bar in display.bars_] == [4, 3, 0.5]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["b", "a", "d"]
    counts = [text for text in texts(display.ax_) if text in ("1", "2")]
    assert counts == ["1", "2", "1"]
    assert any("without weights: 1 of 4 inputs" in text for text in texts(display.ax_))
    display.plot(kind="importance", max_features=1)
    assert [bar.get_width() for bar in display.bars_] == [4]
    assert any("not shown: 2 inputs of less" in text for text in texts(display.ax_))


def test_importances_agree_with_the_estimator(clf, iris):
    X, y = iris
    display = SaliencyDisplay.from_estimator(clf, X[:100], y[:100], kind="importance")
    importances = clf.feature_importances_
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_allclose(widths, np.sort(importances[importances > 0])[::-1])


def test_saliency_is_named_after_the_criterion(iris):
    clf = OBDMLPClassifier((3,), **SETTINGS, criterion="magnitude").fit(*iris)
    display = SaliencyDisplay.from_estimator(clf, *iris, kind="ranked")
    assert display.ax_.get_ylabel() == "Saliency (absolute weight)"


def test_saliency_errors(clf, iris):
    with pytest.raises(ValueError, match="kind must be 'heatmap', 'ranked' or 'importance'"):
        SaliencyDisplay.from_estimator(clf, *iris, kind="bars")
    display = SaliencyDisplay.from_estimator(clf, *iris)
    with pytest.raises(ValueError, match="kind must be"):
        display.plot(kind=None)
    with pytest.raises(ValueError, match="max_features == 0, must be >= 1"):
        display.plot(kind="importance", max_features=0)
    with pytest.raises(ValueError, match="feature_names must be a sequence of 4 names, got 2"):
        SaliencyDisplay.from_estimator(clf, *iris, feature_names=["a", "b"])
    with pytest.raises(ValueError, match="feature_names must be a sequence of 4 names, got 'a"):
        SaliencyDisplay.from_estimator(clf, *iris, feature_names="abcd")


# ---------------------------------------------------------------------------- the network

# Input c is dead; h1 is constant, h3 is not used.
COEFS = [
    np.array([[2.0, 0, 0, 0], [0, 0, -1.0, 3.0], [0, 0, 0, 0]]),
    np.array([[1.5], [4.0], [-0.5], [0]]),
]
INTERCEPTS = [np.array([0.1, -0.2, 0.0, 0.4]), np.array([1.0])]


@pytest.fixture
def small():
    return NetworkDisplay(
        coefs=COEFS,
        intercepts=INTERCEPTS,
        activation="tanh",
        feature_names=["a", "b", "c"],
        output_names=["yes"],
    )


def test_only_what_matters_is_drawn(small):
    small.plot()
    assert [list(units) for units in small.units_] == [[0, 1], [0, 2], [0]]
    assert [len(nodes.get_offsets()) for nodes in small.nodes_] == [2, 2, 1]
    assert [[label.get_text() for label in column] for column in small.labels_] == [
        ["a", "b"],
        ["h0", "h2"],
        # The constant unit's output belongs to the intercept: 1 + 4 tanh(-0.2) = 0.21.
        ["yes\nb = +0.21"],
    ]


def test_connections_run_between_their_units_with_width_and_colour_of_their_weight(small):
    small.plot()
    assert [list(values) for values in small.weights_] == [[-1, 2], [-0.5, 1.5]]
    a, b = small.positions_[0]
    h0, h2 = small.positions_[1]
    (yes,) = small.positions_[2]
    expected = [[(b, h2), (a, h0)], [(h2, yes), (h0, yes)]]
    for edges, ends in zip(small.edges_, expected, strict=True):
        np.testing.assert_array_equal(edges.get_segments(), ends)
    widths = np.concatenate([edges.get_linewidths() for edges in small.edges_])
    sizes = np.abs(np.concatenate(small.weights_))
    np.testing.assert_array_equal(np.argsort(widths), np.argsort(sizes))
    for edges in small.edges_:
        negative, positive = edges.get_colors()
        # Vermillion against blue.
        assert negative[0] > negative[2]
        assert positive[2] > positive[0]


def test_inputs_stand_left_of_hidden_units_left_of_outputs(small):
    small.plot()
    assert [set(positions[:, 0]) for positions in small.positions_] == [{0}, {1}, {2}]
    for positions in small.positions_:
        assert (np.diff(positions[:, 1]) < 0).all()


def test_intercepts_and_weights_are_written(small):
    small.plot()
    found = texts(small.ax_)
    assert "b = +0.10" in found
    assert "hidden (tanh)" in found
    minus = "\N{MINUS SIGN}"
    assert {text.get_text() for text in small.weight_labels_} == {
        "+2.0",
        f"{minus}1.0",
        "+1.5",
        f"{minus}0.50",
    }
    assert small.plot(show_weights=False).weight_labels_ == []


def test_deleted_intercept_is_not_written(small):
    # Unit 2 has none.
    assert sum(text.startswith("b = ") for text in texts(small.plot().ax_)) == 1


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_live_part_is_what_matters(activation):
    rng = np.random.RandomState(0)
    network = Network((6, 5, 5, 2), activation)
    X = rng.randn(10, 6)
    for _ in range(20):
        theta = rng.randn(network.n_parameters)
        theta[rng.rand(theta.size) > 0.25] = 0
        coefs, intercepts = network.coefs(theta), network.intercepts(theta)
        live = live_part(coefs, intercepts, activation)
        # Units are on a path of connections from an input to an output.
        links = [weights != 0 for weights in coefs]
        reached = list(itertools.accumulate([np.ones((1, 6), bool), *links], np.matmul))
        reaching = list(
            itertools.accumulate([np.ones((2, 1), bool), *links[::-1]], lambda b, a: a @ b)
        )
        for index in range(3):
            on_path = reached[index].any(axis=0) & reaching[3 - index].any(axis=1)
            np.testing.assert_array_equal(live.units[index], np.flatnonzero(on_path))
        np.testing.assert_array_equal(live.units[-1], [0, 1])
        # The part alone predicts what the whole predicts.
        x = X[:, live.units[0]]
        for index, (weights, values) in enumerate(zip(live.coefs, live.intercepts, strict=True)):
            x = x @ weights + values
            if index < 2:
                network.f.apply(x)
        np.testing.assert_allclose(x, network.raw_output(theta, X), atol=1e-12)


def test_network_without_any_connection():
    coefs, intercepts = [np.zeros((2, 2)), np.zeros((2, 1))], [np.zeros(2), np.ones(1)]
    display = NetworkDisplay(coefs=coefs, intercepts=intercepts).plot()
    assert [len(units) for units in display.units_] == [0, 0, 1]
    assert display.labels_[-1][0].get_text() == "y0\nb = +1.0"
    display.figure_.canvas.draw()


def test_too_many_connections_are_cut_and_it_says_so(digits):
    clf = OBDMLPClassifier((10,), **SETTINGS, prune_fraction=0.3).fit(*digits)
    with pytest.warns(UserWarning, match=r"only the 50 largest of \d+ connections"):
        display = NetworkDisplay.from_estimator(clf, max_connections=50)
    drawn = np.concatenate(display.weights_)
    assert len(drawn) == 50
    weights = np.concatenate([np.abs(coefs).ravel() for coefs in clf.coefs_])
    np.testing.assert_allclose(np.sort(np.abs(drawn)), np.sort(weights)[-50:])
    assert display.ax_.get_title().startswith("Only the 50 largest of ")
    assert display.weight_labels_ == []
    # Every input and hidden unit that is drawn is connected.
    for layer, edges in enumerate(display.edges_):
        starts = {tuple(segment[0]) for segment in edges.get_segments()}
        if layer == 0:
            assert starts == {tuple(position) for position in display.positions_[0]}


def test_nothing_is_said_of_a_network_within_the_limit(clf):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display = NetworkDisplay.from_estimator(clf)
    assert display.ax_.get_title() == ""


def test_output_names(clf, iris, diabetes):
    X, y = iris
    names = [label.get_text().split("\n")[0] for label in
             NetworkDisplay.from_estimator(clf).labels_[-1]]  # fmt: skip
    assert names == ["class 0", "class 1", "class 2"]
    strings = np.array(["setosa", "other"])[(y > 0).astype(int)]
    binary = OBDMLPClassifier((3,), **SETTINGS).fit(X, strings)
    display = NetworkDisplay.from_estimator(binary)
    assert display.labels_[-1][0].get_text().startswith("setosa\n")
    display = NetworkDisplay.from_estimator(binary, output_names=["no", "yes"])
    assert display.labels_[-1][0].get_text().startswith("yes\n")
    with pytest.raises(ValueError, match="output_names must be a sequence of 2 names, got 1"):
        NetworkDisplay.from_estimator(binary, output_names=["yes"])
    reg = OBDMLPRegressor(hidden_layer_sizes=(3,), **SETTINGS).fit(*diabetes)
    display = NetworkDisplay.from_estimator(reg)
    assert display.labels_[-1][0].get_text().startswith("y\n")
    assert "output (identity)" in texts(display.ax_)


def test_network_errors(small):
    with pytest.raises(ValueError, match="show_weights must be 'auto', True or False"):
        small.plot(show_weights="always")
    with pytest.raises(ValueError, match="max_connections == 0, must be >= 1"):
        small.plot(max_connections=0)


def test_texts_on_connections_are_clear_of_each_other():
    # A star through one point: the middles coincide.
    angles = np.linspace(0, np.pi, 6, endpoint=False)
    ends = 2 * np.column_stack([np.cos(angles), np.sin(angles)])
    segments = np.stack([-ends, ends], axis=1)
    places = clear_places(segments)
    across = np.cross(np.c_[places, np.zeros(6)], np.c_[ends, np.zeros(6)])
    np.testing.assert_allclose(across, 0, atol=1e-12)
    gaps = np.linalg.norm(places[:, np.newaxis] - places, axis=2)[np.triu_indices(6, 1)]
    assert gaps.min() >= 0.19


def test_rule_of_a_monks_problem_can_be_read():
    """On noise-free one-hot data only the inputs of the rule are drawn."""
    codes = np.stack(np.meshgrid(*[np.arange(3)] * 4), axis=-1).reshape(-1, 4)
    X = np.eye(3)[codes].reshape(len(codes), -1)
    y = (codes[:, 0] == 1) | (codes[:, 2] == 0)
    names = [f"a{column} = {value}" for column in range(4) for value in range(3)]
    clf = OBDMLPClassifier(
        (2,), "tanh", solver="lbfgs", alpha=0.1, prune_fraction=0.88, n_rounds=10, random_state=0
    )
    display = NetworkDisplay.from_estimator(clf.fit(X, y), feature_names=names)
    assert clf.score(X, y) == 1
    assert {label.get_text() for label in display.labels_[0]} == {"a0 = 1", "a2 = 0"}


# ---------------------------------------------------------------------------- all of them


DISPLAYS = {
    PruningPathDisplay: lambda estimator, X, y: PruningPathDisplay.from_estimator(estimator),
    SaliencyDisplay: SaliencyDisplay.from_estimator,
    NetworkDisplay: lambda estimator, X, y: NetworkDisplay.from_estimator(estimator),
}


@pytest.mark.parametrize("display", DISPLAYS)
def test_unfitted_or_strange_estimators_are_refused(display, iris):
    make = DISPLAYS[display]
    unfitted = OBDMLPClassifier()
    for estimator in (unfitted, make_pipeline(StandardScaler(), unfitted)):
        with pytest.raises(NotFittedError, match="OBDMLPClassifier instance is not fitted"):
            make(estimator, *iris)
    with pytest.raises(NotFittedError, match="PruningSearchCV has no best_estimator_ yet"):
        make(PruningSearchCV(unfitted), *iris)
    with pytest.raises(TypeError, match=f"{display.__name__}.*OBDMLPClassifier.*MLPClassifier"):
        make(MLPClassifier(), *iris)


@pytest.mark.parametrize("display", DISPLAYS)
def test_missing_matplotlib_is_a_clear_error(display, clf, iris, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=rf"{display.__name__}.plot requires matplotlib"):
        DISPLAYS[display](clf, *iris)


@pytest.mark.parametrize("display", DISPLAYS)
def test_plot_returns_the_display_and_draws_anew(display, clf, iris):
    one = DISPLAYS[display](clf, *iris)
    first = one.ax_
    assert one.plot() is one
    assert one.ax_ is not first
    one.figure_.canvas.draw()


def test_names_come_from_the_pipeline_or_the_data_frame():
    data = load_iris(as_frame=True)
    clf = OBDMLPClassifier((5,), **SETTINGS)
    pipe = make_pipeline(StandardScaler(), clf).fit(data.data, data.target)
    for estimator in (pipe, make_pipeline(FunctionTransformer(), pipe)):
        display = SaliencyDisplay.from_estimator(estimator, data.data, data.target)
        assert display.feature_names[0] in ("sepal length (cm)", "x0")
    display = SaliencyDisplay.from_estimator(pipe, data.data, data.target)
    assert list(display.feature_names) == list(data.data.columns)
    # The saliencies are those on the transformed data.
    by_hand = pipe[-1].saliencies(pipe[:-1].transform(data.data), data.target)
    np.testing.assert_array_equal(display.coefs[0], by_hand.coefs[0])
    clf = OBDMLPClassifier((5,), **SETTINGS).fit(pd.DataFrame(data.data), data.target)
    display = NetworkDisplay.from_estimator(clf)
    assert list(display.feature_names) == list(data.data.columns)


def test_steps_that_cannot_name_their_output_give_plain_names(iris):
    pipe = make_pipeline(FunctionTransformer(np.exp), OBDMLPClassifier((5,), **SETTINGS))
    display = NetworkDisplay.from_estimator(pipe.fit(*iris))
    assert list(display.feature_names) == ["x0", "x1", "x2", "x3"]


def test_search_is_unwrapped(search, iris):
    display = NetworkDisplay.from_estimator(search)
    mlp = search.best_estimator_[-1]
    np.testing.assert_array_equal(display.coefs[0], mlp.coefs_[0])
    SaliencyDisplay.from_estimator(search, *iris, kind="importance")


def test_displays_keep_their_own_copy_of_the_network(iris):
    clf = OBDMLPClassifier((5,), **SETTINGS, n_rounds=1).fit(*iris)
    network = NetworkDisplay.from_estimator(clf)
    saliencies = SaliencyDisplay.from_estimator(clf, *iris)
    before = network.coefs[0].copy(), saliencies.coef_masks[0].copy()
    clf.prune(*iris, prune_fraction=0.9, n_rounds=1)
    np.testing.assert_array_equal(network.coefs[0], before[0])
    np.testing.assert_array_equal(saliencies.coef_masks[0], before[1])


def test_dense_size_is_that_of_the_history(iris):
    """Whatever became of the network since."""
    clf = OBDMLPClassifier((8,), prune_fraction=0.8, **SETTINGS).fit(*iris)
    n_weights = PruningPathDisplay.from_estimator(clf).n_weights
    assert n_weights[0] == 8 * 4 + 8 * 3
    for changed in (clf.compact(), clf.set_params(prune_intercepts=True)):
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
