"""What `SaliencyDisplay` draws: images, line data and texts, not pixels."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from plots import SETTINGS, texts

from skobd import NetworkDisplay, OBDMLPClassifier, PruningPathDisplay, SaliencyDisplay

pytestmark = pytest.mark.slow


def test_heat_maps_show_saliencies_and_mask_the_deleted(clf, iris):
    display = SaliencyDisplay.from_estimator(clf, *iris)
    saliencies = clf.saliencies(*iris)
    assert len(display.axes_) == len(display.images_) == 2
    for image, values, mask in zip(display.images_, saliencies.coefs, clf.coef_masks_, strict=True):
        shown = image.get_array()
        np.testing.assert_array_equal(shown.mask, ~mask)
        # The colours do not reach further down than this.
        np.testing.assert_allclose(shown.compressed(), np.maximum(values[mask], shown.min()))
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


def test_heat_maps_without_any_survivor():
    zeros = [np.zeros((3, 2)), np.zeros((2, 1))]
    masks = [values > 0 for values in zeros]
    display = SaliencyDisplay(coefs=zeros, coef_masks=masks).plot()
    assert all(image.get_array().mask.all() for image in display.images_)


def test_large_layers_have_numbers_instead_of_names(digits):
    clf = OBDMLPClassifier((5,), **SETTINGS).fit(*digits)
    display = SaliencyDisplay.from_estimator(clf, *digits)
    assert display.axes_[0].get_ylabel() == "Input"
    ticks = [tick for tick in display.axes_[0].get_yticks() if 0 <= tick < 64]
    assert 5 <= len(ticks) <= 11
    assert ticks[0] == 0
    assert all(tick == int(tick) for tick in ticks)


def test_given_axes_are_used(clf, iris):
    display = SaliencyDisplay.from_estimator(clf, *iris)
    _, ax = plt.subplots()
    display.plot(ax)
    assert display.ax_ is ax
    assert display.axes_[0].figure is ax.figure
    for kind in ("ranked", "importance"):
        _, ax = plt.subplots()
        assert display.plot(ax, kind=kind).ax_ is ax
    with pytest.raises(ValueError, match="cannot be divided among the layers"):
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


def test_importances_agree_with_the_estimator(iris):
    X, y = iris
    clf = OBDMLPClassifier((5,), **SETTINGS, curvature="levenberg_marquardt").fit(X, y)
    display = SaliencyDisplay.from_estimator(clf, X, y, kind="importance")
    importances = clf.feature_importances_
    widths = np.array([bar.get_width() for bar in display.bars_])
    expected = np.sort(importances[importances > 0])[::-1]
    np.testing.assert_allclose(widths / widths.sum(), expected, rtol=1e-6)


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


@pytest.mark.parametrize(
    ("coefs", "masks", "name"),
    [
        (3, 3, "coefs"),
        ([], [], "coefs"),
        ([np.ones((2, 3))], [], "coef_masks"),
        ([np.ones((2, 3))], [np.ones((3, 3), dtype=bool)], "coef_masks"),
        ([np.ones((2, 3))], [np.ones((2, 3))], "coef_masks"),
    ],
)
@pytest.mark.parametrize("kind", ["heatmap", "ranked", "importance"])
def test_arrays_that_do_not_fit_are_named(coefs, masks, name, kind):
    with pytest.raises((ValueError, TypeError), match=name):
        SaliencyDisplay(coefs=coefs, coef_masks=masks).plot(kind=kind)
