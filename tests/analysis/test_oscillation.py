"""Oscillations: frequency, size and order of traces whose oscillation is known."""

import numpy as np
import pytest

from mirrorneuron.analysis import coupling_coefficient, oscillation, phase_coherence
from mirrorneuron.errors import DomainError

DT = 1e-3
T = np.arange(0, 4, DT)[:, None]


def test_frequency_and_size_are_those_of_a_sine_between_the_bins() -> None:
    frequency = np.array([4.07, 6.66, 9.13])
    found = oscillation(-60 + 5 * np.sin(2 * np.pi * frequency * T), DT)
    assert found.frequency == pytest.approx(frequency, abs=0.02)
    assert found.amplitude == pytest.approx(10, rel=0.01)


def test_a_constant_trace_has_no_frequency_and_no_size() -> None:
    found = oscillation(np.full((4000, 2), -60.0), DT)
    assert np.all(np.isnan(found.frequency))
    assert np.all(found.amplitude == 0)


def test_a_peak_outside_of_the_band_is_not_looked_for() -> None:
    trace = np.sin(2 * np.pi * 6 * T) + 5 * np.sin(2 * np.pi * 40 * T)
    assert oscillation(trace, DT).frequency == pytest.approx(6, abs=0.05)


def test_order_falls_with_spread_and_does_not_depend_on_size_or_offset(
    rng: np.random.Generator,
) -> None:
    lag = np.sort(rng.normal(0, 1, 400))
    found = []
    for spread in (0.0, 0.5, 1.0, 3.0):
        trace = np.sin(2 * np.pi * 6 * T + spread * lag)
        found.append(phase_coherence(trace * rng.uniform(1, 5, 400) - 60, DT))
    expected = [abs(np.exp(1j * s * lag).mean()) for s in (0.0, 0.5, 1.0, 3.0)]
    assert found == pytest.approx(expected, abs=0.02)


def test_unrelated_noise_has_the_order_of_chance(rng: np.random.Generator) -> None:
    found = phase_coherence(rng.normal(size=(20_000, 40)), DT)
    assert found == pytest.approx(np.sqrt(np.pi / 4 / 40), abs=0.03)


def test_a_deflection_is_compared_with_that_of_the_cell_that_gets_the_current() -> None:
    before, during = np.array([-60.0, -61.0, -62.0]), np.array([-60.5, -71.0, -62.0])
    assert coupling_coefficient(before, during, injected=1) == pytest.approx([0.05, 1, 0])
    with pytest.raises(DomainError, match=r"injected=2\): that neuron does not move"):
        coupling_coefficient(before, during, injected=2)


@pytest.mark.parametrize("function", [oscillation, phase_coherence])
def test_a_band_or_trace_without_meaning_is_refused(function: object) -> None:
    trace = np.sin(T)
    with pytest.raises(DomainError, match=r"band is \(14\.0, 2\.0\) Hz"):
        function(trace, DT, (14.0, 2.0))
    with pytest.raises(DomainError, match=r"below half the\s+sampling frequency, 500 Hz"):
        function(trace, DT, (2.0, 600.0))
    with pytest.raises(DomainError, match=r"trace is 1 s long. Below three cycles of 2 Hz"):
        function(trace[:1000], DT)
    with pytest.raises(DomainError, match=r"dt is 0\.0 s"):
        function(trace, 0.0)
