"""Metrics between two spike trains, through elephant."""

import math

import numpy as np
from jaxtyping import Float

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError

from . import _elephant
from ._contracts import check_positive
from .spike_train import check_times


@checked
def van_rossum(a: Float[np.ndarray, " a"], b: Float[np.ndarray, " b"], tau: float = 10e-3) -> float:
    r"""Distance of two trains after each spike has become a decaying exponential.

    $D^2 = \frac{2}{\tau} \int_0^\infty (f - g)^2 dt$,
    with $f(t) = \sum_i \Theta(t - t_i) e^{-(t - t_i)/\tau}$

    Arguments:
        a: Spike times of one train [s].
        b: Spike times of the other [s].
        tau: $\tau$: spikes much closer than it are the same [s].

    Returns:
        $D$, 1 between a single spike and an empty train [1].

    Raises:
        DomainError: A train is unsorted, or tau is not positive.
        MissingDependency: elephant is not installed.

    Source: van Rossum 2001, doi:10.1162/089976601300014321.
    Differs from it: $D^2$ is twice as large, as in elephant, so that one spike has length 1.

    Example:
        >>> van_rossum(np.array([0.1]), np.array([]))
        1.0
    """
    asked = "van_rossum(a, b, tau)"
    check_positive(tau, asked, "tau", "s")
    check_times(a, f"{asked}: a")
    check_times(b, f"{asked}: b")
    return _elephant.van_rossum_distance(a, b, tau)


@checked
def victor_purpura(
    a: Float[np.ndarray, " a"], b: Float[np.ndarray, " b"], cost: float = 100.0
) -> float:
    r"""Cheapest way to turn one train into the other by adding, deleting and shifting spikes.

    Adding or deleting a spike costs 1, shifting it by $\delta$ costs $q \delta$.

    Arguments:
        a: Spike times of one train [s].
        b: Spike times of the other [s].
        cost: $q$; 0 compares counts, beyond $2/q$ a shift is never worth it [1/s].

    Returns:
        The total cost [1].

    Raises:
        DomainError: A train is unsorted, or the cost is negative or not finite.
        MissingDependency: elephant is not installed.

    Source: Victor & Purpura 1996, the metric D^spike[q], doi:10.1152/jn.1996.76.2.1310.
    Differs from it: nothing.

    Example:
        >>> victor_purpura(np.array([0.1]), np.array([]), cost=100.0)
        1.0
    """
    asked = "victor_purpura(a, b, cost)"
    if not (cost >= 0 and math.isfinite(cost)):
        raise DomainError(
            f"{asked}: cost is {cost} 1/s. A shift cannot pay, and must be possible. "
            "Write cost=100.0, for which 20 ms of shift cost as much as two new spikes."
        )
    check_times(a, f"{asked}: a")
    check_times(b, f"{asked}: b")
    return _elephant.victor_purpura_distance(a, b, cost)
