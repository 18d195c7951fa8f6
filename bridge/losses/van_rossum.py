"""van_rossum: spike trains compared after each spike has become a decaying exponential."""

from dataclasses import dataclass
from math import exp
from typing import Any

import torch
from torch import Tensor

from mirrorneuron._arguments import checked

from ..learning._contracts import Trial
from ..recording import SECOND, Recording
from ._contracts import Loss
from ._target import chosen, named, positive, raster

BLOCK = 128


@dataclass(frozen=True)
class VanRossum(Loss):
    """See `van_rossum`, which makes it: `tau` in seconds."""

    group: str
    target: Any
    tau: float

    def __call__(self, recording: Recording, trial: Trial) -> Tensor:
        """The loss."""
        asked = f"mn.losses.van_rossum({self.group!r})"
        spikes = recording.spikes[self.group]
        target = chosen(self.target, trial, self.group, asked)
        difference = spikes - raster(target, spikes, recording.dt, self.group, asked)
        decay = exp(-recording.dt / self.tau)
        squared = exponential(difference, decay).square()
        inside = (1 - decay**2) * squared[:-1].sum(0)  # within each step it decays as outside
        return 0.5 * (inside + squared[-1]).mean()


@checked
def van_rossum(group: Any, target: Any = None, tau: Any = None) -> Loss:
    r"""Squared distance of spike trains from target trains, each spike a decaying exponential.

    $L = \langle D^2 \rangle$ over neurons and trials, with
    $D^2 = \frac{1}{\tau} \int_0^\infty (f - g)^2 dt$ and
    $f(t) = \sum_i \Theta(t - t_i) e^{-(t - t_i)/\tau}$

    A spike too many or too few costs 1/2, and a shift by much more than $\tau$ costs 1. The
    integral is exact for spikes at multiples of the time step, to which target spikes are rounded.
    It is half the square of `mn.analysis.van_rossum`, in which one spike has length 1.

    Arguments:
        group: A group or subgroup, by its name or itself.
        target: Target spikes, by default those of the trial: a SpikeMonitor, a pair (i, t), the
            times of one neuron, `{neuron: times}`, a list of such for each trial, or zeros and
            ones "time neuron" or "time batch neuron". Times are Quantities [s].
        tau: Time constant $\tau$, a Quantity [s]; by default 10 ms.

    Raises:
        UnitError: `tau` or the spike times are no times.
        DomainError: `tau` is not positive; there is no target; a target spike lies outside the
            trial or is of no neuron of the group.
        ShapeError: Zeros and ones of another shape than the recording.
        UnknownName: There is no spiking group of that name.

    Source: van Rossum 2001, doi:10.1162/089976601300014321.

    Example:
        >>> from brian2 import ms
        >>> loss = van_rossum("cells", {0: [5, 20]*ms, 1: [8]*ms}, tau=5*ms)
    """
    group = named(group, "mn.losses.van_rossum(...)")
    what = f"mn.losses.van_rossum({group!r}): tau"
    return VanRossum(group, target, 10e-3 if tau is None else positive(tau, SECOND, what))


def exponential(x: Tensor, decay: float) -> Tensor:
    """y[k] = decay y[k-1] + x[k] along the first axis.

    Blocks of steps are filtered by one matrix, and what each block leaves to the next is a shorter
    series that is filtered in the same way: ten thousand steps take two products, not a loop.
    """
    steps = len(x)
    if steps <= BLOCK:
        return torch.tensordot(_kernel(steps, decay, x), x, dims=1)
    blocks = -(-steps // BLOCK)
    padded = torch.cat([x, x.new_zeros(blocks * BLOCK - steps, *x.shape[1:])])
    cut = padded.reshape(blocks, BLOCK, -1)
    within = torch.matmul(_kernel(BLOCK, decay, x), cut)
    left = exponential(within[:, -1], decay**BLOCK)
    before = torch.cat([torch.zeros_like(left[:1]), left[:-1]])
    fading = decay ** torch.arange(1, BLOCK + 1, dtype=x.dtype, device=x.device)
    whole = within + fading[:, None] * before[:, None]
    return whole.reshape(blocks * BLOCK, *x.shape[1:])[:steps]


def _kernel(size: int, decay: float, like: Tensor) -> Tensor:
    """decay^(i - j) below the diagonal and on it, "step earlier"."""
    age = torch.arange(size, dtype=torch.float64, device=like.device)
    lag = age[:, None] - age
    return torch.where(lag >= 0, decay ** lag.clamp(min=0), 0.0).to(like.dtype)
