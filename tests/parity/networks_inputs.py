"""Where activity comes from: given and random spikes, TimedArrays, code, events."""

import numpy as np
from brian2 import (
    Hz,
    Mohm,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    ms,
    mV,
    nA,
    second,
    seed,
)
from registry import entry, feed, random_edges


@entry(1 * second, 12_000, cells=(20, 200), locked=100 * ms)
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


@entry(0.5 * second, 2_000, seed=7, noise=(5, 80), cells=(5, 120), locked=100 * ms)
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
    return Network(noise, cells, feed(noise, cells, rng, 0.35, "drive"))


@entry(0.2 * second, 50, cells=(5, 100), locked=100 * ms)
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


@entry(0.12 * second, 160, stimulus=(50, 150), cells=(5, 150))
def periodic_generator() -> Network:
    """Given spikes that repeat every 20 ms, unequal delays."""
    rng = np.random.default_rng(30)
    stimulus = SpikeGeneratorGroup(
        10, np.arange(10).repeat(2), rng.permutation(200)[:20] * 0.1 * ms, period=20 * ms,
        name="stimulus",
    )  # fmt: skip
    cells = NeuronGroup(
        6, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells"
    )
    return Network(stimulus, cells, feed(stimulus, cells, rng, 0.2, "drive"))


@entry(0.1 * second, 230, seed=17, array=(20, 80), table=(10, 90), text=(10, 90), cells=(5, 150))
def poisson_rates() -> Network:
    """Rates of a PoissonGroup as an array, as a TimedArray, and as text with i and t."""
    rng = np.random.default_rng(31)
    rates = TimedArray(rng.uniform(0, 100, (40, 12)) * Hz, dt=5 * ms, name="rates_of")
    groups = [
        PoissonGroup(15, np.linspace(10, 80, 15) * Hz, name="array"),
        PoissonGroup(12, "rates_of(t, i)", namespace={"rates_of": rates}, name="table"),
        PoissonGroup(20, "50*Hz*(1 + sin(2*pi*(40*Hz*t + i/20.0)))", name="text"),
    ]
    cells = NeuronGroup(
        6, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="euler", name="cells"
    )
    feeds: list[Synapses] = []
    for group in groups:
        s = Synapses(group, cells, "w : 1", on_pre="v_post += w", name=f"from_{group.name}")
        s.connect()
        s.w = rng.uniform(0, 0.2, len(s))
        feeds.append(s)
    return Network(groups, cells, feeds)


@entry(0.12 * second, 40, seed=18, cells=(5, 150))
def poisson_input() -> Network:
    """PoissonInput, one event in a while and many a step, onto all and onto a part of the cells."""
    cells = NeuronGroup(
        12,
        """dv/dt = (g - v)/(20*ms) : volt (unless refractory)
           dg/dt = -g/(5*ms) : volt""",
        threshold="v > 15*mV",
        reset="v = 0*mV",
        refractory=2 * ms,
        method="exact",
        name="cells",
    )
    dense = PoissonInput(cells, "g", N=400, rate=8 * Hz, weight=1.3 * mV)
    sparse = PoissonInput(cells[:6], "v", N=1, rate=100 * Hz, weight="2*mV")
    return Network(cells, dense, sparse)


@entry(0.1 * second, 820, seed=19, cells=(5, 120))
def brunel() -> Network:
    """Sparse excitation and inhibition in the regime AI (Brunel 2000), at a hundredth of its size.

    External input through PoissonInput, one delay for all, jumps of the voltage.
    """
    rng = np.random.default_rng(32)
    cells = NeuronGroup(
        125, "dv/dt = -v/(20*ms) : volt (unless refractory)", threshold="v > 20*mV",
        reset="v = 10*mV", refractory=2 * ms, method="exact", name="cells",
    )  # fmt: skip
    cells.v = rng.uniform(0, 19, 125) * mV
    external = PoissonInput(cells, "v", N=100, rate=24 * Hz, weight=0.8 * mV)
    excite = Synapses(cells[:100], cells, on_pre="v += 0.8*mV", delay=1.5 * ms, name="excite")
    inhibit = Synapses(cells[100:], cells, on_pre="v -= 4*mV", delay=1.5 * ms, name="inhibit")
    for synapses, n in ((excite, 100), (inhibit, 25)):
        i, j = random_edges(rng, n, 125, n / 10)
        synapses.connect(i=i, j=j)
    return Network(cells, external, excite, inhibit)


@entry(0.1 * second, 110, seed=20, noise=(20, 60), cells=(5, 150))
def timed_array_in_synapses() -> Network:
    """TimedArrays that scale what a spike does, by time and target, and that code reads."""
    rng = np.random.default_rng(33)
    gain = TimedArray(0.6 + 0.4 * np.cos(np.arange(50)), dt=4 * ms, name="gain")
    place = TimedArray(rng.uniform(0.3, 1.5, (30, 6)), dt=10 * ms, name="place")
    noise = PoissonGroup(30, 40 * Hz, name="noise")
    cells = NeuronGroup(
        6, "dv/dt = (I - v)/(10*ms) : 1\nI : 1", threshold="v > 1", reset="v = 0", method="exact",
        namespace={"gain": gain}, name="cells",
    )  # fmt: skip
    cells.run_regularly("I = 0.4*gain(t)", dt=0.1 * ms, when="before_groups")
    drive = Synapses(
        noise, cells, "w : 1", on_pre="v_post += w*gain(t)*place(t, j)",
        namespace={"gain": gain, "place": place}, name="drive",
    )  # fmt: skip
    drive.connect()
    drive.w = rng.uniform(0, 0.3, len(drive))
    return Network(noise, cells, drive)


@entry(0.1 * second, 80, cells=(10, 200))
def text_initial_values() -> Network:
    """Values given by text and by index, partly random."""
    seed(34)
    cells = NeuronGroup(
        10,
        """dv/dt = (E + R*I - v)/tau : volt
           I : amp
           tau : second""",
        threshold="v > V_t",
        reset="v = E",
        method="exact",
        namespace={"E": -70 * mV, "V_t": -50 * mV, "R": 100 * Mohm},
        name="cells",
    )
    cells.v = "E + (V_t - E)*rand()"
    cells.v["i < 5"] = "-60*mV + rand()*mV"
    cells.I = "0.22*nA + 0.02*nA*i"
    cells.I[3:5] = 0.4 * nA
    cells.tau = "(5 + 10*rand())*ms"
    cells.tau["I > 0.3*nA and i % 2 == 0"] = "8*ms"
    return Network(cells)


@entry(0.12 * second, 100, cells=(10, 150), listeners=(5, 150))
def crossing_events() -> Network:
    """Custom events on both sides of the threshold, heard by synapses from either end."""
    cells = NeuronGroup(
        8,
        """dv/dt = (I - v)/(10*ms) : 1
           I : 1 (constant)
           armed : boolean
           up : integer""",
        threshold="v > 1",
        reset="v = 0",
        events={"rise": "v > 0.5 and not armed", "fall": "v < 0.3 and armed"},
        method="exact",
        name="cells",
    )
    cells.I = np.linspace(1.1, 2, 8)
    cells.run_on_event("rise", "armed = True; up += 1")
    cells.run_on_event("fall", "armed = False")
    cells.set_event_schedule("fall", when="thresholds", order=-1)
    listeners = NeuronGroup(
        4, "dx/dt = (1 - x)/(15*ms) : 1", threshold="x > 1", reset="x = 0", method="exact",
        name="listeners",
    )  # fmt: skip
    heard = Synapses(
        cells, listeners, "w : 1\nseen : 1",
        on_pre={"up": "x_post += w", "down": "x_post -= 0.3*w; seen += 1"},
        on_event={"up": "rise", "down": "fall"}, name="heard",
    )  # fmt: skip
    heard.connect("(i + j) % 2 == 0")
    heard.w = 0.3
    heard.up.delay, heard.down.delay = 0.5 * ms, 2 * ms
    return Network(cells, listeners, heard)
