"""Law: every neuron model, with every integrator and receptor, mirrors to the last bit."""

from collections.abc import Iterator
from typing import Any

import brian2
import numpy as np
import pytest
import torch
from brian2 import Network, cm, ms, mV, uA
from test_networks import require_equal

import mirrorneuron as mn
from mirrorneuron.bio._quantity import evaluate
from mirrorneuron.bridge.validate import compare

neurons, synapses = mn.bio.neurons, mn.bio.synapses
Receptors = tuple[str, ...]
STEPS, LOCKED = 800, 250
VALUES = {  # so that everything in the equations has an effect: a floor above the reset,
    # noise, inhibition that decays
    "eglif": {"V_min": -74 * mV, "tau_V": 1 * mV},
    "inferior_olive": {"sigma": 0.7 * uA / cm**2, "I_inh": 0.1 * uA / cm**2},
}


def cases() -> Iterator[tuple[str, str, Receptors]]:
    """Every neuron with every integrator and, in one group, every receptor that it can solve.

    The closed form of all of them together would be unwieldy: there, one receptor at a time.
    """
    for neuron, model in neurons.items():
        for method in model.methods:
            able = tuple(name for name, synapse in synapses.items() if method in synapse.methods)
            for held in zip(able, strict=True) if method == "exact" else [able]:
                yield neuron, method, held


def recurrent(neuron: str, method: str, held: Receptors) -> Network:
    """Twelve driven cells, each different, that excite each other after different delays."""
    rng = np.random.default_rng(8)
    model, receptors = neurons[neuron], {name: synapses[name] for name in held}
    brian2.defaultclock.dt = evaluate(model.step)
    values = {**VALUES.get(neuron, {}), "I": evaluate(model.drive) * np.linspace(0.8, 1.6, 12)}
    cells = model.group(12, name="cells", receptors=receptors, method=method, **values)
    network = Network(cells)
    for name, receptor in receptors.items():
        i, j = np.nonzero(~np.eye(12, dtype=bool) & (rng.random((12, 12)) < 0.3))
        w = evaluate(receptor.weight) * rng.uniform(0.2, 2, len(i))
        delay = rng.uniform(0, 3, len(i)) * ms
        network.add(receptor.connect(cells, cells, name, i=i, j=j, w=w, delay=delay, name=name))
    return network


def in_two_tiers() -> Iterator[Any]:
    """The last integrator of every neuron; the others are slow tests."""
    for neuron, method, held in cases():
        marks = () if method == neurons[neuron].methods[-1] else pytest.mark.slow
        yield pytest.param(neuron, method, held, marks=marks)


@pytest.mark.parametrize(("neuron", "method", "held"), list(in_two_tiers()))
def test_a_model_mirrors_with_every_integrator_and_receptor(
    neuron: str, method: str, held: Receptors
) -> None:
    network = recurrent(neuron, method, held)
    model = mn.mirror(network, dtype=torch.float64)
    step = evaluate(neurons[neuron].step)
    evidence = compare(network, model, STEPS * step, {}, start_seed=3, locked=LOCKED * step)
    assert len(evidence.brian2["cells"].step) > 12
    require_equal(evidence)


def test_every_combination_is_among_the_cases() -> None:
    covered = {(neuron, method, name) for neuron, method, held in cases() for name in held}
    assert covered == {
        (neuron, method, name)
        for neuron in neurons
        for name, synapse in synapses.items()
        for method in neurons[neuron].methods_with({"e": synapse})
    }


def given(network: Network) -> mn.SuperSpike | None:
    """A width where none follows, as the reset does not take the neuron below threshold."""
    derived = mn.mirror(network).gradients["cells.spike"]
    return mn.SuperSpike(5 * mV) if derived.width is None else None


@pytest.mark.parametrize("neuron", neurons)
def test_every_parameter_of_a_live_network_gets_a_gradient(neuron: str) -> None:
    model = neurons[neuron]
    network = recurrent(neuron, model.methods[-1], ("exponential_current",))
    continuous = [p for p in model.parameters if p != model.refractory]
    keys = [
        "exponential_current.w",
        "cells.I",
        "cells.tau_exponential_current",
        *(f"cells.{p}" for p in continuous),
    ]
    mirror = mn.mirror(network, train=keys, surrogate=given(network), dtype=torch.float64)
    recording = mirror.run(STEPS * evaluate(model.step), seed=3)
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
    network = recurrent(neuron, model.methods[-1], ("exponential_current",))
    mirror = mn.mirror(network, train=keys, surrogate=given(network), dtype=torch.float64)
    mirror.run(200 * evaluate(model.step), seed=3).spikes["cells"].mean().backward()
    for key in keys:
        gradient = mirror.parameter(key).grad
        assert gradient is not None, key
        assert torch.isfinite(gradient).all(), key
        assert (gradient != 0).any(), key
