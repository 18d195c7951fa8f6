"""Texts of equations as numbers: what Brian2 runs, evaluated with numpy.

Limits at the border, values at the start and laws in tests come from the very text that Brian2
runs. The text is read, not run: arithmetic, names and Brian2's own functions, nothing else.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mirrorneuron.errors import DomainError

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": np.abs,
    "clip": np.clip,
    "cos": np.cos,
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
}
CONSTANTS: Mapping[str, float] = {"second": 1.0, "inf": np.inf}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def evaluate(text: str, names: Mapping[str, Any]) -> Any:
    """Value of an expression, in SI floats.

    Arguments:
        text: Right-hand side of a Brian2 statement.
        names: Value of each name in it, numbers or arrays.

    Raises:
        DomainError: The text holds something other than arithmetic, names and known functions.

    Example:
        >>> float(evaluate("1 + 2*clip(x, 0, inf)", {"x": 3.0}))
        7.0
    """
    known = {**CONSTANTS, **names}

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
            case ast.Call(func=ast.Name(id=name), args=args) if name in FUNCTIONS:
                return FUNCTIONS[name](*map(value, args))
            case _:
                raise DomainError(
                    f"The text {text!r} holds {ast.unparse(node)!r}, which has no value here."
                    f" Known are {', '.join(sorted(known))} and the functions"
                    f" {', '.join(FUNCTIONS)}."
                )

    return value(ast.parse(text.strip(), mode="eval").body)


def execute(code: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Values of all names after the statements `name = expression` of a code."""
    values = dict(names)
    for line in filter(None, map(str.strip, code.splitlines())):
        target, _, text = line.partition(" = ")
        values[target] = evaluate(text, values)
    return values


def substitute(text: str, values: Mapping[str, Any]) -> str:
    """The text with names replaced: numbers as they are, texts in brackets.

    Example:
        >>> substitute("b1*exp(-b2*l)", {"b1": 0.5, "b2": -2.0, "l": "fiber_length"})
        '0.5*exp(-(-2.0)*fiber_length)'
    """

    def shown(match: re.Match[str]) -> str:
        value = values.get(match[0], match[0])
        plain = value if isinstance(value, str) else repr(float(value))
        return plain if re.fullmatch(r"[\w.]+", plain) else f"({plain})"

    return re.sub(r"(?<![\w.])[A-Za-z_]\w*", shown, text)


def softplus(x: str) -> str:
    """ln(1 + exp(x)) as text that never overflows, nor its gradient."""
    return f"(clip({x}, 0, inf) + log1p(exp(-abs({x}))))"


def floored(x: str, corner: float = 1e-6) -> str:
    """max(x, 0) as smooth text: (x + sqrt(x^2 + corner))/2, above zero everywhere."""
    return f"0.5*({x} + sqrt(({x})**2 + {corner!r}))"
