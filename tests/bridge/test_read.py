"""read: what is taken from a network, and what is refused by name."""

from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    Cylinder,
    Function,
    Network,
    NeuronGroup,
    PoissonInput,
    PopulationRateMonitor,
    SpatialNeuron,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    check_units,
    cm,
    defaultclock,
    magic_network,
    ms,
    mV,
    nS,
    pA,
    pF,
    run,
    second,
    seed,
    siemens,
    uF,
    um,
    volt,
)

import mirrorneuron as mn
from mirrorneuron.bridge.genn.host import evaluate
from mirrorneuron.bridge.program import Program
from mirrorneuron.bridge.read import read
from mirrorneuron.bridge.validate import compare
from mirrorneuron.errors import (
    DomainError,
    GradientError,
    ShapeError,
    UnknownName,
    UnsupportedFeature,
)
from mirrorneuron.units import Dimensions


def driven(n: int = 4, more: str = "", **options: object) -> NeuronGroup:
    """Cells that spike at different rates."""
    equations = f"dv/dt = (1.2 + 0.1*i - v)/(10*ms) : 1\nu : 1\n{more}"
    settings = {"threshold": "v > 1", "reset": "v = 0", "method": "euler", "name": "cells"}
    return NeuronGroup(n, equations, **{**settings, **options})  # type: ignore[arg-type]


def require_same(network: Network, milliseconds: int = 40) -> None:
    """Both sides spike alike, and no step is off by a bit."""
    model = mn.mirror(network, dtype=torch.float64)
    evidence = compare(network, model, milliseconds * ms, {}, 1)
    assert sum(len(train.step) for train in evidence.brian2.values()) > 3
    for name, train in evidence.brian2.items():
        assert np.array_equal(train.step, evidence.mirror[name].step)
        assert np.array_equal(train.index, evidence.mirror[name].index)
    errors = {**evidence.locked, **evidence.paths}
    assert {key: worst for key, worst in errors.items() if worst.error > 0} == {}


# ---- refused by name


def cable() -> Iterator[object]:
    morphology = Cylinder(diameter=1 * um, length=100 * um, n=5)
    yield SpatialNeuron(
        morphology, "Im = 0*siemens/meter**2*v : amp/meter**2", Cm=1 * uF / cm**2, name="axon",
        namespace={"siemens": siemens},
    )  # fmt: skip


def copied(code: str) -> Iterator[object]:
    group = driven()
    group.run_regularly(code)
    yield group


def times(dt: float) -> Iterator[object]:
    yield driven()
    yield driven(name="others", dt=dt * ms)


class Watcher(SpikeMonitor):
    """A monitor of the user's own."""


def watched() -> Iterator[object]:
    group = driven()
    yield from (group, Watcher(group, name="watcher"))


REFUSED: dict[str, tuple[Callable[[], Iterator[object]], str, str]] = {
    "cable": (cable, "axon", "linear system.*NeuronGroup"),
    "own monitor": (watched, "watcher", "kind 'spikemonitor'.*NeuronGroup and Synapses"),
    "copy, then change": (
        lambda: copied("u = v\nv += 0.1"), "cells", "'u' is the same as 'v'.*clip\\(v, -inf, inf"
    ),
    "copy, then change the copy": (
        lambda: copied("u = v\nu *= 2"), "cells", "numpy target changes both.*C\\+\\+ targets"
    ),
    "steps that never meet": (
        lambda: times(0.31415926), "others_stateupdater", "beside one of 0.1 ms.*dt=0.3\\*ms"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_mirrored_is_refused_by_name(name: str) -> None:
    build, refused, message = REFUSED[name]
    with pytest.raises(UnsupportedFeature, match=f"(?s){message}") as caught:
        mn.mirror(Network(*build()), namespace={})
    assert [item.object for item in caught.value.items] == [refused]


def test_a_copy_of_what_stays_is_no_reason_to_refuse() -> None:
    require_same(Network(*copied("u = v\nv = 0.999*v + 0.001*u")))
    require_same(Network(*copied("u = clip(v, -inf, inf)\nv += 0.001*u")))


# ---- functions of users


@check_units(x=1, result=1)
def bent(x: float) -> float:
    return np.tanh(x) * x


@check_units(k=1, result=1)
def looked_up(k: int) -> float:
    return np.array([0.1, 0.5, 0.2, 0.4])[k]


@check_units(x=1, result=1)
def shaken(x: float) -> float:
    return x + 0.1 * np.random.rand(*np.shape(x))


FUNCTIONS = {
    "arithmetic": ("0.01*bent(v)", {"bent": bent}),
    "of whole numbers": ("0.01*looked_up(i)", {"looked_up": looked_up}),
    "random": ("0.01*shaken(v)", {"shaken": shaken}),
    "a Function": ("0.01*f(v)", {"f": Function(lambda x: x**3, arg_units=[1], return_unit=1)}),
    "of constants only": ("0.01*bent(2.5)", {"bent": bent}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_a_user_gives_what_it_gives_in_brian2(name: str) -> None:
    expression, namespace = FUNCTIONS[name]
    group = driven(reset=f"v = {expression}", namespace=namespace)
    require_same(Network(group))


def test_two_functions_of_one_name_are_kept_apart() -> None:
    def group(name: str, power: int) -> NeuronGroup:
        f = check_units(x=1, result=1)(lambda x: x**power)
        return driven(name=name, reset="v = 0.1*f(v)", namespace={"f": f})

    require_same(Network(group("squares", 2), group("cubes", 3)))


def test_the_gradient_passes_through_what_was_registered_for_torch() -> None:
    gradients = []
    for expression in ("tanh(u)*u", "curved(u)"):
        curved = check_units(x=1, result=1)(lambda x: np.tanh(x) * x)
        if expression == "curved(u)":
            mn.register(curved, lambda x: torch.tanh(x) * x)
        equations = f"dv/dt = ({expression} - v)/(10*ms) : 1\nu : 1"
        cells = NeuronGroup(
            3, equations, method="euler", name="cells", namespace={"curved": curved}
        )
        cells.u = [0.5, 1, 2]
        network = Network(cells)
        for dtype in (torch.float64, torch.float32):
            model = mn.mirror(network, train=["cells.u"], dtype=dtype)
            model.run(5 * ms).state["cells.v"].sum().backward()
            gradients.append(model.parameter("cells.u").grad)
    exact, single, found, found_single = gradients
    torch.testing.assert_close(found, exact, rtol=1e-12, atol=0)
    torch.testing.assert_close(found_single, single, rtol=1e-5, atol=0)


def test_a_gradient_through_python_code_asks_for_a_registration() -> None:
    cells = driven(reset="v = 0.1*bent(u)", namespace={"bent": bent})
    cells.u = 0.5
    model = mn.mirror(
        Network(cells),
        train=["cells.u"],
        surrogate=mn.SuperSpike(width=0.5),
        reset_gradient="detach",
    )
    with torch.no_grad():
        assert model.run(30 * ms).spikes["cells"].sum() > 0
    with pytest.raises(GradientError, match=r"through bent\(\).*mn\.register\(bent"):
        model.run(30 * ms)


def test_only_functions_with_units_can_be_registered() -> None:
    with pytest.raises(DomainError, match=r"does not say which units.*check_units"):
        mn.register(lambda x: x, torch.tanh)


# ---- statements in turn


def fed(on_pre: str) -> Network:
    """Given spikes reach two cells over synapses that differ, several in one step."""
    stimulus = SpikeGeneratorGroup(3, [0, 1, 2, 0, 1, 2], [1, 1, 1, 2, 2, 3] * ms, name="stimulus")
    cells = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1\nu : 1", method="euler", name="cells")
    cells.v, cells.u = [0.3, 0.5], [1.5, 2]
    synapses = Synapses(stimulus, cells, "w : 1", on_pre=on_pre, name="syn")
    synapses.connect()
    synapses.w = np.linspace(0.2, 0.7, 6)
    return Network(stimulus, cells, synapses)


IN_TURN = {
    "depends on its target": "v_post += w*(1 - v_post)",
    "multiplies": "v_post *= w",
    "divides": "v_post /= (1 + w)",
    "multiplies, then adds": "u_post *= 0.9*w\nu_post += v_post",
    "chain": "v_post = 0.5*v_post + w*u_post\nu_post += v_post*w",
    "overwrites": "v_post = w*2",
}


@pytest.mark.parametrize("name", IN_TURN)
def test_a_gradient_passes_statements_that_are_executed_in_turn(name: str) -> None:
    network = fed(IN_TURN[name])
    keys = ["syn.w", "cells.v"] + ["cells.u"] * ("u_post" in IN_TURN[name])
    model = mn.mirror(network, train=keys, dtype=torch.float64)

    def loss() -> torch.Tensor:
        state = model.run(5 * ms).state
        return (state["cells.v"] ** 2).sum() + (state.get("cells.u", torch.zeros(1)) ** 2).sum()

    loss().backward()
    for key in keys:
        parameter = model.parameter(key)
        assert parameter.grad is not None
        for k in range(len(parameter)):
            values = []
            for h in (-1e-6, 1e-6):
                with torch.no_grad():
                    parameter[k] += h
                    values.append(float(loss()))
                    parameter[k] -= h
            expected = (values[1] - values[0]) / 2e-6
            assert float(parameter.grad[k]) == pytest.approx(expected, rel=1e-6, abs=1e-8), key


@pytest.mark.parametrize("name", sorted(set(IN_TURN) - {"chain"}))  # there two steps multiply
def test_a_spike_gets_a_gradient_from_statements_that_are_executed_in_turn(name: str) -> None:
    """A spike that moves its target by d adds d to the derivative: forward and by difference."""
    network = fed(IN_TURN[name])
    model = mn.mirror(network, dtype=torch.float64)
    steps = 50
    stimulus = torch.zeros(steps, 1, 3, dtype=torch.float64)
    stimulus[20, 0, 1] = 1
    given = stimulus.clone().requires_grad_()

    def total(spikes: torch.Tensor) -> torch.Tensor:
        state = model.run(5 * ms, inputs={"stimulus": spikes}).state
        return state["cells.v"].sum() + state.get("cells.u", torch.zeros(1)).sum()

    value = total(given)
    value.backward()
    assert given.grad is not None
    changed = stimulus.clone()
    changed[20, 0, 1] = 0
    step = float((value - total(changed)).detach())
    assert float(given.grad[20, 0, 1]) == pytest.approx(step, rel=1e-9, abs=1e-12)
    changed = stimulus.clone()
    changed[30, 0, 2] = 1
    step = float((total(changed) - value).detach())
    assert float(given.grad[30, 0, 2]) == pytest.approx(step, rel=1e-9, abs=1e-12)


def test_drawing_synapses_are_served_one_by_one() -> None:
    cells = driven(12)
    synapses = Synapses(cells, cells, on_pre="v_post += 0.1*rand()*(1 - v_post)", name="syn")
    synapses.connect(condition="i != j")
    require_same(Network(cells, synapses))


# ---- clocks


def two_clocks() -> Network:
    """Two groups, neither of whose steps is a multiple of the other."""
    fast, slow = driven(name="fast", dt=0.2 * ms), driven(name="slow", dt=0.5 * ms)
    synapses = Synapses(slow, fast, on_pre="v_post += 0.1", delay=1 * ms, name="syn")
    synapses.connect()
    return Network(fast, slow, synapses, PoissonInput(fast, "v", 20, 100 / (1000 * ms), 0.02))


def test_groups_with_other_time_steps_advance_together() -> None:
    network = two_clocks()
    model = mn.mirror(network, dtype=torch.float64)
    assert model.program.dt == pytest.approx(0.1e-3)
    require_same(network)


def test_a_run_of_several_clocks_can_be_cut_anywhere() -> None:
    model = mn.mirror(two_clocks(), dtype=torch.float64)
    whole = model.run(21 * ms, seed=1)
    first = model.run(10.3 * ms, seed=1)
    second = model.run(10.7 * ms, state=first.state)
    for name in ("fast", "slow"):
        parts = torch.cat([first.spikes[name], second.spikes[name]])
        assert torch.equal(whole.spikes[name], parts)
        assert torch.equal(whole.state[f"{name}.v"], second.state[f"{name}.v"])


# ---- recording


def test_recordings_are_those_of_brian2_monitors() -> None:
    cells = driven(
        more="drive = 0.1*sin(2*pi*t*wave) + x : 1\nx = u + rand() : 1 (constant over dt)\n"
        "wave : Hz (shared)"
    )
    synapses = Synapses(cells, cells, "w : 1", on_pre="v_post += w; w *= 0.99", name="syn")
    synapses.connect()
    synapses.w = 0.01
    states = StateMonitor(cells, ["v", "drive", "x"], record=True)
    weights = StateMonitor(synapses, "w", record=[1, 5])
    spikes, rate = SpikeMonitor(cells), PopulationRateMonitor(cells)
    network = Network(cells, synapses, states, weights, spikes, rate)
    model = mn.mirror(network, dtype=torch.float64)
    keys = {"cells.v": None, "cells.drive": None, "cells.x": None, "syn.w": [1, 5]}
    recording = model.run(30 * ms, record=keys, seed=2)
    seed(2)
    network.run(30 * ms)
    for name in ("v", "drive", "x"):
        assert np.array_equal(recording[f"cells.{name}"][:, 0].T, getattr(states, name))
    assert np.array_equal(recording["syn.w"][:, 0].T, weights.w)
    found = recording.spike_monitor("cells")
    assert len(found.i) > 3
    assert np.array_equal(found.i, spikes.i)
    assert np.array_equal(found.t, spikes.t)
    assert np.array_equal(found.count, spikes.count)
    measured = np.asarray(rate.rate)
    assert np.allclose(recording.population_rate("cells")[:, 0], measured, rtol=1e-12)
    trains = recording.spike_trains("cells")
    for index, train in spikes.spike_trains().items():
        assert np.array_equal(trains[index], train)
    assert recording.rates()["cells"] == pytest.approx(len(spikes.i) / 4 / 0.03)


@pytest.mark.parametrize("index", [[4], [-5], [0.5], [[0]], "0"])
def test_elements_that_are_not_there_cannot_be_recorded(index: object) -> None:
    model = mn.mirror(Network(driven()))
    with pytest.raises(ShapeError, match=r"whole numbers from 0 to 3, as cells\.v has 4"):
        model.run(1 * ms, record={"cells.v": index})  # type: ignore[dict-item]


def test_a_run_without_steps_records_nothing_of_the_right_shape() -> None:
    model = mn.mirror(Network(driven(more="y = 2*v : 1")))
    recording = model.run(0 * ms, record={"cells.v": [0, 1], "cells.y": None}, batch_size=3)
    assert recording["cells.v"].shape == (0, 3, 2)
    assert recording["cells.y"].shape == (0, 3, 4)


RATES = """
dv/dt = (g_L*(E_L - v) + I_syn - w)/C + f(v)/tau : volt (unless refractory)
dw/dt = (a*(v - E_L) - w)/tau_w : amp
dn/dt = -n/tau + 0.1*xi*tau**-0.5 : 1
I_syn = g*(0*mV - v) : amp
g : siemens
tau_w : second (constant)
"""


def test_right_hand_sides_are_what_euler_integrates() -> None:
    """`method="euler"` adds dt times the right-hand side: both are read, and agree."""

    @check_units(v=volt, result=volt)
    def f(v: Any) -> Any:
        return 0.1 * v

    names = {"g_L": 10 * nS, "E_L": -65 * mV, "C": 200 * pF, "a": 2 * nS, "tau": 10 * ms, "f": f}
    cells = NeuronGroup(
        3, RATES, threshold="v > 1*volt", reset="", refractory=1 * ms, method="euler",
        namespace=names, name="cells",
    )  # fmt: skip
    cells.v, cells.w, cells.g, cells.tau_w = [-60, -50, -70] * mV, [1, 2, 3] * pA, 5 * nS, 90 * ms
    network = Network(cells)
    program, _ = read(network, {})
    assert set(program.rates) == {"cells.v", "cells.w"}, "none of an equation with noise"
    assert program.rates["cells.v"].unit == Dimensions.of(volt / second)
    before = {key: program.variables[key].value for key in program.rates}
    network.run(defaultclock.dt)
    for key, rate in program.rates.items():
        (statement,) = rate.statements[-1:]
        known: dict[str, Any] = dict(rate.constants) | {"f": lambda v: 0.1 * v}
        known |= {n: program.variables[ref.variable].value for n, ref in rate.refs.items()}
        for earlier in rate.statements[:-1]:
            known[earlier.target] = evaluate(earlier.tree, known, {})
        slope = evaluate(statement.tree, known, {})
        after = np.array(cells.variables[key.partition(".")[2]].get_value())
        np.testing.assert_allclose(after - before[key], program.dt * slope, rtol=1e-9)


@pytest.mark.parametrize("what", ["nothing", "magic_network", "list", "network"])
@pytest.mark.parametrize("run_before", [False, True])
def test_a_mirror_is_made_of_what_people_have(what: str, run_before: bool) -> None:
    """Twice, as a cell of a notebook is run twice, and leaves no mark on the objects."""
    cells = driven()
    monitor = SpikeMonitor(cells)
    network = Network(cells, monitor)
    if run_before and what == "network":
        network.run(5 * ms)
    elif run_before:
        run(5 * ms)
    clock = network if what == "network" else magic_network
    mark, t = cells._network, float(clock.t_) if run_before else 0.0
    given = {"nothing": None, "magic_network": magic_network, "list": [cells, monitor]}
    for _ in range(2):
        model = mn.mirror(given.get(what, network) if what != "nothing" else None)
        assert list(model.program.groups) == ["cells"]
        assert model.program.step == round(t / model.program.dt)
        assert model.run(20 * ms).spikes["cells"].sum() > 3
        if what != "nothing":
            assert mn.validate(given.get(what, network), model, 8 * ms).ok
    assert cells._network == mark
    if not run_before:
        Network(cells).run(1 * ms)


def test_a_variable_that_is_no_name_of_brian2_is_told_the_name() -> None:
    mine = NeuronGroup(2, "dv/dt = -v/(5*ms) : 1", method="exact")
    told = rf"'mine' is a variable of your script, .* object '{mine.name}'. Write '{mine.name}.v'"
    with pytest.raises(UnknownName, match=told):
        mn.mirror(Network(mine), train=["mine.v"])
    assert list(mn.mirror(Network(mine), train=[f"{mine.name}.v"]).keys) == [f"{mine.name}.v"]


@pytest.mark.parametrize("what", [3, "net", [], [1, 2]])
def test_what_is_no_network_is_refused(what: Any) -> None:
    with pytest.raises(DomainError, match=r"that is no network. Give a Brian2 Network, a list"):
        mn.mirror(what)
    with pytest.raises(DomainError, match="no Brian2 object among the names here"):
        mn.mirror(namespace={})


def test_networks_are_read_in_several_threads() -> None:
    def build(n: int) -> Network:
        group = NeuronGroup(
            n, "dv/dt = (1.5 - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact",
            name=f"threaded{n}",
        )  # fmt: skip
        return Network(group)

    networks = {n: build(n) for n in range(1, 7)}
    found: dict[int, Program] = {}

    def look(n: int) -> None:
        found[n] = read(networks[n], {})[0]

    threads = [Thread(target=look, args=(n,)) for n in networks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: len(p.slots) for n, p in found.items()} == dict.fromkeys(networks, 3)
    assert all(p.slots[0].owner == f"threaded{n}" for n, p in found.items())
