"""Choosing the pruning level: one path for each fold, against a grid search.

    python benchmarks/search.py --data DIR --out search.csv     # about 15 minutes on one core
    python benchmarks/search.py --from-csv search.csv           # print the tables again

Ten levels and five folds for several seeds, which decide the split (where there is no official
one), the folds and the start of training. `GridSearchCV` over ``prune_fraction`` fits the default
estimator at each level: five rounds and eight cycles of regrowth. `PruningSearchCV` gets the same
pipeline, folds and levels. Times are CPU seconds; `--workers` compares the wall-clock time of one
worker and of two.
"""

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from _common import (
    Dataset,
    arguments,
    geometric_mean,
    load_dataset,
    measure_missing,
    median_times,
    preprocessor,
    print_environment,
    print_table,
)
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline

from skobd import OBDMLPClassifier, PruningSearchCV
from skobd._search.search import DEFAULT_LEVELS

# None of these had a part in the choice of how the levels of a path divide the cycles.
SETS = ("ionosphere", "spambase", "kr_vs_kp", "car", "page_blocks", "optdigits")
SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam"},
    "lbfgs": {"solver": "lbfgs", "alpha": 1.0},
}
TIMES_FASTER, LEAST_DIFFERENCE = 5, -0.002


def make_pipeline(dataset: Dataset, mlp: Any) -> Pipeline:
    """The preprocessing of the data set before a network."""
    return Pipeline([("prepare", preprocessor(dataset)), ("mlp", mlp)])


def make_mlp(solver: str, seed: int) -> OBDMLPClassifier:
    """The network that all searches get."""
    return OBDMLPClassifier(random_state=seed, **SOLVERS[solver])


def folds(n: int, seed: int = 0) -> StratifiedKFold:
    """Shuffled folds, the same for every search."""
    return StratifiedKFold(n, shuffle=True, random_state=seed)


def compare(name: str, solver: str, seed: int, args: Any) -> list[dict[str, Any]]:
    """All searches on one data set, timed in turn, and scored on the held-out rows."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    dataset = load_dataset(name, args.data)
    X, X_test, y, y_test = dataset.split(random_state=seed)
    if args.rows is not None and args.rows < len(y):
        X, _, y, _ = train_test_split(X, y, train_size=args.rows, random_state=seed, stratify=y)
    pipeline, cv = make_pipeline(dataset, make_mlp(solver, seed)), folds(5, seed)
    searches: dict[str, Any] = {
        "grid": GridSearchCV(pipeline, {"mlp__prune_fraction": list(DEFAULT_LEVELS)}, cv=cv),
        "path": PruningSearchCV(pipeline, cv=cv, selection="best"),
    }
    clone(pipeline).fit(X, y)  # numba compiles
    rows = []
    for what, search in searches.items():
        start = time.process_time()
        search.fit(X, y)
        row = {"search": what, "seconds": time.process_time() - start}
        row["level"] = search.best_params_["mlp__prune_fraction"]
        row["accuracy"] = search.score(X_test, y_test)
        scores = np.asarray(search.cv_results_["mean_test_score"])
        rows.append(row | {f"cv {x:.3g}": y for x, y in zip(DEFAULT_LEVELS, scores, strict=True)})
    return rows


def report(results: pd.DataFrame) -> None:
    """Time and accuracy of the path against those of the grid."""
    key = ["set", "solver", "seed"]
    table = results.pivot(index=key, columns="search", values=["seconds", "accuracy", "level"])
    lines = zip(table.index, table.to_numpy(dtype=float).tolist(), strict=True)
    headers = [*key, *(" ".join(column) for column in table.columns)]
    print_table([[*index, *line] for index, line in lines], headers)
    levels = [column for column in results if column.startswith("cv ")]
    rows = []
    for solver, part in results.groupby("solver", sort=False):
        path, grid = (
            part[part["search"] == what].set_index(key).sort_index() for what in ("path", "grid")
        )
        faster = geometric_mean(grid["seconds"] / path["seconds"])
        gaps = [path["accuracy"] - grid["accuracy"], (path[levels] - grid[levels]).mean(axis=1)]
        is_met = faster >= TIMES_FASTER and gaps[0].mean() >= LEAST_DIFFERENCE
        rows.append([solver, len(path), f"{faster:.2f}"])
        rows[-1] += [f"{frame['accuracy'].mean():.4f}" for frame in (grid, path)]
        rows[-1] += [f"{frame['level'].mean():.3f}" for frame in (grid, path)]
        rows[-1] += [f"{gap.mean():+.4f} ({gap.sem():.4f})" for gap in gaps]
        rows[-1] += ["HIT" if is_met else "MISS"]
    headers = ["solver", "n", "times faster", "grid's accuracy", "path's", "grid's level", "path's"]
    headers += ["difference", "of validation at all levels"]
    target = f"{TIMES_FASTER} times, {LEAST_DIFFERENCE}"
    print("on the test rows; differences from the grid, in brackets their standard errors")
    print_table(rows, [*headers, target])


def speedup_of_workers(args: Any) -> None:
    """The same search with one worker and with two."""
    dataset = load_dataset("optdigits", args.data)
    X, _, y, _ = dataset.split()
    pipeline = make_pipeline(dataset, make_mlp("adam", 0))
    rows = []
    for n_folds in (5, 10):
        functions: dict[str, Callable[[], Any]] = {}
        for n_jobs in (1, 2):
            search = PruningSearchCV(pipeline, cv=folds(n_folds), n_jobs=n_jobs)
            functions[f"n_jobs={n_jobs}"] = lambda search=search: search.fit(X, y)
        seconds = median_times(functions, args.repeats)
        rows.append((n_folds, *seconds.values(), seconds["n_jobs=1"] / seconds["n_jobs=2"]))
    print("optdigits, adam: seconds with one worker and with two")
    print_table(rows, ["folds", "n_jobs=1", "n_jobs=2", "ratio"])


def main() -> None:
    """Run what the command line asks for."""
    parser = arguments(__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS), choices=list(SOLVERS))
    parser.add_argument("--rows", type=int, help="training rows at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--out",
        default="search.csv",
        help="results are added to this CSV file; what is in it is not measured again",
    )
    parser.add_argument("--from-csv", help="print the table of an earlier run")
    parser.add_argument("--workers", action="store_true", help="time one worker and two, only")
    args = parser.parse_args()
    if args.from_csv:
        report(pd.read_csv(args.from_csv))
        return
    print_environment()
    if args.workers:
        speedup_of_workers(args)
        return
    tasks = [(n, solver, seed) for seed in args.seeds for solver in args.solvers for n in args.sets]
    work = partial(compare, args=args)
    report(measure_missing(args.out, tasks, work, ("set", "solver", "seed")))


if __name__ == "__main__":
    main()
