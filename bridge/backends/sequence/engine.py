"""The sequence engine: a stretch of time as one operation of torch.

Forward, generated functions make one step after the other without a tape; each returns the few
values that its reverse needs. Backward, their reverses are called from the last step to the first.
Where what is kept would take too much memory, only the state at some steps is, and the steps in
between are made again.
"""

import linecache
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._progress import progress_bar

from ...draws import Draws
from ...finite import CHUNK
from ...inputs import Inputs
from ...lower.condition import Margin, leaves
from ...program import Deliver, Generate, Program, Threshold
from ...spike_gradient import SpikeGradient
from ...spikes import Events, Raster, State
from ...values import Values
from .._contracts import Trace
from ..eager.functions import Functions
from ..native.plan import Kept, Key, Matrix, Plan, Wanted, Work
from .loops import Loops
from .products import Dense, Layouts, Product, Sparse
from .runtime import Runtime
from .trains import SpikeLists, Train, blocks

BUDGET = 64 * 2**20  # bytes that are kept for the way back


class Prepared(NamedTuple):
    """A plan without what depends on values, and what computes the values of its prelude."""

    plan: Plan
    prelude: Callable[[Mapping[str, Any], Any], list[Any]]


class Code(NamedTuple):
    """Functions of a plan.

    Arguments:
        plan: What the network does.
        run, back: Make some steps, and go back through them.
        numbers: Numbers that stand in statements.
        single: Values of the prelude that statements multiply tensors by, or add to them.
    """

    plan: Plan
    run: Callable[..., None]
    back: Callable[..., None] | None
    numbers: list[float]
    single: list[int]


class SequenceEngine:
    """A Program as one operation of torch: see `Engine`.

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
        self._prepared: dict[tuple[frozenset[str], tuple[str, ...]], Prepared] = {}
        self._codes: dict[Any, Code] = {}
        self.places: dict[int, Tensor | None] = {}
        self.layouts: dict[tuple[int, torch.device], Layouts] = {}

    def prepared(self, driven: frozenset[str], record: tuple[str, ...]) -> Prepared:
        """Plan of a run; `driven` names what inputs set."""
        key = driven, record
        if key not in self._prepared:
            plan = Plan(self.program, driven, self.constants, self.gradients, record)
            scope = compiled(plan.builder.prelude.text())
            self._prepared[key] = Prepared(plan, scope["prelude"])
        return self._prepared[key]

    def code(self, base: Plan, kept: list[Kept], wanted: Wanted | None) -> Code:
        """Functions of a plan."""
        key = (base.driven, tuple(base.record), tuple(kept), wanted)
        if key not in self._codes:
            self._codes[key] = code_of(base.with_values(kept, wanted))
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
        return Job(self, values, inputs, state, record, progress).trace()


def compiled(text: str) -> dict[str, Any]:
    """What a text defines; tracebacks find its lines."""
    scope: dict[str, Any] = {"torch": torch}
    name = f"<sequence {zlib.crc32(text.encode()):08x}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    exec(compile(text, name, "exec"), scope)
    return scope


def code_of(plan: Plan) -> Code:
    """Generate the functions of a plan."""
    _require_widths(plan)
    loops = Loops(plan)
    scope, numbers = compiled(loops.text()), loops.slots.numbers
    return Code(plan, scope["run"], scope.get("back"), numbers.values, numbers.kept)


def _require_widths(plan: Plan) -> None:
    """Refuse gradients through spikes of which nothing says how wide they are."""
    for work in plan.works:
        slot = work.slot
        if not isinstance(slot, Threshold) or slot.event not in plan.active:
            continue
        compares = work.condition and any(isinstance(x, Margin) for x in leaves(work.condition))
        if compares and slot.event not in plan.driven:
            plan.gradients[slot.event].require_width(slot.owner)


class Border(NamedTuple):
    """What is kept to make steps again.

    Arguments:
        state, draws: Where they start.
        older: Spikes of the steps before them, by event.
    """

    state: State
    draws: Draws
    older: Mapping[str, dict[int, Tensor]]


@dataclass
class Handle:
    """Derivatives by spikes that were read, until the run is gone back through.

    Arguments:
        given: Event to the first step and the derivatives of some steps.
    """

    given: dict[str, list[tuple[int, Tensor]]]


class Job:
    """One run.

    Arguments:
        engine: The network.
        values, inputs, state, record, progress: See `Engine.run`.
    """

    def __init__(
        self,
        engine: SequenceEngine,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool,
    ) -> None:
        self.engine, self.program = engine, engine.program
        self.values, self.inputs, self.given, self.record = values, inputs, state, record
        self.progress, self.dtype, self.device = progress, values.dtype, values.device
        self.first, self.steps, self.batch = state["step"], inputs.steps, inputs.batch_size
        base = engine.prepared(inputs.driven, tuple(record))
        self.context = self._context()
        kept = base.prelude(values.constants(inputs.driven), self.context)
        self.leaves = dict(self._leaves(kept))
        grad = torch.is_grad_enabled()
        wanted = {key for key, x in self.leaves.items() if grad and x.requires_grad}
        known = [self._kept(k, x, wanted) for k, x in enumerate(kept)]
        self.code = engine.code(base.plan, known, self._wanted(wanted) if wanted else None)
        self.plan = self.code.plan
        self.kept = [x.detach() if isinstance(x, Tensor) else x for x in kept]
        self.handle = Handle({})

    # ---- what the run is given

    def _context(self) -> Runtime:
        f = Functions(self.dtype, self.device, self.values.exact)
        indices = {
            k: torch.from_numpy(v.astype(np.int64)).to(self.device)
            for k, v in self.program.indices.items()
        }
        gradients = {k: g.to(self.dtype, self.device) for k, g in self.engine.gradients.items()}
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

    def _leaves(self, kept: Sequence[Any]) -> Iterator[tuple[Key, Tensor]]:
        """Everything that the run computes with, and that may have a gradient."""
        for k, x in enumerate(kept):
            if isinstance(x, Tensor) and x.is_floating_point():
                yield ("kept", str(k)), x
        changing = self.program.written()
        for key, variable in self.program.variables.items():
            changes = key in changing or key in self.inputs.driven
            if changes and variable.kind == "float" and key in self.given:
                yield ("state", key), self.given[key]
        for key, x in self.inputs.arrays.items():
            yield ("input", key), x
        for name in self.program.pathways if torch.is_grad_enabled() else ():
            rows = [events.spikes for events in self.given[f"{name}.history"]]
            if any(x.requires_grad for x in rows):
                yield ("past", name), torch.stack(rows)

    def _kept(self, k: int, x: Any, wanted: set[Key]) -> Kept:
        truth = isinstance(x, bool | np.bool_) or (isinstance(x, Tensor) and x.dtype == torch.bool)
        scalar = not isinstance(x, Tensor) or x.numel() == 1
        return Kept(scalar, "truth" if truth else "real", ("kept", str(k)) in wanted)

    def _wanted(self, wanted: set[Key]) -> Wanted:
        return Wanted(*(
            frozenset(name for kind, name in wanted if kind == which)
            for which in ("state", "input", "past")
        ))  # fmt: skip

    # ---- weights

    def _add_matrices(self) -> None:
        """Weights of pathways that are matrices, as leaves of their own."""
        self.matrices: dict[int, Matrix] = {}
        for work in self.plan.works:
            matrix = self.plan.matrix(work) if isinstance(work.slot, Deliver) else None
            if matrix is None:
                continue
            self.matrices[work.number] = matrix
            place = int(matrix.weight[2:-1])
            weight = self.leaves.get(("kept", str(place)))
            if weight is None:
                weight = torch.as_tensor(self.kept[place], dtype=self.dtype, device=self.device)
            weight = weight.to(self.dtype)
            self.leaves["weights", str(work.number)] = self._weights(work, matrix, weight)

    def _weights(self, work: Work, matrix: Matrix, weight: Tensor) -> Tensor:
        assert isinstance(work.slot, Deliver)
        path = self.program.pathways[work.slot.pathway]
        weight = weight.reshape(-1).expand(len(path.source))
        if matrix.dense is None:
            return weight
        low, width = matrix.dense
        size = path.n_sources * width
        places = self.engine.places
        if work.number not in places:
            post = self.program.indices[matrix.seen_by]
            place = path.source.astype(np.int64) * width + post - low
            complete = len(place) == size and np.array_equal(place, np.arange(size))
            places[work.number] = None if complete else torch.from_numpy(place)
        place = places[work.number]
        if place is None:
            return weight.reshape(path.n_sources, width)
        at = place.to(self.device)
        return weight.new_zeros(size).index_copy(0, at, weight).view(path.n_sources, width)

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
        layouts = self.engine.layouts
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
        owner = event.partition(".")[0]
        raised = any(s.event == event for s in self.program.slots_of(Generate))
        if not raised:
            return None
        generator = self.program.generators[owner]
        slot = next(s for s in self.program.slots_of(Generate) if s.event == event)
        pace = round(slot.clock_dt / self.program.dt)
        steps = -(-(self.first + np.arange(self.steps)) // pace)
        steps = steps % generator.period if generator.period else steps
        low = np.searchsorted(generator.step, steps)
        high = np.searchsorted(generator.step, steps + 1)
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
        if not self.steps:
            return 1
        held = dict(self.state), self.context.draws
        self.context.draws = held[1].copy()
        self._stretch(0, 1, True, recording=False)
        a_step = self._bytes()
        self.state, self.context.draws = held
        if a_step * self.steps <= BUDGET:
            return self.steps
        a_state = sum(x.numel() * x.element_size() for x in self.state.values())
        best = np.sqrt(self.steps * max(a_state, 1) / max(a_step, 1))
        return int(min(max(best, 1), self.steps, max(1, BUDGET // a_step)))

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
        c.by_spike_rows = self._by_spike_rows()
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

    def _by_spike_rows(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for event, parts in self.handle.given.items():
            shape = (self.steps, self.batch, self.plan.events[event])
            made = torch.zeros(shape, dtype=self.dtype, device=self.device)
            for first, by in parts:
                made[first : first + len(by)] += by
            found[event] = made
        self.handle.given.clear()
        return found

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

    def trace(self) -> Trace:
        """Run, and what the run leaves behind."""
        self._add_matrices()
        carrying = [x for x in self.leaves.values() if x.requires_grad and torch.is_grad_enabled()]
        self.names: list[Key] = []
        if carrying:
            outputs = _Run.apply(self, *self.leaves.values())
            made: dict[Key, Tensor] = dict(zip(self.names, outputs, strict=True))
        else:
            with torch.no_grad():
                self.go()
                made = self.results()
        spikes = {n: self._raster(f"{n}.spike", made) for n in self.program.spiking()}
        values = {key: made["trace", key] for key in self.record if ("trace", key) in made}
        for key in self.record:
            if key not in values and self.steps:
                values[key] = self._constant(key)
        return Trace(spikes, values, self._final(made))

    def results(self) -> dict[Key, Tensor]:
        """Values at the end, and traces."""
        made: dict[Key, Tensor] = {("state", key): x.clone() for key, x in self.state.items()}
        for key, rows in self.traces.items():
            if rows:
                made["trace", key] = torch.stack(rows)
                rows.clear()
        return made

    def _raster(self, event: str, made: Mapping[Key, Tensor]) -> Raster:
        shape = (self.steps, self.batch, self.plan.events[event])
        handle, own, like = made.get(("spikes", event)), self.handle, self.given[event].spikes
        if event not in self.spikes:
            return self._given_raster(event, shape)
        lists = self.spikes[event]

        def dense() -> Tensor:
            plain = lists.dense(like.detach())
            return plain if handle is None else _Spikes.apply(handle, plain, own, event, 0)

        return Raster(shape, lists.all, dense)

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

    def _constant(self, key: str) -> Tensor:
        """Trace of a variable that does not change."""
        value = self.values.in_trials(key, self.batch)
        index = self.record[key]
        value = value if index is None else value[:, index]
        return value.expand(self.steps, *value.shape)

    def _final(self, made: Mapping[Key, Tensor]) -> State:
        """The state at the end."""
        state: State = dict(self.given)
        state["step"], state["draws"] = self.first + self.steps, self.context.draws
        for key in self.plan.state:
            if ("state", key) in made:
                state[key] = made["state", key]
        if not self.steps:
            return state
        for event in self.plan.events:
            state[event] = self._events(event, self.steps - 1, made)
        for name, path in self.program.pathways.items():
            slot = next(s for s in self.program.slots_of(Deliver) if s.pathway == name)
            later = slot.every if self.plan.later(slot) else 0
            ago = range(1, min(self.steps, path.max_delay) + 1)
            rows = [self._events(slot.event, self.steps - n - later, made) for n in ago]
            state[f"{name}.history"] = (*rows, *self.given[f"{name}.history"])[: path.max_delay]
        return state

    def _events(self, event: str, k: int, made: Mapping[Key, Tensor]) -> Events:
        """Events of one step."""
        if k < 0:
            return self.given[event]
        if event in self.inputs.arrays:
            return Events.of(self.inputs.arrays[event][k].expand(self.batch, -1))
        train = self.trains[event]
        row = train.row(k) if train.knows(k) else self.spikes[event].dense(train.before)[k]
        if event not in self.spikes:
            return Events.of(row)
        trial, index = self.spikes[event].of_step(k)
        handle, spikes = made.get(("spikes", event)), row.clone()
        if handle is not None:
            spikes = _Spikes.apply(handle, spikes[None], self.handle, event, k)[0]
        return Events(spikes, trial, index)


def _fitted(by: Tensor, x: Tensor) -> Tensor:
    """A derivative in the shape and type of what it belongs to."""
    if by.shape == x.shape:
        return by.to(x.dtype)
    if by.numel() == x.numel():
        return by.reshape(x.shape).to(x.dtype)
    return by.sum_to_size(x.shape).to(x.dtype)


class _Run(torch.autograd.Function):
    """A run: from values of the prelude, the state and inputs to the state and traces."""

    @staticmethod
    def forward(ctx: Any, job: Job, *leaves: Tensor) -> tuple[Tensor, ...]:
        job.go()
        made = job.results()
        active = job.plan.active
        for event in job.spikes:
            if event in active:
                made["spikes", event] = torch.zeros((), dtype=job.dtype, device=job.device)
        job.names = list(made)
        ctx.job = job
        ctx.set_materialize_grads(False)
        fixed = [x for key, x in made.items() if not job.plan.has_gradient(key)]
        ctx.mark_non_differentiable(*fixed)
        return tuple(made.values())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        job: Job = ctx.job
        found = job.back(dict(zip(job.names, grads, strict=True)))
        return (None, *(found.get(key) for key in job.leaves))


class _Spikes(torch.autograd.Function):
    """Spikes of some steps as zeros and ones; their gradient waits for that of the run."""

    @staticmethod
    def forward(
        ctx: Any, handle: Tensor, plain: Tensor, waiting: Handle, event: str, first: int
    ) -> Tensor:
        ctx.waiting, ctx.event, ctx.first = waiting, event, first
        return plain

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        ctx.waiting.given.setdefault(ctx.event, []).append((ctx.first, grads[0]))
        return torch.zeros((), dtype=grads[0].dtype, device=grads[0].device), None, None, None, None
