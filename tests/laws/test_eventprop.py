"""Properties of exact gradients of spike times: equal to differences of the event-driven run."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    amp,
    ms,
    mV,
    nS,
    pA,
    pF,
    second,
)
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, GradientError, NumericalError, ShapeError, UnknownName

DT = 0.5 * ms
DURATION = 40 * ms
TRIALS = 3
SCALES = {"AdEx": 1e-3}  # of squared potentials
Built = tuple[Network, list[str]]


def stimulus(size: int = 6) -> SpikeGeneratorGroup:
    return SpikeGeneratorGroup(size, [], [] * ms, dt=DT, name="stimulus")


def cells(equations: str, threshold: str, reset: str, size: int = 4, name: str = "cells",
          method: str = "rk4", **namespace: Any) -> NeuronGroup:  # fmt: skip
    return NeuronGroup(size, equations, threshold=threshold, reset=reset, method=method, dt=DT,
                       name=name, namespace=namespace)  # fmt: skip


def joined(source: Any, target: Any, name: str, low: float, high: float, seed: int = 0,
           unit: Any = 1, text: str = "1", on_pre: str = "I_post += w", **more: Any) -> Synapses:  # fmt: skip
    made = Synapses(source, target, f"w : {text}", on_pre=on_pre, dt=DT, name=name, **more)
    made.connect("i != j" if source is target else True)
    rng = np.random.default_rng(seed)
    made.w = rng.uniform(low, high, len(made)) * unit
    return made


LIF = "dv/dt = (I - v)/tau : 1\ndI/dt = -I/(5*ms) : 1\ntau : second (constant)\nth : 1 (constant)"


def lif(size: int = 4, name: str = "cells") -> NeuronGroup:
    made = cells(LIF, "v > th", "v = 0", size, name, "exact")
    made.tau, made.th = 20 * ms, np.linspace(0.9, 1.1, size)
    return made


def layers() -> Built:
    given, hidden, out = stimulus(), lif(5, "hidden"), lif(3)
    feed, read = joined(given, hidden, "feed", 1, 3), joined(hidden, out, "read", 1, 2)
    return Network(given, hidden, out, feed, read), [
        "feed.w", "read.w", "hidden.tau", "hidden.th", "cells.tau", "cells.th", "cells.v",
    ]  # fmt: skip


def recurrent(delay: Any = 0 * ms) -> Built:
    given, made = stimulus(), lif(5)
    feed, loop = joined(given, made, "feed", 1, 2.5), joined(made, made, "loop", -0.8, 0.8)
    loop.delay = delay
    return Network(given, made, feed, loop), ["feed.w", "loop.w", "cells.tau", "cells.th"]


def several_delays() -> Built:
    return recurrent(np.tile([0, 1, 2.5, 0.5], 5) * ms)


def adaptive_threshold() -> Built:
    text = LIF.replace("th : 1 (constant)", "da/dt = -a/(30*ms) : 1\nb : 1 (constant)")
    given, made = stimulus(), cells(text, "v - a > 1", "v -= 1; a += b", method="exact")
    made.tau, made.b = 20 * ms, 0.2
    feed, loop = joined(given, made, "feed", 1, 3), joined(made, made, "loop", -0.5, 0.8)
    return Network(given, made, feed, loop), ["feed.w", "loop.w", "cells.tau", "cells.b"]


def quadratic() -> Built:
    """Reset and transmission depend on the state."""
    text = """dv/dt = (v*v + I - a + c)/(10*ms) : 1
    dI/dt = -I/(5*ms) : 1
    da/dt = (0.2*v - a)/(40*ms) : 1
    b : 1 (constant)
    c : 1 (constant)"""
    given, made = stimulus(), cells(text, "v > 5", "v = -1 - 0.1*a; a = 1.05*a + b")
    made.b, made.c = 0.3, np.linspace(0, 0.3, 4)
    feed = joined(given, made, "feed", 0.5, 1.5)
    loop = joined(made, made, "loop", -0.5, 0.5, on_pre="I_post += w*(1 - 0.2*a_pre)")
    return Network(given, made, feed, loop), ["feed.w", "loop.w", "cells.b", "cells.c"]


def adex() -> Built:
    text = """dv/dt = (g_L*(E_L - v) + g_L*D*exp((v - V_T)/D) - a + I)/C : volt
    da/dt = (2*nS*(v - E_L) - a)/(100*ms) : amp
    dI/dt = -I/(5*ms) : amp
    V_T : volt (constant)
    b : amp (constant)"""
    made = cells(text, "v > -40*mV", "v = -58*mV; a += b", g_L=10 * nS, E_L=-70 * mV, D=2 * mV,
                 C=200 * pF)  # fmt: skip
    made.v, made.V_T, made.b = -65 * mV, -50 * mV, 20 * pA
    given = stimulus()
    feed = joined(given, made, "feed", 300, 900, 0, pA, "amp")
    loop = joined(made, made, "loop", -50, 100, 1, pA, "amp")
    return Network(given, made, feed, loop), ["feed.w", "loop.w", "cells.V_T", "cells.b"]


def theta() -> Built:
    text = """dx/dt = ((1 - cos(x)) + (1 + cos(x))*(c + I))/(10*ms) : 1
    dI/dt = -I/(5*ms) : 1
    c : 1 (constant)"""
    given, made = stimulus(), cells(text, "x > pi", "x -= 2*pi")
    made.c = np.linspace(0.02, 0.1, 4)
    feed, loop = joined(given, made, "feed", 0.3, 1), joined(made, made, "loop", -0.3, 0.3)
    return Network(given, made, feed, loop), ["feed.w", "loop.w", "cells.c"]


def conductances() -> Built:
    text = """dv/dt = (-v + g*(E - v))/(20*ms) : 1
    dg/dt = -g/(5*ms) : 1
    E : 1 (constant)"""
    given, made = stimulus(), cells(text, "v > 1", "v = 0")
    made.E = 4
    feed = joined(given, made, "feed", 0.3, 1, on_pre="g_post += w")
    loop = joined(made, made, "loop", 0, 0.2, on_pre="g_post += w")
    return Network(given, made, feed, loop), ["feed.w", "loop.w", "cells.E"]


def kicked() -> Built:
    """Spikes move the potential itself, and some lift cells over the threshold at once."""
    text = "dv/dt = (c - v)/(20*ms) : 1\nc : 1 (constant)"
    given, made = stimulus(), cells(text, "v > 1", "v = 0", method="exact")
    made.c = np.linspace(1.2, 1.5, 4)
    feed = joined(given, made, "feed", 0.02, 0.1, on_pre="v_post += w")
    loop = joined(made, made, "loop", 0, 0.4, on_pre="v_post += w")
    return Network(given, made, feed, loop), ["feed.w", "loop.w", "cells.c"]


def driven() -> Built:
    """A TimedArray, equations that read the time, and a constant that all share."""
    current = TimedArray(np.array([0.5, 2.0, 1.0, 3.0]), dt=10 * ms)
    text = "dv/dt = (drive(t) + sin(t*300*Hz) - v)/tau_m : 1"
    made = cells(text, "v > 1", "v -= 0.9", drive=current, tau_m=12 * ms)
    made.v = np.linspace(0, 0.6, 4)
    return Network(stimulus(), made), ["cells.tau_m", "cells.v"]


NETWORKS: dict[str, Callable[[], Built]] = {
    "two layers": layers,
    "recurrent": recurrent,
    "a delay": lambda: recurrent(1.5 * ms),
    "several delays": several_delays,
    "adaptive threshold": adaptive_threshold,
    "adaptive quadratic": quadratic,
    "AdEx": adex,
    "theta": theta,
    "conductances": conductances,
    "kicked": kicked,
    "driven": driven,
}


@cache
def model(name: str) -> mn.Mirror:
    network, keys = NETWORKS[name]()
    made = mn.mirror(network, train=dict.fromkeys(keys, mn.Free()), dtype=torch.float64)
    made.network = None
    return made


def given(name: str, size: int = 6) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    times = np.sort(rng.uniform(0, 0.03, (TRIALS, size, 3)), axis=2)
    return {"stimulus": mn.SpikeTimes(torch.from_numpy(times))}


def played(made: mn.Mirror, name: str) -> mn.Recording:
    record = [k for k in ("cells.v", "cells.x") if k in made.program.variables]
    return mn.EventProp().run(made, DURATION, given(name), record=record)


def loss(recording: Any, scale: float = 1.0) -> Tensor:
    """Of spike times and of potentials."""
    times = recording.times("cells")
    (trace,) = recording.traces.values()
    early = torch.where(torch.isfinite(times), times, 0.0) / 0.02
    weight = torch.linspace(0.5, 2, times.shape[1], dtype=torch.float64)
    return (early.square().sum(2) * weight).sum() + trace.square().mean() / scale


def difference(made: mn.Mirror, name: str, key: str, way: Tensor) -> float:
    """Derivative of the loss in a direction, by four runs.

    What is read at fixed times jumps where a spike passes them, so that none may do so.
    """
    for h in (2e-5, 4e-6, 1e-6):
        runs = {k: moved(made, name, key, k * h * way) for k in (-2, -1, 1, 2)}
        rasters = [run.spikes["cells"].detach() for run in runs.values()]
        if all(torch.equal(rasters[0], other) for other in rasters):
            found = {k: float(loss(run, SCALES.get(name, 1.0))) for k, run in runs.items()}
            return (8 * (found[1] - found[-1]) - (found[2] - found[-2])) / (12 * h)
    raise AssertionError("a spike came, went, or passed a grid point")


def moved(made: mn.Mirror, name: str, key: str, by: Tensor) -> mn.Recording:
    """A run with another value of a parameter."""
    value = made.parameter(key)
    start = value.detach().clone()
    with torch.no_grad():
        value.copy_(start + by)
        recording = played(made, name)
        value.copy_(start)
    return recording


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_is_that_of_the_event_driven_run(name: str):
    made = model(name)
    made.zero_grad()
    recording: Any = played(made, name)
    assert recording.counts("cells").sum() >= 10, "a silent network would prove nothing"
    loss(recording, SCALES.get(name, 1.0)).backward()
    assert recording.tally.grazing == 0
    rng = np.random.default_rng(1)
    for key in made.trained:
        value = made.parameter(key).detach()
        gradient = made.parameter(key).grad
        assert gradient is not None and bool((gradient != 0).any())
        size = value.abs().mean() if bool(value.any()) else torch.tensor(0.1)
        way = torch.from_numpy(np.array(rng.standard_normal(tuple(value.shape)))) * size
        found, truth = float((gradient * way).sum()), difference(made, name, key, way)
        assert abs(found - truth) <= 1e-6 * float((gradient * way).abs().sum()), key


def test_times_of_input_spikes_have_a_gradient():
    made = model("recurrent")
    times = given("recurrent")["stimulus"].tensor.clone().requires_grad_()

    def of(x: Tensor) -> Tensor:
        record = ["cells.v"]
        return loss(mn.EventProp().run(made, DURATION, {"stimulus": mn.SpikeTimes(x)}, record=record))

    of(times).backward()
    assert times.grad is not None
    way = torch.from_numpy(np.random.default_rng(0).standard_normal(times.shape))
    h = 1e-8
    with torch.no_grad():
        found = [float(of(times + k * h * way)) for k in (-2, -1, 1, 2)]
    truth = (8 * (found[2] - found[1]) - (found[3] - found[0])) / (12 * h)
    assert float((times.grad * way).sum()) == pytest.approx(truth, rel=1e-6)
