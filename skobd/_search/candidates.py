"""Candidates of a search: the combinations of a grid of parameters, checked before any work."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from .._mlp.base import BaseOBDMLP
from .._mlp.fit import hidden_sizes
from .._mlp.pipelines import last_step, last_step_name
from .._prune.schedule import Levels

# Parameters that a path ignores, because the search chooses its levels.
_NOT_ASKED_FOR = ("prune_fraction", "n_rounds", "prune_tol")


@dataclass(frozen=True)
class Candidate:
    """One combination of the parameters in the grid.

    Attributes
    ----------
    params : dict of str to object
        Parameters for ``set_params``; empty without a grid.
    estimator : object
        Unfitted estimator with these parameters.
    """

    params: dict[str, Any]
    estimator: Any

    @property
    def level_name(self) -> str:
        """Name by which ``set_params`` reaches the pruning level."""
        return _nested_name(self.estimator, "prune_fraction")

    def at(self, level: float) -> dict[str, Any]:
        """Combine its parameters with a level."""
        return {**self.params, self.level_name: level}


class Row(NamedTuple):
    """A candidate and the levels of its path up to one of them: a row of ``cv_results_``."""

    candidate: Candidate
    levels: Levels


def make_candidates(estimator: Any, param_grid: Any, with_sizes: bool = False) -> list[Candidate]:
    """Make all combinations in the grid, in its order; without a grid the estimator alone.

    With sizes all candidates must have the same granularity.
    """
    estimator = checked_clone(estimator)
    if param_grid is None:
        return [Candidate({}, estimator)]
    grid = ParameterGrid(param_grid)
    if not len(grid):
        raise ValueError(
            "param_grid has no candidates; give a dict (or a list of dicts) of lists of values, or "
            "None to choose the level alone."
        )
    candidates = [_candidate(estimator, params) for params in grid]
    deleted = {last_step(candidate.estimator).granularity for candidate in candidates}
    if with_sizes and len(deleted) > 1:
        raise ValueError(
            "sizes count what granularity deletes, and cannot be compared where candidates have "
            f"granularity in {sorted(deleted)}; give one, or prune_fractions instead of sizes."
        )
    return candidates


def candidate_names(params: Sequence[dict[str, Any]]) -> list[str] | None:
    """Name the candidate of every row of ``cv_results_``; None if there is only one.

    Its name lists its parameters except the level, without the names of pipeline steps where they
    are not needed to tell parameters apart.
    """
    keys = dict.fromkeys(key for row in params for key in row)
    short = [key.rpartition("__")[2] for key in keys]
    shown = {
        key: name if short.count(name) == 1 else key for key, name in zip(keys, short, strict=True)
    }
    names = [
        ", ".join(f"{shown[key]}={value}" for key, value in row.items() if not _is_level(key))
        for row in params
    ]
    # The levels of each candidate ascend.
    levels = [level_of(row) for row in params]
    pairs = zip(itertools.pairwise(names), itertools.pairwise(levels), strict=True)
    numbers = np.cumsum([1, *(one != next_ or a >= b for (one, next_), (a, b) in pairs)])
    if numbers[-1] == 1:
        return None
    if len(set(names)) < numbers[-1]:
        names = [f"{number}: {name}" for number, name in zip(numbers, names, strict=True)]
    return names


def level_of(params: dict[str, Any]) -> float:
    """Find the level in a row of ``cv_results_``."""
    (level,) = (value for key, value in params.items() if _is_level(key))
    return level


def _is_level(key: str) -> bool:
    return key.rpartition("__")[2] == "prune_fraction"


def checked_clone(estimator: Any) -> Any:
    """Clone an estimator, and refuse it if it has no path.

    In a fitted `TransformedTargetRegressor` the parameter counts, not the fitted regressor.
    """
    unfitted = clone(estimator, safe=False)
    if not isinstance(last_step(unfitted), BaseOBDMLP):
        raise TypeError(
            "estimator must be an OBDMLPClassifier, an OBDMLPRegressor or a Pipeline that ends "
            "in one, or a TransformedTargetRegressor around one of them; got "
            f"{estimator!r}."
        )
    return unfitted


def _candidate(estimator: Any, params: dict[str, Any]) -> Candidate:
    try:
        # Cloned as in scikit-learn: a value may be an estimator that belongs to the user.
        with_params = checked_clone(clone(estimator).set_params(**clone(params, safe=False)))
        for name in _NOT_ASKED_FOR:
            if (nested := _nested_name(with_params, name)) in params:
                raise ValueError(
                    f"{nested!r} has no effect in a search, which scores every candidate at all "
                    "the levels of its parameter prune_fractions or sizes; set those."
                )
        mlp = last_step(with_params)
        mlp._validate_params()
        hidden_sizes(mlp)
    except (AttributeError, TypeError, ValueError) as error:
        raise type(error)(f"param_grid cannot have {params}: {error}") from error
    return Candidate(params, with_params)


def _nested_name(estimator: Any, parameter: str) -> str:
    name = last_step_name(estimator)
    return f"{name}__{parameter}" if name else parameter
