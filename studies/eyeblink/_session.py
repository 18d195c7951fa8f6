"""One animal of `eyeblink`: a session in one simulation, and what is kept of it in one file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from mirrorneuron.bio.circuits import Conditioning
from mirrorneuron.bio.circuits.eyeblink import BIN
from mirrorneuron.errors import CheckpointError

from .._kit.file import whole

PATH = "parallel_purkinje"
STEP = 10e-3  # of the rates within a trial [s]
LATE = (-0.15, -0.05)  # before the time of the US: the range of the rule, where a dip is read [s]
GROUPS = ("granule", "basket", "stellate", "purkinje", "dcn_p", "olive")
DRAWN = ("purkinje", "dcn_p")


@dataclass(frozen=True)
class Session:
    """What is kept of a session.

    Arguments:
        arrays: By name. Of each trial `phase` (its number in `phases`), `start`, `interval`, `us`
            (from the beginning of the trial), `responded`, `peak`, `threshold`, `lid`, and
            `rates_GROUP_ZONE`, "trial time" [Hz]; `weights_ZONE` at the times `sampled`, "sample
            synapse", as shares of the start, and `effective_ZONE`, their mean under the spikes of
            the CS, "sample bin"; `raster_GROUP`, trial, cell and time of spikes.
        phases: Their names.
        onset: From the beginning of a trial to the CS [s].
    """

    arrays: Mapping[str, Any]
    phases: tuple[str, ...]
    onset: float

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    def where(self, phase: str, alone: bool | None = None) -> Bool[np.ndarray, " trial"]:
        """Trials of a phase; with the CS alone, with a US, or all."""
        inside = self["phase"] == self.phases.index(phase)
        return inside if alone is None else inside & (np.isnan(self["us"]) == alone)

    def share(self, selected: Bool[np.ndarray, " trial"]) -> float:
        """Of trials with a response [1]."""
        return float(self["responded"][selected].mean())

    def window(
        self, group: str, zone: int, selected: Bool[np.ndarray, " trial"], late: bool
    ) -> float:
        """Mean rate late in the CS, or before it [Hz]."""
        interval = float(self["interval"][selected][0])
        first, last = (interval + LATE[0], interval + LATE[1]) if late else (-0.2, 0.0)
        a, b = (round((self.onset + edge) / STEP) for edge in (first, last))
        return float(self[f"rates_{group}_{zone}"][selected][:, a:b].mean())

    @property
    def highest(self) -> Float[np.ndarray, " trial"]:
        """Highest point of the lid between the onset of the CS and the time of the US [Hz]."""
        first = round(self.onset / BIN)
        rows = zip(self["lid"], self["interval"], strict=True)
        return np.array([float(row[first : first + round(gap / BIN)].max()) for row, gap in rows])

    def save(self, path: Path) -> None:
        """Write to one file."""
        told = {"phases": np.array(self.phases), "onset": np.array(self.onset)}
        with whole(path, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **told, **self.arrays)

    @classmethod
    def load(cls, path: Path) -> "Session":
        """Read what `save` wrote.

        Raises:
            CheckpointError: The file is something else.
        """
        try:
            with np.load(path, allow_pickle=False) as entries:
                held = {name: entries[name] for name in entries}
            phases, onset = tuple(map(str, held.pop("phases"))), float(held.pop("onset"))
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise CheckpointError(
                f"{path}: this is no session of the study eyeblink ({error}). Delete it, and run"
                " with --resume again."
            ) from error
        return cls(held, phases, onset)


def kept(found: Conditioning) -> Session:
    """What is kept of a simulation."""
    trials, phases = found.trials, tuple(dict.fromkeys(trial.phase for trial in found.trials))
    arrays: dict[str, Any] = {
        "phase": np.array([phases.index(trial.phase) for trial in trials]),
        "start": np.array([trial.start for trial in trials]),
        "interval": np.array([trial.interval for trial in trials]),
        "us": np.array([trial.us - trial.start for trial in trials]),
        "responded": found.responded, "peak": found.peak, "threshold": found.threshold,
        "lid": found.lid.astype(np.float32),
    }  # fmt: skip
    for group in GROUPS:
        zones = range(found.circuit.zones) if group in found.circuit.zone else (0,)
        for zone in zones:
            arrays[f"rates_{group}_{zone}"] = by_trial(found, group, zone)
    return Session(
        arrays | _weights(found) | _rasters(found), phases, trials[0].onset - trials[0].start
    )


def by_trial(found: Conditioning, group: str, zone: int) -> Float[np.ndarray, "trial time"]:
    """Rate of a group within each trial [Hz]."""
    single = np.eye(len(found.trials), dtype=bool)
    return np.stack([found.rate(group, one, zone, STEP) for one in single])


def _weights(found: Conditioning) -> dict[str, Any]:
    """Weights on the zone that the US strikes, and their mean under the spikes of the CS."""
    wires, zone = found.circuit.wiring[PATH], found.circuit.zone["purkinje"]
    share = found.simulation[f"{PATH}.w"] / wires.weight
    kept, spikes = {"sampled": found.simulation.t}, found.simulation.spikes["granule"]
    tone = np.arange(0.0, max(t.interval for t in found.trials) + 0.06, STEP)
    fired = np.zeros((spikes.size, len(tone) - 1))
    for trial in found.trials[:: max(len(found.trials) // 60, 1)]:
        a, b = np.searchsorted(spikes.t, trial.onset + tone[[0, -1]])
        bins = np.clip(((spikes.t[a:b] - trial.onset) / STEP).astype(int), 0, len(tone) - 2)
        np.add.at(fired, (spikes.index[a:b], bins), 1)
    for z in range(found.circuit.zones):
        onto = zone[wires.j] == z
        total = np.maximum(fired[wires.i[onto]].sum(0), 1e-9)
        kept[f"effective_{z}"] = share[:, onto] @ fired[wires.i[onto]] / total
        kept[f"weights_{z}"] = share[:, onto].astype(np.float32)
    return kept


def _rasters(found: Conditioning) -> dict[str, Any]:
    """Spikes of one zone in trials of the CS alone, the first and last of each phase."""
    kept: dict[str, Any] = {}
    picked = []
    for phase in dict.fromkeys(trial.phase for trial in found.trials):
        alone = np.flatnonzero(found.where(phase, alone=True))
        picked += [*alone[:1], *alone[-1:]]
    for group in DRAWN:
        spikes, zone = found.simulation.spikes[group], found.circuit.zone[group]
        rows = []
        for k in picked:
            start = found.trials[k].start
            a, b = np.searchsorted(spikes.t, (start, start + found.length))
            own = zone[spikes.index[a:b]] == 0
            cell, t = spikes.index[a:b][own], spikes.t[a:b][own] - start
            rows.append(np.stack([np.full(len(t), float(k)), cell.astype(float), t], axis=1))
        kept[f"raster_{group}"] = np.concatenate(rows)
    return kept
