"""`NetworkDisplay`: the surviving network drawn as a graph."""

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_scalar

from .._mlp.names import default_names
from .._mlp.pipelines import unwrap
from .._warnings import warn_user
from .common import (
    BLUE,
    GREY,
    VERMILLION,
    Names,
    check_layers,
    check_option,
    make_axes,
    names_or_default,
)
from .input_names import resolve_feature_names
from .layout import (
    active_network,
    clear_places,
    column_positions,
    count_connections,
    heaviest,
    untangle,
)

if TYPE_CHECKING:
    from typing_extensions import Self

# Most connections with their weights written beside them, if show_weights="auto".
_MAX_WRITTEN = 40
_FONT, _SMALLEST_FONT = 9.0, 3.5


class NetworkDisplay:
    """The surviving network as a graph: inputs at the left, outputs at the right.

    A connection is the wider and darker the larger its weight, and its colour says the sign.
    Inputs and units that do not matter for the output are dropped, the constant output of units
    without input being added to the intercepts of the next layer. Intercepts (``b``) stand
    beside the units, where they survive.

    Build it with `from_estimator`; every parameter becomes an attribute.

    Parameters
    ----------
    coefs : list of ndarray of shape (fan_in, fan_out)
        Weights of each layer; a deleted one is 0.
    intercepts : list of ndarray of shape (fan_out,)
        Intercepts of each layer.
    activation : str, default="relu"
        Activation function of the hidden units.
    out_activation : str, default="identity"
        Activation function of the outputs, for the caption.
    feature_names : sequence of str of length n_features, default=None
        Names of the inputs; None for x0, x1, ...
    output_names : sequence of str of length n_outputs, default=None
        Names of the outputs; None for y0, y1, ...

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    units_ : list of ndarray of int
        Original indices of the inputs, the units of each hidden layer and the outputs drawn,
        from top to bottom.
    positions_ : list of ndarray of shape (n_units_drawn, 2)
        Where they are.
    nodes_ : list of matplotlib PathCollection
        Their markers.
    edges_ : list of matplotlib LineCollection
        The connections of each layer, the smallest weights first.
    weights_ : list of ndarray
        Their weights, in the same order.
    labels_ : list of list of matplotlib Text
        Names of inputs, units and outputs.
    weight_labels_ : list of matplotlib Text
        Weights written beside connections.

    See Also
    --------
    PruningPathDisplay : Draws score and objective against the number of weights.
    SaliencyDisplay : Shows the saliency of each weight.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skobd import NetworkDisplay, OBDMLPClassifier
    >>> data = load_iris()
    >>> clf = OBDMLPClassifier(
    ...     hidden_layer_sizes=(3,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    ... )
    >>> display = NetworkDisplay.from_estimator(
    ...     clf.fit(data.data, data.target), feature_names=data.feature_names
    ... )
    """

    def __init__(
        self,
        *,
        coefs: Sequence[NDArray[Any]],
        intercepts: Sequence[NDArray[Any]],
        activation: str = "relu",
        out_activation: str = "identity",
        feature_names: Names | None = None,
        output_names: Names | None = None,
    ) -> None:
        self.coefs = coefs
        self.intercepts = intercepts
        self.activation = activation
        self.out_activation = out_activation
        self.feature_names = feature_names
        self.output_names = output_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        feature_names: Names | None = None,
        output_names: Names | None = None,
        show_weights: bool | str = "auto",
        max_connections: int = 300,
        ax: Any = None,
    ) -> "Self":
        """Plot the network of a fitted estimator.

        Parameters
        ----------
        estimator : OBDMLPClassifier, OBDMLPRegressor, or Pipeline or search around one
            Fitted estimator.
        feature_names : sequence of str, default=None
            Names of the network's inputs; None for those the estimator or the steps before
            know.
        output_names : sequence of str, default=None
            One for each class of a classifier, else one for each output; None for ``classes_``.
        show_weights : bool or "auto", default="auto"
            As in `plot`.
        max_connections : int, default=300
            As in `plot`.
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        display : NetworkDisplay
            Display, already drawn.
        """
        transformers, mlp = unwrap(estimator, f"{cls.__name__}.from_estimator")
        display = cls(
            coefs=[weights.copy() for weights in mlp.coefs_],
            intercepts=[values.copy() for values in mlp.intercepts_],
            activation=mlp._fitted.pruned.network.activation,
            out_activation=mlp.out_activation_,
            feature_names=resolve_feature_names(feature_names, transformers, mlp),
            output_names=_output_names(output_names, mlp),
        )
        return display.plot(ax, show_weights=show_weights, max_connections=max_connections)

    def plot(
        self, ax: Any = None, *, show_weights: bool | str = "auto", max_connections: int = 300
    ) -> "Self":
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure of fitting size.
        show_weights : bool or "auto", default="auto"
            Whether to write the weights beside the connections; "auto" does so up to 40.
        max_connections : int, default=300
            Most connections drawn. Of more, the largest weights are drawn, and a warning and a
            line in the plot say so.

        Returns
        -------
        display : NetworkDisplay
            The object itself.

        Warns
        -----
        UserWarning
            If there are more connections than ``max_connections``.
        """
        check_option(show_weights, ("auto", True, False), "show_weights")
        check_scalar(max_connections, "max_connections", Integral, min_val=1)
        check_layers(self.coefs, self.intercepts, "intercepts", slice(1, None))
        if not all(np.isfinite(array).all() for array in [*self.coefs, *self.intercepts]):
            raise ValueError("coefs and intercepts must be finite, but contain NaN or infinity.")
        names = [
            names_or_default(self.feature_names, len(self.coefs[0]), "feature_names"),
            *(default_names(len(values), "h") for values in self.intercepts[:-1]),
            names_or_default(self.output_names, len(self.intercepts[-1]), "output_names", "y"),
        ]
        shown = active_network(self.coefs, self.intercepts, self.activation)
        n_connections = count_connections(shown)
        if n_connections > max_connections:
            shown = heaviest(shown, max_connections)
        shown = untangle(shown)
        names = [column[units] for column, units in zip(names, shown.units, strict=True)]
        self.units_ = shown.units
        self.positions_ = column_positions([len(units) for units in shown.units])
        self.ax_ = make_axes(ax, self, _figure_size(names))
        self.figure_ = self.ax_.figure
        fonts = self._font_sizes()
        self._draw_edges(shown.coefs)
        self.weight_labels_: list[Any] = []
        if show_weights is True or (show_weights == "auto" and n_connections <= _MAX_WRITTEN):
            self._write_weights()
        self._draw_nodes(fonts)
        self._write_labels(names, shown.intercepts, fonts)
        self._write_captions()
        self._write_key()
        if n_connections > max_connections:
            self._say_not_all(n_connections, max_connections)
        self.ax_.set(xlim=(-0.06, len(shown.units) - 0.94), ylim=(0, 1))
        self.ax_.set_axis_off()
        return self

    def _font_sizes(self) -> list[float]:
        """Return the largest sizes, in points, at which the texts of a column do not overlap."""
        height = 72 * self.ax_.get_position().height * self.figure_.get_figheight()
        return [
            min(_FONT, height / (lines * max(len(positions), 1)))
            for lines, positions in zip(_lines(len(self.positions_)), self.positions_, strict=True)
        ]

    def _draw_edges(self, coefs) -> None:
        from matplotlib.collections import LineCollection

        largest = max(np.abs(weights).max(initial=0.0) for weights in coefs) or 1.0
        n_edges = sum(np.count_nonzero(weights) for weights in coefs)
        thickest = np.clip(40 / np.sqrt(max(n_edges, 1)), 2, 6)
        self.edges_, self.weights_ = [], []
        for layer, weights in enumerate(coefs):
            sources, targets = np.nonzero(weights)
            order = np.argsort(np.abs(weights[sources, targets]), kind="stable")
            sources, targets = sources[order], targets[order]
            values = weights[sources, targets]
            start, end = self.positions_[layer][sources], self.positions_[layer + 1][targets]
            sizes = np.abs(values) / largest
            edges = LineCollection(
                list(np.stack([start, end], axis=1)),
                linewidths=0.6 + (thickest - 0.6) * sizes,
                colors=np.where(values > 0, BLUE, VERMILLION).tolist(),
                # Of no lines matplotlib would look for the smallest alpha.
                alpha=0.35 + 0.65 * sizes if len(sizes) else None,
                capstyle="round",
                clip_on=False,
                zorder=1,
            )
            self.edges_.append(self.ax_.add_collection(edges))
            self.weights_.append(values)

    def _write_weights(self) -> None:
        """Write weights on their connections, where they are clear of the others."""
        segments = [segment for edges in self.edges_ for segment in edges.get_segments()]
        size = self.ax_.get_position().size * self.figure_.get_size_inches()
        # Texts are wider than high: a distance counts less along x.
        scale = size / [len(self.units_) - 0.9, 1] * [0.5, 1]
        places = clear_places(np.reshape(segments, (-1, 2, 2)) * scale) / scale
        box = {"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none"}
        style = {"ha": "center", "va": "center", "fontsize": 7.5, "bbox": box, "zorder": 2}
        self.weight_labels_ = [
            self.ax_.text(x, y, _signed(weight), **style)
            for weight, (x, y) in zip(np.concatenate(self.weights_), places, strict=True)
        ]

    def _draw_nodes(self, fonts) -> None:
        self.nodes_ = []
        last = len(fonts) - 1
        for layer, (positions, font) in enumerate(zip(self.positions_, fonts, strict=True)):
            diameter = font * (0.7 if layer == 0 else 1.7 if layer == last else 2.4)
            nodes = self.ax_.scatter(
                *positions.T,
                s=diameter**2,
                c="0.3" if layer == 0 else "white",
                edgecolors="0.3",
                linewidths=0.13 * font,
                clip_on=False,
                zorder=3,
            )
            self.nodes_.append(nodes)

    def _write_labels(self, names, intercepts, fonts) -> None:
        """Write the names of inputs and outputs beside them, of hidden units inside them."""
        self.labels_ = []
        last = len(names) - 1
        for layer, (column, font) in enumerate(zip(names, fonts, strict=True)):
            texts = []
            for place, name in enumerate(column):
                b = "" if layer == 0 else _intercept(intercepts[layer - 1][place])
                position = self.positions_[layer][place]
                if font < _SMALLEST_FONT:
                    continue
                if layer == 0:
                    texts.append(self._write(name, position, (-0.8, 0), "right", "center", font))
                elif layer == last:
                    text = f"{name}\n{b}" if b else name
                    texts.append(self._write(text, position, (1.3, 0), "left", "center", font))
                else:
                    texts.append(self._write(name, position, (0, 0), "center", "center", font))
                    if b:
                        below = self._write(b, position, (0, -1.6), "center", "top", 0.9 * font)
                        below.set_bbox({"boxstyle": "round,pad=0.08", "fc": "white", "ec": "none"})
                        # Over the connections, but under the circle.
                        below.set_zorder(2.5)
            self.labels_.append(texts)

    def _write(self, text, position, offset, ha, va, font) -> Any:
        """Write a text at an offset, in multiples of the font size, from a unit."""
        return self.ax_.annotate(
            text,
            position,
            xytext=(offset[0] * font, offset[1] * font),
            textcoords="offset points",
            ha=ha,
            va=va,
            fontsize=font,
            annotation_clip=False,
            zorder=4,
        )

    def _write_captions(self) -> None:
        hidden = [f"hidden layer {i} ({self.activation})" for i in range(1, len(self.coefs))]
        if len(hidden) == 1:
            hidden = [f"hidden ({self.activation})"]
        for layer, text in enumerate(["inputs", *hidden, f"output ({self.out_activation})"]):
            caption = self._write(text, (layer, 1), (0, 0.5), "center", "bottom", 8)
            caption.set_color(GREY)

    def _write_key(self) -> None:
        from matplotlib.lines import Line2D

        signs = {"positive weight": BLUE, "negative weight": VERMILLION}
        self.ax_.legend(
            handles=[Line2D([], [], color=colour, lw=2.5, label=x) for x, colour in signs.items()],
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            ncols=2,
            frameon=False,
            fontsize=8,
            labelcolor=GREY,
        )

    def _say_not_all(self, n_connections: int, max_connections: int) -> None:
        text = f"the {max_connections:,} largest of {n_connections:,} connections"
        self.ax_.set_title(f"Only {text} are drawn", fontsize=9, pad=20)
        warn_user(f"NetworkDisplay draws only {text}. Prune further, or raise max_connections.")


def _lines(n_columns: int) -> list[float]:
    """Count the lines of text of a unit in each column: name, circle above b, name and b."""
    return [1.35, *[5.0] * (n_columns - 2), 3.0]


def _figure_size(names: list[np.ndarray]) -> tuple[float, float]:
    """Return the inches that the units at the largest font, and the names at both sides, need."""
    lines = max(n * len(column) for n, column in zip(_lines(len(names)), names, strict=True))
    letters = sum(max(map(len, column), default=0) for column in (names[0], names[-1]))
    width = 2.1 * (len(names) - 1) + 0.55 * _FONT / 72 * letters + 0.8
    return width, float(np.clip(lines * _FONT / 72 + 0.5, 2.6, 10))


def _signed(value: float) -> str:
    """Write a weight with its sign and two digits."""
    digits = max(0, 1 - int(np.floor(np.log10(abs(value))))) if value else 0
    return f"{value:+.{min(digits, 4)}f}".replace("-", "\N{MINUS SIGN}")


def _intercept(value: float) -> str:
    return f"b = {_signed(value)}" if value else ""


def _output_names(given: Any, mlp: Any) -> np.ndarray | None:
    """Name the output units; the one of a binary classifier stands for its second class."""
    classes = getattr(mlp, "classes_", None)
    if given is not None:
        n_names = mlp.n_outputs_ if classes is None else len(classes)
        names = names_or_default(given, n_names, "output_names")
    elif classes is None:
        return np.array(["y"], dtype=object) if mlp.n_outputs_ == 1 else None
    else:
        prefix = "" if classes.dtype.kind in "OUS" else "class "
        names = np.array([f"{prefix}{label}" for label in classes], dtype=object)
    return names[-mlp.n_outputs_ :]
