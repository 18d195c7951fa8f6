"""The cerebellum at several sizes: seconds per biological second, build time, bytes of memory.

A table with one row a size, each in processes of its own: granule cells, all cells, synapses;
seconds to lay it out, until the network can run, and of computation per second of biology; peak of
the memory of this process and of what runs (the compiled program, or this process itself); bytes
per cell and per synapse of what runs, from circuits without and with connections.

    python benchmarks/cerebellum.py [--granule 1000 10000] [--duration 0.2] [--backends cpp]
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
EMPTY = 10  # granule cells of the circuit whose memory is that of a program and no cells
LITTLE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


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

    A small process starts it: a child begins with the peak of the process that it is forked from.
    """
    results = Path(place) / "again"
    results.mkdir()
    arguments = [sys.executable, "-S", "-c", LITTLE, str(program), "--results_dir", f"{results}/"]
    done = subprocess.run(arguments, cwd=program.parent, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1]) * 1024


def row(granule: int, seconds: float, backend: str, connected: bool = True) -> dict[str, float]:
    """The same, measured in a process of its own."""
    command = [sys.executable, __file__, "--row", str(granule), "--duration", str(seconds)]
    command += ["--backends", backend, *([] if connected else ["--unconnected"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def table(sizes: list[int], seconds: float, backend: str) -> None:
    """Print the rows of one backend."""
    print(f"\n{backend}, {seconds} s of biology, 0.1 ms steps")
    columns = (
        "granule",
        "cells",
        "synapses",
        "layout s",
        "build s",
        "s per s",
        "here GB",
        "ran GB",
    )
    print("".join(f"{column:>11}" for column in (*columns, "B / cell", "B / syn")), flush=True)
    empty = row(EMPTY, seconds, backend, connected=False)["ran"]
    for size in sizes:
        whole = row(size, seconds, backend)
        bare = row(size, seconds, backend, connected=False)["ran"]
        print(
            f"{whole['granule']:>11,}{whole['cells']:>11,}{whole['synapses']:>11,}"
            f"{whole['layout']:>11.1f}{whole['build']:>11.1f}{whole['run']:>11.2f}"
            f"{whole['here'] / 1e9:>11.2f}{whole['ran'] / 1e9:>11.3f}"
            f"{(bare - empty) / whole['cells']:>11.0f}"
            f"{(whole['ran'] - bare) / whole['synapses']:>11.0f}",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--granule", type=int, nargs="+", default=[1000, 10000])
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
        table(given.granule, given.duration, backend)


if __name__ == "__main__":
    main()
