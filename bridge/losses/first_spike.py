"""first_spike: the time to the first spike."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError, ShapeError

from ..learning._contracts import Trial
from ..program import Array
from ..recording import SECOND, Recording
from ._contracts import Loss
from ._target import chosen, like, named, plain, positive, time


@dataclass(frozen=True)
class FirstSpike(Loss):
    """See `first_spike`, which makes it: onset and scale in SI units."""

    group: str
    target: Any
    scale: float | None
    onset: float

    def __call__(self, recording: Recording, trial: Trial) -> Tensor:
        """The loss."""
        asked = f"mn.losses.first_spike({self.group!r})"
        first = round(self.onset / recording.dt)
        spikes = recording.spikes[self.group][first:]
        latest = len(spikes) * recording.dt
        given = chosen(self.target, trial, self.group, asked)
        wanted = np.asarray(plain(given, SECOND, f"{asked}: the target").clip(max=latest))
        _require_target(wanted, spikes, self.scale, asked)
        scale = wanted if self.scale is None else self.scale
        times = latency(spikes, recording.dt)
        return ((times - like(wanted, times)) / like(scale, times)).square().mean()


@checked
def first_spike(group: Any, target: Any = None, scale: Any = None, onset: Any = None) -> Loss:
    r"""Squared difference of the time to the first spike from a target, as a share of the target.

    $L = \langle ((t - t^*) / t^*)^2 \rangle$ over neurons and trials, with
    $t = \Delta t \sum_k \prod_{u \le k} (1 - s_u)$

    For spikes of 0 and 1 that is the time of the first one. The derivative with respect to a spike
    is the change that it makes: for the first one, its distance to the second; for one that would
    come earlier, the time gained; for a later one, nothing. A neuron without a spike has the
    length of the trial for its time.

    Arguments:
        group: A group or subgroup, by its name or itself.
        target: Time $t^*$, one, one a neuron, or "batch neuron": a Quantity [s]; by default that of
            the trial. `np.inf*second`, or any time beyond the trial, asks for no spike.
        scale: By what the difference is divided instead of by the target, a Quantity [s].
        onset: From when on spikes and time are counted, a Quantity [s].

    Raises:
        UnitError: Target, scale or onset are no times.
        DomainError: There is no target, it is negative or NaN; or it is zero and there is no scale;
            or the onset is not within the trial.
        ShapeError: There are more or fewer targets than neurons or trials.
        UnknownName: There is no spiking group of that name.

    Example:
        >>> from brian2 import ms
        >>> loss = first_spike("out", [5, 20]*ms, onset=10*ms)
    """
    group = named(group, "mn.losses.first_spike(...)")
    asked = f"mn.losses.first_spike({group!r})"
    if target is not None:
        plain(target, SECOND, f"{asked}: the target")
    return FirstSpike(
        group,
        target,
        None if scale is None else positive(scale, SECOND, f"{asked}: the scale"),
        0.0 if onset is None else time(onset, f"{asked}: the onset"),
    )


def latency(spikes: Tensor, dt: float) -> Tensor:
    """Time to the first spike, or the length of all if there is none, "batch neuron"."""
    return dt * torch.cumprod(1 - spikes, dim=0).sum(0)


def _require_target(wanted: Array, spikes: Tensor, scale: float | None, asked: str) -> None:
    steps, trials, neurons = spikes.shape
    if not steps:
        raise DomainError(
            f"{asked}: the onset is not before the end of the trial, so that no spike is left to"
            " count. Write an earlier onset."
        )
    if wanted.shape not in ((), (neurons,), (trials, neurons), (trials, 1)):
        raise ShapeError(
            f"{asked}: the target has the shape {wanted.shape}, but there are {trials} trials of"
            f" {neurons} neurons. Give one time, or one a neuron ({neurons},)."
        )
    if not np.all(wanted >= 0):
        raise DomainError(
            f"{asked}: a target is negative or NaN. Time counts from the start of the trial, or"
            " from the onset. Write a time from zero on, or np.inf*second for no spike."
        )
    if scale is None and not wanted.all():
        raise DomainError(
            f"{asked}: a target is 0 s. The difference is measured as a share of the target, which"
            " zero does not have. Say what counts as large: scale=5*ms."
        )
