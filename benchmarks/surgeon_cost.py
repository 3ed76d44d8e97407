"""Time of one deletion by the surgeon, against an epoch of training.

    python benchmarks/surgeon_cost.py       # about 4 minutes on two cores

One call of ``prune`` without retraining (Hessian blocks, elimination order for half of the
weights, correction) on 784-300-100-10 with 20 000 rows, and how it grows with rows, inputs and
units. The Hessian is estimated from at most MAX_HESSIAN_ROWS rows, so beyond those the rows cost
nothing more. Times are CPU seconds (of all threads), which other processes disturb little. Data
are synthetic: the time depends on the shapes alone.
"""

import copy
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from _common import arguments, print_environment, print_table
from sklearn.exceptions import ConvergenceWarning

from skobd import OBDMLPClassifier
from skobd._prune import obs

N_ROWS, N_INPUTS, N_UNITS = 20_000, 784, 300
N_CLASSES = 10


def network(n_rows: int, n_inputs: int, n_units: int) -> tuple[Any, np.ndarray, np.ndarray, float]:
    """A network after two epochs of Adam, its data, and the CPU seconds of the second epoch."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_inputs))
    y = (X @ rng.standard_normal((n_inputs, N_CLASSES))).argmax(axis=1)
    model = OBDMLPClassifier((n_units, 100), prune_fraction=0, random_state=0)
    model.partial_fit(X, y, classes=np.arange(N_CLASSES))
    start = time.process_time()
    model.partial_fit(X, y)
    return model, X, y, time.process_time() - start


def seconds(model: Any, X: np.ndarray, y: np.ndarray, criterion: str, repeats: int) -> float:
    """Least CPU time of deleting half of the weights."""
    times = []
    for _ in range(repeats):
        pruned = copy.deepcopy(model).set_params(criterion=criterion, retrain_max_iter=0)
        start = time.process_time()
        pruned.prune(X, y, prune_fraction=0.5, n_rounds=1)
        times.append(time.process_time() - start)
    return min(times)


def case(shape: tuple[int, int, int], repeats: int) -> list[Any]:
    """A row of the table."""
    model, X, y, epoch = network(*shape)
    obd = seconds(model, X, y, "obd", repeats)
    unit_obs = seconds(model, X, y, "unit_obs", repeats)
    name = f"{shape[0]} x {shape[1]}-{shape[2]}-100-{N_CLASSES}"
    return [name, epoch, obd, unit_obs, unit_obs / epoch]


def exponent(xs: list[int], times: list[float]) -> float:
    """Slope of log time over log size."""
    return float(np.polyfit(np.log(xs), np.log(times), 1)[0])


def main() -> None:
    """Measure, print and plot."""
    parser = arguments(__doc__)
    parser.set_defaults(repeats=1)
    parser.add_argument("--plot", type=Path, help="save the plot of the growth")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print_environment()
    headers = [
        "network",
        "epoch of Adam (CPU s)",
        "obd (CPU s)",
        "unit_obs (CPU s)",
        "unit_obs / epoch",
    ]
    full = (N_ROWS, N_INPUTS, N_UNITS)
    print(f"MAX_HESSIAN_ROWS = {obs.MAX_HESSIAN_ROWS}")
    print_table([case(full, options.repeats)], headers)
    sweeps = {
        "rows": [(n, 200, 100) for n in (500, 1000, 2000, 5000, 20_000)],
        "inputs": [(2000, n, 100) for n in (100, 200, 400, 784)],
        "units": [(2000, 200, n) for n in (50, 100, 200, 400)],
    }
    growth = {}
    for what, shapes in sweeps.items():
        rows = [case(shape, options.repeats) for shape in shapes]
        sizes = [shape[list(sweeps).index(what)] for shape in shapes]
        growth[what] = sizes, [row[3] for row in rows]
        print(f"growth with {what}: unit_obs ~ {what}^{exponent(*growth[what]):.1f}")
        print_table(rows, headers)
    if options.plot:
        plot(growth, options.plot)


def plot(growth: dict[str, tuple[list[int], list[float]]], path: Path) -> None:
    """Seconds against rows, inputs and units."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(growth), figsize=(11, 3.4), sharey=True)
    for ax, (what, (sizes, times)) in zip(axes, growth.items(), strict=True):
        ax.loglog(sizes, times, marker="o")
        ax.set_xticks(sizes, sizes, minor=False)
        ax.minorticks_off()
        ax.set(xlabel=what)
    axes[0].set_ylabel("unit_obs (CPU s)")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    print(f"plot saved to {path}")


if __name__ == "__main__":
    main()
