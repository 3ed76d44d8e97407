"""Checks of the parameter ``feature_groups`` against the columns seen in fit."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from .._net.network import Indices
from .names import doubled_names, feature_names


class FeatureGroups(NamedTuple):
    """Partition of the columns; a column outside the given groups is a group of its own.

    Attributes
    ----------
    group_of : ndarray of int of shape (n_features,)
        Number of the group of each column; groups are numbered by their first columns.
    names : tuple of str or None
        Name of each group, or of its only column; None if groups have no names.
    """

    group_of: Indices
    names: tuple[str, ...] | None


def groups_of_parameters(estimator: Any) -> FeatureGroups | None:
    """Resolve ``feature_groups`` of an estimator whose columns are known."""
    given = estimator.feature_groups
    if given is None:
        return None
    if estimator.granularity != "feature":
        raise ValueError(
            "feature_groups is only for granularity='feature', which deletes whole inputs; with "
            f"granularity={estimator.granularity!r} it would do nothing. Set one of the two."
        )
    return resolve(given, feature_names(estimator), hasattr(estimator, "feature_names_in_"))


def resolve(given: Any, columns: np.ndarray, has_names: bool) -> FeatureGroups:
    """Check groups of columns and number them.

    Parameters
    ----------
    given : array-like of array-like, or dict of array-like
        Groups of indices or names of columns; the keys of a dict are the names of the groups.
    columns : ndarray of str
        Names of all columns.
    has_names : bool
        Whether they come from the data, so that groups can refer to columns by name.

    Raises
    ------
    TypeError, ValueError
        Their messages begin with ``feature_groups``.
    """
    is_named = isinstance(given, Mapping)
    groups = members_by_key(given)
    if not groups:
        raise ValueError("feature_groups is empty; give None if no columns belong together.")
    places: dict[str, list[int]] = {}
    for place, name in enumerate(columns if has_names else ()):
        places.setdefault(name, []).append(place)
    key_of: dict[int, Any] = {}
    for key, members in groups.items():
        where = f"feature_groups[{key!r}]"
        for column in members:
            place = _place(column, where, len(columns), places)
            if place in key_of:
                raise ValueError(
                    f"{where} has column {columns[place]!r}, which is in "
                    f"feature_groups[{key_of[place]!r}] already; a column may be in one group, "
                    "and once."
                )
            key_of[place] = key
    numbers: dict[Any, int] = {}
    group_of = np.array(
        [
            numbers.setdefault((place in key_of, key_of.get(place, place)), len(numbers))
            for place in range(len(columns))
        ],
        dtype=np.intp,
    )
    if not is_named:
        return FeatureGroups(group_of, None)
    names = tuple(str(key if is_in_group else columns[key]) for is_in_group, key in numbers)
    if doubled := doubled_names(names):
        name = doubled[0]
        raise ValueError(
            f"feature_groups has a group named {name!r}, as a column outside of it is."
            if name in groups
            else f"feature_groups has names, but X has several columns named {name!r} in no "
            "group; give lists of indices."
        )
    return FeatureGroups(group_of, names)


def members_by_key(given: Any) -> dict[Any, list[Any]]:
    """Return the columns of each group by its name, or by its number without names.

    Raises
    ------
    TypeError, ValueError
        If a group is empty or not a list of columns, or its name is not a string.
    """
    groups = dict(given if isinstance(given, Mapping) else enumerate(given))
    for key in groups if isinstance(given, Mapping) else ():
        if not isinstance(key, str):
            raise TypeError(f"feature_groups must have strings as keys, got {key!r}.")
    return {key: _members(group, f"feature_groups[{key!r}]") for key, group in groups.items()}


def columns_by_group(
    group_of: Indices | None, names: Sequence[str] | None, columns: np.ndarray
) -> dict[str, Indices]:
    """Return the indices of the columns of each group, by its name.

    A group without a name is named after its first and last column. Equal names get the index of
    the first column, so that they differ.
    """
    if group_of is None:
        group_of = np.arange(len(columns))
    ends = np.cumsum(np.bincount(group_of))[:-1]
    members = np.split(np.argsort(group_of, kind="stable"), ends)
    if names is None:
        names = [_joined([columns[place] for place in places]) for places in members]
        while doubled := set(doubled_names(names)):
            names = [
                f"{name} [{places[0]}]" if name in doubled else name
                for name, places in zip(names, members, strict=True)
            ]
    return dict(zip(names, members, strict=True))


def _joined(names: list[str]) -> str:
    if len(names) > 2:
        names = [names[0], "...", names[-1]]
    return ", ".join(map(str, names))


def _members(group: Any, where: str) -> list[Any]:
    if isinstance(group, str | bytes | Mapping) or not isinstance(group, Iterable):
        raise TypeError(f"{where} must be a list of columns, got {group!r}.")
    members = list(group)
    if not members:
        raise ValueError(f"{where} is empty; a group has at least one column.")
    return members


def _place(column: Any, where: str, n_columns: int, places: Mapping[str, list[int]]) -> int:
    """Return the index of a column that is given by its index or name."""
    if isinstance(column, str):
        if not places:
            raise ValueError(
                f"{where} has the name {column!r}, but X had no column names in fit. Give indices, "
                "or a data frame; of transformers: set_output(transform='pandas')."
            )
        if column not in places:
            raise ValueError(f"{where} has the name {column!r}, which no column of X has.")
        if len(places[column]) > 1:
            raise ValueError(
                f"{where} has the name {column!r}, which several columns of X have; give indices."
            )
        return places[column][0]
    if isinstance(column, bool | np.bool_) or not isinstance(column, Integral):
        raise TypeError(f"{where} must have indices or names of columns, got {column!r}.")
    if not 0 <= int(column) < n_columns:
        raise ValueError(
            f"{where} has the index {int(column)}, but X has {n_columns} columns; indices are in "
            f"[0, {n_columns})."
        )
    return int(column)
