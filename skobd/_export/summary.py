"""A summary of a pruned network beside the dense one, for people and programs to read."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._net.pruned import PrunedNetwork
from .c.size import deployed_bytes

_MOST_NAMES = 20
_TABLE = "border-collapse: collapse; font-variant-numeric: tabular-nums"
_CELL = "padding: .15em .8em; text-align: "


@dataclass(frozen=True, repr=False)
class PruningSummary:
    """Sizes of a pruned network beside those of the dense network that it was.

    Made by ``summary`` of the estimators. It prints as a table, and notebooks show a table;
    ``dataclasses.asdict`` gives the fields by name.

    Parameters
    ----------
    estimator_name : str
        Name of the estimator's class.
    layers_before, layers_after : tuple of int
        Inputs, units of each hidden layer, and outputs; afterwards those that still matter.
    n_weights_before, n_weights_after : int
        Weights of the dense network, and those that survive.
    n_inputs_before, n_inputs_after : int
        Inputs of the dense network, and those that predictions still depend on.
    n_bytes_before, n_bytes_after : int
        Bytes of the constants in the C code that `to_c` writes, with 8-bit weights: all weights,
        and the survivors with their places.
    n_multiply_adds_before, n_multiply_adds_after : int
        Multiplications of a bulk prediction for one row; afterwards as prediction stores the
        layers: surviving weights of sparse ones, all weights of dense ones.
    unused_features : tuple of str
        Names of the inputs, or of the groups of inputs, that are no longer needed.
    stop_reason : str, default=""
        Reason why ``prune_fraction="auto"`` went no further; empty if nothing stopped it.

    See Also
    --------
    OBDMLPClassifier.summary : Makes a summary.
    OBDMLPRegressor.summary : Makes a summary.
    NetworkDisplay : Draws the surviving network as a graph.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skobd import OBDMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = OBDMLPClassifier(
    ...     hidden_layer_sizes=(5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    ... )
    >>> summary = clf.set_params(prune_fraction=0.8).fit(X, y).summary()
    >>> summary.n_weights_before, summary.n_weights_after
    (35, 7)
    >>> print(f"{summary.fraction_left:.0%}")
    20%
    """

    estimator_name: str
    layers_before: tuple[int, ...]
    layers_after: tuple[int, ...]
    n_weights_before: int
    n_weights_after: int
    n_inputs_before: int
    n_inputs_after: int
    n_bytes_before: int
    n_bytes_after: int
    n_multiply_adds_before: int
    n_multiply_adds_after: int
    unused_features: tuple[str, ...]
    stop_reason: str = ""

    @property
    def fraction_left(self) -> float:
        """Fraction of the weights that survives."""
        return self.n_weights_after / self.n_weights_before

    def _rows(self) -> list[tuple[str, str, str, str]]:
        """Name, before, after and what is left, as they are shown."""
        rows = [("layers", _joined(self.layers_before), _joined(self.layers_after), "")]
        for name, n_before, n_after in (
            ("weights", self.n_weights_before, self.n_weights_after),
            ("inputs", self.n_inputs_before, self.n_inputs_after),
            ("bytes as deployed", self.n_bytes_before, self.n_bytes_after),
            ("multiply-adds per row", self.n_multiply_adds_before, self.n_multiply_adds_after),
        ):
            rows.append((name, f"{n_before:,}", f"{n_after:,}", _percent(n_before, n_after)))
        return rows

    def _not_needed(self) -> str:
        """The inputs that are no longer needed, as far as they can be read at a glance."""
        more = len(self.unused_features) - _MOST_NAMES
        text = ", ".join(self.unused_features[:_MOST_NAMES]) or "none"
        return text + (f" and {more:,} more" if more > 0 else "")

    def _remarks(self) -> list[str]:
        """The lines below the table."""
        stopped = [f"stopped: {self.stop_reason}"] if self.stop_reason else []
        return [f"inputs not needed: {self._not_needed()}", *stopped]

    def __str__(self) -> str:
        rows = [(self.estimator_name, "before", "after", "left"), *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if place == 0 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        lines += self._remarks()
        return "\n".join(line.rstrip() for line in lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        head = _html_row("th", (self.estimator_name, "before", "after", "left"))
        body = "".join(_html_row("td", row) for row in self._rows())
        return (
            f'<table class="skobd-summary" style="{_TABLE}"><thead>{head}</thead>'
            f"<tbody>{body}</tbody></table>"
            + "".join(f"<p>{html.escape(remark)}</p>" for remark in self._remarks())
        )


def summarise(
    estimator_name: str,
    pruned: PrunedNetwork,
    counts: tuple[int, int],
    unused: Sequence[str],
    stop_reason: str = "",
) -> PruningSummary:
    """Summarise a network.

    Parameters
    ----------
    estimator_name : str
        Name of the estimator's class.
    pruned : PrunedNetwork
    counts : tuple of int
        Weights before and after.
    unused : sequence of str
        Names of the inputs that are no longer needed.
    stop_reason : str
        Why pruning went no further.
    """
    network, predictor = pruned.network, pruned.predictor
    dense = PrunedNetwork.dense(network, np.ones(network.n_parameters))
    return PruningSummary(
        estimator_name=estimator_name,
        layers_before=network.layer_sizes,
        layers_after=predictor.network.layer_sizes,
        n_weights_before=counts[0],
        n_weights_after=counts[1],
        n_inputs_before=network.layer_sizes[0],
        n_inputs_after=len(predictor.used_inputs),
        n_bytes_before=deployed_bytes(dense),
        n_bytes_after=deployed_bytes(pruned),
        n_multiply_adds_before=int(network.is_weight.sum()),
        n_multiply_adds_after=predictor.n_multiply_adds,
        unused_features=tuple(map(str, unused)),
        stop_reason=stop_reason,
    )


def caption(pruned: PrunedNetwork, counts: tuple[int, int]) -> str:
    """Describe a network in one line, for a diagram."""
    n_before, n_after = counts
    if pruned.mask.all():
        return f"nothing pruned, {n_before:,} weights"
    before, after = pruned.network.layer_sizes, pruned.predictor.network.layer_sizes
    sizes = f"layers {_joined(before)}" + (f" to {_joined(after)}" if after != before else "")
    return f"{n_after:,} of {n_before:,} weights left, {sizes}"


def _joined(sizes: Sequence[int]) -> str:
    return "-".join(map(str, sizes))


def _percent(before: float, after: float) -> str:
    return f"{after / before:.1%}"


def _html_row(kind: str, cells: Sequence[str]) -> str:
    sides = ("left", "right", "right", "right")
    row = "".join(
        f'<{kind} style="{_CELL}{side}">{html.escape(cell)}</{kind}>'
        for side, cell in zip(sides, cells, strict=True)
    )
    return f"<tr>{row}</tr>"
