import numpy as np
import pytest

from mirrorneuron.analysis import SpikeTrains, power_spectrum
from mirrorneuron.errors import DomainError


def test_independent_poisson_neurons_have_a_flat_spectrum_of_twice_the_rate():
    rng = np.random.default_rng(0)
    trains = SpikeTrains.from_raster(rng.random((20_000, 10)) < 20 * 1e-3, dt=1e-3)
    spectrum = power_spectrum(trains)
    middle = (spectrum.frequency > 10) & (spectrum.frequency < 490)
    assert spectrum.density[middle].mean() == pytest.approx(2 * 20 / 10, rel=0.05)


def test_a_rhythm_is_a_peak_at_its_frequency():
    rng = np.random.default_rng(1)
    modulation = 1 + np.sin(2 * np.pi * 40 * np.arange(4000) * 1e-3)[:, None]
    trains = SpikeTrains.from_raster(rng.random((4000, 200)) < 10e-3 * modulation, dt=1e-3)
    spectrum = power_spectrum(trains)
    assert spectrum.frequency[np.argmax(spectrum.density)] == pytest.approx(40.0)


def test_the_integral_of_the_density_is_the_variance():
    rng = np.random.default_rng(2)
    raster = rng.random((50_000, 5)) < 0.02
    spectrum = power_spectrum(SpikeTrains.from_raster(raster, dt=1e-3), dt=1e-3)
    variance = np.var(raster.mean(axis=1) / 1e-3)
    assert np.trapezoid(spectrum.density, spectrum.frequency) == pytest.approx(variance, rel=0.03)


def test_what_has_no_spectrum_is_refused():
    with pytest.raises(DomainError, match="trains holds no neuron"):
        power_spectrum(SpikeTrains((), duration=1.0))
    with pytest.raises(DomainError, match=r"shorter than a window of .* Write resolution=40"):
        power_spectrum(SpikeTrains((np.array([0.05]),), duration=0.1))
