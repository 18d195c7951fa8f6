"""What the groups of a circuit did in a window of time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..recording import Spikes

Array = NDArray[Any]


@dataclass(frozen=True)
class Activity:
    """Firing of a group.

    Arguments:
        rate: Mean over the cells that fired [Hz]; 0 if none did.
        sd: Standard deviation over them [Hz].
        silent: Share of cells without a spike [1].
        everyone: Mean over all cells [Hz].
        interval: Mean of each cell's mean interval, over cells with two spikes [s]; nan without.
        cv: Mean coefficient of variation of the intervals, over cells with four spikes [1]; nan
            without.
    """

    rate: float
    sd: float
    silent: float
    everyone: float
    interval: float
    cv: float


def activity(spikes: Spikes, window: tuple[float, float]) -> Activity:
    """Firing of a group in a window from and to [s]."""
    inside = (spikes.t >= window[0]) & (spikes.t < window[1])
    index, t = spikes.index[inside], spikes.t[inside]
    length = window[1] - window[0]
    number = np.bincount(index, minlength=spikes.size)
    fired = number[number > 0] / length
    means, cvs = _intervals(index, t, spikes.size)
    return Activity(
        rate=float(fired.mean()) if len(fired) else 0.0,
        sd=float(fired.std()) if len(fired) else 0.0,
        silent=1 - len(fired) / spikes.size,
        everyone=float(number.mean() / length),
        interval=float(means.mean()) if len(means) else float("nan"),
        cv=float(cvs.mean()) if len(cvs) else float("nan"),
    )


def _intervals(index: Array, t: Array, size: int) -> tuple[Array, Array]:
    """Mean interval of each cell with one, and their variation of each cell with three."""
    order = np.lexsort((t, index))
    same = np.diff(index[order]) == 0
    interval, cell = np.diff(t[order])[same], index[order][1:][same]
    count = np.bincount(cell, minlength=size)
    mean = np.bincount(cell, interval, minlength=size) / np.maximum(count, 1)
    square = np.bincount(cell, (interval - mean[cell]) ** 2, minlength=size) / np.maximum(count, 1)
    several = count >= 3
    return mean[count > 0], np.sqrt(square[several]) / mean[several]
