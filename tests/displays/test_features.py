"""What `FeaturePathDisplay` draws: tables, masks and texts, not pixels."""

import copy

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from plots import SETTINGS, texts
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from skobd import FeaturePathDisplay, OBDFeatureSelector, OBDMLPClassifier
from skobd._search.feature_selector import rank_by_deletion

pytestmark = pytest.mark.slow

MASKS = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]], dtype=bool)


@pytest.fixture(scope="module")
def selector(binary):
    X, y = binary
    frame = pd.DataFrame(X, columns=list("abcdefghij"))
    mlp = OBDMLPClassifier((5,), **SETTINGS)
    return OBDFeatureSelector(mlp, step=2, cv=3, scoring="neg_log_loss").fit(frame, y)


@pytest.fixture(scope="module")
def path(binary):
    X, y = binary
    mlp = OBDMLPClassifier((5,), **SETTINGS, granularity="feature")
    return mlp.pruning_path(
        X[:150], y[:150], prune_fractions=[0.5, 0.8], X_val=X[150:], y_val=y[150:]
    )


def test_table_of_a_selector(selector):
    display = FeaturePathDisplay.from_estimator(selector)
    curve, table = display.axes_
    results = selector.cv_results_
    np.testing.assert_array_equal(display.line_.get_ydata(), results["mean_test_score"])
    corners = display.band_.get_paths()[0].vertices
    low = results["mean_test_score"] - results["sem_test_score"]
    assert corners[:, 1].min() == pytest.approx(low.min())
    assert curve.get_ylabel() == "Negative log loss"
    # The longest survivors are at the top.
    order = [label.get_text() for label in table.get_yticklabels()]
    shown = np.asarray(display.images_[0].get_array())
    names = list(selector.feature_names_in_)
    columns = [names.index(name) for name in order]
    np.testing.assert_array_equal(shown, selector.path_.input_masks()[:, columns].T)
    assert (np.diff(shown.sum(axis=1)) <= 0).all()
    ticks = [label.get_text() for label in table.get_xticklabels()]
    assert ticks == ["10", "8", "6", "4", "2", "1"]
    # The selected inputs are marked.
    colours = {label.get_text(): label.get_color() for label in table.get_yticklabels()}
    selected = {name for name, colour in colours.items() if colour == "#D55E00"}
    assert selected == set(selector.get_feature_names_out())
    assert f"selected: {selector.n_features_}" in texts(curve)


def test_selector_without_folds_shows_the_objective(iris):
    mlp = OBDMLPClassifier((5,), **SETTINGS)
    selector = OBDFeatureSelector(mlp, n_features_to_select=1, step=1).fit(*iris)
    display = FeaturePathDisplay.from_estimator(selector)
    assert display.axes_[0].get_ylabel() == "Objective"
    np.testing.assert_array_equal(display.line_.get_ydata(), selector.path_.loss_after_retraining)
    assert display.band_ is None
    names = [label.get_text() for label in display.axes_[1].get_yticklabels()]
    assert sorted(names) == ["x0", "x1", "x2", "x3"]
    named = FeaturePathDisplay.from_estimator(selector, feature_names=list("pqrs"))
    assert named.axes_[1].get_yticklabels()[0].get_text() in "pqrs"


def test_table_of_a_path(path):
    display = FeaturePathDisplay.from_path(path, best_index=-1, max_features=4)
    np.testing.assert_array_equal(display.line_.get_ydata(), path.validation_score)
    assert display.axes_[0].get_ylabel() == "Validation accuracy"
    table = display.axes_[1]
    assert len(table.get_yticklabels()) == 4
    assert "6 inputs that went early are not shown" in table.get_xlabel()
    assert "selected: 2" in texts(display.axes_[0])
    display = FeaturePathDisplay.from_path(path, scores=[3, 2, 1], score_name="points")
    assert display.line_.get_ydata().tolist() == [3, 2, 1]
    assert display.axes_[0].get_ylabel() == "points"


def test_the_level_marked_is_the_one_selected(selector):
    """Even if nothing is deleted between two levels."""
    selector = copy.copy(selector)
    selector.path_, masks = copy.copy(selector.path_), selector.masks_[[0, 0, 1, 2, 3, 4]]
    selector.path_.input_masks = lambda: masks
    selector.masks_, selector.best_index_ = masks, 3
    selector.support_, selector.ranking_ = masks[3], rank_by_deletion(masks[:4])
    display = FeaturePathDisplay.from_estimator(selector)
    assert display.best_index == 3


def test_names_of_a_path_are_those_of_the_network(binary):
    X, y = binary
    frame = pd.DataFrame(X, columns=list("abcdefghij"))
    mlp = OBDMLPClassifier((5,), **SETTINGS, granularity="feature")
    display = FeaturePathDisplay.from_path(mlp.pruning_path(frame, y, prune_fractions=[0.9]))
    assert set(display.feature_names) == set("abcdefghij")


@pytest.mark.parametrize("has_names", [False, True])
def test_groups_of_columns_are_one_row_each(binary, has_names):
    X, y = binary
    frame = pd.DataFrame(X, columns=list("abcdefghij"))
    groups = [[0, 1, 2], [7, 8], [9]]
    given = dict(zip(["size", "edge", "end"], groups, strict=True)) if has_names else groups
    mlp = OBDMLPClassifier((5,), **SETTINGS, feature_groups=given)
    pipe = make_pipeline(StandardScaler(), mlp)
    selector = OBDFeatureSelector(pipe, n_features_to_select=3, step=1).fit(frame, y)
    display = FeaturePathDisplay.from_estimator(selector)
    rows = [label.get_text() for label in display.axes_[-1].get_yticklabels()]
    expected = ["size", "edge", "end"] if has_names else ["a, ..., c", "h, i", "j"]
    assert sorted(rows) == sorted([*"defg", *expected])
    shown = np.asarray(display.images_[0].get_array())
    masks = selector.path_.input_masks()
    for row, name in zip(shown, rows, strict=True):
        members = groups[expected.index(name)] if name in expected else ["abcdefghij".index(name)]
        np.testing.assert_array_equal(np.tile(row, (len(members), 1)), masks[:, members].T)
    ticks = [label.get_text() for label in display.axes_[-1].get_xticklabels()]
    assert ticks == ["7", "6", "5", "4", "3"]
    again = FeaturePathDisplay.from_path(selector.path_)
    assert [label.get_text() for label in again.axes_[-1].get_yticklabels()] == rows
    # With names of the columns, or as an image, all columns are shown.
    assert FeaturePathDisplay.from_path(selector.path_, feature_names=list("klmnopqrst")).images_[
        0
    ].get_array().shape == (10, 5)
    display = FeaturePathDisplay.from_estimator(selector, image_shape=(2, 5))
    assert display.images_[0].get_array().shape == (2, 5)


def test_masks_over_pixels():
    display = FeaturePathDisplay(
        masks=MASKS, scores=[0.9, 0.8, 0.7, 0.6], best_index=2, image_shape=(2, 2)
    ).plot()
    # The dense network has every pixel.
    assert len(display.images_) == 3
    for image, mask in zip(display.images_, MASKS[1:], strict=True):
        np.testing.assert_array_equal(np.asarray(image.get_array()), mask.reshape(2, 2))
    titles = [ax.get_title() for ax in display.axes_]
    assert titles == ["3 inputs\nScore: 0.800", "2 inputs\nScore: 0.700", "1 inputs\nScore: 0.600"]
    assert [ax.title.get_color() for ax in display.axes_] == ["black", "#D55E00", "black"]
    assert display.line_ is None


def test_pixel_is_left_if_one_of_its_channels_is():
    masks = [[1, 1, 1, 1], [0, 1, 0, 0]]
    display = FeaturePathDisplay(masks=masks, image_shape=(1, 2, 2)).plot()
    np.testing.assert_array_equal(np.asarray(display.images_[0].get_array()), [[1, 0]])


@pytest.mark.parametrize("best_index", [None, 0, 3, 5, 19])
@pytest.mark.parametrize("max_levels", [1, 2, 8])
def test_selected_and_last_mask_are_always_shown(best_index, max_levels):
    masks = np.tri(20, dtype=bool)[::-1]
    display = FeaturePathDisplay(masks=masks, best_index=best_index, image_shape=(4, 5))
    display.plot(max_levels=max_levels)
    counts = [np.asarray(image.get_array()).sum() for image in display.images_]
    assert len(counts) == max_levels
    assert sorted(counts, reverse=True) == counts
    if best_index is not None:
        assert 20 - best_index in counts
    if max_levels > 1:
        assert counts[-1] == 1


def test_middle_pixels_of_digits_are_kept():
    X, y = load_digits(return_X_y=True)
    mlp = OBDMLPClassifier((20,), **SETTINGS | {"max_iter": 100, "tol": 1e-2})
    selector = OBDFeatureSelector(
        make_pipeline(StandardScaler(), mlp), n_features_to_select=16
    ).fit(X, y)
    display = FeaturePathDisplay.from_estimator(selector, image_shape=(8, 8))
    last = np.asarray(display.images_[-1].get_array())
    assert last.sum() == 16
    assert last[:, 2:6].sum() >= 12


def test_pipelines_and_searches_are_unwrapped(binary, selector):
    X, y = binary
    pipe = make_pipeline(StandardScaler(), clone_of(selector), LogisticRegression())
    grid = GridSearchCV(pipe, {"logisticregression__C": [1]}, cv=2).fit(X, y)
    assert FeaturePathDisplay.from_estimator(grid).best_index == 2
    assert FeaturePathDisplay.from_estimator(grid.best_estimator_).best_index == 2


def clone_of(selector):
    return OBDFeatureSelector(selector.estimator, n_features_to_select=6, step=2)


def test_drawn_in_given_axes(selector):
    figure, (left, right) = plt.subplots(1, 2)
    display = FeaturePathDisplay.from_estimator(selector, ax=right)
    assert display.figure_ is figure
    assert display.ax_ is right
    assert left not in display.axes_
    first = display.axes_[0]
    assert display.plot() is display
    assert display.axes_[0] is not first
    display.figure_.canvas.draw()
    with pytest.raises(ValueError, match="ax is not one of a figure's subplots"):
        display.plot(plt.figure().add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"scores": [1, 2]}, "scores must have numbers for each of the 4 levels"),
        ({"best_index": 4}, r"best_index must be an integer in \[-4, 4\), got 4"),
        ({"best_index": 1.0}, "best_index must be an integer"),
        ({"feature_names": ["a"]}, "feature_names must be a sequence of 4 names"),
        ({"image_shape": (2, 3)}, r"image_shape must be .* of 4 inputs, got \(2, 3\)"),
        ({"image_shape": 4}, "image_shape must be"),
        ({"image_shape": (2, 2.0)}, "image_shape must be"),
        ({"masks": [True, False]}, r"masks must be of shape \(n_levels, n_features\)"),
    ],
)
def test_bad_values_are_refused(params, message):
    display = FeaturePathDisplay(**{"masks": MASKS} | params)
    with pytest.raises(ValueError, match=message):
        display.plot()
    assert not plt.get_fignums()


def test_bad_numbers_are_refused():
    display = FeaturePathDisplay(masks=MASKS)
    with pytest.raises(ValueError, match="max_features == 0"):
        display.plot(max_features=0)
    with pytest.raises(TypeError, match="max_levels"):
        display.plot(max_levels=2.5)


def test_what_has_no_path_is_refused(clf):
    with pytest.raises(TypeError, match=r"needs an OBDFeatureSelector.* got OBDMLPClassifier"):
        FeaturePathDisplay.from_estimator(clf)
    with pytest.raises(TypeError, match=r"needs an OBDFeatureSelector.* got Pipeline"):
        FeaturePathDisplay.from_estimator(make_pipeline(StandardScaler(), clf))
    with pytest.raises(NotFittedError):
        FeaturePathDisplay.from_estimator(OBDFeatureSelector(clf))
    with pytest.raises(TypeError, match=r"needs a PruningPath.* got Bunch"):
        FeaturePathDisplay.from_path(Bunch(round=[1]))
