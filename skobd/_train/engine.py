"""Which step trains: the one in NumPy, or the compiled one, where numba works."""

import ctypes
import importlib
import os
from functools import lru_cache
from typing import NamedTuple

import numpy as np

ENGINES = ("auto", "numpy", "numba")
OLDEST_NUMBA = (0, 61)
_BLAS = {"float64": ("dgemm", "d"), "float32": ("sgemm", "s")}


class Compiled(NamedTuple):
    """What the compiled step needs: addresses of functions by the name of the floating type.

    Attributes
    ----------
    gemm : dict of str to int
        BLAS's product of matrices.
    give_way : (int, int)
        Address and argument of the function that sleeps for a moment.
    """

    gemm: dict[str, int]
    give_way: tuple[int, int]


def check_engine(engine: str) -> None:
    """Raise `ImportError` if numba is asked for by name and does not work."""
    if engine == "numba":
        _, error = load_compiled()
        if error is not None:
            raise ImportError(
                f'engine="numba" cannot be used: {error}. Install it with '
                '`pip install "skobd[fast]"`, or use engine="auto" or "numpy".'
            ) from error


def is_compiled(engine: str) -> bool:
    """Whether the compiled step is to be used."""
    check_engine(engine)
    return engine != "numpy" and load_compiled()[0] is not None


@lru_cache(maxsize=1)
def load_compiled() -> tuple[Compiled | None, Exception | None]:
    """What the compiled step needs, or why it cannot be used."""
    try:
        return _load(), None
    # An installation can be broken in any way.
    except Exception as error:
        return None, error


def _load() -> Compiled:
    numba = importlib.import_module("numba")
    version = tuple(int(number) for number in numba.__version__.split(".")[:2])
    if version < OLDEST_NUMBA:
        oldest = ".".join(map(str, OLDEST_NUMBA))
        raise ImportError(f"numba {numba.__version__} is older than {oldest}")
    kernels = importlib.import_module("skobd._train.kernels")
    compiled = Compiled({dtype: _address_of(*names) for dtype, names in _BLAS.items()}, _give_way())
    for dtype, address in compiled.gemm.items():
        a, b = np.arange(6, dtype=dtype).reshape(2, 3), np.arange(6, dtype=dtype).reshape(3, 2)
        out = np.empty((2, 2), dtype=dtype)
        kernels.product(address, a, b, out)
        if not np.array_equal(out, a @ b):
            raise ImportError("the BLAS of SciPy gives numba wrong products")
    return compiled


def _address_of(name: str, kind: str) -> int:
    """Address of a function of BLAS in SciPy, if it has the arguments that the kernels pass."""
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__[name]
    get_name, get_pointer = (
        ctypes.pythonapi.PyCapsule_GetName,
        ctypes.pythonapi.PyCapsule_GetPointer,
    )
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    signature = get_name(capsule)
    number = f"__pyx_t_5scipy_6linalg_11cython_blas_{kind} *"
    integer = "int *"
    expected = ["char *", "char *", integer, integer, integer, number, number, integer]
    expected += [number, integer, number, number, integer]
    if signature.decode() != f"void ({', '.join(expected)})":
        raise ImportError(f"the BLAS of SciPy takes other integers: {signature.decode()}")
    return int(get_pointer(capsule, signature))


def _give_way() -> tuple[int, int]:
    if os.name == "nt":
        # The shortest true sleep is far too long there.
        function, argument = getattr(ctypes, "windll").kernel32.Sleep, 0  # noqa: B009
    else:
        function, argument = ctypes.CDLL(None).usleep, 20
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0), argument
