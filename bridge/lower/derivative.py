"""Derivative: that of an expression with respect to a name, as an expression.

Functions are differentiated by the table, `functions.FUNCTIONS`. What jumps (comparisons, and, or,
not, rounding) has the derivative zero: gradients pass through a threshold by its surrogate alone.
"""

import ast
from collections.abc import Mapping
from functools import cache

from mirrorneuron.errors import GradientError

from .expression import names, parse, substitute
from .functions import ARGUMENTS, FUNCTIONS

ZERO, ONE = ast.Constant(0), ast.Constant(1)


def derivative(node: ast.expr, name: str) -> ast.expr:
    """Derivative of a tree with respect to one of its names.

    Arguments:
        node: The tree.
        name: What it is differentiated by; other names are held fixed.

    Returns:
        A tree, `ZERO` itself where the value does not depend on the name, or jumps.

    Raises:
        GradientError: It calls a function whose derivative is not known.

    Example:
        >>> ast.unparse(derivative(parse("a*exp(-x/tau)"), "x"))
        'a * (exp(-x / tau) * (-1 / tau))'
    """
    if name not in names(node):
        return ZERO
    match node:
        case ast.Name():
            return ONE
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return negative(derivative(operand, name))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return derivative(operand, name)
        case ast.BinOp(left=left, op=op, right=right):
            return _of_binary(node, left, op, right, name)
        case ast.Call(func=ast.Name(id=function), args=args):
            return _of_call(node, function, args, name)
        case _:
            return ZERO


def _of_binary(
    node: ast.expr, left: ast.expr, op: ast.operator, right: ast.expr, name: str
) -> ast.expr:
    by_left, by_right = derivative(left, name), derivative(right, name)
    match op:
        case ast.Add():
            return plus(by_left, by_right)
        case ast.Sub():
            return plus(by_left, negative(by_right))
        case ast.Mult():
            return plus(times(by_left, right), times(left, by_right))
        case ast.Div():
            quotient = ast.BinOp(node, ast.Div(), right)
            return plus(over(by_left, right), negative(times(quotient, by_right)))
        case ast.Pow():
            lower = ast.BinOp(left, ast.Pow(), ast.BinOp(right, ast.Sub(), ONE))
            growth = ast.BinOp(node, ast.Mult(), _call("log", left))
            return plus(times(by_left, times(right, lower)), times(by_right, growth))
        case ast.Mod():  # x - y*floor(x/y)
            steps = _call("floor", ast.BinOp(left, ast.Div(), right))
            return plus(by_left, negative(times(steps, by_right)))
        case _:
            return ZERO


def _of_call(node: ast.expr, function: str, args: list[ast.expr], name: str) -> ast.expr:
    """The chain rule, by the table."""
    inner = [derivative(arg, name) for arg in args]
    if all(part is ZERO for part in inner):
        return ZERO
    if function not in FUNCTIONS:
        raise GradientError(
            f"The derivative of {ast.unparse(node)!r} by {name!r} is asked for, and that of"
            f" {function}() is not known. Write its formula into the equations, or register it for"
            " torch: mn.register(...)."
        )
    known = {**dict(zip(ARGUMENTS, args, strict=False)), "y": node}
    total: ast.expr = ZERO
    for outer, by_argument in zip(_slopes(function), inner, strict=True):
        total = plus(total, times(substitute(outer, known), by_argument))
    return total


@cache
def _slopes(function: str) -> tuple[ast.expr, ...]:
    """Derivatives of a function by its arguments, as in the table."""
    made = (parse(text) for text in FUNCTIONS[function].derivatives)
    return tuple(ZERO if _is_zero(tree) else tree for tree in made)


def gradient(node: ast.expr, wanted: Mapping[str, object] | set[str]) -> dict[str, ast.expr]:
    """Derivatives of a tree by all of the wanted names that it depends on."""
    found = {name: derivative(node, name) for name in dict.fromkeys(names(node)) if name in wanted}
    return {name: tree for name, tree in found.items() if tree is not ZERO}


# ---- arithmetic that keeps trees small


def _is_zero(node: ast.expr) -> bool:
    return node is ZERO or (isinstance(node, ast.Constant) and node.value == 0)


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def negative(a: ast.expr) -> ast.expr:
    """-a."""
    return ZERO if a is ZERO else ast.UnaryOp(ast.USub(), a)


def plus(a: ast.expr, b: ast.expr) -> ast.expr:
    """a + b."""
    if a is ZERO or b is ZERO:
        return b if a is ZERO else a
    return ast.BinOp(a, ast.Add(), b)


def times(a: ast.expr, b: ast.expr) -> ast.expr:
    """a * b."""
    if a is ZERO or b is ZERO:
        return ZERO
    if _is_one(a) or _is_one(b):
        return b if _is_one(a) else a
    return ast.BinOp(a, ast.Mult(), b)


def over(a: ast.expr, b: ast.expr) -> ast.expr:
    """a / b."""
    return ZERO if a is ZERO else ast.BinOp(a, ast.Div(), b)


def _call(function: str, *args: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(function, ast.Load()), list(args), [])
