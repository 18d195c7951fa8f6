"""The depth of a reset, from the statements of a network and its values at the start."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from .backends.eager.emit import Step
from .backends.eager.runtime import Context
from .draws import Draws
from .program import Array, Reset, Slot, Update
from .spike_gradient import ResetDepth
from .spikes import Events, State, copied

MEANS = {"rand": 0.5, "randn": 0.0}
GRID = 65
TOLERANCE = 1e-6


class ExpectedDraws(Draws):
    """Expected values in place of random numbers."""

    def __init__(self, size: int) -> None:
        super().__init__(0, size)

    def draw(self, kind: str, sizes: Sequence[int], args: Sequence[Sequence[Any]]) -> list[Array]:
        """See `Draws.draw`."""
        return [np.full(size, _mean(kind, own)) for size, own in zip(sizes, args, strict=True)]


def _mean(kind: str, args: Sequence[Any]) -> Any:
    """Expected value of a draw."""
    if kind == "binomial":
        return args[0] * args[1]
    return MEANS[kind] if kind in MEANS else args[0]


@torch.no_grad()
def reset_depth(
    context: Context,
    steps: Sequence[tuple[Slot, Step]],
    fixed: list[Any],
    state: State,
    event: str,
) -> ResetDepth | None:
    """How far a reset takes a neuron below threshold, and how the model moves in between.

    None where no single variable crosses the threshold.

    Arguments:
        context: As in a run.
        steps: Every slot with its code.
        fixed: What does not change during a run.
        state: The network at the start, a batch of `GRID`; it is not changed.
        event: Key of the event.
    """
    if event not in context.crossings or context.crossings[event].escapes:
        return None
    context.draws, owner = ExpectedDraws(GRID), event.partition(".")[0]
    resets = [pair for pair in steps if isinstance(pair[0], Reset) and pair[0].event == event]
    updates = [pair for pair in steps if isinstance(pair[0], Update) and pair[0].owner == owner]
    variable = context.crossings[event].variable
    top = copied(context.at_threshold(event, state, fixed))
    low = top | {event: Events.of(torch.ones_like(state[event].spikes))}
    _execute(context, resets, low, fixed)
    lowest, highest = cast(Tensor, low[variable]), cast(Tensor, top[variable])
    share = torch.linspace(0, 1, GRID, dtype=lowest.dtype, device=lowest.device)[:, None]
    between = torch.lerp(lowest, highest, share)
    here = top | {variable: between}
    moved = copied(here)
    _execute(context, updates, moved, fixed)
    before, after = (_margin(context, event, x, fixed) for x in (here, moved))
    growth = torch.nan_to_num(after.diff(dim=0) / before.diff(dim=0), nan=1.0)
    return ResetDepth(
        -_margin(context, event, low, fixed)[0], 1 - growth[0], _runs_away(before, growth)
    )


def _execute(
    context: Context, steps: Sequence[tuple[Slot, Step]], state: State, fixed: list[Any]
) -> None:
    """Execute some slots on a state, in place."""
    with np.errstate(all="ignore"):
        for slot, run in steps:
            context.clock(state["step"], slot.clock_dt)
            run(state, fixed, context)


def _margin(context: Context, event: str, state: State, fixed: list[Any]) -> Tensor:
    """Distance to threshold, "batch neuron"."""
    margin, _ = context.crossings[event].values(state, fixed, context)
    return context.fit(margin, state[event].spikes).double()


def _runs_away(margin: Tensor, growth: Tensor) -> Tensor:
    """Distance to threshold from which on every step takes two neurons further apart."""
    grows = (growth > 1 + TOLERANCE).flip(0)
    still = torch.cumprod(grows.long(), dim=0).sum(dim=0)
    last = len(margin) - 1
    return -margin.gather(0, (last - still)[None])[0]
