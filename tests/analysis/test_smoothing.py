import math

import numpy as np
import pytest

from mirrorneuron.analysis import rate_correlation, smoothed_rate
from mirrorneuron.errors import DomainError


def test_a_regular_train_has_a_constant_rate_up_to_the_borders():
    rate = smoothed_rate(np.arange(5e-3, 1.0, 10e-3), duration=1.0, width=25e-3)
    np.testing.assert_allclose(rate, 100.0, rtol=0.03)


def test_one_spike_is_a_gaussian_of_area_one():
    rate = smoothed_rate(np.array([0.5005]), duration=1.0, width=20e-3, dt=1e-3)
    t = (np.arange(1000) + 0.5) * 1e-3 - 0.5005
    expected = np.exp(-0.5 * (t / 20e-3) ** 2) / (20e-3 * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(rate, expected, atol=2e-3 * expected.max())
    assert rate.sum() * 1e-3 == pytest.approx(1.0)


def test_a_spike_on_the_grid_stays_in_its_bin():
    steps = np.arange(1000)
    rate = smoothed_rate(steps * 1e-3, duration=1.0, width=1e-6, dt=1e-3)
    np.testing.assert_allclose(rate, 1000.0)


def test_a_window_longer_than_the_observation_gives_the_mean():
    rate = smoothed_rate(np.array([0.01]), duration=0.05, width=10.0, dt=1e-3)
    np.testing.assert_allclose(rate, 20.0, rtol=1e-4)


def test_correlation_is_one_with_itself_and_negative_in_antiphase():
    a, b = np.arange(0.05, 2, 0.1), np.arange(0.1, 2, 0.1)
    assert rate_correlation(a, a, duration=2.0) == pytest.approx(1.0)
    assert rate_correlation(a, b, duration=2.0, width=15e-3) < -0.5


def test_a_silent_train_correlates_with_nothing():
    assert math.isnan(rate_correlation(np.array([0.1]), np.array([]), duration=1.0))


@pytest.mark.parametrize("name", ["duration", "width", "dt"])
def test_lengths_of_time_are_positive(name):
    with pytest.raises(DomainError, match=f"{name} is -1.0 s"):
        smoothed_rate(np.array([0.1]), **{"duration": 1.0, name: -1.0})


def test_an_observation_shorter_than_a_bin_is_refused():
    with pytest.raises(DomainError, match=r"at least one bin. Write dt=1e-06"):
        smoothed_rate(np.array([]), duration=1e-4, dt=1e-3)
