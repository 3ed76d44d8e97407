"""The compiled step: what `minibatch` does in NumPy, by functions that numba compiles.

Whoever wants to know how training works need not read this folder. Nothing outside it imports
anything from inside it but the names below; nothing inside it is a row of a table elsewhere. The
kernels name the activations, losses and updates that they know. For all others, and where numba
does not work, there are no epochs here, and NumPy takes the steps.
"""

from collections.abc import Callable

from ..objective import Objective
from .engine import check_engine, chosen_engine, find_step
from .epochs import CompiledEpochs, is_known

__all__ = ["check_engine", "epochs_or_none"]


def epochs_or_none(
    objective: Objective, batch_size: int, solver: str, tell: Callable[[str], None] | None = None
) -> CompiledEpochs | None:
    """Make epochs over dense rows by the compiled step; None where NumPy is to take the steps.

    Parameters
    ----------
    objective : Objective
    batch_size : int
    solver : {"adam", "sgd"}
    tell : callable, default=None
        Is given a line that says that numba compiles, if it does.

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
