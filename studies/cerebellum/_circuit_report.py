"""Metrics, figures and page of the study of the cerebellum."""

from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirrorneuron.analysis.plot import EXCITATORY, GOOD, INHIBITORY
from mirrorneuron.bio import plasticity
from mirrorneuron.bio.circuits.anatomy import BASAL, PATHWAYS, POPULATIONS
from mirrorneuron.bio.recording import Spikes

from .._contracts import Metric, Result
from .._kit.figure import around, draw_all, draw_around, spaced
from .._kit.report import publish, verdicts
from ._found import Found
from ._rule import LAGS

INHIBITS = {"golgi", "purkinje", "basket", "stellate", "dcn_i"}
ORDER = {
    "awake": ("purkinje", "dcn_p", "basket", "stellate", "golgi", "granule"),
    "in vitro": ("purkinje", "basket", "stellate", "golgi", "granule"),
}
SHOWN = 60  # cells of a group in a raster
WINDOW = 0.5  # of a raster [s]


def report_on(out: Path, found: Found, about: str) -> Result:
    """Metrics, table, figures and page."""
    metrics = figures_of(found)
    drawings = (
        draw_rasters, draw_rates, draw_wiring, draw_step, draw_pause, draw_kernels, draw_drift
    )  # fmt: skip
    every = {path: path.stem for path in found.cells.figures} | draw_all(out, found, drawings)
    title, table = "A cerebellum against published numbers", verdicts(metrics, digits=4)
    return publish(out, title, metrics, [table], every, about)


# ---- metrics


def figures_of(found: Found) -> dict[str, Metric]:
    """Every figure with its target, where one is published or derived."""
    return {
        **found.cells.metrics,
        **wiring_of(found),
        **rates_of(found),
        **answers_of(found),
        **rules_of(found),
    }


def wiring_of(found: Found) -> dict[str, Metric]:
    """Numbers of cells, and of the sources of a target."""
    circuit, share = found.awake, found.study.scale
    metrics: dict[str, Metric] = {}
    for name, number in circuit.counts.items():
        target = POPULATIONS[name].reference * share
        allowed = max(0.02 * target, 1.0)
        metrics[f"count_{name}"] = Metric.near(number, "1", target, allowed)
    for name, wires in circuit.wiring.items():
        mean, sd = PATHWAYS[name].pairs
        degree = wires.convergence if name == "mossy_golgi" else wires.in_degree
        value = float(degree.mean())
        claimed = mean > 0 and share >= 1  # a fibre ends with a smaller circuit
        hit = abs(value - mean) <= max(2 * sd, 1e-9) if claimed else None
        metrics[f"sources_{name}"] = Metric(value, "1", mean if claimed else None, hit)
    return metrics


def rates_of(found: Found) -> dict[str, Metric]:
    """Rates at rest, of the cells that fired, and their order."""
    metrics: dict[str, Metric] = {}
    for condition, published in BASAL.items():
        key, rates = condition.replace(" ", "_"), found.rates(condition)
        mean = {name: float(np.mean([a.rate for a in every])) for name, every in rates.items()}
        for name, value in mean.items():
            target = float(published.get(name, (0.0, 0.0))[0])
            metrics[f"basal_{key}_{name}"] = Metric.near(value, "Hz", target, 0.3 * target)
        for name, every in rates.items():
            silent = float(np.mean([a.silent for a in every]))
            metrics[f"silent_{key}_{name}"] = Metric(silent, "1")
            cv = float(np.mean([a.cv for a in every]))
            if np.isfinite(cv):
                metrics[f"cv_{key}_{name}"] = Metric(cv, "1")
        order = ORDER[condition]
        pairs = sum(mean[a] > mean[b] for a, b in pairwise(order))
        most = len(order) - 1
        metrics[f"order_{key}"] = Metric(float(pairs), "1", float(most), pairs == most)
    return metrics


def answers_of(found: Found) -> dict[str, Metric]:
    """To a step of the mossy fibres, and to climbing fibres."""
    metrics: dict[str, Metric] = {}
    phases = found.step.activity
    for name in POPULATIONS:
        before, step, after = (phases[p][name].everyone for p in ("before", "step", "after"))
        metrics[f"step_{name}"] = Metric(step, "Hz")
        if before > 0:
            metrics[f"return_{name}"] = Metric(after / before, "1")
    for (number, step), pause in found.pauses.items():
        value, target = pause.pause / pause.interval, 2.0 if step else None
        name = f"pause_{_spikes(number)}{f' + {step:g} nA' if step else ''}"
        metrics[name.replace(" ", "_")] = Metric.at_least(value, "1", target)
    return metrics


def _spikes(number: int) -> str:
    return f"{number} spike{'s' if number > 1 else ''}"


def rules_of(found: Found) -> dict[str, Metric]:
    """Errors of kernels, and neutral rates."""
    metrics: dict[str, Metric] = {}
    for name, (changed, derived) in found.kernels.items():
        error = float(np.abs(changed - derived).max() / np.abs(derived).max())
        metrics[f"kernel_error_{name}"] = Metric(error, "1", 0.01, error <= 0.01)
    for name, drift in found.drifts.items():
        allowed = 0.1 * drift.neutral
        metrics[f"neutral_{name}"] = Metric.near(drift.crossing, "Hz", drift.neutral, allowed)
    return metrics


# ---- figures


def draw_rasters(found: Found) -> Figure:
    """The first circuit, by layer, in both conditions."""
    names = [name for name in POPULATIONS if name != "olive"]
    size = (10, 8.6)
    figure, axes = plt.subplots(len(names), 2, figsize=size, sharex=True, layout="constrained")
    for column, condition in enumerate(BASAL):
        run = found.rest(condition, 0)
        for ax, name in zip(axes[:, column], names, strict=True):
            stop = run.duration
            raster(ax, run.spikes[name], (max(0.0, stop - WINDOW), stop), name)
            if column == 0:
                ax.set_ylabel(spaced(name), rotation=0, ha="right", va="center")
        axes[0, column].set_title(condition, fontsize=10)
        axes[-1, column].set_xlabel("time (ms)")
    return figure


def raster(ax: Axes, spikes: Spikes, window: tuple[float, float], name: str) -> None:
    """Spikes of some cells of a group, evenly chosen."""
    chosen = np.unique(np.linspace(0, spikes.size - 1, SHOWN).astype(int))
    row = np.full(spikes.size, -1)
    row[chosen] = np.arange(len(chosen))
    inside = (spikes.t >= window[0]) & (spikes.t < window[1]) & (row[spikes.index] >= 0)
    color = INHIBITORY if name in INHIBITS else EXCITATORY
    times = (spikes.t[inside] - window[0]) * 1e3
    ax.plot(times, row[spikes.index[inside]], "|", color=color, markersize=2.2, markeredgewidth=0.7)
    ax.set(ylim=(-1, len(chosen)), xlim=(0, (window[1] - window[0]) * 1e3), yticks=[])


def draw_rates(found: Found) -> Figure:
    """Rates at rest, of every circuit, beside the published ones."""
    names = [name for name in POPULATIONS if name != "olive"]
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
    for ax, (condition, published) in zip(axes, BASAL.items(), strict=True):
        rates = found.rates(condition)
        for x, name in enumerate(names):
            mean, sd = published[name]
            ax.errorbar(x - 0.15, mean, sd, fmt="s", color="0.55", capsize=3, markersize=5,
                        label="published" if x == 0 else None)  # fmt: skip
            for k, found_ in enumerate(rates[name]):
                color = INHIBITORY if name in INHIBITS else EXCITATORY
                ax.errorbar(x + 0.1 + 0.12 * k, found_.rate, found_.sd, fmt="o", color=color,
                            markersize=3.5, linewidth=0.8)  # fmt: skip
        ax.set_xticks(range(len(names)), [spaced(n) for n in names], rotation=40)
        ax.set_title(f"{condition}, mean and SD over cells that fired", fontsize=9)
    axes[0].set_ylabel("rate (Hz)")
    axes[0].legend()
    return figure


def draw_wiring(found: Found) -> Figure:
    """Sources of a target beside those of the reconstruction."""
    figure, ax = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
    for name, wires in found.awake.wiring.items():
        mean, sd = PATHWAYS[name].pairs
        if not mean or not len(wires):
            continue
        degree = wires.convergence if name == "mossy_golgi" else wires.in_degree
        color = INHIBITORY if PATHWAYS[name].source in INHIBITS else EXCITATORY
        ax.errorbar(mean, degree.mean(), degree.std(), sd, "o", color=color, markersize=4,
                    linewidth=0.8)  # fmt: skip
        ax.annotate(name.replace("_", "–"), (mean, degree.mean()), textcoords="offset points",
                    xytext=(5, -8), fontsize=6.5, color="0.3")  # fmt: skip
    ax.plot([0.8, 3000], [0.8, 3000], color="0.6", linewidth=1, zorder=0)
    ax.set(xscale="log", yscale="log", xlim=(0.8, 9000), ylim=(0.8, 3000),
           xlabel="sources of a target, published", ylabel="here")  # fmt: skip
    return figure


def draw_step(found: Found) -> Figure:
    """Rate of every group around the step."""
    figure, axes = plt.subplots(3, 3, figsize=(9.6, 6), sharex=True, layout="constrained")
    start, stop = found.step.windows["step"]
    edges = np.arange(start - 0.3, stop + 0.3, 0.005)
    for ax, name in zip(axes.ravel(), POPULATIONS, strict=True):
        spikes = found.step.simulation.spikes[name]
        rate = np.histogram(spikes.t, edges)[0] / (np.diff(edges) * spikes.size)
        ax.axvspan(0, (stop - start) * 1e3, color="0.9")
        ax.stairs(rate, (edges - start) * 1e3, color=INHIBITORY if name in INHIBITS else EXCITATORY)
        ax.set_title(spaced(name), fontsize=9)
        ax.set(
            ylim=(0, max(1.1 * rate.max(), 1)),
            xlim=((edges[0] - start) * 1e3, (edges[-1] - start) * 1e3),
        )
    figure.supylabel("rate of all cells (Hz)", fontsize=9)
    figure.supxlabel("time from the step of the mossy fibres (ms)", fontsize=9)
    return figure


def draw_pause(found: Found) -> Figure:
    """Purkinje cells around the arrival of climbing-fibre spikes."""
    number = len(found.pauses)
    figure, axes = plt.subplots(
        2, number, figsize=(2.6 * number, 4.4), sharex=True, height_ratios=[1.4, 1], squeeze=False,
        layout="constrained",
    )  # fmt: skip
    edges = np.arange(-0.1, 0.1501, 0.004)
    for (top, bottom), ((number, step), pause) in zip(axes.T, found.pauses.items(), strict=True):
        spikes = pause.simulation.spikes["purkinje"]
        cells = [spikes.t[spikes.index == cell] for cell in range(spikes.size)]
        draw_around(top, bottom, around(cells, pause.arrivals, edges[0], edges[-1]), edges, 80)
        added = f"+{step:g} nA adaptation" if step else "as published"
        top.set_title(f"{_spikes(number)} to the olive,\n{added}", fontsize=9)
        bottom.set_xlabel("time from last spike (ms)")
    axes[0, 0].set_ylabel("cell and event")
    axes[1, 0].set_ylabel("rate (Hz)")
    return figure


def draw_kernels(found: Found) -> Figure:
    """Change of a weight by the lag of one pair."""
    number = len(found.kernels)
    figure, axes = plt.subplots(1, number, figsize=(2.5 * number, 2.8), layout="constrained")
    for ax, (name, (changed, derived)) in zip(axes, found.kernels.items(), strict=True):
        scale = np.abs(derived).max()
        ax.axhline(0, color="0.8", linewidth=0.8)
        ax.plot(LAGS, derived / scale, color="0.6", linewidth=3, label="closed form")
        ax.plot(LAGS, changed / scale, ".", color=EXCITATORY, markersize=3, label="simulated")
        ax.set_title(spaced(name), fontsize=9)
        ax.set(xlabel="teacher after fibre (ms)", ylim=(-1.1, 1.1))
    axes[0].set_ylabel("change / largest change")
    axes[0].legend(fontsize=7)
    return figure


def draw_drift(found: Found) -> Figure:
    """Drift of weights by the rate of the teacher."""
    number = len(found.drifts)
    figure, axes = plt.subplots(1, number, figsize=(3.2 * number, 3), layout="constrained")
    for ax, (name, drift) in zip(axes, found.drifts.items(), strict=True):
        unit = plasticity[name].unit
        ax.axhline(0, color="0.8", linewidth=0.8)
        ax.axvline(drift.neutral, color=GOOD, linewidth=1)
        at, text = (drift.neutral, drift.derived.max()), f"neutral\n{drift.neutral:.3g} Hz"
        ax.annotate(text, at, (4, -14), textcoords="offset points", fontsize=7.5, color=GOOD)
        ax.plot(drift.rates, drift.derived, color="0.6", linewidth=3, label="derived")
        ax.errorbar(drift.rates, drift.found, 2 * drift.error, fmt="o", color=EXCITATORY,
                    markersize=4, label="simulated")  # fmt: skip
        ax.set_title(spaced(name), fontsize=9)
        ax.set(xlabel="climbing fibre (Hz)", ylabel=f"drift ({unit}/s)")
    axes[0].legend(fontsize=7)
    return figure
