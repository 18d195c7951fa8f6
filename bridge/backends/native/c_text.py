"""Text of expressions in C, and the type of each value.

A value is a truth value, a number of the type in which the network is computed (`real`), or a time
in double precision (`wide`): steps have to be counted exactly in single precision as well.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...lower.c_text import CText
from ...lower.functions import FUNCTIONS
from ...program import TIMES, Variable
from .._body import plain_name
from .._plan import Kind

C_TYPES: Mapping[Kind, str] = {"truth": "int", "real": "real", "wide": "double"}


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
class Writer(CText):
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

    def operand(self, node: ast.expr) -> str:
        """An operand, of which a truth value counts as 0 or 1."""
        text = self(node)
        return f"(real){text}" if self.kind(node) == "truth" else text

    def named(self, name: str) -> str:
        """See `CText`."""
        return self.text(name)

    def number(self, value: float) -> str:
        """See `CText`."""
        return str(int(value)) if isinstance(value, bool) else number(float(value))

    def divided(self, rounded_down: bool, left: str, right: str) -> str:
        """See `CText`."""
        return f"{'floor_divide' if rounded_down else 'mod'}({left}, {right})"

    def joined(self, all_: bool, parts: Sequence[str]) -> str:
        """See `CText`."""
        return "(" + (" & " if all_ else " | ").join(f"({part} != 0)" for part in parts) + ")"

    def power(self, base: ast.expr, exponent: ast.expr) -> str:
        """See `CText`."""
        text = self.operand(base)
        match exponent:
            case ast.Constant(value=int(value)) if 2 <= value <= 4:
                return f"power{value}({text})"
            case _:
                return f"pow({text}, {self.operand(exponent)})"

    def call(self, name: str, args: Sequence[ast.expr]) -> str:
        """See `CText`."""
        name = plain_name(name)[0]
        if name in self.tables and self.table is not None:
            return self.table(name, [self(arg) for arg in args])
        match name:
            case "int" if self.kind(args[0]) == "truth":
                return f"({self(args[0])} ? (real)1 : (real)0)"
            case "where":
                condition, *values = args
                a, b = (self.operand(v) if self.kind(condition) else "" for v in values)
                if self.kind(ast.Call(ast.Name("where", ast.Load()), [*args], [])) == "truth":
                    a, b = map(self, values)
                return f"({self(condition)} ? {a} : {b})"
            case "real":
                return f"(real){self(args[0])}"
            case "wrap":
                return f"wrap({self.operand(args[0])})"
            case "clip":
                return f"clip({', '.join(map(self.operand, args))})"
            case _:
                return FUNCTIONS[name].c.format(*map(self.operand, args))


def number(value: float) -> str:
    """A number as text."""
    if not np.isfinite(value):
        return "(-(real)INFINITY)" if value < 0 else "(real)INFINITY" if value > 0 else "(real)NAN"
    return f"(real){value!r}" if value >= 0 else f"((real){value!r})"
