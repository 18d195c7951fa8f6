"""Limits of the exact gradient of events: what of a network has none, or none that is known here.

The gradient is that of a flow that events interrupt (see `hybrid`). What is neither, what jumps
within the flow, and what chance decides is listed, all of it, with what to write instead.
"""

import ast
from collections.abc import Iterator, Set
from typing import NamedTuple

import numpy as np

from ..program import (
    Array,
    Deliver,
    Host,
    Pathway,
    Program,
    Reset,
    Slot,
    Sum,
    Threshold,
    Update,
)
from .condition import Chance, Margin, condition_of, leaves
from .dataflow import Dataflow, draws, read_names, reads, users_functions
from .expression import names
from .functions import RANDOM
from .hybrid import margin_of, motions
from .reach import STOPS
from .step import Accumulate, Keep, Overwrite, Scale, Write, operations


class Limit(NamedTuple):
    """A part of a network without this gradient.

    Arguments:
        name: Of the object.
        found: What is there.
        why: Why it has none.
        instead: What to write.
    """

    name: str
    found: str
    why: str
    instead: str

    def __str__(self) -> str:
        return f"{self.name}: {self.found}. {self.why} {self.instead}"


BY_SURROGATE = "rule=mn.BPTT() trains it, by the surrogate gradient."


def limits(program: Program, driven: Set[str] = frozenset()) -> tuple[Limit, ...]:
    """What of a network has no exact gradient of its events; nothing where all of it has.

    Arguments:
        program: The network.
        driven: Keys of what inputs set: events, variables and TimedArrays.
    """
    found = [limit for slot in program.slots for limit in _of_slot(program, slot, driven)]
    found += [limit for key in driven for limit in _of_input(program, key)]
    found += [limit for path in program.pathways.values() for limit in _of_pathway(path)]
    return tuple(dict.fromkeys(found))


def _of_slot(program: Program, slot: Slot, driven: Set[str]) -> Iterator[Limit]:
    if isinstance(slot, Threshold) and slot.event in driven:
        return
    if slot.every > 1:
        yield Limit(
            slot.name,
            f"a clock of its own, {slot.dt * 1e3:g} ms",
            "The state flows at one pace.",
            "Give all objects one dt.",
        )
    match slot:
        case Host():
            yield Limit(
                slot.name,
                f"Python between steps, {slot.title}",
                "No event interrupts it, and nothing says its derivative.",
                "Write it as equations. " + BY_SURROGATE,
            )
        case Sum():
            yield Limit(
                slot.name,
                f"{slot.target.variable} sums over synapses in each step",
                "The flow of each element is followed for itself.",
                "Let spikes add to a variable of the neuron (on_pre='I_post += w'), or "
                + BY_SURROGATE,
            )
        case Update() if slot not in tuple(motions(program)):
            yield Limit(
                slot.name,
                "run_regularly",
                "What it does at fixed steps is neither flow nor event.",
                "Write it as equations, or give it as an input. " + BY_SURROGATE,
            )
        case Update():
            yield from _of_flow(program, slot, driven)
        case Threshold():
            yield from _of_threshold(program, slot)
        case Reset() | Deliver():
            yield from _of_jump(program, slot, driven)
        case _:
            pass


def _of_flow(program: Program, slot: Update, driven: Set[str]) -> Iterator[Limit]:
    if any(statement.target == "not_refractory" for statement in slot.statements):
        yield Limit(
            slot.owner,
            "a refractory period",
            "Its end is an event whose time follows from the spike, which is not known here.",
            "Leave out refractory=..., or " + BY_SURROGATE,
        )
        return
    if draws(program, slot) and not users_functions(program, slot):
        yield Limit(
            slot.name,
            "noise",
            "The moment of a spike is chance then, without a derivative.",
            BY_SURROGATE,
        )
    indexed = sorted(
        {r.variable for n, r in slot.refs.items() if r.index is not None and n in read_names(slot)}
    )
    if indexed:
        yield Limit(
            slot.name,
            f"equations that read {', '.join(indexed)} of other elements",
            "The flow of each element is followed for itself.",
            BY_SURROGATE,
        )
    if "dt" in {
        m
        for k in reads(slot) | slot.written()
        if k in program.rates
        for m in program.rates[k].clock.values()
    }:
        yield Limit(
            slot.name,
            "equations that read dt",
            "The length of a step follows from events.",
            "Write the time that is meant as a number.",
        )
    if "step" in slot.clock.values():
        yield Limit(
            slot.name,
            "equations that count steps",
            "Events happen between steps.",
            "Write them in the time t.",
        )
    yield from _of_code(program, slot, driven)


def _of_code(program: Program, slot: Slot, driven: Set[str]) -> Iterator[Limit]:
    """What has no derivative in statements of any kind."""
    for name in sorted(users_functions(program, slot)):
        yield Limit(
            slot.name,
            f"the function {name}() of your own",
            "Its derivative is not known.",
            "Write its formula into the equations.",
        )
    varying = Dataflow(program, slot, program.written() | driven).varying
    for statement in slot.statements:
        for part in _switches(statement.tree, varying):
            yield Limit(
                slot.name,
                f"{ast.unparse(part)!r} in '{statement}'",
                "It switches at a time that follows from the state, and that is no event.",
                "Write something continuous, exp, tanh or clip. " + BY_SURROGATE,
            )
    for key in sorted(slot.written() & set(program.variables)):
        variable = program.variables[key]
        if variable.kind != "float" or variable.scalar:
            what = "is shared by all elements" if variable.scalar else "is no real number"
            yield Limit(
                slot.name,
                f"{key} changes, and {what}",
                "The state of the flow consists of real numbers, one for each element.",
                BY_SURROGATE,
            )


def _switches(tree: ast.expr, varying: Set[str]) -> Iterator[ast.expr]:
    """Largest parts of an expression that jump where a varying name changes a little."""
    jumping = isinstance(tree, ast.Compare | ast.BoolOp) or (
        isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Mod | ast.FloorDiv)
    )
    match tree:
        case ast.Call(func=ast.Name(id=name)) if name in STOPS:
            jumping = True
        case _:
            pass
    if jumping and set(names(tree)) & varying:
        yield tree
        return
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.expr):
            yield from _switches(child, varying)


def _of_threshold(program: Program, slot: Threshold) -> Iterator[Limit]:
    _, whole = condition_of(slot)
    found = list(leaves(whole))
    drawn = set(RANDOM) | set(slot.samplers)
    text = slot.statements[-1].expression
    if any(isinstance(leaf, Chance) for leaf in found) or any(
        drawn & set(names(statement.tree)) for statement in slot.statements
    ):
        yield Limit(
            slot.owner,
            f"the threshold {text!r} draws random numbers",
            "The moment of a spike is chance then, without a derivative.",
            f"Give the spikes as an input, mn.Trial(inputs={{{slot.owner!r}: ...}}), or "
            + BY_SURROGATE,
        )
        return
    margin = margin_of(slot)
    if margin is None:
        compared = sum(isinstance(leaf, Margin) for leaf in found)
        yield Limit(
            slot.owner,
            f"the threshold {text!r} joins {compared} comparisons with others",
            "Which of them a spike crosses is not one smooth margin.",
            "Write one comparison, 'v > v_th'. " + BY_SURROGATE,
        )
        return
    moving = {n for n, r in slot.refs.items() if r.variable in program.written()}
    if not moving & set(names(margin)):
        yield Limit(
            slot.owner,
            f"the threshold {text!r} compares nothing that flows",
            "Nothing crosses it.",
            BY_SURROGATE,
        )
    if any(meaning != "dt" for n, meaning in slot.clock.items() if n in set(names(margin))):
        yield Limit(
            slot.owner,
            f"the threshold {text!r} reads the time",
            "Its margin has to follow from the state.",
            "Write a variable with an equation of its own.",
        )
    if users_functions(program, slot):
        yield Limit(
            slot.owner,
            f"the threshold {text!r} calls a function of your own",
            "Its derivative is not known.",
            "Write its formula.",
        )
    for part in _switches(margin, moving):
        yield Limit(
            slot.owner,
            f"{ast.unparse(part)!r} in the threshold {text!r}",
            "The margin jumps there.",
            "Write something continuous.",
        )


def _of_jump(program: Program, slot: Reset | Deliver, driven: Set[str]) -> Iterator[Limit]:
    if draws(program, slot) and not users_functions(program, slot):
        yield Limit(
            slot.name,
            "random numbers in what a spike does",
            "What follows from a spike is chance then.",
            BY_SURROGATE,
        )
    used = {slot.clock[n] for n in read_names(slot) if n in slot.clock}
    if used - {"dt"}:
        yield Limit(
            slot.name,
            "statements that read the time",
            "They have to follow from the state.",
            "Write a variable with an equation of its own.",
        )
    plastic = sorted({o.ref.variable for o in operations(program, slot) if isinstance(o, Keep)})
    if plastic:
        yield Limit(
            slot.owner,
            f"spikes change {', '.join(plastic)}: plastic synapses",
            "The state of each synapse would have to be followed.",
            BY_SURROGATE,
        )
    else:
        yield from _of_code(program, slot, driven)
    if isinstance(slot, Deliver):
        yield from _of_order(program, slot)


def _of_order(program: Program, slot: Deliver) -> Iterator[Limit]:
    """Statements whose result depends on the order of synapses, or on each other."""
    changed: set[str] = set()
    unclear = slot.sequential
    for operation in operations(program, slot):
        seen = {slot.refs[n].variable for n in names(operation.tree) if n in slot.refs}
        if isinstance(operation, Write):
            seen |= set() if isinstance(operation, Accumulate) else {operation.ref.variable}
            unclear |= operation.ref.variable in changed
            unclear |= isinstance(operation, Scale | Overwrite) and _repeats(
                program, slot, operation
            )
        unclear |= bool(seen & changed)
        changed |= {operation.ref.variable} if isinstance(operation, Write) else set()
    if unclear:
        yield Limit(
            slot.owner,
            "the result of its statements depends on the order of synapses, or"
            " one reads what another has changed",
            "All synapses of a neuron are served at once.",
            "Write statements that add, 'I_post += w'. " + BY_SURROGATE,
        )


def _repeats(program: Program, slot: Deliver, write: Write) -> bool:
    """Whether synapses of one source reach the same element."""
    source = program.pathways[slot.pathway].source
    target: Array = program.indices[write.ref.index] if write.ref.index else np.arange(slot.size)
    return len(np.unique(np.stack([source, target]), axis=1).T) < len(source)


def _of_input(program: Program, key: str) -> Iterator[Limit]:
    if key in program.variables and key in program.written():
        yield Limit(
            key,
            "an input sets it, and equations or spikes do so too",
            "The flow would start anew in each step.",
            "Give the input to a parameter that the equations read.",
        )


def _of_pathway(path: Pathway) -> Iterator[Limit]:
    if len(path.pending):
        yield Limit(
            path.name,
            "spikes are under way at the start",
            "The times at which they were sent are not known.",
            "Mirror the network before it runs.",
        )
