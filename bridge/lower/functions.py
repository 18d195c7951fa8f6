"""Functions that statements call: one table for every engine and every derivative.

For each function its values by numpy, as Brian2's numpy target computes them, its text in C, and
its derivatives as expressions in Brian2's own syntax, in which `x`, `a`, `b` are the arguments and
`y` is the value. Engines render the texts; none has a table of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, inf, sqrt
from typing import Any

import numpy as np

Span = tuple[float, float]
ANYTHING: Span = (-inf, inf)
STEEP, NEAR = 80.0, 1e-30  # exp(80) and 1/1e-30 are numbers in single precision
ARGUMENTS = ("x", "a", "b")
RANDOM = frozenset({"rand", "randn", "poisson"})


@dataclass(frozen=True)
class Function:
    """A function that every engine knows.

    Arguments:
        numpy: Its values.
        c: Its text in C, with {0}, {1}, ... for the arguments.
        derivatives: The derivative by each argument, as an expression; "0" where a little more
            of the argument changes nothing.
        domain: Where the arguments may lie, the first one first.
        bounded: Whether its derivative is finite everywhere.
        safe: Span of the argument in which the derivative is a number in single precision.
        image: From the span of the argument to that of the value.
    """

    numpy: Callable[..., Any]
    c: str
    derivatives: tuple[str, ...]
    domain: Span = ANYTHING
    bounded: bool = False
    safe: Span | None = None
    image: Callable[[float, float], Span] | None = None


def _exprel(x: Any) -> Any:
    x = np.asarray(x, dtype=float)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        y = np.expm1(x) / x
    return np.where(np.abs(x) < 1e-16, 1.0, np.where(x > 717, np.inf, y))


def _whole(x: Any) -> Any:
    return np.trunc(np.asarray(x, dtype=float))


def _steps(t: Any, dt: Any) -> Any:
    return np.trunc((t + 1e-3 * dt) / dt)


def span_of_size(low: float, high: float) -> Span:
    least = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return least, max(abs(low), abs(high))


def _grown(low: float, high: float) -> Span:
    return tuple(exp(x) if x < 700 else inf for x in (low, high))  # type: ignore[return-value]


def _rooted(low: float, high: float) -> Span:
    return sqrt(max(low, 0.0)), sqrt(max(high, 0.0))


def _within_one(low: float, high: float) -> Span:
    return -1.0, 1.0


INSIDE = "where((x >= a) and (x <= b), 1, 0)"
FUNCTIONS: Mapping[str, Function] = {
    "exp": Function(np.exp, "exp({0})", ("y",), safe=(-inf, STEEP), image=_grown),
    "expm1": Function(np.expm1, "expm1({0})", ("y + 1",), safe=(-inf, STEEP)),
    "exprel": Function(
        _exprel,
        "(fabs({0}) < 1e-16 ? 1.0 : expm1({0}) / ({0}))",
        ("where(abs(x) < 1e-4, 0.5 + x/3, (exp(x) - y)/x)",),
        safe=(-inf, STEEP),
    ),
    "log": Function(np.log, "log({0})", ("1/x",), (0, inf), safe=(NEAR, inf)),
    "log10": Function(
        np.log10, "log10({0})", ("1/(x*2.302585092994046)",), (0, inf), safe=(NEAR, inf)
    ),
    "log1p": Function(np.log1p, "log1p({0})", ("1/(1 + x)",), (-1, inf), safe=(-0.5, inf)),
    "sqrt": Function(np.sqrt, "sqrt({0})", ("0.5/y",), (0, inf), safe=(NEAR, inf), image=_rooted),
    "sin": Function(np.sin, "sin({0})", ("cos(x)",), bounded=True, image=_within_one),
    "cos": Function(np.cos, "cos({0})", ("-sin(x)",), bounded=True, image=_within_one),
    "tan": Function(np.tan, "tan({0})", ("1 + y*y",)),
    "sinh": Function(np.sinh, "sinh({0})", ("cosh(x)",), safe=(-STEEP, STEEP)),
    "cosh": Function(np.cosh, "cosh({0})", ("sinh(x)",), safe=(-STEEP, STEEP)),
    "tanh": Function(np.tanh, "tanh({0})", ("1 - y*y",), bounded=True, image=_within_one),
    "arcsin": Function(np.arcsin, "asin({0})", ("1/sqrt(1 - x*x)",), (-1, 1)),
    "arccos": Function(np.arccos, "acos({0})", ("-1/sqrt(1 - x*x)",), (-1, 1)),
    "arctan": Function(np.arctan, "atan({0})", ("1/(1 + x*x)",), bounded=True),
    "abs": Function(np.abs, "fabs({0})", ("sign(x)",), image=span_of_size),
    "sign": Function(np.sign, "(({0} > 0.0 ? 1.0 : 0.0) - ({0} < 0.0 ? 1.0 : 0.0))", ("0",)),
    "floor": Function(np.floor, "floor({0})", ("0",)),
    "ceil": Function(np.ceil, "ceil({0})", ("0",)),
    "int": Function(_whole, "trunc({0})", ("0",)),
    "timestep": Function(_steps, "trunc(({0} + 0.001 * {1}) / {1})", ("0", "0")),
    "clip": Function(
        np.clip,
        "fmin(fmax({0}, {1}), {2})",
        (INSIDE, "where(x < a, 1, 0)", "where(x > b, 1, 0)"),
    ),
    "where": Function(np.where, "({0} ? {1} : {2})", ("0", "where(x, 1, 0)", "where(x, 0, 1)")),
}
UNARY = frozenset(name for name, made in FUNCTIONS.items() if len(made.derivatives) == 1)
TRANSCENDENTAL = UNARY - {"abs", "sign", "floor", "ceil", "int"}
