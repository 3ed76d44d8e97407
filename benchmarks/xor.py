"""Which parameter do the criteria delete from a network that just solves XOR?

    python benchmarks/xor.py        # less than a minute

A 2-2-1 network has 9 parameters. Which of them XOR can do without is found by brute force: the
parameter is held at 0 and the others are trained from many starts. What remains solvable is one
intercept: no input weight and no outgoing weight can go, for monotone activations. A criterion
deletes one parameter of each trained network; the deletion is right if XOR stays solvable.

A 2-3-1 network has a redundant unit, 4 of its 13 parameters. There 4 parameters are deleted one
at a time, with retraining; the deletions are right if the network left still solves XOR. All of it
is done as the paper does; "obd, regrowth" has the default's cycles of regrowth at the end.
"""

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from _common import PAPERS_RECIPE, arguments, print_environment, print_table
from sklearn.exceptions import ConvergenceWarning

from skobd import OBDMLPClassifier
from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._train.objective import Objective
from skobd._train.settings import SolverSettings, Training
from skobd._train.solvers import solve
from skobd._train.state import TrainingState

CRITERIA = ("obd", "unit_obs", "obs", "magnitude", "random")
METHODS: dict[str, dict[str, Any]] = {criterion: {"criterion": criterion} for criterion in CRITERIA}
METHODS["obd, regrowth"] = {"criterion": "obd", "n_regrow": 8}
ACTIVATIONS = ("tanh", "logistic")
ALPHAS = (1e-4, 1e-3, 1e-2)
X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([0, 1, 1, 0])
NAMES = ("w11", "w12", "w21", "w22", "b1", "b2", "v1", "v2", "c")


def solvable(activation: str, n_starts: int = 40) -> np.ndarray:
    """True for each parameter of 2-2-1 without which XOR can be solved."""
    network = Network((2, 2, 1), activation)
    objective = Objective(network, LOSSES["binary_log_loss"], X, Y[:, np.newaxis].astype(float))
    settings = SolverSettings(solver="lbfgs", max_iter=200, tol=1e-9)
    possible = np.zeros(network.n_parameters, dtype=bool)
    rng = np.random.RandomState(0)
    for parameter in range(network.n_parameters):
        mask = np.ones(network.n_parameters, dtype=bool)
        mask[parameter] = False
        for _ in range(n_starts):
            theta = np.where(mask, rng.normal(scale=2.0, size=mask.size), 0.0)
            training = Training(settings, rng)
            result = solve(objective, theta, mask, TrainingState(), training)
            raw = network.raw_output(result.theta, X).ravel()
            if np.array_equal(raw > 0, Y > 0) and np.abs(raw).min() > 1:
                possible[parameter] = True
                break
    return possible


def trained(n_hidden: int, activation: str, alpha: float, n_networks: int) -> list[Any]:
    """Networks that solve XOR, from as many starts as it takes."""
    found: list[Any] = []
    seed = 0
    while len(found) < n_networks and seed < 50 * n_networks:
        model = OBDMLPClassifier(
            (n_hidden,),
            activation=activation,
            solver="lbfgs",
            alpha=alpha,
            max_iter=2000,
            tol=1e-9,
            prune_fraction=0,
            prune_intercepts=True,
            retrain_alpha=alpha,
            **PAPERS_RECIPE,
            random_state=seed,
        ).fit(X, Y)
        seed += 1
        if model.score(X, Y) == 1:
            found.append(model)
    return found


def delete(model: Any, method: str, n_delete: int, retrain: int) -> Any:
    """A copy with so many parameters deleted one at a time."""
    model = copy.deepcopy(model).set_params(**METHODS[method], retrain_max_iter=retrain)
    n_total = model.n_weights_
    model.prune(X, Y, prune_fraction=n_delete / n_total, n_rounds=n_delete)
    return model


def deleted(model: Any) -> np.ndarray:
    """Which of `NAMES` are deleted."""
    layers = zip(model.coef_masks_, model.intercept_masks_, strict=True)
    mask = np.concatenate([array.ravel() for layer in layers for array in layer])
    return np.flatnonzero(~mask)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--plot", type=Path, help="save the plot of rates")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print_environment()
    rows, rates = [], {}
    for activation in ACTIVATIONS:
        possible = solvable(activation)
        names = [name for name, can_go in zip(NAMES, possible, strict=True) if can_go]
        print(f"{activation}: XOR can do without {', '.join(names)}, one at a time, of 2-2-1")
        for alpha in ALPHAS:
            weight = trained(2, activation, alpha, options.networks)
            unit = trained(3, activation, alpha, options.networks)
            for method in METHODS:
                gone = [deleted(delete(m, method, 1, 0))[0] for m in weight]
                kept = [delete(m, method, 1, 500).score(X, Y) == 1 for m in weight]
                left = [delete(m, method, 4, 500).score(X, Y) == 1 for m in unit]
                means = [float(np.mean(what)) for what in (possible[gone], kept, left)]
                rates[activation, alpha, method] = means
                rows.append([activation, alpha, method, len(weight), len(unit)])
                rows[-1] += [f"{value:.0%}" for value in means]
    print()
    headers = ["activation", "alpha", "method", "2-2-1 networks", "2-3-1 networks"]
    headers += ["one weight: still solvable", "solved after retraining", "one unit: solved"]
    print_table(rows, headers)
    worst = min(share[0] for key, share in rates.items() if key[2] == "obs")
    print(f"obs, one weight: {worst:.0%} at worst; target 100%: {'HIT' if worst == 1 else 'MISS'}")
    if options.plot:
        plot(rates, options.plot)


def plot(rates: dict[tuple[str, float, str], list[float]], path: Path) -> None:
    """Bars of the share of right deletions, one panel for each activation."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(ACTIVATIONS), figsize=(10, 3.6), sharey=True)
    for ax, activation in zip(axes, ACTIVATIONS, strict=True):
        for k, alpha in enumerate(ALPHAS):
            heights = [rates[activation, alpha, criterion][0] for criterion in CRITERIA]
            ax.bar(np.arange(len(CRITERIA)) + 0.27 * (k - 1), heights, 0.25, label=f"{alpha:g}")
        ax.set_xticks(range(len(CRITERIA)), CRITERIA)
        ax.set(title=f"2-2-1, {activation}")
    axes[0].set_ylabel("XOR still solvable")
    axes[1].legend(title="alpha", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    print(f"plot saved to {path}")


if __name__ == "__main__":
    main()
