import math

import numpy as np
import pytest

from mirrorneuron.analysis import van_rossum, victor_purpura
from mirrorneuron.errors import DomainError


def times(*values):
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize("shift", [0.0, 1e-3, 10e-3, 1.0])
def test_van_rossum_of_two_spikes_has_a_closed_form(shift):
    expected = math.sqrt(2 * (1 - math.exp(-shift / 10e-3)))
    assert van_rossum(times(0.1), times(0.1 + shift), tau=10e-3) == pytest.approx(
        expected, abs=1e-7
    )


def test_van_rossum_equals_the_integral_of_the_filtered_trains():
    rng = np.random.default_rng(0)
    a, b = np.sort(rng.random(12)), np.sort(rng.random(9))
    t, tau = np.linspace(0, 2, 400_001), 20e-3

    def filtered(train):
        return sum(np.where(t >= s, np.exp(-np.maximum(t - s, 0) / tau), 0) for s in train)

    integral = 2 / tau * np.sum((filtered(a) - filtered(b)) ** 2) * (t[1] - t[0])
    assert van_rossum(a, b, tau) == pytest.approx(math.sqrt(integral), rel=1e-3)


@pytest.mark.parametrize("shift", [0.0, 1e-3, 19e-3, 21e-3, 0.5])
def test_victor_purpura_of_two_spikes_is_a_shift_or_two_edits(shift):
    expected = min(100 * shift, 2)
    assert victor_purpura(times(0.1), times(0.1 + shift), cost=100.0) == pytest.approx(expected)


def test_victor_purpura_without_cost_compares_counts():
    assert victor_purpura(times(0.1, 0.2, 0.3), times(0.9), cost=0.0) == 2


@pytest.mark.parametrize("distance", [van_rossum, victor_purpura])
def test_a_distance_is_a_metric(distance):
    rng = np.random.default_rng(1)
    a, b, c = (np.sort(rng.random(n)) for n in (8, 5, 11))
    assert distance(a, a) == pytest.approx(0, abs=1e-6)
    assert distance(a, b) == pytest.approx(distance(b, a))
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9
    assert distance(times(), times()) == 0


@pytest.mark.parametrize("distance", [van_rossum, victor_purpura])
def test_unsorted_times_are_refused(distance):
    with pytest.raises(DomainError, match=r"b: spike 1 at 0.1 s does not come after"):
        distance(times(0.1), times(0.2, 0.1))


def test_a_scale_that_compares_nothing_is_refused():
    with pytest.raises(DomainError, match=r"tau is 0.0 s"):
        van_rossum(times(0.1), times(0.2), tau=0.0)
    with pytest.raises(DomainError, match=r"cost is -1.0 1/s.*Write cost=100.0"):
        victor_purpura(times(0.1), times(0.2), cost=-1.0)
