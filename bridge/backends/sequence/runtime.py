"""Runtime: what generated code calls as `c` while a stretch of time is run, or gone back through."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...program import Deliver
from ...spikes import Events
from ..eager.functions import Value
from ..eager.runtime import Context
from ..native.plan import Order
from .products import Product
from .trains import Train

Passing = Callable[[Any, Any, Any], tuple[Any, Any]]
PART = 2**18  # numbers whose derivatives are found at once


@dataclass
class Runtime(Context):
    """A run: see `Context`. Everything is one number for each trial and element.

    Arguments:
        plan: What the network does.
        trains: Event to its spikes.
        products: Number of a slot to the pathway as a matrix.
        passings: Event to what gives the margin and the velocity of its neurons.
        below: Event to how far below threshold an upstroke begins.
        history: Pathway to the spikes before the run, the latest first.
        finite: Whether all constants are, so that a product with zero is zero.
        tape: Whether what the reverse needs is kept.
        k: Step of the run.
    """

    plan: Any = None
    trains: dict[str, Train] = field(default_factory=dict[str, Train])
    products: dict[int, Product] = field(default_factory=dict[int, Product])
    passings: dict[str, Passing] = field(default_factory=dict[str, Passing])
    below: dict[str, Any] = field(default_factory=dict[str, Any])
    history: dict[str, tuple[Events, ...]] = field(default_factory=dict[str, Any])
    finite: bool = True
    tape: bool = False
    k: int = 0
    base: int = 0
    held: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    margins: dict[tuple[str, int], list[Tensor]] = field(default_factory=dict[Any, Any])
    moving: dict[str, list[Any]] = field(default_factory=dict[str, Any])
    slopes: dict[tuple[str, int], tuple[Tensor, ...]] = field(default_factory=dict[Any, Any])
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
            torch.gt(margin, 0, out=row) if strict else torch.ge(margin, 0, out=row)
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

    def passing(self, event: str, state: Any, kept: Any) -> None:
        """Keep the distance to threshold and the velocity of neurons."""
        if self.tape:
            shape = self.trains[event].before.shape
            found = (self.f.tensor(x).expand(shape) for x in self.passings[event](state, kept, self))
            self.moving.setdefault(event, []).append(tuple(found))

    def forget(self) -> None:
        """Drop what was kept for the derivatives of spikes."""
        for held in (self.margins, self.moving, self.slopes, self.depths):
            held.clear()

    def slope(self, event: str, part: int) -> Tensor:
        """Derivative of the spikes of this step."""
        if (event, part) not in self.slopes:
            self._find_slopes(event, part)
        return self.slopes[event, part][self.k - self.base]

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
        if event not in self.plan.speeds:
            made = torch.stack(self.margins[event, part])
            for rows in made.view(-1, made.shape[-1]).split(max(1, PART // made.shape[-1])):
                rows.copy_(self._slope_of(event, rows))
            self.slopes[event, part] = made.unbind(0)
            return
        margin, speed = (torch.stack(x) for x in zip(*self.moving[event], strict=True))
        slopes, shares = gradient.passage(margin, torch.nan_to_num(speed))
        self.slopes[event, part] = slopes.unbind(0)
        self.depths[event] = shares.expand_as(slopes).unbind(0)

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
            more = product.pulled(self.k)
            if more is not None:
                made = more if made is None else made + more
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

    def order(self, work: int) -> Order:
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

