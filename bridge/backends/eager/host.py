"""Python between steps in the eager engine: the user's own on Brian2's objects, or on tensors."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from mirrorneuron.errors import GradientError, ShapeError, Unsupported, UnsupportedFeature

from ...draws import Draws
from ...host import Effect, Operation
from ...program import Host, Program
from ...spikes import Events, State
from ...values import Values


class Running(Protocol):
    """What a host finds of a run."""

    draws: Draws
    tick: int
    t: float
    values: Values


@contextmanager
def hosted(program: Program) -> Generator[None]:
    """Leave Brian2's objects as they were after a run with Python between its steps."""
    own = [slot.run for slot in program.slots_of(Host) if slot.torch is None]
    with ExitStack() as stack:
        if own:
            stack.enter_context(cast(Operation, own[0]).session.running())
        yield


def run_host(slot: Host, state: State, context: Running) -> None:
    """Execute a slot of Python on a state."""
    if slot.torch is not None:
        _run_on_tensors(slot, state, context)
        return
    operation = cast(Operation, slot.run)
    if context.draws.size != 1:
        raise UnsupportedFeature("run(batch_size=...)", (_one_trial(slot),), 1)
    carrying = set(_carrying(state, context)) if torch.is_grad_enabled() else set[str]()
    effect = operation(state, context.tick, context.draws.streams[0], bool(carrying))
    if effect.changes and (through := carrying & effect.looked):
        raise GradientError(_no_gradient(slot, sorted(through), sorted(effect.changes)))
    _apply(effect, state)


def _carrying(state: State, context: Running) -> Iterator[str]:
    """Keys of the variables and events that carry a gradient."""
    for key, value in (*context.values.trained.items(), *state.items()):
        if isinstance(value, Events):
            value = value.spikes
        if isinstance(value, Tensor) and value.requires_grad:
            yield key


@torch.no_grad()
def _changed(old: Tensor, index: Any, values: Any) -> Tensor:
    new = old.detach().clone()
    new[0, torch.from_numpy(index).to(old.device)] = torch.from_numpy(values).to(
        old.device, old.dtype
    )
    return new


def _apply(effect: Effect, state: State) -> None:
    """Take over what an operation changed; other elements keep their gradient."""
    for key, (index, values) in effect.changes.items():
        old: Tensor = state[key]
        new = _changed(old, index, values)
        if old.requires_grad:
            kept = torch.ones_like(old, dtype=torch.bool)
            kept[0, torch.from_numpy(index)] = False
            new = torch.where(kept, old, new)
        state[key] = new


def _run_on_tensors(slot: Host, state: State, context: Running) -> None:
    """What was registered for tensors."""
    given = [_value(key, state, context) for key in slot.reads]
    found: Any = cast(Any, slot.torch)(*given)
    several = tuple(cast(Sequence[Any], found)) if isinstance(found, tuple | list) else (found,)
    if len(several) != len(slot.writes) and slot.writes:
        raise ShapeError(
            f"register({slot.name}, torch=...): the function gave {len(several)} values for"
            f" writes={list(slot.writes)}. Return one for each name, in their order."
        )
    for key, value in zip(slot.writes, several, strict=False):
        old: Tensor = state[key]
        try:
            new = torch.as_tensor(value, device=old.device).to(old.dtype).expand_as(old)
        except (RuntimeError, TypeError) as error:
            raise ShapeError(
                f"register({slot.name}, torch=...): the value for {key!r} is"
                f" {tuple(np.shape(value)) or type(value).__name__}, and has to fit (batch,"
                f" element) = {tuple(old.shape)}. Keep the axes of what the function takes, as by"
                " mean(-1, keepdim=True)."
            ) from error
        state[key] = new


def _value(key: str, state: State, context: Running) -> Tensor:
    """A variable, the spikes of a step, or the time, "batch element"."""
    values = context.values
    if key == "t":
        return torch.tensor([[context.t]], dtype=values.dtype, device=values.device)
    found: Any = state.get(key)
    if isinstance(found, Events):
        return found.spikes
    return values.in_trials(key, context.draws.size) if found is None else found


def _one_trial(slot: Host) -> Unsupported:
    return Unsupported(
        object=slot.name,
        kind="NetworkOperation",
        feature=f"Python between steps, {slot.title}, for several trials",
        reason="It acts on Brian2's own objects, of which there is one of each.",
        remedy=_ways_out(slot),
    )


def _no_gradient(slot: Host, through: Sequence[str], changes: Sequence[str]) -> str:
    return (
        f"run(...): the gradient would have to pass through {slot.title} of {slot.name!r}, which"
        f" looks at {', '.join(through)} and sets {', '.join(changes)}. Of Python that runs on"
        f" Brian2's objects only the values are known. {_ways_out(slot)}"
    )


def _ways_out(slot: Host) -> str:
    return (
        "Write it as an equation, where it is a sum or a mean: a (summed) variable of Synapses,"
        " 'total_post = v_pre : 1 (summed)'; or say what it does to tensors before mirror(net):"
        f" mn.register({slot.title.removesuffix('()')}, reads=['exc.v'], writes=['exc.I'],"
        " torch=lambda v: ...). For values alone, run it under torch.no_grad(), one trial at a"
        " time."
    )
