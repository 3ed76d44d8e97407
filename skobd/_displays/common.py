"""Axes, colours, labels and checks that several displays need."""

import reprlib
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from .._mlp.messages import about
from .._mlp.names import Names, check_names, default_names
from .._sklearn_compat import check_matplotlib_support

# Okabe & Ito's palette, which colour-blind readers can tell apart.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)
GREY = "#6b6b6b"
# What ``score`` of an estimator gives, by whether it is a classifier.
_OWN_SCORES = {True: "Accuracy", False: "R²"}


def metric_label(metric: str) -> str:
    """Write the name of a metric as a label: ``neg_log_loss`` as "Negative log loss"."""
    words = metric.replace("_", " ").strip()
    if words.startswith("neg "):
        words = "negative " + words.removeprefix("neg ")
    return words[:1].upper() + words[1:]


def score_label(search: Any, scoring: str | None = None) -> str | None:
    """Name of the scores of a search as a label; None where nothing is known of them."""
    name = search.scoring if scoring is None else scoring
    if name is None:
        return _OWN_SCORES[is_classifier(search)]
    return metric_label(name) if isinstance(name, str) else None


def validation_label(path: Any) -> str:
    """Name of the scores of a path on validation data as a label."""
    own = _OWN_SCORES[is_classifier(path["estimator"])]
    return f"Validation {own.lower() if own.isalpha() else own}"


def place_legend(ax: Any) -> None:
    """Draw the legend above the axes, where it covers nothing."""
    ax.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)


def check_option(value: Any, allowed: Sequence[Any], parameter: str) -> None:
    """Refuse a value that is none of those allowed."""
    if np.ndim(value) or not any(value is option or value == option for option in allowed):
        options = ", ".join(map(repr, allowed[:-1])) + f" or {allowed[-1]!r}"
        raise ValueError(f"{parameter} must be {options}, got {value!r}.")


def names_or_default(names: Names | None, n: int, parameter: str, letter: str = "x") -> np.ndarray:
    """Return ``n`` names as an array: those given, checked, or ``x0``, ``x1``, ..."""
    if names is None:
        return default_names(n, letter)
    return check_names(names, n, parameter)


def numbers_by_level(
    values: Any, name: str, n_levels: int | None = None, has_folds: bool = False
) -> np.ndarray:
    """Return an array with a number for each level, or with ``has_folds`` also a row of them."""
    with about(name):
        numbers = np.asarray(values, dtype=float)
    is_column = numbers.ndim in ((1, 2) if has_folds else (1,)) and len(numbers)
    if not is_column or n_levels not in (None, len(numbers)):
        each = "each level" if n_levels is None else f"each of the {n_levels} levels"
        raise ValueError(f"{name} must have numbers for {each}, got {reprlib.repr(values)}.")
    return numbers


def index_of_level(index: Any, n_levels: int) -> int | None:
    """Return ``best_index`` counted from the dense end; refuse what is no level."""
    if index is None:
        return None
    if not (isinstance(index, Integral) and int(index) in range(-n_levels, n_levels)):
        raise ValueError(
            f"best_index must be an integer in [{-n_levels}, {n_levels}), got {index!r}."
        )
    return int(index) % n_levels


def check_layers(coefs: Any, beside: Any, name: str, axis: slice) -> None:
    """Refuse matrices that do not follow each other, or other shapes of the arrays beside them.

    Beside a layer of shape (fan_in, fan_out) belongs an array of the shape that ``axis`` cuts out.
    """
    with about("coefs"):
        shapes = [np.shape(layer) for layer in coefs]
    with about(name):
        given = [np.shape(layer) for layer in beside]
    follow = all(before[-1:] == after[:1] for before, after in pairwise(shapes))
    if not shapes or any(len(shape) != 2 for shape in shapes) or not follow:
        raise ValueError(
            f"coefs must be a matrix (fan_in, fan_out) for each layer, got shapes {shapes}."
        )
    if given != [shape[axis] for shape in shapes]:
        raise ValueError(f"{name} must fit coefs of shapes {shapes}, got shapes {given}.")


def make_axes(ax: Any, display: object, figsize: tuple[float, float]) -> Any:
    """Return the given axes, or those of a new figure."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is None:
        return plt.subplots(figsize=figsize, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes or None, got {type(ax).__name__}.")
    return ax


def divide_axes(ax: Any, n_rows: int, n_columns: int, cure: str, **ratios: Any) -> np.ndarray:
    """Return new axes, row by row, in the place of one of a figure's subplots."""
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(f"ax is not one of a figure's subplots and cannot be divided{cure}.")
    ax.set_axis_off()
    grid = place.subgridspec(n_rows, n_columns, **ratios)
    return np.array([ax.figure.add_subplot(cell) for cell in grid], dtype=object)


def remove_spines(ax: Any, *sides: str) -> None:
    """Remove the frame at some sides."""
    for side in sides:
        ax.spines[side].set_visible(False)
