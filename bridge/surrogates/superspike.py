"""SuperSpike's surrogate: the derivative of the fast sigmoid under its best-known name.

Source: Zenke & Ganguli 2018, section 3.3.2, doi:10.1162/neco_a_01086.
"""

from dataclasses import dataclass

from torch import Tensor

from .._contracts import Surrogate
from .fast_sigmoid import fast_sigmoid


@dataclass(frozen=True)
class SuperSpike(Surrogate):
    r"""$h = \tfrac{1}{2} (1 + |m|/w)^{-2}$, the same shape as `FastSigmoid`.

    The paper's steepness is $\beta = 1/w$, and its shape has twice this height. Only the surrogate
    is meant here: the learning rule of that name also filters errors and synaptic input.

    Example:
        >>> import torch
        >>> SuperSpike(width=1.0)(torch.tensor([0.0, 1.0]), 1.0)
        tensor([0.5000, 0.1250])
    """

    @property
    def formula(self) -> str:
        """See `Surrogate.formula`."""
        return "0.5/(1 + abs(m)/w)**2"

    def __call__(self, margin: Tensor, width: Tensor | float) -> Tensor:
        """h of `fast_sigmoid`."""
        return fast_sigmoid(margin, width)
