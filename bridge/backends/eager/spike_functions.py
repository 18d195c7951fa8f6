"""Spikes and resets as functions with a derivative.

A spike is s = H(margin), 0 or 1. Forward everything is exact; backward dH/dmargin is a
surrogate. A statement executed on a spike moves x to f(x), differentiably x + s (f(x) - x); in
a reset, the jump f(x) - x is that of a neuron at threshold: see `Context.reset`.
"""

from typing import Any

import torch
from torch import Tensor


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, margin: Tensor, slope: Tensor, strict: bool) -> Tensor:
        ctx.save_for_backward(slope)
        return (margin > 0 if strict else margin >= 0).to(margin.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return grads[0] * slope, None, None


def spike(margin: Tensor, slope: Tensor, strict: bool) -> Tensor:
    """1 where the margin is positive; backward its derivative is `slope`.

    Arguments:
        margin: Distance to threshold, "batch neuron".
        slope: Stands for the derivative, of the same shape.
        strict: Whether the threshold is `>` (else `>=`).
    """
    return _Spike.apply(margin, slope, strict)


class _Escape(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, draw: Tensor, probability: Tensor, strict: bool, gain: Tensor | None
    ) -> Tensor:
        inside = (probability > 0) & (probability < 1)
        ctx.save_for_backward(inside if gain is None else inside * gain)
        return (draw < probability if strict else draw <= probability).to(draw.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return None, grads[0] * slope, None, None


def escape(draw: Tensor, probability: Tensor, strict: bool, gain: Tensor | None = None) -> Tensor:
    """1 where the uniform `draw` falls below `probability`.

    The expected value is the probability itself, so its derivative, 1 inside (0, 1), is the
    surrogate: it is derived and needs no width (Gygax & Zenke 2025, doi:10.1162/neco_a_01752).

    Arguments:
        draw, probability: "batch neuron".
        strict: Whether the condition is `<` (else `<=`).
        gain: Factor of the derivative, at most 1, "batch neuron".
    """
    return _Escape.apply(draw, probability, strict, gain)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, new: Tensor, old: Tensor, *worth: Tensor) -> Tensor:
        ctx.save_for_backward(s, *(worth or (new, old)))
        ctx.shapes = new.shape, old.shape
        return torch.where(s > 0, new, old)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        s, first, *old = ctx.saved_tensors
        worth = first - old[0] if old else first
        by_s, by_new, by_old, *rest = ctx.needs_input_grad
        new_shape, old_shape = ctx.shapes
        zero = torch.zeros((), dtype=grads[0].dtype, device=grads[0].device)
        return (
            (grads[0] * worth).sum_to_size(s.shape) if by_s else None,
            torch.where(s > 0, grads[0], zero).sum_to_size(new_shape) if by_new else None,
            torch.where(s > 0, zero, grads[0]).sum_to_size(old_shape) if by_old else None,
            *(None for _ in rest),
        )


def gate(s: Tensor, new: Tensor, old: Tensor, worth: Tensor | None = None) -> Tensor:
    """`new` where s is 1, else `old`; backward as old + s worth.

    Arguments:
        s: Spikes.
        new, old: Values with and without a spike.
        worth: What a spike changes; by default new - old.
    """
    if s.requires_grad and torch.is_grad_enabled() and new.is_floating_point():
        return _Gate.apply(s, new, old, *(() if worth is None else (worth,)))
    return torch.where(s > 0, new, old)


class _Jump(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, new: Tensor, old: Tensor, jump: Tensor) -> Tensor:
        ctx.save_for_backward(s, jump)
        return torch.where(s > 0, new, old)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        s, jump = ctx.saved_tensors
        by_s, _, by_old, by_jump = ctx.needs_input_grad
        zero = torch.zeros((), dtype=grads[0].dtype, device=grads[0].device)
        return (
            grads[0] * jump if by_s else None,
            None,
            grads[0] if by_old else None,
            torch.where(s > 0, grads[0], zero) if by_jump else None,
        )


def jump_to(s: Tensor, new: Tensor, old: Tensor, jump: Tensor) -> Tensor:
    """`new` where s is 1, else `old`; backward as old + s jump.

    Arguments:
        s: Spikes.
        new, old: Values with and without a spike; `new` carries no gradient.
        jump: What a spike adds, of a neuron at threshold.
    """
    return _Jump.apply(s, new, old, jump)
