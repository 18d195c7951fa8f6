"""Spike trains given to a circuit: drawn with numpy, so that every backend has the same."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorneuron.errors import DomainError

from .pairs import picks

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Trains:
    """Spikes of a group of fibres, in the order of time; none fires twice in a step.

    Arguments:
        i: Which fibre, "spike".
        t: When, a multiple of dt, "spike" [s].
    """

    i: Array
    t: Array


def poisson(
    fibres: Array, rate: float, window: tuple[float, float], dt: float, rng: np.random.Generator
) -> Trains:
    """Independent Poisson trains of some fibres in a window, in each step with rate·dt.

    Arguments:
        fibres: Which ones.
        rate: Of each [Hz].
        window: From and to [s].
        dt: Time step [s].
        rng: Draws them.

    Raises:
        DomainError: The rate is negative, or above one spike a step.
    """
    if not 0 <= rate * dt <= 1:
        raise DomainError(
            f"poisson(rate={rate:g} Hz): with steps of {dt * 1e3:g} ms a fibre fires between 0 and"
            f" {1 / dt:g} times a second. Write a rate between those."
        )
    first, last = (round(edge / dt) for edge in window)
    flat = picks((last - first) * len(fibres), rate * dt, rng)
    return Trains(fibres[flat % len(fibres)], (first + flat // len(fibres)) * dt)


def together(*trains: Trains, dt: float) -> Trains:
    """All spikes of several trains; where two fall into one step of a fibre, one of them."""
    i = np.concatenate([train.i for train in trains]).astype(np.int64)
    step = np.round(np.concatenate([train.t for train in trains]) / dt).astype(np.int64)
    key = np.unique(step * (i.max() + 1) + i) if len(i) else step
    fibres = i.max() + 1 if len(i) else 1
    return Trains(key % fibres, key // fibres * dt)
