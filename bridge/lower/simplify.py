"""Rewriting: cheaper forms of an expression with the same value, to the last bit.

`without_signs` lets subtractions take the place of changed signs. `with_bounded` marks the calls
whose slope is finite wherever their argument can lie, so that their gradient needs no guard (see
`Functions`); where it can lie is told by the expression alone, as in `exp(-abs(x))`.
"""

import ast
from collections.abc import Mapping
from math import inf

from .expression import rebuilt
from .functions import ANYTHING, FUNCTIONS, Span, span_of_size

BOUNDED = "_bounded"


def without_signs(node: ast.expr) -> ast.expr:
    """The expression with `y - x` in the place of `-x + y`, `x + y` of `x - -y`."""
    match rebuilt(node, without_signs):
        case ast.BinOp(left=left, op=ast.Add(), right=right) if other := _opposite(right):
            return ast.BinOp(left, ast.Sub(), other)
        case ast.BinOp(left=left, op=ast.Add(), right=right) if other := _opposite(left):
            return ast.BinOp(right, ast.Sub(), other)
        case ast.BinOp(left=left, op=ast.Sub(), right=right) if other := _opposite(right):
            return ast.BinOp(left, ast.Add(), other)
        case ast.BinOp(left=ast.Constant(value=int() | float() as x), op=ast.Mult() as op,
                       right=right) if other := _opposite(right):  # fmt: skip
            return ast.BinOp(ast.Constant(-x), op, other)
        case other:
            return other


def _opposite(node: ast.expr) -> ast.expr | None:
    """The expression of opposite sign, if a sign can be dropped to have it."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return operand
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
            if other := _opposite(left):
                return ast.BinOp(other, op, right)
            if other := _opposite(right):
                return ast.BinOp(left, op, other)
            return None
        case _:
            return None


def with_bounded(node: ast.expr, known: Mapping[str, float]) -> ast.expr:
    """The expression with `_bounded` after the names of functions that cannot be steep.

    Arguments:
        node: The expression.
        known: Values of names that never change.
    """
    made = rebuilt(node, lambda child: with_bounded(child, known))
    match node:
        case ast.Call(func=ast.Name(id=name), args=[arg]) if isinstance(made, ast.Call):
            safe = FUNCTIONS[name].safe if name in FUNCTIONS else None
            if safe is not None and _lies(span(arg, known), safe):
                return ast.Call(ast.Name(name + BOUNDED, ast.Load()), made.args, [])
        case _:
            pass
    return made


def _lies(inner: Span, outer: Span) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def span(node: ast.expr, known: Mapping[str, float]) -> Span:
    """The least and the largest value that an expression can have, whatever its variables are.

    Arguments:
        node: The expression.
        known: Values of names that never change.

    Example:
        >>> span(ast.parse("1 + clip(x, 0, 2)**2", mode="eval").body, {})
        (1.0, 5.0)
    """
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value), float(value)
        case ast.Name(id="inf"):
            return inf, inf
        case ast.Name(id=name) if name in known:
            return float(known[name]), float(known[name])
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            low, high = span(operand, known)
            return -high, -low
        case ast.BinOp(left=left, op=op, right=right):
            return _combined(op, span(left, known), span(right, known))
        case ast.Call(func=ast.Name(id="clip"), args=[x, lower, upper]):
            (low, high), bottom, top = (span(part, known) for part in (x, lower, upper))
            return min(max(low, bottom[0]), top[0]), min(max(high, bottom[1]), top[1])
        case ast.Call(func=ast.Name(id="real" | "wrap"), args=[arg]):
            return span(arg, known)
        case ast.Call(func=ast.Name(id=name), args=[arg]) if name in FUNCTIONS:
            image = FUNCTIONS[name].image
            return ANYTHING if image is None else image(*span(arg, known))
        case _:
            return ANYTHING


def _combined(op: ast.operator, a: Span, b: Span) -> Span:
    match op:
        case ast.Add():
            return _sure(a[0] + b[0], a[1] + b[1])
        case ast.Sub():
            return _sure(a[0] - b[1], a[1] - b[0])
        case ast.Mult():
            return _corners([x * y for x in a for y in b])
        case ast.Div() if b[0] > 0 or b[1] < 0:
            return _corners([x / y for x in a for y in b])
        case ast.Pow() if b[0] == b[1] and b[0] > 0 and b[0] % 2 == 0:
            low, high = span_of_size(*a)
            return _corners([_raised(low, b[0]), _raised(high, b[0])])
        case _:
            return ANYTHING


def _corners(values: list[float]) -> Span:
    """From the least to the largest; anything if one is no number, as 0 times infinity."""
    return _sure(min(values), max(values)) if all(x == x for x in values) else ANYTHING


def _sure(low: float, high: float) -> Span:
    return (low if low == low else -inf), (high if high == high else inf)


def _raised(x: float, power: float) -> float:
    try:
        return x**power
    except OverflowError:
        return inf
