"""Units: from quantities to SI floats and back, at the border and nowhere else.

Dimensions are seven exponents, so that a Program can name its units without brian2.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from . import errors
from .errors import DomainError

SYMBOLS = ("m", "kg", "s", "A", "K", "mol", "cd")


@dataclass(frozen=True)
class Dimensions:
    """Exponents of the SI base units, in the order metre, kilogram, second, ampere, kelvin,
    mole, candela. Without arguments: a pure number.

    Example:
        >>> str(Dimensions(s=1.0)), str(Dimensions(m=1.0, s=-1.0))
        ('s', 'm s^-1')
    """

    m: float = 0.0
    kg: float = 0.0
    s: float = 0.0
    A: float = 0.0
    K: float = 0.0
    mol: float = 0.0
    cd: float = 0.0

    @classmethod
    def of(cls, thing: Any) -> "Dimensions":
        """Dimensions of a Brian2 quantity, variable or function; a plain number has none."""
        dimension = getattr(thing, "dim", None)
        exponents = getattr(dimension, "_dims", ())
        return cls(*(float(x) for x in exponents))

    @property
    def exponents(self) -> tuple[float, ...]:
        """The seven exponents."""
        return (self.m, self.kg, self.s, self.A, self.K, self.mol, self.cd)

    def __str__(self) -> str:
        return NAMES.get(self.exponents) or " ".join(
            symbol if power == 1 else f"{symbol}^{power:g}"
            for symbol, power in zip(SYMBOLS, self.exponents, strict=True)
            if power
        )


NAMES: dict[tuple[float, ...], str] = {
    Dimensions().exponents: "1",
    Dimensions(m=2.0, kg=1.0, s=-3.0, A=-1.0).exponents: "V",
    Dimensions(m=-2.0, kg=-1.0, s=3.0, A=2.0).exponents: "S",
    Dimensions(m=2.0, kg=1.0, s=-3.0, A=-2.0).exponents: "ohm",
    Dimensions(m=-2.0, kg=-1.0, s=4.0, A=2.0).exponents: "F",
    Dimensions(s=1.0, A=1.0).exponents: "C",
    Dimensions(s=-1.0).exponents: "Hz",
    Dimensions(m=1.0, kg=1.0, s=-2.0).exponents: "N",
}


def si(value: Any, unit: Dimensions, what: str) -> Any:
    """A quantity as plain SI floats.

    Arguments:
        value: A Brian2 quantity (a plain number or array where `unit` is dimensionless).
        unit: What it must be measured in.
        what: How the message names it.

    Returns:
        A numpy array, of the shape of `value`.

    Where Brian2 is not installed, as for a model that was loaded from a file, there are no
    quantities, and plain numbers are SI.

    Raises:
        UnitError: It, or an element of a list, is measured in something else.
        DomainError: It is no number.
    """
    write = "a plain number" if unit == Dimensions() else f"a quantity in [{unit}]"
    if isinstance(value, bool) or np.asarray(value).dtype.kind not in "fiub":
        raise DomainError(f"{what} is {value!r}, which is no number. Write {write}.")
    for found in _measured(value):
        if found != unit and not (found == Dimensions() and _without_brian2()):
            has = "a plain number" if found == Dimensions() else f"in [{found}]"
            raise errors.UnitError(  # brings brian2, which takes seconds
                f"{what} is {value!r}, {has}, but has to be in [{unit}]. Write {write}."
            )
    return np.array(value, dtype=float)


def _measured(value: Any) -> Iterator[Dimensions]:
    """What a value is measured in, or each element of a list: numpy would drop their units."""
    if not isinstance(value, list | tuple) or not value:
        yield Dimensions.of(value)
        return
    for element in cast(Sequence[Any], value):
        yield from _measured(element)


def _without_brian2() -> bool:
    """Whether Brian2, and with it quantities, cannot be had."""
    try:
        import brian2  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        return True
    return False


def quantity(value: Any, unit: Dimensions) -> Any:
    """SI floats as a Brian2 quantity; as they are where Brian2 is not installed."""
    if _without_brian2():
        return value
    from brian2.units.fundamentalunits import Quantity, get_or_create_dimension

    return Quantity(value, dim=get_or_create_dimension(list(unit.exponents)))


SECONDS = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
TIME_TEXT = re.compile(r"\s*(\d+\.?\d*(?:e[+-]?\d+)?)\s*\*?\s*([mun]?)s(?:econds?)?\s*", re.I)


def parse_time(text: str) -> Any:
    """A time as people write it, `100ms`, `0.5 s` or `2*second`, as a Brian2 quantity.

    Raises:
        DomainError: It is not a positive number with a unit of time.
    """
    found = TIME_TEXT.fullmatch(text)
    seconds = float(found[1]) * SECONDS[found[2].lower()] if found else 0.0
    if not 0 < seconds < np.inf:
        raise DomainError(f"{text!r} is not a duration. Write a positive one: 100ms, 2*second.")
    return quantity(seconds, Dimensions(s=1.0))
