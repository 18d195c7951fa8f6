"""Reverse: how derivatives pass backward through flat statements, whatever language writes it."""

import ast
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Set

from ..lower.expression import LEAVES, rebuilt
from ..lower.flat import Flat, pulls
from ..lower.functions import FUNCTIONS, TRANSCENDENTAL
from ..lower.step import Write
from ._body import Body, plain_name
from ._plan import Plan


class Reverse(ABC):
    """Goes back through a body, from the last operation to the first.

    Arguments:
        plan: What the network does.
        body: The statements.
        carrying: Names that have a gradient.
    """

    def __init__(self, plan: Plan, body: Body, carrying: Set[str]) -> None:
        self.plan, self.program, self.body = plan, plan.program, body
        self.carrying = carrying
        self.known: list[str] = []

    @abstractmethod
    def add(self, name: str, by: str) -> None:
        """Add to the derivative by a name."""

    @abstractmethod
    def add_times(self, name: str, by: str, factor: ast.expr, steep: bool) -> None:
        """Add a derivative times a factor; nothing, where it is zero and the factor is steep."""

    @abstractmethod
    def derivative(self, name: str) -> str:
        """Text of the derivative by a name."""

    @abstractmethod
    def gated(self, made: Flat, guard: str, by: str) -> str:
        """The derivative by what was written, where it was; elsewhere it goes to what it was."""

    @abstractmethod
    def pull_table(self, table: str, args: Sequence[ast.expr], by: str) -> None:
        """Pass a derivative to the row of a TimedArray that an input gives."""

    def through_all(
        self, flats: Sequence[Flat], seeds: Mapping[str, str], extra: Mapping[str, str] | None
    ) -> None:
        """Pass derivatives on, from values to what they were made of.

        Arguments:
            flats: The operations.
            seeds: Name of each value to the derivative by it.
            extra: Derivatives that come on top.
        """
        waiting = dict(extra or {})
        for name, by in seeds.items():
            self.add(name, by)
        for made in reversed(flats):
            if made.name in waiting:
                self.add(made.name, waiting.pop(made.name))
            if made.name in self.known:
                self.through(made, self.derivative(made.name))
        made_here = {made.name for made in flats}
        for name, by in waiting.items():
            if name not in made_here:
                self.add(name, by)

    def through(self, made: Flat, by: str) -> None:
        """Pass the derivative by a value on."""
        operation = made.operation
        if isinstance(operation, Write):
            if operation.guard:
                by = self.gated(made, operation.guard, by)
            if self.program.variables[operation.ref.variable].kind != "float":
                return
        self.pull(made, by)

    def pull(self, made: Flat, by: str) -> None:
        """Pass a derivative on to the operands of an operation."""
        tree, steep = made.operation.tree, False
        match tree:
            case ast.Call(func=ast.Name(id=function), args=args):
                if function in self.body.tables:
                    table = self.program.tables[self.body.tables[function]].name
                    if table in self.plan.active:
                        self.pull_table(table, args, by)
                    return
                plain, bounded = plain_name(function)
                tree = ast.Call(ast.Name(plain, ast.Load()), args, [])
                steep = plain in TRANSCENDENTAL and not bounded and not FUNCTIONS[plain].bounded
            case ast.BinOp(op=ast.Pow()):
                steep = True
            case _:
                pass
        for pull in pulls(tree, self.carrying):
            self.add_times(pull.source, by, with_value(pull.factor, tree, made.name), steep)


def with_value(factor: ast.expr, tree: ast.expr, value: str) -> ast.expr:
    """A factor in which an expression is not computed again, but has the name of its value."""
    whole = ast.unparse(tree)

    def write(node: ast.expr) -> ast.expr:
        if not isinstance(node, LEAVES) and ast.unparse(node) == whole:
            return ast.Name(value, ast.Load())
        return node if isinstance(node, LEAVES) else rebuilt(node, write)

    return write(factor)
