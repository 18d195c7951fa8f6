"""Triangle of finite support: neurons far from threshold get no gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError

from .._contracts import Surrogate


def triangle(margin: Tensor, width: Tensor | float, factor: float = 1.0) -> Tensor:
    r"""Stand-in for the derivative of a spike with respect to its margin.

    $h = \gamma \max(0, 1 - |m|/w)$

    Arguments:
        margin: Distance to threshold, $m = v - v_{th}$, any shape.
        width: Distance at which $h$ reaches 0, $w$, in the unit of the margin.
        factor: Dampening factor, $\gamma$ [1]: below 1, gradients through many steps of a
            recurrent network grow less.

    Returns:
        $h$, between 0 and $\gamma$, of mass $\gamma$ [1].

    Source: Bellec et al. 2020, Methods (pseudo-derivative), doi:10.1038/s41467-020-17236-y.
    Differs from it: the dampening factor is 1 if not given (0.3 in the paper); the width is free,
    where the paper takes the threshold.

    Example:
        >>> import torch
        >>> triangle(torch.tensor([0.0, 5e-4]), width=1e-3)
        tensor([1.0000, 0.5000])
    """
    return factor * torch.clamp(1 - torch.abs(margin) / width, min=0)


@checked
@dataclass(frozen=True)
class Triangle(Surrogate):
    """The shape `triangle` of a stated width, and height `factor`.

    Raises:
        DomainError: The factor is not positive and finite.
    """

    factor: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.factor < float("inf"):
            raise DomainError(
                f"Triangle(factor={self.factor}): the height of the triangle is not positive and"
                " finite, so that no gradient would pass a spike, or one of the wrong sign. Write,"
                " say, factor=0.3, or leave it out for 1."
            )

    @property
    def formula(self) -> str:
        """See `Surrogate.formula`."""
        return f"{self.factor!r}*clip(1 - abs(m)/w, 0, 1)"

    def __call__(self, margin: Tensor, width: Tensor | float) -> Tensor:
        """h of `triangle`."""
        return triangle(margin, width, self.factor)
