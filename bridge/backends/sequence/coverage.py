"""Coverage: what the sequence backend leaves to others, with the reason."""

from collections.abc import Iterator

from ...program import Deliver
from .._contracts import Demand
from .._coverage import beyond_arrays, without_reverse


def uncovered(demand: Demand) -> Iterator[str]:
    """What of a network is not run, a sentence each."""
    yield from beyond_arrays(demand.program)
    for slot in demand.program.slots:
        yield from without_reverse(demand.program, slot)
        if slot.every > 1:
            yield f"{slot.name}: it runs in every {slot.every} steps only."
        if isinstance(slot, Deliver) and slot.sequential:
            yield f"{slot.name}: synapses are served one after the other."
        shared = [s for s in slot.scalar if s.target in slot.refs]
        if isinstance(slot, Deliver) and shared:
            yield f"{slot.name}: spikes change {shared[0].target}, which all synapses share."
