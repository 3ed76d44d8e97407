"""Names of the inputs, and of the groups of inputs, of a network inside a pipeline."""

from typing import Any

import numpy as np

from .._mlp.base import BaseOBDMLP
from .._mlp.feature_groups import columns_by_group
from .._mlp.names import Names, check_names, feature_names
from .._mlp.pipelines import input_names


def resolve_feature_names(
    given: Names | None, transformers: list[Any], mlp: BaseOBDMLP
) -> np.ndarray:
    """Name the network's inputs: as given, as fitted, by the steps before, or x0, x1, ..."""
    if given is None:
        return feature_names(mlp, input_names(transformers, mlp))
    return check_names(given, mlp.n_features_in_, "feature_names")


def by_groups(masks: np.ndarray, names: Names, mlp: BaseOBDMLP) -> tuple[np.ndarray, np.ndarray]:
    """Return which groups of inputs are left, and their names, given those of the inputs.

    Without ``feature_groups`` every input is a group.
    """
    fitted, names = mlp._get_fitted(), np.asarray(names, dtype=object)
    groups = columns_by_group(fitted.group_of, fitted.group_names, names)
    seen = feature_names(mlp)
    own = [
        names[columns[0]] if len(columns) == 1 and name == seen[columns[0]] else name
        for name, columns in groups.items()
    ]
    first = [columns[0] for columns in groups.values()]
    return masks[:, first], np.array(own, dtype=object)
