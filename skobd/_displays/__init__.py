"""Plots of what pruning did; matplotlib is imported only where something is drawn."""

from ._network import NetworkDisplay
from ._path import PruningPathDisplay
from ._saliency import SaliencyDisplay

__all__ = ["NetworkDisplay", "PruningPathDisplay", "SaliencyDisplay"]
