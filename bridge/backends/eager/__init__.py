"""Generated torch code, a step at a time, differentiated by torch: covers every network."""

from collections.abc import Mapping, Sequence

from ...program import Program
from ...spike_gradient import SpikeGradient
from .._contracts import Backend, Demand, Engine
from .engine import EagerEngine


class Eager(Backend):
    """One generated torch step, looped."""

    def covers(self, demand: Demand) -> Sequence[str]:
        """Nothing is left out."""
        return ()

    def compile(
        self,
        program: Program,
        constants: frozenset[str],
        gradients: Mapping[str, SpikeGradient],
    ) -> Engine:
        """See `Backend.compile`."""
        return EagerEngine(program, constants, gradients)
