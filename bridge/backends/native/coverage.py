"""Coverage: what the native backend leaves to others, with the reason."""

from collections.abc import Iterator

import torch

from ...compile_c import compiler
from ...program import Program
from .._contracts import Demand
from .._coverage import beyond_arrays, without_reverse


def uncovered(demand: Demand) -> Iterator[str]:
    """What of a network is not compiled with gradients, a sentence each."""
    if demand.device.type != "cpu":
        yield f"The values are on {demand.device}, and compiled code runs on the CPU."
    if demand.dtype not in (torch.float32, torch.float64):
        yield f"The values are {demand.dtype}, and compiled code has float32 and float64."
    for event, gradient in demand.gradients.items():
        if gradient.unit is not None and not gradient.surrogate.formula:
            name = type(gradient.surrogate).__name__
            yield f"The surrogate {name} of {event.partition('.')[0]!r} has no formula."
    yield from unsimulated(demand.program)
    for slot in demand.program.slots:
        yield from without_reverse(demand.program, slot)


def unsimulated(program: Program) -> Iterator[str]:
    """What of a network is not compiled at all, a sentence each."""
    if not compiler():
        yield "There is no C compiler on the PATH (apt install gcc, or set CC)."
    yield from beyond_arrays(program)
