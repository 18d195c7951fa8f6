"""Simulators: our compiled C beside Brian2's C++, start-up and run of published networks.

    python benchmarks/simulators.py [--rows cuba cobahh] [--seconds 2] [--quick] [--json FILE]

CUBA and COBAHH are the benchmarks of Brette et al. 2007, doi:10.1007/s10827-007-0038-6, with 4,000
neurons, connected with probability 0.02, from fixed random numbers. Both run in double precision on
one thread; "build" is everything before the first step, compilation included, in a new directory.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def edges(n_pre: int, first: int, n_post: int, seed: int) -> tuple[Any, Any]:
    """Pairs, each with probability 0.02."""
    i, j = np.nonzero(np.random.default_rng(seed).random((n_pre, n_post)) < 0.02)
    return i + first, j


def cuba(n: int) -> Any:
    """Current-based integrate-and-fire neurons."""
    from brian2 import Network, NeuronGroup, Synapses, ms, mV

    cells = NeuronGroup(
        n,
        """dv/dt = (ge + gi - (v + 49*mV))/(20*ms) : volt (unless refractory)
        dge/dt = -ge/(5*ms) : volt
        dgi/dt = -gi/(10*ms) : volt""",
        threshold="v > -50*mV", reset="v = -60*mV", refractory=5 * ms, method="exact", name="cells",
    )  # fmt: skip
    cells.v = np.random.default_rng(0).uniform(-60, -50, n) * mV
    made: list[Any] = []
    for name, first, count, weight in (
        ("excite", 0, n * 4 // 5, "ge += 1.62*mV"), ("inhibit", n * 4 // 5, n // 5, "gi -= 9*mV"),
    ):  # fmt: skip
        synapses = Synapses(cells, cells, on_pre=weight, name=name)
        i, j = edges(count, first, n, first + 1)
        synapses.connect(i=i, j=j)
        made.append(synapses)
    return Network(cells, *made)


def cobahh(n: int) -> Any:
    """Hodgkin-Huxley neurons with conductances."""
    from brian2 import Network, NeuronGroup, Synapses, ms, mV, nS

    cells = NeuronGroup(
        n,
        """dv/dt = (gl*(-60*mV - v) + ge*(0*mV - v) + gi*(-80*mV - v)
                 - 20*usiemens*(m*m*m)*h*(v - 50*mV) - 6*usiemens*(n*n*n*n)*(v + 90*mV))
                 /(200*pF) : volt
        dm/dt = alpha_m*(1 - m) - beta_m*m : 1
        dn/dt = alpha_n*(1 - n) - beta_n*n : 1
        dh/dt = alpha_h*(1 - h) - beta_h*h : 1
        dge/dt = -ge/(5*ms) : siemens
        dgi/dt = -gi/(10*ms) : siemens
        alpha_m = 0.32*(mV**-1)*4*mV/exprel((13*mV - v - 63*mV)/(4*mV))/ms : Hz
        beta_m = 0.28*(mV**-1)*5*mV/exprel((v + 63*mV - 40*mV)/(5*mV))/ms : Hz
        alpha_h = 0.128*exp((17*mV - v - 63*mV)/(18*mV))/ms : Hz
        beta_h = 4./(1 + exp((40*mV - v - 63*mV)/(5*mV)))/ms : Hz
        alpha_n = 0.032*(mV**-1)*5*mV/exprel((15*mV - v - 63*mV)/(5*mV))/ms : Hz
        beta_n = .5*exp((10*mV - v - 63*mV)/(40*mV))/ms : Hz
        gl : siemens""",
        threshold="v > -20*mV", refractory=3 * ms, method="exponential_euler", name="cells",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    cells.gl = 10 * nS
    cells.v = (-60 + 5 * (rng.standard_normal(n) - 1)) * mV
    cells.ge = (rng.standard_normal(n) * 1.5 + 4) * 10 * nS
    cells.gi = (rng.standard_normal(n) * 12 + 20) * 10 * nS
    made: list[Any] = []
    for name, first, count, weight in (
        ("excite", 0, n * 4 // 5, "ge += 6*nS"), ("inhibit", n * 4 // 5, n // 5, "gi += 67*nS"),
    ):  # fmt: skip
        synapses = Synapses(cells, cells, on_pre=weight, name=name)
        i, j = edges(count, first, n, first + 1)
        synapses.connect(i=i, j=j)
        made.append(synapses)
    return Network(cells, *made)


NETWORKS: dict[str, Callable[[int], Any]] = {"cuba": cuba, "cobahh": cobahh}


def measure(name: str, n: int, duration: float) -> dict[str, Any]:
    """Seconds of both, and spikes."""
    from brian2 import second

    import mirrorneuron as mn

    found: dict[str, Any] = {"row": name, "neurons": n, "seconds simulated": duration}
    for backend in ("native", "cpp"):
        with tempfile.TemporaryDirectory() as place:
            os.environ["XDG_CACHE_HOME"] = place  # nothing that was compiled before is found
            given = {"directory": Path(place) / "built"} if backend == "cpp" else {}
            ran = mn.simulate(
                lambda: NETWORKS[name](n), duration * second, backend, seed=1, report=None, **given
            )
        spikes = ran.spikes["cells"]
        found[backend] = {**ran.seconds, "spikes": len(spikes.step)}
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=[*NETWORKS], choices=[*NETWORKS])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--quick", action="store_true", help="small networks, to see it run")
    parser.add_argument("--json", help="file for the results")
    given = parser.parse_args()
    n, duration = (200, 0.05) if given.quick else (4000, given.seconds)
    results: list[dict[str, Any]] = []
    for name in given.rows:
        found = measure(name, n, duration)
        results.append(found)
        ours, theirs = found["native"], found["cpp"]
        for label, made in (("native", ours), ("Brian2 C++", theirs)):
            print(f"{name:8} {label:11} build {made['build']:7.2f} s  run {made['run']:7.3f} s"
                  f"  {made['spikes']:,} spikes", flush=True)  # fmt: skip
        print(f"{name:8} {'ratio':11} build {theirs['build'] / ours['build']:7.1f}"
              f"    run {theirs['run'] / ours['run']:7.2f}")  # fmt: skip
    if given.json:
        with open(given.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
