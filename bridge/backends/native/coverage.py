"""Coverage: what the native backend leaves to others, with the reason."""

from collections.abc import Iterator

import torch

from ...compile_c import compiler
from ...lower.dataflow import draws, users_functions
from ...lower.expression import names
from ...lower.step import Accumulate, Overwrite, Scale, is_synaptic, operations
from ...program import Deliver, Program, Reset, Slot, Update
from .._contracts import Demand


def uncovered(demand: Demand) -> Iterator[str]:
    """What of a network is not compiled, a sentence each."""
    if demand.device.type != "cpu":
        yield f"The values are on {demand.device}, and compiled code runs on the CPU."
    if demand.dtype not in (torch.float32, torch.float64):
        yield f"The values are {demand.dtype}, and compiled code has float32 and float64."
    if not compiler():
        yield "There is no C compiler on the PATH (apt install gcc, or set CC)."
    for event, gradient in demand.gradients.items():
        if gradient.unit is not None and not gradient.surrogate.formula:
            name = type(gradient.surrogate).__name__
            yield f"The surrogate {name} of {event.partition('.')[0]!r} has no formula."
    for slot in demand.program.slots:
        yield from _of_slot(demand.program, slot)


def _of_slot(program: Program, slot: Slot) -> Iterator[str]:
    for name in sorted(users_functions(program, slot)):
        yield f"{slot.name}: {name}() is a user's Python function."
    match slot:
        case Deliver():
            yield from _of_synapses(program, slot)
        case Update() if is_synaptic(program, slot):
            yield f"{slot.name}: several synapses change the same element of a variable."
        case Reset() if draws(program, slot):
            yield f"{slot.name}: a reset draws random numbers."
        case _:
            pass
    if any(statement.scalar for statement in slot.statements) and draws(program, slot):
        once = [s for s in slot.statements if s.scalar]
        if any({"rand", "randn", "poisson"} & set(names(s.tree)) for s in once):
            yield f"{slot.name}: a random number is shared by all elements."


def _of_synapses(program: Program, slot: Deliver) -> Iterator[str]:
    made = list(operations(program, slot))
    if slot.sequential:
        yield f"{slot.name}: synapses are served one after the other."
    if draws(program, slot):
        yield f"{slot.name}: statements of synapses draw random numbers."
    for operation in made:
        if isinstance(operation, Scale | Overwrite):
            what = "multiplied" if isinstance(operation, Scale) else "set"
            yield f"{slot.name}: {operation.name} of neurons is {what} by synapses."
    added = {o.name for o in made if isinstance(o, Accumulate)}
    variables = {slot.refs[name].variable for name in added}
    used = {name for o in made for name in names(o.tree)}
    seen = {slot.refs[n].variable for n in used if n in slot.refs}
    if variables & seen:
        yield f"{slot.name}: statements read what other synapses add to."
