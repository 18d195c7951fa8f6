"""Hooks around the steps of an optimizer: what sees gradients before, and changes after."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mirrorneuron.errors import DomainError

from .arguments import is_number


class Hooked:
    """What acts on a set of parameters before and after each step of an optimizer.

    Arguments:
        optimizer: Any of torch's. Its steps are followed from now on.

    Raises:
        DomainError: It is no optimizer.
    """

    def __init__(self, optimizer: Optimizer | Any) -> None:
        if not isinstance(optimizer, Optimizer):
            raise DomainError(
                f"{type(self).__name__}({optimizer!r}): what is followed are the steps of an"
                " optimizer. Write, say,"
                f" {type(self).__name__}(torch.optim.Adam(model.parameters()))."
            )
        self.optimizer = optimizer
        self.parameters: list[Tensor] = [p for g in optimizer.param_groups for p in g["params"]]
        self._old: list[Tensor] = []
        self._gradients: list[Tensor] = []
        self._handles = (
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        )

    def remove(self) -> None:
        """Follow the optimizer no longer."""
        for handle in self._handles:
            handle.remove()

    def before(self, gradients: Sequence[Tensor]) -> None:
        """Change the gradients, which belong to this object's parameters, in place."""

    def after(self, gradients: Sequence[Tensor], changes: Sequence[Tensor]) -> None:
        """See what a step did, with the gradients as they were before `before`."""

    @torch.no_grad()
    def _before(self, *ignored: Any) -> None:
        for p in self.parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        found = [p.grad for p in self.parameters if p.grad is not None]
        self._gradients = [g.clone() for g in found]
        self._old = [p.detach().clone() for p in self.parameters]
        self.before(found)

    @torch.no_grad()
    def _after(self, *ignored: Any) -> None:
        changes = [p.detach() - old for p, old in zip(self.parameters, self._old, strict=True)]
        self.after(self._gradients, changes)


def require_at_least_zero(name: str, argument: str, value: Any) -> float:
    """A finite number that is not negative.

    Raises:
        DomainError: It is something else.
    """
    if not is_number(value) or not 0 <= float(value) < float("inf"):
        raise DomainError(
            f"{name}({argument}={value!r}): this weighs a penalty, which is a finite number of at"
            f" least 0. Write, say, {argument}=0.1."
        )
    return float(value)
