"""Service order: the synapses that each spike reaches, in the order in which Brian2 serves them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..program import Array, Pathway


@dataclass(frozen=True)
class ServiceOrder:
    """Synapses of a pathway: long delays first, then by source.

    Arguments:
        pathway: The synapses, their sources and delays.
    """

    pathway: Pathway

    @cached_property
    def delays(self) -> tuple[int, ...]:
        """Delays that occur, in executions of the slot, longest first."""
        return tuple(int(d) for d in np.unique(self.pathway.delay)[::-1])

    @cached_property
    def row(self) -> Array:
        """Row (delay, source) of each synapse."""
        rank = np.zeros(int(self.pathway.max_delay) + 1, np.int64)
        rank[list(self.delays)] = np.arange(len(self.delays))
        return rank[self.pathway.delay] * self.pathway.n_sources + self.pathway.source

    @cached_property
    def synapse(self) -> Array:
        """Synapse at each place."""
        return np.argsort(self.row, kind="stable")

    @cached_property
    def start(self) -> Array:
        """Place where each row starts, and where the last one ends."""
        counts = np.bincount(self.row, minlength=len(self.delays) * self.pathway.n_sources)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
