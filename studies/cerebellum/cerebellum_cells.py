r"""Single cells of the cerebellum against the numbers of their sources.

Five questions, answered by Brian2's C++ code: do the E-GLIF cells fire spontaneously at the
published rates, and with which sign of the leak; does their rate grow with current as published;
does the Purkinje cell pause after a complex spike; does the olive oscillate below threshold,
without spikes unless there is noise; and do gap junctions synchronise olivary cells?

Protocols: a rest of `rest`; then, for cells with a published curve, steps of current of `step` with
pauses of the same length. The rate of a step is the inverse of its first interval, and the slope is
that of the line through all steps but the first. Where silence is published, nine of ten cells have
to be silent: about once in a thousand seconds an olivary cell starts by chance and goes on at 10
Hz. Olives run for `olive` with independent noise.

Source: Geminiani et al. 2019, doi:10.3389/fncom.2019.00035; De Schepper et al. 2022,
doi:10.1038/s42003-022-04213-y, whose published code tests the rates and slopes that are the targets
here; De Gruijl et al. 2012, doi:10.1371/journal.pcbi.1002814.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import brian2
import matplotlib.pyplot as plt
import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    cm,
    ms,
    msiemens,
    mV,
    nA,
    second,
    uA,
)
from jaxtyping import Float
from matplotlib.figure import Figure

from mirrorneuron.analysis import (
    Oscillation,
    SpikeTrains,
    coupling_coefficient,
    oscillation,
    phase_coherence,
)
from mirrorneuron.analysis.plot import BAD, EXCITATORY, GOOD, INHIBITORY, REFERENCE
from mirrorneuron.bio import cells, neurons
from mirrorneuron.bio._quantity import evaluate
from mirrorneuron.bio.cells import Claim
from mirrorneuron.bio.neurons.inferior_olive import gap_junctions
from mirrorneuron.bio.recording import Simulation
from mirrorneuron.bio.simulate import simulate

from .._contracts import Metric, Result, Study
from .._kit import eglif
from .._kit.eglif import PER_PA, Measured, Protocol
from .._kit.figure import around, draw_all, draw_around, spaced, trains
from .._kit.report import publish, verdicts

EGLIF = cells["geminiani"].every()
SIGNS = {"plus": "1", "minus": "-1"}  # of the leak
DENSITY, CONDUCTANCE = uA / cm**2, msiemens / cm**2
SAMPLE = 1e-3
COUPLINGS = (0.0, 0.005, 0.01, 0.02, 0.05)  # mS/cm²
LEVELS = (0.5, 0.75, 1.1, 1.2)  # g_CaL of cells without noise, mS/cm²
FIBRE = 0.5  # time between two complex spikes [s]
DRIVE = """
w : 1 (constant)
own : amp (shared, constant)
I_post = w*(I_pre + own)/5 : amp (summed)
"""
PURKINJE = {"z_plus": 63.0, "z_minus": 86.0}  # rates without complex spikes, of the source [Hz]


@dataclass(frozen=True)
class CerebellumCells(Study):
    """Settings: how long and with how many cells.

    Arguments:
        rest: Time without current, in which rates are taken [s].
        step: Length of a step of current, and of the time between two [s].
        copies: E-GLIF cells of each kind, which differ in their random numbers.
        many: The same for cells that get steps of current, of which one interval each counts.
        olives: Olivary cells in each group.
        olive: How long olivary and AdEx cells run [s].
        purkinje: AdEx Purkinje cells of each zone, half of them with complex spikes.
    """

    title = "Single cells of the cerebellum against published rates and curves"
    rest: float = 10.0
    step: float = 1.0
    copies: int = 20
    many: int = 200
    olives: int = 40
    olive: float = 6.0
    purkinje: int = 40

    def quick(self) -> "CerebellumCells":
        """Shorter and with fewer cells; rates are rounder then."""
        return CerebellumCells(
            rest=4.0, copies=4, many=20, olives=12, olive=3.0, purkinje=10, seed=self.seed
        )

    def run(self, out: Path, progress: bool = True, resume: bool = False) -> Result:
        """Two simulations, of E-GLIF cells and of the others; it is too short to be resumed."""
        measured = self.protocol.measure(self.seed, progress)
        loop_run = simulate(
            Loop(self).build, self.olive * second, "cpp", ["olive.v", "pairs.v"],
            interval=SAMPLE * second, seed=self.seed, namespace={},
            report="text" if progress else None,
        )  # fmt: skip
        return report_on(out, Found(self, measured, loop_run))

    @property
    def protocol(self) -> Protocol:
        """E-GLIF cells of every kind and state, with both signs of the leak."""
        kinds: dict[str, eglif.Kind] = {}
        for name, cell in EGLIF.items():
            claim = cell.claims.get("", Claim())
            for word, sign in SIGNS.items():
                signed = replace(cell, values={**cell.values, "leak_sign": sign})
                size = self.many if word == "plus" and claim.slope else self.copies
                kinds[row_of(name, word)] = eglif.Kind(signed, claim, size)
        return Protocol(kinds, self.rest, self.step)


def row_of(name: str, sign: str) -> str:
    """Name of a kind with a sign of the leak."""
    return f"{name} {sign}"


# ---- the networks


@dataclass(frozen=True)
class Loop:
    """Olivary cells with and without gap junctions, pairs of them, and AdEx Purkinje cells."""

    study: CerebellumCells

    def build(self) -> Network:
        """All of them, without connections between the kinds."""
        brian2.defaultclock.dt = evaluate(cells["olivocerebellar_loop"]["olive"].dt)
        olive = self._olive()
        return Network(olive, self._junctions(olive), self._pairs(), self._purkinje())

    def _olive(self) -> NeuronGroup:
        n = self.study.olives * len(COUPLINGS)
        noisy = np.arange(n + len(LEVELS)) < n
        rng = np.random.default_rng(self.study.seed)
        start = np.where(noisy, rng.normal(-60, 3, len(noisy)), -60.0) * mV
        return neurons["inferior_olive"].group(
            len(noisy), name="olive", v=start, v_d=start, v_a=start,
            g_CaL=np.concatenate([np.full(n, 1.4), LEVELS]) * CONDUCTANCE,
            mu=np.where(noisy, -0.3, 0.0) * DENSITY, sigma=np.where(noisy, 0.7, 0.0) * DENSITY,
        )  # fmt: skip

    def _junctions(self, olive: NeuronGroup) -> Synapses:
        """Ten neighbours each, on a ring."""
        n = self.study.olives
        ring = np.arange(n)
        near = [(ring, (ring + k) % n) for k in range(1, 6)]
        i, j = (np.concatenate(side) for side in zip(*near, strict=True))
        coupled = [(k, g) for k, g in enumerate(COUPLINGS) if g > 0]
        return gap_junctions(
            olive,
            np.concatenate([i + n * k for k, _ in coupled]),
            np.concatenate([j + n * k for k, _ in coupled]),
            np.repeat([g for _, g in coupled], len(i)) * CONDUCTANCE,
            name="junctions",
        )

    def _pairs(self) -> list[NeuronGroup | Synapses]:
        """Quiet pairs: neither, the first or the second of each gets a current."""
        given = [g for g in COUPLINGS if g > 0]
        model = neurons["inferior_olive"].variant("quiet")
        area = evaluate(model.parameters["area"])
        push = np.tile([0, 0, 1, 0, 0, 1], len(given)) * -0.5 * DENSITY * area
        pairs = model.group(len(push), name="pairs", I=push)
        first = np.arange(0, len(push), 2)
        g_c = np.repeat(given, 3) * CONDUCTANCE
        return [pairs, gap_junctions(pairs, first, first + 1, g_c, name="pair_junctions")]

    def _purkinje(self) -> list[NeuronGroup | Synapses | SpikeGeneratorGroup]:
        """Two zones, driven by five currents that wander, half of the cells with complex spikes."""
        n = self.study.purkinje
        rng = np.random.default_rng(self.study.seed)
        times = np.arange(FIBRE, self.study.olive - 0.1, FIBRE)
        fibre = SpikeGeneratorGroup(1, np.zeros(len(times), int), times * second, name="fibre")
        bundles = NeuronGroup(
            5, "dI/dt = (1.3*nA - I)/(50*ms) + 0.25*nA*xi*(50*ms)**-0.5 : amp",
            method="euler", name="bundles", namespace={"nA": nA, "ms": ms},
        )  # fmt: skip
        bundles.I = 1.3 * nA
        made: list[NeuronGroup | Synapses | SpikeGeneratorGroup] = [fibre, bundles]
        for zone in PURKINJE:
            cell = cells["olivocerebellar_loop"]["purkinje"].state(zone)
            group = cell.group(n, name=zone)
            drive = Synapses(bundles, group, DRIVE, name=f"{zone}_drive")
            drive.connect()
            share = rng.uniform(0.2, 1.2, (5, n))
            drive.w = (5 * share / share.sum(axis=0)).ravel()
            drive.own = evaluate(cell.parameters["I"])
            struck = cell.connect(
                fibre, group, "climbing_fibre", i=np.zeros(n // 2, int), j=np.arange(n // 2),
                delay=2 * ms, name=f"{zone}_fibre",
            )  # fmt: skip
            made += [group, drive, struck]
        return made


# ---- what they say


@dataclass(frozen=True)
class Found:
    """Both simulations, read.

    Arguments:
        study: The settings.
        measured: What the E-GLIF cells of each kind and sign did.
        loop_run: Of the other cells.
    """

    study: CerebellumCells
    measured: Mapping[str, Measured]
    loop_run: Simulation

    @property
    def curves(self) -> dict[str, Measured]:
        """Cells of which a curve is published, with the sign +1."""
        plus = {name: self.measured[row_of(name, "plus")] for name in EGLIF}
        return {name: seen for name, seen in plus.items() if seen.slope is not None}

    @cached_property
    def olive_v(self) -> Float[np.ndarray, "time neuron"]:
        """Somatic potential after half a second, spikes clipped at -40 mV [V]."""
        return np.minimum(self.loop_run["olive.v"][round(0.5 / SAMPLE) :], -40e-3)

    def coupled(self, k: int) -> slice:
        """Olivary cells with the k-th conductance."""
        return slice(k * self.study.olives, (k + 1) * self.study.olives)

    @cached_property
    def coherence(self) -> list[float]:
        """Phase coherence with each conductance."""
        return [phase_coherence(self.olive_v[:, self.coupled(k)], SAMPLE) for k in self.every]

    @cached_property
    def pace(self) -> list[float]:
        """Median frequency with each conductance [Hz]."""
        found = (oscillation(self.olive_v[:, self.coupled(k)], SAMPLE) for k in self.every)
        return [float(np.median(o.frequency)) for o in found]

    @cached_property
    def olive_rates(self) -> list[float]:
        """Spikes with each conductance [Hz]."""
        counts = self.loop_run.spikes["olive"].counts / self.study.olive
        return [float(counts[self.coupled(k)].mean()) for k in self.every]

    @property
    def every(self) -> range:
        """Numbers of the conductances."""
        return range(len(COUPLINGS))

    @cached_property
    def silent(self) -> Oscillation:
        """Of cells without noise, by `LEVELS`."""
        return oscillation(self.olive_v[:, -len(LEVELS) :], SAMPLE)

    @property
    def silent_spikes(self) -> int:
        """Spikes of cells without noise."""
        return int(self.loop_run.spikes["olive"].counts[-len(LEVELS) :].sum())

    @cached_property
    def coefficients(self) -> Float[np.ndarray, "conductance direction"]:
        """Coupling coefficients of the pairs, there and back."""
        last = self.loop_run["pairs.v"][-1].reshape(-1, 3, 2)
        return np.array([
            [coupling_coefficient(still, first, 0)[1], coupling_coefficient(still, second, 1)[0]]
            for still, first, second in last
        ])  # fmt: skip

    def purkinje(self, zone: str) -> SpikeTrains:
        """Of the AdEx cells of a zone; the first half has complex spikes."""
        return trains(self.loop_run.spikes[zone], self.study.olive)

    def free(self, zone: str) -> SpikeTrains:
        """Of those without."""
        all_ = self.purkinje(zone)
        return SpikeTrains(all_.trains[self.study.purkinje // 2 :], all_.duration)

    def irregularity(self, zone: str) -> float:
        """Mean coefficient of variation without complex spikes."""
        return float(
            np.mean([np.std(d) / np.mean(d) for d in map(np.diff, self.free(zone).trains)])
        )

    @property
    def struck(self) -> Float[np.ndarray, " event"]:
        """Times at which complex spikes arrive [s]."""
        return np.arange(FIBRE, self.study.olive - 0.1, FIBRE) + 2e-3

    def pause(self, zone: str) -> float:
        """Mean interval around a complex spike, over the mean interval without."""
        around: list[float] = []
        for train in self.purkinje(zone).trains[: self.study.purkinje // 2]:
            after = np.searchsorted(train, self.struck)
            inside = (after > 0) & (after < len(train))
            around += list(train[after[inside]] - train[after[inside] - 1])
        usual = self.free(zone).intervals.mean()
        return float(np.mean(around) / usual)


def report_on(out: Path, found: Found) -> Result:
    """Metrics, table, figures and page."""
    metrics = figures_of(found)
    drawings = (draw_autorhythm, draw_curves, draw_olive, draw_pause)
    figures = draw_all(out, found, drawings)
    title, table = "Single cells of the cerebellum", verdicts(metrics)
    return publish(out, title, metrics, [table], figures, str(__doc__))


def figures_of(found: Found) -> dict[str, Metric]:
    """Every number with its target, where one is claimed."""
    return eglif_metrics(found) | olive_metrics(found) | purkinje_metrics(found)


def eglif_metrics(found: Found) -> dict[str, Metric]:
    """Rates with both signs of the leak, and slopes of curves."""
    metrics: dict[str, Metric] = {}
    for name, cell in EGLIF.items():
        claim, key = cell.claims.get(""), name.replace(" ", "_")
        target = claim.rate if claim else None
        for sign in SIGNS:
            seen = found.measured[row_of(name, sign)]
            rate = Metric(seen.rate, "Hz")
            if target and sign == "plus":
                rate = Metric.near(seen.rate, "Hz", target, 0.03 * target)
            metrics[f"rate_{key}_{sign}"] = rate
            if target == 0 and sign == "plus":
                metrics[f"silent_{key}_{sign}"] = Metric(seen.silent, "1", 1.0, seen.silent >= 0.9)
    for name, seen in found.curves.items():
        claim = EGLIF[name].claims[""]
        value, target = (seen.slope or 0.0) * PER_PA, (claim.slope or 0.0) * PER_PA
        slope = Metric.near(value, "Hz/pA", target, claim.tolerance * target)
        metrics[f"slope_{name.replace(' ', '_')}"] = slope
    return metrics


def olive_metrics(found: Found) -> dict[str, Metric]:
    """Oscillations without noise, and what gap junctions do with it."""
    metrics: dict[str, Metric] = {}
    for level, f, a in zip(LEVELS, found.silent.frequency, found.silent.amplitude, strict=True):
        if level > 0.5:
            metrics[f"olive_frequency_{level}"] = Metric(float(f), "Hz", 7.0, bool(4 <= f <= 10))
        millivolts = float(a) * 1e3
        hit = 5 <= millivolts <= 25 if level > 0.5 else millivolts < 1
        metrics[f"olive_amplitude_{level}"] = Metric(millivolts, "mV", None, bool(hit))
    metrics["olive_spikes_without_noise"] = Metric.near(found.silent_spikes, "1", 0.0, 0.0)
    for k, g in enumerate(COUPLINGS):
        rate = Metric(found.olive_rates[k], "Hz")
        if g > 0:
            rate = replace(rate, target=1.0, ok=bool(0.5 <= rate.value <= 2))
        metrics[f"olive_rate_{g}"] = rate
        metrics[f"olive_coherence_{g}"] = Metric(found.coherence[k], "1")
    rise = found.coherence[-1] - found.coherence[0]
    metrics["olive_coherence_rise"] = Metric.at_least(rise, "1", 0.4)
    shift = abs(found.pace[0] / found.pace[-1] - 1)
    metrics["olive_frequency_shift"] = Metric.below(shift, "1", 0.15)
    for (there, back), g in zip(found.coefficients, COUPLINGS[1:], strict=True):
        metrics[f"coupling_{g}"] = Metric(float(there), "1")
        metrics[f"coupling_symmetry_{g}"] = Metric.near(there / back, "1", 1.0, 0.2)
    return metrics


def purkinje_metrics(found: Found) -> dict[str, Metric]:
    """Rates without complex spikes, and pauses after them."""
    metrics: dict[str, Metric] = {}
    for zone, target in PURKINJE.items():
        rate = found.free(zone).counts.mean() / found.study.olive
        metrics[f"purkinje_rate_{zone}"] = Metric.near(rate, "Hz", target, 0.15 * target)
        metrics[f"purkinje_cv_{zone}"] = Metric(found.irregularity(zone), "1")
        metrics[f"purkinje_pause_{zone}"] = Metric.at_least(found.pause(zone), "1", 2.0)
    return metrics


# ---- figures


def draw_autorhythm(found: Found) -> Figure:
    """A second of every kind that claims a rate, and the rates with both signs of the leak."""
    claims = {name: cell.claims[""] for name, cell in EGLIF.items() if "" in cell.claims}
    seen = {name: found.measured[row_of(name, "plus")].trains for name in claims}
    dots = {
        label: (mark, {name: found.measured[row_of(name, sign)].rate for name in claims})
        for sign, label, mark in (
            ("plus", "sign +1", f"{EXCITATORY} o"), ("minus", "sign −1", f"{INHIBITORY} o")
        )
    }  # fmt: skip
    figure, rate = eglif.draw_rests(seen, claims, dots, "published", 4.8)
    rate.set_xlabel("rate (Hz)")
    rate.legend(loc="upper right")
    return figure


def draw_curves(found: Found) -> Figure:
    """Rate of the first interval over current, with the published slope."""
    figure, axes = plt.subplots(2, 4, figsize=(10, 4.8), layout="constrained")
    flat = list(axes.ravel())
    for ax, (name, seen) in zip(flat, found.curves.items(), strict=False):
        claim, rates = EGLIF[name].claims[""], {"found": (f"{EXCITATORY} o-", seen.curve)}
        eglif.draw_curve(ax, name, claim, seen.currents, rates, "published slope", 3.0)
        ax.set_ylim(0, seen.curve.max() * 1.12)
    eglif.label_curves(figure, axes, flat[len(found.curves) :], "rate (Hz)")
    flat[-1].legend(*flat[0].get_legend_handles_labels(), loc="center")
    return figure


def draw_olive(found: Found) -> Figure:
    """Traces without and with gap junctions, coherence, and coupling of pairs."""
    figure = plt.figure(figsize=(9.6, 5.4), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=[1.6, 1])
    v = found.loop_run["olive.v"] * 1e3
    stop = len(v)
    start = max(0, stop - round(1.5 / SAMPLE))
    t = np.arange(stop - start) * SAMPLE
    rows: Mapping[str, tuple[Float[np.ndarray, "time neuron"], str]] = {
        "no noise": (v[start:, -len(LEVELS) :], GOOD),
        "noise, uncoupled": (v[start:, found.coupled(0)][:, :5], BAD),
        "noise, coupled": (v[start:, found.coupled(len(COUPLINGS) - 1)][:, :5], EXCITATORY),
    }
    for row, (title, (traces, color)) in enumerate(rows.items()):
        ax = figure.add_subplot(grid[row, 0])
        ax.plot(t, traces, color=color, linewidth=0.9, alpha=0.8)
        ax.set_title(title, fontsize=9, loc="left")
        ax.set(ylabel="soma (mV)", xlim=(0, t[-1]))
        if row == 2:
            ax.set_xlabel("time (s)")
        else:
            ax.tick_params(labelbottom=False)
    order = figure.add_subplot(grid[:2, 1])
    order.plot(COUPLINGS, found.coherence, "o-", color=EXCITATORY)
    order.axhline(0.9 / np.sqrt(found.study.olives), color="0.6", linestyle="--", linewidth=1)
    order.annotate("no order", (COUPLINGS[-1], 0.9 / np.sqrt(found.study.olives)),
                   textcoords="offset points", xytext=(0, 4), ha="right", color="0.4",
                   fontsize=8)  # fmt: skip
    order.set(ylim=(0, 1), ylabel="phase coherence", xlabel="conductance of a junction (mS/cm²)")
    pairs = figure.add_subplot(grid[2, 1])
    pairs.plot(COUPLINGS[1:], found.coefficients[:, 0], "o-", color=REFERENCE, label="there")
    pairs.plot(COUPLINGS[1:], found.coefficients[:, 1], "x", color=BAD, label="back")
    pairs.set(ylim=(0, None), ylabel="coupling of a pair", xlabel="conductance (mS/cm²)")
    pairs.legend()
    return figure


def draw_pause(found: Found) -> Figure:
    """Spikes and rate around complex spikes."""
    figure, axes = plt.subplots(
        2, 2, figsize=(8.4, 4.6), sharex=True, height_ratios=[1.4, 1], layout="constrained"
    )
    edges = np.arange(-0.1, 0.2001, 0.005)
    for (raster, rate), zone in zip(axes.T, PURKINJE, strict=True):
        cells = found.purkinje(zone).trains[: found.study.purkinje // 2]
        aligned = around(cells, found.struck, edges[0], edges[-1])
        draw_around(raster, rate, aligned, edges, 60, 0.9)
        raster.set_title(f"AdEx Purkinje cells, {spaced(zone)}", fontsize=9)
        raster.set(ylim=(-0.5, min(len(aligned), 60) - 0.5))
        rate.set_xlabel("time from complex spike (ms)")
    axes[0, 0].set_ylabel("complex spike no.")
    axes[1, 0].set_ylabel("simple spikes (Hz)")
    return figure
