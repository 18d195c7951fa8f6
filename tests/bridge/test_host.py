"""Python between steps: decision, working memory and a plant, as their scripts are written."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    BrianObject,
    Hz,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    PopulationRateMonitor,
    Quantity,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    defaultclock,
    mean,
    ms,
    mV,
    network_operation,
    nS,
    prefs,
    seed,
)

import mirrorneuron as mn
from mirrorneuron.bridge.validate import compare
from mirrorneuron.check import check_script
from mirrorneuron.errors import (
    DomainError,
    GradientError,
    MirrorNeuronError,
    ShapeError,
    UnknownName,
    UnsupportedFeature,
)

Build = Callable[[], Network]


@pytest.fixture(autouse=True)
def numpy_target() -> Any:
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = before


def summed_on_tensors(s: torch.Tensor) -> torch.Tensor:
    """What `sum_nmda` does, for populations of 12, 12 and 36 cells."""
    one, two, rest = (part.sum(-1, keepdim=True) for part in s.split([12, 12, 36], dim=-1))
    totals = (1.7 * one + 0.9 * two + rest, 0.9 * one + 1.7 * two + rest, one + two + rest)
    return torch.cat([t.expand(-1, n) for t, n in zip(totals, (12, 12, 36), strict=True)], dim=-1)


def decision(registered: bool = False) -> Network:
    """Wang (2002): NMDA of all cells summed in Python each step, stimuli drawn anew each 5 ms."""
    n, part = 60, 12
    eqs = """
    dv/dt = (-25*nS*(v + 70*mV) - g_ampa*v - I_nmda - g_gaba*(v + 70*mV))/(500*pF)
            : volt (unless refractory)
    I_nmda = g_nmda*v*s_tot/(1 + exp(-62*v/volt)/3.57) : amp
    dg_ampa/dt = -g_ampa/(2*ms) : siemens
    dg_gaba/dt = -g_gaba/(5*ms) : siemens
    ds/dt = -s/(100*ms) + 0.5*x*(1 - s)/ms : 1
    dx/dt = -x/(2*ms) : 1
    s_tot : 1
    g_nmda : siemens
    """
    exc = NeuronGroup(
        n, eqs, threshold="v > -50*mV", reset="v = -55*mV; x += 1", refractory=2 * ms,
        method="euler", name="exc",
    )  # fmt: skip
    exc.v, exc.g_nmda = "-70*mV + 18*mV*rand()", 0.4 * nS
    inh = NeuronGroup(
        15, "dv/dt = (-20*nS*(v + 70*mV) - g*v)/(200*pF) : volt (unless refractory)\n"
        "dg/dt = -g/(2*ms) : siemens", threshold="v > -50*mV", reset="v = -55*mV",
        refractory=1 * ms, method="euler", name="inh",
    )  # fmt: skip
    inh.v = -60 * mV
    one, two = exc[:part], exc[part : 2 * part]
    drive_one = PoissonGroup(part, 40 * Hz, name="drive_one")
    drive_two = PoissonGroup(part, 40 * Hz, name="drive_two")
    into_one = Synapses(drive_one, one, on_pre="g_ampa_post += 20*nS", name="into_one")
    into_one.connect(j="i")
    into_two = Synapses(drive_two, two, on_pre="g_ampa_post += 20*nS", name="into_two")
    into_two.connect(j="i")
    e_i = Synapses(exc, inh, on_pre="g_post += 1*nS", delay=0.5 * ms, name="e_i")
    e_i.connect()
    i_e = Synapses(inh, exc, on_pre="g_gaba_post += 0.7*nS", delay=0.5 * ms, name="i_e")
    i_e.connect()
    outside = PoissonInput(exc, "g_ampa", 200, 20 * Hz, weight=3.1 * nS)

    @network_operation(when="start")
    def sum_nmda() -> None:
        s_one, s_two, s_rest = (
            np.sum(exc.s[:part]), np.sum(exc.s[part : 2 * part]), np.sum(exc.s[2 * part :])
        )  # fmt: skip
        exc.s_tot[:part] = 1.7 * s_one + 0.9 * s_two + s_rest
        exc.s_tot[part : 2 * part] = 0.9 * s_one + 1.7 * s_two + s_rest
        exc.s_tot[2 * part :] = s_one + s_two + s_rest

    @network_operation(dt=5 * ms)
    def update_stimulus(t: Any) -> None:
        on = t >= 10 * ms
        drive_one.rates = max(0.0, 60 + 10 * np.random.randn()) * Hz * on
        drive_two.rates = max(0.0, 40 + 10 * np.random.randn()) * Hz * on

    if registered:
        mn.register(sum_nmda, reads=["exc.s"], writes=["exc.s_tot"], torch=summed_on_tensors)
    return Network(
        exc, inh, drive_one, drive_two, into_one, into_two, e_i, i_e, outside, sum_nmda,
        update_stimulus,
    )  # fmt: skip


def memory() -> Network:
    """Working memory: a cue, and inhibition that Python sets by the rate a monitor has seen."""
    cells = NeuronGroup(
        40,
        """dv/dt = (I + 0.5*mV*g - v)/(20*ms) : volt
           dg/dt = -g/(60*ms) : 1
           I : volt""",
        threshold="v > 20*mV",
        reset="v = 10*mV",
        method="exact",
        name="cells",
    )
    cells.v = "12*mV + 0.2*mV*i"
    ring = Synapses(cells, cells, "w : 1", on_pre="g_post += w", name="ring")
    ring.connect("abs(i - j) < 5 and i != j")
    ring.w = "2*exp(-abs(i - j)/3.0)"
    spikes = SpikeMonitor(cells, name="spikes")
    rate = PopulationRateMonitor(cells, name="rate")
    trace = StateMonitor(cells, "v", record=[3], dt=1 * ms, name="trace")
    seen: list[int] = []

    @network_operation(dt=1 * ms, when="end")
    def control(t: Any) -> None:
        cue = 24 * mV if 10 * ms <= t < 30 * ms else 19.5 * mV
        recent = np.mean(rate.rate[-10:] / Hz) if len(rate.t) else 0.0
        cells.I = cue - 0.02 * mV * recent
        cells.I[:5] = 18 * mV
        seen.append(spikes.num_spikes)

    made = Network(cells, ring, spikes, rate, trace, control)
    made.add()
    return made


class Arm:
    """A joint with mass and damping, and a controller that reads a population's spikes."""

    def __init__(self, cells: Any, spikes: Any) -> None:
        self.cells, self.spikes = cells, spikes
        self.angle, self.speed, self.counted = 0.0, 0.0, 0

    def step(self) -> None:
        new = self.spikes.num_spikes - self.counted
        self.counted += new
        torque = 3.0 * new - 2.0 * self.angle - 0.3 * self.speed
        self.speed += 1e-3 * torque / 0.05
        self.angle += 1e-3 * self.speed
        self.cells.error = 1.0 - self.angle


def plant() -> Network:
    cells = NeuronGroup(
        20, "dv/dt = (1 + error*(0.2 + 0.01*i) - v)/(10*ms) : 1\nerror : 1", threshold="v > 1",
        reset="v = 0", method="euler", name="cells",
    )  # fmt: skip
    cells.error = 1
    cells.v = "i/20.0"
    spikes = SpikeMonitor(cells, name="spikes")
    arm = Arm(cells, spikes)
    loop = NetworkOperation(arm.step, dt=1 * ms, name="loop")
    return Network(cells, spikes, loop)


NETWORKS: dict[str, tuple[Build, Quantity, dict[str, int]]] = {
    "decision": (decision, 60 * ms, {"exc": 40, "inh": 1, "drive_one": 20}),
    "memory": (memory, 60 * ms, {"cells": 60}),
    "plant": (plant, 100 * ms, {"cells": 60}),
}


def trains(build: Build, duration: Quantity) -> dict[str, tuple[Any, Any]]:
    """What Brian2 alone gives, monitored by monitors of our own."""
    seed(3)
    net = build()
    groups = [o for o in net.sorted_objects if "_spikespace" in getattr(o, "variables", {})]
    groups = [o for o in groups if isinstance(o, NeuronGroup | PoissonGroup)]
    monitors = {group.name: SpikeMonitor(group) for group in groups}
    net.add(*monitors.values())
    seed(7)
    net.run(duration)
    return {
        n: (np.rint(np.array(m.t / defaultclock.dt)), np.array(m.i)) for n, m in monitors.items()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_a_run_with_python_between_steps_is_that_of_brian2_spike_for_spike(name: str) -> None:
    build, duration, least = NETWORKS[name]
    true = trains(build, duration)
    seed(3)
    net = build()
    before = net.get_states()
    found = mn.mirror(net, dtype=torch.float64).run(duration, seed=7)
    for group, (steps, index) in true.items():
        mine = np.argwhere(found.spikes[group][:, 0].numpy())
        assert np.array_equal(mine[:, 0], steps) and np.array_equal(mine[:, 1], index), group
        assert len(index) >= least.get(group, 0), (group, len(index))
    for owner, values in net.get_states().items():  # the objects are as they were
        for variable, value in values.items():
            if not variable.startswith("t"):  # of the clock that all networks share
                assert np.array_equal(np.asarray(value), np.asarray(before[owner][variable])), (
                    owner,
                    variable,
                )
    assert all(o.num_spikes == 0 for o in net.sorted_objects if isinstance(o, SpikeMonitor))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_comparison_runs_the_python_once_and_finds_no_difference(name: str) -> None:
    build, duration, _ = NETWORKS[name]
    true = trains(build, duration)
    seed(3)
    net = build()
    model = mn.mirror(net, dtype=torch.float64)
    evidence = compare(net, model, duration, {}, 7)
    for group, train in evidence.brian2.items():
        assert np.array_equal(train.step, true[group][0])  # as if nobody looked on
        assert np.array_equal(train.index, true[group][1])
        assert np.array_equal(evidence.mirror[group].step, train.step)
        assert np.array_equal(evidence.mirror[group].index, train.index)
    assert {k: w for k, w in (*evidence.locked.items(), *evidence.paths.items()) if w.error} == {}


def test_the_report_names_python_that_runs_between_steps() -> None:
    model = mn.mirror(plant())
    assert "step() between steps, on Brian2's own objects: one trial" in str(model.report)
    assert "Python, step()" in str(model.program)


class Clicker(BrianObject):
    """An object with Python of its own at each step."""

    def __init__(self, cells: Any) -> None:
        super().__init__(when="end", name="clicker")
        self.cells = cells

    def run(self) -> None:
        self.cells.v[0] += 0.25


def test_an_object_with_a_run_of_its_own_is_python_between_steps() -> None:
    cells = NeuronGroup(2, "v : 1", name="cells")
    model = mn.mirror(Network(cells, Clicker(cells)))
    assert model.run(0.4 * ms).state["cells.v"].tolist() == [[1, 0]]
    assert "run() of a Clicker between steps" in str(model.report)


# ---- gradients


def inhibited(registered: bool) -> Network:
    exc = NeuronGroup(
        4, "dv/dt = (I - h - v)/(10*ms) : 1\nI : 1\nh : 1", threshold="v > 1", reset="v = 0",
        method="euler", name="exc",
    )  # fmt: skip
    exc.I, exc.v = 2, "0.1*i"

    @network_operation
    def inhibit() -> None:
        exc.h = 0.5 * mean(exc.v)

    if registered:
        mn.register(
            inhibit, reads=["exc.v"], writes=["exc.h"], torch=lambda v: 0.5 * v.mean(-1, True)
        )
    return Network(exc, inhibit)


def test_a_gradient_that_would_pass_through_python_is_an_error_with_the_ways_out() -> None:
    model = mn.mirror(inhibited(False), train=["exc.I"], dtype=torch.float64)
    with pytest.raises(GradientError, match=r"inhibit\(\).*looks at exc.*sets exc\.h") as caught:
        model.run(5 * ms)
    for part in ("(summed)", "mn.register(inhibit, reads=", "torch.no_grad()"):
        assert part in str(caught.value)
    with torch.no_grad():
        assert model.run(5 * ms).state["exc.h"].abs().sum() > 0


def test_several_trials_of_python_are_refused_with_the_ways_out() -> None:
    model = mn.mirror(inhibited(False))
    with pytest.raises(UnsupportedFeature, match=r"for several trials(.|\n)*mn.register"):
        model.run(5 * ms, batch_size=2)


def test_python_that_looks_at_nothing_trained_lets_gradients_pass_beside_it() -> None:
    cells = NeuronGroup(
        2, "dv/dt = (a*I - v)/(10*ms) : 1\nI : 1\na : 1", method="euler", name="cells"
    )
    cells.a = 1

    @network_operation(dt=1 * ms)
    def stimulate(t: Any) -> None:
        cells.I = np.sin(0.3 * t / ms)

    model = mn.mirror(Network(cells, stimulate), train=["cells.a"], dtype=torch.float64)
    model.run(5 * ms).state["cells.v"].sum().backward()
    v = model.run(5 * ms).state["cells.v"].detach()[0]
    assert torch.allclose(model.parameter("cells.a").grad, v, rtol=1e-12)  # v is linear in a


def test_what_is_registered_gives_the_same_values_a_batch_and_the_gradient() -> None:
    plain = mn.mirror(inhibited(False), dtype=torch.float64).run(20 * ms)
    model = mn.mirror(
        inhibited(True), train=["exc.I"], dtype=torch.float64, reset_gradient="detach"
    )
    found = model.run(20 * ms, batch_size=3)
    assert found.spikes["exc"].sum() > 0
    for trial in range(3):
        assert torch.equal(found.spikes["exc"][:, trial], plain.spikes["exc"][:, 0])
    assert "as registered, from exc.v" in str(model.report)
    model.run(4 * ms).state["exc.v"].sum().backward()
    grad = model.parameter("exc.I").grad

    def after(shift: float) -> float:
        with torch.no_grad():
            model.parameter("exc.I").add_(shift)
            value = model.run(4 * ms).state["exc.v"].sum().item()
            model.parameter("exc.I").sub_(shift)
        return value

    assert float(grad.sum()) == pytest.approx((after(1e-6) - after(-1e-6)) / 2e-6, rel=1e-6)


@pytest.mark.slow
def test_the_decision_network_trains_with_its_sum_registered() -> None:
    seed(3)
    model = mn.mirror(decision(registered=True), train=["exc.g_nmda"])
    with torch.no_grad():
        present = float(model.run(60 * ms, seed=7).population_rate("exc").mean())
    assert present > 5
    wanted = 1.5 * present
    task = mn.Task(60 * ms, loss=lambda r, _: (r.population_rate("exc").mean() / wanted - 1) ** 2)
    done = mn.fit(model, task, steps=20, report=None, optimizer=lambda p: torch.optim.Adam(p, 0.1))
    assert min(done.losses) < 0.5 * done.losses[0], done.losses


@pytest.mark.slow
def test_a_network_with_registered_python_trains() -> None:
    model = mn.mirror(inhibited(True), train=["exc.I"])
    task = mn.Task(30 * ms, loss=lambda r, _: (r.population_rate("exc").mean() - 60) ** 2)
    done = mn.fit(model, task, steps=30, report=None, optimizer=lambda p: torch.optim.Adam(p, 0.03))
    assert min(done.losses) < 0.2 * done.losses[0]


BAD: dict[str, tuple[dict[str, Any], type[MirrorNeuronError], str]] = {
    "a string": ({"reads": "exc.v"}, DomainError, r"reads='exc.v'.*a list of names"),
    "unknown": ({"reads": ["exc.u"]}, UnknownName, r"reads=\['exc.u'\]"),
    "unknown target": ({"writes": ["exc.w"]}, UnknownName, r"writes=\['exc.w'\]"),
    "no function": ({"torch": None}, DomainError, "torch=None"),
    "another shape": ({"torch": lambda v: v[:, :2]}, ShapeError, r"\(1, 2\).*\(1, 4\)"),
    "too many": ({"torch": lambda v: (v, v)}, ShapeError, "gave 2 values"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_registration_is_named(case: str) -> None:
    given, error, message = BAD[case]
    net = inhibited(False)
    operation = next(o for o in net.sorted_objects if isinstance(o, NetworkOperation))
    right = {"reads": ["exc.v"], "writes": ["exc.h"], "torch": lambda v: v}
    with pytest.raises(error, match=message):
        mn.register(operation, **{**right, **given})
        mn.mirror(net).run(1 * ms)


def test_an_operation_is_registered_by_names() -> None:
    operation = next(o for o in plant().sorted_objects if isinstance(o, NetworkOperation))
    with pytest.raises(DomainError, match=r"reads=\['exc.v'\], writes="):
        mn.register(operation, lambda x: x)


# ---- what no mirror follows


def changing(what: str) -> Network:
    wave = TimedArray([1.0, 2.0], dt=1 * ms, name="wave")
    cells = NeuronGroup(
        3, "dv/dt = wave(t)/ms : 1", method="euler", name="cells", namespace={"wave": wave}
    )
    other = NeuronGroup(3, "x : 1", name="other")
    net = Network(cells, other)

    @network_operation(dt=1 * ms)
    def change() -> None:
        if what == "switches objects":
            other.active = not other.active
        elif what == "stops the run":
            net.stop()
        else:
            cells.namespace["wave"].values[0] += 1

    net.add(change)
    return net


@pytest.mark.parametrize("what", ["switches objects", "stops the run", "changes the TimedArray"])
def test_python_that_changes_more_than_variables_is_refused(what: str) -> None:
    with pytest.raises(UnsupportedFeature, match=f"its Python {what}"):
        mn.mirror(changing(what)).run(3 * ms)


def test_a_model_with_python_is_copied_and_says_why_no_file_holds_it() -> None:
    model = mn.mirror(plant())
    assert copy.deepcopy(model).run(1 * ms).spikes["cells"].shape == (10, 1, 20)
    with pytest.raises(MirrorNeuronError, match=r"runs Python of yours between its steps \(loop\)"):
        pickle.dumps(model)


SCRIPT = """
from brian2 import *
tau = 10*ms
cells = NeuronGroup(10, 'dv/dt = (I - v)/tau : 1\\nI : 1', threshold='v > 1', reset='v = 0',
                    method='exact')
cells.v = 'rand()'
counts = SpikeMonitor(cells)
history = []

@network_operation(dt=2*ms)
def adapt(t):
    history.append(counts.num_spikes)
    cells.I = 1.6 - 0.02*(history[-1] - history[max(0, len(history) - 5)]) + 0.1*randn()

run(80*ms)
"""


def test_check_follows_a_network_operation(tmp_path: Any) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    finding = check_script(script)
    assert finding.status == "faithful", finding.reason
    assert finding.identical and finding.spikes > 20
    assert "adapt() between steps" in str(finding)
