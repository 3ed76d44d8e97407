"""The classes that a network predicts for inputs of 0 and 1, as logical rules.

A rule is a disjunction of conjunctions, found by the method of Quine and McCluskey: the prime
implicants of the truth table, and a small cover of it by them. W. V. Quine, "The problem of
simplifying truth functions", American Mathematical Monthly 59 (1952), pages 521-531.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._net.losses import Loss
from .columns import Input
from .text import Described

# A truth table has two to the power of so many rows at most.
MOST_INPUTS = 12
# Conjunctions that can be read at a glance.
_MOST_CONJUNCTIONS = 16

Table = NDArray[np.bool_]
# 0 or 1 for a term that must have this value, 2 for one that does not matter.
Conjunction = tuple[int, ...]


def rules_of(described: Described, loss: Loss, is_asked: bool) -> str:
    """Write rules that say which class is predicted; empty if there are none.

    Parameters
    ----------
    described : Described
        Network of a classifier.
    loss : Loss
    is_asked : bool
        Whether inputs that may have other values than 0 and 1 are taken to be 0 or 1.

    Raises
    ------
    ValueError
        If rules are asked for and there are too many inputs.
    """
    terms = list(dict.fromkeys(given.term for given in described.used))
    is_logical = all(term.condition is not None for term in terms)
    if len(terms) > MOST_INPUTS and is_asked:
        raise ValueError(
            f"rules=True needs a network that uses at most {MOST_INPUTS} inputs, but this one uses "
            f"{len(terms)}: prune more, or set rules='auto'."
        )
    if not 0 < len(terms) <= MOST_INPUTS or not (is_logical or is_asked):
        return ""
    rows = np.indices((2,) * len(terms)).reshape(len(terms), -1).T
    predicted = _predicted(described, loss, terms, rows)
    is_possible = _possible(terms, rows)
    rules = {k: conjunctions(predicted[:, k], is_possible) for k in range(predicted.shape[1])}
    if described.kind == "binary":
        # The other class is the rest, which is empty if one class is always predicted.
        first = min((k for k in rules if rules[k]), key=lambda k: (_length(rules[k]), -k))
        rules = {first: rules[first]}
    if not is_asked and sum(map(len, rules.values())) > _MOST_CONJUNCTIONS:
        return ""
    lines = [
        "# The same as rules:" if is_logical else "# The same as rules, for inputs of 0 and 1:"
    ]
    for k, found in rules.items():
        lines += _written(described.names[k], found, terms)
    if described.kind == "binary" and any(value != 2 for value in rules[first][0]):
        lines.append(f"else {described.names[1 - first]}")
    return "\n".join(lines)


def conjunctions(is_on: Table, is_possible: Table) -> list[Conjunction]:
    """Find a small set of conjunctions, one of which holds exactly where a table is true.

    Parameters
    ----------
    is_on : ndarray of bool of shape (2 ** n_terms,)
        In the order of `numpy.indices`: the last term changes first.
    is_possible : ndarray of bool of shape (2 ** n_terms,)
        Other rows need not be right.
    """
    n_terms = len(is_on).bit_length() - 1
    shape = (2,) * n_terms
    wanted = np.argwhere((is_on & is_possible).reshape(shape))
    implicants = (is_on | ~is_possible).reshape(shape)
    for axis in range(n_terms):
        both = implicants.all(axis=axis, keepdims=True)
        implicants = np.concatenate([implicants, both], axis=axis)
    primes = implicants.copy()
    for axis in range(n_terms):
        # A conjunction that holds for both values of a term does not need the term.
        wider = np.take(implicants, [2], axis=axis)
        is_wide = np.arange(3).reshape(-1, *[1] * (n_terms - axis - 1)) == 2
        primes &= ~wider | is_wide
    found = np.argwhere(primes)
    covers = np.ones((len(found), len(wanted)), dtype=bool)
    for values, of_term in zip(found.T, wanted.T, strict=True):
        covers &= (values[:, np.newaxis] == of_term) | (values[:, np.newaxis] == 2)
    n_literals = (found != 2).sum(axis=1)
    chosen = _cover(covers, n_literals)
    return [tuple(int(value) for value in found[k]) for k in chosen]


def _cover(covers: Table, n_literals: NDArray[np.intp]) -> list[int]:
    """Find rows that together cover all columns, greedily, then drop those not needed."""
    # Rows matter most for columns that few rows cover.
    worth = 1 / np.maximum(covers.sum(axis=0), 1)
    gains, left, chosen = covers @ worth, np.ones(covers.shape[1], dtype=bool), []
    while left.any():
        best = int(np.lexsort((n_literals, -gains.round(9)))[0])
        chosen.append(best)
        gained = left & covers[best]
        gains -= covers[:, gained] @ worth[gained]
        left &= ~gained
    times = covers[chosen].sum(axis=0)
    for row in sorted(chosen, key=lambda k: -int(n_literals[k])):
        if (times[covers[row]] > 1).all():
            chosen.remove(row)
            times -= covers[row]
    return sorted(chosen, key=lambda k: (int(n_literals[k]), k))


def _predicted(described: Described, loss: Loss, terms: list[Input], rows: Any) -> Table:
    """Predict classes, or labels, for each row of values of the terms."""
    pruned = described.pruned
    Z = np.zeros((len(rows), len(described.inputs)), dtype=pruned.theta.dtype)
    for index in pruned.used_inputs:
        given = described.inputs[index]
        Z[:, index] = given.of_indicator(rows[:, terms.index(given.term)])
    p = pruned.predictor.output(Z, loss.inverse_link)
    if described.kind == "multiclass":
        return np.arange(p.shape[1]) == p.argmax(axis=1)[:, np.newaxis]
    return np.hstack([p <= 0.5, p > 0.5]) if described.kind == "binary" else p > 0.5


def _possible(terms: list[Input], rows: Any) -> Table:
    """Return which rows can occur: no column has two values, and none has no value."""
    is_possible = np.ones(len(rows), dtype=bool)
    columns: dict[tuple[str, int], list[int]] = {}
    for place, term in enumerate(terms):
        if term.condition is not None and term.condition.startswith("="):
            columns.setdefault((term.column, term.n_values), []).append(place)
    for places in columns.values():
        n_true = rows[:, places].sum(axis=1)
        least = len(places) == terms[places[0]].n_values
        is_possible &= (n_true <= 1) & (n_true >= least)
    return is_possible


def _length(rule: list[Conjunction]) -> int:
    return sum(1 + sum(value != 2 for value in conjunction) for conjunction in rule)


def _written(name: str, rule: list[Conjunction], terms: list[Input]) -> list[str]:
    """Write a rule as lines of text, one for each conjunction."""
    if not rule:
        return [f"{name} never"]
    texts = [
        " and ".join(
            _literal(term, value)
            for term, value in zip(terms, conjunction, strict=True)
            if value != 2
        )
        for conjunction in rule
    ]
    if texts == [""]:
        return [f"{name} always"]
    return [
        f"{name} where",
        *(f"    {'or ' if k else '   '}{text}" for k, text in enumerate(texts)),
    ]


def _literal(term: Input, value: int) -> str:
    if term.condition is None:
        return term.column if value else f"not {term.column}"
    if value:
        return f"{term.column} {term.condition}"
    is_equality = term.condition.startswith("=")
    negated = f"!{term.condition}" if is_equality else term.condition.replace("is", "is not", 1)
    return f"{term.column} {negated}"
