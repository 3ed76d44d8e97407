"""The schedule of a pruning: how many weights, units or inputs are left after each round."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

# Number of rounds that is always allowed; with more, each must have something to delete.
_MOST_ROUNDS = 1000


class NoSuchSizeError(ValueError):
    """Error if the network can have none of the sizes of a path, for a ``reason``."""

    def __init__(self, sizes: Sequence[float], reason: str) -> None:
        super().__init__(sizes, reason)
        self.sizes, self.reason = sizes, reason

    def __str__(self) -> str:
        return f"sizes={self.sizes} cannot be had: {self.reason}."


@dataclass(frozen=True)
class Levels:
    """Levels of a path, from dense to sparse.

    Attributes
    ----------
    values : tuple of float or int
        Fractions deleted, ascending; or sizes, the numbers of weights, units or inputs left,
        falling.
    are_sizes : bool
    are_own : bool
        Whether they come from the parameters of the estimator.
    """

    values: tuple[float, ...]
    are_sizes: bool = False
    are_own: bool = False

    @classmethod
    def of(cls, prune_fractions: Any, sizes: Any = None) -> "Levels":
        """Check either fractions or sizes, sort them and drop duplicates."""
        if sizes is None:
            return cls(_sorted("prune_fractions", prune_fractions, "fiu", "numbers in [0, 1)"))
        if prune_fractions is not None:
            raise ValueError(
                "prune_fractions and sizes both say where a path goes: give one of them, got "
                f"prune_fractions={prune_fractions!r} and sizes={sizes!r}."
            )
        return cls(_sorted("sizes", sizes, "iu", "whole numbers of at least 1")[::-1], True)

    def upto(self, index: int) -> "Levels":
        """Keep the levels up to one of them."""
        return replace(self, values=self.values[: index + 1])

    def within(self, n_least: int, n_total: int) -> "Levels":
        """Keep the fractions, or the sizes that a network of ``n_total`` can have."""
        if not self.are_sizes:
            return self
        return replace(self, values=tuple(n for n in self.values if n_least <= n <= n_total))

    def fractions(self, n_total: int) -> tuple[float, ...]:
        """Return the fractions deleted of ``n_total``; negative for larger sizes."""
        return tuple(1 - n / n_total for n in self.values) if self.are_sizes else self.values


def _sorted(name: str, given: Any, kinds: str, allowed: str) -> tuple[Any, ...]:
    """Sort levels without duplicates; refuse wrong kinds of numbers, and those out of range."""
    levels = np.asarray(given)
    # NumPy turns a bool among numbers into a number.
    has_bool = levels.ndim == 1 and any(isinstance(one, bool | np.bool_) for one in given)
    if levels.ndim != 1 or levels.size == 0 or levels.dtype.kind not in kinds or has_bool:
        raise ValueError(f"{name} must be a non-empty sequence of {allowed}, got {given!r}.")
    # Written so that NaN is refused, too.
    is_right = levels >= 1 if name == "sizes" else (levels >= 0) & (levels < 1)
    if not is_right.all():
        hint = "" if name == "sizes" else " Give sizes to say how many weights are left."
        raise ValueError(f"{name} must be {allowed}, got {levels[~is_right].tolist()}.{hint}")
    return tuple(np.unique(levels if name == "sizes" else levels.astype(np.float64)).tolist())


def geometric_levels(prune_fraction: float, n_rounds: int, present: float = 0.0) -> list[float]:
    """Return the fractions deleted after each round, so that the rest falls geometrically.

    After round r of R a fraction ``(1 - present) * ((1 - prune_fraction) / (1 - present))^(r/R)``
    is left.
    """
    if n_rounds == 0 or prune_fraction <= present:
        return []
    ratio = (1 - prune_fraction) / (1 - present)
    between = [1 - (1 - present) * ratio ** (r / n_rounds) for r in range(1, n_rounds)]
    return [*between, float(prune_fraction)]


def survivors_at(levels: Iterable[float], n_total: int) -> list[int]:
    """Count how many of ``n_total`` are left at each level, rounded."""
    return [round((1 - level) * n_total) for level in levels]


def survivor_schedule(
    n_total: int, n_present: int, prune_fraction: float, n_rounds: int
) -> list[int]:
    """Count how many of ``n_total`` are left after each round, beginning with ``n_present``."""
    if survivors_at([prune_fraction], n_total)[0] >= n_present:
        return []
    if n_rounds > max(n_total, _MOST_ROUNDS):
        raise ValueError(
            f"n_rounds={n_rounds} is more than the {n_total} that there are to delete; give at "
            f"most {max(n_total, _MOST_ROUNDS)}."
        )
    levels = geometric_levels(prune_fraction, n_rounds, present=1 - n_present / n_total)
    return survivors_at(levels, n_total)


def divided_cycles(n_cycles: int, counts: Sequence[int]) -> list[int]:
    """Divide cycles of regrowth over rounds, in proportion to the logarithm of what each deletes.

    Cumulative sums are rounded down, so that the last round that deletes has a cycle.

    Parameters
    ----------
    n_cycles : int
    counts : sequence of int
        Numbers left before the first round, and after each.
    """
    gone = -np.diff(np.log(np.maximum(counts, 1)))
    total = gone.sum()
    if total == 0:
        return [0] * len(gone)
    # Rounds that delete equal parts must not depend on the last bits of logarithms.
    upto = np.floor(n_cycles * np.cumsum(gone) / total + 1e-9)
    return np.diff(upto, prepend=0).astype(int).tolist()
