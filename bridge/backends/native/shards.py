"""Shards: the trials of a batch in parts, each with memory of its own in compiled code.

Their bounds do not depend on the number of threads, and neither does any sum.
"""

import ctypes
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch

from mirrorneuron.errors import BuildError

from ...program import Array
from ...spikes import Events

SIZE = 32  # trials


class Shards:
    """Parts of a batch. They live as long as this object.

    Arguments:
        library: The compiled code.
        batch: Number of trials.
        steps: Of the run.

    Raises:
        BuildError: There is not enough memory.
    """

    def __init__(self, library: ctypes.CDLL, batch: int, steps: int) -> None:
        self.library, self.batch, self.steps = library, batch, steps
        self.bounds = [(b, min(b + SIZE, batch)) for b in range(0, batch, SIZE)]
        self._held: list[int] = []
        for low, high in self.bounds:
            shard = library.shard_new(low, high, steps)
            if not shard:
                raise _no_memory()
            self._held.append(shard)

    def __len__(self) -> int:
        return len(self.bounds)

    def begin(self, before: Mapping[str, Events]) -> None:
        """Put the events of the step before the first one into their lists."""
        for k, events in enumerate(before.values()):
            counts = np.bincount(events.batch, minlength=self.batch)
            start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            index = events.index[np.argsort(events.batch, kind="stable")].astype(np.int32)
            for shard in self._held:
                self.library.shard_begin(shard, k, start.ctypes.data, index.ctypes.data)

    def call(
        self, name: str, pointers: Any, steps: tuple[int, int], first: int, base: int, tape: bool
    ) -> None:
        """Call a function for each shard, on as many threads as torch has.

        Arguments:
            name: Of the function.
            pointers: Arrays of the run.
            steps: The first step and the one after the last.
            first: Step count at which the run starts.
            base: Step of which the kept values come first.
            tape: Whether what the way back needs is kept.

        Raises:
            BuildError: There is not enough memory.
        """
        function = getattr(self.library, name)

        def one(k: int) -> int:
            return function(ctypes.addressof(pointers), self._held[k], k, *steps, first,
                            self.batch, base, int(tape))  # fmt: skip

        threads = torch.get_num_threads()
        if len(self) > 1 and threads > 1:
            failed = any(_pool(threads).map(one, range(len(self))))
        else:
            failed = max(one(k) for k in range(len(self))) > 0
        if failed:
            raise _no_memory()

    def events(self, event: int, number: int) -> tuple[Array, Array]:
        """A shard's list of an event, in the memory of the code.

        Arguments:
            event: Its place among all.
            number: Of the shard.

        Returns:
            Where the events of each step and trial start, and the elements.
        """
        (low, high), shard = self.bounds[number], self._held[number]
        size = (self.steps + 1) * (high - low) + 1
        start = _seen(self.library.shard_start(shard, event), size, np.int64)
        return start, _seen(self.library.shard_events(shard, event), int(start[-1]), np.int32)

    def rewind(self) -> None:
        """Forget what statements replaced, to make steps again."""
        for shard in self._held:
            self.library.shard_rewind(shard)

    def free_undo(self) -> None:
        """Give back the memory of what statements replaced."""
        for shard in self._held:
            self.library.shard_free_undo(shard)

    def release(self) -> None:
        """Give all memory back."""
        while self._held:
            self.library.shard_free(self._held.pop())

    def __del__(self) -> None:
        if hasattr(self, "_held"):
            self.release()


def _seen(address: int | None, n: int, dtype: Any) -> Array:
    """An array of the code, as long as it is there."""
    if not n or not address:
        return np.empty(0, dtype)
    ctype = np.ctypeslib.as_ctypes_type(dtype)
    return np.ctypeslib.as_array((ctype * n).from_address(address))


def _no_memory() -> BuildError:
    return BuildError(
        "run(...): there is not enough memory for the spikes of the run, or for what the gradient"
        " needs of its steps. Run fewer trials at once, or a shorter time."
    )


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="mirrorneuron")


os.register_at_fork(after_in_child=_pool.cache_clear)
