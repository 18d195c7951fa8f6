"""Derivative of the logistic function."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mirrorneuron.bridge._contracts import Surrogate


def sigmoid(margin: Tensor, width: float) -> Tensor:
    r"""Stand-in for the derivative of a spike with respect to its margin.

    $h = 4\,\sigma(m/w)\,(1 - \sigma(m/w))$

    Arguments:
        margin: Distance to threshold, $m = v - v_{th}$, any shape.
        width: Scale of the logistic function, $w$, in the unit of the margin.

    Returns:
        $h$, between 0 and 1 [1].

    Source: Zenke & Vogels 2021, section 2 (standard sigmoid), doi:10.1162/neco_a_01367.
    Differs from it: largest value 1; a width where the paper has a steepness.

    Example:
        >>> import torch
        >>> sigmoid(torch.tensor([0.0, 1e-3]), width=1e-3)
        tensor([1.0000, 0.7864])
    """
    s = torch.sigmoid(margin / width)
    return 4 * s * (1 - s)


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """The shape `sigmoid` of a stated width."""

    def __call__(self, margin: Tensor, width: float) -> Tensor:
        """h of `sigmoid`."""
        return sigmoid(margin, width)
