"""Block: the statements of a slot as definitions, each of a name of its own, and their reverse.

A statement that changes a variable defines what it becomes; one that adds up over synapses defines
what each synapse adds. Nothing is written while a block is evaluated, so that it can be evaluated
for any elements and for any length of a time step.
"""

import ast
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..program import Program, Ref, Slot
from .derivative import gradient
from .expression import names, substitute
from .step import Accumulate, Define, Operation, Scale, Write, operations


class Line(NamedTuple):
    """A definition.

    Arguments:
        name: What is defined.
        tree: Its value.
    """

    name: str
    tree: ast.expr


class Outcome(NamedTuple):
    """What a block makes of a variable.

    Arguments:
        ref: The variable, and the index through which the statements see it.
        line: Name of the definition.
        kind: Whether that is the new value, or what is added.
    """

    ref: Ref
    line: str
    kind: Literal["new", "added"]


@dataclass(frozen=True)
class Block:
    """Statements as definitions.

    Arguments:
        lines: In order.
        outcomes: What becomes of the variables, by local name.
    """

    lines: tuple[Line, ...]
    outcomes: Mapping[str, Outcome]

    @property
    def reads(self) -> frozenset[str]:
        """Names from outside."""
        used = {name for line in self.lines for name in names(line.tree)}
        return frozenset(used - {line.name for line in self.lines})


def block(program: Program, slot: Slot, without: Set[str] = frozenset()) -> Block:
    """The statements of a slot as definitions.

    Arguments:
        program: The network.
        slot: The statements.
        without: Targets whose statements are left out.
    """
    now: dict[str, ast.expr] = {}
    lines: list[Line] = []
    outcomes: dict[str, Outcome] = {}
    for number, operation in enumerate(operations(program, slot)):
        if operation.name in without:
            continue
        name = f"_{number}_{operation.name}"
        lines.append(Line(name, _value(operation, now)))
        if isinstance(operation, Accumulate):
            outcomes[operation.name] = Outcome(operation.ref, name, "added")
            continue
        now[operation.name] = ast.Name(name, ast.Load())
        if isinstance(operation, Write):
            outcomes[operation.name] = Outcome(operation.ref, name, "new")
    return Block(tuple(lines), outcomes)


def of_expression(tree: ast.expr, before: Iterable[Line] = ()) -> Block:
    """An expression as a block with the one definition `_value`."""
    return Block((*before, Line("_value", tree)), {})


def _value(operation: Operation, now: Mapping[str, ast.expr]) -> ast.expr:
    """What an operation defines."""
    tree = substitute(operation.tree, now)
    before = now.get(operation.name, ast.Name(operation.name, ast.Load()))
    match operation:
        case Define() | Accumulate():
            return tree
        case Scale(divide=divide):
            return ast.BinOp(before, ast.Div() if divide else ast.Mult(), tree)
        case Write(guard=str() as guard):
            held = now.get(guard, ast.Name(guard, ast.Load()))
            return ast.Call(ast.Name("where", ast.Load()), [held, tree, before], [])
        case _:
            return tree


class Pulled(NamedTuple):
    """How the derivative of a loss by a definition passes on.

    Arguments:
        name: What is defined.
        factors: Name in its expression to the derivative by it.
    """

    name: str
    factors: Mapping[str, ast.expr]


def reverse(lines: Iterable[Line], active: Set[str]) -> tuple[Pulled, ...]:
    """Definitions in reverse order, with their derivatives.

    Arguments:
        lines: The definitions.
        active: Names from outside by which is differentiated.

    Raises:
        GradientError: The derivative of a function is not known.
    """
    carrying, found = set(active), list[Pulled]()
    for line in lines:
        if factors := gradient(line.tree, carrying):
            carrying.add(line.name)
            found.append(Pulled(line.name, factors))
    return tuple(reversed(found))
