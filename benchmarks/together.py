"""The penalty and the level chosen together, on the 24 tabular sets of tabular.py.

    python benchmarks/together.py --data DIR --out together.csv     # about an hour on two cores
    python benchmarks/together.py --from-csv together.csv           # print the tables again

`PruningSearchCV` with ``param_grid={"alpha": ...}``: three penalties, ten levels, five folds, one
path for each penalty and fold. Then all training rows are fitted along the path of each penalty,
so that every row of ``cv_results_`` has its accuracy on the test rows, and any rule that chooses a
row can be judged: the rules of the search, and the best dense network, whose penalty the same
folds choose. Rules were chosen on every other set (alphabetically) and are confirmed on the
others. A class with one row (in ``shuttle``) makes the fold that tests it fail: four are left.
"""

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _common import arguments, print_environment, print_table
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold
from tabular import MAX_ROWS, SETS, load_fold

from skobd import OBDMLPClassifier, PruningSearchCV
from skobd._search.search import DEFAULT_LEVELS
from skobd._search.selection import select_level

# To a stochastic solver alpha is that of a minibatch.
GRIDS = {"adam": (1e-4, 0.1, 1.0), "lbfgs": (0.1, 1.0, 10.0)}
TARGET_LOSS, TARGET_LEFT = 0.002, 1 / 15


def measure(
    name: str, seed: int, solver: str, levels: tuple[float, ...], options: Any
) -> pd.DataFrame:
    """What the search knows of every candidate and level, and how they do on the test rows."""
    warnings.simplefilter("ignore")
    fold = load_fold(name, seed, options.data, options.rows)
    mlp = OBDMLPClassifier(solver=solver, random_state=seed)
    search = PruningSearchCV(
        mlp,
        {"alpha": list(GRIDS[solver])},
        prune_fractions=levels,
        cv=StratifiedKFold(options.folds, shuffle=True, random_state=seed),
        scoring=options.scoring,
        refit=False,
    )
    start = time.perf_counter()
    results = search.fit(fold.X_train, fold.y_train).cv_results_
    frame = pd.DataFrame(
        {"set": name, "seed": seed, "solver": solver}, range(len(results["params"]))
    )
    for column in ("mean_test_score", "sem_test_score", "mean_n_weights"):
        frame[column] = results[column]
    for index in range(options.folds):
        frame[f"split{index}_test_score"] = results[f"split{index}_test_score"]
    frame["alpha"] = [float(row["alpha"]) for row in results["params"]]
    frame["level"] = [row["prune_fraction"] for row in results["params"]]
    frame["seconds"] = time.perf_counter() - start
    accuracy: list[float] = []
    left: list[float] = []
    for alpha in GRIDS[solver]:
        path = (
            clone(mlp)
            .set_params(alpha=alpha)
            .pruning_path(fold.X_train, fold.y_train, prune_fractions=levels)
        )
        for index in range(len(levels)):
            accuracy.append(path.estimator_at(index).score(fold.X_test, fold.y_test))
            left.append(path.n_weights[index] / path.n_weights[0])
    return frame.assign(accuracy=accuracy, left=left)


def chosen(part: pd.DataFrame, rule: str) -> pd.Series:
    """The row that a rule chooses on one set; "dense" is the best dense one."""
    if rule == "dense":
        part = part[part["level"] == 0]
        rule = "best"
    results = {name: part[name].to_numpy() for name in part} | {"params": [{}] * len(part)}
    return part.iloc[select_level(results, "score", rule)]


RULES = ("dense", "best", "one_standard_error")


def print_tables(results: pd.DataFrame) -> None:
    """What each rule chooses, in the mean over each half of the sets and set by set."""
    halves = {"choosing half": SETS[::2], "confirming half": SETS[1::2], "all": SETS}
    for solver, of_solver in results.groupby("solver"):
        picked = {
            (name, seed): {rule: chosen(part, rule) for rule in RULES}
            for (name, seed), part in of_solver.groupby(["set", "seed"])
        }
        rows = []
        for half, sets in halves.items():
            some = [rules for (name, _), rules in picked.items() if name in sets]
            for rule in RULES if some else ():
                accuracy = np.mean([rules[rule]["accuracy"] for rules in some])
                loss = np.mean([rules["dense"]["accuracy"] for rules in some]) - accuracy
                left = np.mean([rules[rule]["left"] for rules in some])
                hit = "HIT" if loss <= TARGET_LOSS and left <= TARGET_LEFT else "MISS"
                rows.append([half, rule, f"{accuracy:.4f}", f"{loss:+.4f}", f"{left:.4f}", hit])
        print(f"{solver}; target: at most {TARGET_LOSS} lost, {TARGET_LEFT:.4f} left")
        print_table(rows, ["sets", "rule", "accuracy", "lost", "weights left", "target"])
        rows = []
        for (name, seed), rules in picked.items():
            row: list[Any] = [name, seed]
            for rule in RULES:
                one = rules[rule]
                row += [f"{one['accuracy']:.3f}", f"{one['left']:.3f}", f"{one['alpha']:g}"]
            rows.append(row)
        headers = ["set", "seed"]
        for rule in RULES:
            headers += [rule, "left", "alpha"]
        print_table(rows, headers)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--solvers", nargs="+", default=list(GRIDS), choices=list(GRIDS))
    parser.add_argument("--levels", nargs="+", type=float, default=list(DEFAULT_LEVELS))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--scoring")
    parser.add_argument("--rows", type=int, default=MAX_ROWS)
    parser.add_argument("--out", type=Path, help="write the results to this CSV file")
    parser.add_argument("--from-csv", type=Path, help="print the tables of an earlier run")
    options = parser.parse_args()
    if options.from_csv:
        print_tables(pd.read_csv(options.from_csv))
        return
    print_environment()
    parts = Parallel(options.jobs, verbose=5)(
        delayed(measure)(name, seed, solver, tuple(options.levels), options)
        for seed in range(options.seeds)
        for name in options.sets
        for solver in options.solvers
    )
    results = pd.concat(parts)
    if options.out:
        results.to_csv(options.out, index=False)
    print_tables(results)


if __name__ == "__main__":
    main()
