"""Planned run: a run as one operation of autograd, whatever code makes its steps.

What it computes with (values of the prelude, the state at the start, inputs) are its leaves. The
spikes that a loss reads are made where they are read; their derivatives wait until torch goes back
through the run.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..draws import Draws
from ..inputs import Inputs
from ..program import Array, Deliver, Generate, Generator
from ..spikes import Events, Raster, State
from ..values import Values
from ._contracts import Trace
from ._plan import Kept, Key, Matrix, Plan, Wanted, Work
from ._planned_engine import PlannedEngine
from .eager.functions import Functions
from .eager.runtime import Context

BUDGET = 64 * 2**20  # bytes that are kept for the way back


@dataclass
class SpikeDerivatives:
    """Derivatives by spikes that were read, until the run is gone back through.

    Arguments:
        given: Event to the first step and the derivatives of some steps.
    """

    given: dict[str, list[tuple[int, Tensor]]] = field(default_factory=dict[str, Any])

    def taken(self, steps: int) -> dict[str, Tensor]:
        """Event to the derivatives by the spikes of all steps; they no longer wait."""
        found: dict[str, Tensor] = {}
        for event, parts in self.given.items():
            found[event] = parts[0][1].new_zeros(steps, *parts[0][1].shape[1:])
            for first, by in parts:
                found[event][first : first + len(by)] += by
        self.given.clear()
        return found


class PlannedRun(ABC):
    """One run.

    Arguments:
        engine: The network.
        values, inputs, state, record, progress: See `Engine.run`.
    """

    plan: Plan

    def __init__(
        self,
        engine: PlannedEngine,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool,
    ) -> None:
        self.engine, self.program, self.gradients = engine, engine.program, engine.gradients
        self.values, self.inputs, self.given, self.record = values, inputs, state, record
        self.progress, self.dtype, self.device = progress, values.dtype, values.device
        self.first, self.steps, self.batch = state["step"], inputs.steps, inputs.batch_size
        self.base = engine.prepared(inputs.driven, tuple(record))
        kept = self.base.prelude(values.constants(inputs.driven), self.context)
        self.kept = [x.detach() if isinstance(x, Tensor) else x for x in kept]
        self.leaves = dict(self._leaves(kept))
        self.names: list[Key] = []
        self.read_spikes = SpikeDerivatives()

    # ---- what the run is given

    @cached_property
    def context(self) -> Context:
        """What the prelude calls."""
        f = Functions(self.dtype, self.device, self.values.exact)
        indices = {k: torch.from_numpy(v) for k, v in self.program.indices.items()}
        return Context(self.program, f, {}, {}, {}, indices, {}, Draws(0, 0), {}, self.values)

    def _leaves(self, kept: Sequence[Any]) -> Iterator[tuple[Key, Tensor]]:
        """Everything that the run computes with, and that may have a gradient."""
        for k, x in enumerate(kept):
            if isinstance(x, Tensor) and x.is_floating_point():
                yield ("kept", str(k)), x
        for key, variable in self.base.plan.state.items():
            if variable.kind == "float" and key in self.given:
                yield ("state", key), self.given[key]
        for key, x in self.inputs.arrays.items():
            yield ("input", key), x
        for name in self.program.pathways if torch.is_grad_enabled() else ():
            rows = [events.spikes for events in self.given[f"{name}.history"]]
            if any(x.requires_grad for x in rows):
                yield ("past", name), torch.stack(rows)

    def known(self) -> tuple[list[Kept], Wanted | None]:
        """What is known of the values of the prelude, and what a gradient is wanted of."""
        grad = torch.is_grad_enabled()
        wanted = {key for key, x in self.leaves.items() if grad and x.requires_grad}
        kept = [_kind(x, ("kept", str(k)) in wanted) for k, x in enumerate(self.kept)]
        states, inputs, past = (
            frozenset(name for kind, name in wanted if kind == which)
            for which in ("state", "input", "past")
        )
        return kept, Wanted(states, inputs, past) if wanted else None

    def weight_of(self, matrix: Matrix) -> Tensor:
        """Weights of a pathway that is a matrix, one for each synapse or one for all."""
        place = matrix.weight[2:-1]
        weight = self.leaves.get(("kept", place))
        if weight is None:
            weight = torch.as_tensor(self.kept[int(place)], dtype=self.dtype, device=self.device)
        return weight.to(self.dtype).reshape(-1)

    def full_matrix(self, work: Work, matrix: Matrix) -> Tensor:
        """Weights as a full matrix, "source target", flat; zero where there is no synapse."""
        assert isinstance(work.slot, Deliver) and matrix.dense is not None
        path, (low, width) = self.program.pathways[work.slot.pathway], matrix.dense
        size, places = path.n_sources * width, self.engine.places
        if work.number not in places:
            target = self.program.indices[matrix.seen_by].astype(np.int64) - low
            place = path.source.astype(np.int64) * width + target
            complete = np.array_equal(place, np.arange(size))
            places[work.number] = None if complete else torch.from_numpy(place)
        place, weight = places[work.number], self.weight_of(matrix)
        if place is None:
            return weight.expand(size)
        weight = weight.expand(len(place))
        return weight.new_zeros(size).index_copy(0, place.to(self.device), weight)

    def fires(self, event: str) -> tuple[Generator, Array, Array]:
        """A generator, and from where and up to where its elements fire in each step."""
        slot = next(s for s in self.program.slots_of(Generate) if s.event == event)
        generator = self.program.generators[slot.owner]
        pace = round(slot.clock_dt / self.program.dt)
        steps = -(-(self.first + np.arange(self.steps)) // pace)
        return generator, *generator.between(steps)

    # ---- what an engine does

    @abstractmethod
    def go(self) -> None:
        """Make all steps."""

    @abstractmethod
    def back(self, grads: Mapping[Key, Tensor | None]) -> dict[Key, Tensor]:
        """Derivatives by the leaves that want one."""

    @abstractmethod
    def results(self) -> dict[Key, Tensor]:
        """Values at the end, and traces."""

    @abstractmethod
    def raster(self, event: str, handle: Tensor | None) -> Raster:
        """Spikes of the run; the handle ties them to it."""

    @abstractmethod
    def events(self, event: str, step: int, handle: Tensor | None) -> Events:
        """Events of one step."""

    @abstractmethod
    def draws(self) -> Draws:
        """The random streams as they are at the end."""

    @abstractmethod
    def memory(self) -> float:
        """Memory of the run, which is not made: see `Engine.memory`."""

    @abstractmethod
    def close(self) -> None:
        """Give back what a run that nothing goes back through no longer needs."""

    # ---- results

    def trace(self) -> Trace:
        """Run, and what the run leaves behind."""
        carrying = torch.is_grad_enabled() and any(x.requires_grad for x in self.leaves.values())
        if carrying:
            outputs = _Run.apply(self, *self.leaves.values())
            made: dict[Key, Tensor] = dict(zip(self.names, outputs, strict=True))
        else:
            with torch.no_grad():
                self.go()
                made = self.results()
        spiking = {name: f"{name}.spike" for name in self.program.spiking()}
        spikes = {
            n: self.raster(event, made.get(("spikes", event))) for n, event in spiking.items()
        }
        values = {key: made["trace", key] for key in self.record if ("trace", key) in made}
        for key in self.record:
            if key not in values and self.steps:
                values[key] = self._constant(key)
        state = self._final(made)
        if not carrying:
            self.close()
        return Trace(spikes, values, state)

    def moved_spikes(self) -> list[str]:
        """Events that have a gradient and are not given."""
        return [e for e in self.plan.events if e in self.plan.active and e not in self.plan.driven]

    def read(self, plain: Tensor, event: str, first: int, handle: Tensor | None) -> Tensor:
        """Spikes of some steps, as zeros and ones, with their gradient."""
        if handle is None:
            return plain
        return _Spikes.apply(handle, plain, self.read_spikes, event, first)  # pyright: ignore[reportReturnType]

    def _constant(self, key: str) -> Tensor:
        """Trace of a variable that does not change."""
        value = self.values.in_trials(key, self.batch)
        index = self.record[key]
        value = value if index is None else value[:, index]
        return value.expand(self.steps, *value.shape)

    def _final(self, made: Mapping[Key, Tensor]) -> State:
        """The state at the end."""
        state: State = dict(self.given)
        state["step"], state["draws"] = self.first + self.steps, self.draws()
        for key in self.plan.state:
            if ("state", key) in made:
                state[key] = made["state", key]
        for event in self.plan.events:
            every = self.program.every(event)
            last = (self.first + self.steps - 1) // every * every - self.first
            if last >= 0:
                state[event] = self.events(event, last, made.get(("spikes", event)))
        for name, path in self.program.pathways.items():
            state[f"{name}.history"] = self._history(name, path.max_delay, made)
        return state

    def _history(self, name: str, longest: int, made: Mapping[Key, Tensor]) -> tuple[Events, ...]:
        """Events on their way, newest first."""
        slot = next(s for s in self.program.slots_of(Deliver) if s.pathway == name)
        executed = [t for t in range(self.steps) if (self.first + t) % slot.every == 0]
        later = slot.every if self.plan.later(slot) else 0
        handle = made.get(("spikes", slot.event))
        rows = [
            self.events(slot.event, t - later, handle) if t >= later else self.given[slot.event]
            for t in executed[::-1][:longest]
        ]
        return (*rows, *self.given[f"{name}.history"])[:longest]


class _Run(torch.autograd.Function):
    """A run: from values of the prelude, the state and inputs to the state and traces."""

    @staticmethod
    def forward(ctx: Any, run: PlannedRun, *leaves: Tensor) -> tuple[Tensor, ...]:
        run.go()
        made = run.results()
        for event in run.moved_spikes():
            made["spikes", event] = torch.zeros((), dtype=run.dtype, device=run.device)
        run.names = list(made)
        ctx.run = run
        ctx.set_materialize_grads(False)
        fixed = [x for key, x in made.items() if not run.plan.has_gradient(key)]
        ctx.mark_non_differentiable(*fixed)
        return tuple(made.values())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        run: PlannedRun = ctx.run
        found = run.back(dict(zip(run.names, grads, strict=True)))
        return (None, *(found.get(key) for key in run.leaves))


class _Spikes(torch.autograd.Function):
    """Spikes of some steps as zeros and ones; their gradient waits for that of the run."""

    @staticmethod
    def forward(
        ctx: Any, handle: Tensor, plain: Tensor, waiting: SpikeDerivatives, event: str, first: int
    ) -> Tensor:
        ctx.waiting, ctx.event, ctx.first = waiting, event, first
        return plain

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        ctx.waiting.given.setdefault(ctx.event, []).append((ctx.first, grads[0]))
        return grads[0].new_zeros(()), None, None, None, None


def _kind(x: Any, wanted: bool) -> Kept:
    """What is known of a value of the prelude."""
    truth = isinstance(x, bool | np.bool_) or (isinstance(x, Tensor) and x.dtype == torch.bool)
    scalar = not isinstance(x, Tensor) or x.numel() == 1
    return Kept(scalar, "truth" if truth else "real", wanted)


def steps_at_once(steps: int, a_step: int, a_state: int, budget: int) -> int:
    """Steps of which all that the way back needs is kept at once; of the others only some states.

    Arguments:
        steps: Of the run.
        a_step, a_state: What the way back needs of a step, and a state [byte].
        budget: What may be kept [byte].

    Source: Chen, Xu, Zhang & Guestrin 2016, section 4.1, arXiv:1604.06174.
    """
    if a_step * steps <= budget or not steps:
        return max(1, steps)
    best = np.sqrt(steps * max(a_state, 1) / a_step)
    return int(min(max(best, 1), steps, max(1, budget // a_step)))
