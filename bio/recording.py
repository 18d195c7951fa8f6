"""Simulation: what a run of a Brian2 network leaves behind, as arrays and as a file."""

import json
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorneuron._arguments import AboveZero, Index, checked
from mirrorneuron.errors import CheckpointError, UnknownName
from mirrorneuron.units import Dimensions, quantity

Array = NDArray[Any]

FORMAT = "mirrorneuron simulation"
VERSION = 1
SECOND = Dimensions(s=1.0)


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes of one group, in the order in which Brian2 has them.

    Arguments:
        step: Time step of each spike, counted from t = 0.
        index: Neuron that fired.
        dt: Length of a step [s].
        size: Number of neurons in the group.
    """

    step: Array
    index: Array
    dt: float
    size: int

    @property
    def t(self) -> Array:
        """Time of each spike [s]."""
        return self.step * self.dt

    @property
    def counts(self) -> Array:
        """Number of spikes of each neuron, "neuron"."""
        return np.bincount(self.index, minlength=self.size)


@checked
@dataclass(frozen=True, eq=False, kw_only=True)
class Simulation:
    """Spikes, traces and final values of one run.

    Arguments:
        backend: Where it ran: "runtime (cython)", "cpp".
        dt: Time step [s], the shortest one if there are several.
        duration: Length of the run [s].
        seed: Seed of the random numbers, if one was given.
        t: Times of the samples of the traces [s], as `StateMonitor.t`; empty without traces.
        spikes: By group.
        traces: By variable, "time neuron", SI floats; the values at the start of a step.
        indices: By variable, the elements that the columns of its trace belong to.
        final: By variable ("cells.v", "syn.w", "syn_pre.delay"), the values at the end, SI floats;
            shape () where one value is shared.
        units: Dimensions of each variable in `traces` and `final`.
        seconds: Wall time: "build" until the network could run, "run" from there.
        versions: Of the libraries that had a part in it.
    """

    backend: str
    dt: AboveZero
    duration: AboveZero
    seed: Index | None
    t: Array
    spikes: Mapping[str, Spikes]
    traces: Mapping[str, Array]
    indices: Mapping[str, Array]
    final: Mapping[str, Array]
    units: Mapping[str, Dimensions]
    seconds: Mapping[str, float]
    versions: Mapping[str, str]

    def __getitem__(self, key: str) -> Array:
        """Trace of a variable, "time neuron", SI floats.

        Raises:
            UnknownName: It was not recorded.
        """
        if key not in self.traces:
            raise UnknownName.among(
                f"simulation[{key!r}]: name it in simulate(..., record=[{key!r}])",
                key,
                self.traces,
            )
        return self.traces[key]

    @checked
    def spike_trains(self, name: str) -> dict[int, Any]:
        """Spike times of each neuron, as `SpikeMonitor.spike_trains()`.

        Returns:
            Neuron to times, a Quantity [s].

        Raises:
            UnknownName: There are no spikes of a group of that name.
        """
        if name not in self.spikes:
            raise UnknownName.among(f"spike_trains({name!r})", name, self.spikes)
        spikes = self.spikes[name]
        order = np.argsort(spikes.index, kind="stable")
        parts = np.split(spikes.t[order], np.cumsum(spikes.counts)[:-1])
        return {i: quantity(parts[i], SECOND) for i in range(spikes.size)}

    @checked
    def population_rate(self, name: str) -> Array:
        """Rate of a group at each of its steps as a `PopulationRateMonitor` has it [Hz], "time".

        Raises:
            UnknownName: There are no spikes of a group of that name.
        """
        if name not in self.spikes:
            raise UnknownName.among(f"population_rate({name!r})", name, self.spikes)
        spikes = self.spikes[name]
        counts = np.bincount(spikes.step, minlength=round(self.duration / spikes.dt))
        return counts / (max(spikes.size, 1) * spikes.dt)

    @checked
    def rates(self) -> dict[str, float]:
        """Mean rate of each group [Hz]."""
        spans = {name: s.size * self.duration for name, s in self.spikes.items()}
        return {n: len(s.step) / spans[n] if spans[n] else 0.0 for n, s in self.spikes.items()}

    @checked
    def save(self, path: str | Path) -> Path:
        """Write everything to one file: numpy's `.npz` with a header in JSON, without pickle.

        The file appears under its name when it is complete, and not before.

        Arguments:
            path: Its name, taken as it is.

        Returns:
            The path.

        Raises:
            CheckpointError: It cannot be written.
        """
        path = Path(path)
        new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                np.savez(file, allow_pickle=False, **self._entries())
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)
        except OSError as error:
            raise CheckpointError(
                f"simulation.save({str(path)!r}): the file cannot be written ({error}). What was"
                " there before is untouched. Free some space, or name another folder."
            ) from error
        finally:
            with suppress(OSError):
                new.unlink()
        return path

    @classmethod
    def load(cls, path: str | Path) -> "Simulation":
        """Read what `save` wrote. Nothing in the file is executed.

        Raises:
            CheckpointError: The file is missing, damaged, or something else.
        """
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as entries:
                return cls._from(entries)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise CheckpointError(
                f"Simulation.load({str(path)!r}): this is no complete file of a simulation"
                f" ({type(error).__name__}: {error}). Write the path of a file that"
                " simulation.save(path) made."
            ) from error

    def _entries(self) -> dict[str, Array]:
        header = {
            "format": FORMAT,
            "version": VERSION,
            "backend": self.backend,
            "dt": self.dt,
            "duration": self.duration,
            "seed": self.seed,
            "spikes": {n: {"dt": s.dt, "size": s.size} for n, s in self.spikes.items()},
            "traces": list(self.traces),
            "final": list(self.final),
            "units": {key: unit.exponents for key, unit in self.units.items()},
            "seconds": dict(self.seconds),
            "versions": dict(self.versions),
        }
        entries: dict[str, Array] = {"header": np.array(json.dumps(header)), "t": self.t}
        for name, spikes in self.spikes.items():
            entries |= {f"step/{name}": spikes.step, f"index/{name}": spikes.index}
        entries |= {f"trace/{key}": self.traces[key] for key in self.traces}
        entries |= {f"indices/{key}": self.indices[key] for key in self.traces}
        return entries | {f"final/{key}": value for key, value in self.final.items()}

    @classmethod
    def _from(cls, entries: Mapping[str, Array]) -> "Simulation":
        header = json.loads(str(entries["header"][()]))
        if (header["format"], header["version"]) != (FORMAT, VERSION):
            raise ValueError(
                f"format {header['format']!r} {header['version']}, not {FORMAT!r} {VERSION}"
            )
        return cls(
            backend=header["backend"],
            dt=header["dt"],
            duration=header["duration"],
            seed=header["seed"],
            t=entries["t"],
            spikes={
                name: Spikes(entries[f"step/{name}"], entries[f"index/{name}"], s["dt"], s["size"])
                for name, s in header["spikes"].items()
            },
            traces={key: entries[f"trace/{key}"] for key in header["traces"]},
            indices={key: entries[f"indices/{key}"] for key in header["traces"]},
            final={key: entries[f"final/{key}"] for key in header["final"]},
            units={key: Dimensions(*exponents) for key, exponents in header["units"].items()},
            seconds=header["seconds"],
            versions=header["versions"],
        )

    def __str__(self) -> str:
        seconds = ", ".join(f"{name} {value:.2g} s" for name, value in self.seconds.items())
        lines = [f"Simulation of {self.duration:g} s on {self.backend} ({seconds})"]
        rates = self.rates()
        lines += [
            f"    {name}: {s.size} neurons, {len(s.step)} spikes, {rates[name]:.3g} Hz"
            for name, s in self.spikes.items()
        ]
        lines += [
            f"    {key} [{self.units[key]}]: {' x '.join(map(str, trace.shape))} samples"
            for key, trace in self.traces.items()
        ]
        return "\n".join(lines)
