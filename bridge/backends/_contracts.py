"""What a folder in `backends/` provides."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from ..inputs import Inputs
from ..program import Program
from ..spike_gradient import SpikeGradient
from ..spikes import Events, State
from ..values import Values


class Trace(NamedTuple):
    """What a run leaves behind.

    Arguments:
        spikes: Group to its spikes, one entry a step.
        values: Key to what was recorded at the start of each step, "time batch element"; without
            an entry where the run had no steps.
        state: The network's state at the end.
    """

    spikes: Mapping[str, Sequence[Events]]
    values: Mapping[str, Tensor]
    state: State


@runtime_checkable
class Engine(Protocol):
    """A Program that is ready to run. It knows the Program and is given values: no mirror."""

    def run(
        self,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool = False,
    ) -> Trace:
        """Run for the steps of the inputs, differentiably where gradients are recorded.

        Arguments:
            values: Values of the variables, the trained ones with their gradient.
            inputs: What is set from outside, the number of steps and that of trials.
            state: Where to start. It is changed.
            record: Variables and computed values to record, and of which elements (None: of all).
            progress: Whether to show it.

        Raises:
            NumericalError: A value became NaN or infinite.
        """
        ...

    def memory(
        self,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
    ) -> float:
        """Memory that `run` with these arguments needs at its peak [byte].

        Where gradients are recorded, that of the way back through it, with a loss of what is
        recorded, is part of it. Spikes are taken to be rare, and not to be read as tensors.
        """
        ...


class Demand(NamedTuple):
    """What a backend is asked to run.

    Arguments:
        program: The network.
        gradients: What stands for the derivative of each event.
        dtype, device: Of its values.
    """

    program: Program
    gradients: Mapping[str, SpikeGradient]
    dtype: torch.dtype
    device: torch.device


class Backend(ABC):
    """A way of running Programs."""

    @abstractmethod
    def covers(self, demand: Demand) -> Sequence[str]:
        """What of a Program it cannot run, a sentence each; nothing if it runs all of it.

        One that knows statements on real numbers only yields `beyond_statements(program)`.
        """

    @abstractmethod
    def compile(
        self,
        program: Program,
        constants: frozenset[str],
        gradients: Mapping[str, SpikeGradient],
    ) -> Engine:
        """Make a Program ready to run.

        Arguments:
            program: The network.
            constants: Keys of the constants of namespaces that are trained.
            gradients: What stands for the derivative of each event.
        """
