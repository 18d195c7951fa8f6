import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorneuron.analysis import coincidence_factor, coincidences, f1, first_divergence
from mirrorneuron.errors import DomainError

STEPS = st.lists(st.integers(0, 30), unique=True, max_size=7).map(
    lambda s: np.array(sorted(s), int)
)


def times(*values):
    return np.array(values, dtype=np.float64)


def poisson(rng, rate, duration):
    return np.sort(rng.uniform(0, duration, rng.poisson(rate * duration)))


def best_matching(a, b, precision):
    """Every way of pairing, tried."""
    if not len(a):
        return 0
    partners = [j for j, time in enumerate(b) if abs(time - a[0]) <= precision]
    used = [1 + best_matching(a[1:], b[:j] + b[j + 1 :], precision) for j in partners]
    return max([best_matching(a[1:], b, precision), *used])


@given(STEPS, STEPS, st.sampled_from([0.0, 1.0, 2.0, 4.0]))
def test_the_number_of_pairs_is_the_largest_possible(a, b, precision):
    expected = best_matching(a.tolist(), b.tolist(), precision)
    assert coincidences(a, b, precision) == expected
    assert coincidences(b, a, precision) == expected


def test_a_spike_is_used_once():
    assert coincidences(times(0.100), times(0.099, 0.101), precision=4e-3) == 1
    assert coincidences(times(0.099, 0.101), times(0.100), precision=4e-3) == 1


def test_the_precision_itself_counts_whatever_the_rounding():
    grid = np.arange(1, 10000) * 1e-4
    assert coincidences(grid[::100], grid[::100] + 4e-3, precision=4e-3) == grid[::100].size


def test_equal_trains_have_factor_one():
    train = poisson(np.random.default_rng(0), 20.0, 10.0)
    assert coincidence_factor(train, train, duration=10.0) == pytest.approx(1.0, abs=1e-12)


def test_the_factor_by_hand():
    # Two of three data spikes are hit. nu = 4 Hz, 2 nu Delta = 0.032, <N> = 0.096,
    # (2 - 0.096) / (0.5 * 7) / 0.968
    data, model = times(0.100, 0.300, 0.600), times(0.102, 0.303, 0.500, 0.900)
    expected = 1.904 / 3.5 / 0.968
    assert coincidence_factor(data, model, duration=1.0, precision=4e-3) == pytest.approx(expected)


def test_the_rate_in_the_chance_level_is_the_models():
    data, model = times(0.1, 0.3, 0.6), times(0.1)
    expected = (1 - 0.008 * 3) / 2 / (1 - 0.008)
    assert coincidence_factor(data, model, duration=1.0) == pytest.approx(expected)


def test_unrelated_poisson_trains_have_factor_zero_at_low_rates():
    rng = np.random.default_rng(3)
    pairs = [(poisson(rng, 10.0, 20.0), poisson(rng, 10.0, 20.0)) for _ in range(40)]
    factors = [coincidence_factor(a, b, duration=20.0, precision=2e-3) for a, b in pairs]
    assert abs(np.mean(factors)) < 0.02


def test_unrelated_poisson_trains_fall_below_zero_at_high_rates():
    rng = np.random.default_rng(3)
    pairs = [(poisson(rng, 90.0, 10.0), poisson(rng, 90.0, 10.0)) for _ in range(20)]
    factors = [coincidence_factor(a, b, duration=10.0, precision=4e-3) for a, b in pairs]
    assert np.mean(factors) == pytest.approx(-1.05, abs=0.15)


def test_two_empty_trains_have_no_factor():
    assert math.isnan(coincidence_factor(times(), times(), duration=1.0))
    assert math.isnan(f1(times(), times(), precision=1e-3))


def test_a_silent_model_has_factor_zero():
    assert coincidence_factor(times(0.1, 0.2), times(), duration=1.0) == 0.0


def test_a_precision_that_hits_by_chance_alone_is_refused():
    train = np.arange(1, 200) / 200
    with pytest.raises(
        DomainError, match=r"2 \* rate \* precision = 1.59 .*Write precision=0.00025"
    ):
        coincidence_factor(train, train, duration=1.0, precision=4e-3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (times(0.2, 0.1), "data: spike 1 at 0.1 s does not come after"),
        (times(np.inf), "data: spike 0 is at inf s"),
        (times(1.5), r"data: spikes from 1.5 s to 1.5 s, but the observation is \[0, 1.0\] s"),
    ],
)
def test_bad_trains_are_refused_by_name(data, message):
    with pytest.raises(DomainError, match=message):
        coincidence_factor(data, times(0.1), duration=1.0)


@pytest.mark.parametrize("name", ["duration", "precision"])
def test_lengths_of_time_are_positive(name):
    with pytest.raises(DomainError, match=f"{name} is 0.0 s"):
        coincidence_factor(times(0.1), times(0.1), **{"duration": 1.0, name: 0.0})


def test_f1_by_hand():
    assert f1(times(0.1, 0.2, 0.3), times(0.1, 0.25), precision=1e-3) == pytest.approx(2 / 5)
    assert f1(np.array([1, 5]), np.array([2, 5]), precision=1.0) == 1.0


def test_the_first_divergence_is_the_earliest_spike_that_differs():
    a = times(0.1, 0.2, 0.3)
    assert first_divergence(a, a, precision=1e-4) is None
    assert first_divergence(a, times(0.1, 0.2), precision=1e-4) == 0.3
    assert first_divergence(a, times(0.1, 0.15, 0.2, 0.3), precision=1e-4) == 0.15
    assert first_divergence(a, a + 0.5e-4, precision=1e-4) is None
    assert first_divergence(times(), a, precision=1e-4) == 0.1
