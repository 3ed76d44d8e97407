"""Contexts in which the methods of the estimators work."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.base import BaseEstimator

from .._sklearn_compat import CALLBACK_STATE
from .._threads import reproducible_threads


def ignore_fp_errors() -> np.errstate:
    """Let overflow and underflow give infinities and zeros, silently.

    Exponentials underflow in any healthy network, and a caller may have asked NumPy to raise
    errors then. Overflow is checked where it matters: in the objective after training, in
    saliencies, and in predictions.
    """
    return np.errstate(all="ignore")


@contextmanager
def all_or_nothing(estimator: BaseEstimator) -> Iterator[None]:
    """Restore the estimator's attributes if anything goes wrong, so that no fit is lost."""
    attributes = vars(estimator)
    before = dict(attributes)
    try:
        yield
    except BaseException:
        # Scikit-learn tears callbacks down by attributes that it stores on the estimator.
        kept = {name: attributes[name] for name in CALLBACK_STATE if name in attributes}
        attributes.clear()
        attributes.update(before | kept)
        raise


@contextmanager
def fitting(estimator: BaseEstimator) -> Iterator[None]:
    """Fit an estimator with the same bits on any number of threads, or leave it as it was."""
    with ignore_fp_errors(), all_or_nothing(estimator), reproducible_threads():
        yield
