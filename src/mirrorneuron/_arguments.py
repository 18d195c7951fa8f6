"""Arguments: what a signature says of them holds, or the error names the one that is wrong.

`@checked` goes on public functions and classes. It reads their annotations, so that the signature
is the only place where a type is written; `Annotated` adds what a number has to be: `AboveZero`,
`Seconds`. Lists become arrays where arrays are meant.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, wraps
from inspect import Parameter, signature
from math import inf, isfinite
from os import PathLike
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    Unpack,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import numpy as np
from jaxtyping import AbstractArray, jaxtyped

from . import errors
from .errors import DomainError, ShapeError, UnknownName
from .units import Dimensions, si

T = TypeVar("T")
PURE = Dimensions()
LONGEST = 60  # of a value in a message
PLAIN = {
    float: ("a number", "1.0"),
    int: ("a whole number", "1"),
    bool: ("True or False", "True"),
    str: ("text", "'name'"),
    NoneType: ("None", "None"),
}
KNOWN = {
    "Callable": ("a function", "lambda ...: ..."),
    "Path": ("a path", "Path('folder')"),
    "PathLike": ("a path", "'folder'"),
    "ndarray": ("an array of numbers", "np.array([...])"),
    "Mirror": ("a mirror", "mn.mirror(net)"),
}


@dataclass(frozen=True)
class Within:
    """What a number has to be, beside its type.

    Arguments:
        low, high: Between which it lies.
        open: Whether it cannot be `low` itself.
        finite: Whether it cannot be infinite or NaN.
        unit: Of a Quantity that is taken, and becomes SI floats; plain numbers are SI already.
    """

    low: float = -inf
    high: float = inf
    open: bool = False
    finite: bool = True
    unit: Dimensions = PURE

    def holds(self, value: Any) -> bool:
        """Whether a number, or each of an array, is within."""
        array = np.asarray(value)
        outside = (array <= self.low if self.open else array < self.low) | (array > self.high)
        return not bool(np.any(outside | (self.finite & ~np.isfinite(array))))

    def __str__(self) -> str:
        unit = "" if self.unit == PURE else f" [{self.unit}]"
        finite = "finite" if self.finite else ""
        low = f"above {self.low:g}" if self.open else f"from {self.low:g} on"
        low = "" if self.low == -inf else low
        high = "" if self.high == inf else f" to {self.high:g}"
        return f", {' and '.join(filter(None, (finite, low)))}{high}{unit}"


SECOND = Dimensions(s=1.0)
OWN_MESSAGE = "the function refuses it with a message of its own"
Finite = Annotated[float, Within()]
AboveZero = Annotated[float, Within(0.0, open=True)]
FromZero = Annotated[float, Within(0.0)]
Magnitude = Annotated[float, Within(0.0, finite=False)]
Share = Annotated[float, Within(0.0, 1.0)]
Count = Annotated[int, Within(1)]
Index = Annotated[int, Within(0)]
Seed = Annotated[int, Within(0, 2**32 - 1)]
Seconds = Annotated[float, Within(0.0, open=True, unit=SECOND)]
SecondsFromZero = Annotated[float, Within(0.0, unit=SECOND)]


def checked(made: T) -> T:
    """Check the arguments of a function or class by their annotations, at each call.

    Raises:
        DomainError: At a call, where a value is none of what the annotation allows.
        ShapeError: An array has another number of axes.
        UnitError: A Quantity stands where SI floats are meant, or is in another unit.
    """
    if not isinstance(made, type):
        function = cast(Callable[..., Any], made)
        return cast(T, _guarded(function, function.__name__))
    method = "__new__" if issubclass(made, tuple) else "__init__"
    setattr(made, method, _guarded(getattr(made, method), made.__name__))
    return cast(T, made)


def _guarded(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    rules = _Rules(function, name)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = rules.signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # Python says which argument is missing or unknown
        for argument, value in bound.arguments.items():
            bound.arguments[argument] = rules.admitted(argument, value)
        rules.require_one_size(bound.arguments)
        return function(*bound.args, **bound.kwargs)

    return call


class _Rules:
    """What the signature of a function says of its arguments, read when it is first called."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function, self.name = function, name
        self.signature = signature(function)

    @cached_property
    def hints(self) -> dict[str, Any]:
        try:
            return get_type_hints(self.function, include_extras=True)
        except NameError:  # a name that only type checkers import
            return {}

    def admitted(self, argument: str, value: Any) -> Any:
        """The value as the function takes it."""
        parameter, hint = self.signature.parameters[argument], self.hints.get(argument, Any)
        if parameter.kind is Parameter.VAR_KEYWORD:
            fields = _fields(hint, value)
            return {k: self._one(k, v, fields[k], Parameter.empty) for k, v in value.items()}
        if parameter.kind is Parameter.VAR_POSITIONAL:
            return tuple(self._one(argument, v, hint, Parameter.empty) for v in value)
        return self._one(argument, value, hint, parameter.default)

    def require_one_size(self, given: Mapping[str, Any]) -> None:
        """Refuse arrays of which the same axis has different sizes.

        Raises:
            ShapeError: Two do not fit together.
        """
        arrays = {
            n: k for n in given for k in _alternatives(self.hints.get(n, Any)) if _is_array(k)
        }
        if len(arrays) < 2:
            return
        with jaxtyped("context"):
            if all(isinstance(given[n], k) for n, k in arrays.items() if given[n] is not None):
                return
        listed = ", ".join(f"{n} of shape {np.shape(given[n])}" for n in arrays)
        axes = ", ".join(f"{n} ({k.dim_str.strip()})" for n, k in arrays.items())
        raise ShapeError(
            f"{self.name}(...): {listed} do not fit together, as axes of one name have one size:"
            f" {axes}. Give arrays of matching shapes."
        )

    def _one(self, argument: str, value: Any, hint: Any, default: Any) -> Any:
        if value is default:
            return value
        what = f"{self.name}({argument}=...)"
        converted = _converted(value, hint, what)
        if fits(converted, hint):
            return converted
        raise _fault(self.name, argument, value, hint, default)


def _fields(hint: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What each keyword argument of `**settings` has to be."""
    (kind,) = get_args(hint) if get_origin(hint) is Unpack else (hint,)
    known = get_type_hints(kind, include_extras=True) if is_typeddict(kind) else {}
    return {name: known.get(name, Any if known else kind) for name in given}


def _converted(value: Any, hint: Any, what: str) -> Any:
    """A Quantity as SI floats where its unit is the one that is meant, a list as an array."""
    within = next((n for n in _notes(hint) if n.unit != PURE), None)
    if within is not None and hasattr(value, "dim"):
        plain = si(value, within.unit, what)
        return float(plain) if plain.ndim == 0 else plain
    kinds = list(_alternatives(hint))
    if float in kinds and int not in kinds and _is_number(value, whole=True):
        return float(value)
    array = next((kind for kind in kinds if _is_array(kind)), None)
    if array is None or isinstance(value, np.ndarray) or not isinstance(value, Sequence):
        return value
    return _as_array(cast(Sequence[Any], value), array)


def _as_array(value: Sequence[Any], array: Any) -> Any:
    """A list of numbers as an array that an annotation of jaxtyping takes, or as it is."""
    try:
        made = np.asarray(value)
    except ValueError:  # rows of different length
        return value
    if made.dtype.kind not in "fiub":
        return value
    return made if _is_such(made, array) else made.astype(float)


def _is_array(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, AbstractArray)


def _is_such(value: Any, array: Any) -> bool:
    """Whether a value has the type and number of axes; axes of the caller's are other ones."""
    with jaxtyped("context"):
        return isinstance(value, array) and not hasattr(value, "dim")


def _alternatives(hint: Any) -> Iterator[Any]:
    """The kinds of which a value may be one."""
    if get_origin(hint) is Annotated:
        yield from _alternatives(get_args(hint)[0])
    elif get_origin(hint) in (Union, UnionType):
        for kind in get_args(hint):
            yield from _alternatives(kind)
    else:
        yield hint


def _notes(hint: Any) -> Iterator[Within]:
    """What numbers have to be."""
    if get_origin(hint) is Annotated:
        yield from (note for note in get_args(hint)[1:] if isinstance(note, Within))
    if get_origin(hint) in (Annotated, Union, UnionType):
        for kind in get_args(hint):
            yield from _notes(kind)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is what an annotation says; True where it says nothing."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, kind) for kind in inner)
    if origin is Annotated and OWN_MESSAGE in inner:
        return True
    if origin is Annotated:
        notes = [note for note in inner[1:] if isinstance(note, Within)]
        return fits(value, inner[0]) and all(note.holds(value) for note in notes)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if origin is not None:
        return _fits_generic(value, origin, inner)
    return _fits_class(value, hint)


def _fits_class(value: Any, hint: Any) -> bool:
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if hint in (float, int):
        return _is_number(value, whole=hint is int)
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if hint is None:
        return value is None
    if _is_array(hint):
        return _is_such(value, hint)
    return not isinstance(hint, type) or _is_unchecked(hint) or isinstance(value, hint)


def _is_number(value: Any, whole: bool) -> bool:
    if isinstance(value, np.ndarray) and value.ndim == 0 and not hasattr(value, "dim"):
        value = value[()]
    kinds = (int, np.integer) if whole else (int, float, np.number)
    return isinstance(value, kinds) and not isinstance(value, bool | complex | np.complexfloating)


def _is_unchecked(hint: type) -> bool:
    """Whether a type is a protocol that nothing can be compared with."""
    protocol = getattr(hint, "_is_protocol", False)
    return bool(protocol and not getattr(hint, "_is_runtime_protocol", False))


def _fits_generic(value: Any, origin: Any, inner: tuple[Any, ...]) -> bool:
    if origin is Callable or getattr(origin, "__name__", "") == "Callable":
        return callable(value)
    if not isinstance(origin, type):
        return True
    if origin is PathLike:
        return isinstance(value, PathLike)
    if issubclass(origin, np.ndarray):
        return isinstance(value, np.ndarray) and not hasattr(value, "dim")
    if not isinstance(value, origin) or (isinstance(value, str | bytes) and origin is not str):
        return False
    if isinstance(value, Mapping) and issubclass(origin, Mapping):
        pairs = cast(Mapping[Any, Any], value).items()
        return all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in pairs)
    if origin is tuple and inner[-1:] != (...,):
        several = cast(tuple[Any, ...], value)
        return len(several) == len(inner) and all(map(fits, several, inner))
    if hasattr(value, "dim") and np.ndim(cast(Any, value)) == 0:
        return False
    if isinstance(value, Collection) and inner and issubclass(origin, Iterable):
        return all(fits(one, inner[0]) for one in cast(Collection[Any], value))
    return True


def _fault(name: str, argument: str, value: Any, hint: Any, default: Any) -> Exception:
    """The error for an argument that is none of what the annotation allows."""
    kinds = list(_alternatives(hint))
    choices = [c for kind in kinds if get_origin(kind) is Literal for c in get_args(kind)]
    if isinstance(value, str) and choices and str not in kinds:
        return UnknownName.among(f"{name}({argument}={value!r})", value, map(str, choices))
    if isinstance(value, str) and any(map(_is_list_of_names, kinds)):
        return DomainError(
            f"{name}(...): {argument}={value!r} is one string, but what is meant is a list of"
            f" names. Write {argument}=[{value!r}]."
        )
    shown = repr(value)
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."
    unit = Dimensions.of(value)
    found = f"a quantity in [{unit}]" if unit != PURE else _found(value, hint)
    instead = repr(default) if default not in (Parameter.empty, None) else _example(hint)
    text = (
        f"{name}({argument}={shown}): {argument} is {found}, but has to be {described(hint)}."
        f" Write, say, {argument}={instead}."
    )
    if unit != PURE:
        return errors.UnitError(text)
    arrays = isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    ranks = arrays and any(map(_is_array, kinds))
    return ShapeError(text) if ranks else DomainError(text)


def _is_list_of_names(kind: Any) -> bool:
    """Whether a list is meant that text may stand in."""
    origin = get_origin(kind)
    listed = isinstance(origin, type) and issubclass(origin, Sequence | Set)
    return listed and any(str in _alternatives(one) for one in get_args(kind))


def _found(value: Any, hint: Any) -> str:
    """What a value is, in words."""
    if any(fits(value, kind) for kind in _alternatives(hint)) and np.ndim(value) == 0:
        return repr(value)  # of the right type, and too large or too small
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, float) and not isfinite(value):
        return "no finite number"
    kind = type(value)
    return "None" if value is None else PLAIN.get(kind, (f"of the type {kind.__name__}", ""))[0]


def described(hint: Any) -> str:
    """What an annotation allows, in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(described(kind) for kind in inner if kind is not Any))
    if origin is Annotated:
        return described(inner[0]) + "".join(str(n) for n in inner[1:] if isinstance(n, Within))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if hint is Any:
        return "values"
    if hint is None or hint in PLAIN:
        return PLAIN[NoneType if hint is None else hint][0]
    if _is_array(hint):
        axes = hint.dim_str.strip()
        return f"an array of numbers with the axes ({', '.join(axes.split())})"
    return _described_generic(hint, origin, inner)


def _described_generic(hint: Any, origin: Any, inner: tuple[Any, ...]) -> str:
    named = getattr(origin or hint, "__name__", str(hint))
    if named in KNOWN:
        return KNOWN[named][0]
    if origin is not None and issubclass(origin, Mapping):
        return f"a mapping from {described(inner[0])} to {described(inner[1])}"
    if origin is tuple and inner[-1:] != (...,):
        return f"{len(inner)} values ({', '.join(described(kind) for kind in inner)})"
    if origin is not None and issubclass(origin, Iterable) and inner:
        return f"a list of {_several(inner[0])}"
    return f"of the type {named}"


def _several(kind: Any) -> str:
    """The elements of a list, in words."""
    plural = {float: "numbers", int: "whole numbers", str: "names", Any: "values"}
    return plural.get(kind) or f"which each is {described(kind)}"


def _example(hint: Any) -> str:
    """Something that an annotation allows."""
    kind = next((kind for kind in _alternatives(hint) if kind not in (Any, NoneType)), None)
    origin, inner = get_origin(kind), get_args(kind)
    if kind in PLAIN:
        return PLAIN[kind][1]
    if origin is Literal:
        return repr(inner[0])
    if _is_array(kind):
        return "np.array([...])"
    named = getattr(origin or kind, "__name__", "...")
    if origin is not None and issubclass(cast(type, origin), Mapping):
        return "{'name': ...}"
    if named in ("Sequence", "list", "tuple", "Iterable"):
        return f"[{_example(inner[0])}]" if inner else "[]"
    return KNOWN[named][1] if named in KNOWN else f"{named}(...)"
