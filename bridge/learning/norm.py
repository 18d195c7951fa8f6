"""Norm: the size of a gradient, for any that is finite."""

from collections.abc import Sequence
from math import isfinite
from sys import float_info

import torch
from torch import Tensor


def norm(gradients: Sequence[Tensor]) -> float:
    """Euclidean norm of tensors together; NaN or infinite if, and only if, an element is."""
    largest, share = _parts(gradients)
    return min(largest * share, float_info.max) if isfinite(largest) else largest


def clip_(gradients: Sequence[Tensor], limit: float) -> None:
    """Scale tensors in place, so that their norm together is at most `limit`."""
    largest, share = _parts(gradients)
    if largest > 0 and share > limit / largest:
        for g in gradients:
            g.div_(largest).mul_(limit / share)


def _parts(gradients: Sequence[Tensor]) -> tuple[float, float]:
    """The largest element, and the norm in units of it: squares of elements would overflow."""
    filled = [g.detach() for g in gradients if g.numel()]
    if not filled:
        return 0.0, 0.0
    largest = torch.stack([g.abs().max() for g in filled]).max()
    if not bool(torch.isfinite(largest)) or not bool(largest > 0):
        return float(largest), 1.0
    shares = torch.stack([torch.linalg.vector_norm(g / largest) for g in filled])
    return float(largest), float(torch.linalg.vector_norm(shares))
