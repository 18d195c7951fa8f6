"""What `grasshopper` found, as a table, figures and metrics, all on recording 2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter1d

from mirrorneuron.analysis import SpikeTrains, Table, plot
from mirrorneuron.analysis.validate import Validation

from .._contracts import Metric, Result
from .._kit.figure import draw_all
from .._kit.report import publish
from ._fit import Fitted
from ._recording import DURATION, Session, Times
from ._score import Score, mean_score, score

NAMES = {
    "brian2": "receptor, Brian2",
    "mirror": "receptor, mirror",
    "gradient_free": "receptor, fitted without gradients",
    "ln": "linear-nonlinear Poisson",
    "poisson": "Poisson of the same rate",
}


@dataclass(frozen=True)
class Findings:
    """What was found.

    Arguments:
        heard: Recording 2.
        fitted: The fit to recording 1.
        trains: Spikes of each model under the sound of recording 2.
        verdict: Brian2 and the mirror, side by side.
    """

    heard: Session
    fitted: Fitted
    trains: Mapping[str, Sequence[Times]]
    verdict: Validation


def report(out: Path, found: Findings, about: str) -> Result:
    """Figures, table and metrics."""
    heard, fitted, verdict = found.heard, found.fitted, found.verdict
    scores = {name: mean_score(heard.spikes, t, heard.dt) for name, t in found.trains.items()}
    figures = draw_all(out, found, (draw_trains, draw_learning, draw_intervals))
    text = (
        f"Fitted to recording 1 in {fitted.simulated:.0f} simulated seconds (bias shifted by"
        f" {fitted.shift:.2f}); all figures are of recording 2, which the fit did not use."
        f" Brian2 and the mirror: {verdict.verdict}"
    )
    verdict.save(out / "validation")
    table = score_table(score(heard.spikes, heard.spikes, heard.dt), scores)
    numbers = metrics(scores, verdict, len(found.trains["brian2"][0]))
    return publish(out, "Grasshopper receptor", numbers, [table, text], figures, about)


def metrics(scores: Mapping[str, Score], verdict: Validation, spikes: int) -> dict[str, Metric]:
    """Figures by name: the target of `gamma_brian2` is the best of the models it has to beat."""
    rivals = max(scores[name].gamma for name in ("gradient_free", "ln", "poisson"))
    found = {f"gamma_{name}": Metric(s.gamma, "1") for name, s in scores.items()}
    found["gamma_brian2"] = Metric.at_least(scores["brian2"].gamma, "1", rivals)
    for name, s in scores.items():
        found[f"gamma_2ms_{name}"] = Metric(s.gamma_2ms, "1")
        found[f"gamma_corrected_{name}"] = Metric(s.gamma_corrected, "1")
        found[f"van_rossum_{name}"] = Metric(s.van_rossum, "1")
        found[f"rate_correlation_{name}"] = Metric(s.rate_correlation, "1")
        found[f"rate_{name}"] = Metric(s.rate, "Hz")
        found[f"cv_{name}"] = Metric(s.cv, "1")
    found["spikes_identical"] = Metric.holds(verdict.ok)
    found["spikes"] = Metric(float(spikes), "1")
    return found


def score_table(data: Score, scores: Mapping[str, Score]) -> Table:
    """The measures, model by model."""
    columns = (
        "recording 2", "gamma 4 ms", "gamma 2 ms", "gamma 4 ms corrected", "van Rossum",
        "rate corr.", "rate [Hz]", "CV",
    )  # fmt: skip
    blank = ("",) * 5
    rows: list[tuple[str, ...]] = [("data", *blank, f"{data.rate:.1f}", f"{data.cv:.2f}")]
    for name, s in scores.items():
        shown = (s.gamma, s.gamma_2ms, s.gamma_corrected, s.van_rossum, s.rate_correlation)
        cells = [f"{x:.3f}" for x in shown]
        rows.append((NAMES[name], *cells, f"{s.rate:.1f}", f"{s.cv:.2f}"))
    return Table("Agreement with the recorded spikes", columns, tuple(rows))


def draw_trains(found: Findings) -> Figure:
    """Sound, rasters and rates of one second."""
    heard, trains, start, stop = found.heard, found.trains, 4.0, 5.0
    shown = {
        "data": heard.spikes,
        "mirror": trains["mirror"][0],
        "Brian2": trains["brian2"][0],
        "no gradient": trains["gradient_free"][0],
        "LN": trains["ln"][0],
    }
    colors = ["black", "#1b6ca8", "#c1440e", "#6a8d3a", "#8a8a8a"]
    figure, (sound, raster, rate) = plt.subplots(
        3, 1, figsize=(7.2, 5.4), sharex=True, height_ratios=[1, 1.6, 1.6], layout="constrained"
    )
    inside = slice(round(start / heard.dt), round(stop / heard.dt))
    t = np.arange(len(heard.sound)) * heard.dt
    sound.plot(t[inside], heard.sound[inside], color="0.3", linewidth=0.5)
    sound.set_ylabel("envelope (SD)")
    for row, (color, (name, times)) in enumerate(zip(colors, shown.items(), strict=True)):
        part = times[(times >= start) & (times < stop)]
        raster.vlines(part, -row - 0.4, -row + 0.4, color=color, linewidth=0.7)
        if name != "mirror":
            rate.plot(t[inside], 1 / heard.dt * density(times, heard.dt)[inside], color=color,
                      linewidth=1.0, alpha=0.9, label=name)  # fmt: skip
    raster.set_yticks(-np.arange(len(shown)), list(shown))
    rate.set(xlabel="time (s)", ylabel="rate, 4 ms (Hz)", xlim=(start, stop))
    rate.legend(ncol=4, loc="upper right", frameon=False, fontsize=8)
    return figure


def draw_learning(found: Findings) -> Figure:
    """Loss over the steps of the fit."""
    figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
    plot.plot_learning_curve(np.array(found.fitted.losses), ax=ax)
    ax.set(xlabel="step of L-BFGS", ylabel="minus log likelihood per spike", yscale="linear")
    return figure


def density(times: Times, dt: float) -> Float[np.ndarray, " time"]:
    """Spikes per step, smoothed over 4 ms."""
    counts = np.bincount((times / dt).astype(int), minlength=round(DURATION / dt))
    return gaussian_filter1d(counts.astype(float), 4e-3 / dt)


def draw_intervals(found: Findings) -> Figure:
    """Interspike intervals of data and models."""
    heard, trains = found.heard, found.trains
    figure, ax = plt.subplots(figsize=(4.8, 3.2), layout="constrained")
    edges = np.linspace(0, 40e-3, 41)
    shown = {"data": heard.spikes, "Brian2": trains["brian2"][0], "LN": trains["ln"][0]}
    for (name, times), color in zip(shown.items(), ["black", "#c1440e", "#8a8a8a"], strict=True):
        train = SpikeTrains((times,), DURATION)
        plot.plot_isi_histogram(train, edges, ax=ax, color=color, label=name)
    ax.legend(frameon=False)
    return figure
