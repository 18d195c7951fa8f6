"""Spikes of sources, before the run: those given, and those of Poisson groups, drawn with numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..program import Generator, Program, Slot, Threshold
from .host import evaluate
from .model import Source


def sources(program: Program, steps: int, random: np.random.RandomState) -> dict[str, Source]:
    """Spikes of all groups whose spikes depend on nothing that happens in the network."""
    found = {
        name: _given(program, generator, steps) for name, generator in program.generators.items()
    }
    thresholds = program.slots_of(Threshold)
    drawn = [s for s in thresholds if program.groups[s.owner].kind == "PoissonGroup"]
    return found | _drawn(program, drawn, steps, random)


def _given(program: Program, generator: Generator, steps: int) -> Source:
    step, index = generator.step, generator.index
    if generator.period:
        laps = np.arange(-(-steps // generator.period)) * generator.period
        step = (laps[:, None] + step[None, :]).ravel()
        index = np.tile(index, len(laps))
    kept = (step >= 0) & (step < steps)
    return Source(
        name=generator.owner,
        size=program.groups[generator.owner].size,
        step=step[kept],
        index=index[kept],
    )


def _drawn(
    program: Program, slots: list[Threshold], steps: int, random: np.random.RandomState
) -> dict[str, Source]:
    """Step by step, as Brian2's numpy target draws: equal where nothing else draws in between."""
    fired: dict[str, list[Any]] = {slot.owner: [] for slot in slots}
    work = [(slot, _values(program, slot, random)) for slot in slots]
    for step in range(steps):
        for slot, values in work:
            values |= {n: step * program.dt for n, kind in slot.clock.items() if kind == "t"}
            values |= {n: step for n, kind in slot.clock.items() if kind == "step"}
            tables = {n: program.tables[key] for n, key in slot.tables.items()}
            for statement in slot.statements:
                values[statement.target] = evaluate(statement.tree, values, tables)
            fires = np.broadcast_to(values["_cond"], (slot.size,))
            fired[slot.owner].append(np.flatnonzero(fires))
    return {
        name: Source(
            name=name,
            size=program.groups[name].size,
            step=np.repeat(np.arange(len(found)), [len(f) for f in found]),
            index=np.concatenate(found) if found else np.empty(0, dtype=np.int64),
        )
        for name, found in fired.items()
    }


def _values(program: Program, slot: Slot, random: np.random.RandomState) -> dict[str, Any]:
    held: Mapping[str, Any] = {
        name: program.variables[ref.variable].value
        if ref.index is None
        else program.variables[ref.variable].value[program.indices[ref.index]]
        for name, ref in slot.refs.items()
    }
    clock = {n: slot.clock_dt for n, kind in slot.clock.items() if kind == "dt"}
    return {**slot.constants, **held, **clock, "rand": lambda: random.random_sample(slot.size)}
