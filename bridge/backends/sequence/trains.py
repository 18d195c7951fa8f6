"""Trains: the spikes of an event in the steps of a run, as rows of zeros and ones."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ...program import Array


class Train:
    """Spikes of one event.

    Arguments:
        before: Those of the step before the run, "batch neuron".
        reach: How many steps back they can be read.
        given: "time batch neuron" of all steps, if the run does not raise them; one trial stands
            for all.
        turned: Whether rows are wanted as "neuron batch" too, one after the other in memory.
    """

    def __init__(self, before: Tensor, reach: int, given: Tensor | None, turned: bool) -> None:
        self.before, self.reach, self.given, self.wants_turned = before, reach, given, turned
        self.first = 0
        self.rows: list[Tensor] = []
        self.buffer = before[None][:0]
        self.older: dict[int, Tensor] = {-1: before}
        self.turned = before[:0]
        self.listed: tuple[Array, Array] | None = None
        self.share: float | None = None

    def border(self, first: int) -> dict[int, Tensor]:
        """Spikes of the steps before one that can still be read."""
        known = (k for k in range(first - self.reach, first) if self.knows(k))
        return {k: self.row(k).clone() for k in known}

    def open(self, first: int, steps: int, older: dict[int, Tensor] | None = None) -> None:
        """Begin with some steps.

        Arguments:
            first: The first one.
            steps: How many.
            older: Spikes of the steps before them, where those were not made last.
        """
        older = self.border(first) if older is None else older
        self.older, self.first = {-1: self.before, **older}, first
        batch, size = self.before.shape
        if self.given is None:
            self.buffer = self.before.new_empty(steps, batch, size)
        else:
            self.buffer = self.given[first : first + steps].expand(steps, batch, size)
        self.rows = [*self.buffer.unbind(0)]
        self.listed = self.share = None
        if self.wants_turned:
            self.turned = self.before.new_zeros(self.reach + steps, size, batch)
            for k, row in older.items():
                self.turned[k - first + self.reach] = row.t()
            if self.given is not None:
                self.turned[self.reach :] = self.buffer.transpose(1, 2)

    def knows(self, k: int) -> bool:
        """Whether the spikes of a step are there."""
        return k in self.older or 0 <= k - self.first < len(self.rows)

    def row(self, k: int) -> Tensor:
        """Spikes of a step of the run, "batch neuron"."""
        return self.rows[k - self.first] if k >= self.first else self.older[k]

    def events(self) -> tuple[Array, Array]:
        """Row "step*batch" and neuron of each spike of the steps that were begun, in order."""
        if self.listed is None:
            found = np.flatnonzero((self.buffer != 0).numpy())
            self.listed = np.divmod(found, self.buffer.shape[2])
        return self.listed

    @property
    def rate(self) -> float:
        """Share of the neurons that spike, in the steps that were begun."""
        if self.share is None:
            self.share = float(self.buffer[:: max(1, len(self.buffer) // 8)].mean())
        return self.share

    def turn(self, k: int) -> None:
        """Put the spikes of a step among those that are turned."""
        if self.wants_turned:
            self.turned[k - self.first + self.reach] = self.rows[k - self.first].t()

    def window(self, k: int, reach: int) -> Tensor:
        """Those of a step and of the ones before it, the oldest first, "step*neuron batch"."""
        at = k - self.first + self.reach
        return self.turned[at - reach : at + 1].flatten(0, 1)

    def between(self, first: int, last: int) -> Tensor:
        """Rows of some steps, "time batch neuron"."""
        if first >= self.first:
            return self.buffer[first - self.first : last - self.first]
        return torch.stack([self.row(k) for k in range(first, last)])


class SpikeLists:
    """All spikes of a run as step, trial and neuron, which are listed when they are asked for.

    Arguments:
        shape: "time batch neuron".
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.parts: list[Array] = []
        self.whole: Tensor | None = None

    def add(self, first: int, rows: Tensor) -> None:
        """Take the spikes of some more steps."""
        if len(rows) == self.shape[0]:
            self.whole = rows
        else:
            self.parts.append(self._listed(first, rows))

    def _listed(self, first: int, rows: Tensor) -> Array:
        """Places of the spikes of some steps among those of all."""
        found = np.flatnonzero((rows != 0).cpu().numpy())
        return found + first * self.shape[1] * self.shape[2]

    def _places(self) -> Array:
        """Places of all spikes, in order."""
        if not self.parts and self.whole is not None:
            self.parts = [self._listed(0, self.whole)]
        if len(self.parts) != 1:
            self.parts = [np.concatenate([np.empty(0, np.int64), *self.parts])]
        return self.parts[0]

    def all(self) -> tuple[Array, Array, Array]:
        """Step, trial and neuron of each, in order."""
        step, rest = np.divmod(self._places(), self.shape[1] * self.shape[2])
        return step, *np.divmod(rest, self.shape[2])

    def dense(self, like: Tensor) -> Tensor:
        """Zeros and ones, "time batch neuron"."""
        if self.whole is not None:
            return self.whole.clone()
        made = like.new_zeros(self.shape)
        made.view(-1)[torch.from_numpy(self._places()).to(like.device)] = 1
        return made

    def of_step(self, k: int) -> tuple[Array, Array]:
        """Trials and neurons of a step."""
        size = self.shape[1] * self.shape[2]
        if self.whole is not None:
            found = self._listed(0, self.whole[k : k + 1])
        else:
            low, high = np.searchsorted(self._places(), [k * size, (k + 1) * size])
            found = self._places()[low:high] - k * size
        trial, index = np.divmod(found, self.shape[2])
        return trial, index


def blocks(first: int, last: int, length: int) -> Iterator[tuple[int, int]]:
    """Stretches of a length from one step to another."""
    for low in range(first, last, length):
        yield low, min(low + length, last)
