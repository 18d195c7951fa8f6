"""What a file in `surrogates/` provides.

A rule's contract lives beside the rules, in `learning/`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Surrogate(ABC):
    """Stand-in for the derivative of a spike with respect to its margin.

    Backward, $ds/dm = h(m, w) / w$: the shape h is a pure number, largest at m = 0, and the
    division by the width gives the derivative the unit of 1/margin that it must have.

    Arguments:
        width: Width w in the unit of the threshold variable, a `Quantity` such as `1*mV`
            (a plain number where the threshold compares pure numbers).
    """

    width: Any

    @abstractmethod
    def __call__(self, margin: Tensor, width: float) -> Tensor:
        """The shape h(m, w), a pure number of the shape of `margin`."""
