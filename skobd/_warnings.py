"""Warnings: they point at the line of the user's, and those of a search are told once.

`warn_user` warns at the user's line, however deep in a pipeline or a search. A search collects what
its fits have to say, in whatever thread or process they run, and says it once.
"""

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType

import joblib
import sklearn

_OURS = os.path.dirname(os.path.abspath(__file__))
_BETWEEN = (
    *(
        os.path.join(folder, "")
        for folder in (_OURS, os.path.dirname(sklearn.__file__), os.path.dirname(joblib.__file__))
    ),
    contextlib.__file__,
)


def user_stacklevel() -> int:
    """The ``stacklevel`` with which the caller's `warnings.warn` points at the user's line.

    That is the first one outside skobd, scikit-learn, joblib and contextlib.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        frame, level = frame.f_back, level + 1
    return level


class NothingLeftWarning(UserWarning):
    """A network that was asked to be so small that its predictions are constant."""


@dataclass(frozen=True)
class PendingWarning:
    """A warning that was not given yet.

    Attributes
    ----------
    message : str
    category : type
    """

    message: str
    category: type[Warning]

    @property
    def kind(self) -> tuple[type[Warning], str]:
        """Equal for warnings that differ in numbers alone, or in how many of them they list."""
        text = re.sub(r"\d[\d.e+-]*", "#", self.message)
        return self.category, re.sub(r"#(, #)+", "#", text)


# Of each thread its own, as `warnings.catch_warnings` is not.
_collected: ContextVar[list[PendingWarning] | None] = ContextVar("collected", default=None)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line, or within `collected_warnings` take a note."""
    collected = _collected.get()
    if collected is None:
        warnings.warn(message, category, stacklevel=user_stacklevel())
    else:
        collected.append(PendingWarning(message, category))


@contextlib.contextmanager
def collected_warnings() -> Iterator[list[PendingWarning]]:
    """Context in which `warn_user` takes notes; those of a context that fails are given."""
    collected: list[PendingWarning] = []
    token = _collected.set(collected)
    try:
        yield collected
    except BaseException:
        _collected.reset(token)
        warn_once(collected)
        raise
    else:
        _collected.reset(token)


def warn_once(collected: Iterable[PendingWarning]) -> None:
    """Of all the warnings of one kind tell the first, and how many there were."""
    kinds: dict[tuple[type[Warning], str], list[PendingWarning]] = {}
    for warned in collected:
        kinds.setdefault(warned.kind, []).append(warned)
    for alike in kinds.values():
        message = alike[0].message
        if len(alike) > 1:
            message += f" (The first of {len(alike)} such warnings.)"
        warn_user(message, alike[0].category)
