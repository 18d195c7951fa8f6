"""Spike lists: events of one kind in each trial, in the order of time."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class SpikeList:
    """Events of one kind.

    Arguments:
        times: Of the events [s], "batch event"; infinity where there is none.
        who: The element that each is of, "batch event".
        count: Number of events in each trial.
        origin: Of what was given, its index in the flattened axes "neuron spike".
    """

    times: Tensor
    who: Tensor
    count: Tensor
    origin: Tensor | None = None

    @staticmethod
    def empty(batch: int, device: torch.device) -> "SpikeList":
        """No events yet."""
        times = torch.full((batch, 16), math.inf, dtype=torch.float64, device=device)
        who = torch.zeros(batch, 16, dtype=torch.long, device=device)
        return SpikeList(times, who, torch.zeros(batch, dtype=torch.long, device=device))

    @staticmethod
    def of(times: Tensor) -> "SpikeList":
        """Events that are known beforehand.

        Arguments:
            times: "batch neuron spike" [s], infinity where there is none.
        """
        batch, size, most = times.shape
        who = torch.arange(size, device=times.device)[:, None].expand(size, most).reshape(1, -1)
        flat = times.detach().double().reshape(batch, -1)
        order = torch.argsort(flat, dim=1, stable=True)
        ordered = torch.gather(flat, 1, order)
        count = torch.isfinite(ordered).sum(1)
        kept = int(count.max()) if batch else 0
        pad = torch.full((batch, 1), math.inf, dtype=torch.float64, device=times.device)
        none = torch.zeros(batch, 1, dtype=torch.long, device=times.device)
        names = torch.gather(who.expand(batch, -1), 1, order)[:, :kept]
        return SpikeList(
            torch.cat([ordered[:, :kept], pad], 1), torch.cat([names, none], 1), count,
            order[:, :kept],
        )  # fmt: skip

    def append(self, rows: Tensor, times: Tensor, who: Tensor) -> Tensor:
        """Add an event to some trials; gives its place in each list."""
        place = self.count[rows]
        if int(place.max()) + 2 > self.times.shape[1]:
            self.times = torch.cat([self.times, torch.full_like(self.times, math.inf)], 1)
            self.who = torch.cat([self.who, torch.zeros_like(self.who)], 1)
        self.times[rows, place] = times
        self.who[rows, place] = who
        self.count[rows] += 1
        return place

    def by_neuron(self, size: int) -> tuple[Tensor, Tensor]:
        """Times as "batch neuron spike", padded with infinity, and the place of each in the list.

        Arguments:
            size: Number of elements.

        Returns:
            The times, and for each event of the list its index in the flattened other axes; of
            what is none, one beyond the last.
        """
        batch, wide = self.times.shape
        real = torch.arange(wide, device=self.times.device) < self.count[:, None]
        one_hot = torch.zeros(batch, wide, size + 1, dtype=torch.long, device=self.times.device)
        seen = torch.where(real, self.who, size)
        one_hot.scatter_(2, seen[..., None], 1)
        rank = torch.gather(one_hot.cumsum(1), 2, seen[..., None])[..., 0] - 1
        most = max(int((rank[real] + 1).max()) if bool(real.any()) else 0, 1)
        place = torch.where(real, seen * most + rank, size * most)
        made = torch.full((batch, size * most + 1), math.inf, dtype=torch.float64,
                          device=self.times.device)  # fmt: skip
        made.scatter_(1, place, torch.where(real, self.times, math.inf))
        return made[:, :-1].reshape(batch, size, most), place
