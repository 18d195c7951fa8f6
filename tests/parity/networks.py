"""Networks on which mirror and Brian2 have to agree.

Each entry builds a network from explicit, seeded arrays and states the band of mean rates [Hz]
in which it is alive. Whoever adds a feature adds a network here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    Quantity,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    linked_var,
    ms,
    mV,
    nA,
    nS,
    pA,
    pF,
    second,
)

Build = Callable[[], Network]


@dataclass(frozen=True)
class Entry:
    """A network, how long it runs, and the rates that show that it is alive.

    Arguments:
        build: Makes the network.
        duration: How long it is compared.
        rates: Lowest and highest mean rate of each group listed [Hz].
        spikes: Number of spikes that it gives at least.
        seed: Seed of its random numbers.
    """

    build: Build
    duration: Quantity
    rates: dict[str, tuple[float, float]]
    spikes: int
    seed: int = 0


networks: dict[str, Entry] = {}


def entry(
    duration: Quantity, spikes: int, seed: int = 0, **rates: tuple[float, float]
) -> Callable[[Build], Build]:
    """Register a network under the name of the function that builds it."""

    def register(build: Build) -> Build:
        networks[build.__name__] = Entry(build, duration, rates, spikes, seed)
        return build

    return register


def random_edges(
    rng: np.random.Generator, n_pre: int, n_post: int, degree: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (i, j), each present with the probability that gives the mean in-degree."""
    return np.nonzero(rng.random((n_pre, n_post)) < degree / n_pre)


@entry(1 * second, 13_000, cells=(5, 50))
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


@entry(1 * second, 36_000, cells=(10, 80))
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


@entry(1 * second, 16_000, cells=(20, 80))
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


@entry(1 * second, 26_000, stimulus=(150, 250), first=(5, 120), second=(5, 120))
def generator_chain() -> Network:
    """Two feed-forward layers driven by given spikes."""
    rng = np.random.default_rng(4)
    times = rng.integers(0, 9990, 20000)
    pairs = np.unique(np.stack([times, rng.integers(0, 100, len(times))]), axis=1)
    stimulus = SpikeGeneratorGroup(100, pairs[1], pairs[0] * 0.1 * ms, name="stimulus")
    layers = [_layer(name) for name in ("first", "second")]
    synapses = [
        _feed(stimulus, layers[0], rng, 0.02, "in_first"),
        _feed(layers[0], layers[1], rng, 0.06, "first_second"),
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


def _feed(
    source: NeuronGroup, target: NeuronGroup, rng: np.random.Generator, w: float, name: str
) -> Synapses:
    synapses = Synapses(source, target, "w : 1", on_pre="v += w", name=name)
    i, j = random_edges(rng, len(source), len(target), 25)
    synapses.connect(i=i, j=j)
    synapses.w = rng.uniform(0, 2 * w, len(i))
    synapses.delay = rng.uniform(0, 5, len(i)) * ms
    return synapses


@entry(1 * second, 12_000, cells=(20, 200))
def timed_array() -> Network:
    """Neurons driven by a one- and a two-dimensional TimedArray, each with its own dead time."""
    rng = np.random.default_rng(5)
    common = TimedArray(1.2 + np.sin(np.arange(1000) / 30), dt=1 * ms, name="common")
    private = TimedArray(rng.uniform(0, 1.5, (200, 120)), dt=5 * ms, name="private")
    cells = NeuronGroup(
        120,
        """dv/dt = (drive - v) / (10*ms) : 1 (unless refractory)
           drive = common(t) + private(t, i) : 1
           dead : second (constant)""",
        threshold="v > 1",
        reset="v = 0",
        refractory="dead",
        method="euler",
        namespace={"common": common, "private": private},
        name="cells",
    )
    cells.dead = rng.uniform(0, 5, 120) * ms
    return Network(cells)


@entry(0.5 * second, 2_000, seed=7, noise=(5, 80), cells=(5, 120))
def poisson_drive() -> Network:
    """Neurons with a condition for their refractory period, driven by PoissonGroup."""
    rng = np.random.default_rng(6)
    noise = PoissonGroup(200, rates="(20 + i*0.2)*Hz", name="noise")
    cells = NeuronGroup(
        20,
        """dv/dt = -v / (15*ms) : 1 (unless refractory)
           du/dt = (0.2*v - u) / (50*ms) : 1""",
        threshold="v > 1 + u",
        reset="v = 0; u += 0.3",
        refractory="u > 0.4",
        method="exponential_euler",
        name="cells",
    )
    return Network(noise, cells, _feed(noise, cells, rng, 0.35, "drive"))


@entry(0.3 * second, 2_000, noise=(25, 60), cells=(5, 120), seed=3)
def stdp() -> Network:
    """Pair-based STDP with event-driven traces (Song, Miller & Abbott 2000), delays that differ."""
    rng = np.random.default_rng(9)
    noise = PoissonGroup(200, rates=40 * Hz, name="noise")
    cells = NeuronGroup(
        10,
        "dv/dt = -v / (10*ms) : 1",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        name="cells",
    )
    synapses = Synapses(
        noise,
        cells,
        """w : 1
           dpre/dt = -pre / (20*ms) : 1 (event-driven)
           dpost/dt = -post / (20*ms) : 1 (event-driven)""",
        on_pre="v_post += w; pre += 0.002; w = clip(w + post, 0, 0.06)",
        on_post="post -= 0.0021; w = clip(w + pre, 0, 0.06)",
        name="plastic",
    )
    synapses.connect()
    synapses.w = rng.uniform(0, 0.03, len(synapses))
    synapses.pre.delay = rng.uniform(0, 3, len(synapses)) * ms
    return Network(noise, cells, synapses)


@entry(0.3 * second, 200, cells=(10, 120))
def gap_junctions() -> Network:
    """A summed variable, and code that runs regularly."""
    cells = NeuronGroup(
        20, "dv/dt = (1.1 + 0.02*i - v + gap) / (10*ms) : 1\ngap : 1",
        threshold="v > 1", reset="v = 0", method="euler", name="cells",
    )  # fmt: skip
    cells.run_regularly("v *= 0.9999", dt=0.1 * ms)
    junctions = Synapses(
        cells, cells, "g : 1\ngap_post = g*(v_pre - v_post) : 1 (summed)", name="junctions"
    )
    junctions.connect("abs(i - j) == 1")
    junctions.g = 0.05
    return Network(cells, junctions)


@entry(0.3 * second, 1_000, seed=11, cells=(50, 250))
def noisy() -> Network:
    """Noise in the equations, in the threshold, in the reset and in what a spike does."""
    cells = NeuronGroup(
        30,
        """dv/dt = (1 - v)/(10*ms) + 0.3*xi*(10*ms)**-0.5 : 1 (unless refractory)
           x : 1""",
        threshold="rand() < 0.5*clip(v, 0, 1)*dt/ms",
        reset="v = 0.1*rand(); x += randn()",
        refractory=2 * ms,
        method="euler",
        name="cells",
    )
    synapses = Synapses(
        cells, cells, "w : 1", on_pre="v_post += 0.02*exp(1/2)*rand()*w", name="rec"
    )
    synapses.connect("i != j", p=1)
    synapses.w = 1
    return Network(cells, synapses)


@entry(0.2 * second, 300, cells=(10, 120), relay=(5, 120))
def subgroups() -> Network:
    """Parts of groups on both sides of synapses, and the names i and j."""
    cells = NeuronGroup(
        20, "dv/dt = (1.1 + 0.03*i - v) / (10*ms) : 1", threshold="v > 1", reset="v = 0",
        method="rk4", name="cells",
    )  # fmt: skip
    relay = NeuronGroup(
        5, "dv/dt = -v / (20*ms) : 1\ncount : integer", threshold="v > 1",
        reset="v = 0; count += 1", method="exponential_euler", name="relay",
    )  # fmt: skip
    inner = Synapses(
        cells[:10], cells[5:15], "w : 1", on_pre="v_post += w*0.1*(i + j)", name="inner"
    )
    inner.connect("i != j")
    inner.w = 0.02
    outer = Synapses(cells[15:], relay, on_pre="v_post += 0.6", name="outer")
    outer.connect(j="i")
    return Network(cells, relay, inner, outer)


@entry(0.1 * second, 100, cells=(10, 200))
def hodgkin_huxley() -> Network:
    """Traub-Miles cells (Brette et al. 2007, benchmark 3): exprel and powers."""
    cells = NeuronGroup(
        20,
        """dv/dt = (g_L*(E_L - v) - g_Na*m**3*h*(v - E_Na) - g_K*n**4*(v - E_K) + I)/C : volt
           dm/dt = (1.28/exprel((13*mV - v + V_T)/(4*mV))*(1 - m)
                    - 1.4/exprel((v - V_T - 40*mV)/(5*mV))*m)/ms : 1
           dn/dt = (0.16/exprel((15*mV - v + V_T)/(5*mV))*(1 - n)
                    - 0.5*exp((10*mV - v + V_T)/(40*mV))*n)/ms : 1
           dh/dt = (0.128*exp((17*mV - v + V_T)/(18*mV))*(1 - h)
                    - 4/(1 + exp((40*mV - v + V_T)/(5*mV)))*h)/ms : 1
           I : amp (constant)""",
        threshold="v > -40*mV",
        refractory="v > -40*mV",
        method="exponential_euler",
        namespace={
            "C": 200 * pF, "g_L": 10 * nS, "E_L": -65 * mV, "E_Na": 50 * mV, "E_K": -90 * mV,
            "g_Na": 20000 * nS, "g_K": 6000 * nS, "V_T": -63 * mV,
        },
        name="cells",
    )  # fmt: skip
    cells.v, cells.I = -65 * mV, np.linspace(0.1, 0.7, 20) * nA
    return Network(cells)


@entry(0.2 * second, 50, cells=(5, 100))
def custom_event() -> Network:
    """An event beside the spike, that drives synapses and runs code."""
    cells = NeuronGroup(
        10,
        """dv/dt = (1.05 + 0.02*i - v) / (10*ms) : 1
           du/dt = -u / (30*ms) : 1""",
        threshold="v > 1",
        reset="v = 0",
        events={"high": "v > 0.9 and u < 0.1"},
        method="euler",
        name="cells",
    )
    cells.run_on_event("high", "u += 1")
    synapses = Synapses(
        cells, cells, on_pre="v_post -= 0.01", on_event={"pre": "high"}, delay=1 * ms, name="signal"
    )
    synapses.connect("i != j")
    return Network(cells, synapses)


@entry(0.2 * second, 100, seed=2, heun=(5, 150), milstein=(5, 150))
def multiplicative_noise() -> Network:
    """Noise that scales with the state, by the two integrators for it, and several noises."""
    groups = [
        NeuronGroup(
            20,
            """dv/dt = (1.1 - v)/(10*ms) + 0.2*v*xi_1*(10*ms)**-0.5 : 1
               du/dt = (v - u)/(20*ms) + 0.1*xi_2*(20*ms)**-0.5 : 1"""
            if method == "heun"
            else "dv/dt = (1.1 - v)/(10*ms) + 0.2*v*xi*(10*ms)**-0.5 : 1",
            threshold="v > 1",
            reset="v = 0",
            method=method,
            name=method,
        )
        for method in ("heun", "milstein")
    ]
    return Network(groups)


@entry(0.2 * second, 100, cells=(10, 120), readers=(5, 150))
def synaptic_equations() -> Network:
    """Synapses with equations of their own at every step, and a variable linked between groups."""
    cells = NeuronGroup(
        12, "dv/dt = (1.1 + 0.02*i - v + I)/(10*ms) : 1\nI : 1", threshold="v > 1",
        reset="v = 0", method="euler", name="cells",
    )  # fmt: skip
    readers = NeuronGroup(
        6, "dx/dt = (1.5*source - x)/(5*ms) : 1\nsource : 1 (linked)", threshold="x > 0.9",
        reset="x = 0", method="euler", name="readers",
    )  # fmt: skip
    readers.source = linked_var(cells, "v", index=np.arange(0, 12, 2))
    synapses = Synapses(
        cells,
        cells,
        """dg/dt = (-a*g + b*z*(1 - g))/ms : 1 (clock-driven)
           dz/dt = -z/(2*ms) : 1 (clock-driven)
           I_post = w*g : 1 (summed)
           w : 1
           a : 1 (shared, constant)
           b : 1 (shared, constant)""",
        on_pre="z += 1",
        method="exponential_euler",
        delay=1 * ms,
        name="slow",
    )
    synapses.connect("i != j", p=1)
    synapses.w, synapses.a, synapses.b = 0.01, 0.05, 0.5
    return Network(cells, readers, synapses)
