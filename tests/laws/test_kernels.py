"""Law of kernels: what one spike does says how far a membrane fluctuates under many."""

import numpy as np
import pytest
import torch
from brian2 import Hz, Network, PoissonGroup

import mirrorneuron as mn
from mirrorneuron.bio import NeuronModel, SynapseModel, neurons, synapses
from mirrorneuron.bridge.init.afferent import afferents
from mirrorneuron.bridge.init.free_membrane import FreeMembrane, Membrane
from mirrorneuron.bridge.init.kernel import kernel

CASES = [
    *(("lif", name) for name in synapses),
    *((name, "exponential_current") for name in ("adaptive_lif", "exponential_if", "quadratic")),
    ("adex", "alpha_current"),
]
STATIONARY = {"tsodyks_markram"}  # but for its first spikes, it depresses


@pytest.mark.parametrize(("neuron", "synapse"), CASES)
def test_a_kernel_predicts_the_fluctuations_of_a_membrane(neuron: str, synapse: str) -> None:
    model, size = _model(neurons[neuron], synapses[synapse]), 20
    (ee,) = afferents(model, None)
    free = FreeMembrane(model, [ee], Membrane("cells", "cells.spike.margin"), seed=1)
    rest, level = free.rest()
    found = kernel(free, ee, rest, -level.numpy())
    rng = np.random.default_rng(2)
    deviation = 1e-3 * float(-level[0]) / np.sqrt(size * 20 * found.square[0])
    weights = deviation * rng.standard_normal(len(ee.index))
    steps = 12_000
    spikes = torch.from_numpy(rng.random((steps, 1, size)) < 20 * free.program.dt).double()
    if synapse in STATIONARY:
        spikes[1:] = 0
    trace, _ = free.run(steps, rest, {ee.key: weights}, {"source": spikes})
    fluctuating = (trace[:, 0] - level).numpy()
    count = spikes.sum(0)[0].numpy()[ee.pathway.source]
    scale = np.sqrt(np.bincount(ee.index, weights**2 * count) * found.square)
    area = np.bincount(ee.index, weights * count) * found.mean
    dt = free.program.dt
    assert np.allclose(fluctuating.sum(0) * dt, area, rtol=0.1, atol=0.2 * np.abs(area).max())
    if synapse not in STATIONARY:
        power = np.square(fluctuating - fluctuating.mean(0)).sum() * dt
        assert power == pytest.approx(np.square(scale).sum(), rel=0.15)


def _model(neuron: NeuronModel, synapse: SynapseModel) -> mn.Mirror:
    source = PoissonGroup(20, 20 * Hz, name="source")
    cells = neuron.group(30, receptors={"r": synapse}, name="cells")
    ee = synapse.connect(source, cells, "r", name="ee")
    return mn.mirror(Network(source, cells, ee), train=["ee.w"], dtype=torch.float64)
