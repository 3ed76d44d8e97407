"""Addresses of C functions that the kernels call."""

import ctypes
import os

_BLAS = {"float64": ("dgemm", "d"), "float32": ("sgemm", "s")}


def gemm_address(dtype: str) -> int:
    """Return the address of BLAS's product of matrices of this floating type."""
    return address_of(*_BLAS[dtype])


def address_of(name: str, kind: str) -> int:
    """Return the address of a BLAS function in SciPy, if its arguments suit the kernels."""
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


def sleep_address() -> tuple[int, int]:
    """Return the address of a function that sleeps briefly, and its argument."""
    if os.name == "nt":
        # The shortest real sleep is far too long there.
        function, argument = getattr(ctypes, "windll").kernel32.Sleep, 0  # noqa: B009
    else:
        function, argument = ctypes.CDLL(None).usleep, 20
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0), argument
