"""Window: a trial played stretch by stretch, so that memory is that of one stretch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from torch import Tensor

from mirrorneuron.errors import DomainError, ShapeError
from mirrorneuron.units import si

from ..mirror import TIME, Mirror
from ..recording import Recording
from ._contracts import Outcome, Task, Trial


def part_steps(model: Mirror, total: int, rule: str, option: str, value: Any) -> int:
    """Number of time steps in a part of a trial.

    Arguments:
        model: Says how long a step is.
        total: Steps of the trial.
        rule, option: How messages name the part: "BPTT", "window".
        value: Its length, a Quantity [s].

    Raises:
        UnitError: It is no time.
        DomainError: It is not one finite time, holds no step, or is longer than the trial.
    """
    asked, dt = f"{rule}({option}={value})", model.program.dt
    seconds = si(value, TIME, f"{asked}: the {option}")
    if seconds.size != 1 or not np.isfinite(seconds).all():
        raise DomainError(
            f"{asked}: the {option} is not one finite time, but a trial is cut at equal"
            " distances. Write, say, 100*ms."
        )
    steps = round(float(seconds.item()) / dt)
    if steps < 1:
        raise DomainError(
            f"{asked}: a {option} shorter than the time step, {dt * 1e3:g} ms, holds no step."
            " Write a longer one."
        )
    if steps > total:
        raise DomainError(
            f"{asked}: a {option} of {steps} steps of {dt * 1e3:g} ms is longer than the trial,"
            f" which has {total}. Write a shorter one, or give the task a longer duration."
        )
    return steps


def edges(total: int, length: int) -> list[int]:
    """Steps at which windows of one length begin, and the end; the last may be shorter."""
    return [*range(0, total, length), total]


@dataclass(frozen=True)
class TrialRun:
    """A trial that is played in parts.

    Arguments:
        model, task, trial: What is played.
        seed: Of the trial's random numbers.
        given: Fingerprints of the rows that functions gave so far, by input, start and stop.

    Raises:
        ShapeError: An input is longer or shorter than the trial.
    """

    model: Mirror
    task: Task
    trial: Trial
    seed: int
    given: dict[tuple[str, int, int], int] = field(default_factory=dict[tuple[str, int, int], int])

    def __post_init__(self) -> None:
        steps, dt = self.steps, self.model.program.dt
        given: Any = self.trial.inputs
        if not isinstance(given, Mapping):
            raise ShapeError(
                "fit(model, ...): the inputs of a trial are no mapping, so that nothing says what"
                " they set. Write mn.Trial(inputs={'cells.I': ...})."
            )
        for key, x in self.trial.inputs.items():
            _require_rows(key, x, steps)
            if not callable(x) and len(x) != steps:
                raise ShapeError(
                    f"fit(model, ...): the input {key!r} has {len(x)} steps, but the trial takes"
                    f" {steps} steps of {dt * 1e3:g} ms. Give one row for each step, or change the"
                    " duration of the task."
                )

    @property
    def steps(self) -> int:
        """Steps of the whole trial."""
        return self.model.steps(self.task.duration)

    def play(self, start: int, stop: int, state: Mapping[str, Any] | None) -> Recording:
        """Run the steps from `start` to `stop`.

        Arguments:
            start, stop: Counted from the start of the trial.
            state: Where step `start` finds the network; None is where the trial starts.

        Raises:
            DomainError: An input gives other rows than when it was asked for them before.
        """
        return self.model.run_steps(
            stop - start,
            {key: self.rows(key, start, stop) for key in self.trial.inputs},
            batch_size=self.trial.batch_size,
            state=self.origin() if state is None else state,
            record=self.task.recorded,
            seed=None if start else self.seed,
        )

    def origin(self) -> Mapping[str, Any] | None:
        """State in which the trial starts, with the present parameters."""
        state = self.trial.state
        return state() if callable(state) else state

    def rows(self, key: str, start: int, stop: int) -> Any:
        """Rows of an input for the steps from `start` to `stop`."""
        x = self.trial.inputs[key]
        if not callable(x):
            return x[start:stop]
        rows: Any = x(start, stop)
        print_ = _fingerprint(rows)
        if self.given.setdefault((key, start, stop), print_) != print_:
            raise DomainError(
                f"Trial(inputs={{{key!r}: ...}}): the function gave other rows for the steps"
                f" {start} to {stop} when it was asked a second time, so that the gradient would"
                " be that of another trial. Draw random rows before, when the trial is made, or"
                " from np.random.default_rng([seed, start])."
            )
        return rows


def _require_rows(key: str, x: Any, steps: int) -> None:
    if not (callable(x) or hasattr(x, "__len__")) or getattr(x, "ndim", 1) == 0:
        raise ShapeError(
            f"fit(model, ...): the input {key!r} is {x!r}, but an input has a row for each of the"
            f" {steps} steps, one value a neuron in it. Give the rows, np.full((steps, neurons),"
            " value), or set what does not change in the network before it is mirrored."
        )


def _fingerprint(rows: Any) -> int:
    """A number that other values would hardly give."""
    plain = rows.detach().cpu().numpy() if isinstance(rows, Tensor) else np.asarray(rows)
    return crc32(np.ascontiguousarray(plain).tobytes())


@dataclass
class TrialSummary:
    """What the windows of a trial gave.

    Arguments:
        steps: Of the whole trial.
        loss: Sum of the windows' losses.
        reached: Whether a window's loss depended on a parameter.
        rates: Of each group [Hz].
    """

    steps: int
    loss: float = 0.0
    reached: bool = False
    rates: dict[str, float] = field(default_factory=dict[str, float])

    def add(self, part: Tensor, recording: Recording) -> None:
        """Count a window by its loss and recording."""
        self.loss += float(part.detach())
        for name, rate in recording.rates().items():
            share = rate * recording.steps / self.steps
            self.rates[name] = self.rates.get(name, 0.0) + share

    @property
    def outcome(self) -> Outcome:
        """The trial as a whole."""
        return Outcome(self.loss, self.rates)
