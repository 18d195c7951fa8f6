"""Dataflow: what a slot reads and draws, and which of its names keep their values in a run."""

import ast
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..program import Program, Ref, Slot
from .expression import names
from .functions import RANDOM
from .kinds import WHOLE, kind_of, kinds_of


def mentioned(slot: Slot) -> set[str]:
    """Names in the statements of a slot: in expressions, as targets and as guards."""
    found = {statement.target for statement in slot.statements}
    found |= {guard for target, guard in slot.guards.items() if target in found}
    return found.union(*(names(statement.tree) for statement in slot.statements))


def read_names(slot: Slot) -> set[str]:
    """Names whose values the statements of a slot use."""
    found: set[str] = set()
    for statement in slot.statements:
        found |= set(names(statement.tree))
        if statement.op not in (":=", "="):
            found.add(statement.target)
        if guard := slot.guards.get(statement.target):
            found.add(guard)
    return found


def reads(slot: Slot) -> set[str]:
    """Keys of the variables that the statements of a slot use."""
    return {slot.refs[name].variable for name in read_names(slot) if name in slot.refs}


def users_functions(program: Program, slot: Slot) -> set[str]:
    """Local names of the functions that users wrote."""
    return {name for name, key in slot.functions.items() if key in program.functions}


def draws(program: Program, slot: Slot) -> bool:
    """Whether the statements of a slot draw random numbers, or call what users wrote."""
    drawing = RANDOM | set(slot.samplers) | users_functions(program, slot)
    return any(drawing & set(names(statement.tree)) for statement in slot.statements)


def whole_arguments(program: Program, slot: Slot) -> Mapping[str, tuple[int, ...]]:
    """Functions that are called, and which of their arguments are whole numbers."""
    known = kinds_of(program, slot)
    calls = (node for s in slot.statements for node in ast.walk(s.tree))
    found: dict[str, tuple[int, ...]] = {}
    for call in calls:
        match call:
            case ast.Call(func=ast.Name(id=name), args=args):
                kinds = enumerate(kind_of(arg, known) for arg in args)
                found[name] = tuple(k for k, kind in kinds if kind in WHOLE)
            case _:
                pass
    return found


def several_to_one(program: Program, slot: Slot) -> bool:
    """Whether several elements of a slot write to the same element of a variable."""
    written = (slot.refs[s.target].index for s in slot.statements if s.target in slot.refs)
    arrays = (program.indices[index] for index in written if index is not None)
    return any(len(np.unique(array)) < len(array) for array in arrays)


@dataclass(frozen=True)
class Dataflow:
    """Which names of a slot keep their values during a run.

    Arguments:
        program: The network.
        slot: The statements.
        changing: Keys of the variables, and names of the TimedArrays, that change during a run.
        trained: Keys of constants that are parameters.
    """

    program: Program
    slot: Slot
    changing: Set[str]
    trained: Set[str] = frozenset()

    @cached_property
    def varying(self) -> frozenset[str]:
        """Names whose values may differ from step to step, random numbers among them."""
        found = set(self._at_the_start())
        for statement in self.slot.statements:
            again = sum(s.target == statement.target for s in self.slot.statements) > 1
            fixed = not again and not found & set(names(statement.tree))
            if statement.target not in self.slot.refs and not fixed:
                found.add(statement.target)
        return frozenset(found)

    def _at_the_start(self) -> Iterator[str]:
        slot, program = self.slot, self.program
        yield from (n for n, ref in slot.refs.items() if ref.variable in self.changing)
        yield from (n for n, meaning in slot.clock.items() if meaning != "dt")
        yield from RANDOM
        yield from slot.samplers
        yield from users_functions(program, slot)
        tables = program.tables
        yield from (n for n, key in slot.tables.items() if tables[key].name in self.changing)

    @cached_property
    def numbers(self) -> dict[str, float]:
        """Constants that no training changes."""
        slot = self.slot
        fixed = (n for n in slot.constants if slot.key(n) not in self.trained)
        return {name: float(slot.constants[name]) for name in fixed}

    def seen_through(self, variable: str) -> list[str | None]:
        """Indices through which the slot sees a variable, each once."""
        refs = (ref for ref in self.slot.refs.values() if ref.variable == variable)
        return list(dict.fromkeys(ref.index for ref in refs))

    def targets(self) -> Iterator[Ref]:
        """Variables that are written, in the order of the statements."""
        refs = (self.slot.refs.get(s.target) for s in self.slot.statements)
        return (ref for ref in refs if ref is not None)
