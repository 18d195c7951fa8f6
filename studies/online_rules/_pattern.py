"""A network that learns to write a curve: one frozen pattern of spikes in, a sum of four sines out.

Source: the task is that of Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, figure 2 and its
methods, after Sussillo & Abbott 2009, doi:10.1016/j.neuron.2009.07.018.
Differs from it: one readout; Adam; the reset is subtracted and detached.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms
from jaxtyping import Float
from torch import Tensor

import mirrorneuron as mn

THRESHOLD, TAU, RATE = 0.03, 30.0, 10.0  # [1], [ms], [Hz]
PERIODS = (1.0, 0.5, 0.333, 0.2)  # [s]


@dataclass(frozen=True)
class Learnt:
    """What a rule made of the task.

    Arguments:
        losses: Squared error over that of a silent readout, of each training step.
        curve: The readout at the end, " time".
        rate: Mean rate of the cells at the end [Hz].
        identical: Whether Brian2 has the same spikes after the weights are written back.
    """

    losses: tuple[float, ...]
    curve: tuple[float, ...]
    rate: float
    identical: bool


@dataclass(frozen=True)
class Pattern:
    """The task.

    Arguments:
        cells: Number of inputs, and of cells.
        steps: Of a trial, each of 1 ms.
        seed: Of pattern, curve and weights.
    """

    cells: int = 100
    steps: int = 1000
    seed: int = 0

    @property
    def curve(self) -> Float[np.ndarray, " time"]:
        """The curve to write, of variance one half."""
        rng, t = np.random.default_rng([self.seed, 1]), np.arange(self.steps) / 1000
        sizes, phases = rng.uniform(0.5, 2, 4), rng.uniform(0, 2 * np.pi, 4)
        waves = [a * np.sin(2 * np.pi * t / p + f)
                 for a, p, f in zip(sizes, PERIODS, phases, strict=True)]  # fmt: skip
        whole = np.sum(waves, axis=0)
        return whole / (np.sqrt(2) * whole.std())

    def network(self) -> Network:
        """The Brian2 network."""
        rng, n = np.random.default_rng(self.seed), self.cells
        step, index = np.nonzero(rng.random((self.steps, n)) < 0.05)
        dt: Any = 1 * ms
        inputs = SpikeGeneratorGroup(n, index, step * ms, dt=dt, name="inputs")
        names = {"tau": TAU * ms, "theta": THRESHOLD}
        cells = NeuronGroup(n, "dv/dt = -v/tau : 1", threshold="v > theta", reset="v -= theta",
                            method="exact", dt=dt, name="cells", namespace=names)  # fmt: skip
        readout = NeuronGroup(1, "dy/dt = -y/tau : 1", method="exact", dt=dt, name="readout",
                              namespace=names)  # fmt: skip
        size = THRESHOLD / np.sqrt(n)
        ways = [
            _way(inputs, cells, "v", "input", rng, 1.5 * size),
            _way(cells, cells, "v", "recurrent", rng, size),
            _way(cells, readout, "y", "output", rng, 0.3 / np.sqrt(n)),
        ]
        return Network(inputs, cells, readout, *ways)

    def learn(self, rule: mn.Rule[Any], steps: int, lr: float, progress: bool) -> Learnt:
        """Train a network by a rule, and run it in Brian2."""
        model = mn.mirror(
            self.network(), train=["input.w", "recurrent.w", "output.w"], namespace={},
            surrogate=mn.Triangle(width=THRESHOLD, factor=0.3), reset_gradient="detach",
        )  # fmt: skip
        curve = torch.tensor(self.curve, dtype=model.dtype)[:, None, None]
        power = float(curve.square().mean())
        errors: list[float] = []

        def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
            error = (recording["readout.y"] - curve).square().mean() / power
            errors.append(float(error.detach()))
            rates = recording.spikes["cells"].mean((0, 1)) * 1e3
            return error + 0.1 * ((rates - RATE) / 100).square().mean()

        duration: Any = self.steps * ms
        task = mn.Task(duration, loss, record=["readout.y"])
        mn.fit(model, task, rule, lambda p: torch.optim.Adam(p, lr=lr), steps=steps,
               report="text" if progress else None)  # fmt: skip
        network = self.network()
        model.write_back(network)
        twin = mn.mirror(network, dtype=torch.float64, namespace={})
        with torch.no_grad():
            recording = twin.run(duration, record=["readout.y"])
        verdict = mn.validate(network, twin, duration, namespace={})
        return Learnt(tuple(errors), tuple(recording["readout.y"].ravel().tolist()),
                      recording.rates()["cells"], verdict.ok)  # fmt: skip


def _way(
    pre: Any, post: Any, variable: str, name: str, rng: np.random.Generator, size: float
) -> Any:
    made: Any = Synapses(pre, post, "w : 1", on_pre=f"{variable}_post += w", dt=1 * ms, name=name)
    made.connect("i != j" if pre is post else True)
    made.w = rng.normal(0, size, len(made))
    return made


def rules(task: Pattern) -> Mapping[str, mn.Rule[Any]]:
    """The rules that learn it."""
    curve = 0.1 * torch.tensor(task.curve)[:, None, None]  # as small as a readout of spikes is

    def local(y: Tensor, recording: mn.Recording, trial: mn.Trial) -> Tensor:
        return (y - curve.to(y)).square().mean() / curve.square().mean().to(y)

    return {
        "e-prop, symmetric": mn.EProp(),
        "e-prop, random": mn.EProp(feedback="random"),
        "OTTT": mn.OTTT(),
        "DECOLLE": mn.DECOLLE(local_loss=local, outputs=1),
        "BPTT": mn.BPTT(),
    }
