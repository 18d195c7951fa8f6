"""Fanout: the synapses that each spike reaches, by delay."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ...lower.service_order import ServiceOrder
from ...program import Array, Pathway
from ...spikes import Events


@dataclass(frozen=True)
class Fanout:
    """Synapses of a pathway in their order of service, as tensors.

    Arguments:
        pathway: The synapses, their sources and delays.
        device: Where tensors live.
    """

    pathway: Pathway
    device: torch.device

    @cached_property
    def order(self) -> ServiceOrder:
        """The synapses as Brian2 serves them."""
        return ServiceOrder(self.pathway)

    @property
    def delays(self) -> tuple[int, ...]:
        """Delays that occur, in steps, longest first."""
        return self.order.delays

    @cached_property
    def row_tensor(self) -> Tensor:
        """Row (delay, source) of each synapse, for gathering."""
        return torch.from_numpy(self.order.row).to(self.device)

    @cached_property
    def sorted_synapses(self) -> Tensor:
        """Synapse at each place of the order, for gathering."""
        return torch.from_numpy(self.order.synapse).to(self.device)

    @cached_property
    def crow(self) -> Tensor:
        """Where each row starts in the order: the row pointer of a sparse matrix."""
        return torch.from_numpy(self.order.start).to(self.device)

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
        start = self.order.start
        first, count = start[rows], start[rows + 1] - start[rows]
        ends = np.cumsum(count)
        place = np.arange(ends[-1]) + np.repeat(first - (ends - count), count)
        return np.repeat(batch, count), self.order.synapse[place]
