"""Metrics, tables and figures of the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirrorneuron.analysis import Table
from mirrorneuron.analysis.plot import BAD, EXCITATORY, INHIBITORY, REFERENCE

from .._contracts import Metric, Result
from .._kit.figure import draw_all
from .._kit.report import publish, verdicts
from .._kit.seeds import OverSeeds, seeds_table
from ._circuit import ABLATED, EXACT, HELD, LINEAR, LINES, Circuit, Curve, grid
from ._student import WINDOW, Learnt

REFERENCE_SIGN = {("exact", 4.0): 3.98, ("exact", 3.0): 2.99, ("linear", 4.0): 4.07,
             ("linear", 3.0): 3.10}  # fmt: skip
SAMPLED = 1.88
LOGGED = {"exact": "0.0029", "linear": "0.0014"}
STUDENT, GAP, SPIKING = 0.01, 0.02, 0.1


@dataclass(frozen=True)
class Found:
    """Results of the four parts.

    Arguments:
        curves: Of the single circuit.
        students: By rule and pair of teacher and student.
        trained: By rule and seed, accuracy in the test before and after each epoch.
        data: Name of the pictures.
        deviation: Of the classifier's steady states from Brian2's relaxation.
        spiking: Curves of the spiking circuit by target, None without top-down input.
        rates: Where the change of the rate version is 0, by target.
    """

    curves: Mapping[Circuit, Curve]
    students: Mapping[str, Mapping[int, Learnt]]
    trained: Mapping[str, Sequence[Sequence[float]]]
    data: str
    deviation: float
    spiking: Mapping[float | None, Curve]
    rates: Mapping[float | None, float]

    def last(self, rule: str) -> Sequence[float]:
        """Accuracies after the last epoch, by seed."""
        return [found[-1] for found in self.trained[rule]]

    def metrics(self) -> dict[str, Metric]:
        """Everything beside its target."""
        return {
            **self._circuit(), **self._students(), **self._classifier(), **self._spiking()
        }  # fmt: skip

    def _circuit(self) -> dict[str, Metric]:
        found: dict[str, Metric] = {}
        for rule, circuits in (("exact", EXACT), ("linear", LINEAR)):
            for target, circuit in circuits.items():
                crossed, aim = self.curves[circuit].crossings()[-1], REFERENCE_SIGN[rule, target]
                found[f"sign_{rule}_{target:g}"] = Metric.near(crossed, "1", aim, 0.01 * aim)
        for line, name in zip(LINES, ("", "_second"), strict=True):
            circuit = ABLATED[line]
            crossed, aim = self.curves[circuit].crossings()[0], circuit.threshold(0.5, 3.0)
            found[f"bcm_threshold{name}"] = Metric.near(crossed, "1", aim, 0.01 * aim)
        sampled = last_before(ABLATED[LINES[0]].curve(grid(13.0, 100)))
        found["bcm_threshold_sampled"] = Metric.near(sampled, "1", SAMPLED, 0.01 * SAMPLED)
        for rate, circuit in HELD.items():
            crossed, aim = self.curves[circuit].crossings()[0], LINES[0](rate)
            found[f"isolated_{rate:g}"] = Metric.near(crossed, "1", aim, 0.01 * aim)
        return found

    def _students(self) -> dict[str, Metric]:
        found: dict[str, Metric] = {}
        for rule, students in self.students.items():
            for pair, student in students.items():
                name = f"{rule}_{pair}"
                found[f"student_start_{name}"] = Metric(float(student.free[0]), "1")
                found[f"student_{name}"] = Metric.below(student.free[-1], "1", STUDENT)
                found[f"student_controlled_{name}"] = Metric(float(student.controlled[-1]), "1")
                found[f"student_unexplained_{name}"] = Metric(student.unexplained, "1")
        return found

    def _classifier(self) -> dict[str, Metric]:
        found: dict[str, Metric] = {}
        best = OverSeeds(self.last("backpropagation")).mean
        for rule in self.trained:
            mean = OverSeeds(self.last(rule)).mean
            found[f"accuracy_{rule}"] = Metric(mean, "1")
            if rule != "backpropagation":
                found[f"gap_{rule}"] = Metric.below(best - mean, "1", GAP)
        found["steady_state_deviation"] = Metric.below(self.deviation, "1", 1e-6)
        return found

    def _spiking(self) -> dict[str, Metric]:
        found: dict[str, Metric] = {}
        for target, curve in self.spiking.items():
            crossed = curve.crossings()
            name = "spiking_bcm" if target is None else f"spiking_sign_{target:g}"
            aim = self.rates[target]
            nearest = min(crossed, key=lambda r: abs(r - aim), default=float("nan"))
            found[name] = Metric.near(nearest, "1", aim, SPIKING * aim)
        return found


def last_before(curve: Curve) -> float:
    """The last sampled rate before the change becomes positive."""
    k = np.flatnonzero((curve.change[:-1] < 0) & (curve.change[1:] >= 0))
    return float(curve.rate[k[0]])


def report_on(out: Path, found: Found, about: str) -> Result:
    """Metrics, tables, figures and the page."""
    metrics = found.metrics()
    figures = draw_all(
        out, found, (draw_circuit, draw_student, draw_outputs, draw_classifier, draw_spiking)
    )
    students = Table(
        "Squared error of the student in the open loop, last window",
        ("rule", "pair", "before", "found", "variance of the teacher", "published"),
        tuple(
            (
                rule,
                str(pair),
                f"{x.free[0]:.3g}",
                f"{x.free[-1]:.3g}",
                f"{x.last[0].var(0).sum():.3g}",
                LOGGED[rule],
            )
            for rule, some in found.students.items()
            for pair, x in some.items()
        ),
    )
    right = seeds_table(
        f"Right answers in the test of {found.data} (%)",
        ("rule", "found"),
        {rule: [found.last(rule)] for rule in found.trained},
        scale=100.0,
    )
    title = "Dis-inhibition and the sign of plasticity"
    return publish(
        out, title, metrics, (verdicts(metrics), students, right), figures, about
    )  # fmt: skip


# ---- figures

COLORS = {"backpropagation": REFERENCE, "exact": EXCITATORY, "linear": INHIBITORY}


def _zero(ax: Axes) -> None:
    ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)


def draw_circuit(found: Found) -> Figure:
    """Change of a weight over the rate of its neuron in Brian2: with top-down input towards a
    target (exact rule solid, line dashed; dots at the targets), without it, and without the
    inhibitory partner, whose rate is held.
    """
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3), layout="constrained", sharey=True)
    for color, target in zip((EXCITATORY, INHIBITORY), EXACT, strict=True):
        for circuit, style in ((EXACT[target], "-"), (LINEAR[target], "--")):
            curve = found.curves[circuit]
            label = f"target {target:g}" if style == "-" else None
            axes[0].plot(curve.rate, curve.change, style, color=color, label=label)
        axes[0].plot(target, 0, "o", color=color, markersize=5)
    for color, (line, circuit) in zip((EXCITATORY, INHIBITORY), ABLATED.items(), strict=True):
        curve = found.curves[circuit]
        axes[1].plot(
            curve.rate, curve.change, color=color, label=f"θ = {line.theta:g}, δ = {line.delta:g}"
        )
        axes[1].plot(curve.crossings()[0], 0, "o", color=color, markersize=5)
    for shade, (rate, circuit) in zip(("0.2", "0.45", "0.7"), HELD.items(), strict=True):
        curve = found.curves[circuit]
        axes[2].plot(curve.rate, curve.change, color=shade, label=f"inhibition {rate:g}")
    for ax, title in zip(axes, ("with a target", "no top-down input", "no partner"), strict=True):
        _zero(ax)
        ax.set(title=title, xlabel="excitatory rate", ylim=(-9, 14))
        ax.legend(fontsize=8, loc="upper left")
    axes[0].set_ylabel("change of the weight")
    return figure


def draw_student(found: Found) -> Figure:
    """Squared error of the students over the learning: in the open loop (solid) and controlled
    (dotted), one line a pair of teacher and student. Dashed: the errors that the source logs.
    """
    figure, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
    for rule, students in found.students.items():
        for k, student in enumerate(students.values()):
            label = None if k else f"{rule} rule"
            time = WINDOW * np.arange(len(student.free))
            ax.plot(time, student.free, color=COLORS[rule], label=label)
            ax.plot(
                WINDOW * np.arange(1, len(student.controlled) + 1), student.controlled, ":",
                color=COLORS[rule],
            )  # fmt: skip
        ax.axhline(float(LOGGED[rule]), color=COLORS[rule], linestyle="--", linewidth=0.8)
    ax.set(xlabel="time of learning (s)", ylabel="squared error", yscale="log")
    ax.legend()
    return figure


def draw_outputs(found: Found) -> Figure:
    """Outputs of teacher (grey) and student in the first and the last five seconds of learning:
    controlled, and what the student does by itself. Rule with the line, last pair.
    """
    student = [*found.students["linear"].values()][-1]
    outputs = student.first.shape[2]
    figure, axes = plt.subplots(
        outputs, 2, figsize=(9, 1.7 * outputs), layout="constrained", sharex=True, sharey="row"
    )
    for column, (signals, title) in enumerate(((student.first, "first"), (student.last, "last"))):
        time = np.linspace(0, WINDOW, signals.shape[1])
        for row in range(outputs):
            ax = axes[row, column]
            target, controlled, free = signals[:, :, row]
            ax.plot(time, target, color="0.7", linewidth=4, label="teacher")
            ax.plot(time, controlled, color=EXCITATORY, linewidth=1.2, label="controlled")
            ax.plot(time, free, color=BAD, linewidth=1.2, linestyle="--", label="by itself")
            ax.set_ylabel(f"output {row}" if column == 0 else "")
        axes[0, column].set_title(f"{title} five seconds")
        axes[-1, column].set_xlabel("time (s)")
    axes[0, 1].legend(fontsize=8, loc="upper right")
    return figure


def draw_classifier(found: Found) -> Figure:
    """Accuracy in the test over epochs, one line a seed: the same network and budget, learning by
    backpropagation and by the two rules.
    """
    figure, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
    for rule, runs in found.trained.items():
        for k, accuracies in enumerate(runs):
            label = None if k else rule
            epochs = range(1, len(accuracies))
            ax.plot(epochs, 100 * np.array(accuracies[1:]), ".-", color=COLORS[rule], label=label,
                    linewidth=1)  # fmt: skip
    ax.set_xticks(range(1, max(len(run) for run in found.trained["exact"])))
    ax.set(xlabel="epoch", ylabel=f"right answers, {found.data.replace('_', '-')} (%)")
    ax.legend(loc="lower right")
    return figure


def draw_spiking(found: Found) -> Figure:
    """Change of a weight in circuits of spiking neurons, over the rate that they have; the vertical
    lines are where the rate version changes sign.
    """
    figure, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
    for color, (target, curve) in zip(
        (REFERENCE, EXCITATORY, INHIBITORY), found.spiking.items(), strict=True
    ):
        label = "no top-down input" if target is None else f"target {target:g}"
        scale = np.abs(curve.change).max()
        ax.plot(curve.rate, curve.change / scale, ".-", color=color, label=label, linewidth=1)
        ax.axvline(found.rates[target], color=color, linewidth=0.8, linestyle="--")
    _zero(ax)
    ax.set(xlabel="excitatory rate (17 Hz)", ylabel="change of the weight, scaled")
    ax.legend(fontsize=8)
    return figure
