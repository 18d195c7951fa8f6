"""Errors that are Brian2's as well: the part of `mirrorneuron.errors` that imports brian2."""

from typing import Any

from .errors import MirrorNeuronError

try:
    from brian2.units.fundamentalunits import DimensionMismatchError
except ImportError:  # a loaded mirror runs without brian2
    DimensionMismatchError = TypeError


class UnitError(MirrorNeuronError, DimensionMismatchError):  # pyright: ignore
    """A quantity with another unit than is needed."""

    __module__ = "mirrorneuron.errors"

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


class NetworkError(MirrorNeuronError, RuntimeError):
    """A network that Brian2 itself cannot run; also of the type that Brian2 has for the fault."""

    __module__ = "mirrorneuron.errors"

    @staticmethod
    def like(fault: BaseException, message: str) -> "NetworkError":
        """The error that is also of the type of a fault."""
        return _made(type(fault), message)


_KINDS: dict[type, type[NetworkError]] = {}


def _made(fault: type, message: str) -> NetworkError:
    base: Any = UnitError if issubclass(fault, DimensionMismatchError) else fault
    if base not in _KINDS:
        scope: dict[str, Any] = {
            "__reduce__": lambda self: (_made, (base, str(self))),
            "__doc__": base.__doc__,
            "__module__": "mirrorneuron.errors",
        }
        _KINDS[base] = type("NetworkError", (NetworkError, base), scope)
    return _KINDS[base](message)
