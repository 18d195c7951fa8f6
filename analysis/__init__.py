"""Spike trains in numbers and pictures: statistics, distances, validation, figures, reports.

Knows numpy, never torch or Brian2. The figures are in `plot`.
"""

import typing as _typing

if __name__ == "analysis":
    raise ImportError(
        "import analysis: the package is a part of mirrorneuron, and a second copy of it would "
        "mean two classes of one name. Write import mirrorneuron.analysis."
    )

from ._contracts import Statistic, statistic
from .coincidence import coincidence_factor, coincidences, f1, first_divergence
from .complexity import Complexity, complexity
from .correlation import correlation_matrix, mean_correlation
from .distance import van_rossum, victor_purpura
from .excitability import first_interval_rate, slope
from .oscillation import Oscillation, coupling_coefficient, oscillation, phase_coherence
from .population import population, population_rate, populations
from .report import Picture, Table, page, write_page
from .smoothing import rate_correlation, smoothed_rate
from .spectrum import Spectrum, power_spectrum
from .spike_train import SpikeTrains
from .statistics import statistics
from .validate import Validation, judge
from .validation import Comparison, Events, LockedStep, Spikes

__all__ = [
    "Comparison",
    "Complexity",
    "Events",
    "LockedStep",
    "Oscillation",
    "Picture",
    "Spectrum",
    "SpikeTrains",
    "Spikes",
    "Statistic",
    "Table",
    "Validation",
    "coincidence_factor",
    "coincidences",
    "complexity",
    "correlation_matrix",
    "coupling_coefficient",
    "f1",
    "first_divergence",
    "first_interval_rate",
    "judge",
    "mean_correlation",
    "oscillation",
    "page",
    "phase_coherence",
    "population",
    "population_rate",
    "populations",
    "power_spectrum",
    "rate_correlation",
    "slope",
    "smoothed_rate",
    "statistic",
    "statistics",
    "van_rossum",
    "victor_purpura",
    "write_page",
]

if _typing.TYPE_CHECKING:
    from . import plot as plot


def __getattr__(name: str) -> object:
    """The figures, which bring matplotlib."""
    if name == "plot":
        from importlib import import_module

        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
