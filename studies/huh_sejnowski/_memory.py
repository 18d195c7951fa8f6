"""Delayed-memory XOR: two pulses, and at a cue whether they differ.

Pulses of either sign come on one input and the cue on another, after delays that vary from trial to
trial. Answers: the pulses differ, they are equal, or only one came. Where one is left out, all else
stays, so that the time of the cue tells nothing; the constants are those of Salaj et al. 2021,
doi:10.7554/eLife.65459 (github.com/IGITUGraz/adaptation_working_memory), whose cue comes earlier in
these trials.
"""

from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from brian2 import ms
from jaxtyping import Float, Int
from torch.nn.functional import cross_entropy
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

import mirrorneuron as mn
from mirrorneuron.bio.synapses import DifferentiableSynapse

from ._network import READOUT, STIMULUS, TRAINED, Values, Wiring

FIRST, PULSE, WIDTH, ANSWER, END = 20.0, 50.0, 8.0, 60.0, 20.0  # [ms]
DELAY, NULL = 170.0, 0.2  # mean of the delays [ms], share of trials with one pulse
NAMES = ("differ", "equal", "one pulse")
CELL = """
dv/dt = (1 + cos(2*pi*v))/(25*ms) + (1 - cos(2*pi*v))*(bias + feed + back)/ms : 1
bias : 1
"""


class Trials(NamedTuple):
    """Trials of the task.

    Arguments:
        x: Pulses and cue.
        labels: What the answer is.
        window: Weights of the readouts' times, which add up to one.
    """

    x: Float[np.ndarray, "time batch 2"]
    labels: Int[np.ndarray, " batch"]
    window: Float[np.ndarray, "time batch"]


@dataclass(frozen=True)
class Memory:
    """The task and its training.

    Arguments:
        cells: Theta neurons.
        dt: Time step [ms].
        longest: Longest delay [ms].
        batch, steps, lr: Of the training.
        recurrence: Spread of the weights among the cells at the start.
        seed: Of the start and of the trials.
    """

    cells: int = 80
    dt: float = 1.0
    longest: float = 170.0
    batch: int = 32
    steps: int = 2000
    lr: float = 0.004
    recurrence: float = 0.006
    seed: int = 0

    @property
    def wiring(self) -> Wiring:
        """The network."""
        synapse = DifferentiableSynapse({"s": "20*ms", "fast": "5*ms"})
        return Wiring(CELL, synapse, "rk2", self.cells, 2, len(NAMES), self.dt,
                      (*TRAINED, "cells.bias"))  # fmt: skip

    def duration(self, longest: float) -> float:
        """Of a trial [ms]."""
        return FIRST + 2 * (PULSE + longest) + ANSWER + END

    def start(self) -> Values:
        """Values before the training."""
        rng, n = np.random.default_rng(self.seed), self.cells
        return {
            "feed.w": rng.normal(0, 0.05, 2 * n),
            "back.w": rng.normal(0, self.recurrence * np.sqrt(80 / n), n * (n - 1)),
            "read.w": rng.normal(0, 0.3, len(NAMES) * n),
            "cells.bias": rng.normal(0.002, 0.002, n),
        }

    def trials(self, step: int, batch: int, longest: float) -> Trials:
        """Trials of a training step.

        Arguments:
            step: Its number.
            batch: How many.
            longest: Longest delay [ms]; longer ones are cut to it.
        """
        rng = np.random.default_rng([self.seed, step])
        t = np.arange(self.wiring.steps(self.duration(longest)))[:, None] * self.dt
        delay = np.minimum(10 * rng.geometric(10 / DELAY, batch), longest)
        second = FIRST + PULSE + delay
        cue = second + PULSE + delay
        signs = rng.choice([-1, 1], (2, batch))
        null, which = rng.random(batch) < NULL, rng.integers(0, 2, batch)
        shown = ~(null & (which == np.arange(2)[:, None]))
        one, two = (sign * there for sign, there in zip(signs, shown, strict=True))
        pulses = one * self.bump(t - FIRST) + two * self.bump(t - second)
        x = np.stack([pulses, self.bump(t - cue)], axis=-1)
        window = ((t >= cue) & (t < cue + ANSWER)).astype(float)
        labels = np.where(null, 2, (signs[0] == signs[1]).astype(int))
        return Trials(x, labels, window / window.sum(0))

    @staticmethod
    def bump(t: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """A pulse that starts at 0 [ms] and ends smoothly."""
        shape = np.exp(-0.5 * ((t - PULSE / 2) / WIDTH) ** 2)
        return shape * (t >= 0) * (t < PULSE)

    def trial(self, step: int) -> mn.Trial:
        """Trials of a training step."""
        made = self.trials(step, self.batch, self.longest)
        target = torch.from_numpy(made.window).float(), torch.from_numpy(made.labels)
        return mn.Trial({STIMULUS: torch.from_numpy(made.x)}, target, self.batch)

    def learn(self, folder: Path, progress: bool) -> tuple[Values, list[float]]:
        """Values after the training and the loss of each step; goes on from what there is."""
        start = self.start()
        model = self.wiring.mirror(start, dtype=torch.float32)
        task = mn.Task(self.duration(self.longest) * ms, loss, self.trial, [READOUT])

        def schedule(optimizer: Optimizer) -> LambdaLR:
            return LambdaLR(optimizer, lambda k: self.rate_at(k))

        done = mn.fit(
            model, task, mn.BPTT(), lambda p: Adam(p, lr=self.lr), self.steps, folder, 25,
            clip=1.0, schedule=schedule, seed=self.seed, report="text" if progress else None,
        )  # fmt: skip
        return self.wiring.trained_values(model, start), list(done.losses)

    def rate_at(self, step: int) -> float:
        """Learning rate, in that of the settings: it rises for 25 steps, then falls."""
        return min(1.0, (step + 1) / 25) * (0.51 + 0.49 * cos(pi * step / self.steps))

    def judged(self, values: Values, longest: float, trials: int = 256) -> "Answered":
        """Answers on new trials."""
        made = self.trials(2**30, trials, longest)
        model = self.wiring.mirror(values, dtype=torch.float32)
        duration = self.duration(longest) * ms
        with torch.no_grad():
            run = model.run(duration, {STIMULUS: torch.from_numpy(made.x)}, trials,
                            record=[READOUT])  # fmt: skip
        answers = answered(run[READOUT], torch.from_numpy(made.window).float()).argmax(1).numpy()
        spikes = run.spikes["cells"].numpy()
        counts = np.zeros((len(NAMES), len(NAMES)))
        np.add.at(counts, (made.labels, answers), 1)
        shown = int(np.argmax(made.labels != 2))
        return Answered(
            counts.tolist(), float(spikes.sum(0).mean() / (len(made.x) * self.dt * 1e-3)),
            made.x[:, shown].tolist(), run[READOUT][:, shown].numpy().tolist(),
            np.argwhere(spikes[:, shown] > 0).tolist(),
        )  # fmt: skip

    def gradient_error(self, duration: float) -> float:
        """Difference of the gradient from that of Brian2's runs, at the start."""
        x = self._with_both(0)
        return self.wiring.gradient_error(
            self.start(), x, duration, lambda o: (o**2).mean() + o[-1].sum(), self.seed
        )

    def _with_both(self, step: int) -> Float[np.ndarray, "time 2"]:
        """The inputs of a trial with two pulses."""
        made = self.trials(step, 16, self.longest)
        return made.x[:, int(np.argmax(made.labels != 2))]

    def in_brian2(self, values: Values) -> bool:
        """Whether Brian2 has the mirror's spikes after the training."""
        x = self._with_both(1)
        return self.wiring.in_brian2(values, x, self.duration(self.longest))


def answered(readout: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Mean of the readouts from the cue on, "batch class"."""
    return (readout * window[:, :, None]).sum(0)


def loss(recording: mn.Recording, trial: mn.Trial) -> torch.Tensor:
    """Cross-entropy of the answers."""
    window, labels = trial.target
    return cross_entropy(answered(recording[READOUT], window), labels)


@dataclass(frozen=True)
class Answered:
    """Answers of a network.

    Arguments:
        counts: Trials by label and answer.
        rate: Spikes of a cell [Hz].
        x, readout, spikes: Of one trial.
    """

    counts: list[list[float]]
    rate: float
    x: list[list[float]]
    readout: list[list[float]]
    spikes: list[list[int]]

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        counts = np.array(self.counts)
        return float(np.trace(counts) / counts.sum())

    @property
    def accuracy_null(self) -> float:
        """Share of right answers where one pulse was left out."""
        counts = np.array(self.counts)
        return float(counts[2, 2] / max(counts[2].sum(), 1))

    def plain(self) -> dict[str, Any]:
        """It as plain data."""
        return asdict(self)
