"""Spike times of a population, checked once, so that nothing behind this file checks again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Bool, Float, Int

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError
from mirrorneuron.units import Dimensions, si

from ._contracts import check_positive, check_raster


@checked
@dataclass(frozen=True)
class SpikeTrains:
    """The spike times of each neuron within [0, duration].

    Attributes:
        trains: Spike times of each neuron, strictly increasing [s].
        duration: Length of the observation [s].

    Raises:
        DomainError: Times that are not finite, not increasing, or outside the observation.

    Example:
        >>> trains = SpikeTrains((np.array([0.1, 0.3]), np.array([])), duration=0.5)
        >>> trains.counts
        array([2, 0])
        >>> trains.between(0.2, 0.5).trains[0].round(6)
        array([0.1])
    """

    trains: tuple[Float[np.ndarray, " _"], ...]
    duration: float

    def __post_init__(self) -> None:
        check_positive(self.duration, "SpikeTrains(trains, duration)", "duration", "s")
        for neuron, times in enumerate(self.trains):
            check_times(times, f"SpikeTrains: trains[{neuron}]", self.duration)

    @classmethod
    def from_raster(cls, spikes: Bool[np.ndarray, "time neuron"], dt: float) -> "SpikeTrains":
        """From a raster; a spike in step k happened at k dt, as in Brian2's `SpikeMonitor`.

        Arguments:
            spikes: True where a neuron spikes in a step.
            dt: Length of a step [s].

        Raises:
            DomainError: `spikes` is no raster, or dt is not positive.
        """
        check_raster(spikes, dt, "SpikeTrains.from_raster(spikes, dt)")
        return cls(tuple(np.flatnonzero(column) * dt for column in spikes.T), spikes.shape[0] * dt)

    @classmethod
    def from_events(
        cls,
        times: Float[np.ndarray, " spike"],
        index: Int[np.ndarray, " spike"],
        n_neurons: int,
        duration: float,
    ) -> "SpikeTrains":
        """From the two columns of a `SpikeMonitor`, in any order.

        Arguments:
            times: Time of each spike [s].
            index: Neuron of each spike.
            n_neurons: Neurons in the population, silent ones included.
            duration: Length of the observation [s].

        Raises:
            DomainError: An index names no neuron of the population.
        """
        if index.size and not 0 <= index.min() <= index.max() < n_neurons:
            raise DomainError(
                f"SpikeTrains.from_events: index runs from {index.min()} to {index.max()}, but "
                f"n_neurons is {n_neurons}. Every spike belongs to a neuron of the population. "
                f"Write n_neurons={index.max() + 1} or more, and count from 0."
            )
        order = np.lexsort((times, index))
        borders = np.searchsorted(index[order], np.arange(1, n_neurons))
        return cls(tuple(np.split(times[order], borders)[:n_neurons]), duration)

    @classmethod
    def of(cls, given: Any, duration: float | None = None) -> "SpikeTrains":
        """From what simulations give: spikes of a group, or spike times by neuron.

        Arguments:
            given: `simulation.spikes["cells"]`, a `SpikeMonitor`, what `spike_trains()` returns, a
                `Simulation` with one group, or `SpikeTrains`, which stay as they are.
            duration: Length of the observation [s]; by default that of the simulation, else until
                the last spike.

        Raises:
            DomainError: It is none of these, or a simulation of several groups.
        """
        if isinstance(given, SpikeTrains):
            return given
        groups = getattr(given, "spikes", None)
        if isinstance(groups, Mapping) and hasattr(given, "duration"):
            named = cast(Mapping[str, Any], groups)
            if len(named) != 1:
                raise DomainError(
                    f"SpikeTrains.of(simulation): it has spikes of {len(named)} groups"
                    f" ({', '.join(named)}). Name one: simulation.spikes['cells']."
                )
            return cls.of(next(iter(named.values())), float(given.duration))
        if isinstance(given, Mapping):
            by_neuron = cast(Mapping[int, Any], given)
            trains = [_times(by_neuron[n]) for n in sorted(by_neuron)]
            last = max((times[-1] for times in trains if times.size), default=0.0)
            return cls(tuple(trains), duration or last or 1.0)
        index = getattr(given, "index", getattr(given, "i", None))
        if index is None or callable(index) or not hasattr(given, "t"):
            raise DomainError(
                f"SpikeTrains.of({type(given).__name__}): these are no spikes. Give"
                " simulation.spikes['cells'], a SpikeMonitor, or what spike_trains() returns."
            )
        times, index = _times(given.t), np.asarray(index, dtype=np.int64)
        size = int(getattr(given, "size", 0) or len(getattr(given, "source", ())))
        size = size or int(index.max(initial=-1)) + 1
        return cls.from_events(times, index, size, duration or times.max(initial=0.0) or 1.0)

    def __len__(self) -> int:
        return len(self.trains)

    @property
    def counts(self) -> Int[np.ndarray, " neuron"]:
        """Spikes of each neuron [1]."""
        return np.array([times.size for times in self.trains], dtype=np.int64)

    @property
    def pooled(self) -> Float[np.ndarray, " spike"]:
        """Spike times of all neurons together, sorted [s]."""
        return np.sort(np.concatenate((np.empty(0), *self.trains)))

    @property
    def intervals(self) -> Float[np.ndarray, " interval"]:
        """Inter-spike intervals of all neurons, neuron after neuron [s]."""
        return np.concatenate((np.empty(0), *(np.diff(times) for times in self.trains)))

    def between(self, start: float, stop: float) -> "SpikeTrains":
        """The spikes with start <= t < stop, counted from start.

        Arguments:
            start: Beginning of the part [s].
            stop: End of the part [s].

        Raises:
            DomainError: The part is empty or reaches beyond the observation.
        """
        if not 0 <= start < stop <= self.duration:
            raise DomainError(
                f"SpikeTrains.between({start}, {stop}): the observation is [0, {self.duration}] s. "
                "The part has to lie within it, with start before stop. "
                f"Write between(0, {self.duration}) for all of it."
            )
        inside = (times[(times >= start) & (times < stop)] for times in self.trains)
        return SpikeTrains(tuple(times - start for times in inside), stop - start)


def per_intervals(
    formula: Callable[[Float[np.ndarray, " interval"]], float],
    spikes: Bool[np.ndarray, "time neuron"],
    dt: float,
) -> Float[np.ndarray, " neuron"]:
    """A formula of the inter-spike intervals [s] of each neuron, nan with fewer than two."""
    intervals = [np.diff(np.flatnonzero(column)) * dt for column in spikes.T]
    return np.array([formula(i) if i.size >= 2 else np.nan for i in intervals])


def _times(given: Any) -> Float[np.ndarray, " _"]:
    """Times in seconds, of a Quantity or of plain numbers.

    Raises:
        UnitError: They are a Quantity of something else.
        DomainError: They are no numbers.
    """
    plain = Dimensions.of(given) == Dimensions()
    return si(given, Dimensions() if plain else Dimensions(s=1.0), "SpikeTrains.of(given): times")


def check_times(
    times: Float[np.ndarray, " spike"], asked: str, duration: float = np.inf
) -> Float[np.ndarray, " spike"]:
    """The same times, once they are known to be a spike train.

    Arguments:
        times: Spike times [s].
        asked: What the user asked for, in the user's words.
        duration: Length of the observation [s].

    Raises:
        DomainError: Times that are not finite, not increasing, or outside [0, duration].
    """
    if not np.all(np.isfinite(times)):
        first = int(np.flatnonzero(~np.isfinite(times))[0])
        raise DomainError(
            f"{asked}: spike {first} is at {times[first]} s. A spike happens at a finite time. "
            "Write times[np.isfinite(times)]."
        )
    if np.any(np.diff(times) <= 0):
        first = int(np.flatnonzero(np.diff(times) <= 0)[0])
        raise DomainError(
            f"{asked}: spike {first + 1} at {times[first + 1]} s does not come after spike {first} "
            f"at {times[first]} s. Intervals need strictly increasing times. "
            "Write np.unique(times)."
        )
    if times.size and not 0 <= times[0] <= times[-1] <= duration:
        raise DomainError(
            f"{asked}: spikes from {times[0]} s to {times[-1]} s, but the observation is "
            f"[0, {duration}] s. Times are seconds since its beginning. "
            "Subtract the start, convert to seconds, or give the full duration."
        )
    return times
