"""Laws of every statistic in `analysis/statistics/`; a new file meets them without a new test."""

import itertools
import math

import numpy as np
import pytest

from mirrorneuron.analysis import Statistic, statistics
from mirrorneuron.analysis._contracts import check_raster
from mirrorneuron.errors import DomainError

DT = 1e-3
UNITS = {"1", "Hz", "s"}


@pytest.fixture(scope="module")
def raster():
    """Eight neurons for 4 s at 2 to 40 Hz; neuron 3 is silent, neuron 5 spikes once."""
    rng = np.random.default_rng(1)
    spikes = rng.random((4000, 8)) < np.geomspace(2, 40, 8) * DT
    spikes[:, 3] = False
    spikes[:, 5] = False
    spikes[1234, 5] = True
    return spikes


@pytest.fixture(params=sorted(statistics))
def statistic(request):
    return statistics[request.param]


def direct_rate(steps, n_steps):
    return len(steps) / (n_steps * DT)


def direct_cv(steps, n_steps):
    intervals = [b - a for a, b in itertools.pairwise(steps)]
    if len(intervals) < 2:
        return math.nan
    mean = sum(intervals) / len(intervals)
    return math.sqrt(sum((i - mean) ** 2 for i in intervals) / len(intervals)) / mean


def direct_of_neighbours(term):
    def formula(steps, n_steps):
        intervals = [b - a for a, b in itertools.pairwise(steps)]
        terms = [term(a, b) for a, b in itertools.pairwise(intervals)]
        return sum(terms) / len(terms) if terms else math.nan

    return formula


def direct_fano(steps, n_steps):
    counts = [sum(100 * w <= s < 100 * (w + 1) for s in steps) for w in range(n_steps // 100)]
    mean = sum(counts) / len(counts)
    return sum((c - mean) ** 2 for c in counts) / len(counts) / mean if mean else math.nan


DIRECT = {
    "rate": direct_rate,
    "cv": direct_cv,
    "cv2": direct_of_neighbours(lambda a, b: 2 * abs(b - a) / (a + b)),
    "lv": direct_of_neighbours(lambda a, b: 3 * (a - b) ** 2 / (a + b) ** 2),
    "fano": direct_fano,
}


def test_the_registry_holds_what_the_design_names():
    assert set(statistics) >= {"rate", "cv", "cv2", "lv", "fano"}
    assert all(isinstance(found, Statistic) for found in statistics.values())


def test_permuted_neurons_permute_the_result(statistic, raster):
    order = np.random.default_rng(2).permutation(raster.shape[1])
    np.testing.assert_array_equal(
        statistic(raster[:, order], DT), statistic(raster, DT)[order], strict=True
    )


def test_one_value_a_neuron_in_float64(statistic, raster):
    values = statistic(raster, DT)
    assert values.shape == (raster.shape[1],)
    assert values.dtype == np.float64


def test_a_silent_neuron_has_the_declared_value(statistic, raster):
    np.testing.assert_equal(statistic(raster, DT)[3], statistic.silent)


def test_silence_is_a_number_only_for_a_rate(statistic):
    assert math.isnan(statistic.silent) or (statistic.silent == 0.0 and statistic.unit == "Hz")


def test_active_neurons_have_a_value(statistic, raster):
    assert np.isfinite(statistic(raster, DT)[[0, 4, 6, 7]]).all()


def test_the_unit_is_declared_and_scales_with_time(statistic, raster):
    assert statistic.unit in UNITS
    factor = {"1": 1.0, "Hz": 0.5, "s": 2.0}[statistic.unit]
    if statistic is statistics["fano"]:
        slow = statistic(raster, 2 * DT, window=0.2)
    else:
        slow = statistic(raster, 2 * DT)
    np.testing.assert_allclose(slow, factor * statistic(raster, DT), rtol=1e-12)


def test_the_values_equal_the_formula_of_the_docstring(statistic, raster):
    name = next(name for name, found in statistics.items() if found is statistic)
    steps = [np.flatnonzero(column).tolist() for column in raster.T]
    expected = [DIRECT[name](train, raster.shape[0]) for train in steps]
    np.testing.assert_allclose(statistic(raster, DT), expected, rtol=1e-12)


def test_the_docstring_gives_formula_and_source(statistic):
    text = statistic.__doc__
    assert "$" in text
    assert "Source:" in text
    assert "Differs from it:" in text


def test_no_neurons_give_no_values(statistic):
    assert statistic(np.zeros((100, 0), dtype=bool), DT).shape == (0,)


def test_counts_are_refused():
    expected = r"CV: spikes is an array of int64 with shape \(5, 2\).* Write \(spikes > 0\)"
    with pytest.raises(DomainError, match=expected):
        check_raster(np.ones((5, 2), dtype=np.int64), DT, "CV")


@pytest.mark.parametrize("dt", [0.0, -1e-3, math.nan, math.inf])
def test_a_step_without_length_is_refused(statistic, raster, dt):
    with pytest.raises(DomainError, match=r"dt is .* has to be a finite number above zero"):
        statistic(raster, dt)
