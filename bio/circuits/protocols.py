"""Ready-made runs of a circuit: rest, a step of the mossy fibres, a climbing fibre's pause.

Source: the stimuli of the repository dbbs-lab/cerebellar-models, version 0.13.0, for De Schepper et
al. 2022, doi:10.1038/s42003-022-04213-y: 4 Hz on each mossy fibre; 150 Hz for 60 ms on those within
90 µm of the middle of the granular layer; 500 Hz for 10 ms on the olive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import second

from mirrorneuron.errors import DomainError
from mirrorneuron.units import si

from ..recording import Simulation
from ..simulate import simulate
from .activity import Activity, activity
from .anatomy import BASAL, LAYERS, POPULATIONS
from .cerebellum import BACKGROUND, Circuit
from .given import METRE, rate_of, time_of
from .stimuli import Trains, poisson, together
from .wiring import generator

AGAIN = 2e-3  # interval of the spikes of a burst, 500 Hz [s]


@dataclass(frozen=True, eq=False, kw_only=True)
class Rest:
    """A circuit at rest.

    Arguments:
        condition: Of the circuit.
        activity: Of each group, after it has settled.
        simulation: What was recorded.
    """

    condition: str
    activity: Mapping[str, Activity]
    simulation: Simulation = field(repr=False)

    def __str__(self) -> str:
        head = f"{'':<10}{'rate of firing cells [Hz]':>26}{'published':>14}{'silent':>8}{'CV':>7}"
        lines = [f"At rest, {self.condition}", "", head]
        for name, found in self.activity.items():
            mean, sd = BASAL[self.condition].get(name, (0.0, 0.0))
            lines.append(
                f"{name:<10}{f'{found.rate:.1f} ± {found.sd:.1f}':>26}{f'{mean:g} ± {sd:g}':>14}"
                f"{found.silent:>8.0%}{found.cv:>7.2f}"
            )
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, kw_only=True)
class Response:
    """What a stimulus did.

    Arguments:
        windows: From and to of each phase [s], by name.
        activity: Of each group by phase, then by group.
        simulation: What was recorded.
    """

    windows: Mapping[str, tuple[float, float]]
    activity: Mapping[str, Mapping[str, Activity]]
    simulation: Simulation = field(repr=False)

    def __str__(self) -> str:
        lines = ["Rate of all cells [Hz]", "", " " * 10 + "".join(f"{p:>12}" for p in self.windows)]
        for name in POPULATIONS:
            rates = (self.activity[phase][name].everyone for phase in self.windows)
            lines.append(f"{name:<10}" + "".join(f"{rate:>12.1f}" for rate in rates))
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pause(Response):
    """What climbing-fibre bursts did to the Purkinje cells.

    Arguments:
        arrivals: Times at which the last spike of each burst reaches the Purkinje cells [s].
        interval: Mean interval of their spikes before the first burst [s].
        pause: Mean time from the last spike of a burst, which is a complex spike, to the next
            spike [s].
    """

    arrivals: tuple[float, ...]
    interval: float
    pause: float


def resting_state(
    circuit: Circuit,
    duration: Any = 5 * second,
    *,
    settle: Any = 0.5 * second,
    rate: Any = BACKGROUND,
    seed: int = 0,
    backend: str = "cpp",
    **options: Any,
) -> Rest:
    """Let each mossy fibre fire at random at a low rate, and nothing else.

    Arguments:
        circuit: Of `cerebellum`.
        duration: How long to measure [s].
        settle: How long to run before [s].
        rate: Of each mossy fibre [Hz].
        seed: Of the trains of the mossy fibres and of the cells' random thresholds.
        backend: As in `simulate`.
        options: More for `simulate`.

    Returns:
        Firing of every group beside the published one.

    Raises:
        DomainError: A time or rate is out of range.
        UnitError: One of them has another unit.
    """
    asked = "resting_state"
    measured = time_of(f"{asked}: the duration", duration)
    before = time_of(f"{asked}: the time to settle", settle, least=0.0)
    end = before + measured
    trains = _background(asked, circuit, rate, end, seed)
    simulation = present(circuit, end, seed, backend, options, mossy=trains)
    window = (before, end)
    found = {name: activity(simulation.spikes[name], window) for name in POPULATIONS}
    return Rest(condition=circuit.condition, activity=found, simulation=simulation)


def mossy_fibre_step(
    circuit: Circuit,
    *,
    step: Any = 150 / second,
    start: Any = 1.2 * second,
    length: Any = 0.06 * second,
    after: Any = 0.74 * second,
    radius: Any = None,
    rate: Any = BACKGROUND,
    seed: int = 0,
    backend: str = "cpp",
    **options: Any,
) -> Response:
    """Let the mossy fibres around the middle of the granular layer fire in a burst.

    Arguments:
        circuit: Of `cerebellum`.
        step: Rate of those fibres during the step [Hz].
        start: When it begins [s].
        length: Of the step [s].
        after: How long to go on [s].
        radius: How far from the middle they may be, by default 90 µm [m].
        rate: Of each mossy fibre otherwise [Hz].
        seed: Of all trains and thresholds.
        backend: As in `simulate`.
        options: More for `simulate`.

    Returns:
        Firing of every group in the phases "before" (the last half of it), "step" and "after" (its
        last half).

    Raises:
        DomainError: A time, rate or radius is out of range, or no fibre lies within the radius.
        UnitError: One of them has another unit.
    """
    asked = "mossy_fibre_step"
    begin, span, rest = (
        time_of(f"{asked}: the {what}", given)
        for what, given in (("start", start), ("length", length), ("time after", after))
    )
    end = begin + span + rest
    reach = 90e-6 if radius is None else float(si(radius, METRE, f"{asked}: the radius"))
    bottom, top = LAYERS["granular"]
    middle = np.array([*circuit.size, bottom + top]) / 2
    distance = np.sqrt(((circuit.positions["mossy"] - middle) ** 2).sum(1))
    chosen = np.flatnonzero(distance <= reach)
    if not len(chosen):
        raise DomainError(
            f"mossy_fibre_step(radius={radius}): no mossy fibre lies so near to the middle; the"
            f" nearest is {distance.min() * 1e6:.0f} µm away. Write a larger radius."
        )
    risen, rng = rate_of(f"{asked}: the step", step), generator(seed, "mossy step")
    burst = poisson(chosen, risen, (begin, begin + span), circuit.dt, rng)
    trains = together(_background(asked, circuit, rate, end, seed), burst, dt=circuit.dt)
    windows = {
        "before": (begin / 2, begin),
        "step": (begin, begin + span),
        "after": (end - rest / 2, end),
    }
    simulation = present(circuit, end, seed, backend, options, mossy=trains)
    return Response(
        windows=windows, activity=_phases(simulation, windows), simulation=simulation
    )  # fmt: skip


def climbing_fibre_pause(
    circuit: Circuit,
    *,
    bursts: int = 4,
    number: int = 5,
    start: Any = 1.0 * second,
    every: Any = 0.5 * second,
    complex_spike: Any = None,
    rate: Any = BACKGROUND,
    seed: int = 0,
    backend: str = "cpp",
    **options: Any,
) -> Pause:
    """Excite the whole olive by short bursts, and see what the Purkinje cells do.

    Arguments:
        circuit: Of `cerebellum`.
        bursts: How many.
        number: Spikes of each, at 500 Hz, that excite the olive; its cells answer by fewer.
        start: When the first begins [s].
        every: From one burst to the next [s].
        complex_spike: As in `Circuit.network` [A].
        rate: Of each mossy fibre [Hz].
        seed: Of all trains and thresholds.
        backend: As in `simulate`.
        options: More for `simulate`.

    Returns:
        Firing of every group "before", "0-20 ms", "20-60 ms" and "60-120 ms" after the first burst,
        and how long the Purkinje cells pause.

    Raises:
        DomainError: A time, a rate or the number is out of range.
        UnitError: One of them has another unit.
    """
    for what, given in (("bursts", bursts), ("number", number)):
        if given < 1:
            raise DomainError(f"climbing_fibre_pause({what}={given!r}): write a number from 1.")
    asked = "climbing_fibre_pause"
    begin = time_of(f"{asked}: the start", start)
    gap = time_of(f"{asked}: the time from burst to burst", every, least=0.15)
    onsets = begin + gap * np.arange(bursts)
    end = float(onsets[-1]) + gap
    times = (onsets[:, None] + AGAIN * np.arange(number)).ravel()
    olive = circuit.counts["olive"]
    teaching = Trains(np.tile(np.arange(olive), len(times)), np.repeat(times, olive))
    trains = _background(asked, circuit, rate, end, seed)
    given = {"mossy": trains, "olive": teaching, "complex_spike": complex_spike}
    simulation = present(circuit, end, seed, backend, options, **given)
    windows = {
        "before": (begin / 2, begin),
        "0-20 ms": (begin, begin + 0.02),
        "20-60 ms": (begin + 0.02, begin + 0.06),
        "60-120 ms": (begin + 0.06, begin + 0.12),
    }
    arrivals = _arrivals(circuit, simulation, onsets)
    before = _phases(simulation, windows)
    return Pause(
        windows=windows,
        activity=before,
        simulation=simulation,
        arrivals=arrivals,
        interval=before["before"]["purkinje"].interval,
        pause=_pause(simulation, arrivals),
    )


def _arrivals(circuit: Circuit, simulation: Simulation, onsets: Any) -> tuple[float, ...]:
    """When the last spike of the olive in each burst reaches the Purkinje cells."""
    t = simulation.spikes["olive"].t
    delay = circuit.wiring["climbing_purkinje"].pathway.delay
    last = [t[(t >= onset) & (t < onset + 0.03)] for onset in onsets]
    return tuple(float(times.max()) + delay for times in last if len(times))


def _pause(simulation: Simulation, arrivals: tuple[float, ...]) -> float:
    """Mean time from the last spike within 3 ms of an arrival to the next one of the cell."""
    spikes, waits = simulation.spikes["purkinje"], []
    for cell in range(spikes.size):
        t = spikes.t[spikes.index == cell]
        for arrival in arrivals:
            first = np.searchsorted(t, arrival + 3e-3)
            if 0 < first < len(t) and t[first - 1] >= arrival - 1e-3:
                waits.append(t[first] - t[first - 1])
    return float(np.mean(waits)) if waits else float("nan")


def _background(asked: str, circuit: Circuit, rate: Any, end: float, seed: int) -> Trains:
    fibres, each = np.arange(circuit.counts["mossy"]), rate_of(f"{asked}: the rate", rate)
    return poisson(fibres, each, (0.0, end), circuit.dt, generator(seed, "mossy background"))


def present(
    circuit: Circuit, end: float, seed: int, backend: str, options: Mapping[str, Any], **given: Any
) -> Simulation:
    """Run a circuit's network, of which the equations take no name from outside."""
    how: dict[str, Any] = {"namespace": {}, **options}
    return simulate(lambda: circuit.network(**given), end * second, backend, seed=seed, **how)


def _phases(
    simulation: Simulation, windows: Mapping[str, tuple[float, float]]
) -> dict[str, dict[str, Activity]]:
    return {
        phase: {name: activity(simulation.spikes[name], window) for name in POPULATIONS}
        for phase, window in windows.items()
    }
