"""The native backend: compiled C, forward and backward. See `engine`."""

from collections.abc import Mapping, Sequence

from ...program import Program
from ...spike_gradient import SpikeGradient
from .._contracts import Backend, Demand, Engine
from .coverage import uncovered
from .engine import NativeEngine


class Native(Backend):
    """Compiles the steps of a network, and the way back through them, to C."""

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
        return NativeEngine(program, constants, gradients)
