import math

import numpy as np
import pytest

from mirrorneuron.analysis import SpikeTrains, correlation_matrix, mean_correlation
from mirrorneuron.errors import DomainError


@pytest.fixture
def raster():
    rng = np.random.default_rng(0)
    spikes = rng.random((5000, 5)) < 0.02
    spikes[:, 1] |= spikes[:, 0]
    spikes[:, 4] = False
    return spikes


def test_the_matrix_equals_the_formula(raster):
    trains = SpikeTrains.from_raster(raster, dt=1e-3)
    counts = raster.reshape(1000, 5, 5).sum(axis=1)[:, :4]
    expected = np.corrcoef(counts.T)
    np.testing.assert_allclose(correlation_matrix(trains)[:4, :4], expected, atol=1e-12)


def test_a_silent_neuron_has_no_correlation(raster):
    matrix = correlation_matrix(SpikeTrains.from_raster(raster, dt=1e-3))
    assert np.isnan(matrix[4]).all()
    assert np.isnan(matrix[:, 4]).all()


def test_the_mean_leaves_undefined_pairs_out(raster):
    trains = SpikeTrains.from_raster(raster, dt=1e-3)
    matrix = correlation_matrix(trains)[:4, :4]
    assert mean_correlation(trains) == pytest.approx(matrix[np.triu_indices(4, 1)].mean())


def test_a_rest_shorter_than_a_window_is_left_out():
    trains = SpikeTrains((np.array([0.01, 0.35, 0.93]), np.array([0.02, 0.5, 0.95])), duration=0.96)
    counts = np.array([[1, 0, 0, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 1, 0, 0, 0]])
    matrix = correlation_matrix(trains, window=0.1)
    np.testing.assert_allclose(matrix, np.corrcoef(counts), atol=1e-12)


def test_one_neuron_has_no_pairs():
    assert math.isnan(mean_correlation(SpikeTrains((np.array([0.1]),), duration=1.0)))


def test_one_window_is_refused(raster):
    with pytest.raises(DomainError, match=r"window is 4.0 s, the observation 5.0 s.*window=0.05"):
        correlation_matrix(SpikeTrains.from_raster(raster, dt=1e-3), window=4.0)
