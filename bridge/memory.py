"""Memory: whether a call of a user's function changes anything but its result.

Brian2 calls a function once for each statement that names it. A mirror calls it for each trial, and
again where a run is repeated, so that a function which remembers its calls has no one value.
"""

import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, cast

import numpy as np

from mirrorneuron.errors import Unsupported, UnsupportedFeature

PLAIN = (bool, int, float, complex, str, bytes, type(None), type, ModuleType, BuiltinFunctionType)
ENDS = ("brian2", "numpy", "scipy", "torch", "mirrorneuron")
DEPTH = 3


@dataclass
class Watch:
    """Looks at some calls of a function, the first ones and ever fewer of those after them.

    Arguments:
        name: Of the function.
        function: What is called.
        calls: How many there were.
    """

    name: str
    function: Callable[..., Any]
    calls: int = field(default=0, init=False)

    def __call__(self, *args: Any) -> Any:
        """Value of the function.

        Raises:
            UnsupportedFeature: The call changed what the function remembers, or an argument.
        """
        self.calls += 1
        if self.calls & (self.calls - 1):  # no power of two
            return self.function(*args)
        before, given = state_of(self.function), [np.array(arg) for arg in args]
        value = self.function(*args)
        after = state_of(self.function)
        changed = [name for name in after if before.get(name) != after[name]]
        if changed and not self._gives_again(value, given):
            self._refuse(
                f"a memory: a call changed {', '.join(changed)}",
                "Its value depends on how often it was called before, and a mirror calls it as"
                " often as it has trials.",
                "Keep what it remembers in a variable of the group, and give it as an argument.",
            )
        for number, (old, new) in enumerate(zip(given, args, strict=True), 1):
            if not np.array_equal(old, new, equal_nan=old.dtype.kind == "f"):
                self._refuse(
                    f"a change of its argument number {number}",
                    "Brian2's numpy target hands it the variable itself, its other targets and a"
                    " mirror do not.",
                    "Return the new values, and assign them to the variable.",
                )
        return value

    def _gives_again(self, value: Any, given: list[Any]) -> bool:
        """Whether the same arguments give the same value, as where a function keeps a table or
        writes down that it was called."""
        stream = np.random.get_state()
        try:
            again = self.function(*(x.copy() if x.ndim else x.item() for x in given))
        finally:
            np.random.set_state(stream)
        return bool(np.array_equal(value, again))

    def _refuse(self, feature: str, reason: str, remedy: str) -> None:
        item = Unsupported(f"{self.name}()", "function", feature, reason, remedy)
        raise UnsupportedFeature("run(...)", (item,), 1)


def state_of(function: Any) -> Mapping[str, bytes]:
    """What a function can read and change beside its arguments, by name, as comparable text."""
    return {name: _frozen(value) for name, value in _reached(function, "", DEPTH, set())}


def _reached(function: Any, prefix: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Values that a function finds by names, those of functions that it calls among them."""
    if id(function) in seen or not depth:
        return
    seen.add(id(function))
    if isinstance(function, MethodType):
        if not _is_library(function.__self__):
            yield f"{prefix}self", function.__self__
        function = function.__func__
    if not isinstance(function, FunctionType):
        if not _is_library(type(function)) and not isinstance(function, PLAIN):
            yield f"{prefix}{type(function).__name__}", vars(function)
        return
    found = _closed_over(function)
    if _is_library(function):  # a wrapper around what a user wrote
        for value in found.values():
            if isinstance(value, FunctionType | MethodType):
                yield from _reached(value, prefix, depth, seen)
        return
    names = dict.fromkeys(_names(function.__code__))
    found |= {n: function.__globals__[n] for n in names if n in function.__globals__}
    for name, value in found.items():
        if callable(value) and not isinstance(value, PLAIN):
            yield from _reached(value, f"{prefix}{name}.", depth - 1, seen)
        elif isinstance(value, int | float) or not isinstance(value, PLAIN):
            yield f"{prefix}{name}", value
    yield from ((f"{prefix}default", value) for value in function.__defaults__ or ())
    if function.__dict__:
        yield f"{prefix}{function.__name__}", _own(function)


def _own(function: Any) -> dict[str, Any]:
    """Attributes that users gave a function; not those by which Brian2 knows it."""
    own = cast(dict[str, Any], function.__dict__)
    return {k: v for k, v in own.items() if not k.startswith("_") and not callable(v)}


def _names(code: CodeType) -> Iterator[str]:
    """Names that code looks up, that of inner functions included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _closed_over(function: FunctionType) -> dict[str, Any]:
    """Values of the names that a function takes from the one around it."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    found: dict[str, Any] = {}
    for name, cell in cells:
        with suppress(ValueError):  # not set yet
            found[name] = cell.cell_contents
    return found


def _is_library(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] in ENDS


def _frozen(value: Any) -> bytes:
    """A value as bytes that differ where it does; what cannot be written counts by its name."""
    if isinstance(value, np.ndarray):
        return str((value.dtype, value.shape)).encode() + value.tobytes()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state).encode()
    try:
        written = io.BytesIO()
        pickle.Pickler(written, protocol=5).dump(value)
        return written.getvalue()
    except Exception:
        return repr(value).encode()
