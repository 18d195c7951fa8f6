"""Bounds: what would take forever or all memory, refused before it is tried."""

import ast
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any

from mirrorneuron.errors import DomainError

LONGEST = 100_000  # characters of one text
OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Pow: lambda a, b: a**b,
}


def require_small(texts: Iterable[tuple[str, str]]) -> None:
    """Refuse constants such as 9**9**9**9, which Brian2 would evaluate digit by digit.

    Arguments:
        texts: Name of an object, and what is written in it: an expression or statements.

    Raises:
        DomainError: A constant is beyond every number, or a text is beyond reason.
    """
    for owner, text in texts:
        if len(text) > LONGEST:
            raise DomainError(
                f"mirror(net): {owner!r} has an equation of {len(text):,} characters, which Brian2"
                f" would take hours to read. The longest that is read has {LONGEST:,}. Write it as"
                " several equations."
            )
        try:
            tree = ast.parse(text.strip())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # which Brian2 says better
        for node in ast.walk(tree):
            if isinstance(node, ast.BinOp) and _is_too_large(node):
                raise DomainError(
                    f"mirror(net): {owner!r} contains {ast.unparse(node)}, which is beyond the"
                    " largest number of double precision, 1.8e308, and which Brian2 would"
                    " evaluate digit by digit. Write a smaller number."
                )


def _is_too_large(node: ast.BinOp) -> bool:
    return isinstance(node.op, ast.Pow) and _size(node) == inf


def _size(node: ast.expr) -> float | None:
    """Value of a constant expression, infinity where it is too large; None if it varies."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return _real(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _size(operand)
            return None if value is None else -value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATIONS:
            a, b = _size(left), _size(right)
            if a is None or b is None:
                return None
            try:
                return _real(OPERATIONS[type(op)](a, b))
            except OverflowError:
                return inf
            except ZeroDivisionError:
                return None
        case _:
            return None


def _real(value: complex) -> float:
    try:
        return float(value) if not isinstance(value, complex) else 0.0
    except OverflowError:
        return inf
