"""The law of write-back: every value returns to its own place, bit for bit, or none does."""

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, Quantity, SpikeGeneratorGroup, Synapses, ms, mV, nA
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mirrorneuron as mn
from mirrorneuron.errors import UnitError, UnknownName, WriteBackError

TRAINED = ["cells.tau", "cells.v", "cells.common", "cells.b", "syn.w", "syn.gain"]
EDGES = np.array([(0, 0), (0, 0), (1, 2), (1, 0), (2, 1), (2, 1), (2, 1), (0, 3)])


def build(
    edges: np.ndarray = EDGES, size: int = 4, tau: str = "second", name: str = "cells"
) -> Network:
    """Cells with own and shared parameters, and synapses of which some join the same pair."""
    equations = f"""dv/dt = (b + common - v) / tau : volt
                    tau : {tau} (constant)
                    common : volt (shared, constant)"""
    if tau != "second":
        equations = equations.replace("/ tau", "/ (tau*ms/mV)")
    stimulus = SpikeGeneratorGroup(3, [0, 1, 2], [1, 2, 3] * ms, name="stimulus")
    cells = NeuronGroup(
        size, equations, threshold="v > 10*mV", reset="v = 0*mV", method="euler", name=name,
        namespace={"b": 3 * mV},
    )  # fmt: skip
    cells.tau = np.linspace(10, 20, size) * (ms if tau == "second" else mV)
    cells.v, cells.common = np.linspace(0, 5, size) * mV, 1 * mV
    synapses = Synapses(
        stimulus, cells, "w : volt\ngain : 1 (shared, constant)", on_pre="v += gain*w", name="syn"
    )
    synapses.connect(i=edges[:, 0], j=edges[:, 1])
    synapses.w, synapses.gain = np.arange(1.0, len(edges) + 1) * mV, 2.0
    return Network(stimulus, cells, synapses)


def mirrored(network: Network, dtype: torch.dtype = torch.float64) -> mn.Mirror:
    return mn.mirror(network, train=TRAINED, dtype=dtype)


@torch.no_grad()
def trained(model: mn.Mirror, seed: int = 0) -> mn.Mirror:
    """The model after steps that leave no round number."""
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.mul_(torch.rand(p.shape, generator=generator, dtype=p.dtype) + 0.5)
    return model


def values(network: Network) -> dict[str, np.ndarray]:
    """What can be written, as Brian2 holds it."""
    found = {k: np.array(network[k.split(".")[0]].state(k.split(".")[1], use_units=False))
             for k in TRAINED if k != "cells.b"}  # fmt: skip
    return found | {"cells.b": np.array(network["cells"].namespace["b"])}


def test_values_return_bit_for_bit():
    network = build()
    model = trained(mirrored(network))
    assert sorted(model.write_back()) == sorted(TRAINED)
    again = mirrored(network)
    for key in TRAINED:
        assert torch.equal(again.parameter(key), model.parameter(key)), key
        np.testing.assert_array_equal(
            values(network)[key].ravel(), model.parameter(key).detach().numpy().ravel()
        )


def test_values_of_a_real_training_return_bit_for_bit():
    network = build()
    model = mirrored(network)
    task = mn.Task(5 * ms, lambda r, _: (r["cells.v"] - 4e-3).square().sum(), record=["cells.v"])
    start = {k: model.parameter(k).detach().clone() for k in TRAINED}
    mn.fit(model, task, steps=2, report=None)
    assert all(not torch.equal(model.parameter(k), start[k]) for k in TRAINED)
    model.write_back()
    again = mirrored(network)
    assert all(torch.equal(again.parameter(k), model.parameter(k)) for k in TRAINED)


def test_single_precision_returns_within_its_last_place():
    network = build()
    model = trained(mirrored(network, torch.float32))
    model.write_back()
    again = mirrored(network, torch.float32)
    for key in TRAINED:
        assert torch.equal(again.parameter(key), model.parameter(key)), key
        exact = values(network)[key].ravel()
        single = model.parameter(key).detach().numpy().ravel()
        assert np.all(np.abs(exact - single) <= np.spacing(np.abs(single)))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=st.permutations(range(len(EDGES))))
def test_each_weight_finds_its_edge_in_any_order_of_creation(order: list[int]):
    model = trained(mirrored(build()))
    other = build(EDGES[list(order)])
    model.write_back(other)
    w = model.parameter("syn.w").detach().numpy()
    synapses = other["syn"]
    for pair in {tuple(edge) for edge in EDGES}:
        ours = w[(pair == EDGES).all(axis=1)]
        theirs = np.array(synapses.w_)[(synapses.i == pair[0]) & (synapses.j == pair[1])]
        np.testing.assert_array_equal(theirs, ours)  # the k-th synapse of a pair is the k-th


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=st.permutations(range(len(EDGES))))
def test_a_network_written_to_in_another_order_gives_the_same_spikes(order: list[int]):
    network, other = build(), build(EDGES[list(order)])
    model = trained(mirrored(network))
    model.write_back()
    model.write_back(other)
    one, two = (mirrored(n).run(10 * ms, record=["cells.v"])["cells.v"] for n in (network, other))
    torch.testing.assert_close(one, two, rtol=1e-12, atol=0)


def test_a_constant_of_a_namespace_returns_as_a_quantity():
    network = build()
    model = trained(mirrored(network))
    model.write_back()
    b = network["cells"].namespace["b"]
    assert isinstance(b, Quantity) and b.dim == mV.dim
    assert float(b) == model.parameter("cells.b").item()


def test_a_constant_of_the_callers_frame_is_written_into_the_group():
    decay = 7 * ms
    cells = NeuronGroup(1, "dv/dt = -v/decay : 1", method="exact", name="cells")
    cells.v = 1
    network = Network(cells)
    model = mn.mirror(network, train=["cells.decay"], dtype=torch.float64)
    with torch.no_grad():
        model.parameter("cells.decay").fill_(3e-3)
    model.write_back()
    assert decay == 7 * ms
    assert cells.namespace["decay"] == 3 * ms
    network.run(3 * ms)
    assert cells.v[0] == pytest.approx(np.exp(-1))


def test_a_network_that_has_run_takes_values_too():
    network = build()
    model = trained(mirrored(network))
    network.run(5 * ms)
    model.write_back()
    np.testing.assert_array_equal(network["syn"].w_, model.parameter("syn.w").detach().numpy())


def refused(network: Network, error: type[Exception], match: str, model: mn.Mirror | None = None):
    """Writing fails with this sentence and changes nothing."""
    model = trained(mirrored(build())) if model is None else model
    readable = {k: network[k.split(".")[0]].state(k.split(".")[1], use_units=False)[:].copy()
                for k in TRAINED if k != "cells.b" and k.split(".")[0] in network
                and k.split(".")[1] in network[k.split(".")[0]].variables}  # fmt: skip
    constants = {o.name: dict(o.namespace) for o in network.objects if hasattr(o, "namespace")}
    with pytest.raises(error, match=match):
        model.write_back(network)
    for key, before in readable.items():
        owner, name = key.split(".")
        np.testing.assert_array_equal(network[owner].state(name, use_units=False)[:], before)
    for obj in network.objects:
        if hasattr(obj, "namespace"):
            assert obj.namespace == constants[obj.name]


def test_another_unit_is_refused_and_nothing_written():
    refused(
        build(tau="volt"),
        UnitError,
        r"cells\.tau was trained in \[s\], but 'cells' declares it in \[V\]",
    )


def test_a_constant_of_another_unit_is_refused_and_nothing_written():
    network = build()
    network["cells"].namespace["b"] = 3 * nA
    refused(network, UnitError, r"cells\.b was trained in \[V\], but 'cells' holds it in \[A\]")


def test_another_number_of_neurons_is_refused_and_nothing_written():
    refused(build(size=5), WriteBackError, r"cells\.tau holds 4 values, but 'cells' has 5 elements")


@pytest.mark.parametrize(
    "edges",
    [EDGES[:-1], np.vstack([EDGES, [0, 1]]), np.vstack([EDGES[:-1], [1, 3]])],
    ids=["one less", "one more", "one moved"],
)
def test_other_edges_are_refused_and_nothing_written(edges: np.ndarray):
    refused(build(edges), WriteBackError, r"the synapses of 'syn' connect other neurons")


@pytest.mark.parametrize("key", TRAINED)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_refused_and_nothing_written(key: str, bad: float):
    network = build()
    free = dict.fromkeys(TRAINED, mn.Free())  # what is positive stays finite by itself
    model = trained(mn.mirror(network, train=free, dtype=torch.float64))
    with torch.no_grad():
        model.trained[key].raw.view(-1)[-1] = bad  # as an optimiser may leave it
    refused(network, WriteBackError, rf"{key} holds NaN or infinite values", model)


def test_a_missing_object_is_refused_and_nothing_written():
    network = build(name="cellz")
    refused(network, UnknownName, r"object 'cells' is not known\. Did you mean 'cellz'")


def test_a_missing_variable_is_refused_and_nothing_written():
    network = build()
    cells = NeuronGroup(4, "dv/dt = -v / (5*ms) : volt", threshold="v > 1*mV", name="cells_too")
    synapses = Synapses(network["stimulus"], cells, "u : volt", on_pre="v += u", name="syn_too")
    synapses.connect(i=EDGES[:, 0], j=EDGES[:, 1])
    other = Network(network["stimulus"], cells, synapses)
    cells._name, synapses._name = "cells", "syn"
    refused(other, UnknownName, r"variable 'cells\.tau' is not known")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_was_not_trained_is_written_as_it_was_to_the_last_bit(dtype: torch.dtype) -> None:
    """Single precision would make 19.99999955 ms of 20 ms, and call the script's value stale."""
    net = build()
    net["cells"].v = np.linspace(0, 0.3, 4) * mV
    before = values(net)
    model = mirrored(net, dtype)
    with torch.no_grad():
        model.parameter("syn.w")[0] = 1.0
    assert model.write_back().stale == {}
    for key, value in values(net).items():
        same = value == before[key]
        assert np.all(same) if key != "syn.w" else not same[0] and np.all(same[1:])
