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
from collections import ChainMap
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mirrorneuron.errors import GradientError

from ...program import Array, Group, Program, Ref, Slot, Threshold
from ..derivative import ONE, ZERO, plus, times
from .carrier import Delivery, SpikeSlope
from .moves import Move, Moves, Part, Term, Trace
from .names import Code, Names
from .seat import Seat, seats
from .writer import Writer

Way = tuple[str, str, str, tuple[str, ...]]  # signal, group, entry and slots


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
    kept: float = 1.0,
    driven: Collection[str] = (),
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
        kept: Share that is left after a step of the traces of groups that do not spike.
        driven: Keys of variables and events that inputs set at each step, whatever they were.

    Raises:
        GradientError: A statement, or what the loss reads, has no such traces; or no trace of a
            parameter reaches what the loss reads.
    """
    places = seats(program, parameters, read, feedback != "exact")
    weights = feedback if isinstance(feedback, Mapping) else {}
    moves = Moves(program, places, {k: v for k, v in spikes.items() if k not in driven})
    if feedback != "exact":
        moves.require_filters(read)
    return _Builder(moves, read, weights, kept, driven).built()


class _Builder:
    """Makes a network with traces: see `eligibility`.

    Arguments:
        moves: What slots do to traces.
        read: What the loss reads.
        feedback: Weights by which signals go back, by the name of the synapses.
        share: What is left after a step of the traces of groups that do not spike.
        driven: What inputs set.
    """

    def __init__(
        self, moves: Moves, read: Sequence[str], feedback: Mapping[str, Array], share: float,
        driven: Collection[str],
    ) -> None:  # fmt: skip
        self.moves, self.read, self.feedback, self.share = moves, list(read), feedback, share
        self.program, self.seats, self.spikes = moves.program, moves.seats, moves.spikes
        self.known = Names(self.program, self.seats)
        self.writer = Writer(self.known, moves)
        self.kept: set[Trace] = set()
        self.driven = driven

    def _settle(self) -> None:
        """Find the traces that a parameter reaches and that reach what the loss reads."""
        moves = [move for part in self.moves.parts for move in part.moves]
        live = {Trace(s.name, s.parameter) for s in self.seats.values() if self._starts(s)}
        while True:
            more = {m.target for m in moves if m.acts or m.sources & live} - live
            if not more:
                break
            live |= more
        for move in moves:
            move.terms = [t for t in move.terms if t.trace is None or t.trace in live]
        wanted = {Trace(s.name, key) for key in self.read for s in self.moves.at_group(key)} & live
        while True:
            more = {t for m in moves if m.target in wanted for t in m.sources} - wanted
            if not more:
                break
            wanted |= more
        self.kept = wanted
        for part in self.moves.parts:
            part.moves = [m for m in part.moves if m.target in wanted and not _idle(part, m)]

    def _starts(self, seat: Seat) -> bool:
        """Whether a parameter is a variable that changes, whose start is trained."""
        return seat.group == seat.parameter.partition(".")[0] and self.moves.changes(seat.parameter)

    def built(self) -> Eligibility:
        """The network with its traces.

        Raises:
            GradientError: No trace of a parameter reaches what the loss reads.
        """
        self._settle()
        self._require_known()
        self._require_reached()
        slots: list[Slot] = list(self._cleared(self.program.slots[0]))
        early = 0
        traced = [key for key in self.read if key not in self.spikes]
        for number, part in enumerate(self.moves.parts):
            if number == self.program.early:
                early = len(slots)
                slots += self._gathering(self._each_step(part.slot), traced)
            slots += self.writer.written(part)
            if isinstance(part.slot, Threshold) and part.slot.event in self.read:
                slots += self._gathering(part.slot, [part.slot.event])
        if self.program.early == len(self.moves.parts):
            early = len(slots)
            slots += self._gathering(self._each_step(self.program.slots[-1]), traced)
        slots += self._forgetting(self.program.slots[-1]) if self.share < 1 else ()
        groups = {**self.program.groups, **self._added()}
        tables = [p.carrier.tables for p in self.moves.parts if p.carrier is not None]
        program = replace(
            self.program, tables={**self.program.tables, **dict(ChainMap(*map(dict, tables)))},
            slots=tuple(slots), early=early, variables=self.known.variables,
            indices=self.known.indices, groups=groups,
        )  # fmt: skip
        totals: dict[str, list[Total]] = {key: [] for key in self.moves.parameters}
        for seat in self.seats.values():
            if f"{seat.name}.gradient" in self.known.variables:
                whole = None if seat.kind == "each" else seat.origin
                totals[seat.parameter].append(Total(f"{seat.name}.gradient", whole))
        signals = {key: self._signal(key) for key in self.read}
        return Eligibility(program, totals, signals, list(self.moves.cuts))

    def _cleared(self, like: Slot) -> Iterator[Slot]:
        """Slots that begin a step without traces of what inputs set."""
        for seat in self.seats.values():
            keys = [key for name, key in self.kept if name == seat.name and key in self.driven]
            if keys:
                name = f"{seat.name}_driven"
                code = Code(self.known, name, self._each_step(like), seat.size)
                for key in keys:
                    code.set(seat.key(key), ast.Constant(0.0))
                yield code.update()

    def _each_step(self, slot: Slot) -> Slot:
        """Like a slot, but at each step of the network, as values are recorded at each."""
        return replace(slot, dt=self.program.dt, every=1, clock_dt=self.program.dt)

    def _require_known(self) -> None:
        for key in dict.fromkeys(trace.key for trace in self.kept):
            if key in self.moves.refused:
                raise GradientError(self.moves.refused[key])

    def _require_reached(self) -> None:
        for parameter in self.moves.parameters:
            seats = {s.name for s in self.seats.values() if s.parameter == parameter}
            if not any(t.seat in seats and t.key in self.read for t in self.kept):
                raise GradientError(
                    f"an online rule: no trace of {parameter!r} reaches what the loss reads"
                    f" ({', '.join(self.read)}). An online rule follows a parameter within the"
                    " neurons that it acts on and to groups that do not spike; what these do to"
                    " other spiking neurons, by spikes or otherwise, is left out. Read the spikes"
                    f" of the neurons that it acts on, leave {parameter!r} out of train, or write"
                    " rule=mn.BPTT()."
                )

    def _signal(self, key: str) -> str:
        owner, _, name = key.partition(".")
        return f"{owner}_signals.{name if key not in self.spikes else f'of_{name}'}"

    def _gathering(self, like: Slot, keys: Sequence[str]) -> Iterator[Slot]:
        """Slots that add what signals find to the gradients."""
        backward = yield from self._sent_back(like, keys)
        for seat in self.seats.values():
            found = [key for key in keys if Trace(seat.name, key) in self.kept]
            if not found:
                continue
            total: ast.expr = ZERO
            code = Code(self.known, f"{seat.name}_gradient", like, seat.size)
            for key in found:
                self.known.declare(self._signal(key), np.zeros(self.known.elements(key)))
                group = self.seats[seat.source].group if seat.source else ""
                signal = self._signal(key)
                if seat.source:
                    signal = backward[key, group, seat.entry, seat.ways]
                total = plus(
                    total, times(code.read(signal, seat.element), code.read(seat.key(key)))
                )
            self.known.declare(f"{seat.name}.gradient", np.zeros(seat.size))
            code.set(f"{seat.name}.gradient", total, op="+=")
            yield code.update()

    def _sent_back(self, like: Slot, keys: Sequence[str]) -> Generator[Slot, None, dict[Way, str]]:
        """Slots that send signals of readouts back to neurons; where they arrive."""
        found: dict[Way, str] = {}
        for seat in self.seats.values():
            for key in keys if seat.source else ():
                group = self.seats[seat.source].group
                way = key, group, seat.entry, seat.ways
                if Trace(seat.name, key) in self.kept and way not in found:
                    self.known.declare(self._signal(key), np.zeros(self.known.elements(key)))
                    found[way] = yield from self._back(like, key, seat, len(found))
        return found

    def _back(self, like: Slot, key: str, seat: Seat, number: int) -> Generator[Slot, None, str]:
        """Slots that send one signal back to a group, through the synapses by which it acts.

        Arguments:
            like: The slot beside which they run.
            key: What the loss reads.
            seat: The filter of the traces that the signal is for.
            number: Of the signal.
        """
        group = self.seats[seat.source].group
        size = self.program.groups[group].size
        into = self.known.declare(
            f"{group}_signals.{key.replace('.', '_')}_{number}", np.zeros(size)
        )
        total: ast.expr = ZERO
        code = Code(self.known, into.replace(".", "_"), like, size)
        for part in self.moves.parts:
            made = part.delivery
            if made is None or made.slot.name not in seat.ways:
                continue
            weight = yield from self._weight(made, seat.entry, like)
            one = self.known.declare(f"{code.name}.{made.slot.name}", np.zeros(size))
            pairs = Code(self.known, f"{code.name}_{made.slot.name}", like, made.slot.size)
            error = pairs.read(self._signal(key), made.goes[seat.entry])
            pairs.define("_synaptic_var", times(pairs.read(weight), error))
            source = self.program.pathways[made.slot.pathway].source
            yield pairs.sum(Ref(one, self.known.index_of(source)), size)
            total = plus(total, code.read(one))
        code.set(into, total)
        yield code.update()
        return into

    def _weight(self, made: Delivery, added: str, like: Slot) -> Generator[Slot, None, str]:
        """The variable with the weights by which a signal goes back through synapses."""
        slot = made.slot
        if slot.owner in self.feedback:
            return self.known.declare(f"{slot.owner}_feedback.w", self.feedback[slot.owner])
        weight = self.known.declare(self.writer.worth_key(slot, added), np.zeros(slot.size))
        yield self.writer.worth(made, {added}, like)
        return weight

    def _forgetting(self, like: Slot) -> Iterator[Slot]:
        """Slots that let the traces of groups without spikes decay."""
        spiking = self.program.spiking()
        for seat in self.seats.values():
            kept = [key for name, key in self.kept if name == seat.name]
            if kept and seat.group not in spiking:
                name = f"{seat.name}_forgetting"
                code = Code(self.known, name, self._each_step(like), seat.size)
                for key in kept:
                    code.set(seat.key(key), ast.Constant(self.share), op="*=")
                yield code.update()

    def _added(self) -> dict[str, Group]:
        """Declare the traces; the seats that have some, as groups."""
        found: dict[str, Group] = {}
        for seat in self.seats.values():
            kept = [key for name, key in self.kept if name == seat.name]
            for key in kept:
                start = np.zeros(seat.size)
                if key == seat.parameter:
                    start = (seat.origin == seat.element).astype(float)
                self.known.declare(seat.key(key), start)
            if kept:
                found[seat.name] = Group(name=seat.name, kind="Traces", size=seat.size)
        return found


def _idle(part: Part, move: Move) -> bool:
    """Whether a move changes nothing."""
    if move.kind not in ("map", "keep"):
        return not move.terms
    match move.terms:
        case [Term(seed=seed, trace=trace, place=place)] if trace == move.target:
            return part.row(move)[seed] is ONE and np.array_equal(place, move.chosen)
        case _:
            return False
