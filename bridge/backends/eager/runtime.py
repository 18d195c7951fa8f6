"""Context: what generated code calls as `c` while a mirror runs.

It holds what is the same for all slots of a step (time, random numbers, inputs) and the
operations that statements alone cannot express: raising, delivering and answering events.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from mirrorneuron.errors import DomainError

from ...draws import Draws, ExpectedDraws, Sites
from ...program import Array, Host, Program, Slot
from ...spike_gradient import SpikeGradient
from ...spikes import Events, State
from ...values import Values
from .emit import Answer, Cross, Step
from .fanout import Fanout
from .functions import Functions, Value
from .host import run_host
from .spike_functions import escape, gate, jump_to, spike
from .synapses import ActiveSynapses, GatedSynapses, reached_synapses, scaled
from .user_function import call_user

T = TypeVar("T")


def _at(sites: Sites, x: Any, cuts: Array) -> list[Any]:
    """Values at the sites, trial by trial."""
    if not isinstance(x, Tensor):
        return [x] * (len(cuts) + 1)
    return np.split(x.detach().cpu().expand(sites.shape).numpy().reshape(-1)[sites.place], cuts)


def _of_trial(x: Any, b: int) -> Any:
    """Values of one trial."""
    if not isinstance(x, Tensor):
        return x
    x = x.detach()
    return (x[min(b, len(x) - 1)] if x.dim() == 2 else x).cpu().numpy()


@dataclass
class Context:
    """State of a run that is not the network's state.

    Arguments:
        program: The network.
        f: Functions that statements call.
        gradients: Event to what stands for its derivative.
        crossings, resets: Event to how its threshold is crossed, and to what answers it.
        indices, fanouts: Index arrays and pathways on the device.
        draws: Random numbers.
        inputs: Key to "time batch neuron", what is set from outside at each step.
        values: Values of the network.
        t, step: Time [s] and step count of the clock of the present slot.
        tick: Step count of the Program.
        first: Step count of the Program at which the inputs start.
        places: Index arrays of all trials together.
        paces: Time step of a clock to its length in steps of the Program.
        motions: Event to the slots that move the neurons which raise it.
        shares: Event to how deep its reset counts in this step, in depths of the reset.
    """

    program: Program
    f: Functions
    gradients: Mapping[str, SpikeGradient]
    crossings: Mapping[str, Cross]
    resets: Mapping[str, Answer]
    indices: Mapping[str, Tensor]
    fanouts: Mapping[str, Fanout]
    draws: Draws
    inputs: Mapping[str, tuple[Tensor, ...]]
    values: Values
    t: float = 0.0
    step: int = 0
    tick: int = 0
    first: int = 0
    places: dict[tuple[int, ...], Tensor] = field(default_factory=dict[tuple[int, ...], Tensor])
    paces: dict[float, int] = field(default_factory=dict[float, int])
    motions: dict[str, list[tuple[Slot, Step]]] = field(
        default_factory=dict[str, list[tuple[Slot, Step]]]
    )
    shares: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    @property
    def batch_size(self) -> int:
        """Number of trials."""
        return self.draws.size

    def clock(self, tick: int, dt: float) -> None:
        """Set the time of a slot's clock, which counts steps of dt and is never behind."""
        self.step = -(-tick // self.pace(dt))
        self.t = self.step * dt

    def pace(self, dt: float) -> int:
        """Steps of the Program in one of a clock."""
        if dt not in self.paces:
            self.paces[dt] = round(dt / self.program.dt)
        return self.paces[dt]

    # ---- values

    def index(self, name: str) -> Tensor:
        """An index array."""
        return self.indices[name]

    def widen(self, x: Value) -> Value:
        """Values that are kept in single precision, in the type in which statements compute."""
        return x.to(self.f.dtype) if isinstance(x, Tensor) else x

    def pick(self, x: Value, name: str) -> Value:
        """A variable seen through an index array."""
        return x.index_select(-1, self.indices[name]) if isinstance(x, Tensor) and x.dim() else x

    def fit(self, value: Value, like: Tensor) -> Tensor:
        """A value in the shape and type of the variable that takes it."""
        if isinstance(value, Tensor) and value.shape == like.shape and value.dtype == like.dtype:
            return value
        if not isinstance(value, Tensor):
            return torch.full_like(like, value)
        return value.to(like.dtype).expand_as(like)

    def put(self, old: Tensor, name: str, value: Value) -> Tensor:
        """A variable of which only the indexed elements change."""
        index = self.indices[name]
        return old.index_copy(-1, index, self.fit(value, old.index_select(-1, index)))

    def draw(self, kind: str, size: int, sites: Sites | None, *args: Any) -> Tensor:
        """Random numbers for all elements, or for those at `sites` only."""
        trials = range(self.batch_size)
        if sites is None:
            own = [[_of_trial(arg, b) for arg in args] for b in trials]
            return self._number(np.stack(self.draws.draw(kind, [size] * self.batch_size, own)))
        counts = np.bincount(sites.batch, minlength=self.batch_size)
        there = [_at(sites, arg, np.cumsum(counts)[:-1]) for arg in args]
        own = [[arg[b] for arg in there] for b in trials]
        full = np.zeros(sites.shape)
        full.reshape(-1)[sites.place] = np.concatenate(self.draws.draw(kind, counts.tolist(), own))
        return self._number(full)

    def within(self, mask: Tensor) -> Sites:
        """Elements for which a condition holds."""
        batch, index = np.nonzero(mask.cpu().numpy())
        return Sites(batch, batch * mask.shape[1] + index, tuple(mask.shape))

    def _number(self, x: Array) -> Tensor:
        return torch.from_numpy(x).to(self.f.device, self.f.dtype)

    def table(self, name: str, t: Value, column: Value | None = None) -> Value:
        """Value of a TimedArray at time t."""
        table = self.program.tables[name]
        if table.name in self.inputs:
            if isinstance(t, Tensor) or abs(t - self.t) > 1e-6 * self.program.dt:
                raise DomainError(
                    f"run(inputs={{{table.name!r}: ...}}): the equations read it at another time"
                    " than t, which an input of one row a step cannot answer. Write"
                    f" {table.name}(t), or leave the TimedArray as it is."
                )
            given = self.inputs[table.name][self.tick - self.first]
            return given if column is None else given[..., self._whole(column)]
        if isinstance(t, Tensor):
            rows = torch.round(t.detach() / (table.dt / table.upsampling)) / table.upsampling
            row = rows.trunc().long().clamp(0, len(table.values) - 1).cpu().numpy()
        else:
            row = table.row(t)
        if column is None:
            found = table.values[row]
        else:
            found = table.values[row, self._whole(column).cpu().numpy()]
        return float(found) if np.ndim(found) == 0 else self._number(found)

    def call(self, name: str, whole: tuple[int, ...], sites: Sites | None, *args: Value) -> Value:
        """Value of a user's function; `whole` lists the arguments that are whole numbers."""
        function, streams = self.program.functions[name], self.draws.streams
        return call_user(function, whole, args, self.f, streams, sites)

    def _whole(self, x: Value) -> Tensor:
        return torch.as_tensor(x).long()

    def host(self, name: str, state: State) -> None:
        """Run Python of the user's."""
        slot = next(slot for slot in self.program.slots_of(Host) if slot.name == name)
        run_host(slot, state, self)

    # ---- events

    def spike(
        self, event: str, margin: Value, strict: bool, state: State, fixed: list[Any]
    ) -> Value:
        """1 where the margin is positive; backward the surrogate of the event."""
        if not isinstance(margin, Tensor):
            return margin > 0 if strict else margin >= 0
        if margin.requires_grad and torch.is_grad_enabled():
            gradient, owner = self.gradients[event], event.partition(".")[0]
            gradient.require_width(owner)
            return spike(margin, self._slope(event, margin, gradient, state, fixed), strict)
        return (margin > 0 if strict else margin >= 0).to(self.f.dtype)

    @torch.no_grad()
    def _slope(
        self, event: str, margin: Tensor, gradient: SpikeGradient, state: State, fixed: list[Any]
    ) -> Tensor:
        """Derivative of a spike; how deep its reset counts is kept for that."""
        reset = gradient.reset
        if reset is None:
            return gradient.slope(margin)
        speed = margin.new_zeros(())
        if gradient.needs_speed:
            below = 0.0 if reset.upstroke is None else reset.upstroke.begins / reset.rate
            speed = torch.nan_to_num(self.speed(event, state, fixed, below))
        slope, self.shares[event] = gradient.passage(margin, speed)
        return slope

    def speed(self, event: str, state: State, fixed: list[Any], below: Tensor | float) -> Tensor:
        """Change of the margin in one step of the equations, as their inputs are now.

        Arguments:
            event: Key of the event.
            state: The network's state; it is not changed.
            fixed: What does not change during a run.
            below: How far below threshold the variable that crosses it stands.
        """
        cross = self.crossings[event]
        at = self.at_threshold(event, state, fixed)
        at[cross.variable] = self.fit(at[cross.variable] - below, at[cross.variable])
        before, _ = cross.values(at, fixed, self)
        own, clock = self.draws, (self.step, self.t)
        self.draws = ExpectedDraws(own.size)
        for slot, run in self.motions[event]:
            self.clock(self.tick, slot.clock_dt)
            run(at, fixed, self)
        self.draws, (self.step, self.t) = own, clock
        after, _ = cross.values(at, fixed, self)
        return self.fit(after, state[cross.variable]) - before

    def escape(
        self,
        event: str,
        draw: Tensor,
        probability: Value,
        strict: bool,
        state: State,
        fixed: list[Any],
    ) -> Tensor:
        """1 where a uniform number falls below a probability."""
        p = self.f.tensor(probability).to(self.f.dtype).expand_as(draw)
        follows = torch.is_grad_enabled() and p.requires_grad
        if follows and self.gradients[event].follows_reset:
            return escape(draw, p, strict, self._escape_gain(event, state, fixed))
        return escape(draw, p, strict)

    def _escape_gain(self, event: str, state: State, fixed: list[Any]) -> Tensor | None:
        """Factor that keeps the derivative of a probability at or below one over the reset's depth.

        Above it, the gradient through the reset grows from step to step: see `spike_gradient`.
        """
        if event not in self.crossings or event not in self.resets:
            return None
        cross = self.crossings[event]
        with torch.enable_grad():
            x = state[cross.variable].detach().requires_grad_()
            p, _ = cross.values(state | {cross.variable: x}, fixed, self)
            (slope,) = torch.autograd.grad(p.sum(), x)
        with torch.no_grad():
            jumps = self._unheard(event, lambda: self.jumps(event, state, fixed))
            depth = jumps[self.resets[event].keys.index(cross.variable)]
        return None if depth is None else 1 / (slope * depth).abs().clamp(min=1)

    def both(self, *parts: Value) -> Tensor:
        """Conjunction: truth values gate, spikes carry gradient."""
        product = self._spiking(parts[0])
        for part in parts[1:]:
            product = product * self._spiking(part)
        return product

    def either(self, *parts: Value) -> Tensor:
        """Disjunction."""
        return self.neither(self.both(*(self.neither(part) for part in parts)))

    def neither(self, part: Value) -> Tensor:
        """Negation."""
        return 1 - self._spiking(part)

    def _spiking(self, x: Value) -> Tensor:
        return torch.as_tensor(x, device=self.f.device).to(self.f.dtype)

    def events(self, key: str, condition: Value, size: int) -> Events:
        """Events where the condition holds, or those that an input gives instead."""
        if key in self.inputs:
            spikes = self.inputs[key][self.tick - self.first]
        else:
            spikes = self._spiking(condition)
        shape = (self.batch_size, size)
        return Events.of(spikes if spikes.shape == shape else spikes.expand(shape))

    def generate(self, owner: str) -> Events:
        """Spikes that a SpikeGeneratorGroup holds for this step."""
        key = f"{owner}.spike"
        size = self.program.groups[owner].size
        if key in self.inputs:
            return self.events(key, False, size)
        generator = self.program.generators[owner]
        (low,), (high,) = generator.between(np.array([self.step]))
        index = generator.index[low:high]
        spikes = torch.zeros(self.batch_size, size, dtype=self.f.dtype, device=self.f.device)
        if len(index):
            spikes[:, torch.from_numpy(index)] = 1
        batch = np.repeat(np.arange(self.batch_size), len(index))
        return Events(spikes, batch, np.tile(index, self.batch_size))

    def mark(self, state: Tensor, events: Events, value: Value) -> Tensor:
        """A variable that takes a value at the elements with an event."""
        if not len(events.index):
            return state
        return torch.where(events.spikes > 0, torch.as_tensor(value, dtype=state.dtype), state)

    def _follows(self, event: str) -> bool:
        """Whether the gradient passes through the resets of an event.

        Not only those of spikes that carry a gradient themselves, which may depend on what other
        trials were given.
        """
        known = self.gradients.get(event)
        return torch.is_grad_enabled() and known is not None and known.follows_reset

    def sites(self, events: Events) -> Sites:
        """Elements with an event."""
        shape = events.spikes.shape
        return Sites(events.batch, events.batch * shape[1] + events.index, tuple(shape))

    def reset(self, event: str, state: State, fixed: list[Any]) -> None:
        """Change variables at the elements with an event.

        Arguments:
            event: Its key.
            state: The network's state.
            fixed: What does not change during a run.
        """
        follows, events = self._follows(event), state[event]
        if not follows and not len(events.index):
            return
        keys = self.resets[event].keys
        jumps: Sequence[Tensor | None] = [None] * len(keys)
        if follows:
            jumps = self._unheard(event, lambda: self.jumps(event, state, fixed))
            jumps = self._deepened(event, keys, jumps)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not follows):
            new = self.resets[event].values(state, fixed, self, events)
        for key, value, jump in zip(keys, new, jumps, strict=True):
            old = state[key]
            if jump is None:
                state[key] = gate(events.spikes.detach(), self.fit(value, old), old)
            else:
                state[key] = jump_to(events.spikes, self.fit(value, old), old, jump)

    def _deepened(
        self, event: str, keys: Sequence[str], jumps: list[Tensor | None]
    ) -> list[Tensor | None]:
        """Jumps of which that of the variable that crosses the threshold counts as a passage."""
        share = self.shares.pop(event, None)
        if share is None:
            return jumps
        variable = self.crossings[event].variable
        pairs = zip(keys, jumps, strict=True)
        return [
            jump + (share - 1) * jump.detach() if jump is not None and key == variable else jump
            for key, jump in pairs
        ]

    def _unheard(self, event: str, call: Callable[[], T]) -> T:
        """What a call gives that evaluates a reset, without taking from the random numbers."""
        own = self.draws
        if self.resets[event].draws:
            self.draws = deepcopy(own)
        try:
            return call()
        finally:
            self.draws = own

    def jumps(self, event: str, state: State, fixed: list[Any]) -> list[Tensor | None]:
        """What a reset adds to each variable of neurons that stand at threshold.

        A neuron that would spike a little earlier or later does so at threshold, wherever it
        stands in this step. Spikes that an input gives come when they come, and those of an escape
        rate at any distance.
        """
        cross = self.crossings.get(event)
        moved = cross is not None and not cross.escapes and event not in self.inputs
        at = self.at_threshold(event, state, fixed) if moved else state
        keys = self.resets[event].keys
        new = self.resets[event].values(at, fixed, self, state[event])
        pairs = [(self.fit(value, at[key]), at[key]) for key, value in zip(keys, new, strict=True)]
        return [value - old if old.is_floating_point() else None for value, old in pairs]

    def at_threshold(self, event: str, state: State, fixed: list[Any]) -> State:
        """The state with every neuron moved to its threshold."""
        cross = self.crossings[event]
        _, place = cross.values(state, fixed, self)
        return state | {cross.variable: self.fit(place, state[cross.variable])}

    def arrive(self, pathway: str, state: State) -> ActiveSynapses | GatedSynapses:
        """Push the present events of a pathway's source, and take out those that are due."""
        fanout, key = self.fanouts[pathway], f"{pathway}.history"
        now: Events = state[fanout.pathway.event]
        past: tuple[Events, ...] = state[key]
        due = tuple(now if d == 0 else past[d - 1] for d in fanout.delays)
        state[key] = (now, *past[:-1]) if past else ()
        return reached_synapses(fanout, due)

    def everyone(self, size: int) -> ActiveSynapses:
        """All synapses, for code that runs over them without an event."""
        return ActiveSynapses.all(size, self.batch_size, self.f.device)

    scale = staticmethod(scaled)

    def _place(self, index: Tensor, start: int, size: int) -> Tensor:
        """Where the synapses of all trials belong in one flat array, kept for the next step."""
        key = (id(index), start, size, self.batch_size)
        if key not in self.places:
            trial = torch.arange(self.batch_size, device=index.device)[:, None]
            self.places[key] = (index - start + size * trial).reshape(-1)
        return self.places[key]

    def sum(self, state: Tensor, index: Tensor, value: Value, start: int, stop: int) -> Tensor:
        """The sum of a value over the synapses of each element from `start` to `stop`."""
        size = stop - start
        value = self.f.tensor(value).to(state.dtype)
        value = value.expand(self.batch_size, len(index))
        total = value.new_zeros(self.batch_size * size)
        place = self._place(index, start, size)
        total = total.index_add(0, place, value.reshape(-1)).view(-1, size)
        if size == state.shape[1]:
            return total
        return torch.cat([state[:, :start], total, state[:, stop:]], dim=1)
