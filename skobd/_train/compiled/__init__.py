"""The compiled step: what `minibatch` does in NumPy, by functions that numba compiles.

Whoever wants to know how training works need not read this folder. Nothing outside it imports
anything from inside it but the names below; nothing inside it is a row of a table elsewhere. The
kernels name the activations, losses and updates that they know. For all others, and where numba
does not work, there are no epochs here, and NumPy takes the steps.
"""

from ..objective import Objective
from ..updates import SolverSettings
from .engine import ENGINES, check_engine, find_step, take_complaint
from .epochs import CompiledEpochs, is_known

__all__ = ["ENGINES", "check_engine", "epochs_or_none", "take_complaint"]


def epochs_or_none(
    objective: Objective, batch_size: int, settings: SolverSettings
) -> CompiledEpochs | None:
    """Epochs over dense rows by the compiled step, or None where NumPy is to take the steps.

    Parameters
    ----------
    objective : Objective
    batch_size : int
    settings : SolverSettings
        ``engine`` and ``solver`` count.

    Raises
    ------
    ImportError
        If ``engine="numba"`` and numba does not work.
    """
    if settings.engine == "numpy":
        return None
    step = find_step(objective.dtype.name, settings.engine)
    if step is None or not is_known(step, objective, settings.solver):
        return None
    return CompiledEpochs(objective, batch_size, step)
