import numpy as np
import pytest

from mirrorneuron.analysis import SpikeTrains
from mirrorneuron.errors import DomainError


def times(*values):
    return np.array(values, dtype=np.float64)


def test_a_spike_in_step_k_happened_at_k_dt():
    raster = np.zeros((10, 2), dtype=bool)
    raster[[0, 7], [1, 1]] = True
    trains = SpikeTrains.from_raster(raster, dt=1e-3)
    assert trains.duration == pytest.approx(10e-3)
    np.testing.assert_allclose(trains.trains[1], [0, 7e-3])
    assert trains.counts.tolist() == [0, 2]


def test_events_in_any_order_become_sorted_trains():
    trains = SpikeTrains.from_events(times(0.3, 0.1, 0.2), np.array([1, 3, 1]), 5, duration=1.0)
    assert [t.tolist() for t in trains.trains] == [[], [0.2, 0.3], [], [0.1], []]


@pytest.mark.parametrize("n_neurons", [0, 1, 3])
def test_no_events_are_silent_neurons(n_neurons):
    trains = SpikeTrains.from_events(times(), np.array([], dtype=np.int64), n_neurons, 1.0)
    assert len(trains) == n_neurons
    assert trains.pooled.size == trains.intervals.size == trains.counts.sum() == 0


def test_intervals_do_not_cross_neurons():
    trains = SpikeTrains((times(0.1, 0.2), times(), times(0.5, 0.8)), duration=1.0)
    np.testing.assert_allclose(trains.intervals, [0.1, 0.3])
    np.testing.assert_allclose(trains.pooled, [0.1, 0.2, 0.5, 0.8])


def test_a_part_counts_from_its_start():
    part = SpikeTrains((times(0.1, 0.5, 0.9),), duration=1.0).between(0.5, 0.9)
    assert part.trains[0].tolist() == [0.0]
    assert part.duration == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (times(0.1, np.nan), r"trains\[0\]: spike 1 is at nan s.*np\.isfinite"),
        (times(0.2, 0.1), r"spike 1 at 0.1 s does not come after spike 0 at 0.2 s.*np\.unique"),
        (times(0.2, 0.2), r"strictly increasing"),
        (times(-0.1, 0.2), r"spikes from -0.1 s to 0.2 s, but the observation is \[0, 1.0\] s"),
        (times(0.2, 300.0), r"convert to seconds"),
    ],
)
def test_what_is_no_spike_train_is_refused(train, message):
    with pytest.raises(DomainError, match=message):
        SpikeTrains((train,), duration=1.0)


@pytest.mark.parametrize("duration", [0.0, -1.0, np.nan, np.inf])
def test_an_observation_has_a_length(duration):
    with pytest.raises(DomainError, match=r"duration is .* finite number above zero"):
        SpikeTrains((times(),), duration=duration)


def test_an_index_beyond_the_population_is_refused():
    with pytest.raises(DomainError, match=r"index runs from 0 to 4, but n_neurons is 4.*=5"):
        SpikeTrains.from_events(times(0.1, 0.2), np.array([0, 4]), 4, duration=1.0)


@pytest.mark.parametrize(("start", "stop"), [(0.5, 0.5), (-0.1, 0.5), (0.5, 1.1)])
def test_a_part_lies_within_the_observation(start, stop):
    with pytest.raises(DomainError, match=r"the observation is \[0, 1.0\] s"):
        SpikeTrains((times(0.1),), duration=1.0).between(start, stop)
