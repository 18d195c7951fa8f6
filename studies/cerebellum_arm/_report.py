"""What `cerebellum_arm` found, as a table of trials, figures and metrics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from mirrorneuron import Simulation
from mirrorneuron.analysis import Table
from mirrorneuron.analysis.plot import BAD, EXCITATORY, GOOD, REFERENCE

from .._contracts import Metric, Result
from .._kit.figure import draw_all
from .._kit.file import write_csv
from .._kit.report import publish
from ._loop import LEARNING, Loop

LEARNT, STILL, CUT = "plasticity", "no plasticity", "output cut"
NAMES = (LEARNT, STILL, CUT)
COLOR = {LEARNT: EXCITATORY, STILL: "0.45", CUT: "#E69F00"}
ZONES = ("flexor", "extensor")
ZONE_COLOR = (EXCITATORY, BAD)
OLIVE = (0.5, 2.0)  # rate of an olivary cell at work [Hz]
GROUPS = ("purkinje", "dcn_p", "olive")
Trials = Float[np.ndarray, "trial time"]
Each = Float[np.ndarray, " trial"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one network did.

    Arguments:
        name: With plasticity, without, or with the output cut.
        loop: The network.
        simulation: Its run; angle and nuclear rates are sampled.
    """

    name: str
    loop: Loop
    simulation: Simulation

    @cached_property
    def trials(self) -> int:
        """How many there are."""
        return round(self.simulation.duration / self.loop.period)

    @cached_property
    def error(self) -> Trials:
        """How far the plan is ahead of the arm [deg]."""
        t = self.simulation.t
        plan = self.loop.amplitude * np.sin(2 * np.pi * t / self.loop.period)
        return np.degrees(plan - self.simulation["joints.angle"][:, 0]).reshape(self.trials, -1)

    @property
    def rms(self) -> Each:
        """Of each trial [deg]."""
        return np.sqrt(np.square(self.error).mean(1))

    @cached_property
    def nuclei(self) -> Float[np.ndarray, "trial time zone"]:
        """Filtered rates of the nuclear cells of both zones [Hz]."""
        return self.simulation["nuclei.rate"].reshape(self.trials, -1, 2)

    def rates(self, name: str, bins: int = 1) -> Float[np.ndarray, "trial bin zone"]:
        """Mean rate of a group's cells of each zone, in parts of each trial [Hz]."""
        spikes, zone = self.simulation.spikes[name], self.loop.circuit.zone[name]
        part = np.floor(spikes.t / self.loop.period * bins + 1e-9).astype(int)
        counts = np.bincount(part * 2 + zone[spikes.index], minlength=self.trials * bins * 2)
        cells = np.bincount(zone, minlength=2) * self.loop.period / bins
        return counts.reshape(self.trials, bins, 2) / cells

    @property
    def weights(self) -> Float[np.ndarray, " synapse"]:
        """Weights of parallel fibres at the end over those at the start."""
        start = self.loop.circuit.wiring[LEARNING].weight
        return self.simulation.final[f"{LEARNING}.w"] / start


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All runs, by name and then by seed.

    Arguments:
        runs: By name, a run of each seed.
        judged: Trials at the end of the field that count.
        after: First trials after it that count.
        window: Trials over which the RMS error is taken for the number of trials to half.
    """

    runs: Mapping[str, Sequence[Run]]
    judged: int
    after: int
    window: int = 3

    @property
    def seeds(self) -> range:
        """Numbers of the networks."""
        return range(len(self.runs[LEARNT]))

    def late(self, run: Run) -> slice:
        """The last trials of the field."""
        return slice(run.loop.stop - self.judged, run.loop.stop)

    def early(self, run: Run) -> slice:
        """Trials before the field; the first, in which filters fill, does not count."""
        return slice(1, run.loop.start)

    def stages(self, run: Run) -> dict[str, slice]:
        """Trials that are drawn."""
        start, stop = run.loop.start, run.loop.stop
        return {
            "before": self.early(run),
            "field, first": slice(start, start + 2),
            "field, last": self.late(run),
            "after, first": slice(stop, stop + self.after),
        }

    def rms(self, run: Run, trials: slice) -> float:
        """RMS error over some trials [deg]."""
        return float(np.sqrt(np.square(run.error[trials]).mean()))

    def direction(self, seed: int) -> Float[np.ndarray, " time"]:
        """What the field does to a network without plasticity, of RMS 1."""
        still = self.runs[STILL][seed]
        found = still.error[self.late(still)].mean(0) - still.error[self.early(still)].mean(0)
        return found / np.sqrt(np.square(found).mean())

    def side(self, run: Run, seed: int) -> Each:
        """Projection of each trial's error on that, less that of trials before the field [deg]."""
        along = (run.error * self.direction(seed)).mean(1)
        return along - along[self.early(run)].mean()

    def ratios(self, name: str) -> list[float]:
        """Late RMS error over that without plasticity."""
        still = [self.rms(run, self.late(run)) for run in self.runs[STILL]]
        return [
            self.rms(run, self.late(run)) / s for run, s in zip(self.runs[name], still, strict=True)
        ]

    def to_half(self, seed: int) -> float:
        """Trials of the field after which the RMS error is half of that without plasticity."""
        run, still = self.runs[LEARNT][seed], self.runs[STILL][seed]
        half = self.rms(still, self.late(still)) / 2
        for last in range(run.loop.start + self.window, run.loop.stop + 1):
            if self.rms(run, slice(last - self.window, last)) < half:
                return float(last - run.loop.start)
        return float("nan")

    def aftereffect(self, name: str, seed: int) -> float:
        """Mean side of the first trials after the field [deg]."""
        run = self.runs[name][seed]
        return float(self.side(run, seed)[run.loop.stop : run.loop.stop + self.after].mean())

    def olive(self, seed: int) -> float:
        """Rate of the olive in twice as many trials at the end of the field [Hz]."""
        run = self.runs[LEARNT][seed]
        first = max(run.loop.start, run.loop.stop - 2 * self.judged)
        return float(run.rates("olive")[first : run.loop.stop].mean())


def report(out: Path, found: Findings, about: str) -> Result:
    """Figures, tables and metrics."""
    drawings = (draw_learning, draw_trajectories, draw_rates, draw_weights)
    figures = draw_all(out, found, drawings, styled=True)
    write_csv(out / "trials.csv", table_of_trials(found))
    title = "A cerebellum corrects an arm in a force field"
    return publish(out, title, metrics(found), [seed_table(found)], figures, about)


def metrics(found: Findings) -> dict[str, Metric]:
    """Figures by name: means over networks, with the worst beside."""
    runs, result = found.runs, dict[str, Metric]()
    for name in NAMES:
        before = [found.rms(run, found.early(run)) for run in runs[name]]
        late = [found.rms(run, found.late(run)) for run in runs[name]]
        result[f"rms_before_{key(name)}"] = Metric(float(np.mean(before)), "deg")
        result[f"rms_late_{key(name)}"] = Metric(float(np.mean(late)), "deg")
    for name in (LEARNT, CUT):
        values, aim = found.ratios(name), 0.5 if name == LEARNT else None
        for what, value in (("", np.mean(values)), ("_worst", np.max(values))):
            result[f"ratio{what}_{key(name)}"] = Metric.below(value, "1", aim)
    needed = [found.to_half(k) for k in found.seeds]
    field = float(runs[LEARNT][0].loop.stop - runs[LEARNT][0].loop.start)
    for what, value in (("", np.mean(needed)), ("_worst", np.max(needed))):
        result[f"trials_to_half{what}"] = Metric(float(value), "1", field, bool(value <= field))
    for name in NAMES:
        sides = [found.aftereffect(name, k) for k in found.seeds]
        aim = 0.0 if name == LEARNT else None
        for what, value in (("", np.mean(sides)), ("_worst", np.max(sides))):
            result[f"aftereffect{what}_{key(name)}"] = Metric.below(value, "deg", aim)
    olive = np.array([found.olive(k) for k in found.seeds])
    for what, value in (("", olive.mean()), ("_least", olive.min()), ("_most", olive.max())):
        hit = bool(OLIVE[0] <= value <= OLIVE[1])
        result[f"olive{what}"] = Metric(float(value), "Hz", 1.0, hit)
    for name in ("purkinje", "dcn_p"):
        for when, trials in (("before", found.early), ("late", found.late)):
            rates = [run.rates(name)[trials(run)].mean() for run in runs[LEARNT]]
            result[f"rate_{name}_{when}"] = Metric(float(np.mean(rates)), "Hz")
    return result


def key(name: str) -> str:
    """A name as part of a metric's."""
    return name.replace(" ", "_")


def seed_table(found: Findings) -> Table:
    """One row a network."""
    rows = []
    for k in found.seeds:
        learnt, still, cut = (found.runs[name][k] for name in NAMES)
        rows.append((
            str(learnt.loop.seed), f"{found.rms(learnt, found.early(learnt)):.2f}",
            *(f"{found.rms(run, found.late(run)):.2f}" for run in (still, learnt, cut)),
            f"{found.ratios(LEARNT)[k]:.2f}", f"{found.to_half(k):.0f}",
            f"{found.aftereffect(LEARNT, k):+.2f}", f"{found.aftereffect(STILL, k):+.2f}",
            f"{found.olive(k):.2f}",
        ))  # fmt: skip
    columns = (
        "seed", "before [deg]", "no plasticity", "plasticity", "output cut", "ratio",
        "trials to half", "after-effect [deg]", "without", "olive [Hz]",
    )  # fmt: skip
    return Table("RMS error late in the field, and what follows", columns, tuple(rows))


def table_of_trials(found: Findings) -> Iterator[Sequence[Any]]:
    """Every trial of every run."""
    zones = [f"{name}_{zone}_hz" for name in GROUPS for zone in ZONES]
    yield ["run", "seed", "trial", "field", "rms_deg", "side_deg", *zones]
    for name in NAMES:
        for k, run in enumerate(found.runs[name]):
            rates = np.concatenate([run.rates(group)[:, 0] for group in GROUPS], axis=1)
            rows = np.column_stack([run.rms, found.side(run, k), rates])
            for trial, values in enumerate(rows):
                field = int(run.loop.start <= trial < run.loop.stop)
                yield [name, run.loop.seed, trial, field, *(f"{value:.4f}" for value in values)]


# ---- figures


def draw_learning(found: Findings) -> Figure:
    """Error of every trial: RMS, and its side, the projection on what the field does.

    Thin: each network, thick: mean. The field acts in the grey trials.
    """
    figure, axes = plt.subplots(2, 1, figsize=(7.2, 5.2), sharex=True, layout="constrained")
    loop = found.runs[LEARNT][0].loop
    for name in NAMES:
        runs = found.runs[name]
        sides = [found.side(run, k) for k, run in enumerate(runs)]
        for ax, values in zip(axes, ([run.rms for run in runs], sides), strict=True):
            shown = np.array(values).T
            trial = where(runs[0], loop, len(shown))
            if name == LEARNT:
                ax.plot(trial, shown, color=COLOR[name], linewidth=0.6, alpha=0.5)
            for part in (slice(None, runs[0].loop.stop), slice(runs[0].loop.stop, None)):
                ax.plot(trial[part], shown.mean(1)[part], color=COLOR[name], linewidth=1.8,
                        label=None if part.start else name,
                        marker="" if name == LEARNT else ".")  # fmt: skip
    for ax in axes:
        ax.axvspan(loop.start - 0.5, loop.stop - 0.5, color="0.93", zorder=0)
    axes[1].axhline(0, color="0.6", linewidth=0.8, zorder=1)
    axes[0].set(ylabel="RMS error (deg)", ylim=(0, None))
    axes[1].set(ylabel="side of the error (deg)", xlabel="trial", xlim=(0, None))
    axes[0].legend(loc="upper center")
    return figure


def where(run: Run, loop: Loop, trials: int) -> Each:
    """Trials of a shorter run, moved so that its field ends when that of another does."""
    trial = np.arange(trials) * 1.0
    trial[run.loop.start :] += loop.start - run.loop.start
    late = trial >= run.loop.stop + loop.start - run.loop.start
    trial[late] += (loop.stop - loop.start) - (run.loop.stop - run.loop.start)
    return trial


def draw_trajectories(found: Findings) -> Figure:
    """Error within a trial of the first network.

    Before, in the first and last trials of the field, and in the first ones without it.
    """
    run, still = found.runs[LEARNT][0], found.runs[STILL][0]
    loop = run.loop
    shown = found.stages(run)
    figure, axes = plt.subplots(
        2, len(shown), figsize=(9.6, 4.2), sharex=True, sharey="row", layout="constrained"
    )
    t = np.arange(run.error.shape[1]) * loop.period / run.error.shape[1]
    plan = np.degrees(loop.amplitude * np.sin(2 * np.pi * t / loop.period))
    for (top, bottom), (title, trials) in zip(axes.T, shown.items(), strict=True):
        lines = {STILL: still.error[found.stages(still)[title]], LEARNT: run.error[trials]}
        top.plot(t, plan, color=REFERENCE, linewidth=0.9, linestyle="--", label="plan")
        bottom.axhline(0, color="0.8", linewidth=0.8)
        for name, error in lines.items():
            top.plot(t, plan - error.mean(0), color=COLOR[name], linewidth=1.2, label=name)
            bottom.plot(t, error.T, color=COLOR[name], linewidth=0.4, alpha=0.5)
            bottom.plot(t, error.mean(0), color=COLOR[name], linewidth=1.5)
        top.set_title(title, fontsize=9)
        bottom.set(xlabel="time (s)", xlim=(0, loop.period))
    axes[0, 0].set_ylabel("angle (deg)")
    axes[1, 0].set_ylabel("error (deg)")
    axes[0, 0].legend(loc="lower left", fontsize=7)
    return figure


def draw_rates(found: Findings) -> Figure:
    """Rates by zone.

    Top: within a trial, before the field (thin) and at its end (thick), mean over networks. Bottom:
    of the olive, moving mean over a few trials and mean over networks; green: where it is to be.
    """
    runs = found.runs[LEARNT]
    loop = runs[0].loop
    figure = plt.figure(figsize=(9.6, 5.0), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=[1.2, 1])
    titles = {"purkinje": "Purkinje cells", "dcn_p": "nuclear cells", "olive": "olive"}
    for column, (name, title) in enumerate(titles.items()):
        ax = figure.add_subplot(grid[0, column])
        bins = 10 if name == "olive" else 20
        centre = (np.arange(bins) + 0.5) * loop.period / bins
        for zone, label in enumerate(ZONES):
            for trials, width in ((found.early, 0.9), (found.late, 2.0)):
                rate = np.mean([r.rates(name, bins)[trials(r)].mean(0) for r in runs], axis=0)
                ax.plot(centre, rate[:, zone], color=ZONE_COLOR[zone], linewidth=width,
                        label=label if width > 1 else None)  # fmt: skip
        ax.set_title(title, fontsize=9)
        ax.set(xlabel="time in trial (s)", xlim=(0, loop.period))
        if column == 0:
            ax.set_ylabel("rate (Hz)")
            ax.legend(fontsize=7)
    ax = figure.add_subplot(grid[1, :])
    ax.axvspan(loop.start - 0.5, loop.stop - 0.5, color="0.93", zorder=0)
    ax.axhspan(*OLIVE, color=GOOD, alpha=0.12, zorder=0)
    for zone, label in enumerate(ZONES):
        rate = np.mean([run.rates("olive")[:, 0, zone] for run in runs], axis=0)
        mean = np.convolve(rate, np.full(found.judged, 1 / found.judged), "valid")
        ax.plot(np.arange(len(mean)) + (found.judged - 1) / 2, mean, color=ZONE_COLOR[zone],
                label=label)  # fmt: skip
    ax.set(xlabel="trial", ylabel="olive (Hz)", xlim=(0, None), ylim=(0, None))
    return figure


def draw_weights(found: Findings) -> Figure:
    """Weights of parallel fibres at the end over those at the start.

    Left: all synapses of all networks, by zone. Right: parallel fibres that both zones have, mean
    over cells.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
    top = max(float(np.quantile(run.weights, 0.999)) for run in found.runs[LEARNT])
    edges = np.linspace(0, max(top, 1.5), 61)
    for zone, label in enumerate(ZONES):
        values = np.concatenate([of_zone(run, zone)[1] for run in found.runs[LEARNT]])
        share = np.histogram(np.clip(values, 0, edges[-1]), edges)[0] / len(values)
        left.stairs(share, edges, color=ZONE_COLOR[zone], label=label)
    left.axvline(1, color="0.6", linewidth=0.8, linestyle="--")
    left.set(xlabel="weight after / before", ylabel="share of synapses", xlim=(0, edges[-1]))
    left.legend(fontsize=7)
    both = np.concatenate([pairs(run) for run in found.runs[LEARNT]], axis=1)
    some = np.random.default_rng(0).permutation(both.shape[1])[:4000]
    right.plot(*both[:, some], ".", color=REFERENCE, markersize=2, alpha=0.3, rasterized=True)
    right.axhline(1, color="0.6", linewidth=0.8, linestyle="--")
    right.axvline(1, color="0.6", linewidth=0.8, linestyle="--")
    right.set(xlabel="in the zone of the flexor", ylabel="in that of the extensor",
              xlim=(0, edges[-1]), ylim=(0, edges[-1]), aspect="equal")  # fmt: skip
    return figure


def of_zone(run: Run, zone: int) -> tuple[Float[np.ndarray, " synapse"], ...]:
    """Parallel fibre and weight of each synapse on Purkinje cells of a zone."""
    wires = run.loop.circuit.wiring[LEARNING]
    inside = run.loop.circuit.zone["purkinje"][wires.j] == zone
    return wires.i[inside].astype(float), run.weights[inside]


def pairs(run: Run) -> Float[np.ndarray, "zone pre"]:
    """Mean weight in both zones of every parallel fibre that both have."""
    fibres = run.loop.circuit.counts["granule"]
    means = []
    for zone in range(2):
        i, weight = of_zone(run, zone)
        number = np.bincount(i.astype(int), minlength=fibres)
        total = np.bincount(i.astype(int), weight, minlength=fibres)
        means.append(np.where(number > 0, total / np.maximum(number, 1), np.nan))
    both = np.array(means)
    return both[:, np.isfinite(both).all(0)]
