"""Synapses that spikes reach in a step, and what statements do to the variables on either side.

Without gradients, statements are executed for the synapses that receive a spike, in Brian2's order
(`ActiveSynapses`). With them, they are evaluated for every synapse and gated by its spike
(`GatedSynapses`), so that a spike which did not occur has a gradient too.
"""

import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...draws import Sites
from ...program import Array
from ...spikes import Events
from .fanout import Fanout
from .spike_functions import gate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor(torch.tensor([0, 1]), torch.tensor([0]), torch.ones(1), (1, 1))


class _Propagate(torch.autograd.Function):
    """x[post] += value for each active synapse; backward also for silent ones."""

    @staticmethod
    def forward(
        ctx: Any,
        target: Tensor,
        value: Tensor,
        route: "GatedSynapses",
        index: Tensor,
        *spikes: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(value, index)
        ctx.route = route
        return _add(target, route.at_events(value), route.active, index)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        value, index = ctx.saved_tensors
        route: GatedSynapses = ctx.route
        (grad,) = grads
        needs = ctx.needs_input_grad
        by_value = route.value_grad(value, grad, index) if needs[1] else None
        by_spikes: Sequence[Tensor | None] = [None] * len(route.arriving)
        if any(needs[4:]):
            by_spikes = route.spike_grads(value, grad, index)
        return (grad if needs[0] else None, by_value, None, None, *by_spikes)


class _Overwrite(torch.autograd.Function):
    """x[post] = value for each active synapse; backward also for silent ones.

    A spike moves x from what it is to the value: for the synapse that was active last, from what
    it was before; for silent ones, from what it is now.
    """

    @staticmethod
    def forward(
        ctx: Any, old: Tensor, value: Tensor, route: "GatedSynapses", index: Tensor, *spikes: Tensor
    ) -> Tensor:
        last = route.active.last(old.shape, index)
        new = _take(old, route.at_events(value), last)
        ctx.save_for_backward(value, index, last, old, new)
        ctx.route = route
        return new

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        value, index, last, old, new = ctx.saved_tensors
        route: GatedSynapses = ctx.route
        needs = ctx.needs_input_grad
        taken = torch.where(last > 0, grads[0], 0)
        winner = torch.zeros(route.active.count, dtype=torch.bool, device=last.device)
        winner[last[last > 0] - 1] = True
        by_spikes: Sequence[Tensor | None] = [None] * len(route.arriving)
        if any(needs[4:]):
            from_where = new[:, index].clone()
            who = (route.active.batch[winner], route.active.synapse[winner])
            from_where[who] = old[who[0], index[who[1]]]
            by_spikes = route.by_row((value - from_where) * grads[0][:, index])
        return (
            grads[0] - taken if needs[0] else None,
            route.value_grad(value, taken, index, winner) if needs[1] else None,
            None,
            None,
            *by_spikes,
        )


def _add(target: Tensor, value: Tensor, synapses: "ActiveSynapses", index: Tensor) -> Tensor:
    """Add event values to their targets one after the other, as `numpy.add.at` does."""
    place = index[synapses.synapse] + synapses.batch * target.shape[1]
    flat = target.reshape(-1).index_add(0, place, value.to(target.dtype))
    return flat.view(target.shape)


def _take(old: Tensor, values: Tensor, last: Tensor) -> Tensor:
    """The value of the event that came last, where one came."""
    if not len(values):
        return old.clone()
    return torch.where(last > 0, values.to(old.dtype)[(last - 1).clamp(min=0)], old)


class ActiveSynapses:
    """Synapses that receive a spike in this step, in the order in which Brian2 serves them.

    Arguments:
        batch, synapse: Trial and synapse.
        n_synapses: Number of synapses that there are.
        places: Where they are among those that they were chosen from.
        gates: The spike of each, 1, where a gradient goes back through it.
    """

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
    def all(n_synapses: int, batch_size: int, device: torch.device) -> "ActiveSynapses":
        """Every synapse of every trial."""
        batch = torch.arange(batch_size, device=device).repeat_interleave(n_synapses)
        each = torch.arange(n_synapses, device=device).repeat(batch_size)
        return ActiveSynapses(batch, each, n_synapses)

    @property
    def idle(self) -> bool:
        """Whether nothing would change."""
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
        value = as_type_of(target, value).expand(self.count)
        return _add(target, value if self.gates is None else value * self.gates, self, index)

    def fitted(self, old: Tensor, new: Any) -> Tensor:
        """A value for each of the synapses, in the type of the variable that takes it."""
        return as_type_of(old, new).expand(self.count)

    def keep(self, old: Tensor, new: Any, now: Tensor | None = None, left: Any = None) -> Tensor:
        """A synaptic variable that takes the value `new`.

        Arguments:
            old: Its values as they are stored.
            new: Its new values.
            now: What the stored values have become since a spike last came; by default the same.
            left: What is left now of a change of the stored values.
        """
        where = (self.batch, self.synapse)
        value = self.fitted(old, new)
        if self.gates is not None:
            worth = None if now is None else (value - now).detach()
            value = gate(self.gates, value, old[where], worth)
        return self._put(old, where, value)

    def mark(self, old: Tensor, new: Any) -> Tensor:
        """A synaptic variable that takes the value `new`, whatever the gradient of a spike."""
        return self._put(old, (self.batch, self.synapse), self.fitted(old, new))

    def _put(self, old: Tensor, where: tuple[Tensor, Tensor], value: Tensor) -> Tensor:
        return (
            old.index_put(where, value) if torch.is_grad_enabled() else old.index_put_(where, value)
        )

    def overwrite(self, old: Tensor, index: Tensor, new: Any) -> Tensor:
        """A neuronal variable that takes the value of the last active synapse."""
        value = as_type_of(old, new).expand(self.count)
        value = self._gated(value, old[self.batch, index[self.synapse]])
        return _take(old, value, self.last(old.shape, index))

    def at_events(self, value: Tensor) -> Tensor:
        """A value for each active synapse."""
        return value.expand(self.count)

    def _gated(self, new: Tensor, old: Tensor) -> Tensor:
        return new if self.gates is None else gate(self.gates, new, old)

    def last(self, shape: Sequence[int], index: Tensor) -> Tensor:
        """Which synapse reaches each neuron last, counted from 1; 0 where none does."""
        latest = np.zeros(shape, dtype=np.int64)
        place = index[self.synapse].cpu().numpy()
        latest[self.batch.cpu().numpy(), place] = np.arange(1, self.count + 1)
        return torch.from_numpy(latest).to(self.batch.device)

    def sequence(
        self, touched: Sequence[Sequence[Tensor]], alone: bool
    ) -> Iterator["ActiveSynapses"]:
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
            yield ActiveSynapses(batch, synapse, self.n_synapses, gates, chosen)

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


class GatedSynapses:
    """All synapses of a pathway, one value for each, gated by the spikes that arrive.

    Arguments:
        fanout: The pathway.
        arriving: Spikes that arrive in this step, one entry for each delay.
        active: Those that spikes reach.
    """

    places = None

    def __init__(
        self, fanout: Fanout, arriving: Sequence[Events], active: ActiveSynapses | None = None
    ) -> None:
        self.fanout, self.arriving = fanout, tuple(arriving)
        self.active = active or active_synapses(fanout, arriving)

    @property
    def idle(self) -> bool:
        """Never: a spike that did not occur has a gradient."""
        return False

    def sites(self, mask: Any = None) -> Sites:
        """Where random numbers are drawn, in the order of service; only where `mask` holds."""
        at, n_synapses = self.active, self.active.n_synapses
        batch, synapse = at.batch.cpu().numpy(), at.synapse.cpu().numpy()
        if isinstance(mask, Tensor):
            keep = mask[at.batch, at.synapse].cpu().numpy()
            batch, synapse = batch[keep], synapse[keep]
        return Sites(batch, batch * n_synapses + synapse, tuple(self.spikes.shape))

    def own(self, x: Any) -> Any:
        """Values of a synaptic variable."""
        return x

    def at(self, x: Any, index: Tensor) -> Any:
        """Values of a neuronal variable, seen from each synapse."""
        return x[..., index] if isinstance(x, Tensor) and x.dim() else x

    def shared(self, x: Any) -> Any:
        """Value of a shared variable, "batch 1"."""
        return x

    def accumulate(self, target: Tensor, index: Tensor, value: Any) -> Tensor:
        """target[index] += value where a spike arrives."""
        spikes = (events.spikes for events in self.arriving)
        return _Propagate.apply(target, as_type_of(target, value), self, index, *spikes)

    def fitted(self, old: Tensor, new: Any) -> Tensor:
        """A value for each synapse, in the type of the variable that takes it."""
        return as_type_of(old, new).expand_as(old)

    def keep(self, old: Tensor, new: Any, now: Tensor | None = None, left: Any = None) -> Tensor:
        """A synaptic variable that takes the value `new` where a spike arrives.

        A spike that does not come would change the value of now; of what is stored, it is worth
        as much more as has decayed since.
        """
        value, spikes = self.fitted(old, new), self.spikes
        if now is None:
            return gate(spikes, value, old)
        with torch.no_grad():
            worth = value - now
            stored = torch.where(left != 0, worth / left, 0)
        return gate(spikes, value, old, torch.where(spikes > 0, worth, stored))

    def mark(self, old: Tensor, new: Any) -> Tensor:
        """A synaptic variable that takes the value `new`, whatever the gradient of a spike."""
        return torch.where(self.spikes > 0, self.fitted(old, new), old)

    def overwrite(self, old: Tensor, index: Tensor, new: Any) -> Tensor:
        """A neuronal variable that takes the value of the last active synapse."""
        spikes = (events.spikes for events in self.arriving)
        return _Overwrite.apply(old, as_type_of(old, new), self, index, *spikes)

    def sequence(
        self, touched: Sequence[Sequence[Tensor]], alone: bool
    ) -> Iterator["GatedSynapses | ActiveSynapses"]:
        """The surrogate gradient of silent synapses, then the active ones in groups.

        For silent ones, each statement is executed as if that synapse alone had received a spike:
        s (1 - s0), with s0 the value of s, is zero and has the derivative 1 where s is zero.
        """
        silent = [e.spikes * (1 - e.spikes.detach()) for e in self.arriving]
        yield GatedSynapses(self.fanout, [Events.of(spikes) for spikes in silent])
        at = self.active
        gates = self.spikes[at.batch, at.synapse]
        active = ActiveSynapses(at.batch, at.synapse, at.n_synapses, gates)
        yield from active.sequence(touched, alone)

    @cached_property
    def spikes(self) -> Tensor:
        """1 for each synapse that receives a spike, "batch synapse"."""
        rows = torch.cat([events.spikes for events in self.arriving], dim=1)
        return rows[:, self.fanout.row_tensor]

    def at_events(self, value: Tensor) -> Tensor:
        """Values of all synapses at the active ones."""
        at = self.active
        if value.numel() == 1:
            return value.reshape(-1).expand(at.count)
        if value.dim() == 1:
            return value[at.synapse]
        return value[at.batch, self._column(value)]

    def _column(self, value: Tensor) -> Tensor:
        """Column of each active synapse in "batch synapse", or in "batch 1" for a shared value."""
        synapse = self.active.synapse
        return synapse if value.shape[1] > 1 else torch.zeros_like(synapse)

    def value_grad(
        self, value: Tensor, grad: Tensor, index: Tensor, chosen: Tensor | None = None
    ) -> Tensor:
        """Gradient of the values: that of the target, where a (chosen) synapse was active."""
        at = self.active
        given = grad[at.batch, index[at.synapse]]
        if chosen is not None:
            given = torch.where(chosen, given, 0)
        if value.numel() == 1:
            return given.sum().reshape(value.shape)
        if value.dim() == 1:
            return torch.zeros_like(value).index_add_(0, at.synapse, given)
        place = (at.batch, self._column(value))
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


def active_synapses(fanout: Fanout, arriving: Sequence[Events]) -> ActiveSynapses:
    """The synapses that arriving spikes reach."""
    batch, synapse = (torch.from_numpy(x).to(fanout.device) for x in fanout.served(arriving))
    return ActiveSynapses(batch, synapse, len(fanout.pathway.source))


def reached_synapses(fanout: Fanout, arriving: Sequence[Events]) -> ActiveSynapses | GatedSynapses:
    """The synapses for which statements are executed: all of them where gradients pass."""
    active = active_synapses(fanout, arriving)
    if torch.is_grad_enabled() and any(e.carries_gradient for e in arriving):
        return GatedSynapses(fanout, arriving, active)
    return active


def scaled(
    synapses: ActiveSynapses | GatedSynapses, old: Tensor, index: Tensor, value: Any, divide: bool
) -> Tensor:
    """A neuronal variable that is multiplied, or divided, by one value after the other."""
    value = as_type_of(old, value)
    for part in synapses.sequence([[index]], alone=False):
        x = part.at(old, index)
        factor = value if part.places is None else synapses.at_events(value)[part.places]
        old = part.overwrite(old, index, x / factor if divide else x * factor)
    return old


def as_type_of(variable: Tensor, value: Any) -> Tensor:
    """A value in the type of the variable that takes it."""
    if isinstance(value, Tensor):
        return value.to(variable.dtype)
    return torch.tensor(value, dtype=variable.dtype, device=variable.device)
