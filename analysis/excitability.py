"""Answers to steps of current: the curve of frequency over current."""

import numpy as np
from jaxtyping import Float

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError

from .spike_train import SpikeTrains


@checked
def first_interval_rate(
    trains: SpikeTrains, start: float, stop: float
) -> Float[np.ndarray, " neuron"]:
    """Inverse of the first inter-spike interval within a step of current.

    Arguments:
        trains: The population.
        start: Beginning of the step [s].
        stop: End of the step [s].

    Returns:
        Rate of each neuron, 0 where fewer than two spikes lie within the step [Hz].

    Raises:
        DomainError: The step is empty or reaches beyond the observation.

    Example:
        >>> trains = SpikeTrains((np.array([0.1, 0.32, 0.34, 0.5]),), duration=1.0)
        >>> first_interval_rate(trains, 0.3, 0.8).round(6)
        array([50.])
    """
    within = trains.between(start, stop).trains
    return np.array([1 / (t[1] - t[0]) if t.size > 1 else 0.0 for t in within])


@checked
def slope(currents: Float[np.ndarray, " step"], rates: Float[np.ndarray, " step"]) -> float:
    """Slope of the line of least squares through rates over currents [Hz/A].

    Arguments:
        currents: Of the steps [A].
        rates: Answer to each [Hz].

    Raises:
        DomainError: There are fewer than two different currents.

    Example:
        >>> round(slope(np.array([1e-10, 2e-10]), np.array([20.0, 40.0])) * 1e-12, 3)
        0.2
    """
    if np.unique(currents).size < 2:
        raise DomainError(
            f"slope(currents, rates): {np.unique(currents).size} different currents are given. A"
            " line needs two. Give at least two steps of different size."
        )
    centred = currents - currents.mean()
    return float(centred @ rates / (centred @ centred))
