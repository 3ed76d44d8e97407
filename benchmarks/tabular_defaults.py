"""Choosing skobd's own defaults on half of the tabular sets, confirming them on the other half.

    python benchmarks/tabular_defaults.py --data DIR      # about 15 minutes on two cores

On the choosing half (every other set of tabular.py) networks are judged on a validation part of
the training rows; the test rows are not looked at. On the confirming half they are judged on the
test rows. One dense network (L-BFGS, alpha=1) per set and seed is pruned to 90 % and on to 98 %
by each variant of the settings; a variant differs in one setting from the defaults.
"""

import copy
import itertools
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd
from _common import arguments, print_environment, print_table
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from tabular import SETS, SOLVERS, Fold, load_fold, score

from skobd import OBDMLPClassifier
from skobd._prune import obs

MAX_ROWS = 3_000
# On the geometric schedule to 98 % the first level is passed after three fifths of the rounds.
LEVELS = (1 - 0.02 ** (3 / 5), 0.98)
# Iterations of retraining that the schedules share.
BUDGET = 150
CURVATURE = OBDMLPClassifier().curvature
BARE = ", no retraining"


class Variant(NamedTuple):
    """One setting changed: of the estimator, of the number of rounds, of the surgeon module."""

    criterion: str
    what: str
    parameters: dict[str, Any] = {}
    n_rounds: int = 5
    constants: dict[str, Any] = {}


def _variants() -> list[Variant]:
    kinds = ("gauss_newton", "levenberg_marquardt", "hessian")
    found = []
    for criterion in ("obd", "unit_obs"):
        # Blocks of "hessian" are those of "levenberg_marquardt".
        for kind in kinds if criterion == "obd" else kinds[:2]:
            found.append(Variant(criterion, f"curvature={kind}", {"curvature": kind}))
        for n_rounds in (2, 10):
            iterations = {"retrain_max_iter": BUDGET // n_rounds}
            found.append(Variant(criterion, f"n_rounds={n_rounds}", iterations, n_rounds))
        for iterations in (100, 200):
            changed = {"retrain_max_iter": iterations}
            found.append(Variant(criterion, f"retrain_max_iter={iterations}", changed))
    found.append(Variant("obd", f"curvature={kinds[0]}{BARE}", {"retrain_max_iter": 0}))
    for kind in kinds[:2]:
        changed = {"curvature": kind, "retrain_max_iter": 0}
        found.append(Variant("unit_obs", f"curvature={kind}{BARE}", changed))
    for changed, suffix in (({}, ""), ({"retrain_max_iter": 0}, BARE)):
        for name, values in (("MAX_HESSIAN_ROWS", (500, 8000)), ("_DAMPING", (1e-6, 1e-2))):
            for value in values:
                what = f"{name}={value:g}{suffix}"
                found.append(Variant("unit_obs", what, changed, 5, {name: value}))
    return found


VARIANTS = _variants()


def measure(name: str, seed: int, data_dir: str | None) -> list[list[Any]]:
    """Accuracy and log-loss of every variant on one set."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    fold = load_fold(name, seed, data_dir, MAX_ROWS)
    choosing = SETS.index(name) % 2 == 0
    if choosing:
        X, X_val, y, y_val = train_test_split(
            fold.X_train, fold.y_train, test_size=0.25, random_state=seed
        )
        fold = Fold(X, X_val, y, y_val, fold.n_classes)
    dense = OBDMLPClassifier(**SOLVERS["lbfgs"], prune_fraction=0, random_state=seed)
    dense.fit(fold.X_train, fold.y_train)
    half = "choose" if choosing else "confirm"
    rows: list[list[Any]] = [[half, name, seed, "dense", "", 0.0, *score(dense, fold)]]
    for variant in VARIANTS:
        model = copy.deepcopy(dense)
        model.set_params(criterion=variant.criterion, **variant.parameters)
        first = round(0.6 * variant.n_rounds)
        for level, n_rounds in zip(LEVELS, (first, variant.n_rounds - first), strict=True):
            with patch.multiple(obs, **(variant.constants or {"_DAMPING": obs._DAMPING})):
                model.prune(fold.X_train, fold.y_train, level, n_rounds)
            figures = score(model, fold)
            rows.append([half, name, seed, variant.criterion, variant.what, level, *figures])
    return rows


def print_half(results: pd.DataFrame, title: str) -> None:
    """Mean accuracy and log-loss of each variant, and how often it beats the defaults."""
    print(title)
    dense = results[results["criterion"] == "dense"]
    print(
        f"dense: accuracy {dense['accuracy'].mean():.4f}, log-loss {dense['log_loss'].mean():.4f}"
    )
    values = results[results["criterion"] != "dense"].pivot_table(
        index=["criterion", "what"],
        columns=["level", "set", "seed"],
        values=["accuracy", "log_loss"],
    )
    rows = []
    for variant in VARIANTS:
        key = (variant.criterion, variant.what)
        row: list[Any] = list(key)
        default = f"curvature={CURVATURE}" + (BARE if BARE in variant.what else "")
        reference = (variant.criterion, default)
        for level in LEVELS:
            accuracy = values["accuracy"][level].loc[key]
            row += [f"{accuracy.mean():.4f}", f"{values['log_loss'][level].loc[key].mean():.4f}"]
            if reference in values.index and reference != key:
                theirs = values["accuracy"][level].loc[reference]
                row.append(f"{np.sum(accuracy > theirs)}-{np.sum(accuracy < theirs)}")
            else:
                row.append("")
        rows.append(row)
    headers = ["criterion", "setting"]
    for level in LEVELS:
        headers += [f"accuracy {level:.0%}", "log-loss", "wins-losses"]
    print_table(rows, headers)


def main() -> None:
    """Measure both halves and print them."""
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--out", type=Path, help="write the results to this CSV file")
    parser.add_argument("--from-csv", type=Path, help="print the tables of an earlier run")
    options = parser.parse_args()
    if options.from_csv:
        results = pd.read_csv(options.from_csv, keep_default_na=False)
    else:
        print_environment()
        start = time.perf_counter()
        tasks = [(name, seed) for seed in range(options.seeds) for name in options.sets]
        parts = Parallel(options.jobs, verbose=5)(
            delayed(measure)(name, seed, options.data) for name, seed in tasks
        )
        columns = ["half", "set", "seed", "criterion", "what", "level", "accuracy", "log_loss"]
        rows = itertools.chain.from_iterable(parts)
        results = pd.DataFrame(rows, columns=columns)
        print(f"{time.perf_counter() - start:.0f} s in all\n")
    if options.out:
        results.to_csv(options.out, index=False)
    print(
        f"{len(VARIANTS)} variants; default: {CURVATURE}, 5 rounds of 30 iterations, "
        f"MAX_HESSIAN_ROWS={obs.MAX_HESSIAN_ROWS}, damping {obs._DAMPING:g}\n"
    )
    for half, title in (
        ("choose", "Choosing half, validation rows"),
        ("confirm", "Confirming half, test rows"),
    ):
        part = results[results["half"] == half]
        if len(part):
            print_half(part, title)


if __name__ == "__main__":
    main()
