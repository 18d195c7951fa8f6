"""What a loss is: a function of a recording and its trial that can be weighted and added."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor

from mirrorneuron.errors import DomainError

from ..learning._contracts import Trial
from ..recording import Recording

AnyLoss = Callable[[Recording, Trial], Tensor]


class Loss(ABC):
    """Loss of a recording, to be given to a task.

    `additive` says whether the loss of a trial is the sum of the losses of its parts. None of
    those here is: a mean rate, a mean over time and a filter that remembers all depend on the
    whole trial.
    """

    additive: ClassVar[bool] = False

    @property
    def record(self) -> tuple[str, ...]:
        """Variables that have to be recorded; spikes always are."""
        return ()

    @abstractmethod
    def __call__(self, recording: Recording, trial: Trial) -> Tensor:
        """The loss, a scalar."""

    def __add__(self, other: "AnyLoss | Literal[0] | Any") -> "Loss":
        if isinstance(other, int) and other == 0:  # where sum([...]) starts
            return self
        if not callable(other):
            raise DomainError(
                f"loss + {other!r}: a loss is added to another one, a function of a recording and"
                " its trial, which this is not. A number that is the same for all parameters has no"
                " gradient. Write, say, loss + (lambda recording, trial: ...)."
            )
        return Sum((*_parts(self), *_parts(other)))

    __radd__ = __add__

    def __mul__(self, weight: Any) -> "Loss":
        number = isinstance(weight, int | float | np.integer | np.floating)
        if not (number and np.isfinite(weight)):
            raise DomainError(
                f"loss * {weight!r}: a loss is weighted by a plain finite number, which this is"
                " not. Write, say, 0.1 * mn.losses.rate(...)."
            )
        return Sum(tuple((float(weight) * own, part) for own, part in _parts(self)))

    __rmul__ = __mul__


@dataclass(frozen=True)
class Sum(Loss):
    """A weighted sum of losses.

    Arguments:
        parts: Weight and loss of each; a loss may be any function of a recording and its trial.
    """

    parts: tuple[tuple[float, AnyLoss], ...]

    @property
    def record(self) -> tuple[str, ...]:
        """What any of the parts needs."""
        needed = (key for _, part in self.parts for key in getattr(part, "record", ()))
        return tuple(dict.fromkeys(needed))

    def __call__(self, recording: Recording, trial: Trial) -> Tensor:
        """The sum."""
        (weight, first), *rest = self.parts
        total = weight * first(recording, trial)
        for weight, part in rest:
            total = total + weight * part(recording, trial)
        return total


def _parts(loss: Any) -> tuple[tuple[float, AnyLoss], ...]:
    return loss.parts if isinstance(loss, Sum) else ((1.0, loss),)
