"""Network: flow, margins and jumps of a Program as functions over tensors."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..lower.block import Block
from ..lower.hybrid import TABLE, Crossing, Hybrid, Part
from ..program import Array, Deliver, Program, Slot
from .code import Backward, Forward, backward, forward


@dataclass(frozen=True)
class Code:
    """Statements as functions.

    Arguments:
        slot: The slot.
        block: The statements.
        wanted: Definitions that are asked for.
        reads: Names from outside.
        active: Those that the gradient passes.
        run, pull: The functions.
    """

    slot: Slot
    block: Block
    wanted: tuple[str, ...]
    reads: tuple[str, ...]
    active: frozenset[str]
    run: Forward
    pull: Backward


@dataclass(frozen=True)
class Bundle:
    """Synapses of one pathway with one delay.

    Arguments:
        code: What they do when a spike arrives.
        event: The event that travels.
        delay: [s].
        synapses: Synapses of each source, "source synapse".
        held: Whether there is one, in places of the same shape; None where all are.
        index: Elements seen through each index array, "source synapse".
        whole: Index arrays through which every source sees all elements in order.
    """

    code: Code
    event: str
    delay: float
    synapses: Tensor
    held: Tensor | None
    index: Mapping[str, Tensor]
    whole: frozenset[str]


@dataclass(frozen=True)
class Network:
    """A network in code.

    Arguments:
        hybrid: The network as data.
        trained: Keys of parameters.
        flows: By owner.
        margins: By event.
        resets: By event, with what they follow: codes and bundles without a delay, in order.
        queued: Bundles whose spikes wait.
    """

    hybrid: Hybrid
    trained: frozenset[str]
    flows: Mapping[str, Code]
    margins: Mapping[str, Code]
    answers: Mapping[str, tuple[Code | Bundle, ...]]
    queued: tuple[Bundle, ...]

    @property
    def program(self) -> Program:
        """The network as it was read."""
        return self.hybrid.program

    def size(self, event: str) -> int:
        """Number of elements that can raise an event."""
        return self.program.groups[event.partition(".")[0]].size

    @property
    def used(self) -> set[str]:
        """Keys of all variables and constants that any code reads."""
        codes = [*self.flows.values(), *self.margins.values(), *(b.code for b in self.queued)]
        for answer in self.answers.values():
            codes += [a.code if isinstance(a, Bundle) else a for a in answer]
        return {key for code in codes for n in code.reads if (key := key_of(code.slot, n))}


def network(hybrid: Hybrid, trained: Set[str], driven: Set[str], device: torch.device) -> Network:
    """Code of a network.

    Arguments:
        hybrid: The network as data.
        trained: Keys of parameters.
        driven: Keys of what inputs set.
        device: Where its tables live.
    """
    flows = {part.slot.owner: _flow(hybrid, part, trained) for part in hybrid.flows}
    margins = {c.event: _margin(hybrid, c, trained) for c in hybrid.crossings}
    answers: dict[str, tuple[Code | Bundle, ...]] = {}
    queued: list[Bundle] = []
    for event, parts in hybrid.answers.items():
        at_once: list[Code | Bundle] = []
        for part in parts:
            code = _jump(hybrid, part, trained)
            if not isinstance(part.slot, Deliver):
                at_once.append(code)
                continue
            for made in _bundles(hybrid.program, part.slot, code, device):
                waits = made.delay > 0 or event not in margins
                (queued if waits else at_once).append(made)
        answers[event] = tuple(at_once)
    return Network(hybrid, frozenset(trained), flows, margins, answers, tuple(queued))


def key_of(slot: Slot, name: str) -> str | None:
    """Key of the variable or constant that a name means."""
    if name in slot.refs:
        return slot.refs[name].variable
    return slot.key(name) if name in slot.constants else None


def _active(hybrid: Hybrid, slot: Slot, block: Block, trained: Set[str]) -> frozenset[str]:
    moving = set(hybrid.states) | trained
    return frozenset(name for name in block.reads if key_of(slot, name) in moving)


def _flow(hybrid: Hybrid, part: Part, trained: Set[str]) -> Code:
    clocks = {name for name in part.block.reads if part.slot.clock.get(name) in ("t", "dt")}
    active = _active(hybrid, part.slot, part.block, trained) | clocks
    return _code(part.slot, part.block, active)


def _jump(hybrid: Hybrid, part: Part, trained: Set[str]) -> Code:
    return _code(part.slot, part.block, _active(hybrid, part.slot, part.block, trained))


def _margin(hybrid: Hybrid, crossing: Crossing, trained: Set[str]) -> Code:
    active = _active(hybrid, crossing.slot, crossing.block, trained)
    return _code(crossing.slot, crossing.block, active, ("_value",))


def _code(
    slot: Slot, block: Block, active: frozenset[str], wanted: tuple[str, ...] | None = None
) -> Code:
    if wanted is None:
        wanted = tuple(outcome.line for outcome in block.outcomes.values())
    known = {*slot.refs, *slot.constants, *slot.clock}
    reads = tuple(n for n in sorted(block.reads) if n in known or n.startswith(TABLE))
    run, pull = forward(block, wanted), backward(block, wanted, active)
    return Code(slot, block, wanted, reads, active, run, pull)


def _bundles(program: Program, slot: Deliver, code: Code, device: torch.device) -> list[Bundle]:
    path = program.pathways[slot.pathway]
    steps = np.broadcast_to(path.delay, path.source.shape)
    indices = {r.index for n, r in slot.refs.items() if r.index and n in _mentioned(code)}
    made: list[Bundle] = []
    for delay in np.unique(steps):
        chosen = np.flatnonzero(steps == delay)
        table, held = _table(path.source[chosen], chosen, path.n_sources)
        index = {
            name: torch.from_numpy(program.indices[name][table]).long().to(device)
            for name in indices
        }
        made.append(
            Bundle(
                code,
                slot.event,
                float(delay) * program.dt,
                torch.from_numpy(table).to(device),
                None if held.all() else torch.from_numpy(held).to(device),
                index,
                frozenset(
                    n for n in indices if held.all() and _is_whole(program, slot, n, index[n])
                ),
            )
        )
    return made


def _mentioned(code: Code) -> set[str]:
    return {*code.reads, *code.block.outcomes}


def _table(source: Array, synapses: Array, size: int) -> tuple[Array, Array]:
    """Synapses of each source, padded, and where there is one."""
    order = np.argsort(source, kind="stable")
    counts = np.bincount(source, minlength=size)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = np.arange(len(source)) - np.repeat(starts, counts)
    wide = max(int(counts.max()), 1)
    table = np.zeros((size, wide), dtype=np.int64)
    held = np.zeros((size, wide), dtype=bool)
    table[source[order], place] = synapses[order]
    held[source[order], place] = True
    return table, held


def _is_whole(program: Program, slot: Slot, index: str, seen: Tensor) -> bool:
    """Whether all sources see all elements of a variable, in order."""
    sizes = {
        program.variables[r.variable].value.size
        for r in slot.refs.values()
        if r.index == index and not program.variables[r.variable].scalar
    }
    return sizes == {seen.shape[1]} and bool((seen == torch.arange(seen.shape[1]).to(seen)).all())


def constant(value: Any, dtype: torch.dtype, device: torch.device) -> Tensor | float:
    """A value that nobody trains: a number where all elements share it."""
    array = np.asarray(value)
    if array.size and (array == array.flat[0]).all():
        return float(array.flat[0])
    return torch.as_tensor(array.copy(), device=device).to(dtype)
