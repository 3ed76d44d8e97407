"""What a splitter may give."""

from typing import Any

import numpy as np


def check_splits(splits: list[tuple[np.ndarray, np.ndarray]], cv: Any) -> None:
    """Splits with nothing to train or to score on are refused before any work."""
    if not splits:
        raise ValueError(f"cv={cv!r} made no splits.")
    for index, (train, test) in enumerate(splits):
        for rows, use in ((train, "training"), (test, "test")):
            if len(rows) == 0:
                raise ValueError(f"Split {index} of cv has no {use} rows.")
