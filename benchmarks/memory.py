"""Memory: what a run or a training step needs, as it is said beforehand and as it is measured.

    python benchmarks/memory.py [--engines eager native sequence] [--quick] [--json FILE]

Each row is a fresh process. It makes one short run to warm up, resets the highest resident memory
that Linux counts (VmHWM), then makes the run and, where it trains, goes back through a loss of what
was recorded. Measured is the highest memory over that before the run.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

CASES: dict[str, dict[str, Any]] = {
    "run, 400 cells": {"cells": 400, "batch": 32, "steps": 2000, "record": 400},
    "run, 2,000 cells": {"cells": 2000, "batch": 16, "steps": 1000, "record": 2000},
    "run, one trial": {"cells": 4000, "batch": 1, "steps": 4000, "record": 4000},
    "run, some recorded": {"cells": 1000, "batch": 32, "steps": 2000, "record": 500},
    "training, 400 cells": {"cells": 400, "batch": 32, "steps": 400, "record": 400, "train": True},
    "training, 1,000 cells": {"cells": 1000, "batch": 32, "steps": 300, "record": 1000,
                              "train": True},
    "training, large batch": {"cells": 200, "batch": 256, "steps": 200, "record": 200,
                              "train": True},
    "training, long": {"cells": 200, "batch": 16, "steps": 3000, "record": 200, "train": True},
    "training, delays": {"cells": 400, "batch": 32, "steps": 400, "record": 400, "train": True,
                         "delay": 10},
    "training, plastic": {"cells": 100, "batch": 16, "steps": 200, "record": 100, "train": True,
                          "plastic": True},
}  # fmt: skip


def network(case: dict[str, Any]) -> Any:
    """Recurrent cells with an input."""
    from brian2 import Hz, Network, NeuronGroup, PoissonGroup, Synapses, defaultclock, ms, prefs

    prefs.codegen.target = "numpy"
    defaultclock.dt = 1 * ms
    rng, cells = np.random.default_rng(0), int(case["cells"])
    given = PoissonGroup(50, 20 * Hz, name="given")
    group = NeuronGroup(
        cells, "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 1",
        reset="v -= 1", method="exact", name="cells",
    )  # fmt: skip
    feed = Synapses(given, group, "w : 1", on_pre="I_post += w", name="feed")
    feed.connect()
    feed.w = rng.normal(0.1, 0.4, 50 * cells)
    on_pre = "I_post += w*x; x *= 0.9" if case.get("plastic") else "I_post += w"
    back = Synapses(group, group, "w : 1\nx : 1", on_pre=on_pre, name="back")
    back.connect(p=0.1)
    back.w = rng.normal(0, 0.3 / np.sqrt(0.1 * cells), len(back))
    back.x = 1
    if case.get("delay"):
        back.delay = rng.integers(0, int(case["delay"]) + 1, len(back)) * ms
    return Network(given, group, feed, back)


def megabytes(name: str) -> float:
    """A line of what Linux says of this process [MB]."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(name)


def measure(engine: str, case: dict[str, Any]) -> None:
    """Print the estimate and the measured memory of a row [MB]."""
    import gc

    import torch
    from brian2 import ms

    import mirrorneuron as mn

    torch.set_num_threads(1)
    train = bool(case.get("train"))
    model = mn.mirror(network(case), train=["feed.w", "back.w"] if train else [], backend=engine,
                      surrogate=mn.SuperSpike(width=0.1), reset_gradient="detach",
                      dtype=torch.float32)  # fmt: skip
    record = {"cells.v": range(int(case["record"]))}

    def step(steps: int) -> None:
        with torch.set_grad_enabled(train):
            recording = model.run_steps(steps, batch_size=int(case["batch"]), record=record)
            if train:
                recording["cells.v"].square().mean().backward()

    with torch.set_grad_enabled(train):
        said = model.memory(case["steps"] * ms, int(case["batch"]), record) / 1e6
    step(3)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = megabytes("VmRSS")
    step(int(case["steps"]))
    print(json.dumps({"said": said, "measured": megabytes("VmHWM") - before}))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--engines", nargs="+", default=["eager", "native", "sequence"])
    parser.add_argument("--rows", nargs="+", type=int, help="numbers of rows, from 0")
    parser.add_argument("--quick", action="store_true", help="one row, to see it run")
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--json", help="file for the results")
    given = parser.parse_args()
    if given.row:
        measure(given.row[0], CASES[given.row[1]])
        return
    names = [list(CASES)[k] for k in (given.rows or range(1 if given.quick else len(CASES)))]
    results: dict[str, dict[str, Any]] = {}
    for engine in given.engines:
        for name in names:
            call = [sys.executable, __file__, "--row", engine, name]
            done = subprocess.run(call, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{engine:9} {name:24} failed: {done.stderr.strip().splitlines()[-1]}")
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            results[f"{engine}: {name}"] = found
            off = found["said"] / found["measured"] - 1
            print(f"{engine:9} {name:24} said {found['said']:8.1f} MB   measured"
                  f" {found['measured']:8.1f} MB   {off:+.0%}", flush=True)  # fmt: skip
    if given.json:
        Path(given.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
