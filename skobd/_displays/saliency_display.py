"""`SaliencyDisplay`: predicted cost of the deletion of each weight."""

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_scalar

from .._mlp.names import default_names
from .._mlp.pipelines import unwrap
from .common import (
    BLUE,
    COLOURS,
    GREY,
    Names,
    check_layers,
    check_option,
    divide_axes,
    make_axes,
    names_or_default,
    place_legend,
    remove_spines,
)
from .input_names import resolve_feature_names

if TYPE_CHECKING:
    from typing_extensions import Self

KINDS = ("heatmap", "ranked", "importance")
# Colours cover this many powers of ten; smaller saliencies share the lowest colour.
_DECADES = 6
_MAX_CROSSES = 600
_MAX_ROW_NAMES = 40


class SaliencyDisplay:
    """Saliencies of the weights: heat maps, ranked curves, or importances of the inputs.

    Build it with `from_estimator`; every parameter becomes an attribute.

    Parameters
    ----------
    coefs : list of ndarray of shape (fan_in, fan_out)
        Saliency of each weight, by layer.
    coef_masks : list of ndarray of bool of shape (fan_in, fan_out)
        True where a weight survives.
    feature_names : sequence of str of length n_features, default=None
        Names of the inputs; None for x0, x1, ...
    saliency_name : str, default="Saliency"
        Name of the values on axes and colour bars.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes given or made; those around the heat maps, where there are several.
    axes_ : ndarray of matplotlib Axes
        Where the data are drawn; one for each layer for ``kind="heatmap"``.
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        The heat maps, deleted weights masked.
    lines_ : list of matplotlib Line2D
        The ranked curves.
    bars_ : matplotlib BarContainer or None
        The bars of the importances.

    See Also
    --------
    PruningPathDisplay : Draws score and objective against the number of weights.
    NetworkDisplay : Draws the surviving network as a graph.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skobd import OBDMLPClassifier, SaliencyDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = OBDMLPClassifier(
    ...     hidden_layer_sizes=(5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    ... )
    >>> display = SaliencyDisplay.from_estimator(clf.fit(X, y), X, y, kind="ranked")
    """

    def __init__(
        self,
        *,
        coefs: Sequence[NDArray[Any]],
        coef_masks: Sequence[NDArray[Any]],
        feature_names: Names | None = None,
        saliency_name: str = "Saliency",
    ) -> None:
        self.coefs = coefs
        self.coef_masks = coef_masks
        self.feature_names = feature_names
        self.saliency_name = saliency_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        feature_names: Names | None = None,
        kind: str = "heatmap",
        max_features: int = 20,
        ax: Any = None,
    ) -> "Self":
        """Compute the saliencies of a fitted estimator and plot them.

        Parameters
        ----------
        estimator : OBDMLPClassifier, OBDMLPRegressor, or Pipeline or search around one
            Fitted estimator.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input of ``estimator``; steps before the network transform it.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        feature_names : sequence of str, default=None
            Names of the network's inputs; None for those the estimator or the steps before
            know.
        kind : {"heatmap", "ranked", "importance"}, default="heatmap"
            As in `plot`.
        max_features : int, default=20
            As in `plot`.
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        display : SaliencyDisplay
            Display, already drawn.
        """
        check_option(kind, KINDS, "kind")
        transformers, mlp = unwrap(estimator, f"{cls.__name__}.from_estimator")
        names = resolve_feature_names(feature_names, transformers, mlp)
        for transformer in transformers:
            X = transformer.transform(X)
        saliencies = mlp.saliencies(X, y, sample_weight)
        display = cls(
            coefs=saliencies.coefs,
            coef_masks=[mask.copy() for mask in mlp.coef_masks_],
            feature_names=names,
            saliency_name=(
                "Saliency" if mlp.criterion != "magnitude" else "Saliency (absolute weight)"
            ),
        )
        return display.plot(ax, kind=kind, max_features=max_features)

    def plot(self, ax: Any = None, *, kind: str = "heatmap", max_features: int = 20) -> "Self":
        """Draw the saliencies.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure. For ``kind="heatmap"`` one of a figure's
            subplots, which is divided among the layers.
        kind : {"heatmap", "ranked", "importance"}, default="heatmap"
            - "heatmap": a map of each layer, one column for each unit, deleted weights grey;
            - "ranked": saliencies of each layer's survivors in falling order;
            - "importance": the summed saliency of each input's weights.
        max_features : int, default=20
            Most bars of ``kind="importance"``.

        Returns
        -------
        display : SaliencyDisplay
            The object itself.
        """
        check_option(kind, KINDS, "kind")
        check_scalar(max_features, "max_features", Integral, min_val=1)
        check_layers(self.coefs, self.coef_masks, "coef_masks", slice(None))
        if any(np.asarray(mask).dtype != bool for mask in self.coef_masks):
            raise ValueError("coef_masks must be arrays of bool, True where a weight survives.")
        self.images_: list[Any] = []
        self.lines_: list[Any] = []
        self.bars_ = None
        if kind == "heatmap":
            self._draw_heatmaps(ax)
        elif kind == "ranked":
            self._draw_ranked(ax)
        else:
            self._draw_importances(ax, max_features)
        return self

    # ------------------------------------------------------------------ heat maps

    def _draw_heatmaps(self, ax) -> None:
        layers = list(zip(self.coefs, self.coef_masks, strict=True))
        axes = self._make_panels(ax, layers)
        from matplotlib.colors import LogNorm

        highest = max((values.max(initial=0.0, where=mask) for values, mask in layers), default=0)
        highest = highest if highest > 0 else 1.0
        smallest = min(
            values.min(initial=highest, where=mask & (values > 0)) for values, mask in layers
        )
        lowest = max(smallest, highest / 10**_DECADES)
        norm = LogNorm(lowest, highest if highest > lowest else 10 * lowest)
        n_rows = max(len(values) for values, _ in layers)
        for index, (panel, (values, mask)) in enumerate(zip(axes, layers, strict=True)):
            self.images_.append(_heatmap(panel, values, mask, norm))
            if n_rows <= _MAX_ROW_NAMES:
                # Cells of the same height in all layers.
                panel.set_ylim(n_rows - 0.5, -0.5)
            self._name_rows(panel, index, len(values))
            panel.set_xlabel("Output unit" if index == len(layers) - 1 else "Hidden unit")
            panel.set_title(f"Layer {index + 1}\n{mask.sum():,} of {mask.size:,} left", fontsize=10)
        axes[0].annotate(
            "grey: deleted",
            (0, 0),
            xytext=(0, -4),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=GREY,
        )
        cut_off = any((values[mask] < lowest).any() for values, mask in layers)
        bar = self.figure_.colorbar(
            self.images_[0],
            ax=list(axes),
            extend="min" if cut_off else "neither",
            label=self.saliency_name,
            fraction=0.06,
            pad=0.02,
        )
        bar.outline.set_visible(False)

    def _make_panels(self, ax, layers) -> np.ndarray:
        """Make one axes for each layer, in the given place."""
        n_rows = min(max(len(values) for values, _ in layers), _MAX_ROW_NAMES)
        widths = [np.clip(values.shape[1], 3, 16) for values, _ in layers]
        size = (2.4 + 0.3 * sum(widths) + 0.3 * len(layers), max(3.2, 1.4 + 0.2 * n_rows))
        ax = self._make_axes(ax, size)
        if len(layers) > 1:
            self.axes_ = divide_axes(ax, 1, len(layers), " among the layers", width_ratios=widths)
        return self.axes_

    def _name_rows(self, panel, index: int, n_rows: int) -> None:
        """Name the inputs of a layer, as far as names are readable."""
        if n_rows > _MAX_ROW_NAMES:
            panel.set_ylabel("Input" if index == 0 else "Hidden unit")
            return
        names = self._names() if index == 0 else default_names(len(self.coefs[index]), "h")
        panel.set_yticks(range(n_rows), names, fontsize=8)

    def _names(self) -> np.ndarray:
        return names_or_default(self.feature_names, len(self.coefs[0]), "feature_names")

    # ------------------------------------------------------------------ ranked curves

    def _draw_ranked(self, ax) -> None:
        ax = self._make_axes(ax, (6.0, 4.0))
        for index, (values, mask) in enumerate(zip(self.coefs, self.coef_masks, strict=True)):
            ranked = np.sort(values[mask])[::-1]
            label = f"layer {index + 1}: {mask.sum():,} of {mask.size:,} left"
            n_rest = int((ranked <= 0).sum())
            if n_rest:
                label += f" ({n_rest:,} not positive)"
            ranked = np.where(ranked > 0, ranked, np.nan)
            style = "o-" if mask.sum() <= 60 else "-"
            self.lines_ += ax.plot(
                np.arange(1, len(ranked) + 1),
                ranked,
                style,
                ms=3.5,
                lw=1.6,
                color=COLOURS[index % len(COLOURS)],
                label=label,
            )
        ax.set_yscale("log")
        ax.set_xlabel("Rank within the layer")
        ax.set_ylabel(self.saliency_name)
        ax.grid(axis="y", color="0.9")
        remove_spines(ax, "top", "right")
        place_legend(ax)

    # ------------------------------------------------------------------ importances

    def _draw_importances(self, ax, max_features: int) -> None:
        names, mask = self._names(), self.coef_masks[0]
        importances = np.where(mask, self.coefs[0], 0).sum(axis=1)
        n_left = mask.sum(axis=1)
        live = np.flatnonzero(n_left)
        order = live[np.argsort(-importances[live], kind="stable")][:max_features]
        ax = self._make_axes(ax, (6.4, 1.1 + 0.27 * max(len(order), 1)))
        places = np.arange(len(order))
        self.bars_ = ax.barh(places, importances[order], color=BLUE, height=0.7)
        ax.set_yticks(places, names[order], fontsize=9)
        ax.invert_yaxis()
        ax.bar_label(
            self.bars_, [f"{n:,}" for n in n_left[order]], padding=3, fontsize=8, color=GREY
        )
        ax.margins(x=0.08)
        ax.set_xlabel(f"{self.saliency_name}, summed over the weights of an input")
        lines = ["beside the bar: surviving weights"]
        if len(live) > len(order):
            lines.append(f"not shown: {len(live) - len(order):,} inputs of less importance")
        if len(live) < len(names):
            lines.append(f"without weights: {len(names) - len(live):,} of {len(names):,} inputs")
        ax.annotate(
            "\n".join(lines),
            (0.99, 0.03),
            xycoords="axes fraction",
            ha="right",
            fontsize=8,
            color=GREY,
        )
        remove_spines(ax, "top", "right", "left")
        ax.tick_params(axis="y", length=0)

    def _make_axes(self, ax, figsize) -> Any:
        ax = make_axes(ax, self, figsize)
        self.ax_, self.figure_ = ax, ax.figure
        self.axes_ = np.array([ax], dtype=object)
        return ax


def _heatmap(panel: Any, values: np.ndarray, mask: np.ndarray, norm: Any) -> Any:
    """Show a layer as an image; the deleted grey, with crosses where there are few cells."""
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    # Survivors below the range, also those not positive, get the lowest colour.
    shown = np.ma.array(np.maximum(values, norm.vmin), mask=~mask)
    colours = colormaps["viridis"].with_extremes(bad="0.92")
    image = panel.imshow(shown, norm=norm, cmap=colours, aspect="auto", interpolation="nearest")
    if mask.size <= _MAX_CROSSES:
        rows, columns = np.nonzero(~mask)
        panel.plot(columns, rows, "x", color="0.7", ms=3.5, mew=0.8, label="deleted")
    panel.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    panel.yaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    panel.xaxis.tick_top()
    panel.xaxis.set_label_position("top")
    panel.tick_params(length=0)
    remove_spines(panel, "top", "right", "left", "bottom")
    return image
