"""The search over the workers of Dask and Ray, beside one process.

    python benchmarks/clusters.py                 # about ten minutes on two cores

Needs ``dask[distributed]`` and ``ray``; what is not installed is left out. Every engine has two
workers of one thread and runs the same `PruningSearchCV`; each score must equal the serial one to
the last bit. The engines run in turn, after a small search that starts their workers; times are
medians, and leave out the refit, which is one fit on one worker.
"""

import argparse
import contextlib
import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _common import print_environment, print_table
from joblib import parallel_config
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skobd import OBDMLPClassifier, PruningSearchCV

N_WORKERS = 2
LEVELS = [0, 0.5, 0.8, 0.9]


def make_search(n_jobs: int | None = None) -> PruningSearchCV:
    """Six folds of one path each, so that two workers get three."""
    mlp = OBDMLPClassifier((64,), max_iter=30, random_state=0)
    return PruningSearchCV(
        make_pipeline(StandardScaler(), mlp), prune_fractions=LEVELS, cv=6, n_jobs=n_jobs
    )


@contextlib.contextmanager
def serial() -> Iterator[int | None]:
    """This process, one thread."""
    with threadpool_limits(1):
        yield None


@contextlib.contextmanager
def processes() -> Iterator[int | None]:
    """joblib's own worker processes."""
    with parallel_config(backend="loky", inner_max_num_threads=1):
        yield N_WORKERS


@contextlib.contextmanager
def dask() -> Iterator[int | None]:
    """Two processes of a Dask cluster on this machine."""
    from dask.distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=N_WORKERS, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, Client(cluster), parallel_config(backend="dask"):
        yield None


@contextlib.contextmanager
def ray() -> Iterator[int | None]:
    """Two workers of a Ray cluster on this machine."""
    import ray
    from ray.util.joblib import register_ray

    ray.init(num_cpus=N_WORKERS, include_dashboard=False, log_to_driver=False)
    try:
        register_ray()
        with parallel_config(backend="ray", n_jobs=N_WORKERS):
            yield None
    finally:
        ray.shutdown()


ENGINES: dict[str, Callable[[], contextlib.AbstractContextManager[int | None]]] = {
    "one process": serial,
    "joblib's processes": processes,
    "Dask": dask,
    "Ray": ray,
}
NEEDED = {"Dask": "distributed", "Ray": "ray"}


def is_same(results: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether all but the times are equal, bit for bit."""
    return list(results) == list(expected) and all(
        np.array_equal(np.asarray(results[name]), np.asarray(expected[name]), equal_nan=True)
        for name in expected
        if not name.endswith("_time") and name != "params" and not name.startswith("param_")
    )


def run(engine: str, X: np.ndarray, y: np.ndarray) -> tuple[float, dict[str, Any], np.ndarray]:
    """Seconds, results and predictions of the search over an engine."""
    with ENGINES[engine]() as n_jobs:
        make_search(n_jobs).set_params(prune_fractions=[0], cv=N_WORKERS).fit(X[:200], y[:200])
        search = make_search(n_jobs)
        start = time.perf_counter()
        search.fit(X, y)
        seconds = time.perf_counter() - start - search.refit_time_
    return seconds, search.cv_results_, search.predict_proba(X)


def main() -> None:
    """Run the engines in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print_environment()
    X, y = make_classification(options.rows, 40, n_informative=20, n_classes=3, random_state=0)
    engines = [name for name in ENGINES if importlib.util.find_spec(NEEDED.get(name, "skobd"))]
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    same = dict.fromkeys(engines, True)
    expected: tuple[dict[str, Any], np.ndarray] | None = None
    for _ in range(options.repeats):
        for name in engines:
            taken, results, p = run(name, X, y)
            seconds[name].append(taken)
            expected = expected or (results, p)
            same[name] &= is_same(results, expected[0]) and np.array_equal(p, expected[1])
    base = statistics.median(seconds["one process"])
    rows = [
        [
            name,
            f"{statistics.median(seconds[name]):.1f}",
            f"{base / statistics.median(seconds[name]):.2f}",
            "all" if same[name] else "NOT ALL",
        ]
        for name in engines
    ]
    print_table(rows, ["engine", "seconds", "speed-up", "scores and predictions equal"])


if __name__ == "__main__":
    main()
