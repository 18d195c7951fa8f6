"""Kept: memory that a run holds for its results and for the way back, counted on a few steps."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ._contracts import Trace

NODE = 700  # bytes of the bookkeeping of a tensor that autograd keeps
LOSS = 4  # copies of a trace that the way back through the mean of its squares makes
HOLES = 2  # of memory that is freed between what a step leaves behind, glibc uses half again
ROW = 400  # bytes of that of a tensor of one step


def kept_by(run: Callable[[], Trace]) -> float:
    """Memory that a run holds when a loss of what it recorded is differentiated [byte].

    Arguments:
        run: Makes it.
    """
    found: dict[int, int] = {}
    number = 0

    def pack(x: Tensor) -> Tensor:
        nonlocal number
        number += 1
        found.update(storages([x]))
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        trace = run()
    traces = storages(trace.values.values())
    copy = sum(traces.values())
    spikes = storages(e.spikes for seen in trace.spikes.values() for e in seen)
    rows = ROW * sum(len(seen) for seen in trace.spikes.values())
    if not any(x.requires_grad for x in trace.values.values()):
        return HOLES * (sum(spikes.values()) + copy) + copy + rows
    return sum({**found, **traces, **spikes}.values()) + LOSS * copy + number * NODE + rows


def storages(tensors: Iterable[Any]) -> dict[int, int]:
    """Memory of tensors, each counted once: where it is, and its size [byte]."""
    return {
        x.untyped_storage().data_ptr(): x.untyped_storage().nbytes()
        for x in tensors
        if isinstance(x, Tensor)
    }
