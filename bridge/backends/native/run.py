"""Run: many steps, and the way back through them, in compiled code.

Forward, the code loops over time and lists spikes. Backward, it goes through the same steps in
reverse: what each step replaced was kept, so that the state of every step is there again. Where
that would take too much memory, only the state at some steps is kept, and the steps in between are
made again.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mirrorneuron._progress import progress_bar

from ...draws import Draws
from ...finite import CHUNK, require_finite
from ...inputs import Inputs
from ...spikes import Events, Raster, State
from ...values import Values
from .._kept import LOSS
from .._plan import Key
from .._planned_run import steps_at_once
from .arrays import RunArrays
from .shards import Shards
from .spike_lists import SpikeLists

if TYPE_CHECKING:
    from .engine import NativeEngine

TAPE = {"adjoint", "before", "margin", "speed", "slopes", "shares"}
BACK = ("by_", "adjoint", "slopes", "shares")
PART = 2**18  # numbers whose derivatives are found at once


class NativeRun(RunArrays):
    """One run.

    Arguments:
        engine: The network.
        values, inputs, state, record, progress: See `Engine.run`.
        budget: What may be kept for the way back [byte].
    """

    def __init__(
        self,
        engine: "NativeEngine",
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool,
        budget: int,
    ) -> None:
        super().__init__(engine, values, inputs, state, record, progress)
        self.single, self.budget = values.dtype == torch.float32, budget
        self.code = engine.code(self.base.plan, *self.known(), self.single)
        self.plan = self.code.source.plan
        self.add_matrices()

    # ---- forward

    def go(self) -> None:
        """See `PlannedRun.go`."""
        self.tape = self.plan.wanted is not None
        self.length = self._length() if self.tape else 1
        self.whole = self.tape and self.length >= self.steps
        self.allocate()
        self.shards = Shards(self.code.library, self.batch, self.steps)
        self.shards.begin({event: self.given[event] for event in self.plan.events})
        self.lists = SpikeLists(self.shards, [*self.plan.events])
        self.borders: list[dict[Key, Any]] = []
        shown = progress_bar(total=self.steps, shown=self.progress, desc="mirror", unit="step")
        for low in range(0, self.steps, CHUNK):
            for t0, t1 in self._pieces(low, min(low + CHUNK, self.steps)):
                if self.tape and t0 % self.length == 0:
                    self.borders.append(self._moving())
                self._call("run", t0, t1, 0, self.whole)
            require_finite(self._present(), min(low + CHUNK, self.steps) - 1, self.program.dt)
            shown.update(min(CHUNK, self.steps - low))
        shown.close()
        self.spent = not self.whole

    def _length(self) -> int:
        """Steps of which what was replaced is kept at once."""
        a_step = sum(map(self.per_step, self.code.source.arrays.types))
        states = (self.given[key] for key in self.plan.state if key in self.given)
        a_state = sum(x.numel() * x.element_size() for x in states)
        return steps_at_once(self.steps, a_step, a_state, self.budget)

    def _pieces(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Parts of a stretch that do not cross a step of which the state is kept."""
        if not self.tape or self.whole:
            yield low, high
            return
        at = low
        while at < high:
            end = min(high, (at // self.length + 1) * self.length)
            yield at, end
            at = end

    def _moving(self) -> dict[Key, Any]:
        """Copies of what changes from step to step."""
        held = {key: x for key, x in self.held.items() if key[0] in ("state", "streams")}
        return {k: x.clone() if isinstance(x, Tensor) else x.copy() for k, x in held.items()}

    def _present(self) -> dict[str, Tensor]:
        return {key[1]: x for key, x in self.held.items() if key[0] == "state"}

    def _call(self, name: str, t0: int, t1: int, base: int, tape: bool) -> None:
        self.shards.call(name, self.pointers, (t0, t1), self.first, base, tape)

    def memory(self) -> float:
        """See `PlannedRun.memory`."""
        tape, types = self.plan.wanted is not None, self.code.source.arrays.types
        self.length = self._length() if tape else 1
        again = tape and self.length < self.steps
        a_state = self.moving_memory()
        traces = sum(self.bytes_of(key) for key in types if key[0] == "trace")
        borders = -(-self.steps // self.length) * a_state if again else 0
        lists = self.spike_memory() * (1 if tape else 2)  # which a run without a tape copies
        sizes = {key: self.bytes_of(key) for key in types}
        back = sum(size for key, size in sizes.items() if key[0].startswith(BACK))
        forward = a_state + borders + lists + sum(sizes.values()) - back
        if not tape:
            return forward
        return forward + max(LOSS * traces, back + traces * (2 if again else 1))

    # ---- backward

    def back(self, grads: Mapping[Key, Tensor | None]) -> dict[Key, Tensor]:
        """See `PlannedRun.back`."""
        read = self.read_spikes.taken(self.steps)
        for key, ctype in self.code.source.arrays.types.items():
            self.array_back(key, ctype, grads, read)
        self.point()
        length = self.length
        for low in range(0, self.steps, length)[::-1]:
            high = min(low + length, self.steps)
            if self.spent:
                self._remake(low, high)
            self._find_slopes(high - low)
            self._call("back_through", low, high, low if not self.whole else 0, True)
        self._call("finish", 0, 0, 0, True)
        self.spent = True
        found = {key: self._by(key, x) for key, x in self.leaves.items() if x.requires_grad}
        for key in [k for k in self.held if k[0].startswith("by_") or k[0] in TAPE]:
            del self.held[key]
        self.shards.free_undo()
        return found

    def _by(self, key: Key, x: Tensor) -> Tensor:
        """Derivative by a leaf, summed over shards."""
        match key:
            case ("kept" | "weights" | "dense" as kind, number):
                by = self.held.get((f"by_{kind}", number))
            case ("state", name):
                by = _one(self.held.get(("adjoint", name)))
            case ("input", name):
                by = self.held.get(("by_input", name))
                if by is not None and x.shape[1] == 1 and self.batch > 1:
                    by = by.sum(1, keepdim=True)
                by = _one(by)
            case ("past", name):
                by = _one(self.held.get(("by_past", name)))
            case _:
                by = None
        return torch.zeros_like(x) if by is None else by.sum(0).to(x.dtype).reshape(x.shape)

    def _find_slopes(self, steps: int) -> None:
        """Derivatives of the spikes that depend on a velocity, and how deep their resets count."""
        for event in self.plan.speeds:
            if ("slopes", event) not in self.held:
                continue
            gradient, size = self.gradient(event), self.plan.events[event]
            rows = max(1, PART // size)
            given = (self.held[kind, event][:steps].view(-1, size) for kind in ("margin", "speed"))
            made = (self.held[kind, event][:steps].view(-1, size) for kind in ("slopes", "shares"))
            parts = zip(*(x.split(rows) for x in (*given, *made)), strict=True)
            for margin, speed, slope, share in parts:
                found = gradient.passage(margin, torch.nan_to_num(speed))
                slope.copy_(found[0])
                share.copy_(found[1].expand_as(share))

    def _remake(self, low: int, high: int) -> None:
        """Make some steps again, and keep what the way back needs."""
        for key, x in self.borders[low // self.length].items():
            if isinstance(x, Tensor):
                self.held[key].copy_(x)
            else:
                self.held[key][...] = x
        self.shards.rewind()
        traces = {k: self.held.pop(k) for k in list(self.held) if k[0] == "trace"}
        self.held |= {k: x.clone() for k, x in traces.items()}
        self.point()
        self._call("run", low, high, 0 if self.whole else low, True)
        self.held |= traces

    # ---- results

    def results(self) -> dict[Key, Tensor]:
        """See `PlannedRun.results`."""
        made = {key: x.clone() for key, x in self.held.items() if key[0] == "state"}
        made |= {key: x for key, x in self.held.items() if key[0] == "trace"}
        for key in list(made):
            if self.code.source.arrays.types[key] == "unsigned char":
                made[key] = made[key].bool()
        return made

    def raster(self, event: str, handle: Tensor | None) -> Raster:
        """See `PlannedRun.raster`."""
        shape = (self.steps, self.batch, self.plan.events[event])
        given, lists = self.inputs.arrays.get(event), self.lists

        def dense() -> Tensor:
            if given is not None:
                return given.expand(shape)
            return self.read(self._dense(event, 0, self.steps), event, 0, handle)

        return Raster(shape, lambda: lists.all(event), dense)

    def _dense(self, event: str, low: int, high: int) -> Tensor:
        """Spikes of some steps as zeros and ones."""
        step, trial, index = self.lists.between(event, low, high)
        made = torch.zeros(high - low, self.batch, self.plan.events[event], dtype=self.dtype)
        place = ((step - low) * self.batch + trial) * made.shape[2] + index
        made.view(-1)[torch.from_numpy(place)] = 1
        return made

    def events(self, event: str, step: int, handle: Tensor | None) -> Events:
        """See `PlannedRun.events`."""
        _, trial, index = self.lists.between(event, step, step + 1)
        given = self.inputs.arrays.get(event)
        if given is not None:
            return Events(given[step].expand(self.batch, -1), trial, index)
        spikes = self.read(self._dense(event, step, step + 1), event, step, handle)
        return Events(spikes[0], trial, index)

    def draws(self) -> Draws:
        """See `PlannedRun.draws`."""
        draws: Draws = self.given["draws"]
        if ("streams",) in self.held:
            for row, stream in zip(self.held["streams",], draws.streams, strict=True):
                held = (row["key"], int(row["pos"]), int(row["has_gauss"]), float(row["gauss"]))
                stream.set_state(("MT19937", *held))
        return draws

    def close(self) -> None:
        """See `PlannedRun.close`."""
        self.lists.close()


def _one(by: Tensor | None) -> Tensor | None:
    """What is not kept for each shard, as if there were one."""
    return None if by is None else by[None]
