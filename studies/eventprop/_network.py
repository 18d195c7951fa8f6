"""The network of the study, its loss, and its trainings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, second
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import ExponentialLR

import mirrorneuron as mn
from mirrorneuron.bridge.losses.first_spike import latency

from ._yin_yang import Samples

TAU_0, TAU_1, ALPHA = 0.5e-3, 6.4e-3, 3e-3
CELL = """
dv/dt = (I - v)/(20*ms) : 1
dI/dt = -I/(5*ms) : 1
"""
PARTS = ("feed.w", "read.w")


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Arguments:
        hidden: Number of hidden neurons.
        dt: Time step [s].
        duration: Of a trial [s].
        batch, epochs: Trials in an update, and passes through all samples.
        lr, decay: Learning rate, and its factor from epoch to epoch.
        seed: Of weights and of the order of samples.
    """

    hidden: int
    dt: float
    duration: float
    batch: int
    epochs: int
    lr: float
    decay: float
    seed: int

    def network(self) -> Network:
        """5 inputs, hidden neurons and 3 outputs; weights drawn as published."""
        rng = np.random.default_rng(self.seed)
        dt = self.dt * second
        given = SpikeGeneratorGroup(5, [], [] * ms, dt=dt, name="stimulus")
        hidden = _cells(self.hidden, "hidden", dt)
        out = _cells(3, "out", dt)
        feed = _joined(given, hidden, "feed", dt, rng.normal(1.5, 0.78, (5, self.hidden)))
        read = _joined(hidden, out, "read", dt,
                       rng.normal(0.93, 0.1, (self.hidden, 3)) * (200 / self.hidden))  # fmt: skip
        return Network(given, hidden, out, feed, read)

    def model(self) -> mn.Mirror:
        """Its mirror."""
        return mn.mirror(self.network(), train=list(PARTS), dtype=torch.float32)

    def steps_per_epoch(self, samples: Samples) -> int:
        """Updates in an epoch."""
        return -(-len(samples.labels) // self.batch)

    def trial(self, samples: Samples, timed: bool) -> Callable[[int], mn.Trial]:
        """Trials of the samples, in another order in each epoch."""
        every, times = self.steps_per_epoch(samples), samples.times()

        def made(step: int) -> mn.Trial:
            order = np.random.default_rng([self.seed, step // every]).permutation(len(times))
            chosen = order[(step % every) * self.batch :][: self.batch]
            return self.shown(times[chosen], samples.labels[chosen], timed)

        return made

    def shown(self, times: Any, labels: Any, timed: bool) -> mn.Trial:
        """Samples as a trial: as times, or on the grid of the clock."""
        given = mn.SpikeTimes(torch.from_numpy(times).float())
        steps = round(self.duration / self.dt)
        inputs = {"stimulus": given if timed else given.raster(steps, self.dt)}
        return mn.Trial(inputs, torch.from_numpy(labels), batch_size=len(labels))

    def fit(
        self, samples: Samples, rule: mn.Rule[Any], folder: Path
    ) -> tuple[mn.Mirror, list[float]]:
        """A trained model, and the loss of each update; goes on from what the folder has."""
        model, every = self.model(), self.steps_per_epoch(samples)
        task = mn.Task(self.duration * second, loss, self.trial(samples, _is_timed(rule)))

        def schedule(optimizer: Optimizer) -> ExponentialLR:
            return ExponentialLR(optimizer, self.decay ** (1 / every))

        def adam(parameters: Any) -> Optimizer:
            return Adam(parameters, lr=self.lr)

        fit = mn.fit(model, task, rule, adam, self.epochs * every, folder, every, schedule=schedule,
               seed=self.seed, report=None)  # fmt: skip
        return model, list(fit.losses)

    def answers(self, model: mn.Mirror, samples: Samples, timed: bool, part: int = 250) -> Tensor:
        """Times of the outputs' first spikes [s], "sample neuron"."""
        found: list[Tensor] = []
        with torch.no_grad():
            for k in range(0, len(samples.labels), part):
                rows = slice(k, k + part)
                trial = self.shown(samples.times()[rows], samples.labels[rows], timed)
                found.append(self._played(model, trial, timed))
        return torch.cat(found)

    def _played(self, model: mn.Mirror, trial: mn.Trial, timed: bool) -> Tensor:
        duration, size = self.duration * second, trial.batch_size
        if timed:
            return mn.EventProp().run(model, duration, trial.inputs, size).first_times("out")
        return output_times(model.run(duration, trial.inputs, size))


def _is_timed(rule: mn.Rule[Any]) -> bool:
    return isinstance(rule, mn.EventProp)


def _cells(size: int, name: str, dt: Any) -> NeuronGroup:
    return NeuronGroup(size, CELL, threshold="v > 1", reset="v = 0", method="exact", dt=dt,
                       name=name, namespace={})  # fmt: skip


def _joined(source: Any, target: Any, name: str, dt: Any, weights: Any) -> Synapses:
    made = Synapses(source, target, "w : 1", on_pre="I_post += w", dt=dt, name=name)
    made.connect()
    made.w = weights.ravel()
    return made


def output_times(recording: Any) -> Tensor:
    """Times of the outputs' first spikes [s], "batch neuron"; infinity where there is none."""
    if hasattr(recording, "spike_times"):
        return recording.first_times("out")
    spikes = recording.spikes["out"]
    silent = spikes.sum(0) == 0
    return torch.where(silent, torch.inf, latency(spikes, recording.dt))


def loss(recording: Any, trial: mn.Trial) -> Tensor:
    r"""Cross-entropy of the first spikes, and a cost of late ones.

    $-\log(e^{-t_l/\tau_0} / \sum_k e^{-t_k/\tau_0}) + \alpha (e^{t_l/\tau_1} - 1)$ over the outputs
    k that spike; trials whose output l is silent do not count (Wunderlich & Pehle 2021, methods).
    """
    times = output_times(recording)
    label = trial.target[:, None]
    right = times.gather(1, label)[:, 0]
    spiked = torch.isfinite(right)
    if not bool(spiked.any()):
        return torch.where(torch.isfinite(times), times, 0.0).sum() * 0.0
    entropy = right[spiked] / TAU_0 + torch.logsumexp(-times[spiked] / TAU_0, 1)
    late = torch.expm1(right[spiked] / TAU_1)
    return (entropy + ALPHA * late).sum() / len(times)


def accuracy(times: Tensor, labels: Any) -> float:
    """Share of samples whose output is the first to spike."""
    first = times.argmin(1).cpu().numpy()
    spiked = torch.isfinite(times).any(1).cpu().numpy()
    return float(np.mean((first == labels) & spiked))
