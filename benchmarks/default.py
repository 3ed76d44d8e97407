"""The default fit beside scikit-learn's: accuracy, weights, training and prediction time.

    python benchmarks/default.py --data DIR --out default.csv        # about 25 minutes on two cores
    python benchmarks/default.py --data DIR --ablate                 # what each part gives, alone
    python benchmarks/default.py --from-csv default.csv              # print the tables again

Every estimator has its own defaults, nothing set but the seed, on standardised inputs: the 24
tabular classification sets of tabular.py and six regression sets. Settings of the default recipe
were chosen on every other set (alphabetically) and are confirmed on the others. Prediction is
that of 100 000 rows, the test rows over and over.
"""

import statistics
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from _common import arguments, geometric_mean, load_dataset, preprocessor, print_environment
from _common import print_table as print_rows
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from tabular import SETS, Fold, load_fold

from skobd import OBDMLPClassifier, OBDMLPRegressor

REGRESSION_SETS = (
    "reg_abalone",
    "reg_bike_sharing",
    "reg_california_housing",
    "reg_concrete",
    "reg_energy_heating",
    "reg_kin8nm",
)
REFERENCE = "scikit-learn MLP"
CLASSIFIERS = {
    REFERENCE: lambda seed, **params: MLPClassifier(random_state=seed),
    "skobd": lambda seed, **params: OBDMLPClassifier(random_state=seed, **params),
    "random forest": lambda seed, **params: RandomForestClassifier(random_state=seed, n_jobs=-1),
    "gradient boosting": lambda seed, **params: HistGradientBoostingClassifier(random_state=seed),
}
REGRESSORS = {
    REFERENCE: lambda seed, **params: MLPRegressor(random_state=seed),
    "skobd": lambda seed, **params: OBDMLPRegressor(random_state=seed, **params),
}
# One thing is taken away from the default at a time.
ABLATIONS = {
    "skobd": {},
    "no regrowth, as many epochs": {"n_regrow": 0, "n_rounds": 9},
    "no schedule": {"retrain_learning_rate_init": None},
    "no stronger penalty": {"retrain_alpha": 1e-4},
    "one round": {"n_rounds": 1, "n_regrow": 8},
    "plain (0.1.0's recipe)": {
        "n_regrow": 0,
        "retrain_learning_rate_init": None,
        "retrain_alpha": 1e-4,
        "retrain_max_iter": None,
    },
}
N_PREDICTED = 100_000


def load_regression(name: str, seed: int, data_dir: str | None) -> Fold:
    """A standardised split of a regression set, its target standardised, too."""
    data = load_dataset(name, data_dir)
    X_train, X_test, y_train, y_test = train_test_split(
        data.X[:10_000], data.y[:10_000], test_size=0.25, random_state=seed
    )
    transform = preprocessor(data).fit(X_train)
    scaler = StandardScaler().fit(y_train[:, np.newaxis])
    y_train, y_test = (scaler.transform(y[:, np.newaxis]).ravel() for y in (y_train, y_test))
    X_train, X_test = (np.ascontiguousarray(transform.transform(X)) for X in (X_train, X_test))
    return Fold(X_train, X_test, y_train, y_test, 0)


def measure(name: str, model: Any, fold: Fold, times_prediction: bool) -> dict[str, Any]:
    """Fit one model and see what it is good for."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(fold.X_train, fold.y_train)
    row = {"model": name, "seconds": time.perf_counter() - start}
    row["score"] = model.score(fold.X_test, fold.y_test)
    if hasattr(model, "n_weights_"):
        row["weights_left"] = 1 - model.sparsity_
        row["units"] = len(model.compact().intercepts_[0])
    if times_prediction:
        n_copies = -(-N_PREDICTED // len(fold.X_test))
        rows = np.tile(fold.X_test, (n_copies, 1))[:N_PREDICTED]
        predict = getattr(model, "predict_proba", model.predict)
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            predict(rows)
            seconds.append(time.perf_counter() - start)
        row["predict_seconds"] = statistics.median(seconds)
    return row


def run(options: Any) -> pd.DataFrame:
    """All sets, seeds and models."""
    rows = []
    sets = [(name, load_fold, CLASSIFIERS) for name in options.sets or SETS]
    if not options.sets:
        sets += [(name, load_regression, REGRESSORS) for name in REGRESSION_SETS]
    for name, load, models in sets:
        for seed in range(options.seeds):
            fold = load(name, seed, options.data)
            if options.ablate:
                tried = {REFERENCE: models[REFERENCE](seed)}
                tried |= {key: models["skobd"](seed, **p) for key, p in ABLATIONS.items()}
            else:
                tried = {key: make(seed) for key, make in models.items()}
            for key, model in tried.items():
                row = measure(key, model, fold, not options.ablate)
                rows.append({"set": name, "seed": seed, **row})
            print(name, seed, flush=True)
            if options.out:
                pd.DataFrame(rows).to_csv(options.out, index=False)
    return pd.DataFrame(rows)


def report(results: pd.DataFrame) -> None:
    """One table for classification and one for regression, and one row for each set."""
    means = results.groupby(["set", "model"], sort=False).mean(numeric_only=True)
    scores = means["score"].unstack("model", sort=False)
    is_regression = scores.index.str.startswith("reg_")
    for title, part in (
        ("accuracy, 24 classification sets", scores[~is_regression]),
        ("R2, six regression sets", scores[is_regression]),
    ):
        if part.empty:
            continue
        part = part.dropna(axis=1, how="all")
        print(title)
        print_rows(_rows(part, means), _HEADERS)
        deltas = part.sub(part[REFERENCE], axis=0)
        print_rows([(name, *row.round(4)) for name, row in part.iterrows()], ["set", *part.columns])
        for model in deltas.columns:
            n = int((deltas[model] >= -0.005).sum())
            print(f"{model}: within .005 of {REFERENCE}, or better, on {n} of {len(deltas)} sets")
        print()


_HEADERS = [
    "model", "mean", "choosing half", "confirming half", "weights left", "units",
    "training time", "prediction time",
]  # fmt: skip


def _rows(scores: pd.DataFrame, means: pd.DataFrame) -> list[tuple]:
    rows = []
    order = [name for name in SETS if name in scores.index] or list(scores.index)
    for model in scores.columns:
        column = scores[model].reindex(order)

        def ratio(quantity: str, model: str = model) -> float:
            if quantity not in means:
                return np.nan
            table = means[quantity].unstack("model").reindex(order)
            return geometric_mean((table[model] / table[REFERENCE]).dropna())

        def mean(quantity: str, model: str = model) -> float:
            if quantity not in means:
                return np.nan
            return float(means[quantity].unstack("model").reindex(order)[model].mean())

        rows.append(
            (
                model,
                float(column.mean()),
                float(column.iloc[::2].mean()),
                float(column.iloc[1::2].mean()),
                mean("weights_left"),
                mean("units"),
                ratio("seconds"),
                ratio("predict_seconds"),
            )
        )
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", help="only these classification sets")
    parser.add_argument("--ablate", action="store_true", help="take parts of the recipe away")
    parser.add_argument("--out", help="write all rows to this CSV file")
    parser.add_argument("--from-csv", help="print the tables of an earlier run")
    options = parser.parse_args()
    print_environment()
    report(pd.read_csv(options.from_csv) if options.from_csv else run(options))


if __name__ == "__main__":
    main()
