"""Script: which of a script's variables hold what is trained, or objects of a network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mirrorneuron.errors import UnknownName
from mirrorneuron.units import Dimensions

from .program import Program
from .tie import Tied, asking, members


def require_names_of_objects(program: Program, asked: str | Tied, names: Mapping[str, Any]) -> None:
    """Refuse the name of a variable whose object has another name in Brian2.

    Arguments:
        program: The network.
        asked: What is trained.
        names: The script's variables.

    Raises:
        UnknownName: Says the name that Brian2 has.
    """
    known = {*program.groups, *program.drives}
    for key in members(program, asked):
        variable, dot, rest = key.partition(".")
        own: Any = getattr(names.get(variable), "name", None)
        if dot and variable not in known and isinstance(own, str) and own in known:
            raise UnknownName(
                f"{asking(asked)}: {variable!r} is a variable of your script, but Brian2 calls its"
                f" object {own!r}. Write '{own}.{rest}', or make the object with"
                f" name={variable!r}."
            )


def script_names(
    program: Program, groups: Mapping[str, Sequence[str]], names: Mapping[str, Any], network: Any
) -> dict[str, str]:
    """Names of a script's variables that hold trained constants.

    Arguments:
        program: The network.
        groups: Name of a parameter to the constants that it stands for.
        names: The script's variables.
        network: The Brian2 network.

    Returns:
        Constant, by "object.name", to the variable's name.
    """
    found: dict[str, str] = {}
    constants = program.constants()
    for key in (key for group in groups.values() for key in group if key in constants):
        owner, _, name = key.partition(".")
        if owner in program.drives:
            weight = network[owner].weight  # the very object that the script gave
            alike = (n for n, value in names.items() if value is weight and hasattr(weight, "dim"))
            name = next(alike, "")
        if _is(names.get(name), constants[key].value, constants[key].unit):
            found[key] = name
    return found


def _is(value: Any, number: float, unit: Dimensions) -> bool:
    """Whether a variable of a script holds a constant, as Brian2 prints and reads it."""
    plain = isinstance(value, int | float | np.ndarray | np.number) and np.ndim(value) == 0
    alike = plain and Dimensions.of(value) == unit
    return alike and bool(np.isclose(float(value), number, rtol=1e-7, atol=0))
