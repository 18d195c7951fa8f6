"""Firing rate."""

import numpy as np
from jaxtyping import Bool, Float

from .. import _elephant
from .._contracts import statistic


@statistic(unit="Hz", label="rate", silent=0.0)
def rate(
    spikes: Bool[np.ndarray, "time neuron"],
    dt: float,
) -> Float[np.ndarray, " neuron"]:
    r"""Spikes a second.

    $r = N / T$, with $N$ spikes in the observation $T$

    Arguments:
        spikes: True where a neuron spikes in a step.
        dt: Length of a step [s].

    Returns:
        $r$ of each neuron, 0 for a silent one: silence is a rate, and the mean over a population
        needs it [Hz].

    Source: Dayan & Abbott 2001, Theoretical Neuroscience, section 1.2, ISBN 978-0-262-04199-7.
    Differs from it: nothing.

    Example:
        >>> rate(np.array([[True, False], [True, False]]), dt=0.5)
        array([2., 0.])
    """
    duration = spikes.shape[0] * dt
    times = (np.flatnonzero(column) * dt for column in spikes.T)
    return np.array([_elephant.mean_firing_rate(t, duration) if t.size else 0.0 for t in times])
