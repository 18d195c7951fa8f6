r"""The shallow network of the source as a Brian2 network: inputs, spiking layer, leaky readout.

$\tau_m \dot u = I - u$, $\tau_s \dot I = -I$; a spike adds $w$ to $I$; $u > 1$ spikes, $u \to 0$.
The source decays by $e^{-\Delta t / \tau}$ in a step and takes the old $I$. Euler's method does so
with $\tau' = \Delta t / (1 - e^{-\Delta t / \tau})$, which the equations get here.
Differs from it: a neuron integrates again in the step after its spike, where the source holds it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from brian2 import (
    Network,
    NeuronGroup,
    PoissonGroup,
    Quantity,
    SpikeGeneratorGroup,
    Synapses,
    second,
)

from mirrorneuron import Mirror, Sign, SuperSpike, mirror

MEMBRANE = "du/dt = (I - u)/tau_m : 1"
CURRENT = "d{name}/dt = -{name}/{tau} : 1"
LAYER = f"{MEMBRANE}\n{CURRENT.format(name='I', tau='tau_s')}"
SPIKES: Mapping[str, Any] = {"threshold": "u > 1", "reset": "u = 0"}
UNIT = 20e-3, 10e-3  # time constants of membrane and synapse [s]
STEEPNESS = 20.0


def decaying(tau: float, dt: float) -> Quantity:
    """Time constant with which a step of Euler's method decays by $e^{-\\Delta t / \\tau}$."""
    return dt / (1 - np.exp(-dt / tau)) * second


def shallow(
    inputs: int, hidden: int, classes: int, dt: float, readout: float,
    spikes: tuple[Any, Any] = ((), ()), weights: Mapping[str, Any] | None = None,
) -> Network:  # fmt: skip
    """The network.

    Arguments:
        inputs, hidden, classes: Sizes.
        dt: Time step [s].
        readout: Time constant of the readout [s].
        spikes: Unit and time [s] of the input spikes.
        weights: By "object.w", where they are known.
    """
    step = dt * second
    tau_m, tau_s = (decaying(tau, dt) for tau in UNIT)
    index, times = spikes
    source = SpikeGeneratorGroup(
        inputs, np.array(index, int), np.array(times, float) * second, name="stimulus", dt=step
    )
    names = {"tau_m": tau_m, "tau_s": tau_s}
    layer = NeuronGroup(
        hidden, LAYER, method="euler", name="hidden", namespace=names, dt=step, **SPIKES
    )
    slow = {"tau_m": decaying(readout, dt), "tau_s": tau_s}
    out = NeuronGroup(classes, LAYER, method="euler", name="readout", namespace=slow, dt=step)
    ih = Synapses(source, layer, "w : 1", on_pre="I_post += w", name="ih", dt=step)
    ho = Synapses(layer, out, "w : 1", on_pre="I_post += w", name="ho", dt=step)
    for some in (ih, ho):
        some.connect()
        some.w = (weights or {}).get(f"{some.name}.w", 0.0)
    return Network(source, layer, out, ih, ho)


def model_of(network: Network, dtype: torch.dtype = torch.float32) -> Mirror:
    """The network's mirror, which trains both weights, with the surrogate of the source."""
    surrogate = SuperSpike(width=1 / STEEPNESS)
    return mirror(
        network, ["ih.w", "ho.w"], surrogate, "detach", dtype=dtype, namespace={},
    )  # fmt: skip


def unit(tau_m: float, tau_s: float, dt: float) -> Mirror:
    """One neuron with one input, whose kernel is to be measured."""
    step = dt * second
    names = {"tau_m": decaying(tau_m, dt), "tau_s": decaying(tau_s, dt)}
    source = PoissonGroup(1, 0 / second, name="stimulus", dt=step)
    cell = NeuronGroup(1, LAYER, method="euler", name="cell", namespace=names, dt=step, **SPIKES)
    ee = Synapses(source, cell, "w : 1", on_pre="I_post += w", name="ee", dt=step)
    ee.connect()
    return mirror(Network(source, cell, ee), ["ee.w"], namespace={})


def free_membranes(inputs: int, cells: int, dt: float) -> Mirror:
    """Neurons without a threshold, with many inputs each."""
    step = dt * second
    names = {"tau_m": decaying(UNIT[0], dt), "tau_s": decaying(UNIT[1], dt)}
    source = PoissonGroup(inputs, 0 / second, name="stimulus", dt=step)
    group = NeuronGroup(cells, LAYER, method="euler", name="cells", namespace=names, dt=step)
    ee = Synapses(source, group, "w : 1", on_pre="I_post += w", name="ee", dt=step)
    ee.connect()
    return mirror(Network(source, group, ee), ["ee.w"], namespace={})


def dale(inputs: int, excitatory: int, inhibitory: int, dt: float) -> Mirror:
    """Excitatory and inhibitory cells that drive each other, weights of one sign each.

    Inhibitory currents decay with 20 ms, excitatory ones with 10 ms.
    """
    step = dt * second
    names = {
        "tau_m": decaying(20e-3, dt), "tau_e": decaying(10e-3, dt), "tau_i": decaying(20e-3, dt),
    }  # fmt: skip
    both = [CURRENT.format(name=f"I_{k}", tau=f"tau_{k}") for k in "ei"]
    text = "\n".join(["du/dt = (I_e + I_i - u)/tau_m : 1", *both])
    source = PoissonGroup(inputs, 0 / second, name="stimulus", dt=step)
    cells = {
        name: NeuronGroup(n, text, method="euler", name=name, namespace=names, dt=step, **SPIKES)
        for name, n in (("e", excitatory), ("i", inhibitory))
    }
    objects: list[Any] = [source, *cells.values()]
    for post in "ei":
        for pre, kind in (("x", source), ("e", cells["e"]), ("i", cells["i"])):
            receptor = "i" if pre == "i" else "e"
            made = Synapses(kind, cells[post], "w : 1", on_pre=f"I_{receptor}_post += w",
                            name=f"{pre}{post}", dt=step)  # fmt: skip
            made.connect()
            made.w = -1.0 if pre == "i" else 1.0
            objects.append(made)
    limits = {f"{pre}{post}.w": Sign() for post in "ei" for pre in "xei"}
    return mirror(Network(objects), limits, namespace={})
