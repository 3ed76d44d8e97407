"""Inputs of a network as functions of the columns of a table, for people to read."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Input:
    """An input of a network: ``scale * term + offset``, with a term of one column.

    Attributes
    ----------
    column : str
        Name of the column.
    condition : str or None
        Condition such as "= red" or "is missing": the term is 1 if the column meets it, else 0.
        None if the term is the column itself.
    n_values : int
        Number of values of the column, for a condition of equality; all unknown ones count as one.
    scale, offset : float
    low, high : float
        Limits to which the column is clipped.
    missing : object
        Replacement of missing values of the column; None if they are not replaced.
    source : str or None
        Transformer whose output the column is; None for a column of the table.
    """

    column: str
    condition: str | None = None
    n_values: int = 2
    scale: float = 1.0
    offset: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    missing: Any = None
    source: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is the column itself, except for missing values."""
        return replace(self, missing=None, source=None) == Input(self.column)

    @property
    def term(self) -> "Input":
        """Term without scale and offset, which several inputs may share."""
        return replace(self, scale=1.0, offset=0.0)

    def scaled(self, scale: float, offset: float) -> "Input":
        """Return ``scale * input + offset``."""
        return replace(self, scale=scale * self.scale, offset=scale * self.offset + offset)

    def clipped(self, low: float, high: float) -> "Input":
        """Return ``clip(input, low, high)`` of an input without condition."""
        ends = sorted((end - self.offset) / self.scale for end in (low, high))
        # The intersection of two ranges, or the nearest end if they do not meet.
        bounds = [float(np.clip(bound, ends[0], ends[1])) for bound in (self.low, self.high)]
        return replace(self, low=bounds[0], high=bounds[1])

    def filled(self, value: Any) -> "Input":
        """Replace missing values, unless they are replaced already."""
        if self.missing is not None:
            return self
        if isinstance(value, int | float | np.number) and not self.is_plain:
            value = (float(value) - self.offset) / self.scale
        return replace(self, missing=value)

    def of_indicator(self, indicator: Any) -> Any:
        """Return values of the input if its term, before clipping, is 0 or 1."""
        return self.scale * np.clip(indicator, self.low, self.high) + self.offset

    def written(self, n_digits: int) -> str:
        """Write the term as text."""
        if self.condition is not None:
            return f"[{self.column} {self.condition}]"
        if (self.low, self.high) == (-np.inf, np.inf):
            return self.column
        low, high = (number(rounded(bound, n_digits)) for bound in (self.low, self.high))
        return f"clip({self.column}, {low}, {high})"


def rounded(value: float, n_digits: int) -> float:
    """Round a number to significant digits."""
    return float(f"{float(value):.{min(n_digits, 17) - 1}e}")


def number(value: float) -> str:
    """Write a number with the fewest digits that distinguish it from all others."""
    return repr(float(value)).removesuffix(".0")
