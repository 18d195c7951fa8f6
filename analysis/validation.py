"""What a validation compares, and what it finds, object by object."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Int

from mirrorneuron._arguments import Index, Magnitude, checked
from mirrorneuron.errors import DomainError, UnknownName

from ._contracts import check_positive
from .spike_train import SpikeTrains

Question = Literal["free run", "locked steps", "statistics"]


@checked
@dataclass(frozen=True)
class Events:
    """Spikes of one object, in any order.

    Attributes:
        step: Number of the step, from 0.
        index: Neuron, from 0.
    """

    step: Int[np.ndarray, " spike"]
    index: Int[np.ndarray, " spike"]

    def keys(self, stride: int) -> Int[np.ndarray, " spike"]:
        """One sorted number a spike: neuron after neuron, steps increasing."""
        return np.sort(self.index.astype(np.int64) * stride + self.step)


@checked
@dataclass(frozen=True)
class Spikes:
    """Spikes of one object on both sides."""

    n_neurons: Index
    reference: Events
    mirror: Events


@checked
@dataclass(frozen=True)
class LockedStep:
    """Largest relative error of a variable after one mirrored step from the reference's state.

    Attributes:
        error: |mirror - reference| / scale; nan or infinite if the mirror gave no number [1].
        step: Where it occurred, None if every step was exact.
    """

    error: Magnitude
    step: Index | None


@checked
@dataclass(frozen=True)
class Comparison:
    """What two simulations gave, to be judged.

    Attributes:
        dt: Length of a step [s].
        n_steps: Steps that both sides simulated.
        dtype: Floating point type of the mirror.
        spikes: By the name of the object; every object that can spike, silent ones included.
        locked: By "object.variable".
        paths: Errors in the free run until spikes differ, by "object.variable".
        unanswered: Why a question could not be put.
        versions: By the name of the package.

    Raises:
        DomainError: A spike outside the simulation or the object, or the same spike twice.
    """

    dt: float
    n_steps: int
    dtype: str
    spikes: Mapping[str, Spikes]
    locked: Mapping[str, LockedStep]
    paths: Mapping[str, LockedStep] = field(default_factory=lambda: MappingProxyType({}))
    unanswered: Mapping[Question, str] = field(default_factory=lambda: MappingProxyType({}))
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        check_positive(self.dt, "Comparison", "dt", "s")
        check_positive(self.n_steps, "Comparison", "n_steps", "steps")
        for name, spikes in self.spikes.items():
            for side, events in (("reference", spikes.reference), ("mirror", spikes.mirror)):
                where = f"Comparison: {side} spikes of '{name}'"
                _check_events(events, self.n_steps, spikes.n_neurons, where)

    @property
    def duration(self) -> float:
        """Simulated time [s]."""
        return self.n_steps * self.dt

    def trains(self, name: str) -> tuple[SpikeTrains, SpikeTrains]:
        """Spike trains of an object: reference, mirror.

        Raises:
            UnknownName: The comparison has no object of that name.
        """
        if name not in self.spikes:
            raise UnknownName.among(f"trains({name!r})", name, self.spikes)
        n_neurons = self.spikes[name].n_neurons
        sides = (self.spikes[name].reference, self.spikes[name].mirror)
        reference, mirror = (
            SpikeTrains.from_events(e.step * self.dt, e.index, n_neurons, self.duration)
            for e in sides
        )
        return reference, mirror


@dataclass(frozen=True)
class FreeRun:
    """Answer (a) for one object.

    Attributes:
        n_reference: Spikes of the reference.
        n_mirror: Spikes of the mirror.
        n_shared: Spikes at the same step and index on both sides.
        first_divergence: Time of the earliest spike that only one side has, or None [s].
        f1: F1 of the spikes within one step, nan if neither side spiked [1].
    """

    object: str
    n_neurons: int
    n_reference: int
    n_mirror: int
    n_shared: int
    first_divergence: float | None
    f1: float

    @property
    def identical(self) -> bool:
        """Whether every spike is at the same step and index on both sides."""
        return self.n_reference == self.n_mirror == self.n_shared


@dataclass(frozen=True)
class Locked:
    """Largest relative error of one variable [1], the time of it [s], whether that is rounding."""

    variable: str
    error: float
    time: float | None
    within: bool


@dataclass(frozen=True)
class Agreement:
    """Answer (c) for one statistic of one object, over the neurons for which both sides have it.

    Attributes:
        n_neurons: Neurons compared.
        reference: Mean of the reference, in `unit`; nan without neurons.
        mirror: Mean of the mirror, in `unit`.
        sem: Standard error of the mean difference between the two sides of a neuron, in `unit`.
        allowed: max(5 % of the reference, 2 SEM), in `unit`.
        agrees: Whether the difference of the means is allowed, None without neurons.
    """

    object: str
    statistic: str
    unit: str
    n_neurons: Index
    reference: float
    mirror: float
    sem: float
    allowed: float
    agrees: bool | None


def _check_events(events: Events, n_steps: int, n_neurons: int, where: str) -> None:
    for name, values, limit in (
        ("step", events.step, n_steps),
        ("index", events.index, n_neurons),
    ):
        if values.size and not 0 <= values.min() <= values.max() < limit:
            raise DomainError(
                f"{where}: {name} runs from {values.min()} to {values.max()}, allowed is 0 to "
                f"{limit - 1}. Both sides are counted from the beginning of the comparison. "
                "Subtract the first step, or give the full n_steps and n_neurons."
            )
    if np.unique(events.keys(n_steps)).size < events.step.size:
        raise DomainError(
            f"{where}: a spike is there twice. A neuron spikes at most once a step. "
            "Give one recorder of each object."
        )
