"""Law: weights that learn for ten seconds stay those of Brian2."""

import numpy as np
import pytest
import torch
from brian2 import (
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeMonitor,
    Synapses,
    ms,
    prefs,
    second,
    seed,
)

import mirrorneuron as mn

DURATION = 10 * second


def song_miller_abbott() -> Network:
    """Poisson inputs compete for one cell by pair-based STDP (Song, Miller & Abbott 2000)."""
    noise = PoissonGroup(60, "10*Hz + 0.5*Hz*i", name="noise")
    cell = NeuronGroup(
        1, "dv/dt = -v/(15*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cell"
    )
    plastic = Synapses(
        noise,
        cell,
        """w : 1
           dx/dt = -x/(20*ms) : 1 (event-driven)
           dy/dt = -y/(20*ms) : 1 (event-driven)""",
        on_pre="v_post += w; x += 0.004; w = clip(w - y, 0, 0.2)",
        on_post="y += 0.0042; w = clip(w + x, 0, 0.2)",
        name="plastic",
    )
    plastic.connect()
    plastic.w = np.linspace(0.04, 0.1, 60)
    return Network(noise, cell, plastic)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_seconds_of_plasticity_lead_to_the_weights_of_brian2(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = song_miller_abbott()
    model = mn.mirror(network, dtype=torch.float64)
    with torch.no_grad():
        recording = model.run(DURATION, seed=3)
    spikes = SpikeMonitor(network["cell"])
    network.add(spikes)
    monkeypatch.setitem(prefs, "codegen.target", "numpy")
    before = np.array(network["plastic"].w)
    seed(3)
    network.run(DURATION)
    after = np.array(network["plastic"].w)
    assert 400 < spikes.num_spikes < 1500
    assert np.array_equal(recording.events("cell")[0], np.round(spikes.t / (0.1 * ms)).astype(int))
    assert np.abs(after - before).mean() > 0.3 * before.mean()
    np.testing.assert_allclose(recording.state["plastic.w"][0].numpy(), after, rtol=1e-9)
