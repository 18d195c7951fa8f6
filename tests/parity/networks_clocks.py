"""Several clocks whose steps are whole multiples of one another."""

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    ms,
    second,
)
from registry import entry, feed


@entry(0.1 * second, 60, quick=(10, 150), slow=(10, 150))
def two_clocks() -> Network:
    """Populations with steps of 0.1 and 0.5 ms that drive each other."""
    rng = np.random.default_rng(90)
    quick, slow = (
        NeuronGroup(
            8, "dv/dt = (1.1 + 0.05*i - v)/(10*ms) : 1 (unless refractory)", threshold="v > 1",
            reset="v = 0", refractory=2 * ms, method="exact", dt=dt * ms, name=name,
        )
        for name, dt in (("quick", 0.1), ("slow", 0.5))
    )  # fmt: skip
    synapses: list[Synapses] = []
    for source, target in ((quick, slow), (slow, quick), (quick, quick)):
        s = Synapses(
            source, target, "w : 1", on_pre="v_post += w", name=f"{source.name}_{target.name}"
        )
        s.connect("i != j")
        s.w, s.delay = rng.normal(0, 0.06, 56), rng.integers(0, 5, 56) * 0.5 * ms
        synapses.append(s)
    return Network(quick, slow, synapses)


@entry(0.1 * second, 50, fine=(10, 150), cells=(10, 150))
def half_step() -> Network:
    """Hodgkin-Huxley-like fast gates at 0.05 ms beside cells at 0.1 ms; noise at both."""
    fine = NeuronGroup(
        6,
        """dv/dt = (v - v**3/3 - w + 0.8)/(0.5*ms) : 1
           dw/dt = 0.08*(v + 0.7 - 0.8*w)/(0.5*ms) : 1""",
        threshold="v > 1",
        refractory="v > 0",
        method="rk4",
        dt=0.05 * ms,
        name="fine",
    )
    fine.v = np.linspace(-1, 1, 6)
    cells = NeuronGroup(
        6, "dx/dt = (1.05 - x)/(10*ms) + 0.1*xi*(10*ms)**-0.5 : 1", threshold="x > 1",
        reset="x = 0", method="euler", dt=0.1 * ms, name="cells",
    )  # fmt: skip
    down = Synapses(fine, cells, on_pre="x_post += 0.1", delay=0.3 * ms, name="down")
    down.connect()
    return Network(fine, cells, down)


@entry(0.1 * second, 40, cells=(10, 150))
def slow_synapses() -> Network:
    """Synaptic equations and their sums every 0.5 ms, the spikes that drive them every 0.1 ms."""
    cells = NeuronGroup(
        8, "dv/dt = (1.1 + 0.06*i + I - v)/(10*ms) : 1\nI : 1", threshold="v > 1", reset="v = 0",
        method="euler", name="cells",
    )  # fmt: skip
    synapses = Synapses(
        cells,
        cells,
        """dg/dt = -g/(20*ms) : 1 (clock-driven)
           w : 1 (constant)
           I_post = w*g : 1 (summed)""",
        on_pre="g += 1",
        method="exact",
        dt=0.5 * ms,
        name="synapses",
    )
    synapses.connect("i != j")
    synapses.w = np.linspace(-0.03, 0.03, 56)
    return Network(cells, synapses)


@entry(0.1 * second, 40, seed=60, cells=(10, 150))
def regular_code() -> Network:
    """Code every 1 ms and every 5 ms, before and after the equations, on neurons and synapses."""
    rates = TimedArray(
        np.random.default_rng(91).uniform(0.8, 1.8, (30, 8)), dt=5 * ms, name="rates"
    )
    cells = NeuronGroup(
        8,
        """dv/dt = (I + noise - v)/(10*ms) : 1
           I : 1
           noise : 1
           calls : integer (shared)""",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        namespace={"rates": rates},
        name="cells",
    )
    cells.run_regularly("noise = 0.5*randn()", dt=1 * ms, when="start")
    cells.run_regularly("calls += 1; I = rates(t, i)", dt=5 * ms, when="before_end", order=1)
    rec = Synapses(cells, cells, "w : 1", on_pre="v_post += w", name="rec")
    rec.connect("i != j")
    rec.w = np.linspace(-0.05, 0.05, 56)
    rec.run_regularly("w = 0.999*w + 0.0005*rand()", dt=2 * ms, when="after_resets")
    return Network(cells, rec)


@entry(0.1 * second, 190, seed=61, noise=(20, 80), stimulus=(20, 120), cells=(5, 150))
def slow_sources() -> Network:
    """Sources that advance every 1 ms and every 0.5 ms, cells every 0.1 ms."""
    rng = np.random.default_rng(92)
    noise = PoissonGroup(20, 50 * Hz, dt=1 * ms, name="noise")
    stimulus = SpikeGeneratorGroup(
        10, np.tile(np.arange(10), 10), np.arange(100) * 1.5 * ms, dt=0.5 * ms, name="stimulus"
    )
    cells = NeuronGroup(
        6, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells"
    )
    return Network(
        cells, noise, stimulus,
        feed(noise, cells, rng, 0.07, "noise_in"), feed(stimulus, cells, rng, 0.12, "given_in"),
    )  # fmt: skip


@entry(0.1 * second, 30, cells=(10, 150))
def time_of_the_group() -> Network:
    """Code at other paces than its group's, which still sees the group's `t` and `dt`."""
    cells = NeuronGroup(
        6,
        """dv/dt = (1.1 + 0.05*i + 0.1*x - v)/(10*ms) : 1
           x : 1
           seen : second
           finer : second
           waves : 1""",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name="cells",
    )
    cells.run_regularly("x = x*0.9 + dt/ms; seen = t", dt=1 * ms)
    cells.run_regularly("finer = 0.5*finer + t", dt=0.05 * ms)
    cells.run_regularly("waves = sin(2*pi*100*Hz*t)**3", dt=0.1 * ms)
    return Network(cells)
