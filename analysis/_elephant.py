"""Elephant, neo and quantities behind one door: SI floats go in, SI floats come out.

They are imported on first use (two seconds) and are optional. Only plain float arrays meet
`pq.s`: a Brian2 quantity times `pq.s` stays a Brian2 quantity, with the wrong unit. Warnings that
tell a user nothing end here: deprecations that elephant provokes in quantities and scipy on most
calls, and silent neurons, for which the result is nan anyway.
"""

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace

import numpy as np
from jaxtyping import Float, Int

from mirrorneuron.errors import MissingDependency


@cache
def _packages() -> SimpleNamespace:
    try:
        import elephant.conversion  # pyright: ignore[reportUnusedImport]
        import elephant.spectral  # pyright: ignore[reportUnusedImport]
        import elephant.spike_train_correlation  # pyright: ignore[reportUnusedImport]
        import elephant.spike_train_dissimilarity  # pyright: ignore[reportUnusedImport]
        import elephant.statistics  # pyright: ignore[reportUnusedImport]
        import neo
        import quantities
    except ImportError as missing:
        raise MissingDependency(
            "mirrorneuron.analysis (spike statistics)", missing.name or "elephant", "validate"
        ) from missing
    return SimpleNamespace(elephant=elephant, neo=neo, pq=quantities)


@contextmanager
def _quiet() -> Generator[SimpleNamespace]:
    packages = _packages()
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", packages.pq.QuantitiesDeprecationWarning)
        warnings.filterwarnings("ignore", "Detected empty spike trains", UserWarning)
        warnings.filterwarnings("ignore", "the matrix subclass", PendingDeprecationWarning)
        yield packages


def require() -> None:
    """Asks for the packages before a long computation.

    Raises:
        MissingDependency: elephant, neo or quantities is not installed.
    """
    _packages()


def mean_firing_rate(times: Float[np.ndarray, " spike"], duration: float) -> float:
    """Spikes a second of a train with at least one spike [Hz]."""
    with _quiet() as e:
        return float(e.elephant.statistics.mean_firing_rate(times, t_start=0.0, t_stop=duration))


def cv(intervals: Float[np.ndarray, " interval"]) -> float:
    """Coefficient of variation of at least one interval [1]."""
    with _quiet() as e:
        return float(e.elephant.statistics.cv(intervals))


def cv2(intervals: Float[np.ndarray, " interval"]) -> float:
    """CV2 of at least two intervals [1]."""
    with _quiet() as e:
        return float(e.elephant.statistics.cv2(intervals))


def lv(intervals: Float[np.ndarray, " interval"]) -> float:
    """Local variation of at least two intervals [1]."""
    with _quiet() as e:
        return float(e.elephant.statistics.lv(intervals))


def fano_factor(counts: Int[np.ndarray, " window"]) -> float:
    """Variance over mean of spike counts, nan where all are zero [1]."""
    with _quiet() as e:
        trains = [np.empty(count) for count in counts]  # elephant reads nothing but their length
        return float(e.elephant.statistics.fanofactor(trains))


def van_rossum_distance(
    a: Float[np.ndarray, " a"], b: Float[np.ndarray, " b"], time_constant: float
) -> float:
    """Distance of two trains, 1 between one spike and none [1]."""
    with _quiet() as e, warnings.catch_warnings():
        # Equal trains may come out as -1e-16, which elephant sets to zero and reports.
        warnings.filterwarnings("ignore", "van_rossum_distance", RuntimeWarning)
        pair = [a * e.pq.s, b * e.pq.s]
        distance = e.elephant.spike_train_dissimilarity.van_rossum_distance
        return float(distance(pair, time_constant * e.pq.s)[0, 1])


def victor_purpura_distance(
    a: Float[np.ndarray, " a"], b: Float[np.ndarray, " b"], cost: float
) -> float:
    """Cheapest way from one train to the other, a second of shift at `cost` [1]."""
    with _quiet() as e:
        pair = [a * e.pq.s, b * e.pq.s]
        distance = e.elephant.spike_train_dissimilarity.victor_purpura_distance
        return float(distance(pair, cost * e.pq.Hz)[0, 1])


def correlation_coefficient(
    trains: Sequence[Float[np.ndarray, " _"]], bin_size: float, n_bins: int
) -> Float[np.ndarray, "neuron neuron"]:
    """Pearson correlation of counts in bins, nan for a neuron with constant counts [1]."""
    with _quiet() as e:
        stop = n_bins * bin_size * e.pq.s
        neo_trains = [
            e.neo.SpikeTrain(times[times < n_bins * bin_size] * e.pq.s, t_stop=stop)
            for times in trains
        ]
        binned = e.elephant.conversion.BinnedSpikeTrain(
            neo_trains, bin_size=bin_size * e.pq.s, n_bins=n_bins, t_stop=stop
        )
        coefficient = e.elephant.spike_train_correlation.correlation_coefficient
        return np.atleast_2d(np.asarray(coefficient(binned), dtype=np.float64))


def welch_psd(
    signal: Float[np.ndarray, " time"], dt: float, resolution: float
) -> tuple[Float[np.ndarray, " frequency"], Float[np.ndarray, " frequency"]]:
    """One-sided power spectral density by Welch's method: frequencies [Hz] and density."""
    with _quiet() as e:
        return e.elephant.spectral.welch_psd(signal, fs=1 / dt, frequency_resolution=resolution)
