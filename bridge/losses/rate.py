"""rate: spikes per neuron and second."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron._arrays import require_finite
from mirrorneuron.errors import DomainError, ShapeError

from ..learning._contracts import Trial
from ..program import Array
from ..recording import Recording
from ._contracts import Loss, Sum
from ._target import HERTZ, chosen, like, named, plain, positive, time

Window = tuple[Any, Any]


@dataclass(frozen=True)
class Rate(Loss):
    """See `rate`, which makes it: times and scale in SI units."""

    group: str
    target: Any
    scale: float | None
    per_neuron: bool
    start: float
    stop: float | None

    def __call__(self, recording: Recording, trial: Trial) -> Tensor:
        """The loss."""
        asked = f"mn.losses.rate({self.group!r})"
        spikes = recording.spikes[self.group]
        rates = spikes[self._steps(recording, asked)].mean(0) / recording.dt
        wanted = plain(chosen(self.target, trial, self.group, asked), HERTZ, f"{asked}: the target")
        _require_target(wanted, rates, self.scale, asked)
        if wanted.ndim == 0 and not self.per_neuron:
            rates = rates.mean()
        elif wanted.ndim < 2:
            rates = rates.mean(0)
        elif wanted.shape[1] == 1:
            rates = rates.mean(1, keepdim=True)
        scale = wanted if self.scale is None else self.scale
        return ((rates - like(wanted, rates)) / like(scale, rates)).square().mean()

    def _steps(self, recording: Recording, asked: str) -> slice:
        first = round(self.start / recording.dt)
        last = recording.steps if self.stop is None else round(self.stop / recording.dt)
        if not 0 <= first < last <= recording.steps:
            raise DomainError(
                f"{asked}: the window from {first} to {last} steps holds nothing of the trial,"
                f" or reaches beyond it: it has {recording.steps} steps of"
                f" {recording.dt * 1e3:g} ms. Write a window within it, or window=None for all."
            )
        return slice(first, last)


@checked
def rate(
    group: Any,
    target: Any = None,
    per_neuron: bool = False,
    scale: Any = None,
    window: Window | Any = None,
) -> Loss:
    r"""Squared difference of the mean rate from a target, as a share of the target.

    $L = \langle ((r - r^*) / r^*)^2 \rangle$

    The rate is averaged over time, and over all that the target does not tell apart: over trials
    and neurons for one number, over trials for one number a neuron, over neurons for "batch 1",
    over nothing for "batch neuron". Of several groups the losses add up.

    Arguments:
        group: A group or subgroup, by its name or itself, or several with their targets,
            `{"E": 5*Hz, "I": 12*Hz}`.
        target: Rate $r^*$, a Quantity [Hz]; by default that of the trial.
        per_neuron: Whether each neuron is to have the rate, where one number is given for all.
        scale: By what the difference is divided instead of by the target, a Quantity [Hz].
        window: From when to when spikes are counted, Quantities [s]; (50*ms, None) lasts to the
            end.

    Raises:
        UnitError: A target or scale is no rate, or the window no time.
        DomainError: A target is zero and there is no scale; it is negative; there is none; or the
            window is no pair, or not within the trial.
        ShapeError: There are more or fewer targets than neurons or trials.
        UnknownName: There is no spiking group of that name.

    Example:
        >>> from brian2 import Hz, ms
        >>> loss = rate({"E": 5*Hz, "I": 12*Hz}, window=(50*ms, None))
    """
    if isinstance(group, Mapping):
        if not group:
            raise DomainError(
                "mn.losses.rate({}): there is no group, so that nothing is compared. Write, say,"
                " mn.losses.rate({'E': 5*Hz})."
            )
        made = (rate(name, wanted, per_neuron, scale, window) for name, wanted in _items(group))
        return Sum(tuple((1.0, part) for part in made))
    group = named(group, "mn.losses.rate(...)")
    asked = f"mn.losses.rate({group!r})"
    start, stop = (None, None) if window is None else _bounds(window, asked)
    if target is not None:
        plain(target, HERTZ, f"{asked}: the target")
    return Rate(
        group,
        target,
        None if scale is None else positive(scale, HERTZ, f"{asked}: the scale"),
        per_neuron,
        0.0 if start is None else time(start, f"{asked}: the start of the window"),
        None if stop is None else time(stop, f"{asked}: the end of the window"),
    )


def _items(groups: Any) -> Iterable[tuple[Any, Any]]:
    return groups.items()


def _bounds(window: Any, asked: str) -> Window:
    """Start and end of a window."""
    if isinstance(window, tuple | list) or np.ndim(window) == 1:
        found = tuple(window)
        if len(found) == 2:
            return found
    raise DomainError(
        f"{asked}: the window is {window!r}, but it is a pair, from when to when spikes are"
        " counted. Write, say, window=(50*ms, 100*ms), or (50*ms, None) up to the end."
    )


def _require_target(wanted: Array, rates: Tensor, scale: float | None, asked: str) -> None:
    trials, neurons = rates.shape
    fitting = ((), (neurons,), (trials, neurons), (trials, 1))
    if wanted.shape not in fitting:
        raise ShapeError(
            f"{asked}: the target has the shape {wanted.shape}, but there are {trials} trials of"
            f" {neurons} neurons. Give one rate, one a neuron ({neurons},), or one a trial"
            f" ({trials}, 1)."
        )
    require_finite(wanted, f"{asked}: the target")
    if (wanted < 0).any():
        raise DomainError(
            f"{asked}: a target is {wanted[wanted < 0].flat[0]:g} Hz, but no rate is below zero."
            " Write a rate from 0*Hz on."
        )
    if scale is None and not wanted.all():
        raise DomainError(
            f"{asked}: a target is 0 Hz. The difference is measured as a share of the target,"
            " which zero does not have. Say what counts as large: scale=1*Hz."
        )
