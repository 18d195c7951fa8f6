"""Simulate: a long run without gradients, in double precision, stretch by stretch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...draws import Draws
from ...inputs import Inputs
from ...program import Array, Program
from ...spikes import Raster
from ...values import Values
from .._contracts import Trace
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


class Simulator:
    """A network that is compiled and ready to run.

    Arguments:
        program: The network.
        rows: Variables to record, and which elements of each.
        every: Steps between two samples.
        stream: Random numbers.

    Raises:
        BuildError: The network cannot be compiled.
    """

    def __init__(
        self,
        program: Program,
        rows: Mapping[str, Array],
        every: int,
        stream: np.random.RandomState,
    ) -> None:
        self.program, self.every = program, every
        self.values = Values(program, {}, torch.float64, torch.device("cpu"))
        self.engine = NativeEngine(program, frozenset(), {})
        self.chosen = {k: torch.from_numpy(np.asarray(x, np.int64)) for k, x in rows.items()}
        self.width = max(1, sum(len(index) for index in rows.values()))
        self.state = self.values.initial_state(1) | {"draws": Draws.given(stream)}
        self._advance(0)  # compiles

    @torch.no_grad()
    def _advance(self, steps: int) -> Trace:
        inputs = Inputs(self.values, {}, steps, 1, self.state)
        trace = self.engine.run(self.values, inputs, self.state, self.chosen)
        self.state = trace.state
        return trace

    def run(self, steps: int, advance: Callable[[float], None]) -> Simulated:
        """Run.

        Arguments:
            steps: For how many steps.
            advance: Is told the fraction that is done.

        Raises:
            BuildError: Memory is too small.
            NumericalError: A value became NaN or infinite.
        """
        stretch = max(self.every, min(STRETCH, ROOM // self.width) // self.every * self.every)
        found: dict[str, list[tuple[Array, Array]]] = {n: [] for n in self.program.spiking()}
        samples: dict[str, list[Array]] = {key: [] for key in self.chosen}
        for first in range(0, steps, stretch):
            count = min(stretch, steps - first)
            trace = self._advance(count)
            for name, raster in trace.spikes.items():
                if isinstance(raster, Raster):
                    step, _, index = raster.listed
                    found[name].append((step + first + self.program.step, index))
            for key, x in trace.values.items():
                samples[key].append(x[:: self.every, 0].double().numpy().copy())
            advance((first + count) / steps)
        changed = self.program.written()
        return Simulated(
            {name: np.concatenate([step for step, _ in parts]) for name, parts in found.items()},
            {name: np.concatenate([index for _, index in parts]) for name, parts in found.items()},
            {key: np.concatenate(parts) for key, parts in samples.items()},
            {k: _first(self.state[k]) for k in self.program.variables if k in changed},
        )


def _first(values: Any) -> Array:
    """Values of the only trial."""
    return values[0].numpy()


__all__ = ["Simulated", "Simulator", "unsimulated"]
