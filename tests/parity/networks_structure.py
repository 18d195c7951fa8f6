"""How a network is put together: links, parts, schedules, states, types."""

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    Synapses,
    TimedArray,
    linked_var,
    ms,
    second,
    seed,
)
from registry import entry, scattered


@entry(0.2 * second, 300, cells=(10, 120), relay=(5, 120), locked=100 * ms)
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


@entry(0.1 * second, 60, cells=(10, 150), followers=(5, 150))
def linked_variables() -> Network:
    """Variables linked one to one, by an index, to a single value, and to a part of a group."""
    leader = NeuronGroup(
        1, "dx/dt = (1.2 - x)/(10*ms) : 1\nlevel : 1 (shared)", threshold="x > 1", reset="x = 0",
        method="exact", name="leader",
    )  # fmt: skip
    leader.level = 0.4
    leader.run_regularly("level = 0.4 + 0.2*sin(2*pi*30*Hz*t)", dt=0.1 * ms)
    cells = NeuronGroup(
        6, "dv/dt = (1.1 + 0.05*i - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0",
        method="exact", name="cells",
    )  # fmt: skip
    followers = NeuronGroup(
        6,
        """dy/dt = (0.6*same + 0.5*other + 0.3*lead + level - y)/(8*ms) : 1
           same : 1 (linked)
           other : 1 (linked)
           lead : 1 (linked)
           level : 1 (linked)""",
        threshold="y > 1",
        reset="y = 0",
        method="euler",
        name="followers",
    )
    followers.same = linked_var(cells, "v")
    followers.other = linked_var(cells, "v", index=np.array([5, 5, 0, 1, 2, 2]))
    followers.lead = linked_var(leader, "x")
    followers.level = linked_var(leader, "level")
    return Network(leader, cells, followers)


@entry(0.1 * second, 150, seed=50, noise=(20, 90), cells=(5, 150))
def parts_of_groups() -> Network:
    """Parts of sources and targets; code that runs on a part; parts of parts; values by part."""
    rng = np.random.default_rng(80)
    noise = PoissonGroup(20, "20*Hz + 4*Hz*i", name="noise")
    cells = NeuronGroup(
        12, "dv/dt = (I - v)/(10*ms) : 1\nI : 1", threshold="v > 1", reset="v = 0",
        method="exact", name="cells",
    )  # fmt: skip
    cells[4:].I = 0.7
    cells[8:].run_regularly("I = 1.2 + 0.2*sin(2*pi*40*Hz*t + i)", dt=0.1 * ms)
    cells[4:10][1:3].v = 0.5
    pairs = (("upper", noise[5:], cells[:6]), ("lower", noise[:7][1:6], cells[3:9]))
    synapses: list[Synapses] = []
    for name, source, target in pairs:
        s = Synapses(source, target, "w : 1", on_pre="v_post += w*(1 + 0.1*j)", name=name)
        s.connect("(i + j) % 2 == 0")
        s.w = rng.uniform(0, 0.5, len(s))
        s.delay = rng.uniform(0, 2, len(s)) * ms
        synapses.append(s)
    back = Synapses(cells[4:8], cells[:4], on_pre="v_post -= 0.1", on_post="v_pre += 0.02",
                    delay=1 * ms, name="back")  # fmt: skip
    back.connect()
    return Network(noise, cells, synapses, back)


@entry(0.1 * second, 18, first=(20, 200), last=(5, 200))
def single_neurons() -> Network:
    """Groups of one neuron, three Synapses between the same two, one by one onto the last."""
    first, last = (
        NeuronGroup(
            1, "dv/dt = (I - v)/(10*ms) : 1\nI : 1", threshold="v > 1", reset="v = 0",
            method="exact", name=name,
        )
        for name in ("first", "last")
    )  # fmt: skip
    first.I, last.I = 2, 0.9
    synapses: list[Synapses] = []
    for k, w in enumerate((0.3, -0.1, 0.25)):
        s = Synapses(first, last, "w : 1", on_pre="v_post += w", delay=k * ms, name=f"s{k}")
        s.connect()
        s.w = w
        synapses.append(s)
    return Network(first, last, synapses)


@entry(0.1 * second, 70, seed=51, cells=(10, 150))
def already_advanced() -> Network:
    """A network that was run before: its time is not 0, and spikes are on their way."""
    rng = np.random.default_rng(81)
    drive = TimedArray(1.2 + np.sin(np.arange(100) / 5), dt=2 * ms, name="drive")
    cells = NeuronGroup(
        10, "dv/dt = (drive(t)*(1 + 0.05*i) - v)/(10*ms) : 1 (unless refractory)",
        threshold="v > 1", reset="v = 0", refractory=3 * ms, method="euler",
        namespace={"drive": drive}, name="cells",
    )  # fmt: skip
    stimulus = scattered(rng, 10, 12, 250, "stimulus")
    rec = Synapses(
        cells,
        cells,
        "w : 1\ndx/dt = -x/(20*ms) : 1 (event-driven)",
        on_pre="v_post += w*(1 + x); x += 0.2",
        name="rec",
    )
    rec.connect("i != j")
    rec.w, rec.delay = rng.normal(0, 0.03, 90), rng.uniform(0, 20, 90) * ms
    given = Synapses(stimulus, cells, on_pre="v_post += 0.2", delay=12 * ms, name="given")
    given.connect(j="i")
    network = Network(cells, stimulus, rec, given)
    network.run(33.3 * ms)
    return network


@entry(0.1 * second, 140, seed=52, noise=(20, 80), cells=(5, 150))
def restored() -> Network:
    """A network put back into a state that it stored in mid-flight, and then changed."""
    noise = PoissonGroup(20, 50 * Hz, name="noise")
    cells = NeuronGroup(
        8, "dv/dt = (0.5 - v)/(10*ms) : 1\nn : integer", threshold="v > 1", reset="v = 0; n += 1",
        method="exact", name="cells",
    )  # fmt: skip
    slow = Synapses(noise, cells, "w : 1", on_pre="v_post += w", name="slow")
    slow.connect()
    slow.w, slow.delay = np.linspace(0, 0.2, 160), np.linspace(0, 30, 160) * ms
    network = Network(noise, cells, slow)
    seed(53)
    network.run(40 * ms)
    network.store("flight")
    network.run(20 * ms)
    network.restore("flight")
    cells.v["i < 4"] = 0.2
    slow.w *= 1.2
    return network


@entry(0.1 * second, 100, cells=(10, 150), fast=(10, 200))
def other_order() -> Network:
    """Objects that run at other times than usual: thresholds before updates, resets first."""
    rng = np.random.default_rng(82)
    cells = NeuronGroup(
        8, "dv/dt = (1.1 + 0.05*i + g - v)/(10*ms) : 1\ng : 1", threshold="v > 1", reset="v = 0",
        method="exact", name="cells",
    )  # fmt: skip
    fast = NeuronGroup(
        8, "dx/dt = (1.2 + 0.03*i - x)/(6*ms) : 1 (unless refractory)", threshold="x > 1",
        reset="x = 0.1*x", refractory=1 * ms, method="exact", name="fast", order=-3,
    )  # fmt: skip
    cells.thresholder["spike"].when = "before_groups"
    cells.resetter["spike"].when = "after_end"
    fast.resetter["spike"].order = 5
    cells.run_regularly("g *= 0.99", dt=0.1 * ms, when="after_synapses", order=2)
    cells.run_regularly("g = clip(g, -1, 1)", dt=0.1 * ms, when="after_synapses", order=1)
    early = Synapses(fast, cells, "w : 1", on_pre="g_post += w; v_post -= 0.01", name="early")
    early.connect()
    early.w = rng.normal(0, 0.05, 64)
    early.pre.when, early.pre.order = "before_resets", -2
    late = Synapses(
        cells, fast, on_pre="x_post += 0.05", on_post="x_post -= 0.02", delay=0.3 * ms, order=7,
        name="late",
    )  # fmt: skip
    late.connect("i != j")
    late.post.order = -7
    return Network(cells, fast, early, late)


@entry(0.1 * second, 30, cells=(10, 150))
def other_schedule() -> Network:
    """A network with another schedule: synapses before thresholds, resets at once."""
    cells = NeuronGroup(
        10, "dv/dt = (1.1 + 0.04*i - v)/(10*ms) : 1 (unless refractory)", threshold="v > 1",
        reset="v = 0", refractory=2 * ms, method="exact", name="cells",
    )  # fmt: skip
    inhibit = Synapses(cells, cells, "w : 1", on_pre="v_post -= w", name="inhibit")
    inhibit.connect("i != j")
    inhibit.w, inhibit.delay = np.linspace(0, 0.06, 90), np.linspace(0, 1, 90) * ms
    network = Network(cells, inhibit)
    network.schedule = ["start", "groups", "synapses", "thresholds", "resets", "end"]
    return network


@entry(0.1 * second, 50, cells=(10, 150))
def single_precision_variables() -> Network:
    """Parameters kept as float32 and counts as short integers, among double ones."""
    cells = NeuronGroup(
        8,
        """dv/dt = (I - v - u)/(10*ms) : 1
           I : 1 (constant)
           u : 1
           count : integer""",
        threshold="v > 1",
        reset="v = 0; u = 0.7*u + 0.1; count += 1",
        dtype={"I": np.float32, "count": np.int16},
        method="euler",
        name="cells",
    )
    cells.I = np.linspace(1.3, 2, 8)
    rec = Synapses(cells, cells, "w : 1", on_pre="v_post += w", dtype={"w": np.float32}, name="rec")
    rec.connect("i != j")
    rec.w = np.linspace(-0.05, 0.05, 56)
    return Network(cells, rec)
