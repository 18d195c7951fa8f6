r"""How far the Jacobian of a network is from a symmetric one, as a loss.

$[E |J \epsilon|^2 - E\, \epsilon^T J^2 \epsilon] / n = \frac12 \|J - J^T\|_F^2 / n$ for normal
$\epsilon$ and n neurons, with $J = \partial F / \partial u$ at the free fixed point. Products with
J are what noise in the network leaves after one and two steps.

Source: Laborieux & Zenke 2024, section 4.2, arXiv:2309.02214.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ._network import Layers, Network, slope


def pushed(network: Network, slopes: Layers, noise: Layers) -> Layers:
    """The Jacobian times some potentials."""
    moved = [some * d for some, d in zip(noise, slopes, strict=True)]
    last = len(moved) - 1
    found: Layers = []
    for k in range(len(moved)):
        below = moved[k - 1] @ network.forward[k].T if k else torch.zeros_like(moved[0])
        found.append(below + moved[k + 1] @ network.back[k].T if k < last else below)
    return found


def asymmetry(
    network: Network, free: Layers, probes: int, random: torch.Generator
) -> Float[Tensor, ""]:
    """The loss, as a mean over samples and probes.

    Arguments:
        network: Its weights.
        free: Potentials at the free fixed point.
        probes: Draws of the noise for each sample.
        random: Of the noise.
    """
    slopes = [slope(u).repeat(probes, 1).detach() for u in free]
    noise = [torch.randn(d.shape, generator=random, dtype=d.dtype) for d in slopes]
    once = pushed(network, slopes, noise)
    twice = pushed(network, slopes, once)
    total = sum(
        ((a.square() - e * b).sum() for e, a, b in zip(noise, once, twice, strict=True)),
        torch.zeros((), dtype=slopes[0].dtype),
    )
    return total / sum(d.numel() for d in slopes)


def exact_asymmetry(network: Network, free: Layers) -> Float[Tensor, ""]:
    """The expectation over the noise, from the weights: half the squares of $J - J^T$."""
    slopes = [slope(u) for u in free]
    total = torch.zeros((), dtype=free[0].dtype)
    for k, back in enumerate(network.back):
        low, high = slopes[k], slopes[k + 1]
        up = network.forward[k + 1] * low[:, None, :]
        down = back.T * high[:, :, None]
        total = total + (up - down).square().sum()
    return total / sum(d.numel() for d in slopes)
