"""Text of expressions in C, and the type of each value.

A value is a truth value, a number of the type in which the network is computed (`real`), or a time
in double precision (`wide`): steps have to be counted exactly in single precision as well.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mirrorneuron.errors import DomainError

from ...lower.expression import EQUALITY, INFIX, ORDER
from ...lower.functions import FUNCTIONS
from ...program import Variable
from .body import plain_name

Kind = Literal["truth", "real", "wide"]
C_TYPES: Mapping[Kind, str] = {"truth": "int", "real": "real", "wide": "double"}
TIMES = ("lastspike", "lastupdate")
CALLS: Mapping[type[ast.AST], str] = {ast.Mod: "mod", ast.FloorDiv: "floor_divide"}


def stored(variable: Variable) -> str:
    """C type in which a variable is kept."""
    if variable.kind == "boolean":
        return "unsigned char"
    if variable.single:
        return "float"
    return "double" if variable.name in TIMES else "real"


def kind_of(variable: Variable) -> Kind:
    """Type of a variable's value in an expression."""
    if variable.kind == "boolean":
        return "truth"
    return "wide" if stored(variable) == "double" else "real"


@dataclass
class Writer:
    """Writes expressions.

    Arguments:
        text: Name to its text.
        kinds: Name to its type; what is not there is real.
        table: Text of the value of a TimedArray by its local name, from its arguments.
    """

    text: Callable[[str], str]
    kinds: dict[str, Kind] = field(default_factory=dict[str, Kind])
    table: Callable[[str, Sequence[str]], str] | None = None
    tables: frozenset[str] = frozenset()

    def kind(self, node: ast.expr) -> Kind:
        """Type of an expression."""
        match node:
            case ast.Name(id=name):
                return self.kinds.get(name, "real")
            case ast.Constant(value=bool()):
                return "truth"
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                return "truth"
            case ast.UnaryOp(operand=operand):
                found = self.kind(operand)
                return "real" if found == "truth" else found
            case ast.BinOp(left=left, right=right):
                return "wide" if "wide" in (self.kind(left), self.kind(right)) else "real"
            case ast.Call(func=ast.Name(id="where"), args=[_, a, b]):
                one, other = self.kind(a), self.kind(b)
                return one if one == other else "wide" if "wide" in (one, other) else "real"
            case ast.Call(func=ast.Name(id=name), args=args) if name not in self.tables:
                return "wide" if "wide" in map(self.kind, args) else "real"
            case _:
                return "real"

    def __call__(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self.text(name)
            case ast.Constant(value=bool() as value):
                return str(int(value))
            case ast.Constant(value=value):
                return number(float(value))  # pyright: ignore[reportArgumentType]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in INFIX:
                return f"({self.arithmetic(left)} {INFIX[type(op)]} {self.arithmetic(right)})"
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return f"({self.arithmetic(left)} / {self.arithmetic(right)})"
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self._power(left, right)
            case ast.BinOp(left=left, op=op, right=right):
                return f"{CALLS[type(op)]}({self.arithmetic(left)}, {self.arithmetic(right)})"
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-{self.arithmetic(operand)})"
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self(operand)
            case ast.UnaryOp(operand=operand):
                return f"(!{self(operand)})"
            case ast.BoolOp(op=op, values=values):
                sign = " & " if isinstance(op, ast.And) else " | "
                return "(" + sign.join(f"({self(value)} != 0)" for value in values) + ")"
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return f"({self(left)} {(ORDER | EQUALITY)[type(op)]} {self(right)})"
            case ast.Call(func=ast.Name(id=name), args=args):
                return self._call(plain_name(name)[0], args)
            case _:
                raise DomainError(f"No meaning is known for {ast.unparse(node)!r}.")

    def arithmetic(self, node: ast.expr) -> str:
        """An operand, of which a truth value counts as 0 or 1."""
        text = self(node)
        return f"(real){text}" if self.kind(node) == "truth" else text

    def _power(self, base: ast.expr, exponent: ast.expr) -> str:
        text = self.arithmetic(base)
        match exponent:
            case ast.Constant(value=int(value)) if 2 <= value <= 4:
                return f"power{value}({text})"
            case _:
                return f"pow({text}, {self.arithmetic(exponent)})"

    def _call(self, name: str, args: list[ast.expr]) -> str:
        if name in self.tables and self.table is not None:
            return self.table(name, [self(arg) for arg in args])
        match name:
            case "int" if self.kind(args[0]) == "truth":
                return f"({self(args[0])} ? (real)1 : (real)0)"
            case "where":
                condition, *values = args
                a, b = (self.arithmetic(v) if self.kind(condition) else "" for v in values)
                if self.kind(ast.Call(ast.Name("where", ast.Load()), args, [])) == "truth":
                    a, b = map(self, values)
                return f"({self(condition)} ? {a} : {b})"
            case "real":
                return f"(real){self(args[0])}"
            case "wrap":
                return f"wrap({self.arithmetic(args[0])})"
            case "clip":
                return f"clip({', '.join(map(self.arithmetic, args))})"
            case _:
                return FUNCTIONS[name].c.format(*map(self.arithmetic, args))


def number(value: float) -> str:
    """A number as text."""
    if not np.isfinite(value):
        return "(-(real)INFINITY)" if value < 0 else "(real)INFINITY" if value > 0 else "(real)NAN"
    return f"(real){value!r}" if value >= 0 else f"((real){value!r})"
