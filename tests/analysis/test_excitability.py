"""Curves of frequency over current."""

import numpy as np
import pytest

from mirrorneuron.analysis import SpikeTrains, first_interval_rate, slope
from mirrorneuron.errors import DomainError

TRAINS = SpikeTrains(
    (np.array([0.1, 0.21, 0.23, 0.4]), np.array([0.05, 0.25]), np.array([])), duration=0.5
)


def test_the_first_interval_is_that_of_two_spikes_within_the_step() -> None:
    assert first_interval_rate(TRAINS, 0.2, 0.5) == pytest.approx([50, 0, 0])
    assert first_interval_rate(TRAINS, 0.0, 0.5) == pytest.approx([1 / 0.11, 5, 0])


def test_a_step_beyond_the_observation_is_refused() -> None:
    with pytest.raises(DomainError, match="has to lie within it"):
        first_interval_rate(TRAINS, 0.4, 0.6)


def test_the_slope_is_that_of_the_line_of_least_squares() -> None:
    currents, rates = np.array([1.0, 2.0, 4.0, 5.0]), np.array([3.0, 4.0, 9.0, 10.0])
    assert slope(currents, rates) == pytest.approx(np.polyfit(currents, rates, 1)[0])


def test_one_current_makes_no_line() -> None:
    with pytest.raises(DomainError, match=r"1 different currents are given\. A line needs two"):
        slope(np.array([2.0, 2.0]), np.array([1.0, 3.0]))
