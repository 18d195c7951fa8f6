"""The network with its thresholds off: what spikes that are given do to its membranes."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from mirrorneuron.errors import DomainError, NumericalError

from ..backends import backends
from ..draws import Draws
from ..inputs import Inputs
from ..mirror import Mirror
from ..program import Array, Deliver, Generate, Host, Program, Reset, Slot, Threshold
from ..spikes import Events, State, copied
from ..values import Values
from .afferent import Afferent

FIRST, LONGEST, SETTLING = 256, 262_144, 65_536  # steps
MOST = 4_000_000  # values of spikes and traces at once
STILL = 1e-6


class Membrane(NamedTuple):
    """What fluctuates.

    Arguments:
        group: Whose elements.
        key: What is recorded: a variable, or the distance to threshold.
    """

    group: str
    key: str


class FreeMembrane:
    """A network whose neurons do not spike by themselves and are not reset.

    Arguments:
        model: The network; its parameters are not changed.
        delivering: Weights whose synapses carry spikes; all others are silent.
        membrane: What is observed.
        seed: Of random numbers in its equations.
    """

    def __init__(
        self, model: Mirror, delivering: list[Afferent], membrane: Membrane, seed: int
    ) -> None:
        self.membrane = membrane
        self.program = _without_spikes(model.program, delivering, membrane)
        driven = {membrane.group, *(a.source for a in delivering)} & {*self.program.spiking()}
        self.sizes = {name: self.program.groups[name].size for name in driven}
        self.engine = backends["eager"]().compile(
            self.program, model.trained_constants, model.gradients
        )
        self.present = {k: model.present(k).detach().cpu().double() for k in model.keys}
        self.draws = Draws(seed, 1)

    def start(self) -> State:
        """The state of the network as it was read."""
        state = self._values({}).initial_state(1)
        state["draws"] = self.draws.copy()
        return state

    @torch.no_grad()
    def run(
        self,
        steps: int,
        state: State,
        weights: Mapping[str, Array],
        spikes: Mapping[str, Tensor],
    ) -> tuple[Tensor, State]:
        """Run with spikes that are given.

        Arguments:
            steps: How many.
            state: Where to start, one trial or as many as there are of the spikes; not changed.
            weights: In SI units, by name; others as they are.
            spikes: Of some groups, "time batch neuron"; the others are silent.

        Returns:
            The trace, "time batch neuron", and the state at the end.
        """
        values, key = self._values(weights), self.membrane.key
        silent = {
            n: torch.zeros(steps, 1, size, dtype=torch.float64)
            for n, size in self.sizes.items()
            if n not in spikes
        }
        inputs = Inputs(values, {**silent, **spikes}, steps, None, state)
        now = copied(state)
        now["draws"] = state["draws"].copy()
        try:
            trace = self.engine.run(values, inputs, now, {key: None})
        except NumericalError as error:
            raise DomainError(
                f"fluctuation_driven(model): with its threshold off, {self.membrane.group!r} runs"
                f" to infinity ({error}). Fluctuations are those around a rest, and a neuron whose"
                " input is above rheobase has none. Set its current so that it rests below"
                " threshold."
            ) from error
        return trace.values[key].double(), trace.state

    def largest(self) -> int:
        """How many steps fit into the memory at once."""
        width = sum(self.sizes.values()) + self.program.groups[self.membrane.group].size
        return max(FIRST, MOST // width)

    def rest(self) -> tuple[State, Tensor]:
        """The state in which a membrane rests, and its value there, " neuron".

        Raises:
            DomainError: It does not come to rest.
        """
        state, steps, done = self.start(), FIRST, 0
        before = None
        while done < SETTLING:
            trace, state = self.run(steps, state, {}, {})
            trace = trace[:, 0]
            mean = trace[len(trace) // 2 :].mean(0)
            moved = (trace[-1] - trace[len(trace) // 2]).abs()
            still = moved <= STILL * (trace[0].abs() + trace[-1].abs())
            settled = before is not None and bool(still.all())
            if settled:
                return state, trace[-1]
            before, done = mean, done + steps
            steps = min(2 * steps, self.largest())
        if self._is_noisy(state) and before is not None:
            return state, before
        raise DomainError(
            f"fluctuation_driven(model): with its threshold off, {self.membrane.group!r} is not at"
            f" rest after {done * self.program.dt:g} s: {self.membrane.key} still moves."
            " Fluctuations are those around a rest. Hold its input constant, or give it a leak."
        )

    def twice(self, state: State) -> State:
        """Two trials that start from the state of one, and draw the same random numbers."""
        made = {key: _doubled(value) for key, value in state.items()}
        streams = state["draws"].copy().streams if self._is_noisy(state) else ()
        made["draws"] = Draws.given(*streams, *deepcopy(streams)) if streams else Draws(0, 2)
        return made

    def _is_noisy(self, state: State) -> bool:
        """Whether the equations have drawn random numbers."""
        return "streams" in vars(state["draws"])

    def _values(self, weights: Mapping[str, Array]) -> Values:
        given = {k: torch.from_numpy(w).double() for k, w in weights.items()}
        return Values(self.program, {**self.present, **given}, torch.float64, torch.device("cpu"))


def _doubled(value: Any) -> Any:
    """A value of a state for two trials instead of one."""
    if isinstance(value, Tensor):
        return torch.cat([value, value])
    if isinstance(value, Events):
        return Events.of(torch.cat([value.spikes, value.spikes]))
    if type(value) is tuple:
        return tuple(_doubled(v) for v in cast(tuple[Any, ...], value))
    return value


def _without_spikes(program: Program, delivering: list[Afferent], membrane: Membrane) -> Program:
    """What moves a membrane: no resets, refractory periods, other pathways or other groups."""
    pathways = {a.pathway.name for a in delivering}
    events = {a.pathway.event for a in delivering} | {f"{membrane.group}.spike"}

    def may_stay(slot: Slot) -> bool:
        match slot:
            case Deliver():
                return slot.pathway in pathways
            case Threshold() | Generate():
                return slot.event in events
            case Reset() | Host():
                return False
            case _:
                return True

    able = [slot for slot in program.slots if may_stay(slot)]
    needed = _needed(program, able, membrane)
    kept = [
        (replace(slot, refractory=False) if isinstance(slot, Threshold) else slot, k)
        for k, slot in enumerate(program.slots)
        if may_stay(slot) and (isinstance(slot, Threshold | Generate) or slot.written() & needed)
    ]
    early = sum(k < program.early for _, k in kept)
    return replace(program, slots=tuple(slot for slot, _ in kept), early=early)


def _needed(program: Program, slots: Sequence[Slot], membrane: Membrane) -> set[str]:
    """Keys of the variables on which a membrane depends, by whatever way."""
    value = program.values.get(membrane.key)
    found = {membrane.key} if value is None else {ref.variable for ref in value.refs.values()}
    while True:
        moving = (slot for slot in slots if slot.written() & found)
        more = {ref.variable for slot in moving for ref in slot.refs.values()} - found
        if not more:
            return found
        found |= more
