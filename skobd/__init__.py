"""Multilayer perceptrons for scikit-learn that prune themselves with Optimal Brain Damage."""

from ._displays import (
    FeaturePathDisplay,
    NetworkDisplay,
    PruningPathDisplay,
    SaliencyDisplay,
)
from ._export.summary import PruningSummary
from ._mlp.column_sources import feature_groups_of
from ._mlp.estimators import OBDMLPClassifier, OBDMLPRegressor
from ._mlp.path import PruningPath
from ._search.converters import register_onnx_converters
from ._search.feature_selector import OBDFeatureSelector
from ._search.search import PruningSearchCV
from ._search.stability import stability_selection

__version__ = "0.2.0"

__all__ = [
    "FeaturePathDisplay",
    "NetworkDisplay",
    "OBDFeatureSelector",
    "OBDMLPClassifier",
    "OBDMLPRegressor",
    "PruningPath",
    "PruningPathDisplay",
    "PruningSearchCV",
    "PruningSummary",
    "SaliencyDisplay",
    "feature_groups_of",
    "register_onnx_converters",
    "stability_selection",
]
