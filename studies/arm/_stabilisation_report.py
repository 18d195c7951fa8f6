"""What `arm_stabilisation` found, as tables, figures, an animation and metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirrorneuron.analysis import Table, plot

from .._contracts import Metric, Result
from .._kit.figure import draw_all
from .._kit.report import publish
from . import _report as shared
from ._controller import ELBOW
from ._report import COLORS, HOME, Findings, Learnt, Test, key, times

OTHERS = ("#E69F00", "0.75")


@dataclass(frozen=True, kw_only=True)
class Stabilisation(Findings):
    """All results of the study; the error is the angle from upright.

    Arguments:
        slopes: By weights and window [s], how the gradient in windows compares with that of the
            whole trial, for each network: their cosine, and the ratio of their norms.
        peaks: Peak memory of a training step by rule, for each length of the trial [B].
        lengths: Of these trials [steps].
        targets: RMS angle to reach, for BPTT and for FPTT [deg].
    """

    what = "RMS angle"
    unit = "deg"
    prefix = "rms"
    muscles = tuple(ELBOW.muscles)
    slopes: Mapping[tuple[str, float], Sequence[tuple[float, float]]]
    peaks: Mapping[str, Sequence[float]]
    lengths: Sequence[int]
    targets: tuple[float, float]

    def target(self, name: str, world: str) -> float | None:
        """Untrained networks, and those whose rule lacks a part, have no target."""
        if name not in self.tried[1:]:
            return None
        return self.level if world != HOME else self.targets[0 if name == "BPTT" else 1]

    @property
    def shown(self) -> list[Learnt]:
        """The first network, untrained, by BPTT, and by FPTT in the middle one of its windows."""
        forward = [name for name in self.names[2:] if "," not in name]
        chosen = (*self.names[:2], forward[len(forward) // 2])
        return [self.of(name)[0] for name in chosen]

    @property
    def watched(self) -> int:
        """Of the starts in Brian2, the one from which the first network, untrained, falls most."""
        return int(np.argmax(np.abs(self.home("untrained")[0].angles[-1, :, 0])))


def report(out: Path, found: Stabilisation, about: str) -> Result:
    """Figures, tables and metrics."""
    drawings = [draw_angles, draw_trial, draw_learning, draw_windows, draw_disturbances]
    drawings += [draw_memory] if found.peaks else []
    figures = draw_all(out, found, drawings, styled=True, dpi=None)
    movie = shared.animate(found, (4.8, 2.7), Arm, out / "arm.gif", steady=True)
    tables = (*shared.tables(found), slope_table(found), memory_table(found))
    title = "A spiking network holds an arm upright"
    return publish(out, title, metrics(found), tables, figures, about, [movie])


def metrics(found: Stabilisation) -> dict[str, Metric]:
    """Numbers by name."""
    result = shared.network_metrics(found, worst_of_worlds=True)
    for (name, window), pairs in found.slopes.items():
        for what, values in zip(("cosine", "ratio"), zip(*pairs, strict=True), strict=True):
            if np.isfinite(np.mean(values)):
                value = Metric(float(np.mean(values)), "1")
                result[f"{what}_{key(name)}_{window * 1e3:g}_ms"] = value
    for name in found.peaks:
        result[f"memory_slope_{key(name)}"] = Metric(growth(found, name) / 1e3, "kB/step")
    return result | shared.parity_metrics(found, "angle_deviation")


def growth(found: Stabilisation, name: str) -> float:
    """Peak memory per step: slope of the line through all lengths [B]."""
    return float(np.polyfit(found.lengths, found.peaks[name], 1)[0])


# ---- tables


def slope_table(found: Stabilisation) -> Table:
    """Cosine and norm of windowed gradients."""
    rows = [
        (name, f"{window * 1e3:g}", *(
            f"{np.mean(values):.3g} ({np.min(values):.3g} to {np.max(values):.3g})"
            if np.isfinite(values).all() else "undefined"
            for values in zip(*pairs, strict=True)
        ))
        for (name, window), pairs in found.slopes.items()
    ]  # fmt: skip
    columns = ("weights", "window [ms]", "cosine", "ratio of norms")
    return Table("Gradient of windows against that of the whole trial", columns, tuple(rows))


def memory_table(found: Stabilisation) -> Table:
    """Peak memory by length."""
    sizes = zip(*found.peaks.values(), strict=True)
    rows = [
        (str(n), *(f"{size / 1e6:.1f}" for size in each))
        for n, each in zip(found.lengths, sizes, strict=False)
    ]
    rows.append(("per step [kB]", *(f"{growth(found, name) / 1e3:.2f}" for name in found.peaks)))
    title = "Peak memory of a training step beyond that of the shortest trial"
    return Table(title, ("steps", *(f"{name} [MB]" for name in found.peaks)), tuple(rows))


# ---- figures


def draw_angles(found: Stabilisation) -> Figure:
    """The joint's angle from held-out starts; networks run in Brian2."""
    panels: list[tuple[str, Any, str]] = [
        ("muscles at rest", found.baselines[0].angle[..., 0], "0.7"),
        *((x.name, x.tests[HOME].angles[..., 0], found.color(x.name)) for x in found.shown),
    ]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(2.1 * len(panels), 2.6), sharey=True, squeeze=False
    )
    for ax, (name, angle, color) in zip(axes[0], panels, strict=True):
        ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        ax.plot(times(len(angle), found.dt), np.degrees(angle), color=color, linewidth=0.9)
        ax.set(xlabel="time (ms)", title=name, xlim=(0, len(angle) * found.dt * 1e3))
    axes[0, 0].set(ylabel="angle (deg)", ylim=(-72, 72), yticks=(-60, -30, 0, 30, 60))
    return figure


def draw_trial(found: Stabilisation) -> Figure:
    """One trial in Brian2, from the start from which the untrained network falls most.

    The three layers, the muscles, the angle. Dashed: the mirror.
    """
    start = found.watched

    def draw_angle(ax: Axes, test: Test, t: Any) -> None:
        ax.axhline(0, color="0.8", linewidth=0.8)
        ax.plot(t, np.degrees(test.angles[:, start, 0]), color="black", label="Brian2")
        ax.plot(t, np.degrees(test.angle[:, start, 0]), "--", color=COLORS[4], label="mirror")

    figure = shared.draw_course(found, (7.4, 6.6), (1.2, 1.6, 0.8, 1.0, 1.2), 1.6, draw_angle)
    for ax in (figure.axes[6], figure.axes[8]):
        ax.legend(loc="lower left", bbox_to_anchor=(0, 0.92), ncols=2)
    return figure


def draw_learning(found: Stabilisation) -> Figure:
    """Loss over training steps: each network, and the mean."""
    figure, ax = plt.subplots(figsize=(6.4, 3.2))
    for name in found.names[1:]:
        losses = np.array([learnt.losses for learnt in found.of(name)])
        ax.plot(losses.T, color=found.color(name), alpha=0.25, linewidth=0.6)
        plot.plot_learning_curve(
            losses.mean(0), ax=ax, color=found.color(name), linewidth=1.5, label=name
        )
    ax.set(xlabel="training step", ylabel="loss")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_windows(found: Stabilisation) -> Figure:
    """RMS angle by rule, and how much of the gradient of a trial windows keep.

    Left: a dot for each network; lines: targets for BPTT and (dotted) FPTT. Right: at the weights
    before any training (over the trial of training; with an explicit step of the plant; over 300
    ms) and after BPTT.
    """
    figure, (dots, cosine, ratio) = plt.subplots(1, 3, figsize=(10, 3.1), width_ratios=[2, 1, 1])
    shared.draw_dots(found, dots)
    labels = [name.replace(", ", "\n").replace(" ", "\n", 1) for name in found.names]
    dots.set_xticks(range(len(labels)), labels, fontsize=7)
    for target, style in zip(found.targets, ("-", ":"), strict=True):
        dots.axhline(target, color="0.8", linestyle=style, linewidth=0.8, zorder=0)
    dots.set(ylabel="RMS angle, last 200 ms (deg)", ylim=(0, None))
    windows = sorted({window for _, window in found.slopes})
    for name in dict.fromkeys(name for name, _ in found.slopes):
        color = found.color(name) if name in found.names else OTHERS["explicit" in name]
        style = "o--" if "," in name else "o-"
        means = np.transpose([np.mean(found.slopes[name, window], axis=0) for window in windows])
        for ax, mean in zip((cosine, ratio), means, strict=True):
            ax.plot(1e3 * np.array(windows), mean, style, markersize=3, color=color, label=name)
    cosine.set(
        xlabel="window (ms)", ylabel="cosine with BPTT", ylim=(min(0, cosine.get_ylim()[0]), 1.03)
    )
    ratio.set(xlabel="window (ms)", ylabel="norm, share of BPTT", yscale="log")
    ratio.legend(loc="lower right", fontsize=7)
    for ax in (cosine, ratio):
        ax.set(xscale="log", xticks=1e3 * np.array(windows))
        ax.set_xticklabels([f"{1e3 * window:g}" for window in windows])
        ax.minorticks_off()
    return figure


def draw_disturbances(found: Stabilisation) -> Figure:
    """What training did not know: angles in Brian2, and RMS angles of all starts."""

    def draw_one(ax: Axes, learnt: Learnt, test: Test) -> None:
        angle = np.degrees(test.angles[..., 0])
        t = times(len(angle), found.dt)
        lines = ax.plot(t, angle, color=found.color(learnt.name), linewidth=0.9)
        lines[0].set_label(learnt.name)

    upper, axes, lower = shared.draw_worlds(found, found.shown[1:], 4, (1.7, 2.6), 0.0, draw_one)
    worlds, columns = found.worlds, axes.shape[1]
    for ax in axes.flat[max(0, len(worlds) - columns) : len(worlds)]:
        ax.tick_params(labelbottom=True)
    axes[0, 0].legend(fontsize=7)
    upper.supylabel("angle (deg), Brian2", fontsize=9)
    bars = shared.draw_bars(found, ("0.65", "0.5", "0.3"), lower)
    lower.set_xticks(range(len(worlds)), [w.replace(" ", "\n", 1) for w in worlds], fontsize=7)
    lower.set(ylabel="RMS angle (deg)")
    lower.legend(ncols=bars, loc="upper left", bbox_to_anchor=(0, 1.18), fontsize=7)
    return upper.figure


def draw_memory(found: Stabilisation) -> Figure:
    """Peak memory of a training step over the length of the trial."""
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.8))
    names = list(found.peaks)
    for ax, shown in zip(axes, (names, names[:-1]), strict=True):
        for name in shown:
            label = f"{name}: {growth(found, name) / 1e3:.3g} kB a step"
            ax.plot(found.lengths, np.array(found.peaks[name]) / 1e6, "o-", markersize=3,
                    color=found.color(name), label=label)  # fmt: skip
        ax.set(xlabel="steps of the trial", ylabel="peak memory (MB)")
    axes[0].legend(fontsize=7)
    axes[1].set_title("forward in time only")
    return figure


class Arm:
    """A drawing of the forearm on its hinge, with a muscle on either side."""

    def __init__(self, ax: Axes, learnt: Learnt) -> None:
        ax.set(xlim=(-1.25, 1.25), ylim=(-0.75, 1.25), aspect="equal", title=learnt.name)
        ax.set_axis_off()
        ax.plot((0, 0), (0, 1.1), ":", color="0.8")
        ax.plot((0, 0), (0, -0.6), color="0.6", linewidth=7, solid_capstyle="round")
        (self.bone,) = ax.plot([], [], color="0.2", linewidth=7, solid_capstyle="round")
        self.muscles = [ax.plot([], [], linewidth=3, solid_capstyle="round")[0] for _ in range(2)]
        ax.plot(0, 0, "o", color="white", markeredgecolor="0.2", markersize=7)
        self.text = ax.text(-1.2, -0.7, "", fontsize=8)

    def move(
        self, angle: Float[np.ndarray, " joint"], activation: Float[np.ndarray, " muscle"]
    ) -> None:
        """Show the arm; with a positive angle it leans to the right, where the flexor is."""
        along = np.array([np.sin(angle[0]), np.cos(angle[0])])
        self.bone.set_data((0, along[0]), (0, along[1]))
        across = np.array([along[1], -along[0]])
        for line, side, pull in zip(self.muscles, (1, -1), activation, strict=True):
            end = 0.45 * along + side * 0.05 * across
            line.set_data((side * 0.14, side * 0.2, end[0]), (-0.5, 0.0, end[1]))
            line.set_color(plt.get_cmap("Reds")(0.25 + 0.75 * min(1.0, float(pull) / 0.1)))
        self.text.set_text(f"{np.degrees(angle[0]):.0f} deg")
