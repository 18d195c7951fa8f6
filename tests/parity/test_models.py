"""Law: every neuron model, with every integrator and receptor, mirrors to the last bit."""

from itertools import product

import numpy as np
import pytest
import torch
from brian2 import Network, ms, mV
from test_networks import require_equal

import mirrorneuron as mn
from mirrorneuron.bio._quantity import evaluate
from mirrorneuron.bridge.validate import compare

neurons, synapses = mn.bio.neurons, mn.bio.synapses
CASES = [
    (neuron, method, synapse)
    for neuron, synapse in product(neurons, synapses)
    for method in neurons[neuron].methods_with({"e": synapses[synapse]})
]


def recurrent(neuron: str, method: str, synapse: str) -> Network:
    """Twelve driven cells, each different, that excite each other after different delays."""
    rng = np.random.default_rng(8)
    model, receptor = neurons[neuron], synapses[synapse]
    drive = evaluate(model.drive) * np.linspace(0.8, 1.6, 12)
    cells = model.group(12, name="cells", receptors={"e": receptor}, method=method, I=drive)
    i, j = np.nonzero(~np.eye(12, dtype=bool) & (rng.random((12, 12)) < 0.4))
    weights = evaluate(receptor.weight) * rng.uniform(0.2, 2, len(i))
    links = receptor.connect(
        cells, cells, "e", i=i, j=j, w=weights, delay=rng.uniform(0, 3, len(i)) * ms, name="links"
    )
    return Network(cells, links)


@pytest.mark.parametrize(("neuron", "method", "synapse"), CASES)
def test_a_model_mirrors_with_every_integrator_and_receptor(
    neuron: str, method: str, synapse: str
) -> None:
    network = recurrent(neuron, method, synapse)
    model = mn.mirror(network, dtype=torch.float64)
    evidence = compare(network, model, 80 * ms, {})
    assert len(evidence.brian2["cells"].step) > 12
    require_equal(evidence)


@pytest.mark.parametrize("neuron", neurons)
def test_every_parameter_of_a_live_network_gets_a_gradient(neuron: str) -> None:
    model = neurons[neuron]
    network = recurrent(neuron, model.methods[-1], "exponential_current")
    continuous = [p for p in model.parameters if p != model.refractory]
    keys = ["links.w", "cells.I", "cells.tau_e", *(f"cells.{p}" for p in continuous)]
    width = 0.5 if neuron == "theta" else 5 * mV
    mirror = mn.mirror(network, train=keys, surrogate=mn.SuperSpike(width), dtype=torch.float64)
    recording = mirror.run(80 * ms)
    assert recording.spikes["cells"].sum() > 12
    recording.spikes["cells"].mean().backward()
    for key in keys:
        gradient = mirror.parameter(key).grad
        assert gradient is not None, key
        assert torch.isfinite(gradient).all(), key
        assert (gradient != 0).any(), key


@pytest.mark.parametrize("neuron", neurons)
def test_every_initial_value_of_a_live_network_gets_a_gradient(neuron: str) -> None:
    model = neurons[neuron]
    keys = [f"cells.{state}" for state in model.initial]
    network = recurrent(neuron, model.methods[-1], "exponential_current")
    width = 0.5 if neuron == "theta" else 5 * mV
    mirror = mn.mirror(network, train=keys, surrogate=mn.SuperSpike(width), dtype=torch.float64)
    mirror.run(20 * ms).spikes["cells"].mean().backward()
    for key in keys:
        gradient = mirror.parameter(key).grad
        assert gradient is not None, key
        assert torch.isfinite(gradient).all(), key
        assert (gradient != 0).any(), key
