"""Seats: where the traces of an online rule are kept.

A trace is the derivative of one variable of one element by one parameter. A seat holds those of
all variables of a group by one parameter, for chosen pairs of an element of the parameter and an
element of the group. The choice is the approximation: what a seat does not hold counts as zero.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mirrorneuron.errors import GradientError

from ...program import Array, Deliver, Program, Ref, Slot, Sum
from ..expression import names
from .slopes import is_state

FULL = 50_000_000

Kind = Literal["each", "own", "every", "filter"]


@dataclass(frozen=True)
class Seat:
    """Traces of the variables of a group by a parameter.

    Arguments:
        name: Owner of the traces as variables, `E_by_ee_w`.
        parameter: Key of the parameter, `ee.w`.
        group: Object whose variables are differentiated, `E`.
        origin: Element of the parameter of each trace.
        element: Element of the group of each trace; of a filter, element of the group that spikes.
        kind: "each": a parameter that all share, and each element of the group; "own": a parameter
            of a synapse or neuron, and the one element that it acts on; "every": each element of
            the parameter and each of the group; "filter": one trace for each trace of the spikes
            that reach the group, as of a unit that receives them with weight one.
        source: Name of the seat of these spikes.
        entry: Key of the variable to which these spikes are added.
        ways: Names of the slots that add them to it, after the same delay.
    """

    name: str
    parameter: str
    group: str
    origin: Array
    element: Array
    kind: Kind
    source: str = ""
    entry: str = ""
    ways: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of traces of a variable."""
        return len(self.origin)

    def key(self, variable: str) -> str:
        """Key of the trace of a variable, or of an event."""
        name = variable.partition(".")[2]
        return f"{self.name}.{'of_' if name == 'spike' else ''}{name}"

    def find(self, origin: Array, element: Array) -> Array | None:
        """Where the traces of some pairs are; None where the seat lacks one of them.

        Arguments:
            origin: Element of the parameter of each pair; of a shared one anything.
            element: Element of the group of each pair.
        """
        if not self.size:
            return np.zeros(0, np.int64) if not len(element) else None
        if self.kind == "each":
            return element
        if self.kind == "every":
            return origin * (int(self.element.max()) + 1) + element
        if self.kind == "filter":
            return None
        by_origin = len(np.unique(self.origin)) == self.size and len(self.origin) > 0
        place = self._place(self.origin if by_origin else self.element,
                            origin if by_origin else element)  # fmt: skip
        if place is None:
            return None
        same = (self.origin[place] == origin) & (self.element[place] == element)
        return place if same.all() else None

    @staticmethod
    def _place(known: Array, wanted: Array) -> Array | None:
        """Where values stand in a list without doubles."""
        order = np.argsort(known, kind="stable")
        found = np.searchsorted(known, wanted, sorter=order)
        return order[found] if (found < len(known)).all() else None


def seats(
    program: Program, parameters: Sequence[str], read: Sequence[str], filtered: bool
) -> list[Seat]:
    """Where the traces of each parameter are kept.

    Arguments:
        program: The network.
        parameters: Keys of what is trained.
        read: What the loss reads.
        filtered: Whether groups without spikes have filters, and no traces of each element.

    Raises:
        GradientError: There would be too many.
    """
    silent = [name for name in stateful(program) if name not in program.spiking()]
    left = {name for name in silent if _ends_at_neurons(program, name, read)}

    def keeps(key: str, group: str) -> bool:
        far = filtered and group in silent and not _acts_on(program, key, group)
        return not far and (group not in left or group == key.partition(".")[0])

    near = [seat for key in parameters for seat in _seats_of(program, key, keeps)]
    if not filtered:
        return near
    ends_here = [name for name in silent if name in leading(program, read)]
    return [*near, *(made for seat in near for made in _filters(program, seat, ends_here))]


def _ends_at_neurons(program: Program, name: str, read: Sequence[str]) -> bool:
    """Whether a group is synapses to neurons that spike, which pass on no traces of others."""
    reached = set(dict(ends(program, name)))
    spiking = set(program.spiking())
    return bool(reached) and reached <= spiking and name not in {k.partition(".")[0] for k in read}


def _acts_on(program: Program, key: str, group: str) -> bool:
    """Whether a parameter is one of the synapses that end on a group, or of the group itself."""
    owner = key.partition(".")[0]
    return group == owner or group in dict(ends(program, owner))


def _filters(program: Program, seat: Seat, silent: Sequence[str]) -> Iterator[Seat]:
    """Filters of the traces of spikes, in the groups that receive these.

    There is one for each variable to which spikes are added, each kind of event and each delay.
    """
    ways: dict[tuple[str, Any], list[str]] = {}
    for slot in program.slots_of(Deliver):
        for key in _added(slot) if slot.event.partition(".")[0] == seat.group else ():
            if key.partition(".")[0] in silent:
                same = slot.event, program.pathways[slot.pathway].max_delay, slot.when, slot.every
                ways.setdefault((key, same), []).append(slot.name)
    count: dict[str, int] = {}
    for (key, _), slots in ways.items():
        group = key.partition(".")[0]
        base = f"{group}_by_{seat.parameter.replace('.', '_')}_of_{seat.group}"
        count[group] = count.get(group, 0) + 1
        name = base if count[group] == 1 else f"{base}_{count[group]}"
        yield Seat(name, seat.parameter, group, seat.origin, seat.element, "filter", seat.name,
                   key, tuple(slots))  # fmt: skip


def _added(slot: Deliver) -> list[str]:
    """Keys of the variables of neurons that a slot of synapses sets."""
    targets = [slot.refs[s.target] for s in slot.statements if s.target in slot.refs]
    return list(dict.fromkeys(ref.variable for ref in targets if ref.index is not None))


def _seats_of(program: Program, key: str, keeps: Callable[[str, str], bool]) -> Iterator[Seat]:
    """Seats of a parameter, in the groups that keep its traces."""
    owner = key.partition(".")[0]
    variable = program.variables.get(key)
    short = key.replace(".", "_")

    def seat(group: str, origin: Array, element: Array, kind: Any) -> Seat:
        return Seat(f"{group}_by_{short}", key, group, origin, element, kind)

    changing = stateful(program)
    if variable is None or variable.scalar:
        for group in (g for g in changing if keeps(key, g)):
            whole = np.arange(program.groups[group].size)
            yield seat(group, np.zeros(len(whole), np.int64), whole, "each")
        return
    whole = np.arange(len(variable.value))
    reached = dict(ends(program, owner))
    after = _silent_after(program, [owner, *reached])
    coupled = {group for group in after if group in _silent_after(program, [group])}
    alone = {owner: whole, **reached} if owner in changing else reached
    for group, array in alone.items():
        if group not in coupled and keeps(key, group):
            yield seat(group, whole, array, "own")
    for group in after:
        if (group not in alone or group in coupled) and keeps(key, group):
            yield _every(seat, program, key, group, len(whole))


def _every(seat: Any, program: Program, key: str, group: str, count: int) -> Seat:
    size = program.groups[group].size
    if count * size > FULL:
        raise GradientError(
            f"an online rule: {key!r} has {count:,} elements and {group!r} has {size:,}, and each"
            f" variable of {group!r} would need a trace for each pair, {count * size:,}, of which"
            f" {FULL:,} are the most. Write rule=mn.EProp(...), which needs one trace for each"
            f" parameter where {group!r} filters spikes, or give {group!r} fewer elements."
        )
    origin, element = np.repeat(np.arange(count), size), np.tile(np.arange(size), count)
    return seat(group, origin, element, "every")


def stateful(program: Program) -> list[str]:
    """Objects with real numbers that change during a run."""
    written = sorted(program.written())
    owners = dict.fromkeys(k.partition(".")[0] for k in written if is_state(program, k))
    return [name for name in program.groups if name in owners]


def ends(program: Program, owner: str) -> Iterator[tuple[str, Array]]:
    """Groups on which the synapses of an object act, and the element that each reaches."""
    for slot in program.slots:
        if slot.owner != owner or not isinstance(slot, Deliver | Sum):
            continue
        targets = [slot.refs[s.target] for s in slot.statements if s.target in slot.refs]
        targets += [slot.target] if isinstance(slot, Sum) else []
        for ref in targets:
            if ref.index is not None:
                yield ref.variable.partition(".")[0], program.indices[ref.index]


def _silent_after(program: Program, start: Sequence[str]) -> list[str]:
    """Groups without spikes that are reached from some objects, through such groups alone."""
    spiking = set(program.spiking())
    found: dict[str, None] = {}
    todo = list(start)
    while todo:
        source = todo.pop()
        for group in _reached(program, source):
            if group not in spiking and group not in found and group in stateful(program):
                found[group] = None
                todo.append(group)
    return list(found)


def leading(program: Program, read: Sequence[str]) -> set[str]:
    """Groups without spikes that lead, through such groups alone, to what the loss reads."""
    owners = {key.partition(".")[0] for key in read}
    silent = [name for name in stateful(program) if name not in program.spiking()]
    return {g for g in silent if owners & {g, *_silent_after(program, [g])}}


def _reached(program: Program, source: str) -> Iterator[str]:
    """Groups whose variables are set by the spikes or the values of one.

    It is among them where some of its elements set others.
    """
    for slot in program.slots:
        reads = {ref.variable.partition(".")[0] for ref in _read(slot)}
        spikes = isinstance(slot, Deliver) and slot.event.partition(".")[0] == source
        if spikes or source in reads or slot.owner == source:
            yield from {key.partition(".")[0] for key in slot.written()} - {source}
        if source in reads and _couples(program, slot, source):
            yield source


def _read(slot: Slot) -> list[Ref]:
    """What the statements of a slot read, besides what they add to."""
    read = {name for s in slot.statements for name in names(s.tree)} | set(slot.guards.values())
    return [ref for name, ref in slot.refs.items() if name in read]


def _couples(program: Program, slot: Slot, group: str) -> bool:
    """Whether a slot sets elements of a group by other elements of it."""
    targets = [slot.refs[s.target] for s in slot.statements if s.target in slot.refs]
    targets += [slot.target] if isinstance(slot, Sum) else []
    mine = [r for r in targets if r.variable.partition(".")[0] == group]
    read = [r for r in _read(slot) if r.variable.partition(".")[0] == group]
    sets = {_seen(program, ref) for ref in mine}
    reads = {_seen(program, ref) for ref in read if is_state(program, ref.variable)}
    return bool(sets) and len(sets | reads) > 1


def _seen(program: Program, ref: Ref) -> bytes:
    """Which elements of a variable a slot sees, to compare."""
    return b"" if ref.index is None else program.indices[ref.index].tobytes()


def elements_of(program: Program, key: str) -> int:
    """Number of elements of a variable of a network, or of the group of an event."""
    if key in program.variables:
        return program.variables[key].value.size
    return program.groups[key.partition(".")[0]].size
