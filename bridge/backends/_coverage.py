"""Coverage: what engines that execute flat statements leave to others, with the reason."""

from collections.abc import Iterator

from ..lower.beyond import beyond_statements
from ..lower.dataflow import draws, users_functions
from ..lower.expression import names
from ..lower.functions import RANDOM
from ..lower.step import Accumulate, Overwrite, Scale, is_synaptic, operations
from ..program import Deliver, Program, Reset, Slot, Update


def beyond_arrays(program: Program) -> Iterator[str]:
    """What of a network statements on whole arrays do not say, a sentence each."""
    yield from beyond_statements(program)
    for slot in program.slots:
        for name in sorted(users_functions(program, slot)):
            yield f"{slot.name}: {name}() is a user's Python function."
        if isinstance(slot, Update) and is_synaptic(program, slot):
            yield f"{slot.name}: several synapses change the same element of a variable."
        if isinstance(slot, Deliver) and not slot.sequential:
            yield from _in_any_order(program, slot)
        drawn = {name for s in slot.scalar for name in names(s.tree)}
        if drawn & (RANDOM | set(slot.samplers)):
            yield f"{slot.name}: a random number is shared by all elements."


def _in_any_order(program: Program, slot: Deliver) -> Iterator[str]:
    """Statements each of which Brian2 executes for all synapses before the next one."""
    changed = [
        slot.refs[o.name].variable for o in operations(program, slot)
        if isinstance(o, Accumulate | Scale | Overwrite)
    ]  # fmt: skip
    used = {name for o in operations(program, slot) for name in names(o.tree)}
    seen = {slot.refs[name].variable for name in used if name in slot.refs}
    if set(changed) & seen:
        yield f"{slot.name}: statements read what other synapses change."
    if len(set(changed)) < len(changed):
        yield f"{slot.name}: two statements change the same variable of neurons."


def without_reverse(program: Program, slot: Slot) -> Iterator[str]:
    """Statements that can be executed, but not the way back through them."""
    if isinstance(slot, Reset) and draws(program, slot):
        yield f"{slot.name}: a reset draws random numbers."
    if not isinstance(slot, Deliver):
        return
    if draws(program, slot):
        yield f"{slot.name}: statements of synapses draw random numbers."
    if slot.sequential:
        yield from _in_turn(program, slot)
        return
    for operation in operations(program, slot):
        if isinstance(operation, Scale | Overwrite):
            what = "multiplied" if isinstance(operation, Scale) else "set"
            yield f"{slot.name}: {operation.name} of neurons is {what} by synapses."


def _in_turn(program: Program, slot: Deliver) -> Iterator[str]:
    """Statements whose way back is not written where synapses are served one after the other."""
    written = {slot.refs[s.target].variable for s in slot.statements if s.target in slot.refs}
    for key in sorted(written):
        if program.variables[key].scalar:
            yield f"{slot.name}: synapses in turn change {key}, which all of them share."
        if sum(ref.variable == key for ref in slot.refs.values()) > 1:
            yield f"{slot.name}: synapses in turn see {key}, which they change, by several names."
