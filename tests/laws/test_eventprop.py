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
    ms,
    mV,
    nS,
    pA,
    pF,
)
from torch import Tensor

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, GradientError, NumericalError, ShapeError, UnknownName

DT = 0.5 * ms
DURATION = 40 * ms
TRIALS = 2
SCALES = {"AdEx": 1e-3}  # of squared potentials
Built = tuple[Network, list[str]]


def stimulus(size: int = 6) -> SpikeGeneratorGroup:
    return SpikeGeneratorGroup(size, [], [] * ms, dt=DT, name="stimulus")


def cells(equations: str, threshold: str, reset: str, size: int = 4, name: str = "cells",
          method: str = "rk4", **namespace: Any) -> NeuronGroup:  # fmt: skip
    return NeuronGroup(size, equations, threshold=threshold, reset=reset, method=method, dt=DT,
                       name=name, namespace=namespace)  # fmt: skip


def joined(
    source: Any, target: Any, name: str, low: float, high: float, seed: int = 0, unit: Any = 1,
    text: str = "1", on_pre: str = "I_post += w", **more: Any,
) -> Synapses:  # fmt: skip
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
    feed = joined(given, made, "feed", 200, 600, 0, pA, "amp")
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
        return loss(
            mn.EventProp().run(made, DURATION, {"stimulus": mn.SpikeTimes(x)}, record=record)
        )

    of(times).backward()
    assert times.grad is not None
    way = torch.from_numpy(np.random.default_rng(0).standard_normal(times.shape))
    h = 1e-8
    with torch.no_grad():
        found = [float(of(times + k * h * way)) for k in (-2, -1, 1, 2)]
    truth = (8 * (found[2] - found[1]) - (found[3] - found[0])) / (12 * h)
    assert float((times.grad * way).sum()) == pytest.approx(truth, rel=1e-6)


# ---- the run itself


def test_an_exact_flow_gives_the_same_times_for_any_grid():
    found = []
    for dt in (0.5 * ms, 0.05 * ms):
        network, _ = recurrent(1.5 * ms)
        made = mn.mirror(at_step(network, dt), dtype=torch.float64)
        found.append(mn.EventProp().run(made, DURATION, given("")).times("cells"))
    assert found[0].shape == found[1].shape
    finite = torch.isfinite(found[0])
    assert torch.equal(finite, torch.isfinite(found[1]))
    assert float((found[0] - found[1])[finite].abs().max()) < 1e-14


def test_a_clocked_run_comes_closer_with_its_step():
    """Brian2's spikes lie on the grid; those of its mirror here are those of Brian2."""
    errors = []
    for dt in (0.2 * ms, 0.02 * ms):
        made = mn.mirror(at_step(recurrent(2 * ms)[0], dt), dtype=torch.float64)
        steps = made.steps(DURATION)
        exact: Any = mn.EventProp().run(made, DURATION, given(""))
        grid = given("")["stimulus"].raster(steps, made.program.dt).double()
        clocked = made.run_steps(steps, {"stimulus": grid}).spikes["cells"]
        assert bool((clocked.sum(0) > 0).all())
        first = clocked.argmax(0) * made.program.dt
        errors.append(float((exact.first_times("cells") - first).abs().max()))
    assert errors[0] < 3 * 0.2e-3
    assert errors[1] < errors[0] / 4


def at_step(network: Network, dt: Any) -> Network:
    """The same network with another time step."""
    for part in network.objects:
        part.clock.dt = dt
    return network


def test_spikes_of_the_grid_are_those_of_the_times():
    recording: Any = played(model("recurrent"), "recurrent")
    times = recording.times("cells")
    assert torch.equal(recording.spikes["cells"].sum(0), recording.counts("cells"))
    assert recording.rates()["cells"] == pytest.approx(
        float(recording.counts("cells").double().mean()) / 0.04
    )
    first = recording.first_times("cells")
    assert torch.equal(first, times.min(2).values)
    assert bool((times[:, :, 1:] >= times[:, :, :-1]).all())


def test_a_silent_neuron_has_an_infinite_time_and_its_potential_a_gradient():
    made = mn.mirror(layers()[0], train=["feed.w"], dtype=torch.float64)
    with torch.no_grad():
        made.parameter("feed.w").mul_(0.05)
    recording: Any = played(made, "two layers")
    assert torch.isinf(recording.first_times("hidden")).all()
    out: Any = mn.EventProp().run(made, DURATION, given(""), record=["hidden.v"])
    out["hidden.v"].mean().backward()
    grad = made.parameter("feed.w").grad
    assert grad is not None and bool((grad > 0).all())


def slope_of(made: mn.Mirror, key: str) -> float:
    """Derivative by a parameter of one element."""
    grad = made.parameter(key).grad
    assert grad is not None
    return float(grad)


def test_an_integral_over_time_is_a_variable():
    text = "dv/dt = (c - v)/(20*ms) : 1\ndA/dt = v : second\nc : 1 (constant)"
    network = Network(cells(text, "v > 1", "v = 0", size=1))
    network["cells"].c = 1.5
    made = mn.mirror(network, train=["cells.c"], dtype=torch.float64)
    recording: Any = mn.EventProp().run(made, 30 * ms)
    recording.state["cells.A"].sum().backward()
    tau, c = 0.02, 1.5
    period = tau * np.log(c / (c - 1))
    rest = 0.03 - period
    area = c * 0.03 - tau * 1 - c * tau * (1 - np.exp(-rest / tau))
    assert float(recording.state["cells.A"].detach()) == pytest.approx(area, rel=1e-6)
    slope = tau * (1 / c - 1 / (c - 1))
    truth = 0.03 - tau * (1 - np.exp(-rest / tau)) + c * np.exp(-rest / tau) * slope
    assert slope_of(made, "cells.c") == pytest.approx(truth, rel=1e-5)


def test_slow_crossings_are_limited_counted_and_reported():
    network = Network(cells("dv/dt = (c - v)/(5*ms) : 1\nc : 1 (constant)", "v > 1", "v = 0", 1,
                            method="exact"))  # fmt: skip
    network["cells"].c = 1.0001
    made = mn.mirror(network, train=["cells.c"], dtype=torch.float64)

    def first(recording: Any, trial: mn.Trial) -> Tensor:
        return recording.first_times("cells").sum()

    task = mn.Task(60 * ms, first)
    with pytest.warns(mn.TrainingWarning, match="1 of 1 spikes of a trial only graze"):
        _, state = mn.EventProp().step(
            mn.EventProp().init(made), made, task, mn.Trial(), 0, lambda: False
        )
    assert state == (1, 1)
    limited = abs(slope_of(made, "cells.c"))
    made.zero_grad()
    exact: Any = mn.EventProp(least_speed=1e-9).run(made, 60 * ms)
    exact.first_times("cells").sum().backward()
    assert limited < abs(slope_of(made, "cells.c")) / 2


def test_learning_moves_a_spike_to_its_target():
    made = mn.mirror(recurrent()[0], train=["feed.w"], dtype=torch.float64)

    def late(recording: Any, trial: mn.Trial) -> Tensor:
        first = recording.first_times("cells")
        return (torch.where(torch.isfinite(first), first - 0.02, 0.0) / 1e-3).square().mean()

    task = mn.Task(DURATION, late, lambda step: mn.Trial(given("")))
    fit = mn.fit(made, task, mn.EventProp(), steps=40, report=None)
    assert fit.losses[-1] < fit.losses[0] / 2


# ---- what it does not do


def poisson() -> list[Any]:
    made, source = lif(), PoissonGroup(3, 50 * Hz, dt=DT, name="source")
    return [made, source, joined(source, made, "feed", 1, 2)]


def with_more(*more: Any, equations: str = LIF, threshold: str = "v > 1", reset: str = "v = 0",
              **options: Any) -> list[Any]:  # fmt: skip
    made = NeuronGroup(4, equations, threshold=threshold, reset=reset, method="euler", dt=DT,
                       name="cells", namespace={}, **options)  # fmt: skip
    if "tau" in made.variables:
        made.tau = 20 * ms
    return [made, *(one(made) for one in more)]


def plastic(made: NeuronGroup) -> Synapses:
    found = Synapses(made, made, "w : 1", on_pre="I_post += w; w += 0.1", dt=DT, name="loop")
    found.connect()
    return found


def summed(made: NeuronGroup) -> Synapses:
    found = Synapses(made, made, "w : 1\nS_post = w*v_pre : 1 (summed)", dt=DT, name="loop")
    found.connect()
    return found


def regular(made: NeuronGroup) -> Any:
    return made.run_regularly("v *= 0.5", dt=DT)


PLAIN = "dv/dt = (1.5 - v)/(20*ms) : 1"
REFUSED: dict[str, tuple[Callable[[], list[Any]], str]] = {
    "random threshold": (poisson, r"source: the threshold .* draws random numbers"),
    "escape rate": (
        lambda: with_more(equations=PLAIN, threshold="rand() < v*0.1"),
        "cells: the threshold .* draws random numbers",
    ),
    "two comparisons": (
        lambda: with_more(equations=PLAIN, threshold="v > 1 and v < 5"),
        "cells: the threshold .* joins 2 comparisons",
    ),
    "nothing crosses": (
        lambda: with_more(equations=PLAIN + "\nx : 1", threshold="x > 1"),
        "cells: the threshold .* compares nothing that flows",
    ),
    "noise": (
        lambda: with_more(equations="dv/dt = -v/(20*ms) + xi*(20*ms)**-0.5 : 1"),
        "cells_stateupdater: noise",
    ),
    "refractoriness": (
        lambda: with_more(equations=PLAIN + " (unless refractory)", refractory=2 * ms),
        "cells: a refractory period",
    ),
    "plastic synapses": (lambda: with_more(plastic), "loop: spikes change loop.w: plastic"),
    "summed variables": (
        lambda: with_more(summed, equations=PLAIN + "\nS : 1"), "cells.S sums over synapses"
    ),
    "run_regularly": (lambda: with_more(regular), "run_regularly"),
    "a switch": (
        lambda: with_more(equations="dv/dt = (1.5 - v*int(v > 0.5))/(20*ms) : 1"),
        "switches at a time that follows from the state",
    ),
    "a drawn reset": (
        lambda: with_more(equations=PLAIN, reset="v = -rand()"), "random numbers in what"
    ),
    "Poisson input": (
        lambda: with_more(
            lambda made: PoissonInput(made, "v", 10, 50 * Hz, 0.01), equations=PLAIN
        ),
        "poissoninput",
    ),
    "a threshold that reads the time": (
        lambda: with_more(equations=PLAIN, threshold="v > 1 + t/second"), "reads the time"
    ),
    "whole numbers": (
        lambda: with_more(equations=PLAIN + "\nn : integer", reset="v = 0; n += 1"),
        "cells.n changes, and is no real number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_exact_gradient_is_refused_by_name(what: str):
    build, message = REFUSED[what]
    made = mn.mirror(Network(*build()), dtype=torch.float64)
    with pytest.raises(GradientError, match=message) as caught:
        mn.EventProp().run(made, 10 * ms)
    assert "EventProp follows a flow that events interrupt" in str(caught.value)


def test_all_that_is_refused_is_listed():
    made = mn.mirror(Network(*with_more(plastic, regular)), dtype=torch.float64)
    with pytest.raises(GradientError, match="2 of the network's parts are neither"):
        mn.EventProp().run(made, 10 * ms)


def test_spikes_that_are_given_make_a_random_group_a_source():
    made = mn.mirror(Network(*poisson()), train=["feed.w"], dtype=torch.float64)
    recording: Any = mn.EventProp().run(
        made, 10 * ms, {"source": mn.SpikeTimes(np.full((3, 1), 2.0) * ms)}
    )
    assert recording.times("source").tolist() == [[[0.002]] * 3]


def stepped(loss_of: Any, record: list[str] | None = None) -> Any:
    made = model("recurrent")
    task = mn.Task(DURATION, loss_of, record=record or [])
    rule = mn.EventProp()
    return rule.step(rule.init(made), made, task, mn.Trial(given("")), 0, lambda: False)


def test_a_loss_of_zeros_and_ones_is_refused():
    with pytest.raises(GradientError, match="zeros and ones whose number"):
        stepped(lambda recording, trial: recording.spikes["cells"].sum())


def test_a_loss_without_an_exact_gradient_is_refused():
    with pytest.raises(GradientError, match="the loss reads nothing that has an exact gradient"):
        stepped(lambda recording, trial: recording.counts("cells").double().sum())


def test_only_variables_that_change_are_recorded():
    with pytest.raises(UnknownName, match="variables that change can be recorded"):
        stepped(loss, ["cells.tau"])


def test_a_reset_above_threshold_is_no_endless_loop():
    network = Network(*with_more(equations="dv/dt = 1/ms : 1", reset="v += 1"))
    made = mn.mirror(network, train=["cells.v"], dtype=torch.float64)
    with pytest.raises(NumericalError, match="takes part in more than 10000 events"):
        mn.EventProp().run(made, 2 * ms)


@pytest.mark.parametrize("speed", [0, -1.0, float("nan"), "fast", True])
def test_a_least_speed_is_a_positive_number(speed: Any):
    with pytest.raises(DomainError, match=r"least_speed.* has to be a positive number"):
        mn.EventProp(least_speed=speed)


def test_spike_times_say_what_they_are_not():
    with pytest.raises(ShapeError, match="each neuron of each trial has a row"):
        mn.SpikeTimes([1.0, 2.0] * ms)
    with pytest.raises(DomainError, match="negative or NaN"):
        mn.SpikeTimes([[-1.0]] * ms)
    with pytest.raises(ShapeError, match="has times of 2 neurons, and 'stimulus' has 6"):
        mn.EventProp().run(
            model("recurrent"), DURATION, {"stimulus": mn.SpikeTimes([[1.0], [2.0]] * ms)}
        )
    with pytest.raises(UnknownName, match="SpikeTimes"):
        mn.EventProp().run(model("recurrent"), DURATION, {"feed": mn.SpikeTimes([[1.0]] * ms)})


def halves(name: str) -> tuple[Any, Any]:
    """A run, and the first part of the same."""
    made = model(name)
    strong = {"stimulus": mn.SpikeTimes(torch.full((1, 6, 1), 0.0095, dtype=torch.float64))}
    with torch.no_grad():
        return mn.EventProp().run(made, 20 * ms, strong), mn.EventProp().run(made, 12 * ms, strong)


def test_a_run_goes_on_from_a_state():
    whole, half = halves("recurrent")
    rest: Any = mn.EventProp().run(model("recurrent"), 8 * ms, state=half.state)
    assert half.counts("cells").sum() > 0 and rest.first == 24
    assert torch.allclose(rest.state["cells.v"], whole.state["cells.v"], atol=1e-14)


def test_a_run_does_not_go_on_with_spikes_under_way():
    _, half = halves("several delays")
    assert half.counts("cells").sum() > 0
    with pytest.raises(DomainError, match="spikes on their way along 'loop_pre'"):
        mn.EventProp().run(model("several delays"), 8 * ms, state=half.state)
