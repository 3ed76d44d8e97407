"""What a search prints: the levels of each fold, and in the end those of the whole."""

from collections.abc import Sequence
from typing import Any

from .._mlp.path import PruningPath
from .candidates import candidate_names, level_of


def print_fold(
    name: str,
    verbose: int,
    path: PruningPath | None,
    scores: Sequence[tuple[float, dict[str, float] | float]],
    seconds: float,
) -> None:
    """Print a line for a fold; with ``verbose > 1`` one for each round, too.

    ``scores`` has the number of weights and the score of each level that was reached.
    """
    if path is None:
        print(f"{name}: failed after {seconds:.1f} s")
        return
    if verbose > 1:
        for fitted in path["steps"]:
            print(f"{name}, {fitted.latest.describe()}")
    levels = ", ".join(
        f"{n_weights}{'' if isinstance(score, dict) else f' ({score:.4f})'}"
        for n_weights, score in scores
    )
    print(f"{name}: weights left (score) {levels} in {work(path, seconds)}")


def print_levels(results: dict[str, Any], metric: str, best_index: int) -> None:
    """A line for every row of ``cv_results_``, the chosen one marked."""
    columns = ("mean_n_weights", f"mean_test_{metric}", f"sem_test_{metric}")
    rows = zip(*(results[name] for name in columns), strict=True)
    names = candidate_names(results["params"])
    for index, (n_weights, mean, error) in enumerate(rows):
        name = f"level {level_of(results['params'][index]):g}"
        if names is not None:
            name = f"{names[index]}, {name}"
        mark = "  <- chosen" if index == best_index else ""
        print(f"{name}: {n_weights:.0f} weights, {metric} {mean:.4f} +- {error:.4f}{mark}")


def print_refit(path: PruningPath, seconds: float) -> None:
    """What is left at the end of the path on all data."""
    left = f"{path['n_weights'][-1]} weights left ({path['sparsity'][-1]:.1%} deleted)"
    print(f"refit: {left} in {work(path, seconds)}")


def work(path: PruningPath, seconds: float) -> str:
    """What it took."""
    return f"{path['n_iter'].sum()} iterations and {seconds:.1f} s"
