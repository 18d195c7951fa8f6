"""Parameters: within which limits what is trained may move.

A limit also says how the parameter is optimised: see `bridge/scaling.py`. It holds always, in
`fit` and in a training loop of a user's own.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError
from mirrorneuron.units import Dimensions, si

from .scaling import Bound, Linear, Logarithmic, Scaling, power_of_two


class Limit(ABC):
    """Values that a parameter may take."""

    def scaling(self, key: str, start: Tensor, unit: Dimensions) -> Scaling:
        """How the parameter is optimised: divided by its size.

        Arguments:
            key: Its name, for messages.
            start: Its value before training, in SI units.
            unit: Its dimensions.
        """
        low, high = self.bounds(start, unit)
        scale = power_of_two(start)
        return Linear(scale, low / scale, high / scale)

    @abstractmethod
    def bounds(self, start: Tensor, unit: Dimensions) -> tuple[Bound, Bound]:
        """Smallest and largest allowed value, in SI units."""

    @abstractmethod
    def __str__(self) -> str:
        """What the report says of it, after the name of the parameter."""


@dataclass(frozen=True)
class Free(Limit):
    """Any value."""

    def bounds(self, start: Tensor, unit: Dimensions) -> tuple[Bound, Bound]:
        """See `Limit.bounds`."""
        return -inf, inf

    def __str__(self) -> str:
        return "free"


@checked
@dataclass(frozen=True)
class Bounded(Limit):
    """Values in [low, high], borders included; a value outside is moved to the border.

    Arguments:
        low, high: Quantities in the unit of the parameter.
    """

    low: Any
    high: Any

    def bounds(self, start: Tensor, unit: Dimensions) -> tuple[Bound, Bound]:
        """See `Limit.bounds`.

        Raises:
            UnitError: A bound has another unit.
            DomainError: The lower bound is not below the upper one, or one is no single value.
        """
        low = _one(si(self.low, unit, "the lower bound of mn.Bounded"), self)
        high = _one(si(self.high, unit, "the upper bound of mn.Bounded"), self)
        if not low < high:
            raise DomainError(
                f"mn.Bounded({self.low}, {self.high}): the lower bound is not below the upper"
                " one, so that no value is allowed. Write the smaller one first."
            )
        return low, high

    def __str__(self) -> str:
        return f"from {self.low} to {self.high}"


@dataclass(frozen=True)
class Positive(Limit):
    """Values above zero, optimised as logarithms."""

    def bounds(self, start: Tensor, unit: Dimensions) -> tuple[Bound, Bound]:
        """See `Limit.bounds`."""
        return 0.0, inf

    def scaling(self, key: str, start: Tensor, unit: Dimensions) -> Scaling:
        """How the parameter is optimised: as a logarithm.

        Raises:
            DomainError: It starts at zero or below.
        """
        made = Logarithmic(key, start)
        made.take(start)
        return made

    def __str__(self) -> str:
        return "positive"


@dataclass(frozen=True)
class Sign(Limit):
    """Values that keep the sign that they have at the start (Dale's law)."""

    def bounds(self, start: Tensor, unit: Dimensions) -> tuple[Bound, Bound]:
        """See `Limit.bounds`."""
        least = torch.full_like(start, -inf)
        return least.masked_fill(start > 0, 0.0), -least.masked_fill(start < 0, 0.0)

    def __str__(self) -> str:
        return "keeps its sign"


def _one(bound: Any, limit: Bounded) -> float:
    if bound.size != 1:
        raise DomainError(
            f"mn.Bounded({limit.low}, {limit.high}): a bound is one value for all elements, but"
            f" this has {bound.size}. Write one, such as the smallest lower and the largest upper."
        )
    return float(bound.item())
