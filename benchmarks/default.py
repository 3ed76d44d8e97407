"""The default fit beside scikit-learn's: accuracy, weights, training and prediction time.

    python benchmarks/default.py --data DIR --out default.csv     # about 15 minutes on one core
    python benchmarks/default.py --data DIR --ablate --out ablate.csv     # one element changed
    python benchmarks/default.py --from-csv default.csv                   # print the tables again

Every estimator has its own defaults, nothing set but the seed, on standardised inputs: the 24
tabular classification sets of tabular.py and six regression sets. Settings of the default recipe
were chosen on every other set (alphabetically) and are confirmed on the others. Prediction is
that of 100 000 rows, the test rows over and over. Times are CPU seconds:
OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 in the environment compares all of them on one thread.
"""

import copy
import statistics
import time
import warnings
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from _common import (
    arguments,
    geometric_mean,
    measure_missing,
    print_environment,
    print_table,
)
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor
from tabular import REGRESSION_SETS, SETS, Fold, load_fold, load_regression

from skobd import OBDMLPClassifier, OBDMLPRegressor

REFERENCE = "scikit-learn MLP"
CLASSIFIERS = {
    REFERENCE: MLPClassifier,
    "skobd": OBDMLPClassifier,
    "random forest": RandomForestClassifier,
    "gradient boosting": HistGradientBoostingClassifier,
}
REGRESSORS = {
    REFERENCE: MLPRegressor,
    "skobd": OBDMLPRegressor,
    "random forest": RandomForestRegressor,
    "gradient boosting": HistGradientBoostingRegressor,
}
# One thing is taken away from the default at a time, at equal numbers of epochs, 13 times 15; then
# one is replaced.
ABLATIONS: dict[str, dict[str, Any]] = {
    "skobd": {},
    "no regrowth": {"n_regrow": 0, "retrain_max_iter": 39},
    "no schedule": {"retrain_max_iter": None, "max_iter": 15},
    "no stronger penalty": {"retrain_alpha": 1e-4},
    "one round": {"n_rounds": 1, "n_regrow": 12},
    "none of these": {
        "n_regrow": 0,
        "retrain_max_iter": None,
        "max_iter": 39,
        "retrain_alpha": 1e-4,
    },
    "unit_obs": {"criterion": "unit_obs"},
    "magnitude": {"criterion": "magnitude"},
    "levenberg_marquardt": {"curvature": "levenberg_marquardt"},
}
N_PREDICTED = 100_000
# As far as the default goes at most.
LEVEL = 0.875


def judge(model: Any, fold: Fold, seconds: float) -> dict[str, Any]:
    """What a fitted model is good for."""
    row = {"seconds": seconds, "score": model.score(fold.X_test, fold.y_test)}
    if hasattr(model, "predict_proba"):
        probabilities = np.float64(model.predict_proba(fold.X_test))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        row["log_loss"] = log_loss(fold.y_test, probabilities, labels=model.classes_)
    if hasattr(model, "n_weights_"):
        row["weights_left"] = 1 - model.sparsity_
        row["units"] = len(model.compact().intercepts_[0])
    return row


def predict_seconds(model: Any, fold: Fold) -> float:
    """Seconds to predict many rows, the median of three."""
    rows = np.tile(fold.X_test, (-(-N_PREDICTED // len(fold.X_test)), 1))[:N_PREDICTED]
    predict = getattr(model, "predict_proba", model.predict)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        predict(rows)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def measure(name: str, seed: int, model: str, data_dir: str | None) -> list[dict[str, Any]]:
    """One model on one split; prediction is timed for the first seed only."""
    warnings.simplefilter("ignore")
    is_regression = name in REGRESSION_SETS
    fold = (load_regression if is_regression else load_fold)(name, seed, data_dir)
    kind = (REGRESSORS if is_regression else CLASSIFIERS)[model]
    start = time.process_time()
    fitted = kind(random_state=seed).fit(fold.X_train, fold.y_train)
    row = judge(fitted, fold, time.process_time() - start)
    if seed == 0:
        row["predict_seconds"] = predict_seconds(fitted, fold)
    return [row]


def ablate(name: str, seed: int, data_dir: str | None) -> list[dict[str, Any]]:
    """The default recipe, and others, from the same dense network."""
    warnings.simplefilter("ignore")
    is_regression = name in REGRESSION_SETS
    fold = (load_regression if is_regression else load_fold)(name, seed, data_dir)
    kinds = REGRESSORS if is_regression else CLASSIFIERS
    X, y = fold.X_train, fold.y_train
    rows = []
    start = time.process_time()
    reference = kinds[REFERENCE](random_state=seed).fit(X, y)
    rows.append({"model": REFERENCE, **judge(reference, fold, time.process_time() - start)})
    start = time.process_time()
    dense = kinds["skobd"](prune_fraction=0, random_state=seed).fit(X, y)
    seconds = time.process_time() - start
    for key, params in ABLATIONS.items():
        model = copy.deepcopy(dense).set_params(**params)
        start = time.process_time()
        model.prune(X, y, prune_fraction=LEVEL)
        row = judge(model, fold, seconds + time.process_time() - start)
        rows.append({"model": key, **row})
    return rows


def report(results: pd.DataFrame) -> None:
    """One table for classification and one for regression, and one row for each set."""
    means = results.groupby(["set", "model"], sort=False).mean(numeric_only=True)
    is_regression = means.index.get_level_values("set").isin(REGRESSION_SETS)
    for title, table in (
        ("accuracy", means[~is_regression]),
        ("R2", means[is_regression]),
    ):
        if table.empty:
            continue
        scores = table["score"].unstack("model", sort=False)
        n_seeds = results.loc[results["set"].isin(scores.index), "seed"].nunique()
        print(f"{title}, {len(scores)} sets, {n_seeds} seeds; times as ratios to {REFERENCE}")
        print_table(_rows(table), _HEADERS)
        print_table(
            [(name, *(f"{x:.3f}" for x in row)) for name, row in scores.iterrows()],
            ["set", *scores.columns],
        )
        deltas = scores.sub(scores[REFERENCE], axis=0)
        for model in deltas.columns:
            n = int((deltas[model] >= -0.005).sum())
            print(f"{model}: within .005 of {REFERENCE}, or better, on {n} of {len(deltas)} sets")
        print()


_HEADERS = [
    "model", "mean", "choosing half", "confirming half", "log-loss", "weights left", "units",
    "training time", "prediction time",
]  # fmt: skip


def _rows(table: pd.DataFrame) -> list[tuple]:
    """A row for each model, means over sets."""
    rows = []
    for model in table.index.unique("model"):
        mine, theirs = (table.xs(m, level="model").sort_index() for m in (model, REFERENCE))

        def ratio(quantity: str, mine: Any = mine, theirs: Any = theirs) -> float:
            if quantity not in mine:
                return np.nan
            return geometric_mean(mine[quantity] / theirs[quantity])

        score = mine["score"]
        chosen = score.index.isin((*SETS[::2], *REGRESSION_SETS[::2]))
        halves = score.mean(), score[chosen].mean(), score[~chosen].mean()
        others = (
            mine[name].mean() if name in mine else np.nan
            for name in ("log_loss", "weights_left", "units")
        )
        rows.append((model, *halves, *others, ratio("seconds"), ratio("predict_seconds")))
    return [
        (model, *("" if np.isnan(value) else f"{value:.4f}" for value in values))
        for model, *values in rows
    ]


def main() -> None:
    """Measure, or read what was measured; print."""
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=[*SETS, *REGRESSION_SETS])
    parser.add_argument("--models", nargs="+", default=list(CLASSIFIERS), choices=list(CLASSIFIERS))
    parser.add_argument("--ablate", action="store_true", help="change elements of the recipe")
    parser.add_argument(
        "--out",
        default="default.csv",
        help="results are added to this CSV file; sets and seeds in it are not measured again",
    )
    parser.add_argument("--from-csv", help="print the tables of an earlier run")
    options = parser.parse_args()
    if options.from_csv:
        report(pd.read_csv(options.from_csv))
        return
    print_environment()
    tasks: list[tuple] = [(name, seed) for seed in options.seeds for name in options.sets]
    if options.ablate:
        results = measure_missing(options.out, tasks, partial(ablate, data_dir=options.data))
    else:
        tasks = [(*task, model) for task in tasks for model in options.models]
        work = partial(measure, data_dir=options.data)
        results = measure_missing(options.out, tasks, work, ("set", "seed", "model"))
    report(results)


if __name__ == "__main__":
    main()
