"""Domain: values that a quantity of their kind cannot have, and values that are hardly meant."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mirrorneuron._callers import callers_level
from mirrorneuron.errors import DomainError, DomainWarning
from mirrorneuron.units import Dimensions

from .program import Array, Program

FARAD = Dimensions(m=-2.0, kg=-1.0, s=4.0, A=2.0)
SIEMENS = Dimensions(m=-2.0, kg=-1.0, s=3.0, A=2.0)
CAPACITANCES = (FARAD, Dimensions(m=-4.0, kg=-1.0, s=4.0, A=2.0))
CONDUCTANCES = (SIEMENS, Dimensions(m=-4.0, kg=-1.0, s=3.0, A=2.0))
VOLT = Dimensions(m=2.0, kg=1.0, s=-3.0, A=-1.0)
OHM = Dimensions(m=2.0, kg=1.0, s=-3.0, A=-2.0)
NEVER_ZERO = (*CAPACITANCES, *CONDUCTANCES, VOLT, OHM)
SECOND = Dimensions(s=1.0)
OFF_GRID = 1e-6  # of a step
FAULT = " A parameter that was never set is 0."


def require_domains(program: Program, divisors: Mapping[str, tuple[Dimensions, Any]]) -> None:
    """Refuse capacitances, rates and durations that cannot be; say what is hardly meant.

    Arguments:
        program: The network.
        divisors: What statements divide by and does not change: dimensions and values by key.

    Raises:
        DomainError: Names each quantity, and its first value that cannot be.
    """
    wrong = [*_divisors(divisors), *_refractory(program), *_rates(program)]
    if wrong:
        raise DomainError(
            "mirror(net): values outside their domain.\n\n"
            + "\n".join(f"  {line}" for line in wrong)
            + "\n\nSet them in the network before mirror(net)."
        )
    for line in (*_saturated(program), *_negative_conductances(program), *_off_grid(program)):
        warnings.warn(f"mirror(net): {line}", DomainWarning, stacklevel=callers_level())


def _first(values: Any, bad: Array) -> str:
    """The first bad value, and where it is."""
    flat, wrong = np.ravel(np.asarray(values)), np.flatnonzero(np.ravel(bad))
    return f"{flat[wrong[0]]:g}" + (f" at element {wrong[0]}" if flat.size > 1 else "")


def _divisors(divisors: Mapping[str, tuple[Dimensions, Any]]) -> Iterator[str]:
    for key, (unit, value) in divisors.items():
        values = np.asarray(value)
        if unit in CAPACITANCES and np.any(values <= 0):
            yield (
                f"{key} is {_first(values, values <= 0)} {unit}: a capacitance is positive."
                + FAULT * bool(np.any(values == 0))
            )
        elif unit in NEVER_ZERO and np.any(values == 0):
            yield f"{key} is {_first(values, values == 0)}, and equations divide by it.{FAULT}"


def _refractory(program: Program) -> Iterator[str]:
    """Refractory periods below zero."""
    written = program.written()
    for slot in program.slots:
        if not any(s.target == "not_refractory" for s in slot.statements):
            continue
        for name, value in slot.constants.items():
            if slot.units[name] == SECOND and value < 0:
                yield f"{slot.key(name)} is {value:g} s: a refractory period is not negative."
        for name, ref in slot.refs.items():
            variable = program.variables[ref.variable]
            if variable.unit == SECOND and name not in ("lastspike", "t", "dt"):
                values = variable.value
                if variable.key not in written and np.any(values < 0):
                    shown = _first(values, values < 0)
                    yield f"{variable.key} is {shown} s: a refractory period is not negative."


def _rates_of(program: Program) -> Iterator[tuple[str, Array, float]]:
    """Rates of Poisson groups that do not change, and the step of each group."""
    for name, group in program.groups.items():
        variable = program.variables.get(f"{name}.rates")
        if group.kind != "PoissonGroup" or variable is None:
            continue
        if variable.key not in program.written():
            step = program.every(f"{name}.spike") * program.dt
            yield variable.key, np.asarray(variable.value), step


def _rates(program: Program) -> Iterator[str]:
    for key, rates, _ in _rates_of(program):
        if np.any(rates < 0):
            yield f"{key} is {_first(rates, rates < 0)} Hz: a rate is not negative."
    for drive in program.drives.values():
        if not 0 <= drive.rate * program.dt <= 1:
            yield (
                f"{drive.name}.rate is {drive.rate:g} Hz: a PoissonInput fires at most once a step"
                f" of {program.dt * 1e3:g} ms, so between 0 and {1 / program.dt:g} Hz."
            )
    for table in program.tables.values():
        if table.unit == Dimensions(s=-1.0) and np.any(table.values < 0):
            yield (
                f"the TimedArray {table.name!r} is {_first(table.values, table.values < 0)} Hz: a"
                " rate is not negative."
            )


def _saturated(program: Program) -> Iterator[str]:
    for key, rates, step in _rates_of(program):
        high = rates * step > 1
        if np.any(high):
            yield (
                f"{key} is {_first(rates, high)} Hz, and a neuron fires at most once a step of"
                f" {step * 1e3:g} ms: it fires at {1 / step:g} Hz, as in Brian2. Write a lower"
                " rate, or a smaller dt."
            )


def _negative_conductances(program: Program) -> Iterator[str]:
    """Parameters of neurons; a weight or a changing conductance may pass below zero."""
    written = program.written()
    for key, variable in program.variables.items():
        group = program.groups.get(variable.owner)
        neurons = group is not None and group.kind == "NeuronGroup"
        fixed = neurons and key not in written and not variable.read_only
        if fixed and variable.unit in CONDUCTANCES and np.any(variable.value < 0):
            shown = _first(variable.value, variable.value < 0)
            yield f"{key} is {shown} S: a conductance is positive. Drop the sign, if it is one."
    for key, constant in program.constants().items():
        if constant.unit in CONDUCTANCES and constant.value < 0:
            group = program.groups.get(key.partition(".")[0])
            if group is not None and group.kind == "NeuronGroup":
                yield f"{key} is {constant.value:g} S: a conductance is positive. Drop the sign."


def _off_grid(program: Program) -> Iterator[str]:
    """Delays that one wrote for all synapses; what was drawn for each is on no grid anyway."""
    for name, path in program.pathways.items():
        steps = path.written
        if steps is None or abs(steps - round(steps)) <= OFF_GRID:
            continue
        dt = program.every(path.event) * program.dt * 1e3
        yield (
            f"the delay of {name!r} is {steps * dt:g} ms, which is {steps:g} steps of {dt:g} ms:"
            f" Brian2 rounds it to {path.max_delay * dt:g} ms, and so does the mirror. Write a"
            " multiple of dt."
        )
