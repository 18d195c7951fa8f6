"""Savable: what of a model no bundle can hold, all of it."""

import ast
from collections.abc import Iterator
from typing import Any

from mirrorneuron.errors import Unsupported

from ..mirror import Mirror
from ..parameter import Bounded
from ..program import Host, Program, Slot
from ..surrogates import surrogates
from ._fault import Fault
from .grammar import columns_are_fixed, require_statements
from .settings import LIMITS


def obstacles(model: Mirror) -> Iterator[Unsupported]:
    """What stands in the way of saving a model."""
    yield from _python(model.program)
    yield from _own_classes(model)
    for where, slot in _slots(model.program):
        yield from _columns(model.program, slot)
        yield from _statements(model.program, where, slot)


def _slots(program: Program) -> Iterator[tuple[str, Slot]]:
    yield from ((slot.name, slot) for slot in program.slots if not isinstance(slot, Host))
    yield from program.values.items()
    yield from program.rates.items()


def _python(program: Program) -> Iterator[Unsupported]:
    """Functions and operations that a user wrote."""
    for name in program.functions:
        yield Unsupported(
            name,
            "Function",
            "a Python function of yours",
            "A saved model holds data and no code, and loading one runs none.",
            "Write it as an expression in the equations, or as a TimedArray of its values.",
        )
    for slot in program.slots_of(Host):
        yield Unsupported(
            slot.name,
            "NetworkOperation",
            f"runs Python between steps, {slot.title}",
            "A saved model holds data and no code, and loading one runs none.",
            "Give what it sets as an input of run(inputs=...), or write run_regularly('...').",
        )


def _own_classes(model: Mirror) -> Iterator[Unsupported]:
    """Surrogates and limits that are not those of mirrorneuron."""
    known = set(surrogates.values())
    for name, surrogate in model.surrogates.items():
        if type(surrogate) not in known:
            yield _class(name, "surrogate", surrogate, "mn.Gaussian(), mn.SuperSpike() or another")
    for key, limit in model.limits.items():
        if type(limit) not in (*LIMITS.values(), Bounded):
            yield _class(key, "limit", limit, "mn.Free(), mn.Positive(), mn.Sign(), mn.Bounded()")


def _class(name: str, role: str, thing: Any, instead: str) -> Unsupported:
    return Unsupported(
        name,
        type(thing).__name__,
        f"a {role} of your own class",
        "A saved model holds data and no code, so that it cannot hold a class.",
        f"Write one that mirrorneuron has: {instead}.",
    )


def _columns(program: Program, slot: Slot) -> Iterator[Unsupported]:
    """TimedArrays whose column is computed: nothing could say whether it exists."""
    calls = (node for s in slot.statements for node in ast.walk(s.tree))
    for call in calls:
        match call:
            case ast.Call(func=ast.Name(id=name)) if name in slot.tables:
                table = program.tables[slot.tables[name]]
                if table.values.ndim == 2 and not columns_are_fixed(table, call, program, slot):
                    yield Unsupported(
                        slot.owner,
                        "TimedArray",
                        f"{ast.unparse(call)}, whose column is computed",
                        "Whoever loads the model could not know that the column exists.",
                        "Keep the column in an integer parameter of the group,"
                        f" {table.name}(t, column).",
                    )
            case _:
                pass


def _statements(program: Program, where: str, slot: Slot) -> Iterator[Unsupported]:
    """Statements beyond what is read from a file."""
    owned = set(slot.functions.values()) & set(program.functions)
    if owned:
        return
    try:
        require_statements(program, slot, where)
    except Fault as fault:
        yield Unsupported(
            slot.owner,
            type(slot).__name__,
            str(fault),
            "Statements of a saved model have bounds, so that a file of a stranger can be read.",
            "Write it as several equations, with shorter names.",
        )
