"""Whatever has spikes gives the same populations."""

import brian2
import neo
import numpy as np
import pytest
import quantities
import torch
from brian2 import Network, NeuronGroup, SpikeMonitor, ms

import mirrorneuron as mn
from mirrorneuron.analysis import SpikeTrains, population, population_rate, populations
from mirrorneuron.errors import DomainError


def network():
    cells = NeuronGroup(
        3, "dv/dt = (1 + 0.1*i - v)/(5*ms) : 1", threshold="v > 0.95", reset="v = 0",
        method="exact", name="cells",
    )  # fmt: skip
    return Network(cells, SpikeMonitor(cells, name="monitor"))


def test_recording_simulation_and_monitor_have_the_same_trains():
    net = network()
    recording = mn.mirror(net, dtype=torch.float64).run(50 * ms, batch_size=2)
    net.run(50 * ms)
    simulation = mn.simulate(network, 50 * ms, target="numpy")
    found = [populations(each)["cells"] for each in (recording, simulation, net["monitor"])]
    assert sum(found[0].counts) > 10
    for trains in found[1:]:
        for a, b in zip(found[0].trains, trains.trains, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
    np.testing.assert_array_equal(*(population_rate(each) for each in (recording, simulation)))


def test_a_recording_that_goes_on_counts_from_its_own_start():
    model = mn.mirror(network())
    later = model.run(20 * ms, state=model.run(20 * ms).state)
    trains = population(later)
    assert trains.duration == pytest.approx(0.02)
    assert max(trains.pooled) < 0.02


def test_trains_of_neo_count_from_the_earliest_start():
    trains = [
        neo.SpikeTrain([110, 150] * quantities.ms, t_start=100 * quantities.ms, t_stop=200),
        neo.SpikeTrain([0.12] * quantities.s, t_start=0.1, t_stop=0.2),
    ]
    found = population(trains)
    np.testing.assert_allclose(np.concatenate(found.trains), [0.01, 0.05, 0.02])
    assert found.duration == pytest.approx(0.1)
    segment = neo.Segment()
    segment.spiketrains.extend(trains)
    assert len(population(segment)) == 2


def test_a_rate_counts_spikes_per_neuron_and_second():
    trains = SpikeTrains((np.array([0.1]), np.array([0.1, 0.3])), duration=0.4)
    np.testing.assert_allclose(population_rate(trains, dt=0.2), [5, 2.5])
    with pytest.raises(DomainError, match="dt is"):
        population_rate(trains, dt=0.0)


def test_a_trial_that_is_not_there_is_refused():
    recording = mn.mirror(network()).run(5 * ms, batch_size=2)
    with pytest.raises(DomainError, match="trial=2: the recording has 2 trials"):
        populations(recording, trial=2)


def test_what_has_no_spikes_is_refused():
    with pytest.raises(DomainError, match="these are no spikes"):
        populations(brian2.mV)
