"""Power spectrum of a population's activity, through elephant."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from mirrorneuron._arguments import checked
from mirrorneuron.errors import DomainError

from . import _elephant
from ._contracts import check_positive
from .spike_train import SpikeTrains


@checked
class Spectrum(NamedTuple):
    """Frequencies [Hz] and one-sided power density of the mean rate [Hz²/Hz = Hz]."""

    frequency: Float[np.ndarray, " frequency"]
    density: Float[np.ndarray, " frequency"]


@checked
def power_spectrum(trains: SpikeTrains, dt: float = 1e-3, resolution: float = 2.0) -> Spectrum:
    r"""Power spectrum of the population rate, averaged over half-overlapping Hann windows.

    $S(f) = \frac{2 \Delta}{\sum w^2} \overline{|\sum_k w_k r_k e^{-2\pi i f k \Delta}|^2}$,
    with $r_k$ the population rate per neuron, its mean subtracted

    Arguments:
        trains: The population.
        dt: Length $\Delta$ of the bins in which spikes are counted [s].
        resolution: Distance of two frequencies, the inverse of a window's length [Hz].

    Returns:
        Frequencies [Hz] and $S$ [Hz]; N independent Poisson neurons of rate r have S = 2 r/N.

    Raises:
        DomainError: No neurons, or an observation shorter than a window.
        MissingDependency: elephant is not installed.

    Source: Welch 1967, doi:10.1109/TAU.1967.1161901.
    Differs from it: nothing.

    Example:
        >>> trains = SpikeTrains((np.arange(0.01, 2.0, 0.02),), duration=2.0)
        >>> spectrum = power_spectrum(trains)
        >>> bool(spectrum.density[spectrum.frequency == 50.0] > 10)
        True
    """
    asked = "power_spectrum(trains, dt, resolution)"
    check_positive(dt, asked, "dt", "s")
    check_positive(resolution, asked, "resolution", "Hz")
    if not len(trains):
        raise DomainError(
            f"{asked}: trains holds no neuron. A rate is a mean over neurons. "
            "Give SpikeTrains of at least one, silent ones included."
        )
    if trains.duration < 1 / resolution:
        raise DomainError(
            f"{asked}: the observation of {trains.duration} s is shorter than a window of "
            f"1/resolution = {1 / resolution:g} s. Write resolution={4 / trains.duration:g}."
        )
    n_bins = round(trains.duration / dt)
    bins = np.minimum((trains.pooled / dt + 1e-6).astype(np.int64), n_bins - 1)
    rate = np.bincount(bins, minlength=n_bins) / (dt * len(trains))
    return Spectrum(*_elephant.welch_psd(rate, dt, resolution))
