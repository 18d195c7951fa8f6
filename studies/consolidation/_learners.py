r"""Rules with internal state as parts of an optimizer: chain, metaplastic weights, cascade.

Sources: Benna & Fusi 2016, doi:10.1038/nn.4401; Laborieux et al. 2021,
doi:10.1038/s41467-021-22768-y; Fusi, Drew & Abbott 2005, doi:10.1016/j.neuron.2005.02.001.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mirrorneuron.bio.plasticity.cascade import deeper, switch
from mirrorneuron.bridge.learning._hooked import Hooked


class Chain(Hooked):
    """Lets each parameter flow into a chain of ever slower variables after a step.

    Arguments:
        optimizer: Whose steps change the first variable.
        levels: Variables of a parameter, itself included.
        tau: Time scale of the first two [steps].
        period: Steps between flows.
    """

    def __init__(self, optimizer: Optimizer, levels: int, tau: float, period: int) -> None:
        super().__init__(optimizer)
        self.rate, self.period, self.steps = period / tau, period, 0
        self.deep = [
            [p.detach().clone() for _ in range(levels)] for p in self.parameters
        ]  # the last is where all ends, and stays

    def after(self, gradients: Sequence[Tensor], changes: Sequence[Tensor]) -> None:
        """Flow by one step of Euler's method, every `period` steps."""
        self.steps += 1
        if self.steps % self.period:
            return
        for p, deep in zip(self.parameters, self.deep, strict=True):
            held = [p.data, *deep]
            flows = [
                (a - b) * (self.rate / 2 ** (k + 2))
                for k, (a, b) in enumerate(itertools.pairwise(held))
            ]
            held[0] -= flows[0]
            for k in range(1, len(held) - 1):
                held[k] += (flows[k - 1] - flows[k]) / 2**k


class Metaplastic(Hooked):
    """Shortens steps that lower a hidden weight, the more the larger it is.

    Arguments:
        optimizer: Whose steps are shortened.
        m: $1 / w_m$; 0 shortens nothing.
    """

    def __init__(self, optimizer: Optimizer, m: float) -> None:
        super().__init__(optimizer)
        self.m = m

    def after(self, gradients: Sequence[Tensor], changes: Sequence[Tensor]) -> None:
        """Take back a part of each change."""
        for p, change in zip(self.parameters, changes, strict=True):
            old = p.data - change
            back = torch.where(change * old < 0, torch.tanh(self.m * old) ** 2, 0.0)
            p.data.addcmul_(change, back, value=-1)


class Cascade(Optimizer):
    """Binary weights that jump down a cascade: gradients make candidates, chance decides.

    Arguments:
        parameters: Weights, whose signs are the strengths.
        levels: Of the cascade.
        rate: Chance that a gradient as large as their root mean square is a candidate.
        seed: Of the jumps.
    """

    def __init__(self, parameters: Iterable[Tensor], levels: int, rate: float, seed: int) -> None:
        super().__init__(parameters, {})
        self.rate = rate
        self.rng = torch.Generator().manual_seed(seed)
        self.deeper = torch.tensor(deeper(levels, 0.5), dtype=torch.float32)
        self.switch = torch.tensor(switch(levels, 0.5), dtype=torch.float32)
        self.weights: list[Tensor] = [p for g in self.param_groups for p in g["params"]]
        for p in self.weights:
            p.data.sign_()
        self.levels = [torch.randint(levels, p.shape, generator=self.rng) for p in self.weights]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:  # pyright: ignore
        """Let candidates jump."""
        for p, level in zip(self.weights, self.levels, strict=True):
            g = p.grad
            if g is None:
                continue
            chance = self.rate * g.abs() / (g.square().mean().sqrt() + 1e-12)
            drawn = torch.rand(p.shape, generator=self.rng) / chance.clamp(1e-12, 1)
            same = p * g < 0
            flip = ~same & (drawn < self.switch[level])
            deep = same & (drawn < self.deeper[level])
            p.data[flip] *= -1
            level += deep.long()
            level[flip] = 0
