"""Patience: when a training that no longer improves ends."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from mirrorneuron.errors import DomainError

from .arguments import is_number, is_whole


@dataclass
class Patience:
    """Counts steps without improvement.

    Arguments:
        steps: How many of them end the training; None is no end.
        least: By how much a loss has to fall to count as an improvement.

    Raises:
        DomainError: The number of steps is not a whole number of at least 1, or `least` is
            negative or not finite.
    """

    steps: int | Any
    least: float | Any
    lowest: float = inf
    waited: int = 0

    def __post_init__(self) -> None:
        if self.steps is not None and not (is_whole(self.steps) and self.steps >= 1):
            raise DomainError(
                f"fit(patience={self.steps!r}): patience is a number of steps without improvement"
                " after which training ends, at least one. Write, say, patience=20, or None."
            )
        if not (is_number(self.least) and isfinite(self.least) and self.least >= 0):
            raise DomainError(
                f"fit(min_delta={self.least!r}): by this much a loss has to fall to count as an"
                " improvement, which is a finite number of at least 0. Write, say, min_delta=1e-3."
            )

    @property
    def exhausted(self) -> bool:
        """Whether training ends."""
        return self.steps is not None and self.waited >= self.steps

    def see(self, losses: Iterable[float]) -> None:
        """Count steps by their losses."""
        for loss in losses:
            if loss < self.lowest - self.least:
                self.lowest, self.waited = loss, 0
            else:
                self.waited += 1
