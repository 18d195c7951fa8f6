"""Fanout: the synapses that each spike reaches, by delay."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ...program import Array, Pathway
from ...spikes import Events


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
