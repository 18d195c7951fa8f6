"""Planned engine: what engines that generate code for a whole run have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..inputs import Inputs
from ..program import Program
from ..spike_gradient import SpikeGradient
from ..spikes import State
from ..values import Values
from ._contracts import Trace
from ._generated import executed
from ._plan import Kept, Plan, Wanted

if TYPE_CHECKING:
    from ._planned_run import PlannedRun


class Prepared(NamedTuple):
    """A plan without what depends on values, and what computes the values of its prelude."""

    plan: Plan
    prelude: Callable[[Mapping[str, Any], Any], list[Any]]


class PlannedEngine(ABC):
    """A Program and the plans of its runs: see `Engine`.

    Arguments:
        program: The network.
        constants: Keys of the constants of namespaces that are trained.
        gradients: What stands for the derivative of each event.
    """

    def __init__(
        self,
        program: Program,
        constants: frozenset[str],
        gradients: Mapping[str, SpikeGradient],
    ) -> None:
        self.program, self.constants, self.gradients = program, constants, gradients
        self._prepared: dict[tuple[frozenset[str], tuple[str, ...]], Prepared] = {}
        self.places: dict[int, Tensor | None] = {}

    def prepared(self, driven: frozenset[str], record: tuple[str, ...]) -> Prepared:
        """Plan of a run; `driven` names what inputs set."""
        key = driven, record
        if key not in self._prepared:
            plan = Plan(self.program, driven, self.constants, self.gradients, record)
            scope = executed(plan.builder.prelude.text(), "prelude", {"torch": torch})
            self._prepared[key] = Prepared(plan, scope["prelude"])
        return self._prepared[key]

    def planned(self, base: Plan, kept: list[Kept], wanted: Wanted | None) -> Plan:
        """The plan of a run whose values have these types and gradients."""
        plan = base.with_values(kept, wanted)
        plan.require_widths()
        return plan

    @abstractmethod
    def begin(
        self,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool = False,
    ) -> "PlannedRun":
        """A run that is still to be made: see `Engine.run`."""

    def run(
        self,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool = False,
    ) -> Trace:
        """Run from a state, which is changed: see `Engine.run`."""
        return self.begin(values, inputs, state, record, progress).trace()

    def memory(
        self,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
    ) -> float:
        """Memory of a run: see `Engine.memory`."""
        return self.begin(values, inputs, state, record).memory()
