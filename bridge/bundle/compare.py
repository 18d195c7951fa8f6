"""Compare: in which places two Programs differ, but for state and for what is trained."""

import re
from collections.abc import Iterator, Set
from dataclasses import replace
from typing import Any, cast

import numpy as np

from ..program import Pathway, Program, Slot, Statement, Variable
from .codec import to_data
from .tensors import content_of

NOTHING = np.zeros(0)


def differences(one: Program, other: Program, trained: Set[str]) -> list[str]:
    """Places in which two networks differ, with dots.

    Arguments:
        one, other: The networks.
        trained: Keys of what is trained, whose values may differ.
    """
    ours, theirs = (_data(_without_values(program, trained)) for program in (one, other))
    return list(_different(ours, theirs, ""))


def _data(program: Program) -> Any:
    return to_data(program, Program, lambda _, array: content_of(array))


def _without_values(program: Program, trained: Set[str]) -> Program:
    """A network without its state and the values of its parameters."""
    free = program.written() | trained
    return replace(
        program,
        step=0,
        raised={},
        variables={k: _emptied(v) if k in free else v for k, v in program.variables.items()},
        pathways={name: _quiet(path) for name, path in program.pathways.items()},
        slots=tuple(_unset(slot, trained) for slot in program.slots),
        values={key: _unset(slot, trained) for key, slot in program.values.items()},
        rates={key: _unset(slot, trained) for key, slot in program.rates.items()},
    )


def _emptied(variable: Variable) -> Variable:
    return replace(variable, value=np.zeros_like(variable.value))


def _quiet(path: Pathway) -> Pathway:
    return replace(path, pending=NOTHING)


def _unset(slot: Any, trained: Set[str]) -> Any:
    made = cast(Slot, slot)
    constants = {n: 0.0 if made.key(n) in trained else x for n, x in made.constants.items()}
    return replace(
        made,
        constants=constants,
        scalar=_renamed(made, made.scalar),
        vector=_renamed(made, made.vector),
        samplers={f"sampler_{k}": s for k, s in enumerate(made.samplers.values())},
    )


def _renamed(slot: Slot, statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Statements without the names that Brian2 counts up in a process."""
    numbers = {name: f"sampler_{k}" for k, name in enumerate(slot.samplers)}
    if not numbers:
        return statements
    found = re.compile(r"\b(" + "|".join(map(re.escape, numbers)) + r")\b")
    return tuple(
        replace(s, expression=found.sub(lambda m: numbers[m[0]], s.expression)) for s in statements
    )


def _different(one: Any, other: Any, where: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            inner = f"{where}.{key}".strip(".")
            if key not in one or key not in other:
                yield f"{inner} is in {'the file' if key in one else 'the network'} alone"
            else:
                yield from _different(one[key], other[key], inner)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for k, pair in enumerate(zip(one, other, strict=True)):
            yield from _different(pair[0], pair[1], f"{where}.{_title(pair[0], k)}")
    elif one != other:
        yield where


def _title(part: Any, number: int) -> str:
    """A slot by its name, anything else by its number."""
    return str(part["name"]) if isinstance(part, dict) and "name" in part else str(number)
