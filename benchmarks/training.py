"""Speed and memory of training and prediction, side by side with scikit-learn's MLP.

    python benchmarks/training.py                  # everything, about 15 minutes on two cores
    python benchmarks/training.py --only adam lbfgs
    python benchmarks/training.py --engines        # the steps side by side, a quarter of an hour

Whole calls of ``fit`` are timed, at equal dtype, epochs, batch size, architecture and start,
with the threads that each library takes by itself; skobd's ends with one pass over the data for
``feature_importances_``. Competitors run in turn. PyTorch is a column
where it is installed. Data are synthetic: the time of an epoch depends on the shapes alone.
"""

import copy
import importlib.util
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import arguments, geometric_mean, median_times, print_environment, print_table
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from tabular import load_fold
from threadpoolctl import threadpool_info, threadpool_limits

from skobd import OBDMLPClassifier

HAS_NUMBA = importlib.util.find_spec("numba") is not None
HAS_TORCH = importlib.util.find_spec("torch") is not None


class Case(NamedTuple):
    """A shape of the problem; ``epochs`` make a fit last long enough to be timed."""

    n_samples: int
    n_features: int
    hidden: tuple[int, ...]
    n_classes: int
    batch_size: int
    epochs: int

    def __str__(self) -> str:
        sizes = (self.n_features, *self.hidden, self.n_classes)
        return f"{self.n_samples} x {'-'.join(map(str, sizes))}, batch {self.batch_size}"

    def data(self, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """Classes that no network of this size separates in the epochs it gets."""
        X, y = make_classification(
            self.n_samples,
            self.n_features,
            n_informative=min(20, self.n_features),
            n_redundant=0,
            n_classes=self.n_classes,
            random_state=0,
        )
        X -= X.mean(axis=0)
        X /= X.std(axis=0)
        return np.ascontiguousarray(X, dtype=dtype), y


CASES = (
    Case(5_000, 30, (100,), 3, 200, 50),
    Case(30_000, 100, (128, 64), 2, 256, 20),
    Case(20_000, 784, (300, 100), 10, 200, 10),
)
DTYPES = ("float64", "float32")
# Default fits are timed on generated tables of so many rows, and on these sets of tabular.py.
MANY_ROWS = (100_000, 500_000)
TABULAR = ("ann_thyroid", "phoneme", "satimage", "segment", "spambase", "waveform5000")


def verdict(value: float, target: float, at_least: bool) -> str:
    """Say whether a target is met."""
    met = value >= target if at_least else value <= target
    return f"{'HIT' if met else 'MISS'} ({'>=' if at_least else '<='} {target:g})"


# ------------------------------------------------------------------------------ adam


def bare_products(case: Case, X: np.ndarray, epochs: int) -> None:
    """The matrix products of training and nothing else: what no implementation can go below."""
    n_outputs = 1 if case.n_classes == 2 else case.n_classes
    sizes = (case.n_features, *case.hidden, n_outputs)
    weights = [np.ones(shape, dtype=X.dtype) for shape in itertools.pairwise(sizes)]
    gradients = [np.empty_like(w) for w in weights]
    forward = [np.ones((case.batch_size, n), dtype=X.dtype) for n in sizes[1:]]
    backward = [np.ones((case.batch_size, n), dtype=X.dtype) for n in sizes[1:]]
    for _ in range(epochs):
        for start in range(0, case.n_samples, case.batch_size):
            batch = X[start : start + case.batch_size]
            n = len(batch)
            inputs = [batch, *(a[:n] for a in forward)]
            for x, w, a in zip(inputs, weights, forward, strict=False):
                np.matmul(x, w, out=a[:n])
            for index in range(len(weights) - 1, -1, -1):
                np.matmul(inputs[index].T, backward[index][:n], out=gradients[index])
                if index:
                    np.matmul(backward[index][:n], weights[index].T, out=backward[index - 1][:n])


def torch_fit(case: Case, X: np.ndarray, y: np.ndarray, epochs: int, alpha: float) -> float:
    """Plain PyTorch training on tensors in memory; returns the mean loss of the last epoch."""
    import torch

    torch.manual_seed(0)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y)
    n_outputs = 1 if case.n_classes == 2 else case.n_classes
    criterion: Any = torch.nn.CrossEntropyLoss()
    if n_outputs == 1:
        criterion = torch.nn.BCEWithLogitsLoss()
        targets = targets.to(inputs.dtype)[:, None]
    sizes = (case.n_features, *case.hidden)
    layers: list[Any] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], n_outputs)).to(inputs.dtype)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=1e-3, eps=1e-8, weight_decay=alpha / case.batch_size
    )
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(case.n_samples).split(case.batch_size):
            optimizer.zero_grad()
            loss = criterion(model(inputs[rows]), targets[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
    return total / case.n_samples


def settings(case: Case, **others: Any) -> dict[str, Any]:
    """Constructor parameters that both libraries understand."""
    return {
        "hidden_layer_sizes": case.hidden,
        "batch_size": case.batch_size,
        "max_iter": case.epochs,
        "n_iter_no_change": 10**6,
        "random_state": 0,
    } | others


def adam(repeats: int) -> None:
    """Epochs of Adam against scikit-learn and PyTorch."""
    print("Adam, whole fits of fixed epochs (median seconds)")
    rows, ratios, torch_ratios, no_worse = [], [], [], True
    for dtype in DTYPES:
        for case in CASES:
            X, y = case.data(dtype)
            ours = OBDMLPClassifier(**settings(case), prune_fraction=0)
            theirs = MLPClassifier(**settings(case))
            calls: dict[str, Callable[[], Any]] = {
                "skobd": lambda m=ours, X=X, y=y: m.fit(X, y),
                "sklearn": lambda m=theirs, X=X, y=y: m.fit(X, y),
                "bare": lambda c=case, X=X: bare_products(c, X, c.epochs),
            }
            if HAS_TORCH:
                calls["torch"] = lambda c=case, X=X, y=y: torch_fit(c, X, y, c.epochs, 1e-4)
            seconds = median_times(calls, repeats)
            ratios.append(seconds["sklearn"] / seconds["skobd"])
            torch_ratio = seconds.get("torch", np.nan) / seconds["skobd"]
            torch_ratios.append(torch_ratio)
            no_worse &= ours.loss_ <= theirs.loss_ * (1 + 1e-3)
            rows.append(
                [case, dtype, seconds["skobd"], seconds["sklearn"], seconds.get("torch", "-")]
                + [seconds["bare"], ratios[-1], torch_ratio, seconds["skobd"] / seconds["bare"]]
                + [ours.loss_, theirs.loss_]
            )
    headers = ["case", "dtype", "skobd", "sklearn", "torch", "bare products"]
    headers += ["sklearn/skobd", "torch/skobd", "skobd/bare", "loss skobd", "loss sklearn"]
    print_table(rows, headers)
    mean = geometric_mean(ratios)
    checks = [
        ["sklearn/skobd, geometric mean", mean, verdict(mean, 2.5, True)],
        ["sklearn/skobd, smallest", min(ratios), verdict(min(ratios), 1.5, True)],
        ["final loss no worse", "", "HIT" if no_worse else "MISS"],
    ]
    if HAS_TORCH:
        mean = geometric_mean(torch_ratios)
        checks.append(["torch/skobd, geometric mean", mean, verdict(mean, 1.5, True)])
    print_table(checks, ["what", "measured", "target"])


# ------------------------------------------------------------------------------ engines


FIRST_FIT = """
import time, warnings
import numpy as np
from skobd import OBDMLPClassifier
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(1000, 20)).astype("{dtype}")
model = OBDMLPClassifier(max_iter=2, prune_fraction=0)
start = time.perf_counter()
model.fit(X, X[:, 0] > 0)
print(time.perf_counter() - start)
"""


def engines(repeats: int) -> None:
    """Ten epochs by each step, scikit-learn, PyTorch and bare products, on one core and on all."""
    names = ["numpy", "numba"] if HAS_NUMBA else ["numpy"]
    all_threads = max(pool["num_threads"] for pool in threadpool_info())
    checks: list[list[Any]] = []
    for n_threads in sorted({1, all_threads}):
        print(f"Adam, whole fits of ten epochs on {n_threads} thread(s) (median seconds)")
        rows, seconds = [], []
        for dtype, case in [(dtype, case) for dtype in DTYPES for case in CASES]:
            seconds.append(_ten_epochs(case._replace(epochs=10), dtype, names, n_threads, repeats))
            theirs, bare = seconds[-1]["sklearn"], seconds[-1]["bare"]
            row = [case, dtype, *seconds[-1].values()]
            rows.append(row + [theirs / seconds[-1][n] for n in names])
            rows[-1] += [seconds[-1][n] / bare for n in names]
        headers = ["case", "dtype", *seconds[0], *(f"sklearn/{name}" for name in names)]
        print_table(rows, [*headers, *(f"{name}/bare" for name in names)])
        if n_threads < all_threads:
            # The targets are for all cores.
            continue
        for name, (mean, least) in {"numpy": (1.9, 1.3), "numba": (2.8, 1.6)}.items():
            if name not in names:
                continue
            ratios = [times["sklearn"] / times[name] for times in seconds]
            checks += [
                [f"sklearn/{name}, mean, {n_threads}", geometric_mean(ratios), mean, True],
                [f"sklearn/{name}, least, {n_threads}", min(ratios), least, True],
            ]
        if HAS_NUMBA:
            ratio = max(times["numba"] / times["bare"] for times in seconds)
            checks.append([f"numba/bare, largest, {n_threads}", ratio, 1.5, False])
            gains = _gains(seconds)
            # What a compiled step must be worth to be had at all.
            for size in ("small", "middle"):
                checks.append([f"numpy/numba, {size}, {n_threads}", gains[size], 1.4, True])
            print(f"numpy/numba, large: {gains['large']:.2f}")
            if HAS_TORCH:
                ratio = geometric_mean(times["torch"] / times["numba"] for times in seconds)
                checks.append([f"torch/numba, mean, {n_threads}", ratio, 2.5, True])
    rows = [[what, value, verdict(value, *target)] for what, value, *target in checks]
    print_table(rows, ["what, threads", "measured", "target"])
    if HAS_NUMBA:
        _first_fits()


def fit_by(engine: str, model: Any, X: np.ndarray, y: np.ndarray) -> None:
    """Fit by the step in NumPy or by the compiled one."""
    os.environ["SKOBD_ENGINE"] = engine
    model.fit(X, y)


def _ten_epochs(
    case: Case, dtype: str, names: list[str], n_threads: int, repeats: int
) -> dict[str, float]:
    X, y = case.data(dtype)
    calls: dict[str, Callable[[], Any]] = {}
    for name in names:
        model = OBDMLPClassifier(**settings(case), prune_fraction=0)
        calls[name] = lambda m=model, name=name: fit_by(name, m, X, y)
    theirs = MLPClassifier(**settings(case))
    calls["sklearn"] = lambda: theirs.fit(X, y)
    if HAS_TORCH:
        import torch

        torch.set_num_threads(n_threads)
        calls["torch"] = lambda: torch_fit(case, X, y, case.epochs, 1e-4)
    calls["bare"] = lambda: bare_products(case, X, case.epochs)
    with threadpool_limits(n_threads):
        return median_times(calls, repeats)


def _gains(seconds: list[dict[str, float]]) -> dict[str, float]:
    """How much faster the compiled step is for each size of the network."""
    sizes, n = ("small", "middle", "large"), len(CASES)
    return {
        size: geometric_mean(times["numpy"] / times["numba"] for times in seconds[index::n])
        for index, size in enumerate(sizes)
    }


def _first_fits() -> None:
    """What the first fit of a process takes, before and after the code is on the disk."""
    print("The first fit of a process (seconds)")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what, engine, dtype in (
            ("NumPy", "numpy", "float64"),
            ("compiling", "numba", "float64"),
            ("compiling", "numba", "float32"),
            ("compiled on disk", "numba", "float64"),
        ):
            process = subprocess.run(
                [sys.executable, "-c", FIRST_FIT.format(dtype=dtype)],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | {"NUMBA_CACHE_DIR": folder, "SKOBD_ENGINE": engine},
            )
            rows.append([what, dtype, float(process.stdout)])
    print_table(rows, ["what", "dtype", "seconds"])


# ------------------------------------------------------------------------------ default fits


def many_rows(n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that depend on three of 50 columns; a tenth of the rows have the wrong one."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, 50), dtype=np.float32)
    is_second = (X[:, 0] + X[:, 1] * X[:, 2] > 0) ^ (rng.random(n_samples) < 0.1)
    return X, is_second.astype(np.int64)


def default(repeats: int, data_dir: str | None = None) -> None:
    """Fits with every default, pruning included, beside `MLPClassifier().fit`."""
    print("fits with all defaults, skobd's with pruning (seconds, and in units of scikit-learn's)")
    names = ["numpy", "numba"] if HAS_NUMBA else ["numpy"]
    problems = {
        f"{case}, {dtype}": (case.hidden, *case.data(dtype)) for case in CASES for dtype in DTYPES
    }
    for n_samples in MANY_ROWS:
        problems[f"{n_samples} x 50-100-2, float32"] = ((100,), *many_rows(n_samples))
    for name in TABULAR:
        fold = load_fold(name, 0, data_dir)
        problems[name] = ((100,), fold.X_train, fold.y_train)
    rows, ratios = [], {name: [] for name in names}
    for what, (hidden, X, y) in problems.items():
        models: dict[str, Any] = {"sklearn": MLPClassifier(hidden, random_state=0)}
        for name in names:
            models[name] = OBDMLPClassifier(hidden, random_state=0)
        seconds = {}
        for name, model in models.items():
            # What numba has on the disk is loaded before.
            engine = "auto" if name == "sklearn" else name
            fit_by(engine, copy.deepcopy(model).set_params(max_iter=1), X[:500], y[:500])
            times = []
            # Fits of minutes need no repetition.
            for _ in range(repeats if X.size < 10**6 else 1):
                time.sleep(0.15)
                start = time.perf_counter()
                fit_by(engine, model, X, y)
                times.append(time.perf_counter() - start)
            seconds[name] = statistics.median(times)
        for name in names:
            ratios[name].append(seconds[name] / seconds["sklearn"])
        rows.append([what, *seconds.values(), *(ratios[name][-1] for name in names)])
    print_table(rows, ["problem", "sklearn", *names, *(f"{name}/sklearn" for name in names)])
    rows = []
    for name in names:
        mean, largest = geometric_mean(ratios[name]), max(ratios[name])
        rows.append([name, mean, verdict(mean, 0.7, False), largest, verdict(largest, 1.0, False)])
    print_table(rows, ["step", "mean", "target", "largest", "target"])


# ------------------------------------------------------------------------------ threads


def threads(repeats: int) -> None:
    """Why skobd shares work out itself, and what that costs."""
    from skobd._threads import reproducible_threads, run_chunks

    rng, n_products, n_different = np.random.default_rng(0), 300, 0
    for _ in range(n_products):
        n, m, k = rng.integers(1, 600, 3)
        a, b = rng.standard_normal((n, m)), rng.standard_normal((m, k))
        products = []
        for n_threads in (1, 2):
            with threadpool_limits(n_threads, user_api="blas"):
                products.append(a @ b)
        n_different += not np.array_equal(*products)
    with reproducible_threads():
        call = {"two chunks": lambda: [run_chunks(lambda chunk: 0.0, range(2)) for _ in range(200)]}
        seconds = median_times(call, repeats)["two chunks"] / 200
    print("Threads")
    rows = [
        ["random products whose bits depend on BLAS's threads", n_different / n_products],
        ["waking a thread and waiting for it (ms)", 1e3 * seconds],
    ]
    print_table(rows, ["what", "measured"])


# ------------------------------------------------------------------------------ lbfgs


def lbfgs(repeats: int) -> None:
    """Time of L-BFGS to the objective that scikit-learn's ends at."""
    print("L-BFGS, time to the objective that scikit-learn's L-BFGS ends at (median seconds)")
    rows = []
    for dtype, case in [(dtype, case) for dtype in DTYPES for case in CASES[:2]]:
        X, y = case.data(dtype)
        common = settings(case, solver="lbfgs", max_iter=100, alpha=1.0)
        theirs = MLPClassifier(**common).fit(X, y)
        probe = OBDMLPClassifier(**common, prune_fraction=0).set_params(max_iter=200).fit(X, y)
        reached = np.flatnonzero(np.array(probe.loss_curve_) <= theirs.loss_)
        if not reached.size:
            rows.append([case, dtype, "not reached", "-", "-", "-", "MISS"])
            continue
        n_iter = int(reached[0]) + 1
        ours = OBDMLPClassifier(**common | {"max_iter": n_iter}, prune_fraction=0)
        seconds = median_times(
            {
                "skobd": lambda m=ours, X=X, y=y: m.fit(X, y),
                "sklearn": lambda m=theirs, X=X, y=y: m.fit(X, y),
            },
            repeats,
        )
        ratio = seconds["skobd"] / seconds["sklearn"]
        iterations = f"{n_iter} / {theirs.n_iter_}"
        rows.append([case, dtype, seconds["skobd"], seconds["sklearn"], iterations, ratio])
        rows[-1].append(verdict(ratio, 0.7, False))
    headers = ["case", "dtype", "skobd", "sklearn", "iterations", "skobd/sklearn", "target"]
    print_table(rows, headers)


# ------------------------------------------------------------------------------ curvature


def curvature(repeats: int) -> None:
    """One pass of each diagonal curvature against one full-batch gradient pass."""
    from skobd._prune.curvature import CURVATURES, diagonal_curvature
    from skobd._threads import reproducible_threads

    print("Second derivatives, one pass over all rows against one gradient pass (ratio of medians)")
    rows = []
    for dtype in DTYPES:
        for case in CASES:
            X, y = case.data(dtype)
            model = OBDMLPClassifier(**settings(case, max_iter=1), prune_fraction=0).fit(X, y)
            problem = model._problem(X, y, None)
            objective, theta = problem.objective, problem.theta
            calls: dict[str, Callable[[], Any]] = {
                kind: lambda o=objective, t=theta, k=kind: diagonal_curvature(o, t, k)
                for kind in CURVATURES
            }
            calls["gradient"] = lambda o=objective, t=theta: o.value_and_gradient(t)
            with reproducible_threads():
                seconds = median_times(calls, repeats)
            # A binary target has one output unit.
            n_outputs = model.n_outputs_
            row: list[Any] = [case, dtype, seconds["gradient"]]
            for kind in CURVATURES:
                limit = 1.5 if kind != "gauss_newton" else max(1.5, 1.1 * n_outputs)
                ratio = seconds[kind] / seconds["gradient"]
                row.append(f"{ratio:.2f} {verdict(ratio, limit, False)}")
            rows.append(row)
    print_table(rows, ["case", "dtype", "gradient (s)", *CURVATURES])


# ------------------------------------------------------------------------------ memory


MEMORY_LIMIT = 200.0


def peak_megabytes() -> float:
    """Largest resident set of this process so far."""
    import resource

    status = Path("/proc/self/status")
    if status.exists():
        # On Linux a new process inherits ru_maxrss from the one that started it.
        (kilobytes,) = re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())
        return int(kilobytes) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure_memory(call: str, solver: str) -> None:
    """Print the peak memory of one call above what is there before it (in a fresh process)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500_000, 50), dtype=np.float32)
    y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.int64)
    model = OBDMLPClassifier(solver=solver, max_iter=2, random_state=0, n_rounds=1)
    # Threads, BLAS buffers and imports are not the call's.
    model.fit(X[:2000], y[:2000])
    if call == "fit":
        calls = [lambda: model.fit(X, y)]
    elif call == "prune":
        calls = [lambda: model.prune(X, y, prune_fraction=0.95, n_rounds=2)]
    else:
        calls = [
            lambda kind=kind: model.set_params(curvature=kind).second_derivatives(X, y)
            for kind in ("hessian", "levenberg_marquardt", "gauss_newton")
        ]
    before = peak_megabytes()
    for function in calls:
        function()
    print(json.dumps(peak_megabytes() - before))


def memory(repeats: int) -> None:
    """Peak memory above the data, each call in a process of its own."""
    print("Peak memory above the data, 500000 x 50 float32 (100 MB), hidden 100 (MB)")
    rows = []
    for call in ("fit", "prune", "second_derivatives"):
        for solver in ("adam", "sgd", "lbfgs"):
            command = [sys.executable, "-W", "ignore", __file__, "--measure-memory", call, solver]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            megabytes = json.loads(output)
            rows.append([call, solver, megabytes, verdict(megabytes, MEMORY_LIMIT, False)])
    print_table(rows, ["call", "solver", "MB", "target"])


# ------------------------------------------------------------------------------ prediction


def predict(repeats: int) -> None:
    """``predict_proba`` on many rows and on one row.

    Several calls are timed together, because after each product the threads of OpenBLAS wait
    busily for the next for a tenth of a second, at the cost of whatever is measured next.
    """
    print("predict_proba (median milliseconds)")
    rows = []
    for dtype in DTYPES:
        for case in CASES:
            X, y = case.data(dtype)
            ours = OBDMLPClassifier(**settings(case, max_iter=1), prune_fraction=0).fit(X, y)
            theirs = MLPClassifier(**settings(case, max_iter=1)).fit(X, y)
            many = np.resize(X, (100_000, case.n_features))
            for what, data, calls in (("100000 rows", many, 5), ("one row", X[:1], 200)):
                seconds = median_times(
                    {
                        "skobd": lambda d=data, n=calls, m=ours: _repeat(m.predict_proba, d, n),
                        "sklearn": lambda d=data, n=calls, m=theirs: _repeat(m.predict_proba, d, n),
                    },
                    max(repeats, 11),
                )
                ratio = seconds["skobd"] / seconds["sklearn"]
                milliseconds = [1e3 * seconds[name] / calls for name in ("skobd", "sklearn")]
                rows.append([case, dtype, what, *milliseconds, ratio, verdict(ratio, 1.0, False)])
    print_table(rows, ["case", "dtype", "input", "skobd", "sklearn", "skobd/sklearn", "target"])


def _repeat(function: Callable[[Any], Any], data: Any, n_calls: int) -> None:
    for _ in range(n_calls):
        function(data)


PARTS: dict[str, Callable[..., None]] = {
    "adam": adam,
    "engines": engines,
    "default": default,
    "threads": threads,
    "lbfgs": lbfgs,
    "curvature": curvature,
    "memory": memory,
    "predict": predict,
}


def main() -> None:
    """Run the parts that the command line asks for."""
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--engines", action="store_true", help="the same as --only engines")
    parser.add_argument("--measure-memory", nargs=2, metavar=("CALL", "SOLVER"))
    options = parser.parse_args()
    # The number of epochs is fixed here, so fits are meant to end before they converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    if options.measure_memory:
        measure_memory(*options.measure_memory)
        return
    print_environment()
    start = time.perf_counter()
    for name in ["engines"] if options.engines else options.only:
        given = (options.data,) if name == "default" else ()
        PARTS[name](options.repeats, *given)
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
