"""Names as in the script: one constant, one parameter; ties; PoissonInputs; unreached names."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonInput,
    SpikeGeneratorGroup,
    StateMonitor,
    Synapses,
    metre,
    ms,
    mV,
    nS,
    second,
    seed,
    siemens,
)  # fmt: skip

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, GradientError, ShapeError, UnitError, UnknownName

tau_m, w_x, gain = 8 * ms, 2.5 / 3 * mV, 1.5


def network(h_tau: Any = 8 * ms, size: int = 3) -> Network:
    """Two groups and synapses that use the script's constants, and PoissonInputs."""
    g = NeuronGroup(
        size, "dv/dt = (gain*mV - v)/tau_m : volt\ntau : second (constant)\nw : 1",
        threshold="v > 1*mV + w*mV*exp(-1*ms/tau)", reset="v = 0*mV", method="euler", name="g",
    )  # fmt: skip
    h = NeuronGroup(
        size, "dv/dt = -v/tau_m : volt\ndu/dt = -u/tau : volt\ntau : second (constant)",
        method="euler", name="h", namespace={"tau_m": h_tau},
    )  # fmt: skip
    g.tau = h.tau = 5 * ms
    s = Synapses(g, h, on_pre="v_post += gain*mV", name="s")
    s.connect()
    external = PoissonInput(g, "v", 30, 100 * Hz, weight=w_x)
    other = PoissonInput(h[:2], "u", 1, 300 * Hz, weight="gain*mV")
    external._name, other._name = "external", "other"  # Brian2 counts them, and takes no name
    return Network(g, h, s, external, other)


def model(train: Any, dtype: torch.dtype = torch.float64, **arguments: Any) -> mn.Mirror:
    return mn.mirror(
        network(**arguments), train=train, dtype=dtype, surrogate=mn.SuperSpike(1 * mV)
    )


# ---- a constant of the script


def test_a_bare_name_is_one_parameter_for_all_objects_that_use_it():
    made = model(["tau_m", "gain"])
    assert list(made.state_dict()) == ["tau_m", "gain"]
    assert [key for key, _ in made.named_parameters()] == ["tau_m", "gain"]
    assert set(made.members["tau_m"]) == {"g.tau_m", "h.tau_m"}
    assert {"g.gain", "s.gain", "h.gain"} == set(made.members["gain"])
    for key in ("tau_m", "g.tau_m", "h.tau_m"):
        assert made.parameter(key).item() == 8e-3
    assert next(made.parameters()).item() == 0, "a time constant is a logarithm"


def test_its_gradient_is_the_sum_of_those_of_its_objects():
    def gradients(train: list[str]) -> list[float]:
        made = model(train)
        run = made.run(10 * ms, seed=1, record=["g.v", "h.v"])
        (run["g.v"].sum() + run["h.v"].square().sum() * 1e3).backward()
        return [made.parameter(key).grad.item() for key in train]

    (whole,) = gradients(["tau_m"])
    parts = gradients(["g.tau_m", "h.tau_m"])
    assert all(parts) and sum(parts) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_trained_constant_runs_as_the_untrained_one_does(dtype: torch.dtype):
    train = ["tau_m", "gain", "external.weight"]
    made, plain = model(train, dtype), model([], dtype)
    one, two = (m.run(20 * ms, seed=2, record=["h.v", "g.v"]) for m in (made, plain))
    if dtype == torch.float64:
        assert torch.equal(one["g.v"], two["g.v"]) and torch.equal(one["h.v"], two["h.v"])
    assert one.spikes["g"].sum() == two.spikes["g"].sum() > 0


@pytest.mark.parametrize("asked", ["tau_m", "gain", "weight", "tied"])
def test_brian2_runs_with_what_was_written_everywhere(asked: str):
    net = network()
    weight = "external.weight"
    train: Any = {"weight": weight, "tied": mn.Tied("g.tau", "h.tau")}.get(asked, asked)
    made = mn.mirror(net, train=[train], dtype=torch.float64)
    with torch.no_grad():
        next(made.parameters()).add_(0.1234567)
    record = {"g": StateMonitor(net["g"], "v", True), "h": StateMonitor(net["h"], "v", True)}
    before = made.run(20 * ms, seed=4, record=["g.v", "h.v"])
    made.write_back()
    net.add(*record.values())
    seed(4)
    net.run(20 * ms)
    for name, monitor in record.items():
        mine = before[f"{name}.v"][:, 0].detach().numpy().T
        np.testing.assert_array_equal(monitor.v_[:], mine)


def test_a_second_write_back_replaces_the_first():
    net = network()
    made = mn.mirror(net, train=["gain", "external.weight"], dtype=torch.float64)
    for factor in (1.1, 1.3, 1.7):
        with torch.no_grad():
            for p in made.parameters():
                p.mul_(factor)
        made.write_back()
        again = mn.mirror(net, train=list(made.limits), dtype=torch.float64)
        for key, value in made.state_dict().items():
            assert torch.equal(again.state_dict()[key], value), key


def test_a_constant_that_is_not_the_same_everywhere_is_refused_by_name():
    with pytest.raises(
        DomainError,
        match=r"train=\['tau_m'\]\): the values differ \(g\.tau_m = 0\.008, h\.tau_m = 0\.009 \[s\]"
        r"\).*Train them separately, train=\['g\.tau_m', 'h\.tau_m'\]",
    ):
        model(["tau_m"], h_tau=9 * ms)
    assert list(model(["g.tau_m", "h.tau_m"], h_tau=9 * ms).state_dict()) == ["g.tau_m", "h.tau_m"]


@pytest.mark.parametrize(
    ("train", "match"),
    [
        (["tau"], r"a constant 'tau' of the script is not known.*named with its object: 'g\.tau' or"
                  r" 'h\.tau'"),
        (["tau_n"], r"Did you mean 'tau_m'"),
        (["w_x"], r"weight of a PoissonInput does not keep its name in the script: write"
                  r" 'external\.weight'"),
        (["k.w"], r"object 'k' is not known"),
    ],
)  # fmt: skip
def test_a_bare_name_that_is_no_constant_is_refused_with_what_was_meant(train: Any, match: str):
    with pytest.raises(UnknownName, match=match):
        model(train)


def test_a_thing_cannot_be_trained_twice():
    with pytest.raises(DomainError, match=r"h\.tau_m belongs to two parameters, 'tau_m' and 'h\."):
        model(["tau_m", "h.tau_m"])


def test_a_parameter_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UnknownName, match=r"parameter\('gain'\) is not known.*'h\.tau_m'"):
        model(["tau_m"]).parameter("gain")


# ---- ties


def test_a_tie_is_one_parameter_that_answers_to_each_name():
    made = model({mn.Tied("g.tau", "h.tau"): mn.Bounded(1 * ms, 12 * ms), "gain": mn.Sign()})
    assert set(made.state_dict()) == {"g.tau", "gain"}
    with torch.no_grad():
        made.parameter("h.tau").mul_(2)
    assert torch.equal(made.parameter("g.tau"), torch.full((3,), 1e-2))
    run = made.run(10 * ms, seed=1, record=["h.u", "g.tau", "h.tau"])
    assert torch.equal(run["g.tau"], run["h.tau"])
    made.write_back()
    assert np.all(made.network["h"].tau_[:] == 1e-2) and np.all(made.network["g"].tau_[:] == 1e-2)


def test_a_tie_may_join_constants_variables_and_other_names_of_one_size():
    net = network(size=1)
    net["g"].tau = net["h"].tau = 8 * ms
    made = mn.mirror(net, train=[mn.Tied("h.tau", "tau_m", "g.tau")], dtype=torch.float64)
    assert made.members["h.tau"] == ("h.tau", "g.tau_m", "h.tau_m", "g.tau")
    with torch.no_grad():
        made.parameter("tau_m").fill_(4e-3)
    made.run(1 * ms)
    made.write_back()
    assert net["g"].namespace["tau_m"] == net["h"].tau[0] == 4 * ms


@pytest.mark.parametrize(
    ("tie", "error", "match"),
    [
        (("g.tau", "g.w"), UnitError, r"mn\.Tied\('g\.tau', 'g\.w'\)\]\): the units differ \(g\.tau"
                                      r" in \[s\], g\.w in \[1\]\)"),
        (("g.tau", "tau_m"), ShapeError, r"numbers of elements differ \(g\.tau: 3, g\.tau_m: 1"),
        (("g.v", "h.u"), DomainError, r"the values differ at element 1 \(g\.v = 0, h\.u = 0\.001"),
        (("g.tau", "h.tauu"), UnknownName, r"variable 'tauu' of 'h'.*Did you mean 'tau'"),
    ],
)  # fmt: skip
def test_a_tie_of_what_is_not_one_quantity_is_refused(tie: Any, error: Any, match: str):
    net = network()
    net["h"].u = [0, 1, 2] * mV
    with pytest.raises(error, match=match):
        mn.mirror(net, train=[mn.Tied(*tie)])


def test_a_tie_has_two_names_and_can_be_a_key():
    with pytest.raises(DomainError, match=r"mn\.Tied\('g\.tau'\): a tie has at least two names"):
        mn.Tied("g.tau")
    with pytest.raises(DomainError, match=r"mn\.Tied\('a', 'a'\).*each of them once"):
        mn.Tied("a", "a")
    assert len({mn.Tied("a", "b"), mn.Tied("a", "b")}) == 1


def test_copies_and_states_keep_ties():
    made = model([mn.Tied("g.tau", "h.tau"), "gain"])
    twin = deepcopy(made)
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.2)
    twin.load_state_dict(made.state_dict())
    one, two = (m.run(5 * ms, seed=1, record=["h.u"])["h.u"] for m in (made, twin))
    assert torch.equal(one, two)
    assert torch.equal(twin.double().parameter("h.tau"), made.parameter("g.tau"))


# ---- what the script still holds


def test_a_write_back_says_which_names_of_the_script_are_stale():
    made = model(["tau_m", "external.weight", "g.tau"])
    assert not made.write_back().stale
    with torch.no_grad():
        made.parameter("tau_m").mul_(1.5)
    written = made.write_back()
    assert written == list(made.limits)
    assert written.stale == {"tau_m": "8. ms, in the network 12. ms"}
    assert repr(written).endswith("still in the script: tau_m = 8. ms, in the network 12. ms")
    with torch.no_grad():
        made.parameter("external.weight").mul_(2)
    assert set(made.write_back().stale) == {"tau_m", "w_x"}


def test_names_that_hold_something_else_are_not_stale():
    made = mn.mirror(network(h_tau=9 * ms), train=["h.tau_m"], namespace=globals())
    with torch.no_grad():
        made.parameter("h.tau_m").mul_(2)
    assert made.write_back().stale == {}


# ---- PoissonInput


def test_a_poissoninput_is_in_the_report_and_so_are_limits():
    made = model({"tau_m": mn.Positive(), "external.weight": mn.Bounded(0 * mV, 5 * mV)})
    text = str(made.report)
    assert "30 inputs at 100 Hz into g.v; trained: weight (from 0. V to 5. mV)" in text
    assert "1 input at 300 Hz into h.u" in text
    assert "tau_m (positive, one with h.tau_m)" in text
    assert "all 5 objects are mirrored" in text


def test_a_weight_that_is_an_expression_has_no_name_of_its_own():
    with pytest.raises(UnknownName, match=r"weight of 'other' is an expression.*bare names"):
        model(["other.weight"])


@pytest.mark.parametrize("weight", [2.5 / 3 * nS, -1e-13 * siemens, 3 * nS, 0 * nS])
def test_a_weight_is_what_brian2_reads_and_returns_with_all_its_digits(weight: Any):
    cells = NeuronGroup(2, "x : siemens", name="cells")
    drive = PoissonInput(
        cells,
        "x",
        10,
        500 * Hz,
        weight=weight,
    )
    net = Network(cells, drive)
    made = mn.mirror(net, train=[f"{drive.name}.weight"], dtype=torch.float64)
    assert made.parameter(f"{drive.name}.weight").item() == pytest.approx(float(weight), rel=1e-7)
    with torch.no_grad():
        made.parameter(f"{drive.name}.weight").add_(1e-9 / 7)
    mine = made.run(5 * ms, seed=1).state["cells.x"][0].detach().numpy()
    made.write_back()
    assert float(drive.weight) == made.parameter(f"{drive.name}.weight").item()
    seed(1)
    net.run(5 * ms)
    np.testing.assert_array_equal(cells.x_[:], mine)


def test_a_weight_of_any_unit_is_written():
    cells = NeuronGroup(2, "x : siemens*metre**3/second", name="cells")
    drive = PoissonInput(cells, "x", 10, 500 * Hz, weight=2 * siemens * metre**3 / second)
    net = Network(cells, drive)
    made = mn.mirror(net, train=[f"{drive.name}.weight"], dtype=torch.float64)
    with torch.no_grad():
        made.parameter(f"{drive.name}.weight").fill_(1 / 3)
    made.write_back()
    again = mn.mirror(net, train=[f"{drive.name}.weight"], dtype=torch.float64)
    assert again.parameter(f"{drive.name}.weight").item() == 1 / 3


def test_a_weight_of_another_unit_is_refused():
    made = model(["external.weight"])
    cells = NeuronGroup(3, "v : 1", name="other")
    drive = PoissonInput(cells, "v", 30, 100 * Hz, weight=1)
    drive._name = "external"
    with pytest.raises(
        UnitError, match=r"external\.weight was trained in \[V\].*adds to a variable"
    ):
        made.write_back(Network(cells, drive))


def test_a_weight_learns():
    net = network()
    key = "external.weight"
    made = mn.mirror(net, train=[key], surrogate=mn.SuperSpike(1 * mV), dtype=torch.float64)
    task = mn.Task(20 * ms, lambda r, _: ((r["g.v"] - 2e-3) / 1e-3).square().mean(), record=["g.v"])
    done = mn.fit(made, task, steps=5, report=None)
    assert done.losses[-1] < done.losses[0] and not done.skipped


# ---- what no gradient reaches


def alone(equations: str, train: str, threshold: str = "v > 1", **arguments: Any) -> mn.Mirror:
    cells = NeuronGroup(3, equations, threshold=threshold, reset=arguments.pop("reset", "v = 0"),
                        method="euler", name="c", **arguments)  # fmt: skip
    if "r" in cells.variables:
        cells.variables["r"].set_value(0.5)
    spikes = SpikeGeneratorGroup(1, [0], [1] * ms, name="spikes")
    syn = Synapses(spikes, cells, "q : 1", on_pre="v_post += int(q > 2)", name="syn")
    syn.connect()
    return mn.mirror(Network(cells, spikes, syn), train=[train], surrogate=mn.SuperSpike(1.0))


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (lambda: alone("dv/dt = (2 - v)/(5*ms) : 1 (unless refractory)\nr : second", "c.r",
                       refractory="r"), r"reaches c\.r: it only decides when cells are refractory"),
        (lambda: alone("dv/dt = (2 - v)/(5*ms) : 1 (unless refractory)\nr : 1", "c.r",
                       refractory="v > r"), r"no gradient reaches c\.r: it only decides when"),
        (lambda: alone("dv/dt = (2*int(r > 1) - v)/(5*ms) : 1\nr : 1", "c.r"),
         r"no gradient reaches c\.r: the network uses it only in comparisons"),
        (lambda: alone("dv/dt = (floor(r) - v)/(5*ms) : 1\nr : 1", "c.r"), r"whole numbers"),
        (lambda: alone("dv/dt = (2 - v)/(5*ms) : 1", "syn.q"), r"no gradient reaches syn\.q"),
        (lambda: alone("dv/dt = (2 - v)/(5*ms) : 1\nr : 1\nn : integer", "c.r",
                       reset="v = 0; n = n + int(r)"), r"no gradient reaches c\.r"),
    ],
    ids=["time", "condition", "step", "floor", "synapse", "counter"],
)  # fmt: skip
def test_what_no_gradient_reaches_is_refused_by_name(made: Any, match: str):
    with pytest.raises(GradientError, match=match):
        made()


@pytest.mark.parametrize(
    "made",
    [
        lambda: alone("dv/dt = (2 - v)/(5*ms) : 1\nr : 1", "c.r", threshold="v > r"),
        lambda: alone("dv/dt = (2 - v)/(5*ms) : 1\nr : 1", "c.r", threshold="v > 1 and v > r"),
        lambda: alone("dv/dt = (2 - v)/(5*ms) : 1\nr : 1", "c.r", threshold="rand() < r*v"),
        lambda: alone("dv/dt = (2 - v)/(5*ms) : 1\nr : 1", "c.r", reset="v = r"),
        lambda: alone("dv/dt = (2 + r*int(v > 0.5) - v)/(5*ms) : 1\nr : 1", "c.r"),
        lambda: alone("dv/dt = (x - v)/(5*ms) : 1\nx = 2*r : 1\nr : 1", "c.r"),
        lambda: alone("dv/dt = (2 - v)/(5*ms) : 1", "c.v"),
        lambda: alone("dv/dt = (2 - v)/(5*ms) : 1\ny = 3*r : 1\nr : 1\nz = v > r : boolean", "c.r",
                      threshold="v > 1 + r"),
    ],
    ids=["threshold", "both", "escape", "reset", "product", "subexpression", "start", "value"],
)  # fmt: skip
def test_what_a_gradient_may_reach_is_trained_and_has_one(made: Any):
    model = made()
    run = model.run(30 * ms, seed=1, record=["c.v"])
    (run["c.v"].square().sum() + run.spikes["c"].sum()).backward()
    assert float(model.parameter(next(iter(model.limits))).grad.abs().sum()) > 0


def test_what_is_no_name_is_refused():
    with pytest.raises(DomainError, match=r"mn\.Tied\(\.\.\.\).*is no name.*without a list"):
        mn.Tied(["g.tau", "h.tau"])
    for train in ([3], [mn.Positive()]):
        with pytest.raises(DomainError, match=r"train=\[.*that is no name\. Write train="):
            model(train)
