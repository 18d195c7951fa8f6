"""Text of an expression in GeNN's language, a part of C99.

All numbers are of the type `scalar`; whole numbers are cast when they are read, so that a division
is always a true one.
"""

import ast
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

import numpy as np

from mirrorneuron.errors import DomainError

from ..lower.expression import EQUALITY, ORDER
from ..lower.functions import FUNCTIONS
from ..program import Table

INFIX: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
RANDOM = {"rand": "gennrand_uniform()", "randn": "gennrand_normal()"}
KNOWN = frozenset(FUNCTIONS) | frozenset(RANDOM)


@dataclass(frozen=True)
class C:
    """Writes expressions.

    Arguments:
        name: Text for a name.
        tables: Name to TimedArray, with the name of its array in the code.
        samplers: Name of a fixed distribution to the text that draws from it.
        booleans: Names that are true or false.
    """

    name: Callable[[str], str]
    tables: Mapping[str, tuple[Table, str]]
    samplers: Mapping[str, str]
    booleans: Set[str]

    def __call__(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self.name(name)
            case ast.Constant(value=bool() | int() | float() as value):
                return number(value)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in INFIX:
                return f"({self(left)} {INFIX[type(op)]} {self(right)})"
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self(left), self(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-{self(operand)})"
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self(operand)
            case ast.UnaryOp(operand=operand):
                return f"(!{self(operand)})"
            case ast.BoolOp(op=op, values=values):
                return (
                    "("
                    + (" && " if isinstance(op, ast.And) else " || ").join(map(self, values))
                    + ")"
                )
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return f"({self(left)} {(ORDER | EQUALITY)[type(op)]} {self(right)})"
            case ast.Call(func=ast.Name(id=name), args=args):
                return self._call(name, args)
            case _:
                raise DomainError(f"No meaning is known for {ast.unparse(node)!r}.")

    def _binary(self, op: ast.operator, left: str, right: str) -> str:
        if isinstance(op, ast.Pow):
            return f"pow({left}, {right})"
        if isinstance(op, ast.FloorDiv):
            return f"floor({left} / {right})"
        rest = f"fmod({left}, {right})"
        return f"({rest} < 0.0 ? {rest} + {right} : {rest})"

    def _call(self, name: str, args: list[ast.expr]) -> str:
        if name in self.tables:
            return self._table(*self.tables[name], list(map(self, args)))
        if name in self.samplers:
            return self.samplers[name]
        if name in RANDOM:
            return RANDOM[name]
        if name == "int" and self._is_condition(args[0]):
            return f"({self(args[0])} ? 1.0 : 0.0)"
        return FUNCTIONS[name].c.format(*map(self, args))

    def _table(self, table: Table, name: str, args: list[str]) -> str:
        """The value that holds at a time, rounded as Brian2 rounds it."""
        grain, last = table.dt / table.upsampling, len(table.values) - 1
        k = f"trunc(rint({args[0]} / {number(grain)}) / {number(table.upsampling)})"
        row = f"(int)fmin(fmax({k}, 0.0), {number(last)})"
        if table.values.ndim == 1:
            return f"{name}[{row}]"
        return f"{name}[({row}) * {table.values.shape[1]} + (int)({args[1]})]"

    def _is_condition(self, node: ast.expr) -> bool:
        match node:
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                return True
            case _:
                return isinstance(node, ast.Name) and node.id in self.booleans


def number(value: float) -> str:
    """A number as text."""
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    value = float(value)
    if not np.isfinite(value):
        return "(1e308 * 10.0)" if value > 0 else "(-1e308 * 10.0)" if value < 0 else "(0.0 / 0.0)"
    return repr(value) if value >= 0 else f"({value!r})"
