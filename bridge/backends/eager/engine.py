"""The eager engine: one generated torch step, looped; torch keeps what the gradient needs.

It covers every feature and defines the gradients: other engines are compared with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._progress import progress_bar

from ...draws import Draws
from ...finite import CHUNK, require_finite
from ...inputs import Inputs
from ...lower.margin import MARGIN, is_margin
from ...lower.reach import reached
from ...program import Host, Program, Slot, Threshold, Update
from ...spike_gradient import SpikeGradient
from ...spikes import Events, State, copied
from ...values import Values
from .._contracts import Trace
from .._kept import kept_by
from .emit import Code, Step, compile_program
from .fanout import Fanout
from .functions import Functions
from .host import hosted
from .runtime import Context

FEW = 3  # steps of which the memory is looked at


class EagerEngine:
    """A Program as generated torch code: see `Engine`.

    Arguments:
        program: The network.
        constants: Keys of the constants of namespaces that are trained.
        gradients: What stands for the derivative of each event.
    """

    def __init__(
        self,
        program: Program,
        constants: frozenset[str],
        gradients: Mapping[str, SpikeGradient],
    ) -> None:
        self.program, self.constants, self.gradients = program, constants, gradients
        self._codes: dict[tuple[frozenset[str], tuple[str, ...] | None], Code] = {}

    def code(
        self, driven: frozenset[str] = frozenset(), values: tuple[str, ...] | None = None
    ) -> Code:
        """Generated code of a step, or of recorded values; `driven` names what inputs set."""
        key = driven, values
        if key not in self._codes:
            slots = None if values is None else [self.program.values[name] for name in values]
            self._codes[key] = compile_program(self.program, driven, self.constants, slots)
        return self._codes[key]

    def run(
        self,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool = False,
    ) -> Trace:
        """Run from a state, which is changed: see `Engine.run`."""
        first, program = state["step"], self.program
        margins = [key for key in record if is_margin(key)]
        advance = Stepper(self, values, inputs.series, first, margins)
        computed = [key for key in record if key in program.values and not is_margin(key)]
        probe = Probe(self, values, computed, advance.context)
        traces: dict[str, list[Tensor]] = {key: [] for key in record}
        events: dict[str, list[Events]] = {name: [] for name in program.spiking()}
        pace = {name: program.every(f"{name}.spike") for name in events}
        silent = {name: values.silent(name, inputs.batch_size) for name in events}
        grad = torch.is_grad_enabled()
        steps = range(inputs.steps)
        with hosted(program):
            for k in progress_bar(steps, shown=progress, desc="mirror", unit="step"):
                inputs.set(state, k)
                advance.begin(state)
                found = probe(state)
                for key, trace in traces.items():
                    if key in advance.watched:
                        continue
                    value = found[key] if key in found else state.get(key)
                    value = values.in_trials(key, inputs.batch_size) if value is None else value
                    index = record[key]
                    value = value if index is None else value[:, index]
                    trace.append(value if grad or index is not None else value.clone())
                advance.finish(state)
                for key in margins:
                    value, index = advance.margin(key), record[key]
                    traces[key].append(value if index is None else value[:, index])
                for name, seen in events.items():
                    raised = (first + k) % pace[name] == 0
                    seen.append(state[f"{name}.spike"] if raised else silent[name])
                if k % CHUNK == CHUNK - 1 or k == inputs.steps - 1:
                    require_finite(state, k, program.dt)
        return Trace(events, {key: torch.stack(t) for key, t in traces.items() if t}, state)

    def memory(
        self,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
    ) -> float:
        """Memory of a run, from what some steps of it keep: see `Engine.memory`."""

        carrying = [k for k, x in {**values.trained, **state}.items() if _carries(x)]
        carrying += [k for k, x in inputs.arrays.items() if x.requires_grad]
        found = reached(self.program, set(carrying)) if torch.is_grad_enabled() else set[str]()
        rows = {f"{n}.history" for n, p in self.program.pathways.items() if p.event in found}

        def kept(steps: int) -> float:
            given = {k: _led(x, k in found | rows) for k, x in copied(state).items()}
            given["draws"] = state["draws"].copy()
            return kept_by(lambda: self.run(values, inputs.first(steps), given, record))

        few = min(FEW, inputs.steps // 2)
        if not few or any(True for _ in self.program.slots_of(Host)):
            groups = sum(self.program.groups[name].size for name in self.program.spiking())
            return float(inputs.steps * inputs.batch_size * groups * values.dtype.itemsize)
        one = kept(few)
        return one + (kept(2 * few) - one) / few * (inputs.steps - few)


def _carries(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad


def _led(x: Any, carrying: bool) -> Any:
    """A part of a state with a gradient, as a long run would give it one."""
    if not carrying:
        return x
    if isinstance(x, Events):
        return x._replace(spikes=x.spikes.detach().clone().requires_grad_())
    if isinstance(x, tuple):
        rows: tuple[Events, ...] = x  # pyright: ignore[reportUnknownVariableType]
        return tuple(_led(row, True) for row in rows)
    real = isinstance(x, Tensor) and x.is_floating_point()
    return x.detach().clone().requires_grad_() if real else x


class Stepper:
    """Takes a state one time step further, in place.

    Arguments:
        engine: Code of the network.
        values: Values of its variables.
        inputs: Key to one tensor a step, "batch neuron".
        first: Step count at which the inputs start.
        margins: Distances to threshold to be kept, "cells.spike.margin".
    """

    def __init__(
        self,
        engine: "EagerEngine",
        values: Values,
        inputs: Mapping[str, tuple[Tensor, ...]],
        first: int,
        margins: Sequence[str] = (),
    ) -> None:
        program, driven, device = engine.program, frozenset(inputs), values.device
        code = engine.code(driven)
        self.context = Context(
            program=program,
            f=Functions(values.dtype, device, values.exact),
            gradients={k: g.to(values.dtype, device) for k, g in engine.gradients.items()},
            crossings=code.crossings,
            resets=code.resets,
            indices={k: torch.from_numpy(v).to(device) for k, v in program.indices.items()},
            fanouts={k: Fanout(p, device) for k, p in program.pathways.items()},
            draws=Draws(0, 0),
            inputs=inputs,
            values=values,
            first=first,
        )
        self.fixed = code.prelude(values.constants(driven), self.context)
        self.found: dict[str, Tensor] = {}
        self.watched = {key: Probe(engine, values, [key], self.context) for key in margins}
        steps = [(s, self._watch(s, run)) for s, run in zip(program.slots, code.slots, strict=True)]
        self.early, self.late = steps[: program.early], steps[program.early :]
        moves = {slot.name: pair for pair in steps if isinstance(slot := pair[0], Update)}
        self.context.motions |= {
            slot.event: [moves[m.name] for m in program.motion(slot.owner)]
            for slot in program.slots_of(Threshold)
        }

    def _watch(self, slot: Slot, run: Step) -> Step:
        """The step of a slot; that of a threshold keeps the margin that it meets, where asked."""
        probe = isinstance(slot, Threshold) and self.watched.get(f"{slot.event}{MARGIN}")
        if not probe:
            return run

        def watched(state: State, fixed: list[Any], context: Any) -> None:
            self.found |= probe(state)
            run(state, fixed, context)

        return watched

    def margin(self, key: str) -> Tensor:
        """Distance to threshold in this step, "batch neuron"; minus infinity if it was not tested.

        Arguments:
            key: One of those to be kept.
        """
        if key in self.found:
            return self.found[key]
        shape = (self.context.batch_size, self.watched[key].slots[key].size)
        f = self.context.f
        return torch.full(shape, -torch.inf, dtype=f.dtype, device=f.device)

    def __call__(self, state: State) -> None:
        """Execute all slots once."""
        self.begin(state)
        self.finish(state)

    def begin(self, state: State) -> None:
        """Execute the slots before the place where a StateMonitor records."""
        self.context.draws, self.context.tick = state["draws"], state["step"]
        self.found.clear()
        if self.early:
            self._execute(self.early, state)

    def finish(self, state: State) -> None:
        """Execute the others."""
        self._execute(self.late, state)
        state["step"] += 1

    def _execute(self, slots: list[tuple[Slot, Step]], state: State) -> None:
        context, step = self.context, state["step"]
        with np.errstate(all="ignore"):  # the state is checked for what is not finite
            for slot, run in slots:
                if step % slot.every == 0:
                    context.clock(step, slot.clock_dt)
                    run(state, self.fixed, context)


class Probe:
    """Computes subexpressions from a state.

    Arguments:
        engine: Code of the network.
        values: Values of its variables.
        keys: What to compute.
        context: That of the steps between which it is computed.
    """

    def __init__(
        self, engine: "EagerEngine", values: Values, keys: Sequence[str], context: Context
    ) -> None:
        self.slots = {key: engine.program.values[key] for key in keys}
        self.context, driven = context, frozenset(context.inputs)
        code = engine.code(driven, tuple(keys))
        self.functions = dict(zip(self.slots, code.slots, strict=True))
        slots = self.slots.values()
        used = {ref.variable for slot in slots for ref in slot.refs.values()}
        self.fixed = code.prelude(values.constants(driven, used), context)

    def __call__(self, state: State) -> dict[str, Tensor]:
        """Values in the present step, "batch element"."""
        context, step = self.context, state["step"]
        found: dict[str, Tensor] = {}
        with np.errstate(all="ignore"):
            for key, slot in self.slots.items():
                context.clock(step, slot.clock_dt)
                value = self.functions[key](state, self.fixed, context)
                shape = (context.batch_size, slot.size)
                found[key] = context.f.tensor(value).to(context.f.dtype).expand(shape)
        return found
