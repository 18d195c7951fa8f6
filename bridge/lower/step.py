"""Step: the statements of a slot as operations, with what each reads and writes.

Brian2 executes statements on arrays. What a statement does to a variable depends on where it
stands: `x += 1` sets one element of x for each element of a group, and adds to the same element
many times for synapses that share a target. Engines render operations, and decide nothing.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ..program import Deliver, Program, Ref, Slot, Statement, Update
from .dataflow import RANDOM, several_to_one
from .expression import names

OPERATORS: dict[str, ast.operator] = {
    "+=": ast.Add(),
    "-=": ast.Sub(),
    "*=": ast.Mult(),
    "/=": ast.Div(),
}


@dataclass(frozen=True)
class Operation:
    """What one statement does.

    Arguments:
        name: Local name that takes the value.
        tree: The value.
        once: Whether it is evaluated once, and not for each element.
    """

    name: str
    tree: ast.expr
    once: bool


@dataclass(frozen=True)
class Define(Operation):
    """A local name."""


@dataclass(frozen=True)
class Write(Operation):
    """A variable changes.

    Arguments:
        ref: The variable, and the index through which it is written.
        guard: Local name of the truth value without which it is not written.
    """

    ref: Ref
    guard: str | None


@dataclass(frozen=True)
class Assign(Write):
    """Each element takes its own new value."""


@dataclass(frozen=True)
class Keep(Write):
    """A synaptic variable takes a new value at the synapses that are served."""


@dataclass(frozen=True)
class Accumulate(Write):
    """The value of each synapse that is served is added to the element that it reaches."""


@dataclass(frozen=True)
class Scale(Write):
    """An element is multiplied, or divided, by the value of each synapse that reaches it.

    Arguments:
        divide: Whether it is divided.
    """

    divide: bool


@dataclass(frozen=True)
class Overwrite(Write):
    """An element takes the value of the last synapse that reaches it."""


def is_synaptic(program: Program, slot: Slot) -> bool:
    """Whether the elements of a slot are served in an order that matters."""
    return isinstance(slot, Deliver) or (isinstance(slot, Update) and several_to_one(program, slot))


def operations(program: Program, slot: Slot) -> Iterator[Operation]:
    """What the statements of a slot do, in order."""
    synaptic = is_synaptic(program, slot)
    for statement in slot.statements:
        ref = slot.refs.get(statement.target)
        if ref is None:
            yield Define(statement.target, updated(statement), statement.scalar)
        elif synaptic:
            yield _served(slot, statement, ref)
        else:
            yield Assign(*_common(slot, statement, ref, updated(statement)))


def _served(slot: Slot, statement: Statement, ref: Ref) -> Operation:
    """What a statement does for the synapses that are served."""
    if ref.index is None:
        return Keep(*_common(slot, statement, ref, updated(statement)))
    given = _common(slot, statement, ref, statement.tree)
    match statement.op:
        case "+=":
            return Accumulate(*given)
        case "-=":
            negative = ast.UnaryOp(ast.USub(), statement.tree)
            return Accumulate(*_common(slot, statement, ref, negative))
        case "*=" | "/=":
            return Scale(*given, divide=statement.op == "/=")
        case _:
            return Overwrite(*given)


def _common(
    slot: Slot, statement: Statement, ref: Ref, tree: ast.expr
) -> tuple[str, ast.expr, bool, Ref, str | None]:
    target = statement.target
    return target, tree, statement.scalar, ref, slot.guards.get(target)


def updated(statement: Statement) -> ast.expr:
    """The new value of a target: of `x += y`, `x + y`."""
    if statement.op not in OPERATORS:
        return statement.tree
    target = ast.Name(id=statement.target, ctx=ast.Load())
    return ast.BinOp(target, OPERATORS[statement.op], statement.tree)


def one_by_one(program: Program, slot: Slot) -> bool:
    """Whether synapses have to be served one by one: random numbers, or a shared target."""
    targets = (slot.refs.get(s.target) for s in slot.statements)
    shared = any(ref and program.variables[ref.variable].scalar for ref in targets)
    drawn = {name for s in slot.vector for name in names(s.tree)}
    return shared or bool(drawn & (RANDOM | set(slot.samplers)))
