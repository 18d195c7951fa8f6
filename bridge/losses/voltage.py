"""voltage: a recorded trace, of a voltage or of any other variable."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, UnknownName
from mirrorneuron.units import Dimensions

from ..learning._contracts import Trial
from ..recording import Recording
from ._contracts import Loss
from ._target import chosen, plain, positive, series, time


@dataclass(frozen=True)
class Voltage(Loss):
    """See `voltage`, which makes it."""

    variable: str
    target: Any
    scale: Any
    start: float

    @property
    def record(self) -> tuple[str, ...]:
        """The variable."""
        return (self.variable,)

    def __call__(self, recording: Recording, trial: Trial) -> Tensor:
        """The loss."""
        asked = f"mn.losses.voltage({self.variable!r})"
        trace = recording[self.variable]
        unit = recording.units[self.variable]
        target = chosen(self.target, trial, self.variable, asked)
        wanted = series(plain(target, unit, f"{asked}: the target"), trace, asked)
        first = round(self.start / recording.dt)
        difference = (trace - wanted)[first:] / self._scale(wanted, unit, asked)
        if not len(difference):
            raise DomainError(
                f"{asked}: the trial has {recording.steps} steps of {recording.dt * 1e3:g} ms,"
                f" all of them before start={self.start * 1e3:g} ms, so that nothing is compared."
                " Write a start within the trial."
            )
        return difference.square().mean()

    def _scale(self, wanted: Tensor, unit: Dimensions, asked: str) -> float:
        if self.scale is not None:
            return positive(self.scale, unit, f"{asked}: the scale")
        spread = float(np.std(wanted.detach().cpu().double().numpy()))
        if not spread:
            raise DomainError(
                f"{asked}: the target never changes. The difference is measured by the standard"
                " deviation of the target, which is zero here. Say what counts as large:"
                f" scale=... in [{unit}], such as 5*mV for a voltage."
            )
        return spread


@checked
def voltage(variable: str, target: Any = None, scale: Any = None, start: Any = None) -> Loss:
    r"""Mean squared difference of a recorded trace from a target trace, by the target's variance.

    $L = \langle ((x - x^*) / \sigma(x^*))^2 \rangle$, so that a constant at the target's mean
    has loss 1.

    Arguments:
        variable: What is compared, "cells.v": any variable or subexpression; it is recorded.
        target: Trace $x^*$, "time neuron" or "time batch neuron", or one number: a Quantity in the
            unit of the variable, or a tensor in SI units, or a StateMonitor; by default that of the
            trial. Values belong to the start of each step, as in a StateMonitor.
        scale: What the difference is divided by instead of $\sigma$, a Quantity.
        start: When the comparison starts, a Quantity [s].

    Raises:
        UnitError: Target or scale are in another unit than the variable.
        ShapeError: The target has another shape than the recording.
        DomainError: There is no target, it is not finite, or it never changes and there is no
            scale.
        UnknownName: There is no such variable, or the monitor did not record it.

    Example:
        >>> from brian2 import mV
        >>> loss = voltage("cells.v", -60*mV, scale=5*mV)
    """
    asked = f"mn.losses.voltage({variable!r})"
    began = 0.0 if start is None else time(start, f"{asked}: the start")
    return Voltage(variable, _trace(target, variable, asked), scale, began)


def _trace(target: Any, variable: str, asked: str) -> Any:
    """The target, or what a StateMonitor recorded of the variable, "time neuron"."""
    recorded = getattr(target, "record_variables", None)
    if recorded is None:
        return target
    name = variable.partition(".")[2]
    if name not in recorded:
        raise UnknownName.among(f"{asked}: the monitor's variable {name!r}", name, recorded)
    return getattr(target, name).T
