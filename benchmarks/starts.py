"""The smallest of several starts, on MONK's problems and four tabular sets.

    python benchmarks/starts.py --data DIR

`PruningSearchCV` with ``param_grid={"random_state": ...}``: as many starts as ``--starts``, one
path for each start and fold. What fewer starts choose is read off the same results: all windows of
so many neighbouring starts, the mean of which is one figure, so that the figure of one start is
not that of a lucky or unlucky one. All training rows are fitted along the path of each start, for
the accuracy on the test rows.
"""

import time
import warnings
from typing import Any, NamedTuple

import numpy as np
from _common import arguments, print_environment, print_table
from monks import PROBLEMS, load
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold
from tabular import load_fold

from skobd import OBDMLPClassifier, PruningSearchCV
from skobd._search.search import DEFAULT_LEVELS
from skobd._search.selection import select_level

TABULAR = ("page_blocks", "phoneme", "pima_diabetes", "segment")
# Sparser than the default ones: a start must have something to win.
LEVELS = (*DEFAULT_LEVELS, 0.98, 0.985, 0.99, 0.993)
MONKS_LEFT = (54, 45, 35, 28, 24, 20, *range(18, 3, -1))


class Measured(NamedTuple):
    """Of every row of ``cv_results_``, start by start: weights and accuracy on all training rows.

    ``seconds`` are those of the search of all starts, without its refit.
    """

    results: dict[str, np.ndarray]
    n_weights: np.ndarray
    accuracy: np.ndarray
    seconds: float

    def chosen(self, starts: list[int]) -> tuple[int, float]:
        """Weights and accuracy of what a search over some of the starts chooses."""
        n_levels = len(self.n_weights) // len(np.unique(self.results["param_random_state"]))
        rows = np.concatenate([np.arange(n_levels) + n_levels * start for start in starts])
        some = {name: np.asarray(self.results[name])[rows] for name in self.results}
        row = rows[select_level(some, "score", "one_standard_error")]
        return int(self.n_weights[row]), float(self.accuracy[row])


def problem(name: str, seed: int, data_dir: str | None) -> tuple[Any, tuple[float, ...], tuple]:
    """Estimator, levels, and training and test rows."""
    if name not in PROBLEMS:
        fold = load_fold(name, seed, data_dir)
        data = (fold.X_train, fold.X_test, fold.y_train, fold.y_test)
        return OBDMLPClassifier(), LEVELS, data
    of_paper = PROBLEMS[name]
    mlp = OBDMLPClassifier(
        (of_paper.hidden,),
        activation=of_paper.settings.activation,
        solver="lbfgs",
        alpha=of_paper.settings.alpha,
        # The stronger penalty of "auto" takes the networks of MONK's 1 apart.
        retrain_alpha=of_paper.settings.alpha,
        max_iter=300,
    )
    n_total = 18 * of_paper.hidden
    levels = tuple(1 - n_left / n_total for n_left in MONKS_LEFT if n_left <= n_total)
    return mlp, (0.0, *levels) if levels[0] else levels, load(name, data_dir)


def measure(name: str, seed: int, n_starts: int, data_dir: str | None) -> Measured:
    """One search over all starts, and the path of each on all training rows."""
    mlp, levels, (X_train, X_test, y_train, y_test) = problem(name, seed, data_dir)
    starts = list(range(n_starts * seed, n_starts * (seed + 1)))
    search = PruningSearchCV(
        mlp,
        {"random_state": starts},
        prune_fractions=levels,
        cv=StratifiedKFold(5, shuffle=True, random_state=seed),
        refit=False,
    )
    begin = time.perf_counter()
    results = search.fit(X_train, y_train).cv_results_
    seconds = time.perf_counter() - begin
    n_weights: list[int] = []
    accuracy: list[float] = []
    for start in starts:
        path = (
            clone(mlp)
            .set_params(random_state=start)
            .pruning_path(X_train, y_train, prune_fractions=levels)
        )
        n_weights += path.n_weights.tolist()
        accuracy += [path.estimator_at(row).score(X_test, y_test) for row in range(len(levels))]
    return Measured(results, np.array(n_weights), np.array(accuracy), seconds)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--starts", type=int, default=6)
    parser.add_argument("--sets", nargs="+", default=[*PROBLEMS, *TABULAR])
    options = parser.parse_args()
    print_environment()
    warnings.simplefilter("ignore")
    counts = sorted({1, min(3, options.starts), options.starts})
    rows = []
    for name in options.sets:
        measured = [
            measure(name, seed, options.starts, options.data) for seed in range(options.seeds)
        ]
        for count in counts:
            windows = range(1 if count == options.starts else options.starts)
            picked = [
                one.chosen([(first + index) % options.starts for index in range(count)])
                for one in measured
                for first in windows
            ]
            n_weights, accuracy = np.mean(picked, axis=0)
            seconds = np.mean([one.seconds for one in measured]) * count / options.starts
            rows.append([name, count, f"{n_weights:.1f}", f"{accuracy:.4f}", f"{seconds:.1f}"])
        print(*rows[-len(counts) :], flush=True, sep="\n")
    print()
    print_table(rows, ["set", "starts", "weights", "test accuracy", "seconds"])


if __name__ == "__main__":
    main()
