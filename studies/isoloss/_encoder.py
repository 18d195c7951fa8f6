"""A network that learns from pairs of views of pictures, without labels or negative samples."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from .._kit.images import Images
from .._kit.probe import linear_probe
from .._kit.record import Record
from ._loss import LOSSES, Embedding, Loss, Metric, participation, predictor

Pixels = Float[Tensor, "sample pixel"]


@dataclass(frozen=True)
class Outcome(Record):
    """What a training gave.

    Arguments:
        accuracy: Of the linear probe on the embeddings, before training and after each epoch that
            was probed.
        participation: Dimension that the test's embeddings fill, before and after each epoch.
        spectrum: Eigenvalues of their covariance at the end.
    """

    accuracy: list[float]
    participation: list[float]
    spectrum: list[float]


def view(pixels: Pixels, random: torch.Generator) -> Pixels:
    """Pictures that are cropped, mirrored, shaded and covered with noise, each in its own way."""
    count, side = len(pixels), round(pixels.shape[1] ** 0.5)
    crop, dx, dy, flip, shade = torch.rand(5, count, generator=random, dtype=pixels.dtype)
    scale = 0.6 + 0.4 * crop
    theta = torch.zeros(count, 2, 3, dtype=pixels.dtype)
    theta[:, 0, 0] = torch.where(flip < 0.5, -scale, scale)
    theta[:, 1, 1] = scale
    theta[:, 0, 2], theta[:, 1, 2] = (1 - scale) * (2 * dx - 1), (1 - scale) * (2 * dy - 1)
    grid = nn.functional.affine_grid(theta, [count, 1, side, side], align_corners=False)
    shown = nn.functional.grid_sample(
        pixels.view(count, 1, side, side), grid, align_corners=False
    ).flatten(1)
    noise = torch.randn(shown.shape, generator=random, dtype=pixels.dtype)
    return shown * (0.6 + 0.8 * shade).unsqueeze(1) + 0.1 * noise


def network(inputs: int, hidden: int, embedding: int) -> nn.Sequential:
    """Two hidden layers with batch normalisation, and a linear embedding."""
    layers: list[nn.Module] = []
    for before, after in ((inputs, 2 * hidden), (2 * hidden, hidden)):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, embedding))


def moment(z: Embedding) -> Float[Tensor, "embedding embedding"]:
    """Second moment of embeddings, with their mean as a mode of its own."""
    return z.T @ z / len(z)


def covariance(z: Embedding) -> Float[Tensor, "embedding embedding"]:
    """Of embeddings, around their mean."""
    return moment(z - z.mean(0))


@dataclass(frozen=True)
class Training:
    """One training.

    Arguments:
        loss: "direct" or "iso".
        metric: "euclidean" or "cosine".
        seed: Of weights, views and order.
        hidden, embedding: Sizes of the network.
        epochs, batch, lr, decay, momentum: Of stochastic gradient descent.
        alpha: Exponent of the predictor.
        memory: Of the moving average of the covariance.
        pictures, probed: Numbers of pictures for the training and for the probe.
    """

    loss: Loss
    metric: Metric
    seed: int
    hidden: int = 256
    embedding: int = 128
    epochs: int = 10
    batch: int = 200
    lr: float = 0.02
    decay: float = 5e-4
    momentum: float = 0.9
    alpha: float = 0.5
    memory: float = 0.9
    pictures: int = 20000
    probed: int = 20000

    def run(self, data: Images, tell: Callable[[], object]) -> Outcome:
        """Train, and probe."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = network(data.pixels.shape[1], self.hidden, self.embedding).float()
        random = torch.Generator().manual_seed(self.seed)
        optimizer = torch.optim.SGD(
            model.parameters(), self.lr, self.momentum, weight_decay=self.decay
        )
        x = torch.from_numpy(data.pixels[: self.pictures]).float()
        held = torch.eye(self.embedding, dtype=torch.float32)
        made = [covariance(self._embed(model, data.test_pixels))]
        accuracy = [self._probe(model, data)]
        for _ in range(self.epochs):
            for index in torch.randperm(len(x), generator=random).split(self.batch):
                held = self._update(model, optimizer, held, x[index], random)
            made.append(covariance(self._embed(model, data.test_pixels)))
            tell()
        accuracy.append(self._probe(model, data))
        return Outcome(
            accuracy, [participation(c) for c in made],
            torch.linalg.eigvalsh(made[-1].double()).flip(0).tolist(),
        )  # fmt: skip

    def _update(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, held: Tensor, x: Tensor,
        random: torch.Generator,
    ) -> Tensor:  # fmt: skip
        """One step of the optimiser; gives the moving covariance after it."""
        z1, z2 = model(torch.cat([view(x, random), view(x, random)])).split(len(x))
        both = torch.cat([z1, z2]).detach()
        held = self.memory * held + (1 - self.memory) * moment(both)
        w_p = predictor(held, self.alpha)
        loss = LOSSES[self.loss, self.metric]
        made = (loss(z1, z2, w_p) + loss(z2, z1, w_p)) / 2
        optimizer.zero_grad()
        made.backward()
        optimizer.step()
        return held

    def _embed(self, model: nn.Module, pixels: Float[np.ndarray, "sample pixel"]) -> Tensor:
        model.eval()
        with torch.no_grad():
            z = model(torch.from_numpy(pixels).float())
        model.train()
        return z

    def _probe(self, model: nn.Module, data: Images) -> float:
        few = data.first(self.probed)
        z, other = (self._embed(model, x).numpy() for x in (few.pixels, few.test_pixels))
        return linear_probe(z, few.labels, other, few.test_labels)
