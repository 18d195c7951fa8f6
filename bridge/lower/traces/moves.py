"""Moves: how each slot of a network changes the traces of an online rule, as data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from mirrorneuron.errors import GradientError

from ...program import Array, Deliver, Program, Slot, Sum, Update
from ..expression import names
from ..step import is_synaptic
from .carrier import Carrier, Delivery, SpikeSlope, by_turns, carrier, delivery
from .seat import Seat, elements_of, ends, leading
from .slopes import Seed, Slopes, is_state


class Trace(NamedTuple):
    """One trace variable: that of a variable, or of an event, at a seat."""

    seat: str
    key: str


class Term(NamedTuple):
    """What passes to a trace: a slope times another trace, or a slope alone.

    Arguments:
        seed: Names the slope.
        trace: The other trace; None where the parameter itself acts.
        place: Element of that trace for each element that is set.
    """

    seed: Seed
    trace: Trace | None
    place: Array


@dataclass(eq=False)
class Move:
    """How a slot changes a trace.

    Arguments:
        target: The trace.
        chosen: Which of its elements change.
        element: Element of the slot's slopes for each of these; with `goes`, of each pair.
        terms: What is added up.
        kind: "map": the terms take the trace's place; "keep": likewise, where a spike arrives;
            "pairs": each term is added to the element that it goes to; "reached": the slopes are
            summed over the synapses of the element that is reached; "own": the term of the one
            synapse; "spikes": what a spike is worth at the other end; "filter": the trace of a
            spike itself.
        goes: Element of the trace to which each pair is added.
    """

    target: Trace
    chosen: Array
    element: Array
    terms: list[Term]
    kind: Literal["map", "pairs", "reached", "own", "keep", "spikes", "filter"] = "map"
    goes: Array | None = None

    @property
    def sources(self) -> set[Trace]:
        """Traces that it reads."""
        return {term.trace for term in self.terms if term.trace is not None}

    @property
    def acts(self) -> bool:
        """Whether the parameter itself acts here."""
        return any(term.trace is None for term in self.terms)


@dataclass
class Part:
    """A slot with what it does to traces.

    Arguments:
        slot: The slot.
        carrier: Where its slopes are.
        moves: What happens to traces.
        delivery: What the synapses do, if it delivers.
    """

    slot: Slot
    carrier: Carrier | None = None
    moves: list[Move] = field(default_factory=list[Move])
    delivery: Delivery | None = None

    @property
    def gated(self) -> bool:
        """Whether the slopes hold for some elements alone."""
        return self.delivery is not None or (self.carrier is not None and bool(self.carrier.spiked))

    def row(self, move: Move) -> Slopes:
        """The slopes of a move."""
        if self.carrier is not None:
            return self.carrier.rows[move.target.key]
        if self.delivery is None:
            return {}
        rows = self.delivery.kept if move.kind == "keep" else self.delivery.added
        return rows[move.target.key]


class Moves:
    """What the slots of a network do to traces.

    Arguments:
        program: The network.
        seats: Where traces are kept.
        spikes: What stands for the derivative of each event that has one.
    """

    def __init__(
        self, program: Program, seats: Sequence[Seat], spikes: Mapping[str, SpikeSlope]
    ) -> None:
        self.program, self.spikes = program, spikes
        self.seats = {seat.name: seat for seat in seats}
        self.at = {(s.parameter, s.group): s for s in seats if s.kind != "filter"}
        self.parameters = list(dict.fromkeys(seat.parameter for seat in seats))
        self.cuts: dict[str, None] = {}
        self.refused: dict[str, str] = {}
        self.parts = [self._part(slot) for slot in program.slots]

    def changes(self, key: str) -> bool:
        """Whether a key is an event with a derivative, or a variable that has traces."""
        known = key in self.program.variables
        return key in self.spikes or (known and is_state(self.program, key))

    def at_group(self, key: str) -> list[Seat]:
        """Seats with traces of a variable or of an event."""
        owner = key.partition(".")[0]
        return [seat for seat in self.seats.values() if seat.group == owner]

    def _part(self, slot: Slot) -> Part:
        if isinstance(slot, Deliver):
            made = delivery(self.program, slot, self.parameters)
            return Part(slot, None, list(self._delivered(made)), made)
        if isinstance(slot, Update) and is_synaptic(self.program, slot):
            self.refused |= by_turns(self.program, slot, self.parameters)
            return Part(slot)
        made = carrier(self.program, slot, self.parameters, self.spikes)
        if made is None:
            return Part(slot)
        self.refused |= {key: made.refused for key in made.rows if made.refused}
        moves = self._summed(made) if isinstance(slot, Sum) else self._mapped(made)
        return Part(slot, made, list(moves))

    def require_filters(self, read: Sequence[str]) -> None:
        """Refuse what reaches a readout otherwise than by spikes, where filters stand for traces.

        Arguments:
            read: What the loss reads.
        """
        groups = leading(self.program, read)
        for part in self.parts:
            rows = part.carrier.rows if part.carrier is not None else {}
            if part.delivery is not None:
                rows = {**part.delivery.kept, **part.delivery.added}
            for key, row in rows.items():
                group = key.partition(".")[0]
                for seed in row if group in groups else ():
                    if seed.key not in self.spikes:
                        self._require_filtered(part.slot, key, group, seed)
            if part.delivery is not None:
                event = Seed(part.delivery.slot.event)
                for key in part.delivery.kept:
                    if key.partition(".")[0] in groups and is_state(self.program, key):
                        self._require_filtered(part.slot, key, key.partition(".")[0], event)

    def _require_filtered(self, slot: Slot, key: str, group: str, seed: Seed) -> None:
        other = seed.key.partition(".")[0]
        for parameter in self.parameters if other != group else ():
            acts = seed.key == parameter
            acts |= self.changes(seed.key) and (parameter, other) in self.at
            if acts and (parameter, group) not in self.at:
                raise GradientError(
                    f"rule=mn.EProp(...): {slot.name} changes {key!r} by {seed.key!r}, on which"
                    f" {parameter!r} acts, and a readout is to filter spikes. Write"
                    " rule=mn.RTRL(...)."
                )

    def _cut(self, what: str) -> None:
        self.cuts[what] = None

    def _mapped(self, made: Carrier) -> Iterator[Move]:
        """Moves of a slot that sets each element by itself."""
        for key, row in made.rows.items():
            if key not in self.spikes and not is_state(self.program, key):
                if row:
                    self._cut(f"{made.slot.name}: {key} is shared by all elements")
                continue
            inverse = np.full(elements_of(self.program, key), -1)
            inverse[made.element[key]] = np.arange(len(made.element[key]))
            for seat in self.at_group(key):
                if seat.kind == "filter":
                    yield self._filtered(seat, key, made, row)
                    continue
                element = inverse[seat.element]
                for chosen in self._split(seat, made.slot, row, element):
                    terms = self._terms_of(
                        seat.parameter, seat.origin[chosen], made.slot, row, element[chosen]
                    )
                    yield Move(Trace(seat.name, key), chosen, element[chosen], terms)

    def _split(self, seat: Seat, slot: Slot, row: Slopes, element: Array) -> list[Array]:
        """Elements of a seat that a slot sets, those on which the parameter itself acts apart.

        Arguments:
            seat, slot, row: Where traces are, the slot, its slopes.
            element: Element of the slot for each element of the seat; -1 where there is none.
        """
        chosen = np.flatnonzero(element >= 0)
        direct = [seed for seed in row if seed.key == seat.parameter]
        if seat.kind != "every" or self.changes(seat.parameter) or not direct:
            return [chosen]
        own = self._seen(slot, direct[0], element[chosen]) == seat.origin[chosen]
        return [part for part in (chosen[own], chosen[~own]) if len(part)]

    def _filtered(self, seat: Seat, key: str, made: Carrier, row: Slopes) -> Move:
        """A move of a filter: that of any unit of a readout all of whose units are alike."""
        changing = changing_names(self.program, made.code)
        own = {seed: tree for seed, tree in row.items() if seed.key != seat.parameter}
        for seed, tree in own.items():
            other = seed.key.partition(".")[0] != seat.group
            if self.changes(seed.key) and (other or changing & set(names(tree))):
                raise GradientError(
                    f"rule=mn.EProp(...): the units of {seat.group!r} are no filters of spikes that"
                    f" are all alike: {made.slot.name} changes {key} by {seed.key} by a factor that"
                    " is not the same for all units at all times. Write rule=mn.RTRL(...), which"
                    " carries the traces of each unit."
                )
        whole = np.arange(seat.size)
        terms = [Term(seed, Trace(seat.name, seed.key), whole) for seed in own
                 if self.changes(seed.key)]  # fmt: skip
        return Move(Trace(seat.name, key), whole, np.zeros(seat.size, np.int64), terms)

    def _term(
        self, parameter: str, origin: Array, slot: Slot, seed: Seed, element: Array
    ) -> Term | None:
        """What passes through one slope."""
        seen = self._seen(slot, seed, element)
        if seed.key == parameter and not self.changes(seed.key):
            return self._own(parameter, origin, slot, seed, seen)
        if not self.changes(seed.key):
            return None
        seat = self.at.get((parameter, seed.key.partition(".")[0]))
        place = None if seat is None else seat.find(origin, seen)
        if seat is None or place is None:
            return None
        return Term(seed, Trace(seat.name, seed.key), place)

    def _own(
        self, parameter: str, origin: Array, slot: Slot, seed: Seed, seen: Array
    ) -> Term | None:
        """What the parameter itself does."""
        variable = self.program.variables.get(parameter)
        if variable is None or variable.scalar or (seen == origin).all():
            return Term(seed, None, seen)
        if (seen == origin).any() and seed.index is not None:
            raise GradientError(
                f"an online rule: {slot.name} reads {parameter!r} of other elements than its own,"
                " and traces are kept of a neuron's own. Write rule=mn.BPTT()."
            )
        return None

    def _seen(self, slot: Slot, seed: Seed, element: Array) -> Array:
        """Element of a variable that each element of a slot sees."""
        if seed.index is not None:
            return self.program.indices[seed.index][element]
        if (
            seed.key in self.program.variables
            and elements_of(self.program, seed.key) == 1
            and slot.size != 1
        ):
            return np.zeros_like(element)
        return element

    def _summed(self, made: Carrier) -> Iterator[Move]:
        """Moves of a sum over synapses."""
        ((key, row),) = made.rows.items()
        goes, count = made.element[key], made.slot.size
        for seat in self.at_group(key):
            if seat.kind == "filter":
                self._refuse_sum(made.slot, key)
            yield from self._over_synapses(seat, made.slot, key, row, goes, count)

    def _over_synapses(
        self, seat: Seat, slot: Slot, key: str, row: Slopes, goes: Array, count: int
    ) -> Iterator[Move]:
        """What synapses add to a trace of the elements that they reach.

        Arguments:
            seat: Where the trace is.
            slot, key, row: The slot, what is added up, the slopes.
            goes: Element that each synapse reaches.
            count: Number of synapses.
        """
        target, synapse = Trace(seat.name, key), np.arange(count)
        if seat.kind == "each":
            terms = self._terms_of(seat.parameter, np.zeros(count, np.int64), slot, row, synapse)
            yield Move(target, synapse, synapse, terms, "pairs", goes)
        elif seat.kind == "every":
            for seed in row:
                yield from self._every_pair(seat, slot, key, seed, goes)
        else:
            yield from self._of_one(seat, slot, key, row, goes, count)

    @staticmethod
    def _refuse_sum(slot: Slot, key: str) -> None:
        raise GradientError(
            f"rule=mn.EProp(...): {slot.name} sets {key} to a sum over synapses, and a readout is"
            " to filter spikes. Write rule=mn.RTRL(...)."
        )

    def _every_pair(
        self, seat: Seat, slot: Slot, key: str, seed: Seed, goes: Array
    ) -> Iterator[Move]:
        """What synapses pass on through one slope, of all traces of what each of them sees."""
        source = self.at.get((seat.parameter, seed.key.partition(".")[0]))
        synapse = np.arange(len(goes))
        seen = self._seen(slot, seed, synapse)
        if seed.key == seat.parameter and not self.changes(seed.key):
            place = seat.find(seen, goes)
            yield Move(Trace(seat.name, key), synapse, synapse, [Term(seed, None, seen)], "pairs",
                       place)  # fmt: skip
        if source is None or not self.changes(seed.key):
            return
        trace, pair = joins(source.element, seen)
        place = seat.find(source.origin[trace], goes[pair])
        if place is not None and len(trace):
            term = Term(seed, Trace(source.name, seed.key), trace)
            yield Move(Trace(seat.name, key), pair, pair, [term], "pairs", place)

    def _of_one(
        self, seat: Seat, slot: Slot, key: str, row: Slopes, goes: Array, count: int
    ) -> Iterator[Move]:
        """The same of the traces of one synapse, or neuron, each."""
        target = Trace(seat.name, key)
        theirs = {s: t for s, t in row.items() if self._is_reached(s, goes)}
        trace = np.arange(seat.size)
        terms = [t for s in theirs
                 if (t := self._at_reached(seat, s, trace)) is not None]  # fmt: skip
        if terms:
            yield Move(target, trace, seat.element, terms, "reached")
        mine = seat.parameter.partition(".")[0] == slot.owner and seat.size == count
        rest = {s: t for s, t in row.items() if s not in theirs}
        for seed in rest if not mine else ():
            other = seat.parameter, seed.key.partition(".")[0]
            if seed.key == seat.parameter or (self.changes(seed.key) and other in self.at):
                self._cut(f"{slot.name}: what {seed.key} does to {key} of other elements")
        if seat.kind == "own" and mine:
            own = self._terms_of(seat.parameter, trace, slot, rest, trace)
            yield Move(target, trace, trace, own, "own")

    def _terms_of(
        self, parameter: str, origin: Array, slot: Slot, row: Slopes, element: Array
    ) -> list[Term]:
        """What passes to some traces.

        Arguments:
            parameter: Key of the parameter.
            origin: Its element for each of them.
            slot, row: The slot, and its slopes.
            element: Element of the slot for each of them.
        """
        found = (self._term(parameter, origin, slot, seed, element) for seed in row)
        return [term for term in found if term is not None]

    def _is_reached(self, seed: Seed, goes: Array) -> bool:
        """Whether synapses see, through a slope, the element that they reach."""
        return seed.index is not None and np.array_equal(self.program.indices[seed.index], goes)

    def _at_reached(self, seat: Seat, seed: Seed, trace: Array) -> Term | None:
        """What passes from what the reached element is."""
        origin, element = seat.origin[trace], seat.element[trace]
        if seed.key == seat.parameter and not self.changes(seed.key):
            return Term(seed, None, element) if (origin == element).all() else None
        other = self.at.get((seat.parameter, seed.key.partition(".")[0]))
        place = None if other is None else other.find(origin, element)
        if other is None or place is None:
            return None
        return Term(seed, Trace(other.name, seed.key), place)

    def _delivered(self, made: Delivery) -> Iterator[Move]:
        """Moves of synapses that deliver."""
        slot, count = made.slot, made.slot.size
        for key, row in made.kept.items():
            for seat in self.at_group(key) if is_state(self.program, key) else []:
                for chosen in self._split(seat, slot, row, seat.element):
                    element = seat.element[chosen]
                    terms = self._terms_of(seat.parameter, seat.origin[chosen], slot, row, element)
                    yield Move(Trace(seat.name, key), chosen, element, terms, "keep")
                yield from self._kept_by_spikes(seat, made, key)
        for key, row in made.added.items():
            for seat in self.at_group(key) if is_state(self.program, key) else []:
                if seat.kind == "filter":
                    yield from self._into_filter(seat, made, key)
                    continue
                yield from self._arriving(seat, slot, key, row, made.goes[key], count)
                yield from self._transmitted(seat, slot, key, made.goes[key])

    def _kept_by_spikes(self, seat: Seat, made: Delivery, key: str) -> Iterator[Move]:
        """What a spike that a parameter makes more likely adds to variables of synapses."""
        moves = list(self._transmitted(seat, made.slot, key, np.arange(made.slot.size)))
        if moves and key not in made.worth:
            raise GradientError(
                f"an online rule: {made.slot.name} changes {key!r}, which goes on by event-driven"
                " equations that act on each other, and what a spike is worth does not follow from"
                " what is stored. Write (clock-driven) for them, or rule=mn.BPTT()."
            )
        yield from moves

    def _into_filter(self, seat: Seat, made: Delivery, key: str) -> Iterator[Move]:
        """What a spike adds to the filter of its trace."""
        source, slot = self.seats[seat.source], made.slot
        if slot.name not in seat.ways or key != seat.entry or slot.event not in self.spikes:
            return
        delays = np.unique(self.program.pathways[slot.pathway].delay)
        depends = changing_names(self.program, slot) & set(names(made.worth[key]))
        reads = [n for n in depends if n in slot.refs and self.changes(slot.refs[n].variable)]
        if len(delays) > 1 or reads or made.alone:
            why = "delays of several lengths" if len(delays) > 1 else "weights that change"
            raise GradientError(
                f"rule=mn.EProp(...): the synapses {slot.owner!r} to {seat.group!r} have {why}, and"
                " one trace stands for all of them. Write rule=mn.RTRL(...)."
            )
        if slot.name != seat.ways[0]:  # they add to one trace, and weigh what it sends back
            return
        whole = np.arange(seat.size)
        term = Term(Seed(slot.event), Trace(source.name, slot.event), whole)
        yield Move(Trace(seat.name, key), whole, whole, [term], "filter")

    def _arriving(
        self, seat: Seat, slot: Slot, key: str, row: Slopes, goes: Array, count: int
    ) -> Iterator[Move]:
        """What arriving spikes add to traces of the neurons that they reach."""
        yield from self._of_one(seat, slot, key, row, goes, count)
        rest = {s: t for s, t in row.items() if not self._is_reached(s, goes)}
        synapse = np.arange(count)
        if seat.kind == "each":
            terms = self._terms_of(seat.parameter, np.zeros(count, np.int64), slot, rest, synapse)
            yield Move(Trace(seat.name, key), synapse, synapse, terms, "pairs", goes)
        elif seat.kind == "every":
            for seed in rest:
                yield from self._every_pair(seat, slot, key, seed, goes)

    def _transmitted(self, seat: Seat, slot: Deliver, key: str, goes: Array) -> Iterator[Move]:
        """What a spike that a parameter makes more likely adds to a group that does not spike."""
        group = slot.event.partition(".")[0]
        source = self.at.get((seat.parameter, group))
        if source is None or slot.event not in self.spikes:
            return
        spiking = self.program.spiking()
        onward = {seat.group, *dict(ends(self.program, slot.owner))}
        if onward & set(spiking) or seat.kind == "own":
            self._cut(f"{slot.name}: what a spike of {group} does to {seat.group}")
            return
        sources = self.program.pathways[slot.pathway].source
        trace, synapse = joins(source.element, sources)
        place = seat.find(source.origin[trace], goes[synapse])
        if place is not None and len(trace):
            term = Term(Seed(slot.event), Trace(source.name, slot.event), trace)
            yield Move(Trace(seat.name, key), synapse, synapse, [term], "spikes", place)


def changing_names(program: Program, slot: Slot) -> set[str]:
    """Names in a slot whose values change, or differ from element to element."""
    written = program.written()
    found = {n for n, ref in slot.refs.items() if ref.variable in written
             or np.unique(program.variables[ref.variable].value).size > 1}  # fmt: skip
    found |= {name for name, meaning in slot.clock.items() if meaning != "dt"}
    for statement in slot.statements:
        if found & set(names(statement.tree)):
            found.add(statement.target)
    return found


def joins(left: Array, right: Array) -> tuple[Array, Array]:
    """All pairs of places at which two lists hold the same number."""
    order = np.argsort(right, kind="stable")
    first = np.searchsorted(right[order], left, side="left")
    count = np.searchsorted(right[order], left, side="right") - first
    a = np.repeat(np.arange(len(left)), count)
    offset = np.arange(len(a)) - np.repeat(np.cumsum(count) - count, count)
    return a, order[np.repeat(first, count) + offset]
