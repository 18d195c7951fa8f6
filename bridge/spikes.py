"""Spikes of one group in one step, and states that hold them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

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
