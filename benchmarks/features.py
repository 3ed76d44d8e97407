"""Which inputs: skobd beside LassoNet and scikit-learn's selectors, under three judges.

    python benchmarks/features.py --data DIR --out features.csv     # some two hours of one core
    python benchmarks/features.py --data DIR --lassonet --sets isolet --seeds 1    # needs lassonet
    python benchmarks/features.py --from-csv features.csv           # print the tables again
    python benchmarks/features.py --truth                           # sets whose inputs are known

Random splits, 70-10-20 as in the paper of LassoNet (Lemhadri, Ruan, Abraham & Tibshirani, 2021), of
at most 10 000 rows, standardised. Of the wide sets 50 and 25 inputs are kept, of the others a
quarter of the columns after one-hot encoding. Judges: 50 extremely randomised trees on the chosen
inputs, scikit-learn's multilayer perceptron on them, and the network that chose them. Seconds are
those of the processor in one thread, so that other work on the machine does not count. Settings
were chosen on seeds 0 and 1, which the table shows apart.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _common import arguments, load_dataset, preprocessor, print_environment, print_table
from sklearn.datasets import make_friedman1
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.feature_selection import RFE, f_classif
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from skobd import OBDFeatureSelector, OBDMLPClassifier, OBDMLPRegressor

WIDE = ("isolet", "mnist", "usps")
SETS = (*WIDE, "adult", "spambase", "splice", "waveform5000", "ann_thyroid")
MAX_ROWS = 10_000
CHOOSING_SEEDS = (0, 1)
# What OBDFeatureSelector's guide recommends.
SETTINGS: dict[str, Any] = {
    "granularity": "feature",
    "criterion": "kfac",
    "solver": "lbfgs",
    "alpha": 10,
    "max_iter": 60,
    "retrain_max_iter": 60,
    "n_regrow": 0,
}
# Of the inputs that are left, at most so many go in a round.
STEP = OBDFeatureSelector(OBDMLPClassifier()).step
# What LassoNet's paper has beside the package's defaults.
LASSONETS = {"LassoNet": False, "LassoNet, as in its paper": True}


class Split(NamedTuple):
    """Training, validation and test part; validation rows are for those who ask for them."""

    X_train: np.ndarray
    X_val: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_val: np.ndarray
    y_test: np.ndarray


class Choice(NamedTuple):
    """Inputs that a selector keeps, and the accuracy of its own network if it has one."""

    inputs: np.ndarray
    own: float
    seconds: float


def load_split(name: str, seed: int, data_dir: str | None) -> Split:
    """A random, stratified split by the seed, preprocessed as the training part says."""
    data = load_dataset(name, data_dir)
    rows = np.arange(len(data.y))
    if len(rows) > MAX_ROWS:
        rows, _ = train_test_split(rows, train_size=MAX_ROWS, stratify=data.y, random_state=seed)
    y = data.y[rows]
    train, rest = train_test_split(rows, train_size=0.7, stratify=y, random_state=seed)
    val, test = train_test_split(rest, train_size=1 / 3, stratify=data.y[rest], random_state=seed)
    transform = preprocessor(data).fit(data.X[train])
    parts = (train, val, test)
    return Split(
        *(np.ascontiguousarray(transform.transform(data.X[part])) for part in parts),
        *(data.y[part] for part in parts),
    )


def counts_to(n_total: int, kept: list[int]) -> list[int]:
    """How many inputs are left after each round, so that all of ``kept`` are met."""
    counts, present = [], n_total
    for target in kept:
        n_rounds = max(1, int(np.ceil(np.log(target / present) / np.log(1 - STEP))))
        ratio = (target / present) ** (1 / n_rounds)
        counts += [round(present * ratio ** (r + 1)) for r in range(n_rounds)]
        present = target
    return sorted(set(counts), reverse=True)


def prune_inputs(model: Any, X: Any, y: Any, kept: list[int]) -> list[Any]:
    """The networks of one path that have as many inputs as asked for."""
    counts = counts_to(X.shape[1], kept)
    path = model.pruning_path(X, y, prune_fractions=[1 - n / X.shape[1] for n in counts])
    return [path.estimator_at(1 + counts.index(n)) for n in kept]


def used(model: Any) -> np.ndarray:
    """Indices of the inputs that have any weight left."""
    return np.flatnonzero(model.coefs_[0].any(axis=1))


def by_skobd(settings: dict[str, Any]) -> Callable[..., list[Choice]]:
    """skobd with some settings: one path for all levels."""

    def select(split: Split, kept: list[int], seed: int) -> list[Choice]:
        start = time.process_time()
        model = OBDMLPClassifier(random_state=seed, **settings)
        networks = prune_inputs(model, split.X_train, split.y_train, kept)
        seconds = time.process_time() - start
        return [
            Choice(used(network), network.score(split.X_test, split.y_test), seconds)
            for network in networks
        ]

    return select


def by_lassonet(as_in_paper: bool) -> Callable[..., list[Choice]]:
    """LassoNet, one path for all levels.

    Inputs are those that die last. The network judged is that of the path whose number of inputs
    is nearest; for the paper's settings it is trained anew on the inputs, as the paper does.
    """

    def select(split: Split, kept: list[int], seed: int) -> list[Choice]:
        import torch
        from lassonet import LassoNetClassifier

        torch.set_num_threads(1)
        params: dict[str, Any] = {"verbose": 0, "random_state": seed, "torch_seed": seed}
        if as_in_paper:
            hidden = (split.X_train.shape[1] // 3,)
            params |= {"hidden_dims": hidden, "batch_size": 256, "n_iters": 1000}
        start = time.process_time()
        model = LassoNetClassifier(**params)
        val = {"X_val": split.X_val, "y_val": split.y_val}
        history = model.path(split.X_train, split.y_train, return_state_dicts=True, **val)
        seconds = time.process_time() - start
        order = np.argsort(-model.feature_importances_.numpy(), kind="stable")
        choices = []
        for n in kept:
            inputs = np.sort(order[:n])
            nearest = min(history[1:], key=lambda item, n=n: abs(int(item.selected.sum()) - n))
            model.load(nearest.state_dict)
            own, X_test = model, split.X_test
            if as_in_paper:
                val = {"X_val": split.X_val[:, inputs], "y_val": split.y_val}
                own, X_test = LassoNetClassifier(**params), split.X_test[:, inputs]
                dense = own.path(
                    split.X_train[:, inputs],
                    split.y_train,
                    lambda_seq=[0],
                    return_state_dicts=True,
                    **val,
                )
                own.load(dense[0].state_dict)
            choices.append(Choice(inputs, own.score(X_test, split.y_test), seconds))
        return choices

    return select


def by_scores(scores_of: Callable[[Split, int], np.ndarray]) -> Callable[..., list[Choice]]:
    """The inputs of largest score."""

    def select(split: Split, kept: list[int], seed: int) -> list[Choice]:
        start = time.process_time()
        order = np.argsort(-np.nan_to_num(scores_of(split, seed)), kind="stable")
        seconds = time.process_time() - start
        return [Choice(np.sort(order[:n]), np.nan, seconds) for n in kept]

    return select


def _forest(split: Split, seed: int) -> np.ndarray:
    forest = RandomForestClassifier(random_state=seed).fit(split.X_train, split.y_train)
    return forest.feature_importances_


def _l1(split: Split, seed: int) -> np.ndarray:
    model = LogisticRegression(
        C=0.1, l1_ratio=1, solver="saga", max_iter=30, tol=1e-3, random_state=seed
    )
    return np.abs(model.fit(split.X_train, split.y_train).coef_).sum(axis=0)


def _permutation(split: Split, seed: int) -> np.ndarray:
    model = MLPClassifier(random_state=seed, max_iter=30).fit(split.X_train, split.y_train)
    found = permutation_importance(model, split.X_val, split.y_val, n_repeats=3, random_state=seed)
    return found.importances_mean


def _rfe(split: Split, kept: list[int], seed: int) -> list[Choice]:
    start = time.process_time()
    step = 0.2 if split.X_train.shape[1] > 200 else 1
    selectors = [
        RFE(LogisticRegression(max_iter=100), n_features_to_select=n, step=step) for n in kept
    ]
    for selector in selectors:
        selector.fit(split.X_train, split.y_train)
    seconds = time.process_time() - start
    return [Choice(np.flatnonzero(s.support_), np.nan, seconds) for s in selectors]


def _all(split: Split, kept: list[int], seed: int) -> list[Choice]:
    return [Choice(np.arange(split.X_train.shape[1]), np.nan, 0.0) for _ in kept]


SELECTORS: dict[str, Callable[..., list[Choice]]] = {
    "skobd": by_skobd(SETTINGS),
    "skobd, obd": by_skobd({**SETTINGS, "criterion": "obd"}),
    "RFE, logistic": _rfe,
    "L1 logistic": by_scores(_l1),
    "random forest": by_scores(_forest),
    "permutation, MLP": by_scores(_permutation),
    "ANOVA F": by_scores(lambda split, seed: f_classif(split.X_train, split.y_train)[0]),
    "all inputs": _all,
}


def judge(split: Split, inputs: np.ndarray, seed: int) -> dict[str, float]:
    """Test accuracy of trees and of scikit-learn's network on some inputs."""
    X_train, X_test = split.X_train[:, inputs], split.X_test[:, inputs]
    judges = {
        "trees": ExtraTreesClassifier(50, random_state=seed),
        "MLP": MLPClassifier(random_state=seed),
    }
    return {
        name: model.fit(X_train, split.y_train).score(X_test, split.y_test)
        for name, model in judges.items()
    }


def kept_counts(name: str, n_inputs: int) -> list[int]:
    """The levels of a set."""
    return [50, 25] if name in WIDE else [round(n_inputs / 4)]


def run(options: Any) -> pd.DataFrame:
    """All sets, seeds and selectors; every row is written as it comes, and none made twice."""
    out = Path(options.out) if options.out else None
    rows = pd.read_csv(out).to_dict("records") if out and out.exists() else []
    done = {(row["set"], row["seed"], row["selector"]) for row in rows}
    selectors = dict(SELECTORS)
    if options.lassonet:
        selectors = {name: by_lassonet(paper) for name, paper in LASSONETS.items()}
    if options.selectors:
        selectors = {name: selectors[name] for name in options.selectors}
    for seed in options.seed_list or range(options.seeds):
        for name in options.sets or SETS:
            split = load_split(name, seed, options.data)
            kept = kept_counts(name, split.X_train.shape[1])
            for selector, select in selectors.items():
                if (name, seed, selector) in done:
                    continue
                for n, choice in zip(kept, select(split, kept, seed), strict=True):
                    row = {"set": name, "seed": seed, "selector": selector, "n_inputs": n}
                    row |= {"own": choice.own, "seconds": choice.seconds}
                    rows.append(row | judge(split, choice.inputs, seed))
                    print(rows[-1], flush=True)
                if out:
                    pd.DataFrame(rows).to_csv(out, index=False)
    return pd.DataFrame(rows)


def report(results: pd.DataFrame) -> None:
    """A table for each level of wide sets and for the others, and one of the seconds."""
    results = results.assign(level=np.where(results["set"].isin(WIDE), results["n_inputs"], 0))
    for level in (50, 25, 0):
        rows = results[results["level"] == level]
        if rows.empty:
            continue
        print(f"{level} inputs of wide sets" if level else "a quarter of the inputs")
        for quantity in ("trees", "MLP", "own", "seconds"):
            means = rows.groupby(["selector", "set"], sort=False)[quantity].mean().unstack("set")
            means = means.dropna(how="all")
            means["mean"] = means.mean(axis=1, skipna=False)
            print_table(
                [(name, *row.round(4)) for name, row in means.iterrows()],
                [quantity, *means.columns],
            )
    ours = results[results["selector"] == "skobd"]
    seen = ours["seed"].isin(CHOOSING_SEEDS)
    for title, rows in (("seeds of choosing", ours[seen]), ("other seeds", ours[~seen])):
        if len(rows):
            means = rows.groupby(["set", "n_inputs"], sort=False)[["own", "trees", "MLP"]].mean()
            print(f"skobd, {title}: {sorted(rows['seed'].unique())}")
            print_table(
                [(*key, *row.round(4)) for key, row in means.iterrows()],
                ["set", "inputs", *means.columns],
            )


def friedman(rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, list[set[int]]]:
    """Five of 50 inputs count (Friedman, 1991)."""
    X, y = make_friedman1(1000, 50, noise=1.0, random_state=rng)
    return StandardScaler().fit_transform(X), (y - y.mean()) / y.std(), [{i} for i in range(5)]


def xor(rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, list[set[int]]]:
    """Two of 50 inputs count, and neither alone."""
    X = rng.normal(size=(1500, 50))
    return X, (X[:, 0] * X[:, 1] > 0).astype(int), [{0}, {1}]


def copies(rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, list[set[int]]]:
    """Three causes among 30 inputs, each with two noisy copies: one of each three is enough."""
    X = rng.normal(size=(1500, 30))
    for j in range(3):
        X[:, [3 + j, 6 + j]] = X[:, [j]] + 0.3 * rng.normal(size=(1500, 2))
    y = (X[:, 0] + X[:, 1] * X[:, 2] + 0.3 * rng.normal(size=1500) > 0).astype(int)
    return X, y, [{j, 3 + j, 6 + j} for j in range(3)]


def report_truth(n_repeats: int) -> None:
    """How often the inputs that count are found, given how many they are."""
    rows = []
    for make in (friedman, xor, copies):
        for criterion in ("kfac", "obd", "magnitude"):
            n_exact, n_best = 0, 0
            for seed in range(n_repeats):
                X, y, causes = make(np.random.RandomState(seed))
                kind = OBDMLPRegressor if y.dtype.kind == "f" else OBDMLPClassifier
                settings = {**SETTINGS, "criterion": criterion, "alpha": 1.0}
                model = kind(random_state=seed, **settings)
                (network,) = prune_inputs(model, X, y, [len(causes)])
                found = set(used(network).tolist())
                n_exact += all(len(found & cause) == 1 for cause in causes)
                n_best += found == set(range(len(causes)))
            rows.append((make.__name__, criterion, f"{n_exact} of {n_repeats}", n_best))
    print_table(rows, ["set", "criterion", "one input of each cause", "and no copy"])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed-list", type=int, nargs="+", help="these seeds instead")
    parser.add_argument("--sets", nargs="+", help="only these sets")
    parser.add_argument("--selectors", nargs="+", help="only these selectors")
    parser.add_argument("--lassonet", action="store_true", help="LassoNet, and nothing else")
    parser.add_argument("--truth", action="store_true", help="only the sets whose inputs are known")
    parser.add_argument("--out", help="write rows to this CSV file, and do not make them twice")
    parser.add_argument("--from-csv", help="print the tables of an earlier run")
    options = parser.parse_args()
    print_environment()
    warnings.simplefilter("ignore")
    if options.truth:
        report_truth(options.repeats)
    else:
        report(pd.read_csv(options.from_csv) if options.from_csv else run(options))


if __name__ == "__main__":
    main()
