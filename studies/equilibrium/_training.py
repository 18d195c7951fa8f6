"""A classifier of pictures that learns by equilibrium propagation."""

from collections.abc import Callable
from dataclasses import dataclass
from math import radians

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from .._kit.images import Images
from .._kit.record import Record
from ._homeostasis import asymmetry, exact_asymmetry
from ._network import (
    Layers,
    Network,
    backpropagated,
    gradients,
    propagated,
    read_out,
    settle,
)

PROBES, SHOWN = 5, 200


@dataclass(frozen=True)
class Outcome(Record):
    """What a training gave, before it and after each epoch.

    Arguments:
        accuracy: Share of the test classified correctly.
        cosine: Of the gradients of the first weights by equilibrium propagation and by recurrent
            backpropagation, on the first pictures of the test.
        asymmetry: Half the squares of $J - J^T$ over the number of neurons.
    """

    accuracy: list[float]
    cosine: list[float]
    asymmetry: list[float]


@dataclass(frozen=True)
class Training:
    """One training.

    Arguments:
        angle: Between feedback and transposes at the start [degree]. At 0 they stay the same
            weights, which get the gradients of both directions.
        homeostasis: Coefficient of the loss on asymmetry; 0 is none.
        seed: Of weights, order and probes.
        hidden: Sizes of the hidden layers.
        epochs, batch, lr, momentum: Of stochastic gradient descent.
        scale: Of the weights at the start.
        strength, count: Of the nudging, and number of points.
        free, nudged: Largest numbers of sweeps.
        tolerance: Largest movement of a potential in the last sweep.
        pictures: Number of pictures in an epoch; None is all.
    """

    angle: float
    homeostasis: float
    seed: int
    hidden: tuple[int, ...] = (256, 256)
    epochs: int = 10
    batch: int = 50
    lr: float = 0.01
    momentum: float = 0.9
    strength: float = 0.1
    count: int = 2
    free: int = 150
    nudged: int = 20
    tolerance: float = 1e-4
    scale: float = 0.5
    pictures: int | None = None

    @property
    def tied(self) -> bool:
        """Whether feedback is the transpose of the forward weights throughout."""
        return self.angle == 0

    def run(self, data: Images, tell: Callable[[], object]) -> Outcome:
        """Train, and test after each epoch."""
        some = data.first(self.pictures)
        x, labels = torch.from_numpy(some.pixels).float(), torch.from_numpy(some.labels)
        y = one_hot(labels, 10).float()
        network = Network.drawn(
            (x.shape[1], *self.hidden, 10),
            radians(self.angle),
            self.seed,
            self.scale,
            torch.float32,
        )
        if self.tied:
            network = network._replace(back=[w.T for w in network.forward[1:]])
        back = [] if self.tied else network.back
        top = [network.readout, network.offset]
        learnt = [*network.forward, *network.bias, *back, *top]
        optimizer = torch.optim.SGD(learnt, self.lr, self.momentum)
        random = torch.Generator().manual_seed(self.seed)
        found = [self._judge(network, data)]
        for _ in range(self.epochs):
            for index in torch.randperm(len(x), generator=random).split(self.batch):
                self._update(network, optimizer, x[index], y[index], random)
            found.append(self._judge(network, data))
            tell()
        return Outcome(*(list(part) for part in zip(*found, strict=True)))

    def _update(
        self, network: Network, optimizer: torch.optim.Optimizer,
        x: Float[Tensor, "sample input"], y: Float[Tensor, "sample class"],
        random: torch.Generator,
    ) -> None:  # fmt: skip
        """One step of the optimiser."""
        free = self._settle(network, x)
        made = gradients(network, x, y, free, self._errors(network, x, y, free))
        if self.tied:
            pairs = zip(made.forward[1:], made.back, strict=True)
            made = made._replace(forward=[made.forward[0], *(up + down.T for up, down in pairs)])
        for value, gradient in zip(network.parameters(), made.parameters(), strict=True):
            value.grad = gradient
        if self.homeostasis:
            moved = [*network.forward[1:], *network.back]
            for value in moved:
                value.requires_grad_()
            loss = self.homeostasis * asymmetry(network, free, PROBES, random)
            for value, gradient in zip(moved, torch.autograd.grad(loss, moved), strict=True):
                value.requires_grad_(False)
                value.grad = gradient + (0.0 if value.grad is None else value.grad)
        optimizer.step()

    def _settle(self, network: Network, x: Float[Tensor, "sample input"]) -> Layers:
        return settle(network, x, sweeps=self.free, tolerance=self.tolerance)

    def _errors(self, network: Network, x: Tensor, y: Tensor, free: Layers) -> Layers:
        return propagated(
            network, x, y, free, self.strength, self.count, self.nudged, self.tolerance
        )

    def _judge(self, network: Network, data: Images) -> tuple[float, float, float]:
        """Accuracy, cosine and asymmetry on the test."""
        x, labels = torch.from_numpy(data.test_pixels).float(), torch.from_numpy(data.test_labels)
        free = self._settle(network, x)
        accuracy = float((read_out(network, free).argmax(1) == labels).float().mean())
        x, y = x[:SHOWN], one_hot(labels[:SHOWN], 10).float()
        free = [u[:SHOWN] for u in free]
        true = backpropagated(network, y, free, self.free, 1e-8)
        cosine = torch.cosine_similarity(
            *(
                gradients(network, x, y, free, delta).forward[0].flatten()
                for delta in (self._errors(network, x, y, free), true)
            ),
            dim=0,
        )
        return accuracy, float(cosine), float(exact_asymmetry(network, free))
