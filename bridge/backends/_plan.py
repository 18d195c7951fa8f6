"""Plan: what the code of a network has to do, worked out once for every engine that compiles.

Which values carry a gradient, what has to be kept of each step to go back through it, and which
arrays the code is given.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from ..draws import MEANS
from ..lower.condition import Chance, Condition, Margin, leaves
from ..lower.crossing import Crossing, crossing
from ..lower.dataflow import Dataflow
from ..lower.derivative import derivative
from ..lower.expression import names
from ..lower.flat import Flat, pulls
from ..lower.margin import MARGIN
from ..lower.service_order import ServiceOrder
from ..lower.step import Accumulate, Define, Write
from ..program import (
    Deliver,
    Generate,
    Program,
    Reset,
    Slot,
    Sum,
    Threshold,
    Update,
    Variable,
)
from ..spike_gradient import SpikeGradient
from ._body import KEPT, Body, Builder, Draw, uses

LEAST_DENSE = 0.2
Key = tuple[str, ...]
Kind = Literal["truth", "real", "wide"]  # a time in double precision is wide


class Kept(NamedTuple):
    """What is known of a value of the prelude.

    Arguments:
        scalar: Whether it is one number for all elements.
        kind: Its type.
        wanted: Whether its gradient is wanted.
    """

    scalar: bool
    kind: Kind
    wanted: bool


@dataclass(frozen=True)
class Work:
    """A slot and what its code is made of.

    Arguments:
        number: Its place among all.
        slot: The slot.
        body: Its statements; None for given spikes.
        condition: Of a threshold.
        place: Of a reset that the gradient follows: the value at threshold of the variable that
            crosses it, and the local name of that variable.
    """

    number: int
    slot: Slot
    body: Body | None
    condition: Condition | None = None
    place: tuple[Body, str] | None = None

    @property
    def title(self) -> str:
        """Name of its function in C."""
        plain = "".join(c if c.isalnum() else "_" for c in self.slot.name)
        return f"slot_{self.number}_{plain}"


class Wanted(NamedTuple):
    """What the gradient is wanted of, beside the values of the prelude.

    Arguments:
        states: Keys of variables whose value at the start has a gradient.
        inputs: Keys of inputs that have one.
        events: Keys of events, and names of pathways, whose spikes before the start have one.
    """

    states: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()


class Matrix(NamedTuple):
    """A pathway whose spikes add one number each to a variable of the neurons that they reach.

    Arguments:
        weight: Name of the number in the prelude.
        target: Key of the variable.
        seen_by: Index through which synapses see it.
        guard: Key of the truth value without which a neuron takes nothing.
        dense: First element that is reached and the number of those that are, where all sources
            reach (nearly) all of them.
    """

    weight: str
    target: str
    seen_by: str
    guard: str | None
    dense: tuple[int, int] | None


@dataclass
class Plan:
    """What the code of a network does.

    Arguments:
        program: The network.
        driven: Keys of what inputs set.
        trained: Keys of the constants that are trained.
        gradients: What stands for the derivative of each event.
        record: Variables and computed values that are recorded.
    """

    program: Program
    driven: frozenset[str]
    trained: frozenset[str]
    gradients: Mapping[str, SpikeGradient]
    record: Sequence[str]
    kept: list[Kept] = field(default_factory=list[Kept])
    wanted: Wanted | None = None

    def __post_init__(self) -> None:
        program = self.program
        self.builder = Builder(program, self.driven, self.trained)
        self.works = [self._work(k, slot) for k, slot in enumerate(program.slots)]
        self.values = {
            key: self.builder.of(program.values[key]) for key in self.record
            if key in program.values
        }  # fmt: skip
        self.escapes = dict(self._escapes())
        self.speeds = {
            event: self._speed(event) for event, made in self.gradients.items()
            if made.needs_speed and event not in self.driven
        }  # fmt: skip
        self.orders = {name: ServiceOrder(p) for name, p in program.pathways.items()}
        self._matrices: dict[int, Matrix | None] = {}
        self._full: dict[tuple[str, str], tuple[int, int] | None] = {}

    def _work(self, number: int, slot: Slot) -> Work:
        match slot:
            case Generate():
                return Work(number, slot, None)
            case Threshold():
                return Work(number, slot, *self.builder.condition(slot))
            case Reset():
                return Work(number, slot, self.builder.of(slot), place=self._place(slot))
            case _:
                return Work(number, slot, self.builder.of(slot))

    def _place(self, reset: Reset) -> tuple[Body, str] | None:
        """Where a neuron stands that spikes: at threshold, if it is not an input that says so."""
        found = self.crossing(reset.event)
        if found is None or found.place is None or reset.event in self.driven:
            return None
        threshold = self.threshold(reset.event)
        body = self.builder.values(threshold, {"place": found.place})
        local = [n for n, ref in reset.refs.items() if ref.variable == found.variable]
        moved = body.renamed(lambda name: f"_at_{name}")
        return (moved, local[0] if local else "")

    def _escapes(self) -> Iterator[tuple[str, tuple[Body, tuple[str, str]]]]:
        """Of each escape rate, its slope and the depth of its reset, and what these are called.

        Their product limits the derivative of a spike: see `spike_gradient`.
        """
        for work in self.works:
            slot = work.slot
            if not isinstance(slot, Threshold) or slot.event in self.driven:
                continue
            found = self.crossing(slot.event)
            resets = [
                w.body for w in self.works
                if isinstance(w.slot, Reset) and w.slot.event == slot.event and w.body
            ]  # fmt: skip
            if found is None or found.place is not None or not resets:
                continue
            reset = resets[-1]
            moved = [n for n in reset.final if reset.refs[n].variable == found.variable]
            local = [n for n, ref in slot.refs.items() if ref.variable == found.variable]
            if not moved or not local:
                continue
            steep = self.builder.values(slot, {"slope": derivative(found.margin, local[0])})
            steep = steep.renamed(lambda name: f"_of_{name}")
            jump = reset.renamed(lambda name: f"_after_{name}")
            before, after = f"_after_{moved[0]}", jump.final[moved[0]]
            depth = ast.BinOp(ast.Name(after), ast.Sub(), ast.Name(before))
            values = (
                *steep.flats,
                *(Flat(Define(x.name, x.operation.tree, False)) for x in jump.flats),
                Flat(Define("_depth", depth, False)),
            )
            names_ = ("_of_slope", "_depth")
            refs = {**steep.refs, **jump.refs}
            clock = {**steep.clock, **jump.clock}
            yield (
                slot.event,
                (
                    Body(
                        slot, refs, values, (), {}, names_, clock, {**steep.tables, **jump.tables}
                    ),
                    names_,
                ),
            )

    def _speed(self, event: str) -> Body:
        """The margin of a neuron, and its change in a step of one that comes to its threshold.

        `_below` says how far below threshold that one stands: see `SpikeGradient.passage`.
        """
        found, slot = self.crossing(event), self.threshold(event)
        assert found is not None and found.place is not None
        here = self.builder.values(slot, {"margin": found.margin})
        at = self.builder.values(slot, {"place": found.place}).renamed(lambda n: f"_at_{n}")
        start = ast.BinOp(ast.Name("_at_place"), ast.Sub(), ast.Name("_below"))
        known = {n: "_start" for n, ref in slot.refs.items() if ref.variable == found.variable}
        before = here.renamed(lambda n: known.get(n, f"_before_{n}"))
        bodies, now = [at, here, before], dict.fromkeys([found.variable], "_start")
        for motion in self.program.motion(slot.owner):
            moved = self.builder.of(motion).renamed(lambda n: f"_in_{n}")
            own = {f"_in_{n}": now[ref.variable] for n, ref in motion.refs.items()
                   if ref.variable in now}  # fmt: skip
            moved = moved.renamed(lambda n, own=own: own.get(n, n))
            bodies.append(replace(moved, flats=tuple(_expected(moved))))
            now |= {motion.refs[n].variable: final for n, final in moved.final.items()}
        names_ = {n: now[ref.variable] for n, ref in slot.refs.items() if ref.variable in now}
        bodies.append(here.renamed(lambda n: names_.get(n, f"_after_{n}")))
        change = ast.BinOp(ast.Name("_after_margin"), ast.Sub(), ast.Name("_before_margin"))
        flats = [*at.flats, Flat(Define("_start", start, False))]
        flats += [f for body in bodies[1:] for f in body.flats]
        flats += [Flat(Define("_speed", change, False))]
        made = {f.name for f in flats}
        refs = {n: r for body in bodies for n, r in body.refs.items() if n not in made}
        clock = {n: c for body in bodies for n, c in body.clock.items()}
        tables = {n: k for body in bodies for n, k in body.tables.items()}
        return Body(slot, refs, tuple(flats), (), {}, ("margin", "_speed"), clock, tables)

    def threshold(self, event: str) -> Threshold:
        """The slot that raises an event."""
        return next(s for s in self.program.slots_of(Threshold) if s.event == event)

    def crossing(self, event: str) -> Crossing | None:
        """How an event's threshold is crossed."""
        found = [s for s in self.program.slots_of(Threshold) if s.event == event]
        return crossing(self.program, found[0]) if found else None

    def require_widths(self) -> None:
        """Refuse gradients through spikes of which nothing says how wide they are."""
        for work in self.works:
            slot = work.slot
            if not isinstance(slot, Threshold) or slot.event not in self.active:
                continue
            compares = work.condition and any(isinstance(x, Margin) for x in leaves(work.condition))
            if compares and slot.event not in self.driven:
                self.gradients[slot.event].require_width(slot.owner)

    # ---- arrays

    @cached_property
    def state(self) -> dict[str, Variable]:
        """Variables that change."""
        changing = self.program.written() | {k for k in self.driven if k in self.program.variables}
        return {k: v for k, v in self.program.variables.items() if k in changing}

    @cached_property
    def events(self) -> dict[str, int]:
        """Events that are raised, and how many elements can."""
        return {
            f"{name}.{event}": group.size
            for name, group in self.program.groups.items()
            for event in group.events
        }

    def depth(self, event: str) -> int:
        """How many steps back an event can still act."""
        back = 1
        for slot in self.program.slots_of(Deliver):
            if slot.event == event:
                back = max(back, (self.program.pathways[slot.pathway].max_delay + 1) * slot.every)
        return back + max((s.every for s in self.program.resets(event)), default=1)

    def later(self, slot: Deliver | Reset) -> bool:
        """Whether a slot comes before the one that raises its event, and answers the last one."""
        raising = (
            k for k, other in enumerate(self.program.slots)
            if isinstance(other, Threshold | Generate) and other.event == slot.event
        )  # fmt: skip
        return next(raising) > self.program.slots.index(slot)

    def matrix(self, work: Work) -> Matrix | None:
        """The pathway as a matrix, if it is one."""
        if work.number not in self._matrices:
            self._matrices[work.number] = self._matrix(work)
        return self._matrices[work.number]

    def with_values(self, kept: list[Kept], wanted: Wanted | None) -> "Plan":
        """The same plan for a run whose values have these types and gradients."""
        made = copy(self)
        made.kept, made.wanted, made._matrices = kept, wanted, {}
        return made

    def _matrix(self, work: Work) -> Matrix | None:
        body, slot = work.body, work.slot
        if body is None or not isinstance(slot, Deliver) or len(body.flats) != 1:
            return None
        (made,) = body.flats
        match made.operation:
            case Accumulate(tree=tree, ref=ref, guard=guard) if ref.index is not None:
                (name,) = names(tree) if len(list(names(tree))) == 1 else ("",)
                known = name.startswith(KEPT) and self.kept[int(name[2:-1])].kind == "real"
                if not known or self.program.variables[ref.variable].scalar:
                    return None
                if self.program.variables[ref.variable].kind != "float":
                    return None
                gate = body.refs[guard].variable if guard else None
                dense = self._dense(slot, ref.index)
                return Matrix(name, ref.variable, ref.index, gate, dense)
            case _:
                return None

    def _dense(self, slot: Deliver, index: str) -> tuple[int, int] | None:
        """Span of the elements that a pathway reaches, if it is better kept as a full matrix."""
        key = slot.pathway, index
        if key not in self._full:
            self._full[key] = self._span(slot, index)
        return self._full[key]

    def _span(self, slot: Deliver, index: str) -> tuple[int, int] | None:
        order, post = self.orders[slot.pathway], self.program.indices[index]
        if len(order.delays) != 1 or not len(post):
            return None
        low, high = int(post.min()), int(post.max()) + 1
        size = (high - low) * order.pathway.n_sources
        edges = order.pathway.source.astype(np.int64) * (high - low) + (post - low)
        if len(post) < LEAST_DENSE * size or len(np.unique(edges)) < len(edges):
            return None
        return low, high - low

    # ---- gradients

    def carrying(self, body: Body, arrives: bool = False) -> set[str]:
        """Names of a body that have a gradient.

        Arguments:
            body: The statements.
            arrives: Whether they are executed on a spike that has one.
        """
        found = {n for n, ref in body.refs.items() if ref.variable in self.active}
        found |= {f"K[{k}]" for k, kept in enumerate(self.kept) if kept.wanted}
        found |= {n for n, key in body.tables.items() if self._table(key) in self.active}
        for made in body.flats:
            written = isinstance(made.operation, Write)
            passes = (arrives and written) or self._depends(body, made, found)
            if passes and (not isinstance(made.operation, Write) or self._is_float(made.operation)):
                found.add(made.name)
        return found

    def has_gradient(self, result: Key) -> bool:
        """Whether a result of a run, ("trace", name) or ("state", name), has a gradient."""
        kind, name = result
        if kind == "trace" and name in self.values:
            body = self.values[name]
            return bool(set(body.outcomes) & self.carrying(body))
        return name in self.active

    def _table(self, key: str) -> str:
        return self.program.tables[key].name

    def _depends(self, body: Body, made: Flat, carrying: Set[str]) -> bool:
        if made.before in carrying:
            return True
        match made.operation.tree:
            case ast.Call(func=ast.Name(id=name)) if name in body.tables:
                return self._table(body.tables[name]) in self.active
            case tree:
                return bool(pulls(tree, carrying))

    def _is_float(self, operation: Write) -> bool:
        return self.program.variables[operation.ref.variable].kind == "float"

    @cached_property
    def active(self) -> set[str]:
        """Keys of the variables and events that have a gradient."""
        if self.wanted is None:
            return set()
        found: set[str] = set()
        self.__dict__["active"] = found
        found |= self.wanted.states | self.wanted.inputs | self.wanted.events
        while True:
            more = {key for work in self.works for key in self._reached(work)} - found
            if not more:
                return found
            found |= more

    def _reached(self, work: Work) -> Iterator[str]:
        """What has a gradient when a slot was executed."""
        slot, body = work.slot, work.body
        if body is None:
            return
        event = slot.event if isinstance(slot, Deliver | Reset) else ""
        pathway = slot.pathway if isinstance(slot, Deliver) else ""
        arrives = event in self.active or pathway in self.active
        carrying = self.carrying(body, arrives)
        place = work.place
        if place is not None and arrives and self.follows(event):
            carrying |= {
                f.name for f in body.flats
                if isinstance(f.operation, Write) and self._is_float(f.operation)
            }  # fmt: skip
        for made in body.flats:
            if made.name in carrying and isinstance(made.operation, Write):
                yield made.operation.ref.variable
        match slot:
            case Sum(target=target) if body.outcomes[0] in carrying:
                yield target.variable
            case Threshold(event=raised) if raised not in self.driven:
                parts = leaves(work.condition) if work.condition else ()
                moved = (x for x in parts if isinstance(x, Margin | Chance))
                if any(names_of(part) & carrying for part in moved):
                    yield raised
            case _:
                pass

    def follows(self, event: str) -> bool:
        """Whether the gradient passes through the resets of an event."""
        known = self.gradients.get(event)
        return self.wanted is not None and known is not None and known.follows_reset

    def at_threshold(self, work: Work) -> tuple[Body, dict[str, str]]:
        """The statements of a reset for a neuron at threshold, and what stands for its variable."""
        body = work.body
        assert body is not None
        if work.place is None:
            return body, {}
        at, name = work.place
        place = "_at_place"
        moved = body.renamed(lambda n: place if n == name and name else n)
        refs = {n: ref for n, ref in body.refs.items() if n != name}
        if name:
            refs[name] = body.refs[name]
        final = {(name if n == place else n): made for n, made in moved.final.items()}
        moved = replace(moved, refs={**at.refs, **refs}, flats=(*at.flats, *moved.flats),
                        final=final, clock={**at.clock, **body.clock},
                        tables={**at.tables, **body.tables})  # fmt: skip
        return moved, ({name: place} if name else {})

    def reads_back(self, work: Work) -> set[str]:
        """Keys of the variables whose values before a slot are needed to go back through it."""
        body, slot = work.body, work.slot
        if body is None or not self.passes(work):
            return set()
        found = {body.refs[n].variable for n in body.read() if n in body.refs}
        if isinstance(slot, Deliver) and (matrix := self.matrix(work)):
            return {matrix.guard} if matrix.guard else set()
        if isinstance(slot, Deliver) and slot.sequential:
            found |= {body.refs[n].variable for n in body.final}  # what each synapse replaces
        if isinstance(slot, Reset) and self.follows(slot.event):
            found |= {body.refs[n].variable for n in body.final}  # a jump is what it adds to them
            if work.place is not None:
                at = work.place[0]
                found |= {at.refs[n].variable for n in at.read()}
        if isinstance(slot, Threshold):
            for other in self.works:
                if isinstance(other.slot, Reset) and other.slot.event == slot.event:
                    assert other.body is not None
                    found |= {other.body.refs[n].variable for n in other.body.read()}
        return found

    def passes(self, work: Work) -> bool:
        """Whether any gradient passes through a slot."""
        slot = work.slot
        if isinstance(slot, Threshold):
            return slot.event in self.active or f"{slot.event}{MARGIN}" in self.record
        return bool(set(self._reached(work)))

    @cached_property
    def undone(self) -> set[tuple[int, str]]:
        """Slots and variables whose value before the slot has to be kept; -1 stands for inputs."""
        if self.wanted is None:
            return set()
        early = self.program.early
        order = [*range(len(self.works) - 1, early - 1, -1), *range(early - 1, -1, -1), -1]
        dense = {k: self._dense_writes(k) for k in order}
        whole = [(k, key) for k in order for key in dense[k]]
        partly = [(k, key) for k in order for key in self._written(k) - dense[k]]
        found: set[tuple[int, str]] = set()
        for k, key in (*whole, *partly):  # what a slot sets whole ends the search of the others
            if self._is_needed(key, order.index(k), order, found, dense):
                found.add((k, key))
        return found

    def _is_needed(
        self,
        key: str,
        place: int,
        order: Sequence[int],
        found: Set[tuple[int, str]],
        dense: Mapping[int, Set[str]],
    ) -> bool:
        for step in range(len(order)):
            k = order[(place + step) % len(order)]
            if step and key in dense[k] and (k, key) in found:
                return False
            if k >= 0 and key in self.reads_back(self.works[k]):
                return True
            if k >= 0 and any(key in self._reads_of_value(v, k) for v in self.values):
                return True
        return False

    def _reads_of_value(self, name: str, k: int) -> set[str]:
        """What a recorded value reads, which is computed beside slot k."""
        body = self.values[name]
        return {body.refs[n].variable for n in body.read() if n in body.refs}

    def _written(self, k: int) -> set[str]:
        if k == -1:
            return {key for key in self.driven if key in self.program.variables}
        return self.works[k].slot.written() & set(self.state)

    def _dense_writes(self, k: int) -> set[str]:
        """Variables of which a slot, whenever a step is made, sets every element."""
        if k == -1:
            return self._written(k)
        slot = self.works[k].slot
        if not isinstance(slot, Update) or slot.every > 1:
            return set()
        return {
            ref.variable for ref in Dataflow(self.program, slot, set()).targets() if not ref.index
        }

    def sparse(self, k: int, key: str) -> bool:
        """Whether a slot keeps what a variable was only where it changes it."""
        work = self.works[k] if k >= 0 else None
        if work is None or work.body is None:
            return False
        if not isinstance(work.slot, Reset | Threshold | Deliver):
            return False
        if isinstance(work.slot, Deliver) and work.slot.sequential:
            return True
        added = (f.operation for f in work.body.flats if isinstance(f.operation, Accumulate))
        return key not in {operation.ref.variable for operation in added}


def _expected(body: Body) -> Iterator[Flat]:
    """Operations with the expected values in the place of random numbers."""
    open_ = {draw.name: draw for draw in body.draws}
    for made in body.flats:
        for name in sorted(uses(made) & set(open_)):
            yield Flat(Define(name, _mean(open_.pop(name)), False))
        yield made


def _mean(draw: Draw) -> ast.expr:
    """Expected value of a random number."""
    if draw.kind == "binomial":
        return ast.BinOp(draw.args[0], ast.Mult(), draw.args[1])
    return ast.Constant(MEANS[draw.kind]) if draw.kind in MEANS else draw.args[0]


def names_of(leaf: Margin | Chance) -> set[str]:
    """Names of the values that carry the gradient of a part of a condition."""
    return set(names(leaf.tree if isinstance(leaf, Margin) else leaf.probability))
