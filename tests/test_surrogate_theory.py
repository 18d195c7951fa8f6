"""Surrogate gradients in theory: integrals, biases and derivatives that have exact values."""

import numpy as np
import pytest

from mirrorneuron.studies.surrogate_theory._escape import (
    ESCAPES,
    Escape,
    mirrored,
    mixed,
    monte_carlo,
)
from mirrorneuron.studies.surrogate_theory._five_weights import (
    STEEP,
    around,
    bias,
    gradient,
    output,
)
from mirrorneuron.studies.surrogate_theory._spike_trains import Matching, deviation, filtered
from mirrorneuron.studies.surrogate_theory._two_layers import enumerate_layers

EVERY = pytest.mark.parametrize("escape", ESCAPES, ids=lambda escape: escape.name)


@EVERY
def test_the_mirror_derives_the_surrogate_that_matches_the_threshold(escape: Escape) -> None:
    x = np.array(escape.points)
    assert mirrored(escape, x) == pytest.approx(escape.surrogate(x), rel=1e-12, abs=1e-12)


@EVERY
def test_differences_of_the_mean_spike_are_the_surrogate(escape: Escape) -> None:
    exact = escape.surrogate(np.array(escape.points))
    found = monte_carlo(escape, 1_000_000, seed=1)
    assert found == pytest.approx(exact, rel=0.01, abs=0.01 * exact.max())


def test_the_mix_of_stochastic_derivatives_is_the_surrogate_for_either_outcome() -> None:
    p, slope = np.array([0.1, 0.5, 0.99]), np.array([0.3, 2.5, 0.01])
    for spike in (0.0, 1.0):
        assert mixed(p, slope, np.full(3, spike)) == pytest.approx(slope, rel=1e-14)


@pytest.mark.parametrize(("surrogate", "integral"), [(1.0, -0.0425), (5.0, 0.369)])
def test_a_surrogate_gradient_does_not_return_to_zero(surrogate: float, integral: float) -> None:
    assert around(STEEP, surrogate).integral == pytest.approx(integral, abs=5e-4)
    assert abs(around(surrogate, surrogate).integral) < 1e-4


def test_a_matching_surrogate_is_the_gradient() -> None:
    rng = np.random.default_rng(0)
    place, step = rng.normal(size=(20, 5)), 1e-6
    shifted = [
        (output(place + step * unit, 3.0) - output(place - step * unit, 3.0)) / (2 * step)
        for unit in np.eye(5)
    ]
    assert gradient(place, 3.0, 3.0) == pytest.approx(np.stack(shifted, -1), abs=1e-8)


def test_descent_along_a_surrogate_ends_beside_the_minimum() -> None:
    exact, off = bias(100.0), bias(30.0)
    assert exact.w[exact.output.argmin()] == pytest.approx(-0.0131, abs=5e-5)
    assert exact.rest == pytest.approx(-0.0131, abs=5e-5)
    assert off.rest > 0
    assert exact.wrong < 1e-4 < off.wrong


def test_only_the_layer_before_the_last_is_biased() -> None:
    for beta in (0.5, 5.0, 20.0):
        found = enumerate_layers(beta, hidden=6, inputs=5, seed=2)
        assert found.stochastic_bias < 1e-10
        assert found.readout_bias < 1e-10
        assert found.bias > 1e-3


def test_the_kernel_of_spike_trains_has_the_published_weights() -> None:
    assert deviation(200) == pytest.approx(0.346, abs=5e-4)
    spike = np.zeros((1, 200))
    spike[0, 0] = 1
    t = np.arange(200)
    assert filtered(spike)[0] == pytest.approx(np.exp(-t / 10) - np.exp(-t / 5), abs=1e-12)


def test_matched_spike_trains_come_nearer_to_the_image() -> None:
    for stochastic in (False, True):
        found = Matching(50, 60, 120, 3, stochastic, seed=0).run()
        assert found.error < 0.75 * found.errors[0]
        assert found.out.shape == (3 if stochastic else 1, 50, 60)
