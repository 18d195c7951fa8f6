"""The native engine: a run of many steps, and the way back through it, as compiled C.

Forward, the code loops over time and lists spikes. Backward, it goes through the same steps in
reverse: what each step replaced was kept, so that the state of every step is there again. Where
that would take too much memory, only the state at some steps is kept, and the steps in between are
made again.
"""

import ctypes
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mirrorneuron._progress import progress_bar
from mirrorneuron.errors import BuildError

from ...compile_c import library
from ...draws import Draws
from ...finite import CHUNK, require_finite
from ...inputs import Inputs
from ...lower.condition import Margin, leaves
from ...lower.margin import MARGIN
from ...program import Deliver, Program, Threshold
from ...spike_gradient import SpikeGradient
from ...spikes import Events, Raster, State
from ...values import Values
from .._contracts import Trace
from ..eager.functions import Functions
from ..eager.runtime import Context
from .c_text import Kind
from .plan import Kept, Key, Matrix, Plan, Wanted
from .source import Source, source

SHARD = 32
BUDGET = 64 * 2**20
TAPE = {"adjoint", "before", "margin", "speed", "slopes", "shares"}
PART = 2**18  # numbers whose derivatives are found at once
LARGE = 2**18  # characters of a program that would take long to optimise
ON_X86 = platform.machine() in ("x86_64", "AMD64")
MACHINE = ("-march=native", "-mprefer-vector-width=512") if ON_X86 else ("-mcpu=native",)
FLAGS = (*MACHINE, "-fPIC", "-shared", "-std=gnu11", "-fno-math-errno", "-w",
         "-fno-trapping-math", "-fopenmp-simd", "-lm")  # fmt: skip
EXACT = ("-ffp-contract=off",)
REMEDY = "write mirror(net, backend='eager')"
STREAM = np.dtype(
    [("key", np.uint32, 624), ("pos", np.int32), ("has_gauss", np.int32), ("gauss", np.float64)]
)
TORCH = {
    "real": None, "float": torch.float32, "double": torch.float64, "unsigned char": torch.uint8,
    "int": torch.int32, "long": torch.int64,
}  # fmt: skip

FIXED = {"index", "start", "synapse", "delays", "column", "table", "product", "slope_width",
         "slope_gain", "slope_each", "below", "share"}  # fmt: skip


class Prepared(NamedTuple):
    """A plan without what depends on values, and what computes the values of its prelude."""

    plan: Plan
    prelude: Callable[[Mapping[str, Any], Any], list[Any]]


class Code(NamedTuple):
    """A compiled program, and the arrays that are the same in every run."""

    source: Source
    library: ctypes.CDLL
    fixed: dict[Key, Any]


class NativeEngine:
    """A Program as compiled C: see `Engine`.

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

    def prepared(self, driven: frozenset[str], record: tuple[str, ...]) -> Prepared:
        """Plan of a run; `driven` names what inputs set."""
        key = driven, record
        if key not in self._prepared:
            plan = Plan(self.program, driven, self.constants, self.gradients, record)
            scope: dict[str, Any] = {}
            exec(plan.builder.prelude.text(), scope)
            self._prepared[key] = Prepared(plan, scope["prelude"])
        return self._prepared[key]

    def code(self, base: Plan, kept: list[Kept], wanted: Wanted | None, single: bool) -> Code:
        """The compiled program of a plan."""
        key = (base.driven, tuple(base.record), tuple(kept), wanted, single)
        if key not in self._codes:
            plan = base.with_values(kept, wanted)
            self._require_widths(plan)
            made = source(plan, single)
            level = "-O3" if len(made.text) < LARGE else "-O2"
            flags = (level, *FLAGS) if single else (level, *EXACT, *FLAGS)
            made_library = library(made.text, flags, "native", REMEDY)
            _declare(made_library)
            self._codes[key] = Code(made, made_library, {})
        return self._codes[key]

    def _require_widths(self, plan: Plan) -> None:
        """Refuse gradients through spikes of which nothing says how wide they are."""
        for work in plan.works:
            slot = work.slot
            if not isinstance(slot, Threshold) or slot.event not in plan.active:
                continue
            compares = work.condition and any(isinstance(x, Margin) for x in leaves(work.condition))
            if compares and slot.event not in plan.driven:
                plan.gradients[slot.event].require_width(slot.owner)

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


def _declare(made: ctypes.CDLL) -> None:
    long, pointer = ctypes.c_long, ctypes.c_void_p
    made.shard_new.argtypes, made.shard_new.restype = [long, long, long], pointer
    made.shard_events.argtypes, made.shard_events.restype = [pointer, long], pointer
    made.shard_start.argtypes, made.shard_start.restype = [pointer, long], pointer
    made.shard_begin.argtypes = [pointer, long, pointer, pointer]
    for name in ("shard_free", "shard_failed", "shard_rewind", "shard_free_undo"):
        getattr(made, name).argtypes = [pointer]
    for name in ("run", "back_through", "finish"):
        if hasattr(made, name):
            getattr(made, name).argtypes = [pointer, pointer, *[long] * 6, ctypes.c_int]


class Job:
    """One run.

    Arguments:
        engine: The network.
        values, inputs, state, record, progress: See `Engine.run`.
    """

    def __init__(
        self,
        engine: NativeEngine,
        values: Values,
        inputs: Inputs,
        state: State,
        record: Mapping[str, Tensor | None],
        progress: bool,
    ) -> None:
        self.engine, self.program = engine, engine.program
        self.values, self.inputs, self.given, self.record = values, inputs, state, record
        self.progress, self.dtype = progress, values.dtype
        self.first, self.steps, self.batch = state["step"], inputs.steps, inputs.batch_size
        base = engine.prepared(inputs.driven, tuple(record))
        self.plan = base.plan
        kept = base.prelude(values.constants(inputs.driven), self._context())
        self.leaves = dict(self._leaves(kept))
        grad = torch.is_grad_enabled()
        wanted = {key for key, x in self.leaves.items() if grad and x.requires_grad}
        known = [self._kept(k, x, wanted) for k, x in enumerate(kept)]
        self.single = values.dtype == torch.float32
        self.code = engine.code(
            self.plan, known, self._wanted(wanted) if wanted else None, self.single
        )
        self.plan = self.code.source.plan
        self.library, self.arrays = self.code.library, self.code.source.arrays.types
        self.held: dict[Key, Any] = {}
        self.given_spikes: dict[str, list[tuple[int, Tensor]]] = {}
        self.shards: list[int] = []
        self._freed = False
        self._lists: dict[tuple[int, int], tuple[Any, Any]] = {}
        self._listed: dict[str, tuple[Any, Any, Any]] = {}

    # ---- what the run is given

    def _context(self) -> Context:
        f = Functions(self.dtype, self.values.device, self.values.exact)
        indices = {k: torch.from_numpy(v) for k, v in self.program.indices.items()}
        return Context(self.program, f, {}, {}, {}, indices, {}, Draws(0, 0), {}, self.values)

    def _leaves(self, kept: Sequence[Any]) -> Iterator[tuple[Key, Tensor]]:
        """Everything that the code computes with, and that may have a gradient."""
        for k, x in enumerate(kept):
            yield ("kept", str(k)), self._tensor(x)
        for key, variable in self.plan.state.items():
            if variable.kind == "float" and key in self.given:
                yield ("state", key), self.given[key]
        for key, x in self.inputs.arrays.items():
            yield ("input", key), x
        for name in self.program.pathways if torch.is_grad_enabled() else ():
            rows = [events.spikes for events in self.given[f"{name}.history"]]
            if any(x.requires_grad for x in rows):
                yield ("past", name), torch.stack(rows)

    def _tensor(self, x: Any) -> Tensor:
        if isinstance(x, Tensor):
            return x
        dtype = torch.bool if isinstance(x, bool | np.bool_) else self.dtype
        return torch.tensor(x, dtype=dtype)

    def _kept(self, k: int, x: Any, wanted: set[Key]) -> Kept:
        value = self._tensor(x)
        kind: Kind = "truth" if value.dtype == torch.bool else "real"
        return Kept(value.numel() == 1, kind, ("kept", str(k)) in wanted)

    def _wanted(self, wanted: set[Key]) -> Wanted:
        return Wanted(
            frozenset(name for kind, name in wanted if kind == "state"),
            frozenset(name for kind, name in wanted if kind == "input"),
            frozenset(name for kind, name in wanted if kind == "past"),
        )

    # ---- arrays

    def real(self, *shape: int) -> Tensor:
        """An array of zeros."""
        return torch.zeros(shape, dtype=self.dtype)

    @cached_property
    def shard_bounds(self) -> list[tuple[int, int]]:
        """First trial of each shard and the one after its last."""
        return [(b, min(b + SHARD, self.batch)) for b in range(0, self.batch, SHARD)]

    def allocate(self) -> None:
        """Make the arrays of the run."""
        self.tape = self.plan.wanted is not None
        self.length = self._length() if self.tape else 1
        fixed = self.code.fixed
        for key, ctype in self.arrays.items():
            if key[0] in FIXED and key not in fixed:
                fixed[key] = self._array(key, ctype)
            made = fixed[key] if key in fixed else self._array(key, ctype)
            if made is not None:
                self.held[key] = made
        self._point()

    def _point(self) -> None:
        keys = list(self.arrays)
        self.pointers = (ctypes.c_void_p * max(1, len(keys)))()
        for k, key in enumerate(keys):
            self.pointers[k] = self._address(key)

    def _address(self, key: Key) -> int | None:
        held = self.held.get(key)
        if held is None:
            return None
        if isinstance(held, int):
            return held
        return held.ctypes.data if isinstance(held, np.ndarray) else held.data_ptr()

    def _length(self) -> int:
        """Steps of which what was replaced is kept at once."""
        a_step = sum(self._per_step(key) for key in self.arrays)
        if a_step * self.steps <= BUDGET or not self.steps:
            return max(1, self.steps)
        a_state = sum(x.numel() * x.element_size() for x in self._states().values())
        best = np.sqrt(self.steps * max(a_state, 1) / a_step)
        return int(min(max(best, 1), self.steps, max(1, BUDGET // a_step)))

    def _states(self) -> dict[str, Tensor]:
        return {key: self.given[key] for key in self.plan.state if key in self.given}

    def _per_step(self, key: Key) -> int:
        """Bytes that are kept of each step."""
        match key:
            case ("before", _, name):
                size = self.program.variables[name].value.size
                return self.batch * size * (TORCH[self.arrays[key]] or self.dtype).itemsize
            case ("drawn", name, _):
                return self.batch * self._slot(name).size * self.dtype.itemsize
            case ("margin" | "speed" | "slopes" | "shares", event):
                return self.batch * self.plan.events[event] * self.dtype.itemsize
            case _:
                return 0

    def _slot(self, name: str) -> Any:
        slots = [*self.program.slots, *self.program.values.values()]
        return next(slot for slot in slots if slot.name == name)

    def _array(self, key: Key, ctype: str) -> Any:
        dtype = TORCH.get(ctype) or self.dtype
        program, batch = self.program, self.batch
        match key:
            case ("state", name):
                value = self.given.get(name)
                if value is None:
                    value = self.values.in_trials(name, batch)
                value = value.detach().to(torch.uint8) if dtype == torch.uint8 else value.detach()
                return value.to(dtype).expand(batch, -1).contiguous().clone()
            case ("kept", k):
                return self.leaves["kept", k].detach().to(dtype).contiguous()
            case ("weights" | "dense", _):
                return self.leaves[key].detach().contiguous()
            case ("dense_turned", number):
                work = self.plan.works[int(number)]
                matrix = self.plan.matrix(work)
                assert matrix is not None and matrix.dense is not None
                full = self.leaves["dense", number].detach().view(-1, matrix.dense[1])
                return full.t().contiguous()
            case ("input", name):
                return self.inputs.arrays[name].detach().to(self.dtype).contiguous()
            case ("rows", name):
                return np.array([self.inputs.arrays[name].shape[1]])
            case ("width", name):
                return np.array([self.inputs.arrays[name].shape[2]])
            case ("gain", name):
                return np.array([self.inputs.gains.get(name, -1.0)])
            case ("row" | "by_row", name):
                return self.real(batch, self.inputs.arrays[name].shape[2])
            case ("index", name):
                return program.indices[name].astype(np.int32)
            case ("start", name):
                return self.plan.orders[name].start
            case ("synapse", name):
                return self.plan.orders[name].synapse
            case ("delays", name):
                return np.array([*self.plan.orders[name].delays, 0], np.int64)
            case ("column", number):
                work = self.plan.works[int(number)]
                matrix = self.plan.matrix(work)
                assert matrix is not None and isinstance(work.slot, Deliver)
                order = self.plan.orders[work.slot.pathway]
                return program.indices[matrix.seen_by][order.synapse].astype(np.int32)
            case ("executed", every):
                ticks = self.first + np.arange(max(1, self.steps))
                before = -(-self.first // int(every))
                return np.maximum(ticks // int(every) - before, 0).astype(np.int64)
            case ("past_start" | "past_index", name):
                return self._past(name)[key[0] == "past_index"]
            case ("given_start" | "given_index", owner):
                return self._generated(owner)[key[0] == "given_index"]
            case ("streams",):
                return self._streams()
            case ("table", name):
                return np.ascontiguousarray(program.tables[name].values, dtype=float)
            case ("chosen", name):
                index = self.record[name]
                size = self._recorded_size(name)
                return np.arange(size) if index is None else index.cpu().numpy() % size
            case ("recorded", name):
                return np.array([len(self._array(("chosen", name), "long"))])
            case ("trace", name):
                width = len(self._array(("chosen", name), "long"))
                made = torch.zeros(self.steps, batch, width, dtype=dtype)
                return made.fill_(-torch.inf) if name.endswith(MARGIN) else made
            case ("before", _, name):
                size = self.program.variables[name].value.size
                return torch.empty(self.length, batch, size, dtype=dtype)
            case ("drawn", name, _):
                return torch.empty(self.length, batch, self._slot(name).size, dtype=self.dtype)
            case ("margin" | "speed", event):
                return torch.empty(self.length, batch, self.plan.events[event], dtype=self.dtype)
            case ("below" | "share", event):
                return self._reset(event)[key[0]]
            case ("product",):
                return _product(self.single)
            case ("slope_width" | "slope_gain" | "slope_each", event):
                return self._slope(event)[key[0]]
            case _:
                return None

    def _recorded_size(self, name: str) -> int:
        values, variables = self.program.values, self.program.variables
        return values[name].size if name in values else variables[name].value.size

    def _slope(self, event: str) -> dict[str, Any]:
        made = self._gradient(event)
        kept = made.gain
        if made.reset is not None and not made.needs_speed:
            kept = (
                torch.as_tensor(kept, dtype=self.dtype)
                / made.passage(self.real(1), self.real(1))[1]
            )
        width, gain = (
            torch.as_tensor(x, dtype=self.dtype).reshape(-1).contiguous()
            for x in (made.width, kept)
        )
        each = np.array([len(width) > 1, len(gain) > 1], np.int64)
        return {"slope_width": width, "slope_gain": gain, "slope_each": each}

    def _reset(self, event: str) -> dict[str, Tensor]:
        """How far below threshold an upstroke begins, and how deep a reset counts."""
        made, size = self._gradient(event), self.plan.events[event]
        reset = made.reset
        assert reset is not None
        below = self.real(1) if reset.upstroke is None else reset.upstroke.begins / reset.rate
        share = self.real(1) if made.needs_speed else made.passage(self.real(1), self.real(1))[1]
        found = {"below": below, "share": share}
        return {k: x.reshape(-1).to(self.dtype).expand(size).contiguous() for k, x in found.items()}

    def _gradient(self, event: str) -> SpikeGradient:
        return self.engine.gradients[event].to(self.dtype, torch.device("cpu"))

    def _past(self, name: str) -> tuple[Any, Any]:
        """Spikes on their way when the run starts, newest first."""
        events: tuple[Events, ...] = self.given[f"{name}.history"]
        counts = [np.bincount(e.batch, minlength=self.batch) for e in events]
        start = np.concatenate([[0], *np.cumsum(np.concatenate(counts))[None]]) if counts else [0]
        index = [e.index[np.argsort(e.batch, kind="stable")] for e in events]
        joined = np.concatenate([*index, [0]]).astype(np.int32)
        return np.asarray(start, np.int64), joined

    def _generated(self, owner: str) -> tuple[Any, Any]:
        """Given spikes of each step."""
        generator = self.program.generators[owner]
        slot = next(s for s in self.program.slots if s.owner == owner)
        pace = round(slot.clock_dt / self.program.dt)
        steps = -(-(self.first + np.arange(self.steps)) // pace)
        steps = steps % generator.period if generator.period else steps
        low = np.searchsorted(generator.step, steps)
        high = np.searchsorted(generator.step, steps + 1)
        start = np.concatenate([[0], np.cumsum(high - low)]).astype(np.int64)
        index = [generator.index[a:b] for a, b in zip(low, high, strict=True)]
        return start, np.concatenate([*index, [0]]).astype(np.int32)

    def _streams(self) -> Any:
        made = np.zeros(self.batch, STREAM)
        for row, stream in zip(made, self.given["draws"].streams, strict=True):
            _, row["key"], row["pos"], row["has_gauss"], row["gauss"] = stream.get_state()
        return made

    # ---- forward

    def go(self) -> None:
        """Make all steps."""
        self.allocate()
        for low, high in self.shard_bounds:
            shard = self.library.shard_new(low, high, self.steps)
            if not shard:
                raise _no_memory()
            self.shards.append(shard)
        for k, event in enumerate(self.plan.events):
            before: Events = self.given[event]
            counts = np.bincount(before.batch, minlength=self.batch)
            start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            index = before.index[np.argsort(before.batch, kind="stable")].astype(np.int32)
            for shard in self.shards:
                self.library.shard_begin(shard, k, start.ctypes.data, index.ctypes.data)
        self.whole = self.tape and self.length >= self.steps
        self.borders: list[dict[Key, Any]] = []
        state_of = self._states_held
        shown = progress_bar(total=self.steps, shown=self.progress, desc="mirror", unit="step")
        for low in range(0, self.steps, CHUNK):
            for t0, t1 in self._pieces(low, min(low + CHUNK, self.steps)):
                if self.tape and t0 % self.length == 0:
                    self.borders.append(state_of())
                self._call("run", t0, t1, 0, self.whole)
            require_finite(self._present(), min(low + CHUNK, self.steps) - 1, self.program.dt)
            shown.update(min(CHUNK, self.steps - low))
        shown.close()
        self.spent = not self.whole

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

    def _states_held(self) -> dict[Key, Any]:
        kinds = ("state", "streams")
        held = {key: x for key, x in self.held.items() if key[0] in kinds}
        return {k: x.clone() if isinstance(x, Tensor) else x.copy() for k, x in held.items()}

    def _present(self) -> dict[str, Tensor]:
        return {key[1]: x for key, x in self.held.items() if key[0] == "state"}

    def _call(self, name: str, t0: int, t1: int, base: int, tape: bool) -> None:
        function = getattr(self.library, name)

        def one(k: int) -> int:
            return function(
                ctypes.addressof(self.pointers), self.shards[k], k, t0, t1, self.first,
                self.batch, base, int(tape),
            )  # fmt: skip

        count = len(self.shards)
        if count > 1 and torch.get_num_threads() > 1:
            failed = any(_pool(torch.get_num_threads()).map(one, range(count)))
        else:
            failed = max(one(k) for k in range(count)) > 0
        if failed:
            raise _no_memory()

    # ---- backward

    def back(self, grads: Mapping[Key, Tensor | None]) -> dict[Key, Tensor]:
        """Derivatives by the leaves that want one."""
        plan, batch = self.plan, self.batch
        assert plan.wanted is not None
        for key, ctype in self.arrays.items():
            self._array_back(key, ctype, grads)
        self._point()
        length = self.length
        for low in range(0, self.steps, length)[::-1]:
            high = min(low + length, self.steps)
            if self.spent:
                self._remake(low, high)
            self._find_slopes(high - low)
            self._call("back_through", low, high, low if not self.whole else 0, True)
        self._call("finish", 0, 0, 0, True)
        self.spent = True
        found: dict[Key, Tensor] = {}
        for key, x in self.leaves.items():
            if not x.requires_grad:
                continue
            match key:
                case ("kept", k):
                    by = self.held.get(("by_kept", k))
                    found[key] = self._summed(by, x)
                case ("weights" | "dense", number):
                    by = self.held.get((f"by_{key[0]}", number))
                    found[key] = self._summed(by, x)
                case ("state", name):
                    by = self.held.get(("adjoint", name))
                    found[key] = self._summed(None if by is None else by[None], x)
                case ("input", name):
                    by = self.held.get(("by_input", name))
                    if by is not None and x.shape[1] == 1 and batch > 1:
                        by = by.sum(1, keepdim=True)
                    found[key] = self._summed(None if by is None else by[None], x)
                case ("past", name):
                    by = self.held.get(("by_past", name))
                    found[key] = self._summed(None if by is None else by[None], x)
                case _:
                    pass
        for key in [k for k in self.held if k[0].startswith("by_") or k[0] in TAPE]:
            del self.held[key]
        for shard in self.shards:
            self.library.shard_free_undo(shard)
        return found

    def _find_slopes(self, steps: int) -> None:
        """Derivatives of the spikes that depend on a velocity, and how deep their resets count."""
        for event in self.plan.speeds:
            if ("slopes", event) not in self.held:
                continue
            gradient, size = self._gradient(event), self.plan.events[event]
            rows = max(1, PART // size)
            given = (self.held[kind, event][:steps].view(-1, size) for kind in ("margin", "speed"))
            made = (self.held[kind, event][:steps].view(-1, size) for kind in ("slopes", "shares"))
            parts = zip(*(x.split(rows) for x in (*given, *made)), strict=True)
            for margin, speed, slope, share in parts:
                found = gradient.passage(margin, torch.nan_to_num(speed))
                slope.copy_(found[0])
                share.copy_(found[1].expand_as(share))

    def _summed(self, by: Tensor | None, x: Tensor) -> Tensor:
        if by is None:
            return torch.zeros_like(x)
        return by.sum(0).to(x.dtype).reshape(x.shape)

    def _remake(self, low: int, high: int) -> None:
        """Make some steps again, and keep what goes back needs."""
        for key, x in self.borders[low // self.length].items():
            if isinstance(x, Tensor):
                self.held[key].copy_(x)
            else:
                self.held[key][...] = x
        for shard in self.shards:
            self.library.shard_rewind(shard)
        traces = {k: self.held.pop(k) for k in list(self.held) if k[0] == "trace"}
        self.held |= {k: x.clone() for k, x in traces.items()} if traces else {}
        self._point()
        self._call("run", low, high, 0 if self.whole else low, True)
        self.held |= traces

    def _array_back(self, key: Key, ctype: str, grads: Mapping[Key, Tensor | None]) -> None:
        """Arrays that only the way back needs."""
        batch, steps, shards = self.batch, self.steps, len(self.shards)
        match key:
            case ("adjoint", name):
                given = grads.get(("state", name))
                size = self.program.variables[name].value.size
                made = self.real(batch, size) if given is None else given.contiguous().clone()
                self.held[key] = made
            case ("before" | "margin" | "speed", *_) if key not in self.held:
                self.held[key] = self._array(key, ctype)
            case ("slopes" | "shares", event):
                self.held[key] = self.real(self.length, batch, self.plan.events[event])
            case ("by_event", event):
                self.held[key] = self.real(self.plan.depth(event), batch, self.plan.events[event])
            case ("by_spikes", event):
                self.held.pop(key, None)
                parts = self.given_spikes.pop(event, [])
                if parts:
                    made = self.real(steps, batch, self.plan.events[event])
                    for first, by in parts:
                        made[first : first + len(by)] += by
                    self.held[key] = made
                self.held["has_spikes", event] = np.array([bool(parts)], np.int64)
            case ("by_past", name):
                path = self.program.pathways[name]
                self.held[key] = self.real(path.max_delay, batch, path.n_sources)
            case ("by_input", name):
                self.held[key] = self.real(steps, batch, self.inputs.arrays[name].shape[2])
            case ("by_row", _):
                self.held[key] = self._array(key, ctype)
            case ("by_trace", name):
                given = grads.get(("trace", name))
                self.held.pop(key, None)
                if given is not None:
                    self.held[key] = given.to(self.dtype).contiguous()
                self.held["has_trace", name] = np.array([given is not None], np.int64)
            case ("by_kept", k):
                known = self.plan.kept[int(k)]
                if known.scalar:
                    self.held[key] = torch.zeros(shards, 1, dtype=torch.float64)
                else:
                    self.held[key] = self.real(shards, self.leaves["kept", k].numel())
            case ("by_weights" | "by_dense", number):
                self.held[key] = self.real(shards, self.leaves[key[0][3:], number].numel())
            case _:
                pass

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
        spikes = {
            name: self._raster(f"{name}.spike", made) for name in self.program.spiking()
        }  # fmt: skip
        values = {key: made["trace", key] for key in self.record if ("trace", key) in made}
        for key in self.record:
            if key not in values and self.steps:
                values[key] = self._constant(key)
        state = self._final(made)
        if not carrying:
            self._copy_lists()
            self.release()
        return Trace(spikes, values, state)

    def _add_matrices(self) -> None:
        """Weights in the order in which they are served, or as full matrices."""
        for key in self.arrays:
            match key:
                case ("weights" | "dense" as form, number):
                    work = self.plan.works[int(number)]
                    matrix = self.plan.matrix(work)
                    assert matrix is not None and isinstance(work.slot, Deliver)
                    order = self.plan.orders[work.slot.pathway]
                    weight = self.leaves["kept", matrix.weight[2:-1]].to(self.dtype)
                    if form == "weights":
                        self.leaves[key] = self._served(number, weight, order)
                    else:
                        self.leaves[key] = self._full(number, weight, order, matrix)
                case _:
                    pass

    def _full(self, number: str, weight: Tensor, order: Any, matrix: Matrix) -> Tensor:
        """Weights as a full matrix, "source target"; zero where there is no synapse."""
        low, width = matrix.dense or (0, 0)
        size = order.pathway.n_sources * width
        fixed, key = self.code.fixed, ("places", number)
        if key not in fixed:
            index = self.program.indices[matrix.seen_by]
            place = order.pathway.source.astype(np.int64) * width + index - low
            complete = len(place) == size and bool(np.array_equal(place, np.arange(size)))
            fixed[key] = None if complete else torch.from_numpy(place)
        place = fixed[key]
        if place is None:
            return weight.expand(size).contiguous()
        return weight.new_zeros(size).index_copy(0, place, weight.expand(len(place)))

    def _served(self, number: str, weight: Tensor, order: Any) -> Tensor:
        """Weights in the order in which synapses are served."""
        fixed, key = self.code.fixed, ("served", number)
        if key not in fixed:
            served = order.synapse.astype(np.int64)
            complete = bool(np.array_equal(served, np.arange(len(served))))
            fixed[key] = None if complete else torch.from_numpy(served)
        return weight if fixed[key] is None else weight[fixed[key]]

    def results(self) -> dict[Key, Tensor]:
        """Values at the end, and traces."""
        made = {key: x.clone() for key, x in self.held.items() if key[0] == "state"}
        made |= {key: x for key, x in self.held.items() if key[0] == "trace"}
        for key in list(made):
            if self.arrays[key] == "unsigned char":
                made[key] = made[key].bool()
        return made

    def listed(self, event: str) -> tuple[Any, Any, Any]:
        """Steps, trials and elements of the events of all steps."""
        if event not in self._listed:
            self._listed[event] = self.events_between(event, 0, self.steps)
        return self._listed[event]

    def events_between(self, event: str, low: int, high: int) -> tuple[Any, Any, Any]:
        """Steps, trials and elements of the events of some steps, in order."""
        found: list[tuple[Any, Any, Any]] = []
        k = list(self.plan.events).index(event)
        for number, (first, last) in enumerate(self.shard_bounds):
            width = last - first
            start, index = self._list(k, number)
            start = start[(low + 1) * width : (high + 1) * width + 1]
            index = index[start[0] : start[-1]]
            row = np.repeat(np.arange(len(start) - 1), np.diff(start))
            found.append((row // width + low, row % width + first, index.astype(np.int64)))
        if len(found) == 1:
            return found[0]
        steps, trials, index = (np.concatenate(x) for x in zip(*found, strict=True))
        order = np.argsort(steps, kind="stable")
        return steps[order], trials[order], index[order]

    def _list(self, k: int, number: int) -> tuple[Any, Any]:
        """Where the spikes of each step and trial start in a shard's list of an event, and it."""
        if (k, number) in self._lists:
            return self._lists[k, number]
        (low, high), shard = self.shard_bounds[number], self.shards[number]
        size = (self.steps + 1) * (high - low) + 1
        start = _seen(self.library.shard_start(shard, k), size, np.int64)
        return start, _seen(self.library.shard_events(shard, k), int(start[-1]), np.int32)

    def _raster(self, event: str, made: Mapping[Key, Tensor]) -> Raster:
        shape = (self.steps, self.batch, self.plan.events[event])
        handle = made.get(("spikes", event))
        given = self.inputs.arrays.get(event)

        def dense() -> Tensor:
            if given is not None:
                return given.expand(shape)
            plain = self._dense(event, 0, self.steps)
            return plain if handle is None else _Spikes.apply(handle, plain, self, event, 0)

        return Raster(shape, lambda: self.listed(event), dense)

    def _dense(self, event: str, low: int, high: int) -> Tensor:
        """Spikes of some steps as zeros and ones."""
        step, trial, index = self.events_between(event, low, high)
        made = torch.zeros(high - low, self.batch, self.plan.events[event], dtype=self.dtype)
        place = ((step - low) * self.batch + trial) * made.shape[2] + index
        made.view(-1)[torch.from_numpy(place)] = 1
        return made

    def _constant(self, key: str) -> Tensor:
        """Trace of a variable that does not change."""
        value = self.values.in_trials(key, self.batch)
        index = self.record[key]
        value = value if index is None else value[:, index]
        return value.expand(self.steps, *value.shape)

    def _final(self, made: Mapping[Key, Tensor]) -> State:
        """The state at the end."""
        state: State = dict(self.given)
        state["step"] = self.first + self.steps
        for key in self.plan.state:
            if ("state", key) in made:
                state[key] = made["state", key]
        if ("streams",) in self.held:
            for row, stream in zip(self.held["streams",], state["draws"].streams, strict=True):
                held = (row["key"], int(row["pos"]), int(row["has_gauss"]), float(row["gauss"]))
                stream.set_state(("MT19937", *held))
        for event in self.plan.events:
            every = self.program.every(event)
            last = (self.first + self.steps - 1) // every * every - self.first
            if last >= 0:
                state[event] = self._events(event, last, made)
        for name, path in self.program.pathways.items():
            state[f"{name}.history"] = self._history(name, path.max_delay, made)
        return state

    def _events(self, event: str, step: int, made: Mapping[Key, Tensor]) -> Events:
        """Events of one step."""
        _, trial, index = self.events_between(event, step, step + 1)
        given = self.inputs.arrays.get(event)
        if given is not None:
            spikes = given[step].expand(self.batch, -1)
        else:
            spikes = self._dense(event, step, step + 1)[0]
            handle = made.get(("spikes", event))
            if handle is not None:
                spikes = _Spikes.apply(handle, spikes[None], self, event, step)[0]
        return Events(spikes, trial, index)

    def _history(self, name: str, longest: int, made: Mapping[Key, Tensor]) -> tuple[Events, ...]:
        """Events on their way, newest first."""
        slot = next(s for s in self.program.slots_of(Deliver) if s.pathway == name)
        executed = [t for t in range(self.steps) if (self.first + t) % slot.every == 0]
        later = slot.every if self.plan.later(slot) else 0
        rows: list[Events] = []
        for t in executed[::-1][:longest]:
            rows.append(
                self._events(slot.event, t - later, made) if t >= later else self.given[slot.event]
            )
        rows += self.given[f"{name}.history"]
        return tuple(rows[:longest])

    def _copy_lists(self) -> None:
        """Spikes for those who read the recording when the memory of the C code is gone."""
        for k in range(len(self.plan.events)):
            for number in range(len(self.shards)):
                start, index = self._list(k, number)
                self._lists[k, number] = (start.copy(), index.copy())

    def release(self) -> None:
        """Give the memory of the C code back."""
        if not self._freed:
            self._freed = True
            for shard in self.shards:
                self.library.shard_free(shard)

    def __del__(self) -> None:
        if hasattr(self, "_freed"):
            self.release()


class _Run(torch.autograd.Function):
    """A run: from values of the prelude, the state and inputs to the state and traces."""

    @staticmethod
    def forward(ctx: Any, job: Job, *leaves: Tensor) -> tuple[Tensor, ...]:
        job.go()
        made = job.results()
        active = job.plan.active
        for event in job.plan.events:
            if event in active and event not in job.plan.driven:
                made["spikes", event] = torch.zeros((), dtype=job.dtype)
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
        ctx: Any, handle: Tensor, plain: Tensor, job: Job, event: str, first: int
    ) -> Tensor:
        ctx.job, ctx.event, ctx.first = job, event, first
        return plain

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        ctx.job.given_spikes.setdefault(ctx.event, []).append((ctx.first, grads[0]))
        return torch.zeros((), dtype=grads[0].dtype), None, None, None, None


def _seen(address: int | None, n: int, dtype: Any) -> Any:
    """An array of the C code, as long as it is there."""
    if not n or not address:
        return np.empty(0, dtype)
    ctype = np.ctypeslib.as_ctypes_type(dtype)
    return np.ctypeslib.as_array((ctype * n).from_address(address))


def _no_memory() -> BuildError:
    return BuildError(
        "run(...): there is not enough memory for the spikes of the run, or for what the gradient"
        " needs of its steps. Run fewer trials at once, or a shorter time."
    )


@cache
def _product(single: bool) -> int | None:
    """Address of the matrix product of the BLAS library that torch has, or scipy."""
    name = "sgemm" if single else "dgemm"
    folder = Path(torch.__file__).parent / "lib"
    for file in folder.glob("libtorch_cpu.*"):
        try:
            found = getattr(ctypes.CDLL(str(file)), f"{name}_")
        except (OSError, AttributeError):
            continue
        return ctypes.cast(found, ctypes.c_void_p).value
    try:
        from scipy.linalg import cython_blas  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError:
        return None
    capsule = cython_blas.__pyx_capi__[name]
    title, pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    title.restype, title.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer(capsule, title(capsule))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="mirrorneuron")


os.register_at_fork(after_in_child=_pool.cache_clear)
