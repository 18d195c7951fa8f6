"""Laws of gradients: differences where the network is smooth, hand-made derivatives where not."""

import numpy as np
import pytest
import torch
from brian2 import (
    Network,
    NeuronGroup,
    SpikeGeneratorGroup,
    Synapses,
    ms,
    mV,
    nS,
    pF,
)
from networks import every, networks

import mirrorneuron as mn
from mirrorneuron.bridge.check import require_trainable
from mirrorneuron.bridge.program import Program, Threshold
from mirrorneuron.errors import GradientError, UnknownName
from mirrorneuron.units import quantity

METHODS = ("exact", "euler", "exponential_euler", "rk2", "rk4")


def subthreshold(method: str) -> Network:
    """Two passive cells with conductance input from given spikes, and delays that differ."""
    stimulus = SpikeGeneratorGroup(3, [0, 1, 2, 0], [1, 2, 3, 8] * ms, name="stimulus")
    linear = method == "exact"
    drive = "g*(E_e - E_L)" if linear else "g*(E_e - v)"
    cells = NeuronGroup(
        2,
        f"""dv/dt = (g_L*(E_L - v) + {drive}) / C : volt
            dg/dt = -g / tau_g : siemens
            tau_g : second (constant)
            C : farad (constant)""",
        threshold="v > 0*mV",
        reset="v = E_L",
        method=method,
        namespace={"g_L": 10 * nS, "E_L": -70 * mV, "E_e": 0 * mV},
        name="cells",
    )
    cells.v, cells.tau_g, cells.C = [-70, -65] * mV, [3, 5] * ms, [100, 200] * pF
    synapses = Synapses(stimulus, cells, "w : siemens", on_pre="g += w", name="syn")
    synapses.connect()
    synapses.w = np.linspace(1, 4, 6) * nS
    synapses.delay = np.linspace(0, 3, 6) * ms
    return Network(stimulus, cells, synapses)


def relaxed() -> Network:
    """A recurrent network without thresholds: neurons act through a smooth function of v."""
    rng = np.random.default_rng(0)
    cells = NeuronGroup(
        6,
        """dv/dt = (I - v + field) / tau : 1
           I : 1 (constant)
           tau : second (constant)
           field : 1""",
        method="rk2",
        name="cells",
    )
    cells.v, cells.I, cells.tau = rng.normal(0, 1, 6), rng.normal(0, 1, 6), 10 * ms
    synapses = Synapses(
        cells, cells, "J : 1\nfield_post = J / (1 + exp(-4*v_pre)) : 1 (summed)", name="syn"
    )
    synapses.connect("i != j")
    synapses.J = rng.normal(0, 0.8, len(synapses))
    return Network(cells, synapses)


def plastic() -> Network:
    """Plastic synapses whose spikes come at given times on both sides: STDP, depression, reward."""
    times = np.random.default_rng(2).permutation(140)[:60]
    stimulus = SpikeGeneratorGroup(6, np.arange(60) % 6, times * 0.1 * ms, name="stimulus")
    cells = NeuronGroup(
        2,
        """dv/dt = (E_L - v)/(10*ms) + reward*x/(20*ms) : 1
           dx/dt = -x/(5*ms) : 1
           reward : 1 (constant)
           E_L : 1 (constant)""",
        threshold="timestep(t, dt) % 31 == 7 + 4*i",
        method="euler",
        name="cells",
    )
    cells.reward, cells.v = 0.5, [0.1, 0.2]
    synapses = Synapses(
        stimulus,
        cells,
        """w : 1
           A : 1 (shared, constant)
           tau : second (shared, constant)
           da/dt = -a/tau : 1 (event-driven)
           db/dt = -b/(7*ms) : 1 (event-driven)
           dr/dt = (1 - r)/(30*ms) : 1 (event-driven)""",
        on_pre={
            "learn": "a += A; r *= 0.8; w = clip(w - b*r, 0, 1)",
            "act": "x_post += w*r; v_post += w*(1 - v_post)",
        },
        on_post="b += 0.02; w = clip(w + a*r, 0, 1)",
        name="plastic",
    )
    synapses.connect()
    synapses.w, synapses.A, synapses.tau, synapses.r = np.linspace(0.3, 0.6, 12), 0.01, 9 * ms, 1
    synapses.act.delay = np.linspace(0, 2, 12) * ms
    return Network(stimulus, cells, synapses)


def junctions() -> Network:
    """Passive cells that are coupled by gap junctions, one of which rectifies smoothly."""
    cells = NeuronGroup(
        4, "dv/dt = (I - v + gap)/(8*ms) : 1\ngap : 1\nI : 1 (constant)", method="rk2",
        name="cells",
    )  # fmt: skip
    cells.I, cells.v = [0.3, 1, -0.5, 0.2], [0, 0.2, 0.1, -0.4]
    coupled = Synapses(
        cells, cells, "g : 1\ngap_post = g*(v_pre - v_post)/(1 + exp(v_post - v_pre)) : 1 (summed)",
        name="gaps",
    )  # fmt: skip
    coupled.connect("abs(i - j) == 1")
    coupled.g = np.linspace(0.2, 0.9, len(coupled))
    return Network(cells, coupled)


def loss(model: mn.Mirror) -> torch.Tensor:
    recording = model.run(15 * ms, record=["cells.v"])
    compared = (s.owner for s in model.program.slots_of(Threshold) if s.margin)
    assert all(not len(e.index) for name in compared for e in recording.spikes.events[name])
    x = recording["cells.v"] / 0.01
    return (x * torch.linspace(-1, 1, len(x), dtype=x.dtype)[:, None, None] ** 2).sin().sum()


def central_difference(model: mn.Mirror, key: str, direction: torch.Tensor) -> float:
    parameter = model.parameter(key)
    start = parameter.detach().clone()
    h = 1e-5 * float(start.abs().max())
    values: list[float] = []
    with torch.no_grad():
        for k in (-2, -1, 1, 2):
            parameter.copy_(start + k * h * direction)
            values.append(float(loss(model)))
        parameter.copy_(start)
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)


SMOOTH = {f"subthreshold_{m}": (lambda m=m: subthreshold(m)) for m in METHODS}
SMOOTH |= {"relaxed": relaxed, "plastic": plastic, "junctions": junctions}
TRAINED = {
    "relaxed": ("syn.J", "cells.tau", "cells.v", "cells.I"),
    "plastic": ("plastic.w", "plastic.A", "plastic.tau", "cells.reward", "cells.v"),
    "junctions": ("gaps.g", "cells.v", "cells.I"),
}
DEFAULT = ("syn.w", "cells.tau_g", "cells.v", "cells.C", "cells.g_L")


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_of_a_smooth_network_is_that_of_central_differences(name: str) -> None:
    keys = TRAINED.get(name, DEFAULT)
    model = mn.mirror(
        SMOOTH[name](), train=list(keys), reset_gradient="detach", dtype=torch.float64
    )
    loss(model).backward()
    rng = torch.Generator().manual_seed(1)
    for key in keys:
        gradient = model.parameter(key).grad
        assert gradient is not None
        direction = torch.randn(gradient.shape, generator=rng, dtype=torch.float64)
        expected = central_difference(model, key, direction)
        found = float((gradient * direction).sum())
        assert abs(expected) > 1e-6 * float(gradient.abs().max()) > 0
        assert found == pytest.approx(expected, rel=1e-6), key


def chain() -> Network:
    """Given spikes drive neuron a, neuron a drives neuron b one step later."""
    stimulus = SpikeGeneratorGroup(1, [0, 0, 0], [0.2, 0.5, 0.9] * ms, name="stimulus")
    a, b = (
        NeuronGroup(
            1, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="euler", name=n
        )
        for n in "ab"
    )
    first = Synapses(stimulus, a, "w : 1", on_pre="v += w", name="first")
    second = Synapses(a, b, "w : 1", on_pre="v += w", delay=0.1 * ms, name="second")
    for synapses, w in ((first, 0.6), (second, 0.8)):
        synapses.connect()
        synapses.w = w
    return Network(stimulus, a, b, first, second)


@pytest.mark.parametrize("reset_gradient", ["detach", "surrogate"])
@pytest.mark.parametrize("name", list(mn.surrogates))
def test_gradient_of_a_two_neuron_chain_is_the_hand_computed_one(
    name: str, reset_gradient: str
) -> None:
    """Forward-mode sensitivities of v_a, v_b, written out by hand, with ds/dm = h(m/w)/w.

    Followed, a reset takes 1 away, which is what it does to a neuron at threshold.
    """
    width = 0.4
    shape = mn.surrogates[name](width=width)
    model = mn.mirror(
        chain(),
        train=["first.w", "second.w"],
        surrogate=shape,
        reset_gradient=reset_gradient,
        dtype=torch.float64,
    )
    recording = model.run(2 * ms, record=["b.v"])
    total = recording["b.v"].sum()
    total.backward()
    assert recording.spikes["a"].sum() == 1

    w1, w2, decay = 0.6, 0.8, 1 - 0.1 / 10
    arrivals = {2, 5, 9}
    v_a = v_b = 0.0
    da = db1 = db2 = 0.0  # derivatives of v_a by w1, and of v_b by w1 and w2
    sent, dsent = 0.0, 0.0  # spike of a in the step before, and its derivative by w1
    expected1 = expected2 = value = 0.0
    for step in range(20):
        expected1, expected2, value = expected1 + db1, expected2 + db2, value + v_b
        v_a, da = decay * v_a, decay * da
        v_b, db1, db2 = decay * v_b, decay * db1, decay * db2
        margins = torch.tensor([v_a - 1, v_b - 1], dtype=torch.float64)
        slope_a, slope_b = (shape(margins, width) / width).tolist()
        s, ds = float(v_a > 1), slope_a * da
        dsb1, dsb2 = slope_b * db1, slope_b * db2
        if step in arrivals:
            v_a, da = v_a + w1, da + 1
        v_b, db1, db2 = v_b + w2 * sent, db1 + w2 * dsent, db2 + sent
        v_a = v_a + s * (0 - v_a)
        if reset_gradient == "surrogate":
            da, db1, db2 = da - ds, db1 - dsb1, db2 - dsb2
        else:
            da = da * (1 - s)
        sent, dsent = s, ds
    assert float(total.detach()) == pytest.approx(value, rel=1e-12)
    assert float(model.parameter("first.w").grad) == pytest.approx(expected1, rel=1e-12)
    assert float(model.parameter("second.w").grad) == pytest.approx(expected2, rel=1e-12)
    assert expected1 != 0 and expected2 != 0


def trainable(program: Program) -> list[str]:
    """Every real variable that a statement of the network reads."""
    keys: list[str] = []
    for key, variable in program.variables.items():
        try:
            require_trainable(program, key)
        except (GradientError, UnknownName):
            continue
        if variable.name not in ("lastspike", "lastupdate") and variable.value.size:
            keys.append(key)
    return keys


@pytest.mark.parametrize("name", every())
def test_all_gradients_of_a_network_are_finite_and_some_path_reaches_each_object(name: str) -> None:
    entry = networks[name]
    network = entry.build()
    program = mn.mirror(network).program
    keys = trainable(program)
    plain = mn.mirror(network)
    widths = {
        slot.owner: mn.SuperSpike(quantity(5e-3 if str(slot.margin) == "V" else 0.5, slot.margin))
        for slot in program.slots_of(Threshold)
        if slot.margin is not None and plain.gradients[slot.event].width is None
    }
    model = mn.mirror(network, train=keys, surrogate=widths, dtype=torch.float64)
    slowest = max((pathway.max_delay for pathway in program.pathways.values()), default=0)
    long = slowest * program.dt > 25e-3  # the first spikes are to arrive
    recording = model.run((60 if long else 40) * ms, record=list(entry.moves), seed=1)
    spikes = [recording.spikes[group].reshape(-1) for group in entry.rates]
    traces = [recording[key].reshape(-1) / size for key, size in entry.moves.items()]
    activity = torch.cat([*spikes, *traces])
    assert not spikes or torch.cat(spikes).sum() > 0
    (activity * torch.linspace(1, 2, len(activity))).sum().backward()
    reached: set[str] = set()
    for key in keys:
        gradient = model.parameter(key).grad
        if gradient is not None:
            assert torch.isfinite(gradient).all(), key
            if (gradient != 0).any():
                reached.add(key.partition(".")[0])
    assert reached == {key.partition(".")[0] for key in keys}
