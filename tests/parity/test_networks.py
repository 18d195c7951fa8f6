"""Law: a mirror in double precision spikes as Brian2 does, at every step and index."""

import numpy as np
import pytest
import torch
from brian2 import ms
from networks import networks

import mirrorneuron as mn
from mirrorneuron.bridge.validate import Evidence, compare


def require_equal(evidence: Evidence) -> None:
    """All spikes at the same step and index, in the same order; no locked step off by a bit."""
    for name, train in evidence.brian2.items():
        mirrored = evidence.mirror[name]
        assert np.array_equal(train.step, mirrored.step), name
        assert np.array_equal(train.index, mirrored.index), name
    assert {k: w for k, w in evidence.locked.items() if w.error > 0} == {}


@pytest.mark.parametrize("name", networks)
def test_a_mirror_spikes_as_brian2_does(name: str) -> None:
    entry = networks[name]
    network = entry.build()
    model = mn.mirror(network, dtype=torch.float64)
    evidence = compare(network, model, entry.duration, {}, entry.seed, locked=False)
    require_equal(evidence)
    assert sum(len(train.step) for train in evidence.brian2.values()) >= entry.spikes
    for group, (low, high) in entry.rates.items():
        count = len(evidence.brian2[group].step)
        rate = count / evidence.sizes[group] / float(entry.duration)
        assert low < rate < high, f"{group} fires at {rate:.1f} Hz"


@pytest.mark.parametrize("name", networks)
def test_a_locked_step_is_that_of_brian2_to_the_last_bit(name: str) -> None:
    network = networks[name].build()
    model = mn.mirror(network, dtype=torch.float64)
    evidence = compare(network, model, 100 * ms, {}, networks[name].seed)
    assert evidence.locked
    require_equal(evidence)


def test_the_first_five_networks_compare_a_hundred_thousand_spikes() -> None:
    five = ["cuba", "coba", "adaptive_recurrent", "generator_chain", "timed_array"]
    assert sum(networks[name].spikes for name in five) >= 100_000
