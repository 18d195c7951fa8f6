"""Backpropagation through time, whole or truncated to windows.

Truncation changes the gradient, never the loss.

Source: Werbos 1990, doi:10.1109/5.58337; truncation: Williams & Peng 1990,
doi:10.1162/neco.1990.2.4.490 (their BPTT(h; h') with h = h').
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from mirrorneuron._arguments import checked
from mirrorneuron.errors import UnknownName

from ..mirror import Mirror
from ..spikes import detach
from ._contracts import Outcome, Rule, Task, Trial
from .replay import Replay
from .window import TrialRun, TrialSummary, edges, part_steps

UPDATES = ("trial", "window")


class BPTTState(NamedTuple):
    """Nothing is carried from one trial to the next."""


@checked
@dataclass(frozen=True)
class BPTT(Rule[BPTTState]):
    r"""Follow the gradient of the loss back through all steps, or through those of a window.

    Arguments:
        window: Length of a window, a Quantity [s]; None is the whole trial. The gradient does not
            pass from a window to the one before, and each window runs twice: memory is that of
            the graph of one window, of the recording, and of one state for each window. The loss
            is that of the whole trial and does not depend on the window.
        update: When parameters change: after each "trial", or after each "window" by its own loss,
            which needs a task whose loss is a sum over time (`Task.additive`); memory is that of
            one window then.

    Raises:
        UnitError: The window is no time.
        DomainError: The window is shorter than a time step, or longer than the trial; parameters
            change after each window, and the loss is not known to be a sum over time.
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
        trial_run = TrialRun(model, task, trial, seed)
        cuts = self._edges(model, trial_run.steps)
        if self.online:
            return _by_window(trial_run, cuts, update), state
        outcome = _truncated(trial_run, cuts) if len(cuts) > 2 else _whole(trial_run)
        update()
        return outcome, state

    @property
    def online(self) -> bool:
        """Whether parameters change after each window."""
        return self.update == "window" and self.window is not None

    def _edges(self, model: Mirror, total: int) -> list[int]:
        if self.window is None:
            return edges(total, max(total, 1))
        return edges(total, part_steps(model, total, "BPTT", "window", self.window))


def _whole(trial_run: TrialRun) -> Outcome:
    """Gradients of the loss through all steps."""
    recording = trial_run.play(0, trial_run.steps, None)
    loss = trial_run.task.loss_of_trial(recording, trial_run.trial)
    if loss.requires_grad:
        loss.backward()
    return Outcome(float(loss.detach()), recording.rates())


def _truncated(trial_run: TrialRun, cuts: list[int]) -> Outcome:
    """Gradients of the same loss, through the steps of a window each."""
    replay = Replay(trial_run, cuts)
    leaves = replay.run().as_leaves()
    loss = trial_run.task.loss_of_trial(leaves, trial_run.trial)
    if loss.requires_grad:
        loss.backward()
        replay.backward(leaves)
    return Outcome(float(loss.detach()), leaves.rates())


def _by_window(trial_run: TrialRun, cuts: list[int], update: Callable[[], bool]) -> Outcome:
    """An update by the loss of each window."""
    trial_run.task.require_windows("BPTT(update='window')")
    summary, now = TrialSummary(trial_run.steps), None
    for start, stop in pairwise(cuts):
        recording = trial_run.play(start, stop, now)
        part = trial_run.task.loss_of_window(recording, trial_run.trial)
        if part.requires_grad:
            part.backward()
            summary.reached = True
            update()
        summary.add(part, recording)
        now = detach(recording.state)
        del recording, part  # or two windows would be held while the next one runs
    if not summary.reached:
        update()
    return summary.outcome
