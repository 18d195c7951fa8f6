"""The depth of a reset, from the statements of a network and its values at the start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from .backends.eager.emit import Step
from .backends.eager.runtime import Context
from .draws import ExpectedDraws
from .program import Reset, Slot, Update
from .spike_gradient import ResetDepth
from .spikes import Events, State, copied
from .upstroke import Upstroke, upstroke

GRID = 65
TOLERANCE = 1e-6
NEARBY = 1e-3
PACES = (GRID - 1) ** 2, GRID - 1, 1  # in which the steps of a refractory period are counted


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
    depth = -_margin(context, event, low, fixed)[0]
    leak, runs_away = 1 - growth[0], _runs_away(before, growth)
    rate = (before[-1] - before[0]) / (highest - lowest)[0].double()
    if variable not in {key for slot, _ in resets for key in slot.written()}:
        return ResetDepth(depth, leak, runs_away, torch.zeros_like(depth), rate)
    motion = _Motion(context, event, context.motions[event], top, fixed, rate)
    found = _upstroke(motion, depth, runs_away) if bool((runs_away > 0).any()) else None
    return ResetDepth(depth, leak, runs_away, _held(motion, owner), rate, found)


@dataclass(frozen=True)
class _Motion:
    """What the equations of a group do, without input.

    Arguments:
        context: As in a run.
        event: Its event.
        steps: The slots that move it.
        top: Its neurons at threshold.
        fixed: What does not change during a run.
        rate: Derivative of the margin by the variable that crosses the threshold.
    """

    context: Context
    event: str
    steps: Sequence[tuple[Slot, Step]]
    top: State
    fixed: list[Any]
    rate: Tensor

    @property
    def variable(self) -> str:
        """Key of the variable that crosses the threshold."""
        return self.context.crossings[self.event].variable

    def after(self, changed: State) -> State:
        """The state a step later, some variables changed before."""
        moved = copied(self.top | changed)
        _execute(self.context, self.steps, moved, self.fixed)
        return moved

    def of(self, margin: Tensor) -> Tensor:
        """Change of the margin in a step, "grid neuron", of neurons that stand at `margin`."""
        place = self.top[self.variable] + margin / self.rate
        moved = self.after({self.variable: self.context.fit(place, self.top[self.variable])})
        found = _margin(self.context, self.event, moved, self.fixed) - margin
        return torch.nan_to_num(found, nan=torch.finfo(found.dtype).max)

    def at(self, margin: Tensor) -> Tensor:
        """The same of one margin for each neuron, " neuron"."""
        return self.of(margin.expand(GRID, -1))[0]


def _upstroke(motion: _Motion, depth: Tensor, begins: Tensor) -> Upstroke:
    """The upstroke of neurons that run away from a distance to threshold."""
    share = torch.linspace(0, 1, GRID, dtype=depth.dtype, device=depth.device)[:, None]
    begins = torch.where(begins < depth, begins, depth + _further(motion, depth))
    span = torch.maximum(begins, depth)
    undriven = motion.at(-begins)
    relative = torch.clamp(motion.of((share - 1) * span) - undriven, min=0)
    falls = motion.of(-begins - share * begins) < 0
    last = torch.cumprod(falls.long(), dim=0).sum(dim=0).clamp(max=GRID - 1)
    to_reset = torch.where(depth > begins, depth - begins, begins)
    rest = torch.where(falls[0], share[:, 0][last] * begins, to_reset)
    half, small = -begins - 0.5 * rest, NEARBY * depth
    leak = (motion.at(half - small) - motion.at(half + small)) / (2 * small)
    return upstroke(begins, rest, leak, undriven, relative, span)


def _further(motion: _Motion, depth: Tensor) -> Tensor:
    """How far below its reset a neuron begins to run away."""
    share = torch.linspace(0, 1, GRID, dtype=depth.dtype, device=depth.device)[:, None]
    slower = motion.of(-depth - share * depth).diff(dim=0) < -TOLERANCE * depth / (GRID - 1)
    return share[:, 0][torch.cumprod(slower.long(), dim=0).sum(dim=0)] * depth


def _held(motion: _Motion, owner: str) -> Tensor:
    """Steps for which a refractory period holds the potential after a spike, " neuron".

    None where it does not, or where it does not end with time alone.
    """
    since, free = f"{owner}.lastspike", f"{owner}.not_refractory"
    low = torch.zeros_like(motion.rate)
    holds = [
        slot.guards.get(name)
        for slot, _ in motion.steps
        for name, ref in slot.refs.items()
        if ref.variable == motion.variable
    ]
    if since not in motion.top or free not in motion.top or not any(holds):
        return low
    dt = motion.steps[0][0].clock_dt
    grid = torch.arange(GRID, dtype=low.dtype, device=low.device)[:, None]
    for pace in PACES:
        last = motion.context.t - (low + pace * grid) * dt
        changed = {since: motion.context.fit(last, motion.top[since])}
        held = torch.cumprod((motion.after(changed)[free] == 0).long(), dim=0).sum(dim=0)
        if bool((held == GRID).any()):
            return torch.zeros_like(low)
        low = low + pace * (held - 1).clamp(min=0)
    return low


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
