"""The gradient of many networks beside what the networks do: one table, default arguments only.

A row is a network at a time step and a length of the trial, with one of its losses: rates as
measured, cosine and size of the gradient's vector against central differences with respect to the
logarithm of each parameter (± 5 %, common random numbers, `mn.check_gradient`), with standard
errors, the verdict, and by how much a limit is missed: cosine .95, size .6 to 1.7. A rate outside
of the band in which the network is meant to be is marked with an exclamation mark.

    python benchmarks/gradients.py [--quick] [--only adex theta] [--json FILE]

`--quick` takes the largest step and the shortest trial of each network alone. Rows that FILE
already holds are printed from there: an interrupted table goes on.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from brian2 import BrianLogger, ms
from gradient_networks import Entry, networks

import mirrorneuron as mn
from mirrorneuron.bridge.learning.gradient_check import COSINE, LARGEST, SMALLEST

HEAD = ("network", "dt", "ms", "loss", "rates [Hz]", "cosine", "size", "verdict", "misses", "s")
BLOCKS = 4  # a gradient takes the time of four runs, however few its trials
WIDTHS = (17, 4, 4, 19, 32, 14, 14, 15, 22, 4)


class Case(NamedTuple):
    """A row: network, time step [ms], length of the trial [ms], loss."""

    name: str
    dt: float
    length: float
    loss: str

    def __str__(self) -> str:
        return f"{self.name}, dt {self.dt:g} ms, {self.length:g} ms, {self.loss}"


def cases(entry_name: str, quick: bool = False) -> Iterator[Case]:
    """The rows of a network, which take its losses in turn."""
    entry = networks[entry_name]
    losses = list(entry.losses)
    steps = entry.steps[-1:] if quick else entry.steps
    lengths = entry.lengths[:1] if quick else entry.lengths
    grid = [(dt, length) for dt in steps for length in lengths]
    for k, (dt, length) in enumerate(grid):
        yield Case(entry_name, dt, length, losses[k % len(losses)])


def measure(case: Case, trials: int = 16) -> tuple[mn.GradientCheck, dict[str, float]]:
    """The check of a row, and the rates of the groups that have a band [Hz]."""
    entry = networks[case.name]
    model = mn.mirror(entry.build(case.dt * 1e-3), train=entry.train, dtype=torch.float64)
    check = mn.check_gradient(
        model, entry.losses[case.loss], case.length * ms, record=entry.record, trials=trials,
        blocks=BLOCKS, report=None,
    )  # fmt: skip
    with torch.no_grad():
        rates = model.run(case.length * ms, batch_size=4, seed=0).rates()
    return check, {name: rates[name] for name in entry.rates}


def outside(entry: Entry, rates: dict[str, float]) -> list[str]:
    """Groups whose rate leaves its band."""
    bands = entry.rates.items()
    return [name for name, (low, high) in bands if not low <= rates[name] <= high]


def row(case: Case) -> dict[str, Any]:
    """What a row says, as JSON takes it."""
    start = time.perf_counter()
    check, rates = measure(case)
    return {
        **case._asdict(),
        "rates": rates,
        "check": json.loads(check.to_json()),
        "seconds": time.perf_counter() - start,
    }


def misses(check: dict[str, Any]) -> str:
    """By how much a gradient misses the limits."""
    cosine, size = check["cosine"]["value"], check["size"]["value"]
    if cosine is None or size is None:
        return "not a number"
    found = [f"cosine by {COSINE - cosine:.2g}"] if cosine < COSINE else []
    if size > LARGEST:
        found.append(f"size x {size / LARGEST:.3g}")
    if size < SMALLEST:
        found.append(f"size x {size / SMALLEST:.2g}")
    return ", ".join(found)


def line(found: dict[str, Any]) -> str:
    """A row of the table."""
    check, late = found["check"], outside(networks[found["name"]], found["rates"])
    rates = " ".join(f"{n} {x:.0f}{'!' * (n in late)}" for n, x in found["rates"].items())
    both = [" ± ".join(_short(check[what][part]) for part in ("value", "error"))
            for what in ("cosine", "size")]  # fmt: skip
    return cells(
        found["name"], f"{found['dt']:g}", f"{found['length']:g}", found["loss"], rates, *both,
        check["verdict"], misses(check), f"{found['seconds']:.0f}",
    )  # fmt: skip


def _short(x: float | None) -> str:
    if x is None:
        return "nan"
    return f"{x:.3f}" if abs(x) < 10 else f"{x:.3g}"


def cells(*texts: str) -> str:
    """Texts in columns."""
    return "  ".join(t.ljust(w) for t, w in zip(texts, WIDTHS, strict=True)).rstrip()


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description="Gradients beside central differences.")
    parser.add_argument("--quick", action="store_true", help="one short row a network")
    parser.add_argument("--only", nargs="+", choices=list(networks), default=list(networks))
    parser.add_argument("--json", type=Path, help="file to keep the rows in")
    asked = parser.parse_args()
    BrianLogger.suppress_name("resolution_conflict")
    torch.set_num_threads(1)
    store: Path | None = asked.json
    kept = json.loads(store.read_text()) if store is not None and store.exists() else {}
    print(cells(*HEAD), flush=True)
    for case in (case for name in asked.only for case in cases(name, asked.quick)):
        if str(case) not in kept:
            kept[str(case)] = row(case)
            if store is not None:
                store.write_text(json.dumps(kept, indent=1))
        print(line(kept[str(case)]), flush=True)


if __name__ == "__main__":
    main()
