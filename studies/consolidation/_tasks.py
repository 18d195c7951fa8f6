r"""Permuted pictures: one task after another, each with the pixels in another order.

Source: Zenke, Poole & Ganguli 2017, section 5.2, arXiv:1703.04200.
"""

import itertools
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as f
from torch.optim import Adam

import mirrorneuron as mn

from .._kit.images import Images
from .._kit.record import Record
from ._learners import Cascade, Chain, Metaplastic

BINARY = ("fine-tuning, binary", "metaplastic", "cascade")
RULES = (
    "fine-tuning", "synaptic intelligence", "elastic weights", "Benna-Fusi", *BINARY
)  # fmt: skip


class Layers(nn.Module):
    """Rectified layers; with binary weights, their signs are used, and layers are normalised.

    Arguments:
        sizes: Of inputs, hidden layers and output.
        binary: Whether weights are signs.
        seed: Of the weights.
    """

    def __init__(self, sizes: Sequence[int], binary: bool, seed: int) -> None:
        super().__init__()
        self.binary = binary
        rng = torch.Generator().manual_seed(seed)
        pairs = list(itertools.pairwise(sizes))
        drawn = [torch.randn(b, a, generator=rng, dtype=torch.float32) for a, b in pairs]
        scales = [0.05 if binary else (2 / a) ** 0.5 for a, _ in pairs]
        self.weights = nn.ParameterList([w * s for w, s in zip(drawn, scales, strict=True)])
        self.biases = nn.ParameterList(
            [] if binary else [torch.zeros(b, dtype=torch.float32) for b in sizes[1:]]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits, "sample class"."""
        last = len(self.weights) - 1
        for k, w in enumerate(self.weights):
            if self.binary:
                x = f.linear(x, signs(w)) / w.shape[1] ** 0.5
                x = x if k == last else f.layer_norm(x, x.shape[1:])
            else:
                x = f.linear(x, w, self.biases[k])
            x = x if k == last else x.relu()
        return x


def signs(w: Tensor) -> Tensor:
    """Signs, with the gradient of the weights themselves."""
    one = torch.ones_like(w)
    return w + (torch.where(w < 0, -one, one) - w).detach()


@dataclass(frozen=True)
class Setting:
    """One training on all tasks.

    Arguments:
        rule: One of `RULES`.
        seed: Of weights, order and permutations.
        hidden: Neurons in each of two layers.
        tasks, epochs, batch: Of the training.
        lr, lr_binary: Steps of Adam, with real and with binary weights.
        c, damping: Of synaptic intelligence.
        stiffness, trials: Of elastic weights: $\\lambda$, and trials of an estimate.
        levels, tau: Of the chain, $\\tau$ in steps.
        m: Of metaplastic weights.
        cascade, rate: Levels of the cascade, and chance of candidates.
    """

    rule: str
    seed: int
    hidden: int = 512
    tasks: int = 10
    epochs: int = 3
    batch: int = 256
    lr: float = 1e-3
    lr_binary: float = 5e-3
    c: float = 3.0
    damping: float = 0.1
    stiffness: float = 300.0
    trials: int = 500
    levels: int = 6
    tau: float = 10.0
    m: float = 1.35
    cascade: int = 5
    rate: float = 0.02


@dataclass(frozen=True)
class Run(Record):
    """What a training left.

    Arguments:
        accuracy: Share of right answers, one row after each task, one column for each task seen
            until then.
    """

    accuracy: Sequence[Sequence[float]]

    @property
    def mean(self) -> float:
        """Over all tasks, after the last."""
        return float(np.mean(self.accuracy[-1]))

    @property
    def first(self) -> float:
        """Of the first task, after the last."""
        return self.accuracy[-1][0]


Consolidate = Callable[[Tensor], None]


def learner(setting: Setting, model: Layers) -> tuple[Any, Consolidate]:
    """The optimizer of a rule, and what it does at the end of a task, given its inputs."""
    parameters, rule = list(model.parameters()), setting.rule
    if rule == "cascade":
        return Cascade(parameters, setting.cascade, setting.rate, setting.seed), lambda x: None
    adam = Adam(parameters, lr=setting.lr_binary if model.binary else setting.lr)
    if rule == "synaptic intelligence":
        kept = mn.SynapticIntelligence(adam, setting.c, setting.damping)
        return adam, lambda x: kept.consolidate()
    if rule == "elastic weights":
        elastic = mn.ElasticWeights(adam, setting.stiffness)
        return adam, lambda x: elastic.consolidate(likelihoods(model, x[: setting.trials]))
    if rule == "Benna-Fusi":
        Chain(adam, setting.levels, setting.tau, max(1, round(setting.tau / 2)))
    if rule == "metaplastic":
        Metaplastic(adam, setting.m)
    return adam, lambda x: None


def likelihoods(model: Layers, inputs: Tensor) -> Generator[tuple[Tensor, ...]]:
    """Gradients of the log-likelihood of one class a trial, drawn from what the model says."""
    rng = torch.Generator().manual_seed(0)
    for x in inputs:
        told = model(x[None]).log_softmax(1)[0]
        drawn = torch.multinomial(told.detach().exp(), 1, generator=rng)
        yield torch.autograd.grad(told[drawn[0]], list(model.parameters()))


def trained(setting: Setting, data: Images) -> Run:
    """Learn all tasks in turn, and test those seen so far after each, with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several wait for each other longer than small layers take
    try:
        return _trained(setting, data)
    finally:
        torch.set_num_threads(threads)


def _trained(setting: Setting, data: Images) -> Run:
    rng = np.random.default_rng([setting.seed, 3])
    pixels = data.pixels.shape[1]
    orders = [rng.permutation(pixels) if k else np.arange(pixels) for k in range(setting.tasks)]
    classes = int(data.labels.max()) + 1
    sizes = (pixels, setting.hidden, setting.hidden, classes)
    model = Layers(sizes, setting.rule in BINARY, setting.seed)
    optimizer, consolidate = learner(setting, model)
    shift, scale = (0.5, 2.0) if model.binary else (0.0, 1.0)
    x, y, x_test = (torch.from_numpy(a) for a in (data.pixels, data.labels, data.test_pixels))
    x, x_test = (x - shift) * scale, (x_test - shift) * scale
    y_test, rows = torch.from_numpy(data.test_labels), list[list[float]]()
    for order in orders:
        seen = x[:, order]
        for _ in range(setting.epochs):
            for part in torch.from_numpy(rng.permutation(len(y))).split(setting.batch):
                optimizer.zero_grad()
                f.cross_entropy(model(seen[part]), y[part]).backward()
                optimizer.step()
        consolidate(seen)
        with torch.no_grad():
            rows.append(
                [
                    float((model(x_test[:, other]).argmax(1) == y_test).double().mean())
                    for other in orders[: len(rows) + 1]
                ]
            )
    return Run(rows)
