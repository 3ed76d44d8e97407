"""What all displays do alike."""

import sys

import numpy as np
import pandas as pd
import pytest
from plots import SETTINGS
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skobd import (
    NetworkDisplay,
    OBDMLPClassifier,
    PruningPathDisplay,
    PruningSearchCV,
    SaliencyDisplay,
)

pytestmark = pytest.mark.slow

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
