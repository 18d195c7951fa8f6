"""Integrity: whether a Program that was loaded is one that the reader could have made.

Engines trust a Program: compiled code does not ask whether an index lies within an array. So every
reference, size, index and delay is looked at before a Program from a file reaches them.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..program import (
    Array,
    Deliver,
    Generate,
    Generator,
    Group,
    Host,
    Pathway,
    Program,
    Reset,
    Slot,
    Sum,
    Table,
    Threshold,
    Value,
    Variable,
)
from ._fault import Fault, shown
from .grammar import (
    columns_are_fixed,
    require_key,
    require_name,
    require_plain,
    require_statements,
)

KINDS: Mapping[str, str] = {"float": "f", "integer": "iu", "boolean": "b"}
EVENTS = (Threshold, Reset, Deliver, Generate)
LEAST_STEP, LONGEST_STEP = 1e-12, 1e6  # seconds


def require_sound(program: Program) -> None:
    """Refuse a Program whose parts do not fit together.

    Raises:
        Fault: Names the first part that does not.
    """
    _require_step(program.dt, "dt")
    if not 0 <= program.step < 2**53:
        raise Fault(f"the step count is {program.step}")
    _require(0 <= program.early <= len(program.slots), "early is no number of slots")
    for name, part in _named(program):
        require_key(name, part)
    for name, group in program.groups.items():
        _require_group(program, name, group)
    for key, variable in program.variables.items():
        _require_variable(program, key, variable)
    for name, index in program.indices.items():
        _require_whole(index, f"the index {name}")
    for name, path in program.pathways.items():
        _require_pathway(program, name, path)
    for name, generator in program.generators.items():
        _require_generator(program, name, generator)
    for name, table in program.tables.items():
        _require_table(name, table)
    _require_rest(program)
    for slot in program.slots:
        require_key(slot.name, "the name of a slot")
        _require_slot(program, slot, slot.name)
    for kind in ("values", "rates"):
        for key, value in getattr(program, kind).items():
            _require_slot(program, value, f"{kind} {key}")


def _named(program: Program) -> Iterator[tuple[str, str]]:
    """Every name by which a part of a Program is known, and what it is the name of."""
    parts = ("groups", "variables", "indices", "pathways", "generators", "tables", "values")
    for part in (*parts, "rates", "parts", "ignored", "drives", "raised"):
        for name in getattr(program, part):
            yield name, f"a name in {part}"


def _require(holds: Any, what: str) -> None:
    if not holds:
        raise Fault(what)


def _require_step(dt: float, what: str) -> None:
    _require(LEAST_STEP < dt < LONGEST_STEP, f"{what} is {dt}, which is no time step")


def _require_size(size: int, what: str) -> None:
    _require(0 <= size < 2**31, f"{what} has the size {size}")


def _require_whole(array: Array, what: str, below: int = 2**31) -> None:
    """Refuse an array of anything but whole numbers from 0 up to a bound, in one row."""
    _require(array.ndim == 1 and array.dtype.kind in "iu", f"{what} is no list of whole numbers")
    inside = not array.size or (array.min() >= 0 and array.max() < below)
    _require(inside, f"{what} points outside: {below} elements are there")


def _require_group(program: Program, name: str, group: Group) -> None:
    what = f"the group {name}"
    _require(group.name == name, f"{what} has two names")
    _require_size(group.size, what)
    for text in (group.kind, group.method, *group.equations):
        require_plain(text, what)
    for event in group.events:
        require_name(event, f"an event of {name}")
    sizes = {v.value.size for v in program.variables.values() if v.owner == name}
    _require(group.size <= max(sizes, default=0), f"{what} is larger than all its variables")


def _require_variable(program: Program, key: str, variable: Variable) -> None:
    require_name(variable.owner, "the owner of a variable")
    require_name(variable.name, "a variable")
    _require(variable.key == key, f"the variable {key} has two names")
    value, what = variable.value, f"the variable {key}"
    _require(value.ndim <= 1, f"{what} has several axes")
    _require(value.dtype.kind in KINDS[variable.kind], f"{what} is no {variable.kind}")
    _require(not variable.scalar or value.size == 1, f"{what} is shared, and has several values")


def _require_pathway(program: Program, name: str, path: Pathway) -> None:
    what = f"the pathway {name}"
    _require(path.name == name, f"{what} has two names")
    require_name(path.owner, what)
    group = _raiser(program, path.event, what)
    _require(group.size == path.n_sources, f"{what} has another number of sources than its group")
    _require_whole(path.source, f"{what}, its sources,", path.n_sources)
    _require_whole(path.delay, f"{what}, its delays,")
    _require(len(path.source) == len(path.delay), f"{what} has delays for other synapses")
    owner = program.groups.get(path.owner)
    _require(owner and owner.size == len(path.source), f"{what} has synapses that nothing owns")
    pending = path.pending.reshape(-1, 2) if path.pending.size % 2 == 0 else None
    _require(pending is not None and path.pending.ndim <= 2, f"{what} has half an event under way")
    if pending is not None and len(pending):
        _require_whole(pending[:, 1], f"{what}, events under way,", len(path.source))
        delays = path.delay[pending[:, 1]]
        _require_whole(pending[:, 0], f"{what}, events under way,")
        _require((pending[:, 0] < delays).all(), f"{what} has events later than their delay")


def _raiser(program: Program, event: str, what: str) -> Group:
    """The group that raises an event."""
    name, _, kind = event.partition(".")
    group = program.groups.get(name)
    if group is None or kind not in group.events:
        raise Fault(f"{what} has the event {shown(event)}, which no group raises")
    return group


def _require_generator(program: Program, name: str, generator: Generator) -> None:
    what = f"the spikes of {name}"
    _require(generator.owner == name and name in program.groups, f"{what} belong to no group")
    _require_whole(generator.index, what, program.groups[name].size)
    _require_whole(generator.step, f"{what}, their steps,", 2**62)
    _require(len(generator.index) == len(generator.step), f"{what} have other steps")
    _require(0 <= generator.period < 2**62, f"{what} have the period {generator.period}")


def _require_table(key: str, table: Table) -> None:
    what = f"the TimedArray {key}"
    require_name(table.name, what)
    _require(table.values.ndim in (1, 2) and table.values.size, f"{what} has no values")
    _require(table.values.dtype.kind in "fiu", f"{what} holds no numbers")
    _require_step(table.dt, what)
    _require(1 <= table.upsampling < 2**31, f"{what} has the upsampling {table.upsampling}")


def _require_rest(program: Program) -> None:
    for name, part in program.parts.items():
        group = program.groups.get(part.group)
        inside = group and 0 <= part.start <= part.stop <= group.size
        _require(inside, f"the subgroup {name} is no part of {shown(part.group)}")
    for text in program.ignored.values():
        require_plain(text, "what replaces a monitor")
    for name, drive in program.drives.items():
        what = f"the PoissonInput {name}"
        _require(drive.name == name, f"{what} has two names")
        _require(drive.target in program.variables, f"{what} drives {shown(drive.target)}")
        _require(0 < drive.count < 2**31, f"{what} has {drive.count} inputs")
    for event, index in program.raised.items():
        group = _raiser(program, event, "what raised last")
        _require_whole(index, f"those who raised {event} last", group.size)


def _require_slot(program: Program, slot: Slot, where: str) -> None:
    _require(not isinstance(slot, Host), f"{where} is Python, which no bundle holds")
    for text in (slot.name, slot.owner, *slot.keys.values()):
        require_key(text, where)
    for text in (slot.when, *_local_names(slot)):
        require_name(text, where)
    _require_size(slot.size, where)
    _require(1 <= slot.every < 2**31, f"{where} runs every {slot.every} steps")
    _require_step(slot.dt, where)
    _require_step(slot.clock_dt, f"{where}, its clock,")
    for ref in slot.refs.values():
        _require_ref(program, ref.variable, ref.index, slot.size, where)
    _require(slot.constants.keys() <= slot.units.keys(), f"{where} has constants without a unit")
    for table in slot.tables.values():
        _require(table in program.tables, f"{where} has the TimedArray {shown(table)}")
    _require_kind(program, slot, where)
    require_statements(program, slot, where)
    _require_columns(program, slot, where)


def _local_names(slot: Slot) -> Iterable[str]:
    """Names that mean something in the statements of a slot."""
    mappings = (slot.refs, slot.constants, slot.units, slot.keys, slot.clock, slot.tables)
    for mapping in (*mappings, slot.functions, slot.samplers, slot.guards):
        yield from mapping
    yield from slot.guards.values()


def _require_ref(program: Program, key: str, index: str | None, size: int, where: str) -> None:
    variable = program.variables.get(key)
    if variable is None:
        raise Fault(f"{where} uses the variable {shown(key)}, which the bundle lacks")
    elements = variable.value.size
    if index is None:
        _require(elements in (1, size), f"{where} uses {key}, which has another size")
        return
    if index not in program.indices:
        raise Fault(f"{where} uses the index {shown(index)}, which the bundle lacks")
    array = program.indices[index]
    _require(len(array) in (1, size), f"{where} uses the index {index}, which has another size")
    _require_whole(array, f"the index {index} in {where}", elements)


def _require_kind(program: Program, slot: Slot, where: str) -> None:
    """Refuse what the kind of a slot has beside statements, where it does not fit."""
    if isinstance(slot, EVENTS):
        group = _raiser(program, slot.event, where)
        fits = isinstance(slot, Deliver) or slot.size == group.size
        _require(fits, f"{where} has another size than the group")
    if isinstance(slot, Generate):
        _require(slot.owner in program.generators, f"{where} has no spikes")
    if isinstance(slot, Threshold | Sum | Value):
        _require(slot.statements, f"{where} has no statement")
    if isinstance(slot, Threshold) and slot.refractory:
        for name in ("not_refractory", "lastspike"):
            _require_ref(program, f"{slot.owner}.{name}", None, slot.size, where)
    if isinstance(slot, Deliver):
        path = program.pathways.get(slot.pathway)
        fits = path and path.event == slot.event and len(path.source) == slot.size
        _require(fits, f"{where} has the pathway {shown(slot.pathway)}, which does not fit")
    if isinstance(slot, Sum):
        _require_ref(program, slot.target.variable, slot.target.index, slot.size, where)
        low, high = slot.span
        size = program.variables[slot.target.variable].value.size
        _require(0 <= low <= high <= size, f"{where} sums over elements that are not there")


def _require_columns(program: Program, slot: Slot, where: str) -> None:
    """Refuse a TimedArray with columns that is asked for one that it may not have."""
    for statement in slot.statements:
        for call in ast.walk(statement.tree):
            match call:
                case ast.Call(func=ast.Name(id=name)) if name in slot.tables:
                    table = program.tables[slot.tables[name]]
                    fixed = table.values.ndim == 1 or columns_are_fixed(table, call, program, slot)
                    text = shown(ast.unparse(call))
                    _require(fixed, f"{where} has {text}, whose column is computed")
                case _:
                    pass
