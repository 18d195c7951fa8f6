"""Layout: where the slots of a Program come in GeNN's step.

GeNN serves the spikes of one step at the head of the next one: first what happens at every synapse
(dynamics), then presynaptic spikes, then postsynaptic ones, then the neurons. Brian2, by default,
integrates, tests thresholds, serves spikes and resets. Both orders are the same circle, cut at
another place: a step of GeNN is what follows the synapses in a step of Brian2 (`late`), then what
comes before them in the next one (`early`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..lower.dataflow import reads
from ..program import Array, Deliver, Generate, Program, Ref, Slot, Sum, Threshold

SOURCES = ("SpikeGeneratorGroup", "PoissonGroup")


@dataclass(frozen=True)
class Layout:
    """Slots of a Program by their place.

    Arguments:
        program: The network.
    """

    program: Program

    @cached_property
    def written(self) -> set[str]:
        """Keys of variables that change during a run."""
        return self.program.written()

    @cached_property
    def cut(self) -> int:
        """Number of slots that come before the synapses."""
        slots = self.program.slots
        served = [k for k, s in enumerate(slots) if isinstance(s, Deliver) or s.samplers]
        if served:
            return served[0]
        raised = [k for k, s in enumerate(slots) if isinstance(s, Threshold | Generate)]
        return raised[-1] + 1 if raised else len(slots)

    @property
    def early(self) -> tuple[Slot, ...]:
        """Slots before the synapses."""
        return self.program.slots[: self.cut]

    @property
    def late(self) -> tuple[Slot, ...]:
        """Slots after the first synapses that are no synapses."""
        return tuple(s for s in self.program.slots[self.cut :] if not isinstance(s, Deliver))

    @property
    def served(self) -> tuple[Deliver, ...]:
        """What spikes do, in Brian2's order."""
        return tuple(self.program.slots_of(Deliver))

    @property
    def groups(self) -> Iterator[str]:
        """Names of the groups whose neurons are integrated."""
        for group in self.program.groups.values():
            if group.kind not in ("Synapses", *SOURCES):
                yield group.name

    @property
    def synapses(self) -> Iterator[str]:
        """Names of the Synapses."""
        return (g.name for g in self.program.groups.values() if g.kind == "Synapses")

    def of(self, slots: tuple[Slot, ...], owner: str) -> tuple[Slot, ...]:
        """Those of an object."""
        return tuple(s for s in slots if s.owner == owner)

    def is_plain(self, group: str) -> bool:
        """Whether resets come at once, and not in the next step: where sums read what they set."""
        read = {key for s in self.program.slots_of(Sum) for key in reads(s)}
        late = self.of(self.late, group)
        return bool(read & {key for s in late for key in s.written()})

    def added(self, slot: Slot) -> dict[str, list[int]]:
        """Variables of neurons into which a slot of synapses adds, with the places of the lines."""
        found: dict[str, list[int]] = {}
        for k, statement in enumerate(slot.statements):
            ref = slot.refs.get(statement.target)
            if ref is not None and self.side(slot, ref) is not None:
                found.setdefault(ref.variable, []).append(k)
        return found

    def side(self, slot: Slot, ref: Ref) -> str | None:
        """Whether a reference from a synapse leads to the "pre" or "post" neuron."""
        if ref.index == f"{slot.owner}._synaptic_post":
            return "post"
        return "pre" if ref.index == f"{slot.owner}._synaptic_pre" else None

    def ends(self, synapses: str) -> tuple[str, str]:
        """Populations at both ends of a Synapses; "" where nothing tells."""
        found = {"pre": "", "post": ""}
        for slot in self.program.slots:
            if slot.owner != synapses:
                continue
            for ref in slot.refs.values():
                side = self.side(slot, ref)
                owner = self.program.variables[ref.variable].owner
                if side and owner != synapses:
                    found[side] = owner
            match slot:
                case Sum(target=target) if side := self.side(slot, target):
                    found[side] = self.program.variables[target.variable].owner
                case Deliver(event=event):
                    found[self.direction(slot)] = event.split(".")[0]
                case _:
                    pass
        return found["pre"], found["post"]

    def direction(self, slot: Deliver) -> str:
        """Whether a pathway is driven by the "pre" or the "post" neuron."""
        return self.program.pathways[slot.pathway].side

    def deliveries(self, synapses: str, side: str) -> tuple[Deliver, ...]:
        """What spikes do that come from the "pre" or "post" neurons of a Synapses."""
        found = self.program.slots_of(Deliver, synapses)
        return tuple(slot for slot in found if self.direction(slot) == side)

    def edges(self, synapses: str) -> tuple[Array, Array]:
        """Pre- and postsynaptic neuron of each synapse."""
        held = self.program.variables
        pre = held[f"{synapses}._synaptic_pre"].value
        return pre, held[f"{synapses}._synaptic_post"].value

    def start(self, slot: Slot, index: str | None) -> int | None:
        """First element of a slot over a part of a group; None where the index is no such part."""
        size = self.program.groups[slot.owner].size
        if index is None:
            return 0 if slot.size == size else None
        places = self.program.indices[index]
        if len(places) and np.array_equal(places, np.arange(places[0], places[0] + len(places))):
            return int(places[0])
        return None

    def part(self, slot: Slot) -> tuple[int, int] | None:
        """Elements over which a slot of a group ranges; None where they are no range."""
        starts = {
            self.start(slot, ref.index)
            for ref in slot.refs.values()
            if not self.program.variables[ref.variable].scalar
            and self.program.variables[ref.variable].owner == slot.owner
        }
        if len(starts) != 1 or None in starts:
            return (0, slot.size) if slot.size == self.program.groups[slot.owner].size else None
        first = starts.pop()
        return None if first is None else (first, first + slot.size)
