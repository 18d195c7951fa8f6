"""Ensemble: trials of a task, played as one batch where they allow it, judged one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirrorneuron.errors import GradientError

from ..draws import Draws
from ..mirror import Mirror
from ..recording import Recording
from ._contracts import Task, Trial

KEPT = 16  # values that a step keeps for the way back, for each value of the state


@dataclass(frozen=True)
class Ensemble:
    """Trials of a task, each with random numbers of its own.

    Arguments:
        model, task: What is played.
        trials: By their number k.
        seeds: Of each trial: it draws what Brian2 draws after `brian2.seed(seed)`.
    """

    model: Mirror
    task: Task
    trials: Sequence[Trial]
    seeds: Sequence[int]

    @staticmethod
    def of(model: Mirror, task: Task, trials: int, seed: int) -> "Ensemble":
        """The first trials of a task; trial k has the seed `seed + k`."""
        made = [task.trial_at(k) for k in range(trials)]
        return Ensemble(model, task, made, range(seed, seed + trials))

    def __len__(self) -> int:
        return len(self.trials)

    def part(self, start: int, stop: int) -> "Ensemble":
        """The trials from `start` up to `stop`."""
        return Ensemble(self.model, self.task, self.trials[start:stop], self.seeds[start:stop])

    def parts(self, length: int) -> Iterator["Ensemble"]:
        """All trials, at most so many at once."""
        for start in range(0, len(self), length):
            yield self.part(start, min(start + length, len(self)))

    def losses(self) -> Tensor:
        """Loss of each trial.

        Raises:
            GradientError: The loss is no scalar.
        """
        pairs = zip(self._recordings(), self.trials, strict=True)
        return torch.stack([_scalar(self.task.loss(r, trial)) for r, trial in pairs])

    @torch.no_grad()
    def by_chance(self) -> bool:
        """Whether trials draw random numbers: they differ even where their losses do not."""
        streams = next(self.part(0, 1)._recordings()).state["draws"].streams
        kept, untouched = streams[0], np.random.RandomState(self.seeds[0])
        return bool(kept.rand() != untouched.rand())

    def _recordings(self) -> Iterator[Recording]:
        return self._together() if self._alike else self._one_by_one()

    @property
    def _alike(self) -> bool:
        """Whether one batch can hold all: they differ in their random numbers alone."""
        inputs = self.trials[0].inputs
        shared = all(
            trial.inputs is inputs or not (trial.inputs or inputs) for trial in self.trials
        )
        once = all(not callable(x) and _shared(x) for x in inputs.values())
        return shared and once and all(trial.state is None for trial in self.trials)

    def _together(self) -> Iterator[Recording]:
        sizes = [trial.batch_size or 1 for trial in self.trials]
        pairs = zip(self.seeds, sizes, strict=True)
        streams = [stream for seed, size in pairs for stream in Draws(seed, size).streams]
        recording = self.model.run(
            self.task.duration,
            self.trials[0].inputs,
            state=self.model.initial_state(sum(sizes)) | {"draws": Draws.given(*streams)},
            record=self.task.recorded,
        )
        for start, stop in pairwise(accumulate(sizes, initial=0)):
            yield recording.trials(start, stop)

    def _one_by_one(self) -> Iterator[Recording]:
        steps = self.model.steps(self.task.duration)
        for trial, seed in zip(self.trials, self.seeds, strict=True):
            yield self.model.run(
                self.task.duration,
                {key: x(0, steps) if callable(x) else x for key, x in trial.inputs.items()},
                batch_size=trial.batch_size,
                state=trial.state() if callable(trial.state) else trial.state,
                record=self.task.recorded,
                seed=seed,
            )

    def at_once(self, memory: float, gradient: bool) -> int:
        """How many trials fit into so many bytes, roughly; at least one."""
        program, values = self.model.program, self.model.program.variables
        spiking = sum(program.groups[name].size for name in program.spiking())
        moving = sum(values[key].value.size for key in program.written() if key in values)
        recorded = sum(values[key].value.size for key in self.task.recorded if key in values)
        each = spiking + recorded + (KEPT * moving if gradient else 0)
        largest = max(trial.batch_size or 1 for trial in self.trials)
        bytes_ = each * largest * self.model.steps(self.task.duration) * self.model.dtype.itemsize
        return max(1, int(memory // max(bytes_, 1)))


def _shared(x: Any) -> bool:
    """Whether an input is the same for all trials of a batch."""
    return np.ndim(x) == 2 or np.shape(x)[1:2] == (1,)


def _scalar(loss: Any) -> Tensor:
    if isinstance(loss, Tensor) and loss.numel() == 1:
        return loss.reshape(())
    found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
    raise GradientError(
        f"check_gradient(model, ...): the loss of a trial is {found}, but a gradient belongs to one"
        " number. Return a scalar tensor, say recording.population_rate('cells').mean()."
    )
