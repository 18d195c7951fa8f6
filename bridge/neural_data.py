"""Neural data: recordings as Neo objects and as NWB files, in which laboratories keep theirs."""

import os
import tempfile
import uuid
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mirrorneuron.errors import DomainError, ExportError, MissingDependency
from mirrorneuron.units import SYMBOLS, Dimensions

from .recording import Recording

PLAIN = {"1": "dimensionless", "ohm": "ohm"}


def to_neo(recording: Recording, trials: Sequence[int] | None = None) -> Any:
    """A recording as a Neo block, with a segment for each trial.

    A segment has a spike train for each neuron, annotated with "group" and "neuron", and a signal
    for each recorded variable, in SI units, named as it was recorded.

    Arguments:
        recording: What a run gave.
        trials: Which trials, by default all.

    Returns:
        A `neo.Block`.

    Raises:
        DomainError: There is no such trial.
        MissingDependency: The library neo is not installed.
    """
    neo, pq = _neo()
    chosen = _trials(recording, trials, "to_neo")
    with _quiet():
        block = neo.Block(name="mirrorneuron")
        for trial in chosen:
            segment = neo.Segment(name=f"trial {trial}", index=trial)
            segment.spiketrains.extend(_trains(neo, pq, recording, trial))
            segment.analogsignals.extend(_signals(neo, pq, recording, trial))
            block.segments.append(segment)
    return block


def _neo() -> tuple[Any, Any]:
    try:
        import neo
        import quantities
    except ImportError as error:
        raise MissingDependency("recording.to_neo()", "neo", "validate") from error
    return neo, quantities


@contextmanager
def _quiet() -> Generator[None]:
    """Without deprecations that libraries provoke in each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", module="(neo|quantities|hdmf|pynwb)")
        yield


def _trials(recording: Recording, trials: Sequence[int] | None, asked: str) -> list[int]:
    """The trials that were asked for."""
    count = batch_size(recording)
    chosen = list(range(count)) if trials is None else list(trials)
    for trial in chosen:
        if isinstance(trial, bool) or trial not in range(count):
            raise DomainError(
                f"recording.{asked}(...): there is no trial {trial!r}; the recording has {count},"
                f" from 0 on. Write, say, trials=[0]."
            )
    return chosen


def batch_size(recording: Recording) -> int:
    """Number of trials of a recording."""
    for batch, _ in recording.spikes.sizes.values():
        return batch
    return next((trace.shape[1] for trace in recording.traces.values()), 1)


def _span(recording: Recording) -> tuple[float, float]:
    """Start and end of a recording [s]."""
    return (
        recording.first * recording.dt,
        (recording.first + recording.steps) * recording.dt,
    )


def _times(recording: Recording, name: str, trial: int) -> list[Any]:
    """Spike times of each neuron [s]."""
    step, index = recording.events(name, trial)
    order = np.argsort(index, kind="stable")
    size = recording.spikes.sizes[name][1]
    ends = np.cumsum(np.bincount(index, minlength=size))[:-1]
    return np.split(step[order] * recording.dt, ends)


def _trains(neo: Any, pq: Any, recording: Recording, trial: int) -> list[Any]:
    start, stop = _span(recording)
    return [
        neo.SpikeTrain(
            times * pq.s, t_start=start * pq.s, t_stop=stop * pq.s, name=f"{name}[{neuron}]",
            group=name, neuron=neuron,
        )
        for name in recording.spikes
        for neuron, times in enumerate(_times(recording, name, trial))
    ]  # fmt: skip


def _signals(neo: Any, pq: Any, recording: Recording, trial: int) -> list[Any]:
    start, _ = _span(recording)
    return [
        neo.AnalogSignal(
            trace[:, trial].detach().cpu().double().numpy(),
            units=_unit(pq, recording.units.get(key, Dimensions())),
            sampling_period=recording.dt * pq.s, t_start=start * pq.s, name=key,
        )
        for key, trace in recording.traces.items()
    ]  # fmt: skip


def _unit(pq: Any, unit: Dimensions) -> Any:
    """Dimensions in the words of the library quantities."""
    text = str(unit)
    if " " not in text and "^" not in text:
        return pq.unit_registry[PLAIN.get(text, text)]
    found = pq.dimensionless
    for symbol, power in zip(SYMBOLS, unit.exponents, strict=True):
        found = found * pq.unit_registry[symbol] ** power if power else found
    return found


# ---- NWB


def to_nwb(
    recording: Recording,
    path: str | PathLike[str],
    trial: int = 0,
    description: str = "Simulation by mirrorneuron",
    start: datetime | None = None,
) -> Path:
    """Write one trial of a recording as an NWB file.

    Each neuron is a unit, with the columns "group" and "neuron"; each recorded variable is a
    TimeSeries of the acquisition, "time neuron", in SI units. The file appears when it is complete.

    Arguments:
        recording: What a run gave.
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
    try:
        import pynwb
    except ImportError as error:
        raise MissingDependency("recording.to_nwb(path)", "pynwb", "nwb") from error
    (chosen,) = _trials(recording, [trial], "to_nwb")
    place = Path(path)
    with _quiet():
        file: Any = pynwb.NWBFile(
            session_description=description,
            identifier=str(uuid.uuid4()),
            session_start_time=start or datetime.now(UTC),
        )
        _add_units(file, recording, chosen)
        for key, trace in recording.traces.items():
            file.add_acquisition(_series(pynwb, recording, key, trace[:, chosen]))
        _write(pynwb, file, place)
    return place


def _add_units(file: Any, recording: Recording, trial: int) -> None:
    file.add_unit_column("group", "name of the group of neurons")
    file.add_unit_column("neuron", "number of the neuron in its group")
    interval = [list(_span(recording))]
    for name in recording.spikes:
        for neuron, times in enumerate(_times(recording, name, trial)):
            file.add_unit(spike_times=times, obs_intervals=interval, group=name, neuron=neuron)


def _series(pynwb: Any, recording: Recording, key: str, trace: Any) -> Any:
    unit = recording.units.get(key, Dimensions())
    return pynwb.TimeSeries(
        name=key.replace("/", "_"),
        data=trace.detach().cpu().double().numpy(),
        unit=str(unit),
        starting_time=_span(recording)[0],
        rate=1 / recording.dt,
    )


def _write(pynwb: Any, file: Any, place: Path) -> None:
    """Write beside the place, and rename."""
    new = ""
    try:
        handle, new = tempfile.mkstemp(dir=place.parent, suffix=".tmp")
        os.close(handle)
        with pynwb.NWBHDF5IO(new, "w") as io:
            io.write(file)
        os.replace(new, place)
    except OSError as error:
        with suppress(OSError):
            os.unlink(new)
        raise ExportError(
            f"recording.to_nwb({str(place)!r}): the file could not be written ({error}). Free some"
            " space, or name another place."
        ) from error
