"""Families of models for size.py: what a configuration takes in bytes, and what it predicts."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from _common import Dataset, preprocessor
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import QuantileTransformer
from sklearn.tree import DecisionTreeClassifier

from skobd import OBDMLPClassifier
from skobd._export.c import emulate
from skobd._export.c.floats import float_network
from skobd._export.c.size import constant_bytes, surviving_layers
from skobd._export.c.specification import Affine, Indicator, Layer, Specification, simplified

# A comparison: column, threshold in 16 bits, two places to go on.
_BYTES_OF_COMPARISON = 1 + 2 + 2 + 2
_BYTES_OF_SCORE = 2
_BYTES_OF_QUANTILE = 2
_N_QUANTILES = 16
N_TREES = (1, 2, 3, 5, 8, 13, 20, 35, 60, 100)
LEAVES_OF_FOREST = (4, 8, 16, 32, 64, 128, 256, None)
LEAVES_OF_BOOSTING = (2, 4, 8, 16, 31)
LEAVES_OF_TREE = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512)
UNITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 100)
# Weights left of a network, each three quarters of the one before.
SIZES = tuple(round(12 / 0.75**k) for k in range(24))


class Candidate(NamedTuple):
    """One configuration, trained.

    Attributes
    ----------
    label : str
    size : callable
        ``size()`` returns its bytes.
    proba : ndarray of shape (n_rows, n_classes)
        Probabilities of the rows that were asked for.
    """

    label: str
    size: Callable[[], int]
    proba: np.ndarray


# ``fit(dataset, X, y, X_asked, seed)``: every configuration that comes of one training.
Fit = Callable[[Dataset, np.ndarray, np.ndarray, np.ndarray, int], Iterator[Candidate]]


# ------------------------------------------------------------------------------ trees


def leaf_bytes(trees: Sequence[Any]) -> int:
    """Leaves of trees in 8 bits for each class, one for two classes; equal ones are kept once."""
    values = np.concatenate([t.value[t.children_left < 0, 0] for t in trees])
    shares = np.rint(255 * values / values.sum(axis=1, keepdims=True))
    if shares.shape[1] == 2:
        shares = shares[:, 1:]
    return np.unique(shares, axis=0).size


def tree_bytes(trees: Sequence[Any]) -> int:
    """Bytes of scikit-learn's trees as emlearn writes them."""
    n_comparisons = sum(int((tree.children_left >= 0).sum()) for tree in trees)
    return _BYTES_OF_COMPARISON * n_comparisons + leaf_bytes(trees)


def fit_tree(
    leaves: int | None, dataset: Dataset, X: Any, y: Any, X_asked: Any, seed: int
) -> Iterator[Candidate]:
    """Trees of so many leaves, without and with a limit on how small leaves are."""
    X, X_asked = _prepared(preprocessor(dataset), X, X_asked)
    for smallest in (1, 5):
        tree = DecisionTreeClassifier(
            max_leaf_nodes=leaves, min_samples_leaf=smallest, random_state=seed
        ).fit(X, y)
        size = partial(tree_bytes, [tree.tree_])
        yield Candidate(f"{leaves} leaves, {smallest}", size, _proba(tree, X_asked))


def fit_forest(
    kind: Any, leaves: int | None, dataset: Dataset, X: Any, y: Any, X_asked: Any, seed: int
) -> Iterator[Candidate]:
    """The first trees of one forest."""
    X, X_asked = _prepared(preprocessor(dataset), X, X_asked)
    forest = kind(max(N_TREES), max_leaf_nodes=leaves, random_state=seed).fit(X, y)
    trees, total = [], 0.0
    for number, tree in enumerate(forest.estimators_, start=1):
        trees.append(tree.tree_)
        total = total + tree.predict_proba(X_asked)
        if number in N_TREES:
            proba = _spread(total / number, forest.classes_)
            label = f"{number} trees of {leaves} leaves"
            yield Candidate(label, partial(tree_bytes, trees.copy()), proba)


def fit_boosting(
    leaves: int, rate: float, dataset: Dataset, X: Any, y: Any, X_asked: Any, seed: int
) -> Iterator[Candidate]:
    """The first iterations of one boosting."""
    X, X_asked = _prepared(preprocessor(dataset), X, X_asked)
    model = HistGradientBoostingClassifier(
        learning_rate=rate,
        max_iter=max(N_TREES),
        max_leaf_nodes=leaves,
        early_stopping=False,
        random_state=seed,
    ).fit(X, y)
    for number, proba in enumerate(model.staged_predict_proba(X_asked), start=1):
        if number in N_TREES:
            label = f"{number} iterations of {leaves} leaves, {rate}"
            size = partial(_boosting_bytes, model._predictors[:number])
            yield Candidate(label, size, _spread(proba, model.classes_))


def _boosting_bytes(iterations: Sequence[Sequence[Any]]) -> int:
    is_leaf = [tree.nodes["is_leaf"] for trees in iterations for tree in trees]
    n_leaves = sum(int(leaf.sum()) for leaf in is_leaf)
    n_comparisons = sum(map(len, is_leaf)) - n_leaves
    return _BYTES_OF_COMPARISON * n_comparisons + _BYTES_OF_SCORE * n_leaves


def fit_lightgbm(
    leaves: int, rate: float, dataset: Dataset, X: Any, y: Any, X_asked: Any, seed: int
) -> Iterator[Candidate]:
    """The first iterations of one boosting by LightGBM."""
    from lightgbm import LGBMClassifier

    X, X_asked = _prepared(preprocessor(dataset), X, X_asked)
    model = LGBMClassifier(
        learning_rate=rate,
        n_estimators=max(N_TREES),
        num_leaves=leaves,
        random_state=seed,
        n_jobs=1,
        verbose=-1,
    ).fit(X, y)
    n_leaves = [tree["num_leaves"] for tree in model.booster_.dump_model()["tree_info"]]
    n_trees = max(1, len(model.classes_) * (len(model.classes_) > 2))
    for number in N_TREES:
        found = n_leaves[: number * n_trees]
        n_bytes = sum(_BYTES_OF_COMPARISON * (n - 1) + _BYTES_OF_SCORE * n for n in found)
        proba = _spread(model.predict_proba(X_asked, num_iteration=number), model.classes_)
        label = f"{number} iterations of {leaves} leaves, {rate}"
        yield Candidate(label, partial(int, n_bytes), proba)


# ------------------------------------------------------------------------------ networks


class Inputs(NamedTuple):
    """Fitted preprocessing of a network.

    Attributes
    ----------
    transformer : ColumnTransformer
    reads : tuple of Affine or Indicator
        What C code reads of the columns.
    reads_raw : bool
        Whether those columns are the raw ones; else they are the transformed ones.
    bytes_of_column : int
        What preprocessing takes besides, for each numeric column that is used.
    """

    transformer: ColumnTransformer
    reads: tuple[Affine | Indicator, ...]
    reads_raw: bool = True
    bytes_of_column: int = 0


def standardised(dataset: Dataset, X: np.ndarray) -> Inputs:
    """Numeric columns standardised, categories one-hot."""
    transformer = preprocessor(dataset).fit(X)
    _, scaler, numeric = transformer.transformers_[0]
    reads: list[Affine | Indicator] = []
    if numeric:
        for column, mean, scale in zip(numeric, scaler.mean_, scaler.scale_, strict=True):
            reads.append(Affine(column, float(1 / scale), float(-mean / scale)))
    return Inputs(transformer, (*reads, *_indicators(transformer)))


def normal_quantiles(dataset: Dataset, X: np.ndarray) -> Inputs:
    """Numeric columns brought to a normal distribution by some quantiles, categories one-hot."""
    transformer = preprocessor(dataset)
    _, _, numeric = transformer.transformers[0]
    quantiles = QuantileTransformer(n_quantiles=_N_QUANTILES, output_distribution="normal")
    transformer.set_params(numeric=quantiles).fit(X)
    reads: list[Affine | Indicator] = [Affine(place) for place in range(len(numeric))]
    n_inputs = transformer.transform(X[:1]).shape[1]
    reads += [Indicator(place, 1) for place in range(len(numeric), n_inputs)]
    n_bytes = _BYTES_OF_QUANTILE * _N_QUANTILES
    return Inputs(transformer, tuple(reads), reads_raw=False, bytes_of_column=n_bytes)


def _indicators(transformer: ColumnTransformer) -> Iterator[Indicator]:
    _, encoder, columns = transformer.transformers_[1]
    if columns:
        for column, categories in zip(columns, encoder.categories_, strict=True):
            yield from (Indicator(column, int(code)) for code in categories)


def in_8_bits(
    label: str, inputs: Inputs, model: Any, activation: str, X_asked: np.ndarray
) -> Candidate:
    """A network as `to_c` deploys it: bytes of the constants, predictions of the C code."""
    reads = inputs.reads
    if isinstance(model, OBDMLPClassifier):
        layers, used = surviving_layers(model._fitted.pruned)
        reads = tuple(reads[place] for place in used)
    elif isinstance(model, MLPClassifier):
        layers = tuple(map(Layer, model.coefs_, model.intercepts_))
    else:
        layers = (Layer(model.coef_.T, model.intercept_),)
    rows = X_asked if inputs.reads_raw else inputs.transformer.transform(X_asked)
    kind = "binary" if len(layers[-1].biases) == 1 else "multiclass"
    names = ("",) * rows.shape[1]
    specification = simplified(Specification("", names, reads, layers, activation, kind, ()))
    coded = float_network(specification, "int8")
    n_numeric = sum(isinstance(read, Affine) for read in specification.inputs)
    n_bytes = constant_bytes(coded) + inputs.bytes_of_column * n_numeric
    proba = emulate.predict_proba(coded, np.ascontiguousarray(rows, dtype=np.float32))
    return Candidate(label, partial(int, n_bytes), _spread(proba, model.classes_))


def fit_logistic(
    l1_ratio: float, dataset: Dataset, X: Any, y: Any, X_asked: Any, seed: int
) -> Iterator[Candidate]:
    """Logistic regressions, each beginning with the one of stronger penalty."""
    inputs = standardised(dataset, X)
    model = LogisticRegression(
        penalty="elasticnet",
        l1_ratio=l1_ratio,
        solver="saga",
        max_iter=50,
        tol=1e-3,
        warm_start=True,
        random_state=seed,
    )
    rows = inputs.transformer.transform(X)
    for C in np.logspace(-3, 2, 12):
        model.set_params(C=C).fit(rows, y)
        yield in_8_bits(f"C = {C:.2g}, {l1_ratio}", inputs, model, "identity", X_asked)


def fit_mlp(
    units: int, dataset: Dataset, X: Any, y: Any, X_asked: Any, seed: int
) -> Iterator[Candidate]:
    """Dense networks of few units, by the default learning rate and by a larger one."""
    inputs = standardised(dataset, X)
    rows = inputs.transformer.transform(X)
    for rate in (0.001, 0.01):
        model = MLPClassifier((units,), learning_rate_init=rate, random_state=seed).fit(rows, y)
        yield in_8_bits(f"{units} units, {rate}", inputs, model, "relu", X_asked)


def fit_default(dataset: Dataset, X: Any, y: Any, X_asked: Any, seed: int) -> Iterator[Candidate]:
    """Sizes along one path of the default network."""
    return _along_path(standardised(dataset, X), {}, X, y, X_asked, seed)


def fit_recipe(
    scaler: Callable[..., Inputs],
    hidden: tuple[int, ...],
    dataset: Dataset,
    X: Any,
    y: Any,
    X_asked: Any,
    seed: int,
) -> Iterator[Candidate]:
    """Sizes along one path of a wide network, trained by a cosine schedule."""
    settings = {
        "hidden_layer_sizes": hidden,
        "learning_rate": "cosine",
        "learning_rate_init": 0.01,
        "max_iter": 100,
        "n_regrow": 24,
    }
    for candidate in _along_path(scaler(dataset, X), settings, X, y, X_asked, seed):
        yield candidate._replace(label=f"{candidate.label}, {hidden}, {scaler.__name__}")


def _along_path(
    inputs: Inputs, settings: dict[str, Any], X: Any, y: Any, X_asked: Any, seed: int
) -> Iterator[Candidate]:
    rows = inputs.transformer.transform(X)
    model = OBDMLPClassifier(**settings, random_state=seed)
    # A narrow network does not have the largest sizes.
    path = model.pruning_path(rows, y, sizes=SIZES)
    for index, size in enumerate(["dense", *path.n_weights[1:]]):
        yield in_8_bits(f"{size} weights", inputs, path.estimator_at(index), "relu", X_asked)


# ------------------------------------------------------------------------------ all


def _prepared(transformer: BaseEstimator, X: Any, X_asked: Any) -> tuple[Any, Any]:
    return transformer.fit_transform(X), transformer.transform(X_asked)


def _proba(model: Any, X: np.ndarray) -> np.ndarray:
    return _spread(model.predict_proba(X), model.classes_)


def _spread(proba: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Columns for all classes up to the largest, as some may be missing among the rows."""
    spread = np.zeros((len(proba), int(classes.max()) + 1))
    spread[:, classes] = proba
    return spread


_RATES = (0.1, 0.3)
FAMILIES: dict[str, list[Fit]] = {
    "skobd, recipe for size": [
        partial(fit_recipe, *given)
        for given in itertools.product((standardised, normal_quantiles), ((100,), (200, 200)))
    ],
    "skobd, default": [fit_default],
    "gradient boosting": [
        partial(fit_boosting, *given) for given in itertools.product(LEAVES_OF_BOOSTING, _RATES)
    ],
    "LightGBM": [
        partial(fit_lightgbm, *given) for given in itertools.product(LEAVES_OF_BOOSTING, _RATES)
    ],
    "random forest": [
        partial(fit_forest, RandomForestClassifier, leaves) for leaves in LEAVES_OF_FOREST
    ],
    "extra trees": [
        partial(fit_forest, ExtraTreesClassifier, leaves) for leaves in LEAVES_OF_FOREST
    ],
    "decision tree": [partial(fit_tree, leaves) for leaves in (*LEAVES_OF_TREE, None)],
    "MLPClassifier": [partial(fit_mlp, units) for units in UNITS],
    "logistic regression": [partial(fit_logistic, l1_ratio) for l1_ratio in (0.0, 1.0)],
}
OPTIONAL = {"LightGBM": "lightgbm"}
