"""Metrics, tables and figures of the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from mirrorneuron.analysis import Table
from mirrorneuron.analysis.plot import BAD, EXCITATORY, GOOD, REFERENCE

from .._contracts import Metric, Result
from .._kit.figure import draw_all
from .._kit.report import publish, verdicts
from .._kit.seeds import OverSeeds
from ._generator import PUBLISHED, Trials
from ._network import READINGS
from ._reader import Read, Shown

WITHIN, GOAL, REAL = 0.1, 0.92, 0.95
READ = {"recurrent": "0.80", "LSTM": "0.97"}  # published accuracy, of recordings
COLORS = {"feed-forward": BAD, "recurrent": "0.45", "improved": EXCITATORY, "LSTM": GOOD}


@dataclass(frozen=True)
class Found:
    """All results.

    Arguments:
        classes: Their names.
        theta: Threshold that readers were trained with.
        events: Of a taxel in a trial, by threshold.
        runs: Trainings of each reader, one a seed or fold.
        trial, raster: The first trial, and its events.
        recorded: Whether trials are recordings.
        judged: Whether trainings are long enough for the targets.
    """

    classes: Sequence[str]
    theta: float
    events: Mapping[float, float]
    runs: Mapping[str, Sequence[Read]]
    trial: Trials
    raster: Shown
    recorded: bool
    judged: bool

    def accuracy(self, kind: str) -> float:
        """Mean over seeds or folds."""
        return float(np.mean([run.accuracy for run in self.runs[kind]]))

    def metrics(self) -> dict[str, Metric]:
        """Every number beside its target."""
        found = {f"events_{theta:g}": self._events(theta) for theta in PUBLISHED}
        for kind in self.runs:
            found[f"accuracy_{kind.replace('-', '_')}"] = Metric(self.accuracy(kind), "1")
        best = self.accuracy("improved")
        if self.recorded:
            judged = {"letters_read": Metric.at_least(best, "1", REAL)}
        else:
            gain = self.accuracy("recurrent") - self.accuracy("feed-forward")
            lead = self.accuracy("LSTM") - self.accuracy("recurrent")
            judged = {
                "recurrent_above_feed_forward": Metric.at_least(gain, "1", 0.0),
                "lstm_above_recurrent": Metric.at_least(lead, "1", 0.0),
                "gap_closed": Metric.at_least(best, "1", GOAL),
            }
        found |= {k: m if self.judged else replace(m, ok=None) for k, m in judged.items()}
        spiking = [run for kind, runs in self.runs.items() if kind != "LSTM" for run in runs]
        found["spikes_compared"] = Metric(float(sum(run.compared for run in spiking)), "1")
        found["spikes_identical"] = Metric.holds(all(run.same and run.compared for run in spiking))
        return found

    def _events(self, theta: float) -> Metric:
        goal = PUBLISHED[theta]
        if self.recorded:
            return Metric(self.events[theta], "1")
        return Metric.near(self.events[theta], "1", goal, WITHIN * goal)

    def table(self) -> Table:
        """Accuracy of each reader."""
        rows = [
            (kind, OverSeeds([run.accuracy for run in runs]).text(1.0, 3),
             "-" if kind == "LSTM" else f"{np.mean([run.spikes for run in runs]):.1f}",
             READ.get(kind, "-"))
            for kind, runs in self.runs.items()
        ]  # fmt: skip
        what = "recorded" if self.recorded else "generated"
        columns = ("reader", "test accuracy", "spikes of a neuron in a trial", "published")
        return Table(f"Letters read, {what} trials, theta = {self.theta:g}", columns, tuple(rows))


def report_on(out: Path, found: Found, title: str, about: str) -> Result:
    """Metrics, tables, figures and the page."""
    drawings = (draw_touch, draw_events, draw_accuracy, draw_confusion, draw_times)
    figures = draw_all(out, found, drawings)
    metrics = found.metrics()
    return publish(out, title, metrics, (verdicts(metrics), found.table()), figures, about)


# ---- figures


def draw_touch(found: Found) -> Figure:
    """One trial: signals of the taxels, and the ON (blue) and OFF (red) events that they become."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 4.6), sharex=True, layout="constrained")
    time, width = found.trial.time[0], READINGS[found.theta].bin
    above.plot(time, found.trial.taxels[0], linewidth=1)
    above.set(ylabel="signal", title=f"letter {found.classes[found.trial.label[0]]!r}")
    step, channel = np.nonzero(found.raster.raster[:, 0])
    for first, color in ((0, EXCITATORY), (1, BAD)):
        some = channel % 2 == first
        below.plot(step[some] * width, channel[some] // 2, "|", color=color, markersize=6)
    taxels = found.trial.taxels.shape[2]
    below.set(xlabel="time (s)", ylabel="taxel", ylim=(-0.6, taxels - 0.4))
    below.set_yticks(range(0, taxels, 3))
    return figure


def draw_events(found: Found) -> Figure:
    """Events of a taxel in a trial, over the threshold of the encoding; rings are published."""
    figure, ax = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
    ax.plot(list(found.events), list(found.events.values()), ".-", color=EXCITATORY, label="found")
    ax.plot(list(PUBLISHED), list(PUBLISHED.values()), "o", color=REFERENCE, fillstyle="none",
            markersize=9, label="published")  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel=r"threshold $\theta$", ylabel="events")
    ax.set_xticks(list(PUBLISHED), [f"{theta:g}" for theta in PUBLISHED])
    ax.minorticks_off()
    ax.legend()
    return figure


def draw_accuracy(found: Found) -> Figure:
    """Loss over training, and accuracy in the test: dots are seeds or folds, bars their mean."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for kind, runs in found.runs.items():
        for k, run in enumerate(runs):
            if len(run.losses):
                left.plot(run.losses, color=COLORS[kind], label=None if k else kind)
    left.set(xlabel="epoch", ylabel="loss", yscale="log")
    left.legend(fontsize=8)
    for k, (kind, runs) in enumerate(found.runs.items()):
        right.bar(k, found.accuracy(kind), color=COLORS[kind], alpha=0.6)
        right.plot([k] * len(runs), [run.accuracy for run in runs], "o", color=COLORS[kind])
    right.axhline(1 / len(found.classes), color="0.6", linewidth=0.8, linestyle="--")
    right.set_xticks(range(len(found.runs)), list(found.runs), fontsize=8)
    right.set(ylabel="accuracy in the test", ylim=(0, 1.03))
    return figure


def draw_confusion(found: Found) -> Figure:
    """What the improved reader answers: share of the trials of each letter in the test."""
    size = len(found.classes)
    table = np.zeros((size, size))
    for run in found.runs["improved"]:
        np.add.at(table, (np.array(run.label), np.array(run.answer)), 1.0)
    table /= np.maximum(table.sum(1, keepdims=True), 1.0)
    figure, ax = plt.subplots(figsize=(5.4, 4.8), layout="constrained")
    image = ax.imshow(table, vmin=0, vmax=1, cmap="Blues")
    names = [name.replace(" ", "␣") for name in found.classes]
    ax.set_xticks(range(size), names, fontsize=7)
    ax.set_yticks(range(size), names, fontsize=7)
    ax.set(xlabel="answer", ylabel="letter")
    figure.colorbar(image, label="share", shrink=0.8)
    return figure


def draw_times(found: Found) -> Figure:
    """Membrane time constants of the improved reader after training; the line is the published
    one, which all neurons of the others share.
    """
    figure, ax = plt.subplots(figsize=(4.6, 3.2), layout="constrained")
    tau = np.concatenate([np.array(run.tau) for run in found.runs["improved"]]) * 1e3
    ax.hist(tau, 30, color=EXCITATORY, alpha=0.7)
    ax.axvline(READINGS[found.theta].tau * 1e3, color=REFERENCE)
    ax.set(xlabel="time constant of the membrane (ms)", ylabel="neurons")
    return figure
