"""Backpropagation through time, whole or truncated to windows.

Source: Werbos 1990, doi:10.1109/5.58337; truncation: Williams & Peng 1990,
doi:10.1162/neco.1990.2.4.490 (their BPTT(h; h') with h = h').
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from mirrorneuron.bridge.event import detach
from mirrorneuron.bridge.mirror import Mirror
from mirrorneuron.errors import DomainError, ShapeError

from ._contracts import Outcome, Rule, Task, Trial


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
        DomainError: The window is shorter than a time step.
        ShapeError: An input is longer or shorter than the trial.
    """

    window: Any = None
    update: Literal["trial", "window"] = "trial"

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
        update: Callable[[], None],
    ) -> tuple[Outcome, BPTTState]:
        """See `Rule.step`."""
        total = model.steps(task.duration)
        length = total if self.window is None else model.steps(self.window)
        if length < 1:
            raise DomainError(
                f"BPTT(window={self.window}): a window shorter than the time step,"
                f" {model.program.dt * 1e3:g} ms, holds no step. Write a longer one, or None."
            )
        _require_length(trial, total, model.program.dt)
        now = trial.state() if callable(trial.state) else trial.state
        loss, rates, reached = 0.0, dict[str, float](), False
        for start in range(0, total, length):
            stop = min(start + length, total)
            recording = model.run_steps(
                stop - start,
                {key: x[start:stop] for key, x in trial.inputs.items()},
                batch_size=trial.batch_size,
                state=now if start == 0 or now is None else detach(now),
                record=task.record,
                seed=seed if start == 0 else None,
            )
            part = task.loss(recording, trial)
            if part.requires_grad:
                part.backward()
                reached = True
            loss += float(part.detach())
            now = recording.state
            for name, rate in recording.rates().items():
                rates[name] = rates.get(name, 0.0) + rate * (stop - start) / total
            if self.update == "window" and part.requires_grad:
                update()
        if self.update == "trial" or not reached:
            update()
        return Outcome(loss, rates), state


def _require_length(trial: Trial, steps: int, dt: float) -> None:
    for key, x in trial.inputs.items():
        if len(x) != steps:
            raise ShapeError(
                f"fit(model, ...): the input {key!r} has {len(x)} steps, but the trial takes"
                f" {steps} steps of {dt * 1e3:g} ms. Give one row for each step, or change the"
                " duration of the task."
            )
