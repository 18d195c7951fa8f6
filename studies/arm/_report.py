"""What networks and controllers did with an arm, and the tables and figures of both studies."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import matplotlib.style
import numpy as np
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirrorneuron import Simulation
from mirrorneuron.analysis import Table, plot

from .._kit.figure import hide, spaced, trains
from .._kit.result import Metric
from ._loop import LAYERS

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
HOME = "as in training"
Movement = Float[np.ndarray, "time trial joint"]


@dataclass(frozen=True, kw_only=True)
class Test:
    """How a network performed in one world.

    Arguments:
        angle: All starts, in the mirror [rad].
        aims: Target angles of each start [rad].
        activation: Mean over starts and time of each muscle, in the mirror.
        cocontraction: How much antagonists pull at the same time, in the mirror.
        rates, cv: Of each layer, in the mirror.
        brian: Runs of Brian2 from the first starts.
        identical: Whether Brian2 and the mirror have the same spikes in them.
        deviation: Largest difference between their movements [unit of `Findings`].
        rms: RMS error over the last 200 ms and all starts [unit of `Findings`].
    """

    angle: Movement
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
    def angles(self) -> Movement:
        """Of the runs in Brian2 [rad]."""
        return np.stack([run["joints.angle"] for run in self.brian], axis=1)


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """A trained network.

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
        rms: RMS error by the name of the world [unit of `Findings`].
        activation, cocontraction: As in training, over all starts.
        angle: As in training, all starts [rad].
    """

    name: str
    rms: Mapping[str, float]
    activation: float
    cocontraction: float
    angle: Movement


@dataclass(frozen=True, kw_only=True)
class Findings(ABC):
    """All results of a study.

    Arguments:
        what, unit, prefix: Name and unit of the RMS error, and the prefix of its metrics.
        muscles: Names of the muscles.
        learnt: Networks of every rule and seed.
        baselines: Controllers.
        dt: Time step [s].
        level: RMS error to stay below, a line in figures [unit].
        pulse: When pulses come in tests [s].
    """

    what: ClassVar[str]
    unit: ClassVar[str]
    prefix: ClassVar[str]
    muscles: ClassVar[Sequence[str]]
    learnt: Sequence[Learnt]
    baselines: Sequence[Baseline]
    dt: float
    level: float
    pulse: float

    @abstractmethod
    def target(self, name: str, world: str) -> float | None:
        """RMS error that the networks of a rule should stay below in a world."""

    @property
    @abstractmethod
    def shown(self) -> list[Learnt]:
        """Networks that are drawn as examples, the untrained one first."""

    @property
    @abstractmethod
    def watched(self) -> int:
        """Number of the Brian2 run that is drawn as a single trial."""

    @property
    def names(self) -> list[str]:
        """Names of the rules, "untrained" first."""
        return list(dict.fromkeys(x.name for x in self.learnt))

    @property
    def tried(self) -> list[str]:
        """Names of the rules whose networks were tested in all worlds."""
        return [x for x in self.names if len(self.of(x)[0].tests) == len(self.worlds)]

    @property
    def worlds(self) -> list[str]:
        """Names of all worlds, that of training first."""
        return list(max((x.tests for x in self.learnt), key=len))

    def of(self, name: str) -> list[Learnt]:
        """Networks of a rule."""
        return [x for x in self.learnt if x.name == name]

    def home(self, name: str) -> list[Test]:
        """Tests of the networks of a rule where the arm is as in training."""
        return [x.tests[HOME] for x in self.of(name)]

    def rms(self, name: str, world: str = HOME) -> list[float]:
        """RMS error of each network of a rule."""
        return [x.tests[world].rms for x in self.of(name) if world in x.tests]

    def color(self, name: str) -> str:
        """Color of a rule."""
        return "0.45" if name == "untrained" else COLORS[self.names.index(name) - 1]


def key(name: str) -> str:
    """A name as part of the name of a metric."""
    for sign, word in ((" +", " plus "), (" -", " minus "), ("%", "percent"), (",", "")):
        name = name.replace(sign, word)
    return "_".join(name.lower().replace("-", "_").split())


# ---- metrics


def network_metrics(found: Findings, worst_of_worlds: bool) -> dict[str, Metric]:
    """RMS errors by rule and world, mean and worst network, with firing rates and activations."""
    result: dict[str, Metric] = {}
    for name in found.names:
        label, home = key(name), found.home(name)
        for world in found.of(name)[0].tests:
            values, place = found.rms(name, world), "" if world == HOME else f"_{key(world)}"
            mean, target = float(np.mean(values)), found.target(name, world)
            result[f"{found.prefix}_{label}{place}"] = Metric.below(mean, found.unit, target)
            if world == HOME or worst_of_worlds:
                worst = Metric(float(np.max(values)), found.unit)
                result[f"{found.prefix}_worst_{label}{place}"] = worst
            if world == HOME:
                for layer in LAYERS[1:]:
                    rate = float(np.mean([test.rates[layer] for test in home]))
                    result[f"rate_{layer}_{label}"] = Metric(rate, "Hz")
                for what in ("activation", "cocontraction"):
                    value = float(np.mean([getattr(test, what) for test in home]))
                    result[f"{what}_{label}"] = Metric(value, "1")
    for b in found.baselines:
        result[f"{found.prefix}_{key(b.name)}"] = Metric(b.rms[HOME], found.unit)
    return result


def parity_metrics(found: Findings, deviation: str) -> dict[str, Metric]:
    """How well Brian2 and the mirror agree in all tests."""
    tests = [test for x in found.learnt for test in x.tests.values()]
    return {
        "spikes_identical": Metric.holds(all(test.identical for test in tests)),
        deviation: Metric(max(test.deviation for test in tests), found.unit),
    }


# ---- tables


def tables(found: Findings) -> tuple[Table, ...]:
    """The tables that both studies have."""
    return method_table(found), world_table(found), worst_table(found)


def method_table(found: Findings) -> Table:
    """The rules, and the baselines."""
    rows: list[tuple[str, ...]] = []
    for name in found.names:
        home, values = found.home(name), found.rms(name)
        rows.append((
            name,
            f"{np.mean(values):.2f}", f"{np.min(values):.2f} to {np.max(values):.2f}",
            f"{np.mean([t.activation for t in home]):.3f}",
            f"{np.mean([t.cocontraction for t in home]):.2f}",
            *(f"{np.mean([t.rates[layer] for t in home]):.1f}" for layer in LAYERS),
            *(f"{np.nanmean([t.cv[layer] for t in home]):.2f}" for layer in LAYERS[1:]),
            "yes" if all(t.identical for t in home) else "no",
        ))  # fmt: skip
    for b in found.baselines:
        shown = (f"{b.rms[HOME]:.2f}", "", f"{b.activation:.3f}", f"{b.cocontraction:.2f}")
        rows.append((b.name, *shown, "", "", "", "", "", ""))
    columns = (
        "", f"{found.what} [{found.unit}]", "over networks", "activation", "co-contraction",
        "input [Hz]", "hidden [Hz]", "motor [Hz]", "CV hidden", "CV motor", "Brian2 = mirror",
    )  # fmt: skip
    networks = ", ".join(f"{name}: {len(found.of(name))}" for name in found.names[1:])
    return Table(f"Held-out starts, last 200 ms (networks: {networks})", columns, tuple(rows))


def world_table(found: Findings) -> Table:
    """RMS error in each world, mean over networks."""
    rows = [
        (
            world,
            *(f"{np.mean(found.rms(name, world)):.2f}" for name in found.tried),
            *(f"{b.rms[world]:.2f}" if world in b.rms else "" for b in found.baselines),
        )
        for world in found.worlds
    ]
    columns = ("", *found.tried, *(b.name for b in found.baselines))
    title = f"{found.what} over the last 200 ms [{found.unit}], mean over networks"
    return Table(title, columns, tuple(rows))


def worst_table(found: Findings) -> Table:
    """The same of the worst network."""
    rows = [
        (world, *(f"{np.max(found.rms(name, world)):.2f}" for name in found.tried))
        for world in found.worlds
    ]
    return Table("The same of the worst network", ("", *found.tried), tuple(rows))


# ---- figures


def times(steps: int, dt: float) -> Float[np.ndarray, " time"]:
    """Time of each step [ms]."""
    return np.arange(steps) * dt * 1e3


def draw_course(
    found: Findings,
    size: tuple[float, float],
    heights: Sequence[float],
    markersize: float,
    draw_angles: Callable[[Axes, Test, Any], None],
) -> Figure:
    """Rasters, muscles and angles of one trial, before and after learning.

    Arguments:
        found: What was found.
        size, heights: Size of the figure [inch], and relative heights of its rows.
        markersize: Size of a spike.
        draw_angles: Draws the angles of a test over time.
    """
    figure, axes = plt.subplots(
        5, 2, figsize=size, sharex=True, sharey="row", height_ratios=heights
    )
    for column, learnt in zip(axes.T, found.shown[:2], strict=True):
        test = learnt.tests[HOME]
        run = test.brian[found.watched]
        for ax, layer in zip(column, LAYERS, strict=False):
            plot.plot_raster(trains(run.spikes[layer], run.duration), ax=ax, markersize=markersize)
            ax.set(xlabel="", ylabel="")
        column[0].set_title(f"{learnt.name}, network {learnt.seed}, Brian2")
        t = times(len(run.t), found.dt)
        for k, name in enumerate(found.muscles):
            activation = run["muscles.activation"][:, k]
            column[3].plot(t, activation, color=COLORS[k], label=spaced(name))
        draw_angles(column[4], test, t)
        column[4].set_xlabel("time (ms)")
    labels = ("input", "hidden", "motor", "activation", "angle (deg)")
    for ax, label in zip(axes[:, 0], labels, strict=True):
        ax.set_ylabel(label)
    figure.align_ylabels(axes[:, 0])
    return figure


def draw_dots(found: Findings, ax: Axes) -> None:
    """RMS error by rule: a dot for each network, a line for their mean."""
    for k, name in enumerate(found.names):
        values = found.rms(name)
        spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(1)
        ax.plot(k + spread, values, "o", color=found.color(name), markersize=4)
        ax.hlines(np.mean(values), k - 0.25, k + 0.25, color=found.color(name))


def draw_worlds(
    found: Findings,
    learnt: Sequence[Learnt],
    columns: int,
    heights: tuple[float, float],
    level: float,
    draw_one: Callable[[Axes, Learnt, Test], None],
) -> tuple[Any, Any, Axes]:
    """Begin a figure with a panel for each world, and axes for bars below.

    Arguments:
        found: What was found.
        learnt: Networks that are drawn in each panel.
        columns: Maximum number of panels in a row.
        heights: Height of a row of panels, and of the bars [inch].
        level: Where a horizontal line is drawn.
        draw_one: Draws how a network performed in one world.

    Returns:
        The upper part of the figure, its panels, and the axes of the lower part.
    """
    worlds = list(learnt[0].tests)
    columns = min(columns, len(worlds))
    rows = -(-len(worlds) // columns)
    figure = plt.figure(figsize=(10, heights[0] * rows + heights[1]))
    parts: Any = figure.subfigures(2, 1, height_ratios=[heights[0] * rows, heights[1]])
    axes = parts[0].subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, world in zip(axes.flat, worlds, strict=False):
        ax.axhline(level, color="0.8", linewidth=0.8, zorder=0)
        for x in learnt:
            draw_one(ax, x, x.tests[world])
        if world.endswith("50 ms"):
            ax.axvspan(found.pulse * 1e3, found.pulse * 1e3 + 50, color="0.85", zorder=0)
        ax.set_title(world, fontsize=8, fontweight="normal")
    hide(axes.flat[len(worlds) :])
    parts[0].supxlabel("time (ms)", fontsize=9)
    return parts[0], axes, parts[1].subplots()


def draw_bars(found: Findings, grays: Sequence[str], ax: Axes) -> int:
    """Bars of the RMS error in each world, of networks and baselines; returns how many in each."""
    worlds = found.worlds
    bars = [
        (n, found.color(n), [float(np.mean(found.rms(n, w))) for w in worlds])
        for n in found.tried
        if n != "untrained"
    ]
    for b, gray in zip(found.baselines[1:], grays, strict=True):
        bars.append((b.name, gray, [b.rms.get(w, float("nan")) for w in worlds]))
    width = 0.8 / len(bars)
    for k, (name, color, values) in enumerate(bars):
        ax.bar(np.arange(len(worlds)) + (k + 0.5) * width - 0.4, values, width, color=color,
               label=name)  # fmt: skip
    ax.axhline(found.level, color="0.8", linewidth=0.8, zorder=0)
    return len(bars)


@runtime_checkable
class Drawing(Protocol):
    """A drawing of an arm."""

    def move(
        self, angle: Float[np.ndarray, " joint"], activation: Float[np.ndarray, " muscle"]
    ) -> None:
        """Show the arm at these angles, with these activations."""


def animate(
    found: Findings,
    size: tuple[float, float],
    draw: Callable[[Axes, Learnt], Drawing],
    path: Path,
    steady: bool = False,
) -> Path:
    """The arm before and after learning, as Brian2 moved it: the muscles glow as they pull.

    Arguments:
        found: What was found.
        size: Of the figure.
        draw: Makes the drawing of an arm.
        path: Of the file.
        steady: Whether the axes stay where they are in the first frame.
    """
    shown = found.shown[:2]
    runs = [x.tests[HOME].brian[found.watched] for x in shown]
    stride = max(1, round(0.02 / found.dt))
    with matplotlib.style.context(plot.STYLE):
        figure, axes = plt.subplots(1, 2, figsize=size)
        arms = [draw(ax, x) for ax, x in zip(axes, shown, strict=True)]

        def show(step: int) -> list[Any]:
            for arm, run in zip(arms, runs, strict=True):
                arm.move(run["joints.angle"][step], run["muscles.activation"][step])
            return []

        if steady:
            show(0)
            figure.canvas.draw()
            figure.set_layout_engine("none")
        frames = range(0, len(runs[0].t), stride)
        movie = FuncAnimation(figure, show, frames=frames, blit=False)
        movie.save(path, writer=PillowWriter(fps=20), dpi=90)
        plt.close(figure)
    return path
