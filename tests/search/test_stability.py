"""stability_selection: frequencies over subsamples."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier, OBDMLPRegressor, stability_selection

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
    ),
]


@pytest.fixture(scope="module")
def informative():
    """Of 20 inputs the first three count."""
    return make_classification(
        300, n_features=20, n_informative=3, n_redundant=0, shuffle=False, random_state=0
    )


def make_classifier(**params):
    return OBDMLPClassifier((8,), **{"solver": "lbfgs", "alpha": 3, "tol": 1e-2} | params)


SMALL = {"n_features_to_select": 3, "n_subsamples": 6, "random_state": 0}


def test_record(informative):
    X, y = informative
    result = stability_selection(make_classifier(), X, y, **SMALL)
    n_levels = len(result.n_features)
    assert result.n_features[[0, -1]].tolist() == [20, 3]
    assert result.masks.shape == (6, n_levels, 20)
    np.testing.assert_array_equal(result.frequencies, result.masks.mean(axis=0))
    np.testing.assert_array_equal(result.frequencies.sum(axis=1).round(9), result.n_features)
    np.testing.assert_array_equal(result.support, result.frequencies >= 0.75)
    # Theorem 1: q^2 / ((2 pi - 1) p).
    np.testing.assert_allclose(result.error_bound, result.n_features**2 / (0.5 * 20))
    # Once deleted, an input stays so.
    assert (np.diff(result.masks.astype(int), axis=1) <= 0).all()
    assert result.support[-1].nonzero()[0].tolist() == [0, 1, 2]
    assert result.feature_names[-1] == "x19"


def test_threshold_and_names(informative):
    X, y = informative
    frame = pd.DataFrame(X).add_prefix("c")
    low = stability_selection(make_classifier(), frame, y, threshold=0.6, **SMALL)
    assert low.feature_names.tolist() == list(frame.columns)
    assert (low.support == (low.frequencies >= 0.6)).all()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_do_not_change_a_bit(informative, backend):
    X, y = informative
    serial = stability_selection(make_classifier(), X, y, **SMALL)
    with parallel_config(backend=backend):
        parallel = stability_selection(make_classifier(), X, y, n_jobs=2, **SMALL)
    np.testing.assert_array_equal(parallel.masks, serial.masks)


def test_subsamples_are_halves_with_all_classes(informative, monkeypatch):
    X, y = informative
    seen = []
    pruning_path = OBDMLPClassifier.pruning_path

    def spy(self, X, y, **params):
        seen.append((self.random_state, y.copy(), params["sample_weight"]))
        return pruning_path(self, X, y, **params)

    monkeypatch.setattr(OBDMLPClassifier, "pruning_path", spy)
    weight = np.arange(1.0, 301.0)
    result = stability_selection(make_classifier(), X, y, **SMALL, sample_weight=weight)
    assert len(result.masks) == len(seen) == 6
    for _, labels, weights in seen:
        assert len(labels) == len(set(weights)) == 150
        assert abs(labels.mean() - y.mean()) < 0.01
    assert len({seed for seed, _, _ in seen}) == 6


@pytest.mark.parametrize(("backend", "n_jobs"), [("loky", 2), ("threading", 2), ("loky", 1)])
def test_warnings_of_all_subsamples_are_given_once(informative, backend, n_jobs):
    with (
        parallel_config(backend=backend),
        pytest.warns(UserWarning, match=r"far off scale.*\(The first of 6 such") as caught,
    ):
        stability_selection(
            make_classifier(tol=0.1), 1e3 * informative[0], informative[1], **SMALL, n_jobs=n_jobs
        )
    # Some of the subsamples do not converge, too.
    assert {warning.filename for warning in caught} == {__file__}
    assert len(caught) == len({warning.category for warning in caught})


def test_regression_in_a_pipeline(diabetes):
    mlp = OBDMLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", alpha=1, max_iter=20)
    pipe = make_pipeline(StandardScaler(), mlp)
    result = stability_selection(pipe, *diabetes, n_subsamples=4, random_state=0)
    assert result.n_features[-1] == 5
    assert result.frequencies[-1].sum() == pytest.approx(5)
    assert not hasattr(mlp, "_fitted")
    assert mlp.random_state is None
    assert mlp.granularity == "weight"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_subsamples": 0}, "The 'n_subsamples' parameter"),
        ({"threshold": 0.5}, "The 'threshold' parameter"),
        ({"n_features_to_select": 0}, "The 'n_features_to_select' parameter"),
        ({"random_state": "x"}, "The 'random_state' parameter"),
    ],
)
def test_wrong_parameters_are_refused(iris, params, message):
    with pytest.raises(ValueError, match=message):
        stability_selection(make_classifier(), *iris, **params)


def test_wrong_estimators_are_refused(iris):
    with pytest.raises(TypeError, match="estimator must be an OBDMLPClassifier"):
        stability_selection(LogisticRegression(), *iris)
    with pytest.raises(ValueError, match="estimator makes 2 columns of the 4 of X"):
        stability_selection(make_pipeline(PCA(2), make_classifier()), *iris)
