"""Import of numba and compilation of the step, before training.

Separate threads do both. No signal reaches them, so an interrupt (Ctrl-C) of the waiting fit leaves
neither a half-imported module nor a half-compiled function: the thread continues, and the next fit
uses its result.
"""

import _thread
import importlib
import os
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from ..._net.losses import LOSSES
from ..._net.network import Network
from ..._warnings import warn_user
from ..objective import Objective
from ..settings import SolverSettings
from ..survivors import Survivors
from ..updates import UPDATES
from .blas import gemm_address, sleep_address
from .epochs import CompiledEpochs, Step

VARIABLE, ENGINES = "SKOBD_ENGINE", ("auto", "numpy", "numba")
OLDEST_NUMBA = (0, 61)
# Seconds after which a waiting fit checks again.
_LOOK_AGAIN = 0.003
# Attempts to compile, to save, and to load files that another process may have broken.
_ATTEMPTS = 3
# Seconds after which a step must be compiling, not loading, and the line that says so.
_PATIENCE = 2.0
COMPILING = "numba compiles the training step, once for this machine: about half a minute."

Tell: TypeAlias = Callable[[str], None] | None


class _Task:
    """A call in a thread that no signal reaches.

    Attributes
    ----------
    outcome : tuple or None
        Result and exception of the call, once it is over.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self.outcome: tuple[Any, BaseException | None] | None = None
        self._process = os.getpid()

        def work() -> None:
            try:
                self.outcome = function(), None
            except BaseException as error:
                self.outcome = None, error

        _thread.start_new_thread(work, ())

    def wait(self, tell: Tell = None) -> None:
        """Wait until it is over, by polling: an interrupt may leave a lock locked for ever.

        ``tell`` is called with a line if it takes long.
        """
        begin = time.monotonic()
        while self.outcome is None:
            if tell is not None and time.monotonic() - begin > _PATIENCE:
                tell(COMPILING)
                tell = None
            if self._process != os.getpid():
                why = "this process was forked while numba was being loaded"
                self.outcome = None, RuntimeError(why)
            else:
                time.sleep(_LOOK_AGAIN)


_tasks: dict[str, _Task] = {}
_warned: list[str] = []


def _once(name: str, function: Callable[[], Any], tell: Tell = None) -> Any:
    """Return the result of a call made once in a process; raise its `Exception` every time."""
    task = _tasks.get(name)
    if task is None:
        task = _tasks.setdefault(name, _Task(function))
    task.wait(tell)
    assert task.outcome is not None
    result, error = task.outcome
    if error is not None:
        if not isinstance(error, Exception):
            # A failure that is not numba's fault is tried again.
            _tasks.pop(name, None)
        raise error
    return result


def chosen_engine() -> str:
    """Return the engine of the steps by the environment: "auto", "numpy" or "numba"."""
    engine = os.environ.get(VARIABLE) or "auto"
    if engine not in ENGINES:
        raise ValueError(
            f"The environment variable {VARIABLE} must be one of {', '.join(ENGINES)}, "
            f"got {engine!r}."
        )
    return engine


def check_engine() -> None:
    """Raise `ImportError` if numba is asked for by name and cannot be imported."""
    if chosen_engine() == "numba":
        try:
            _once("kernels", _import_kernels)
        except Exception as error:
            raise _unusable(error) from error


def find_step(dtype: str, tell: Tell = None) -> Step | None:
    """Return the compiled step for a floating type; None if "auto" must do without.

    ``tell`` is called with a line if it has to be compiled first.
    """
    try:
        # A broken installation can raise any error.
        kernels = _once("kernels", _import_kernels)
        step, trouble = _once(dtype, lambda: _build_step(kernels, dtype), tell)
    except Exception as error:
        if chosen_engine() == "numba":
            raise _unusable(error) from error
        if not _is_absent(error):
            _warn_once(
                "The steps of training are taken by NumPy, as numba does not work: "
                f"{_describe(error)}. {VARIABLE}=numpy says that this is meant."
            )
        return None
    if trouble is not None:
        _warn_once(
            "What numba has compiled cannot be kept on disk, so every process compiles it anew, "
            f"for some 20 seconds: {_describe(trouble)}. Let the environment variable "
            f"NUMBA_CACHE_DIR name a folder with room for it, or set {VARIABLE}=numpy."
        )
    return step


def _warn_once(message: str) -> None:
    """Give the first warning about numba, once in a process."""
    if not _warned:
        _warned.append(message)
        warn_user(message)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip()


def _is_absent(error: BaseException) -> bool:
    return isinstance(error, ModuleNotFoundError) and error.name == "numba"


def _unusable(error: Exception) -> ImportError:
    advice = f"Set {VARIABLE} to auto or numpy."
    if _is_absent(error):
        advice = f'Install it with `pip install "skobd[fast]"`, or s{advice[1:]}'
    return ImportError(f"{VARIABLE}=numba cannot be used: {_describe(error)}. {advice}")


def _import_kernels() -> ModuleType:
    numba = importlib.import_module("numba")
    version = tuple(int(number) for number in numba.__version__.split(".")[:2])
    if version < OLDEST_NUMBA:
        oldest = ".".join(map(str, OLDEST_NUMBA))
        raise ImportError(f"numba {numba.__version__} is older than {oldest}")
    return importlib.import_module("skobd._train.compiled.kernels")


def _build_step(kernels: ModuleType, dtype: str) -> tuple[Step, Exception | None]:
    """Compile or load the step; return it and the error if it could not be saved."""
    addresses = gemm_address(dtype), sleep_address()
    try:
        step = Step(kernels, kernels.build_run_steps(keep=True), addresses)
        trouble = _try_out(step, dtype)
    except Exception as error:
        trouble = error
        step = Step(kernels, kernels.build_run_steps(keep=False), addresses)
        check_step(step, dtype)
    return step, trouble


def _try_out(step: Step, dtype: str) -> Exception | None:
    """Check a step that is kept on disk; return the error if it could not be saved."""
    trouble: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            check_step(step, dtype)
            return trouble
        except Exception as error:
            trouble = error
            if not step.run_steps.signatures:
                # The file on disk cannot be read, and is discarded.
                step.run_steps.recompile()
                trouble = None
    raise trouble or ImportError("numba cannot read what it has kept on disk")


def check_step(step: Step, dtype: str) -> None:
    """Compile by making a step of gradient descent, and compare it with the known result."""
    rng = np.random.default_rng(0)
    network = Network((3, 6, 5), "tanh")
    X, Y, theta = (
        rng.normal(size=shape).astype(dtype) for shape in ((8, 3), (8, 5), network.n_parameters)
    )
    objective = Objective(network, LOSSES["squared_error"], X, Y, alpha=0.1)
    loss, gradient = objective.value_and_gradient(theta)
    expected = theta - 0.1 * gradient
    settings = SolverSettings("sgd", learning_rate_init=0.1, momentum=0.0, nesterovs_momentum=False)
    survivors = Survivors(theta, np.ones(theta.size, dtype=bool))
    update = UPDATES["sgd"](settings, theta.size, theta.dtype)
    found = CompiledEpochs(objective, 8, step).run(survivors, update, np.arange(8))
    tolerance = 100 * np.finfo(dtype).eps
    is_right = np.allclose(survivors.theta, expected, rtol=tolerance, atol=tolerance)
    if not (is_right and np.isclose(found, loss, rtol=tolerance)):
        raise ImportError("the compiled step gives wrong numbers")
