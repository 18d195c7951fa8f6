"""Spike trains given to a circuit: drawn with numpy, so that every backend has the same."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorneuron.errors import DomainError, ShapeError
from mirrorneuron.units import Dimensions, si

from .pairs import picks

Array = NDArray[Any]
TIME = Dimensions(s=1.0)


@dataclass(frozen=True, eq=False)
class Trains:
    """Spikes of a group of fibres; none fires twice in a step.

    Arguments:
        i: Which fibre, "spike".
        t: When, a multiple of dt, "spike": a Quantity, or numbers [s].

    Raises:
        DomainError: A number of a fibre is not whole or negative, or a time is.
        UnitError: The times have another unit.
        ShapeError: There are not as many times as numbers.
    """

    i: Any
    t: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "i", _fibres(self.i))
        object.__setattr__(self, "t", _times(self.t))
        if self.i.shape != self.t.shape:
            raise ShapeError(
                f"Trains(i=..., t=...): i has {len(self.i)} elements and t has {len(self.t)}. Each"
                " spike has one number of a fibre and one time. Write both for every spike."
            )


def _fibres(given: Any) -> Array:
    found = _listed("i", given)
    if found.dtype.kind not in "iu" or (found < 0).any():
        raise DomainError(
            f"Trains(i={given!r:.60}): the numbers of fibres are whole and count from 0. Write"
            " i=[0, 0, 3], one for each spike."
        )
    return found.astype(np.int64)


def _times(given: Any) -> Array:
    if Dimensions.of(given) != Dimensions():
        given = si(given, TIME, "Trains(t=...)")
    found = _listed("t", given)
    if found.dtype.kind not in "iuf" or not (np.isfinite(found) & (found >= 0)).all():
        raise DomainError(
            f"Trains(t={given!r:.60}): times are finite and not negative. Write"
            " t=[1, 5, 5]*ms, one for each spike."
        )
    return found.astype(float)


def _listed(name: str, given: Any) -> Array:
    try:
        found = np.asarray(given)
    except (TypeError, ValueError):
        found = np.empty((0, 0))
    if found.ndim != 1:
        raise DomainError(
            f"Trains({name}={given!r:.60}): this is no list of numbers, one for each spike. Write"
            " Trains(i=[0, 3], t=[1, 5]*ms)."
        )
    return found if found.size else np.empty(0, np.int64)


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
