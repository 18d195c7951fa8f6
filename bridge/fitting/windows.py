"""windows: a long recording cut into windows that are run side by side.

A window starts a while before the steps that it counts, from the state in which a run of the whole
recording without gradient passes there. So a batch of short runs stands for one long run, and the
gradient is cut only where a window starts.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from mirrorneuron.errors import DomainError

from ..program import TIMES, Generate, Program
from ..spikes import Events


@dataclass(frozen=True)
class Windows:
    """Where the windows of a recording lie.

    Arguments:
        total: Steps of the recording.
        counted: Steps that each window counts.
        warm_up: Steps that it starts before them.
    """

    total: int
    counted: int
    warm_up: int

    @property
    def starts(self) -> list[int]:
        """First step of each window; the first ones have less to warm up."""
        return [max(0, k - self.warm_up) for k in range(0, self.total, self.counted)]

    @property
    def length(self) -> int:
        """Steps of a window."""
        return min(self.counted + self.warm_up, self.total)

    def _place(self, like: Tensor) -> Tensor:
        """Step of the recording for each step of each window, "time window"."""
        starts = torch.tensor(self.starts, device=like.device)
        return starts + torch.arange(self.length, device=like.device)[:, None]

    def cut(self, x: Tensor) -> Tensor:
        """A series "time batch neuron" with the windows in the batch."""
        rows = x[self._place(x).clamp(max=self.total - 1)]
        return rows.reshape(self.length, -1, x.shape[2])

    def counts(self, like: Tensor) -> Tensor:
        """Whether each step of each window counts, "time batch neuron"."""
        place = self._place(like)
        first = torch.arange(0, self.total, self.counted, device=like.device)
        inside = (place >= first) & (place < (first + self.counted).clamp(max=self.total))
        each = inside[:, :, None, None].expand(-1, -1, *like.shape[1:])
        return each.reshape(self.length, -1, like.shape[2])


def beside(states: Sequence[Mapping[str, Any]], starts: Sequence[int], dt: float) -> dict[str, Any]:
    """States at several times as one batch, all at the time of the first.

    Arguments:
        states: Of the same network.
        starts: Step of each, from that of the first.
        dt: Time step [s].
    """
    joined: dict[str, Any] = {"step": states[0]["step"]}
    for key, value in states[0].items():
        columns = [state[key] for state in states]
        if isinstance(value, Tensor) and key.rpartition(".")[2] in TIMES:
            columns = [x - start * dt for x, start in zip(columns, starts, strict=True)]
        if key not in ("step", "draws"):
            joined[key] = _joined(columns)
    return joined


def _joined(columns: Sequence[Any]) -> Any:
    if isinstance(columns[0], Tensor):
        return torch.cat(list(columns))
    if isinstance(columns[0], Events):
        return Events.of(torch.cat([events.spikes for events in columns]))
    return tuple(_joined(row) for row in zip(*cast(Sequence[tuple[Events]], columns), strict=True))


def require_timeless(program: Program, inputs: Mapping[str, Any], asked: str) -> None:
    """Refuse a network that knows what time it is: its windows cannot run side by side.

    Raises:
        DomainError: Names what reads the time.
    """
    for slot in program.slots:
        times = {name for name, kind in slot.clock.items() if kind != "dt"}
        given = {n for n, key in slot.tables.items() if program.tables[key].name in inputs}
        for statement in slot.statements:
            read = set(_read(statement.tree, given))
            if read & times and statement.target != "not_refractory":
                _refuse(f"{slot.owner!r} reads {min(read & times)} in '{statement}'", asked)
        if isinstance(slot, Generate) and slot.owner not in inputs:
            _refuse(f"the SpikeGeneratorGroup {slot.owner!r} has spikes at fixed times", asked)


def _read(node: ast.AST, given: Set[str]) -> Iterator[str]:
    """Names in an expression, except the time at which a TimedArray is read that an input gives."""
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in given:
            return
        case ast.Name(id=name):
            yield name
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _read(child, given)


def _refuse(found: str, asked: str) -> None:
    raise DomainError(
        f"{asked}: {found}, but the windows of a recording run side by side, all at the same time"
        " of the network. Give what changes in time as an input, input={'cells.I': ...}, or write"
        " window=None."
    )
