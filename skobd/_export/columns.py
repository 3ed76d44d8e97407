"""Inputs of a network as functions of the columns of a table, for people to read."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Input:
    """An input of a network: ``scale * term + offset``, its term made of one column.

    Attributes
    ----------
    column : str
        Name of the column.
    condition : str or None
        The term is 1 where the column is so, such as "= red" or "is missing", and 0 elsewhere;
        None: it is the column itself.
    n_values : int
        How many values the column can have, for a condition of equality; all unknown ones are one.
    scale, offset : float
    low, high : float
        What the column is clipped to.
    missing : object
        What a missing value of the column counts as; None where nothing is filled in.
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
        """Whether it is the column itself, missing values apart."""
        return replace(self, missing=None, source=None) == Input(self.column)

    @property
    def term(self) -> "Input":
        """The term on its own, which several inputs may have in common."""
        return replace(self, scale=1.0, offset=0.0)

    def scaled(self, scale: float, offset: float) -> "Input":
        """``scale * input + offset``."""
        return replace(self, scale=scale * self.scale, offset=scale * self.offset + offset)

    def clipped(self, low: float, high: float) -> "Input":
        """``clip(input, low, high)``, of an input without condition."""
        ends = sorted((end - self.offset) / self.scale for end in (low, high))
        # The narrower of two ranges; of ranges that do not meet the one end that is nearest.
        bounds = [float(np.clip(bound, ends[0], ends[1])) for bound in (self.low, self.high)]
        return replace(self, low=bounds[0], high=bounds[1])

    def filled(self, value: Any) -> "Input":
        """Missing values replaced, unless that has been done before."""
        if self.missing is not None:
            return self
        if isinstance(value, int | float | np.number) and not self.is_plain:
            value = (float(value) - self.offset) / self.scale
        return replace(self, missing=value)

    def of_indicator(self, indicator: Any) -> Any:
        """Values of the input where its term, before clipping, is 0 or 1."""
        return self.scale * np.clip(indicator, self.low, self.high) + self.offset

    def written(self, n_digits: int) -> str:
        """The term as text."""
        if self.condition is not None:
            return f"[{self.column} {self.condition}]"
        if (self.low, self.high) == (-np.inf, np.inf):
            return self.column
        low, high = (number(rounded(bound, n_digits)) for bound in (self.low, self.high))
        return f"clip({self.column}, {low}, {high})"


def rounded(value: float, n_digits: int) -> float:
    """A number rounded to significant digits."""
    return float(f"{float(value):.{min(n_digits, 17) - 1}e}")


def number(value: float) -> str:
    """The fewest digits that tell a number from all others."""
    return repr(float(value)).removesuffix(".0")
