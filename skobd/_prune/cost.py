"""What the criteria that invert a Hessian will cost, before they begin."""

import os
from typing import NamedTuple

from .._net.network import Mask, Network
from .._threads import count_threads
from .blocks import BATCH_ELEMENTS, MAX_DOUBLE, MAX_HESSIAN_ROWS
from .curvature import MAX_PASSES
from .kronecker import MAX_ROWS

# Floating-point operations a second that a core does in single precision; half in double.
_SPEED = 4e10
# Elements of a matrix that it updates in a second, where memory is the limit.
_UPDATES = 6e8
# What takes longer is announced.
_PATIENCE = 60.0


class Cost(NamedTuple):
    """Of one deletion.

    Attributes
    ----------
    seconds : float
        On one core.
    n_bytes : float
        Beside the data and the network.
    """

    seconds: float
    n_bytes: float


def deletion_cost(
    criterion: str, network: Network, mask: Mask, n_samples: int, n_sets: int = 0
) -> Cost:
    """Of a matrix of s parameters: n s^2 operations for its product, 2 s^3 for the rest.

    ``n_sets`` is how many units or inputs go one after the other.
    """
    n_rows = min(n_samples, MAX_HESSIAN_ROWS)
    if criterion == "unit_obs":
        sizes = [layer.sum(axis=0).astype(float) for layer in network.layers(mask)]
        speeds = [_SPEED / (1 + (size <= MAX_DOUBLE)) for size in sizes]
        seconds = sum(
            float(((n_rows * size**2 + 2 * size**3) / speed).sum())
            for size, speed in zip(sizes, speeds, strict=True)
        )
        largest = max(float(size.max()) for size in sizes)
        # A batch of inverses, and of the largest block copies in both precisions and its rows.
        of_thread = 8 * BATCH_ELEMENTS + 24 * largest**2 + 12 * n_rows * largest
        of_rows = sum(12 * n_rows * (fan_in + fan_out) for fan_in, fan_out in network.shapes)
        return Cost(seconds, count_threads(len(sizes)) * of_thread + of_rows + 40 * mask.size)
    if criterion == "obs":
        size, n_outputs = float(mask.sum()), network.layer_sizes[-1]
        seconds = (2 * n_rows * n_outputs * size**2 + 4 * size**3) / _SPEED
        return Cost(seconds, 40 * size**2 + 40 * BATCH_ELEMENTS)
    if criterion == "kfac":
        return _kronecker_cost(network, mask, n_samples, n_sets)
    return Cost(0.0, 0.0)


def _kronecker_cost(network: Network, mask: Mask, n_samples: int, n_sets: int) -> Cost:
    """Of s sources and m units in a layer: A is (s, s), S is (m, m), from a pass per output."""
    n_rows, n_passes = min(n_samples, MAX_ROWS), min(network.layer_sizes[-1], MAX_PASSES)
    sizes = [float(layer.any(axis=1).sum()) for layer in network.layers(mask)]
    operations, updates, n_kept = 0.0, 0.0, 0.0
    for size, (fan_in, fan_out) in zip(sizes, network.shapes, strict=True):
        operations += n_rows * size**2 + 2 * size**3
        operations += n_passes * n_rows * fan_out * (2.0 * fan_in + fan_out)
        updates += n_sets * size**2
        n_kept += size**2 + float(fan_out) ** 2
    largest, widest = max(sizes), max(network.layer_sizes[1:])
    # What is inverted and its copies, or the rows it is made of; activations; one pass.
    n_busy = max(2 * n_rows * largest + 2 * largest**2, 5 * max(largest, widest) ** 2)
    n_busy += n_rows * (sum(map(sum, network.shapes)) + 3.0 * widest)
    # In double precision, but of symmetric products one half is computed.
    return Cost(operations / _SPEED + updates / _UPDATES, 8 * (n_kept + n_busy))


def check_cost(
    criterion: str, network: Network, mask: Mask, n_samples: int, n_sets: int = 0
) -> str | None:
    """Say what a deletion will cost if that is much.

    Returns
    -------
    message : str or None

    Raises
    ------
    ValueError
        If it needs more memory than there is.
    """
    cost = deletion_cost(criterion, network, mask, n_samples, n_sets)
    there = available_memory()
    if cost.n_bytes > there:
        raise ValueError(
            f"criterion={criterion!r} needs about {cost.n_bytes / 2**30:.1f} GiB of memory for "
            f"this network, and {there / 2**30:.1f} GiB are there. Use criterion='obd', or make "
            "the network smaller."
        )
    if cost.seconds < _PATIENCE:
        return None
    return (
        f"criterion={criterion!r} will take about {cost.seconds / 60:.0f} minutes of a core for "
        f"the first deletion, and {cost.n_bytes / 2**30:.1f} GiB of memory. criterion='obd' takes "
        "seconds."
    )


def available_memory() -> float:
    """Bytes that can be had without swapping; infinite where nobody knows."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return 1024.0 * int(fields["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return float("inf")
