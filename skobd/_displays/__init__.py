"""Plots of what pruning did; matplotlib is imported only where something is drawn."""

from .features import FeaturePathDisplay
from .network import NetworkDisplay
from .path import PruningPathDisplay
from .saliency import SaliencyDisplay

__all__ = ["FeaturePathDisplay", "NetworkDisplay", "PruningPathDisplay", "SaliencyDisplay"]
