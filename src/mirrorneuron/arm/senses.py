"""Senses: what a controller sees of an arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]


class Shown(NamedTuple):
    """What can be sensed.

    Arguments:
        keys: Where it is in the mirror's state.
        scale: From there to SI units.
        low, high: Bounds of the observation space.
        labels: Of each value.
    """

    keys: tuple[str, ...]
    scale: Array
    low: Array
    high: Array
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Sense:
    """Part of an observation.

    Arguments:
        name: As in `sense`.
        shown: What it shows.
        depth: Number of samples that wait, the shown one included.
        after: Plant steps of a control step after which it is sampled.
        noise: Standard deviation, in its unit.
    """

    name: str
    shown: Shown
    depth: int
    after: int
    noise: float

    @property
    def slot(self) -> str:
        """Where the memory keeps its samples, newest first: "batch depth value"."""
        return f"sensed.{self.name}"

    def read(self, state: Mapping[str, Tensor]) -> Tensor:
        """Its values in a state of the mirror, "batch value"."""
        values = torch.cat([state[key] for key in self.shown.keys], -1)
        return values * values.new_tensor(self.shown.scale)
