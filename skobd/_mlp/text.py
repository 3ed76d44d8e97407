"""Export of a pruned network as text."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.utils import check_scalar

from .._export.columns import Input
from .._export.rules import rules_of
from .._export.text import Described, text_of
from .column_sources import table_columns
from .names import Names, check_names, doubled_names
from .pipelines import nested, unwrap
from .raw_columns import read_inputs, scaling_of
from .targets import ClassTargets, Targets


def export_text(
    model: Any,
    *,
    feature_names: Names | None = None,
    class_names: Names | None = None,
    decimals: int = 2,
    max_weights: int | None = 300,
    rules: bool | str = "auto",
) -> str:
    """Write a pruned network as text, with a formula for each unit.

    It is the counterpart of `sklearn.tree.export_text`. Formulas use the columns of the table
    that ``model`` takes, and include scalers, imputers and one-hot encoders before the network.
    The largest weights of the network come first, and so do the hidden units that matter most to
    the next layer. Units and inputs that predictions do not depend on are left out.

    Parameters
    ----------
    model : OBDMLPClassifier, OBDMLPRegressor, or Pipeline or search around one
        Fitted model; also a `TransformedTargetRegressor` or `FrozenEstimator` around one.
    feature_names : sequence of str of length n_features, default=None
        Names of the columns that ``model`` takes; None for those seen in ``fit``, or
        x0, x1, ...
    class_names : sequence of str, default=None
        A name for each class, or for each label or output; None for ``classes_``, or y0, y1, ...
    decimals : int, default=2
        Digits of a number after the first that is not 0. Few digits make the text readable;
        with 16 it predicts the same as ``model``, up to rounding.
    max_weights : int or None, default=300
        Number of weights to write, largest first; None for all. A line says how many are left
        out.
    rules : bool or "auto", default="auto"
        Whether to add rules that say which class is predicted if every input is 0 or 1. They
        agree with the network in every such case. "auto" adds them if they are short and all
        inputs are categories of a one-hot encoder; True states that all inputs are 0 or 1.

    Returns
    -------
    text : str
        Lines that begin with "#" are remarks. ``[column = category]`` is 1 if it is true and
        0 otherwise; ``logistic(a)`` is ``1 / (1 + exp(-a))``, ``relu(a)`` is ``max(a, 0)``, and
        ``clip(column, low, high)`` is the column within these limits. Columns of transformers of
        other kinds have the names of ``get_feature_names_out``, and a remark says so.

    Raises
    ------
    NotFittedError
        If ``model`` is not fitted.
    TypeError
        If there is no OBD estimator in ``model``.
    ValueError
        If names are equal, or differ in number from columns or classes; if a transformer of
        another kind does not name its outputs; or if ``rules=True`` and ``model`` is not a
        classifier or uses more than 12 inputs.

    See Also
    --------
    NetworkDisplay : Draws the network.
    OBDMLPClassifier.summary : Compares the pruned network with the dense one in numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skobd import OBDMLPClassifier, export_text
    >>> X, y = load_iris(as_frame=True, return_X_y=True)
    >>> mlp = OBDMLPClassifier(
    ...     hidden_layer_sizes=(), solver="lbfgs", alpha=1, prune_fraction=0.6, random_state=0
    ... )
    >>> model = make_pipeline(StandardScaler(), mlp).fit(X, y == 0)
    >>> print(export_text(model, class_names=["other", "setosa"], decimals=0))
    score = (
        - 1 * petal length (cm)
        - 2 * petal width (cm)
        + 4
    )
    probability of setosa = 1 / (1 + exp(-score))
    predicted: setosa where score > 0, else other
    """
    check_scalar(decimals, "decimals", Integral, min_val=0)
    if max_weights is not None:
        check_scalar(max_weights, "max_weights", Integral, min_val=1)
    if not (isinstance(rules, bool | np.bool_) or (isinstance(rules, str) and rules == "auto")):
        raise ValueError(f"rules must be True, False or 'auto', got {rules!r}.")
    described, targets = _described(model, feature_names, class_names)
    is_classifier = isinstance(targets, ClassTargets)
    if rules is True and not is_classifier:
        raise ValueError("rules=True needs a classifier: rules say which class is predicted.")
    text = text_of(described, int(decimals) + 1, max_weights)
    if not (rules and is_classifier):
        return text
    added = rules_of(described, targets.loss, is_asked=rules != "auto")
    return f"{text}\n{added}" if added else text


def _described(
    model: Any, feature_names: Names | None, class_names: Names | None
) -> tuple[Described, Targets]:
    """Return the network with the meaning of its inputs and outputs."""
    transformers, mlp = unwrap(model, "export_text")
    fitted = mlp._fitted
    inputs = [Input(name) for name in _column_names(feature_names, [*transformers, mlp])]
    for steps in transformers:
        inputs = read_inputs(steps, inputs)
    _check_distinct(inputs)
    names = _output_names(class_names, mlp, fitted.targets)
    around = nested(model, "export_text")
    outer = [part for part in around if isinstance(part, TransformedTargetRegressor)]
    scales, offsets, notes = _of_targets(outer, fitted.targets, len(names))
    described = Described(
        fitted.pruned,
        tuple(inputs),
        _kind(fitted.targets, mlp.n_outputs_),
        tuple(names),
        scales,
        offsets,
        tuple(notes),
    )
    return described, fitted.targets


def _column_names(given: Names | None, steps: list[Any]) -> list[str]:
    """Return the names of the columns of the table, each on one line."""
    names = table_columns(steps)
    if given is not None:
        names = check_names(given, len(names), "feature_names")
    return _on_one_line(names, "feature_names")


def _on_one_line(names: Any, parameter: str) -> list[str]:
    names = [" ".join(str(name).split()) for name in names]
    if doubled := doubled_names(names):
        raise ValueError(
            f"{parameter} must differ from each other, but several are {doubled[0]!r}: rename them."
        )
    return names


def _check_distinct(inputs: list[Input]) -> None:
    """Refuse a column of the table and an output of a transformer of the same name."""
    columns = {(given.column, given.source) for given in inputs}
    if doubled := doubled_names(column for column, _ in columns):
        raise ValueError(
            f"The table and a transformer both have a column named {doubled[0]!r}: rename it."
        )


def _output_names(given: Names | None, mlp: Any, targets: Targets) -> list[str]:
    """Return the names of all classes, or of the outputs."""
    if not isinstance(targets, ClassTargets):
        n_outputs = mlp.n_outputs_
        if given is not None:
            return _on_one_line(check_names(given, n_outputs, "class_names"), "class_names")
        return ["y"] if n_outputs == 1 else [f"y{k}" for k in range(n_outputs)]
    classes = targets.classes
    if given is not None:
        return _on_one_line(check_names(given, len(classes), "class_names"), "class_names")
    prefix = "" if classes.dtype.kind in "OUS" else "label " if targets.is_multilabel else "class "
    return [f"{prefix}{label}" for label in classes]


def _kind(targets: Targets, n_outputs: int) -> str:
    """Return a row of `skobd._export.text.KINDS`."""
    if not isinstance(targets, ClassTargets):
        return targets.loss.out_activation
    if targets.is_multilabel:
        return "multilabel"
    return "binary" if n_outputs == 1 else "multiclass"


def _of_targets(outer: list[Any], targets: Targets, n_outputs: int) -> tuple[Any, Any, list[str]]:
    """Return scales and offsets of the outputs, and remarks, for transformed targets."""
    scales: Any = 1.0
    offsets: Any = 0.0
    notes: list[str] = []
    for regressor in reversed(outer):
        transformer = regressor.transformer_
        found = None
        if targets.loss.out_activation == "identity" and not notes:
            found = scaling_of(transformer, n_outputs)
        if found is None:
            inverse = getattr(transformer, "inverse_func", None)
            by = getattr(inverse, "__name__", f"the inverse of {type(transformer).__name__}")
            notes.append(f"Predictions are what {by} makes of the outputs here")
        else:
            scales, offsets = scales * found[0], offsets * found[0] + found[1]
    return scales, offsets, notes
