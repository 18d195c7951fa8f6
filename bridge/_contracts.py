"""What a file in `surrogates/` provides.

A rule's contract lives beside the rules, in `learning/`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Surrogate(ABC):
    r"""Stand-in for the derivative of a spike with respect to its margin.

    Backward, $ds/dm = h(m, w) / w$: the shape h is a pure number, largest at m = 0, and the
    division by the width gives the derivative the unit of 1/margin that it must have. The shape
    has unit mass, $\int h(x)\,dx = 1$ for w = 1, so that $ds/dm$ is the derivative of a smeared
    step from 0 to 1.

    Arguments:
        width: Width w in the unit of the threshold variable, a `Quantity` such as `1*mV` (a plain
            number where the threshold compares pure numbers). None derives it for each neuron from
            the model's own threshold and reset: see `bridge/spike_gradient.py`.
    """

    width: Any = None

    @property
    def formula(self) -> str:
        """The shape as an expression of m and w, for engines that compile; empty if there is none.

        It has to say the same as the shape itself, in the functions that equations have.
        """
        return ""

    @abstractmethod
    def __call__(self, margin: Tensor, width: Tensor | float) -> Tensor:
        """The shape h(m, w), a pure number of the shape of `margin`."""

    @property
    def peak(self) -> float:
        """The shape at threshold, h(0)."""
        return float(self(torch.zeros(1, dtype=torch.float64), 1.0))
