"""Derivative of the arctangent: heavy tails, so that far neurons still learn."""

from dataclasses import dataclass
from math import pi

from torch import Tensor

from .._contracts import Surrogate


def arctan(margin: Tensor, width: Tensor | float) -> Tensor:
    r"""Stand-in for the derivative of a spike with respect to its margin.

    $h = \frac{1}{\pi} (1 + (m/w)^2)^{-1}$

    Arguments:
        margin: Distance to threshold, $m = v - v_{th}$, any shape.
        width: Distance at which $h$ has fallen to half, $w$, in the unit of the margin.

    Returns:
        $h$, between 0 and $1/\pi$, of unit mass [1].

    Source: Fang et al. 2021, section 4.1, doi:10.1109/ICCV48922.2021.00266.
    Differs from it: a width where the paper has $2/(\pi\alpha)$.

    Example:
        >>> import torch
        >>> arctan(torch.tensor([0.0, 1e-3]), width=1e-3)
        tensor([0.3183, 0.1592])
    """
    return 1 / (pi * (1 + (margin / width) ** 2))


@dataclass(frozen=True)
class Arctan(Surrogate):
    """The shape `arctan` of a stated width."""

    @property
    def formula(self) -> str:
        """See `Surrogate.formula`."""
        return "1/(3.141592653589793*(1 + (m/w)**2))"

    def __call__(self, margin: Tensor, width: Tensor | float) -> Tensor:
        """h of `arctan`."""
        return arctan(margin, width)
