"""Read a Brian2 Network: the abstract code of every object, as a Program.

Brian2 prepares a run by handing each object's abstract code, with all names resolved and all
units checked, to the active code generation target. `read` intercepts code generation during
`run(0*second)` and records that code. The lines are then split into statements by Brian2's own
`make_statements`, exactly as for its numpy target, so that a Program means what Brian2 computes,
in the same order of operations.
"""

import ast
import gc
from collections import abc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from inspect import getclosurevars
from math import lcm
from threading import RLock
from typing import Any, NamedTuple, cast

import numpy as np
from brian2 import (
    EventMonitor,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    PopulationRateMonitor,
    SpatialNeuron,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Subgroup,
    Synapses,
    TimedArray,
    get_device,
    prefs,
    second,
)
from brian2.codegen.codeobject import create_runner_codeobj
from brian2.codegen.runtime.numpy_rt import NumpyCodeObject
from brian2.codegen.translation import make_statements
from brian2.core.clocks import Clock
from brian2.core.functions import DEFAULT_FUNCTIONS, Function
from brian2.core.namespace import DEFAULT_UNITS
from brian2.core.variables import ArrayVariable, Constant, Subexpression
from brian2.devices.device import RuntimeDevice
from brian2.groups.neurongroup import StateUpdater
from brian2.input.binomial import BinomialFunction
from brian2.input.timedarray import _find_K  # pyright: ignore[reportPrivateUsage]
from brian2.parsing.bast import brian_dtype_from_dtype
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.units.fundamentalunits import Quantity, get_dimensions
from brian2.utils.stringtools import get_identifiers

from mirrorneuron._brian2_fault import told
from mirrorneuron.errors import DomainError, Unsupported, UnsupportedFeature
from mirrorneuron.units import Dimensions

from .bounds import require_delay_fits, require_small
from .host import Operation, Session, runs_python
from .lower.margin import MARGIN, margin
from .memory import Watch
from .program import (
    Array,
    Deliver,
    Drive,
    Generate,
    Generator,
    Group,
    Host,
    Kind,
    Part,
    Pathway,
    Program,
    Ref,
    Reset,
    Sampler,
    Slot,
    Statement,
    Sum,
    Table,
    Threshold,
    Update,
    UserFunction,
    Value,
    Variable,
    statements_of,
)
from .register import registered, registered_operation, require_known
from .unused_warning import note_mirrored

MONITORS = {
    SpikeMonitor: "recording.spikes",
    EventMonitor: "recording.events",
    StateMonitor: "run(record=[...])",
    PopulationRateMonitor: "recording.spikes",
}
OWNERS = (NeuronGroup, PoissonGroup, SpikeGeneratorGroup, Synapses)
RUNNERS = (
    "stateupdate", "threshold", "reset", "synapses", "summed_variable", "spikegenerator",
)  # fmt: skip
ONE_AT_A_TIME = RLock()
VALUE = "_value"
RATE = "_rate"
WEIGHT = "_weight"
BY_STATEMENT = "#  Abstract code:"
LOOP = "for _idx in _full_idx:"
FINEST = 100
ORDERED = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)
CLOCK = {"t": "t", "dt": "dt", "timestep": "step", "t_in_timesteps": "step"}


class Code(NamedTuple):
    """What Brian2 hands to a code generator for one object, and how its numpy target executes it:
    in a loop over synapses, or each statement for itself.
    """

    template: str
    text: str
    variables: Mapping[str, Any]
    indices: Mapping[str, str]
    options: Mapping[str, Any]
    unguarded: frozenset[str]
    looped: bool
    by_statement: bool


def read(
    network: Network,
    namespace: Mapping[str, Any],
    strict: bool = True,
    asked: str = "mirror(net)",
) -> tuple[Program, tuple[Unsupported, ...]]:
    """Read `network` into a Program without advancing it.

    Arguments:
        network: Any Brian2 network; its state, time and monitors stay as they are.
        namespace: Names for equations whose group has no namespace of its own.
        strict: Whether to refuse a network with parts that cannot be mirrored.
        asked: What was called, for messages.

    Returns:
        The Program, and what of the network it leaves out (nothing when strict).

    Raises:
        UnsupportedFeature: Lists everything that cannot be mirrored.
        DomainError: A delay is negative or not finite.
    """
    _require_runtime(network)
    require_small(_texts(network))
    _require_delays(network)
    active = [obj for obj in network.sorted_objects if obj.active]
    refused = {obj.name: why for obj in active if (why := _refusal(obj))}
    skipped = {name for obj in network.sorted_objects if obj.name in refused for name in _all(obj)}
    with ONE_AT_A_TIME:  # Brian2's device and preferences are the process's
        codes = _generated_code(network, namespace, skipped, asked)
    reader = _Reader(network, codes, skipped)
    program = reader.program()
    unsupported = (*refused.values(), *reader.unsupported)
    if unsupported and strict:
        total = sum(isinstance(obj, OWNERS) for obj in network.sorted_objects)
        raise UnsupportedFeature("mirror(net)", unsupported, max(total, len(refused)))
    return program, unsupported


def _require_runtime(network: Network) -> None:
    if not isinstance(get_device(), RuntimeDevice):
        item = Unsupported(
            object=network.name,
            kind="Network",
            feature="set_device('cpp_standalone')",
            reason="In standalone mode the values live in a program that is not compiled yet.",
            remedy="Build the network without set_device, mirror it, and simulate it as you like.",
        )
        raise UnsupportedFeature("mirror(net)", (item,), 1)


def _require_delays(network: Network) -> None:
    """Refuse delays that Brian2 could not prepare.

    Raises:
        DomainError: One is negative or not finite.
        TooLarge: One is beyond the memory.
    """
    for obj in network.sorted_objects:
        if obj.active and hasattr(obj, "prepost") and "delay" in obj.variables:
            seconds = np.array(obj.variables["delay"].get_value(), dtype=float)
            _require_delay(obj.name, seconds)
            steps = np.max(seconds, initial=0.0) / float(obj.source.clock.dt_)
            require_delay_fits(obj.name, steps, len(_parent(obj.source)))


def _texts(network: Network) -> Iterator[tuple[str, str]]:
    """Equations and statements of the objects in a network, with the name of the object."""
    for obj in network.sorted_objects:
        for name, value in vars(obj).items():
            inner = value.values() if isinstance(value, abc.Mapping) else (value,)
            if "creation" not in name:
                yield from ((obj.name, text) for text in inner if isinstance(text, str))
        for equation in getattr(obj, "equations", {}).values():
            if equation.expr is not None:
                yield obj.name, equation.expr.code


def _all(obj: Any) -> Iterator[str]:
    """Names of an object and of those that it brings along."""
    return (x.name for x in with_contained(obj))


def _refusal(obj: Any) -> Unsupported | None:
    """Why an object cannot be mirrored as a whole, if so."""
    if not hasattr(obj.clock, "dt_"):
        return Unsupported(
            object=obj.name,
            kind=type(obj).__name__,
            feature="a clock without a time step (run_at)",
            reason="It runs at times of its own, and a mirror goes on from step to step.",
            remedy="Write run_regularly('...', dt=...), or a TimedArray that says when.",
        )
    if isinstance(obj, SpatialNeuron):
        return Unsupported(
            object=obj.name,
            kind="SpatialNeuron",
            feature="a cable with compartments",
            reason="Its voltages are solved as one linear system for the whole morphology.",
            remedy="Write the compartments as variables of a NeuronGroup, coupled by currents.",
        )
    if isinstance(obj, StateUpdater) and str(obj.method_choice).startswith("gsl"):
        return Unsupported(
            object=obj.group.name,
            kind=obj.group.__class__.__name__,
            feature=f"method={obj.method_choice!r}",
            reason="GSL takes the step inside its own C library: there are no statements to read.",
            remedy="Write method='rk4' and check that dt ="
            f" {float(obj.clock.dt_) * 1e3:g} ms is small enough.",
        )
    return None


def _runs_code(obj: Any) -> bool:
    """Whether an object takes part in the dynamics."""
    return bool(obj.code_objects) and type(obj) not in MONITORS


def with_contained(obj: Any) -> Iterator[Any]:
    """An object and those that it brings along."""
    yield obj
    for contained in obj.contained_objects:
        yield from with_contained(contained)


@contextmanager
def unmarked(objects: abc.Iterable[Any]) -> abc.Generator[None]:
    """Let objects that were run in another network be prepared, and leave no mark on them."""
    marks = [(obj, obj._network) for obj in objects]
    try:
        for obj, _ in marks:
            obj._network = None
        yield
    finally:
        for obj, mark in marks:
            obj._network = mark


@contextmanager
def _only(network: Network, skip: set[str]) -> abc.Generator[None]:
    """Make the objects named in `skip` inactive for a while."""
    changed = [obj for obj in network.sorted_objects if obj.name in skip and obj.active]
    target = prefs.codegen.target
    try:
        prefs.codegen.target = "numpy"
        for obj in changed:
            obj._active = False
        yield
    finally:
        prefs.codegen.target = target
        for obj in changed:
            obj._active = True


@contextmanager
def _memory_left_alone() -> abc.Generator[None]:
    """Let Brian2 begin a run without searching all memory for garbage.

    It does so each time, which takes longer than to prepare a small network.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _generated_code(
    network: Network, namespace: Mapping[str, Any], skip: set[str], asked: str
) -> dict[str, Code]:
    """The code that Brian2 generates for every object during `run(0*second)`."""
    device: Any = get_device()
    codes, generate = dict[str, Code](), device.code_object

    def code_object(**request: Any) -> Any:
        made = generate(**request)
        text = str(getattr(made.code, "run", made.code))
        codes[made.name] = Code(
            request["template_name"],
            request["abstract_code"].get(None, ""),
            request["variables"],
            request["variable_indices"],
            request["template_kwds"] or {},
            frozenset(request["override_conditional_write"] or ()),
            LOOP in text,
            BY_STATEMENT in text,
        )
        return made

    with _only(network, skip), unmarked(network.sorted_objects), _memory_left_alone():
        device.code_object = code_object
        try:
            with told(asked, namespace, network):
                network.run(0 * second, namespace=dict(namespace))
                for obj in network.sorted_objects:
                    if obj.active:
                        _generate_values(obj, namespace)
        finally:
            del device.code_object
    note_mirrored(network.sorted_objects)
    return codes


class _Value(NamedTuple):
    """A subexpression of a group, in the place of an object that runs at the start of a step."""

    group: Any
    subexpression: str
    when: str = "start"
    order: int = 0

    @property
    def name(self) -> str:
        return f"{self.group.name}_{self.subexpression}"

    @property
    def clock(self) -> Any:
        return self.group.clock


def _recordable(obj: Any) -> Iterator[str]:
    """Names of an object's own subexpressions."""
    if not isinstance(obj, OWNERS):
        return
    written: Mapping[str, Any] = getattr(obj, "equations", {})
    yield from (name for name in written if isinstance(obj.variables.get(name), Subexpression))


def _rates(obj: Any) -> Iterator[tuple[str, str]]:
    """Right-hand sides of an object's differential equations, by variable; without noise."""
    if not isinstance(obj, NeuronGroup | Synapses):
        return
    equations: Any = obj.equations
    for name, expression in equations.get_substituted_expressions(obj.variables):
        noisy = any(n == "xi" or n.startswith("xi_") for n in expression.identifiers)
        if name in equations.diff_eq_names and not noisy:
            yield name, expression.code


def _computed(obj: Any) -> Iterator[tuple[str, str]]:
    """What can be computed of an object, by the name of its code."""
    for name in _recordable(obj):
        yield f"{obj.name}_{name}_{VALUE}", name
    for name, text in _rates(obj):
        yield f"{obj.name}_{name}_{RATE}", text


def _generate_values(obj: Any, namespace: Mapping[str, Any]) -> None:
    """Have Brian2 write the code of an object's subexpressions and right-hand sides."""
    for name, text in _computed(obj):
        create_runner_codeobj(
            obj,
            f"{VALUE} = {text}",
            "stateupdate",
            run_namespace=dict(namespace),
            name=name,
            check_units=False,
        )


class _Reader:
    """Collects groups, variables and slots while it walks through a prepared network."""

    def __init__(self, network: Network, codes: Mapping[str, Code], skip: set[str]) -> None:
        known = [o for o in network.sorted_objects if o.name not in skip]
        self.objects = [o for o in known if o.active]
        self.inactive = [o for o in known if not o.active]
        self.codes = codes
        self.unsupported: list[Unsupported] = []
        self.schedule = list(network.schedule)
        self.dt, self.step = self._grid(network)
        self.groups: dict[str, Group] = {}
        self.variables: dict[str, Variable] = {}
        self.indices: dict[str, Array] = {}
        self.pathways: dict[str, Pathway] = {}
        self.generators: dict[str, Generator] = {}
        self.tables: dict[str, Table] = {}
        self.functions: dict[str, UserFunction] = {}
        self.ignored: dict[str, str] = {}
        self.drives: dict[str, Drive] = {}
        self.raised: dict[str, Array] = {}
        self.own: dict[str, Any] = {}  # Brian2's variables, by the keys of ours
        self.arrays: dict[str, Any] = {}  # its TimedArrays
        self.session = Session(network, {}, {}, {}, self.dt)
        self.looks = any(runs_python(o) and registered_operation(o) is None for o in self.objects)

    def _grid(self, network: Network) -> tuple[float, int]:
        """The largest time step of which all objects' steps are multiples; steps taken."""
        everything = self.objects or network.sorted_objects
        if not everything:
            raise DomainError(
                "mirror(net): the network is empty. Add the objects that it should run."
            )
        runners = [o for o in self.objects if runs_python(o) or _runs_code(o)]
        clocks = {float(o.clock.dt_): o for o in reversed(runners or everything)}
        least = min(clocks)
        ratios = {dt: Fraction(dt / least).limit_denominator(FINEST) for dt in clocks}
        for dt, obj in clocks.items():
            if abs(float(ratios[dt]) * least - dt) > 1e-9 * dt:
                self.refuse(
                    obj,
                    f"a time step of {dt * 1e3:g} ms beside one of {least * 1e3:g} ms",
                    "The steps of all objects have to meet: one has to be a simple fraction of"
                    " the other.",
                    f"Give it, say, dt={round(dt / least) * least * 1e3:g}*ms.",
                )
        dt = least / lcm(*(ratio.denominator for ratio in ratios.values()))
        return dt, round(float(network.t_) / dt)

    def program(self) -> Program:
        """The whole network."""
        for obj in (*self.objects, *self.inactive):
            if isinstance(obj, OWNERS):
                self._group(obj)
        slots = tuple(slot for obj in self.objects for slot in self._slots(obj))
        slots = self._with_hosts(slots)
        return Program(
            dt=self.dt,
            step=self.step,
            groups=self.groups,
            variables=self.variables,
            indices=self.indices,
            pathways=self.pathways,
            generators=self.generators,
            tables=self.tables,
            slots=slots,
            early=sum(self._is_early(slot) for slot in slots),
            functions=self.functions,
            values=dict(self._values()) | dict(_margins(slots)),
            rates=dict(self._right_hand_sides()),
            parts=dict(self._parts()),
            ignored=self.ignored,
            drives=self.drives,
            raised=self.raised,
        )

    def _parts(self) -> Iterator[tuple[str, Part]]:
        """Subgroups that objects of the network receive from, act on or observe."""
        for obj in self.objects:
            for end in ("source", "target", "group"):
                found = getattr(obj, end, None)
                if isinstance(found, Subgroup):
                    yield found.name, Part(found.source.name, found.start, found.stop)

    def refuse(self, obj: Any, feature: str, reason: str, remedy: str) -> None:
        """Note a part of an object that cannot be mirrored."""
        self.unsupported.append(
            Unsupported(obj.name, obj.__class__.__name__, feature, reason, remedy)
        )

    def _group(self, obj: Any) -> None:
        updater = getattr(obj, "state_updater", None)
        method = getattr(updater, "method_choice", None)
        events = tuple(getattr(obj, "events", {})) if not isinstance(obj, Synapses) else ()
        written = tuple(str(getattr(obj, "equations", None) or "").splitlines())
        self.groups[obj.name] = Group(
            obj.name, type(obj).__name__, len(obj), events, str(method) if method else "", written
        )
        for event in events:
            space = np.array(obj.variables[f"_{event}space"].get_value(), dtype=np.int64)
            self.raised[f"{obj.name}.{event}"] = space[: space[-1]]
            self.own[f"{obj.name}.{event}space"] = obj.variables[f"_{event}space"]
        for variable in obj.variables.values():
            if isinstance(variable, ArrayVariable) and not variable.name.endswith("space"):
                if np.ndim(variable.get_value()) > 1:
                    continue  # refused where a statement uses it
                owner: Any = getattr(variable, "owner", None)
                if owner is not None and owner.name == obj.name:
                    self.variable(variable)

    def variable(self, variable: Any) -> str:
        key = f"{variable.owner.name}.{variable.name}"
        if key not in self.variables:
            value = np.array(variable.get_value())
            value = value if value.ndim < 2 else value[0]  # refused by name
            self.own[key] = variable
            self.variables[key] = Variable(
                owner=variable.owner.name,
                name=variable.name,
                unit=Dimensions.of(variable),
                value=value.reshape(()) if variable.scalar else value,
                kind=_kind(variable.dtype),
                scalar=variable.scalar,
                read_only=variable.read_only,
            )
        return key

    def _slots(self, obj: Any) -> Iterator[Slot]:
        if type(obj) in MONITORS:
            self.ignored[obj.name] = MONITORS[type(obj)]
        if runs_python(obj) or (self.looks and type(obj) in MONITORS):
            yield self._host(obj)
        if type(obj) in MONITORS:
            return
        for codeobj in obj.code_objects:
            code = self.codes.get(codeobj.name)
            if code is None or code.template == "synapses_push_spikes":
                continue
            if code.template not in RUNNERS:
                self.refuse(
                    obj,
                    f"code of the kind {code.template!r}",
                    "Only state updates, thresholds, resets, synapses and sums are mirrored.",
                    "Express it through NeuronGroup and Synapses.",
                )
                continue
            yield self._drive(obj, code) if isinstance(obj, PoissonInput) else self._slot(obj, code)

    def _host(self, obj: Any) -> Host:
        """What runs Python, or looks on for it."""
        called = getattr(obj, "function", None)
        name = getattr(called, "__name__", type(called).__name__)
        made = registered_operation(obj)
        return Host(
            name=obj.name,
            owner=obj.name,
            when=obj.when,
            order=obj.order,
            size=0,
            dt=float(obj.clock.dt_),
            every=round(float(obj.clock.dt_) / self.dt),
            clock_dt=float(obj.clock.dt_),
            run=Operation(self.session, obj, watches=type(obj) in MONITORS),
            reads=made.reads if made else (),
            writes=made.writes if made else (),
            torch=made.torch if made else None,
            title=f"{name}()" if called is not None else f"run() of a {type(obj).__name__}",
        )

    def _with_hosts(self, slots: tuple[Slot, ...]) -> tuple[Slot, ...]:
        """The slots, in which each knows what it may change, and the session of those with Python.

        Raises:
            UnknownName: What was registered names a variable that does not exist.
        """
        hosts = [slot for slot in slots if isinstance(slot, Host)]
        for slot in hosts:
            require_known(slot, self.variables, self.raised)
        if not self.looks:
            return slots
        free = tuple(k for k, v in self.variables.items() if self._may_change(v))
        self.session.variables = {key: self.own[key] for key in free}
        spaces = {event: self.own[f"{event}space"] for event in self.raised}
        self.session.spaces = spaces
        self.session.tables = {
            name: (array, np.array(array.values)) for name, array in self.arrays.items()
        }
        return tuple(
            replace(slot, writes=free)
            if isinstance(slot, Host) and slot.torch is None and not slot.run.watches
            else slot
            for slot in slots
        )

    def _may_change(self, variable: Variable) -> bool:
        """Whether Python may set a variable."""
        group = self.groups.get(variable.owner)
        given = group is None or group.kind == "SpikeGeneratorGroup"
        return not (given or variable.read_only or variable.name.startswith("_"))

    def _drive(self, obj: Any, code: Code) -> Slot:
        """The slot of a PoissonInput, whose weight is a constant of its own."""
        weighed = _weighed(obj, code)
        count, rate, target = int(obj.N), float(obj.rate), f"{_parent(obj.group).name}"
        self.drives[obj.name] = Drive(
            obj.name, f"{target}.{obj.target_var}", count, rate, weighed is not code
        )
        slot = self._slot(obj, weighed)
        keys = {WEIGHT: f"{obj.name}.weight"} if weighed is not code else {}
        return replace(slot, keys=keys)

    def _is_early(self, slot: Slot) -> bool:
        """Whether a slot comes before a StateMonitor in the schedule."""
        if slot.when == "start":
            return slot.order < 0
        place, stem = self.schedule.index("start"), slot.when.removeprefix("before_")
        if stem == "start":
            return True
        return self.schedule.index(stem.removeprefix("after_")) < place

    def _values(self) -> Iterator[tuple[str, Value]]:
        """What is computed when it is recorded."""
        for obj in self.objects:
            for name in _recordable(obj):
                code = self.codes[f"{obj.name}_{name}_{VALUE}"]
                unit = Dimensions.of(obj.variables[name])
                slot = self._slot(_Value(obj, name), code)
                yield f"{obj.name}.{name}", Value(**statements_of(slot), unit=unit)

    def _right_hand_sides(self) -> Iterator[tuple[str, Value]]:
        """How fast each variable changes by its differential equation."""
        for obj in self.objects:
            for name, _ in _rates(obj):
                slot = self._slot(_Value(obj, name), self.codes[f"{obj.name}_{name}_{RATE}"])
                unit = Dimensions.of(Quantity(1, dim=obj.variables[name].dim) / second)
                yield f"{obj.name}.{name}", Value(**statements_of(slot), unit=unit)

    def _slot(self, obj: Any, code: Code) -> Slot:
        """What one object executes."""
        owner = obj if code.template == "spikegenerator" else obj.group
        scalar, vector = make_statements(code.text, code.variables, np.float64, blockname="")
        names = _Names(self, obj, code)
        plain = Slot(
            name=obj.name,
            owner=_parent(owner).name,
            when=obj.when,
            order=obj.order,
            size=len(owner),
            dt=float(obj.clock.dt_),
            every=round(float(obj.clock.dt_) / self.dt),
            scalar=tuple(map(_statement, scalar)),
            vector=tuple(map(_statement, vector)),
            guards=names.guards(),
        )
        resolved = names.resolve(self._of_kind(plain, obj, code, names))
        if not (code.by_statement or code.looped):
            self._require_no_alias(owner, resolved)
        return resolved

    def _of_kind(self, plain: Slot, obj: Any, code: Code, names: "_Names") -> Slot:
        """A slot with what is particular to its kind."""
        same = statements_of(plain)
        match code.template:
            case _ if isinstance(obj, _Value):
                return Value(**same)
            case "threshold":
                refractory = bool(code.options.get("_uses_refractory", False))
                event = f"{plain.owner}.{obj.event}"
                return Threshold(**same, event=event, refractory=refractory, margin=_margin(code))
            case "reset":
                return Reset(**same, event=f"{plain.owner}.{obj.event}")
            case "synapses":
                event = f"{_parent(obj.source).name}.{obj.event}"
                pathway = self._pathway(obj)
                return Deliver(**same, event=event, pathway=pathway, sequential=code.looped)
            case "summed_variable":
                return Sum(**same, target=names.summed(obj.group), span=_span(code.options))
            case "spikegenerator":
                self._generator(obj)
                return Generate(**same, event=f"{obj.name}.spike")
            case _:
                return Update(**same, sequential=code.looped)

    def _require_no_alias(self, owner: Any, slot: Slot) -> None:
        """Refuse `old = v` before `v += ...`, to which Brian2's targets give different meanings."""
        shared = {n for n, r in slot.refs.items() if self.variables[r.variable].scalar}
        same: dict[str, str] = {}
        for k, statement in enumerate(slot.vector):
            target, source = statement.target, statement.expression
            later = {n for s in slot.vector[k + 1 :] for n in get_identifiers(s.expression)}
            if statement.op not in (":=", "="):
                alias = {**same, **{v: k for k, v in same.items()}}.get(target)
                if alias in slot.refs or alias in later:
                    self.refuse(
                        _parent(owner),
                        f"the statement '{statement}' when {alias!r} is the same as {target!r}",
                        "Brian2's numpy target changes both, since they share an array there; its"
                        " C++ targets change one. So there is no one result to mirror.",
                        f"Make a new array of the copy: write clip({target}, -inf, inf).",
                    )
                continue
            same = {k: v for k, v in same.items() if target not in (k, v)}
            if source.isidentifier() and source not in shared and source not in slot.constants:
                same[target] = source

    def _generator(self, obj: Any) -> None:
        self.generators[obj.name] = Generator(
            owner=obj.name,
            step=np.array(obj.variables["_timebins"].get_value(), dtype=np.int64),
            index=np.array(obj.variables["neuron_index"].get_value(), dtype=np.int64),
            period=int(obj.variables["_period_bins"].get_value().item()),
        )

    def _pathway(self, obj: Any) -> str:
        seconds = np.array(obj.variables["delay"].get_value(), dtype=float)
        _require_delay(obj.name, seconds)
        if _parent(obj.source).name not in self.groups:  # it is left out, or refused
            self._group(_parent(obj.source))
        source = np.array(obj.synapse_sources.get_value(), dtype=np.int64)
        delay = np.floor(seconds / float(obj.source.clock.dt_) + 0.5).astype(np.int64)
        self.pathways[obj.name] = Pathway(
            name=obj.name,
            owner=obj.synapses.name,
            event=f"{_parent(obj.source).name}.{obj.event}",
            n_sources=len(_parent(obj.source)),
            source=source,
            delay=np.broadcast_to(delay, source.shape).copy(),
            pending=_pending(obj.queue),
            side=obj.prepost,
            written=self._one_delay(seconds, float(obj.source.clock.dt_)),
            shared=bool(obj.variables["delay"].scalar),
        )
        return obj.name

    def _one_delay(self, seconds: Array, dt: float) -> float | None:
        """The delay in steps, where all synapses have the same."""
        return float(seconds.flat[0]) / dt if seconds.size and np.ptp(seconds) == 0 else None


class _Names:
    """Finds out what each name in the code of one object stands for."""

    def __init__(self, reader: _Reader, obj: Any, code: Code) -> None:
        self.reader, self.obj, self.code = reader, obj, code

    def guards(self) -> dict[str, str]:
        """Variables that are written only where a boolean variable is true."""
        conditions = {
            name: getattr(variable, "conditional_write", None)
            for name, variable in self.code.variables.items()
        }
        return {
            name: condition.name
            for name, condition in conditions.items()
            if condition is not None and condition.name not in self.code.unguarded
        }

    def summed(self, synapses: Any) -> Ref:
        """Target of a summed variable, and the index over which it is summed."""
        options = self.code.options
        index = options["_index_var"]
        name = f"{synapses.name}.{index.name}"
        self.reader.indices[name] = np.array(index.get_value(), dtype=np.int64)
        return Ref(self.reader.variable(options["_target_var"]), name)

    def resolve(self, slot: Slot) -> Slot:
        """The slot with every name in its statements accounted for."""
        refs, constants, units = dict[str, Ref](), dict[str, Any](), dict[str, Dimensions]()
        clock, tables, functions = dict[str, Any](), dict[str, str](), dict[str, str]()
        samplers, clock_dt = dict[str, Sampler](), slot.dt
        for name in sorted(self._names(slot)):
            variable = self.code.variables.get(name)
            if isinstance(variable, TimedArray):
                tables[name] = self._table(variable)
            elif isinstance(variable, BinomialFunction):
                samplers[name] = _sampler(variable)
            elif isinstance(variable, Function):
                functions[name] = self._function(name, variable)
            elif isinstance(variable, Constant):
                constants[name] = np.asarray(variable.value).item()
                units[name] = Dimensions.of(variable)
            elif isinstance(variable, ArrayVariable):
                owner: Any = getattr(variable, "owner", None)
                if isinstance(owner, Clock):
                    clock[name] = CLOCK[variable.name]
                    clock_dt = float(owner.dt_)
                else:
                    refs[name] = self._ref(name, variable)
        return replace(
            slot,
            refs=refs,
            constants=constants,
            units=units,
            clock=clock,
            clock_dt=clock_dt,
            tables=tables,
            functions=functions,
            samplers=samplers,
            guards={k: v for k, v in slot.guards.items() if k in refs},
        )

    def _names(self, slot: Slot) -> set[str]:
        names = {statement.target for statement in slot.statements}
        names |= {g for target, g in slot.guards.items() if target in names}
        for statement in slot.statements:
            names |= get_identifiers(statement.expression)
        return names

    def _ref(self, name: str, variable: Any) -> Ref:
        index = self.code.indices[name]
        self._require_element_by_element(variable, index)
        key = self.reader.variable(variable)
        if variable.scalar or index in ("_idx", "0"):
            return Ref(key)
        return Ref(key, self._index(index, variable))

    def _require_element_by_element(self, variable: Any, index: str) -> None:
        """Refuse an array that does not have one number for each element of its object."""
        shape = np.shape(variable.get_value())
        size = len(self.obj.group if hasattr(self.obj, "group") else self.obj)
        if variable.scalar or (len(shape) == 1 and (index != "_idx" or shape[0] >= size)):
            return
        dimensions = "two dimensions" if len(shape) == 2 else f"{len(shape)} dimensions"
        what = dimensions if len(shape) != 1 else f"{shape[0]} values for {size} elements"
        owner = variable.owner
        self.reader.refuse(
            owner,
            f"the variable {variable.name!r}, an array of {what}",
            "Statements are mirrored element by element, and an array of another shape means"
            " something only to the function that gets it.",
            "Write a variable for each row, or a group whose elements are those of the array.",
        )

    def _index(self, name: str, variable: Any) -> str | None:
        """Register the index array `name`, followed through to the elements of the slot."""
        source = self.code.variables[name]
        values = np.array(source.get_value(), dtype=np.int64)
        outer = self.code.indices.get(name, "_idx")
        if outer not in ("_idx", "0"):
            values = values[np.array(self.code.variables[outer].get_value(), dtype=np.int64)]
        if name == "_sub_idx" and len(values) == variable.size:
            return None
        key = f"{source.owner.name}.{source.name}"
        if outer not in ("_idx", "0"):
            key += f"[{outer}]"
        self.reader.indices[key] = values
        return key

    def _table(self, array: Any) -> str:
        """Register a TimedArray, once for each precision with which times are rounded."""
        grain = _find_K(float(self.obj.group.clock.dt_), float(array.dt))
        key = array.name
        if self.reader.tables.get(key) and self.reader.tables[key].upsampling != grain:
            key = f"{array.name}/{grain}"
        values = np.array(array.values, dtype=float)
        self.reader.arrays[array.name] = array
        dimensions = Dimensions.of(array)
        self.reader.tables[key] = Table(array.name, values, float(array.dt), grain, dimensions)
        return key

    def _function(self, name: str, function: Any) -> str:
        """Register a function that is not one of Brian2's own."""
        if DEFAULT_FUNCTIONS.get(name) is function:
            return name
        own = _numpy(function, self.obj.group)
        known = self.reader.functions.get(name)
        if known is not None and cast(Watch, known.numpy).function is not own:
            name, known = f"{name}/{len(self.reader.functions)}", None
        if known is None:
            self.reader.functions[name] = UserFunction(name, Watch(name, own), registered(function))
        return name


def _numpy(function: Any, owner: Any) -> Any:
    """What the numpy target calls for a function."""
    return function.implementations[NumpyCodeObject].get_code(owner)


def _sampler(function: BinomialFunction) -> Sampler:
    """What a PoissonInput draws from, which Brian2 keeps in a closure."""
    held = getclosurevars(_numpy(function, None)).nonlocals
    if "n" in held:
        return Sampler("binomial", (float(held["n"]), float(held["p"])))
    return Sampler("normal", (float(held["loc"]), float(held["scale"])))


def _weighed(obj: Any, code: Code) -> Code:
    """The code of a PoissonInput with a name for its weight, where that is a number.

    Brian2 writes the number into the code, as text with a unit, and takes the product of the two
    out of the loop before it multiplies by the number of inputs that fired: so does a constant.
    """
    head, call, text = code.text.partition("()*")
    if isinstance(obj.weight, str) or not prefs["codegen.loop_invariant_optimisations"]:
        return code
    units = {name: unit for name, unit in DEFAULT_UNITS.items() if name in get_identifiers(text)}
    value = eval(text, {"__builtins__": {}}, units)  # what Brian2 itself wrote
    constant = Constant(WEIGHT, dimensions=get_dimensions(value), value=float(value))
    return code._replace(
        text=f"{head}{call}{WEIGHT}", variables={**code.variables, WEIGHT: constant}
    )


def _span(options: Mapping[str, Any]) -> tuple[int, int]:
    """First element that a summed variable sets, and the one after the last."""
    start, stop = options["_target_start"], options["_target_stop"]
    return start, options["_target_var"].size if stop == -1 else stop


def _margins(slots: Sequence[Slot]) -> Iterator[tuple[str, Value]]:
    """Distances to threshold, by event: "cells.spike.margin"."""
    for slot in slots:
        value = margin(slot) if isinstance(slot, Threshold) else None
        if isinstance(slot, Threshold) and value is not None:
            yield f"{slot.event}{MARGIN}", value


def _parent(group: Any) -> Any:
    """The group itself, or the one that a subgroup is part of."""
    return group.source if isinstance(group, Subgroup) else group


def _kind(dtype: Any) -> Kind:
    return brian_dtype_from_dtype(dtype)


def _statement(made: Any) -> Statement:
    return Statement(made.var, made.op, _expression(made), _kind(made.dtype), bool(made.scalar))


def _expression(made: Any) -> str:
    """The text that Brian2's numpy target evaluates: one boolean may become `where(...)`."""
    names = made.used_boolean_variables
    if not names or len(names) != 1 or _kind(made.dtype) != "float":
        return made.expr
    if made.complexity_std <= sum(made.complexities.values()):
        return made.expr
    simple = {key[0][1]: text for key, text in made.boolean_simplified_expressions.items()}
    return f"where({names[0]}, {simple[True]}, {simple[False]})"


def _margin(code: Code) -> Dimensions | None:
    """Dimensions of what a threshold compares; None if it compares nothing, or with `rand()`."""
    line = code.text.strip().splitlines()[-1].partition("=")[2].strip()
    for node in ast.walk(ast.parse(line, mode="eval")):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ORDERED):
            sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
            if "rand()" not in sides:
                dimensions = parse_expression_dimensions(sides[0], code.variables)
                return Dimensions.of(_HasDim(dimensions))
    return None


class _HasDim(NamedTuple):
    dim: Any


def _require_delay(name: str, seconds: Array) -> None:
    bad = np.flatnonzero(~(np.isfinite(seconds) & (seconds >= 0)))
    if bad.size:
        k = int(bad[0])
        raise DomainError(
            f"mirror(net): the pathway {name!r} has a delay of {seconds[k] * 1e3:g} ms"
            f" at synapse {k}. A delay cannot be negative or undefined: an effect does not come"
            " before its cause. Set a delay of 0*ms or more."
        )


def _pending(queue: Any) -> Array:
    """Events under way in a spike queue: rows of (steps from now, synapse)."""
    state = queue._full_state()
    if len(state) == 3:
        return np.array(state[1], dtype=np.int64).reshape(-1, 2)
    offset, slots = state
    rows = [
        (step, synapse)
        for step in range(len(slots))
        for synapse in slots[(offset + step) % len(slots)]
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)
