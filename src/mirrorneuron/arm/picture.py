"""A picture of an arm: its segments, the goal, and the activation of each muscle."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..errors import DomainError
from ..muscle.skeleton import TwoJoints
from .arm import Arm, Memory

SIZE, DPI = (5.0, 3.0), 80
BONE, GOAL, ACTIVE = "#222222", "#009E73", "#C8102E"
WINDOWLESS = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")
Points = NDArray[np.float64]


class ArmPicture:
    """Draws one arm: from the memory of a trial, into an array or a window.

    Arguments:
        arm: The arm.
        window: Whether to show it in a window of matplotlib.

    Raises:
        DomainError: There is to be a window, and the backend of matplotlib has none.
    """

    def __init__(self, arm: Arm, window: bool = False) -> None:
        self.arm, self.window = arm, window
        if window:
            _require_window()
        self.figure: Any = _windowed() if window else Figure(SIZE, DPI)
        if not window:
            FigureCanvasAgg(self.figure)
        self.figure.set_facecolor("white")
        scene, bars = self.figure.subplots(1, 2, width_ratios=(3, 2))
        self._scene(scene)
        names = list(arm.plant.muscles)
        self.bars: Any = bars.barh(names, np.zeros(len(names)), color=ACTIVE)
        bars.set(xlim=(0, 1), xlabel="activation")
        bars.invert_yaxis()
        for side in ("top", "right"):
            bars.spines[side].set_visible(False)
        self.figure.tight_layout()

    def _scene(self, scene: Any) -> None:
        reach = 1.2 * (sum(self.arm.bones.length) if self.arm.bones else 1.0)
        scene.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        scene.set_axis_off()
        (self.goal,) = scene.plot([], [], color=GOAL, linewidth=2, marker="o", markersize=7)
        (self.bone,) = scene.plot(
            [], [], color=BONE, linewidth=6, marker="o", markersize=7, solid_capstyle="round"
        )
        self.clock = scene.set_title("0 ms")

    def draw(self, memory: Memory) -> NDArray[np.uint8]:
        """The picture of the first trial, "y x color"."""
        angle = memory["joints.angle"][0].double().cpu().numpy()
        self.bone.set_data(*self._segments(angle).T)
        self.goal.set_data(*self._goal(memory["goal"][0].double().cpu().numpy()).T)
        for bar, share in zip(self.bars, memory["muscles.activation"][0].tolist(), strict=True):
            bar.set_width(share)
        time = float(memory["count"][0]) * self.arm.control_step
        self.clock.set_text(f"{time * 1e3:.0f} ms")
        self.figure.canvas.draw()
        if self.window:
            self.figure.canvas.flush_events()
        return np.asarray(self.figure.canvas.buffer_rgba())[..., :3].copy()

    def close(self) -> None:
        """Close the window, if there is one."""
        if self.window:
            from matplotlib import pyplot

            pyplot.close(self.figure)

    def _segments(self, angle: Points) -> Points:
        """Joints and hand, from the trunk outwards, "point x y"."""
        skeleton: Any = self.arm.plant.skeleton
        if not isinstance(skeleton, TwoJoints):
            tilt = angle[0] - skeleton.upright
            return np.array([[0.0, -1.0], [0.0, 0.0], [np.sin(tilt), np.cos(tilt)]])
        upper = skeleton.length[0] * np.array([np.cos(angle[0]), np.sin(angle[0])])
        return np.stack([np.zeros(2), upper, skeleton.hand(angle)])

    def _goal(self, goal: Points) -> Points:
        """Where the goal is drawn: a place of the hand, or a posture's last segment."""
        return goal[None] if self.arm.at_hand else self._segments(goal)[-2:]


def _windowed() -> Any:
    from matplotlib import pyplot

    pyplot.ion()
    return pyplot.figure(figsize=SIZE, dpi=DPI)


def _require_window() -> None:
    """Refuse to show a window where matplotlib draws into files alone.

    Raises:
        DomainError: It does.
    """
    if not has_window():
        raise DomainError(
            f"render_mode='human': matplotlib draws with {matplotlib.get_backend()!r}, which has no"
            " window. Write render_mode='rgb_array', or choose a backend that has one:"
            " matplotlib.use('qtagg')."
        )


def has_window() -> bool:
    """Whether matplotlib draws into windows here."""
    backend = matplotlib.get_backend().lower()
    return backend not in WINDOWLESS and "inline" not in backend
