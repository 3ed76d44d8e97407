"""Names of a network's inputs."""

from typing import Any

import numpy as np


def default_names(n: int, letter: str = "x") -> np.ndarray:
    """``x0``, ``x1``, ..."""
    return np.array([f"{letter}{i}" for i in range(n)], dtype=object)


def feature_names(estimator: Any) -> np.ndarray:
    """The names seen in ``fit``, or ``x0``, ``x1``, ... where there were none."""
    if hasattr(estimator, "feature_names_in_"):
        return estimator.feature_names_in_
    return default_names(estimator.n_features_in_)
