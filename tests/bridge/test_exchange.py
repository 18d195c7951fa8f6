"""NIR: what goes out, what comes in, and what is refused."""

import sys
from pathlib import Path
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
    Synapses,
    ms,
    mV,
    nS,
    pF,
    second,
)

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, ExportError, MissingDependency

nir: Any = pytest.importorskip("nir")
STEPS, SOURCES, HIDDEN, OUT = 1000, 20, 30, 10


def spikes(rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy((rng.random((STEPS, 1, SOURCES)) < 0.2).astype(np.float32))


def layer(rows: int, columns: int, rng: np.random.Generator, bias: bool = False) -> Any:
    """Weights of which no sum meets a threshold exactly."""
    made = torch.nn.Linear(columns, rows, bias=bias, dtype=torch.float32)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(rng.normal(0.15, 0.3, (rows, columns))))
        if bias:
            made.bias.copy_(torch.from_numpy(rng.uniform(0, 0.1, rows)))
    return made


@pytest.fixture
def snn() -> Any:
    """snnTorch, in the precision in which it exports."""
    found = pytest.importorskip("snntorch")
    pytest.importorskip("nirtorch")
    torch.set_default_dtype(torch.float32)
    return found


def leaky(snn: Any, size: int, beta: float, **more: Any) -> Any:
    return snn.Leaky(
        beta=beta * torch.ones(size), threshold=torch.ones(size), init_hidden=True,
        reset_mechanism="zero", reset_delay=False, **more,
    )  # fmt: skip


def exported(net: Any, *wide: Any) -> Any:
    """The graph that snnTorch writes."""
    from snntorch.export_nir import export_to_nir

    return export_to_nir(net, torch.zeros(SOURCES))


def imported(graph: Any) -> mn.Mirror:
    return mn.mirror(mn.from_nir(graph), dtype=torch.float64)


@pytest.mark.filterwarnings("ignore")
def test_leaky_layers_of_snntorch_spike_in_the_same_steps_and_come_back(
    snn: Any, rng: np.random.Generator, tmp_path: Path
) -> None:
    first, second_one = layer(HIDDEN, SOURCES, rng, bias=True), layer(OUT, HIDDEN, rng)
    net = torch.nn.Sequential(first, leaky(snn, HIDDEN, 0.875), second_one, leaky(snn, OUT, 0.75))
    x = spikes(rng)
    model = imported(exported(net))
    expected = run_snntorch(net, x)
    found = model(x.double())
    for name, own in zip(("n_1", "n_3"), expected, strict=True):
        assert own.sum() > 500
        assert torch.equal(found.spikes[name].float(), own), name
    mn.to_nir(model, tmp_path / "graph.nir")
    again = imported(tmp_path / "graph.nir")(x.double())
    assert torch.equal(again.spikes["n_3"], found.spikes["n_3"])
    back = reimported(tmp_path / "graph.nir")
    for (_, module), own in zip(back, run_chain(back, x), strict=True):
        index = {HIDDEN: 0, OUT: 1}.get(own.shape[2])
        if isinstance(module, snn.Leaky) and index is not None:
            assert torch.equal(own, expected[index])


def run_snntorch(net: Any, x: torch.Tensor) -> list[torch.Tensor]:
    """Spikes of the second and fourth module, "time batch neuron"."""
    seen: list[list[torch.Tensor]] = [[], []]
    with torch.no_grad():
        for k in (1, 3):
            net[k].mem = torch.zeros(1, net[k].beta.numel())
        for now in x:
            for k, module in enumerate(net):
                now = module(now)
                if k in (1, 3):
                    seen[k // 2].append(now)
    return [torch.stack(rows) for rows in seen]


def reimported(path: Path) -> list[tuple[str, Any]]:
    """The modules that snnTorch makes of a file, in the order of its chain."""
    from snntorch.import_nir import _nir_to_snntorch_module

    graph = nir.read(path)
    following = dict(graph.edges)
    name, found = "input", []
    while name in following:
        name = following[name]
        module = _nir_to_snntorch_module(graph.nodes[name], init_hidden=True)
        found += [(name, module)] if module is not None else []
    return found


def run_chain(modules: list[tuple[str, Any]], x: torch.Tensor) -> list[torch.Tensor]:
    seen: list[list[torch.Tensor]] = [[] for _ in modules]
    with torch.no_grad():
        for _, module in modules:
            if hasattr(module, "mem"):
                module.mem = torch.zeros(1, module.beta.numel())
        for now in x:
            for k, (_, module) in enumerate(modules):
                now = module(now)
                seen[k].append(now)
    return [torch.stack(rows) for rows in seen]


def test_a_recurrent_layer_of_snntorch_spikes_in_the_same_steps(
    snn: Any, rng: np.random.Generator
) -> None:
    into = layer(HIDDEN, SOURCES, rng)
    back = rng.normal(0, 0.1, (HIDDEN, HIDDEN))
    tau = np.full(HIDDEN, 1e-4 / (1 - 0.875))
    shape = {"input": np.array([HIDDEN])}
    inner = nir.NIRGraph(
        nodes={
            "input": nir.Input(shape), "output": nir.Output({"output": np.array([HIDDEN])}),
            "lif": nir.LIF(tau=tau, r=tau / 1e-4, v_leak=0 * tau, v_threshold=np.ones(HIDDEN)),
            "w_rec": nir.Linear(back),
        },
        edges=[("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )  # fmt: skip
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input({"input": np.array([SOURCES])}),
            "into": nir.Linear(into.weight.detach().double().numpy()), "layer": inner,
            "output": nir.Output({"output": np.array([HIDDEN])}),
        },
        edges=[("input", "into"), ("into", "layer"), ("layer", "output")],
    )  # fmt: skip
    own = snn.RLeaky(beta=0.875, threshold=1.0, linear_features=HIDDEN, reset_mechanism="zero",
                     reset_delay=False, all_to_all=True)  # fmt: skip
    x = spikes(rng)
    with torch.no_grad():
        own.recurrent.weight.copy_(torch.from_numpy(back))
        own.recurrent.bias.zero_()
        spike, potential = torch.zeros(1, HIDDEN), torch.zeros(1, HIDDEN)
        rows = []
        for now in x:
            spike, potential = own(into(now), spike, potential)
            rows.append(spike)
    expected = torch.stack(rows)
    found = imported(graph)(x.double()).spikes["layer_lif"]
    assert expected.sum() > 1000
    assert torch.equal(found.float(), expected)


def test_a_layer_with_a_synaptic_current_spikes_one_step_later_than_snntorch(
    snn: Any, rng: np.random.Generator
) -> None:
    into = layer(HIDDEN, SOURCES, rng).double()
    own = snn.Synaptic(alpha=0.75, beta=0.875, threshold=1.0, reset_mechanism="zero",
                       reset_delay=False).double()  # fmt: skip
    one = np.ones(HIDDEN)
    cells = nir.CubaLIF(
        tau_syn=4e-4 * one, tau_mem=8e-4 * one, r=8 * one, w_in=4 * one, v_leak=0 * one,
        v_threshold=one,
    )  # fmt: skip
    graph = chain(nir.Linear(into.weight.detach().numpy()), cells)
    x = spikes(rng).double()
    with torch.no_grad():
        current, potential = torch.zeros(1, HIDDEN).double(), torch.zeros(1, HIDDEN).double()
        rows = []
        for now in x:
            spike, current, potential = own(into(now), current, potential)
            rows.append(spike)
    expected = torch.stack(rows)
    found = imported(graph)(x).spikes["cells"]
    assert expected.sum() > 1000
    assert torch.equal(found[1:], expected[:-1])


def chain(*nodes: Any) -> Any:
    """A graph of nodes one after the other, the last of which are the cells."""
    last = nodes[-1]
    size = next(iter(nodes[0].input_type.values()))
    named = {f"node_{k}": node for k, node in enumerate(nodes[:-1])} | {"cells": last}
    named = {
        "input": nir.Input({"input": np.array(size)}), **named,
        "output": nir.Output({"output": next(iter(last.output_type.values()))}),
    }  # fmt: skip
    return nir.NIRGraph(nodes=named, edges=list(zip(named, list(named)[1:], strict=False)))


# ---- both ways

ONE = np.linspace(0.5, 2, 4)
KINDS = {
    "LIF": nir.LIF(tau=ONE * 1e-2, r=3 * ONE, v_leak=ONE / 8, v_threshold=ONE, v_reset=-ONE),
    "LI": nir.LI(tau=ONE * 1e-2, r=3 * ONE, v_leak=ONE / 8),
    "IF": nir.IF(r=500 * ONE, v_threshold=ONE, v_reset=-ONE),
    "I": nir.I(r=500 * ONE),
    "CubaLIF": nir.CubaLIF(tau_mem=ONE * 1e-2, tau_syn=ONE * 5e-3, r=3 * ONE, v_leak=ONE / 8,
                           v_threshold=ONE, v_reset=-ONE, w_in=2 * ONE),
    "CubaLI": nir.CubaLI(tau_mem=ONE * 1e-2, tau_syn=ONE * 5e-3, r=3 * ONE, v_leak=ONE / 8,
                         w_in=2 * ONE),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_neuron_comes_back_with_weights_biases_and_delays(
    kind: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    weight, bias = rng.normal(size=(4, 5)), rng.random(4)
    delay = np.array([0, 1, 2, 3, 10]) * 1e-3
    graph = chain(nir.Delay(delay), nir.Affine(weight, bias), KINDS[kind])
    again = mn.to_nir(imported(graph), tmp_path / "graph.nir")
    for made in (again, nir.read(tmp_path / "graph.nir")):
        cells = made.nodes["cells"]
        assert type(cells).__name__ == kind
        for name, value in vars(KINDS[kind]).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_allclose(getattr(cells, name), value, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(made.nodes["input_to_cells"].weight, weight, rtol=1e-12)
        np.testing.assert_allclose(made.nodes["input_to_cells"].bias, bias, rtol=1e-12)
        np.testing.assert_allclose(made.nodes["input_to_cells_delay"].delay, delay, atol=1e-12)
        assert made.metadata["dt"] == 1e-4
        assert set(made.edges) == {
            ("input", "input_to_cells_delay"), ("input_to_cells_delay", "input_to_cells"),
            ("input_to_cells", "cells"), ("cells", "output"),
        }  # fmt: skip


def test_scales_and_weights_in_a_row_are_one_weight(rng: np.random.Generator) -> None:
    first, second_one, scale = rng.normal(size=(3, 5)), rng.normal(size=(4, 3)), rng.random(4)
    graph = chain(nir.Linear(first), nir.Linear(second_one), nir.Scale(scale), KINDS["LIF"])
    weight = mn.to_nir(imported(graph)).nodes["input_to_cells"].weight
    np.testing.assert_allclose(weight, np.diag(scale) @ second_one @ first, rtol=1e-12)


def test_the_equations_decide_not_the_names() -> None:
    """A network in units, whose potential is called current and whose current is called v."""
    source = SpikeGeneratorGroup(2, [], [] * second, name="fibres")
    odd = NeuronGroup(
        3, "dcurrent/dt = (v/g - (current - E))/(C/g) : volt\ndv/dt = -v/(3*ms) : volt*siemens\n"
        "E : volt (constant)",
        threshold="current > theta", reset="current = low", method="exact", name="odd",
        namespace={"g": 10 * nS, "C": 200 * pF, "theta": -50 * mV, "low": -70 * mV},
    )  # fmt: skip
    odd.E = [-60, -65, -70] * mV
    synapses = Synapses(source, odd, "weight : volt*siemens", on_pre="v_post += 2*weight", name="s")
    synapses.connect(i=[0, 1, 1], j=[0, 1, 2])
    synapses.weight = [1, 2, 3] * mV * nS
    synapses.delay = [1, 2, 2] * ms
    model = mn.mirror(Network(source, odd, synapses), train=["s.weight"], dtype=torch.float64)
    with torch.no_grad():
        model.parameter("s.weight").mul_(2)
    graph = mn.to_nir(model)
    cells = graph.nodes["odd"]
    assert type(cells).__name__ == "CubaLIF"
    np.testing.assert_allclose(cells.tau_mem, 20e-3)
    np.testing.assert_allclose(cells.tau_syn, 3e-3)
    np.testing.assert_allclose(cells.v_leak, [-60e-3, -65e-3, -70e-3])
    np.testing.assert_allclose(cells.v_threshold, -50e-3)
    np.testing.assert_allclose(cells.v_reset, -70e-3)
    np.testing.assert_allclose(cells.r, 1 / 10e-9)
    weight = np.array([[4, 0], [0, 8], [0, 12]]) * 1e-12
    np.testing.assert_allclose(graph.nodes["fibres_to_odd"].weight, weight)
    np.testing.assert_allclose(graph.nodes["fibres_to_odd_delay"].delay, [1e-3, 2e-3])


# ---- what NIR has no word for


def test_everything_that_nir_cannot_say_is_listed() -> None:
    source = SpikeGeneratorGroup(2, [], [] * second, name="fibres")
    common = {"method": "euler", "threshold": "v > 1"}
    groups = [
        NeuronGroup(2, "dv/dt = -v/(9*ms) : 1 (unless refractory)", reset="v = 0",
                    refractory=1 * ms, name="refractory", **common),
        NeuronGroup(2, "dv/dt = -v/(9*ms) : 1", reset="v -= 1", name="soft", **common),
        NeuronGroup(2, "dv/dt = -v/(9*ms) + xi/second**0.5 : 1", reset="v = 0", name="noisy",
                    **common),
        NeuronGroup(2, "dv/dt = (v**2 - v)/(9*ms) : 1", reset="v = 0", name="quadratic", **common),
        NeuronGroup(2, "dv/dt = -v/(9*ms) : 1", reset="v = 0", name="plain", **common),
        NeuronGroup(2, "dv/dt = -v/(9*ms) : 1", reset="v = 0", name="weak", method="euler",
                    threshold="v >= 1"),
    ]  # fmt: skip
    plain = groups[4]
    plain.run_regularly("v += 0.1", name="drift")
    plastic = Synapses(source, plain, "w : 1\ndtr/dt = -tr/(9*ms) : 1 (event-driven)",
                       on_pre="v_post += w; tr += 1", name="plastic")  # fmt: skip
    plastic.connect()
    uneven = Synapses(source, plain, on_pre="v_post += 1", name="uneven")
    uneven.connect()
    uneven.delay = [1, 2, 3, 4] * ms
    noise = PoissonInput(plain, "v", 10, 1 * Hz, weight=0.1)
    model = mn.mirror(Network(source, groups, plastic, uneven, noise), reset_gradient="detach")
    with pytest.raises(ExportError) as caught:
        mn.to_nir(model)
    text = str(caught.value)
    for line in (
        "NeuronGroup 'refractory': it has a refractory period",
        "NeuronGroup 'soft': its reset is 'v -= 1', and NIR has v = v_reset alone",
        "NeuronGroup 'noisy': it has no differential equations, or they have noise",
        "NeuronGroup 'quadratic': ",
        "NeuronGroup 'weak': its threshold is no comparison v > v_threshold",
        "Synapses 'plastic': its spikes do ",
        "Synapses 'uneven': its delays differ between the synapses of one neuron",
        "'drift' of 'plain'",
        f"'{noise.name}' of ",
    ):
        assert line in text, line
    assert text.startswith("to_nir(model): ") and "mn.save(model, path)" in text


def test_everything_of_a_graph_that_has_no_equations_is_listed() -> None:
    image = nir.Flatten(input_type={"input": np.array([1, 2])}, start_dim=0)
    bad = nir.LIF(tau=np.array([-1.0]), r=np.array([np.nan]), v_leak=np.zeros(1),
                  v_threshold=np.ones(1))  # fmt: skip
    graph = nir.NIRGraph(
        nodes={"input": nir.Input({"input": np.array([2])}), "flat": image,
               "gate": nir.Threshold(np.ones(2))},
        edges=[("input", "flat"), ("flat", "gate")], type_check=False,
    )  # fmt: skip
    with pytest.raises(ExportError, match=r"2 things(.|\n)*'flat': Flatten(.|\n)*'gate': Thresh"):
        mn.from_nir(graph)
    with pytest.raises(ExportError, match=r"'cells': r is not finite(.|\n)*tau is not positive"):
        mn.from_nir(chain(nir.Linear(np.ones((1, 2))), bad))
    analog = chain(nir.Linear(np.ones((4, 2))), KINDS["LI"], nir.Linear(np.ones((4, 4))),
                   KINDS["LIF"])  # fmt: skip
    with pytest.raises(ExportError, match=r"neurons without a threshold feed 'cells'"):
        mn.from_nir(analog)


def test_a_file_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    place = tmp_path / "graph.nir"
    nir.write(place, chain(nir.Linear(np.ones((4, 2))), KINDS["LIF"]))
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["tau"] = np.ones(4)
    with h5py.File(place, "a") as file:
        del file["node/nodes/cells/tau"]
        file["node/nodes/cells/tau"] = h5py.ExternalLink("secret.h5", "tau")
    with pytest.raises(ExportError, match=r"/node/nodes/cells/tau is a link, which may lead"):
        mn.from_nir(place)
    with h5py.File(place, "a") as file:
        del file["node/nodes/cells/tau"]
        file["node/nodes/cells"].create_dataset(
            "tau", (4,), "f8", external=[(tmp_path / "raw", 0, 32)]
        )
    with pytest.raises(ExportError, match=r"the data of /node/nodes/cells/tau lie in another file"):
        mn.from_nir(place)


def test_a_file_that_is_no_graph_is_said_by_name(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    place = tmp_path / "graph.nir"
    with pytest.raises(ExportError, match=r"from_nir\('.*graph.nir'\): the file cannot be read"):
        mn.from_nir(place)
    place.write_text("hello")
    with pytest.raises(ExportError, match="the file cannot be read"):
        mn.from_nir(place)
    with h5py.File(place, "w") as file:
        file["node/type"] = "Evil"
    with pytest.raises(ExportError, match="no NIR graph that can be read"):
        mn.from_nir(place)
    with pytest.raises(ExportError, match=r"from_nir\(int\): that is no NIR graph"):
        mn.from_nir(3)
    with pytest.raises(DomainError, match="no time step"):
        mn.from_nir(chain(nir.Linear(np.ones((4, 2))), KINDS["LIF"]), dt=-1 * ms)


def test_a_file_that_cannot_be_written_is_said_by_name(tmp_path: Path) -> None:
    model = imported(chain(nir.Linear(np.ones((4, 2))), KINDS["LIF"]))
    with pytest.raises(ExportError, match=r"to_nir\(model, '.*'\): the file could not be written"):
        mn.to_nir(model, tmp_path / "nowhere" / "graph.nir")


# ---- the network that comes in


def recurrent(rng: np.random.Generator) -> Any:
    """Two layers, of which the first feeds itself with a delay, and the second has a current."""
    names = ["input", "into", "first", "loop", "late", "on", "second", "output"]
    size = np.array([SOURCES])
    made = [
        nir.Input({"input": size}), nir.Linear(rng.normal(0.2, 0.3, (6, SOURCES))),
        nir.LIF(tau=np.full(6, 1e-3), r=np.full(6, 10.0), v_leak=np.zeros(6),
                v_threshold=np.ones(6)),
        nir.Linear(rng.normal(0, 0.2, (6, 6))), nir.Delay(np.full(6, 5e-4)),
        nir.Linear(rng.normal(0.3, 0.3, (4, 6))),
        nir.CubaLIF(tau_mem=np.full(4, 1e-3), tau_syn=np.full(4, 5e-4), r=np.full(4, 10.0),
                    v_leak=np.zeros(4), v_threshold=np.ones(4), w_in=np.full(4, 5.0)),
        nir.Output({"output": np.array([4])}),
    ]  # fmt: skip
    edges = [("input", "into"), ("into", "first"), ("first", "late"), ("late", "loop")]
    edges += [("loop", "first"), ("first", "on"), ("on", "second"), ("second", "output")]
    return nir.NIRGraph(nodes=dict(zip(names, made, strict=True)), edges=edges)


def test_brian2_and_every_engine_agree_on_a_network_that_came_in(rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    x = spikes(rng)[:200].double()
    eager, native = (
        mn.mirror(mn.from_nir(graph), dtype=torch.float64, backend=name)
        for name in ("eager", "native")
    )
    found, compiled = eager(x), native(x)
    for name in ("first", "second"):
        assert found.spikes[name].sum() > 20
        assert torch.equal(found.spikes[name], compiled.spikes[name]), name
    net = mn.from_nir(graph)
    step, source = np.nonzero(x[:, 0].numpy())
    net["input"].set_spikes(source, step * 0.1 * ms)
    model = mn.mirror(net, dtype=torch.float64)
    again = model.run(20 * ms)
    assert torch.equal(again.spikes["second"], found.spikes["second"])
    assert mn.validate(net, model, 20 * ms).ok


def test_a_library_that_is_absent_is_said_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    model = imported(chain(nir.Linear(np.ones((4, 2))), KINDS["LIF"]))
    monkeypatch.setitem(sys.modules, "nir", None)
    for ask in (lambda: mn.to_nir(model), lambda: mn.from_nir("graph.nir")):
        with pytest.raises(MissingDependency, match=r"pip install 'mirrorneuron\[nir\]'"):
            ask()
