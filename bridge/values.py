"""Values of a network's variables when a run starts, as tensors."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mirrorneuron.errors import DomainError, ShapeError

from .program import TIMES, Program, Variable
from .spikes import Events, State


@dataclass(frozen=True)
class Values:
    """Values of a Program's variables, of which some are trained.

    Arguments:
        program: The network.
        trained: Variables and constants that are trained, by their keys: present values in SI
            units, each of the variable's shape.
        dtype, device: Of the tensors.
    """

    program: Program
    trained: Mapping[str, Tensor]
    dtype: torch.dtype
    device: torch.device

    @property
    def exact(self) -> bool:
        """Whether values are those of Brian2's numpy target to the last bit."""
        return self.dtype == torch.float64 and self.device.type == "cpu"

    def of(self, key: str) -> Tensor:
        """Value of a variable, of its own shape."""
        if key in self.trained:
            return self.trained[key]
        variable = self.program.variables[key]
        x = torch.as_tensor(np.array(variable.value), device=self.device)
        return x.to(dtype_of(variable, self.dtype))

    def in_trials(self, key: str, batch_size: int) -> Tensor:
        """Value of a variable, "batch element"."""
        return self.of(key).reshape(1, -1).expand(batch_size, -1)

    def constants(self, driven: Set[str], used: Set[str] | None = None) -> dict[str, Any]:
        """Values of what does not change: tensors, or numbers where one is shared by all.

        Arguments:
            driven: Keys of what inputs set.
            used: Keys of the variables that are needed, by default all.
        """
        changing = self.program.written() | driven
        found: dict[str, Any] = {}
        for key in (self.program.used() if used is None else used) - changing:
            variable = self.program.variables[key]
            found[key] = variable.value.item() if variable.scalar else self.of(key)
        return found | {k: value for k, value in self.trained.items() if k not in changing}

    def initial_state(self, batch_size: int = 1) -> State:
        """State of the network as it was read, with the trained values."""
        state: State = {"step": self.program.step}
        changing = self.program.written()
        for key in (k for k in self.program.variables if k in changing):
            value = self.in_trials(key, batch_size)
            state[key] = value.to(dtype_of(self.program.variables[key], self.dtype))
        for name, group in self.program.groups.items():
            for event in group.events:
                state[f"{name}.{event}"] = self._raised(name, event, batch_size)
        for name in self.program.pathways:
            state[f"{name}.history"] = self._history(name, batch_size)
        return state

    def silent(self, group: str, batch_size: int) -> Events:
        """No spike of a group at all."""
        shape = (batch_size, self.program.groups[group].size)
        return Events.of(torch.zeros(shape, dtype=self.dtype, device=self.device))

    def _raised(self, group: str, event: str, batch_size: int) -> Events:
        """Events of the step before the first one."""
        silent = self.silent(group, batch_size)
        index = self.program.raised.get(f"{group}.{event}", np.zeros(0, np.int64))
        if not len(index):
            return silent
        silent.spikes[:, torch.from_numpy(index)] = 1
        batch = np.repeat(np.arange(batch_size), len(index))
        return Events(silent.spikes, batch, np.tile(index, batch_size))

    def _history(self, pathway: str, batch_size: int) -> tuple[Events, ...]:
        """Spikes on their way at the start, newest first."""
        path = self.program.pathways[pathway]
        past = np.zeros((path.max_delay, path.n_sources))
        for step, synapse in path.pending:
            past[path.delay[synapse] - step - 1, path.source[synapse]] = 1
        rows = torch.from_numpy(past).to(self.device, self.dtype)
        return tuple(Events.of(row.expand(batch_size, -1)) for row in rows)


def require_own_state(values: Values, state: Any) -> None:
    """Refuse a state of another network.

    Raises:
        DomainError: It is no state at all, or lacks something.
        ShapeError: A value in it has another number of elements.
    """
    if not isinstance(state, Mapping) or "step" not in state:
        raise DomainError(
            f"run(state={type(cast(Any, state)).__name__}): that is no state of a run. Write"
            " state=recording.state, or model.initial_state()."
        )
    program = values.program
    events = {f"{n}.{e}": g.size for n, g in program.groups.items() for e in g.events}
    sizes = {k: program.variables[k].value.size for k in program.written()} | events
    lacking = sorted((sizes.keys() | {f"{p}.history" for p in program.pathways}) - state.keys())
    if lacking:
        raise DomainError(
            f"run(state=...): the state lacks {', '.join(lacking[:5])}, so it belongs to another"
            " network. Write state=recording.state of a run of this model."
        )
    for key, size in sizes.items():
        held: Any = state[key]
        tensor = held.spikes if isinstance(held, Events) else held
        if not isinstance(tensor, Tensor) or tensor.dim() != 2 or tensor.shape[1] != size:
            shape = tuple(getattr(tensor, "shape", ()))
            raise ShapeError(
                f"run(state=...): {key} has the shape {shape}, and this network's is (batch,"
                f" {size}). Write state=recording.state of a run of this model."
            )


def dtype_of(variable: Variable, dtype: torch.dtype) -> torch.dtype:
    """Type of a variable's values: times stay in double precision, so that steps can be counted,
    and what Brian2 keeps in single precision is rounded as there."""
    if variable.kind == "boolean":
        return torch.bool
    if variable.single:
        return torch.float32
    return torch.float64 if variable.name in TIMES else dtype
