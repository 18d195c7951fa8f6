r"""Eligibility: a network with the traces of an online rule beside its variables.

The derivative of a network's state h by a parameter p obeys, step for step,
$\varepsilon \leftarrow \Phi_h\,\varepsilon + \Phi_p$, forward in time and with a memory that does
not grow with it. Kept are the derivatives within a neuron: of all variables of the neuron that a
synapse ends on by its weight, of a neuron's variables by its own parameters, of everything by what
all share. What a spike does to other neurons is left out, except where it reaches groups that do
not spike (readouts, muscles, a skeleton): there the traces of all elements are carried along.

The result is a Program: the traces are variables, what changes them are slots, and any engine runs
them. The derivative of a spike is $e = \psi\,\nabla g \cdot \varepsilon$ with the surrogate ψ and
the margin g; the loss comes in as signals, its derivatives by recorded variables and spikes, and
what they find is summed in variables named `gradient`.

Source: the frame is that of Williams & Zipser 1989, doi:10.1162/neco.1989.1.2.270; within neurons
alone: Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, and Zenke & Neftci 2021,
doi:10.1109/JPROC.2020.3045625. The slots are derived here from the statements of any Program.
"""

import ast
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from mirrorneuron.errors import GradientError
from mirrorneuron.units import Dimensions

from ..program import (
    Array,
    Deliver,
    Group,
    Program,
    Ref,
    Slot,
    Statement,
    Sum,
    Threshold,
    Update,
    Variable,
)
from .carrier import Carrier, Delivery, SpikeSlope, beside, carrier, delivery
from .derivative import ONE, ZERO, plus, times
from .expression import names
from .functions import FUNCTIONS
from .seat import Seat
from .slopes import Seed, Slopes, define, is_state, where
from .step import is_synaptic

NUMBER = Dimensions()
FULL = 50_000_000


@dataclass(frozen=True)
class Total:
    """Where the gradient of a parameter gathers.

    Arguments:
        key: Key of the variable.
        origin: Element of the parameter of each of its elements; None where all share it.
    """

    key: str
    origin: Array | None


@dataclass(frozen=True)
class Eligibility:
    """A network with traces.

    Arguments:
        program: The network, its traces and their slots.
        totals: Parameter to where its gradient gathers.
        signals: What the loss reads, "E.v" or "E.spike", to the variable that takes its derivative.
        cuts: What the rule leaves out, a sentence each.
    """

    program: Program
    totals: Mapping[str, Sequence[Total]]
    signals: Mapping[str, str]
    cuts: Sequence[str]


def eligibility(
    program: Program,
    parameters: Sequence[str],
    read: Sequence[str],
    spikes: Mapping[str, SpikeSlope],
    feedback: Mapping[str, Array] | Literal["exact", "symmetric"] = "exact",
) -> Eligibility:
    """A network with the traces that an online rule needs.

    Arguments:
        program: The network.
        parameters: Keys of the variables and constants that are trained.
        read: What the loss reads: keys of variables, and of events, "E.spike".
        spikes: What stands for the derivative of each event that has one.
        feedback: How the derivatives by readouts reach the neurons that spike: "exact", by traces
            of each readout unit; "symmetric", through the synapses to the readout, backward, with
            one trace for all units; or likewise through weights of their own, by the name of the
            synapses.

    Raises:
        GradientError: A statement, or what the loss reads, has no such traces; or no trace of a
            parameter reaches what the loss reads.
    """
    seats = _seats(program, parameters, feedback != "exact")
    weights = feedback if isinstance(feedback, Mapping) else {}
    return _Builder(program, seats, read, spikes, weights).built()


# ---- seats


def _seats(program: Program, parameters: Sequence[str], filtered: bool) -> list[Seat]:
    """Where the traces of each parameter are kept."""
    seats = [seat for key in parameters for seat in _seats_of(program, key)]
    if not filtered:
        return seats
    silent = [name for name in _stateful(program) if name not in program.spiking()]
    near = [s for s in seats if s.group not in silent or _acts_on(program, s.parameter, s.group)]
    return [*near, *(made for seat in near for made in _filters(program, seat, silent))]


def _acts_on(program: Program, key: str, group: str) -> bool:
    """Whether a parameter is one of the synapses that end on a group, or of the group itself."""
    owner = key.partition(".")[0]
    return group == owner or group in dict(_ends(program, owner))


def _filters(program: Program, seat: Seat, silent: Sequence[str]) -> Iterator[Seat]:
    """Filters of the traces of spikes, in the groups that receive these."""
    event = f"{seat.group}.spike"
    for slot in program.slots_of(Deliver):
        for group in dict(_ends(program, slot.owner)) if slot.event == event else {}:
            if group in silent:
                name = f"{group}_by_{seat.parameter.replace('.', '_')}_of_{seat.group}"
                yield Seat(name, seat.parameter, group, seat.origin, seat.element, "filter",
                           seat.name)  # fmt: skip


def _seats_of(program: Program, key: str) -> Iterator[Seat]:
    owner = key.partition(".")[0]
    variable = program.variables.get(key)
    short = key.replace(".", "_")

    def seat(group: str, origin: Array, element: Array, kind: Any) -> Seat:
        return Seat(f"{group}_by_{short}", key, group, origin, element, kind)

    stateful = _stateful(program)
    if variable is None or variable.scalar:
        for group in stateful:
            whole = np.arange(program.groups[group].size)
            yield seat(group, np.zeros(len(whole), np.int64), whole, "each")
        return
    whole = np.arange(len(variable.value))
    if owner in stateful:
        yield seat(owner, whole, whole, "own")
    ends = dict(_ends(program, owner))
    after = _silent_after(program, [owner, *ends])
    coupled = {group for group in after if group in _silent_after(program, [group])}
    for group, array in ends.items():
        if group not in coupled:
            yield seat(group, whole, array, "own")
    for group in after:
        if group != owner and (group not in ends or group in coupled):
            yield _every(seat, program, group, len(whole))


def _every(seat: Any, program: Program, group: str, count: int) -> Seat:
    size = program.groups[group].size
    if count * size > FULL:
        raise GradientError(
            f"the traces of {count} parameters in {group!r}, of {size} elements, are"
            f" {count * size:,}. Read the loss from fewer units, or write rule=mn.EProp(...), which"
            " needs one trace for each."
        )
    origin, element = np.repeat(np.arange(count), size), np.tile(np.arange(size), count)
    return seat(group, origin, element, "every")


def _stateful(program: Program) -> list[str]:
    """Objects with real numbers that change during a run."""
    written = sorted(program.written())
    owners = dict.fromkeys(k.partition(".")[0] for k in written if is_state(program, k))
    return [name for name in program.groups if name in owners]


def _ends(program: Program, owner: str) -> Iterator[tuple[str, Array]]:
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
            if group not in spiking and group not in found and group in _stateful(program):
                found[group] = None
                todo.append(group)
    return list(found)


def _reached(program: Program, source: str) -> Iterator[str]:
    """Groups whose variables are set by the spikes or the values of one."""
    for slot in program.slots:
        reads = {ref.variable.partition(".")[0] for ref in slot.refs.values()}
        spikes = isinstance(slot, Deliver) and slot.event.partition(".")[0] == source
        if spikes or source in reads or slot.owner == source:
            yield from {key.partition(".")[0] for key in slot.written()} - {source}


# ---- the text of new slots


class _Code:
    """Statements of a new slot.

    Arguments:
        builder: Knows variables and index arrays.
        name: Of the slot.
        like: The slot beside which it runs.
        size: Number of its elements.
    """

    def __init__(self, builder: "_Builder", name: str, like: Slot, size: int) -> None:
        self.builder, self.name, self.like, self.size = builder, name, like, size
        self.refs: dict[str, Ref] = {}
        self.lines: list[Statement] = []

    def name_of(self, key: str, place: Array | None) -> str:
        """Local name of a variable seen through an index array; None for element by element."""
        size = self.builder.size(key)
        index = None if place is None else self.builder.index(place, size)
        wanted = Ref(key, index)
        for name, ref in self.refs.items():
            if ref == wanted:
                return name
        base = key.replace(".", "_")
        name, count = base, 1
        while name in self.refs:
            count += 1
            name = f"{base}_{count}"
        self.refs[name] = wanted
        return name

    def read(self, key: str, place: Array | None = None) -> ast.expr:
        """A variable."""
        return ast.Name(self.name_of(key, place), ast.Load())

    def define(self, name: str, tree: ast.expr) -> ast.expr:
        """A local name."""
        self.lines.append(define(name, tree))
        return ast.Name(name, ast.Load())

    def set(self, key: str, tree: ast.expr, place: Array | None = None, op: str = "=") -> None:
        """Give a variable a value."""
        self.lines.append(define(self.name_of(key, place), tree, op=op))

    def update(self) -> Update:
        """The slot."""
        return Update(name=self.name, owner=self.like.owner, size=self.size, **self._common())

    def sum(self, target: Ref, size: int) -> Sum:
        """The slot, its last line summed over an index array."""
        common = self._common()
        return Sum(name=self.name, owner=self.like.owner, size=self.size, target=target,
                   span=(0, size), **common)  # fmt: skip

    def _common(self) -> dict[str, Any]:
        like = self.like
        used = {name for s in self.lines for name in names(s.tree)}
        return {
            "when": like.when, "order": like.order, "dt": like.dt, "every": like.every,
            "clock_dt": like.clock_dt, "vector": tuple(self.lines), "refs": self.refs,
            "functions": {name: name for name in used if name in FUNCTIONS},
        }  # fmt: skip


# ---- what passes from trace to trace


class _Trace(NamedTuple):
    """One trace variable: that of a variable, or of an event, at a seat."""

    seat: str
    key: str


class _Term(NamedTuple):
    """What passes to a trace: a slope times another trace, or a slope alone.

    Arguments:
        seed: Names the slope.
        trace: The other trace; None where the parameter itself acts.
        place: Element of that trace for each element that is set.
    """

    seed: Seed
    trace: _Trace | None
    place: Array


@dataclass
class _Move:
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

    target: _Trace
    chosen: Array
    element: Array
    terms: list[_Term]
    kind: Literal["map", "pairs", "reached", "own", "keep", "spikes", "filter"] = "map"
    goes: Array | None = None

    @property
    def sources(self) -> set[_Trace]:
        """Traces that it reads."""
        return {term.trace for term in self.terms if term.trace is not None}

    @property
    def acts(self) -> bool:
        """Whether the parameter itself acts here."""
        return any(term.trace is None for term in self.terms)


@dataclass
class _Part:
    """A slot with what it does to traces.

    Arguments:
        slot: The slot.
        carrier: Where its slopes are.
        moves: What happens to traces.
        delivery: What the synapses do, if it delivers.
    """

    slot: Slot
    carrier: Carrier | None = None
    moves: list[_Move] = field(default_factory=list[_Move])
    delivery: Delivery | None = None

    @property
    def gated(self) -> bool:
        """Whether the slopes hold for some elements alone."""
        return self.carrier is not None and bool(self.carrier.spiked)


class _Builder:
    """Makes a network with traces: see `eligibility`."""

    def __init__(
        self,
        program: Program,
        seats: Sequence[Seat],
        read: Sequence[str],
        spikes: Mapping[str, SpikeSlope],
        feedback: Mapping[str, Array],
    ) -> None:
        self.feedback = feedback
        self.program, self.read, self.spikes = program, list(read), spikes
        self.seats = {seat.name: seat for seat in seats}
        self.at = {(s.parameter, s.group): s for s in seats if s.kind != "filter"}
        self.parameters = list(dict.fromkeys(seat.parameter for seat in seats))
        self.variables = dict(program.variables)
        self.indices = dict(program.indices)
        self.groups = dict(program.groups)
        self.cuts: dict[str, None] = {}
        self.parts = [self._part(slot) for slot in program.slots]

    # ---- what there is

    def _part(self, slot: Slot) -> _Part:
        if isinstance(slot, Deliver):
            made = delivery(self.program, slot, self.parameters)
            return _Part(slot, None, list(self._delivered(made)), made)
        if isinstance(slot, Update) and is_synaptic(self.program, slot):
            self._cut(f"{slot.name}: several elements change one")
            return _Part(slot)
        made = carrier(self.program, slot, self.parameters, self.spikes)
        if made is None:
            return _Part(slot)
        moves = self._summed(made) if isinstance(slot, Sum) else self._mapped(made)
        return _Part(slot, made, list(moves))

    def _cut(self, what: str) -> None:
        self.cuts[what] = None

    def _mapped(self, made: Carrier) -> Iterator[_Move]:
        """Moves of a slot that sets each element by itself."""
        for key, row in made.rows.items():
            if key not in self.spikes and not is_state(self.program, key):
                if row:
                    self._cut(f"{made.slot.name}: {key} is shared by all elements")
                continue
            inverse = np.full(self._elements(key), -1)
            inverse[made.element[key]] = np.arange(len(made.element[key]))
            for seat in self._seats_of(key):
                if seat.kind == "filter":
                    yield self._filtered(seat, key, made, row)
                    continue
                element = inverse[seat.element]
                chosen = np.flatnonzero(element >= 0)
                terms = self._terms(seat, made.slot, row, chosen, element[chosen])
                yield _Move(_Trace(seat.name, key), chosen, element[chosen], terms)

    def _filtered(self, seat: Seat, key: str, made: Carrier, row: Slopes) -> _Move:
        """A move of a filter: that of any unit of a readout all of whose units are alike."""
        changing = _changing_names(self.program, made.code)
        own = {seed: tree for seed, tree in row.items() if seed.key != seat.parameter}
        for seed, tree in own.items():
            other = seed.key.partition(".")[0] != seat.group
            if self._changes(seed.key) and (other or changing & set(names(tree))):
                raise GradientError(
                    f"rule=mn.EProp(...): the units of {seat.group!r} are no filters of spikes that"
                    f" are all alike: {made.slot.name} changes {key} by {seed.key} by a factor that"
                    " is not the same for all units at all times. Write rule=mn.RTRL(...), which"
                    " carries the traces of each unit."
                )
        whole = np.arange(seat.size)
        terms = [_Term(seed, _Trace(seat.name, seed.key), whole) for seed in own
                 if self._changes(seed.key)]  # fmt: skip
        return _Move(_Trace(seat.name, key), whole, np.zeros(seat.size, np.int64), terms)

    def _elements(self, key: str) -> int:
        if key in self.program.variables:
            return self.program.variables[key].value.size
        return self.program.groups[key.partition(".")[0]].size

    def _seats_of(self, key: str) -> list[Seat]:
        owner = key.partition(".")[0]
        return [seat for seat in self.seats.values() if seat.group == owner]

    def _terms(
        self, seat: Seat, slot: Slot, row: Slopes, chosen: Array, element: Array
    ) -> list[_Term]:
        """What passes to some elements of a seat.

        Arguments:
            seat: Where the trace is.
            slot: The slot whose slopes these are.
            row: The slopes.
            chosen: Elements of the seat.
            element: Element of the slot for each of them.
        """
        found = (
            self._term(seat.parameter, seat.origin[chosen], slot, seed, element) for seed in row
        )
        return [term for term in found if term is not None]

    def _term(
        self, parameter: str, origin: Array, slot: Slot, seed: Seed, element: Array
    ) -> _Term | None:
        """What passes through one slope."""
        seen = self._seen(slot, seed, element)
        if seed.key == parameter and not self._changes(seed.key):
            return self._own(parameter, origin, slot, seed, seen)
        if not self._changes(seed.key):
            return None
        seat = self.at.get((parameter, seed.key.partition(".")[0]))
        place = None if seat is None else seat.find(origin, seen)
        if seat is None or place is None:
            return None
        return _Term(seed, _Trace(seat.name, seed.key), place)

    def _own(
        self, parameter: str, origin: Array, slot: Slot, seed: Seed, seen: Array
    ) -> _Term | None:
        """What the parameter itself does."""
        variable = self.program.variables.get(parameter)
        if variable is None or variable.scalar or (seen == origin).all():
            return _Term(seed, None, seen)
        if (seen == origin).any() and seed.index is not None:
            raise GradientError(
                f"an online rule: {slot.name} reads {parameter!r} of other elements than its own,"
                " and traces are kept of a neuron's own. Write rule=mn.BPTT()."
            )
        return None

    def _changes(self, key: str) -> bool:
        return key in self.spikes or (key in self.program.variables and is_state(self.program, key))

    def _seen(self, slot: Slot, seed: Seed, element: Array) -> Array:
        """Element of a variable that each element of a slot sees."""
        if seed.index is not None:
            return self.program.indices[seed.index][element]
        if seed.key in self.program.variables and self._elements(seed.key) == 1 and slot.size != 1:
            return np.zeros_like(element)
        return element

    def _summed(self, made: Carrier) -> Iterator[_Move]:
        """Moves of a sum over synapses."""
        ((key, row),) = made.rows.items()
        goes, count = made.element[key], made.slot.size
        for seat in self._seats_of(key):
            yield from self._over_synapses(seat, made.slot, key, row, goes, count)

    def _over_synapses(
        self, seat: Seat, slot: Slot, key: str, row: Slopes, goes: Array, count: int
    ) -> Iterator[_Move]:
        """What synapses add to a trace of the elements that they reach.

        Arguments:
            seat: Where the trace is.
            slot, key, row: The slot, what is added up, the slopes.
            goes: Element that each synapse reaches.
            count: Number of synapses.
        """
        target, synapse = _Trace(seat.name, key), np.arange(count)
        if seat.kind == "filter":
            raise GradientError(
                f"rule=mn.EProp(...): {slot.name} sets {key} to a sum over synapses, and a readout"
                " is to filter spikes. Write rule=mn.RTRL(...)."
            )
        if seat.kind == "each":
            terms = self._terms_of(seat.parameter, np.zeros(count, np.int64), slot, row, synapse)
            yield _Move(target, synapse, synapse, terms, "pairs", goes)
        elif seat.kind == "every":
            for seed in row:
                yield from self._every_pair(seat, slot, key, seed, goes)
        else:
            yield from self._of_one(seat, slot, key, row, goes, count)

    def _every_pair(
        self, seat: Seat, slot: Slot, key: str, seed: Seed, goes: Array
    ) -> Iterator[_Move]:
        """What synapses pass on through one slope, of all traces of what each of them sees."""
        source = self.at.get((seat.parameter, seed.key.partition(".")[0]))
        synapse = np.arange(len(goes))
        if seed.key == seat.parameter and seed.index is None and not self._changes(seed.key):
            term = _Term(seed, None, synapse)
            place = seat.find(synapse, goes)
            yield _Move(_Trace(seat.name, key), synapse, synapse, [term], "pairs", place)
        if source is None or not self._changes(seed.key):
            return
        trace, pair = _joins(source.element, self._seen(slot, seed, synapse))
        place = seat.find(source.origin[trace], goes[pair])
        if place is not None and len(trace):
            term = _Term(seed, _Trace(source.name, seed.key), trace)
            yield _Move(_Trace(seat.name, key), pair, pair, [term], "pairs", place)

    def _of_one(
        self, seat: Seat, slot: Slot, key: str, row: Slopes, goes: Array, count: int
    ) -> Iterator[_Move]:
        """The same of the traces of one synapse, or neuron, each."""
        target = _Trace(seat.name, key)
        theirs = {s: t for s, t in row.items() if self._is_reached(s, goes)}
        trace = np.arange(seat.size)
        terms = [t for s in theirs
                 if (t := self._at_reached(seat, s, trace)) is not None]  # fmt: skip
        if terms:
            yield _Move(target, trace, seat.element, terms, "reached")
        mine = seat.parameter.partition(".")[0] == slot.owner and seat.size == count
        if seat.kind == "own" and mine:
            rest = {s: t for s, t in row.items() if s not in theirs}
            own = self._terms_of(seat.parameter, trace, slot, rest, trace)
            yield _Move(target, trace, trace, own, "own")

    def _terms_of(
        self, parameter: str, origin: Array, slot: Slot, row: Slopes, element: Array
    ) -> list[_Term]:
        found = (self._term(parameter, origin, slot, seed, element) for seed in row)
        return [term for term in found if term is not None]

    def _is_reached(self, seed: Seed, goes: Array) -> bool:
        """Whether synapses see, through a slope, the element that they reach."""
        return seed.index is not None and np.array_equal(self.program.indices[seed.index], goes)

    def _at_reached(self, seat: Seat, seed: Seed, trace: Array) -> _Term | None:
        """What passes from what the reached element is."""
        origin, element = seat.origin[trace], seat.element[trace]
        if seed.key == seat.parameter and not self._changes(seed.key):
            return _Term(seed, None, element) if (origin == element).all() else None
        other = self.at.get((seat.parameter, seed.key.partition(".")[0]))
        place = None if other is None else other.find(origin, element)
        if other is None or place is None:
            return None
        return _Term(seed, _Trace(other.name, seed.key), place)

    def _delivered(self, made: Delivery) -> Iterator[_Move]:
        """Moves of synapses that deliver."""
        slot, count = made.slot, made.slot.size
        for key, row in made.kept.items():
            for seat in self._seats_of(key) if is_state(self.program, key) else []:
                terms = self._terms(seat, slot, row, np.arange(seat.size), seat.element)
                yield _Move(
                    _Trace(seat.name, key), np.arange(seat.size), seat.element, terms, "keep"
                )
        for key, row in made.added.items():
            for seat in self._seats_of(key) if is_state(self.program, key) else []:
                if seat.kind == "filter":
                    yield from self._into_filter(seat, made, key)
                    continue
                yield from self._arriving(seat, slot, key, row, made.goes[key], count)
                yield from self._transmitted(seat, slot, key, made.goes[key])

    def _into_filter(self, seat: Seat, made: Delivery, key: str) -> Iterator[_Move]:
        """What a spike adds to the filter of its trace."""
        source, slot = self.seats[seat.source], made.slot
        if slot.event != f"{source.group}.spike" or slot.event not in self.spikes:
            return
        delays = np.unique(self.program.pathways[slot.pathway].delay)
        depends = _changing_names(self.program, slot) & set(names(made.worth[key]))
        reads = [n for n in depends if n in slot.refs and self._changes(slot.refs[n].variable)]
        if len(delays) > 1 or reads or made.alone:
            why = "delays of several lengths" if len(delays) > 1 else "weights that change"
            raise GradientError(
                f"rule=mn.EProp(...): the synapses {slot.owner!r} to {seat.group!r} have {why}, and"
                " one trace stands for all of them. Write rule=mn.RTRL(...)."
            )
        whole = np.arange(seat.size)
        term = _Term(Seed(slot.event), _Trace(source.name, slot.event), whole)
        yield _Move(_Trace(seat.name, key), whole, whole, [term], "filter")

    def _arriving(
        self, seat: Seat, slot: Slot, key: str, row: Slopes, goes: Array, count: int
    ) -> Iterator[_Move]:
        """What arriving spikes add to traces of the neurons that they reach."""
        yield from self._of_one(seat, slot, key, row, goes, count)
        rest = {s: t for s, t in row.items() if not self._is_reached(s, goes)}
        synapse = np.arange(count)
        if seat.kind == "each":
            terms = self._terms_of(seat.parameter, np.zeros(count, np.int64), slot, rest, synapse)
            yield _Move(_Trace(seat.name, key), synapse, synapse, terms, "pairs", goes)
        elif seat.kind == "every" and seat.parameter.partition(".")[0] == slot.owner:
            terms = self._terms_of(seat.parameter, synapse, slot, rest, synapse)
            place = seat.find(synapse, goes)
            yield _Move(_Trace(seat.name, key), synapse, synapse, terms, "pairs", place)

    def _transmitted(self, seat: Seat, slot: Deliver, key: str, goes: Array) -> Iterator[_Move]:
        """What a spike that a parameter makes more likely adds to a group that does not spike."""
        group = slot.event.partition(".")[0]
        source = self.at.get((seat.parameter, group))
        if source is None or slot.event not in self.spikes:
            return
        if seat.group in self.program.spiking() or seat.kind == "own":
            self._cut(f"{slot.name}: what a spike of {group} does to {seat.group}")
            return
        sources = self.program.pathways[slot.pathway].source
        trace, synapse = _joins(source.element, sources)
        place = seat.find(source.origin[trace], goes[synapse])
        if place is not None and len(trace):
            term = _Term(Seed(slot.event), _Trace(source.name, slot.event), trace)
            yield _Move(_Trace(seat.name, key), synapse, synapse, [term], "spikes", place)

    # ---- which traces are needed

    def _settle(self) -> None:
        """Find the traces that a parameter reaches and that reach what the loss reads."""
        moves = [move for part in self.parts for move in part.moves]
        live = {_Trace(s.name, s.parameter) for s in self.seats.values() if self._starts(s)}
        while True:
            more = {m.target for m in moves if m.acts or m.sources & live} - live
            if not more:
                break
            live |= more
        for move in moves:
            move.terms = [t for t in move.terms if t.trace is None or t.trace in live]
        wanted = {_Trace(s.name, key) for key in self.read for s in self._seats_of(key)} & live
        while True:
            more = {t for m in moves if m.target in wanted for t in m.sources} - wanted
            if not more:
                break
            wanted |= more
        self.kept = wanted
        for part in self.parts:
            part.moves = [m for m in part.moves if m.target in wanted and not self._idle(m)]

    def _starts(self, seat: Seat) -> bool:
        """Whether a parameter is a variable that changes, whose start is trained."""
        return seat.group == seat.parameter.partition(".")[0] and self._changes(seat.parameter)

    def _idle(self, move: _Move) -> bool:
        """Whether a move changes nothing."""
        if move.kind not in ("map", "keep"):
            return not move.terms
        part = self._row(move)
        match move.terms:
            case [_Term(seed=seed, trace=trace, place=place)] if trace == move.target:
                return part[seed] is ONE and np.array_equal(place, move.chosen)
            case _:
                return False

    def _row(self, move: _Move) -> Slopes:
        """The slopes of a move."""
        for part in self.parts:
            if any(m is move for m in part.moves):
                return self._rows(part, move)
        raise KeyError(move.target)

    @staticmethod
    def _rows(part: _Part, move: _Move) -> Slopes:
        if part.carrier is not None:
            return part.carrier.rows[move.target.key]
        if part.delivery is not None and move.kind == "keep":
            return part.delivery.kept[move.target.key]
        return part.delivery.added[move.target.key] if part.delivery is not None else {}

    # ---- the network

    def built(self) -> Eligibility:
        """The network with its traces.

        Raises:
            GradientError: No trace of a parameter reaches what the loss reads.
        """
        self._settle()
        self._require_reached()
        slots: list[Slot] = []
        early = 0
        for number, part in enumerate(self.parts):
            if number == self.program.early:
                early = len(slots)
                slots += self._gathering(part.slot, [k for k in self.read if k not in self.spikes])
            slots += self._emitted(part)
            if isinstance(part.slot, Threshold) and part.slot.event in self.read:
                slots += self._gathering(part.slot, [part.slot.event])
        self._add_traces()
        program = replace(
            self.program, slots=tuple(slots), early=early, variables=self.variables,
            indices=self.indices, groups=self.groups,
        )  # fmt: skip
        totals: dict[str, list[Total]] = {key: [] for key in self.parameters}
        for seat in self.seats.values():
            if f"{seat.name}.gradient" in self.variables:
                whole = None if seat.kind == "each" else seat.origin
                totals[seat.parameter].append(Total(f"{seat.name}.gradient", whole))
        signals = {key: self._signal(key) for key in self.read}
        return Eligibility(program, totals, signals, list(self.cuts))

    def _require_reached(self) -> None:
        for parameter in self.parameters:
            seats = {s.name for s in self.seats.values() if s.parameter == parameter}
            if not any(t.seat in seats and t.key in self.read for t in self.kept):
                raise GradientError(
                    f"an online rule: no trace of {parameter!r} reaches what the loss reads"
                    f" ({', '.join(self.read)}). An online rule follows a parameter within its own"
                    " neurons and to groups that do not spike; what spikes do to other spiking"
                    " neurons is left out. Read the spikes of the neurons that it acts on, or write"
                    " rule=mn.BPTT()."
                )

    def _signal(self, key: str) -> str:
        owner, _, name = key.partition(".")
        return f"{owner}_signals.{name if key not in self.spikes else f'of_{name}'}"

    def _gathering(self, like: Slot, keys: Sequence[str]) -> Iterator[Slot]:
        """Slots that add what signals find to the gradients."""
        backward = yield from self._sent_back(like, keys)
        for seat in self.seats.values():
            found = [key for key in keys if _Trace(seat.name, key) in self.kept]
            if not found:
                continue
            total: ast.expr = ZERO
            code = _Code(self, f"{seat.name}_gradient", like, seat.size)
            for key in found:
                self._declare(self._signal(key), np.zeros(self._elements(key)))
                group = self.seats[seat.source].group if seat.source else ""
                signal = backward[key, group] if seat.source else self._signal(key)
                total = plus(
                    total, times(code.read(signal, seat.element), code.read(seat.key(key)))
                )
            self._declare(f"{seat.name}.gradient", np.zeros(seat.size))
            code.set(f"{seat.name}.gradient", total, op="+=")
            yield code.update()

    def _sent_back(
        self, like: Slot, keys: Sequence[str]
    ) -> Generator[Slot, None, dict[tuple[str, str], str]]:
        """Slots that send signals of readouts back to neurons; where they arrive."""
        found: dict[tuple[str, str], str] = {}
        for seat in self.seats.values():
            for key in keys if seat.source else ():
                group = self.seats[seat.source].group
                if _Trace(seat.name, key) in self.kept and (key, group) not in found:
                    self._declare(self._signal(key), np.zeros(self._elements(key)))
                    found[key, group] = yield from self._back(like, key, group)
        return found

    def _back(self, like: Slot, key: str, group: str) -> Generator[Slot, None, str]:
        """Slots that send one signal back to a group, through the synapses by which it acts."""
        into = f"{group}_signals.{key.replace('.', '_')}"
        ways = [p for p in self.parts if p.delivery is not None
                and p.slot.owner in self._between(group, key.partition('.')[0])]  # fmt: skip
        self._declare(into, np.zeros(self.program.groups[group].size))
        parts: list[str] = []
        for number, part in enumerate(ways):
            made = part.delivery
            if made is None or key.partition(".")[0] not in {
                k.partition(".")[0] for k in made.goes
            }:
                continue
            added = next(k for k in made.goes if k.partition(".")[0] == key.partition(".")[0])
            slot = made.slot
            weight = self._worth_key(slot, added)
            if slot.owner in self.feedback:
                weight = f"{slot.owner}_feedback.w"
                self._declare(weight, self.feedback[slot.owner])
            else:
                self._declare(weight, np.zeros(slot.size))
                yield self._worth(made, like)
            one = self._declare(f"{into.replace('.', '_')}.part_{number}",
                                np.zeros(self.program.groups[group].size))  # fmt: skip
            code = _Code(self, f"{slot.name}_back_{number}", like, slot.size)
            error = code.read(self._signal(key), made.goes[added])
            code.define("_synaptic_var", times(code.read(weight), error))
            source = self.program.pathways[slot.pathway].source
            yield code.sum(Ref(one, self._index_of(source)), self.program.groups[group].size)
            parts.append(one)
        code = _Code(self, f"{into.replace('.', '_')}", like, self.program.groups[group].size)
        total: ast.expr = ZERO
        for one in parts:
            total = plus(total, code.read(one))
        code.set(into, total)
        yield code.update()
        return into

    def _between(self, group: str, readout: str) -> set[str]:
        """Synapses that carry the spikes of a group to a readout."""
        slots = self.program.slots_of(Deliver)
        return {s.owner for s in slots if s.event == f"{group}.spike"
                and readout in dict(_ends(self.program, s.owner))}  # fmt: skip

    def _add_traces(self) -> None:
        for seat in self.seats.values():
            kept = [key for name, key in self.kept if name == seat.name]
            for key in kept:
                start = np.zeros(seat.size)
                if key == seat.parameter:
                    start = (seat.origin == seat.element).astype(float)
                self._declare(seat.key(key), start)
            if kept:
                self.groups[seat.name] = Group(name=seat.name, kind="Traces", size=seat.size)

    def _declare(self, key: str, value: Array) -> str:
        owner, _, name = key.partition(".")
        if key not in self.variables:
            self.variables[key] = Variable(owner, name, NUMBER, value, "float", False)
        return key

    def size(self, key: str) -> int:
        """Number of elements of a variable; of one that is yet to come, that of its seat."""
        if key in self.variables:
            return self.variables[key].value.size
        return self.seats[key.partition(".")[0]].size

    def index(self, place: Array, size: int) -> str | None:
        """Name of an index array; None where it is each element in turn."""
        if len(place) == size and np.array_equal(place, np.arange(size)):
            return None
        for name, known in self.indices.items():
            if np.array_equal(known, place):
                return name
        name = f"traces.index_{len(self.indices)}"
        self.indices[name] = place
        return name

    # ---- slots

    def _emitted(self, part: _Part) -> list[Slot]:
        """What runs in the place of a slot."""
        if not part.moves:
            return [part.slot]
        if part.delivery is not None:
            return list(self._delivering(part, part.delivery))
        if part.carrier is None:
            return [part.slot]
        self.variables |= {
            key: Variable(*_split(key), NUMBER, value, "float", False)
            for key, value in part.carrier.variables.items()
        }
        code = self._with_slopes(part)
        made = [*part.carrier.before, code]
        if isinstance(part.slot, Sum):
            return [*made, *self._sums(part), part.slot]
        updates = list(self._updates(part))
        if part.carrier.spiked:
            return [*made, part.carrier.slot, self._gated(part, part.carrier.spiked), *updates]
        return [*made, *updates] if part.carrier.inside else [*made, *updates, part.slot]

    def _gated(self, part: _Part, spiked: str) -> Slot:
        """A slot that leaves the traces of neurons alone that did not spike."""
        slot = part.slot
        code = _Code(self, f"{slot.name}_gated", slot, slot.size)
        there = ast.Compare(code.read(spiked), [ast.Gt()], [ast.Constant(0)])
        used = {self._slope_name(slot, key, seed): (key, seed) for key, seed, _ in self._used(part)}
        for name, (key, seed) in used.items():
            if seed.key not in self.spikes:
                stays = ONE if seed.key == key else ast.Constant(0)
                code.set(name, where(there, code.read(name), stays))
        return code.update()

    def _used(self, part: _Part) -> Iterator[tuple[str, Seed, ast.expr]]:
        """Slopes that some trace needs and that are no numbers."""
        for move in part.moves:
            if move.kind == "spikes":
                continue
            row = self._rows(part, move)
            for term in move.terms:
                if part.gated or not isinstance(row[term.seed], ast.Constant):
                    yield move.target.key, term.seed, row[term.seed]

    def _with_slopes(self, part: _Part) -> Slot:
        """The carrier of a slot, which keeps the slopes that are needed."""
        if part.carrier is None:
            return part.slot
        code, refs = part.carrier.code, dict(part.carrier.code.refs)
        lines: dict[str, Statement] = {}
        for key, seed, tree in self._used(part):
            name = self._slope_name(part.slot, key, seed)
            self._declare(name, np.zeros(part.slot.size))
            local = name.replace(".", "_")
            refs[local] = Ref(name)
            lines[local] = define(local, tree, op="=")
        used = {n for s in lines.values() for n in names(s.tree)} & set(FUNCTIONS)
        functions = {**code.functions, **{n: n for n in used}}
        return replace(code, vector=(*code.vector, *lines.values()), refs=refs,
                       functions=functions)  # fmt: skip

    def _slope_name(self, slot: Slot, key: str, seed: Seed) -> str:
        """Key of the variable that holds a slope."""
        owner, _, name = key.partition(".")
        by_owner, _, by = seed.key.rpartition(".")
        short = by if by_owner == owner or not by_owner else f"{by_owner}_{by}"
        seen = "" if seed.index is None else f"_at_{seed.index.rpartition('_')[2]}"
        return f"{slot.name}_slopes.{name}_by_{short}{seen}"

    def _slope(
        self, code: "_Code", part: _Part, move: _Move, seed: Seed, element: Array
    ) -> ast.expr:
        tree = self._rows(part, move)[seed]
        if isinstance(tree, ast.Constant) and not part.gated:
            return tree
        return code.read(self._slope_name(part.slot, move.target.key, seed), element)

    def _value(self, code: "_Code", part: _Part, move: _Move) -> ast.expr:
        """What the terms of a move add up to."""
        total: ast.expr = ZERO
        for term in move.terms:
            slope = self._slope(code, part, move, term.seed, move.element)
            trace = ONE if term.trace is None else code.read(self._key(term.trace), term.place)
            total = plus(total, times(slope, trace))
        return ast.Constant(0.0) if total is ZERO else total

    def _key(self, trace: _Trace) -> str:
        return self.seats[trace.seat].key(trace.key)

    def _updates(self, part: _Part) -> Iterator[Slot]:
        """Slots that change the traces of a slot that sets each element by itself."""
        groups: dict[tuple[str, bytes], list[_Move]] = {}
        for move in part.moves:
            groups.setdefault((move.target.seat, move.chosen.tobytes()), []).append(move)
        for number, moves in enumerate(groups.values()):
            seat = self.seats[moves[0].target.seat]
            count = sum(1 for m in list(groups.values())[:number] if m[0].target.seat == seat.name)
            name = f"{seat.name}_{part.slot.name}" + (f"_{count}" if count else "")
            code = _Code(self, name, part.slot, len(moves[0].chosen))
            new = [code.define(f"_new_{k}", self._value(code, part, move))
                   for k, move in enumerate(moves)]  # fmt: skip
            for tree, move in zip(new, moves, strict=True):
                code.set(self._key(move.target), tree, move.chosen)
            yield code.update()

    def _sums(self, part: _Part) -> Iterator[Slot]:
        """Slots that set traces to sums over synapses."""
        for name, key in dict.fromkeys(move.target for move in part.moves):
            moves = [m for m in part.moves if m.target == (name, key)]
            pairs = [m for m in moves if m.kind == "pairs"]
            if len(pairs) == 1:
                yield self._sum_of(part, pairs[0], self._key(pairs[0].target))
            elif pairs:
                yield from self._sum_of_several(part, pairs)
            else:
                yield from self._sum_of_own(part, moves)

    def _sum_of_several(self, part: _Part, moves: Sequence[_Move]) -> Iterator[Slot]:
        """The sum of several sums."""
        target = moves[0].target
        seat = self.seats[target.seat]
        code = _Code(self, f"{seat.name}_{part.slot.name}_all", part.slot, seat.size)
        total: ast.expr = ZERO
        for number, move in enumerate(moves):
            into = f"{part.slot.name}_parts_{number}_{seat.name}.{target.key.partition('.')[2]}"
            self._declare(into, np.zeros(seat.size))
            yield self._sum_of(part, move, into, f"_{number}")
            total = plus(total, code.read(into))
        code.set(self._key(target), total)
        yield code.update()

    def _sum_of(self, part: _Part, move: _Move, into: str, suffix: str = "") -> Sum:
        """A slot that sets a variable to the sum over pairs."""
        seat = self.seats[move.target.seat]
        code = _Code(self, f"{seat.name}_{part.slot.name}{suffix}", part.slot, len(move.chosen))
        code.define("_synaptic_var", self._value(code, part, move))
        index = self._pair_index(move)
        return code.sum(Ref(into, index), seat.size)

    def _pair_index(self, move: _Move) -> str:
        if move.goes is None:
            raise TypeError("pairs go somewhere")
        return self._index_of(move.goes)

    def _index_of(self, goes: Array) -> str:
        """Name of an index array, also of one that is each element in turn."""
        for name, known in self.indices.items():
            if np.array_equal(known, goes):
                return name
        name = f"traces.index_{len(self.indices)}"
        self.indices[name] = goes
        return name

    def _sum_of_own(self, part: _Part, moves: Sequence[_Move]) -> Iterator[Slot]:
        """The same of the traces of one synapse, or neuron, each."""
        slot, seat = part.slot, self.seats[moves[0].target.seat]
        code = _Code(self, f"{seat.name}_{slot.name}", slot, seat.size)
        total: ast.expr = ZERO
        for move in moves:
            if move.kind == "own":
                total = plus(total, self._value(code, part, move))
                continue
            for term in move.terms:
                summed = yield from self._summed_slope(part, move, term.seed)
                trace = ONE if term.trace is None else code.read(self._key(term.trace), term.place)
                total = plus(total, times(code.read(summed, seat.element), trace))
        code.set(self._key(moves[0].target), total)
        yield code.update()

    def _summed_slope(self, part: _Part, move: _Move, seed: Seed) -> Iterator[Slot]:
        """A slot that sums a slope over the synapses of each element; returns its variable."""
        slot, key = part.slot, move.target.key
        name = self._slope_name(slot, key, seed)
        summed = f"{slot.name}_sums.{name.partition('.')[2]}"
        if summed not in self.variables:
            self._declare(summed, np.zeros(self._elements(key)))
            code = _Code(self, f"{slot.name}_sum_of_{name.partition('.')[2]}", slot, slot.size)
            tree = self._rows(part, move)[seed]
            value = tree if isinstance(tree, ast.Constant) else code.read(name)
            code.define("_synaptic_var", value)
            target = slot.target if isinstance(slot, Sum) else None
            index = target.index if target is not None else seed.index
            yield code.sum(Ref(summed, index), self._elements(key))
        return summed

    # ---- synapses that deliver

    def _delivering(self, part: _Part, made: Delivery) -> Iterator[Slot]:
        """Slots in the place of one that delivers."""
        slot = made.slot
        reached = [m for m in part.moves if m.kind == "reached"]
        arriving = [m for m in part.moves if m.kind in ("own", "pairs")]
        spikes = [m for m in part.moves if m.kind == "spikes"]
        filters = [m for m in part.moves if m.kind == "filter"]
        if slot.sequential and not all(_by_itself(m, made) for m in reached):
            raise GradientError(
                f"an online rule: {slot.name} reads and changes {reached[0].target.key!r}, one"
                " synapse after the other, and no trace follows that. Let the synapses add to a"
                " conductance or current of its own, or write rule=mn.BPTT()."
            )
        apart = {m.target for m in reached}
        yield from self._begun(part, reached, [m for m in arriving if m.target in apart])
        if spikes or filters:
            yield self._worth(made)
        yield self._with_arrivals(part, made, reached, arriving, apart)
        for target in dict.fromkeys(m.target for m in reached):
            yield self._reaching(part, target, [m for m in reached if m.target == target])
        for move in spikes:
            yield from self._spreading(part, made, move)
        for move in filters:
            yield from self._filtering(made, move)

    def _apart(self, slot: Slot, target: _Trace) -> str:
        """Key of what arriving spikes add to a trace, where it is added later."""
        return f"{slot.name}_into_{target.seat}.{self._key(target).partition('.')[2]}"

    def _sums_name(self, slot: Slot, key: str, seed: Seed) -> str:
        return f"{slot.name}_sums.{self._slope_name(slot, key, seed).partition('.')[2]}"

    def _begun(
        self, part: _Part, reached: Sequence[_Move], arriving: Sequence[_Move]
    ) -> Iterator[Slot]:
        """Slots that prepare what arriving spikes are going to add up, or to multiply."""
        slot = part.slot
        one = isinstance(slot, Deliver) and slot.sequential
        sums = {(m.target.key, t.seed) for m in reached for t in m.terms}
        starts = {
            self._sums_name(slot, *pair): (self._elements(pair[0]), float(one)) for pair in sums
        }
        starts |= {
            self._apart(slot, m.target): (self.seats[m.target.seat].size, 0.0) for m in arriving
        }
        for key, (size, start) in starts.items():
            self._declare(key, np.zeros(size))
            code = _Code(self, f"{key.replace('.', '_')}_start", slot, size)
            code.set(key, ast.Constant(start))
            yield code.update()

    def _with_arrivals(
        self,
        part: _Part,
        made: Delivery,
        reached: Sequence[_Move],
        arriving: Sequence[_Move],
        apart: set[_Trace],
    ) -> Slot:
        """The slot itself, with what arriving spikes do to traces."""
        slot = made.slot
        code = _Code(self, slot.name, slot, slot.size)
        sums = {(m.target.key, t.seed) for m in reached for t in m.terms}
        for key, seed in sums:
            goes, slope = made.goes[key], made.added[key][seed]
            tree, op = (plus(ONE, slope), "*=") if slot.sequential else (slope, "+=")
            code.set(self._sums_name(slot, key, seed), tree, goes, op)
        for move in arriving:
            target = move.target
            into = self._apart(slot, target) if target in apart else self._key(target)
            value = self._arrived(code, made.added[target.key], move)
            if slot.sequential and target in apart:  # what comes after it multiplies it
                mine = next(iter(pair for pair in sums if pair[0] == target.key))
                so_far = code.read(self._sums_name(slot, *mine), made.goes[target.key])
                value = ast.BinOp(value, ast.Div(), so_far)
            code.set(into, value, move.goes, "+=")
        kept = [m for m in part.moves if m.kind == "keep"]
        new = [code.define(f"_new_{k}", self._arrived(code, made.kept[m.target.key], m))
               for k, m in enumerate(kept)]  # fmt: skip
        for tree, move in zip(new, kept, strict=True):
            code.set(self._key(move.target), tree)
        used = {n for s in code.lines for n in names(s.tree)} & set(FUNCTIONS)
        return replace(
            slot, vector=(*slot.vector, *code.lines), refs={**slot.refs, **code.refs},
            functions={**slot.functions, **{n: n for n in used}},
        )  # fmt: skip

    def _arrived(self, code: "_Code", row: Slopes, move: _Move) -> ast.expr:
        """What one arriving spike does to a trace, in the names of its synapse."""
        total: ast.expr = ZERO
        for term in move.terms:
            trace = ONE if term.trace is None else code.read(self._key(term.trace), term.place)
            total = plus(total, times(row[term.seed], trace))
        return ast.Constant(0.0) if total is ZERO else total

    def _reaching(self, part: _Part, target: _Trace, moves: Sequence[_Move]) -> Slot:
        """A slot that lets what arrived change the traces of the neurons reached."""
        slot, seat = part.slot, self.seats[target.seat]
        code = _Code(self, f"{seat.name}_{slot.name}", slot, seat.size)
        total: ast.expr = ZERO
        for move in moves:
            for term in move.terms:
                total = plus(total, times(*self._pair(part, code, move, term)))
        apart = self._apart(slot, target)
        arrived = code.read(apart) if apart in self.variables else ZERO
        if isinstance(slot, Deliver) and slot.sequential:
            ((factor, _),) = [self._pair(part, code, m, t) for m in moves for t in m.terms]
            here = plus(code.read(self._key(target)), arrived)
            code.set(self._key(target), times(factor, here))
        else:
            code.set(self._key(target), plus(total, arrived), op="+=")
        return code.update()

    def _pair(
        self, part: _Part, code: "_Code", move: _Move, term: _Term
    ) -> tuple[ast.expr, ast.expr]:
        """A slope that arriving spikes have summed up, and the trace that it is for."""
        element = self.seats[move.target.seat].element
        summed = code.read(self._sums_name(part.slot, move.target.key, term.seed), element)
        trace = ONE if term.trace is None else code.read(self._key(term.trace), term.place)
        return summed, trace

    # ---- spikes that reach groups without spikes

    def _worth_key(self, slot: Slot, key: str) -> str:
        return f"{slot.name}_worth.{key.replace('.', '_')}"

    def _worth(self, made: Delivery, like: Slot | None = None) -> Slot:
        """A slot that works out what a spike through each synapse would add."""
        slot, refs = made.slot, dict(made.slot.refs)
        lines = list(made.alone)
        for key, tree in made.worth.items():
            name = self._declare(self._worth_key(slot, key), np.zeros(slot.size))
            refs[name.replace(".", "_")] = Ref(name)
            lines.append(define(name.replace(".", "_"), tree, op="="))
        place = {} if like is None else {"when": like.when, "order": like.order}
        return beside(slot, f"{slot.name}_worth", lines, refs, **place)

    def _spreading(self, part: _Part, made: Delivery, move: _Move) -> Iterator[Slot]:
        """Slots that carry what a spike is worth to the traces of a group that does not spike."""
        slot, seat = made.slot, self.seats[move.target.seat]
        ((_, trace, place),) = move.terms
        if trace is None or move.goes is None:
            raise TypeError("a spike has a trace, and goes somewhere")
        source = self.seats[trace.seat]
        delays = self.program.pathways[slot.pathway].delay[move.chosen]
        worth = self._worth_key(slot, move.target.key)
        total: ast.expr = ZERO
        code = _Code(self, f"{seat.name}_{slot.name}_spikes", slot, seat.size)
        for delay in np.unique(delays):
            mine = np.flatnonzero(delays == delay)
            past = self._past(slot, source, trace, int(delay))
            into = self._declare(
                f"{slot.name}_reach_{seat.name}.after_{delay}", np.zeros(seat.size)
            )
            pairs = _Code(self, f"{seat.name}_{slot.name}_after_{delay}", slot, len(mine))
            value = times(pairs.read(worth, move.chosen[mine]), pairs.read(past, place[mine]))
            pairs.define("_synaptic_var", value)
            index = self._pair_index(replace(move, goes=move.goes[mine]))
            yield pairs.sum(Ref(into, index), seat.size)
            total = plus(total, code.read(into))
        code.set(self._key(move.target), total, op="+=")
        yield code.update()
        yield from self._shifted(slot, source, trace, int(delays.max()))

    def _filtering(self, made: Delivery, move: _Move) -> Iterator[Slot]:
        """Slots that add the traces of spikes to their filters."""
        slot, seat = made.slot, self.seats[move.target.seat]
        ((_, trace, _),) = move.terms
        source = self.seats[seat.source]
        if trace is None:
            raise TypeError("a spike has a trace")
        delay = self.program.pathways[slot.pathway].max_delay
        code = _Code(self, f"{seat.name}_{slot.name}_spikes", slot, seat.size)
        code.set(self._key(move.target), code.read(self._past(slot, source, trace, delay)), op="+=")
        yield code.update()
        yield from self._shifted(slot, source, trace, delay)

    def _past(self, slot: Slot, source: Seat, trace: _Trace, delay: int) -> str:
        """Key of the trace of spikes some deliveries ago."""
        if not delay:
            return self._key(trace)
        return self._declare(f"{source.name}_past_{slot.name}.ago_{delay}", np.zeros(source.size))

    def _shifted(self, slot: Slot, source: Seat, trace: _Trace, longest: int) -> Iterator[Slot]:
        """A slot that moves the traces of past spikes one step on."""
        if not longest:
            return
        code = _Code(self, f"{source.name}_past_{slot.name}", slot, source.size)
        for delay in range(longest, 0, -1):
            before = code.read(self._past(slot, source, trace, delay - 1))
            code.set(self._past(slot, source, trace, delay), before)
        yield code.update()


def _split(key: str) -> tuple[str, str]:
    owner, _, name = key.partition(".")
    return owner, name


def _changing_names(program: Program, slot: Slot) -> set[str]:
    """Names in a slot whose values change, or differ from element to element."""
    written = program.written()
    found = {n for n, ref in slot.refs.items() if ref.variable in written
             or np.unique(program.variables[ref.variable].value).size > 1}  # fmt: skip
    found |= {name for name, meaning in slot.clock.items() if meaning != "dt"}
    for statement in slot.statements:
        if found & set(names(statement.tree)):
            found.add(statement.target)
    return found


def _by_itself(move: _Move, made: Delivery) -> bool:
    """Whether what synapses add to a variable depends, among what they change, on it alone."""
    key = move.target.key
    return made.times[key] == 1 and {term.seed.key for term in move.terms} == {key}


def _joins(left: Array, right: Array) -> tuple[Array, Array]:
    """All pairs of places at which two lists hold the same number."""
    order = np.argsort(right, kind="stable")
    first = np.searchsorted(right[order], left, side="left")
    count = np.searchsorted(right[order], left, side="right") - first
    a = np.repeat(np.arange(len(left)), count)
    offset = np.arange(len(a)) - np.repeat(np.cumsum(count) - count, count)
    return a, order[np.repeat(first, count) + offset]
