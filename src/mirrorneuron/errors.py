"""Errors: everything that mirrorneuron raises on purpose.

    MirrorNeuronError
    ├── UnsupportedFeature (NotImplementedError)    a part of a network that cannot be mirrored
    ├── NotCovered (NotImplementedError)            a network that a backend cannot run
    ├── OutsideGeNN (NotImplementedError)           a part of a network that GeNN cannot run
    ├── UnknownName (KeyError)                      a name that nothing has
    ├── UnitError (DimensionMismatchError)          a quantity with another unit
    ├── NetworkError (RuntimeError)                 a network that Brian2 cannot run either
    ├── ShapeError (ValueError)                     an array of another shape
    ├── DomainError (ValueError)                    a value outside its domain: NaN, tau = 0
    ├── NumericalError (ArithmeticError)            a value that left it during a run
    ├── GradientError (RuntimeError)                a gradient that cannot be had
    ├── WriteBackError (ValueError)                 values that do not fit a network
    ├── CheckpointError (OSError)                   a checkpoint that cannot be read or written
    ├── BundleError (OSError)                       a saved model that cannot be read or written
    ├── ExportError (NotImplementedError)           a model that another format cannot hold
    ├── DataError (OSError)                         a data set that is missing or damaged
    ├── BuildError (RuntimeError)                   a simulation that cannot be compiled or run
    ├── TooLarge (MemoryError)                      what needs more memory than there is
    ├── ScriptError (RuntimeError)                  somebody's script that fails by itself
    └── MissingDependency (ImportError)             an optional library that is not installed

    GradientWarning (UserWarning)                   a gradient that is not what was asked for
    DomainWarning (UserWarning)                     a value that is hardly meant

A message says what was asked, what was found, why it cannot be, and what to write instead. It is
made from the arguments, which the error keeps: so errors can be sent between processes.
Where Brian2 or Python has a type for the fault, ours derives from it too.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._brian2_errors import NetworkError as NetworkError
    from ._brian2_errors import UnitError as UnitError

ALSO_BRIAN2S = ("UnitError", "NetworkError")


class MirrorNeuronError(Exception):
    """Base of all errors that mirrorneuron raises on purpose."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


@dataclass(frozen=True)
class Unsupported:
    """A part of a network that cannot be mirrored.

    Arguments:
        object: Name of the Brian2 object.
        kind: Its class.
        feature: What was found.
        reason: Why it cannot be.
        remedy: What to write instead.
    """

    object: str
    kind: str
    feature: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        details = indent(f"{self.reason}\n{self.remedy}", "    ")
        return f"{self.kind} {self.object!r}: {self.feature}\n{details}"


class UnsupportedFeature(MirrorNeuronError, NotImplementedError):
    """Parts of a network cannot be mirrored; lists all of them.

    Arguments:
        asked: What was called.
        items: What cannot be mirrored.
        total: Number of objects in the network.
    """

    def __init__(self, asked: str, items: Sequence[Unsupported], total: int) -> None:
        super().__init__(asked, tuple(items), total)
        self.asked, self.items, self.total = asked, tuple(items), total

    def __str__(self) -> str:
        affected = len({item.object for item in self.items})
        head = f"{self.asked}: {affected} of {self.total} objects cannot be mirrored."
        tail = "strict=False mirrors the rest and lists these in model.report."
        listed = "\n\n".join(indent(str(item), "  ") for item in self.items)
        return f"{head}\n\n{listed}" + (f"\n\n{tail}" if self.asked.startswith("mirror") else "")


class NotCovered(MirrorNeuronError, NotImplementedError):
    """A backend cannot run a network; lists everything that it cannot.

    Arguments:
        asked: What was called.
        missing: What it cannot run, a sentence each.
        able: Name of a backend that can.
    """

    def __init__(self, asked: str, missing: Sequence[str], able: str) -> None:
        super().__init__(asked, tuple(missing), able)
        self.asked, self.missing, self.able = asked, tuple(missing), able

    def __str__(self) -> str:
        listed = "\n".join(f"  {what}" for what in self.missing)
        return (
            f"{self.asked}: this backend cannot run the network.\n\n{listed}\n\n"
            f"Write backend={self.able!r}, which runs it, or backend='auto'."
        )


@dataclass(frozen=True)
class Outside:
    """A part of a network that GeNN cannot run as Brian2 does.

    Arguments:
        object: Name of the Brian2 object.
        kind: Its class.
        line: What was found, with the line of code.
        route: Which routes to GeNN it concerns.
        why: Why it cannot be.
        instead: What to write instead.
    """

    object: str
    kind: str
    line: str
    route: str
    why: str
    instead: str

    def __str__(self) -> str:
        details = indent(f"{self.why}\n{self.instead}", "    ")
        return f"{self.kind} {self.object!r} ({self.route}): {self.line}\n{details}"


class OutsideGeNN(MirrorNeuronError, NotImplementedError):
    """Parts of a network lie outside of what GeNN can do; lists all of them.

    Arguments:
        asked: What was called.
        items: What lies outside.
    """

    def __init__(self, asked: str, items: Sequence[Outside]) -> None:
        super().__init__(asked, tuple(items))
        self.asked, self.items = asked, tuple(items)

    def __str__(self) -> str:
        count = len(self.items)
        head = f"{self.asked}: {count} {'thing' if count == 1 else 'things'} in the network"
        listed = "\n\n".join(indent(str(item), "  ") for item in self.items)
        tail = "Write backend='cpp' or backend='runtime' to run it as it is."
        return f"{head} cannot run on GeNN as Brian2 runs them.\n\n{listed}\n\n{tail}"


class UnknownName(MirrorNeuronError, KeyError):
    """A name that nothing has."""

    @classmethod
    def among(cls, asked: str, name: str, known: Iterable[str]) -> "UnknownName":
        """The error for a name that is not among the known ones, with the nearest of them."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3)
        shown = ", ".join(repr(n) for n in names[:20]) or "none"
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        return cls(f"{asked} is not known.{hint} Known are: {shown}{more}.")


class ShapeError(MirrorNeuronError, ValueError):
    """An array of another shape than is needed."""


class DomainError(MirrorNeuronError, ValueError):
    """A value outside its domain: not finite, a time constant of zero, a negative delay."""


class NumericalError(MirrorNeuronError, ArithmeticError):
    """A value became NaN or infinite during a run."""


class GradientError(MirrorNeuronError, RuntimeError):
    """A gradient that does not exist, or is not finite."""


class GradientWarning(UserWarning):
    """A gradient is not what was asked for."""


class DomainWarning(UserWarning):
    """A value that can be, and is hardly meant."""


class WriteBackError(MirrorNeuronError, ValueError):
    """Values that do not fit the network they should be written to."""


class CheckpointError(MirrorNeuronError, OSError):
    """A checkpoint that cannot be written or read, or belongs to something else."""


class BundleError(MirrorNeuronError, OSError):
    """A saved model that cannot be written, or that is damaged or not what it claims to be."""


class ExportError(MirrorNeuronError, NotImplementedError):
    """A model that another format cannot hold, or a file of which nothing can be made."""


class DataError(MirrorNeuronError, OSError):
    """A data set that is not on this machine, cannot be fetched, or is damaged."""


class BuildError(MirrorNeuronError, RuntimeError):
    """A simulation that cannot be compiled or run here: no compiler, no memory, a killed build."""


class TooLarge(MirrorNeuronError, MemoryError):
    """What needs more memory than there is."""


class ScriptError(MirrorNeuronError, RuntimeError):
    """A script of the user's that fails before it runs a network."""


class MissingDependency(MirrorNeuronError, ImportError):
    """An optional library that is not installed.

    Arguments:
        needed_for: What was asked.
        package: The library.
        extra: The extra of mirrorneuron that brings it; empty where it comes with all of it.
    """

    def __init__(self, needed_for: str, package: str, extra: str) -> None:
        super().__init__(needed_for, package, extra)

    def __str__(self) -> str:
        needed_for, package, extra = self.args
        what = f"'mirrorneuron[{extra}]'" if extra else package
        return f"{needed_for} needs {package}, which is not installed. Write: pip install {what}"


def __getattr__(name: str) -> object:
    """Errors that are Brian2's as well, which bring brian2 when they are first asked for."""
    if name not in ALSO_BRIAN2S:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _brian2_errors

    found = {other: getattr(_brian2_errors, other) for other in ALSO_BRIAN2S}
    globals().update(found)
    return found[name]
