"""Where a warning points: at the line of the user's, however deep in a pipeline or a search."""

import os
import sys
from types import FrameType

import joblib
import sklearn

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_BETWEEN = tuple(
    os.path.join(folder, "")
    for folder in (_OURS, os.path.dirname(sklearn.__file__), os.path.dirname(joblib.__file__))
)


def users_level() -> int:
    """The ``stacklevel`` with which the caller's `warnings.warn` points at the user's line.

    That is the first one outside skobd, scikit-learn and joblib.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        frame, level = frame.f_back, level + 1
    return level
