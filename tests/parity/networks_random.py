"""Random numbers: in equations, thresholds, resets and synapses."""

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    Synapses,
    ms,
    mV,
    nS,
    pF,
    second,
)
from registry import entry


@entry(0.3 * second, 1_000, seed=11, cells=(50, 250), locked=100 * ms)
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


@entry(0.2 * second, 100, seed=2, heun=(5, 150), milstein=(5, 150), locked=100 * ms)
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


@entry(0.12 * second, 40, seed=12, cells=(5, 120))
def coloured_noise() -> Network:
    """Two Ornstein-Uhlenbeck currents that stand in for synapses (Destexhe et al. 2001)."""
    cells = NeuronGroup(
        15,
        """dv/dt = (g_L*(E_L - v) + ge*(0*mV - v) + gi*(-75*mV - v))/C : volt (unless refractory)
           dge/dt = (ge_0 - ge)/tau_e + s_e*(2/tau_e)**0.5*xi_1 : siemens
           dgi/dt = (gi_0 - gi)/tau_i + s_i*(2/tau_i)**0.5*xi_2 : siemens""",
        threshold="v > -50*mV",
        reset="v = -60*mV",
        refractory=3 * ms,
        method="euler",
        namespace={
            "g_L": 16 * nS, "C": 250 * pF, "E_L": -65 * mV, "tau_e": 2.7 * ms, "tau_i": 10.5 * ms,
            "ge_0": 12 * nS, "gi_0": 20 * nS, "s_e": 6 * nS, "s_i": 5 * nS,
        },
        name="cells",
    )  # fmt: skip
    cells.v, cells.ge, cells.gi = -62 * mV, 12 * nS, 20 * nS
    return Network(cells)


@entry(0.12 * second, 40, seed=13, cells=(10, 150))
def noise_unless_refractory() -> Network:
    """White noise that rests with the neuron, in the step of heun, and depends on a parameter."""
    cells = NeuronGroup(
        12,
        """dv/dt = (I - v)/tau + sigma*xi*tau**-0.5 : 1 (unless refractory)
           dm/dt = (v - m)/(30*ms) : 1
           tau : second (constant)
           sigma : 1 (constant)
           I : 1 (constant)""",
        threshold="v > 1 + 0.2*m",
        reset="v = 0",
        refractory=3 * ms,
        method="heun",
        name="cells",
    )
    cells.tau, cells.sigma = np.linspace(5, 20, 12) * ms, np.linspace(0.1, 0.6, 12)
    cells.I = 1.2
    return Network(cells)


@entry(0.12 * second, moves={"wells.x": 0.3, "prices.s": 0.01}, seed=14)
def diffusions() -> Network:
    """Smooth stochastic processes: a double well by euler, geometric motion by milstein."""
    wells = NeuronGroup(
        10, "dx/dt = (x - x**3)/(4*ms) + 0.9*xi*(4*ms)**-0.5 : 1", method="euler", name="wells"
    )
    wells.x = np.linspace(-1, 1, 10)
    prices = NeuronGroup(
        5, "ds/dt = 0.5*s*Hz + 0.4*s*xi*Hz**0.5 : 1", method="milstein", name="prices"
    )
    prices.s = 1
    return Network(wells, prices)


@entry(0.1 * second, 170, seed=15, noise=(20, 60), cells=(5, 150))
def stochastic_release() -> Network:
    """Vesicles released or not (Katz 1969): Bernoulli at each synapse, and a release that fails."""
    noise = PoissonGroup(40, 40 * Hz, name="noise")
    cells = NeuronGroup(
        8, "dv/dt = -v/(12*ms) : 1 (unless refractory)", threshold="v > 1", reset="v = 0",
        refractory=2 * ms, method="exact", name="cells",
    )  # fmt: skip
    feed = Synapses(
        noise,
        cells,
        """w : 1
           p : 1 (constant)
           released : integer""",
        on_pre="v_post += w*int(rand() < p); released += int(rand() < p)",
        name="feed",
    )
    feed.connect()
    feed.w = np.linspace(0.05, 0.2, 320)
    feed.p = np.linspace(0.2, 0.9, 320)
    feed.delay = np.linspace(0, 2, 320) * ms
    return Network(noise, cells, feed)


@entry(0.1 * second, 130, seed=16, noise=(10, 60), cells=(5, 150))
def quantal_release() -> Network:
    """A Poisson number of quanta of varying size (del Castillo & Katz 1954), per spike."""
    noise = PoissonGroup(30, 40 * Hz, name="noise")
    cells = NeuronGroup(
        6, "dv/dt = -v/(12*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells"
    )
    feed = Synapses(
        noise,
        cells,
        "q : 1\nm : 1 (constant)",
        on_pre="""quanta = poisson(m)
                  v_post += q*quanta*(1 + 0.2*randn())""",
        name="feed",
    )
    feed.connect(p=1)
    feed.q, feed.m = 0.07, np.linspace(0.5, 3, 180)
    return Network(noise, cells, feed)
