"""Parameters: what of a network is trained, and within which limits.

A parameter is held in SI units, as Brian2 holds it. A limit is kept by projection: after each
step of an optimiser, `Mirror.project_` moves values that left it back to its border.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mirrorneuron.errors import DomainError
from mirrorneuron.units import Dimensions, si


class Limit(ABC):
    """Values that a parameter may take."""

    @abstractmethod
    def project(self, value: Tensor, start: Tensor, unit: Dimensions) -> Tensor:
        """Nearest allowed value. `start` is the value before training."""


@dataclass(frozen=True)
class Free(Limit):
    """Any value."""

    def project(self, value: Tensor, start: Tensor, unit: Dimensions) -> Tensor:
        """The value itself."""
        return value


@dataclass(frozen=True)
class Bounded(Limit):
    """Values in [low, high].

    Arguments:
        low, high: Quantities in the unit of the parameter.
    """

    low: Any
    high: Any

    def project(self, value: Tensor, start: Tensor, unit: Dimensions) -> Tensor:
        """The value, clipped."""
        low, high = self.limits(unit)
        return value.clamp(low, high)

    def limits(self, unit: Dimensions) -> tuple[float, float]:
        """Bounds in SI units.

        Raises:
            UnitError: A bound has another unit.
            DomainError: The lower bound is not below the upper one.
        """
        low = float(si(self.low, unit, "the lower bound of mn.Bounded"))
        high = float(si(self.high, unit, "the upper bound of mn.Bounded"))
        if not low < high:
            raise DomainError(
                f"mn.Bounded({self.low}, {self.high}): the lower bound is not below the upper"
                " one, so that no value is allowed. Write the smaller one first."
            )
        return low, high


@dataclass(frozen=True)
class Positive(Limit):
    """Values above zero, and no smaller than a thousandth of where they start."""

    def project(self, value: Tensor, start: Tensor, unit: Dimensions) -> Tensor:
        """The value, or the smallest one allowed."""
        return torch.maximum(value, 1e-3 * start.abs())


@dataclass(frozen=True)
class Sign(Limit):
    """Values that keep the sign that they have at the start (Dale's law)."""

    def project(self, value: Tensor, start: Tensor, unit: Dimensions) -> Tensor:
        """The value, or zero where it changed sign."""
        return torch.where(value * torch.sign(start) >= 0, value, torch.zeros_like(value))
