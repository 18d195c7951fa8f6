"""Derivative of the fast sigmoid, as first used for deep spiking networks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mirrorneuron.bridge._contracts import Surrogate


def fast_sigmoid(margin: Tensor, width: float) -> Tensor:
    r"""Stand-in for the derivative of a spike with respect to its margin.

    $h = (1 + |m|/w)^{-2}$

    Arguments:
        margin: Distance to threshold, $m = v - v_{th}$, any shape.
        width: Distance at which $h$ has fallen to 1/4, $w$, in the unit of the margin.

    Returns:
        $h$, between 0 and 1 [1].

    Source: Zenke & Ganguli 2018, section 3.3.2, doi:10.1162/neco_a_01086.
    Differs from it: a width $w = 1/\beta$ in the unit of $v$, where the paper has a steepness.

    Example:
        >>> import torch
        >>> fast_sigmoid(torch.tensor([0.0, 1e-3]), width=1e-3)
        tensor([1.0000, 0.2500])
    """
    return (1 + torch.abs(margin) / width) ** -2


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """The shape `fast_sigmoid` of a stated width."""

    def __call__(self, margin: Tensor, width: float) -> Tensor:
        """h of `fast_sigmoid`."""
        return fast_sigmoid(margin, width)
