"""Derivative of the logistic function."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._contracts import Surrogate


def sigmoid(margin: Tensor, width: Tensor | float) -> Tensor:
    r"""Stand-in for the derivative of a spike with respect to its margin.

    $h = \sigma(m/w)\,(1 - \sigma(m/w))$

    Arguments:
        margin: Distance to threshold, $m = v - v_{th}$, any shape.
        width: Scale of the logistic function, $w$, in the unit of the margin.

    Returns:
        $h$, between 0 and 1/4, of unit mass [1].

    Source: Zenke & Vogels 2021, section 2 (standard sigmoid), doi:10.1162/neco_a_01367.
    Differs from it: a width where the paper has a steepness.

    Example:
        >>> import torch
        >>> sigmoid(torch.tensor([0.0, 1e-3]), width=1e-3)
        tensor([0.2500, 0.1966])
    """
    s = torch.sigmoid(margin / width)
    return s * (1 - s)


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """The shape `sigmoid` of a stated width."""

    @property
    def formula(self) -> str:
        """See `Surrogate.formula`."""
        return "1/(1 + exp(-m/w))*(1 - 1/(1 + exp(-m/w)))"

    def __call__(self, margin: Tensor, width: Tensor | float) -> Tensor:
        """h of `sigmoid`."""
        return sigmoid(margin, width)
