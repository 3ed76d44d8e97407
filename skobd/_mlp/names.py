"""Names of inputs and outputs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Names: TypeAlias = Sequence[str] | NDArray[Any]


def default_names(n: int, letter: str = "x") -> np.ndarray:
    """Return the names ``x0``, ``x1``, ..."""
    return np.array([f"{letter}{i}" for i in range(n)], dtype=object)


def doubled_names(names: Iterable[Any]) -> list[Any]:
    """Return the names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def feature_names(estimator: Any, given: Any = None) -> NDArray[Any]:
    """Return the names of the inputs: those given, those seen in ``fit``, or ``x0``, ``x1``, ...

    Raises
    ------
    ValueError
        If those given differ in number from the inputs, or from those seen in ``fit``.
    """
    seen, n_features = getattr(estimator, "feature_names_in_", None), estimator.n_features_in_
    if given is None:
        return default_names(n_features) if seen is None else seen
    names = np.asarray(given, dtype=object)
    if names.shape != (n_features,):
        raise ValueError(
            f"input_features should have length equal to the number of features ({n_features}), "
            f"got {len(names) if names.ndim else given!r}."
        )
    if seen is not None and not np.array_equal(names, seen):
        raise ValueError("input_features is not equal to feature_names_in_.")
    return names


def check_names(names: Names, n: int, parameter: str) -> np.ndarray:
    """Return names as an array of ``n`` strings."""
    is_sequence = hasattr(names, "__len__") and not isinstance(names, str)
    if not is_sequence or len(names) != n:
        got = f"{len(names)} names" if is_sequence else repr(names)
        raise ValueError(f"{parameter} must be a sequence of {n} names, got {got}.")
    return np.array([str(name) for name in names], dtype=object)
