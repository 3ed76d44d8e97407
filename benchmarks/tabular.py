"""Accuracy against sparsity on 24 tabular classification sets, beside scikit-learn's own models.

    python benchmarks/tabular.py --data DIR --out results.csv     # about 35 minutes on two cores
    python benchmarks/tabular.py --from-csv results.csv           # print the tables again

For each set and seed one dense network is trained with each solver; copies of it are pruned
level by level, retrained a little after each, by every criterion. The seed decides the split
(stratified, a quarter for testing, at most 10 000 rows in all) and the start of training.
`electricity` is split at random too, although its rows are in time order: figures on it compare
methods, they do not forecast. `obs` runs where the network has at most 1800 parameters.
"""

import copy
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _common import arguments, load_dataset, preprocessor, print_environment, print_table
from joblib import Parallel, delayed
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skobd import OBDMLPClassifier

# Chosen on / confirmed on by tabular_defaults.py: every other set, alphabetically.
SETS = (
    "adult",
    "ann_thyroid",
    "car",
    "churn",
    "covertype_15k_balanced",
    "credit_g",
    "electricity",
    "ionosphere",
    "kr_vs_kp",
    "letter",
    "magic_telescope",
    "optdigits",
    "page_blocks",
    "phoneme",
    "pima_diabetes",
    "satimage",
    "segment",
    "shuttle",
    "sonar",
    "spambase",
    "splice",
    "usps",
    "waveform5000",
    "wilt",
)
# A unique number for every customer.
DROPPED = {"churn": [2]}
MAX_ROWS = 10_000
LEVELS = (0.5, 0.75, 0.9, 0.95, 0.98)
CRITERIA = ("obd", "unit_obs", "obs", "magnitude", "random")
MAX_OBS_PARAMETERS = 1800
SOLVERS: dict[str, dict[str, Any]] = {
    "lbfgs": {"solver": "lbfgs", "alpha": 1.0, "max_iter": 200, "retrain_max_iter": 30},
    "adam": {"solver": "adam", "max_iter": 200, "retrain_max_iter": 30},
}
BASELINES = {
    "sklearn MLP": lambda seed: MLPClassifier(random_state=seed),
    "logistic regression": lambda seed: LogisticRegression(max_iter=1000),
    "gradient boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
}
TARGETS = {0.9: 0.0, 0.95: 0.005, 0.98: 0.02}
COLUMNS = ["set", "seed", "solver", "method", "level", "accuracy", "log_loss", "seconds"]


class Fold(NamedTuple):
    """A preprocessed training and test part, and the number of classes in the whole set."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray
    n_classes: int


def load_fold(name: str, seed: int, data_dir: str | None, max_rows: int = MAX_ROWS) -> Fold:
    """Split a set by the seed and preprocess it as the training part says."""
    data = load_dataset(name, data_dir)
    kept = [i for i in range(data.X.shape[1]) if i not in DROPPED.get(name, ())]
    categorical = [k for k, i in enumerate(kept) if i in set(data.categorical)]
    data = data._replace(X=data.X[:, kept], categorical=categorical)
    n_rows = min(len(data.y), max_rows)
    n_test = n_rows // 4
    X_train, X_test, y_train, y_test = train_test_split(
        data.X,
        data.y,
        train_size=n_rows - n_test,
        test_size=n_test,
        stratify=data.y,
        random_state=seed,
    )
    transform = preprocessor(data).fit(X_train)
    return Fold(
        np.ascontiguousarray(transform.transform(X_train)),
        np.ascontiguousarray(transform.transform(X_test)),
        y_train,
        y_test,
        int(data.y.max()) + 1,
    )


def score(model: Any, fold: Fold) -> tuple[float, float]:
    """Test accuracy and log-loss; a class that the training part lacks has probability 0."""
    probabilities = np.zeros((len(fold.y_test), fold.n_classes))
    probabilities[:, model.classes_] = model.predict_proba(fold.X_test)
    # Single precision does not sum to 1 closely enough for log_loss.
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    accuracy = accuracy_score(fold.y_test, probabilities.argmax(axis=1))
    return accuracy, log_loss(fold.y_test, probabilities, labels=np.arange(fold.n_classes))


def measure(name: str, seed: int, data_dir: str | None, max_rows: int) -> list[list[Any]]:
    """All rows of the results for one set and seed."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    fold = load_fold(name, seed, data_dir, max_rows)
    rows = []
    for method, make in BASELINES.items():
        start = time.perf_counter()
        model = make(seed).fit(fold.X_train, fold.y_train)
        seconds = time.perf_counter() - start
        rows.append([name, seed, "", method, 0.0, *score(model, fold), seconds])
    for solver, settings in SOLVERS.items():
        start = time.perf_counter()
        dense = OBDMLPClassifier(**settings, prune_fraction=0, random_state=seed)
        dense.fit(fold.X_train, fold.y_train)
        seconds = time.perf_counter() - start
        rows.append([name, seed, solver, "dense", 0.0, *score(dense, fold), seconds])
        for criterion in CRITERIA:
            n_parameters = sum(a.size for a in (*dense.coefs_, *dense.intercepts_))
            if criterion == "obs" and n_parameters > MAX_OBS_PARAMETERS:
                continue
            model = copy.deepcopy(dense).set_params(criterion=criterion)
            for level in LEVELS:
                start = time.perf_counter()
                model.prune(fold.X_train, fold.y_train, prune_fraction=level, n_rounds=1)
                seconds = time.perf_counter() - start
                rows.append([name, seed, solver, criterion, level, *score(model, fold), seconds])
    return rows


# ------------------------------------------------------------------------------ tables


def by_level(results: pd.DataFrame, value: str) -> pd.DataFrame:
    """One row for each set, seed and method, a column for each level; dense fills level 0."""
    table = results.pivot_table(index=["set", "seed", "method"], columns="level", values=value)
    dense = table.xs("dense", level="method")[0.0]
    networks = table.drop(index=["dense", *BASELINES], level="method", errors="ignore")
    keys = networks.index.droplevel("method")
    networks[0.0] = dense.reindex(keys).to_numpy()
    return networks


def print_frame(frame: pd.DataFrame, digits: int = 4) -> None:
    """Print a table whose columns are levels."""
    headers = ["", *(f"{level:.0%}" for level in frame.columns)]
    rows = [[name, *(f"{v:.{digits}f}" for v in row)] for name, row in frame.iterrows()]
    print_table(rows, headers)


def print_tables(results: pd.DataFrame) -> None:
    """All tables of one run."""
    sets, seeds = results["set"].nunique(), results["seed"].nunique()
    small = results.loc[results["method"] == "obs", "set"].unique()
    print(f"{sets} sets, {seeds} seeds. obs feasible on: {', '.join(sorted(small))}\n")
    baselines = results[results["solver"] == ""]
    print("Baselines: mean test accuracy, mean log-loss, mean seconds to fit")
    means = baselines.groupby("method")[["accuracy", "log_loss", "seconds"]].mean()
    print_table([[name, *map(float, row)] for name, row in means.iterrows()], ["", *means.columns])
    for solver in SOLVERS:
        chosen = results[results["solver"].isin([solver])]
        if len(chosen):
            print_solver(solver, chosen, baselines, small)


def print_solver(
    solver: str, results: pd.DataFrame, baselines: pd.DataFrame, small: np.ndarray
) -> None:
    """The tables of one solver, criteria against levels."""
    order = [c for c in CRITERIA if c != "obs"]
    everywhere = results[results["method"] != "obs"]
    for value in ("accuracy", "log_loss"):
        print(f"{solver}: mean test {value.replace('_', '-')} against fraction deleted")
        print_frame(by_level(everywhere, value).groupby("method").mean().loc[order])
    print(f"{solver}: mean rank of test accuracy among criteria and baselines (1 is best)")
    print_frame(mean_ranks(everywhere, baselines), 2)
    print(f"{solver}: share of sets and seeds at least as accurate as scikit-learn's dense MLP")
    theirs = baselines[baselines["method"] == "sklearn MLP"].set_index(["set", "seed"])["accuracy"]
    accuracy = by_level(everywhere, "accuracy")
    bar = theirs.reindex(accuracy.index.droplevel("method")).to_numpy()[:, np.newaxis]
    print_frame((accuracy >= bar).groupby("method").mean().loc[order], 3)
    print_targets(solver, accuracy)
    if len(small):
        print(f"{solver}: mean test accuracy on the {len(small)} sets where obs is feasible")
        part = by_level(results[results["set"].isin(small)], "accuracy")
        print_frame(part.groupby("method").mean().loc[list(CRITERIA)])


def mean_ranks(results: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Mean over sets and seeds of the rank among the criteria at a level and the baselines."""
    accuracy = by_level(results, "accuracy").drop(columns=0.0)
    others = baselines.set_index(["set", "seed", "method"])["accuracy"]
    dense = results[results["method"] == "dense"].set_index(["set", "seed", "method"])["accuracy"]
    columns = {}
    for level in accuracy.columns:
        field = pd.concat([accuracy[level], others, dense]).unstack("method")
        columns[level] = field.rank(axis=1, ascending=False).mean()
    names = [c for c in CRITERIA if c != "obs"]
    return pd.DataFrame(columns).loc[[*names, "dense", *BASELINES]]


def print_targets(solver: str, accuracy: pd.DataFrame) -> None:
    """The best criterion at each level against the dense network."""
    means = accuracy.groupby("method").mean()
    rows = []
    for level, allowed in TARGETS.items():
        best = means[level].idxmax()
        loss = means.loc[best, 0.0] - means.loc[best, level]
        changes = accuracy.xs(best, level="method").groupby("set").mean()
        changes = changes[level] - changes[0.0]
        verdict = "HIT" if loss <= allowed else f"MISS by {loss - allowed:.4f}"
        rows.append([f"{level:.0%}", best, f"{-loss:+.4f}", f"{-allowed:+.3f}", verdict])
        rows[-1] += [f"{changes.median():+.4f}", f"{changes.idxmin()} {changes.min():+.3f}"]
    print(f"{solver}: best criterion against the dense network (mean test accuracy)")
    print_table(rows, ["deleted", "best", "change", "allowed", "target", "median", "worst"])
    changes = accuracy.xs("unit_obs", level="method").groupby("set").mean()
    changes = changes.drop(columns=0.0).sub(changes[0.0], axis=0)
    print(f"{solver}: change of mean test accuracy by unit_obs, set by set")
    print_frame(changes.sort_values(0.9), 3)


def plot(results: pd.DataFrame, path: Path) -> None:
    """Mean test accuracy against the fraction of weights deleted, one panel for each solver."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    baselines = results[results["solver"] == ""].groupby("method")["accuracy"].mean()
    solvers = [s for s in SOLVERS if s in set(results["solver"])]
    figure, axes = plt.subplots(
        1, len(solvers), figsize=(5 * len(solvers), 4), sharey=True, squeeze=False
    )
    for ax, solver in zip(axes[0], solvers, strict=True):
        everywhere = results[(results["solver"] == solver) & (results["method"] != "obs")]
        means = by_level(everywhere, "accuracy").groupby("method").mean().sort_index(axis=1)
        for criterion in (c for c in CRITERIA if c in means.index):
            ax.plot(means.columns, means.loc[criterion], marker="o", label=criterion)
        for style, (name, value) in zip(("--", ":", "-."), baselines.items(), strict=False):
            ax.axhline(value, color="gray", linestyle=style, linewidth=1, label=name)
        ax.set_xscale(
            "function", functions=(lambda s: -np.log10(1.001 - s), lambda t: 1.001 - 10**-t)
        )
        ax.set_xticks([0, *LEVELS], [f"{level:.0%}" for level in (0, *LEVELS)])
        ax.set(xlabel="weights deleted", title=solver, xlim=(0, 0.984))
    axes[0, 0].set_ylabel("mean test accuracy")
    axes[0, 0].legend(fontsize=8, loc="lower left")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    print(f"plot saved to {path}")


def run(options: Any) -> pd.DataFrame:
    """Measure what the file of results does not hold yet, adding to it set by set."""
    out: Path = options.out
    if not out.exists():
        out.write_text(",".join(COLUMNS) + "\n")
    known = pd.read_csv(out, keep_default_na=False)
    done = set(zip(known["set"], known["seed"], strict=True))
    tasks = [(name, seed) for seed in range(options.seeds) for name in options.sets]
    parallel = Parallel(options.jobs, return_as="generator_unordered")
    start = time.perf_counter()
    for rows in parallel(
        delayed(measure)(*task, options.data, options.max_rows)
        for task in tasks
        if task not in done
    ):
        pd.DataFrame(rows).to_csv(out, mode="a", header=False, index=False)
    print(f"{time.perf_counter() - start:.0f} s in all\n")
    return pd.read_csv(out, keep_default_na=False)


def main() -> None:
    """Measure, or read what was measured; print and plot."""
    parser = arguments(__doc__)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-rows", type=int, default=MAX_ROWS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("tabular.csv"),
        help="results are added to this CSV file; sets and seeds in it are not measured again",
    )
    parser.add_argument("--from-csv", type=Path, help="print the tables of an earlier run")
    parser.add_argument("--plot", type=Path, help="save the plot of accuracy against sparsity")
    options = parser.parse_args()
    if options.from_csv:
        results = pd.read_csv(options.from_csv, keep_default_na=False)
    else:
        print_environment()
        results = run(options)
    print_tables(results)
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
