"""Arrays: what compiled code is given in a run, by the key under which it asks."""

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...lower.margin import MARGIN
from ...program import Array, Deliver, Slot
from ...spike_gradient import SpikeGradient
from ...spikes import Events
from .._plan import Key, Matrix, Plan, Work
from .._planned_run import PlannedRun
from .compiling import Code
from .matrix_product import matrix_product
from .shards import SIZE

FIXED = {"index", "start", "synapse", "row_of", "delays", "column", "table", "product",
         "slope_width", "slope_gain", "slope_each", "below", "share"}  # fmt: skip
STREAM = np.dtype(
    [("key", np.uint32, 624), ("pos", np.int32), ("has_gauss", np.int32), ("gauss", np.float64)]
)
RATE = 0.01  # share of neurons that spike in a step
TORCH = {
    "real": None, "float": torch.float32, "double": torch.float64, "unsigned char": torch.uint8,
    "int": torch.int32, "long": torch.int64,
}  # fmt: skip


class RunArrays(PlannedRun):
    """A run, and the arrays that its code is given. See `PlannedRun`."""

    code: Code
    plan: Plan
    length: int
    single: bool

    def real(self, *shape: int) -> Tensor:
        """An array of zeros."""
        return torch.zeros(shape, dtype=self.dtype)

    def allocate(self) -> None:
        """Make the arrays of the run."""
        self.held: dict[Key, Any] = {}
        fixed = self.code.fixed
        for key, ctype in self.code.source.arrays.types.items():
            if key[0] in FIXED and key not in fixed:
                fixed[key] = self.array(key, ctype)
            made = fixed[key] if key in fixed else self.array(key, ctype)
            if made is not None:
                self.held[key] = made
        self.point()

    def point(self) -> None:
        """Write down where the arrays are."""
        keys = list(self.code.source.arrays.types)
        self.pointers = (ctypes.c_void_p * max(1, len(keys)))()
        for k, key in enumerate(keys):
            self.pointers[k] = _address(self.held.get(key))

    def per_step(self, key: Key) -> int:
        """What of an array is kept of each step [byte]."""
        match key:
            case ("before", _, name):
                return self.batch * self._size(name) * self.itemsize(key)
            case ("drawn", name, _):
                return self.batch * self._slot(name).size * self.dtype.itemsize
            case ("margin" | "speed" | "slopes" | "shares", event):
                return self.batch * self.plan.events[event] * self.dtype.itemsize
            case _:
                return 0

    def bytes_of(self, key: Key) -> float:
        """Size of an array that a run makes, or the way back [byte]."""
        if key == ("streams",):
            return self.batch * STREAM.itemsize
        batch, item = self.batch, self.itemsize(key)
        match key:
            case ("state" | "adjoint", name):
                return batch * self._size(name) * item
            case ("before" | "drawn" | "margin" | "speed" | "slopes" | "shares", *_):
                return self.per_step(key) * self.length
            case ("weights" | "dense" | "dense_turned" as kind, number):
                return self.leaves[kind.removesuffix("_turned"), number].numel() * item
            case ("by_weights" | "by_dense", number):
                return self._n_shards * self.leaves[key[0][3:], number].numel() * item
            case ("by_kept", k):
                known = self.leaves.get(("kept", k))
                return 0 if known is None else self._n_shards * known.numel() * item
            case ("trace", name):
                return self.steps * batch * len(self._chosen(name)) * item
            case ("by_event", event):
                return self.plan.depth(event) * batch * self.plan.events[event] * item
            case ("by_input", name):
                return self.steps * batch * self.inputs.arrays[name].shape[2] * item
            case _:
                return 0

    def moving_memory(self) -> float:
        """Size of a copy of what changes from step to step [byte]."""
        types = self.code.source.arrays.types
        return sum(self.bytes_of(key) for key in types if key[0] in ("state", "streams"))

    def spike_memory(self) -> float:
        """Size of the lists of spikes [byte]."""
        each = self.steps * self.batch
        return sum(each * (8 + 4 * RATE * size) for size in self.plan.events.values())

    @property
    def _n_shards(self) -> int:
        return -(-self.batch // SIZE)

    def itemsize(self, key: Key) -> int:
        """Of a number of an array [byte]."""
        return (TORCH.get(self.code.source.arrays.types[key]) or self.dtype).itemsize

    def _size(self, variable: str) -> int:
        return self.program.variables[variable].value.size

    def _slot(self, name: str) -> Slot:
        slots = [*self.program.slots, *self.program.values.values()]
        return next(slot for slot in slots if slot.name == name)

    def array(self, key: Key, ctype: str) -> Any:
        """An array that a run starts with; None for what only the way back has."""
        dtype = TORCH.get(ctype) or self.dtype
        program, batch = self.program, self.batch
        match key:
            case ("state", name):
                return self._state(name, dtype)
            case ("kept", k):
                return torch.as_tensor(self.kept[int(k)], dtype=dtype).contiguous()
            case ("weights" | "dense", _):
                return self.leaves[key].detach().contiguous()
            case ("dense_turned", number):
                _, matrix = self.matrix_of(number)
                assert matrix.dense is not None
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
                return self.plan.orders[name].synapse.astype(np.int32)
            case ("row_of", name):
                return self.plan.orders[name].row.astype(np.int32)
            case ("delays", name):
                return np.array([*self.plan.orders[name].delays, 0], np.int64)
            case ("column", number):
                work, matrix = self.matrix_of(number)
                assert isinstance(work.slot, Deliver)
                synapse = self.plan.orders[work.slot.pathway].synapse
                return program.indices[matrix.seen_by][synapse].astype(np.int32)
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
                return self._chosen(name)
            case ("recorded", name):
                return np.array([len(self._chosen(name))])
            case ("trace", name):
                made = torch.zeros(self.steps, batch, len(self._chosen(name)), dtype=dtype)
                return made.fill_(-torch.inf) if name.endswith(MARGIN) else made
            case ("before", _, name):
                return torch.empty(self.length, batch, self._size(name), dtype=dtype)
            case ("drawn", name, _):
                return torch.empty(self.length, batch, self._slot(name).size, dtype=self.dtype)
            case ("margin" | "speed", event):
                return torch.empty(self.length, batch, self.plan.events[event], dtype=self.dtype)
            case ("below" | "share", event):
                return self._reset(event)[key[0]]
            case ("product",):
                return matrix_product(self.single)
            case ("slope_width" | "slope_gain" | "slope_each", event):
                return self._slope(event)[key[0]]
            case _:
                return None

    def array_back(
        self, key: Key, ctype: str, grads: Mapping[Key, Tensor | None], read: Mapping[str, Tensor]
    ) -> None:
        """Make an array that only the way back needs.

        Arguments:
            key, ctype: What it is, and the type of its numbers.
            grads: Derivatives by the results of the run.
            read: Derivatives by the spikes that were read.
        """
        batch, shards = self.batch, self._n_shards
        match key:
            case ("adjoint", name):
                given = grads.get(("state", name))
                made = self.real(batch, self._size(name)) if given is None else given
                self.held[key] = made.to(self.dtype).clone().contiguous()
            case ("before" | "margin" | "speed", *_) if key not in self.held:
                self.held[key] = self.array(key, ctype)
            case ("slopes" | "shares", event):
                self.held[key] = self.real(self.length, batch, self.plan.events[event])
            case ("by_event", event):
                self.held[key] = self.real(self.plan.depth(event), batch, self.plan.events[event])
            case ("by_spikes", event):
                self._hold(key, read.get(event), "has_spikes")
            case ("by_past", name):
                path = self.program.pathways[name]
                self.held[key] = self.real(path.max_delay, batch, path.n_sources)
            case ("by_input", name):
                self.held[key] = self.real(self.steps, batch, self.inputs.arrays[name].shape[2])
            case ("by_row", _):
                self.held[key] = self.array(key, ctype)
            case ("by_trace", name):
                self._hold(key, grads.get(("trace", name)), "has_trace")
            case ("by_kept", k):
                if self.plan.kept[int(k)].scalar:
                    self.held[key] = torch.zeros(shards, 1, dtype=torch.float64)
                else:
                    self.held[key] = self.real(shards, self.leaves["kept", k].numel())
            case ("by_weights" | "by_dense", number):
                self.held[key] = self.real(shards, self.leaves[key[0][3:], number].numel())
            case _:
                pass

    def _hold(self, key: Key, given: Tensor | None, has: str) -> None:
        """Hold a derivative that there may be, and whether there is."""
        self.held.pop(key, None)
        if given is not None:
            self.held[key] = given.to(self.dtype).contiguous()
        self.held[has, key[1]] = np.array([given is not None], np.int64)

    # ---- state and events

    def _state(self, name: str, dtype: torch.dtype) -> Tensor:
        value = self.given.get(name)
        value = self.values.in_trials(name, self.batch) if value is None else value
        value = value.detach().to(torch.uint8) if dtype == torch.uint8 else value.detach()
        return value.to(dtype).expand(self.batch, -1).contiguous().clone()

    def _past(self, name: str) -> tuple[Array, Array]:
        """Spikes on their way when the run starts, newest first."""
        events: tuple[Events, ...] = self.given[f"{name}.history"]
        counts = [np.bincount(e.batch, minlength=self.batch) for e in events]
        start = np.concatenate([[0], *np.cumsum(np.concatenate(counts))[None]]) if counts else [0]
        index = [e.index[np.argsort(e.batch, kind="stable")] for e in events]
        joined = np.concatenate([*index, [0]]).astype(np.int32)
        return np.asarray(start, np.int64), joined

    def _generated(self, owner: str) -> tuple[Array, Array]:
        """Given spikes of each step."""
        generator, low, high = self.fires(f"{owner}.spike")
        start = np.concatenate([[0], np.cumsum(high - low)]).astype(np.int64)
        index = [generator.index[a:b] for a, b in zip(low, high, strict=True)]
        return start, np.concatenate([*index, [0]]).astype(np.int32)

    def _streams(self) -> Array:
        made = np.zeros(self.batch, STREAM)
        for row, stream in zip(made, self.given["draws"].streams, strict=True):
            _, row["key"], row["pos"], row["has_gauss"], row["gauss"] = stream.get_state()
        return made

    def _chosen(self, name: str) -> Array:
        """Elements of which a variable is recorded."""
        values, variables = self.program.values, self.program.variables
        size = values[name].size if name in values else variables[name].value.size
        index = self.record[name]
        return np.arange(size) if index is None else index.cpu().numpy() % size

    # ---- derivatives of spikes

    def gradient(self, event: str) -> SpikeGradient:
        """What stands for the derivative of an event."""
        return self.gradients[event].to(self.dtype, torch.device("cpu"))

    def _slope(self, event: str) -> dict[str, Any]:
        """Width and height of the derivative of a spike."""
        made = self.gradient(event)
        kept = made.gain
        if made.reset is not None and not made.needs_speed:
            passed = made.passage(self.real(1), self.real(1))[1]
            kept = torch.as_tensor(kept, dtype=self.dtype) / passed
        width, gain = (
            torch.as_tensor(x, dtype=self.dtype).reshape(-1).contiguous()
            for x in (made.width, kept)
        )
        each = np.array([len(width) > 1, len(gain) > 1], np.int64)
        return {"slope_width": width, "slope_gain": gain, "slope_each": each}

    def _reset(self, event: str) -> dict[str, Tensor]:
        """How far below threshold an upstroke begins, and how deep a reset counts."""
        made, size = self.gradient(event), self.plan.events[event]
        reset = made.reset
        assert reset is not None
        below = self.real(1) if reset.upstroke is None else reset.upstroke.begins / reset.rate
        share = self.real(1) if made.needs_speed else made.passage(self.real(1), self.real(1))[1]
        found = {"below": below, "share": share}
        return {k: x.reshape(-1).to(self.dtype).expand(size).contiguous() for k, x in found.items()}

    # ---- pathways that are matrices

    def matrix_of(self, number: str) -> tuple[Work, Matrix]:
        """A slot whose pathway is a matrix, and that."""
        work = self.plan.works[int(number)]
        matrix = self.plan.matrix(work)
        assert matrix is not None
        return work, matrix

    def add_matrices(self) -> None:
        """Weights in the order in which they are served, or as full matrices, as leaves."""
        for key in self.code.source.arrays.types:
            match key:
                case ("weights", number):
                    self.leaves[key] = self._served(number)
                case ("dense", number):
                    self.leaves[key] = self.full_matrix(*self.matrix_of(number))
                case _:
                    pass

    def _served(self, number: str) -> Tensor:
        """Weights in the order in which synapses are served."""
        work, matrix = self.matrix_of(number)
        assert isinstance(work.slot, Deliver)
        fixed, key = self.code.fixed, ("served", number)
        if key not in fixed:
            served = self.plan.orders[work.slot.pathway].synapse
            complete = np.array_equal(served, np.arange(len(served)))
            fixed[key] = None if complete else torch.from_numpy(served)
        weight = self.weight_of(matrix)
        return weight if fixed[key] is None else weight[fixed[key]]


def _address(held: Any) -> int | None:
    """Where an array is."""
    if held is None or isinstance(held, int):
        return held
    return held.ctypes.data if isinstance(held, np.ndarray) else held.data_ptr()
