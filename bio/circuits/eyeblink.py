r"""Eyeblink conditioning: a tone, a puff of air at its end, and a lid that closes before the puff.

The conditioned stimulus (CS) is a pattern of spikes of the mossy fibres in an ellipse around the
middle, the same in every trial: each fires in bursts, in some of the slots of 50 ms, so that each
granule cell, which needs several of its four fibres, has its own times in the CS. The unconditioned
stimulus (US) is a burst of five spikes at 500 Hz in the olive, one interval after the onset of the
CS; both end together. All trials are one simulation, and all trains are drawn before it, with
numpy.

The lid follows the nuclear cells of the zone that the US strikes, less those of the other zones,
which have the same mossy fibres: it is the mean over the last 180 ms of the density of their
spikes, under a Gaussian of 25 ms. What the CS does to it without learning is subtracted: the mean
of the trials of an equally long CS alone before the first US. A trial has a conditioned response
(CR) where, between the onset of the CS and the time of the US, the lid exceeds its baseline by 2.5
standard deviations and 5 % of the zone's rate. The baseline of a trial is the mean of the lid in
the 150 ms before the CS, over this trial and the nine before it; deviation and rate are those in
these windows, over all trials.

Source: Geminiani et al. 2024, doi:10.1371/journal.pcbi.1011277: stimuli, zones, plasticity of the
parallel fibres on Purkinje cells and interneurons, and the reading of a response.
Differs from it: fibres of the CS fire in bursts, and there at one rate throughout the CS, which
`active=1.0` gives; the olive has spontaneous spikes; steps of weights are shares of the weight at
the start, which is the bound that weights go back to without climbing fibres, so that they stay
where they are at rest; trials are shorter. There a response exceeds a fifth of the largest closure
of the session, too, which is known at its end only; that is left out. Nothing else is subtracted
there than the other zone; two small zones differ without learning. In a circuit of one zone there
is no other to subtract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from brian2 import amp, second, siemens
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from mirrorneuron.errors import DomainError, UnknownName
from mirrorneuron.units import si

from ..plasticity import PlasticityRule, plasticity
from ..recording import Simulation, Spikes
from .anatomy import PATHWAYS
from .cerebellum import BACKGROUND, Circuit
from .given import METRE, rate_of, time_of
from .learning import Plastic
from .protocols import present
from .stimuli import Trains, poisson, together
from .wiring import generator

Array = NDArray[Any]
ASKED = "eyeblink_conditioning"
NUMBER, AGAIN = 5, 2e-3  # spikes of the US, and their interval [s]
US_LENGTH = NUMBER * AGAIN
SLOT = 50e-3  # in which a fibre of the CS has a burst or none [s]
REINFORCED = ("paired", "unpaired", "none")
DEPRESSED = ("parallel_purkinje", "ascending_purkinje")
POTENTIATED = ("parallel_basket", "parallel_stellate")

BIN = 1e-3  # of the density of spikes [s]
WIDTH = 25e-3  # standard deviation of its Gaussian [s]
LID = 180e-3  # of the past whose mean the lid is [s]
BEFORE, TRIALS = 0.15, 10  # baseline: length before the CS [s], and number of trials
ABOVE, DEVIATIONS = 0.05, 2.5
SETTLE = 1.0  # before the first trial [s]
AFTER = 0.2  # how long after the time of the US the lid may still have its peak [s]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Trials of one kind.

    Arguments:
        name: Of the phase.
        trials: How many.
        us: Whether the US ends the CS ("paired"), comes at random when the CS is over ("unpaired"),
            or not at all ("none").
        interval: From the onset of the CS to that of the US, or where it would be [s].
        probes: Every how many trials the CS comes alone; 0 for never.
    """

    name: str
    trials: int
    us: str = "paired"
    interval: Any = field(default_factory=lambda: 0.25 * second)
    probes: int = 0


class Trial(NamedTuple):
    """One trial: phase, beginning, onset of the CS [s], interval [s], and time of the US [s].

    The time of the US is nan where there is none.
    """

    phase: str
    start: float
    onset: float
    interval: float
    us: float

    @property
    def alone(self) -> bool:
        """Whether the CS comes alone."""
        return bool(np.isnan(self.us))


PHASES = (
    Phase(name="before", trials=20, us="none"),
    Phase(name="acquisition", trials=80, probes=5),
    Phase(name="extinction", trials=50, us="none"),
    Phase(name="reacquisition", trials=40, probes=5),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Conditioning:
    """What a circuit learned.

    Arguments:
        circuit: That learned.
        trials: In their order.
        length: Of each [s].
        chosen: Mossy fibres of the CS.
        lid: Of each trial from its beginning, in steps of 1 ms, "trial time"; from the onset of the
            CS on without what the CS does before learning [Hz].
        baseline: Of each trial [Hz].
        threshold: Which the lid exceeds in a CR [Hz].
        responded: Whether a trial has a CR.
        peak: From the onset of the CS to the highest point of the lid, which may come up to 200 ms
            after the time of the US; nan in trials with a US [s].
        simulation: What was recorded.
    """

    circuit: Circuit = field(repr=False)
    trials: tuple[Trial, ...]
    length: float
    chosen: Array = field(repr=False)
    lid: Float[np.ndarray, "trial time"] = field(repr=False)
    baseline: Float[np.ndarray, " trial"] = field(repr=False)
    threshold: Float[np.ndarray, " trial"] = field(repr=False)
    responded: Bool[np.ndarray, " trial"] = field(repr=False)
    peak: Float[np.ndarray, " trial"] = field(repr=False)
    simulation: Simulation = field(repr=False)

    def where(self, phase: str, alone: bool | None = None) -> Bool[np.ndarray, " trial"]:
        """Which trials belong to a phase, all of them or those with the CS alone or with a US.

        Raises:
            UnknownName: There is no such phase.
        """
        names = list(dict.fromkeys(trial.phase for trial in self.trials))
        if phase not in names:
            raise UnknownName.among(f"conditioning.where({phase!r})", phase, names)
        return np.array(
            [t.phase == phase and (alone is None or t.alone == alone) for t in self.trials]
        )

    def rate(
        self,
        group: str,
        selected: Bool[np.ndarray, " trial"],
        zone: int | None = 0,
        width: float = 10e-3,
    ) -> Float[np.ndarray, " time"]:
        """Rate of a group in bins from the beginning of a trial, mean over trials and cells [Hz].

        Arguments:
            group: Of the circuit, whose spikes were recorded.
            selected: Which trials.
            zone: Of a group that has zones; None for all cells.
            width: Of a bin [s].
        """
        t, size, dt = self._spikes(group, zone)
        edges = np.arange(round(self.length / width) + 1) * width - dt / 2
        starts = [trial.start for trial, taken in zip(self.trials, selected, strict=True) if taken]
        counts = [np.diff(np.searchsorted(t, start + edges)) for start in starts]
        return np.mean(counts, axis=0) / (width * size)

    def counted(
        self, group: str, window: tuple[float, float], zone: int | None = 0
    ) -> Float[np.ndarray, " trial"]:
        """Rate of a group in a window of each trial, counted from the onset of the CS [Hz]."""
        t, size, dt = self._spikes(group, zone)
        onsets = np.array([trial.onset for trial in self.trials]) - dt / 2
        first, last = (np.searchsorted(t, onsets + edge) for edge in window)
        return (last - first) / (size * (window[1] - window[0]))

    def _spikes(self, group: str, zone: int | None) -> tuple[Array, int, float]:
        """Times of the spikes of a group's cells in a zone, their number, and the time step."""
        spikes, zones = self.simulation.spikes[group], self.circuit.zone.get(group)
        if zones is None or zone is None:
            return spikes.t, spikes.size, spikes.dt
        return spikes.t[zones[spikes.index] == zone], int((zones == zone).sum()), spikes.dt

    def __str__(self) -> str:
        lines = [f"{'':<16}{'trials':>8}{'CR':>8}{'peak of the lid, CS alone [ms]':>34}"]
        for phase in dict.fromkeys(trial.phase for trial in self.trials):
            inside = self.where(phase)
            peaks = self.peak[self.where(phase, alone=True) & self.responded] * 1e3
            peak = f"{np.median(peaks):.0f}" if len(peaks) else "-"
            lines.append(
                f"{phase:<16}{inside.sum():>8}{self.responded[inside].mean():>8.0%}{peak:>34}"
            )
        return "\n".join(lines)


def eyeblink_conditioning(
    circuit: Circuit,
    phases: Sequence[Phase] = PHASES,
    *,
    cs: Any = 150 / second,
    active: float = 0.25,
    background: Any = BACKGROUND,
    spontaneous: Any = 1 / second,
    extent: Any = None,
    length: Any = 1.0 * second,
    onset: Any = 0.3 * second,
    plastic: Mapping[str, Plastic | PlasticityRule] | None = None,
    complex_spike: Any = 0.22e-9 * amp,
    seed: int = 0,
    backend: str = "cpp",
    **options: Any,
) -> Conditioning:
    """Present a CS and a US again and again, and see when the lid closes.

    Arguments:
        circuit: Of `cerebellum`.
        phases: Which trials.
        cs: Rate of a fibre of the CS in a burst, besides the background [Hz].
        active: Share of the fibres of the CS that have a burst in a slot, others in each [1].
        background: Rate of each mossy fibre [Hz].
        spontaneous: Rate at which each cell of the olive is excited at random [Hz].
        extent: Axes of the ellipse along and across the parallel fibres, two lengths; by default
            those of the circuit, which are shorter than the published 100 by 50 µm in a small one.
        length: Of a trial [s].
        onset: From the beginning of a trial to the CS [s].
        plastic: As in `Circuit.network`; by default `conditionable(circuit)`.
        complex_spike: As in `Circuit.network`.
        seed: Of all trains and thresholds.
        backend: As in `simulate`.
        options: More for `simulate`.

    Returns:
        Trials, the lid, and which trials have a response.

    Raises:
        DomainError: A phase, time or rate is out of range, trials are too short for what
            they hold, or no fibre lies inside of the ellipse.
        UnitError: One of them has another unit.
        UnknownName: A US is neither "paired", "unpaired" nor "none".
    """
    span, begin = time_of(f"{ASKED}: the length", length), time_of(f"{ASKED}: the onset", onset)
    trials = schedule(phases, span, begin, generator(seed, "unpaired"))
    end = trials[-1].start + span
    chosen = fibres(circuit, extent)
    tones, beside = (
        rate_of(f"{ASKED}: the rate cs", cs),
        rate_of(f"{ASKED}: the background", background),
    )
    mossy = tone(circuit, trials, chosen, tones, active, beside, end, seed)
    olive = puff(circuit, trials, rate_of(f"{ASKED}: spontaneous spikes", spontaneous), end, seed)
    given = {
        "mossy": mossy, "olive": olive, "complex_spike": complex_spike,
        "plastic": conditionable(circuit) if plastic is None else plastic,
    }  # fmt: skip
    simulation = present(circuit, end, seed, backend, options, **given)
    return conditioning(circuit, simulation, trials, span, chosen)


def conditionable(
    circuit: Circuit,
    *,
    depression: float = 0.0021,
    recovery: float = 0.0009,
    potentiation: float = 0.0035,
    loss: float = 0.0021,
    most: float = 6.0,
) -> dict[str, Plastic]:
    """Plasticity of the granule cells' synapses, in shares of their weight at the start.

    Those on Purkinje cells become weaker by climbing fibres, down to nothing, and those on
    interneurons stronger. Without climbing fibres both go back to where they started.

    Arguments:
        circuit: Whose condition gives the weights.
        depression: On a Purkinje cell, by a climbing-fibre spike at the peak of the kernel [1].
        recovery: By each spike of the granule cell [1].
        potentiation: On an interneuron, by a climbing-fibre spike at the peak of the kernel [1].
        loss: By each spike of the granule cell [1].
        most: Highest weight on an interneuron [1].
    """
    found = {}
    for name in (*DEPRESSED, *POTENTIATED):
        weight = PATHWAYS[name].weight_in(circuit.condition) * siemens
        if name in DEPRESSED:
            rule, bounds = plasticity["pf_pc_sinexp"], {"w_max": weight}
            steps = {"A_plus": recovery * weight, "A_minus": -depression * weight}
        else:
            rule, bounds = plasticity["pf_mli"], {"w_min": weight, "w_max": most * weight}
            steps = {"A_plus": potentiation * weight, "A_minus": -loss * weight}
        found[name] = Plastic(rule=rule, values=bounds | steps)
    return found


# ---- what is presented


def schedule(
    phases: Sequence[Phase], length: float, onset: float, rng: np.random.Generator
) -> tuple[Trial, ...]:
    """All trials, one after the other, the first after a second in which the circuit settles.

    Raises:
        DomainError: A phase has no trials, or a trial is too short for what it holds.
        UnknownName: Its US is unknown.
    """
    found: list[Trial] = []
    for phase in phases:
        asked = f"Phase(name={phase.name!r}, ...)"
        if phase.us not in REINFORCED:
            raise UnknownName.among(f"{asked}: us={phase.us!r}", phase.us, REINFORCED)
        if phase.trials < 1 or phase.probes < 0 or phase.probes == 1:
            raise DomainError(
                f"{asked}: trials={phase.trials}, probes={phase.probes}. There is at least one"
                " trial, and every trial a probe is no training. Write trials=80, probes=5, or"
                " us='none' for the CS alone."
            )
        interval = time_of(f"{asked}: the interval", phase.interval)
        over = onset + interval + US_LENGTH
        free = (over + AFTER, length - US_LENGTH) if phase.us == "unpaired" else (over, length)
        if onset < BEFORE or free[0] >= free[1]:
            raise DomainError(
                f"{asked}: a trial of {length:g} s with the CS from {onset:g} to {over:g} s leaves"
                f" no room. The baseline needs {BEFORE:g} s before the CS, and an unpaired US"
                f" {AFTER + US_LENGTH:g} s after it. Write length={over + 2 * AFTER:.2g}*second."
            )
        for k in range(phase.trials):
            start = SETTLE + len(found) * length
            us = {"paired": start + onset + interval, "none": np.nan,
                  "unpaired": start + rng.uniform(*free)}[phase.us]  # fmt: skip
            probe = phase.probes and k % phase.probes == phase.probes - 1
            us = np.nan if probe else float(us)
            found.append(Trial(phase.name, start, start + onset, interval, us))
    if not found:
        raise DomainError("eyeblink_conditioning(phases=()): there is no trial. Write a Phase.")
    return tuple(found)


def fibres(circuit: Circuit, extent: Any = None) -> Array:
    """Mossy fibres inside of an ellipse around the middle.

    Raises:
        DomainError: There is none, or the extent is not two lengths.
    """
    given = circuit.size if extent is None else extent
    if np.size(given) != 2:
        raise DomainError(
            f"eyeblink_conditioning(extent={extent}): an ellipse has two axes, along and across the"
            " parallel fibres. Write extent=(100, 50)*um."
        )
    axes = circuit.size if extent is None else si(extent, METRE, "the extent of the CS")
    apart = circuit.positions["mossy"][:, :2] - np.asarray(circuit.size) / 2
    found = np.flatnonzero(((apart / (np.asarray(axes) / 2)) ** 2).sum(1) <= 1)
    if not len(found):
        raise DomainError(
            f"eyeblink_conditioning(extent={extent}): no mossy fibre lies inside of this ellipse"
            " around the middle. Write longer axes, like extent=(100, 50)*um."
        )
    return found


def tone(
    circuit: Circuit, trials: Sequence[Trial], chosen: Array, rate: float, active: float,
    background: float, end: float, seed: int,
) -> Trains:  # fmt: skip
    """Trains of the mossy fibres: the background, and one pattern in every CS.

    Raises:
        DomainError: The share of active slots is none.
    """
    if not 0 < active <= 1:
        raise DomainError(
            f"eyeblink_conditioning(active={active}): it is the share of the fibres that"
            " fire in a slot. Write active=0.25, or 1.0 for all."
        )
    dt, everyone, rng = circuit.dt, np.arange(circuit.counts["mossy"]), generator(seed, "tone")
    longest = max(trial.interval for trial in trials) + US_LENGTH
    number = max(round(active * len(chosen)), 1)
    bursts = [
        poisson(rng.permutation(chosen)[:number], rate, (at, at + SLOT), dt, rng)
        for at in map(float, np.arange(0.0, longest, SLOT))
    ]
    pattern = together(*bursts, dt=dt)
    parts = [poisson(everyone, background, (0.0, end), dt, generator(seed, "mossy background"))]
    for trial in trials:
        last = np.searchsorted(pattern.t, trial.interval + US_LENGTH - dt / 2)
        parts.append(Trains(pattern.i[:last], pattern.t[:last] + trial.onset))
    return together(*parts, dt=dt)


def puff(
    circuit: Circuit, trials: Sequence[Trial], spontaneous: float, end: float, seed: int
) -> Trains:
    """Trains of what excites the olive: all of it at random, and the first zone in every US."""
    number, dt = circuit.counts["olive"], circuit.dt
    hit = np.flatnonzero(circuit.zone["olive"] == 0)
    onsets = np.array([trial.us for trial in trials if not trial.alone])
    times = (onsets[:, None] + AGAIN * np.arange(NUMBER)).ravel()
    burst = Trains(np.tile(hit, len(times)), np.repeat(times, len(hit)))
    rng = generator(seed, "spontaneous climbing fibres")
    return together(poisson(np.arange(number), spontaneous, (0.0, end), dt, rng), burst, dt=dt)


# ---- what is read


def conditioning(
    circuit: Circuit,
    simulation: Simulation,
    trials: tuple[Trial, ...],
    length: float,
    chosen: Array,
) -> Conditioning:
    """Read the responses of a simulation."""
    steps, zone = round(length / BIN), circuit.zone["dcn_p"]
    spikes, duration = simulation.spikes["dcn_p"], simulation.duration
    own = _trials(closure(spikes, duration, zone == 0), trials, steps)
    lid = (
        own
        if circuit.zones == 1
        else own - _trials(closure(spikes, duration, zone > 0), trials, steps)
    )
    windows = [(t.onset - t.start, t.interval) for t in trials]
    quiet, rest = (
        np.stack([_part(row, at - BEFORE, at) for row, (at, _) in zip(rows, windows, strict=True)])
        for rows in (lid, own)
    )
    means = quiet.mean(1)
    baseline = np.array([means[max(k + 1 - TRIALS, 0) : k + 1].mean() for k in range(len(means))])
    deviation = float(np.sqrt(((quiet - baseline[:, None]) ** 2).mean()))
    lid = lid - unlearned(lid - baseline[:, None], trials)
    threshold = baseline + ABOVE * rest.mean() + DEVIATIONS * deviation
    highest = [_part(row, at, at + gap).max() for row, (at, gap) in zip(lid, windows, strict=True)]
    peak = [
        np.argmax(_part(row, at, at + gap + AFTER)) * BIN if trial.alone else np.nan
        for row, (at, gap), trial in zip(lid, windows, trials, strict=True)
    ]
    return Conditioning(
        circuit=circuit, trials=trials, length=length, chosen=chosen, lid=lid, baseline=baseline,
        threshold=threshold, responded=np.array(highest) > threshold, peak=np.array(peak),
        simulation=simulation,
    )  # fmt: skip


def unlearned(
    above: Float[np.ndarray, "trial time"], trials: Sequence[Trial]
) -> Float[np.ndarray, "trial time"]:
    """Mean lid above its baseline in the trials of a CS of the same length before the first US."""
    found, first = np.zeros_like(above), next((k for k, t in enumerate(trials) if not t.alone), 0)
    for interval in {trial.interval for trial in trials[:first]}:
        same = np.array([trial.interval == interval for trial in trials])
        found[same] = above[:first][same[:first]].mean(0)
    found[:, : round((trials[0].onset - trials[0].start) / BIN)] = 0.0
    return found


def closure(
    spikes: Spikes, duration: float, cells: Bool[np.ndarray, " neuron"]
) -> Float[np.ndarray, " time"]:
    """Density of some cells' spikes under a Gaussian, then the mean of its past, each 1 ms."""
    number, t = round(duration / BIN), spikes.t[cells[spikes.index]]
    counts = np.bincount(
        np.minimum((t / BIN + 1e-6).astype(np.int64), number - 1), minlength=number
    )
    from scipy.ndimage import gaussian_filter1d

    density = gaussian_filter1d(counts / (BIN * cells.sum()), WIDTH / BIN)
    past = round(LID / BIN)
    total = np.cumsum(np.concatenate([np.full(past, density[:past].mean()), density]))
    return (total[past:] - total[:-past]) / past


def _trials(lid: Array, trials: Sequence[Trial], steps: int) -> Array:
    return np.stack([lid[round(trial.start / BIN) :][:steps] for trial in trials])


def _part(row: Array, first: float, last: float) -> Array:
    return row[round(first / BIN) : round(last / BIN)]
