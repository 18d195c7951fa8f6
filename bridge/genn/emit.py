"""Emit: a Program as a model of GeNN.

Presumes that `subset.findings` found nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..lower.dataflow import reads
from ..program import (
    TIMES,
    Array,
    Deliver,
    Program,
    Ref,
    Reset,
    Slot,
    Statement,
    Sum,
    Threshold,
    Update,
    Variable,
)
from .block import TYPES, Block, Parameters, identifier
from .layout import Layout
from .model import Model, Neurons, Projection, Stored
from .source import sources

RECORDER = "simulate_state"  # how `simulate` names its StateMonitors, which decides on ties
NOW = "const timepoint now = (rint(t / dt) - 1.0) * dt;"
STARTED = "t > 0.5 * dt"


def emit(
    program: Program,
    steps: int,
    record: Sequence[str] = (),
    random: np.random.RandomState | None = None,
) -> Model:
    """Model strings and arrays for GeNN.

    Arguments:
        program: A network inside of the subset.
        steps: Length of the run, for which the spikes of sources are drawn.
        record: Keys of neurons' variables and subexpressions that will be recorded.
        random: Where numbers are drawn, for sources only, in the order of Brian2's numpy target.

    Raises:
        DomainError: A source cannot be drawn before the run.
    """
    layout = Layout(program)
    given = sources(program, steps, random or np.random.RandomState())
    cells = {name: _Cells(layout, name) for name in layout.groups}
    joints = [p for name in layout.synapses for p in _Joints(layout, name).all(cells)]
    relays = dict[str, Neurons]()
    for relay, feeds in map(_relayed, [p for p in joints if isinstance(p, _Relayed)]):
        relays[relay.name] = relay
        joints += feeds
    projections = [p.projection if isinstance(p, _Relayed) else p for p in joints]
    return Model(
        dt=program.dt,
        neurons={**{name: group.neurons(record) for name, group in cells.items()}, **relays},
        sources=given,
        projections={p.name: p for p in projections},
    )


@dataclass(frozen=True)
class _Relayed:
    """A projection whose presynaptic spikes come from a relay, and what that is made of.

    Arguments:
        projection: It, with the relay as its sending population.
        source: Population that spikes, and its size.
        event, spike: After how many steps the relay gives an event, and a spike.
    """

    projection: Projection
    source: tuple[str, int]
    event: int
    spike: int


def _relayed(given: _Relayed) -> tuple[Neurons, list[Projection]]:
    """A population that repeats each spike of another one twice: as an event, and as a spike.

    A synapse of GeNN has one delay for all that a presynaptic spike does. What comes through the
    relay takes one step longer, so that the delays of the way there are shorter by one.
    """
    name, (source, size) = given.projection.pre, given.source
    relay = Neurons(
        name=name,
        size=size,
        code="heard = in_event;",
        condition="in_spike > 0.5",
        inputs=("in_event", "in_spike"),
        parameters={"ongoing": 1.0},
        variables={"heard": Stored("scalar", np.zeros(size))},
    )
    each = np.arange(size)
    feeds = [
        Projection(
            name=f"{name}_{target}",
            owner="",
            pre=source,
            post=name,
            i=each,
            j=each,
            edge=each,
            on_pre="addToPost(1.0);",
            target=target,
            axonal=steps - 1,
        )
        for target, steps in (("in_event", given.event), ("in_spike", given.spike))
    ]
    return relay, feeds


def _type(variable: Variable) -> str:
    return "timepoint" if variable.name in TIMES else TYPES[variable.kind]


def _value(value: Array, size: int) -> Array:
    made = np.broadcast_to(value, (size,))
    return made.astype(np.int32) if made.dtype.kind in "bi" else made.astype(float)


@dataclass
class _Held:
    """Variables of one model, each once, by key and place."""

    stored: dict[str, Stored] = field(default_factory=dict[str, Stored])
    known: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def keep(self, wanted: str, key: str, place: str, stored: Stored) -> str:
        """Name of a variable in the code."""
        if (key, place) not in self.known:
            name = identifier(wanted)
            while name in self.stored:
                name += "_"
            self.known[key, place] = name
            self.stored[name] = stored
        return self.known[key, place]


class _Cells:
    """Writes the model of one group."""

    def __init__(self, layout: Layout, name: str) -> None:
        self.layout, self.name, self.program = layout, name, layout.program
        self.size = self.program.groups[name].size
        self.held, self.parameters = _Held(), Parameters()
        self.tables: dict[str, Array] = {}
        self.inputs: dict[str, str] = {}
        self.spikes = any(isinstance(s, Threshold) for s in layout.of(layout.early, name))
        for variable in self.program.variables.values():
            if variable.owner == name and variable.key in layout.written:
                self._variable(variable, variable.name)

    def _variable(self, variable: Variable, wanted: str) -> str:
        value = _value(variable.value, self.size)
        stored = Stored(_type(variable), value, variable.key)
        return self.held.keep(wanted, variable.key, "", stored)

    def refer(self, key: str) -> str:
        """Name of a variable of this group."""
        variable = self.program.variables[key]
        return self._variable(variable, variable.name)

    def input(self, slot: Slot, key: str) -> str:
        """Input variable for what a slot delivers into a variable."""
        name = f"in_{identifier(slot.name)}_{identifier(key.split('.', 1)[1])}"
        self.inputs.setdefault(name, key)
        return name

    # ---- the code

    def neurons(self, record: Sequence[str]) -> Neurons:
        """The whole model."""
        wanted = [key for key in record if self._is_sampled(key)]
        late, early = self.layout.of(self.layout.late, self.name), self._early()
        plain = self.layout.is_plain(self.name)
        lines = ["int spiking = 0;"] if self.spikes else []
        lines += list(self._delivered())
        if late and not plain:
            body = [NOW, *(x for s in late for x in self._block(s, "now"))]
            lines += [f"if ({STARTED}) {{", *_indented(body), "}"]
        before = [s for s in early if self._is_before_recording(s)]
        samples = {key: self._sample(key) for key in wanted}
        taken = [line for key in wanted for line in self._sampled(key, samples[key])]
        started = [x for s in before for x in self._block(s, "t")]
        rest = [x for s in early if s not in before for x in self._block(s, "t")]
        if plain:
            rest += [x for s in late for x in self._block(s, "t")]
        elif self.spikes and any(isinstance(s, Reset) for s in late):
            rest.append(f"{self._pending()} = spiking;")
        body = [*started, *taken, *rest] if before else rest
        lines += [] if before else taken
        if body:
            lines += ["if (ongoing > 0.5) {", *_indented(body), "}"]
        return Neurons(
            name=self.name,
            size=self.size,
            code="\n".join(lines),
            condition="spiking" if self.spikes else "",
            inputs=tuple(self.inputs),
            parameters={**self.parameters.values, "ongoing": 1.0},
            variables=self.held.stored,
            tables=self.tables,
            samples=samples,
        )

    def _early(self) -> list[Slot]:
        """Slots before the synapses, with the sums that are delivered to this group."""

        def concerns(slot: Slot) -> bool:
            if isinstance(slot, Sum):
                return self.program.variables[slot.target.variable].owner == self.name
            return slot.owner == self.name

        return [s for s in self.layout.early if concerns(s)]

    def _delivered(self) -> Iterator[str]:
        """What spikes added in the last step, guarded as Brian2 guards it."""
        for slot in self.layout.served:
            for key in self.layout.added(slot):
                if self.program.variables[key].owner == self.name:
                    target = next(n for n, r in slot.refs.items() if r.variable == key)
                    line = f"{self.refer(key)} += {self.input(slot, key)};"
                    guard = slot.guards.get(target)
                    if guard:
                        line = f"if ({self.refer(slot.refs[guard].variable)}) {line}"
                    yield line

    def _pending(self) -> str:
        zeros = np.zeros(self.size, dtype=np.int32)
        return self.held.keep("flag", "", "flag", Stored("int", zeros))

    def _block(self, slot: Slot, time: str) -> Iterator[str]:
        """Lines of one slot."""
        if isinstance(slot, Sum):
            yield from self._summed(slot)
            return
        lines = list(self._statements(slot, time))
        part = self.layout.part(slot) or (0, self.size)
        conditions: list[str] = []
        if part != (0, self.size):
            conditions.append(f"id >= {part[0]} && id < {part[1]}")
        if slot.every > 1:
            count = self.parameters.keep(slot.every, "every")
            conditions.append(f"fmod(rint({time} / dt), {count}) < 0.5")
        if isinstance(slot, Reset):
            plain = self.layout.is_plain(self.name)
            conditions.append("spiking" if plain else self._pending())
        head = f"if ({' && '.join(conditions)}) " if conditions else ""
        yield f"{head}{{"
        yield from _indented(lines)
        yield "}"

    def _statements(self, slot: Slot, time: str) -> Iterator[str]:
        block = self._writer(slot, time)
        yield from block.lines()
        if isinstance(slot, Threshold):
            yield f"spiking = {self._condition(block)};"
            if slot.refractory:
                last = self.refer(f"{self.name}.lastspike")
                ready = self.refer(f"{self.name}.not_refractory")
                yield f"if (spiking) {{ {last} = {time}; {ready} = 0; }}"

    def _condition(self, block: Block) -> str:
        if "_cond" in block.locals:
            return block.locals["_cond"]
        return "1" if block.constants["_cond"] else "0"

    def _writer(self, slot: Slot, time: str) -> Block:
        changing = dict(self._changing(slot))

        def table(key: str) -> str:
            name = f"table_{identifier(key)}"
            self.tables[name] = self.program.tables[key].values.ravel()
            return name

        def store(statement: Statement, text: str) -> Iterator[str]:
            ref = slot.refs[statement.target]
            yield _assignment(
                self.program.variables[ref.variable],
                changing[statement.target],
                statement,
                text,
                changing.get(slot.guards.get(statement.target, "")),
            )

        return Block(self.program, slot, changing, time, self.parameters, table, store)

    def _changing(self, slot: Slot) -> Iterator[tuple[str, str]]:
        """Local names that are variables of the model; others are numbers."""
        for name, ref in slot.refs.items():
            variable = self.program.variables[ref.variable]
            if variable.scalar:
                continue
            if ref.variable in self.layout.written:
                yield name, self.refer(ref.variable)
            else:
                yield name, self._constant(slot, name, ref, variable)

    def _constant(self, slot: Slot, name: str, ref: Ref, variable: Variable) -> str:
        """A value for each neuron that never changes, from wherever it comes."""
        start = self.layout.start(slot, ref.index)
        if variable.owner == self.name and start is not None:
            return self.refer(ref.variable)
        value = variable.value if ref.index is None else variable.value[self._places(ref)]
        whole = np.zeros(self.size, dtype=value.dtype)
        first, last = self.layout.part(slot) or (0, self.size)
        whole[first:last] = value
        stored = Stored(TYPES[variable.kind], _value(whole, self.size))
        return self.held.keep(name, ref.variable, f"{ref.index}", stored)

    def _places(self, ref: Ref) -> Array:
        return self.program.indices[ref.index or ""]

    def _summed(self, slot: Sum) -> Iterator[str]:
        key, (first, last) = slot.target.variable, slot.span
        line = f"{self.refer(key)} = {self.input(slot, key)};"
        whole = (first, last) == (0, self.size)
        yield line if whole else f"if (id >= {first} && id < {last}) {line}"

    # ---- recording

    def _is_sampled(self, key: str) -> bool:
        owner = key.split(".", 1)[0]
        return owner == self.name and (key in self.program.values or key in self.layout.written)

    def _is_before_recording(self, slot: Slot) -> bool:
        """Whether a StateMonitor sees what a slot does in the same step."""
        if slot.when != "start":
            return slot.when.endswith("before_start")
        return (slot.order, slot.name) < (0, RECORDER)

    def _sample(self, key: str) -> str:
        zeros = np.zeros(self.size)
        name = f"rec_{key.split('.', 1)[1]}"
        return self.held.keep(name, key, "sample", Stored("scalar", zeros))

    def _sampled(self, key: str, name: str) -> Iterator[str]:
        if key not in self.program.values:
            yield f"{name} = {self.refer(key)};"
            return
        block = self._writer(self.program.values[key], "t")
        lines = list(block.lines())
        value = block.locals.get("_value") or self.parameters.keep(block.constants["_value"])
        yield "{"
        yield from _indented([*lines, f"{name} = {value};"])
        yield "}"


def _assignment(
    variable: Variable, name: str, statement: Statement, text: str, guard: str | None
) -> str:
    if variable.kind == "float":
        line = f"{name} {statement.op} {text};"
    else:
        if statement.op != "=":
            text = f"(scalar){name} {statement.op[0]} ({text})"
        line = f"{name} = {f'{text} ? 1 : 0' if variable.kind == 'boolean' else f'(int)({text})'};"
    return f"if ({guard}) {line}" if guard else line


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


@dataclass(frozen=True)
class _Task:
    """What one projection does: some lines of some slots.

    Arguments:
        name: Of the projection.
        slots: Slots that it executes.
        key: Variable into which it delivers, or "".
        edge: Synapses that it holds.
        axonal, back: Delays of spikes from both sides.
        delay: Delay of each synapse, if they differ.
        event: Delay of the first of two reactions to a presynaptic spike; `axonal` is then that
            of the second.
    """

    name: str
    slots: tuple[Slot, ...]
    key: str
    edge: Array
    axonal: int = 0
    back: int = 0
    delay: Array | None = None
    event: int | None = None


class _Joints:
    """Writes the projections of one Synapses."""

    def __init__(self, layout: Layout, name: str) -> None:
        self.layout, self.name, self.program = layout, name, layout.program
        self.pre, self.post = layout.ends(name)
        self.i, self.j = layout.edges(name)
        self.slots = layout.of(layout.program.slots, name)

    def all(self, cells: Mapping[str, _Cells]) -> Iterator["Projection | _Relayed"]:
        """All of them."""
        if len(self.i) and self.slots:
            yield from (self._projection(task, cells) for task in self._tasks())

    def _tasks(self) -> Iterator[_Task]:
        everything = np.arange(len(self.i))
        if not splits(self.layout, self.name):
            yield from self._plastic(everything)
            return
        for slot in self.slots:
            delivers = isinstance(slot, Deliver)
            delay = self.program.pathways[slot.pathway].delay if delivers else np.zeros(1)
            uniform = len(np.unique(delay)) == 1
            for key in self.layout.added(slot) or [""]:
                name = f"{self.name}_{slot.name}_{key.split('.')[-1]}"
                if uniform:
                    yield _Task(name, (slot,), key, everything, axonal=int(delay[0]))
                elif self._is_read(slot):
                    yield from self._by_delay(name, (slot,), key, [delay], np.zeros_like(delay))
                else:
                    yield _Task(name, (slot,), key, everything, delay=delay)

    def _is_read(self, slot: Slot) -> bool:
        """Whether a spike's effect depends on what changes."""
        return bool(reads(slot) & self.layout.written)

    def _plastic(self, everything: Array) -> Iterator[_Task]:
        served = list(self.program.slots_of(Deliver, self.name))
        keys = {k for s in served for k in self.layout.added(s)}
        keys |= {s.target.variable for s in self.program.slots_of(Sum, self.name)}
        key = keys.pop() if keys else ""
        zeros = np.zeros(len(everything), dtype=np.int64)
        delays: dict[str, list[Array]] = {"pre": [], "post": []}
        for slot in served:
            path = self.program.pathways[slot.pathway]
            delays[path.side].append(path.delay)
        back = (delays["post"] or [zeros])[0]
        yield from self._by_delay(self.name, self.slots, key, delays["pre"] or [zeros], back)

    def _by_delay(
        self, name: str, slots: tuple[Slot, ...], key: str, pre: Sequence[Array], post: Array
    ) -> Iterator[_Task]:
        """One projection for each combination of delays."""
        rows, member = np.unique(np.stack([*pre, post]), axis=1, return_inverse=True)
        for k, (*before, back) in enumerate(rows.T.tolist()):
            edge = np.flatnonzero(member.ravel() == k)
            part = name if rows.shape[1] == 1 else "_".join(map(str, (name, *before, back)))
            event = before[0] if len(before) > 1 else None
            yield _Task(part, slots, key, edge, before[-1], back, event=event)

    def _projection(self, task: _Task, cells: Mapping[str, _Cells]) -> "Projection | _Relayed":
        writer = _Joint(self, task, cells)
        code = {"event": "", "pre": "", "post": "", "step": ""}
        first = next(iter(self.layout.deliveries(self.name, "pre")), None)
        for slot in sorted(task.slots, key=lambda s: isinstance(s, Sum)):  # updates are older
            part = self.layout.direction(slot) if isinstance(slot, Deliver) else "step"
            part = "event" if task.event is not None and slot is first else part
            code[part] += "\n".join(writer.lines(slot)) + "\n"
        if code["step"]:
            code["step"] = f"{NOW}\n{code['step']}"
        relayed = task.event is not None
        made = Projection(
            name=identifier(task.name),
            owner=self.name,
            pre=f"{task.name} relay" if relayed else self.pre,
            post=self.post or self.pre,
            i=self.i[task.edge],
            j=self.j[task.edge] if self.post else self.i[task.edge],
            edge=task.edge,
            on_pre=_with_time(code["pre"]),
            on_event=_with_time(code["event"]),
            event="heard > 0.5" if relayed else "",
            on_post=_with_time(code["post"]),
            dynamics=code["step"],
            target=writer.target,
            parameters=writer.parameters.values,
            variables=writer.held.stored,
            tables=writer.tables,
            pre_refs={**writer.refs["pre"], **({"heard": "heard"} if relayed else {})},
            post_refs=writer.refs["post"],
            axonal=0 if relayed else task.axonal,
            back=task.back,
            longest=0 if task.delay is None else int(task.delay.max()),
        )
        if task.event is None:
            return made
        source = (self.pre, self.program.groups[self.pre].size)
        return _Relayed(made, source, task.event, task.axonal)


def _with_time(code: str) -> str:
    return f"{NOW}\n{code}" if "now" in code else code


class _Joint:
    """Writes the code of one projection."""

    def __init__(self, joints: _Joints, task: _Task, cells: Mapping[str, _Cells]) -> None:
        self.joints, self.task, self.cells = joints, task, cells
        self.layout, self.program = joints.layout, joints.program
        self.held, self.parameters, self.target = _Held(), Parameters(), ""
        self.tables: dict[str, Array] = {}
        self.refs: dict[str, dict[str, str]] = {"pre": {}, "post": {}}

    def lines(self, slot: Slot) -> Iterator[str]:
        """Code of one slot."""
        changing = dict(self._changing(slot))

        def table(key: str) -> str:
            name = f"table_{identifier(key)}"
            self.tables[name] = self.program.tables[key].values.ravel()
            return name

        def store(statement: Statement, text: str) -> Iterator[str]:
            ref = slot.refs[statement.target]
            if self.layout.side(slot, ref) is None:
                variable = self.program.variables[ref.variable]
                guard = changing.get(slot.guards.get(statement.target, ""))
                yield _assignment(variable, changing[statement.target], statement, text, guard)
            elif ref.variable == self.task.key:
                yield self._add(slot, ref.variable, text if statement.op == "+=" else f"-({text})")

        time = "t" if isinstance(slot, Sum) else "now"
        block = Block(self.program, slot, changing, time, self.parameters, table, store)
        lines = list(block.lines())
        if isinstance(slot, Sum):
            lines += self._sum(slot, block)
        head = ""
        if isinstance(slot, Update):
            head = f"if ({STARTED}) "
            if slot.every > 1:
                count = self.parameters.keep(slot.every, "every")
                head = f"if ({STARTED} && fmod(rint(now / dt), {count}) < 0.5) "
        yield f"{head}{{"
        yield from _indented(lines)
        yield "}"

    def _sum(self, slot: Sum, block: Block) -> list[str]:
        last = slot.statements[-1].target
        value = block.locals.get(last) or self.parameters.keep(block.constants[last])
        return [self._add(slot, slot.target.variable, value)]

    def _add(self, slot: Slot, key: str, text: str) -> str:
        """Deliver a value."""
        owner = self.program.variables[key].owner
        self.target = self.cells[owner].input(slot, key)
        if self.task.delay is None:
            return f"addToPost({text});"
        stored = Stored("int", self.task.delay.astype(np.int32))
        return f"addToPostDelay({text}, {self.held.keep('delay_steps_', '', 'delay', stored)});"

    def _changing(self, slot: Slot) -> Iterator[tuple[str, str]]:
        for name, ref in slot.refs.items():
            variable = self.program.variables[ref.variable]
            if not variable.scalar:
                yield name, self._name(slot, name, ref, variable)

    def _name(self, slot: Slot, name: str, ref: Ref, variable: Variable) -> str:
        side, changes = self.layout.side(slot, ref), ref.variable in self.layout.written
        edge = self.task.edge
        if side is None or (variable.owner == self.joints.name and ref.index is None):
            value = variable.value if ref.index is None else self._gathered(ref, variable)
            key = variable.key if ref.index is None else ""
            stored = Stored(_type(variable), _value(value[edge], len(edge)), key if changes else "")
            return self.held.keep(name, ref.variable, f"{ref.index}", stored)
        if changes:
            given = identifier(name)
            self.refs[side][given] = self.cells[variable.owner].refer(ref.variable)
            return given
        stored = Stored(
            TYPES[variable.kind], _value(self._gathered(ref, variable)[edge], len(edge))
        )
        return self.held.keep(name, ref.variable, f"{ref.index}", stored)

    def _gathered(self, ref: Ref, variable: Variable) -> Array:
        return variable.value[self.program.indices[ref.index or ""]]


def splits(layout: Layout, synapses: str) -> bool:
    """Whether the slots of a Synapses share nothing: each can be a projection of its own."""
    slots = layout.of(layout.program.slots, synapses)
    own = {v.key for v in layout.program.variables.values() if v.owner == synapses}
    changed = any(slot.written() & own for slot in slots)
    return not changed and all(isinstance(s, Deliver | Sum) for s in slots)
