"""Backpropagation through time, whole or truncated to windows.

Source: Werbos 1990, doi:10.1109/5.58337; truncation: Williams & Peng 1990,
doi:10.1162/neco.1990.2.4.490 (their BPTT(h; h') with h = h').
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from mirrorneuron.bridge.event import detach
from mirrorneuron.bridge.mirror import Mirror
from mirrorneuron.errors import UnknownName

from ._contracts import Outcome, Rule, Task, Trial
from .window import Course, Tally, edges, part_steps

UPDATES = ("trial", "window")


class BPTTState(NamedTuple):
    """Nothing is carried from one trial to the next."""


@dataclass(frozen=True)
class BPTT(Rule[BPTTState]):
    r"""Follow the gradient of the loss back through all steps, or through those of a window.

    Arguments:
        window: Length of a window, a Quantity [s]; None is the whole trial. The gradient does
            not pass from a window to the one before, so memory is that of one window.
        update: When parameters change: after each "trial" (windows add up their gradients) or
            after each "window".

    Raises:
        UnitError: The window is no time.
        DomainError: The window is shorter than a time step, or longer than the trial.
        ShapeError: An input is longer or shorter than the trial.
        UnknownName: `update` is neither of the two.
    """

    window: Any = None
    update: Literal["trial", "window"] | str = "trial"

    def __post_init__(self) -> None:
        if self.update not in UPDATES:
            raise UnknownName.among(f"BPTT(update={self.update!r})", self.update, UPDATES)

    def init(self, model: Mirror) -> BPTTState:
        """An empty state."""
        return BPTTState()

    def step(
        self,
        state: BPTTState,
        model: Mirror,
        task: Task,
        trial: Trial,
        seed: int,
        update: Callable[[], bool],
    ) -> tuple[Outcome, BPTTState]:
        """See `Rule.step`."""
        course = Course(model, task, trial, seed)
        tally, now = Tally(course.steps), None
        for start, stop in pairwise(self._edges(model, course.steps)):
            recording = course.play(start, stop, now)
            part = task.loss(recording, trial)
            if part.requires_grad:
                part.backward()
                tally.reached = True
                if self.update == "window":
                    update()
            tally.add(part, recording)
            now = detach(recording.state)
            del recording, part  # or two windows would be held while the next one runs
        if self.update == "trial" or not tally.reached:
            update()
        return tally.outcome, state

    def _edges(self, model: Mirror, total: int) -> list[int]:
        if self.window is None:
            return edges(total, max(total, 1))
        return edges(total, part_steps(model, total, "BPTT", "window", self.window))
