r"""Synaptic intelligence: weights that mattered for earlier tasks are hard to move.

While a task is learnt, each parameter sums what its own changes did to the loss,
$p \mathrel{-}= g\, \Delta w$. At the end of the task that becomes an importance
$\omega \mathrel{+}= [p / ((w - \tilde w)^2 + \xi)]_+$, and $\tilde w = w$. Later tasks have the
additional loss $c \sum \omega (w - \tilde w)^2$.

Source: Zenke, Poole & Ganguli 2017, equations 3 to 5, PMLR 70:3987, arXiv:1703.04200.
Differs from it: nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mirrorneuron.errors import CheckpointError

from ._hooked import Hooked, require_at_least_zero


class SynapticIntelligence(Hooked):
    """Follows an optimizer, and holds what earlier tasks need.

    The memory is four numbers a parameter: $p$, $\\omega$, $\\tilde w$ and the value before a step.

    Arguments:
        optimizer: Any of torch's, over the parameters to protect.
        strength: $c$ [1].
        damping: $\\xi$, in units of a squared parameter.

    Raises:
        DomainError: `optimizer` is none, `strength` or `damping` is negative.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.zeros(1))
        >>> adam = torch.optim.Adam([w])
        >>> kept = SynapticIntelligence(adam, strength=0.1)
        >>> kept.consolidate()
    """

    def __init__(
        self, optimizer: Optimizer | Any, strength: float | Any, damping: float | Any = 0.1
    ) -> None:
        super().__init__(optimizer)
        self.strength = require_at_least_zero("SynapticIntelligence", "strength", strength)
        self.damping = require_at_least_zero("SynapticIntelligence", "damping", damping)
        self.path = [torch.zeros_like(p) for p in self.parameters]
        self.importance = [torch.zeros_like(p) for p in self.parameters]
        self.reference = [p.detach().clone() for p in self.parameters]

    def before(self, gradients: Sequence[Tensor]) -> None:
        """Add the slope of the penalty."""
        held = zip(gradients, self.parameters, self.importance, self.reference, strict=True)
        for g, p, omega, there in held:
            g.addcmul_(omega, p.detach() - there, value=2 * self.strength)

    def after(self, gradients: Sequence[Tensor], changes: Sequence[Tensor]) -> None:
        """Sum what each parameter contributed to the fall of the loss."""
        for path, g, change in zip(self.path, gradients, changes, strict=True):
            path.addcmul_(g, change, value=-1)

    @torch.no_grad()
    def consolidate(self) -> None:
        """End a task: what mattered in it is protected from now on."""
        held = zip(self.parameters, self.path, self.importance, self.reference, strict=True)
        for p, path, omega, there in held:
            square = (p.detach() - there) ** 2 + self.damping
            omega += torch.where(square > 0, path / square, 0.0).relu()
            there.copy_(p.detach())
            path.zero_()

    def state_dict(self) -> dict[str, list[Tensor]]:
        """All that it holds, for a checkpoint."""
        return {"path": self.path, "importance": self.importance, "reference": self.reference}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: It is of other parameters.
        """
        for name, held in self.state_dict().items():
            given = state.get(name, ())
            if [x.shape for x in given] != [x.shape for x in held]:
                raise CheckpointError(
                    f"load_state_dict: {name!r} has the shapes {[tuple(x.shape) for x in given]},"
                    f" and the parameters have {[tuple(x.shape) for x in held]}. Give what"
                    " state_dict() of the same model returned."
                )
            for x, value in zip(held, given, strict=True):
                x.copy_(value)
