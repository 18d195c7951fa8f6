"""victor_purpura: the price of turning one spike train into the other."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._arguments import checked

from ..learning._contracts import Trial
from ..program import Array
from ..recording import Recording
from ._contracts import Loss
from ._target import HERTZ, chosen, named, positive, raster


@dataclass(frozen=True)
class VictorPurpura(Loss):
    """See `victor_purpura`, which makes it: `cost` in 1/s."""

    group: str
    target: Any
    cost: float

    def __call__(self, recording: Recording, trial: Trial) -> Tensor:
        """The loss."""
        asked = f"mn.losses.victor_purpura({self.group!r})"
        spikes = recording.spikes[self.group]
        target = chosen(self.target, trial, self.group, asked)
        wanted = raster(target, spikes, recording.dt, self.group, asked).expand_as(spikes)
        return _Distance.apply(spikes, wanted, self.cost * recording.dt).mean()


@checked
def victor_purpura(group: Any, target: Any = None, cost: Any = None) -> Loss:
    r"""Least price of turning spike trains into target trains, the mean over neurons and trials.

    A spike added or deleted costs 1, one shifted by $\delta$ costs $q \delta$. The distance is not
    differentiable; the derivative with respect to a spike is defined as what the distance changes
    by when that one spike is added, or taken away: between -1 and 1, and exact for one change.

    Arguments:
        group: A group or subgroup, by its name or itself.
        target: As for `van_rossum`.
        cost: $q$, a Quantity [Hz]; by default 100 Hz: 20 ms of shift cost as much as two spikes.

    Raises:
        UnitError, DomainError, ShapeError, UnknownName: As `van_rossum`.

    Source: Victor & Purpura 1996, the metric D^spike[q], doi:10.1152/jn.1996.76.2.1310.

    Example:
        >>> from brian2 import Hz, ms
        >>> loss = victor_purpura("cells", {0: [5, 20]*ms, 1: [8]*ms}, cost=50*Hz)
    """
    group = named(group, "mn.losses.victor_purpura(...)")
    what = f"mn.losses.victor_purpura({group!r}): the cost"
    return VictorPurpura(group, target, 100.0 if cost is None else positive(cost, HERTZ, what))


class _Distance(torch.autograd.Function):
    """Distance of each train, "batch neuron"; backward by what one spike changes."""

    @staticmethod
    def forward(ctx: Any, spikes: Tensor, target: Tensor, cost: float) -> Tensor:
        steps, *shape = spikes.shape
        trains = spikes.detach().cpu().numpy().reshape(steps, -1).T
        wanted = target.detach().cpu().numpy().reshape(steps, -1).T
        pairs = [_Pair.of(a, b, cost) for a, b in zip(trains, wanted, strict=True)]
        if ctx.needs_input_grad[0]:
            changes = np.array([pair.changes(steps) for pair in pairs])
            ctx.save_for_backward(torch.from_numpy(changes.T.reshape(steps, *shape)).to(spikes))
        return torch.tensor([pair.distance for pair in pairs]).to(spikes).reshape(shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (changes,) = ctx.saved_tensors
        return grads[0] * changes, None, None


class _Pair(NamedTuple):
    """Two trains, in steps.

    Arguments:
        own, wanted: Steps of their spikes.
        cost: Of a shift by one step.
        before, after: Distance of the first i spikes of one from the first k of the other, and of
            those from i and k on.
    """

    own: Array
    wanted: Array
    cost: float
    before: Array
    after: Array

    @staticmethod
    def of(spikes: Array, target: Array, cost: float) -> "_Pair":
        own, wanted = (np.repeat(np.arange(len(x)), x.astype(np.int64)) for x in (spikes, target))
        after = _table(-own[::-1], -wanted[::-1], cost)[::-1, ::-1]
        return _Pair(own, wanted, cost, _table(own, wanted, cost), after)

    @property
    def distance(self) -> float:
        """Distance of the two."""
        return self.before[-1, -1]

    def changes(self, steps: int) -> Array:
        """What the distance changes by for one spike in each step, or by the one that is there."""
        step = np.arange(steps)
        place = np.searchsorted(self.own, step)
        met = self.cost * np.abs(step[:, None] - self.wanted)
        matched = self.before[place, :-1] + met + self.after[place, 1:]
        gained = np.minimum(1.0, matched.min(1, initial=np.inf) - self.distance)
        without = (self.before[:-1] + self.after[1:]).min(1)
        gained[self.own] = self.distance - without
        return gained


def _table(a: Array, b: Array, cost: float) -> Array:
    """Distances of all beginnings of two trains from each other."""
    rows = [np.arange(len(b) + 1.0)]
    for step in a:
        above = rows[-1]
        row = above + 1
        row[1:] = np.minimum(row[1:], above[:-1] + cost * np.abs(step - b))
        rows.append(np.minimum.accumulate(row - rows[0]) + rows[0])  # spikes of b added in a row
    return np.array(rows)
