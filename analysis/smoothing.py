"""Spike trains as smooth rates, and how alike two of them are."""

import numpy as np
from jaxtyping import Float

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError

from ._contracts import check_positive
from .correlation import pearson
from .spike_train import check_times


@checked
def smoothed_rate(
    times: Float[np.ndarray, " spike"],
    duration: float,
    width: float = 25e-3,
    dt: float = 1e-3,
) -> Float[np.ndarray, " time"]:
    r"""Firing rate under a Gaussian window.

    $r(t) = \sum_i G_\sigma(t - t_i) \big/ \int_0^T G_\sigma(t - s)\, ds$

    Arguments:
        times: Spike times; several trains may be merged, and their number divided out [s].
        duration: Length of the observation $T$ [s].
        width: Standard deviation $\sigma$ of the window, cut at $4\sigma$ [s].
        dt: Distance of the times at which the rate is given [s].

    Returns:
        $r$ in the middle of each bin of length dt. The denominator corrects the borders, where
        part of the window lies outside [Hz].

    Raises:
        DomainError: Times outside the observation, an observation shorter than a bin, or a
            duration, width or dt that is not positive.

    Source: Dayan & Abbott 2001, Theoretical Neuroscience, section 1.2, ISBN 978-0-262-04199-7.
    Differs from it: the correction at the borders.

    Example:
        >>> smoothed_rate(np.array([0.35]), duration=0.5, dt=0.1, width=1e-3).round(3)
        array([ 0.,  0.,  0., 10.,  0.])
    """
    asked = "smoothed_rate(times, duration, width, dt)"
    for name, value in (("duration", duration), ("width", width), ("dt", dt)):
        check_positive(value, asked, name, "s")
    check_times(np.unique(times), asked, duration)
    n_bins = round(duration / dt)
    if n_bins < 1:
        raise DomainError(
            f"{asked}: duration is {duration} s, dt is {dt} s. The rate needs at least one bin. "
            f"Write dt={duration / 100:g}."
        )
    # A spike at k dt belongs to bin k, whatever the rounding of k dt.
    bins = np.minimum((times / dt + 1e-6).astype(np.int64), n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    reach = int(4 * width / dt)
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) * dt / width) ** 2)
    mass = _centred(np.ones(n_bins), window)
    return _centred(counts / dt, window) / mass


@checked
def rate_correlation(
    a: Float[np.ndarray, " a"],
    b: Float[np.ndarray, " b"],
    duration: float,
    width: float = 25e-3,
    dt: float = 1e-3,
) -> float:
    r"""Pearson correlation of two smoothed rates.

    $\rho = \mathrm{Cov}(r_a, r_b) / \sqrt{\mathrm{Var}(r_a) \mathrm{Var}(r_b)}$

    Arguments:
        a: Spike times of one train [s].
        b: Spike times of the other [s].
        duration: Length of the observation [s].
        width: Standard deviation of the Gaussian window [s].
        dt: Distance of the times at which the rates are compared [s].

    Returns:
        $\rho$ between -1 and 1, nan if a rate is constant [1].

    Raises:
        DomainError: As in `smoothed_rate`.

    Source: Schreiber, Fellous, Whitmer, Tiesinga & Sejnowski 2003,
        doi:10.1016/S0925-2312(02)00838-X.
    Differs from it: the means are subtracted, so that two regular trains do not correlate.

    Example:
        >>> round(rate_correlation(np.array([0.3]), np.array([0.3]), duration=1.0), 6)
        1.0
    """
    return pearson(smoothed_rate(a, duration, width, dt), smoothed_rate(b, duration, width, dt))


def _centred(
    signal: Float[np.ndarray, " time"], window: Float[np.ndarray, " window"]
) -> Float[np.ndarray, " time"]:
    reach = window.size // 2
    return np.convolve(signal, window)[reach : reach + signal.size]
