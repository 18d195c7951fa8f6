"""Code: blocks as Python functions over tensors, forward and in reverse.

Values come in by name, as tensors that broadcast against each other or as numbers, and nothing is
changed in place. Each part of an expression is computed once.
"""

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..backends.eager.functions import Functions
from ..lower.block import Block, reverse
from ..lower.expression import CALLED, EQUALITY, INFIX, ORDER

Value = Tensor | float
Given = Mapping[str, Value]
Forward = Callable[[Given, Functions], dict[str, Value]]
Backward = Callable[[Given, Given, Functions], dict[str, Value]]


@dataclass
class _Writer:
    """Lines of a function, and the temporary names of what has been computed already."""

    lines: list[str] = field(default_factory=list[str])
    known: dict[str, str] = field(default_factory=dict[str, str])
    names: dict[str, str] = field(default_factory=dict[str, str])

    def atom(self, node: ast.expr) -> str:
        """A name, or a number, with the value of an expression."""
        match node:
            case ast.Name(id=name):
                return self._given(name)
            case ast.Constant(value=value):
                return repr(value)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.atom(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.kept(f"-{self.atom(operand)}")
            case _:
                return self.kept(self._text(node))

    def _text(self, node: ast.expr) -> str:
        match node:
            case ast.UnaryOp(operand=operand):
                return f"f.logical_not({self.atom(operand)})"
            case ast.BinOp(left=left, op=op, right=right) if type(op) in INFIX:
                return f"{self.atom(left)} {INFIX[type(op)]} {self.atom(right)}"
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return f"{self.atom(left)} / {self.atom(right)}"
            case ast.BinOp(left=left, op=op, right=right):
                return f"f.{CALLED[type(op)]}({self.atom(left)}, {self.atom(right)})"
            case ast.BoolOp(op=op, values=values):
                sign = " & " if isinstance(op, ast.And) else " | "
                return sign.join(map(self.atom, values))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                sign = (ORDER | EQUALITY)[type(op)]
                return f"{self.atom(left)} {sign} {self.atom(right)}"
            case ast.Call(func=ast.Name(id=name), args=args):
                return f"f.{name}({', '.join(map(self.atom, args))})"
            case _:
                raise AssertionError(ast.dump(node))  # `parse` lets nothing else pass

    def _given(self, name: str) -> str:
        if name not in self.names:
            self.names[name] = f"n{len(self.names)}"
            self.lines.append(f"{self.names[name]} = a[{name!r}]")
        return self.names[name]

    def kept(self, text: str) -> str:
        """A name for the value of some code, computed once."""
        if text not in self.known:
            self.known[text] = f"k{len(self.known)}"
            self.lines.append(f"{self.known[text]} = {text}")
        return self.known[text]

    def define(self, name: str, tree: ast.expr) -> None:
        """Give the value of an expression a name."""
        self.names[name] = self.atom(tree)


def forward(block: Block, wanted: Iterable[str]) -> Forward:
    """A function of named values that gives those of some of a block's definitions."""
    writer = _Writer()
    for line in block.lines:
        writer.define(line.name, line.tree)
    pairs = [f"{name!r}: {writer.atom(ast.Name(name))}" for name in wanted]
    return _compiled("a, f", [*writer.lines, f"return {{{', '.join(pairs)}}}"])


def backward(block: Block, wanted: Sequence[str], active: Set[str]) -> Backward:
    """A function that gives derivatives by what a block reads.

    It takes the named values, and the derivatives of a loss by the wanted definitions. It gives
    those by the active names, each in the shape that broadcasting gave it.
    """
    writer = _Writer()
    for line in block.lines:
        writer.define(line.name, line.tree)
    bars: dict[str, str] = {name: writer.kept(f"p[{name!r}]") for name in dict.fromkeys(wanted)}
    for pulled in reverse(block.lines, active):
        bar = bars.get(pulled.name)
        if bar is None:
            continue
        for name, factor in pulled.factors.items():
            one = isinstance(factor, ast.Constant) and factor.value == 1
            part = bar if one else writer.kept(f"{bar} * {writer.atom(factor)}")
            bars[name] = part if name not in bars else writer.kept(f"{bars[name]} + {part}")
    given = [name for name in bars if name in active]
    pairs = [f"{name!r}: {bars[name]}" for name in given]
    return _compiled("a, p, f", [*writer.lines, f"return {{{', '.join(pairs)}}}"])


def _compiled(arguments: str, lines: Iterable[str]) -> Any:
    """The text is made of expressions that `parse` has accepted."""
    text = f"def made({arguments}):\n" + "\n".join(f"    {line}" for line in lines)
    space: dict[str, Any] = {}
    exec(compile(text, "<block>", "exec"), space)
    return space["made"]


def summed(x: Value, shape: torch.Size) -> Tensor:
    """The sum over the axes along which a value of some shape was broadcast."""
    made = torch.as_tensor(x)
    if made.shape == shape:
        return made
    if made.dim() < len(shape) or made.numel() < shape.numel():
        made = made.expand(torch.broadcast_shapes(made.shape, shape))
    return made.sum_to_size(shape)
