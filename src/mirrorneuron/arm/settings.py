"""Settings of an arm: times, noise and names, checked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import torch

from ..errors import DomainError, UnknownName
from ..units import Dimensions, si

SECOND = Dimensions(s=1.0)
ROUNDING = 1e-6


class Settings(TypedDict, total=False):
    """What `ArmBatch`, `ArmEnv` and `ArmVectorEnv` take beside plant and task: see `Arm`."""

    sense: Sequence[str]
    control_step: Any
    dt: Any
    duration: Any
    sensory_delay: Any
    motor_delay: Any
    sensory_noise: Mapping[str, float]
    motor_noise: float
    dtype: torch.dtype
    device: str


def require_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that nothing has.

    Raises:
        UnknownName: Names the first.
    """
    for name in given:
        if name not in known:
            raise UnknownName.among(f"{what}={name!r}", name, known)


def require_distinct(sense: Sequence[str]) -> None:
    """Refuse senses that show nothing, or something twice.

    Raises:
        DomainError: They do.
    """
    if not sense or len(set(sense)) < len(sense):
        raise DomainError(
            f"sense={list(sense)!r} shows nothing, or something twice. A controller has to see the"
            " arm. Write, say, sense=['angle', 'velocity']."
        )


def positive(name: str, value: Any) -> float:
    """A time [s].

    Raises:
        UnitError: It is none.
        DomainError: It is not positive and finite.
    """
    seconds = float(si(value, SECOND, name))
    if not 0 < seconds < np.inf:
        raise DomainError(f"{name}={value} is not positive and finite. Write {name}=1*ms.")
    return seconds


def count(name: str, value: Any, step: float, least: int = 0) -> int:
    """How many steps a time takes.

    Raises:
        UnitError: It is no time.
        DomainError: It is no multiple of the step.
    """
    ratio = float(si(value, SECOND, name)) / step
    steps = round(ratio) if np.isfinite(ratio) else -1
    if steps < least or abs(ratio - steps) > ROUNDING:
        raise DomainError(
            f"{name}={value} is no multiple of {step * 1e3:g} ms, from {least} on. The arm moves in"
            f" whole steps. Write, say, {name}={max(steps, 1) * step * 1e3:g}*ms."
        )
    return steps


def deviation(name: str, value: float) -> float:
    """A standard deviation.

    Raises:
        DomainError: It is negative or not finite.
    """
    if not 0 <= value < np.inf:
        raise DomainError(
            f"{name}={value!r} is negative or not finite. It is the"
            f" standard deviation of noise. Write {name}=0.0 for none."
        )
    return float(value)


def deviations(chosen: Sequence[str], noise: Mapping[str, float]) -> dict[str, float]:
    """The standard deviation of each sense, 0 where none is given.

    Raises:
        UnknownName: A sense is none of those chosen.
        DomainError: A deviation is negative or not finite.
    """
    require_known("sensory_noise", noise, chosen)
    given = {n: deviation(f"sensory_noise[{n!r}]", x) for n, x in noise.items()}
    return dict.fromkeys(chosen, 0.0) | given
