"""Memory and time of learning rules against the length of a trial.

    .venv/bin/python benchmarks/learning_memory.py [--steps 500 1000 2000] [--neurons 100]

Each cell is a fresh process. It trains one short trial to warm up, then one of the given length,
and reports the highest resident memory of its life, the highest sum of bytes that autograd holds
for the backward pass at one time, and the time per step. The slope is a straight line fitted to
the memory over the length of the trial.
"""

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

RULES = ("BPTT", "BPTT window", "BPTT update", "FPTT", "FPTT ahead", "FPTT printed", "FPTT step",
         "FPTT_K")  # fmt: skip
STEPS = (500, 1000, 2000, 4000, 8000)
WINDOW = 50  # steps of 1 ms


def build(neurons: int) -> Any:
    """A recurrent LIF network with Poisson input and a leaky readout."""
    from brian2 import Hz, Network, NeuronGroup, PoissonGroup, Synapses, ms

    rng = np.random.default_rng(1)
    stimulus = PoissonGroup(neurons // 2, 40 * Hz, name="stimulus")
    cells = NeuronGroup(
        neurons,
        "dv/dt = -v/(20*ms) : 1",
        threshold="v > 1",
        reset="v -= 1",
        method="exact",
        name="cells",
    )
    readout = NeuronGroup(1, "dy/dt = -y/(30*ms) : 1", method="exact", name="readout")
    made: list[Any] = []
    for name, pre, post, level, p in (
        ("feed", stimulus, cells, 0.3, 0.3),
        ("loop", cells, cells, 0.05, 0.1),
        ("out", cells, readout, 0.02, 1.0),
    ):
        target = "y" if post is readout else "v"
        synapses = Synapses(pre, post, "w : 1", on_pre=f"{target}_post += w", delay=1 * ms,
                            name=name)  # fmt: skip
        i, j = np.nonzero(rng.random((len(pre), len(post))) < p)
        synapses.connect(i=i, j=j)
        synapses.w = rng.normal(level, level, len(i))
        made.append(synapses)
    return Network(stimulus, cells, readout, *made)


def rule(name: str) -> Any:
    """A rule by its name in the table."""
    from brian2 import ms

    import mirrorneuron as mn

    return {
        "BPTT": lambda: mn.BPTT(),
        "BPTT window": lambda: mn.BPTT(window=WINDOW * ms),
        "BPTT update": lambda: mn.BPTT(window=WINDOW * ms, update="window"),
        "FPTT": lambda: mn.FPTT(window=WINDOW * ms),
        "FPTT ahead": lambda: mn.FPTT(window=WINDOW * ms, look_ahead=WINDOW * ms),
        "FPTT printed": lambda: mn.FPTT(window=WINDOW * ms, form="printed"),
        "FPTT step": lambda: mn.FPTT(window=1 * ms, look_ahead=1 * ms),
        "FPTT_K": lambda: mn.FPTT_K(),
    }[name]()


class Held:
    """A tensor kept for the backward pass; `now` and `peak` count the bytes of all of them."""

    now = peak = 0

    def __init__(self, x: Any) -> None:
        self.x = x.detach()
        self.size = x.numel() * x.element_size()
        Held.now += self.size
        Held.peak = max(Held.peak, Held.now)

    def __del__(self) -> None:
        Held.now -= self.size


def resident_peak() -> int:
    """Highest resident memory of this process so far [bytes]."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike ru_maxrss it does not count what the parent had before exec
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cell(name: str, steps: int, neurons: int, count: bool) -> dict[str, float]:
    """Measure one rule at one length, in this process."""
    import brian2
    import torch
    from brian2 import ms

    import mirrorneuron as mn

    torch.set_num_threads(1)
    brian2.prefs.codegen.target = "numpy"
    brian2.defaultclock.dt = 1 * ms
    model = mn.mirror(
        build(neurons), train=["feed.w", "loop.w", "out.w"], surrogate=mn.SuperSpike(width=0.3)
    )

    def loss(recording: Any, trial: Any) -> Any:
        wanted = torch.from_numpy(np.sin(2 * np.pi * recording.t / 0.5))[:, None, None]
        return (recording["readout.y"] - wanted).square().mean() * recording.steps / steps

    def train(length: int) -> None:
        task = mn.Task(length * ms, loss, record=["readout.y"], additive=True)
        mn.fit(model, task, rule(name), steps=1, report=None)

    train(2 * WINDOW)
    gc.collect()
    start = time.perf_counter()
    if count:
        with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.x):
            train(steps)
    else:
        train(steps)
    seconds = time.perf_counter() - start
    return {"rss": resident_peak(), "saved": Held.peak, "per_step": seconds / steps}


def measure(name: str, steps: int, neurons: int) -> dict[str, float]:
    """The same in fresh processes: once for memory and time, once to count what is saved."""
    found: list[dict[str, float]] = []
    for count in (False, True):
        command = [sys.executable, __file__, "--cell", name, "--steps", str(steps),
                   "--neurons", str(neurons), *(["--count"] if count else [])]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {**found[0], "saved": found[1]["saved"]}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--rules", nargs="+", default=RULES, choices=RULES)
    parser.add_argument("--neurons", type=int, default=100)
    parser.add_argument("--cell", choices=RULES, help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cell:
        print(json.dumps(cell(given.cell, given.steps[0], given.neurons, given.count)))
        return
    print(f"{given.neurons} LIF, windows of {WINDOW} steps (FPTT step: 1), float32, one thread\n")
    print(f"{'rule':<14}{'steps':>7}{'peak RSS/MB':>13}{'saved/kB':>11}{'ms/step':>9}")
    slopes: list[str] = []
    for name in given.rules:
        rows = [measure(name, steps, given.neurons) for steps in given.steps]
        for steps, row in zip(given.steps, rows, strict=True):
            print(f"{name:<14}{steps:>7}{row['rss'] / 1e6:>13.1f}{row['saved'] / 1e3:>11.1f}"
                  f"{row['per_step'] * 1e3:>9.2f}", flush=True)  # fmt: skip
        rss, saved = (np.polyfit(given.steps, [r[k] for r in rows], 1)[0] for k in ("rss", "saved"))
        slopes.append(f"{name:<14}{rss:>13.1f}{saved:>13.1f}")
    print(f"\n{'slope':<14}{'RSS B/step':>13}{'saved B/step':>13}")
    print("\n".join(slopes))


if __name__ == "__main__":
    main()
