r"""A classifier of pictures that learns from its steady states, with and without control.

A hidden layer of pairs of neurons and a linear readout, in the steady state of

    u_E = W x + b − φ(u_I),   u_I = φ(u_E) − Qᵀ c,   y = W_o φ(u_E) + c
    c = (k_p + k_i / leak) (label − softmax(y))

In the open loop c = 0. Q is the Jacobian of the readout there, through inhibition, for each
sample, with a Frobenius norm of 1. Adam gets as gradients of W, b and W_o

    −φ′(u_E) [φ(u_E) − T(φ(u_I))] x,    the same without x,    −c φ(u_E)

of the closed loop. T is φ⁻¹, or its tangent at the mean open-loop inhibition of the batch.
Backpropagation goes through the open-loop steady state of the same network.

Source: Rossbroich & Zenke 2023, sections 3 and 4.2, arXiv:2310.19614, and its code.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot, softplus

from .._kit.images import Images

Batch = Float[Tensor, "sample hidden"]
Outputs = Float[Tensor, "sample output"]
Rule = Literal["backpropagation", "exact", "linear"]
CONTROL = 0.2 + 0.4 / 1.0
STEPS, CLOSED_STEPS = 6, 12


class Weights(NamedTuple):
    """Parameters of the classifier."""

    w: Float[Tensor, "input hidden"]
    b: Float[Tensor, " hidden"]
    out: Float[Tensor, "hidden output"]

    @staticmethod
    def drawn(
        inputs: int, hidden: int, outputs: int, seed: int, dtype: torch.dtype = torch.float32
    ) -> "Weights":
        """Normal weights with a variance of one over the number of inputs, and no bias."""
        random = torch.Generator().manual_seed(seed)
        w = torch.randn(inputs, hidden, generator=random, dtype=torch.float64) / inputs**0.5
        out = torch.randn(hidden, outputs, generator=random, dtype=torch.float64) / hidden**0.5
        return Weights(w.to(dtype), torch.zeros(hidden, dtype=dtype), out.to(dtype))


class Steady(NamedTuple):
    """A steady state: potentials of both neurons of each pair, output, control."""

    u_E: Batch
    u_I: Batch
    y: Outputs
    c: Outputs


def settle(u: Batch, drive: Batch, top: Batch | float, steps: int) -> Batch:
    """Newton's method for $u + \\varphi(\\varphi(u) - top) = drive$."""
    for _ in range(steps):
        u_I = softplus(u) - top
        slope = 1 + torch.sigmoid(u_I) * torch.sigmoid(u)
        u = u - (u + softplus(u_I) - drive) / slope
    return u


def open_loop(weights: Weights, x: Float[Tensor, "sample input"]) -> Steady:
    """Steady state without control."""
    drive = x @ weights.w + weights.b
    u = settle(torch.minimum(drive - 0.69, drive / 2), drive, 0.0, STEPS)
    y = softplus(u) @ weights.out
    return Steady(u, softplus(u), y, torch.zeros_like(y))


def feedback(weights: Weights, free: Steady) -> Float[Tensor, "sample hidden output"]:
    """Feedback weights of each sample: the Jacobian of the readout through inhibition."""
    slopes = torch.sigmoid(free.u_E) * torch.sigmoid(free.u_I)
    q = slopes.unsqueeze(-1) * weights.out
    return q / q.flatten(1).norm(dim=1)[:, None, None]


def closed_loop(
    weights: Weights,
    x: Float[Tensor, "sample input"],
    labels: Outputs,
    free: Steady,
    steps: int = CLOSED_STEPS,
) -> Steady:
    """Steady state under control, from the one without."""
    drive, q = x @ weights.w + weights.b, feedback(weights, free)
    u, y, c, top = free.u_E, free.y, free.c, torch.zeros_like(free.u_E)
    for _ in range(steps):
        c = (c + CONTROL * (labels - y.softmax(1))) / 2
        top = torch.einsum("sho,so->sh", q, c)
        u = settle(u, drive, top, 1)
        y = softplus(u) @ weights.out + c
    return Steady(u, softplus(u) - top, y, c)


def linear_threshold(u_I: Batch, free: Steady) -> Batch:
    """The tangent of the inverse at the mean inhibition of the open loop."""
    mean = softplus(free.u_I).mean(0)
    at = torch.log(torch.expm1(mean))
    return at + (softplus(u_I) - mean) / torch.sigmoid(at)


def gradients(
    weights: Weights, x: Float[Tensor, "sample input"], labels: Outputs, rule: Rule
) -> Weights:
    """What the optimiser gets from a batch."""
    free = open_loop(weights, x)
    if rule == "backpropagation":
        delta = (free.y.softmax(1) - labels) / len(x)
        slope = torch.sigmoid(free.u_E)
        inner = delta @ weights.out.T * slope / (1 + slope * torch.sigmoid(free.u_I))
        return Weights(x.T @ inner, inner.sum(0), softplus(free.u_E).T @ delta)
    held = closed_loop(weights, x, labels, free)
    threshold = held.u_I if rule == "exact" else linear_threshold(held.u_I, free)
    rate = softplus(held.u_E)
    change = torch.sigmoid(held.u_E) * (rate - threshold) / len(x)
    return Weights(-(x.T @ change), -change.sum(0), -(rate.T @ held.c) / len(x))


def accuracy(
    weights: Weights, x: Float[Tensor, "sample input"], labels: Int[Tensor, " sample"]
) -> float:
    """Share of samples that the open loop classifies correctly."""
    return float((open_loop(weights, x).y.argmax(1) == labels).float().mean())


@dataclass(frozen=True)
class Training:
    """One training.

    Arguments:
        rule: "backpropagation", "exact" or "linear".
        seed: Of weights and of the order of samples.
        hidden: Pairs of neurons.
        epochs, batch, lr: Of Adam.
    """

    rule: Rule
    seed: int
    hidden: int = 256
    epochs: int = 10
    batch: int = 100
    lr: float = 1e-3

    def accuracies(self, data: Images, tell: Callable[[], object]) -> list[float]:
        """Accuracy in the test before the training and after each epoch."""
        x, labels = torch.from_numpy(data.pixels), torch.from_numpy(data.labels)
        test = torch.from_numpy(data.test_pixels), torch.from_numpy(data.test_labels)
        targets = one_hot(labels, 10).to(x.dtype)
        weights = Weights.drawn(x.shape[1], self.hidden, 10, self.seed)
        adam = torch.optim.Adam(list(weights), self.lr)
        found = [accuracy(weights, *test)]
        order = np.random.default_rng(self.seed)
        for _ in range(self.epochs):
            for index in self._batches(order, len(x)):
                made = gradients(weights, x[index], targets[index], self.rule)
                for value, gradient in zip(weights, made, strict=True):
                    value.grad = gradient
                adam.step()
            found.append(accuracy(weights, *test))
            tell()
        return found

    def _batches(self, order: np.random.Generator, count: int) -> Iterator[Tensor]:
        """Indices of the samples of each batch of an epoch."""
        shuffled = torch.from_numpy(order.permutation(count))
        return iter(shuffled.split(self.batch))
