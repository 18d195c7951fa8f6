"""Laws of online rules: traces carried forward give what backpropagation gives within neurons.

The oracle is BPTT in which spikes count as constants where they reach other spiking neurons: what
an online rule leaves out. It keeps all steps; the rule keeps one.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    Synapses,
    defaultclock,
    ms,
    mV,
    nS,
    pF,
    second,
    start_scope,
)

import mirrorneuron as mn
from mirrorneuron.bridge.backends.eager.runtime import Context
from mirrorneuron.errors import DomainError, GradientError, UnknownName
from mirrorneuron.muscle import plants

TOLERANCE = 1e-10
RATES = {"tau_g": 5 * ms, "th": 1}


class Cell(NamedTuple):
    """A model of a neuron, driven through `g`.

    Arguments:
        equations, threshold, reset: As in Brian2.
        weight: By how much a spike raises `g`.
        start: Of v.
        more: Other arguments of the group.
    """

    equations: str
    threshold: str
    reset: str
    weight: float
    start: Any = 0
    more: Any = MappingProxyType({})


SYNAPSE = "\ndg/dt = -g/tau_g : 1\ntau : second (constant)"
IZHIKEVICH = """dv/dt = 0.04/ms/mV*v**2 + 5/ms*v + 140*mV/ms - u + g*mV/tau : volt
du/dt = 0.02/ms*(0.2/ms*v - u) : volt/second"""
ADEX = """dv/dt = (gL*(EL - v) + gL*DT*exp((v - VT)/DT) + g*nS*(0*mV - v) - a)/C : volt (unless refractory)
da/dt = (2*nS*(v - EL) - a)/(12*tau) : amp"""  # noqa: E501
ADEX_CONSTANTS = {"gL": 10 * nS, "EL": -65 * mV, "DT": 2 * mV, "VT": -50 * mV, "C": 200 * pF}
CELLS: dict[str, Cell] = {
    "LIF": Cell("dv/dt = (g - v)/tau : 1", "v > th", "v = 0", 0.6),
    "LIF, refractory": Cell(
        "dv/dt = (g - v)/tau : 1 (unless refractory)", "v > th", "v = 0", 0.6,
        more={"refractory": 2 * ms},
    ),
    "ALIF": Cell(
        "dv/dt = (g - v)/tau : 1\nda/dt = -a/(5*tau) : 1", "v > th + a", "v -= 1; a += 0.1", 0.8
    ),
    "conductance": Cell("dv/dt = (g*(3 - v) - v)/tau : 1", "v > th", "v = 0", 0.3),
    "theta": Cell(
        "dv/dt = ((1 - cos(v)) + (1 + cos(v))*(g - 0.1))/tau : 1", "v > pi", "v -= 2*pi", 0.3
    ),
    "Izhikevich": Cell(IZHIKEVICH, "v > 30*mV", "v = -65*mV; u += 8*mV/ms", 40.0, -65 * mV),
    "AdEx": Cell(
        ADEX, "v > -40*mV", "v = -58*mV; a += 20*pA", 2.0, -65 * mV,
        {"refractory": 2 * ms, "namespace": ADEX_CONSTANTS | RATES},
    ),
    "escape rate": Cell(
        "dv/dt = (g - v)/tau : 1", "rand() < 0.2*clip(v, 0, 1)**2", "v = 0", 1.5
    ),
    "noise": Cell("dv/dt = (g - v)/tau + 0.3*xi*tau**-0.5 : 1", "v > th", "v = 0", 0.6),
}  # fmt: skip


class Case(NamedTuple):
    """A network, and what is trained in it.

    Arguments:
        network: It.
        train: Names.
        recurrent: Synapses whose spikes count as constants.
        record: What the loss reads.
    """

    network: Network
    train: list[str]
    recurrent: tuple[str, ...] = ()
    record: tuple[str, ...] = ("R.y",)


def parts(
    cell: Cell = CELLS["LIF"], more: str = "", n: int = 5, readout: str = "dy/dt = -y/tau_r : 1"
) -> dict[str, Any]:
    """Poisson spikes drive cells, whose spikes reach a readout after delays of many lengths."""
    start_scope()
    defaultclock.dt = 0.5 * ms
    source = PoissonGroup(8, 60 * Hz, name="inp")
    options: dict[str, Any] = {"namespace": RATES, **cell.more}
    E: Any = NeuronGroup(
        n, cell.equations + more + SYNAPSE, threshold=cell.threshold, reset=cell.reset,
        method="euler", name="E", **options,
    )  # fmt: skip
    E.tau, E.v = 10 * ms, cell.start
    method = "exact" if readout.count("=") == 1 and "x" not in readout else "euler"
    R = NeuronGroup(2, readout, method=method, name="R", namespace={"tau_r": 20 * ms})
    s: Any = Synapses(source, E, "w : 1", on_pre="g_post += w", delay=1 * ms, name="s")
    s.connect()
    s.w = np.linspace(0.3, 1, 8 * n) * cell.weight
    out: Any = Synapses(E, R, "w : 1", on_pre="y_post += w", name="out")
    out.connect()
    out.w, out.delay = np.linspace(-0.5, 1, 2 * n), np.arange(2 * n) % 4 * 0.5 * ms
    return {"inp": source, "E": E, "R": R, "s": s, "out": out}


def joined(of: dict[str, Any], *more: Any) -> Network:
    return Network(*of.values(), *more)


def wired(pre: Any, post: Any, weight: float, **options: Any) -> Any:
    made: Any = Synapses(pre, post, name="ee", **options)
    made.connect("i != j" if pre is post else True)
    made.w = weight
    return made


def recurrent(name: str) -> Case:
    of = parts(CELLS[name])
    loop = wired(of["E"], of["E"], 0.3 * CELLS[name].weight, model="w : 1", on_pre="g_post += w",
                 delay=1 * ms)  # fmt: skip
    return Case(joined(of, loop), ["s.w", "ee.w", "out.w", "E.tau", "R.tau_r"], ("ee",))


def depressing() -> Case:
    of = parts()
    model = "w : 1\ndu/dt = (U - u)/(100*ms) : 1 (event-driven)\ndr/dt = (1 - r)/tau_d : 1 (event-driven)"  # noqa: E501
    loop = wired(of["E"], of["E"], 1.0, model=model, on_pre="u += U*(1 - u); g_post += w*u*r; r -= u*r",  # noqa: E501
                 delay=2 * ms, namespace={"tau_d": 100 * ms, "U": 0.3})  # fmt: skip
    loop.u, loop.r = 0.3, 1
    keys = ["s.w", "ee.w", "ee.U", "ee.tau_d", "E.tau", "E.th", "E.tau_g", "R.tau_r", "out.w"]
    return Case(joined(of, loop), keys, ("ee",))


def summed() -> Case:
    of = parts(CELLS["LIF"]._replace(equations="dv/dt = (g + n*(1 - v) - v)/tau : 1\nn : 1"))
    model = "w : 1\nn_post = w*x/(1 + exp(-v_post)) : 1 (summed)\ndx/dt = -x/td : 1 (clock-driven)"
    nmda = wired(of["inp"], of["E"], 0.6, model=model, on_pre="x += a*(1 - x)", method="exact",
                 delay=2 * ms, namespace={"td": 30 * ms, "a": 0.5})  # fmt: skip
    return Case(joined(of, nmda), ["s.w", "ee.w", "ee.td", "ee.a", "E.tau", "out.w"])


def moving_the_potential() -> Case:
    of = parts()
    direct = wired(of["inp"], of["E"], 0.1, model="w : 1", on_pre="v_post += w*(2 - v_post)")
    return Case(joined(of, direct), ["s.w", "ee.w", "E.tau", "out.w"])


def by_the_potential() -> Case:
    of = parts()
    direct = wired(of["inp"], of["E"], 0.1, model="w : 1", on_pre="g_post += w*(2 - v_post)")
    return Case(joined(of, direct), ["s.w", "ee.w", "E.tau", "out.w"])


def subgroups() -> Case:
    of = parts()
    some = wired(of["inp"][2:6], of["E"][1:4], 0.2, model="w : 1", on_pre="g_post += w")
    drive = PoissonInput(of["E"][2:], "g", 20, 10 * Hz, weight=0.05)
    key = f"{drive.name}.weight"
    return Case(joined(of, some, drive), ["s.w", "ee.w", key, "E.tau", "out.w"])


def readouts_in_a_row() -> Case:
    of = parts()
    last = NeuronGroup(3, "dz/dt = (tanh(y) - z)/(30*ms) : 1\ny : 1", method="euler", name="Q")
    link = wired(of["R"], last, 0.7, model="w : 1\ny_post = w*y_pre : 1 (summed)")
    return Case(joined(of, last, link), ["s.w", "E.tau", "out.w", "ee.w"], (), ("R.y", "Q.z"))


def another_layer() -> Case:
    of = parts()
    cells = "dv/dt = (g - v)/(10*ms) : 1\ndg/dt = -g/(5*ms) : 1"
    layer = NeuronGroup(4, cells, threshold="v > 1", reset="v = 0", method="exact", name="F")
    up = wired(of["E"], layer, 1.0, model="w : 1", on_pre="g_post += w")
    out: Any = Synapses(layer, of["R"], "w : 1", on_pre="y_post += w", name="last")
    out.connect()
    out.w = 0.4
    return Case(joined(of, layer, up, out), ["s.w", "ee.w", "last.w", "E.tau", "out.w"], ("ee",))


def slower_clock() -> Case:
    of = parts()
    slow = NeuronGroup(1, "dz/dt = -z/(30*ms) : 1", method="euler", name="Q", dt=1 * ms)
    link = wired(of["E"], slow, 0.5, model="w : 1", on_pre="z_post += w")
    return Case(joined(of, slow, link), ["s.w", "E.tau", "out.w", "ee.w"], (), ("R.y", "Q.z"))


def plastic() -> Case:
    of = parts()
    model = "w : 1\nda/dt = -a/(20*ms) : 1 (event-driven)\ndb/dt = -b/(20*ms) : 1 (event-driven)"
    pairs = wired(of["inp"], of["E"], 0.4, model=model,
                  on_pre="g_post += w; a += 0.05; w = clip(w + b, 0, 3)",
                  on_post="b -= 0.04; w = clip(w + a, 0, 3)")  # fmt: skip
    return Case(joined(of, pairs), ["s.w", "ee.w", "E.tau", "out.w"], ("ee",))


def arm() -> Case:
    of = parts()
    clock: Any = 0.5 * ms
    body = plants["elbow_pair"].build(dt=clock, angle=0.3)
    link = wired(of["E"], body.muscles, 0.05, model="w : 1", on_pre="u_post += w")
    keys, record = ["s.w", "ee.w", "E.tau"], ("joints.angle", "joints.velocity")
    return Case(joined(of, link, *body.objects), keys, (), record)


def two_variables() -> Case:
    of = parts(readout="dy/dt = -y/tau_r : 1\ndz/dt = (y - z)/tau_r : 1")
    more = wired(of["E"], of["R"], 0.4, model="w : 1", on_pre="y_post += w; z_post += 0.3*w",
                 delay=1 * ms)  # fmt: skip
    return Case(joined(of, more), ["s.w", "E.tau", "out.w", "ee.w"], (), ("R.y", "R.z"))


def senders() -> Case:
    """Synapses to a readout read what the neurons are that send."""
    cell = CELLS["LIF"]._replace(reset="v = 0; x += 1")
    of = parts(cell, more="\ndx/dt = -x/(30*ms) : 1\ngain : 1 (constant)")
    of["E"].gain = 1.2
    reads = wired(of["E"], of["R"], 0.4, model="w : 1", on_pre="y_post += w*x_pre*gain_pre",
                  delay=1 * ms)  # fmt: skip
    return Case(joined(of, reads), ["s.w", "E.tau", "E.gain", "ee.w"])


def plastic_readout(kind: str = "clock-driven") -> Case:
    of = parts()
    model = f"w : 1\nU : 1\ndr/dt = (1 - r)/(80*ms) : 1 ({kind})"
    method = {"method": "exact"} if kind == "clock-driven" else {}
    falls = wired(of["E"], of["R"], 0.4, model=model, on_pre="y_post += w*r; r -= U*r",
                  delay=1 * ms, **method)  # fmt: skip
    falls.r, falls.U = 1, 0.3
    return Case(joined(of, falls), ["s.w", "E.tau", "ee.w", "ee.U"])


def summed_readout() -> Case:
    of = parts(readout="dy/dt = (x - y)/tau_r : 1\nx : 1")
    model = "w : 1\nx_post = w*q : 1 (summed)\ndq/dt = -q/(10*ms) : 1 (clock-driven)"
    sums = wired(of["E"], of["R"], 0.4, model=model, on_pre="q += 1", method="exact")
    return Case(joined(of, sums), ["s.w", "E.tau", "ee.w"])


def rate_network() -> Case:
    of = parts()
    rates = NeuronGroup(
        3, "dz/dt = (k - z + u)/tz : 1\nk : 1\nu : 1\ntz : second", method="euler", name="Q"
    )
    rates.tz, rates.u = 10 * ms, 0.3
    loop = wired(rates, rates, 0.8, model="w : 1\nk_post = w*tanh(z_pre) : 1 (summed)")
    link = Synapses(of["R"], rates, "u_post = 0.4*y_pre : 1 (summed)", name="link")
    link.connect()
    return Case(joined(of, rates, loop, link), ["s.w", "ee.w", "Q.tz"], (), ("Q.z",))


def regular() -> Case:
    """Code that runs now and then, and reads what it sets afterwards."""
    of = parts(readout="dy/dt = -y/tau_r : 1\nk : 1 (constant)\nz : 1")
    of["R"].k = 0.3
    of["R"].run_regularly("z = k*y; y = 0.8*y", dt=2 * ms)
    of["E"].run_regularly("v += 0.1*g; g *= 0.9", dt=5 * ms)
    return Case(joined(of), ["s.w", "E.tau", "out.w", "R.k"], (), ("R.y", "R.z"))


def steep_escape() -> Case:
    steep = CELLS["LIF"]._replace(threshold="rand() < 0.1*exp((v - 1)/0.2)", weight=0.9)
    of = parts(steep)
    return Case(joined(of), ["s.w", "E.tau", "out.w"])


def unreliable_synapses() -> Case:
    of = parts()
    some = wired(of["inp"], of["E"], 0.3, model="w : 1", on_pre="g_post += w*int(rand() < 0.6)")
    return Case(joined(of, some), ["s.w", "ee.w", "E.tau", "out.w"])


CASES: dict[str, Callable[[], Case]] = {
    **{name: lambda name=name: recurrent(name) for name in CELLS},
    "depressing synapses": depressing,
    "summed synapses": summed,
    "synapses that move the potential": moving_the_potential,
    "synapses driven by the potential": by_the_potential,
    "subgroups": subgroups,
    "readouts in a row": readouts_in_a_row,
    "another layer": another_layer,
    "a slower clock": slower_clock,
    "plasticity": plastic,
    "an arm": arm,
    "a readout of two variables": two_variables,
    "a readout that reads the senders": senders,
    "a plastic readout": plastic_readout,
    "a readout that sums": summed_readout,
    "a rate network": rate_network,
    "run_regularly": regular,
    "a steep escape rate": steep_escape,
    "synapses that fail": unreliable_synapses,
}


def loss_of(case: Case) -> Any:
    """A sum over time that reads traces and spikes."""

    def loss(recording: mn.Recording, trial: mn.Trial) -> torch.Tensor:
        error = sum((recording[key] - 0.3).square().sum() for key in case.record)
        return error + 0.3 * recording.spikes["E"].sum()

    return loss


def mirrored(case: Case, reset: Any = "auto", **options: Any) -> mn.Mirror:
    options = {"dtype": torch.float64} | options
    return mn.mirror(case.network, train=case.train, reset_gradient=reset, **options)


def task_of(case: Case, duration: Any = 100 * ms) -> mn.Task:
    return mn.Task(duration, loss_of(case), record=case.record, additive=True)


def gradients(
    model: mn.Mirror, rule: mn.Rule[Any], task: mn.Task, **inputs: torch.Tensor
) -> dict[str, torch.Tensor]:
    for p in model.parameters():
        p.grad = None
    given = {key.replace("_", "."): value for key, value in inputs.items()}
    trial = mn.Trial(batch_size=3, inputs=given)
    outcome, _ = rule.step(rule.init(model), model, task, trial, 3, lambda: True)
    assert outcome.rates["E"] > 3, "a silent network tells nothing"
    return {key: model.parameter(key).grad.clone() for key in model.limits}  # type: ignore[union-attr]


@contextmanager
def constant_spikes(owners: tuple[str, ...]) -> Generator[None]:
    """Spikes that reach some synapses carry no gradient."""
    whole = Context.arrive

    def arrive(self: Context, pathway: str, state: Any) -> Any:
        path = self.fanouts[pathway].pathway
        if path.owner not in owners:
            return whole(self, pathway, state)
        kept = state[path.event]
        state[path.event] = kept._replace(spikes=kept.spikes.detach())
        found = whole(self, pathway, state)
        state[path.event] = kept
        return found

    Context.arrive = arrive
    try:
        yield
    finally:
        Context.arrive = whole


def apart(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert all(float(x.abs().max()) > 0 for x in a.values()), "a gradient of zero tells nothing"
    return max(float((a[k] - b[k]).abs().max() / a[k].abs().max()) for k in a)


@pytest.mark.parametrize("reset", ["auto", "detach"])
@pytest.mark.parametrize("name", CASES)
def test_traces_give_the_gradient_within_neurons(name: str, reset: str) -> None:
    if reset == "detach" and name not in CELLS:
        return
    case = CASES[name]()
    model, task = mirrored(case, reset), task_of(case)
    with constant_spikes(case.recurrent):
        expected = gradients(model, mn.BPTT(), task)
    assert apart(expected, gradients(model, mn.RTRL(), task)) < TOLERANCE


@pytest.mark.parametrize("name", ["LIF, refractory", "depressing synapses", "an arm"])
def test_a_window_changes_nothing(name: str) -> None:
    case = CASES[name]()
    model, task = mirrored(case), task_of(case)
    whole = gradients(model, mn.RTRL(), task)
    for window in (0.5 * ms, 7 * ms, 50 * ms):
        cut = gradients(model, mn.RTRL(window, update="trial"), task)
        assert all(torch.equal(whole[key], cut[key]) for key in whole)


@pytest.mark.parametrize(
    "name",
    [
        "LIF",
        "LIF, refractory",
        "AdEx",
        "Izhikevich",
        "escape rate",
        "noise",
        "depressing synapses",
        "an arm",
    ],
)
def test_the_compiled_engine_carries_the_same_traces(name: str) -> None:
    case = CASES[name]()
    task = task_of(case)
    expected = gradients(mirrored(case), mn.RTRL(), task)
    model = mirrored(case, backend="native")
    found = mn.RTRL().traced(model, [*case.record, "E.spike"])
    assert type(found.engine(model)).__module__.split(".")[-2] == "native"
    assert apart(expected, gradients(model, mn.RTRL(), task)) < 1e-9


@pytest.mark.parametrize("name", [*CELLS, "plasticity"])
def test_symmetric_feedback_is_exact_for_readouts_that_are_alike(name: str) -> None:
    case = CASES[name]()
    for synapses in case.network.objects:
        if synapses.name == "out":
            synapses.delay = 1 * ms
    model, task = mirrored(case), task_of(case)
    expected = gradients(model, mn.RTRL(), task)
    assert apart(expected, gradients(model, mn.EProp(), task)) < TOLERANCE


def test_random_feedback_keeps_the_readouts_own_gradient() -> None:
    case = recurrent("LIF")
    for synapses in case.network.objects:
        if synapses.name == "out":
            synapses.delay = 1 * ms
    model, task = mirrored(case), task_of(case)
    rules = mn.EProp(), mn.EProp(feedback="random"), mn.EProp(feedback="random", seed=1)
    a, b, c = (gradients(model, rule, task) for rule in rules)
    assert torch.equal(a["out.w"], b["out.w"])
    assert not torch.equal(a["s.w"], b["s.w"])
    assert not torch.equal(b["s.w"], c["s.w"])


def test_the_traces_can_be_read() -> None:
    case = recurrent("LIF")
    program = mn.RTRL().program(mirrored(case), ["R.y", "E.spike"])
    shown = str(program)
    assert "Traces 'E_by_ee_w'" in shown and "E_by_ee_w_of_spike" in shown
    assert len(program.slots) > len(mirrored(case).program.slots)


def test_the_report_says_what_a_rule_left_out() -> None:
    case = recurrent("LIF")
    model = mirrored(case)
    assert "leaves out" not in str(model.report)
    gradients(model, mn.RTRL(), task_of(case))
    shown = str(model.report)
    assert "mn.RTRL leaves out of the gradient:\n  ee_pre: what a spike of E does to E" in shown
    assert "ee_pre: what a spike of E does to E" in model.report._repr_html_()  # pyright: ignore[reportPrivateUsage]
    alone = mirrored(case._replace(network=joined(parts()), train=["s.w"]))
    mn.RTRL().program(alone, ["E.spike"])
    assert "mn.RTRL leaves out of the gradient:\n  nothing" in str(alone.report)


def test_memory_is_that_of_a_window() -> None:
    case = recurrent("LIF")
    found = mn.RTRL().traced(mirrored(case), ["R.y"])
    size = sum(v.value.size for v in found.found.program.variables.values())
    for steps in (10, 1000):
        state = found.start(mirrored(case), 2, {}, 0)
        assert sum(x.numel() for x in state.values() if isinstance(x, torch.Tensor)) < 2 * size, (
            steps
        )


@pytest.mark.parametrize("rule", [mn.RTRL(10 * ms), mn.EProp(10 * ms)])
def test_a_loss_that_is_no_sum_needs_the_whole_trial(rule: mn.Rule[Any]) -> None:
    case = recurrent("LIF")
    task = mn.Task(50 * ms, loss_of(case), record=case.record)
    with pytest.raises(DomainError, match="needs a loss that is a sum over"):
        gradients(mirrored(case), rule, task)


def test_what_no_trace_reaches_is_refused() -> None:
    case = recurrent("LIF")
    model = mirrored(case._replace(train=["s.w", "out.w"]))
    task = mn.Task(50 * ms, lambda r, t: r.spikes["E"].sum(), additive=True)
    with pytest.raises(GradientError, match=r"no trace of 'out\.w' reaches what the loss reads"):
        gradients(model, mn.RTRL(), task)


def test_a_loss_of_the_last_state_is_refused() -> None:
    case = recurrent("LIF")
    task = mn.Task(50 * ms, lambda r, t: r.state["R.y"].sum())
    with pytest.raises(GradientError, match=r"reads recording.state\['R.y'\]"):
        gradients(mirrored(case), mn.RTRL(), task)


def test_a_loss_that_reads_more_later_is_refused() -> None:
    case = recurrent("LIF")

    def loss(recording: mn.Recording, trial: mn.Trial) -> torch.Tensor:
        late = recording.first >= 50
        return recording.spikes["E"].sum() if late else recording["R.y"].sum()

    task = mn.Task(50 * ms, loss, record=["R.y"], additive=True)
    with pytest.raises(GradientError, match=r"step 50 reads E\.spike, which that of the first"):
        gradients(mirrored(case), mn.RTRL(25 * ms), task)


def test_synapses_that_set_or_multiply_are_refused() -> None:
    of = parts()
    direct = wired(of["inp"], of["E"], 0.9, model="w : 1", on_pre="g_post *= w")
    case = Case(joined(of, direct), ["s.w"])
    with pytest.raises(GradientError, match=r"ee_pre multiplies 'E\.g' by synapses"):
        gradients(mirrored(case), mn.RTRL(), task_of(case))


def test_synapses_that_change_what_they_read_in_turn_are_refused() -> None:
    of = parts()
    code = "g_post += w*v_post; v_post += w*g_post"
    direct = wired(of["inp"], of["E"], 0.1, model="w : 1", on_pre=code)
    case = Case(joined(of, direct), ["s.w"])
    with pytest.raises(GradientError, match="synapse after the other, and no trace follows that"):
        gradients(mirrored(case), mn.RTRL(), task_of(case))


def test_a_readout_that_is_no_filter_is_refused_by_e_prop() -> None:
    case = readouts_in_a_row()
    with pytest.raises(GradientError, match=r"EProp\(...\): .* Write rule=mn.RTRL"):
        gradients(mirrored(case), mn.EProp(), task_of(case))
    case = recurrent("LIF")
    with pytest.raises(GradientError, match="'out' to 'R' have delays of several lengths"):
        gradients(mirrored(case), mn.EProp(), task_of(case))


def test_options_are_checked() -> None:
    with pytest.raises(UnknownName, match=r"RTRL\(update='step'\)"):
        mn.RTRL(update="step")
    with pytest.raises(UnknownName, match=r"EProp\(feedback='uniform'\)"):
        mn.EProp(feedback="uniform")
    with pytest.raises(DomainError, match="seed of the random feedback is a whole number"):
        mn.EProp(seed=-1)
    case = recurrent("LIF")
    with pytest.raises(DomainError, match="a time constant is positive"):
        gradients(mirrored(case), mn.RTRL(forgetting=0 * ms), task_of(case))


def test_forgetting_a_little_changes_little() -> None:
    case = recurrent("LIF")
    model, task = mirrored(case), task_of(case)
    whole = gradients(model, mn.RTRL(), task)
    for constant, most in ((1000 * second, 1e-3), (1 * ms, 2.0)):
        some = gradients(model, mn.RTRL(forgetting=constant), task)
        assert 0 < apart(whole, some) < most


def test_event_driven_synapses_of_a_readout_are_those_of_a_clock() -> None:
    clock, event = (plastic_readout(kind) for kind in ("clock-driven", "event-driven"))
    expected = gradients(mirrored(clock), mn.RTRL(), task_of(clock))
    assert apart(expected, gradients(mirrored(event), mn.RTRL(), task_of(event))) < TOLERANCE


@pytest.mark.parametrize("code", ["y_post += w", "z_post += w", "y_post += w; z_post += 0.5*w"])
@pytest.mark.parametrize("delay", [1 * ms, 3 * ms])
def test_e_prop_filters_spikes_by_each_way_into_a_readout(code: str, delay: Any) -> None:
    of = parts(readout="dy/dt = -y/tau_r : 1\ndz/dt = (y - z)/tau_r : 1")
    of["out"].delay = 1 * ms
    more = wired(of["E"][1:], of["R"], 0.4, model="w : 1", on_pre=code, delay=delay)
    case = Case(joined(of, more), ["s.w", "E.tau", "out.w", "ee.w"], (), ("R.y", "R.z"))
    model, task = mirrored(case), task_of(case)
    expected = gradients(model, mn.RTRL(), task)
    assert apart(expected, gradients(model, mn.EProp(), task)) < TOLERANCE


def test_what_reaches_a_readout_without_spikes_is_refused_by_e_prop() -> None:
    of = parts(readout="dy/dt = (x - y)/tau_r : 1\nx : 1")
    of["out"].delay = 1 * ms
    sums = wired(of["E"], of["R"], 0.4, model="w : 1\nx_post = w*v_pre : 1 (summed)")
    case = Case(joined(of, sums), ["s.w"])
    with pytest.raises(GradientError, match=r"sets R\.x to a sum over synapses, and a"):
        gradients(mirrored(case), mn.EProp(), task_of(case))


def test_a_readout_of_potentials_is_refused_by_e_prop() -> None:
    of = parts()
    last = NeuronGroup(2, "dz/dt = (x - z)/(20*ms) : 1\nx : 1", method="euler", name="Q")
    sums = wired(of["E"], last, 0.4, model="w : 1\nx_post = w*v_pre : 1 (summed)")
    case = Case(joined(of, last, sums), ["s.w"], (), ("Q.z",))
    with pytest.raises(GradientError, match=r"changes 'Q\.x' by 'E\.v', on which 's\.w' acts"):
        gradients(mirrored(case), mn.EProp(), task_of(case))


def test_a_readout_of_synapses_is_refused_by_e_prop() -> None:
    of = parts()
    last = NeuronGroup(2, "dz/dt = (x - z)/(20*ms) : 1\nx : 1", method="euler", name="Q")
    model = "w : 1\nx_post = w*q : 1 (summed)\ndq/dt = -q/(10*ms) : 1 (clock-driven)"
    sums = wired(of["E"], last, 0.4, model=model, on_pre="q += 1", method="exact")
    case = Case(joined(of, last, sums), ["s.w"], (), ("Q.z",))
    with pytest.raises(GradientError, match=r"changes 'ee\.q' by 'E\.spike', on which 's\.w'"):
        gradients(mirrored(case), mn.EProp(), task_of(case))


def test_inputs_that_drive_variables_and_spikes_end_traces() -> None:
    of = parts(more="\ndh/dt = (g - h)/tau : 1")
    case = Case(joined(of), ["E.tau", "out.w", "R.tau_r"], (), ("R.y", "E.h"))
    model, task = mirrored(case), task_of(case)
    drive = 2 * torch.rand(200, 3, 5, generator=torch.Generator().manual_seed(0))
    for given in ({"E_g": drive}, {"E": (drive < 0.1).to(drive)}):
        expected = gradients(model, mn.BPTT(), task, **given)
        assert apart(expected, gradients(model, mn.RTRL(), task, **given)) < TOLERANCE


def test_random_numbers_that_would_be_drawn_twice_are_refused() -> None:
    of = parts(CELLS["LIF"]._replace(reset="v = 0.3*rand()"))
    case = Case(joined(of), ["s.w"])
    with pytest.raises(GradientError, match="E_spike_resetter draws random numbers"):
        gradients(mirrored(case), mn.RTRL(), task_of(case))
    of = parts()
    fails = wired(of["E"], of["R"], 0.4, model="w : 1", on_pre="y_post += w*int(rand() < 0.5)")
    case = Case(joined(of, fails), ["s.w"])
    with pytest.raises(GradientError, match="ee_pre draws random numbers"):
        gradients(mirrored(case), mn.RTRL(), task_of(case))


def test_synapses_that_change_neurons_in_turn_are_refused() -> None:
    of = parts()
    of["s"].run_regularly("v_post += 0.01*w", dt=4 * ms)
    case = Case(joined(of), ["s.w"])
    with pytest.raises(GradientError, match=r"changes 'E\.v' by several elements one after"):
        gradients(mirrored(case), mn.RTRL(), task_of(case))


def test_spikes_without_a_width_are_refused() -> None:
    of = parts(CELLS["LIF"]._replace(reset="v += 0"))
    case = Case(joined(of), ["s.w"])
    with pytest.raises(GradientError, match=r"no width of the surrogate follows"):
        gradients(mirrored(case), mn.RTRL(), task_of(case))


def test_traces_that_lead_nowhere_are_not_made() -> None:
    n = 100
    cells = "dv/dt = (g - v)/(10*ms) : 1\ndg/dt = -g/(5*ms) : 1"
    E = NeuronGroup(n, cells, threshold="v > 1", reset="v = 0", method="exact", name="E")
    model = "w : 1\ndr/dt = (1 - r)/(80*ms) : 1 (event-driven)"
    loop = wired(E, E, 0.1, model=model, on_pre="g_post += w*r; r -= 0.3*r")
    other = NeuronGroup(n, "dy/dt = -y/(10*ms) : 1", method="exact", name="R")
    up: Any = Synapses(
        PoissonGroup(n, 9 * Hz, name="inp"), E, "w : 1", on_pre="g_post += w", name="s"
    )
    up.connect()
    net = Network(E, loop, other, up, up.source)
    made = mn.RTRL().program(mn.mirror(net, train=["s.w", "ee.w"]), ["E.spike"])
    assert "ee_by_s_w" not in str(made)
    out: Any = Synapses(E, other, "w : 1", on_pre="y_post += w", name="out")
    out.connect()
    net.add(out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mirrorneuron.bridge.lower.traces.seat.FULL", 500_000)
        with pytest.raises(GradientError, match=r"'s\.w' has 10,000 elements and 'R' has 100"):
            mn.RTRL().program(mn.mirror(net, train=["s.w"]), ["R.y"])
