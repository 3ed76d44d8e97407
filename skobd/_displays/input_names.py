"""Names of the inputs, and of the groups of inputs, of a network inside a pipeline."""

from typing import Any

import numpy as np

from .._mlp.base import BaseOBDMLP
from .._mlp.feature_groups import columns_by_group
from .._mlp.names import Names, feature_names
from .common import names_or_default


def resolve_feature_names(
    given: Names | None, transformers: list[Any], mlp: BaseOBDMLP
) -> np.ndarray:
    """Name the network's inputs: as given, as fitted, by the steps before, or x0, x1, ..."""
    n_features = mlp.n_features_in_
    if given is None and hasattr(mlp, "feature_names_in_"):
        given = mlp.feature_names_in_
    elif given is None:
        try:
            names = None
            for transformer in transformers:
                names = transformer.get_feature_names_out(names)
        except (AttributeError, ValueError):
            # Some step before cannot name what it puts out.
            names = None
        given = names if names is not None and len(names) == n_features else None
    return names_or_default(given, n_features, "feature_names")


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
