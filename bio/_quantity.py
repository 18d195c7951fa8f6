"""Quantities as text, and the values that a user gives in their place.

The text of a model is read, not run: `"0.02/ms"` becomes a tree of numbers, names and arithmetic,
and anything else in it is refused.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import brian2
import numpy as np
from brian2.units.fundamentalunits import get_dimensions, get_unit

from mirrorneuron.errors import DomainError, MirrorNeuronError, ShapeError, UnitError, UnknownName

_BASE = ("second", "volt", "amp", "siemens", "ohm", "farad")
_SCALED = (
    "us",
    "ms",
    "mV",
    "pA",
    "nA",
    "uA",
    "mA",
    "nS",
    "uS",
    "mS",
    "Mohm",
    "pF",
    "nF",
    "uF",
    "cm",
    "um",
)
_METER: Any = brian2.meter
_BASE_OF = {
    **{getattr(brian2, name).dim: name for name in _BASE},
    _METER.dim: "meter",
    (_METER**2).dim: "meter**2",
}
UNITS: Mapping[str, Any] = {name: getattr(brian2, name) for name in (*_BASE, *_SCALED)}

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

Bound = Literal["> 0", ">= 0"]
_HOLDS: Mapping[Bound, Callable[[Any], Any]] = {"> 0": lambda x: x > 0, ">= 0": lambda x: x >= 0}


class Fault(NamedTuple):
    """What is wrong with a value: what was found, why it cannot be, what to write instead."""

    error: type[MirrorNeuronError]
    found: str
    why: str = ""
    instead: str = ""

    def __str__(self) -> str:
        return "\n      ".join(part for part in self[1:] if part)


def evaluate(text: str, names: Mapping[str, Any] | None = None) -> Any:
    """Value of a text made of numbers, units, the given names and `+ - * /`.

    Raises:
        DomainError: The text holds anything else.

    Example:
        >>> evaluate("-65*mV")
        -65. * mvolt
        >>> evaluate("b*c", {"b": 0.5, "c": evaluate("-65*mV")})
        -32.5 * mvolt
    """
    known = {**UNITS, **(names or {})}

    def value(node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.Name(id=name) if name in known:
                return known[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return _ARITHMETIC[type(op)](value(left), value(right))
            case _:
                raise DomainError(
                    f"The text {text!r} of a value holds {ast.unparse(node)!r}. It is read, not"
                    f" run, and may hold numbers, + - * / and {', '.join(known)}."
                    " Write it like '20*ms'."
                )

    return value(ast.parse(text, mode="eval").body)


def unit_text(value: Any) -> str:
    """Unit of a quantity, as one writes it in Brian2 equations.

    Example:
        >>> unit_text(evaluate("20*ms")), unit_text(evaluate("8*mV/ms")), unit_text(0.5)
        ('second', 'volt/second', '1')
    """
    dimensions = get_dimensions(value)
    times_second = dimensions * UNITS["second"].dim
    if dimensions.is_dimensionless:
        return "1"
    if dimensions in _BASE_OF:
        return _BASE_OF[dimensions]
    if (per_area := dimensions * _METER.dim**2) in _BASE_OF:
        return f"{_BASE_OF[per_area]}/meter**2"
    if times_second.is_dimensionless or times_second in _BASE_OF:
        return f"{_BASE_OF.get(times_second, '1')}/second"
    return repr(get_unit(dimensions))


def settle(
    asked: str,
    defaults: Mapping[str, str],
    given: Mapping[str, Any],
    size: int | None = None,
    bounds: Mapping[str, Bound] | None = None,
) -> dict[str, Any]:
    """Values of all names: the given ones, checked, and the defaults of the others.

    Arguments:
        asked: What the user called, for the message.
        defaults: Text of each name; it may use the names that stand before it.
        given: What the user gave instead, by name.
        size: Number of elements, of which an array holds one value each; None if still unknown.
        bounds: What the values of a name have to be.

    Raises:
        UnknownName: A given name is not among the defaults.
        UnitError: A value has another unit than its default.
        ShapeError: An array has another length.
        DomainError: A value is no number, NaN or infinite, or outside its bound.
    """
    usual: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, text in defaults.items():
        usual[name] = evaluate(text, usual)
    refuse(asked, [_fault(n, v, usual, size, (bounds or {}).get(n)) for n, v in given.items()])
    for name, text in defaults.items():
        values[name] = given[name] if name in given else evaluate(text, values)
    return values


def refuse(asked: str, faults: list[Fault | None]) -> None:
    """Raise one error that tells all faults, of the kind of the first; nothing if there are none.

    Raises:
        MirrorNeuronError: There is a fault.
    """
    real = [fault for fault in faults if fault]
    if real:
        count = "1 value" if len(real) == 1 else f"{len(real)} values"
        told = "\n\n".join(f"  {fault}" for fault in real)
        raise real[0].error(f"{asked}: {count} cannot be used.\n\n{told}")


def _fault(
    name: str, value: Any, usual: Mapping[str, Any], size: int | None, bound: Bound | None
) -> Fault | None:
    if name not in usual:
        return Fault(UnknownName, str(UnknownName.among(repr(name), name, usual)))
    needed, instead = unit_text(usual[name]), f"Write a quantity, like {name}={usual[name]!r}."
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        why = f"{name} is one number or an array of them, in {needed}."
        return Fault(DomainError, f"{name}={value!r} is not a number.", why, instead)
    if get_dimensions(value) != get_dimensions(usual[name]):
        unit = unit_text(value)
        found = f"{name}={value!r} {'has no unit' if unit == '1' else f'is in {unit}'}."
        return Fault(UnitError, found, f"The equations need {name} in {needed}.", instead)
    if size is not None and array.shape not in ((), (size,)):
        found = f"{name} is an array of shape {array.shape}."
        why = f"There is one value of {name} for each of {size}, or one for all."
        return Fault(ShapeError, found, why, f"Write an array of shape ({size},).")
    if not np.all(np.isfinite(array)):
        why = "A value that is not finite spreads through the network."
        return Fault(DomainError, f"{name}={value!r} is not finite.", why, instead)
    if bound and not np.all(_HOLDS[bound](array)):
        why = f"{name} has to be {bound}: the equations have no meaning below."
        return Fault(DomainError, f"{name}={value!r} is out of range.", why, instead)
    return None
