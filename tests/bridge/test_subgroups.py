"""Subgroups: their spikes have a name, wherever one of a group may stand."""

from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Hz, Network, NeuronGroup, SpikeMonitor, StateMonitor, Synapses, ms, mV

import mirrorneuron as mn
from mirrorneuron.bridge.fitting.data import read_data
from mirrorneuron.errors import DomainError, ShapeError, UnknownName


def halves() -> tuple[Network, dict[str, Any]]:
    """Ten neurons of which the first six excite the others."""
    cells = NeuronGroup(
        10, "dv/dt = (I - v)/tau : volt\nI : volt", threshold="v > 10*mV", reset="v = 0*mV",
        method="exact", namespace={"tau": 10 * ms}, name="cells",
    )  # fmt: skip
    cells.I = np.linspace(11, 20, 10) * mV
    first, rest = cells[:6], cells[6:]
    wires = Synapses(first, rest, "w : volt", on_pre="v_post += w", name="wires")
    wires.connect()
    wires.w = 1 * mV
    seen = SpikeMonitor(rest)
    names = {"cells": cells, "first": first, "rest": rest, "seen": seen}
    return Network(cells, wires, seen), names


def test_spikes_of_a_subgroup_are_those_of_its_neurons() -> None:
    network, names = halves()
    recording = mn.mirror(network).run(30 * ms, batch_size=2)
    whole = recording.spikes["cells"]
    for name, part in (("first", slice(0, 6)), ("rest", slice(6, 10))):
        found = recording.spikes[names[name].name]
        assert torch.equal(found, whole[..., part]) and found.sum() > 0
    assert list(recording.spikes) == ["cells"]
    assert repr(recording.spikes).startswith("Spikes(cells; parts: cells_subgroup")
    rates = recording.rates(names["first"], names["rest"].name, "cells")
    assert rates["cells"] == pytest.approx(recording.rates()["cells"], rel=1e-6)
    assert 6 * rates[names["first"].name] + 4 * rates[names["rest"].name] == pytest.approx(
        10 * rates["cells"], rel=1e-6
    )
    cut = recording.trials(1, 2).spikes[names["rest"].name]
    assert torch.equal(cut, whole[:, 1:2, 6:])
    with pytest.raises(UnknownName, match=r"cells_subgroup|'cells'"):
        recording.spikes["cellz"]


@pytest.mark.parametrize("who", ["cells", "rest", "seen", "name of rest"])
def test_a_loss_takes_a_group_a_subgroup_or_a_monitor(who: str) -> None:
    network, names = halves()
    given = names["rest"].name if who == "name of rest" else names[who]
    model = mn.mirror(network, train=["wires.w"])
    recording, trial = model.run(30 * ms), mn.Trial()
    loss = mn.losses.rate({given: 50 * Hz})(recording, trial)
    named = names["cells"].name if who == "cells" else names["rest"].name
    expected = (recording.spikes[named].mean() / recording.dt - 50).square() / 2500
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()


@pytest.mark.parametrize("make", ["rate", "van_rossum", "first_spike", "victor_purpura"])
def test_a_loss_of_no_group_is_refused(make: str) -> None:
    with pytest.raises(DomainError, match=r"the group is a list, but a loss looks at one group"):
        getattr(mn.losses, make)(["E"])


def test_a_trace_is_taken_as_a_state_monitor_has_it() -> None:
    cell = NeuronGroup(
        1, "dv/dt = (I - v)/tau : volt\nI : volt (constant)", threshold="v > 10*mV",
        reset="v = 0*mV", method="exact", namespace={"tau": 10 * ms}, name="cell",
    )  # fmt: skip
    cell.I = 15 * mV
    spikes, trace = SpikeMonitor(cell), StateMonitor(cell, "v", record=True)
    network = Network(cell, spikes, trace)
    network.store()
    network.run(40 * ms)
    steps = trace.v.shape[1]
    model = mn.mirror(network, train=["cell.I"])
    for given in (trace, trace.v.T, trace.v[0]):
        data = read_data(model, {}, spikes, given, "auto", None)
        assert data.trace is not None and data.trace.shape == (steps, 1, 1)
    with pytest.raises(ShapeError, match=r"\(neuron, time\) as a StateMonitor.*monitor\.v\.T"):
        read_data(model, {}, spikes, trace.v, "auto", None)
