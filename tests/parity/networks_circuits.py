"""Recurrent and layered circuits of many cells."""

from collections.abc import Iterator

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    Quantity,
    SpikeGeneratorGroup,
    Synapses,
    ms,
    mV,
    nA,
    nS,
    pA,
    pF,
    second,
)
from registry import entry, feed, random_edges


@entry(1 * second, 13_000, cells=(5, 50), locked=100 * ms)
def cuba() -> Network:
    """Vogels-Abbott network with currents, 1,500 neurons (Brette et al. 2007, benchmark 2)."""
    rng = np.random.default_rng(1)
    cells = NeuronGroup(
        1500,
        """dv/dt = (ge + gi - (v - El)) / tau_m : volt (unless refractory)
           dge/dt = -ge / tau_e : volt
           dgi/dt = -gi / tau_i : volt""",
        threshold="v > Vt",
        reset="v = Vr",
        refractory=5 * ms,
        method="exact",
        namespace={
            "tau_m": 20 * ms, "tau_e": 5 * ms, "tau_i": 10 * ms,
            "Vt": -50 * mV, "Vr": -60 * mV, "El": -46 * mV,
        },
        name="cells",
    )  # fmt: skip
    cells.v = rng.uniform(-60, -50, 1500) * mV
    i, j = random_edges(rng, 1500, 1500, 80)
    return Network(cells, *balanced(cells, i, j, rng, 1.62 * mV, -9 * mV, "volt"))


@entry(1 * second, 36_000, cells=(10, 80), locked=100 * ms)
def coba() -> Network:
    """Vogels-Abbott network with conductances, 1,500 neurons (Brette et al. 2007, benchmark 1)."""
    rng = np.random.default_rng(2)
    cells = NeuronGroup(
        1500,
        """dv/dt = (g_L*(E_L - v) + ge*(E_e - v) + gi*(E_i - v) + I) / C : volt (unless refractory)
           dge/dt = -ge / tau_e : siemens
           dgi/dt = -gi / tau_i : siemens""",
        threshold="v > V_t",
        reset="v = V_r",
        refractory=5 * ms,
        method="exponential_euler",
        namespace={
            "C": 200 * pF, "g_L": 10 * nS, "E_L": -60 * mV, "E_e": 0 * mV, "E_i": -80 * mV,
            "tau_e": 5 * ms, "tau_i": 10 * ms, "V_t": -50 * mV, "V_r": -60 * mV, "I": 200 * pA,
        },
        name="cells",
    )  # fmt: skip
    cells.v = rng.uniform(-60, -50, 1500) * mV
    i, j = random_edges(rng, 1500, 1500, 80)
    return Network(cells, *balanced(cells, i, j, rng, 6 * nS, 67 * nS, "siemens"))


def balanced(
    cells: NeuronGroup,
    i: np.ndarray,
    j: np.ndarray,
    rng: np.random.Generator,
    w_e: Quantity,
    w_i: Quantity,
    unit: str,
) -> Iterator[Synapses]:
    """Excitatory synapses from the first 80 % of the cells, inhibitory ones from the others."""
    excites = i < 0.8 * len(cells)
    for name, target, w, chosen in (("ee", "ge", w_e, excites), ("ii", "gi", w_i, ~excites)):
        synapses = Synapses(cells, cells, f"w : {unit}", on_pre=f"{target} += w", name=name)
        synapses.connect(i=i[chosen], j=j[chosen])
        synapses.w = w * rng.uniform(0.5, 1.5, chosen.sum())
        synapses.delay = rng.uniform(0.1, 3.0, chosen.sum()) * ms
        yield synapses


@entry(1 * second, 16_000, cells=(20, 80), locked=100 * ms)
def adaptive_recurrent() -> Network:
    """Recurrent AdEx neurons: an exponential, two states, spike-triggered adaptation."""
    rng = np.random.default_rng(3)
    cells = NeuronGroup(
        500,
        """dv/dt = (g_L*(E_L - v) + g_L*D_T*exp((v - V_T)/D_T) + I + I_s - w) / C : volt
           dw/dt = (a*(v - E_L) - w) / tau_w : amp
           dI_s/dt = -I_s / (5*ms) : amp
           I : amp (constant)""",
        threshold="v > -40*mV",
        reset="v = E_L; w += b",
        method="euler",
        namespace={
            "C": 281 * pF, "g_L": 30 * nS, "E_L": -70.6 * mV, "V_T": -50.4 * mV, "D_T": 2 * mV,
            "tau_w": 144 * ms, "a": 4 * nS, "b": 0.0805 * nA,
        },
        name="cells",
    )  # fmt: skip
    cells.v = rng.uniform(-70, -55, 500) * mV
    cells.I = rng.uniform(0.7, 1.4, 500) * nA
    synapses = Synapses(cells, cells, "J : amp", on_pre="I_s_post += J", name="rec")
    i, j = random_edges(rng, 500, 500, 30)
    synapses.connect(i=i, j=j)
    synapses.J = rng.normal(0, 40, len(i)) * pA
    synapses.delay = rng.uniform(0, 4, len(i)) * ms
    return Network(cells, synapses)


@entry(1 * second, 26_000, stimulus=(150, 250), first=(5, 120), second=(5, 120), locked=100 * ms)
def generator_chain() -> Network:
    """Two feed-forward layers driven by given spikes."""
    rng = np.random.default_rng(4)
    times = rng.integers(0, 9990, 20000)
    pairs = np.unique(np.stack([times, rng.integers(0, 100, len(times))]), axis=1)
    stimulus = SpikeGeneratorGroup(100, pairs[1], pairs[0] * 0.1 * ms, name="stimulus")
    layers = [_layer(name) for name in ("first", "second")]
    synapses = [
        feed(stimulus, layers[0], rng, 0.02, "in_first"),
        feed(layers[0], layers[1], rng, 0.06, "first_second"),
    ]
    return Network(stimulus, layers, synapses)


def _layer(name: str) -> NeuronGroup:
    return NeuronGroup(
        50,
        "dv/dt = -v / (20*ms) : 1 (unless refractory)",
        threshold="v >= 1",
        reset="v -= 1",
        refractory=1 * ms,
        method="exact",
        name=name,
    )
