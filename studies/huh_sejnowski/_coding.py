r"""Predictive coding: cells without a leak write what their input has been, with few spikes.

The target is the low-pass filtered input, $\tau \dot o_d = -o_d + i$. Theory says that currents
should nearly cancel, $W_f \approx -U O$ (Boerlin, Machens & Denève 2013,
doi:10.1371/journal.pcbi.1003258): each spike tells the others what it has written.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from brian2 import ms
from jaxtyping import Float
from scipy.signal import lfilter
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

import mirrorneuron as mn
from mirrorneuron.bio.synapses import DifferentiableSynapse

from ._network import READOUT, STIMULUS, Values, Wiring

SLOW, FAST, SETTLED = 10.0, 1.0, 50.0  # [ms]
WAVES, LOW, HIGH = 3, 5.0, 35.0  # [Hz]
CELL = "dv/dt = (feed + back)/ms : 1"
CURRENTS = ("cells.feed", "cells.back")


@dataclass(frozen=True)
class Coding:
    """The task and its training.

    Arguments:
        cells: Their number.
        dt: Time step [ms].
        duration: Of a trial [ms].
        batch, steps, lr: Of the training.
        cost: Of the squared traces of the readout, beside the squared error.
        size: Of what a spike writes, at the start.
        feedback: Share of -U O with which the cells act on each other at the start.
        seed: Of the start and of the trials.
    """

    cells: int = 30
    dt: float = 0.2
    duration: float = 250.0
    batch: int = 12
    steps: int = 1500
    lr: float = 1.5e-3
    cost: float = 1.0
    size: float = 0.2
    feedback: float = 0.5
    seed: int = 0

    @property
    def wiring(self) -> Wiring:
        """The network."""
        synapse = DifferentiableSynapse({"s": f"{SLOW}*ms", "fast": f"{FAST}*ms"}, 0.7, 1.0)
        return Wiring(CELL, synapse, "euler", self.cells, 2, 2, self.dt)

    def values(self, angles: Any, feedback: float, noise: float, rng: Any) -> Values:
        """Weights of cells that write in some directions, with a part of what theory says."""
        way = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # [cell 2]
        feed, read = way / self.size, way * self.size
        off = ~np.eye(self.cells, dtype=bool)
        back = -feedback * (feed @ read.T).T[off] + rng.normal(0, noise, off.sum())
        start = rng.uniform(0, 0.7, self.cells)
        return {"feed.w": feed.T.ravel() / SLOW, "read.w": read.ravel(), "back.w": back / FAST,
                "cells.v": start}  # fmt: skip

    def start(self) -> Values:
        """Values before the training: random directions, and feedback that is too weak."""
        rng = np.random.default_rng(self.seed)
        return self.values(rng.uniform(0, 2 * np.pi, self.cells), self.feedback, 0.05, rng)

    def analytic(self, share: float = 0.9) -> Values:
        """Values of the theory, directions evenly on the circle."""
        angles = 2 * np.pi * np.arange(self.cells) / self.cells
        return self.values(angles, share, 0.0, np.random.default_rng(self.seed))

    def inputs(self, step: int, batch: int) -> Float[np.ndarray, "time batch 2"]:
        """Sums of three sines."""
        rng = np.random.default_rng([self.seed, 7, step])
        t = np.arange(self.wiring.steps(self.duration))[:, None, None, None] * self.dt * 1e-3
        frequency = rng.uniform(LOW, HIGH, (batch, 2, WAVES))
        phase = rng.uniform(0, 2 * np.pi, (batch, 2, WAVES))
        size = rng.normal(size=(batch, 2, WAVES)) / np.sqrt(WAVES)
        return (size * np.sin(2 * np.pi * frequency * t + phase)).sum(-1)

    def target(self, x: Float[np.ndarray, "time ..."]) -> Float[np.ndarray, "time ..."]:
        """The filtered input, as it is at the start of each step."""
        left = np.exp(-self.dt / SLOW)
        return np.asarray(lfilter([0, 1 - left], [1, -left], x, axis=0))

    def trial(self, step: int) -> mn.Trial:
        """Trials of a training step."""
        x = self.inputs(step, self.batch)
        return mn.Trial({STIMULUS: torch.from_numpy(x)}, torch.from_numpy(self.target(x)).float(),
                        self.batch)  # fmt: skip

    def error(self, readout: Any, target: Any) -> Any:
        """Squared error in that of silence, once the start is over."""
        late = self.wiring.steps(SETTLED)
        return ((readout - target)[late:] ** 2).mean() / (target[late:] ** 2).mean()

    def loss(self, recording: mn.Recording, trial: mn.Trial) -> torch.Tensor:
        """The error, and the cost of spikes."""
        late = self.wiring.steps(SETTLED)
        cost = recording["cells.s"][late:].square().mean()
        return self.error(recording[READOUT], trial.target) + self.cost * cost

    def learn(self, folder: Path, progress: bool) -> tuple[Values, list[float]]:
        """Values after the training and the loss of each step; goes on from what there is."""
        start = self.start()
        model = self.wiring.mirror(start, dtype=torch.float32)
        task = mn.Task(self.duration * ms, self.loss, self.trial, [READOUT, "cells.s"])

        def adam(parameters: Any) -> Optimizer:  # each gradient is noisy: the mean is of many
            return Adam(parameters, lr=self.lr, betas=(0.97, 0.999))

        def schedule(optimizer: Optimizer) -> CosineAnnealingLR:
            return CosineAnnealingLR(optimizer, self.steps, self.lr / 20)

        done = mn.fit(
            model, task, mn.BPTT(), adam, self.steps, folder, 50, clip=1.0, schedule=schedule,
            seed=self.seed, report="text" if progress else None,
        )  # fmt: skip
        return self.wiring.trained_values(model, start), list(done.losses)

    def judged(self, values: Values, trials: int = 8) -> "Coded":
        """A network on new trials."""
        x = self.inputs(-1 % 2**31, trials)
        model = self.wiring.mirror(values, dtype=torch.float32)
        duration = self.duration * ms
        with torch.no_grad():
            run = model.run(duration, {STIMULUS: torch.from_numpy(x)}, trials,
                            record=[READOUT, *CURRENTS])  # fmt: skip
        readout, target = run[READOUT].numpy(), self.target(x)
        spikes = run.spikes["cells"].numpy()
        feed, back = (run[key].numpy() for key in CURRENTS)
        matrix = self.wiring.matrices(values)
        off = ~np.eye(self.cells, dtype=bool)
        theory, found = -(matrix["feed"] * SLOW @ matrix["read"])[off], matrix["back"][off] * FAST
        return Coded(
            error=float(self.error(readout, target)),
            rate=float(spikes.sum(0).mean() / (self.duration * 1e-3)),
            correlation=float(np.corrcoef(theory, found)[0, 1]),
            slope=float(theory @ found / (theory @ theory)),
            balance=self.balance(feed, back, SLOW), balance_raw=self.balance(feed, back, 0.0),
            theory=theory.tolist(), found=found.tolist(), readout=readout[:, 0].tolist(),
            target=target[:, 0].tolist(), spikes=np.argwhere(spikes[:, 0] > 0).tolist(),
            currents=np.stack([feed, back])[:, :, 0, 0].tolist(),
        )  # fmt: skip

    def balance(self, feed: Any, back: Any, tau: float) -> float:
        """Size of the sum of both currents, in that of the input's, each filtered [ms]."""
        left = np.exp(-self.dt / tau) if tau else 0.0
        late = self.wiring.steps(SETTLED)
        both, one = (
            np.asarray(lfilter([1 - left], [1, -left], x, axis=0))[late:]
            for x in (feed + back, feed)
        )
        return float(np.sqrt((both**2).mean() / (one**2).mean()))

    def gradient_error(self, duration: float) -> float:
        """Difference of the gradient from that of Brian2's runs, at the start."""
        x = self.inputs(0, 1)[:, 0]
        target = torch.from_numpy(self.target(x))[: self.wiring.steps(duration)]
        return self.wiring.gradient_error(
            self.start(), x, duration, lambda o: (o - target).square().mean(), self.seed
        )

    def in_brian2(self, values: Values) -> bool:
        """Whether Brian2 has the mirror's spikes after the training."""
        return self.wiring.in_brian2(values, self.inputs(1, 1)[:, 0], self.duration)


@dataclass(frozen=True)
class Coded:
    """What a network writes.

    Arguments:
        error: Squared error in that of silence.
        rate: Spikes of a cell [Hz].
        correlation, slope: Of the weights among cells with -U O.
        balance, balance_raw: Size of the sum of all currents in that of the input's, over the time
            constant of the readout and from step to step.
        theory, found: Weights -U O, and those that there are.
        readout, target, spikes, currents: Of the first trial; currents are those of one cell.
    """

    error: float
    rate: float
    correlation: float
    slope: float
    balance: float
    balance_raw: float
    theory: list[float]
    found: list[float]
    readout: list[list[float]]
    target: list[list[float]]
    spikes: list[list[int]]
    currents: list[list[float]]

    def plain(self) -> dict[str, Any]:
        """It as plain data."""
        return asdict(self)
