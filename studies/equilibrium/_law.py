"""Errors of equilibrium propagation in random networks: over nudging and number of points, and
over the angle between feedback and transposes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians

import torch

from ._network import Network, backpropagated, gradients, propagated, settle

COUNTS = (1, 2, 4, 6)


@dataclass(frozen=True)
class Random:
    """A random network and samples.

    Arguments:
        seed: Of weights, inputs and labels.
        sizes: Numbers of neurons.
        scale: Deviation of the weights times the root of the number of inputs.
        samples: Number of inputs.
    """

    seed: int
    sizes: Sequence[int] = (64, 64, 64, 10)
    scale: float = 0.5
    samples: int = 20

    def _task(self, angle: float) -> tuple[Network, torch.Tensor, torch.Tensor]:
        network = Network.drawn(self.sizes, radians(angle), self.seed, self.scale)
        random = torch.Generator().manual_seed(self.seed)
        x = torch.rand(self.samples, self.sizes[0], generator=random, dtype=torch.float64)
        index = torch.randint(self.sizes[-1], (self.samples,), generator=random)
        return network, x, torch.nn.functional.one_hot(index, self.sizes[-1]).double()

    def error(self, strength: float, count: int) -> float:
        """Relative error of the errors of all layers, with transposes as feedback.

        Arguments:
            strength: Of the nudging.
            count: Number of points.
        """
        network, x, labels = self._task(0.0)
        free = settle(network, x)
        found = torch.cat(propagated(network, x, labels, free, strength, count), 1)
        true = torch.cat(backpropagated(network, labels, free), 1)
        return float((found - true).norm() / true.norm())

    def cosine(self, angle: float, strength: float = 0.1, count: int = 6) -> float:
        """Cosine of both gradients of the first layer's weights.

        Arguments:
            angle: Between feedback and transposes [degree].
            strength, count: Of the nudging.
        """
        network, x, labels = self._task(angle)
        free = settle(network, x)
        made = (
            gradients(network, x, labels, free, delta).forward[0].flatten()
            for delta in (
                propagated(network, x, labels, free, strength, count),
                backpropagated(network, labels, free),
            )
        )
        return float(torch.cosine_similarity(*made, dim=0))
