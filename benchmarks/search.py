"""Choosing the pruning level: one path for each fold, against a grid search.

    python benchmarks/search.py --data DIR           # about ten minutes on two cores
    python benchmarks/search.py --sets segment --solvers adam --retrain 40

Ten levels, five folds, and a quarter of the epochs for retraining, for several seeds, which decide
the split (where there is no official one), the folds and the start of training. `PruningSearchCV`
and `GridSearchCV` over ``prune_fraction`` get the same pipeline, folds and levels, and run in turn.
Where skorch and PyTorch are installed, a grid search over magnitude pruning with
``torch.nn.utils.prune``, retraining per level, is a third column. At the end, the same search
with one worker and with two.
"""

import importlib.util
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from _common import (
    Dataset,
    arguments,
    geometric_mean,
    load_dataset,
    median_times,
    preprocessor,
    print_environment,
    print_table,
)
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from skobd import OBDMLPClassifier, PruningSearchCV
from skobd._search.search import DEFAULT_LEVELS
from skobd._search.selection import select_level

HAS_SKORCH = all(importlib.util.find_spec(name) for name in ("torch", "skorch"))
SETS = ("ionosphere", "credit_g", "segment", "optdigits")
HIDDEN, N_ROUNDS, RATE = 50, 5, 0.005
EPOCHS = 40
SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam", "alpha": 1e-3, "max_iter": EPOCHS, "learning_rate_init": RATE},
    "lbfgs": {"solver": "lbfgs", "alpha": 1.0, "max_iter": EPOCHS},
}


def make_pipeline(dataset: Dataset, mlp: Any) -> Pipeline:
    """The preprocessing of the data set before a network."""
    return Pipeline([("prepare", preprocessor(dataset)), ("mlp", mlp)])


def make_mlp(solver: str, seed: int, retrain: int) -> OBDMLPClassifier:
    """The network that both searches get."""
    return OBDMLPClassifier(
        (HIDDEN,),
        n_rounds=N_ROUNDS,
        retrain_max_iter=retrain,
        random_state=seed,
        **SOLVERS[solver],
    )


def torch_search(dataset: Dataset, n_classes: int, retrain: int) -> GridSearchCV:
    """What a user would put together from skorch and ``torch.nn.utils.prune``."""
    import torch
    from skorch import NeuralNetClassifier
    from torch.nn.utils import prune

    class PrunedNet(NeuralNetClassifier):
        """Train, then in rounds delete the smallest weights and retrain."""

        def __init__(self, *args: Any, prune_fraction: float = 0.5, **kwargs: Any) -> None:
            self.prune_fraction = prune_fraction
            super().__init__(*args, **kwargs)

        def fit(self, X: Any, y: Any) -> "PrunedNet":
            torch.manual_seed(0)
            X = X.astype(np.float32)
            super().fit(X, y)
            layers = [(m, "weight") for m in self.module_ if isinstance(m, torch.nn.Linear)]
            share = 1 - (1 - self.prune_fraction) ** (1 / N_ROUNDS)
            for _ in range(N_ROUNDS if self.prune_fraction else 0):
                prune.global_unstructured(layers, prune.L1Unstructured, amount=share)
                self.initialize_optimizer()
                self.fit_loop(X, y, epochs=retrain)
            return self

        def predict(self, X: Any) -> np.ndarray:
            return super().predict(X.astype(np.float32))

    n_inputs = preprocessor(dataset).fit_transform(dataset.X).shape[1]

    def module() -> Any:
        return torch.nn.Sequential(
            torch.nn.Linear(n_inputs, HIDDEN),
            torch.nn.ReLU(),
            torch.nn.Linear(HIDDEN, n_classes),
        )

    net = PrunedNet(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=RATE,
        batch_size=200,
        max_epochs=EPOCHS,
        train_split=None,
        verbose=0,
    )
    return GridSearchCV(
        make_pipeline(dataset, net), {"mlp__prune_fraction": list(DEFAULT_LEVELS)}, cv=folds(5)
    )


def folds(n: int, seed: int = 0) -> StratifiedKFold:
    """Shuffled folds, the same for every search."""
    return StratifiedKFold(n, shuffle=True, random_state=seed)


def timed(search: Any, X: np.ndarray, y: np.ndarray) -> tuple[Any, float]:
    """The fitted search, and the seconds that took."""
    start = time.perf_counter()
    search.fit(X, y)
    return search, time.perf_counter() - start


def compare(name: str, solver: str, seed: int, args: Any) -> dict[str, Any]:
    """Both searches on one data set, timed in turn, and scored on the held-out rows."""
    dataset = load_dataset(name, args.data)
    X, X_test, y, y_test = dataset.split(random_state=seed)
    pipeline, cv = make_pipeline(dataset, make_mlp(solver, seed, args.retrain)), folds(5, seed)
    path = PruningSearchCV(pipeline, prune_fractions=DEFAULT_LEVELS, cv=cv, selection="best")
    grid = GridSearchCV(pipeline, {"mlp__prune_fraction": list(DEFAULT_LEVELS)}, cv=cv)
    path, path_seconds = timed(path, X, y)
    grid, grid_seconds = timed(grid, X, y)
    row = {
        "data": f"{name} ({len(y)} rows)",
        "solver": solver,
        "seed": seed,
        "path s": path_seconds,
        "grid s": grid_seconds,
        "times faster": grid_seconds / path_seconds,
        "path level": path.best_params_["mlp__prune_fraction"],
        "grid level": grid.best_params_["mlp__prune_fraction"],
        "path acc": path.score(X_test, y_test),
        "grid acc": grid.score(X_test, y_test),
    }
    index = select_level(path.cv_results_, "score", "one_standard_error")
    row["1-SE level"] = DEFAULT_LEVELS[index]
    row["1-SE acc"] = score_at(pipeline, (X, y), (X_test, y_test), index)
    row["torch s"] = row["torch acc"] = float("nan")
    if HAS_SKORCH and solver == "adam" and seed == 0 and len(y) <= args.torch_rows:
        torch = torch_search(dataset, len(np.unique(y)), args.retrain)
        other, row["torch s"] = timed(torch, X, y)
        row["torch acc"] = other.score(X_test, y_test)
    return row


def score_at(
    pipeline: Pipeline, train: tuple[Any, Any], test: tuple[Any, Any], index: int
) -> float:
    """Held-out accuracy at a level of the path on all training rows."""
    prepare = clone(pipeline["prepare"]).fit(*train)
    path = pipeline["mlp"].pruning_path(
        prepare.transform(train[0]), train[1], DEFAULT_LEVELS[: index + 1]
    )
    return path.estimator_at(-1).score(prepare.transform(test[0]), test[1])


def speedup_of_workers(args: Any) -> None:
    """The same search with one worker and with two."""
    dataset = load_dataset("optdigits", args.data)
    X, _, y, _ = dataset.split()
    pipeline = make_pipeline(dataset, make_mlp("adam", 0, args.retrain))
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
    parser.add_argument(
        "--torch-rows", type=int, default=300, help="largest data set for the third column"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--retrain",
        type=int,
        default=10,
        help=f"epochs after each round; {EPOCHS} before the first",
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print_environment()
    rows = [
        compare(name, solver, seed, args)
        for solver in args.solvers
        for name in args.sets
        for seed in range(args.seeds)
    ]
    print_table([row.values() for row in rows], list(rows[0]))
    for solver in args.solvers:
        of_solver = [row for row in rows if row["solver"] == solver]
        print(
            f"{solver}: {geometric_mean(row['times faster'] for row in of_solver):.2f} times "
            "faster than the grid search in the geometric mean; mean accuracy "
            + ", ".join(
                f"{name} {np.mean([row[name] for row in of_solver]):.4f}"
                for name in ("path acc", "grid acc", "1-SE acc")
            )
        )
        gap = np.array([row["path acc"] - row["grid acc"] for row in of_solver])
        error = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else float("nan")
        print(f"{solver}: path minus grid {gap.mean():+.4f}, standard error {error:.4f}")
    against = [row["torch s"] / row["path s"] for row in rows if np.isfinite(row["torch s"])]
    if against:
        print(f"{geometric_mean(against):.1f} times faster than skorch with torch.nn.utils.prune")
    print()
    speedup_of_workers(args)


if __name__ == "__main__":
    main()
