r"""Kernel: what one spike does to a membrane, measured on the user's own neuron and synapse.

The mirrored neuron receives one spike, its threshold off; what that adds to the distance to
threshold, divided by the weight, is $\epsilon(t)$. Its integrals

$\bar\epsilon = \int \epsilon \, dt$ and $\hat\epsilon = \int \epsilon^2 \, dt$

are sums over the steps of the network, so that they are those of the neuron as it is integrated.
The weight is so small that the answer is linear: a conductance acts as at rest.

Source: Rossbroich, Gygax & Zenke 2022, section 2.1 and appendix, doi:10.1088/2634-4386/ac97bb,
where the kernel is that of one model of neuron.
"""

from typing import NamedTuple

import numpy as np
import torch

from mirrorneuron.errors import DomainError

from ..program import Array
from ..spikes import State
from .afferent import Afferent
from .free_membrane import FIRST, LONGEST, FreeMembrane, Membrane

WEIGHT = 1e-12  # first guess, in SI units
SMALL, TRIES = 1e-4, 8
ENDED, LINEAR, FALLS = 1e-6, 1e-2, 0.999


class Kernel(NamedTuple):
    """Integrals of a postsynaptic potential of unit weight, for each neuron.

    Arguments:
        mean: Of the potential [unit of the membrane s / unit of the weight], " neuron".
        square: Of its square, " neuron".
    """

    mean: Array
    square: Array


def kernel(free: FreeMembrane, afferent: Afferent, rest: State, scale: Array) -> Kernel:
    """Measure the kernel of one synapse at each neuron; NaN at those without any.

    Arguments:
        free: The network with its threshold off.
        afferent: The weights.
        rest: Its state at rest.
        scale: Size of fluctuations that matter, in the unit of the membrane, " neuron".

    Raises:
        DomainError: A spike does not move the membrane, not in proportion to the weight, or for
            ever.
    """
    weight = _small(free, afferent, rest, scale)
    dt, reached = free.program.dt, afferent.fan_in > 0
    one, other = (_first(free, afferent, rest, w) / w for w in (weight, 2 * weight))
    if np.abs(other - one).max() > LINEAR * np.abs(one).max():
        raise DomainError(
            f"fluctuation_driven(weights=[{afferent.key!r}]): twice the weight does not move"
            f" {free.membrane.key} twice as far, even by {SMALL:g} of its range, so that no kernel"
            " describes the synapse. Let on_pre add a multiple of the weight, 'g += w'."
        )
    unit = _whole(free, afferent, rest, weight) / weight
    sums = unit.sum(0) * dt, np.square(unit).sum(0) * dt
    return Kernel(*(np.where(reached, s, np.nan) for s in sums))


def _small(free: FreeMembrane, afferent: Afferent, rest: State, scale: Array) -> float:
    """A weight with which a spike moves the membrane by a small part of its range."""
    weight, height = WEIGHT, 0.0
    for _ in range(TRIES):
        height = float((np.abs(_first(free, afferent, rest, weight)).max(0) / scale).max())
        if 0.3 * SMALL <= height <= 3 * SMALL:
            return weight
        weight *= 1e3 if height == 0 else SMALL / height
    if height > 0:
        return weight
    raise _unmoved(afferent, free.membrane)


def _unmoved(afferent: Afferent, membrane: Membrane) -> DomainError:
    return DomainError(
        f"fluctuation_driven(weights=[{afferent.key!r}]): a spike of {afferent.source!r} does not"
        f" move {membrane.key}, whatever the weight: it acts on something else, or its reversal"
        f" potential is the rest. Name the variable that it moves, sigma_u="
        f"{{'{membrane.group}.v': ...}}, or leave {afferent.key!r} out of weights."
    )


def _first(free: FreeMembrane, afferent: Afferent, rest: State, weight: float) -> Array:
    """The beginning of the answer to a spike, "time neuron"."""
    steps = FIRST + afferent.pathway.max_delay
    return _answer(free, afferent, free.twice(rest), weight, steps, fires=True)[0]


def _answer(
    free: FreeMembrane, afferent: Afferent, state: State, weight: float, steps: int, fires: bool
) -> tuple[Array, State]:
    """What a spike in the second of two trials adds, "time neuron"."""
    train = torch.zeros(steps, 2, free.sizes[afferent.source], dtype=torch.float64)
    train[0, 1] = float(fires)
    weights = {afferent.key: weight * afferent.one_each}
    trace, state = free.run(steps, state, weights, {afferent.source: train})
    return (trace[:, 1] - trace[:, 0]).numpy(), state


def _stays(parts: list[Array]) -> bool:
    """Whether an answer no longer becomes smaller."""
    before, now = (np.abs(part).mean() for part in parts[-2:]) if len(parts) > 2 else (1.0, 0.0)
    return bool(now > FALLS * before)


def _whole(free: FreeMembrane, afferent: Afferent, rest: State, weight: float) -> Array:
    """The answer to a spike until it has died away, "time neuron"."""
    state, parts, steps = free.twice(rest), list[Array](), FIRST + afferent.pathway.max_delay
    while sum(map(len, parts)) < LONGEST and not _stays(parts):
        part, state = _answer(free, afferent, state, weight, steps, fires=not parts)
        parts.append(part)
        total = sum(np.abs(p).sum(0) for p in parts)
        if len(parts) > 1 and np.all(np.abs(part).sum(0) <= ENDED * total):
            return np.concatenate(parts)
        steps = min(2 * steps, free.largest())
    raise DomainError(
        f"fluctuation_driven(weights=[{afferent.key!r}]): what a spike adds to"
        f" {free.membrane.key} has not died away after"
        f" {sum(map(len, parts)) * free.program.dt:g} s, so that its fluctuations grow without end."
        f" Give {free.membrane.group!r} a leak."
    )
