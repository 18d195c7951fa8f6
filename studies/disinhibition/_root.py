"""The root of a function of one number."""

from collections.abc import Callable
from typing import Any

from scipy.optimize import brentq


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a continuous function, with another sign at either end, is 0."""
    found: Any = brentq(function, low, high, xtol=1e-12)
    return float(found)
