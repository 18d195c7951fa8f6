"""Derivative of the fast sigmoid, as first used for deep spiking networks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._contracts import Surrogate


def fast_sigmoid(margin: Tensor, width: Tensor | float) -> Tensor:
    r"""Stand-in for the derivative of a spike with respect to its margin.

    $h = \tfrac{1}{2} (1 + |m|/w)^{-2}$

    Arguments:
        margin: Distance to threshold, $m = v - v_{th}$, any shape.
        width: Distance at which $h$ has fallen to a quarter, $w$, in the unit of the margin.

    Returns:
        $h$, between 0 and 1/2, of unit mass [1].

    Source: Zenke & Ganguli 2018, section 3.3.2, doi:10.1162/neco_a_01086.
    Differs from it: a width $w = 1/\beta$ in the unit of $v$, where the paper has a steepness; unit
    mass, where the paper has 2.

    Example:
        >>> import torch
        >>> fast_sigmoid(torch.tensor([0.0, 1e-3]), width=1e-3)
        tensor([0.5000, 0.1250])
    """
    return 0.5 * (1 + torch.abs(margin) / width) ** -2


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """The shape `fast_sigmoid` of a stated width."""

    @property
    def formula(self) -> str:
        """See `Surrogate.formula`."""
        return "0.5/(1 + abs(m)/w)**2"

    def __call__(self, margin: Tensor, width: Tensor | float) -> Tensor:
        """h of `fast_sigmoid`."""
        return fast_sigmoid(margin, width)
