"""The schedule of a pruning: how many weights, units or inputs are left after each round."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

# Rounds that are always allowed; of more there must be something to delete in each.
_MOST_ROUNDS = 1000


def check_levels(prune_fractions: Any) -> tuple[float, ...]:
    """Sort levels from dense to sparse, each once; refuse those outside [0, 1)."""
    levels = np.asarray(prune_fractions)
    if levels.ndim != 1 or levels.size == 0 or levels.dtype.kind not in "fiu":
        raise ValueError(
            "prune_fractions must be a non-empty sequence of numbers in [0, 1), got "
            f"{prune_fractions!r}."
        )
    # Written so that NaN is refused too.
    wrong = levels[~((levels >= 0) & (levels < 1))]
    if wrong.size:
        raise ValueError(f"prune_fractions must be in [0, 1), got {wrong.tolist()}.")
    return tuple(np.unique(levels.astype(np.float64)).tolist())


def geometric_levels(prune_fraction: float, n_rounds: int, present: float = 0.0) -> list[float]:
    """Fractions gone after each round, so that the rest falls geometrically.

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

    Up to every round their sum is rounded down, so that the last round that deletes has one.

    Parameters
    ----------
    n_cycles : int
    counts : sequence of int
        How many are left before the first round, and after each.
    """
    gone = -np.diff(np.log(np.maximum(counts, 1)))
    total = gone.sum()
    if total == 0:
        return [0] * len(gone)
    # Rounds that delete equal parts are not to depend on the last bits of logarithms.
    upto = np.floor(n_cycles * np.cumsum(gone) / total + 1e-9)
    return np.diff(upto, prepend=0).astype(int).tolist()
