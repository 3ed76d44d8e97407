"""What the displays share: unwrapping estimators, names, axes and colours."""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._mlp.base import BaseOBDMLP
from .._mlp.feature_groups import columns_by_group
from .._mlp.fitted import HISTORY_COLUMNS
from .._mlp.messages import about
from .._mlp.names import default_names, feature_names
from .._mlp.pipelines import last_step, steps_before
from .._sklearn_compat import check_matplotlib_support

# Okabe & Ito's palette, which colour-blind readers can tell apart.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)
GREY = "#6b6b6b"

Names: TypeAlias = Sequence[str] | NDArray[Any]


def unwrap(estimator: Any, caller: str) -> tuple[list[Any], BaseOBDMLP]:
    """Transformers before, and the fitted OBD estimator inside, pipelines, searches and the like.

    Raises
    ------
    TypeError
        If there is no OBD estimator inside.
    NotFittedError
        If it, or a search around it, is not fitted.
    """
    transformers: list[Any] = []
    while not isinstance(estimator, BaseOBDMLP):
        if isinstance(estimator, Pipeline | TransformedTargetRegressor):
            transformers += steps_before(estimator)
            estimator = last_step(estimator)
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "cv") and hasattr(estimator, "refit"):
            raise NotFittedError(
                f"This {type(estimator).__name__} has no best_estimator_ yet, which {caller} "
                "needs: fit it first, with refit enabled."
            )
        else:
            raise TypeError(
                f"{caller} needs an OBDMLPClassifier or OBDMLPRegressor, or a Pipeline or search "
                f"around one; got {type(estimator).__name__}."
            )
    check_is_fitted(estimator)
    return transformers, estimator


def resolve_feature_names(
    given: Names | None, transformers: list[Any], mlp: BaseOBDMLP
) -> np.ndarray:
    """Names of the network's inputs: as given, as fitted, of the steps before, or x0, x1, ..."""
    n_features = mlp.n_features_in_
    if given is not None:
        return check_names(given, n_features, "feature_names")
    if hasattr(mlp, "feature_names_in_"):
        return np.asarray(mlp.feature_names_in_, dtype=object)
    names = None
    try:
        for transformer in transformers:
            names = transformer.get_feature_names_out(names)
    except (AttributeError, ValueError):
        # Some step before cannot name what it puts out.
        names = None
    if names is not None and len(names) == n_features:
        return np.asarray(names, dtype=object)
    return default_names(n_features)


def by_groups(masks: np.ndarray, names: Names, mlp: BaseOBDMLP) -> tuple[np.ndarray, np.ndarray]:
    """Which groups of inputs are left, and their names, given those of the inputs.

    Without ``feature_groups`` every input is a group.
    """
    fitted, names = mlp._get_fitted(), np.asarray(names, dtype=object)
    groups = columns_by_group(fitted.group_of, fitted.group_names, names)
    seen = feature_names(mlp)
    own = [
        names[columns[0]] if len(columns) == 1 and name == seen[columns[0]] else name
        for name, columns in groups.items()
    ]
    first = [columns[0] for columns in groups.values()]
    return masks[:, first], np.array(own, dtype=object)


def check_names(names: Names, n: int, parameter: str) -> np.ndarray:
    """Names as an array of strings, one for each of ``n`` things."""
    is_sequence = hasattr(names, "__len__") and not isinstance(names, str)
    if not is_sequence or len(names) != n:
        got = f"{len(names)} names" if is_sequence else repr(names)
        raise ValueError(f"{parameter} must be a sequence of {n} names, got {got}.")
    return np.array([str(name) for name in names], dtype=object)


def check_column(values: Any, name: str, n_levels: int | None = None, most_axes: int = 1) -> None:
    """Refuse what is not one number (or with a second axis, one row of them) for each level."""
    try:
        column = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        column = np.empty(())
    is_column = 1 <= column.ndim <= most_axes and len(column)
    if not is_column or n_levels not in (None, len(column)):
        each = "each level" if n_levels is None else f"each of the {n_levels} levels"
        raise ValueError(f"{name} must have numbers for {each}, got {reprlib.repr(values)}.")


def check_index(index: Any, n_levels: int) -> None:
    """Refuse a ``best_index`` that is no level."""
    is_level = isinstance(index, Integral) and int(index) in range(-n_levels, n_levels)
    if index is not None and not is_level:
        raise ValueError(
            f"best_index must be an integer in [{-n_levels}, {n_levels}), got {index!r}."
        )


def check_path(path: Any, caller: str) -> None:
    """Refuse what ``pruning_path`` cannot have returned."""
    if not isinstance(path, Mapping):
        raise TypeError(
            f"{caller} needs a PruningPath, as pruning_path returns it, got {type(path).__name__}."
        )
    missing = [name for name in HISTORY_COLUMNS if name not in path]
    if missing:
        raise ValueError(
            f"path must be what pruning_path returns; it has no {' and no '.join(missing)}."
        )


def check_layers(coefs: Any, beside: Any, name: str, shape_of: Callable[..., Any]) -> None:
    """Refuse what are not matrices of layers that follow each other, with arrays beside them.

    ``shape_of(fan_in, fan_out)`` is the shape of the array beside a layer.
    """
    with about("coefs"):
        shapes = [np.shape(layer) for layer in coefs]
    with about(name):
        given = [np.shape(layer) for layer in beside]
    follow = all(len(shape) == 2 for shape in shapes) and all(
        before[1] == after[0] for before, after in pairwise(shapes)
    )
    if not shapes or not follow:
        raise ValueError(
            f"coefs must be a matrix (fan_in, fan_out) for each layer, got shapes {shapes}."
        )
    wanted = [shape_of(*shape) for shape in shapes]
    if given != wanted:
        raise ValueError(f"{name} must be arrays of shapes {wanted}, got {given}.")


def check_option(value: Any, allowed: Sequence[Any], parameter: str) -> None:
    """Refuse a value that is none of those allowed."""
    if np.ndim(value) or not any(value is option or value == option for option in allowed):
        options = ", ".join(map(repr, allowed[:-1])) + f" or {allowed[-1]!r}"
        raise ValueError(f"{parameter} must be {options}, got {value!r}.")


def check_axes(ax: Any) -> None:
    """Refuse what cannot be drawn on."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes or None, got {type(ax).__name__}.")


def make_axes(ax: Any, display: object, figsize: tuple[float, float]) -> Any:
    """The given axes, or those of a new figure."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    if ax is not None:
        check_axes(ax)
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=figsize, layout="constrained")[1]


def remove_spines(ax: Any, *sides: str) -> None:
    """Take away the frame at some sides."""
    for side in sides:
        ax.spines[side].set_visible(False)
