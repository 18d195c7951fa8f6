"""Reading and running a large sparse network: seconds and memory, and how cost grows with time.

A table: how long it takes to read 10,000 neurons with 10^6 synapses of heterogeneous delays, how
long 100 ms of it take without gradient, and forward and backward over T and 4T steps. Each
row runs in a process of its own, so that the peak of its memory is its own.

    python benchmarks/network.py [--neurons 10000] [--degree 100] [--repeats 3]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

ROWS = ("build in Brian2", "read", "run 100 ms", "backward 100 steps", "backward 400 steps")


def measure(row: str, n: int, degree: int) -> dict[str, float]:
    """Seconds of one row, and the peak of the process's memory [GB]."""
    import numpy as np
    import torch
    from brian2 import Network, NeuronGroup, Synapses, ms, mV, prefs

    import mirrorneuron as mn

    prefs.codegen.target = "numpy"
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    cells = NeuronGroup(
        n, "dv/dt = (-49*mV - v + g)/(20*ms) : volt (unless refractory)\ndg/dt = -g/(5*ms) : volt",
        threshold="v > -50*mV", reset="v = -60*mV", refractory=5 * ms, method="exact", name="cells",
    )  # fmt: skip
    cells.v = rng.uniform(-60, -50, n) * mV
    synapses = Synapses(cells, cells, "w : volt", on_pre="g_post += w", name="syn")
    synapses.connect(i=rng.integers(0, n, n * degree), j=rng.integers(0, n, n * degree))
    synapses.w = rng.normal(0, 0.3, n * degree) * mV
    synapses.delay = rng.uniform(0.1, 3, n * degree) * ms
    network = Network(cells, synapses)
    seconds = {"build in Brian2": time.perf_counter() - start}
    start = time.perf_counter()
    model = mn.mirror(network, train=["syn.w"], dtype=torch.float32)
    seconds["read"] = time.perf_counter() - start
    start = time.perf_counter()
    if row == "run 100 ms":
        with torch.no_grad():
            model.run(100 * ms)
    elif row.startswith("backward"):
        recording = model.run_steps(int(row.split()[1]))
        recording.spikes["cells"].mean().backward()
    seconds[row] = seconds.get(row, time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"seconds": seconds[row], "GB": peak}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, default=10_000)
    parser.add_argument("--degree", type=int, default=100, help="synapses of a neuron")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.row:
        print(json.dumps(measure(given.row, given.neurons, given.degree)))
        return
    size = f"{given.neurons:,} neurons, {given.neurons * given.degree:,} synapses"
    print(f"{size}; medians of {given.repeats}\n{'':<20}{'seconds':>10}{'peak GB':>10}")
    medians: dict[str, float] = {}
    for row in ROWS:
        found = [json.loads(repeat(row, given)) for _ in range(given.repeats)]
        medians[row] = statistics.median(f["seconds"] for f in found)
        peak = statistics.median(f["GB"] for f in found)
        print(f"{row:<20}{medians[row]:>10.2f}{peak:>10.2f}", flush=True)
    ratio = medians["backward 400 steps"] / medians["backward 100 steps"]
    print(f"four times the steps cost {ratio:.2f} times as much")


def repeat(row: str, given: argparse.Namespace) -> str:
    """One measurement in a process of its own."""
    options = ["--row", row, "--neurons", str(given.neurons), "--degree", str(given.degree)]
    command = [sys.executable, __file__, *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
