"""What a pickled estimator holds: the surviving parameters and plain data, nothing else.

``pickle``, ``joblib``, ``copy`` and skops all go through ``__getstate__`` and ``__setstate__``.
The state is made of arrays, dictionaries, strings and numbers, so that loading it needs trust in
no type but the estimator's own.
"""

import copy
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._network import Mask, Network
from ._solvers import Journal
from ._updates import UPDATES, SolverSettings

_PRIVATE = ("_network", "_theta", "_mask", "_journal", "_optimizer_state")
# Derived, or of use only while fitting.
_TRANSIENT = ("_exposed", "_predictor", "_route")
# Lists of numbers that the estimator shares with its journal.
_CURVES = {
    "loss_curve_": "loss_curve",
    "validation_loss_curve_": "validation_loss_curve",
    "validation_scores_": "validation_scores",
}


def pack_state(state: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an estimator with its network and records packed.

    Parameters
    ----------
    state : dict
        ``vars(estimator)``; not modified.

    Returns
    -------
    state : dict
    """
    state = {name: value for name, value in state.items() if name not in _TRANSIENT}
    if "_theta" not in state:
        return state
    network, theta, mask, journal, update = (state.pop(name) for name in _PRIVATE)
    shared = [
        name
        for name, curve in _CURVES.items()
        if name in state and state[name] is getattr(journal, curve)
    ]
    for name in shared:
        del state[name]
    state["_packed"] = {
        "layer_sizes": network.layer_sizes,
        "activation": network.activation,
        "values": theta[mask],
        "mask": pack_mask(mask),
        "journal": _pack_journal(journal),
        "shared_curves": shared,
        "optimizer": None if update is None else _pack_update(update),
    }
    return state


def unpack_state(state: dict[str, Any]) -> dict[str, Any]:
    """The attributes that `pack_state` was given."""
    state = dict(state)
    if "_packed" not in state:
        return state
    packed = state.pop("_packed")
    network = Network(tuple(packed["layer_sizes"]), packed["activation"])
    mask = unpack_mask(packed["mask"], network.n_parameters)
    theta = np.zeros(network.n_parameters, dtype=packed["values"].dtype)
    theta[mask] = packed["values"]
    journal = _unpack_journal(packed["journal"])
    optimizer = packed["optimizer"]
    update = None if optimizer is None else _unpack_update(optimizer)
    state |= dict(zip(_PRIVATE, (network, theta, mask, journal, update), strict=True))
    state |= {name: getattr(journal, _CURVES[name]) for name in packed["shared_curves"]}
    return state


def pack_mask(mask: Mask) -> NDArray[Any] | None:
    """A mask as bits or as gaps between survivors, whichever is smaller; None if all survive."""
    if mask.all():
        return None
    bits = np.packbits(mask)
    gaps = np.diff(np.flatnonzero(mask), prepend=-1)
    # Kinds of integers tell the two apart: bits are unsigned, gaps are signed.
    widest = gaps.max(initial=0)
    kind = next(kind for kind in "bhiq" if widest <= np.iinfo(kind).max)
    gaps = gaps.astype(kind)
    return gaps if gaps.nbytes < bits.nbytes else bits


def unpack_mask(packed: NDArray[Any] | None, size: int) -> Mask:
    """The mask (size,) that `pack_mask` was given."""
    if packed is None:
        return np.ones(size, dtype=bool)
    if packed.dtype.kind == "u":
        return np.unpackbits(packed, count=size).astype(bool)
    mask = np.zeros(size, dtype=bool)
    mask[np.cumsum(packed, dtype=np.intp) - 1] = True
    return mask


def _pack_journal(journal: Journal) -> dict[str, Any]:
    return vars(journal) | {
        curve: np.array(getattr(journal, curve), dtype=np.float64) for curve in _CURVES.values()
    }


def _unpack_journal(packed: dict[str, Any]) -> Journal:
    return Journal(**packed | {curve: packed[curve].tolist() for curve in _CURVES.values()})


def _pack_update(update: Any) -> dict[str, Any]:
    # Copied, because training changes it in place and `copy.copy` does not copy further.
    return copy.deepcopy(vars(update)) | {"settings": asdict(update.settings)}


def _unpack_update(packed: dict[str, Any]) -> Any:
    settings = SolverSettings(**packed["settings"])
    update = object.__new__(UPDATES[settings.solver])
    vars(update).update(packed | {"settings": settings})
    return update
