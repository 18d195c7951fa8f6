"""Bell curve: the derivative of a threshold with Gaussian noise."""

from dataclasses import dataclass
from math import pi, sqrt

import torch
from torch import Tensor

from .._contracts import Surrogate


def gaussian(margin: Tensor, width: Tensor | float) -> Tensor:
    r"""Stand-in for the derivative of a spike with respect to its margin.

    $h = \frac{1}{\sqrt{2\pi}} \exp(-\tfrac{1}{2}(m/w)^2)$

    Arguments:
        margin: Distance to threshold, $m = v - v_{th}$, any shape.
        width: Standard deviation of the bell, $w$, in the unit of the margin.

    Returns:
        $h$, between 0 and 0.399, of unit mass [1].

    Source: Yin, Corradi & Bohte 2021, Methods (Gaussian surrogate), doi:10.1038/s42256-021-00397-w.
    Differs from it: a single bell, without the negative side lobes of their multi-Gaussian.

    Example:
        >>> import torch
        >>> gaussian(torch.tensor([0.0, 1e-3]), width=1e-3)
        tensor([0.3989, 0.2420])
    """
    return torch.exp(-0.5 * (margin / width) ** 2) / sqrt(2 * pi)


@dataclass(frozen=True)
class Gaussian(Surrogate):
    """The shape `gaussian` of a stated width."""

    @property
    def formula(self) -> str:
        """See `Surrogate.formula`."""
        return "0.3989422804014327*exp(-0.5*(m/w)**2)"

    def __call__(self, margin: Tensor, width: Tensor | float) -> Tensor:
        """h of `gaussian`."""
        return gaussian(margin, width)
