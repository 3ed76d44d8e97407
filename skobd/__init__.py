"""Multilayer perceptrons for scikit-learn that prune themselves with Optimal Brain Damage."""

from ._displays import NetworkDisplay, PruningPathDisplay, SaliencyDisplay
from ._export.summary import PruningSummary
from ._mlp.estimators import OBDMLPClassifier, OBDMLPRegressor, register_onnx_converters
from ._mlp.path import PruningPath
from ._mlp.transformers import feature_groups_of
from ._search.search import PruningSearchCV

__version__ = "0.2.0"

__all__ = [
    "NetworkDisplay",
    "OBDMLPClassifier",
    "OBDMLPRegressor",
    "PruningPath",
    "PruningPathDisplay",
    "PruningSearchCV",
    "PruningSummary",
    "SaliencyDisplay",
    "feature_groups_of",
    "register_onnx_converters",
]
