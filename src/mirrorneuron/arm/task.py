"""What an arm should do, and what disturbs it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from .._arguments import checked
from .._arrays import require_finite
from ..errors import DomainError, UnknownName


@checked
@dataclass(frozen=True, kw_only=True)
class ArmTask:
    """What the arm should do, and what disturbs it, in SI floats.

    Arguments:
        start: Starts are uniform within so much of the plant's own posture, and in its range [rad].
        goal: Goals likewise [rad].
        at_hand: Whether the goal is a place of the hand, where the plant has one: then the error
            is in metres, else in radians.
        tolerance: A trial ends (`terminated`) with an error below it, when no joint moves faster
            than 0.2 rad/s; 0 lets it last [rad or m].
        effort: Weight of the mean squared action in the reward [1].
        torque: Constant load on each joint [N m].
        pulse, pulse_rate, pulse_duration: Torque pulses: largest size [N m], how many a second,
            how long each (rounded up to control steps) [s]. Sizes are uniform, of either sign, and
            pulses that meet add up; in a control step there begins at most one.
        force: Constant force on the hand, x and y [N].
        curl: Velocity-dependent force on the hand, (curl*v_y, -curl*v_x) [N s/m].

    Raises:
        DomainError: A value is not finite, or negative where it cannot be.
    """

    start: float = 0.5
    goal: float = 0.0
    at_hand: bool = False
    tolerance: float = 0.0
    effort: float = 1e-3
    torque: float = 0.0
    pulse: float = 0.0
    pulse_rate: float = 0.0
    pulse_duration: float = 0.05
    force: tuple[float, float] = (0.0, 0.0)
    curl: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            require_finite(np.array(value, dtype=float), f"ArmTask({field.name}={value!r})")
            if field.name not in ("torque", "force", "curl") and value < 0:
                raise DomainError(
                    f"ArmTask({field.name}={value!r}) is negative. It is a size, a rate or a"
                    f" duration. Write {field.name}={-value!r}."
                )

    @property
    def needs_hand(self) -> bool:
        """Whether something acts on the hand."""
        return self.curl != 0 or any(self.force)


TASKS: Mapping[str, ArmTask] = {
    "hold": ArmTask(),
    "reach": ArmTask(start=0.3, goal=0.5, at_hand=True, tolerance=0.02),
    "pulses": ArmTask(start=0.1, pulse=2.0, pulse_rate=2.0),
    "field": ArmTask(start=0.3, goal=0.5, at_hand=True, curl=10.0),
}


def chosen_task(given: str | ArmTask) -> ArmTask:
    """A task by its name, or as it is.

    Raises:
        UnknownName: There is no such task.
    """
    if isinstance(given, ArmTask):
        return given
    if given not in TASKS:
        raise UnknownName.among(f"task={given!r}", given, TASKS)
    return TASKS[given]
