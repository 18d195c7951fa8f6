"""Codec: records as plain data and back, by the types of their fields.

Data are what JSON holds. An array becomes the name of a tensor; which one decides on, and gives
back, is the business of the caller. Nothing is ever made of data but the records that the types
name: no type is looked up by a name in the data, but for the kinds of a slot.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from ..program import Deliver, Generate, Reset, Slot, Sum, Threshold, Update
from ._fault import Fault, shown

KINDS: Mapping[str, type[Slot]] = {
    kind.__name__: kind for kind in (Update, Threshold, Reset, Deliver, Sum, Generate)
}
KIND = "slot"  # the field that tells the kind
LONGEST = 65_536  # characters of one text
LARGEST = 2**63  # of a whole number
NUMBERS = {"inf": float("inf"), "-inf": float("-inf")}
Keep = Callable[[str, Any], str]
Find = Callable[[str], Any]


# ---- to data


def to_data(value: Any, kind: Any, keep: Keep, where: str = "") -> Any:
    """A record, or a part of one, as data.

    Arguments:
        value: The record.
        kind: Its type.
        keep: Puts an array away under a name that starts with the given one; returns the name.
        where: Place of the part in the whole, with dots.

    Raises:
        TypeError: A part is of a type that data cannot hold.
    """
    match value:
        case None | bool() | str():
            return value
        case int() | float() | np.generic():
            return _number(value)
        case np.ndarray():
            return keep(where, value)
        case _:
            return _composed(value, kind, keep, where)


def _number(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not isfinite(plain):
        return {number: text for text, number in NUMBERS.items()}[plain]
    return plain


def _composed(value: Any, kind: Any, keep: Keep, where: str) -> Any:
    if isinstance(value, Slot) and kind is Slot:
        return {KIND: type(value).__name__, **_fields(value, type(value), keep, where)}
    if is_dataclass(value) or hasattr(value, "_fields"):
        return _fields(value, type(value), keep, where)
    if isinstance(value, Mapping):
        inner = _inner(kind)
        return {
            key: to_data(v, inner, keep, f"{where}.{key}")
            for key, v in cast(Mapping[str, Any], value).items()
        }
    if isinstance(value, tuple):
        inner = _inner(kind)
        parts = enumerate(cast(tuple[Any, ...], value))
        return [to_data(v, inner, keep, f"{where}.{k}") for k, v in parts]
    raise TypeError(f"{where} is a {type(value).__name__}, which data cannot hold")


def _fields(value: Any, kind: type, keep: Keep, where: str) -> dict[str, Any]:
    """Fields of a record; those that are empty, as they are by default, are left out."""
    found: dict[str, Any] = {}
    for name, (hint, default) in _hints(kind).items():
        part = getattr(value, name)
        if not (_is_nothing(part) and _is_nothing(default) and type(part) is type(default)):
            found[name] = to_data(part, hint, keep, f"{where}.{name}".strip("."))
    return found


def _is_nothing(part: Any) -> bool:
    return part is None or (isinstance(part, tuple | dict | str | bool) and not part)


# ---- from data


def from_data(data: Any, kind: Any, find: Find, where: str = "") -> Any:
    """The record that data stand for.

    Arguments:
        data: What `to_data` gave, or anything else that JSON holds.
        kind: Type of the record.
        find: Gives the array of a name.
        where: Place of the part in the whole, for messages.

    Raises:
        Fault: They stand for none.
    """
    origin = get_origin(kind)
    if origin is np.ndarray:
        return find(_text(data, where))
    if origin is Literal:
        return _one_of(data, get_args(kind), where)
    if origin in (Union, UnionType):
        return _either(data, get_args(kind), find, where)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(data, _inner(kind), find, where)
    if origin is tuple:
        return _tuple(data, get_args(kind), find, where)
    if kind in (str, int, float, bool):
        return _plain(data, kind, where)
    if isinstance(kind, type) and (is_dataclass(kind) or hasattr(kind, "_fields")):
        return _record(data, kind, find, where)
    raise Fault(f"{where} holds something, where nothing can be loaded")


def _record(data: Any, kind: type, find: Find, where: str) -> Any:
    given = dict(_object(data, where))
    if kind is Slot:
        kind = KINDS[_one_of(given.pop(KIND, None), tuple(KINDS), f"{where}.{KIND}")]
    hints = _hints(kind)
    for name in given:
        if name not in hints:
            raise Fault(f"{where} has the field {shown(name)}, which is unknown there")
    lacking = [n for n, (_, default) in hints.items() if default is MISSING and n not in given]
    if lacking:
        raise Fault(f"{where} lacks {', '.join(lacking)}")
    return kind(
        **{name: from_data(v, hints[name][0], find, f"{where}.{name}") for name, v in given.items()}
    )


def _mapping(data: Any, inner: Any, find: Find, where: str) -> dict[str, Any]:
    return {
        key: from_data(v, inner, find, f"{where}.{shown(key)[1:-1]}")
        for key, v in _object(data, where).items()
    }


def _tuple(data: Any, kinds: tuple[Any, ...], find: Find, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise _not(data, "a list", where)
    given = cast(list[Any], data)
    several = len(kinds) == 2 and kinds[1] is Ellipsis
    if not several and len(given) != len(kinds):
        raise Fault(f"{where} has {len(given)} parts, where it takes {len(kinds)}")
    each = kinds[:1] * len(given) if several else kinds
    pairs = enumerate(zip(given, each, strict=True))
    return tuple(from_data(v, inner, find, f"{where}.{k}") for k, (v, inner) in pairs)


def _either(data: Any, kinds: tuple[Any, ...], find: Find, where: str) -> Any:
    if data is None and NoneType in kinds:
        return None
    numbers = {kind for kind in kinds if kind in (bool, int, float)}
    others = [kind for kind in kinds if kind is not NoneType and kind not in numbers]
    if numbers and not others:
        return _one_number(data, numbers, where)
    return from_data(data, others[0], find, where)


def _one_number(data: Any, kinds: set[Any], where: str) -> Any:
    kind = float if isinstance(data, str) else type(data)
    if kind not in kinds and not (kind is int and float in kinds):
        raise _not(data, " or ".join(sorted(k.__name__ for k in kinds)), where)
    return _plain(data, kind, where)


def _plain(data: Any, kind: type, where: str) -> Any:
    if kind is str:
        return _text(data, where)
    if kind is float and isinstance(data, str):
        return NUMBERS[_one_of(data, tuple(NUMBERS), where)]
    accepted = (int, float) if kind is float else (kind,)
    if type(data) not in accepted:
        raise _not(data, kind.__name__, where)
    if isinstance(data, int) and abs(data) >= LARGEST:
        raise Fault(f"{where} is a whole number beyond 64 bits")
    if isinstance(data, float) and not isfinite(data):
        raise Fault(f"{where} is a number beyond the largest one")
    return data


def _text(data: Any, where: str) -> str:
    if not isinstance(data, str):
        raise _not(data, "text", where)
    if len(data) > LONGEST:
        raise Fault(f"{where} is a text of {len(data):,} characters; the longest has {LONGEST:,}")
    return data


def _one_of(data: Any, known: tuple[Any, ...], where: str) -> Any:
    if not isinstance(data, str) or data not in known:
        raise _not(data, f"one of {', '.join(map(repr, known))}", where)
    return data


def _object(data: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise _not(data, "an object", where)
    return cast(Mapping[str, Any], data)


def _not(data: Any, wanted: str, where: str) -> Fault:
    return Fault(f"{where} is {shown(repr(data))}, and has to be {wanted}")


# ---- types


@cache
def _hints(kind: type) -> dict[str, tuple[Any, Any]]:
    """Type and default of each field of a record, MISSING where there is none."""
    hints = get_type_hints(kind)
    if not is_dataclass(kind):
        defaults: Mapping[str, Any] = getattr(kind, "_field_defaults", {})
        return {name: (hints[name], defaults.get(name, MISSING)) for name in _named(kind)}
    return {
        f.name: (
            hints[f.name],
            f.default_factory() if f.default_factory is not MISSING else f.default,
        )
        for f in fields(kind)
    }


def _named(kind: type) -> tuple[str, ...]:
    return cast(Any, kind)._fields


def _inner(kind: Any) -> Any:
    """Type of the elements of a mapping or a tuple."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is tuple:
        return args[0]
    return args[1] if len(args) > 1 else Any
