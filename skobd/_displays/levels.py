"""Which of many levels are shown."""

import numpy as np


def spread(n: int, most: int) -> list[int]:
    """At most so many of n places, evenly spread, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, n - 1, min(n, most))})


def levels_shown(n_levels: int, index: int | None, most: int) -> list[int]:
    """At most so many levels, the selected and the last among them, but not the dense network."""
    first = 1 if n_levels > 1 else 0
    levels = [first + place for place in spread(n_levels - first, most)]
    if most == 1:
        return [levels[-1] if index is None else index]
    if index is not None and index not in levels:
        # In the place of the nearest one; the last stays.
        nearest = min(range(len(levels) - 1), key=lambda place: abs(levels[place] - index))
        levels[nearest] = index
    return sorted(levels)
