"""A network as text: a formula for each unit, from the inputs to the outputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._net.compaction import compact
from .._net.pruned import PrunedNetwork
from .columns import Input, number, rounded

_FUNCTIONS = {"identity": "", "logistic": "logistic", "tanh": "tanh", "relu": "relu"}


Matrix = NDArray[np.floating]
# Terms and intercept of each unit of a layer.
Sums = list[tuple[tuple["Term", ...], float]]


class Kind(NamedTuple):
    """Words and functions in which outputs are written.

    Attributes
    ----------
    head : str
        Name of the formula of an output.
    function : str
        What is applied to its sum.
    closing : tuple of str
        Lines after the formulas.
    """

    head: str
    function: str = ""
    closing: tuple[str, ...] = ()


KINDS = {
    "binary": Kind(
        "score",
        closing=(
            "probability of {names[1]} = 1 / (1 + exp(-score))",
            "predicted: {names[1]} where score > 0, else {names[0]}",
        ),
    ),
    "multiclass": Kind(
        "score of {name}",
        closing=(
            "probability of a class = exp(its score) / sum of exp(score) over the classes",
            "predicted: the class of the highest score",
        ),
    ),
    "multilabel": Kind(
        "score of {name}",
        closing=(
            "probability of a label = 1 / (1 + exp(-its score))",
            "predicted: every label whose score > 0",
        ),
    ),
    "identity": Kind("{name}"),
    "exp": Kind("{name}", "exp"),
}


@dataclass(frozen=True, eq=False)
class Described:
    """A network, and what its inputs and outputs mean.

    Attributes
    ----------
    pruned : PrunedNetwork
    inputs : tuple of Input
    kind : str
        Key of `KINDS`.
    names : tuple of str
        Names of the classes, or of the outputs where there are no classes.
    scales, offsets : float or ndarray of shape (n_outputs,)
        ``scales * output + offsets`` is what is predicted.
    notes : tuple of str
        Lines to be written first.
    """

    pruned: PrunedNetwork
    inputs: tuple[Input, ...]
    kind: str
    names: tuple[str, ...]
    scales: float | NDArray[np.floating] = 1.0
    offsets: float | NDArray[np.floating] = 0.0
    notes: tuple[str, ...] = ()

    @property
    def used(self) -> list[Input]:
        """The inputs that predictions depend on."""
        return [self.inputs[index] for index in self.pruned.used_inputs]


class Term(NamedTuple):
    """``weight * term + constant`` in the sum of a unit.

    Attributes
    ----------
    text : str
        The term as it is written.
    weight, constant : float
        The constant comes of the offset of a scaler.
    size : float
        The weight where terms are as the network has them: by it terms are sorted.
    """

    text: str
    weight: float
    constant: float
    size: float


@dataclass(frozen=True)
class Formula:
    """A unit: ``head = function(sum of terms + intercept)``.

    Attributes
    ----------
    name : str or None
        What the terms of later units call it; None for an output.
    head, function : str
    terms : tuple of Term
        The largest first.
    intercept : float
    n_left_out : int
        Smaller terms that are not written.
    """

    name: str | None
    head: str
    function: str
    terms: tuple[Term, ...]
    intercept: float
    n_left_out: int = 0

    def lines(self, n_digits: int) -> list[str]:
        """The formula as lines of text, one for each term."""
        weights = [rounded(term.weight, n_digits) for term in self.terms]
        # Where every scaled input is 0, the rounded formula is to be as exact as elsewhere.
        intercept = self.intercept + sum(
            term.constant * (weight / term.weight if term.weight else 1)
            for term, weight in zip(self.terms, weights, strict=True)
        )
        numbers = [number(abs(weight)) for weight in weights]
        width = max(map(len, numbers), default=0)
        rows = [
            f"    {_sign(weight)} {text:<{width}} * {term.text}"
            for weight, text, term in zip(weights, numbers, self.terms, strict=True)
        ]
        intercept = self._rounded_intercept(intercept, n_digits)
        if intercept or not rows:
            rows.append(f"    {_sign(intercept)} {number(abs(intercept))}")
        if self.n_left_out:
            rows.append(f"    ... and {self.n_left_out:,} smaller")
        return [f"{self.head} = {self.function}(", *rows, ")"]

    def _rounded_intercept(self, intercept: float, n_digits: int) -> float:
        """Rounded where the largest term of the sum is, as the network has it."""
        largest = max([abs(self.intercept), *(term.size for term in self.terms)])
        if not (intercept and largest):
            return 0.0
        n_more = int(np.floor(np.log10(abs(intercept))) - np.floor(np.log10(largest)))
        return rounded(intercept, n_digits + n_more) if n_digits + n_more > 0 else 0.0


def text_of(described: Described, n_digits: int, max_weights: int | None) -> str:
    """Write a network as text.

    Parameters
    ----------
    described : Described
    n_digits : int
        Significant digits.
    max_weights : int or None
        How many terms are written; None for all.
    """
    layers = _formulas(described, n_digits)
    n_terms = sum(len(formula.terms) for layer in layers for formula in layer)
    notes = [*described.notes, *_notes(described.used, n_digits)]
    if max_weights is not None and n_terms > max_weights:
        layers = _referred(_heaviest(layers, max_weights))
        n_written = sum(len(formula.terms) for layer in layers for formula in layer)
        notes.append(f"Only {n_written:,} of {n_terms:,} weights are written, the largest.")
    lines = [f"# {note}" for note in notes]
    for layer in layers:
        for formula in layer:
            lines += formula.lines(n_digits)
    closing = KINDS[described.kind].closing
    return "\n".join([*lines, *(line.format(names=described.names) for line in closing)])


def _formulas(described: Described, n_digits: int) -> list[list[Formula]]:
    """Formulas of the units of each layer that matter, the largest contributions first."""
    network, theta = described.pruned.network, described.pruned.theta.astype(np.float64)
    smaller = compact(network, theta, theta != 0, keep_inputs=True)
    layers = smaller.network.layers(smaller.theta)
    layers[-1] = layers[-1] * described.scales
    layers[-1][-1] += described.offsets
    names = _unit_names(described, smaller.kept_units[1:])
    function = _FUNCTIONS[network.activation]
    heads: list[list[tuple[str | None, str, str]]]
    heads = [[(name, name, function) for name in column] for column in names]
    heads.append(_outputs(described))
    sums = [_of_inputs(described.inputs, layers[0], n_digits)]
    sums += [_of_units(*pair) for pair in zip(names, layers[1:], strict=True)]
    return _referred(
        [
            [Formula(*head, *rest) for head, rest in zip(*pair, strict=True)]
            for pair in zip(heads, sums, strict=True)
        ]
    )


def _of_inputs(inputs: Sequence[Input], layer: Matrix, n_digits: int) -> Sums:
    """Sums of units in columns of the table; what is made of the same column is one term."""
    terms = [given.term for given in inputs]
    places = {term: place for place, term in enumerate(dict.fromkeys(terms))}
    sums = np.zeros((3, len(places), layer.shape[1]))
    scales = np.array([[given.scale, given.offset] for given in inputs])
    rows = [places[term] for term in terms]
    np.add.at(sums[0], rows, layer[:-1] * scales[:, :1])
    np.add.at(sums[1], rows, layer[:-1] * scales[:, 1:])
    np.add.at(sums[2], rows, np.abs(layer[:-1]))
    return _sums([term.written(n_digits) for term in places], sums, layer[-1])


def _of_units(names: Sequence[str], layer: Matrix) -> Sums:
    weights = layer[:-1]
    sums = np.array([weights, np.zeros_like(weights), np.abs(weights)])
    return _sums(names, sums, layer[-1])


def _sums(texts: Sequence[str], sums: Matrix, intercepts: Matrix) -> Sums:
    """Terms, the largest first, and intercept of each unit.

    ``sums`` (3, n_terms, n_units) are the weights, constants and sizes of the terms.
    """
    found = []
    for unit, intercept in enumerate(intercepts.tolist()):
        order = np.argsort(-sums[2, :, unit], kind="stable")
        order = order[sums[2, order, unit] > 0]
        columns = zip(order.tolist(), *sums[:, order, unit].tolist(), strict=True)
        found.append((tuple(Term(texts[place], *row) for place, *row in columns), intercept))
    return found


def _outputs(described: Described) -> list[tuple[str | None, str, str]]:
    """Name (none), head and function of the formula of each output."""
    kind, n_outputs = KINDS[described.kind], described.pruned.network.layer_sizes[-1]
    names = described.names[-n_outputs:]
    return [(None, kind.head.format(name=name), kind.function) for name in names]


def _unit_names(described: Described, kept: Sequence[NDArray[np.intp]]) -> list[list[str]]:
    """Names of the hidden units by their places in the whole network; no column has them."""
    letter = "h"
    while any(re.fullmatch(rf"{letter}[\d_]+", given.column) for given in described.inputs):
        letter += "h"
    if len(kept) == 1:
        return [[f"{letter}{unit}" for unit in kept[0]]]
    return [
        [f"{letter}{layer}_{unit}" for unit in units] for layer, units in enumerate(kept, start=1)
    ]


def _referred(layers: list[list[Formula]]) -> list[list[Formula]]:
    """The units that the terms of later ones refer to, those first that matter most."""
    found = [layers[-1]]
    for layer in reversed(layers[:-1]):
        sizes: dict[str | None, float] = {}
        for term in (term for formula in found[0] for term in formula.terms):
            sizes[term.text] = sizes.get(term.text, 0.0) + term.size
        referred = [formula for formula in layer if formula.name in sizes]
        found.insert(0, sorted(referred, key=lambda formula: -sizes[formula.name]))
    return found


def _heaviest(layers: list[list[Formula]], n_terms: int) -> list[list[Formula]]:
    """The largest terms only."""
    sizes = [term.size for layer in layers for formula in layer for term in formula.terms]
    is_kept = np.zeros(len(sizes), dtype=bool)
    is_kept[np.argsort(-np.array(sizes), kind="stable")[:n_terms]] = True
    left = iter(is_kept)
    return [
        [_cut(formula, sum(next(left) for _ in formula.terms)) for formula in layer]
        for layer in layers
    ]


def _cut(formula: Formula, n_terms: int) -> Formula:
    """A formula with its largest terms only."""
    terms = formula.terms[:n_terms]
    return replace(formula, terms=terms, n_left_out=len(formula.terms) - n_terms)


def _notes(used: Sequence[Input], n_digits: int) -> list[str]:
    """Lines about inputs that are more than a formula of a column of the table."""
    sources: dict[str, list[str]] = {}
    for given in used:
        if given.source is not None:
            sources.setdefault(given.source, []).append(given.column)
    notes = [
        f"Columns as {source} puts them out: {', '.join(dict.fromkeys(columns))}"
        for source, columns in sources.items()
    ]
    fills = {(given.column, given.missing): None for given in used if given.missing is not None}
    return notes + [
        f"{column} counts as {_fill(value, n_digits)} where it is missing"
        for column, value in fills
    ]


def _fill(value: object, n_digits: int) -> str:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number(rounded(value, n_digits)) if is_number else str(value)  # type: ignore[arg-type]


def _sign(value: float) -> str:
    return "-" if value < 0 else "+"
