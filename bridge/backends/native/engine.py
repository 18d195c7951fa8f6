"""The native engine: a network whose steps, and the way back through them, are compiled C."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...inputs import Inputs
from ...program import Program
from ...spike_gradient import SpikeGradient
from ...spikes import State
from ...values import Values
from .._plan import Kept, Plan, Wanted
from .._planned_engine import PlannedEngine
from .._planned_run import BUDGET
from .compiling import Code, compiled
from .run import NativeRun
from .source import source


class NativeEngine(PlannedEngine):
    """A Program as compiled C: see `PlannedEngine`."""

    def __init__(
        self,
        program: Program,
        constants: frozenset[str],
        gradients: Mapping[str, SpikeGradient],
    ) -> None:
        super().__init__(program, constants, gradients)
        self._codes: dict[Any, Code] = {}

    def code(self, base: Plan, kept: list[Kept], wanted: Wanted | None, single: bool) -> Code:
        """The compiled program of a plan."""
        key = (base.driven, tuple(base.record), tuple(kept), wanted, single)
        if key not in self._codes:
            made = source(self.planned(base, kept, wanted), single)
            self._codes[key] = compiled(made, single)
        return self._codes[key]

    def begin(
        self,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool = False,
    ) -> NativeRun:
        """A run that is still to be made: see `Engine.run`."""
        return NativeRun(self, values, inputs, state, record, progress, BUDGET)
