"""Whatever has spikes, as named populations: recordings, simulations, monitors, trains of Neo."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from jaxtyping import Float

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, UnknownName

from ._contracts import check_positive
from .spike_train import SpikeTrains


@checked
def populations(given: Any, trial: int = 0) -> dict[str, SpikeTrains]:
    """Spike trains of each group of whatever has spikes.

    Arguments:
        given: A `Recording` of a mirror, a `Simulation`, a `SpikeMonitor`, a list of Neo's spike
            trains or a Neo segment, or what `SpikeTrains.of` takes.
        trial: Which trial of a recording.

    Returns:
        Name of the group to its trains; "" where there is no name.

    Raises:
        DomainError: It has no spikes, or there is no such trial.
    """
    if _is_recording(given):
        return {name: _recorded(given, name, trial) for name in given.spikes}
    groups = getattr(given, "spikes", None)
    if isinstance(groups, Mapping) and hasattr(given, "duration"):
        named = cast(Mapping[str, Any], groups)
        return {name: SpikeTrains.of(each, float(given.duration)) for name, each in named.items()}
    trains = list(given.spiketrains) if hasattr(given, "spiketrains") else given
    if isinstance(trains, Sequence) and trains and all(hasattr(t, "t_stop") for t in trains):
        return {"": _of_neo(cast(Sequence[Any], trains))}
    name = getattr(getattr(given, "source", None), "name", "")
    return {str(name): SpikeTrains.of(given)}


@checked
def population(given: Any, group: str | None = None, trial: int = 0) -> SpikeTrains:
    """Spike trains of one group: see `populations`.

    Raises:
        UnknownName: There is no such group.
        DomainError: There are several and none is named, or no spikes, or no such trial.
    """
    found = populations(given, trial)
    if group is not None and group not in found:
        raise UnknownName.among(f"group={group!r}", group, found)
    if group is None and len(found) != 1:
        raise DomainError(
            f"{type(given).__name__}: it has spikes of {len(found)} groups ({', '.join(found)}),"
            f" and none was chosen. Name one: group={next(iter(found), 'cells')!r}."
        )
    return found[next(iter(found)) if group is None else group]


@checked
def population_rate(
    given: Any, group: str | None = None, dt: float = 1e-3, trial: int = 0
) -> Float[np.ndarray, " time"]:
    """Mean rate of a group in each bin: spikes per neuron and second [Hz].

    Arguments:
        given: Whatever has spikes, as for `populations`.
        group: Which group, where there are several.
        dt: Length of a bin [s].
        trial: Which trial of a recording.

    Raises:
        UnknownName: There is no such group.
        DomainError: There are several and none is named, or a bin is not positive.

    Example:
        >>> trains = SpikeTrains((np.array([0.1]), np.array([0.1, 0.3])), duration=0.4)
        >>> population_rate(trains, dt=0.2)
        array([5. , 2.5])
    """
    check_positive(dt, "population_rate(spikes, dt)", "dt", "s")
    trains = population(given, group, trial)
    bins = max(round(trains.duration / dt), 1)
    # A spike at k dt belongs to bin k, whatever the rounding of k dt.
    index = np.minimum((trains.pooled / dt + 1e-6).astype(np.int64), bins - 1)
    return np.bincount(index, minlength=bins) / (max(len(trains), 1) * dt)


def _is_recording(given: Any) -> bool:
    return hasattr(given, "spike_monitor") and hasattr(given, "steps")


def _recorded(recording: Any, name: str, trial: int) -> SpikeTrains:
    """Spikes of one group of a recording, counted from its start."""
    trials, size = recording.spikes.sizes[name]
    if not 0 <= trial < trials:
        raise DomainError(
            f"trial={trial}: the recording has {trials} trials. Write a number from 0 to"
            f" {trials - 1}."
        )
    step, index = recording.events(name, trial)
    times = (step - recording.first) * recording.dt
    return SpikeTrains.from_events(times, index, size, recording.steps * recording.dt or 1.0)


def _of_neo(trains: Sequence[Any]) -> SpikeTrains:
    """Spike trains of Neo, counted from the earliest start."""
    start = min(_seconds(train.t_start) for train in trains)
    stop = max(_seconds(train.t_stop) for train in trains)
    times = tuple(np.asarray(_seconds(train.times), dtype=float) - start for train in trains)
    return SpikeTrains(times, stop - start)


def _seconds(quantity: Any) -> Any:
    return quantity.rescale("s").magnitude
