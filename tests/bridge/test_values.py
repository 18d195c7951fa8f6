"""Values: truth values, whole numbers and infinities, as Brian2's numpy target has them."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    Synapses,
    check_units,
    implementation,
    ms,
    network_operation,
    prefs,
)
from brian2.core.base import BrianObject

import mirrorneuron as mn
from mirrorneuron.bridge.lower.beyond import beyond_statements
from mirrorneuron.bridge.read import _refusal
from mirrorneuron.bridge.validate import _difference, compare
from mirrorneuron.check import check_script
from mirrorneuron.errors import DomainError, UnsupportedFeature


@pytest.fixture(autouse=True)
def numpy_target() -> Any:
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = before


def require_equal(network: Network, duration: Any = 20 * ms) -> mn.Mirror:
    """No value off by a bit, in steps and in a run."""
    model = mn.mirror(network, dtype=torch.float64, namespace={})
    evidence = compare(network, model, duration, {})
    assert evidence.locked and evidence.paths
    assert {k: w for k, w in (*evidence.locked.items(), *evidence.paths.items()) if w.error} == {}
    for name, train in evidence.brian2.items():
        assert np.array_equal(train.step, evidence.mirror[name].step), name
        assert np.array_equal(train.index, evidence.mirror[name].index), name
    return model


OPERANDS = {"on": "boolean", "off": "boolean", "n": "integer", "big": "integer", "v": "float"}
OPERATORS = ("+", "*", "-", "/", "//", "%")
LITERALS = ("3", "2.5")


def expressions() -> dict[str, str]:
    """Every operator between every two kinds of operands that numpy has a result for."""
    found: dict[str, str] = {}
    pairs = product((*OPERANDS, *LITERALS), OPERATORS, (*OPERANDS, *LITERALS))
    for number, (left, sign, right) in enumerate(pairs):
        truths = OPERANDS.get(left) == OPERANDS.get(right) == "boolean"
        literals = left in LITERALS and right in LITERALS
        by_false = OPERANDS.get(right) == "boolean" and sign in ("/", "//", "%")  # Brian2 fails
        if not literals and not by_false and not (truths and sign == "-"):
            found[f"x{number}"] = f"{left} {sign} {right}"
    more = (
        "1 - on", "(1 - on)*0.25*off", "int(v*1e12)", "floor(-v*1e12)", "ceil(v)*big", "big**3",
        "abs(big)", "clip(big*big, 0, 5)", "-big*big", "int(on)*0.1 + v", "0.7*int(v < 0.35)",
        "big - (-big)", "sign(n - 3)*0.1*on",
    )  # fmt: skip
    return found | {f"y{k}": text for k, text in enumerate(more)}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, which divides by zero
def test_arithmetic_of_truth_values_and_whole_numbers_is_that_of_numpy() -> None:
    made = expressions()
    lines = [f"{name} : 1" for name in made] + [
        f"{name} : {'1' if kind == 'float' else kind}" for name, kind in OPERANDS.items()
    ]
    group = NeuronGroup(6, "\n".join(lines), name="group")
    group.on, group.off = "i % 2 == 0", "i > 3"
    group.n, group.big = "i", "2000000000 + i"
    group.v = "0.1*i - 0.2"
    updates = [f"{name} = {text}" for name, text in made.items()]
    group.run_regularly("\n".join([*updates, "big = big*1103515245 + 12345", "n = n - 1"]))
    require_equal(Network(group), 1 * ms)


NETWORKS: dict[str, Callable[[], Network]] = {}


def network(make: Callable[[], Network]) -> Callable[[], Network]:
    NETWORKS[make.__name__] = make
    return make


@network
def truth_values_in_every_statement() -> Network:
    cells = NeuronGroup(
        4,
        """dv/dt = ((1.3 + 0.1*q)*on - v)/(8*ms) : 1
           q : 1
           on : boolean
           two : boolean
           n : integer
           hot = v > 0.7 : boolean""",
        threshold="v > 1 + 0.1*on",
        reset="""v = 0.1*on + 0.03*int(hot)
                 n += 1
                 two = n % 2 == 0
                 q = (1 - on)*0.25*two + 0.3*on""",
        method="euler",
        name="cells",
    )
    cells.on = "i != 2"
    cells.run_regularly("q = q + 0.013*on", dt=1 * ms)
    synapses = Synapses(
        cells, cells, "ok : boolean\nseen : integer",
        on_pre="v_post += 0.0123*ok + 0.011*on_post\nseen = 3*seen + 7*ok", name="synapses",
    )  # fmt: skip
    synapses.connect("i != j")
    synapses.ok = "(i + j) % 2 == 0"
    return Network(cells, synapses)


@network
def numbers_that_wrap() -> Network:
    cells = NeuronGroup(
        5,
        """dv/dt = (1.2 + 0.2*u - v)/(6*ms) : 1
           s : integer
           heard : integer
           u = (s % 1000)/1000.0 : 1""",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name="cells",
    )
    cells.s = "12345 + i"
    cells.run_regularly("s = s*1103515245 + 12345", dt=1 * ms)
    synapses = Synapses(cells, cells, on_pre="heard_post += 1500000000", name="synapses")
    synapses.connect()
    return Network(cells, synapses)


@network
def infinite_values() -> Network:
    cells = NeuronGroup(
        4, "dv/dt = (1.5 - v)/(8*ms) : 1\nx : 1", threshold="v > 1",
        reset="v = 0\nx = 1.0/(i*1.0)", method="euler", name="cells",
    )  # fmt: skip
    return Network(cells)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_values_are_those_of_brian2(name: str) -> None:
    require_equal(NETWORKS[name](), 40 * ms)


def test_an_infinity_hides_no_other_difference() -> None:
    same = np.array([np.inf, 1.0])
    assert _difference(same, same) == 0
    assert _difference(np.array([np.inf, 1.5]), same) == 0.5
    assert _difference(np.array([-np.inf, 1.0]), same) == np.inf
    assert _difference(np.array([1.0, np.nan]), same) == np.inf


SOURCES: dict[str, Callable[[], Any]] = {
    "neurons": lambda: NeuronGroup(
        6, "dv/dt = (1.5 - v)/(5*ms) : 1", threshold="v > 1", reset="v = 0", method="exact",
        name="source",
    ),
    "poisson": lambda: PoissonGroup(6, 3000 * Hz, name="source"),
    "generator": lambda: SpikeGeneratorGroup(6, [0, 2, 5], [1.9] * 3 * ms, name="source"),
}  # fmt: skip


@pytest.mark.parametrize("part", ["the group", "its threshold"])
@pytest.mark.parametrize("kind", SOURCES)
def test_what_listens_to_an_inactive_source_hears_what_it_hears_in_brian2(
    kind: str, part: str
) -> None:
    source = SOURCES[kind]()
    ears = NeuronGroup(6, "x : 1\ny : 1", name="ears")
    late = Synapses(source, ears, on_pre="x_post += 1", name="late")
    late.connect()
    late.delay = "j*0.3*ms"
    back = Synapses(ears, source, on_post="y_pre += 1", name="back")
    back.connect()
    net = Network(source, ears, late, back)
    net.run(2 * ms)
    if part == "the group" or kind == "generator":
        source.active = False
    else:
        source.thresholder["spike"].active = False
    model = require_equal(net, 5 * ms)
    repeated = 3 if kind == "generator" else 0
    assert model.run(1 * ms).spikes["source"].sum() == 10 * repeated
    assert "inactive" in str(model.report)
    net.run(1 * ms)
    assert repeated == 0 or ears.x[0] >= 30


@pytest.mark.parametrize("text", ["(a*3)//1", "7//(a + 1)", "(a*3) % 2"])
def test_a_gradient_through_whole_quotients_is_finite(text: str) -> None:
    group = NeuronGroup(
        3, "dv/dt = (1.5 + 0.1*q - v)/(5*ms) : 1\na : 1\nq : 1", threshold="v > 1",
        reset=f"v = 0\nq = {text}", method="euler", name="g",
    )  # fmt: skip
    group.a = "i*0.5"
    model = mn.mirror(Network(group), train=["g.a"])
    model.run(30 * ms).spikes["g"].sum().backward()
    found = model.parameter("g.a").grad
    assert found is not None and bool(torch.isfinite(found).all())
    assert bool((found == 0).all()) is ("//" in text)


# ---- refused by name


def counter() -> tuple[Any, list[int]]:
    log: list[int] = []

    @implementation("numpy", discard_units=True)
    @check_units(x=1, result=1)
    def remembers(x: Any) -> Any:
        log.append(1)
        return x * 0 + len(log)

    return remembers, log


class Noise:
    """Memory in an object: a generator of random numbers of its own."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)


def generator() -> Any:
    noise = Noise()

    @implementation("numpy", discard_units=True)
    @check_units(x=1, result=1)
    def remembers(x: Any) -> Any:
        return x + noise.rng.normal(size=len(x))

    return remembers


def in_place() -> Any:
    @implementation("numpy", discard_units=True)
    @check_units(x=1, result=1)
    def remembers(x: Any) -> Any:
        x += 1
        return x * 2

    return remembers


def pure() -> Any:
    table = {"gain": np.array([2.0])}

    @implementation("numpy", discard_units=True)
    @check_units(x=1, result=1)
    def remembers(x: Any) -> Any:
        return x * table["gain"]

    return remembers


def delayed() -> Any:
    buffer = [0.0, 0.0]

    @implementation("numpy", discard_units=True)
    @check_units(x=1, result=1)
    def remembers(x: Any) -> Any:
        buffer.append(x.copy())
        return x * 0 + buffer.pop(0)

    return remembers


def cached() -> Any:
    tables: dict[str, Any] = {}
    calls: list[int] = []

    @implementation("numpy", discard_units=True)
    @check_units(x=1, result=1)
    def remembers(x: Any) -> Any:
        calls.append(len(x))
        if "table" not in tables:
            tables["table"] = np.linspace(0, 1, 11)
        return np.interp(x, tables["table"], tables["table"] ** 2)

    return remembers


def calling(function: Any) -> Network:
    group = NeuronGroup(
        2, "dv/dt = -v/(10*ms) : 1\nd : 1", method="euler", name="group",
        namespace={"remembers": function},
    )  # fmt: skip
    group.v = 1
    group.run_regularly("d = remembers(v)", dt=1 * ms)
    return Network(group)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: counter()[0], r"function 'remembers\(\)': a memory: a call changed log"),
        (generator, "a memory: a call changed noise"),
        (delayed, "a memory: a call changed buffer"),
        (in_place, "a change of its argument number 1"),
    ],
    ids=["list", "generator", "delay", "argument"],
)
def test_a_function_that_remembers_is_refused(make: Callable[[], Any], message: str) -> None:
    model = mn.mirror(calling(make()), dtype=torch.float64, namespace={})
    with pytest.raises(UnsupportedFeature, match=message):
        model.run(5 * ms)


@pytest.mark.parametrize("make", [pure, cached])
def test_a_function_that_looks_things_up_or_keeps_a_table_is_called(make: Any) -> None:
    require_equal(calling(make()))


@pytest.mark.parametrize(("shape", "what"), [((5, 4), "two dimensions"), (3, "3 values for 4")])
def test_an_array_of_another_shape_is_refused(shape: Any, what: str) -> None:
    group = NeuronGroup(4, "back : 1", name="group")
    group.variables.add_array("past", size=shape)

    @implementation("numpy", discard_units=True)
    @check_units(past=1, result=1)
    def newest(past: Any) -> Any:
        return past[:1]

    group.run_regularly("back = newest(past)", name="looks")
    with pytest.raises(UnsupportedFeature, match=f"variable 'past', an array of {what}"):
        mn.mirror(Network(group), namespace={"newest": newest})


class TimesOnly(BrianObject):
    """As an object with a clock of Brian2 2.10 that has times and no step."""

    clock = property(lambda self: object())


def test_a_clock_of_events_is_refused() -> None:
    found = _refusal(TimesOnly(name="at_times"))
    assert found is not None
    assert (found.object, found.feature) == ("at_times", "a clock without a time step (run_at)")


def test_a_constant_that_is_no_number_is_refused() -> None:
    group = NeuronGroup(2, "v : 1", threshold="v > 5", reset="v = 0", name="g")
    synapses = Synapses(group, group, on_pre="v_post += sqrt(-1.0)", name="s")
    synapses.connect()
    with (
        pytest.warns(RuntimeWarning, match="invalid value"),
        pytest.raises(DomainError, match=r"'v_post \+= nan' of 's_pre' holds NaN"),
    ):
        mn.mirror(Network(group, synapses))


@pytest.mark.parametrize(
    "parts",
    [{"threshold": "v > 9**9**9**9"}, {"threshold": "v > 1", "reset": "v = -2**7**7**7"},
     {"threshold": "v > 1", "refractory": "(8**9)**9**9*second"}],
    ids=["threshold", "reset", "refractory"],
)  # fmt: skip
@pytest.mark.timeout(20)
def test_a_tower_of_powers_is_refused_before_it_is_evaluated(parts: dict[str, str]) -> None:
    group = NeuronGroup(1, "v : 1", name="tower", **parts)
    with pytest.raises(DomainError, match=r"'tower' contains .* beyond the largest number"):
        mn.mirror(Network(group))


@pytest.mark.timeout(60)
def test_a_tower_in_the_equations_of_a_script_fails_the_script(tmp_path: Any) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from brian2 import *\nG = NeuronGroup(1, 'dv/dt = 9**9**9**9/second : 1', method='euler')"
        "\nrun(1*ms)"
    )
    finding = check_script(script)
    assert finding.status == "script_failed"
    assert "beyond the largest number" in finding.reason


def test_what_goes_beyond_real_numbers_is_listed_for_other_engines() -> None:
    cells = NeuronGroup(
        2, "v : 1\nn : integer\na : boolean\nb : boolean", threshold="v > 1", name="cells"
    )
    cells.run_regularly("n = n*n\nv = a + b", dt=1 * ms, name="typed")
    source = SpikeGeneratorGroup(2, [0], [1] * ms, name="source")
    synapses = Synapses(source, cells, on_pre="v += 0.3", name="synapses")
    synapses.connect()
    source.active = False

    @network_operation(name="python")
    def look() -> None: ...

    program = mn.mirror(Network(cells, source, synapses, look)).program
    found = sorted(beyond_statements(program))
    assert [line.partition(":")[0] for line in found] == [
        "python", "source.spike", "typed", "typed"
    ]  # fmt: skip
    plain = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1\nn : integer", threshold="v > 1",
                        reset="v = 0\nn += 1", method="euler", name="plain")  # fmt: skip
    assert not list(beyond_statements(mn.mirror(Network(plain)).program))
