"""How well spikes of a model agree with the recorded ones."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from mirrorneuron.analysis import (
    coincidence_factor,
    coincidences,
    rate_correlation,
    statistics,
    van_rossum,
)

from ._recording import DURATION, Times


@dataclass(frozen=True)
class Score:
    """Agreement of a model's spikes with the recorded ones."""

    gamma: float
    gamma_2ms: float
    gamma_corrected: float
    van_rossum: float
    rate_correlation: float
    rate: float
    cv: float


def gamma(data: Times, model: Times, precision: float) -> float:
    """Coincidence factor; -1 for trains so dense that it is not defined."""
    dense = 2 * len(model) / DURATION * precision >= 0.98
    return -1.0 if dense else coincidence_factor(data, model, DURATION, precision)


def gamma_corrected(data: Times, model: Times, precision: float = 4e-3) -> float:
    """Coincidences beyond those of shifted trains, 1 for equal trains and 0 for unrelated ones."""
    shifts = np.linspace(0.3, DURATION - 0.3, 60)
    shifted = (np.sort((model + s) % DURATION) for s in shifts)
    chance = np.mean([coincidences(data, x, precision) for x in shifted])
    found = coincidences(data, model, precision)
    return float((found - chance) / (0.5 * (len(data) + len(model)) - chance))


def score(data: Times, model: Times, dt: float) -> Score:
    """All measures of one train."""
    raster = np.zeros((round(DURATION / dt), 1), dtype=bool)
    raster[(model / dt).astype(int)] = True
    return Score(
        gamma(data, model, 4e-3),
        gamma(data, model, 2e-3),
        gamma_corrected(data, model),
        van_rossum(data, model),
        rate_correlation(data, model, DURATION, 10e-3),
        len(model) / DURATION,
        float(statistics["cv"](raster, dt)[0]),
    )


def mean_score(data: Times, models: Sequence[Times], dt: float) -> Score:
    """Mean of the measures over trains."""
    scores = [astuple(score(data, model, dt)) for model in models]
    return Score(*(float(x) for x in np.mean(scores, axis=0)))
