"""Laws: a mirror in double precision does what Brian2 does, at every step, to the last bit."""

import numpy as np
import pytest
import torch
from brian2 import Network, StateMonitor, Synapses, ms, seed
from networks import networks

import mirrorneuron as mn
from mirrorneuron.bridge.validate import Evidence, compare

RECORDED = 10 * ms


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
    entry = networks[name]
    network = entry.build()
    model = mn.mirror(network, dtype=torch.float64)
    evidence = compare(network, model, entry.locked, {}, entry.seed)
    assert evidence.locked
    require_equal(evidence)


@pytest.mark.parametrize("name", networks)
def test_a_recording_is_that_of_a_state_monitor(name: str) -> None:
    """Every variable of a group that statements write, and what an entry says that moves."""
    entry = networks[name]
    network = entry.build()
    model = mn.mirror(network, dtype=torch.float64)
    keys = recorded(network, model) | set(entry.moves)
    duration = entry.duration if entry.moves else RECORDED
    recording = model.run(duration, record=sorted(keys), seed=entry.seed)
    monitors = {key: monitor(network, key) for key in sorted(keys)}
    network.add(*monitors.values())
    seed(entry.seed)
    network.run(duration)
    for key, made in monitors.items():
        expected = np.asarray(getattr(made, key.partition(".")[2] + "_")).T
        found = recording[key][:, 0].numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=0, err_msg=key)
    for key, least in entry.moves.items():
        assert float(recording[key].std()) > least, key


def recorded(network: Network, model: mn.Mirror) -> set[str]:
    """Keys of real variables, one for each neuron, that change at the pace of the mirror."""
    variables = model.program.variables
    return {
        key
        for key in model.program.written() & set(variables)
        if variables[key].kind == "float"
        and not variables[key].scalar
        and variables[key].name not in ("lastspike", "lastupdate")
        and not isinstance(owner := network[variables[key].owner], Synapses)
        and float(owner.clock.dt_) == model.program.dt
    }


def monitor(network: Network, key: str) -> StateMonitor:
    """Brian2's own recording of a variable."""
    owner, name = key.split(".")
    return StateMonitor(
        network[owner], name, record=True, dt=network[owner].clock.dt, when="start", order=-(10**6)
    )


def test_the_first_five_networks_compare_a_hundred_thousand_spikes() -> None:
    five = ["cuba", "coba", "adaptive_recurrent", "generator_chain", "timed_array"]
    assert sum(networks[name].spikes for name in five) >= 100_000
