"""Warnings that point at the user's line, and are given once for many fits.

`warn_user` warns at the user's line, however deep in a pipeline or a search. A search collects the
warnings of its fits, in whatever thread or process they run, and gives each kind once.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
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
    """Find the ``stacklevel`` with which the caller's `warnings.warn` points at the user's line.

    It is the first line outside skobd, scikit-learn, joblib and contextlib.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        frame, level = frame.f_back, level + 1
    return level


class NothingLeftWarning(UserWarning):
    """Warning that a network was pruned until its predictions are constant."""


class LeftOutWarning(UserWarning):
    """Warning of sizes that a network cannot have."""


@dataclass(frozen=True)
class PendingWarning:
    """A warning that has not been given yet.

    Attributes
    ----------
    message : str
    category : type
    source : tuple of str and int
        File and line of the call of `warn_user`; warnings from one line are of one kind, since
        only the numbers and names in them differ.
    """

    message: str
    category: type[Warning]
    source: tuple[str, int]


# A context variable, as each thread has its own; `warnings.catch_warnings` is shared by all.
_collected: ContextVar[list[PendingWarning] | None] = ContextVar("collected", default=None)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line, or add to the list of `collected_warnings`."""
    caller = sys._getframe(1)
    source = caller.f_code.co_filename, caller.f_lineno
    give_warnings([PendingWarning(message, category, source)])


def give_warnings(pending: Iterable[PendingWarning]) -> None:
    """Give warnings, of which some may come from another process, as `warn_user` does."""
    collected = _collected.get()
    if collected is not None:
        collected.extend(pending)
        return
    for warning in pending:
        warnings.warn(warning.message, warning.category, stacklevel=user_stacklevel())


@contextlib.contextmanager
def collected_warnings() -> Iterator[list[PendingWarning]]:
    """Collect warnings in a list instead of giving them; if the context fails, they are given."""
    collected: list[PendingWarning] = []
    token = _collected.set(collected)
    try:
        yield collected
    except BaseException:
        _collected.reset(token)
        give_warnings(_first_of_each_kind(collected))
        raise
    else:
        _collected.reset(token)


@contextlib.contextmanager
def warnings_given_once() -> Iterator[None]:
    """Give the first warning of each kind when the context ends, and say how many there were."""
    with collected_warnings() as collected:
        yield
    give_warnings(_first_of_each_kind(collected))


def _first_of_each_kind(pending: Iterable[PendingWarning]) -> Iterator[PendingWarning]:
    kinds: dict[tuple[type[Warning], tuple[str, int]], list[PendingWarning]] = {}
    for warning in pending:
        kinds.setdefault((warning.category, warning.source), []).append(warning)
    for first, *others in kinds.values():
        count = f" (The first of {len(others) + 1} such warnings.)" if others else ""
        yield replace(first, message=first.message + count)
