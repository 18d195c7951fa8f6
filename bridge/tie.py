"""Tie: which variables and constants of a network one parameter stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mirrorneuron.errors import DomainError, ShapeError, UnitError, UnknownName

from .program import Program


@dataclass(frozen=True, init=False)
class Tied:
    """Several variables or constants that are one parameter.

    They have one unit, one size and, at the start, one value.

    Arguments:
        names: As in `mirror(train=...)`: "object.variable", or a constant's bare name.

    Raises:
        DomainError: There are fewer than two names, or one is none.

    Example:
        >>> Tied("g.tau", "h.tau").key
        'g.tau'
    """

    names: tuple[str, ...]

    def __init__(self, *names: str | Any) -> None:
        object.__setattr__(self, "names", names)
        for name in names:
            if not isinstance(name, str):
                raise DomainError(
                    f"mn.Tied(...): {name!r} is no name. Write the names one after the other,"
                    " mn.Tied('g.tau', 'h.tau'), without a list."
                )
        if len(set(names)) < 2:
            listed = ", ".join(map(repr, names))
            raise DomainError(
                f"mn.Tied({listed}): a tie has at least two names, and each of them once. Write"
                " mn.Tied('g.tau', 'h.tau'), or the name alone without mn.Tied."
            )

    @property
    def key(self) -> str:
        """Name of the parameter in the model: the first one."""
        return self.names[0]


def key_of(asked: str | Tied) -> str:
    """Name of a parameter in the model."""
    return asked.key if isinstance(asked, Tied) else asked


def asking(asked: str | Tied) -> str:
    """How messages say what was asked to be trained."""
    return f"mirror(net, train=[{_written(asked)}])"


def _written(asked: str | Tied) -> str:
    if isinstance(asked, Tied):
        return f"mn.Tied({', '.join(map(repr, asked.names))})"
    return repr(asked)


def members(program: Program, asked: str | Tied) -> tuple[str, ...]:
    """Keys "object.name" of what a parameter stands for.

    Raises:
        UnknownName: A bare name is no constant of any object.
    """
    given = asked.names if isinstance(asked, Tied) else (asked,)
    keys = (key for name in given for key in _members(program, name, asking(asked)))
    return tuple(dict.fromkeys(keys))


def _members(program: Program, name: str | Any, what: str) -> Sequence[str]:
    if not isinstance(name, str):
        raise DomainError(
            f"{what}: that is no name. Write train=['ee.w'] for a variable of an object, or"
            " train=['tau'] for a constant of the script."
        )
    if "." in name:
        return [name]
    found = [key for key, constant in program.constants().items() if constant.name == name]
    if not found:
        raise _unknown(program, name, what)
    return found


def _unknown(program: Program, name: str, what: str) -> UnknownName:
    """A bare name that is no constant."""
    constants = program.constants()
    bare = {c.name for c in constants.values() if not c.name.startswith("_")}
    longer = [key for key in program.variables if key.partition(".")[2] == name]
    weights = [f"{drive.name}.weight" for drive in program.drives.values() if drive.trainable]
    hint = (
        f" A variable is named with its object: {' or '.join(map(repr, longer))}." if longer else ""
    )
    if weights:
        hint += (
            " The weight of a PoissonInput does not keep its name in the script: write"
            f" {' or '.join(map(repr, weights))}."
        )
    error = UnknownName.among(f"{what}: a constant {name!r} of the script", name, bare)
    return UnknownName(f"{error}{hint}")


def require_one_value(program: Program, asked: str | Tied, keys: Sequence[str]) -> None:
    """Refuse to make one parameter of what is not one quantity.

    Raises:
        UnitError: The units differ.
        ShapeError: The numbers of elements differ.
        DomainError: The values differ.
    """
    what = asking(asked)
    apart = ", ".join(repr(key) for key in keys)
    instead = f"Train them separately, train=[{apart}]"
    units = {key: program.unit(key) for key in keys}
    if len(set(units.values())) > 1:
        listed = ", ".join(f"{key} in [{unit}]" for key, unit in units.items())
        raise UnitError(
            f"{what}: the units differ ({listed}), but one parameter has one. {instead}."
        )
    values = {key: np.asarray(program.initial(key), dtype=float) for key in keys}
    sizes = {key: value.size for key, value in values.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{key}: {size}" for key, size in sizes.items())
        raise ShapeError(
            f"{what}: the numbers of elements differ ({listed}), but one parameter has one value"
            f" for each element. {instead}."
        )
    first, *others = (value.reshape(-1) for value in values.values())
    if any(not np.array_equal(first, other) for other in others):
        k = next(int(np.flatnonzero(first != o)[0]) for o in others if not np.array_equal(first, o))
        listed = ", ".join(f"{key} = {v.reshape(-1)[k]:g}" for key, v in values.items())
        unit, place = units[keys[0]], f" at element {k}" if first.size > 1 else ""
        raise DomainError(
            f"{what}: the values differ{place} ({listed} [{unit}]), but one parameter has one."
            f" {instead}, or make them equal in the network."
        )


def require_trained_once(groups: Mapping[str, Sequence[str]]) -> None:
    """Refuse two parameters for one thing.

    Arguments:
        groups: Name of a parameter to what it stands for.

    Raises:
        DomainError: Names both.
    """
    seen: dict[str, str] = {}
    for name, keys in groups.items():
        for key in keys:
            if key in seen:
                raise DomainError(
                    f"mirror(net, train=...): {key} belongs to two parameters, {seen[key]!r} and"
                    f" {name!r}, but it has one value. Leave one of them out."
                )
            seen[key] = name
