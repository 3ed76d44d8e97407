"""Multilayer perceptrons for scikit-learn that prune themselves with Optimal Brain Damage."""

from ._displays import NetworkDisplay, PruningPathDisplay, SaliencyDisplay
from ._estimators import OBDMLPClassifier, OBDMLPRegressor
from ._onnx import register_when_imported
from ._search import PruningSearchCV

__version__ = "0.1.0"

__all__ = [
    "NetworkDisplay",
    "OBDMLPClassifier",
    "OBDMLPRegressor",
    "PruningPathDisplay",
    "PruningSearchCV",
    "SaliencyDisplay",
]

register_when_imported()
