"""A fitted estimator in a few lines of text."""

import pickle
from typing import Any

import numpy as np

_MOST_NAMES = 20


def summarise(estimator: Any) -> str:
    """Layers, weights, bytes and work of a fitted estimator, before and after pruning."""
    pruned = estimator._fitted.pruned
    network, mask, predictor = pruned.network, pruned.mask, pruned.predictor
    n_before, n_after = int(network.is_weight.sum()), int((mask & network.is_weight).sum())
    n_bytes = len(pickle.dumps(estimator, protocol=pickle.HIGHEST_PROTOCOL))
    names, is_used = estimator._features()
    unused = names[~is_used].tolist()
    lines = [
        f"{type(estimator).__name__}",
        f"layers                 {_sizes(network)} -> {_sizes(predictor.network)}",
        f"weights                {n_before} -> {n_after} ({1 - n_after / n_before:.1%} deleted)",
        f"multiply-adds per row  {n_before} -> {predictor.n_multiply_adds}",
        f"bytes on disk          {n_bytes} pickled "
        f"(the dense parameters alone: {pruned.theta.nbytes})",
        f"inputs not needed      {len(unused)} of {len(names)}{_listed(unused)}",
    ]
    return "\n".join(lines)


def _sizes(network: Any) -> str:
    return "-".join(map(str, network.layer_sizes))


def _listed(names: list[Any]) -> str:
    if not names:
        return ""
    more = len(names) - _MOST_NAMES
    listed = ", ".join(map(str, np.asarray(names, dtype=object)[:_MOST_NAMES]))
    return f": {listed}" + (f" and {more} more" if more > 0 else "")
