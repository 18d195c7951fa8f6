r"""Elastic weight consolidation: a quadratic penalty as stiff as the Fisher information.

At the end of a task, the diagonal Fisher information $F$ of its parameters is estimated, and later
tasks have the additional loss $\lambda/2 \sum_\text{tasks} F (w - w^*)^2$. The penalties of several
tasks are one, of the sum of their $F$, around the mean of their $w^*$ weighed by $F$.

Source: Kirkpatrick et al. 2017, equation 3, doi:10.1073/pnas.1611835114.
Differs from it: nothing but a constant, as penalties are merged.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mirrorneuron.errors import DomainError, ShapeError

from ._hooked import Hooked, require_at_least_zero


class ElasticWeights(Hooked):
    """Follows an optimizer, and pulls parameters to where earlier tasks need them.

    The memory is two numbers a parameter: $\\sum F$ and the centre of the penalty.

    Arguments:
        optimizer: Any of torch's, over the parameters to protect.
        strength: $\\lambda$, in units of the loss times trials.

    Raises:
        DomainError: `optimizer` is none, or `strength` is negative.

    Example:
        >>> import torch
        >>> w = torch.nn.Parameter(torch.ones(1))
        >>> kept = ElasticWeights(torch.optim.SGD([w], 0.1), strength=10.0)
        >>> kept.consolidate([[torch.ones(1)], [torch.zeros(1)]])
        >>> float(kept.fisher[0])
        0.5
    """

    def __init__(self, optimizer: Optimizer | Any, strength: float | Any) -> None:
        super().__init__(optimizer)
        self.strength = require_at_least_zero("ElasticWeights", "strength", strength)
        self.fisher = [torch.zeros_like(p) for p in self.parameters]
        self.centre = [p.detach().clone() for p in self.parameters]

    def before(self, gradients: Sequence[Tensor]) -> None:
        """Add the slope of the penalty."""
        held = zip(gradients, self.parameters, self.fisher, self.centre, strict=True)
        for g, p, fisher, centre in held:
            g.addcmul_(fisher, p.detach() - centre, value=self.strength)

    def consolidate(self, gradients: Iterable[Sequence[Tensor]]) -> None:
        """End a task.

        Arguments:
            gradients: Of the log-likelihood of single trials, whose classes are drawn from what
                the model says, one tensor a parameter.

        Raises:
            DomainError: There are none.
            ShapeError: They are of other parameters.
        """
        squares, trials = [torch.zeros_like(p) for p in self.fisher], 0
        for one in gradients:
            trials += 1
            if [g.shape for g in one] != [p.shape for p in self.parameters]:
                raise ShapeError(
                    f"consolidate(gradients): those of a trial have the shapes"
                    f" {[tuple(g.shape) for g in one]}, and the parameters have"
                    f" {[tuple(p.shape) for p in self.parameters]}. Give one tensor a parameter,"
                    " torch.autograd.grad(log_likelihood, parameters)."
                )
            for square, g in zip(squares, one, strict=True):
                square.addcmul_(g.detach(), g.detach())
        if not trials:
            raise DomainError(
                "consolidate(gradients): there is no trial, so that nothing tells what matters."
                " Give the gradients of at least one, better of some hundreds."
            )
        held = zip(self.parameters, self.fisher, self.centre, squares, strict=True)
        for p, fisher, centre, square in held:
            new = square / trials
            both = fisher + new
            share = torch.where(both > 0, new / both, 1.0)
            centre += share * (p.detach() - centre)
            fisher.copy_(both)
