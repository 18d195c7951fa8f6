"""The networks of the comparison: one kind of neuron each, driven by spikes, with a readout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Hz, Network, NeuronGroup, PoissonGroup, Synapses, ms, mV, nS, pF

SYNAPSE = "\ndg/dt = -g/(5*ms) : 1"
ADEX = """
dv/dt = (gL*(EL - v) + gL*DT*exp((v - VT)/DT) + g*nS*(0*mV - v) - a)/C : volt (unless refractory)
da/dt = (2*nS*(v - EL) - a)/(120*ms) : amp
"""
IZHIKEVICH = """
dv/dt = 0.04/ms/mV*v**2 + 5/ms*v + 140*mV/ms - u + g*mV/ms : volt
du/dt = 0.02/ms*(0.2/ms*v - u) : volt/second
"""


@dataclass(frozen=True)
class Kind:
    """A kind of neuron.

    Arguments:
        equations, threshold, reset: As in Brian2; input arrives at `g`.
        weight: Mean of the weights of the inputs.
        start: Of v.
        options: Others of the group.
        inhibited: Whether a fifth of the cells inhibit the others.
    """

    equations: str
    threshold: str
    reset: str
    weight: float
    start: Any = 0
    options: Mapping[str, Any] | None = None
    inhibited: bool = False


KINDS: Mapping[str, Kind] = {
    "LIF": Kind("dv/dt = (g - v)/(20*ms) : 1", "v > 1", "v = 0", 0.6),
    "subtractive LIF": Kind("dv/dt = (g - v)/(20*ms) : 1", "v > 1", "v -= 1", 0.6),
    "ALIF": Kind(
        "dv/dt = (g - v)/(20*ms) : 1\nda/dt = -a/(100*ms) : 1", "v > 1 + a", "v = 0; a += 0.1", 0.7
    ),
    "conductance": Kind("dv/dt = (g*(3 - v) - v)/(20*ms) : 1", "v > 1", "v = 0", 0.25),
    "theta": Kind(
        "dv/dt = (1 - cos(v) + (1 + cos(v))*(g - 0.1))/(10*ms) : 1", "v > pi", "v -= 2*pi", 0.25
    ),
    "Izhikevich": Kind(IZHIKEVICH, "v > 30*mV", "v = -65*mV; u += 8*mV/ms", 3.0, -65 * mV),
    "AdEx": Kind(
        ADEX, "v > -40*mV", "v = -58*mV; a += 20*pA", 2.5, -65 * mV,
        {"refractory": 2 * ms, "namespace": {
            "gL": 10 * nS, "EL": -65 * mV, "DT": 2 * mV, "VT": -50 * mV, "C": 200 * pF}},
    ),
    "E/I LIF": Kind("dv/dt = (g - v)/(20*ms) : 1", "v > 1", "v = 0", 0.8, inhibited=True),
}  # fmt: skip
TRAINED = ("input.w", "recurrent.w", "output.w")


def network(kind: Kind, cells: int, recurrence: float, seed: int, dt: float) -> Network:
    """Poisson spikes drive cells, which drive each other and two readouts.

    Arguments:
        kind: The cells.
        cells: Their number, and that of the inputs.
        recurrence: Strength of the synapses among them, in that of the inputs.
        seed: Of the weights.
        dt: Time step [ms].
    """
    rng, step = np.random.default_rng(seed), dt * ms
    inputs = PoissonGroup(cells, 40 * Hz, dt=step, name="inputs")
    group: Any = NeuronGroup(
        cells, kind.equations + SYNAPSE, threshold=kind.threshold, reset=kind.reset,
        method="euler", dt=step, name="cells", **dict(kind.options or {}),
    )  # fmt: skip
    group.v = kind.start
    readout = NeuronGroup(2, "dy/dt = -y/(20*ms) : 1", method="exact", dt=step, name="readout")
    signs = np.where(np.arange(cells) % 5 == 4, -4.0, 1.0) if kind.inhibited else None
    size = kind.weight * 10 / cells
    feed = _way(inputs, group, "g", "input", rng.uniform(0, 2, cells**2) * size)
    spread = rng.normal(0, 1, cells * (cells - 1)) * recurrence * size
    loop = _way(group, group, "g", "recurrent", spread)
    if signs is not None:
        loop.w = np.abs(spread) * signs[np.array(loop.i)]
    out = _way(group, readout, "y", "output", rng.normal(0, 1, 2 * cells) / np.sqrt(cells))
    return Network(inputs, group, readout, feed, loop, out)


def _way(pre: Any, post: Any, variable: str, name: str, weights: Any) -> Any:
    made: Any = Synapses(
        pre, post, "w : 1", on_pre=f"{variable}_post += w", dt=pre.clock.dt, name=name
    )
    made.connect("i != j" if pre is post else True)
    made.w = weights
    return made
