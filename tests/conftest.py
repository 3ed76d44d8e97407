"""Fixtures shared by the tests: small real data sets."""

import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.preprocessing import scale
from sklearn.utils import shuffle


@pytest.fixture(scope="session")
def binary():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X)[:200, :10], y[:200]


@pytest.fixture(scope="session")
def iris():
    X, y = shuffle(*load_iris(return_X_y=True), random_state=0)
    return scale(X), y


@pytest.fixture(scope="session")
def digits():
    X, y = load_digits(n_class=3, return_X_y=True)
    return X[:200] / 16, y[:200]


@pytest.fixture(scope="session")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X)[:200], scale(y)[:200]


@pytest.fixture(scope="session")
def data(iris, diabetes):
    """X and y for each kind of estimator."""
    return {"classifier": iris, "regressor": diabetes}
