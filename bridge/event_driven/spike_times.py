"""SpikeTimes: spikes given by their times, between the steps of a clock."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirrorneuron.errors import DomainError, ShapeError
from mirrorneuron.units import si

from ..recording import SECOND


@dataclass(frozen=True)
class SpikeTimes:
    """Spikes of a group as times, for `EventProp`: `mn.Trial(inputs={"stimulus": SpikeTimes(t)})`.

    Arguments:
        times: From the start of the trial, a Quantity [s], or a tensor of SI floats, which may have
            a gradient: "neuron spike" or "batch neuron spike". Infinity stands for no spike.

    Raises:
        UnitError: They are no times.
        ShapeError: They have another shape.
        DomainError: One is negative or NaN.

    Example:
        >>> from brian2 import ms
        >>> SpikeTimes([[1.0], [2.5]] * ms).tensor.shape
        torch.Size([1, 2, 1])
    """

    times: Any

    def __post_init__(self) -> None:
        shape, plain = self.tensor.shape, self.tensor.detach()
        if len(shape) != 3:
            raise ShapeError(
                f"SpikeTimes(...): the times have the shape {tuple(shape)}, and each neuron of each"
                " trial has a row of them. Give (neuron, spike) or (batch, neuron, spike), with"
                " np.inf where there is no spike."
            )
        if not bool((plain >= 0).all()):
            raise DomainError(
                "SpikeTimes(...): a time is negative or NaN. Time counts from the start of the"
                " trial. Write times from zero on, and np.inf for no spike."
            )

    @property
    def tensor(self) -> Tensor:
        """The times in seconds, "batch neuron spike"."""
        given = self.times
        if not isinstance(given, Tensor):
            given = torch.from_numpy(np.array(si(given, SECOND, "SpikeTimes(times)"), dtype=float))
        return given[None] if given.dim() == 2 else given

    def raster(self, steps: int, dt: float) -> Tensor:
        """The same on a clock's grid, "time batch neuron"; later spikes are left out.

        Arguments:
            steps: Number of steps.
            dt: Time step [s].
        """
        return raster(self.tensor, steps, dt)


def raster(times: Tensor, steps: int, dt: float) -> Tensor:
    """Zeros and ones, "time batch neuron", of times from the start, "batch neuron spike".

    Step k has the spikes after its start, up to its end, at which a clock-driven run lets them act.
    """
    plain = times.detach().double()
    batch, size, _ = plain.shape
    made = torch.zeros(steps, batch, size, dtype=times.dtype, device=times.device)
    step = (torch.ceil(plain / dt - 1e-9) - 1).clamp(min=0)
    trial, neuron, spike = (torch.isfinite(step) & (step < steps)).nonzero(as_tuple=True)
    made[step[trial, neuron, spike].long(), trial, neuron] = 1
    return made
