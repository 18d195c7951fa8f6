"""Triangle of finite support: neurons far from threshold get no gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mirrorneuron.bridge._contracts import Surrogate


def triangle(margin: Tensor, width: float) -> Tensor:
    r"""Stand-in for the derivative of a spike with respect to its margin.

    $h = \max(0, 1 - |m|/w)$

    Arguments:
        margin: Distance to threshold, $m = v - v_{th}$, any shape.
        width: Distance at which $h$ reaches 0, $w$, in the unit of the margin.

    Returns:
        $h$, between 0 and 1 [1].

    Source: Bellec et al. 2020, Methods (pseudo-derivative), doi:10.1038/s41467-020-17236-y.
    Differs from it: no dampening factor (0.3 in the paper); the width is free, where the paper
    takes the threshold.

    Example:
        >>> import torch
        >>> triangle(torch.tensor([0.0, 5e-4]), width=1e-3)
        tensor([1.0000, 0.5000])
    """
    return torch.clamp(1 - torch.abs(margin) / width, min=0)


@dataclass(frozen=True)
class Triangle(Surrogate):
    """The shape `triangle` of a stated width."""

    def __call__(self, margin: Tensor, width: float) -> Tensor:
        """h of `triangle`."""
        return triangle(margin, width)
