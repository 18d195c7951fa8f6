r"""Scaling: how a parameter of size one stands for a value in SI units.

SI values of one network differ by ten orders of magnitude between a weight and a rate. What an
optimiser sees, the optimised value $r$, is of size one instead, so that a step of 0.01 is a step
of 1 % for each parameter: $x = s\,r$, with a power of two for the scale $s$, so that no bit is
lost; or $x = x_0\,e^r$ where the value has to stay positive.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, log2

import torch
from torch import Tensor

from mirrorneuron.errors import DomainError

Bound = float | Tensor
REACH = 50.0  # factors of e up and down, within which a positive value is neither 0 nor infinite


class Scaling(ABC):
    """What an optimised value means."""

    @abstractmethod
    def value(self, raw: Tensor) -> Tensor:
        """The value in SI units, differentiable."""

    @abstractmethod
    def slope(self, raw: Tensor) -> Tensor:
        """Derivative of the value with respect to the optimised one."""

    @abstractmethod
    def take(self, value: Tensor) -> Tensor:
        """The optimised value that stands, to the last bit, for a value in SI units."""

    @abstractmethod
    def within(self, raw: Tensor) -> Tensor:
        """The nearest optimised value that is allowed."""

    @abstractmethod
    def convert(self, change: Callable[[Tensor], Tensor]) -> None:
        """Follow the parameter to another type or device."""

    @contextmanager
    def unlimited(self) -> Generator[None]:
        """Allow any value that there is a number for, for a while."""
        yield


@dataclass
class Linear(Scaling):
    """A value divided by its size.

    Arguments:
        scale: A power of two, the size of the value.
        low, high: Smallest and largest optimised value that is allowed.
    """

    scale: float
    low: Bound
    high: Bound

    def value(self, raw: Tensor) -> Tensor:
        """See `Scaling.value`."""
        return raw * self.scale

    def slope(self, raw: Tensor) -> Tensor:
        """See `Scaling.slope`."""
        return torch.full_like(raw, self.scale)

    def take(self, value: Tensor) -> Tensor:
        """See `Scaling.take`."""
        return value / self.scale

    def within(self, raw: Tensor) -> Tensor:
        """See `Scaling.within`."""
        return raw.clamp(min=self.low).clamp(max=self.high)  # pyright: ignore

    def convert(self, change: Callable[[Tensor], Tensor]) -> None:
        """See `Scaling.convert`."""
        self.low, self.high = (
            change(bound) if isinstance(bound, Tensor) else bound for bound in (self.low, self.high)
        )

    @contextmanager
    def unlimited(self) -> Generator[None]:
        """See `Scaling.unlimited`."""
        limits = self.low, self.high
        self.low, self.high = -inf, inf
        try:
            yield
        finally:
            self.low, self.high = limits


@dataclass
class Logarithmic(Scaling):
    """A positive value as the logarithm of its ratio to a reference.

    Arguments:
        key: The name of the parameter, for messages.
        reference: The value that was set last.
    """

    key: str
    reference: Tensor

    def value(self, raw: Tensor) -> Tensor:
        """See `Scaling.value`."""
        return self.reference * raw.exp()

    def slope(self, raw: Tensor) -> Tensor:
        """See `Scaling.slope`."""
        return self.value(raw)

    def take(self, value: Tensor) -> Tensor:
        """See `Scaling.take`; the value is the new reference, so that nothing is rounded.

        Raises:
            DomainError: An element is zero or below.
        """
        _require_positive(self.key, value.detach().reshape(-1))
        self.reference = value.detach().clone()
        return torch.zeros_like(self.reference)

    def within(self, raw: Tensor) -> Tensor:
        """See `Scaling.within`."""
        return raw.clamp(-REACH, REACH)

    def convert(self, change: Callable[[Tensor], Tensor]) -> None:
        """See `Scaling.convert`."""
        self.reference = change(self.reference)


def _require_positive(key: str, value: Tensor) -> None:
    bad = torch.nonzero(value <= 0).flatten()
    if len(bad):
        first = int(bad[0])
        place = f" at element {first}" if value.numel() > 1 else ""
        raise DomainError(
            f"train={{{key!r}: mn.Positive()}}: {key} is {float(value[first]):g}{place}, but a"
            " positive parameter is optimised as its logarithm, which zero and below do not have."
            " Start above zero, or write mn.Bounded(0*unit, ...) or mn.Sign(), which reach zero."
        )


def power_of_two(value: Tensor) -> float:
    """The power of two nearest to the root mean square of a value; 1 where all of it is zero."""
    size = float(value.double().abs().amax()) if value.numel() else 0.0
    if size == 0:
        return 1.0
    return 2.0 ** round(log2(size * float((value.double() / size).square().mean()) ** 0.5))
