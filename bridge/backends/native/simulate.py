"""Simulate: a long run without gradients, in double precision, stretch by stretch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...draws import Draws
from ...inputs import Inputs
from ...program import Array, Program
from ...values import Values
from .coverage import unsimulated
from .engine import NativeEngine

STRETCH, ROOM = 10_000, 2**24  # steps, and recorded numbers, of a stretch


@dataclass(frozen=True)
class Simulated:
    """What a simulation gave.

    Arguments:
        step, index: Step, counted from time 0, and element of each spike, by group.
        samples: "time element" of each recorded variable.
        final: Values at the end of the variables that changed.
    """

    step: Mapping[str, Array]
    index: Mapping[str, Array]
    samples: Mapping[str, Array]
    final: Mapping[str, Array]


def simulate(
    program: Program,
    steps: int,
    rows: Mapping[str, Array],
    every: int,
    stream: np.random.RandomState,
    advance: Callable[[float], None],
) -> Simulated:
    """Run a network.

    Arguments:
        program: The network.
        steps: For how many steps.
        rows: Variables to record, and which elements of each.
        every: Steps between two samples.
        stream: Random numbers.
        advance: Is told the fraction that is done.

    Raises:
        BuildError: The network cannot be compiled, or memory is too small.
        NumericalError: A value became NaN or infinite.
    """
    cpu = torch.device("cpu")
    values = Values(program, {}, torch.float64, cpu)
    engine = NativeEngine(program, frozenset(), {})
    chosen = {key: torch.from_numpy(np.asarray(index, np.int64)) for key, index in rows.items()}
    width = sum(len(index) for index in rows.values())
    stretch = max(every, min(STRETCH, ROOM // max(1, width)) // every * every)
    state = values.initial_state(1) | {"draws": Draws.given(stream)}
    found: dict[str, list[tuple[Array, Array]]] = {name: [] for name in program.spiking()}
    samples: dict[str, list[Array]] = {key: [] for key in rows}
    with torch.no_grad():
        for first in range(0, steps, stretch):
            count = min(stretch, steps - first)
            inputs = Inputs(values, {}, count, 1, state)
            trace = engine.run(values, inputs, state, chosen)
            state = trace.state
            for name, raster in trace.spikes.items():
                step, _, index = raster.listed  # type: ignore[attr-defined]
                found[name].append((step + first + program.step, index))
            for key, x in trace.values.items():
                samples[key].append(x[::every, 0].double().numpy().copy())
            advance((first + count) / steps)
    changed = program.written()
    return Simulated(
        {name: np.concatenate([step for step, _ in parts]) for name, parts in found.items()},
        {name: np.concatenate([index for _, index in parts]) for name, parts in found.items()},
        {key: np.concatenate(parts) for key, parts in samples.items()},
        {key: _first(state[key]) for key in program.variables if key in changed},
    )


def _first(values: Any) -> Array:
    """Values of the only trial."""
    return values[0].numpy()


__all__ = ["Simulated", "simulate", "unsimulated"]
