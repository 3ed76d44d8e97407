"""Multilayer perceptrons for scikit-learn that prune themselves with Optimal Brain Damage."""

from ._displays import (
    FeaturePathDisplay,
    NetworkDisplay,
    PruningPathDisplay,
    SaliencyDisplay,
)
from ._export.summary import PruningSummary
from ._mlp.c_code import to_c
from ._mlp.column_sources import feature_groups_of
from ._mlp.estimators import OBDMLPClassifier, OBDMLPRegressor
from ._mlp.path import PruningPath
from ._mlp.text import export_text
from ._mlp.used_features import used_features_only
from ._search.feature_selector import OBDFeatureSelector
from ._search.onnx_converters import register_onnx_converters
from ._search.search import PruningSearchCV
from ._search.selection import best_within
from ._search.stability import stability_selection

__version__ = "0.3.0"

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
    "best_within",
    "export_text",
    "feature_groups_of",
    "register_onnx_converters",
    "stability_selection",
    "to_c",
    "used_features_only",
]
