"""Errors that are Brian2's as well: the part of `mirrorneuron.errors` that imports brian2."""

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
