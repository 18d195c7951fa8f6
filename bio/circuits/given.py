"""What a user gives to a circuit or a protocol, in SI units."""

from typing import Any

import numpy as np

from mirrorneuron.errors import DomainError
from mirrorneuron.units import Dimensions, si

METRE, SECOND, HERTZ = Dimensions(m=1.0), Dimensions(s=1.0), Dimensions(s=-1.0)


def time_of(what: str, given: Any, least: float | None = None) -> float:
    """A time [s], above 0, or from `least` on.

    Raises:
        DomainError: It is shorter, or no number.
        UnitError: It has another unit.
    """
    seconds = float(si(given, SECOND, what))
    if not np.isfinite(seconds) or seconds < 0 or (least is None and seconds == 0):
        raise DomainError(f"{what} is {given}. Write a time, like 1*second.")
    if least is not None and seconds < least:
        raise DomainError(
            f"{what} is {given}, and at least {least:g} s are needed for what follows a stimulus to"
            f" end. Write {least:g}*second or more."
        )
    return seconds


def rate_of(what: str, given: Any) -> float:
    """A rate [Hz].

    Raises:
        UnitError: It has another unit.
    """
    return float(si(given, HERTZ, what))
