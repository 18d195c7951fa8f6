"""What `arm_stabilisation` found, as tables, figures, an animation and metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirrorneuron import Simulation
from mirrorneuron.analysis import Picture, Table, plot, write_page

from ._arm_loop import LAYERS, PLANT
from ._contracts import Metric, Result
from ._report import save, trains

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
OTHERS = ("#E69F00", "0.75")
HOME = "as in training"
Angles = Float[np.ndarray, "time trial"]


@dataclass(frozen=True, kw_only=True)
class Test:
    """A network in one world.

    Arguments:
        angle: All starts, in the mirror [rad].
        activation: Mean over starts and time of each muscle, in the mirror.
        together: Co-contraction: twice the lesser activation over the sum of both, in the mirror.
        rates, cv: Of each layer, in the mirror.
        brian: Runs of Brian2 from the first starts.
        identical: Whether Brian2 and the mirror have the same spikes in them.
        deviation: Largest difference of their angles [rad].
        rms: Of the angle over the last 200 ms, all starts [deg].
    """

    angle: Angles
    activation: Float[np.ndarray, " muscle"]
    together: float
    rates: Mapping[str, float]
    cv: Mapping[str, float]
    brian: Sequence[Simulation]
    identical: bool
    deviation: float
    rms: float


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """A network after a training.

    Arguments:
        name, seed: Of the rule ("untrained" before any) and of the network.
        losses: Of each step of training.
        tests: By the name of the world.
    """

    name: str
    seed: int
    losses: Sequence[float]
    tests: Mapping[str, Test]


@dataclass(frozen=True, kw_only=True)
class Slope:
    """Gradient with windows, against that of the whole trial.

    Arguments:
        name, seed: Of the weights at which it is taken.
        window: [s].
        cosine, ratio: Of the two gradients, of their norms.
    """

    name: str
    seed: int
    window: float
    cosine: float
    ratio: float


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Peak memory of a training step.

    Arguments:
        name: Of the rule.
        steps: Of the trial.
        size: [B].
    """

    name: str
    steps: int
    size: float


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A controller without neurons, in Brian2.

    Arguments:
        name: In tables.
        rms: By the name of the world [deg].
        activation: Mean over muscles and starts.
        angle: As in training, all starts [rad].
    """

    name: str
    rms: Mapping[str, float]
    activation: float
    angle: Angles


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All of it."""

    learnt: Sequence[Learnt]
    slopes: Sequence[Slope]
    baselines: Sequence[Baseline]
    peaks: Sequence[Peak]
    dt: float
    targets: tuple[float, float]
    hold: float
    pulse: float

    @property
    def names(self) -> list[str]:
        """Of the rules, untrained first."""
        return list(dict.fromkeys(x.name for x in self.learnt))

    def of(self, name: str) -> list[Learnt]:
        """Networks of a rule."""
        return [x for x in self.learnt if x.name == name]

    def rms(self, name: str, world: str = HOME) -> list[float]:
        """RMS angle of each network [deg]."""
        return [x.tests[world].rms for x in self.of(name) if world in x.tests]

    @property
    def shown(self) -> list[Learnt]:
        """The first network, untrained, by BPTT, and by FPTT in the middle one of its windows."""
        forward = [name for name in self.names[2:] if "," not in name]
        chosen = (*self.names[:2], forward[len(forward) // 2])
        return [self.of(name)[0] for name in chosen]

    @property
    def worlds(self) -> list[str]:
        """Other than that of training."""
        return [world for world in self.learnt[0].tests if world != HOME]

    @property
    def hard(self) -> int:
        """Of the starts in Brian2, the one from which the first network, untrained, falls most."""
        late = brian_angles(self.of("untrained")[0].tests[HOME])[-1]
        return int(np.argmax(np.abs(late)))

    def color(self, name: str) -> str:
        """One for each rule."""
        return "0.45" if name == "untrained" else COLORS[self.names.index(name) - 1]

    @property
    def tried(self) -> list[str]:
        """Names of what was tested in all worlds."""
        return [x for x in self.names if len(self.of(x)[0].tests) == 1 + len(self.worlds)]


def report(out: Path, found: Findings, about: str) -> Result:
    """Figures, tables and metrics."""
    with matplotlib.style.context(plot.STYLE):
        drawings = {
            "angles": draw_angles,
            "trial": draw_trial,
            "learning": draw_learning,
            "windows": draw_windows,
            "disturbances": draw_disturbances,
        } | ({"memory": draw_memory} if found.peaks else {})
        figures = tuple(save(draw(found), out / f"{n}.png", None) for n, draw in drawings.items())
    movie = animate(found, out / "arm.gif")
    tables = (
        method_table(found), world_table(found), worst_table(found), slope_table(found),
        memory_table(found),
    )  # fmt: skip
    page = write_page(
        out / "report.html", "A spiking network holds an arm upright",
        [*tables, *(Picture(path, CAPTIONS[path.stem]) for path in figures), about],
    )  # fmt: skip
    print("\n" + "\n\n".join(map(str, tables)))
    return Result(metrics(found), (*figures, movie), page)


CAPTIONS = {
    "angles": "The joint's angle from held-out starts; networks run in Brian2.",
    "trial": "One trial in Brian2, from the start from which the untrained network falls most: the"
    " three layers, the muscles, the angle. Dashed: the mirror.",
    "learning": "Loss over training steps: each network, and the mean.",
    "windows": "Left: RMS angle by rule, a dot for each network; lines: targets for BPTT and"
    " (dotted) FPTT. Right: how much of the gradient of a trial windows keep, at the weights before"
    " any training (over the trial of training; with an explicit step of the plant; over 300 ms)"
    " and after BPTT.",
    "disturbances": "What training did not know: angles in Brian2, and RMS angles of all starts.",
    "memory": "Peak memory of a training step over the length of the trial.",
}


def metrics(found: Findings) -> dict[str, Metric]:
    """Figures by name; those with a target are means over networks, with the worst beside.

    Untrained networks, and those whose rule lacks a part, have no target.
    """
    result: dict[str, Metric] = {}
    for name in found.names:
        values = found.rms(name)
        judged = name in found.tried[1:]
        target = found.targets[0 if name == "BPTT" else 1] if judged else None
        mean, worst = float(np.mean(values)), float(np.max(values))
        ok = None if target is None else mean < target
        result[f"rms_{key(name)}"] = Metric(mean, "deg", target, ok)
        result[f"rms_worst_{key(name)}"] = Metric(worst, "deg")
        home = [x.tests[HOME] for x in found.of(name)]
        for layer in ("hidden", "motor"):
            rate = float(np.mean([test.rates[layer] for test in home]))
            result[f"rate_{layer}_{key(name)}"] = Metric(rate, "Hz")
        effort = float(np.mean([test.activation for test in home]))
        result[f"activation_{key(name)}"] = Metric(effort, "1")
        shared = float(np.mean([test.together for test in home]))
        result[f"cocontraction_{key(name)}"] = Metric(shared, "1")
        aim = None if name == "untrained" else found.hold
        for world in found.worlds if name in found.tried else ():
            others = found.rms(name, world)
            value, ok = float(np.mean(others)), None if aim is None else np.mean(others) < aim
            label = f"{key(name)}_{key(world)}"
            result[f"rms_{label}"] = Metric(value, "deg", aim, None if ok is None else bool(ok))
            result[f"rms_worst_{label}"] = Metric(float(np.max(others)), "deg")
    for baseline in found.baselines:
        result[f"rms_{key(baseline.name)}"] = Metric(baseline.rms[HOME], "deg")
    for name, window in dict.fromkeys((s.name, s.window) for s in found.slopes):
        for what in ("cosine", "ratio"):
            value = float(np.mean(slopes(found, name, window, what)))
            if np.isfinite(value):
                result[f"{what}_{key(name)}_{window * 1e3:g}_ms"] = Metric(value, "1")
    for name in dict.fromkeys(p.name for p in found.peaks):
        result[f"memory_slope_{key(name)}"] = Metric(growth(found, name) / 1e3, "kB/step")
    tests = [test for x in found.learnt for test in x.tests.values()]
    same = all(test.identical for test in tests)
    result["spikes_identical"] = Metric(float(same), "1", 1.0, same)
    result["angle_deviation"] = Metric(float(np.degrees(max(t.deviation for t in tests))), "deg")
    return result


def key(name: str) -> str:
    """A name as part of a metric's."""
    for sign, word in ((" +", " plus "), (" -", " minus "), ("%", "percent"), (",", "")):
        name = name.replace(sign, word)
    return "_".join(name.lower().replace("-", "_").split())


def growth(found: Findings, name: str) -> float:
    """Peak memory per step: slope of the line through all lengths [B]."""
    points = [(p.steps, p.size) for p in found.peaks if p.name == name]
    steps, sizes = np.array(points).T
    return float(np.polyfit(steps, sizes, 1)[0])


# ---- tables


def method_table(found: Findings) -> Table:
    """The rules, and the baselines."""
    rows: list[tuple[str, ...]] = []
    for name in found.names:
        home = [x.tests[HOME] for x in found.of(name)]
        values = found.rms(name)
        rows.append((
            name,
            f"{np.mean(values):.2f}", f"{np.min(values):.2f} to {np.max(values):.2f}",
            f"{np.mean([t.activation for t in home]):.3f}",
            f"{np.mean([t.together for t in home]):.2f}",
            *(f"{np.mean([t.rates[layer] for t in home]):.1f}" for layer in LAYERS),
            f"{np.nanmean([t.cv['hidden'] for t in home]):.2f}",
            "yes" if all(t.identical for t in home) else "no",
        ))  # fmt: skip
    for b in found.baselines:
        rms = f"{b.rms[HOME]:.2f}"
        rows.append((b.name, rms, "", f"{b.activation:.3f}", "", "", "", "", "", ""))
    columns = (
        "", "RMS angle [deg]", "over networks", "activation", "shared", "input [Hz]", "hidden [Hz]",
        "motor [Hz]", "CV hidden", "Brian2 = mirror",
    )  # fmt: skip
    networks = len(found.of("BPTT"))
    return Table(f"Held-out starts, last 200 ms ({networks} networks a rule)", columns, tuple(rows))


def world_table(found: Findings) -> Table:
    """RMS angle in each world."""
    rows = [
        (
            world,
            *(f"{np.mean(found.rms(name, world)):.2f}" for name in found.tried),
            *(f"{b.rms[world]:.2f}" if world in b.rms else "" for b in found.baselines),
        )
        for world in (HOME, *found.worlds)
    ]
    columns = ("", *found.tried, *(b.name for b in found.baselines))
    return Table("RMS angle over the last 200 ms [deg], mean over networks", columns, tuple(rows))


def worst_table(found: Findings) -> Table:
    """RMS angle of the worst network in each world."""
    rows = [
        (world, *(f"{np.max(found.rms(name, world)):.2f}" for name in found.tried))
        for world in (HOME, *found.worlds)
    ]
    return Table("The same of the worst network", ("", *found.tried), tuple(rows))


def slope_table(found: Findings) -> Table:
    """Cosine and norm of windowed gradients."""
    windows = list(dict.fromkeys(s.window for s in found.slopes))
    rows = [
        (name, f"{window * 1e3:g}", *(
            f"{np.mean(values):.3g} ({np.min(values):.3g} to {np.max(values):.3g})"
            if np.isfinite(values).all() else "undefined"
            for values in (slopes(found, name, window, what) for what in ("cosine", "ratio"))
        ))
        for name in dict.fromkeys(s.name for s in found.slopes)
        for window in windows
    ]  # fmt: skip
    columns = ("weights", "window [ms]", "cosine", "ratio of norms")
    return Table("Gradient of windows against that of the whole trial", columns, tuple(rows))


def slopes(found: Findings, name: str, window: float, what: str) -> list[float]:
    """One value for each network."""
    return [getattr(s, what) for s in found.slopes if (s.name, s.window) == (name, window)]


def memory_table(found: Findings) -> Table:
    """Peak memory by length."""
    names = list(dict.fromkeys(p.name for p in found.peaks))
    lengths = list(dict.fromkeys(p.steps for p in found.peaks))
    size = {(p.name, p.steps): p.size for p in found.peaks}
    rows = [(str(n), *(f"{size[name, n] / 1e6:.1f}" for name in names)) for n in lengths]
    rows.append(("per step [kB]", *(f"{growth(found, name) / 1e3:.2f}" for name in names)))
    columns = ("steps", *(f"{name} [MB]" for name in names))
    return Table(
        "Peak memory of a training step beyond that of the shortest trial", columns, tuple(rows)
    )


# ---- figures


def draw_angles(found: Findings) -> Figure:
    """Falling, untrained, and held."""
    panels: list[tuple[str, Angles, bool]] = [("muscles at rest", found.baselines[0].angle, False)]
    for x in found.shown:
        panels.append((x.name, brian_angles(x.tests[HOME]), True))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(2.1 * len(panels), 2.6), sharey=True, squeeze=False
    )
    for ax, (name, angle, network) in zip(axes[0], panels, strict=True):
        color = found.color(name) if network else "0.7"
        ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        ax.plot(times(len(angle), found.dt), np.degrees(angle), color=color, linewidth=0.9)
        ax.set(xlabel="time (ms)", title=name, xlim=(0, len(angle) * found.dt * 1e3))
    axes[0, 0].set(ylabel="angle (deg)", ylim=(-72, 72), yticks=(-60, -30, 0, 30, 60))
    return figure


def brian_angles(test: Test) -> Angles:
    """Angles of the runs in Brian2."""
    return np.stack([run["joints.angle"][:, 0] for run in test.brian], axis=1)


def stacked(name: str) -> str:
    """A rule's name below a dot."""
    return name.replace(", ", "\n").replace(" ", "\n", 1)


def times(steps: int, dt: float) -> Float[np.ndarray, " time"]:
    """Time of each step [ms]."""
    return np.arange(steps) * dt * 1e3


def draw_trial(found: Findings) -> Figure:
    """Rasters, muscles and angle of one trial, before and after learning."""
    columns = found.shown[:2]
    figure, axes = plt.subplots(
        5, 2, figsize=(7.4, 6.6), sharex=True, sharey="row", height_ratios=[1.2, 1.6, 0.8, 1, 1.2]
    )
    for column, learnt in zip(axes.T, columns, strict=True):
        test = learnt.tests[HOME]
        run = test.brian[found.hard]
        for ax, layer in zip(column, LAYERS, strict=False):
            plot.plot_raster(trains(run.spikes[layer], run.duration), ax=ax, markersize=1.6)
            ax.set(xlabel="", ylabel="")
        column[0].set_title(f"{learnt.name}, network {learnt.seed}, Brian2")
        t = times(len(run.t), found.dt)
        for k, name in enumerate(PLANT.muscles):
            column[3].plot(t, run["muscles.activation"][:, k], color=COLORS[k], label=name)
        column[4].axhline(0, color="0.8", linewidth=0.8)
        column[4].plot(t, np.degrees(run["joints.angle"][:, 0]), color="black", label="Brian2")
        column[4].plot(
            t, np.degrees(test.angle[:, found.hard]), "--", color=COLORS[4], label="mirror"
        )
        column[4].set_xlabel("time (ms)")
    for ax, label in zip(
        axes[:, 0], ("input", "hidden", "motor", "activation", "angle (deg)"), strict=True
    ):
        ax.set_ylabel(label)
    for row in (3, 4):
        axes[row, 0].legend(loc="lower left", bbox_to_anchor=(0, 0.92), ncols=2)
    figure.align_ylabels(axes[:, 0])
    return figure


def draw_learning(found: Findings) -> Figure:
    """Loss of each network, by rule, and their mean."""
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


def draw_windows(found: Findings) -> Figure:
    """RMS angle by rule, and how much of the gradient windows keep."""
    figure, (dots, cosine, ratio) = plt.subplots(1, 3, figsize=(10, 3.1), width_ratios=[2, 1, 1])
    for k, name in enumerate(found.names):
        values = found.rms(name)
        spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(1)
        dots.plot(k + spread, values, "o", color=found.color(name), markersize=4)
        dots.hlines(np.mean(values), k - 0.25, k + 0.25, color=found.color(name))
    dots.set_xticks(range(len(found.names)), [stacked(n) for n in found.names], fontsize=7)
    for target, style in zip(found.targets, ("-", ":"), strict=True):
        dots.axhline(target, color="0.8", linestyle=style, linewidth=0.8, zorder=0)
    dots.set(ylabel="RMS angle, last 200 ms (deg)", ylim=(0, None))
    windows = sorted({s.window for s in found.slopes})
    for name in dict.fromkeys(s.name for s in found.slopes):
        color = found.color(name) if name in found.names else OTHERS["explicit" in name]
        style = "o--" if "," in name else "o-"
        for ax, what in ((cosine, "cosine"), (ratio, "ratio")):
            means = [np.mean(slopes(found, name, window, what)) for window in windows]
            ax.plot(1e3 * np.array(windows), means, style, markersize=3, color=color, label=name)
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


def draw_disturbances(found: Findings) -> Figure:
    """Angles in each world in Brian2, and the RMS of all starts."""
    learnt = found.shown[1:]
    worlds = list(learnt[0].tests)
    columns = min(4, len(worlds))
    rows = -(-len(worlds) // columns)
    figure = plt.figure(figsize=(10, 1.7 * rows + 2.6))
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.7 * rows, 2.6])
    upper, lower = parts
    axes = upper.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, world in zip(axes.flat, worlds, strict=False):
        ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        for x in learnt:
            angle = brian_angles(x.tests[world])
            t = times(len(angle), found.dt)
            lines = ax.plot(t, np.degrees(angle), color=found.color(x.name), linewidth=0.9)
            lines[0].set_label(x.name)
        if world.startswith("pulse"):
            ax.axvspan(found.pulse * 1e3, found.pulse * 1e3 + 50, color="0.85", zorder=0)
        ax.set_title(world, fontsize=8, fontweight="normal")
    for ax in axes.flat[len(worlds) :]:
        ax.set_axis_off()
    for ax in axes.flat[max(0, len(worlds) - columns) : len(worlds)]:
        ax.tick_params(labelbottom=True)
    axes[0, 0].legend(fontsize=7)
    upper.supylabel("angle (deg), Brian2", fontsize=9)
    upper.supxlabel("time (ms)", fontsize=9)
    draw_bars(found, worlds, lower.subplots())
    return figure


def draw_bars(found: Findings, worlds: Sequence[str], ax: Axes) -> None:
    """RMS angle in each world, networks beside baselines."""
    names = found.tried[1:]
    bars: list[tuple[str, str, list[float]]] = [
        (n, found.color(n), [float(np.mean(found.rms(n, w))) for w in worlds]) for n in names
    ]
    grays = ("0.8", "0.65", "0.5", "0.3")
    for b, gray in zip(found.baselines, grays, strict=True):
        if b.name != "muscles at rest":
            bars.append((b.name, gray, [b.rms.get(w, float("nan")) for w in worlds]))
    width = 0.8 / len(bars)
    ax.axhline(found.hold, color="0.8", linewidth=0.8, zorder=0)
    for k, (name, color, values) in enumerate(bars):
        ax.bar(np.arange(len(worlds)) + (k + 0.5) * width - 0.4, values, width, color=color,
               label=name)  # fmt: skip
    ax.set_xticks(range(len(worlds)), [w.replace(" ", "\n", 1) for w in worlds], fontsize=7)
    ax.set(ylabel="RMS angle (deg)")
    ax.legend(ncols=len(bars), loc="upper left", bbox_to_anchor=(0, 1.18), fontsize=7)


def draw_memory(found: Findings) -> Figure:
    """Peak memory over the length of a trial: all rules, and those that learn in windows."""
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.8))
    names = list(dict.fromkeys(p.name for p in found.peaks))
    for ax, shown in zip(axes, (names, names[:-1]), strict=True):
        for name in shown:
            points = np.array([(p.steps, p.size / 1e6) for p in found.peaks if p.name == name])
            label = f"{name}: {growth(found, name) / 1e3:.3g} kB a step"
            ax.plot(*points.T, "o-", markersize=3, color=found.color(name), label=label)
        ax.set(xlabel="steps of the trial", ylabel="peak memory (MB)")
    axes[0].legend(fontsize=7)
    axes[1].set_title("forward in time only")
    return figure


def animate(found: Findings, path: Path) -> Path:
    """The arm before and after learning, as Brian2 moved it: the muscles glow as they pull."""
    columns = found.shown[:2]
    runs = [x.tests[HOME].brian[found.hard] for x in columns]
    stride = max(1, round(0.02 / found.dt))
    with matplotlib.style.context(plot.STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(4.8, 2.7))
        arms = [Arm(ax, x.name) for ax, x in zip(axes, columns, strict=True)]

        def show(step: int) -> list[Any]:
            for arm, run in zip(arms, runs, strict=True):
                arm.move(run["joints.angle"][step, 0], run["muscles.activation"][step])
            return []

        show(0)
        figure.canvas.draw()
        figure.set_layout_engine("none")  # as it is now, rather than anew in each frame
        frames = range(0, len(runs[0].t), stride)
        movie = FuncAnimation(figure, show, frames=frames, blit=False)
        movie.save(path, writer=PillowWriter(fps=20), dpi=90)
        plt.close(figure)
    return path


class Arm:
    """A drawing of the forearm on its hinge, with a muscle on either side."""

    def __init__(self, ax: Axes, title: str) -> None:
        ax.set(xlim=(-1.25, 1.25), ylim=(-0.75, 1.25), aspect="equal", title=title)
        ax.set_axis_off()
        ax.plot((0, 0), (0, 1.1), ":", color="0.8")
        ax.plot((0, 0), (0, -0.6), color="0.6", linewidth=7, solid_capstyle="round")
        (self.bone,) = ax.plot([], [], color="0.2", linewidth=7, solid_capstyle="round")
        self.muscles = [ax.plot([], [], linewidth=3, solid_capstyle="round")[0] for _ in range(2)]
        ax.plot(0, 0, "o", color="white", markeredgecolor="0.2", markersize=7)
        self.text = ax.text(-1.2, -0.7, "", fontsize=8)

    def move(self, angle: float, activation: Float[np.ndarray, " muscle"]) -> None:
        """Take on an angle; a positive one leans to the right, where the flexor is."""
        along = np.array([np.sin(angle), np.cos(angle)])
        self.bone.set_data((0, along[0]), (0, along[1]))
        across = np.array([along[1], -along[0]])
        for line, side, pull in zip(self.muscles, (1, -1), activation, strict=True):
            end = 0.45 * along + side * 0.05 * across
            line.set_data((side * 0.14, side * 0.2, end[0]), (-0.5, 0.0, end[1]))
            line.set_color(plt.get_cmap("Reds")(0.25 + 0.75 * min(1.0, float(pull) / 0.1)))
        self.text.set_text(f"{np.degrees(angle):.0f} deg")
