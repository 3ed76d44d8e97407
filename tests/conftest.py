"""Fixtures shared by the tests: small real data sets; and what the daily loop leaves out."""

import re
import sys

import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.preprocessing import scale
from sklearn.utils import shuffle

SLOW_MODULE = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.slow\b", re.MULTILINE)


def pytest_ignore_collect(collection_path, config):
    """Do not even import a slow module in the daily loop: many of them import large packages."""
    is_module = collection_path.suffix == ".py"
    if config.option.markexpr == "not slow" and is_module:
        is_slow = SLOW_MODULE.search(collection_path.read_text(encoding="utf-8"))
        return True if is_slow else None
    return None


def pytest_collection_modifyitems(items):
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker("slow")


@pytest.fixture
def lost_interrupts(monkeypatch):
    """Let Python swallow an interrupt that comes within a finalizer or a callback of the collector.

    Nothing can be raised there, so the interrupt is lost, which is no fault of the code under test.
    """
    report = sys.unraisablehook

    def hook(unraisable):
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            report(unraisable)

    monkeypatch.setattr(sys, "unraisablehook", hook)


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
