"""What `arm_posture` found, as tables, figures, an animation and metrics."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mirrorneuron.analysis import Table, plot

from .._contracts import Result
from .._kit.figure import draw_all, hide
from .._kit.report import publish
from . import _report as shared
from ._controller import BONES, PLANT, Posture
from ._report import COLORS, HOME, Findings, Learnt, Test, times

REACHING = "BPTT, reaching"
PAIRS = (
    ("pectoralis", "deltoid"), ("brachioradialis", "triceps_lateral"), ("biceps", "triceps_long"),
)  # fmt: skip
SIDES = {name: pair.index(name) for pair in PAIRS for name in pair}


@dataclass(frozen=True, kw_only=True)
class Holding(Findings):
    """All results of the study; the error is the distance of the hand from its place.

    Arguments:
        posture: Angles to hold [rad].
    """

    what = "RMS distance of the hand"
    unit = "cm"
    prefix = "rms_hand"
    muscles = tuple(PLANT.muscles)
    posture: Posture

    def target(self, name: str, world: str) -> float | None:
        """The target holds for BPTT where the arm is as in training."""
        return self.level if (name, world) == ("BPTT", HOME) else None

    @property
    def shown(self) -> list[Learnt]:
        """The first network of each rule."""
        return [self.of(name)[0] for name in self.names]

    @property
    def watched(self) -> int:
        """Of the starts in Brian2, the one farthest from the posture."""
        return int(np.argmax(distance_of(self.shown[0].tests[HOME])[0]))


def distance(angle: Any, aim: Any) -> Float[np.ndarray, "*time"]:
    """Distance between the places of the hand at two sets of joint angles [cm]."""
    hand = BONES.hand
    return 100 * np.linalg.norm(hand(np.asarray(angle)) - hand(np.asarray(aim)), axis=-1)


def distance_of(test: Test) -> Float[np.ndarray, "time trial"]:
    """Distance of the hand from its place in the runs in Brian2 [cm]."""
    return distance(test.angles, test.aims[: len(test.brian)])


def report(out: Path, found: Holding, about: str) -> Result:
    """Figures, tables and metrics."""
    drawings = [draw_paths, draw_distance, draw_trial, draw_learning, draw_disturbances]
    figures = draw_all(out, found, drawings, styled=True, dpi=None)

    def draw_arm(ax: Axes, learnt: Learnt) -> Arm:
        place = joints_of(learnt.tests[HOME].aims[found.watched])[-1]
        return Arm(ax, learnt.name, place)

    movie = shared.animate(found, (5.6, 3.2), draw_arm, out / "arm.gif")
    tables = (*shared.tables(found), network_table(found))
    numbers = shared.network_metrics(found, False) | shared.parity_metrics(found, "hand_deviation")
    title = "A spiking network holds a hand in place"
    return publish(out, title, numbers, tables, figures, about, [movie])


def network_table(found: Holding) -> Table:
    """RMS distance of each network."""
    seeds = [x.seed for x in found.of("BPTT")]
    rows = [
        (name, *(f"{known[k]:.2f}" if k in known else "" for k in seeds))
        for name in found.names
        for known in ({x.seed: x.tests[HOME].rms for x in found.of(name)},)
    ]
    columns = ("", *(f"network {k}" for k in seeds))
    return Table("RMS distance of the hand over the last 200 ms [cm]", columns, tuple(rows))


# ---- figures


def draw_paths(found: Holding) -> Figure:
    """Paths of the hand from held-out starts (dots), in Brian2; crosses: where it should be.

    The first network of each rule; gray: the arm in its posture.
    """
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


def draw_distance(found: Holding) -> Figure:
    """How far the hand is from its place; the first network of each rule, in Brian2."""
    panels: list[tuple[str, Any, str]] = [
        (x.name, distance_of(x.tests[HOME]), found.color(x.name)) for x in found.shown
    ]
    for b in found.baselines[1:]:
        panels.append((b.name, distance(b.angle, np.array(found.posture)), "0.6"))
    columns = -(-len(panels) // 2)
    figure, axes = plt.subplots(
        2, columns, figsize=(2.1 * columns, 4.2), sharex=True, sharey=True, squeeze=False
    )
    for ax, (name, values, color) in zip(axes.flat, panels, strict=False):
        ax.axhline(found.level, color="0.8", linewidth=0.8, zorder=0)
        ax.plot(times(len(values), found.dt), values, color=color, linewidth=0.9)
        ax.set(title=name, ylim=(0, None))
    hide(axes.flat[len(panels) :])
    figure.supxlabel("time (ms)", fontsize=9)
    figure.supylabel("distance of the hand (cm)", fontsize=9)
    return figure


def draw_trial(found: Holding) -> Figure:
    """One trial in Brian2, before and after learning.

    The three layers, the muscles, the angles. Dashed: the mirror.
    """
    start = found.watched

    def draw_angles(ax: Axes, test: Test, t: Any) -> None:
        for k, name in enumerate(PLANT.joints):
            ax.axhline(np.degrees(test.aims[start, k]), color="0.8", linewidth=0.8)
            ax.plot(t, np.degrees(test.angles[:, start, k]), color=COLORS[k], label=name)
            mirrored = np.degrees(test.angle[:, start, k])
            ax.plot(t, mirrored, "--", color="black", linewidth=0.8)

    figure = shared.draw_course(found, (7.8, 7.4), (1.3, 1.6, 1.2, 1.2, 1.3), 1.4, draw_angles)
    for ax in (figure.axes[7], figure.axes[9]):
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7)
    return figure


def draw_learning(found: Holding) -> Figure:
    """Left: loss over training steps, a line for each network.

    Right: RMS distance of the hand, a dot for each network; line: target.
    """
    figure, (ax, dots) = plt.subplots(1, 2, figsize=(7.2, 3), width_ratios=[1.4, 1])
    for name in found.names[1:]:
        for k, learnt in enumerate(found.of(name)):
            plot.plot_learning_curve(
                np.array(learnt.losses), ax=ax, color=found.color(name), alpha=0.8,
                linewidth=0.9, label=None if k else name,
            )  # fmt: skip
    ax.set(xlabel="training step", ylabel="loss")
    ax.legend()
    shared.draw_dots(found, dots)
    dots.axhline(found.level, color="0.8", linewidth=0.8, zorder=0)
    dots.set_xticks(range(len(found.names)), [n.replace(" ", "\n", 1) for n in found.names])
    dots.set(ylabel="RMS distance, last 200 ms (cm)", yscale="log")
    return figure


def draw_disturbances(found: Holding) -> Figure:
    """What training did not know: distance of the hand in Brian2, and RMS distance of all starts.

    Above: from the first start, of each network after BPTT. Below: mean over networks; bars below
    0.01 cm are not seen.
    """

    def draw_one(ax: Axes, learnt: Learnt, test: Test) -> None:
        values = distance_of(test)[:, 0]
        t = times(len(values), found.dt)
        ax.plot(t, values, color=found.color(learnt.name), linewidth=0.8)
        ax.set_ylim(0, None)

    learnt = found.of("BPTT")
    upper, _, lower = shared.draw_worlds(found, learnt, 5, (1.6, 2.8), found.level, draw_one)
    upper.supylabel("hand to place (cm)", fontsize=9)
    bars = shared.draw_bars(found, ("0.8", "0.6", "0.35"), lower)
    lower.set_xticks(range(len(found.worlds)), found.worlds, fontsize=7, rotation=25, ha="right")
    lower.set(ylabel="RMS distance (cm)", yscale="log", ylim=(0.01, None))
    lower.legend(ncols=bars, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=7)
    return upper.figure


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
        """Show the arm; flexors are on the left, seen from the shoulder."""
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
