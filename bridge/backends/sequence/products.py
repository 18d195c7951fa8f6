"""Products: pathways that add one number a synapse, as matrices.

Forward, the spikes that arrive in a step are multiplied by the weights. Backward, nothing is passed
on when a pathway is gone through: what arrived is kept, and the spikes of an earlier step take from
there what they brought about, delays included. The gradient of all weights is one product over
all of time.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...program import Array, Pathway
from .._plan import Matrix
from .trains import Train

BLOCK = 2**20  # bytes of the rows that are multiplied at once, which a cache holds
LEAST, MOST = 32, 32
FEW, WIDE, LARGE = 0.06, 192, 2**19  # share of spikes, and sizes, at which lists of them pay
Past = Callable[[int], Tensor]


class Product:
    """A pathway as a matrix.

    Arguments:
        matrix: What it adds to.
        pathway: The synapses.
        train: Spikes of its source.
        past: Spikes before the run by how many steps ago they were, 1 for the latest.
        later: By how many steps its spikes are late for their place in the schedule.
        wanted: Whether the gradient by the weights is wanted.
    """

    def __init__(
        self,
        matrix: Matrix,
        pathway: Pathway,
        train: Train,
        past: Past,
        later: int,
        wanted: bool,
    ) -> None:
        self.matrix, self.pathway, self.train = matrix, pathway, train
        self.past, self.later, self.wanted = past, later, wanted
        self.first = self.last = 0
        self.gradient: Tensor | None = None

    def row(self, k: int, lag: int) -> Tensor:
        """Spikes that arrive in step k after a delay, "batch source"."""
        return self.train.row(k - lag - self.later) if lag <= k else self.past(lag - k)

    def rows(self, first: int, last: int, lag: int) -> Tensor:
        """The same in some steps, "time batch source"."""
        if first - lag - self.later >= self.train.first:
            return self.train.between(first - lag - self.later, last - lag - self.later)
        return torch.stack([self.row(k, lag) for k in range(first, last)])

    def open(self, first: int, last: int) -> None:
        """Begin with some steps, forward or again."""
        self.first, self.last = first, last

    def open_back(self) -> None:
        """Begin to go back through the steps that were begun last."""

    def forward(self, target: Tensor, gate: Tensor | None, k: int) -> Tensor:
        """The target with what arrives added."""
        raise NotImplementedError

    def backward(self, by: Tensor, gate: Tensor | None, k: int) -> None:
        """Keep the derivative by the target of this step."""
        raise NotImplementedError

    def pulled(self, k: int, more: Tensor | None) -> Tensor | None:
        """Derivative by the spikes of a step by all that they brought about, and more."""
        raise NotImplementedError

    def pulled_past(self, ago: int) -> Tensor | None:
        """The same by spikes before the run, so many steps ago."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget what an earlier way back left."""
        self.gradient = None

    def close_back(self) -> None:
        """Add to the gradient of the weights what the steps gone through give."""
        raise NotImplementedError


class Dense(Product):
    """A full matrix, with one delay for all synapses.

    Arguments:
        weight: "source target".
        hoisted: Whether spikes do not depend on the run, so that all products can be made at once.
    """

    def __init__(self, *args: Any, weight: Tensor, hoisted: bool) -> None:
        super().__init__(*args)
        assert self.matrix.dense is not None
        self.low, self.width = self.matrix.dense
        self.weight = weight
        self.lag = int(self.pathway.delay[0])
        self.hoisted, self.now = hoisted, self.lag == 0 and not self.later
        row = weight.element_size() * self.train.before.shape[0] * max(weight.shape)
        self.block = min(max(BLOCK // row, LEAST), MOST)
        self.added: list[Tensor] = []
        self.by: dict[int, Tensor] = {}
        self.waiting: list[Tensor] = []

    def open(self, first: int, last: int) -> None:
        super().open(first, last)
        self.added = []

    def _hoisted(self, k: int) -> Tensor:
        """What arrives in this step, of which some are computed at once."""
        if not self.added:
            last = min(k + self.block, self.last)
            rows = self.rows(k, last, self.lag)
            if self._few(k):
                made = self._events(k, last) @ self.weight
                made = made.view(last - k, -1, self.width)
            else:
                made = _flat_product(rows, self.weight)
            self.added = [*made.unbind(0)][::-1]
        return self.added.pop()

    @cached_property
    def turned(self) -> Tensor:
        """The weights, "target source"."""
        return self.weight.t().contiguous()

    def _few(self, k: int) -> bool:
        """Whether the spikes that arrive from step k on are better multiplied one by one."""
        train = self.train
        if self.weight.device.type != "cpu" or k - self.lag - self.later < train.first:
            return False
        return train.buffer.stride(1) != 0 and self.width >= WIDE and train.rate < FEW

    def _events(self, first: int, last: int, turned: bool = False) -> Tensor:
        """Spikes that arrive in some steps as a sparse matrix, "step*batch source"."""
        row, source = self.train.events()
        batch, n = self.train.before.shape
        bounds = [(k - self.lag - self.later - self.train.first) * batch for k in (first, last)]
        low, high = np.searchsorted(row, bounds)
        row, source = row[low:high] - bounds[0], source[low:high]
        shape = (n, (last - first) * batch) if turned else ((last - first) * batch, n)
        if turned:
            small = source.astype(np.uint16) if n < 2**16 else source
            order = np.argsort(small, kind="stable")
            row, source = source[order], row[order]
        start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=shape[0]))])
        ones = torch.ones(len(row), dtype=self.weight.dtype)
        begin, column = (torch.from_numpy(x.astype(np.int64)) for x in (start, source))
        return torch.sparse_csr_tensor(begin, column, ones, shape)

    def _gathered(self, row: Tensor) -> Tensor | None:
        """Product of a row of few spikes with a large matrix; None where it is no gain."""
        if self.weight.numel() < LARGE or self.weight.device.type != "cpu":
            return None
        trial, source = row.nonzero(as_tuple=True)
        if len(source) > FEW * row.numel():
            return None
        start = torch.searchsorted(trial, torch.arange(len(row)))
        return torch.nn.functional.embedding_bag(source, self.weight, start, mode="sum")

    def forward(self, target: Tensor, gate: Tensor | None, k: int) -> Tensor:
        whole = target.shape[1] == self.width
        if self.hoisted:
            more = self._hoisted(k)
        else:
            row = self.train.rows[k - self.train.first] if self.now else self.row(k, self.lag)
            few = self._gathered(row)
            if whole and gate is None and few is None:
                return torch.addmm(target, row, self.weight)
            more = row @ self.weight if few is None else few
        if gate is not None:
            more = more * gate[:, self.low : self.low + self.width]
        if whole:
            return target + more
        made = target.clone()
        made[:, self.low : self.low + self.width] += more
        return made

    def backward(self, by: Tensor, gate: Tensor | None, k: int) -> None:
        if by.shape[1] != self.width:
            by = by[:, self.low : self.low + self.width]
        if gate is not None:
            by = by * gate[:, self.low : self.low + self.width]
        self.by[k] = by
        if self.wanted:
            self.waiting.append(by)
            if len(self.waiting) == self.block or k == self.first:
                self._flush(k)

    def _flush(self, k: int) -> None:
        """Add to the gradient of the weights what the last steps give, all at once."""
        by = torch.stack(self.waiting[::-1])
        if self.gradient is None:
            self.gradient = torch.zeros_like(self.weight)
        if self._few(k):
            self.gradient += self._events(k, k + len(by), turned=True) @ by.flatten(0, 1)
        else:
            _add_over_time(self.gradient, self.rows(k, k + len(by), self.lag), by)
        self.waiting = []

    def pulled(self, k: int, more: Tensor | None) -> Tensor | None:
        by = self.by.get(k + self.lag + self.later)
        if by is None:
            return more
        return by @ self.turned if more is None else torch.addmm(more, by, self.turned)

    def pulled_past(self, ago: int) -> Tensor | None:
        by = self.by.get(self.lag - ago)
        return None if by is None else by @ self.turned

    def reset(self) -> None:
        super().reset()
        self.by, self.waiting = {}, []

    def close_back(self) -> None:
        reach = self.first + self.lag + self.later
        self.by = {k: x for k, x in self.by.items() if k < reach}


def _flat_product(rows: Tensor, weight: Tensor) -> Tensor:
    """Rows times weights, "time batch target", once for all trials where they are the same."""
    rows = rows[:, :1] if rows.stride(1) == 0 else rows
    return (rows.flatten(0, 1) @ weight).view(*rows.shape[:2], -1)


def _add_over_time(to: Tensor, rows: Tensor, by: Tensor) -> None:
    """Add the products of spikes and derivatives over trials and time, "source target"."""
    if rows.stride(1) == 0:
        rows, by = rows[:, :1], by.sum(1, keepdim=True)
    to.addmm_(rows.flatten(0, 1).t(), by.flatten(0, 1))


class Layout:
    """Where the weights of synapses stand in a sparse matrix.

    Arguments:
        row, column: Of each synapse.
        shape: Of the matrix.
        device: Where it is.
    """

    def __init__(
        self, row: Array, column: Array, shape: tuple[int, int], device: torch.device
    ) -> None:
        order = np.lexsort((column, row))
        start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=shape[0]))])
        self.order, self.start, self.column = (
            torch.from_numpy(x.astype(np.int64)).to(device) for x in (order, start, column[order])
        )
        self.shape = shape

    def of(self, weight: Tensor) -> Tensor:
        """The matrix of some weights, one a synapse."""
        return torch.sparse_csr_tensor(self.start, self.column, weight[self.order], self.shape)


class Layouts(NamedTuple):
    """The matrices of a pathway.

    Arguments:
        ahead: From all spikes that may arrive in a step to the targets, "target delay*source".
        back: From what the targets get to the spikes of a step, "source delay*target".
        turned: As `ahead`, "delay*source target".
    """

    ahead: Layout
    back: Layout
    turned: Layout

    @staticmethod
    def of(path: Pathway, post: Array, size: int, device: torch.device) -> "Layouts":
        """Those of a pathway; `post` is the element of each synapse, of `size` elements."""
        n, depth = path.n_sources, path.max_delay + 1
        ahead = (path.max_delay - path.delay) * n + path.source
        return Layouts(
            Layout(post, ahead, (size, depth * n), device),
            Layout(path.source, path.delay * size + post, (n, depth * size), device),
            Layout(ahead, post, (depth * n, size), device),
        )


class Sparse(Product):
    """A sparse matrix, with any delays.

    Arguments:
        weight: One for each synapse.
        layouts: Where they stand.
    """

    def __init__(self, *args: Any, weight: Tensor, layouts: Layouts) -> None:
        super().__init__(*args)
        self.reach, self.weight = self.pathway.max_delay, weight
        self.layouts, self.size = layouts, layouts.ahead.shape[0]
        self.ahead, self.back = layouts.ahead.of(weight), layouts.back.of(weight)
        self.empty = layouts.turned.of(torch.zeros_like(weight)) if self.wanted else None
        self.summed = self.empty
        self.by = weight.new_zeros(0)

    def forward(self, target: Tensor, gate: Tensor | None, k: int) -> Tensor:
        more = (self.ahead @ self._window(k)).t()
        if gate is not None:
            more = more * gate
        return target + more

    def _window(self, k: int) -> Tensor:
        """All spikes that may arrive in a step, "step*source batch"."""
        if k - self.reach - self.later >= self.train.first - self.train.reach and k >= self.reach:
            return self.train.window(k - self.later, self.reach)
        rows = [self.row(k, lag).t() for lag in range(self.reach, -1, -1)]
        return torch.cat(rows).contiguous()

    def reset(self) -> None:
        super().reset()
        self.by = self.weight.new_zeros(0)
        self.summed = self.empty

    def open_back(self) -> None:
        steps, more = self.last - self.first, self.reach + self.later
        batch = self.train.before.shape[0]
        made = self.weight.new_zeros(steps + more, self.size, batch)
        kept = min(more, len(self.by))
        if kept:
            made[steps : steps + kept] = self.by[:kept]
        self.by = made

    def backward(self, by: Tensor, gate: Tensor | None, k: int) -> None:
        by = by if gate is None else by * gate
        self.by[k - self.first] = by.t()
        if self.summed is not None:
            self.summed = torch.sparse.sampled_addmm(self.summed, self._window(k), by)

    def pulled(self, k: int, more: Tensor | None) -> Tensor | None:
        made = self._from(k + self.later - self.first)
        return made if more is None else more + made

    def pulled_past(self, ago: int) -> Tensor | None:
        return self._from(-ago)

    def _from(self, at: int) -> Tensor:
        window = self.by[max(at, 0) : at + self.reach + 1]
        if at < 0:
            window = torch.cat([window.new_zeros(-at, *window.shape[1:]), window])
        return (self.back @ window.flatten(0, 1)).t()

    def close_back(self) -> None:
        if self.summed is not None:
            self.gradient = torch.empty_like(self.weight)
            self.gradient[self.layouts.turned.order] = self.summed.values()
