"""Spikes of one group in one step, and states that hold them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, cast, overload

import numpy as np
from torch import Tensor

from .program import Array

State = dict[str, Any]


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


class Raster(Sequence[Events]):
    """Spikes of one group in all steps of a run; lists and the tensor are made when asked for.

    Arguments:
        shape: "time batch neuron".
        listed: Gives the step, the trial and the neuron of each spike, in order.
        dense: Makes the tensor of zeros and ones.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        listed: Callable[[], tuple[Array, Array, Array]],
        dense: Callable[[], Tensor],
    ) -> None:
        self.shape, self._list, self._dense = shape, listed, dense

    @cached_property
    def listed(self) -> tuple[Array, Array, Array]:
        """Step, trial and neuron of each spike, in order."""
        return self._list()

    @cached_property
    def _start(self) -> Array:
        return np.searchsorted(self.listed[0], np.arange(self.shape[0] + 1))

    @cached_property
    def tensor(self) -> Tensor:
        """1 where an element spikes, else 0."""
        return self._dense()

    @cached_property
    def _rows(self) -> tuple[Tensor, ...]:
        return self.tensor.unbind(0)

    @overload
    def __getitem__(self, k: int) -> Events: ...
    @overload
    def __getitem__(self, k: slice) -> list[Events]: ...
    def __getitem__(self, k: int | slice) -> Events | list[Events]:
        if isinstance(k, slice):
            return [self[j] for j in range(*k.indices(len(self)))]
        k = range(len(self))[k]
        low, high = self._start[k], self._start[k + 1]
        _, batch, index = self.listed
        return Events(self._rows[k], batch[low:high], index[low:high])

    def __len__(self) -> int:
        return self.shape[0]

    def __reduce__(self) -> Any:
        """A file, or another process, gets the list."""
        return list, (list(self),)


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
