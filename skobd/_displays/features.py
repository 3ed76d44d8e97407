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
from .._mlp.messages import about
from .._mlp.names import default_names
from .._mlp.pipelines import last_step
from .._search.feature_selector import OBDFeatureSelector
from .._search.selection import scored_folds, standard_errors
from .axes import pretty
from .common import (
    BLUE,
    GREY,
    VERMILLION,
    by_groups,
    check_index,
    check_names,
    make_axes,
    remove_spines,
    resolve_feature_names,
    unwrap,
)
from .levels import levels_shown, spread

if TYPE_CHECKING:
    from typing_extensions import Self

_LEFT, _DELETED = BLUE, "#eeeeee"
_IMAGES_IN_A_ROW = 4


class FeaturePathDisplay:
    """Which inputs are left at each level of a path, and the score there.

    A table with one row for each input, the longest surviving at the top, under the curve of the
    score; or, with ``image_shape``, a mask over the pixels for each level. Build it with
    `from_estimator` or `from_path`; every parameter becomes an attribute.

    Parameters
    ----------
    masks : array-like of bool of shape (n_levels, n_features)
        Which inputs are left at each level, from dense to sparse.
    scores : array-like of shape (n_levels,) or (n_levels, n_splits), default=None
        Score at each level, of each fold where there are any.
    score_name : str, default=None
        What the score is called; None for "Score".
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
    SaliencyDisplay : With ``kind="importance"``, what each input left is worth.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skobd import FeaturePathDisplay, OBDFeatureSelector, OBDMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = OBDMLPClassifier((5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0)
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
            What was drawn.
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
            score_name = pretty(selector.scoring) if isinstance(selector.scoring, str) else None
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
            None for the score on validation data, or else the training objective.
        score_name : str, default=None
            What the score is called.
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
            What was drawn.
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
        n_levels = len(masks)
        scores = self._checked_scores(n_levels)
        index = self._checked_index(n_levels)
        self.images_: list[Any] = []
        self.line_: Any = None
        self.band_: Any = None
        if self.image_shape is None:
            self._draw_table(ax, masks, scores, index, max_features)
        else:
            self._draw_masks(ax, masks, scores, index, max_levels)
        return self

    # ------------------------------------------------------------------ checks

    def _checked_scores(self, n_levels: int) -> np.ndarray | None:
        """Scores of shape (n_levels, n_splits)."""
        if self.scores is None:
            return None
        with about("scores"):
            scores = np.asarray(self.scores, dtype=float)
        if scores.ndim not in (1, 2) or len(scores) != n_levels:
            raise ValueError(
                f"scores must be of shape ({n_levels},) or ({n_levels}, n_splits), one for each "
                f"level of masks, got shape {scores.shape}."
            )
        return scored_folds(scores.reshape(n_levels, -1))

    def _checked_index(self, n_levels: int) -> int | None:
        index = self.best_index
        check_index(index, n_levels)
        return None if index is None else int(index) % n_levels

    def _checked_shape(self, n_features: int) -> tuple[int, ...]:
        shape = tuple(np.array(self.image_shape, ndmin=1).tolist())
        are_sizes = all(isinstance(size, int) and size > 0 for size in shape)
        if len(shape) not in (2, 3) or not are_sizes or math.prod(shape) != n_features:
            raise ValueError(
                "image_shape must be (height, width) or (height, width, channels) of "
                f"{n_features} inputs, got {self.image_shape!r}."
            )
        return shape

    # ------------------------------------------------------------------ the table

    def _draw_table(
        self,
        ax: Any,
        masks: np.ndarray,
        scores: np.ndarray | None,
        index: int | None,
        max_features: int,
    ) -> None:
        """One row for each input, under the curve of the score."""
        n_levels, n_features = masks.shape
        names = (
            default_names(n_features)
            if self.feature_names is None
            else check_names(self.feature_names, n_features, "feature_names")
        )
        # Of equally long survivors in the order of the columns.
        last_left = n_levels - 1 - masks[::-1].argmax(axis=0)
        order = np.argsort(-last_left, kind="stable")[:max_features]
        ax = make_axes(ax, self, (2.2 + 0.42 * n_levels + 1.6, 2.6 + 0.2 * len(order)))
        heights = [0] if scores is None else [1.4]
        rows = [height for height in (*heights, 0.4 + 0.2 * len(order)) if height]
        panels = self._divide(ax, len(rows), 1, height_ratios=rows)
        if scores is not None:
            self._draw_scores(panels[0], scores)
            panels[0].tick_params(labelbottom=False)
            panels[0].set_xlim(-0.5, n_levels - 0.5)
        table = panels[-1]
        self.images_ = [_show(table, masks[:, order].T, aspect="auto")]
        table.set_yticks(np.arange(len(order)), names[order], fontsize=8)
        n_left = masks.sum(axis=1)
        shown = spread(n_levels, 16)
        for panel in panels:
            panel.set_xticks(shown)
        table.set_xticks(shown, [f"{n_left[level]:,}" for level in shown], fontsize=8)
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
            for panel in panels:
                panel.axvline(index, color=VERMILLION, lw=1, ls=":", zorder=3)
            panels[0].annotate(
                f"selected: {n_left[index]:,}",
                (index, 1),
                xytext=(0, 3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=VERMILLION,
            )
            for name, row in zip(table.get_yticklabels(), order, strict=True):
                if masks[index, row]:
                    name.set_color(VERMILLION)

    def _draw_scores(self, panel: Any, scores: np.ndarray) -> None:
        places = np.arange(len(scores))
        mean = scores.mean(axis=1)
        (self.line_,) = panel.plot(places, mean, "o-", color=BLUE, ms=4, lw=1.6)
        if scores.shape[1] > 1:
            spread = standard_errors(scores)
            self.band_ = panel.fill_between(
                places, mean - spread, mean + spread, color=BLUE, alpha=0.18, lw=0
            )
        panel.set_ylabel(self.score_name or "Score")
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
        """A mask over the pixels for each level."""
        shape = self._checked_shape(masks.shape[1])
        levels = levels_shown(len(masks), index, max_levels)
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

    def _divide(self, ax: Any, n_rows: int, n_columns: int, **ratios: Any) -> np.ndarray:
        """Axes within the place of the given ones; sets ``ax_``, ``axes_`` and ``figure_``."""
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError("ax is not one of a figure's subplots and cannot be divided.")
        ax.set_axis_off()
        grid = place.subgridspec(n_rows, n_columns, **ratios)
        self.ax_, self.figure_ = ax, ax.figure
        self.axes_ = np.array([self.figure_.add_subplot(cell) for cell in grid], dtype=object)
        return self.axes_


def _find_selector(estimator: Any, caller: str) -> OBDFeatureSelector:
    """The fitted selector inside pipelines and searches."""
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
    """Scores on validation data, or else the training objective."""
    if "validation_score" in path:
        return path["validation_score"], "Validation score"
    return path["loss_after_retraining"], "Objective"


def _show(panel: Any, mask: np.ndarray, aspect: str) -> Any:
    """A mask as an image of two colours."""
    from matplotlib.colors import ListedColormap

    colours = ListedColormap([_DELETED, _LEFT])
    return panel.imshow(mask, cmap=colours, vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
