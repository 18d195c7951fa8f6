"""The sequence engine: a stretch of time as one operation of torch."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...inputs import Inputs
from ...program import Program
from ...spike_gradient import SpikeGradient
from ...spikes import State
from ...values import Values
from .._generated import executed
from .._plan import Kept, Plan, Wanted
from .._planned_engine import PlannedEngine
from .._planned_run import BUDGET
from .loops import Loops
from .products import Layouts
from .run import SequenceRun


class Code(NamedTuple):
    """Functions of a plan.

    Arguments:
        plan: What the network does.
        run, back: Make some steps, and go back through them.
        numbers: Numbers that stand in statements.
        single: Values of the prelude that statements multiply tensors by, or add to them.
    """

    plan: Plan
    run: Callable[..., None]
    back: Callable[..., None] | None
    numbers: list[float]
    single: list[int]


class SequenceEngine(PlannedEngine):
    """A Program as one operation of torch: see `PlannedEngine`."""

    def __init__(
        self,
        program: Program,
        constants: frozenset[str],
        gradients: Mapping[str, SpikeGradient],
    ) -> None:
        super().__init__(program, constants, gradients)
        self._codes: dict[Any, Code] = {}
        self.layouts: dict[tuple[int, torch.device], Layouts] = {}

    def code(self, base: Plan, kept: list[Kept], wanted: Wanted | None) -> Code:
        """Functions of a plan."""
        key = (base.driven, tuple(base.record), tuple(kept), wanted)
        if key not in self._codes:
            self._codes[key] = code_of(self.planned(base, kept, wanted))
        return self._codes[key]

    def begin(
        self,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool = False,
    ) -> SequenceRun:
        """A run that is still to be made: see `Engine.run`."""
        return SequenceRun(self, values, inputs, state, record, progress, BUDGET)


def code_of(plan: Plan) -> Code:
    """Generate the functions of a plan."""
    loops = Loops(plan)
    scope, numbers = executed(loops.text(), "sequence", {"torch": torch}), loops.slots.numbers
    return Code(plan, scope["run"], scope.get("back"), numbers.values, numbers.kept)
