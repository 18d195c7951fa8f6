"""Runs: no hidden state, reproducible, and in the shape that Brian2's monitors have."""

import numpy as np
import pytest
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    ms,
    mV,
    nA,
    second,
    seed,
)

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, ShapeError


def network(noise: bool = False, **names: str) -> Network:
    """A recurrent group with long delays, driven by given spikes or by noise."""
    rng = np.random.default_rng(2)
    stimulus = (
        PoissonGroup(20, 100 * Hz, name="stimulus")
        if noise
        else SpikeGeneratorGroup(
            20, np.arange(200) % 20, np.sort(rng.choice(900, 200)) * 0.1 * ms, name="stimulus"
        )
    )
    cells = NeuronGroup(
        10,
        """dv/dt = (E - v + R*I)/tau : volt (unless refractory)
           tau : second (constant)
           I : amp""",
        threshold="v > -50*mV",
        reset="v = E",
        refractory=1 * ms,
        method="exponential_euler",
        namespace={"E": -60 * mV, "R": 10 * mV / nA},
        name=names.get("cells", "cells"),
    )
    cells.tau = 10 * ms
    cells.v = np.linspace(-60, -51, 10) * mV
    feed = Synapses(stimulus, cells, "w : volt", on_pre="v_post += w", name="feed")
    feed.connect()
    feed.w = rng.uniform(0, 5, 200) * mV
    feed.delay = rng.uniform(0, 8, 200) * ms
    back = Synapses(cells, cells, on_pre="v_post -= 0.5*mV", delay=2 * ms, name="back")
    back.connect("i != j")
    return Network(stimulus, cells, feed, back)


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_two_runs_equal_one_of_their_length(noise: bool, grad: bool) -> None:
    model = mn.mirror(network(noise), train=["feed.w"], dtype=torch.float64)
    with torch.set_grad_enabled(grad):
        whole = model.run(60 * ms, record=["cells.v"], seed=5)
        first = model.run(23 * ms, record=["cells.v"], seed=5)
        rest = model.run(37 * ms, record=["cells.v"], state=first.state)
    assert whole.spikes["cells"].sum() > 5
    for name in ("stimulus", "cells"):
        joined = torch.cat([first.spikes[name], rest.spikes[name]])
        assert torch.equal(whole.spikes[name], joined)
    assert torch.equal(whole["cells.v"], torch.cat([first["cells.v"], rest["cells.v"]]))
    assert np.array_equal(whole.t, np.concatenate([first.t, rest.t]))


def test_a_run_leaves_the_state_that_it_started_from() -> None:
    model = mn.mirror(network(), dtype=torch.float64)
    with torch.no_grad():
        half = model.run(20 * ms)
        before = half.state["cells.v"].clone()
        one = model.run(20 * ms, state=half.state)
        two = model.run(20 * ms, state=half.state)
    assert torch.equal(half.state["cells.v"], before)
    assert torch.equal(one.spikes["cells"], two.spikes["cells"])


def test_a_batch_equals_its_trials_run_alone() -> None:
    model = mn.mirror(network(), train=["feed.w"], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    currents = torch.rand(300, 4, 10, generator=generator, dtype=torch.float64) * 2e-9
    batch = model.run(30 * ms, inputs={"cells.I": currents}, record=["cells.v"])
    for k in range(4):
        alone = model.run(30 * ms, inputs={"cells.I": currents[:, k]}, record=["cells.v"])
        assert torch.equal(batch.spikes["cells"][:, k], alone.spikes["cells"][:, 0])
        assert torch.equal(batch["cells.v"][:, k], alone["cells.v"][:, 0])


def test_the_same_seed_gives_the_same_trials_and_each_its_own_noise() -> None:
    model = mn.mirror(network(noise=True), dtype=torch.float64)
    one, two = (model.run(30 * ms, batch_size=3, seed=9).spikes["stimulus"] for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one[:, 0], one[:, 1])
    assert not torch.equal(one[:, 1], one[:, 2])
    single = model.run(30 * ms, seed=9).spikes["stimulus"]
    assert torch.equal(one[:, 0], single[:, 0])


@pytest.mark.parametrize("noise", [False, True])
def test_a_mirror_of_a_network_that_has_run_goes_on_as_it_does(noise: bool) -> None:
    net = network(noise)
    monitor = SpikeMonitor(net["cells"])
    net.add(monitor)
    seed(4)
    net.run(30 * ms, namespace={})
    model = mn.mirror(net, dtype=torch.float64)
    seed(6)
    before = len(monitor.i)
    net.run(30 * ms, namespace={})
    step, index = model.run(30 * ms, seed=6).events("cells")
    assert len(index) > 0
    assert np.array_equal(step, np.round(monitor.t_[before:] / 1e-4).astype(int))
    assert np.array_equal(index, monitor.i[before:])


def test_recordings_look_like_those_of_brian2() -> None:
    net = network()
    spikes = SpikeMonitor(net["cells"])
    traces = StateMonitor(net["cells"], ["v", "tau"], record=True)
    net.add(spikes, traces)
    model = mn.mirror(net, dtype=torch.float64)
    net.run(40 * ms, namespace={})
    recording = model.run(40 * ms, record=["cells.v", "cells.tau"])
    assert np.array_equal(recording.t, traces.t_[:])
    assert np.array_equal(recording["cells.v"][:, 0].numpy(), traces.v_.T)
    assert np.array_equal(recording["cells.tau"][:, 0].numpy(), traces.tau_.T)
    mine, theirs = recording.spike_trains("cells"), spikes.spike_trains()
    assert set(mine) == set(theirs)
    for i in mine:
        assert mine[i].dim is theirs[i].dim
        assert np.array_equal(mine[i] / second, theirs[i] / second)
    assert recording.rates()["cells"] == pytest.approx(spikes.num_spikes / 10 / 0.04)


def test_inputs_replace_a_source_a_variable_and_a_timed_array() -> None:
    sound = TimedArray(np.zeros((50, 2)), dt=1 * ms, name="sound")
    cells = NeuronGroup(
        2, "dv/dt = (sound(t, i) - v)/(5*ms) : 1", method="euler", namespace={"sound": sound},
        name="cells",
    )  # fmt: skip
    model = mn.mirror(Network(cells), dtype=torch.float64)
    given = torch.ones(100, 3, 2) * torch.tensor([0.0, 1.0, 2.0])[:, None]
    final = model.run(10 * ms, inputs={"sound": given}).state["cells.v"]
    expected = 1 - (1 - 0.1 / 5) ** 100
    assert torch.allclose(final, torch.tensor([[0.0], [1], [2]]).expand(3, 2) * expected)

    model = mn.mirror(network(), dtype=torch.float64)
    spikes = torch.zeros(50, 2, 20)
    spikes[3, 1, 7] = 1
    recording = model.run(5 * ms, inputs={"stimulus": spikes})
    assert torch.equal(recording.spikes["stimulus"], spikes)
    swapped = model.run(5 * ms, inputs={"stimulus": spikes.transpose(0, 1)}, batch_first=True)
    assert torch.equal(swapped.spikes["stimulus"], spikes)
    quantity = np.full((50, 1, 10), 2.0) * nA
    plain = torch.full((50, 1, 10), 2e-9)
    one, two = (
        model.run(5 * ms, inputs={"cells.I": x}).state["cells.v"] for x in (quantity, plain)
    )
    assert torch.equal(one, two)


def test_a_timed_array_has_the_name_that_equations_have_for_it() -> None:
    sound = TimedArray(np.zeros(50), dt=1 * ms)
    cells = NeuronGroup(
        2, "dv/dt = (sound(t) - v)/(5*ms) : 1", method="euler", namespace={"sound": sound},
        name="cells",
    )  # fmt: skip
    model = mn.mirror(Network(cells), dtype=torch.float64)
    given = torch.linspace(0, 1, 100)
    finals = [
        model.run(10 * ms, inputs={name: x}).state["cells.v"]
        for name in ("sound", sound.name)
        for x in (given, given[:, None], given[:, None, None])  # as one number a step, too
    ]
    assert finals[0].min() > 0
    assert all(torch.equal(final, finals[0]) for final in finals)
    with pytest.raises(DomainError, match=r"'sound' and '_timedarray\w*' are one input, which"):
        model.run(10 * ms, inputs={"sound": given, sound.name: given})
    with pytest.raises(ShapeError, match=r"the shape is \(100,\), expected \(time, batch"):
        model.run(10 * ms, inputs={"cells.v": given})  # of two neurons


def test_gradients_reach_the_inputs() -> None:
    model = mn.mirror(network(), dtype=torch.float64)
    current = torch.full((50, 1, 10), 1e-9, requires_grad=True)
    model.run(5 * ms, inputs={"cells.I": current}, record=["cells.v"])["cells.v"].sum().backward()
    assert current.grad is not None
    assert (current.grad[:-1] != 0).any(dim=0).all()


def test_a_mirror_is_an_ordinary_module() -> None:
    model = mn.mirror(network(), train=["feed.w", "cells.tau"])
    assert list(model.state_dict()) == ["feed.w", "cells.tau"]
    assert model.dtype == torch.float32
    other = mn.mirror(network(), train=["feed.w", "cells.tau"])
    with torch.no_grad():
        model.parameter("feed.w").mul_(2)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.parameter("feed.w"), model.parameter("feed.w"))
    assert model.double().run(1 * ms, record=["cells.v"])["cells.v"].dtype == torch.float64
    assert model({"cells.I": torch.zeros(20, 1, 10)}).steps == 20
    assert "30 spiking elements" in repr(model)


@pytest.mark.parametrize("name", ["report", "forward", "run", "training", "dtype"])
def test_a_group_may_have_the_name_of_a_part_of_the_module(name: str) -> None:
    model = mn.mirror(network(cells=name), train=[f"{name}.tau"])
    assert list(model.state_dict()) == [f"{name}.tau"]
    assert model.run(1 * ms).spikes[name].shape == (10, 1, 10)
    assert model.report.is_faithful


def test_single_precision_stays_close() -> None:
    net = network()
    fine, coarse = (mn.mirror(net, dtype=d) for d in (torch.float64, torch.float32))
    a, b = (m.run(20 * ms, record=["cells.v"])["cells.v"] for m in (fine, coarse))
    assert b.dtype == torch.float32
    assert torch.allclose(a, b.double(), atol=1e-6)


def test_mirroring_changes_nothing_in_the_network() -> None:
    net = network(noise=True)
    monitor = SpikeMonitor(net["stimulus"])
    net.add(monitor)
    seed(1)
    net.run(5 * ms, namespace={})
    state = np.random.get_state()[1].copy()
    values, spikes, time = net["cells"].v_[:].copy(), len(monitor.i), net.t
    mn.mirror(net)
    assert np.array_equal(np.random.get_state()[1], state)
    assert np.array_equal(net["cells"].v_[:], values)
    assert (len(monitor.i), net.t) == (spikes, time)


def test_names_of_the_caller_are_found() -> None:
    level = 2 * mV
    group = NeuronGroup(1, "dv/dt = (level - v)/(5*ms) : volt", method="exact", name="cells")
    model = mn.mirror(Network(group), train=["cells.level"], dtype=torch.float64)
    assert model.parameter("cells.level").item() == float(level)
    model.run(10 * ms, record=["cells.v"])["cells.v"].sum().backward()
    assert model.parameter("cells.level").grad > 0


def test_nothing_to_do_gives_empty_recordings() -> None:
    recording = mn.mirror(network(), dtype=torch.float64).run(0 * ms)
    assert recording.spikes["cells"].shape == (0, 1, 10)
    assert recording.events("cells")[0].size == 0
    one = NeuronGroup(1, "dv/dt = -v/(5*ms) : 1", threshold="v > 1", reset="v = 0",
                      method="exact", name="one")  # fmt: skip
    nothing = Synapses(one, one, "w : 1", on_pre="v_post += w", name="nothing")
    nothing.connect("i != j")
    model = mn.mirror(Network(one, nothing), dtype=torch.float64)
    assert model.run(2 * ms).spikes["one"].shape == (20, 1, 1)
