"""Expressions evaluated here, once: what no step changes becomes a parameter of the model."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mirrorneuron.errors import DomainError

from ..lower.functions import FUNCTIONS
from ..program import Table

BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.Pow: np.power,
    ast.Mod: np.mod,
    ast.FloorDiv: np.floor_divide,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
}


def evaluate(node: ast.expr, values: Mapping[str, Any], tables: Mapping[str, Table]) -> Any:
    """Value of an expression.

    Arguments:
        node: Its tree, of `expression.parse`.
        values: Name to number or array, or to a function without arguments.
        tables: Name to TimedArray.

    Raises:
        DomainError: A function is none of those that can be evaluated here.
    """

    def value(child: ast.expr) -> Any:
        return evaluate(child, values, tables)

    match node:
        case ast.Constant(value=number):
            return number
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](_number(value(left), op), value(right))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.logical_not(value(operand))
        case ast.UnaryOp(op=op, operand=operand):
            return -value(operand) if isinstance(op, ast.USub) else value(operand)
        case ast.BoolOp(op=op, values=parts):
            result = value(parts[0])
            for part in parts[1:]:
                result = BINARY[type(op)](result, value(part))
            return result
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return BINARY[type(op)](value(left), value(right))
        case ast.Call(func=ast.Name(id=name), args=args) if name in tables:
            table, time = tables[name], float(value(args[0]))
            row = table.values[table.row(time)]
            return row[np.asarray(value(args[1]), dtype=int)] if len(args) > 1 else row
        case ast.Call(func=ast.Name(id=name), args=args):
            function = FUNCTIONS[name].numpy if name in FUNCTIONS else values.get(name)
            if function is None:
                raise DomainError(f"{name}() cannot be evaluated before a run.")
            return function(*map(value, args))
        case _:
            raise DomainError(f"No value is known for {ast.unparse(node)!r}.")


def _number(value: Any, op: ast.operator) -> Any:
    """A base of a power as a float: numpy takes no negative powers of whole numbers."""
    return float(value) if isinstance(op, ast.Pow) and isinstance(value, int) else value
