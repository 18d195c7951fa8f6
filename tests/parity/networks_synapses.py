"""Synapses: pathways, statements, connections, equations of their own, sums."""

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    Synapses,
    linked_var,
    ms,
    mV,
    nF,
    nS,
    second,
    seed,
)
from registry import entry, random_edges, scattered


@entry(0.3 * second, 200, cells=(10, 120), locked=100 * ms)
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


@entry(0.2 * second, 100, cells=(10, 120), readers=(5, 150), locked=100 * ms)
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


@entry(0.1 * second, 60, cells=(10, 150))
def named_pathways() -> Network:
    """Two named presynaptic pathways and one postsynaptic, each with its delay and order."""
    rng = np.random.default_rng(40)
    cells = NeuronGroup(
        10,
        """dv/dt = (I + g - v)/(10*ms) : 1
           dg/dt = -g/(4*ms) : 1
           I : 1 (constant)
           back : 1""",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name="cells",
    )
    cells.I = np.linspace(1.1, 1.6, 10)
    synapses = Synapses(
        cells,
        cells,
        "w : 1\nseen : 1",
        on_pre={"up": "g_post += w; seen += 1", "down": "g_post -= 0.5*w*seen; seen = 0"},
        on_post={"learn": "w = clip(w + 0.01*seen, 0, 0.5)"},
        order=2,
        name="synapses",
    )
    synapses.connect("i != j", p=1)
    synapses.w = rng.uniform(0, 0.1, len(synapses))
    synapses.up.delay = rng.uniform(0, 3, len(synapses)) * ms
    synapses.down.delay, synapses.learn.delay = 5 * ms, 1 * ms
    synapses.down.order, synapses.learn.order = -1, 1
    return Network(cells, synapses)


@entry(0.1 * second, 90, stimulus=(20, 150), cells=(5, 150))
def general_statements() -> Network:
    """Statements in any order that read and write on both sides of a synapse."""
    rng = np.random.default_rng(41)
    stimulus = NeuronGroup(
        8, "dx/dt = (1.3 + 0.1*i - x)/(10*ms) : 1\nsent : 1", threshold="x > 1", reset="x = 0",
        method="exact", name="stimulus",
    )  # fmt: skip
    cells = NeuronGroup(
        5, "dv/dt = (h - v)/(10*ms) : 1\ndh/dt = -h/(5*ms) : 1\ngain : 1 (constant)",
        threshold="v > 0.5", reset="v = 0", method="euler", name="cells",
    )  # fmt: skip
    cells.gain = np.linspace(0.8, 1.5, 5)
    synapses = Synapses(
        stimulus,
        cells,
        """u : 1
           w : 1 (constant)""",
        on_pre="""released = w*(1 - 0.5*u)
                  u = 0.5*u + 0.3*int(released > 0.1)
                  h_post += released*gain_post*(1 + 0.05*i - 0.02*j)
                  sent_pre += released/N_outgoing
                  x_pre -= 0.01*released""",
        name="synapses",
    )
    synapses.connect()
    synapses.w = rng.uniform(0, 0.3, 40)
    synapses.delay = rng.uniform(0, 2, 40) * ms
    return Network(stimulus, cells, synapses)


@entry(0.1 * second, 110, stimulus=(20, 80), cells=(10, 150))
def multisynaptic() -> Network:
    """Several synapses for each pair, with weight and delay by their number k."""
    rng = np.random.default_rng(42)
    stimulus = scattered(rng, 12, 8, 150, "stimulus")
    cells = NeuronGroup(
        6, "dv/dt = -v/(12*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells"
    )
    synapses = Synapses(
        stimulus, cells, "w : 1 (constant)", on_pre="v_post += w", multisynaptic_index="k",
        name="synapses",
    )  # fmt: skip
    synapses.connect("(i + j) % 2 == 0", n=3)
    synapses.w = "0.35/(1 + k)"
    synapses.delay = "k*1.5*ms + 0.1*ms*i"
    return Network(stimulus, cells, synapses)


@entry(0.1 * second, 130, ring=(10, 150), picked=(10, 150))
def connection_rules() -> Network:
    """Synapses made by a generator, by probability, with autapses, and not at all."""
    seed(43)
    ring = NeuronGroup(
        16, "dv/dt = (1.1 + 0.03*i - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0",
        method="exact", name="ring",
    )  # fmt: skip
    picked = NeuronGroup(
        8, "dv/dt = (1.05 - v)/(15*ms) : 1", threshold="v > 1", reset="v = 0", method="exact",
        name="picked",
    )  # fmt: skip
    near = Synapses(ring, ring, on_pre="v_post -= 0.02*(j - i)", name="near")
    near.connect(j="k for k in range(i - 2, i + 3) if k != i", skip_if_invalid=True)
    chosen = Synapses(ring, picked, "w : 1", on_pre="v_post += w/N_incoming", name="chosen")
    chosen.connect("i > j", p="0.2 + 0.05*j")
    chosen.w = "0.5 + 0.5*rand()"
    selves = Synapses(picked, picked, "w : 1", on_pre="v_post -= w/N_outgoing", name="selves")
    selves.connect(j="i")
    selves.connect(i=[0, 1, 2], j=[3, 3, 3])
    selves.w, selves.delay = 0.1, "0.5*ms + 0.2*ms*j"
    nothing = Synapses(picked, ring, "w : 1", on_pre="v_post += w", name="nothing")
    nothing.connect("i < 0")
    return Network(ring, picked, near, chosen, selves, nothing)


@entry(0.12 * second, 160, stimulus=(30, 120), cells=(3, 120))
def nmda() -> Network:
    """AMPA, GABA and NMDA with a block by magnesium (Wang 1999; Brunel & Wang 2001).

    The gating of each NMDA synapse is a pair of differential equations, summed into its target.
    """
    rng = np.random.default_rng(44)
    stimulus = scattered(rng, 20, 12, 200, "stimulus")
    cells = NeuronGroup(
        8,
        """dv/dt = (-g_L*(v - E_L) - g_A*s_A*v - g_G*s_G*(v + 70*mV)
                    - g_N*s_N*v/(1 + 1/3.57*exp(-0.062*v/mV)))/C : volt (unless refractory)
           ds_A/dt = -s_A/(2*ms) : 1
           ds_G/dt = -s_G/(10*ms) : 1
           s_N : 1""",
        threshold="v > -50*mV",
        reset="v = -55*mV",
        refractory=2 * ms,
        method="euler",
        namespace={
            "C": 0.5 * nF, "g_L": 25 * nS, "E_L": -70 * mV, "g_A": 15 * nS, "g_G": 20 * nS,
            "g_N": 8 * nS,
        },
        name="cells",
    )  # fmt: skip
    cells.v = -60 * mV
    excite = Synapses(
        stimulus,
        cells,
        """w : 1 (constant)
           ds/dt = -s/(100*ms) + 0.5*x*(1 - s)/ms : 1 (clock-driven)
           dx/dt = -x/(2*ms) : 1 (clock-driven)
           s_N_post = w*s : 1 (summed)""",
        on_pre="s_A_post += w; x += 1",
        delay=0.5 * ms,
        method="rk2",
        name="excite",
    )
    excite.connect()
    excite.w = rng.uniform(0.2, 1, 160)
    inhibit = Synapses(cells, cells, on_pre="s_G_post += 1", delay=0.5 * ms, name="inhibit")
    inhibit.connect("i != j and i < 3")
    return Network(stimulus, cells, excite, inhibit)


@entry(0.1 * second, 140, stimulus=(30, 120), cells=(5, 150))
def kinetic_synapses() -> Network:
    """Transmitter in pulses and a kinetic receptor (Destexhe, Mainen & Sejnowski 1994).

    The pulse is read from `lastupdate`, the receptor is a synaptic equation solved exactly.
    """
    rng = np.random.default_rng(45)
    stimulus = scattered(rng, 15, 12, 150, "stimulus")
    cells = NeuronGroup(
        5,
        """dv/dt = (-70*mV - v + drive*(0*mV - v))/(15*ms) : volt
           drive : 1""",
        threshold="v > -50*mV",
        reset="v = -65*mV",
        method="exponential_euler",
        name="cells",
    )
    cells.v = -70 * mV
    synapses = Synapses(
        stimulus,
        cells,
        """dr/dt = 1.1/ms*T*(1 - r) - 0.19/ms*r : 1 (clock-driven)
           T = int(t - lastupdate <= 1*ms) : 1
           lastupdate : second
           w : 1 (constant)
           drive_post = w*r : 1 (summed)""",
        on_pre="lastupdate = t",
        method="exponential_euler",
        name="synapses",
    )
    synapses.connect()
    synapses.lastupdate = -1 * second
    synapses.w = rng.uniform(0.05, 0.4, 75)
    synapses.delay = rng.uniform(0, 2, 75) * ms
    return Network(stimulus, cells, synapses)


@entry(0.1 * second, 180, stimulus=(30, 120), cells=(5, 150))
def two_stage_synapses() -> Network:
    """Alpha and biexponential conductances as linear equations (Roth & van Rossum 2009)."""
    rng = np.random.default_rng(46)
    stimulus = scattered(rng, 20, 12, 150, "stimulus")
    cells = NeuronGroup(
        6,
        """dv/dt = (alpha + double - v)/(12*ms) : 1
           dalpha/dt = (x - alpha)/(3*ms) : 1
           dx/dt = -x/(3*ms) : 1
           ddouble/dt = (rise*y - double)/(8*ms) : 1
           dy/dt = -y/(1*ms) : 1
           rise = (1/8.0)**(1/7.0) : 1 (shared, constant over dt)""",
        threshold="v > 0.4",
        reset="v = 0",
        method="euler",
        name="cells",
    )
    for name, size, target in (("alphas", 0.4, "x"), ("doubles", -1.2, "y")):
        s = Synapses(stimulus, cells, "w : 1", on_pre=f"{target} += w", name=name)
        i, j = random_edges(rng, 20, 6, 15)
        s.connect(i=i, j=j)
        s.w = rng.uniform(size, 1.2, len(i)) / 4
        s.delay = rng.uniform(0, 4, len(i)) * ms
        if name == "alphas":
            alphas = s
    return Network(stimulus, cells, alphas, s)


@entry(0.12 * second, 70, cells=(10, 120))
def rectifying_junctions() -> Network:
    """Weighted electrical synapses, some of which rectify (Furshpan & Potter 1959).

    Two sums of one Synapses go to both of its ends.
    """
    rng = np.random.default_rng(47)
    cells = NeuronGroup(
        12,
        """dv/dt = (I + gap + leak - v)/(10*ms) : 1
           I : 1 (constant)
           gap : 1
           leak : 1""",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name="cells",
    )
    cells.v, cells.I = rng.uniform(0, 1, 12), np.linspace(1.05, 1.6, 12)
    junctions = Synapses(
        cells,
        cells,
        """g : 1 (constant)
           oneway : boolean (constant)
           flow = g*(v_pre - v_post)*int(v_pre > v_post or not oneway) : 1
           gap_post = flow : 1 (summed)
           leak_pre = -0.5*clip(flow, 0, inf) : 1 (summed)""",
        name="junctions",
    )
    i, j = random_edges(rng, 12, 12, 4)
    junctions.connect(i=i, j=j)
    junctions.g, junctions.oneway = rng.uniform(0, 0.2, len(i)), rng.random(len(i)) < 0.5
    return Network(cells, junctions)


@entry(0.1 * second, 90, cells=(10, 120), others=(5, 120))
def several_sums() -> Network:
    """Sums into two variables and into parts of a group, from expressions held over a step."""
    rng = np.random.default_rng(48)
    cells = NeuronGroup(
        8, "dv/dt = (1.1 + 0.05*i - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0",
        method="exact", name="cells",
    )  # fmt: skip
    others = NeuronGroup(
        10,
        """dx/dt = (a + b - x)/(10*ms) : 1
           a : 1
           b : 1""",
        threshold="x > 0.6",
        reset="x = 0",
        method="euler",
        name="others",
    )
    first = Synapses(
        cells,
        others[:6],
        """w : 1 (constant)
           drive = w*v_pre : 1 (constant over dt)
           a_post = drive : 1 (summed)
           b_post = 0.2*v_pre**2/N_incoming : 1 (summed)""",
        name="first",
    )
    second_part = Synapses(
        cells[2:7], others[6:], "a_post = 0.3*v_pre*(1 - x_post) : 1 (summed)", name="second_part"
    )
    first.connect()
    first.w = rng.uniform(0, 0.4, 48)
    second_part.connect()
    return Network(cells, others, first, second_part)


@entry(0.1 * second, 200, stimulus=(30, 120), cells=(3, 150))
def towards_reversal() -> Network:
    """Jumps towards a reversal potential, and a shunt: the order of synapses decides the result."""
    rng = np.random.default_rng(49)
    stimulus = scattered(rng, 20, 12, 150, "stimulus")
    cells = NeuronGroup(
        6, "dv/dt = (-70*mV - v)/(15*ms) : volt", threshold="v > -50*mV", reset="v = -65*mV",
        method="exact", name="cells",
    )  # fmt: skip
    cells.v = -70 * mV
    excite = Synapses(stimulus, cells, "w : 1", on_pre="v_post += w*(0*mV - v_post)", name="excite")
    excite.connect()
    excite.w = rng.uniform(0, 0.1, 120)
    excite.delay = rng.integers(0, 4, 120) * 0.5 * ms
    shunt = Synapses(
        cells, cells, on_pre="v_post = -70*mV + 0.7*(v_post + 70*mV)", delay=1 * ms, name="shunt"
    )
    shunt.connect("i != j")
    return Network(stimulus, cells, excite, shunt)


@entry(0.1 * second, 150, stimulus=(30, 120), cells=(3, 150))
def divisive_synapses() -> Network:
    """Spikes that multiply and divide what they meet at the target."""
    rng = np.random.default_rng(50)
    stimulus = scattered(rng, 20, 12, 150, "stimulus")
    cells = NeuronGroup(
        6, "dv/dt = (1 + g - v)/(15*ms) : 1\ndg/dt = (0.5 - g)/(10*ms) : 1", threshold="v > 1",
        reset="v = 0", method="exact", name="cells",
    )  # fmt: skip
    more = Synapses(stimulus, cells, "w : 1", on_pre="g_post *= w; g_post += 0.1", name="more")
    less = Synapses(stimulus, cells, on_pre="v_post /= 1.1; g_post -= 0.2*g_post", name="less")
    more.connect("i < 10")
    less.connect("i >= 10")
    more.w = rng.uniform(1, 1.4, len(more))
    more.delay = rng.integers(0, 3, len(more)) * ms
    return Network(stimulus, cells, more, less)


@entry(0.1 * second, 140, stimulus=(30, 120), control=(10, 120), cells=(3, 150))
def synapses_as_targets() -> Network:
    """Neurons that set the gain of single synapses: presynaptic inhibition (Eccles 1964)."""
    rng = np.random.default_rng(51)
    stimulus = scattered(rng, 10, 15, 150, "stimulus")
    control = scattered(rng, 5, 10, 150, "control")
    cells = NeuronGroup(
        4, "dv/dt = -v/(12*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells"
    )
    feed_in = Synapses(
        stimulus,
        cells,
        """w : 1
           dgain/dt = (1 - gain)/(20*ms) : 1 (clock-driven)""",
        on_pre="v_post += w*gain",
        method="exact",
        name="feed_in",
    )
    feed_in.connect()
    feed_in.w, feed_in.gain = rng.uniform(0.1, 0.5, 40), 1
    presynaptic = Synapses(control, feed_in, "d : 1", on_pre="gain_post -= d", name="presynaptic")
    presynaptic.connect("j % N_pre == i")
    presynaptic.d, presynaptic.delay = 0.3, 1 * ms
    return Network(stimulus, control, cells, feed_in, presynaptic)
