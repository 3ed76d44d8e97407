"""The step of `minibatch`, by functions that numba compiles instead of NumPy.

Training can be understood without this folder. Code outside it imports only the names below, and
no table elsewhere has rows in it. The kernels name the activations, losses and updates that they
know. NumPy takes the steps for all others, and if numba does not work.
"""

from collections.abc import Callable

from ..objective import Objective
from .engine import check_engine, chosen_engine, find_step
from .epochs import CompiledEpochs, is_known

__all__ = ["check_engine", "epochs_or_none"]


def epochs_or_none(
    objective: Objective, batch_size: int, solver: str, tell: Callable[[str], None] | None = None
) -> CompiledEpochs | None:
    """Make epochs over dense rows by the compiled step; return None if NumPy must take the steps.

    Parameters
    ----------
    objective : Objective
    batch_size : int
    solver : {"adam", "sgd"}
    tell : callable, default=None
        Called with a line if numba has to compile.

    Raises
    ------
    ImportError
        If ``SKOBD_ENGINE=numba`` and numba does not work.
    """
    if chosen_engine() == "numpy":
        return None
    step = find_step(objective.dtype.name, tell)
    if step is None or not is_known(step, objective, solver):
        return None
    return CompiledEpochs(objective, batch_size, step)
