"""Local variation of the inter-spike intervals."""

import numpy as np
from jaxtyping import Bool, Float

from .. import _elephant
from .._contracts import statistic
from ..spike_train import per_intervals


@statistic(unit="1", label="LV")
def lv(
    spikes: Bool[np.ndarray, "time neuron"],
    dt: float,
) -> Float[np.ndarray, " neuron"]:
    r"""Irregularity between neighbouring intervals, 1 for a Poisson process, 0 for a clock.

    $LV = \frac{1}{n-1} \sum_{i=1}^{n-1} \frac{3 (I_i - I_{i+1})^2}{(I_i + I_{i+1})^2}$

    Arguments:
        spikes: True where a neuron spikes in a step.
        dt: Length of a step [s].

    Returns:
        $LV$ of each neuron, nan with fewer than two intervals [1].

    Source: Shinomoto, Shima & Tanji 2003, definition of LV, doi:10.1162/089976603322518759.
    Differs from it: nothing.

    Example:
        >>> lv(np.array([[True], [True], [False], [False], [True]]), dt=1e-3)
        array([0.75])
    """
    return per_intervals(_elephant.lv, spikes, dt)
