"""Models in C for device.py: skobd, emlearn, m2cgen and micromlgen."""

import copy
import importlib
import itertools
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from _common import load_dataset, preprocessor
from _device import Program
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.tree import DecisionTreeClassifier

from skobd import OBDMLPClassifier, to_c

MAX_ROWS = 4000
N_SIMULATED = 40
TREES, LEAVES = (3, 5, 10, 20, 50), (8, 32, 128)
N_DIGITS_WEIGHTS = 487
ENTRY = "\nstatic int entry(const {type} *x) {{ {body} }}\n"


class Task(NamedTuple):
    """A set, split."""

    name: str
    X: np.ndarray
    X_test: np.ndarray
    y: np.ndarray
    y_test: np.ndarray
    preprocessor: BaseEstimator


class Candidate(NamedTuple):
    """A model in C.

    Attributes
    ----------
    model : str
    predicted : ndarray of shape (n_samples,), int
        Indices of the classes that the code predicts for all test rows.
    program : Program
    in_python : ndarray or None
        The same of the model itself, where it is another.
    constants : int or None
        Bytes of the constants, where they are known.
    """

    model: str
    predicted: np.ndarray
    program: Program
    in_python: np.ndarray | None = None
    constants: int | None = None


def load(name: str, seed: int, data_dir: str | None) -> Task:
    """Raw columns, at most so many rows."""
    dataset = load_dataset(name, data_dir)
    X, X_test, y, y_test = dataset.split(random_state=seed)
    chosen = np.random.default_rng(seed).permutation(len(X))[:MAX_ROWS]
    tested = slice(None, MAX_ROWS)
    X, y, X_test, y_test = X[chosen], y[chosen], X_test[tested], y_test[tested]
    return Task(name, X, X_test, y, y_test, preprocessor(dataset))


@cache
def default_pipeline(name: str, seed: int, data_dir: str | None) -> Pipeline:
    """The default fit behind the scaler."""
    task = load(name, seed, data_dir)
    network = OBDMLPClassifier(prune_fraction=0.875, random_state=seed)
    return make_pipeline(task.preprocessor, network).fit(task.X, task.y)


@cache
def dense_network(name: str, seed: int, data_dir: str | None) -> OBDMLPClassifier:
    """The network of the default fit before it is pruned."""
    task = load(name, seed, data_dir)
    X = default_pipeline(name, seed, data_dir)[:-1].transform(task.X)
    return OBDMLPClassifier(prune_fraction=0, random_state=seed).fit(X, task.y)


def small_pipelines(task: Task, seed: int, sizes: list[int]) -> Iterator[Pipeline]:
    """The recipe for size, a wide start and a cosine rate, pruned to one size after the other."""
    scaler = clone(task.preprocessor)
    X = scaler.fit_transform(task.X)
    network = OBDMLPClassifier(
        (200, 200),
        learning_rate="cosine",
        learning_rate_init=0.01,
        max_iter=100,
        prune_fraction=0,
        random_state=seed,
    ).fit(X, task.y)
    total = network.n_weights_
    for n_rounds, n_weights in zip((8, 2, 2, 2, 2), sizes, strict=True):
        network.prune(X, task.y, prune_fraction=1 - n_weights / total, n_rounds=n_rounds)
        yield make_pipeline(scaler, copy.deepcopy(network))


def of_skobd(model: str, pipeline: Pipeline, task: Task) -> Iterator[Candidate]:
    """Both kinds of arithmetic."""
    n_weights = pipeline[-1].n_weights_
    for arithmetic in ("int", "float"):
        code = to_c(pipeline, name="net", X=task.X, y=task.y, arithmetic=arithmetic)
        text = code + ENTRY.format(type="float", body="return net_predict(x);")
        predicted = code.predict(task.X_test)
        program = Program(text, task.X_test[:N_SIMULATED], predicted[:N_SIMULATED])
        name = f"skobd {model}, {n_weights} weights, {arithmetic}"
        in_python = pipeline.predict(task.X_test)
        yield Candidate(name, predicted, program, in_python, code.constant_bytes)


def skobd_models(task: Task, seed: int, data_dir: str | None) -> Iterator[Candidate]:
    """The default fit, and the recipe for size at twice to an eighth of its weights.

    On optdigits the default network is also pruned to as many weights as the target names.
    """
    pipeline = default_pipeline(task.name, seed, data_dir)
    yield from of_skobd("default", pipeline, task)
    factors = {"2": 2, "1": 1, "1/2": 0.5, "1/4": 0.25, "1/8": 0.125}
    sizes = [int(factor * pipeline[-1].n_weights_) for factor in factors.values()]
    for factor, small in zip(factors, small_pipelines(task, seed, sizes), strict=True):
        yield from of_skobd(f"for size x {factor}", small, task)
    if task.name == "optdigits":
        network = OBDMLPClassifier(prune_fraction=1 - N_DIGITS_WEIGHTS / 7400, random_state=seed)
        smaller = make_pipeline(task.preprocessor, network).fit(task.X, task.y)
        yield from of_skobd("digits", smaller, task)


def emlearn_networks(task: Task, seed: int, data_dir: str | None) -> Iterator[Candidate]:
    """The default fit and its dense network, on rows that are standardised already."""
    emlearn: Any = importlib.import_module("emlearn")
    pipeline = default_pipeline(task.name, seed, data_dir)
    rows = np.float32(pipeline[:-1].transform(task.X_test))
    dense = dense_network(task.name, seed, data_dir)
    for model, network in (("pruned", pipeline[-1]), ("dense", dense)):
        converted = emlearn.convert(network.compact().to_sklearn())
        body = "return net_predict(x, N_INPUTS);"
        program = _emlearn_program(converted, rows, network.predict(rows), "float", body)
        yield Candidate(f"emlearn network, {model}", network.predict(rows), program)


def _emlearn_program(
    converted: Any, rows: np.ndarray, predicted: np.ndarray, kind: str, body: str
) -> Program:
    text = converted.save(name="net") + ENTRY.format(type=kind, body=body)
    include = importlib.import_module("emlearn").includedir
    return Program(text, rows[:N_SIMULATED], predicted[:N_SIMULATED], include)


def in_16_bits(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Columns over the range of 16 bits.

    Values are even: emlearn truncates thresholds, which lie halfway between two of them.
    """
    low, high = task.X.min(axis=0), task.X.max(axis=0)
    scale = 16_000 / np.maximum(high - low, 1e-30)
    train, test = (2 * np.rint((X - low) * scale - 8_000) for X in (task.X, task.X_test))
    return train, np.clip(test, -32_000, 32_000)


def emlearn_trees(task: Task, seed: int, data_dir: str | None) -> Iterator[Candidate]:
    """Trees, and the forests that are more accurate than every smaller one."""
    X, X_test = in_16_bits(task)
    for n_leaves in (32, 128):
        tree = DecisionTreeClassifier(max_leaf_nodes=n_leaves, random_state=seed)
        yield _of_trees(tree.fit(X, task.y), 0, X_test)
    best = 0.0
    for _, accuracy, forest, bits in sorted(_forests(X, X_test, task, seed), key=lambda f: f[0]):
        if accuracy > best:
            best = accuracy
            yield _of_trees(forest, bits, X_test)


def _forests(
    X: np.ndarray, X_test: np.ndarray, task: Task, seed: int
) -> Iterator[tuple[int, float, RandomForestClassifier, int]]:
    """About what each forest takes, its accuracy, and bits of a leaf: 0 for votes."""
    for n_trees, n_leaves in itertools.product(TREES, LEAVES):
        forest = RandomForestClassifier(n_trees, max_leaf_nodes=n_leaves, random_state=seed)
        forest.fit(X, task.y)
        n_all = sum(tree.get_n_leaves() for tree in forest.estimators_)
        n_classes = len(forest.classes_)
        predictions = {0: majority(forest, X_test), 8: forest.predict(X_test)}
        for bits, predicted in predictions.items():
            # 12 bytes for each comparison, and one for each class in a leaf.
            size = n_all * (12 + (n_classes if bits else 0))
            yield size, float(np.mean(predicted == task.y_test)), forest, bits


def majority(model: Any, X: np.ndarray) -> np.ndarray:
    """Class that most trees vote for, the first of several."""
    trees = getattr(model, "estimators_", [model])
    votes = sum(np.eye(len(model.classes_))[np.int64(tree.predict(X))] for tree in trees)
    return np.asarray(votes).argmax(axis=1)


def _of_trees(model: Any, bits: int, X_test: np.ndarray) -> Candidate:
    emlearn: Any = importlib.import_module("emlearn")
    converted = emlearn.convert(model, method="inline", dtype="int16_t", leaf_bits=bits)
    if bits:
        predicted = np.asarray(converted.predict_proba(X_test)).argmax(axis=1)
    else:
        predicted = np.asarray(converted.predict(X_test))
    body = "return net_predict(x, N_INPUTS);"
    program = _emlearn_program(converted, np.int16(X_test), predicted, "int16_t", body)
    return Candidate(f"emlearn {_name(model)}{', 8 bits' * bool(bits)}", predicted, program)


def _name(model: Any) -> str:
    trees = getattr(model, "estimators_", None)
    kind = "tree" if trees is None else f"forest, {len(trees)} trees"
    return f"{kind} of {model.max_leaf_nodes} leaves"


def float_trees(
    task: Task, seed: int, data_dir: str | None, write: Callable[[Any, Task], Candidate]
) -> Iterator[Candidate]:
    """A tree and a forest of usual size."""
    X = np.float32(task.X)
    for model in (
        DecisionTreeClassifier(max_leaf_nodes=128, random_state=seed),
        RandomForestClassifier(10, max_leaf_nodes=32, random_state=seed),
    ):
        yield write(model.fit(X, task.y), task)


def of_m2cgen(model: Any, task: Task) -> Candidate:
    """Its code takes doubles."""
    m2cgen: Any = importlib.import_module("m2cgen")
    n_classes = len(model.classes_)
    body = (
        f"double p[{n_classes}]; int k, best = 0; score((double *)x, p); "
        f"for (k = 1; k < {n_classes}; k++) if (p[k] > p[best]) best = k; return best;"
    )
    text = m2cgen.export_to_c(model) + ENTRY.format(type="X_TYPE", body=body)
    predicted = model.predict(task.X_test)
    rows = np.float64(task.X_test[:N_SIMULATED])
    return Candidate(
        f"m2cgen {_name(model)}", predicted, Program(text, rows, predicted[: len(rows)])
    )


def of_micromlgen(model: Any, task: Task) -> Candidate:
    """Its code is C++, and trees of a forest vote."""
    micromlgen: Any = importlib.import_module("micromlgen")
    kind = "RandomForest" if hasattr(model, "estimators_") else "DecisionTree"
    body = f"static Eloquent::ML::Port::{kind} model; return model.predict((float *)x);"
    # There is no standard library of C++ on AVR, and nothing of the header is used.
    text = micromlgen.port(model).replace("#include <cstdarg>", "")
    text += ENTRY.format(type="float", body=body)
    predicted = majority(model, task.X_test)
    rows = task.X_test[:N_SIMULATED]
    program = Program(text, rows, predicted[: len(rows)], is_cpp=True)
    return Candidate(f"micromlgen {_name(model)}", predicted, program)


# Names are those of the packages, but for ours.
FAMILIES: dict[str, tuple[str | None, Callable[..., Iterator[Candidate]]]] = {
    "skobd": (None, skobd_models),
    "emlearn networks": ("emlearn", emlearn_networks),
    "emlearn trees": ("emlearn", emlearn_trees),
    "m2cgen": ("m2cgen", partial(float_trees, write=of_m2cgen)),
    "micromlgen": ("micromlgen", partial(float_trees, write=of_micromlgen)),
}
