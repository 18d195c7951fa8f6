"""The sequence backend: the steps of a run and their reverse as torch operations. See `engine`."""

from collections.abc import Mapping, Sequence

from ...program import Program
from ...spike_gradient import SpikeGradient
from .._contracts import Backend, Demand, Engine
from .coverage import uncovered
from .engine import SequenceEngine


class SequenceOfSteps(Backend):
    """Runs a stretch of time as one operation of torch, on any device."""

    def covers(self, demand: Demand) -> Sequence[str]:
        """See `Backend.covers`."""
        return list(uncovered(demand))

    def compile(
        self,
        program: Program,
        constants: frozenset[str],
        gradients: Mapping[str, SpikeGradient],
    ) -> Engine:
        """See `Backend.compile`."""
        return SequenceEngine(program, constants, gradients)
