"""Program: what a Brian2 network means, as plain data.

A Program holds statements, not behaviour: the variables with their values in SI units, the
groups and pathways that own them, and the slots of one time step in the order in which Brian2
executes them. `read` makes it, a backend turns it into code, `print(program)` shows it.

This module imports neither brian2 nor torch.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from html import escape
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mirrorneuron.units import Dimensions

from .lower.expression import parse

Kind = Literal["float", "integer", "boolean"]
Array = NDArray[Any]


TIMES = ("lastspike", "lastupdate")  # variables that stay in double precision, to count steps


@dataclass(frozen=True)
class Variable:
    """A named quantity of one object: a state, a parameter or a synaptic value.

    Arguments:
        owner: Name of the Brian2 object.
        name: Name of the variable in that object.
        unit: Its dimensions.
        value: SI floats (or integers, booleans), one per element; shape () when shared.
        kind: What the elements are.
        scalar: Whether one value is shared by all elements.
        read_only: Whether Brian2 forbids to set it (`i`, `N`, ...).
    """

    owner: str
    name: str
    unit: Dimensions
    value: Array
    kind: Kind
    scalar: bool
    read_only: bool = False

    @property
    def key(self) -> str:
        """`owner.name`, by which everything else refers to the variable."""
        return f"{self.owner}.{self.name}"

    @property
    def single(self) -> bool:
        """Whether Brian2 keeps its values in single precision."""
        return self.value.dtype == np.float32


@dataclass(frozen=True)
class Ref:
    """Where a name in a slot gets its value: a variable, seen through an index array or directly.

    Arguments:
        variable: Key of the variable.
        index: Name of an array in `Program.indices`, or None for element by element.
    """

    variable: str
    index: str | None = None


@dataclass(frozen=True)
class Statement:
    """`target op expression`, one line of abstract code.

    `op` is `:=` for a new local name, else `=`, `+=`, `-=`, `*=` or `/=`. The expression is
    text in Brian2's own syntax, plus `where(condition, a, b)`; `tree` is the same, parsed.
    """

    target: str
    op: str
    expression: str
    kind: Kind
    scalar: bool

    @cached_property
    def tree(self) -> ast.expr:
        """The expression as a syntax tree, which nobody changes."""
        return parse(self.expression)

    def __str__(self) -> str:
        return f"{self.target} {self.op} {self.expression}"


@dataclass(frozen=True)
class Sampler:
    """A distribution that Brian2 fixed beforehand: "binomial" (n, p) or "normal" (mean, sd)."""

    kind: Literal["binomial", "normal"]
    args: tuple[float, float]


@dataclass(frozen=True)
class UserFunction:
    """A function that a user wrote.

    Arguments:
        name: Its name.
        numpy: What Brian2's numpy target calls, on plain SI arrays of one axis. It may draw
            from numpy's global random numbers.
        torch: The same on tensors, for gradients, where it was registered.
    """

    name: str
    numpy: Callable[..., Any]
    torch: Callable[..., Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Slot:
    """The statements that one object executes at one place of the schedule: one of those below.

    Arguments:
        name: Name of the Brian2 object that runs (`cells_stateupdater`).
        owner: Object whose elements the statements range over (`cells`).
        when, order: Place in Brian2's schedule.
        size: Number of elements.
        dt: Time step of the object [s].
        every: The same in steps of the Program: the slot runs in every so many of them.
        scalar, vector: Statements executed once, and once for every element.
        refs: Local name to variable.
        constants: Local name to the value found in a namespace.
        units: Local name of a constant to its dimensions.
        keys: Local name of a constant to its name in the whole network, where that is not
            "owner.name".
        clock: Local names that mean the time, the time step or the step count.
        clock_dt: Time step of the clock that they refer to [s]: that of the group, also where the
            slot has another pace.
        tables: Local name to key of a `Table`.
        functions: Local name to the name of a function, Brian2's or a user's.
        samplers: Local name to the distribution that it draws from.
        guards: Target to the boolean name without which it is not written (refractoriness).
    """

    name: str
    owner: str
    when: str
    order: int
    size: int
    dt: float
    every: int = 1
    scalar: tuple[Statement, ...] = ()
    vector: tuple[Statement, ...] = ()
    refs: Mapping[str, Ref] = field(default_factory=dict[str, Ref])
    constants: Mapping[str, float | int | bool] = field(default_factory=dict[str, float])
    units: Mapping[str, Dimensions] = field(default_factory=dict[str, Dimensions])
    keys: Mapping[str, str] = field(default_factory=dict[str, str])
    clock: Mapping[str, Literal["t", "dt", "step"]] = field(default_factory=dict[str, Any])
    clock_dt: float = 0.0
    tables: Mapping[str, str] = field(default_factory=dict[str, str])
    functions: Mapping[str, str] = field(default_factory=dict[str, str])
    samplers: Mapping[str, Sampler] = field(default_factory=dict[str, Sampler])
    guards: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All statements, in the order of execution."""
        return self.scalar + self.vector

    @property
    def purpose(self) -> str:
        """What the slot is for, in words."""
        return f"for each of {self.size} {self.owner}"

    def key(self, constant: str) -> str:
        """Name in the whole network of a constant."""
        return self.keys.get(constant, f"{self.owner}.{constant}")

    def written(self) -> set[str]:
        """Keys of the variables that this slot changes."""
        return {self.refs[s.target].variable for s in self.statements if s.target in self.refs}


@dataclass(frozen=True, kw_only=True)
class Update(Slot):
    """A state update, or a `run_regularly`, of all elements.

    Arguments:
        sequential: Whether elements are updated one after the other, each seeing what the ones
            before it changed; else each statement is executed for all of them at once.
    """

    sequential: bool = False


@dataclass(frozen=True, kw_only=True)
class Threshold(Slot):
    """A condition, the last statement, that raises an event where it holds.

    Arguments:
        event: Event raised, `cells.spike`.
        refractory: Whether it starts a refractory period.
        margin: Dimensions of what the condition compares, if it compares anything.
    """

    event: str
    refractory: bool = False
    margin: Dimensions | None = None

    @property
    def purpose(self) -> str:
        """What the slot is for, in words."""
        return f"{self.event} for each of {self.size} {self.owner} where _cond"

    def written(self) -> set[str]:
        """Keys of the variables that this slot changes."""
        marks = {f"{self.owner}.not_refractory", f"{self.owner}.lastspike"}
        return super().written() | (marks if self.refractory else set())


@dataclass(frozen=True, kw_only=True)
class Reset(Slot):
    """Statements for the elements with an event.

    Arguments:
        event: The event, `cells.spike`.
    """

    event: str

    @property
    def purpose(self) -> str:
        """What the slot is for, in words."""
        return f"for those {self.owner} with {self.event}"


@dataclass(frozen=True, kw_only=True)
class Deliver(Slot):
    """Statements for the synapses at which an event arrives.

    Arguments:
        event: The event that travels, `cells.spike`.
        pathway: Name of the pathway along which it does.
        sequential: Whether the synapses are served one after the other, each seeing what the
            ones before it changed; else each statement is executed for all of them at once.
    """

    event: str
    pathway: str
    sequential: bool = False

    @property
    def purpose(self) -> str:
        """What the slot is for, in words."""
        return f"for each synapse of {self.owner} where {self.event} arrives"


@dataclass(frozen=True, kw_only=True)
class Sum(Slot):
    """A variable that is the sum over synapses of the last statement.

    Arguments:
        target: The variable, and the index over which it is summed.
        span: First element of the variable that is set, and the one after the last.
    """

    target: Ref
    span: tuple[int, int]

    @property
    def purpose(self) -> str:
        """What the slot is for, in words."""
        return f"{self.target.variable} sums over each of {self.size} {self.owner}"

    def written(self) -> set[str]:
        """Keys of the variables that this slot changes."""
        return super().written() | {self.target.variable}


@dataclass(frozen=True, kw_only=True)
class Generate(Slot):
    """Spikes given beforehand.

    Arguments:
        event: Event raised, `stimulus.spike`.
    """

    event: str

    @property
    def purpose(self) -> str:
        """What the slot is for, in words."""
        return f"{self.event} as given"


@dataclass(frozen=True, kw_only=True)
class Host(Slot):
    """Python of the user's that runs between steps: a `network_operation`, or a monitor for it.

    Arguments:
        run: Runs it on Brian2's own objects: see `host.Operation`.
        reads: Keys of the variables and events whose values `torch` takes; "t" is the time.
        writes: Keys of the variables that it may change.
        torch: The same on tensors, where it was registered: takes the values of `reads`, "batch
            element", and returns those of `writes`.
        title: What is called, in words.
    """

    run: Any
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    torch: Callable[..., Any] | None = None
    title: str = ""

    @property
    def purpose(self) -> str:
        """What the slot is for, in words."""
        return f"Python, {self.title}"

    def written(self) -> set[str]:
        """Keys of the variables that this slot may change."""
        return set(self.writes)


@dataclass(frozen=True, kw_only=True)
class Value(Slot):
    """An expression, the last statement, that is computed when it is recorded.

    Arguments:
        unit: Its dimensions.
    """

    unit: Dimensions | None = None

    @property
    def purpose(self) -> str:
        """What the slot is for, in words."""
        return f"value of each of {self.size} {self.owner}"


AnySlot = TypeVar("AnySlot", bound=Slot)


def statements_of(slot: Slot) -> dict[str, Any]:
    """Arguments with which a slot of another kind executes the same code."""
    return {f.name: getattr(slot, f.name) for f in fields(Slot)}


@dataclass(frozen=True)
class Group:
    """A Brian2 object that owns elements: neurons, spike sources or synapses.

    Arguments:
        name: Name of the object.
        kind: Its class.
        size: Number of elements.
        events: Events that its elements can raise.
        method: Integrator of its differential equations.
        equations: What the user wrote, a line for each equation.
    """

    name: str
    kind: str
    size: int
    events: tuple[str, ...] = ()
    method: str = ""
    equations: tuple[str, ...] = ()


class Part(NamedTuple):
    """A subgroup: elements of a group from `start` up to `stop`."""

    group: str
    start: int
    stop: int


@dataclass(frozen=True)
class Pathway:
    """How the events of one group reach the synapses of one `Synapses` object.

    Arguments:
        name: Brian2's name of the pathway (`ee_pre`).
        owner: The `Synapses` object.
        event: The event that travels, `cells.spike`.
        n_sources: Size of the group that raises it.
        source: Element of that group from which each synapse receives.
        delay: Delay of each synapse in steps of the group that raises it.
        pending: Synaptic events already under way: steps from now, synapse.
        side: End of the synapses at which that group is.
        written: The delay that was written for all synapses, in steps that need not be whole.
        shared: Whether Brian2 holds one delay for all synapses.
    """

    name: str
    owner: str
    event: str
    n_sources: int
    source: Array
    delay: Array
    pending: Array
    side: Literal["pre", "post"] = "pre"
    written: float | None = None
    shared: bool = False

    @property
    def max_delay(self) -> int:
        """Longest delay in steps."""
        return int(self.delay.max()) if self.delay.size else 0


@dataclass(frozen=True)
class Generator:
    """Spikes given beforehand: element `index[k]` fires at step `step[k]` (modulo `period`)."""

    owner: str
    step: Array
    index: Array
    period: int

    def between(self, step: Array) -> tuple[Array, Array]:
        """Where in `index` the elements that fire at some steps stand: from and up to."""
        step = step % self.period if self.period else step
        return np.searchsorted(self.step, step), np.searchsorted(self.step, step + 1)


@dataclass(frozen=True)
class Table:
    """A TimedArray: values[k] (or values[k, i]) holds from k*dt; time is rounded to `grain`."""

    name: str
    values: Array
    dt: float
    upsampling: int
    unit: Dimensions

    def row(self, t: float) -> int:
        """Row that is valid at time t, as Brian2 rounds it."""
        k = int(np.round(t / (self.dt / self.upsampling)) / self.upsampling)
        return min(max(k, 0), len(self.values) - 1)


@dataclass(frozen=True)
class Drive:
    """A PoissonInput: independent inputs with one rate and one weight to a variable.

    Arguments:
        name: Name of the object.
        target: Key of the variable.
        count: Number of inputs of each element.
        rate: Of each input [Hz].
        trainable: Whether its weight is a number, "name.weight"; else an expression.
    """

    name: str
    target: str
    count: int
    rate: float
    trainable: bool


class Constant(NamedTuple):
    """A value from a namespace.

    Arguments:
        name: Its name there.
        value: In SI units.
        unit: Its dimensions.
    """

    name: str
    value: float | int | bool
    unit: Dimensions


@dataclass(frozen=True)
class Program:
    """A network as data: see the module's docstring.

    Arguments:
        dt: Time step [s]; the largest of which the steps of all objects are multiples.
        step: Number of steps taken before this Program was read.
        groups, variables, indices, pathways, generators, tables: By name or key.
        slots: In the order of execution.
        early: How many of the slots come before the place where a StateMonitor records.
        functions: What users wrote, by name.
        values: What can be computed from the variables and recorded: the subexpressions of the
            equations, by "object.name", and distances to threshold, by "object.event.margin".
        rates: Right-hand sides of the differential equations, subexpressions substituted, by
            variable; the statements of a slot hold them integrated. None of equations with noise.
        parts: Subgroups that other objects refer to, by name.
        ignored: Objects that only observe (monitors), with what replaces them.
        drives: PoissonInputs by name.
        trained_delays: Delays that are variables, "ee.delay", to the time step to which Brian2
            rounds them [s].
        raised: Elements that raised an event when it was tested last, by event. They go on with it
            in every step where no slot tests it again, as Brian2 has it of inactive objects.
    """

    dt: float
    step: int
    groups: Mapping[str, Group]
    variables: Mapping[str, Variable]
    indices: Mapping[str, Array]
    pathways: Mapping[str, Pathway]
    generators: Mapping[str, Generator]
    tables: Mapping[str, Table]
    slots: tuple[Slot, ...]
    early: int = 0
    functions: Mapping[str, UserFunction] = field(default_factory=dict[str, UserFunction])
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    rates: Mapping[str, Value] = field(default_factory=dict[str, Value])
    parts: Mapping[str, Part] = field(default_factory=dict[str, Part])
    ignored: Mapping[str, str] = field(default_factory=dict[str, str])
    drives: Mapping[str, Drive] = field(default_factory=dict[str, Drive])
    raised: Mapping[str, Array] = field(default_factory=dict[str, Array])
    trained_delays: Mapping[str, float] = field(default_factory=dict[str, float])

    def constants(self) -> dict[str, Constant]:
        """Constants of namespaces, by "object.name"."""
        return {
            slot.key(name): Constant(name, value, slot.units[name])
            for slot in (*self.values.values(), *self.slots)
            for name, value in slot.constants.items()
        }

    def unit(self, key: str) -> Dimensions:
        """Dimensions of a variable or constant."""
        known = self.variables.get(key)
        return self.constants()[key].unit if known is None else known.unit

    def initial(self, key: str) -> Any:
        """Value of a variable or constant, in SI units."""
        known = self.variables.get(key)
        return self.constants()[key].value if known is None else known.value

    def written(self) -> set[str]:
        """Keys of the variables that change during a run."""
        return set().union(*(slot.written() for slot in self.slots))

    def used(self) -> set[str]:
        """Keys of the variables that any slot reads or writes."""
        names = {ref.variable for slot in self.slots for ref in slot.refs.values()}
        looked = {key for slot in self.slots_of(Host) for key in slot.reads}
        return names | self.written() | looked & set(self.variables)

    def spiking(self) -> tuple[str, ...]:
        """Names of the groups that raise spikes."""
        return tuple(name for name, group in self.groups.items() if "spike" in group.events)

    def slots_of(self, kind: type[AnySlot], owner: str | None = None) -> Iterator[AnySlot]:
        """Slots of a kind, in order; only those of one object where it is named."""
        for slot in self.slots:
            if isinstance(slot, kind) and owner in (None, slot.owner):
                yield slot

    def resets(self, event: str) -> Iterator[Reset]:
        """What answers an event."""
        return (slot for slot in self.slots_of(Reset) if slot.event == event)

    def motion(self, owner: str) -> Iterator[Update]:
        """What the equations of a group do in a step, without what runs beside them."""
        name = f"{owner}_stateupdater"
        return (slot for slot in self.slots_of(Update, owner) if slot.name == name)

    def every(self, event: str) -> int:
        """In how many steps an event can be raised once."""
        return next((slot.every for slot in self._raising() if slot.event == event), 1)

    def is_tested(self, event: str) -> bool:
        """Whether a slot says anew who raises an event; not so where its group is inactive."""
        return any(slot.event == event for slot in self._raising())

    def _raising(self) -> tuple[Threshold | Generate, ...]:
        return (*self.slots_of(Threshold), *self.slots_of(Generate))

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def _lines(program: Program) -> Iterator[str]:
    yield f"Program: dt = {program.dt * 1e3:g} ms, {len(program.slots)} slots a step"
    yield ""
    for group in program.groups.values():
        detail = f", method {group.method!r}" if group.method else ""
        yield f"{group.kind} {group.name!r}: {group.size} elements{detail}"
        yield from (f"    {line}" for line in group.equations)
        for variable in program.variables.values():
            if variable.owner == group.name and not variable.name.startswith("_"):
                yield f"    {variable.name:<16} [{variable.unit}]  {_summary(variable)}"
    for pathway in program.pathways.values():
        low, high = (pathway.delay.min(), pathway.delay.max()) if pathway.delay.size else (0, 0)
        span = f"{low} steps" if low == high else f"{low} to {high} steps"
        yield f"Pathway {pathway.name!r}: {pathway.event} -> {pathway.owner}, delay {span}"
    for table in program.tables.values():
        shape = " x ".join(str(n) for n in table.values.shape)
        yield f"TimedArray {table.name!r}: {shape} values of {table.dt * 1e3:g} ms [{table.unit}]"
    for number, slot in enumerate(program.slots, 1):
        yield ""
        pace = f", every {slot.dt * 1e3:g} ms" if slot.every > 1 else ""
        yield f"{number}. {slot.name} ({slot.when}, order {slot.order}{pace}): {slot.purpose}"
        for name, value in slot.constants.items():
            yield f"    {name} is {value:g} [{slot.units[name]}]"
        for statement in slot.statements:
            guard = slot.guards.get(statement.target)
            yield f"    {statement}" + (f"    where {guard}" if guard else "")


def _summary(variable: Variable) -> str:
    value = variable.value
    if value.size == 0:
        return "empty"
    if variable.kind == "boolean":
        return f"{int(value.sum())} of {value.size} true"
    low, high = value.min(), value.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
