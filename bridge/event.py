"""Events: spikes, what they do to a variable, and how they travel along synapses.

A spike is s = H(margin), 0 or 1. Forward everything is exact; backward dH/dmargin is a
surrogate. A statement executed on a spike moves x to f(x), differentiably x + s (f(x) - x); in
a reset, the jump f(x) - x is that of a neuron at threshold: see `Context.reset`.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from .function import Sites
from .program import Array, Pathway
from .spike_gradient import SpikeGradient

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), (1, 1))


class Events(NamedTuple):
    """Spikes of one group in one step.

    Arguments:
        spikes: 1 where an element spikes, else 0, "batch neuron".
        batch, index: The same as positions, in the order in which Brian2 lists them.
    """

    spikes: Tensor
    batch: Array
    index: Array  # pyright: ignore[reportIncompatibleMethodOverride]  a tuple's is not used

    @staticmethod
    def of(spikes: Tensor) -> "Events":
        """Events from a tensor of zeros and ones."""
        batch, index = np.nonzero(spikes.detach().cpu().numpy())
        return Events(spikes, batch, index)

    def of_trials(self, start: int, stop: int) -> "Events":
        """Those of some trials of the batch."""
        inside = (self.batch >= start) & (self.batch < stop)
        return Events(self.spikes[start:stop], self.batch[inside] - start, self.index[inside])

    @property
    def carries_gradient(self) -> bool:
        """Whether a change of the margin would be noticed backward."""
        return self.spikes.requires_grad


def detach(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state that the gradient does not pass."""
    return {key: _detached(value) for key, value in state.items()}


def copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state whose values can be changed in place."""
    return {key: v.clone() if isinstance(v, Tensor) else v for key, v in state.items()}


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, Events):
        return value._replace(spikes=value.spikes.detach())
    if type(value) is tuple:
        return tuple(_detached(v) for v in cast(tuple[Any, ...], value))
    return value


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, margin: Tensor, gradient: SpikeGradient, strict: bool) -> Tensor:
        ctx.save_for_backward(margin)
        ctx.gradient = gradient
        return (margin > 0 if strict else margin >= 0).to(margin.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (margin,) = ctx.saved_tensors
        return grads[0] * ctx.gradient.slope(margin), None, None


def spike(margin: Tensor, gradient: SpikeGradient, strict: bool) -> Tensor:
    """1 where the margin is positive; backward the slope of `gradient`.

    Arguments:
        margin: Distance to threshold, "batch neuron".
        gradient: Stands for the derivative.
        strict: Whether the threshold is `>` (else `>=`).
    """
    return _Spike.apply(margin, gradient, strict)


class _Escape(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, draw: Tensor, probability: Tensor, strict: bool, gain: Tensor | None
    ) -> Tensor:
        inside = (probability > 0) & (probability < 1)
        ctx.save_for_backward(inside if gain is None else inside * gain)
        return (draw < probability if strict else draw <= probability).to(draw.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return None, grads[0] * slope, None, None


def escape(draw: Tensor, probability: Tensor, strict: bool, gain: Tensor | None = None) -> Tensor:
    """1 where the uniform `draw` falls below `probability`.

    The expected value is the probability itself, so its derivative, 1 inside (0, 1), is the
    surrogate: it is derived and needs no width (Gygax & Zenke 2025, doi:10.1162/neco_a_01752).

    Arguments:
        draw, probability: "batch neuron".
        strict: Whether the condition is `<` (else `<=`).
        gain: Factor of the derivative, at most 1, "batch neuron".
    """
    return _Escape.apply(draw, probability, strict, gain)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, new: Tensor, old: Tensor) -> Tensor:
        ctx.save_for_backward(s, new, old)
        return torch.where(s > 0, new, old)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        s, new, old = ctx.saved_tensors
        by_s, by_new, by_old = ctx.needs_input_grad
        zero = torch.zeros((), dtype=grads[0].dtype, device=grads[0].device)
        return (
            (grads[0] * (new - old)).sum_to_size(s.shape) if by_s else None,
            torch.where(s > 0, grads[0], zero).sum_to_size(new.shape) if by_new else None,
            torch.where(s > 0, zero, grads[0]).sum_to_size(old.shape) if by_old else None,
        )


def gate(s: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """`new` where s is 1, else `old`; backward as old + s (new - old)."""
    if s.requires_grad and torch.is_grad_enabled() and new.is_floating_point():
        return _Gate.apply(s, new, old)
    return torch.where(s > 0, new, old)


class _Jump(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s: Tensor, new: Tensor, old: Tensor, jump: Tensor) -> Tensor:
        ctx.save_for_backward(s, jump)
        return torch.where(s > 0, new, old)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        s, jump = ctx.saved_tensors
        by_s, _, by_old, by_jump = ctx.needs_input_grad
        zero = torch.zeros((), dtype=grads[0].dtype, device=grads[0].device)
        return (
            grads[0] * jump if by_s else None,
            None,
            grads[0] if by_old else None,
            torch.where(s > 0, grads[0], zero) if by_jump else None,
        )


def jump_to(s: Tensor, new: Tensor, old: Tensor, jump: Tensor) -> Tensor:
    """`new` where s is 1, else `old`; backward as old + s jump.

    Arguments:
        s: Spikes.
        new, old: Values with and without a spike; `new` carries no gradient.
        jump: What a spike adds, of a neuron at threshold.
    """
    return _Jump.apply(s, new, old, jump)


@dataclass(frozen=True)
class Fanout:
    """Synapses of a pathway, sorted as Brian2 serves them: long delays first, then by source.

    Arguments:
        pathway: The synapses, their sources and delays.
        device: Where tensors live.
    """

    pathway: Pathway
    device: torch.device

    @cached_property
    def delays(self) -> tuple[int, ...]:
        """Delays that occur, in steps, longest first."""
        return tuple(int(d) for d in np.unique(self.pathway.delay)[::-1])

    @cached_property
    def row(self) -> Array:
        """Row (delay, source) of each synapse."""
        place = {d: k for k, d in enumerate(self.delays)}
        rank = np.array([place.get(d, 0) for d in range(self.pathway.max_delay + 1)])
        return rank[self.pathway.delay] * self.pathway.n_sources + self.pathway.source

    @cached_property
    def order(self) -> Array:
        """Synapses by row."""
        return np.argsort(self.row, kind="stable")

    @cached_property
    def start(self) -> Array:
        """Where each row starts in `order`."""
        counts = np.bincount(self.row, minlength=len(self.delays) * self.pathway.n_sources)
        return np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def row_tensor(self) -> Tensor:
        """`row`, for gathering."""
        return torch.from_numpy(self.row).to(self.device)

    @cached_property
    def sorted_synapses(self) -> Tensor:
        """`order`, for gathering."""
        return torch.from_numpy(self.order).to(self.device)

    @cached_property
    def crow(self) -> Tensor:
        """`start`, as the row pointer of a sparse matrix."""
        return torch.from_numpy(self.start).to(self.device)

    def served(self, arriving: Sequence[Events]) -> tuple[Array, Array]:
        """Trials and synapses that the arriving events reach, in Brian2's order."""
        parts = [
            (events.batch, events.index + k * self.pathway.n_sources)
            for k, events in enumerate(arriving)
            if len(events.index)
        ]
        if not parts:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        batch, rows = (np.concatenate(column) for column in zip(*parts, strict=True))
        if len(parts) > 1 and batch.any():
            by_trial = np.argsort(batch, kind="stable")
            batch, rows = batch[by_trial], rows[by_trial]
        first, count = self.start[rows], self.start[rows + 1] - self.start[rows]
        ends = np.cumsum(count)
        place = np.arange(ends[-1]) + np.repeat(first - (ends - count), count)
        return np.repeat(batch, count), self.order[place]


class _Propagate(torch.autograd.Function):
    """x[post] += value for each served synapse; backward also where nothing was served."""

    @staticmethod
    def forward(
        ctx: Any, target: Tensor, value: Tensor, route: "Arrivals", index: Tensor, *spikes: Tensor
    ) -> Tensor:
        ctx.save_for_backward(value, index)
        ctx.route = route
        return _add(target, route.event_value(value), route, index)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        value, index = ctx.saved_tensors
        route: Arrivals = ctx.route
        (grad,) = grads
        needs = ctx.needs_input_grad
        by_value = route.value_grad(value, grad, index) if needs[1] else None
        by_spikes: Sequence[Tensor | None] = [None] * len(route.arriving)
        if any(needs[4:]):
            by_spikes = route.spike_grads(value, grad, index)
        return (grad if needs[0] else None, by_value, None, None, *by_spikes)


class _Overwrite(torch.autograd.Function):
    """x[post] = value for each served synapse; backward also where nothing was served.

    A spike moves x from what it is to the value: for the synapse that was served last, from what
    it was before; for those that were not served, from what it is now.
    """

    @staticmethod
    def forward(
        ctx: Any, old: Tensor, value: Tensor, route: "Arrivals", index: Tensor, *spikes: Tensor
    ) -> Tensor:
        last = route.last(old.shape, index)
        new = _take(old, route.event_value(value), last)
        ctx.save_for_backward(value, index, last, old, new)
        ctx.route = route
        return new

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        value, index, last, old, new = ctx.saved_tensors
        route: Arrivals = ctx.route
        needs = ctx.needs_input_grad
        taken = torch.where(last > 0, grads[0], 0)
        winner = torch.zeros(route.count, dtype=torch.bool, device=last.device)
        winner[last[last > 0] - 1] = True
        by_spikes: Sequence[Tensor | None] = [None] * len(route.arriving)
        if any(needs[4:]):
            from_where = new[:, index].clone()
            who = (route.batch[winner], route.synapse[winner])
            from_where[who] = old[who[0], index[who[1]]]
            by_spikes = route.by_row((value - from_where) * grads[0][:, index])
        return (
            grads[0] - taken if needs[0] else None,
            route.value_grad(value, taken, index, winner) if needs[1] else None,
            None,
            None,
            *by_spikes,
        )


def _add(target: Tensor, value: Tensor, route: "Served", index: Tensor) -> Tensor:
    """Add event values to their targets one after the other, as `numpy.add.at` does."""
    place = index[route.synapse] + route.batch * target.shape[1]
    flat = target.reshape(-1).index_add(0, place, value.to(target.dtype))
    return flat.view(target.shape)


def _take(old: Tensor, values: Tensor, last: Tensor) -> Tensor:
    """The value of the event that came last, where one came."""
    if not len(values):
        return old.clone()
    return torch.where(last > 0, values.to(old.dtype)[(last - 1).clamp(min=0)], old)


class Served:
    """Synapses for which statements are executed, in this order, one value for each.

    Arguments:
        batch, synapse: Trial and synapse.
        n_synapses: Number of synapses that there are.
        places: Where they are among those that they were chosen from.
        gates: The spike of each, 1, where a gradient goes back through it.
    """

    dense = False

    def __init__(
        self,
        batch: Tensor,
        synapse: Tensor,
        n_synapses: int,
        gates: Tensor | None = None,
        places: Tensor | None = None,
    ) -> None:
        self.batch, self.synapse, self.n_synapses = batch, synapse, n_synapses
        self.gates, self.places = gates, places
        self.count = len(synapse)

    @staticmethod
    def all(n_synapses: int, batch_size: int, device: torch.device) -> "Served":
        """Every synapse of every trial."""
        batch = torch.arange(batch_size, device=device).repeat_interleave(n_synapses)
        return Served(batch, torch.arange(n_synapses, device=device).repeat(batch_size), n_synapses)

    @property
    def idle(self) -> bool:
        """Whether nothing would change, gradient included."""
        return not self.count

    def sites(self, mask: Any = None) -> Sites:
        """Where random numbers are drawn, in order; only where `mask` holds."""
        batch, place = self.batch.cpu().numpy(), np.arange(self.count)
        if isinstance(mask, Tensor):
            keep = mask.cpu().numpy()
            batch, place = batch[keep], place[keep]
        return Sites(batch, place, (self.count,))

    def own(self, x: Any) -> Any:
        """Values of a synaptic variable."""
        if not isinstance(x, Tensor) or x.dim() == 0:
            return x
        return x[self.synapse] if x.dim() == 1 else x[self.batch, self.synapse]

    def at(self, x: Any, index: Tensor) -> Any:
        """Values of a neuronal variable, seen from each synapse."""
        if not isinstance(x, Tensor) or x.dim() == 0:
            return x
        place = index[self.synapse]
        return x[place] if x.dim() == 1 else x[self.batch, place]

    def shared(self, x: Any) -> Any:
        """Value of a shared variable, "batch 1"."""
        return x[self.batch, 0] if isinstance(x, Tensor) and x.dim() == 2 else x

    def accumulate(self, target: Tensor, index: Tensor, value: Any) -> Tensor:
        """target[index] += value."""
        value = _tensor(value, target).expand(self.count)
        return _add(target, value if self.gates is None else value * self.gates, self, index)

    def keep(self, old: Tensor, new: Any) -> Tensor:
        """A synaptic variable that takes the value `new`."""
        where = (self.batch, self.synapse)
        value = self._gated(_tensor(new, old).expand(self.count), old[where])
        return (
            old.index_put(where, value) if torch.is_grad_enabled() else old.index_put_(where, value)
        )

    def overwrite(self, old: Tensor, index: Tensor, new: Any) -> Tensor:
        """A neuronal variable that takes the value of the last synapse that is served."""
        value = _tensor(new, old).expand(self.count)
        value = self._gated(value, old[self.batch, index[self.synapse]])
        return _take(old, value, self.last(old.shape, index))

    def scale(self, old: Tensor, index: Tensor, value: Any, divide: bool) -> Tensor:
        """A neuronal variable that is multiplied, or divided, by one value after the other."""
        value = _tensor(value, old)
        for part in self.sequence([[index]], alone=False):
            x = part.at(old, index)
            factor = value if part.places is None else self.event_value(value)[part.places]
            old = part.overwrite(old, index, x / factor if divide else x * factor)
        return old

    def event_value(self, value: Tensor) -> Tensor:
        """A value for each served synapse."""
        return value.expand(self.count)

    def _gated(self, new: Tensor, old: Tensor) -> Tensor:
        return new if self.gates is None else gate(self.gates, new, old)

    def last(self, shape: Sequence[int], index: Tensor) -> Tensor:
        """Which synapse reaches each neuron last, counted from 1; 0 where none does."""
        served = np.zeros(shape, dtype=np.int64)
        place = index[self.synapse].cpu().numpy()
        served[self.batch.cpu().numpy(), place] = np.arange(1, self.count + 1)
        return torch.from_numpy(served).to(self.batch.device)

    def sequence(self, touched: Sequence[Sequence[Tensor]], alone: bool) -> Iterator["Served"]:
        """The same synapses in groups, no two of which touch the same element of a variable.

        Executing the statements group after group is the same as synapse after synapse.

        Arguments:
            touched: For each variable that statements change, the indices by which they see it.
            alone: Whether each synapse makes a group of its own.
        """
        group = np.arange(self.count) if alone else self._groups(touched)
        for k in range(int(group.max(initial=-1)) + 1):
            chosen = torch.from_numpy(np.flatnonzero(group == k)).to(self.batch.device)
            gates = None if self.gates is None else self.gates[chosen]
            batch, synapse = self.batch[chosen], self.synapse[chosen]
            yield Served(batch, synapse, self.n_synapses, gates, chosen)

    def _groups(self, touched: Sequence[Sequence[Tensor]]) -> Array:
        """Number of each synapse's group: the first that comes after all it has to wait for."""
        batch, synapse = self.batch.cpu().numpy(), self.synapse.cpu().numpy()
        seen = [
            [(v, b, i) for b, i in zip(batch, index.cpu().numpy()[synapse], strict=True)]
            for v, indices in enumerate(touched)
            for index in indices
        ]
        free: dict[tuple[int, int, int], int] = {}
        group = np.zeros(self.count, dtype=np.int64)
        for k, elements in enumerate(zip(*seen, strict=True)):
            group[k] = max(free.get(element, 0) for element in elements)
            free.update(dict.fromkeys(elements, group[k] + 1))
        return group


class Arrivals(Served):
    """The synapses of a pathway that events reach in this step.

    While gradients are recorded, statements are evaluated for every synapse and gated by its
    spike (`dense`); otherwise only for the synapses that are served.
    """

    def __init__(self, fanout: Fanout, arriving: Sequence[Events]) -> None:
        batch, synapse = (torch.from_numpy(x).to(fanout.device) for x in fanout.served(arriving))
        super().__init__(batch, synapse, len(fanout.pathway.source))
        self.fanout, self.arriving = fanout, tuple(arriving)
        self.dense = torch.is_grad_enabled() and any(e.carries_gradient for e in arriving)

    @property
    def idle(self) -> bool:
        """Whether nothing would change, gradient included."""
        return not self.dense and not self.count

    def sites(self, mask: Any = None) -> Sites:
        """Where random numbers are drawn, in the order of service; only where `mask` holds."""
        if not self.dense:
            return super().sites(mask)
        batch, synapse = self.batch.cpu().numpy(), self.synapse.cpu().numpy()
        if isinstance(mask, Tensor):
            keep = mask[self.batch, self.synapse].cpu().numpy()
            batch, synapse = batch[keep], synapse[keep]
        return Sites(batch, batch * self.n_synapses + synapse, tuple(self.spikes.shape))

    def own(self, x: Any) -> Any:
        """Values of a synaptic variable, one for each synapse or served synapse."""
        return x if self.dense else super().own(x)

    def at(self, x: Any, index: Tensor) -> Any:
        """Values of a neuronal variable, seen from each synapse or served synapse."""
        if not self.dense or not isinstance(x, Tensor) or x.dim() == 0:
            return super().at(x, index)
        return x[..., index]

    def shared(self, x: Any) -> Any:
        """Value of a shared variable, "batch 1", for each served synapse."""
        return x if self.dense else super().shared(x)

    def accumulate(self, target: Tensor, index: Tensor, value: Any) -> Tensor:
        """target[index] += value where an event arrives."""
        if not self.dense:
            return super().accumulate(target, index, value) if self.count else target
        spikes = (events.spikes for events in self.arriving)
        return _Propagate.apply(target, _tensor(value, target), self, index, *spikes)

    def keep(self, old: Tensor, new: Any) -> Tensor:
        """A synaptic variable that takes the value `new` where an event arrives."""
        if not self.dense:
            return super().keep(old, new)
        return gate(self.spikes, _tensor(new, old).expand_as(old), old)

    def overwrite(self, old: Tensor, index: Tensor, new: Any) -> Tensor:
        """A neuronal variable that takes the value of the last event that reaches it."""
        if not self.dense:
            return super().overwrite(old, index, new) if self.count else old
        spikes = (events.spikes for events in self.arriving)
        return _Overwrite.apply(old, _tensor(new, old), self, index, *spikes)

    def sequence(self, touched: Sequence[Sequence[Tensor]], alone: bool) -> Iterator[Served]:
        """The served synapses in groups: see `Served`.

        What a spike would have done that did not occur comes first, as if it had come alone.
        """
        if not self.dense:
            yield from super().sequence(touched, alone)
            return
        unborn = [e.spikes * (1 - e.spikes.detach()) for e in self.arriving]
        yield Arrivals(self.fanout, [Events.of(spikes) for spikes in unborn])
        gates = self.spikes[self.batch, self.synapse]
        served = Served(self.batch, self.synapse, self.n_synapses, gates)
        yield from served.sequence(touched, alone)

    @cached_property
    def spikes(self) -> Tensor:
        """1 for each synapse that is served, "batch synapse"."""
        rows = torch.cat([events.spikes for events in self.arriving], dim=1)
        return rows[:, self.fanout.row_tensor]

    def event_value(self, value: Tensor) -> Tensor:
        """Values, of all synapses if `dense`, at the served ones."""
        if not self.dense or value.numel() == 1:
            return value.reshape(-1).expand(self.count)
        if value.dim() == 1:
            return value[self.synapse]
        return value[self.batch, self._column(value)]

    def _column(self, value: Tensor) -> Tensor:
        """Column of each served synapse in "batch synapse", or in "batch 1" for a shared value."""
        return self.synapse if value.shape[1] > 1 else torch.zeros_like(self.synapse)

    def value_grad(
        self, value: Tensor, grad: Tensor, index: Tensor, chosen: Tensor | None = None
    ) -> Tensor:
        """Gradient of the values: that of the target, where a (chosen) synapse was served."""
        given = grad[self.batch, index[self.synapse]]
        if chosen is not None:
            given = torch.where(chosen, given, 0)
        if value.numel() == 1:
            return given.sum().reshape(value.shape)
        if value.dim() == 1:
            return torch.zeros_like(value).index_add_(0, self.synapse, given)
        place = (self.batch, self._column(value))
        return torch.zeros_like(value).index_put_(place, given, accumulate=True)

    def spike_grads(self, value: Tensor, grad: Tensor, index: Tensor) -> list[Tensor]:
        """Gradient of every arriving spike, present or not: sum of value * grad over its row."""
        if value.dim() == 2:
            return self.by_row((value * grad[:, index]).expand(-1, len(index)))
        order = self.fanout.sorted_synapses
        weight = value.expand(len(order))[order].contiguous()
        size = (self._n_rows, grad.shape[1])
        matrix = torch.sparse_csr_tensor(self.fanout.crow, index[order], weight, size)
        rows = (matrix @ grad.T.contiguous()).T
        return list(rows.split(self.fanout.pathway.n_sources, dim=1))

    def by_row(self, per_synapse: Tensor) -> list[Tensor]:
        """Sums over the synapses of each arriving spike, "batch source" for each delay."""
        rows = per_synapse.new_zeros(per_synapse.shape[0], self._n_rows)
        rows.index_add_(1, self.fanout.row_tensor, per_synapse)
        return list(rows.split(self.fanout.pathway.n_sources, dim=1))

    @property
    def _n_rows(self) -> int:
        return len(self.fanout.delays) * self.fanout.pathway.n_sources


def _tensor(value: Any, like: Tensor) -> Tensor:
    """A value in the type of the variable that takes it."""
    if isinstance(value, Tensor):
        return value.to(like.dtype)
    return torch.tensor(value, dtype=like.dtype, device=like.device)
