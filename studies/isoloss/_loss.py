r"""Losses between two views of a sample, and the predictor that the eigenvalues give.

    C = U diag(s) Uᵀ,   W_P = U s^α Uᵀ,   p = W_P z₁
    DirectPred:  |p − SG(z₂)|²                  2 − 2 cos(p, SG(z₂))
    IsoLoss:     |z₁ − SG(z₂ + z₁ − p)|²
                 −2 [z₁·SG(z₂) / SG(|p||z₂|) − ½ SG(p·z₂ / (|p|³|z₂|)) z₁·W_P z₁]

The gradient of an IsoLoss with respect to $z_1$ is that of DirectPred times $W_P^{-1}$: all
eigenmodes learn at the same speed.

Source: Halvagal, Laborieux & Zenke 2023, sections 3 and 4, arXiv:2212.04858.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Embedding = Float[Tensor, "sample embedding"]
Square = Float[Tensor, "embedding embedding"]
Loss = Literal["direct", "iso"]
Metric = Literal["euclidean", "cosine"]


def predictor(covariance: Square, alpha: float) -> Square:
    """$U s^\\alpha U^T$ of a covariance, without negative eigenvalues."""
    s, u = torch.linalg.eigh(covariance)
    return (u * s.clamp(min=0) ** alpha) @ u.T


def direct_euclidean(z1: Embedding, z2: Embedding, w_p: Square) -> Float[Tensor, ""]:
    """Squared distance of the prediction from the other view."""
    return (z1 @ w_p - z2.detach()).square().sum(1).mean()


def iso_euclidean(z1: Embedding, z2: Embedding, w_p: Square) -> Float[Tensor, ""]:
    """The same with a target that is moved by what the predictor leaves out."""
    return (z1 - (z2 + z1 - z1 @ w_p).detach()).square().sum(1).mean()


def direct_cosine(z1: Embedding, z2: Embedding, w_p: Square) -> Float[Tensor, ""]:
    """Twice one minus the cosine of prediction and other view."""
    return 2 - 2 * torch.cosine_similarity(z1 @ w_p, z2.detach(), dim=1).mean()


def iso_cosine(z1: Embedding, z2: Embedding, w_p: Square) -> Float[Tensor, ""]:
    """Its counterpart with equal speeds; its value has no meaning, its gradient has."""
    p, z2 = (z1 @ w_p).detach(), z2.detach()
    norm_p, norm_z2 = p.norm(dim=1).clamp(min=1e-8), z2.norm(dim=1).clamp(min=1e-8)
    attracted = (z1 * z2).sum(1) / (norm_p * norm_z2)
    weight = (p * z2).sum(1) / (norm_p**3 * norm_z2)
    return -2 * (attracted - weight * (z1 * (z1 @ w_p)).sum(1) / 2).mean()


LOSSES: Mapping[tuple[Loss, Metric], Callable[[Embedding, Embedding, Square], Tensor]] = {
    ("direct", "euclidean"): direct_euclidean,
    ("iso", "euclidean"): iso_euclidean,
    ("direct", "cosine"): direct_cosine,
    ("iso", "cosine"): iso_cosine,
}


def participation(covariance: Square) -> float:
    r"""Dimension that the embeddings fill, $(\sum s)^2 / \sum s^2$; 0 where all are the same."""
    total = covariance.trace()
    squares = covariance.square().sum()
    return float(total.square() / squares) if squares > 0 else 0.0
