"""Accuracy and log-loss against bytes, on 24 tabular classification sets.

    python benchmarks/size.py --data DIR --out size.jsonl             # many hours on one core
    python benchmarks/size.py --data DIR --rows 2000 --folds 3 --seeds 0 --out small.jsonl
    python benchmarks/size.py --data DIR --families "decision tree" --sets wilt phoneme
    python benchmarks/size.py --from A.jsonl B.jsonl --figure size.png    # tables and figure again

For every budget the configuration of a family is the one of best mean accuracy (log-loss) in
cross-validation on the training rows among those that fit, trained on all training rows, into the
budget; the test rows choose nothing. A quarter of the rows is for testing; the seed decides the
split, the folds and the start of training.

Bytes are those of the constants of a deployed model:

- networks, scikit-learn's and logistic regression included: what `skobd.to_c` writes in 8 bits,
  the scaler and the columns of categories included, and predictions are those of the C code;
  scaling by quantiles takes 2 bytes for each of the 16 quantiles of a column that is used besides;
- trees as emlearn writes them, without the scaling, which they do not need: 7 bytes for a
  comparison (column, 16-bit threshold, two places to go on), leaves of 8 bits a class of which
  equal ones are kept once; of boosting 2 bytes for a leaf. Predictions are not rounded.

Where nothing of a family fits, the shares of the classes are predicted, which takes no room; how
often that is so stands in brackets. Probabilities are at least a thousandth in every log-loss.
Results are appended to a file of JSON lines, one for each set, seed and family, and what it holds
is not measured again.
"""

import importlib.util
import json
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from _common import arguments, geometric_mean, load_dataset, print_environment, print_table
from _size_models import FAMILIES, OPTIONAL, Fit
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split
from tabular import DROPPED, SETS

BUDGETS = (128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, None)
HALVES = {"all sets": SETS, "choosing half": SETS[::2], "confirming half": SETS[1::2]}
_LEAST_PROBABILITY = 1e-3
COLOURS = {
    "skobd, recipe for size": ("#0072b2", "o-"),
    "skobd, default": ("#56b4e9", "o-"),
    "gradient boosting": ("#d55e00", "s--"),
    "LightGBM": ("#cc79a7", "s--"),
    "random forest": ("#009e73", "^--"),
    "extra trees": ("#66c2a5", "^--"),
    "decision tree": ("#e69f00", "v--"),
    "MLPClassifier": ("0.3", "x:"),
    "logistic regression": ("0.6", "x:"),
}
Record = dict[str, Any]


def load(name: str, seed: int, data_dir: str | None, max_rows: int) -> tuple[Any, ...]:
    """The set without columns that identify rows; raw rows and classes, split by the seed."""
    dataset = load_dataset(name, data_dir)
    kept = [i for i in range(dataset.X.shape[1]) if i not in DROPPED.get(name, ())]
    categorical = [k for k, i in enumerate(kept) if i in set(dataset.categorical)]
    dataset = dataset._replace(X=dataset.X[:, kept], categorical=categorical)
    n_rows = min(len(dataset.y), max_rows)
    split = train_test_split(
        dataset.X,
        dataset.y,
        train_size=n_rows - n_rows // 4,
        test_size=n_rows // 4,
        stratify=dataset.y,
        random_state=seed,
    )
    return dataset, *split


def judge(y: np.ndarray, proba: np.ndarray, n_classes: int) -> tuple[float, float]:
    """Accuracy and log-loss."""
    padded = np.zeros((len(y), n_classes))
    padded[:, : proba.shape[1]] = proba
    clipped = np.maximum(padded, _LEAST_PROBABILITY)
    clipped /= clipped.sum(axis=1, keepdims=True)
    accuracy = accuracy_score(y, padded.argmax(axis=1))
    return float(accuracy), float(log_loss(y, clipped, labels=np.arange(n_classes)))


def measure(
    name: str, seed: int, fits: Sequence[Fit], data_dir: str | None, max_rows: int, n_folds: int
) -> Record:
    """All configurations of a family: by cross-validation, and trained on all training rows."""
    dataset, X, X_test, y, y_test = load(name, seed, data_dir, max_rows)
    n_classes = int(dataset.y.max()) + 1
    folds = list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(X, y))
    held_out: dict[str, list[tuple[float, float]]] = {}
    rows, start = [], time.process_time()
    for fit in fits:
        for train, held in folds:
            for found in fit(dataset, X[train], y[train], X[held], seed):
                scores = judge(y[held], found.proba, n_classes)
                held_out.setdefault(found.label, []).append(scores)
        for found in fit(dataset, X, y, X_test, seed):
            # A configuration that some fold has not is none that could be chosen.
            if len(held_out.get(found.label, ())) == n_folds:
                cv = np.mean(held_out[found.label], axis=0).tolist()
                test = judge(y_test, found.proba, n_classes)
                rows.append([found.label, found.size(), *cv, *test])
    shares = np.bincount(y, minlength=n_classes) / len(y)
    constant = judge(y_test, np.tile(shares, (len(y_test), 1)), n_classes)
    seconds = time.process_time() - start
    columns = ["label", "bytes", "cv_accuracy", "cv_log_loss", "accuracy", "log_loss"]
    return {
        "seconds": seconds,
        "constant": dict(zip(("accuracy", "log_loss"), constant, strict=True)),
        "configurations": [dict(zip(columns, row, strict=True)) for row in rows],
    }


def read(paths: Iterable[str | Path]) -> list[Record]:
    """Records of files of JSON lines, the last of those of the same key."""
    texts = [Path(path).read_text() for path in paths if Path(path).exists()]
    records = [json.loads(line) for text in texts for line in text.splitlines()]
    return list({key_of(record): record for record in records}.values())


def key_of(record: Record) -> tuple[Any, ...]:
    """What a record is of."""
    return tuple(record[name] for name in ("set", "seed", "family", "rows", "folds"))


def chosen(record: Record, budget: int | None, metric: str) -> Record | None:
    """The configuration for a budget by cross-validation; None where nothing fits."""
    sign = 1 if metric == "accuracy" else -1
    fitting = [c for c in record["configurations"] if budget is None or c["bytes"] <= budget]
    by_score = sorted(fitting, key=lambda c: (-sign * c[f"cv_{metric}"], c["bytes"]))
    return by_score[0] if by_score else None


def mean_over(records: Sequence[Record], budget: int | None, metric: str) -> tuple[float, int]:
    """Mean over sets (of means over seeds), and on how many sets nothing fits."""
    values: dict[str, list[float]] = {}
    misses = set()
    for record in records:
        best = chosen(record, budget, metric)
        values.setdefault(record["set"], []).append((best or record["constant"])[metric])
        if best is None:
            misses.add(record["set"])
    return float(np.mean([np.mean(v) for v in values.values()])), len(misses)


def complete(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by family, of the sets and seeds that every family has."""
    by_family = {f: [r for r in records if r["family"] == f] for f in FAMILIES}
    by_family = {family: found for family, found in by_family.items() if found}
    common = set.intersection(*({(r["set"], r["seed"]) for r in rs} for rs in by_family.values()))
    return {
        family: [r for r in found if (r["set"], r["seed"]) in common]
        for family, found in by_family.items()
    }


def named(budget: int | None) -> str:
    """The budget as a heading."""
    if budget is None:
        return "any"
    return f"{budget} B" if budget < 1024 else f"{budget // 1024} kB"


def report(by_family: dict[str, list[Record]]) -> None:
    """Print the tables."""
    first = next(iter(by_family.values()))
    seeds = {record["seed"] for record in first}
    sets = sorted({record["set"] for record in first})
    print(f"{len(sets)} sets, {len(seeds)} seeds, at most {first[0]['rows']} rows")
    for metric in ("accuracy", "log_loss"):
        for half, names in HALVES.items():
            rows = []
            for family, records in by_family.items():
                inside = [record for record in records if record["set"] in names]
                if not inside:
                    continue
                means = [mean_over(inside, budget, metric) for budget in BUDGETS]
                cells = [f"{mean:.4f}" + (f" ({n})" if n else "") for mean, n in means]
                rows.append([family, *cells])
            print(f"mean test {metric.replace('_', '-')} of the best that fits, {half}")
            print_table(rows, ["family", *map(named, BUDGETS)])
    rows = []
    for family, records in by_family.items():
        seconds = geometric_mean(max(record["seconds"], 1e-3) for record in records)
        n = min(len(record["configurations"]) for record in records)
        rows.append([family, n, seconds])
    print("CPU seconds of the whole choice, geometric mean; fewest configurations of a set")
    print_table(rows, ["family", "configurations", "seconds"])
    print("mean test accuracy by set, any size")
    table = []
    for name in sets:
        of_set = [[r for r in records if r["set"] == name] for records in by_family.values()]
        table.append([name, *(f"{mean_over(rs, None, 'accuracy')[0]:.3f}" for rs in of_set)])
    print_table(table, ["set", *by_family])


def draw(by_family: dict[str, list[Record]], path: str) -> None:
    """Draw mean accuracy in percent against bytes."""
    fig, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    budgets = [budget for budget in BUDGETS if budget is not None]
    for family, records in by_family.items():
        means = [100 * mean_over(records, budget, "accuracy")[0] for budget in budgets]
        ax.plot(budgets, means, COLOURS[family][1], color=COLOURS[family][0], label=family)
    ax.set_xscale("log", base=2)
    ax.set_xticks(budgets, [named(budget) for budget in budgets])
    ax.set(xlabel="size of the deployed model", ylabel="mean test accuracy in percent")
    top = max(line.get_ydata().max() for line in ax.lines)
    ax.set_ylim(top - 13, top + 1)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="lower right")
    fig.savefig(path, dpi=130)
    print(path)


def main() -> None:
    """Measure what is missing, and report."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="most rows of a set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--families", nargs="+", choices=FAMILIES)
    parser.add_argument("--out", default="size.jsonl", help="results are appended to this file")
    parser.add_argument(
        "--from", dest="source", nargs="+", help="measure nothing, read these files"
    )
    parser.add_argument("--figure", metavar="PATH", help="draw accuracy against bytes")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.source is None:
        print_environment()
        installed = [f for f in FAMILIES if importlib.util.find_spec(OPTIONAL.get(f, "skobd"))]
        done = {key_of(record) for record in read([options.out])}
        for seed in options.seeds:
            for name in options.sets:
                for family in options.families or installed:
                    task = {"set": name, "seed": seed, "family": family}
                    task |= {"rows": options.rows, "folds": options.folds}
                    if key_of(task) in done:
                        continue
                    found = measure(
                        name, seed, FAMILIES[family], options.data, options.rows, options.folds
                    )
                    with Path(options.out).open("a") as file:
                        file.write(json.dumps(task | found) + "\n")
                    print(*task.values(), f"{found['seconds']:.1f} s", flush=True)
    records = read(options.source or [options.out])
    if options.source is None:
        wanted = (options.rows, options.folds)
        records = [record for record in records if key_of(record)[3:] == wanted]
    by_family = complete(records)
    report(by_family)
    if options.figure:
        draw(by_family, options.figure)


if __name__ == "__main__":
    main()
