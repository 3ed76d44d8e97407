"""Plots of pruned networks; matplotlib is imported only when something is drawn."""

from .feature_display import FeaturePathDisplay
from .network_display import NetworkDisplay
from .path_display import PruningPathDisplay
from .saliency_display import SaliencyDisplay

__all__ = ["FeaturePathDisplay", "NetworkDisplay", "PruningPathDisplay", "SaliencyDisplay"]
