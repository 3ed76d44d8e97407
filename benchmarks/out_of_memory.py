"""Data that outgrow memory: chunks, a sample, a memory-mapped file, and what each takes.

    python benchmarks/out_of_memory.py               # about a minute; a file of 200 MB
    python benchmarks/out_of_memory.py --rows 200000

Every way runs in a process of its own on the same rows of a file, float32 with 100 columns. Memory
is the most that the process held beyond what it held before it opened the file, its own pages
only: those of the file itself belong to the system, which drops them when it needs room (Linux
alone tells the two apart). Accuracy is that on 20 000 rows that nothing was fitted on.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _common import print_environment, print_table
from sklearn.exceptions import ConvergenceWarning

from skobd import OBDMLPClassifier

N_COLUMNS, N_CLASSES, N_TEST, CHUNK, SAMPLE = 100, 4, 20_000, 50_000, 50_000
EPOCHS = 5
SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (64,), "random_state": 0}


class Peak:
    """Most bytes of its own that this process holds, looked at 50 times a second."""

    def __enter__(self) -> "Peak":
        self._start = self._most = _own_bytes()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self._most = max(self._most, _own_bytes())

    def __exit__(self, *args: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        """Bytes more than at the start."""
        return self._most - self._start


def _own_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise SystemExit("This benchmark reads /proc/self/status, which only Linux has.")


def make_files(folder: Path, n_rows: int) -> None:
    """Rows of four classes, told apart by a random network, written chunk by chunk."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(N_COLUMNS // 2, 30)) / 7, rng.normal(size=(30, N_CLASSES))
    X = np.lib.format.open_memmap(
        folder / "X.npy", mode="w+", dtype=np.float32, shape=(n_rows + N_TEST, N_COLUMNS)
    )
    y = np.empty(n_rows + N_TEST, dtype=np.int8)
    for start in range(0, len(X), CHUNK):
        rows = slice(start, min(start + CHUNK, len(X)))
        X[rows] = rng.normal(size=(rows.stop - start, N_COLUMNS))
        scores = np.tanh(X[rows, : N_COLUMNS // 2] @ first * 3) @ second
        y[rows] = (scores + rng.gumbel(scale=0.5, size=scores.shape)).argmax(axis=1)
    np.save(folder / "y.npy", y)


def chunks(X: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Copies of successive rows, as they would be read from files."""
    for start in range(0, len(X), CHUNK):
        yield np.array(X[start : start + CHUNK]), y[start : start + CHUNK]


def in_memory(X: np.ndarray, y: np.ndarray) -> OBDMLPClassifier:
    """Everything is read, then fitted."""
    return memory_mapped(np.array(X), y)


def memory_mapped(X: np.ndarray, y: np.ndarray) -> OBDMLPClassifier:
    """``fit`` goes over the file batch by batch."""
    mlp = OBDMLPClassifier(**SETTINGS, max_iter=EPOCHS, retrain_max_iter=2, n_regrow=2)
    return mlp.fit(X, y)


def in_chunks(X: np.ndarray, y: np.ndarray) -> OBDMLPClassifier:
    """``partial_fit`` over chunks; saliencies of a sample; retraining over chunks."""
    mlp = OBDMLPClassifier(**SETTINGS, retrain_max_iter=0, n_regrow=0)
    for _ in range(EPOCHS):
        for X_chunk, y_chunk in chunks(X, y):
            mlp.partial_fit(X_chunk, y_chunk, classes=np.arange(N_CLASSES))
    sample = np.array(X[:SAMPLE]), y[:SAMPLE]
    for fraction in 1 - 0.125 ** (np.arange(1, 6) / 5):
        mlp.prune(*sample, prune_fraction=fraction, n_rounds=1)
        for _ in range(2):
            for X_chunk, y_chunk in chunks(X, y):
                mlp.partial_fit(X_chunk, y_chunk)
    return mlp


def on_a_sample(X: np.ndarray, y: np.ndarray) -> OBDMLPClassifier:
    """``partial_fit`` over chunks; pruned and retrained on a sample alone."""
    mlp = OBDMLPClassifier(**SETTINGS)
    for _ in range(EPOCHS):
        for X_chunk, y_chunk in chunks(X, y):
            mlp.partial_fit(X_chunk, y_chunk, classes=np.arange(N_CLASSES))
    return mlp.prune(np.array(X[:SAMPLE]), y[:SAMPLE])


WAYS: dict[str, Callable[[np.ndarray, np.ndarray], OBDMLPClassifier]] = {
    "fit, all in memory": in_memory,
    "fit, memory-mapped": memory_mapped,
    "partial_fit, saliencies of a sample": in_chunks,
    "partial_fit, then prune on a sample": on_a_sample,
}


def measure(way: str, folder: Path) -> None:
    """Print seconds, megabytes, weights and accuracy of one way."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy")
    with Peak() as peak:
        start = time.perf_counter()
        mlp = WAYS[way](X[:-N_TEST], y[:-N_TEST])
        seconds = time.perf_counter() - start
    score = mlp.score(np.array(X[-N_TEST:]), y[-N_TEST:])
    left = f"{mlp.n_weights_} of {mlp.n_weights_total_}"
    print(f"{seconds:.0f}|{peak.grown / 2**20:.0f}|{left}|{score:.4f}")


def main() -> None:
    """Write the file, and run each way in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        measure(options.way, options.folder)
        return
    print_environment()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder), options.rows)
        print(f"{Path(folder, 'X.npy').stat().st_size / 2**20:.0f} MB of rows\n")
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way, "--folder", folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append([way, *done.stdout.strip().split("|")])
    print_table(rows, ["way", "seconds", "MB of memory", "weights", "accuracy"])


if __name__ == "__main__":
    main()
