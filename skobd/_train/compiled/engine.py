"""Numba is imported, and the step compiled, before training: or else it is known why not.

Threads of their own do both. No signal reaches them, so an interrupt (Ctrl-C) of the fit that waits
leaves neither a module imported by half nor a function compiled by half: the thread goes on, and
the next fit finds what it has done.
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
# Seconds after which a fit looks again whether what it waits for is there.
_LOOK_AGAIN = 0.003
# Compiling, saving, and loading what another process may have broken are each tried anew.
_ATTEMPTS = 3
# Seconds after which a step is no longer being loaded, but compiled, and what is said of it.
_PATIENCE = 2.0
COMPILING = "numba compiles the training step, once for this machine: about half a minute."

Tell: TypeAlias = Callable[[str], None] | None


class _Task:
    """A call by a thread that no signal reaches.

    Attributes
    ----------
    outcome : tuple or None
        Once it is over, what the call returned, and what it raised.
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
        """Return when it is over: by looking, as an interrupt may leave a lock locked for ever.

        ``tell`` is given a line if it takes long.
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
    """Result of a call that is made once in a process; its `Exception` is raised every time."""
    task = _tasks.get(name)
    if task is None:
        task = _tasks.setdefault(name, _Task(function))
    task.wait(tell)
    assert task.outcome is not None
    result, error = task.outcome
    if error is not None:
        if not isinstance(error, Exception):
            # What is no fault of numba's is tried again.
            _tasks.pop(name, None)
        raise error
    return result


def chosen_engine() -> str:
    """Return what is to take the steps, by the environment: "auto", "numpy" or "numba"."""
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
    """Return the compiled step for a floating type; None if "auto" is to do without.

    ``tell`` is given a line if it has to be compiled first.
    """
    try:
        # An installation can be broken in any way.
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
    """Say the first thing that the user should know of numba, once in a process."""
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
    """Compile the step, or load it from the disk; returns why it could not be kept there, if so."""
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
    """Check a step that is kept on disk; returns why it could not be saved, if so."""
    trouble: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            check_step(step, dtype)
            return trouble
        except Exception as error:
            trouble = error
            if not step.run_steps.signatures:
                # What is on the disk cannot be read, and is thrown away.
                step.run_steps.recompile()
                trouble = None
    raise trouble or ImportError("numba cannot read what it has kept on disk")


def check_step(step: Step, dtype: str) -> None:
    """Compile, by a step of gradient descent that has been made by other means, too."""
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
