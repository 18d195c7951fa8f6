"""Correlation of spike counts within a population, through elephant."""

import math

import numpy as np
from jaxtyping import Float

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError

from . import _elephant
from ._contracts import check_positive
from .spike_train import SpikeTrains


@checked
def correlation_matrix(
    trains: SpikeTrains, window: float = 5e-3
) -> Float[np.ndarray, "neuron neuron"]:
    r"""Pearson correlation of the spike counts of every pair of neurons.

    $\rho_{ij} = \mathrm{Cov}(N_i, N_j) / \sqrt{\mathrm{Var}(N_i) \mathrm{Var}(N_j)}$

    Arguments:
        trains: The population.
        window: Length of the windows in which spikes are counted; a rest is left out [s].

    Returns:
        $\rho$, with nan in the rows and columns of neurons whose count never changes [1].

    Raises:
        DomainError: Fewer than two windows fit into the observation.
        MissingDependency: elephant is not installed.

    Source: Grün & Rotter 2010 (editors), Analysis of Parallel Spike Trains,
        doi:10.1007/978-1-4419-5675-0.
    Differs from it: nothing.

    Example:
        >>> twins = SpikeTrains((np.array([0.1]), np.array([0.1])), duration=1.0)
        >>> correlation_matrix(twins).round(6)
        array([[1., 1.],
               [1., 1.]])
    """
    asked = "correlation_matrix(trains, window)"
    check_positive(window, asked, "window", "s")
    n_windows = int(trains.duration / window * (1 + 1e-9))
    if n_windows < 2:
        raise DomainError(
            f"{asked}: window is {window} s, the observation {trains.duration} s. A correlation "
            "needs two windows, and means something with many. "
            f"Write window={trains.duration / 100:g}."
        )
    return _elephant.correlation_coefficient(trains.trains, window, n_windows)


@checked
def mean_correlation(trains: SpikeTrains, window: float = 5e-3) -> float:
    r"""Mean of $\rho_{ij}$ over the pairs for which it is defined, $i < j$ [1].

    Arguments:
        trains: The population.
        window: Length of the windows in which spikes are counted [s].

    Returns:
        The mean, nan if no pair has one [1].

    Raises:
        DomainError: As in `correlation_matrix`.
        MissingDependency: elephant is not installed.

    Example:
        >>> mean_correlation(SpikeTrains((np.array([0.1]),), duration=1.0))
        nan
    """
    matrix = correlation_matrix(trains, window)
    pairs = matrix[np.triu_indices(len(trains), k=1)]
    pairs = pairs[np.isfinite(pairs)]
    return float(pairs.mean()) if pairs.size else math.nan


def pearson(a: Float[np.ndarray, " time"], b: Float[np.ndarray, " time"]) -> float:
    """Correlation of two signals of one length, nan if one of them is constant [1]."""
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt((a @ a) * (b @ b))
    return float(a @ b) / scale if scale > 0 else math.nan
