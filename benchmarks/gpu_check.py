"""A graphics card: parity, gradients and times of the engine `sequence` on it.

    scripts/gpu_check [--json FILE] [--rounds 5] [--device cuda]

At most eight minutes. On the device and on the CPU, in double precision, a network with recurrent,
delayed, plastic and refractory parts gives the same spikes, and values and gradients within 1e-9.
Then training of the rows A, B and D of `engines.py` is timed, beside snnTorch where that is
installed (benchmarks/peers.txt). Ends with 0 where all of it holds, with 1 where something differs,
and with 2, after saying so, where there is no card.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import engines
import numpy as np

NO_CARD = 2
TOLERANCE = 1e-9


def network() -> Any:
    """Recurrent cells with delays, plastic synapses and a refractory period."""
    from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, prefs

    prefs.codegen.target = "numpy"
    rng = np.random.default_rng(4)
    given = SpikeGeneratorGroup(8, [], [] * ms, name="given")
    cells = NeuronGroup(
        24, "dv/dt = (g - v)/(5*ms) : 1\ndg/dt = -g/(2*ms) : 1", threshold="v > 1",
        reset="v -= 1", refractory=0.3 * ms, method="exact", name="cells",
    )  # fmt: skip
    feed = Synapses(given, cells, "w : 1", on_pre="g_post += w", name="feed")
    feed.connect()
    feed.w = rng.normal(1.2, 0.5, 8 * 24)
    back = Synapses(cells, cells, "w : 1", on_pre="g_post += w", name="back")
    i, j = np.nonzero(rng.random((24, 24)) < 0.15)
    back.connect(i=i, j=j)
    back.w, back.delay = rng.normal(0, 1, len(i)), rng.integers(0, 9, len(i)) * 0.1 * ms
    plastic = Synapses(
        cells, cells, "w : 1\nx : 1", on_pre="x += 0.1*(1 - x); g_post += w*x",
        on_post="w += 0.01", name="plastic",
    )  # fmt: skip
    plastic.connect(i=i[::2], j=j[::2])
    plastic.w = rng.normal(0, 1, len(i[::2]))
    return Network(given, cells, feed, back, plastic)


def outcome(net: Any, device: str) -> dict[str, Any]:
    """Spikes, values and gradients of a run on a device."""
    import torch

    import mirrorneuron as mn

    train = ["feed.w", "back.w", "plastic.w", "plastic.x"]
    model = mn.mirror(net, train=train, dtype=torch.float64, backend="sequence", device=device)
    stream = torch.Generator().manual_seed(0)
    x = (torch.rand(200, 4, 8, generator=stream, dtype=torch.float64) < 0.1).double()
    recording = model.run_steps(200, {"given": x.to(device)}, record=["cells.v"])
    total = recording["cells.v"].square().mean() + recording.spikes["cells"].mean()
    total.backward()
    found = {"spikes": recording.spikes["cells"], "cells.v": recording["cells.v"]}
    found |= {f"gradient by {key}": model.parameter(key).grad for key in train}
    return {key: value.detach().cpu() for key, value in found.items()}


def differences(device: str) -> dict[str, float]:
    """Largest difference between a device and the CPU, of the largest value."""
    net = network()
    here, there = outcome(net, "cpu"), outcome(net, device)
    return {
        key: float((there[key] - value).abs().max() / value.abs().max())
        for key, value in here.items()
    }


def timed(row: str, device: str, rounds: int) -> dict[str, float]:
    """Wall-clock medians of a training step [ms], contenders in turn."""
    import torch

    shape = engines.ROWS[row]
    stream = torch.Generator().manual_seed(0)
    x = (
        torch.rand(shape.steps, shape.batch, shape.inputs, generator=stream) < engines.RATE
    ).float()
    y = torch.randint(0, engines.READOUT, (shape.batch,), generator=stream)
    x, y = x.to(device), y.to(device)
    steps = contenders(shape, device)
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for k in range(rounds + 1):
        for name, step in steps.items():
            _wait(device)
            start = time.perf_counter()
            step(x, y)
            _wait(device)
            spent[name] += [1e3 * (time.perf_counter() - start)] if k else []
    return {name: statistics.median(times) for name, times in spent.items()}


def contenders(shape: engines.Shape, device: str) -> dict[str, Callable[[Any, Any], Any]]:
    """What can run on the device."""
    found = {"sequence": engines.mirror(shape, "sequence", device)}
    found["plain loop"] = engines.plain(shape, device)
    try:
        found["snnTorch"] = engines.snntorch(shape, device)
    except ImportError:
        print("snnTorch is not installed: pip install -r benchmarks/peers.txt", flush=True)
    return found


def _wait(device: str) -> None:
    """Wait until the device has done its work."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()


def missing(device: str) -> str:
    """Why a device cannot be used, if so."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no CUDA device on this machine: nothing was run."
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Print the table; the exit code says what came out."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", nargs="*", default=["A", "B", "D"], choices=[*engines.ROWS])
    parser.add_argument("--json", help="file for the results")
    given = parser.parse_args(arguments)
    why = missing(given.device)
    if why:
        print(f"gpu_check: {why}")
        return NO_CARD
    found = differences(given.device)
    for key, size in found.items():
        print(f"{key:24} {size:8.1e}", flush=True)
    times = {row: timed(row, given.device, given.rounds) for row in given.rows}
    for row, made in times.items():
        cells = (f"{name} {t:8.1f} ms ({t / made['sequence']:.1f})" for name, t in made.items())
        print(f"{row:4}", "   ".join(cells), flush=True)
    if given.json:
        with open(given.json, "w") as file:
            json.dump({"differences": found, "ms": times}, file, indent=1)
    wrong = [key for key, size in found.items() if not size <= TOLERANCE]
    if wrong:
        print(f"gpu_check: {', '.join(wrong)} differ by more than {TOLERANCE:g}.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
