"""Text of an expression in C99: what all engines that write C have in common."""

import ast
from abc import ABC, abstractmethod
from collections.abc import Sequence

from mirrorneuron.errors import DomainError

from .expression import EQUALITY, INFIX, ORDER

C_INFIX = {**INFIX, ast.Div: "/"}


class CText(ABC):
    """Writes expressions: what numbers, powers and calls are is said by each engine."""

    def __call__(self, node: ast.expr) -> str:
        """Text of an expression.

        Raises:
            DomainError: It is none.
        """
        match node:
            case ast.Name(id=name):
                return self.named(name)
            case ast.Constant(value=bool() | int() | float() as value):
                return self.number(value)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in C_INFIX:
                return f"({self.operand(left)} {C_INFIX[type(op)]} {self.operand(right)})"
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self.power(left, right)
            case ast.BinOp(left=left, op=op, right=right):
                rounded_down = isinstance(op, ast.FloorDiv)
                return self.divided(rounded_down, self.operand(left), self.operand(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-{self.operand(operand)})"
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self(operand)
            case ast.UnaryOp(operand=operand):
                return f"(!{self(operand)})"
            case ast.BoolOp(op=op, values=values):
                return self.joined(isinstance(op, ast.And), [self(value) for value in values])
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return f"({self(left)} {(ORDER | EQUALITY)[type(op)]} {self(right)})"
            case ast.Call(func=ast.Name(id=name), args=args):
                return self.call(name, args)
            case _:
                raise DomainError(f"No meaning is known for {ast.unparse(node)!r}.")

    def operand(self, node: ast.expr) -> str:
        """An operand of arithmetic."""
        return self(node)

    @abstractmethod
    def named(self, name: str) -> str:
        """A name."""

    @abstractmethod
    def number(self, value: float) -> str:
        """A number, or a truth value."""

    @abstractmethod
    def power(self, base: ast.expr, exponent: ast.expr) -> str:
        """A power."""

    @abstractmethod
    def divided(self, rounded_down: bool, left: str, right: str) -> str:
        """The whole part of a quotient, else the rest of a division."""

    @abstractmethod
    def joined(self, all_: bool, parts: Sequence[str]) -> str:
        """Truth values joined by and, else by or."""

    @abstractmethod
    def call(self, name: str, args: Sequence[ast.expr]) -> str:
        """A call of a function."""
