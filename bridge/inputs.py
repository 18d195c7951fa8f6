"""Inputs: what a run of a mirror is given from outside."""

from collections.abc import Mapping
from copy import copy
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._arrays import require_finite
from mirrorneuron.errors import DomainError, ShapeError, UnknownName
from mirrorneuron.units import Dimensions, si

from .nudge import Nudge
from .program import Program, Table
from .spikes import Events, State
from .values import Values

PART = 2**18  # numbers that are looked at at once


class Inputs:
    """What a run is given from outside, checked: see `Mirror.run`.

    Arguments:
        values: Values of the network, with their type and device.
        given: What is set, by name.
        steps: Number of steps of the run.
        batch_size: Number of trials, if it was asked for.
        state: State from which the run starts, if it was given.

    Attributes:
        arrays: Key to "time batch element"; one trial stands for all.
        batch_size: Number of trials.
        driven: Keys of the series.
    """

    def __init__(
        self,
        values: Values,
        given: Mapping[str, Any],
        steps: int,
        batch_size: int | None,
        state: Mapping[str, Any] | None,
    ) -> None:
        self.values, self.program, self.steps = values, values.program, steps
        targets = {name: self._target(name) for name in given}
        _require_once({name: target[0] for name, target in targets.items()})
        arrays = {name: self._array(name, targets[name], given[name]) for name in given}
        self.batch_size = self._batch(arrays, batch_size, state)
        self.arrays = {targets[name][0]: x for name, x in arrays.items()}
        self.driven = frozenset(self.arrays)
        self.variables = [k for k in self.arrays if k in self.program.variables]
        nudged = {name: x for name, x in given.items() if isinstance(x, Nudge)}
        self.gains = {targets[name][0]: self._gain(name, x) for name, x in nudged.items()}

    @cached_property
    def series(self) -> dict[str, tuple[Tensor, ...]]:
        """Key to one tensor a step, "batch element"."""
        shape = (self.steps, self.batch_size, -1)
        return {key: x.expand(shape).unbind(0) for key, x in self.arrays.items()}

    def first(self, steps: int) -> "Inputs":
        """The same for some steps only, the first ones."""
        made = copy(self)
        made.__dict__.pop("series", None)
        made.steps, made.arrays = steps, {key: x[:steps] for key, x in self.arrays.items()}
        return made

    def set(self, state: State, k: int) -> None:
        """Put the variables' values of step k into the state, or pull it towards them."""
        for key in self.variables:
            value = self.series[key][k].to(state[key].dtype)
            gain = self.gains.get(key)
            state[key] = value if gain is None else torch.lerp(state[key], value, gain)

    def _gain(self, name: str, nudge: Nudge) -> float:
        if name not in self.program.variables:
            raise DomainError(
                f"run(inputs={{{name!r}: mn.Nudge(...)}}): {name!r} is no variable, and only a"
                " variable can be pulled towards a trace. Name one, 'cells.v', or give the values"
                " themselves."
            )
        return nudge.gain(self.program.dt)

    def _target(self, name: str) -> tuple[str, Dimensions, int | None]:
        """Key, unit and size of what an input sets."""
        program = self.program
        if name in program.groups and "spike" in program.groups[name].events:
            return f"{name}.spike", Dimensions(), program.groups[name].size
        if name in program.variables:
            variable = program.variables[name]
            return name, variable.unit, 1 if variable.scalar else variable.value.size
        tables = _tables(program)
        if name in tables:
            return tables[name].name, tables[name].unit, None
        known = [*program.spiking(), *tables, *program.variables]
        raise UnknownName.among(f"run(inputs={{{name!r}: ...}})", name, known)

    def _array(self, name: str, target: tuple[str, Dimensions, int | None], value: Any) -> Tensor:
        _, unit, size = target
        what = f"run(inputs={{{name!r}: ...}})"
        value = value.values if isinstance(value, Nudge) else value
        if not isinstance(value, Tensor):
            value = torch.from_numpy(_plain(value, unit, what))
        x = value.to(self.values.device, self.values.dtype)
        plain = x.detach()
        spikes = target[0].endswith(".spike")
        if not (spikes and _are_spikes(plain)):
            require_finite(plain.cpu().numpy(), what)
            if spikes:
                _require_spikes(plain.cpu().numpy(), what)
        if x.dim() == 1 and (size == 1 or self._is_one_column(name)):
            x = x[:, None]
        if x.dim() == 2:
            x = x[:, None, :]
        expected = "number of values" if size is None else size
        if x.dim() != 3 or len(x) != self.steps or size not in (None, x.shape[2]):
            raise ShapeError(
                f"{what}: the shape is {tuple(value.shape)}, expected (time, batch, neuron) ="
                f" ({self.steps}, any, {expected}). The run takes {self.steps} steps of"
                f" {self.program.dt * 1e3:g} ms. Give one row for each step, or"
                " batch_first=True for (batch, time, neuron)."
            )
        return x

    def _is_one_column(self, name: str) -> bool:
        """Whether an input is a TimedArray that is the same for all neurons."""
        table = _tables(self.program).get(name)
        return table is not None and table.values.ndim == 1

    def _batch(
        self, arrays: Mapping[str, Tensor], wanted: int | None, state: Mapping[str, Any] | None
    ) -> int:
        sizes = {name: x.shape[1] for name, x in arrays.items() if x.shape[1] != 1}
        if state is not None:
            held = [v.spikes for v in state.values() if isinstance(v, Events)]
            held += [v for v in state.values() if isinstance(v, Tensor)]
            sizes |= {"state": held[0].shape[0]} if held else {}
        whole = isinstance(wanted, int | np.integer) and not isinstance(cast(Any, wanted), bool)
        if wanted is not None and not whole:
            raise ShapeError(
                f"run(batch_size={wanted!r}): that is no number of trials. Write batch_size=8."
            )
        if wanted is not None:
            sizes |= {"batch_size": wanted}
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name}: {size}" for name, size in sizes.items())
            raise ShapeError(
                f"run(...): the numbers of trials differ ({listed}). All inputs and the state"
                " belong to the same trials. Give each the same batch axis, or 1."
            )
        size = next(iter(sizes.values()), 1)
        if size < 1:
            raise ShapeError(
                f"run(batch_size={size}): there is no trial to run. Write batch_size=1."
            )
        return size


def _plain(value: Any, unit: Dimensions, what: str) -> Any:
    """An input as SI floats; quantities, also those in lists, have to have the right unit."""
    if hasattr(value, "dim") or _holds_quantities(value):
        return si(value, unit, what)
    try:
        return np.array(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise DomainError(
            f"{what}: {type(value).__name__} {str(value)[:40]!r} is no array of numbers ({error})."
            ' Give one row for each step, "time neuron" or "time batch neuron".'
        ) from error


def _holds_quantities(value: Any) -> bool:
    """Whether the first number in nested lists has a unit."""
    while isinstance(value, list | tuple) and value:
        value = cast(Any, value)[0]
    return hasattr(value, "dim")


def _tables(program: Program) -> dict[str, Table]:
    """TimedArrays by the names that equations have for them, and by their own."""
    found: dict[str, dict[str, Table]] = {}
    for slot in program.slots:
        for name, key in slot.tables.items():
            table = program.tables[key]
            found.setdefault(name, {})[table.name] = table
    spoken = {name: next(iter(each.values())) for name, each in found.items() if len(each) == 1}
    return spoken | {table.name: table for table in program.tables.values()}


def own_name(program: Program, name: str) -> str:
    """The name of an input; that of a TimedArray where equations have another for it."""
    known = name in program.groups or name in program.variables
    table = None if known else _tables(program).get(name)
    return name if table is None else table.name


def _require_once(targets: Mapping[str, str]) -> None:
    """Refuse one input under two names.

    Raises:
        DomainError: Two names stand for the same thing.
    """
    first: dict[str, str] = {}
    for name, target in targets.items():
        if target in first:
            raise DomainError(
                f"run(inputs=...): {first[target]!r} and {name!r} are one input, which would be set"
                f" twice. Write only {first[target]!r}."
            )
        first[target] = name


def time_first(x: Any) -> Any:
    """An input "batch time neuron" as "time batch neuron"; what all trials share as it is."""
    if x.ndim != 3:
        return x
    return x.transpose(0, 1) if isinstance(x, Tensor) else np.swapaxes(x, 0, 1)


def _are_spikes(x: Tensor) -> bool:
    """Whether all values are 0 or 1: within these, and equal to their squares.

    Sums of zeros and ones are exact; parts are so small that a core's cache holds them.
    """
    return not x.numel() or all(map(_are_few_spikes, x.reshape(-1).split(PART)))


def _are_few_spikes(x: Tensor) -> bool:
    low, high = torch.aminmax(x)
    return 0 <= float(low) <= float(high) <= 1 and float(x.sum()) == float(torch.dot(x, x))


def _require_spikes(values: Any, what: str) -> None:
    wrong = np.argwhere((values != 0) & (values != 1))
    if len(wrong):
        first = tuple(int(k) for k in wrong[0])
        raise DomainError(
            f"{what} is {values[first]:g} at index {', '.join(map(str, first))}. A neuron spikes"
            " in a step (1) or does not (0). Give a rate to a PoissonGroup, or a current to a"
            " variable."
        )
