r"""A network with feedback: fixed points, errors from nudged ones, and the exact gradient.

    u_l ← W_l σ(u_{l−1}) + b_l + B_l σ(u_{l+1}),   σ(z) = 1 / (1 + e^{2 − 4z})
    u_n ← W_n σ(u_{n−1}) + b_n + β e,   e = ∂L/∂σ at the free fixed point
    L = −Σ y log softmax(R σ(u_n) + c)

    equilibrium propagation    δ = (1/N) Σ_k σ(u*_{β_k}) / β_k,   β_k = |β| e^{2πik/N}
    recurrent backpropagation  δ = Σ_k (Jᵀ)^k ∂L/∂u

With one point the free fixed point is subtracted. A weight's gradient is δ times the free activity
before it. Where feedback is the transpose, the first is the second up to $|\beta|^N$.

Source: Laborieux & Zenke 2024, sections 2 and 3, arXiv:2309.02214.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Layers = list[Tensor]  # "sample neuron" each, without the input


class Network(NamedTuple):
    """Weights of a network.

    Arguments:
        forward: W, "post pre", one for each layer.
        bias: b.
        back: B, "post pre", from each layer to the one below, without the input.
        readout, offset: R, "class neuron", and c.
    """

    forward: list[Tensor]
    bias: list[Tensor]
    back: list[Tensor]
    readout: Tensor
    offset: Tensor

    @staticmethod
    def drawn(
        sizes: Sequence[int],
        angle: float,
        seed: int,
        scale: float = 1.0,
        dtype: torch.dtype = torch.float64,
    ) -> "Network":
        """Normal weights of deviation scale/√pre; feedback at an angle to their transposes.

        Arguments:
            sizes: Numbers of neurons, from the input on; the last is the number of classes.
            angle: $a$ of $B = \\sin(a) W_{rand} + \\cos(a) W^T$ [rad].
            seed, scale, dtype: Of the weights.
        """
        random = torch.Generator().manual_seed(seed)

        def weights(post: int, pre: int) -> Tensor:
            return torch.randn(post, pre, generator=random, dtype=torch.float64) * scale / pre**0.5

        forward = [weights(post, pre) for pre, post in pairwise(sizes[:-1])]
        other = [weights(*w.shape).T for w in forward[1:]]
        back = [
            math.sin(angle) * some.to(dtype) + math.cos(angle) * w.T.to(dtype)
            for some, w in zip(other, forward[1:], strict=True)
        ]
        bias = [torch.zeros(size, dtype=dtype) for size in sizes[1:-1]]
        readout = weights(sizes[-1], sizes[-2]).to(dtype)
        offset = torch.zeros(sizes[-1], dtype=dtype)
        return Network([w.to(dtype) for w in forward], bias, back, readout, offset)

    def parameters(self) -> list[Tensor]:
        """All weights and biases."""
        return [*self.forward, *self.bias, *self.back, self.readout, self.offset]


def activation(u: Tensor) -> Tensor:
    """$\\sigma$, also of complex potentials."""
    return 1 / (1 + torch.exp(2 - 4 * u))


def slope(u: Tensor) -> Tensor:
    """$\\sigma'$."""
    s = activation(u)
    return 4 * s * (1 - s)


def settle(
    network: Network,
    x: Float[Tensor, "sample input"],
    nudge: Tensor | None = None,
    start: Layers | None = None,
    sweeps: int = 1000,
    tolerance: float = 1e-14,
) -> Layers:
    """Fixed point by sweeps from the first to the last layer, until no potential moves.

    Arguments:
        network: Its weights, real.
        x: Activity of the input.
        nudge: $\\beta e$ of each sample and output, real or complex; None is 0.
        start: Potentials to begin with; None is 0.
        sweeps: Maximum number of sweeps.
        tolerance: Largest movement in a sweep that counts as none.
    """
    kind = x.dtype if nudge is None else nudge.dtype
    w, back = ([some.to(kind) for some in part] for part in (network.forward, network.back))
    drive = (x @ network.forward[0].T + network.bias[0]).to(kind)
    u = list(start) if start else [torch.zeros(len(x), len(b), dtype=kind) for b in network.bias]
    s = [activation(some.to(kind)) for some in u]
    for _ in range(sweeps):
        moved = 0.0
        for k in range(len(u)):
            new = drive if k == 0 else s[k - 1] @ w[k].T + network.bias[k]
            if k + 1 < len(u):
                new = new + s[k + 1] @ back[k].T
            elif nudge is not None:
                new = new + nudge
            moved = max(moved, float((new - u[k]).abs().max()))
            u[k], s[k] = new, activation(new)
        if moved <= tolerance:
            break
    return u


def read_out(network: Network, u: Layers) -> Float[Tensor, "sample class"]:
    """Probabilities of the classes."""
    return (activation(u[-1]) @ network.readout.T + network.offset).softmax(1)


def top_error(
    network: Network, free: Layers, labels: Float[Tensor, "sample class"]
) -> Float[Tensor, "sample neuron"]:
    """$e$, what the last layer is nudged by."""
    return (read_out(network, free) - labels) @ network.readout


def points(strength: float, count: int, dtype: torch.dtype) -> Tensor:
    """The nudges $\\beta_k$; real where there are no more than two.

    Arguments:
        strength: $|\\beta|$.
        count: N.
        dtype: Of the real potentials.
    """
    if count <= 2:
        return torch.tensor([strength, -strength][:count], dtype=dtype)
    angle = 2 * math.pi * torch.arange(count, dtype=dtype) / count
    return torch.polar(torch.full_like(angle, strength), angle)


def propagated(
    network: Network,
    x: Float[Tensor, "sample input"],
    labels: Float[Tensor, "sample class"],
    free: Layers,
    strength: float,
    count: int,
    sweeps: int = 1000,
    tolerance: float = 1e-14,
) -> Layers:
    """Errors of each layer by equilibrium propagation, from the free fixed point."""
    beta = points(strength, count, x.dtype)
    error = top_error(network, free, labels)
    nudged = settle(
        network, x.repeat(count, 1), (beta[:, None, None] * error).flatten(0, 1),
        [some.repeat(count, 1).to(beta.dtype) for some in free], sweeps, tolerance,
    )  # fmt: skip
    found: Layers = []
    for u, u_free in zip(nudged, free, strict=True):
        s = activation(u).view(count, *u_free.shape)
        s = s - activation(u_free) if count == 1 else s
        made = (s / beta[:, None, None]).mean(0)
        found.append(made.real if made.is_complex() else made)
    return found


def backpropagated(
    network: Network,
    labels: Float[Tensor, "sample class"],
    free: Layers,
    sweeps: int = 1000,
    tolerance: float = 1e-14,
) -> Layers:
    """Errors of each layer by recurrent backpropagation at the free fixed point: dL/db."""
    slopes = [slope(u) for u in free]
    source = slopes[-1] * top_error(network, free, labels)
    delta = [torch.zeros_like(u) for u in free]
    for _ in range(sweeps):
        moved = 0.0
        for k in reversed(range(len(free))):
            new = delta[k + 1] @ network.forward[k + 1] if k + 1 < len(free) else 0.0
            new = new + (delta[k - 1] @ network.back[k - 1] if k else 0.0)
            new = slopes[k] * new + (source if k + 1 == len(free) else 0.0)
            moved = max(moved, float((new - delta[k]).abs().max()))
            delta[k] = new
        if moved <= tolerance:
            break
    return delta


def gradients(
    network: Network,
    x: Float[Tensor, "sample input"],
    labels: Float[Tensor, "sample class"],
    free: Layers,
    delta: Layers,
) -> Network:
    """What errors and free activities give for each weight, as a mean over samples."""
    s = [x, *(activation(u) for u in free)]
    count, missed = len(x), read_out(network, free) - labels
    return Network(
        [some.T @ s[k] / count for k, some in enumerate(delta)],
        [some.mean(0) for some in delta],
        [delta[k].T @ s[k + 2] / count for k in range(len(network.back))],
        missed.T @ s[-1] / count,
        missed.mean(0),
    )
