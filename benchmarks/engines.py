"""Engines: training time of recurrent networks, beside a plain torch loop and snnTorch.

    python benchmarks/engines.py [--rows A B D one] [--rounds 7] [--quick] [--json FILE]

The network is the same for all: current-based LIF cells with recurrence, a leaky readout of 20
units, cross-entropy of its mean over time, float32, input at 3 % of the steps. A: 100 inputs, 128
cells, a batch of 64, 100 steps; B: 700 and 256; D: 700 and 1,024; one: as A, one trial of 1,000
steps. Times are CPU seconds of forward and backward on one thread, contenders in turn in one
process, medians. `--rows memory` measures the peak of memory over 1,000 to 16,000 steps with a loss
at every step, each in a process of its own. snnTorch is compared where it is installed
(benchmarks/peers.txt); the plain loop and the mirror's engines always.
"""

import argparse
import gc
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

READOUT, RATE, SLOPE = 20, 0.03, 10.0
MEMORY_STEPS = (1000, 4000, 16000)


class Shape(NamedTuple):
    """Size of a row."""

    inputs: int
    cells: int
    batch: int
    steps: int


ROWS = {
    "A": Shape(100, 128, 64, 100),
    "B": Shape(700, 256, 64, 100),
    "D": Shape(700, 1024, 64, 100),
    "one": Shape(100, 128, 1, 1000),
}
SMALL = Shape(20, 16, 4, 20)


def weights(shape: Shape) -> dict[str, Any]:
    """Weights that give a rate of about 3 % of the steps."""
    rng = np.random.default_rng(0)
    n, c = shape.cells, shape.inputs
    return {
        "feed": rng.normal(0, 1 / np.sqrt(RATE * c), (c, n)),
        "back": rng.normal(0, 0.5 / np.sqrt(n), (n, n)),
        "out": rng.normal(0, 1 / np.sqrt(n), (n, READOUT)),
    }


def mirror(shape: Shape, backend: str, device: str = "cpu") -> Callable[[Any, Any], Any]:
    """A training step of the mirror, which gives the loss and the gradient of `back`."""
    import torch
    from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, prefs

    import mirrorneuron as mn

    prefs.codegen.target = "numpy"
    defaultclock.dt = 1 * ms
    given = SpikeGeneratorGroup(shape.inputs, [], [] * ms, name="given")
    cells = NeuronGroup(
        shape.cells, "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 1",
        reset="v -= 1", method="exact", name="cells",
    )  # fmt: skip
    readout = NeuronGroup(READOUT, "dv/dt = -v/(10*ms) : 1", method="exact", name="readout")
    made: list[Any] = []
    for name, pre, post, target in (
        ("feed", given, cells, "I"), ("back", cells, cells, "I"), ("out", cells, readout, "v"),
    ):  # fmt: skip
        synapses = Synapses(pre, post, "w : 1", on_pre=f"{target}_post += w", name=name)
        synapses.connect()
        synapses.w = weights(shape)[name].reshape(-1)
        made.append(synapses)
    model = mn.mirror(
        Network(given, cells, readout, *made), train=["feed.w", "back.w", "out.w"],
        backend=backend, surrogate=mn.SuperSpike(width=1 / SLOPE), reset_gradient="detach",
        device=device,
    )  # fmt: skip

    def step(x: Any, y: Any) -> Any:
        recording = model.run_steps(len(x), inputs={"given": x}, record=["readout.v"])
        loss = torch.nn.functional.cross_entropy(recording["readout.v"].mean(0), y)
        model.zero_grad()
        loss.backward()
        return float(loss.detach())

    return step


def spike_function() -> Callable[[Any], Any]:
    """A step with the surrogate of Zenke and Ganguli 2018, doi:10.1162/neco_a_01086."""
    import torch

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, margin: Any) -> Any:
            ctx.save_for_backward(margin)
            return (margin > 0).to(margin.dtype)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            (margin,) = ctx.saved_tensors
            return grads[0] * 0.5 * SLOPE / (1 + SLOPE * margin.abs()) ** 2

    return Spike.apply


def plain(shape: Shape, device: str = "cpu") -> Callable[[Any, Any], Any]:
    """The same network as a loop of torch operations, as tutorials write it."""
    import torch

    w = {
        name: torch.tensor(x, dtype=torch.float32, device=device, requires_grad=True)
        for name, x in weights(shape).items()
    }
    a, b, c = (float(np.exp(-x)) for x in (1 / 5, 1 / 10, 1 / 10))
    k = (1 / 10) / (1 / 10 - 1 / 5) * (a - b)
    spike = spike_function()

    def step(x: Any, y: Any) -> Any:
        size = (x.shape[1], shape.cells)
        v, i, s = (torch.zeros(size, device=device) for _ in range(3))
        out, total = (torch.zeros(x.shape[1], READOUT, device=device) for _ in range(2))
        for row in x:
            total = total + out
            v, i = b * v + k * i - s.detach(), a * i
            out = c * out
            s = spike(v - 1)
            i = i + row @ w["feed"] + s @ w["back"]
            out = out + s @ w["out"]
        loss = torch.nn.functional.cross_entropy(total / len(x), y)
        for parameter in w.values():
            parameter.grad = None
        loss.backward()
        return float(loss.detach())

    return step


def snntorch(shape: Shape, device: str = "cpu") -> Callable[[Any, Any], Any]:
    """snnTorch, as in its tutorials: its own reset and order of operations."""
    import snntorch as snn
    import torch

    given = weights(shape)
    feed = torch.nn.Linear(shape.inputs, shape.cells, bias=False)
    cells = snn.RSynaptic(
        alpha=0.8187, beta=0.9048, linear_features=shape.cells, reset_mechanism="subtract",
        spike_grad=snn.surrogate.fast_sigmoid(slope=SLOPE),
    )  # fmt: skip
    out = torch.nn.Linear(shape.cells, READOUT, bias=False)
    readout = snn.Leaky(beta=0.9048, reset_mechanism="none")
    with torch.no_grad():
        feed.weight.copy_(torch.tensor(given["feed"].T * 0.1))
        cells.recurrent.weight.copy_(torch.tensor(given["back"].T * 0.1))
        out.weight.copy_(torch.tensor(given["out"].T))
    for module in (feed, cells, out, readout):
        module.to(device)
    parameters = [*feed.parameters(), *cells.parameters(), *out.parameters()]

    def step(x: Any, y: Any) -> Any:
        spikes, current, v = cells.init_rsynaptic()
        level = readout.init_leaky()
        levels: list[Any] = []
        for row in x:
            spikes, current, v = cells(feed(row), spikes, current, v)
            _, level = readout(out(spikes), level)
            levels.append(level)
        loss = torch.nn.functional.cross_entropy(torch.stack(levels).mean(0), y)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        return float(loss.detach())

    return step


def contenders(shape: Shape) -> dict[str, Callable[[Any, Any], Any]]:
    """All that can run here."""
    found = {name: mirror(shape, name) for name in ("native", "sequence")}
    found["plain loop"] = plain(shape)
    with suppress(ImportError):
        found["snnTorch"] = snntorch(shape)
    return found | {"eager": mirror(shape, "eager")}


def timed(row: str, shape: Shape, rounds: int) -> dict[str, Any]:
    """Medians of a row [ms]; the eager engine is timed less often."""
    import torch

    torch.set_num_threads(1)
    stream = torch.Generator().manual_seed(0)
    size = (shape.steps, shape.batch, shape.inputs)
    x = (torch.rand(size, generator=stream) < RATE).float()
    y = torch.randint(0, READOUT, (shape.batch,), generator=stream)
    steps = contenders(shape)
    losses = {name: step(x, y) for name, step in steps.items()}
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for k in range(rounds):
        for name in random.sample(list(steps), len(steps)):
            if name == "eager" and k > 1:
                continue
            gc.collect()
            start = time.process_time()
            steps[name](x, y)
            spent[name].append(1e3 * (time.process_time() - start))
    return {
        "row": row,
        "ms": {name: statistics.median(times) for name, times in spent.items()},
        "loss": losses,
    }


def peak(steps: int, backend: str) -> float:
    """Memory that training a trial of so many steps takes over that of 10 steps [MB]."""
    import torch

    import mirrorneuron as mn

    torch.set_num_threads(1)
    model = memory_model(backend)
    x = (torch.rand(steps, 16, 50, generator=torch.Generator().manual_seed(0)) < RATE).float()

    def train(rows: Any) -> None:
        recording = model.run_steps(len(rows), inputs={"given": rows}, record=["readout.y"])
        (recording["readout.y"] - 1).square().mean().backward()

    train(x[:10])
    assert isinstance(model, mn.Mirror)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    train(x)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3


def memory_model(backend: str) -> Any:
    """50 inputs, 100 recurrent cells and one readout."""
    from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, prefs

    import mirrorneuron as mn

    prefs.codegen.target = "numpy"
    defaultclock.dt = 1 * ms
    rng = np.random.default_rng(0)
    given = SpikeGeneratorGroup(50, [], [] * ms, name="given")
    cells = NeuronGroup(
        100, "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 1",
        reset="v -= 1", method="exact", name="cells",
    )  # fmt: skip
    readout = NeuronGroup(1, "dy/dt = -y/(20*ms) : 1", method="exact", name="readout")
    made: list[Any] = []
    for name, pre, post, target, size in (
        ("feed", given, cells, "I", 1.0), ("back", cells, cells, "I", 0.1),
        ("out", cells, readout, "y", 0.1),
    ):  # fmt: skip
        synapses = Synapses(pre, post, "w : 1", on_pre=f"{target}_post += w", name=name)
        synapses.connect()
        synapses.w = rng.normal(0, size, len(pre) * len(post))
        made.append(synapses)
    network = Network(given, cells, readout, *made)
    return mn.mirror(network, train=["feed.w", "back.w", "out.w"], backend=backend)


def memory(steps: tuple[int, ...]) -> list[dict[str, Any]]:
    """Peaks of memory, each in a process of its own."""
    found: list[dict[str, Any]] = []
    for backend in ("native", "sequence", "eager"):
        for count in steps:
            if backend == "eager" and count > MEMORY_STEPS[1]:
                continue
            start = time.perf_counter()
            made = subprocess.run(
                [sys.executable, __file__, "--peak", str(count), backend],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            seconds = time.perf_counter() - start
            found.append({"row": f"memory, {count:,} steps, {backend}",
                          "MB": float(made.stdout.split()[-1]), "s": seconds})  # fmt: skip
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=[*ROWS], choices=[*ROWS, "memory"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a small network, to see it run")
    parser.add_argument("--json", help="file for the results")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak:
        print(peak(int(given.peak[0]), given.peak[1]))
        return
    results: list[dict[str, Any]] = []
    for row in given.rows:
        if row == "memory":
            results += memory((50,) if given.quick else MEMORY_STEPS)
            continue
        results.append(
            timed(row, SMALL if given.quick else ROWS[row], 2 if given.quick else given.rounds)
        )
    for found in results:
        if "ms" not in found:
            print(f"{found['row']:32} {found['MB']:8.1f} MB")
            continue
        times, native = found["ms"], found["ms"]["native"]
        cells = (f"{name} {t:8.1f} ms ({t / native:.1f})" for name, t in times.items())
        print(f"{found['row']:4}", "   ".join(cells), flush=True)
    if given.json:
        with open(given.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
