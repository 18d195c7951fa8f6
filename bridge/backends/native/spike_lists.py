"""Spike lists: the events of a run as compiled code lists them."""

from collections.abc import Sequence

import numpy as np

from ...program import Array
from .shards import Shards

Listed = tuple[Array, Array, Array]


class SpikeLists:
    """Steps, trials and elements of the events of a run.

    Arguments:
        shards: Where the code lists them.
        events: All events, in the order of the code.
    """

    def __init__(self, shards: Shards, events: Sequence[str]) -> None:
        self.shards, self.place = shards, {event: k for k, event in enumerate(events)}
        self._lists: dict[tuple[int, int], tuple[Array, Array]] = {}
        self._all: dict[str, Listed] = {}

    def all(self, event: str) -> Listed:
        """The events of all steps."""
        if event not in self._all:
            self._all[event] = self.between(event, 0, self.shards.steps)
        return self._all[event]

    def between(self, event: str, low: int, high: int) -> Listed:
        """The events of some steps, in order."""
        found: list[Listed] = []
        for number, (first, last) in enumerate(self.shards.bounds):
            width = last - first
            start, index = self._list(self.place[event], number)
            start = start[(low + 1) * width : (high + 1) * width + 1]
            index = index[start[0] : start[-1]]
            row = np.repeat(np.arange(len(start) - 1), np.diff(start))
            found.append((row // width + low, row % width + first, index.astype(np.int64)))
        if len(found) == 1:
            return found[0]
        steps, trials, index = (np.concatenate(x) for x in zip(*found, strict=True))
        order = np.argsort(steps, kind="stable")
        return steps[order], trials[order], index[order]

    def _list(self, event: int, number: int) -> tuple[Array, Array]:
        """A shard's list of an event."""
        key = event, number
        return self._lists[key] if key in self._lists else self.shards.events(*key)

    def close(self) -> None:
        """Copy the lists, for those who read the recording, and free the memory of the code."""
        for event in self.place.values():
            for number in range(len(self.shards)):
                start, index = self._list(event, number)
                self._lists[event, number] = (start.copy(), index.copy())
        self.shards.release()
