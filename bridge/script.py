"""Script: which of a script's variables hold what is trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mirrorneuron.units import Dimensions

from .program import Program


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
