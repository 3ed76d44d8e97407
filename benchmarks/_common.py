"""What the benchmarks share: data sets, timing and tables."""

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy
import sklearn
import threadpoolctl
from sklearn.compose import ColumnTransformer
from sklearn.datasets import fetch_openml
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

# Where a data set of the npz folder is found on OpenML; letter, optdigits and mnist keep there
# the order of rows that makes their official split.
OPENML_IDS = {
    "adult": 1590,
    "car": 40975,
    "churn": 40701,
    "credit_g": 31,
    "electricity": 151,
    "ionosphere": 59,
    "isolet": 300,
    "kr_vs_kp": 3,
    "letter": 6,
    "magic_telescope": 1120,
    "mnist": 554,
    "optdigits": 28,
    "page_blocks": 30,
    "phoneme": 1489,
    "pima_diabetes": 37,
    "satimage": 182,
    "segment": 36,
    "shuttle": 40685,
    "sonar": 40,
    "spambase": 44,
    "splice": 46,
    "waveform5000": 60,
    "wilt": 40983,
}
# The recipe of the Optimal Brain Damage paper, and of skobd 0.1.0: delete, retrain with the
# settings of dense training, no regrowth. ``retrain_alpha`` is to be the network's ``alpha``.
PAPERS_RECIPE: dict[str, Any] = {
    "n_regrow": 0,
    "retrain_max_iter": None,
}
_N_TRAIN_ON_OPENML = {"letter": 16000, "optdigits": 3823, "mnist": 60000}


class Dataset(NamedTuple):
    """One data set.

    Attributes
    ----------
    name : str
    X : ndarray of shape (n_samples, n_features), float32
        Categorical columns hold ordinal codes, -1 where missing.
    y : ndarray of shape (n_samples,)
        Classes 0..K-1, or a float target.
    categorical : list of int
        Indices of the categorical columns.
    n_train : int or None
        Where there is an official split, its training rows come first and are this many.
    feature_names, target_names : list of str
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    categorical: list[int]
    n_train: int | None
    feature_names: list[str]
    target_names: list[str]

    def split(
        self, test_size: float = 0.25, random_state: int = 0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return X_train, X_test, y_train, y_test: the official split, or a stratified one."""
        if self.n_train is not None:
            n = self.n_train
            return self.X[:n], self.X[n:], self.y[:n], self.y[n:]
        stratify = self.y if self.target_names else None
        return tuple(
            train_test_split(
                self.X, self.y, test_size=test_size, random_state=random_state, stratify=stratify
            )
        )


def load_dataset(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Load ``<data_dir>/<name>.npz`` where there is one, else fetch the set from OpenML."""
    path = None if data_dir is None else Path(data_dir) / f"{name}.npz"
    if path is not None and path.exists():
        return _from_npz(name, path)
    if name not in OPENML_IDS:
        raise SystemExit(f"{name!r} is neither in --data {data_dir} nor known on OpenML")
    return _from_openml(name)


def _from_npz(name: str, path: Path) -> Dataset:
    with np.load(path, allow_pickle=False) as file:
        data = dict(file)
    n_train = None
    if "X_train" in data:
        n_train = len(data["y_train"])
        data["X"] = np.concatenate([data["X_train"], data["X_test"]])
        data["y"] = np.concatenate([data["y_train"], data["y_test"]])
    return Dataset(
        name,
        data["X"].astype(np.float32),
        data["y"],
        data["cat"].tolist(),
        n_train,
        data["feature_names"].tolist(),
        data["target_names"].tolist() if "target_names" in data else [],
    )


def _from_openml(name: str) -> Dataset:
    bunch = fetch_openml(data_id=OPENML_IDS[name], as_frame=True)
    frame = bunch.data
    categorical = [
        index for index, kind in enumerate(frame.dtypes) if not np.issubdtype(kind, np.number)
    ]
    columns = frame.columns[categorical]
    frame = frame.astype(dict.fromkeys(columns, object))
    if categorical:
        encoder = OrdinalEncoder(encoded_missing_value=-1)
        frame[columns] = encoder.fit_transform(frame[columns])
    target_names, y = np.unique(bunch.target.astype(str), return_inverse=True)
    return Dataset(
        name,
        frame.to_numpy(dtype=np.float32),
        y,
        categorical,
        _N_TRAIN_ON_OPENML.get(name),
        list(bunch.feature_names),
        target_names.tolist(),
    )


def preprocessor(dataset: Dataset, sparse_output: bool = False) -> ColumnTransformer:
    """Standardise the numeric columns and one-hot encode the categorical ones."""
    numeric = [i for i in range(dataset.X.shape[1]) if i not in set(dataset.categorical)]
    one_hot = OneHotEncoder(
        handle_unknown="ignore", sparse_output=sparse_output, dtype=dataset.X.dtype
    )
    return ColumnTransformer(
        [("numeric", StandardScaler(), numeric), ("categorical", one_hot, dataset.categorical)],
        sparse_threshold=1.0 if sparse_output else 0.0,
    )


def median_time(function: Callable[[], Any], repeats: int = 5) -> float:
    """Median wall-clock seconds of a call, after one call to warm up."""
    return median_times({"": function}, repeats)[""]


def median_times(functions: dict[str, Callable[[], Any]], repeats: int = 5) -> dict[str, float]:
    """Median seconds of each function, called in turn, so that noise meets all of them alike."""
    for function in functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            # BLAS's threads look for more work for .1 s, and keep others from the cores.
            time.sleep(0.15)
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure_missing(
    out: str | Path,
    tasks: Iterable[tuple[Any, ...]],
    measure: Callable[..., list[dict[str, Any]]],
    keys: Sequence[str] = ("set", "seed"),
) -> pd.DataFrame:
    """Measure the tasks that a CSV file does not hold yet, adding to it one by one.

    A task is the values of ``keys``, the arguments of ``measure``.
    """
    out = Path(out)
    parts = [pd.read_csv(out)] if out.exists() else []
    done = {task for part in parts for task in part[list(keys)].itertuples(index=False, name=None)}
    for task in tasks:
        if task in done:
            continue
        start = time.perf_counter()
        rows = measure(*task)
        parts.append(pd.DataFrame([dict(zip(keys, task, strict=True)) | row for row in rows]))
        pd.concat(parts).to_csv(out, index=False)
        print(*task, f"{time.perf_counter() - start:.1f} s", flush=True)
    return pd.concat(parts, ignore_index=True)


def geometric_mean(values: Iterable[float]) -> float:
    """Geometric mean of positive numbers."""
    return statistics.geometric_mean(values)


def print_table(rows: Iterable[Sequence[Any]], headers: Sequence[str]) -> None:
    """Print rows in aligned columns; floats get four significant digits."""
    cells = [
        [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    for row in [list(headers), ["-" * width for width in widths], *cells]:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    print()


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="DIR", help="folder of npz data sets; else OpenML")
    parser.add_argument("--repeats", type=int, default=5, help="timings of which the median counts")
    return parser


def print_environment() -> None:
    """Print what the figures depend on."""
    threads = {
        f"{library['internal_api']} {library['num_threads']}"
        for library in threadpoolctl.threadpool_info()
    }
    print(
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}, scikit-learn {sklearn.__version__}; "
        f"threads: {', '.join(sorted(threads))}\n"
    )
