"""What is left out: the cosine with backpropagation as recurrence grows, and memory over time."""

import multiprocessing
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from brian2 import Hz, Network, NeuronGroup, PoissonGroup, Synapses, ms
from torch import Tensor

import mirrorneuron as mn

from .._kit.memory import can_be_measured, forget_peak, resident_peak

STEP = 1.0  # [ms]


def network(cells: int, strength: float, seed: int) -> Network:
    """Cells that Poisson spikes drive and that excite and inhibit each other, and a readout."""
    rng, dt = np.random.default_rng(seed), STEP * ms
    inputs = PoissonGroup(cells, 30 * Hz, dt=dt, name="inputs")
    group = NeuronGroup(
        cells, "dv/dt = (g - v)/(20*ms) : 1\ndg/dt = -g/(5*ms) : 1", threshold="v > 1",
        reset="v = 0", method="exact", dt=dt, name="cells",
    )  # fmt: skip
    readout = NeuronGroup(2, "dy/dt = -y/(20*ms) : 1", method="exact", dt=dt, name="readout")
    sizes = {
        "input": (inputs, group, "g", 12.0, 1.0),
        "recurrent": (group, group, "g", 8.0 * strength, 0.0),
        "output": (group, readout, "y", 0.5, 0.0),
    }
    ways: list[Any] = []
    for name, (pre, post, variable, size, mean) in sizes.items():
        way: Any = Synapses(pre, post, "w : 1", on_pre=f"{variable}_post += w", dt=dt, name=name)
        way.connect("i != j" if pre is post else True)
        way.w = (rng.normal(0, 1, len(way)) + mean) * size / np.sqrt(cells) / (1 + 2 * mean)
        ways.append(way)
    return Network(inputs, group, readout, *ways)


def mirrored(cells: int, strength: float, seed: int, dtype: torch.dtype) -> mn.Mirror:
    """Its mirror."""
    return mn.mirror(network(cells, strength, seed), train=["input.w", "recurrent.w", "output.w"],
                     dtype=dtype, namespace={})  # fmt: skip


def task(steps: int) -> mn.Task:
    """Readouts that follow two waves."""

    def loss(recording: mn.Recording, trial: mn.Trial) -> Tensor:
        t = torch.from_numpy(recording.t).to(recording["readout.y"])[:, None, None]
        wave = torch.sin(2 * torch.pi * t * torch.tensor([5.0, 8.0]).to(t))
        return (recording["readout.y"] - wave).square().mean(2).sum() / steps

    return mn.Task(steps * STEP * ms, loss, record=["readout.y"], additive=True)


def gradient(model: mn.Mirror, rule: mn.Rule[Any], what: mn.Task, seed: int) -> Tensor:
    """Gradient by a rule, each parameter in units of its size."""
    model.zero_grad()
    rule.step(rule.init(model), model, what, mn.Trial(batch_size=4), seed, lambda: False)
    return torch.cat([p.grad.ravel() for p in model.parameters() if p.grad is not None])


def cosines(cells: int, strengths: Sequence[float], seeds: int, steps: int) -> list[list[float]]:
    """Cosine of the online gradient with that of backpropagation, by strength and network."""
    found: list[list[float]] = []
    for strength in strengths:
        row: list[float] = []
        for seed in range(seeds):
            model, what = mirrored(cells, strength, seed, torch.float64), task(steps)
            a, b = (gradient(model, rule, what, seed) for rule in (mn.BPTT(), mn.RTRL()))
            row.append(float(a @ b / (a.norm() * b.norm())))
        found.append(row)
    return found


def peaks(cells: int, lengths: Sequence[int], rule: str) -> list[float]:
    """Peak memory of a training step beyond that of the shortest trial [B], in a new process."""
    if not can_be_measured():
        return []
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peaks, (cells, list(lengths), rule))


def _peaks(cells: int, lengths: list[int], rule: str) -> list[float]:
    torch.set_num_threads(1)
    window: Any = 100 * ms
    made = {"traces": mn.RTRL(window), "e-prop": mn.EProp(window), "BPTT": mn.BPTT()}[rule]
    model = mirrored(cells, 0.5, 0, torch.float32)
    _step(model, made, lengths[0])  # compiles, and fills caches
    forget_peak()
    seen: list[float] = []
    for length in lengths:
        _step(model, made, length)
        seen.append(resident_peak())
    return [peak - seen[0] for peak in seen]


def _step(model: mn.Mirror, rule: mn.Rule[Any], length: int) -> None:
    model.zero_grad()
    rule.step(rule.init(model), model, task(length), mn.Trial(batch_size=4), 0, lambda: True)
