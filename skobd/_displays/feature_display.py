"""`FeaturePathDisplay`: which inputs are left at each level of a path."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .._mlp.column_sources import column_of_inputs
from .._mlp.names import default_names
from .._mlp.pipelines import last_step, unwrap
from .._search.feature_selector import OBDFeatureSelector
from .._search.selection import scored_folds, standard_errors
from .common import (
    BLUE,
    GREY,
    VERMILLION,
    divide_axes,
    index_of_level,
    make_axes,
    names_or_default,
    numbers_by_level,
    remove_spines,
    score_label,
    validation_label,
)
from .input_names import by_groups, resolve_feature_names

if TYPE_CHECKING:
    from typing_extensions import Self

_LEFT, _DELETED = BLUE, "#eeeeee"
_IMAGES_IN_A_ROW = 4


class FeaturePathDisplay:
    """Inputs that are left at each level of a path, and the score there.

    A table with one row for each input, the longest surviving at the top, under the curve of the
    score; or, with ``image_shape``, a mask over the pixels for each level. Build it with
    `from_estimator` or `from_path`; every parameter becomes an attribute.

    Parameters
    ----------
    masks : array-like of bool of shape (n_levels, n_features)
        True for the inputs left at each level, from dense to sparse.
    scores : array-like of shape (n_levels,) or (n_levels, n_splits), default=None
        Score at each level, of each fold where there are any.
    score_name : str, default=None
        Name of the score; None for "Score".
    best_index : int, default=None
        The level that was selected.
    feature_names : sequence of str of length n_features, default=None
        Names of the inputs; None for x0, x1, ...
    image_shape : tuple of int, default=None
        (height, width) or (height, width, channels), where the inputs are the pixels of an
        image, row by row. A pixel is left if one of its channels is.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given or made, within which everything is drawn.
    axes_ : ndarray of matplotlib Axes
        Where the data are drawn: the curve, where there is one, and the table; or the masks.
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        The table, or the masks.
    line_ : matplotlib Line2D or None
        The score, or its mean over the folds.
    band_ : matplotlib PolyCollection or None
        One standard error of the mean.

    See Also
    --------
    OBDFeatureSelector : Selects features along such a path.
    SaliencyDisplay : Shows the importance of each input with ``kind="importance"``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skobd import FeaturePathDisplay, OBDFeatureSelector, OBDMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = OBDMLPClassifier(
    ...     hidden_layer_sizes=(5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    ... )
    >>> selector = OBDFeatureSelector(mlp, n_features_to_select=1, step=1).fit(X, y)
    >>> display = FeaturePathDisplay.from_estimator(selector)
    """

    def __init__(
        self,
        *,
        masks: ArrayLike,
        scores: ArrayLike | None = None,
        score_name: str | None = None,
        best_index: int | None = None,
        feature_names: Any = None,
        image_shape: Sequence[int] | None = None,
    ) -> None:
        self.masks = masks
        self.scores = scores
        self.score_name = score_name
        self.best_index = best_index
        self.feature_names = feature_names
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        feature_names: Any = None,
        image_shape: Sequence[int] | None = None,
        max_features: int = 30,
        max_levels: int = 8,
        ax: Any = None,
    ) -> "Self":
        """Plot the path of a fitted selector.

        Parameters
        ----------
        estimator : OBDFeatureSelector, or Pipeline or search around one
            Fitted. The scores are those of its cross-validation, those on validation data, or
            else the training objective.
        feature_names : sequence of str, default=None
            Names of the inputs; None for those the selector knows, with one row for each of the
            ``feature_groups`` of the network.
        image_shape : tuple of int, default=None
            See `FeaturePathDisplay`.
        max_features : int, default=30
            Most rows of the table; see `plot`.
        max_levels : int, default=8
            Most masks; see `plot`.
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        display : FeaturePathDisplay
            Display of the path, already drawn.
        """
        selector = _find_selector(estimator, cls.__name__)
        masks = selector.masks_
        if feature_names is None:
            feature_names = getattr(selector, "feature_names_in_", default_names(masks.shape[1]))
            if image_shape is None:
                # Groups are those of the network, which may have the columns in another order.
                order = column_of_inputs(selector.estimator_, len(feature_names))
                mlp = last_step(selector.estimator_)
                masks, feature_names = by_groups(masks[:, order], feature_names[order], mlp)
        score_name: str | None
        scores, score_name = _scores_of(selector.path_)
        if selector.cv is not None and hasattr(selector, "cv_results_"):
            results = selector.cv_results_
            columns = [results[f"split{i}_test_score"] for i in range(selector.n_splits_)]
            # A callback may have ended the path on all data before the last level.
            scores = np.column_stack(columns)[: len(masks)]
            score_name = score_label(selector)
        display = cls(
            masks=masks,
            scores=scores,
            score_name=score_name,
            best_index=selector.best_index_,
            feature_names=feature_names,
            image_shape=image_shape,
        )
        return display.plot(ax, max_features=max_features, max_levels=max_levels)

    @classmethod
    def from_path(
        cls,
        path: Any,
        *,
        scores: ArrayLike | None = None,
        score_name: str | None = None,
        best_index: int | None = None,
        feature_names: Any = None,
        image_shape: Sequence[int] | None = None,
        max_features: int = 30,
        max_levels: int = 8,
        ax: Any = None,
    ) -> "Self":
        """Plot what ``pruning_path`` of an estimator returned.

        Parameters
        ----------
        path : PruningPath
            Mostly of an estimator with ``granularity="feature"``.
        scores : array-like of shape (n_levels,) or (n_levels, n_splits), default=None
            Scores; None for those on validation data, or else the training objective.
        score_name : str, default=None
            Name of the score.
        best_index : int, default=None
            A level to be marked.
        feature_names : sequence of str, default=None
            Names of the inputs; None for those the estimator knows, with one row for each of
            its ``feature_groups``.
        image_shape : tuple of int, default=None
            See `FeaturePathDisplay`.
        max_features : int, default=30
            Most rows of the table; see `plot`.
        max_levels : int, default=8
            Most masks; see `plot`.
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        display : FeaturePathDisplay
            Display of the path, already drawn.
        """
        if not hasattr(path, "input_masks"):
            raise TypeError(
                f"{cls.__name__}.from_path needs a PruningPath, as pruning_path returns it, got "
                f"{type(path).__name__}."
            )
        if scores is None:
            scores, own_name = _scores_of(path)
            score_name = score_name or own_name
        masks = path.input_masks()
        if feature_names is None:
            transformers, mlp = unwrap(path.estimator_at(0), f"{cls.__name__}.from_path")
            feature_names = resolve_feature_names(None, transformers, mlp)
            if image_shape is None:
                masks, feature_names = by_groups(masks, feature_names, mlp)
        display = cls(
            masks=masks,
            scores=scores,
            score_name=score_name,
            best_index=best_index,
            feature_names=feature_names,
            image_shape=image_shape,
        )
        return display.plot(ax, max_features=max_features, max_levels=max_levels)

    def plot(self, ax: Any = None, *, max_features: int = 30, max_levels: int = 8) -> "Self":
        """Draw the path.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, one of a figure's subplots; None for a new figure.
        max_features : int, default=30
            Most rows of the table: the inputs that survive longest.
        max_levels : int, default=8
            Most masks over pixels; of more levels some are left out, but never the selected one
            nor the last.

        Returns
        -------
        display : FeaturePathDisplay
            The object itself.
        """
        check_scalar(max_features, "max_features", Integral, min_val=1)
        check_scalar(max_levels, "max_levels", Integral, min_val=1)
        masks = np.asarray(self.masks, dtype=bool)
        if masks.ndim != 2 or not len(masks):
            raise ValueError(
                f"masks must be of shape (n_levels, n_features), got shape {masks.shape}."
            )
        index = index_of_level(self.best_index, len(masks))
        scores = None
        if self.scores is not None:
            scores = numbers_by_level(self.scores, "scores", len(masks), has_folds=True)
            scores = scored_folds(scores.reshape(len(masks), -1))
        self.images_: list[Any] = []
        self.line_: Any = None
        self.band_: Any = None
        if self.image_shape is None:
            self._draw_table(ax, masks, scores, index, max_features)
        else:
            self._draw_masks(ax, masks, scores, index, max_levels)
        return self

    # ------------------------------------------------------------------ the table

    def _draw_table(
        self,
        ax: Any,
        masks: np.ndarray,
        scores: np.ndarray | None,
        index: int | None,
        max_features: int,
    ) -> None:
        """Draw a row for each input, under the curve of the score."""
        n_levels, n_features = masks.shape
        names = names_or_default(self.feature_names, n_features, "feature_names")
        # Equally long survivors are in the order of the columns.
        last_left = n_levels - 1 - masks[::-1].argmax(axis=0)
        order = np.argsort(-last_left, kind="stable")[:max_features]
        size = (2.2 + 0.42 * n_levels + 1.6, 2.6 + 0.2 * len(order))
        heights = [0.4 + 0.2 * len(order)] if scores is None else [1.4, 0.4 + 0.2 * len(order)]
        panels = self._divide(make_axes(ax, self, size), len(heights), 1, height_ratios=heights)
        table, n_left = panels[-1], masks.sum(axis=1)
        if scores is not None:
            self._draw_scores(panels[0], scores)
        self.images_ = [_show(table, masks[:, order].T, aspect="auto")]
        shown = _evenly_spaced(n_levels, 16)
        for panel in panels:
            panel.set_xticks(shown)
        table.set_xticks(shown, [f"{n_left[level]:,}" for level in shown], fontsize=8)
        table.set_yticks(np.arange(len(order)), names[order], fontsize=8)
        # Lines between the cells.
        table.set_xticks(np.arange(n_levels - 1) + 0.5, minor=True)
        table.set_yticks(np.arange(len(order) - 1) + 0.5, minor=True)
        table.grid(which="minor", color="white", lw=1)
        table.tick_params(which="both", length=0)
        remove_spines(table, "top", "right", "left", "bottom")
        label = "Inputs left"
        if len(order) < n_features:
            label += f"\n({n_features - len(order):,} inputs that went early are not shown)"
        table.set_xlabel(label)
        if index is not None:
            self._mark_level(index, n_left[index], masks[index, order])

    def _mark_level(self, index: int, n_left: int, is_left: np.ndarray) -> None:
        """Mark the selected level in all panels, and the names of the inputs left there."""
        for panel in self.axes_:
            panel.axvline(index, color=VERMILLION, lw=1, ls=":", zorder=3)
        self.axes_[0].annotate(
            f"selected: {n_left:,}",
            (index, 1),
            xytext=(0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=VERMILLION,
        )
        for name, is_selected in zip(self.axes_[-1].get_yticklabels(), is_left, strict=True):
            if is_selected:
                name.set_color(VERMILLION)

    def _draw_scores(self, panel: Any, scores: np.ndarray) -> None:
        levels, mean = np.arange(len(scores)), scores.mean(axis=1)
        (self.line_,) = panel.plot(levels, mean, "o-", color=BLUE, ms=4, lw=1.6)
        if scores.shape[1] > 1:
            errors = standard_errors(scores)
            self.band_ = panel.fill_between(
                levels, mean - errors, mean + errors, color=BLUE, alpha=0.18, lw=0
            )
        panel.set_ylabel(self.score_name or "Score")
        panel.set_xlim(-0.5, len(scores) - 0.5)
        panel.tick_params(labelbottom=False)
        panel.grid(axis="y", color="0.9")
        remove_spines(panel, "top", "right")

    # ------------------------------------------------------------------ the masks

    def _draw_masks(
        self,
        ax: Any,
        masks: np.ndarray,
        scores: np.ndarray | None,
        index: int | None,
        max_levels: int,
    ) -> None:
        """Draw a mask over the pixels for each level."""
        shape = self._checked_shape(masks.shape[1])
        levels = _levels_shown(len(masks), index, max_levels)
        n_columns = min(len(levels), _IMAGES_IN_A_ROW)
        n_rows = -(-len(levels) // n_columns)
        ratio = shape[0] / shape[1]
        ax = make_axes(ax, self, (1.9 * n_columns + 0.3, (1.75 * ratio + 0.55) * n_rows))
        panels = self._divide(ax, n_rows, n_columns)
        for panel in panels[len(levels) :]:
            panel.set_axis_off()
        self.axes_ = panels = panels[: len(levels)]
        for panel, level in zip(panels, levels, strict=True):
            mask = masks[level].reshape(shape)
            if len(shape) == 3:
                mask = mask.any(axis=2)
            self.images_.append(_show(panel, mask, aspect="equal"))
            title = f"{masks[level].sum():,} inputs"
            if scores is not None:
                title += f"\n{self.score_name or 'Score'}: {scores[level].mean():#.3g}"
            is_best = level == index
            panel.set_title(title, fontsize=9, color=VERMILLION if is_best else "black")
            panel.set_xticks([])
            panel.set_yticks([])
            for spine in panel.spines.values():
                spine.set(color=VERMILLION if is_best else GREY, lw=1.6 if is_best else 0.5)

    def _checked_shape(self, n_features: int) -> tuple[int, ...]:
        shape = tuple(np.array(self.image_shape, ndmin=1).tolist())
        are_sizes = all(isinstance(size, int) and size > 0 for size in shape)
        if len(shape) not in (2, 3) or not are_sizes or math.prod(shape) != n_features:
            raise ValueError(
                "image_shape must be (height, width) or (height, width, channels) of "
                f"{n_features} inputs, got {self.image_shape!r}."
            )
        return shape

    def _divide(self, ax: Any, n_rows: int, n_columns: int, **ratios: Any) -> np.ndarray:
        """Divide the given axes; sets ``ax_``, ``axes_`` and ``figure_``."""
        self.axes_ = divide_axes(ax, n_rows, n_columns, "", **ratios)
        self.ax_, self.figure_ = ax, ax.figure
        return self.axes_


def _find_selector(estimator: Any, caller: str) -> OBDFeatureSelector:
    """Find the fitted selector inside pipelines and searches."""
    given = estimator
    while not isinstance(estimator, OBDFeatureSelector):
        if isinstance(estimator, Pipeline):
            inside = [step for _, step in estimator.steps if isinstance(step, OBDFeatureSelector)]
            estimator = inside[0] if inside else estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            raise TypeError(
                f"{caller}.from_estimator needs an OBDFeatureSelector, or a Pipeline or fitted "
                f"search around one; got {type(given).__name__}."
            )
    check_is_fitted(estimator)
    return estimator


def _scores_of(path: Any) -> tuple[np.ndarray, str]:
    """Return scores on validation data, or else the training objective, and their name."""
    if "validation_score" in path:
        return path["validation_score"], validation_label(path)
    return path["loss_after_retraining"], "Objective"


def _show(panel: Any, mask: np.ndarray, aspect: str) -> Any:
    """Show a mask as an image of two colours."""
    from matplotlib.colors import ListedColormap

    colours = ListedColormap([_DELETED, _LEFT])
    return panel.imshow(mask, cmap=colours, vmin=0, vmax=1, aspect=aspect, interpolation="nearest")


def _evenly_spaced(n: int, most: int) -> list[int]:
    """Return at most ``most`` of n indices, evenly spaced, the first and the last among them."""
    return sorted({round(index) for index in np.linspace(0, n - 1, min(n, most))})


def _levels_shown(n_levels: int, index: int | None, most: int) -> list[int]:
    """Return at most ``most`` levels with the selected and the last one, without the dense one."""
    first = 1 if n_levels > 1 else 0
    levels = [first + place for place in _evenly_spaced(n_levels - first, most)]
    if most == 1:
        return [levels[-1] if index is None else index]
    if index is not None and index not in levels:
        # In the place of the nearest one; the last stays.
        nearest = min(range(len(levels) - 1), key=lambda place: abs(levels[place] - index))
        levels[nearest] = index
    return sorted(levels)
