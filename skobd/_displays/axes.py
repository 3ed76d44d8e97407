"""Names and scales of the axes of a curve."""

from typing import Any

import numpy as np

from .common import VERMILLION


def pretty(metric: str) -> str:
    """``neg_log_loss`` as "Negative log loss"."""
    words = metric.replace("_", " ").strip()
    if words.startswith("neg "):
        words = "negative " + words.removeprefix("neg ")
    return words[:1].upper() + words[1:]


def without_sign(name: str) -> str:
    """What the negative of a score is called: "Negative RMSE of CO2" as "RMSE of CO2"."""
    name = name.removeprefix("Negative ")
    return name[:1].upper() + name[1:]


def to_decibels(values: Any, decibels: bool) -> Any:
    """10 log10 of positive values, if asked for."""
    if not decibels:
        return values
    if np.any(np.asarray(values) <= 0):
        raise ValueError(
            f"decibels=True needs positive values, got {np.nanmin(values):.4g}; use "
            "decibels=False (or negate_score=True for a scorer called neg_*)."
        )
    return 10 * np.log10(values)


def scale_axis(ax: Any, xscale: str) -> None:
    """Set the scale of the x axis, with plain numbers on a logarithmic one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    ax.set_xscale(xscale)
    formatter = FuncFormatter(lambda value, _: f"{value:,.0f}")
    if xscale == "log":
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(formatter)


def mark_best(ax: Any, n_weights: Any, values: Any, index: int) -> Any:
    """A star at the chosen level."""
    x, y = n_weights[index], values[index]
    ax.axvline(x, color=VERMILLION, lw=0.8, ls=":")
    (line,) = ax.plot(
        [x],
        [y],
        "*",
        color=VERMILLION,
        ms=13,
        mec="white",
        mew=0.8,
        zorder=5,
        ls="none",
        label=f"chosen: {x:,.0f} weights",
    )
    return line
