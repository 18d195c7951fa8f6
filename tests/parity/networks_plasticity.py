"""Synapses that change: spike timing, voltage, calcium, reward, homeostasis, short term."""

from typing import Any

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    Synapses,
    ms,
    second,
)
from registry import entry


@entry(0.3 * second, 2_000, noise=(25, 60), cells=(5, 120), seed=3, locked=100 * ms)
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


def _pair(
    rng: np.random.Generator,
    model: str,
    on_pre: Any,
    on_post: Any,
    w: float = 0.06,
    equations: str = "dv/dt = (I - v)/(10*ms) : 1\nI : 1 (constant)",
    **options: Any,
) -> tuple[PoissonGroup, NeuronGroup, Synapses]:
    """Thirty Poisson inputs at 40 Hz onto four cells through plastic synapses."""
    noise = PoissonGroup(30, 40 * Hz, name="noise")
    cells = NeuronGroup(
        4, equations, threshold="v > 1", reset="v = 0", method="euler", name="cells"
    )
    cells.I = 0.6
    synapses = Synapses(
        noise, cells, f"w : 1\n{model}", on_pre=on_pre, on_post=on_post, name="plastic", **options
    )
    synapses.connect()
    synapses.w = rng.uniform(0.5 * w, 1.5 * w, 120)
    synapses.pre.delay = rng.uniform(0, 2, 120) * ms
    return noise, cells, synapses


@entry(0.12 * second, 120, seed=30, noise=(25, 60), cells=(3, 120))
def stdp_clock_driven() -> Network:
    """Pair STDP with traces advanced at every step (Song, Miller & Abbott 2000)."""
    return Network(
        _pair(
            np.random.default_rng(60),
            """dx/dt = -x/(20*ms) : 1 (clock-driven)
               dy/dt = -y/(20*ms) : 1 (clock-driven)""",
            on_pre="v_post += w; x += 0.01; w = clip(w - y, 0, 0.15)",
            on_post="y += 0.0105; w = clip(w + x, 0, 0.15)",
            method="exact",
        )
    )


@entry(0.12 * second, 140, seed=31, noise=(25, 60), cells=(3, 120))
def stdp_nearest() -> Network:
    """Nearest-neighbour STDP: a spike sets its trace (Morrison, Diesmann & Gerstner 2008).

    Postsynaptic spikes reach the synapse late, and the weight acts multiplicatively.
    """
    noise, cells, synapses = _pair(
        np.random.default_rng(61),
        """dx/dt = -x/(17*ms) : 1 (event-driven)
           dy/dt = -y/(34*ms) : 1 (event-driven)""",
        on_pre="v_post += w; x = 1; w -= 0.05*y*w",
        on_post="y = 1; w += 0.05*x*(0.15 - w)",
    )
    synapses.post.delay = np.linspace(0, 3, 120) * ms
    return Network(noise, cells, synapses)


@entry(0.12 * second, 130, seed=32, noise=(25, 60), cells=(3, 150))
def inhibitory_stdp() -> Network:
    """Symmetric plasticity of inhibition towards a target rate (Vogels et al. 2011)."""
    noise, cells, synapses = _pair(
        np.random.default_rng(62),
        """dx/dt = -x/(20*ms) : 1 (event-driven)
           dy/dt = -y/(20*ms) : 1 (event-driven)
           alpha : 1 (shared, constant)
           eta : 1 (shared, constant)""",
        on_pre="g_post += w; x += 1; w = clip(w + eta*(y - alpha), 0, 1)",
        on_post="y += 1; w = clip(w + eta*x, 0, 1)",
        equations="""dv/dt = (I - v - g*(v + 0.5))/(10*ms) : 1
                     dg/dt = -g/(8*ms) : 1
                     I : 1 (constant)""",
    )
    cells.I = np.linspace(1.6, 2.4, 4)
    synapses.alpha, synapses.eta = 2 * 10 * 0.02, 0.02
    return Network(noise, cells, synapses)


@entry(0.12 * second, 120, seed=33, noise=(25, 60), cells=(3, 120))
def triplet_stdp() -> Network:
    """Triplets of spikes, four traces, read before they are changed (Pfister & Gerstner 2006)."""
    return Network(
        _pair(
            np.random.default_rng(63),
            """dr1/dt = -r1/(16.8*ms) : 1 (event-driven)
               dr2/dt = -r2/(101*ms) : 1 (event-driven)
               do1/dt = -o1/(33.7*ms) : 1 (event-driven)
               do2/dt = -o2/(125*ms) : 1 (event-driven)""",
            on_pre="""v_post += w
                      w = clip(w - o1*(0.007 + 0.0023*r2), 0, 0.2)
                      r1 += 1
                      r2 += 1""",
            on_post="""w = clip(w + r1*(0.0061 + 0.0067*o2), 0, 0.2)
                       o1 += 1
                       o2 += 1""",
            w=0.045,
        )
    )


@entry(0.12 * second, 140, seed=34, noise=(25, 60), cells=(3, 150))
def voltage_based() -> Network:
    """Plasticity from the voltage and its low-pass filters (Clopath et al. 2010).

    Depression at presynaptic spikes, potentiation at every step, as synaptic equations.
    """
    noise, cells, synapses = _pair(
        np.random.default_rng(64),
        """dx/dt = -x/(15*ms) : 1 (clock-driven)
           dp/dt = A*x*clip(v_post - 0.7, 0, inf)*clip(plus_post - 0.2, 0, inf)/ms : 1
                   (clock-driven)
           A : 1 (shared, constant)""",
        on_pre="""v_post += w + p
                  x += 1
                  p = clip(p - 0.01*clip(minus_post - 0.2, 0, inf), -w, 0.2)""",
        on_post=None,
        equations="""dv/dt = (I - v)/(10*ms) : 1
                     dplus/dt = (v - plus)/(7*ms) : 1
                     dminus/dt = (v - minus)/(10*ms) : 1
                     I : 1 (constant)""",
        method="euler",
    )
    synapses.A = 0.05
    return Network(noise, cells, synapses)


@entry(0.12 * second, 160, seed=35, noise=(25, 60), cells=(3, 150))
def sliding_threshold() -> Network:
    """BCM: the sign of change depends on a running mean of activity (Bienenstock et al. 1982)."""
    noise, cells, synapses = _pair(
        np.random.default_rng(65),
        "dx/dt = -x/(20*ms) : 1 (event-driven)",
        on_pre="v_post += w; x += 0.5",
        on_post="w = clip(w + 0.02*x*rate_post*(rate_post - theta_post), 0, 0.3)",
        equations="""dv/dt = (I - v)/(10*ms) : 1
                     drate/dt = -rate/(30*ms) : 1
                     dtheta/dt = (rate**2 - theta)/(80*ms) : 1
                     I : 1 (constant)""",
    )
    cells.theta = 0.2
    mark = Synapses(cells, cells, on_pre="rate_post += 0.6", name="mark")
    mark.connect(j="i")
    return Network(noise, cells, synapses, mark)


@entry(0.12 * second, 140, seed=36, noise=(25, 60), cells=(3, 120), reward=(20, 80))
def reward_modulated() -> Network:
    """Eligibility traces and dopamine (Izhikevich 2007): change waits for a reward.

    Dopamine is a shared variable that given spikes raise; the traces advance at every step.
    """
    noise, cells, synapses = _pair(
        np.random.default_rng(66),
        """dx/dt = -x/(20*ms) : 1 (event-driven)
           dy/dt = -y/(20*ms) : 1 (event-driven)
           dc/dt = -c/(200*ms) : 1 (clock-driven)
           dw_e/dt = c*d_post/(50*ms) : 1 (clock-driven)""",
        on_pre="v_post += w + clip(w_e, -w, 0.1); x += 0.1; c -= y",
        on_post="y += 0.105; c += x",
        equations="""dv/dt = (I - v)/(10*ms) : 1
                     dd/dt = -d/(40*ms) : 1
                     I : 1 (constant)""",
        method="euler",
    )
    reward = SpikeGeneratorGroup(
        1, np.zeros(8, int), np.arange(8) * 25 * ms + 5 * ms, name="reward"
    )
    release = Synapses(reward, cells, on_pre="d_post += 0.5", delay=2 * ms, name="release")
    release.connect()
    return Network(noise, cells, synapses, reward, release)


@entry(0.12 * second, 140, seed=37, noise=(25, 60), cells=(3, 120))
def calcium_based() -> Network:
    """Calcium with two thresholds and a bistable weight (Graupner & Brunel 2012)."""
    noise, cells, synapses = _pair(
        np.random.default_rng(67),
        """dca/dt = -ca/(22.7*ms) : 1 (clock-driven)
           drho/dt = (-rho*(1 - rho)*(0.5 - rho) + gamma_p*(1 - rho)*int(ca > 1.3)
                      - gamma_d*rho*int(ca > 1))/(5*second) : 1 (clock-driven)
           gamma_p : 1 (shared, constant)
           gamma_d : 1 (shared, constant)""",
        on_pre={"pre": "v_post += w*rho", "calcium": "ca += 0.56"},
        on_post="ca += 1.24",
        w=0.12,
        method="euler",
    )
    synapses.calcium.delay = 4.6 * ms
    synapses.rho, synapses.gamma_p, synapses.gamma_d = np.linspace(0, 1, 120), 725, 331
    return Network(noise, cells, synapses)


@entry(0.12 * second, 120, seed=38, noise=(25, 60), cells=(3, 150))
def homeostasis() -> Network:
    """Synaptic scaling (Turrigiano 1998): code that runs regularly over synapses, every 5 ms."""
    noise, cells, synapses = _pair(
        np.random.default_rng(68),
        "dx/dt = -x/(20*ms) : 1 (event-driven)",
        on_pre="v_post += w; x += 0.1",
        on_post="w += 0.01*x",
        equations="""dv/dt = (I - v)/(10*ms) : 1
                     drate/dt = -rate/(50*ms) : Hz
                     I : 1 (constant)""",
    )
    mark = Synapses(cells, cells, on_pre="rate_post += 1/(50*ms)", name="mark")
    mark.connect(j="i")
    synapses.run_regularly(
        "w = clip(w*(1 + 0.02*(30*Hz - rate_post)/(30*Hz)), 0, 0.2)", dt=5 * ms, when="end"
    )
    return Network(noise, cells, synapses, mark)


@entry(0.12 * second, 80, stimulus=(50, 120), cells=(5, 150))
def short_term() -> Network:
    """Facilitation and depression (Tsodyks, Pawelzik & Markram 1998), event-driven u and x."""
    rng = np.random.default_rng(69)
    steps = [np.arange(20, 2000, 90 + 10 * k) for k in range(8)]
    stimulus = SpikeGeneratorGroup(
        8, np.repeat(np.arange(8), [len(s) for s in steps]), np.concatenate(steps) * 0.1 * ms,
        name="stimulus",
    )  # fmt: skip
    cells = NeuronGroup(
        6, "dv/dt = (g - v)/(10*ms) : 1\ndg/dt = -g/(3*ms) : 1", threshold="v > 0.3",
        reset="v = 0", method="euler", name="cells",
    )  # fmt: skip
    synapses = Synapses(
        stimulus,
        cells,
        """du/dt = -u/tau_f : 1 (event-driven)
           dx/dt = (1 - x)/tau_d : 1 (event-driven)
           A : 1 (constant)
           U : 1 (constant)
           tau_f : second (constant)
           tau_d : second (constant)""",
        on_pre="""u += U*(1 - u)
                  r = u*x
                  x -= r
                  g_post += A*r""",
        name="synapses",
    )
    synapses.connect()
    facilitates = rng.random(48) < 0.5
    synapses.x, synapses.A = 1, rng.uniform(0.5, 1.5, 48)
    synapses.U = np.where(facilitates, 0.1, 0.5)
    synapses.tau_f = np.where(facilitates, 600, 20) * ms
    synapses.tau_d = np.where(facilitates, 50, 300) * ms
    synapses.delay = rng.uniform(0, 2, 48) * ms
    return Network(stimulus, cells, synapses)


@entry(0.2 * second, 220, seed=39, noise=(25, 60), cells=(3, 150))
def normalised_weights() -> Network:
    """Weights whose sum at each neuron is kept (von der Malsburg 1973), and a flag that gates.

    The sum is a summed variable; where `plastic` does not hold, nothing changes.
    """
    noise, cells, synapses = _pair(
        np.random.default_rng(70),
        """dx/dt = -x/(20*ms) : 1 (event-driven)
           plastic : boolean
           total_post = w : 1 (summed)""",
        on_pre="v_post += w; x += 0.3",
        on_post="w += 0.03*x*int(plastic); plastic = plastic and w < 0.2",
        equations="""dv/dt = (I - v)/(10*ms) : 1
                     I : 1 (constant)
                     total : 1""",
    )
    synapses.plastic = np.arange(120) % 3 > 0
    synapses.run_regularly("w *= 1 + 0.1*(1.8/total_post - 1)", dt=0.1 * ms, when="after_groups")
    return Network(noise, cells, synapses)


@entry(0.12 * second, moves={"output.y": 0.02, "hebb.w": 0.01})
def hebbian_rates() -> Network:
    """Oja's (1982) rule between rate units: the weights are synaptic equations, nothing spikes."""
    rng = np.random.default_rng(71)
    source = NeuronGroup(6, "x = 0.5 + 0.5*sin(2*pi*f*t + i) : 1\nf : Hz (constant)", name="source")
    source.f = np.linspace(10, 60, 6) * Hz
    output = NeuronGroup(
        3, "dy/dt = (drive - y)/(10*ms) : 1\ndrive : 1", method="exponential_euler", name="output"
    )
    hebb = Synapses(
        source,
        output,
        """dw/dt = y_post*(x_pre - y_post*w)/(50*ms) : 1 (clock-driven)
           drive_post = w*x_pre : 1 (summed)""",
        method="rk2",
        name="hebb",
    )
    hebb.connect()
    hebb.w = rng.uniform(0, 0.4, 18)
    return Network(source, output, hebb)
