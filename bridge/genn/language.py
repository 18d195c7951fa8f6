"""Text of an expression in GeNN's language, a part of C99.

All numbers are of the type `scalar`; whole numbers are cast when they are read, so that a division
is always a true one.
"""

import ast
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from ..lower.c_text import CText
from ..lower.functions import FUNCTIONS
from ..program import Table

RANDOM = {"rand": "gennrand_uniform()", "randn": "gennrand_normal()"}
KNOWN = frozenset(FUNCTIONS) | frozenset(RANDOM)


@dataclass(frozen=True)
class C(CText):
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

    def named(self, name: str) -> str:
        """See `CText`."""
        return self.name(name)

    def number(self, value: float) -> str:
        """See `CText`."""
        return number(value)

    def power(self, base: ast.expr, exponent: ast.expr) -> str:
        """See `CText`."""
        return f"pow({self(base)}, {self(exponent)})"

    def divided(self, rounded_down: bool, left: str, right: str) -> str:
        """See `CText`."""
        if rounded_down:
            return f"floor({left} / {right})"
        rest = f"fmod({left}, {right})"
        return f"({rest} < 0.0 ? {rest} + {right} : {rest})"

    def joined(self, all_: bool, parts: Sequence[str]) -> str:
        """See `CText`."""
        return "(" + (" && " if all_ else " || ").join(parts) + ")"

    def call(self, name: str, args: Sequence[ast.expr]) -> str:
        """See `CText`."""
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
