"""Index forms, the ways to store the positions of the weights of a layer; a row of a table each.

Weights are stored unit by unit in ascending order of their inputs. All forms write to one stream
of bytes; those that count have the number of weights of each unit in another one.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


class Places(NamedTuple):
    """Positions of the weights of a layer (fan_in, fan_out).

    Attributes
    ----------
    mask : ndarray of bool of shape (fan_out, fan_in)
    inputs : ndarray of int of shape (n_weights,)
        Input of each weight, unit by unit.
    gaps : ndarray of int of shape (n_weights,)
        Inputs that are skipped before each weight.
    """

    mask: NDArray[np.bool_]
    inputs: NDArray[np.intp]
    gaps: NDArray[np.intp]

    @classmethod
    def of(cls, layer: NDArray[Any]) -> "Places":
        """Find the weights that are not 0."""
        mask = layer.T != 0
        units, inputs = np.nonzero(mask)
        is_first = np.diff(units, prepend=-1) != 0
        return cls(mask, inputs, np.where(is_first, inputs, np.diff(inputs, prepend=-1) - 1))


class Form(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    counts : bool
        Whether the number of weights of each unit is stored.
    code_bytes : int
        Instructions that reading it takes on an AVR, in bytes, about.
    most_inputs : int
        Widest layer that can be stored so.
    n_bytes, encode : callable
        Number of the bytes for a layer, and the bytes themselves.
    """

    counts: bool
    code_bytes: int
    most_inputs: int
    n_bytes: Callable[[Places], int]
    encode: Callable[[Places], Bytes]


def _n_digits(escape: int, places: Places) -> int:
    return int((places.gaps // escape + 1).sum())


def _digits(escape: int, places: Places) -> Bytes:
    """Gaps as digits; ``escape`` stands for so many inputs, and more to come."""
    ends = np.cumsum(places.gaps // escape + 1)
    digits = np.full(ends[-1] if len(ends) else 0, escape, dtype=np.uint8)
    digits[ends - 1] = places.gaps % escape
    return digits


def _half_bytes(places: Places) -> Bytes:
    digits = _digits(15, places)
    digits = np.append(digits, np.zeros(len(digits) % 2, dtype=np.uint8))
    return (digits[::2] | digits[1::2] << 4).astype(np.uint8)


FORMS = {
    "dense": Form(False, 60, 65_535, lambda p: 0, lambda p: np.zeros(0, dtype=np.uint8)),
    "list": Form(
        True, 100, 256, lambda p: len(p.inputs), lambda places: places.inputs.astype(np.uint8)
    ),
    "mask": Form(
        False,
        115,
        65_528,
        lambda places: len(places.mask) * -(-places.mask.shape[1] // 8),
        lambda places: np.packbits(places.mask, axis=1, bitorder="little").ravel(),
    ),
    "gaps8": Form(True, 105, 65_535, partial(_n_digits, 255), partial(_digits, 255)),
    "gaps4": Form(True, 145, 65_535, lambda places: -(-_n_digits(15, places) // 2), _half_bytes),
}


class Stored(NamedTuple):
    """The weights of all layers as they are stored.

    Attributes
    ----------
    forms : tuple of str
        Row of `FORMS` for each layer.
    values : ndarray
        Weights in the order in which they are used; those of a dense layer include zeros. Empty
        where all weights are 0.
    indices : ndarray of uint8
    counts : ndarray of uint8 or uint16
    """

    forms: tuple[str, ...]
    values: NDArray[Any]
    indices: Bytes
    counts: NDArray[np.unsignedinteger]


def store(layers: Sequence[NDArray[Any]]) -> Stored:
    """Store the non-zero weights of layers (fan_in, fan_out) in the forms that take fewest bytes.

    Every form costs instructions once, whichever layers have it.
    """
    if not any(layer.any() for layer in layers):
        nothing = np.zeros(0, dtype=np.uint8)
        return Stored(("dense",) * len(layers), np.zeros(0, layers[0].dtype), nothing, nothing)
    places = [Places.of(layer) for layer in layers]
    forms = _smallest_forms(layers, places)
    values, indices = [], []
    counts = [np.zeros(0, dtype=np.intp)]
    for layer, where, form in zip(layers, places, forms, strict=True):
        values.append(layer.T.ravel() if form == "dense" else layer.T[where.mask])
        indices.append(FORMS[form].encode(where))
        if FORMS[form].counts:
            counts.append(where.mask.sum(axis=1))
    if set(forms) != {"dense"} and not any(map(len, indices)):
        # Of layers without weights nothing is read, but C has no arrays of no bytes.
        indices.append(np.zeros(1, dtype=np.uint8))
    n = np.concatenate(counts)
    return Stored(
        forms,
        np.concatenate(values),
        np.concatenate(indices),
        n.astype(np.uint8 if n.max(initial=0) <= 255 else np.uint16),
    )


def _smallest_forms(layers: Sequence[NDArray[Any]], places: list[Places]) -> tuple[str, ...]:
    tables = [_sizes(layer, where) for layer, where in zip(layers, places, strict=True)]
    found: list[tuple[int, tuple[str, ...]]] = []
    for choice in chain.from_iterable(combinations(FORMS, n + 1) for n in range(len(FORMS))):
        if all(table.keys() & set(choice) for table in tables):
            best = [min((table[f], f) for f in choice if f in table) for table in tables]
            code = sum(FORMS[form].code_bytes for form in {form for _, form in best})
            found.append((sum(size for size, _ in best) + code, tuple(f for _, f in best)))
    return min(found)[1]


def _sizes(layer: NDArray[Any], places: Places) -> dict[str, int]:
    """Bytes of the indices, counts and values of a layer in every form that suits it."""
    (fan_in, fan_out), n = layer.shape, len(places.inputs)
    of_counts = fan_out * (1 if places.mask.sum(axis=1).max(initial=0) <= 255 else 2)
    sizes = {
        name: form.n_bytes(places) + of_counts * form.counts + n * layer.itemsize
        for name, form in FORMS.items()
        if fan_in <= form.most_inputs and name != "dense"
    }
    return sizes | {"dense": layer.size * layer.itemsize}
