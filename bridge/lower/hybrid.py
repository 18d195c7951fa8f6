r"""Hybrid: a network as a flow that events interrupt.

Between events the variables follow their equations, $\dot x = F(x)$; `flows` has Brian2's own
integrator of them, for a step of any length. An event happens where a margin crosses zero,
$g(x) = 0$, or where one arrives, and moves the state, $x^+ = f(x^-)$: by the statements of the
reset and of the synapses, in the order of Brian2's schedule.
"""

import ast
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from ..program import Deliver, Program, Reset, Slot, Threshold, Update
from .block import Block, block, of_expression
from .condition import All, Margin, Truth, condition_of
from .expression import rebuilt, substitute


@dataclass(frozen=True)
class Part:
    """Statements of one slot.

    Arguments:
        slot: The slot.
        block: Its statements as definitions.
    """

    slot: Slot
    block: Block


@dataclass(frozen=True)
class Crossing:
    """Where events of a kind come from.

    Arguments:
        event: "cells.spike".
        slot: The threshold.
        block: Defines the margin, `_value`, which an event takes to zero from below.
    """

    event: str
    slot: Threshold
    block: Block


@dataclass(frozen=True)
class Hybrid:
    """See the module's docstring.

    Arguments:
        program: The network.
        states: Keys of the variables that change.
        flows: Integrators, one for each object with differential equations.
        crossings: Thresholds.
        answers: What an event does: resets, and synapses by pathway.
    """

    program: Program
    states: tuple[str, ...]
    flows: tuple[Part, ...]
    crossings: tuple[Crossing, ...]
    answers: Mapping[str, tuple[Part, ...]]


def hybrid(program: Program, driven: Set[str] = frozenset()) -> Hybrid:
    """A network as flow and events; `limits` says for which ones that is right.

    Arguments:
        program: The network.
        driven: Keys of what inputs set: events, variables and TimedArrays.
    """
    flows = tuple(Part(s, with_tables(s, block(program, s))) for s in motions(program))
    crossings = tuple(_crossings(program, driven))
    answers = {event: tuple(_answers(program, event)) for event in events(program)}
    parts = (*flows, *(part for answer in answers.values() for part in answer))
    outcomes = (o.ref.variable for part in parts for o in part.block.outcomes.values())
    return Hybrid(program, tuple(dict.fromkeys(outcomes)), flows, crossings, answers)


TABLE = "_table "


def with_tables(slot: Slot, found: Block) -> Block:
    """A block in which a TimedArray's value is a name: it holds until the next grid point."""

    def held(node: ast.expr) -> ast.expr:
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in slot.tables:
                return ast.Name(TABLE + name, ast.Load())
            case _:
                return rebuilt(node, held)

    lines = tuple(line._replace(tree=held(line.tree)) for line in found.lines)
    return Block(lines, found.outcomes)


def events(program: Program) -> tuple[str, ...]:
    """All events that can happen."""
    return tuple(f"{n}.{event}" for n, group in program.groups.items() for event in group.events)


def motions(program: Program) -> Iterator[Update]:
    """Integrators of differential equations, without what runs beside them."""
    for name in program.groups:
        yield from program.motion(name)


def margin_of(threshold: Threshold) -> ast.expr | None:
    """The margin of a threshold, local definitions written out; None if it has not just one."""
    before, whole = condition_of(threshold)
    known: dict[str, ast.expr] = {}
    for statement in before:
        known[statement.target] = substitute(statement.tree, known)
    parts = whole.parts if isinstance(whole, All) else (whole,)
    rest = [part for part in parts if not _is_refractoriness(part)]
    match rest:
        case [Margin(tree)]:
            return substitute(tree, known)
        case _:
            return None


def _is_refractoriness(part: object) -> bool:
    match part:
        case Truth(ast.Name(id="not_refractory")):
            return True
        case _:
            return False


def _crossings(program: Program, driven: Set[str]) -> Iterator[Crossing]:
    for slot in program.slots_of(Threshold):
        tree = margin_of(slot)
        if slot.event not in driven and tree is not None:
            yield Crossing(slot.event, slot, of_expression(tree))


def _answers(program: Program, event: str) -> Iterator[Part]:
    for slot in program.slots:
        if isinstance(slot, Reset | Deliver) and slot.event == event:
            yield Part(slot, block(program, slot))
