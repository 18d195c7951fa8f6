"""The cerebellum at several sizes: seconds per biological second, build time, bytes of memory.

A table with one row a size, each in processes of its own: granule cells, all cells, synapses;
seconds to lay it out, until the network can run, and of computation per second of biology, and that
per 1,000 cells; peak of the memory of this process and of what runs (the compiled program, or this
process itself); bytes per cell and per synapse of what runs, from circuits without and with
connections. `--largest` adds the largest circuit whose layout fits into nine tenths of the memory
that is free, for `BRIEF` of biology; it wants the machine for itself. A second table extrapolates
from measured bytes to a graphics card and to a mouse: arithmetic, nothing of it ran.

    python benchmarks/cerebellum.py [--granule 1000 10000 100000] [--largest] [--duration 0.2]
                                    [--backends cpp genn]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REFERENCE = 30420
BRIEF = 0.02  # of the largest circuit [s]
EMPTY = 10  # granule cells of the circuit whose memory is that of a program and no cells
CARD = 75e9  # of the 80 GB of a graphics card, what is left for arrays [byte]
STATIC, PLASTIC = 8, 8  # on GeNN: an index of 4 bytes and a weight in single precision [byte]
MOUSE = {
    "cells": 42e6,
    "functional": 4.5e9,
    "anatomical": 3e10,
}  # parallel fibres on Purkinje cells


def measure(granule: int, seconds: float, backend: str, connected: bool) -> dict[str, float]:
    """Seconds of each phase, cells, synapses and peaks of memory [byte]."""
    import numpy as np
    from brian2 import second

    import mirrorneuron as mn
    from mirrorneuron.bio.circuits import cerebellum
    from mirrorneuron.bio.circuits.stimuli import poisson

    start = time.perf_counter()
    circuit = cerebellum(scale=granule / REFERENCE)
    laid_out = time.perf_counter() - start
    fibres = np.arange(circuit.counts["mossy"])
    trains = poisson(fibres, 4.0, (0.0, seconds), circuit.dt, np.random.default_rng(0))
    without = {} if connected else dict.fromkeys(circuit.wiring)
    with tempfile.TemporaryDirectory() as place:
        run = mn.simulate(
            lambda: circuit.network(mossy=trains, instead=without),
            seconds * second, backend, directory=place,
        )  # fmt: skip
        here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        program = Path(place) / "cpp" / "main"
        ran = peak_of(program, place) if program.exists() else here
    return {
        "granule": circuit.counts["granule"],
        "cells": sum(circuit.counts.values()),
        "synapses": sum(map(len, circuit.wiring.values())),
        "layout": laid_out,
        "build": run.seconds["build"],
        "run": run.seconds["run"] / seconds,
        "here": here,
        "ran": ran,
    }


def peak_of(program: Path, place: str) -> float:
    """Peak of the memory of a compiled program, which is run once more [byte].

    The kernel's own count of it, read while the program runs: what a process reports of its
    children begins with its own size.
    """
    results = Path(place) / "again"
    results.mkdir()
    arguments = [str(program), "--results_dir", f"{results}/"]
    with subprocess.Popen(arguments, cwd=program.parent, stdout=subprocess.DEVNULL) as process:
        highest = 0
        while process.poll() is None:
            highest = max(highest, resident(process.pid))
            time.sleep(2e-3)
    if process.returncode:
        raise SystemExit(f"{program} ended with {process.returncode}")
    return float(highest)


def resident(pid: int) -> int:
    """Highest resident memory of a process so far [byte]; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def row(granule: int, seconds: float, backend: str, connected: bool = True) -> dict[str, float]:
    """The same, measured in a process of its own."""
    command = [sys.executable, __file__, "--row", str(granule), "--duration", str(seconds)]
    command += ["--backends", backend, *([] if connected else ["--unconnected"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def table(sizes: list[tuple[int, float]], backend: str) -> dict[str, float]:
    """Print the rows of one backend; returns the last one with bytes per cell and synapse."""
    print(f"\n{backend}, 0.1 ms steps")
    columns = (
        "granule", "biology s", "cells", "synapses", "layout s", "build s", "s per s", "/1000",
        "here GB", "ran GB", "B / cell", "B / syn",
    )  # fmt: skip
    print("".join(f"{column:>11}" for column in columns), flush=True)
    empty, last = row(EMPTY, BRIEF, backend, connected=False), dict[str, float]()
    for size, seconds in sizes:
        whole = row(size, seconds, backend)
        bare = row(size, seconds, backend, connected=False)
        last = whole | {
            "cell": (bare["ran"] - empty["ran"]) / (bare["cells"] - empty["cells"]),
            "synapse": (whole["ran"] - bare["ran"]) / whole["synapses"],
        }
        print(
            f"{whole['granule']:>11,}{seconds:>11g}{whole['cells']:>11,}{whole['synapses']:>11,}"
            f"{whole['layout']:>11.1f}{whole['build']:>11.1f}{whole['run']:>11.2f}"
            f"{whole['run'] / whole['cells'] * 1e3:>11.3f}"
            f"{whole['here'] / 1e9:>11.2f}{whole['ran'] / 1e9:>11.3f}"
            f"{_bytes(last['cell'], bare['cells'])}{_bytes(last['synapse'], whole['synapses'])}",
            flush=True,
        )
    return last


def _bytes(each: float, number: float) -> str:
    """Bytes of one of so many; nothing where all of them are less than a megabyte, which is lost in
    what else a program holds."""
    return f"{each:>11.0f}" if each * number > 1e6 else f"{'-':>11}"


def extrapolated(found: dict[str, float]) -> None:
    """Print what the measured bytes would mean elsewhere."""
    cell, synapse = found["cell"], found["synapse"]
    per_granule = found["synapses"] / found["granule"]
    print(
        f"\nArithmetic, not measured: {cell:.0f} B a cell and {synapse:.0f} B a synapse, as above;"
    )
    print(f"{per_granule:.0f} synapses a granule cell; {STATIC} B a synapse on a graphics card")
    print(f"{'':<46}{'cells':>12}{'synapses':>12}{'GB here':>10}{'GB on a card':>14}{'of 75':>8}")
    fits = CARD / (cell + STATIC * per_granule)
    for name, cells, synapses in (
        ("the largest circuit for one card of 80 GB", fits, fits * per_granule),
        ("a mouse, functional parallel fibres", MOUSE["cells"], MOUSE["functional"]),
        ("a mouse, anatomical parallel fibres", MOUSE["cells"], MOUSE["anatomical"]),
    ):
        here, card = cells * cell + synapses * synapse, cells * cell + synapses * PLASTIC
        print(
            f"{name:<46}{cells:>12.2g}{synapses:>12.2g}{here / 1e9:>10.0f}{card / 1e9:>14.0f}"
            f"{card / CARD:>8.2f}"
        )


def largest() -> int:
    """Granule cells of the largest circuit that can be laid out now."""
    from mirrorneuron.bio.circuits.anatomy import FOOTPRINT
    from mirrorneuron.bio.circuits.wiring import require_memory
    from mirrorneuron.errors import BuildError

    low, high = 1, 10_000
    while high - low > max(low // 20, 1):
        middle = (low + high) // 2
        side = middle**0.5
        try:
            require_memory("largest", (FOOTPRINT[0] * side, FOOTPRINT[1] * side))
            low = middle
        except BuildError:
            high = middle
    return int(0.9 * low * REFERENCE)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--granule", type=int, nargs="*", default=[1000, 10000, 100000])
    parser.add_argument("--largest", action="store_true")
    parser.add_argument("--duration", type=float, default=0.2)
    parser.add_argument("--backends", nargs="+", default=["cpp"])
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--unconnected", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.row:
        connected = not given.unconnected
        print(json.dumps(measure(given.row, given.duration, given.backends[0], connected)))
        return
    for backend in given.backends:
        sizes = [(size, given.duration) for size in given.granule]
        if given.largest and backend == "cpp":
            sizes.append((largest(), BRIEF))
        found = table(sizes, backend)
        if backend == "cpp":
            extrapolated(found)


if __name__ == "__main__":
    main()
