"""Runtime: what generated code calls as `c`, forward and backward."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...finite import require_finite
from ...lower.service_order import ServiceOrder
from ...program import Deliver
from ...spikes import Events
from ..eager.functions import Value
from ..eager.runtime import Context
from .products import Product
from .trains import Train

PART = 2**17  # numbers whose derivatives are found at once


@dataclass
class Runtime(Context):
    """A run: see `Context`. Everything is one number for each trial and element.

    Arguments:
        plan: What the network does.
        trains: Event to its spikes.
        products: Number of a slot to the pathway as a matrix.
        below: Event to how far below threshold an upstroke begins.
        history: Pathway to the spikes before the run, the latest first.
        finite: Whether all constants are, so that a product with zero is zero.
        tape: Whether what the reverse needs is kept.
        k: Step of the run.
    """

    plan: Any = None
    trains: dict[str, Train] = field(default_factory=dict[str, Train])
    products: dict[int, Product] = field(default_factory=dict[int, Product])
    below: dict[str, Any] = field(default_factory=dict[str, Any])
    history: dict[str, tuple[Events, ...]] = field(default_factory=dict[str, Any])
    finite: bool = True
    tape: bool = False
    zero: Any = 0
    last: int = 0
    checks: bool = True
    gains: dict[str, float] = field(default_factory=dict[str, float])
    wanted_inputs: frozenset[str] = frozenset()
    record: dict[str, Tensor | None] = field(default_factory=dict[str, Any])
    k: int = 0
    base: int = 0
    held: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    margins: dict[tuple[str, int], list[Tensor]] = field(default_factory=dict[Any, Any])
    moving: dict[str, list[Any]] = field(default_factory=dict[str, Any])
    slopes: dict[tuple[str, int], tuple[Tensor, ...]] = field(default_factory=dict[Any, Any])
    found_slopes: dict[tuple[str, int], tuple[int, tuple[Tensor, ...]]] = field(
        default_factory=dict[Any, Any]
    )
    depths: dict[str, tuple[Tensor, ...]] = field(default_factory=dict[str, Any])
    pushed: dict[tuple[str, int], Tensor] = field(default_factory=dict[Any, Any])
    by_spike_rows: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    by_input: dict[str, dict[int, Tensor]] = field(default_factory=dict[str, Any])
    by_past: dict[str, dict[int, Tensor]] = field(default_factory=dict[str, Any])
    by_kept: dict[int, Tensor] = field(default_factory=dict[int, Tensor])
    readers: dict[str, list[Product]] = field(default_factory=dict[str, Any])
    owners: dict[str, list[Product]] = field(default_factory=dict[str, Any])

    # ---- values

    def truth(self, x: Value) -> Value:
        """A truth value."""
        if isinstance(x, Tensor):
            return x if x.dtype == torch.bool else x != 0
        return bool(x)

    def number(self, x: Value) -> Value:
        """A truth value as 0 or 1."""
        return x.to(self.f.dtype) if isinstance(x, Tensor) else float(x)

    def seen(self, x: Tensor, index: str) -> Tensor:
        """A variable through an index; what all elements share as it is."""
        return x if x.shape[-1] == 1 else x.index_select(-1, self.indices[index])

    def mixed(self, s: Tensor, new: Value, old: Tensor) -> Tensor:
        """`new` where s is 1, else `old`; both are numbers everywhere."""
        if not self.finite:
            return self.chosen(s, new, old)
        if not isinstance(new, Tensor):
            kept = old * (1 - s)
            return torch.add(kept, s, alpha=new) if new else kept
        return torch.addcmul(old * (1 - s), s, new)

    def chosen(self, s: Tensor, new: Value, old: Tensor) -> Tensor:
        """`new` where s is 1, else `old`."""
        return torch.where(s > 0, self.fit(new, old), old)

    # ---- derivatives

    def stored(self, s: Tensor, change: Tensor, left: Tensor) -> Tensor:
        """What a change of now is worth of what is stored; where s is 1, that is as of now."""
        worth = torch.where(left != 0, change / left, 0.0)
        return torch.where(s > 0, change, worth)

    def plus(self, to: Tensor, by: Tensor, factor: Value) -> Tensor:
        """to + by * factor."""
        if isinstance(factor, Tensor):
            return torch.addcmul(to, by, factor)
        return torch.add(to, by, alpha=factor)

    def chain(self, by: Tensor, factor: Value) -> Tensor:
        """Their product, and zero where no derivative arrives."""
        return torch.where(by == 0, 0.0, by * factor)

    def inside(self, p: Value) -> Value:
        """1 where a probability is between 0 and 1."""
        if not isinstance(p, Tensor):
            return float(0 < p < 1)
        return ((p > 0) & (p < 1)).to(self.f.dtype)

    def at_least_one(self, x: Value) -> Value:
        """The size of a number, or 1 if that is larger."""
        return x.abs().clamp(min=1) if isinstance(x, Tensor) else max(abs(x), 1.0)

    def total(self, by: Tensor) -> Tensor:
        """Sum over elements."""
        return by if by.shape[-1] == 1 else by.sum(-1, keepdim=True)

    def scattered(self, to: Tensor, index: str, by: Tensor) -> Tensor:
        """A derivative to which those of what was seen through an index are added."""
        if to.shape[-1] == 1:
            return to + self.total(by)
        at = self.indices[index]
        return to.index_add(-1, at, by.expand(to.shape[0], len(at)))

    def replaced(self, to: Tensor, index: str, by: Value, rest: Tensor | None) -> Tensor:
        """A derivative of which the part that was seen through an index is replaced."""
        at = self.indices[index]
        old = to.index_select(-1, at)
        new = self.f.tensor(by).to(to.dtype).expand_as(old)
        return to.index_copy(-1, at, new if rest is None else old * rest + new)

    def cleared(self, to: Tensor, first: int, last: int) -> Tensor:
        """A derivative without that of some elements."""
        if first == 0 and last == to.shape[1]:
            return torch.zeros_like(to)
        made = to.clone()
        made[:, first:last] = 0
        return made

    def gather(self, k: int, by: Tensor) -> None:
        """Add to the derivative by a value that does not change during the run."""
        known = self.by_kept.get(k)
        if known is not None and known.shape == by.shape:
            known += by
        else:
            self.by_kept[k] = by.clone() if known is None else known + by

    def pull_table(self, name: str, column: Value | None, by: Tensor) -> None:
        """Add to the derivative by the row of a TimedArray that an input gives."""
        width = self.inputs[name][0].shape[1]
        if column is None:
            self._to_input(name, self.total(by))
            return
        at = torch.as_tensor(column, device=by.device).long().reshape(-1).expand(by.shape[1])
        self._to_input(name, by.new_zeros(len(by), width).index_add_(1, at, by))

    def _to_input(self, name: str, by: Tensor) -> None:
        rows = self.by_input.setdefault(name, {})
        rows[self.k] = rows[self.k] + by if self.k in rows else by

    # ---- events

    def cross(self, event: str, margin: Value, strict: bool) -> None:
        """Raise an event where a margin is positive."""
        row = self.trains[event].rows[self.k - self.base]
        if isinstance(margin, Tensor) and margin.shape == row.shape and margin.dtype == row.dtype:
            (torch.gt if strict else torch.ge)(margin, self.zero, out=row)
        else:
            row.copy_(self.f.tensor(margin > 0 if strict else margin >= 0))
        self.trains[event].turn(self.k)

    def raised(self, event: str, condition: Value) -> None:
        """Raise an event where a condition holds."""
        self.trains[event].rows[self.k - self.base].copy_(self.f.tensor(condition))
        self.trains[event].turn(self.k)

    def marked(self, old: Tensor, event: str, value: Value) -> Tensor:
        """A variable that takes a value at the elements with an event."""
        return old.masked_fill(self.trains[event].row(self.k) > 0, value)

    def answered(self, event: str, later: int) -> Tensor:
        """Spikes that a slot answers, "batch neuron"."""
        return self.trains[event].row(max(self.k - later, -1))

    def keep_margin(self, event: str, part: int, margin: Tensor) -> None:
        """Keep a distance to threshold for the derivative of the spikes."""
        if self.tape:
            shape = self.trains[event].before.shape
            self.margins.setdefault((event, part), []).append(margin.expand(shape))

    def keep_passage(self, event: str, margin: Value, speed: Value) -> None:
        """Keep the distance to threshold and the velocity of neurons."""
        shape = self.trains[event].before.shape
        found = (self.f.tensor(x).expand(shape) for x in (margin, speed))
        self.moving.setdefault(event, []).append(tuple(found))

    def at(self, k: int) -> None:
        """Go to a step of the run."""
        self.k, self.tick = k, self.first + k

    def check(self, state: Any, k: int) -> None:
        """Refuse values that are no numbers."""
        if self.checks:
            require_finite(state, k, self.program.dt)

    def put_in(self, key: str, old: Tensor) -> Tensor:
        """What an input puts into a variable."""
        value, gain = self.inputs[key][self.k].to(old.dtype), self.gains.get(key)
        return value if gain is None else torch.lerp(old, value, gain)

    def take_out(self, key: str, by: Tensor) -> Tensor:
        """Give the derivative by what was put into a variable to the input."""
        gain = self.gains.get(key)
        if key in self.wanted_inputs:
            self._to_input(key, by if gain is None else gain * by)
        return torch.zeros_like(by) if gain is None else (1 - gain) * by

    def chosen_of(self, key: str, value: Tensor) -> Tensor:
        """The elements that are recorded."""
        index = self.record[key]
        return value if index is None else value[:, index]

    def recorded(self, key: str, value: Value) -> Tensor:
        """A value that is recorded, "batch element"."""
        size = self.program.values[key].size
        made = self.f.tensor(value).to(self.f.dtype).expand(self.batch_size, size)
        return self.chosen_of(key, made)

    def spread(self, key: str, by: Tensor) -> Tensor:
        """Derivative of what was recorded, as that of all elements."""
        index, values = self.record[key], self.program.values
        if index is None:
            return by
        size = values[key].size if key in values else self.program.variables[key].value.size
        return by.new_zeros(len(by), size).index_add_(1, index % size, by)

    def forget(self) -> None:
        """Drop what was kept for the derivatives of spikes."""
        for held in (self.margins, self.moving, self.slopes, self.depths, self.found_slopes):
            held.clear()

    def slope(self, event: str, part: int) -> Tensor:
        """Derivative of the spikes of this step; some are found at once."""
        if event in self.plan.speeds:
            if (event, part) not in self.slopes:
                self._find_slopes(event, part)
            return self.slopes[event, part][self.k - self.base]
        at, known = self.k - self.base, self.found_slopes.get((event, part))
        if known is None or not known[0] <= at < known[0] + len(known[1]):
            rows = self.margins[event, part]
            low = max(0, at + 1 - max(1, PART // rows[0].numel()))
            made = self._slope_of(event, torch.stack(rows[low : at + 1]))
            known = self.found_slopes[event, part] = (low, made.unbind(0))
        return known[1][at - known[0]]

    def depth(self, event: str) -> Tensor:
        """How deep a reset counts in this step, in depths of the reset."""
        if event not in self.depths:
            if event in self.plan.speeds:
                self._find_slopes(event, 0)
            else:
                one = torch.zeros(1, dtype=self.f.dtype, device=self.f.device)
                share = self.gradients[event].passage(one, one)[1]
                self.depths[event] = (share,) * len(self.trains[event].rows)
        return self.depths[event][self.k - self.base]

    def _find_slopes(self, event: str, part: int) -> None:
        """Derivatives of the spikes of all steps."""
        gradient = self.gradients[event]
        margin, speed = (torch.stack(x) for x in zip(*self.moving[event], strict=True))
        shape, rows = margin.shape, max(1, PART // margin.shape[-1])
        parts = zip(*(x.flatten(0, 1).split(rows) for x in (margin, speed)), strict=True)
        made = [gradient.passage(m, torch.nan_to_num(v)) for m, v in parts]
        self.slopes[event, part] = torch.cat([x for x, _ in made]).view(shape).unbind(0)
        depths = torch.cat([y.expand_as(x) for x, y in made]).view(shape)
        self.depths[event] = depths.unbind(0)

    def _slope_of(self, event: str, margin: Tensor) -> Tensor:
        gradient = self.gradients[event]
        if gradient.reset is None:
            return gradient.slope(margin)
        return gradient.passage(margin, margin.new_zeros(()))[0]

    def by_spikes(self, event: str) -> Tensor | None:
        """Derivative by the spikes of this step; None if nothing depends on them."""
        made = self.pushed.pop((event, self.k), None)
        rows = self.by_spike_rows.get(event)
        if rows is not None:
            made = rows[self.k] if made is None else made + rows[self.k]
        for product in self.readers.get(event, ()):
            made = product.pulled(self.k, made)
        return made

    def add_spikes(self, event: str, later: int, by: Tensor) -> None:
        """Add to the derivative by the spikes that a slot answers."""
        self._push(event, self.k - later, by)

    def _push(self, event: str, k: int, by: Tensor) -> None:
        known = self.pushed.get((event, k))
        self.pushed[event, k] = by if known is None else known + by

    def imposed(self, event: str) -> None:
        """Give the derivative by spikes that an input gives to it."""
        made = self.by_spikes(event)
        if made is not None:
            self._to_input(event, made)

    # ---- synapses

    def order(self, work: int) -> ServiceOrder:
        """The synapses of a slot in the order of service."""
        slot = self.plan.works[work].slot
        return self.plan.orders[slot.pathway]

    def arriving(self, work: int) -> Tensor:
        """1 for each synapse at which a spike arrives in this step, "batch synapse"."""
        slot: Deliver = self.plan.works[work].slot
        order = self.order(work)
        later = slot.every if self.plan.later(slot) else 0
        rows = [self._arriving_row(slot, lag, later) for lag in order.delays]
        every = rows[0] if len(rows) == 1 else torch.cat(rows, 1)
        return every.index_select(1, self._rows_of(work))

    def _arriving_row(self, slot: Deliver, lag: int, later: int) -> Tensor:
        if lag <= self.k:
            return self.trains[slot.event].row(max(self.k - lag - later, -1))
        return self.history[slot.pathway][lag - self.k - 1].spikes.detach()

    def _rows_of(self, work: int) -> Tensor:
        """Row (delay, source) of each synapse."""
        key = f"{work} rows"
        if key not in self.held:
            order = self.order(work)
            place = {d: n for n, d in enumerate(order.delays)}
            rank = np.array([place.get(d, 0) for d in range(order.pathway.max_delay + 1)])
            row = rank[order.pathway.delay] * order.pathway.n_sources + order.pathway.source
            self.held[key] = torch.from_numpy(row.astype(np.int64)).to(self.f.device)
        return self.held[key]

    def accumulate(
        self, to: Tensor, index: str, s: Tensor, value: Value, gate: Value | None, plain: bool
    ) -> Tensor:
        """The target with the values of the synapses at which spikes arrive added."""
        wide = to.dtype
        if plain and self.finite:
            given = s * value
        else:
            given = torch.where(s > 0, self.f.tensor(value).to(s.dtype), 0.0)
        if isinstance(gate, Tensor):
            given = torch.where(gate, given, 0.0)
        given = given.to(wide)
        if to.shape[1] == 1:
            return to + given.sum(1, keepdim=True)
        return to.index_add(1, self.indices[index], given)

    def add_arrived(self, work: int, by: Tensor | float) -> None:
        """Add to the derivative by the spikes that arrived, or did not."""
        if not isinstance(by, Tensor):
            return
        slot: Deliver = self.plan.works[work].slot
        order, later = self.order(work), slot.every if self.plan.later(slot) else 0
        size = order.pathway.n_sources
        rows = self._rows_of(work)
        made = by.new_zeros(len(by), len(order.delays) * size)
        made.index_add_(1, rows, by.expand(len(by), len(rows)))
        for lag, part in zip(order.delays, made.split(size, 1), strict=True):
            if lag <= self.k:
                self._push(slot.event, self.k - lag - later, part)
            else:
                past = self.by_past.setdefault(slot.pathway, {})
                n = lag - self.k - 1
                past[n] = past[n] + part if n in past else part
