"""Matrix product: the one of the BLAS library that is there, for compiled code to call."""

import ctypes
from functools import cache
from pathlib import Path

import torch


@cache
def matrix_product(single: bool) -> int | None:
    """Address of the matrix product of the BLAS library that torch has, or scipy.

    Arguments:
        single: Whether numbers have single precision.
    """
    name = "sgemm" if single else "dgemm"
    folder = Path(torch.__file__).parent / "lib"
    for file in folder.glob("libtorch_cpu.*"):
        try:
            found = getattr(ctypes.CDLL(str(file)), f"{name}_")
        except (OSError, AttributeError):
            continue
        return ctypes.cast(found, ctypes.c_void_p).value
    try:
        from scipy.linalg import cython_blas  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError:
        return None
    capsule = cython_blas.__pyx_capi__[name]
    title, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    title.restype, title.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer(capsule, title(capsule))
