"""Run: many steps, and the way back through them, as operations of torch.

Forward, generated functions make one step after the other without a tape; each returns the few
values that its reverse needs. Backward, their reverses are called from the last step to the first.
Where what is kept would take too much memory, only the state at some steps is, and the steps in
between are made again.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._progress import progress_bar

from ...draws import Draws
from ...finite import CHUNK
from ...inputs import Inputs
from ...program import Deliver, Generate
from ...spikes import Events, Raster, State
from ...values import Values
from .._kept import LOSS
from .._plan import Key, Matrix
from .._planned_run import PlannedRun, steps_at_once
from ..eager.functions import Functions
from .products import Dense, Layouts, Product, Sparse
from .runtime import Runtime
from .trains import SpikeLists, Train, blocks

if TYPE_CHECKING:
    from .engine import SequenceEngine


class Border(NamedTuple):
    """What is kept to make steps again.

    Arguments:
        state, draws: Where they start.
        older: Spikes of the steps before them, by event.
    """

    state: State
    draws: Draws
    older: Mapping[str, dict[int, Tensor]]


class SequenceRun(PlannedRun):
    """One run.

    Arguments:
        engine: The network.
        values, inputs, state, record, progress: See `Engine.run`.
        budget: What may be kept for the way back [byte].
    """

    def __init__(
        self,
        engine: "SequenceEngine",
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool,
        budget: int,
    ) -> None:
        super().__init__(engine, values, inputs, state, record, progress)
        self.code, self.budget = engine.code(self.base.plan, *self.known()), budget
        self.layouts, self.plan = engine.layouts, self.code.plan
        self._add_matrices()

    # ---- what the run is given

    @cached_property
    def context(self) -> Runtime:
        """What generated code calls."""
        f = Functions(self.dtype, self.device, self.values.exact)
        indices = {
            k: torch.from_numpy(v.astype(np.int64)).to(self.device)
            for k, v in self.program.indices.items()
        }
        gradients = {k: g.to(self.dtype, self.device) for k, g in self.gradients.items()}
        return Runtime(
            self.program, f, gradients, {}, {}, indices, {}, Draws(0, self.batch),
            self._series(), self.values, first=self.first,
        )  # fmt: skip

    def _series(self) -> dict[str, tuple[Tensor, ...]]:
        """What inputs put into variables and tables, one tensor a step."""
        shape = (self.steps, self.batch, -1)
        arrays = self.inputs.arrays.items()
        return {
            k: x.detach().expand(shape).unbind(0) for k, x in arrays if not k.endswith(".spike")
        }

    # ---- weights

    def _add_matrices(self) -> None:
        """Weights of pathways that are matrices, as leaves of their own."""
        self.matrices: dict[int, Matrix] = {}
        for work in self.plan.works:
            matrix = self.plan.matrix(work) if isinstance(work.slot, Deliver) else None
            if matrix is None:
                continue
            assert isinstance(work.slot, Deliver)
            self.matrices[work.number] = matrix
            path = self.program.pathways[work.slot.pathway]
            if matrix.dense is None:
                weight = self.weight_of(matrix).expand(len(path.source))
            else:
                weight = self.full_matrix(work, matrix).view(path.n_sources, matrix.dense[1])
            self.leaves["weights", str(work.number)] = weight

    def _product(self, number: int, matrix: Matrix) -> Product:
        slot, plan = self.plan.works[number].slot, self.plan
        assert isinstance(slot, Deliver)
        path, weight = self.program.pathways[slot.pathway], self.leaves["weights", str(number)]
        rows: tuple[Events, ...] = self.given[f"{slot.pathway}.history"]
        wanted = plan.kept[int(matrix.weight[2:-1])].wanted
        later = slot.every if plan.later(slot) else 0
        train = self.trains[slot.event]
        args = (matrix, path, train, lambda ago: rows[ago - 1].spikes.detach(), later, wanted)
        if matrix.dense is not None:
            hoisted = train.given is not None
            return Dense(*args, weight=weight.detach(), hoisted=hoisted)
        layouts = self.layouts
        if (number, weight.device) not in layouts:
            size = self.program.variables[matrix.target].value.size
            post = self.program.indices[matrix.seen_by].astype(np.int64)
            layouts[number, weight.device] = Layouts.of(path, post, size, weight.device)
        return Sparse(*args, weight=weight.detach(), layouts=layouts[number, weight.device])

    # ---- spikes

    def _make_trains(self) -> dict[str, Train]:
        turned: set[str] = set()
        reach: dict[str, int] = {}
        for work in self.plan.works:
            slot = work.slot
            if isinstance(slot, Deliver):
                longest = self.program.pathways[slot.pathway].max_delay + slot.every
                reach[slot.event] = max(reach.get(slot.event, 1), longest)
                matrix = self.matrices.get(work.number)
                if matrix is not None and matrix.dense is None:
                    turned.add(slot.event)
        return {
            event: Train(self.given[event].spikes.detach(), reach.get(event, 1),
                         self._given_rows(event), event in turned)
            for event in self.plan.events
        }  # fmt: skip

    def _given_rows(self, event: str) -> Tensor | None:
        """Spikes that do not depend on the run, "time batch neuron"."""
        if event in self.inputs.arrays:
            return self.inputs.arrays[event].detach()
        if all(s.event != event for s in self.program.slots_of(Generate)):
            return None
        generator, low, high = self.fires(event)
        made = np.zeros((self.steps, 1, self.plan.events[event]))
        for k in np.flatnonzero(high > low):
            made[k, 0, generator.index[low[k] : high[k]]] = 1
        return torch.from_numpy(made).to(self.device, self.dtype)

    # ---- forward

    def prepare(self) -> None:
        """Make what the run needs."""
        c, plan = self.context, self.plan
        self.trains = self._make_trains()
        self.products = {n: self._product(n, m) for n, m in self.matrices.items()}
        c.plan, c.trains, c.products = plan, self.trains, self.products
        c.history = {n: self.given[f"{n}.history"] for n in self.program.pathways}
        c.finite = all(
            bool(torch.isfinite(x).all()) if isinstance(x, Tensor) else np.isfinite(x)
            for x in self.kept
        )
        for event in plan.speeds:
            reset = c.gradients[event].reset
            upstroke = None if reset is None else reset.upstroke
            c.below[event] = 0.0 if upstroke is None else upstroke.begins / reset.rate  # type: ignore[union-attr]
        c.draws, c.gains, c.record = self.given["draws"], self.inputs.gains, dict(self.record)
        c.last, c.zero = self.steps - 1, torch.zeros((), dtype=self.dtype, device=self.device)
        wanted = plan.wanted
        c.wanted_inputs = frozenset[str]() if wanted is None else wanted.inputs
        self.numbers = [self._single(x) for x in self.code.numbers]
        self.single = {k: self._single(self.kept[k]) for k in self.code.single}
        raised = [e for e in plan.events if self.trains[e].given is None]
        self.spikes = {e: SpikeLists((self.steps, self.batch, plan.events[e])) for e in raised}
        self.state: State = {key: self._start(key) for key in plan.state}
        self.traces: dict[str, list[Tensor]] = {
            key: [] for key in self.record if key in plan.state or key in plan.values
        }

    def _single(self, x: Any) -> Any:
        """A number as a tensor without axes."""
        plain = isinstance(x, int | float) and not isinstance(x, bool)
        return torch.tensor(x, dtype=self.dtype, device=self.device) if plain else x

    def _start(self, key: str) -> Tensor:
        value = self.given.get(key)
        value = self.values.in_trials(key, self.batch) if value is None else value
        return value.detach().expand(self.batch, -1)

    def go(self) -> None:
        """Make all steps."""
        self.prepare()
        self.tape = self.plan.wanted is not None
        self.length = self._length() if self.tape else CHUNK
        self.whole = self.tape and self.length >= self.steps
        self.borders: dict[int, Border] = {}
        shown = progress_bar(total=self.steps, shown=self.progress, desc="mirror", unit="step")
        for low, high in blocks(0, self.steps, self.length):
            if self.tape and not self.whole:
                older = {event: train.border(low) for event, train in self.trains.items()}
                self.borders[low] = Border(dict(self.state), self.context.draws.copy(), older)
            self._stretch(low, high, self.whole)
            for event, lists in self.spikes.items():
                lists.add(low, self.trains[event].buffer)
            shown.update(high - low)
        shown.close()

    def _length(self) -> int:
        """Steps of which what the way back needs is kept at once."""
        self.a_step = 0
        if not self.steps:
            return 1
        held = dict(self.state), self.context.draws
        self.context.draws = held[1].copy()
        self._stretch(0, 1, True, recording=False)
        a_step = self.a_step = self._bytes()
        self.state, self.context.draws = held
        a_state = sum(x.numel() * x.element_size() for x in self.state.values())
        return steps_at_once(self.steps, a_step, a_state, self.budget)

    def memory(self) -> float:
        """See `PlannedRun.memory`."""
        self.prepare()
        tape = self.plan.wanted is not None
        self.length = self._length() if tape else min(CHUNK, self.steps)
        item = self.dtype.itemsize
        a_state = sum(x.numel() * x.element_size() for x in self.state.values())
        sizes = {key: self._recorded(key) for key in self.traces}
        traces = self.steps * self.batch * item * sum(sizes.values())
        turned = sum(size * (1 + train.wants_turned) for size, train in self._trained())
        buffers = self.length * self.batch * item * turned
        if not tape:
            return 2 * traces + 2 * a_state + buffers
        again = self.length < self.steps
        borders = self.steps / self.length * a_state if again else 0
        weights = sum(self.leaves["weights", str(n)].numel() * item for n in self.products)
        by = sum(
            p.matrix.dense[1] if p.matrix.dense else self._width(p) for p in self.products.values()
        )
        waiting = self.length * self.batch * item * by
        return (
            self.a_step * self.length
            + borders
            + traces
            + 2 * a_state
            + max(LOSS * traces, traces + weights + waiting)
        )

    def _trained(self) -> list[tuple[int, Train]]:
        """Sizes of the events that the run raises, and their trains."""
        return [(self.plan.events[e], t) for e, t in self.trains.items() if t.given is None]

    def _width(self, product: Product) -> int:
        return self.program.variables[product.matrix.target].value.size

    def _recorded(self, key: str) -> int:
        """Number of elements that are recorded."""
        index, values = self.record[key], self.program.values
        if index is not None:
            return len(index)
        return values[key].size if key in values else self.program.variables[key].value.size

    def _bytes(self) -> int:
        """Size of what is kept of the steps that were made last."""
        found: dict[int, int] = {}

        def look(x: Any) -> None:
            if isinstance(x, Tensor):
                found[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            elif isinstance(x, list | tuple):
                for part in x:  # pyright: ignore[reportUnknownVariableType]
                    look(part)

        look(self.saved)
        for x in self.kept:
            if isinstance(x, Tensor):
                found.pop(x.untyped_storage().data_ptr(), None)
        margins = [*self.context.margins.values(), *self.context.moving.values()]
        look(margins)
        look([t.buffer for t in self.trains.values() if t.given is None])
        return sum(found.values())

    def _stretch(
        self,
        low: int,
        high: int,
        tape: bool,
        recording: bool = True,
        older: Mapping[str, dict[int, Tensor]] | None = None,
    ) -> None:
        """Make some steps."""
        c = self.context
        c.tape, c.base = tape, low
        c.forget()
        self.saved: list[Any] = []
        with np.errstate(all="ignore"):
            for event, train in self.trains.items():
                train.open(low, high - low, None if older is None else older[event])
            for product in self.products.values():
                product.open(low, high)
            c.checks = recording
            self.code.run(
                self.state, self.kept, self.single, self.numbers, self.products, c, low, high,
                self.saved, self.traces if recording else {},
            )  # fmt: skip

    # ---- backward

    def back(self, grads: Mapping[Key, Tensor | None]) -> dict[Key, Tensor]:
        """Derivatives by the leaves that want one."""
        c = self.context
        self.A: dict[str, Tensor] = {
            key: self._adjoint(key, grads.get(("state", key))) for key in self.plan.active
            if key in self.plan.state
        }  # fmt: skip
        c.by_spike_rows = self.read_spikes.taken(self.steps)
        for held in (c.pushed, c.by_input, c.by_past, c.by_kept):
            held.clear()
        c.readers, c.owners = {}, {}
        for number, product in self.products.items():
            work = self.plan.works[number]
            assert isinstance(work.slot, Deliver)
            product.reset()
            if self.plan.passes(work) and work.slot.event in self.plan.active:
                c.readers.setdefault(work.slot.event, []).append(product)
            if self.plan.passes(work) and work.slot.pathway in self.plan.active:
                c.owners.setdefault(work.slot.pathway, []).append(product)
        traces = {
            name: x.unbind(0) for (kind, name), x in grads.items()
            if kind == "trace" and x is not None
        }  # fmt: skip
        for low, high in [*blocks(0, self.steps, self.length)][::-1]:
            if not self.whole:
                self._again(low, high)
            self._stretch_back(low, high, traces)
        return self._found()

    def _again(self, low: int, high: int) -> None:
        """Make some steps again, and keep what the way back needs."""
        border, last = self.borders[low], (self.state, self.context.draws)
        self.state, self.context.draws = dict(border.state), border.draws.copy()
        self._stretch(low, high, True, recording=False, older=border.older)
        self.state, self.context.draws = last

    def _adjoint(self, key: str, given: Tensor | None) -> Tensor:
        if given is not None:
            return given
        size = self.program.variables[key].value.size
        return torch.zeros(self.batch, size, dtype=self.dtype, device=self.device)

    def _stretch_back(self, low: int, high: int, traces: Mapping[str, Sequence[Tensor]]) -> None:
        passing = [p for n, p in self.products.items() if self.plan.passes(self.plan.works[n])]
        with np.errstate(all="ignore"):
            for product in passing:
                product.open(low, high)
                product.open_back()
            assert self.code.back is not None
            self.code.back(
                self.A, self.kept, self.single, self.numbers, self.products, self.context, low,
                high, self.saved, traces,
            )  # fmt: skip
            for product in passing:
                product.close_back()

    def _found(self) -> dict[Key, Tensor]:
        c = self.context
        found: dict[Key, Tensor] = {}
        for key, x in self.leaves.items():
            if not x.requires_grad:
                continue
            match key:
                case ("kept", k):
                    by = c.by_kept.get(int(k))
                case ("weights", number):
                    by = self.products[int(number)].gradient
                case ("state", name):
                    by = self.A.get(name)
                case ("input", name):
                    by = self._by_input(name)
                case ("past", name):
                    by = self._by_past(name)
                case _:
                    by = None
            found[key] = torch.zeros_like(x) if by is None else _fitted(by, x)
        return found

    def _by_input(self, name: str) -> Tensor | None:
        rows = self.context.by_input.get(name)
        if rows is None:
            return None
        zero = torch.zeros_like(next(iter(rows.values())))
        return torch.stack([rows.get(k, zero) for k in range(self.steps)])

    def _by_past(self, name: str) -> Tensor:
        path = self.program.pathways[name]
        shape = (path.max_delay, self.batch, path.n_sources)
        made = torch.zeros(shape, dtype=self.dtype, device=self.device)
        for n, by in self.context.by_past.get(name, {}).items():
            made[n] += by
        for product in self.context.owners.get(name, ()):
            for n in range(path.max_delay):
                by = product.pulled_past(n + 1)
                if by is not None:
                    made[n] += by
        return made

    # ---- results

    def results(self) -> dict[Key, Tensor]:
        """See `PlannedRun.results`."""
        made: dict[Key, Tensor] = {("state", key): x.clone() for key, x in self.state.items()}
        for key, rows in self.traces.items():
            if rows:
                made["trace", key] = torch.stack(rows)
                rows.clear()
        return made

    def raster(self, event: str, handle: Tensor | None) -> Raster:
        """See `PlannedRun.raster`."""
        shape = (self.steps, self.batch, self.plan.events[event])
        if event not in self.spikes:
            return self._given_raster(event, shape)
        lists, like = self.spikes[event], self.given[event].spikes.detach()
        return Raster(shape, lists.all, lambda: self.read(lists.dense(like), event, 0, handle))

    def _given_raster(self, event: str, shape: tuple[int, int, int]) -> Raster:
        given = self.inputs.arrays.get(event)
        rows = self.trains[event].given if given is None else given
        assert rows is not None
        lists = SpikeLists(shape)

        def listed() -> Any:
            if not lists.parts:
                lists.add(0, rows.detach().expand(shape))
            return lists.all()

        return Raster(shape, listed, lambda: rows.expand(shape))

    def close(self) -> None:
        """See `PlannedRun.close`."""

    def draws(self) -> Draws:
        """See `PlannedRun.draws`."""
        return self.context.draws

    def events(self, event: str, step: int, handle: Tensor | None) -> Events:
        """See `PlannedRun.events`."""
        if event in self.inputs.arrays:
            return Events.of(self.inputs.arrays[event][step].expand(self.batch, -1))
        train = self.trains[event]
        known = train.knows(step)
        row = train.row(step) if known else self.spikes[event].dense(train.before)[step]
        if event not in self.spikes:
            return Events.of(row)
        trial, index = self.spikes[event].of_step(step)
        return Events(self.read(row.clone()[None], event, step, handle)[0], trial, index)


def _fitted(by: Tensor, x: Tensor) -> Tensor:
    """A derivative in the shape and type of what it belongs to."""
    if by.shape == x.shape:
        return by.to(x.dtype)
    if by.numel() == x.numel():
        return by.reshape(x.shape).to(x.dtype)
    return by.sum_to_size(x.shape).to(x.dtype)
