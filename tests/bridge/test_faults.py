"""Bad input: each ends in a named error that says what to write, before the first step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    Cylinder,
    DimensionMismatchError,
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpatialNeuron,
    SpikeGeneratorGroup,
    Synapses,
    TimedArray,
    device,
    mA,
    mm,
    ms,
    mV,
    nA,
    second,
    set_device,
    um,
)

import mirrorneuron as mn
from mirrorneuron.errors import (
    DomainError,
    GradientError,
    MirrorNeuronError,
    NumericalError,
    ShapeError,
    UnitError,
    UnknownName,
    UnsupportedFeature,
)

Change = Callable[[Network], None]


def network() -> Network:
    """Two cells, one synapse each way, driven by given spikes."""
    stimulus = SpikeGeneratorGroup(1, [0], [1] * ms, name="stimulus")
    cells = NeuronGroup(
        2,
        """dv/dt = (E_L - v + R*I)/tau : volt (unless refractory)
           tau : second (constant)
           I : amp
           unused : 1
           alive : boolean""",
        threshold="v > -50*mV",
        reset="v = E_L",
        refractory=2 * ms,
        method="euler",
        namespace={"E_L": -60 * mV, "R": 1 * mV / nA, "tau_s": 5 * ms},
        name="cells",
    )
    cells.tau, cells.v = 10 * ms, -60 * mV
    synapses = Synapses(stimulus, cells, "w : volt", on_pre="v_post += w", name="syn")
    synapses.connect()
    synapses.w = 3 * mV
    synapses.delay = [0, 1] * ms
    return Network(stimulus, cells, synapses)


BEFORE: dict[str, tuple[Change, dict[str, object], type[Exception], str]] = {
    "unknown object": (
        lambda net: None, {"train": ["cell.tau"]}, UnknownName,
        r"train=\['cell.tau'\]\): object 'cell' is not known. Did you mean 'cells'",
    ),
    "unknown variable": (
        lambda net: None, {"train": ["cells.tao"]}, UnknownName, "'tao'.*Did you mean 'tau'",
    ),
    "boolean": (
        lambda net: None, {"train": ["cells.alive"]}, GradientError, "holds boolean values",
    ),
    "read-only": (lambda net: None, {"train": ["cells.i"]}, GradientError, "sets itself"),
    "without influence": (
        lambda net: None, {"train": ["cells.unused"]}, GradientError, "influences nothing",
    ),
    "width in another unit": (
        lambda net: None, {"surrogate": mn.SuperSpike(1 * mA)}, UnitError,
        r"width of the surrogate of 'cells'.*has to be in \[V\]",
    ),
    "plain width": (
        lambda net: None, {"surrogate": mn.SuperSpike(1.0)}, DimensionMismatchError,
        "a plain number, but has to be",
    ),
    "width zero": (
        lambda net: None, {"surrogate": mn.SuperSpike(0 * mV)}, DomainError, "is not positive",
    ),
    "surrogate for nobody": (
        lambda net: None, {"surrogate": {"cell": mn.SuperSpike(1 * mV)}}, UnknownName,
        "Did you mean 'cells'",
    ),
    "no surrogate": (
        lambda net: None,
        {"surrogate": "superspike"},
        DomainError,
        "that is no surrogate",
    ),
    "backend": (lambda net: None, {"backend": "fast"}, UnknownName, "backend='fast'"),
    "reset gradient": (
        lambda net: None, {"reset_gradient": "no"}, UnknownName, "reset_gradient='no'",
    ),
    "NaN weight": (
        lambda net: setattr(net["syn"], "w", [1, np.nan] * mV), {}, DomainError,
        r"syn\.w is nan at index 1",
    ),
    "infinite state": (
        lambda net: setattr(net["cells"], "v", np.inf * mV), {}, DomainError,
        r"cells\.v is inf at index 0",
    ),
    "NaN constant": (
        lambda net: net["cells"].namespace.update(E_L=np.nan * mV), {}, DomainError, "E_L is nan",
    ),
    "time constant zero": (
        lambda net: setattr(net["cells"], "tau", [10, 0] * ms), {}, DomainError,
        r"cells\.tau is 0 ms at element 1",
    ),
    "time constant negative": (
        lambda net: setattr(net["cells"], "tau", -5 * ms), {}, DomainError, "is -5 ms",
    ),
    "negative delay": (
        lambda net: setattr(net["syn"], "delay", [0, -1] * ms), {}, DomainError,
        "'syn_pre' has a delay of -1 ms at synapse 1",
    ),
    "NaN delay": (
        lambda net: setattr(net["syn"], "delay", [0, np.nan] * ms), {}, DomainError, "nan ms",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BEFORE)
def test_a_bad_network_or_argument_is_refused(name: str) -> None:
    change, arguments, error, message = BEFORE[name]
    net = network()
    change(net)
    with pytest.raises(error, match=message) as caught:
        mn.mirror(net, **arguments)  # type: ignore[arg-type]
    assert isinstance(caught.value, MirrorNeuronError)


NAN = torch.full((10, 1, 2), float("nan"))
RUNS: dict[str, tuple[dict[str, object], type[Exception], str]] = {
    "plain duration": ({"duration": 1.0}, UnitError, "duration of run.*plain number.*in \\[s\\]"),
    "other unit": ({"duration": 1 * mV}, DimensionMismatchError, r"has to be in \[s\]"),
    "negative": ({"duration": -1 * ms}, DomainError, "cannot be negative"),
    "unknown input": ({"inputs": {"stimulos": NAN}}, UnknownName, "Did you mean 'stimulus'"),
    "NaN input": ({"inputs": {"cells.I": NAN}}, DomainError, r"'cells.I'.*is nan at index 0, 0, 0"),
    "too short": (
        {"inputs": {"cells.I": torch.zeros(9, 1, 2)}}, ShapeError,
        r"shape is \(9, 1, 2\), expected \(time, batch, neuron\) = \(10, any, 2\)",
    ),
    "wrong width": ({"inputs": {"cells.I": torch.zeros(10, 1, 3)}}, ShapeError, r"\(10, any, 2\)"),
    "wrong unit": ({"inputs": {"cells.I": np.zeros((10, 1, 2)) * mV}}, UnitError, r"in \[A\]"),
    "batches": (
        {"inputs": {"cells.I": torch.zeros(10, 3, 2), "stimulus": torch.zeros(10, 4, 1)}},
        ShapeError, "numbers of trials differ",
    ),
    "no trial": ({"batch_size": 0}, ShapeError, "batch_size=0"),
    "record": ({"record": ["cells.V"]}, UnknownName, "Did you mean 'cells.v'"),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_a_bad_run_is_refused(name: str) -> None:
    arguments, error, message = RUNS[name]
    model = mn.mirror(network(), dtype=torch.float64)
    with pytest.raises(error, match=message):
        model.run(**{"duration": 1 * ms, **arguments})  # type: ignore[arg-type]


def test_what_was_not_recorded_is_named() -> None:
    recording = mn.mirror(network()).run(1 * ms)
    with pytest.raises(UnknownName, match=r"record=\['cells.v'\]"):
        recording["cells.v"]
    with pytest.raises(UnknownName, match=r"spikes\['cell'\]"):
        recording.spikes["cell"]


def test_a_forward_pass_without_inputs_has_no_length() -> None:
    with pytest.raises(ShapeError, match=r"Write model.run\(100\*ms\)"):
        mn.mirror(network())({})


def test_a_trained_time_constant_that_became_negative_is_refused_at_the_next_run() -> None:
    model = mn.mirror(network(), train={"cells.tau": mn.Free()}, dtype=torch.float64)
    with torch.no_grad():
        model.parameter("cells.tau")[1] = -1e-3
    with pytest.raises(DomainError, match=r"(?s)cells\.tau is -1 ms at element 1.*mn.Positive"):
        model.run(1 * ms)


def test_a_value_that_leaves_its_range_stops_the_run_within_a_chunk() -> None:
    group = NeuronGroup(3, "dx/dt = x**2/(1*ms) : 1", method="euler", name="blown")
    group.x = [0, 0, 50]
    with pytest.raises(NumericalError, match=r"blown\.x of element 2 \(trial 0\) became .* 10 ms"):
        mn.mirror(Network(group), dtype=torch.float64).run(100 * ms)


def test_everything_that_cannot_be_mirrored_is_listed_at_once() -> None:
    stiff = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", method="gsl_rk4", name="purkinje")
    odd = NeuronGroup(1, "dv/dt = -v/ms : 1", method="euler", dt=0.1414213562 * ms, name="odd")
    morphology = Cylinder(length=1 * mm, diameter=1 * um, n=3)
    rod = SpatialNeuron(morphology, "Im = 0*amp/meter**2 : amp/meter**2", name="rod")
    net = Network(network(), stiff, odd, rod)
    with pytest.raises(UnsupportedFeature) as caught:
        mn.mirror(net)
    items = {item.object for item in caught.value.items}
    assert items == {"purkinje", "odd_stateupdater", "rod"}
    text = str(caught.value)
    for part in (
        "method='gsl_rk4'",
        "a cable",
        "0.141421 ms beside",
        "strict=False",
    ):
        assert part in text
    assert not isinstance(caught.value, KeyError)
    report = mn.mirror(net, strict=False).report
    assert not report.is_faithful
    assert len(report.unsupported) == 3
    assert "LEFT OUT: method='gsl_rk4'" in str(report)


def test_a_standalone_device_is_refused() -> None:
    net = network()
    set_device("cpp_standalone", build_on_run=False)
    try:
        with pytest.raises(UnsupportedFeature, match="not compiled yet"):
            mn.mirror(net)
    finally:
        device.reinit()
        set_device("runtime")


def test_an_empty_network_is_refused() -> None:
    with pytest.raises(DomainError, match="the network is empty"):
        mn.mirror(Network())


def test_a_threshold_without_a_known_width_asks_for_one_when_gradients_pass() -> None:
    group = NeuronGroup(
        1, "dv/dt = (I - v)/(10*ms) : 1\nI : 1", threshold="v > 1", refractory="v > 1",
        method="euler", name="plain",
    )  # fmt: skip
    group.I = 2
    model = mn.mirror(Network(group), train=["plain.I"])
    with pytest.raises(
        GradientError, match=r"surrogate=\{'plain': mn.SuperSpike\(width=\.\.\.\)\}"
    ):
        model.run(5 * ms)


def test_the_mirror_of_a_network_in_the_units_of_others_is_not_confused() -> None:
    rates = TimedArray([10, 20] * Hz, dt=1 * ms, name="wave")
    group = PoissonGroup(2, "wave(t)", namespace={"wave": rates}, name="noise")
    recording = mn.mirror(Network(group)).run(0.01 * second, seed=1)
    assert recording.spikes["noise"].shape == (100, 1, 2)


WRONG_RUNS = {
    "record": ({"record": "cells.v"}, r"list of names. Write record=\['cells.v'\]"),
    "batch": ({"batch_size": 2.5}, "no number of trials"),
    "unit in a list": (
        {"inputs": {"cells.I": [[1 * nA] * 2] * 10}}, r"has to be in .V."
    ),
    "no numbers": ({"inputs": {"cells.I": "noise"}}, "is no array of numbers"),
}  # fmt: skip


def driven() -> Network:
    cells = NeuronGroup(2, "dv/dt = (I - v)/(10*ms) : volt\nI : volt", name="cells")
    return Network(cells)


@pytest.mark.parametrize("case", WRONG_RUNS)
def test_a_wrong_argument_of_a_run_is_named(case: str) -> None:
    arguments, message = WRONG_RUNS[case]
    with pytest.raises(MirrorNeuronError, match=message):
        mn.mirror(driven()).run(1 * ms, **arguments)


def test_a_run_has_one_duration_and_its_inputs_have_names() -> None:
    model = mn.mirror(driven())
    with pytest.raises(ShapeError, match="a run has one duration"):
        model.run([1, 2] * ms)
    with pytest.raises(DomainError, match="inputs are a mapping from names to arrays"):
        model([torch.zeros(5, 1, 2)])


@pytest.mark.parametrize("train", ["I", mn.Tied("cells.I", "cells.v"), None, 3])
def test_what_is_trained_is_a_list(train: Any) -> None:
    with pytest.raises(DomainError, match=r"list of names, or a mapping.*Write train="):
        mn.mirror(driven(), train=train)


@pytest.mark.parametrize("dtype", [torch.int32, torch.bfloat16, torch.complex64, "float32", None])
def test_a_type_in_which_no_network_runs_is_refused(dtype: Any) -> None:
    with pytest.raises(DomainError, match=r"dtype=.*Write dtype=torch.float32"):
        mn.mirror(driven(), dtype=dtype)


@pytest.mark.parametrize("device", ["meta", "cdua", "cuda:99", 3.5])
def test_a_device_that_is_not_there_is_refused(device: Any) -> None:
    with pytest.raises(DomainError, match=r"device=.*Write device='cpu'"):
        mn.mirror(driven(), device=device)


def test_a_model_does_not_move_to_where_it_cannot_run() -> None:
    model = mn.mirror(driven(), train=["cells.I"])
    with pytest.raises(DomainError, match=r"model.to\(dtype=torch.bfloat16"):
        model.to(torch.bfloat16)
    with pytest.raises(DomainError, match="keeps no values"):
        model.to("meta")
    assert model.run(1 * ms).state["cells.v"].dtype == torch.float32


STATES: dict[str, tuple[Any, type[Exception], str]] = {
    "a list": ([1, 2], DomainError, "that is no state of a run"),
    "a dict": ({"x": 1}, DomainError, "that is no state of a run"),
    "another network": (
        lambda: mn.mirror(driven()).initial_state(), DomainError, "the state lacks cells.",
    ),
    "another size": (
        lambda: {**mn.mirror(network()).initial_state(), "cells.v": torch.zeros(1, 3)},
        ShapeError, r"cells.v has the shape \(1, 3\), and this network's is \(batch, 2\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STATES)
def test_a_state_of_something_else_is_refused(case: str) -> None:
    given, error, message = STATES[case]
    state = given() if callable(given) else given
    with pytest.raises(error, match=message):
        mn.mirror(network()).run(1 * ms, state=state)
