"""Law: a mirror in double precision does what Brian2 does, at every step, to the last bit."""

import numpy as np
import pytest
import torch
from brian2 import Quantity, ms, second
from networks import every, networks
from registry import Entry

import mirrorneuron as mn
from mirrorneuron.bridge.draws import Draws
from mirrorneuron.bridge.spikes import Events
from mirrorneuron.bridge.validate import Evidence, compare

CUT, WHOLE = 23, 60  # steps
SINGLE = 50 * ms


@pytest.mark.parametrize("name", every())
def test_a_mirror_does_what_brian2_does(name: str) -> None:
    entry = networks[name]
    network = entry.build()
    model = mn.mirror(network, dtype=torch.float64)
    evidence = compare(network, model, entry.duration, {}, entry.seed, entry.locked)
    require_equal(evidence)
    require_alive(model, entry, evidence)
    require_whole(model)
    require_trials(model)
    require_alike(model.float(), entry, evidence)


def require_equal(evidence: Evidence) -> None:
    """All spikes at the same step and index, in the same order; no variable off by a bit."""
    for name, train in evidence.brian2.items():
        mirrored = evidence.mirror[name]
        assert np.array_equal(train.step, mirrored.step), name
        assert np.array_equal(train.index, mirrored.index), name
    assert evidence.locked
    assert {k: w for k, w in evidence.locked.items() if w.error > 0} == {}
    assert {k: w for k, w in evidence.paths.items() if w.error > 0} == {}


def require_alive(model: mn.Mirror, entry: Entry, evidence: Evidence) -> None:
    """Rates in their bands, and movement where nothing spikes."""
    assert sum(len(train.step) for train in evidence.brian2.values()) >= entry.spikes
    for group, (low, high) in entry.rates.items():
        count = len(evidence.brian2[group].step)
        rate = count / evidence.sizes[group] / float(entry.duration)
        assert low < rate < high, f"{group} fires at {rate:.1f} Hz"
    if entry.moves:
        recording = model.run(entry.duration, record=sorted(entry.moves), seed=entry.seed)
        for key, least in entry.moves.items():
            assert float(recording[key].std()) > least, key


def require_whole(model: mn.Mirror) -> None:
    """A run in two parts is one run, bit for bit."""
    whole = model.run_steps(WHOLE, seed=1)
    first = model.run_steps(CUT, seed=1)
    second_part = model.run_steps(WHOLE - CUT, state=first.state)
    require_same_state(whole.state, second_part.state, slice(None))
    for name in whole.spikes:
        parts = [first.spikes[name], second_part.spikes[name]]
        assert torch.equal(whole.spikes[name], torch.cat(parts)), name


def require_trials(model: mn.Mirror) -> None:
    """Each of three trials is what it would be alone."""
    together = model.run_steps(WHOLE, batch_size=3, seed=1)
    for trial, stream in enumerate(Draws(1, 3).streams):
        alone = model.initial_state() | {"draws": Draws.given(stream)}
        recording = model.run_steps(WHOLE, state=alone)
        require_same_state(together.state, recording.state, slice(trial, trial + 1))


def require_same_state(one: dict, other: dict, trials: slice) -> None:
    """Equal values and events."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, Events):
            assert torch.equal(value.spikes[trials], other[key].spikes), key
        elif isinstance(value, torch.Tensor):
            torch.testing.assert_close(
                value[trials], other[key], rtol=0, atol=0, equal_nan=True, msg=key
            )


def require_alike(model: mn.Mirror, entry: Entry, evidence: Evidence) -> None:
    """In single precision spikes may move, but there are about as many of them."""
    duration = min(entry.duration, SINGLE)
    recording = model.run(duration, seed=entry.seed)
    for name, train in evidence.brian2.items():
        expected = int(np.sum(train.step < steps(duration, evidence)))
        found = sum(len(events.index) for events in recording.spikes.events[name])
        assert abs(found - expected) <= max(0.05 * expected, 2 * np.sqrt(expected + 1)), name


def steps(duration: Quantity, evidence: Evidence) -> int:
    """Number of steps in a duration."""
    return round(float(duration / second) / evidence.dt)


def test_the_first_five_networks_compare_a_hundred_thousand_spikes() -> None:
    five = ["cuba", "coba", "adaptive_recurrent", "generator_chain", "timed_array"]
    assert sum(networks[name].spikes for name in five) >= 100_000
