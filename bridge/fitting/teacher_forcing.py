"""teacher_forcing: a run in which the recorded spikes are imposed, and how well it explains them.

Resets, adaptation and refractory periods follow the recording. What is left is smooth: how close to
threshold the model stands in each step, and how far its trace is from the recorded one. Both have
exact gradients, without a surrogate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..learning import Trial
from ..losses import Loss
from ..parameter import Positive
from ..recording import Recording
from .data import Data
from .escape import Escape, misfit
from .windows import Windows, beside

FLOOR = 1e-6
Values = Mapping[str, Tensor]
State = Mapping[str, Any]


@dataclass(frozen=True)
class Misfit(Loss):
    """How badly the model explains what was recorded, in a teacher-forced run.

    Arguments:
        data: The recording.
        windows: How it was cut.
        counted: Steps that count, "time batch neuron", before it is cut.
        escape: Noise of the threshold, or None for the likeliest.
        weight: Of the trace.
        pull: Of the distance from `centre`.
        centre: Parameters at the start of all.
        begun: Parameters at this start, in words.
        seen: Gets the simulated seconds of each evaluation.
    """

    data: Data
    windows: Windows
    counted: Tensor
    escape: Escape | None
    weight: float
    pull: float
    centre: Values
    begun: str = ""
    seen: list[float] = field(default_factory=list[float], compare=False)

    @property
    def record(self) -> tuple[str, ...]:
        """Distance to threshold, and the trace."""
        variable = self.data.variable
        return (self.data.key,) if variable is None else (self.data.key, variable)

    @property
    def identity(self) -> str:
        """A short text that another recording or other settings would hardly have."""
        data = self.data
        settings = (self.windows, self.escape, self.weight, self.pull, data.nudge, data.after,
                    data.variable, self.begun)  # fmt: skip
        found = sha256(repr(settings).encode())
        trace = {} if data.trace is None else {"trace": data.trace}
        values = {**data.series, **trace, **self.centre, "counted": self.counted}
        for key, x in sorted(values.items()):
            found.update(key.encode() + x.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:12]

    def __call__(self, recording: Recording, trial: Trial) -> Tensor:
        """The loss."""
        batch = next(iter(recording.traces.values())).shape[1]
        self.seen.append(recording.steps * recording.dt * batch)
        surprise, _ = self.surprise(recording)
        total = surprise + self.weight * self.error(recording) if self.weight else surprise
        return total + self.pull * self.distance() if self.pull else total

    @cached_property
    def _spikes(self) -> Tensor:
        return self.windows.cut(self.data.spikes)

    @cached_property
    def _counted(self) -> Tensor:
        return self.windows.counts(self.data.spikes) & self.windows.cut(self.counted)

    def surprise(self, recording: Recording) -> tuple[Tensor, Escape]:
        """Minus the log-likelihood per spike, and the noise that it belongs to."""
        margin = recording[self.data.key]
        counted = self._counted & torch.isfinite(margin)
        return misfit(margin, self._spikes, counted, recording.dt, self.escape)

    def error(self, recording: Recording) -> Tensor:
        """Logarithm of the squared error of the trace, as a share of its variance."""
        return torch.log(FLOOR + self.share(recording))

    def share(self, recording: Recording) -> Tensor:
        """Mean squared error of the trace as a share of its variance."""
        data = self.data
        assert data.variable is not None
        assert data.trace is not None
        compared = self._counted & self.windows.cut(data.compared)
        error = (recording[data.variable] - self.windows.cut(data.trace)) / (1 - data.gain)
        variance = data.trace[data.compared].var()
        return torch.where(compared, error.square(), 0.0).sum() / compared.sum() / variance

    def distance(self) -> Tensor:
        """Squared distance of the parameters from the start: of their logarithms where positive."""
        model, total = self.data.model, torch.zeros(())
        for key, start in self.centre.items():
            value = model.parameter(key)
            positive = isinstance(model.limits[key], Positive)
            gap = torch.log(value / start) if positive else (value - start) / size_of(start)
            total = total + gap.square().sum()
        return total


def size_of(value: Tensor) -> float:
    """Root mean square of a parameter, 1 where it is zero."""
    return float(value.square().mean()) ** 0.5 or 1.0


@torch.no_grad()
def states_at(data: Data, starts: Sequence[int], state: State | None) -> dict[str, Any]:
    """States of one teacher-forced run at several steps, side by side.

    Arguments:
        data: What is imposed.
        starts: Steps, increasing from 0.
        state: Of the network at the start, by default its own.
    """
    now = state if state is not None else data.model.initial_state(data.spikes.shape[1])
    found = [now]
    for start, stop in pairwise(starts):
        part = {key: x[start:stop] for key, x in data.series.items()}
        now = data.model.run_steps(stop - start, data.forced(part), state=now).state
        found.append(now)
    return beside(found, starts, data.dt)
