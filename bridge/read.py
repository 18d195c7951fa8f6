"""Read a Brian2 Network: the abstract code of every object, as a Program.

Brian2 prepares a run by handing each object's abstract code, with all names resolved and all
units checked, to the active code generation target. `read` listens at that place. The lines
are then split into statements by Brian2's own `make_statements`, exactly as for its numpy
target, so that a Program means what Brian2 computes, in the same order of operations.
"""

import ast
from collections import abc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from brian2 import (
    EventMonitor,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonGroup,
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
from brian2.codegen.translation import make_statements
from brian2.core.clocks import Clock
from brian2.core.functions import DEFAULT_FUNCTIONS, Function
from brian2.core.variables import ArrayVariable, Constant
from brian2.devices.device import RuntimeDevice
from brian2.groups.neurongroup import StateUpdater
from brian2.input.timedarray import _find_K  # pyright: ignore[reportPrivateUsage]
from brian2.parsing.bast import brian_dtype_from_dtype
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.synapses.synapses import SynapticPathway
from brian2.utils.stringtools import get_identifiers

from mirrorneuron.errors import DomainError, Unsupported, UnsupportedFeature
from mirrorneuron.units import Dimensions

from .program import (
    Array,
    Generator,
    Group,
    Kind,
    Pathway,
    Program,
    Ref,
    Slot,
    Statement,
    Table,
    Variable,
)

MONITORS = {
    SpikeMonitor: "recording.spikes",
    EventMonitor: "recording.events",
    StateMonitor: "run(record=[...])",
    PopulationRateMonitor: "recording.spikes",
}
OWNERS = (NeuronGroup, PoissonGroup, SpikeGeneratorGroup, Synapses)
RUNNERS = {
    "stateupdate": "update",
    "threshold": "threshold",
    "reset": "reset",
    "synapses": "synapses",
    "summed_variable": "summed",
    "spikegenerator": "generator",
}
ORDERED = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)
CLOCK = {"t": "t", "dt": "dt", "timestep": "step", "t_in_timesteps": "step"}


class Code(NamedTuple):
    """What Brian2 hands to a code generator for one object."""

    template: str
    text: str
    variables: Mapping[str, Any]
    indices: Mapping[str, str]
    options: Mapping[str, Any]
    unguarded: frozenset[str]


def read(
    network: Network, namespace: Mapping[str, Any], strict: bool = True
) -> tuple[Program, tuple[Unsupported, ...]]:
    """Read `network` into a Program without advancing it.

    Arguments:
        network: Any Brian2 network; its state, time and monitors stay as they are.
        namespace: Names for equations whose group has no namespace of its own.
        strict: Whether to refuse a network with parts that cannot be mirrored.

    Returns:
        The Program, and what of the network it leaves out (nothing when strict).

    Raises:
        UnsupportedFeature: Lists everything that cannot be mirrored.
        DomainError: A delay is negative or not finite.
    """
    _require_runtime(network)
    refused = {obj.name: why for obj in network.sorted_objects if (why := _refusal(obj))}
    codes = _listen(network, namespace, skip=set(refused))
    reader = _Reader(network, codes, set(refused))
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


def _refusal(obj: Any) -> Unsupported | None:
    """Why an object cannot be mirrored as a whole, if so."""
    if isinstance(obj, NetworkOperation):
        name = getattr(obj.function, "__name__", "a function")
        return Unsupported(
            object=obj.name,
            kind="NetworkOperation",
            feature=f"calls the Python function {name}() at each step",
            reason="A mirror runs no Python between steps.",
            remedy="Give what it sets as an input, run(inputs={'cells.I': ...}), or write it as"
            " run_regularly('...').",
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
            kind=type(obj.group).__name__,
            feature=f"method={obj.method_choice!r}",
            reason="GSL takes the step inside its own C library: there are no statements to read.",
            remedy="Write method='rk4' and check that dt ="
            f" {float(obj.clock.dt_) * 1e3:g} ms is small enough.",
        )
    if isinstance(obj, SynapticPathway) and isinstance(obj.source, Synapses):
        return Unsupported(
            object=obj.name,
            kind="Synapses",
            feature="synapses onto synapses",
            reason="Events that synapses raise themselves have no place in the Program yet.",
            remedy="Keep the modulating variable in the postsynaptic group.",
        )
    return None


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


def _listen(network: Network, namespace: Mapping[str, Any], skip: set[str]) -> dict[str, Code]:
    """Let Brian2 prepare a run of no length and take down the code of every object."""
    device: Any = get_device()
    codes, generate = dict[str, Code](), device.code_object

    def code_object(**request: Any) -> Any:
        made = generate(**request)
        codes[made.name] = Code(
            request["template_name"],
            request["abstract_code"].get(None, ""),
            request["variables"],
            request["variable_indices"],
            request["template_kwds"] or {},
            frozenset(request["override_conditional_write"] or ()),
        )
        return made

    with _only(network, skip):
        device.code_object = code_object
        try:
            network.run(0 * second, namespace=dict(namespace))
        finally:
            del device.code_object
    return codes


class _Reader:
    """Collects groups, variables and slots while it walks through a prepared network."""

    def __init__(self, network: Network, codes: Mapping[str, Code], skip: set[str]) -> None:
        self.objects = [o for o in network.sorted_objects if o.active and o.name not in skip]
        self.codes = codes
        self.dt, self.step = _grid(self.objects, network)
        self.unsupported: list[Unsupported] = []
        self.groups: dict[str, Group] = {}
        self.variables: dict[str, Variable] = {}
        self.indices: dict[str, Array] = {}
        self.pathways: dict[str, Pathway] = {}
        self.generators: dict[str, Generator] = {}
        self.tables: dict[str, Table] = {}
        self.ignored: dict[str, str] = {}

    def program(self) -> Program:
        """The whole network."""
        for obj in self.objects:
            if isinstance(obj, OWNERS):
                self._group(obj)
        slots = tuple(slot for obj in self.objects for slot in self._slots(obj))
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
            ignored=self.ignored,
        )

    def refuse(self, obj: Any, feature: str, reason: str, remedy: str) -> None:
        """Note a part of an object that cannot be mirrored."""
        self.unsupported.append(Unsupported(obj.name, type(obj).__name__, feature, reason, remedy))

    def _group(self, obj: Any) -> None:
        updater = getattr(obj, "state_updater", None)
        method = getattr(updater, "method_choice", None)
        events = tuple(getattr(obj, "events", {})) if not isinstance(obj, Synapses) else ()
        self.groups[obj.name] = Group(
            obj.name, type(obj).__name__, len(obj), events, str(method) if method else ""
        )
        for variable in obj.variables.values():
            if isinstance(variable, ArrayVariable) and not variable.name.endswith("space"):
                owner: Any = getattr(variable, "owner", None)
                if owner is not None and owner.name == obj.name:
                    self.variable(variable)

    def variable(self, variable: Any) -> str:
        key = f"{variable.owner.name}.{variable.name}"
        if key not in self.variables:
            value = np.array(variable.get_value())
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
            if obj.clock.dt_ != self.dt:
                self.refuse(
                    obj,
                    f"a clock of its own, dt = {float(obj.clock.dt_) * 1e3:g} ms",
                    f"All objects of a mirror advance together, by {self.dt * 1e3:g} ms.",
                    f"Give it dt={self.dt * 1e3:g}*ms.",
                )
                continue
            yield self._slot(obj, code)

    def _slot(self, obj: Any, code: Code) -> Slot:
        kind = RUNNERS[code.template]
        owner = obj if kind == "generator" else obj.group
        scalar, vector = make_statements(code.text, code.variables, np.float64, blockname="")
        names = _Names(self, obj, code)
        slot = Slot(
            name=obj.name,
            owner=_parent(owner).name,
            kind=kind,  # pyright: ignore[reportArgumentType]
            when=obj.when,
            order=obj.order,
            size=len(owner),
            scalar=tuple(map(_statement, scalar)),
            vector=tuple(map(_statement, vector)),
            guards=names.guards(),
            event=self._event(obj, kind),
            refractory=bool(code.options.get("_uses_refractory", False)),
            pathway=self._pathway(obj) if kind == "synapses" else None,
            summed=names.summed(owner) if kind == "summed" else None,
            span=(obj.target.start, obj.target.stop) if kind == "summed" else (0, 0),
            margin=_margin(code) if kind == "threshold" else None,
        )
        if kind == "generator":
            self._generator(obj)
        resolved = names.resolve(slot)
        if kind == "synapses":
            self._require_order(obj, resolved)
        return resolved

    def _require_order(self, obj: Any, slot: Slot) -> None:
        """Refuse statements whose result depends on which synapse is served first."""
        seen = {n for n, ref in slot.refs.items() if ref.index is not None}
        used: set[str] = set()
        for statement in slot.vector:
            used |= get_identifiers(statement.expression) & seen
            aliases = {n for n in used if slot.refs[n] == slot.refs.get(statement.target)}
            multiplied = statement.op in ("*=", "/=")
            if statement.target in seen and (aliases or multiplied):
                self.refuse(
                    obj.synapses,
                    f"the statement '{statement}' of {obj.objname!r}",
                    "When several spikes arrive in one step, its result depends on their order:"
                    " Brian2 takes the synapses one after the other.",
                    f"Only add to {statement.target}, by an amount that does not depend on it, and"
                    " put the rest into the equations of the neuron.",
                )

    def _event(self, obj: Any, kind: str) -> str | None:
        if kind in ("threshold", "reset"):
            return f"{_parent(obj.group).name}.{obj.event}"
        if kind == "generator":
            return f"{obj.name}.spike"
        return f"{_parent(obj.source).name}.{obj.event}" if kind == "synapses" else None

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
        source = np.array(obj.synapse_sources.get_value(), dtype=np.int64)
        delay = np.floor(seconds / self.dt + 0.5).astype(np.int64)
        self.pathways[obj.name] = Pathway(
            name=obj.name,
            owner=obj.synapses.name,
            event=f"{_parent(obj.source).name}.{obj.event}",
            n_sources=len(_parent(obj.source)),
            source=source,
            delay=np.broadcast_to(delay, source.shape).copy(),
            pending=_pending(obj.queue),
        )
        return obj.name


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
        for name in sorted(self._names(slot)):
            variable = self.code.variables.get(name)
            if isinstance(variable, TimedArray):
                tables[name] = self._table(variable)
            elif isinstance(variable, Function):
                functions[name] = self._function(name, variable)
            elif isinstance(variable, Constant):
                constants[name] = np.asarray(variable.value).item()
                units[name] = Dimensions.of(variable)
            elif isinstance(variable, ArrayVariable):
                if isinstance(getattr(variable, "owner", None), Clock):
                    clock[name] = CLOCK[variable.name]
                else:
                    refs[name] = self._ref(name, variable)
        return replace(
            slot,
            refs=refs,
            constants=constants,
            units=units,
            clock=clock,
            tables=tables,
            functions=functions,
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
        key = self.reader.variable(variable)
        if variable.scalar or index in ("_idx", "0"):
            return Ref(key)
        return Ref(key, self._index(index, variable))

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
        values = np.array(array.values, dtype=float)
        self.reader.tables[array.name] = Table(
            array.name,
            values,
            float(array.dt),
            _find_K(self.reader.dt, float(array.dt)),
            Dimensions.of(array),
        )
        return array.name

    def _function(self, name: str, function: Any) -> str:
        if DEFAULT_FUNCTIONS.get(name) is not function:
            self.reader.refuse(
                _parent(self.obj.group),
                f"the function {name}()",
                "A mirror knows Brian2's own functions and TimedArray, not Python code.",
                "Write it out in the equations, or give its values as a TimedArray.",
            )
        return name


def _parent(group: Any) -> Any:
    """The group itself, or the one that a subgroup is part of."""
    return group.source if isinstance(group, Subgroup) else group


def _grid(objects: list[Any], network: Network) -> tuple[float, int]:
    """Time step shared by the objects that advance, and the number of steps taken."""
    runners = [o for o in objects if o.code_objects and type(o) not in MONITORS]
    clock = (runners or objects)[0].clock if objects else None
    if clock is None:
        raise DomainError("mirror(net): the network is empty. Add the objects that it should run.")
    dts = [float(o.clock.dt_) for o in runners] or [float(clock.dt_)]
    dt = max(set(dts), key=dts.count)
    return dt, round(float(network.t_) / dt)


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
