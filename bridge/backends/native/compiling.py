"""Compiling: the C program of a network as a loaded library."""

import ctypes
import platform
from typing import Any, NamedTuple

from ...compile_c import library
from .._plan import Key
from .source import Source

LARGE = 2**18  # characters of a program that would take long to optimise
ON_X86 = platform.machine() in ("x86_64", "AMD64")
MACHINE = ("-march=native", "-mprefer-vector-width=512") if ON_X86 else ("-mcpu=native",)
FLAGS = (*MACHINE, "-fPIC", "-shared", "-std=gnu11", "-fno-math-errno", "-w",
         "-fno-trapping-math", "-fopenmp-simd", "-lm")  # fmt: skip
EXACT = ("-ffp-contract=off",)
REMEDY = "write mirror(net, backend='eager')"


class Code(NamedTuple):
    """A compiled program, and the arrays that are the same in every run."""

    source: Source
    library: ctypes.CDLL
    fixed: dict[Key, Any]


def compiled(made: Source, single: bool) -> Code:
    """A program, compiled and loaded.

    Arguments:
        made: The program.
        single: Whether it computes in single precision, where products may be fused with sums.

    Raises:
        BuildError: The compiler refuses it.
    """
    level = "-O3" if len(made.text) < LARGE else "-O2"
    flags = (level, *FLAGS) if single else (level, *EXACT, *FLAGS)
    loaded = library(made.text, flags, "native", REMEDY)
    _declare(loaded)
    return Code(made, loaded, {})


def _declare(made: ctypes.CDLL) -> None:
    """Say what the functions of a library are given."""
    long, pointer = ctypes.c_long, ctypes.c_void_p
    made.shard_new.argtypes, made.shard_new.restype = [long, long, long], pointer
    made.shard_events.argtypes, made.shard_events.restype = [pointer, long], pointer
    made.shard_start.argtypes, made.shard_start.restype = [pointer, long], pointer
    made.shard_begin.argtypes = [pointer, long, pointer, pointer]
    for name in ("shard_free", "shard_failed", "shard_rewind", "shard_free_undo"):
        getattr(made, name).argtypes = [pointer]
    for name in ("run", "back_through", "finish"):
        if hasattr(made, name):
            getattr(made, name).argtypes = [pointer, pointer, *[long] * 6, ctypes.c_int]
