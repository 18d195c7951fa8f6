"""Networks inside of the strict subset: both routes to GeNN run them."""

import numpy as np
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV, nA


def layers() -> Network:
    """Given spikes excite cells through a current; those inhibit the next; one delay each."""
    rng = np.random.default_rng(3)
    steps = [np.sort(rng.permutation(900)[:12]) for _ in range(8)]
    source = SpikeGeneratorGroup(
        8, np.repeat(np.arange(8), 12), np.concatenate(steps) * 0.1 * ms, name="source"
    )
    cells = [
        NeuronGroup(
            6,
            """dv/dt = (R*(I + s) - v) / tau : volt (unless refractory)
               ds/dt = -s / tau_s : amp
               I : amp (constant)""",
            threshold="v > 15*mV",
            reset="v = 2*mV",
            refractory=2 * ms,
            method="exact",
            namespace={"R": 100 * mV / nA, "tau": 12 * ms, "tau_s": 4 * ms},
            name=name,
        )
        for name in ("first", "second")
    ]
    cells[0].I, cells[1].I = np.linspace(0.1, 0.2, 6) * nA, 0.4 * nA
    cells[1].run_regularly("v *= 0.9999", dt=0.1 * ms)
    pairs = ((source, cells[0], "up", 0.2), (cells[0], cells[1], "down", -0.05))
    network = Network(source, cells)
    for pre, post, name, w in pairs:
        synapses = Synapses(pre, post, "w : amp", on_pre="s += w", delay=1.2 * ms, name=name)
        i, j = np.nonzero(rng.random((len(pre), 6)) < 0.6)
        synapses.connect(i=i, j=j)
        synapses.w = w * rng.uniform(0.5, 1.5, len(i)) * nA
        network.add(synapses)
    return network


def learning() -> Network:
    """Pair-based plasticity onto a current, event-driven."""
    rng = np.random.default_rng(4)
    cells = NeuronGroup(
        10,
        "dv/dt = (drive + s - v) / (10*ms) : 1\nds/dt = -s / (5*ms) : 1\ndrive : 1 (constant)",
        threshold="v > 1", reset="v = 0", method="exact", name="cells",
    )  # fmt: skip
    cells.drive, cells.v = rng.uniform(1.1, 1.6, 10), rng.uniform(0, 1, 10)
    synapses = Synapses(
        cells, cells,
        """w : 1
           dx/dt = -x / (20*ms) : 1 (event-driven)
           dy/dt = -y / (20*ms) : 1 (event-driven)""",
        on_pre="s_post += w; x += 0.1; w = clip(w - 0.1*y, 0, 0.3)",
        on_post="y += 0.105; w = clip(w + 0.1*x, 0, 0.3)",
        name="synapses",
    )  # fmt: skip
    i, j = np.nonzero(~np.eye(10, dtype=bool))
    synapses.connect(i=i, j=j)
    synapses.w = rng.uniform(0, 0.2, 90)
    return Network(cells, synapses)


def junctions() -> Network:
    """Cells that are coupled by gap junctions, and by spikes into a current."""
    cells = NeuronGroup(
        10,
        """dv/dt = (drive + s + gap - v) / (10*ms) : 1
           ds/dt = -s / (5*ms) : 1
           gap : 1
           drive : 1 (constant)""",
        threshold="v > 1", reset="v = 0", method="euler", name="cells",
    )  # fmt: skip
    cells.drive = np.linspace(1.05, 1.6, 10)
    gaps = Synapses(cells, cells, "g : 1\ngap_post = g*(v_pre - v_post) : 1 (summed)", name="gaps")
    i = np.arange(9)
    gaps.connect(i=np.r_[i, i + 1], j=np.r_[i + 1, i])
    gaps.g = 0.3
    excite = Synapses(cells, cells, "w : 1", on_pre="s_post += w", delay=0.7 * ms, name="excite")
    excite.connect(i=i, j=i + 1)
    excite.w = 0.4
    return Network(cells, gaps, excite)
