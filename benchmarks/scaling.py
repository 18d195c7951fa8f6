"""Scaling: how the time of training grows with steps, sparse synapses and delays.

    python benchmarks/scaling.py [--rows steps sparse delays] [--engines native sequence]
        [--rounds 5] [--quick] [--json FILE]

CPU time of forward and backward on one thread, float32, medians in one process.

* steps: row A of `engines.py` with 400 steps over 100 steps; 4 is linear.
* sparse: 4,000 recurrent cells with 2 % of all synapses, a batch of 64, 10 steps, beside a loop of
  torch in which the same synapses are a full matrix.
* delays: 1,000 cells with 2 % of all synapses and delays of 0 to 50 steps, over none, 100 steps.
"""

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import engines
import numpy as np

INPUTS, BATCH, DENSITY, LONGEST = 50, 64, 0.02, 50


def network(cells: int, longest: int, backend: str) -> Callable[[Any], Any]:
    """A training step of a sparse recurrent network."""
    from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, prefs

    import mirrorneuron as mn

    prefs.codegen.target = "numpy"
    defaultclock.dt = 1 * ms
    rng = np.random.default_rng(0)
    given = SpikeGeneratorGroup(INPUTS, [], [] * ms, name="given")
    group = NeuronGroup(
        cells, "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 1",
        reset="v -= 1", method="exact", name="cells",
    )  # fmt: skip
    feed = Synapses(given, group, "w : 1", on_pre="I_post += w", name="feed")
    feed.connect()
    feed.w = rng.normal(0, 0.8, INPUTS * cells)
    i, j, w = edges(cells)
    back = Synapses(group, group, "w : 1", on_pre="I_post += w", name="back")
    back.connect(i=i, j=j)
    back.w = w
    if longest:
        back.delay = rng.integers(0, longest + 1, len(i)) * ms
    model = mn.mirror(
        Network(given, group, feed, back), train=["feed.w", "back.w"], backend=backend,
        surrogate=mn.SuperSpike(width=0.1), reset_gradient="detach",
    )  # fmt: skip

    def step(x: Any) -> None:
        recording = model.run_steps(len(x), inputs={"given": x}, record=["cells.v"])
        model.zero_grad()
        recording["cells.v"].square().mean().backward()

    return step


def edges(cells: int) -> tuple[Any, Any, Any]:
    """Synapses and their weights."""
    rng = np.random.default_rng(1)
    i, j = np.nonzero(rng.random((cells, cells)) < DENSITY)
    return i, j, rng.normal(0, 0.3 / np.sqrt(DENSITY * cells), len(i))


def dense(cells: int) -> Callable[[Any], Any]:
    """The same network as a loop of torch operations with a full matrix."""
    import torch

    i, j, w = edges(cells)
    full = torch.zeros(cells, cells)
    full[i, j] = torch.tensor(w, dtype=torch.float32)
    feed = torch.tensor(np.random.default_rng(0).normal(0, 0.8, (INPUTS, cells)))
    back, feed = full.requires_grad_(), feed.float().requires_grad_()
    a, b = (float(np.exp(-x)) for x in (1 / 5, 1 / 10))
    k = (1 / 10) / (1 / 10 - 1 / 5) * (a - b)
    spike = engines.spike_function()

    def step(x: Any) -> None:
        back.grad = feed.grad = None
        v, current, s = (torch.zeros(x.shape[1], cells) for _ in range(3))
        trace: list[Any] = []
        for row in x:
            trace.append(v)
            v, current = b * v + k * current - s.detach(), a * current
            s = spike(v - 1)
            current = current + row @ feed + s @ back
        torch.stack(trace).square().mean().backward()

    return step


def timed(steps: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """CPU medians [ms], contenders in random turn; the first call is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(rounds):
        for name in random.sample(list(steps), len(steps)):
            gc.collect()
            start = time.process_time()
            steps[name]()
            spent[name].append(1e3 * (time.process_time() - start))
    return {name: statistics.median(times) for name, times in spent.items()}


def inputs(steps: int, count: int = INPUTS) -> Any:
    """Spikes at 3 % of the steps."""
    import torch

    stream = torch.Generator().manual_seed(0)
    return (torch.rand(steps, BATCH, count, generator=stream) < engines.RATE).float()


def rows(name: str, backends: list[str], quick: bool) -> dict[str, Callable[[], Any]]:
    """What a row times."""
    import torch

    found: dict[str, Callable[[], Any]] = {}
    cells = {"sparse": 4000, "delays": 1000}.get(name, 0) // (20 if quick else 1)
    for backend in backends:
        if name == "steps":
            shape = engines.SMALL if quick else engines.ROWS["A"]
            step = engines.mirror(shape, backend)
            y = torch.zeros(BATCH, dtype=torch.long)
            for count in (shape.steps, 4 * shape.steps):
                x = inputs(count, shape.inputs)
                found[f"{backend}, {count} steps"] = partial(step, x, y)
            continue
        x = inputs(10 if name == "sparse" or quick else 100)
        for longest in (0,) if name == "sparse" else (0, LONGEST):
            title = backend + (f", delays up to {longest}" if longest else "")
            found[title] = partial(network(cells, longest, backend), x)
    if name == "sparse":
        found["full matrix"] = partial(dense(cells), inputs(10))
    return found


def main() -> None:
    """Print the table."""
    import torch

    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    names = ["steps", "sparse", "delays"]
    parser.add_argument("--rows", nargs="+", default=names, choices=names)
    parser.add_argument("--engines", nargs="+", default=["native", "sequence"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small networks, to see it run")
    parser.add_argument("--json", help="file for the results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, dict[str, float]] = {}
    for name in given.rows:
        found = timed(rows(name, given.engines, given.quick), 1 if given.quick else given.rounds)
        results[name] = found
        print(f"{name:8}", "   ".join(f"{k}: {t:.1f} ms" for k, t in found.items()), flush=True)
    if given.json:
        with open(given.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
