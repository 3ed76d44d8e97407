"""What a pruned network costs where it is used, side by side with scikit-learn and onnxruntime.

    python benchmarks/deployment.py [--data DIR] [--repeats 5] [--sets usps,mnist]
        [--max-rows N] [--quick]

For each data set a dense network is trained and then pruned, level by level, for as long as its
accuracy on a validation set stays within 0.5 points of the dense one's: by weights, by whole
hidden units, and by units (within half of that) and then weights. Then come the time of one row
beside bare NumPy and boosted trees, the total time of ten rounds of pruning with and without
compaction, and where sparse products start to pay. ``--row`` prints the time of one row only.
"""

import copy
import pickle
import warnings
from collections.abc import Callable
from unittest import mock

import numpy as np
import onnxruntime
from _common import (
    arguments,
    geometric_mean,
    load_dataset,
    median_times,
    preprocessor,
    print_environment,
    print_table,
)
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data

from skobd import OBDMLPClassifier
from skobd._prune.active import ActiveObjective
from skobd._threads import reproducible_threads

SETS = ("usps", "mnist", "adult", "satimage", "spambase")
ROW_SETS = ("spambase", "optdigits", "usps")
LEVELS = (0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.965, 0.975, 0.985, 0.99)
TOLERANCE = 0.005
N_ROWS = (1, 100, 100_000)
DENSE, PRUNED = "sklearn dense", "units, then weights"


def prune_within(model, data, validation, floor: float):
    """The sparsest network on the levels whose validation accuracy is not below ``floor``."""
    for level in LEVELS:
        if level <= model.sparsity_:
            continue
        pruned = copy.deepcopy(model).prune(*data, prune_fraction=level, n_rounds=1)
        if pruned.score(*validation) < floor:
            break
        model = pruned
    return model


def train(X: np.ndarray, y: np.ndarray, n_epochs: int) -> dict:
    """The dense networks and the pruned ones."""
    X, X_val, y, y_val = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
    data, validation = (X, y), (X_val, y_val)
    settings = {"hidden_layer_sizes": (100,), "max_iter": n_epochs, "random_state": 0}
    models = {DENSE: MLPClassifier(**settings).fit(X, y)}
    dense = OBDMLPClassifier(**settings, prune_fraction=0, retrain_max_iter=n_epochs // 2)
    models["skobd dense"] = dense.fit(X, y)
    score = dense.score(*validation)
    floor = score - TOLERANCE
    models["weights"] = prune_within(copy.deepcopy(dense), data, validation, floor)
    units = copy.deepcopy(dense).set_params(granularity="unit")
    models["units"] = prune_within(units, data, validation, floor)
    both = prune_within(copy.deepcopy(units), data, validation, score - TOLERANCE / 2)
    both = both.compact().set_params(granularity="weight")
    models[PRUNED] = prune_within(both, data, validation, floor).compact()
    return models


def multiply_adds(model) -> int:
    """Multiplications that are needed for one row."""
    if isinstance(model, MLPClassifier):
        return sum(coef.size for coef in model.coefs_)
    return sum(int(mask.sum()) for mask in model.coef_masks_)


def n_calls(n_rows: int) -> int:
    """Calls that are timed together: OpenBLAS's threads disturb what follows their last use."""
    return 50 if n_rows <= 100 else 3


def runner(model, X: np.ndarray) -> Callable[[], object]:
    """Some calls of predict_proba."""
    return lambda: [model.predict_proba(X) for _ in range(n_calls(len(X)))]


class OnnxModel:
    """An exported model that predicts by onnxruntime; with scikit-learn's check of ``X`` or not."""

    def __init__(self, model, X: np.ndarray, checks: bool = False) -> None:
        self.checked = model if checks else None
        self.bytes = model.to_onnx(X).SerializeToString()
        self.session = onnxruntime.InferenceSession(self.bytes, providers=["CPUExecutionProvider"])

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities by onnxruntime."""
        if self.checked is not None:
            validate_data(self.checked, X, accept_sparse=True, dtype=X.dtype, reset=False)
        return self.session.run(["probabilities"], {"X": X})[0]


def compare(name: str, models: dict, X: np.ndarray, y: np.ndarray, repeats: int) -> dict:
    """Print one data set's table; returns how much better than scikit-learn each model is."""
    exported = {f"{n} (onnx)": OnnxModel(m, X) for n, m in models.items() if n != DENSE}
    exported[f"{PRUNED} (onnx, checked)"] = OnnxModel(models[PRUNED], X, checks=True)
    seconds = {}
    for n_rows in N_ROWS:
        rows = np.ascontiguousarray(X[np.arange(n_rows) % len(X)])
        functions = {n: runner(model, rows) for n, model in (models | exported).items()}
        times = median_times(functions, repeats)
        seconds[n_rows] = {n: t / n_calls(n_rows) for n, t in times.items()}
    size = {n: len(pickle.dumps(m)) for n, m in models.items()}
    size |= {n: len(m.bytes) for n, m in exported.items()}
    table, gains = [], {}
    for n in (*models, *exported):
        original = models[n.partition(" (onnx")[0]]
        accuracy = f"{100 * original.score(X, y):.2f}" if n in models else ""
        work = multiply_adds(original)
        times = [seconds[n_rows][n] for n_rows in N_ROWS]
        milliseconds = [1e3 * t for t in times]
        table.append([n, accuracy, work, size[n], *milliseconds])
        dense = [seconds[n_rows][DENSE] for n_rows in N_ROWS]
        gains[n] = [multiply_adds(models[DENSE]) / work, size[DENSE] / size[n]]
        gains[n] += [d / t for d, t in zip(dense, times, strict=True)]
    print(name, X.shape)
    print_table(table, ["model", "accuracy %", "multiply-adds", "bytes", "1 row ms", "100", "100k"])
    return gains


def bare(model) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The same network with one hidden layer in three lines of NumPy, and without any check."""
    (W, V), (b, c) = map(np.array, model.coefs_), map(np.array, model.intercepts_)
    classes = model.classes_

    def raw(x):
        return np.maximum(x @ W + b, 0) @ V + c

    def predict_proba(x):
        if len(classes) == 2:
            p = 1 / (1 + np.exp(-raw(x)))
            return np.hstack([1 - p, p])
        z = raw(x)
        p = np.exp(z - z.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def predict(x):
        if len(classes) == 2:
            return classes[(raw(x)[:, 0] > 0).astype(int)]
        return classes[raw(x).argmax(axis=1)]

    return {"predict": predict, "predict_proba": predict_proba}


def compare_one_row(name: str, X: np.ndarray, y: np.ndarray, repeats: int) -> None:
    """Microseconds of one row: the network, alone and after a scaler, and what stands beside it."""
    X, y = X[:8000].astype(np.float32), y[:8000]
    scaler = StandardScaler().fit(X)
    Z = scaler.transform(X)
    settings = {"hidden_layer_sizes": (100,), "max_iter": 10, "random_state": 0}
    unit = {"granularity": "unit", "prune_fraction": 0.8, "n_rounds": 2}
    mlp = OBDMLPClassifier(**settings, **unit).fit(Z, y).compact()
    dense = MLPClassifier(**settings).fit(Z, y)
    trees = HistGradientBoostingClassifier(random_state=0).fit(X, y)
    onnx = onnxruntime.InferenceSession(
        mlp.to_onnx(Z[:1]).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    numpy, x, z, table = bare(mlp), X[:1], Z[:1], []
    for method in ("predict", "predict_proba"):
        output = ["label" if method == "predict" else "probabilities"]
        calls = {
            "NumPy": lambda f=numpy[method]: f(z),
            "skobd": lambda f=getattr(mlp, method): f(z),
            "onnxruntime": lambda output=output: onnx.run(output, {"X": z}),
            "scikit-learn": lambda f=getattr(dense, method): f(z),
            "StandardScaler": lambda: scaler.transform(x),
            "scaler, skobd": lambda f=getattr(make_pipeline(scaler, mlp), method): f(x),
            "scaler, scikit-learn": lambda f=getattr(make_pipeline(scaler, dense), method): f(x),
            "boosted trees": lambda f=getattr(trees, method): f(x),
        }
        many = {n: lambda call=call: [call() for _ in range(200)] for n, call in calls.items()}
        times = median_times(many, 3 * repeats)
        microseconds = [times[n] / 200 * 1e6 for n in calls]
        table.append([method, *microseconds, times["skobd"] / times["NumPy"]])
    print(f"one row of {name}, {mlp.coefs_[0].shape[1]} units, microseconds")
    print_table(table, ["method", *calls, "skobd / NumPy"])


def compare_rounds(X: np.ndarray, y: np.ndarray, repeats: int) -> None:
    """Total time of ten rounds to 95 %, with and without compaction."""
    table = []
    for granularity in ("weight", "unit"):
        for solver, budget in (("adam", 10), ("lbfgs", 40)):

            def fit(granularity=granularity, solver=solver, budget=budget):
                OBDMLPClassifier(
                    (100,),
                    solver=solver,
                    alpha=1e-2,
                    max_iter=budget,
                    prune_fraction=0.95,
                    n_rounds=10,
                    granularity=granularity,
                    random_state=0,
                ).fit(X, y)

            def fit_without(fit=fit):
                without = mock.patch.object(
                    ActiveObjective, "restricted", lambda active, *_, **__: active
                )
                with without:
                    fit()

            times = median_times({"with": fit, "without": fit_without}, repeats)
            ratio = times["without"] / times["with"]
            table.append([granularity, solver, times["without"], times["with"], ratio])
    print("ten rounds to 95 %, seconds; USPS, 256-100-10")
    print_table(table, ["granularity", "solver", "without", "with compaction", "ratio"])


def compare_products(repeats: int) -> None:
    """How many times faster than a dense product the CSR products of one layer are."""
    rng, table = np.random.default_rng(0), []
    for shape in ((256, 100), (784, 300), (1000, 1000)):
        for zeros in (0.8, 0.9, 0.95, 0.98, 0.99):
            W = rng.standard_normal(shape).astype(np.float32)
            W *= rng.random(shape) >= zeros
            csr, csr_of_transpose = sparse.csr_array(W), sparse.csr_array(W.T)
            ratios = []
            for n_rows in (1, 1024):
                x = rng.standard_normal((n_rows, shape[0])).astype(np.float32)
                n_repeats = 200 if n_rows == 1 else 3

                def transposed(x=x, csr=csr_of_transpose):
                    blocks = (x[i : i + 256] for i in range(0, len(x), 256))
                    return [csr @ np.ascontiguousarray(block.T) for block in blocks]

                functions = {
                    "dense": lambda x=x, W=W: x @ W,
                    "plain": lambda x=x, csr=csr: x @ csr,
                    "blocks": transposed,
                }
                many = {
                    name: lambda f=f, n=n_repeats: [f() for _ in range(n)]
                    for name, f in functions.items()
                }
                with reproducible_threads(1):
                    times = median_times(many, repeats)
                ratios += [times["dense"] / times["plain"], times["dense"] / times["blocks"]]
            table.append(["x".join(map(str, shape)), f"{zeros:.0%}", *ratios])
    print("speed of CSR products, dense = 1, one thread, float32")
    heads = ["1 row: x @ W", "1 row: blocks", "1024 rows: x @ W", "1024 rows: blocks"]
    print_table(table, ["layer", "zeros", *heads])


def main() -> None:
    """Run the comparison and print the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--sets", default=",".join(SETS), help="names, separated by commas")
    parser.add_argument("--max-rows", type=int, help="train on the first of the rows only")
    parser.add_argument("--quick", action="store_true", help="few epochs, to try it out")
    parser.add_argument("--row", action="store_true", help="the time of one row only")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print_environment()
    for name in ROW_SETS:
        X, _, y, _ = load_dataset(name, options.data).split()
        compare_one_row(name, X, y, options.repeats)
    if options.row:
        return
    gains: dict[str, list] = {}
    for name in options.sets.split(","):
        dataset = load_dataset(name, options.data)
        X, X_test, y, y_test = dataset.split()
        scaler = preprocessor(dataset).fit(X)
        X, X_test = (
            np.ascontiguousarray(scaler.transform(part), np.float32) for part in (X, X_test)
        )
        X, y = X[: options.max_rows], y[: options.max_rows]
        n_epochs = 4 if options.quick else 10 if len(X) > 10_000 else 60
        models = train(X, y, n_epochs)
        for model, gain in compare(name, models, X_test, y_test, options.repeats).items():
            gains.setdefault(model, []).append(gain)
    print("times better than scikit-learn's dense network, geometric mean over the sets")
    rows = [[n, *map(geometric_mean, zip(*gain, strict=True))] for n, gain in gains.items()]
    print_table(rows, ["model", "multiply-adds", "bytes", "1 row", "100 rows", "100k rows"])
    X, _, y, _ = load_dataset("usps", options.data).split()
    compare_rounds(X, y, min(options.repeats, 3))
    compare_products(options.repeats)


if __name__ == "__main__":
    main()
