"""What `arm_posture` found, as tables, figures, an animation and metrics."""

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

from ._arm_report import COLORS, HOME, key, times
from ._contracts import Metric, Result
from ._posture_loop import BONES, LAYERS, PLANT, Posture
from ._report import save, trains

JUDGED = 0.2
REACHING = "BPTT, reaching"
PAIRS = (
    ("pectoralis", "deltoid"), ("brachioradialis", "triceps_lateral"), ("biceps", "triceps_long"),
)  # fmt: skip
SIDES = {name: pair.index(name) for pair in PAIRS for name in pair}
Angles = Float[np.ndarray, "time trial joint"]


@dataclass(frozen=True, kw_only=True)
class Test:
    """A network in one world.

    Arguments:
        angle: All starts, in the mirror [rad].
        aims: Angles that each of them has to hold [rad].
        activation: Mean over starts and time of each muscle, in the mirror.
        cocontraction: Activation of the weaker muscle of each pair of antagonists, as a share of
            the mean of both.
        rates, cv: Of each layer, in the mirror.
        brian: Runs of Brian2 from the first starts.
        identical: Whether Brian2 and the mirror have the same spikes in them.
        deviation: Largest difference of a coordinate of the hand [m].
        rms: Distance of the hand from its place over the last 200 ms, all starts [cm].
    """

    angle: Angles
    aims: Float[np.ndarray, "trial joint"]
    activation: Float[np.ndarray, " muscle"]
    cocontraction: float
    rates: Mapping[str, float]
    cv: Mapping[str, float]
    brian: Sequence[Simulation]
    identical: bool
    deviation: float
    rms: float

    @property
    def angles(self) -> Angles:
        """Of the runs in Brian2 [rad]."""
        return np.stack([run["joints.angle"] for run in self.brian], axis=1)

    @property
    def distance(self) -> Float[np.ndarray, "time trial"]:
        """Of the hand from its place in the runs in Brian2 [cm]."""
        return distance(self.angles, self.aims[: len(self.brian)])


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
class Baseline:
    """A controller without neurons, in Brian2.

    Arguments:
        name: In tables.
        rms: By the name of the world [cm].
        activation, cocontraction: As in training; mean over muscles and starts.
        angle: As in training, all starts [rad].
    """

    name: str
    rms: Mapping[str, float]
    activation: float
    cocontraction: float
    angle: Angles


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All of it."""

    learnt: Sequence[Learnt]
    baselines: Sequence[Baseline]
    dt: float
    posture: Posture
    target: float
    pulse: float

    @property
    def names(self) -> list[str]:
        """Of the rules, untrained first."""
        return list(dict.fromkeys(x.name for x in self.learnt))

    def of(self, name: str) -> list[Learnt]:
        """Networks of a rule."""
        return [x for x in self.learnt if x.name == name]

    def rms(self, name: str, world: str = HOME) -> list[float]:
        """RMS distance of the hand of each network [cm]."""
        return [x.tests[world].rms for x in self.of(name) if world in x.tests]

    @property
    def shown(self) -> list[Learnt]:
        """The first network of each rule."""
        return [self.of(name)[0] for name in self.names]

    @property
    def far(self) -> int:
        """Of the starts in Brian2, the one farthest from the posture."""
        return int(np.argmax(self.shown[0].tests[HOME].distance[0]))

    def color(self, name: str) -> str:
        """One for each rule."""
        return "0.45" if name == "untrained" else COLORS[self.names.index(name) - 1]


def distance(angle: Any, aim: Any) -> Float[np.ndarray, "*time"]:
    """Distance of the hand at some angles from where it is at others [cm]."""
    hand = BONES.hand
    return 100 * np.linalg.norm(hand(np.asarray(angle)) - hand(np.asarray(aim)), axis=-1)


def rms(distances: Float[np.ndarray, "time trial"], dt: float) -> float:
    """Over all trials, in the last 200 ms."""
    return float(np.sqrt(np.square(distances[-round(JUDGED / dt) :]).mean()))


def report(out: Path, found: Findings, about: str) -> Result:
    """Figures, tables and metrics."""
    with matplotlib.style.context(plot.STYLE):
        drawings = {
            "paths": draw_paths,
            "distance": draw_distance,
            "trial": draw_trial,
            "learning": draw_learning,
            "disturbances": draw_disturbances,
        }
        figures = tuple(save(draw(found), out / f"{n}.png", None) for n, draw in drawings.items())
    movie = animate(found, out / "arm.gif")
    tables = (method_table(found), network_table(found), world_table(found))
    page = write_page(
        out / "report.html", "A spiking network holds a hand in place",
        [*tables, *(Picture(path, CAPTIONS[path.stem]) for path in figures), about],
    )  # fmt: skip
    print("\n" + "\n\n".join(map(str, tables)))
    return Result(metrics(found), (*figures, movie), page)


CAPTIONS = {
    "paths": "Paths of the hand from held-out starts (dots), in Brian2; crosses: where it should"
    " be. The first network of each rule; gray: the arm in its posture.",
    "distance": "How far the hand is from its place; the first network of each rule, in Brian2.",
    "trial": "One trial in Brian2, before and after learning: the three layers, the muscles, the"
    " angles. Dashed: the mirror.",
    "learning": "Left: loss over training steps, a line for each network. Right: RMS distance of"
    " the hand, a dot for each network; line: target.",
    "disturbances": "What training did not know: distance of the hand in Brian2, from the first"
    " start, of each network after BPTT; and RMS distance of all starts (mean over networks; bars"
    " below 0.01 cm are not seen).",
}


def metrics(found: Findings) -> dict[str, Metric]:
    """Figures by name; that with a target is the mean over networks, with the worst beside."""
    result: dict[str, Metric] = {}
    for name in found.names:
        values, label = found.rms(name), key(name)
        target = found.target if name == "BPTT" else None
        mean = float(np.mean(values))
        ok = None if target is None else mean < target
        result[f"rms_hand_{label}"] = Metric(mean, "cm", target, ok)
        result[f"rms_hand_worst_{label}"] = Metric(float(np.max(values)), "cm")
        home = [x.tests[HOME] for x in found.of(name)]
        for layer in ("hidden", "motor"):
            rate = float(np.mean([test.rates[layer] for test in home]))
            result[f"rate_{layer}_{label}"] = Metric(rate, "Hz")
        effort = float(np.mean([test.activation for test in home]))
        result[f"activation_{label}"] = Metric(effort, "1")
        shared = float(np.mean([test.cocontraction for test in home]))
        result[f"cocontraction_{label}"] = Metric(shared, "1")
        for world in found.of(name)[0].tests:
            if world != HOME:
                value = float(np.mean(found.rms(name, world)))
                result[f"rms_hand_{label}_{key(world)}"] = Metric(value, "cm")
    for baseline in found.baselines:
        result[f"rms_hand_{key(baseline.name)}"] = Metric(baseline.rms[HOME], "cm")
    tests = [test for x in found.learnt for test in x.tests.values()]
    same = all(test.identical for test in tests)
    result["spikes_identical"] = Metric(float(same), "1", 1.0, same)
    result["hand_deviation"] = Metric(100 * max(t.deviation for t in tests), "cm")
    return result


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
            f"{np.mean([t.cocontraction for t in home]):.2f}",
            *(f"{np.mean([t.rates[layer] for t in home]):.1f}" for layer in LAYERS),
            f"{np.nanmean([t.cv['hidden'] for t in home]):.2f}",
            f"{np.nanmean([t.cv['motor'] for t in home]):.2f}",
            "yes" if all(t.identical for t in home) else "no",
        ))  # fmt: skip
    for b in found.baselines:
        shown = (f"{b.rms[HOME]:.2f}", "", f"{b.activation:.3f}", f"{b.cocontraction:.2f}")
        rows.append((b.name, *shown, "", "", "", "", "", ""))
    columns = (
        "", "RMS hand [cm]", "over networks", "activation", "co-contraction", "input [Hz]",
        "hidden [Hz]", "motor [Hz]", "CV hidden", "CV motor", "Brian2 = mirror",
    )  # fmt: skip
    networks = ", ".join(f"{name}: {len(found.of(name))}" for name in found.names[1:])
    return Table(f"Held-out starts, last 200 ms (networks: {networks})", columns, tuple(rows))


def network_table(found: Findings) -> Table:
    """RMS distance of each network."""
    seeds = [x.seed for x in found.of("BPTT")]
    rows = [
        (name, *(f"{known[k]:.2f}" if k in known else "" for k in seeds))
        for name in found.names
        for known in ({x.seed: x.tests[HOME].rms for x in found.of(name)},)
    ]
    columns = ("", *(f"network {k}" for k in seeds))
    return Table("RMS distance of the hand over the last 200 ms [cm]", columns, tuple(rows))


def world_table(found: Findings) -> Table:
    """RMS distance in each world."""
    rows = [
        (
            world,
            f"{np.mean(found.rms('BPTT', world)):.2f}",
            f"{np.max(found.rms('BPTT', world)):.2f}",
            *(f"{b.rms[world]:.2f}" if world in b.rms else "" for b in found.baselines),
        )
        for world in found.of("BPTT")[0].tests
    ]
    columns = ("", "BPTT", "worst network", *(b.name for b in found.baselines))
    return Table("RMS distance of the hand over the last 200 ms [cm]", columns, tuple(rows))


# ---- figures


def draw_paths(found: Findings) -> Figure:
    """Where the hand goes, before and after learning."""
    columns = found.shown
    figure, axes = plt.subplots(
        1, len(columns), figsize=(2.5 * len(columns), 2.9), sharex=True, sharey=True, squeeze=False
    )
    hand = BONES.hand
    for ax, learnt in zip(axes[0], columns, strict=True):
        test = learnt.tests[HOME]
        ax.plot(*joints_of(np.array(found.posture)).T, "-o", color="0.85", linewidth=4, zorder=0)
        for k in range(len(test.brian)):
            path = 100 * hand(test.angles[:, k])
            color = COLORS[k % len(COLORS)]
            ax.plot(*path.T, color=color, linewidth=0.9)
            ax.plot(*path[0], "o", color=color, markersize=3.5)
            marked = color if learnt.name == REACHING else "black"
            ax.plot(*(100 * hand(test.aims[k])), "+", color=marked, markersize=9)
        ax.set(aspect="equal", xlabel="x (cm)", title=learnt.name)
    axes[0, 0].set_ylabel("y (cm)")
    return figure


def joints_of(angle: Float[np.ndarray, " joint"]) -> Float[np.ndarray, "point xy"]:
    """Shoulder, elbow and hand [cm]."""
    upper = BONES.length[0]
    elbow = upper * np.array([np.cos(angle[0]), np.sin(angle[0])])
    return 100 * np.stack([np.zeros(2), elbow, BONES.hand(angle)])


def draw_distance(found: Findings) -> Figure:
    """The hand's distance over time, before and after learning, and of the controllers."""
    panels: list[tuple[str, Any, str]] = [
        (x.name, x.tests[HOME].distance, found.color(x.name)) for x in found.shown
    ]
    for b in found.baselines:
        if b.name != "muscles at rest":
            panels.append((b.name, distance(b.angle, np.array(found.posture)), "0.6"))
    columns = -(-len(panels) // 2)
    figure, axes = plt.subplots(
        2, columns, figsize=(2.1 * columns, 4.2), sharex=True, sharey=True, squeeze=False
    )
    for ax, (name, values, color) in zip(axes.flat, panels, strict=False):
        ax.axhline(found.target, color="0.8", linewidth=0.8, zorder=0)
        ax.plot(times(len(values), found.dt), values, color=color, linewidth=0.9)
        ax.set(title=name, ylim=(0, None))
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    figure.supxlabel("time (ms)", fontsize=9)
    figure.supylabel("distance of the hand (cm)", fontsize=9)
    return figure


def draw_trial(found: Findings) -> Figure:
    """Rasters, muscles and angles of one trial, before and after learning."""
    columns = found.shown[:2]
    figure, axes = plt.subplots(
        5, 2, figsize=(7.8, 7.4), sharex=True, sharey="row", height_ratios=[1.3, 1.6, 1.2, 1.2, 1.3]
    )
    for column, learnt in zip(axes.T, columns, strict=True):
        test = learnt.tests[HOME]
        run = test.brian[found.far]
        for ax, layer in zip(column, LAYERS, strict=False):
            plot.plot_raster(trains(run.spikes[layer], run.duration), ax=ax, markersize=1.4)
            ax.set(xlabel="", ylabel="")
        column[0].set_title(f"{learnt.name}, network {learnt.seed}, Brian2")
        t = times(len(run.t), found.dt)
        for k, name in enumerate(PLANT.muscles):
            label = name.replace("_", " ")
            column[3].plot(t, run["muscles.activation"][:, k], color=COLORS[k], label=label)
        for k, name in enumerate(PLANT.joints):
            aim = np.degrees(test.aims[found.far, k])
            column[4].axhline(aim, color="0.8", linewidth=0.8)
            column[4].plot(t, np.degrees(run["joints.angle"][:, k]), color=COLORS[k], label=name)
            mirrored = np.degrees(test.angle[:, found.far, k])
            column[4].plot(t, mirrored, "--", color="black", linewidth=0.8)
        column[4].set_xlabel("time (ms)")
    for ax, label in zip(
        axes[:, 0], ("input", "hidden", "motor", "activation", "angle (deg)"), strict=True
    ):
        ax.set_ylabel(label)
    for row in (3, 4):
        axes[row, 1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7)
    figure.align_ylabels(axes[:, 0])
    return figure


def draw_learning(found: Findings) -> Figure:
    """Loss of each network, and how near the hand comes, by rule."""
    figure, (ax, dots) = plt.subplots(1, 2, figsize=(7.2, 3), width_ratios=[1.4, 1])
    for name in found.names[1:]:
        for k, learnt in enumerate(found.of(name)):
            plot.plot_learning_curve(
                np.array(learnt.losses), ax=ax, color=found.color(name), alpha=0.8,
                linewidth=0.9, label=None if k else name,
            )  # fmt: skip
    ax.set(xlabel="training step", ylabel="loss")
    ax.legend()
    for k, name in enumerate(found.names):
        values = found.rms(name)
        spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(1)
        dots.plot(k + spread, values, "o", color=found.color(name), markersize=4)
        dots.hlines(np.mean(values), k - 0.25, k + 0.25, color=found.color(name))
    dots.axhline(found.target, color="0.8", linewidth=0.8, zorder=0)
    dots.set_xticks(range(len(found.names)), [n.replace(" ", "\n", 1) for n in found.names])
    dots.set(ylabel="RMS distance, last 200 ms (cm)", yscale="log")
    return figure


def draw_disturbances(found: Findings) -> Figure:
    """Distance of the hand in each world in Brian2, and the RMS of all starts."""
    learnt = found.of("BPTT")
    worlds = list(learnt[0].tests)
    columns = min(5, len(worlds))
    rows = -(-len(worlds) // columns)
    figure = plt.figure(figsize=(10, 1.6 * rows + 2.8))
    parts: Any = figure.subfigures(2, 1, height_ratios=[1.6 * rows, 2.8])
    upper, lower = parts
    axes = upper.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, world in zip(axes.flat, worlds, strict=False):
        ax.axhline(found.target, color="0.8", linewidth=0.8, zorder=0)
        for x in learnt:
            values = x.tests[world].distance[:, 0]
            ax.plot(times(len(values), found.dt), values, color=found.color("BPTT"), linewidth=0.8)
        if world.endswith("50 ms"):
            ax.axvspan(found.pulse * 1e3, found.pulse * 1e3 + 50, color="0.85", zorder=0)
        ax.set_title(world, fontsize=8, fontweight="normal")
        ax.set_ylim(0, None)
    for ax in axes.flat[len(worlds) :]:
        ax.set_axis_off()
    upper.supylabel("hand to place (cm)", fontsize=9)
    upper.supxlabel("time (ms)", fontsize=9)
    draw_bars(found, worlds, lower.subplots())
    return figure


def draw_bars(found: Findings, worlds: Sequence[str], ax: Axes) -> None:
    """RMS distance in each world, networks beside baselines."""
    means = [float(np.mean(found.rms("BPTT", w))) for w in worlds]
    bars = [("BPTT", found.color("BPTT"), means)]
    for b, gray in zip(found.baselines[1:], ("0.8", "0.6", "0.35"), strict=True):
        bars.append((b.name, gray, [b.rms.get(w, float("nan")) for w in worlds]))
    width = 0.8 / len(bars)
    for k, (name, color, values) in enumerate(bars):
        ax.bar(np.arange(len(worlds)) + (k + 0.5) * width - 0.4, values, width, color=color,
               label=name)  # fmt: skip
    ax.axhline(found.target, color="0.8", linewidth=0.8, zorder=0)
    ax.set_xticks(range(len(worlds)), worlds, fontsize=7, rotation=25, ha="right")
    ax.set(ylabel="RMS distance (cm)", yscale="log", ylim=(0.01, None))
    ax.legend(ncols=len(bars), loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=7)


def animate(found: Findings, path: Path) -> Path:
    """The arm before and after learning, as Brian2 moved it: the muscles glow as they pull."""
    columns = found.shown[:2]
    tests = [x.tests[HOME] for x in columns]
    runs = [test.brian[found.far] for test in tests]
    stride = max(1, round(0.02 / found.dt))
    with matplotlib.style.context(plot.STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(5.6, 3.2))
        arms = [
            Arm(ax, x.name, joints_of(test.aims[found.far])[-1])
            for ax, x, test in zip(axes, columns, tests, strict=True)
        ]

        def show(step: int) -> list[Any]:
            for arm, run in zip(arms, runs, strict=True):
                arm.move(run["joints.angle"][step], run["muscles.activation"][step])
            return []

        frames = range(0, len(runs[0].t), stride)
        movie = FuncAnimation(figure, show, frames=frames, blit=False)
        movie.save(path, writer=PillowWriter(fps=20), dpi=90)
        plt.close(figure)
    return path


class Arm:
    """A drawing of the arm, seen from above, with its six muscles."""

    def __init__(self, ax: Axes, title: str, place: Float[np.ndarray, " xy"]) -> None:
        ax.set(xlim=(-32, 42), ylim=(-12, 66), aspect="equal", title=title)
        ax.set_axis_off()
        ax.plot((-30, 0), (0, 0), color="0.8", linewidth=8, solid_capstyle="round")
        ax.plot(*place, "+", color=COLORS[1], markersize=16, markeredgewidth=2)
        (self.path,) = ax.plot([], [], color=COLORS[0], linewidth=0.9)
        (self.bones,) = ax.plot([], [], "-o", color="0.3", linewidth=5, markersize=6)
        self.muscles = {
            name: ax.plot([], [], linewidth=2.5, solid_capstyle="round")[0] for name in SIDES
        }
        self.text = ax.text(-30, -11, "", fontsize=8)
        self.place, self.been = place, [np.empty(0)][:0]

    def move(
        self, angle: Float[np.ndarray, " joint"], activation: Float[np.ndarray, " muscle"]
    ) -> None:
        """Take on angles; flexors are on the left, seen from the shoulder."""
        shoulder, elbow, hand = points = joints_of(angle)
        self.bones.set_data(*points.T)
        self.been.append(hand)
        self.path.set_data(*np.array(self.been).T)
        front, back, rim = np.array([[-14.0, 3.0], [-14.0, -3.0], [-6.0, 3.0]])
        upper, fore = (elbow - shoulder) / 30.9, (hand - elbow) / 33.3
        for name, pull in zip(PLANT.muscles, activation, strict=True):
            side = 1.0 if SIDES[name] == 0 else -1.0
            left, bend = (
                side * np.array([-upper[1], upper[0]]),
                side * np.array([-fore[1], fore[0]]),
            )
            ends = {
                "pectoralis": (front, 3.5 * left, shoulder + 13 * upper + 1.5 * left),
                "deltoid": (back, 3.5 * left, shoulder + 13 * upper + 1.5 * left),
                "brachioradialis": (
                    shoulder + 15 * upper + 2 * left, elbow + 3 * (left + bend) / 2,
                    elbow + 12 * fore + bend,
                ),
                "triceps_lateral": (
                    shoulder + 15 * upper + 2 * left, elbow + 3 * (left + bend) / 2,
                    elbow + 4 * fore + 2 * bend,
                ),
                "biceps": (
                    rim, shoulder + 15 * upper + 4.5 * left, elbow + 9 * fore + 2 * bend
                ),
                "triceps_long": (
                    rim * (1, -1), shoulder + 15 * upper + 4.5 * left, elbow + 3 * bend
                ),
            }  # fmt: skip
            line = self.muscles[name]
            line.set_data(*np.array(ends[name]).T)
            line.set_color(plt.get_cmap("Reds")(0.2 + 0.8 * min(1.0, float(pull) / 0.6)))
        self.text.set_text(f"{np.linalg.norm(hand - self.place):.1f} cm")
