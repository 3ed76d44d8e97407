"""Reads what ``export_text`` writes, line by line, and computes what it says."""

import re

import numpy as np
from scipy.special import expit, softmax

FUNCTIONS = {
    "": lambda a: a,
    "relu": lambda a: np.maximum(a, 0),
    "tanh": np.tanh,
    "logistic": expit,
    "exp": np.exp,
}
NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
HEAD = re.compile(r"(.*) = (\w*)\($")
TERM = re.compile(rf"    ([+-]) ({NUMBER}) *(?: \* (.*))?$")
FILL = re.compile(r"# (.*) counts as (.*) where it is missing$")


def formulas(text):
    """Every formula: its head, function and [weight, term or None] of each line."""
    found, rest = [], []
    lines = iter(text.split("\n"))
    for line in lines:
        head = HEAD.match(line)
        if not head:
            rest.append(line)
            continue
        terms = []
        for inner in lines:
            if inner == ")":
                break
            if inner.startswith("    ... and "):
                terms.append((0, inner))
                continue
            sign, number, term = TERM.match(inner).groups()
            terms.append((float(sign + number), term))
        found.append((*head.groups(), terms))
    return found, rest


def value(term, columns):
    """Value of a term, given a dict of columns."""
    if term in columns:
        return columns[term]
    if clip := re.match(rf"clip\((.*), (-?{NUMBER}), (-?{NUMBER})\)$", term):
        return np.clip(value(clip[1], columns), float(clip[2]), float(clip[3]))
    if function := re.match(r"(log1p|sqrt)\((.*)\)$", term):
        return getattr(np, function[1])(columns[function[2]])
    if missing := re.match(r"\[(.*) is missing\]$", term):
        return columns[f"given {missing[1]}"] != columns[f"given {missing[1]}"]
    column, category = re.match(r"\[(.*?) = (.*)\]$", term).groups()
    return np.array([str(cell) == category for cell in columns[column]], dtype=float)


def filled(columns, rest):
    """Columns whose missing values count as the remarks say."""
    columns = columns | {f"given {column}": cells for column, cells in columns.items()}
    for column, fill in (match.groups() for line in rest if (match := FILL.match(line))):
        cells = columns[column]
        is_number = cells.dtype.kind == "f"
        columns[column] = np.array(
            [(float(fill) if is_number else fill) if cell != cell else cell for cell in cells]
        )
    return columns


def evaluate(text, columns):
    """Outputs (n_rows, n_outputs) after the link, and the names of their formulas."""
    found, rest = formulas(text)
    columns = filled(columns, rest)
    n_rows = len(next(iter(columns.values())))
    known, outputs = dict(columns), {}
    for head, function, terms in found:
        total = np.zeros(n_rows)
        for weight, term in terms:
            total = total + (weight if term is None else weight * value(term, known))
        result = FUNCTIONS[function](total)
        if re.fullmatch(r"h+\d+(_\d+)?", head):
            known[head] = result
        else:
            outputs[head] = result
    p = np.stack(list(outputs.values()), axis=1)
    closing = "\n".join(rest)
    if "sum of exp(score)" in closing:
        p = softmax(p, axis=1)
    elif "1 / (1 + exp(" in closing:
        p = expit(p)
    return p, list(outputs)


def rules(text):
    """The rules as {name: list of conjunctions}, and the name after "else"."""
    lines = text.partition("# The same as rules")[2].split("\n")[1:]
    found, name, otherwise = {}, None, None
    for line in lines:
        if line.startswith("    "):
            found[name].append([] if line[7:] == "" else line[7:].split(" and "))
        elif line.startswith("else "):
            otherwise = line.removeprefix("else ")
        else:
            name, verb = line.rsplit(" ", 1)
            found[name] = [[]] if verb == "always" else []
    return found, otherwise


def holds(literal, columns):
    """Where a literal of a rule is true."""
    if missing := re.match(r"(.*) is (not )?missing$", literal):
        cells = columns[f"given {missing[1]}"]
        return (cells != cells) != bool(missing[2])
    for sign, wanted in ((" != ", False), (" = ", True)):
        if sign in literal:
            column, category = literal.split(sign)
            return np.array([str(cell) == category for cell in columns[column]]) == wanted
    column = literal.removeprefix("not ")
    return (np.asarray(columns[column]) == 1) == (column == literal)


def follow(rule, columns):
    """Where a rule is true."""
    n_rows = len(next(iter(columns.values())))
    found = np.zeros(n_rows, dtype=bool)
    for conjunction in rule:
        found |= np.logical_and.reduce(
            [np.ones(n_rows, dtype=bool), *(holds(literal, columns) for literal in conjunction)]
        )
    return found
