"""Networks on which the gradient is compared with what the network does: see gradients.py.

Each is written as in a textbook or in somebody's first script: one function of the time step, and
weights and time constants with names. They are chosen to differ in what a gradient has to get
through: conductances, delays, adaptation, thresholds that move, potentials that run away, cells
that saturate, chance in the threshold, short-term plasticity, layers, loops, a body.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    SpikeGeneratorGroup,
    Synapses,
    defaultclock,
    ms,
    mV,
    nS,
    pA,
    pF,
    prefs,
    second,
)

import mirrorneuron as mn
from mirrorneuron.bio import cells as published
from mirrorneuron.bio import cerebellum
from mirrorneuron.studies.arm._loop import Loop

Loss = Callable[[mn.Recording], torch.Tensor]
READOUT = "readout.x"


@dataclass(frozen=True)
class Entry:
    """A network, what is trained, what is asked of it, and how active it has to be.

    Arguments:
        build: Makes it at a time step [s].
        train: Keys of the parameters.
        losses: By name.
        rates: Band of each group's mean rate [Hz].
        steps: Time steps at which it makes sense [ms].
        record: Variables that the losses read.
        lengths: Lengths of a trial [ms].
    """

    build: Callable[[float], Network]
    train: tuple[str, ...]
    losses: Mapping[str, Loss]
    rates: Mapping[str, tuple[float, float]]
    steps: tuple[float, ...]
    record: tuple[str, ...]
    lengths: tuple[float, ...] = (100.0, 300.0)


networks: dict[str, Entry] = {}


def rate(group: str) -> Loss:
    """Mean rate of a group [Hz]."""
    return lambda recording: recording.population_rate(group).mean()


def filtered(key: str) -> Loss:
    """Mean square of an output unit's trace in the second half."""
    return lambda recording: recording[key][recording.steps // 2 :].square().mean()


def network(
    train: Sequence[str],
    steps: Sequence[float] = (0.1, 1.0),
    output: str = "",
    **rates: tuple[float, float],
) -> Callable[[Callable[[float], Network]], Callable[[float], Network]]:
    """Enter a network: its losses are the rate of each group named, and a filtered output.

    Arguments:
        train: Keys of the parameters.
        steps: Time steps at which it makes sense [ms].
        output: Variable of the output unit, if it has one.
        rates: Band of each group's mean rate [Hz].
    """

    def enter(build: Callable[[float], Network]) -> Callable[[float], Network]:
        losses = {f"rate of {name}": rate(name) for name in rates}
        losses |= {f"filtered {output}": filtered(output)} if output else {}
        record = (output,) if output else ()
        entry = Entry(build, tuple(train), losses, rates, tuple(steps), record)
        networks[build.__name__] = entry
        return build

    return enter


def begin(dt: float, seed: int = 1) -> np.random.Generator:
    """Set Brian2's step; random numbers for connections and initial values."""
    prefs.codegen.target = "numpy"  # a compiler takes longer than all runs
    defaultclock.dt = dt * second
    return np.random.default_rng(seed)


def on_grid(duration: float, dt: float) -> Any:
    """A duration [s] in whole steps, as Brian2 rounds it."""
    return round(duration / dt) * dt * second


def wire(
    rng: np.random.Generator, pre: Any, post: Any, name: str, effect: str, p: float, **options: Any
) -> Synapses:
    """Random synapses, of which every pair has one with probability p."""
    synapses: Any = Synapses(pre, post, on_pre=effect, name=name, **options)
    i, j = np.nonzero(rng.random((len(pre), len(post))) < p)
    synapses.connect(i=i, j=j)
    return synapses


def readout(group: Any) -> list[Any]:
    """An output unit that filters the spikes of a group."""
    out = NeuronGroup(1, "dx/dt = -x/(20*ms) : 1", method="exact", name="readout")
    to_out: Any = Synapses(group, out, on_pre=f"x_post += {10 / len(group)}", name="to_readout")
    to_out.connect()
    return [out, to_out]


@network(
    ["see.w_e", "sei.w_e", "sie.w_i", "sii.w_i", "E.tau_e", "E.tau_i", "E.tau_w"],
    E=(3, 120), I=(3, 120), output=READOUT, steps=(0.1,),
)  # fmt: skip
def adex(dt: float) -> Network:
    """Excitation and inhibition of adaptive exponential cells with conductances."""
    rng = begin(dt)
    names = {
        "C": 200 * pF, "gL": 10 * nS, "EL": -65 * mV, "VT": -50 * mV, "DT": 2 * mV, "Vr": -58 * mV,
        "a": 2 * nS, "b": 20 * pA, "tau_w": 120 * ms, "Ee": 0 * mV, "Ei": -80 * mV,
        "tau_e": 5 * ms, "tau_i": 8 * ms, "w_e": 1 * nS, "w_i": 4 * nS,
    }  # fmt: skip
    equations = """
    dv/dt = (gL*(EL-v) + gL*DT*exp((v-VT)/DT) + ge*(Ee-v) + gi*(Ei-v) - w)/C : volt (unless refractory)
    dw/dt = (a*(v-EL) - w)/tau_w : amp
    dge/dt = -ge/tau_e : siemens
    dgi/dt = -gi/tau_i : siemens
    """  # noqa: E501
    E, I = groups = [  # noqa: E741
        NeuronGroup(
            n, equations, threshold="v > -40*mV", reset="v = Vr; w += b", refractory=2 * ms,
            method="euler", namespace=names, name=name,
        )
        for name, n in (("E", 80), ("I", 20))
    ]  # fmt: skip
    drives = [PoissonInput(group, "ge", 100, 10 * Hz, weight=2.5 * nS) for group in groups]
    for group in groups:
        group.v = (-65 + 10 * rng.random(len(group))) * mV
    return Network(
        *groups, *drives, *readout(E),
        wire(rng, E, E, "see", "ge_post += w_e", 0.1, namespace=names),
        wire(rng, E, I, "sei", "ge_post += w_e", 0.1, namespace=names),
        wire(rng, I, E, "sie", "gi_post += w_i", 0.2, namespace=names),
        wire(rng, I, I, "sii", "gi_post += w_i", 0.2, namespace=names),
    )  # fmt: skip


@network(
    ["ee.w_e", "ei.w_e", "ie.w_i", "ii.w_i", "E.tau_e", "E.tau_i", "E.tau_m", "I.tau_m"],
    E=(3, 60), I=(3, 60), output=READOUT,
)  # fmt: skip
def current_lif(dt: float) -> Network:
    """Excitation and inhibition of leaky cells with currents and delays."""
    rng = begin(dt)
    names = {
        "tau_m": 20 * ms, "tau_e": 5 * ms, "tau_i": 10 * ms, "E_L": -51 * mV,
        "w_e": 1.62 * mV, "w_i": 2.25 * mV,
    }  # fmt: skip
    equations = """
    dv/dt = (ge + gi + E_L - v)/tau_m : volt (unless refractory)
    dge/dt = -ge/tau_e : volt
    dgi/dt = -gi/tau_i : volt
    """
    E, I = groups = [  # noqa: E741
        NeuronGroup(
            n, equations, threshold="v > -50*mV", reset="v = -60*mV", refractory=2 * ms,
            method="euler", namespace=names, name=name,
        )
        for name, n in (("E", 160), ("I", 40))
    ]  # fmt: skip
    for group in groups:
        group.v = (-60 + 10 * rng.random(len(group))) * mV
    drives = [PoissonInput(group, "ge", 50, 20 * Hz, weight=0.9 * mV) for group in groups]
    plan = {"namespace": names, "delay": on_grid(1.5e-3, dt)}
    return Network(
        *groups, *drives, *readout(E),
        wire(rng, E, E, "ee", "ge_post += w_e", 0.1, **plan),
        wire(rng, E, I, "ei", "ge_post += w_e", 0.1, **plan),
        wire(rng, I, E, "ie", "gi_post -= w_i", 0.1, **plan),
        wire(rng, I, I, "ii", "gi_post -= w_i", 0.1, **plan),
    )  # fmt: skip


@network(
    ["ee.w_e", "ei.w_e", "ie.w_i", "ii.w_i", "E.tau_e", "E.tau_i", "I.tau_i"],
    E=(3, 60), I=(3, 60), output=READOUT,
)  # fmt: skip
def conductance_lif(dt: float) -> Network:
    """Excitation and inhibition of leaky cells with conductances."""
    rng = begin(dt)
    names = {
        "C": 200 * pF, "g_L": 10 * nS, "tau_e": 5 * ms, "tau_i": 10 * ms,
        "w_e": 0.9 * nS, "w_i": 6 * nS,
    }  # fmt: skip
    equations = """
    dv/dt = (g_L*(-60*mV - v) - ge*v + gi*(-80*mV - v))/C : volt (unless refractory)
    dge/dt = -ge/tau_e : siemens
    dgi/dt = -gi/tau_i : siemens
    """
    E, I = groups = [  # noqa: E741
        NeuronGroup(
            n, equations, threshold="v > -50*mV", reset="v = -60*mV", refractory=5 * ms,
            method="euler", namespace=names, name=name,
        )
        for name, n in (("E", 160), ("I", 40))
    ]  # fmt: skip
    for group in groups:
        group.v = (-60 + 10 * rng.random(len(group))) * mV
    drives = [PoissonInput(group, "ge", 100, 10 * Hz, weight=0.7 * nS) for group in groups]
    return Network(
        *groups, *drives, *readout(E),
        wire(rng, E, E, "ee", "ge_post += w_e", 0.1, namespace=names),
        wire(rng, E, I, "ei", "ge_post += w_e", 0.1, namespace=names),
        wire(rng, I, E, "ie", "gi_post += w_i", 0.1, namespace=names),
        wire(rng, I, I, "ii", "gi_post += w_i", 0.1, namespace=names),
    )  # fmt: skip


@network(
    ["ee.w_e", "ei.w_e", "ie.w_i", "E.a", "E.tau_s", "E.d"], steps=(0.1, 0.2), E=(3, 60), I=(3, 90)
)
def izhikevich(dt: float) -> Network:
    """Excitation and inhibition of cells whose potential runs away over many millivolts a step."""
    rng = begin(dt)
    names = {
        "a": 0.02 / ms, "b": 0.2 / ms, "d": 8 * mV / ms, "tau_s": 5 * ms,
        "w_e": 0.6 * mV / ms, "w_i": 1.5 * mV / ms,
    }  # fmt: skip
    equations = """
    dv/dt = 0.04/ms/mV*v**2 + 5/ms*v + 140*mV/ms - u + I : volt
    du/dt = a*(b*v - u) : volt/second
    dI/dt = -I/tau_s : volt/second
    """
    E, I = groups = [  # noqa: E741
        NeuronGroup(
            n, equations, threshold="v > 30*mV", reset="v = -65*mV; u += d", method="euler",
            namespace=names, name=name,
        )
        for name, n in (("E", 100), ("I", 25))
    ]  # fmt: skip
    for group in groups:
        group.v, group.u = (-65 + 10 * rng.random(len(group))) * mV, -13 * mV / ms
    drives = [PoissonInput(group, "I", 40, 30 * Hz, weight=1.2 * mV / ms) for group in groups]
    return Network(
        *groups, *drives,
        wire(rng, E, E, "ee", "I_post += w_e", 0.1, namespace=names),
        wire(rng, E, I, "ei", "I_post += w_e", 0.1, namespace=names),
        wire(rng, I, E, "ie", "I_post -= w_i", 0.2, namespace=names),
    )  # fmt: skip


@network(["ee.w", "cells.tau", "cells.tau_s", "cells.I_0"], cells=(3, 60), output=READOUT)
def theta(dt: float) -> Network:
    """Theta neurons, whose reset is a turn of the circle."""
    rng = begin(dt)
    names = {"tau": 10 * ms, "tau_s": 5 * ms, "I_0": -0.05, "w": 0.12}
    equations = """
    dtheta/dt = (1 - cos(theta) + (1 + cos(theta))*(I_0 + s))/tau : 1
    ds/dt = -s/tau_s : 1
    """
    cells = NeuronGroup(
        100, equations, threshold="theta > pi", reset="theta -= 2*pi", method="euler",
        namespace=names, name="cells",
    )  # fmt: skip
    cells.theta = np.pi * (2 * rng.random(100) - 1)
    drive = PoissonInput(cells, "s", 40, 20 * Hz, weight=0.12)
    recurrent = wire(rng, cells, cells, "ee", "s_post += w", 0.1, namespace=names)
    return Network(cells, drive, recurrent, *readout(cells))


@network(["ee.w", "cells.tau", "cells.tau_s", "cells.I_0"], cells=(3, 60))
def quadratic(dt: float) -> Network:
    """Quadratic cells, which run away from an unstable point up to a far threshold."""
    rng = begin(dt)
    names = {"tau": 10 * ms, "tau_s": 5 * ms, "I_0": -0.1, "w": 0.3}
    cells = NeuronGroup(
        100, "dv/dt = (v**2 + I_0 + s)/tau : 1\nds/dt = -s/tau_s : 1",
        threshold="v > 5", reset="v = -5", method="euler", namespace=names, name="cells",
    )  # fmt: skip
    cells.v = 2 * rng.random(100) - 1.5
    drive = PoissonInput(cells, "s", 40, 20 * Hz, weight=0.12)
    recurrent = wire(
        rng, cells, cells, "ee", "s_post += w", 0.1, namespace=names, delay=1 * ms
    )  # fmt: skip
    return Network(cells, drive, recurrent)


@network(["ee.w", "cells.tau_m", "cells.tau_s", "cells.D"], cells=(3, 60))
def exponential(dt: float) -> Network:
    """Exponential cells in millivolts, with a threshold far above the one that counts."""
    rng = begin(dt)
    names = {"tau_m": 15 * ms, "tau_s": 5 * ms, "D": 2 * mV, "w": 2.5 * mV}
    equations = """
    dv/dt = (-65*mV - v + D*exp((v + 50*mV)/D) + s)/tau_m : volt (unless refractory)
    ds/dt = -s/tau_s : volt
    """
    cells = NeuronGroup(
        100, equations, threshold="v > -40*mV", reset="v = -60*mV", refractory=2 * ms,
        method="euler", namespace=names, name="cells",
    )  # fmt: skip
    cells.v = (-65 + 10 * rng.random(100)) * mV
    drive = PoissonInput(cells, "s", 50, 20 * Hz, weight=3 * mV)
    recurrent = wire(rng, cells, cells, "ee", "s_post += w", 0.1, namespace=names)
    return Network(cells, drive, recurrent)


@network(
    ["ee.w_e", "ei.w_e", "ie.w_i", "E.tau_m", "E.tau_a", "E.b"], E=(3, 60), I=(3, 90),
    output=READOUT,
)  # fmt: skip
def adaptive_lif(dt: float) -> Network:
    """Leaky cells that adapt, with delays of many lengths."""
    rng = begin(dt)
    names = {
        "tau_m": 15 * ms, "tau_s": 4 * ms, "tau_a": 100 * ms, "b": 0.3, "w_e": 0.2, "w_i": 0.5
    }  # fmt: skip
    equations = """
    dv/dt = (x - a - v)/tau_m : 1
    dx/dt = -x/tau_s : 1
    da/dt = -a/tau_a : 1
    """
    E, I = groups = [  # noqa: E741
        NeuronGroup(
            n, equations, threshold="v > 1", reset=reset, method="exponential_euler",
            namespace=names, name=name,
        )
        for name, n, reset in (("E", 120, "v = 0; a += b"), ("I", 30, "v = 0"))
    ]  # fmt: skip
    for group in groups:
        group.v = 0.9 * rng.random(len(group))
    drives = [PoissonInput(group, "x", 60, 20 * Hz, weight=0.3) for group in groups]
    paths = [
        wire(rng, E, E, "ee", "x_post += w_e", 0.1, namespace=names),
        wire(rng, E, I, "ei", "x_post += w_e", 0.2, namespace=names),
        wire(rng, I, E, "ie", "x_post -= w_i", 0.2, namespace=names),
    ]
    for path in paths:
        path.delay = rng.integers(1, 6, len(path)) * ms
    return Network(*groups, *drives, *paths, *readout(E))


@network(["ee.w", "cells.tau_m", "cells.tau_theta", "cells.jump"], cells=(3, 60))
def moving_threshold(dt: float) -> Network:
    """Leaky cells whose threshold jumps with every spike and comes back."""
    rng = begin(dt)
    names = {"tau_m": 15 * ms, "tau_s": 4 * ms, "tau_theta": 50 * ms, "jump": 0.3, "w": 0.2}
    equations = """
    dv/dt = (x - v)/tau_m : 1
    dx/dt = -x/tau_s : 1
    dtheta/dt = (1 - theta)/tau_theta : 1
    """
    cells = NeuronGroup(
        100, equations, threshold="v > theta", reset="v = 0; theta += jump",
        method="exponential_euler", namespace=names, name="cells",
    )  # fmt: skip
    cells.v, cells.theta = 0.9 * rng.random(100), 1
    drive = PoissonInput(cells, "x", 60, 20 * Hz, weight=0.3)
    recurrent = wire(rng, cells, cells, "ee", "x_post += w", 0.1, namespace=names)
    return Network(cells, drive, recurrent)


@network(
    ["drive.w", "drive.tau_d", "drive.U", "ee.w", "ee.tau_d", "cells.tau_m"], cells=(3, 90),
    output=READOUT,
)  # fmt: skip
def short_term(dt: float) -> Network:
    """Synapses that depress and facilitate (Tsodyks & Markram 1997)."""
    rng = begin(dt)
    plastic = """
    du/dt = (U - u)/(50*ms) : 1 (event-driven)
    dr/dt = (1 - r)/tau_d : 1 (event-driven)
    """
    effect = "u += U*(1 - u); x_post += w*u*r; r -= u*r"
    source = PoissonGroup(80, 30 * Hz, name="source")
    cells = NeuronGroup(
        60, "dv/dt = (x - v)/tau_m : 1\ndx/dt = -x/(5*ms) : 1", threshold="v > 1", reset="v = 0",
        method="euler", namespace={"tau_m": 15 * ms}, name="cells",
    )  # fmt: skip
    cells.v = 0.9 * rng.random(60)
    shared: dict[str, Any] = {"U": 0.3, "tau_d": 60 * ms}
    paths = [
        wire(rng, source, cells, "drive", effect, 0.5, model=plastic,
             namespace=shared | {"w": 0.6}),
        wire(rng, cells, cells, "ee", effect, 0.1, model=plastic, namespace=shared | {"w": 0.8}),
    ]  # fmt: skip
    for path in paths:
        path.u, path.r = 0.3, 1
    return Network(source, cells, *paths, *readout(cells))


@network(
    ["chain.w", "cells.tau_m", "cells.tau_s", "start.w_0"], cells=(3, 40), last=(3, 60),
)  # fmt: skip
def synfire(dt: float) -> Network:
    """A volley that travels through pools of cells in a background of noise."""
    rng, size, pools = begin(dt), 20, 5
    names = {"tau_m": 10 * ms, "tau_s": 3 * ms, "w": 0.42, "w_0": 0.42}
    equations = "dv/dt = (x - v)/tau_m : 1 (unless refractory)\ndx/dt = -x/tau_s : 1"
    cells, last = (
        NeuronGroup(
            n,
            equations,
            threshold="v > 1",
            reset="v = 0",
            refractory=3 * ms,
            method="euler",
            namespace=names,
            name=name,
        )
        for name, n in (("cells", size * pools), ("last", size))
    )
    for group in (cells, last):
        group.v = 0.6 * rng.random(len(group))
    times = np.sort((20 + 40 * np.arange(8)[:, None] + rng.integers(0, 6, (8, 20))).ravel())
    source = SpikeGeneratorGroup(
        160, rng.permutation(160), times * ms, name="source"
    )  # fmt: skip
    drives = [PoissonInput(group, "x", 50, 20 * Hz, weight=0.12) for group in (cells, last)]
    start: Any = Synapses(source, cells, on_pre="x_post += w_0", name="start", namespace=names)
    i, j = np.nonzero(rng.random((160, size)) < 0.6)
    start.connect(i=i, j=j)
    chain: Any = Synapses(
        cells, cells, on_pre="x_post += w", name="chain", namespace=names, delay=2 * ms
    )  # fmt: skip
    i, j = np.nonzero(rng.random((size * pools, size * pools)) < 0.6)
    next_pool = j // size == i // size + 1
    chain.connect(i=i[next_pool], j=j[next_pool])
    end: Any = Synapses(
        cells, last, on_pre="x_post += w", name="end", namespace=names, delay=2 * ms
    )  # fmt: skip
    i, j = np.nonzero(rng.random((size, size)) < 0.6)
    end.connect(i=i + size * (pools - 1), j=j)
    return Network(source, cells, last, *drives, start, chain, end)


@network(
    ["aa.w_e", "bb.w_e", "ai.w_x", "bi.w_x", "ia.w_i", "ib.w_i", "A.tau_m", "B.tau_m"],
    A=(3, 90), B=(3, 90), I=(3, 90),
)  # fmt: skip
def winner_take_all(dt: float) -> Network:
    """Two populations that compete through a third that inhibits both."""
    rng = begin(dt)
    names = {"tau_m": 15 * ms, "tau_s": 5 * ms, "w_e": 0.12, "w_x": 0.2, "w_i": 0.25}
    equations = "dv/dt = (x - v)/tau_m : 1 (unless refractory)\ndx/dt = -x/tau_s : 1"
    A, B, I = groups = [  # noqa: E741
        NeuronGroup(
            n, equations, threshold="v > 1", reset="v = 0", refractory=2 * ms, method="euler",
            namespace=names, name=name,
        )
        for name, n in (("A", 60), ("B", 60), ("I", 30))
    ]  # fmt: skip
    for group in groups:
        group.v = 0.9 * rng.random(len(group))
    weights = {"A": 0.36, "B": 0.33, "I": 0.2}
    drives = [
        PoissonInput(group, "x", 50, 20 * Hz, weight=weight)
        for group, weight in zip(groups, weights.values(), strict=True)
    ]
    plan = {"namespace": names}
    return Network(
        *groups, *drives,
        wire(rng, A, A, "aa", "x_post += w_e", 0.2, **plan),
        wire(rng, B, B, "bb", "x_post += w_e", 0.2, **plan),
        wire(rng, A, I, "ai", "x_post += w_x", 0.2, **plan),
        wire(rng, B, I, "bi", "x_post += w_x", 0.2, **plan),
        wire(rng, I, A, "ia", "x_post -= w_i", 0.3, **plan),
        wire(rng, I, B, "ib", "x_post -= w_i", 0.3, **plan),
    )  # fmt: skip


@network(
    ["s1.w", "s2.w", "s3.w", "L1.tau_m", "L2.tau_m", "L3.tau_m", "L1.tau_s"],
    L1=(3, 90), L3=(3, 90), output=READOUT,
)  # fmt: skip
def layers(dt: float) -> Network:
    """Three layers of leaky cells, forward only."""
    rng, source = begin(dt), PoissonGroup(100, 20 * Hz, name="source")
    names = {"tau_m": 20 * ms, "tau_s": 5 * ms}
    made = [
        NeuronGroup(
            50, "dv/dt = (x - v)/tau_m : 1\ndx/dt = -x/tau_s : 1", threshold="v > 1",
            reset="v = 0", method="exact", namespace=names, name=f"L{k}",
        )
        for k in (1, 2, 3)
    ]  # fmt: skip
    for group in made:
        group.v = 0.8 * rng.random(50)
    plan = zip([source, *made], made, (0.35, 0.2, 0.2), (0.5, 0.6, 0.6), strict=False)
    paths = [
        wire(rng, a, b, f"s{k}", "x_post += w", p, namespace={"w": w})
        for k, (a, b, w, p) in enumerate(plan, 1)
    ]
    return Network(source, *made, *paths, *readout(made[-1]))


@network(["pe.w_e", "pi.w_x", "ei.w_e", "ie.w_i", "E.tau_m", "I.tau_m"], E=(3, 90), I=(50, 300))
def saturated(dt: float) -> Network:
    """Excitation against inhibition by refractory cells that fire almost as fast as they can."""
    rng, source = begin(dt), PoissonGroup(60, 40 * Hz, name="source")
    names = {"tau_m": 10 * ms, "tau_s": 3 * ms, "w_e": 0.9, "w_x": 1.0, "w_i": 0.15}
    equations = """
    dv/dt = (ge - gi - v)/tau_m : 1 (unless refractory)
    dge/dt = -ge/tau_s : 1
    dgi/dt = -gi/tau_s : 1
    """
    E, I = groups = [  # noqa: E741
        NeuronGroup(
            n, equations, threshold="v > 1", reset="v = 0", refractory=3 * ms, method="euler",
            namespace=names, name=name,
        )
        for name, n in (("E", 60), ("I", 20))
    ]  # fmt: skip
    for group in groups:
        group.v = 0.9 * rng.random(len(group))
    plan = {"namespace": names}
    return Network(
        source, *groups,
        wire(rng, source, E, "pe", "ge_post += 0.4*w_e", 0.5, **plan),
        wire(rng, source, I, "pi", "ge_post += w_x", 0.5, **plan),
        wire(rng, E, I, "ei", "ge_post += w_e", 0.3, **plan),
        wire(rng, I, E, "ie", "gi_post += w_i", 0.3, **plan),
    )  # fmt: skip


@network(
    ["ee.w", "cells.tau_m", "cells.tau_s", "cells.rho", "cells.spread"], cells=(3, 90),
    output=READOUT,
)  # fmt: skip
def escape_noise(dt: float) -> Network:
    """Leaky cells that spike by chance, the more likely the nearer they are to threshold."""
    rng = begin(dt)
    names = {"tau_m": 15 * ms, "tau_s": 5 * ms, "rho": 0.1 / ms, "spread": 0.2, "w": 0.2}
    cells = NeuronGroup(
        100, "dv/dt = (x - v)/tau_m : 1\ndx/dt = -x/tau_s : 1",
        threshold="rand() < 1 - exp(-rho*exp((v - 1)/spread)*dt)", reset="v = 0",
        method="euler", namespace=names, name="cells",
    )  # fmt: skip
    cells.v = 0.9 * rng.random(100)
    drive = PoissonInput(cells, "x", 50, 20 * Hz, weight=0.2)
    recurrent = wire(rng, cells, cells, "ee", "x_post += w", 0.1, namespace=names)
    return Network(cells, drive, recurrent, *readout(cells))


@network(
    ["ee.w_e", "ei.w_e", "ie.w_i", "ii.w_i", "E.tau_m", "I.tau_m"], E=(3, 60), I=(3, 60),
    output=READOUT,
)  # fmt: skip
def delta_lif(dt: float) -> Network:
    """Leaky cells that spikes move at once, after a delay (Brunel 2000)."""
    rng = begin(dt)
    names = {"tau_m": 20 * ms, "w_e": 0.5 * mV, "w_i": 2 * mV}
    E, I = groups = [  # noqa: E741
        NeuronGroup(
            n, "dv/dt = -v/tau_m : volt (unless refractory)", threshold="v > 20*mV",
            reset="v = 10*mV", refractory=2 * ms, method="exact", namespace=names, name=name,
        )
        for name, n in (("E", 160), ("I", 40))
    ]  # fmt: skip
    for group in groups:
        group.v = 20 * rng.random(len(group)) * mV
    drives = [PoissonInput(group, "v", 200, 10 * Hz, weight=0.5 * mV) for group in groups]
    plan = {"namespace": names, "delay": on_grid(1.5e-3, dt)}
    return Network(
        *groups, *drives, *readout(E),
        wire(rng, E, E, "ee", "v_post += w_e", 0.1, **plan),
        wire(rng, E, I, "ei", "v_post += w_e", 0.1, **plan),
        wire(rng, I, E, "ie", "v_post -= w_i", 0.1, **plan),
        wire(rng, I, I, "ii", "v_post -= w_i", 0.1, **plan),
    )  # fmt: skip


@network(
    ["ee.w_e", "ei.w_e", "ie.w_i", "E.tau_s", "E.a", "E.d"], steps=(0.5, 1.0), E=(2, 60), I=(2, 90)
)
def regular_fast(dt: float) -> Network:
    """Regular and fast spiking cells, all different, in noise (Izhikevich 2003)."""
    rng = begin(dt)
    names = {"tau_s": 5 * ms, "w_e": 2 * mV / ms, "w_i": 2 * mV / ms}
    equations = """
    dv/dt = 0.04/ms/mV*v**2 + 5/ms*v + 140*mV/ms - u + I + noise : volt
    du/dt = a*(b*v - u) : volt/second
    dI/dt = -I/tau_s : volt/second
    noise : volt/second
    a : Hz (constant)
    b : Hz (constant)
    c : volt (constant)
    d : volt/second (constant)
    """
    groups: list[Any] = []
    for name, n, noise in (("E", 160, 6), ("I", 40, 3)):
        group: Any = NeuronGroup(
            n, equations, threshold="v > 30*mV", reset="v = c; u += d", method="euler",
            namespace=names, name=name,
        )  # fmt: skip
        r, excites = rng.random(n), name == "E"
        group.a = 0.02 / ms if excites else (0.02 + 0.08 * r) / ms
        group.b = 0.2 / ms if excites else (0.25 - 0.05 * r) / ms
        group.c = (-65 + 15 * r**2) * mV if excites else -65 * mV
        group.d = (8 - 6 * r**2) * mV / ms if excites else 2 * mV / ms
        group.v, group.u = -65 * mV, "b*v"
        group.run_regularly(f"noise = {noise}*randn()*mV/ms", dt=1 * ms)
        groups.append(group)
    E, I = groups  # noqa: E741
    return Network(
        E, I,
        wire(rng, E, E, "ee", "I_post += w_e", 0.1, namespace=names),
        wire(rng, E, I, "ei", "I_post += w_e", 0.1, namespace=names),
        wire(rng, I, E, "ie", "I_post -= w_i", 0.2, namespace=names),
    )  # fmt: skip


@network(
    ["ee.w_e", "ei.w_e", "ie.w_i", "E.tau_e", "E.DT", "ee.tau_d", "ee.U"],
    E=(3, 60), I=(3, 150), output=READOUT, steps=(0.1,),
)  # fmt: skip
def depressing_adex(dt: float) -> Network:
    """Adaptive exponential cells with a far cut-off, excited through depressing synapses."""
    rng = begin(dt)
    names = {
        "C": 150 * pF, "gL": 10 * nS, "EL": -70 * mV, "VT": -50 * mV, "DT": 2 * mV, "Vr": -60 * mV,
        "a": 4 * nS, "tau_w": 150 * ms, "Ee": 0 * mV, "Ei": -75 * mV, "tau_e": 4 * ms,
        "tau_i": 8 * ms, "w_e": 2 * nS, "w_i": 4 * nS, "U": 0.4, "tau_d": 100 * ms,
    }  # fmt: skip
    equations = """
    dv/dt = (gL*(EL-v) + gL*DT*exp((v-VT)/DT) + ge*(Ee-v) + gi*(Ei-v) - w)/C : volt (unless refractory)
    dw/dt = (a*(v-EL) - w)/tau_w : amp
    dge/dt = -ge/tau_e : siemens
    dgi/dt = -gi/tau_i : siemens
    """  # noqa: E501
    E, I = groups = [  # noqa: E741
        NeuronGroup(
            n, equations, threshold="v > -30*mV", reset=f"v = Vr; w += {b}*pA", refractory=2 * ms,
            method="euler", namespace=names, name=name,
        )
        for name, n, b in (("E", 60, 40), ("I", 20, 0))
    ]  # fmt: skip
    for group in groups:
        group.v = (-70 + 15 * rng.random(len(group))) * mV
    drives = [PoissonInput(group, "ge", 100, 10 * Hz, weight=3 * nS) for group in groups]
    plastic = """
    du/dt = (U - u)/(100*ms) : 1 (event-driven)
    dr/dt = (1 - r)/tau_d : 1 (event-driven)
    """
    effect = "u += U*(1 - u); ge_post += w_e*u*r; r -= u*r"
    ee = wire(rng, E, E, "ee", effect, 0.15, model=plastic, namespace=names)
    ee.u, ee.r = 0.4, 1
    return Network(
        *groups, *drives, *readout(E), ee,
        wire(rng, E, I, "ei", "ge_post += w_e", 0.15, namespace=names),
        wire(rng, I, E, "ie", "gi_post += w_i", 0.2, namespace=names),
    )  # fmt: skip


@network(
    ["glomeruli.w", "parallel.w", "inhibition.w", "golgi.C_m", "golgi.A_2", "granule.C_m"],
    steps=(0.1,), granule=(1, 60), golgi=(3, 90),
)  # fmt: skip
def eglif(dt: float) -> Network:
    """Published E-GLIF cells of the granular layer, which spike by chance, in a loop."""
    rng, kinds = begin(dt), published["geminiani"]
    source = PoissonGroup(100, 40 * Hz, name="source")
    granule = kinds["granule"].group(100, name="granule")
    golgi = kinds["golgi"].group(20, name="golgi")
    for group in (granule, golgi):
        group.v = (-65 + 10 * rng.random(len(group))) * mV

    def connect(pre: Any, post: Any, target: str, receptor: str, p: float, **made: Any) -> Synapses:
        i, j = np.nonzero(rng.random((len(pre), len(post))) < p)
        return kinds[target].connect(pre, post, receptor, i=i, j=j, **made)

    return Network(
        source, granule, golgi,
        connect(source, granule, "granule", "glomerulus", 0.04, w=0.14 * nS, name="glomeruli"),
        connect(granule, golgi, "golgi", "parallel_fibre", 0.3, w=0.3 * nS, name="parallel"),
        connect(golgi, granule, "granule", "golgi", 0.1, w=0.2 * nS, name="inhibition"),
    )  # fmt: skip


@network(
    ["parallel_purkinje.w", "mossy_granule.w", "golgi_granule.w", "basket_purkinje.w"],
    steps=(0.1,), granule=(1, 60), purkinje=(20, 300), golgi=(3, 200),
)  # fmt: skip
def cerebellar_patch(dt: float) -> Network:
    """A patch of the cerebellum of `mn.bio`: seven kinds of cells, 25 pathways."""
    begin(dt)
    return cerebellum(scale=0.004, seed=7).network(mossy=40 * Hz)


@network(
    ["afferent.w", "recurrent.w", "efferent.w", "hidden.bias", "motor.bias"],
    steps=(1.0, 2.0), hidden=(3, 120), motor=(3, 120), output="joints.angle",
)  # fmt: skip
def arm_controller(dt: float) -> Network:
    """Cells that sense an arm and move it: `arm_stabilisation`, small."""
    begin(dt)
    return Loop(sense=24, hidden=40, motor=12, dt=dt, bias=1.05).network(angle=0.3)
