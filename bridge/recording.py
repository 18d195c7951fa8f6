"""Recording: what a run of a mirror leaves behind."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._arguments import AboveZero, Index, checked
from mirrorneuron.errors import DomainError, UnknownName
from mirrorneuron.units import Dimensions, quantity

from .draws import Draws
from .program import Array, Part
from .spikes import Events, Raster

SECOND = Dimensions(s=1.0)


class Spikes(Mapping[str, Tensor]):
    """Spikes by the name of a group or subgroup, "time batch neuron", made when asked for.

    Arguments:
        events: Spikes of each group, one entry a step.
        sizes: Trials and neurons of each group.
        parts: Subgroups by name. They are found by their name, and not listed.
    """

    def __init__(
        self,
        events: Mapping[str, Sequence[Events]],
        sizes: Mapping[str, tuple[int, int]],
        parts: Mapping[str, Part] | None = None,
    ) -> None:
        self.events, self.sizes, self.parts = events, sizes, parts or {}
        self.made: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name in self.parts:
            part = self.parts[name]
            return self[part.group][..., part.start : part.stop]
        if name not in self.events:
            known = [*self.events, *self.parts]
            raise UnknownName.among(f"recording.spikes[{name!r}]", name, known)
        if name not in self.made:
            steps = self.events[name]
            empty = torch.zeros(0, *self.sizes[name])
            if isinstance(steps, Raster):
                self.made[name] = steps.tensor
            else:
                self.made[name] = torch.stack([e.spikes for e in steps]) if steps else empty
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def __repr__(self) -> str:
        parts = f"; parts: {', '.join(self.parts)}" if self.parts else ""
        return f"Spikes({', '.join(self.events)}{parts})"

    def as_leaves(self) -> "Spikes":
        """The same spikes as leaves of a graph, in one tensor for each group."""
        made = {name: _leaf(self[name]) for name in self}
        events = {
            name: [e._replace(spikes=row) for e, row in zip(seen, made[name], strict=True)]
            for name, seen in self.events.items()
        }
        spikes = Spikes(events, self.sizes, self.parts)
        spikes.made = made
        return spikes


class _SomeTrials(Spikes):
    """Spikes of some trials of a batch, cut out when they are asked for."""

    def __init__(self, whole: Spikes, start: int, stop: int) -> None:
        sizes = {name: (stop - start, size) for name, (_, size) in whole.sizes.items()}
        super().__init__(_Cut(whole, start, stop), sizes, whole.parts)
        self.whole, self.start, self.stop = whole, start, stop

    def __getitem__(self, name: str) -> Tensor:
        return self.whole[name][:, self.start : self.stop]


class _Cut(Mapping[str, Sequence[Events]]):
    """Events of some trials, by the name of the group."""

    def __init__(self, whole: Spikes, start: int, stop: int) -> None:
        self.whole, self.start, self.stop = whole, start, stop

    def __getitem__(self, name: str) -> list[Events]:
        return [e.of_trials(self.start, self.stop) for e in self.whole.events[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole.events)

    def __len__(self) -> int:
        return len(self.whole.events)


class SpikeEvents(NamedTuple):
    """Spikes in the order in which they occurred.

    Arguments:
        i: Neuron of each spike.
        t: Time of each spike, a Quantity [s].
        count: Number of spikes of each neuron.
    """

    i: Array
    t: Any
    count: Array  # pyright: ignore[reportIncompatibleMethodOverride]  a tuple's is not used


@checked
@dataclass(frozen=True)
class Recording:
    """Spikes and traces of one run.

    Arguments:
        dt: Time step [s].
        first: Step count at the start of the run.
        spikes: By group, "time batch neuron", 0 or 1.
        traces: By variable, "time batch neuron", SI floats; the values at the start of each
            step, as a StateMonitor has them.
        state: The network's state at the end, to continue from.
        steps: Number of steps.
        units: Dimensions of what was recorded.
    """

    dt: AboveZero
    first: Index
    steps: Index
    spikes: Spikes
    traces: Mapping[str, Tensor]
    state: Mapping[str, Any]
    units: Mapping[str, Dimensions] = field(default_factory=dict[str, Dimensions])

    @staticmethod
    def joined(parts: "Sequence[Recording]") -> "Recording":
        """The recording of consecutive runs as that of one."""
        first, last = parts[0], parts[-1]
        events = {
            name: [e for part in parts for e in part.spikes.events[name]] for name in first.spikes
        }
        return replace(
            first,
            steps=sum(part.steps for part in parts),
            spikes=Spikes(events, first.spikes.sizes, first.spikes.parts),
            traces={key: torch.cat([part.traces[key] for part in parts]) for key in first.traces},
            state=last.state,
        )

    @checked
    def as_leaves(self) -> "Recording":
        """The same values, of which each is a leaf: a gradient with respect to it ends there."""
        return replace(
            self,
            spikes=self.spikes.as_leaves(),
            traces={key: _leaf(trace) for key, trace in self.traces.items()},
            state={key: _with_leaves(value) for key, value in self.state.items()},
        )

    def __repr__(self) -> str:
        """What there is, one line a group and a trace."""
        span = f"{self.steps} steps of {self.dt * 1e3:g} ms"
        if self.first:
            span += f", from {self.first * self.dt * 1e3:g} ms"
        rates, sizes = self.rates(), self.spikes.sizes
        trials = next((batch for batch, _ in sizes.values()), 1)
        lines = [f"Recording of {span}, {trials} {'trial' if trials == 1 else 'trials'}"]
        width = max(map(len, (*sizes, *self.traces)), default=0)
        lines += [
            f"  {name:<{width}}  {_counted(size)}, {rates[name]:.4g} Hz: spikes[{name!r}]"
            for name, (_, size) in sizes.items()
        ]
        lines += [
            f"  {key:<{width}}  time batch neuron {tuple(trace.shape)}{self._unit(key)}"
            for key, trace in self.traces.items()
        ]
        return "\n".join(lines)

    def _unit(self, key: str) -> str:
        unit = str(self.units.get(key, ""))
        return f" [{unit}]" if unit else ""

    def __getitem__(self, key: str) -> Tensor:
        """Trace of a variable, differentiable.

        Raises:
            UnknownName: It was not recorded.
        """
        if key not in self.traces:
            raise UnknownName.among(
                f"recording[{key!r}]: name it in run(record=[{key!r}])", key, self.traces
            )
        return self.traces[key]

    @checked
    def trials(self, start: Index, stop: Index) -> "Recording":
        """The recording of the trials from `start` up to `stop` alone, differentiable."""
        return replace(
            self,
            spikes=_SomeTrials(self.spikes, start, stop),
            traces={key: trace[:, start:stop] for key, trace in self.traces.items()},
            state={key: _of_trials(value, start, stop) for key, value in self.state.items()},
        )

    @cached_property
    def t(self) -> Array:
        """Start of each step [s], as `StateMonitor.t`."""
        return np.arange(self.first, self.first + self.steps) * self.dt

    @checked
    def events(self, name: str, batch: Index = 0) -> tuple[Array, Array]:
        """Steps and indices of the spikes of one trial, in order, as plain arrays.

        Raises:
            UnknownName: There is no spiking group of that name.
            DomainError: There is no such trial.
        """
        self._require_trial(name, batch)
        spikes = self.spikes.events[name]
        index = [e.index[e.batch == batch] for e in spikes]
        counts = [len(i) for i in index]
        step = np.repeat(np.arange(self.first, self.first + len(index)), counts)
        return step, np.concatenate(index) if index else np.empty(0, np.int64)

    @checked
    def spike_monitor(self, name: str, batch: Index = 0) -> SpikeEvents:
        """Spikes of one trial as a `SpikeMonitor` has them: `.i`, `.t`, `.count`.

        Raises:
            UnknownName: There is no spiking group of that name.
        """
        size = self._size(name)
        step, index = self.events(name, batch)
        count = np.bincount(index, minlength=size)
        return SpikeEvents(index, quantity(step * self.dt, SECOND), count)

    @checked
    def population_rate(self, name: str) -> Tensor:
        """Rate of a group at each step as a `PopulationRateMonitor` has it [Hz], "time batch".

        Raises:
            UnknownName: There is no spiking group of that name.
        """
        return self.spikes[name].mean(dim=2) / self.dt

    @checked
    def rates(self, *groups: Any) -> dict[str, float]:
        """Mean rate of groups over neurons, trials and time [Hz].

        Arguments:
            groups: Groups and subgroups, named or themselves; by default all groups.

        Raises:
            UnknownName: There is no spiking group of that name.
        """
        if groups:
            names = [str(getattr(group, "name", group)) for group in groups]
            return {n: self.spikes[n].detach().mean().item() / self.dt for n in names}
        counts = {n: sum(len(e.index) for e in seen) for n, seen in self.spikes.events.items()}
        spans = {n: np.prod(size) * self.steps * self.dt for n, size in self.spikes.sizes.items()}
        return {n: float(count / spans[n]) if spans[n] else 0.0 for n, count in counts.items()}

    @checked
    def spike_trains(self, name: str, batch: Index = 0) -> dict[int, Any]:
        """Spike times of each neuron in one trial, as `SpikeMonitor.spike_trains()`.

        Returns:
            Neuron to times, a Quantity [s].

        Raises:
            UnknownName: There is no spiking group of that name.
        """
        size = self._size(name)
        step, index = self.events(name, batch)
        order = np.argsort(index, kind="stable")
        ends = np.cumsum(np.bincount(index, minlength=size))[:-1]
        trains = np.split(step[order] * self.dt, ends)
        return {i: quantity(train, SECOND) for i, train in enumerate(trains)}

    @checked
    def to_neo(self, trials: Sequence[int] | None = None) -> Any:
        """Spike trains and traces as a `neo.Block`: see `bridge/neural_data.py`.

        Raises:
            DomainError: There is no such trial.
            MissingDependency: The library neo is not installed.
        """
        from .neural_data import to_neo  # which knows this class

        return to_neo(self, trials)

    @checked
    def to_nwb(
        self,
        path: str | PathLike[str],
        trial: int = 0,
        description: str = "Simulation by mirrorneuron",
        start: datetime | None = None,
    ) -> Path:
        """Write one trial as an NWB file.

        Each neuron is a unit, with the columns "group" and "neuron"; each recorded variable is a
        TimeSeries of the acquisition, "time neuron", in SI units.

        Arguments:
            path: Of the file, by custom `*.nwb`.
            trial: Which trial.
            description: Of the session.
            start: When the session started, which NWB asks for; by default now.

        Returns:
            The path.

        Raises:
            DomainError: There is no such trial.
            ExportError: The file cannot be written.
            MissingDependency: The library pynwb is not installed.
        """
        from .neural_data import to_nwb

        return to_nwb(self, path, trial, description, start)

    def _require_trial(self, name: str, batch: int) -> None:
        self._size(name)
        trials = self.spikes.sizes[name][0]
        if batch >= trials:
            raise DomainError(
                f"recording of {name!r}: batch={batch} is no trial of it, as it has {trials}."
                f" Trials are counted from 0. Write batch={trials - 1} for the last one."
            )

    def _size(self, name: str) -> int:
        if name not in self.spikes:
            raise UnknownName.among(f"recording.spikes[{name!r}]", name, self.spikes)
        return self.spikes.sizes[name][1]


def _counted(neurons: int) -> str:
    return f"{neurons:,} neuron{'' if neurons == 1 else 's'}"


def _of_trials(value: Any, start: int, stop: int) -> Any:
    """Part of a state that belongs to some trials."""
    if isinstance(value, Tensor):
        return value[start:stop]
    if isinstance(value, Events | Draws):
        return value.of_trials(start, stop)
    if type(value) is tuple:
        return tuple(_of_trials(v, start, stop) for v in cast(tuple[Any, ...], value))
    return value


def _leaf(x: Tensor) -> Tensor:
    """A leaf of the same value; what is not a real number has no gradient."""
    return x.detach().requires_grad_(x.is_floating_point())


def _with_leaves(value: Any) -> Any:
    """A value of a state whose tensors are leaves."""
    if isinstance(value, Tensor):
        return _leaf(value)
    if isinstance(value, Events):
        return value._replace(spikes=_leaf(value.spikes))
    if type(value) is tuple:
        return tuple(_with_leaves(v) for v in cast(tuple[Any, ...], value))
    return value
